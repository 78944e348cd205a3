/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timer.c - erlang:start_timer, send_after, cancel_timer, read_timer
 */
#include "bif/bif.h"

#include "base/clock.h"
#include "vm/timer.h"

static bool read_abs(term options, bool *ret_abs)
{
    *ret_abs = false;
    for (; is_cons(options); options = cdr(options)) {
        term o = car(options);

        if (!is_tuple_n(o, 2) || tuple_elem(o, 0) != ATOM_abs ||
            (tuple_elem(o, 1) != ATOM_true && tuple_elem(o, 1) != ATOM_false))
            return false;
        *ret_abs = tuple_elem(o, 1) == ATOM_true;
    }
    return is_nil(options);
}

static term start(struct process *p, const term *a, term options, bool wrap)
{
    int64_t ms, now = clock_monotonic_ns();
    bool abs;

    if (!read_abs(options, &abs) || !(is_local_pid(a[1]) || is_atom(a[1])))
        return bif_badarg(p);
    if (!is_small(a[0]) || (!abs && small_val(a[0]) < 0))
        return bif_badarg_cause(p, ATOM_time);
    ms = small_val(a[0]);
    if (ms > (int64_t)TIMER_MS_MAX || ms > (INT64_MAX - now) / 1000000)
        return bif_badarg_cause(p, ATOM_time);
    charge(p, 1);
    /* The past is now: a timer that is late fires at once. */
    if (abs && ms < now / 1000000)
        ms = now / 1000000;
    return timer_start(abs ? ms * 1000000 : now + ms * 1000000, a[1], a[2], wrap);
}

term bif_start_timer_3(struct process *p, const term *a)
{
    return start(p, a, TERM_NIL, true);
}

term bif_start_timer_4(struct process *p, const term *a)
{
    return start(p, a, a[3], true);
}

term bif_send_after_3(struct process *p, const term *a)
{
    return start(p, a, TERM_NIL, false);
}

term bif_send_after_4(struct process *p, const term *a)
{
    return start(p, a, a[3], false);
}

static bool read_flag(term o, term name, bool *ret)
{
    if (!is_tuple_n(o, 2) || tuple_elem(o, 0) != name ||
        (tuple_elem(o, 1) != ATOM_true && tuple_elem(o, 1) != ATOM_false))
        return false;
    *ret = tuple_elem(o, 1) == ATOM_true;
    return true;
}

/* The result of an asynchronous call is a message. */
static term finish(struct process *p, term tag, term ref, int64_t left, bool async, bool tell)
{
    term result = left >= 0 ? small_make(left) : ATOM_false;

    if (async && tell)
        process_send(p, p->pid, heap_tuple3(&p->heap, tag, ref, result));
    return async || !tell ? ATOM_ok : result;
}

term bif_cancel_timer_1(struct process *p, const term *a)
{
    if (!is_ref(a[0]))
        return bif_badarg(p);
    return finish(p, ATOM_cancel_timer, a[0], timer_cancel(a[0]), false, true);
}

term bif_cancel_timer_2(struct process *p, const term *a)
{
    bool async = false, tell = true;
    term o = a[1];

    for (; is_cons(o); o = cdr(o)) {
        if (!read_flag(car(o), ATOM_async, &async) && !read_flag(car(o), ATOM_info, &tell))
            return bif_badarg(p);
    }
    if (!is_nil(o) || !is_ref(a[0]))
        return bif_badarg(p);
    return finish(p, ATOM_cancel_timer, a[0], timer_cancel(a[0]), async, tell);
}

term bif_read_timer_1(struct process *p, const term *a)
{
    if (!is_ref(a[0]))
        return bif_badarg(p);
    return finish(p, ATOM_read_timer, a[0], timer_read(a[0]), false, true);
}

term bif_read_timer_2(struct process *p, const term *a)
{
    bool async = false;
    term o = a[1];

    for (; is_cons(o); o = cdr(o)) {
        if (!read_flag(car(o), ATOM_async, &async))
            return bif_badarg(p);
    }
    if (!is_nil(o) || !is_ref(a[0]))
        return bif_badarg(p);
    return finish(p, ATOM_read_timer, a[0], timer_read(a[0]), async, true);
}
