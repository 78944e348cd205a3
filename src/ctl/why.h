/* SPDX-License-Identifier: Apache-2.0 */
/*
 * why.h - what a process waits for, as a sentence
 *
 * Any thread that is not a scheduler.
 */
#ifndef CTL_WHY_H
#define CTL_WHY_H

#include "base/bytes.h"
#include "term/term.h"

void why_waits(struct buf *out, term pid);

#endif
