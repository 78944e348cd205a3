/* SPDX-License-Identifier: Apache-2.0 */
/*
 * syntax.h - terms as text in the languages that run here, and as JSON
 *
 * What is data reads back in that language. Pids, references and funs have the usual text of theirs.
 * JSON opens maps and lists: {"tuple":[...]} is a tuple, atoms and text are strings, true, false and nil
 * (null) are themselves; what JSON has no word for is a string in Erlang's syntax, and keys of maps are
 * always strings.
 */
#ifndef TERM_SYNTAX_H
#define TERM_SYNTAX_H

#include "base/bytes.h"
#include "term/term.h"

enum syntax { SYNTAX_ERLANG, SYNTAX_ELIXIR, SYNTAX_RATA, SYNTAX_BATUTA, SYNTAX_JSON };

/* By name as in --syntax; not json. */
bool syntax_parse(const char *text, enum syntax *ret);

/* Append t on one line, strings as strings, stopping with "..." once max_bytes have been written
 * (0: no limit). JSON that would be longer is a string with the beginning of the Erlang text. */
void term_print_as(struct buf *out, term t, enum syntax syntax, size_t max_bytes);

#endif
