/* SPDX-License-Identifier: Apache-2.0 */
/*
 * binary.c - sizes, parts, bytes and numbers of binaries
 */
#include "bif/bif.h"

#include "heap/arith.h"
#include "heap/blob.h"

#define BYTES_PER_REDUCTION 256

term bif_byte_size(struct process *p, const term *a)
{
    return is_bitstring(a[0]) ? small_make((bitstring_bits(a[0]) + 7) / 8) : bif_badarg(p);
}

term bif_bit_size(struct process *p, const term *a)
{
    return is_bitstring(a[0]) ? small_make(bitstring_bits(a[0])) : bif_badarg(p);
}

term bif_size(struct process *p, const term *a)
{
    if (is_tuple(a[0]))
        return small_make(tuple_arity(a[0]));
    return is_bitstring(a[0]) ? small_make(bitstring_bits(a[0]) / 8) : bif_badarg(p);
}

/* --- parts ---------------------------------------------------------------------------------- */

/* Length may be negative: then the part ends at start. */
static term part(struct process *p, term bin, term start, term len)
{
    int64_t size, from, n;

    if (!is_bitstring(bin) || !is_small(start) || !is_small(len))
        return bif_badarg(p);
    size = (int64_t)(bitstring_bits(bin) / 8);
    from = small_val(start);
    n = small_val(len);
    if (n < 0) {
        from += n;
        n = -n;
    }
    if (from < 0 || from > size || n > size - from)
        return bif_badarg(p);
    return bitstring_sub(&p->heap, bin, (uint64_t)from * 8, (uint64_t)n * 8);
}

term bif_binary_part_2(struct process *p, const term *a)
{
    if (!is_tuple_n(a[1], 2))
        return bif_badarg(p);
    return part(p, a[0], tuple_elem(a[1], 0), tuple_elem(a[1], 1));
}

term bif_binary_part_3(struct process *p, const term *a)
{
    return part(p, a[0], a[1], a[2]);
}

term bif_split_binary(struct process *p, const term *a)
{
    uint64_t bits, at;

    if (!is_bitstring(a[0]) || !is_small(a[1]) || small_val(a[1]) < 0)
        return bif_badarg(p);
    bits = bitstring_bits(a[0]);
    if ((uint64_t)small_val(a[1]) > bits / 8)
        return bif_badarg(p);
    at = (uint64_t)small_val(a[1]) * 8;
    return heap_tuple2(&p->heap, bitstring_sub(&p->heap, a[0], 0, at),
                       bitstring_sub(&p->heap, a[0], at, bits - at));
}

/* --- bytes ---------------------------------------------------------------------------------- */

static term byte_at(struct process *p, term bin, uint64_t i)
{
    if (!is_binary(bin) || i >= bitstring_bits(bin) / 8)
        return bif_badarg(p);
    return small_make(bits_get(bits_of(bin), 8 * i, 8));
}

term bif_binary_at(struct process *p, const term *a)
{
    return is_small(a[1]) ? byte_at(p, a[0], (uint64_t)small_val(a[1])) : bif_badarg(p);
}

term bif_binary_first(struct process *p, const term *a)
{
    return byte_at(p, a[0], 0);
}

term bif_binary_last(struct process *p, const term *a)
{
    return is_binary(a[0]) ? byte_at(p, a[0], bitstring_bits(a[0]) / 8 - 1) : bif_badarg(p);
}

static term copies(struct process *p, term bin, int64_t n)
{
    struct bits from;
    uint64_t total;
    uint8_t *out;
    term t;

    if (!is_binary(bin) || n < 0)
        return bif_badarg(p);
    from = bits_of(bin);
    if (__builtin_mul_overflow(from.bits, (uint64_t)n, &total) || total > BITSTRING_BITS_MAX)
        return bif_error(p, ATOM_system_limit);
    t = bitstring_room(&p->heap, total, &out);
    if (total == 0)
        return t;
    bits_copy(out, 0, from.base, from.bit_offset, from.bits);
    for (uint64_t done = from.bits / 8, all = total / 8; done < all;) {   /* double what is there */
        uint64_t k = done < all - done ? done : all - done;

        memcpy(out + done, out, k);
        done += k;
    }
    charge(p, (int64_t)(total / 8 / BYTES_PER_REDUCTION));
    return t;
}

