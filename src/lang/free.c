/* SPDX-License-Identifier: Apache-2.0 */
/*
 * free.c - uses of variables, and the variables that closures take along
 *
 * One walk over each function. A use inside a fun of what an outer one binds goes on the list of
 * every fun between. Known functions (of a letrec, or a let of a fun) are listed like variables:
 * unit_lambda replaces them by what they take along themselves, once all is known.
 */
#include "lang/emit_priv.h"

#include "base/errors.h"

struct scan {
    struct unit *u;
    struct fun_info *fun;               /* at work */
    uint32_t serial;                    /* number of it: index + 1 of `open` */
    struct fun_info **of;               /* [serial] */
    size_t n_of, cap_of;
};

static void scan_expr(struct scan *s, const struct core_expr *e);

static size_t fun_slot(const struct unit *u, const struct core_fun *f)
{
    return ((uintptr_t)f >> 4) * 2654435761u % u->cap_funs;
}

struct fun_info *fun_info_get(struct unit *u, const struct core_fun *f)
{
    struct fun_info *i = u->funs[fun_slot(u, f)];

    while (i != NULL && i->fun != f)
        i = i->next;
    return i;
}

static struct fun_info *fun_info_new(struct unit *u, struct core_fun *f, struct fun_info *parent)
{
    struct fun_info *i = ARENA_NEW(u->arena, struct fun_info);
    size_t slot = fun_slot(u, f);

    i->fun = f;
    i->parent = parent;
    i->next = u->funs[slot];
    u->funs[slot] = i;
    return i;
}

static void bind(struct scan *s, core_var v)
{
    s->u->vars[v].owner = s->serial;
}

static void add_free(struct scan *s, struct fun_info *f, core_var v)
{
    for (size_t i = f->n_free; i-- > 0;)
        if (f->free[i] == v)
            return;
    f->free = arena_grow(s->u->arena, f->free, f->n_free, &f->cap_free, sizeof *f->free);
    f->free[f->n_free++] = v;
    if (f->n_free > CORE_ARITY_MAX)
        unit_fail(s->u, -ERR_LIMIT, f->fun->span, "a function uses more than %d outer variables",
                  CORE_ARITY_MAX);
}

static void touch(struct scan *s, core_var v)
{
    const struct fun_info *owner = s->of[s->u->vars[v].owner];

    for (struct fun_info *f = s->fun; f != owner && f != NULL && s->u->rc == 0; f = f->parent)
        add_free(s, f, v);
}

static void scan_fun(struct scan *s, struct core_fun *f)
{
    struct fun_info *outer = s->fun;
    uint32_t outer_serial = s->serial;

    s->fun = fun_info_new(s->u, f, outer);
    s->of = arena_grow(s->u->arena, s->of, s->n_of, &s->cap_of, sizeof *s->of);
    s->serial = (uint32_t)s->n_of;
    s->of[s->n_of++] = s->fun;
    for (uint32_t i = 0; i < f->arity; i++)
        bind(s, f->params[i]);
    scan_expr(s, f->body);
    s->fun = outer;
    s->serial = outer_serial;
}

static void scan_pat(struct scan *s, const struct core_pat *p)
{
    while (p->kind == CP_CONS || p->kind == CP_ALIAS) {
        if (p->kind == CP_ALIAS) {
            bind(s, p->var);
            p = p->sub;
        } else {
            scan_pat(s, p->elements[0]);
            p = p->elements[1];
        }
    }
    if (p->kind == CP_VAR)
        bind(s, p->var);
    if (p->kind == CP_PIN) {
        s->u->vars[p->var].uses++;
        touch(s, p->var);
    }
    for (uint32_t i = 0; i < p->n; i++) {
        if (p->kind == CP_TUPLE) {
            scan_pat(s, p->elements[i]);
        } else if (p->kind == CP_MAP) {
            scan_expr(s, p->pairs[i].key);
            scan_pat(s, p->pairs[i].pat);
        } else if (p->kind == CP_BITS) {
            if (p->segments[i].size != NULL)
                scan_expr(s, p->segments[i].size);
            if (p->segments[i].pat != NULL)
                scan_pat(s, p->segments[i].pat);
        }
    }
}

static void scan_clauses(struct scan *s, const struct core_expr *e)
{
    for (uint32_t i = 0; i < e->n; i++) {
        const struct core_clause *c = e->clauses[i];

        for (uint32_t j = 0; j < c->n; j++)
            scan_pat(s, c->pats[j]);
        if (c->guard != NULL)
            scan_expr(s, c->guard);
        scan_expr(s, c->body);
    }
}

