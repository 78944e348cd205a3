/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file.c - files, for programs that run without OTP's kernel
 *
 * Each built-in runs twice: first it submits a job and waits, then, called again with the job done,
 * it makes the result. Open files are {file_descriptor, prim_file, Handle} when raw, else pids of
 * processes that speak the I/O protocol (io_leader.c); the functions here reach the file itself.
 */
#include "bif/bif.h"
#include "base/alloc.h"
#include "bif/file_job.h"
#include "bif/open_file.h"
#include "bif/text.h"
#include "heap/blob.h"
#include "heap/iolist.h"
#include "heap/parse.h"

#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

/* --- results ------------------------------------------------------------------------------------------ */

static const struct { int err; const char *name; } posix_names[] = {
    { ENOENT, "enoent" }, { EACCES, "eacces" }, { EEXIST, "eexist" }, { ENOTDIR, "enotdir" },
    { EISDIR, "eisdir" }, { EINVAL, "einval" }, { ENOSPC, "enospc" }, { EPERM, "eperm" },
    { EBADF, "ebadf" }, { EMFILE, "emfile" }, { ENFILE, "enfile" }, { EROFS, "erofs" },
    { EXDEV, "exdev" }, { ELOOP, "eloop" }, { ENAMETOOLONG, "enametoolong" },
    { ENOTEMPTY, "enotempty" }, { EPIPE, "epipe" }, { EIO, "eio" }, { EBUSY, "ebusy" },
    { EFBIG, "efbig" }, { EMLINK, "emlink" }, { ENODEV, "enodev" }, { ENXIO, "enxio" },
    { EAGAIN, "eagain" }, { ENOTSUP, "enotsup" }, { ESPIPE, "espipe" }, { ETXTBSY, "etxtbsy" },
};

static term error_of(struct process *p, term what)
{
    return heap_tuple2(&p->heap, ATOM_error, what);
}

static term posix_error(struct process *p, int err)
{
    for (size_t i = 0; i < ARRAY_LEN(posix_names); i++)
        if (posix_names[i].err == err)
            return error_of(p, atom_from_cstr(posix_names[i].name));
    return error_of(p, ATOM_unknown);
}

static term ok(struct process *p, term value)
{
    return heap_tuple2(&p->heap, ATOM_ok, value);
}

/* A file name as a list of characters; one that is not UTF-8 as a binary of its bytes. */
static term name_term(struct process *p, const char *name, size_t len)
{
    const uint8_t *s = (const uint8_t *)name;

    for (size_t i = 0; i < len; i++)
        if (s[i] >= 0x80) {
            term atom = len <= ATOM_CHARS_MAX ? atom_from_utf8(name, len) : TERM_NONE;

            return atom == TERM_NONE ? heap_binary(&p->heap, name, len)
                                     : heap_cstr(&p->heap, name);
        }
    return heap_latin1(&p->heap, name, len);
}

/* --- arguments ------------------------------------------------------------------------------------------ */

/* A path as a C string that the caller frees; NULL: t is none. */
static char *path_of(term t)
{
    struct buf b = { 0 };
    char *path = text_path(&b, t) ? mem_strdup(buf_cstr(&b)) : NULL;

    buf_fini(&b);
    return path;
}

typedef term finish_fn(struct process *p, const term *a, struct file_job *j);

/* The second half of a built-in: NULL when the job is not done. *ret: the built-in's result. */
static bool second_half(struct process *p, const term *a, size_t n, finish_fn *finish, term *ret)
{
    struct file_job *j;

    if (p->job == NULL)
        return false;
    j = file_job_take(p);
    if (j == NULL) {
        *ret = bif_wait(p, n, a);
        return true;
    }
    *ret = j->err != 0 ? posix_error(p, j->err) : finish(p, a, j);
    file_job_free(j);
    return true;
}

static term finish_ok(struct process *p, const term *a, struct file_job *j)
{
    return ATOM_ok;
}

/* A job on the path a[0], and a[1] as well if there are two. */
static term path_call(struct process *p, const term *a, size_t n, enum file_op op, bool two,
                      finish_fn *finish)
{
    struct file_job *j;
    term result;

    if (second_half(p, a, n, finish, &result))
        return result;
    j = file_job_new(op);
    j->path = path_of(a[0]);
    if (two)
        j->path2 = path_of(a[1]);
    if (j->path == NULL || (two && j->path2 == NULL)) {
        file_job_free(j);
        return error_of(p, ATOM_badarg);
    }
    return job_submit(p, &j->job, n, a);
}

