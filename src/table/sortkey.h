/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sortkey.h - keys of tables as bytes whose order is the order of the terms
 *
 * The bytes decide everything about a stored key: equal terms give equal bytes, and of two other
 * terms the smaller has the smaller bytes. Two equalities are asked for: == (ordered_set: 1 and
 * 1.0 are one key) and =:= (the others). No key is the beginning of another, and a byte string
 * that follows a key may begin with 0x00 to 0x7F without harm to either promise.
 *
 * Not in term order, though equal only if they are: pids and references, by their external format.
 *
 *   number   lead byte (sign and magnitude class, or exponent up to 63), exponent if not in the
 *            lead, then the binary digits after the first, as text; all inverted when negative
 *   atom     0xA0, its UTF-8 as text
 *   tuple    0xA5, size (4), elements        map   0xA6, size (4), keys, values
 *   []       0xA7                            list  0xA8, head, tail
 *   bits     0xA9, bytes as text, bits used of the last
 *   text     bytes with 00 written as 00 FF, then 00
 * At the end 01; with =:= and a number that is no integer, 02 and a byte for the kind of each.
 */
#ifndef TABLE_SORTKEY_H
#define TABLE_SORTKEY_H

#include "term/term.h"

#define SORTKEY_MAX 480

/* -ERR_LIMIT: longer than SORTKEY_MAX; -ERR_ARGUMENT: has a part that cannot be stored. */
MUST_CHECK int sortkey_make(term key, bool exact, uint8_t out[SORTKEY_MAX], size_t *ret_len);

/* No part of t is a fun made by a fun expression, a port or a match context: those mean nothing
 * in another run of the node. */
bool term_is_storable(term t);

#endif
