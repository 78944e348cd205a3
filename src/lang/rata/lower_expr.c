/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lower_expr.c - values and operators
 */
#include "lang/rata/lower_priv.h"

#include "base/assert.h"

#include <gmp.h>
#include <stdlib.h>
#include <string.h>

/* --- literals -------------------------------------------------------------------------------- */

static const struct core_const *integer(struct lower *l, const struct node *n, bool negative)
{
    mpz_t z;
    size_t count = 0;
    void *bytes;
    const struct core_const *c;

    if (n->text_len <= 15 && n->number <= 16) {
        int64_t i = (int64_t)strtoll(n->text, NULL, (int)n->number);

        return cc_int(l->m, negative ? -i : i);
    }
    mpz_init_set_str(z, n->text, (int)n->number);
    bytes = mpz_export(NULL, &count, -1, 1, 0, 0, z);
    c = cc_big(l->m, negative, bytes, count);
    free(bytes);
    mpz_clear(z);
    return c;
}

static const struct core_const *number(struct lower *l, const struct node *n, bool negative)
{
    if (n->kind == N_INT)
        return integer(l, n, negative);
    return cc_float(l->m, negative ? -strtod(n->text, NULL) : strtod(n->text, NULL));
}

/* Are all of them literals? Then they are one. */
static bool all_literal(struct core_expr *const *e, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (e[i]->kind != CORE_LIT)
            return false;
    return true;
}

/* --- compound values ------------------------------------------------------------------------- */

static struct core_expr *pair(struct lower *l, struct node *n)
{
    struct core_span at = lower_span(l, n->span);
    struct core_expr *parts[2];

    parts[0] = lower(l, n->a);
    parts[1] = lower(l, n->b);
    return core_tuple(l->m, at, parts, 2);
}

static struct core_expr *keywords(struct lower *l, struct core_span at, struct node *n)
{
    struct core_expr **parts = ARENA_NEW_ARRAY(l->pr->arena, struct core_expr *, n->list.n + 1);

    for (size_t i = 0; i < n->list.n; i++)
        parts[i] = pair(l, n->list.at[i]);
    return core_list(l->m, at, parts, n->list.n, NULL);
}

/* Long vectors are built piece by piece, so that no more than a piece is held at a time. */
#define VECTOR_PIECE 256u

static struct core_expr *in_pieces(struct lower *l, struct core_span at, struct core_expr **parts,
                                   size_t n, struct core_expr *tail)
{
    size_t pieces = (n + VECTOR_PIECE - 1) / VECTOR_PIECE;
    core_var *vars = ARENA_NEW_ARRAY(l->pr->arena, core_var, pieces + 1);
    struct core_expr *all;

    if (n <= VECTOR_PIECE || all_literal(parts, n))
        return core_list(l->m, at, parts, n, tail);
    vars[pieces] = core_var_new(l->m, NULL);
    all = core_use(l->m, at, vars[pieces]);
    for (size_t i = pieces; i-- > 0;) {
        vars[i] = core_var_new(l->m, NULL);
        all = lower_bif2(l, at, "++", core_use(l->m, at, vars[i]), all);
    }
    if (tail == NULL)
        tail = core_lit(l->m, at, cc_nil(l->m));
    all = core_let(l->m, at, vars[pieces], tail, all);
    for (size_t i = pieces; i-- > 0;) {
        size_t from = i * VECTOR_PIECE, len = n - from < VECTOR_PIECE ? n - from : VECTOR_PIECE;

        all = core_let(l->m, at, vars[i], core_list(l->m, at, parts + from, len, NULL), all);
    }
    return all;
}

/* Keywords at the end of a vector are pairs among its elements. */
static struct core_expr *vector(struct lower *l, struct core_span at, struct node *n)
{
    size_t extra = 0, count = 0;
    struct core_expr **parts;
    struct core_expr *tail;

