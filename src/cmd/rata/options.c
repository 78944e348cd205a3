/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options.c - options, source files, compiling them, printing what was wrong
 */
#include "cmd/rata/rata.h"

#include "base/alloc.h"
#include "base/errors.h"
#include "lang/rata/library.h"
#include "node/boot.h"
#include "node/library_path.h"

#include <errno.h>
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
    } else if (strcmp(w, "--with-runtime") == 0) {
        o->with_runtime = true;
    } else if (strcmp(w, "--library") == 0) {
        o->library = true;
    } else if ((v = value_of("-o", i, argc, argv)) != NULL) {
        o->out = v;
    } else if ((v = value_of("-e", i, argc, argv)) != NULL) {
        o->eval = v;
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

/* --- texts ----------------------------------------------------------------------------------- */

int rata_texts_read(struct rata_texts *t, char *const *words, size_t n)
{
    *t = (struct rata_texts){ MEM_NEW_ARRAY(struct rata_text, n + 1), MEM_NEW_ARRAY(struct buf, n + 1), n };
    for (size_t i = 0; i < n; i++) {
        const char *file = strcmp(words[i], "-") == 0 ? "/dev/stdin" : words[i];

        if (read_whole_file(file, &t->data[i]) < 0) {
            fprintf(stderr, "error: cannot read %s: %s\n", words[i],
                    errno != 0 ? strerror(errno) : "it is a folder");
            return RATA_NO_INPUT;
        }
        t->at[i] = (struct rata_text){ words[i], buf_cstr(&t->data[i]), t->data[i].len };
    }
    return RATA_OK;
}

void rata_texts_free(struct rata_texts *t)
{
    for (size_t i = 0; i < t->n; i++)
        buf_fini(&t->data[i]);
    mem_free(t->data);
    mem_free(t->at);
    *t = (struct rata_texts){ 0 };
}

/* --- compiling ------------------------------------------------------------------------------- */

static void print_diags(struct rata_compile *c, const struct rata_options *o)
{
    struct buf out = { 0 };

    if (o->json)
        diags_print_json(&out, &c->diags);
    else
        diags_print(&out, &c->diags);
    fflush(stdout);
    if (out.len > 0)
        fwrite(out.data, 1, out.len, stderr);
    buf_fini(&out);
}

int rata_build_texts(struct rata_compile *c, const struct rata_options *o,
                     const struct rata_texts *t)
{
    const char *folders[ARRAY_LEN(o->path) + 2];
    struct library *lib = NULL;
    size_t n = 0;
    int rc;

    for (size_t i = 0; i < o->n_path; i++)
        folders[n++] = o->path[i];
    folders[n++] = library_path();
    folders[n] = NULL;
    if (!o->library) {
        lib = library_new(folders);
        c->outside = library_source(lib);
    }
    rc = rata_compile(c, t->at, t->n);
    print_diags(c, o);
    library_free(lib);
    c->outside = NULL;
    return rc < 0 || (o->werror && c->diags.n_warnings > 0) ? RATA_ERRORS : RATA_OK;
}
