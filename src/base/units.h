/* SPDX-License-Identifier: Apache-2.0 */
/*
 * units.h - durations, sizes and counts as people write and read them
 */
#ifndef BASE_UNITS_H
#define BASE_UNITS_H

#include "base/compiler.h"

/* "50ms", "10s", "1h", "2d"; the unit is required. False: not a duration. */
bool duration_parse(const char *text, int64_t *ret_ms);
/* "4GiB", "64KiB", "100B", "1MB"; the unit is required. */
bool size_parse(const char *text, int64_t *ret_bytes);
/* Digits with optional _ between them: 1_048_576. */
bool count_parse(const char *text, int64_t *ret);

/* What makes a noun agree with n: "%zu module%s". */
static inline const char *plural_s(uint64_t n)
{
    return n == 1 ? "" : "s";
}

#define UNIT_TEXT_MAX 32
/* Each writes to out and returns it. */
const char *size_text(uint64_t bytes, char out[UNIT_TEXT_MAX]);         /* 41 MiB */
const char *age_text(int64_t ns, char out[UNIT_TEXT_MAX]);              /* 12d 4h, 2h, 40 ms */
const char *count_text(uint64_t n, char out[UNIT_TEXT_MAX]);            /* 18,204 */
const char *rate_text(uint64_t n, char out[UNIT_TEXT_MAX]);             /* 1.2M, 8.1k */

#endif
