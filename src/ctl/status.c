/* SPDX-License-Identifier: Apache-2.0 */
/*
 * status.c - rnodectl status: the node in a few lines, and what is most urgent
 *
 * Asked more often than anything else, so all of it costs the same however many processes there are.
 * Worker thread.
 */
#include "ctl/handlers.h"

#include "auth/identity.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/epoch.h"
#include "base/units.h"
#include "base/slab.h"
#include "ctl/deploy.h"
#include "ctl/node_api.h"
#include "ctl/view.h"
#include "dist/flock.h"
#include "dist/membership.h"
#include "dist/peer_ring.h"
#include "table/persist.h"
#include "term/atom.h"
#include "vm/sched.h"
#include "vm/survey.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define LONGEST       3
#define STORE_WARN    80    /* percent */
#define MISSING_MAX   3

static const struct column columns[] = {
    { "node", COL_TEXT, false }, { "version", COL_TEXT, false }, { "uptime", COL_NS, false },
    { "role", COL_TEXT, false }, { "user", COL_TEXT, false },
    { "schedulers", COL_COUNT_, false }, { "busy", COL_COUNT_, false },
    { "processes", COL_COUNT_, false }, { "processes_max", COL_COUNT_, false },
    { "run_queue", COL_COUNT_, false }, { "memory", COL_BYTES, false },
    { "slabs", COL_BYTES, false },
    { "atoms", COL_COUNT_, false }, { "atoms_max", COL_COUNT_, false },
    { "modules", COL_COUNT_, false }, { "deployment", COL_TEXT, false },
    { "socket", COL_TEXT, false }, { "pid", COL_COUNT_, false }, { "warnings", COL_TEXT, false },
    { "id", COL_TEXT, false }, { "memory_max", COL_BYTES, false }, { "heaps", COL_BYTES, false },
    { "tables", COL_BYTES, false }, { "code", COL_BYTES, false }, { "store", COL_TEXT, false },
    { "cluster", COL_TEXT, false },
};

/* --- figures ---------------------------------------------------------------------------------- */

struct code { size_t modules, old; uint64_t bytes; };

static void add_module(void *arg, const struct module_view *v)
{
    struct code *c = arg;

    c->modules++;
    c->old += v->has_old;
    c->bytes += v->code_bytes + v->literal_bytes;
}

static void add_table(void *arg, struct table *t)
{
    *(int64_t *)arg += table_memory_words(t) * (int64_t)sizeof(term);
}

/* Percent of the schedulers' time since the last look in which this program used a CPU. */
static unsigned busy_percent(void)
{
    static int64_t last_ns, last_cpu;       /* [worker] status is answered there */
    struct timespec ts;
    int64_t now = clock_monotonic_ns(), cpu, busy;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    cpu = (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
    if (last_ns == 0)
        last_ns = node_api.start_ns;
    busy = (cpu - last_cpu) * 100 / ((now - last_ns) * (int64_t)sched_count() + 1);
    last_ns = now;
    last_cpu = cpu;
    return busy > 100 ? 100 : (unsigned)busy;
}

/* The number in the file, or 0: there is none, or no limit. */
static uint64_t number_of_file(const char *path)
{
    FILE *in = fopen(path, "re");
    unsigned long long n = 0;

    if (in == NULL)
        return 0;
    if (fscanf(in, "%llu", &n) != 1)
        n = 0;
    fclose(in);
    return n;
}

/* Memory of the machine or, if that is less, of the control group. */
static uint64_t memory_max(void)
{
    uint64_t machine = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE), group = 0;
    FILE *in = fopen("/proc/self/cgroup", "re");
    char line[512], *path;

    while (in != NULL && fgets(line, sizeof line, in) != NULL) {
        if (strncmp(line, "0::", 3) != 0)
            continue;
        line[strcspn(line, "\n")] = 0;
        path = mem_printf("/sys/fs/cgroup%s/memory.max", line + 3);
        group = number_of_file(path);
        mem_free(path);
    }
    if (in != NULL)
        fclose(in);
    return group != 0 && group < machine ? group : machine;
}

/* --- what is urgent --------------------------------------------------------------------------- */

/* How fast the mailbox grows since the last status that named it, at least half a second ago; 0: not
 * known, or it does not. */
