/* SPDX-License-Identifier: Apache-2.0 */
/*
 * float_text.c - floats as text: erlang:float_to_list/2 and its relatives
 */
#include "bif/bif.h"

#include "base/alloc.h"
#include "base/bytes.h"
#include "bif/number.h"
#include "heap/arith.h"
#include "heap/blob.h"
#include "term/atom.h"
#include "term/print.h"

#include <math.h>
#include <stdio.h>

/* Longest text given out, and the largest D of {decimals,D} and {scientific,D}: OTP's. */
#define FLOAT_LIST_BYTES_MAX 255
#define DECIMALS_MAX         253
#define SCIENTIFIC_MAX       249
#define DECIMALS_IN_UINT64   18

enum float_form { FORM_SCIENTIFIC, FORM_DECIMALS, FORM_SHORT };

struct float_format {
    enum float_form form;
    int  digits;
    bool compact;
};

static bool digits_option(struct float_format *f, term tuple)
{
    term tag = tuple_elem(tuple, 0), n = tuple_elem(tuple, 1);
    bool decimals = tag == ATOM_decimals;

    if ((!decimals && tag != ATOM_scientific) || !is_small(n) || small_val(n) < 0 ||
        small_val(n) > (decimals ? DECIMALS_MAX : SCIENTIFIC_MAX))
        return false;
    f->form = decimals ? FORM_DECIMALS : FORM_SCIENTIFIC;
    f->digits = (int)small_val(n);
    return true;
}

/* The last of several forms holds. */
static bool format_options(struct float_format *f, term opts)
{
    *f = (struct float_format){ .form = FORM_SCIENTIFIC, .digits = 20 };
    for (; is_cons(opts); opts = cdr(opts)) {
        term o = car(opts);

        if (o == ATOM_compact)
            f->compact = true;
        else if (o == ATOM_short)
            f->form = FORM_SHORT;
        else if (!is_tuple_n(o, 2) || !digits_option(f, o))
            return false;
    }
    return is_nil(opts);
}

/* Up to 18 decimals the fraction is scaled to an integer and half rounds up, as OTP has it: 2.5
 * with none is "3" where printf says "2". */
static size_t print_decimals(double d, int digits, char *out, size_t room)
{
    static const double powers[DECIMALS_IN_UINT64 + 1] = {
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
        1e17, 1e18,
    };
    double magnitude = fabs(d);
    uint64_t whole, fraction;
    const char *sign = signbit(d) ? "-" : "";

    if (digits > DECIMALS_IN_UINT64 || magnitude >= 0x1p53)
        return (size_t)snprintf(out, room, "%.*f", digits, d);
    whole = (uint64_t)magnitude;
    fraction = (uint64_t)((magnitude - (double)whole) * powers[digits] + 0.5);
    if (fraction >= (uint64_t)powers[digits]) {
        whole++;
        fraction -= (uint64_t)powers[digits];
    }
    if (digits == 0)
        return (size_t)snprintf(out, room, "%s%llu", sign, (unsigned long long)whole);
    return (size_t)snprintf(out, room, "%s%llu.%0*llu", sign, (unsigned long long)whole, digits,
                            (unsigned long long)fraction);
}

/* Drop zeros at the end, keeping one digit after the point. */
static size_t trim_zeros(const char *text, size_t len)
{
    if (memchr(text, '.', len) == NULL)
        return len;
    while (text[len - 1] == '0' && text[len - 2] != '.')
        len--;
    return len;
}

/* Returns the length; above FLOAT_LIST_BYTES_MAX the text is not whole. */
static size_t float_format(double d, const struct float_format *f, char *out, size_t room)
{
    size_t len;

    switch (f->form) {
    case FORM_SHORT:
        return float_print_short(d, out);
    case FORM_DECIMALS:
        len = print_decimals(d, f->digits, out, room);
        return f->compact && len <= FLOAT_LIST_BYTES_MAX ? trim_zeros(out, len) : len;
    default:
        return (size_t)snprintf(out, room, "%.*e", f->digits, d);
    }
}

static term float_text(struct process *p, term t, term opts, bool binary)
{
    char text[FLOAT_LIST_BYTES_MAX + 1];
    struct float_format f;
    size_t len;

    if (!is_float(t) || !format_options(&f, opts))
        return bif_badarg(p);
    len = float_format(flt_val(t), &f, text, sizeof text);
    if (len > FLOAT_LIST_BYTES_MAX)
        return bif_badarg(p);
    return binary ? heap_binary(&p->heap, text, len) : heap_latin1(&p->heap, text, len);
}

term bif_float_to_list_1(struct process *p, const term *a)
{
    return float_text(p, a[0], TERM_NIL, false);
}

term bif_float_to_list_2(struct process *p, const term *a)
{
    return float_text(p, a[0], a[1], false);
}

term bif_float_to_binary_1(struct process *p, const term *a)
{
    return float_text(p, a[0], TERM_NIL, true);
}

term bif_float_to_binary_2(struct process *p, const term *a)
{
    return float_text(p, a[0], a[1], true);
}

/* --- text to floats ------------------------------------------------------------------------- */

/* The leading characters of list that may occur in a float; returns the rest. */
static term float_chars(struct buf *out, term list)
{
    for (; is_cons(list) && is_small(car(list)); list = cdr(list)) {
        int64_t c = small_val(car(list));

        if (c <= 0 || c > 'e' || strchr("+-.0123456789eE", (int)c) == NULL)
            break;
        buf_u8(out, (uint8_t)c);
    }
    return list;
}

term bif_list_to_float(struct process *p, const term *a)
{
    struct buf b = { 0 };
    double d = 0;
    bool good = is_nil(float_chars(&b, a[0])) && float_parse((const char *)b.data, b.len, &d);

    buf_fini(&b);
    return good ? heap_float(&p->heap, d) : bif_badarg(p);
}

term bif_binary_to_float(struct process *p, const term *a)
{
    const uint8_t *bytes;
    uint8_t *scratch;
    size_t len;
    double d = 0;
    bool good;

    if (!binary_bytes(a[0], &bytes, &len, &scratch))
        return bif_badarg(p);
    good = float_parse((const char *)bytes, len, &d);
    mem_free(scratch);
    return good ? heap_float(&p->heap, d) : bif_badarg(p);
}

term bif_string_list_to_float(struct process *p, const term *a)
{
    struct buf b = { 0 };
    double d = 0;
    size_t len;
    bool good;

    if (!is_list(a[0]))
        return heap_tuple2(&p->heap, ATOM_error, ATOM_not_a_list);
    float_chars(&b, a[0]);
    len = float_text_span((const char *)b.data, b.len);
    good = len > 0 && float_parse((const char *)b.data, len, &d);
    buf_fini(&b);
    if (!good)
        return heap_tuple2(&p->heap, ATOM_error, ATOM_no_float);
    return heap_tuple2(&p->heap, heap_float(&p->heap, d), list_skip(a[0], len));
}
