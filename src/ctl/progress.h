/* SPDX-License-Identifier: Apache-2.0 */
/*
 * progress.h - how far slow work is, on standard error
 *
 * A step with a text is a line that stays; one without is a figure that moves: a bar on a terminal, a
 * line at the start and the end of a phase and every ten seconds elsewhere. One thread.
 */
#ifndef CTL_PROGRESS_H
#define CTL_PROGRESS_H

#include "wire/frame.h"

#include <stdio.h>

enum progress_form { PROGRESS_AUTO, PROGRESS_BAR, PROGRESS_PLAIN, PROGRESS_JSON, PROGRESS_NONE };

struct progress {
    enum progress_form form;    /* AUTO is decided by progress_init */
    bool utf8;
    char phase[32];             /* of the last step */
    int64_t start_ns;           /* of that phase, monotonic */
    int64_t told_ns;            /* when the last line or bar was written */
    bool drawn;                 /* a bar stands on the line of the cursor */
};

bool progress_form_parse(const char *text, enum progress_form *ret);
/* AUTO becomes a bar when err is a terminal that can move its cursor, else plain. */
void progress_init(struct progress *p, FILE *err);
/* One step; prefix: a node that stands before it, or NULL. */
void progress_step(struct progress *p, FILE *err, const char *prefix, const progress_t *step);
/* The same without a frame: done of total bytes. */
void progress_bytes(struct progress *p, FILE *err, const char *phase, uint64_t done, uint64_t total);
/* So long has an answer been waited for: shown by a bar alone, and after a second. */
void progress_wait(struct progress *p, FILE *err, const char *what, int64_t since_ns);
/* Take the bar away, before anything else is written. */
void progress_clear(struct progress *p, FILE *err);

#endif
