/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core.c - building Core
 */
#include "lang/core.h"

#include "base/assert.h"

#include <string.h>

static void *dup_array(struct core_module *m, const void *p, size_t n, size_t bytes)
{
    return n == 0 ? NULL : memcpy(arena_array(m->arena, n, bytes), p, n * bytes);
}

static char *dup_text(struct core_module *m, const char *s)
{
    return s == NULL ? NULL : arena_strndup(m->arena, s, strlen(s));
}

/* --- modules ---------------------------------------------------------------------------------- */

struct core_module *core_module_new(struct arena *arena, const char *name, size_t len)
{
    struct core_module *m = ARENA_NEW(arena, struct core_module);

    m->arena = arena;
    m->cap_atoms = 64;
    m->atoms = ARENA_NEW_ARRAY(arena, struct core_atom *, m->cap_atoms);
    m->language = "text";
    m->nil = ARENA_NEW(arena, struct core_const);
    ((struct core_const *)m->nil)->kind = CC_NIL;
    m->name = core_atom(m, name, len);
    m->true_ = cc_atom(m, "true");
    m->false_ = cc_atom(m, "false");
    core_var_new(m, NULL);
    return m;
}

uint32_t core_add_file(struct core_module *m, const char *name)
{
    for (size_t i = 0; i < m->n_files; i++)
        if (strcmp(m->files[i], name) == 0)
            return (uint32_t)i;
    m->files = arena_grow(m->arena, m->files, m->n_files, &m->cap_files, sizeof *m->files);
    m->files[m->n_files] = dup_text(m, name);
    return (uint32_t)m->n_files++;
}

core_var core_var_new(struct core_module *m, const char *name)
{
    m->var_names = arena_grow(m->arena, m->var_names, m->n_vars, &m->cap_vars,
                              sizeof *m->var_names);
    m->var_names[m->n_vars] = dup_text(m, name);
    return (core_var)m->n_vars++;
}

void core_add_attribute(struct core_module *m, const char *key, const struct core_const *value)
{
    m->attributes = arena_grow(m->arena, m->attributes, m->n_attributes, &m->cap_attributes,
                               sizeof *m->attributes);
    m->attributes[m->n_attributes++] =
        (struct core_attribute){ core_atom(m, key, strlen(key)), value };
}

struct core_function *core_add_function(struct core_module *m, const char *name, size_t len,
                                        struct core_fun *fun, bool exported)
{
    struct core_function *f;

    m->functions = arena_grow(m->arena, m->functions, m->n_functions, &m->cap_functions,
                              sizeof *m->functions);
    f = &m->functions[m->n_functions++];
    *f = (struct core_function){ .name = core_atom(m, name, len), .fun = fun,
                                 .exported = exported };
    return f;
}

/* --- constants -------------------------------------------------------------------------------- */

static void grow_atoms(struct core_module *m)
{
    size_t cap = m->cap_atoms * 4;
    struct core_atom **bigger = ARENA_NEW_ARRAY(m->arena, struct core_atom *, cap);

    for (size_t i = 0; i < m->cap_atoms; i++) {
        struct core_atom *a = m->atoms[i];

        while (a != NULL) {
            struct core_atom *next = a->next;
            struct core_atom **slot = &bigger[bytes_hash(a->name, a->len) % cap];

            a->next = *slot;
            *slot = a;
            a = next;
        }
    }
    m->atoms = bigger;
    m->cap_atoms = cap;
}

const struct core_atom *core_atom(struct core_module *m, const char *name, size_t len)
{
    uint32_t h = bytes_hash(name, len);
    struct core_atom *a;

    for (a = m->atoms[h % m->cap_atoms]; a != NULL; a = a->next)
        if (a->len == len && memcmp(a->name, name, len) == 0)
            return a;
    if (m->n_atoms++ >= m->cap_atoms)
        grow_atoms(m);
    a = ARENA_NEW(m->arena, struct core_atom);
    a->name = arena_strndup(m->arena, name, len);
    a->len = len;
    a->next = m->atoms[h % m->cap_atoms];
    m->atoms[h % m->cap_atoms] = a;
    return a;
}

