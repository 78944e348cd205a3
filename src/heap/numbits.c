/* SPDX-License-Identifier: Apache-2.0 */
/*
 * numbits.c - integers to bytes and bits and back: ETF and the bit syntax
 *
 * A field of w bits is handled as a string of ceil(w/8) bytes whose padding lies in the last
 * byte's low bits: big endian has its most significant bit first, little endian has whole bytes
 * from the least significant on and the w%8 most significant bits last.
 */
#include "base/alloc.h"
#include "heap/arith.h"
#include "heap/big_priv.h"
#include "heap/blob.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "limbs are copied as bytes");

#define FIELD_STACK_BYTES 256

size_t integer_bytes(term t)
{
    struct big_view v;
    bool is_int = big_view(&v, t);

    ASSERT(is_int);
    if (v.n == 0)
        return 0;
    return (size_t)v.n * 8 - (size_t)__builtin_clzll(v.limbs[v.n - 1]) / 8;
}

void integer_to_bytes_le(term t, uint8_t *out, size_t len, bool *ret_negative)
{
    struct big_view v;
    bool is_int = big_view(&v, t);
    size_t have;

    ASSERT(is_int);
    have = (size_t)v.n * 8;
    if (have > len)
        have = len;
    memcpy(out, v.limbs, have);
    memset(out + have, 0, len - have);
    *ret_negative = v.negative;
}

term integer_from_bytes_le(struct heap *h, const uint8_t *in, size_t len, bool negative)
{
    struct big_room r;
    mp_size_t n;
    term error;

    while (len > 0 && in[len - 1] == 0)
        len--;
    if (len <= 7) {
        uint64_t magnitude = 0;

        memcpy(&magnitude, in, len);
        return small_make(negative ? -(int64_t)magnitude : (int64_t)magnitude);
    }
    if (len > (size_t)BIG_LIMBS_MAX * 8)
        return TERM_NONE;
    n = (mp_size_t)((len + 7) / 8);
    r = big_room(h, n);
    r.limbs[n - 1] = 0;
    memcpy(r.limbs, in, len);
    return big_finish(h, r, n, negative, &error);
}

/* --- fields of up to 64 bits -------------------------------------------------------------- */

/* The low 64 bits of t in two's complement. */
static uint64_t integer_low64(term t)
{
    struct big_view v;
    uint64_t low;
    bool is_int;

    if (is_small(t))
        return (uint64_t)small_val(t);
    is_int = big_view(&v, t);
    ASSERT(is_int);
    low = v.limbs[0];
    return v.negative ? 0 - low : low;
}

/* Reverse the bytes of a field, keeping a partial byte at the significant end: the bits of a
 * little-endian field in the order of a big-endian one, and back. */
static uint64_t field_swap(uint64_t v, unsigned bits, bool from_little)
{
    unsigned whole = bits / 8, part = bits % 8;
    uint64_t mask = ((uint64_t)1 << part) - 1, out = 0;

    if (from_little) {
        /* first byte of the field is the least significant; the part comes last */
        for (unsigned i = 0; i < whole; i++)
            out |= (v >> (bits - 8 * (i + 1)) & 0xFF) << 8 * i;
        return part == 0 ? out : out | (v & mask) << 8 * whole;
    }
    for (unsigned i = 0; i < whole; i++)
        out |= (v >> 8 * i & 0xFF) << (bits - 8 * (i + 1));
    return part == 0 ? out : out | (v >> 8 * whole & mask);
}

/* Write the low `bits` (1..64) of v, most significant first. */
static void put_field(uint8_t *dst, unsigned bit, unsigned bits, uint64_t v)
{
    if (bits < 64)
        v &= ((uint64_t)1 << bits) - 1;
    while (bits > 0) {
        unsigned room = 8 - bit, take = bits < room ? bits : room, low = room - take;
        uint8_t mask = (uint8_t)(((1u << take) - 1) << low);

        *dst = (uint8_t)((*dst & ~mask) | ((v >> (bits - take) << low) & mask));
        bits -= take;
        bit = 0;
        dst++;
    }
}

/* Read `bits` (1..64) bits that start `bit` bits into src. */
static uint64_t get_field(const uint8_t *src, unsigned bit, unsigned bits)
{
    uint64_t v = 0;

    while (bits > 0) {
        unsigned room = 8 - bit, take = bits < room ? bits : room;

        v = v << take | (*src >> (room - take) & ((1u << take) - 1));
        bits -= take;
        bit = 0;
        src++;
    }
    return v;
}

static uint64_t load_be(const uint8_t *p, unsigned bytes)
{
    uint64_t v = 0;

    switch (bytes) {
    case 1: return p[0];
    case 2: return (uint64_t)p[0] << 8 | p[1];
    case 4: { uint32_t w; memcpy(&w, p, 4); return __builtin_bswap32(w); }
    case 8: memcpy(&v, p, 8); return __builtin_bswap64(v);
    default:
        for (unsigned i = 0; i < bytes; i++)
            v = v << 8 | p[i];
        return v;
    }
}

