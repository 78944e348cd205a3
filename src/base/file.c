/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file.c - whole files as bytes
 */
#include "base/file.h"
#include "base/errors.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define STEP_BYTES 65536

int file_read_fd(int fd, size_t bytes_max, struct buf *out)
{
    size_t start = out->len;
    struct stat st;

    if (fstat(fd, &st) < 0)
        return -ERR_SYSTEM;
    if (S_ISDIR(st.st_mode)) {
        errno = EISDIR;
        return -ERR_NOT_FOUND;
    }
    for (;;) {
        size_t done = out->len - start;
        /* One byte more than the file has, so that its end shows without another allocation. */
        size_t want = (size_t)st.st_size > done ? (size_t)st.st_size - done + 1 : STEP_BYTES;
        ssize_t n;

        if (want > bytes_max - done)
            want = bytes_max - done + 1;
        n = read(fd, buf_room(out, want), want);
        out->len -= want - (n > 0 ? (size_t)n : 0);
        if (n == 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return -ERR_SYSTEM;
        if (out->len - start > bytes_max) {
            errno = EFBIG;
            return -ERR_LIMIT;
        }
    }
}

int file_read(const char *path, size_t bytes_max, struct buf *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC), rc, why;

    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR ? -ERR_NOT_FOUND : -ERR_SYSTEM;
    rc = file_read_fd(fd, bytes_max, out);
    why = errno;
    close(fd);
    errno = why;
    return rc;
}
