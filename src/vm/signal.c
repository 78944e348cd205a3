/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signal.c - the inbox, and sending
 */
#include "vm/signal.h"

#include "base/slab.h"
#include "vm/process_priv.h"
#include "vm/sched.h"

/* --- inbox -------------------------------------------------------------------------------- */

void inbox_init(struct inbox *in)
{
    atomic_store_explicit(&in->stub, NULL, memory_order_relaxed);
    atomic_store_explicit(&in->tail, inbox_stub(in), memory_order_relaxed);
    in->head = inbox_stub(in);
}

void inbox_push(struct inbox *in, struct sig *sig)
{
    struct sig *prev;

    atomic_store_explicit(&sig->next, NULL, memory_order_relaxed);
    /* seq_cst: the sender looks at the receiver's state next, and the receiver, who has just
     * published WAITING, looks at the tail: one of them sees the other. */
    prev = atomic_exchange(&in->tail, sig);
    /* release: pairs with the acquire in inbox_take, which then sees the signal's words */
    atomic_store_explicit(&prev->next, sig, memory_order_release);
}

struct sig *inbox_take(struct inbox *in)
{
    struct sig *head = in->head, *stub = inbox_stub(in);
    struct sig *next = atomic_load_explicit(&head->next, memory_order_acquire);

    if (head == stub) {
        if (next == NULL)
            return NULL;
        in->head = head = next;
        next = atomic_load_explicit(&head->next, memory_order_acquire);
    }
    if (next == NULL) {
        if (head != atomic_load_explicit(&in->tail, memory_order_acquire))
            return NULL;            /* a push behind head is unfinished */
        inbox_push(in, stub);       /* so that head, the last one, can be taken out */
        next = atomic_load_explicit(&head->next, memory_order_acquire);
        if (next == NULL)
            return NULL;
    }
    in->head = next;
    return head;
}

/* --- making signals ------------------------------------------------------------------------ */

struct sig *sig_new(enum signal_kind kind, term from, term a, term b)
{
    struct sig *sig = slab_alloc(sizeof *sig);

    *sig = (struct sig){ .kind = kind, .flags = SIG_OWN_BLOCK, .from = from, .a = a, .b = b };
    return sig;
}

struct sig *sig_new_copy(enum signal_kind kind, term from, term other, term t)
{
    bool in_a = kind == SIG_MESSAGE || kind == SIG_ALIAS_MESSAGE;
    struct frag *frag = frag_copy(t, sizeof(struct sig), &t);
    term a = in_a ? t : other, b = in_a ? other : t;
    struct sig *sig;

    if (frag == NULL)
        return sig_new(kind, from, a, b);
    sig = (struct sig *)(void *)((char *)frag - sizeof *sig);
    *sig = (struct sig){ .kind = kind, .from = from, .a = a, .b = b, .frag = frag };
    return sig;
}

void sig_free(struct sig *sig)
{
    if (sig->frag != NULL)
        frag_free(sig->frag);       /* the signal is the fragment's prefix */
    else if ((sig->flags & SIG_OWN_BLOCK) != 0)
        slab_free(sig, sizeof *sig);
}

/* --- sending -------------------------------------------------------------------------------- */

void process_release_hold(struct process *p, enum process_state was, bool wake)
{
    uint32_t waiting = PROC_WAITING;

    if (was == PROC_WAITING && !wake) {
        bool rest = inbox_has_rest(&p->inbox);

        /* seq_cst: see inbox_is_untouched */
        atomic_store(&p->state, PROC_WAITING);
        if (LIKELY(!rest && inbox_is_untouched(&p->inbox)) ||
            !atomic_compare_exchange_strong(&p->state, &waiting, PROC_RUNNABLE))
            return;
    } else {
        /* release: what we did to the process is seen by the scheduler that runs it */
        atomic_store_explicit(&p->state, PROC_RUNNABLE, memory_order_release);
        if (was == PROC_RUNNABLE)
            return;                 /* it is on a queue already */
    }
    sched_enqueue(p);
}

static void push_and_wake(struct process *p, struct sig *sig)
{
    uint32_t waiting = PROC_WAITING;

    inbox_push(&p->inbox, sig);
    if (atomic_load(&p->state) == PROC_WAITING &&
        atomic_compare_exchange_strong(&p->state, &waiting, PROC_RUNNABLE))
        sched_enqueue(p);
}

/* May a signal be applied to p, which we hold, at once? Not if others are before it, not if p is
 * to exit: what comes after that finds nobody, and not in the middle of a built-in. */
static bool is_next(struct process *p)
{
    return inbox_is_empty(&p->inbox) && LIKELY(p->exit_reason == TERM_NONE) &&
           LIKELY(p->long_call == NULL);
}

void signal_send(struct process *p, struct sig *sig)
{
    enum process_state was = process_try_hold(p);

    if (was == PROC_FREE) {
        push_and_wake(p, sig);
    } else if (!is_next(p)) {
        inbox_push(&p->inbox, sig);
        process_release_hold(p, was, true);
    } else {
        process_release_hold(p, was, signal_apply(p, sig) != EFFECT_NONE);
    }
}

static struct sig *sig_new_remote(enum signal_kind kind, uint32_t session, term from, term a,
                                  term b)
{
    struct sig *sig = sig_new(kind, from, a, b);

    sig->session = session;
    return sig;
}

void signal_post(struct process *p, enum signal_kind kind, term from, term a, term b)
{
    signal_post_remote(p, kind, 0, from, a, b);
}

void signal_post_remote(struct process *p, enum signal_kind kind, uint32_t session, term from,
                        term a, term b)
{
    enum process_state was = process_try_hold(p);

    if (was == PROC_FREE) {
        push_and_wake(p, sig_new_remote(kind, session, from, a, b));
    } else if (!is_next(p)) {
        inbox_push(&p->inbox, sig_new_remote(kind, session, from, a, b));
        process_release_hold(p, was, true);
    } else {
        struct sig sig = { .kind = kind, .session = session, .from = from, .a = a, .b = b };    /* no SIG_OWN_BLOCK: not freed */

        process_release_hold(p, was, signal_apply(p, &sig) != EFFECT_NONE);
    }
}

void process_wake(term pid)
{
    struct process *p = process_lookup(pid);

    if (p != NULL)
        signal_post(p, SIG_WAKE, TERM_NONE, TERM_NONE, TERM_NONE);
}

bool signals_handle(struct process *p)
{
    struct sig *sig;
    int64_t n = 0;
    bool alive = p->exit_reason == TERM_NONE;

    while (alive && (sig = inbox_take(&p->inbox)) != NULL) {
        alive = signal_apply(p, sig) != EFFECT_EXIT;
        n++;
    }
    if (p->sched != NULL)
        charge(p, n / 4);
    return alive;
}
