/* SPDX-License-Identifier: Apache-2.0 */
/*
 * map_iter.c - walking maps: at once, sorted, or in steps that may lie far apart
 */
#include "heap/map_priv.h"

#include "base/alloc.h"
#include "base/errors.h"
#include "base/fiber.h"
#include "term/compare.h"

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
        struct map_node n = node_open(top[0]);
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
            fiber_tick((int64_t)(hi - lo));
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
        out[2 * n + 1] = value;
        n = (size_t)fiber_step((int64_t)n);
    }
    if (sorted)
        pairs_sort(out, n);
}

/* --- stepping -------------------------------------------------------------------------------- *
 * A path is the place of the next pair: depth in bits 0..3, index among the words of the node there
 * (pairs, then sub-nodes) in bits 4..8, and from bit 9 on the sub-node taken at each level above.
 * It has room for PATH_DEPTH_MAX levels; a step that would end deeper goes on until it is out
 * again, so it may give more than it was asked for, as a bucket does that it has begun.
 */
#define PATH_DEPTH_MAX 12

struct walk {
    term nodes[LEVELS + 1];
    uint8_t subs[LEVELS + 1];   /* which sub-node of nodes[i] the walk is in */
    unsigned depth, index;
};

static bool walk_open(struct walk *w, term map, uint64_t path)
{
    struct map_node n;

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
static bool walk_turn(struct walk *w, const struct map_node *n)
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
        struct map_node node = node_open(w.nodes[w.depth]);

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
