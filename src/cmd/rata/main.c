/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - the command line of rata: finds the command, prints help
 */
#include "cmd/rata/rata.h"

#include "base/suggest.h"

#include <stdio.h>
#include <string.h>

static const struct command {
    const char *name;
    int (*function)(int argc, char **argv);
    const char *usage, *summary;
} commands[] = {
#define COMMAND(name, function, usage, summary) { name, function, usage, summary },
#include "cmd/rata/commands.tab"
#undef COMMAND
};

static const struct command *find(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static int unknown(const char *name)
{
    const char *names[ARRAY_LEN(commands)], *near;

    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        names[i] = commands[i].name;
    near = suggest_nearest(name, names, ARRAY_LEN(commands));
    fprintf(stderr, "error: `%s` is no command of rata\n", name);
    if (near != NULL)
        fprintf(stderr, "  = hint: did you mean `rata %s`?\n", near);
    else
        fprintf(stderr, "  = hint: `rata help` lists the commands\n");
    return RATA_USAGE;
}

int cmd_help(int argc, char **argv)
{
    const struct command *one = argc > 1 ? find(argv[1]) : NULL;

    if (argc > 1 && one == NULL)
        return unknown(argv[1]);
    if (one != NULL) {
        printf("usage: rata %s %s\n\n%s.\n", one->name, one->usage, one->summary);
        return RATA_OK;
    }
    printf("usage: rata COMMAND [ARGUMENT]...\n       rata FILE [ARGUMENT]...\n\n");
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        printf("  %-8s  %s\n", commands[i].name, commands[i].summary);
    printf("\nOptions of run, check and build: --diagnostics=json, --werror, "
           "-p DIR (modules to use).\n"
           "Errors are explained by `rata explain CODE`.\n"
           "Exit status: 0 done, 1 the program crashed, 2 errors in the source, 64 wrong usage,\n"
           "66 a file cannot be read, 70 a bug of rata.\n");
    return RATA_OK;
}

int main(int argc, char **argv)
{
    const struct command *c;
    size_t len;

    if (argc < 2) {
        cmd_help(1, argv);
        return RATA_USAGE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("rata %s\n", PACKAGE_VERSION);
        return RATA_OK;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return cmd_help(argc - 1, argv + 1);
    c = find(argv[1]);
    if (c != NULL)
        return c->function(argc - 1, argv + 1);
    /* #!/usr/bin/env rata */
    len = strlen(argv[1]);
    if (argv[1][0] == '/' || strchr(argv[1], '/') != NULL
        || (len > 5 && strcmp(argv[1] + len - 5, ".rata") == 0))
        return cmd_run(argc, argv);
    return unknown(argv[1]);
}
