/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resolve_pattern.c - patterns, guards and types
 */
#include "lang/rata/resolve_priv.h"

#include <string.h>

/* --- patterns -------------------------------------------------------------------------------- */

void pattern_begin(struct resolver *r)
{
    r->pattern++;
}

static void not_a_pattern(struct resolver *r, const struct node *n)
{
    struct diagnostic *it;
    const char *what = "this is not a pattern", *hint =
        "patterns are names, _, literals, ^name, tuples, vectors, maps and \"prefix\" <> rest";

    if (n->kind == N_CALL || n->kind == N_INDEX || n->kind == N_MEMBER) {
        what = "a call cannot be matched against";
        hint = "bind a name, and compute the value before or test it with `when`";
    } else if (n->kind == N_SET || (n->kind == N_BINARY && n->op == TOK_RANGE)) {
        what = n->kind == N_SET ? "sets are no patterns" : "ranges are no patterns";
        hint = "bind a name and test it: `x when x in [1, 2]`";
    } else if (n->kind == N_BINARY && n->op == TOK_CONCAT) {
        what = "the left side of `<>` must be a string literal in a pattern";
    }
    it = diag_error(r->d, n->span, "E0209", "%s", what);
    diag_hint(r->d, it, "%s", hint);
}

static void name_pattern(struct resolver *r, struct node *n)
{
    struct binding *b = name_lookup(r, n->text, n->text_len);

    n->meaning = MEANS_VARIABLE;
    if (strcmp(n->text, "_") == 0)
        return;
    if (b != NULL && b->pattern == r->pattern && b->block == r->block) {
        b->uses++;                          /* the second one asks for the same value */
        n->bound = b;
        return;
    }
    n->bound = name_bind(r, n);
}

static void pin_pattern(struct resolver *r, struct node *n)
{
    struct binding *b = name_lookup(r, n->text, n->text_len);
    struct diagnostic *it;

    if (b != NULL && !(b->pattern == r->pattern && b->block == r->block)) {
        b->uses++;
        n->bound = b;
        return;
    }
    it = diag_error(r->d, n->span, "E0212", "`^%s` needs a bound name, and `%s` is none here",
                    n->text, n->text);
    diag_hint(r->d, it, "write `%s` without ^ to bind it, or bind it before", n->text);
}

static bool is_literal(const struct node *n)
{
    if (n->kind == N_UNARY && n->op == TOK_MINUS)
        return n->a->kind == N_INT || n->a->kind == N_FLOAT;
    return n->kind == N_INT || n->kind == N_FLOAT || n->kind == N_STRING || n->kind == N_ATOM;
}

static void map_pattern(struct resolver *r, struct node *n)
{
    for (size_t i = 0; i < n->list.n; i++) {
        struct node *pair = n->list.at[i], *key = pair->a;
        bool unchecked;

        if (key->kind == N_PIN)
            pin_pattern(r, key);
        else if (!is_literal(key) && (key->module = module_of(r, key, &unchecked)) == NULL)
            not_a_pattern(r, key);
        resolve_pattern(r, pair->b);
    }
}

static void string_pattern(struct resolver *r, struct node *n)
{
    if (n->a->kind != N_STRING)
        not_a_pattern(r, n);
    else if (n->b->kind == N_NAME || n->b->kind == N_STRING
             || (n->b->kind == N_BINARY && n->b->op == TOK_CONCAT))
        resolve_pattern(r, n->b);
    else
        not_a_pattern(r, n->b);
}

static void list_pattern(struct resolver *r, const struct node_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        resolve_pattern(r, list->at[i]);
}

static bool is_name(const struct node *n)
{
    while (n->kind == N_PAREN)
        n = n->a;
    return n->kind == N_NAME;
}

/* pattern = name, or name = pattern: the name is the whole of what the pattern matches. */
static void both_patterns(struct resolver *r, struct node *n)
{
    if (!is_name(n->a) && !is_name(n->b)) {
        struct diagnostic *it = diag_error(r->d, n->span, "E0209",
                                           "one side of `=` inside a pattern must be a name");
        diag_hint(r->d, it, "`{:ok, v} = whole` names what the pattern matches");
    }
    resolve_pattern(r, n->a);
    resolve_pattern(r, n->b);
}

