/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bitsyntax.h - matching and building bitstrings, for the bs_* instructions
 *
 * Thread: the owner of the heap and of the context. Nothing here collects; what needs room takes it
 * from heap_alloc (heap.h, H1).
 *
 * A match context is a HK_MATCH object: position and end in bits counted from `base`, the first
 * byte of the storage of `binary`, which is always a HK_BIN or a HK_BIN_REF (a HK_BIN_SUB is
 * looked through when the context is made). The collector refreshes base for a HK_BIN with
 * match_refresh; a blob does not move. Contexts are shared and written in place: the position is
 * the only thing that changes after bs_start_match.
 */
#ifndef HEAP_BITSYNTAX_H
#define HEAP_BITSYNTAX_H

#include "heap/blob.h"

/* The flags operand of instructions; in bs_create_bin and bs_match the atoms of the list. */
enum bs_flags { BS_LITTLE = 2, BS_SIGNED = 4, BS_NATIVE = 16 };

/* Little endian on this machine? */
ALWAYS_INLINE bool bs_is_little(unsigned flags)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return (flags & (BS_LITTLE | BS_NATIVE)) != 0;
#else
    return (flags & BS_LITTLE) != 0;
#endif
}

/* --- match contexts ----------------------------------------------------------------------- */

#define MATCH_WORDS 5
#define match_position(ctx) (box_ptr(ctx)[1])
#define match_end(ctx)      (box_ptr(ctx)[2])
#define match_base(ctx)     ((const uint8_t *)(uintptr_t)box_ptr(ctx)[3])
#define match_binary(ctx)   (box_ptr(ctx)[4])
#define match_left(ctx)     (match_end(ctx) - match_position(ctx))

/* For the collector: p is the header of a HK_MATCH whose binary was just updated. */
ALWAYS_INLINE void match_refresh(term *p)
{
    if (header_kind(box_header(p[4])) == HK_BIN)
        p[3] = (term)(uintptr_t)(box_ptr(p[4]) + 2);
}

/* A context at the start of bitstring t; t itself when it is a context; TERM_NONE otherwise. */
term bs_start_match(struct heap *h, term t);

/* bs_get_position, bs_set_position: positions are smalls that count from base. */
ALWAYS_INLINE term bs_get_position(term ctx)
{
    return small_make(match_position(ctx));
}

/* False when the position lies outside the bitstring's storage: it was not one of this context. */
ALWAYS_INLINE bool bs_set_position(term ctx, term position)
{
    uint64_t at = (uint64_t)small_val(position);
    const term *bin = box_ptr(match_binary(ctx));

    if (UNLIKELY(!is_small(position) || at > match_end(ctx) ||
                 (header_kind(bin[0]) == HK_BIN_REF && at < bin[2])))
        return false;
    match_position(ctx) = at;
    return true;
}

/* size * unit in bits; false: not a non-negative integer, or too large for any bitstring. */
ALWAYS_INLINE bool bs_size_bits(term size, uint64_t unit, uint64_t *ret_bits)
{
    return is_small(size) && small_val(size) >= 0 &&
           !__builtin_mul_overflow((uint64_t)small_val(size), unit, ret_bits);
}

/* The n (0..64) bits at position pos as a big-endian unsigned number; reads no byte beyond them. */
uint64_t bits_read_slow(const uint8_t *base, uint64_t pos, unsigned n);

ALWAYS_INLINE uint64_t bits_read(const uint8_t *base, uint64_t pos, unsigned n)
{
    const uint8_t *p = base + (pos >> 3);
    uint64_t v64;
    uint32_t v32;

    if (LIKELY((pos & 7) == 0)) {
        switch (n) {
        case 8:
            return p[0];
        case 16:
            return (uint64_t)p[0] << 8 | p[1];
        case 24:
            return (uint64_t)p[0] << 16 | (uint64_t)p[1] << 8 | p[2];
        case 32:
            memcpy(&v32, p, 4);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
            v32 = __builtin_bswap32(v32);
#endif
            return v32;
        case 64:
            memcpy(&v64, p, 8);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
            v64 = __builtin_bswap64(v64);
#endif
            return v64;
        }
    } else if ((pos & 7) + n <= 8) {
        return (unsigned)p[0] >> (8 - (pos & 7) - n) & ((1u << n) - 1);
    }
    return bits_read_slow(base, pos, n);
}

