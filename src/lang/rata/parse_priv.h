/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parse_priv.h - what the parser's files share
 *
 * A rule reads its construct and returns the node, or calls parse_fail, which reports the error and
 * jumps to the innermost parse_guarded: that one skips to where a statement may begin again. Rules
 * therefore own nothing but arena memory.
 *
 * Whether a newline ends an expression is p->newlines; brackets clear it, blocks and fn set it,
 * and each restores it at its end.
 */
#ifndef LANG_RATA_PARSE_PRIV_H
#define LANG_RATA_PARSE_PRIV_H

#include "lang/rata/parse.h"

#include <setjmp.h>

#define PARSE_NEST_MAX 256      /* constructs inside one another */

struct parser {
    struct diags *d;
    struct tokens tokens;
    size_t i;                   /* of the next token */
    jmp_buf *recover;
    uint32_t file;
    unsigned nest;
    bool newlines;
    bool ended;                 /* E0103 was reported, or the lexer met an open string */
    bool failed;                /* an error was met at failed_at */
    uint32_t failed_at;
    struct parsed *out;
};

/* --- tokens --- */
static inline const struct token *peek(const struct parser *p)
{
    return &p->tokens.at[p->i];
}

static inline enum tok kind_at(const struct parser *p, size_t ahead)
{
    size_t i = p->i + ahead;

    return p->tokens.at[i < p->tokens.n ? i : p->tokens.n - 1].kind;
}

static inline bool at(const struct parser *p, enum tok k)
{
    return peek(p)->kind == k;
}

const struct token *parse_next(struct parser *p);           /* takes it; the end stays */
bool parse_accept(struct parser *p, enum tok k);
/* Takes a token of kind k, or fails: "expected `)` after the arguments". */
const struct token *parse_expect(struct parser *p, enum tok k, const char *where);
/* The same for what closes `open`; at the end of the file this is E0103. */
void parse_close(struct parser *p, enum tok k, const struct token *open, const char *what);

/* --- errors --- */
NORETURN void parse_fail(struct parser *p, struct span at, const char *code, const char *hint,
                         const char *fmt, ...) PRINTF_LIKE(5, 6);
NORETURN void parse_unexpected(struct parser *p, const char *wanted);
struct node *parse_guarded(struct parser *p, struct node *(*rule)(struct parser *),
                           uint32_t depth);

/* --- nodes --- */
struct node *parse_node(struct parser *p, enum node_kind kind, const struct token *first);
struct node *parse_finish(struct parser *p, struct node *n);    /* ends at the last token taken */
void parse_add(struct parser *p, struct node *n, struct node *kid);
void parse_text(struct node *n, const struct token *t);
struct span token_span(const struct parser *p, const struct token *t);
void parse_enter(struct parser *p, const struct token *t);      /* one level deeper, or E0106 */

/* --- rules --- */
struct node *parse_expression(struct parser *p);
struct node *parse_statement(struct parser *p);
struct node *parse_control(struct parser *p);       /* if, case, cond, try, receive */
struct node *parse_function(struct parser *p);
struct node *parse_fn(struct parser *p);

#endif
