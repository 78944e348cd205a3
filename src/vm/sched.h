/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sched.h - the threads that run processes
 *
 * One scheduler thread per core, each with run queues of four priorities, a slot for the process
 * made ready by the running one (run_next), a wheel of timers, and an epoch.
 */
#ifndef VM_SCHED_H
#define VM_SCHED_H

#include "vm/process.h"

struct vm_options {
    unsigned schedulers;        /* 0: one per CPU */
    unsigned job_threads;       /* 0: 10 */
    uint32_t reductions;        /* of a slice; 0: 4000 */
    uint32_t processes_max;     /* 0: 1,048,576 */
};

/* Start the threads; after atom_table_init, literal_region_init, engine_init and all
 * bif_register. Once. */
void vm_start(const struct vm_options *opt);
/* Stop the threads when each has reached its loop head, and wait for them. Not from a scheduler. */
void vm_stop(void);

unsigned sched_count(void);
uint32_t sched_reductions(void);
/* Monotonic time in hundredths of a second, which wraps: differences count. On a scheduler it may be
 * a few dozen turns old. Any thread. */
uint32_t sched_now_cs(void);
struct sched *sched_get(unsigned index);
struct wheel *sched_wheel(unsigned index);

/* Put p, RUNNABLE and on no queue, on a run queue. Any thread inside an epoch. */
void sched_enqueue(struct process *p);
/* The same for a new process: it goes behind those that are ready. */
void sched_enqueue_new(struct process *p);
/* For a thread that is no scheduler and expects to make one process ready, by what it heard from
 * outside: from hold on it keeps the first such process, and release runs it on this very thread, in
 * the name of a scheduler that sleeps, or puts it on a queue. Both inside one epoch_enter; release is
 * called with nothing locked, and does nothing without a hold. */
void sched_hold(void);
void sched_release(void);
bool sched_may_lend(void);      /* does a scheduler sleep? A hint */
/* Make scheduler index look at its timers and queues again. Any thread. */
void sched_poke(unsigned index);

/* --- stopping the world --------------------------------------------------------------------------
 * Between world_stop and world_resume no scheduler is inside a process, other than the caller's
 * own. May be called from a built-in (its scheduler counts as stopped) or from any other thread.
 * Waits up to a slice of every scheduler. */
void world_stop(void);
void world_resume(void);

/* --- counters, summed over schedulers; not exact while they run ------------------------------------ */

struct sched_totals {
    uint64_t reductions, switches, spawned, exited, stolen, run_queue;
    uint64_t collections[2], reclaimed_words[2];        /* young, full */
    uint64_t gc_ns, timers_ns, search_ns;               /* the last is part of sched_idle_ns */
};
void sched_totals(struct sched_totals *ret);
uint32_t sched_run_queue_length(unsigned index);
/* The same of one priority (enum process_priority), over all schedulers. */
uint32_t sched_ready(unsigned priority);
/* How often scheduler index has come to its loop head; a sleeping one does not. Any thread. */
uint64_t sched_turns(unsigned index, bool *ret_asleep);
/* Time that scheduler index has spent asleep or looking for work in vain. Any thread; a look while
 * it wakes may count the last sleep twice. */
uint64_t sched_idle_ns(unsigned index);

/* A reference whose scheduler part is `index`: it says on which wheel its timer is. */
term make_timer_ref(unsigned index);

#endif
