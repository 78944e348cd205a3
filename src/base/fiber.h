/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fiber.h - C functions that can stand still in the middle of their work
 *
 * A fiber runs one function on a stack of its own. The function says how much it has done
 * (fiber_tick); when its allowance is used up it stands still and fiber_run returns. It may go on
 * later on any thread. So long work written as plain loops shares its thread with others.
 *
 * What runs on a fiber holds no lock when it ticks, keeps no pointer to thread-local data across a
 * tick, and needs no more than FIBER_STACK_BYTES of stack. Outside of fibers a tick does nothing:
 * code below may be called from anywhere.
 */
#ifndef BASE_FIBER_H
#define BASE_FIBER_H

#include "base/compiler.h"

#define FIBER_STACK_BYTES ((size_t)256 << 10)   /* address space; pages come as they are touched */

struct fiber;

/* A fiber that will run fn(arg); NULL when no memory can be mapped, or on machines where this is
 * not written. Stacks of finished fibers are kept and used again. */
struct fiber *fiber_new(void (*fn)(void *arg), void *arg);
/* Let it do `units` of work. True: fn has returned, and f is freed. Any thread, one at a time, not
 * itself a fiber. *ret_used: the units it has done, a little more than allowed perhaps. */
MUST_CHECK bool fiber_run(struct fiber *f, int64_t units, int64_t *ret_used);

/* units of work have been done since the last call. Stands still if that was the allowance. Cheap,
 * but a call: loops of small steps count some dozens together. */
void fiber_tick(int64_t units);
/* One more step of a loop of small steps; every 256th ticks. n = fiber_step(n). */
ALWAYS_INLINE int64_t fiber_step(int64_t n)
{
    if (UNLIKELY((++n & 255) == 0))
        fiber_tick(256);
    return n;
}
/* The same for work on `bytes` of data in one go, as hashing or copying. */
ALWAYS_INLINE void fiber_tick_bytes(size_t bytes)
{
    fiber_tick((int64_t)(bytes / 32) + 1);
}
/* Bytes to work on between two ticks where the caller may choose. */
#define FIBER_CHUNK_BYTES ((size_t)64 << 10)
/* memcpy of any length. */
void fiber_copy(void *to, const void *from, size_t bytes);

#endif
