/* SPDX-License-Identifier: Apache-2.0 */
/*
 * iolist.c - lists to binaries and back
 *
 * The work is linear in the bytes and is charged for; nothing here yields.
 */
#include "bif/bif.h"

#include "base/bytes.h"
#include "base/fiber.h"
#include "heap/iolist.h"
#include "term/stack.h"

#define BYTES_PER_REDUCTION 64
#define CELLS_PER_REDUCTION 16
#define IOVEC_BINARY_BYTES  64      /* smaller binaries are copied together */

term bif_list_to_binary(struct process *p, const term *a)
{
    term t = is_list(a[0]) ? iolist_to_binary(&p->heap, a[0]) : TERM_NONE;

    if (t == TERM_NONE)
        return bif_badarg(p);
    charge(p, (int64_t)(bitstring_bits(t) / 8 / CELLS_PER_REDUCTION));
    return t;
}

term bif_iolist_to_binary(struct process *p, const term *a)
{
    if (is_binary(a[0]))
        return a[0];
    return bif_list_to_binary(p, a);
}

term bif_iolist_size(struct process *p, const term *a)
{
    size_t bytes;

    if (!(is_list(a[0]) || is_binary(a[0])) || !iolist_size(a[0], &bytes))
        return bif_badarg(p);
    charge(p, (int64_t)(bytes / BYTES_PER_REDUCTION));
    return heap_uint(&p->heap, bytes);
}

term bif_list_to_bitstring(struct process *p, const term *a)
{
    uint64_t bits;
    uint8_t *data;
    term t;

    if (!is_list(a[0]) || !bitlist_size(a[0], &bits))
        return bif_badarg(p);
    t = bitstring_room(&p->heap, bits, &data);
    bitlist_write(a[0], data);
    charge(p, (int64_t)(bits / 8 / CELLS_PER_REDUCTION));
    return t;
}

/* --- vectors -------------------------------------------------------------------------------- */

struct vector {
    struct heap *h;
    struct buf small;       /* bytes collected since the last large binary */
    struct buf parts;       /* terms of the result */
};

static void vector_add(struct vector *v, term binary)
{
    buf_add(&v->parts, &binary, sizeof binary);
}

static void vector_flush(struct vector *v)
{
    if (v->small.len > 0)
        vector_add(v, heap_binary(v->h, v->small.data, v->small.len));
    v->small.len = 0;
}

static void vector_leaf(struct vector *v, term leaf)
{
    size_t len;

    if (is_small(leaf)) {
        buf_u8(&v->small, (uint8_t)small_val(leaf));
        return;
    }
    len = bitstring_bits(leaf) / 8;
    if (len > IOVEC_BINARY_BYTES) {
        vector_flush(v);
        vector_add(v, leaf);
    } else if (len > 0) {
        struct bits b = bits_of(leaf);

        bits_copy(buf_room(&v->small, len), 0, b.base, b.bit_offset, b.bits);
    }
}

/* The bytes of an iolist as a list of binaries, where the large ones are those of the argument. */
term bif_iolist_to_iovec(struct process *p, const term *a)
{
    struct vector v = { .h = &p->heap };
    struct term_stack st;
    term leaf, result = TERM_NONE;

    if (!is_list(a[0]) && !is_binary(a[0]))
        return bif_badarg(p);
    stack_init(&st);
    stack_push(&st, a[0]);
    for (int64_t n = 0; (leaf = iolist_walk(&st)) != TERM_NIL; n = fiber_step(n)) {
        if (leaf == TERM_NONE || (!is_small(leaf) && !is_binary(leaf)))
            break;
        if (leaf == a[0] && bitstring_bits(leaf) > 0)
            vector_add(&v, leaf);       /* a binary alone is its own vector */
        else
            vector_leaf(&v, leaf);
    }
    if (leaf == TERM_NIL) {
        vector_flush(&v);
        result = v.parts.len == 0 ? TERM_NIL
                                  : heap_list(&p->heap, (const term *)(const void *)v.parts.data,
                                              v.parts.len / sizeof(term), TERM_NIL);
    }
    stack_fini(&st);
    buf_fini(&v.small);
    buf_fini(&v.parts);
    return result != TERM_NONE ? result : bif_badarg(p);
}

/* --- binaries to lists ---------------------------------------------------------------------- */

/* n bytes from byte `from` of b as a list that ends in tail. */
static term bytes_to_list(struct process *p, struct bits b, size_t from, size_t n, term tail)
{
    term *at = heap_alloc(&p->heap, CONS_WORDS * n), list = tail;

    if (b.bit_offset == 0) {
        for (size_t i = 0; i < n; i = (size_t)fiber_step((int64_t)i))
            list = cons_make(&at, small_make(b.base[from + n - 1 - i]), list);
    } else {
        for (size_t i = 0; i < n; i = (size_t)fiber_step((int64_t)i))
            list = cons_make(&at, small_make(bits_get(b, 8 * (uint64_t)(from + n - 1 - i), 8)),
                             list);
    }
    charge(p, (int64_t)(n / CELLS_PER_REDUCTION));
    return list;
}

term bif_binary_to_list_1(struct process *p, const term *a)
{
    if (!is_binary(a[0]))
        return bif_badarg(p);
    return bytes_to_list(p, bits_of(a[0]), 0, bitstring_bits(a[0]) / 8, TERM_NIL);
}

/* Start and stop count from 1 and are both included. */
term bif_binary_to_list_3(struct process *p, const term *a)
{
    int64_t start, stop;

    if (!is_bitstring(a[0]) || !is_small(a[1]) || !is_small(a[2]))
        return bif_badarg(p);
    start = small_val(a[1]);
    stop = small_val(a[2]);
    if (start < 1 || stop < start || (uint64_t)stop > bitstring_bits(a[0]) / 8)
        return bif_badarg(p);
    return bytes_to_list(p, bits_of(a[0]), (size_t)start - 1, (size_t)(stop - start) + 1, TERM_NIL);
}

/* Bits that are left over are the last element, a bitstring. */
term bif_bitstring_to_list(struct process *p, const term *a)
{
    uint64_t bits, rest;
    term tail = TERM_NIL;

    if (!is_bitstring(a[0]))
        return bif_badarg(p);
    bits = bitstring_bits(a[0]);
    rest = bits & 7;
    if (rest != 0)
        tail = heap_cons(&p->heap, bitstring_sub(&p->heap, a[0], bits - rest, rest), TERM_NIL);
    return bytes_to_list(p, bits_of(a[0]), 0, bits / 8, tail);
}
