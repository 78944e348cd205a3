/* SPDX-License-Identifier: Apache-2.0 */
/*
 * assert.h - checks for bugs of ours; on in every build we ship
 *
 * ASSERT is for what costs a compare; ASSERT_SLOW is for walks and is compiled in only with
 * --enable-hard. Neither is ever used for what the outside world may do.
 */
#ifndef BASE_ASSERT_H
#define BASE_ASSERT_H

#include "base/compiler.h"

/* Print where and what, call the dump hook if one is set, abort. Any thread. */
NORETURN void assert_failed(const char *file, int line, const char *func, const char *text);

/* A callback that prints the state of the node before the abort; set once at start, may be NULL. */
void assert_set_dump(void (*dump)(void));

#define ASSERT(x) \
    (LIKELY(x) ? (void)0 : assert_failed(__FILE__, __LINE__, __func__, #x))
#define UNREACHABLE() assert_failed(__FILE__, __LINE__, __func__, "unreachable")

#ifdef HARD_MODE
#define ASSERT_SLOW(x) ASSERT(x)
#else
#define ASSERT_SLOW(x) ((void)0)
#endif

#endif
