/* SPDX-License-Identifier: Apache-2.0 */
/*
 * map_walk.c - reading the pairs of a map from its raw words
 */
#include "term/map_walk.h"

#include "base/alloc.h"
#include "term/compare.h"
#include "term/stack.h"

static void unpack_trie(term map, term *keys, term *values)
{
    struct term_stack todo;

    stack_init(&todo);
    stack_push(&todo, map);
    while (todo.len > 0) {
        const term *p = box_ptr(stack_pop(&todo));
        int pairs = __builtin_popcount(map_datamap(p[0]));
        int subs = __builtin_popcount(map_nodemap(p[0]));

        p += header_kind(p[0]) == HK_MAP_ROOT ? 2 : 1;
        for (; pairs > 0; pairs--, p += 2) {
            *keys++ = p[0];
            *values++ = p[1];
        }
        while (subs-- > 0)
            stack_push(&todo, p[subs]);
    }
    stack_fini(&todo);
}

void map_unpack(term map, term *keys, term *values)
{
    const term *p = box_ptr(map);
    size_t n = map_count(map);

    if (header_kind(p[0]) != HK_MAP_FLAT) {
        unpack_trie(map, keys, values);
        return;
    }
    memcpy(keys, box_ptr(p[1]) + 1, n * sizeof(term));
    memcpy(values, p + 2, n * sizeof(term));
}

struct pair { term key, value; };

/* Merge sort, so that a run that is sorted already (the boxed keys of a flat map) costs one
 * comparison a key and its keys are never compared crosswise. */
static void sort_pairs(struct pair *a, struct pair *scratch, size_t n)
{
    size_t half = n / 2, i = 0, j = half, k = 0;

    if (n < 2)
        return;
    sort_pairs(a, scratch, half);
    sort_pairs(a + half, scratch, n - half);
    if (term_cmp_exact(a[half - 1].key, a[half].key) < 0)
        return;
    while (i < half && j < n)
        scratch[k++] = term_cmp_exact(a[i].key, a[j].key) < 0 ? a[i++] : a[j++];
    while (i < half)
        scratch[k++] = a[i++];
    /* What is left of the second half is in place. */
    memcpy(a, scratch, k * sizeof *a);
}

void map_unpack_sorted(term map, term *keys, term *values)
{
    size_t n = map_count(map);
    struct pair few[2 * 32], *pairs = n <= 32 ? few : mem_array(2 * n, sizeof *pairs);

    map_unpack(map, keys, values);
    for (size_t i = 0; i < n; i++)
        pairs[i] = (struct pair){ keys[i], values[i] };
    sort_pairs(pairs, pairs + n, n);
    for (size_t i = 0; i < n; i++) {
        keys[i] = pairs[i].key;
        values[i] = pairs[i].value;
    }
    if (pairs != few)
        mem_free(pairs);
}
