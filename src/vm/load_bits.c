/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_bits.c - matching and building bitstrings, in both generations of instructions
 */
#include "vm/load_code.h"

#include "heap/bitsyntax.h"

const uint8_t *string_at(struct loader *ld, uint64_t offset, uint64_t bytes)
{
    if (offset > ld->image->n_strings || bytes > ld->image->n_strings - offset) {
        load_fail(ld, "string outside the pool");
        return NULL;
    }
    return ld->image->strings + offset;
}

/* Flags of a segment: [] or a list of atoms. */
static unsigned flag_list(struct loader *ld, const struct beam_arg *a)
{
    term t = arg_constant(ld, a);
    unsigned flags = 0;

    if (a->kind == BEAM_U)
        return (unsigned)a->u & (BS_LITTLE | BS_SIGNED | BS_NATIVE);
    for (; is_cons(t); t = cdr(t)) {
        if (car(t) == ATOM_little)
            flags |= BS_LITTLE;
        else if (car(t) == ATOM_signed)
            flags |= BS_SIGNED;
        else if (car(t) == ATOM_native)
            flags |= BS_NATIVE;
        else if (car(t) != ATOM_big && car(t) != ATOM_unsigned)
            load_fail(ld, "unknown flag of a segment");
    }
    if (!is_nil(t))
        load_fail(ld, "flags expected");
    return flags;
}

static bool segment_type(term atom, uint8_t *ret)
{
#define ROW(name, text) if (atom == ATOM_##text) { *ret = BS_##name; return true; }
    BS_SEGMENTS(ROW)
#undef ROW
    return false;
}

/* Segments as they stand in the table: a grown binary, and an integer of so many whole bytes behind
 * it? 0: something else. */
static unsigned append_bytes(const term *w, uint32_t segs)
{
    unsigned first = (uint8_t)w[0], unit = (uint16_t)(w[0] >> 16);
    uint64_t bits;

    if (segs != 2 || (first != BS_APPEND && first != BS_PRIVATE_APPEND) || w[2] != ATOM_all ||
        (unit != 8 && unit > 1) || (uint8_t)w[4] != BS_INTEGER ||
        bs_is_little((uint8_t)(w[4] >> 8)) || !bs_size_bits(w[6], (uint16_t)(w[4] >> 16), &bits))
        return 0;
    return bits % 8 == 0 && bits <= 64 ? (unsigned)bits / 8 : 0;
}

void translate_bs_create_bin(struct loader *ld, const struct beam_instr *in)
{
    struct operand no = FAIL(0), d = DST(4), t;
    uint32_t n, segs;
    const struct beam_arg *l = arg_list(ld, &in->args[5], &n);
    unsigned bytes;
    term *w;

    if (n % 6 != 0)
        load_fail(ld, "segments of six operands expected");
    if (ld->rc != 0)
        return;
    segs = n / 6;
    w = emit_table(ld, 4 * (size_t)segs);
    for (uint32_t i = 0; i < segs; i++, l += 6) {
        uint8_t type = 0;
        uint64_t number_ = (uint64_t)arg_u(ld, &l[1], 1 << 24);
        uint64_t unit = l[2].kind == BEAM_NIL ? 0 : (uint64_t)arg_u(ld, &l[2], 256);
        struct operand size;

        if (l[0].kind != BEAM_ATOM || !segment_type(ld->atoms[l[0].u], &type)) {
            load_fail(ld, "unknown type of segment");
            return;
        }
        w[4 * i] = type | (term)flag_list(ld, &l[3]) << 8 | unit << 16 | number_ << 32;
        size = arg_source(ld, &l[5]);
        w[4 * i + 2] = any_word(&size);
        if (type == BS_STRING) {
            if (size.class != 'k' || !is_small((term)size.n) || l[4].kind != BEAM_U ||
                small_val((term)size.n) < 0) {
                load_fail(ld, "bad string segment");
                return;
            }
            w[4 * i + 1] = TERM_NIL;
            w[4 * i + 3] =
                (term)(uintptr_t)string_at(ld, l[4].u, (uint64_t)small_val((term)size.n));
        } else {
            struct operand v = arg_source(ld, &l[4]);

            w[4 * i + 1] = any_word(&v);
            w[4 * i + 3] = 0;
        }
    }
    t = operand_table(w, 4 * (size_t)segs);
    bytes = append_bytes(w, segs);
    if (bytes != 0)
        EMIT(bs_create_append, no, d, operand_number(bytes), operand_number(segs),
             operand_total(OP_bs_create_append, 4 * (size_t)segs), t);
    else
        EMIT(bs_create_bin, no, d, operand_number(segs),
             operand_total(OP_bs_create_bin, 4 * (size_t)segs), t);
}

