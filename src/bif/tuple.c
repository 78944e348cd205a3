/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tuple.c - tuples: reading, changing, making
 */
#include "bif/bif.h"

#define TUPLE_MAX 16777215

/* t is a small in 1..max: the index from 0, else -1. */
static int64_t index_in(term t, int64_t max)
{
    return is_small(t) && small_val(t) >= 1 && small_val(t) <= max ? small_val(t) - 1 : -1;
}

static term tuple_new(struct process *p, size_t n)
{
    term *at = heap_alloc(&p->heap, TUPLE_WORDS(n));

    charge(p, (int64_t)n / 16);
    return tuple_room(&at, n);
}

static void tuple_fill(term dst, size_t di, term src, size_t si, size_t n)
{
    memcpy(&tuple_elem(dst, di), &tuple_elem(src, si), n * sizeof(term));
}

term bif_element(struct process *p, const term *a)
{
    int64_t i = is_tuple(a[1]) ? index_in(a[0], (int64_t)tuple_arity(a[1])) : -1;

    return i < 0 ? bif_badarg(p) : tuple_elem(a[1], i);
}

term bif_setelement(struct process *p, const term *a)
{
    int64_t i = is_tuple(a[1]) ? index_in(a[0], (int64_t)tuple_arity(a[1])) : -1;
    term t;

    if (i < 0)
        return bif_badarg(p);
    t = tuple_new(p, tuple_arity(a[1]));
    tuple_fill(t, 0, a[1], 0, tuple_arity(a[1]));
    tuple_elem(t, i) = a[2];
    return t;
}

term bif_tuple_size(struct process *p, const term *a)
{
    return is_tuple(a[0]) ? small_make(tuple_arity(a[0])) : bif_badarg(p);
}

static term make_filled(struct process *p, term size, term value)
{
    term t;

    if (!is_small(size) || small_val(size) < 0 || small_val(size) > TUPLE_MAX)
        return TERM_NONE;
    t = tuple_new(p, (size_t)small_val(size));
    for (size_t i = 0; i < tuple_arity(t); i++)
        tuple_elem(t, i) = value;
    return t;
}

term bif_make_tuple_2(struct process *p, const term *a)
{
    term t = make_filled(p, a[0], a[1]);

    return t == TERM_NONE ? bif_badarg(p) : t;
}

term bif_make_tuple_3(struct process *p, const term *a)
{
    term t = make_filled(p, a[0], a[1]);
    term l = a[2];

    if (t == TERM_NONE)
        return bif_badarg(p);
    for (; is_cons(l) && is_tuple_n(car(l), 2); l = cdr(l)) {
        int64_t i = index_in(tuple_elem(car(l), 0), (int64_t)tuple_arity(t));

        if (i < 0)
            return bif_badarg(p);
        tuple_elem(t, i) = tuple_elem(car(l), 1);
    }
    return is_nil(l) ? t : bif_badarg(p);
}

term bif_append_element(struct process *p, const term *a)
{
    size_t n;
    term t;

    if (!is_tuple(a[0]) || tuple_arity(a[0]) >= TUPLE_MAX)
        return bif_badarg(p);
    n = tuple_arity(a[0]);
    t = tuple_new(p, n + 1);
    tuple_fill(t, 0, a[0], 0, n);
    tuple_elem(t, n) = a[1];
    return t;
}

term bif_insert_element(struct process *p, const term *a)
{
    int64_t i;
    size_t n;
    term t;

    if (!is_tuple(a[1]) || tuple_arity(a[1]) >= TUPLE_MAX)
        return bif_badarg(p);
    n = tuple_arity(a[1]);
    i = index_in(a[0], (int64_t)n + 1);
    if (i < 0)
        return bif_badarg(p);
    t = tuple_new(p, n + 1);
    tuple_fill(t, 0, a[1], 0, (size_t)i);
    tuple_elem(t, i) = a[2];
    tuple_fill(t, (size_t)i + 1, a[1], (size_t)i, n - (size_t)i);
    return t;
}

term bif_delete_element(struct process *p, const term *a)
{
    int64_t i = is_tuple(a[1]) ? index_in(a[0], (int64_t)tuple_arity(a[1])) : -1;
    size_t n;
    term t;

    if (i < 0)
        return bif_badarg(p);
    n = tuple_arity(a[1]);
    t = tuple_new(p, n - 1);
    tuple_fill(t, 0, a[1], 0, (size_t)i);
    tuple_fill(t, (size_t)i, a[1], (size_t)i + 1, n - 1 - (size_t)i);
    return t;
}

term bif_tuple_to_list(struct process *p, const term *a)
{
    if (!is_tuple(a[0]))
        return bif_badarg(p);
    charge(p, (int64_t)tuple_arity(a[0]) / 16);
    return heap_list(&p->heap, &tuple_elem(a[0], 0), tuple_arity(a[0]), TERM_NIL);
}

term bif_list_to_tuple(struct process *p, const term *a)
{
    int64_t n = list_length(a[0]);
    term t;

    if (n < 0 || n > TUPLE_MAX)
        return bif_badarg(p);
    t = tuple_new(p, (size_t)n);
    n = 0;
    for (term l = a[0]; is_cons(l); l = cdr(l))
        tuple_elem(t, n++) = car(l);
    return t;
}