/* Read the next `bits` bits as an integer; the caller has checked that they are there (bs_match
 * after an ensure). Moves on. */
term bs_read_integer_slow(struct heap *h, term ctx, uint64_t bits, unsigned flags);

ALWAYS_INLINE term bs_read_integer(struct heap *h, term ctx, uint64_t bits, unsigned flags)
{
    uint64_t pos = match_position(ctx);

    if (LIKELY(bits < SMALL_BITS && (flags == 0 || (bits <= 8 && !(flags & BS_SIGNED))))) {
        match_position(ctx) = pos + bits;
        return small_make(bits_read(match_base(ctx), pos, (unsigned)bits));
    }
    return bs_read_integer_slow(h, ctx, bits, flags);
}

/* The same, TERM_NONE when fewer bits are left. */
ALWAYS_INLINE term bs_get_integer(struct heap *h, term ctx, uint64_t bits, unsigned flags)
{
    return LIKELY(bits <= match_left(ctx)) ? bs_read_integer(h, ctx, bits, flags) : TERM_NONE;
}

/* bs_get_integer2 with sizes that are terms: bits = size * unit by bs_size_bits, then this. The
 * other readers give TERM_NONE for too few bits and for values that are not of their type; the
 * position is then unspecified. */
term bs_get_float(struct heap *h, term ctx, uint64_t bits, unsigned flags);  /* 16, 32, 64 bits */
term bs_get_binary(struct heap *h, term ctx, uint64_t bits);
term bs_get_binary_all(struct heap *h, term ctx, uint64_t unit); /* what is left */
term bs_get_utf8(term ctx);
term bs_get_utf16(term ctx, unsigned flags);
term bs_get_utf32(term ctx, unsigned flags);    /* position unchanged on failure */

/* bs_get_tail: what is left, as a bitstring; does not move the position. */
term bs_get_tail(struct heap *h, term ctx);

ALWAYS_INLINE bool bs_skip(term ctx, uint64_t bits)
{
    if (UNLIKELY(bits > match_left(ctx)))
        return false;
    match_position(ctx) += bits;
    return true;
}

#define bs_test_tail(ctx, bits) (match_left(ctx) == (uint64_t)(bits))

/* A division for the rare units only. */
ALWAYS_INLINE bool bs_is_multiple(uint64_t bits, unsigned unit)
{
    return LIKELY((unit & (unit - 1)) == 0) ? (bits & (unit - 1)) == 0 : bits % unit == 0;
}

#define bs_test_unit(ctx, unit) bs_is_multiple(match_left(ctx), unit)

ALWAYS_INLINE bool bs_skip_all(term ctx, uint64_t unit)
{
    if (!bs_is_multiple(match_left(ctx), (unsigned)unit))
        return false;
    match_position(ctx) = match_end(ctx);
    return true;
}

/* bs_match_string: the next `bits` bits equal those at bytes? Moves on when they do. */
bool bs_match_string(term ctx, uint64_t bits, const uint8_t *bytes);

/* --- building: bs_create_bin ---------------------------------------------------------------- */

/* BS_SEGMENT(c name, atom c name): the atoms are those of atoms.tab, also ATOM_append and so on. */
#define BS_SEGMENTS(row) \
    row(INTEGER, integer) row(FLOAT, float) row(BINARY, binary) row(STRING, string) \
    row(UTF8, utf8) row(UTF16, utf16) row(UTF32, utf32) \
    row(APPEND, append) row(PRIVATE_APPEND, private_append)

enum bs_segment_type {
#define BS_ENUM_ROW(name, atom) BS_##name,
    BS_SEGMENTS(BS_ENUM_ROW)
#undef BS_ENUM_ROW
    BS_SEGMENT_TYPES,
};

