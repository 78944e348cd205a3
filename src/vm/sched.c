/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sched.c - the scheduler threads
 *
 * One turn of the loop: quiescent state; world stop or end of the node, if asked for; timers, now
 * and then; pick a process; run it; put it where it belongs.
 *
 *   S1  A RUNNABLE process is on exactly one queue (or in one run_next, or in the hands of the
 *       thread that is about to put it there).
 *   S2  Who puts a process on a queue that others may take from looks for a sleeper after it; who
 *       goes to sleep looks at the queues after saying so. Both are fenced, so one sees the other.
 */
#include "vm/sched.h"

#include "base/clock.h"
#include "base/epoch.h"
#include "base/metric.h"
#include "vm/engine.h"
#include "vm/literals.h"
#include "vm/job.h"
#include "vm/process_priv.h"
#include "vm/registry.h"
#include "vm/sched_priv.h"
#include "vm/survey_priv.h"
#include "vm/timer.h"

#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SCHEDULERS_MAX 1000     /* of the 1024 numbers that references have room for */
#define RUN_NEXT_MAX 16         /* in a row, before the queue has its turn */
#define SLICE_MIN 200           /* less than this is no slice: run_next goes to the queue */
#define LOW_EVERY 8
#define STEAL_MAX (RING_SLOTS / 2)
#define SPIN_NS 30000
#define RECLAIM_NS 1000000      /* sleep no longer while something waits to be freed */
#define CLOCK_TICKS 32          /* a turn is one, 128 reductions are one: then look at the clock */

_Thread_local struct sched *sched_self;

static struct sched *scheds[SCHEDULERS_MAX];    /* [set] */
static unsigned nscheds;                        /* [set] */
static uint32_t slice_reductions = 4000;        /* [set] */
static _Atomic uint32_t sleepers;               /* [any] schedulers asleep */
static _Atomic uint32_t searchers;              /* [any] schedulers looking for work */
static _Atomic bool stop_requested;             /* [any] */
static _Atomic bool world_wanted;               /* [any] hint of stoppers > 0 */
static _Atomic uint32_t next_foreign;           /* [any] where other threads put processes */

/* --- time ----------------------------------------------------------------------------------------- */

static int64_t clock_note(struct sched_priv *priv)
{
    int64_t now = clock_monotonic_ns();

    priv->now_cs = (uint32_t)(now / 10000000);
    return now;
}

uint32_t sched_now_cs(void)
{
    return sched_self != NULL ? sched_self->priv->now_cs
                              : (uint32_t)(clock_monotonic_ns() / 10000000);
}

/* --- run queues --------------------------------------------------------------------------------- */

static void overflow_put(struct runq *q, struct process *p)
{
    p->rq_next = NULL;
    spin_lock(&q->lock);
    if (q->first == NULL)
        q->first = p;
    else
        q->last->rq_next = p;
    q->last = p;
    atomic_store_explicit(&q->overflow_n,
                          atomic_load_explicit(&q->overflow_n, memory_order_relaxed) + 1,
                          memory_order_release);
    spin_unlock(&q->lock);
}

/* Up to max processes off the overflow, linked by rq_next; NULL: none. */
static struct process *overflow_take(struct runq *q, uint32_t max)
{
    struct process *first, *last;
    uint32_t n = 1;

    if (atomic_load_explicit(&q->overflow_n, memory_order_acquire) == 0)
        return NULL;
    spin_lock(&q->lock);
    first = last = q->first;
    if (first != NULL) {
        for (; n < max && last->rq_next != NULL; n++)
            last = last->rq_next;
        q->first = last->rq_next;
        last->rq_next = NULL;
        atomic_store_explicit(&q->overflow_n,
                              atomic_load_explicit(&q->overflow_n, memory_order_relaxed) - n,
                              memory_order_relaxed);
    }
    spin_unlock(&q->lock);
    return first;
}

