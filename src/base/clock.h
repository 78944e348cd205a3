/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock.h - the only way to the time of day and to time that never goes back
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include "base/compiler.h"

int64_t clock_monotonic_ns(void);   /* since an arbitrary start, never decreases; any thread */
int64_t clock_system_ns(void);      /* since 1970, steps when the system clock is set */

#endif
