/* SPDX-License-Identifier: Apache-2.0 */
/*
 * t_sorted.c - sort words follow the order of terms; nodes find what a plain list finds
 */
#include "../chance.h"

#include "table/sorted.h"
#include "heap/blob.h"
#include "heap/heap.h"
#include "term/atom.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

static struct heap heap;

static term some_number(void)
{
    static const int64_t edge[] = { 0, 1, -1, 2, 250, 251, 252, 253, 254, 255, 256, 1000, 1 << 30,
                                    SMALL_MIN, SMALL_MAX, SMALL_MIN - 1, SMALL_MAX + 1, INT64_MIN,
                                    INT64_MAX, (int64_t)1 << 45, ((int64_t)1 << 45) - 1,
                                    -((int64_t)1 << 45), -((int64_t)1 << 45) - 1 };
    static const double part[] = { 0.0, 0.5, -0.5, 0.999, 1e-300, 1e300, -1e300 };
    int64_t i = chance(3) == 0 ? (int64_t)chance(300) - 20 : edge[chance(ARRAY_LEN(edge))];

    return chance(3) != 0 ? heap_int(&heap, i)
                          : heap_float(&heap, (double)i + part[chance(ARRAY_LEN(part))]);
}

static term some_bits(void)
{
    uint8_t bytes[20] = { 0 };
    size_t n = chance(3) == 0 ? chance(20) : 6 + chance(3);
    term t;

    for (size_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)(chance(3) == 0 ? chance(256) : i < 6 ? 7 : chance(2) * 255);
    t = heap_binary(&heap, bytes, n);
    if (n == 0 || chance(2) == 0)
        return t;
    n = chance((unsigned)n * 8 + 1);
    return bitstring_sub(&heap, t, n, chance((unsigned)(8 * bitstring_bits(t) / 8 - n) + 1));
}

static term some_atom(void)
{
    static const char *text[] = { "", "a", "ab", "abcdefg", "abcdefgh", "abcdefgi", "abcdefz",
                                  "\xc3\xa9", "user", "user_id", "z" };

    return atom_from_cstr(text[chance(ARRAY_LEN(text))]);
}

static term some_term(unsigned depth)
{
    term t = TERM_NIL, few[3];
    unsigned n = chance(4);

    switch (chance(depth > 0 ? 9 : 5)) {
    case 0: case 1: return some_number();
    case 2: return some_atom();
    case 3: return some_bits();
    case 4: return chance(2) ? TERM_NIL : pid_make(chance(3), chance(3));
    case 5: case 6:
        for (unsigned i = 0; i < n && i < 3; i++)
            few[i] = some_term(depth - 1);
        return heap_tuple(&heap, n < 3 ? n : 3, few);
    default:
        if (chance(4) == 0)
            t = some_term(depth - 1);
        for (n = chance(10); n > 0; n--)
            t = heap_cons(&heap, chance(6) == 0 ? some_term(depth - 1) : small_make(chance(4)), t);
        return t;
    }
}

static void words_follow_order(void **state)
{
    enum { N = 1200 };
    static term t[N];

    heap_bag_init(&heap);
    for (unsigned i = 0; i < N; i++)
        t[i] = some_term(2);
    for (unsigned i = 0; i < N; i++)
        for (unsigned j = 0; j < N; j++) {
            int c = term_cmp(t[i], t[j]);
            int64_t x = sort_word(t[i]), y = sort_word(t[j]);

            assert_true(c < 0 ? x <= y : c > 0 ? x >= y : x == y);
            assert_true(x > SORT_LEAST && x < SORT_NONE);
        }
    heap_fini(&heap);
}

/* They are worth their room only if they tell keys apart that programs use. */
static void words_tell_apart(void **state)
{
    const char *text[] = { "apple", "apricot", "b", "banana" };

    heap_bag_init(&heap);
    for (unsigned i = 0; i + 1 < ARRAY_LEN(text); i++) {
        assert_true(sort_word(atom_from_cstr(text[i])) < sort_word(atom_from_cstr(text[i + 1])));
        assert_true(sort_word(heap_cstr(&heap, text[i])) < sort_word(heap_cstr(&heap, text[i + 1])));
        assert_true(sort_word(heap_binary(&heap, text[i], strlen(text[i]))) <
                    sort_word(heap_binary(&heap, text[i + 1], strlen(text[i + 1]))));
    }
    for (int i = -1000; i < 1000; i++) {
        assert_true(sort_word(small_make(i)) < sort_word(small_make(i + 1)));
        assert_true(sort_word(heap_tuple2(&heap, small_make(i), ATOM_ok)) <
                    sort_word(heap_tuple2(&heap, small_make(i + 1), ATOM_ok)));
    }
    heap_fini(&heap);
}

