/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run_main.c - load, call, wait, say what went wrong
 *
 * Nothing is opened here that a program does not need: no configuration or event loop, and a store
 * only if it is asked for.
 */
#include "node/run_main.h"

#include "base/alloc.h"
#include "base/errors.h"
#include "bif/io.h"
#include "ctl/exits.h"
#include "ctl/run.h"
#include "heap/heap.h"
#include "node/boot.h"
#include "node/keeper.h"
#include "node/program.h"
#include "term/atom.h"
#include "vm/code.h"
#include "vm/sched.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void on_done(void *arg, const struct run_report *r)
{
    if (r->end == RUN_VALUE) {
        program_end(EXIT_OK);
        return;
    }
    io_flush();
    fprintf(stderr, "%s%s\n%s", r->end == RUN_EXITED ? "exit: " : "", r->text, r->trace);
    program_end(EXIT_NO);
}

/* "m", "m:f", "dir/m.beam", "dir/m.beam:f" */
static void split_target(const char *target, char **ret_module, const char **ret_function)
{
    const char *colon = strrchr(target, ':');

    *ret_function = colon != NULL ? colon + 1 : "main";
    *ret_module = colon != NULL ? mem_printf("%.*s", (int)(colon - target), target)
                                : mem_strdup(target);
}

/* F/1 with the list of strings when it exists, else F/0. */
static bool find_call(struct heap *bag, const struct run_command *cmd, term module, term function,
                      term *ret_args)
{
    struct export *one = export_find(module, function, 1), *none = export_find(module, function, 0);
    size_t n = 0;
    term list = TERM_NIL;

    if (one == NULL || !export_is_defined(one)) {
        *ret_args = TERM_NIL;
        return none != NULL && export_is_defined(none);
    }
    while (cmd->args[n] != NULL)
        n++;
    while (n > 0)
        list = heap_cons(bag, heap_cstr(bag, cmd->args[--n]), list);
    *ret_args = heap_cons(bag, list, TERM_NIL);
    return true;
}

static void open_store(const struct run_command *cmd)
{
    int rc = 0;

    if (cmd->store == NULL)
        return;
    if (mkdir(cmd->store, 0700) < 0 && errno != EEXIST)
        rc = -ERR_SYSTEM;
    if (rc == 0)
        rc = keeper_open(cmd->store, cmd->options, false);
    if (rc == 0)
        rc = keeper_restore();
    if (rc < 0) {
        fprintf(stderr, "error[RN0601]: the store in %s cannot be opened: %s\n", cmd->store,
                rc == -ERR_SYSTEM ? strerror(errno) : error_text(rc));
        _exit(EXIT_IO);
    }
}

void run_main(const struct run_command *cmd)
{
    struct boot_options bo = { .schedulers = cmd->schedulers, .code_path = cmd->code_path };
    struct run_limits limits = { 0 };
    struct buf errors = { 0 };
    const char *function_name;
    char *module_name;
    struct heap bag;
    term module, function, args;
    uint64_t id;
    int exit_code;

    program_plug();
    boot_vm(&bo);
    open_store(cmd);
    split_target(cmd->target, &module_name, &function_name);
    if (load_module(module_name, &module, &errors) < 0) {
        fputs(buf_cstr(&errors), stderr);
        _exit(EXIT_NO_INPUT);
    }
    heap_bag_init(&bag);
    function = atom_from_utf8(function_name, strlen(function_name));
    if (function == TERM_NONE || !find_call(&bag, cmd, module, function, &args)) {
        fprintf(stderr, "error[RN0301]: %s exports neither %s/1 nor %s/0\n", module_name,
                function_name, function_name);
        _exit(EXIT_NO_INPUT);
    }
    if (run_start(module, function, args, &limits, on_done, NULL, NULL, &id) == TERM_NONE)
        _exit(EXIT_BUG);
    exit_code = program_wait(EXIT_IO);
    keeper_flush();
    /* Other processes may still be running: they end with the program, as promised. */
    _exit(exit_code);
}
