/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_engine.h - an engine whose "code" is C functions, for tests of processes and schedulers
 *
 * Include once per program. A process runs a `step` function again and again until it says wait or
 * exit; what it wants to remember lies in its dictionary and in p->trap_fun (its argument).
 */
#ifndef TESTS_FAKE_ENGINE_H
#define TESTS_FAKE_ENGINE_H

#include "heap/heap.h"
#include "vm/bif.h"
#include "vm/code.h"
#include "vm/engine.h"
#include "vm/mailbox.h"
#include "vm/pdict.h"
#include "vm/process.h"
#include "vm/process_priv.h"
#include "vm/registry.h"
#include "vm/relation.h"
#include "vm/sched.h"
#include "vm/timer.h"

#include <stdlib.h>

typedef enum engine_result step_fn(struct process *p);

/* Functions are named by small integers. */
static step_fn *step_table[64];
static unsigned step_count;

static term step_name(step_fn *fn)
{
    for (unsigned i = 0; i < step_count; i++) {
        if (step_table[i] == fn)
            return small_make(i);
    }
    step_table[step_count] = fn;
    return small_make(step_count++);
}

static term spawn_step(struct process *parent, step_fn *fn, term arg,
                       const struct spawn_options *opt, term *ret_ref)
{
    return process_spawn_mfa(parent, ATOM_erlang, step_name(fn), arg, opt, ret_ref);
}

enum engine_result engine_run(struct sched *s, struct process *p)
{
    enum engine_result r = ((step_fn *)p->ip)(p);

    (void)s;
    if (r == ENGINE_EXIT && p->exit_reason == TERM_NONE)
        p->exit_reason = ATOM_normal;
    return r;
}

void engine_start_mfa(struct process *p, term module, term function, term args)
{
    (void)module;
    p->ip = (const void *)step_table[small_val(function)];
    p->trap_fun = args;
}

void engine_start_fun(struct process *p, term fun, term args)
{
    engine_start_mfa(p, ATOM_erlang, fun, args);
}

/* The machine with these steps, and with $SCHEDULERS schedulers, 3 unless told. */
static inline void machine_start(step_fn *const *steps, size_t n, unsigned job_threads)
{
    const char *schedulers = getenv("SCHEDULERS");
    struct vm_options opt = { .schedulers = schedulers != NULL ? (unsigned)atoi(schedulers) : 3,
                              .job_threads = job_threads };

    for (size_t i = 0; i < n; i++)
        step_name(steps[i]);
    atom_table_init(0);
    literal_region_init();
    vm_start(&opt);
}

/* The teardown of a group of tests. */
static inline int machine_stop(void **state)
{
    (void)state;
    vm_stop();
    return 0;
}

static enum engine_result step_wait(struct process *p)
{
    p->wait_kind = (uint8_t)((p->wait_kind & RECEIVE_TIMED_OUT) | WAIT_RECEIVE);
    return ENGINE_WAIT;
}

#endif
