/* SPDX-License-Identifier: Apache-2.0 */
/*
 * set.c - chained hashing that grows and shrinks by one bucket at a time
 */
#include "table/set.h"
#include "base/alloc.h"
#include "term/compare.h"

#define BUCKETS_PER_ROW 2   /* so that the first row of a bucket is mostly the one that is wanted */
#define SPLITS_AT_ONCE  4   /* catching up after a time of being fixed, without a long pause */
#define JOINS_AT_ONCE  16   /* a row that goes takes eight buckets along, see set_shrink */

void set_init(struct set *s, unsigned keypos, bool is_bag, bool keep_equal)
{
    s->keypos = keypos;
    s->is_bag = is_bag;
    s->keep_equal = keep_equal;
    s->segment[0] = s->first;
    atomic_store(&s->buckets, SET_STRIPES);
}

static struct row **bucket_at(struct set *s, uint64_t index)
{
    uint64_t offset;
    struct row ***segment = set_segment(s, index, &offset);

    return &(*segment)[offset];
}

struct row **set_bucket(struct set *s, uint64_t index)
{
    return index < atomic_load(&s->buckets) ? bucket_at(s, index) : NULL;
}

/* What it reads may be old or gone: a wrong address asked for costs a little time and no more. */
__attribute__((no_sanitize("thread"))) void set_prefetch(struct set *s, uint64_t index)
{
    if (index < atomic_load_explicit(&s->buckets, memory_order_relaxed))
        __builtin_prefetch(*bucket_at(s, index));
}

/* The highest power of two that is not above the number of buckets. */
static uint64_t level_of(uint64_t buckets)
{
    return (uint64_t)1 << (63 - __builtin_clzll(buckets));
}

void set_lock_all(struct set *s)
{
    for (unsigned i = 0; i < SET_STRIPES; i++)
        spin_lock(&s->stripe[i].guard.lock);
}

void set_unlock_all(struct set *s)
{
    for (unsigned i = 0; i < SET_STRIPES; i++)
        spin_unlock(&s->stripe[i].guard.lock);
}

int64_t set_count(const struct set *s)
{
    int64_t n = 0;

    for (unsigned i = 0; i < SET_STRIPES; i++)
        n += count_get(s->stripe[i].count);
    return n;
}

int64_t set_words(const struct set *s)
{
    int64_t n = (int64_t)(atomic_load(&s->buckets) + sizeof *s / sizeof(term));

    for (unsigned i = 0; i < SET_STRIPES; i++)
        n += count_get(s->stripe[i].words);
    return n;
}

bool set_same_key(const struct set *s, const struct row *r, term key, uint32_t hash)
{
    return r->hash == hash && term_eq(row_key(r, s->keypos), key);
}

struct row **set_find(struct set *s, term key, uint32_t hash, bool ghosts)
{
    struct row **link = set_bucket_of(s, hash);

    for (; *link != NULL; link = &(*link)->next)
        if ((*link)->hash == hash && (ghosts || !(*link)->ghost) &&
            term_eq(row_key(*link, s->keypos), key))
            return link;
    return NULL;
}

static void row_counted(struct set *s, const struct row *r, int64_t sign)
{
    struct set_stripe *st = set_stripe(s, r->hash);

    count_add(st->words, sign * (int64_t)(row_bytes(r) / sizeof(term)));
    if (!r->ghost)
        count_add(st->count, sign);
}

static void row_link(struct set *s, struct row **link, struct row *r, uint32_t hash)
{
    r->hash = hash;
    r->next = *link;
    *link = r;
    row_counted(s, r, 1);
}

void set_replace_locked(struct set *s, struct row **link, struct row *with)
{
    struct row *old = *link;

    row_counted(s, old, -1);
    if (old->ghost)
        count_add(set_stripe(s, old->hash)->ghosts, -1u);
    with->hash = old->hash;
    with->next = old->next;
    *link = with;
    row_counted(s, with, 1);
    row_free(old);
}

/* The equal object among the rows of one key, starting at its first. */
static struct row *equal_row(struct set *s, struct row *r, term key, uint32_t hash, term object)
{
    for (; r != NULL && set_same_key(s, r, key, hash); r = r->next)
        if (!r->ghost && term_eq(row_object(r), object))
            return r;
    return NULL;
}

