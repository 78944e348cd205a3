/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signal.h - everything one process does to another, in one ordered stream per receiver
 *
 * The inbox is an intrusive multi-producer single-consumer list. Push: exchange the tail, link the
 * predecessor. Take: whoever owns the process. Two pushes by one sender are taken in that order.
 */
#ifndef VM_SIGNAL_H
#define VM_SIGNAL_H

#include "heap/heap.h"

#include <stdatomic.h>

enum signal_kind {
#define SIGNAL(name, text) SIG_##name,
#include "vm/signals.tab"
#undef SIGNAL
    SIG_COUNT,
};

enum signal_flags { SIG_OWN_BLOCK = 1 };    /* not on a stack, and not in front of a fragment */

struct sig {
    struct sig *_Atomic next;   /* [any] */
    uint8_t  kind;              /* [set] enum signal_kind */
    uint8_t  flags;             /* [set] enum signal_flags */
    uint16_t aux;
    uint32_t session;           /* [set] of a remote sender: remote.h; 0: it is here */
    term     from;              /* [set] sender's pid, or TERM_NONE */
    term     a, b;              /* [set] operands; boxed ones live in the fragment */
    struct frag *frag;          /* [set] words of a and b, in the same slab block or NULL */
};

struct inbox {
    struct sig *_Atomic tail;   /* [any] last pushed */
    struct sig *head;           /* [own] next to take */
    struct sig *_Atomic stub;   /* [any] the `next` of a sig that stands for the empty list */
};

/* The node that is in the list when nothing else is: only its `next` exists. */
#define inbox_stub(in) ((struct sig *)(void *)&(in)->stub)

void inbox_init(struct inbox *in);
void inbox_push(struct inbox *in, struct sig *sig);             /* any thread; takes sig */
struct sig *inbox_take(struct inbox *in);                       /* owner; NULL: empty (or a push is unfinished) */
/* Are there nodes that have not been taken? Owner. They may stand in front of the stub: a take that
 * met an unfinished push has put the stub behind it and gone away with nothing. */
ALWAYS_INLINE bool inbox_has_rest(const struct inbox *in)
{
    return in->head != inbox_stub(in);
}
/* Nothing pushed, nothing half pushed, since the owner has seen that there is no rest. Whoever has
 * just published WAITING; seq_cst, so it pairs with the exchange in inbox_push and the look at the
 * state. */
ALWAYS_INLINE bool inbox_is_untouched(struct inbox *in)
{
    return atomic_load(&in->tail) == inbox_stub(in);
}
/* Nothing is in it. Owner. */
ALWAYS_INLINE bool inbox_is_empty(struct inbox *in)
{
    return !inbox_has_rest(in) && inbox_is_untouched(in);
}

/* --- signals ------------------------------------------------------------------------------ */

struct process;

/* A signal of immediate operands only. */
struct sig *sig_new(enum signal_kind kind, term from, term a, term b);
/* A signal whose operand b (MESSAGE, ALIAS_MESSAGE: a) is a copy of t, in the same block. */
struct sig *sig_new_copy(enum signal_kind kind, term from, term other, term t);
void sig_free(struct sig *sig);         /* with its fragment, if it still has one */

/* Hand sig to the process: takes it. Applies it at once when p waits with an empty inbox, else
 * queues it and wakes p. Any thread inside an epoch. */
void signal_send(struct process *p, struct sig *sig);
/* The same for immediates, allocating nothing when it can be applied at once. */
void signal_post(struct process *p, enum signal_kind kind, term from, term a, term b);
/* The same from another node: session says which, from is an IMM_REMOTE. */
void signal_post_remote(struct process *p, enum signal_kind kind, uint32_t session, term from,
                        term a, term b);

/* What applying a signal means for the receiver. */
enum signal_effect {
    EFFECT_NONE,        /* nothing it would notice: it may go on waiting */
    EFFECT_WAKE,        /* it should run: a message came, a timer fired, it was resumed */
    EFFECT_EXIT,        /* it must exit: exit_reason is set */
};
/* Apply sig to p; takes sig. Owner of p. */
enum signal_effect signal_apply(struct process *p, struct sig *sig);
/* Answer sig in the name of a process that is gone; takes sig. Any thread inside an epoch. */
void signal_bounce(term pid, struct sig *sig);

#endif
