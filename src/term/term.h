/* SPDX-License-Identifier: Apache-2.0 */
/*
 * term.h - the tagged word
 *
 *   bits 2..0  name        the rest of the word
 *   ---------  ----------  ------------------------------------------------------------------
 *        000   small       bits 63..3: signed integer, -2^60 .. 2^60-1
 *   001 100 101 float      a double, self-tagged: see flt_encode below
 *        010   list        address of a cons cell, plus 2 (car at 0, cdr at 8)
 *        011   box         address of a header word, plus 3
 *        110   header      first word of a boxed object, never a value
 *        111   immediate   bits 5..3 sub-tag, bits 63..6 payload (58 bits)
 *
 *   header word:  63........8  7.....3  2..0
 *                 size/words   kind     110     size = words after the header
 *
 * Only this file shifts and masks. A term that can be immediate never is a box: a small is never
 * a bignum, a double inside the immediate range is never boxed, so word equality decides `=:=`
 * for every immediate. NaN and infinities never become terms.
 */
#ifndef TERM_TERM_H
#define TERM_TERM_H

#include "base/assert.h"
#include "base/compiler.h"

#include <string.h>

typedef uint64_t term;

enum term_tag {
    TAG_SMALL = 0, TAG_LIST = 2, TAG_BOX = 3, TAG_HDR = 6, TAG_IMM = 7,
};

/* --- immediates ------------------------------------------------------------------------- */

#define IMM_NONE   0x07u   /* no value: BIF failure, empty slot; never visible to programs */
#define IMM_ATOM   0x0Fu   /* payload: atom index */
#define IMM_PID    0x17u   /* payload: serial << 28 | slot (30 + 28 bits), this node */
#define IMM_PORT   0x1Fu   /* payload: as of a pid, this node: a port is run by a process */
#define IMM_CATCH  0x27u   /* payload: address of the handler's code >> 3; lives in y slots only */
#define IMM_REF    0x2Fu   /* payload: scheduler << 48 | counter (10 + 48 bits), this node, no alias */
#define IMM_REMOTE 0x37u   /* payload: of a pid at its own node; in signals and relations only: vm/remote.h */
#define TERM_NIL   ((term)0x3F)
#define TERM_NONE  ((term)IMM_NONE)

#define imm_make(sub, payload) ((term)(payload) << 6 | (sub))
#define imm_payload(t)         ((uint64_t)(t) >> 6)
#define imm_is(t, sub)         (((t) & 63) == (sub))

#define is_imm_tag(t)  (((t) & 7) == TAG_IMM)
#define is_nil(t)      ((t) == TERM_NIL)
#define is_atom(t)     imm_is(t, IMM_ATOM)
#define is_local_pid(t)  imm_is(t, IMM_PID)
#define is_local_port(t) imm_is(t, IMM_PORT)
/* A process or a port of this node: what has an inbox. */
#define is_local_receiver(t) (((t) & (63 & ~(IMM_PID ^ IMM_PORT))) == (IMM_PID & IMM_PORT))
#define is_imm_ref(t)  imm_is(t, IMM_REF)
#define is_catch(t)    imm_is(t, IMM_CATCH)

#define atom_make(index)   imm_make(IMM_ATOM, (uint64_t)(index))
#define atom_index(t)      ((uint32_t)imm_payload(t))
#define catch_make(addr)   imm_make(IMM_CATCH, (uint64_t)(uintptr_t)(addr) >> 3)
#define catch_addr(t)      ((const void *)(uintptr_t)(imm_payload(t) << 3))

#define PID_SLOT_BITS  28
#define pid_make(slot, serial) imm_make(IMM_PID, (uint64_t)(serial) << PID_SLOT_BITS | (slot))
#define pid_slot(t)        ((uint32_t)(imm_payload(t) & ((1u << PID_SLOT_BITS) - 1)))
#define pid_serial(t)      ((uint32_t)(imm_payload(t) >> PID_SLOT_BITS))

/* --- smalls ----------------------------------------------------------------------------- */

#define SMALL_BITS 61
#define SMALL_MAX  (((int64_t)1 << 60) - 1)
#define SMALL_MIN  (-((int64_t)1 << 60))
#define is_small(t)        (((t) & 7) == TAG_SMALL)
#define both_small(a, b)   ((((a) | (b)) & 7) == TAG_SMALL)
#define small_val(t)       ((int64_t)(t) >> 3)
#define small_make(i)      ((term)((uint64_t)(int64_t)(i) << 3))
#define fits_small(i)      ((int64_t)(i) >= SMALL_MIN && (int64_t)(i) <= SMALL_MAX)

