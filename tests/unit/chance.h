/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chance.h - numbers that look like chance and are the same in each run, for tests
 *
 * Include once per program. George Marsaglia's xorshift with 13, 7 and 17.
 */
#ifndef TESTS_CHANCE_H
#define TESTS_CHANCE_H

#include <stdint.h>

static uint64_t seed = 88172645463325252u;

/* From 0 to n - 1. */
static unsigned chance(unsigned n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (unsigned)(seed >> 20) % n;
}

#endif
