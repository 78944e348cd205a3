/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace.h - watching calls, messages, and the begin and end of processes
 *
 * A call is watched by a trace point: the first instruction of the function is replaced by
 * `breakpoint`, which tells the hook and then runs the instruction that was there. Functions that
 * are not watched pay nothing, nor do those whose trace points are not armed; the rest pays a look at a
 * flag.
 *
 * To see a return, the trace point puts a frame under the called function, whose code tells the hook
 * and goes on in the caller. A tail call from such a function does not get a second one, so a loop
 * that is traced does not grow its stack.
 * Points change only while the world is stopped, so schedulers read them without a lock.
 */
#ifndef VM_TRACE_H
#define VM_TRACE_H

#include "vm/process.h"

struct trace_point {
    const void *at;             /* [world] first instruction of the function */
    int32_t  handler;           /* [world] what stood there, if it is armed */
    term     module, function;  /* [set] */
    uint32_t arity;             /* [set] */
    uint32_t users;             /* [world] sessions that watch it; 0: free */
    uint32_t armed;             /* [world] those of them that want to hear of it now */
};

#define TRACE_POINTS_MAX 4096

/* Hooks run on the scheduler of p, with its heap current, and must not allocate on it. x: the
 * arguments. Set once, before the first point or flag. */
extern bool (*trace_call_hook)(struct process *p, const struct trace_point *tp, const term *x);
                                /* true: tell trace_return_hook when it returns */
extern void (*trace_return_hook)(struct process *p, const term mfa[3], int64_t took_ns, term value);
extern void (*trace_send_hook)(struct process *from, term to, term msg);   /* from may be NULL */
extern void (*trace_receive_hook)(struct process *p, term msg);
extern void (*trace_spawn_hook)(const struct process *parent, const struct process *child);
extern void (*trace_exit_hook)(const struct process *p, term reason);

/* Sessions that want such events now. [any] relaxed: a trace may begin or end a few events late. */
extern _Atomic uint32_t trace_calls, trace_sends, trace_receives, trace_spawns, trace_exits;

/* Watch the loaded functions of module, or only function (else TERM_NONE), or only that arity (else
 * negative). Writes the points to at[0..max) and returns how many there are; none is armed. Not a
 * scheduler. */
size_t trace_points_add(term module, term function, int arity, const struct trace_point **at,
                        size_t max);
/* Arm each, or the opposite, for one who watches them. Not a scheduler. */
void trace_points_arm(const struct trace_point **at, size_t n, bool arm);
/* The end of one use of each, which the caller has not armed. Not a scheduler. */
void trace_points_remove(const struct trace_point **at, size_t n);

/* --- for the interpreter ---------------------------------------------------------------------- */

/* A frame under a called function: trace_return_code, when the call was, M, F, arity. */
#define TRACE_FRAME_WORDS 5
extern term trace_return_code;              /* [set] */

/* Call the hook, give the handler of the instruction at `at`. MAY_GC. False: p must exit. */
MUST_CHECK bool trace_point_hit(struct process *p, const void *at, const term *x,
                                int32_t *ret_handler);
/* frame: behind trace_return_code. */
void trace_returned(struct process *p, term value, const term *frame);

#endif
