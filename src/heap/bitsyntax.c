/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bitsyntax.c - matching and building bitstrings
 *
 * Bits are numbered from the most significant of each byte. A little-endian integer of n bits is
 * its bytes from the least significant on; when n is no multiple of 8, the last, partial byte
 * holds the most significant bits.
 */
#include "heap/bitsyntax.h"

#include "heap/arith.h"
#include "term/atom.h"
#include "term/number.h"

#include <math.h>

#define UNICODE_MAX 0x10FFFF
#define WRITABLE_DEFAULT_BYTES 1024

/* --- bits and words ------------------------------------------------------------------------- */

uint64_t bits_read_slow(const uint8_t *base, uint64_t pos, unsigned n)
{
    struct bits b = { base + pos / 8, pos & 7, UINT64_MAX };

    return n == 0 ? 0 : bits_get(b, 0, n);
}

/* Store the low n (0..64) bits of v at bit pos; the other bits of the bytes stay. */
static void bits_write(uint8_t *base, uint64_t pos, uint64_t v, unsigned n)
{
    uint8_t *p = base + pos / 8;
    unsigned skip = pos & 7;

    if (skip == 0) {
        for (; n >= 8; n -= 8)
            *p++ = (uint8_t)(v >> (n - 8));
    }
    while (n > 0) {
        unsigned room = 8 - skip, k = n < room ? n : room, shift = room - k;
        unsigned mask = ((1u << k) - 1) << shift;

        *p = (uint8_t)((*p & ~mask) | ((unsigned)(v >> (n - k)) << shift & mask));
        p++;
        n -= k;
        skip = 0;
    }
}

/* The n bits of v, read as big endian, reread as little endian. */
static uint64_t from_little(uint64_t v, unsigned n)
{
    unsigned part = n & 7, whole = n - part;
    uint64_t swapped = whole == 0 ? 0 : __builtin_bswap64(v >> part) >> (64 - whole);

    return part == 0 ? swapped : swapped | (v & ((1u << part) - 1)) << whole;
}

/* The inverse: bits that, written as big endian, are v in little endian. */
static uint64_t to_little(uint64_t v, unsigned n)
{
    unsigned part = n & 7, whole = n - part;
    uint64_t swapped = whole == 0 ? 0 : __builtin_bswap64(v) >> (64 - whole);

    return part == 0 ? swapped : swapped << part | (v >> whole & ((1u << part) - 1));
}

static double half_to_double(unsigned v)
{
    int exponent = (int)(v >> 10 & 31);
    double m = v & 1023, d;

    d = exponent == 0 ? ldexp(m, -24) : ldexp(m + 1024, exponent - 25);
    return v & 0x8000 ? -d : d;
}

/* Nearest half, ties to even; beyond the range the pattern of an infinity. */
static unsigned double_to_half(double d)
{
    unsigned sign = signbit(d) ? 0x8000 : 0;
    int e;

    d = fabs(d);
    if (d >= 65520)
        return sign | 0x7C00;
    if (d < 0x1p-14)
        return sign | (unsigned)rint(ldexp(d, 24));
    frexp(d, &e);       /* d = m * 2^e, m in [0.5, 1) */
    /* A mantissa that rounds up to 2048 carries into the exponent, as it must. */
    return sign | (((unsigned)(e + 14) << 10) + ((unsigned)rint(ldexp(d, 11 - e)) - 1024));
}

/* --- matching ------------------------------------------------------------------------------- */

term bs_start_match(struct heap *h, term t)
{
    term *p, whole = t;
    const uint8_t *base;
    uint64_t offset = 0;

    if (!is_bitstring(t))
        return is_match(t) ? t : TERM_NONE;
    switch (header_kind(box_header(t))) {
    case HK_BIN_REF:
        offset = box_ptr(t)[2];
        base = bin_ref_blob(t)->data;
        break;
    case HK_BIN_SUB:
        offset = box_ptr(t)[2];
        whole = box_ptr(t)[3];
        base = bin_heap_data(whole);
        break;
    default:
        base = bin_heap_data(t);
    }
    p = heap_alloc(h, MATCH_WORDS);
    p[0] = header_make(HK_MATCH, MATCH_WORDS - 1);
    p[1] = offset;
    p[2] = offset + bitstring_bits(t);
    p[3] = (term)(uintptr_t)base;
    p[4] = whole;
    return box_term(p);
}

