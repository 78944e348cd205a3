/* SPDX-License-Identifier: Apache-2.0 */
/*
 * deploy.c - `rata deploy [-c NODE] [-m TEXT]`: build, rnodectl deploy, start
 *
 * Three programs one after the other, so that each says what it has to say: `rata build` into a
 * folder that goes afterwards, `rnodectl deploy`, and, when the project has a main module,
 * `rnodectl call 'Rata.Application':start`, which starts it unless it runs: then its processes
 * go on with their state and the new code.
 */
#include "cmd/rata/rata.h"

#include "base/alloc.h"
#include "cmd/rata/project.h"
#include "ctl/exits.h"

#include <errno.h>
#include <getopt.h>
#include <glob.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORDS_MAX 4096

extern char **environ;

struct words { char *at[WORDS_MAX + 1]; size_t n; };

static void add(struct words *w, const char *word)
{
    if (w->n < WORDS_MAX)
        w->at[w->n++] = (char *)(uintptr_t)word;
}

/* A program of ours: the one beside this one, else the one on the path. */
static char *program(const char *name)
{
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    char *slash, *path;

    self[n > 0 ? n : 0] = 0;
    slash = strrchr(self, '/');
    if (slash == NULL)
        return mem_strdup(name);
    path = mem_printf("%.*s/%s", (int)(slash - self), self, name);
    if (access(path, X_OK) == 0)
        return path;
    mem_free(path);
    return mem_strdup(name);
}

/* Run it to its end: its exit status. quiet: its output is dropped. */
static int run(struct words *w, bool quiet)
{
    posix_spawn_file_actions_t actions;
    pid_t pid;
    int status, rc;

    w->at[w->n] = NULL;
    posix_spawn_file_actions_init(&actions);
    if (quiet)
        posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", 1, 0);
    rc = posix_spawnp(&pid, w->at[0], &actions, NULL, w->at, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (rc != 0) {
        fprintf(stderr, "rata deploy: %s: %s\n", w->at[0], strerror(rc));
        return EXIT_SYSTEM;
    }
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return EXIT_SYSTEM;
    return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_BUG;
}

static int build(const char *rata, const char *folder)
{
    struct words w = { .n = 0 };
    glob_t found;
    int rc;

    if (glob("src/*.rata", 0, NULL, &found) != 0) {
        fputs("rata deploy: there is no src/*.rata here\n", stderr);
        return EXIT_NO_INPUT;
    }
    add(&w, rata);
    add(&w, "build");
    for (size_t i = 0; i < found.gl_pathc; i++)
        add(&w, found.gl_pathv[i]);
    add(&w, "-o");
    add(&w, folder);
    rc = run(&w, false);
    globfree(&found);
    return rc;
}

struct target { const char *node, *message; };

static void start_rnodectl(struct words *w, const char *ctl, const struct target *t)
{
    add(w, ctl);
    if (t->node != NULL) {
        add(w, "-c");
        add(w, t->node);
    }
}

static int send_code(const char *ctl, const struct target *t, const char *folder)
{
    struct words w = { .n = 0 };

    start_rnodectl(&w, ctl, t);
    add(&w, "deploy");
    add(&w, folder);
    add(&w, "-m");
    add(&w, t->message);
    return run(&w, false);
}

static int start_main(const char *ctl, const struct target *t, const struct project *p)
{
    struct words w = { .n = 0 };
    char *module = mem_printf("'Rata.%s'", p->main);
    int rc;

    start_rnodectl(&w, ctl, t);
    add(&w, "call");
    add(&w, "'Rata.Application':start");
    add(&w, module);
    rc = run(&w, true);
    if (rc == 0)
        printf("start     %s is running\n", p->main);
    mem_free(module);
    return rc;
}

static void remove_folder(const char *folder)
{
    char *pattern = mem_printf("%s/*", folder);
    glob_t found;

    if (glob(pattern, 0, NULL, &found) == 0) {
        for (size_t i = 0; i < found.gl_pathc; i++)
            unlink(found.gl_pathv[i]);
        globfree(&found);
    }
    rmdir(folder);
    mem_free(pattern);
}

static int deploy(const struct project *p, const struct target *t)
{
    const char *tmp = getenv("TMPDIR");
    char *folder = mem_printf("%s/rata-deploy.XXXXXX", tmp != NULL && *tmp != 0 ? tmp : "/tmp");
    char *rata = program("rata"), *ctl = program("rnodectl");
    int rc;

    if (mkdtemp(folder) == NULL) {
        fprintf(stderr, "rata deploy: %s: %s\n", folder, strerror(errno));
        rc = EXIT_CANNOT_CREATE;
    } else {
        rc = build(rata, folder);
        if (rc == 0)
            rc = send_code(ctl, t, folder);
        if (rc == 0 && *p->main != 0)
            rc = start_main(ctl, t, p);
        remove_folder(folder);
    }
    mem_free(folder);
    mem_free(rata);
    mem_free(ctl);
    return rc;
}

static int usage(void)
{
    fputs("usage: rata deploy [-c NODE] [-m TEXT]\n", stderr);
    return EXIT_USAGE;
}

int cmd_deploy(int argc, char **argv)
{
    struct target t = { 0 };
    struct project p;
    char *message = NULL;
    int c, rc;

    optind = 1;
    while ((c = getopt(argc, argv, "c:m:")) != -1) {
        if (c == 'c')
            t.node = optarg;
        else if (c == 'm')
            t.message = optarg;
        else
            return usage();
    }
    if (optind < argc)
        return usage();
    rc = project_read(".", &p);
    if (rc != 0)
        return rc;
    if (t.message == NULL)
        t.message = message = mem_printf("%s %s", p.name, p.version);
    rc = deploy(&p, &t);
    mem_free(message);
    project_fini(&p);
    return rc;
}
