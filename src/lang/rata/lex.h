/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lex.h - from characters to tokens
 *
 * The whole file becomes one array, so the parser may look ahead freely. Errors are reported and
 * leave a TOK_BAD; the array always ends with TOK_END.
 */
#ifndef LANG_RATA_LEX_H
#define LANG_RATA_LEX_H

#include "lang/diag.h"

enum tok {
#define TOKEN(name, text) TOK_##name,
#include "lang/rata/tokens.tab"
#undef TOKEN
    TOK_COUNT
};

struct token {
    uint8_t kind;           /* enum tok */
    bool newline;           /* a line ended before it */
    bool space;             /* white space or a comment before it */
    bool keyword_text;      /* TOK_NAME or TOK_KEY that reads like a keyword */
    uint32_t from, to;      /* bytes in the source */
    uint32_t len;           /* of text */
    uint32_t depth;         /* brackets, fn and holes open around it, for recovery */
    const char *text;       /* names; strings and atoms without quotes and escapes, may hold NUL;
                             * numbers: digits without _ and base prefix. NUL-terminated */
    uint8_t base;           /* TOK_INT: 2, 8, 10, 16 */
};

struct tokens {
    struct token *at;
    size_t n, cap;
    uint32_t open_from;     /* where a string begins that is never closed; else UINT32_MAX */
};

/* Cut source number `file` of d into tokens, in d's arena. Stops early, with an error, after
 * TOKENS_MAX. comments (may be NULL) gets the spans of all comments, for the formatter. */
#define TOKENS_MAX (2u << 20)
struct comments { struct span *at; size_t n, cap; };

void rata_lex(struct diags *d, uint32_t file, struct tokens *ret_tokens, struct comments *comments);

/* How a kind of token is named in messages: "a name"; for keywords and operators (token_is_word)
 * their own text, without quotes. */
const char *token_name(enum tok kind);
bool token_is_word(enum tok kind);

#endif
