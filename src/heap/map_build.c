/* SPDX-License-Identifier: Apache-2.0 */
/*
 * map_build.c - maps from many pairs at once: sorted by the reversed hash, each node made once
 */
#include "heap/map_priv.h"

#include "base/alloc.h"
#include "base/fiber.h"
#include "term/compare.h"

struct item {
    uint64_t order;         /* nibbles of the hash reversed: sorting by it groups by trie level */
    uint32_t index;         /* of the pair; later pairs win */
    uint32_t unused;
};

/* The low nibble of the hash, which decides at level 0, becomes the highest. */
static uint64_t nibbles_reversed(uint64_t hash)
{
    uint64_t v = __builtin_bswap64(hash);

    v = (v & 0x0F0F0F0F0F0F0F0Full) << 4 | (v >> 4 & 0x0F0F0F0F0F0F0F0Full);
    return v & ~(uint64_t)15;   /* 60 bits take part */
}

#define item_nibble(it, level) ((unsigned)((it)->order >> (60 - 4 * (level))) & 15)

static void items_insertion_sort(struct item *a, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        struct item x = a[i];
        size_t j = i;

        for (; j > 0 && a[j - 1].order > x.order; j--)
            a[j] = a[j - 1];
        a[j] = x;
    }
}

/* Stable sort by order, from the byte at `shift` down. tmp has room for n. */
static void items_sort(struct item *a, struct item *tmp, size_t n, int shift)
{
    size_t start[257] = { 0 }, at[256];

    if (n <= 48 || shift < 0) {
        items_insertion_sort(a, n);
        fiber_tick((int64_t)n);
        return;
    }
    for (size_t i = 0; i < n; i = (size_t)fiber_step((int64_t)i))
        start[(a[i].order >> shift & 255) + 1]++;
    for (int b = 0; b < 256; b++) {
        start[b + 1] += start[b];
        at[b] = start[b];
    }
    for (size_t i = 0; i < n; i = (size_t)fiber_step((int64_t)i))
        tmp[at[a[i].order >> shift & 255]++] = a[i];
    fiber_copy(a, tmp, n * sizeof *a);
    for (int b = 0; b < 256; b++) {
        if (start[b + 1] - start[b] > 1)
            items_sort(a + start[b], tmp + start[b], start[b + 1] - start[b], shift - 8);
    }
}

/* Keep the last pair of each key; items of one key have one order. Returns how many are left. */
static size_t items_unique(struct item *a, size_t n, const term *pairs)
{
    size_t out = 0, run = 0;    /* run: first kept item of the same order as the current one */

    for (size_t i = 0; i < n; i = (size_t)fiber_step((int64_t)i)) {
        size_t j;

        if (out == 0 || a[out - 1].order != a[i].order)
            run = out;
        for (j = run; j < out; j++) {
            if (term_eq(pairs[2 * (size_t)a[j].index], pairs[2 * (size_t)a[i].index]))
                break;
        }
        a[j] = a[i];
        if (j == out)
            out++;
    }
    return out;
}

/* Insertion sort of pairs by key; callers have few, or few that are out of place. */
void map_pairs_order(term *pairs, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        term key = pairs[2 * i], value = pairs[2 * i + 1];
        size_t j = i;

        for (; j > 0 && map_key_cmp(pairs[2 * j - 2], key) > 0; j--) {
            pairs[2 * j] = pairs[2 * j - 2];
            pairs[2 * j + 1] = pairs[2 * j - 1];
        }
        pairs[2 * j] = key;
        pairs[2 * j + 1] = value;
    }
}

/* A bucket of n >= 2 pairs that rise in map_key_cmp (M4). */
term map_bucket_make(struct heap *h, const term *pairs, size_t n)
{
    size_t last = (n - 1) / BUCKET_PAIRS * BUCKET_PAIRS;
    term next = TERM_NONE;

    for (size_t from = last;; from -= BUCKET_PAIRS) {
        size_t k = from == last ? n - last : BUCKET_PAIRS;
        term *p = heap_alloc(h, 1 + 2 * k + (next != TERM_NONE));

        p[0] = map_header(HK_MAP_NODE, ((uint32_t)1 << k) - 1, next != TERM_NONE ? BUCKET_NEXT : 0);
        memcpy(p + 1, pairs + 2 * from, 2 * k * sizeof(term));
        if (next != TERM_NONE)
            p[1 + 2 * k] = next;
        next = box_term(p);
        if (from == 0)
            return next;
    }
}

