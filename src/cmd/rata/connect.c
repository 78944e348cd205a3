/* SPDX-License-Identifier: Apache-2.0 */
/*
 * connect.c - lines go to the node as calls of 'Rata.Tool.Repl':remote(Session, Line)
 *
 * The session lives on the node and knows what has been entered; the call answers with what it
 * wants next: the atom line, more (the input is not complete yet) or quit. Everything else that
 * is to be seen was printed by the call. Only who may call functions there (role admin) gets in.
 */
#include "cmd/rata/connect.h"

#include "base/alloc.h"
#include "base/errors.h"
#include "bif/edit.h"
#include "cmd/rata/line.h"
#include "ctl/client.h"
#include "ctl/exits.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define CALL_MS 3600000u        /* an evaluation may take long; Ctrl-C ends this program */

struct session {
    struct client client;
    uint64_t number;            /* names the session on the node */
    bool terminal, more, quit;
};

/* A binary in Erlang's syntax that needs no escapes: <<108,105,...>>. */
static void put_binary(struct buf *out, const struct buf *line)
{
    buf_str(out, "<<");
    for (size_t i = 0; i < line->len; i++)
        buf_printf(out, "%s%u", i > 0 ? "," : "", line->data[i]);
    buf_str(out, ">>");
}

static void show_chunk(const chunk_t *c)
{
    FILE *to = c->stream == RNODE__CONTROL__CHUNK__STREAM__OUTPUT ? stdout : stderr;

    fwrite(c->data.data, 1, c->data.len, to);
    fflush(to);
}

/* What the call answered: what the session wants next. */
static void take_answer(struct session *s, const row_t *row)
{
    const char *text = row->n_cells > 0 ? row->cells[0]->text : "";

    s->more = strcmp(text, "more") == 0;
    s->quit = strcmp(text, "quit") == 0;
}

static int finished(const done_t *d)
{
    if (d->exit != 0)
        fprintf(stderr, "rata repl: %s\n", d->message);
    return (int)d->exit;
}

/* Frames of one call until its end. 0, or an exit status. */
static int receive_answer(struct session *s, uint32_t id)
{
    for (;;) {
        frame_t *f;
        int rc = client_next(&s->client, id, -1, &f), end = -1;

        if (rc == -ERR_BUSY)
            continue;
        if (rc < 0) {
            fprintf(stderr, "rata repl: the node has closed the connection\n");
            return EXIT_UNREACHABLE;
        }
        switch (f->body_case) {
        case RNODE__CONTROL__CONTROL__BODY_CHUNK:
            show_chunk(f->chunk);
            break;
        case RNODE__CONTROL__CONTROL__BODY_ROW:
            take_answer(s, f->row);
            break;
        case RNODE__CONTROL__CONTROL__BODY_DONE:
            end = finished(f->done);
            break;
        default:
            break;
        }
        frame_free(f);
        if (end >= 0)
            return end;
    }
}

static int evaluate(struct session *s, const struct buf *line)
{
    request_t rq = RNODE__CONTROL__REQUEST__INIT;
    struct buf number = { 0 }, text = { 0 };
    char *args[3];
    uint32_t id;
    int rc;

    buf_printf(&number, "%llu", (unsigned long long)s->number);
    put_binary(&text, line);
    args[0] = (char[]){ "'Rata.Tool.Repl':remote" };
    args[1] = (char *)(uintptr_t)buf_cstr(&number);
    args[2] = (char *)(uintptr_t)buf_cstr(&text);
    rq.command = (char[]){ "call" };
    rq.args = args;
    rq.n_args = 3;
    rq.timeout_ms = CALL_MS;
    rc = client_request(&s->client, &rq, &id);
    if (rc < 0)
        fprintf(stderr, "rata repl: the line cannot be sent: %s\n", error_text(rc));
    rc = rc < 0 ? EXIT_UNREACHABLE : receive_answer(s, id);
    buf_fini(&number);
    buf_fini(&text);
    return rc;
}

/* --- lines ----------------------------------------------------------------------------------- */

static enum edit_result next_line(struct session *s, struct buf *out)
{
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;

    if (s->terminal)
        return edit_hooks->read_line(s->more ? "  ... " : "rata> ", out);
    n = getline(&line, &cap, stdin);
    if (n > 0)
        buf_add(out, line, (size_t)(line[n - 1] == '\n' ? n - 1 : n));
    free(line);
    return n >= 0 ? EDIT_LINE : EDIT_END;
}

static int loop(struct session *s)
{
    int rc = 0;

    while (!s->quit && rc != EXIT_UNREACHABLE && rc != EXIT_PERMISSION) {
        struct buf line = { 0 };
        enum edit_result got = next_line(s, &line);

        if (got == EDIT_END)
            s->quit = true;
        if (got == EDIT_END || (got == EDIT_INTERRUPT && s->more))
            buf_str(&line, got == EDIT_END ? ":quit" : ":forget");
        if (got != EDIT_INTERRUPT || s->more)
            rc = evaluate(s, &line);
        buf_fini(&line);
    }
    return rc == EXIT_UNREACHABLE || rc == EXIT_PERMISSION ? rc : 0;
}

int repl_connect(const char *node)
{
    struct session s = { .number = (uint64_t)time(NULL) << 20 | (uint64_t)getpid() };
    char *path = client_socket_path(node);
    int rc = client_open(&s.client, path);

    if (rc < 0) {
        fprintf(stderr, "rata repl: no node answers at %s: %s\n  = hint: rnoded --dev starts one\n",
                path, error_text(rc));
        mem_free(path);
        return rc == -ERR_PERMISSION ? EXIT_PERMISSION : EXIT_UNREACHABLE;
    }
    mem_free(path);
    line_editor_plug();
    s.terminal = edit_hooks->is_terminal();
    rc = loop(&s);
    client_close(&s.client);
    return rc;
}
