/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace.c - rnodectl trace: calls and messages as they happen, with limits
 *
 * A session belongs to one request. The hooks run on schedulers and take the sessions' lock, so
 * nothing here stops the world while it holds that lock: a scheduler waiting for it would never
 * come to its loop head. A session ends by events, by time, or when its client goes away; its
 * points go first, then the session, on the control thread.
 */
#include "ctl/handlers.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/metric.h"
#include "base/units.h"
#include "ctl/exits.h"
#include "ctl/server.h"
#include "ctl/view.h"
#include "term/atom.h"
#include "term/print.h"
#include "vm/trace.h"

#include <event2/event.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ARGUMENT_BYTES_MAX 200
#define EVENT_BYTES_MAX    1000

struct session {
    struct session *next;               /* [lk] */
    struct request *rq;                 /* the handler's reference */
    struct event *timer;                /* [loop] */
    const struct trace_point *points[TRACE_POINTS_MAX]; /* [set] */
    size_t npoints;                     /* [set] */
    bool sends, receives;               /* [set] */
    term only;                          /* [set] pid, or TERM_NONE */
    int64_t events_max, rate;           /* [set] */
    int64_t start_ns;                   /* [set] */
    int64_t events, missed;             /* [lk] */
    int64_t second, in_second;          /* [lk] */
    bool full;                          /* [lk] it takes no more events in this second */
    struct event *beat;                 /* [loop] looks whether the second is over */
    bool ending;                        /* [lk] the control thread has been told */
};

static pthread_mutex_t sessions_lock = PTHREAD_MUTEX_INITIALIZER;
static struct session *sessions;        /* [lk] */
static _Atomic size_t nsessions;
/* Every session is full: events are not even looked at. relaxed: one more or less does not matter. */
static _Atomic bool all_full;

static const struct column trace_columns[] = {
    { "time", COL_TEXT, false }, { "pid", COL_TEXT, false }, { "event", COL_TEXT, false },
};

size_t trace_session_count(void)
{
    return atomic_load(&nsessions);
}

/* Under the lock: the sessions, or what one of them takes, have changed. */
static void note_full(void)
{
    bool full = sessions != NULL;

    for (const struct session *s = sessions; s != NULL; s = s->next)
        full &= s->full;
    atomic_store_explicit(&all_full, full, memory_order_relaxed);
}

/* --- the end ------------------------------------------------------------------------ */

static void session_end(struct session *s, int exit)
{
    struct request *rq = s->rq;
    char took[UNIT_TEXT_MAX];

    pthread_mutex_lock(&sessions_lock);
    for (struct session **at = &sessions; *at != NULL; at = &(*at)->next) {
        if (*at == s) {
            *at = s->next;
            break;
        }
    }
    note_full();
    pthread_mutex_unlock(&sessions_lock);
    atomic_fetch_sub(&nsessions, 1);
    if (s->sends)
        atomic_fetch_sub(&trace_sends, 1);
    if (s->receives)
        atomic_fetch_sub(&trace_receives, 1);
    if (s->npoints > 0)
        trace_points_remove(s->points, s->npoints);
    event_free(s->timer);
    event_free(s->beat);
    rq->on_cancel = NULL;
    age_text(clock_monotonic_ns() - s->start_ns, took);
    if (exit != 0)
        reply_error(rq, exit, "RN0111", "", NULL, "%lld events in %s", (long long)s->events, took);
    else if (s->missed > 0)
        reply_done(rq, (uint64_t)s->missed, (uint64_t)(s->events + s->missed),
                   "%lld events in %s, missed at least %lld beyond %lld a second",
                   (long long)s->events, took, (long long)s->missed, (long long)s->rate);
    else
        reply_done(rq, 0, (uint64_t)s->events, "%lld events in %s", (long long)s->events, took);
    mem_free(s);
}

static void on_session_end(evutil_socket_t fd, short what, void *arg)
{
    session_end(arg, 0);
}

static void on_session_cancel(struct request *rq)
{
    session_end(rq->data, EXIT_INTERRUPTED);
}

/* --- events: schedulers, under the lock --------------------------------------------- */

static bool is_full(void)
{
    return atomic_load_explicit(&all_full, memory_order_relaxed);
}

/* May this session take one more event? */
static bool session_admits(struct session *s)
{
    int64_t now = clock_monotonic_ns() / 1000000000;

    if (s->events >= s->events_max)
        return false;
    if (s->second != now) {
        s->second = now;
        s->in_second = 0;
    }
    if (s->in_second++ < s->rate)
        return true;
    s->missed++;
    s->full = true;
    note_full();
    return false;
}

