/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli_ask.c - one question to a node: connection, request with its files, answer
 */
#include "ctl/cli_priv.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/errors.h"
#include "base/file.h"
#include "beam/file.h"
#include "ctl/contexts.h"
#include "ctl/exits.h"
#include "ctl/pager.h"
#include "ctl/spread.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define WAIT_SLICE_MS 500

static volatile sig_atomic_t interrupted;

static void on_interrupt(int sig)
{
    interrupted++;
}

int cli_interrupts(void)
{
    return interrupted;
}

/* --- files of deploy ---------------------------------------------------------------- */

static int read_file(struct cli *cli, struct cli_files *fs, const char *path)
{
    struct buf data = { 0 };

    if (file_read(path, BEAM_FILE_BYTES_MAX, &data) < 0) {
        buf_fini(&data);
        return cli_fail(cli, EXIT_NO_INPUT, "RN0404", NULL, "%s cannot be opened: %s", path,
                        strerror(errno));
    }
    fs->list = mem_realloc(fs->list, (fs->n + 1) * sizeof fs->list[0]);
    fs->list[fs->n++] = (struct cli_file){ .name = mem_strdup(path), .data = data };
    return 0;
}

static int is_beam(const struct dirent *e)
{
    return e->d_name[0] != '.' && text_ends_with(e->d_name, ".beam");
}

/* The .beam files of a folder, or of its ebin/. */
static int read_folder(struct cli *cli, struct cli_files *fs, const char *path)
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

static int nothing_read(struct cli *cli)
{
    char *project = mem_printf("%s/rnode.project", cli->args[0]);
    char *hint = access(project, F_OK) == 0 ? mem_printf("cd %s && rata deploy", cli->args[0]) : NULL;
    int rc = cli_fail(cli, EXIT_NO_INPUT, "RN0206", hint, "no .beam file in %s", cli->args[0]);

    mem_free(hint);
    mem_free(project);
    return rc;
}

static int files_read(struct cli *cli, struct cli_files *fs)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < cli->nargs; i++) {
        struct stat st;

        if (stat(cli->args[i], &st) == 0 && S_ISDIR(st.st_mode))
            rc = read_folder(cli, fs, cli->args[i]);
        else
            rc = read_file(cli, fs, cli->args[i]);
    }
    return rc == 0 && fs->n == 0 ? nothing_read(cli) : rc;
}

static void files_fini(struct cli_files *fs)
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
        return cli_fail(cli, EXIT_UNREACHABLE, "RN0105", NULL, "%s does not answer", cli->node);
    render_error(&cli->render, refused->done);
    rc = (int)refused->done->exit;
    frame_free(refused);
    return rc;
}

/* A context that cannot be read might have said otherwise: 0, or an exit code after telling. */
static int check_contexts(struct cli *cli)
{
    const char *word = cli->context != NULL ? cli->context : getenv("RNODE_CONTEXT");
    struct buf errors = { 0 };
    struct contexts c;
    int rc = 0;

    if (word != NULL && strchr(word, '/') != NULL)
        return 0;
    if (contexts_load(&c, &errors) < 0)
        rc = cli_fail(cli, EXIT_CONFIG, "RN0401", "correct that line, or -c with the path of a socket",
                      "contexts.conf cannot be read: %.*s", (int)strcspn(buf_cstr(&errors), "\n"),
                      buf_cstr(&errors));
    contexts_fini(&c);
    buf_fini(&errors);
    return rc;
}

int cli_connect(struct cli *cli, struct client *c)
{
    char *path = client_socket_path(cli->context);
    int rc = check_contexts(cli);

    if (rc != 0) {
        mem_free(path);
        return rc;
    }
    rc = client_open(c, path);
    if (cli->verbose && rc == 0)
        fprintf(stderr, "asking the node at %s\n", path);
    if (rc == -ERR_PERMISSION)
        rc = cli_fail(cli, EXIT_PERMISSION, "RN0707", NULL, "%s may not be opened by you", path);
    else if (rc < 0)
        rc = cli_fail(cli, EXIT_UNREACHABLE, "RN0105", NULL, "no node answers at %s", path);
    else if (cli->node != NULL)
        rc = go_on_to(cli, c);
    mem_free(path);
    return rc;
}

