/* SPDX-License-Identifier: Apache-2.0 */
/*
 * const_etf.c - constants as operands and external terms
 */
#include "lang/emit_priv.h"

#include <string.h>

static void atom_etf(struct buf *out, const struct core_atom *a)
{
    if (a->len <= 255) {
        buf_u8(out, 119);
        buf_u8(out, (uint8_t)a->len);
    } else {
        buf_u8(out, 118);
        buf_be(out, a->len, 2);
    }
    buf_add(out, a->name, a->len);
}

static void big_etf(struct buf *out, bool negative, const uint8_t *magnitude, uint32_t n)
{
    buf_u8(out, n <= 255 ? 110 : 111);
    buf_be(out, n, n <= 255 ? 1 : 4);
    buf_u8(out, negative);
    buf_add(out, magnitude, n);
}

static void int_etf(struct buf *out, int64_t i)
{
    uint8_t bytes[8];
    uint64_t v = i < 0 ? 0 - (uint64_t)i : (uint64_t)i;
    uint32_t n = 0;

    if (i >= 0 && i <= 255) {
        buf_u8(out, 97);
        buf_u8(out, (uint8_t)i);
    } else if (i >= INT32_MIN && i <= INT32_MAX) {
        buf_u8(out, 98);
        buf_be(out, (uint32_t)i, 4);
    } else {
        for (; v != 0; v >>= 8)
            bytes[n++] = (uint8_t)v;
        big_etf(out, i < 0, bytes, n);
    }
}

static void bits_etf(struct buf *out, const struct core_const *c)
{
    bool whole = c->last_bits == 8;

    buf_u8(out, whole ? 109 : 77);
    buf_be(out, c->n, 4);
    if (!whole)
        buf_u8(out, c->last_bits);
    buf_add(out, c->bytes, c->n);
}

static const struct core_const *list_etf(struct buf *out, const struct core_const *c)
{
    const struct core_const *tail = c;
    uint32_t n = 0;

    for (; tail->kind == CC_CONS; tail = tail->tail)
        n++;
    buf_u8(out, 108);
    buf_be(out, n, 4);
    for (; c->kind == CC_CONS; c = c->tail)
        const_etf(out, c->head);
    return tail;
}

void const_etf(struct buf *out, const struct core_const *c)
{
    uint64_t bits;

    if (c->kind == CC_CONS)
        c = list_etf(out, c);
    switch (c->kind) {
    case CC_INT:
        int_etf(out, c->i);
        break;
    case CC_BIG:
        big_etf(out, c->negative, c->bytes, c->n);
        break;
    case CC_FLOAT:
        memcpy(&bits, &c->real, sizeof bits);
        buf_u8(out, 70);
        buf_be(out, bits, 8);
        break;
    case CC_ATOM:
        atom_etf(out, c->atom);
        break;
    case CC_BITS:
        bits_etf(out, c);
        break;
    case CC_NIL:
    case CC_CONS:
        buf_u8(out, 106);
        break;
    case CC_TUPLE:
        buf_u8(out, c->n <= 255 ? 104 : 105);
        buf_be(out, c->n, c->n <= 255 ? 1 : 4);
        for (uint32_t i = 0; i < c->n; i++)
            const_etf(out, c->elements[i]);
        break;
    case CC_MAP:
        buf_u8(out, 116);
        buf_be(out, c->n, 4);
        for (uint32_t i = 0; i < 2 * c->n; i++)
            const_etf(out, c->elements[i]);
        break;
    case CC_EXTERNAL:
        buf_u8(out, 113);
        atom_etf(out, c->module);
        atom_etf(out, c->function);
        int_etf(out, c->n);
        break;
    }
}

uint32_t unit_atom(struct unit *u, const struct core_atom *a)
{
    if (a->number == 0)
        ((struct core_atom *)a)->number = beam_add_atom(u->w, a->name, a->len);
    return a->number;
}

struct beam_arg unit_operand(struct unit *u, const struct core_const *c)
{
    struct buf etf = { 0 };
    uint32_t row;

    switch (c->kind) {
    case CC_INT:
        return BARG_I(c->i);
    case CC_ATOM:
        return BARG_ATOM(unit_atom(u, c->atom));
    case CC_NIL:
        return BARG_NIL;
    default:
        buf_u8(&etf, 131);
        const_etf(&etf, c);
        row = beam_add_literal(u->w, etf.data, etf.len);
        buf_fini(&etf);
        return BARG_LITERAL(row);
    }
}
