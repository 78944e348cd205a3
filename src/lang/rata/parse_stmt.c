/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parse_stmt.c - statements, blocks, clauses, functions, control
 *
 * The body of a clause is every statement up to the next clause: a statement followed by `->` or
 * `when` (in fn also by a comma) was the head of that next clause and is read again as patterns,
 * which the resolver checks.
 */
#include "lang/rata/parse_priv.h"

#include <stdio.h>

/* --- statements ------------------------------------------------------------------------------ */

static bool ends_statement(const struct parser *p)
{
    const struct token *t = peek(p);

    return (t->newline && p->newlines) || t->kind == TOK_SEMICOLON || t->kind == TOK_BRACE_END
           || t->kind == TOK_END_FN || t->kind == TOK_END || t->kind == TOK_COMMA;
}

static struct node *return_statement(struct parser *p)
{
    struct node *n = parse_node(p, N_RETURN, parse_next(p));

    if (!ends_statement(p))
        n->a = parse_expression(p);
    return parse_finish(p, n);
}

static struct node *assert_statement(struct parser *p)
{
    struct node *n = parse_node(p, N_ASSERT, parse_next(p));

    n->a = parse_expression(p);
    if (at(p, TOK_COMMA)) {
        parse_next(p);
        n->b = parse_expression(p);
    }
    return parse_finish(p, n);
}

static NORETURN void misplaced(struct parser *p, const char *hint)
{
    const struct token *t = peek(p);

    parse_fail(p, token_span(p, t), "E0206", hint, "`%s` cannot stand here", token_name(t->kind));
}

struct node *parse_statement(struct parser *p)
{
    struct node *left, *n;

    switch (peek(p)->kind) {
    case TOK_RETURN:
        return return_statement(p);
    case TOK_ASSERT:
        return assert_statement(p);
    case TOK_LIBRARY:
        misplaced(p, "`library` stands at the top level of a file or directly in a module");
    case TOK_MODULE:
        misplaced(p, "a module stands at the top level of a file or directly in a module");
    case TOK_USE: case TOK_AT: case TOK_PRIVATE:
        misplaced(p, "this belongs directly into a module: module Name { ... }");
    default:
        break;
    }
    left = parse_expression(p);
    if (!at(p, TOK_EQ) || (peek(p)->newline && p->newlines))
        return left;
    n = parse_node(p, N_MATCH, parse_next(p));
    n->flag = true;
    n->span.from = left->span.from;
    n->a = left;
    parse_enter(p, peek(p));
    /* a = b = c: the inner match is the value, and a pattern when an arrow follows. */
    n->b = parse_statement(p);
    p->nest--;
    if (n->b->kind == N_RETURN || n->b->kind == N_ASSERT)
        parse_fail(p, n->b->span, "E0106", NULL, "expected an expression after `=`");
    return parse_finish(p, n);
}

static void end_of_statement(struct parser *p, enum tok close)
{
    const struct token *t = peek(p);

    if (t->newline || t->kind == TOK_SEMICOLON || t->kind == close || t->kind == TOK_END)
        return;
    parse_unexpected(p, "a new line or `;` after the statement");
}

static struct node *block_statement(struct parser *p)
{
    struct node *n = parse_statement(p);

    end_of_statement(p, TOK_BRACE_END);
    return n;
}

static struct node *block(struct parser *p, const char *what)
{
    const struct token *open;
    struct node *n;
    bool newlines = p->newlines;

    if (!at(p, TOK_BRACE)) {
        char wanted[80];

        snprintf(wanted, sizeof wanted, "`{` and %s", what);
        parse_unexpected(p, wanted);
    }
    open = parse_next(p);
    n = parse_node(p, N_BLOCK, open);
    parse_enter(p, open);
    p->newlines = true;
    for (;;) {
        while (parse_accept(p, TOK_SEMICOLON))
            continue;
        if (at(p, TOK_BRACE_END) || at(p, TOK_END) || peek(p)->depth <= open->depth)
            break;
        parse_add(p, n, parse_guarded(p, block_statement, open->depth + 1));
    }
    p->newlines = newlines;
    parse_close(p, TOK_BRACE_END, open, what);
    p->nest--;
    return parse_finish(p, n);
}

/* --- clauses --------------------------------------------------------------------------------- */

/* What is being read: the clauses of case and its like, or of fn. */
struct clauses {
    enum tok close;
    uint32_t depth;                 /* of the tokens inside */
    struct node *head;              /* read as a statement, in fact the next clause's pattern */
};

