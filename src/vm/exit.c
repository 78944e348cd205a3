/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exit.c - how a process ends
 *
 *   1  state EXITING; the crash report, while everything is still there
 *   2  the name goes first: a supervisor that restarts us must find it free
 *   3  timers, tables (hook), blocking work
 *   4  the pid stops being found; the inbox is answered
 *   5  one signal per link and watcher, at most EXIT_SLICE per turn
 *   6  heap and queues are freed; the struct is retired, and answers what was pushed meanwhile
 */
#include "vm/process_priv.h"

#include "base/alloc.h"
#include "base/epoch.h"
#include "base/metric.h"
#include "base/slab.h"
#include "heap/blob.h"
#include "vm/bif.h"
#include "vm/hooks.h"
#include "vm/job.h"
#include "vm/literals.h"
#include "vm/long_call.h"
#include "vm/mailbox_priv.h"
#include "vm/pdict.h"
#include "vm/registry.h"
#include "vm/remote.h"
#include "vm/sched_priv.h"
#include "vm/trace.h"

#define EXIT_SLICE 500

void (*vm_crash_hook)(struct process *p, term reason);
void (*vm_heap_limit_hook)(struct process *p, uint64_t max_words);
bool (*vm_exit_hook)(struct process *p);
void (*vm_halt_hook)(int status, bool abort, bool flush);

static void count_exit(term reason)
{
    if (reason == ATOM_normal)
        metric_inc(M_exited_normal);
    else if (reason == ATOM_shutdown ||
             (is_tuple_n(reason, 2) && tuple_elem(reason, 0) == ATOM_shutdown))
        metric_inc(M_exited_shutdown);
    else if (reason == ATOM_killed || reason == ATOM_kill)
        metric_inc(M_exited_kill);
    else
        metric_inc(M_exited_error);
}

void process_exit_begin(struct process *p)
{
    /* Others are told in slices; by then literals may be gone, and nobody asks us any more. */
    p->exit_reason = heap_copy_whole(&p->heap, p->exit_reason);
    count_exit(p->exit_reason);
    if (UNLIKELY(atomic_load_explicit(&trace_exits, memory_order_relaxed) != 0))
        trace_exit_hook(p, p->exit_reason);
    atomic_store_explicit(&p->state, PROC_EXITING, memory_order_release);
    if ((p->exc.class == ATOM_error || p->exc.class == ATOM_throw) &&
        p->exit_reason != ATOM_normal && vm_crash_hook != NULL)
        vm_crash_hook(p, p->exit_reason);
    registry_remove_process(p);
    receive_timer_cancel(p);
    if (p->job != NULL)
        job_abandon(p);
}

/* Whom it has suspended runs again. */
static void resume_all(struct process *p)
{
    for (uint32_t i = 0; p->ext != NULL && i < p->ext->suspending_n; i++) {
        struct process *q = process_lookup(p->ext->suspending[i].pid);

        for (uint32_t n = p->ext->suspending[i].times; q != NULL && n > 0; n--)
            signal_post(q, SIG_RESUME, p->pid, TERM_NONE, TERM_NONE);
    }
}

static void bounce_inbox(struct process *p)
{
    struct sig *sig;

    while ((sig = inbox_take(&p->inbox)) != NULL)
        signal_bounce(p->pid, sig);
}

/* Nobody can push any more. */
static void process_reclaim(void *ptr)
{
    struct process *p = ptr;

    bounce_inbox(p);
    ASSERT(inbox_is_empty(&p->inbox));
    slab_free(p, sizeof *p);
}

/* Tell the other side of one relation. */
static void relation_end(struct process *p, const struct relation *r)
{
    struct process *peer = is_local_receiver(r->peer) ? process_lookup(r->peer) : NULL;

    if (r->session != 0)
        remote_relation_end(p, r);
    if (peer == NULL || peer == p)
        return;
    switch (relation_class(r)) {
    case REL_SESSION:
        break;
    case REL_LINK:
        if (is_ptr(p->exit_reason))
            signal_send(peer, sig_new_copy(SIG_EXIT_LINKED, p->pid, TERM_NONE, p->exit_reason));
        else
            signal_post(peer, SIG_EXIT_LINKED, p->pid, TERM_NONE, p->exit_reason);
        break;
    case REL_MINE:
        signal_post(peer, SIG_DEMONITOR, p->pid, relation_ref(r), TERM_NONE);
        break;
    case REL_WATCHER:
        if (is_ptr(p->exit_reason))
            signal_send(peer, sig_new_copy(SIG_DOWN, p->pid, relation_ref(r), p->exit_reason));
        else
            signal_post(peer, SIG_DOWN, p->pid, relation_ref(r), p->exit_reason);
        break;
    }
}

void process_exit_tell(struct process *p, term to)
{
    struct relation *r;
    uint32_t at = 0;

    while ((r = relation_next(p, &at)) != NULL)
        if (r->session == 0 && r->peer == to) {
            relation_end(p, r);
            relation_remove(p, r);
            at = 0;     /* others may have moved */
        }
}

/* True: all are told. */
static bool relations_end(struct process *p)
{
    struct relset *set = p->relations;
    unsigned told = 0;

    if (set == NULL)
        return true;
    while (set->n > 0 && told < EXIT_SLICE) {
        /* From the end, so that a plain array or what is left of a hash is just cut off. */
        struct relation *r = &set->slots[--set->cap_left];

        if (r->key == 0)
            continue;
        relation_end(p, r);
        relation_forget(r);
        set->n--;
        told++;
    }
    return set->n == 0;
}

/* Everything but the struct. */
static void process_empty(struct process *p)
{
    relset_free(p);
    mailbox_free(p);
    pdict_free(p);
    if (p->ext != NULL) {
        if (p->ext->owes_literals)
            literals_answered();
        mem_free(p->ext->suspending);
        if (p->ext->port != NULL)
            blob_unref(p->ext->port);
        slab_free(p->ext, sizeof *p->ext);
    }
    heap_end(&p->heap);
    epoch_retire(p, process_reclaim);
}

void process_discard(struct process *p)
{
    registry_remove_process(p);
    receive_timer_cancel(p);
    if (p->long_call != NULL)
        long_call_discard(p);
    if (p->job != NULL)
        job_abandon(p);
    process_unpublish(p);
    process_empty(p);
}

bool process_exit_step(struct process *p)
{
    if (p->wait_kind != UINT8_MAX) {        /* steps 1 to 4 are not over */
        if (vm_exit_hook != NULL && vm_exit_hook(p))
            return false;
        process_unpublish(p);
        bounce_inbox(p);
        resume_all(p);
        p->wait_kind = UINT8_MAX;
    }
    if (!relations_end(p))
        return false;
    counter_add(&sched_self->priv->exited, 1);
    process_empty(p);
    return true;
}
