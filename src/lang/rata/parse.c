/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parse.c - the parser's tokens, errors and recovery; items and modules
 */
#include "lang/rata/parse_priv.h"

#include "base/assert.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* --- tokens ---------------------------------------------------------------------------------- */

const struct token *parse_next(struct parser *p)
{
    const struct token *t = peek(p);

    if (t->kind != TOK_END)
        p->i++;
    return t;
}

bool parse_accept(struct parser *p, enum tok k)
{
    if (!at(p, k))
        return false;
    parse_next(p);
    return true;
}

struct span token_span(const struct parser *p, const struct token *t)
{
    return (struct span){ p->file, t->from, t->to };
}

const struct token *parse_expect(struct parser *p, enum tok k, const char *where)
{
    char wanted[120];

    if (at(p, k))
        return parse_next(p);
    snprintf(wanted, sizeof wanted, token_is_word(k) ? "`%s` %s" : "%s %s", token_name(k), where);
    parse_unexpected(p, wanted);
}

static const char *closing_text(enum tok k)
{
    return k == TOK_HOLE_END ? "}" : token_name(k);
}

void parse_close(struct parser *p, enum tok k, const struct token *open, const char *what)
{
    struct place from;
    struct diagnostic *it;

    if (parse_accept(p, k))
        return;
    from = source_place(&p->d->sources[p->file], open->from);
    if (!at(p, TOK_END)) {
        char wanted[160];

        snprintf(wanted, sizeof wanted, "`%s` to close %s of line %u", closing_text(k), what,
                 from.line);
        parse_unexpected(p, wanted);
    }
    if (!p->ended) {
        it = diag_error(p->d, token_span(p, peek(p)), "E0103", "the file ends inside %s", what);
        diag_hint(p->d, it, "add `%s`: it was opened in line %u, column %u", closing_text(k),
                  from.line, from.column);
    }
    p->ended = p->out->incomplete = true;
    longjmp(*p->recover, 1);
}

/* --- errors ---------------------------------------------------------------------------------- */

void parse_fail(struct parser *p, struct span at, const char *code, const char *hint,
                const char *fmt, ...)
{
    char text[300];
    va_list ap;
    struct diagnostic *it;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    /* One error per place; and none about what an open string has swallowed. */
    if (at.from < p->tokens.open_from && !(p->failed && p->failed_at == at.from)) {
        it = diag_error(p->d, at, code, "%s", text);
        if (hint != NULL)
            diag_hint(p->d, it, "%s", hint);
    }
    p->failed = true;
    p->failed_at = at.from;
    longjmp(*p->recover, 1);
}

/* The token as the reader sees it. */
static void describe(const struct parser *p, const struct token *t, char *buf, size_t size)
{
    const char *text = p->d->sources[p->file].text + t->from;
    int len = (int)(t->to - t->from);

    if (t->kind == TOK_END)
        snprintf(buf, size, "the end of the file");
    else if (t->kind == TOK_STRING || t->kind == TOK_FSTRING)
        snprintf(buf, size, "a string");
    else
        snprintf(buf, size, "`%.*s`", len < 60 ? len : 60, text);
}

static const char *hint_for(const struct parser *p, const struct token *t)
{
    if (t->keyword_text || (t->kind >= TOK_AND && t->kind <= TOK_WHEN))
        return t->kind == TOK_END_FN ? "`end` closes `fn` only; blocks close with `}`" : NULL;
    if (t->kind == TOK_EQ)
        return "`=` binds a name, in a statement of its own; to compare, write ==";
    if (t->kind == TOK_KEY)
        return "keys with a colon stand in maps, in keyword lists and before the type of a "
               "parameter";
    if (t->kind == TOK_BRACE && p->i > 0 && p->tokens.at[p->i - 1].kind == TOK_NAME && t->space)
        return "blocks follow if, case, cond, try, receive, function(...) and module NAME";
    if ((t->kind == TOK_PAREN || t->kind == TOK_BRACKET) && t->space)
        return "a call or an index follows its left side without a blank";
    return NULL;
}

void parse_unexpected(struct parser *p, const char *wanted)
{
    const struct token *t = peek(p);
    char what[80];

    if (t->kind == TOK_BAD)                     /* the lexer has reported it */
        longjmp(*p->recover, 1);
    if (t->kind == TOK_END) {
        if (!p->ended)
            diag_error(p->d, token_span(p, t), "E0103", "the file ends where %s should follow",
                       wanted);
        p->ended = p->out->incomplete = true;
        longjmp(*p->recover, 1);
    }
    describe(p, t, what, sizeof what);
    parse_fail(p, token_span(p, t), "E0106", hint_for(p, t), "expected %s, found %s", wanted, what);
}

