/* SPDX-License-Identifier: Apache-2.0 */
/*
 * writer.c - the one thread that changes the environment
 *
 * It takes all batches that wait, up to GROUP_BYTES, into one transaction, commits it, and tells
 * who waits for one of them. After a failure the same batches are tried again after a pause that
 * grows to a second; nothing passes them, so the order of changes holds.
 *
 * Between groups it does what is left to the background: old versions, dropped tables, readers
 * that are too old or whose process is gone.
 */
#include "store/store_priv.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/errors.h"
#include "base/metric.h"

#include <errno.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <time.h>

#define GROUP_BYTES      (8u << 20)
#define BEHIND_BYTES     (64u << 20)
#define GATHER_MAX_NS    (5 * (int64_t)1000000)
#define DISK_FULL_BYTES  (256u << 10)
#define RETRY_FIRST_MS   50
#define RETRY_MAX_MS     1000
#define TICK_MS          1000
#define SLICE_REMOVALS   2000
#define MAINTAIN_EVERY_NS (20 * (int64_t)1000000)

/* A batch's operations, one after the other: kind, database, key length (2), value length (4),
 * key, value. */
enum op { OP_PUT, OP_DELETE, OP_VERSION, OP_VERSION_DELETE, OP_DROP };

/* Somebody who blocks until his batch is written or has failed. */
struct outcome { bool known; int rc; };

struct group {
    struct group *next;
    uint64_t ticket;
    struct buf ops;
    struct outcome *outcome;    /* [lk] not NULL: tried once; lent by who waits */
};

/* --- batches -------------------------------------------------------------------------------------- */

/* The number of the database, which need not exist yet. */
unsigned writer_db(struct store *st, const char *name)
{
    unsigned n = atomic_load_explicit(&st->ndbs, memory_order_acquire), i;

    for (i = 0; i < n; i++)
        if (strcmp(st->db[i].name, name) == 0)
            return i;
    pthread_mutex_lock(&st->lock);
    for (n = atomic_load(&st->ndbs); i < n && strcmp(st->db[i].name, name) != 0; i++) {
    }
    if (i == n) {
        ASSERT(n < DATABASES_MAX);      /* names are constants of the program */
        st->db[n].name = mem_strdup(name);
        atomic_store_explicit(&st->ndbs, n + 1, memory_order_release);
    }
    pthread_mutex_unlock(&st->lock);
    return i;
}

static void batch_add(struct store *st, struct store_batch *b, enum op op, const char *db,
                      const void *key, size_t key_len, const void *value, size_t len)
{
    ASSERT(key_len >= 1 && key_len <= STORE_KEY_MAX && len <= STORE_VALUE_MAX);
    buf_u8(&b->ops, op);
    buf_u8(&b->ops, (uint8_t)writer_db(st, db));
    buf_be(&b->ops, key_len, 2);
    buf_be(&b->ops, len, 4);
    buf_add(&b->ops, key, key_len);
    buf_add(&b->ops, value, len);
}

void store_batch_put(struct store *st, struct store_batch *b, const char *db, const void *key,
                     size_t key_len, const void *value, size_t len)
{
    batch_add(st, b, OP_PUT, db, key, key_len, value, len);
}

void store_batch_delete(struct store *st, struct store_batch *b, const char *db, const void *key,
                        size_t key_len)
{
    batch_add(st, b, OP_DELETE, db, key, key_len, NULL, 0);
}

void store_batch_version(struct store *st, struct store_batch *b, const char *db, const void *key,
                         size_t key_len, const void *value, size_t len)
{
    batch_add(st, b, value != NULL ? OP_VERSION : OP_VERSION_DELETE, db, key, key_len, value, len);
}

void store_batch_drop(struct store *st, struct store_batch *b, const char *db, const void *prefix,
                      size_t prefix_len)
{
    batch_add(st, b, OP_DROP, db, prefix, prefix_len, NULL, 0);
}

void store_batch_fini(struct store_batch *b)
{
    buf_fini(&b->ops);
    b->ops = (struct buf){ 0 };
}