term bs_read_integer_slow(struct heap *h, term ctx, uint64_t bits, unsigned flags)
{
    uint64_t pos = match_position(ctx), v;
    const uint8_t *base = match_base(ctx);
    unsigned n = (unsigned)bits;

    match_position(ctx) = pos + bits;
    if (bits > 64)
        return integer_get_bits(h, base, pos, bits, bs_is_little(flags), flags & BS_SIGNED);
    if (bits == 0)
        return small_make(0);
    v = bits_read(base, pos, n);
    if (bs_is_little(flags))
        v = from_little(v, n);
    if (flags & BS_SIGNED)
        return heap_int(h, (int64_t)(v << (64 - n)) >> (64 - n));
    return heap_uint(h, v);
}

term bs_get_float(struct heap *h, term ctx, uint64_t bits, unsigned flags)
{
    uint64_t v;
    double d;

    if (bits > match_left(ctx) || (bits != 64 && bits != 32 && bits != 16))
        return TERM_NONE;
    v = bits_read(match_base(ctx), match_position(ctx), (unsigned)bits);
    match_position(ctx) += bits;
    if (bs_is_little(flags))
        v = from_little(v, (unsigned)bits);
    if (bits == 64) {
        memcpy(&d, &v, sizeof d);
    } else if (bits == 32) {
        uint32_t v32 = (uint32_t)v;
        float f;

        memcpy(&f, &v32, sizeof f);
        d = (double)f;
    } else {
        if ((v >> 10 & 31) == 31)
            return TERM_NONE;
        d = half_to_double((unsigned)v);
    }
    return isfinite(d) ? heap_float(h, d) : TERM_NONE;
}

/* Bits of the context's binary at an absolute position. */
static term match_sub(struct heap *h, term ctx, uint64_t position, uint64_t bits)
{
    term whole = match_binary(ctx);

    if (header_kind(box_header(whole)) == HK_BIN_REF)
        position -= box_ptr(whole)[2];
    return bitstring_sub(h, whole, position, bits);
}

term bs_get_binary(struct heap *h, term ctx, uint64_t bits)
{
    uint64_t pos = match_position(ctx);

    if (bits > match_left(ctx))
        return TERM_NONE;
    match_position(ctx) = pos + bits;
    return match_sub(h, ctx, pos, bits);
}

term bs_get_binary_all(struct heap *h, term ctx, uint64_t unit)
{
    return bs_test_unit(ctx, (unsigned)unit) ? bs_get_binary(h, ctx, match_left(ctx)) : TERM_NONE;
}

term bs_get_tail(struct heap *h, term ctx)
{
    return match_sub(h, ctx, match_position(ctx), match_left(ctx));
}

static bool is_code_point(uint64_t c)
{
    return c <= UNICODE_MAX && (c < 0xD800 || c > 0xDFFF);
}

term bs_get_utf8(term ctx)
{
    const uint8_t *base = match_base(ctx);
    uint64_t pos = match_position(ctx), left = match_left(ctx), c;
    unsigned lead, len;

    if (left < 8)
        return TERM_NONE;
    lead = (unsigned)bits_read(base, pos, 8);
    if (lead < 0x80) {
        match_position(ctx) = pos + 8;
        return small_make(lead);
    }
    len = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if (lead < 0xC2 || lead > 0xF4 || left < 8 * len)
        return TERM_NONE;
    c = lead & (0x7Fu >> len);
    for (unsigned i = 1; i < len; i++) {
        unsigned b = (unsigned)bits_read(base, pos + 8 * i, 8);

        if ((b & 0xC0) != 0x80)
            return TERM_NONE;
        c = c << 6 | (b & 0x3F);
    }
    if (!is_code_point(c) || c < (len == 2 ? 0x80u : len == 3 ? 0x800u : 0x10000u))
        return TERM_NONE;
    match_position(ctx) = pos + 8 * len;
    return small_make(c);
}

