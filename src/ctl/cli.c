/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli.c - the command line of rnodectl
 *
 * Options may stand anywhere; everything after `--` is an argument, and so is a negative number.
 */
#include "ctl/cli.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/errors.h"
#include "base/suggest.h"
#include "base/units.h"
#include "ctl/client.h"
#include "ctl/contexts.h"
#include "ctl/commands.h"
#include "ctl/exits.h"
#include "ctl/watch.h"
#include "ctl/render.h"
#include "ctl/spread.h"
#include "ctl/restore.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define OPTIONS_MAX 32
#define DEFAULT_ROWS 20
#define DEFAULT_TIMEOUT_MS 10000

struct cli {
    const struct command *cmd;
    const char *context, *node;
    char **args;
    size_t nargs;
    option_t options[OPTIONS_MAX], *option_ptrs[OPTIONS_MAX];
    size_t noptions;
    uint32_t limit;
    int64_t timeout_ms, watch_ms;
    bool timeout_given, verbose, dry_run, help;
    const char *color;
    struct render render;
};

struct loaded { char *name; struct buf data; };
struct files { struct loaded *list; size_t n; };

static volatile sig_atomic_t interrupted;

static void on_interrupt(int sig)
{
    interrupted++;
}

/* --- errors of our own -------------------------------------------------------------- */

static int fail(struct cli *cli, int exit, const char *code, const char *hint, const char *fmt, ...)
    PRINTF_LIKE(5, 6);

static int fail(struct cli *cli, int exit, const char *code, const char *hint, const char *fmt, ...)
{
    const struct explanation *ex = explanation_find(code);
    done_t d = RNODE__CONTROL__DONE__INIT;
    char *text;
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&text, fmt, ap) < 0)
        return EXIT_BUG;
    va_end(ap);
    d.exit = (uint32_t)exit;
    d.code = (char *)(uintptr_t)code;
    d.message = text;
    d.hint = (char *)(uintptr_t)(hint != NULL ? hint : ex != NULL ? ex->hint : "");
    render_error(&cli->render, &d);
    mem_free(text);
    return exit;
}

/* --- parsing ------------------------------------------------------------------------ */

static int unknown_option(struct cli *cli, const char *word)
{
    const char *known[128], *near;
    size_t n = 0;

    for (size_t i = 0; i < command_flags_len && n < ARRAY_LEN(known); i++) {
        const struct command_flag *f = &command_flags[i];

        if (f->command[0] == 0 || (cli->cmd != NULL && strcmp(f->command, cli->cmd->name) == 0))
            known[n++] = f->name;
    }
    near = suggest_nearest(word + strspn(word, "-"), known, n);
    if (near != NULL) {
        char hint[64];

        snprintf(hint, sizeof hint, "--%s", near);
        return fail(cli, EXIT_USAGE, "RN0101", hint, "unknown option `%s`", word);
    }
    return fail(cli, EXIT_USAGE, "RN0101", NULL, "unknown option `%s`", word);
}

static int bad_value(struct cli *cli, const struct command_flag *f, const char *value,
                     const char *expected)
{
    return fail(cli, EXIT_USAGE, "RN0101", expected, "`%s` is no value for --%s", value, f->name);
}

