/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sortkey.c - keys of tables as bytes whose order is the order of the terms
 */
#include "table/sortkey.h"

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/errors.h"
#include "heap/etf.h"
#include "term/atom.h"
#include "term/bits.h"
#include "term/compare.h"
#include "term/map_walk.h"

enum lead {
    NEG_HUGE = 0x08, NEG_LARGE, NEG_EXP, NEG_SMALL = NEG_EXP + 64, ZERO, POS_SMALL, POS_EXP,
    POS_LARGE = POS_EXP + 64, POS_HUGE,
    RANK_ATOM = 0xA0, RANK_REF, RANK_FUN, RANK_PORT, RANK_PID, RANK_TUPLE, RANK_MAP, RANK_NIL,
    RANK_LIST, RANK_BITS,
};
enum kind { KIND_INTEGER = 1, KIND_FLOAT, KIND_MINUS_ZERO };

#define EXP_LARGE 16384     /* from here on the exponent takes four bytes */

struct writer {
    uint8_t *at, *end;
    bool in_key;            /* of a map, where 1 < 1.0 whatever the values */
    bool all_integers;
    size_t nkinds;
    uint8_t kinds[SORTKEY_MAX];
    int rc;
};

static void put(struct writer *w, unsigned byte)
{
    if (w->at == w->end)
        w->rc = -ERR_LIMIT;
    else
        *w->at++ = (uint8_t)byte;
}

static void put_be(struct writer *w, uint32_t v, unsigned bytes, uint8_t flip)
{
    while (bytes-- > 0)
        put(w, (v >> 8 * bytes & 255) ^ flip);
}

/* flip 0xFF: everything inverted, so that what is larger comes first. */
static void put_text(struct writer *w, const uint8_t *text, size_t len, uint8_t flip)
{
    for (size_t i = 0; i < len && w->rc == 0; i++) {
        put(w, text[i] ^ flip);
        if (text[i] == 0)
            put(w, 0xFF ^ flip);
    }
    put(w, flip);
}

/* --- numbers ---------------------------------------------------------------------------------- */

static void put_kind(struct writer *w, enum kind kind)
{
    if (w->in_key) {
        put(w, kind);
    } else if (w->nkinds < SORTKEY_MAX) {
        w->kinds[w->nkinds++] = kind;
        w->all_integers &= kind == KIND_INTEGER;
    }
}

/* 2^exp times 1.digits; trailing zeros of digits do not count. */
static void put_number(struct writer *w, bool neg, int64_t exp, const uint8_t *digits, size_t n)
{
    uint8_t flip = neg ? 0xFF : 0;

    while (n > 0 && digits[n - 1] == 0)
        n--;
    if (exp >= EXP_LARGE) {
        put(w, neg ? NEG_HUGE : POS_HUGE);
        put_be(w, (uint32_t)exp, 4, flip);
    } else if (exp >= 64) {
        put(w, neg ? NEG_LARGE : POS_LARGE);
        put_be(w, (uint32_t)exp, 2, flip);
    } else if (exp >= 0) {
        put(w, (unsigned)(neg ? NEG_EXP + 63 - exp : POS_EXP + exp));
    } else {
        put(w, neg ? NEG_SMALL : POS_SMALL);
        put_be(w, (uint32_t)(exp + EXP_LARGE), 2, flip);
    }
    put_text(w, digits, n, flip);
}

static void word_digits(uint64_t v, uint8_t out[8])
{
    for (int i = 0; i < 8; i++)
        out[i] = (uint8_t)(v >> (56 - 8 * i));
}

static void put_integer(struct writer *w, int64_t v)
{
    uint64_t m = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    uint8_t digits[8];
    int zeros;

    put_kind(w, KIND_INTEGER);
    if (m == 0) {
        put(w, ZERO);
        return;
    }
    zeros = __builtin_clzll(m);
    word_digits(zeros == 63 ? 0 : m << (zeros + 1), digits);
    put_number(w, v < 0, 63 - zeros, digits, 8);
}