    if (n->list.n > 0 && n->list.at[n->list.n - 1]->kind == N_KEYWORDS)
        extra = n->list.at[n->list.n - 1]->list.n;
    parts = ARENA_NEW_ARRAY(l->pr->arena, struct core_expr *, n->list.n + extra + 1);
    for (size_t i = 0; i < n->list.n; i++) {
        struct node *kid = n->list.at[i];

        if (kid->kind != N_KEYWORDS) {
            parts[count++] = lower(l, kid);
            continue;
        }
        for (size_t j = 0; j < kid->list.n; j++)
            parts[count++] = pair(l, kid->list.at[j]);
    }
    tail = n->a != NULL ? lower(l, n->a) : NULL;
    return in_pieces(l, at, parts, count, tail);
}

static struct core_expr *map(struct lower *l, struct core_span at, struct node *n)
{
    size_t count = n->list.n;
    struct core_expr **parts = ARENA_NEW_ARRAY(l->pr->arena, struct core_expr *, 2 * count + 1);
    struct core_pair *pairs;

    for (size_t i = 0; i < count; i++) {
        parts[2 * i] = lower(l, n->list.at[i]->a);
        parts[2 * i + 1] = lower(l, n->list.at[i]->b);
    }
    if (all_literal(parts, 2 * count)) {
        const struct core_const **lits = ARENA_NEW_ARRAY(l->pr->arena, const struct core_const *,
                                                         2 * count + 1);

        for (size_t i = 0; i < 2 * count; i++)
            lits[i] = parts[i]->lit;
        return core_lit(l->m, at, cc_map(l->m, lits, count));
    }
    pairs = ARENA_NEW_ARRAY(l->pr->arena, struct core_pair, count + 1);
    for (size_t i = 0; i < count; i++)
        pairs[i] = (struct core_pair){ parts[2 * i], parts[2 * i + 1], false };
    return core_map(l->m, at, NULL, pairs, count);
}

/* {'$set', #{Element => []}} */
static struct core_expr *set(struct lower *l, struct core_span at, struct node *n)
{
    size_t count = n->list.n;
    struct core_expr **parts = ARENA_NEW_ARRAY(l->pr->arena, struct core_expr *, count + 1);
    struct core_expr *both[2];

    lower_list(l, &n->list, parts);
    both[0] = lower_atom(l, at, "$set");
    if (all_literal(parts, count)) {
        const struct core_const **lits = ARENA_NEW_ARRAY(l->pr->arena, const struct core_const *,
                                                         2 * count + 1);

        for (size_t i = 0; i < count; i++) {
            lits[2 * i] = parts[i]->lit;
            lits[2 * i + 1] = cc_nil(l->m);
        }
        both[1] = core_lit(l->m, at, cc_map(l->m, lits, count));
    } else {
        struct core_pair *pairs = ARENA_NEW_ARRAY(l->pr->arena, struct core_pair, count + 1);

        for (size_t i = 0; i < count; i++)
            pairs[i] = (struct core_pair){ parts[i], core_lit(l->m, at, cc_nil(l->m)), false };
        both[1] = core_map(l->m, at, NULL, pairs, count);
    }
    return core_tuple(l->m, at, both, 2);
}

static struct core_expr *tuple(struct lower *l, struct core_span at, struct node *n)
{
    struct core_expr **parts = ARENA_NEW_ARRAY(l->pr->arena, struct core_expr *, n->list.n + 1);

    lower_list(l, &n->list, parts);
    return core_tuple(l->m, at, parts, n->list.n);
}

/* --- strings --------------------------------------------------------------------------------- */

/* A hole: the value itself if it is a string, else its text. */
static struct core_expr *text_of(struct lower *l, struct core_span at, struct core_expr *value)
{
    core_var v = core_var_new(l->m, NULL), other = core_var_new(l->m, NULL);
    struct core_expr *arg = core_use(l->m, at, other);
    struct core_pat *pat = cp_var(l->m, at, v);
    struct core_clause *clauses[2];

    if (value->kind == CORE_LIT && value->lit->kind == CC_BITS)
        return value;
    clauses[0] = core_clause(l->m, at, &pat, 1,
                             lower_bif1(l, at, "is_binary", core_use(l->m, at, v)),
                             core_use(l->m, at, v));
    pat = cp_var(l->m, at, other);
    clauses[1] = core_clause(l->m, at, &pat, 1, NULL,
                             core_remote_named(l->m, at, "Rata.Core", "to_string", &arg, 1));
    return core_case(l->m, at, &value, 1, clauses, 2);
}

