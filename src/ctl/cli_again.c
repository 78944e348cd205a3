/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli_again.c - the same connection asked more than once: --watch and top
 */
#include "ctl/cli_priv.h"

#include "ctl/exits.h"
#include "ctl/watch.h"

#include <unistd.h>

struct again { struct cli *cli; struct client *c; };

/* Write one more answer to out, and leave cli as it was. */
static int ask_again(void *arg, const char *sort, FILE *out)
{
    struct again *a = arg;
    struct render form = a->cli->render;
    size_t noptions = a->cli->noptions;
    struct cli_files none = { 0 };
    bool several = cli_asks_several(a->cli);
    uint32_t id;
    int rc;

    if (sort != NULL)
        cli_set(a->cli, "sort", sort);
    a->cli->render.out = out;
    a->cli->render.err = out;
    rc = several ? cli_nodes(a->cli, &none) : cli_send(a->cli, a->c, &none, &id);
    if (rc == 0 && !several)
        rc = cli_answer(a->cli, a->c, id);
    if (several && a->cli->render.head != NULL)
        rc = 0;                 /* somebody has answered: the watch goes on, and who fails is named */
    render_fini(&a->cli->render);
    a->cli->render = form;
    a->cli->noptions = noptions;
    return rc == EXIT_INTERRUPTED ? 0 : rc;
}

/* The same for another command with these arguments; of a trace the process stands behind them. */
static int ask_other(struct again *a, enum command_id id, const char *const *args, size_t nargs,
                     FILE *out)
{
    struct cli *cli = a->cli;
    struct cli before = *cli;
    int rc;

    cli->cmd = &commands[id];
    cli->args = (char **)args;      /* it only reads them */
    cli->nargs = nargs;
    cli->limit = 0;
    cli->render.command = cli->cmd->name;
    cli->noptions = 0;
    if (id == CMD_trace) {
        cli_set(cli, "process", args[nargs]);
        cli_set(cli, "for", "3s");
    }
    rc = ask_again(a, NULL, out);
    *cli = before;
    return rc;
}

/* Above the processes of top: the node. */
static void top_head(void *arg, FILE *out)
{
    (void)!ask_other(arg, CMD_status, NULL, 0, out);
}

/* Enter on a process of top: what there is to know of it; t: what it sends and receives. */
static void top_open(void *arg, char key, const char *pid, FILE *out)
{
    const char *look[] = { pid }, *trace[] = { "send", "receive", "spawn", "exit", pid };

    if (key == 't')
        (void)!ask_other(arg, CMD_trace, trace, ARRAY_LEN(trace) - 1, out);
    else
        (void)!ask_other(arg, CMD_inspect, look, ARRAY_LEN(look), out);
}

static bool is_interrupted(void)
{
    return cli_interrupts() > 0;
}

int cli_watch(struct cli *cli, struct client *c)
{
    struct again a = { cli, c };
    bool top = cli->cmd == &commands[CMD_top];
    struct watch w = {
        .title = cli->cmd->name, .interval_ms = top ? 0 : cli->watch_ms, .settle_ms = top ? 1000 : 0,
        .keys = top,
        .ask = ask_again, .arg = &a, .ended = is_interrupted,
        .head = top ? top_head : NULL, .open = top ? top_open : NULL,
    };

    return watch_run(&w);
}

/* top goes on by itself on a terminal. */
bool cli_wants_watch(const struct cli *cli)
{
    return cli->watch_ms > 0 || (cli->cmd == &commands[CMD_top] && cli_option(cli, "once") == NULL &&
                                 cli->render.form <= FORM_WIDE && isatty(STDIN_FILENO) &&
                                 isatty(STDOUT_FILENO));
}