static uint64_t submit(struct store *st, struct store_batch *b, struct outcome *outcome)
{
    struct group *g;
    uint64_t ticket;

    if (b->ops.len == 0)
        return 0;
    g = MEM_NEW(struct group);
    g->ops = b->ops;
    g->outcome = outcome;
    b->ops = (struct buf){ 0 };
    atomic_fetch_add_explicit(&st->pending_bytes, g->ops.len, memory_order_relaxed);
    pthread_mutex_lock(&st->lock);
    ticket = g->ticket = ++st->last_ticket;
    *st->last = g;
    st->last = &g->next;
    st->urgent |= outcome != NULL;
    if (++st->queued >= st->wanted || outcome != NULL)
        pthread_cond_signal(&st->filled);
    pthread_mutex_unlock(&st->lock);
    return ticket;
}

uint64_t store_submit(struct store *st, struct store_batch *b)
{
    return submit(st, b, NULL);
}

/* --- waiting ---------------------------------------------------------------------------------------- */

/* Under the lock: is it known what became of the ticket? */
static bool ticket_known(struct store *st, uint64_t ticket, int *ret_rc)
{
    if (ticket <= st->durable) {
        *ret_rc = 0;
        return true;
    }
    if (ticket <= st->failed) {
        *ret_rc = atomic_load(&st->failure);
        return *ret_rc != 0;
    }
    return false;
}

bool store_wait_async(struct store *st, struct store_waiter *w, int *ret_rc)
{
    bool known;

    pthread_mutex_lock(&st->lock);
    known = ticket_known(st, w->ticket, ret_rc);
    if (!known && w->strict) {
        st->urgent = true;
        pthread_cond_signal(&st->filled);
    } else if (!known && st->opt.sync == STORE_SYNC_INTERVAL && !store_is_behind(st)) {
        *ret_rc = 0;
        known = true;
    }
    if (!known) {
        w->next = st->waiters;
        st->waiters = w;
    }
    pthread_mutex_unlock(&st->lock);
    return known;
}

static int wait_written(struct store *st, uint64_t ticket)
{
    int rc = 0;

    pthread_mutex_lock(&st->lock);
    while (!ticket_known(st, ticket, &rc))
        pthread_cond_wait(&st->written, &st->lock);
    pthread_mutex_unlock(&st->lock);
    return rc;
}

int store_wait(struct store *st, uint64_t ticket)
{
    bool waits;

    pthread_mutex_lock(&st->lock);
    waits = st->opt.sync != STORE_SYNC_INTERVAL;
    pthread_mutex_unlock(&st->lock);
    return waits ? wait_written(st, ticket) : 0;
}

int store_failure(struct store *st)
{
    return atomic_load_explicit(&st->failure, memory_order_relaxed);
}

bool store_is_behind(struct store *st)
{
    return atomic_load_explicit(&st->pending_bytes, memory_order_relaxed) > BEHIND_BYTES;
}

