/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restarts.h - how often supervisors started their children again
 *
 * Told by their reports, kept for operators. Any thread.
 */
#ifndef BIF_RESTARTS_H
#define BIF_RESTARTS_H

#include "base/bytes.h"
#include "term/term.h"

/* The supervisor says that the child of that id ended, and why, and that it starts it again. */
void restarts_note(term supervisor, term id, term reason);

/* Of the child with that id, as it is printed: how often, and if so when and why last. */
uint64_t restarts_of(term supervisor, const char *id, int64_t *ret_last_ns, struct buf *reason);

#endif