/* A binary of pieces; each is a string by now, or fails with badarg. */
static struct core_expr *joined(struct lower *l, struct core_span at, struct core_expr **parts,
                                size_t n)
{
    struct core_segment *segments = ARENA_NEW_ARRAY(l->pr->arena, struct core_segment, n + 1);

    for (size_t i = 0; i < n; i++) {
        bool text = parts[i]->kind == CORE_LIT && parts[i]->lit->kind == CC_BITS;

        segments[i] = (struct core_segment){ .type = text ? CB_STRING : CB_BINARY,
                                             .unit = text ? 0 : 8, .value = parts[i] };
    }
    return core_bits(l->m, at, segments, n);
}

static struct core_expr *fstring(struct lower *l, struct core_span at, struct node *n)
{
    struct core_expr **parts = ARENA_NEW_ARRAY(l->pr->arena, struct core_expr *, n->list.n + 1);

    for (size_t i = 0; i < n->list.n; i++)
        parts[i] = text_of(l, at, lower(l, n->list.at[i]));
    if (n->list.n == 0)
        return lower_text(l, at, "");
    return joined(l, at, parts, n->list.n);
}

/* a <> b <> c builds one binary. */
static struct core_expr *concat(struct lower *l, struct core_span at, struct node *n)
{
    struct core_expr **parts = NULL;
    size_t count = 0, cap = 0;

    while (n->kind == N_BINARY && n->op == TOK_CONCAT) {
        parts = arena_grow(l->pr->arena, parts, count, &cap, sizeof *parts);
        parts[count++] = lower(l, n->a);
        n = n->b;
    }
    parts = arena_grow(l->pr->arena, parts, count, &cap, sizeof *parts);
    parts[count++] = lower(l, n);
    return joined(l, at, parts, count);
}

/* --- operators ------------------------------------------------------------------------------- */

bool is_boolean(const struct node *n)
{
    switch (n->kind) {
    case N_PAREN:
        return is_boolean(n->a);
    case N_ATOM:
        return strcmp(n->text, "true") == 0 || strcmp(n->text, "false") == 0;
    case N_UNARY:
        return n->op != TOK_MINUS;
    case N_BINARY:
        switch (n->op) {
        case TOK_EQUAL: case TOK_NOT_EQUAL: case TOK_IDENTICAL: case TOK_NOT_IDENTICAL:
        case TOK_LESS: case TOK_LESS_EQUAL: case TOK_GREATER: case TOK_GREATER_EQUAL:
        case TOK_IN: case TOK_NOT:
            return true;
        case TOK_AND: case TOK_AND_AND: case TOK_OR: case TOK_OR_OR:
            return is_boolean(n->a) && is_boolean(n->b);
        default:
            return false;
        }
    case N_CALL:
        return n->meaning == MEANS_CALL && n->callee->kind == CALLEE_CORE
               && strncmp(n->callee->name, "is_", 3) == 0;
    default:
        return false;
    }
}

static struct core_expr *choose(struct lower *l, struct core_span at, struct core_expr *value,
                                struct core_pat *pat, struct core_expr *guard,
                                struct core_expr *then, struct core_expr *otherwise)
{
    struct core_pat *any = cp_any(l->m, at);
    struct core_clause *clauses[2];

    clauses[0] = core_clause(l->m, at, &pat, 1, guard, then);
    clauses[1] = core_clause(l->m, at, &any, 1, NULL, otherwise);
    return core_case(l->m, at, &value, 1, clauses, 2);
}

/* a and b, a or b: the deciding operand is the value. */
static struct core_expr *logic(struct lower *l, struct core_span at, struct node *n, bool and)
{
    struct core_expr *a = lower(l, n->a), *b = lower(l, n->b), *guard;
    core_var truthy = core_var_new(l->m, NULL), falsy = core_var_new(l->m, NULL);
    struct core_clause *clauses[2];
    struct core_pat *pat;

