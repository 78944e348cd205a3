/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace_hooks.c - what a trace fills in
 *
 * Apart from trace.c so that processes do not need the interpreter to be linked.
 */
#include "vm/trace.h"

bool (*trace_call_hook)(struct process *p, const struct trace_point *tp, const term *x);
void (*trace_return_hook)(struct process *p, const term mfa[3], int64_t took_ns, term value);
void (*trace_send_hook)(struct process *from, term to, term msg);
void (*trace_receive_hook)(struct process *p, term msg);
void (*trace_spawn_hook)(const struct process *parent, const struct process *child);
void (*trace_exit_hook)(const struct process *p, term reason);
_Atomic uint32_t trace_calls, trace_sends, trace_receives, trace_spawns, trace_exits;
term trace_return_code;
