/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io_leader.c - group leaders: the I/O protocol over io_write
 *
 * The loop is code for the machine itself; it gives each message to bif_io_request.
 * What the loop does with the answer: the atom done, go on; {State, M, F, A}, apply M:F(A) and give
 * State and the result to bif_io_converted, which answers likewise. State is {From, ReplyAs, Rest,
 * Until}: whom to answer, the requests of a list that are still to be served, and what get_until asks.
 *
 * The same loop serves open files (file.c); those and `user` also read.
 */
#include "bif/bif.h"
#include "bif/io.h"
#include "bif/open_file.h"
#include "bif/own_code.h"
#include "bif/text.h"
#include "heap/blob.h"
#include "base/alloc.h"
#include "base/epoch.h"
#include "vm/pdict.h"
#include "vm/registry.h"

#include <errno.h>
#include <unistd.h>

/* Conversions are applied under a catch, here, where a crash harms nobody but who asked. */
static const char leader_text[] =
    "module rnode_io\n"
    "export loop/0 serve/2 report_text/4\n"
    "function loop/0\n"
    "    allocate 2 0\n"
    "    init_yregs [y0 y1]\n"
    "  next:\n"
    "    loop_rec @idle x0\n"
    "    remove_message\n"
    "    line\n"
    "    move none x1\n"
    "    call_ext 2 rnode_io:request/2\n"
    "  answered:\n"
    "    % done, or {State, M, F, A}\n"
    "    is_tuple @again x0\n"
    OWN_CODE_APPLY
    "    line\n"
    "    call_ext 2 rnode_io:converted/2\n"
    "    jump @answered\n"
    "  again:\n"
    "    jump @next\n"
    "  idle:\n"
    "    wait @next\n"
    "function serve/2\n"           /* (Opener, Handle): a file server */
    "    allocate 1 2\n"
    "    move x1 y0\n"
    "    move x0 x1\n"
    "    move process x0\n"
    "    line\n"
    "    call_ext 2 erlang:monitor/2\n"
    "    move y0 x1\n"
    "    move rnode_io x0\n"
    "    line\n"
    "    call_ext 2 erlang:put/2\n"
    "    deallocate 1\n"
    "    call_only 0 loop/0\n"
    "function report_text/4\n"     /* (Level, Report, Cb, Args): the text of a report, for logger */
    "    allocate 3 4\n"
    "    init_yregs [y2]\n"
    "    move x0 y0\n"
    "    move x1 y1\n"
    "    move x2 x0\n"
    "    move x3 x1\n"
    "    catch y2 @caught\n"
    "    line\n"
    "    call_ext 2 erlang:apply/2\n"
    "  caught:\n"
    "    catch_end y2\n"
    "    move x0 x2\n"
    "    move y0 x0\n"
    "    move y1 x1\n"
    "    line\n"
    "    call_ext_last 3 rnode_io:report/3 3\n";

/* --- files and standard input ------------------------------------------------------------------------ */

/* What the leader p reads from: the file it serves, or standard input for `user`; NULL: nothing. */
static struct blob *input_of(struct process *p)
{
    term handle = pdict_get(p, ATOM_rnode_io);

    if (handle == ATOM_undefined && p->registered == ATOM_user) {
        handle = magic_make(&p->heap, open_file_new(STDIN_FILENO, false, true));
        pdict_put(p, ATOM_rnode_io, handle);
    }
    return handle == ATOM_undefined ? NULL : open_file_of_handle(handle);
}

/* The file that p serves, for output; NULL: p is a leader. */
static struct open_file *served_file(struct process *p)
{
    term handle = pdict_get(p, ATOM_rnode_io);
    struct blob *b = handle == ATOM_undefined ? NULL : open_file_of_handle(handle);

    return b == NULL || atomic_load(&blob_file(b)->fd) == STDIN_FILENO ? NULL : blob_file(b);
}

/* UTF-8 text to a file in its encoding. Short writes to a disk do not block for long. */
static bool file_write(struct open_file *f, struct buf *text)
{
    struct buf bytes = { 0 };
    struct buf *from = text;
    bool good = true;

    open_file_rewind(f);
    if (!f->utf8) {
        for (size_t i = 0; i < text->len && good; i++) {
            uint8_t c = text->data[i];

            if (c < 0x80) {
                buf_u8(&bytes, c);
            } else {
                good = c <= 0xC3 && i + 1 < text->len;
                if (good)
                    buf_u8(&bytes, (uint8_t)(c << 6 | (text->data[++i] & 0x3F)));
            }
        }
        from = &bytes;
    }
    for (size_t done = 0; good && done < from->len;) {
        ssize_t n = write(atomic_load(&f->fd), from->data + done, from->len - done);

        good = n > 0 || errno == EINTR;
        done += n > 0 ? (size_t)n : 0;
    }
    buf_fini(&bytes);
    return good;
}

