/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blob.h - reference-counted bytes off the heap, and the terms that look into them
 *
 * A HK_BIN_REF is a view (offset, size in bits) on a blob. A view whose end equals top_bits may
 * claim the tail by compare-and-swap and write there: appending needs no writer flag and no
 * exclusive owner, and no view ever sees bits that are not claimed.
 */
#ifndef HEAP_BLOB_H
#define HEAP_BLOB_H

#include "heap/heap.h"
#include "term/bits.h"       /* struct blob, struct bits, bits_of, bits_cmp, bits_copy */

#define BIN_HEAP_MAX_BYTES 64   /* up to here bytes live on the heap */
#define BIN_REF_WORDS 5
#define BIN_SUB_WORDS 4
#define BIN_HEAP_WORDS(bytes) (2 + ((size_t)(bytes) + 7) / 8)
#define MAGIC_WORDS 3

struct blob *blob_new(size_t cap_bytes);        /* refs 1, top 0 */
struct blob *blob_ref(struct blob *b);
void blob_unref(struct blob *b);

/* A byte-aligned view of a binary's bytes. If t is a binary at a bit offset the bytes are copied
 * to *scratch, which the caller frees with mem_free (NULL otherwise). False: not a binary. */
bool binary_bytes(term t, const uint8_t **ret_bytes, size_t *ret_len, uint8_t **scratch);

/* A new binary of `bytes` bytes whose contents the caller fills at *ret_data before anything else
 * happens: on the heap or in a blob by size. */
term binary_room(struct heap *h, size_t bytes, uint8_t **ret_data);
/* Same for any number of bits; the padding of the last byte must be left zero. */
term bitstring_room(struct heap *h, uint64_t bits, uint8_t **ret_data);
/* A view on all of b; takes one reference. */
term binary_from_blob(struct heap *h, struct blob *b, uint64_t bit_offset, uint64_t bits);
/* Part of bitstring t. Small parts of blobs are copied, others are views. */
term bitstring_sub(struct heap *h, term t, uint64_t bit_offset, uint64_t bits);

/* A bitstring that starts with the bits of source and has `bits` more, which the caller fills at
 * bit *ret_position of *ret_base before anything else happens. The tail of source's blob is claimed
 * when possible, so a loop that appends takes time linear in what it adds. owned: nobody else can
 * see source (private_append), which is then changed in place when it is a view. The caller has
 * checked the sum against BITSTRING_BITS_MAX. */
term bitstring_grow(struct heap *h, term source, uint64_t bits, bool owned,
                    uint8_t **ret_base, uint64_t *ret_position);
/* An empty view with room for cap bytes, to be grown. */
term bitstring_writable(struct heap *h, size_t cap);

/* No bitstring is larger: a request beyond this is system_limit. */
#define BITSTRING_BITS_MAX ((uint64_t)1 << 40)

/* A reference-like term that owns b (takes one reference). */
term magic_make(struct heap *h, struct blob *b);

#endif