void cli_request(struct cli *cli, const struct cli_files *fs, request_t *rq)
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

int cli_send(struct cli *cli, struct client *c, struct cli_files *fs, uint32_t *ret_id)
{
    request_t rq = RNODE__CONTROL__REQUEST__INIT;
    uint64_t sent = 0, total = 0;
    int rc;

    cli_request(cli, fs, &rq);
    rc = client_request(c, &rq, ret_id);
    for (size_t i = 0; i < fs->n; i++)
        total += fs->list[i].data.len;
    for (size_t i = 0; rc == 0 && i < fs->n; i++) {
        rc = client_file(c, *ret_id, fs->list[i].name, fs->list[i].data.data, fs->list[i].data.len);
        sent += fs->list[i].data.len;
        if (!cli->render.quiet)
            progress_bytes(&cli->progress, cli->render.err, "send", sent, total);
    }
    /* A node that refuses closes while we still write; its reason waits in the socket. */
    if (rc == -ERR_LIMIT)
        return cli_fail(cli, EXIT_USAGE, "RN0109", NULL, "the arguments are too long");
    return 0;
}

/* The desktop decides which browser that is; without one, the address has been printed anyway. */
static void open_browser(const char *address)
{
    char *argv[] = { (char *)(uintptr_t)"xdg-open", (char *)(uintptr_t)address, NULL };
    pid_t pid;

    if (posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ) != 0)
        fprintf(stderr, "no xdg-open here: open the address yourself\n");
}

static const cell_t *cell_called(const struct render *r, const char *name)
{
    const head_t *h = r->nrows == 1 ? r->head->head : NULL;

    for (size_t i = 0; h != NULL && i < h->n_columns && i < r->rows[0]->row->n_cells; i++) {
        if (strcmp(h->columns[i]->name, name) == 0)
            return r->rows[0]->row->cells[i];
    }
    return NULL;
}

/* For a shell: keep the value, and prepare its name in label. True: nothing is to be said yet. */
static bool note_evaluated(struct cli *cli, const done_t *d, char label[32])
{
    struct evaluated *e = cli->evaluated;
    const cell_t *value = cell_called(&cli->render, "value");
    const cell_t *number = cell_called(&cli->render, "result");

    e->incomplete = strcmp(d->code, "RN0123") == 0;
    if (value != NULL) {
        e->value = mem_strdup(value->text);
        snprintf(label, 32, "_%lld = ", number != NULL ? (long long)number->number : (long long)e->next);
        if (e->numbered)
            cli->render.label = label;
    }
    return e->incomplete;
}

static int finish(struct cli *cli, struct client *c, const done_t *d)
{
    char label[32];

    if (cli->cmd == &commands[CMD_web] && cli->render.nrows == 1 && cli_option(cli, "open") != NULL)
        open_browser(cli->render.rows[0]->row->cells[0]->text);
    if (cli->render.node == NULL && c->hello != NULL)
        cli->render.node = c->hello->hello->node;
    if (cli->evaluated != NULL && note_evaluated(cli, d, label))
        return (int)d->exit;
    render_end(&cli->render, d);
    if (d->exit != 0 && d->exit != EXIT_INTERRUPTED && d->code[0] != 0) {
        fflush(stdout);
        render_error(&cli->render, d);
    }
    return (int)d->exit;
}

