/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gc.h - the copying collector of one process heap
 *
 * Called by whoever owns the heap. Roots: the spans handed in, and the stack words E+1 .. hi-1.
 * Every pointer met must be a literal, an export fun, or lie in the heap's block, old generation or
 * fragments: messages still in transit are no roots.
 * E[0] of the running frame is never looked at: it may hold a stale return address. Raw return
 * addresses are 8-aligned and look like smalls; catch words are immediates.
 */
#ifndef HEAP_GC_H
#define HEAP_GC_H

#include "heap/heap.h"

struct gc_span { term *at; size_t n; };

enum gc_flags {
    GC_FULL = 1,            /* everything into one new young block */
    GC_HIBERNATE = 2,       /* full, and shrink to the exact size */
    GC_PURGE_LITERALS = 4,  /* full, and copy terms out of purge_lo..purge_hi */
};

struct gc_request {
    const struct gc_span *spans;
    size_t   nspans;
    size_t   need_words;    /* room wanted between H and E afterwards */
    unsigned flags;
    uintptr_t purge_lo, purge_hi;
    size_t   max_words;     /* 0: none; when the live data is above it, ret_over is set */
    bool     ret_over;
    bool     ret_full;      /* it was, or became, a full one */
    uint64_t ret_copied_words, ret_reclaimed_words;
};

#define HEAP_FIRST_WORDS    56      /* first block of a process */
#define HEAP_MIN_WORDS      233     /* what the first collection moves to */

/* Give h its first block; E = hi - 1, fullsweep_after = 65535. h was zeroed (heap_bag_init). */
void heap_block_init(struct heap *h, size_t words);
/* Afterwards at least need_words + 2 words are free between H and E, fragments are gone and
 * collect_soon is false. Changes req->flags. */
void gc_collect(struct heap *h, struct gc_request *req);

#endif
