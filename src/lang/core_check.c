/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core_check.c - does a module keep the rules of core.h?
 */
#include "lang/core.h"

#include "base/errors.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <utf8proc.h>

#define GUARD_LIST_MAX 1000

struct check {
    const struct core_module *m;
    struct arena scratch;
    uint8_t *state;                     /* [core_var] */
    core_var *scope;                    /* in scope, inner last */
    size_t n_scope, cap_scope;
    const struct core_label **labels;   /* that may be jumped to, inner last */
    size_t n_labels, cap_labels;
    size_t barrier;                     /* labels below it are out of reach */
    bool guard;
    int rc;
    struct core_error *error;
};

enum { VAR_NEW, VAR_IN_SCOPE, VAR_GONE };

static void complain(struct check *c, int rc, struct core_span at, const char *fmt, ...)
{
    va_list ap;

    if (c->rc < 0)
        return;
    c->rc = rc;
    c->error->span = at;
    va_start(ap, fmt);
    vsnprintf(c->error->text, sizeof c->error->text, fmt, ap);
    va_end(ap);
}

static void bug(struct check *c, struct core_span at, const char *what)
{
    complain(c, -ERR_ARGUMENT, at, "%s", what);
}

static void check_expr(struct check *c, const struct core_expr *e);

/* --- scopes ----------------------------------------------------------------------------------- */

static void bind(struct check *c, core_var v, struct core_span at)
{
    if (v == 0 || v >= c->m->n_vars) {
        bug(c, at, "a variable that was never made");
        return;
    }
    if (c->state[v] != VAR_NEW)
        bug(c, at, "a variable is bound twice");
    c->state[v] = VAR_IN_SCOPE;
    c->scope = arena_grow(&c->scratch, c->scope, c->n_scope, &c->cap_scope, sizeof *c->scope);
    c->scope[c->n_scope++] = v;
}

static void use(struct check *c, core_var v, struct core_span at)
{
    if (v == 0 || v >= c->m->n_vars || c->state[v] != VAR_IN_SCOPE)
        complain(c, -ERR_ARGUMENT, at, "variable %u is used outside of its scope", v);
}

static void close_scope(struct check *c, size_t n)
{
    while (c->n_scope > n)
        c->state[c->scope[--c->n_scope]] = VAR_GONE;
}

/* An expression whose value goes on being used here. */
static void check_inner(struct check *c, const struct core_expr *e)
{
    size_t barrier = c->barrier, n = c->n_scope;

    c->barrier = c->n_labels;
    check_expr(c, e);
    c->barrier = barrier;
    close_scope(c, n);
}

static void check_args(struct check *c, const struct core_expr *e)
{
    for (uint32_t i = 0; i < e->n; i++)
        check_inner(c, e->args[i]);
}

/* --- patterns --------------------------------------------------------------------------------- */

/* A variable of the clause whose first one is scope[from]. */
static void bind_pattern(struct check *c, core_var v, size_t from, struct core_span at)
{
    if (v != 0 && v < c->m->n_vars && c->state[v] == VAR_IN_SCOPE)
        for (size_t i = from; i < c->n_scope; i++)
            if (c->scope[i] == v)
                return;
    bind(c, v, at);
}

static void check_pat(struct check *c, const struct core_pat *p, size_t from);

static void check_size(struct check *c, const struct core_expr *e)
{
    if (e->kind != CORE_LIT && e->kind != CORE_VAR)
        bug(c, e->span, "a pattern holds an expression");
    check_inner(c, e);
}

static void check_segment_pat(struct check *c, const struct core_pat *p, uint32_t i, size_t from)
{
    const struct core_segment *s = &p->segments[i];

    if (s->type == CB_STRING) {
        if (s->value == NULL || s->value->kind != CORE_LIT || s->value->lit->kind != CC_BITS
            || s->value->lit->last_bits != 8 || s->value->lit->n == 0)
            bug(c, p->span, "a string segment without bytes");
        return;
    }
    if (s->size != NULL)
        check_size(c, s->size);
    if (s->pat == NULL || s->unit > 256
        || (s->pat->kind != CP_ANY && s->pat->kind != CP_VAR && s->pat->kind != CP_LIT))
        bug(c, p->span, "a segment of a wrong kind");
    else if (s->type == CB_BINARY && s->size == NULL && i + 1 < p->n)
        bug(c, p->span, "a segment behind the one that takes all");
    else
        check_pat(c, s->pat, from);
}

static void check_pat(struct check *c, const struct core_pat *p, size_t from)
{
    while (p->kind == CP_CONS || p->kind == CP_ALIAS) {
        if (p->kind == CP_ALIAS) {
            bind_pattern(c, p->var, from, p->span);
            p = p->sub;
        } else {
            check_pat(c, p->elements[0], from);
            p = p->elements[1];
        }
    }
    if (p->kind == CP_VAR)
        bind_pattern(c, p->var, from, p->span);
    if (p->kind == CP_PIN)
        use(c, p->var, p->span);
    for (uint32_t i = 0; i < p->n && c->rc == 0; i++) {
        if (p->kind == CP_TUPLE) {
            check_pat(c, p->elements[i], from);
        } else if (p->kind == CP_MAP) {
            check_size(c, p->pairs[i].key);
            check_pat(c, p->pairs[i].pat, from);
        } else if (p->kind == CP_BITS) {
            check_segment_pat(c, p, i, from);
        }
    }
}

