/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue.c - what waits to be written, and who waits for it
 *
 * A submitted batch is a group with a ticket. Groups leave the queue when they are on the disk, in a
 * transaction or in the journal, or when somebody blocks for one and it has failed; see README for
 * the ways to fail.
 */
#include "store/store_priv.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/errors.h"

#include <errno.h>
#include <sys/statvfs.h>

#define BEHIND_BYTES     (64u << 20)
#define DISK_FULL_BYTES  (256u << 10)

/* --- batches ---------------------------------------------------------------------------------- */

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

/* --- waiting ---------------------------------------------------------------------------------- */

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

int store_settle(struct store *st)
{
    uint64_t ticket;
    int rc = 0;

    pthread_mutex_lock(&st->lock);
    ticket = st->durable;
    while (st->committed < ticket && (rc = atomic_load(&st->failure)) == 0) {
        st->settle = true;
        pthread_cond_signal(&st->filled);
        pthread_cond_wait(&st->written, &st->lock);
    }
    pthread_mutex_unlock(&st->lock);
    return rc;
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

/* --- telling who waits ------------------------------------------------------------------------ */

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

void groups_free(struct group *g)
{
    while (g != NULL) {
        struct group *next = g->next;

        buf_fini(&g->ops);
        mem_free(g);
        g = next;
    }
}

/* Groups that the journal alone has. */
static void keep(struct store *st, struct group *g)
{
    *st->kept_last = g;
    while (*st->kept_last != NULL)
        st->kept_last = &(*st->kept_last)->next;
}

static void tell_well(struct store *st)
{
    store_tell(st, STORE_WELL, "writes succeed again; what waited is on the disk");
}

void groups_done(struct store *st, size_t n, uint64_t ticket, bool committed)
{
    struct store_waiter *w;
    struct group *g;
    bool was_failing;

    pthread_mutex_lock(&st->lock);
    g = groups_take(st, n, 0);
    st->durable = ticket;
    if (committed)
        st->committed = ticket;
    was_failing = atomic_exchange(&st->failure, 0) != 0;
    w = waiters_known(st);
    pthread_cond_broadcast(&st->written);
    pthread_mutex_unlock(&st->lock);
    tell_waiters(w, 0);
    if (committed)
        groups_free(g);
    else
        keep(st, g);
    if (was_failing)
        tell_well(st);
}

void kept_done(struct store *st)
{
    bool was_failing;

    groups_free(TAKE(st->kept));
    st->kept_last = &st->kept;
    pthread_mutex_lock(&st->lock);
    st->committed = st->durable;
    st->settle = false;
    /* else it is the fate of the next group that says so */
    was_failing = st->first == NULL && atomic_exchange(&st->failure, 0) != 0;
    pthread_cond_broadcast(&st->written);
    pthread_mutex_unlock(&st->lock);
    if (was_failing)
        tell_well(st);
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

/* LMDB's code as one of ours. */
static int failure_rc(const struct store *st, int lmdb_rc)
{
    return store_rc(lmdb_rc == EIO && disk_is_full(st) ? ENOSPC : lmdb_rc);
}

static void tell_failing(struct store *st, int lmdb_rc, int rc)
{
    store_tell(st, STORE_FAILING, "%s; changes are kept and tried again",
               lmdb_rc == MDB_MAP_FULL ? "the store has reached store.map_size"
               : rc == -ERR_LIMIT ? "the disk is full" : mdb_strerror(lmdb_rc));
}

void first_failed(struct store *st, int lmdb_rc)
{
    int rc = failure_rc(st, lmdb_rc);
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
        tell_failing(st, lmdb_rc, rc);
}

void kept_failed(struct store *st, int lmdb_rc)
{
    int rc = failure_rc(st, lmdb_rc);
    bool was_well;

    pthread_mutex_lock(&st->lock);
    was_well = atomic_exchange(&st->failure, rc) == 0;
    st->settle = false;
    pthread_cond_broadcast(&st->written);
    pthread_mutex_unlock(&st->lock);
    if (was_well)
        tell_failing(st, lmdb_rc, rc);
}
