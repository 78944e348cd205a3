/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restore.c - a backup in the place of the store of a stopped node
 */
#include "ctl/restore.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/errors.h"
#include "ctl/archive.h"
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Opening a copy only to look at it: as large as its file and room for a first write. */
static int check_copy(const char *folder, struct buf *out)
{
    char *path = mem_printf("%s/store/data.mdb", folder), *dir = mem_printf("%s/store", folder);
    struct store_options opt = { .sync = STORE_SYNC_COMMIT };
    struct store *st = NULL;
    struct stat file;
    int rc = stat(path, &file) < 0 ? -ERR_SYSTEM : 0;

    if (rc == 0) {
        opt.map_bytes = (size_t)file.st_size + ((size_t)16 << 20);
        rc = store_open(dir, &opt, &st);
    }
    if (rc == 0)
        rc = store_check(st, out);
    store_close(st);
    mem_free(path);
    mem_free(dir);
    return rc;
}

/* The lock that a running node holds; -1 with *ret_rc. No store, no lock: nothing runs there. */
static int take_lock(const char *folder, int *ret_rc)
{
    char *path = mem_printf("%s/store/owner.lock", folder);
    int fd = open(path, O_RDWR | O_CLOEXEC);

    *ret_rc = fd >= 0 || errno == ENOENT || errno == ENOTDIR ? 0 : -ERR_SYSTEM;
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0) {
        *ret_rc = -ERR_BUSY;
        close(fd);
        fd = -1;
    }
    mem_free(path);
    return fd;
}

/* FOLDER/name goes aside, the new one takes its place. */
static int change_places(const char *folder, const char *from, const char *name, int64_t time,
                         struct buf *out)
{
    char *here = mem_printf("%s/%s", folder, name), *fresh = mem_printf("%s/%s", from, name);
    char *aside = mem_printf("%s/%s.before-%lld", folder, name, (long long)time);
    int rc = 0;

    if (rename(here, aside) == 0)
        buf_printf(out, "what was there is now %s\n", aside);
    else if (errno != ENOENT)
        rc = -ERR_SYSTEM;
    if (rc == 0 && rename(fresh, here) < 0)
        rc = -ERR_SYSTEM;
    mem_free(here);
    mem_free(fresh);
    mem_free(aside);
    return rc;
}

static int make_folders(const char *folder, const char *from)
{
    char *store = mem_printf("%s/store", from), *code = mem_printf("%s/code", from);
    int rc = 0;

    if ((mkdir(folder, 0700) < 0 && errno != EEXIST) || mkdir(from, 0700) < 0 ||
        mkdir(store, 0700) < 0 || mkdir(code, 0700) < 0)
        rc = -ERR_SYSTEM;
    mem_free(store);
    mem_free(code);
    return rc;
}

int restore_backup(const char *path, const char *folder, struct buf *out,
                   archive_progress_fn *progress, void *arg)
{
    int64_t time = clock_system_ns() / 1000000000;
    char *from = mem_printf("%s/restore-%lld", folder, (long long)time);
    struct buf head = { 0 };
    const char *what = path;
    int rc, lock = take_lock(folder, &rc);

    if (rc == 0)
        rc = make_folders(folder, from);
    if (rc == 0)
        rc = archive_extract(path, from, &head, &what, progress, arg);
    if (rc == 0)
        rc = check_copy(from, out);
    if (rc == 0)
        rc = change_places(folder, from, "store", time, out);
    if (rc == 0)
        rc = change_places(folder, from, "code", time, out);
    if (rc == 0) {
        (void)rmdir(from);
        buf_printf(out, "%s", buf_cstr(&head));
    } else if (rc != -ERR_BUSY) {
        int saved = errno;

        buf_printf(out, "nothing was changed; what was unpacked is in %s\n", from);
        errno = saved;
    }
    if (lock >= 0)
        close(lock);
    buf_fini(&head);
    mem_free(from);
    return rc;
}
