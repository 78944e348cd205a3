/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lower_try.c - try, catch, else, after; protected calls
 *
 * The order of things inside: body, then (outside of the protection) `else`, or the clauses on an
 * exception; `after` around all of it.
 */
#include "lang/rata/lower_priv.h"

#include <string.h>

/* --- what the body binds for `else` ---------------------------------------------------------- */

struct bound { struct binding **at; size_t n, cap; };

static void bound_in(struct lower *l, struct bound *out, const struct node *pattern)
{
    if (pattern == NULL)
        return;
    if ((pattern->kind == N_NAME) && pattern->bound != NULL) {
        for (size_t i = 0; i < out->n; i++)
            if (out->at[i] == pattern->bound)
                return;
        out->at = arena_grow(l->pr->arena, out->at, out->n, &out->cap, sizeof *out->at);
        out->at[out->n++] = pattern->bound;
        return;
    }
    if (pattern->kind != N_TUPLE && pattern->kind != N_VECTOR && pattern->kind != N_MAP
        && pattern->kind != N_PAIR && pattern->kind != N_KEYWORDS && pattern->kind != N_PAREN
        && pattern->kind != N_MATCH && pattern->kind != N_BINARY)
        return;
    for (size_t i = 0; i < pattern->list.n; i++)
        bound_in(l, out, pattern->list.at[i]);
    if (pattern->kind != N_PAIR)
        bound_in(l, out, pattern->a);
    bound_in(l, out, pattern->b);
}

static struct bound bound_by(struct lower *l, const struct node *block)
{
    struct bound out = { 0 };

    for (size_t i = 0; i < block->list.n; i++)
        for (const struct node *n = block->list.at[i]; n->kind == N_MATCH; n = n->b)
            bound_in(l, &out, n->a);
    return out;
}

/* --- the clauses ----------------------------------------------------------------------------- */

/* An atom as a pattern also matches a tuple that begins with it. */
static struct core_expr *kind_guard(struct lower *l, struct core_span at, core_var e,
                                    const struct core_const *atom)
{
    struct core_expr *same = lower_bif2(l, at, "=:=", core_use(l->m, at, e),
                                        core_lit(l->m, at, atom));
    struct core_expr *tuple = lower_bif1(l, at, "is_tuple", core_use(l->m, at, e));
    struct core_expr *some = lower_bif2(l, at, ">",
                                        lower_bif1(l, at, "tuple_size", core_use(l->m, at, e)),
                                        core_lit(l->m, at, cc_int(l->m, 0)));
    struct core_expr *first = lower_bif2(l, at, "element", core_lit(l->m, at, cc_int(l->m, 1)),
                                         core_use(l->m, at, e));
    struct core_expr *begins = lower_bif2(l, at, "=:=", first, core_lit(l->m, at, atom));

    return core_or(l->m, at, same,
                   core_and(l->m, at, tuple, core_and(l->m, at, some, begins)));
}

static struct core_clause *catch_clause(struct lower *l, struct node *c, struct cont k, core_var e)
{
    struct core_span at = lower_span(l, c->span);
    struct core_pat *pat = lower_pattern(l, c->list.at[0]);
    struct core_expr *guard = NULL;

    if (pat->kind == CP_LIT && pat->lit->kind == CC_ATOM) {
        guard = kind_guard(l, at, e, pat->lit);
        pat = cp_any(l->m, at);
    }
    if (c->a != NULL)
        guard = guard != NULL ? core_and(l->m, at, guard, lower_when(l, c->a))
                              : lower_when(l, c->a);
    return core_clause(l->m, at, &pat, 1, guard, lower_body(l, c->b, k));
}

static struct core_expr *again(struct lower *l, struct core_span at, const core_var caught[3])
{
    struct core_expr *args[3];

    for (size_t i = 0; i < 3; i++)
        args[i] = core_use(l->m, at, caught[i]);
    return core_prim(l->m, at, PRIM_RERAISE, args, 3);
}