static void store_bytes(uint8_t *p, unsigned bytes, uint64_t v, bool little)
{
    if (!little)
        v = __builtin_bswap64(v) >> (64 - 8 * bytes);
    memcpy(p, &v, bytes);
}

/* --- wider fields --------------------------------------------------------------------------- */

static void bytes_reverse(uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n / 2; i++) {
        uint8_t b = p[i];

        p[i] = p[n - 1 - i];
        p[n - 1 - i] = b;
    }
}

/* Shift a string of bytes, most significant first, by 1..7 bits; zeros come in. */
static void bytes_shift_left(uint8_t *p, size_t n, unsigned shift)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)(p[i] << shift | (i + 1 < n ? p[i + 1] >> (8 - shift) : 0));
}

static void bytes_shift_right(uint8_t *p, size_t n, unsigned shift)
{
    for (size_t i = n; i-- > 0;)
        p[i] = (uint8_t)(p[i] >> shift | (i > 0 ? p[i - 1] << (8 - shift) : 0));
}

/* t in two's complement as n bytes, least significant first. */
static void complement_bytes(term t, uint8_t *out, size_t n)
{
    bool negative, carry = true;

    integer_to_bytes_le(t, out, n, &negative);
    for (size_t i = 0; negative && i < n; i++) {
        out[i] = (uint8_t)(~out[i] + carry);
        carry = carry && out[i] == 0;
    }
}

static void put_wide(term t, uint8_t *dst, uint64_t dst_bit, uint64_t bits, bool little)
{
    size_t n = (size_t)((bits + 7) / 8);
    unsigned pad = (unsigned)(n * 8 - bits);
    bool direct = dst_bit % 8 == 0 && pad == 0;
    uint8_t *tmp = direct ? dst + dst_bit / 8 : mem_alloc(n);

    complement_bytes(t, tmp, n);
    if (!little) {
        bytes_reverse(tmp, n);
        if (pad != 0)
            bytes_shift_left(tmp, n, pad);
    } else if (pad != 0) {
        tmp[n - 1] = (uint8_t)(tmp[n - 1] << pad);
    }
    if (direct)
        return;
    bits_copy(dst, dst_bit, tmp, 0, bits);
    mem_free(tmp);
}

void integer_put_bits(term t, uint8_t *dst, uint64_t dst_bit, uint64_t bits, bool little)
{
    uint64_t v;

    if (bits == 0)
        return;
    if (bits > 64) {
        put_wide(t, dst, dst_bit, bits, little);
        return;
    }
    v = integer_low64(t);
    dst += dst_bit / 8;
    if (dst_bit % 8 == 0 && bits % 8 == 0) {
        store_bytes(dst, (unsigned)bits / 8, v, little);
        return;
    }
    if (little)
        v = field_swap(v, (unsigned)bits, false);
    put_field(dst, (unsigned)(dst_bit % 8), (unsigned)bits, v);
}

static term get_wide(struct heap *h, const uint8_t *src, uint64_t src_bit, uint64_t bits,
                     bool little, bool is_signed)
{
    size_t n = (size_t)((bits + 7) / 8);
    unsigned pad = (unsigned)(n * 8 - bits);
    uint8_t stack[FIELD_STACK_BYTES], *b = n <= sizeof stack ? stack : mem_alloc(n);
    bool negative, carry = true;
    term result;

    b[n - 1] = 0;
    bits_copy(b, 0, src, src_bit, bits);
    if (little) {
        b[n - 1] = (uint8_t)(b[n - 1] >> pad);
    } else {
        if (pad != 0)
            bytes_shift_right(b, n, pad);
        bytes_reverse(b, n);
    }
    negative = is_signed && (b[n - 1] >> (7 - pad) & 1);
    if (negative) {
        b[n - 1] |= (uint8_t)(0xFF00u >> pad);
        for (size_t i = 0; i < n; i++) {
            b[i] = (uint8_t)(~b[i] + carry);
            carry = carry && b[i] == 0;
        }
    }
    /* the most negative value of a field of whole limbs overflows into nothing: its magnitude
     * is the same bits, which are read as unsigned here */
    result = integer_from_bytes_le(h, b, n, negative);
    if (b != stack)
        mem_free(b);
    return result;
}

term integer_get_bits(struct heap *h, const uint8_t *src, uint64_t src_bit, uint64_t bits,
                      bool little, bool is_signed)
{
    uint64_t v;

    if (bits == 0)
        return small_make(0);
    if (bits > 64)
        return get_wide(h, src, src_bit, bits, little, is_signed);
    src += src_bit / 8;
    if (src_bit % 8 == 0 && bits % 8 == 0)
        v = load_be(src, (unsigned)bits / 8);
    else
        v = get_field(src, (unsigned)(src_bit % 8), (unsigned)bits);
    if (little)
        v = field_swap(v, (unsigned)bits, true);
    if (!is_signed)
        return heap_uint(h, v);
    return heap_int(h, (int64_t)(v << (64 - bits)) >> (64 - bits));
}