term bs_get_utf16(term ctx, unsigned flags)
{
    const uint8_t *base = match_base(ctx);
    uint64_t pos = match_position(ctx), left = match_left(ctx), hi, lo;
    bool little = bs_is_little(flags);

    if (left < 16)
        return TERM_NONE;
    hi = bits_read(base, pos, 16);
    hi = little ? from_little(hi, 16) : hi;
    if (hi < 0xD800 || hi > 0xDFFF) {
        match_position(ctx) = pos + 16;
        return small_make(hi);
    }
    if (hi > 0xDBFF || left < 32)
        return TERM_NONE;
    lo = bits_read(base, pos + 16, 16);
    lo = little ? from_little(lo, 16) : lo;
    if (lo < 0xDC00 || lo > 0xDFFF)
        return TERM_NONE;
    match_position(ctx) = pos + 32;
    return small_make(0x10000 + ((hi - 0xD800) << 10) + (lo - 0xDC00));
}

term bs_get_utf32(term ctx, unsigned flags)
{
    uint64_t v;

    if (match_left(ctx) < 32)
        return TERM_NONE;
    v = bits_read(match_base(ctx), match_position(ctx), 32);
    v = bs_is_little(flags) ? from_little(v, 32) : v;
    if (!is_code_point(v))
        return TERM_NONE;
    match_position(ctx) += 32;
    return small_make(v);
}

bool bs_match_string(term ctx, uint64_t bits, const uint8_t *bytes)
{
    uint64_t pos = match_position(ctx), at = 0;
    const uint8_t *base = match_base(ctx);

    if (bits > match_left(ctx))
        return false;
    if ((pos & 7) == 0) {
        if (memcmp(base + pos / 8, bytes, bits / 8) != 0)
            return false;
        at = bits & ~(uint64_t)7;
    }
    while (at < bits) {
        unsigned n = bits - at < 64 ? (unsigned)(bits - at) : 64;

        if (bits_read(base, pos + at, n) != bits_read(bytes, at, n))
            return false;
        at += n;
    }
    match_position(ctx) = pos + bits;
    return true;
}

/* --- putting values ------------------------------------------------------------------------- */

/* value, an integer, into `bits` bits at the builder's position; they fit. */
static void put_integer(struct bs_builder *b, term value, uint64_t bits, unsigned flags)
{
    bool little = bs_is_little(flags);
    uint64_t v;

    if (LIKELY(is_small(value) && bits <= 64)) {
        v = (uint64_t)small_val(value);
        bits_write(b->base, b->position, little ? to_little(v, (unsigned)bits) : v, (unsigned)bits);
    } else {
        integer_put_bits(value, b->base, b->position, bits, little);
    }
    b->position += bits;
}

static void put_double(struct bs_builder *b, double d, unsigned bits, unsigned flags)
{
    uint64_t v;

    if (bits == 64) {
        memcpy(&v, &d, sizeof v);
    } else if (bits == 32) {
        float f = (float)d;
        uint32_t v32;

        memcpy(&v32, &f, sizeof v32);
        v = v32;
    } else {
        v = double_to_half(d);
    }
    bits_write(b->base, b->position, bs_is_little(flags) ? to_little(v, bits) : v, bits);
    b->position += bits;
}

static void put_bits(struct bs_builder *b, struct bits from, uint64_t bits)
{
    if (LIKELY(((b->position | from.bit_offset | bits) & 7) == 0))
        memcpy(b->base + b->position / 8, from.base, bits / 8);
    else
        bits_copy(b->base, b->position, from.base, from.bit_offset, bits);
    b->position += bits;
}

static bool term_is_code_point(term t)
{
    return is_small(t) && is_code_point((uint64_t)small_val(t));
}

static unsigned utf8_bytes(uint64_t c)
{
    return c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
}