/* The failure label of an instruction on the context in args[1], which is made sure of. What it
 * gives may need room. */
struct operand arg_context(struct loader *ld, const struct beam_instr *in)
{
    load_ensure(ld, &in->args[1], KNOWN_CONTEXT, 0);
    verify_room(ld, 0);
    return arg_label(ld, &in->args[0], false);
}

/* An unsigned big-endian integer of so few bits that it is a small. */
static void get_bits(struct loader *ld, struct operand no, struct operand ctx, int64_t bits,
                     struct operand d)
{
    if (bits == 8)
        EMIT(bs_get_byte, no, ctx, d);
    else
        EMIT(bs_get_bits, no, ctx, operand_number(bits), d);
}

#define GET_BITS_MAX 56

/* One command of bs_match at l[0]; returns how many operands it takes, 0 on failure. */
static uint32_t match_command(struct loader *ld, struct operand no, struct operand ctx,
                              const struct beam_arg *l, uint32_t left)
{
    term cmd = l[0].kind == BEAM_ATOM ? ld->atoms[l[0].u] : TERM_NONE;
    int64_t bits;

    if (cmd == ATOM_ensure_at_least && left >= 3) {
        EMIT(bs_ensure_at_least, no, ctx, arg_number(ld, &l[1], INT32_MAX),
             arg_number(ld, &l[2], 0xFFFF));
        return 3;
    }
    if (cmd == ATOM_ensure_exactly && left >= 2) {
        EMIT(bs_ensure_exactly, no, ctx, arg_number(ld, &l[1], INT32_MAX));
        return 2;
    }
    if (cmd == ATOM_integer && left >= 6) {
        unsigned flags = flag_list(ld, &l[2]);

        bits = arg_u(ld, &l[3], 1 << 24) * arg_u(ld, &l[4], 256);
        if (bits > INT32_MAX)
            load_fail(ld, "integer too wide");
        if (flags == 0 && bits <= GET_BITS_MAX)
            get_bits(ld, no, ctx, bits, arg_dest(ld, &l[5]));
        else
            EMIT(bs_read_integer, no, ctx, operand_number(bits), operand_number(flags),
                 arg_dest(ld, &l[5]));
        return 6;
    }
    if (cmd == ATOM_binary && left >= 6) {
        EMIT(bs_get_binary, no, ctx, operand_constant(small_make(arg_u(ld, &l[3], 1 << 28))),
             arg_number(ld, &l[4], 256), arg_dest(ld, &l[5]));
        return 6;
    }
    if (cmd == ATOM_get_tail && left >= 4) {
        EMIT(bs_get_tail, ctx, arg_dest(ld, &l[3]));
        return 4;
    }
    if (cmd == ATOM_skip && left >= 2) {
        EMIT(bs_skip, no, ctx, operand_constant(small_make(arg_u(ld, &l[1], 1 << 28))),
             operand_number(1));
        return 2;
    }
    if (cmd == ATOM_exactly_equal && left >= 4) {
        const struct beam_arg *v = &l[3];
        uint64_t value = v->kind == BEAM_U ? v->u : v->kind == BEAM_I ? (uint64_t)v->i : 0;

        if (v->kind == BEAM_BIG && v->bytes.len <= 9)
            for (uint32_t i = 0; i < v->bytes.len; i++)
                value = value << 8 | v->bytes.data[i];
        else if (v->kind != BEAM_U && v->kind != BEAM_I)
            load_fail(ld, "number expected");
        bits = arg_u(ld, &l[2], 64);
        EMIT(bs_read_equal, no, ctx, operand_number(bits),
             operand_pointer((const void *)(uintptr_t)value));
        return 4;
    }
    load_fail(ld, "unknown command of bs_match");
    return 0;
}

