/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli.c - rnodectl: which command, those that need no node, and the way out
 */
#include "ctl/cli.h"

#include "base/alloc.h"
#include "base/errors.h"
#include "ctl/cli_priv.h"
#include "ctl/contexts.h"
#include "ctl/exits.h"
#include "ctl/pager.h"
#include "ctl/restore.h"
#include "ctl/shell.h"

#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <unistd.h>

#define DEFAULT_ROWS 20

/* --- commands that need no node ----------------------------------------------------- */

static int print_buf(struct cli *cli, struct buf *b)
{
    if (cli->no_pager)
        fwrite(b->data, 1, b->len, stdout);
    else
        pager_show(stdout, (char *)b->data, b->len);
    buf_fini(b);
    return EXIT_OK;
}

static int do_explain(struct cli *cli, const char *code)
{
    const struct explanation *ex = explanation_find(code);
    struct buf b = { 0 };
    size_t column = 0;

    if (ex == NULL)
        return cli_fail(cli, EXIT_NO, "RN0101", "a code as errors show it, such as RN0402",
                        "no error has the code `%s`", code);
    buf_printf(&b, "%s: %s\n\n", ex->code, ex->title);
    for (const char *s = ex->text; *s != 0;) {
        size_t n = strcspn(s, " ");

        if (column + n > 78) {
            buf_u8(&b, '\n');
            column = 0;
        }
        buf_printf(&b, "%s%.*s", column > 0 ? " " : "", (int)n, s);
        column += n + 1;
        s += n;
        s += strspn(s, " ");
    }
    buf_printf(&b, "\n\nTry:  %s\n", ex->hint);
    return print_buf(cli, &b);
}

static int do_help(struct cli *cli)
{
    struct buf b = { 0 };

    if (cli->cmd != NULL && cli->cmd == &commands[CMD_help] && cli->nargs > 0) {
        int rc = cli_find_command(cli, cli->args[0]);

        if (rc != 0)
            return rc;
        help_command(&b, cli->cmd);
    } else if (cli->help && cli->cmd != NULL && cli->cmd != &commands[CMD_help]) {
        help_command(&b, cli->cmd);
    } else {
        help_overview(&b);
    }
    return print_buf(cli, &b);
}

static int do_version(struct cli *cli)
{
    char *path = client_socket_path(cli->context);
    struct client c;

    printf("rnodectl %s\n", PACKAGE_VERSION);
    if (client_open(&c, path) == 0) {
        client_wait_hello(&c, 100);
        if (c.hello != NULL)
            printf("rnoded %s on %s\n", c.hello->hello->version, c.hello->hello->node);
        client_close(&c);
    }
    mem_free(path);
    return EXIT_OK;
}

static int do_completion(struct cli *cli, const char *shell)
{
    struct buf b = { 0 };

    if (completion_script(&b, shell) < 0)
        return cli_fail(cli, EXIT_USAGE, "RN0101", "bash, zsh or fish",
                        "no completion for `%s`", shell);
    return print_buf(cli, &b);
}

/* --- all of it ---------------------------------------------------------------------- */

static void set_up_terminal(struct cli *cli)
{
    const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR");
    bool tty = isatty(STDOUT_FILENO);

    cli->render.color = tty && (term == NULL || strcmp(term, "dumb") != 0) &&
                        (no_color == NULL || *no_color == 0);
    if (cli->color != NULL && strcmp(cli->color, "auto") != 0)
        cli->render.color = strcmp(cli->color, "always") == 0;
    progress_init(&cli->progress, stderr);
    cli->progress.utf8 = cli->render.utf8;
    cli->render.progress = &cli->progress;
}

static void on_restored(void *arg, uint64_t done, uint64_t total)
{
    struct cli *cli = arg;

    progress_bytes(&cli->progress, stderr, "restore", done, total);
}

/* Without a node: it must not run. */
static int do_restore(struct cli *cli)
{
    const char *data = cli_option(cli, "data");
    bool is_dev = data == NULL && cli->context != NULL && strchr(cli->context, '/') == NULL;
    char *folder = is_dev ? dev_folder(cli->context)
                          : mem_strdup(data != NULL ? data : "/var/lib/rnode");
    struct buf out = { 0 };
    int rc = restore_backup(cli->args[0], folder, &out, cli->render.quiet ? NULL : on_restored, cli);

    if (rc == 0)
        printf("%s%s is restored; start the node\n", buf_cstr(&out), folder);
    else if (rc == -ERR_BUSY)
        rc = cli_fail(cli, EXIT_NO, "RN0607", "rnodectl stop", "the node of %s runs", folder);
    else
        rc = cli_fail(cli, EXIT_BAD_INPUT, "RN0611", NULL, "%s cannot be restored into %s: %s\n%s",
                      cli->args[0], folder, rc == -ERR_SYSTEM ? strerror(errno) : error_text(rc),
                      buf_cstr(&out));
    buf_fini(&out);
    mem_free(folder);
    return rc;
}

static int run(struct cli *cli)
{
    size_t n = cli->nargs;

    if (cli->help || cli->cmd == NULL || cli->cmd == &commands[CMD_help])
        return do_help(cli);
    cli->render.command = cli->cmd->name;
    if (n < cli->cmd->min || (cli->cmd->max != 255 && n > cli->cmd->max))
        return cli_fail(cli, EXIT_USAGE, "RN0102", NULL, "%s takes %s", cli->cmd->name,
                        cli->cmd->args[0] != 0 ? cli->cmd->args : "no arguments");
    if (cli->cmd == &commands[CMD_explain])
        return do_explain(cli, cli->args[0]);
    if (cli->cmd == &commands[CMD_completion])
        return do_completion(cli, cli->args[0]);
    if (cli->cmd == &commands[CMD_version])
        return do_version(cli);
    if (cli->cmd == &commands[CMD_context])
        return contexts_command(cli->args, cli->nargs);
    if (cli_asks_several(cli) && (cli->cmd == &commands[CMD_shell] || cli->cmd == &commands[CMD_report]))
        return cli_fail(cli, EXIT_USAGE, "RN0122", NULL, "%s asks one node at a time", cli->cmd->name);
    if (cli->cmd == &commands[CMD_shell])
        return cli_shell(cli);
    if (cli->cmd == &commands[CMD_report])
        return cli_report(cli);
    if (cli->cmd == &commands[CMD_restore])
        return do_restore(cli);
    return cli_ask(cli);
}

int cli_main(int argc, char **argv)
{
    struct cli cli = { .limit = DEFAULT_ROWS, .timeout_ms = DEFAULT_TIMEOUT_MS };
    int rc;

    setlocale(LC_CTYPE, "");
    cli.render.utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    cli.render.out = stdout;
    cli.render.err = stderr;
    cli.render.command = "rnodectl";
    cli.args = MEM_NEW_ARRAY(char *, (size_t)argc + 1);
    rc = cli_parse(&cli, argc, argv);
    if (rc == 0) {
        set_up_terminal(&cli);
        rc = run(&cli);
    }
    mem_free(cli.args);
    if ((fflush(stdout) != 0 || ferror(stdout)) && rc == 0)
        rc = cli_fail(&cli, EXIT_IO, "RN0004", "df, or another place for the output",
                      "the answer could not be written to standard output");
    return rc;
}
