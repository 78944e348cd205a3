/* SPDX-License-Identifier: Apache-2.0 */
/*
 * etf.h - external term format
 *
 * Any thread that may use the heap. The decoder trusts nothing: sizes are checked against what is
 * left, depth by an explicit stack, and allocation is bounded by the input's length (times a
 * thousand for compressed input, which is all that zlib can do).
 */
#ifndef HEAP_ETF_H
#define HEAP_ETF_H

#include "base/bytes.h"
#include "heap/heap.h"
#include "term/fun.h"

enum etf_flags {
    ETF_SAFE = 1,           /* decode: no new atoms, funs or export funs */
    ETF_DETERMINISTIC = 2,  /* encode: maps sorted by key */
    ETF_NO_VERSION = 4,     /* no leading 131 */
};

#define ETF_MINOR_DEFAULT 2
#define ETF_COMPRESS_DEFAULT (-1)   /* a level of zlib, or 0..9 */

/* Decode one term at r (moved past it). TERM_NONE: not a valid term; r may then be anywhere. */
term etf_decode(struct heap *h, struct reader *r, unsigned flags);
/* Append the encoding of t. minor_version 0..2 as for term_to_binary. -ERR_LIMIT if too large. */
int etf_encode(struct buf *out, term t, unsigned flags, int minor_version);
/* The same, compressed at that level when this makes it shorter. */
int etf_encode_compressed(struct buf *out, term t, unsigned flags, int minor_version, int level);
/* Size that etf_encode would append, including the version byte. */
size_t etf_size(term t, unsigned flags, int minor_version);

/* Terms in frames between nodes: without version byte, atoms by their place in a list that goes
 * beside the term (ATOM_CACHE_REF), written straight into memory of the caller's. */
struct etf_wire {
    void (*grow)(void *arg, struct buf *b, size_t n);   /* make n bytes of room behind b->len; may
                                                         * move b->data, whose start stays the start */
    int  (*atom)(void *arg, term atom);                 /* its place, 0..254; -1: write its text */
    void *arg;
};
int etf_encode_wire(struct buf *b, term t, const struct etf_wire *w);
/* atoms[0..n): what the places mean. */
term etf_decode_wire(struct heap *h, struct reader *r, const term *atoms, unsigned n);

/* What the format needs from rooms above. vm fills the hooks once, before any decoding; while one
 * is NULL, terms that need it are invalid. */
struct etf_env {
    term     local_node;        /* [set] atom: name of this node, nonode@nohost at first */
    uint32_t local_creation;    /* [set] 0 while the node has no name */
    /* The entry of this fun expression; when !create only if it exists. NULL: refused. An entry with another arity or
     * num_free is another entry: a decoded fun must never have fewer free variables than its
     * code will read. */
    struct fun_entry *(*fun_lookup)(term module, const uint8_t md5[16], uint32_t index,
                                    uint32_t old_uniq, uint32_t arity, uint32_t num_free,
                                    bool create);
    /* The export of M:F/A; when !create only if it exists. NULL: refused. */
    struct export *(*export_lookup)(term module, term function, uint32_t arity, bool create);
};
extern struct etf_env etf_env;

#endif
