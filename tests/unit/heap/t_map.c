/* SPDX-License-Identifier: Apache-2.0 */
/*
 * t_map.c - random operations on maps against a plain array, with hashes good and bad
 *
 * The files are included with their hash replaced, so that long shared prefixes and full collisions occur.
 * After each round the map must have the very shape that map_from_pairs gives for its contents.
 */
#include "../chance.h"

#include "term/compare.h"

static unsigned hash_mode;  /* 0: the real one, 1: two bits, 2: all equal, 3: differ at level 14 */

static uint64_t test_hash(term t)
{
    uint64_t h = term_hash(t);

    switch (hash_mode) {
    case 1: return h & 3;
    case 2: return 0x123456789ABCDEF0u;
    case 3: return h << 56;
    default: return h;
    }
}
#define term_hash test_hash
#include "../../../src/heap/map_build.c"
#include "../../../src/heap/map_iter.c"
#include "../../../src/heap/map_trie.c"
#include "../../../src/heap/map.c"
#undef term_hash

#include "heap/arith.h"
#include "term/atom.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <cmocka.h>

#define KEYS 400

static struct heap heap;
static term keys[KEYS], model[KEYS];

/* Equal keys must be found by value: each use makes a new term. */
static term key_make(unsigned i)
{
    char text[24];

    switch (i % 7) {
    case 0: return small_make((int64_t)i - 200);
    case 1: snprintf(text, sizeof text, "k%u", i); return atom_from_cstr(text);
    case 2: return heap_float(&heap, i);
    case 3: return heap_tuple2(&heap, small_make(i), ATOM_ok);
    case 4: return heap_uint(&heap, UINT64_MAX - i);
    case 5: return heap_binary(&heap, "0123456789012345678901234567890123456789", i % 40);
    default: return heap_cons(&heap, small_make(i), TERM_NIL);
    }
}

static void keys_make(void)
{
    for (unsigned i = 0; i < KEYS; i++) {
        bool is_new = true;

        keys[i] = key_make(i);
        for (unsigned j = 0; j < i && is_new; j++)
            is_new = !term_eq(keys[i], keys[j]);
        if (!is_new)
            keys[i] = small_make(1000000 + i);
        model[i] = TERM_NONE;
    }
}

static term fresh_key(unsigned i)
{
    return heap_copy(&heap, keys[i]);
}

static unsigned model_size(void)
{
    unsigned n = 0;

    for (unsigned i = 0; i < KEYS; i++)
        n += model[i] != TERM_NONE;
    return n;
}

/* Same words, keys and values compared by value. */
static bool same_shape(term a, term b)
{
    const term *p = box_ptr(a), *q = box_ptr(b);
    unsigned kind = header_kind(p[0]);

    if (p[0] != q[0])
        return false;
    if (kind == HK_MAP_FLAT) {
        if (!term_eq(p[1], q[1]))
            return false;
        for (size_t i = 2; i < 1 + header_size(p[0]); i++)
            if (!term_eq(p[i], q[i]))
                return false;
        return true;
    }
    struct map_node n = node_open(a), m = node_open(b);

    if (kind == HK_MAP_ROOT && p[1] != q[1])
        return false;
    for (unsigned i = node_pair(&n, 0); i < node_sub(&n, 0); i++)
        if (!term_eq(n.p[i], m.p[i]))
            return false;
    for (unsigned i = 0; i < n.nsubs; i++)
        if (!same_shape(n.p[node_sub(&n, i)], m.p[node_sub(&m, i)]))
            return false;
    return true;
}

static void check_contents(term map)
{
    term pairs[2 * KEYS], k, v, *step;
    struct map_iter it;
    size_t n = 0, seen = 0, got;

    assert_int_equal(map_size(map), model_size());
    assert_int_equal(is_flat(map), map_size(map) <= MAP_FLAT_MAX);
    for (unsigned i = 0; i < KEYS; i++) {
        assert_int_equal(map_get(map, fresh_key(i)), model[i]);
        if (model[i] != TERM_NONE) {
            pairs[2 * n] = keys[i];
            pairs[2 * n++ + 1] = model[i];
        }
    }
    assert_true(same_shape(map, map_from_pairs(&heap, pairs, n)));
    map_iter_init(&it, map);
    for (seen = 0; map_iter_next(&it, &k, &v); seen++)
        assert_int_equal(map_get(map, k), v);
    assert_int_equal(seen, n);
    map_pairs(map, pairs, true);
    for (size_t i = 1; i < n; i++)
        assert_true(term_cmp_exact(pairs[2 * i - 2], pairs[2 * i]) < 0);
    seen = 0;
    for (int64_t path = MAP_PATH_START; path != MAP_PATH_END; seen += got) {
        path = map_step(map, path, 1 + chance(40), &step, &got);
        assert_true(path >= 0);
        for (size_t i = 0; i < got; i++)
            assert_int_equal(map_get(map, step[2 * i]), step[2 * i + 1]);
        mem_free(step);
    }
    assert_int_equal(seen, n);
}

