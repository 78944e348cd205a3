/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lower_pattern.c - patterns, guards and tests of types
 */
#include "lang/rata/lower_priv.h"

#include "base/assert.h"

#include <string.h>

/* --- patterns -------------------------------------------------------------------------------- */

core_var lower_bind(struct lower *l, struct binding *b)
{
    if (b->var == 0)
        b->var = core_var_new(l->m, b->name->text);
    return b->var;
}

static struct core_pat *pair_pattern(struct lower *l, struct node *pair)
{
    struct core_span at = lower_span(l, pair->span);
    struct core_pat *parts[2];

    parts[0] = cp_lit(l->m, at, cc_atom_n(l->m, pair->a->text, pair->a->text_len));
    parts[1] = lower_pattern(l, pair->b);
    return cp_tuple(l->m, at, parts, 2);
}

/* Elements of a vector; trailing keywords are pairs among them. */
static struct core_pat *pattern_list(struct lower *l, struct core_span at,
                                     const struct node_list *list, struct core_pat *tail)
{
    if (tail == NULL)
        tail = cp_lit(l->m, at, cc_nil(l->m));
    for (size_t i = list->n; i-- > 0;) {
        struct node *n = list->at[i];

        if (n->kind != N_KEYWORDS) {
            tail = cp_cons(l->m, at, lower_pattern(l, n), tail);
            continue;
        }
        for (size_t j = n->list.n; j-- > 0;)
            tail = cp_cons(l->m, at, pair_pattern(l, n->list.at[j]), tail);
    }
    return tail;
}

static struct core_pat *tuple_pattern(struct lower *l, struct core_span at, struct node *n)
{
    struct core_pat **parts = ARENA_NEW_ARRAY(l->pr->arena, struct core_pat *, n->list.n + 1);

    for (size_t i = 0; i < n->list.n; i++) {
        struct node *kid = n->list.at[i];

        if (kid->kind == N_KEYWORDS)
            parts[i] = pattern_list(l, at, &(struct node_list){ &kid, 1, 1 }, NULL);
        else
            parts[i] = lower_pattern(l, kid);
    }
    return cp_tuple(l->m, at, parts, n->list.n);
}

static struct core_pat *map_pattern(struct lower *l, struct core_span at, struct node *n)
{
    struct core_map_pat *pairs = ARENA_NEW_ARRAY(l->pr->arena, struct core_map_pat, n->list.n + 1);

    for (size_t i = 0; i < n->list.n; i++) {
        struct node *key = n->list.at[i]->a;

        pairs[i].key = key->kind == N_PIN ? core_use(l->m, at, key->bound->var) : lower(l, key);
        pairs[i].pat = lower_pattern(l, n->list.at[i]->b);
    }
    return cp_map(l->m, at, pairs, n->list.n);
}

/* "a" <> "b" <> rest: the bytes of the literals, then all that is left. */
static struct core_pat *string_pattern(struct lower *l, struct core_span at, struct node *n)
{
    struct core_segment segments[2] = { { .type = CB_STRING }, { .type = CB_BINARY, .unit = 8 } };
    struct buf text = { 0 };
    struct core_pat *pat;
    size_t count = 1;

    while (n->kind == N_BINARY) {
        buf_add(&text, n->a->text, n->a->text_len);
        n = n->b;
    }
    if (n->kind == N_STRING) {
        buf_add(&text, n->text, n->text_len);
        pat = cp_lit(l->m, at, cc_binary(l->m, text.data, text.len));
        buf_fini(&text);
        return pat;
    }
    segments[0].value = core_lit(l->m, at, cc_binary(l->m, text.data, text.len));
    segments[count++].pat = lower_pattern(l, n);
    /* An empty prefix matches every string. */
    pat = text.len > 0 ? cp_bits(l->m, at, segments, count) : cp_bits(l->m, at, segments + 1, 1);
    buf_fini(&text);
    return pat;
}

/* Two patterns for one value, of which one is a name: the resolver saw to that. */
static struct core_pat *both(struct lower *l, struct core_span at, struct node *n)
{
    struct node *a = n->a, *b = n->b;

    while (a->kind == N_PAREN)
        a = a->a;
    while (b->kind == N_PAREN)
        b = b->a;
    if (a->kind != N_NAME) {
        struct node *swap = a;

        a = b;
        b = swap;
    }
    if (a->kind != N_NAME || a->bound == NULL)
        return lower_pattern(l, b);
    return cp_alias(l->m, at, lower_bind(l, a->bound), lower_pattern(l, b));
}

struct core_pat *lower_pattern(struct lower *l, struct node *n)
{
    struct core_span at = lower_span(l, n->span);

