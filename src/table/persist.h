/* SPDX-License-Identifier: Apache-2.0 */
/*
 * persist.h - tables whose rows are in the store too
 *
 * Reads never leave memory. A change is made in memory under the lock of its key, and handed to the
 * store's writer under the same lock, so that the store sees the changes of a key in their order.
 * Whoever made it then waits for table_ticket.
 *
 *   database tables   name -> {Id, Type, KeyPos, Protection, Sync, KeepMs}
 *   database rows     Id (4 bytes), sortkey -> the object, or the objects of a bag's key as a list;
 *                     external term format
 *
 * After a start a thread reads the rows in. Until it is done a key that is asked for is read at
 * once (persist_fault), and keys deleted meanwhile are remembered, so that an older row of theirs
 * does not come back.
 *
 * Any thread that is online (base/epoch.h), unless said otherwise.
 */
#ifndef TABLE_PERSIST_H
#define TABLE_PERSIST_H

#include "store/store.h"
#include "table/table.h"

#define PERSIST_KEEP_ALL INT64_MAX

/* Somebody who waits until all rows are in memory. done runs on any thread, and must not block. */
struct load_waiter {
    struct load_waiter *next;
    void (*done)(struct load_waiter *w);
};

struct persist {
    struct store *store;
    _Atomic bool sync;              /* writers wait until their change is durable */
    _Atomic uint64_t ticket;        /* of the newest change */
    _Atomic bool loading;
    uint8_t id[4];                  /* [lk] all locks to change, any to read */
    _Atomic int64_t keep_ms;        /* history: 0 none, PERSIST_KEEP_ALL */
    struct table *deleted;          /* while loading: keys deleted since; hidden */
    struct load_waiter *waiters;    /* [lk meta] of the table */
};

/* What the node does: main thread. Make tables of the catalogue in st, without owners, and begin
 * to load their rows. Errors as store_visit; a table that cannot be made is reported to say. */
MUST_CHECK int persist_start(struct store *st, void (*say)(const char *text));
/* Stop loading; what is not loaded stays on the disk, and tables can still be written. */
void persist_stop_loading(void);
void persist_stop(void);                /* the same; the store can be closed then */
struct store *persist_store(void);      /* NULL: this node has none */

/* A new persistent table, or the one of that name and kind that waits for an owner. NULL and a
 * code: -ERR_EXISTS (somebody owns it, or a table in memory has the name), -ERR_ARGUMENT (there is
 * one of another kind), -ERR_NOT_FOUND (this node has no store), -ERR_SYSTEM (commits fail). */
struct table *persist_open(term name, term owner, const struct table_options *opt, int *ret_rc);

/* --- before a change -------------------------------------------------------------------------- */

/* May the objects of a list (or terms that become parts of objects) be stored? 0, -ERR_ARGUMENT (a
 * fun or a port), -ERR_LIMIT (a key or an object is too long), -ERR_SYSTEM: commits fail at the
 * moment (store_failure), so that nothing is changed. */
int persist_check_objects(struct table *t, term list);
int persist_check_key(struct table *t, term key);
int persist_check_part(struct table *t, term part);

/* --- under the lock of the key, for tables with t->persist only ------------------------------- */

/* May there be rows that are not in memory yet? A relaxed load. */
ALWAYS_INLINE bool persist_is_loading(const struct table *t)
{
    return atomic_load_explicit(&t->persist->loading, memory_order_relaxed);
}

/* See to it that the rows of key are in memory. */
void persist_fault(struct table *t, term key, uint32_t hash);
/* The rows of key have changed: what they are now goes into b. */
void persist_note(struct table *t, struct store_batch *b, term key, uint32_t hash);
void persist_submit(struct table *t, struct store_batch *b);
/* All rows are about to go; under all locks. Submits by itself. */
void persist_clear(struct table *t);

/* --- under the lock of tables ---------------------------------------------------------------- */

void persist_renamed(struct table *t, term from, term to);
void persist_deleted(struct table *t);
/* When nobody can write rows of t any more. */
void persist_drop(struct table *t);
void persist_free(struct table *t);

/* --- after it -------------------------------------------------------------------------------- */

/* The ticket to wait for so that every change of t before the call is durable; 0: need not wait. */
uint64_t table_ticket(struct table *t);
ALWAYS_INLINE bool table_is_loading(struct table *t)
{
    return UNLIKELY(t->persist != NULL) &&
           atomic_load_explicit(&t->persist->loading, memory_order_acquire);
}
/* False: it is loaded already, w is not used. */
bool persist_await_load(struct table *t, struct load_waiter *w);

/* --- history --------------------------------------------------------------------------------- */

/* Versions of one key, or all objects at one time: appended to out as pairs (time: 8 bytes, length:
 * 4 bytes, value: external format, length UINT32_MAX for deleted). Any thread; reads the disk. */
MUST_CHECK int persist_history(struct table *t, const uint8_t *key, size_t key_len, int64_t from,
                               int64_t to, size_t max_bytes, struct buf *out);
MUST_CHECK int persist_as_of(struct table *t, int64_t time, size_t max_bytes, struct buf *out);
/* The stored form of a key, id included. */
MUST_CHECK int persist_key(struct table *t, term key, struct buf *out);

/* Rows that could not be read; shown by check store. */
uint64_t persist_damaged_rows(void);

#endif
