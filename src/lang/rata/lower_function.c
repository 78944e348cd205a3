/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lower_function.c - functions, fn, ~: clauses, parameters and their types
 */
#include "lang/rata/lower_priv.h"

#include <string.h>

/* The type as written in the source. */
static const char *type_text(struct lower *l, const struct node *type)
{
    return arena_strndup(l->pr->arena, l->pr->d->sources[type->span.file].text + type->span.from,
                         type->span.to - type->span.from);
}

/* [[int]] as a term: [[int]]. */
static const struct core_const *type_term(struct lower *l, const struct node *type)
{
    const struct core_const *inner;

    if (type->a == NULL)
        return cc_atom(l->m, type->text);
    inner = type_term(l, type->a);
    return cc_list(l->m, &inner, 1, NULL);
}

static struct core_expr *type_test(struct lower *l, struct core_span at, const struct node *type,
                                   core_var var)
{
    struct core_expr *args[2], *test = NULL;

    /* A pid may be the handle of a task, which is_pid does not say. */
    if (type->a == NULL && strcmp(type->text, "pid") != 0)
        test = lower_type_test(l, at, type->text, var);
    if (test != NULL)
        return test;
    args[0] = core_lit(l->m, at, type_term(l, type));
    args[1] = core_use(l->m, at, var);
    return lower_runtime(l, at, "is_type", args, 2);
}

/* body, if var has the type; else {type_error, ...}. */
static struct core_expr *checked(struct lower *l, const struct node *type, const char *name,
                                 core_var var, struct core_expr *body)
{
    struct core_span at = lower_span(l, type->span);
    struct core_expr *fail[3], *test;
    struct core_pat *pat;
    struct core_clause *clauses[2];

    if (type->a == NULL && strcmp(type->text, "any") == 0)
        return body;
    fail[0] = lower_text(l, at, name);
    fail[1] = lower_text(l, at, type_text(l, type));
    fail[2] = core_use(l->m, at, var);
    test = type_test(l, at, type, var);
    pat = cp_lit(l->m, at, cc_atom(l->m, "true"));
    clauses[0] = core_clause(l->m, at, &pat, 1, NULL, body);
    pat = cp_any(l->m, at);
    clauses[1] = core_clause(l->m, at, &pat, 1, NULL, lower_runtime(l, at, "type_error", fail, 3));
    return core_case(l->m, at, &test, 1, clauses, 2);
}

/* A function body: its own `return`s, its types. Patterns are bound already. */
static struct core_expr *body(struct lower *l, struct node *fn)
{
    bool outer = l->wrap_return;
    struct core_expr *e;
    struct node_list statements = fn->c->list;

    if (statements.n > 1 && statements.at[0]->kind == N_STRING) {   /* documentation */
        statements.at++;
        statements.n--;
    }
    l->wrap_return = false;
    e = lower_statements(l, &statements, VALUE);
    l->wrap_return = outer;
    if (fn->b != NULL) {
        core_var result = core_var_new(l->m, NULL);
        struct core_span at = lower_span(l, fn->b->span);

        e = core_let(l->m, at, result, e,
                     checked(l, fn->b, "return", result, core_use(l->m, at, result)));
    }
    for (size_t i = fn->list.n; i-- > 0;) {
        struct node *param = fn->list.at[i];

        if (param->c != NULL)
            e = checked(l, param->c, param->a->text, param->a->bound->var, e);
    }
    return e;
}

/* Plain names as parameters need no patterns: each is the parameter. */
static bool plain_parameters(const struct node *fn)
{
    for (size_t i = 0; i < fn->list.n; i++) {
        const struct node *p = fn->list.at[i]->a;

        if (p->kind != N_NAME || (p->bound != NULL && p->bound->var != 0))
            return false;
        for (size_t j = 0; j < i; j++)              /* the same name twice is an equality */
            if (p->bound != NULL && fn->list.at[j]->a->bound == p->bound)
                return false;
    }
    return fn->a == NULL;
}

static core_var *parameter_vars(struct lower *l, uint32_t arity)
{
    core_var *vars = ARENA_NEW_ARRAY(l->pr->arena, core_var, arity + 1);

    for (uint32_t i = 0; i < arity; i++)
        vars[i] = core_var_new(l->m, NULL);
    return vars;
}

static struct core_clause *function_clause(struct lower *l, struct node *fn)
{
    struct core_span at = lower_span(l, fn->span);
    struct core_pat **pats = ARENA_NEW_ARRAY(l->pr->arena, struct core_pat *, fn->list.n + 1);
    struct core_expr *guard;

    for (size_t i = 0; i < fn->list.n; i++)
        pats[i] = lower_pattern(l, fn->list.at[i]->a);
    guard = fn->a != NULL ? lower_when(l, fn->a) : NULL;
    return core_clause(l->m, at, pats, fn->list.n, guard, body(l, fn));
}

static struct core_clause *no_clause(struct lower *l, struct core_span at, uint32_t arity)
{
    struct core_pat **pats = ARENA_NEW_ARRAY(l->pr->arena, struct core_pat *, arity + 1);
    struct core_expr *reason = lower_atom(l, at, "function_clause");

    for (uint32_t i = 0; i < arity; i++)
        pats[i] = cp_any(l->m, at);
    return core_clause(l->m, at, pats, arity, NULL,
                       core_prim(l->m, at, PRIM_MATCH_FAIL, &reason, 1));
}

