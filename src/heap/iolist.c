/* SPDX-License-Identifier: Apache-2.0 */
/*
 * iolist.c - nested lists of bytes and binaries, measured and flattened
 */
#include "heap/iolist.h"

#include "base/fiber.h"
#include "term/stack.h"

/* The stack holds the tails still to be walked. A byte may only be the head of a cell, a tail is a
 * list or a bitstring. */
term iolist_walk(struct term_stack *st)
{
    while (st->len > 0) {
        term t = stack_pop(st), head;

        if (is_nil(t))
            continue;
        if (!is_cons(t))
            return is_bitstring(t) ? t : TERM_NONE;
        head = car(t);
        stack_push(st, cdr(t));
        if (is_small(head))
            return small_val(head) >= 0 && small_val(head) <= 255 ? head : TERM_NONE;
        stack_push(st, head);
    }
    return TERM_NIL;
}

bool bitlist_size(term t, uint64_t *ret_bits)
{
    struct term_stack st;
    uint64_t bits = 0;
    term leaf;

    stack_init(&st);
    stack_push(&st, t);
    for (int64_t n = 0; (leaf = iolist_walk(&st)) != TERM_NIL && leaf != TERM_NONE;
         n = fiber_step(n))
        bits += is_small(leaf) ? 8 : bitstring_bits(leaf);
    stack_fini(&st);
    *ret_bits = bits;
    return leaf == TERM_NIL && bits <= BITSTRING_BITS_MAX;
}

void bitlist_write(term t, uint8_t *out)
{
    struct term_stack st;
    uint64_t at = 0;
    term leaf;

    stack_init(&st);
    stack_push(&st, t);
    for (int64_t n = 0; (leaf = iolist_walk(&st)) != TERM_NIL; n = fiber_step(n)) {
        uint8_t byte = (uint8_t)small_val(leaf);
        struct bits b = is_small(leaf) ? (struct bits){ &byte, 0, 8 } : bits_of(leaf);

        bits_copy(out, at, b.base, b.bit_offset, b.bits);
        at += b.bits;
    }
    stack_fini(&st);
}

bool iolist_size(term t, size_t *ret_bytes)
{
    struct term_stack st;
    size_t bytes = 0;
    term leaf;

    stack_init(&st);
    stack_push(&st, t);
    for (int64_t n = 0; (leaf = iolist_walk(&st)) != TERM_NIL; n = fiber_step(n)) {
        if (is_small(leaf))
            bytes++;
        else if (leaf != TERM_NONE && is_binary(leaf))
            bytes += bitstring_bits(leaf) / 8;
        else
            break;
    }
    stack_fini(&st);
    *ret_bytes = bytes;
    return leaf == TERM_NIL;
}

void iolist_write(term t, uint8_t *out)
{
    struct term_stack st;
    term leaf;

    stack_init(&st);
    stack_push(&st, t);
    for (int64_t n = 0; (leaf = iolist_walk(&st)) != TERM_NIL; n = fiber_step(n)) {
        if (is_small(leaf)) {
            *out++ = (uint8_t)small_val(leaf);
        } else {
            struct bits b = bits_of(leaf);

            if (b.bit_offset == 0)
                fiber_copy(out, b.base, b.bits / 8);
            else
                bits_copy(out, 0, b.base, b.bit_offset, b.bits);
            out += b.bits / 8;
        }
    }
    stack_fini(&st);
}

term iolist_to_binary(struct heap *h, term t)
{
    uint8_t *data;
    size_t bytes;
    term result;

    if (is_binary(t))
        return t;
    if (!is_list(t) || !iolist_size(t, &bytes) || bytes > BITSTRING_BITS_MAX / 8)
        return TERM_NONE;
    result = binary_room(h, bytes, &data);
    iolist_write(t, data);
    return result;
}