/* Take a global option. 0, or an exit code. */
static int global_option(struct cli *cli, const struct command_flag *f, const char *value)
{
    int64_t n;

    if (strcmp(f->name, "context") == 0) {
        cli->context = value;
    } else if (strcmp(f->name, "node") == 0) {
        cli->node = value;
    } else if (strcmp(f->name, "output") == 0) {
        if (!output_form_parse(value, &cli->render.form))
            return bad_value(cli, f, value, "-o table, wide, json, jsonl or tsv");
    } else if (strcmp(f->name, "json") == 0) {
        cli->render.form = FORM_JSON;
    } else if (strcmp(f->name, "limit") == 0) {
        if (!count_parse(value, &n) || n > UINT32_MAX)
            return bad_value(cli, f, value, "-l 50, or -l 0 for all");
        cli->limit = (uint32_t)n;
    } else if (strcmp(f->name, "timeout") == 0) {
        if (!duration_parse(value, &cli->timeout_ms))
            return bad_value(cli, f, value, "--timeout 10s");
        cli->timeout_given = true;
    } else if (strcmp(f->name, "quiet") == 0) {
        cli->render.quiet = true;
    } else if (strcmp(f->name, "verbose") == 0) {
        cli->verbose = true;
    } else if (strcmp(f->name, "dry-run") == 0) {
        cli->dry_run = true;
    } else if (strcmp(f->name, "color") == 0) {
        if (strcmp(value, "auto") != 0 && strcmp(value, "always") != 0 &&
            strcmp(value, "never") != 0)
            return bad_value(cli, f, value, "--color auto, always or never");
        cli->color = value;
    } else if (strcmp(f->name, "watch") == 0) {
        if (value == NULL)
            value = "1s";
        if (!duration_parse(value, &cli->watch_ms) || cli->watch_ms < 100)
            return bad_value(cli, f, value, "--watch=2s");
    } else if (strcmp(f->name, "help") == 0) {
        cli->help = true;
    } else if (strcmp(f->name, "sort") == 0) {
        return -1; /* the node sorts */
    }
    return 0;
}

static int take_option(struct cli *cli, const struct command_flag *f, const char *value)
{
    int rc = f->command[0] == 0 ? global_option(cli, f, value) : -1;
    option_t *o;

    if (rc >= 0)
        return rc;
    if (cli->noptions == OPTIONS_MAX)
        return fail(cli, EXIT_USAGE, "RN0101", NULL, "too many options");
    o = &cli->options[cli->noptions];
    rnode__control__option__init(o);
    o->key = (char *)(uintptr_t)f->name;
    o->value = (char *)(uintptr_t)(value != NULL ? value : "");
    cli->option_ptrs[cli->noptions++] = o;
    return 0;
}

/* "[TIME]" may be left out, and then only =TIME gives it. */
static bool takes_value(const struct command_flag *f)
{
    return f->arg[0] != 0 && f->arg[0] != '[';
}

/* As if -s sort stood behind everything else. */
static void take_sort(struct cli *cli, const char *sort)
{
    (void)!take_option(cli, flag_find(NULL, "sort", 0), sort);
}

/* Long options: --name, --name=value, --name value. */
static int long_option(struct cli *cli, char **argv, int *at)
{
    const char *word = argv[*at], *eq = strchr(word, '='), *value = eq != NULL ? eq + 1 : NULL;
    char *name = mem_printf("%.*s", (int)(eq != NULL ? eq - word - 2 : (long)strlen(word) - 2),
                            word + 2);
    const struct command_flag *f = flag_find(cli->cmd != NULL ? cli->cmd->name : NULL, name, 0);
    int rc = 0;

    if (f == NULL)
        rc = unknown_option(cli, word);
    else if (f->arg[0] == 0 && value != NULL)
        rc = fail(cli, EXIT_USAGE, "RN0101", NULL, "--%s takes no value", name);
    else if (takes_value(f) && value == NULL && (value = argv[++*at]) == NULL)
        rc = fail(cli, EXIT_USAGE, "RN0102", NULL, "--%s needs %s", name, f->arg);
    else
        rc = take_option(cli, f, value);
    mem_free(name);
    return rc;
}

/* Short options: -v, -qv, -l5, -l 5. */
static int short_options(struct cli *cli, char **argv, int *at)
{
    const char *word = argv[*at];

    for (const char *s = word + 1; *s != 0; s++) {
        const char *name = cli->cmd != NULL ? cli->cmd->name : NULL;
        const struct command_flag *f = flag_find(name, NULL, *s);
        const char *value = NULL;
        int rc;

        if (f == NULL)
            return unknown_option(cli, word);
        if (takes_value(f)) {
            value = s[1] != 0 ? s + 1 : argv[++*at];
            if (value == NULL)
                return fail(cli, EXIT_USAGE, "RN0102", NULL, "-%c needs %s", *s, f->arg);
        }
        rc = take_option(cli, f, value);
        if (rc != 0 || value != NULL)
            return rc;
    }
    return 0;
}

