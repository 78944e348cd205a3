/* SPDX-License-Identifier: Apache-2.0 */
/*
 * statistics.c - erlang:statistics and the few system flags that there are
 */
#include "bif/bif.h"

#include "base/clock.h"
#include "vm/process_priv.h"
#include "vm/sched.h"

#include <time.h>

/* {Total, since the last call}: what was told last, over all callers. */
static term with_delta(struct process *p, _Atomic uint64_t *last, uint64_t now)
{
    uint64_t was = atomic_exchange(last, now);

    return heap_tuple2(&p->heap, heap_uint(&p->heap, now),
                       heap_uint(&p->heap, now > was ? now - was : 0));
}

static uint64_t cpu_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static uint64_t wall_ms(void)
{
    static _Atomic int64_t start;
    int64_t now = clock_monotonic_ns(), zero = 0;

    atomic_compare_exchange_strong(&start, &zero, now - 1);
    return (uint64_t)(now - atomic_load(&start)) / 1000000;
}

static uint64_t reductions_now(struct process *p, const struct sched_totals *t)
{
    int64_t running = (int64_t)sched_reductions() - p->sched->fcalls;

    return t->reductions + (running > 0 ? (uint64_t)running : 0);
}

static term lengths(struct process *p)
{
    term list = TERM_NIL;

    for (unsigned i = sched_count(); i-- > 0; )
        list = heap_cons(&p->heap, small_make(sched_run_queue_length(i)), list);
    return list;
}

static term in_out(struct process *p)
{
    return heap_tuple2(&p->heap, heap_tuple2(&p->heap, ATOM_input, small_make(0)),
                       heap_tuple2(&p->heap, ATOM_output, small_make(0)));
}

term bif_statistics_1(struct process *p, const term *a)
{
    static _Atomic uint64_t last_reductions, last_exact, last_runtime, last_wall;
    struct sched_totals t;

    sched_totals(&t);
    switch (a[0]) {
    case ATOM_reductions:
        return with_delta(p, &last_reductions, reductions_now(p, &t));
    case ATOM_exact_reductions:
        return with_delta(p, &last_exact, reductions_now(p, &t));
    case ATOM_runtime:
        return with_delta(p, &last_runtime, cpu_ms());
    case ATOM_wall_clock:
        return with_delta(p, &last_wall, wall_ms());
    case ATOM_context_switches:
        return heap_tuple2(&p->heap, heap_uint(&p->heap, t.switches), small_make(0));
    case ATOM_garbage_collection:
        return heap_tuple3(&p->heap, heap_uint(&p->heap, t.collections[0] + t.collections[1]),
                           heap_uint(&p->heap, t.reclaimed_words[0] + t.reclaimed_words[1]),
                           small_make(0));
    case ATOM_io:
        return in_out(p);
    case ATOM_run_queue:
    case ATOM_total_run_queue_lengths:
    case ATOM_total_run_queue_lengths_all:
        return heap_uint(&p->heap, t.run_queue);
    case ATOM_total_active_tasks:
    case ATOM_total_active_tasks_all:
        return heap_uint(&p->heap, t.run_queue + 1);
    case ATOM_run_queue_lengths:
    case ATOM_run_queue_lengths_all:
    case ATOM_active_tasks:
    case ATOM_active_tasks_all:
        return lengths(p);
    case ATOM_scheduler_wall_time:
    case ATOM_scheduler_wall_time_all:
    case ATOM_microstate_accounting:
        return ATOM_undefined;
    }
    return bif_badarg(p);
}

/* Flags that programs set and read back; what they would tune is not tunable here. */
static struct { term name; _Atomic int64_t value; } flags[] = {
    { ATOM_backtrace_depth, 8 },
    { ATOM_fullsweep_after, 65535 },
    { ATOM_min_heap_size, HEAP_MIN_WORDS },
    { ATOM_min_bin_vheap_size, 46422 },
    { ATOM_max_heap_size, 0 },
};

term bif_system_flag_2(struct process *p, const term *a)
{
    for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
        if (flags[i].name != a[0])
            continue;
        if (!is_small(a[1]) || small_val(a[1]) < 0)
            return bif_badarg(p);
        return heap_int(&p->heap, atomic_exchange(&flags[i].value, small_val(a[1])));
    }
    switch (a[0]) {
    case ATOM_schedulers_online:
        return is_small(a[1]) && small_val(a[1]) > 0 ? small_make(sched_count()) : bif_badarg(p);
    case ATOM_multi_scheduling:
        return ATOM_enabled;
    case ATOM_scheduler_wall_time:
        return ATOM_false;
    case ATOM_system_logger:
    case ATOM_trace_control_word:
    case ATOM_time_offset:
        return a[0] == ATOM_time_offset ? ATOM_final : ATOM_undefined;
    }
    return bif_badarg(p);
}
