/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store.h - durable bytes by key: one LMDB environment with named databases
 *
 * The only user of lmdb.h. Keys are at most 511 bytes and ordered as bytes. Any thread may call;
 * each call is a transaction of its own, writers wait for each other.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/bytes.h"

struct store;

#define STORE_FORMAT 1          /* kept in database meta; a larger one is refused */

/* Open or make the environment in folder path (made if missing, 0700). sync: a commit is on disk
 * when it returns. -ERR_SYSTEM with errno, -ERR_VERSION, -ERR_FORMAT (not a store of ours). */
MUST_CHECK int store_open(const char *path, size_t map_bytes, bool sync, struct store **ret_store);
void store_close(struct store *st);                                 /* NULL is fine */

/* The value of key, appended to out. -ERR_NOT_FOUND (also when db does not exist yet). */
MUST_CHECK int store_get(struct store *st, const char *db, const void *key, size_t key_len,
                         struct buf *out);
MUST_CHECK int store_put(struct store *st, const char *db, const void *key, size_t key_len,
                         const void *value, size_t len);
/* Removing what is not there is not an error. */
MUST_CHECK int store_delete(struct store *st, const char *db, const void *key, size_t key_len);

/* Visit all pairs of db in key order, or backwards, until visit returns false. The bytes are lent
 * for the visit, which must not call the store. */
typedef bool store_visit_fn(void *arg, const void *key, size_t key_len, const void *value,
                            size_t len);
MUST_CHECK int store_visit(struct store *st, const char *db, bool backwards, store_visit_fn *visit,
                           void *arg);

/* Several writes that happen together or not at all. */
struct store_write {
    const char *db;
    const void *key;
    size_t key_len;
    const void *value;
    size_t len;
};
/* value NULL: delete. */
MUST_CHECK int store_write_all(struct store *st, const struct store_write *w, size_t n);

uint64_t store_used_bytes(struct store *st);

#endif
