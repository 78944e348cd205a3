/* SPDX-License-Identifier: Apache-2.0 */
/*
 * literals.c - areas of literals on their way out, in rounds
 *
 *   L1  What literals_going points at is freed a grace period after something else has been stored
 *       there: schedulers compare addresses.
 *   L2  owed counts the processes that have not answered, and one more while they are being asked.
 */
#include "vm/literals.h"

#include "base/alloc.h"
#include "base/epoch.h"
#include "vm/engine.h"
#include "vm/mailbox_priv.h"
#include "vm/process_priv.h"

#include <pthread.h>
#include <stdlib.h>

struct literals_going {
    _Atomic uint32_t owed;
    size_t n;
    struct literal_area *areas;
    struct literal_ranges ranges;
    struct literal_range range[];
};

struct literals_going *_Atomic literals_going;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct literal_area *waiting;    /* [lk lock] */
static size_t waiting_n;                /* [lk lock] */

/* --- rounds --------------------------------------------------------------------------------- */

static int by_address(const void *a, const void *b)
{
    const struct literal_area *x = a, *y = b;

    return x->start < y->start ? -1 : x->start > y->start;
}

/* All that waits, as one round, published; NULL: nothing does. */
static struct literals_going *next_locked(void)
{
    struct literals_going *g = NULL;

    if (waiting_n > 0) {
        g = mem_alloc(sizeof *g + waiting_n * sizeof g->range[0]);
        qsort(waiting, waiting_n, sizeof *waiting, by_address);
        atomic_init(&g->owed, 1);
        g->n = g->ranges.n = waiting_n;
        g->ranges.r = g->range;
        g->areas = waiting;
        for (size_t i = 0; i < g->n; i++) {
            uintptr_t lo = (uintptr_t)g->areas[i].start;

            g->range[i] = (struct literal_range){ lo, lo + g->areas[i].words * sizeof(term) };
        }
        g->ranges.hull = (struct literal_range){ g->range[0].lo, g->range[g->n - 1].hi };
        waiting = NULL;
        waiting_n = 0;
    }
    /* release: pairs with the acquire at the loop heads */
    atomic_store_explicit(&literals_going, g, memory_order_release);
    return g;
}

static void ask_all(void *ptr);

void literals_retire(struct literal_area area)
{
    struct literals_going *g;

    if (area.start == NULL)
        return;
    pthread_mutex_lock(&lock);
    waiting = mem_realloc(waiting, (waiting_n + 1) * sizeof *waiting);
    waiting[waiting_n++] = area;
    g = atomic_load_explicit(&literals_going, memory_order_relaxed) == NULL ? next_locked() : NULL;
    pthread_mutex_unlock(&lock);
    if (g != NULL)
        epoch_retire(g, ask_all);
}

static void gone(void *ptr)
{
    struct literals_going *g = ptr;

    for (size_t i = 0; i < g->n; i++)
        literal_area_free(&g->areas[i]);
    mem_free(g->areas);
    mem_free(g);
}

void literals_answered(void)
{
    struct literals_going *g = atomic_load_explicit(&literals_going, memory_order_acquire), *next;

    /* acq_rel: whoever counts to 0 comes after all who found no reference any more */
    if (atomic_fetch_sub_explicit(&g->owed, 1, memory_order_acq_rel) != 1)
        return;
    pthread_mutex_lock(&lock);
    next = next_locked();
    pthread_mutex_unlock(&lock);
    epoch_retire(g, gone);
    if (next != NULL)
        epoch_retire(next, ask_all);
}

/* Every scheduler has noted the ranges. */
static void ask_all(void *ptr)
{
    struct literals_going *g = ptr;
    struct process *p;
    uint32_t at = 0;

    while ((p = process_table_next(&at)) != NULL) {
        atomic_fetch_add_explicit(&g->owed, 1, memory_order_relaxed);
        signal_post(p, SIG_LITERALS, TERM_NONE, TERM_NONE, TERM_NONE);
    }
    literals_answered();
}

void literals_note(const struct literals_going *g)
{
    literal_purge_noted = g == NULL ? NULL : &g->ranges;
}

/* --- one process ---------------------------------------------------------------------------- */

static const struct literal_ranges *going(void)
{
    return &atomic_load_explicit(&literals_going, memory_order_acquire)->ranges;
}

/* Messages that still lie in their fragments are no part of a collection: those that refer to an
 * area become part of the heap. */
static void adopt_messages(struct process *p, const struct literal_ranges *rs)
{
    struct mailbox *mq = p->mq;

    for (uint64_t seq = mq == NULL ? 0 : mq->first; mq != NULL && seq != mq->end; seq++) {
        struct sig *sig = entry_is_sig(entry_at(mq, seq)) ? entry_sig(entry_at(mq, seq)) : NULL;

        if (sig == NULL || (!frag_refers(sig->frag, rs) && !literal_in_ranges(sig->a, rs)))
            continue;
        entry_at(mq, seq) = sig->a;
        heap_adopt_frag(&p->heap, sig->frag);
    }
}

void literals_let_go(struct process *p, size_t need, unsigned live)
{
    const struct literal_ranges *rs = going();

    adopt_messages(p, rs);
    if (!process_refers(p, live, rs))
        return;
    for (size_t i = 0; i < rs->n; i++) {
        struct literal_ranges one = { rs->r[i], 1, &rs->r[i] };

        if (process_refers(p, live, &one))
            process_purge(p, need, live, &rs->r[i]);
    }
}

void literals_check(struct process *p)
{
    if (p->sched != NULL && p->sched->current == p) {
        process_ext_get(p)->owes_literals = true;   /* terms in registers are not at hand here */
        p->heap.collect_soon = true;
        return;
    }
    literals_let_go(p, 0, 0);
    literals_answered();
}
