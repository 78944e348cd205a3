/* SPDX-License-Identifier: Apache-2.0 */
/*
 * profile.c - ticks, and the stacks they ask for
 */
#include "vm/profile.h"

#include "vm/code_priv.h"
#include "vm/exception.h"
#include "vm/sched.h"

/* 50: a microsecond or two of plain code, and one slow path in fifty calls costs a few percent. */
#define PIECE_REDUCTIONS 50

_Atomic bool profile_is_on;
static profile_fn *take;                        /* [world] */

void profile_start(profile_fn *fn)
{
    world_stop();
    take = fn;
    atomic_store(&profile_is_on, true);
    world_resume();
}

void profile_stop(void)
{
    world_stop();
    atomic_store(&profile_is_on, false);
    take = NULL;
    world_resume();
}

void profile_tick(void)
{
    /* relaxed: a tick is a hint that one side sets and the other clears */
    for (unsigned i = 0; i < sched_count(); i++)
        atomic_store_explicit(&sched_get(i)->ticked, true, memory_order_relaxed);
}

/* Has there been a tick? Then it is over. */
static bool ticked(struct sched *s)
{
    if (LIKELY(!atomic_load_explicit(&s->ticked, memory_order_relaxed)))
        return false;
    atomic_store_explicit(&s->ticked, false, memory_order_relaxed);
    return true;
}

size_t profile_stack(const struct process *p, const void *pc, size_t live_words,
                     struct profile_frame *ret, size_t max)
{
    term pcs[PROFILE_DEPTH_MAX];
    size_t n = exception_stack(p, pc, live_words, pcs, max), kept = 0;

    for (size_t i = 0; i < n; i++) {
        const struct code_place *at = code_place_at((const char *)(uintptr_t)pcs[i] - 1);

        if (at->image != NULL && at->function != NULL)
            ret[kept++] = (struct profile_frame){ at->image->module, at->function->name,
                                                  at->function->arity };
    }
    return kept;
}

static void sample(const struct process *p, const void *pc, size_t live_words)
{
    struct profile_frame frames[PROFILE_DEPTH_MAX];
    size_t n = profile_stack(p, pc, live_words, frames, PROFILE_DEPTH_MAX);

    if (n > 0 && take != NULL)
        take(p, frames, n);
}

static void cut(struct sched *s)
{
    if (s->fcalls <= PIECE_REDUCTIONS)
        return;
    s->fc_held += s->fcalls - PIECE_REDUCTIONS;
    s->fcalls = PIECE_REDUCTIONS;
}

void profile_run_begin(struct sched *s)
{
    (void)ticked(s);
    cut(s);
}

void profile_piece(struct sched *s, struct process *p, const void *pc)
{
    if (ticked(s))
        sample(p, pc, 0);
    cut(s);
}

void profile_run_end(struct sched *s, struct process *p)
{
    if (ticked(s))
        sample(p, p->ip, p->live > 0 ? p->live + 1u : 0);
}
