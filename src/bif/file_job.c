/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file_job.c - the system calls behind file, on threads that may block
 */
#include "bif/file_job.h"
#include "base/alloc.h"
#include "heap/blob.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define CHUNK_BYTES 65536
#define CREATE_MODE 0666

/* Up to max bytes (SIZE_MAX: all) from fd at its position. 0 or an errno. */
static int read_into(int fd, struct buf *out, size_t max)
{
    size_t start = out->len;

    while (out->len - start < max) {
        size_t left = max - (out->len - start);
        size_t want = left < CHUNK_BYTES ? left : CHUNK_BYTES;
        void *room = buf_room(out, want);
        ssize_t n = read(fd, room, want);

        out->len -= want - (n > 0 ? (size_t)n : 0);
        if (n < 0 && errno != EINTR)
            return errno;
        if (n == 0)
            break;
    }
    return 0;
}

static int write_from(int fd, const uint8_t *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, bytes, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno;
        bytes += n;
        len -= (size_t)n;
    }
    return 0;
}

static int run_read_all(struct file_job *j)
{
    int fd = open(j->path, O_RDONLY | O_CLOEXEC), err;

    if (fd < 0)
        return errno;
    err = read_into(fd, &j->data, SIZE_MAX);
    close(fd);
    return err;
}

static int run_write_all(struct file_job *j)
{
    int fd = open(j->path, O_WRONLY | O_CREAT | O_CLOEXEC | j->flags, CREATE_MODE), err;

    if (fd < 0)
        return errno;
    err = write_from(fd, j->data.data, j->data.len);
    if (close(fd) < 0 && err == 0)
        err = errno;
    return err;
}

static int run_list(struct file_job *j)
{
    DIR *dir = opendir(j->path);
    struct dirent *e;

    if (dir == NULL)
        return errno;
    while ((e = readdir(dir)) != NULL)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            buf_add(&j->data, e->d_name, strlen(e->d_name) + 1);
    closedir(dir);
    return 0;
}

static int run_read_link(struct file_job *j)
{
    char target[4096];
    ssize_t n = readlink(j->path, target, sizeof target);

    if (n < 0)
        return errno;
    buf_add(&j->data, target, (size_t)n);
    return 0;
}

static int run_copy(struct file_job *j)
{
    int err = run_read_all(j);
    char *path = j->path;

    if (err != 0)
        return err;
    j->size = j->data.len;
    j->path = j->path2;
    j->flags = O_TRUNC;
    err = run_write_all(j);
    j->path = path;
    return err;
}

static int run_pread(struct file_job *j)
{
    while (j->data.len < j->size) {
        size_t want = j->size - j->data.len;
        void *room = buf_room(&j->data, want);
        ssize_t n = pread(j->fd, room, want, j->offset + (int64_t)(j->data.len - want));

        j->data.len -= want - (n > 0 ? (size_t)n : 0);
        if (n < 0 && errno != EINTR)
            return errno;
        if (n == 0)
            break;
    }
    return 0;
}

/* Whatever comes first: standard input may be a person. */
static int run_read_some(struct file_job *j)
{
    void *room = buf_room(&j->data, j->size);
    ssize_t n;

    do
        n = read(j->fd, room, j->size);
    while (n < 0 && errno == EINTR);
    j->data.len = n > 0 ? (size_t)n : 0;
    return n < 0 ? errno : 0;
}

static int run_pwrite(struct file_job *j)
{
    size_t done = 0;

    while (done < j->data.len) {
        ssize_t n = pwrite(j->fd, j->data.data + done, j->data.len - done,
                           j->offset + (int64_t)done);

        if (n < 0 && errno != EINTR)
            return errno;
        if (n > 0)
            done += (size_t)n;
    }
    return 0;
}

static int run_truncate(struct file_job *j)
{
    off_t at = lseek(j->fd, 0, SEEK_CUR);

    return at < 0 || ftruncate(j->fd, at) < 0 ? errno : 0;
}

static int run_open(struct file_job *j)
{
    j->fd = open(j->path, O_CLOEXEC | j->flags, CREATE_MODE);
    if (j->fd < 0)
        return errno;
    if (fstat(j->fd, &j->st) == 0 && S_ISDIR(j->st.st_mode)) {
        close(j->fd);
        j->fd = -1;
        return EISDIR;
    }
    return 0;
}

#define FAILED(call) ((call) < 0 ? errno : 0)

static int run_op(struct file_job *j)
{
    switch (j->op) {
    case FILE_READ_ALL:
        return run_read_all(j);
    case FILE_WRITE_ALL:
        return run_write_all(j);
    case FILE_LIST:
        return run_list(j);
    case FILE_STAT:
        return FAILED(stat(j->path, &j->st));
    case FILE_LSTAT:
        return FAILED(lstat(j->path, &j->st));
    case FILE_READ_LINK:
        return run_read_link(j);
    case FILE_DELETE:
        /* a directory is refused as OTP refuses it */
        return stat(j->path, &j->st) == 0 && S_ISDIR(j->st.st_mode) ? EPERM
                                                                   : FAILED(unlink(j->path));
    case FILE_RENAME:
        return FAILED(rename(j->path, j->path2));
    case FILE_MAKE_DIR:
        return FAILED(mkdir(j->path, 0777));
    case FILE_DEL_DIR:
        return FAILED(rmdir(j->path));
    case FILE_SYMLINK:
        return FAILED(symlink(j->path, j->path2));
    case FILE_LINK:
        return FAILED(link(j->path, j->path2));
    case FILE_CHMOD:
        return FAILED(chmod(j->path, (mode_t)j->mode));
    case FILE_COPY:
        return run_copy(j);
    case FILE_OPEN:
        return run_open(j);
    case FILE_READ:
        return read_into(j->fd, &j->data, j->size);
    case FILE_PREAD:
        return run_pread(j);
    case FILE_WRITE:
        return write_from(j->fd, j->data.data, j->data.len);
    case FILE_PWRITE:
        return run_pwrite(j);
    case FILE_SYNC:
        return FAILED(fsync(j->fd));
    case FILE_TRUNCATE:
        return run_truncate(j);
    case FILE_READ_SOME:
        return run_read_some(j);
    }
    UNREACHABLE();
}

static void job_run(struct job *job)
{
    struct file_job *j = CONTAINER_OF(job, struct file_job, job);

    j->err = run_op(j);
}

void file_job_free(struct file_job *j)
{
    /* an open that nobody came back for */
    if (j->op == FILE_OPEN && j->fd >= 0)
        close(j->fd);
    if (j->held != NULL)
        blob_unref(j->held);
    mem_free(j->path);
    mem_free(j->path2);
    buf_fini(&j->data);
    mem_free(j);
}

static void job_free(struct job *job)
{
    file_job_free(CONTAINER_OF(job, struct file_job, job));
}

struct file_job *file_job_new(enum file_op op)
{
    struct file_job *j = MEM_NEW(struct file_job);

    j->op = op;
    j->fd = -1;
    j->job.run = job_run;
    j->job.free = job_free;
    return j;
}

struct file_job *file_job_take(struct process *p)
{
    struct job *job = p->job;

    /* phase leaves its first value as the last thing the pool does with the job */
    if (job == NULL || atomic_load(&job->phase) == 0)
        return NULL;
    p->job = NULL;
    return CONTAINER_OF(job, struct file_job, job);
}