static term bucket_from_items(struct heap *h, const struct item *a, size_t n, const term *pairs)
{
    term *own = MEM_NEW_ARRAY(term, 2 * n);
    term t;

    for (size_t i = 0; i < n; i++) {
        own[2 * i] = pairs[2 * (size_t)a[i].index];
        own[2 * i + 1] = pairs[2 * (size_t)a[i].index + 1];
    }
    map_pairs_order(own, n);
    t = map_bucket_make(h, own, n);
    mem_free(own);
    return t;
}

/* The trie of n sorted, unique items at this level. Children first, so nothing is built twice. */
static term trie_build(struct heap *h, const struct item *a, size_t n, const term *pairs,
                       unsigned level)
{
    uint32_t data = 0, nodes = 0;
    term subs[16];
    uint32_t singles[16];
    unsigned nsubs = 0, nsingles = 0;
    size_t at = level == 0 ? 2 : 1;
    term *p;

    if (level == LEVELS)
        return bucket_from_items(h, a, n, pairs);
    for (size_t i = 0, j; i < n; i = j) {
        unsigned b = item_nibble(&a[i], level);

        for (j = i + 1; j < n && item_nibble(&a[j], level) == b;)
            j++;
        if (j - i == 1) {
            data |= 1u << b;
            singles[nsingles++] = a[i].index;
        } else {
            nodes |= 1u << b;
            subs[nsubs++] = trie_build(h, a + i, j - i, pairs, level + 1);
        }
    }
    fiber_tick(nsingles + 1);
    p = heap_alloc(h, at + 2 * nsingles + nsubs);
    p[0] = map_header(level == 0 ? HK_MAP_ROOT : HK_MAP_NODE, data, nodes);
    if (level == 0)
        p[1] = n;
    for (unsigned i = 0; i < nsingles; i++, at += 2)
        memcpy(p + at, pairs + 2 * (size_t)singles[i], 2 * sizeof(term));
    memcpy(p + at, subs, nsubs * sizeof(term));
    return box_term(p);
}

/* Few pairs: sort by key, keep the last of equal ones. pairs is scratch of the caller. */
static term flat_from_pairs(struct heap *h, term *pairs, size_t n)
{
    size_t out = 0;

    map_pairs_order(pairs, n);
    for (size_t i = 0; i < n; i++) {
        if (out > 0 && term_eq(pairs[2 * out - 2], pairs[2 * i]))
            out--;      /* the sort is stable: the later pair comes later */
        pairs[2 * out] = pairs[2 * i];
        pairs[2 * out + 1] = pairs[2 * i + 1];
        out++;
    }
    return map_flat_from_sorted(h, pairs, out);
}

term map_from_pairs(struct heap *h, const term *pairs, size_t n)
{
    term few[2 * MAP_FLAT_MAX], t;
    struct item *items;
    size_t unique;

    if (n <= MAP_FLAT_MAX) {
        memcpy(few, pairs, 2 * n * sizeof(term));
        return flat_from_pairs(h, few, n);
    }
    ASSERT(n <= UINT32_MAX);
    items = mem_alloc(2 * n * sizeof *items);
    for (size_t i = 0; i < n; i = (size_t)fiber_step((int64_t)i))
        items[i] = (struct item){ nibbles_reversed(term_hash(pairs[2 * i])), (uint32_t)i, 0 };
    items_sort(items, items + n, n, 56);
    unique = items_unique(items, n, pairs);
    if (unique <= MAP_FLAT_MAX) {
        for (size_t i = 0; i < unique; i++)
            memcpy(few + 2 * i, pairs + 2 * (size_t)items[i].index, 2 * sizeof(term));
        t = flat_from_pairs(h, few, unique);
    } else {
        t = trie_build(h, items, unique, pairs, 0);
    }
    mem_free(items);
    return t;
}
