/* SPDX-License-Identifier: Apache-2.0 */
/*
 * map_trie.c - looking up, putting and removing one key of a trie
 */
#include "heap/map_priv.h"

#include "base/alloc.h"
#include "term/compare.h"

/* --- lookup --------------------------------------------------------------------------------- */

static term bucket_get(term t, term key)
{
    for (;;) {
        struct map_node n = node_open(t);

        for (unsigned i = 0; i < n.npairs; i++) {
            if (term_eq(n.p[node_pair(&n, i)], key))
                return n.p[node_pair(&n, i) + 1];
        }
        if (n.nsubs == 0)
            return TERM_NONE;
        t = n.p[node_sub(&n, 0)];
    }
}

term map_trie_get(term t, term key, uint64_t hash)
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

/* --- insertion into tries ------------------------------------------------------------------- */

/* A copy of n with other bitmaps whose words are still to be filled, except a root's count. */
static term *node_room(struct heap *h, const struct map_node *n, uint32_t data, uint32_t nodes)
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
static term node_replace_word(struct heap *h, const struct map_node *n, unsigned at, term word)
{
    term *p = heap_alloc(h, node_words(n));

    memcpy(p, n->p, node_words(n) * sizeof(term));
    p[at] = word;
    return box_term(p);
}

static term node_insert_pair(struct heap *h, const struct map_node *n, uint32_t bit, term key,
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
static term node_pair_to_sub(struct heap *h, const struct map_node *n, uint32_t bit, unsigned i,
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
static term node_sub_to_pair(struct heap *h, const struct map_node *n, uint32_t bit, term key,
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

static term node_remove_pair(struct heap *h, const struct map_node *n, uint32_t bit, unsigned i)
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

        map_pairs_order(pairs, 2);
        return map_bucket_make(h, pairs, 2);
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
        struct map_node node = node_open(at);

        n += node.npairs;
        if (node.nsubs == 0)
            break;
        at = node.p[node_sub(&node, 0)];
    }
    out = MEM_NEW_ARRAY(term, 2 * (n + 1));
    *ret_n = 0;
    for (;;) {
        struct map_node node = node_open(t);

        memcpy(out + 2 * *ret_n, node.p + node.first, 2 * node.npairs * sizeof(term));
        *ret_n += node.npairs;
        if (node.nsubs == 0)
            return out;
        t = node.p[node_sub(&node, 0)];
    }
}

static term bucket_put(struct map_change *c, term t)
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
        map_pairs_order(pairs, n);
        result = map_bucket_make(c->h, pairs, n);
    }
    mem_free(pairs);
    return result;
}

/* The node with the change done; t itself when nothing changes. */
term map_trie_put(struct map_change *c, term t, unsigned level)
{
    struct map_node n;
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
        term sub = map_trie_put(c, n.p[at], level + 1);

        return sub == n.p[at] ? t : node_replace_word(c->h, &n, at, sub);
    }
    return c->exact ? t : node_insert_pair(c->h, &n, bit, c->key, c->value);
}

/* --- removal -------------------------------------------------------------------------------- */

static term bucket_remove(struct map_change *c, term t)
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
        result = map_bucket_make(c->h, pairs, n - 1);
    }
    mem_free(pairs);
    return result;
}

/* The node without c->key; t itself when it is absent. May break M3 for its own level, which the
 * caller repairs. */
term map_trie_remove(struct map_change *c, term t, unsigned level)
{
    struct map_node n, below_n;
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
    sub = map_trie_remove(c, n.p[at], level + 1);
    if (sub == n.p[at])
        return t;
    below_n = node_open(sub);
    if (below_n.nsubs == 0 && below_n.npairs == 1)      /* M3 */
        return node_sub_to_pair(c->h, &n, bit, below_n.p[1], below_n.p[2]);
    return node_replace_word(c->h, &n, at, sub);
}