/* --- floats ------------------------------------------------------------------------------
 * u = the double's bits; flt_encode rotates the sign to bit 3 and the top three exponent bits to
 * the tag, so 0.0 and every magnitude from 2^-255 to 2^257 (and below 2^-767) is immediate. The
 * rest is boxed as HK_FLOAT. Bit 1 is set only in the boxed form.
 */
#define flt_encode(u)  ((((uint64_t)(u) << 4) | ((uint64_t)(u) >> 60)) + 1)
#define flt_decode(t)  ((((term)(t) - 1) >> 4) | (((term)(t) - 1) << 60))
#define is_imm_flt(t)  ((0x32323232u >> ((t) & 31)) & 1)

/* --- pointers --------------------------------------------------------------------------- */

#define is_ptr(t)      (((t) & 6) == 2)
#define is_cons(t)     (((t) & 7) == TAG_LIST)
#define is_box(t)      (((t) & 7) == TAG_BOX)
#define is_list(t)     (is_cons(t) || is_nil(t))
#define cons_ptr(t)    ((term *)(uintptr_t)((t) - TAG_LIST))
#define box_ptr(t)     ((term *)(uintptr_t)((t) - TAG_BOX))
#define ptr_of(t)      ((term *)(uintptr_t)((t) & ~(term)7))
#define cons_term(p)   ((term)(uintptr_t)(p) + TAG_LIST)
#define box_term(p)    ((term)(uintptr_t)(p) + TAG_BOX)
#define car(t)         (cons_ptr(t)[0])
#define cdr(t)         (cons_ptr(t)[1])
#define CONS_WORDS     2

/* --- boxed kinds ------------------------------------------------------------------------ */

enum header_kind {
    HK_TUPLE = 0,       /* T x arity */
    HK_FLOAT = 1,       /* R bits of a double outside the immediate range */
    HK_BIGPOS = 2,      /* R x limbs, least significant first, top limb != 0, value not a small */
    HK_BIGNEG = 3,      /* same, magnitude of a negative integer */
    HK_FUN = 4,         /* R struct fun_entry *, T x free variables */
    HK_EXPORT_FUN = 5,  /* R struct export *; one immortal object per export */
    HK_REF = 6,         /* R ref word (payload of IMM_REF), R pid word of the owner: an alias */
    HK_EXT_PID = 7,     /* R struct node_entry *, R id << 32 | serial, R next off-heap */
    HK_EXT_PORT = 8,    /* R struct node_entry *, R id, R next off-heap */
    HK_EXT_REF = 9,     /* R struct node_entry *, R number of 32-bit words, R words two by two,
                         * R next in the off-heap list */
    HK_BIN = 10,        /* R bit size, R bytes padded with zeros to words (at most 64 bytes) */
    HK_BIN_REF = 11,    /* R bit size, R bit offset, R struct blob *, R next in the off-heap list */
    HK_BIN_SUB = 12,    /* R bit size, R bit offset, T the HK_BIN looked into */
    HK_MATCH = 13,      /* R position, R end (bits from base), R base address, T the binary */
    HK_MAP_FLAT = 14,   /* T key tuple, T x values; at most 32, keys in internal order */
    HK_MAP_ROOT = 15,   /* R count, then as HK_MAP_NODE; more than 32 keys */
    HK_MAP_NODE = 16,   /* CHAMP node; bits 8..23 of the header: data map, 24..39: node map */
    HK_MAGIC = 17,      /* R struct blob *, R next in the off-heap list; looks like a reference */
    HK_COUNT = 32,
};

/* What the words after the header are: first `raw` untagged words, then terms. HK_RAW: all raw. */
#define HK_RAW 255
struct hk_shape { uint8_t raw; bool offheap, special; };
extern const struct hk_shape hk_shape[HK_COUNT];

#define header_make(kind, words) ((term)(words) << 8 | (term)(kind) << 3 | TAG_HDR)
#define is_header(w)       (((w) & 7) == TAG_HDR)
#define header_kind(w)     ((unsigned)((w) >> 3 & 31))
/* Words after the header. Map nodes keep bitmaps where others keep the size: 2 words per data
 * bit, 1 per node bit, and 1 more for the root's count. */
#define header_size(w)     ((size_t)((w) >> 8))
#define map_datamap(w)     ((uint32_t)((w) >> 8 & 0xFFFF))
#define map_nodemap(w)     ((uint32_t)((w) >> 24 & 0xFFFF))
#define map_header(kind, data, node) \
    ((term)(node) << 24 | (term)(data) << 8 | (term)(kind) << 3 | TAG_HDR)

