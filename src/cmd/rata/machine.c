/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine.c - the private machine that programs of `rata run` run in
 *
 * Nothing is opened that a program does not need: no configuration, store or event loop. The
 * program's life is 'Rata.Runtime':run/2, which prints a crash and halts with the status.
 */
#include "cmd/rata/rata.h"

#include "base/alloc.h"
#include "bif/init.h"
#include "bif/io.h"
#include "cmd/rata/plug.h"
#include "ctl/run.h"
#include "heap/heap.h"
#include "node/boot.h"
#include "node/library_path.h"
#include "node/program.h"
#include "term/atom.h"
#include "vm/code.h"
#include "vm/sched.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The program halts by itself; here come those that cannot: no library, a broken one. */
static void on_done(void *arg, const struct run_report *r)
{
    if (r->end == RUN_VALUE) {
        program_end(arg != NULL ? atoi(r->text) : RATA_OK);
        return;
    }
    io_flush();
    fprintf(stderr, "** (crash) %s\n%s", r->text, r->trace);
    program_end(RATA_CRASHED);
}

static void start(const struct rata_options *o)
{
    const char *path[ARRAY_LEN(o->path) + 1];
    struct boot_options bo = { .code_path = path };
    size_t n = 0;

    for (size_t i = 0; o != NULL && i < o->n_path; i++)
        path[n++] = o->path[i];
    path[n] = NULL;
    program_plug();
    rata_plug();
    boot_vm(&bo);
}

static term atom(const char *name)
{
    return atom_from_utf8(name, strlen(name));
}

static NORETURN void broken(const char *what, const char *why)
{
    fprintf(stderr, "error: %s: %s\n", what, why);
    _exit(RATA_BUG);
}

/* All modules of the program become current at once. */
static void load_beams(const struct rata_compile *c)
{
    struct prepared **all = MEM_NEW_ARRAY(struct prepared *, c->n_beams + 1);
    term busy;

    for (size_t i = 0; i < c->n_beams; i++) {
        const struct rata_beam *b = &c->beams[i];
        struct load_error le = { "" };

        if (code_prepare(b->data, b->len, atom(b->module), &all[i], &le) < 0)
            broken(b->module, le.text);
    }
    if (code_commit(all, c->n_beams, &busy) < 0)
        broken("the program", "its modules cannot be loaded");
    mem_free(all);
}

static void call(const char *module, const char *function, term args, void *arg)
{
    struct run_limits limits = { 0 };
    struct buf errors = { 0 };
    uint64_t id;
    term m;

    if (load_module(module, &m, &errors) < 0) {
        fprintf(stderr, "error: the library of rata is not at %s\n", library_path());
        _exit(RATA_BUG);
    }
    if (run_start(m, atom(function), args, &limits, on_done, NULL, arg, &id) == TERM_NONE)
        broken(module, "no room for a process");
}

/* run(Script, Modules): Modules are those with asserts. */
void rata_run_beams(const struct rata_compile *c, char *const *beam_files, size_t n_beam_files,
                    const struct rata_options *o, char *const *args)
{
    struct heap bag;
    struct buf errors = { 0 };
    term script = TERM_NONE, modules = TERM_NIL;

    init_set_plain_arguments(args);
    start(o);
    heap_bag_init(&bag);
    for (size_t i = 0; i < n_beam_files; i++)
        if (load_module(beam_files[i], &script, &errors) < 0) {
            fputs(buf_cstr(&errors), stderr);
            _exit(RATA_NO_INPUT);
        }
    load_beams(c);
    for (size_t i = c->n_beams; i-- > 0;) {
        term m = atom(c->beams[i].module);

        if (c->beams[i].is_script)
            script = m;
        if (c->beams[i].has_asserts)
            modules = heap_cons(&bag, m, modules);
    }
    call("Rata.Runtime", "run",
         heap_cons(&bag, script != TERM_NONE ? script : atom("nil"),
                   heap_cons(&bag, modules, TERM_NIL)), NULL);
    _exit(program_wait(RATA_BUG));
}

void rata_run_tool(const char *tool, int argc, char **argv)
{
    struct heap bag;
    term list = TERM_NIL;
    char *module = mem_printf("Rata.Tool.%s", tool);
    struct rata_options o = { 0 };

    start(&o);
    heap_bag_init(&bag);
    while (argc > 0) {
        argc--;
        list = heap_cons(&bag, heap_binary(&bag, argv[argc], strlen(argv[argc])), list);
    }
    call(module, "main", heap_cons(&bag, list, TERM_NIL), module);
    _exit(program_wait(RATA_BUG));
}
