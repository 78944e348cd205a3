/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scan.h - is this a term that may be built? External term format from a peer, before its use
 *
 * One pass, no recursion, no allocation. Refused: sizes beyond the end, depth over SCAN_DEPTH_MAX,
 * unknown tags, compressed terms, funs of the old form, atoms beyond the frame's list, texts of atoms
 * that are too long, bytes after the term.
 */
#ifndef WIRE_SCAN_H
#define WIRE_SCAN_H

#include "base/bytes.h"

#define SCAN_DEPTH_MAX 1024

/* Told of each atom that is written out (not by dictionary). False: it may not be made. */
typedef bool scan_atom_fn(void *arg, const uint8_t *text, size_t len, bool utf8);

/* The length of the one term at data (without version byte), which must be all of data when whole.
 * n_atoms: atoms that ATOM_CACHE_REF may name. -ERR_PROTOCOL: damaged; -ERR_LIMIT: too deep, or
 * an atom was refused. */
MUST_CHECK int term_scan(const uint8_t *data, size_t len, unsigned n_atoms, bool whole,
                         scan_atom_fn *atom, void *arg, size_t *ret_len);

#endif
