/* SPDX-License-Identifier: Apache-2.0 */
/*
 * emit_priv.h - one module being compiled
 */
#ifndef LANG_EMIT_PRIV_H
#define LANG_EMIT_PRIV_H

#include "lang/low.h"

/* What free.c finds out about a variable of Core. */
struct var_info {
    uint32_t uses;                      /* as a value */
    uint32_t calls;                     /* as the callee of an apply with the right arity */
    uint32_t owner;                     /* serial of the fun that binds it */
    struct core_fun *known;             /* bound by a letrec or a let of a fun */
};

/* What free.c finds out about a fun. */
struct fun_info {
    struct core_fun *fun;
    struct fun_info *parent;
    core_var *free;                     /* may name known functions of outer funs */
    size_t n_free, cap_free;
    struct low_function *low;           /* once it is asked for */
    struct fun_info *next;              /* of the hash chain */
};

struct unit {
    struct core_module *m;
    struct arena *arena;
    struct beam_writer *w;
    struct core_error *error;
    int rc;                             /* the first failure */
    struct var_info *vars;              /* [core_var] */
    struct fun_info **funs;             /* hash by address */
    size_t cap_funs;
    struct low_function *functions, **last_function;   /* to be made, in order */
    struct low_function **by_name;      /* hash: name, arity */
    size_t cap_names;
    uint32_t next_label;
    uint32_t n_lambdas;                 /* of the function at work, for names */
    const struct core_atom *top_name;   /* whose */
    uint32_t top_arity;
    struct low_val *map;                /* [core_var]: its value in the function at work */
};

/* Record the first failure. */
void unit_fail(struct unit *u, int rc, struct core_span at, const char *fmt, ...)
    PRINTF_LIKE(4, 5);

void free_scan(struct unit *u);
struct fun_info *fun_info_get(struct unit *u, const struct core_fun *f);

struct low_function *unit_function(struct unit *u, const struct core_atom *name, unsigned arity);
/* The function that a fun becomes; its free variables, known functions replaced by theirs. */
struct low_function *unit_lambda(struct unit *u, struct core_fun *f, const core_var **ret_free);

/* Append an external term, without the 131. */
void const_etf(struct buf *out, const struct core_const *c);
struct beam_arg unit_operand(struct unit *u, const struct core_const *c);
uint32_t unit_atom(struct unit *u, const struct core_atom *a);

void infer(struct unit *u);             /* for all functions, tidied; fills told */
void code_function(struct unit *u, struct low *l);
void docs_chunk(struct core_module *m, struct buf *out);
void spans_chunk(struct core_module *m, struct buf *out);

#endif