    if (is_boolean(n->a) && is_boolean(n->b))
        return and ? core_and(l->m, at, a, b) : core_or(l->m, at, a, b);
    pat = cp_var(l->m, at, truthy);
    guard = lower_truth(l, at, core_use(l->m, at, truthy));
    clauses[0] = core_clause(l->m, at, &pat, 1, guard, and ? b : core_use(l->m, at, truthy));
    pat = cp_var(l->m, at, falsy);
    clauses[1] = core_clause(l->m, at, &pat, 1, NULL, and ? core_use(l->m, at, falsy) : b);
    return core_case(l->m, at, &a, 1, clauses, 2);
}

static struct core_expr *integer_lit(struct lower *l, struct core_span at, int64_t i)
{
    return core_lit(l->m, at, cc_int(l->m, i));
}

static bool positive_literal(const struct core_expr *e)
{
    return e->kind == CORE_LIT && e->lit->kind == CC_INT && e->lit->i > 0;
}

/* a %% b: inline for integers with b > 0. */
static struct core_expr *modulo(struct lower *l, struct core_span at, struct node *n)
{
    struct held a = lower_hold(l, at, lower(l, n->a)), b = lower_hold(l, at, lower(l, n->b));
    core_var r = core_var_new(l->m, NULL), negative = core_var_new(l->m, NULL);
    struct core_expr *guard = lower_bif1(l, at, "is_integer", held_use(l, &a));
    struct core_expr *slow[2], *fast, *rest;
    struct core_pat *pat;

    if (!positive_literal(b.value)) {
        guard = core_and(l->m, at, guard, lower_bif1(l, at, "is_integer", held_use(l, &b)));
        guard = core_and(l->m, at, guard,
                         lower_bif2(l, at, ">", held_use(l, &b), integer_lit(l, at, 0)));
    }
    rest = lower_bif2(l, at, "rem", held_use(l, &a), held_use(l, &b));
    fast = choose(l, at, rest, cp_var(l->m, at, r), lower_bif2(l, at, ">=", core_use(l->m, at, r),
                                                               integer_lit(l, at, 0)),
                  core_use(l->m, at, r), lower_atom(l, at, "nil"));
    pat = cp_var(l->m, at, negative);
    fast->clauses[1] = core_clause(l->m, at, &pat, 1, NULL,
                                   lower_bif2(l, at, "+", core_use(l->m, at, negative),
                                              held_use(l, &b)));
    slow[0] = held_use(l, &a);
    slow[1] = held_use(l, &b);
    fast = choose(l, at, lower_atom(l, at, "nil"), cp_any(l->m, at), guard, fast,
                  lower_runtime(l, at, "modulo", slow, 2));
    return held_let(l, &a, held_let(l, &b, fast));
}

/* x ^ 2 is x * x; everything else is computed by the library. */
static struct core_expr *power(struct lower *l, struct core_span at, struct node *n)
{
    struct core_expr *args[2];

    if (n->b->kind == N_INT && strcmp(n->b->text, "2") == 0) {
        struct held x = lower_hold(l, at, lower(l, n->a));

        return held_let(l, &x, lower_bif2(l, at, "*", held_use(l, &x), held_use(l, &x)));
    }
    args[0] = lower(l, n->a);
    args[1] = lower(l, n->b);
    return lower_runtime(l, at, "power", args, 2);
}

static struct core_expr *range(struct lower *l, struct core_span at, struct node *n)
{
    struct core_expr *args[2];

    args[0] = lower(l, n->a);
    args[1] = lower(l, n->b);
    if (all_literal(args, 2) && args[0]->lit->kind == CC_INT && args[1]->lit->kind == CC_INT) {
        int64_t step = args[0]->lit->i <= args[1]->lit->i ? 1 : -1;
        struct core_expr *parts[4] = { lower_atom(l, at, "$range"), args[0], args[1],
                                       integer_lit(l, at, step) };

        return core_tuple(l->m, at, parts, 4);
    }
    return lower_runtime(l, at, "range", args, 2);
}

/* x in [a, b]: a comparison per element; in anything else the library looks. */
static struct core_expr *member(struct lower *l, struct core_span at, struct node *n, bool negate)
{
    struct core_expr *args[2], *all;