    switch (n->kind) {
    case N_NAME:
        return n->bound == NULL ? cp_any(l->m, at) : cp_var(l->m, at, lower_bind(l, n->bound));
    case N_PIN:
        return cp_pin(l->m, at, n->bound->var);
    case N_PAREN:
        return lower_pattern(l, n->a);
    case N_TUPLE:
        return tuple_pattern(l, at, n);
    case N_VECTOR:
        return pattern_list(l, at, &n->list, n->a != NULL ? lower_pattern(l, n->a) : NULL);
    case N_MAP:
        return map_pattern(l, at, n);
    case N_BINARY:
        return string_pattern(l, at, n);
    case N_MATCH:
        return both(l, at, n);
    default: {
        struct core_expr *value = lower(l, n);

        ASSERT(value->kind == CORE_LIT);
        return cp_lit(l->m, at, value->lit);
    }
    }
}

/* --- truth ----------------------------------------------------------------------------------- */

/* A guard: the value is neither nil nor false. */
struct core_expr *lower_truth(struct lower *l, struct core_span at, struct core_expr *value)
{
    struct held h = lower_hold(l, at, value);
    struct core_expr *a = lower_bif2(l, at, "=/=", held_use(l, &h), lower_atom(l, at, "false"));
    struct core_expr *b = lower_bif2(l, at, "=/=", held_use(l, &h), lower_atom(l, at, "nil"));

    return held_let(l, &h, core_and(l->m, at, a, b));
}

static const char *operator_name(enum tok op)
{
    switch (op) {
    case TOK_EQUAL:         return "==";
    case TOK_NOT_EQUAL:     return "/=";
    case TOK_IDENTICAL:     return "=:=";
    case TOK_NOT_IDENTICAL: return "=/=";
    case TOK_LESS:          return "<";
    case TOK_LESS_EQUAL:    return "=<";
    case TOK_GREATER:       return ">";
    case TOK_GREATER_EQUAL: return ">=";
    case TOK_PLUS:          return "+";
    case TOK_MINUS:         return "-";
    case TOK_TIMES:         return "*";
    case TOK_DIVIDE:        return "/";
    default:                UNREACHABLE();
    }
}

static struct core_expr *guard_value(struct lower *l, struct node *n);

static struct core_expr *guard_truth(struct lower *l, struct node *n)
{
    struct core_expr *value = guard_value(l, n);

    return is_boolean(n) ? value : lower_truth(l, lower_span(l, n->span), value);
}

/* x in [a, b]: one comparison per element. */
static struct core_expr *guard_in(struct lower *l, struct core_span at, struct node *n)
{
    struct held x = lower_hold(l, at, guard_value(l, n->a));
    bool negate = n->op == TOK_NOT;
    struct core_expr *all = lower_atom(l, at, negate ? "true" : "false");

    for (size_t i = n->b->list.n; i-- > 0;) {
        struct core_expr *one = lower_bif2(l, at, negate ? "=/=" : "=:=", held_use(l, &x),
                                           guard_value(l, n->b->list.at[i]));

        all = negate ? core_and(l->m, at, one, all) : core_or(l->m, at, one, all);
    }
    return held_let(l, &x, all);
}

/* ((a rem b) + b) rem b has the sign of b. */
static struct core_expr *guard_modulo(struct lower *l, struct core_span at, struct node *n)
{
    struct core_expr *a = guard_value(l, n->a);
    struct held b = lower_hold(l, at, guard_value(l, n->b));
    struct core_expr *sum = lower_bif2(l, at, "+", lower_bif2(l, at, "rem", a, held_use(l, &b)),
                                       held_use(l, &b));

    return held_let(l, &b, lower_bif2(l, at, "rem", sum, held_use(l, &b)));
}

static struct core_expr *guard_call(struct lower *l, struct core_span at, struct node *n)
{
    const struct core_fn *fn = n->callee->core;
    struct core_expr *args[2];

    if (fn->how == CORE_INLINE_TYPE) {
        struct held x = lower_hold(l, at, guard_value(l, n->list.at[0]));
        struct core_expr *yes;

        if (x.simple && x.value->kind == CORE_LIT) {        /* tests want a variable */
            x.simple = false;
            x.var = core_var_new(l->m, NULL);
        }
        yes = lower_type_test(l, at, fn->name + 3, x.var);
        return held_let(l, &x, yes);
    }
    for (size_t i = 0; i < n->list.n; i++)
        args[i] = guard_value(l, n->list.at[i]);
    return core_bif(l->m, at, fn->name, args, n->list.n);
}

static struct core_expr *guard_operator(struct lower *l, struct core_span at, struct node *n)
{
    switch (n->op) {
    case TOK_AND: case TOK_AND_AND: {
        struct core_expr *a = guard_truth(l, n->a);

        return core_and(l->m, at, a, guard_truth(l, n->b));
    }
    case TOK_OR: case TOK_OR_OR: {
        struct core_expr *a = guard_truth(l, n->a);

        return core_or(l->m, at, a, guard_truth(l, n->b));
    }
    case TOK_IN: case TOK_NOT:
        return guard_in(l, at, n);
    case TOK_MODULO:
        return guard_modulo(l, at, n);
    default: {
        struct core_expr *a = guard_value(l, n->a);

        return lower_bif2(l, at, operator_name(n->op), a, guard_value(l, n->b));
    }
    }
}

