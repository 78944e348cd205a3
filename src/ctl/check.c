/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check.c - rnodectl check: is it well? One line each, exit code 0 or 1
 *
 * For scripts and probes; doctor looks farther and says what to do. Worker thread.
 */
#include "ctl/handlers.h"

#include "base/epoch.h"
#include "base/errors.h"
#include "base/units.h"
#include "ctl/exits.h"
#include "ctl/node_api.h"
#include "ctl/view.h"
#include "dist/membership.h"
#include "dist/peer_ring.h"
#include "store/store.h"
#include "table/persist.h"
#include "term/atom.h"
#include "vm/sched.h"

#include <stdio.h>

#define SKEW_US_MAX     1000000
#define QUEUE_BYTES_MAX ((uint64_t)8 << 20)     /* to one peer: eight times its busy limit */

/* What a check found: a line of text, and the code of what is wrong, or NULL. */
struct finding { struct buf text; const char *code; };

static void check_ready(struct finding *f)
{
    struct buf missing = { 0 };
    bool ready = node_api.ready == NULL || node_api.ready(&missing);

    buf_printf(&f->text, "%s%s", ready ? "ready for new work" : "not ready", buf_cstr(&missing));
    if (!ready)
        f->code = "RN0810";
    buf_fini(&missing);
}

static void check_cluster(struct finding *f)
{
    static const char *const names[] = {
        [MEMBER_ALIVE] = "up", [MEMBER_SUSPECT] = "suspect", [MEMBER_DEAD] = "down",
        [MEMBER_LEFT] = "left",
    };
    struct cluster *c = membership_cluster();
    const struct cluster_snapshot *s;
    struct buf missing = { 0 };
    size_t up = 0, n = 0;

    if (c == NULL || !ring_founded()) {
        buf_str(&f->text, "this node is in no cluster");
        return;
    }
    epoch_enter();
    s = cluster_snapshot(c);
    for (size_t i = 0; i < s->n; i++) {
        const struct cluster_member *m = &s->members[i];

        if (m->state == MEMBER_LEFT)
            continue;
        n++;
        up += m->state == MEMBER_ALIVE;
        if (m->state != MEMBER_ALIVE)
            buf_printf(&missing, " · %s %s", m->name, names[m->state]);
    }
    buf_printf(&f->text, "%zu of %zu nodes up%s%s", up, n, buf_cstr(&missing),
               s->merging ? " · two parts become one" : "");
    epoch_leave();
    if (up < n)
        f->code = "RN0811";
    buf_fini(&missing);
}

static void store_findings(struct finding *f, struct store_stats *s)
{
    struct store *st = persist_store();
    uint64_t damaged = persist_damaged_rows();
    int failing = store_failure(st);
    char used[UNIT_TEXT_MAX], map[UNIT_TEXT_MAX];

    store_stats(st, s);
    if (damaged > 0) {
        buf_printf(&f->text, "%llu rows are damaged and left out", (unsigned long long)damaged);
        f->code = "RN0608";
    } else if (failing < 0) {
        buf_printf(&f->text, "commits fail: %s",
                   failing == -ERR_LIMIT ? "the disk or the map is full" : "I/O error");
        f->code = "RN0604";
    } else {
        buf_printf(&f->text, "%s of %s, %llu commits", size_text(s->used_bytes, used),
                   size_text(s->map_bytes, map), (unsigned long long)s->commits);
    }
}

/* thorough: read all of it. */
static void check_store(struct finding *f, bool thorough)
{
    struct store_stats s = { 0 };
    struct buf out = { 0 };

    if (persist_store() == NULL) {
        buf_str(&f->text, "this node has none");
    } else if (thorough && store_check(persist_store(), &out) < 0) {
        buf_printf(&f->text, "the store is damaged: %s", buf_cstr(&out));
        f->code = "RN0606";
    } else {
        store_findings(f, &s);
        if (f->code == NULL && thorough)
            buf_str(&f->text, ", all read");
    }
    buf_fini(&out);
}

struct peers { size_t up, suspect; uint64_t queued; struct buf trouble; };

