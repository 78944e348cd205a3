/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli_nodes.c - one command asked of several nodes at once (-n all, -n flock:NAME, -n a,b)
 *
 * Each node has a connection of its own through the node of the context. All are opened, then all are
 * listened to; a node that is silent for too long, refuses or goes away is named at the end, and the
 * others are shown nevertheless.
 *
 * A connection is OPENING (asked to go on to its node), then ASKED, then OVER.
 */
#include "ctl/cli_priv.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/errors.h"
#include "ctl/exits.h"
#include "ctl/merge.h"
#include "ctl/targets.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

enum asked_state { OPENING, ASKED, OVER };

struct asked {
    struct client c;
    enum asked_state state;
    uint32_t id;                /* of the request that is open */
    int64_t deadline_ns;        /* monotonic; 0: none */
};

struct asking {
    struct cli *cli;
    const struct cli_files *fs;
    struct merge merge;
    struct asked *at;           /* beside merge.parts */
    int cancels;
};

bool cli_asks_several(const struct cli *cli)
{
    return cli->node != NULL && targets_are_several(cli->node);
}

/* --- may it be done -------------------------------------------------------------------- */

/* Commands that need a role because of what they show or cost, and change nothing. */
static bool only_looks(const struct cli *cli)
{
    static const enum command_id looks[] = { CMD_trace, CMD_profile, CMD_diff };

    for (size_t i = 0; i < ARRAY_LEN(looks); i++) {
        if (cli->cmd == &commands[looks[i]])
            return true;
    }
    return cli->cmd->role <= ROLE_VIEW || cli->dry_run;
}

/* 0, or an exit code. */
static int confirm(struct cli *cli, const struct targets *t)
{
    struct buf question = { 0 };
    char line[16] = "";

    if (cli->yes || t->n < 2 || only_looks(cli))
        return 0;
    if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
        return cli_fail(cli, EXIT_USAGE, "RN0121", "the same with -y, or with --dry-run first",
                        "%s would change something on %zu nodes",
                        cli->cmd->name, t->n);
    buf_printf(&question, "%s on", cli->cmd->name);
    for (size_t i = 0; i < t->n && i < 10; i++)
        buf_printf(&question, " %s", t->names[i]);
    buf_printf(&question, "%s (%zu nodes)? [y/N] ", t->n > 10 ? " ..." : "", t->n);
    fputs(buf_cstr(&question), stderr);
    buf_fini(&question);
    if (fgets(line, sizeof line, stdin) != NULL && (line[0] == 'y' || line[0] == 'Y'))
        return 0;
    fprintf(stderr, "nothing was done\n");
    return EXIT_NO;
}

/* --- one node --------------------------------------------------------------------------- */

static void fail(struct asking *a, size_t i, int exit, const char *code, const char *message)
{
    merge_fail(&a->merge.parts[i], exit, code, message);
    a->at[i].state = OVER;
}

static void set_deadline(struct asked *k, int64_t ms)
{
    k->deadline_ns = ms < 0 ? 0 : clock_monotonic_ns() + ms * 1000000;
}

static void open_one(struct asking *a, size_t i, const char *path)
{
    struct asked *k = &a->at[i];
    int rc = client_open(&k->c, path);

    if (rc == 0)
        rc = client_tunnel_ask(&k->c, a->merge.parts[i].node, &k->id);
    if (rc < 0)
        fail(a, i, EXIT_UNREACHABLE, "RN0105", "the node of the context does not answer");
    set_deadline(k, a->cli->timeout_ms);
}

/* The node beyond the tunnel has said hello. */
static void ask_one(struct asking *a, size_t i)
{
    struct asked *k = &a->at[i];
    struct cli_files files = *a->fs;
    int rc = cli_send(a->cli, &k->c, &files, &k->id);

    if (rc != 0)
        fail(a, i, rc, "RN0109", "the arguments are too long");
    else
        k->state = ASKED;
    set_deadline(k, cli_silence_ms(a->cli));
}

/* Take what has come from one node. */
static void listen_to(struct asking *a, size_t i)
{
    struct asked *k = &a->at[i];
    frame_t *f;
    int rc = 0;

    while (k->state != OVER && (rc = client_next(&k->c, k->id, 0, &f)) != -ERR_TIMEOUT) {
        if (rc == -ERR_BUSY)
            continue;
        if (rc < 0) {
            fail(a, i, rc == -ERR_PROTOCOL ? EXIT_PROTOCOL : EXIT_UNREACHABLE, "RN0106",
                 k->state == OPENING ? "it cannot be reached" : "the connection was lost");
            return;
        }
        set_deadline(k, cli_silence_ms(a->cli));
        if (f->body_case == RNODE__CONTROL__CONTROL__BODY_DONE)
            k->state = OVER;
        merge_frame(&a->merge, &a->merge.parts[i], f);
    }
    if (k->state == OPENING && k->c.hellos >= 2)
        ask_one(a, i);
}