static uint64_t growth_of(const struct process_view *v)
{
    static struct { term pid; uint64_t messages; int64_t ns; } seen[LONGEST];   /* [worker] */
    static size_t next;
    int64_t now = clock_monotonic_ns(), growth;
    size_t i = 0;

    while (i < LONGEST && seen[i].pid != v->pid)
        i++;
    if (i == LONGEST) {
        i = next++ % LONGEST;
        seen[i].pid = v->pid;
        seen[i].messages = v->messages;
        seen[i].ns = now;
    }
    if (now - seen[i].ns < 500000000)
        return 0;
    growth = ((int64_t)v->messages - (int64_t)seen[i].messages) * 1000000000 / (now - seen[i].ns);
    seen[i].messages = v->messages;
    seen[i].ns = now;
    return growth > 0 ? (uint64_t)growth : 0;
}

static void warn_process(struct buf *out, const struct process_view *v, int64_t limit)
{
    char n[UNIT_TEXT_MAX];
    struct buf pid = { 0 };
    const char *who;
    uint64_t growth;

    if (v->messages <= (uint64_t)limit)
        return;
    view_pid(&pid, v->pid);
    who = is_atom(v->name) ? atom_text(v->name, NULL) : buf_cstr(&pid);
    growth = growth_of(v);
    buf_printf(out, "! mailbox   %s%s%s has %s messages", who, is_atom(v->name) ? " " : "",
               is_atom(v->name) ? buf_cstr(&pid) : "", count_text(v->messages, n));
    if (growth > 0)
        buf_printf(out, " and grows by %s/s", count_text(growth, n));
    buf_printf(out, " → rnodectl inspect '%s'\n", who);
    buf_fini(&pid);
}

/* About the longest mailboxes, if they are too long. */
static void warn_mailboxes(struct buf *out, int64_t limit, const struct survey_totals *totals)
{
    struct view_list l;

    if (totals->over == 0)
        return;
    view_processes(PICK_ALL, ORDER_MSGQ, LONGEST, 0, &l);
    for (size_t i = 0; i < l.n; i++)
        warn_process(out, &l.at[i], limit);
    view_list_fini(&l);
}

/* --- store and cluster ------------------------------------------------------------------------ */

static void describe_store(struct buf *out, struct buf *warnings)
{
    struct store_stats s = { 0 };
    char a[UNIT_TEXT_MAX], b[UNIT_TEXT_MAX];

    if (persist_store() == NULL) {
        buf_str(out, "none");
        return;
    }
    store_stats(persist_store(), &s);
    buf_printf(out, "%s of %s · %llu reader%s", size_text(s.used_bytes, a), size_text(s.map_bytes, b),
               (unsigned long long)s.readers, plural_s(s.readers));
    if (s.readers > 0)
        buf_printf(out, ", oldest %s", age_text(s.oldest_reader_ns, a));
    if (s.last_commit_ns >= 0)
        buf_printf(out, " · last commit %s ago", age_text(s.last_commit_ns, a));
    if (store_failure(persist_store()) < 0)
        buf_str(warnings, "! store     commits fail → rnodectl check store\n");
    else if (s.map_bytes > 0 && s.used_bytes * 100 / s.map_bytes >= STORE_WARN)
        buf_printf(warnings, "! store     %llu%% full → rnodectl doctor\n",
                   (unsigned long long)(s.used_bytes * 100 / s.map_bytes));
}

static void add_flock(void *arg, const struct flock_info *f)
{
    struct buf *out = arg;

    buf_printf(out, "%s%s %zu", out->len > 0 ? ", " : "", f->name, (size_t)f->members);
}

/* The members that are not up: the first few by name. */
static void add_missing(struct buf *warnings, const struct cluster_snapshot *s, size_t missing)
{
    size_t named = 0;

    if (missing == 0)
        return;
    buf_str(warnings, "! cluster   ");
    for (size_t i = 0; i < s->n && named < MISSING_MAX; i++) {
        const struct cluster_member *m = &s->members[i];

        if (m->state != MEMBER_SUSPECT && m->state != MEMBER_DEAD)
            continue;
        buf_printf(warnings, "%s%s is %s", named++ > 0 ? ", " : "", m->name,
                   m->state == MEMBER_SUSPECT ? "suspect" : "down");
    }
    if (missing > named)
        buf_printf(warnings, " and %zu more", missing - named);
    buf_str(warnings, " → rnodectl nodes\n");
}