/* --- serving requests -------------------------------------------------------------------------------- */

static term answer(struct process *p, term from, term reply_as, term reply)
{
    if (is_pid(from) || is_atom(from))
        process_send(p, from, heap_tuple3(&p->heap, ATOM_io_reply, reply_as, reply));
    return ATOM_done;
}

/* The process registered as standard_error: a leader as the others, with another way out. */
static term errors_leader = TERM_NONE;

static void leader_write(struct process *p, const struct buf *text)
{
    if (p->pid == errors_leader)
        io_write_error((const char *)text->data, text->len);
    else
        io_write(p->pid, (const char *)text->data, text->len);
}

/* Characters in an encoding, to the program's output. */
static bool chars_write(struct process *p, term encoding, term chars)
{
    struct open_file *file = served_file(p);
    struct buf text = { 0 };
    bool good;

    if (encoding == ATOM_latin1 && is_binary(chars)) {
        const uint8_t *bytes;
        uint8_t *scratch;
        size_t len;

        good = binary_bytes(chars, &bytes, &len, &scratch);
        for (size_t i = 0; good && i < len; i++)
            text_put(&text, bytes[i]);
        mem_free(scratch);
    } else {
        good = !is_small(chars) && text_append(&text, chars);
    }
    if (good && file != NULL)
        good = file_write(file, &text);
    else if (good)
        leader_write(p, &text);
    buf_fini(&text);
    return good;
}

static term error_term(struct process *p, term what)
{
    return heap_tuple2(&p->heap, ATOM_error, what);
}

static term options(struct process *p)
{
    struct heap *h = &p->heap;
    struct open_file *f = served_file(p);
    bool utf8 = f == NULL || f->utf8;
    term list = heap_cons(h, heap_tuple2(h, ATOM_encoding, !utf8 ? ATOM_latin1 :
                                         f == NULL ? ATOM_unicode : ATOM_utf8), TERM_NIL);

    return heap_cons(h, heap_tuple2(h, ATOM_binary, f != NULL && f->binary ? ATOM_true
                                                                           : ATOM_false), list);
}

static term options_set(struct process *p, term opts)
{
    struct open_file *f = served_file(p);

    for (; f != NULL && is_cons(opts); opts = cdr(opts)) {
        term o = car(opts), value = is_tuple_n(o, 2) ? tuple_elem(o, 1) : ATOM_true;

        if (o == ATOM_binary || o == ATOM_list)
            f->binary = o == ATOM_binary;
        else if (is_tuple_n(o, 2) && tuple_elem(o, 0) == ATOM_binary)
            f->binary = value == ATOM_true;
        else if (is_tuple_n(o, 2) && tuple_elem(o, 0) == ATOM_encoding)
            f->utf8 = value == ATOM_utf8 || value == ATOM_unicode;
    }
    return ATOM_ok;
}

/* How a request goes on. */
enum served { SERVED, CONVERT, MORE_INPUT };

/* get_line, get_chars, get_until: with or without an encoding in front of the prompt. */
static enum served serve_input(struct process *p, term request, term *ret)
{
    struct blob *b = input_of(p);
    size_t n = tuple_arity(request);
    term name = tuple_elem(request, 0);
    enum take took = TAKE_EOF;

    *ret = ATOM_eof;
    if (b == NULL || atomic_load(&blob_file(b)->fd) < 0)
        return SERVED;
    if (name == ATOM_get_line)
        took = open_file_line(blob_file(b), &p->heap, false, ret);
    else if (name == ATOM_get_chars && is_small(tuple_elem(request, n - 1)) &&
             small_val(tuple_elem(request, n - 1)) >= 0)
        took = open_file_chars(blob_file(b), &p->heap,
                               (size_t)small_val(tuple_elem(request, n - 1)), ret);
    else if (name == ATOM_get_until && n >= 5)
        return CONVERT;
    if (took == TAKE_EOF)
        *ret = ATOM_eof;
    return took == TAKE_MORE ? MORE_INPUT : SERVED;
}

static bool is_input(term name)
{
    return name == ATOM_get_line || name == ATOM_get_chars || name == ATOM_get_until;
}

static enum served serve(struct process *p, term request, term *ret)
{
    term name = is_tuple(request) && tuple_arity(request) > 0 ? tuple_elem(request, 0) : request;
    size_t n = is_tuple(request) ? tuple_arity(request) : 0;