/* --- guards ----------------------------------------------------------------------------------- */

static void check_guard(struct check *c, const struct core_expr *e)
{
    size_t n = 0;

    switch (e->kind) {
    case CORE_LIT:
        return;
    case CORE_VAR:
        use(c, e->var, e->span);
        return;
    case CORE_REMOTE:
        if (e->module->kind != CORE_LIT || !cc_is_atom(e->module->lit, "erlang")
            || e->function->kind != CORE_LIT || e->function->lit->kind != CC_ATOM)
            bug(c, e->span, "a guard calls what no guard may call");
        break;
    case CORE_TUPLE:
    case CORE_AND:
    case CORE_OR:
        break;
    case CORE_CONS:
        for (; e->kind == CORE_CONS; e = e->args[1]) {
            check_guard(c, e->args[0]);
            if (++n > GUARD_LIST_MAX)
                complain(c, -ERR_LIMIT, e->span, "a list in a guard is longer than %d",
                         GUARD_LIST_MAX);
        }
        check_guard(c, e);
        return;
    case CORE_LET:
        check_guard(c, e->value);
        bind(c, e->bound, e->span);
        check_guard(c, e->body);
        return;
    default:
        bug(c, e->span, "a guard holds what no guard may hold");
        return;
    }
    for (uint32_t i = 0; i < e->n; i++)
        check_guard(c, e->args[i]);
}

/* --- expressions ------------------------------------------------------------------------------ */

static void check_fun(struct check *c, const struct core_fun *f)
{
    size_t barrier = c->barrier, n = c->n_scope;

    if (f->arity > CORE_ARITY_MAX)
        complain(c, -ERR_LIMIT, f->span, "a function of more than %d parameters", CORE_ARITY_MAX);
    for (uint32_t i = 0; i < f->arity; i++)
        bind(c, f->params[i], f->span);
    c->barrier = c->n_labels;
    check_expr(c, f->body);
    c->barrier = barrier;
    close_scope(c, n);
}

static void check_clauses(struct check *c, const struct core_expr *e, uint32_t n_values)
{
    for (uint32_t i = 0; i < e->n && c->rc == 0; i++) {
        const struct core_clause *cl = e->clauses[i];
        size_t n = c->n_scope;

        if (cl->n != n_values)
            bug(c, cl->span, "a clause has not as many patterns as there are values");
        for (uint32_t j = 0; j < cl->n && c->rc == 0; j++)
            check_pat(c, cl->pats[j], n);
        if (cl->guard != NULL)
            check_guard(c, cl->guard);
        check_expr(c, cl->body);
        close_scope(c, n);
    }
}

static void check_try(struct check *c, const struct core_expr *e)
{
    const struct core_try *t = e->try;
    size_t n = c->n_scope;

    check_inner(c, t->protected);
    bind(c, t->value, e->span);
    check_expr(c, t->body);
    close_scope(c, n);
    bind(c, t->class, e->span);
    bind(c, t->reason, e->span);
    bind(c, t->trace, e->span);
    check_expr(c, t->handler);
    close_scope(c, n);
}

static void check_segments(struct check *c, const struct core_expr *e)
{
    for (uint32_t i = 0; i < e->n && c->rc == 0; i++) {
        const struct core_segment *s = &e->segments[i];

        if (s->value == NULL || s->unit > 256
            || (s->type == CB_STRING
                && (s->value->kind != CORE_LIT || s->value->lit->kind != CC_BITS
                    || s->value->lit->last_bits != 8))) {
            bug(c, e->span, "a segment of a wrong kind");
            return;
        }
        check_inner(c, s->value);
        if (s->size != NULL)
            check_inner(c, s->size);
    }
}

static void check_jump(struct check *c, const struct core_expr *e)
{
    size_t i = c->n_labels;

    check_args(c, e);
    while (i > c->barrier && c->labels[i - 1] != e->label)
        i--;
    if (i == c->barrier)
        bug(c, e->span, "a jump out of a place that gives a value");
    else if (e->label->n != e->n)
        bug(c, e->span, "a jump with the wrong number of values");
}

static void check_named(struct check *c, const struct core_expr *e)
{
    if (e->n > CORE_ARITY_MAX)
        complain(c, -ERR_LIMIT, e->span, "a call with more than %d arguments", CORE_ARITY_MAX);
}

