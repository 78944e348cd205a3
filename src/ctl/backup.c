/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backup.c - backup of a running node
 */
#include "ctl/handlers.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/errors.h"
#include "base/units.h"
#include "ctl/archive.h"
#include "ctl/exits.h"
#include "ctl/node_api.h"
#include "store/store.h"
#include "table/persist.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* What makes a node a member of its cluster: the secrets, and what means nothing without them. */
static const char *const membership[] = { "secrets", "ring", "addrs", NULL };
static const char *const nothing[] = { NULL };

static int stream_store(void *arg, int fd)
{
    return store_backup(persist_store(), fd, arg);
}

static int add_file(struct archive *a, const char *folder, const char *name)
{
    char *path = mem_printf("%s/%s", folder, name), *inside = mem_printf("code/%s", name);
    struct buf b = { 0 };
    int fd = open(path, O_RDONLY | O_CLOEXEC), rc = fd < 0 ? -ERR_SYSTEM : 0;
    ssize_t n = 0;

    do {
        void *room = buf_room(&b, 65536);

        n = rc == 0 ? read(fd, room, 65536) : 0;
        b.len -= 65536 - (n > 0 ? (size_t)n : 0);
    } while (n > 0);
    if (rc == 0)
        rc = n < 0 ? -ERR_SYSTEM : archive_add(a, inside, b.data, b.len);
    if (fd >= 0)
        close(fd);
    buf_fini(&b);
    mem_free(path);
    mem_free(inside);
    return rc;
}

/* The lists in the store were copied first: every file they name is here, perhaps more. */
static int add_code(struct request *rq, struct archive *a, size_t *ret_n)
{
    char *folder = mem_printf("%s/code", node_api.data_dir);
    DIR *dir = opendir(folder);
    struct dirent *e;
    int rc = 0;

    while (rc == 0 && dir != NULL && (e = readdir(dir)) != NULL) {
        size_t n = strlen(e->d_name);

        if (n < 6 || strcmp(e->d_name + n - 5, ".beam") != 0)
            continue;
        rc = add_file(a, folder, e->d_name);
        ++*ret_n;
        if (*ret_n % 16 == 0)
            reply_progress(rq, "code", *ret_n, 0, NULL);
    }
    reply_progress(rq, "code", *ret_n, *ret_n, NULL);
    if (dir != NULL)
        closedir(dir);
    mem_free(folder);
    return rc;
}

static uint64_t store_used(void)
{
    struct store_stats s;

    store_stats(persist_store(), &s);
    return s.used_bytes;
}

static int write_backup(struct request *rq, const char *path, bool with_secrets, size_t *ret_modules,
                        uint64_t *ret_bytes)
{
    const char *const *leave_out = with_secrets ? nothing : membership;
    struct archive *a = NULL;
    struct buf head = { 0 };
    uint64_t used = store_used();
    int rc = archive_create(path, &a);

    if (rc < 0)
        return rc;
    buf_printf(&head, "format=1\nversion=%s\nnode=%s\ntime=%lld\n", node_api.version, node_api.name,
               (long long)(clock_system_ns() / 1000000000));
    rc = archive_add(a, "rnode-backup", head.data, head.len);
    reply_progress_bytes(rq, "store", 0, used);
    if (rc == 0)
        rc = archive_add_stream(a, "store/data.mdb", stream_store,
                                (void *)(uintptr_t)leave_out);
    if (rc == 0) {
        reply_progress_bytes(rq, "store", used, used);
        rc = add_code(rq, a, ret_modules);
    }
    buf_fini(&head);
    if (rc < 0)
        archive_abandon(a);
    else
        rc = archive_finish(a, ret_bytes);
    return rc;
}

void ctl_backup(struct request *rq)
{
    const char *path = request_arg(rq, 0);
    char size[UNIT_TEXT_MAX];
    size_t modules = 0;
    uint64_t bytes = 0;
    int rc;

    if (path[0] != '/') {
        reply_error(rq, EXIT_USAGE, "RN0101", NULL, NULL, "the node needs a whole path, from /");
        return;
    }
    if (rq->msg->dry_run) {
        reply_done(rq, 0, 0, "the store and the code would be copied to %s", path);
        return;
    }
    rc = write_backup(rq, path, request_flag(rq, "with-secrets"), &modules, &bytes);
    if (rc < 0)
        reply_error(rq, EXIT_CANNOT_CREATE, "RN0610", NULL, NULL, "%s cannot be written: %s", path,
                    rc == -ERR_SYSTEM ? strerror(errno) : error_text(rc));
    else
        reply_done(rq, 0, 0, "%s: %s, %zu module%s · back: rnodectl restore", path,
                   size_text(bytes, size), modules, plural_s(modules));
}
