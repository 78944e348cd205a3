/* SPDX-License-Identifier: Apache-2.0 */
/*
 * time_unit.h - units of time as programs name them
 */
#ifndef BIF_TIME_UNIT_H
#define BIF_TIME_UNIT_H

#include "term/term.h"

/* How many of unit make a second. False: no unit. */
bool time_unit_read(term unit, int64_t *ret_per_second);
/* ns in another unit, rounded down. */
int64_t time_floor(int64_t ns, int64_t per_second);
/* System time minus monotonic time. */
int64_t time_offset_ns(void);

#endif
