/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exception.h - raw traces, and finding the handler of an exception
 *
 * A raw trace is a tuple {Class, Top, Args, Info, Pc...}: Top is {M, F} of a built-in that raised
 * or 0; Args the argument list (or arity) of the first entry or 0; Info a map for error_info or 0;
 * Pc code addresses, each behind the instruction it stands for. A trace given to raise/3 is the
 * pair {Class, List}. Everything here: the thread that runs p, with p->heap.H and .E current.
 */
#ifndef VM_EXCEPTION_H
#define VM_EXCEPTION_H

#include "vm/process.h"

/* Give p->exc a raw trace: the stack seen from the instruction at pc (NULL: only its callers).
 * m, f: a built-in on top of that, or TERM_NONE. args: TERM_NONE or the first entry's arguments. */
void exception_trace_take(struct process *p, const void *pc, term m, term f, term args);
/* Raise what p->exc says (class, reason, trace set): unwind to the handler, x0..x3 set, and return
 * its address; NULL: there is none, p->exit_reason is set. */
const void *exception_deliver(struct process *p);
/* The value that `catch` gives for an exception. */
term exception_catch_value(struct process *p, term class, term reason, term trace);
term exception_trace_class(term trace);
/* trace with another class; the same when it has that class. */
term exception_trace_with_class(struct process *p, term trace, term class);
/* The trace that raise/3 makes of a list. */
term exception_trace_from_list(struct process *p, term class, term list);
/* What a process that does not catch the exception exits with. */
term exception_exit_reason(struct process *p, term class, term reason, term trace);

/* Code addresses of the stack of p, which is at pc, innermost first, each behind the instruction it
 * stands for. live_words: of the registers that lie on top of the stack. How many, at most max. */
size_t exception_stack(const struct process *p, const void *pc, size_t live_words, term *out,
                       size_t max);

extern unsigned exception_depth_max;    /* entries of a trace; system_flag(backtrace_depth) */

#endif