/* e but for the body behind it. */
static void check_head(struct check *c, const struct core_expr *e)
{
    static const uint32_t prim_args[] = { 2, 3, 1, 1 };

    switch (e->kind) {
    case CORE_LIT:
        return;
    case CORE_LOCAL:
        check_named(c, e);
        return;
    case CORE_VAR:
        use(c, e->var, e->span);
        return;
    case CORE_CALL:
    case CORE_REMOTE:
    case CORE_APPLY:
        check_named(c, e);
        if (e->kind == CORE_REMOTE) {
            check_inner(c, e->module);
            check_inner(c, e->function);
        } else if (e->kind == CORE_APPLY) {
            check_inner(c, e->callee);
        }
        break;
    case CORE_PRIM:
        if (e->n != prim_args[e->prim])
            bug(c, e->span, "a primitive with the wrong number of arguments");
        break;
    case CORE_FUN:
        check_fun(c, e->fun);
        return;
    case CORE_LET:
        check_inner(c, e->value);
        bind(c, e->bound, e->span);
        return;
    case CORE_SEQ:
        check_inner(c, e->value);
        return;
    case CORE_LETREC:
        for (uint32_t i = 0; i < e->n; i++)
            bind(c, e->funs[i]->var, e->span);
        for (uint32_t i = 0; i < e->n; i++)
            check_fun(c, e->funs[i]);
        return;
    case CORE_CASE:
        for (uint32_t i = 0; i < e->n_values; i++)
            check_inner(c, e->values[i]);
        check_clauses(c, e, e->n_values);
        return;
    case CORE_RECEIVE:
        if (e->timeout != NULL)
            check_inner(c, e->timeout);
        if ((e->timeout == NULL) != (e->after == NULL))
            bug(c, e->span, "a receive with half a timeout");
        check_clauses(c, e, 1);
        if (e->after != NULL)
            check_expr(c, e->after);
        return;
    case CORE_TRY:
        check_try(c, e);
        return;
    case CORE_MAP:
        if (e->base != NULL)
            check_inner(c, e->base);
        for (uint32_t i = 0; i < e->n; i++) {
            check_inner(c, e->pairs[i].key);
            check_inner(c, e->pairs[i].value);
        }
        return;
    case CORE_BITS:
        check_segments(c, e);
        return;
    case CORE_JUMP:
        check_jump(c, e);
        return;
    case CORE_AND:
    case CORE_OR:
        check_inner(c, e->args[0]);
        check_expr(c, e->args[1]);
        return;
    case CORE_JOIN:
    case CORE_CONS:
        return;
    case CORE_TUPLE:
        break;
    }
    check_args(c, e);
}

/* first is looked at as in tail position, but its jumps may also go to this label. */
static void check_join(struct check *c, const struct core_expr *e)
{
    size_t n = c->n_scope;

    c->labels = arena_grow(&c->scratch, c->labels, c->n_labels, &c->cap_labels,
                           sizeof *c->labels);
    c->labels[c->n_labels++] = e->join;
    check_expr(c, e->value);
    c->n_labels--;
    close_scope(c, n);
    for (uint32_t i = 0; i < e->join->n; i++)
        bind(c, e->join->params[i], e->span);
}

static void check_expr(struct check *c, const struct core_expr *e)
{
    while (c->rc == 0) {
        check_head(c, e);
        if (e->kind == CORE_JOIN)
            check_join(c, e);
        if (e->kind == CORE_CONS) {
            check_inner(c, e->args[0]);
            e = e->args[1];
            if (e->kind != CORE_CONS) {
                check_inner(c, e);
                return;
            }
        } else if (e->kind == CORE_LET || e->kind == CORE_SEQ || e->kind == CORE_LETREC
                   || e->kind == CORE_JOIN) {
            e = e->body;
        } else {
            return;
        }
    }
}

static void check_atoms(struct check *c)
{
    for (size_t i = 0; i < c->m->cap_atoms; i++) {
        for (const struct core_atom *a = c->m->atoms[i]; a != NULL; a = a->next) {
            size_t chars = 0, at = 0;
            utf8proc_ssize_t n = 1;
            utf8proc_int32_t unused;

            for (; at < a->len && n > 0; at += n > 0 ? (size_t)n : 0, chars++)
                n = utf8proc_iterate((const utf8proc_uint8_t *)a->name + at,
                                     (utf8proc_ssize_t)(a->len - at), &unused);
            if (n <= 0)
                complain(c, -ERR_FORMAT, (struct core_span){ 0 },
                         "an atom is not UTF-8 from its byte %zu on", at);
            else if (chars > 255)
                complain(c, -ERR_LIMIT, (struct core_span){ 0 },
                         "an atom has more than 255 characters: %.50s...", a->name);
        }
    }
}

int core_check(const struct core_module *m, struct core_error *ret_error)
{
    struct check c = { .m = m, .error = ret_error };

    if (m->too_deep)
        complain(&c, -ERR_LIMIT, (struct core_span){ 0 }, "something is nested more than %d deep",
                 CORE_DEPTH_MAX);
    check_atoms(&c);
    c.state = arena_alloc(&c.scratch, m->n_vars);
    for (size_t i = 0; i < m->n_functions && c.rc == 0; i++)
        check_fun(&c, m->functions[i].fun);
    arena_fini(&c.scratch);
    return c.rc;
}
