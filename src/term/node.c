/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node.c - the table of other nodes: a hash under a mutex, swept when it grows
 *
 *   N1  An entry with references is never freed; one without is found only under the lock, so
 *       only the lock's holder can revive it. Hence the sweep may free what it sees at 0.
 */
#include "term/node.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <pthread.h>

#define BUCKETS        4096u
#define SWEEP_EVERY_NS ((int64_t)10 * 1000000000)

static pthread_mutex_t nodes = PTHREAD_MUTEX_INITIALIZER;
static struct node_entry *buckets[BUCKETS];     /* [lk nodes] */
static uint32_t count;                          /* [lk nodes] entries */
static uint32_t last_index;                     /* [lk nodes] */
static int64_t swept_ns;                        /* [lk nodes] when last */

static struct node_entry **bucket_of(term name, uint32_t creation)
{
    uint64_t h = (name ^ (uint64_t)creation << 32) * 0x9E3779B97F4A7C15u;

    return &buckets[h >> 52 & (BUCKETS - 1)];
}

/* May n go, at now_ns? keep_ns 0: at once. */
static bool is_over(struct node_entry *n, int64_t now_ns, int64_t keep_ns)
{
    /* acquire pairs with the release of node_entry_unref */
    if (atomic_load_explicit(&n->refs, memory_order_acquire) != 0) {
        n->idle_since_ns = 0;
        return false;
    }
    if (n->idle_since_ns == 0)
        n->idle_since_ns = now_ns;
    return now_ns - n->idle_since_ns >= keep_ns;
}

static void sweep_locked(int64_t now_ns, int64_t keep_ns)
{
    swept_ns = now_ns;
    for (uint32_t i = 0; i < BUCKETS; i++)
        for (struct node_entry **link = &buckets[i], *n; (n = *link) != NULL; ) {
            if (!is_over(n, now_ns, keep_ns)) {
                link = &n->next;
                continue;
            }
            *link = n->next;
            mem_free(n);
            count--;
        }
}

/* Room for one more. The full table is swept at most once a second: a peer that fills it with
 * names that live on pays with failures, not with our time. */
static bool make_room_locked(void)
{
    int64_t now_ns = clock_monotonic_ns();

    if (count >= NODE_ENTRIES_MAX && now_ns - swept_ns >= SWEEP_EVERY_NS / 10)
        sweep_locked(now_ns, 0);
    else if (now_ns - swept_ns >= SWEEP_EVERY_NS)
        sweep_locked(now_ns, NODE_KEEP_NS);
    return count < NODE_ENTRIES_MAX;
}

static struct node_entry *find_locked(term name, uint32_t creation)
{
    struct node_entry *n = *bucket_of(name, creation);

    while (n != NULL && (n->name != name || n->creation != creation))
        n = n->next;
    return n;
}

static struct node_entry *make_locked(term name, uint32_t creation)
{
    struct node_entry **bucket = bucket_of(name, creation), *n;

    if (!make_room_locked())
        return NULL;
    n = MEM_NEW(struct node_entry);
    *n = (struct node_entry){ .name = name, .creation = creation, .index = ++last_index,
                              .next = *bucket };
    *bucket = n;
    count++;
    return n;
}

struct node_entry *node_entry_get(term name, uint32_t creation)
{
    struct node_entry *n;

    pthread_mutex_lock(&nodes);
    n = find_locked(name, creation);
    if (n == NULL)
        n = make_locked(name, creation);
    if (n != NULL) {
        n->idle_since_ns = 0;
        node_entry_ref(n);
    }
    pthread_mutex_unlock(&nodes);
    return n;
}

uint32_t node_entries_sweep(int64_t now_ns)
{
    uint32_t left;

    pthread_mutex_lock(&nodes);
    sweep_locked(now_ns, NODE_KEEP_NS);
    left = count;
    pthread_mutex_unlock(&nodes);
    return left;
}
