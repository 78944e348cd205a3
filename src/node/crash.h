/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crash.h - what is written down when a process, or the node, dies
 */
#ifndef NODE_CRASH_H
#define NODE_CRASH_H

#include "vm/process.h"

#define CRASH_FILES_KEPT 5

/* vm_crash_hook: one record with reason and stack. Scheduler thread, p still whole. */
void crash_hook(struct process *p, term reason);
/* vm_heap_limit_hook: one record. Same thread. */
void heap_limit_hook(struct process *p, uint64_t max_words);
/* io_log_hook: one record, about the process that runs on this scheduler. */
void report_hook(term level, const char *bytes, size_t len);

/* Write the state of the node to folder/crash/TIME.txt, keeping the newest files only. The path,
 * for the caller to free, or NULL. */
char *crash_write(const char *folder, const char *why);

#endif