    if (n->b->kind == N_VECTOR && n->b->a == NULL && n->b->list.n <= 16
        && !(n->b->list.n > 0 && n->b->list.at[n->b->list.n - 1]->kind == N_KEYWORDS)) {
        size_t count = n->b->list.n;
        struct held x = lower_hold(l, at, lower(l, n->a));
        struct core_expr **parts = ARENA_NEW_ARRAY(l->pr->arena, struct core_expr *, count + 1);

        lower_list(l, &n->b->list, parts);
        if (all_literal(parts, count)) {
            all = lower_atom(l, at, negate ? "true" : "false");
            for (size_t i = count; i-- > 0;) {
                struct core_expr *one = lower_bif2(l, at, negate ? "=/=" : "=:=", held_use(l, &x),
                                                   parts[i]);

                all = negate ? core_and(l->m, at, one, all) : core_or(l->m, at, one, all);
            }
            return held_let(l, &x, all);
        }
        args[0] = held_use(l, &x);
        args[1] = core_list(l->m, at, parts, count, NULL);
        all = lower_runtime(l, at, "member", args, 2);
        if (negate)
            all = lower_bif1(l, at, "not", all);
        return held_let(l, &x, all);
    }
    args[0] = lower(l, n->a);
    args[1] = lower(l, n->b);
    all = lower_runtime(l, at, "member", args, 2);
    return negate ? lower_bif1(l, at, "not", all) : all;
}

static const struct { uint8_t op; const char *bif; } plain[] = {
    { TOK_EQUAL, "==" }, { TOK_NOT_EQUAL, "/=" }, { TOK_IDENTICAL, "=:=" },
    { TOK_NOT_IDENTICAL, "=/=" }, { TOK_LESS, "<" }, { TOK_LESS_EQUAL, "=<" },
    { TOK_GREATER, ">" }, { TOK_GREATER_EQUAL, ">=" }, { TOK_PLUS, "+" }, { TOK_MINUS, "-" },
    { TOK_TIMES, "*" }, { TOK_DIVIDE, "/" }, { TOK_APPEND, "++" }, { TOK_REMOVE, "--" },
};

static struct core_expr *binary(struct lower *l, struct core_span at, struct node *n)
{
    struct core_expr *a;

    switch (n->op) {
    case TOK_AND: case TOK_AND_AND:
        return logic(l, at, n, true);
    case TOK_OR: case TOK_OR_OR:
        return logic(l, at, n, false);
    case TOK_IN:
        return member(l, at, n, false);
    case TOK_NOT:
        return member(l, at, n, true);
    case TOK_CONCAT:
        return concat(l, at, n);
    case TOK_RANGE:
        return range(l, at, n);
    case TOK_MODULO:
        return modulo(l, at, n);
    case TOK_POWER:
        return power(l, at, n);
    default:
        break;
    }
    for (size_t i = 0; i < ARRAY_LEN(plain); i++)
        if (plain[i].op == n->op) {
            a = lower(l, n->a);
            return lower_bif2(l, at, plain[i].bif, a, lower(l, n->b));
        }
    UNREACHABLE();
}

static struct core_expr *unary(struct lower *l, struct core_span at, struct node *n)
{
    if (n->op == TOK_MINUS) {
        if (n->a->kind == N_INT || n->a->kind == N_FLOAT)
            return core_lit(l->m, at, number(l, n->a, true));
        return lower_bif1(l, at, "-", lower(l, n->a));
    }
    if (is_boolean(n->a))
        return lower_bif1(l, at, "not", lower(l, n->a));
    return lower_test(l, n->a, lower_atom(l, at, "false"), lower_atom(l, at, "true"));
}

/* --- access ---------------------------------------------------------------------------------- */

/* v.name: a pattern for maps, the library for the error. */
static struct core_expr *field(struct lower *l, struct core_span at, struct node *n)
{
    core_var found = core_var_new(l->m, NULL), other = core_var_new(l->m, NULL);
    struct core_map_pat row;
    struct core_expr *value = lower(l, n->a), *args[2];
    struct core_pat *pat;
    struct core_clause *clauses[2];

