/* SPDX-License-Identifier: Apache-2.0 */
/*
 * collect.h - the states that the engine, its tables, code and store have, as metrics
 *
 * A look reads counters that the schedulers write; it stops nothing. What is no counter (mailboxes, heaps,
 * modules, old code) is measured by collect_tick at times of its own, and a look gives the last measure.
 */
#ifndef WEB_COLLECT_H
#define WEB_COLLECT_H

#include "base/bytes.h"
#include "base/compiler.h"

/* Register the collectors. version: of the node; copied. Once, after the engine has started. */
void collect_start(const char *version);

/* Measure, about once a second, in at most one hundredth of the time; while there is old code, all stacks are
 * looked at as well, in as much again. mailbox_warn: length above which a mailbox counts as too long. One thread, not a
 * scheduler. */
void collect_tick(uint64_t mailbox_warn);

/* When collect_start was called, monotonic. */
int64_t collect_start_ns(void);

struct metric_sink;
/* A collector of what the system says of the daemon; arg: its start, an int64_t of the system clock. */
void collect_daemon(struct metric_sink *sink, void *arg);

/* The 23 series of published BEAM dashboards (erlang_vm_*) appended to out. Any thread that is not
 * a scheduler. */
void collect_erlang_vm(struct buf *out);

#endif