static bool closes(const struct token *t)
{
    return t->kind == TOK_BRACE_END || t->kind == TOK_PAREN_END || t->kind == TOK_BRACKET_END
           || t->kind == TOK_END_FN || t->kind == TOK_HOLE_END;
}

/* Skip to the next token that may begin a statement in a block whose tokens have that depth, or
 * to what closes the block. A bracket of the block's own depth closes something in the statement.
 * At least one token goes if none was taken since `start`. */
static void skip_statement(struct parser *p, uint32_t depth, size_t start)
{
    const struct token *t;

    if (p->i == start && !at(p, TOK_END) && peek(p)->depth >= depth)
        p->i++;
    while ((t = peek(p))->kind != TOK_END && t->depth >= depth
           && !(t->depth == depth && p->i > start && !closes(t)
                && (t->newline || t->kind == TOK_SEMICOLON)))
        p->i++;
}

struct node *parse_guarded(struct parser *p, struct node *(*rule)(struct parser *), uint32_t depth)
{
    jmp_buf here, *outer = p->recover;
    bool newlines = p->newlines;
    unsigned nest = p->nest;
    size_t start = p->i;
    struct node *n;

    if (_setjmp(here) == 0) {
        p->recover = &here;
        n = rule(p);
        p->recover = outer;
        return n;
    }
    p->recover = outer;
    p->newlines = newlines;
    p->nest = nest;
    skip_statement(p, depth, start);
    return parse_node(p, N_ERROR, peek(p));
}

void parse_enter(struct parser *p, const struct token *t)
{
    if (++p->nest > PARSE_NEST_MAX)
        parse_fail(p, token_span(p, t), "E0106",
                   "give an inner part a name, or a function of its own",
                   "more than %d constructs inside one another", PARSE_NEST_MAX);
}

/* --- nodes ----------------------------------------------------------------------------------- */

struct node *parse_node(struct parser *p, enum node_kind kind, const struct token *first)
{
    struct node *n = ARENA_NEW(p->d->arena, struct node);

    n->kind = (uint8_t)kind;
    n->span = n->mark = token_span(p, first);
    n->depth = 1;
    return n;
}

void parse_text(struct node *n, const struct token *t)
{
    n->text = t->text;
    n->text_len = t->len;
}

void parse_add(struct parser *p, struct node *n, struct node *kid)
{
    node_list_add(p->d->arena, &n->list, kid);
}

static void deepen(struct node *n, const struct node *kid)
{
    if (kid != NULL && kid->depth >= n->depth)
        n->depth = (uint16_t)(kid->depth + 1);
}

struct node *parse_finish(struct parser *p, struct node *n)
{
    ASSERT(p->i > 0);
    n->span.to = p->tokens.at[p->i - 1].to;
    deepen(n, n->a);
    deepen(n, n->b);
    deepen(n, n->c);
    for (size_t i = 0; i < n->list.n; i++)
        deepen(n, n->list.at[i]);
    if (n->depth > NODE_DEPTH_MAX)
        parse_fail(p, n->span, "E0106", "give an inner part a name, or a function of its own",
                   "this expression is nested more than %d deep", NODE_DEPTH_MAX);
    return n;
}

/* --- modules --------------------------------------------------------------------------------- */

/* A.B.C, read as one MODULE_NAME whose text is the whole path. */
static struct node *module_path(struct parser *p, const char *where)
{
    const struct token *first = parse_expect(p, TOK_MODULE_NAME, where);
    struct node *n = parse_node(p, N_MODULE_NAME, first);
    struct buf path = { 0 };

    buf_add(&path, first->text, first->len);
    while (at(p, TOK_DOT) && kind_at(p, 1) == TOK_MODULE_NAME) {
        const struct token *t;

        parse_next(p);
        t = parse_next(p);
        buf_u8(&path, '.');
        buf_add(&path, t->text, t->len);
    }
    n->text = arena_strndup(p->d->arena, (char *)path.data, path.len);
    n->text_len = (uint32_t)path.len;
    buf_fini(&path);
    return parse_finish(p, n);
}

static struct node *string_node(struct parser *p, enum node_kind kind)
{
    const struct token *t = parse_next(p);
    struct node *n = parse_node(p, kind, t);

    parse_text(n, t);
    return n;
}

static struct node *library(struct parser *p)
{
    struct node *n = parse_node(p, N_LIBRARY, parse_next(p));

    if (at(p, TOK_STRING))
        n->a = string_node(p, N_STRING);
    else if (at(p, TOK_ATOM))
        n->a = string_node(p, N_ATOM);
    else
        n->a = module_path(p, "after `library`");
    if (parse_accept(p, TOK_AS)) {
        const struct token *t = peek(p);

        if (t->kind != TOK_MODULE_NAME)
            t = parse_expect(p, TOK_NAME, "after `as`");
        else
            parse_next(p);
        parse_text(n, t);
        n->mark = token_span(p, t);
    }
    return parse_finish(p, n);
}