/* --- whole files ----------------------------------------------------------------------------------------- */

static term finish_read_file(struct process *p, const term *a, struct file_job *j)
{
    return ok(p, heap_binary(&p->heap, j->data.data, j->data.len));
}

term bif_file_read_file(struct process *p, const term *a)
{
    return path_call(p, a, 1, FILE_READ_ALL, false, finish_read_file);
}

term bif_file_read_file_2(struct process *p, const term *a)
{
    return path_call(p, a, 2, FILE_READ_ALL, false, finish_read_file);
}

static term finish_get_file(struct process *p, const term *a, struct file_job *j)
{
    return heap_tuple3(&p->heap, ATOM_ok, heap_binary(&p->heap, j->data.data, j->data.len),
                       name_term(p, j->path, strlen(j->path)));
}

/* erl_prim_loader says only `error`. */
static term loader_result(term result)
{
    return result != TERM_NONE && is_tuple_n(result, 2) && tuple_elem(result, 0) == ATOM_error
               ? ATOM_error : result;
}

term bif_loader_get_file(struct process *p, const term *a)
{
    return loader_result(path_call(p, a, 1, FILE_READ_ALL, false, finish_get_file));
}

static term finish_consult(struct process *p, const term *a, struct file_job *j)
{
    const char *at = buf_cstr(&j->data), *end = at + j->data.len;
    term list = TERM_NIL;

    for (;;) {
        char err[120];
        size_t used;
        term t;

        while (at < end && (*at == ' ' || *at == '\n' || *at == '\t' || *at == '\r' || *at == '%'))
            at = *at == '%' ? at + strcspn(at, "\n") : at + 1;
        if (at >= end)
            break;
        t = parse_term(&p->heap, at, (size_t)(end - at), &used, err, sizeof err);
        at += t == TERM_NONE ? 0 : used;
        at += strspn(at, " \t\r\n");
        if (t == TERM_NONE || at >= end || *at++ != '.')
            return error_of(p, heap_tuple3(&p->heap, small_make(1), ATOM_erl_parse,
                                           heap_cstr(&p->heap, t == TERM_NONE ? err : "syntax")));
        list = heap_cons(&p->heap, t, list);
    }
    return ok(p, bif_lists_reverse(p, (term[]){ list, TERM_NIL }));
}

/* Terms as text; places of errors are not told. */
term bif_file_consult(struct process *p, const term *a)
{
    return path_call(p, a, 1, FILE_READ_ALL, false, finish_consult);
}

/* The bytes of an I/O list. */
static bool bytes_of(struct buf *out, term t)
{
    size_t len;

    if ((!is_list(t) && !is_binary(t)) || !iolist_size(t, &len))
        return false;
    iolist_write(t, buf_room(out, len));
    return true;
}

static term write_file(struct process *p, const term *a, size_t n, int flags)
{
    struct file_job *j;
    term result;

    if (second_half(p, a, n, finish_ok, &result))
        return result;
    j = file_job_new(FILE_WRITE_ALL);
    j->path = path_of(a[0]);
    j->flags = flags;
    if (j->path == NULL || !bytes_of(&j->data, a[1])) {
        file_job_free(j);
        return error_of(p, ATOM_badarg);
    }
    return job_submit(p, &j->job, n, a);
}

term bif_file_write_file_2(struct process *p, const term *a)
{
    return write_file(p, a, 2, O_TRUNC);
}

term bif_file_write_file_3(struct process *p, const term *a)
{
    int flags = O_TRUNC;

    for (term l = a[2]; is_cons(l); l = cdr(l)) {
        if (car(l) == ATOM_append)
            flags = (flags & ~O_TRUNC) | O_APPEND;
        if (car(l) == ATOM_exclusive)
            flags |= O_EXCL;
    }
    return write_file(p, a, 3, flags);
}

static term finish_copy(struct process *p, const term *a, struct file_job *j)
{
    return ok(p, heap_uint(&p->heap, j->size));
}

term bif_file_copy(struct process *p, const term *a)
{
    return path_call(p, a, 2, FILE_COPY, true, finish_copy);
}

/* --- directories and names ------------------------------------------------------------------------------- */