term bif_binary_copy_1(struct process *p, const term *a)
{
    return copies(p, a[0], 1);
}

term bif_binary_copy_2(struct process *p, const term *a)
{
    return is_small(a[1]) ? copies(p, a[0], small_val(a[1])) : bif_badarg(p);
}

term bif_binary_referenced_byte_size(struct process *p, const term *a)
{
    term t = a[0];

    if (!is_bitstring(t))
        return bif_badarg(p);
    if (header_kind(box_header(t)) == HK_BIN_REF)
        return small_make((atomic_load(&bin_ref_blob(t)->top_bits) + 7) / 8);
    if (header_kind(box_header(t)) == HK_BIN_SUB)
        t = box_ptr(t)[3];
    return small_make((bitstring_bits(t) + 7) / 8);
}

/* --- numbers -------------------------------------------------------------------------------- */

static bool is_endianness(term t)
{
    return t == ATOM_big || t == ATOM_little;
}

static term encode_unsigned(struct process *p, term n, term endianness)
{
    size_t len;
    uint8_t *out;
    bool negative;
    term t;

    if (!is_integer(n) || !is_endianness(endianness) || (is_small(n) && small_val(n) < 0) ||
        box_is(n, HK_BIGNEG))
        return bif_badarg(p);
    len = n == small_make(0) ? 1 : integer_bytes(n);
    t = binary_room(&p->heap, len, &out);
    integer_to_bytes_le(n, out, len, &negative);
    if (endianness == ATOM_big) {
        for (size_t i = 0; i < len / 2; i++) {
            uint8_t swap = out[i];

            out[i] = out[len - 1 - i];
            out[len - 1 - i] = swap;
        }
    }
    return t;
}

term bif_binary_encode_unsigned_1(struct process *p, const term *a)
{
    return encode_unsigned(p, a[0], ATOM_big);
}

term bif_binary_encode_unsigned_2(struct process *p, const term *a)
{
    return encode_unsigned(p, a[0], a[1]);
}

static term decode_unsigned(struct process *p, term bin, term endianness)
{
    struct bits b;

    if (!is_binary(bin) || !is_endianness(endianness))
        return bif_badarg(p);
    b = bits_of(bin);
    if (b.bits == 0)
        return small_make(0);
    return integer_get_bits(&p->heap, b.base, b.bit_offset, b.bits, endianness == ATOM_little,
                            false);
}

term bif_binary_decode_unsigned_1(struct process *p, const term *a)
{
    return decode_unsigned(p, a[0], ATOM_big);
}

term bif_binary_decode_unsigned_2(struct process *p, const term *a)
{
    return decode_unsigned(p, a[0], a[1]);
}

/* --- common ends ---------------------------------------------------------------------------- */

/* Bytes in which a and b agree, at most max, from the front or from the back. */
static size_t common_bytes(struct bits a, struct bits b, size_t max, bool suffix)
{
    uint64_t na = a.bits / 8, nb = b.bits / 8;
    size_t n = 0;

    if (max > na)
        max = na;
    if (max > nb)
        max = nb;
    while (n < max && bits_get(a, 8 * (suffix ? na - 1 - n : n), 8) ==
                      bits_get(b, 8 * (suffix ? nb - 1 - n : n), 8))
        n++;
    return n;
}

static term longest_common(struct process *p, term list, bool suffix)
{
    struct bits first;
    size_t n;

    if (!is_cons(list) || !is_binary(car(list)))
        return bif_badarg(p);
    first = bits_of(car(list));
    n = first.bits / 8;
    for (list = cdr(list); is_cons(list); list = cdr(list)) {
        if (!is_binary(car(list)))
            return bif_badarg(p);
        n = common_bytes(first, bits_of(car(list)), n, suffix);
        charge(p, 1 + (int64_t)(n / BYTES_PER_REDUCTION));
    }
    return is_nil(list) ? small_make(n) : bif_badarg(p);
}

term bif_binary_longest_common_prefix(struct process *p, const term *a)
{
    return longest_common(p, a[0], false);
}

term bif_binary_longest_common_suffix(struct process *p, const term *a)
{
    return longest_common(p, a[0], true);
}