    row.key = core_lit(l->m, at, cc_atom_n(l->m, n->text, n->text_len));
    row.pat = cp_var(l->m, at, found);
    pat = cp_map(l->m, at, &row, 1);
    clauses[0] = core_clause(l->m, at, &pat, 1, NULL, core_use(l->m, at, found));
    pat = cp_var(l->m, at, other);
    args[0] = core_use(l->m, at, other);
    args[1] = core_lit(l->m, at, cc_atom_n(l->m, n->text, n->text_len));
    clauses[1] = core_clause(l->m, at, &pat, 1, NULL, lower_runtime(l, at, "field", args, 2));
    return core_case(l->m, at, &value, 1, clauses, 2);
}

static struct core_expr *index_of(struct lower *l, struct core_span at, struct node *n)
{
    struct core_expr *args[2];

    args[0] = lower(l, n->a);
    args[1] = lower(l, n->b);
    return lower_runtime(l, at, "index", args, 2);
}

/* --- raise ----------------------------------------------------------------------------------- */

static struct core_expr *raise_term(struct lower *l, struct core_span at, struct core_expr *reason)
{
    return core_prim(l->m, at, PRIM_RAISE,
                     (struct core_expr *[]){ lower_atom(l, at, "error"), reason }, 2);
}

/* A string is raised as {runtime_error, String}. */
static struct core_expr *raise(struct lower *l, struct core_span at, struct core_expr *value)
{
    core_var v = core_var_new(l->m, NULL), other = core_var_new(l->m, NULL);
    struct core_pat *pat;
    struct core_clause *clauses[2];

    if (value->kind == CORE_LIT)
        return value->lit->kind == CC_BITS ? lower_fail(l, at, "runtime_error", value)
                                           : raise_term(l, at, value);
    if (value->kind == CORE_TUPLE)
        return raise_term(l, at, value);
    pat = cp_var(l->m, at, v);
    clauses[0] = core_clause(l->m, at, &pat, 1,
                             lower_bif1(l, at, "is_binary", core_use(l->m, at, v)),
                             lower_fail(l, at, "runtime_error", core_use(l->m, at, v)));
    pat = cp_var(l->m, at, other);
    clauses[1] = core_clause(l->m, at, &pat, 1, NULL,
                             raise_term(l, at, core_use(l->m, at, other)));
    return core_case(l->m, at, &value, 1, clauses, 2);
}

/* --- all of them ----------------------------------------------------------------------------- */

void lower_list(struct lower *l, const struct node_list *list, struct core_expr **out)
{
    for (size_t i = 0; i < list->n; i++)
        out[i] = lower(l, list->at[i]);
}

struct core_expr *lower(struct lower *l, struct node *n)
{
    struct core_span at = lower_span(l, n->span);

    switch (n->kind) {
    case N_INT: case N_FLOAT:
        return core_lit(l->m, at, number(l, n, false));
    case N_STRING:
        return core_lit(l->m, at, cc_binary(l->m, n->text, n->text_len));
    case N_ATOM:
        return core_lit(l->m, at, cc_atom_n(l->m, n->text, n->text_len));
    case N_FSTRING:     return fstring(l, at, n);
    case N_NAME: case N_MODULE_NAME: case N_SELF: case N_DOT_NAME: case N_CAPTURE:
        return lower_reference(l, n);
    case N_MEMBER:
        return n->meaning == MEANS_FIELD ? field(l, at, n) : lower_reference(l, n);
    case N_VECTOR:      return vector(l, at, n);
    case N_TUPLE:       return tuple(l, at, n);
    case N_MAP:         return map(l, at, n);
    case N_SET:         return set(l, at, n);
    case N_KEYWORDS:    return keywords(l, at, n);
    case N_PAREN:       return lower(l, n->a);
    case N_CALL:        return lower_call(l, n);
    case N_INDEX:       return index_of(l, at, n);
    case N_BINARY:      return binary(l, at, n);
    case N_UNARY:       return unary(l, at, n);
    case N_SHORT_FN:    return lower_short_fn(l, n);
    case N_FUNCTION:    return core_fun(l->m, lower_function(l, n));
    case N_FN:          return lower_fn(l, n);
    case N_RAISE:       return raise(l, at, lower(l, n->a));
    case N_RERAISE:     return raise_term(l, at, lower(l, n->a));
    case N_IF: case N_CASE: case N_COND: case N_TRY: case N_RECEIVE: case N_BLOCK:
        return lower_tail(l, n, VALUE);
    default:
        UNREACHABLE();
    }
}
