/* SPDX-License-Identifier: Apache-2.0 */
/*
 * heap_priv.h - what the files of heap/ share: off-heap chains, blocks, copying
 */
#ifndef HEAP_HEAP_PRIV_H
#define HEAP_HEAP_PRIV_H

#include "base/slab.h"
#include "heap/heap.h"
#include "term/bits.h"

/* --- off-heap chains --------------------------------------------------------------------
 * The last raw word of a HK_BIN_REF or HK_MAGIC is the address of the next object's header, the
 * one before it the blob.
 */
ALWAYS_INLINE term *offheap_next(const term *obj)
{
    return (term *)(uintptr_t)obj[header_size(obj[0])];
}

ALWAYS_INLINE void offheap_set_next(term *obj, const term *next)
{
    obj[header_size(obj[0])] = (term)(uintptr_t)next;
}

ALWAYS_INLINE struct blob *offheap_blob(const term *obj)
{
    return (struct blob *)(uintptr_t)obj[header_size(obj[0]) - 1];
}

/* Drop the references of a whole chain; the words of its objects may be freed after this. */
void offheap_release(term *obj);
void frags_free(struct frag *f);        /* f and all that follow */

/* --- blocks ----------------------------------------------------------------------------- */

ALWAYS_INLINE term *block_alloc(size_t words)
{
    return slab_alloc(words * sizeof(term));
}

ALWAYS_INLINE void block_free(term *block, size_t words)
{
    slab_free(block, words * sizeof(term));
}

/* --- copying ---------------------------------------------------------------------------- */

/* term_size and term_copy with a choice: literals may be copied as well. */
size_t copy_size(term t, bool with_literals);
term copy_into(term t, term **at, term **offheap, bool with_literals);

#endif
