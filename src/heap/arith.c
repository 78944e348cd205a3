/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arith.c - the arithmetic operators on any two numbers
 *
 * Each operator tries two smalls, then two integers, then doubles. A double result that is not
 * finite is badarith, and so is an integer operand too large for a double.
 */
#include "heap/arith.h"
#include "heap/big_priv.h"
#include "term/atom.h"

#include <math.h>
#include <stdlib.h>

static term arith_fail(term *ret_error, term reason)
{
    *ret_error = reason;
    return TERM_NONE;
}

/* The value of a number for float arithmetic. */
static bool operand_double(term t, double *ret)
{
    if (LIKELY(is_float(t))) {
        *ret = flt_val(t);
        return true;
    }
    return number_to_double(t, ret);
}

static term float_result(struct heap *h, double d, term *ret_error)
{
    if (UNLIKELY(!isfinite(d)))
        return arith_fail(ret_error, ATOM_badarith);
    return heap_float(h, d);
}

/* True when a and b are numbers at least one of which is a float, as doubles in *x and *y. */
static bool float_operands(term a, term b, double *x, double *y)
{
    return (is_float(a) || is_float(b)) && operand_double(a, x) && operand_double(b, y);
}

static term add_or_sub(struct heap *h, term a, term b, bool minus, term *ret_error)
{
    struct big_view x, y;
    double u, v;
    int64_t i, j, sum;

    if (term_to_int64(a, &i) && term_to_int64(b, &j) &&
        !(minus ? __builtin_sub_overflow(i, j, &sum) : __builtin_add_overflow(i, j, &sum)))
        return heap_int(h, sum);
    if (big_view(&x, a) && big_view(&y, b))
        return big_add(h, &x, &y, minus, ret_error);
    if (float_operands(a, b, &u, &v))
        return float_result(h, minus ? u - v : u + v, ret_error);
    return arith_fail(ret_error, ATOM_badarith);
}

term arith_add(struct heap *h, term a, term b, term *ret_error)
{
    if (LIKELY(both_small(a, b)))
        return heap_int(h, small_val(a) + small_val(b));
    return add_or_sub(h, a, b, false, ret_error);
}

term arith_sub(struct heap *h, term a, term b, term *ret_error)
{
    if (LIKELY(both_small(a, b)))
        return heap_int(h, small_val(a) - small_val(b));
    return add_or_sub(h, a, b, true, ret_error);
}

term arith_mul(struct heap *h, term a, term b, term *ret_error)
{
    struct big_view x, y;
    double u, v;
    int64_t product;

    if (LIKELY(both_small(a, b)) &&
        !__builtin_mul_overflow(small_val(a), small_val(b), &product))
        return heap_int(h, product);
    if (big_view(&x, a) && big_view(&y, b))
        return big_mul(h, &x, &y, ret_error);
    if (float_operands(a, b, &u, &v))
        return float_result(h, u * v, ret_error);
    return arith_fail(ret_error, ATOM_badarith);
}

term arith_fdiv(struct heap *h, term a, term b, term *ret_error)
{
    double u, v;

    if (!operand_double(a, &u) || !operand_double(b, &v) || v == 0)
        return arith_fail(ret_error, ATOM_badarith);
    return float_result(h, u / v, ret_error);
}

static term div_or_rem(struct heap *h, term a, term b, bool rem, term *ret_error)
{
    struct big_view x, y;

    if (b == small_make(0))
        return arith_fail(ret_error, ATOM_badarith);
    if (LIKELY(both_small(a, b))) {
        int64_t i = small_val(a), j = small_val(b);

        return rem ? small_make(i % j) : heap_int(h, i / j);
    }
    if (big_view(&x, a) && big_view(&y, b))
        return big_div(h, &x, &y, rem, ret_error);
    return arith_fail(ret_error, ATOM_badarith);
}

term arith_div(struct heap *h, term a, term b, term *ret_error)
{
    return div_or_rem(h, a, b, false, ret_error);
}

term arith_rem(struct heap *h, term a, term b, term *ret_error)
{
    return div_or_rem(h, a, b, true, ret_error);
}

term arith_neg(struct heap *h, term a, term *ret_error)
{
    if (is_float(a))
        return heap_float(h, -flt_val(a));
    return arith_sub(h, small_make(0), a, ret_error);
}

term arith_abs(struct heap *h, term a, term *ret_error)
{
    if (is_float(a))
        return heap_float(h, fabs(flt_val(a)));
    if (is_small(a))
        return heap_int(h, llabs(small_val(a)));
    if (box_is(a, HK_BIGPOS))
        return a;
    if (box_is(a, HK_BIGNEG))
        return arith_neg(h, a, ret_error);
    return arith_fail(ret_error, ATOM_badarg);
}

/* --- between integers and floats -------------------------------------------------------- */

term arith_to_float(struct heap *h, term a, term *ret_error)
{
    double d;

    if (is_float(a))
        return a;
    if (!number_to_double(a, &d))
        return arith_fail(ret_error, ATOM_badarg);
    return heap_float(h, d);
}

static term to_integer(struct heap *h, term a, double (*rounding)(double), term *ret_error)
{
    if (is_integer(a))
        return a;
    if (!is_float(a))
        return arith_fail(ret_error, ATOM_badarg);
    return big_from_double(h, rounding(flt_val(a)));
}

term arith_round(struct heap *h, term a, term *ret_error)
{
    return to_integer(h, a, round, ret_error);
}

term arith_trunc(struct heap *h, term a, term *ret_error)
{
    return to_integer(h, a, trunc, ret_error);
}

term arith_floor(struct heap *h, term a, term *ret_error)
{
    return to_integer(h, a, floor, ret_error);
}

term arith_ceil(struct heap *h, term a, term *ret_error)
{
    return to_integer(h, a, ceil, ret_error);
}