/* Owner. False: full. */
static bool ring_put(struct runq *q, struct process *p)
{
    uint32_t tail = atomic_load_explicit(&q->tail, memory_order_relaxed);

    if (tail - atomic_load_explicit(&q->head, memory_order_acquire) == RING_SLOTS)
        return false;
    atomic_store_explicit(&q->slot[tail % RING_SLOTS], p, memory_order_relaxed);
    /* release: who takes it sees what we did to the process */
    atomic_store_explicit(&q->tail, tail + 1, memory_order_release);
    return true;
}

static struct process *ring_take(struct runq *q)
{
    uint32_t head = atomic_load_explicit(&q->head, memory_order_relaxed);

    for (;;) {
        struct process *p;

        if (head == atomic_load_explicit(&q->tail, memory_order_acquire))
            return NULL;
        p = atomic_load_explicit(&q->slot[head % RING_SLOTS], memory_order_relaxed);
        if (atomic_compare_exchange_weak_explicit(&q->head, &head, head + 1,
                                                  memory_order_acq_rel, memory_order_relaxed))
            return p;
    }
}

static void runq_put_own(struct runq *q, struct process *p)
{
    if (UNLIKELY(atomic_load_explicit(&q->overflow_n, memory_order_relaxed) != 0) ||
        !ring_put(q, p))
        overflow_put(q, p);
}

/* Owner. Refills the ring from the overflow when it has run dry. */
static struct process *runq_take_own(struct runq *q)
{
    struct process *p = ring_take(q), *rest, *next;

    if (p != NULL)
        return p;
    p = overflow_take(q, STEAL_MAX);
    if (p == NULL)
        return NULL;
    for (rest = p->rq_next; rest != NULL; rest = next) {
        next = rest->rq_next;
        if (!ring_put(q, rest))
            UNREACHABLE();      /* it was empty, and only we fill it */
    }
    return p;
}

static bool runq_has_work(struct runq *q)
{
    return atomic_load_explicit(&q->head, memory_order_relaxed) !=
               atomic_load_explicit(&q->tail, memory_order_relaxed) ||
           atomic_load_explicit(&q->overflow_n, memory_order_relaxed) != 0;
}

static uint32_t runq_length(struct runq *q)
{
    return atomic_load_explicit(&q->tail, memory_order_relaxed) -
           atomic_load_explicit(&q->head, memory_order_relaxed) +
           atomic_load_explicit(&q->overflow_n, memory_order_relaxed);
}

/* Half of the victim's queue: one to run, the rest to our own ring, which is empty. */
static struct process *runq_steal(struct runq *mine, struct runq *q)
{
    struct process *got[STEAL_MAX], *p, *next;
    uint32_t head = atomic_load_explicit(&q->head, memory_order_acquire), n;

    while ((n = atomic_load_explicit(&q->tail, memory_order_acquire) - head) != 0) {
        if (n > RING_SLOTS) {           /* head was old when tail was read */
            head = atomic_load_explicit(&q->head, memory_order_acquire);
            continue;
        }
        n = (n + 1) / 2;
        for (uint32_t i = 0; i < n; i++)
            got[i] = atomic_load_explicit(&q->slot[(head + i) % RING_SLOTS], memory_order_relaxed);
        if (!atomic_compare_exchange_weak_explicit(&q->head, &head, head + n,
                                                   memory_order_acq_rel, memory_order_acquire))
            continue;
        for (uint32_t i = 1; i < n; i++)
            runq_put_own(mine, got[i]);
        return got[0];
    }
    p = overflow_take(q, STEAL_MAX);
    for (struct process *rest = p != NULL ? p->rq_next : NULL; rest != NULL; rest = next) {
        next = rest->rq_next;
        runq_put_own(mine, rest);
    }
    return p;
}

/* --- waking ----------------------------------------------------------------------------------------- */

static void futex_wait(_Atomic uint32_t *at, uint32_t value, int64_t ns)
{
    struct timespec ts = { ns / 1000000000, ns % 1000000000 };

    syscall(SYS_futex, at, FUTEX_WAIT_PRIVATE, value, ns == INT64_MAX ? NULL : &ts, NULL, 0);
}

