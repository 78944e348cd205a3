/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chains.c - adding and growing
 */
#include "base/chains.h"

#include "base/alloc.h"
#include "base/assert.h"

static struct chain_array *array_new(uint32_t chains, struct chain_array *older)
{
    struct chain_array *a = mem_zalloc(sizeof *a + chains * sizeof a->first[0]);

    a->older = older;
    a->mask = chains - 1;
    return a;
}

void chains_init(struct chains *c, uint32_t chains)
{
    ASSERT(chains > 0 && (chains & (chains - 1)) == 0);
    atomic_init(&c->array, array_new(chains, NULL));
    atomic_init(&c->moves, 0);
    c->used = 0;
    pthread_mutex_init(&c->lock, NULL);
}

/* Deal the links of one old chain out to the two that replace it, in the same order (C1). */
static void split(struct chain_link *l, struct chain_link *_Atomic *low,
                  struct chain_link *_Atomic *high, uint32_t bit)
{
    while (l != NULL) {
        struct chain_link *next = atomic_load_explicit(&l->next, memory_order_relaxed);
        struct chain_link *_Atomic **end = (l->hash & bit) != 0 ? &high : &low;

        atomic_store_explicit(*end, l, memory_order_release);
        *end = &l->next;
        l = next;
    }
    atomic_store_explicit(low, NULL, memory_order_release);
    atomic_store_explicit(high, NULL, memory_order_release);
}

static void grow_locked(struct chains *c)
{
    struct chain_array *old = atomic_load_explicit(&c->array, memory_order_relaxed), *new;
    uint32_t n = old->mask + 1;

    new = array_new(2 * n, old);
    /* relaxed: the releases in split put the odd number before every link that moves. */
    atomic_fetch_add_explicit(&c->moves, 1, memory_order_relaxed);
    for (uint32_t i = 0; i < n; i++)
        split(atomic_load_explicit(&old->first[i], memory_order_relaxed), &new->first[i],
              &new->first[i + n], n);
    atomic_store_explicit(&c->array, new, memory_order_release);
    atomic_fetch_add_explicit(&c->moves, 1, memory_order_release);
}

void chains_add_locked(struct chains *c, struct chain_link *l)
{
    struct chain_array *a = atomic_load_explicit(&c->array, memory_order_relaxed);
    struct chain_link *_Atomic *first;

    if (c->used > a->mask) {
        grow_locked(c);
        a = atomic_load_explicit(&c->array, memory_order_relaxed);
    }
    c->used++;
    first = &a->first[l->hash & a->mask];
    atomic_init(&l->next, atomic_load_explicit(first, memory_order_relaxed));
    /* release: the link is complete for who finds it. */
    atomic_store_explicit(first, l, memory_order_release);
}

struct chain_link *chains_find_slowly(struct chains *c, uint32_t hash, chains_is *is,
                                      const void *key)
{
    struct chain_link *l;

    pthread_mutex_lock(&c->lock);
    l = chains_find_locked(c, hash, is, key);
    pthread_mutex_unlock(&c->lock);
    return l;
}