static bool add_peer(void *arg, const struct peer_info *p)
{
    struct peers *all = arg;
    char text[UNIT_TEXT_MAX];
    bool suspect = p->state == PEER_SUSPECT || p->degraded;

    if (p->hidden || (p->state != PEER_UP && p->state != PEER_SUSPECT))
        return true;
    all->up++;
    all->queued += p->queued_bytes;
    if (suspect)
        buf_printf(&all->trouble, " · %s %s", p->name,
                   p->degraded ? "stands still" : "is silent");
    if (p->queued_bytes > QUEUE_BYTES_MAX)
        buf_printf(&all->trouble, " · %s to be sent to %s", size_text(p->queued_bytes, text), p->name);
    if (p->skew_us > SKEW_US_MAX || p->skew_us < -SKEW_US_MAX)
        buf_printf(&all->trouble, " · the clock of %s is %.1f s %s", p->name,
                   (double)(p->skew_us > 0 ? p->skew_us : -p->skew_us) / 1e6,
                   p->skew_us > 0 ? "ahead" : "behind");
    return true;
}

static void check_peers(struct finding *f)
{
    struct peers all = { 0 };
    char text[UNIT_TEXT_MAX];

    peer_visit(add_peer, &all);
    buf_printf(&f->text, "%zu session%s, %s to be sent%s", all.up, plural_s(all.up),
               size_text(all.queued, text), buf_cstr(&all.trouble));
    if (all.trouble.len > 0)
        f->code = "RN0812";
    buf_fini(&all.trouble);
}

static void check_queues(struct finding *f, int64_t mailbox_max)
{
    struct sched_totals totals;
    struct view_list l;
    char n[UNIT_TEXT_MAX];

    sched_totals(&totals);
    view_processes(PICK_ALL, ORDER_MSGQ, 1, 0, &l);
    buf_printf(&f->text, "%llu processes ready", (unsigned long long)totals.run_queue);
    if (l.n > 0 && l.at[0].messages > 0) {
        buf_printf(&f->text, " · longest mailbox %s of ", count_text(l.at[0].messages, n));
        if (is_atom(l.at[0].name))
            buf_str(&f->text, atom_text(l.at[0].name, NULL));
        else
            view_pid(&f->text, l.at[0].pid);
    }
    if (l.n > 0 && l.at[0].messages > (uint64_t)mailbox_max)
        f->code = "RN0803";
    view_list_fini(&l);
}

/* --- the command ------------------------------------------------------------------------------ */

static const char *const names[] = { "ready", "cluster", "store", "queues", "peers" };

static void run_check(const struct request *rq, size_t i, struct finding *f)
{
    switch (i) {
    case 0:
        check_ready(f);
        break;
    case 1:
        check_cluster(f);
        break;
    case 2:
        check_store(f, rq->msg->n_args > 0);
        break;
    case 3:
        check_queues(f, rq->limits.mailbox_warn);
        break;
    default:
        check_peers(f);
        break;
    }
}

/* False: it is not well. */
static bool reply_check(struct request *rq, size_t i)
{
    struct finding f = { { 0 }, NULL };
    bool good;

    run_check(rq, i, &f);
    good = f.code == NULL;
    reply_row(rq, (struct cell[]){ CELL_TEXT(good ? "ok" : "bad"), CELL_TEXT(names[i]),
                                   CELL_TEXT(buf_cstr(&f.text)), CELL_TEXT(good ? "" : f.code) }, 4);
    buf_fini(&f.text);
    return good;
}

void ctl_check(struct request *rq)
{
    static const struct column columns[] = {
        { "state", COL_TEXT, false }, { "check", COL_TEXT, false }, { "what", COL_TEXT, false },
        { "code", COL_TEXT, false },
    };
    const char *wanted = rq->msg->n_args > 0 ? request_arg(rq, 0) : NULL;
    size_t bad = 0, n = 0;
    bool known = wanted == NULL;

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        known |= wanted != NULL && strcmp(wanted, names[i]) == 0;
    if (!known) {
        reply_error(rq, EXIT_USAGE, "RN0101", "rnodectl check [ready|cluster|store|queues|peers]", NULL,
                    "`%s` cannot be checked", wanted);
        return;
    }
    reply_head(rq, "rnode.check/1", columns, ARRAY_LEN(columns), false);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (wanted != NULL && strcmp(wanted, names[i]) != 0)
            continue;
        n++;
        bad += !reply_check(rq, i);
    }
    reply_end(rq, bad > 0 ? EXIT_NO : EXIT_OK, "%s", "");
}
