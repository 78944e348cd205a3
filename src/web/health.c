/* SPDX-License-Identifier: Apache-2.0 */
/*
 * health.c - checks that cost nothing
 */
#include "web/health.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metric.h"
#include "vm/sched.h"

#include <stdatomic.h>
#include <stdio.h>

struct progress {
    uint64_t turns;         /* when it moved last */
    int64_t since_ns;
    bool told;
};

static struct {
    struct progress *at;            /* [tick] one for each scheduler */
    _Atomic int stuck;              /* [any] index plus 1 */
    _Atomic bool draining, store;   /* [any] */
    _Atomic int64_t peers_up, peers_wanted;     /* [any] */
} health;

static void tell_stuck(unsigned index, int64_t ns)
{
    char number[16], seconds[16];

    snprintf(number, sizeof number, "%u", index);
    snprintf(seconds, sizeof seconds, "%lld", (long long)(ns / 1000000000));
    metric_inc(M_watchdog_late);
    LOG(ERROR, "sched.stuck", LOG_FIELDS("scheduler", number, "seconds", seconds, "code", "RN0305"),
        "scheduler %s has not moved for %s s", number, seconds);
}

void health_tick(void)
{
    int64_t now = clock_monotonic_ns();
    int stuck = 0;

    if (health.at == NULL)
        health.at = MEM_NEW_ARRAY(struct progress, sched_count());
    for (unsigned i = 0; i < sched_count(); i++) {
        struct progress *p = &health.at[i];
        bool asleep;
        uint64_t turns = sched_turns(i, &asleep);

        if (asleep || turns != p->turns || p->since_ns == 0) {
            *p = (struct progress){ turns, now, false };
            continue;
        }
        if (now - p->since_ns < HEALTH_STUCK_NS)
            continue;
        stuck = (int)i + 1;
        if (!p->told)
            tell_stuck(i, now - p->since_ns);
        p->told = true;
    }
    atomic_store(&health.stuck, stuck);
}

int health_stuck_scheduler(void)
{
    return atomic_load(&health.stuck) - 1;
}

void health_set_draining(bool draining)
{
    atomic_store(&health.draining, draining);
}

void health_set_store(bool open)
{
    atomic_store(&health.store, open);
}

void health_set_peers(int64_t up, int64_t wanted)
{
    atomic_store(&health.peers_up, up);
    atomic_store(&health.peers_wanted, wanted);
}

bool health_is_ready(void)
{
    return atomic_load(&health.store) && !atomic_load(&health.draining) &&
           health_stuck_scheduler() < 0 &&
           atomic_load(&health.peers_up) >= atomic_load(&health.peers_wanted);
}

bool health_words(struct buf *out)
{
    int stuck = health_stuck_scheduler();
    int64_t up = atomic_load(&health.peers_up), wanted = atomic_load(&health.peers_wanted);

    if (!atomic_load(&health.store))
        buf_str(out, " · the store is not open");
    if (stuck >= 0)
        buf_printf(out, " · scheduler %d is stuck", stuck);
    if (up < wanted)
        buf_printf(out, " · %lld of %lld peers up", (long long)up, (long long)wanted);
    if (atomic_load(&health.draining))
        buf_str(out, " · it is draining: rnodectl resume");
    return health_is_ready();
}

bool health_ready(struct buf *out)
{
    bool store = atomic_load(&health.store), draining = atomic_load(&health.draining);
    int stuck = health_stuck_scheduler();
    int64_t up = atomic_load(&health.peers_up), wanted = atomic_load(&health.peers_wanted);
    bool ready = health_is_ready();

    buf_printf(out, "{\"ready\":%s,\"checks\":{\"store\":\"%s\",", ready ? "true" : "false",
               store ? "ok" : "not open");
    if (stuck >= 0)
        buf_printf(out, "\"schedulers\":\"scheduler %d is stuck\",", stuck);
    else
        buf_str(out, "\"schedulers\":\"ok\",");
    if (up >= wanted)
        buf_str(out, "\"peers\":\"ok\",");
    else
        buf_printf(out, "\"peers\":\"%lld of %lld up\",", (long long)up, (long long)wanted);
    buf_printf(out, "\"drain\":\"%s\"}}\n", draining ? "draining" : "ok");
    return ready;
}
