/* SPDX-License-Identifier: Apache-2.0 */
/*
 * number.c - the operators as functions, conversions, and integers as text
 *
 * Text of huge integers takes more than linear time; it is charged for and does not yield, which
 * the size limit of integers keeps below a blink.
 */
#include "bif/bif.h"

#include "base/alloc.h"
#include "base/bytes.h"
#include "bif/number.h"
#include "heap/arith.h"
#include "heap/blob.h"
#include "term/atom.h"

#define DIGITS_PER_REDUCTION 32

static term number_result(struct process *p, term t, term error)
{
    return LIKELY(t != TERM_NONE) ? t : bif_error(p, error);
}

#define UNARY(name, op)                                         \
    term name(struct process *p, const term *a)                 \
    {                                                           \
        term error = ATOM_badarith, t = op(&p->heap, a[0], &error); \
                                                                \
        return number_result(p, t, error);                      \
    }
#define BINARY(name, op)                                        \
    term name(struct process *p, const term *a)                 \
    {                                                           \
        term error = ATOM_badarith, t = op(&p->heap, a[0], a[1], &error); \
                                                                \
        return number_result(p, t, error);                      \
    }

BINARY(bif_plus, arith_add)
BINARY(bif_minus, arith_sub)
BINARY(bif_times, arith_mul)
BINARY(bif_divide, arith_fdiv)
BINARY(bif_div, arith_div)
BINARY(bif_rem, arith_rem)
BINARY(bif_band, arith_band)
BINARY(bif_bor, arith_bor)
BINARY(bif_bxor, arith_bxor)
BINARY(bif_bsl, arith_bsl)
BINARY(bif_bsr, arith_bsr)
UNARY(bif_minus_1, arith_neg)
UNARY(bif_bnot, arith_bnot)
UNARY(bif_abs, arith_abs)
UNARY(bif_float, arith_to_float)
UNARY(bif_trunc, arith_trunc)
UNARY(bif_round, arith_round)
UNARY(bif_floor, arith_floor)
UNARY(bif_ceil, arith_ceil)

#undef UNARY
#undef BINARY

term bif_plus_1(struct process *p, const term *a)
{
    return is_number(a[0]) ? a[0] : bif_error(p, ATOM_badarith);
}

/* --- integers to text ----------------------------------------------------------------------- */

/* 2..36, or 0. */
static int base_of(term t)
{
    return is_small(t) && small_val(t) >= 2 && small_val(t) <= 36 ? (int)small_val(t) : 0;
}

static term integer_text(struct process *p, term t, int base, bool binary)
{
    char stack[128], *text;
    size_t max, len;

    if (!is_integer(t) || base == 0)
        return bif_badarg(p);
    max = integer_text_max(t, base);
    text = max <= sizeof stack ? stack : mem_alloc(max);
    len = integer_print(t, base, text);
    charge(p, (int64_t)(len / DIGITS_PER_REDUCTION));
    t = binary ? heap_binary(&p->heap, text, len) : heap_latin1(&p->heap, text, len);
    if (text != stack)
        mem_free(text);
    return t;
}

term bif_integer_to_list_1(struct process *p, const term *a)
{
    return integer_text(p, a[0], 10, false);
}

term bif_integer_to_list_2(struct process *p, const term *a)
{
    return integer_text(p, a[0], base_of(a[1]), false);
}

term bif_integer_to_binary_1(struct process *p, const term *a)
{
    return integer_text(p, a[0], 10, true);
}

term bif_integer_to_binary_2(struct process *p, const term *a)
{
    return integer_text(p, a[0], base_of(a[1]), true);
}

/* --- text to integers ----------------------------------------------------------------------- */

static bool is_digit(int64_t c, int base)
{
    int64_t lower = c | 0x20, v = 255;

    if (c >= '0' && c <= '9')
        v = c - '0';
    else if (lower >= 'a' && lower <= 'z')
        v = lower - 'a' + 10;
    return v < base;
}

size_t integer_text_span(const char *s, size_t len, int base)
{
    size_t sign = len > 0 && (*s == '-' || *s == '+'), at = sign;

    while (at < len && is_digit((uint8_t)s[at], base))
        at++;
    return at == sign ? 0 : at;
}

