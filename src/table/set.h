/* SPDX-License-Identifier: Apache-2.0 */
/*
 * set.h - set, bag and duplicate_bag: chained hashing that grows and shrinks bucket by bucket
 *
 * A bucket belongs to the stripe of its low bits, which stay the same when it is split; whoever
 * holds the stripe may touch its buckets. Rows of one key are neighbours, the newest first.
 *
 * While the table is fixed no bucket is split or joined and deleted rows stay as ghosts.
 */
#ifndef TABLE_SET_H
#define TABLE_SET_H

#include "table/row.h"
#include "term/compare.h"

#define SET_STRIPES 16
#define SET_SEGMENTS 40

struct set_stripe {
    struct guard guard;
    /* Written under the lock; others add them up without it, so stores are plain but whole. */
    _Atomic uint32_t ghosts;    /* rows kept only because the table is fixed */
    _Atomic int64_t  count;     /* rows that are not ghosts */
    _Atomic int64_t  words;     /* of all rows, headers included */
};

struct set {
    uint32_t keypos;
    bool     is_bag, keep_equal;        /* bag: many per key; keep_equal: duplicate_bag */
    _Atomic uint64_t buckets;           /* in use; at least SET_STRIPES */
    _Atomic uint32_t fixed;             /* > 0: ghosts instead of deletes */
    struct spin growing;
    struct set_stripe stripe[SET_STRIPES];
    struct row **segment[SET_SEGMENTS];
    struct row *first[SET_STRIPES];     /* segment 0 */
};

void set_init(struct set *s, unsigned keypos, bool is_bag, bool keep_equal);
void set_fini(struct set *s);           /* frees all; an empty set. Nobody else has it or may touch it */
/* Make `to` the owner of all rows and buckets, s an empty one; under all locks and growing, which s
 * keeps. */
void set_move(struct set *s, struct set *to);
/* Free the rows of up to n buckets from *at on, which moves; false: that was all. */
bool set_bury(struct set *s, uint64_t *at, unsigned n);

/* Keys are mostly immediate: a multiplication spreads those. */
ALWAYS_INLINE uint32_t set_hash(term key)
{
    uint64_t h = is_ptr(key) ? term_hash(key) : key * 0x9E3779B97F4A7C15u;

    return (uint32_t)(h ^ h >> 32);
}

ALWAYS_INLINE struct set_stripe *set_stripe(struct set *s, uint32_t hash)
{
    return &s->stripe[hash & (SET_STRIPES - 1)];
}
void set_lock_all(struct set *s);
void set_unlock_all(struct set *s);
int64_t set_count(const struct set *s);
int64_t set_words(const struct set *s);

/* --- under the stripe of hash ----------------------------------------------------------------- */

/* Where rows of this hash are. Other stripes may split meanwhile, ours cannot. */
ALWAYS_INLINE uint64_t set_index(struct set *s, uint32_t hash)
{
    uint64_t buckets = atomic_load_explicit(&s->buckets, memory_order_acquire);
    /* the highest power of two that is not above the number of buckets */
    uint64_t level = (uint64_t)1 << (63 - __builtin_clzll(buckets));
    uint64_t index = hash & (2 * level - 1);

    return index < buckets ? index : index - level;
}

/* Segment 0 has the first 16 buckets, segment k as many as all before it. */
ALWAYS_INLINE struct row ***set_segment(struct set *s, uint64_t index, uint64_t *ret_offset)
{
    unsigned k;

    if (index < SET_STRIPES) {
        *ret_offset = index;
        return &s->segment[0];
    }
    k = 63 - (unsigned)__builtin_clzll(index) - 3;
    *ret_offset = index - ((uint64_t)SET_STRIPES << (k - 1));
    return &s->segment[k];
}

ALWAYS_INLINE struct row **set_bucket_of(struct set *s, uint32_t hash)
{
    uint64_t offset;
    struct row ***segment = set_segment(s, set_index(s, hash), &offset);

    return &(*segment)[offset];
}

/* The first row of key that is no ghost; NULL: none. */
ALWAYS_INLINE struct row *set_row(struct set *s, term key, uint32_t hash)
{
    struct row *r = *set_bucket_of(s, hash);

    while (r != NULL && (r->hash != hash || !term_eq(row_key(r, s->keypos), key) || r->ghost))
        r = r->next;
    return r;
}

/* Link to the first row of key, ghosts only if asked for; NULL: none. */
struct row **set_find(struct set *s, term key, uint32_t hash, bool ghosts);
bool set_same_key(const struct set *s, const struct row *r, term key, uint32_t hash);
/* Insert by the rules of the type. Replaces for sets. */
void set_insert_locked(struct set *s, term object, uint32_t hash);
/* Take the row at link out of the table or make it a ghost. The link then shows what follows it,
 * or the ghost itself. */
void set_remove_locked(struct set *s, struct row **link);
void set_replace_locked(struct set *s, struct row **link, struct row *with);

/* --- with no lock held ------------------------------------------------------------------------ */

void set_grow(struct set *s);           /* split buckets if there are too many rows for them */
void set_shrink_slow(struct set *s);
/* Join buckets if there are far too few rows for them. */
ALWAYS_INLINE void set_shrink(struct set *s)
{
    uint64_t buckets = atomic_load_explicit(&s->buckets, memory_order_relaxed);

    if (UNLIKELY(count_get(s->stripe[(buckets - 1) & (SET_STRIPES - 1)].count) * SET_STRIPES * 8 <
                 (int64_t)buckets) && buckets > SET_STRIPES)
        set_shrink_slow(s);
}
void set_sweep(struct set *s);          /* free the ghosts; the table is not fixed any more */
void set_clear(struct set *s);  /* all locks and growing held: drop every row (ghosts if fixed) */
/* Ask the cache for the first row of a bucket that will be looked at soon. Under any stripe. */
void set_prefetch(struct set *s, uint64_t index);
/* The bucket with this index, under its stripe; NULL when there are not so many. */
struct row **set_bucket(struct set *s, uint64_t index);

#endif
