/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sched_priv.h - the inside of a scheduler
 */
#ifndef VM_SCHED_PRIV_H
#define VM_SCHED_PRIV_H

#include "base/spin.h"
#include "vm/sched.h"

#include <pthread.h>

#define RING_SLOTS 256
#define SLOT_CACHE 256

/* Runnable processes of one priority. The owner puts at the tail; the owner and thieves take at
 * the head. What does not fit, and what other threads put, waits in the overflow; while that is
 * not empty everything goes there, so the order stays first in, first out. */
struct runq {
    _Alignas(CACHE_LINE) _Atomic uint32_t head;     /* [any] compare-and-swap */
    _Alignas(CACHE_LINE) _Atomic uint32_t tail;     /* [own] writes, [any] reads */
    struct process *_Atomic slot[RING_SLOTS];       /* [own] writes, [any] reads */
    _Alignas(CACHE_LINE) struct spin lock;
    _Atomic uint32_t overflow_n;                    /* [lk] writes, [any] reads */
    struct process *first, *last;                   /* [lk] linked by rq_next */
};

struct sched_priv {
    struct runq q[PRIO_COUNT];
    _Alignas(CACHE_LINE) _Atomic uint32_t prio_mask;    /* [any] priorities that may have work */
    _Alignas(CACHE_LINE) _Atomic uint32_t asleep;       /* [any] futex: 1 while it sleeps */
    _Alignas(CACHE_LINE) struct process *run_next;      /* [own] */
    uint32_t run_next_row;          /* [own] taken in a row */
    const struct literals_going *literals_noted;    /* [own] see literals.h */
    uint32_t normals;               /* [own] normal processes run since the last low one */
    uint32_t ticks;                 /* [own] turns since the clock was read */
    uint64_t slice_left;            /* [own] reductions at the start of the current run */
    struct wheel *wheel;            /* [set] */
    pthread_t thread;
    uint32_t slots_n;               /* [own] free slots of the process table */
    uint32_t slots[SLOT_CACHE];     /* [own] */
    /* counters: [own] writes, [any] reads */
    _Atomic uint64_t reductions, switches, spawned, exited, stolen, collections, reclaimed_words;
    _Atomic uint64_t idle_ns;       /* searching for work in vain, or asleep */
    _Atomic int64_t idle_since_ns;  /* 0: not idle now */
    /* One process in 64 that becomes ready is timed, unless another scheduler takes it. */
    uint32_t readied;               /* [own] */
    const struct process *timed;    /* [own] compared, never followed */
    int64_t timed_ns;               /* [own] */
};

/* Add to a counter that only this scheduler writes. */
ALWAYS_INLINE void counter_add(_Atomic uint64_t *c, uint64_t n)
{
    atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

#endif