static int find_command(struct cli *cli, const char *word)
{
    const char *known[CMD_COUNT], *near;
    char hint[64];

    cli->cmd = command_find(word);
    if (cli->cmd != NULL)
        return 0;
    for (size_t i = 0; i < CMD_COUNT; i++)
        known[i] = commands[i].name;
    near = suggest_nearest(word, known, CMD_COUNT);
    snprintf(hint, sizeof hint, "rnodectl %s", near != NULL ? near : "help");
    return fail(cli, EXIT_USAGE, "RN0101", hint, "unknown command `%s`", word);
}

/* The command is found first, because its options may come before it on the line. */
static int parse(struct cli *cli, int argc, char **argv)
{
    bool only_args = false;
    int rc;

    for (int i = 1; i < argc && cli->cmd == NULL; i++) {
        const struct command_flag *f;

        if (argv[i][0] != '-') {
            rc = find_command(cli, argv[i]);
            if (rc != 0)
                return rc;
            argv[i] = (char *)(uintptr_t)""; /* not an argument */
            break;
        }
        f = argv[i][1] == '-' ? flag_find(NULL, argv[i] + 2, 0) : flag_find(NULL, NULL, argv[i][1]);
        if (f != NULL && takes_value(f) && (argv[i][1] == '-' || argv[i][2] == 0))
            i++; /* its value is not the command */
    }
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];

        if (!only_args && strcmp(word, "--") == 0) {
            only_args = true;
            continue;
        }
        if (only_args || word[0] != '-' || word[1] == 0 || isdigit((unsigned char)word[1])) {
            if (word[0] != 0 || cli->cmd == NULL || only_args)
                cli->args[cli->nargs++] = argv[i];
            continue;
        }
        rc = word[1] == '-' ? long_option(cli, argv, &i) : short_options(cli, argv, &i);
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* --- commands that need no node ----------------------------------------------------- */

static int print_buf(struct buf *b)
{
    fwrite(b->data, 1, b->len, stdout);
    buf_fini(b);
    return EXIT_OK;
}

