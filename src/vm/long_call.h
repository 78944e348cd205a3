/* SPDX-License-Identifier: Apache-2.0 */
/*
 * long_call.h - the engine's side of built-ins that stand still; theirs is bif_long in bif.h
 */
#ifndef VM_LONG_CALL_H
#define VM_LONG_CALL_H

#include "vm/process.h"

#define LONG_CALL_ARGS_MAX 6

/* p->long_call stands still, and p has its turn again: the built-in's result, or TERM_NONE with
 * p->action BIF_PAUSE once more, or whatever the built-in did. The scheduler that runs p. */
term long_call_go_on(struct process *p);

/* The node ends with p in the middle: forget the call. The stack is not given back. */
void long_call_discard(struct process *p);

#endif
