/* SPDX-License-Identifier: Apache-2.0 */
/*
 * collect.c - what the engine is doing, for whoever asks
 */
#include "web/collect.h"

#include "base/alloc.h"
#include "base/app_metric.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/slab.h"
#include "table/table.h"
#include "term/atom.h"
#include "vm/inspect.h"
#include "vm/process_priv.h"
#include "vm/sched.h"
#include "vm/survey.h"
#include "vm/timer.h"
#include "web/health.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/* Between walks over modules and, if need be, stacks. */
#define WALK_PERIOD_NS (5 * (int64_t)1000000000)

static struct {
    const char *version;            /* [set] */
    int64_t start_ns;               /* [set] monotonic */
    int64_t started_at_ns;          /* [set] system clock */
    int64_t next_survey_ns, next_walk_ns;   /* [tick] */
    /* of the last tick: [tick] writes, [any] reads */
    _Atomic uint64_t messages, longest, over, old_code, heap_bytes;
    _Atomic uint64_t code_bytes, rata, batuta, elixir, erlang;
} state;

/* --- at intervals --------------------------------------------------------------------- */

static bool count_old_user(void *arg, const struct process_view *v)
{
    *(uint64_t *)arg += v->old_code;
    return true;
}

struct modules {
    uint64_t bytes, rata, batuta, elixir, erlang;
    bool old;
};

static void count_module(void *arg, const struct module_view *v)
{
    struct modules *m = arg;
    const char *name = atom_text(v->name, NULL);

    m->old |= v->has_old;
    m->bytes += v->code_bytes + v->literal_bytes;
    if (strncmp(name, "Rata.", 5) == 0)
        m->rata++;
    else if (strncmp(name, "ba.", 3) == 0)
        m->batuta++;
    else if (strncmp(name, "Elixir.", 7) == 0)
        m->elixir++;
    else
        m->erlang++;
}

/* Modules; and who runs old code, which is seen only on the stacks, of all processes. */
static void walk(void)
{
    struct modules m = { 0 };
    uint64_t users = 0;

    inspect_modules(count_module, &m);
    if (m.old)
        inspect_processes(true, count_old_user, &users);
    atomic_store(&state.old_code, users);
    atomic_store(&state.code_bytes, m.bytes);
    atomic_store(&state.rata, m.rata);
    atomic_store(&state.batuta, m.batuta);
    atomic_store(&state.elixir, m.elixir);
    atomic_store(&state.erlang, m.erlang);
}

static void survey(uint64_t mailbox_warn)
{
    struct survey_totals t;

    survey_totals(mailbox_warn, &t);
    atomic_store(&state.messages, t.messages);
    atomic_store(&state.longest, t.longest);
    atomic_store(&state.over, t.over);
    atomic_store(&state.heap_bytes, t.heap_words * sizeof(term));
}

/* When that which began then may be done again: at most one hundredth of the time goes into it. */
static int64_t after_rest(int64_t began_ns, int64_t least_ns)
{
    int64_t rest = 100 * (clock_monotonic_ns() - began_ns);

    return began_ns + (rest > least_ns ? rest : least_ns);
}

void collect_tick(uint64_t mailbox_warn)
{
    int64_t now = clock_monotonic_ns();

    if (now >= state.next_survey_ns) {
        survey(mailbox_warn);
        state.next_survey_ns = after_rest(now, 0);
    }
    now = clock_monotonic_ns();
    if (now >= state.next_walk_ns) {
        walk();
        state.next_walk_ns = after_rest(now, WALK_PERIOD_NS);
    }
}

/* --- collectors ----------------------------------------------------------------------- */

/* metric_emit with one label. */
static void emit_as(struct metric_sink *sink, enum metric_id id, const char *label,
                    const char *value, double v)
{
    struct buf b = { 0 };

    metric_label(&b, label, value);
    metric_emit(sink, id, buf_cstr(&b), v);
    buf_fini(&b);
}

static void collect_node(struct metric_sink *sink, void *arg)
{
    struct buf b = { 0 };

    metric_label(&b, "version", state.version);
    metric_label(&b, "jit", "off");
    metric_emit(sink, M_build_info, buf_cstr(&b), 1);
    buf_fini(&b);
    metric_emit(sink, M_ready, NULL, health_is_ready());
}

/* Phases are differences of figures that are not read at one moment; a counter may not go back for
 * that. Under the registry's lock. */
enum phase { PHASE_RUN, PHASE_GC, PHASE_TIMERS, PHASE_STEAL, PHASE_SLEEP, PHASE_COUNT };

static void emit_phase(struct metric_sink *sink, enum phase phase, double seconds)
{
    static const char *const names[PHASE_COUNT] = { "run", "gc", "timers", "steal", "sleep" };
    static double given[PHASE_COUNT];

    if (seconds > given[phase])
        given[phase] = seconds;
    emit_as(sink, M_scheduler_seconds, "phase", names[phase], given[phase]);
}

