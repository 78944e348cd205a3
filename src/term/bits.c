/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bits.c - reading bitstrings and moving bits
 */
#include "term/bits.h"

struct bits bits_of_view(term t)
{
    const term *p = box_ptr(t);
    const uint8_t *bytes;
    uint64_t offset;

    switch (header_kind(p[0])) {
    case HK_BIN_REF:
        bytes = ((const struct blob *)(uintptr_t)p[3])->data;
        break;
    case HK_BIN_SUB:
        bytes = bin_heap_data(p[3]);
        break;
    default:
        UNREACHABLE();
    }
    offset = p[2];
    return (struct bits){ bytes + offset / 8, offset & 7, p[1] };
}

uint64_t bits_get(struct bits b, uint64_t at, unsigned n)
{
    uint64_t bit = b.bit_offset + at;
    const uint8_t *p = b.base + bit / 8;
    unsigned skip = bit & 7, have = 8 - skip;
    uint64_t v = *p++ & (0xFFu >> skip);

    if (n <= have)
        return v >> (have - n);
    for (; have + 8 <= n; have += 8)
        v = v << 8 | *p++;
    if (have < n)
        v = v << (n - have) | *p >> (8 - (n - have));
    return v;
}

/* 64 bits that start `skip` bits (0..7) into p, first byte most significant; reads 9 bytes. */
static uint64_t load_be_shifted(const uint8_t *p, unsigned skip)
{
    uint64_t v;

    memcpy(&v, p, 8);
    v = __builtin_bswap64(v);
    return skip == 0 ? v : v << skip | p[8] >> (8 - skip);
}

int bits_cmp(struct bits a, struct bits b)
{
    uint64_t common = (a.bits < b.bits ? a.bits : b.bits) & ~(uint64_t)7;
    uint64_t at = 0;

    if (a.bit_offset == 0 && b.bit_offset == 0) {
        int c = memcmp(a.base, b.base, common / 8);

        if (c != 0)
            return c;
        at = common;
    }
    for (; at < common; ) {
        unsigned n = common - at < 64 ? (unsigned)(common - at) : 64;
        uint64_t x = bits_get(a, at, n), y = bits_get(b, at, n);

        if (x != y)
            return x < y ? -1 : 1;
        at += n;
    }
    /* At most one of the two goes on with a whole byte; what is missing counts as zero bits. */
    unsigned na = a.bits - at < 8 ? (unsigned)(a.bits - at) : 8;
    unsigned nb = b.bits - at < 8 ? (unsigned)(b.bits - at) : 8;
    unsigned x = na != 0 ? (unsigned)bits_get(a, at, na) << (8 - na) : 0;
    unsigned y = nb != 0 ? (unsigned)bits_get(b, at, nb) << (8 - nb) : 0;

    if (na != 0 && nb != 0 && x != y)
        return x < y ? -1 : 1;
    return a.bits < b.bits ? -1 : a.bits > b.bits;
}

/* Put the low n bits (1..8) of v at bit `at` (0..7) of *p, n + at <= 8. */
static void put_in_byte(uint8_t *p, unsigned at, unsigned n, unsigned v)
{
    unsigned shift = 8 - at - n, mask = ((1u << n) - 1) << shift;

    *p = (uint8_t)((*p & ~mask) | (v << shift & mask));
}

void bits_copy(uint8_t *dst, uint64_t dst_bit, const uint8_t *src, uint64_t src_bit, uint64_t n)
{
    struct bits in = { src + src_bit / 8, src_bit & 7, n };
    uint64_t at = 0;

    dst += dst_bit / 8;
    dst_bit &= 7;
    if (n == 0)
        return;
    if (dst_bit != 0) {
        unsigned k = 8 - (unsigned)dst_bit;

        if (k > n)
            k = (unsigned)n;
        put_in_byte(dst++, (unsigned)dst_bit, k, (unsigned)bits_get(in, 0, k));
        at = k;
    }
    if (((in.bit_offset + at) & 7) == 0) {
        size_t bytes = (n - at) / 8;

        memcpy(dst, in.base + (in.bit_offset + at) / 8, bytes);
        dst += bytes;
        at += (uint64_t)bytes * 8;
    } else {
        /* The last word is left to the byte loop: a shifted load reads one byte further. */
        for (; n - at >= 72; at += 64, dst += 8) {
            uint64_t v = __builtin_bswap64(load_be_shifted(in.base + (in.bit_offset + at) / 8,
                                                           (in.bit_offset + at) & 7));
            memcpy(dst, &v, 8);
        }
        for (; n - at >= 8; at += 8)
            *dst++ = (uint8_t)bits_get(in, at, 8);
    }
    if (at < n)
        put_in_byte(dst, 0, (unsigned)(n - at), (unsigned)bits_get(in, at, (unsigned)(n - at)));
}
