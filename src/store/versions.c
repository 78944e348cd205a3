/* SPDX-License-Identifier: Apache-2.0 */
/*
 * versions.c - old versions of values
 *
 *   versions   key + time (8 bytes)          value: a mark (1 byte: 1 value, 0 deleted), the value
 *   ended      group + time (8) + rest of key + time (8)
 *                                            the version of the second time ended at the first
 *
 * Times are big endian, so that versions of a key stand together in order of time. Their writer
 * makes keys so that none is the beginning of another, and so that a following byte up to 0x7F, as
 * times have, does not bring a key among the versions of another (table/sortkey.h).
 */
#include "store/versions.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/errors.h"
#include "store/store_priv.h"

#include <limits.h>

#define TIME_BYTES 8

static void put_be64(uint8_t *at, uint64_t v)
{
    for (int i = 0; i < TIME_BYTES; i++)
        at[i] = (uint8_t)(v >> (56 - 8 * i));
}

static int64_t get_be64(const uint8_t *at)
{
    uint64_t v = 0;

    for (int i = 0; i < TIME_BYTES; i++)
        v = v << 8 | at[i];
    return (int64_t)v;
}

/* --- writing ---------------------------------------------------------------------------------- */

static bool same_key(MDB_val versioned, const void *key, size_t key_len)
{
    return versioned.mv_size == key_len + TIME_BYTES &&
           memcmp(versioned.mv_data, key, key_len) == 0;
}

static int put_ended(MDB_txn *txn, MDB_dbi ended, MDB_val key, int64_t end, int64_t begin)
{
    uint8_t words[STORE_KEY_MAX];
    MDB_val k = store_val(words, key.mv_size + 2 * TIME_BYTES), v = store_val("", 0);

    memcpy(words, key.mv_data, VERSION_GROUP);
    put_be64(words + VERSION_GROUP, (uint64_t)end);
    memcpy(words + VERSION_GROUP + TIME_BYTES, (uint8_t *)key.mv_data + VERSION_GROUP,
           key.mv_size - VERSION_GROUP);
    put_be64(words + TIME_BYTES + key.mv_size, (uint64_t)begin);
    return mdb_put(txn, ended, &k, &v, 0);
}

