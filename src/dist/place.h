/* SPDX-License-Identifier: Apache-2.0 */
/*
 * place.h - where a process had better be started
 */
#ifndef DIST_PLACE_H
#define DIST_PLACE_H

#include "term/term.h"

#define LOAD_MAX 10000

/* How busy this node is, 0 to LOAD_MAX: the larger of the processors' share of the last second and
 * the process table's. Any thread; costs a system call at most every LOAD_EVERY_NS. */
uint32_t load_now(void);
#define LOAD_EVERY_NS ((int64_t)500 * 1000000)

void place_init(void);          /* before vm_start */
void place_start(void);         /* after it */

#endif
