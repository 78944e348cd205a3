/* SPDX-License-Identifier: Apache-2.0 */
/*
 * why.c - what a process waits for, and what those wait for whom it waits for
 */
#include "ctl/why.h"

#include "base/units.h"
#include "ctl/view.h"
#include "term/atom.h"
#include "vm/inspect.h"

#define CHAIN_MAX 8

static void name_of(struct buf *out, term pid, term name)
{
    if (is_atom(name))
        buf_printf(out, "%s ", atom_text(name, NULL));
    view_pid(out, pid);
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

/* What it does, without whom it waits for. */
static void add_reason(struct buf *out, const struct wait_view *w)
{
    switch (w->reason) {
    case WAITS_NOT:
        buf_str(out, "runs ");
        view_mfa(out, w->view.current);
        break;
    case WAITS_SCHEDULER:
        buf_str(out, "is ready and waits for a scheduler, in ");
        view_mfa(out, w->view.current);
        break;
    case WAITS_MESSAGE:
        buf_printf(out, "waits%s", w->has_timeout ? ", not for ever," : "");
        add_since(out, w);
        buf_str(out, " for a message");
        add_messages(out, w);
        break;
    case WAITS_BUILT_IN:
    case WAITS_WORK:
        buf_str(out, "waits");
        add_since(out, w);
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

void why_waits(struct buf *out, term pid)
{
    term chain[CHAIN_MAX];

    for (size_t n = 0; n < CHAIN_MAX; n++) {
        struct wait_view w = inspect_wait(pid), peer;

        if (w.peer == TERM_NONE) {
            add_reason(out, &w);
            return;
        }
        buf_str(out, "waits");
        add_since(out, &w);
        buf_str(out, " for the answer of ");
        peer = inspect_wait(w.peer);
        name_of(out, w.peer, peer.view.name);
        chain[n] = pid;
        for (size_t i = 0; i <= n; i++) {
            if (chain[i] == w.peer) {
                buf_str(out, ", which waits for it: they wait in a circle");
                return;
            }
        }
        buf_str(out, ", which ");
        pid = w.peer;
    }
    buf_str(out, "waits for others");
}
