/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch.h - an answer shown again and again on the whole screen
 *
 * For rnodectl --watch and top. On a terminal keys are read and the screen is put back at the end;
 * elsewhere the answers follow each other, an empty line between them. One thread.
 */
#ifndef CTL_WATCH_H
#define CTL_WATCH_H

#include "base/compiler.h"

#include <stdio.h>

struct watch {
    const char *title;          /* words of the command */
    int64_t interval_ms;
    int64_t settle_ms;          /* how long an answer takes even if it costs nothing */
    bool keys;                  /* keys of top: order, filter */
    /* Ask once and write the answer to out; sort: column to order by, or NULL. 0, or the exit code
     * that ends the watch. */
    int (*ask)(void *arg, const char *sort, FILE *out);
    /* With keys, on a terminal: what stands above the answer; and what is shown for a key (Enter, t)
     * on a row, whose first word it gets, instead of the answer until the next key. */
    void (*head)(void *arg, FILE *out);
    void (*open)(void *arg, char key, const char *word, FILE *out);
    void *arg;
    /* Has the user asked to end (Ctrl-C)? */
    bool (*ended)(void);
};

/* 0 when the user ended it. */
int watch_run(const struct watch *w);

#endif