static void put_big(struct writer *w, term t)
{
    const uint64_t *limbs = box_ptr(t) + 1;
    size_t n = header_size(box_header(t)), len = 8 * n;
    int zeros = __builtin_clzll(limbs[n - 1]);
    uint8_t *digits;

    put_kind(w, KIND_INTEGER);
    if (n > SORTKEY_MAX / 8 + 1 && limbs[0] != 0) { /* cannot fit, whatever the digits */
        w->rc = -ERR_LIMIT;
        return;
    }
    digits = mem_alloc(len);
    for (size_t i = 0; i < n; i++) {
        uint64_t high = limbs[n - 1 - i], low = i + 1 < n ? limbs[n - 2 - i] : 0;

        /* shift all by zeros + 1: the first digit is always one and is left out */
        word_digits(zeros == 63 ? low : high << (zeros + 1) | low >> (63 - zeros), digits + 8 * i);
    }
    put_number(w, header_kind(box_header(t)) == HK_BIGNEG, (int64_t)(64 * n) - zeros - 1, digits,
               len);
    mem_free(digits);
}

static void put_float(struct writer *w, double d)
{
    uint64_t u, m;
    int64_t exp;
    uint8_t digits[8];

    memcpy(&u, &d, sizeof u);
    m = u << 12;
    exp = (int64_t)(u >> 52 & 2047);
    if (d == 0) {
        bool distinct = u != 0 && !term_eq(flt_encode(u), flt_encode((uint64_t)0));

        put_kind(w, distinct ? KIND_MINUS_ZERO : KIND_FLOAT);
        put(w, ZERO);
        return;
    }
    put_kind(w, KIND_FLOAT);
    if (exp == 0) {                     /* subnormal: shift to the first one */
        int zeros = __builtin_clzll(m);

        m = zeros == 63 ? 0 : m << (zeros + 1);
        exp = -zeros;
    }
    word_digits(m, digits);
    put_number(w, u >> 63, exp - 1023, digits, 8);
}

/* --- the rest --------------------------------------------------------------------------------- */

static void put_term(struct writer *w, term t);

static void put_bits(struct writer *w, term t)
{
    struct bits b = bits_of(t);
    size_t bytes = (b.bits + 7) / 8;
    uint8_t copy[SORTKEY_MAX];

    if (bytes > sizeof copy) {
        w->rc = -ERR_LIMIT;
        return;
    }
    memset(copy, 0, bytes);
    bits_copy(copy, 0, b.base, b.bit_offset, b.bits);
    put(w, RANK_BITS);
    put_text(w, copy, bytes, 0);
    put(w, b.bits == 0 ? 0 : (unsigned)((b.bits - 1) % 8 + 1));
}

/* Pids, references, M:F/A: by their external form. */
static void put_external(struct writer *w, enum lead rank, term t)
{
    struct buf b = { 0 };

    put(w, rank);
    if (etf_encode(&b, t, ETF_NO_VERSION, ETF_MINOR_DEFAULT) < 0)
        w->rc = -ERR_LIMIT;
    else
        put_text(w, b.data, b.len, 0);
    buf_fini(&b);
}

static void put_map(struct writer *w, term t)
{
    size_t n = map_count(t);
    bool in_key = w->in_key;
    term *keys;

    put(w, RANK_MAP);
    put_be(w, (uint32_t)n, 4, 0);
    if (n > SORTKEY_MAX)
        w->rc = -ERR_LIMIT;
    if (w->rc < 0 || n == 0)
        return;
    keys = mem_array(2 * n, sizeof *keys);
    map_unpack_sorted(t, keys, keys + n);
    w->in_key = true;
    for (size_t i = 0; i < n; i++)
        put_term(w, keys[i]);
    w->in_key = in_key;
    for (size_t i = n; i < 2 * n; i++)
        put_term(w, keys[i]);
    mem_free(keys);
}

