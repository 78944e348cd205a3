/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mailbox_priv.h - the ring of queued messages, for the files of vm/ that walk it
 *
 * An entry is a term, or a signal (TAG_HDR in its low bits, never a value) whose message still lies
 * in the signal's fragment: such messages are no work for the collector however many there are.
 */
#ifndef VM_MAILBOX_PRIV_H
#define VM_MAILBOX_PRIV_H

#include "vm/mailbox.h"

#define RING_MIN 4
#define MARKS_MAX 8

struct mailbox {
    term    *ring;              /* cap entries, at seq & (cap - 1) */
    uint32_t cap;
    uint64_t first, save, end;  /* sequence numbers; first <= save <= end */
};

struct recv_marks {
    uint32_t next;              /* slot that is taken next */
    struct { uint64_t seq; term ref; } slot[MARKS_MAX];     /* ref: plain, NIL: not bound, NONE: free */
};

#define entry_is_sig(e)  is_header(e)
#define entry_sig(e)     ((struct sig *)(uintptr_t)((e) & ~(term)7))
#define entry_of_sig(s)  ((term)(uintptr_t)(s) | TAG_HDR)
#define entry_at(mq, seq) ((mq)->ring[(seq) & ((mq)->cap - 1)])

/* Queue a message signal without taking its words in yet; takes sig. */
void mailbox_append_sig(struct process *p, struct sig *sig);
/* The queue's entries as at most two spans of roots; returns how many. */
unsigned mailbox_spans(struct process *p, struct gc_span out[2]);
/* Remove every message for which keep is false; for demonitor(flush). */
void mailbox_drop_if(struct process *p, bool (*drop)(term msg, const void *arg), const void *arg);
void mailbox_free(struct process *p);

#endif
