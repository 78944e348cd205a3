/* SPDX-License-Identifier: Apache-2.0 */
/*
 * numtext.c - integers to digits and back, in any base from 2 to 36
 */
#include "base/alloc.h"
#include "heap/arith.h"
#include "heap/big_priv.h"

#include <math.h>
#include <stdlib.h>

static const char digit_chars[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";

size_t integer_text_max(term t, int base)
{
    struct big_view v;
    bool is_int = big_view(&v, t);

    ASSERT(is_int && base >= 2 && base <= 36);
    return v.n <= 1 ? 66 : mpn_sizeinbase(v.limbs, v.n, base) + 2;
}

static size_t small_print(uint64_t magnitude, bool negative, int base, char *out)
{
    char digits[64];
    size_t n = 0, len = 0;

    if (base == 10) {
        do
            digits[n++] = (char)('0' + magnitude % 10);
        while ((magnitude /= 10) != 0);
    } else {
        do
            digits[n++] = digit_chars[magnitude % (unsigned)base];
        while ((magnitude /= (unsigned)base) != 0);
    }
    if (negative)
        out[len++] = '-';
    while (n > 0)
        out[len++] = digits[--n];
    return len;
}

size_t integer_print(term t, int base, char *out)
{
    struct big_view v;
    struct big_scratch s;
    unsigned char *digits;
    size_t n, skip = 0, len = 0;
    bool is_int = big_view(&v, t);

    ASSERT(is_int && base >= 2 && base <= 36);
    if (v.n <= 1)
        return small_print(v.n == 0 ? 0 : v.limbs[0], v.negative, base, out);
    if (v.negative)
        out[len++] = '-';
    /* mpn_get_str destroys its operand and gives digit values in the room of the text */
    big_scratch_get(&s, v.n + 1);
    mpn_copyi(s.limbs, v.limbs, v.n);
    digits = (unsigned char *)out + len;
    n = mpn_get_str(digits, base, s.limbs, v.n);
    big_scratch_drop(&s);
    while (digits[skip] == 0)
        skip++;
    for (size_t i = skip; i < n; i++)
        out[len++] = digit_chars[digits[i]];
    return len;
}

/* The value of a digit, or 255. */
static unsigned char digit_value(unsigned char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned char)(c - '0');
    c |= 0x20;
    return c >= 'a' && c <= 'z' ? (unsigned char)(c - 'a' + 10) : 255;
}

static term big_parse(struct heap *h, const char *s, size_t len, int base, bool negative)
{
    unsigned char *digits;
    struct big_room r;
    mp_size_t n;
    term error;
    double bits = (double)len * log2(base);

    for (size_t i = 0; i < len; i++) {
        if (digit_value((unsigned char)s[i]) >= base)
            return TERM_NONE;
    }
    while (len > 0 && *s == '0')
        s++, len--, bits -= log2(base);
    if (bits > ((double)BIG_LIMBS_MAX + 1) * 64)
        return TERM_NONE;
    digits = mem_alloc(len + 1);
    for (size_t i = 0; i < len; i++)
        digits[i] = digit_value((unsigned char)s[i]);
    r = big_room(h, (mp_size_t)(bits / 64) + 3);
    n = len == 0 ? 0 : mpn_set_str(r.limbs, digits, len, base);
    mem_free(digits);
    return big_finish(h, r, n, negative, &error);
}

term integer_parse(struct heap *h, const char *s, size_t len, int base)
{
    bool negative = len > 0 && *s == '-';
    uint64_t magnitude = 0;

    ASSERT(base >= 2 && base <= 36);
    if (len > 0 && (*s == '-' || *s == '+'))
        s++, len--;
    if (len == 0)
        return TERM_NONE;
    /* 12 digits of base 36 have 62.1 bits, 18 of base 10 have 59.8 */
    if (len > (base <= 10 ? 18u : 12u))
        return big_parse(h, s, len, base, negative);
    for (size_t i = 0; i < len; i++) {
        unsigned char d = digit_value((unsigned char)s[i]);

        if (d >= base)
            return TERM_NONE;
        magnitude = magnitude * (unsigned)base + d;
    }
    return heap_int(h, negative ? -(int64_t)magnitude : (int64_t)magnitude);
}

/* --- floats ------------------------------------------------------------------------------- */

static size_t digits_span(const char *s, size_t len)
{
    size_t n = 0;

    while (n < len && s[n] >= '0' && s[n] <= '9')
        n++;
    return n;
}

size_t float_text_span(const char *s, size_t len)
{
    size_t at = len > 0 && (*s == '+' || *s == '-'), n, exponent;

    n = digits_span(s + at, len - at);
    if (n == 0 || at + n == len || s[at + n] != '.')
        return 0;
    at += n + 1;
    n = digits_span(s + at, len - at);
    if (n == 0)
        return 0;
    at += n;
    exponent = at;
    if (exponent < len && (s[exponent] == 'e' || s[exponent] == 'E')) {
        exponent++;
        exponent += exponent < len && (s[exponent] == '+' || s[exponent] == '-');
        n = digits_span(s + exponent, len - exponent);
        if (n > 0)
            at = exponent + n;
    }
    return at;
}

bool float_parse(const char *s, size_t len, double *ret)
{
    char stack[128], *text = len < sizeof stack ? stack : mem_alloc(len + 1);
    double d = INFINITY;

    if (len > 0 && float_text_span(s, len) == len) {
        memcpy(text, s, len);
        text[len] = 0;
        d = strtod(text, NULL);
    }
    if (text != stack)
        mem_free(text);
    if (!isfinite(d))
        return false;
    *ret = d;
    return true;
}
