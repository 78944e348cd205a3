/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ordered.h - ordered_set: a B+ tree of rows in term order, keys compared by value (1 == 1.0)
 *
 * All functions: under the table's lock.
 */
#ifndef TABLE_ORDERED_H
#define TABLE_ORDERED_H

#include "table/keycache.h"
#include "table/sorted.h"

struct leaf {
    struct sorted s;        /* of rows, in which the keys lie */
    struct leaf *prev, *next;
};
#define leaf_row(leaf, i) ((struct row *)(leaf)->s.at[i].of)

struct ordered {
    struct guard guard;
    uint32_t keypos;
    unsigned height;        /* inner levels above the leaves */
    void    *root;          /* a leaf when height is 0 */
    struct leaf *first, *last;
    struct leaf *hint;      /* found last: walks by key stay in it for a while; NULL: none */
    uint32_t hint_i;        /* and where: looked at before it is believed */
    struct keycache cache;  /* rows found lately by key */
    _Atomic int64_t count, words;   /* written under the lock, read without */
};

void ordered_init(struct ordered *o, unsigned keypos);
void ordered_fini(struct ordered *o);
void ordered_clear(struct ordered *o);
/* Make `to` the owner of the tree, o an empty one. */
void ordered_move(struct ordered *o, struct ordered *to);
/* Free up to n leaves of a tree that nobody else has; false: that was all, and only its inner
 * nodes are left (ordered_fini). */
bool ordered_bury(struct ordered *o, unsigned n);

/* The row whose key equals this, found in the tree; NULL: none. */
struct row *ordered_search(struct ordered *o, term key);
/* The same. A key of one word that was found lately is found without the tree. */
ALWAYS_INLINE struct row *ordered_find(struct ordered *o, term key)
{
    struct row *r = keycache_find(&o->cache, key);

    return LIKELY(r != NULL) ? r : ordered_search(o, key);
}

/* Make object the one of its key: in the row of an equal key if it fits there, else in a new row.
 * A key behind the last or before the first costs no search. */
void ordered_insert(struct ordered *o, term object);
struct row *ordered_remove(struct ordered *o, term key);/* gives the row; NULL: none */
/* Put `with` where the row of the same key is, which is freed. */
void ordered_replace(struct ordered *o, struct row *with);

/* A position between rows; valid until the tree changes. */
struct place { struct leaf *leaf; uint32_t i; };
/* How a key lies to what is looked for: <0 before, 0 in range, >0 behind. */
typedef int range_cmp(term key, const void *range);

struct place ordered_first(struct ordered *o);
struct place ordered_last(struct ordered *o);
/* The first row with key > (or >=) the given, and the last with key < (or <=). */
struct place ordered_after(struct ordered *o, term key, bool or_equal);
struct place ordered_before(struct ordered *o, term key, bool or_equal);
/* The first or last row whose key range_cmp does not place before or behind the range. */
struct place ordered_range_start(struct ordered *o, range_cmp *cmp, const void *range);
struct place ordered_range_end(struct ordered *o, range_cmp *cmp, const void *range);
/* The row there (NULL: past an end), and a step. */
struct row *place_row(struct place at);
struct place place_next(struct place at);
struct place place_prev(struct place at);

#endif
