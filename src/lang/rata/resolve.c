/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resolve.c - the walk over expressions, functions and statements
 */
#include "lang/rata/resolve_priv.h"

#include <string.h>

/* --- functions ------------------------------------------------------------------------------- */

static void same_parameter_twice(struct resolver *r, const struct node *fn)
{
    for (size_t i = 0; i < fn->list.n; i++) {
        const struct node *a = fn->list.at[i]->a;

        if (a->kind != N_NAME || strcmp(a->text, "_") == 0)
            continue;
        for (size_t j = 0; j < i; j++) {
            const struct node *b = fn->list.at[j]->a;

            if (b->kind != N_NAME || strcmp(a->text, b->text) != 0)
                continue;
            diag_error(r->d, a->span, "E0211", "two parameters are called `%s`", a->text);
            break;
        }
    }
}

/* The parameters of function(...). Defaults are read in the scope of the module: no variable. */
static void parameters(struct resolver *r, const struct node *fn, bool in_module)
{
    bool seen_default = false;

    for (size_t i = 0; i < fn->list.n; i++) {
        const struct node *param = fn->list.at[i];

        if (param->b != NULL && !in_module) {
            struct diagnostic *it = diag_error(r->d, param->b->span, "E0206",
                                               "only functions of a module have defaults");
            diag_hint(r->d, it, "move the function into a module, or write one for each number of "
                      "arguments");
        } else if (param->b == NULL && seen_default) {
            diag_error(r->d, param->span, "E0206", "a parameter without default follows one with");
        }
        seen_default |= param->b != NULL;
        if (param->b != NULL)
            resolve_node(r, param->b);
        if (param->c != NULL)
            resolve_type(r, param->c);
    }
    same_parameter_twice(r, fn);
    pattern_begin(r);
    for (size_t i = 0; i < fn->list.n; i++)
        resolve_pattern(r, fn->list.at[i]->a);
}

void resolve_function(struct resolver *r, struct node *n, bool in_module)
{
    uint32_t outer = r->block, mark = block_enter(r);

    r->functions++;
    parameters(r, n, in_module);
    if (n->list.n > 255)
        diag_error(r->d, n->span, "E0206", "a function has at most 255 parameters");
    if (n->b != NULL)
        resolve_type(r, n->b);
    if (n->a != NULL)
        resolve_guard(r, n->a);
    resolve_block(r, n->c);
    r->functions--;
    block_leave(r, mark, outer);
}

/* Patterns, guard and body of one clause. */
static void clause(struct resolver *r, struct node *n)
{
    uint32_t outer = r->block, mark = block_enter(r);

    pattern_begin(r);
    for (size_t i = 0; i < n->list.n; i++)
        resolve_pattern(r, n->list.at[i]);
    if (n->a != NULL)
        resolve_guard(r, n->a);
    resolve_block(r, n->b);
    n->has_return = n->b->has_return;
    block_leave(r, mark, outer);
}

static void clauses(struct resolver *r, const struct node_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        clause(r, list->at[i]);
}

static void fn(struct resolver *r, struct node *n)
{
    if (n->list.n == 0)
        diag_error(r->d, n->span, "E0206", "a `fn` needs at least one clause");
    for (size_t i = 1; i < n->list.n; i++) {
        const struct node *c = n->list.at[i];
        struct diagnostic *it;

        if (c->list.n == n->list.at[0]->list.n)
            continue;
        it = diag_error(r->d, c->span, "E0206",
                        "this clause has %zu parameters, the first one has %zu", c->list.n,
                        n->list.at[0]->list.n);
        diag_hint(r->d, it, "all clauses of a `fn` take the same number of arguments");
    }
    r->functions++;
    clauses(r, &n->list);
    r->functions--;
}

/* --- ~ --------------------------------------------------------------------------------------- */

static struct node *short_param(struct resolver *r, const struct node *dot)
{
    struct node *p = ARENA_NEW(r->a, struct node);

