/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admin.c - logs, events, config, reload, stop
 */
#include "ctl/handlers.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/errors.h"
#include "base/log.h"
#include "base/units.h"
#include "ctl/exits.h"
#include "ctl/node_api.h"
#include "ctl/server.h"
#include "ctl/view.h"

#include <ctype.h>
#include <event2/event.h>
#include <stdio.h>
#include <time.h>

/* --- logs --------------------------------------------------------------------------- */

#define FOLLOW_TICK_MS 100

struct log_query {
    struct request *rq;
    enum log_level least;
    int64_t since_ns;
    uint64_t after;             /* seq of the last record seen */
    size_t skip;                /* matching records older than the limit allows */
    size_t matching, sent;
    struct event *tick;
    bool (*send)(void *arg, const struct log_record *r);    /* how a followed record is shown */
    char prefix[64];            /* of the names of events */
    char pid[32], name[256];    /* of the process that records are about; "": any */
};

static const struct column log_columns[] = {
    { "time", COL_TEXT, false }, { "level", COL_TEXT, false }, { "event", COL_TEXT, false },
    { "text", COL_TEXT, false }, { "seq", COL_COUNT_, true },
};

/* Records about a process have the field pid, "<0.5.0> name": one of the two is asked for. */
static bool is_about(const struct log_query *q, const struct log_record *r)
{
    for (size_t i = 0; r->fields[i] != NULL; i += 2) {
        const char *who = r->fields[i + 1], *name = strchr(who, ' ');
        size_t n = name != NULL ? (size_t)(name - who) : strlen(who);

        if (strcmp(r->fields[i], "pid") != 0)
            continue;
        return (strncmp(who, q->pid, n) == 0 && q->pid[n] == 0) ||
               (q->name[0] != 0 && name != NULL && strcmp(name + 1, q->name) == 0);
    }
    return false;
}

static bool log_matches(const struct log_query *q, const struct log_record *r)
{
    bool anyone = q->pid[0] == 0 && q->name[0] == 0;

    return r->level >= q->least && r->time_ns >= q->since_ns && (anyone || is_about(q, r));
}

/* A pid, or a name: of whoever has it now, and of those who had it. */
static void set_actor(struct log_query *q, const char *actor)
{
    term pid = view_find(actor);
    struct buf text = { 0 };

    if (pid != TERM_NONE)
        view_pid(&text, pid);
    else if (actor[0] == '<' || isdigit((unsigned char)actor[0]))   /* gone */
        buf_printf(&text, "%s%s%s", actor[0] == '<' ? "" : "<", actor, actor[0] == '<' ? "" : ">");
    if (actor[0] != '<' && !isdigit((unsigned char)actor[0]))
        snprintf(q->name, sizeof q->name, "%s", actor);
    snprintf(q->pid, sizeof q->pid, "%s", buf_cstr(&text));
    buf_fini(&text);
}

static bool count_record(void *arg, const struct log_record *r)
{
    struct log_query *q = arg;

    q->matching += log_matches(q, r);
    return true;
}

static void record_time(int64_t ns, char out[32])
{
    time_t sec = (time_t)(ns / 1000000000);
    struct tm tm;

    localtime_r(&sec, &tm);
    snprintf(out, 32, "%02d:%02d:%02d.%03d", tm.tm_hour, tm.tm_min, tm.tm_sec,
             (int)(ns / 1000000 % 1000));
}

static bool send_record(void *arg, const struct log_record *r)
{
    struct log_query *q = arg;
    char when[32];
    struct buf text = { 0 };

    if (!log_matches(q, r))
        return true;
    if (q->skip > 0) {
        q->skip--;
        return true;
    }
    record_time(r->time_ns, when);
    buf_str(&text, r->text);
    for (size_t i = 0; r->fields[i] != NULL; i += 2)
        buf_printf(&text, "  %s=%s", r->fields[i], r->fields[i + 1]);
    reply_row(q->rq, (struct cell[]){ CELL_TEXT(when), CELL_TEXT(log_level_name(r->level)),
                                      CELL_TEXT(r->event), CELL_TEXT(buf_cstr(&text)),
                                      CELL_NUMBER(r->seq) }, 5);
    q->sent++;
    buf_fini(&text);
    return true;
}

static void follow_tick(evutil_socket_t fd, short what, void *arg)
{
    struct log_query *q = arg;

    q->skip = 0;
    q->after = log_visit(q->after, q->send, q);
}

static void follow_end(struct request *rq)
{
    struct log_query *q = rq->data;

    event_free(q->tick);
    mem_free(q);
    rq->on_cancel = NULL;
    reply_error(rq, EXIT_INTERRUPTED, "RN0111", "", NULL, "ended");
}

