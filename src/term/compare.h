/* SPDX-License-Identifier: Apache-2.0 */
/*
 * compare.h - term order, equality and the hashes
 *
 * Pure functions of their arguments; any thread that may read the terms. Deep terms do not
 * overflow the C stack: lists iterate, other nesting uses an explicit stack that grows.
 */
#ifndef TERM_COMPARE_H
#define TERM_COMPARE_H

#include "term/term.h"

int  term_cmp(term a, term b);          /* <0, 0, >0; numbers by value: 1 == 1.0 */
int  term_cmp_exact(term a, term b);    /* total order where 1 < 1.0 (map keys) */
bool term_eq_slow(term a, term b);      /* =:= of two words that differ and are not both immediate */
bool term_equal_slow(term a, term b);   /* == of two words that differ */

/* =:= */
ALWAYS_INLINE bool term_eq(term a, term b)
{
    return a == b || (is_ptr(a) && is_ptr(b) && term_eq_slow(a, b));
}

/* == */
ALWAYS_INLINE bool term_equal(term a, term b)
{
    return a == b || (!both_small(a, b) && term_equal_slow(a, b));
}

uint32_t term_phash2(term t);           /* the 32-bit H(t) of runtime-facts section 2 */
uint32_t term_phash(term t, uint32_t range);

/* Our own 64-bit hash for maps and tables: equal under =:= gives equal hashes. */
uint64_t term_hash(term t);

/* Internal order of the keys of flat maps and of collision nodes: immediates by their raw word,
 * before everything else; then the others by term_cmp_exact. 0 only for keys equal under =:=. */
int map_key_cmp(term a, term b);

#endif
