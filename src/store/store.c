/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store.c - the environment: opening, checking, reading
 *
 * Handles of databases are opened by the writer alone and never closed before the environment is:
 * LMDB allows only one thread to do so. At the start all that exist are opened.
 */
#include "store/journal.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/errors.h"
#include "base/metric.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define VISITS_PER_LOOK 64      /* how often a visit asks whether it has become too old */

int store_rc(int rc)
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
    case ENOSPC:
    case EDQUOT:
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

void store_tell(struct store *st, enum store_event event, const char *fmt, ...)
{
    store_event_fn *fn = atomic_load(&st->on_event);
    char text[512];
    va_list ap;

    if (fn == NULL)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    fn(event, text);
}

void store_on_event(struct store *st, store_event_fn *fn)
{
    atomic_store(&st->on_event, fn);
}

/* --- opening ---------------------------------------------------------------------------------- */

/* A file cut short would be read beyond its end, which ends the program: refuse it first. */
static int check_length(struct store *st)
{
    MDB_envinfo info;
    MDB_stat stat;
    struct stat file;
    mdb_filehandle_t fd;
    int rc = mdb_env_get_fd(st->env, &fd);

    if (rc == 0)
        rc = mdb_env_info(st->env, &info);
    if (rc == 0)
        rc = mdb_env_stat(st->env, &stat);
    if (rc != 0)
        return store_rc(rc);
    if (fstat(fd, &file) < 0)
        return -ERR_SYSTEM;
    return (uint64_t)file.st_size / stat.ms_psize > info.me_last_pgno || info.me_last_txnid == 0
               ? 0 : -ERR_FORMAT;
}

int env_start(struct store *st, const struct store_options *opt)
{
    int rc = mdb_env_create(&st->env);

    if (rc == 0)
        rc = mdb_env_set_maxdbs(st->env, DATABASES_MAX);
    if (rc == 0)
        rc = mdb_env_set_maxreaders(st->env, 2 * READERS_MAX);
    if (rc == 0)
        rc = mdb_env_set_mapsize(st->env, opt->map_bytes);
    if (rc == 0)
        rc = mdb_env_open(st->env, st->path,
                          MDB_NOTLS | (opt->sync == STORE_SYNC_OFF ? MDB_NOSYNC : 0), 0600);
    if (rc == 0)
        return check_length(st);
    return store_rc(rc);
}

void env_stop(struct store *st)
{
    if (st->env != NULL)
        mdb_env_close(st->env);
    st->env = NULL;
    for (unsigned i = 0; i < atomic_load(&st->ndbs); i++)
        atomic_store(&st->db[i].is_open, false);
}

/* Open all databases there are: their names are the keys of the unnamed one. */
static int open_databases(struct store *st)
{
    MDB_txn *txn;
    MDB_cursor *cur;
    MDB_dbi unnamed;
    MDB_val k, v;
    int rc = mdb_txn_begin(st->env, NULL, MDB_RDONLY, &txn);

    if (rc != 0)
        return store_rc(rc);
    rc = mdb_dbi_open(txn, NULL, 0, &unnamed);
    if (rc == 0)
        rc = mdb_cursor_open(txn, unnamed, &cur);
    if (rc == 0) {
        while ((rc = mdb_cursor_get(cur, &k, &v, MDB_NEXT)) == 0) {
            char *name = mem_printf("%.*s", (int)k.mv_size, (const char *)k.mv_data);
            unsigned i = writer_db(st, name);

            mem_free(name);
            rc = mdb_dbi_open(txn, st->db[i].name, 0, &st->db[i].dbi);
            if (rc != 0)
                break;
            atomic_store(&st->db[i].is_open, true);
        }
        mdb_cursor_close(cur);
    }
    /* handles opened in a transaction live on only if it is committed */
    if (rc == MDB_NOTFOUND || rc == 0)
        return store_rc(mdb_txn_commit(txn));
    mdb_txn_abort(txn);
    return store_rc(rc);
}

