/* SPDX-License-Identifier: Apache-2.0 */
/*
 * open_file.c - an open file or standard input, with what has been read ahead of the program
 */
#include "bif/open_file.h"
#include "bif/text.h"
#include "table/table.h"
#include "term/atom.h"

#include <unistd.h>

#define AHEAD_BYTES 16384

/* --- the blob ------------------------------------------------------------------------------------------ */

static void file_dtor(struct blob *b)
{
    open_file_close(blob_file(b));
    buf_fini(&blob_file(b)->ahead);
    pthread_mutex_destroy(&blob_file(b)->lock);
}

struct blob *open_file_new(int fd, bool binary, bool utf8)
{
    struct blob *b = blob_new(sizeof(struct open_file));
    struct open_file *f = blob_file(b);

    memset(f, 0, sizeof *f);
    pthread_mutex_init(&f->lock, NULL);
    atomic_init(&f->fd, fd);
    f->binary = binary;
    f->utf8 = utf8;
    b->dtor = file_dtor;
    return b;
}

void open_file_close(struct open_file *f)
{
    int fd = atomic_exchange(&f->fd, -1);

    if (fd > STDERR_FILENO)
        close(fd);
}

struct blob *open_file_of_handle(term handle)
{
    return box_is(handle, HK_MAGIC) && magic_blob(handle)->dtor == file_dtor ? magic_blob(handle)
                                                                             : NULL;
}

void open_file_rewind(struct open_file *f)
{
    pthread_mutex_lock(&f->lock);
    if (f->ahead.len > f->at)
        lseek(atomic_load(&f->fd), -(off_t)(f->ahead.len - f->at), SEEK_CUR);
    f->ahead.len = f->at = 0;
    f->eof = false;
    pthread_mutex_unlock(&f->lock);
}

struct file_job *open_file_reader(struct blob *b)
{
    struct file_job *j = file_job_new(FILE_READ_SOME);

    j->held = blob_ref(b);
    j->fd = atomic_load(&blob_file(b)->fd);
    j->size = AHEAD_BYTES;
    return j;
}

void open_file_fill(struct open_file *f, struct file_job *j)
{
    pthread_mutex_lock(&f->lock);
    if (f->at == f->ahead.len)
        f->ahead.len = f->at = 0;
    buf_add(&f->ahead, j->data.data, j->data.len);
    f->eof = j->err != 0 || j->data.len == 0;
    pthread_mutex_unlock(&f->lock);
}

/* --- taking characters ----------------------------------------------------------------------------------- */

static size_t char_bytes(const struct open_file *f, uint8_t first)
{
    return !f->utf8 || first < 0xC0 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
}

static uint32_t char_at(const struct open_file *f, const uint8_t *s, size_t bytes)
{
    uint32_t c = s[0];

    if (bytes > 1) {
        c &= 0x7Fu >> bytes;
        for (size_t i = 1; i < bytes; i++)
            c = c << 6 | (s[i] & 0x3F);
    }
    return c;
}

/* len bytes ahead as a term, and past them. */
static term take_bytes(struct open_file *f, struct heap *h, size_t len, bool as_list)
{
    const uint8_t *s = f->ahead.data + f->at, *end = s + len;
    struct buf chars = { 0 };
    term result, t;

    f->at += len;
    if (f->binary && !as_list)
        return heap_binary(h, s, len);
    for (size_t n; s < end; s += n) {
        n = char_bytes(f, *s);
        if (n > (size_t)(end - s))
            n = 1;
        t = small_make(char_at(f, s, n));
        buf_add(&chars, &t, sizeof t);
    }
    result = heap_list(h, (const term *)(void *)chars.data, chars.len / sizeof t, TERM_NIL);
    buf_fini(&chars);
    return result;
}

enum take open_file_line(struct open_file *f, struct heap *h, bool as_list, term *ret)
{
    enum take result = TAKE_DONE;
    uint8_t *end;
    size_t left;

    pthread_mutex_lock(&f->lock);
    left = f->ahead.len - f->at;
    end = left == 0 ? NULL : memchr(f->ahead.data + f->at, '\n', left);
    if (end != NULL)
        *ret = take_bytes(f, h, (size_t)(end + 1 - (f->ahead.data + f->at)), as_list);
    else if (!f->eof)
        result = TAKE_MORE;
    else if (left == 0)
        result = TAKE_EOF;
    else
        *ret = take_bytes(f, h, left, as_list);
    pthread_mutex_unlock(&f->lock);
    return result;
}

enum take open_file_chars(struct open_file *f, struct heap *h, size_t n, term *ret)
{
    enum take result = TAKE_DONE;
    size_t at, i;

    pthread_mutex_lock(&f->lock);
    for (at = f->at, i = 0; i < n && at < f->ahead.len; i++)
        at += char_bytes(f, f->ahead.data[at]);
    if (at > f->ahead.len || (i < n && !f->eof))
        result = f->eof ? TAKE_EOF : TAKE_MORE;
    else if (i == 0 && n > 0)
        result = TAKE_EOF;
    else
        *ret = take_bytes(f, h, at - f->at, false);
    pthread_mutex_unlock(&f->lock);
    return result;
}

void open_file_unread(struct open_file *f, term chars)
{
    struct buf b = { 0 };

    pthread_mutex_lock(&f->lock);
    for (; is_cons(chars); chars = cdr(chars)) {
        if (!is_small(car(chars)))
            continue;
        if (f->utf8)
            text_put(&b, (uint32_t)small_val(car(chars)));
        else
            buf_u8(&b, (uint8_t)small_val(car(chars)));
    }
    if (b.len > 0) {
        buf_add(&b, f->ahead.data == NULL ? b.data : f->ahead.data + f->at, f->ahead.len - f->at);
        buf_fini(&f->ahead);
        f->ahead = b;
        f->at = 0;
    } else {
        buf_fini(&b);
    }
    pthread_mutex_unlock(&f->lock);
}

/* --- servers ------------------------------------------------------------------------------------------------ */

static struct table *servers;
static pthread_once_t made = PTHREAD_ONCE_INIT;

static void servers_make(void)
{
    struct table_options opt = {
        .type = TABLE_SET, .protection = TABLE_PRIVATE, .keypos = 1,
        .write_concurrency = ATOM_false, .heir = ATOM_none, .heir_data = TERM_NIL,
    };

    servers = table_new_hidden(&opt);
}

void file_server_add(struct process *p, term pid, term handle)
{
    pthread_once(&made, servers_make);
    table_insert(servers, heap_tuple2(&p->heap, pid, handle));
}

void file_server_remove(struct process *p, term pid)
{
    pthread_once(&made, servers_make);
    table_delete_key(servers, pid);
}

struct blob *file_server_find(struct process *p, term pid)
{
    bool found;
    term handle;

    pthread_once(&made, servers_make);
    handle = table_lookup_element(servers, &p->heap, pid, 2, &found);
    return handle == TERM_NONE ? NULL : open_file_of_handle(handle);
}
