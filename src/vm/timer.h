/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timer.h - timers, on one hierarchical wheel per scheduler
 *
 * A tick is a millisecond. A wheel has a spin lock: its scheduler takes it to start and to fire,
 * others only to cancel, so it is next to never contended. Timers never fire early.
 */
#ifndef VM_TIMER_H
#define VM_TIMER_H

#include "vm/process.h"

struct wheel;

#define TIMER_MS_MAX ((uint64_t)1 << 50)

/* One wheel per scheduler; its timers start at now_ns. */
struct wheel *wheel_new(unsigned index, int64_t now_ns);
void wheel_free(struct wheel *w);       /* with all its timers */
/* Fire everything due at now_ns. The wheel's scheduler. */
void wheel_run(struct wheel *w, int64_t now_ns);
/* When wheel_run has something to do next, INT64_MAX: never. */
int64_t wheel_next_ns(struct wheel *w);
/* Timers that run, receive timers included. Any thread. */
uint64_t wheel_count(const struct wheel *w);

/* erlang:start_timer/send_after: to: pid or name; fires at monotonic time at_ns. wrap: deliver
 * {timeout, Ref, Msg}. Any thread; gives the reference. */
term timer_start(int64_t at_ns, term to, term msg, bool wrap);
/* Milliseconds left, or -1: no such timer. Any thread. */
int64_t timer_cancel(term ref);
int64_t timer_read(term ref);

/* Milliseconds until p's receive times out; -1: it never does. Whoever owns p. */
int64_t receive_timer_left_ms(const struct process *p);

/* The TIMEOUT signal seq has come: true if it is about the timer p has now, which is gone then. */
bool receive_timer_fired(struct process *p, uint64_t seq);

#endif