int store_write_all(struct store *st, const struct store_write *w, size_t n)
{
    struct store_batch b = { { 0 } };
    struct outcome outcome = { false, 0 };

    for (size_t i = 0; i < n; i++) {
        if (w[i].value != NULL)
            store_batch_put(st, &b, w[i].db, w[i].key, w[i].key_len, w[i].value, w[i].len);
        else
            store_batch_delete(st, &b, w[i].db, w[i].key, w[i].key_len);
    }
    if (submit(st, &b, &outcome) == 0)
        return 0;
    pthread_mutex_lock(&st->lock);
    while (!outcome.known)
        pthread_cond_wait(&st->written, &st->lock);
    pthread_mutex_unlock(&st->lock);
    return outcome.rc;
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

/* --- one transaction ------------------------------------------------------------------------------- */

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

/* Write the first n groups. LMDB's code. */
static int write_groups(struct store *st, const struct group *g, size_t n)
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

/* --- telling who waits ------------------------------------------------------------------------------- */

/* Under the lock: take the waiters whose fate is known off the list. */
static struct store_waiter *waiters_known(struct store *st)
{
    struct store_waiter *known = NULL, **link = &st->waiters;
    int rc;

    st->told = 0;
    while (*link != NULL) {
        struct store_waiter *w = *link;

        if (ticket_known(st, w->ticket, &rc)) {
            *link = w->next;
            w->next = known;
            known = w;
            st->told++;
        } else {
            link = &w->next;
        }
    }
    return known;
}

static void tell_waiters(struct store_waiter *w, int rc)
{
    while (w != NULL) {
        struct store_waiter *next = w->next;

        w->done(w, rc);     /* w may be gone after this */
        w = next;
    }
}

static void group_free(struct group *g)
{
    buf_fini(&g->ops);
    mem_free(g);
}

/* Under the lock: take the first n groups off the queue; who blocks for one hears rc. */
static struct group *groups_take(struct store *st, size_t n, int rc)
{
    struct group *first = st->first, *last = NULL;
    size_t taken = n;

    for (; n > 0; n--) {
        last = last == NULL ? first : last->next;
        atomic_fetch_sub_explicit(&st->pending_bytes, last->ops.len, memory_order_relaxed);
        if (last->outcome != NULL)
            *last->outcome = (struct outcome){ true, rc };
    }
    st->first = last->next;
    st->queued -= taken;
    last->next = NULL;
    if (st->first == NULL)
        st->last = &st->first;
    return first;
}

static void groups_free(struct group *g)
{
    while (g != NULL) {
        struct group *next = g->next;

        group_free(g);
        g = next;
    }
}

/* The first n groups are on disk: forget them. */
static void groups_done(struct store *st, size_t n, uint64_t ticket)
{
    struct store_waiter *w;
    struct group *g;
    bool was_failing;

    pthread_mutex_lock(&st->lock);
    g = groups_take(st, n, 0);
    st->durable = ticket;
    was_failing = atomic_exchange(&st->failure, 0) != 0;
    w = waiters_known(st);
    pthread_cond_broadcast(&st->written);
    pthread_mutex_unlock(&st->lock);
    tell_waiters(w, 0);
    groups_free(g);
    if (was_failing)
        store_tell(st, STORE_WELL, "writes succeed again; what waited is on the disk");
}

/* Under the lock: who blocks does not wait for better times. */
static struct group *groups_take_once(struct store *st, int rc)
{
    struct group *taken = NULL, **link = &st->first;

    while (*link != NULL) {
        struct group *g = *link;

        if (g->outcome == NULL) {
            link = &g->next;
            continue;
        }
        *link = g->next;
        *g->outcome = (struct outcome){ true, rc };
        atomic_fetch_sub_explicit(&st->pending_bytes, g->ops.len, memory_order_relaxed);
        st->queued--;
        g->next = taken;
        taken = g;
    }
    st->last = link;
    return taken;
}

/* LMDB calls a write that ends early an I/O error. */
static bool disk_is_full(const struct store *st)
{
    struct statvfs fs;

    return statvfs(st->path, &fs) == 0 && (uint64_t)fs.f_bavail * fs.f_frsize < DISK_FULL_BYTES;
}

/* The first group alone cannot be written. All that wait are told; it stays, unless it is tried
 * once or can never succeed. */
static void first_failed(struct store *st, int lmdb_rc)
{
    int rc = store_rc(lmdb_rc == EIO && disk_is_full(st) ? ENOSPC : lmdb_rc);
    bool was_well, blocked = st->first->outcome != NULL;
    struct store_waiter *w = NULL;
    struct group *g;

    pthread_mutex_lock(&st->lock);
    if (blocked || lmdb_rc == MDB_TXN_FULL) {
        st->failed = st->first->ticket;
        was_well = false;
        g = groups_take(st, 1, rc);
    } else {
        st->failed = st->last_ticket;
        was_well = atomic_exchange(&st->failure, rc) == 0;
        w = waiters_known(st);
        g = groups_take_once(st, rc);
    }
    pthread_cond_broadcast(&st->written);
    pthread_mutex_unlock(&st->lock);
    tell_waiters(w, rc);
    groups_free(g);
    if (was_well)
        store_tell(st, STORE_FAILING, "%s; changes are kept and tried again",
                   lmdb_rc == MDB_MAP_FULL ? "the store has reached store.map_size"
                   : rc == -ERR_LIMIT ? "the disk is full" : mdb_strerror(lmdb_rc));
}

/* --- the loop -------------------------------------------------------------------------------------------- */

/* The environment had an error it cannot go on after: start it anew. */
static void reopen(struct store *st)
{
    MDB_txn *txn;
    struct store_options opt;
    int rc;

    pthread_mutex_lock(&st->lock);
    opt = st->opt;
    pthread_mutex_unlock(&st->lock);
    pthread_rwlock_wrlock(&st->gate);
    env_stop(st);
    rc = env_start(st, &opt);
    if (rc < 0) {
        env_stop(st);
    } else if (mdb_txn_begin(st->env, NULL, MDB_RDONLY, &txn) == 0) {
        for (unsigned i = 0; i < atomic_load(&st->ndbs); i++)
            if (mdb_dbi_open(txn, st->db[i].name, 0, &st->db[i].dbi) == 0)
                atomic_store(&st->db[i].is_open, true);
        mdb_txn_commit(txn);
    }
    pthread_rwlock_unlock(&st->gate);
}

static void grow_map(struct store *st, size_t bytes)
{
    MDB_envinfo info;

    pthread_rwlock_wrlock(&st->gate);
    if (st->env != NULL && mdb_env_info(st->env, &info) == 0 && info.me_mapsize < bytes &&
        mdb_env_set_mapsize(st->env, bytes) != 0)
        store_tell(st, STORE_FAILING, "the map cannot grow to %zu bytes", bytes);
    pthread_rwlock_unlock(&st->gate);
}

static void readers_look(struct store *st, int64_t max_ns)
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

/* A slice of background work in a transaction of its own. True: there may be more. */
static bool maintain(struct store *st)
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

static struct timespec after_ns(int64_t ns)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    ts.tv_sec += ns / 1000000000;
    ts.tv_nsec += ns % 1000000000;
    if (ts.tv_nsec >= 1000000000) {
        ts.tv_sec++;
        ts.tv_nsec -= 1000000000;
    }
    return ts;
}

