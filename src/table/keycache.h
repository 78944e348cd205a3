/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keycache.h - rows of an ordered table that were found lately, by key: an adaptive hash index
 *
 * Each key has one slot, which the key found last takes; a table of n rows gets up to 4 n slots
 * (64 n bytes) and never more than KEYCACHE_SLOTS_MAX. Only keys of one word (small numbers, atoms,
 * local pids) are here, under exactly the word that the row has: 1 never finds the row of 1.0.
 *
 * All functions: under the table's lock. keycache_find costs a multiplication and one cache line.
 */
#ifndef TABLE_KEYCACHE_H
#define TABLE_KEYCACHE_H

#include "table/row.h"

#define KEYCACHE_SLOTS_MAX 4096u

struct keycache_slot { term key; struct row *row; };

struct keycache {
    struct keycache_slot *slot;     /* never NULL; a shared empty one until it is worth more */
    unsigned shift;                 /* 64 - log2 of the number of slots */
    uint32_t misses;                /* keys found in the tree since the size was chosen */
};

void keycache_init(struct keycache *c);
void keycache_fini(struct keycache *c);         /* empty again, and may be used on */

/* The factor spreads numbers and atoms that follow each other, and multiples of 10. */
ALWAYS_INLINE struct keycache_slot *keycache_slot(const struct keycache *c, term key)
{
    return &c->slot[key * 0x980D23D2988700ADu >> c->shift];
}

/* The row of key; NULL: not here. */
ALWAYS_INLINE struct row *keycache_find(const struct keycache *c, term key)
{
    const struct keycache_slot *s = keycache_slot(c, key);

    return LIKELY(s->key == key) ? s->row : NULL;
}

/* The tree, which has `rows` rows, had r under this very key. */
void keycache_note(struct keycache *c, term key, struct row *r, int64_t rows);

/* The row of key is about to go or to be replaced. */
ALWAYS_INLINE void keycache_forget(struct keycache *c, term key)
{
    struct keycache_slot *s = keycache_slot(c, key);

    if (s->key == key)
        s->key = TERM_NONE;
}

#endif
