/* SPDX-License-Identifier: Apache-2.0 */
/*
 * map.c - flat maps and CHAMP tries
 *
 * A trie consumes the low 60 bits of term_hash, four at a level. Keys that agree in all of them
 * share a bucket at level 15: nodes of at most 15 pairs in the order of map_key_cmp, chained
 * through the one sub-node of each full one.
 *
 * Invariants, which make the shape a function of the set of keys:
 *   M1  A map of at most MAP_FLAT_MAX keys is flat, a larger one is a trie.
 *   M2  The keys of a flat map rise in map_key_cmp.
 *   M3  A subtree holds at least two pairs; a single one lives in its parent.
 *   M4  All nodes of a bucket but the last hold BUCKET_PAIRS pairs.
 */
#include "heap/map.h"

#include "base/alloc.h"
#include "base/errors.h"
#include "term/compare.h"

#define LEVELS       15     /* levels that have bits of the hash */
#define BUCKET_PAIRS 15
#define BUCKET_NEXT  (1u << BUCKET_PAIRS)   /* node-map bit of a full bucket node's successor */

#define nibble(hash, level) ((unsigned)((hash) >> (4 * (level))) & 15)
#define is_flat(map)        (header_kind(box_header(map)) == HK_MAP_FLAT)
#define flat_keys(map)      (box_ptr(map)[1])
#define flat_values(map)    (box_ptr(map) + 2)
#define FLAT_WORDS(n)       (2 + (n))

/* One node taken apart. Offsets are in words from the header. */
struct node {
    const term *p;
    uint32_t data, nodes;   /* bitmaps */
    unsigned kind, first;   /* first: offset of the first pair */
    unsigned npairs, nsubs;
};

static inline struct node node_open(term t)
{
    const term *p = box_ptr(t);
    unsigned kind = header_kind(p[0]);
    struct node n = { .p = p, .data = map_datamap(p[0]), .nodes = map_nodemap(p[0]), .kind = kind,
                      .first = kind == HK_MAP_ROOT ? 2 : 1 };

    n.npairs = (unsigned)__builtin_popcount(n.data);
    n.nsubs = (unsigned)__builtin_popcount(n.nodes);
    return n;
}

#define node_pair(n, i)    ((n)->first + 2 * (i))
#define node_sub(n, i)     ((n)->first + 2 * (n)->npairs + (i))
#define node_words(n)      ((n)->first + 2 * (n)->npairs + (n)->nsubs)
#define below(map, bit)    ((unsigned)__builtin_popcount((map) & ((bit) - 1)))

size_t map_size(term map)
{
    const term *p = box_ptr(map);

    return header_kind(p[0]) == HK_MAP_FLAT ? header_size(p[0]) - 1 : p[1];
}

/* --- flat maps ---------------------------------------------------------------------------- */

static term flat_make(term **at, term keys, size_t n)
{
    term *p = *at;

    p[0] = header_make(HK_MAP_FLAT, n + 1);
    p[1] = keys;
    *at = p + FLAT_WORDS(n);
    return box_term(p);
}

term map_empty(struct heap *h)
{
    term *at = heap_alloc(h, TUPLE_WORDS(0) + FLAT_WORDS(0));
    term keys = tuple_room(&at, 0);

    return flat_make(&at, keys, 0);
}

/* Index of key in a flat map, or -1. */
static int flat_find(term map, term key)
{
    term keys = flat_keys(map);
    const term *k = box_ptr(keys) + 1;
    int n = (int)tuple_arity(keys);

    if (!is_ptr(key)) {
        for (int i = 0; i < n; i++) {
            if (k[i] == key)
                return i;
        }
        return -1;
    }
    for (int i = n - 1; i >= 0 && is_ptr(k[i]); i--) {  /* the immediates come first */
        if (term_eq(k[i], key))
            return i;
    }
    return -1;
}

