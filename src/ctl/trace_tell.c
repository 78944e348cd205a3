/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace_tell.c - the events of traces, on the schedulers where they happen
 */
#include "ctl/trace_priv.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/epoch.h"
#include "base/metric.h"
#include "base/units.h"
#include "ctl/view.h"
#include "term/atom.h"
#include "term/print.h"
#include "vm/profile.h"
#include "vm/registry.h"
#include "vm/sched.h"

#include <stdio.h>
#include <time.h>

#define ARGUMENT_BYTES_MAX 200
#define EVENT_BYTES_MAX    1000
#define STACK_FRAMES       8
#define SAMPLE             16           /* calls of a hook for one that is measured */
#define CALL_NS            10           /* to come to a hook and back */
#define SAMPLE_NS_MAX      10000        /* a thread that loses its processor meanwhile spends nothing */
#define TOLD_NS_MAX        100000       /* the same */
#define OWED_NS            20000        /* so much is counted at once */

/* --- which, and where ------------------------------------------------------------------- */

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
    if (session_mode(s) != MODE_OPEN || s->events >= s->events_max)
        return false;
    if (trace_budget_event(&s->budget))
        return true;
    session_shut(s);
    return false;
}

static void emit_row(struct session *s, enum trace_kind kind, term pid, term other,
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
        buf_printf(&event, "%s ", trace_kinds[kind].word);
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

static void emit_arrow(struct session *s, enum trace_kind kind, term pid, term other,
                       const struct buf *label)
{
    struct buf from = { 0 }, to = { 0 }, text = { 0 };

    if (pid != TERM_NONE)
        name_process(&from, pid);
    name_process(&to, other != TERM_NONE ? receiver(other) : pid);
    if (kind != KIND_CALL && kind != KIND_SEND)     /* an arrow that says no more is a message */
        buf_printf(&text, "%s ", trace_kinds[kind].word);
    buf_add(&text, label->data, label->len);
    sequence_add(&s->sequence, pid != TERM_NONE ? buf_cstr(&from) : NULL, buf_cstr(&to),
                 buf_cstr(&text));
    buf_fini(&from);
    buf_fini(&to);
    buf_fini(&text);
}

/* What this thread has spent and no session has counted: in hooks that told nothing, of which one in SAMPLE is
 * measured, and in letting go of the lock after an event, for which others may wait. */
static _Thread_local struct { unsigned skip; int64_t owed_ns; } meter;

static int64_t clock_ns;        /* [set] what reading the clock takes */

static void clock_measure(void)
{
    int64_t least = INT64_MAX;

    for (int i = 0; i < 100; i++) {
        int64_t began = clock_monotonic_ns(), took = clock_monotonic_ns() - began;

        least = took < least ? took : least;
    }
    clock_ns = least > 0 ? least : 1;
}

/* 0: this call is not measured. */
static int64_t meter_begin(void)
{
    if (LIKELY(meter.skip > 0)) {
        meter.skip--;
        return 0;
    }
    meter.skip = SAMPLE - 1;
    return clock_monotonic_ns();
}

static void meter_end(enum trace_kind kind, int64_t began_ns, bool told)
{
    int64_t took;

    if (LIKELY(began_ns == 0) || told)      /* emit has counted what was told */
        return;
    took = clock_monotonic_ns() - began_ns - clock_ns + CALL_NS;
    took = took < CALL_NS ? CALL_NS : took > SAMPLE_NS_MAX ? SAMPLE_NS_MAX : took;
    meter.owed_ns += took * SAMPLE + 2 * clock_ns;
    if (meter.owed_ns < OWED_NS)
        return;
    pthread_mutex_lock(&trace_lock);
    for (struct session *s = trace_sessions; s != NULL; s = s->next) {
        if (session_mode(s) == MODE_OPEN && s->kinds[kind] &&
            !trace_budget_spend(&s->budget, meter.owed_ns))
            session_shut(s);
    }
    pthread_mutex_unlock(&trace_lock);
    meter.owed_ns = 0;
}

/* began_ns: when the event came; other: where a message went or who was spawned, or TERM_NONE;
 * label: the rest. */
static void emit(struct session *s, enum trace_kind kind, int64_t began_ns, term pid, term other,
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
        session_set_mode(s, MODE_SHUT);
        event_active(s->timer, EV_TIMEOUT, 1); /* any thread: the base has locks */
    }
    took = clock_monotonic_ns() - began_ns;
    took = (took < TOLD_NS_MAX ? took : TOLD_NS_MAX) + meter.owed_ns;
    meter.owed_ns = 0;
    if (!trace_budget_spend(&s->budget, took))
        session_shut(s);
}

static void unlock_measured(void)
{
    int64_t began = clock_monotonic_ns(), took;

    pthread_mutex_unlock(&trace_lock);
    took = clock_monotonic_ns() - began;
    meter.owed_ns += took < TOLD_NS_MAX ? took : TOLD_NS_MAX;
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
    term all = atomic_load_explicit(&trace_sole, memory_order_relaxed);

    return all != TERM_NONE && (p == NULL || p->pid != all);
}

/* An event that s wants: is it only counted? */
static bool is_probed(struct session *s)
{
    if (LIKELY(session_mode(s) != MODE_PROBE))
        return false;
    /* relaxed: a figure */
    atomic_fetch_add_explicit(&s->probed, 1, memory_order_relaxed);
    return true;
}

