/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace.h - watching calls and messages
 *
 * A call is watched by a trace point: the first instruction of the function is replaced by
 * `breakpoint`, which tells the hook and then runs the instruction that was there. Functions that
 * are not watched pay nothing; sends and receives pay a look at a flag.
 * Points change only while the world is stopped, so schedulers read them without a lock.
 */
#ifndef VM_TRACE_H
#define VM_TRACE_H

#include "vm/process.h"

struct trace_point {
    const void *at;             /* [world] first instruction of the function */
    int32_t  handler;           /* [world] what stood there */
    term     module, function;  /* [set] */
    uint32_t arity;             /* [set] */
    uint32_t users;             /* [world] sessions that watch it; 0: free */
};

#define TRACE_POINTS_MAX 4096

/* Hooks run on the scheduler of p, with its heap current, and must not allocate on it. x: the
 * arguments. Set once, before the first point or flag. */
extern void (*trace_call_hook)(struct process *p, const struct trace_point *tp, const term *x);
extern void (*trace_send_hook)(struct process *from, term to, term msg);   /* from may be NULL */
extern void (*trace_receive_hook)(struct process *p, term msg);

/* Sessions that watch messages. [any] relaxed: a trace may begin or end a few messages late. */
extern _Atomic uint32_t trace_sends, trace_receives;

/* Watch the loaded functions of module, or only function (else TERM_NONE), or only that arity (else
 * negative). Writes the points to at[0..max) and returns how many there are. Not a scheduler. */
size_t trace_points_add(term module, term function, int arity, const struct trace_point **at,
                        size_t max);
/* The end of one use of each. Not a scheduler. */
void trace_points_remove(const struct trace_point **at, size_t n);

/* For the interpreter: call the hook, give the handler of the instruction at `at`. */
int32_t trace_point_hit(struct process *p, const void *at, const term *x);

#endif
