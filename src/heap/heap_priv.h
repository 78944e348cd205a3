/* SPDX-License-Identifier: Apache-2.0 */
/*
 * heap_priv.h - what the files of heap/ share: off-heap chains, blocks, copying
 */
#ifndef HEAP_HEAP_PRIV_H
#define HEAP_HEAP_PRIV_H

#include "base/slab.h"
#include "heap/blob.h"
#include "heap/heap.h"
#include "term/node.h"

/* --- off-heap chains --------------------------------------------------------------------
 * The last raw word of an off-heap object is the address of the next one's header. What a
 * HK_BIN_REF or HK_MAGIC counts is the blob in the word before it, what an external identifier
 * counts is the node entry in its first word.
 */
ALWAYS_INLINE term *offheap_next(const term *obj)
{
    return (term *)(uintptr_t)obj[header_size(obj[0])];
}

ALWAYS_INLINE void offheap_set_next(term *obj, const term *next)
{
    obj[header_size(obj[0])] = (term)(uintptr_t)next;
}

ALWAYS_INLINE bool offheap_is_blob(const term *obj)
{
    return header_kind(obj[0]) > HK_EXT_REF;
}

ALWAYS_INLINE struct blob *offheap_blob(const term *obj)
{
    return (struct blob *)(uintptr_t)obj[header_size(obj[0]) - 1];
}

ALWAYS_INLINE struct node_entry *offheap_node(const term *obj)
{
    return (struct node_entry *)(uintptr_t)obj[1];
}

/* Count one more reference for the copy obj, and chain it. */
ALWAYS_INLINE void offheap_adopt_copy(term *obj, term **chain)
{
    if (LIKELY(offheap_is_blob(obj)))
        blob_ref(offheap_blob(obj));
    else
        node_entry_ref(offheap_node(obj));
    offheap_set_next(obj, *chain);
    *chain = obj;
}

ALWAYS_INLINE void offheap_unref(const term *obj)
{
    if (LIKELY(offheap_is_blob(obj)))
        blob_unref(offheap_blob(obj));
    else
        node_entry_unref(offheap_node(obj));
}

/* What obj keeps alive, for the limits that ask for a collection. */
ALWAYS_INLINE uint64_t offheap_bytes(const term *obj)
{
    return offheap_is_blob(obj) ? offheap_blob(obj)->cap_bytes : 0;
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
