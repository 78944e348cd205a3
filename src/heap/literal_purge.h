/* SPDX-License-Identifier: Apache-2.0 */
/*
 * literal_purge.h - what copying, collecting and looking for literals know of areas that go
 *
 * Copies keep literals by reference. From the moment a thread knows that areas are going
 * (literal_purge_noted), its copies take their terms along like any others, so no new references
 * come up. Who is left is found by heap_refers and helped by collections with GC_PURGE_LITERALS.
 * The protocol around it is vm/literals.h.
 */
#ifndef HEAP_LITERAL_PURGE_H
#define HEAP_LITERAL_PURGE_H

#include "heap/gc.h"

struct literal_range { uintptr_t lo, hi; };
struct literal_ranges {
    struct literal_range hull;      /* from the first to the last */
    size_t n;
    const struct literal_range *r;  /* rising */
};

/* [own] what the thread's copies do not keep by reference; NULL: nothing. Changed only where the
 * thread is in the middle of no copy: sizes and copies must agree. */
extern _Thread_local const struct literal_ranges *literal_purge_noted;

bool literal_in_ranges_slow(uintptr_t at, const struct literal_ranges *rs);

/* Does the pointer t lie in one of rs (NULL: none)? */
ALWAYS_INLINE bool literal_in_ranges(term t, const struct literal_ranges *rs)
{
    uintptr_t at = (uintptr_t)t;

    return UNLIKELY(rs != NULL) && at - rs->hull.lo < rs->hull.hi - rs->hull.lo &&
           literal_in_ranges_slow(at, rs);
}

/* Does any root in spans, the stack, or any term of h refer into rs? Owner of h. */
bool heap_refers(const struct heap *h, const struct gc_span *spans, size_t nspans,
                 const struct literal_ranges *rs);
/* Does any of the words that f holds? */
bool frag_refers(const struct frag *f, const struct literal_ranges *rs);

/* Bytes of all literal areas in use. */
size_t literal_bytes_in_use(void);

#endif