static void follow_begin(struct request *rq, const struct log_query *q)
{
    struct timeval tick = { .tv_usec = FOLLOW_TICK_MS * 1000 };
    struct log_query *own = mem_dup(q, sizeof *q);

    own->tick = event_new(server_base(), -1, EV_PERSIST, follow_tick, own);
    event_add(own->tick, &tick);
    rq->data = own;
    rq->on_cancel = follow_end;
}

void ctl_logs(struct request *rq)
{
    struct log_query q = { .rq = rq, .send = send_record };
    const char *level = request_option(rq, "level"), *since = request_option(rq, "since");
    int64_t ms;

    if (level != NULL && !log_level_parse(level, &q.least)) {
        reply_error(rq, EXIT_USAGE, "RN0101", "debug, info, notice, warning, error or critical",
                    NULL, "`%s` is no level", level);
        return;
    }
    if (since != NULL) {
        if (!duration_parse(since, &ms)) {
            reply_error(rq, EXIT_USAGE, "RN0101", "--since 10m", NULL, "`%s` is no time", since);
            return;
        }
        q.since_ns = clock_system_ns() - ms * 1000000;
    }
    if (request_option(rq, "actor") != NULL)
        set_actor(&q, request_option(rq, "actor"));
    if (request_flag(rq, "follow"))
        reply_head_stream(rq, "rnode.logs/1", log_columns, ARRAY_LEN(log_columns));
    else
        reply_head(rq, "rnode.logs/1", log_columns, ARRAY_LEN(log_columns), false);
    log_visit(0, count_record, &q);
    if (rq->msg->limit != 0 && q.matching > rq->msg->limit)
        q.skip = q.matching - rq->msg->limit;
    ms = (int64_t)q.skip;
    q.after = log_visit(0, send_record, &q);
    if (request_flag(rq, "follow"))
        follow_begin(rq, &q);
    else if (ms > 0)
        reply_done(rq, (uint64_t)ms, q.matching, "%zu of %zu records · all: -l 0", q.sent,
                   q.matching);
    else
        reply_done(rq, 0, q.matching, "%s", "");
}

/* --- events ------------------------------------------------------------------------- */

static const struct column event_columns[] = {
    { "time", COL_TEXT, false }, { "event", COL_TEXT, false }, { "about", COL_TEXT, false },
    { "seq", COL_COUNT_, true },
};

static bool send_event(void *arg, const struct log_record *r)
{
    struct log_query *q = arg;
    struct buf about = { 0 };
    char when[32];

    if (strncmp(r->event, q->prefix, strlen(q->prefix)) != 0 || r->level < LOG_LEVEL_INFO)
        return true;
    for (size_t i = 0; r->fields[i] != NULL; i += 2)
        buf_printf(&about, "%s%s=%s", i > 0 ? " " : "", r->fields[i], r->fields[i + 1]);
    record_time(r->time_ns, when);
    reply_row(q->rq, (struct cell[]){ CELL_TEXT(when), CELL_TEXT(r->event),
                                      CELL_TEXT(buf_cstr(&about)), CELL_NUMBER(r->seq) }, 4);
    buf_fini(&about);
    return true;
}

void ctl_events(struct request *rq)
{
    bool follow = request_flag(rq, "follow");
    struct log_query q = { .rq = rq, .send = send_event };

    if (rq->msg->n_args > 0)
        snprintf(q.prefix, sizeof q.prefix, "%s", request_arg(rq, 0));
    if (follow)
        reply_head_stream(rq, "rnode.events/1", event_columns, ARRAY_LEN(event_columns));
    else
        reply_head(rq, "rnode.events/1", event_columns, ARRAY_LEN(event_columns), false);
    q.after = log_visit(0, send_event, &q);
    if (follow)
        follow_begin(rq, &q);
    else
        reply_done(rq, 0, 0, "%s", "");
}

/* --- configuration and stop --------------------------------------------------------- */

void ctl_config(struct request *rq)
{
    struct buf out = { 0 };

    if (node_api.config != NULL)
        node_api.config(&out);
    reply_chunk(rq, RNODE__CONTROL__CHUNK__STREAM__OUTPUT, out.data, out.len);
    reply_done(rq, 0, 0, "%s", "");
    buf_fini(&out);
}

void ctl_reload(struct request *rq)
{
    struct buf out = { 0 };
    int rc = node_api.reload != NULL ? node_api.reload(&out) : 0;

    if (rc < 0)
        reply_error(rq, EXIT_CONFIG, "RN0401", "rnoded --check", buf_cstr(&out),
                    "the new configuration is refused; the old one stays");
    else
        reply_done(rq, 0, 0, "%s", out.len > 0 ? buf_cstr(&out) : "reloaded: nothing changed");
    buf_fini(&out);
}

void ctl_stop(struct request *rq)
{
    bool now = request_flag(rq, "now");

    if (rq->msg->dry_run) {
        reply_done(rq, 0, 0, "%s would stop", node_api.name);
        return;
    }
    reply_done(rq, 0, 0, "%s stops", node_api.name);
    node_api.stop(now);
}
