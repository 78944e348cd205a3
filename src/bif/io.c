/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io.c - output, and the natives of io and io_lib that stand in for OTP's
 *
 * Standard output is buffered here, and written at line ends, when the buffer is full, when a caller
 * flushes, and at the end of the node.
 */
#include "bif/bif.h"
#include "bif/io.h"
#include "bif/text.h"
#include "term/print.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

void (*io_output_hook)(term leader, const char *bytes, size_t len);
void (*io_log_hook)(term level, const char *bytes, size_t len);

/* --- standard output -------------------------------------------------------------------------------- */

#define OUTPUT_BYTES 16384

static pthread_mutex_t output_lock = PTHREAD_MUTEX_INITIALIZER;
static char output[OUTPUT_BYTES];
static size_t output_len;
static bool at_exit_set;

static void write_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, bytes, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return;         /* nobody reads: what would we tell whom? */
        bytes += n;
        len -= (size_t)n;
    }
}

static void flush_locked(void)
{
    write_all(STDOUT_FILENO, output, output_len);
    output_len = 0;
}

void io_flush(void)
{
    pthread_mutex_lock(&output_lock);
    flush_locked();
    pthread_mutex_unlock(&output_lock);
}

void io_console_write(const char *bytes, size_t len)
{
    pthread_mutex_lock(&output_lock);
    if (!at_exit_set) {
        at_exit_set = true;
        atexit(io_flush);
    }
    if (len > sizeof output - output_len)
        flush_locked();
    if (len >= sizeof output) {
        write_all(STDOUT_FILENO, bytes, len);
    } else {
        memcpy(output + output_len, bytes, len);
        output_len += len;
        /* a line is shown at once: whoever reads may wait for it */
        if (memchr(bytes, '\n', len) != NULL)
            flush_locked();
    }
    pthread_mutex_unlock(&output_lock);
}

void io_write(term leader, const char *bytes, size_t len)
{
    if (io_output_hook != NULL)
        io_output_hook(leader, bytes, len);
    else
        io_console_write(bytes, len);
}

void io_write_error(const char *bytes, size_t len)
{
    io_flush();
    write_all(STDERR_FILENO, bytes, len);
}

void io_log(term level, const char *bytes, size_t len)
{
    if (io_log_hook != NULL)
        io_log_hook(level, bytes, len);
    else
        io_write_error(bytes, len);
}

/* --- io --------------------------------------------------------------------------------------------- */

/* Write and drop the text. device: standard_error, or anything for the caller's leader. */
static term put(struct process *p, term device, struct buf *text, bool good)
{
    if (good && device == ATOM_standard_error)
        io_write_error((const char *)text->data, text->len);
    else if (good)
        io_write(is_local_pid(device) ? device : p->group_leader, (const char *)text->data,
                 text->len);
    buf_fini(text);
    return good ? ATOM_ok : bif_badarg(p);
}

static term put_chars(struct process *p, term device, term chars)
{
    struct buf text = { 0 };

    return put(p, device, &text, !is_small(chars) && text_append(&text, chars));
}

static term format(struct process *p, term device, term fmt, term args)
{
    struct buf text = { 0 };

    return put(p, device, &text, io_format(&text, fmt, args));
}

term bif_io_put_chars_1(struct process *p, const term *a)
{
    return put_chars(p, ATOM_standard_io, a[0]);
}

term bif_io_put_chars_2(struct process *p, const term *a)
{
    return put_chars(p, a[0], a[1]);
}

term bif_io_nl_0(struct process *p, const term *a)
{
    io_write(p->group_leader, "\n", 1);
    return ATOM_ok;
}

term bif_io_nl_1(struct process *p, const term *a)
{
    struct buf text = { 0 };

    buf_u8(&text, '\n');
    return put(p, a[0], &text, true);
}

term bif_io_write_1(struct process *p, const term *a)
{
    struct buf text = { 0 };

    term_print(&text, a[0], 0, 0);
    return put(p, ATOM_standard_io, &text, true);
}

term bif_io_format_1(struct process *p, const term *a)
{
    return format(p, ATOM_standard_io, a[0], TERM_NIL);
}

term bif_io_format_2(struct process *p, const term *a)
{
    return format(p, ATOM_standard_io, a[0], a[1]);
}

term bif_io_format_3(struct process *p, const term *a)
{
    return format(p, a[0], a[1], a[2]);
}

term bif_io_getopts(struct process *p, const term *a)
{
    return heap_cons(&p->heap, heap_tuple2(&p->heap, ATOM_encoding, ATOM_unicode), TERM_NIL);
}

term bif_io_setopts(struct process *p, const term *a)
{
    return ATOM_ok;
}

/* --- io_lib ------------------------------------------------------------------------------------------- */

static term text_list(struct process *p, struct buf *text, bool good)
{
    term list = good ? heap_cstr(&p->heap, buf_cstr(text)) : bif_badarg(p);

    buf_fini(text);
    return list;
}

term bif_io_lib_format(struct process *p, const term *a)
{
    struct buf text = { 0 };

    return text_list(p, &text, io_format(&text, a[0], a[1]));
}

term bif_io_lib_write(struct process *p, const term *a)
{
    struct buf text = { 0 };

    term_print(&text, a[0], 0, 0);
    return text_list(p, &text, true);
}

term bif_io_lib_print(struct process *p, const term *a)
{
    struct buf text = { 0 };

    term_print(&text, a[0], PRINT_STRINGS, 0);
    return text_list(p, &text, true);
}