static void put_utf8(struct bs_builder *b, uint64_t c)
{
    unsigned n = utf8_bytes(c);
    uint64_t v = c;

    if (n > 1) {
        v = (0xF00u >> n & 0xFF) | c >> (6 * (n - 1));  /* C0, E0 or F0 */
        for (unsigned i = n - 1; i > 0; i--)
            v = v << 8 | 0x80 | (c >> (6 * (i - 1)) & 0x3F);
    }
    bits_write(b->base, b->position, v, 8 * n);
    b->position += 8 * n;
}

static void put_utf16(struct bs_builder *b, uint64_t c, unsigned flags)
{
    uint64_t unit[2] = { c, 0 };
    unsigned n = 1;

    if (c > 0xFFFF) {
        unit[0] = 0xD800 + ((c - 0x10000) >> 10);
        unit[1] = 0xDC00 + ((c - 0x10000) & 0x3FF);
        n = 2;
    }
    for (unsigned i = 0; i < n; i++, b->position += 16)
        bits_write(b->base, b->position, bs_is_little(flags) ? to_little(unit[i], 16) : unit[i],
                   16);
}

static void put_utf32(struct bs_builder *b, uint64_t c, unsigned flags)
{
    bits_write(b->base, b->position, bs_is_little(flags) ? to_little(c, 32) : c, 32);
    b->position += 32;
}

/* --- bs_create_bin -------------------------------------------------------------------------- */

static bool failed(struct bs_error *e, const struct bs_segment *s, enum bs_error_kind kind,
                   term value)
{
    *e = (struct bs_error){ .type = s->type, .kind = (uint8_t)kind, .segment = s->number,
                            .value = value };
    return false;
}

/* Too large for any bitstring? Decided by a positive integer that bs_size_bits refused. */
static bool size_is_positive(term size)
{
    return is_small(size) ? small_val(size) >= 0
                          : is_box(size) && header_kind(box_header(size)) == HK_BIGPOS;
}

static bool segment_sized(const struct bs_segment *s, uint64_t *ret_bits, struct bs_error *e)
{
    if (LIKELY(bs_size_bits(s->size, s->unit, ret_bits) && *ret_bits <= BITSTRING_BITS_MAX))
        return true;
    failed(e, s, BS_ERROR_SIZE, s->size);
    e->limit = size_is_positive(s->size);
    return false;
}

static bool segment_whole_binary(const struct bs_segment *s, uint64_t *ret_bits,
                                 struct bs_error *e)
{
    if (!is_bitstring(s->value))
        return failed(e, s, BS_ERROR_TYPE, s->value);
    *ret_bits = bitstring_bits(s->value);
    if (s->unit > 1 && *ret_bits % s->unit != 0)
        return failed(e, s, BS_ERROR_UNIT, s->value);
    return true;
}

/* Bits that a segment (not an append) takes. Code points that are none count as the largest. */
static bool segment_bits(const struct bs_segment *s, uint64_t *ret_bits, struct bs_error *e)
{
    switch (s->type) {
    case BS_INTEGER:
        return segment_sized(s, ret_bits, e);
    case BS_FLOAT:
        if (!segment_sized(s, ret_bits, e))
            return false;
        if (*ret_bits != 64 && *ret_bits != 32 && *ret_bits != 16)
            return failed(e, s, BS_ERROR_INVALID, s->size);
        return true;
    case BS_BINARY:
    case BS_APPEND:         /* not the first segment: an ordinary binary */
    case BS_PRIVATE_APPEND:
        return s->size == ATOM_all ? segment_whole_binary(s, ret_bits, e)
                                   : segment_sized(s, ret_bits, e);
    case BS_STRING:
        *ret_bits = (uint64_t)small_val(s->size) * 8;
        return true;
    case BS_UTF8:
        *ret_bits = 8 * (uint64_t)small_val(bs_utf8_size(s->value));
        return true;
    case BS_UTF16:
        *ret_bits = 8 * (uint64_t)small_val(bs_utf16_size(s->value));
        return true;
    case BS_UTF32:
        *ret_bits = 32;
        return true;
    }
    UNREACHABLE();
}

