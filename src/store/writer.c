/* SPDX-License-Identifier: Apache-2.0 */
/*
 * writer.c - the one thread that changes the environment
 *
 * It takes all batches that wait, up to GROUP_BYTES, applies them to the open transaction, makes
 * them safe and tells who waits for one of them. Safe means in the journal; the transaction is
 * committed when the journal is full, when nothing is to be done, when somebody wants to read, and
 * each second. What is large, or must not be made when it cannot be committed at once, is committed
 * without the journal.
 *
 * After a failure the same batches are tried again, one by one, after a pause that grows to a
 * second; nothing passes them, so the order of changes holds. Between groups it does what is left
 * to the background (maintain.c).
 */
#include "store/journal.h"

#include "base/clock.h"
#include "base/errors.h"

#include <errno.h>
#include <time.h>

#define GROUP_BYTES      (8u << 20)
#define JOURNAL_GROUP    (256u << 10)   /* larger groups are committed: their pages are many anyway */
#define KEPT_ROOM        (16u << 20)    /* above map_bytes, for what was acknowledged already */
#define IDLE_MS          50             /* without work, until what is kept is committed */
#define GATHER_MAX_NS    (5 * (int64_t)1000000)
#define RETRY_FIRST_MS   50
#define RETRY_MAX_MS     1000
#define TICK_MS          1000
#define MAINTAIN_EVERY_NS (20 * (int64_t)1000000)

