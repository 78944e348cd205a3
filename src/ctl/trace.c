/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace.c - rnodectl trace: calls, messages, begins and ends as they happen, with limits
 *
 * A session belongs to one request. The hooks run on schedulers and take the sessions' lock, so
 * nothing here stops the world while it holds that lock: a scheduler waiting for it would never
 * come to its loop head. A session ends by events, by time, or when its client goes away; its
 * points go first, then the session, on the control thread.
 *
 * A session that has had its events of this second, or has taken its share of the schedulers' time,
 * is shut until the next: the flags of vm/trace.h fall, and the hooks are not called. So a trace of
 * what happens all the time costs no more than its first events.
 */
#include "ctl/handlers.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/metric.h"
#include "base/units.h"
#include "ctl/exits.h"
#include "ctl/sequence.h"
#include "ctl/server.h"
#include "ctl/trace_pattern.h"
#include "ctl/view.h"
#include "term/atom.h"
#include "term/print.h"
#include "vm/profile.h"
#include "vm/registry.h"
#include "vm/sched.h"

#include <event2/event.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ARGUMENT_BYTES_MAX 200
#define EVENT_BYTES_MAX    1000
#define PATTERNS_MAX       16
#define STACK_FRAMES       8
#define SHARE_NS           10000000     /* of a second, for each scheduler: one percent */

enum kind { KIND_CALL, KIND_SEND, KIND_RECEIVE, KIND_SPAWN, KIND_EXIT, KIND_COUNT };

static const struct { const char *word; _Atomic uint32_t *wanted; } kinds[KIND_COUNT] = {
    { "", &trace_calls }, { "send", &trace_sends }, { "receive", &trace_receives },
    { "spawn", &trace_spawns }, { "exit", &trace_exits },
};

struct session {
    struct session *next;               /* [lk] */
    struct request *rq;                 /* the handler's reference */
    struct event *timer, *second;       /* [loop] */
    /* --- [set] --- */
    struct trace_pattern patterns[PATTERNS_MAX];
    size_t npatterns;
    struct heap bag;                    /* values of the patterns */
    const struct trace_point *points[TRACE_POINTS_MAX];
    size_t npoints;
    bool kinds[KIND_COUNT];
    term only;                          /* pid, or TERM_NONE */
    bool only_new;                      /* processes made since the start */
    uint32_t start_cs;
    int64_t events_max, rate, start_ns;
    bool draws;
    enum sequence_form form;
    /* --- [lk] --- */
    int64_t events, in_second, spent_ns, spent_in_second;
    bool is_open;                       /* counted in the flags */
    int64_t missed;                     /* at least so many: how often it was shut */
    bool ending;                        /* the control thread has been told */
    struct sequence sequence;
};

static pthread_mutex_t sessions_lock = PTHREAD_MUTEX_INITIALIZER;
static struct session *sessions;        /* [lk] */
static _Atomic size_t nsessions;
/* The one process that all sessions are about, or TERM_NONE: others need not take the lock.
 * relaxed: as for the flags */
static _Atomic term sole;

static const struct column trace_columns[] = {
    { "time", COL_TEXT, false }, { "pid", COL_TEXT, false }, { "event", COL_TEXT, false },
};

size_t trace_session_count(void)
{
    return atomic_load(&nsessions);
}

/* --- open and shut: under the lock ------------------------------------------------------------ */

static void session_set_open(struct session *s, bool open)
{
    if (s->is_open == open)
        return;
    s->is_open = open;
    for (size_t k = 0; k < KIND_COUNT; k++) {
        if (s->kinds[k])
            atomic_fetch_add(kinds[k].wanted, open ? 1u : -1u);
    }
}

static void sole_update(void)
{
    term all = sessions != NULL ? sessions->only : TERM_NONE;

    for (struct session *s = sessions; s != NULL; s = s->next) {
        if (s->only != all || s->draws)
            all = TERM_NONE;
    }
    atomic_store_explicit(&sole, all, memory_order_relaxed);
}

/* --- the end ------------------------------------------------------------------------ */