/* A map with the keys of map and value i replaced. */
static term flat_replace(struct heap *h, term map, int i, term value)
{
    size_t n = map_size(map);
    term *at = heap_alloc(h, FLAT_WORDS(n));
    term t = flat_make(&at, flat_keys(map), n);

    memcpy(flat_values(t), flat_values(map), n * sizeof(term));
    flat_values(t)[i] = value;
    return t;
}

/* A map of n pairs that rise in map_key_cmp. */
static term flat_from_sorted(struct heap *h, const term *pairs, size_t n)
{
    term *at = heap_alloc(h, TUPLE_WORDS(n) + FLAT_WORDS(n));
    term keys = tuple_room(&at, n);
    term t = flat_make(&at, keys, n);

    for (size_t i = 0; i < n; i++) {
        tuple_elem(keys, i) = pairs[2 * i];
        flat_values(t)[i] = pairs[2 * i + 1];
    }
    return t;
}

static void flat_to_pairs(term map, term *out)
{
    size_t n = map_size(map);
    term keys = flat_keys(map);

    for (size_t i = 0; i < n; i++) {
        out[2 * i] = tuple_elem(keys, i);
        out[2 * i + 1] = flat_values(map)[i];
    }
}

/* Insert an absent key into a map that has room for it. */
static term flat_insert(struct heap *h, term map, term key, term value)
{
    size_t n = map_size(map), i = 0;
    term keys = flat_keys(map);
    term *at = heap_alloc(h, TUPLE_WORDS(n + 1) + FLAT_WORDS(n + 1));
    term new_keys = tuple_room(&at, n + 1);
    term t = flat_make(&at, new_keys, n + 1);

    for (; i < n && map_key_cmp(tuple_elem(keys, i), key) < 0; i++) {
        tuple_elem(new_keys, i) = tuple_elem(keys, i);
        flat_values(t)[i] = flat_values(map)[i];
    }
    tuple_elem(new_keys, i) = key;
    flat_values(t)[i] = value;
    for (; i < n; i++) {
        tuple_elem(new_keys, i + 1) = tuple_elem(keys, i);
        flat_values(t)[i + 1] = flat_values(map)[i];
    }
    return t;
}

static term flat_remove(struct heap *h, term map, int gone)
{
    size_t n = map_size(map) - 1;
    term keys = flat_keys(map);
    term *at = heap_alloc(h, TUPLE_WORDS(n) + FLAT_WORDS(n));
    term new_keys = tuple_room(&at, n);
    term t = flat_make(&at, new_keys, n);

    for (size_t i = 0, from = 0; i < n; i++, from++) {
        if (from == (size_t)gone)
            from++;
        tuple_elem(new_keys, i) = tuple_elem(keys, from);
        flat_values(t)[i] = flat_values(map)[from];
    }
    return t;
}

/* --- building from many pairs --------------------------------------------------------------- */

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
        return;
    }
    for (size_t i = 0; i < n; i++)
        start[(a[i].order >> shift & 255) + 1]++;
    for (int b = 0; b < 256; b++) {
        start[b + 1] += start[b];
        at[b] = start[b];
    }
    for (size_t i = 0; i < n; i++)
        tmp[at[a[i].order >> shift & 255]++] = a[i];
    memcpy(a, tmp, n * sizeof *a);
    for (int b = 0; b < 256; b++) {
        if (start[b + 1] - start[b] > 1)
            items_sort(a + start[b], tmp + start[b], start[b + 1] - start[b], shift - 8);
    }
}