static bool fill_float(const struct bs_segment *s, struct bs_builder *b, struct bs_error *e)
{
    uint64_t bits = 0;
    double d;

    if (!is_number(s->value))
        return failed(e, s, BS_ERROR_TYPE, s->value);
    if (!number_to_double(s->value, &d))
        return failed(e, s, BS_ERROR_NO_FLOAT, s->value);
    bs_size_bits(s->size, s->unit, &bits);
    put_double(b, d, (unsigned)bits, s->flags);
    return true;
}

static bool fill_binary(const struct bs_segment *s, struct bs_builder *b, struct bs_error *e)
{
    uint64_t bits = 0;

    if (!is_bitstring(s->value))
        return failed(e, s, BS_ERROR_TYPE, s->value);
    if (s->size == ATOM_all)
        bits = bitstring_bits(s->value);
    else
        bs_size_bits(s->size, s->unit, &bits);
    if (bits > bitstring_bits(s->value))
        return failed(e, s, BS_ERROR_SHORT, s->value);
    put_bits(b, bits_of(s->value), bits);
    return true;
}

static bool segment_fill(const struct bs_segment *s, struct bs_builder *b, struct bs_error *e)
{
    uint64_t bits = 0;

    switch (s->type) {
    case BS_INTEGER:
        if (!is_integer(s->value))
            return failed(e, s, BS_ERROR_TYPE, s->value);
        bs_size_bits(s->size, s->unit, &bits);
        put_integer(b, s->value, bits, s->flags);
        return true;
    case BS_FLOAT:
        return fill_float(s, b, e);
    case BS_STRING:
        bits = (uint64_t)small_val(s->size) * 8;
        put_bits(b, (struct bits){ s->bytes, 0, bits }, bits);
        return true;
    case BS_UTF8:
    case BS_UTF16:
    case BS_UTF32:
        if (!term_is_code_point(s->value))
            return failed(e, s, BS_ERROR_TYPE, s->value);
        if (s->type == BS_UTF8)
            put_utf8(b, (uint64_t)small_val(s->value));
        else if (s->type == BS_UTF16)
            put_utf16(b, (uint64_t)small_val(s->value), s->flags);
        else
            put_utf32(b, (uint64_t)small_val(s->value), s->flags);
        return true;
    default:
        return fill_binary(s, b, e);
    }
}

/* Sum of the sizes of segments[from..n). */
static bool segments_bits(const struct bs_segment *segments, size_t from, size_t n,
                          uint64_t *ret_bits, struct bs_error *e)
{
    uint64_t total = 0, bits;

    for (size_t i = from; i < n; i++) {
        if (!segment_bits(&segments[i], &bits, e))
            return false;
        total += bits;
        if (total > BITSTRING_BITS_MAX) {
            failed(e, &segments[i], BS_ERROR_SIZE, segments[i].size);
            e->limit = true;
            return false;
        }
    }
    *ret_bits = total;
    return true;
}

/* The first segment grows: check it, and make room for `bits` more. */
static term create_append(struct heap *h, const struct bs_segment *segments, size_t n,
                          uint64_t bits, struct bs_builder *b, struct bs_error *e)
{
    const struct bs_segment *s = &segments[0];
    bool owned = s->type == BS_PRIVATE_APPEND;
    uint64_t own_bits;

    if (!segment_whole_binary(s, &own_bits, e))
        return TERM_NONE;
    if (own_bits + bits > BITSTRING_BITS_MAX) {
        failed(e, s, BS_ERROR_SIZE, s->value);
        e->limit = true;
        return TERM_NONE;
    }
    /* A source that is also put must keep its size until it has been put. */
    for (size_t i = 1; i < n; i++)
        owned &= segments[i].value != s->value || segments[i].type == BS_STRING;
    return bitstring_grow(h, s->value, bits, owned, &b->base, &b->position);
}

term bs_create(struct heap *h, const struct bs_segment *segments, size_t n,
               struct bs_error *ret_error)
{
    bool grow = n > 0 && (segments[0].type == BS_APPEND || segments[0].type == BS_PRIVATE_APPEND);
    struct bs_builder b = { NULL, 0, 0 };
    uint64_t bits = 0, source_bits = 0;
    term t;

