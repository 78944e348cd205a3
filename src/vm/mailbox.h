/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mailbox.h - the receiver's private queue of messages, and selective receive
 *
 * All functions: the thread that owns p. Messages are in order of arrival; `save` is how far the
 * current receive has looked. Positions are sequence numbers that never repeat, so a marker is one
 * number.
 */
#ifndef VM_MAILBOX_H
#define VM_MAILBOX_H

#include "vm/process.h"

/* The message at the save position, taking signals from the inbox when the queue is exhausted.
 * False: none (*ret untouched). While a message is being looked at its words may be in a fragment;
 * they belong to p's heap from the moment this returns. May find that p must exit: then it returns
 * false and p->action is BIF_EXIT. */
bool mailbox_peek(struct process *p, term *ret);
void mailbox_advance(struct process *p);        /* save moves past the message looked at */
void mailbox_remove(struct process *p);         /* unlink the message looked at; save := first; cancels the receive timer */
void mailbox_restart(struct process *p);        /* save := first (after a timeout) */
bool mailbox_has_unseen(const struct process *p);   /* a message at the save position, without looking at the inbox */
size_t mailbox_length(const struct process *p); /* messages in the private queue */
void mailbox_append(struct process *p, term msg); /* msg lies on p's heap (or is immediate, or a literal) */
term mailbox_nth(const struct process *p, size_t i); /* for process_info(messages); i < length */

/* recv_marker instructions. reserve returns a handle to keep in a y register (a small). */
term mailbox_marker_reserve(struct process *p);
void mailbox_marker_bind(struct process *p, term marker, term ref);
void mailbox_marker_use(struct process *p, term ref);
void mailbox_marker_clear(struct process *p, term ref);

/* Start the timer of `receive ... after` unless it runs already. */
void receive_timer_start(struct process *p, uint64_t ms);
#define RECEIVE_FOREVER_MS ((int64_t)1 << 40)   /* stands for a computed `infinity` */
void receive_timer_cancel(struct process *p);

/* Handle every signal in the inbox now. False: p must exit (p->exit_reason is set). */
MUST_CHECK bool signals_handle(struct process *p);

#endif