static int do_explain(struct cli *cli, const char *code)
{
    const struct explanation *ex = explanation_find(code);
    struct buf b = { 0 };
    size_t column = 0;

    if (ex == NULL)
        return fail(cli, EXIT_NO, "RN0101", "a code as errors show it, such as RN0402",
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
    return print_buf(&b);
}

static int do_help(struct cli *cli)
{
    struct buf b = { 0 };

    if (cli->cmd != NULL && cli->cmd == &commands[CMD_help] && cli->nargs > 0) {
        int rc = find_command(cli, cli->args[0]);

        if (rc != 0)
            return rc;
        help_command(&b, cli->cmd);
    } else if (cli->help && cli->cmd != NULL && cli->cmd != &commands[CMD_help]) {
        help_command(&b, cli->cmd);
    } else {
        help_overview(&b);
    }
    return print_buf(&b);
}

static int do_version(struct cli *cli)
{
    char *path = client_socket_path(cli->context);
    struct client c;
    frame_t *f;

    printf("rnodectl %s\n", PACKAGE_VERSION);
    if (client_open(&c, path) == 0) {
        /* Nothing was asked, so nothing but Hello can come; the wait ends by time. */
        while (c.hello == NULL && client_next(&c, 0, 100, &f) == 0)
            frame_free(f);
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
        return fail(cli, EXIT_USAGE, "RN0101", "bash, zsh or fish",
                    "no completion for `%s`", shell);
    return print_buf(&b);
}

/* --- files of deploy ---------------------------------------------------------------- */

static int read_file(struct cli *cli, struct files *fs, const char *path)
{
    FILE *in = fopen(path, "rbe");
    struct loaded *l;
    size_t n;

    if (in == NULL)
        return fail(cli, EXIT_NO_INPUT, "RN0404", NULL, "%s cannot be opened: %s", path,
                    strerror(errno));
    fs->list = mem_realloc(fs->list, (fs->n + 1) * sizeof fs->list[0]);
    l = &fs->list[fs->n++];
    *l = (struct loaded){ .name = mem_strdup(path) };
    do {
        void *room = buf_room(&l->data, 65536);

        n = fread(room, 1, 65536, in);
        l->data.len -= 65536 - n;
    } while (n > 0);
    fclose(in);
    return 0;
}

static int is_beam(const struct dirent *e)
{
    size_t n = strlen(e->d_name);

    return e->d_name[0] != '.' && n > 5 && strcmp(e->d_name + n - 5, ".beam") == 0;
}

/* The .beam files of a folder, or of its ebin/. */
static int read_folder(struct cli *cli, struct files *fs, const char *path)
{
    struct dirent **list;
    char *sub = mem_printf("%s/ebin", path);
    const char *dir = path;
    int n = scandir(path, &list, is_beam, alphasort), rc = 0;

    if (n == 0) {
        free(list);
        dir = sub;
        n = scandir(sub, &list, is_beam, alphasort);
    }
    for (int i = 0; i < n; i++) {
        char *file = mem_printf("%s/%s", dir, list[i]->d_name);

        if (rc == 0)
            rc = read_file(cli, fs, file);
        mem_free(file);
        free(list[i]);
    }
    if (n >= 0)
        free(list);
    mem_free(sub);
    return rc;
}

static int read_files(struct cli *cli, struct files *fs)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < cli->nargs; i++) {
        struct stat st;

        if (stat(cli->args[i], &st) == 0 && S_ISDIR(st.st_mode))
            rc = read_folder(cli, fs, cli->args[i]);
        else
            rc = read_file(cli, fs, cli->args[i]);
    }
    if (rc == 0 && fs->n == 0)
        rc = fail(cli, EXIT_NO_INPUT, "RN0206", NULL, "no .beam file in %s", cli->args[0]);
    return rc;
}

static void files_fini(struct files *fs)
{
    for (size_t i = 0; i < fs->n; i++) {
        mem_free(fs->list[i].name);
        buf_fini(&fs->list[i].data);
    }
    mem_free(fs->list);
}

/* --- asking the node ---------------------------------------------------------------- */

/* 0, or an exit code after telling why. */
static int go_on_to(struct cli *cli, struct client *c)
{
    frame_t *refused = NULL;
    int rc = client_tunnel(c, cli->node, cli->timeout_ms, &refused);

    if (rc == 0)
        return 0;
    if (refused == NULL)
        return fail(cli, EXIT_UNREACHABLE, "RN0105", NULL, "%s does not answer", cli->node);
    render_error(&cli->render, refused->done);
    rc = (int)refused->done->exit;
    frame_free(refused);
    return rc;
}

static int connect_node(struct cli *cli, struct client *c)
{
    char *path = client_socket_path(cli->context);
    int rc = client_open(c, path);

    if (cli->verbose && rc == 0)
        fprintf(stderr, "asking the node at %s\n", path);
    if (rc == -ERR_PERMISSION)
        rc = fail(cli, EXIT_PERMISSION, "RN0707", NULL, "%s may not be opened by you", path);
    else if (rc < 0)
        rc = fail(cli, EXIT_UNREACHABLE, "RN0105", NULL, "no node answers at %s", path);
    else if (cli->node != NULL)
        rc = go_on_to(cli, c);
    mem_free(path);
    return rc;
}

static void request_fill(struct cli *cli, const struct files *fs, request_t *rq)
{
    rq->command = (char *)(uintptr_t)cli->cmd->name;
    rq->n_args = cli->nargs;
    rq->args = cli->args;
    rq->n_options = cli->noptions;
    rq->options = cli->option_ptrs;
    rq->limit = cli->limit;
    rq->timeout_ms = cli->timeout_given ? (uint32_t)cli->timeout_ms : 0;
    rq->files = (uint32_t)fs->n;
    rq->dry_run = cli->dry_run;
}

