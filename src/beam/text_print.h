/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text_print.h - atoms and terms in the form that text.h reads
 */
#ifndef BEAM_TEXT_PRINT_H
#define BEAM_TEXT_PRINT_H

#include "base/bytes.h"

/* Append the atom of that name, in quotes when it needs them or could be taken for a register. */
void text_print_atom(struct buf *out, const uint8_t *utf8, size_t len);
/* Append bytes as a string in double quotes. */
void text_print_string(struct buf *out, const uint8_t *bytes, size_t len);
/* Append an integer of len bytes, most significant first, two's complement. */
void text_print_big(struct buf *out, const uint8_t *bytes, size_t len);
/* Append the external term at *r, which has no 131 in front, and move past it. -ERR_FORMAT: it is
 * none, nested deeper than TEXT_DEPTH_MAX, or of a kind that the text has no form for (pids, local
 * funs); something may have been appended. */
MUST_CHECK int text_print_term(struct buf *out, struct reader *r);

#endif
