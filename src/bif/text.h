/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text.h - text arguments of built-ins as C strings, and time units
 */
#ifndef BIF_TEXT_H
#define BIF_TEXT_H

#include "base/bytes.h"
#include "term/term.h"

/* Append the characters of chardata (code points, UTF-8 binaries, nested lists) as UTF-8. False: t
 * is something else; the buffer may then hold a part. */
bool text_append(struct buf *out, term t);

/* Text of a file name or command: an atom, a binary, or chardata. Never with a NUL inside. */
bool text_path(struct buf *out, term t);

/* How many bytes at the start of s are whole UTF-8 characters. Ticks (base/fiber.h). */
size_t text_utf8_prefix(const uint8_t *s, size_t len);

/* Append code point c as UTF-8. */
void text_put(struct buf *out, uint32_t c);

/* Parts per second of a time unit (an atom or an integer > 0): 0 when t is none. */
uint64_t time_unit_parts(term t);

/* ns counted in a unit of parts per second, rounded down. */
int64_t time_in_parts(int64_t ns, uint64_t parts);

#endif
