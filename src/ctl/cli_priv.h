/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli_priv.h - what the files of rnodectl's command line share
 *
 * One thread. Functions that give an int give 0 or the exit code, after telling why.
 */
#ifndef CTL_CLI_PRIV_H
#define CTL_CLI_PRIV_H

#include "ctl/client.h"
#include "ctl/commands.h"
#include "ctl/render.h"

#define OPTIONS_MAX 32
#define DEFAULT_TIMEOUT_MS 10000

/* What became of a call in a shell. */
struct evaluated {
    bool numbered;              /* in: say _N before the value */
    uint64_t next;              /* in: N where the node does not count */
    char *value;                /* out: text of the value, to be freed; NULL: there is none */
    bool incomplete;            /* out: more text must follow; nothing was said */
};

struct cli {
    const struct command *cmd;
    const char *context, *node;
    char **args;
    size_t nargs;
    option_t options[OPTIONS_MAX], *option_ptrs[OPTIONS_MAX];
    size_t noptions;
    uint32_t limit;
    int64_t timeout_ms, watch_ms;
    bool timeout_given, verbose, dry_run, help, yes;
    bool no_pager;
    const char *color;
    struct progress progress;
    struct evaluated *evaluated;        /* of a shell: what it wants to know; NULL */
    struct render render;
};

struct cli_file { char *name; struct buf data; };
struct cli_files { struct cli_file *list; size_t n; };

/* --- cli_parse.c ---------------------------------------------------------------------- */

/* Say what went wrong; gives exit. hint NULL: help on the command when it
 * was used wrongly, else what explain.tab has. */
int cli_fail(struct cli *cli, int exit, const char *code, const char *hint, const char *fmt, ...)
    PRINTF_LIKE(5, 6);
int cli_parse(struct cli *cli, int argc, char **argv);
int cli_find_command(struct cli *cli, const char *word);
/* As if this option of cli->cmd, or a global one that goes to the node, stood behind everything else. */
void cli_set(struct cli *cli, const char *name, const char *value);
/* Value of an option of the command ("" for a switch), or NULL. */
const char *cli_option(const struct cli *cli, const char *name);

/* --- cli_ask.c ------------------------------------------------------------------------ */

/* The whole life of a command that a node answers. */
int cli_ask(struct cli *cli);
int cli_connect(struct cli *cli, struct client *c);
int cli_send(struct cli *cli, struct client *c, struct cli_files *fs, uint32_t *ret_id);
/* Show the answer to request id as it comes, until its end. */
int cli_answer(struct cli *cli, struct client *c, uint32_t id);
/* How many times Ctrl-C was pressed since the command began. */
int cli_interrupts(void);
/* The request of the command; it borrows from cli. */
void cli_request(struct cli *cli, const struct cli_files *fs, request_t *rq);
/* How long silence of a node may last; negative: for ever. */
int64_t cli_silence_ms(const struct cli *cli);

/* --- cli_nodes.c ---------------------------------------------------------------------- */

/* Does -n mean several nodes? */
bool cli_asks_several(const struct cli *cli);
/* Ask them all and show one answer; whoever fails is named. The exit code is that of the first
 * failure. */
int cli_nodes(struct cli *cli, const struct cli_files *fs);
/* Only the question whether it may be done there. 0, or the exit code. */
int cli_confirm_several(struct cli *cli);

/* --- cli_again.c ---------------------------------------------------------------------- */

/* top goes on by itself on a terminal. */
bool cli_wants_watch(const struct cli *cli);
int cli_watch(struct cli *cli, struct client *c);

/* --- report.c ------------------------------------------------------------------------- */

int cli_report(struct cli *cli);

#endif
