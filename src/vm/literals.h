/* SPDX-License-Identifier: Apache-2.0 */
/*
 * literals.h - giving back areas of literals that processes may still refer to
 *
 * Code that was purged and persistent terms that were erased leave literals that any process may
 * hold. All areas that wait go together this way:
 *
 *   1  Their ranges are published. Each scheduler notes them at its loop head; from then on its copies
 *      take such terms along. When all have (a grace period of base/epoch.h),
 *   2  every process is sent SIG_LITERALS. It looks through its heap; if it finds a reference it
 *      collects, and the collection copies what it refers to.
 *   3  The last answer frees the areas, after another grace period.
 *
 * Whatever keeps terms outside of process heaps for longer than a turn copies literals too
 * (term_copy_whole): timers, tags of monitors, rows of tables, reasons of processes that exit.
 * Costs: a look through each heap each time; nothing where nobody frees.
 */
#ifndef VM_LITERALS_H
#define VM_LITERALS_H

#include "heap/literal_purge.h"
#include "vm/process.h"

/* Free area once nobody refers to it; takes it. No table or code leads to it any more. Any thread
 * inside an epoch. */
void literals_retire(struct literal_area area);

/* At the loop head of a scheduler, after its quiescent state, and where a thread borrows one: note on
 * this thread what is going now. */
struct literals_going;
extern struct literals_going *_Atomic literals_going;   /* [any] NULL: nothing */
void literals_note(const struct literals_going *g);     /* NULL: nothing */
ALWAYS_INLINE void literals_note_going(void)
{
    /* acquire: pairs with the release in literals.c; the ranges are there */
    const struct literals_going *g = atomic_load_explicit(&literals_going, memory_order_acquire);

    if (UNLIKELY(g != NULL || literal_purge_noted != NULL))
        literals_note(g);
}

/* Owner of p: SIG_LITERALS has come. */
void literals_check(struct process *p);
/* Make p, whose live registers are in sched->x, refer to nothing that goes: process_collect's part.
 * At least need words are free afterwards, as they were before. */
MAY_GC void literals_let_go(struct process *p, size_t need, unsigned live);
/* A process that owed this has done it, or is gone: it holds no reference. */
void literals_answered(void);

#endif
