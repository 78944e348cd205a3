/* SPDX-License-Identifier: Apache-2.0 */
/*
 * atomics.c - arrays of 64-bit integers shared between processes, and counters
 *
 * An array is a blob behind a magic reference. `counters` of both flavours are such arrays: one
 * word per counter serves write_concurrency too, only without its speed under contention.
 */
#include "bif/bif.h"
#include "heap/blob.h"
#include "heap/map.h"

struct atomics {
    uint64_t count;
    bool     is_signed;
    _Atomic uint64_t words[];
};

/* What OTP shows as the memory of an array without words. */
#define ATOMICS_HEAD_BYTES 40
#define ATOMICS_MAX ((uint64_t)1 << 32)

/* Marks blobs of ours; there is nothing to release. */
static void atomics_dtor(struct blob *b)
{
}

static term atomics_make(struct process *p, uint64_t count, bool is_signed)
{
    size_t bytes = sizeof(struct atomics) + count * sizeof(uint64_t);
    struct blob *b = blob_new(bytes);
    struct atomics *at = (struct atomics *)b->data;

    memset(at, 0, bytes);
    at->count = count;
    at->is_signed = is_signed;
    b->dtor = atomics_dtor;
    return magic_make(&p->heap, b);
}

static struct atomics *atomics_of(term t)
{
    if (!box_is(t, HK_MAGIC) || magic_blob(t)->dtor != atomics_dtor)
        return NULL;
    return (struct atomics *)magic_blob(t)->data;
}

/* The word at index (from 1) of array t; NULL: bad array or index. */
static _Atomic uint64_t *word_of(term t, term index)
{
    struct atomics *at = atomics_of(t);

    if (at == NULL || !is_small(index) || small_val(index) < 1 ||
        (uint64_t)small_val(index) > at->count)
        return NULL;
    return &at->words[small_val(index) - 1];
}

/* Any integer of 64 bits, signed or not. */
static bool word_value(term t, uint64_t *ret)
{
    int64_t v;

    if (term_to_int64(t, &v)) {
        *ret = (uint64_t)v;
        return true;
    }
    return term_to_uint64(t, ret);
}

static term word_term(struct process *p, term array, uint64_t v)
{
    return atomics_of(array)->is_signed ? heap_int(&p->heap, (int64_t)v)
                                        : heap_uint(&p->heap, v);
}

term bif_atomics_new(struct process *p, const term *a)
{
    bool is_signed = true;
    term opts = a[1];
    uint64_t count;

    for (; is_cons(opts); opts = cdr(opts)) {
        term o = car(opts);

        if (!is_tuple_n(o, 2) || tuple_elem(o, 0) != ATOM_signed ||
            (tuple_elem(o, 1) != ATOM_true && tuple_elem(o, 1) != ATOM_false))
            return bif_badarg_cause(p, ATOM_badopt);
        is_signed = tuple_elem(o, 1) == ATOM_true;
    }
    if (!is_nil(opts) || !term_to_uint64(a[0], &count) || count < 1)
        return bif_badarg(p);
    if (count > ATOMICS_MAX)
        return bif_error(p, ATOM_system_limit);
    return atomics_make(p, count, is_signed);
}

/* The option word of OTP's erlang code: bit 0 means signed. */
term bif_erts_atomics_new(struct process *p, const term *a)
{
    uint64_t count, opts;

    if (!term_to_uint64(a[0], &count) || count < 1 || !term_to_uint64(a[1], &opts))
        return bif_badarg(p);
    if (count > ATOMICS_MAX)
        return bif_error(p, ATOM_system_limit);
    return atomics_make(p, count, (opts & 1) != 0);
}

term bif_atomics_put(struct process *p, const term *a)
{
    _Atomic uint64_t *w = word_of(a[0], a[1]);
    uint64_t v;

    if (w == NULL || !word_value(a[2], &v))
        return bif_badarg(p);
    atomic_store(w, v);
    return ATOM_ok;
}

term bif_atomics_get(struct process *p, const term *a)
{
    _Atomic uint64_t *w = word_of(a[0], a[1]);

    return w == NULL ? bif_badarg(p) : word_term(p, a[0], atomic_load(w));
}

enum { WITH_RESULT = 1, SUBTRACT = 2 };

static term atomics_change(struct process *p, const term *a, unsigned how)
{
    _Atomic uint64_t *w = word_of(a[0], a[1]);
    uint64_t v;

    if (w == NULL || !word_value(a[2], &v))
        return bif_badarg(p);
    if (how & SUBTRACT)
        v = -v;
    v += atomic_fetch_add(w, v);
    return how & WITH_RESULT ? word_term(p, a[0], v) : ATOM_ok;
}

term bif_atomics_add(struct process *p, const term *a)
{
    return atomics_change(p, a, 0);
}

