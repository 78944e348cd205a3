/* SPDX-License-Identifier: Apache-2.0 */
/*
 * format.c - the directives of io:format
 *
 * ~[-]Width.Precision.Pad Modifier Control. Differs from OTP's io_lib in one point: ~p never breaks
 * lines. It serves programs that run without OTP's library.
 */
#include "bif/io.h"
#include "bif/text.h"
#include "heap/arith.h"
#include "heap/blob.h"
#include "base/alloc.h"
#include "term/print.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct directive {
    const char *at, *end;       /* the format */
    term args;                  /* still to be used */
    int  width, precision;      /* -1: not given */
    bool left, unicode;
    uint32_t pad;
    char control;
};

static size_t chars_in(const struct buf *b, size_t from)
{
    size_t n = 0;

    for (size_t i = from; i < b->len; i++)
        n += (b->data[i] & 0xC0) != 0x80;
    return n;
}

/* Bytes of the first n characters of b from `from` on. */
static size_t bytes_of(const struct buf *b, size_t from, size_t n)
{
    size_t i = from;

    for (; i < b->len; i++)
        if ((b->data[i] & 0xC0) != 0x80 && n-- == 0)
            break;
    return i - from;
}

static void pad_put(struct buf *out, uint32_t c, size_t n)
{
    while (n-- > 0)
        text_put(out, c);
}

/* Put what was appended since `from` into a field of width characters. */
static void field_fit(struct buf *out, size_t from, const struct directive *d, size_t width)
{
    size_t n = chars_in(out, from), len = out->len - from;
    struct buf text = { 0 };

    if (n >= width)
        return;
    buf_add(&text, out->data + from, len);
    out->len = from;
    if (!d->left)
        pad_put(out, d->pad, width - n);
    buf_add(out, text.data, len);
    if (d->left)
        pad_put(out, d->pad, width - n);
    buf_fini(&text);
}

/* A term or number: too long for its width shows as stars. */
static void field_term(struct buf *out, size_t from, const struct directive *d)
{
    if (d->width < 0)
        return;
    if (chars_in(out, from) > (size_t)d->width) {
        out->len = from;
        pad_put(out, '*', (size_t)d->width);
        return;
    }
    field_fit(out, from, d, (size_t)d->width);
}

/* Text: cut at the precision, or at the width. */
static void field_text(struct buf *out, size_t from, const struct directive *d)
{
    int cut = d->precision >= 0 ? d->precision : d->width;

    if (cut < 0)
        return;
    if (chars_in(out, from) > (size_t)cut)
        out->len = from + bytes_of(out, from, (size_t)cut);
    if (d->precision >= 0)
        field_fit(out, from, d, (size_t)d->precision);
    if (d->width >= 0 && chars_in(out, from) > (size_t)d->width)
        out->len = from + bytes_of(out, from, (size_t)d->width);
    if (d->width >= 0)
        field_fit(out, from, d, (size_t)d->width);
}

static bool arg_take(struct directive *d, term *ret)
{
    if (!is_cons(d->args))
        return false;
    *ret = car(d->args);
    d->args = cdr(d->args);
    return true;
}

/* --- one directive each -------------------------------------------------------------------------- */

/* Latin-1 text: bytes of binaries are characters. */
static bool latin1_append(struct buf *out, term t)
{
    const uint8_t *bytes;
    uint8_t *scratch;
    size_t len;

    for (; is_cons(t); t = cdr(t))
        if (is_small(car(t)) ? small_val(car(t)) < 0 || small_val(car(t)) > 255 : false)
            return false;
        else if (is_small(car(t)))
            text_put(out, (uint32_t)small_val(car(t)));
        else if (!latin1_append(out, car(t)))
            return false;
    if (is_nil(t))
        return true;
    if (!is_binary(t) || !binary_bytes(t, &bytes, &len, &scratch))
        return false;
    for (size_t i = 0; i < len; i++)
        text_put(out, bytes[i]);
    mem_free(scratch);
    return true;
}

