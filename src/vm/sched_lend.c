/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sched_lend.c - a scheduler whose thread sleeps, lent to a thread that has something to run
 *
 * The thread that hears from another node makes a process ready and would have to wake a scheduler
 * for it. Waking a thread takes longer than most processes then run: so it runs the process by
 * itself, in the name of a scheduler that sleeps. What is not done within GUEST_REDUCTIONS goes to a
 * queue and wakes a scheduler after all.
 *
 *   SL1  Whoever has moved `asleep` from ASLEEP to LENT owns all [own] fields of the scheduler until it
 *        gives it back; its thread waits for that before it goes on.
 *   SL2  Giving back is going to sleep: the queues and the next timer are looked at after saying so,
 *        as S2 of sched.c asks.
 */
#include "base/clock.h"
#include "base/epoch.h"
#include "vm/literals.h"
#include "vm/sched_priv.h"
#include "vm/timer.h"

#define GUEST_REDUCTIONS 500    /* some ten microseconds: other sessions of the thread wait for it */
#define SLICE_MIN 200           /* less than this is no slice for one more */

static _Thread_local bool keeping;
static _Thread_local struct process *kept;

bool sched_keep(struct process *p)
{
    if (!keeping || kept != NULL || p->prio != PRIO_NORMAL)
        return false;
    kept = p;
    return true;
}

void sched_hold(void)
{
    keeping = sched_self == NULL;
}

bool sched_may_lend(void)
{
    for (unsigned i = 0; i < sched_count(); i++) {
        /* relaxed: a hint */
        if (atomic_load_explicit(&sched_get(i)->priv->asleep, memory_order_relaxed) == SLEEP_ASLEEP)
            return true;
    }
    return false;
}

static struct sched *borrow(void)
{
    for (unsigned i = 0; i < sched_count(); i++) {
        struct sched_priv *priv = sched_get(i)->priv;
        uint32_t asleep = SLEEP_ASLEEP;

        /* seq_cst: pairs with the store of ASLEEP, to see all that its thread left behind (SL1) */
        if (atomic_compare_exchange_strong(&priv->asleep, &asleep, SLEEP_LENT)) {
            int64_t since = atomic_load_explicit(&priv->idle_since_ns, memory_order_relaxed);

            counter_add(&priv->idle_ns, (uint64_t)(clock_monotonic_ns() - since));
            atomic_store_explicit(&priv->idle_since_ns, 0, memory_order_relaxed);
            return sched_get(i);
        }
    }
    return NULL;
}

static void give_back(struct sched *s)
{
    struct sched_priv *priv = s->priv;
    uint32_t was;

    atomic_store_explicit(&priv->idle_since_ns, clock_monotonic_ns(), memory_order_relaxed);
    was = atomic_exchange(&priv->asleep, SLEEP_ASLEEP);
    fence_full();                           /* SL2 */
    if (was == SLEEP_WANTED || sched_any_work() ||
        wheel_next_ns(priv->wheel) < atomic_load(&priv->wakes_at_ns))
        sched_wake(priv);
}

/* Run p, and what it makes ready, while there is something left of the slice. */
static void run_as_guest(struct sched *s, struct process *p)
{
    sched_self = s;
    s->fcalls = GUEST_REDUCTIONS;
    literals_note_going();
    while (p != NULL) {
        sched_run(s, p);
        p = TAKE(s->priv->run_next);
        if (p != NULL && s->fcalls < SLICE_MIN) {
            sched_put_own(s, p);
            p = NULL;
        }
    }
    literals_note(NULL);                    /* it is the thread that notes: what it noted goes soon */
    sched_self = NULL;
}

void sched_release(void)
{
    struct process *p = TAKE(kept);
    struct sched *s;

    keeping = false;
    if (p == NULL)
        return;
    s = borrow();
    if (s == NULL || !world_try_enter()) {
        sched_put_foreign(p);
    } else {
        run_as_guest(s, p);
        world_leave();
    }
    if (s != NULL)
        give_back(s);
}