/* The first pattern of s that wants this call, or NULL. */
static const struct trace_pattern *call_pattern(const struct session *s, const struct process *p,
                                                const struct trace_point *tp, const term *x)
{
    if (s->npatterns == 0 || session_mode(s) == MODE_SHUT || !is_about(s, p, TERM_NONE))
        return NULL;
    for (size_t i = 0; i < s->npatterns; i++) {
        const struct trace_pattern *pat = &s->patterns[i];

        if (trace_pattern_covers(pat, tp->module, tp->function, tp->arity) &&
            trace_pattern_admits(pat, tp->arity, x))
            return pat;
    }
    return NULL;
}

/* False: it was not told. */
static bool tell_call(struct session *s, const struct trace_pattern *pat, const struct process *p,
                      const struct trace_point *tp, const term *x)
{
    int64_t began = clock_monotonic_ns();
    struct buf event = { 0 };
    bool told;

    pthread_mutex_lock(&trace_lock);
    told = session_admits(s);
    if (told) {
        print_call(s, &event, tp, x);
        if (pat->stack)
            print_callers(&event, p, tp->at);
        emit(s, KIND_CALL, began, p->pid, TERM_NONE, &event);
        buf_fini(&event);
    }
    unlock_measured();
    return told;
}

static bool on_call(struct process *p, const struct trace_point *tp, const term *x)
{
    int64_t began = meter_begin();
    bool wants_return = false, told = false;

    for (struct session *s = is_elsewhere(p) ? NULL : trace_sessions; s != NULL; s = s->next) {
        const struct trace_pattern *pat = call_pattern(s, p, tp, x);

        if (pat != NULL && !is_probed(s) && tell_call(s, pat, p, tp, x)) {
            told = true;
            wants_return |= pat->returns || pat->time;
        }
    }
    meter_end(KIND_CALL, began, told);
    return wants_return;
}

/* The first pattern of s that wants the return, or NULL. */
static const struct trace_pattern *return_pattern(const struct session *s, const struct process *p,
                                                  const term mfa[3])
{
    for (size_t i = 0; i < s->npatterns && is_about(s, p, TERM_NONE); i++) {
        const struct trace_pattern *pat = &s->patterns[i];

        if ((pat->returns || pat->time) &&
            trace_pattern_covers(pat, mfa[0], mfa[1], (uint32_t)small_val(mfa[2])))
            return pat;
    }
    return NULL;
}

static void tell_return(struct session *s, const struct trace_pattern *pat, const struct process *p,
                        const term mfa[3], int64_t took_ns, term value)
{
    int64_t began = clock_monotonic_ns();
    char took[UNIT_TEXT_MAX];
    struct buf event = { 0 };

    pthread_mutex_lock(&trace_lock);
    if (session_admits(s)) {
        view_mfa(&event, mfa);
        if (pat->returns) {
            buf_str(&event, " → ");
            request_print(s->rq, &event, value, EVENT_BYTES_MAX);
        }
        buf_printf(&event, "  %s", age_text(took_ns, took));
        emit(s, KIND_CALL, began, p->pid, TERM_NONE, &event);
        buf_fini(&event);
    }
    unlock_measured();
}

static void on_return(struct process *p, const term mfa[3], int64_t took_ns, term value)
{
    for (struct session *s = trace_sessions; s != NULL; s = s->next) {
        const struct trace_pattern *pat = return_pattern(s, p, mfa);

        if (pat != NULL && !is_probed(s))
            tell_return(s, pat, p, mfa, took_ns, value);
    }
}

/* What p does, with whom (or TERM_NONE), and what it is about: a term, or the function of a spawn. */
static bool tell_word(struct session *s, enum trace_kind kind, const struct process *p, term other,
                      term what, const term *mfa)
{
    int64_t began = clock_monotonic_ns();
    struct buf label = { 0 };
    bool told;

    pthread_mutex_lock(&trace_lock);
    told = session_admits(s);
    if (told) {
        if (mfa != NULL)
            view_mfa(&label, mfa);
        else
            request_print(s->rq, &label, what, EVENT_BYTES_MAX);
        emit(s, kind, began, p != NULL ? p->pid : TERM_NONE, other, &label);
        buf_fini(&label);
    }
    unlock_measured();
    return told;
}

/* An event of one of the other kinds, on a scheduler or another thread. */
static void on_word(enum trace_kind kind, const struct process *p, term other, term what,
                    const term *mfa)
{
    int64_t began = meter_begin();
    bool told = false;

    epoch_enter();
    for (struct session *s = is_elsewhere(p) ? NULL : trace_sessions; s != NULL; s = s->next) {
        if (s->kinds[kind] && session_mode(s) != MODE_SHUT && is_about(s, p, other) && !is_probed(s))
            told |= tell_word(s, kind, p, other, what, mfa);
    }
    epoch_leave();
    meter_end(kind, began, told);
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

void trace_tell_start(void)
{
    if (clock_ns != 0)
        return;
    world_stop();       /* schedulers see all of it before a flag is raised */
    clock_measure();
    trace_call_hook = on_call;
    trace_return_hook = on_return;
    trace_send_hook = on_send;
    trace_receive_hook = on_receive;
    trace_spawn_hook = on_spawn;
    trace_exit_hook = on_exit_;
    world_resume();
}