/* Refuse a store written by a newer us. *ret_sign: the number must be written. */
static int check_format(struct store *st, bool *ret_sign)
{
    struct buf b = { 0 };
    uint32_t format = 0;
    int rc = store_get(st, "meta", "format", 6, &b);

    *ret_sign = rc == -ERR_NOT_FOUND;
    if (rc == 0 && b.len != sizeof format) {
        rc = -ERR_FORMAT;
    } else if (rc == 0) {
        memcpy(&format, b.data, sizeof format);
        *ret_sign = format < STORE_FORMAT;
        rc = format > STORE_FORMAT ? -ERR_VERSION : 0;
    } else if (*ret_sign) {
        /* a store without the number must be empty */
        rc = atomic_load(&st->ndbs) == 0 ? 0 : -ERR_FORMAT;
    }
    buf_fini(&b);
    return rc;
}

/* Two nodes over one folder would each believe to be alone. */
static int lock_folder(struct store *st)
{
    char *path = mem_printf("%s/owner.lock", st->path);
    int rc = 0;

    st->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    mem_free(path);
    if (st->lock_fd < 0)
        return -ERR_SYSTEM;
    if (flock(st->lock_fd, LOCK_EX | LOCK_NB) < 0)
        rc = errno == EWOULDBLOCK ? -ERR_BUSY : -ERR_SYSTEM;
    return rc;
}

static void locks_init(struct store *st)
{
    pthread_rwlockattr_t attr;
    pthread_condattr_t clock;

    pthread_rwlockattr_init(&attr);
    /* the writer wants the gate rarely, and readers come all the time */
    pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&st->gate, &attr);
    pthread_rwlockattr_destroy(&attr);
    pthread_mutex_init(&st->lock, NULL);
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&st->filled, &clock);
    pthread_cond_init(&st->written, &clock);
    pthread_condattr_destroy(&clock);
}

int store_open(const char *path, const struct store_options *opt, struct store **ret_store)
{
    struct store *st;
    uint32_t format = STORE_FORMAT;
    bool sign = false;
    int rc = 0, dead;

    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return -ERR_SYSTEM;
    st = MEM_NEW(struct store);
    st->path = mem_strdup(path);
    st->opt = *opt;
    st->last = &st->first;
    st->kept_last = &st->kept;
    st->journal.fd = -1;
    locks_init(st);
    rc = lock_folder(st);
    if (rc == 0)
        rc = env_start(st, opt);
    if (rc == 0)
        rc = open_databases(st);
    if (rc == 0)
        rc = check_format(st, &sign);
    if (rc == 0)
        rc = store_rc(mdb_reader_check(st->env, &dead));
    if (rc == 0)
        rc = journal_open(st);
    if (rc == 0)
        rc = writer_start(st);
    if (rc == 0)
        rc = store_settle(st);
    if (rc == 0 && sign)
        rc = store_put(st, "meta", "format", 6, &format, sizeof format);
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
    if (st->has_writer)
        writer_stop(st);
    env_stop(st);
    groups_free(st->kept);
    journal_close(st);
    if (st->lock_fd >= 0)
        close(st->lock_fd);
    for (unsigned i = 0; i < atomic_load(&st->ndbs); i++)
        mem_free(st->db[i].name);
    while (st->keeps != NULL) {
        struct keep *k = st->keeps;

        st->keeps = k->next;
        mem_free(k);
    }
    pthread_rwlock_destroy(&st->gate);
    pthread_mutex_destroy(&st->lock);
    pthread_cond_destroy(&st->filled);
    pthread_cond_destroy(&st->written);
    mem_free(st->path);
    mem_free(st);
}

/* --- reading ---------------------------------------------------------------------------------- */

bool store_find_db(struct store *st, const char *name, MDB_dbi *ret)
{
    for (unsigned i = 0; i < atomic_load_explicit(&st->ndbs, memory_order_acquire); i++) {
        if (strcmp(st->db[i].name, name) != 0)
            continue;
        *ret = st->db[i].dbi;
        /* acquire: pairs with the release of the writer, which has set the handle before */
        return atomic_load_explicit(&st->db[i].is_open, memory_order_acquire);
    }
    return false;
}

static struct reader_slot *slot_take(struct store *st)
{
    int64_t now = clock_monotonic_ns();

    for (unsigned i = 0; i < READERS_MAX; i++) {
        int64_t is_free = 0;

        if (atomic_compare_exchange_strong(&st->reader[i].since_ns, &is_free, now))
            return &st->reader[i];
    }
    return NULL;
}

static void slot_give(struct reader_slot *slot)
{
    atomic_store(&slot->ended, false);
    atomic_store(&slot->since_ns, 0);
}

