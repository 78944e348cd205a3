/* SPDX-License-Identifier: Apache-2.0 */
/*
 * epoch.c - quiescent-state reclamation with one global counter
 *
 * Retired things are collected in batches. Closing a batch moves the counter forward and gives
 * the batch the new value as its tag; a thread that is quiescent copies the counter. When every
 * online thread's copy has reached the tag, the batch is free.
 *
 *   E1  A thread's `seen` is either EPOCH_OFFLINE or a value the counter had while the thread
 *       held no pointers.
 *   E2  Whatever is in a batch was unreachable before the counter reached the batch's tag.
 */
#include "base/epoch.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/spin.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#define EPOCH_OFFLINE UINT64_MAX
#define BATCH_ITEMS 64

struct retired { void *ptr; void (*fn)(void *ptr); };

struct batch {
    struct batch *next;
    uint64_t tag;
    size_t n;
    struct retired items[BATCH_ITEMS];
};

/* One per thread that ever came online. */
struct epoch_thread {
    _Alignas(CACHE_LINE) _Atomic uint64_t seen;     /* [own] writes, [any] reads */
    struct batch *open;             /* [own] being filled */
    struct batch *first, **last;    /* [own] closed, oldest first */
    struct batch *spare;            /* [own] */
    unsigned depth;                 /* [own] epoch_enter nesting; a looping thread keeps 1 */
    unsigned turns;                 /* [own] quiescent states since the last look at the batches */
};

static _Atomic uint64_t epoch_now = 1;                              /* [any] */
static struct epoch_thread *_Atomic epoch_threads[EPOCH_THREADS_MAX];   /* [any] */
static _Atomic uint32_t epoch_thread_count;                         /* [any] */
static struct spin orphan_lock;
static struct batch *orphans;                                       /* [lk orphan_lock] */
static _Atomic bool have_orphans;                                   /* [any] hint */
static _Atomic int64_t pending_items;                               /* [any] for epoch_drain */

static _Thread_local struct epoch_thread *epoch_self;

static struct epoch_thread *epoch_register(void)
{
    struct epoch_thread *t = aligned_alloc(CACHE_LINE, sizeof *t);
    uint32_t i;

    ASSERT(t != NULL);
    *t = (struct epoch_thread){ 0 };
    t->last = &t->first;
    atomic_store_explicit(&t->seen, EPOCH_OFFLINE, memory_order_relaxed);
    i = atomic_fetch_add(&epoch_thread_count, 1);
    ASSERT(i < EPOCH_THREADS_MAX);
    atomic_store(&epoch_threads[i], t);
    epoch_self = t;
    return t;
}

static struct epoch_thread *self(void)
{
    return LIKELY(epoch_self != NULL) ? epoch_self : epoch_register();
}

static void come_online(struct epoch_thread *t)
{
    atomic_store_explicit(&t->seen, atomic_load(&epoch_now), memory_order_relaxed);
    /* Pairs with the fence in oldest_seen: either that thread sees us online, or we see what it
     * made unreachable. */
    fence_full();
}

/* The smallest `seen` of all online threads. */
static uint64_t oldest_seen(void)
{
    uint32_t n = atomic_load(&epoch_thread_count);
    uint64_t min = EPOCH_OFFLINE;

    fence_full();
    for (uint32_t i = 0; i < n; i++) {
        struct epoch_thread *t = atomic_load_explicit(&epoch_threads[i], memory_order_acquire);
        /* acquire: pairs with the release in epoch_quiescent; its reads are over. A thread that
         * is not in the array yet comes online after our fence. */
        uint64_t seen = t != NULL ? atomic_load_explicit(&t->seen, memory_order_acquire)
                                  : EPOCH_OFFLINE;

        if (seen < min)
            min = seen;
    }
    return min;
}

static void batch_run(struct epoch_thread *t, struct batch *b)
{
    for (size_t i = 0; i < b->n; i++)
        b->items[i].fn(b->items[i].ptr);
    atomic_fetch_sub_explicit(&pending_items, (int64_t)b->n, memory_order_release);
    if (t->spare == NULL)
        t->spare = b;
    else
        mem_free(b);
}

static void batch_close(struct epoch_thread *t)
{
    struct batch *b = t->open;

    if (b == NULL)
        return;
    t->open = NULL;
    b->next = NULL;
    b->tag = atomic_fetch_add(&epoch_now, 1) + 1;
    *t->last = b;
    t->last = &b->next;
}

