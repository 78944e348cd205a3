/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spin.h - a lock for sections of a few dozen instructions
 *
 * The holder calls nothing that can block. A waiter that has spun for a while yields the CPU: the
 * holder may have been preempted.
 */
#ifndef BASE_SPIN_H
#define BASE_SPIN_H

#include "base/compiler.h"

#include <sched.h>
#include <stdatomic.h>

struct spin { _Atomic uint32_t held; };

#if defined(__x86_64__)
#define cpu_relax() __builtin_ia32_pause()
#elif defined(__aarch64__)
#define cpu_relax() __asm__ __volatile__("yield")
#else
#define cpu_relax() ((void)0)
#endif

/* A full barrier between stores before and loads after. The thread sanitizer knows no fences. */
ALWAYS_INLINE void fence_full(void)
{
#if defined(__SANITIZE_THREAD__)
    static _Atomic uint32_t sink;

    atomic_fetch_add(&sink, 1);
#else
    atomic_thread_fence(memory_order_seq_cst);
#endif
}

/* acquire: pairs with the release in spin_unlock */
ALWAYS_INLINE void spin_lock(struct spin *l)
{
    for (unsigned n = 0; atomic_exchange_explicit(&l->held, 1, memory_order_acquire) != 0; ) {
        while (atomic_load_explicit(&l->held, memory_order_relaxed) != 0) {
            if (++n < 200)
                cpu_relax();
            else
                sched_yield();
        }
    }
}

ALWAYS_INLINE void spin_unlock(struct spin *l)
{
    atomic_store_explicit(&l->held, 0, memory_order_release);
}

#endif
