/* SPDX-License-Identifier: Apache-2.0 */
/*
 * short.h - is this call of a long built-in a short one?
 *
 * The tests that rows BIF_LONG name (tables.tab): arguments for which the function surely takes no
 * more than some dozen microseconds, so that no fiber is needed. They look at a bounded part of the
 * arguments, and say no when in doubt.
 */
#ifndef BIF_SHORT_H
#define BIF_SHORT_H

#include "heap/map.h"
#include "term/term.h"

#define SHORT_NODES 40      /* cells, tuples, elements */
#define SHORT_BYTES 8192
#define SHORT_PAIRS 256

/* t has fewer than *nodes parts, no large map and no large binary; *nodes falls. */
static inline bool is_short(term t, int *nodes)
{
    for (; is_cons(t); t = cdr(t)) {
        if (--*nodes < 0 || (is_ptr(car(t)) && !is_short(car(t), nodes)))
            return false;
    }
    if (!is_box(t))
        return true;
    if (is_bitstring(t))
        return bitstring_bits(t) <= 8 * SHORT_BYTES;
    if (is_map(t) || is_fun(t))
        return false;
    if (!is_tuple(t))
        return true;
    for (size_t i = 0; i < tuple_arity(t); i++) {
        if (--*nodes < 0 || (is_ptr(tuple_elem(t, i)) && !is_short(tuple_elem(t, i), nodes)))
            return false;
    }
    return true;
}

static inline bool short_term(const term *a)
{
    int nodes = SHORT_NODES;

    return !is_ptr(a[0]) || is_short(a[0], &nodes);
}

/* The first two arguments, or only the second. */
static inline bool short_terms(const term *a)
{
    return short_term(a) && short_term(a + 1);
}

static inline bool short_second(const term *a)
{
    return short_term(a + 1);
}

/* Bytes that may stand for more than they are: packed a thousand times, none of that here. */
static inline bool short_packed(const term *a)
{
    return !is_bitstring(a[0]) || bitstring_bits(a[0]) <= SHORT_BYTES / 8 * 8;
}

static inline bool short_map(const term *a)
{
    return !is_map(a[0]) || map_size(a[0]) <= SHORT_PAIRS;
}

static inline bool short_maps(const term *a)
{
    return short_map(a) && short_map(a + 1);
}

/* A list of few cells, whatever they hold. */
static inline bool short_list(const term *a)
{
    term t = a[0];

    for (int n = 0; is_cons(t) && n < SHORT_PAIRS; n++)
        t = cdr(t);
    return !is_cons(t);
}

#endif