void set_insert_locked(struct set *s, term object, uint32_t hash)
{
    term key = tuple_elem(object, s->keypos - 1);
    struct row **link = set_find(s, key, hash, true);

    if (link == NULL) {
        row_link(s, set_bucket_of(s, hash), row_new(object), hash);
        return;
    }
    if (s->is_bag) {
        if (s->keep_equal || equal_row(s, *link, key, hash, object) == NULL)
            row_link(s, link, row_new(object), hash);
        return;
    }
    if ((*link)->ghost || !row_refill(*link, object))
        set_replace_locked(s, link, row_new(object));
}

void set_remove_locked(struct set *s, struct row **link)
{
    struct row *r = *link;

    if (atomic_load(&s->fixed) > 0) {
        count_add(set_stripe(s, r->hash)->count, -1);
        count_add(set_stripe(s, r->hash)->ghosts, 1u);
        r->ghost = 1;
        return;
    }
    row_counted(s, r, -1);
    *link = r->next;
    row_free(r);
}

/* --- growing --------------------------------------------------------------------------------- */

/* Move the rows of bucket `from` whose hash says so to the new bucket; both keep their order. */
static void bucket_split(struct row **from, struct row **to, uint64_t mask, uint64_t index)
{
    while (*from != NULL) {
        struct row *r = *from;

        if ((r->hash & mask) == index) {
            *from = r->next;
            r->next = NULL;
            *to = r;
            to = &r->next;
        } else {
            from = &r->next;
        }
    }
}

static void set_split(struct set *s)
{
    uint64_t buckets = atomic_load(&s->buckets), level = level_of(buckets), offset;
    struct row ***segment = set_segment(s, buckets, &offset);
    struct set_stripe *st = set_stripe(s, (uint32_t)buckets);

    if (*segment == NULL)
        *segment = MEM_NEW_ARRAY(struct row *, level);
    spin_lock(&st->guard.lock);
    if (atomic_load(&s->fixed) == 0) {
        bucket_split(bucket_at(s, buckets - level), &(*segment)[offset], 2 * level - 1, buckets);
        atomic_store_explicit(&s->buckets, buckets + 1, memory_order_release);
    }
    spin_unlock(&st->guard.lock);
}

void set_grow(struct set *s)
{
    uint32_t free = 0;

    for (unsigned i = 0; i < SPLITS_AT_ONCE; i++) {
        uint64_t buckets = atomic_load_explicit(&s->buckets, memory_order_relaxed);
        /* the next stripe to split speaks for all: hashes spread evenly */
        int64_t rows = count_get(s->stripe[buckets & (SET_STRIPES - 1)].count) * SET_STRIPES;

        if (rows * BUCKETS_PER_ROW <= (int64_t)buckets || atomic_load(&s->fixed) > 0)
            return;
        if (!atomic_compare_exchange_strong(&s->growing.held, &free, 1))
            return;
        set_split(s);
        spin_unlock(&s->growing);
    }
}

/* The last bucket goes back into the one it was split from. */
static void set_join(struct set *s)
{
    uint64_t last = atomic_load(&s->buckets) - 1, level = level_of(last);
    struct set_stripe *st = set_stripe(s, (uint32_t)last);
    struct row **end;

    spin_lock(&st->guard.lock);
    if (atomic_load(&s->fixed) == 0) {
        struct row **from = bucket_at(s, last);

        for (end = bucket_at(s, last - level); *end != NULL; end = &(*end)->next) {
        }
        *end = *from;
        *from = NULL;
        atomic_store_explicit(&s->buckets, last, memory_order_release);
    }
    spin_unlock(&st->guard.lock);
}

/* Give the memory of segments back that have had no bucket for a whole level. Under all locks:
 * nobody looks ahead into them (set_prefetch). */
