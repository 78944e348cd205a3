/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run.c - rata run: source to a running program, without files in between
 */
#include "cmd/rata/connect.h"
#include "cmd/rata/line.h"
#include "cmd/rata/node_link.h"
#include "cmd/rata/rata.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_beam(const char *word)
{
    size_t n = strlen(word);

    return n > 5 && strcmp(word + n - 5, ".beam") == 0;
}

/* A .beam runs with the folder it lies in on the path, for the other modules of the program. */
static int run_beam(struct rata_options *o)
{
    static char folder[4096];
    const char *slash = strrchr(o->words[0], '/');
    size_t len = slash != NULL ? (size_t)(slash - o->words[0]) : 1;
    struct rata_compile none = { 0 };

    if (len < sizeof folder && o->n_path + 1 < ARRAY_LEN(o->path)) {
        memcpy(folder, slash != NULL ? o->words[0] : ".", len);
        o->path[o->n_path++] = folder;
    }
    rata_run_beams(&none, o->words, 1, o, o->words + 1);
}

/* "{1,42,42}": the status, and the bytes that go to standard error. */
static int take_answer(const char *answer)
{
    char *end;
    long status = *answer == '{' ? strtol(answer + 1, &end, 10) : RATA_BUG;

    if (*answer != '{')
        return RATA_BUG;
    while (*end == ',')
        fputc((int)strtol(end + 1, &end, 10), stderr);
    return (int)status;
}

/* --node: the text goes there, is compiled and run there; what it prints comes back. */
static int run_on_node(const char *node, const struct rata_text *t)
{
    struct node_link link;
    struct buf name = { 0 }, text = { 0 };
    static char answer[65536];
    int rc = node_link_open(&link, node, "rata run");

    if (rc != 0)
        return rc;
    node_link_binary(&name, t->name, strlen(t->name));
    node_link_binary(&text, t->text, t->len);
    rc = node_link_call(&link, "'Rata.Tool.Run':remote",
                        (char *const[]){ buf_cstr(&name), buf_cstr(&text) }, 2, answer,
                        sizeof answer);
    buf_fini(&name);
    buf_fini(&text);
    node_link_close(&link);
    return rc != 0 ? rc : take_answer(answer);
}

int cmd_run(int argc, char **argv)
{
    struct rata_options o;
    struct rata_texts t;
    struct rata_text eval;
    struct rata_compile c = { 0 };
    int rc;

    if (!rata_options(&o, argc - 1, argv + 1, true))
        return RATA_USAGE;
    if (o.eval != NULL) {
        eval = (struct rata_text){ "-e", o.eval, strlen(o.eval) };
        if (o.node != NULL)
            return run_on_node(o.node, &eval);
        rc = rata_build_texts(&c, &o, &(struct rata_texts){ &eval, NULL, 1 });
        if (rc == RATA_OK)
            rata_run_beams(&c, NULL, 0, &o, o.words);
        rata_compile_fini(&c);
        return rc;
    }
    if (o.n_words == 0 && !rata_in_project())
        return rata_usage("run needs a FILE, -e EXPR, or a folder with a project");
    if (o.n_words > 0 && is_beam(o.words[0]))
        return run_beam(&o);
    rc = o.n_words > 0 ? rata_texts_read(&t, o.words, 1) : rata_texts_project(&t, true);
    if (rc == RATA_OK && o.node != NULL) {
        rc = t.n == 1 ? run_on_node(o.node, &t.at[0])
                      : rata_usage("--node runs one FILE; for projects there is rata deploy");
        rata_texts_free(&t);
        return rc;
    }
    if (rc == RATA_OK)
        rc = rata_build_texts(&c, &o, &t);
    if (rc == RATA_OK)
        rata_run_beams(&c, NULL, 0, &o, o.words + (o.n_words > 0));
    rata_compile_fini(&c);
    rata_texts_free(&t);
    return rc;
}

/* test, new, doc, docs: programs of the library. */
int cmd_tool(int argc, char **argv)
{
    static const struct { const char *command, *module; } tools[] = {
        { "test", "Test" }, { "new", "New" }, { "doc", "Doc" }, { "docs", "Doc" },
    };

    for (size_t i = 0; i < ARRAY_LEN(tools); i++)
        if (strcmp(argv[0], tools[i].command) == 0)
            rata_run_tool(tools[i].module, argc - 1, argv + 1);
    return RATA_BUG;
}

int cmd_repl(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--connect") == 0)
        return repl_connect(argv[2]);
    if (argc == 2 && strncmp(argv[1], "--connect=", 10) == 0)
        return repl_connect(argv[1] + 10);
    line_editor_plug();
    line_watch_interrupts();
    rata_run_tool("Repl", argc - 1, argv + 1);
}