/* Ten times a second: a new one has begun. */
static void on_beat(evutil_socket_t fd, short what, void *arg)
{
    struct session *s = arg;

    pthread_mutex_lock(&sessions_lock);
    if (s->second != clock_monotonic_ns() / 1000000000)
        s->full = false;
    note_full();
    pthread_mutex_unlock(&sessions_lock);
}

static void emit(struct session *s, term pid, struct buf *event)
{
    int64_t ns = clock_system_ns();
    time_t sec = (time_t)(ns / 1000000000);
    char when[32];
    struct buf who = { 0 };
    struct tm tm;

    localtime_r(&sec, &tm);
    snprintf(when, sizeof when, "%02d:%02d:%02d.%06d", tm.tm_hour, tm.tm_min, tm.tm_sec,
             (int)(ns / 1000 % 1000000));
    if (pid != TERM_NONE)
        view_pid(&who, pid);
    reply_row(s->rq, (struct cell[]){ CELL_TEXT(when), CELL_TEXT(buf_cstr(&who)),
                                      CELL_TEXT(buf_cstr(event)) }, 3);
    buf_fini(&who);
    metric_inc(M_trace_events);
    if (++s->events >= s->events_max && !s->ending) {
        s->ending = true;
        event_active(s->timer, EV_TIMEOUT, 1); /* any thread: the base has locks */
    }
}

static bool has_point(const struct session *s, const struct trace_point *tp)
{
    for (size_t i = 0; i < s->npoints; i++) {
        if (s->points[i] == tp)
            return true;
    }
    return false;
}

static void print_call(struct buf *out, const struct trace_point *tp, const term *x)
{
    atom_print(out, tp->module);
    buf_u8(out, ':');
    atom_print(out, tp->function);
    buf_u8(out, '(');
    for (uint32_t i = 0; i < tp->arity; i++) {
        if (i > 0)
            buf_str(out, ", ");
        term_print(out, x[i], PRINT_STRINGS | PRINT_UNICODE, ARGUMENT_BYTES_MAX);
    }
    buf_u8(out, ')');
}

static void on_call(struct process *p, const struct trace_point *tp, const term *x)
{
    if (is_full())
        return;
    pthread_mutex_lock(&sessions_lock);
    for (struct session *s = sessions; s != NULL; s = s->next) {
        struct buf event = { 0 };

        if ((s->only != TERM_NONE && s->only != p->pid) || !has_point(s, tp) || !session_admits(s))
            continue;
        print_call(&event, tp, x);
        emit(s, p->pid, &event);
        buf_fini(&event);
    }
    pthread_mutex_unlock(&sessions_lock);
}

static void on_message(term pid, bool is_send, const char *word, term other, term msg)
{
    if (is_full())
        return;
    pthread_mutex_lock(&sessions_lock);
    for (struct session *s = sessions; s != NULL; s = s->next) {
        struct buf event = { 0 };

        if (!(is_send ? s->sends : s->receives) || (s->only != TERM_NONE && s->only != pid) ||
            !session_admits(s))
            continue;
        buf_str(&event, word);
        if (other != TERM_NONE) {
            buf_u8(&event, ' ');
            term_print(&event, other, 0, ARGUMENT_BYTES_MAX);
            buf_str(&event, " !");
        }
        buf_u8(&event, ' ');
        term_print(&event, msg, PRINT_STRINGS | PRINT_UNICODE, EVENT_BYTES_MAX);
        emit(s, pid, &event);
        buf_fini(&event);
    }
    pthread_mutex_unlock(&sessions_lock);
}

static void on_send(struct process *from, term to, term msg)
{
    on_message(from != NULL ? from->pid : TERM_NONE, true, "send", to, msg);
}

static void on_receive(struct process *p, term msg)
{
    on_message(p->pid, false, "receive", TERM_NONE, msg);
}

/* --- the beginning ------------------------------------------------------------------ */

