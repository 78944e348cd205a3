/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace.c - rnodectl trace: calls, messages, begins and ends as they happen, with limits
 *
 * A session belongs to one request. The hooks run on schedulers. They find the sessions that want an
 * event without a lock (the list is read inside an epoch, and what makes a session want an event
 * does not change), and take the sessions' lock to tell it; so nothing here stops the world while it
 * holds that lock: a scheduler waiting for it would never come to its loop head. A session ends by
 * events, by time, or when its client goes away; its points go first, then the session, on the
 * control thread.
 *
 * A session that has had its events of this second, or has taken its share of the schedulers' time
 * (trace_budget.h), is shut until the next. For a moment its events are counted, then the control
 * thread lowers the flags of vm/trace.h and disarms its trace points. So a trace of what happens all
 * the time costs its share and no more. Counted as cost are: every event that is told, whole; calls of
 * a hook that tell nothing, by samples; and what the control thread spends.
 */
#include "ctl/trace_priv.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/epoch.h"
#include "base/metric.h"
#include "base/units.h"
#include "ctl/exits.h"
#include "ctl/handlers.h"
#include "ctl/server.h"
#include "ctl/view.h"
#include "vm/sched.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define SHARE_NS           10000000     /* of a second, for each scheduler: one percent */
#define PROBE_NS           2000000      /* events are counted so long after the last that is told */

const struct trace_kind_row trace_kinds[KIND_COUNT] = {
    { "", &trace_calls }, { "send", &trace_sends }, { "receive", &trace_receives },
    { "spawn", &trace_spawns }, { "exit", &trace_exits },
};

pthread_mutex_t trace_lock = PTHREAD_MUTEX_INITIALIZER;
struct session *_Atomic trace_sessions;
_Atomic term trace_sole;
static _Atomic size_t nsessions;

static const struct column trace_columns[] = {
    { "time", COL_TEXT, false }, { "pid", COL_TEXT, false }, { "event", COL_TEXT, false },
};

size_t trace_session_count(void)
{
    return atomic_load(&nsessions);
}

/* --- open and shut: under the lock ------------------------------------------------------------ */

void session_set_mode(struct session *s, enum trace_mode mode)
{
    int64_t now = clock_monotonic_ns();
    enum trace_mode was = session_mode(s);

    if (was == MODE_PROBE)
        trace_budget_count(&s->budget, atomic_load(&s->probed), now - s->probe_ns);
    if (mode == MODE_OPEN)
        trace_budget_open(&s->budget, now);
    else
        trace_budget_shut(&s->budget, now);
    if (mode == MODE_PROBE) {
        s->probe_ns = now;
        atomic_store(&s->probed, 0);
    }
    atomic_store_explicit(&s->mode, mode, memory_order_relaxed);
    for (size_t k = 0; k < KIND_COUNT; k++) {
        if (s->kinds[k] && (was == MODE_SHUT) != (mode == MODE_SHUT))
            atomic_fetch_add(trace_kinds[k].wanted, mode != MODE_SHUT ? 1u : -1u);
    }
}

void session_shut(struct session *s)
{
    if (session_mode(s) != MODE_OPEN)
        return;
    session_set_mode(s, MODE_PROBE);
    event_active(s->shut, EV_TIMEOUT, 1);       /* any thread: the base has locks */
}

static void sole_update(void)
{
    term all = trace_sessions != NULL ? trace_sessions->only : TERM_NONE;

    for (struct session *s = trace_sessions; s != NULL; s = s->next) {
        if (s->only != all || s->draws)
            all = TERM_NONE;
    }
    atomic_store_explicit(&trace_sole, all, memory_order_relaxed);
}

/* --- the end ------------------------------------------------------------------------ */

/* Nobody sees it any more. */
static void session_reclaim(void *ptr)
{
    struct session *s = ptr;

    sequence_fini(&s->sequence);
    heap_fini(&s->bag);
    mem_free(s);
}

