/* SPDX-License-Identifier: Apache-2.0 */
/*
 * map.h - maps: flat up to 32 keys, CHAMP above; the representation is canonical by size
 *
 * Nothing here collects; results are built with heap_alloc.
 *
 * Order: maps of up to 32 keys are walked in the order of their keys, as in OTP. Above that the
 * order is ours, that of our hash. OTP's differs from release to release, and is no part of the
 * language; to follow one release's would bind our hash and the shape of the trie to it. So
 * maps:to_list, iterators and what is printed (Elixir's inspect too) may show another order.
 */
#ifndef HEAP_MAP_H
#define HEAP_MAP_H

#include "heap/heap.h"

#define MAP_FLAT_MAX 32

size_t map_size(term map);
term map_empty(struct heap *h);
/* Value of key, or TERM_NONE. */
term map_get(term map, term key);
term map_get_hashed(term map, term key, uint64_t hash);     /* hash = term_hash(key) */
/* Insert or replace. Returns map itself when nothing changes. */
term map_put(struct heap *h, term map, term key, term value);
/* Replace only: TERM_NONE when key is absent. */
term map_update(struct heap *h, term map, term key, term value);
/* The value removed, TERM_NONE if absent, goes to *ret_old, which may be NULL. */
term map_remove(struct heap *h, term map, term key, term *ret_old);
/* From n key, value pairs in any order; the last of equal keys wins. */
term map_from_pairs(struct heap *h, const term *pairs, size_t n);
/* n key, value pairs at once, left to right. exact: TERM_NONE and *ret_bad_key if one is absent. */
term map_put_many(struct heap *h, term map, const term *pairs, size_t n, bool exact,
                  term *ret_bad_key);
term map_merge(struct heap *h, term a, term b);             /* b wins */

/* Walk in internal order. The iterator holds pointers into the map: no collection meanwhile. */
struct map_iter { term stack[20][2]; int depth; term map; size_t index; };
void map_iter_init(struct map_iter *it, term map);
bool map_iter_next(struct map_iter *it, term *ret_key, term *ret_value);
/* Walk in steps that may lie far apart: pairs from `path` on (MAP_PATH_START first), at least max
 * of them unless the map ends before, into a new array that the caller frees with mem_free. Returns
 * the path to go on with, which fits a small, or MAP_PATH_END; -ERR_ARGUMENT, without an array, for
 * a path that this map cannot have given. Flat maps are walked whole and sorted by term_cmp_exact. */
#define MAP_PATH_START 0
#define MAP_PATH_END   INT64_MAX
int64_t map_step(term map, int64_t path, size_t max, term **ret_pairs, size_t *ret_n);
/* All pairs into out[0..2*size), sorted by term_cmp_exact of the keys when sorted. */
void map_pairs(term map, term *out, bool sorted);

#endif
