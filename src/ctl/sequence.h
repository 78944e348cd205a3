/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sequence.h - who sent what to whom, as a diagram
 *
 * No locks: the caller has one.
 */
#ifndef CTL_SEQUENCE_H
#define CTL_SEQUENCE_H

#include "base/bytes.h"

enum sequence_form { SEQUENCE_TEXT, SEQUENCE_SVG, SEQUENCE_MERMAID };

#define SEQUENCE_PARTIES_MAX 24     /* those that come later share the last lifeline */

struct sequence_event { unsigned from, to; char *label; };

struct sequence {
    char *parties[SEQUENCE_PARTIES_MAX];
    unsigned nparties;
    struct sequence_event *at;      /* from == to: something that happened to one */
    size_t n, cap;
};

/* from and to: names of processes; NULL: the node. Copies all. */
void sequence_add(struct sequence *s, const char *from, const char *to, const char *label);
void sequence_draw(const struct sequence *s, enum sequence_form form, struct buf *out);
void sequence_fini(struct sequence *s);

#endif
