/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io_leader.c - group leaders: the I/O protocol over io_write
 *
 * The loop is code for the machine itself; it gives each message to bif_io_request.
 * What the loop does with the answer: the atom done, go on; {State, M, F, A}, apply M:F(A) and give
 * State and the result to bif_io_converted, which answers likewise. State is {From, ReplyAs, Rest}:
 * whom to answer, and the requests of a list that are still to be served.
 */
#include "bif/bif.h"
#include "bif/io.h"
#include "bif/own_code.h"
#include "bif/text.h"
#include "heap/blob.h"
#include "base/alloc.h"
#include "base/epoch.h"
#include "vm/registry.h"

/* Conversions are applied under a catch, here, where a crash harms nobody but who asked. */
static const char leader_text[] =
    "module rnode_io\n"
    "export loop/0 report_text/4\n"
    "function loop/0\n"
    "    allocate 2 0\n"
    "    init_yregs [y0 y1]\n"
    "  next:\n"
    "    loop_rec @idle x0\n"
    "    remove_message\n"
    "    line\n"
    "    call_ext 1 rnode_io:request/1\n"
    "  answered:\n"
    "    % done, or {State, M, F, A}\n"
    "    is_tuple @again x0\n"
    "    get_tuple_element x0 0 y0\n"
    "    get_tuple_element x0 1 x4\n"
    "    get_tuple_element x0 2 x1\n"
    "    get_tuple_element x0 3 x2\n"
    "    move x4 x0\n"
    "    catch y1 @caught\n"
    "    line\n"
    "    call_ext 3 erlang:apply/3\n"
    "  caught:\n"
    "    catch_end y1\n"
    "    move x0 x1\n"
    "    move y0 x0\n"
    "    init_yregs [y0]\n"
    "    line\n"
    "    call_ext 2 rnode_io:converted/2\n"
    "    jump @answered\n"
    "  again:\n"
    "    jump @next\n"
    "  idle:\n"
    "    wait @next\n"
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

/* --- serving requests -------------------------------------------------------------------------------- */

static term answer(struct process *p, term from, term reply_as, term reply)
{
    if (is_pid(from) || is_atom(from))
        process_send(p, from, heap_tuple3(&p->heap, ATOM_io_reply, reply_as, reply));
    return ATOM_done;
}

/* Characters in an encoding, to the program's output. */
static bool chars_write(struct process *p, term encoding, term chars)
{
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
    if (good)
        io_write(p->pid, (const char *)text.data, text.len);
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
    term list = heap_cons(h, heap_tuple2(h, ATOM_encoding, ATOM_unicode), TERM_NIL);

    return heap_cons(h, heap_tuple2(h, ATOM_binary, ATOM_false), list);
}

/* {get_..., ...}: there is nothing to read. */
static bool is_input(term name)
{
    return name == ATOM_get_line || name == ATOM_get_chars || name == ATOM_get_until ||
           name == ATOM_get_password;
}

/* The reply to one request, or TERM_NONE and *ret_call = {M, F, A} when it must be converted. */
static term serve(struct process *p, term request, term *ret_call)
{
    term name = is_tuple(request) && tuple_arity(request) > 0 ? tuple_elem(request, 0) : request;
    size_t n = is_tuple(request) ? tuple_arity(request) : 0;

    if (name == ATOM_put_chars && (n == 4 || n == 5)) {
        *ret_call = request;
        return TERM_NONE;
    }
    if (name == ATOM_put_chars && (n == 2 || n == 3))
        return chars_write(p, n == 3 ? tuple_elem(request, 1) : ATOM_latin1,
                           tuple_elem(request, n - 1))
                   ? ATOM_ok : error_term(p, heap_tuple2(&p->heap, ATOM_put_chars, ATOM_badarg));
    if (is_input(name))
        return ATOM_eof;
    if (name == ATOM_getopts)
        return options(p);
    if (name == ATOM_setopts)
        return ATOM_ok;
    return error_term(p, name == ATOM_get_geometry ? ATOM_enotsup : ATOM_request);
}

/* {State, M, F, A} for the loop. */
static term convert(struct process *p, term from, term reply_as, term rest, term call)
{
    struct heap *h = &p->heap;
    size_t first = tuple_arity(call) - 3;   /* behind put_chars and the encoding, if any */
    term state = heap_tuple3(h, from, reply_as, rest);

    return heap_tuple4(h, state, tuple_elem(call, first), tuple_elem(call, first + 1),
                       tuple_elem(call, first + 2));
}

/* Serve the requests of a list, in order, up to the first that fails or must be converted. */
static term serve_list(struct process *p, term from, term reply_as, term list)
{
    term reply = ATOM_ok, call = TERM_NIL;

    for (; is_cons(list); list = cdr(list)) {
        reply = serve(p, car(list), &call);
        if (reply == TERM_NONE)
            return convert(p, from, reply_as, cdr(list), call);
        if (is_tuple(reply) && tuple_elem(reply, 0) == ATOM_error)
            break;
    }
    return answer(p, from, reply_as, reply);
}

term bif_io_request(struct process *p, const term *a)
{
    term msg = a[0], request, list;

    if (msg == ATOM_rnode_io_stop)
        return bif_raise(p, ATOM_exit, ATOM_normal);
    if (!is_tuple_n(msg, 4) || tuple_elem(msg, 0) != ATOM_io_request)
        return ATOM_done;
    request = tuple_elem(msg, 3);
    if (is_tuple_n(request, 2) && tuple_elem(request, 0) == ATOM_requests)
        list = tuple_elem(request, 1);
    else
        list = heap_cons(&p->heap, request, TERM_NIL);
    return serve_list(p, tuple_elem(msg, 1), tuple_elem(msg, 2), list);
}

term bif_io_converted(struct process *p, const term *a)
{
    term state = a[0], chars = a[1];
    term from = tuple_elem(state, 0), reply_as = tuple_elem(state, 1);

    if (!chars_write(p, ATOM_unicode, chars))
        return answer(p, from, reply_as, error_term(p, ATOM_put_chars));
    return serve_list(p, from, reply_as, tuple_elem(state, 2));
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
    epoch_leave();
    return user;
}