static struct core_const *new_const(struct core_module *m, enum core_const_kind kind)
{
    struct core_const *c = ARENA_NEW(m->arena, struct core_const);

    c->kind = kind;
    return c;
}

const struct core_const *cc_int(struct core_module *m, int64_t i)
{
    struct core_const *c = new_const(m, CC_INT);

    c->i = i;
    return c;
}

const struct core_const *cc_big(struct core_module *m, bool negative, const void *magnitude,
                                size_t len)
{
    const uint8_t *p = magnitude;
    struct core_const *c;
    uint64_t v = 0;

    while (len > 0 && p[len - 1] == 0)
        len--;
    if (len <= 8) {
        for (size_t i = 0; i < len; i++)
            v |= (uint64_t)p[i] << (8 * i);
        if (v <= INT64_MAX)
            return cc_int(m, negative ? -(int64_t)v : (int64_t)v);
        if (negative && v == (uint64_t)INT64_MAX + 1)
            return cc_int(m, INT64_MIN);
    }
    c = new_const(m, CC_BIG);
    c->negative = negative;
    c->n = (uint32_t)len;
    c->bytes = arena_dup(m->arena, p, len);
    return c;
}

const struct core_const *cc_float(struct core_module *m, double real)
{
    struct core_const *c = new_const(m, CC_FLOAT);

    c->real = real;
    return c;
}

const struct core_const *cc_atom(struct core_module *m, const char *name)
{
    return cc_atom_n(m, name, strlen(name));
}

const struct core_const *cc_atom_n(struct core_module *m, const char *name, size_t len)
{
    struct core_const *c = new_const(m, CC_ATOM);

    c->atom = core_atom(m, name, len);
    return c;
}

const struct core_const *cc_binary(struct core_module *m, const void *data, size_t len)
{
    return cc_bits(m, data, len * 8);
}

const struct core_const *cc_bits(struct core_module *m, const void *data, size_t bits)
{
    struct core_const *c = new_const(m, CC_BITS);

    c->n = (uint32_t)((bits + 7) / 8);
    c->last_bits = (uint8_t)(bits % 8 == 0 ? 8 : bits % 8);
    c->bytes = arena_dup(m->arena, data, c->n);
    return c;
}

const struct core_const *cc_nil(struct core_module *m)
{
    return m->nil;
}