/* The environment had an error it cannot go on after: start it anew. */
static void reopen(struct store *st)
{
    MDB_txn *txn;
    struct store_options opt;
    int rc;

    pthread_mutex_lock(&st->lock);
    opt = st->opt;
    pthread_mutex_unlock(&st->lock);
    changes_abort(st);
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

/* LMDB takes what is in use if that is more. */
static void set_map(struct store *st, size_t bytes)
{
    changes_abort(st);      /* kept groups are applied again; others wait in the queue */
    pthread_rwlock_wrlock(&st->gate);
    if (st->env != NULL && mdb_env_set_mapsize(st->env, bytes) != 0)
        store_tell(st, STORE_FAILING, "the map cannot have %zu bytes", bytes);
    pthread_rwlock_unlock(&st->gate);
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
    struct timespec until = after_ms(more ? 1 : st->kept != NULL ? IDLE_MS : TICK_MS);

    while (st->first == NULL && !st->closing && !st->grow && !st->settle)
        if (pthread_cond_timedwait(&st->filled, &st->lock, &until) == ETIMEDOUT)
            break;
    if (st->first != NULL && st->told > 1 && st->opt.sync == STORE_SYNC_COMMIT)
        gather(st);
    if (st->first != NULL && st->opt.sync == STORE_SYNC_INTERVAL) {
        until = after_ms(st->opt.interval_ms);
        while (!st->urgent && !st->closing && !st->settle && !store_is_behind(st))
            if (pthread_cond_timedwait(&st->filled, &st->lock, &until) == ETIMEDOUT)
                break;
    }
    return st->first != NULL || st->kept != NULL || !st->closing;
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
    bool journal;               /* the journal is enough for these groups */
};

/* Under the lock: groups for the round; one only after a failure, to find out whose it is. */
static void round_take(struct store *st, bool alone, struct round *r)
{
    size_t bytes = 0;

    r->journal = !alone && !st->closing && !st->settle && st->opt.sync == STORE_SYNC_COMMIT &&
                 store_failure(st) == 0;
    for (const struct group *g = st->first;
         g != NULL && (r->n == 0 || (!alone && bytes < GROUP_BYTES)); g = g->next, r->n++) {
        bytes += g->ops.len;
        r->ticket = g->ticket;
        /* who blocks for a group may be told that it failed: it must not come back later */
        r->journal &= g->outcome == NULL && bytes <= JOURNAL_GROUP;
    }
}

static struct round round_begin(struct store *st, bool more, bool alone)
{
    struct round r = { 0 };

    pthread_mutex_lock(&st->lock);
    r.ends = !wait_for_work(st, more);
    round_take(st, alone, &r);
    st->urgent = false;
    r.grow = st->grow;
    st->grow = false;
    r.closing = st->closing;
    r.map_bytes = st->opt.map_bytes;
    r.reader_max_ns = st->opt.reader_max_ms * 1000000;
    pthread_mutex_unlock(&st->lock);
    return r;
}

static bool needs_reopening(int rc)
{
    return rc == MDB_PANIC || rc == MDB_BAD_TXN;
}

static int apply_and_commit_kept(struct store *st)
{
    int rc = changes_apply(st, NULL, 0);

    return rc == 0 ? changes_commit(st) : rc;
}

/* Commit what only the journal has. It may go over the limit of the map: it was acknowledged. */
static int commit_kept(struct store *st, size_t map_bytes)
{
    int rc;

    if (st->kept == NULL)
        return 0;
    rc = apply_and_commit_kept(st);
    if (rc == MDB_MAP_FULL) {
        set_map(st, map_bytes + KEPT_ROOM);
        rc = apply_and_commit_kept(st);
        set_map(st, map_bytes);
    }
    if (rc == 0) {
        atomic_store(&st->version_ns, st->time_ns);
        kept_done(st);
    } else {
        kept_failed(st, rc);
    }
    if (needs_reopening(rc))
        reopen(st);
    return rc;
}

/* Make the groups of the round safe. LMDB's code. */
static int write_groups(struct store *st, const struct round *r)
{
    bool in_journal;
    int rc;

    if (r->journal)
        journal_make(st);
    rc = changes_apply(st, st->first, r->n);
    in_journal = rc == 0 && r->journal && journal_write(st, st->first, r->n) == 0;
    if (rc == 0 && !in_journal)
        rc = changes_commit(st);
    if (rc != 0)
        return rc;
    atomic_store(&st->version_ns, st->time_ns);
    if (!in_journal)
        kept_done(st);
    groups_done(st, r->n, r->ticket, !in_journal);
    return 0;
}

/* Try to write what the round has taken. */
static int round_write(struct store *st, const struct round *r)
{
    int64_t began = clock_monotonic_ns(), now;
    int rc;

    if (r->n == 0)
        return commit_kept(st, r->map_bytes);
    rc = write_groups(st, r);
    now = clock_monotonic_ns();
    st->took_ns = now - began;
    if (rc == 0) {
        atomic_store(&st->last_commit_ns, now);
        return 0;
    }
    if (needs_reopening(rc))
        reopen(st);
    /* then what has failed is this round's alone */
    (void)!commit_kept(st, r->map_bytes);
    if (r->n == 1)
        first_failed(st, rc);
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
            set_map(st, r.map_bytes);
        if (round_write(st, &r) != 0) {
            alone = true;
            if (r.n <= 1 && r.closing)
                return NULL;    /* what could not be written was not acknowledged, or is kept */
            if (r.n <= 1 && store_failure(st) != 0)
                pause_after_failure(st, &retry_ms);
            continue;
        }
        alone = false;
        retry_ms = RETRY_FIRST_MS;
        if (!r.closing && clock_monotonic_ns() - st->maintained_ns > pause &&
            commit_kept(st, r.map_bytes) == 0) {
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
    int rc = store_get_nowait(st, "meta", "version_time", 12, &b);

    if (rc == 0 && b.len == sizeof time) {
        memcpy(&time, b.data, sizeof time);
        st->version_ns = time;
        if (time > st->time_ns)
            st->time_ns = time;
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
    changes_abort(st);
    if (st->opt.sync != STORE_SYNC_COMMIT && st->env != NULL)
        (void)mdb_env_sync(st->env, 1);
    groups_free(TAKE(st->first));
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
    if (st->env != NULL) {
        (void)mdb_env_set_flags(st->env, MDB_NOSYNC, opt->sync == STORE_SYNC_OFF);
        if (opt->sync != STORE_SYNC_OFF)    /* what the journal goes on from must be there */
            (void)mdb_env_sync(st->env, 1);
    }
    pthread_rwlock_unlock(&st->gate);
}
