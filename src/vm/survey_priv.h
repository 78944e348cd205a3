/* SPDX-License-Identifier: Apache-2.0 */
/*
 * survey_priv.h - what schedulers do for survey.c
 */
#ifndef VM_SURVEY_PRIV_H
#define VM_SURVEY_PRIV_H

#include "vm/mailbox_priv.h"
#include "vm/process_priv.h"
#include "vm/survey.h"

/* Of a group of the process table.
 *   COLD   nothing has happened since it was read last
 *   WARM   it was hot at the last look: what a scheduler had not quite written then is read now
 *   HOT    something has happened
 * Whoever changes something sets HOT after it, unless it is; a look goes one step down, then reads. */
enum survey_heat { SURVEY_COLD, SURVEY_WARM, SURVEY_HOT };
extern _Atomic uint8_t survey_heat[1u << (PID_SLOT_BITS - PROCESS_GROUP_BITS)];     /* [any] relaxed */
extern _Atomic uint32_t survey_now;     /* [any] number of the newest window; 0: there was none */

void survey_open_slow(struct process *p);

/* p has run; its reductions are still those of before. Owner. */
ALWAYS_INLINE void survey_open(struct process *p)
{
    /* relaxed: a window may begin a turn late */
    if (UNLIKELY(p->survey_window != (uint8_t)atomic_load_explicit(&survey_now, memory_order_relaxed)))
        survey_open_slow(p);
}

ALWAYS_INLINE void survey_touch(term pid)
{
    _Atomic uint8_t *heat = &survey_heat[pid_slot(pid) >> PROCESS_GROUP_BITS];

    if (UNLIKELY(atomic_load_explicit(heat, memory_order_relaxed) != SURVEY_HOT))
        atomic_store_explicit(heat, SURVEY_HOT, memory_order_relaxed);
}

/* The block of p is another, or p has fragments. Owner. */
ALWAYS_INLINE void survey_note_heap(struct process *p)
{
    struct heap *h = &p->heap;
    size_t words = (size_t)(h->hi - h->lo) + (size_t)(h->old_hi - h->old_lo) + h->frag_words;

    /* relaxed: each figure stands for itself */
    atomic_store_explicit(&h->shown_words, words < UINT32_MAX ? (uint32_t)words : UINT32_MAX,
                          memory_order_relaxed);
}

/* p rests: leave its figures for others to read. Owner. */
ALWAYS_INLINE void survey_note(struct process *p)
{
    uint32_t messages = p->mq != NULL ? (uint32_t)(p->mq->end - p->mq->first) : 0;

    if (UNLIKELY(p->heap.frag_words != 0))
        survey_note_heap(p);
    atomic_store_explicit(&p->shown_messages, messages, memory_order_relaxed);
    survey_touch(p->pid);
}

#endif