static void segments_free(struct set *s)
{
    uint64_t offset;
    struct row ***first = set_segment(s, 2 * level_of(atomic_load(&s->buckets)), &offset) + 1;

    if (first >= &s->segment[SET_SEGMENTS] || *first == NULL)
        return;
    set_lock_all(s);
    for (; first < &s->segment[SET_SEGMENTS] && *first != NULL; first++)
        mem_free(TAKE(*first));
    set_unlock_all(s);
}

void set_shrink_slow(struct set *s)
{
    uint32_t free = 0;

    if (atomic_load(&s->fixed) > 0 ||
        !atomic_compare_exchange_strong(&s->growing.held, &free, 1))
        return;
    for (unsigned i = 0; i < JOINS_AT_ONCE && atomic_load(&s->buckets) > SET_STRIPES; i++)
        set_join(s);
    segments_free(s);
    spin_unlock(&s->growing);
}

static bool has_ghosts(const struct set *s)
{
    uint32_t n = 0;

    for (unsigned i = 0; i < SET_STRIPES; i++)
        n += count_get(s->stripe[i].ghosts);
    return n != 0;
}

void set_sweep(struct set *s)
{
    if (!has_ghosts(s))
        return;
    for (uint64_t i = 0; i < atomic_load(&s->buckets); i++) {
        struct set_stripe *st = set_stripe(s, (uint32_t)i);

        if (count_get(st->ghosts) == 0)
            continue;
        spin_lock(&st->guard.lock);
        for (struct row **link = bucket_at(s, i); *link != NULL;) {
            struct row *r = *link;

            if (r->ghost && atomic_load(&s->fixed) == 0) {
                row_counted(s, r, -1);
                count_add(st->ghosts, -1u);
                *link = r->next;
                row_free(r);
            } else {
                link = &r->next;
            }
        }
        spin_unlock(&st->guard.lock);
    }
}

static void rows_drop(struct set *s)
{
    uint64_t buckets = atomic_load(&s->buckets);

    for (uint64_t i = 0; i < buckets; i++) {
        struct row **first = i < SET_STRIPES ? &s->first[i] : bucket_at(s, i);

        for (struct row *r = TAKE(*first), *next; r != NULL; r = next) {
            next = r->next;
            row_free(r);
        }
    }
}

static void counts_reset(struct set *s)
{
    for (unsigned i = 0; i < SET_STRIPES; i++) {
        s->stripe[i].count = 0;
        s->stripe[i].words = 0;
        s->stripe[i].ghosts = 0;
    }
}

bool set_bury(struct set *s, uint64_t *at, unsigned n)
{
    uint64_t buckets = atomic_load(&s->buckets);

    for (; n > 0 && *at < buckets; n--, ++*at) {
        struct row *r = TAKE(*bucket_at(s, *at));

        while (r != NULL) {
            struct row *next = r->next;

            row_free(r);
            r = next;
        }
    }
    return *at < buckets;
}

void set_move(struct set *s, struct set *to)
{
    set_init(to, s->keypos, s->is_bag, s->keep_equal);
    memcpy(to->first, s->first, sizeof to->first);
    memset(s->first, 0, sizeof s->first);
    for (unsigned k = 1; k < SET_SEGMENTS; k++)
        to->segment[k] = TAKE(s->segment[k]);
    atomic_store(&to->buckets, atomic_load(&s->buckets));
    atomic_store_explicit(&s->buckets, SET_STRIPES, memory_order_release);
    counts_reset(s);
}

void set_clear(struct set *s)
{
    if (atomic_load(&s->fixed) > 0) {
        for (uint64_t i = 0; i < atomic_load(&s->buckets); i++)
            for (struct row *r = *bucket_at(s, i); r != NULL; r = r->next)
                if (!r->ghost) {
                    count_add(set_stripe(s, r->hash)->count, -1);
                    count_add(set_stripe(s, r->hash)->ghosts, 1u);
                    r->ghost = 1;
                }
        return;
    }
    set_fini(s);
}

void set_fini(struct set *s)
{
    rows_drop(s);
    atomic_store_explicit(&s->buckets, SET_STRIPES, memory_order_release);
    for (unsigned k = 1; k < SET_SEGMENTS && s->segment[k] != NULL; k++)
        mem_free(TAKE(s->segment[k]));
    counts_reset(s);
}