/* Commands that end when they end: only silence of the connection counts, not time. */
int64_t cli_silence_ms(const struct cli *cli)
{
    static const enum command_id endless[] = {
        CMD_call, CMD_eval, CMD_trace, CMD_profile, CMD_deploy, CMD_rollback, CMD_purge, CMD_backup, CMD_check,
        CMD_join,
    };

    if (cli->timeout_given)
        return cli->timeout_ms + 500; /* the node has the first word on how long is too long */
    for (size_t i = 0; i < ARRAY_LEN(endless); i++) {
        if (cli->cmd == &commands[endless[i]])
            return -1;
    }
    return cli_option(cli, "follow") != NULL ? -1 : DEFAULT_TIMEOUT_MS;
}

/* client_next, and meanwhile a bar tells how long it takes. -ERR_BUSY as well when Ctrl-C was pressed
 * more than `cancels` times: it may have been pressed while nothing waited. */
static int next_frame(struct cli *cli, struct client *c, uint32_t id, int64_t timeout_ms, int cancels,
                      frame_t **ret)
{
    int64_t start = clock_monotonic_ns(), left = timeout_ms;
    bool shown = cli->progress.form == PROGRESS_BAR && !cli->render.quiet && cli->render.err == stderr;

    for (;;) {
        int64_t wait = left < 0 || left > WAIT_SLICE_MS ? WAIT_SLICE_MS : left;
        int rc = interrupted > cancels ? -ERR_BUSY : client_next(c, id, wait, ret);

        if (rc != -ERR_TIMEOUT || wait == left)
            return rc;
        if (shown)
            progress_wait(&cli->progress, cli->render.err, cli->cmd->name, start);
        if (timeout_ms >= 0)
            left = timeout_ms - (clock_monotonic_ns() - start) / 1000000;
        if (timeout_ms >= 0 && left < 0)
            left = 0;
    }
}

