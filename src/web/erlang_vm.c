/* SPDX-License-Identifier: Apache-2.0 */
/*
 * erlang_vm.c - our figures under the names that published dashboards for the BEAM read
 *
 * The names are those of the VM collectors of the common Prometheus client for Erlang. A figure that
 * has no meaning here is left out rather than invented.
 */
#include "web/collect.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/slab.h"
#include "table/table.h"
#include "term/atom.h"
#include "vm/inspect.h"
#include "vm/process_priv.h"
#include "vm/sched.h"

#include <time.h>

static void one(struct buf *out, const char *name, const char *kind, const char *help, double v)
{
    buf_printf(out, "# HELP erlang_vm_%s %s\n# TYPE erlang_vm_%s %s\nerlang_vm_%s %.15g\n", name, help,
               name, kind, name, v);
}

static double cpu_seconds(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void memory(struct buf *out)
{
    double slabs = (double)slab_bytes_in_use(), atoms = (double)atom_count() * 48;

    buf_str(out, "# HELP erlang_vm_memory_bytes_total memory allocated, by kind\n"
                 "# TYPE erlang_vm_memory_bytes_total gauge\n");
    buf_printf(out, "erlang_vm_memory_bytes_total{kind=\"processes\"} %.0f\n", slabs);
    buf_printf(out, "erlang_vm_memory_bytes_total{kind=\"system\"} %.0f\n",
               (double)mem_resident_bytes() - slabs);
    buf_printf(out, "# HELP erlang_vm_memory_atom_bytes_total memory of atoms\n"
                    "# TYPE erlang_vm_memory_atom_bytes_total gauge\n"
                    "erlang_vm_memory_atom_bytes_total{usage=\"used\"} %.0f\n", atoms);
}

void collect_erlang_vm(struct buf *out)
{
    struct sched_totals t;
    double reclaimed;

    sched_totals(&t);
    reclaimed = (double)(t.reclaimed_words[0] + t.reclaimed_words[1]);
    memory(out);
    one(out, "atom_count", "gauge", "atoms in the table", atom_count());
    one(out, "atom_limit", "gauge", "most atoms", atom_max());
    one(out, "process_count", "gauge", "processes alive", process_count());
    one(out, "process_limit", "gauge", "most processes", inspect_processes_max());
    one(out, "schedulers", "gauge", "scheduler threads", sched_count());
    one(out, "schedulers_online", "gauge", "scheduler threads online", sched_count());
    one(out, "logical_processors", "gauge", "processors", sched_count());
    one(out, "ets_tables", "gauge", "tables", (double)table_count());
    one(out, "port_count", "gauge", "open ports", 0);
    one(out, "smp_support", "untyped", "threads are used", 1);
    one(out, "threads", "untyped", "threads are used", 1);
    one(out, "time_correction", "untyped", "clock corrections", 1);
    one(out, "wordsize_bytes", "gauge", "bytes of a word", 8);
    one(out, "statistics_reductions_total", "counter", "work done", (double)t.reductions);
    one(out, "statistics_context_switches", "counter", "context switches", (double)t.switches);
    one(out, "statistics_garbage_collection_number_of_gcs", "counter", "collections",
        (double)(t.collections[0] + t.collections[1]));
    one(out, "statistics_garbage_collection_words_reclaimed", "counter", "words reclaimed",
        reclaimed);
    one(out, "statistics_garbage_collection_bytes_reclaimed", "counter", "bytes reclaimed",
        reclaimed * 8);
    one(out, "statistics_run_queues_length", "gauge", "processes ready", t.run_queue);
    one(out, "statistics_runtime_milliseconds", "counter", "CPU time", cpu_seconds() * 1000);
    one(out, "statistics_wallclock_time_milliseconds", "counter", "time since the start",
        (double)(clock_monotonic_ns() - collect_start_ns()) / 1e6);
}
