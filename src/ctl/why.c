/* SPDX-License-Identifier: Apache-2.0 */
/*
 * why.c - what a process waits for, and what those wait for whom it waits for
 */
#include "ctl/why.h"

#include "base/epoch.h"
#include "base/units.h"
#include "ctl/view.h"
#include "table/table.h"
#include "term/atom.h"
#include "term/print.h"
#include "vm/inspect.h"
#include "vm/sched.h"

#define CHAIN_MAX 8

static void name_of(struct buf *out, term pid, term name)
{
    if (is_atom(name))
        buf_printf(out, "%s ", atom_text(name, NULL));
    view_pid(out, pid);
}

/* A process of another node, with the pid that it has there. */
static void far_name(struct buf *out, const struct wait_view *w)
{
    if (is_atom(w->peer_name))
        buf_printf(out, "%s ", atom_text(w->peer_name, NULL));
    if (is_local_pid(w->peer))
        view_pid(out, w->peer);
    buf_printf(out, "%son node %s", is_local_pid(w->peer) ? " " : "",
               is_atom(w->peer_node) ? atom_text(w->peer_node, NULL) : "unknown");
}

static void add_since(struct buf *out, const struct wait_view *w)
{
    char text[UNIT_TEXT_MAX];

    if (w->view.waits_cs >= 100)
        buf_printf(out, " for %s", age_text((int64_t)w->view.waits_cs * 10000000, text));
}

static void add_messages(struct buf *out, const struct wait_view *w)
{
    char n[UNIT_TEXT_MAX];

    if (w->view.messages == 0)
        return;
    buf_printf(out, w->view.messages == 1 ? ", not the %s message in its mailbox"
                                          : ", none of the %s messages in its mailbox",
               w->view.messages == 1 ? "one" : count_text(w->view.messages, n));
}

static void add_timer(struct buf *out, const struct wait_view *w)
{
    char text[UNIT_TEXT_MAX];

    if (w->gives_up_ms >= 0)
        buf_printf(out, ", until its timer in %s", age_text(w->gives_up_ms * 1000000, text));
}

static void add_ready(struct buf *out, const struct wait_view *w)
{
    struct sched_totals totals;

    sched_totals(&totals);
    buf_printf(out, "is ready and waits for one of %u schedulers, with %llu processes ready, in ",
               sched_count(), (unsigned long long)totals.run_queue);
    view_mfa(out, w->view.current);
}

/* What the built-ins of persistent tables wait for. False: it is another one. */
static bool add_store(struct buf *out, const struct wait_view *w)
{
    const char *function = atom_text(w->built_in[1], NULL);
    struct table *t;

    if (strcmp(atom_text(w->built_in[0], NULL), "store") != 0)
        return false;
    if (strcmp(function, "$await") == 0 || strcmp(function, "sync") == 0) {
        buf_str(out, " until the store has written its change");
        return true;
    }
    if (strcmp(function, "$loaded") != 0)
        return false;
    epoch_enter();
    t = w->first != TERM_NONE ? table_by_id(w->first) : NULL;
    buf_str(out, " until the rows of table ");
    term_print(out, t != NULL ? atomic_load(&t->name) : w->first, 0, 100);
    epoch_leave();
    buf_str(out, " are loaded");
    return true;
}

/* What it does, without whom it waits for. */
static void add_reason(struct buf *out, const struct wait_view *w)
{
    switch (w->reason) {
    case WAITS_NOT:
        buf_str(out, "runs ");
        view_mfa(out, w->view.current);
        break;
    case WAITS_SCHEDULER:
        add_ready(out, w);
        break;
    case WAITS_MESSAGE:
        buf_str(out, "waits");
        add_since(out, w);
        buf_str(out, " for a message");
        add_messages(out, w);
        add_timer(out, w);
        break;
    case WAITS_BUILT_IN:
    case WAITS_WORK:
        buf_str(out, "waits");
        add_since(out, w);
        if (add_store(out, w))
            break;
        buf_str(out, w->reason == WAITS_WORK ? " for blocking work of " : " in ");
        view_mfa(out, w->built_in);
        break;
    case WAITS_ASLEEP:
        buf_str(out, "hibernates");
        add_since(out, w);
        break;
    case WAITS_RESUME:
        buf_str(out, "is suspended");
        add_since(out, w);
        break;
    case WAITS_GONE:
        buf_str(out, "is gone");
        break;
    }
}

/* The last of n processes waits for the one at from. */
static void add_circle(struct buf *out, size_t from, size_t n)
{
    buf_str(out, from == 0 ? ", which waits for it: deadlock" : ", which is waited for above: deadlock");
    if (n - from > 1)
        buf_printf(out, " of %zu processes", n - from);
    else
        buf_str(out, " with itself");
}

/* One link of the chain: whom pid waits for, TERM_NONE: for nobody we can follow. */
static term add_link(struct buf *out, term pid)
{
    struct wait_view w;
    struct heap bag;

    heap_bag_init(&bag);
    w = inspect_wait(pid, &bag);
    if (w.peer == TERM_NONE) {
        add_reason(out, &w);
    } else {
        buf_str(out, "waits");
        add_since(out, &w);
        buf_str(out, " for the answer of ");
        if (is_atom(w.peer_node))
            far_name(out, &w);
        else
            name_of(out, w.peer, inspect_name(w.peer));
        add_timer(out, &w);
    }
    heap_fini(&bag);
    return is_atom(w.peer_node) ? TERM_NONE : w.peer;
}

void why_waits(struct buf *out, term pid)
{
    term chain[CHAIN_MAX];

    for (size_t n = 0; n < CHAIN_MAX; n++) {
        chain[n] = pid;
        pid = add_link(out, pid);
        if (pid == TERM_NONE)
            return;
        for (size_t i = 0; i <= n; i++) {
            if (chain[i] == pid) {
                add_circle(out, i, n + 1);
                return;
            }
        }
        buf_str(out, ", which ");
    }
    buf_str(out, "waits for others");
}
