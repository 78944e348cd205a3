/* SPDX-License-Identifier: Apache-2.0 */
/*
 * number.c - integers and floats compared and converted by exact value
 *
 * A float is never rounded to meet an integer and an integer never to meet a float: 2^53+1 is
 * greater than 2^53.0.
 */
#include "term/number.h"

#include <math.h>

#define big_limbs(t)    (&box_ptr(t)[1])
#define big_count(t)    header_size(box_header(t))
#define big_negative(t) (header_kind(box_header(t)) == HK_BIGNEG)

/* Bits of the magnitude; the top limb is never zero. */
static uint64_t big_bit_length(term t)
{
    size_t n = big_count(t);

    return (uint64_t)n * 64 - (uint64_t)__builtin_clzll(big_limbs(t)[n - 1]);
}

/* The top 64 bits of the magnitude, first bit set; *ret_rest: is anything below them set? */
static uint64_t big_top64(term t, bool *ret_rest)
{
    const term *limb = big_limbs(t);
    size_t n = big_count(t);
    unsigned shift = (unsigned)__builtin_clzll(limb[n - 1]);
    uint64_t top = limb[n - 1] << shift, below = 0;

    if (n > 1 && shift != 0) {
        top |= limb[n - 2] >> (64 - shift);
        below = limb[n - 2] << shift;
    } else if (n > 1) {
        below = limb[n - 2];
    }
    for (size_t i = 0; below == 0 && i + 2 < n; i++)
        below = limb[i];
    *ret_rest = below != 0;
    return top;
}

static bool big_to_double(term t, double *ret)
{
    uint64_t bits = big_bit_length(t);
    bool rest;
    uint64_t top = big_top64(t, &rest);
    double d;

    if (bits > 1024)
        return false;
    /* The lowest bit stands for everything below it, so that the one rounding of the conversion
     * is the right one: 11 bits are dropped, and a tie is a tie only if nothing follows. */
    d = ldexp((double)(top | rest), (int)bits - 64);
    if (isinf(d))
        return false;
    *ret = big_negative(t) ? -d : d;
    return true;
}

bool number_to_double(term t, double *ret)
{
    if (is_small(t)) {
        *ret = (double)small_val(t);
        return true;
    }
    if (is_float(t)) {
        *ret = flt_val(t);
        return true;
    }
    return is_big(t) && big_to_double(t, ret);
}

static int small_float_cmp(int64_t i, double d)
{
    double whole;

    if (d >= 0x1p61)
        return -1;
    if (d <= -0x1p61)
        return 1;
    whole = trunc(d);
    if (i != (int64_t)whole)
        return i < (int64_t)whole ? -1 : 1;
    return whole < d ? -1 : whole > d;
}

/* Compare the magnitude of a bignum with |d|. */
static int big_float_magnitude_cmp(term t, double d)
{
    uint64_t bits = big_bit_length(t), top, mantissa;
    bool rest;
    int exponent;
    double fraction = frexp(fabs(d), &exponent);

    if (exponent <= 0 || bits != (uint64_t)exponent)
        return exponent <= 0 || bits > (uint64_t)exponent ? 1 : -1;
    top = big_top64(t, &rest);
    mantissa = (uint64_t)ldexp(fraction, 64);
    if (top != mantissa)
        return top < mantissa ? -1 : 1;
    return rest;
}

static int big_float_cmp(term t, double d)
{
    int c;

    if (big_negative(t) != (d < 0))
        return big_negative(t) ? -1 : 1;
    c = big_float_magnitude_cmp(t, d);
    return big_negative(t) ? -c : c;
}

static int big_cmp(term a, term b)
{
    int sign = big_negative(a) ? -1 : 1;
    size_t n = big_count(a);

    if (big_negative(a) != big_negative(b))
        return sign;
    if (n != big_count(b))
        return n > big_count(b) ? sign : -sign;
    while (n-- > 0)
        if (big_limbs(a)[n] != big_limbs(b)[n])
            return big_limbs(a)[n] > big_limbs(b)[n] ? sign : -sign;
    return 0;
}

int number_cmp(term a, term b)
{
    if (both_small(a, b))
        return small_val(a) < small_val(b) ? -1 : small_val(a) > small_val(b);
    if (is_float(a)) {
        double d = flt_val(a);

        if (is_float(b))
            return d < flt_val(b) ? -1 : d > flt_val(b);
        return is_small(b) ? -small_float_cmp(small_val(b), d) : -big_float_cmp(b, d);
    }
    if (is_float(b))
        return is_small(a) ? small_float_cmp(small_val(a), flt_val(b))
                           : big_float_cmp(a, flt_val(b));
    if (is_small(a))
        return big_negative(b) ? 1 : -1;
    if (is_small(b))
        return big_negative(a) ? -1 : 1;
    return big_cmp(a, b);
}