static void session_arm(struct session *s, bool arm)
{
    if (s->armed != arm)
        trace_points_arm(s->points, s->npoints, arm);
    s->armed = arm;
}

static void session_free(struct session *s)
{
    session_arm(s, false);
    if (s->npoints > 0)
        trace_points_remove(s->points, s->npoints);
    epoch_enter();
    epoch_retire(s, session_reclaim);
    epoch_leave();
}

static void reply_summary(struct session *s, int exit)
{
    int64_t now = clock_monotonic_ns(), ns = now - s->start_ns;
    int64_t missed = trace_budget_missed(&s->budget, now);
    char text_[UNIT_TEXT_MAX];
    struct buf text = { 0 };

    buf_printf(&text, "%lld events in %s · cost %.2f%% of a scheduler", (long long)s->events,
               age_text(ns, text_), 100.0 * (double)s->budget.spent_ns / (double)(ns + 1));
    if (s->budget.by_rate || s->budget.by_share)
        buf_printf(&text, " · looked %.3g%% of the time and missed about %s, what came beyond ",
                   100.0 * (double)trace_budget_open_ns(&s->budget, now) / (double)(ns + 1),
                   count_text((uint64_t)missed, text_));
    if (s->budget.by_rate)
        buf_printf(&text, "%lld a second", (long long)s->budget.rate);
    if (s->budget.by_share)
        buf_printf(&text, "%s1%% of the schedulers' time", s->budget.by_rate ? " or " : "");
    if (s->kinds[KIND_SEND] && !s->draws)
        buf_str(&text, " · --sequence draws who sent what");
    if (exit != 0)
        reply_error(s->rq, exit, "RN0111", "", NULL, "%s", buf_cstr(&text));
    else
        reply_done(s->rq, 0, (uint64_t)s->events, "%s", buf_cstr(&text));
    buf_fini(&text);
}

static void session_end(struct session *s, int exit)
{
    pthread_mutex_lock(&trace_lock);
    for (struct session *_Atomic *at = &trace_sessions; *at != NULL; at = &(*at)->next) {
        if (*at == s) {
            *at = s->next;
            break;
        }
    }
    session_set_mode(s, MODE_SHUT);
    sole_update();
    pthread_mutex_unlock(&trace_lock);
    atomic_fetch_sub(&nsessions, 1);
    event_free(s->timer);
    event_free(s->second);
    event_free(s->shut);
    s->rq->on_cancel = NULL;
    if (s->draws) {
        struct buf out = { 0 };

        sequence_draw(&s->sequence, s->form, &out);
        reply_chunk(s->rq, RNODE__CONTROL__CHUNK__STREAM__OUTPUT, out.data, out.len);
        buf_fini(&out);
    }
    reply_summary(s, exit);
    session_free(s);
}

static void on_session_end(evutil_socket_t fd, short what, void *arg)
{
    session_end(arg, 0);
}

/* Processor time of the control thread. */
static int64_t loop_time_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static void on_second(evutil_socket_t fd, short what, void *arg)
{
    struct session *s = arg;
    int64_t loop_ns = loop_time_ns();
    bool may;

    pthread_mutex_lock(&trace_lock);
    (void)!trace_budget_spend(&s->budget, (loop_ns - s->loop_ns) / (int64_t)trace_session_count());
    may = trace_budget_second(&s->budget) && !s->ending;
    if (!may)
        session_set_mode(s, MODE_SHUT);
    pthread_mutex_unlock(&trace_lock);
    s->loop_ns = loop_ns;
    session_arm(s, may);        /* not under the lock: it stops the world */
    if (!may)
        return;
    pthread_mutex_lock(&trace_lock);
    if (!s->ending)
        session_set_mode(s, MODE_OPEN);
    pthread_mutex_unlock(&trace_lock);
}

