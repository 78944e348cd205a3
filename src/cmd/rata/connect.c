/* SPDX-License-Identifier: Apache-2.0 */
/*
 * connect.c - lines go to the node as calls of 'Rata.Tool.Repl':remote(Session, Line)
 *
 * The session lives on the node and knows what has been entered; the call answers with what it
 * wants next: the atom line, more (the input is not complete yet) or quit. Everything else that
 * is to be seen was printed by the call. Only who may call functions there (role admin) gets in.
 */
#include "cmd/rata/connect.h"

#include "bif/edit.h"
#include "cmd/rata/line.h"
#include "cmd/rata/node_link.h"
#include "ctl/exits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct session {
    struct node_link link;
    uint64_t number;            /* names the session on the node */
    bool terminal, more, quit;
};

/* The call answers with what the session wants next. */
static int evaluate(struct session *s, const struct buf *line)
{
    char number[32], answer[16];
    struct buf text = { 0 };
    int rc;

    snprintf(number, sizeof number, "%llu", (unsigned long long)s->number);
    node_link_binary(&text, line->data, line->len);
    rc = node_link_call(&s->link, "'Rata.Tool.Repl':remote",
                        (char *const[]){ number, buf_cstr(&text) }, 2, answer, sizeof answer);
    s->more = strcmp(answer, "more") == 0;
    s->quit = strcmp(answer, "quit") == 0;
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
        return edit_hooks->read_line(s->more ? "  ... " : "rata> ", NULL, out);
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
    int rc = node_link_open(&s.link, node, "rata repl");

    if (rc != 0)
        return rc;
    line_editor_plug();
    s.terminal = edit_hooks->is_terminal();
    rc = loop(&s);
    node_link_close(&s.link);
    return rc;
}