static term finish_list(struct process *p, const term *a, struct file_job *j)
{
    const char *at = (const char *)j->data.data, *end = at + j->data.len;
    term list = TERM_NIL;

    while (at < end) {
        size_t len = strlen(at);

        list = heap_cons(&p->heap, name_term(p, at, len), list);
        at += len + 1;
    }
    return ok(p, list);
}

term bif_file_list_dir(struct process *p, const term *a)
{
    return path_call(p, a, 1, FILE_LIST, false, finish_list);
}

term bif_loader_list_dir(struct process *p, const term *a)
{
    return loader_result(bif_file_list_dir(p, a));
}

static term finish_read_link(struct process *p, const term *a, struct file_job *j)
{
    return ok(p, name_term(p, buf_cstr(&j->data), j->data.len));
}

term bif_file_read_link(struct process *p, const term *a)
{
    return path_call(p, a, 1, FILE_READ_LINK, false, finish_read_link);
}

term bif_file_delete(struct process *p, const term *a)
{
    return path_call(p, a, 1, FILE_DELETE, false, finish_ok);
}

term bif_file_delete_2(struct process *p, const term *a)
{
    return path_call(p, a, 2, FILE_DELETE, false, finish_ok);
}

term bif_file_rename(struct process *p, const term *a)
{
    return path_call(p, a, 2, FILE_RENAME, true, finish_ok);
}

term bif_file_make_dir(struct process *p, const term *a)
{
    return path_call(p, a, 1, FILE_MAKE_DIR, false, finish_ok);
}

term bif_file_del_dir(struct process *p, const term *a)
{
    return path_call(p, a, 1, FILE_DEL_DIR, false, finish_ok);
}

term bif_file_make_symlink(struct process *p, const term *a)
{
    return path_call(p, a, 2, FILE_SYMLINK, true, finish_ok);
}

term bif_file_make_link(struct process *p, const term *a)
{
    return path_call(p, a, 2, FILE_LINK, true, finish_ok);
}

term bif_file_change_mode(struct process *p, const term *a)
{
    struct file_job *j;
    term result;

    if (second_half(p, a, 2, finish_ok, &result))
        return result;
    j = file_job_new(FILE_CHMOD);
    j->path = path_of(a[0]);
    if (j->path == NULL || !is_small(a[1])) {
        file_job_free(j);
        return error_of(p, ATOM_badarg);
    }
    j->mode = (int)small_val(a[1]) & 07777;
    return job_submit(p, &j->job, 2, a);
}

term bif_file_get_cwd(struct process *p, const term *a)
{
    char dir[4096];

    return getcwd(dir, sizeof dir) == NULL ? posix_error(p, errno)
                                           : ok(p, name_term(p, dir, strlen(dir)));
}

term bif_file_set_cwd(struct process *p, const term *a)
{
    char *path = path_of(a[0]);
    int err = path == NULL || chdir(path) == 0 ? 0 : errno;
    bool bad = path == NULL;

    mem_free(path);
    return bad ? error_of(p, ATOM_badarg) : err != 0 ? posix_error(p, err) : ATOM_ok;
}

term bif_file_format_error(struct process *p, const term *a)
{
    if (is_atom(a[0]))
        for (size_t i = 0; i < ARRAY_LEN(posix_names); i++)
            if (strcmp(atom_text(a[0], NULL), posix_names[i].name) == 0) {
                char text[200], *s = strerror_r(posix_names[i].err, text, sizeof text);
                struct buf b = { 0 };
                term list;

                buf_str(&b, s);
                b.data[0] |= b.data[0] >= 'A' && b.data[0] <= 'Z' ? 32 : 0;
                list = heap_cstr(&p->heap, buf_cstr(&b));
                buf_fini(&b);
                return list;
            }
    return heap_cstr(&p->heap, a[0] == ATOM_badarg ? "bad argument" : "unknown POSIX error");
}

/* Names are UTF-8 inside and out. */
term bif_file_name2native(struct process *p, const term *a)
{
    struct buf b = { 0 };
    term bin;

    if (is_binary(a[0]))
        return a[0];
    if (!text_path(&b, a[0])) {
        buf_fini(&b);
        return bif_badarg(p);
    }
    bin = heap_binary(&p->heap, b.data, b.len);
    buf_fini(&b);
    return bin;
}