/* The integer that the whole text is; TERM_NONE with *ret_error set. */
static term text_to_integer(struct process *p, const char *s, size_t len, int base,
                            term *ret_error)
{
    term t = integer_parse(&p->heap, s, len, base);

    charge(p, (int64_t)(len / DIGITS_PER_REDUCTION));
    if (UNLIKELY(t == TERM_NONE))
        *ret_error = len > 0 && integer_text_span(s, len, base) == len ? ATOM_system_limit
                                                                       : ATOM_badarg;
    return t;
}

/* Append the leading bytes of list for as long as want() likes them; returns the rest. */
static term list_prefix(struct buf *out, term list, bool (*want)(int64_t c))
{
    while (is_cons(list) && is_small(car(list)) && want(small_val(car(list)))) {
        buf_u8(out, (uint8_t)small_val(car(list)));
        list = cdr(list);
    }
    return list;
}

static bool any_byte(int64_t c)
{
    return c >= 0 && c <= 255;
}

static term list_to_integer(struct process *p, term list, int base)
{
    struct buf b = { 0 };
    term error = ATOM_badarg, t = TERM_NONE;

    if (base != 0 && is_nil(list_prefix(&b, list, any_byte)))
        t = text_to_integer(p, (const char *)b.data, b.len, base, &error);
    buf_fini(&b);
    return number_result(p, t, error);
}

term bif_list_to_integer_1(struct process *p, const term *a)
{
    return list_to_integer(p, a[0], 10);
}

term bif_list_to_integer_2(struct process *p, const term *a)
{
    return list_to_integer(p, a[0], base_of(a[1]));
}

static term binary_to_integer(struct process *p, term bin, int base, term *ret_error)
{
    const uint8_t *bytes;
    uint8_t *scratch;
    size_t len;
    term t;

    *ret_error = ATOM_badarg;
    if (base == 0 || !binary_bytes(bin, &bytes, &len, &scratch))
        return TERM_NONE;
    t = text_to_integer(p, (const char *)bytes, len, base, ret_error);
    mem_free(scratch);
    return t;
}

term bif_binary_to_integer_1(struct process *p, const term *a)
{
    term error, t = binary_to_integer(p, a[0], 10, &error);

    return number_result(p, t, error);
}

term bif_binary_to_integer_2(struct process *p, const term *a)
{
    term error, t = binary_to_integer(p, a[0], base_of(a[1]), &error);

    return number_result(p, t, error);
}

/* An integer, or the reason as an atom. */
term bif_erts_binary_to_integer(struct process *p, const term *a)
{
    term error, t = binary_to_integer(p, a[0], base_of(a[1]), &error);

    return t != TERM_NONE ? t : error;
}

/* --- the start of a list -------------------------------------------------------------------- */

static bool integer_char(int64_t c)
{
    return is_digit(c, 36) || c == '+' || c == '-';
}

term list_skip(term list, size_t n)
{
    for (; n > 0; n--)
        list = cdr(list);
    return list;
}

/* {Integer, Rest}, or why not as an atom. */
static term list_start_to_integer(struct process *p, term list, int base)
{
    struct buf b = { 0 };
    term t = TERM_NONE, error = ATOM_no_integer;
    size_t len;

    if (base == 0)
        return ATOM_badarg;
    if (!is_list(list))
        return ATOM_not_a_list;
    list_prefix(&b, list, integer_char);
    len = integer_text_span((const char *)b.data, b.len, base);
    if (len > 0)
        t = text_to_integer(p, (const char *)b.data, len, base, &error);
    buf_fini(&b);
    return t == TERM_NONE ? error : heap_tuple2(&p->heap, t, list_skip(list, len));
}

term bif_string_list_to_integer(struct process *p, const term *a)
{
    term t = list_start_to_integer(p, a[0], 10);

    if (t == ATOM_system_limit)
        return bif_error(p, t);
    return is_atom(t) ? heap_tuple2(&p->heap, ATOM_error, t) : t;
}

term bif_erts_list_to_integer(struct process *p, const term *a)
{
    return list_start_to_integer(p, a[0], base_of(a[1]));
}