static void put_boxed(struct writer *w, term t)
{
    switch (header_kind(box_header(t))) {
    case HK_TUPLE:
        put(w, RANK_TUPLE);
        put_be(w, (uint32_t)tuple_arity(t), 4, 0);
        for (size_t i = 0; i < tuple_arity(t) && w->rc == 0; i++)
            put_term(w, tuple_elem(t, i));
        break;
    case HK_FLOAT:
        put_float(w, flt_val(t));
        break;
    case HK_BIGPOS:
    case HK_BIGNEG:
        put_big(w, t);
        break;
    case HK_MAP_FLAT:
    case HK_MAP_ROOT:
        put_map(w, t);
        break;
    case HK_BIN:
    case HK_BIN_REF:
    case HK_BIN_SUB:
        put_bits(w, t);
        break;
    case HK_EXPORT_FUN:
        put_external(w, RANK_FUN, t);
        break;
    case HK_EXT_PID:
        put_external(w, RANK_PID, t);
        break;
    case HK_REF:
    case HK_EXT_REF:
        put_external(w, RANK_REF, t);
        break;
    default:
        w->rc = -ERR_ARGUMENT;
    }
}

/* Nesting is bounded by the length: every level has written a byte. */
static void put_term(struct writer *w, term t)
{
    for (; is_cons(t) && w->rc == 0; t = cdr(t)) {
        put(w, RANK_LIST);
        put_term(w, car(t));
    }
    if (w->rc < 0)
        return;
    if (is_small(t)) {
        put_integer(w, small_val(t));
    } else if (is_atom(t)) {
        size_t len;
        const char *text = atom_text(t, &len);

        put(w, RANK_ATOM);
        put_text(w, (const uint8_t *)text, len, 0);
    } else if (is_nil(t)) {
        put(w, RANK_NIL);
    } else if (is_imm_flt(t)) {
        put_float(w, flt_val(t));
    } else if (is_local_pid(t)) {
        put_external(w, RANK_PID, t);
    } else if (is_imm_ref(t)) {
        put_external(w, RANK_REF, t);
    } else if (is_box(t)) {
        put_boxed(w, t);
    } else {
        w->rc = -ERR_ARGUMENT;
    }
}

int sortkey_make(term key, bool exact, uint8_t out[SORTKEY_MAX], size_t *ret_len)
{
    struct writer w = { .at = out, .end = out + SORTKEY_MAX, .all_integers = true };

    put_term(&w, key);
    if (!exact || w.all_integers) {
        put(&w, 1);     /* the end of a text is told from a zero in it by what follows */
    } else {
        put(&w, 2);
        for (size_t i = 0; i < w.nkinds; i++)
            put(&w, w.kinds[i]);
    }
    *ret_len = (size_t)(w.at - out);
    return w.rc;
}

/* --- what can be stored ----------------------------------------------------------------------- */

struct pile { term few[64], *at; size_t n, cap; };

static void pile_push(struct pile *p, const term *terms, size_t n)
{
    while (p->n + n > p->cap) {
        term *more = mem_array(2 * p->cap, sizeof *more);

        memcpy(more, p->at, p->n * sizeof *more);
        if (p->at != p->few)
            mem_free(p->at);
        p->at = more;
        p->cap *= 2;
    }
    for (size_t i = 0; i < n; i++)
        if (is_ptr(terms[i]) || is_local_port(terms[i]))
            p->at[p->n++] = terms[i];
}

static bool box_is_storable(struct pile *p, term t)
{
    size_t n;

    switch (header_kind(box_header(t))) {
    case HK_TUPLE:
        pile_push(p, box_ptr(t) + 1, tuple_arity(t));
        return true;
    case HK_MAP_FLAT:
    case HK_MAP_ROOT: {
        term *pairs;

        n = map_count(t);
        pairs = mem_array(2 * n + 1, sizeof *pairs);
        map_unpack(t, pairs, pairs + n);
        pile_push(p, pairs, 2 * n);
        mem_free(pairs);
        return true;
    }
    case HK_FUN:
    case HK_EXT_PORT:
    case HK_MATCH:
        return false;
    case HK_MAGIC:
        return false;
    default:
        return true;
    }
}

bool term_is_storable(term t)
{
    struct pile p = { .at = p.few, .cap = ARRAY_LEN(p.few) };
    bool good = true;

    pile_push(&p, &t, 1);
    while (good && p.n > 0) {
        term at = p.at[--p.n];

        if (is_local_port(at)) {
            good = false;
        } else if (is_cons(at)) {
            pile_push(&p, cons_ptr(at), 2);     /* the tail on top: long lists stay flat */
        } else {
            good = box_is_storable(&p, at);
        }
    }
    if (p.at != p.few)
        mem_free(p.at);
    return good;
}
