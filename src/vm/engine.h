/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine.h - the interpreter as the scheduler sees it
 *
 * All functions: the thread that runs p.
 */
#ifndef VM_ENGINE_H
#define VM_ENGINE_H

#include "vm/process.h"

enum engine_result {
    ENGINE_YIELD,       /* out of reductions: back to the end of its run queue */
    ENGINE_WAIT,        /* waits for a signal (p->wait_kind says how); state is still RUNNING */
    ENGINE_EXIT,        /* ended: p->exit_reason is set; p->exc.class is ATOM_error or ATOM_throw if
                         * an exception did it that deserves a crash report */
};

/* p->wait_kind while waiting */
enum wait_kind { WAIT_NOT, WAIT_RECEIVE, WAIT_RECEIVE_TIMER, WAIT_BIF, WAIT_HIBERNATE };

/* Build tables that need run-time addresses; before the first process. */
void engine_init(void);

/* Run p from p->ip with s->fcalls reductions until one of the results above. On return the live x
 * registers are on p's own stack (p->live of them) and p->heap.H/E are current. */
enum engine_result engine_run(struct sched *s, struct process *p);

/* Make a fresh process (empty stack, heap block given) start with the call that args describe:
 * module:function(args...) or fun(args...). args is a proper list on p's heap. */
void engine_start_mfa(struct process *p, term module, term function, term args);
void engine_start_fun(struct process *p, term fun, term args);

/* For tools: told the value that the first function of a process returned, when it ends. Set before
 * the first process, or never. */
extern void (*engine_result_hook)(struct process *p, term result);

/* Result of waiting in `receive ... after`: set by the timer signal, read by wait_timeout,
 * cleared when a message is taken. */
#define RECEIVE_TIMED_OUT 0x80u     /* flag in p->wait_kind */

/* Collect p's heap now. live: x registers of p->sched that are roots. need: room wanted. False: the
 * heap is above max_heap_size and p must exit (p->exit_reason is set). Updates H and E of p->heap. */
/* Does p refer into rs, messages in fragments apart? Owner, as in process_collect. */
struct literal_ranges;
struct literal_range;
bool process_refers(struct process *p, unsigned live, const struct literal_ranges *rs);
/* A full collection that copies literals out of r. */
MAY_GC void process_purge(struct process *p, size_t need, unsigned live,
                          const struct literal_range *r);
MAY_GC MUST_CHECK bool process_collect(struct process *p, size_t need, unsigned live, unsigned flags);

/* Stack trace as Erlang shows it, from a raw trace term made by the engine; a list on p's heap. */
term stacktrace_build(struct process *p, term raw);
/* The current stack of a process that is not running, as {M,F,A,Loc} entries, at most max. */
term stacktrace_current(struct process *p, struct heap *out, size_t max);
/* What p is executing: M, F, arity of the innermost function. False: unknown. */
bool engine_current_function(const struct process *p, term *ret_m, term *ret_f, uint32_t *ret_a);
/* Does the stack or the current ip of p (not running) point into [lo, hi)? */
bool engine_stack_uses_code(const struct process *p, const void *lo, const void *hi);

#endif