/* --- all of them ------------------------------------------------------------------------ */

/* Milliseconds to the next deadline, -1: none; ends those that are over theirs. */
static int next_deadline(struct asking *a)
{
    int64_t now = clock_monotonic_ns(), wait = -1;

    for (size_t i = 0; i < a->merge.n; i++) {
        struct asked *k = &a->at[i];
        int64_t left = (k->deadline_ns - now) / 1000000 + 1;

        if (k->state == OVER || k->deadline_ns == 0)
            continue;
        if (k->deadline_ns <= now)
            fail(a, i, EXIT_TIMEOUT, "RN0110", "it did not answer in time");
        else if (wait < 0 || left < wait)
            wait = left;
    }
    return wait > 60000 ? 60000 : (int)wait;
}

/* False: Ctrl-C came twice. */
static bool cancel_all(struct asking *a)
{
    if (cli_interrupts() <= a->cancels)
        return true;
    a->cancels = cli_interrupts();
    for (size_t i = 0; i < a->merge.n; i++) {
        if (a->at[i].state == ASKED && client_cancel(&a->at[i].c, a->at[i].id) < 0)
            fail(a, i, EXIT_UNREACHABLE, "RN0106", "the connection was lost");
        else if (a->at[i].state == OPENING)
            fail(a, i, EXIT_INTERRUPTED, "RN0111", "cancelled");
    }
    return a->cancels < 2;
}

/* False: the user has given up. */
static bool listen_to_all(struct asking *a)
{
    struct pollfd *fds = MEM_NEW_ARRAY(struct pollfd, a->merge.n);
    bool going = true;

    while (going) {
        int wait = next_deadline(a);
        size_t open = 0;

        for (size_t i = 0; i < a->merge.n; i++) {
            bool over = a->at[i].state == OVER;

            fds[i] = (struct pollfd){ .fd = over ? -1 : a->at[i].c.fd, .events = POLLIN };
            open += !over;
        }
        if (open == 0)
            break;
        if (poll(fds, a->merge.n, wait) < 0 && errno != EINTR)
            break;
        going = cancel_all(a);
        for (size_t i = 0; i < a->merge.n; i++) {
            if (fds[i].fd >= 0 && fds[i].revents != 0)
                listen_to(a, i);
        }
    }
    mem_free(fds);
    return going;
}

static int ask_all(struct cli *cli, const struct cli_files *fs, const struct targets *t)
{
    struct asking a = {
        .cli = cli, .fs = fs,
        .merge = { .all = &cli->render, .n = t->n, .parts = MEM_NEW_ARRAY(struct part, t->n),
                   .sort = cli_option(cli, "sort"), .limit = cli->limit },
        .at = MEM_NEW_ARRAY(struct asked, t->n), .cancels = cli_interrupts(),
    };
    char *path = client_socket_path(cli->context);
    int rc = EXIT_INTERRUPTED;

    for (size_t i = 0; i < t->n; i++)
        a.merge.parts[i].node = t->names[i];
    merge_begin(&a.merge);
    for (size_t i = 0; i < t->n; i++)
        open_one(&a, i, path);
    if (listen_to_all(&a))
        rc = merge_end(&a.merge);
    merge_fini(&a.merge);
    for (size_t i = 0; i < t->n; i++)
        client_close(&a.at[i].c);
    mem_free(a.merge.parts);
    mem_free(a.at);
    mem_free(path);
    return rc;
}

/* 0, or an exit code after telling why. */
static int find_and_confirm(struct cli *cli, struct targets *t)
{
    if (cli->cmd == &commands[CMD_join] || cli->cmd->place == PLACE_SELF)
        return cli_fail(cli, EXIT_USAGE, "RN0122", NULL, "%s asks one node at a time",
                        cli->cmd->name);
    if (!targets_find(t, cli->context, cli->node))
        return cli_fail(cli, t->exit, t->code, NULL, "%s", t->message);
    return confirm(cli, t);
}

int cli_nodes(struct cli *cli, const struct cli_files *fs)
{
    struct targets *t = MEM_NEW(struct targets);
    int rc = find_and_confirm(cli, t);

    if (rc == 0)
        rc = ask_all(cli, fs, t);
    targets_fini(t);
    mem_free(t);
    return rc;
}

int cli_confirm_several(struct cli *cli)
{
    struct targets *t = MEM_NEW(struct targets);
    int rc = find_and_confirm(cli, t);

    targets_fini(t);
    mem_free(t);
    return rc;
}