int cli_answer(struct cli *cli, struct client *c, uint32_t id)
{
    int64_t timeout = cli_silence_ms(cli);
    int cancels = 0;

    for (;;) {
        frame_t *f;
        int rc = next_frame(cli, c, id, timeout, cancels, &f);

        if (rc == -ERR_BUSY) {
            if (interrupted > cancels) {
                cancels = interrupted;
                if (cancels > 1 || client_cancel(c, id) < 0)
                    return EXIT_INTERRUPTED;
            }
            continue;
        }
        if (rc == -ERR_TIMEOUT)
            return cli_fail(cli, EXIT_TIMEOUT, "RN0110", "a longer --timeout",
                            "the node did not answer in time");
        if (rc == -ERR_PROTOCOL)
            return cli_fail(cli, EXIT_PROTOCOL, "RN0010", "rnodectl version",
                            "what listens there is not a node of this version");
        if (rc < 0)
            return cli->cmd == &commands[CMD_stop]
                       ? EXIT_OK
                       : cli_fail(cli, EXIT_UNREACHABLE, "RN0106", NULL, "the connection was lost");
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
    const char *path = cli_option(cli, "file");

    if (path == NULL)
        return 0;
    cli->render.out = fopen(path, "we");
    if (cli->render.out != NULL)
        return 0;
    cli->render.out = stdout;
    return cli_fail(cli, EXIT_CANNOT_CREATE, "RN0404", NULL, "%s cannot be written: %s", path,
                    strerror(errno));
}

/* To several nodes: spread.h. */
static int ask_several(struct cli *cli, const struct cli_files *fs, const char *to)
{
    request_t rq = RNODE__CONTROL__REQUEST__INIT;
    struct spread_file *files = MEM_NEW_ARRAY(struct spread_file, fs->n + 1);
    option_t *options[OPTIONS_MAX + 2];
    struct spread s = {
        .context = cli->context, .to = to, .rq = &rq, .files = files, .files_n = fs->n,
        .dry_run = cli->dry_run, .out = stdout, .err = stderr,
    };
    int rc;

    for (size_t i = 0; i < fs->n; i++)
        files[i] = (struct spread_file){ fs->list[i].name, fs->list[i].data.data,
                                         fs->list[i].data.len };
    cli_request(cli, fs, &rq);
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

/* Commands whose --to is the careful way to several nodes. */
static bool spreads(const struct cli *cli)
{
    return cli->cmd == &commands[CMD_deploy] || cli->cmd == &commands[CMD_rollback];
}

/* One line of standard input, for secrets that the list of processes must not show. */
static char *first_line(void)
{
    char line[1024] = "";

    if (fgets(line, sizeof line, stdin) != NULL)
        line[strcspn(line, "\r\n")] = 0;
    return mem_strdup(line);
}

static int ask_and_answer(struct cli *cli, struct client *c, struct cli_files *fs)
{
    bool several = cli_asks_several(cli);
    uint32_t id;
    int rc = several ? 0 : cli_connect(cli, c);

    if (rc == 0 && cli_wants_watch(cli))
        return cli_watch(cli, c);
    if (several)
        return cli_nodes(cli, fs);
    if (rc == 0)
        rc = cli_send(cli, c, fs, &id);
    return rc == 0 ? cli_answer(cli, c, id) : rc;
}

static char *whole_input(void)
{
    struct buf b = { 0 };
    size_t n;

    do {
        n = fread(buf_room(&b, 4096), 1, 4096, stdin);
        b.len -= 4096 - n;
    } while (n > 0);
    return buf_cstr(&b);        /* the bytes live as long as the program */
}

/* Answers that end by themselves and are only read. */
static bool wants_pager(const struct cli *cli)
{
    bool reads = cli->cmd->role == ROLE_VIEW || cli->cmd == &commands[CMD_diff];

    return reads && !cli->no_pager && cli->render.out == stdout && pager_wanted(stdout) &&
           !cli_wants_watch(cli) && cli_option(cli, "follow") == NULL;
}

static int ask_with_pager(struct cli *cli, struct client *c, struct cli_files *fs)
{
    char *text = NULL;
    size_t len = 0;
    int rc;

    if (!wants_pager(cli))
        return ask_and_answer(cli, c, fs);
    cli->render.out = open_memstream(&text, &len);
    if (cli->render.out == NULL)
        return cli_fail(cli, EXIT_SYSTEM, "RN0004", NULL, "no memory for the answer");
    rc = ask_and_answer(cli, c, fs);
    fclose(cli->render.out);
    cli->render.out = stdout;
    pager_show(stdout, text, len);
    free(text);
    return rc;
}

int cli_ask(struct cli *cli)
{
    struct cli_files fs = { 0 };
    struct client c = { .fd = -1 };
    struct sigaction sa = { .sa_handler = on_interrupt };
    const char *to;
    uint32_t id;
    int rc = 0;

    interrupted = 0;            /* of the line before, in a shell */
    sigaction(SIGINT, &sa, NULL);
    if (cli->cmd == &commands[CMD_deploy] ||
        (cli->cmd == &commands[CMD_diff] && !deployment_id_parse(cli->args[0], &id)))
        rc = files_read(cli, &fs);
    if (cli->cmd == &commands[CMD_backup])
        make_absolute(cli);
    if (cli->cmd == &commands[CMD_join] && strcmp(cli->args[0], "-") == 0)
        cli->args[0] = first_line();
    if (cli->cmd == &commands[CMD_eval] && strcmp(cli->args[0], "-") == 0)
        cli->args[0] = whole_input();
    to = cli_option(cli, "to");
    if (rc == 0 && to == NULL && cli_asks_several(cli) && spreads(cli)) {
        rc = cli_confirm_several(cli);
        to = cli->node;
    }
    if (rc == 0 && to != NULL) {
        rc = ask_several(cli, &fs, to);
        files_fini(&fs);
        return rc;
    }
    if (rc == 0)
        rc = redirect(cli);
    if (rc == 0)
        rc = ask_with_pager(cli, &c, &fs);
    if (cli->render.out != stdout && fclose(cli->render.out) != 0 && rc == 0)
        rc = cli_fail(cli, EXIT_IO, "RN0004", NULL, "the answer could not be written: %s",
                      strerror(errno));
    render_fini(&cli->render);
    client_close(&c);
    files_fini(&fs);
    return rc;
}