static void scan_callee(struct scan *s, const struct core_expr *e)
{
    if (e->callee->kind == CORE_VAR) {
        struct var_info *v = &s->u->vars[e->callee->var];

        if (v->known != NULL && v->known->arity == e->n) {
            v->calls++;
            touch(s, e->callee->var);
            return;
        }
    }
    scan_expr(s, e->callee);
}

/* e but for the body behind it. */
static void scan_head(struct scan *s, const struct core_expr *e)
{
    switch (e->kind) {
    case CORE_LIT:
    case CORE_LOCAL:
        break;
    case CORE_VAR:
        s->u->vars[e->var].uses++;
        touch(s, e->var);
        break;
    case CORE_FUN:
        scan_fun(s, e->fun);
        break;
    case CORE_LET:
        if (e->value->kind == CORE_FUN) {
            s->u->vars[e->bound].known = e->value->fun;
            e->value->fun->var = e->bound;
        }
        scan_expr(s, e->value);
        bind(s, e->bound);
        break;
    case CORE_SEQ:
        scan_expr(s, e->value);
        break;
    case CORE_LETREC:
        for (uint32_t i = 0; i < e->n; i++) {
            bind(s, e->funs[i]->var);
            s->u->vars[e->funs[i]->var].known = e->funs[i];
        }
        for (uint32_t i = 0; i < e->n; i++)
            scan_fun(s, e->funs[i]);
        break;
    case CORE_JOIN:
        scan_expr(s, e->value);
        for (uint32_t i = 0; i < e->join->n; i++)
            bind(s, e->join->params[i]);
        break;
    case CORE_CASE:
        for (uint32_t i = 0; i < e->n_values; i++)
            scan_expr(s, e->values[i]);
        scan_clauses(s, e);
        break;
    case CORE_RECEIVE:
        if (e->timeout != NULL)
            scan_expr(s, e->timeout);
        scan_clauses(s, e);
        if (e->after != NULL)
            scan_expr(s, e->after);
        break;
    case CORE_TRY:
        scan_expr(s, e->try->protected);
        bind(s, e->try->value);
        scan_expr(s, e->try->body);
        bind(s, e->try->class);
        bind(s, e->try->reason);
        bind(s, e->try->trace);
        scan_expr(s, e->try->handler);
        break;
    case CORE_MAP:
        if (e->base != NULL)
            scan_expr(s, e->base);
        for (uint32_t i = 0; i < e->n; i++) {
            scan_expr(s, e->pairs[i].key);
            scan_expr(s, e->pairs[i].value);
        }
        break;
    case CORE_BITS:
        for (uint32_t i = 0; i < e->n; i++) {
            scan_expr(s, e->segments[i].value);
            if (e->segments[i].size != NULL)
                scan_expr(s, e->segments[i].size);
        }
        break;
    case CORE_REMOTE:
        scan_expr(s, e->module);
        scan_expr(s, e->function);
        break;
    case CORE_APPLY:
        scan_callee(s, e);
        break;
    case CORE_TUPLE:
    case CORE_CONS:
    case CORE_CALL:
    case CORE_AND:
    case CORE_OR:
    case CORE_PRIM:
    case CORE_JUMP:
        break;
    }
}

static bool has_args(enum core_kind kind)
{
    return kind == CORE_TUPLE || kind == CORE_CALL || kind == CORE_REMOTE || kind == CORE_APPLY
           || kind == CORE_AND || kind == CORE_OR || kind == CORE_PRIM || kind == CORE_JUMP;
}

static void scan_expr(struct scan *s, const struct core_expr *e)
{
    for (;;) {
        scan_head(s, e);
        if (has_args(e->kind))
            for (uint32_t i = 0; i < e->n; i++)
                scan_expr(s, e->args[i]);
        if (e->kind == CORE_CONS) {
            scan_expr(s, e->args[0]);
            e = e->args[1];
        } else if (e->kind == CORE_LET || e->kind == CORE_SEQ || e->kind == CORE_LETREC
                   || e->kind == CORE_JOIN) {
            e = e->body;
        } else {
            return;
        }
    }
}

void free_scan(struct unit *u)
{
    struct scan s = { .u = u };

    u->vars = ARENA_NEW_ARRAY(u->arena, struct var_info, u->m->n_vars);
    u->cap_funs = 1024;
    u->funs = ARENA_NEW_ARRAY(u->arena, struct fun_info *, u->cap_funs);
    s.of = arena_grow(u->arena, s.of, 0, &s.cap_of, sizeof *s.of);
    s.of[s.n_of++] = NULL;
    for (size_t i = 0; i < u->m->n_functions; i++)
        scan_fun(&s, u->m->functions[i].fun);
}
