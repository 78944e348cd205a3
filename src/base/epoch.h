/* SPDX-License-Identifier: Apache-2.0 */
/*
 * epoch.h - freeing what other threads may still be reading
 *
 * Readers take no lock and count nothing: a thread is online while it may hold pointers to shared
 * things, and says at moments of its own choice (its quiescent states) that it holds none. What
 * has been made unreachable is retired; it is freed when every online thread has passed a
 * quiescent state since.
 *
 * Schedulers are online while they run and quiescent at their loop head. Every other thread
 * brackets its reads with epoch_enter and epoch_leave.
 */
#ifndef BASE_EPOCH_H
#define BASE_EPOCH_H

#include "base/compiler.h"

#define EPOCH_THREADS_MAX 1200

/* Nests; does nothing on a thread that is online already. Any thread. */
void epoch_enter(void);
void epoch_leave(void);

/* For threads with a loop head: come online for good, pass a quiescent state, go offline. No
 * pointer read before the call may be used after it. */
void epoch_online(void);
void epoch_quiescent(void);
void epoch_offline(void);

/* Call fn(ptr) on some thread once nobody can still see ptr, which must be unreachable already.
 * Takes ptr. Any thread. fn runs with its thread online and may retire other things. */
void epoch_retire(void *ptr, void (*fn)(void *ptr));

/* At a quiescent moment of a thread that is about to end or to sleep: free everything that it has
 * retired, or hand it to the others. False: something is left that nobody may free yet; should all
 * threads sleep now, it would stay, so the last to sleep looks again after a moment. */
bool epoch_flush(void);

/* Wait until everything retired before the call is freed; not from a loop head. For tests and for
 * the end of the node: it gives up after a second. */
void epoch_drain(void);

#endif