void resolve_pattern(struct resolver *r, struct node *n)
{
    bool unchecked;

    switch (n->kind) {
    case N_NAME:
        name_pattern(r, n);
        break;
    case N_PIN:
        pin_pattern(r, n);
        break;
    case N_INT: case N_FLOAT: case N_STRING: case N_ATOM: case N_ERROR:
        break;
    case N_PAREN:
        resolve_pattern(r, n->a);
        break;
    case N_MATCH:
        both_patterns(r, n);
        break;
    case N_PAIR:
        resolve_pattern(r, n->b);
        break;
    case N_TUPLE: case N_KEYWORDS:
        list_pattern(r, &n->list);
        break;
    case N_VECTOR:
        list_pattern(r, &n->list);
        if (n->a != NULL)
            resolve_pattern(r, n->a);
        break;
    case N_MAP:
        map_pattern(r, n);
        break;
    case N_BINARY:
        if (n->op == TOK_CONCAT)
            string_pattern(r, n);
        else
            not_a_pattern(r, n);
        break;
    case N_SELF: case N_MODULE_NAME: case N_MEMBER:
        n->module = module_of(r, n, &unchecked);
        n->meaning = MEANS_MODULE;
        if (n->module == NULL)
            not_a_pattern(r, n);
        break;
    default:
        if (!is_literal(n))
            not_a_pattern(r, n);
    }
}

/* --- guards ---------------------------------------------------------------------------------- */

static void not_in_guard(struct resolver *r, const struct node *n)
{
    struct diagnostic *it = diag_error(r->d, n->span, "E0210", "a guard cannot do this");

    diag_hint(r->d, it, "guards compare, calculate, and call is_*, length, hd, tl, abs, div, rem, "
              "round, trunc and self; compute the rest before, or inside the clause");
}

static const struct core_fn *guard_function(const char *name, size_t arity)
{
    for (size_t i = 0; i < n_core_fns; i++)
        if (core_fns[i].guard && core_fns[i].arity == arity
            && strcmp(core_fns[i].name, name) == 0)
            return &core_fns[i];
    return NULL;
}

static void guard_call(struct resolver *r, struct node *n)
{
    const struct core_fn *fn = NULL;
    struct callee *c;

    if (n->a->kind == N_NAME && name_lookup(r, n->a->text, n->a->text_len) == NULL)
        fn = guard_function(n->a->text, n->list.n);
    if (fn != NULL && r->module != NULL && function_find(r->module, fn->name, fn->arity) != NULL)
        fn = NULL;
    if (fn == NULL) {
        not_in_guard(r, n);
        return;
    }
    c = ARENA_NEW(r->a, struct callee);
    *c = (struct callee){ .kind = CALLEE_CORE, .name = fn->name, .arity = fn->arity, .core = fn };
    n->callee = c;
    n->meaning = MEANS_CALL;
    for (size_t i = 0; i < n->list.n; i++)
        resolve_guard(r, n->list.at[i]);
}

static bool guard_operator(const struct node *n)
{
    switch (n->op) {
    case TOK_OR: case TOK_OR_OR: case TOK_AND: case TOK_AND_AND: case TOK_EQUAL:
    case TOK_NOT_EQUAL: case TOK_IDENTICAL: case TOK_NOT_IDENTICAL: case TOK_LESS:
    case TOK_LESS_EQUAL: case TOK_GREATER: case TOK_GREATER_EQUAL: case TOK_PLUS: case TOK_MINUS:
    case TOK_TIMES: case TOK_DIVIDE: case TOK_MODULO:
        return true;
    case TOK_IN: case TOK_NOT:
        return n->b->kind == N_VECTOR && n->b->a == NULL;
    default:
        return false;
    }
}

void resolve_guard(struct resolver *r, struct node *n)
{
    switch (n->kind) {
    case N_INT: case N_FLOAT: case N_STRING: case N_ATOM: case N_ERROR:
        break;
    case N_NAME: case N_MODULE_NAME: case N_SELF:
        resolve_node(r, n);
        if (n->meaning == MEANS_CONSTANT || n->meaning == MEANS_FUNCTION)
            not_in_guard(r, n);
        break;
    case N_PAREN: case N_UNARY:
        resolve_guard(r, n->a);
        break;
    case N_TUPLE: case N_VECTOR:
        for (size_t i = 0; i < n->list.n; i++)
            resolve_guard(r, n->list.at[i]);
        if (n->a != NULL)
            resolve_guard(r, n->a);
        break;
    case N_MEMBER: {
        bool unchecked;

        n->module = module_of(r, n, &unchecked);
        n->meaning = n->module != NULL ? MEANS_MODULE : MEANS_FIELD;
        if (n->module == NULL && module_of(r, n->a, &unchecked) != NULL)
            not_in_guard(r, n);
        else if (n->module == NULL)
            resolve_guard(r, n->a);
        break;
    }
    case N_BINARY:
        if (!guard_operator(n)) {
            not_in_guard(r, n);
            break;
        }
        resolve_guard(r, n->a);
        resolve_guard(r, n->b);
        break;
    case N_CALL:
        guard_call(r, n);
        break;
    default:
        not_in_guard(r, n);
    }
}

