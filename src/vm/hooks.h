/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hooks.h - what the engine asks of rooms above it; filled once, before vm_start, by node/
 *
 * Every hook may be NULL.
 */
#ifndef VM_HOOKS_H
#define VM_HOOKS_H

#include "vm/process.h"

/* A process dies of an uncaught error: reason is {Reason, Stack}. p is still whole and owned by the
 * caller, and nobody has been told yet. */
extern void (*vm_crash_hook)(struct process *p, term reason);
/* p, whose flag max_heap_size asks for a report, has more than that many words and is ended (or
 * not, by the flag). The words of its heap must not be followed. */
extern void (*vm_heap_limit_hook)(struct process *p, uint64_t max_words);
/* A process has ended: give its tables away. Called in slices; true: there is more to do. */
extern bool (*vm_exit_hook)(struct process *p);
/* erlang:halt: end the node with this status. abort: dump core. Must not block: any scheduler. */
extern void (*vm_halt_hook)(int status, bool abort, bool flush);

#endif
