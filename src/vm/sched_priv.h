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

/* What a scheduler's thread does (sched_lend.c about the last two).
 *
 *   state     allowed successors             set by
 *   AWAKE     ASLEEP                         its thread
 *   ASLEEP    AWAKE, LENT                    AWAKE: who wakes it, or its thread; LENT: who borrows
 *   LENT      ASLEEP, WANTED                 ASLEEP: the borrower; WANTED: its thread, which waits
 *   WANTED    ASLEEP                         the borrower, who then wakes the thread
 */
enum sleep_state { SLEEP_AWAKE, SLEEP_ASLEEP, SLEEP_LENT, SLEEP_WANTED };

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
    _Alignas(CACHE_LINE) _Atomic uint32_t asleep;       /* [any] futex: enum sleep_state */
    _Atomic int64_t wakes_at_ns;    /* [any] when its thread wakes by itself; INT64_MAX: never */
    _Alignas(CACHE_LINE) struct process *run_next;      /* [own] */
    uint32_t run_next_row;          /* [own] taken in a row */
    uint32_t normals;               /* [own] normal processes run since the last low one */
    uint32_t ticks;                 /* [own] turns since the clock was read */
    uint32_t now_cs;                /* [own] when it was read last */
    uint64_t slice_left;            /* [own] reductions at the start of the current run */
    struct wheel *wheel;            /* [set] */
    pthread_t thread;
    uint32_t slots_n;               /* [own] free slots of the process table */
    uint32_t slots[SLOT_CACHE];     /* [own] */
    /* counters: [own] writes, [any] reads */
    _Atomic uint64_t reductions, switches, spawned, exited, stolen;
    _Atomic uint64_t collections[2], reclaimed_words[2];    /* young, full */
    _Atomic uint64_t gc_ns, timers_ns;
    _Atomic uint64_t search_ns;     /* part of idle_ns: not asleep */
    _Atomic uint64_t idle_ns;       /* searching for work in vain, or asleep */
    _Atomic int64_t idle_since_ns;  /* 0: not idle now */
    /* One process in 64 that becomes ready is timed, unless another scheduler takes it. */
    uint32_t readied;               /* [own] */
    const struct process *timed;    /* [own] compared, never followed */
    int64_t timed_ns;               /* [own] */
};

/* Parts of the loop, for sched_lend.c; s is that of the calling thread. */
bool sched_wake(struct sched_priv *priv);       /* false: it is not asleep */
bool sched_any_work(void);                      /* on any queue, or the end of the node */
void sched_put_own(struct sched *s, struct process *p);
void sched_put_foreign(struct process *p);      /* on some queue, from no scheduler's thread */
void sched_run(struct sched *s, struct process *p);
bool world_try_enter(void);                     /* false: the world is stopped, or will be */
void world_leave(void);
/* No scheduler's thread: keep p until sched_release, if that was asked for and none is kept yet. */
bool sched_keep(struct process *p);

/* Add to a counter that only this scheduler writes. */
ALWAYS_INLINE void counter_add(_Atomic uint64_t *c, uint64_t n)
{
    atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

#endif