static void collect_schedulers(struct metric_sink *sink, void *arg)
{
    double alive = (double)(clock_monotonic_ns() - state.start_ns) / 1e9, idle = 0;
    struct sched_totals t;
    double gc, timers, search;
    char index[12];

    sched_totals(&t);
    gc = (double)t.gc_ns / 1e9;
    timers = (double)t.timers_ns / 1e9;
    search = (double)t.search_ns / 1e9;
    metric_emit(sink, M_schedulers, "kind=\"normal\"", sched_count());
    for (unsigned i = 0; i < sched_count(); i++) {
        double idle_i = (double)sched_idle_ns(i) / 1e9;

        idle += idle_i;
        snprintf(index, sizeof index, "%u", i);
        emit_as(sink, M_scheduler_busy, "scheduler", index, alive > idle_i ? alive - idle_i : 0);
    }
    emit_phase(sink, PHASE_RUN, alive * sched_count() - idle - gc - timers);
    emit_phase(sink, PHASE_GC, gc);
    emit_phase(sink, PHASE_TIMERS, timers);
    emit_phase(sink, PHASE_STEAL, search);
    emit_phase(sink, PHASE_SLEEP, idle - search);
}

static void collect_processes(struct metric_sink *sink, void *arg)
{
    static const char *const names[PRIO_COUNT] = { "max", "high", "normal", "low" };
    struct sched_totals t;
    uint64_t timers = 0;

    sched_totals(&t);
    for (unsigned prio = 0; prio < PRIO_COUNT; prio++)
        emit_as(sink, M_run_queue, "priority", names[prio], sched_ready(prio));
    metric_emit(sink, M_processes, NULL, process_count());
    metric_emit(sink, M_processes_limit, NULL, inspect_processes_max());
    metric_emit(sink, M_spawned, NULL, (double)(t.exited + process_count()));
    metric_emit(sink, M_reductions, NULL, (double)t.reductions);
    metric_emit(sink, M_context_switches, NULL, (double)t.switches);
    metric_emit(sink, M_mailbox_messages, NULL, (double)atomic_load(&state.messages));
    metric_emit(sink, M_mailbox_max, NULL, (double)atomic_load(&state.longest));
    metric_emit(sink, M_mailbox_over, NULL, (double)atomic_load(&state.over));
    metric_emit(sink, M_old_code, NULL, (double)atomic_load(&state.old_code));
    for (unsigned full = 0; full < 2; full++) {
        const char *generation = full ? "full" : "young";

        emit_as(sink, M_gc_runs, "generation", generation, (double)t.collections[full]);
        emit_as(sink, M_gc_reclaimed, "generation", generation, (double)t.reclaimed_words[full] * 8);
    }
    for (unsigned i = 0; i < sched_count(); i++)
        timers += wheel_count(sched_wheel(i));
    metric_emit(sink, M_timers, NULL, (double)timers);
    metric_emit(sink, M_ports, NULL, (double)process_port_count());
}

#define ATOM_BYTES 48       /* an entry and its text, on average */

static void add_table(void *arg, struct table *t)
{
    *(int64_t *)arg += table_memory_words(t);
}

static void collect_memory(struct metric_sink *sink, void *arg)
{
    double resident = (double)mem_resident_bytes();
    double heaps = (double)atomic_load(&state.heap_bytes);
    double code = (double)atomic_load(&state.code_bytes);
    double atoms = (double)atom_count() * ATOM_BYTES;
    int64_t table_words = 0;
    double tables, known;

    table_visit(add_table, &table_words);
    tables = (double)table_words * sizeof(term);
    known = heaps + tables + atoms + code;
    emit_as(sink, M_memory, "kind", "heaps", heaps);
    emit_as(sink, M_memory, "kind", "tables", tables);
    emit_as(sink, M_memory, "kind", "atoms", atoms);
    emit_as(sink, M_memory, "kind", "code", code);
    emit_as(sink, M_memory, "kind", "other", resident > known ? resident - known : 0);
    metric_emit(sink, M_atoms, NULL, atom_count());
    metric_emit(sink, M_atoms_limit, NULL, atom_max());
    emit_as(sink, M_modules, "language", "erlang", (double)atomic_load(&state.erlang));
    emit_as(sink, M_modules, "language", "elixir", (double)atomic_load(&state.elixir));
    emit_as(sink, M_modules, "language", "rata", (double)atomic_load(&state.rata));
    emit_as(sink, M_modules, "language", "batuta", (double)atomic_load(&state.batuta));
}

static void collect_log(struct metric_sink *sink, void *arg)
{
    uint64_t written[LOG_LEVEL_COUNT], suppressed;

    log_counts(written, &suppressed);
    for (int level = 0; level < LOG_LEVEL_COUNT; level++)
        emit_as(sink, M_log_records, "level", log_level_name((enum log_level)level),
                (double)written[level]);
    metric_emit(sink, M_log_suppressed, NULL, (double)suppressed);
}

void collect_start(const char *version)
{
    state.version = mem_strdup(version);
    state.start_ns = clock_monotonic_ns();
    state.started_at_ns = clock_system_ns();
    metric_collector_add(collect_node, NULL);
    metric_collector_add(collect_schedulers, NULL);
    metric_collector_add(collect_processes, NULL);
    metric_collector_add(collect_memory, NULL);
    metric_collector_add(collect_log, NULL);
    metric_collector_add(app_metric_collect, NULL);
    metric_collector_add(collect_daemon, &state.started_at_ns);
}

int64_t collect_start_ns(void)
{
    return state.start_ns;
}