/* Why a bs_create_bin failed: third element of {Segment, Type, Kind, Value}. */
enum bs_error_kind {
    BS_ERROR_SIZE, BS_ERROR_TYPE, BS_ERROR_UNIT, BS_ERROR_SHORT, BS_ERROR_INVALID,
    BS_ERROR_NO_FLOAT,
};

struct bs_segment {
    uint8_t  type;          /* enum bs_segment_type */
    uint8_t  flags;         /* enum bs_flags */
    uint16_t unit;          /* 0..256 */
    uint32_t number;        /* 1-based, as the compiler numbers it for errors */
    term     value;         /* not for BS_STRING */
    term     size;          /* integer, ATOM_all or ATOM_undefined; BS_STRING: small, in bytes */
    const uint8_t *bytes;   /* BS_STRING only */
};

struct bs_error {
    bool     limit;         /* system_limit instead of badarg */
    uint8_t  type, kind;    /* enum bs_segment_type, enum bs_error_kind */
    uint32_t segment;
    term     value;
};

/* Build a bitstring of n segments; TERM_NONE with *ret_error filled on failure. */
term bs_create(struct heap *h, const struct bs_segment *segments, size_t n,
               struct bs_error *ret_error);

/* The commonest of these, source of whole bytes and a small behind it, as a big-endian integer of
 * 1 to 8 bytes. owned: as of private_append. TERM_NONE: not that simple, and nothing has been done. */
term bs_append_small(struct heap *h, term source, term value, unsigned bytes, bool owned);

/* Atoms of an error, for {Segment, Type, Kind, Value}; the terms are atoms of atoms.tab. */
term bs_error_type_atom(const struct bs_error *e);
term bs_error_kind_atom(const struct bs_error *e);

/* --- building: the older bs_init2 family ----------------------------------------------------- */

/* The binary under construction and where the next bs_put_* goes. One per scheduler; valid from a
 * bs_init or bs_append to the last bs_put_*, between which nothing collects. */
struct bs_builder { uint8_t *base; uint64_t position, end; };

/* Outcomes of what may fail. */
enum bs_result { BS_OK, BS_BADARG, BS_SYSTEM_LIMIT };

/* bs_init2 (size in bytes) and bs_init_bits (in bits): size is an integer term. */
enum bs_result bs_init_bytes(struct heap *h, struct bs_builder *b, term size, term *ret);
enum bs_result bs_init_bits(struct heap *h, struct bs_builder *b, term size, term *ret);
/* A bitstring that starts with source, whose size must be a multiple of unit, with `bits` (integer
 * term) more bits to put. private: source has no other holder and is grown in place. */
enum bs_result bs_append(struct heap *h, struct bs_builder *b, term source, term bits,
                         uint64_t unit, term *ret);
enum bs_result bs_private_append(struct heap *h, struct bs_builder *b, term source, term bits,
                                 uint64_t unit, term *ret);
/* Puts: false is badarg. size: integer, or ATOM_all for a whole binary. */
bool bs_put_integer(struct bs_builder *b, term value, term size, uint64_t unit, unsigned flags);
bool bs_put_float(struct bs_builder *b, term value, term size, uint64_t unit, unsigned flags);
bool bs_put_binary(struct bs_builder *b, term value, term size, uint64_t unit);
bool bs_put_string(struct bs_builder *b, const uint8_t *bytes, size_t len);
bool bs_put_utf8(struct bs_builder *b, term value);
bool bs_put_utf16(struct bs_builder *b, term value, unsigned flags);
bool bs_put_utf32(struct bs_builder *b, term value, unsigned flags);
/* bs_add: *ret = s1 + s2 * unit, all sizes. */
enum bs_result bs_add(term s1, term s2, uint64_t unit, term *ret);
/* bs_utf8_size, bs_utf16_size: bytes as a small; 4 for what is no code point, which the put
 * refuses. */
term bs_utf8_size(term value);
term bs_utf16_size(term value);
/* bs_init_writable: an empty bitstring with room for `hint` bytes (not a size: 1024). */
term bs_init_writable(struct heap *h, term hint);

#endif