#define after_ms(ms) after_ns((ms) * (int64_t)1000000)

/* Under the lock: those who were told last will mostly be back at once with their next change.
 * Waiting for them a part of what a commit takes puts all into one, instead of half of them into
 * each. */
static void gather(struct store *st)
{
    int64_t most = st->took_ns / 2 < GATHER_MAX_NS ? st->took_ns / 2 : GATHER_MAX_NS;
    struct timespec until = after_ns(most);

    st->wanted = st->told;
    while (st->queued < st->wanted && !st->closing && !st->urgent)
        if (pthread_cond_timedwait(&st->filled, &st->lock, &until) == ETIMEDOUT)
            break;
    st->wanted = 1;
    st->told = 0;
}

/* Under the lock: sleep until something is submitted, or until the tick. False: time to end. */
static bool wait_for_work(struct store *st, bool more)
{
    struct timespec until = after_ms(more ? 1 : TICK_MS);

    while (st->first == NULL && !st->closing && !st->grow)
        if (pthread_cond_timedwait(&st->filled, &st->lock, &until) == ETIMEDOUT)
            break;
    if (st->first != NULL && st->told > 1 && st->opt.sync == STORE_SYNC_COMMIT)
        gather(st);
    if (st->first != NULL && st->opt.sync == STORE_SYNC_INTERVAL) {
        until = after_ms(st->opt.interval_ms);
        while (!st->urgent && !st->closing && !store_is_behind(st))
            if (pthread_cond_timedwait(&st->filled, &st->lock, &until) == ETIMEDOUT)
                break;
    }
    return st->first != NULL || !st->closing;
}

/* Under the lock: groups for the next transaction; one only after a failure, to find out whose
 * it is. */
static size_t group_count(const struct store *st, bool alone, uint64_t *ret_ticket)
{
    size_t n = 0, bytes = 0;

    for (const struct group *g = st->first; g != NULL && (n == 0 || (!alone && bytes < GROUP_BYTES));
         g = g->next, n++) {
        bytes += g->ops.len;
        *ret_ticket = g->ticket;
    }
    return n;
}

static void pause_after_failure(struct store *st, unsigned *retry_ms)
{
    struct timespec until = after_ms(*retry_ms);

    *retry_ms = *retry_ms * 2 < RETRY_MAX_MS ? *retry_ms * 2 : RETRY_MAX_MS;
    pthread_mutex_lock(&st->lock);
    while (!st->closing && !st->grow && !st->urgent)
        if (pthread_cond_timedwait(&st->filled, &st->lock, &until) == ETIMEDOUT)
            break;
    pthread_mutex_unlock(&st->lock);
}

/* What the writer has read under the lock for one round. */
struct round {
    size_t n, map_bytes;
    uint64_t ticket;
    int64_t reader_max_ns;
    bool ends, grow, closing;
};