static bool put_string(struct buf *out, const struct directive *d, term t)
{
    size_t len;
    const char *text;

    if (is_atom(t)) {
        text = atom_text(t, &len);
        buf_add(out, text, len);
        return true;
    }
    if (!is_list(t) && !is_binary(t))
        return false;
    return d->unicode ? text_append(out, t) : latin1_append(out, t);
}

static bool put_integer(struct buf *out, const struct directive *d, term t)
{
    int base = d->precision < 0 ? 10 : d->precision;
    bool upper = d->control == 'B' || d->control == 'X' || d->control == '#';
    size_t from = out->len, n;
    char *text;
    bool negative;

    if (!is_integer(t) || base < 2 || base > 36)
        return false;
    text = mem_alloc(integer_text_max(t, base) + 1);
    n = integer_print(t, base, text);
    negative = text[0] == '-';
    if (negative)
        buf_u8(out, '-');
    if (d->control == '#' || d->control == '+')
        buf_printf(out, "%d#", base);
    for (size_t i = negative; i < n; i++)
        buf_u8(out, (uint8_t)(upper ? toupper(text[i]) : tolower(text[i])));
    mem_free(text);
    field_term(out, from, d);
    return true;
}

/* ~x and ~X: a prefix from the arguments stands behind the sign. */
static bool put_prefixed(struct buf *out, struct directive *d, term t)
{
    size_t from = out->len, start;
    struct directive plain = *d;
    struct buf digits = { 0 };
    term prefix;
    bool good;

    plain.width = -1;
    if (!arg_take(d, &prefix) || !put_integer(&digits, &plain, t)) {
        buf_fini(&digits);
        return false;
    }
    start = digits.data[0] == '-';
    if (start)
        buf_u8(out, '-');
    good = put_string(out, d, prefix);
    buf_add(out, digits.data + start, digits.len - start);
    buf_fini(&digits);
    field_term(out, from, d);
    return good;
}

/* d.ddde+d: the exponent has as many digits as it needs. */
static void put_scientific(struct buf *out, double v, int digits)
{
    char text[400], *e;

    snprintf(text, sizeof text, "%.*e", digits - 1, v);
    e = strchr(text, 'e');
    *e = '\0';
    buf_printf(out, "%s%se%c%d", text, strchr(text, '.') == NULL ? ".0" : "", e[1],
               abs(atoi(e + 1)));
}

static bool put_float(struct buf *out, const struct directive *d, term t)
{
    int precision = d->precision < 0 ? 6 : d->precision;
    size_t from = out->len;
    double v, size;

    if (!number_to_double(t, &v))
        return false;
    size = fabs(v);
    if (d->control == 'f') {
        if (precision < 1)
            return false;
        buf_printf(out, "%.*f", precision, v);
    } else if (d->control == 'e' || size < 0.1 || size >= 10000.0) {
        if (precision < 2)
            return false;
        if (d->control == 'g' && v == 0.0)
            buf_printf(out, "%.*f", precision - 1, v);
        else
            put_scientific(out, v, precision);
    } else {
        int whole = size < 1 ? 0 : size < 10 ? 1 : size < 100 ? 2 : size < 1000 ? 3 : 4;

        if (precision - whole < 1)
            put_scientific(out, v, precision < 2 ? 2 : precision);
        else
            buf_printf(out, "%.*f", precision - whole, v);
    }
    field_term(out, from, d);
    return true;
}

static bool put_char(struct buf *out, const struct directive *d, term t)
{
    size_t from = out->len;
    int times = d->precision >= 0 ? d->precision : d->width >= 0 ? d->width : 1;

    if (!is_small(t) || small_val(t) < 0 || small_val(t) > 0x10FFFF)
        return false;
    pad_put(out, (uint32_t)small_val(t), (size_t)times);
    if (d->width >= 0 && d->precision >= 0)
        field_fit(out, from, d, (size_t)d->width);
    return true;
}

static bool put_term(struct buf *out, struct directive *d, term t)
{
    bool strings = d->control == 'p' || d->control == 'P';
    size_t from = out->len;
    term depth;

    if ((d->control == 'P' || d->control == 'W') && (!arg_take(d, &depth) || !is_small(depth)))
        return false;
    term_print(out, t, (strings ? PRINT_STRINGS : 0) | (d->unicode ? PRINT_UNICODE : 0), 0);
    if (!strings)
        field_term(out, from, d);
    return true;
}