static bool head_follows(const struct parser *p, enum tok close)
{
    return at(p, TOK_ARROW) || at(p, TOK_WHEN) || (close == TOK_END_FN && at(p, TOK_COMMA));
}

static struct node *clause_statement(struct parser *p)
{
    struct node *n = parse_statement(p);
    const struct token *t = peek(p);

    if (t->kind != TOK_ARROW && t->kind != TOK_WHEN && t->kind != TOK_COMMA)
        end_of_statement(p, t->kind == TOK_END_FN ? TOK_END_FN : TOK_BRACE_END);
    return n;
}

/* Statements up to what closes the clauses or begins the next one. */
static struct node *clause_body(struct parser *p, struct clauses *cs)
{
    struct node *body = parse_node(p, N_BLOCK, peek(p));

    cs->head = NULL;
    for (;;) {
        struct node *n;

        while (parse_accept(p, TOK_SEMICOLON))
            continue;
        if (at(p, cs->close) || at(p, TOK_END) || peek(p)->depth < cs->depth)
            break;
        if (cs->close == TOK_BRACE_END && parse_accept(p, TOK_COMMA))
            break;
        n = parse_guarded(p, clause_statement, cs->depth);
        if (n->kind != N_ERROR && head_follows(p, cs->close)) {
            cs->head = n;
            break;
        }
        parse_add(p, body, n);
    }
    if (body->list.n > 0) {
        body->span = body->list.at[0]->span;
        body->span.to = body->list.at[body->list.n - 1]->span.to;
        for (size_t i = 0; i < body->list.n; i++)
            if (body->list.at[i]->depth >= body->depth)
                body->depth = (uint16_t)(body->list.at[i]->depth + 1);
    }
    return body;
}

static struct node *clause(struct parser *p, struct clauses *cs)
{
    struct node *n = parse_node(p, N_CLAUSE, peek(p));
    const struct token *arrow;

    if (cs->head != NULL) {
        n->span.from = cs->head->span.from;
        parse_add(p, n, cs->head);
    } else if (cs->close != TOK_END_FN || (!at(p, TOK_ARROW) && !at(p, TOK_WHEN))) {
        parse_add(p, n, parse_statement(p));
    }
    while (cs->close == TOK_END_FN && n->list.n > 0 && parse_accept(p, TOK_COMMA))
        parse_add(p, n, parse_statement(p));
    if (parse_accept(p, TOK_WHEN))
        n->a = parse_expression(p);
    arrow = parse_expect(p, TOK_ARROW, "after the pattern of a clause");
    n->mark = token_span(p, arrow);
    n->flag = !peek(p)->newline;
    n->b = clause_body(p, cs);
    if (n->b->list.n == 0)
        n->b->span = n->mark;
    return parse_finish(p, n);
}

static void clauses(struct parser *p, struct node *into, const struct token *open)
{
    struct clauses cs = { .close = open->kind == TOK_FN ? TOK_END_FN : TOK_BRACE_END,
                          .depth = open->depth + 1 };
    bool newlines = p->newlines;

    parse_enter(p, open);
    p->newlines = true;
    for (;;) {
        while (cs.head == NULL && parse_accept(p, TOK_SEMICOLON))
            continue;
        if (cs.head == NULL && (at(p, cs.close) || at(p, TOK_END)))
            break;
        parse_add(p, into, clause(p, &cs));
    }
    p->newlines = newlines;
    parse_close(p, cs.close, open, cs.close == TOK_END_FN ? "this fn" : "the clauses");
    p->nest--;
}

/* --- functions ------------------------------------------------------------------------------- */

static struct node *type(struct parser *p)
{
    const struct token *t = peek(p);
    struct node *n = parse_node(p, N_TYPE, t);

    if (t->kind == TOK_BRACKET) {
        parse_enter(p, parse_next(p));
        n->a = type(p);
        p->nest--;
        parse_close(p, TOK_BRACKET_END, t, "the type");
    } else if (t->kind == TOK_NAME || t->kind == TOK_MODULE_NAME || t->kind == TOK_FUNCTION
               || t->kind == TOK_NIL) {
        parse_next(p);
        n->text = token_is_word(t->kind) ? token_name(t->kind) : t->text;
        n->text_len = (uint32_t)(t->to - t->from);
    } else {
        parse_unexpected(p, "a type");
    }
    return parse_finish(p, n);
}