int read_begin(struct store *st, struct read *rd)
{
    int rc;

    *rd = (struct read){ .st = st, .slot = slot_take(st) };
    if (rd->slot == NULL)
        return -ERR_LIMIT;
    pthread_rwlock_rdlock(&st->gate);
    rc = st->env == NULL ? EIO : mdb_txn_begin(st->env, NULL, MDB_RDONLY, &rd->txn);
    if (rc == 0)
        return 0;
    pthread_rwlock_unlock(&st->gate);
    slot_give(rd->slot);
    metric_inc(M_store_error_read);
    return store_rc(rc);
}

void read_end(struct read *rd)
{
    mdb_txn_abort(rd->txn);
    pthread_rwlock_unlock(&rd->st->gate);
    slot_give(rd->slot);
}

/* What a read gives its caller; failures are counted. */
static int read_rc(int rc)
{
    if (rc != 0 && rc != MDB_NOTFOUND)
        metric_inc(M_store_error_read);
    return store_rc(rc);
}

int store_get(struct store *st, const char *db, const void *key, size_t key_len, struct buf *out)
{
    int rc = store_settle(st);

    return rc == 0 ? store_get_nowait(st, db, key, key_len, out) : rc;
}

int store_get_nowait(struct store *st, const char *db, const void *key, size_t key_len,
                     struct buf *out)
{
    MDB_val k = store_val(key, key_len), v;
    struct read rd;
    MDB_dbi dbi;
    int rc;

    if (!store_find_db(st, db, &dbi))
        return -ERR_NOT_FOUND;
    rc = read_begin(st, &rd);
    if (rc < 0)
        return rc;
    rc = read_rc(mdb_get(rd.txn, dbi, &k, &v));
    if (rc == 0)
        buf_add(out, v.mv_data, v.mv_size);
    read_end(&rd);
    return rc;
}

/* From the present pair on, as long as keys begin with prefix. LMDB's codes, or -ERR_TIMEOUT. */
static int visit_pairs(struct read *rd, MDB_cursor *cur, MDB_cursor_op first, MDB_cursor_op next,
                       MDB_val from, size_t prefix_len, store_visit_fn *visit, void *arg)
{
    MDB_val k = from, v;
    int rc = mdb_cursor_get(cur, &k, &v, first);

    for (unsigned n = 1; rc == 0; n++) {
        if (k.mv_size < prefix_len || memcmp(k.mv_data, from.mv_data, prefix_len) != 0)
            return MDB_NOTFOUND;
        if (n % VISITS_PER_LOOK == 0 && read_is_ended(rd))
            return -ERR_TIMEOUT;
        if (!visit(arg, k.mv_data, k.mv_size, v.mv_data, v.mv_size))
            return 0;
        rc = mdb_cursor_get(cur, &k, &v, next);
    }
    return rc;
}

static int visit_db(struct store *st, const char *db, MDB_cursor_op first, MDB_cursor_op next,
                    MDB_val from, size_t prefix_len, store_visit_fn *visit, void *arg)
{
    struct read rd;
    MDB_cursor *cur;
    MDB_dbi dbi;
    int rc;

    if (!store_find_db(st, db, &dbi))
        return 0;
    rc = read_begin(st, &rd);
    if (rc < 0)
        return rc;
    rc = mdb_cursor_open(rd.txn, dbi, &cur);
    if (rc == 0) {
        rc = visit_pairs(&rd, cur, first, next, from, prefix_len, visit, arg);
        mdb_cursor_close(cur);
    }
    read_end(&rd);
    if (rc == -ERR_TIMEOUT)
        return rc;
    rc = read_rc(rc);
    return rc == -ERR_NOT_FOUND ? 0 : rc;
}

int store_visit(struct store *st, const char *db, bool backwards, store_visit_fn *visit, void *arg)
{
    int rc = store_settle(st);

    if (rc < 0)
        return rc;
    return visit_db(st, db, backwards ? MDB_LAST : MDB_FIRST, backwards ? MDB_PREV : MDB_NEXT,
                    store_val("", 0), 0, visit, arg);
}

int store_visit_from(struct store *st, const char *db, const void *from, size_t from_len,
                     size_t prefix_len, store_visit_fn *visit, void *arg)
{
    int rc = store_settle(st);

    if (rc < 0)
        return rc;
    return store_visit_from_nowait(st, db, from, from_len, prefix_len, visit, arg);
}

