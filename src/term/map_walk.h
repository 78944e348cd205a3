/* SPDX-License-Identifier: Apache-2.0 */
/*
 * map_walk.h - reading the pairs of a map from its raw words
 *
 * For order, hashes and text, which live below the room that makes maps. The layout is that of
 * HK_MAP_FLAT, HK_MAP_ROOT and HK_MAP_NODE in term.h.
 */
#ifndef TERM_MAP_WALK_H
#define TERM_MAP_WALK_H

#include "term/term.h"

ALWAYS_INLINE size_t map_count(term map)
{
    const term *p = box_ptr(map);

    return header_kind(p[0]) == HK_MAP_FLAT ? header_size(p[0]) - 1 : (size_t)p[1];
}

/* All keys into keys[0..count), their values into values[0..count), in internal order. */
void map_unpack(term map, term *keys, term *values);
/* The same, sorted by term_cmp_exact of the keys. */
void map_unpack_sorted(term map, term *keys, term *values);

#endif