    p->kind = N_NAME;
    p->span = p->mark = dot->span;
    p->text = dot->text;
    p->text_len = dot->text_len;
    p->bound = ARENA_NEW(r->a, struct binding);
    p->bound->quiet = true;
    p->bound->name = symbol_get(r, dot->text, dot->text_len);
    return p;
}

/* How many parameters come before the named ones: .y implies .x. */
static int place_of(const char *name)
{
    return name[0] >= 'x' && name[0] <= 'z' && name[1] == 0 ? name[0] - 'x' : -1;
}

static void dot_name(struct resolver *r, struct node *n)
{
    struct short_fn *s = r->short_fn;

    if (s == NULL) {
        struct diagnostic *it = diag_error(r->d, n->span, "E0106", "`.%s` stands outside of a `~`",
                                           n->text);
        diag_hint(r->d, it, "a field of a value is value.%s; a short function is ~ .%s + 1",
                  n->text, n->text);
        return;
    }
    for (size_t i = 0; i < s->node->list.n; i++)
        if (strcmp(s->node->list.at[i]->text, n->text) == 0)
            n->bound = s->node->list.at[i]->bound;
    if (n->bound == NULL) {
        struct node *p = short_param(r, n);

        node_list_add(r->a, &s->node->list, p);
        n->bound = p->bound;
    }
    n->meaning = MEANS_VARIABLE;
}

/* x, y, z to the front in their order, those that are implied added; the others keep theirs. */
static void order_params(struct resolver *r, struct node *n)
{
    struct node_list sorted = { 0 };
    struct node *xyz[3] = { NULL, NULL, NULL };
    int highest = n->list.n == 0 ? 0 : -1;

    for (size_t i = 0; i < n->list.n; i++) {
        int at = place_of(n->list.at[i]->text);

        if (at >= 0)
            xyz[at] = n->list.at[i];
        highest = at > highest ? at : highest;
    }
    for (int i = 0; i <= highest; i++) {
        static const char *const names[] = { "x", "y", "z" };
        struct node dot = { .span = n->span, .text = names[i], .text_len = 1 };

        node_list_add(r->a, &sorted, xyz[i] != NULL ? xyz[i] : short_param(r, &dot));
    }
    for (size_t i = 0; i < n->list.n; i++)
        if (place_of(n->list.at[i]->text) < 0)
            node_list_add(r->a, &sorted, n->list.at[i]);
    n->list = sorted;
}

static void short_fn(struct resolver *r, struct node *n)
{
    struct short_fn s = { .outer = r->short_fn, .node = n };

    r->short_fn = &s;
    r->functions++;
    resolve_node(r, n->a);
    r->functions--;
    r->short_fn = s.outer;
    order_params(r, n);
}

/* --- expressions ----------------------------------------------------------------------------- */

/* x |> f(a) is f(x, a); x |> f is f(x). */
static void pipe(struct resolver *r, struct node *n)
{
    struct node *x = n->a, *right = n->b;
    struct node_list args = { 0 };

    node_list_add(r->a, &args, x);
    if (right->kind == N_CALL) {
        for (size_t i = 0; i < right->list.n; i++)
            node_list_add(r->a, &args, right->list.at[i]);
        n->a = right->a;
    } else {
        n->a = right;
    }
    n->kind = N_CALL;
    n->op = 0;
    n->b = NULL;
    n->list = args;
    /* A capture is a value that is called; the other forms name what is called. */
    resolve_call(r, n);
}

static bool constant_key_equal(const struct node *a, const struct node *b)
{
    return a->kind == b->kind && (a->kind == N_ATOM || a->kind == N_STRING || a->kind == N_INT
                                  || a->kind == N_FLOAT)
           && a->number == b->number && a->text_len == b->text_len
           && memcmp(a->text, b->text, a->text_len) == 0;
}