void translate_bs_match(struct loader *ld, const struct beam_instr *in)
{
    struct operand no = arg_context(ld, in), ctx = SRC(1);
    uint32_t n, i = 0, k;
    const struct beam_arg *l = arg_list(ld, &in->args[2], &n);

    while (i < n && (k = match_command(ld, no, ctx, l + i, n - i)) != 0)
        i += k;
}

void translate_bs_get_integer2(struct loader *ld, const struct beam_instr *in)
{
    struct operand no = arg_context(ld, in), c = SRC(1), size = SRC(3),
                   unit = arg_number(ld, &in->args[4], 256);
    struct operand flags = arg_number(ld, &in->args[5], 31), d = DST(6);

    if (size.class == 'k' && is_small((term)size.n) && flags.n == 0) {
        int64_t v = small_val((term)size.n);

        if (v >= 0 && v * unit.n <= GET_BITS_MAX) {
            get_bits(ld, no, c, v * unit.n, d);
            return;
        }
    }
    EMIT(bs_get_integer, no, c, size, unit, flags, d);
}

void translate_bs_get_binary2(struct loader *ld, const struct beam_instr *in)
{
    struct operand no = arg_context(ld, in), c = SRC(1), size = SRC(3),
                   unit = arg_number(ld, &in->args[4], 256);
    struct operand d = DST(6);

    if (size.class == 'k' && (term)size.n == ATOM_all)
        EMIT(bs_get_binary_all, no, c, operand_number(unit.n == 0 ? 1 : unit.n), d);
    else
        EMIT(bs_get_binary, no, c, size, unit, d);
}

void translate_bs_skip_bits2(struct loader *ld, const struct beam_instr *in)
{
    struct operand no = arg_context(ld, in), c = SRC(1), size = SRC(2),
                   unit = arg_number(ld, &in->args[3], 256);

    if (size.class == 'k' && (term)size.n == ATOM_all)
        EMIT(bs_skip_all, no, c, operand_number(unit.n == 0 ? 1 : unit.n));
    else
        EMIT(bs_skip, no, c, size, unit);
}

/* Sizes of the older bs_init: a number or a register. */
static struct operand size_operand(struct loader *ld, const struct beam_arg *a)
{
    if (a->kind == BEAM_U)
        return operand_constant(small_make((int64_t)(a->u & ((1ull << 59) - 1))));
    return arg_source(ld, a);
}

/* Words that building a binary may take from the block in front of the room asked for. */
#define BINARY_ROOM 16

/* Room that such an instruction asks for besides the binary. */
void load_extra_heap(struct loader *ld, const struct beam_arg *words, const struct beam_arg *live)
{
    int64_t n = arg_heap_need(ld, words), l = arg_u(ld, live, X_REGISTERS - 1);

    if (n > 0) {
        (void)verify_live(ld, (uint32_t)l);
        EMIT(test_heap, operand_number(n + BINARY_ROOM), operand_number(l));
    }
    verify_room(ld, n);
}

/* bs_append: the source need not be among the live registers, so it goes to the first free one
 * while the room is made; the size, a small, waits where no collector looks. */
static void append_room(struct loader *ld, const struct beam_instr *in, struct operand *s,
                        struct operand *size)
{
    int64_t live = arg_u(ld, &in->args[3], X_REGISTERS - 2);
    struct operand keep = operand_x((unsigned)live);
    struct operand aside = { 'x', (int64_t)offsetof(struct sched, scratch[4]), NULL, 0, 0 };

    if (size->class == 'x') {
        EMIT(move, *size, aside);
        *size = aside;
    }
    EMIT(move, *s, keep);
    *s = keep;
    (void)verify_live(ld, (uint32_t)live);
    EMIT(test_heap, operand_number(arg_heap_need(ld, &in->args[2]) + BINARY_ROOM),
         operand_number(live + 1));
    verify_room(ld, arg_heap_need(ld, &in->args[2]));
}