static struct core_expr *guard_sequence(struct lower *l, struct core_span at, struct node *n)
{
    struct core_expr **parts = ARENA_NEW_ARRAY(l->pr->arena, struct core_expr *, n->list.n + 1);

    for (size_t i = 0; i < n->list.n; i++)
        parts[i] = guard_value(l, n->list.at[i]);
    if (n->kind == N_TUPLE)
        return core_tuple(l->m, at, parts, n->list.n);
    return core_list(l->m, at, parts, n->list.n, n->a != NULL ? guard_value(l, n->a) : NULL);
}

static struct core_expr *guard_value(struct lower *l, struct node *n)
{
    struct core_span at = lower_span(l, n->span);

    switch (n->kind) {
    case N_PAREN:
        return guard_value(l, n->a);
    case N_TUPLE: case N_VECTOR:
        return guard_sequence(l, at, n);
    case N_MEMBER:
        if (n->meaning == MEANS_FIELD)
            return lower_bif2(l, at, "map_get",
                              core_lit(l->m, at, cc_atom_n(l->m, n->text, n->text_len)),
                              guard_value(l, n->a));
        return lower(l, n);
    case N_UNARY:
        if (n->op == TOK_MINUS)
            return n->a->kind == N_INT || n->a->kind == N_FLOAT
                   ? lower(l, n) : lower_bif1(l, at, "-", guard_value(l, n->a));
        return lower_bif1(l, at, "not", guard_truth(l, n->a));
    case N_BINARY:
        return guard_operator(l, at, n);
    case N_CALL:
        return guard_call(l, at, n);
    default:
        return lower(l, n);
    }
}

struct core_expr *lower_when(struct lower *l, struct node *n)
{
    return guard_truth(l, n);
}

/* --- types ----------------------------------------------------------------------------------- */

static struct core_expr *is(struct lower *l, struct core_span at, const char *bif, core_var var)
{
    return lower_bif1(l, at, bif, core_use(l->m, at, var));
}

static struct core_expr *integer(struct lower *l, struct core_span at, int64_t i)
{
    return core_lit(l->m, at, cc_int(l->m, i));
}

/* var is a tuple of that size which begins with the tag. */
static struct core_expr *is_tagged(struct lower *l, struct core_span at, core_var var,
                                   const char *tag, int64_t size)
{
    struct core_expr *of_size =
        lower_bif2(l, at, "=:=", lower_bif1(l, at, "tuple_size", core_use(l->m, at, var)),
                   integer(l, at, size));
    struct core_expr *first = lower_bif2(l, at, "element", integer(l, at, 1),
                                         core_use(l->m, at, var));

    return core_and(l->m, at, is(l, at, "is_tuple", var),
                    core_and(l->m, at, of_size,
                             lower_bif2(l, at, "=:=", first, lower_atom(l, at, tag))));
}

/* A tuple that is no set, range or task. */
static struct core_expr *is_plain_tuple(struct lower *l, struct core_span at, core_var var)
{
    static const struct { const char *tag; int64_t size; } tags[] = {
        { "$set", 2 }, { "$range", 4 }, { "$task", 4 },
    };
    struct core_expr *all = is(l, at, "is_tuple", var);

    for (size_t i = 0; i < ARRAY_LEN(tags); i++)
        all = core_and(l->m, at, all,
                       lower_bif1(l, at, "not", is_tagged(l, at, var, tags[i].tag, tags[i].size)));
    return all;
}

struct core_expr *lower_type_test(struct lower *l, struct core_span at, const char *type,
                                  core_var var)
{
    static const struct { const char *type, *bif; } simple[] = {
        { "int", "is_integer" }, { "integer", "is_integer" }, { "float", "is_float" },
        { "numeric", "is_number" }, { "number", "is_number" }, { "string", "is_binary" },
        { "bool", "is_boolean" }, { "boolean", "is_boolean" }, { "symbol", "is_atom" },
        { "atom", "is_atom" }, { "vector", "is_list" }, { "map", "is_map" },
        { "function", "is_function" }, { "pid", "is_pid" },
    };

    for (size_t i = 0; i < ARRAY_LEN(simple); i++)
        if (strcmp(type, simple[i].type) == 0)
            return is(l, at, simple[i].bif, var);
    if (strcmp(type, "nil") == 0)
        return lower_bif2(l, at, "=:=", core_use(l->m, at, var), lower_atom(l, at, "nil"));
    if (strcmp(type, "posint") == 0)
        return core_and(l->m, at, is(l, at, "is_integer", var),
                        lower_bif2(l, at, ">", core_use(l->m, at, var), integer(l, at, 0)));
    if (strcmp(type, "tuple") == 0 || strcmp(type, "list") == 0)
        return is_plain_tuple(l, at, var);
    return NULL;
}