ALWAYS_INLINE size_t boxed_words(term hdr)      /* words after the header, of any kind */
{
    unsigned kind = header_kind(hdr);

    if (UNLIKELY(kind == HK_MAP_ROOT || kind == HK_MAP_NODE))
        return 2 * (size_t)__builtin_popcount(map_datamap(hdr)) +
               (size_t)__builtin_popcount(map_nodemap(hdr)) + (kind == HK_MAP_ROOT);
    return header_size(hdr);
}

#define box_header(t)      (box_ptr(t)[0])
#define box_is(t, kind)    (is_box(t) && header_kind(box_header(t)) == (kind))

/* --- type tests ------------------------------------------------------------------------- */

#define is_tuple(t)        box_is(t, HK_TUPLE)
#define tuple_arity(t)     header_size(box_header(t))
#define tuple_elem(t, i)   (box_ptr(t)[1 + (i)])          /* i from 0 */
#define is_tuple_n(t, n)   (is_box(t) && box_header(t) == header_make(HK_TUPLE, n))
#define is_float(t)        (is_imm_flt(t) || box_is(t, HK_FLOAT))
#define is_big(t)          (is_box(t) && (header_kind(box_header(t)) | 1) == HK_BIGNEG)
#define is_integer(t)      (is_small(t) || is_big(t))
#define is_number(t)       (is_integer(t) || is_float(t))
#define is_fun(t)          (is_box(t) && (header_kind(box_header(t)) | 1) == HK_EXPORT_FUN)
#define is_map(t)          (is_box(t) && (header_kind(box_header(t)) == HK_MAP_FLAT || \
                                          header_kind(box_header(t)) == HK_MAP_ROOT))
#define is_bitstring(t)    (is_box(t) && header_kind(box_header(t)) >= HK_BIN && \
                            header_kind(box_header(t)) <= HK_BIN_SUB)
#define bitstring_bits(t)  ((uint64_t)box_ptr(t)[1])      /* same place in all three kinds */
#define is_binary(t)       (is_bitstring(t) && (bitstring_bits(t) & 7) == 0)
#define is_match(t)        box_is(t, HK_MATCH)
#define is_pid(t)          (is_local_pid(t) || box_is(t, HK_EXT_PID))
#define is_port(t)         (is_local_port(t) || box_is(t, HK_EXT_PORT))
#define is_ref(t)          (is_imm_ref(t) || (is_box(t) && (header_kind(box_header(t)) == HK_REF || \
                            header_kind(box_header(t)) == HK_EXT_REF || header_kind(box_header(t)) == HK_MAGIC)))

/* --- floats, continued ------------------------------------------------------------------ */

ALWAYS_INLINE double flt_val(term t)            /* t is known to be a float */
{
    uint64_t u = LIKELY((t & 2) == 0) ? flt_decode(t) : box_ptr(t)[1];
    double d;

    memcpy(&d, &u, sizeof d);
    return d;
}

#define FLOAT_WORDS 2   /* at most: header and bits, when outside the immediate range */

/* Make a float; uses *at (two words of room) only when it must be boxed and moves it then.
 * d must be finite. */
ALWAYS_INLINE term flt_make(double d, term **at)
{
    uint64_t u;
    term t;

    memcpy(&u, &d, sizeof u);
    t = flt_encode(u);
    if (LIKELY(is_imm_flt(t)))
        return t;
    (*at)[0] = header_make(HK_FLOAT, 1);
    (*at)[1] = u;
    t = box_term(*at);
    *at += 2;
    return t;
}

/* --- building into room that the caller has reserved ------------------------------------ */

ALWAYS_INLINE term cons_make(term **at, term head, term tail)
{
    term *p = *at;

    p[0] = head;
    p[1] = tail;
    *at = p + 2;
    return cons_term(p);
}

/* A tuple of n elements still to be filled through tuple_elem. */
ALWAYS_INLINE term tuple_room(term **at, size_t n)
{
    term *p = *at;

    p[0] = header_make(HK_TUPLE, n);
    *at = p + 1 + n;
    return box_term(p);
}

#define TUPLE_WORDS(n) (1 + (n))

ALWAYS_INLINE term tuple2(term **at, term a, term b)
{
    term t = tuple_room(at, 2);

    tuple_elem(t, 0) = a;
    tuple_elem(t, 1) = b;
    return t;
}

ALWAYS_INLINE term tuple3(term **at, term a, term b, term c)
{
    term t = tuple_room(at, 3);

    tuple_elem(t, 0) = a;
    tuple_elem(t, 1) = b;
    tuple_elem(t, 2) = c;
    return t;
}

ALWAYS_INLINE term tuple4(term **at, term a, term b, term c, term d)
{
    term t = tuple_room(at, 4);

    tuple_elem(t, 0) = a;
    tuple_elem(t, 1) = b;
    tuple_elem(t, 2) = c;
    tuple_elem(t, 3) = d;
    return t;
}

#endif