static uint32_t key_hash(const struct node *key)
{
    uint32_t h = key->kind;

    for (uint32_t i = 0; i < key->text_len; i++)
        h = (h ^ (uint8_t)key->text[i]) * 16777619u;
    return h;
}

/* E0111: looks at constant keys through a table, so that large literals stay linear. */
static void duplicate_keys(struct resolver *r, const struct node *map)
{
    size_t cap = 8;
    const struct node **table;

    while (cap < map->list.n * 2)
        cap *= 2;
    table = ARENA_NEW_ARRAY(r->a, const struct node *, cap);
    for (size_t i = 0; i < map->list.n; i++) {
        const struct node *key = map->list.at[i]->a;
        size_t at;

        if (key->text == NULL || (key->kind != N_ATOM && key->kind != N_STRING && key->kind != N_INT
                                  && key->kind != N_FLOAT))
            continue;
        at = key_hash(key) & (cap - 1);
        while (table[at] != NULL && !constant_key_equal(table[at], key))
            at = (at + 1) & (cap - 1);
        if (table[at] != NULL) {
            struct diagnostic *it = diag_error(r->d, key->span, "E0111",
                                               "the key `%s` stands twice in this map", key->text);
            diag_note(r->d, it, "the first is in line %u",
                      source_place(&r->d->sources[key->span.file], table[at]->span.from).line);
        }
        table[at] = key;
    }
}

static void binary(struct resolver *r, struct node *n)
{
    if (n->op == TOK_PIPE) {
        pipe(r, n);
        return;
    }
    if (n->op == TOK_DIVIDE && n->flag && n->b->kind == N_INT && resolve_capture(r, n))
        return;
    resolve_node(r, n->a);
    resolve_node(r, n->b);
}

static void not_here(struct resolver *r, const struct node *n)
{
    struct diagnostic *it;

    if (n->kind == N_PIN) {
        it = diag_error(r->d, n->span, "E0106", "`^%s` stands in patterns only", n->text);
        diag_hint(r->d, it, "outside of patterns the name alone is its value: `%s`", n->text);
        return;
    }
    it = diag_error(r->d, n->mark, "E0106", "a match cannot stand inside of a value");
    diag_hint(r->d, it, "bind the name in a statement before; to compare, write ==");
}

static void try_expression(struct resolver *r, struct node *n)
{
    uint32_t outer = r->block, mark = block_enter(r);

    /* What the body binds is visible in `else`, so the block is left after that. */
    resolve_list(r, &n->a->list);
    for (size_t i = 0; i < n->a->list.n; i++)
        n->a->has_return |= n->a->list.at[i]->has_return;
    if (n->b != NULL)
        resolve_block(r, n->b);
    block_leave(r, mark, outer);
    mark = block_enter(r);
    if (n->text != NULL) {
        struct node name = { .kind = N_NAME, .span = n->mark, .text = n->text,
                             .text_len = n->text_len };

        pattern_begin(r);
        n->bound = name_bind(r, &name);
        n->bound->quiet = true;
    }
    clauses(r, &n->list);
    block_leave(r, mark, outer);
    if (n->c != NULL)
        resolve_block(r, n->c);
}

static void receive(struct resolver *r, struct node *n)
{
    clauses(r, &n->list);
    if (n->a != NULL) {
        resolve_node(r, n->a);
        resolve_block(r, n->b);
    }
}

static void match(struct resolver *r, struct node *n)
{
    bool own = n->a->kind == N_NAME && n->b->kind == N_FUNCTION && strcmp(n->a->text, "_") != 0;

    if (own) {                              /* the function may call itself */
        pattern_begin(r);
        n->a->bound = name_bind(r, n->a);
        n->a->bound->own_function = true;
        n->a->meaning = MEANS_VARIABLE;
        resolve_node(r, n->b);
        return;
    }
    if (n->b->kind == N_MATCH)
        match(r, n->b);
    else
        resolve_node(r, n->b);
    n->b->has_return |= n->b->b != NULL && n->b->kind == N_MATCH && n->b->b->has_return;
    pattern_begin(r);
    resolve_pattern(r, n->a);
}

