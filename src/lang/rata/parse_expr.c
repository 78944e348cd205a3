/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parse_expr.c - operators, calls, values
 *
 * Operators are read by precedence climbing (Richards, "Parsing expressions by recursive
 * descent"): one table row per operator, loosest level first.
 */
#include "lang/rata/parse_priv.h"

#include <string.h>

/* --- operators ------------------------------------------------------------------------------- */

static const struct binary { uint8_t tok, level; bool right, continues; } binaries[] = {
    { TOK_OR, 1, false, true },         { TOK_OR_OR, 1, false, true },
    { TOK_AND, 2, false, true },        { TOK_AND_AND, 2, false, true },
    { TOK_EQUAL, 4, false, false },     { TOK_NOT_EQUAL, 4, false, false },
    { TOK_IDENTICAL, 4, false, false }, { TOK_NOT_IDENTICAL, 4, false, false },
    { TOK_LESS, 5, false, false },      { TOK_LESS_EQUAL, 5, false, false },
    { TOK_GREATER, 5, false, false },   { TOK_GREATER_EQUAL, 5, false, false },
    { TOK_PIPE, 6, false, true },
    { TOK_IN, 7, false, false },        { TOK_NOT, 7, false, false },
    { TOK_APPEND, 8, true, true },      { TOK_REMOVE, 8, true, false },
    { TOK_CONCAT, 8, true, true },      { TOK_RANGE, 8, true, false },
    { TOK_PLUS, 9, false, false },      { TOK_MINUS, 9, false, false },
    { TOK_TIMES, 10, false, false },    { TOK_DIVIDE, 10, false, false },
    { TOK_MODULO, 10, false, false },
};

/* The operator at the next token, unless a newline before it ended the expression. */
static const struct binary *operator_here(const struct parser *p)
{
    const struct token *t = peek(p);

    for (size_t i = 0; i < ARRAY_LEN(binaries); i++) {
        const struct binary *b = &binaries[i];

        if (b->tok != t->kind)
            continue;
        if (t->newline && p->newlines && !b->continues)
            return NULL;
        if (t->kind == TOK_NOT && kind_at(p, 1) != TOK_IN)
            return NULL;
        return b;
    }
    return NULL;
}

static struct node *unary(struct parser *p);
static struct node *primary(struct parser *p);

/* f/2 written without blanks may name a function; the resolver decides. */
static bool may_capture(const struct parser *p, const struct node *left)
{
    const struct token *slash = peek(p), *number = slash + 1;

    return slash->kind == TOK_DIVIDE && !slash->space && number->kind == TOK_INT && !number->space
           && (left->kind == N_NAME || left->kind == N_MEMBER);
}

static struct node *binary(struct parser *p, unsigned level)
{
    struct node *left = unary(p);
    const struct binary *op;

    while ((op = operator_here(p)) != NULL && op->level >= level) {
        struct node *n = parse_node(p, N_BINARY, peek(p));

        n->op = op->tok;
        n->flag = may_capture(p, left);
        parse_next(p);
        if (op->tok == TOK_NOT)
            parse_next(p);
        n->span.from = left->span.from;
        n->a = left;
        if (op->right) {
            parse_enter(p, peek(p));
            n->b = binary(p, op->level);
            p->nest--;
        } else {
            n->b = binary(p, op->level + 1u);
        }
        left = parse_finish(p, n);
    }
    return left;
}

struct node *parse_expression(struct parser *p)
{
    struct node *n;

    parse_enter(p, peek(p));
    n = binary(p, 1);
    p->nest--;
    return n;
}

static struct node *prefix(struct parser *p, enum node_kind kind,
                           struct node *(*operand)(struct parser *))
{
    const struct token *t = parse_next(p);
    struct node *n = parse_node(p, kind, t);

    n->op = kind == N_UNARY ? t->kind : 0;
    parse_enter(p, t);
    n->a = operand(p);
    p->nest--;
    return parse_finish(p, n);
}

/* --- calls, indices, members ----------------------------------------------------------------- */

/* key: value, ... up to the closing bracket, which stays. */
static struct node *keywords(struct parser *p)
{
    struct node *n = parse_node(p, N_KEYWORDS, peek(p));

    do {
        const struct token *t = parse_expect(p, TOK_KEY, "after the other keys");
        struct node *pair = parse_node(p, N_PAIR, t), *key = parse_node(p, N_ATOM, t);

        parse_text(key, t);
        pair->flag = true;
        pair->a = key;
        pair->b = parse_expression(p);
        parse_add(p, n, parse_finish(p, pair));
    } while (parse_accept(p, TOK_COMMA));
    return parse_finish(p, n);
}

/* In what may turn out a pattern, pattern = pattern may stand. */
static struct node *element(struct parser *p)
{
    struct node *left = parse_expression(p), *n;

    if (!at(p, TOK_EQ))
        return left;
    n = parse_node(p, N_MATCH, parse_next(p));
    n->span.from = left->span.from;
    n->a = left;
    parse_enter(p, peek(p));
    n->b = element(p);
    p->nest--;
    return parse_finish(p, n);
}

static void arguments(struct parser *p, struct node *call)
{
    const struct token *open = parse_next(p);
    bool newlines = p->newlines;

    p->newlines = false;
    if (!at(p, TOK_PAREN_END)) {
        do {
            if (at(p, TOK_KEY)) {
                parse_add(p, call, keywords(p));
                break;
            }
            parse_add(p, call, parse_expression(p));
        } while (parse_accept(p, TOK_COMMA));
    }
    p->newlines = newlines;
    parse_close(p, TOK_PAREN_END, open, "the arguments");
}

static struct node *index_of(struct parser *p, struct node *left)
{
    const struct token *open = parse_next(p);
    struct node *n = parse_node(p, N_INDEX, open);
    bool newlines = p->newlines;

    n->span.from = left->span.from;
    p->newlines = false;
    n->a = left;
    n->b = parse_expression(p);
    p->newlines = newlines;
    parse_close(p, TOK_BRACKET_END, open, "the index");
    return parse_finish(p, n);
}

static struct node *member_of(struct parser *p, struct node *left)
{
    struct node *n = parse_node(p, N_MEMBER, parse_next(p));
    const struct token *t = peek(p);

    if (t->kind == TOK_MODULE_NAME)
        parse_next(p);
    else
        t = parse_expect(p, TOK_NAME, "after the point");
    n->a = left;
    n->span.from = left->span.from;
    n->mark = token_span(p, t);
    parse_text(n, t);
    return parse_finish(p, n);
}

static struct node *postfix(struct parser *p)
{
    struct node *left = primary(p);

    for (;;) {
        const struct token *t = peek(p);

        if (t->kind == TOK_PAREN && !t->space) {
            struct node *n = parse_node(p, N_CALL, t);

            n->span.from = left->span.from;
            n->a = left;
            arguments(p, n);
            left = parse_finish(p, n);
        } else if (t->kind == TOK_BRACKET && !t->space) {
            left = index_of(p, left);
        } else if (t->kind == TOK_DOT && !(t->newline && p->newlines)) {
            left = member_of(p, left);
        } else {
            return left;
        }
    }
}

static struct node *power(struct parser *p)
{
    struct node *left = postfix(p), *n;

    if (!at(p, TOK_POWER) || (peek(p)->newline && p->newlines))
        return left;
    n = parse_node(p, N_BINARY, parse_next(p));
    n->op = TOK_POWER;
    n->span.from = left->span.from;
    n->a = left;
    parse_enter(p, peek(p));
    n->b = unary(p);
    p->nest--;
    return parse_finish(p, n);
}

static struct node *unary(struct parser *p)
{
    switch (peek(p)->kind) {
    case TOK_MINUS: case TOK_BANG: case TOK_NOT:
        return prefix(p, N_UNARY, unary);
    case TOK_TILDE:
        return prefix(p, N_SHORT_FN, parse_expression);
    case TOK_RAISE:
        return prefix(p, N_RAISE, parse_expression);
    case TOK_RERAISE:
        return prefix(p, N_RERAISE, parse_expression);
    default:
        return power(p);
    }
}

/* --- values ---------------------------------------------------------------------------------- */

static struct node *leaf(struct parser *p, enum node_kind kind)
{
    const struct token *t = parse_next(p);
    struct node *n = parse_node(p, kind, t);

    parse_text(n, t);
    n->number = t->base;
    return n;
}

static struct node *word_atom(struct parser *p)
{
    const struct token *t = parse_next(p);
    struct node *n = parse_node(p, N_ATOM, t);

    n->text = token_name(t->kind);
    n->text_len = (uint32_t)strlen(n->text);
    n->flag = true;
    return n;
}

static struct node *paren(struct parser *p)
{
    const struct token *open = parse_next(p);
    struct node *n = parse_node(p, N_PAREN, open);
    bool newlines = p->newlines;

    p->newlines = false;
    n->a = parse_expression(p);
    p->newlines = newlines;
    parse_close(p, TOK_PAREN_END, open, "the parenthesis");
    return parse_finish(p, n);
}

static struct node *vector(struct parser *p)
{
    const struct token *open = parse_next(p);
    struct node *n = parse_node(p, N_VECTOR, open);
    bool newlines = p->newlines, comma = !at(p, TOK_BRACKET_END);

    p->newlines = false;
    while (comma && !at(p, TOK_KEY)) {
        parse_add(p, n, element(p));
        comma = parse_accept(p, TOK_COMMA);
    }
    if (comma)
        parse_add(p, n, keywords(p));
    else if (n->list.n > 0 && parse_accept(p, TOK_BAR))
        n->a = element(p);
    p->newlines = newlines;
    parse_close(p, TOK_BRACKET_END, open, "the vector");
    return parse_finish(p, n);
}

/* key: value or key => value, whose key has been read when it is an expression. */
static struct node *pair(struct parser *p, struct node *key)
{
    struct node *n = parse_node(p, N_PAIR, peek(p));

    if (key == NULL && at(p, TOK_KEY)) {
        const struct token *t = parse_next(p);

        key = parse_node(p, N_ATOM, t);
        parse_text(key, t);
        n->flag = true;
    } else {
        if (key == NULL)
            key = parse_expression(p);
        parse_expect(p, TOK_FAT_ARROW, "after a key of a map");
    }
    n->span.from = key->span.from;
    n->a = key;
    n->b = element(p);
    return parse_finish(p, n);
}

static void pairs(struct parser *p, struct node *map, struct node *first_key)
{
    map->kind = N_MAP;
    parse_add(p, map, pair(p, first_key));
    while (parse_accept(p, TOK_COMMA))
        parse_add(p, map, pair(p, NULL));
}

static struct node *braces(struct parser *p)
{
    const struct token *open = parse_next(p);
    struct node *n = parse_node(p, N_TUPLE, open);
    bool newlines = p->newlines;

    p->newlines = false;
    if (at(p, TOK_KEY)) {
        pairs(p, n, NULL);
    } else if (!at(p, TOK_BRACE_END)) {
        struct node *first = element(p);

        if (at(p, TOK_FAT_ARROW)) {
            pairs(p, n, first);
        } else {
            parse_add(p, n, first);
            while (parse_accept(p, TOK_COMMA)) {
                if (at(p, TOK_KEY)) {
                    parse_add(p, n, keywords(p));
                    break;
                }
                parse_add(p, n, element(p));
            }
        }
    }
    p->newlines = newlines;
    parse_close(p, TOK_BRACE_END, open, n->kind == N_MAP ? "the map" : "the tuple");
    return parse_finish(p, n);
}

static struct node *set(struct parser *p)
{
    const struct token *open = parse_next(p);
    struct node *n = parse_node(p, N_SET, open);
    bool newlines = p->newlines;

    p->newlines = false;
    if (!at(p, TOK_BRACE_END)) {
        do {
            parse_add(p, n, parse_expression(p));
        } while (parse_accept(p, TOK_COMMA));
    }
    p->newlines = newlines;
    parse_close(p, TOK_BRACE_END, open, "the set");
    return parse_finish(p, n);
}

static struct node *fstring(struct parser *p)
{
    struct node *n = parse_node(p, N_FSTRING, parse_next(p));
    bool newlines = p->newlines;

    p->newlines = false;
    for (;;) {
        if (at(p, TOK_STRING)) {
            parse_add(p, n, leaf(p, N_STRING));
        } else if (at(p, TOK_HOLE)) {
            const struct token *open = parse_next(p);

            parse_add(p, n, parse_expression(p));
            parse_close(p, TOK_HOLE_END, open, "the hole of the string");
        } else {
            break;
        }
    }
    p->newlines = newlines;
    parse_expect(p, TOK_FSTRING_END, "of the string");
    return parse_finish(p, n);
}

static struct node *dot_name(struct parser *p)
{
    const struct token *dot = parse_next(p), *t = parse_expect(p, TOK_NAME, "after the point");
    struct node *n = parse_node(p, N_DOT_NAME, dot);

    parse_text(n, t);
    return parse_finish(p, n);
}

static struct node *pin(struct parser *p)
{
    struct node *n = parse_node(p, N_PIN, parse_next(p));

    parse_text(n, parse_expect(p, TOK_NAME, "after `^`"));
    return parse_finish(p, n);
}

static struct node *primary(struct parser *p)
{
    switch (peek(p)->kind) {
    case TOK_INT:         return leaf(p, N_INT);
    case TOK_FLOAT:       return leaf(p, N_FLOAT);
    case TOK_STRING:      return leaf(p, N_STRING);
    case TOK_ATOM:        return leaf(p, N_ATOM);
    case TOK_NAME:        return leaf(p, N_NAME);
    case TOK_MODULE_NAME: return leaf(p, N_MODULE_NAME);
    case TOK_SELF:        return leaf(p, N_SELF);
    case TOK_TRUE: case TOK_FALSE: case TOK_NIL:
        return word_atom(p);
    case TOK_FSTRING:     return fstring(p);
    case TOK_PAREN:       return paren(p);
    case TOK_BRACKET:     return vector(p);
    case TOK_BRACE:       return braces(p);
    case TOK_SET:         return set(p);
    case TOK_EMPTY_MAP:   return parse_node(p, N_MAP, parse_next(p));
    case TOK_DOT:         return dot_name(p);
    case TOK_POWER:       return pin(p);
    case TOK_FUNCTION:    return parse_function(p);
    case TOK_FN:          return parse_fn(p);
    case TOK_IF: case TOK_CASE: case TOK_COND: case TOK_TRY: case TOK_RECEIVE:
        return parse_control(p);
    default:
        parse_unexpected(p, "an expression");
    }
}
