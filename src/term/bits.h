/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bits.h - reading bitstrings, wherever their bytes are, and moving bits
 *
 * Pure functions of their arguments; any thread that may read the terms. What makes and frees
 * blobs is heap/blob.h.
 */
#ifndef TERM_BITS_H
#define TERM_BITS_H

#include "term/term.h"

#include <stdatomic.h>

/* Counted bytes outside any heap; HK_BIN_REF and HK_MAGIC point here. */
struct blob {
    _Atomic uint64_t refs;      /* [any] */
    _Atomic uint64_t top_bits;  /* [any] bits claimed so far */
    uint64_t cap_bytes;         /* [set] */
    void (*dtor)(struct blob *);/* [set] for HK_MAGIC resources, NULL: plain bytes */
    uint8_t  data[];
};

#define magic_blob(t)    ((struct blob *)(uintptr_t)box_ptr(t)[1])    /* t is HK_MAGIC */
#define bin_ref_blob(t)  ((struct blob *)(uintptr_t)box_ptr(t)[3])    /* t is HK_BIN_REF */
/* Address of the first byte of a HK_BIN. */
#define bin_heap_data(t) ((uint8_t *)&box_ptr(t)[2])

/* Bytes of a bitstring: address of the byte that holds its first bit, the offset of that bit in
 * it (0..7), and the size in bits. */
struct bits { const uint8_t *base; uint32_t bit_offset; uint64_t bits; };
struct bits bits_of_view(term t);
/* t must be a bitstring. */
ALWAYS_INLINE struct bits bits_of(term t)
{
    const term *p = box_ptr(t);

    if (LIKELY(header_kind(p[0]) == HK_BIN))
        return (struct bits){ (const uint8_t *)&p[2], 0, p[1] };
    return bits_of_view(t);
}

/* n bits (1..64) from bit `at` of b, as a number; they must lie inside. */
uint64_t bits_get(struct bits b, uint64_t at, unsigned n);
/* Term order of bitstrings: bytewise, the last byte padded with zeros, then by length. */
int bits_cmp(struct bits a, struct bits b);
/* Copy n bits between any bit positions; other bits of dst stay. The ranges must not overlap. */
void bits_copy(uint8_t *dst, uint64_t dst_bit, const uint8_t *src, uint64_t src_bit, uint64_t n);

#endif
