/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sup.h - supervisors and their children
 *
 * The worker thread: a supervisor is asked as programs ask it, and may be busy.
 */
#ifndef CTL_SUP_H
#define CTL_SUP_H

#include "ctl/request.h"
#include "term/term.h"

/* The module whose functions ask that process, as supervisor:which_children/1; TERM_NONE: it is no
 * supervisor. */
term sup_module(term pid);
/* Answer rq with the children of the supervisor pid. */
void sup_reply_children(struct request *rq, term pid);

/* What the supervisor knows of its child: " (transient, 4 restarts, last {timeout,db} 11:02:41)". It is
 * asked only while it waits for messages, and then for a moment; nothing if that does not help. */
void sup_describe_child(struct buf *out, term supervisor, term child);

#endif