bool sched_wake(struct sched_priv *priv)
{
    uint32_t asleep = SLEEP_ASLEEP;

    if (!atomic_compare_exchange_strong(&priv->asleep, &asleep, SLEEP_AWAKE))
        return false;
    syscall(SYS_futex, &priv->asleep, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    return true;
}

/* Work lies where others may take it: see that somebody does (S2). */
static void wake_one(void)
{
    fence_full();
    if (LIKELY(atomic_load_explicit(&sleepers, memory_order_relaxed) == 0) ||
        atomic_load_explicit(&searchers, memory_order_relaxed) != 0)
        return;
    for (unsigned i = 0; i < nscheds; i++) {
        if (sched_wake(scheds[i]->priv))
            return;
    }
}

void sched_poke(unsigned index)
{
    fence_full();
    sched_wake(scheds[index]->priv);
}

static void mask_add(struct sched_priv *priv, unsigned prio)
{
    uint32_t bit = 1u << prio;

    if (UNLIKELY((atomic_load_explicit(&priv->prio_mask, memory_order_relaxed) & bit) == 0))
        atomic_fetch_or(&priv->prio_mask, bit);
}

/* --- putting processes on queues ---------------------------------------------------------------------- */

void sched_put_foreign(struct process *p)
{
    unsigned i = atomic_fetch_add_explicit(&next_foreign, 1, memory_order_relaxed) % nscheds;
    struct sched_priv *priv = scheds[i]->priv;
    unsigned prio = p->prio;

    overflow_put(&priv->q[prio], p);
    mask_add(priv, prio);
    wake_one();
}

void sched_put_own(struct sched *s, struct process *p)
{
    unsigned prio = p->prio;

    if (UNLIKELY((++s->priv->readied & 63) == 0)) {
        s->priv->timed = p;
        s->priv->timed_ns = clock_monotonic_ns();
    }
    runq_put_own(&s->priv->q[prio], p);
    mask_add(s->priv, prio);
    wake_one();
}

void sched_enqueue(struct process *p)
{
    struct sched *s = sched_self;
    struct process *displaced;

    if (s == NULL) {
        if (!sched_keep(p))
            sched_put_foreign(p);
        return;
    }
    if (LIKELY(p->prio == PRIO_NORMAL && s->current != NULL)) {
        displaced = s->priv->run_next;
        s->priv->run_next = p;
        if (displaced == NULL)
            return;             /* run_next alone wakes nobody */
        p = displaced;
    }
    sched_put_own(s, p);
}

/* The first child goes to run_next, so that spawning one process and waiting for it stays on this
 * core and wakes nobody; further ones queue up behind it, in the order in which they were made. */
void sched_enqueue_new(struct process *p)
{
    struct sched *s = sched_self;

    if (s == NULL)
        sched_put_foreign(p);
    else if (p->prio == PRIO_NORMAL && s->current != NULL && s->priv->run_next == NULL &&
             !runq_has_work(&s->priv->q[PRIO_NORMAL]))
        s->priv->run_next = p;
    else
        sched_put_own(s, p);
}

/* --- stopping the world --------------------------------------------------------------------------------- */

static pthread_mutex_t world_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t world_changed = PTHREAD_COND_INITIALIZER;
static unsigned world_running;      /* [lk world_lock] schedulers that may be inside a process */
static unsigned world_waiting;      /* [lk world_lock] threads that want to stop it */
static bool world_stopped;          /* [lk world_lock] somebody has stopped it */

/* A scheduler is (not) inside a process from here on. Blocks while the world is stopped. */
void world_leave(void)
{
    pthread_mutex_lock(&world_lock);
    world_running--;
    pthread_cond_broadcast(&world_changed);
    pthread_mutex_unlock(&world_lock);
}

static void world_enter(void)
{
    pthread_mutex_lock(&world_lock);
    while (world_stopped || world_waiting > 0)
        pthread_cond_wait(&world_changed, &world_lock);
    world_running++;
    pthread_mutex_unlock(&world_lock);
}

bool world_try_enter(void)
{
    bool may;

    pthread_mutex_lock(&world_lock);
    may = !world_stopped && world_waiting == 0;
    world_running += may;
    pthread_mutex_unlock(&world_lock);
    return may;
}

void world_stop(void)
{
    pthread_mutex_lock(&world_lock);
    if (sched_self != NULL)
        world_running--;
    world_waiting++;
    atomic_store(&world_wanted, true);
    pthread_cond_broadcast(&world_changed);
    while (world_stopped || world_running > 0)
        pthread_cond_wait(&world_changed, &world_lock);
    world_waiting--;
    world_stopped = true;
    pthread_mutex_unlock(&world_lock);
}

void world_resume(void)
{
    pthread_mutex_lock(&world_lock);
    world_stopped = false;
    if (sched_self != NULL)
        world_running++;
    if (world_waiting == 0)
        atomic_store(&world_wanted, false);
    pthread_cond_broadcast(&world_changed);
    pthread_mutex_unlock(&world_lock);
}

/* --- picking ---------------------------------------------------------------------------------------------- */

static struct process *take_prio(struct sched *s, unsigned prio)
{
    struct process *p = runq_take_own(&s->priv->q[prio]);

    if (p == NULL) {
        atomic_fetch_and(&s->priv->prio_mask, ~(1u << prio));
        /* Another thread may have put one between the two. */
        if (runq_has_work(&s->priv->q[prio]))
            atomic_fetch_or(&s->priv->prio_mask, 1u << prio);
    }
    return p;
}

/* The next of the other priorities when they come before the normal ones. */
static struct process *pick_by_priority(struct sched *s, uint32_t mask)
{
    struct process *p = NULL;

    if ((mask & 1u << PRIO_MAX) != 0)
        p = take_prio(s, PRIO_MAX);
    if (p == NULL && (mask & 1u << PRIO_HIGH) != 0)
        p = take_prio(s, PRIO_HIGH);
    if (p == NULL && (mask & 1u << PRIO_LOW) != 0 && ++s->priv->normals >= LOW_EVERY) {
        s->priv->normals = 0;
        p = take_prio(s, PRIO_LOW);
    }
    return p;
}

static struct process *take_run_next(struct sched *s)
{
    struct sched_priv *priv = s->priv;
    struct process *p = priv->run_next;

    priv->run_next = NULL;
    if (s->fcalls >= SLICE_MIN && ++priv->run_next_row <= RUN_NEXT_MAX)
        return p;               /* with what is left of the slice */
    priv->run_next_row = 0;
    s->fcalls = slice_reductions;
    if (!runq_has_work(&priv->q[PRIO_NORMAL]))
        return p;
    runq_put_own(&priv->q[PRIO_NORMAL], p);
    return runq_take_own(&priv->q[PRIO_NORMAL]);
}

static struct process *pick(struct sched *s)
{
    struct sched_priv *priv = s->priv;
    uint32_t mask = atomic_load_explicit(&priv->prio_mask, memory_order_relaxed);
    struct process *p;

    if (UNLIKELY((mask & ~(1u << PRIO_NORMAL)) != 0)) {
        p = pick_by_priority(s, mask);
        if (p != NULL) {
            s->fcalls = slice_reductions;
            return p;
        }
    }
    if (priv->run_next != NULL) {
        p = take_run_next(s);
        if (p != NULL)
            return p;
    }
    s->fcalls = slice_reductions;
    priv->run_next_row = 0;
    p = runq_take_own(&priv->q[PRIO_NORMAL]);
    if (p == NULL && (mask & 1u << PRIO_LOW) != 0)
        p = take_prio(s, PRIO_LOW);
    return p;
}

static struct process *steal(struct sched *s)
{
    for (unsigned prio = 0; prio < PRIO_COUNT; prio++) {
        for (unsigned k = 1; k < nscheds; k++) {
            struct sched_priv *victim = scheds[(s->index + k) % nscheds]->priv;
            struct process *p;

            if (!runq_has_work(&victim->q[prio]))
                continue;
            p = runq_steal(&s->priv->q[prio], &victim->q[prio]);
            if (p != NULL) {
                mask_add(s->priv, prio);
                counter_add(&s->priv->stolen, 1);
                return p;
            }
        }
    }
    return NULL;
}

/* --- running ------------------------------------------------------------------------------------------------ */

static void account(struct sched *s, struct process *p, int64_t before)
{
    int64_t used = before - s->fcalls;

    s->priv->ticks += 1 + (uint32_t)(used > 0 ? used : 0) / 128;
    survey_open(p);
    if (used > 0) {
        counter_add(&p->reductions, (uint64_t)used);
        counter_add(&s->priv->reductions, (uint64_t)used);
    }
    survey_note(p);
}

/* p is done running for now and others may have it. */
static void put_back(struct sched *s, struct process *p)
{
    struct process *first = TAKE(s->priv->run_next);

    p->sched = NULL;
    s->current = NULL;
    if (first != NULL)          /* what it made ready has waited through its slice */
        sched_put_own(s, first);
    atomic_store_explicit(&p->state, PROC_RUNNABLE, memory_order_release);
    sched_put_own(s, p);
}

/* RUNNING -> WAITING, unless something has come. */
static void park(struct sched *s, struct process *p)
{
    uint32_t waiting = PROC_WAITING;
    bool rest = inbox_has_rest(&p->inbox);

    p->parked_cs = s->priv->now_cs;
    p->sched = NULL;
    s->current = NULL;
    /* seq_cst: pairs with the exchange in inbox_push; see inbox_is_untouched. From here on p may be
     * anybody's: only the two atomics below may be touched. */
    atomic_store(&p->state, PROC_WAITING);
    if (UNLIKELY(rest || !inbox_is_untouched(&p->inbox)) &&
        atomic_compare_exchange_strong(&p->state, &waiting, PROC_RUNNABLE))
        sched_put_own(s, p);
}

static bool is_suspended(const struct process *p)
{
    return UNLIKELY(p->ext != NULL) && p->ext->suspends > 0;
}

/* Does p, which waits in receive, have any reason to run? */
static bool has_news(struct process *p)
{
    unsigned kind = p->wait_kind & (unsigned)~RECEIVE_TIMED_OUT;

    if (kind != WAIT_RECEIVE && kind != WAIT_RECEIVE_TIMER && kind != WAIT_HIBERNATE)
        return true;
    return (p->wait_kind & RECEIVE_TIMED_OUT) != 0 || mailbox_has_unseen(p);
}

static void run_exit(struct sched *s, struct process *p)
{
    if (atomic_load_explicit(&p->state, memory_order_relaxed) != PROC_EXITING)
        process_exit_begin(p);
    if (process_exit_step(p)) {
        s->current = NULL;
        return;
    }
    s->fcalls -= 500;
    p->sched = NULL;
    s->current = NULL;
    sched_put_own(s, p);
}

/* A process off the queue is ours once it is RUNNING; somebody may be delivering into it. False: it
 * is exiting. */
static bool own(struct process *p)
{
    uint32_t was = PROC_RUNNABLE;

    for (unsigned n = 0; !atomic_compare_exchange_weak_explicit(&p->state, &was, PROC_RUNNING,
                                                                memory_order_acquire,
                                                                memory_order_relaxed); ) {
        if (was == PROC_EXITING)
            return false;
        if (++n < 200)
            cpu_relax();
        else
            sched_yield();
        was = PROC_RUNNABLE;
    }
    return true;
}

void sched_run(struct sched *s, struct process *p)
{
    int64_t before = s->fcalls;
    enum engine_result r;
    bool alive = own(p);

    s->current = p;
    p->sched = s;
    counter_add(&s->priv->switches, 1);
    if (UNLIKELY(p == s->priv->timed)) {
        s->priv->timed = NULL;
        metric_time(M_run_queue_wait, clock_monotonic_ns() - s->priv->timed_ns);
    }
    if (UNLIKELY(!alive)) {
        run_exit(s, p);
        return;
    }
    for (;;) {
        if (UNLIKELY(!inbox_is_empty(&p->inbox)) && p->long_call == NULL)
            (void)!signals_handle(p);
        if (UNLIKELY(p->exit_reason != TERM_NONE)) {
            r = ENGINE_EXIT;
            break;
        }
        if (is_suspended(p) || !has_news(p)) {
            r = ENGINE_WAIT;
            break;
        }
        p->wait_kind &= RECEIVE_TIMED_OUT;
        r = engine_run(s, p);
        if (r != ENGINE_WAIT)
            break;
        if (p->wait_kind == WAIT_HIBERNATE && !process_collect(p, 0, 0, GC_HIBERNATE)) {
            r = ENGINE_EXIT;
            break;
        }
        if (LIKELY(inbox_is_empty(&p->inbox)) || s->fcalls <= 0)
            break;
    }
    account(s, p, before);
    if (r == ENGINE_WAIT)
        park(s, p);
    else if (r == ENGINE_YIELD)
        put_back(s, p);
    else
        run_exit(s, p);
}

/* --- the loop ------------------------------------------------------------------------------------------------ */

bool sched_any_work(void)
{
    for (unsigned k = 0; k < nscheds; k++) {
        for (unsigned prio = 0; prio < PRIO_COUNT; prio++) {
            if (runq_has_work(&scheds[k]->priv->q[prio]))
                return true;
        }
    }
    return atomic_load(&stop_requested);
}

/* Awake again, whether woken or not; not before a scheduler that is lent has been given back. */
static void stop_sleeping(struct sched_priv *priv)
{
    uint32_t was = SLEEP_ASLEEP;

    while (!atomic_compare_exchange_strong(&priv->asleep, &was, SLEEP_AWAKE) && was != SLEEP_AWAKE) {
        if (was == SLEEP_WANTED ||
            atomic_compare_exchange_strong(&priv->asleep, &was, SLEEP_WANTED))
            futex_wait(&priv->asleep, SLEEP_WANTED, INT64_MAX);
        was = SLEEP_ASLEEP;
    }
}

/* Nothing to do until woken or until the next timer. */
static void sleep_until_woken(struct sched *s)
{
    struct sched_priv *priv = s->priv;
    int64_t next, now;
    bool clean = epoch_flush();     /* else a process that is gone may still owe answers */

    ASSERT(priv->run_next == NULL);
    epoch_offline();
    world_leave();
    /* From here on the scheduler may be lent (sched_lend.c). A timer set meanwhile is seen below, or
     * by who gives back: wakes_at_ns is never later than what we wait for. */
    atomic_store(&priv->wakes_at_ns, INT64_MAX);
    atomic_store(&priv->asleep, SLEEP_ASLEEP);
    atomic_fetch_add(&sleepers, 1);
    fence_full();      /* S2 */
    if (!sched_any_work()) {
        next = wheel_next_ns(priv->wheel);
        atomic_store(&priv->wakes_at_ns, next);
        now = next == INT64_MAX && clean ? 0 : clock_monotonic_ns();
        if (!clean && next > now + RECLAIM_NS)
            next = now + RECLAIM_NS;
        if (next > now)
            futex_wait(&priv->asleep, SLEEP_ASLEEP, next == INT64_MAX ? INT64_MAX : next - now);
    }
    stop_sleeping(priv);
    atomic_fetch_sub(&sleepers, 1);
    world_enter();
    epoch_online();
}

/* We stop searching: if there is more work than we took, somebody else should come. */
static void wake_if_more(void)
{
    for (unsigned k = 0; k < nscheds; k++) {
        if (runq_has_work(&scheds[k]->priv->q[PRIO_NORMAL])) {
            wake_one();
            return;
        }
    }
}

/* Look for work elsewhere for a while. */
static struct process *search(struct sched *s)
{
    struct process *p = NULL;
    int64_t until = 0;
    uint32_t others = atomic_load_explicit(&searchers, memory_order_relaxed);

    if (nscheds > 1 && others * 2 < nscheds) {
        atomic_fetch_add(&searchers, 1);
        for (unsigned n = 0; p == NULL; n++) {
            p = steal(s);
            if (p == NULL)
                p = pick(s);
            if (p != NULL || atomic_load_explicit(&stop_requested, memory_order_relaxed) ||
                atomic_load_explicit(&world_wanted, memory_order_relaxed))
                break;
            if (n % 16 == 0) {
                int64_t now = clock_monotonic_ns();

                if (until == 0)
                    until = now + SPIN_NS;
                else if (now >= until)
                    break;
            }
            cpu_relax();
        }
        atomic_fetch_sub(&searchers, 1);
        /* Work may have come that woke nobody because we were searching. */
        if (p != NULL)
            wake_if_more();
        else
            p = steal(s);
    }
    return p;
}

/* Nothing of our own is ready: what others have, or NULL after a sleep. */
static struct process *find_or_sleep(struct sched *s)
{
    int64_t since = clock_note(s->priv), now;
    struct process *p;

    atomic_store_explicit(&s->priv->idle_since_ns, since, memory_order_relaxed);
    p = search(s);
    now = clock_monotonic_ns();
    counter_add(&s->priv->search_ns, (uint64_t)(now - since));
    if (p == NULL) {
        sleep_until_woken(s);
        now = clock_note(s->priv);
    }
    /* Who borrowed it meanwhile has counted the time before, and begun anew. */
    since = atomic_load_explicit(&s->priv->idle_since_ns, memory_order_relaxed);
    atomic_store_explicit(&s->priv->idle_since_ns, 0, memory_order_relaxed);
    counter_add(&s->priv->idle_ns, (uint64_t)(now - since));
    return p;
}

static void run_timers(struct sched_priv *priv, int64_t now)
{
    if (now < wheel_next_ns(priv->wheel))
        return;
    wheel_run(priv->wheel, now);
    counter_add(&priv->timers_ns, (uint64_t)(clock_monotonic_ns() - now));
}

static void turn(struct sched *s)
{
    struct sched_priv *priv = s->priv;
    struct process *p;

    epoch_quiescent();
    if (UNLIKELY(atomic_load_explicit(&world_wanted, memory_order_relaxed))) {
        epoch_offline();
        world_leave();
        world_enter();
        epoch_online();
    }
    literals_note_going();
    p = pick(s);
    if (p == NULL || priv->ticks >= CLOCK_TICKS) {
        int64_t now = clock_note(priv);

        priv->ticks = 0;
        if (wheel_next_ns(priv->wheel) != INT64_MAX)
            run_timers(priv, now);
    }
    if (p == NULL)
        p = pick(s);
    if (p == NULL)
        p = find_or_sleep(s);
    if (p != NULL)
        sched_run(s, p);
}

static void *sched_main(void *arg)
{
    struct sched *s = arg;
    char name[16];

    snprintf(name, sizeof name, "sched-%u", s->index);
    pthread_setname_np(pthread_self(), name);
    sched_self = s;
    clock_note(s->priv);
    epoch_online();
    world_enter();
    while (!atomic_load_explicit(&stop_requested, memory_order_relaxed))
        turn(s);
    world_leave();
    epoch_flush();
    epoch_offline();
    return NULL;
}

/* --- starting and stopping ------------------------------------------------------------------------------------ */

static struct sched *sched_new(unsigned index)
{
    size_t bytes = sizeof(struct sched) + CACHE_LINE + sizeof(struct sched_priv);
    size_t priv_at = (sizeof(struct sched) + CACHE_LINE - 1) & ~(CACHE_LINE - 1ul);
    struct sched *s = aligned_alloc(4096, (bytes + 4095) & ~4095ul);

    ASSERT(s != NULL);
    memset(s, 0, bytes);
    s->index = index;
    s->priv = (struct sched_priv *)(void *)((char *)s + priv_at);
    s->priv->wheel = wheel_new(index, clock_monotonic_ns());
    return s;
}

void vm_start(const struct vm_options *opt)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);

    nscheds = opt->schedulers != 0 ? opt->schedulers : cpus > 0 ? (unsigned)cpus : 1;
    if (nscheds > SCHEDULERS_MAX)
        nscheds = SCHEDULERS_MAX;
    if (opt->reductions != 0)
        slice_reductions = opt->reductions;
    process_table_init(opt->processes_max != 0 ? opt->processes_max : 1u << 20);
    registry_init();
    atomic_store(&stop_requested, false);
    for (unsigned i = 0; i < nscheds; i++)
        scheds[i] = sched_new(i);
    job_pool_start(opt->job_threads != 0 ? opt->job_threads : 10);
    for (unsigned i = 0; i < nscheds; i++) {
        int rc = pthread_create(&scheds[i]->priv->thread, NULL, sched_main, scheds[i]);

        ASSERT(rc == 0);
    }
}