term bif_file_native2name(struct process *p, const term *a)
{
    const uint8_t *bytes;
    uint8_t *scratch;
    size_t len;
    char *text;
    term name;

    if (!binary_bytes(a[0], &bytes, &len, &scratch))
        return bif_badarg(p);
    text = mem_printf("%.*s", (int)len, (const char *)bytes);
    name = name_term(p, text, strlen(text));
    mem_free(text);
    mem_free(scratch);
    return name;
}

/* --- file_info --------------------------------------------------------------------------------------------- */

static term time_term(struct process *p, time_t t, term how)
{
    struct heap *h = &p->heap;
    struct tm tm;

    if (how == ATOM_posix)
        return heap_int(h, t);
    if (how == ATOM_universal)
        gmtime_r(&t, &tm);
    else
        localtime_r(&t, &tm);
    return heap_tuple2(h, heap_tuple3(h, small_make(tm.tm_year + 1900), small_make(tm.tm_mon + 1),
                                      small_make(tm.tm_mday)),
                       heap_tuple3(h, small_make(tm.tm_hour), small_make(tm.tm_min),
                                   small_make(tm.tm_sec)));
}

static term type_of(mode_t mode)
{
    return S_ISREG(mode) ? ATOM_regular : S_ISDIR(mode) ? ATOM_directory :
           S_ISLNK(mode) ? ATOM_symlink : S_ISCHR(mode) || S_ISBLK(mode) ? ATOM_device
                                                                        : ATOM_other;
}

static term access_of(const char *path)
{
    bool r = access(path, R_OK) == 0, w = access(path, W_OK) == 0;

    return r && w ? ATOM_read_write : r ? ATOM_read : w ? ATOM_write : ATOM_none;
}

static term info_term(struct process *p, const struct file_job *j, term how)
{
    struct heap *h = &p->heap;
    const struct stat *s = &j->st;
    term e[14] = {
        ATOM_file_info, heap_int(h, s->st_size), type_of(s->st_mode), access_of(j->path),
        time_term(p, s->st_atime, how), time_term(p, s->st_mtime, how),
        time_term(p, s->st_ctime, how), small_make(s->st_mode), small_make((int64_t)s->st_nlink),
        heap_uint(h, s->st_dev), small_make(0), heap_uint(h, s->st_ino), small_make(s->st_uid),
        small_make(s->st_gid),
    };

    return ok(p, heap_tuple(h, 14, e));
}

static term finish_info(struct process *p, const term *a, struct file_job *j)
{
    return info_term(p, j, ATOM_local);
}

static term finish_info_options(struct process *p, const term *a, struct file_job *j)
{
    term how = ATOM_local;

    for (term l = a[1]; is_cons(l); l = cdr(l))
        if (is_tuple_n(car(l), 2) && tuple_elem(car(l), 0) == ATOM_time)
            how = tuple_elem(car(l), 1);
    return info_term(p, j, how);
}

term bif_file_read_info_1(struct process *p, const term *a)
{
    return path_call(p, a, 1, FILE_STAT, false, finish_info);
}

term bif_file_read_info_2(struct process *p, const term *a)
{
    return path_call(p, a, 2, FILE_STAT, false, finish_info_options);
}

term bif_file_read_link_info_1(struct process *p, const term *a)
{
    return path_call(p, a, 1, FILE_LSTAT, false, finish_info);
}

term bif_file_read_link_info_2(struct process *p, const term *a)
{
    return path_call(p, a, 2, FILE_LSTAT, false, finish_info_options);
}

term bif_loader_read_info(struct process *p, const term *a)
{
    return loader_result(bif_file_read_info_1(p, a));
}

term bif_loader_read_link_info(struct process *p, const term *a)
{
    return loader_result(bif_file_read_link_info_1(p, a));
}

/* --- open files --------------------------------------------------------------------------------------------- */

/* The blob of a raw file or of a file server's pid, if it is open; its position is where the program
 * believes it is. NULL: none. */
static struct blob *file_of(struct process *p, term t)
{
    struct blob *b = NULL;

    if (is_local_pid(t))
        b = file_server_find(p, t);
    else if (is_tuple_n(t, 3) && tuple_elem(t, 0) == ATOM_file_descriptor)
        b = open_file_of_handle(tuple_elem(t, 2));
    if (b == NULL || atomic_load(&blob_file(b)->fd) < 0)
        return NULL;
    open_file_rewind(blob_file(b));
    return b;
}

struct open_modes { bool binary, utf8, raw; };

