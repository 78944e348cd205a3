/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace_priv.h - a session of rnodectl trace: trace.c begins and ends it, trace_tell.c tells its events
 */
#ifndef CTL_TRACE_PRIV_H
#define CTL_TRACE_PRIV_H

#include "ctl/request.h"
#include "ctl/sequence.h"
#include "ctl/trace_budget.h"
#include "ctl/trace_pattern.h"

#include <event2/event.h>
#include <pthread.h>
#include <stdatomic.h>

#define PATTERNS_MAX 16

enum trace_kind { KIND_CALL, KIND_SEND, KIND_RECEIVE, KIND_SPAWN, KIND_EXIT, KIND_COUNT };

/* What a session does with its events. */
enum trace_mode { MODE_SHUT, MODE_OPEN, MODE_PROBE };

struct session {
    struct session *_Atomic next;       /* [lk] writes, [epoch] reads */
    struct request *rq;                 /* the handler's reference */
    struct event *timer, *second, *shut;    /* [loop] */
    bool armed;                         /* [loop] its trace points are */
    int64_t loop_ns;                    /* [loop] processor time of the control thread so far */
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
    int64_t events_max, start_ns;
    bool draws;
    enum sequence_form form;
    /* --- [lk] --- */
    struct trace_budget budget;
    int64_t events;
    _Atomic uint32_t mode;              /* enum trace_mode; [any] reads: a hint. Counted in the flags unless SHUT */
    _Atomic uint64_t probed;            /* [any] events counted by a probe */
    int64_t probe_ns;                   /* since when */
    bool ending;                        /* the control thread has been told */
    struct sequence sequence;
};

extern const struct trace_kind_row { const char *word; _Atomic uint32_t *wanted; } trace_kinds[KIND_COUNT];
extern pthread_mutex_t trace_lock;
extern struct session *_Atomic trace_sessions;  /* [lk] writes, [epoch] reads */
/* The one process that all sessions are about, or TERM_NONE: others need not look at the list.
 * relaxed: as for the flags */
extern _Atomic term trace_sole;

ALWAYS_INLINE enum trace_mode session_mode(const struct session *s)
{
    return atomic_load_explicit(&s->mode, memory_order_relaxed);
}

/* Under the lock. */
void session_set_mode(struct session *s, enum trace_mode mode);
/* Any thread, under the lock: no more of this second. */
void session_shut(struct session *s);

/* Fill the hooks of vm/trace.h, the first time. Control thread. */
void trace_tell_start(void);

#endif