    if (!segments_bits(segments, grow, n, &bits, ret_error))
        return TERM_NONE;
    if (grow) {
        source_bits = is_bitstring(segments[0].value) ? bitstring_bits(segments[0].value) : 0;
        t = create_append(h, segments, n, bits, &b, ret_error);
        if (t == TERM_NONE)
            return TERM_NONE;
    } else {
        t = bitstring_room(h, bits, &b.base);
    }
    for (size_t i = grow; i < n; i++) {
        if (!segment_fill(&segments[i], &b, ret_error)) {
            if (grow && t == segments[0].value)
                box_ptr(t)[1] = source_bits;    /* grown in place: as it was */
            return TERM_NONE;
        }
    }
    return t;
}

term bs_append_small(struct heap *h, term source, term value, unsigned bytes, bool owned)
{
    uint64_t position, bits, v = (uint64_t)small_val(value) << (64 - 8 * bytes);
    uint8_t *base;
    term t;

    if (UNLIKELY(!box_is(source, HK_BIN_REF) || !is_small(value)))
        return TERM_NONE;
    bits = bitstring_bits(source);
    if (UNLIKELY(((bits | box_ptr(source)[2]) & 7) != 0 || bits > BITSTRING_BITS_MAX - 64))
        return TERM_NONE;
    t = bitstring_grow(h, source, 8 * bytes, owned, &base, &position);
    base += position / 8;
    for (unsigned i = 0; i < bytes; i++, v <<= 8)
        base[i] = (uint8_t)(v >> 56);
    return t;
}

term bs_error_type_atom(const struct bs_error *e)
{
    switch (e->type) {
    case BS_INTEGER: return ATOM_integer;
    case BS_FLOAT: return ATOM_float;
    case BS_STRING: return ATOM_string;
    case BS_UTF8: return ATOM_utf8;
    case BS_UTF16: return ATOM_utf16;
    case BS_UTF32: return ATOM_utf32;
    default: return ATOM_binary;    /* for programs an append is a binary */
    }
}

term bs_error_kind_atom(const struct bs_error *e)
{
    switch (e->kind) {
    case BS_ERROR_SIZE: return ATOM_size;
    case BS_ERROR_UNIT: return ATOM_unit;
    case BS_ERROR_SHORT: return ATOM_short;
    case BS_ERROR_INVALID: return ATOM_invalid;
    case BS_ERROR_NO_FLOAT: return ATOM_no_float;
    default: return ATOM_type;
    }
}

/* --- the older family ----------------------------------------------------------------------- */

static enum bs_result init_size(term size, uint64_t unit, uint64_t *ret_bits)
{
    if (bs_size_bits(size, unit, ret_bits) && *ret_bits <= BITSTRING_BITS_MAX)
        return BS_OK;
    return size_is_positive(size) ? BS_SYSTEM_LIMIT : BS_BADARG;
}

static enum bs_result init_builder(struct heap *h, struct bs_builder *b, term size, uint64_t unit,
                                   term *ret)
{
    uint64_t bits;
    enum bs_result rc = init_size(size, unit, &bits);

    if (rc != BS_OK)
        return rc;
    b->position = 0;
    b->end = bits;
    *ret = bitstring_room(h, bits, &b->base);
    return BS_OK;
}

enum bs_result bs_init_bytes(struct heap *h, struct bs_builder *b, term size, term *ret)
{
    return init_builder(h, b, size, 8, ret);
}

enum bs_result bs_init_bits(struct heap *h, struct bs_builder *b, term size, term *ret)
{
    return init_builder(h, b, size, 1, ret);
}

static enum bs_result append_builder(struct heap *h, struct bs_builder *b, term source, term size,
                                     uint64_t unit, bool owned, term *ret)
{
    uint64_t bits;
    enum bs_result rc = init_size(size, 1, &bits);

    if (rc != BS_OK)
        return rc;
    if (!is_bitstring(source) || (unit > 1 && bitstring_bits(source) % unit != 0))
        return BS_BADARG;
    if (bitstring_bits(source) + bits > BITSTRING_BITS_MAX)
        return BS_SYSTEM_LIMIT;
    *ret = bitstring_grow(h, source, bits, owned, &b->base, &b->position);
    b->end = b->position + bits;
    return BS_OK;
}

