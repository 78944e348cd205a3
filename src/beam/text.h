/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text.h - tokens and terms in the text that the assembler reads
 *
 * Tokens are those of Erlang: atoms, integers in any base, floats, strings, punctuation. A term is
 * the part of Erlang's syntax that needs no evaluation, and it becomes an external term at once,
 * since this room knows no other form of terms. The text is UTF-8. One thread at a time.
 */
#ifndef BEAM_TEXT_H
#define BEAM_TEXT_H

#include "base/bytes.h"

#define TEXT_DEPTH_MAX  200         /* nesting of a term */
#define TEXT_DIGITS_MAX 20000       /* of one integer */

enum token_kind {
    TOK_END, TOK_NEWLINE,
    TOK_ATOM,           /* text: its name in UTF-8; quoted says how it was written */
    TOK_INT,            /* text: magnitude, little-endian bytes without leading zeros */
    TOK_FLOAT,          /* real */
    TOK_STRING,         /* text: code points, four bytes each, big-endian */
    TOK_PUNCT,          /* punct: the character, or one of those below */
};
enum { PUNCT_OPEN_BIN = 256, PUNCT_CLOSE_BIN, PUNCT_OPEN_MAP, PUNCT_ARROW };

struct token {
    enum token_kind kind;
    bool quoted;
    int punct;
    double real;
    struct buf text;    /* owned by the token, reused */
    unsigned line, col;
};

/* Where and why a text was refused; both counted from 1. */
struct text_error {
    unsigned line, col;
    char text[160];
};

struct text {
    const char *at, *end, *line_start;
    unsigned line;
    unsigned nested;        /* above 0: newlines are space */
    struct token tok;       /* the token under the eye */
    struct text_error *error;
};

/* All of these: 0, or -ERR_FORMAT with t->error filled. data is lent. */
MUST_CHECK int text_open(struct text *t, const char *data, size_t len, struct text_error *error);
void text_close(struct text *t);
MUST_CHECK int text_next(struct text *t);                      /* move to the next token */
MUST_CHECK int text_expect(struct text *t, int punct);         /* it must be there; move on */
bool text_is_punct(const struct text *t, int punct);
bool text_is_atom(const struct text *t, const char *name);     /* written without quotes */
/* Fill the error with the place of the token under the eye. */
int text_fail(struct text *t, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* The integer under the eye, if it is at most max; moves on. */
MUST_CHECK int text_count(struct text *t, uint64_t max, uint64_t *ret);

/* Read one term that begins at the token under the eye and append it to out in external form,
 * without the 131. Moves past it. */
MUST_CHECK int text_term(struct text *t, struct buf *out);

#endif
