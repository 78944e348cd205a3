/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store.c - LMDB behind store.h
 *
 * Databases are opened inside the transaction that uses them: LMDB keeps the handles, so this is a
 * look-up by name after the first time.
 */
#include "store/store.h"

#include "base/alloc.h"
#include "base/errors.h"

#include <errno.h>
#include <lmdb.h>
#include <sys/stat.h>

#define DATABASES_MAX 16

struct store { MDB_env *env; };

static int store_rc(int rc)
{
    switch (rc) {
    case 0:
        return 0;
    case MDB_NOTFOUND:
        return -ERR_NOT_FOUND;
    case MDB_MAP_FULL:
    case MDB_DBS_FULL:
    case MDB_READERS_FULL:
    case MDB_TXN_FULL:
    case MDB_BAD_VALSIZE:
        return -ERR_LIMIT;
    case MDB_VERSION_MISMATCH:
        return -ERR_VERSION;
    case MDB_INVALID:
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
        return -ERR_FORMAT;
    default:
        errno = rc > 0 ? rc : EIO;
        return -ERR_SYSTEM;
    }
}

/* Begin a transaction and open db in it. On failure there is no transaction. */
static int begin(struct store *st, const char *db, bool write, MDB_txn **ret_txn, MDB_dbi *ret_dbi)
{
    int rc = mdb_txn_begin(st->env, NULL, write ? 0 : MDB_RDONLY, ret_txn);

    if (rc != 0)
        return store_rc(rc);
    rc = mdb_dbi_open(*ret_txn, db, write ? MDB_CREATE : 0, ret_dbi);
    if (rc != 0)
        mdb_txn_abort(*ret_txn);
    return store_rc(rc);
}

static MDB_val val(const void *data, size_t len)
{
    return (MDB_val){ .mv_size = len, .mv_data = (void *)(uintptr_t)data };
}

/* Refuse a store written by a newer us; sign a new one. */
static int check_format(struct store *st)
{
    struct buf b = { 0 };
    uint32_t format = STORE_FORMAT;
    int rc = store_get(st, "meta", "format", 6, &b);

    if (rc == -ERR_NOT_FOUND)
        return store_put(st, "meta", "format", 6, &format, sizeof format);
    if (rc == 0 && b.len != sizeof format)
        rc = -ERR_FORMAT;
    if (rc == 0) {
        memcpy(&format, b.data, sizeof format);
        rc = format > STORE_FORMAT ? -ERR_VERSION : 0;
    }
    buf_fini(&b);
    return rc;
}

int store_open(const char *path, size_t map_bytes, bool sync, struct store **ret_store)
{
    struct store *st = MEM_NEW(struct store);
    int rc;

    if (mkdir(path, 0700) < 0 && errno != EEXIST) {
        mem_free(st);
        return -ERR_SYSTEM;
    }
    rc = mdb_env_create(&st->env);
    if (rc == 0)
        rc = mdb_env_set_maxdbs(st->env, DATABASES_MAX);
    if (rc == 0)
        rc = mdb_env_set_mapsize(st->env, map_bytes);
    if (rc == 0)
        rc = mdb_env_open(st->env, path, MDB_NOTLS | (sync ? 0 : MDB_NOSYNC), 0600);
    rc = store_rc(rc);
    if (rc == 0)
        rc = check_format(st);
    if (rc < 0) {
        int saved = errno;

        store_close(st);
        errno = saved;
        return rc;
    }
    *ret_store = st;
    return 0;
}

void store_close(struct store *st)
{
    if (st == NULL)
        return;
    if (st->env != NULL)
        mdb_env_close(st->env);
    mem_free(st);
}

int store_get(struct store *st, const char *db, const void *key, size_t key_len, struct buf *out)
{
    MDB_val k = val(key, key_len), v;
    MDB_txn *txn;
    MDB_dbi dbi;
    int rc = begin(st, db, false, &txn, &dbi);

    if (rc < 0)
        return rc;
    rc = store_rc(mdb_get(txn, dbi, &k, &v));
    if (rc == 0)
        buf_add(out, v.mv_data, v.mv_size);
    mdb_txn_abort(txn);
    return rc;
}

int store_write_all(struct store *st, const struct store_write *w, size_t n)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(st->env, NULL, 0, &txn);

    if (rc != 0)
        return store_rc(rc);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        MDB_val k = val(w[i].key, w[i].key_len), v = val(w[i].value, w[i].len);
        MDB_dbi dbi;

        rc = mdb_dbi_open(txn, w[i].db, MDB_CREATE, &dbi);
        if (rc != 0)
            break;
        if (w[i].value != NULL) {
            rc = mdb_put(txn, dbi, &k, &v, 0);
        } else {
            rc = mdb_del(txn, dbi, &k, NULL);
            rc = rc == MDB_NOTFOUND ? 0 : rc;
        }
    }
    if (rc == 0)
        return store_rc(mdb_txn_commit(txn));
    mdb_txn_abort(txn);
    return store_rc(rc);
}

int store_put(struct store *st, const char *db, const void *key, size_t key_len, const void *value,
              size_t len)
{
    struct store_write w = { db, key, key_len, value, len };

    return store_write_all(st, &w, 1);
}

int store_delete(struct store *st, const char *db, const void *key, size_t key_len)
{
    struct store_write w = { db, key, key_len, NULL, 0 };

    return store_write_all(st, &w, 1);
}

int store_visit(struct store *st, const char *db, bool backwards, store_visit_fn *visit, void *arg)
{
    MDB_txn *txn;
    MDB_dbi dbi;
    MDB_cursor *cur;
    MDB_val k, v;
    int rc = begin(st, db, false, &txn, &dbi);

    if (rc < 0)
        return rc == -ERR_NOT_FOUND ? 0 : rc; /* an empty database is not there yet */
    rc = mdb_cursor_open(txn, dbi, &cur);
    if (rc == 0) {
        MDB_cursor_op next = backwards ? MDB_PREV : MDB_NEXT;

        rc = mdb_cursor_get(cur, &k, &v, backwards ? MDB_LAST : MDB_FIRST);
        while (rc == 0 && visit(arg, k.mv_data, k.mv_size, v.mv_data, v.mv_size))
            rc = mdb_cursor_get(cur, &k, &v, next);
        mdb_cursor_close(cur);
    }
    mdb_txn_abort(txn);
    return rc == MDB_NOTFOUND ? 0 : store_rc(rc);
}

uint64_t store_used_bytes(struct store *st)
{
    MDB_envinfo info;
    MDB_stat stat;

    if (mdb_env_info(st->env, &info) != 0 || mdb_env_stat(st->env, &stat) != 0)
        return 0;
    return (uint64_t)(info.me_last_pgno + 1) * stat.ms_psize;
}
