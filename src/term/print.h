/* SPDX-License-Identifier: Apache-2.0 */
/*
 * print.h - terms as text, in the form that ~w and ~p-on-one-line give, and numbers as text
 */
#ifndef TERM_PRINT_H
#define TERM_PRINT_H

#include "base/bytes.h"
#include "term/term.h"

enum print_flags {
    PRINT_STRINGS = 1,      /* ~p: printable lists as "..." and binaries as <<"...">> */
    PRINT_UNICODE = 2,      /* printable means Unicode, not only latin-1 (~tp) */
    PRINT_DISPLAY = 4,      /* erlang:display: floats as %e */
};

/* Append t, stopping with "..." once max_bytes have been written (0: no limit). */
void term_print(struct buf *out, term t, unsigned flags, size_t max_bytes);

/* Shortest text that reads back as d, in OTP's form: 1.0, 1.0e22, 0.1. Returns the length; out
 * has room for FLOAT_TEXT_MAX. */
#define FLOAT_TEXT_MAX 40
size_t float_print_short(double d, char *out);
bool atom_needs_quotes(term atom);
void atom_print(struct buf *out, term atom);            /* quoted if needed */

/* The way back is heap/parse.h. */

#endif