/* M, M:F or M:F/A into parts. False: none of these. */
static bool split_pattern(const char *text, char *module, char *function, int *ret_arity)
{
    const char *colon = strchr(text, ':'), *slash = colon != NULL ? strrchr(colon, '/') : NULL;
    char *end;

    *ret_arity = -1;
    function[0] = 0;
    if (colon == NULL) {
        snprintf(module, 256, "%s", text);
        return text[0] != 0;
    }
    if (colon == text || colon[1] == 0)
        return false;
    snprintf(module, 256, "%.*s", (int)(colon - text), text);
    if (slash != NULL && slash[1] != 0) {
        *ret_arity = (int)strtol(slash + 1, &end, 10);
        if (*end != 0 || *ret_arity < 0 || *ret_arity > 255)
            return false;
    } else {
        slash = NULL;
    }
    snprintf(function, 256, "%.*s", (int)(slash != NULL ? slash - colon - 1 : 255), colon + 1);
    return true;
}

static bool add_pattern(struct request *rq, struct session *s, const char *text)
{
    char module[256], function[256];
    term m, f = TERM_NONE;
    int arity;
    size_t n = 0;

    if (strcmp(text, "send") == 0 || strcmp(text, "receive") == 0) {
        *(text[0] == 's' ? &s->sends : &s->receives) = true;
        return true;
    }
    if (!split_pattern(text, module, function, &arity)) {
        reply_error(rq, EXIT_USAGE, "RN0103", "rnodectl trace lists:map/2 send receive", NULL,
                    "`%s` is neither M:F/A nor M:F, M, send or receive", text);
        return false;
    }
    m = atom_existing_utf8(module, strlen(module));
    if (function[0] != 0)
        f = atom_existing_utf8(function, strlen(function));
    if (m != TERM_NONE && (f != TERM_NONE || function[0] == 0))
        n = trace_points_add(m, f, arity, s->points + s->npoints, TRACE_POINTS_MAX - s->npoints);
    s->npoints += n;
    if (n == 0)
        reply_error(rq, EXIT_NO, "RN0204", "rnodectl inspect MODULE lists what it exports", NULL,
                    "no loaded function matches `%s`", text);
    return n > 0;
}

/* Read the options of the request. On failure it is answered. */
static bool read_limits(struct request *rq, struct session *s, int64_t *ret_ms)
{
    const char *only = request_option(rq, "process"), *dur = request_option(rq, "for");
    const char *events = request_option(rq, "events");

    s->only = TERM_NONE;
    s->rate = rq->limits.trace_rate;
    s->events_max = rq->limits.trace_events;
    *ret_ms = 10000;
    if (only != NULL && (s->only = view_find(only)) == TERM_NONE) {
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
    if (s->events_max > rq->limits.trace_events)
        s->events_max = rq->limits.trace_events;
    if (*ret_ms > rq->limits.trace_ms)
        *ret_ms = rq->limits.trace_ms;
    return true;
}

static void session_discard(struct session *s)
{
    if (s->npoints > 0)
        trace_points_remove(s->points, s->npoints);
    mem_free(s);
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
    trace_call_hook = on_call;
    trace_send_hook = on_send;
    trace_receive_hook = on_receive;
    s = MEM_NEW(struct session);
    if (!read_limits(rq, s, &ms)) {
        mem_free(s);
        return;
    }
    for (size_t i = 0; i < rq->msg->n_args; i++) {
        if (!add_pattern(rq, s, request_arg(rq, i))) {
            session_discard(s);
            return;
        }
    }
    reply_head_stream(rq, "rnode.trace/1", trace_columns, ARRAY_LEN(trace_columns));
    s->rq = rq;
    s->start_ns = clock_monotonic_ns();
    s->timer = event_new(server_base(), -1, 0, on_session_end, s);
    tv = (struct timeval){ .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };
    event_add(s->timer, &tv);
    s->beat = event_new(server_base(), -1, EV_PERSIST, on_beat, s);
    event_add(s->beat, &(struct timeval){ .tv_usec = 100000 });
    rq->data = s;
    rq->on_cancel = on_session_cancel;
    atomic_fetch_add(&nsessions, 1);
    pthread_mutex_lock(&sessions_lock);
    s->next = sessions;
    sessions = s;
    note_full();
    pthread_mutex_unlock(&sessions_lock);
    if (s->sends)
        atomic_fetch_add(&trace_sends, 1);
    if (s->receives)
        atomic_fetch_add(&trace_receives, 1);
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
        CELL_NUMBER(s->missed), CELL_NUMBER(clock_monotonic_ns() - s->start_ns),
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
    pthread_mutex_lock(&sessions_lock);
    for (const struct session *s = sessions; s != NULL; s = s->next)
        reply_session(rq, s);
    pthread_mutex_unlock(&sessions_lock);
    reply_done(rq, 0, trace_session_count(), "%s", "");
}
