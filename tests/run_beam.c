/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run_beam.c - run one function of a .beam file and print what it returns; for tests of the engine
 *
 *   run_beam [-s schedulers] DIR Module Function [integer...]
 *   run_beam -l FILE...                 only check and translate the files
 *
 * DIR is searched for modules, then the directories of RNODE_PATH (separated by colons). Exits
 * with 0 after printing the result, 1 when the process failed (its reason is printed), 2 when the
 * module cannot be loaded.
 */
#include "base/alloc.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/epoch.h"
#include "bif/bif.h"
#include "term/print.h"
#include "vm/code.h"
#include "vm/engine.h"
#include "vm/hooks.h"
#include "vm/mailbox.h"
#include "vm/process_priv.h"
#include "vm/sched.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static term first_pid;
static int64_t started_ns;

static void print_and_exit(const char *what, term t, int status)
{
    struct buf b = { 0 };

    term_print(&b, t, PRINT_STRINGS, 0);
    printf("%s%s\n", what, buf_cstr(&b));
    if (getenv("RUN_BEAM_TIME") != NULL)
        fprintf(stderr, "%.3f ms\n", (double)(clock_monotonic_ns() - started_ns) / 1e6);
    fflush(stdout);
    _exit(status);
}

static void result(struct process *p, term t)
{
    if (p->pid == first_pid || first_pid == TERM_NIL)
        print_and_exit("", t, 0);
}

static void crash(struct process *p, term reason)
{
    if (p->pid == first_pid || first_pid == TERM_NIL)
        print_and_exit("crash: ", reason, 1);
}

/* Where every process is, for one that does not end. */
static void dump(void)
{
    struct process *p;
    struct heap bag;
    uint32_t at = 0;

    heap_bag_init(&bag);
    world_stop();
    epoch_enter();
    while ((p = process_table_next(&at)) != NULL) {
        struct buf b = { 0 };

        term_print(&b, p->pid, 0, 0);
        buf_printf(&b, " state %u wait %u queue %zu: ", atomic_load(&p->state), p->wait_kind,
                   mailbox_length(p));
        term_print(&b, stacktrace_current(p, &bag, 12), PRINT_STRINGS, 0);
        for (size_t i = 0; i < mailbox_length(p); i++) {
            buf_str(&b, "\n    ");
            term_print(&b, mailbox_nth(p, i), PRINT_STRINGS, 2000);
        }
        fprintf(stderr, "%s\n", buf_cstr(&b));
        buf_fini(&b);
    }
    epoch_leave();
    world_resume();
}

static void load(const char *dir, const char *module)
{
    char *path = mem_printf("%s/%s.beam", dir, module);
    struct load_error err;
    struct prepared *pr;
    term bad;

    if (code_prepare_file(path, TERM_NONE, &pr, &err) < 0) {
        fprintf(stderr, "%s: %s\n", path, err.text);
        exit(2);
    }
    if (code_commit(&pr, 1, &bad) < 0)
        exit(2);
    mem_free(path);
}

/* Only check and translate each file. */
static int prepare_all(int n, char **paths)
{
    int failed = 0;

    atom_table_init(0);
    literal_region_init();
    engine_init();
    bif_init();
    for (int i = 0; i < n; i++) {
        struct load_error err;
        struct prepared *pr;

        if (code_prepare_file(paths[i], TERM_NONE, &pr, &err) < 0) {
            printf("%s: %s\n", paths[i], err.text);
            failed++;
        } else {
            prepared_free(pr);
        }
    }
    printf("%d files, %d refused\n", n, failed);
    return failed != 0;
}

int main(int argc, char **argv)
{
    struct vm_options opt = { .schedulers = 1 };
    struct spawn_options so = {
        .prio = PRIO_NORMAL, .group_leader = TERM_NONE, .monitor_opts = TERM_NONE};
    struct heap bag;
    term args = TERM_NIL, f;
    char *path;
    int at = 1;

    if (argc > 2 && strcmp(argv[1], "-s") == 0) {
        opt.schedulers = (unsigned)atoi(argv[2]);
        at = 3;
    }
    if (argc > 2 && strcmp(argv[1], "-l") == 0)
        return prepare_all(argc - 2, argv + 2);
    if (argc - at < 3) {
        fprintf(stderr, "usage: run_beam [-s schedulers] DIR Module Function [integer...]\n");
        return 2;
    }
    atom_table_init(0);
    literal_region_init();
    engine_init();
    bif_init();
    engine_result_hook = result;
    vm_crash_hook = crash;
    code_path_add(argv[at]);
    path = getenv("RNODE_PATH") != NULL ? mem_strdup(getenv("RNODE_PATH")) : NULL;
    for (char *d = path == NULL ? NULL : strtok(path, ":"); d != NULL; d = strtok(NULL, ":"))
        code_path_add(d);
    first_pid = TERM_NONE;
    vm_start(&opt);
    load(argv[at], argv[at + 1]);
    heap_bag_init(&bag);
    for (int i = argc - 1; i > at + 2; i--)
        args = heap_cons(&bag, small_make(atoll(argv[i])), args);
    f = atom_from_cstr(argv[at + 2]);
    started_ns = clock_monotonic_ns();
    world_stop();
    first_pid = process_spawn_mfa(NULL, atom_from_cstr(argv[at + 1]), f, args, &so, NULL);
    world_resume();
    if (getenv("RUN_BEAM_DUMP") != NULL) {
        sleep((unsigned)atoi(getenv("RUN_BEAM_DUMP")));
        dump();
    }
    for (;;)
        pause();
}
