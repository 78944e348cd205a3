/* SPDX-License-Identifier: Apache-2.0 */
/*
 * t_sortkey.c - stored keys against the order of terms
 *
 * Random terms made of values that are near each other, and the terms of order.terms: bytes must
 * compare as term_cmp does, be equal exactly when the terms are, and never begin one another.
 */
#include "../chance.h"

#include "base/errors.h"
#include "heap/arith.h"
#include "heap/map.h"
#include "table/sortkey.h"
#include "term/atom.h"
#include "term/compare.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#define TERMS 1500

static struct heap heap;

static term number_make(void)
{
    static const double doubles[] = { 0.0, 1.0, -1.0, 0.5, 1.5, 255.0, 256.0, 1e15, 1e16, 1e17,
                                      9007199254740993.0, 1e100, -1e100, 1e-300, 5e-324, -5e-324,
                                      1.7976931348623157e308, -2.5, 1152921504606846976.0 };
    term n, error;

    switch (chance(4)) {
    case 0:
        return heap_float(&heap, doubles[chance(ARRAY_LEN(doubles))]);
    case 1:     /* near powers of two, of both signs */
        n = arith_bsl(&heap, small_make(1), small_make(chance(140)), &error);
        n = arith_add(&heap, n, small_make((int64_t)chance(3) - 1), &error);
        return chance(2) ? n : arith_sub(&heap, small_make(0), n, &error);
    case 2:
        return heap_int(&heap, (int64_t)(seed >> chance(64)) * (chance(2) ? 1 : -1));
    default:
        return small_make((int64_t)chance(5) - 2);
    }
}

static term text_make(void)
{
    static const uint8_t bytes[] = { 0, 0, 255, 255, 1, 'a' };
    uint8_t text[4];
    size_t n = chance(5);

    for (size_t i = 0; i < n; i++)
        text[i] = bytes[chance(sizeof bytes)];
    return heap_binary(&heap, text, n);
}

static term term_make(unsigned depth)
{
    static const char *const atoms[] = { "", "a", "ab", "b", "true", "\303\251" };
    unsigned what = chance(depth == 0 ? 4 : 8);
    term a, b;

    if (what < 2)
        return number_make();
    if (what == 2)
        return text_make();
    if (what == 3)
        return chance(4) ? atom_from_cstr(atoms[chance(ARRAY_LEN(atoms))]) : TERM_NIL;
    a = term_make(depth - 1);
    b = term_make(depth - 1);
    switch (what) {
    case 4:
        return heap_cons(&heap, a, b);
    case 5:
        return heap_tuple(&heap, 1, &a);
    case 6: {
        term pair[2] = { a, b };

        return map_from_pairs(&heap, pair, 1);
    }
    default:
        return heap_tuple2(&heap, a, b);
    }
}

struct made { term t; uint8_t order[SORTKEY_MAX], exact[SORTKEY_MAX]; size_t order_len, exact_len; };

static struct made made[TERMS];

static int bytes_cmp(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
    int c = memcmp(a, b, a_len < b_len ? a_len : b_len);

    return c != 0 ? c : a_len < b_len ? -1 : a_len > b_len;
}

static int sign(int c)
{
    return c < 0 ? -1 : c > 0;
}

static bool begins(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
    return a_len < b_len && memcmp(a, b, a_len) == 0;
}

static void bytes_have_the_order_of_terms(void **state)
{
    for (size_t i = 0; i < TERMS; i++) {
        struct made *m = &made[i];

        m->t = term_make(3);
        assert_int_equal(sortkey_make(m->t, false, m->order, &m->order_len), 0);
        assert_int_equal(sortkey_make(m->t, true, m->exact, &m->exact_len), 0);
    }
    for (size_t i = 0; i < TERMS; i++) {
        for (size_t j = 0; j < TERMS; j++) {
            const struct made *a = &made[i], *b = &made[j];
            int order = bytes_cmp(a->order, a->order_len, b->order, b->order_len);
            int exact = bytes_cmp(a->exact, a->exact_len, b->exact, b->exact_len);

            assert_int_equal(sign(order), sign(term_cmp(a->t, b->t)));
            assert_int_equal(exact == 0, term_eq(a->t, b->t));
            assert_false(begins(a->order, a->order_len, b->order, b->order_len));
            assert_false(begins(a->exact, a->exact_len, b->exact, b->exact_len));
        }
    }
}

static void limits(void **state)
{
    uint8_t out[SORTKEY_MAX], text[SORTKEY_MAX + 10];
    size_t len;
    term list = TERM_NIL, port = imm_make(IMM_PORT, 7);

    memset(text, 'x', sizeof text);
    assert_int_equal(sortkey_make(heap_binary(&heap, text, SORTKEY_MAX - 4), true, out, &len), 0);
    assert_int_equal(sortkey_make(heap_binary(&heap, text, SORTKEY_MAX), true, out, &len),
                     -ERR_LIMIT);
    for (int i = 0; i < 100000; i++)
        list = heap_cons(&heap, list, TERM_NIL);
    assert_int_equal(sortkey_make(list, true, out, &len), -ERR_LIMIT);
    assert_int_equal(sortkey_make(heap_tuple2(&heap, port, port), true, out, &len), -ERR_ARGUMENT);
    assert_true(term_is_storable(list));
    assert_false(term_is_storable(heap_tuple2(&heap, list, port)));
    assert_true(term_is_storable(heap_tuple2(&heap, list, made[0].t)));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_have_the_order_of_terms), cmocka_unit_test(limits),
    };

    int rc;

    cmocka_set_message_output(CM_OUTPUT_TAP);
    atom_table_init(0);
    heap_bag_init(&heap);
    rc = cmocka_run_group_tests(tests, NULL, NULL);
    heap_fini(&heap);
    return rc;
}
