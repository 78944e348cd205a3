/* SPDX-License-Identifier: Apache-2.0 */
/*
 * job.h - the threads for work that blocks: files, name lookups, large compressions
 */
#ifndef VM_JOB_H
#define VM_JOB_H

#include "vm/bif.h"

void job_pool_start(unsigned threads);
void job_pool_stop(void);       /* after the queued jobs have run */

/* The process that waits for p->job is going away: whoever is last frees the job. */
void job_abandon(struct process *p);

#endif
