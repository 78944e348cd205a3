/* SPDX-License-Identifier: Apache-2.0 */
/*
 * health.h - is this node alive, and is it ready for work
 *
 * A check costs the same whatever the node does: it reads a few counters. The schedulers' progress
 * is looked at by health_tick, which one thread calls once a second.
 */
#ifndef WEB_HEALTH_H
#define WEB_HEALTH_H

#include "base/bytes.h"
#include "base/compiler.h"

/* A scheduler that is awake and has not come to its loop head for so long is stuck. */
#define HEALTH_STUCK_NS ((int64_t)5000000000)

/* Look at the schedulers; logs, counts and names one that has become stuck. One thread. */
void health_tick(void);
/* Index of a stuck scheduler, or -1. Any thread. */
int health_stuck_scheduler(void);
/* A drain has begun: not ready any more. Any thread. */
void health_set_draining(bool draining);
/* The store works (set by who opens and closes it). Any thread. */
void health_set_store(bool open);
/* Peers that are up, and how many the configuration asks for. Any thread. */
void health_set_peers(int64_t up, int64_t wanted);

/* All of it in one word. Any thread. */
bool health_is_ready(void);
/* The same; what is missing is appended to out in words, each behind " · ". Any thread. */
bool health_words(struct buf *out);
/* {"ready":true,"checks":{"store":"ok",...}} appended to out. True: ready. Any thread. */
bool health_ready(struct buf *out);

#endif
