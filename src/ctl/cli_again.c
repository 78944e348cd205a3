/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli_again.c - the same connection asked more than once: --watch and top, report
 */
#include "ctl/cli_priv.h"

#include "ctl/exits.h"
#include "ctl/watch.h"

#include <errno.h>
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

/* --- report --------------------------------------------------------------------------- */

/* What a report asks, and rows at most. */
static const struct { enum command_id command; uint32_t limit; } report_parts[] = {
    { CMD_status, 0 }, { CMD_doctor, 0 }, { CMD_memory, 0 }, { CMD_ps, 50 }, { CMD_names, 200 },
    { CMD_tables, 100 }, { CMD_modules, 0 }, { CMD_history, 20 }, { CMD_nodes, 100 },
    { CMD_metrics, 0 }, { CMD_logs, 500 },
};

int cli_report(struct cli *cli)
{
    const char *path = cli_option(cli, "file");
    struct client c = { .fd = -1 };
    struct again a = { cli, &c };
    FILE *out;
    int rc;

    if (path == NULL)
        path = "rnode-report.txt";
    rc = cli_connect(cli, &c);
    if (rc != 0)
        return rc;
    out = fopen(path, "wex");
    if (out == NULL) {
        rc = cli_fail(cli, EXIT_CANNOT_CREATE, "RN0404", "--file another name",
                      "%s cannot be made: %s", path, strerror(errno));
        client_close(&c);
        return rc;
    }
    cli->render.color = false;
    cli->noptions = 0;
    for (size_t i = 0; i < ARRAY_LEN(report_parts) && rc != EXIT_UNREACHABLE; i++) {
        cli->cmd = &commands[report_parts[i].command];
        cli->limit = report_parts[i].limit;
        cli->render.command = cli->cmd->name;
        fprintf(out, "=== rnodectl %s\n", cli->cmd->name);
        rc = ask_again(&a, NULL, out);      /* what a part refuses stands in its place */
        fputc('\n', out);
    }
    client_close(&c);
    if (fclose(out) != 0)
        return cli_fail(cli, EXIT_IO, "RN0004", NULL, "%s could not be written: %s", path,
                        strerror(errno));
    if (rc == EXIT_UNREACHABLE)
        return rc;
    printf("%s is written. It names processes, modules and log records: read it before you share it.\n",
           path);
    return 0;
}
