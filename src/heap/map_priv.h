/* SPDX-License-Identifier: Apache-2.0 */
/*
 * map_priv.h - the parts of a map, for the files that make and take them apart
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
#ifndef HEAP_MAP_PRIV_H
#define HEAP_MAP_PRIV_H

#include "heap/map.h"

#define LEVELS       15     /* levels that have bits of the hash */
#define BUCKET_PAIRS 15
#define BUCKET_NEXT  (1u << BUCKET_PAIRS)   /* node-map bit of a full bucket node's successor */

#define nibble(hash, level) ((unsigned)((hash) >> (4 * (level))) & 15)
#define is_flat(map)        (header_kind(box_header(map)) == HK_MAP_FLAT)
#define flat_keys(map)      (box_ptr(map)[1])
#define flat_values(map)    (box_ptr(map) + 2)
#define FLAT_WORDS(n)       (2 + (n))

/* One node taken apart. Offsets are in words from the header. */
struct map_node {
    const term *p;
    uint32_t data, nodes;   /* bitmaps */
    unsigned kind, first;   /* first: offset of the first pair */
    unsigned npairs, nsubs;
};

static inline struct map_node node_open(term t)
{
    const term *p = box_ptr(t);
    unsigned kind = header_kind(p[0]);
    struct map_node n = { .p = p, .data = map_datamap(p[0]), .nodes = map_nodemap(p[0]),
                          .kind = kind, .first = kind == HK_MAP_ROOT ? 2 : 1 };

    n.npairs = (unsigned)__builtin_popcount(n.data);
    n.nsubs = (unsigned)__builtin_popcount(n.nodes);
    return n;
}

#define node_pair(n, i)    ((n)->first + 2 * (i))
#define node_sub(n, i)     ((n)->first + 2 * (n)->npairs + (i))
#define node_words(n)      ((n)->first + 2 * (n)->npairs + (n)->nsubs)
#define below(map, bit)    ((unsigned)__builtin_popcount((map) & ((bit) - 1)))

/* map_build.c: pairs sorted by map_key_cmp, stable; callers have few. */
void map_pairs_order(term *pairs, size_t n);
/* A bucket of n >= 2 pairs that rise in map_key_cmp (M4). */
term map_bucket_make(struct heap *h, const term *pairs, size_t n);

/* map.c: a flat map of n pairs that rise in map_key_cmp. */
term map_flat_from_sorted(struct heap *h, const term *pairs, size_t n);

/* map_trie.c: one change to a trie, and what came of it. */
struct map_change {
    struct heap *h;
    term key, value;    /* removal: value is what was there, or TERM_NONE */
    uint64_t hash;
    bool exact;         /* replace only */
    bool found;         /* key was there */
};

term map_trie_get(term t, term key, uint64_t hash);
/* The node of level `level` with the change done; t itself when nothing changes. */
term map_trie_put(struct map_change *c, term t, unsigned level);
/* The node without c->key; t itself when it is absent. May break M3 for its own level, which the
 * caller repairs. */
term map_trie_remove(struct map_change *c, term t, unsigned level);

#endif
