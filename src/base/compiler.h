/* SPDX-License-Identifier: Apache-2.0 */
/*
 * compiler.h - what we ask of the C compiler, under names of our own
 */
#ifndef BASE_COMPILER_H
#define BASE_COMPILER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LIKELY(x)      __builtin_expect(!!(x), 1)
#define UNLIKELY(x)    __builtin_expect(!!(x), 0)
#define MUST_CHECK     __attribute__((warn_unused_result))
#define NORETURN       __attribute__((noreturn))
#define NOINLINE       __attribute__((noinline))
#define ALWAYS_INLINE  static inline __attribute__((always_inline))
#define PRINTF_LIKE(fmt, first) __attribute__((format(printf, fmt, first)))
#define UNUSED         __attribute__((unused))
#define CACHE_LINE     64

/* Marks a function that may run the collector: terms held in C locals are stale after it. */
#define MAY_GC

#define ARRAY_LEN(a)   (sizeof(a) / sizeof((a)[0]))

/* Hand a pointer over and forget it: return TAKE(p) leaves p NULL for the cleanup that follows. */
#define TAKE(p)        ({ __typeof__(p) take_ = (p); (p) = NULL; take_; })

#define CONTAINER_OF(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))

#endif
