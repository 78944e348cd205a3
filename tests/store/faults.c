/* SPDX-License-Identifier: Apache-2.0 */
/*
 * faults.c - preloaded into a node: writes and syncs of its store fail now and then
 *
 * FAULTS=N: one in N calls that write or sync a file called data.mdb or journal fails, with EIO or
 * ENOSPC in turn; short writes are among them. The first 200 calls succeed, so that the node starts.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_uint calls, failures;

static int ends_with(const char *path, ssize_t len, const char *name)
{
    ssize_t n = (ssize_t)strlen(name);

    return len >= n && memcmp(path + len - n, name, (size_t)n) == 0;
}

static int fails(int fd)
{
    static unsigned one_in;
    char link[64], path[4096];
    ssize_t len;

    if (one_in == 0)
        one_in = getenv("FAULTS") != NULL ? (unsigned)atoi(getenv("FAULTS")) : 1u << 30;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    len = readlink(link, path, sizeof path);
    if (!ends_with(path, len, "/data.mdb") && !ends_with(path, len, "/journal"))
        return 0;
    if (atomic_fetch_add(&calls, 1) < 200 || (unsigned)rand() % one_in != 0)
        return 0;
    errno = atomic_fetch_add(&failures, 1) % 2 == 0 ? EIO : ENOSPC;
    return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
    return fails(fd) ? -1 : REAL(pwrite)(fd, p, n, at);
}

ssize_t pwrite64(int fd, const void *p, size_t n, off64_t at)
{
    return fails(fd) ? -1 : REAL(pwrite64)(fd, p, n, at);
}

ssize_t pwritev(int fd, const struct iovec *v, int n, off_t at)
{
    if (fails(fd))      /* some of it is written all the same */
        return n > 1 ? REAL(pwritev)(fd, v, n / 2, at) : -1;
    return REAL(pwritev)(fd, v, n, at);
}

ssize_t write(int fd, const void *p, size_t n)
{
    return fails(fd) ? -1 : REAL(write)(fd, p, n);
}

int fdatasync(int fd)
{
    return fails(fd) ? -1 : REAL(fdatasync)(fd);
}

int fsync(int fd)
{
    return fails(fd) ? -1 : REAL(fsync)(fd);
}
