/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch.h - learning, in C, that a local process has ended
 *
 * A watcher takes part in the monitor protocol like a session with another node (vm/remote.h), so
 * nothing is looked up when other processes end, and the end is told exactly once.
 */
#ifndef DIST_WATCH_H
#define DIST_WATCH_H

#include "term/term.h"

#define WATCHERS_MAX 15

/* A new watcher; ended(id) is called on whatever thread the process ends, inside an epoch, and must
 * not block. Before vm_start. */
uint32_t watcher_add(void (*ended)(uint64_t id));
/* Tell me when pid has ended: at once, if it has. id: below 2^58, not in use with this watcher. Any
 * thread inside an epoch, holding no lock that ended takes. */
void watch_process(uint32_t watcher, uint64_t id, term pid);
/* Not any more; ended may be under way all the same. */
void watch_cancel(uint32_t watcher, uint64_t id, term pid);

#endif
