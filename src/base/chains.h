/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chains.h - a hash table that only grows, and whose readers take no lock
 *
 * Links are embedded in what the table holds, and stay for ever: atoms, exports, fun entries. The
 * array doubles when there are more links than chains, so a small node touches little of it.
 *
 *   C1  The links of a chain are older than those in front of them: newest first, always.
 *   C2  Growing moves links in place and keeps C1, so a reader who is on his way meets an end. He
 *       may have been led to another chain and miss a link: `moves` tells him, and he looks again
 *       under the lock.
 */
#ifndef BASE_CHAINS_H
#define BASE_CHAINS_H

#include "base/compiler.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

struct chain_link {
    struct chain_link *_Atomic next;
    uint32_t hash;                  /* [set] */
    uint32_t tag;                   /* [set] for the owner of the table */
};

struct chain_array {
    struct chain_array *older;      /* [set] kept, for readers who may still be inside */
    uint32_t mask;                  /* [set] */
    struct chain_link *_Atomic first[];
};

struct chains {
    struct chain_array *_Atomic array;
    _Atomic uint32_t moves;         /* [any] odd while links are being moved */
    uint32_t used;                  /* [lk lock] links */
    pthread_mutex_t lock;
};

typedef bool chains_is(const struct chain_link *l, const void *key);

void chains_init(struct chains *c, uint32_t chains);    /* a power of two */
/* Put l into the table; l->next is the table's, l->hash is set. */
void chains_add_locked(struct chains *c, struct chain_link *l);
/* The link that `is` says is key, or NULL: what chains_find does under the lock. */
struct chain_link *chains_find_slowly(struct chains *c, uint32_t hash, chains_is *is,
                                      const void *key);

ALWAYS_INLINE struct chain_link *chains_find_locked(struct chains *c, uint32_t hash, chains_is *is,
                                                    const void *key)
{
    /* acquire: pairs with the releases of chains_add_locked and of growing. */
    struct chain_array *a = atomic_load_explicit(&c->array, memory_order_acquire);
    struct chain_link *l = atomic_load_explicit(&a->first[hash & a->mask], memory_order_acquire);

    while (l != NULL && !(l->hash == hash && is(l, key)))
        l = atomic_load_explicit(&l->next, memory_order_acquire);
    return l;
}

/* The same for any thread, without the lock unless the table grows at this moment. */
ALWAYS_INLINE struct chain_link *chains_find(struct chains *c, uint32_t hash, chains_is *is,
                                             const void *key)
{
    uint32_t moves = atomic_load_explicit(&c->moves, memory_order_acquire);
    struct chain_link *l = chains_find_locked(c, hash, is, key);

    /* relaxed: the acquires of the walk order it. Who met a moved link sees the odd number. */
    if (l == NULL && UNLIKELY((moves & 1) != 0 || moves != atomic_load_explicit(
                                                      &c->moves, memory_order_relaxed)))
        l = chains_find_slowly(c, hash, is, key);
    return l;
}

#endif
