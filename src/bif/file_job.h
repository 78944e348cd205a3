/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file_job.h - one piece of blocking work on files, run by the pool of blocking threads
 */
#ifndef BIF_FILE_JOB_H
#define BIF_FILE_JOB_H

#include "base/bytes.h"
#include "vm/bif.h"

#include <sys/stat.h>

enum file_op {
    FILE_READ_ALL, FILE_WRITE_ALL, FILE_LIST, FILE_STAT, FILE_LSTAT, FILE_READ_LINK, FILE_DELETE,
    FILE_RENAME, FILE_MAKE_DIR, FILE_DEL_DIR, FILE_SYMLINK, FILE_LINK, FILE_CHMOD, FILE_COPY,
    FILE_OPEN, FILE_READ, FILE_PREAD, FILE_WRITE, FILE_PWRITE, FILE_SYNC, FILE_TRUNCATE,
    FILE_READ_SOME,
};

struct file_job {
    struct job job;
    enum file_op op;
    char   *path, *path2;   /* owned */
    struct buf data;        /* what to write, or what was read; names end with NUL */
    struct blob *held;      /* the open file, one reference; NULL: none */
    int     fd;             /* of the open file, or the result of FILE_OPEN */
    int     flags, mode;
    int64_t offset;
    size_t  size;           /* to read; bytes copied */
    struct stat st;
    int     err;            /* errno of the failure, 0 */
};

struct file_job *file_job_new(enum file_op op);

/* The finished job of p, which is the caller's now; or NULL. */
struct file_job *file_job_take(struct process *p);
void file_job_free(struct file_job *j);

#endif
