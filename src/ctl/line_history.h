/* SPDX-License-Identifier: Apache-2.0 */
/*
 * line_history.h - the lines that a person typed, kept for the next time
 *
 * One thread; for programs that read lines with libedit.
 */
#ifndef CTL_LINE_HISTORY_H
#define CTL_LINE_HISTORY_H

#include "base/compiler.h"

#include <histedit.h>

struct line_history {
    History *lines;         /* for EL_HIST */
    char *path;             /* NULL: there is no home to keep them in */
};

/* Lines of $XDG_STATE_HOME/rnode/NAME (~/.local/state by default). False: no memory for it. */
MUST_CHECK bool line_history_open(struct line_history *h, const char *name);
/* One line more, kept at once in a file that nobody else may read. */
void line_history_add(struct line_history *h, const char *line);
void line_history_close(struct line_history *h);        /* a zeroed one is fine */

#endif