static void on_shut(evutil_socket_t fd, short what, void *arg)
{
    struct session *s = arg;
    int64_t left = 0;

    pthread_mutex_lock(&trace_lock);
    if (session_mode(s) == MODE_PROBE) {
        left = s->probe_ns + PROBE_NS - clock_monotonic_ns();
        if (left <= 0)
            session_set_mode(s, MODE_SHUT);
    }
    pthread_mutex_unlock(&trace_lock);
    if (left > 0)
        event_add(s->shut, &(struct timeval){ .tv_usec = (suseconds_t)(left / 1000 + 1) });
    else if (session_mode(s) == MODE_SHUT)
        session_arm(s, false);
}

static void on_session_cancel(struct request *rq)
{
    session_end(rq->data, EXIT_INTERRUPTED);
}

/* --- the beginning ------------------------------------------------------------------ */

static bool add_pattern(struct request *rq, struct session *s, const char *text)
{
    struct trace_pattern *tp = &s->patterns[s->npatterns];
    struct buf why = { 0 };
    size_t n = 0;

    for (size_t k = KIND_SEND; k < KIND_COUNT; k++) {
        if (strcmp(text, trace_kinds[k].word) == 0) {
            s->kinds[k] = true;
            return true;
        }
    }
    if (s->npatterns == PATTERNS_MAX) {
        reply_error(rq, EXIT_USAGE, "RN0102", NULL, NULL, "more than %d patterns", PATTERNS_MAX);
        return false;
    }
    if (!trace_pattern_parse(text, &s->bag, tp, &why)) {
        reply_error(rq, EXIT_USAGE, "RN0103",
                    "rnodectl trace 'lists:map/2 when arg2 =/= [] -> return' send receive spawn exit",
                    buf_cstr(&why), "`%s` is no pattern", text);
        buf_fini(&why);
        return false;
    }
    if (tp->m != TERM_NONE && (tp->f != TERM_NONE || tp->function[0] == 0))
        n = trace_points_add(tp->m, tp->f, tp->arity, s->points + s->npoints,
                             TRACE_POINTS_MAX - s->npoints);
    s->npoints += n;
    s->npatterns++;
    s->kinds[KIND_CALL] = true;
    if (n == 0)
        reply_error(rq, EXIT_NO, "RN0204", "rnodectl inspect MODULE lists what it exports", NULL,
                    "no loaded function matches `%s`", text);
    return n > 0;
}

/* Read the options of the request. On failure it is answered. */
static bool read_limits(struct request *rq, struct session *s, int64_t *ret_ms)
{
    const char *only = request_option(rq, "process"), *dur = request_option(rq, "for");
    const char *events = request_option(rq, "events"), *file = request_option(rq, "file");

    s->only = TERM_NONE;
    s->events_max = rq->limits.trace_events;
    s->draws = request_flag(rq, "sequence") || file != NULL;
    if (file != NULL)
        s->form = text_ends_with(file, ".svg") ? SEQUENCE_SVG
                  : text_ends_with(file, ".mmd") ? SEQUENCE_MERMAID : SEQUENCE_TEXT;
    s->kinds[KIND_SEND] = s->draws;
    *ret_ms = 10000;
    if (only != NULL && strcmp(only, "new") == 0) {
        s->only_new = true;
    } else if (only != NULL && (s->only = view_find(only)) == TERM_NONE) {
        reply_error(rq, EXIT_NO, "RN0302", NULL, NULL, "no process `%s`", only);
        return false;
    }
    if (dur != NULL && !duration_parse(dur, ret_ms)) {
        reply_error(rq, EXIT_USAGE, "RN0101", "--for 10s", NULL, "`%s` is no time", dur);
        return false;
    }
    if (events != NULL && (!count_parse(events, &s->events_max) || s->events_max == 0)) {
        reply_error(rq, EXIT_USAGE, "RN0101", "--events 100", NULL, "`%s` is no number of events",
                    events);
        return false;
    }
    if (rq->msg->n_args == 0 && !s->draws) {
        reply_error(rq, EXIT_USAGE, "RN0102", NULL, NULL, "trace takes a pattern, or --sequence");
        return false;
    }
    if (s->events_max > rq->limits.trace_events)
        s->events_max = rq->limits.trace_events;
    if (*ret_ms > rq->limits.trace_ms)
        *ret_ms = rq->limits.trace_ms;
    return true;
}