term bif_atomics_add_get(struct process *p, const term *a)
{
    return atomics_change(p, a, WITH_RESULT);
}

term bif_atomics_sub(struct process *p, const term *a)
{
    return atomics_change(p, a, SUBTRACT);
}

term bif_atomics_sub_get(struct process *p, const term *a)
{
    return atomics_change(p, a, SUBTRACT | WITH_RESULT);
}

term bif_atomics_exchange(struct process *p, const term *a)
{
    _Atomic uint64_t *w = word_of(a[0], a[1]);
    uint64_t v;

    if (w == NULL || !word_value(a[2], &v))
        return bif_badarg(p);
    return word_term(p, a[0], atomic_exchange(w, v));
}

term bif_atomics_compare_exchange(struct process *p, const term *a)
{
    _Atomic uint64_t *w = word_of(a[0], a[1]);
    uint64_t expected, desired;

    if (w == NULL || !word_value(a[2], &expected) || !word_value(a[3], &desired))
        return bif_badarg(p);
    if (atomic_compare_exchange_strong(w, &expected, desired))
        return ATOM_ok;
    return word_term(p, a[0], expected);
}

static term info_map(struct process *p, const struct atomics *at, bool bounds)
{
    struct heap *h = &p->heap;
    term pairs[8] = {
        ATOM_size, heap_uint(h, at->count),
        ATOM_memory, heap_uint(h, ATOMICS_HEAD_BYTES + at->count * 8),
        ATOM_max, at->is_signed ? heap_int(h, INT64_MAX) : heap_uint(h, UINT64_MAX),
        ATOM_min, at->is_signed ? heap_int(h, INT64_MIN) : small_make(0),
    };

    return map_from_pairs(h, pairs, bounds ? 4 : 2);
}

term bif_atomics_info(struct process *p, const term *a)
{
    struct atomics *at = atomics_of(a[0]);

    return at == NULL ? bif_badarg(p) : info_map(p, at, true);
}

/* --- counters: {atomics | write_concurrency, Array} --------------------------------------- */

static bool counters_array(term t, term *ret)
{
    if (!is_tuple_n(t, 2) || (tuple_elem(t, 0) != ATOM_atomics &&
                              tuple_elem(t, 0) != ATOM_write_concurrency))
        return false;
    *ret = tuple_elem(t, 1);
    return atomics_of(*ret) != NULL;
}

term bif_counters_new(struct process *p, const term *a)
{
    term kind = ATOM_atomics, opts = a[1];
    uint64_t count;

    for (; is_cons(opts); opts = cdr(opts)) {
        kind = car(opts);
        if (kind != ATOM_atomics && kind != ATOM_write_concurrency)
            return bif_badarg(p);
    }
    if (!is_nil(opts) || !term_to_uint64(a[0], &count) || count < 1)
        return bif_badarg(p);
    if (count > ATOMICS_MAX)
        return bif_error(p, ATOM_system_limit);
    return heap_tuple2(&p->heap, kind, atomics_make(p, count, true));
}

/* Run fn on the array inside the counters term a[0]. */
static term on_array(struct process *p, const term *a, size_t n, bif_fn *fn)
{
    term args[3];

    memcpy(args, a, n * sizeof(term));
    return counters_array(a[0], &args[0]) ? fn(p, args) : bif_badarg(p);
}

term bif_counters_put(struct process *p, const term *a)
{
    return on_array(p, a, 3, bif_atomics_put);
}

term bif_counters_get(struct process *p, const term *a)
{
    return on_array(p, a, 2, bif_atomics_get);
}

term bif_counters_add(struct process *p, const term *a)
{
    return on_array(p, a, 3, bif_atomics_add);
}

term bif_counters_sub(struct process *p, const term *a)
{
    return on_array(p, a, 3, bif_atomics_sub);
}

term bif_counters_info(struct process *p, const term *a)
{
    return on_array(p, a, 1, is_tuple_n(a[0], 2) && tuple_elem(a[0], 0) == ATOM_atomics
                                 ? bif_atomics_info : bif_erts_counters_info);
}

term bif_erts_counters_new(struct process *p, const term *a)
{
    uint64_t count;

    if (!term_to_uint64(a[0], &count) || count < 1)
        return bif_badarg(p);
    return count > ATOMICS_MAX ? bif_error(p, ATOM_system_limit) : atomics_make(p, count, true);
}

term bif_erts_counters_put(struct process *p, const term *a)
{
    return bif_atomics_put(p, a);
}

term bif_erts_counters_add(struct process *p, const term *a)
{
    return bif_atomics_add(p, a);
}

term bif_erts_counters_info(struct process *p, const term *a)
{
    struct atomics *at = atomics_of(a[0]);

    return at == NULL ? bif_badarg(p) : info_map(p, at, false);
}
