/* SPDX-License-Identifier: Apache-2.0 */
/*
 * figures.c - the commands metrics and web
 */
#include "ctl/handlers.h"

#include "base/alloc.h"
#include "base/metric.h"
#include "base/units.h"
#include "ctl/exits.h"
#include "ctl/node_api.h"

#include <stdio.h>

/* --- metrics -------------------------------------------------------------------------- */

static const struct column metric_columns[] = {
    { "metric", COL_TEXT, false }, { "labels", COL_TEXT, false }, { "value", COL_TEXT, false },
    { "kind", COL_TEXT, true }, { "help", COL_TEXT, true },
};
static const struct column catalogue_columns[] = {
    { "metric", COL_TEXT, false }, { "kind", COL_TEXT, false }, { "help", COL_TEXT, false },
};

static const char *const kinds[] = {
    [METRIC_COUNTER] = "counter", [METRIC_TIME] = "histogram", [METRIC_GAUGE] = "gauge",
    [METRIC_TOTAL] = "counter",
};

struct metric_query {
    struct request *rq;
    const char *pattern;
    size_t limit, matching, sent;
};

static void send_metric(void *arg, const struct metric_sample *s)
{
    struct metric_query *q = arg;
    char value[64], *name;

    if (strstr(s->name, q->pattern) == NULL && strstr(s->labels, q->pattern) == NULL)
        return;
    q->matching++;
    if (q->limit != 0 && q->sent == q->limit)
        return;
    q->sent++;
    if (s->kind == METRIC_TIME)
        snprintf(value, sizeof value, "%llu in %.6g s", (unsigned long long)s->count, s->value);
    else
        snprintf(value, sizeof value, "%.15g", s->value);
    name = mem_printf("%s%s", metric_prefix(s->name), s->name);
    reply_row(q->rq, (struct cell[]){ CELL_TEXT(name), CELL_TEXT(s->labels), CELL_TEXT(value),
                                      CELL_TEXT(kinds[s->kind]), CELL_TEXT(s->help) },
              ARRAY_LEN(metric_columns));
    mem_free(name);
}

static void send_catalogue(struct request *rq)
{
    static const struct { const char *name, *help; enum metric_kind kind; } rows[] = {
#define METRIC(ident, name, kind, labels, help) { name, help, METRIC_##kind },
#include "base/metrics.tab"
#undef METRIC
    };

    reply_head(rq, "rnode.metrics-catalogue/1", catalogue_columns, ARRAY_LEN(catalogue_columns), false);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char *name = mem_printf("%s%s", metric_prefix(rows[i].name), rows[i].name);

        if (rows[i].help[0] != 0)
            reply_row(rq, (struct cell[]){ CELL_TEXT(name), CELL_TEXT(kinds[rows[i].kind]),
                                           CELL_TEXT(rows[i].help) },
                      ARRAY_LEN(catalogue_columns));
        mem_free(name);
    }
    reply_done(rq, 0, 0, "%s", "");
}

void ctl_metrics(struct request *rq)
{
    struct metric_query q = { .rq = rq, .pattern = "", .limit = rq->msg->limit };

    if (request_flag(rq, "catalogue")) {
        send_catalogue(rq);
        return;
    }
    if (rq->msg->n_args > 0)
        q.pattern = request_arg(rq, 0);
    if (strncmp(q.pattern, "rnode_", 6) == 0)
        q.pattern += 6;
    reply_head(rq, "rnode.metrics/1", metric_columns, ARRAY_LEN(metric_columns), false);
    metric_visit(send_metric, &q);
    if (q.sent < q.matching)
        reply_done(rq, q.matching - q.sent, q.matching, "%zu of %zu series · all: -l 0", q.sent,
                   q.matching);
    else
        reply_done(rq, 0, q.matching, "%s", "");
}

/* --- plot ------------------------------------------------------------------------------- */

void ctl_plot(struct request *rq)
{
    const char *range = request_option(rq, "range");
    struct buf out = { 0 };
    int64_t ms = 3600000;
    bool known;

    if (range != NULL && (!duration_parse(range, &ms) || ms < 60000 || ms > 3600000)) {
        reply_error(rq, EXIT_USAGE, "RN0101", "--range 10m", NULL, "the range is a time from 1m to 1h");
        return;
    }
    known = node_api.plot != NULL &&
            node_api.plot(rq->msg->n_args > 0 ? request_arg(rq, 0) : "", (unsigned)(ms / 1000), false,
                          &out);
    if (!known && rq->msg->n_args > 0) {
        reply_error(rq, EXIT_NO, "RN0504", NULL, buf_cstr(&out), "no series `%s`; there are:",
                    request_arg(rq, 0));
    } else {
        reply_chunk(rq, RNODE__CONTROL__CHUNK__STREAM__OUTPUT, out.data, out.len);
        reply_done(rq, 0, 0, "%s", "");
    }
    buf_fini(&out);
}

/* --- web -------------------------------------------------------------------------------- */

void ctl_web(struct request *rq)
{
    static const struct column columns[] = { { "address", COL_TEXT, false } };
    char *address = node_api.page_address != NULL ? node_api.page_address(rq->role, rq->user) : NULL;

    if (address == NULL) {
        reply_error(rq, EXIT_NO, "RN0503", NULL, NULL, "%s serves no observer page", node_api.name);
        return;
    }
    reply_head(rq, "rnode.web/1", columns, ARRAY_LEN(columns), false);
    reply_row(rq, (struct cell[]){ CELL_TEXT(address) }, ARRAY_LEN(columns));
    reply_done(rq, 0, 0, "%s", "");
    mem_free(address);
}