static struct node *parameter(struct parser *p)
{
    const struct token *t = peek(p);
    struct node *n = parse_node(p, N_PARAM, t);

    if (t->kind == TOK_KEY) {
        parse_next(p);
        n->a = parse_node(p, N_NAME, t);
        n->a->span.to = t->from + t->len;
        parse_text(n->a, t);
        n->c = type(p);
    } else {
        n->a = parse_expression(p);
    }
    if (parse_accept(p, TOK_EQ)) {
        struct node *right = parse_expression(p);

        /* {a, b} = whole is a pattern; name = value is a default. */
        if (n->a->kind != N_NAME && right->kind == N_NAME) {
            struct node *both = parse_node(p, N_MATCH, t);

            both->a = n->a;
            both->b = right;
            n->a = parse_finish(p, both);
            if (parse_accept(p, TOK_EQ))
                n->b = parse_expression(p);
        } else {
            n->b = right;
        }
    }
    return parse_finish(p, n);
}

struct node *parse_function(struct parser *p)
{
    struct node *n = parse_node(p, N_FUNCTION, parse_next(p));
    const struct token *open = parse_expect(p, TOK_PAREN, "and the parameters after `function`");
    bool newlines = p->newlines;

    p->newlines = false;
    if (!at(p, TOK_PAREN_END)) {
        do {
            parse_add(p, n, parameter(p));
        } while (parse_accept(p, TOK_COMMA));
    }
    parse_close(p, TOK_PAREN_END, open, "the parameters");
    p->newlines = newlines;
    if (parse_accept(p, TOK_WHEN))
        n->a = parse_expression(p);
    if (parse_accept(p, TOK_ARROW))
        n->b = type(p);
    n->c = block(p, "the body of the function");
    return parse_finish(p, n);
}

struct node *parse_fn(struct parser *p)
{
    const struct token *open = parse_next(p);
    struct node *n = parse_node(p, N_FN, open);

    clauses(p, n, open);
    return parse_finish(p, n);
}

/* --- control --------------------------------------------------------------------------------- */

static struct node *if_expression(struct parser *p)
{
    struct node *n = parse_node(p, N_IF, parse_next(p));

    n->a = parse_expression(p);
    n->b = block(p, "what to do if it is true");
    if (parse_accept(p, TOK_ELSE)) {
        if (at(p, TOK_IF)) {
            parse_enter(p, peek(p));
            n->c = if_expression(p);
            p->nest--;
        } else {
            n->c = block(p, "what to do otherwise");
        }
    }
    return parse_finish(p, n);
}

static void braced_clauses(struct parser *p, struct node *into, const char *where)
{
    clauses(p, into, parse_expect(p, TOK_BRACE, where));
}

static struct node *try_expression(struct parser *p)
{
    struct node *n = parse_node(p, N_TRY, parse_next(p));

    n->a = block(p, "what to try");
    if (parse_accept(p, TOK_CATCH)) {
        if (parse_accept(p, TOK_AS)) {
            const struct token *t = parse_expect(p, TOK_NAME, "after `as`");

            parse_text(n, t);
            n->mark = token_span(p, t);
        }
        braced_clauses(p, n, "and clauses after `catch`");
    }
    if (parse_accept(p, TOK_ELSE))
        n->b = block(p, "what to do without an exception");
    if (parse_accept(p, TOK_AFTER))
        n->c = block(p, "what to do in any case");
    return parse_finish(p, n);
}

static struct node *receive_expression(struct parser *p)
{
    struct node *n = parse_node(p, N_RECEIVE, parse_next(p));

    braced_clauses(p, n, "and clauses after `receive`");
    if (parse_accept(p, TOK_AFTER)) {
        n->a = parse_expression(p);
        n->b = block(p, "what to do when nothing comes");
    }
    return parse_finish(p, n);
}

struct node *parse_control(struct parser *p)
{
    const struct token *t = peek(p);
    struct node *n;

    switch (t->kind) {
    case TOK_IF:
        return if_expression(p);
    case TOK_TRY:
        return try_expression(p);
    case TOK_RECEIVE:
        return receive_expression(p);
    case TOK_CASE:
        n = parse_node(p, N_CASE, parse_next(p));
        n->a = parse_expression(p);
        braced_clauses(p, n, "and clauses after the value");
        return parse_finish(p, n);
    default:
        n = parse_node(p, N_COND, parse_next(p));
        braced_clauses(p, n, "and clauses after `cond`");
        return parse_finish(p, n);
    }
}
