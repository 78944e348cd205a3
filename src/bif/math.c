/* SPDX-License-Identifier: Apache-2.0 */
/*
 * math.c - the functions of math
 *
 * Arguments that are no numbers are badarg; arguments too large for a double, and results that
 * are not finite, are badarith.
 */
#include "bif/bif.h"

#include "heap/arith.h"
#include "term/atom.h"

#include <math.h>

static term math_result(struct process *p, double d)
{
    return isfinite(d) ? heap_float(&p->heap, d) : bif_error(p, ATOM_badarith);
}

static term math_1(struct process *p, const term *a, double (*fn)(double))
{
    double x;

    if (!is_number(a[0]))
        return bif_badarg(p);
    if (!number_to_double(a[0], &x))
        return bif_error(p, ATOM_badarith);
    return math_result(p, fn(x));
}

static term math_2(struct process *p, const term *a, double (*fn)(double, double))
{
    double x, y;

    if (!is_number(a[0]) || !is_number(a[1]))
        return bif_badarg(p);
    if (!number_to_double(a[0], &x) || !number_to_double(a[1], &y))
        return bif_error(p, ATOM_badarith);
    return math_result(p, fn(x, y));
}

#define MATH_1(fn) \
    term bif_math_##fn(struct process *p, const term *a) { return math_1(p, a, fn); }
#define MATH_2(fn) \
    term bif_math_##fn(struct process *p, const term *a) { return math_2(p, a, fn); }

MATH_1(acos)
MATH_1(acosh)
MATH_1(asin)
MATH_1(asinh)
MATH_1(atan)
MATH_2(atan2)
MATH_1(atanh)
MATH_1(ceil)
MATH_1(cos)
MATH_1(cosh)
MATH_1(erf)
MATH_1(erfc)
MATH_1(exp)
MATH_1(floor)
MATH_2(fmod)
MATH_1(log)
MATH_1(log10)
MATH_1(log2)
MATH_2(pow)
MATH_1(sin)
MATH_1(sinh)
MATH_1(sqrt)
MATH_1(tan)
MATH_1(tanh)

#undef MATH_1
#undef MATH_2

term bif_math_pi(struct process *p, const term *a)
{
    return heap_float(&p->heap, M_PI);
}

term bif_math_tau(struct process *p, const term *a)
{
    return heap_float(&p->heap, 2 * M_PI);
}