void vm_stop(void)
{
    struct process *p;
    uint32_t at = 0;

    job_pool_stop();
    atomic_store(&stop_requested, true);
    for (unsigned i = 0; i < nscheds; i++)
        sched_poke(i);
    for (unsigned i = 0; i < nscheds; i++)
        pthread_join(scheds[i]->priv->thread, NULL);
    epoch_enter();
    while ((p = process_table_next(&at)) != NULL)
        process_discard(p);
    epoch_leave();
    epoch_drain();
    for (unsigned i = 0; i < nscheds; i++) {
        wheel_free(scheds[i]->priv->wheel);
        free(scheds[i]);
    }
    nscheds = 0;
}

unsigned sched_count(void)
{
    return nscheds;
}

uint32_t sched_reductions(void)
{
    return slice_reductions;
}

struct sched *sched_get(unsigned index)
{
    ASSERT(index < nscheds);
    return scheds[index];
}

struct wheel *sched_wheel(unsigned index)
{
    return sched_get(index)->priv->wheel;
}

/* --- references ------------------------------------------------------------------------------------------------ */

#define REF_FOREIGN 1023u       /* scheduler part of what other threads make */

static term foreign_ref(unsigned index)
{
    static _Atomic uint64_t counter = (uint64_t)1 << 47;    /* apart from the schedulers' own */

    return imm_make(IMM_REF, (uint64_t)index << 48 | atomic_fetch_add(&counter, 1));
}

