/* SPDX-License-Identifier: Apache-2.0 */
/*
 * atom.h - the table of atoms, and the well-known ones as constants
 *
 * Any thread may look up and insert. An atom is never collected; the table has a limit
 * (vm.max_atoms). Text is UTF-8, at most 255 code points.
 */
#ifndef TERM_ATOM_H
#define TERM_ATOM_H

#include "term/term.h"

#define ATOM_TEXT_BYTES_MAX 1020
#define ATOM_CHARS_MAX      255

/* Index of each row of atoms.tab: ATOM_INDEX_true; and the term itself: ATOM_true. The rows are
 * ATOM(c_name, "text"). */
enum well_known_atom {
#define ATOM(name, text) ATOM_INDEX_##name,
#include "term/atoms.tab"
#undef ATOM
    ATOM_WELL_KNOWN_COUNT,
};

enum well_known_atom_term {
#define ATOM(name, text) ATOM_##name = ATOM_INDEX_##name << 6 | IMM_ATOM,
#include "term/atoms.tab"
#undef ATOM
};

/* Make the table, with room for max atoms (0: 1,048,576), and the well-known atoms. Once. */
void atom_table_init(uint32_t max);

/* The atom of this text, made if new; TERM_NONE when the text is too long, not UTF-8, or the
 * table is full. */
term atom_from_utf8(const char *text, size_t len);
term atom_from_latin1(const char *text, size_t len);
term atom_from_cstr(const char *text);                  /* must fit: for texts of our own */

/* The atom of this text if it exists already, else TERM_NONE. */
term atom_existing_utf8(const char *text, size_t len);

/* Text of an atom, UTF-8, NUL-terminated; lives for ever. ret_len may be NULL. */
const char *atom_text(term atom, size_t *ret_len);
uint32_t atom_chars(term atom);                         /* code points */
uint32_t atom_hash(term atom);                          /* AH of runtime-facts section 2, for phash2 */
int atom_cmp(term a, term b);                           /* by code points; <0, 0, >0 */
uint32_t atom_count(void);
uint32_t atom_max(void);

#endif
