/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options.c - the options that several commands take
 */
#include "cmd/rata/rata.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int rata_usage(const char *fmt, ...)
{
    va_list ap;

    fputs("error: ", stderr);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputs("\n  = hint: `rata help` shows how commands are used\n", stderr);
    return RATA_USAGE;
}

/* An option that takes a value, which may be glued to it or the next word. */
static const char *value_of(const char *name, int *i, int argc, char **argv)
{
    size_t n = strlen(name);

    if (strncmp(argv[*i], name, n) != 0)
        return NULL;
    if (argv[*i][n] == 0)
        return *i + 1 < argc ? argv[++*i] : "";
    if (name[1] == '-')
        return argv[*i][n] == '=' ? argv[*i] + n + 1 : NULL;
    return argv[*i] + n;
}

static bool one_option(struct rata_options *o, int *i, int argc, char **argv)
{
    const char *v, *w = argv[*i];

    if (strcmp(w, "--diagnostics=json") == 0 || strcmp(w, "--json") == 0) {
        o->json = true;
    } else if (strcmp(w, "--werror") == 0) {
        o->werror = true;
    } else if (strcmp(w, "--watch") == 0) {
        o->watch = true;
    } else if (strcmp(w, "--with-runtime") == 0) {
        o->with_runtime = true;
    } else if (strcmp(w, "--library") == 0) {
        o->library = true;
    } else if ((v = value_of("-o", i, argc, argv)) != NULL) {
        o->out = v;
    } else if ((v = value_of("-e", i, argc, argv)) != NULL) {
        o->eval = v;
    } else if ((v = value_of("--node", i, argc, argv)) != NULL) {
        o->node = v;
    } else if ((v = value_of("-p", i, argc, argv)) != NULL) {
        if (o->n_path + 1 < ARRAY_LEN(o->path))
            o->path[o->n_path++] = v;
    } else {
        rata_usage("`%s` is no option here", w);
        return false;
    }
    return true;
}

bool rata_options(struct rata_options *o, int argc, char **argv, bool first_word_ends)
{
    int n = 0;

    *o = (struct rata_options){ .words = argv };
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--") == 0 || (first_word_ends && (n > 0 || o->eval != NULL))) {
            for (i += strcmp(argv[i], "--") == 0; i < argc; i++)
                argv[n++] = argv[i];
            break;
        }
        if (argv[i][0] == '-' && argv[i][1] != 0) {
            if (!one_option(o, &i, argc, argv))
                return false;
        } else {
            argv[n++] = argv[i];
        }
    }
    argv[n] = NULL;
    o->n_words = n;
    return true;
}