    if (name == ATOM_put_chars && (n == 4 || n == 5))
        return CONVERT;
    if (is_input(name) && n >= 2)
        return serve_input(p, request, ret);
    if (name == ATOM_put_chars && (n == 2 || n == 3))
        *ret = chars_write(p, n == 3 ? tuple_elem(request, 1) : ATOM_latin1,
                           tuple_elem(request, n - 1))
                   ? ATOM_ok : error_term(p, heap_tuple2(&p->heap, ATOM_put_chars, ATOM_badarg));
    else if (name == ATOM_getopts)
        *ret = options(p);
    else if (name == ATOM_setopts && n == 2)
        *ret = options_set(p, tuple_elem(request, 1));
    else
        *ret = error_term(p, name == ATOM_get_geometry ? ATOM_enotsup : ATOM_request);
    return SERVED;
}

/* {State, M, F, A} for the loop. */
static term convert(struct process *p, term state, term m, term f, term args)
{
    return heap_tuple4(&p->heap, state, m, f, args);
}

/* The next line for the function of get_until, with what it has kept so far. TERM_NONE: more has to
 * be read ahead first. */
static term until_step(struct process *p, term state, term kept)
{
    struct heap *h = &p->heap;
    struct blob *b = input_of(p);
    term mfe = tuple_elem(state, 3), line = ATOM_eof, args;
    enum take took = b == NULL || atomic_load(&blob_file(b)->fd) < 0
                         ? TAKE_EOF : open_file_line(blob_file(b), h, true, &line);

    if (took == TAKE_MORE)
        return TERM_NONE;
    args = heap_cons(h, kept, heap_cons(h, took == TAKE_EOF ? ATOM_eof : line,
                                        tuple_elem(mfe, 2)));
    return convert(p, state, tuple_elem(mfe, 0), tuple_elem(mfe, 1), args);
}

/* Read ahead, then call this built-in again with n arguments. */
static term read_ahead(struct process *p, size_t n, const term *args)
{
    return job_submit(p, &open_file_reader(input_of(p))->job, n, args);
}

/* Take the bytes of a finished job; false: it is not finished. */
static bool read_done(struct process *p)
{
    struct file_job *j;

    if (p->job == NULL)
        return true;
    j = file_job_take(p);
    if (j == NULL)
        return false;
    open_file_fill(blob_file(j->held), j);
    file_job_free(j);
    return true;
}

/* {From, ReplyAs, Rest, Until}: Until is {M, F, ExtraArgs} of get_until, else undefined. */
static term state_make(struct process *p, term from, term reply_as, term rest, term until)
{
    return heap_tuple4(&p->heap, from, reply_as, rest, until);
}

/* Ask the loop for the conversion that request wants. TERM_NONE as until_step. */
static term convert_request(struct process *p, term from, term reply_as, term rest, term request)
{
    size_t n = tuple_arity(request);
    term mfe;

    if (tuple_elem(request, 0) == ATOM_put_chars)
        return convert(p, state_make(p, from, reply_as, rest, ATOM_undefined),
                       tuple_elem(request, n - 3), tuple_elem(request, n - 2),
                       tuple_elem(request, n - 1));
    mfe = heap_tuple3(&p->heap, tuple_elem(request, n - 3), tuple_elem(request, n - 2),
                      tuple_elem(request, n - 1));
    return until_step(p, state_make(p, from, reply_as, rest, mfe), TERM_NIL);
}

/* Serve the requests of a list, in order, up to the first that fails or must be converted. TERM_NONE:
 * *ret_left, the requests from the one on that needs more input. */
static term serve_list(struct process *p, term from, term reply_as, term list, term *ret_left)
{
    term reply = ATOM_ok, call;

    for (; is_cons(list); list = cdr(list)) {
        *ret_left = list;
        switch (serve(p, car(list), &reply)) {
        case CONVERT:
            call = convert_request(p, from, reply_as, cdr(list), car(list));
            return call;
        case MORE_INPUT:
            return TERM_NONE;
        default:
            break;
        }
        if (is_tuple(reply) && tuple_elem(reply, 0) == ATOM_error)
            break;
    }
    return answer(p, from, reply_as, reply);
}

/* The same as a message, for the built-in called again after reading. */
static term serve_or_read(struct process *p, term from, term reply_as, term list)
{
    term left = list, result = serve_list(p, from, reply_as, list, &left), msg;

    if (result != TERM_NONE)
        return result;
    msg = heap_tuple4(&p->heap, ATOM_io_request, from, reply_as,
                      heap_tuple2(&p->heap, ATOM_requests, left));
    /* bif_io_request takes it as it is; bif_io_converted takes it for its state */
    return read_ahead(p, 2, (term[]){ msg, ATOM_rnode_io });
}