static bool put_directive(struct buf *out, struct directive *d)
{
    size_t from = out->len;
    term t = TERM_NIL;

    if (d->control == '~') {
        buf_u8(out, '~');
        return true;
    }
    if (d->control == 'n') {
        pad_put(out, '\n', d->width < 0 ? 1 : (size_t)d->width);
        return true;
    }
    if (!arg_take(d, &t))
        return false;
    switch (d->control) {
    case 'w': case 'p': case 'W': case 'P':
        return put_term(out, d, t);
    case 's':
        if (!put_string(out, d, t))
            return false;
        field_text(out, from, d);
        return true;
    case 'c':
        return put_char(out, d, t);
    case 'b': case 'B': case '#': case '+':
        return put_integer(out, d, t);
    case 'x': case 'X':
        return put_prefixed(out, d, t);
    case 'e': case 'f': case 'g':
        return put_float(out, d, t);
    case 'i':
        return true;
    default:
        return false;
    }
}

/* --- the format ------------------------------------------------------------------------------------ */

static uint32_t next_char(struct directive *d)
{
    const uint8_t *s = (const uint8_t *)d->at;
    uint32_t c = *s;
    int more = c < 0x80 ? 0 : c < 0xE0 ? 1 : c < 0xF0 ? 2 : 3;

    if (more > 0)
        c &= 0x3Fu >> more;
    for (s++; more > 0 && (const char *)s < d->end; more--)
        c = c << 6 | (*s++ & 0x3F);
    d->at = (const char *)s;
    return c;
}

/* A number or * (from the arguments); -1 when there is none. */
static bool number_read(struct directive *d, int *ret)
{
    term t;

    *ret = -1;
    if (d->at < d->end && *d->at == '*') {
        d->at++;
        if (!arg_take(d, &t) || !is_small(t) || llabs(small_val(t)) > 1000000)
            return false;
        *ret = (int)small_val(t);
        return true;
    }
    while (d->at < d->end && isdigit((unsigned char)*d->at)) {
        if (*ret > 100000)
            return false;
        *ret = (*ret < 0 ? 0 : *ret * 10) + (*d->at++ - '0');
    }
    return true;
}

/* What stands between ~ and the control character. */
static bool directive_read(struct directive *d)
{
    d->left = d->at < d->end && *d->at == '-';
    if (d->left)
        d->at++;
    if (!number_read(d, &d->width))
        return false;
    if (d->width < -1) {
        d->left = true;
        d->width = -d->width;
    }
    d->precision = -1;
    d->pad = ' ';
    d->unicode = false;
    if (d->at < d->end && *d->at == '.') {
        d->at++;
        if (!number_read(d, &d->precision))
            return false;
        if (d->at < d->end && *d->at == '.') {
            d->at++;
            if (d->at < d->end && *d->at == '*') {
                term t;

                d->at++;
                if (!arg_take(d, &t) || !is_small(t) || small_val(t) < 0)
                    return false;
                d->pad = (uint32_t)small_val(t);
            } else if (d->at < d->end) {
                d->pad = next_char(d);
            }
        }
    }
    for (; d->at < d->end && strchr("tlkK", *d->at) != NULL; d->at++)
        d->unicode |= *d->at == 't';
    if (d->at >= d->end)
        return false;
    d->control = *d->at++;
    return true;
}

bool io_format(struct buf *out, term format, term args)
{
    struct buf text = { 0 };
    struct directive d = { .args = args };
    bool good = text_path(&text, format) && list_length(args) >= 0;

    d.at = buf_cstr(&text);
    d.end = d.at + text.len;
    while (good && d.at < d.end) {
        const char *tilde = memchr(d.at, '~', (size_t)(d.end - d.at));

        buf_add(out, d.at, (size_t)((tilde == NULL ? d.end : tilde) - d.at));
        if (tilde == NULL)
            break;
        d.at = tilde + 1;
        good = directive_read(&d) && put_directive(out, &d);
    }
    buf_fini(&text);
    return good && is_nil(d.args);
}