static void session_free(struct session *s)
{
    if (s->npoints > 0)
        trace_points_remove(s->points, s->npoints);
    sequence_fini(&s->sequence);
    heap_fini(&s->bag);
    mem_free(s);
}

static void reply_summary(struct session *s, int exit)
{
    int64_t ns = clock_monotonic_ns() - s->start_ns;
    char took[UNIT_TEXT_MAX];
    struct buf text = { 0 };

    buf_printf(&text, "%lld events in %s · cost %.2f%% of a scheduler", (long long)s->events,
               age_text(ns, took), 100.0 * (double)s->spent_ns / (double)(ns + 1));
    if (s->missed > 0)
        buf_printf(&text, " · missed what came beyond %lld a second", (long long)s->rate);
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
    pthread_mutex_lock(&sessions_lock);
    for (struct session **at = &sessions; *at != NULL; at = &(*at)->next) {
        if (*at == s) {
            *at = s->next;
            break;
        }
    }
    session_set_open(s, false);
    sole_update();
    pthread_mutex_unlock(&sessions_lock);
    atomic_fetch_sub(&nsessions, 1);
    event_free(s->timer);
    event_free(s->second);
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

static void on_second(evutil_socket_t fd, short what, void *arg)
{
    struct session *s = arg;

    pthread_mutex_lock(&sessions_lock);
    s->in_second = s->spent_in_second = 0;
    session_set_open(s, !s->ending);
    pthread_mutex_unlock(&sessions_lock);
}

static void on_session_cancel(struct request *rq)
{
    session_end(rq->data, EXIT_INTERRUPTED);
}

/* --- events: schedulers, under the lock --------------------------------------------- */

/* Whose mailbox a message for `to` comes to, as far as it is known here. */
static term receiver(term to)
{
    term who = is_tuple_n(to, 2) ? tuple_elem(to, 0) : to, pid;

    if (is_atom(who) && (pid = registry_whereis(who)) != TERM_NONE)
        return pid;
    return box_is(who, HK_REF) ? box_ptr(who)[2] : who;
}

static bool is_about(const struct session *s, const struct process *p, term other)
{
    if (s->only_new && (p == NULL || (int32_t)(p->born_cs - s->start_cs) < 0))
        return false;
    return s->only == TERM_NONE || (p != NULL && s->only == p->pid) ||
           (s->draws && other != TERM_NONE && receiver(other) == s->only);
}

/* May this session take one more event? */
static bool session_admits(struct session *s)
{
    if (!s->is_open || s->events >= s->events_max)
        return false;
    if (s->in_second++ < s->rate)
        return true;
    s->missed++;
    session_set_open(s, false);
    return false;
}

static void emit_row(struct session *s, enum kind kind, term pid, term other,
                     const struct buf *label)
{
    int64_t ns = clock_system_ns();
    time_t sec = (time_t)(ns / 1000000000);
    struct buf who = { 0 }, event = { 0 };
    char when[32];
    struct tm tm;

    localtime_r(&sec, &tm);
    snprintf(when, sizeof when, "%02d:%02d:%02d.%06d", tm.tm_hour, tm.tm_min, tm.tm_sec,
             (int)(ns / 1000 % 1000000));
    if (pid != TERM_NONE)
        view_pid(&who, pid);
    if (kind != KIND_CALL)
        buf_printf(&event, "%s ", kinds[kind].word);
    if (other != TERM_NONE) {
        term_print(&event, other, 0, ARGUMENT_BYTES_MAX);
        buf_str(&event, kind == KIND_SEND ? " ! " : " ");
    }
    buf_add(&event, label->data, label->len);
    reply_row(s->rq, (struct cell[]){ CELL_TEXT(when), CELL_TEXT(buf_cstr(&who)),
                                      CELL_TEXT(buf_cstr(&event)) }, 3);
    buf_fini(&who);
    buf_fini(&event);
}

/* A name that people know, or the pid. */
static void name_process(struct buf *out, term who)
{
    struct process *p = is_local_pid(who) ? process_lookup(who) : NULL;
    term name = p != NULL ? atomic_load_explicit(&p->registered, memory_order_relaxed) : TERM_NIL;

    term_print(out, is_atom(name) ? name : who, 0, ARGUMENT_BYTES_MAX);
}

static void emit_arrow(struct session *s, enum kind kind, term pid, term other,
                       const struct buf *label)
{
    struct buf from = { 0 }, to = { 0 }, text = { 0 };

    if (pid != TERM_NONE)
        name_process(&from, pid);
    name_process(&to, other != TERM_NONE ? receiver(other) : pid);
    if (kind != KIND_CALL && kind != KIND_SEND)     /* an arrow that says no more is a message */
        buf_printf(&text, "%s ", kinds[kind].word);
    buf_add(&text, label->data, label->len);
    sequence_add(&s->sequence, pid != TERM_NONE ? buf_cstr(&from) : NULL, buf_cstr(&to),
                 buf_cstr(&text));
    buf_fini(&from);
    buf_fini(&to);
    buf_fini(&text);
}

/* began_ns: when the hook was called; other: where a message went or who was spawned, or TERM_NONE;
 * label: the rest. */
static void emit(struct session *s, enum kind kind, int64_t began_ns, term pid, term other,
                 const struct buf *label)
{
    int64_t took;

    if (s->draws)
        emit_arrow(s, kind, pid, other, label);
    else
        emit_row(s, kind, pid, other, label);
    metric_inc(M_trace_events);
    if (++s->events >= s->events_max && !s->ending) {
        s->ending = true;
        session_set_open(s, false);
        event_active(s->timer, EV_TIMEOUT, 1); /* any thread: the base has locks */
    }
    took = clock_monotonic_ns() - began_ns;
    s->spent_ns += took;
    s->spent_in_second += took;
    if (s->spent_in_second > SHARE_NS * (int64_t)sched_count()) {
        s->missed++;
        session_set_open(s, false);
    }
}

static void print_call(const struct session *s, struct buf *out, const struct trace_point *tp,
                       const term *x)
{
    atom_print(out, tp->module);
    buf_u8(out, ':');
    atom_print(out, tp->function);
    buf_u8(out, '(');
    for (uint32_t i = 0; i < tp->arity; i++) {
        if (i > 0)
            buf_str(out, ", ");
        request_print(s->rq, out, x[i], ARGUMENT_BYTES_MAX);
    }
    buf_u8(out, ')');
}

/* Who called the function that p is about to enter at pc. */
static void print_callers(struct buf *out, const struct process *p, const void *pc)
{
    struct profile_frame frames[STACK_FRAMES + 1];
    size_t n = profile_stack(p, pc, 0, frames, STACK_FRAMES + 1);

    for (size_t i = 1; i < n; i++) {
        term mfa[] = { frames[i].module, frames[i].function, small_make(frames[i].arity) };

        buf_str(out, " < ");
        view_mfa(out, mfa);
    }
}

static bool is_elsewhere(const struct process *p)
{
    term all = atomic_load_explicit(&sole, memory_order_relaxed);

    return all != TERM_NONE && (p == NULL || p->pid != all);
}

static bool on_call(struct process *p, const struct trace_point *tp, const term *x)
{
    int64_t now = clock_monotonic_ns();
    bool wants_return = false;

    if (is_elsewhere(p))
        return false;
    pthread_mutex_lock(&sessions_lock);
    for (struct session *s = sessions; s != NULL; s = s->next) {
        for (size_t i = 0; i < s->npatterns && is_about(s, p, TERM_NONE); i++) {
            const struct trace_pattern *pat = &s->patterns[i];
            struct buf event = { 0 };

            if (!trace_pattern_covers(pat, tp->module, tp->function, tp->arity) ||
                !trace_pattern_admits(pat, tp->arity, x) || !session_admits(s))
                continue;
            print_call(s, &event, tp, x);
            if (pat->stack)
                print_callers(&event, p, tp->at);
            emit(s, KIND_CALL, now, p->pid, TERM_NONE, &event);
            buf_fini(&event);
            wants_return |= pat->returns || pat->time;
            break;
        }
    }
    pthread_mutex_unlock(&sessions_lock);
    return wants_return;
}

static void on_return(struct process *p, const term mfa[3], int64_t took_ns, term value)
{
    int64_t now = clock_monotonic_ns();
    char took[UNIT_TEXT_MAX];

    pthread_mutex_lock(&sessions_lock);
    for (struct session *s = sessions; s != NULL; s = s->next) {
        for (size_t i = 0; i < s->npatterns && is_about(s, p, TERM_NONE); i++) {
            const struct trace_pattern *pat = &s->patterns[i];
            struct buf event = { 0 };

            if (!trace_pattern_covers(pat, mfa[0], mfa[1], (uint32_t)small_val(mfa[2])) ||
                !(pat->returns || pat->time) || !session_admits(s))
                continue;
            view_mfa(&event, mfa);
            if (pat->returns) {
                buf_str(&event, " → ");
                request_print(s->rq, &event, value, EVENT_BYTES_MAX);
            }
            buf_printf(&event, "  %s", age_text(took_ns, took));
            emit(s, KIND_CALL, now, p->pid, TERM_NONE, &event);
            buf_fini(&event);
            break;
        }
    }
    pthread_mutex_unlock(&sessions_lock);
}

/* One of the other kinds: what p does, with whom (or TERM_NONE), and what it is about: a term, or the
 * function of a spawn. */
static void on_word(enum kind kind, const struct process *p, term other, term what,
                    const term *mfa)
{
    int64_t now = clock_monotonic_ns();

    if (is_elsewhere(p))
        return;
    pthread_mutex_lock(&sessions_lock);
    for (struct session *s = sessions; s != NULL; s = s->next) {
        struct buf label = { 0 };

        if (!s->kinds[kind] || !is_about(s, p, other) || !session_admits(s))
            continue;
        if (mfa != NULL)
            view_mfa(&label, mfa);
        else
            request_print(s->rq, &label, what, EVENT_BYTES_MAX);
        emit(s, kind, now, p != NULL ? p->pid : TERM_NONE, other, &label);
        buf_fini(&label);
    }
    pthread_mutex_unlock(&sessions_lock);
}

static void on_send(struct process *from, term to, term msg)
{
    on_word(KIND_SEND, from, to, msg, NULL);
}

static void on_receive(struct process *p, term msg)
{
    on_word(KIND_RECEIVE, p, TERM_NONE, msg, NULL);
}

static void on_spawn(const struct process *parent, const struct process *child)
{
    term mfa[] = { child->initial[0], child->initial[1], small_make(child->initial_arity) };

    on_word(KIND_SPAWN, parent, child->pid, TERM_NONE, mfa);
}

static void on_exit_(const struct process *p, term reason)
{
    on_word(KIND_EXIT, p, TERM_NONE, reason, NULL);
}

/* --- the beginning ------------------------------------------------------------------ */

static bool add_pattern(struct request *rq, struct session *s, const char *text)
{
    struct trace_pattern *tp = &s->patterns[s->npatterns];
    struct buf why = { 0 };
    size_t n = 0;

    for (size_t k = KIND_SEND; k < KIND_COUNT; k++) {
        if (strcmp(text, kinds[k].word) == 0) {
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
    s->rate = rq->limits.trace_rate;
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

static void hooks_set(void)
{
    trace_call_hook = on_call;
    trace_return_hook = on_return;
    trace_send_hook = on_send;
    trace_receive_hook = on_receive;
    trace_spawn_hook = on_spawn;
    trace_exit_hook = on_exit_;
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
    hooks_set();
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
    s->timer = event_new(server_base(), -1, 0, on_session_end, s);
    tv = (struct timeval){ .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };
    event_add(s->timer, &tv);
    s->second = event_new(server_base(), -1, EV_PERSIST, on_second, s);
    event_add(s->second, &(struct timeval){ .tv_sec = 1 });
    rq->data = s;
    rq->on_cancel = on_session_cancel;
    atomic_fetch_add(&nsessions, 1);
    pthread_mutex_lock(&sessions_lock);
    s->next = sessions;
    sessions = s;
    session_set_open(s, true);
    sole_update();
    pthread_mutex_unlock(&sessions_lock);
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