/* Keep the last pair of each key; items of one key have one order. Returns how many are left. */
static size_t items_unique(struct item *a, size_t n, const term *pairs)
{
    size_t out = 0, run = 0;    /* run: first kept item of the same order as the current one */

    for (size_t i = 0; i < n; i++) {
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
static void pairs_sort_internal(term *pairs, size_t n)
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
static term bucket_from_sorted(struct heap *h, const term *pairs, size_t n)
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
    pairs_sort_internal(own, n);
    t = bucket_from_sorted(h, own, n);
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

    pairs_sort_internal(pairs, n);
    for (size_t i = 0; i < n; i++) {
        if (out > 0 && term_eq(pairs[2 * out - 2], pairs[2 * i]))
            out--;      /* the sort is stable: the later pair comes later */
        pairs[2 * out] = pairs[2 * i];
        pairs[2 * out + 1] = pairs[2 * i + 1];
        out++;
    }
    return flat_from_sorted(h, pairs, out);
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
    for (size_t i = 0; i < n; i++)
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

/* --- lookup --------------------------------------------------------------------------------- */

static term bucket_get(term t, term key)
{
    for (;;) {
        struct node n = node_open(t);

        for (unsigned i = 0; i < n.npairs; i++) {
            if (term_eq(n.p[node_pair(&n, i)], key))
                return n.p[node_pair(&n, i) + 1];
        }
        if (n.nsubs == 0)
            return TERM_NONE;
        t = n.p[node_sub(&n, 0)];
    }
}

static term trie_get(term t, term key, uint64_t hash)
{
    for (unsigned level = 0; level < LEVELS; level++) {
        const term *p = box_ptr(t);
        uint32_t data = map_datamap(p[0]), nodes = map_nodemap(p[0]);
        uint32_t bit = 1u << nibble(hash, level);

        p += level == 0 ? 2 : 1;
        if (data & bit) {
            p += 2 * below(data, bit);
            return term_eq(p[0], key) ? p[1] : TERM_NONE;
        }
        if (!(nodes & bit))
            return TERM_NONE;
        t = p[2 * (unsigned)__builtin_popcount(data) + below(nodes, bit)];
    }
    return bucket_get(t, key);
}

term map_get(term map, term key)
{
    int i;

    if (!is_flat(map))
        return trie_get(map, key, term_hash(key));
    i = flat_find(map, key);
    return i < 0 ? TERM_NONE : flat_values(map)[i];
}

term map_get_hashed(term map, term key, uint64_t hash)
{
    return is_flat(map) ? map_get(map, key) : trie_get(map, key, hash);
}

/* --- insertion into tries ------------------------------------------------------------------- */

struct change {
    struct heap *h;
    term key, value;
    uint64_t hash;
    bool exact;         /* replace only */
    bool found;         /* key was there */
};

/* A copy of n with other bitmaps whose words are still to be filled, except a root's count. */
static term *node_room(struct heap *h, const struct node *n, uint32_t data, uint32_t nodes)
{
    size_t words = n->first + 2 * (size_t)__builtin_popcount(data) +
                   (size_t)__builtin_popcount(nodes);
    term *p = heap_alloc(h, words);

    p[0] = map_header(n->kind, data, nodes);
    if (n->kind == HK_MAP_ROOT)
        p[1] = n->p[1];
    return p;
}

/* A copy of n with one word changed. */
static term node_replace_word(struct heap *h, const struct node *n, unsigned at, term word)
{
    term *p = heap_alloc(h, node_words(n));

    memcpy(p, n->p, node_words(n) * sizeof(term));
    p[at] = word;
    return box_term(p);
}

static term node_insert_pair(struct heap *h, const struct node *n, uint32_t bit, term key,
                             term value)
{
    unsigned at = node_pair(n, below(n->data, bit));
    term *p = node_room(h, n, n->data | bit, n->nodes);

    memcpy(p + n->first, n->p + n->first, (at - n->first) * sizeof(term));
    p[at] = key;
    p[at + 1] = value;
    memcpy(p + at + 2, n->p + at, (node_words(n) - at) * sizeof(term));
    return box_term(p);
}

/* Pair `i`, at bit, gives way to a sub-node. */
static term node_pair_to_sub(struct heap *h, const struct node *n, uint32_t bit, unsigned i,
                             term sub)
{
    unsigned gone = node_pair(n, i), at = node_sub(n, below(n->nodes, bit));
    term *p = node_room(h, n, n->data & ~bit, n->nodes | bit), *out = p + n->first;

    memcpy(out, n->p + n->first, (gone - n->first) * sizeof(term));
    out += gone - n->first;
    memcpy(out, n->p + gone + 2, (at - gone - 2) * sizeof(term));
    out += at - gone - 2;
    *out++ = sub;
    memcpy(out, n->p + at, (node_words(n) - at) * sizeof(term));
    return box_term(p);
}

/* The sub-node at bit gives way to the pair that is all it has left. */
static term node_sub_to_pair(struct heap *h, const struct node *n, uint32_t bit, term key,
                             term value)
{
    unsigned gone = node_sub(n, below(n->nodes, bit)), at = node_pair(n, below(n->data, bit));
    term *p = node_room(h, n, n->data | bit, n->nodes & ~bit), *out = p + n->first;

    memcpy(out, n->p + n->first, (at - n->first) * sizeof(term));
    out += at - n->first;
    *out++ = key;
    *out++ = value;
    memcpy(out, n->p + at, (gone - at) * sizeof(term));
    out += gone - at;
    memcpy(out, n->p + gone + 1, (node_words(n) - gone - 1) * sizeof(term));
    return box_term(p);
}

static term node_remove_pair(struct heap *h, const struct node *n, uint32_t bit, unsigned i)
{
    unsigned gone = node_pair(n, i);
    term *p = node_room(h, n, n->data & ~bit, n->nodes);

    memcpy(p + n->first, n->p + n->first, (gone - n->first) * sizeof(term));
    memcpy(p + gone, n->p + gone + 2, (node_words(n) - gone - 2) * sizeof(term));
    return box_term(p);
}

/* The smallest subtree at level that holds two different keys. */
static term subtree_of_two(struct heap *h, const term *a, uint64_t ha, const term *b, uint64_t hb,
                           unsigned level)
{
    unsigned na, nb;
    bool swap;
    term *p;

    if (level == LEVELS) {
        term pairs[4] = { a[0], a[1], b[0], b[1] };

        pairs_sort_internal(pairs, 2);
        return bucket_from_sorted(h, pairs, 2);
    }
    na = nibble(ha, level);
    nb = nibble(hb, level);
    if (na == nb) {
        term sub = subtree_of_two(h, a, ha, b, hb, level + 1);

        p = heap_alloc(h, 2);
        p[0] = map_header(HK_MAP_NODE, 0, 1u << na);
        p[1] = sub;
        return box_term(p);
    }
    swap = na > nb;
    p = heap_alloc(h, 5);
    p[0] = map_header(HK_MAP_NODE, 1u << na | 1u << nb, 0);
    memcpy(p + 1, swap ? b : a, 2 * sizeof(term));
    memcpy(p + 3, swap ? a : b, 2 * sizeof(term));
    return box_term(p);
}

/* Pairs of a bucket into a new array with room for one more, which the caller frees. */
static term *bucket_pairs(term t, size_t *ret_n)
{
    size_t n = 0;
    term *out;

    for (term at = t;;) {
        struct node node = node_open(at);

        n += node.npairs;
        if (node.nsubs == 0)
            break;
        at = node.p[node_sub(&node, 0)];
    }
    out = MEM_NEW_ARRAY(term, 2 * (n + 1));
    *ret_n = 0;
    for (;;) {
        struct node node = node_open(t);

        memcpy(out + 2 * *ret_n, node.p + node.first, 2 * node.npairs * sizeof(term));
        *ret_n += node.npairs;
        if (node.nsubs == 0)
            return out;
        t = node.p[node_sub(&node, 0)];
    }
}

static term bucket_put(struct change *c, term t)
{
    size_t n, i = 0;
    term *pairs = bucket_pairs(t, &n);
    term result = t;

    while (i < n && !term_eq(pairs[2 * i], c->key))
        i++;
    c->found = i < n;
    if (i < n ? pairs[2 * i + 1] != c->value : !c->exact) {
        pairs[2 * i] = c->key;
        pairs[2 * i + 1] = c->value;
        n += i == n;
        pairs_sort_internal(pairs, n);
        result = bucket_from_sorted(c->h, pairs, n);
    }
    mem_free(pairs);
    return result;
}

/* The node with the change done; t itself when nothing changes. */
static term trie_put(struct change *c, term t, unsigned level)
{
    struct node n;
    uint32_t bit;

    if (level == LEVELS)
        return bucket_put(c, t);
    n = node_open(t);
    bit = 1u << nibble(c->hash, level);
    if (n.data & bit) {
        unsigned i = below(n.data, bit), at = node_pair(&n, i);
        term own[2] = { c->key, c->value };

        if (term_eq(n.p[at], c->key)) {
            c->found = true;
            return n.p[at + 1] == c->value ? t : node_replace_word(c->h, &n, at + 1, c->value);
        }
        if (c->exact)
            return t;
        return node_pair_to_sub(c->h, &n, bit, i,
                                subtree_of_two(c->h, n.p + at, term_hash(n.p[at]), own, c->hash,
                                               level + 1));
    }
    if (n.nodes & bit) {
        unsigned at = node_sub(&n, below(n.nodes, bit));
        term sub = trie_put(c, n.p[at], level + 1);

        return sub == n.p[at] ? t : node_replace_word(c->h, &n, at, sub);
    }
    return c->exact ? t : node_insert_pair(c->h, &n, bit, c->key, c->value);
}

/* A full flat map and one more key. */
static term flat_to_trie(struct heap *h, term map, term key, term value)
{
    term pairs[2 * (MAP_FLAT_MAX + 1)];
    size_t n = map_size(map);

    flat_to_pairs(map, pairs);
    pairs[2 * n] = key;
    pairs[2 * n + 1] = value;
    return map_from_pairs(h, pairs, n + 1);
}

static term flat_put(struct heap *h, term map, term key, term value, bool exact)
{
    int i = flat_find(map, key);

    if (i >= 0)
        return flat_values(map)[i] == value ? map : flat_replace(h, map, i, value);
    if (exact)
        return TERM_NONE;
    return map_size(map) < MAP_FLAT_MAX ? flat_insert(h, map, key, value)
                                        : flat_to_trie(h, map, key, value);
}

static term any_put(struct heap *h, term map, term key, term value, bool exact)
{
    struct change c = { .h = h, .key = key, .value = value, .exact = exact };
    term t;

    if (is_flat(map))
        return flat_put(h, map, key, value, exact);
    c.hash = term_hash(key);
    t = trie_put(&c, map, 0);
    if (exact && !c.found)
        return TERM_NONE;
    if (!c.found)
        box_ptr(t)[1]++;    /* a new root: nobody else has seen it */
    return t;
}

term map_put(struct heap *h, term map, term key, term value)
{
    return any_put(h, map, key, value, false);
}

term map_update(struct heap *h, term map, term key, term value)
{
    return any_put(h, map, key, value, true);
}

/* --- removal -------------------------------------------------------------------------------- */

static term bucket_remove(struct change *c, term t)
{
    size_t n, i = 0;
    term *pairs = bucket_pairs(t, &n);
    term result = t;

    while (i < n && !term_eq(pairs[2 * i], c->key))
        i++;
    if (i < n) {
        c->found = true;
        c->value = pairs[2 * i + 1];
        memmove(pairs + 2 * i, pairs + 2 * i + 2, 2 * (n - i - 1) * sizeof(term));
        result = bucket_from_sorted(c->h, pairs, n - 1);
    }
    mem_free(pairs);
    return result;
}

/* The node without c->key; t itself when it is absent. May break M3 for its own level, which the
 * caller repairs. */
static term trie_remove(struct change *c, term t, unsigned level)
{
    struct node n, below_n;
    uint32_t bit;
    unsigned at;
    term sub;

    if (level == LEVELS)
        return bucket_remove(c, t);
    n = node_open(t);
    bit = 1u << nibble(c->hash, level);
    if (n.data & bit) {
        at = node_pair(&n, below(n.data, bit));
        if (!term_eq(n.p[at], c->key))
            return t;
        c->found = true;
        c->value = n.p[at + 1];
        return node_remove_pair(c->h, &n, bit, below(n.data, bit));
    }
    if (!(n.nodes & bit))
        return t;
    at = node_sub(&n, below(n.nodes, bit));
    sub = trie_remove(c, n.p[at], level + 1);
    if (sub == n.p[at])
        return t;
    below_n = node_open(sub);
    if (below_n.nsubs == 0 && below_n.npairs == 1)      /* M3 */
        return node_sub_to_pair(c->h, &n, bit, below_n.p[1], below_n.p[2]);
    return node_replace_word(c->h, &n, at, sub);
}

term map_remove(struct heap *h, term map, term key, term *ret_old)
{
    struct change c = { .h = h, .key = key, .value = TERM_NONE };
    term t = map;

    if (is_flat(map)) {
        int i = flat_find(map, key);

        if (i >= 0) {
            c.value = flat_values(map)[i];
            t = flat_remove(h, map, i);
        }
    } else {
        c.hash = term_hash(key);
        t = trie_remove(&c, map, 0);
        if (c.found && --box_ptr(t)[1] <= MAP_FLAT_MAX) {   /* a new root; M1 */
            term pairs[2 * MAP_FLAT_MAX];

            map_pairs(t, pairs, false);
            pairs_sort_internal(pairs, MAP_FLAT_MAX);
            t = flat_from_sorted(h, pairs, MAP_FLAT_MAX);
        }
    }
    if (ret_old != NULL)
        *ret_old = c.value;
    return t;
}

/* --- several at once ------------------------------------------------------------------------ */

/* All keys are there: replace values in one copy. False when one is not (nothing is built). */
static bool flat_put_known(struct heap *h, term map, const term *pairs, size_t n, term *ret,
                           size_t *ret_absent)
{
    int found[MAP_FLAT_MAX];
    bool same = true;

    for (size_t i = 0; i < n; i++) {
        int at = flat_find(map, pairs[2 * i]);

        if (at < 0) {
            *ret_absent = i;
            return false;
        }
        found[i] = at;
        same &= flat_values(map)[at] == pairs[2 * i + 1];
    }
    *ret = map;
    if (!same) {
        *ret = flat_replace(h, map, found[0], pairs[1]);
        for (size_t i = 1; i < n; i++)
            flat_values(*ret)[found[i]] = pairs[2 * i + 1];
    }
    return true;
}

term map_put_many(struct heap *h, term map, const term *pairs, size_t n, bool exact,
                  term *ret_bad_key)
{
    term all[4 * MAP_FLAT_MAX], t = map;
    size_t size, absent;

    if (is_flat(map) && n > 0 && n <= MAP_FLAT_MAX) {
        if (flat_put_known(h, map, pairs, n, &t, &absent))
            return t;
        if (exact) {
            *ret_bad_key = pairs[2 * absent];
            return TERM_NONE;
        }
        size = map_size(map);
        if (n > 1) {
            flat_to_pairs(map, all);
            memcpy(all + 2 * size, pairs, 2 * n * sizeof(term));
            return map_from_pairs(h, all, size + n);
        }
    }
    for (size_t i = 0; i < n; i++) {
        t = any_put(h, t, pairs[2 * i], pairs[2 * i + 1], exact);
        if (t == TERM_NONE) {
            *ret_bad_key = pairs[2 * i];
            return TERM_NONE;
        }
    }
    return t;
}

/* Put every pair of `from` into `into`; existing keys win when keep is set. */
static term merge_into(struct heap *h, term into, term from, bool keep)
{
    struct map_iter it;
    term key, value;

    map_iter_init(&it, from);
    while (map_iter_next(&it, &key, &value)) {
        if (!keep || map_get(into, key) == TERM_NONE)
            into = map_put(h, into, key, value);
    }
    return into;
}

term map_merge(struct heap *h, term a, term b)
{
    size_t na = map_size(a), nb = map_size(b);
    term *pairs, t;

    if (na == 0 || (is_flat(a) && is_flat(b) && flat_keys(a) == flat_keys(b)))
        return b;
    if (nb <= na / 8)
        return merge_into(h, a, b, false);
    if (na <= nb / 8)
        return merge_into(h, b, a, true);
    pairs = mem_alloc(2 * (na + nb) * sizeof(term));
    map_pairs(a, pairs, false);
    map_pairs(b, pairs + 2 * na, false);
    t = map_from_pairs(h, pairs, na + nb);
    mem_free(pairs);
    return t;
}

/* --- walking -------------------------------------------------------------------------------- */

void map_iter_init(struct map_iter *it, term map)
{
    it->map = map;
    it->index = 0;
    it->depth = 0;
    if (!is_flat(map)) {
        it->stack[0][0] = map;
        it->stack[0][1] = 0;
        it->depth = 1;
    }
}

bool map_iter_next(struct map_iter *it, term *ret_key, term *ret_value)
{
    if (is_flat(it->map)) {
        term keys = flat_keys(it->map);

        if (it->index >= tuple_arity(keys))
            return false;
        *ret_key = tuple_elem(keys, it->index);
        *ret_value = flat_values(it->map)[it->index++];
        return true;
    }
    while (it->depth > 0) {
        term *top = it->stack[it->depth - 1];
        struct node n = node_open(top[0]);
        unsigned i = (unsigned)top[1]++;

        if (i < n.npairs) {
            *ret_key = n.p[node_pair(&n, i)];
            *ret_value = n.p[node_pair(&n, i) + 1];
            return true;
        }
        i -= n.npairs;
        /* The last child takes its parent's place, so long buckets need no depth. */
        if (i + 1 >= n.nsubs)
            it->depth--;
        if (i < n.nsubs) {
            ASSERT((size_t)it->depth < ARRAY_LEN(it->stack));
            it->stack[it->depth][0] = n.p[node_sub(&n, i)];
            it->stack[it->depth++][1] = 0;
        }
    }
    return false;
}

/* Bottom-up merge sort of n pairs by term_cmp_exact of the keys. */
static void pairs_sort(term *pairs, size_t n)
{
    term (*from)[2] = (term (*)[2])(void *)pairs, (*to)[2], (*tmp)[2];

    if (n < 2)
        return;
    tmp = to = mem_alloc(n * sizeof *tmp);
    for (size_t width = 1; width < n; width *= 2) {
        for (size_t lo = 0; lo < n; lo += 2 * width) {
            size_t mid = lo + width < n ? lo + width : n, hi = mid + width < n ? mid + width : n;
            size_t i = lo, j = mid;

            for (size_t k = lo; k < hi; k++) {
                bool left = i < mid && (j >= hi || term_cmp_exact(from[i][0], from[j][0]) <= 0);

                memcpy(to[k], left ? from[i++] : from[j++], sizeof *to);
            }
        }
        term (*swap)[2] = from;
        from = to;
        to = swap;
    }
    if (from == tmp)
        memcpy(pairs, from, n * sizeof *from);
    mem_free(tmp);
}

void map_pairs(term map, term *out, bool sorted)
{
    struct map_iter it;
    size_t n = 0;
    term key, value;

    map_iter_init(&it, map);
    while (map_iter_next(&it, &key, &value)) {
        out[2 * n] = key;
        out[2 * n++ + 1] = value;
    }
    if (sorted)
        pairs_sort(out, n);
}

/* --- stepping -------------------------------------------------------------------------------- *
 * A path is the place of the next pair: depth in bits 0..3, index among the words of the node there
 * (pairs, then sub-nodes) in bits 4..8, and from bit 9 on the sub-node taken at each level above.
 * It has room for PATH_DEPTH_MAX levels; a step that would end deeper goes on until it is out again,
 * so it may give more than it was asked for, as a bucket does that it has begun.
 */
#define PATH_DEPTH_MAX 12

struct walk {
    term nodes[LEVELS + 1];
    uint8_t subs[LEVELS + 1];   /* which sub-node of nodes[i] the walk is in */
    unsigned depth, index;
};

static bool walk_open(struct walk *w, term map, uint64_t path)
{
    struct node n;

    w->depth = path & 15;
    w->index = path >> 4 & 31;
    w->nodes[0] = map;
    if (w->depth > PATH_DEPTH_MAX)
        return false;
    for (unsigned d = 0; d < w->depth; d++) {
        n = node_open(w->nodes[d]);
        w->subs[d] = path >> (9 + 4 * d) & 15;
        if (w->subs[d] >= n.nsubs)
            return false;
        w->nodes[d + 1] = n.p[node_sub(&n, w->subs[d])];
    }
    n = node_open(w->nodes[w->depth]);
    return w->index <= n.npairs + n.nsubs;
}

static int64_t walk_path(const struct walk *w)
{
    uint64_t path = w->depth | w->index << 4;

    for (unsigned d = 0; d < w->depth; d++)
        path |= (uint64_t)w->subs[d] << (9 + 4 * d);
    return (int64_t)path;
}

/* Move from a node with no pairs left: down, along a bucket, or up. False: the walk is over. */
static bool walk_turn(struct walk *w, const struct node *n)
{
    unsigned sub = w->index - n->npairs;

    if (sub < n->nsubs) {
        if (w->depth < LEVELS) {
            w->subs[w->depth] = (uint8_t)sub;
            w->depth++;
        }
        w->nodes[w->depth] = n->p[node_sub(n, sub)];
        w->index = 0;
        return true;
    }
    if (w->depth == 0)
        return false;
    w->depth--;
    w->index = node_open(w->nodes[w->depth]).npairs + w->subs[w->depth] + 1;
    return true;
}

int64_t map_step(term map, int64_t path, size_t max, term **ret_pairs, size_t *ret_n)
{
    struct walk w;
    size_t n = 0;
    bool more = true;
    term *out;

    if (is_flat(map)) {
        *ret_n = path == MAP_PATH_START ? map_size(map) : 0;
        *ret_pairs = MEM_NEW_ARRAY(term, 2 * *ret_n);
        if (path == MAP_PATH_START)
            map_pairs(map, *ret_pairs, true);
        return MAP_PATH_END;
    }
    if (path < 0 || !walk_open(&w, map, (uint64_t)path))
        return -ERR_ARGUMENT;
    out = mem_alloc(2 * max * sizeof(term));
    while (more) {
        struct node node = node_open(w.nodes[w.depth]);

        for (; w.index < node.npairs && n < max; w.index++, n++)
            memcpy(out + 2 * n, node.p + node_pair(&node, w.index), 2 * sizeof(term));
        if (w.index >= node.npairs) {
            more = walk_turn(&w, &node);
        } else if (w.depth <= PATH_DEPTH_MAX) {
            break;
        } else {
            max += BUCKET_PAIRS;
            out = mem_realloc(out, 2 * max * sizeof(term));
        }
    }
    *ret_pairs = out;
    *ret_n = n;
    return more ? walk_path(&w) : MAP_PATH_END;
}
