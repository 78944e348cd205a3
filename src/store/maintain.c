/* SPDX-License-Identifier: Apache-2.0 */
/*
 * maintain.c - what the writer does between groups: readers that are too old or whose process is
 * gone, old versions, dropped tables
 */
#include "store/store_priv.h"

#include "base/clock.h"
#include "base/errors.h"
#include "base/metric.h"

#define SLICE_REMOVALS   2000

void readers_look(struct store *st, int64_t max_ns)
{
    int64_t now = clock_monotonic_ns();
    int dead = 0;

    for (unsigned i = 0; max_ns > 0 && i < READERS_MAX; i++) {
        int64_t since = atomic_load(&st->reader[i].since_ns);

        if (since != 0 && now - since > max_ns && !atomic_exchange(&st->reader[i].ended, true))
            store_tell(st, STORE_READER_ENDED, "a read of %lld s is ended (store.reader_max_age)",
                       (long long)((now - since) / 1000000000));
    }
    if (st->env != NULL && mdb_reader_check(st->env, &dead) == 0 && dead > 0)
        store_tell(st, STORE_READER_STALE, "%d readers of ended programs removed", dead);
}

/* A slice of what was dropped. */
static int maintain_drops(struct store *st, MDB_txn *txn, unsigned *removed)
{
    struct buf prefix = { 0 }, name = { 0 };
    MDB_cursor *cur;
    MDB_val k, v;
    MDB_dbi drops;
    unsigned n = 0;
    int rc;

    st->drops = false;
    if (!store_find_db(st, "drops", &drops))
        return 0;
    rc = mdb_cursor_open(txn, drops, &cur);
    if (rc != 0)
        return rc;
    rc = mdb_cursor_get(cur, &k, &v, MDB_FIRST);
    if (rc == 0) {
        buf_add(&prefix, k.mv_data, k.mv_size);     /* pages move while we write */
        buf_add(&name, v.mv_data, v.mv_size);
        rc = versions_drop(st, txn, buf_cstr(&name), store_val(prefix.data, prefix.len),
                           SLICE_REMOVALS, &n);
        if (rc == 0 && n < SLICE_REMOVALS)
            rc = mdb_cursor_del(cur, 0);
        *removed += n + 1;
        st->drops = true;
    }
    mdb_cursor_close(cur);
    buf_fini(&prefix);
    buf_fini(&name);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

bool maintain(struct store *st)
{
    MDB_txn *txn;
    unsigned removed = 0;
    int rc;

    if (st->env == NULL || mdb_txn_begin(st->env, NULL, 0, &txn) != 0)
        return false;
    rc = versions_expire(st, txn, SLICE_REMOVALS, &removed);
    if (rc == 0 && st->drops)
        rc = maintain_drops(st, txn, &removed);
    if (rc == 0 && removed > 0)
        rc = mdb_txn_commit(txn);
    else
        mdb_txn_abort(txn);
    if (rc != 0)
        metric_inc(M_store_error_write);
    return rc == 0 && removed > 0;
}