void translate_bs_older(struct loader *ld, const struct beam_instr *in)
{
    switch (in->op) {
    case BOP_bs_init2: {
        struct operand no = FAIL(0), size = size_operand(ld, &in->args[1]), d = DST(5);

        load_extra_heap(ld, &in->args[2], &in->args[3]);
        EMIT(bs_init_bytes, no, size, d);
        verify_begin(ld);
        break;
    }
    case BOP_bs_init_bits: {
        struct operand no = FAIL(0), size = size_operand(ld, &in->args[1]), d = DST(5);

        load_extra_heap(ld, &in->args[2], &in->args[3]);
        EMIT(bs_init_bits, no, size, d);
        verify_begin(ld);
        break;
    }
    case BOP_bs_append: {
        struct operand no = FAIL(0), size = SRC(1), unit = arg_number(ld, &in->args[4], 256);
        struct operand s = SRC(5), d = DST(7);

        verify_room(ld, 0);
        if (arg_heap_need(ld, &in->args[2]) > 0)
            append_room(ld, in, &s, &size);
        EMIT(bs_append, no, size, operand_number(unit.n == 0 ? 1 : unit.n), s, d);
        verify_begin(ld);
        break;
    }
    case BOP_bs_private_append: {
        struct operand no = FAIL(0), size = SRC(1), unit = arg_number(ld, &in->args[2], 256);

        verify_room(ld, 0);
        EMIT(bs_append, no, size, operand_number(unit.n == 0 ? 1 : unit.n), SRC(3), DST(5));
        verify_begin(ld);
        break;
    }
    case BOP_bs_put_integer:
        EMIT(bs_put_integer, FAIL(0), SRC(1), arg_number(ld, &in->args[2], 256),
             arg_number(ld, &in->args[3], 31), SRC(4));
        break;
    case BOP_bs_put_float:
        EMIT(bs_put_float, FAIL(0), SRC(1), arg_number(ld, &in->args[2], 256),
             arg_number(ld, &in->args[3], 31), SRC(4));
        break;
    case BOP_bs_put_binary:
        EMIT(bs_put_binary, FAIL(0), SRC(1), arg_number(ld, &in->args[2], 256), SRC(4));
        break;
    case BOP_bs_put_string: {
        int64_t len = arg_u(ld, &in->args[0], INT32_MAX);

        EMIT(bs_put_string, operand_number(len),
             operand_pointer(
                 string_at(ld, (uint64_t)arg_u(ld, &in->args[1], INT32_MAX), (uint64_t)len)));
        break;
    }
    case BOP_bs_put_utf8:
        EMIT(bs_put_utf8, FAIL(0), SRC(2));
        break;
    case BOP_bs_put_utf16:
        EMIT(bs_put_utf16, FAIL(0), arg_number(ld, &in->args[1], 31), SRC(2));
        break;
    case BOP_bs_put_utf32:
        EMIT(bs_put_utf32, FAIL(0), arg_number(ld, &in->args[1], 31), SRC(2));
        break;
    case BOP_bs_add: {
        /* the list of the two sizes and the unit comes as separate operands */
        EMIT(bs_add, FAIL(0), SRC(1), SRC(2), arg_number(ld, &in->args[3], 256), DST(4));
        break;
    }
    case BOP_bs_utf8_size:
        EMIT(bs_utf8_size, SRC(1), DST(2));
        break;
    case BOP_bs_utf16_size:
        EMIT(bs_utf16_size, SRC(1), DST(2));
        break;
    case BOP_bs_init_writable:
        (void)verify_live(ld, 1);
        EMIT0(bs_init_writable);
        load_returned(ld);
        break;
    default:
        UNREACHABLE();
    }
}

void translate_bs_start_match4(struct loader *ld, const struct beam_instr *in)
{
    struct operand no = { 'f', 0, NULL, 0, 0 }, s = SRC(2);

    if (in->args[0].kind == BEAM_F)
        no = FAIL(0);
    verify_room(ld, 0);
    EMIT(bs_start_match, no, s, arg_dest_known(ld, &in->args[3], KNOWN_CONTEXT));
}
