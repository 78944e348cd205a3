/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copy.c - copies of the store for backups
 *
 * Some databases may be left out. Then the others are put into a store of their own, pair by pair:
 * a copy of pages, even of the needed ones, could have bytes of what was left out where they are
 * not used.
 */
#include "store/store_priv.h"

#include "base/alloc.h"
#include "base/errors.h"
#include "base/metric.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#define COMMIT_BYTES (16u << 20)    /* dirty pages are held in memory until a commit */

/* The store that is written, in a folder of ours that goes away again. */
struct target { MDB_env *env; char *folder; };

static void remove_folder(const char *folder)
{
    static const char *const names[] = { "data.mdb", "lock.mdb" };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char *path = mem_printf("%s/%s", folder, names[i]);

        (void)unlink(path);
        mem_free(path);
    }
    (void)rmdir(folder);
}

static int target_open(struct store *st, size_t map_bytes, struct target *to)
{
    int rc;

    to->folder = mem_printf("%s/copy", st->path);
    remove_folder(to->folder);      /* of a node that was killed */
    if (mkdir(to->folder, 0700) < 0)
        return errno;
    rc = mdb_env_create(&to->env);
    if (rc == 0)
        rc = mdb_env_set_maxdbs(to->env, DATABASES_MAX);
    if (rc == 0)
        rc = mdb_env_set_mapsize(to->env, map_bytes);
    return rc == 0 ? mdb_env_open(to->env, to->folder, MDB_NOSYNC | MDB_NOTLS, 0600) : rc;
}

static void target_close(struct target *to)
{
    if (to->env != NULL)
        mdb_env_close(to->env);
    remove_folder(to->folder);
    mem_free(to->folder);
}

/* Pairs from the present one of cur on, up to a good transaction's worth. MDB_NOTFOUND: all done. */
static int copy_some(MDB_cursor *cur, MDB_env *env, const char *name)
{
    MDB_txn *txn;
    MDB_dbi dbi;
    MDB_val k, v;
    size_t bytes = 0;
    int rc = mdb_txn_begin(env, NULL, 0, &txn), committed;

    if (rc != 0)
        return rc;
    rc = mdb_dbi_open(txn, name, MDB_CREATE, &dbi);
    while (rc == 0 && bytes < COMMIT_BYTES && (rc = mdb_cursor_get(cur, &k, &v, MDB_NEXT)) == 0) {
        bytes += k.mv_size + v.mv_size;
        rc = mdb_put(txn, dbi, &k, &v, MDB_APPEND);
    }
    if (rc != 0 && rc != MDB_NOTFOUND) {
        mdb_txn_abort(txn);
        return rc;
    }
    committed = mdb_txn_commit(txn);
    return committed != 0 ? committed : rc;
}

static int copy_db(MDB_txn *txn, MDB_dbi dbi, MDB_env *env, const char *name)
{
    MDB_cursor *cur;
    int rc = mdb_cursor_open(txn, dbi, &cur);

    if (rc != 0)
        return rc;
    do
        rc = copy_some(cur, env, name);
    while (rc == 0);
    mdb_cursor_close(cur);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

static bool is_among(const char *name, const char *const *names)
{
    while (*names != NULL && strcmp(*names, name) != 0)
        names++;
    return *names != NULL;
}

static int copy_all(struct store *st, MDB_env *env, const char *const *leave_out)
{
    unsigned n = atomic_load(&st->ndbs);
    bool wanted[DATABASES_MAX];
    MDB_txn *txn;
    int rc;

    /* asked before the transaction begins, so that it knows them */
    for (unsigned i = 0; i < n; i++)
        wanted[i] = atomic_load_explicit(&st->db[i].is_open, memory_order_acquire) &&
                    !is_among(st->db[i].name, leave_out);
    rc = mdb_txn_begin(st->env, NULL, MDB_RDONLY, &txn);
    if (rc != 0)
        return rc;
    for (unsigned i = 0; rc == 0 && i < n; i++)
        if (wanted[i])
            rc = copy_db(txn, st->db[i].dbi, env, st->db[i].name);
    mdb_txn_abort(txn);
    return rc;
}

static int append_file(const char *folder, int fd)
{
    char *path = mem_printf("%s/data.mdb", folder);
    int from = open(path, O_RDONLY | O_CLOEXEC), rc = from < 0 ? errno : 0;
    ssize_t n = 1;

    mem_free(path);
    while (rc == 0 && n != 0) {
        n = sendfile(fd, from, NULL, 1 << 30);
        if (n < 0 && errno != EINTR)
            rc = errno;
    }
    if (from >= 0)
        close(from);
    return rc;
}

static int copy_without(struct store *st, int fd, const char *const *leave_out)
{
    struct target to = { 0 };
    MDB_envinfo info;
    int rc = mdb_env_info(st->env, &info);

    if (rc != 0)
        return rc;
    rc = target_open(st, info.me_mapsize + COMMIT_BYTES, &to);
    if (rc == 0)
        rc = copy_all(st, to.env, leave_out);
    if (rc == 0)
        rc = append_file(to.folder, fd);
    target_close(&to);
    return rc;
}

int store_backup(struct store *st, int fd, const char *const *leave_out)
{
    bool is_free = false;
    int rc = store_settle(st);

    if (rc < 0)
        return rc;
    if (!atomic_compare_exchange_strong(&st->copying, &is_free, true))
        return -ERR_BUSY;
    pthread_rwlock_rdlock(&st->gate);
    rc = st->env == NULL ? EIO
         : leave_out[0] == NULL ? mdb_env_copyfd2(st->env, fd, MDB_CP_COMPACT)
                                : copy_without(st, fd, leave_out);
    pthread_rwlock_unlock(&st->gate);
    atomic_store(&st->copying, false);
    if (rc != 0)
        metric_inc(M_store_error_read);
    return store_rc(rc);
}
