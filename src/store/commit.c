/* SPDX-License-Identifier: Apache-2.0 */
/*
 * commit.c - one transaction of the writer
 */
#include "store/store_priv.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/metric.h"

#include <errno.h>

/* --- one transaction -------------------------------------------------------------------------- */

int writer_open_db(struct store *st, MDB_txn *txn, unsigned i)
{
    if (atomic_load(&st->db[i].is_open))
        return 0;
    return mdb_dbi_open(txn, st->db[i].name, MDB_CREATE, &st->db[i].dbi);
}

/* Databases made in a transaction are there for others once it is committed. */
static void publish_dbs(struct store *st, const bool *used)
{
    for (unsigned i = 0; i < DATABASES_MAX; i++)
        if (used[i])
            atomic_store_explicit(&st->db[i].is_open, true, memory_order_release);
}

static int delete_pair(MDB_txn *txn, MDB_dbi dbi, MDB_val *k)
{
    int rc = mdb_del(txn, dbi, k, NULL);

    return rc == MDB_NOTFOUND ? 0 : rc;
}

struct txn { MDB_txn *txn; bool used[DATABASES_MAX]; bool versions; };

static int use_db(struct store *st, struct txn *t, const char *name, MDB_dbi *ret)
{
    unsigned i = writer_db(st, name);
    int rc = writer_open_db(st, t->txn, i);

    t->used[i] = true;
    *ret = st->db[i].dbi;
    return rc;
}

/* Note that what begins with prefix in database db is to go. */
static int note_drop(struct store *st, struct txn *t, const char *db, MDB_val prefix)
{
    MDB_dbi drops;
    struct buf value = { 0 };
    MDB_val v;
    int rc = use_db(st, t, "drops", &drops);

    buf_str(&value, db);
    v = store_val(value.data, value.len);
    if (rc == 0)
        rc = mdb_put(t->txn, drops, &prefix, &v, 0);
    buf_fini(&value);
    st->drops = true;
    return rc;
}

static int apply_op(struct store *st, struct txn *t, enum op op, unsigned db, MDB_val k, MDB_val v,
                    int64_t time)
{
    MDB_dbi unused;
    int rc = writer_open_db(st, t->txn, db);

    t->used[db] = true;
    if (rc != 0)
        return rc;
    switch (op) {
    case OP_PUT:
        return mdb_put(t->txn, st->db[db].dbi, &k, &v, 0);
    case OP_DELETE:
        return delete_pair(t->txn, st->db[db].dbi, &k);
    case OP_DROP:
        return note_drop(st, t, st->db[db].name, k);
    case OP_VERSION:
    case OP_VERSION_DELETE:
        t->versions = true;
        rc = use_db(st, t, "versions", &unused);
        if (rc == 0)
            rc = use_db(st, t, "ended", &unused);
        if (rc == 0)
            rc = version_put(st, t->txn, k, op == OP_VERSION ? &v : NULL, time);
        if (rc != 0)
            return rc;
        return op == OP_VERSION ? mdb_put(t->txn, st->db[db].dbi, &k, &v, 0)
                                : delete_pair(t->txn, st->db[db].dbi, &k);
    }
    return EINVAL;
}

static int apply_group(struct store *st, struct txn *t, const struct group *g, int64_t time)
{
    struct reader r = reader_make(g->ops.data, g->ops.len);
    int rc = 0;

    while (rc == 0 && reader_left(&r) > 0) {
        enum op op = reader_u8(&r);
        unsigned db = reader_u8(&r);
        size_t key_len = reader_u16(&r), len = reader_u32(&r);
        const uint8_t *key = reader_take(&r, key_len);
        const uint8_t *value = reader_take(&r, len);

        ASSERT(!r.bad);
        rc = apply_op(st, t, op, db, store_val(key, key_len), store_val(value, len), time);
    }
    return rc;
}

/* Later than all before, by the clock if it allows. */
static int64_t next_time(int64_t last)
{
    int64_t now = clock_system_ns();

    return now > last ? now : last + 1;
}

static int put_time(struct store *st, struct txn *t, int64_t time)
{
    MDB_val k = store_val("version_time", 12), v = store_val(&time, sizeof time);
    MDB_dbi meta;
    int rc = use_db(st, t, "meta", &meta);

    return rc == 0 ? mdb_put(t->txn, meta, &k, &v, 0) : rc;
}

int write_groups(struct store *st, const struct group *g, size_t n)
{
    struct txn t = { 0 };
    int64_t time = st->version_ns, began = clock_monotonic_ns();
    int rc = mdb_txn_begin(st->env, NULL, 0, &t.txn);

    if (rc != 0)
        return rc;
    for (;; g = g->next) {
        time = next_time(time);
        rc = apply_group(st, &t, g, time);
        if (rc != 0 || --n == 0)
            break;
    }
    if (rc == 0 && t.versions)
        rc = put_time(st, &t, time);
    if (rc != 0) {
        metric_inc(M_store_error_write);
        mdb_txn_abort(t.txn);
        return rc;
    }
    rc = mdb_txn_commit(t.txn);
    if (rc != 0) {
        metric_inc(M_store_error_commit);
        return rc;
    }
    publish_dbs(st, t.used);
    if (t.versions)
        atomic_store(&st->version_ns, time);
    atomic_fetch_add(&st->commits, 1);
    atomic_store(&st->last_commit_ns, clock_monotonic_ns());
    metric_inc(M_store_commits);
    st->took_ns = clock_monotonic_ns() - began;
    metric_time(M_store_commit, st->took_ns);
    return 0;
}