static void cond(struct resolver *r, struct node *n)
{
    for (size_t i = 0; i < n->list.n; i++) {
        struct node *c = n->list.at[i];

        if (c->a != NULL)
            diag_error(r->d, c->a->span, "E0206", "`cond` has tests, not guards: write `and`");
        if (c->list.n > 0 && c->list.at[0]->kind == N_MATCH)
            not_here(r, c->list.at[0]);
        else
            resolve_list(r, &c->list);
        resolve_block(r, c->b);
        c->has_return = c->b->has_return || (c->list.n > 0 && c->list.at[0]->has_return);
    }
}

static void expression(struct resolver *r, struct node *n)
{
    switch (n->kind) {
    case N_NAME:
        resolve_name(r, n);
        break;
    case N_MODULE_NAME: case N_SELF: {
        bool unchecked;

        n->module = module_of(r, n, &unchecked);
        n->meaning = MEANS_MODULE;
        break;
    }
    case N_DOT_NAME:
        dot_name(r, n);
        break;
    case N_MEMBER:
        resolve_member(r, n);
        break;
    case N_CALL:
        resolve_call(r, n);
        break;
    case N_BINARY:
        binary(r, n);
        break;
    case N_SHORT_FN:
        short_fn(r, n);
        break;
    case N_FUNCTION:
        resolve_function(r, n, false);
        break;
    case N_FN:
        fn(r, n);
        break;
    case N_MAP:
        duplicate_keys(r, n);
        resolve_list(r, &n->list);
        break;
    case N_PIN: case N_MATCH:
        not_here(r, n);
        break;
    case N_CASE:
        resolve_node(r, n->a);
        clauses(r, &n->list);
        break;
    case N_COND:
        cond(r, n);
        break;
    case N_TRY:
        try_expression(r, n);
        break;
    case N_RECEIVE:
        receive(r, n);
        break;
    case N_IF:
        resolve_node(r, n->a);
        resolve_block(r, n->b);
        if (n->c != NULL)
            resolve_node(r, n->c);
        break;
    case N_BLOCK:
        resolve_block(r, n);
        break;
    case N_RETURN:
        if (r->functions == 0) {
            struct diagnostic *it = diag_error(r->d, n->span, "E0207",
                                               "`return` stands outside of a function");
            diag_hint(r->d, it, "a program ends with its last statement; print(...) shows a value");
        }
        if (n->a != NULL)
            resolve_node(r, n->a);
        break;
    default:
        resolve_list(r, &n->list);
        if (n->a != NULL)
            resolve_node(r, n->a);
        if (n->b != NULL)
            resolve_node(r, n->b);
        if (n->c != NULL)
            resolve_node(r, n->c);
    }
}

/* Does control leave the function somewhere inside n? Inner functions keep theirs. */
static bool returns(const struct node *n)
{
    if (n->kind == N_RETURN)
        return true;
    if (n->kind == N_FUNCTION || n->kind == N_FN || n->kind == N_SHORT_FN || n->kind == N_CLAUSE)
        return n->has_return;
    for (size_t i = 0; i < n->list.n; i++)
        if (n->list.at[i]->has_return)
            return true;
    return (n->a != NULL && n->a->has_return) || (n->b != NULL && n->b->has_return)
           || (n->c != NULL && n->c->has_return);
}

void resolve_node(struct resolver *r, struct node *n)
{
    if (n->kind == N_MATCH && n->flag)
        match(r, n);
    else
        expression(r, n);
    n->has_return = returns(n);
}

void resolve_list(struct resolver *r, const struct node_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        resolve_node(r, list->at[i]);
}

void resolve_block(struct resolver *r, struct node *block)
{
    uint32_t outer = r->block, mark = block_enter(r);

    resolve_list(r, &block->list);
    block->has_return = returns(block);
    block_leave(r, mark, outer);
}
