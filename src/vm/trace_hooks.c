/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace_hooks.c - what a trace fills in
 *
 * Apart from trace.c so that processes do not need the interpreter to be linked.
 */
#include "vm/trace.h"

void (*trace_call_hook)(struct process *p, const struct trace_point *tp, const term *x);
void (*trace_send_hook)(struct process *from, term to, term msg);
void (*trace_receive_hook)(struct process *p, term msg);
_Atomic uint32_t trace_sends, trace_receives;
