/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop.h - a thread with a libevent base, and work handed to it from others
 *
 * Events of the base are added and removed on its own thread only (the base has no locks). Others
 * post tasks.
 */
#ifndef NET_LOOP_H
#define NET_LOOP_H

#include "base/compiler.h"

#include <stdatomic.h>

struct event_base;
struct loop;

/* Work for a loop; lives in the poster's struct. May be posted again once it has begun to run. */
struct loop_task {
    struct loop_task *next;                 /* [loop's list] */
    void (*run)(struct loop_task *t);
};

/* Start the thread; name is shown by the system (at most 15 bytes). Aborts when there is no thread
 * to be had. */
struct loop *loop_start(const char *name);
/* Run what is posted, then end the thread and free the loop. Not from its own thread. */
void loop_stop(struct loop *l);
struct event_base *loop_base(struct loop *l);
bool loop_here(const struct loop *l);       /* is this its thread? */
/* Its thread: an event is expected sooner than a thread wakes up. For a moment, look for it again and
 * again instead of sleeping; unless that has not been worth it of late. */
void loop_linger(struct loop *l);

/* Any thread; never blocks. Tasks of one thread run in the order of posting. */
void loop_post(struct loop *l, struct loop_task *t);
/* Run fn there and wait for it. Not from a loop's thread. */
void loop_call(struct loop *l, void (*fn)(void *arg), void *arg);

/* How late the loop found itself at its last turn: for the health score. */
int64_t loop_late_ns(const struct loop *l);

#endif