static struct node *attribute(struct parser *p)
{
    struct node *n = parse_node(p, N_ATTRIBUTE, parse_next(p));
    const struct token *t = parse_expect(p, TOK_NAME, "after `@`");

    parse_text(n, t);
    n->a = parse_expression(p);
    return parse_finish(p, n);
}

static struct node *definition(struct parser *p, bool private)
{
    const struct token *t = parse_expect(p, TOK_NAME, "to define");
    struct node *n = parse_node(p, N_DEF, t);

    parse_text(n, t);
    n->flag = private;
    parse_expect(p, TOK_EQ, "after the name of a definition");
    n->a = parse_expression(p);
    return parse_finish(p, n);
}

static NORETURN void not_a_member(struct parser *p, struct node *n)
{
    parse_fail(p, n->span, "E0206", "statements stand in functions or outside of modules",
               "a module holds definitions, not statements");
}

static struct node *module(struct parser *p);

static struct node *member(struct parser *p)
{
    switch (peek(p)->kind) {
    case TOK_STRING:
        return string_node(p, N_STRING);
    case TOK_AT:
        return attribute(p);
    case TOK_USE: {
        struct node *n = parse_node(p, N_USE, parse_next(p));

        n->a = module_path(p, "after `use`");
        return parse_finish(p, n);
    }
    case TOK_LIBRARY:
        return library(p);
    case TOK_MODULE:
        return module(p);
    case TOK_ASSERT:
        return parse_statement(p);
    case TOK_PRIVATE:
        parse_next(p);
        return definition(p, true);
    case TOK_NAME:
        if (kind_at(p, 1) == TOK_EQ)
            return definition(p, false);
        not_a_member(p, parse_statement(p));
    case TOK_BAD:
    case TOK_END:
    case TOK_BRACE_END:
        parse_unexpected(p, "a definition");
    default:
        not_a_member(p, parse_statement(p));
    }
}

/* A member must end its line, like a statement. */
static void end_of_member(struct parser *p, enum tok close)
{
    const struct token *t = peek(p);

    if (!t->newline && t->kind != TOK_SEMICOLON && t->kind != close && t->kind != TOK_END)
        parse_unexpected(p, "a new line or `;`");
}

static struct node *member_line(struct parser *p)
{
    struct node *n = member(p);

    end_of_member(p, TOK_BRACE_END);
    return n;
}

static struct node *module(struct parser *p)
{
    const struct token *open, *first = parse_next(p);
    struct node *n = parse_node(p, N_MODULE, first), *name;
    bool newlines = p->newlines;

    parse_enter(p, first);
    name = at(p, TOK_STRING) ? string_node(p, N_STRING) : module_path(p, "after `module`");
    n->text = name->text;
    n->text_len = name->text_len;
    n->mark = name->span;
    open = parse_expect(p, TOK_BRACE, "after the name of the module");
    p->newlines = true;
    for (;;) {
        while (parse_accept(p, TOK_SEMICOLON))
            continue;
        if (at(p, TOK_BRACE_END) || at(p, TOK_END) || peek(p)->depth <= open->depth)
            break;
        parse_add(p, n, parse_guarded(p, member_line, open->depth + 1));
    }
    p->newlines = newlines;
    parse_close(p, TOK_BRACE_END, open, "the module");
    p->nest--;
    return parse_finish(p, n);
}

/* --- files ----------------------------------------------------------------------------------- */

static struct node *item(struct parser *p)
{
    struct node *n;

    if (at(p, TOK_LIBRARY))
        n = library(p);
    else if (at(p, TOK_MODULE))
        n = module(p);
    else
        n = parse_statement(p);
    end_of_member(p, TOK_END);
    return n;
}

void rata_parse(struct diags *d, uint32_t file, struct parsed *ret_parsed)
{
    struct parser p = { .d = d, .file = file, .newlines = true, .out = ret_parsed };

    *ret_parsed = (struct parsed){ 0 };
    rata_lex(d, file, &p.tokens, NULL);
    p.ended = ret_parsed->incomplete = p.tokens.open_from != UINT32_MAX;
    ret_parsed->root = parse_node(&p, N_BLOCK, peek(&p));
    while (!at(&p, TOK_END) && d->n_errors < DIAG_ERRORS_KEPT) {
        if (!parse_accept(&p, TOK_SEMICOLON))
            parse_add(&p, ret_parsed->root, parse_guarded(&p, item, 0));
    }
    ret_parsed->root->span = (struct span){ file, 0, d->sources[file].len };
}
