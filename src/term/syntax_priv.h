/* SPDX-License-Identifier: Apache-2.0 */
/*
 * syntax_priv.h - what the files of term_print_as share
 */
#ifndef TERM_SYNTAX_PRIV_H
#define TERM_SYNTAX_PRIV_H

#include "term/syntax.h"

struct writer { struct buf *out; enum syntax syntax; size_t end; unsigned depth; };

ALWAYS_INLINE bool writer_is_full(const struct writer *w)
{
    return w->out->len > w->end;
}

/* Is it text in this language? UTF-8 throughout; in Elixir nothing that cannot be shown. */
bool syntax_is_text(const struct writer *w, const uint8_t *s, size_t n);
/* Well-formed UTF-8 between quotes. */
void syntax_quoted(struct writer *w, const uint8_t *s, size_t n, char quote);
/* Letters, digits and _ with an optional ? or ! at the end; more: other characters inside. */
bool syntax_is_name(const char *s, size_t n, const char *more);
void syntax_atom(struct writer *w, term t);
void syntax_float(struct writer *w, double d);

#endif