static struct round round_begin(struct store *st, bool more, bool alone)
{
    struct round r = { 0 };

    pthread_mutex_lock(&st->lock);
    r.ends = !wait_for_work(st, more);
    r.n = group_count(st, alone, &r.ticket);
    st->urgent = false;
    r.grow = st->grow;
    st->grow = false;
    r.closing = st->closing;
    r.map_bytes = st->opt.map_bytes;
    r.reader_max_ns = st->opt.reader_max_ms * 1000000;
    pthread_mutex_unlock(&st->lock);
    return r;
}

/* Try to write what the round has taken. LMDB's code. */
static int round_write(struct store *st, const struct round *r)
{
    int rc;

    if (r->n == 0)
        return 0;
    rc = st->env == NULL ? MDB_PANIC : write_groups(st, st->first, r->n);
    if (rc == 0)
        groups_done(st, r->n, r->ticket);
    else if (r->n == 1)
        first_failed(st, rc);
    if (rc == MDB_PANIC || rc == MDB_BAD_TXN)
        reopen(st);
    return rc;
}

static void *writer_main(void *arg)
{
    struct store *st = arg;
    unsigned retry_ms = RETRY_FIRST_MS;
    bool more = false, alone = false;

    for (;;) {
        struct round r = round_begin(st, more, alone);
        int64_t pause = more ? MAINTAIN_EVERY_NS : TICK_MS * (int64_t)1000000;

        if (r.ends)
            return NULL;
        if (r.grow)
            grow_map(st, r.map_bytes);
        if (round_write(st, &r) != 0) {
            alone = true;
            if (r.n == 1 && r.closing)
                return NULL;    /* what could not be written was never acknowledged */
            if (r.n == 1 && store_failure(st) != 0)
                pause_after_failure(st, &retry_ms);
            continue;
        }
        alone = false;
        retry_ms = RETRY_FIRST_MS;
        if (!r.closing && clock_monotonic_ns() - st->maintained_ns > pause) {
            readers_look(st, r.reader_max_ns);
            more = maintain(st);
            st->maintained_ns = clock_monotonic_ns();
        }
    }
}

int writer_start(struct store *st)
{
    struct buf b = { 0 };
    MDB_dbi dbi;
    int64_t time;
    int rc = store_get(st, "meta", "version_time", 12, &b);

    if (rc == 0 && b.len == sizeof time) {
        memcpy(&time, b.data, sizeof time);
        st->version_ns = time;
    }
    buf_fini(&b);
    if (rc < 0 && rc != -ERR_NOT_FOUND)
        return rc;
    st->drops = store_find_db(st, "drops", &dbi);
    rc = pthread_create(&st->writer, NULL, writer_main, st);
    if (rc != 0) {
        errno = rc;
        return -ERR_SYSTEM;
    }
    st->has_writer = true;
    return 0;
}

void writer_stop(struct store *st)
{
    pthread_mutex_lock(&st->lock);
    st->closing = true;
    st->waiters = NULL;     /* their programs have ended */
    pthread_cond_broadcast(&st->filled);
    pthread_mutex_unlock(&st->lock);
    pthread_join(st->writer, NULL);
    st->has_writer = false;
    if (st->opt.sync != STORE_SYNC_COMMIT && st->env != NULL)
        (void)mdb_env_sync(st->env, 1);
    while (st->first != NULL) {
        struct group *g = st->first;

        st->first = g->next;
        group_free(g);
    }
}

void store_configure(struct store *st, const struct store_options *opt)
{
    pthread_mutex_lock(&st->lock);
    st->grow |= opt->map_bytes > st->opt.map_bytes;
    if (opt->map_bytes < st->opt.map_bytes) {
        struct store_options grows = *opt;

        grows.map_bytes = st->opt.map_bytes;
        st->opt = grows;
    } else {
        st->opt = *opt;
    }
    pthread_cond_broadcast(&st->filled);
    pthread_mutex_unlock(&st->lock);
    pthread_rwlock_wrlock(&st->gate);
    if (st->env != NULL)
        (void)mdb_env_set_flags(st->env, MDB_NOSYNC, opt->sync == STORE_SYNC_OFF);
    pthread_rwlock_unlock(&st->gate);
}