static uint32_t max_depth(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

const struct core_const *cc_cons(struct core_module *m, const struct core_const *head,
                                 const struct core_const *tail)
{
    struct core_const *c = new_const(m, CC_CONS);

    c->head = head;
    c->tail = tail;
    c->depth = max_depth(head->depth + 1, tail->depth);
    m->too_deep |= c->depth > CORE_DEPTH_MAX;
    return c;
}

const struct core_const *cc_list(struct core_module *m, const struct core_const *const *elements,
                                 size_t n, const struct core_const *tail)
{
    const struct core_const *c = tail != NULL ? tail : m->nil;

    while (n > 0)
        c = cc_cons(m, elements[--n], c);
    return c;
}

static struct core_const *new_elements(struct core_module *m, enum core_const_kind kind,
                                       const struct core_const *const *elements, size_t n)
{
    struct core_const *c = new_const(m, kind);

    for (size_t i = 0; i < n; i++)
        c->depth = max_depth(c->depth, elements[i]->depth + 1);
    m->too_deep |= c->depth > CORE_DEPTH_MAX;
    c->elements = dup_array(m, elements, n, sizeof *elements);
    c->n = (uint32_t)n;
    return c;
}

const struct core_const *cc_tuple(struct core_module *m, const struct core_const *const *elements,
                                  size_t n)
{
    return new_elements(m, CC_TUPLE, elements, n);
}

const struct core_const *cc_map(struct core_module *m, const struct core_const *const *pairs,
                                size_t n)
{
    const struct core_const **kept = ARENA_NEW_ARRAY(m->arena, const struct core_const *, 2 * n);
    struct core_const *c;
    size_t k = 0;

    for (size_t i = 0; i < n; i++) {
        size_t j = 0;

        while (j < k && !cc_equal(kept[2 * j], pairs[2 * i]))
            j++;
        kept[2 * j] = pairs[2 * i];
        kept[2 * j + 1] = pairs[2 * i + 1];
        k += j == k;
    }
    c = new_elements(m, CC_MAP, kept, 2 * k);
    c->n = (uint32_t)k;
    return c;
}

const struct core_const *cc_external(struct core_module *m, const struct core_atom *module,
                                     const struct core_atom *function, unsigned arity)
{
    struct core_const *c = new_const(m, CC_EXTERNAL);

    c->module = module;
    c->function = function;
    c->n = arity;
    return c;
}

static bool map_equal(const struct core_const *a, const struct core_const *b)
{
    for (uint32_t i = 0; i < a->n; i++) {
        uint32_t j = 0;

        while (j < b->n && !cc_equal(a->elements[2 * i], b->elements[2 * j]))
            j++;
        if (j == b->n || !cc_equal(a->elements[2 * i + 1], b->elements[2 * j + 1]))
            return false;
    }
    return true;
}

bool cc_equal(const struct core_const *a, const struct core_const *b)
{
    while (a != b && a->kind == CC_CONS && b->kind == CC_CONS) {
        if (!cc_equal(a->head, b->head))
            return false;
        a = a->tail;
        b = b->tail;
    }
    if (a == b)
        return true;
    if (a->kind != b->kind || a->n != b->n)
        return false;
    switch (a->kind) {
    case CC_INT:
        return a->i == b->i;
    case CC_BIG:
        return a->negative == b->negative && memcmp(a->bytes, b->bytes, a->n) == 0;
    case CC_FLOAT:
        return memcmp(&a->real, &b->real, sizeof a->real) == 0;
    case CC_ATOM:
        return a->atom == b->atom;
    case CC_BITS:
        return a->last_bits == b->last_bits && memcmp(a->bytes, b->bytes, a->n) == 0;
    case CC_TUPLE:
        for (uint32_t i = 0; i < a->n; i++)
            if (!cc_equal(a->elements[i], b->elements[i]))
                return false;
        return true;
    case CC_MAP:
        return map_equal(a, b);
    case CC_EXTERNAL:
        return a->module == b->module && a->function == b->function;
    case CC_NIL:
    case CC_CONS:
        break;
    }
    return a->kind == CC_NIL;
}

bool cc_is_atom(const struct core_const *c, const char *name)
{
    return c->kind == CC_ATOM && strcmp(c->atom->name, name) == 0;
}

/* --- expressions ------------------------------------------------------------------------------ */

static struct core_expr *new_expr(struct core_module *m, enum core_kind kind, struct core_span at)
{
    struct core_expr *e = ARENA_NEW(m->arena, struct core_expr);

    e->kind = kind;
    e->span = at;
    return e;
}

/* e has child one level further down. */
static void deepen(struct core_module *m, struct core_expr *e, uint32_t child)
{
    if (e->depth <= child)
        e->depth = child + 1;
    m->too_deep |= e->depth > CORE_DEPTH_MAX;
}

/* e is followed by body: no level. */
static void follow(struct core_expr *e, const struct core_expr *body)
{
    e->depth = max_depth(e->depth, body->depth);
}

static struct core_expr *with_args(struct core_module *m, enum core_kind kind, struct core_span at,
                                   struct core_expr *const *args, size_t n)
{
    struct core_expr *e = new_expr(m, kind, at);

    e->args = dup_array(m, args, n, sizeof *args);
    e->n = (uint32_t)n;
    for (size_t i = 0; i < n; i++)
        deepen(m, e, args[i]->depth);
    return e;
}

struct core_expr *core_lit(struct core_module *m, struct core_span at, const struct core_const *c)
{
    struct core_expr *e = new_expr(m, CORE_LIT, at);

    e->lit = c;
    return e;
}

struct core_expr *core_use(struct core_module *m, struct core_span at, core_var var)
{
    struct core_expr *e = new_expr(m, CORE_VAR, at);

    e->var = var;
    return e;
}

struct core_expr *core_tuple(struct core_module *m, struct core_span at,
                             struct core_expr *const *elements, size_t n)
{
    const struct core_const **lits;
    size_t i = 0;

    while (i < n && elements[i]->kind == CORE_LIT)
        i++;
    if (i < n)
        return with_args(m, CORE_TUPLE, at, elements, n);
    lits = ARENA_NEW_ARRAY(m->arena, const struct core_const *, n);
    for (i = 0; i < n; i++)
        lits[i] = elements[i]->lit;
    return core_lit(m, at, cc_tuple(m, lits, n));
}

struct core_expr *core_cons(struct core_module *m, struct core_span at, struct core_expr *head,
                            struct core_expr *tail)
{
    struct core_expr *args[] = { head, tail }, *e;

    if (head->kind == CORE_LIT && tail->kind == CORE_LIT)
        return core_lit(m, at, cc_cons(m, head->lit, tail->lit));
    e = with_args(m, CORE_CONS, at, args, 1);
    e->args = dup_array(m, args, 2, sizeof *args);
    e->n = 2;
    follow(e, tail);
    return e;
}

struct core_expr *core_list(struct core_module *m, struct core_span at,
                            struct core_expr *const *elements, size_t n, struct core_expr *tail)
{
    struct core_expr *e = tail != NULL ? tail : core_lit(m, at, m->nil);

    while (n > 0) {
        n--;
        e = core_cons(m, at, elements[n], e);
    }
    return e;
}

struct core_expr *core_map(struct core_module *m, struct core_span at, struct core_expr *base,
                           const struct core_pair *pairs, size_t n)
{
    struct core_expr *e = new_expr(m, CORE_MAP, at);

    e->base = base;
    e->pairs = dup_array(m, pairs, n, sizeof *pairs);
    e->n = (uint32_t)n;
    if (base != NULL)
        deepen(m, e, base->depth);
    for (size_t i = 0; i < n; i++) {
        deepen(m, e, pairs[i].key->depth);
        deepen(m, e, pairs[i].value->depth);
    }
    return e;
}

struct core_expr *core_bits(struct core_module *m, struct core_span at,
                            const struct core_segment *segments, size_t n)
{
    struct core_expr *e = new_expr(m, CORE_BITS, at);

    e->segments = dup_array(m, segments, n, sizeof *segments);
    e->n = (uint32_t)n;
    for (size_t i = 0; i < n; i++) {
        deepen(m, e, segments[i].value->depth);
        if (segments[i].size != NULL)
            deepen(m, e, segments[i].size->depth);
    }
    return e;
}

static struct core_expr *binding(struct core_module *m, enum core_kind kind, struct core_span at,
                                 struct core_expr *value, struct core_expr *body)
{
    struct core_expr *e = new_expr(m, kind, at);

    e->value = value;
    e->body = body;
    if (value != NULL)
        deepen(m, e, value->depth);
    follow(e, body);
    return e;
}

struct core_expr *core_let(struct core_module *m, struct core_span at, core_var var,
                           struct core_expr *value, struct core_expr *body)
{
    struct core_expr *e = binding(m, CORE_LET, at, value, body);

    e->bound = var;
    return e;
}

struct core_expr *core_seq(struct core_module *m, struct core_span at, struct core_expr *value,
                           struct core_expr *body)
{
    return binding(m, CORE_SEQ, at, value, body);
}

struct core_fun *core_fun_new(struct core_module *m, struct core_span at, const core_var *params,
                              size_t arity, struct core_expr *body)
{
    struct core_fun *f = ARENA_NEW(m->arena, struct core_fun);

    f->span = at;
    f->params = dup_array(m, params, arity, sizeof *params);
    f->arity = (uint32_t)arity;
    f->body = body;
    return f;
}

struct core_expr *core_fun(struct core_module *m, struct core_fun *fun)
{
    struct core_expr *e = new_expr(m, CORE_FUN, fun->span);

    e->fun = fun;
    deepen(m, e, fun->body->depth);
    return e;
}

struct core_expr *core_letrec(struct core_module *m, struct core_span at,
                              struct core_fun *const *funs, size_t n, struct core_expr *body)
{
    struct core_expr *e = binding(m, CORE_LETREC, at, NULL, body);

    e->funs = dup_array(m, funs, n, sizeof *funs);
    e->n = (uint32_t)n;
    for (size_t i = 0; i < n; i++)
        deepen(m, e, funs[i]->body->depth);
    return e;
}

struct core_label *core_label_new(struct core_module *m, const core_var *params, size_t n)
{
    struct core_label *l = ARENA_NEW(m->arena, struct core_label);

    l->n = (uint32_t)n;
    l->params = dup_array(m, params, n, sizeof *params);
    l->number = ++m->n_labels;
    return l;
}

struct core_expr *core_join(struct core_module *m, struct core_span at, struct core_label *label,
                            struct core_expr *first, struct core_expr *then)
{
    struct core_expr *e = binding(m, CORE_JOIN, at, first, then);

    e->join = label;
    return e;
}

struct core_expr *core_jump(struct core_module *m, struct core_span at, struct core_label *label,
                            struct core_expr *const *args, size_t n)
{
    struct core_expr *e = with_args(m, CORE_JUMP, at, args, n);

    e->label = label;
    return e;
}

struct core_clause *core_clause(struct core_module *m, struct core_span at,
                                struct core_pat *const *pats, size_t n, struct core_expr *guard,
                                struct core_expr *body)
{
    struct core_clause *c = ARENA_NEW(m->arena, struct core_clause);

    c->pats = dup_array(m, pats, n, sizeof *pats);
    c->n = (uint32_t)n;
    c->guard = guard;
    c->body = body;
    c->span = at;
    return c;
}

static void add_clauses(struct core_module *m, struct core_expr *e,
                        struct core_clause *const *clauses, size_t n)
{
    e->clauses = dup_array(m, clauses, n, sizeof *clauses);
    e->n = (uint32_t)n;
    for (size_t i = 0; i < n; i++) {
        const struct core_clause *c = clauses[i];

        for (uint32_t j = 0; j < c->n; j++)
            deepen(m, e, c->pats[j]->depth);
        if (c->guard != NULL)
            deepen(m, e, c->guard->depth);
        deepen(m, e, c->body->depth);
    }
}

struct core_expr *core_case(struct core_module *m, struct core_span at,
                            struct core_expr *const *values, size_t n_values,
                            struct core_clause *const *clauses, size_t n)
{
    struct core_expr *e = new_expr(m, CORE_CASE, at);

    e->values = dup_array(m, values, n_values, sizeof *values);
    e->n_values = (uint32_t)n_values;
    for (size_t i = 0; i < n_values; i++)
        deepen(m, e, values[i]->depth);
    add_clauses(m, e, clauses, n);
    return e;
}

struct core_expr *core_receive(struct core_module *m, struct core_span at,
                               struct core_clause *const *clauses, size_t n,
                               struct core_expr *timeout, struct core_expr *after)
{
    struct core_expr *e = new_expr(m, CORE_RECEIVE, at);

    e->timeout = timeout;
    e->after = after;
    if (timeout != NULL) {
        deepen(m, e, timeout->depth);
        deepen(m, e, after->depth);
    }
    add_clauses(m, e, clauses, n);
    return e;
}

struct core_expr *core_try(struct core_module *m, struct core_span at,
                           struct core_expr *protected, core_var value, struct core_expr *body,
                           core_var class, core_var reason, core_var trace,
                           struct core_expr *handler)
{
    struct core_expr *e = new_expr(m, CORE_TRY, at);

    e->try = ARENA_NEW(m->arena, struct core_try);
    *e->try = (struct core_try){ protected, body, handler, value, class, reason, trace };
    deepen(m, e, protected->depth);
    deepen(m, e, body->depth);
    deepen(m, e, handler->depth);
    return e;
}

struct core_expr *core_after(struct core_module *m, struct core_span at,
                             struct core_expr *protected, struct core_expr *cleanup)
{
    core_var value = core_var_new(m, NULL), class = core_var_new(m, NULL);
    core_var reason = core_var_new(m, NULL), trace = core_var_new(m, NULL);
    struct core_fun *f = core_fun_new(m, at, NULL, 0, cleanup);
    struct core_expr *again[] = { core_use(m, at, class), core_use(m, at, reason),
                                  core_use(m, at, trace) };
    struct core_expr *ok, *bad;

    f->var = core_var_new(m, NULL);
    f->name = "after";
    ok = core_seq(m, at, core_apply(m, at, core_use(m, at, f->var), NULL, 0),
                  core_use(m, at, value));
    bad = core_seq(m, at, core_apply(m, at, core_use(m, at, f->var), NULL, 0),
                   core_prim(m, at, PRIM_RERAISE, again, 3));
    return core_letrec(m, at, &f, 1,
                       core_try(m, at, protected, value, ok, class, reason, trace, bad));
}

struct core_expr *core_call(struct core_module *m, struct core_span at,
                            const struct core_atom *name, struct core_expr *const *args, size_t n)
{
    struct core_expr *e = with_args(m, CORE_CALL, at, args, n);

    e->name = name;
    return e;
}

struct core_expr *core_local(struct core_module *m, struct core_span at,
                             const struct core_atom *name, unsigned arity)
{
    struct core_expr *e = new_expr(m, CORE_LOCAL, at);

    e->name = name;
    e->n = arity;
    return e;
}

struct core_expr *core_remote(struct core_module *m, struct core_span at,
                              struct core_expr *module, struct core_expr *function,
                              struct core_expr *const *args, size_t n)
{
    struct core_expr *e = with_args(m, CORE_REMOTE, at, args, n);

    e->module = module;
    e->function = function;
    deepen(m, e, module->depth);
    deepen(m, e, function->depth);
    return e;
}

struct core_expr *core_remote_named(struct core_module *m, struct core_span at, const char *module,
                                    const char *function, struct core_expr *const *args, size_t n)
{
    return core_remote(m, at, core_lit(m, at, cc_atom(m, module)),
                       core_lit(m, at, cc_atom(m, function)), args, n);
}

struct core_expr *core_bif(struct core_module *m, struct core_span at, const char *function,
                           struct core_expr *const *args, size_t n)
{
    return core_remote_named(m, at, "erlang", function, args, n);
}

struct core_expr *core_apply(struct core_module *m, struct core_span at, struct core_expr *callee,
                             struct core_expr *const *args, size_t n)
{
    struct core_expr *e = with_args(m, CORE_APPLY, at, args, n);

    e->callee = callee;
    deepen(m, e, callee->depth);
    return e;
}

struct core_expr *core_and(struct core_module *m, struct core_span at, struct core_expr *a,
                           struct core_expr *b)
{
    return with_args(m, CORE_AND, at, (struct core_expr *[]){ a, b }, 2);
}

struct core_expr *core_or(struct core_module *m, struct core_span at, struct core_expr *a,
                          struct core_expr *b)
{
    return with_args(m, CORE_OR, at, (struct core_expr *[]){ a, b }, 2);
}

struct core_expr *core_prim(struct core_module *m, struct core_span at, enum core_prim prim,
                            struct core_expr *const *args, size_t n)
{
    struct core_expr *e = with_args(m, CORE_PRIM, at, args, n);

    e->prim = prim;
    return e;
}

/* --- patterns --------------------------------------------------------------------------------- */

static struct core_pat *new_pat(struct core_module *m, enum core_pat_kind kind,
                                struct core_span at)
{
    struct core_pat *p = ARENA_NEW(m->arena, struct core_pat);

    p->kind = kind;
    p->span = at;
    return p;
}

static void pat_deepen(struct core_module *m, struct core_pat *p, uint32_t child)
{
    if (p->depth <= child)
        p->depth = child + 1;
    m->too_deep |= p->depth > CORE_DEPTH_MAX;
}

struct core_pat *cp_any(struct core_module *m, struct core_span at)
{
    return new_pat(m, CP_ANY, at);
}

struct core_pat *cp_var(struct core_module *m, struct core_span at, core_var var)
{
    struct core_pat *p = new_pat(m, CP_VAR, at);

    p->var = var;
    return p;
}

struct core_pat *cp_alias(struct core_module *m, struct core_span at, core_var var,
                          struct core_pat *sub)
{
    struct core_pat *p = new_pat(m, CP_ALIAS, at);

    p->var = var;
    p->sub = sub;
    pat_deepen(m, p, sub->depth);
    return p;
}

struct core_pat *cp_pin(struct core_module *m, struct core_span at, core_var var)
{
    struct core_pat *p = new_pat(m, CP_PIN, at);

    p->var = var;
    return p;
}

struct core_pat *cp_lit(struct core_module *m, struct core_span at, const struct core_const *lit)
{
    struct core_pat *p = new_pat(m, CP_LIT, at);

    p->lit = lit;
    return p;
}

struct core_pat *cp_tuple(struct core_module *m, struct core_span at,
                          struct core_pat *const *elements, size_t n)
{
    struct core_pat *p = new_pat(m, CP_TUPLE, at);

    p->elements = dup_array(m, elements, n, sizeof *elements);
    p->n = (uint32_t)n;
    for (size_t i = 0; i < n; i++)
        pat_deepen(m, p, elements[i]->depth);
    return p;
}

struct core_pat *cp_cons(struct core_module *m, struct core_span at, struct core_pat *head,
                         struct core_pat *tail)
{
    struct core_pat *both[] = { head, tail }, *p = new_pat(m, CP_CONS, at);

    p->elements = dup_array(m, both, 2, sizeof *both);
    p->n = 2;
    pat_deepen(m, p, head->depth);
    p->depth = max_depth(p->depth, tail->depth);
    return p;
}

struct core_pat *cp_list(struct core_module *m, struct core_span at,
                         struct core_pat *const *elements, size_t n, struct core_pat *tail)
{
    struct core_pat *p = tail != NULL ? tail : cp_lit(m, at, m->nil);

    while (n > 0) {
        n--;
        p = cp_cons(m, at, elements[n], p);
    }
    return p;
}

struct core_pat *cp_map(struct core_module *m, struct core_span at,
                        const struct core_map_pat *pairs, size_t n)
{
    struct core_pat *p = new_pat(m, CP_MAP, at);

    p->pairs = dup_array(m, pairs, n, sizeof *pairs);
    p->n = (uint32_t)n;
    for (size_t i = 0; i < n; i++)
        pat_deepen(m, p, pairs[i].pat->depth);
    return p;
}

struct core_pat *cp_bits(struct core_module *m, struct core_span at,
                         const struct core_segment *segments, size_t n)
{
    struct core_pat *p = new_pat(m, CP_BITS, at);

    p->segments = dup_array(m, segments, n, sizeof *segments);
    p->n = (uint32_t)n;
    return p;
}