/* Random keys put into one node, taken out and split, beside a plain sorted array. */
static term model[NODE_KEYS];

static unsigned model_below(unsigned n, term key, bool *ret_equal)
{
    unsigned i = 0;

    while (i < n && term_cmp(model[i], key) < 0)
        i++;
    *ret_equal = i < n && term_cmp(model[i], key) == 0;
    return i;
}

static void check_find(const struct sorted *s, term key)
{
    bool equal, expected;
    unsigned i = model_below(s->n, key, &expected);

    assert_int_equal(sorted_find(s, key, sort_word(key), &equal), i);
    assert_int_equal(equal, expected);
}

static term tagged(void)
{
    term tag = chance(8) == 0 ? some_term(1) : atom_from_cstr(chance(12) == 0 ? "ab" : "user");

    return chance(2) ? heap_tuple2(&heap, tag, some_term(0))
                     : heap_tuple3(&heap, tag, ATOM_ok, some_number());
}

static term alike(void)
{
    return heap_tuple2(&heap, atom_from_cstr("user"), chance(9) == 0 ? some_number() : some_bits());
}

/* 1 and 1.0 are equal, and yet not the same beginning. */
static term ones(void)
{
    return heap_tuple2(&heap, chance(2) ? small_make(1) : heap_float(&heap, 1.0), some_number());
}

static void node_of(term make(void))
{
    struct sorted s, right;
    bool equal;

    sorted_init(&s, 0);
    for (unsigned i = 0; i < 3000; i++) {
        term key = make();
        unsigned at = model_below(s.n, key, &equal);

        if (equal || (s.n > 0 && chance(3) == 0)) {
            at = chance(s.n);
            memmove(&model[at], &model[at + 1], (s.n - at - 1) * sizeof *model);
            sorted_cut(&s, at);
        } else if (s.n == NODE_KEYS) {
            unsigned keep = chance(NODE_KEYS + 1);

            sorted_split(&s, keep, &right);
            assert_int_equal(s.n, keep);
            assert_int_equal(right.n, NODE_KEYS - keep);
            for (unsigned k = 0; k < 20; k++)
                check_find(&s, make());
            memmove(model, &model[keep], right.n * sizeof *model);
            s = right;
        } else {
            memmove(&model[at + 1], &model[at], (s.n - at) * sizeof *model);
            model[at] = key;
            sorted_put(&s, at, key, &model[0]);
        }
        for (unsigned k = 0; k < s.n; k++)
            assert_true(s.at[k].key == model[k]);
        for (unsigned k = 0; k < s.n; k++)
            check_find(&s, model[k]);
        for (unsigned k = 0; k < 3; k++)
            check_find(&s, make());
    }
}

static term any(void) { return some_term(2); }

static void nodes(void **state)
{
    heap_bag_init(&heap);
    node_of(any);
    node_of(some_number);
    node_of(tagged);
    node_of(alike);
    node_of(ones);
    heap_fini(&heap);
}

/* Keys that begin alike are told apart by what follows. */
static void skips(void **state)
{
    struct sorted s;
    term user = atom_from_cstr("user");

    heap_bag_init(&heap);
    sorted_init(&s, 0);
    for (unsigned i = 0; i < 16; i++)
        sorted_put(&s, i, heap_tuple2(&heap, user, small_make(i)), NULL);
    assert_int_equal(s.skip, 1);
    for (unsigned i = 0; i < 16; i++)
        assert_int_equal(s.word[i], i);
    sorted_put(&s, 16, heap_tuple2(&heap, atom_from_cstr("z"), small_make(0)), NULL);
    assert_int_equal(s.skip, 0);
    sorted_cut(&s, 16);
    for (unsigned i = 16; i < 24; i++)
        sorted_put(&s, i, heap_tuple2(&heap, user, small_make(i)), NULL);
    assert_int_equal(s.skip, 1);
    heap_fini(&heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_follow_order), cmocka_unit_test(words_tell_apart),
        cmocka_unit_test(nodes), cmocka_unit_test(skips),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    literal_region_init();
    atom_table_init(0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