/* Flags for open(2); -1: a mode that is none. */
static int open_flags(term modes, struct open_modes *ret)
{
    bool rd = false, wr = false, append = false, excl = false;

    *ret = (struct open_modes){ 0 };
    for (; is_cons(modes); modes = cdr(modes)) {
        term m = car(modes);

        if (m == ATOM_read)
            rd = true;
        else if (m == ATOM_write)
            wr = true;
        else if (m == ATOM_append)
            append = true;
        else if (m == ATOM_exclusive)
            wr = excl = true;
        else if (m == ATOM_binary)
            ret->binary = true;
        else if (m == ATOM_raw)
            ret->raw = true;
        else if (is_tuple_n(m, 2) && tuple_elem(m, 0) == ATOM_encoding)
            ret->utf8 = tuple_elem(m, 1) == ATOM_utf8 || tuple_elem(m, 1) == ATOM_unicode;
        else if (!is_atom(m) && !is_tuple(m))
            return -1;
    }
    if (!is_nil(modes))
        return -1;
    if (append)
        return (rd ? O_RDWR : O_WRONLY) | O_CREAT | O_APPEND;
    if (wr)
        return (rd ? O_RDWR : O_WRONLY) | O_CREAT | (excl ? O_EXCL : rd ? 0 : O_TRUNC);
    return O_RDONLY;
}

/* A process that serves the file to whoever has its pid, until it is closed or the opener ends. */
static term server_start(struct process *p, term handle)
{
    struct heap *h = &p->heap;
    struct spawn_options opt = { .prio = PRIO_NORMAL, .group_leader = TERM_NONE,
                                 .monitor_opts = TERM_NONE };
    term args = heap_cons(h, p->pid, heap_cons(h, handle, TERM_NIL));
    term pid = process_spawn_mfa(p, ATOM_rnode_io, ATOM_serve, args, &opt, NULL);

    if (pid == TERM_NONE)
        return bif_error(p, ATOM_system_limit);
    file_server_add(p, pid, handle);
    return ok(p, pid);
}

static term finish_open(struct process *p, const term *a, struct file_job *j)
{
    struct open_modes modes;
    term handle;
    int fd = j->fd;

    j->fd = -1;
    open_flags(a[1], &modes);
    handle = magic_make(&p->heap, open_file_new(fd, modes.binary, modes.utf8));
    if (!modes.raw)
        return server_start(p, handle);
    return ok(p, heap_tuple3(&p->heap, ATOM_file_descriptor, ATOM_prim_file, handle));
}

term bif_file_open(struct process *p, const term *a)
{
    struct file_job *j;
    term result;
    struct open_modes modes;
    int flags;

    if (second_half(p, a, 2, finish_open, &result))
        return result;
    flags = is_list(a[1]) ? open_flags(a[1], &modes) : -1;
    j = file_job_new(FILE_OPEN);
    j->path = path_of(a[0]);
    j->flags = flags;
    if (j->path == NULL || flags < 0) {
        file_job_free(j);
        return error_of(p, ATOM_badarg);
    }
    return job_submit(p, &j->job, 2, a);
}

term bif_file_close(struct process *p, const term *a)
{
    struct blob *b = file_of(p, a[0]);

    if (b == NULL)
        return error_of(p, is_local_pid(a[0]) ? ATOM_terminated : ATOM_einval);
    open_file_close(blob_file(b));
    if (is_local_pid(a[0])) {
        file_server_remove(p, a[0]);
        process_send(p, a[0], ATOM_rnode_io_stop);
    }
    return ATOM_ok;
}

/* Submit j on the open file a[0]; takes j. */
static term file_call(struct process *p, const term *a, size_t n, struct file_job *j)
{
    struct blob *b = file_of(p, a[0]);

    if (b == NULL) {
        file_job_free(j);
        return error_of(p, ATOM_einval);
    }
    j->held = blob_ref(b);
    j->fd = atomic_load(&blob_file(b)->fd);
    return job_submit(p, &j->job, n, a);
}

static term finish_read(struct process *p, const term *a, struct file_job *j)
{
    if (j->data.len == 0 && j->size > 0)
        return ATOM_eof;
    return ok(p, blob_file(j->held)->binary
                     ? heap_binary(&p->heap, j->data.data, j->data.len)
                     : heap_latin1(&p->heap, (const char *)j->data.data, j->data.len));
}