/* e := the exception as the language shows it; then the clauses. */
static struct core_expr *catching(struct lower *l, struct node *n, struct cont k,
                                  const core_var caught[3])
{
    struct core_span at = lower_span(l, n->span);
    core_var e = n->bound != NULL ? lower_bind(l, n->bound) : core_var_new(l->m, NULL);
    struct core_clause **clauses = clause_room(l, n->list.n);
    struct core_pat *any;
    struct core_expr *args[3], *value = core_use(l->m, at, e), *trace;

    for (size_t i = 0; i < n->list.n; i++)
        clauses[i] = catch_clause(l, n->list.at[i], k, e);
    any = cp_any(l->m, at);
    clauses[n->list.n] = core_clause(l->m, at, &any, 1, NULL, again(l, at, caught));
    trace = core_use(l->m, at, caught[2]);
    args[0] = core_use(l->m, at, caught[0]);
    args[1] = core_use(l->m, at, caught[1]);
    args[2] = core_prim(l->m, at, PRIM_STACKTRACE, &trace, 1);
    return core_let(l->m, at, e, lower_runtime(l, at, "normalize", args, 3),
                    core_case(l->m, at, &value, 1, clauses, n->list.n + 1));
}

/* Exits of processes are none of our business. */
static struct core_expr *handler(struct lower *l, struct node *n, struct cont k,
                                 const core_var caught[3])
{
    struct core_span at = lower_span(l, n->span);
    struct core_expr *class = core_use(l->m, at, caught[0]);
    struct core_pat *pat = cp_lit(l->m, at, cc_atom(l->m, "exit"));
    struct core_clause *clauses[2];

    if (n->list.n == 0)
        return again(l, at, caught);
    clauses[0] = core_clause(l->m, at, &pat, 1, NULL, again(l, at, caught));
    pat = cp_any(l->m, at);
    clauses[1] = core_clause(l->m, at, &pat, 1, NULL, catching(l, n, k, caught));
    return core_case(l->m, at, &class, 1, clauses, 2);
}

/* --- try ------------------------------------------------------------------------------------- */

/* {'$value', V} goes on with then(V), {'$return', V} leaves the function. */
static struct core_expr *unwrap(struct lower *l, struct core_span at, struct core_expr *wrapped,
                                core_var v, struct core_expr *then)
{
    core_var r = core_var_new(l->m, NULL);
    struct core_pat *parts[2], *pat;
    struct core_clause *clauses[2];

    parts[0] = cp_lit(l->m, at, cc_atom(l->m, "$value"));
    parts[1] = cp_var(l->m, at, v);
    pat = cp_tuple(l->m, at, parts, 2);
    clauses[0] = core_clause(l->m, at, &pat, 1, NULL, then);
    parts[0] = cp_lit(l->m, at, cc_atom(l->m, "$return"));
    parts[1] = cp_var(l->m, at, r);
    pat = cp_tuple(l->m, at, parts, 2);
    clauses[1] = core_clause(l->m, at, &pat, 1, NULL,
                             lower_return(l, at, core_use(l->m, at, r)));
    return core_case(l->m, at, &wrapped, 1, clauses, 2);
}

/* The body. When there is an `else`, its value is a tuple of the names that the body binds. */
static struct core_expr *protected_part(struct lower *l, struct node *n, const struct bound *names,
                                        struct cont k)
{
    struct node *last = ARENA_NEW(l->pr->arena, struct node);
    struct node_list list = { 0 };

    if (n->b == NULL)
        return lower_body(l, n->a, k);
    last->kind = N_TUPLE;
    last->span = last->mark = n->a->span;
    for (size_t i = 0; i < names->n; i++) {
        struct node *name = ARENA_NEW(l->pr->arena, struct node);

        name->kind = N_NAME;
        name->span = name->mark = n->a->span;
        name->meaning = MEANS_VARIABLE;
        name->bound = names->at[i];
        node_list_add(l->pr->arena, &last->list, name);
    }
    for (size_t i = 0; i < n->a->list.n; i++)
        node_list_add(l->pr->arena, &list, n->a->list.at[i]);
    node_list_add(l->pr->arena, &list, last);
    return lower_statements(l, &list, k);
}