static int send_request(struct cli *cli, struct client *c, struct files *fs, uint32_t *ret_id)
{
    request_t rq = RNODE__CONTROL__REQUEST__INIT;
    int rc;

    request_fill(cli, fs, &rq);
    rc = client_request(c, &rq, ret_id);
    for (size_t i = 0; rc == 0 && i < fs->n; i++)
        rc = client_file(c, *ret_id, fs->list[i].name, fs->list[i].data.data, fs->list[i].data.len);
    /* A node that refuses closes while we still write; its reason waits in the socket. */
    if (rc == -ERR_LIMIT)
        return fail(cli, EXIT_USAGE, "RN0109", NULL, "the arguments are too long");
    return 0;
}

/* Value of an option of the command ("" for a switch), or NULL. */
static const char *option_of(const struct cli *cli, const char *name)
{
    for (size_t i = 0; i < cli->noptions; i++)
        if (strcmp(cli->options[i].key, name) == 0)
            return cli->options[i].value;
    return NULL;
}

/* The desktop decides which browser that is; without one, the address has been printed anyway. */
static void open_browser(const char *address)
{
    char *argv[] = { (char *)(uintptr_t)"xdg-open", (char *)(uintptr_t)address, NULL };
    pid_t pid;

    if (posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ) != 0)
        fprintf(stderr, "no xdg-open here: open the address yourself\n");
}

static int finish(struct cli *cli, struct client *c, const done_t *d)
{
    if (cli->cmd == &commands[CMD_web] && cli->render.nrows == 1 && option_of(cli, "open") != NULL)
        open_browser(cli->render.rows[0]->row->cells[0]->text);
    if (cli->render.node == NULL && c->hello != NULL)
        cli->render.node = c->hello->hello->node;
    render_end(&cli->render, d);
    if (d->exit != 0 && d->exit != EXIT_INTERRUPTED && d->code[0] != 0) {
        fflush(stdout);
        render_error(&cli->render, d);
    }
    return (int)d->exit;
}

/* Commands that end when they end: only silence of the connection counts, not time. */
static int64_t answer_timeout(const struct cli *cli)
{
    static const enum command_id endless[] = {
        CMD_call, CMD_eval, CMD_trace, CMD_deploy, CMD_rollback, CMD_purge, CMD_backup, CMD_check,
        CMD_join,
    };

    if (cli->timeout_given)
        return cli->timeout_ms + 500; /* the node has the first word on how long is too long */
    for (size_t i = 0; i < ARRAY_LEN(endless); i++) {
        if (cli->cmd == &commands[endless[i]])
            return -1;
    }
    return option_of(cli, "follow") != NULL ? -1 : DEFAULT_TIMEOUT_MS;
}

static int answer(struct cli *cli, struct client *c, uint32_t id)
{
    int64_t timeout = answer_timeout(cli);
    int cancels = 0;

    for (;;) {
        frame_t *f;
        int rc = client_next(c, id, timeout, &f);

        if (rc == -ERR_BUSY) {
            if (interrupted > cancels) {
                cancels = interrupted;
                if (cancels > 1 || client_cancel(c, id) < 0)
                    return EXIT_INTERRUPTED;
            }
            continue;
        }
        if (rc == -ERR_TIMEOUT)
            return fail(cli, EXIT_TIMEOUT, "RN0110", "a longer --timeout",
                        "the node did not answer in time");
        if (rc == -ERR_PROTOCOL)
            return fail(cli, EXIT_PROTOCOL, "RN0010", "rnodectl version",
                        "what listens there is not a node of this version");
        if (rc < 0)
            return cli->cmd == &commands[CMD_stop]
                       ? EXIT_OK
                       : fail(cli, EXIT_UNREACHABLE, "RN0106", NULL, "the connection was lost");
        if (cli->render.node == NULL && c->hello != NULL)
            cli->render.node = c->hello->hello->node;
        if (f->body_case == RNODE__CONTROL__CONTROL__BODY_DONE) {
            rc = finish(cli, c, f->done);
            frame_free(f);
            return rc;
        }
        render_frame(&cli->render, f);
    }
}

