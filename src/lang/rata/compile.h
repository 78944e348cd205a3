/* SPDX-License-Identifier: Apache-2.0 */
/*
 * compile.h - the whole compiler in one call
 *
 * Any thread, any number at once: a compile owns all its memory. The caller gives the texts and,
 * through a struct module_source (resolve.h), the modules that exist already; it gets .beam files
 * in memory, or diagnostics.
 */
#ifndef LANG_RATA_COMPILE_H
#define LANG_RATA_COMPILE_H

#include "lang/rata/resolve.h"

struct rata_text {
    const char *name;               /* as diagnostics show it */
    const char *text;               /* NUL at [len] */
    size_t len;
};

struct rata_beam {
    const char *module;
    const uint8_t *data;
    size_t len;
    bool has_asserts;               /* exports '__asserts__'/0 */
    bool is_script;
};

struct rata_compile {
    /* --- set by the caller before rata_compile; zero is a good default --- */
    const struct module_source *outside;
    const char *script_name;        /* NULL: "Rata.Script" */
    const char *const *preset;      /* names that exist already, NULL-terminated (REPL) */
    size_t n_context;               /* so many of the first texts count for their `library` only */
    bool check_only;                /* stop before code is made */
    bool warn;
    bool cover;                     /* note what runs: resolve.h */
    /* --- the result --- */
    struct diags diags;
    struct rata_beam *beams;        /* in the order of the source; the script last */
    size_t n_beams;
    struct span *libraries;         /* `library` lines of the texts behind the context */
    size_t n_libraries;
    bool incomplete;                /* more text could complete it */
    /* --- owned --- */
    struct arena arena;
    struct source *sources;
    struct buf *buffers;
    size_t n_buffers;
};

/* 0, or -ERR_FORMAT when diags has errors. */
MUST_CHECK int rata_compile(struct rata_compile *c, const struct rata_text *texts, size_t n);
void rata_compile_fini(struct rata_compile *c);

/* For tests and people: the tree or the Core of the texts, as text. */
enum rata_dump { RATA_DUMP_TREE, RATA_DUMP_CORE };
MUST_CHECK int rata_dump(struct rata_compile *c, const struct rata_text *texts, size_t n,
                         enum rata_dump what, struct buf *out);

#endif