/* Time of the newest version of key; 0: none. */
static int newest(MDB_txn *txn, MDB_dbi versions, MDB_val key, int64_t *ret)
{
    uint8_t words[STORE_KEY_MAX];
    MDB_val k = store_val(words, key.mv_size + TIME_BYTES), v;
    MDB_cursor *cur;
    int rc = mdb_cursor_open(txn, versions, &cur);

    *ret = 0;
    if (rc != 0)
        return rc;
    memcpy(words, key.mv_data, key.mv_size);
    put_be64(words + key.mv_size, INT64_MAX);
    rc = mdb_cursor_get(cur, &k, &v, MDB_SET_RANGE);
    rc = mdb_cursor_get(cur, &k, &v, rc == MDB_NOTFOUND ? MDB_LAST : MDB_PREV);
    if (rc == 0 && same_key(k, key.mv_data, key.mv_size))
        *ret = get_be64((const uint8_t *)k.mv_data + key.mv_size);
    mdb_cursor_close(cur);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

int version_put(struct store *st, MDB_txn *txn, MDB_val key, const MDB_val *value, int64_t time)
{
    MDB_dbi versions = st->db[writer_db(st, "versions")].dbi;
    MDB_dbi ended = st->db[writer_db(st, "ended")].dbi;
    uint8_t words[STORE_KEY_MAX];
    MDB_val k = store_val(words, key.mv_size + TIME_BYTES);
    MDB_val v = { .mv_size = 1 + (value != NULL ? value->mv_size : 0) };
    int64_t before;
    int rc = newest(txn, versions, key, &before);

    if (rc == 0 && before != 0 && before != time)
        rc = put_ended(txn, ended, key, time, before);
    if (rc == 0 && value == NULL)
        rc = put_ended(txn, ended, key, time, time);
    if (rc != 0)
        return rc;
    memcpy(words, key.mv_data, key.mv_size);
    put_be64(words + key.mv_size, (uint64_t)time);
    rc = mdb_put(txn, versions, &k, &v, MDB_RESERVE);
    if (rc != 0)
        return rc;
    *(uint8_t *)v.mv_data = value != NULL;
    if (value != NULL)
        memcpy((uint8_t *)v.mv_data + 1, value->mv_data, value->mv_size);
    return 0;
}

/* --- retention -------------------------------------------------------------------------------- */

void versions_keep(struct store *st, const uint8_t group[VERSION_GROUP], int64_t keep_ns)
{
    struct keep *k;

    pthread_mutex_lock(&st->lock);
    for (k = st->keeps; k != NULL && memcmp(k->group, group, VERSION_GROUP) != 0; k = k->next) {
    }
    if (k == NULL) {
        k = MEM_NEW(struct keep);
        memcpy(k->group, group, VERSION_GROUP);
        k->next = st->keeps;
        st->keeps = k;
    }
    k->keep_ns = keep_ns;
    pthread_mutex_unlock(&st->lock);
}

/* Remove the version that a row of `ended` names, and the row. */
static int expire_one(MDB_txn *txn, MDB_dbi versions, MDB_cursor *cur, MDB_val k)
{
    const uint8_t *at = k.mv_data;
    uint8_t words[STORE_KEY_MAX];
    MDB_val version = store_val(words, k.mv_size - TIME_BYTES);
    int rc;

    memcpy(words, at, VERSION_GROUP);
    memcpy(words + VERSION_GROUP, at + VERSION_GROUP + TIME_BYTES,
           version.mv_size - VERSION_GROUP);
    rc = mdb_cursor_del(cur, 0);
    if (rc == 0)
        rc = mdb_del(txn, versions, &version, NULL);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

/* Up to max versions of one group that ended before horizon. */
static int expire_group(MDB_txn *txn, MDB_dbi versions, MDB_dbi ended, const uint8_t *group,
                        int64_t horizon, unsigned max, unsigned *n)
{
    MDB_val k = store_val(group, VERSION_GROUP), v;
    MDB_cursor *cur;
    int rc = mdb_cursor_open(txn, ended, &cur);

    if (rc != 0)
        return rc;
    rc = mdb_cursor_get(cur, &k, &v, MDB_SET_RANGE);
    while (rc == 0 && *n < max && k.mv_size > VERSION_GROUP + 2 * TIME_BYTES &&
           memcmp(k.mv_data, group, VERSION_GROUP) == 0 &&
           get_be64((const uint8_t *)k.mv_data + VERSION_GROUP) < horizon) {
        rc = expire_one(txn, versions, cur, k);
        ++*n;
        if (rc == 0)    /* after a removal this is the pair that took its place */
            rc = mdb_cursor_get(cur, &k, &v, MDB_NEXT);
    }
    mdb_cursor_close(cur);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

int versions_expire(struct store *st, MDB_txn *txn, unsigned max, unsigned *ret_n)
{
    MDB_dbi versions, ended;
    int64_t now = clock_system_ns();
    int rc = 0;

    if (!store_find_db(st, "versions", &versions) || !store_find_db(st, "ended", &ended))
        return 0;
    pthread_mutex_lock(&st->lock);      /* keeps are only added: a pointer stays good */
    for (struct keep *k = st->keeps; rc == 0 && k != NULL; k = k->next) {
        int64_t keep_ns = k->keep_ns;

        if (keep_ns == 0)
            continue;
        pthread_mutex_unlock(&st->lock);
        rc = expire_group(txn, versions, ended, k->group, now - keep_ns, max, ret_n);
        pthread_mutex_lock(&st->lock);
    }
    pthread_mutex_unlock(&st->lock);
    return rc;
}

/* Remove keys of db that begin with prefix. */
static int drop_from(struct store *st, MDB_txn *txn, const char *db, MDB_val prefix, unsigned max,
                     unsigned *n)
{
    MDB_val k = prefix, v;
    MDB_cursor *cur;
    MDB_dbi dbi;
    int rc;

    if (!store_find_db(st, db, &dbi))
        return 0;
    rc = mdb_cursor_open(txn, dbi, &cur);
    if (rc != 0)
        return rc;
    rc = mdb_cursor_get(cur, &k, &v, MDB_SET_RANGE);
    while (rc == 0 && *n < max && k.mv_size >= prefix.mv_size &&
           memcmp(k.mv_data, prefix.mv_data, prefix.mv_size) == 0) {
        rc = mdb_cursor_del(cur, 0);
        ++*n;
        if (rc == 0)
            rc = mdb_cursor_get(cur, &k, &v, MDB_NEXT);
    }
    mdb_cursor_close(cur);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

int versions_drop(struct store *st, MDB_txn *txn, const char *db, MDB_val prefix, unsigned max,
                  unsigned *ret_n)
{
    int rc = drop_from(st, txn, db, prefix, max, ret_n);

    if (rc == 0)
        rc = drop_from(st, txn, "versions", prefix, max, ret_n);
    return rc == 0 ? drop_from(st, txn, "ended", prefix, max, ret_n) : rc;
}

/* --- reading ---------------------------------------------------------------------------------- */

static bool visit_version(version_fn *visit, void *arg, MDB_val k, MDB_val v)
{
    const uint8_t *key = k.mv_data, *value = v.mv_data;
    size_t key_len = k.mv_size - TIME_BYTES;
    bool here = v.mv_size > 0 && value[0] == 1;

    return visit(arg, key, key_len, get_be64(key + key_len), here ? value + 1 : NULL,
                 here ? v.mv_size - 1 : 0);
}

/* Place cur at the last version of key whose time is <= time. MDB_NOTFOUND: there is none. */
static int seek_at(MDB_cursor *cur, const void *key, size_t key_len, int64_t time, MDB_val *k,
                   MDB_val *v)
{
    uint8_t words[STORE_KEY_MAX];
    int rc;

    memcpy(words, key, key_len);
    put_be64(words + key_len, (uint64_t)time + 1);
    *k = store_val(words, key_len + TIME_BYTES);
    rc = mdb_cursor_get(cur, k, v, MDB_SET_RANGE);
    rc = mdb_cursor_get(cur, k, v, rc == MDB_NOTFOUND ? MDB_LAST : MDB_PREV);
    return rc != 0 ? rc : same_key(*k, key, key_len) ? 0 : MDB_NOTFOUND;
}

static int begin_cursor(struct store *st, struct read *rd, MDB_cursor **ret)
{
    MDB_dbi dbi;
    int rc = store_settle(st);

    if (rc < 0)
        return rc;
    if (!store_find_db(st, "versions", &dbi))
        return -ERR_NOT_FOUND;
    rc = read_begin(st, rd);
    if (rc < 0)
        return rc;
    rc = mdb_cursor_open(rd->txn, dbi, ret);
    if (rc != 0)
        read_end(rd);
    return store_rc(rc);
}

int versions_of(struct store *st, const void *key, size_t key_len, int64_t from, int64_t to,
                version_fn *visit, void *arg)
{
    struct read rd;
    MDB_cursor *cur;
    MDB_val k, v;
    uint8_t words[STORE_KEY_MAX];
    int rc = begin_cursor(st, &rd, &cur);

    if (rc < 0)
        return rc == -ERR_NOT_FOUND ? 0 : rc;
    rc = seek_at(cur, key, key_len, from < 0 ? 0 : from, &k, &v);
    if (rc == MDB_NOTFOUND) {
        memcpy(words, key, key_len);
        put_be64(words + key_len, from < 0 ? 0 : (uint64_t)from);
        k = store_val(words, key_len + TIME_BYTES);
        rc = mdb_cursor_get(cur, &k, &v, MDB_SET_RANGE);
    }
    for (; rc == 0 && same_key(k, key, key_len); rc = mdb_cursor_get(cur, &k, &v, MDB_NEXT)) {
        if (get_be64((const uint8_t *)k.mv_data + key_len) > to || !visit_version(visit, arg, k, v))
            break;
        if (read_is_ended(&rd)) {
            rc = -ERR_TIMEOUT;
            break;
        }
    }
    mdb_cursor_close(cur);
    read_end(&rd);
    return rc == MDB_NOTFOUND ? 0 : rc == -ERR_TIMEOUT ? rc : store_rc(rc);
}

int versions_at(struct store *st, const void *prefix, size_t prefix_len, const void *after,
                size_t after_len, int64_t time, version_fn *visit, void *arg)
{
    struct read rd;
    MDB_cursor *cur;
    MDB_val k, v;
    uint8_t key[STORE_KEY_MAX];
    size_t key_len = after != NULL ? after_len : prefix_len;
    int rc = begin_cursor(st, &rd, &cur);

    if (rc < 0)
        return rc == -ERR_NOT_FOUND ? 0 : rc;
    memcpy(key, after != NULL ? after : prefix, key_len);
    for (unsigned n = 1;; n++) {
        /* past all versions of the key before; the first time, past none: (key, INT64_MAX) */
        size_t len = key_len;

        if (n > 1 || after != NULL) {
            put_be64(key + len, INT64_MAX);
            len += TIME_BYTES;
        }
        k = store_val(key, len);
        rc = mdb_cursor_get(cur, &k, &v, MDB_SET_RANGE);
        if (rc != 0 || k.mv_size < prefix_len + TIME_BYTES ||
            memcmp(k.mv_data, prefix, prefix_len) != 0)
            break;
        key_len = k.mv_size - TIME_BYTES;
        memcpy(key, k.mv_data, key_len);
        rc = seek_at(cur, key, key_len, time, &k, &v);
        if (rc == 0 && v.mv_size > 0 && *(const uint8_t *)v.mv_data == 1 &&
            !visit_version(visit, arg, k, v))
            break;
        if (rc != 0 && rc != MDB_NOTFOUND)
            break;
        if (n % 64 == 0 && read_is_ended(&rd)) {
            rc = -ERR_TIMEOUT;
            break;
        }
    }
    mdb_cursor_close(cur);
    read_end(&rd);
    return rc == MDB_NOTFOUND ? 0 : rc == -ERR_TIMEOUT ? rc : store_rc(rc);
}

int64_t versions_now(struct store *st)
{
    return atomic_load(&st->version_ns);
}
