/* SPDX-License-Identifier: Apache-2.0 */
/*
 * etf.h - external term format
 *
 * The decoder trusts nothing: sizes are checked against what is left, depth by an explicit stack,
 * and allocation is bounded by the input's length. See beam/external-term-format in the docs.
 */
#ifndef HEAP_ETF_H
#define HEAP_ETF_H

#include "base/bytes.h"
#include "heap/heap.h"

enum etf_flags {
    ETF_SAFE = 1,           /* decode: no new atoms, no new export funs */
    ETF_DETERMINISTIC = 2,  /* encode: maps sorted by key */
    ETF_NO_VERSION = 4,     /* no leading 131 */
};

/* Decode one term at r (moved past it). TERM_NONE: not a valid term; r may then be anywhere. */
term etf_decode(struct heap *h, struct reader *r, unsigned flags);
/* Append the encoding of t. minor_version 0..2 as for term_to_binary. -ERR_LIMIT if too large. */
int etf_encode(struct buf *out, term t, unsigned flags, int minor_version);
/* Size that etf_encode would append, including the version byte. */
size_t etf_size(term t, unsigned flags, int minor_version);

#endif
