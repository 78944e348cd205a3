/* SPDX-License-Identifier: Apache-2.0 */
/*
 * history.c - the deployments there were, and dropping the code that they left
 */
#include "ctl/handlers.h"

#include "base/alloc.h"
#include "base/errors.h"
#include "ctl/deploy.h"
#include "ctl/exits.h"
#include "ctl/view.h"
#include "term/atom.h"
#include "vm/code.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* --- history ---------------------------------------------------------------------------- */

struct history_reply { struct request *rq; size_t shown, total; };

static bool reply_deployment(void *arg, const struct deployment *d)
{
    struct history_reply *h = arg;
    char id[16];

    h->total++;
    if (h->rq->msg->limit != 0 && h->shown >= h->rq->msg->limit)
        return true;
    h->shown++;
    snprintf(id, sizeof id, "d%" PRIu32, d->id);
    reply_row(h->rq, (struct cell[]){
        CELL_TEXT(id), CELL_NUMBER(d->time_ns), CELL_TEXT(d->user), CELL_NUMBER(d->changed),
        CELL_TEXT(d->state), CELL_TEXT(d->message), CELL_NUMBER(d->nmodules),
        CELL_TEXT(d->signer),
    }, 8);
    return true;
}

void ctl_history(struct request *rq)
{
    static const struct column cols[] = {
        { "id", COL_TEXT, false }, { "when", COL_TIME, false }, { "by", COL_TEXT, false },
        { "changed", COL_COUNT_, false }, { "state", COL_TEXT, false },
        { "message", COL_TEXT, false },
        { "modules", COL_COUNT_, true }, { "signed", COL_TEXT, true },
    };
    struct history_reply h = { rq, 0, 0 };
    int rc;

    reply_head(rq, "rnode.history/1", cols, ARRAY_LEN(cols), false);
    rc = deploy_history(reply_deployment, &h);
    if (rc < 0)
        reply_error(rq, EXIT_IO, "RN0601", NULL, error_text(rc), "the history cannot be read");
    else
        reply_done(rq, h.total - h.shown, h.total, "%s", "");
}

/* --- purge ------------------------------------------------------------------------------ */

struct purge_list { term *at; size_t n; };

static void add_old_module(void *arg, const struct module_view *v)
{
    struct purge_list *l = arg;

    if (!v->has_old)
        return;
    l->at = mem_realloc(l->at, (l->n + 1) * sizeof(term));
    l->at[l->n++] = v->name;
}

static bool purge_named(struct request *rq, struct purge_list *l)
{
    for (size_t i = 0; i < rq->msg->n_args; i++) {
        const char *name = request_arg(rq, i);
        term t = atom_existing_utf8(name, strlen(name));

        if (t == TERM_NONE || (!code_is_loaded(t) && !code_has_old(t))) {
            reply_error(rq, EXIT_NO, "RN0204", NULL, NULL, "`%s` is not loaded", name);
            return false;
        }
        l->at = mem_realloc(l->at, (l->n + 1) * sizeof(term));
        l->at[l->n++] = t;
    }
    return true;
}

void ctl_purge(struct request *rq)
{
    static const struct column cols[] = {
        { "module", COL_TEXT, false }, { "result", COL_TEXT, false },
    };
    bool kill = request_flag(rq, "kill"), busy = false;
    struct purge_list l = { 0 };

    if (rq->msg->n_args > 0) {
        if (!purge_named(rq, &l)) {
            mem_free(l.at);
            return;
        }
    } else {
        inspect_modules(add_old_module, &l);
    }
    reply_head(rq, "rnode.purge/1", cols, ARRAY_LEN(cols), false);
    for (size_t i = 0; i < l.n; i++) {
        const char *result = "has no old code";

        if (code_has_old(l.at[i])) {
            int rc = rq->msg->dry_run ? 0 : code_purge_start(NULL, l.at[i], kill);

            result = rq->msg->dry_run ? "would be purged" : rc == 0 ? "purged" : "in use";
            busy |= rc < 0;
        }
        reply_row(rq, (struct cell[]){ CELL_TEXT(atom_text(l.at[i], NULL)), CELL_TEXT(result) }, 2);
    }
    mem_free(l.at);
    if (busy)
        reply_error(rq, EXIT_TIMEOUT, "RN0203", NULL, NULL, "some old code is still in use");
    else
        reply_done(rq, 0, l.n, "%s", l.n == 0 ? "no module has old code" : "");
}