static void describe_cluster(struct buf *out, struct buf *warnings)
{
    struct cluster *c = membership_cluster();
    const struct cluster_snapshot *s;
    struct buf flocks = { 0 };
    size_t up = 0, missing = 0;

    if (c == NULL || !ring_founded()) {
        buf_str(out, "none · rnodectl invite makes one");
    } else {
        epoch_enter();
        s = cluster_snapshot(c);
        for (size_t i = 0; i < s->n; i++) {
            up += s->members[i].state == MEMBER_ALIVE;
            missing += s->members[i].state == MEMBER_SUSPECT || s->members[i].state == MEMBER_DEAD;
        }
        buf_printf(out, "%zu of %zu nodes up", up, up + missing);
        add_missing(warnings, s, missing);
        epoch_leave();
    }
    flock_visit(add_flock, &flocks);
    if (flocks.len > 0)
        buf_printf(out, " · flocks %s", buf_cstr(&flocks));
    buf_fini(&flocks);
}

/* --- the answer ------------------------------------------------------------------------------- */

static void reply_status(struct request *rq, const struct survey_totals *survey,
                         const struct code *code, const char *texts[4])
{
    struct sched_totals totals;
    char letters[NODE_LETTERS];
    int64_t tables = 0;

    sched_totals(&totals);
    table_visit(add_table, &tables);
    reply_head(rq, "rnode.status/1", columns, ARRAY_LEN(columns), true);
    reply_row(rq, (struct cell[]){
        CELL_TEXT(node_api.name), CELL_TEXT(node_api.version),
        CELL_NUMBER(clock_monotonic_ns() - node_api.start_ns), CELL_TEXT(role_name(rq->role)),
        CELL_TEXT(rq->user), CELL_NUMBER(sched_count()), CELL_NUMBER(busy_percent()),
        CELL_NUMBER(inspect_processes_alive()), CELL_NUMBER(inspect_processes_max()),
        CELL_NUMBER(totals.run_queue), CELL_NUMBER(mem_resident_bytes()),
        CELL_NUMBER(slab_bytes_in_use()),
        CELL_NUMBER(atom_count()), CELL_NUMBER(atom_max()), CELL_NUMBER(code->modules),
        CELL_TEXT(texts[0]), CELL_TEXT(node_api.socket), CELL_NUMBER(getpid()), CELL_TEXT(texts[1]),
        CELL_TEXT(nid_letters(peer_self.nid, letters)), CELL_NUMBER(memory_max()),
        CELL_NUMBER(survey->heap_words * sizeof(term)), CELL_NUMBER(tables), CELL_NUMBER(code->bytes),
        CELL_TEXT(texts[2]), CELL_TEXT(texts[3]),
    }, ARRAY_LEN(columns));
    reply_done(rq, 0, 0, "%s", "");
}

void ctl_status(struct request *rq)
{
    struct buf deployment = { 0 }, warnings = { 0 }, store = { 0 }, cluster = { 0 };
    struct survey_totals survey;
    struct code code = { 0 };

    survey_totals((uint64_t)rq->limits.mailbox_warn, &survey);
    inspect_modules(add_module, &code);
    warn_mailboxes(&warnings, rq->limits.mailbox_warn, &survey);
    describe_store(&store, &warnings);
    describe_cluster(&cluster, &warnings);
    deploy_describe_live(&deployment);
    if (code.old > 0 && deploy_live_age_ms() > rq->limits.purge_wait_ms)
        buf_printf(&warnings, "! code      modules with old code: %zu → rnodectl purge\n", code.old);
    if (node_api.draining)
        buf_str(&warnings, "! drain     new work goes elsewhere → rnodectl resume\n");
    reply_status(rq, &survey, &code, (const char *[]){ buf_cstr(&deployment), buf_cstr(&warnings),
                                                       buf_cstr(&store), buf_cstr(&cluster) });
    buf_fini(&deployment);
    buf_fini(&warnings);
    buf_fini(&store);
    buf_fini(&cluster);
}