/* What follows a body that raised nothing. */
static struct core_expr *succeed(struct lower *l, struct node *n, const struct bound *names,
                                 core_var value, struct cont k)
{
    struct core_span at = lower_span(l, n->span);
    struct core_pat **parts = ARENA_NEW_ARRAY(l->pr->arena, struct core_pat *, names->n + 1), *pat;
    struct core_expr *tuple = core_use(l->m, at, value);
    struct core_clause *clause;

    if (n->b == NULL)
        return lower_finish(l, at, k, tuple);
    for (size_t i = 0; i < names->n; i++) {         /* the same names, outside of the protection */
        names->at[i]->var = core_var_new(l->m, names->at[i]->name->text);
        parts[i] = cp_var(l->m, at, names->at[i]->var);
    }
    pat = cp_tuple(l->m, at, parts, names->n);
    clause = core_clause(l->m, at, &pat, 1, NULL, lower_body(l, n->b, k));
    return core_case(l->m, at, &tuple, 1, &clause, 1);
}

/* try body catch ... else ..., without `after`. */
static struct core_expr *inner_try(struct lower *l, struct node *n, struct cont k)
{
    struct core_span at = lower_span(l, n->span);
    core_var value = core_var_new(l->m, NULL), caught[3];
    struct bound names = { 0 };
    struct core_expr *protected, *then;
    bool outer = l->wrap_return, wrapped = n->a->has_return;

    for (size_t i = 0; i < 3; i++)
        caught[i] = core_var_new(l->m, NULL);
    if (n->b != NULL)
        names = bound_by(l, n->a);
    l->wrap_return |= wrapped;
    protected = protected_part(l, n, &names, wrapped ? (struct cont){ K_WRAP, NULL } : VALUE);
    l->wrap_return = outer;
    if (wrapped) {
        core_var inner = core_var_new(l->m, NULL);

        then = succeed(l, n, &names, inner, k);
        then = unwrap(l, at, core_use(l->m, at, value), inner, then);
    } else {
        then = succeed(l, n, &names, value, k);
    }
    return core_try(l->m, at, protected, value, then, caught[0], caught[1], caught[2],
                    handler(l, n, k, caught));
}

struct core_expr *lower_try(struct lower *l, struct node *n, struct cont k)
{
    struct core_span at = lower_span(l, n->span);
    bool outer = l->wrap_return;
    struct core_expr *all, *cleanup;
    core_var v;

    if (n->c == NULL)
        return inner_try(l, n, k);
    if (!n->has_return) {
        all = inner_try(l, n, VALUE);
        cleanup = lower_body(l, n->c, VALUE);
        return lower_finish(l, at, k, core_after(l->m, at, all, cleanup));
    }
    l->wrap_return = true;
    all = inner_try(l, n, (struct cont){ K_WRAP, NULL });
    l->wrap_return = outer;
    cleanup = lower_body(l, n->c, VALUE);
    v = core_var_new(l->m, NULL);
    return unwrap(l, at, core_after(l->m, at, all, cleanup), v,
                  lower_finish(l, at, k, core_use(l->m, at, v)));
}

/* --- :"$rata".protect(f) --------------------------------------------------------------------- */

/* {ok, V}, or {Class, Reason, Trace} of any class. A written fn is not made a closure. */
struct core_expr *lower_protect(struct lower *l, struct node *n)
{
    struct core_span at = lower_span(l, n->span);
    struct node *f = n->list.at[0];
    core_var value = core_var_new(l->m, NULL), caught[3];
    struct core_expr *protected, *parts[3], *trace;

    for (size_t i = 0; i < 3; i++)
        caught[i] = core_var_new(l->m, NULL);
    if (f->kind == N_FN && f->list.n == 1 && f->list.at[0]->list.n == 0 && f->list.at[0]->a == NULL
        && !f->list.at[0]->b->has_return)
        protected = lower_body(l, f->list.at[0]->b, VALUE);
    else
        protected = core_apply(l->m, at, lower(l, f), NULL, 0);
    trace = core_use(l->m, at, caught[2]);
    parts[0] = core_use(l->m, at, caught[0]);
    parts[1] = core_use(l->m, at, caught[1]);
    parts[2] = core_prim(l->m, at, PRIM_STACKTRACE, &trace, 1);
    trace = core_tuple(l->m, at, parts, 3);
    parts[0] = lower_atom(l, at, "ok");
    parts[1] = core_use(l->m, at, value);
    return core_try(l->m, at, protected, value, core_tuple(l->m, at, parts, 2), caught[0],
                    caught[1], caught[2], trace);
}
