/* SPDX-License-Identifier: Apache-2.0 */
/*
 * commit.c - the transaction of the writer
 *
 * Groups are applied to one transaction that stays open while they are safe in the journal. If it
 * fails, or has to be given up, the kept groups are applied again to the next one.
 */
#include "store/journal.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/metric.h"

#include <errno.h>

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

static int use_db(struct store *st, const char *name, MDB_dbi *ret)
{
    unsigned i = writer_db(st, name);
    int rc = writer_open_db(st, st->changes.txn, i);

    st->changes.used[i] = true;
    *ret = st->db[i].dbi;
    return rc;
}

/* Note that what begins with prefix in database db is to go. */
static int note_drop(struct store *st, const char *db, MDB_val prefix)
{
    MDB_dbi drops;
    struct buf value = { 0 };
    MDB_val v;
    int rc = use_db(st, "drops", &drops);

    buf_str(&value, db);
    v = store_val(value.data, value.len);
    if (rc == 0)
        rc = mdb_put(st->changes.txn, drops, &prefix, &v, 0);
    buf_fini(&value);
    st->drops = true;
    return rc;
}

static int apply_op(struct store *st, enum op op, unsigned db, MDB_val k, MDB_val v, int64_t time)
{
    struct changes *t = &st->changes;
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
        return note_drop(st, st->db[db].name, k);
    case OP_VERSION:
    case OP_VERSION_DELETE:
        t->versions = true;
        rc = use_db(st, "versions", &unused);
        if (rc == 0)
            rc = use_db(st, "ended", &unused);
        if (rc == 0)
            rc = version_put(st, t->txn, k, op == OP_VERSION ? &v : NULL, time);
        if (rc != 0)
            return rc;
        return op == OP_VERSION ? mdb_put(t->txn, st->db[db].dbi, &k, &v, 0)
                                : delete_pair(t->txn, st->db[db].dbi, &k);
    }
    return EINVAL;
}

/* Later than all before, by the clock if it allows. */
static int64_t next_time(int64_t last)
{
    int64_t now = clock_system_ns();

    return now > last ? now : last + 1;
}

static int apply_group(struct store *st, struct group *g)
{
    struct reader r = reader_make(g->ops.data, g->ops.len);
    int rc = 0;

    if (g->time == 0)
        g->time = next_time(st->time_ns);
    if (g->time > st->time_ns)
        st->time_ns = g->time;
    while (rc == 0 && reader_left(&r) > 0) {
        enum op op = reader_u8(&r);
        unsigned db = reader_u8(&r);
        size_t key_len = reader_u16(&r), len = reader_u32(&r);
        const uint8_t *key = reader_take(&r, key_len);
        const uint8_t *value = reader_take(&r, len);

        ASSERT(!r.bad);
        rc = apply_op(st, op, db, store_val(key, key_len), store_val(value, len), g->time);
    }
    return rc;
}

static int changes_begin(struct store *st)
{
    int rc;

    if (st->changes.txn != NULL)
        return 0;
    if (st->env == NULL)
        return MDB_PANIC;
    rc = mdb_txn_begin(st->env, NULL, 0, &st->changes.txn);
    for (struct group *g = st->kept; rc == 0 && g != NULL; g = g->next)
        rc = apply_group(st, g);
    return rc;
}

int changes_apply(struct store *st, struct group *g, size_t n)
{
    int rc = changes_begin(st);

    for (size_t i = 0; rc == 0 && i < n; i++) {
        if (i > 0)      /* what follows the last is not ours to look at */
            g = g->next;
        rc = apply_group(st, g);
    }
    if (rc != 0) {
        metric_inc(M_store_error_write);
        changes_abort(st);
    }
    return rc;
}

void changes_abort(struct store *st)
{
    if (st->changes.txn != NULL)
        mdb_txn_abort(st->changes.txn);
    st->changes = (struct changes){ 0 };
}

/* What the transaction says of itself. */
static int put_numbers(struct store *st)
{
    MDB_val k = store_val("version_time", 12), v = store_val(&st->time_ns, sizeof st->time_ns);
    MDB_dbi meta;
    int rc = use_db(st, "meta", &meta);

    if (rc == 0 && st->changes.versions)
        rc = mdb_put(st->changes.txn, meta, &k, &v, 0);
    if (rc == 0 && st->journal.number != 0)
        rc = journal_put_number(st, st->changes.txn, meta);
    return rc;
}

int changes_commit(struct store *st)
{
    int64_t began = clock_monotonic_ns();
    int rc = put_numbers(st);

    if (rc == 0) {
        rc = mdb_txn_commit(st->changes.txn);
        st->changes.txn = NULL;         /* gone, whatever came of it */
    }
    if (rc != 0) {
        metric_inc(M_store_error_commit);
        changes_abort(st);
        return rc;
    }
    publish_dbs(st, st->changes.used);
    st->changes = (struct changes){ 0 };
    journal_restart(st);
    atomic_fetch_add(&st->commits, 1);
    metric_inc(M_store_commits);
    metric_time(M_store_commit, clock_monotonic_ns() - began);
    return 0;
}