/* Free what can be freed of our own batches. */
static void reclaim_own(struct epoch_thread *t)
{
    uint64_t min = oldest_seen();

    while (t->first != NULL && t->first->tag <= min) {
        struct batch *b = t->first;

        t->first = b->next;
        if (t->first == NULL)
            t->last = &t->first;
        batch_run(t, b);
    }
}

static void reclaim_orphans(struct epoch_thread *t)
{
    uint64_t min = oldest_seen();
    struct batch *free_list = NULL;

    spin_lock(&orphan_lock);
    for (struct batch **at = &orphans; *at != NULL; ) {
        struct batch *b = *at;

        if (b->tag <= min) {
            *at = b->next;
            b->next = free_list;
            free_list = b;
        } else {
            at = &b->next;
        }
    }
    atomic_store_explicit(&have_orphans, orphans != NULL, memory_order_relaxed);
    spin_unlock(&orphan_lock);
    while (free_list != NULL) {
        struct batch *b = free_list;

        free_list = b->next;
        batch_run(t, b);
    }
}

void epoch_retire(void *ptr, void (*fn)(void *ptr))
{
    struct epoch_thread *t = self();

    if (t->open == NULL) {
        t->open = t->spare != NULL ? TAKE(t->spare) : MEM_NEW(struct batch);
        t->open->n = 0;
    }
    atomic_fetch_add_explicit(&pending_items, 1, memory_order_relaxed);
    t->open->items[t->open->n++] = (struct retired){ ptr, fn };
    if (t->open->n == BATCH_ITEMS)
        batch_close(t);
}

void epoch_online(void)
{
    struct epoch_thread *t = self();

    if (t->depth++ == 0)
        come_online(t);
}

void epoch_quiescent(void)
{
    struct epoch_thread *t = epoch_self;

    /* release: the reads of the turn that ends come first. acquire on the counter: pairs with
     * batch_close, so a tag we copy means that we see its things as unreachable. */
    atomic_store_explicit(&t->seen, atomic_load_explicit(&epoch_now, memory_order_acquire),
                          memory_order_release);
    if (LIKELY(t->open == NULL && t->first == NULL &&
               !atomic_load_explicit(&have_orphans, memory_order_relaxed)))
        return;
    if ((++t->turns & 7) != 0)
        return;
    /* A batch that fills slowly is closed all the same: somebody may wait for what its functions
     * do. */
    if ((t->turns & 63) == 0)
        batch_close(t);
    if (t->first != NULL)
        reclaim_own(t);
    if (atomic_load_explicit(&have_orphans, memory_order_relaxed))
        reclaim_orphans(t);
}

void epoch_offline(void)
{
    struct epoch_thread *t = epoch_self;

    ASSERT(t->depth > 0);
    if (--t->depth == 0)
        atomic_store_explicit(&t->seen, EPOCH_OFFLINE, memory_order_release);
}

void epoch_enter(void)
{
    epoch_online();
}

void epoch_leave(void)
{
    epoch_offline();
    if (epoch_self->depth == 0 && epoch_self->open != NULL)
        epoch_flush();
}

bool epoch_flush(void)
{
    struct epoch_thread *t = self();
    bool orphaned;

    batch_close(t);
    orphaned = atomic_load_explicit(&have_orphans, memory_order_relaxed);
    if (t->first == NULL && !orphaned)
        return true;
    t->depth++;
    come_online(t);
    reclaim_own(t);
    if (orphaned)
        reclaim_orphans(t);
    batch_close(t);             /* what the functions retired */
    if (t->first != NULL) {
        spin_lock(&orphan_lock);
        *t->last = orphans;
        orphans = t->first;
        atomic_store_explicit(&have_orphans, true, memory_order_relaxed);
        spin_unlock(&orphan_lock);
        t->first = NULL;
        t->last = &t->first;
    }
    if (--t->depth == 0)
        atomic_store_explicit(&t->seen, EPOCH_OFFLINE, memory_order_release);
    return !atomic_load_explicit(&have_orphans, memory_order_relaxed);
}

#define DRAIN_MS_MAX 1000

void epoch_drain(void)
{
    struct epoch_thread *t = self();

    epoch_flush();
    /* acquire: pairs with the release in batch_run. Bounded, because a thread that was cut off
     * inside an epoch would hold the rest for ever. */
    for (int n = 0; n < DRAIN_MS_MAX &&
                    atomic_load_explicit(&pending_items, memory_order_acquire) > 0; n++) {
        epoch_online();
        if (atomic_load_explicit(&have_orphans, memory_order_relaxed))
            reclaim_orphans(t);
        epoch_offline();
        epoch_flush();
        usleep(1000);
    }
}
