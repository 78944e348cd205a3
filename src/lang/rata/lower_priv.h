/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lower_priv.h - what the files of lowering share
 *
 * Where a value goes is a struct cont. Most expressions simply are their value (K_VALUE). Only a
 * construct with a `return` inside, in a place whose value is still needed, continues with a jump
 * to a join point, so that the branch which returns just ends: it is the value of the function.
 *
 * Inside the protected part of a try there are no jumps out. A try that contains a `return` gives
 * {'$value', V} or {'$return', V} instead (K_WRAP), and is taken apart behind it.
 */
#ifndef LANG_RATA_LOWER_PRIV_H
#define LANG_RATA_LOWER_PRIV_H

#include "lang/rata/lower.h"

struct cont {
    enum { K_VALUE, K_JUMP, K_WRAP,
           K_SESSION            /* end of an input of the REPL: {Value, [{Name, Value}]} */
    } kind;
    struct core_label *label;           /* K_JUMP: takes the value */
};

#define VALUE ((struct cont){ K_VALUE, NULL })

struct lower {
    struct program *pr;
    struct core_module *m;
    struct module *module;              /* NULL: the script */
    uint32_t *files;                    /* core file of each source; 0: not yet (index + 1) */
    bool wrap_return;                   /* `return` gives {'$return', V} */
    uint64_t hash;                      /* of the module's source, for the keys of constants */
    const struct core_const **covered;  /* {File, Line} of statements, with pr->cover */
    size_t n_covered, cap_covered;
};

/* --- small things (lower.c) --- */
/* Room for n clauses and one more that catches the rest. */
static inline struct core_clause **clause_room(struct lower *l, size_t n)
{
    return ARENA_NEW_ARRAY(l->pr->arena, struct core_clause *, n + 1);
}

struct core_span lower_span(struct lower *l, struct span s);
struct core_expr *lower_atom(struct lower *l, struct core_span at, const char *name);
struct core_expr *lower_text(struct lower *l, struct core_span at, const char *text);
struct core_expr *lower_bif1(struct lower *l, struct core_span at, const char *name,
                             struct core_expr *a);
struct core_expr *lower_bif2(struct lower *l, struct core_span at, const char *name,
                             struct core_expr *a, struct core_expr *b);
struct core_expr *lower_fail(struct lower *l, struct core_span at, const char *kind,
                             struct core_expr *detail);
struct core_expr *lower_runtime(struct lower *l, struct core_span at, const char *name,
                                struct core_expr *const *args, size_t n);
/* var := value in body; nothing is wrapped around when value is a variable or literal: use *ret. */
struct held { core_var var; struct core_expr *value; struct core_span at; bool simple; };
struct held lower_hold(struct lower *l, struct core_span at, struct core_expr *value);
struct core_expr *held_use(struct lower *l, const struct held *h);
struct core_expr *held_let(struct lower *l, const struct held *h, struct core_expr *body);

/* --- functions (lower_function.c) --- */
struct core_fun *lower_function(struct lower *l, struct node *fn);
struct core_expr *lower_fn(struct lower *l, struct node *n);
struct core_expr *lower_short_fn(struct lower *l, struct node *n);
struct core_fun *lower_clauses_fun(struct lower *l, struct core_span at,
                                   const struct node_list *defs, uint32_t arity,
                                   struct core_clause *last);

/* --- statements and control (lower_control.c) --- */
struct core_expr *lower_tail(struct lower *l, struct node *n, struct cont k);
struct core_expr *lower_body(struct lower *l, struct node *block, struct cont k);
struct core_expr *lower_statements(struct lower *l, const struct node_list *list, struct cont k);
struct core_expr *lower_finish(struct lower *l, struct core_span at, struct cont k,
                               struct core_expr *value);
struct core_expr *lower_return(struct lower *l, struct core_span at, struct core_expr *value);
struct core_expr *lower_session(struct lower *l, struct core_span at, struct core_expr *value);
/* if test then `then` else `otherwise`. */
struct core_expr *lower_test(struct lower *l, struct node *test, struct core_expr *then,
                             struct core_expr *otherwise);
struct core_expr *lower_try(struct lower *l, struct node *n, struct cont k);
struct core_expr *lower_protect(struct lower *l, struct node *n);

/* --- expressions (lower_expr.c, lower_call.c) --- */
struct core_expr *lower(struct lower *l, struct node *n);
void lower_list(struct lower *l, const struct node_list *list, struct core_expr **out);
bool is_boolean(const struct node *n);
struct core_expr *lower_call(struct lower *l, struct node *n);
struct core_expr *lower_reference(struct lower *l, struct node *n);

/* --- patterns, guards, types (lower_pattern.c) --- */
struct core_pat *lower_pattern(struct lower *l, struct node *n);
struct core_expr *lower_when(struct lower *l, struct node *n);
struct core_expr *lower_truth(struct lower *l, struct core_span at, struct core_expr *value);
/* Is the value of var of a type of section 7.3? Usable in guards; NULL when it is not inline. */
struct core_expr *lower_type_test(struct lower *l, struct core_span at, const char *type,
                                  core_var var);
core_var lower_bind(struct lower *l, struct binding *b);

#endif
