/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process_priv.h - making, holding and ending processes, for the files of vm/
 */
#ifndef VM_PROCESS_PRIV_H
#define VM_PROCESS_PRIV_H

#include "vm/mailbox.h"
#include "vm/process.h"

/* --- ownership ----------------------------------------------------------------------------- */

/* Take a process that waits or is queued, to deliver into it. Returns the state it was in, or
 * PROC_FREE: not taken. Whoever takes it owns it until process_release_hold, and is quick: the
 * scheduler that wants to run a queued process spins meanwhile.
 * acquire: we see what the last owner did. */
ALWAYS_INLINE enum process_state process_try_hold(struct process *p)
{
    uint32_t was = atomic_load_explicit(&p->state, memory_order_relaxed);

    if ((was == PROC_WAITING || was == PROC_RUNNABLE) &&
        atomic_compare_exchange_strong_explicit(&p->state, &was, PROC_HELD,
                                                memory_order_acquire, memory_order_relaxed))
        return (enum process_state)was;
    return PROC_FREE;
}
/* End the hold. A process that waited is made runnable if wake, else it waits on (unless something
 * came meanwhile). */
void process_release_hold(struct process *p, enum process_state was, bool wake);

/* --- process table -------------------------------------------------------------------------- */

void process_table_init(uint32_t max);
uint32_t process_table_max(void);
uint32_t process_port_count(void);              /* ports alive */
uint32_t process_count(void);                   /* alive now; not exact while others run */
/* Walk: *at starts as 0; NULL at the end. Inside an epoch. */
struct process *process_table_next(uint32_t *at);
/* The same by groups of neighbours: those of one group into out, which has room for PROCESS_GROUP. How
 * many; negative: behind the last group that was ever used. Inside an epoch. */
#define PROCESS_GROUP_BITS 6
#define PROCESS_GROUP (1u << PROCESS_GROUP_BITS)
int process_table_group(uint32_t group, struct process **out);

void process_unpublish(struct process *p);      /* lookups find nothing from now on */

/* --- the end --------------------------------------------------------------------------------- */

/* Go on with the exit of p (state EXITING), one slice of it. True: p is gone, do not touch it. */
bool process_exit_step(struct process *p);
/* Start it: p is owned by the caller and has an exit_reason. */
void process_exit_begin(struct process *p);
/* Before it: the links and monitors between p and `to` end now, for the reason that p has, so that
 * `to` hears of the end before anything else that p has to tell. */
void process_exit_tell(struct process *p, term to);
void process_set_exit(struct process *p, term reason);      /* reason on p's heap: not an error's */

/* Free p, which never runs again, telling nobody: the node ends. */
void process_discard(struct process *p);

/* What the requests of SIG_REQUEST ask (sig.aux). */
enum request_kind {
    REQUEST_INFO,           /* process_info: b is a list of items or an item */
    REQUEST_ALIVE,          /* is_process_alive */
    REQUEST_COLLECT,        /* garbage_collect/2: b is major or minor */
    REQUEST_SUSPEND,        /* suspend_process */
    REQUEST_CHECK_CODE,     /* check_process_code: b is the module */
    REQUEST_PORT,           /* of a port: what b says, bif/port.h */
};
/* Answer a request for p: the answer, built in h. Owner of p. Filled by bif/ for INFO. */
term process_answer(struct process *p, unsigned kind, term operand, struct heap *h);
extern term (*process_info_answer)(struct process *p, term items, struct heap *h);
/* Do what REQUEST_PORT asks of port p and answer, now or later: takes sig. Owner of p. May set its
 * exit reason. Filled by bif/. */
extern void (*port_request)(struct process *p, struct sig *sig);

#endif
