/* SPDX-License-Identifier: Apache-2.0 */
/*
 * open_file.h - an open file or standard input, with what has been read ahead of the program
 *
 * A blob behind a magic reference. Raw files are used by whoever has the reference; the others have
 * a process that speaks the I/O protocol, found by pid. The lock is held for moments only: reading
 * that may block is a job, whose bytes are added afterwards.
 */
#ifndef BIF_OPEN_FILE_H
#define BIF_OPEN_FILE_H

#include "base/bytes.h"
#include "bif/file_job.h"
#include "heap/blob.h"

#include <pthread.h>

struct open_file {
    pthread_mutex_t lock;
    _Atomic int fd;         /* -1: closed */
    bool     binary;        /* give binaries, not lists */
    bool     utf8;          /* characters are UTF-8, not bytes */
    bool     eof;           /* [lk] the last read found the end */
    struct buf ahead;       /* [lk] bytes read and not yet given, from `at` on */
    size_t   at;            /* [lk] */
};

#define blob_file(b) ((struct open_file *)(void *)(b)->data)

/* A blob that owns fd. One reference, the caller's. */
struct blob *open_file_new(int fd, bool binary, bool utf8);
void open_file_close(struct open_file *f);
/* The blob of a handle term of ours, open or not; NULL: something else. */
struct blob *open_file_of_handle(term handle);

/* Forget what was read ahead and put the file's position where the program believes it is. */
void open_file_rewind(struct open_file *f);

/* A job that reads some bytes ahead; hand the finished one to open_file_fill. */
struct file_job *open_file_reader(struct blob *b);
void open_file_fill(struct open_file *f, struct file_job *j);

enum take { TAKE_DONE, TAKE_EOF, TAKE_MORE };   /* MORE: read ahead first */

/* The next line with its end, as characters or bytes: on h, by the file's options, or a list when
 * as_list. */
enum take open_file_line(struct open_file *f, struct heap *h, bool as_list, term *ret);
/* n characters, fewer at the end of the file. */
enum take open_file_chars(struct open_file *f, struct heap *h, size_t n, term *ret);
/* Give characters back: they are read again first. */
void open_file_unread(struct open_file *f, term chars);

/* The file servers: which file is behind a pid. */
void file_server_add(struct process *p, term pid, term handle);
void file_server_remove(struct process *p, term pid);
struct blob *file_server_find(struct process *p, term pid);   /* lent until p's built-in returns */

#endif