static term random_step(term map, unsigned bias)
{
    unsigned i = chance(KEYS), what = chance(10);
    term v = small_make(chance(5)), old;

    if (what < bias) {
        model[i] = v;
        return map_put(&heap, map, fresh_key(i), v);
    }
    if (what == 9) {
        term t = map_update(&heap, map, fresh_key(i), v);

        assert_int_equal(t == TERM_NONE, model[i] == TERM_NONE);
        if (t == TERM_NONE)
            return map;
        model[i] = v;
        return t;
    }
    map = map_remove(&heap, map, fresh_key(i), &old);
    assert_int_equal(old, model[i]);
    model[i] = TERM_NONE;
    return map;
}

static void operations(void **state)
{
    for (hash_mode = 0; hash_mode < 4; hash_mode++) {
        term map;

        heap_bag_init(&heap);
        keys_make();
        map = map_empty(&heap);
        for (unsigned round = 0; round < 40; round++) {
            unsigned bias = round % 8 < 4 ? 7 : 2;

            for (unsigned i = 0; i < 150; i++)
                map = random_step(map, bias);
            check_contents(map);
        }
        heap_fini(&heap);
    }
    hash_mode = 0;
}

static void several_at_once(void **state)
{
    for (unsigned round = 0; round < 300; round++) {
        term map, bad, pairs[2 * 60];
        unsigned n = 1 + chance(60), base = chance(2) ? 10 : 60;
        bool absent = false;

        hash_mode = round % 4;
        heap_bag_init(&heap);
        keys_make();
        map = map_empty(&heap);
        for (unsigned i = 0; i < base; i++) {
            model[i] = small_make(i);
            map = map_put(&heap, map, fresh_key(i), model[i]);
        }
        for (unsigned i = 0; i < n; i++) {
            unsigned k = chance(base + (round % 3));

            pairs[2 * i] = fresh_key(k);
            pairs[2 * i + 1] = small_make(1000 + i);
            absent |= model[k] == TERM_NONE;
            if (model[k] != TERM_NONE || round % 2 == 0)
                model[k] = pairs[2 * i + 1];
        }
        if (round % 2 == 0) {
            check_contents(map_put_many(&heap, map, pairs, n, false, &bad));
        } else {
            term t = map_put_many(&heap, map, pairs, n, true, &bad);

            assert_int_equal(t == TERM_NONE, absent);
            if (!absent)
                check_contents(t);
            else
                assert_int_equal(map_get(map, bad), TERM_NONE);
        }
        heap_fini(&heap);
    }
    hash_mode = 0;
}

static void merges(void **state)
{
    static const unsigned sizes[] = { 0, 1, 5, 32, 33, 200 };

    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        for (size_t j = 0; j < ARRAY_LEN(sizes); j++) {
            term a, b;

            heap_bag_init(&heap);
            keys_make();
            a = map_empty(&heap);
            b = map_empty(&heap);
            for (unsigned k = 0; k < sizes[i]; k++) {
                unsigned at = chance(KEYS);

                model[at] = small_make(1);
                a = map_put(&heap, a, keys[at], small_make(1));
            }
            for (unsigned k = 0; k < sizes[j]; k++) {
                unsigned at = chance(KEYS);

                model[at] = small_make(2);
                b = map_put(&heap, b, keys[at], small_make(2));
            }
            check_contents(map_merge(&heap, a, b));
            heap_fini(&heap);
        }
    }
}

/* Updating a known key copies values only; putting the same value copies nothing. */
static void sharing(void **state)
{
    term map, other;

    heap_bag_init(&heap);
    map = map_put(&heap, map_empty(&heap), ATOM_ok, small_make(1));
    map = map_put(&heap, map, ATOM_error, small_make(2));
    other = map_put(&heap, map, ATOM_ok, small_make(3));
    assert_int_equal(flat_keys(map), flat_keys(other));
    assert_int_equal(map_get(map, ATOM_ok), small_make(1));
    assert_int_equal(map_put(&heap, map, ATOM_ok, small_make(1)), map);
    assert_int_equal(map_update(&heap, map, ATOM_undefined, small_make(1)), TERM_NONE);
    
    heap_fini(&heap);
}

static void large(void **state)
{
    enum { N = 200000 };
    term *pairs = MEM_NEW_ARRAY(term, 2 * N), map, grown, *step;
    size_t n;

    heap_bag_init(&heap);
    grown = map_empty(&heap);
    for (size_t i = 0; i < N; i++) {
        pairs[2 * i] = small_make(i * 7919);
        pairs[2 * i + 1] = small_make(i);
        grown = map_put(&heap, grown, pairs[2 * i], pairs[2 * i + 1]);
    }
    map = map_from_pairs(&heap, pairs, N);
    assert_int_equal(map_size(map), N);
    assert_true(same_shape(map, grown));
    for (size_t i = 0; i < N; i += 11)
        assert_int_equal(map_get(map, pairs[2 * i]), pairs[2 * i + 1]);
    assert_int_equal(map_get(map, small_make(1)), TERM_NONE);
    assert_true(map_step(map, SMALL_MAX, 10, &step, &n) < 0);
    mem_free(pairs);
    heap_fini(&heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operations), cmocka_unit_test(several_at_once), cmocka_unit_test(merges),
        cmocka_unit_test(sharing), cmocka_unit_test(large),
    };

    atom_table_init(0);
    literal_region_init();
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
