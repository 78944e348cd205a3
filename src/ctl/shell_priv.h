/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shell_priv.h - what the files of rnodectl shell share; one thread
 */
#ifndef CTL_SHELL_PRIV_H
#define CTL_SHELL_PRIV_H

#include "ctl/line_history.h"
#include "ctl/shell.h"

#include <histedit.h>

#define PROMPT_ESCAPE '\1'     /* around what takes no room on the screen */

struct shell {
    struct cli *cli;
    const char *lang;           /* NULL: calls and commands */
    char *session;              /* name of what the node keeps for us; with lang */
    char *prompt;
    bool terminal;
    bool over;                  /* :quit */
    bool incomplete;            /* the last evaluation wants more text */
    struct buf pending;         /* lines of an expression that is not complete */
    char **values;              /* without lang: texts of _1, _2, ... */
    size_t nvalues;
    EditLine *editor;
    struct line_history history;
};

/* The key Tab. */
unsigned char shell_on_tab(EditLine *e, int key);

#endif
