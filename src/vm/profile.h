/* SPDX-License-Identifier: Apache-2.0 */
/*
 * profile.h - what processes do, by samples of their stacks
 *
 * Somebody ticks. Each scheduler that is inside a process at that time gives the stack of that
 * process soon after: while a profile runs, slices are cut into pieces of a few reductions, and a
 * tick is looked for between two pieces and when the process stops running. So samples stand for
 * time, not for reductions. While none runs, a slice pays a look at a flag.
 */
#ifndef VM_PROFILE_H
#define VM_PROFILE_H

#include "vm/process.h"

#define PROFILE_DEPTH_MAX 128

struct profile_frame { term module, function; uint32_t arity; };

/* frames: innermost first; when there are PROFILE_DEPTH_MAX of them, outer ones may be missing.
 * On the scheduler that runs p: copies what it needs, and allocates nothing on p's heap. */
typedef void profile_fn(const struct process *p, const struct profile_frame *frames, size_t n);

/* The stack of p, which is at pc and whose live_words lie on top of it (exception.h): how many frames,
 * at most max, up to PROFILE_DEPTH_MAX. Whoever runs or holds p. */
size_t profile_stack(const struct process *p, const void *pc, size_t live_words,
                     struct profile_frame *ret, size_t max);

/* One profile at a time; not a scheduler. */
void profile_start(profile_fn *fn);
void profile_stop(void);                        /* when it returns, fn is not called any more */
void profile_tick(void);

/* --- for the engine --------------------------------------------------------------------------- */

extern _Atomic bool profile_is_on;              /* [any] relaxed: some slices early or late */

/* s is about to run its current process: ticks until now are not the process's. */
void profile_run_begin(struct sched *s);
/* A piece is over and p is about to enter pc with its live registers in s. */
void profile_piece(struct sched *s, struct process *p, const void *pc);
/* p has stopped running, but still belongs to s. */
void profile_run_end(struct sched *s, struct process *p);

#endif