enum bs_result bs_append(struct heap *h, struct bs_builder *b, term source, term bits,
                         uint64_t unit, term *ret)
{
    return append_builder(h, b, source, bits, unit, false, ret);
}

enum bs_result bs_private_append(struct heap *h, struct bs_builder *b, term source, term bits,
                                 uint64_t unit, term *ret)
{
    return append_builder(h, b, source, bits, unit, true, ret);
}

static bool put_fits(const struct bs_builder *b, uint64_t bits)
{
    return bits <= b->end - b->position;
}

bool bs_put_integer(struct bs_builder *b, term value, term size, uint64_t unit, unsigned flags)
{
    uint64_t bits;

    if (!is_integer(value) || !bs_size_bits(size, unit, &bits) || !put_fits(b, bits))
        return false;
    put_integer(b, value, bits, flags);
    return true;
}

bool bs_put_float(struct bs_builder *b, term value, term size, uint64_t unit, unsigned flags)
{
    uint64_t bits;
    double d;

    if (!number_to_double(value, &d) || !bs_size_bits(size, unit, &bits) || !put_fits(b, bits) ||
        (bits != 64 && bits != 32 && bits != 16))
        return false;
    put_double(b, d, (unsigned)bits, flags);
    return true;
}

bool bs_put_binary(struct bs_builder *b, term value, term size, uint64_t unit)
{
    uint64_t bits;

    if (!is_bitstring(value))
        return false;
    if (size == ATOM_all) {
        bits = bitstring_bits(value);
        if (unit > 1 && bits % unit != 0)
            return false;
    } else if (!bs_size_bits(size, unit, &bits) || bits > bitstring_bits(value)) {
        return false;
    }
    if (!put_fits(b, bits))
        return false;
    put_bits(b, bits_of(value), bits);
    return true;
}

bool bs_put_string(struct bs_builder *b, const uint8_t *bytes, size_t len)
{
    if (!put_fits(b, (uint64_t)len * 8))
        return false;
    put_bits(b, (struct bits){ bytes, 0, (uint64_t)len * 8 }, (uint64_t)len * 8);
    return true;
}

bool bs_put_utf8(struct bs_builder *b, term value)
{
    if (!term_is_code_point(value) || !put_fits(b, 8 * utf8_bytes((uint64_t)small_val(value))))
        return false;
    put_utf8(b, (uint64_t)small_val(value));
    return true;
}

bool bs_put_utf16(struct bs_builder *b, term value, unsigned flags)
{
    if (!term_is_code_point(value) || !put_fits(b, small_val(value) > 0xFFFF ? 32 : 16))
        return false;
    put_utf16(b, (uint64_t)small_val(value), flags);
    return true;
}

bool bs_put_utf32(struct bs_builder *b, term value, unsigned flags)
{
    if (!term_is_code_point(value) || !put_fits(b, 32))
        return false;
    put_utf32(b, (uint64_t)small_val(value), flags);
    return true;
}

enum bs_result bs_add(term s1, term s2, uint64_t unit, term *ret)
{
    uint64_t a, b;

    if (bs_size_bits(s1, 1, &a) && bs_size_bits(s2, unit, &b) &&
        a <= SMALL_MAX && b <= SMALL_MAX - a) {
        *ret = small_make(a + b);
        return BS_OK;
    }
    return size_is_positive(s1) && size_is_positive(s2) ? BS_SYSTEM_LIMIT : BS_BADARG;
}

term bs_utf8_size(term value)
{
    return small_make(is_small(value) ? utf8_bytes((uint64_t)small_val(value)) : 4);
}

term bs_utf16_size(term value)
{
    return small_make(is_small(value) && (uint64_t)small_val(value) < 0x10000 ? 2 : 4);
}

term bs_init_writable(struct heap *h, term hint)
{
    uint64_t bits;

    if (!bs_size_bits(hint, 8, &bits) || bits > BITSTRING_BITS_MAX)
        bits = WRITABLE_DEFAULT_BYTES * 8;
    return bitstring_writable(h, bits / 8);
}