term bif_file_read(struct process *p, const term *a)
{
    struct file_job *j;
    term result;

    if (second_half(p, a, 2, finish_read, &result))
        return result;
    if (!is_small(a[1]) || small_val(a[1]) < 0)
        return error_of(p, ATOM_badarg);
    j = file_job_new(FILE_READ);
    j->size = (size_t)small_val(a[1]);
    return file_call(p, a, 2, j);
}

/* With what is read ahead: no rewinding. */
term bif_file_read_line(struct process *p, const term *a)
{
    struct file_job *j = file_job_take(p);
    struct blob *b = is_local_pid(a[0]) ? file_server_find(p, a[0]) :
                     is_tuple_n(a[0], 3) ? open_file_of_handle(tuple_elem(a[0], 2)) : NULL;
    term line;

    if (j == NULL && p->job != NULL)
        return bif_wait(p, 1, a);
    if (j != NULL) {
        open_file_fill(blob_file(j->held), j);
        file_job_free(j);
    }
    if (b == NULL || atomic_load(&blob_file(b)->fd) < 0)
        return error_of(p, ATOM_einval);
    switch (open_file_line(blob_file(b), &p->heap, false, &line)) {
    case TAKE_DONE:
        return ok(p, line);
    case TAKE_EOF:
        return ATOM_eof;
    default:
        return job_submit(p, &open_file_reader(b)->job, 1, a);
    }
}

term bif_file_pread(struct process *p, const term *a)
{
    struct file_job *j;
    term result;

    if (second_half(p, a, 3, finish_read, &result))
        return result;
    if (!is_small(a[1]) || small_val(a[1]) < 0 || !is_small(a[2]) || small_val(a[2]) < 0)
        return error_of(p, ATOM_badarg);
    j = file_job_new(FILE_PREAD);
    j->offset = small_val(a[1]);
    j->size = (size_t)small_val(a[2]);
    return file_call(p, a, 3, j);
}

term bif_file_write(struct process *p, const term *a)
{
    struct file_job *j;
    term result;

    if (second_half(p, a, 2, finish_ok, &result))
        return result;
    j = file_job_new(FILE_WRITE);
    if (!bytes_of(&j->data, a[1])) {
        file_job_free(j);
        return error_of(p, ATOM_badarg);
    }
    return file_call(p, a, 2, j);
}

term bif_file_pwrite(struct process *p, const term *a)
{
    struct file_job *j;
    term result;

    if (second_half(p, a, 3, finish_ok, &result))
        return result;
    j = file_job_new(FILE_PWRITE);
    if (!is_small(a[1]) || small_val(a[1]) < 0 || !bytes_of(&j->data, a[2])) {
        file_job_free(j);
        return error_of(p, ATOM_badarg);
    }
    j->offset = small_val(a[1]);
    return file_call(p, a, 3, j);
}

/* Where: N, bof, cur, eof, or {bof | cur | eof, N}. */
static bool place_of(term t, int *ret_whence, int64_t *ret_offset)
{
    term from = ATOM_bof, n = t;

    if (is_atom(t)) {
        from = t;
        n = small_make(0);
    } else if (is_tuple_n(t, 2)) {
        from = tuple_elem(t, 0);
        n = tuple_elem(t, 1);
    }
    *ret_whence = from == ATOM_bof ? SEEK_SET : from == ATOM_cur ? SEEK_CUR :
                  from == ATOM_eof ? SEEK_END : -1;
    *ret_offset = is_small(n) ? small_val(n) : 0;
    return *ret_whence >= 0 && is_small(n);
}

term bif_file_position(struct process *p, const term *a)
{
    struct blob *b = file_of(p, a[0]);
    int whence;
    int64_t offset;
    off_t at;

    if (b == NULL)
        return error_of(p, ATOM_einval);
    if (!place_of(a[1], &whence, &offset))
        return error_of(p, ATOM_badarg);
    at = lseek(atomic_load(&blob_file(b)->fd), offset, whence);
    return at < 0 ? posix_error(p, errno) : ok(p, heap_int(&p->heap, at));
}

term bif_file_truncate(struct process *p, const term *a)
{
    term result;

    if (second_half(p, a, 1, finish_ok, &result))
        return result;
    return file_call(p, a, 1, file_job_new(FILE_TRUNCATE));
}

term bif_file_sync(struct process *p, const term *a)
{
    term result;

    if (second_half(p, a, 1, finish_ok, &result))
        return result;
    return file_call(p, a, 1, file_job_new(FILE_SYNC));
}