term make_ref(struct sched *s)
{
    if (s == NULL)
        return foreign_ref(REF_FOREIGN);
    return imm_make(IMM_REF, (uint64_t)s->index << 48 | ++s->ref_counter);
}

term make_timer_ref(unsigned index)
{
    return sched_self != NULL && sched_self->index == index ? make_ref(sched_self)
                                                            : foreign_ref(index);
}

/* --- counters ---------------------------------------------------------------------------------------------------- */

uint32_t sched_run_queue_length(unsigned index)
{
    uint32_t n = 0;

    for (unsigned prio = 0; prio < PRIO_COUNT; prio++)
        n += runq_length(&scheds[index]->priv->q[prio]);
    return n;
}

uint32_t sched_ready(unsigned priority)
{
    uint32_t n = 0;

    for (unsigned i = 0; i < nscheds; i++)
        n += runq_length(&scheds[i]->priv->q[priority]);
    return n;
}

uint64_t sched_turns(unsigned index, bool *ret_asleep)
{
    struct sched_priv *priv = scheds[index]->priv;

    *ret_asleep = atomic_load_explicit(&priv->asleep, memory_order_relaxed) != 0;
    return atomic_load_explicit(&priv->switches, memory_order_relaxed);
}

uint64_t sched_idle_ns(unsigned index)
{
    const struct sched_priv *priv = scheds[index]->priv;
    int64_t since = atomic_load_explicit(&priv->idle_since_ns, memory_order_relaxed);
    int64_t now = clock_monotonic_ns();

    return atomic_load_explicit(&priv->idle_ns, memory_order_relaxed) +
           (since != 0 && now > since ? (uint64_t)(now - since) : 0);
}

#define SUM(field) (ret->field += atomic_load_explicit(&priv->field, memory_order_relaxed))

void sched_totals(struct sched_totals *ret)
{
    *ret = (struct sched_totals){ 0 };
    for (unsigned i = 0; i < nscheds; i++) {
        struct sched_priv *priv = scheds[i]->priv;

        SUM(reductions);
        SUM(switches);
        SUM(spawned);
        SUM(exited);
        SUM(stolen);
        for (unsigned full = 0; full < 2; full++) {
            SUM(collections[full]);
            SUM(reclaimed_words[full]);
        }
        SUM(gc_ns);
        SUM(timers_ns);
        SUM(search_ns);
        ret->run_queue += sched_run_queue_length(i);
    }
}
