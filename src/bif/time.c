/* SPDX-License-Identifier: Apache-2.0 */
/*
 * time.c - clocks and unique numbers
 *
 * The native unit is the nanosecond. System time is monotonic time plus an offset that is fixed
 * when it is first asked for (no_time_warp); os:system_time follows the clock of the system.
 */
#include "bif/bif.h"
#include "bif/time_unit.h"

#include "base/clock.h"
#include "heap/arith.h"
#include "vm/sched.h"

int64_t time_offset_ns(void)
{
    static _Atomic int64_t offset;
    int64_t now = atomic_load_explicit(&offset, memory_order_relaxed), zero = 0;

    if (LIKELY(now != 0))
        return now;
    now = clock_system_ns() - clock_monotonic_ns();
    return atomic_compare_exchange_strong(&offset, &zero, now) ? now : zero;
}

bool time_unit_read(term unit, int64_t *ret_per_second)
{
    switch (unit) {
    case ATOM_native:
    case ATOM_perf_counter:
    case ATOM_nanosecond:
    case ATOM_nano_seconds:  *ret_per_second = 1000000000; return true;
    case ATOM_microsecond:
    case ATOM_micro_seconds: *ret_per_second = 1000000; return true;
    case ATOM_millisecond:
    case ATOM_milli_seconds: *ret_per_second = 1000; return true;
    case ATOM_second:
    case ATOM_seconds:       *ret_per_second = 1; return true;
    }
    *ret_per_second = small_val(unit);
    return is_small(unit) && small_val(unit) > 0;
}

int64_t time_floor(int64_t ns, int64_t per_second)
{
    __int128 v = (__int128)ns * per_second;
    __int128 q = v / 1000000000;

    return (int64_t)(v % 1000000000 < 0 ? q - 1 : q);
}

static term in_unit(struct process *p, int64_t ns, term unit)
{
    int64_t per_second;

    if (!time_unit_read(unit, &per_second))
        return bif_badarg(p);
    return heap_int(&p->heap, time_floor(ns, per_second));
}

term bif_monotonic_time_0(struct process *p, const term *a)
{
    (void)a;
    return heap_int(&p->heap, clock_monotonic_ns());
}

term bif_monotonic_time_1(struct process *p, const term *a)
{
    return in_unit(p, clock_monotonic_ns(), a[0]);
}

term bif_system_time_0(struct process *p, const term *a)
{
    (void)a;
    return heap_int(&p->heap, clock_monotonic_ns() + time_offset_ns());
}

term bif_system_time_1(struct process *p, const term *a)
{
    return in_unit(p, clock_monotonic_ns() + time_offset_ns(), a[0]);
}

term bif_time_offset_0(struct process *p, const term *a)
{
    (void)a;
    return heap_int(&p->heap, time_offset_ns());
}

term bif_time_offset_1(struct process *p, const term *a)
{
    return in_unit(p, time_offset_ns(), a[0]);
}

static term stamp(struct process *p, int64_t us)
{
    return heap_tuple3(&p->heap, small_make(us / 1000000000000), small_make(us / 1000000 % 1000000),
                       small_make(us % 1000000));
}

term bif_timestamp_0(struct process *p, const term *a)
{
    (void)a;
    return stamp(p, (clock_monotonic_ns() + time_offset_ns()) / 1000);
}

/* Strictly increasing over all callers. */
term bif_now_0(struct process *p, const term *a)
{
    static _Atomic int64_t last;
    int64_t us = (clock_monotonic_ns() + time_offset_ns()) / 1000;
    int64_t was = atomic_load(&last), next;

    (void)a;
    do {
        next = us > was ? us : was + 1;
    } while (!atomic_compare_exchange_weak(&last, &was, next));
    return stamp(p, next);
}

/* floor(T * To / From), for integers of any size. */
term bif_convert_time_unit_3(struct process *p, const term *a)
{
    int64_t from, to, t;
    __int128 v, q;
    term err, prod, rest;

    if (!is_integer(a[0]) || !time_unit_read(a[1], &from) || !time_unit_read(a[2], &to))
        return bif_badarg(p);
    if (term_to_int64(a[0], &t)) {
        v = (__int128)t * to;
        q = v / from;
        q = v % from < 0 ? q - 1 : q;
        if (q >= INT64_MIN && q <= INT64_MAX)
            return heap_int(&p->heap, (int64_t)q);
    }
    prod = arith_mul(&p->heap, a[0], heap_int(&p->heap, to), &err);
    rest = prod == TERM_NONE ? TERM_NONE : arith_rem(&p->heap, prod, heap_int(&p->heap, from), &err);
    if (rest == TERM_NONE)
        return bif_error(p, err);
    prod = arith_div(&p->heap, prod, heap_int(&p->heap, from), &err);
    if (number_cmp(rest, small_make(0)) < 0)
        prod = arith_sub(&p->heap, prod, small_make(1), &err);
    return prod;
}

term bif_time_unit_0(struct process *p, const term *a)
{
    (void)p;
    (void)a;
    return small_make(1000000000);
}

/* --- unique integers -------------------------------------------------------------------------- */

/* Unordered ones are counted per scheduler, whose number is the low part. */
#define SCHED_BITS 10

static term unique(struct process *p, bool monotonic, bool positive)
{
    static _Atomic int64_t global;
    int64_t n;

    if (monotonic)
        n = atomic_fetch_add(&global, 1) + 1;
    else
        n = (int64_t)(++p->sched->unique_counter << SCHED_BITS | p->sched->index);
    return heap_int(&p->heap, positive ? n : n - ((int64_t)1 << 59));
}

term bif_unique_integer_0(struct process *p, const term *a)
{
    (void)a;
    return unique(p, false, false);
}

term bif_unique_integer_1(struct process *p, const term *a)
{
    bool monotonic = false, positive = false;
    term o = a[0];

    for (; is_cons(o); o = cdr(o)) {
        if (car(o) == ATOM_monotonic)
            monotonic = true;
        else if (car(o) == ATOM_positive)
            positive = true;
        else
            return bif_badarg(p);
    }
    return is_nil(o) ? unique(p, monotonic, positive) : bif_badarg(p);
}