static struct core_fun *clauses_fun(struct lower *l, struct core_span at, uint32_t arity,
                                    struct core_clause **clauses, size_t n)
{
    core_var *vars = parameter_vars(l, arity);
    struct core_expr **values = ARENA_NEW_ARRAY(l->pr->arena, struct core_expr *, arity + 1);

    for (uint32_t i = 0; i < arity; i++)
        values[i] = core_use(l->m, at, vars[i]);
    return core_fun_new(l->m, at, vars, arity, core_case(l->m, at, values, arity, clauses, n));
}

static struct core_fun *plain_fun(struct lower *l, struct core_span at, struct node *fn)
{
    core_var *vars = ARENA_NEW_ARRAY(l->pr->arena, core_var, fn->list.n + 1);

    for (size_t i = 0; i < fn->list.n; i++) {
        struct binding *b = fn->list.at[i]->a->bound;

        vars[i] = b != NULL ? lower_bind(l, b) : core_var_new(l->m, NULL);
    }
    return core_fun_new(l->m, at, vars, fn->list.n, body(l, fn));
}

/* The clauses of a module's function; `last` (or NULL) stands behind them, otherwise a call that
 * none matches fails. */
struct core_fun *lower_clauses_fun(struct lower *l, struct core_span at,
                                   const struct node_list *defs, uint32_t arity,
                                   struct core_clause *last)
{
    struct core_clause **clauses = clause_room(l, defs->n);

    if (defs->n == 1 && plain_parameters(defs->at[0]->a))
        return plain_fun(l, at, defs->at[0]->a);
    for (size_t i = 0; i < defs->n; i++)
        clauses[i] = function_clause(l, defs->at[i]->a);
    clauses[defs->n] = last != NULL ? last : no_clause(l, at, arity);
    return clauses_fun(l, at, arity, clauses, defs->n + 1);
}

/* function(...) {...} as a value. */
struct core_fun *lower_function(struct lower *l, struct node *fn)
{
    struct core_span at = lower_span(l, fn->span);
    struct core_clause *clauses[2];

    if (plain_parameters(fn))
        return plain_fun(l, at, fn);
    clauses[0] = function_clause(l, fn);
    clauses[1] = no_clause(l, at, (uint32_t)fn->list.n);
    return clauses_fun(l, at, (uint32_t)fn->list.n, clauses, 2);
}

static struct core_clause *fn_clause(struct lower *l, struct node *c)
{
    struct core_span at = lower_span(l, c->span);
    struct core_pat **pats = ARENA_NEW_ARRAY(l->pr->arena, struct core_pat *, c->list.n + 1);
    struct core_expr *guard;

    for (size_t i = 0; i < c->list.n; i++)
        pats[i] = lower_pattern(l, c->list.at[i]);
    guard = c->a != NULL ? lower_when(l, c->a) : NULL;
    return core_clause(l->m, at, pats, c->list.n, guard, lower_body(l, c->b, VALUE));
}

static struct core_expr *plain_fn(struct lower *l, struct core_span at, struct node *c)
{
    core_var *vars = ARENA_NEW_ARRAY(l->pr->arena, core_var, c->list.n + 1);

    for (size_t i = 0; i < c->list.n; i++) {
        struct binding *b = c->list.at[i]->bound;

        vars[i] = b != NULL ? lower_bind(l, b) : core_var_new(l->m, NULL);
    }
    return core_fun(l->m, core_fun_new(l->m, at, vars, c->list.n, lower_body(l, c->b, VALUE)));
}

static bool plain_clause(const struct node *c)
{
    for (size_t i = 0; i < c->list.n; i++) {
        const struct node *p = c->list.at[i];

        if (p->kind != N_NAME)
            return false;
        for (size_t j = 0; j < i; j++)
            if (p->bound != NULL && c->list.at[j]->bound == p->bound)
                return false;
    }
    return c->a == NULL;
}

struct core_expr *lower_fn(struct lower *l, struct node *n)
{
    struct core_span at = lower_span(l, n->span);
    struct core_clause **clauses = clause_room(l, n->list.n);
    uint32_t arity = (uint32_t)n->list.at[0]->list.n;
    bool outer = l->wrap_return;
    struct core_expr *e;

    l->wrap_return = false;
    if (n->list.n == 1 && plain_clause(n->list.at[0])) {
        e = plain_fn(l, at, n->list.at[0]);
    } else {
        for (size_t i = 0; i < n->list.n; i++)
            clauses[i] = fn_clause(l, n->list.at[i]);
        clauses[n->list.n] = no_clause(l, at, arity);
        e = core_fun(l->m, clauses_fun(l, at, arity, clauses, n->list.n + 1));
    }
    l->wrap_return = outer;
    return e;
}

struct core_expr *lower_short_fn(struct lower *l, struct node *n)
{
    struct core_span at = lower_span(l, n->span);
    core_var *vars = ARENA_NEW_ARRAY(l->pr->arena, core_var, n->list.n + 1);
    bool outer = l->wrap_return;
    struct core_expr *e;

    for (size_t i = 0; i < n->list.n; i++)
        vars[i] = lower_bind(l, n->list.at[i]->bound);
    l->wrap_return = false;
    e = core_fun(l->m, core_fun_new(l->m, at, vars, n->list.n, lower_tail(l, n->a, VALUE)));
    l->wrap_return = outer;
    return e;
}
