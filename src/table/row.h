/* SPDX-License-Identifier: Apache-2.0 */
/*
 * row.h - one object of a table: a tuple stored flat, outside any heap
 *
 * Literals are copied too, so a row outlives the code it came from. Whoever holds the lock that
 * guards the row's place may read and change it.
 */
#ifndef TABLE_ROW_H
#define TABLE_ROW_H

#include "heap/heap.h"

#include <stdatomic.h>
#include <sched.h>

struct row {
    struct row *next;       /* in its bucket */
    term    *offheap;       /* chain of the row's blobs */
    uint32_t hash;
    uint32_t words : 30;    /* of data[] */
    uint32_t has_map : 1;   /* behind data[]: a bit for each word, set if it points into data[] */
    uint32_t ghost : 1;     /* deleted while the table was fixed */
    term     data[];        /* the tuple comes first */
};

#define ROW_MAP_WORDS(words)   (((size_t)(words) + 63) / 64)
#define row_map(r)             ((r)->data + (r)->words)
#define row_bytes(r) \
    (sizeof(struct row) + \
     ((r)->words + ((r)->has_map ? ROW_MAP_WORDS((r)->words) : 0)) * sizeof(term))
#define row_object(r)          box_term((r)->data)
#define row_key(r, keypos)     ((r)->data[keypos])  /* keypos from 1 */

/* Nothing but immediate words (and immortal funs) in the tuple? */
#define row_is_flat(r)         ((r)->words == 1 + header_size((r)->data[0]))

struct row *row_new(term object);
void row_free(struct row *r);
/* Put object in place of what r holds, when it fits exactly; false: nothing changed. */
bool row_refill(struct row *r, term object);
/* A copy of the whole object on h. */
term row_copy(const struct row *r, struct heap *h);
/* The same at `to`, r->words words, for rows without blobs. */
term row_copy_to(const struct row *r, term *to);

/* --- the lock of tables ------------------------------------------------------------------------
 * Held for tens of nanoseconds as a rule, so waiting spins before it gives the core away.
 */
struct spin { _Atomic uint32_t held; };

/* Numbers that are written under a lock and read without: whole, in no order. */
#define count_get(number) atomic_load_explicit(&(number), memory_order_relaxed)
#define count_add(number, n) \
    atomic_store_explicit(&(number), count_get(number) + (n), memory_order_relaxed)

void spin_wait(struct spin *s);

ALWAYS_INLINE void spin_lock(struct spin *s)
{
    uint32_t free = 0;

    if (UNLIKELY(!atomic_compare_exchange_strong_explicit(&s->held, &free, 1, memory_order_acquire,
                                                          memory_order_relaxed)))
        spin_wait(s);
}

ALWAYS_INLINE void spin_unlock(struct spin *s)
{
    /* release: pairs with the acquire of the next spin_lock */
    atomic_store_explicit(&s->held, 0, memory_order_release);
}

/* What guards the rows of a stripe or of a tree, with its uses: by key, since the table was made.
 * The numbers are written under the lock and read without. */
struct guard {
    struct spin lock;
    _Atomic uint64_t reads, writes;
};

#endif
