/* SPDX-License-Identifier: Apache-2.0 */
/*
 * code_priv.h - images: what the loader makes of one version of a module
 *
 * An image is written by one thread until it is committed and constant after that, but for
 * `calls`. It is freed when its module was purged and no scheduler can still look at it.
 */
#ifndef VM_CODE_PRIV_H
#define VM_CODE_PRIV_H

#include "heap/heap.h"
#include "term/fun.h"
#include "vm/code.h"

/* A stretch of code with the same frame and source line; sorted by off, each up to the next. */
struct code_range {
    uint32_t off;           /* bytes from image->code */
    int32_t  frame;         /* y slots; -1: no frame; below that: not known */
    uint32_t line;          /* row of image->lines; 0: none */
};

struct code_function {
    uint32_t off;           /* of its func_info */
    uint32_t entry;
    term     name;
    uint32_t arity;
};

struct code_export { struct export *export; uint32_t entry; };
struct code_line { uint32_t file, line; };      /* file: row of image->files */

#define ON_LOAD_EXPORT "$on_load"

struct image {
    term     module;
    uint64_t *code;
    size_t   code_bytes;
    struct code_range *ranges;          size_t n_ranges;
    struct code_function *functions;    size_t n_functions;     /* sorted by off */
    struct code_export *exports;        size_t n_exports;
    size_t n_listed;                    /* of exports: those that the file names */
    struct fun_entry **funs;            uint32_t *fun_entries;  size_t n_funs;
    struct code_line *lines;            size_t n_lines;
    term    *files;                     size_t n_files;     /* literals: {file, Name} */
    uint8_t *strings;                   size_t n_strings;
    struct literal_area literals;
    term     attributes, compile_info;  /* literals */
    uint8_t  md5[16];
    bool     has_on_load;
    uint32_t on_load_entry;             /* also under the name ON_LOAD_EXPORT, arity 0 */
    _Atomic bool loading;               /* its on_load function has not returned yet */
    _Atomic term on_load_pid;           /* who runs it, once that is known; else 0 */
    struct image *next;                 /* of the list of all images */
};

struct prepared { struct image *image; };

struct module {
    term name;
    struct image *current, *old;        /* [rendezvous] */
    _Atomic bool on_load_failed;        /* of the last version that had such a function */
    struct module *next;
};

void code_init(void);       /* before any export is made; engine_init calls it */
void image_free(struct image *im);

/* What lies around a code address. */
struct code_place {
    const void *pc;
    const struct image *image;          /* current or old; NULL: no code, and then no more is set */
    const struct code_range *range;     /* never NULL */
    const struct code_function *function;       /* NULL: before the first function */
};

/* Lent until this thread asks again. */
const struct code_place *code_place_at(const void *pc);
const struct code_function *image_function(const struct image *im, const void *pc);

/* The module of that name, or NULL. */
struct module *code_module(term name);
/* Call f for each loaded module. */
void code_each(void (*f)(struct module *m, void *arg), void *arg);

/* The fun entry of one fun expression: if there is one, else NULL; and made if new. Any thread. */
struct fun_entry *fun_entry_find(term module, uint32_t index, const uint8_t md5[16], uint32_t arity,
                                 uint32_t num_free);
struct fun_entry *fun_entry_get(term module, uint32_t index, const uint8_t md5[16],
                                uint32_t old_uniq, uint32_t arity, uint32_t num_free);

#endif