/* --- types ----------------------------------------------------------------------------------- */

static const char *const type_names[] = {
    "int", "posint", "float", "numeric", "string", "bool", "symbol", "atom", "vector", "map",
    "tuple", "list", "set", "range", "pid", "function", "any",
};

void resolve_type(struct resolver *r, struct node *n)
{
    struct diagnostic *it;

    if (n->a != NULL) {
        resolve_type(r, n->a);
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(type_names); i++)
        if (strcmp(n->text, type_names[i]) == 0)
            return;
    it = diag_error(r->d, n->span, "E0302", "unknown type `%s`", n->text);
    hint_nearest(r, it, n->text, type_names, ARRAY_LEN(type_names), "");
    diag_note(r->d, it, "types are int posint float numeric string bool symbol atom vector map "
              "tuple list set range pid function any, and [t]");
}

/* The kind of a literal as typeof says, or NULL when it is none. */
static const char *literal_kind(const struct node *n)
{
    switch (n->kind) {
    case N_INT:     return "int";
    case N_FLOAT:   return "float";
    case N_STRING:  case N_FSTRING: return "string";
    case N_VECTOR:  return "vector";
    case N_TUPLE:   return "tuple";
    case N_MAP:     return "map";
    case N_SET:     return "set";
    case N_FN: case N_FUNCTION: case N_SHORT_FN: return "function";
    case N_ATOM:
        if (strcmp(n->text, "nil") == 0)
            return "nil";
        return strcmp(n->text, "true") == 0 || strcmp(n->text, "false") == 0 ? "bool" : "symbol";
    case N_UNARY:
        return n->op == TOK_MINUS ? literal_kind(n->a) : NULL;
    case N_PAREN:
        return literal_kind(n->a);
    default:
        return NULL;
    }
}

static bool fits(const char *kind, const struct node *type)
{
    static const struct { const char *type, *kinds; } rows[] = {
        { "int", "int" }, { "posint", "int" }, { "float", "float" }, { "numeric", "int float" },
        { "string", "string" }, { "bool", "bool" }, { "symbol", "symbol nil bool" },
        { "atom", "symbol nil bool" }, { "vector", "vector" }, { "map", "map" },
        { "tuple", "tuple" }, { "list", "tuple" }, { "set", "set" }, { "range", "range" },
        { "pid", "" }, { "function", "function" },
    };

    if (type->a != NULL)            /* elements are looked at when the program runs */
        return strcmp(kind, "vector") == 0;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (strcmp(rows[i].type, type->text) == 0)
            return strstr(rows[i].kinds, kind) != NULL;
    return true;
}

/* The type as written in the source. */
static const char *type_text(struct resolver *r, const struct node *type)
{
    const struct source *s = &r->d->sources[type->span.file];

    return arena_strndup(r->a, s->text + type->span.from, type->span.to - type->span.from);
}

void check_argument_types(struct resolver *r, const struct node *call, const struct function *f)
{
    const struct node *fn;

    if (f == NULL || f->constant || f->supplied || f->defs.n != 1)
        return;
    fn = f->defs.at[0]->a;
    for (size_t i = 0; i < call->list.n && i < fn->list.n; i++) {
        const struct node *param = fn->list.at[i];
        const char *kind = literal_kind(call->list.at[i]);
        struct diagnostic *it;

        if (param->c == NULL || kind == NULL || fits(kind, param->c))
            continue;
        it = diag_error(r->d, call->list.at[i]->span, "E0301",
                        "`%s` takes %s here, and this is of another type", f->name,
                        type_text(r, param->c));
        diag_note(r->d, it, "the parameter is `%s: %s`, the argument is a %s", param->a->text,
                  type_text(r, param->c), kind);
    }
}
