/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cluster.c - flocks, as this node sees them
 */
#include "ctl/handlers.h"

#include "ctl/exits.h"
#include "ctl/view.h"
#include "dist/flock.h"
#include "term/term.h"

#define COLS(a) (a), sizeof(a) / sizeof((a)[0])

struct rows { struct request *rq; size_t shown, total, limit; };

static void end_rows(struct rows *r, const char *what)
{
    if (r->shown < r->total)
        reply_done(r->rq, r->total - r->shown, r->total, "%zu of %zu %s · all: -l 0", r->shown,
                   r->total, what);
    else
        reply_done(r->rq, 0, r->total, "%s", "");
}

static void row(struct rows *r, const struct cell *cells, size_t n)
{
    if (r->total++ < r->limit) {
        reply_row(r->rq, cells, n);
        r->shown++;
    }
}

static void flock_row(void *arg, const struct flock_info *f)
{
    struct rows *r = arg;
    struct buf pattern = { 0 };

    pattern_text(&pattern, f->pattern);
    row(r, (struct cell[]){ CELL_TEXT(f->name), CELL_NUMBER(f->members), CELL_NUMBER(f->nodes),
                            CELL_TEXT(f->origin), CELL_TEXT(buf_cstr(&pattern)) }, 5);
    buf_fini(&pattern);
}

static void member_head(struct rows *r)
{
    static const struct column cols[] = {
        { "node", COL_TEXT, false }, { "pid", COL_TEXT, false }, { "attributes", COL_TEXT, false },
    };

    if (r->total == 0)
        reply_head(r->rq, "rnode.flock/1", COLS(cols), false);
}

static void member_row(void *arg, const struct flock_member_info *m)
{
    struct rows *r = arg;
    struct buf pid = { 0 };

    member_head(r);
    view_pid(&pid, imm_make(IMM_PID, m->pid));
    row(r, (struct cell[]){ CELL_TEXT(m->node[0] != 0 ? m->node : "-"), CELL_TEXT(buf_cstr(&pid)),
                            CELL_TEXT(m->attrs) }, 3);
    buf_fini(&pid);
}

void ctl_flocks(struct request *rq)
{
    static const struct column flock_cols[] = {
        { "name", COL_TEXT, false }, { "members", COL_COUNT_, false }, { "nodes", COL_COUNT_, false },
        { "from", COL_TEXT, false }, { "pattern", COL_TEXT, false },
    };
    struct rows r = { .rq = rq, .limit = rq->msg->limit != 0 ? rq->msg->limit : SIZE_MAX };

    if (rq->msg->n_args == 0) {
        reply_head(rq, "rnode.flocks/1", COLS(flock_cols), false);
        flock_visit(flock_row, &r);
        end_rows(&r, "flocks");
        return;
    }
    if (!flock_visit_members(request_arg(rq, 0), member_row, &r)) {
        reply_error(rq, EXIT_NO, "RN0119", NULL, NULL, "no flock is called %s",
                    request_arg(rq, 0));
        return;
    }
    member_head(&r);
    end_rows(&r, "members");
}
