/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lower_priv.h - what lower.c and match.c share
 */
#ifndef LANG_LOWER_PRIV_H
#define LANG_LOWER_PRIV_H

#include "lang/emit_priv.h"

/* Where the value of an expression goes. */
struct dest {
    struct low_block *to;           /* NULL: it is the value of the function */
    bool wanted;                    /* `to` has a parameter for it */
};

/* A function being lowered. */
struct lower {
    struct unit *u;
    struct low *l;
    struct low_block *cur;          /* where instructions go; never terminated */
    struct low_block *handler;      /* of the try around, or NULL */
    uint32_t tries;                 /* how many are around */
    uint32_t inlined;               /* how many funs that were put in place are around */
    uint32_t *params;               /* variables of the function's parameters */
};

/* Add to the current block. */
struct low_instr *lower_add(struct lower *w, enum low_op op, struct core_span at, size_t n,
                            size_t n_dst, size_t n_to);
/* Terminate it with a jump; go on in another. */
void lower_jump(struct lower *w, struct low_block *to, const struct low_val *args, size_t n);
struct low_block *lower_new_block(struct lower *w);
void lower_enter(struct lower *w, struct low_block *b);
void lower_add_param(struct lower *w, struct low_block *b, uint32_t var);

void lower_set(struct lower *w, core_var v, struct low_val to);
struct low_val lower_get(struct lower *w, core_var v, struct core_span at);

struct low_val lower_value(struct lower *w, const struct core_expr *e);
/* Evaluate and send to dest; the current block is terminated. */
void lower_to(struct lower *w, const struct core_expr *e, struct dest d);
/* A guard: yes when true, no when false, fail when it fails. Current block terminated. */
void lower_condition(struct lower *w, const struct core_expr *e, struct low_block *yes,
                 struct low_block *no, struct low_block *fail);

/* Terminate with a test. */
void lower_if_lit(struct lower *w, struct low_val v, const struct core_const *lit,
                  struct low_block *yes, struct low_block *no);
void lower_if(struct lower *w, const char *test, struct low_val v, struct low_block *yes,
              struct low_block *no);

/* Match values[0..n) against clauses: code that ends in one of *ret_bodies, blocks with the
 * clause's variables that are used as parameters, or in fail. Current block terminated. */
void lower_match(struct lower *w, const struct low_val *values, size_t n,
                   struct core_clause *const *clauses, size_t n_clauses, struct low_block *fail,
                   struct low_block **ret_bodies);

#endif