static term request_serve(struct process *p, term msg)
{
    term request, list;

    if (!is_tuple_n(msg, 4) || tuple_elem(msg, 0) != ATOM_io_request)
        return ATOM_done;
    request = tuple_elem(msg, 3);
    if (is_tuple_n(request, 2) && tuple_elem(request, 0) == ATOM_requests)
        list = tuple_elem(request, 1);
    else
        list = heap_cons(&p->heap, request, TERM_NIL);
    return serve_or_read(p, tuple_elem(msg, 1), tuple_elem(msg, 2), list);
}

/* A prompt, unless the input is a file. */
static void prompt_write(struct process *p, term msg)
{
    term request = is_tuple_n(msg, 4) ? tuple_elem(msg, 3) : TERM_NIL;
    struct buf text = { 0 };

    if (!is_tuple(request) || tuple_arity(request) < 2 || !is_input(tuple_elem(request, 0)) ||
        served_file(p) != NULL || input_of(p) == NULL)
        return;
    if (text_path(&text, tuple_elem(request, tuple_arity(request) == 2 ? 1 : 2)) && text.len > 0) {
        io_write(p->pid, (const char *)text.data, text.len);
        io_flush();
    }
    buf_fini(&text);
}

/* One argument more than the message: the built-in that waits is called again with both. */
term bif_io_request(struct process *p, const term *a)
{
    term msg = a[0];

    if (msg == ATOM_rnode_io_stop || (is_tuple_n(msg, 5) && tuple_elem(msg, 0) == ATOM_DOWN)) {
        struct open_file *f = served_file(p);

        file_server_remove(p, p->pid);
        if (f != NULL)
            open_file_close(f);
        return bif_raise(p, ATOM_exit, ATOM_normal);
    }
    if (p->job == NULL)
        prompt_write(p, msg);
    if (!read_done(p))
        return bif_wait(p, 2, (term[]){ a[0], a[1] });
    return request_serve(p, msg);
}

/* What the function of get_until answered. */
static term until_answer(struct process *p, term state, term result)
{
    term from = tuple_elem(state, 0), reply_as = tuple_elem(state, 1), next;
    struct blob *b = input_of(p);

    if (is_tuple_n(result, 3) && tuple_elem(result, 0) == ATOM_done) {
        if (b != NULL)
            open_file_unread(blob_file(b), tuple_elem(result, 2));
        return answer(p, from, reply_as, tuple_elem(result, 1));
    }
    if (!is_tuple_n(result, 2) || tuple_elem(result, 0) != ATOM_more)
        return answer(p, from, reply_as, error_term(p, ATOM_get_until));
    next = until_step(p, state, tuple_elem(result, 1));
    return next != TERM_NONE ? next : read_ahead(p, 2, (term[]){ state, result });
}

term bif_io_converted(struct process *p, const term *a)
{
    term state = a[0], result = a[1];
    term from, reply_as;

    if (!read_done(p))
        return bif_wait(p, 2, (term[]){ state, result });
    if (tuple_elem(state, 0) == ATOM_io_request)
        return request_serve(p, state);
    from = tuple_elem(state, 0);
    reply_as = tuple_elem(state, 1);
    if (tuple_elem(state, 3) != ATOM_undefined)
        return until_answer(p, state, result);
    if (!chars_write(p, ATOM_unicode, result))
        return answer(p, from, reply_as, error_term(p, ATOM_put_chars));
    return serve_or_read(p, from, reply_as, tuple_elem(state, 2));
}

/* --- starting ------------------------------------------------------------------------------------------ */

term io_leader_start(void)
{
    struct spawn_options opt = { .prio = PRIO_NORMAL, .group_leader = TERM_NONE,
                                 .monitor_opts = TERM_NONE };

    return process_spawn_mfa(NULL, ATOM_rnode_io, ATOM_loop, TERM_NIL, &opt, NULL);
}

void io_leader_stop(term leader)
{
    process_send(NULL, leader, ATOM_rnode_io_stop);
}

term io_start(void)
{
    bool loaded = own_code_load(leader_text, sizeof leader_text - 1, ATOM_rnode_io);
    term user;

    ASSERT(loaded);
    own_code_start();
    epoch_enter();
    user = io_leader_start();
    ASSERT(user != TERM_NONE);
    registry_add(ATOM_user, user);
    errors_leader = io_leader_start();
    ASSERT(errors_leader != TERM_NONE);
    registry_add(ATOM_standard_error, errors_leader);
    epoch_leave();
    return user;
}