int store_visit_from_nowait(struct store *st, const char *db, const void *from, size_t from_len,
                            size_t prefix_len, store_visit_fn *visit, void *arg)
{
    return visit_db(st, db, MDB_SET_RANGE, MDB_NEXT, store_val(from, from_len), prefix_len, visit,
                    arg);
}

/* --- looking after it ------------------------------------------------------------------------- */

void store_stats(struct store *st, struct store_stats *ret)
{
    int64_t now = clock_monotonic_ns(), oldest = now, last = atomic_load(&st->last_commit_ns);
    MDB_envinfo info;
    MDB_stat stat;

    *ret = (struct store_stats){ .commits = atomic_load(&st->commits),
                                 .pending_bytes = atomic_load(&st->pending_bytes),
                                 .last_commit_ns = last == 0 ? -1 : now - last };
    for (unsigned i = 0; i < READERS_MAX; i++) {
        int64_t since = atomic_load(&st->reader[i].since_ns);

        ret->readers += since != 0;
        if (since != 0 && since < oldest)
            oldest = since;
    }
    ret->oldest_reader_ns = now - oldest;
    pthread_rwlock_rdlock(&st->gate);
    if (st->env != NULL && mdb_env_info(st->env, &info) == 0 &&
        mdb_env_stat(st->env, &stat) == 0) {
        ret->used_bytes = (uint64_t)(info.me_last_pgno + 1) * stat.ms_psize;
        ret->map_bytes = info.me_mapsize;
    }
    pthread_rwlock_unlock(&st->gate);
}

struct checked { uint64_t entries; uint8_t last[STORE_KEY_MAX]; size_t last_len; bool disorder; };

static int key_order(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
    int c = memcmp(a, b, a_len < b_len ? a_len : b_len);

    return c != 0 ? c : a_len < b_len ? -1 : a_len > b_len;
}

static bool check_entry(void *arg, const void *key, size_t key_len, const void *value, size_t len)
{
    struct checked *c = arg;
    volatile uint8_t sum = 0;

    if (c->entries > 0 && key_order(c->last, c->last_len, key, key_len) >= 0)
        c->disorder = true;
    for (size_t i = 0; i < len; i += 512)   /* touch every page of the value */
        sum = sum + ((const uint8_t *)value)[i];
    c->last_len = key_len < STORE_KEY_MAX ? key_len : STORE_KEY_MAX;
    memcpy(c->last, key, c->last_len);
    c->entries++;
    return true;
}

static int check_db(struct store *st, const char *name, struct buf *out)
{
    struct checked c = { 0 };
    struct read rd;
    MDB_dbi dbi;
    MDB_stat stat;
    uint64_t want = 0;
    int rc;

    if (!store_find_db(st, name, &dbi))
        return 0;
    /* one transaction for both, or a write in between would look like damage */
    rc = read_begin(st, &rd);
    if (rc < 0)
        return rc;
    rc = mdb_stat(rd.txn, dbi, &stat);
    if (rc == 0) {
        MDB_cursor *cur;

        want = stat.ms_entries;
        rc = mdb_cursor_open(rd.txn, dbi, &cur);
        if (rc == 0) {
            rc = visit_pairs(&rd, cur, MDB_FIRST, MDB_NEXT, store_val("", 0), 0, check_entry, &c);
            mdb_cursor_close(cur);
        }
    }
    read_end(&rd);
    if (rc == -ERR_TIMEOUT)
        return rc;
    if (rc != 0 && rc != MDB_NOTFOUND) {
        buf_printf(out, "%s: %s after %llu entries\n", name, mdb_strerror(rc),
                   (unsigned long long)c.entries);
        return store_rc(rc);
    }
    if (c.disorder)
        buf_printf(out, "%s: keys are out of order\n", name);
    if (c.entries != want)
        buf_printf(out, "%s: %llu entries of %llu\n", name, (unsigned long long)c.entries,
                   (unsigned long long)want);
    return c.disorder || c.entries != want ? -ERR_FORMAT : 0;
}

int store_check(struct store *st, struct buf *out)
{
    int result = 0;

    (void)!store_settle(st);        /* store_failure says what cannot be committed */
    for (unsigned i = 0; i < atomic_load(&st->ndbs); i++) {
        int rc = check_db(st, st->db[i].name, out);

        if (result == 0)
            result = rc;
    }
    return result;
}