/* The node does not know where we are. The text lives as long as the program. */
static void make_absolute(struct cli *cli)
{
    char *here;

    if (cli->args[0][0] == '/')
        return;
    here = getcwd(NULL, 0);
    if (here != NULL)
        cli->args[0] = mem_printf("%s/%s", here, cli->args[0]);
    free(here);
}

/* The answer goes where --file says. */
static int redirect(struct cli *cli)
{
    const char *path = option_of(cli, "file");

    if (path == NULL)
        return 0;
    cli->render.out = fopen(path, "we");
    if (cli->render.out != NULL)
        return 0;
    cli->render.out = stdout;
    return fail(cli, EXIT_CANNOT_CREATE, "RN0404", NULL, "%s cannot be written: %s", path,
                strerror(errno));
}

/* --- again and again ------------------------------------------------------------------ */

struct again { struct cli *cli; struct client *c; };

static bool is_interrupted(void)
{
    return interrupted > 0;
}

static int ask_again(void *arg, const char *sort, FILE *out)
{
    struct again *a = arg;
    struct render form = a->cli->render;
    size_t noptions = a->cli->noptions;
    struct files none = { 0 };
    uint32_t id;
    int rc;

    if (sort != NULL)
        take_sort(a->cli, sort);
    a->cli->render.out = out;
    a->cli->render.err = out;
    rc = send_request(a->cli, a->c, &none, &id);
    if (rc == 0)
        rc = answer(a->cli, a->c, id);
    render_fini(&a->cli->render);
    a->cli->render = form;
    a->cli->noptions = noptions;
    return rc == EXIT_INTERRUPTED ? 0 : rc;
}

static int watch_node(struct cli *cli, struct client *c)
{
    struct again a = { cli, c };
    bool top = cli->cmd == &commands[CMD_top];
    struct watch w = {
        .title = cli->cmd->name, .interval_ms = top ? 0 : cli->watch_ms, .keys = top,
        .ask = ask_again, .arg = &a, .ended = is_interrupted,
    };

    return watch_run(&w);
}