void ctl_trace(struct request *rq)
{
    struct session *s;
    struct timeval tv;
    int64_t ms;

    if (atomic_load(&nsessions) >= (size_t)rq->limits.trace_sessions) {
        reply_error(rq, EXIT_TIMEOUT, "RN0108", NULL, NULL, "%lld traces run already",
                    (long long)rq->limits.trace_sessions);
        return;
    }
    trace_tell_start();
    s = MEM_NEW(struct session);
    heap_bag_init(&s->bag);
    s->start_cs = sched_now_cs();
    if (!read_limits(rq, s, &ms)) {
        session_free(s);
        return;
    }
    for (size_t i = 0; i < rq->msg->n_args; i++) {
        if (!add_pattern(rq, s, request_arg(rq, i))) {
            session_free(s);
            return;
        }
    }
    if (!s->draws)
        reply_head_stream(rq, "rnode.trace/1", trace_columns, ARRAY_LEN(trace_columns));
    s->rq = rq;
    s->start_ns = clock_monotonic_ns();
    s->loop_ns = loop_time_ns();
    trace_budget_init(&s->budget, rq->limits.trace_rate, SHARE_NS * (int64_t)sched_count(),
                      s->start_ns);
    s->timer = event_new(server_base(), -1, 0, on_session_end, s);
    tv = (struct timeval){ .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };
    event_add(s->timer, &tv);
    s->second = event_new(server_base(), -1, EV_PERSIST, on_second, s);
    event_add(s->second, &(struct timeval){ .tv_sec = 1 });
    s->shut = event_new(server_base(), -1, 0, on_shut, s);
    session_arm(s, true);
    rq->data = s;
    rq->on_cancel = on_session_cancel;
    atomic_fetch_add(&nsessions, 1);
    pthread_mutex_lock(&trace_lock);
    s->next = trace_sessions;
    trace_sessions = s;
    session_set_mode(s, MODE_OPEN);
    sole_update();
    pthread_mutex_unlock(&trace_lock);
}

/* --- those that run -------------------------------------------------------------------- */

static void reply_session(struct request *rq, const struct session *s)
{
    struct buf what = { 0 };

    for (size_t i = 0; i < s->rq->msg->n_args; i++)
        buf_printf(&what, "%s%s", i > 0 ? " " : "", request_arg(s->rq, i));
    if (s->only != TERM_NONE) {
        buf_str(&what, " in ");
        view_pid(&what, s->only);
    }
    reply_row(rq, (struct cell[]){
        CELL_TEXT(buf_cstr(&what)), CELL_TEXT(s->rq->user), CELL_NUMBER(s->events),
        CELL_NUMBER(trace_budget_missed(&s->budget, clock_monotonic_ns())), CELL_NUMBER(clock_monotonic_ns() - s->start_ns),
    }, 5);
    buf_fini(&what);
}

void ctl_traces(struct request *rq)
{
    static const struct column cols[] = {
        { "trace", COL_TEXT, false }, { "by", COL_TEXT, false }, { "events", COL_COUNT_, false },
        { "missed", COL_COUNT_, false }, { "age", COL_NS, false },
    };

    reply_head(rq, "rnode.traces/1", cols, ARRAY_LEN(cols), false);
    pthread_mutex_lock(&trace_lock);
    for (const struct session *s = trace_sessions; s != NULL; s = s->next)
        reply_session(rq, s);
    pthread_mutex_unlock(&trace_lock);
    reply_done(rq, 0, trace_session_count(), "%s", "");
}