/* top goes on by itself on a terminal. */
static bool wants_watch(const struct cli *cli)
{
    return cli->watch_ms > 0 || (cli->cmd == &commands[CMD_top] && option_of(cli, "once") == NULL &&
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

static int do_report(struct cli *cli)
{
    const char *path = option_of(cli, "file");
    struct client c = { .fd = -1 };
    struct again a = { cli, &c };
    FILE *out;
    int rc;

    if (path == NULL)
        path = "rnode-report.txt";
    rc = connect_node(cli, &c);
    if (rc != 0)
        return rc;
    out = fopen(path, "wex");
    if (out == NULL) {
        rc = fail(cli, EXIT_CANNOT_CREATE, "RN0404", "--file another name", "%s cannot be made: %s",
                  path, strerror(errno));
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
        return fail(cli, EXIT_IO, "RN0004", NULL, "%s could not be written: %s", path,
                    strerror(errno));
    if (rc == EXIT_UNREACHABLE)
        return rc;
    printf("%s is written. It names processes, modules and log records: read it before you share it.\n",
           path);
    return 0;
}

/* To several nodes: spread.h. */
static int ask_several(struct cli *cli, const struct files *fs, const char *to)
{
    request_t rq = RNODE__CONTROL__REQUEST__INIT;
    struct spread_file *files = MEM_NEW_ARRAY(struct spread_file, fs->n + 1);
    option_t *options[OPTIONS_MAX];
    struct spread s = {
        .context = cli->context, .to = to, .rq = &rq, .files = files, .files_n = fs->n,
        .check = cli->cmd == &commands[CMD_deploy], .dry_run = cli->dry_run, .out = stdout,
        .err = stderr,
    };
    int rc;

    for (size_t i = 0; i < fs->n; i++)
        files[i] = (struct spread_file){ fs->list[i].name, fs->list[i].data.data,
                                         fs->list[i].data.len };
    request_fill(cli, fs, &rq);
    rq.options = options;
    rq.n_options = 0;
    for (size_t i = 0; i < cli->noptions; i++) {
        if (strcmp(cli->options[i].key, "to") != 0)
            options[rq.n_options++] = cli->option_ptrs[i];
    }
    rc = spread_run(&s);
    mem_free(files);
    return rc;
}

/* One line of standard input, for secrets that the list of processes must not show. */
static char *first_line(void)
{
    char line[1024] = "";

    if (fgets(line, sizeof line, stdin) != NULL)
        line[strcspn(line, "\r\n")] = 0;
    return mem_strdup(line);
}

static int ask_node(struct cli *cli)
{
    struct files fs = { 0 };
    struct client c = { .fd = -1 };
    struct sigaction sa = { .sa_handler = on_interrupt };
    uint32_t id;
    int rc = 0;

    sigaction(SIGINT, &sa, NULL);
    if (cli->cmd == &commands[CMD_deploy])
        rc = read_files(cli, &fs);
    if (cli->cmd == &commands[CMD_backup])
        make_absolute(cli);
    if (cli->cmd == &commands[CMD_join] && strcmp(cli->args[0], "-") == 0)
        cli->args[0] = first_line();
    if (rc == 0 && option_of(cli, "to") != NULL) {
        rc = ask_several(cli, &fs, option_of(cli, "to"));
        files_fini(&fs);
        return rc;
    }
    if (rc == 0)
        rc = redirect(cli);
    if (rc == 0)
        rc = connect_node(cli, &c);
    if (rc == 0 && wants_watch(cli)) {
        rc = watch_node(cli, &c);
    } else {
        if (rc == 0)
            rc = send_request(cli, &c, &fs, &id);
        if (rc == 0)
            rc = answer(cli, &c, id);
    }
    if (cli->render.out != stdout && fclose(cli->render.out) != 0 && rc == 0)
        rc = fail(cli, EXIT_IO, "RN0004", NULL, "the answer could not be written: %s", strerror(errno));
    render_fini(&cli->render);
    client_close(&c);
    files_fini(&fs);
    return rc;
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
}

/* Without a node: it must not run. */
static int do_restore(struct cli *cli)
{
    const char *data = option_of(cli, "data");
    bool is_dev = data == NULL && cli->context != NULL && strchr(cli->context, '/') == NULL;
    char *folder = is_dev ? dev_folder(cli->context)
                          : mem_strdup(data != NULL ? data : "/var/lib/rnode");
    struct buf out = { 0 };
    int rc = restore_backup(cli->args[0], folder, &out);

    if (rc == 0)
        printf("%s%s is restored; start the node\n", buf_cstr(&out), folder);
    else if (rc == -ERR_BUSY)
        rc = fail(cli, EXIT_NO, "RN0607", "rnodectl stop", "the node of %s runs", folder);
    else
        rc = fail(cli, EXIT_BAD_INPUT, "RN0611", NULL, "%s cannot be restored into %s: %s\n%s",
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
        return fail(cli, EXIT_USAGE, "RN0102", NULL, "%s takes %s", cli->cmd->name,
                    cli->cmd->args[0] != 0 ? cli->cmd->args : "no arguments");
    if (cli->cmd == &commands[CMD_explain])
        return do_explain(cli, cli->args[0]);
    if (cli->cmd == &commands[CMD_completion])
        return do_completion(cli, cli->args[0]);
    if (cli->cmd == &commands[CMD_version])
        return do_version(cli);
    if (cli->cmd == &commands[CMD_context])
        return contexts_command(cli->args, cli->nargs);
    if (cli->cmd == &commands[CMD_report])
        return do_report(cli);
    if (cli->cmd == &commands[CMD_restore])
        return do_restore(cli);
    return ask_node(cli);
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
    rc = parse(&cli, argc, argv);
    if (rc == 0) {
        set_up_terminal(&cli);
        rc = run(&cli);
    }
    mem_free(cli.args);
    if (fflush(stdout) != 0 && rc == 0)
        rc = EXIT_IO;
    return rc;
}
