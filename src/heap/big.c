/* SPDX-License-Identifier: Apache-2.0 */
/*
 * big.c - addition, multiplication and division of integers of any size
 *
 * The limbs of a bignum are the words after its header, so GMP's mpn functions read operands
 * where they are and write results where they will stay.
 */
#include "heap/big_priv.h"
#include "base/alloc.h"
#include "heap/arith.h"
#include "term/atom.h"

#include <math.h>

mp_limb_t *big_scratch_get(struct big_scratch *s, mp_size_t n)
{
    if (n <= BIG_SCRATCH_LIMBS)
        s->limbs = s->buffer;
    else
        s->limbs = mem_alloc((size_t)n * sizeof(mp_limb_t));
    return s->limbs;
}

void big_scratch_drop(struct big_scratch *s)
{
    if (s->limbs != s->buffer)
        mem_free(s->limbs);
}

term big_finish(struct heap *h, struct big_room r, mp_size_t n, bool negative, term *ret_error)
{
    size_t words = (size_t)r.n + 1;

    ASSERT(n <= r.n);
    while (n > 0 && r.limbs[n - 1] == 0)
        n--;
    if (n <= 1) {
        mp_limb_t low = n == 0 ? 0 : r.limbs[0];

        if (low <= (uint64_t)SMALL_MAX + negative) {
            heap_trim(h, r.got, words, r.got);
            return small_make(negative ? (int64_t)(0 - low) : (int64_t)low);
        }
    }
    if (UNLIKELY(n > BIG_LIMBS_MAX)) {
        heap_trim(h, r.got, words, r.got);
        *ret_error = ATOM_system_limit;
        return TERM_NONE;
    }
    r.got[0] = header_make(negative ? HK_BIGNEG : HK_BIGPOS, n);
    if (n < r.n)
        heap_trim(h, r.got, words, r.got + 1 + n);
    return box_term(r.got);
}

static int limbs_cmp(const struct big_view *a, const struct big_view *b)
{
    if (a->n != b->n)
        return a->n < b->n ? -1 : 1;
    return a->n == 0 ? 0 : mpn_cmp(a->limbs, b->limbs, a->n);
}

term big_add(struct heap *h, const struct big_view *a, const struct big_view *b, bool minus,
             term *ret_error)
{
    bool a_neg = a->negative, b_neg = b->negative != minus;
    int order = limbs_cmp(a, b);
    const struct big_view *large = order >= 0 ? a : b, *little = order >= 0 ? b : a;
    bool negative = order >= 0 ? a_neg : b_neg;
    struct big_room r = big_room(h, large->n + 1);

    if (little->n == 0) {
        mpn_copyi(r.limbs, large->limbs, large->n);
        r.limbs[large->n] = 0;
    } else if (a_neg == b_neg) {
        r.limbs[large->n] = mpn_add(r.limbs, large->limbs, large->n, little->limbs, little->n);
    } else {
        r.limbs[large->n] = 0;
        mpn_sub(r.limbs, large->limbs, large->n, little->limbs, little->n);
    }
    return big_finish(h, r, large->n + 1, negative, ret_error);
}

term big_mul(struct heap *h, const struct big_view *a, const struct big_view *b, term *ret_error)
{
    const struct big_view *large = a->n >= b->n ? a : b, *little = a->n >= b->n ? b : a;
    bool negative = a->negative != b->negative;
    struct big_room r;

    if (little->n == 0)
        return small_make(0);
    if (a->n + b->n > BIG_LIMBS_MAX + 1) {
        *ret_error = ATOM_system_limit;
        return TERM_NONE;
    }
    r = big_room(h, a->n + b->n);
    if (little->n == 1)
        r.limbs[large->n] = mpn_mul_1(r.limbs, large->limbs, large->n, little->limbs[0]);
    else if (a->limbs == b->limbs && a->n == b->n)
        mpn_sqr(r.limbs, a->limbs, a->n);
    else
        mpn_mul(r.limbs, large->limbs, large->n, little->limbs, little->n);
    return big_finish(h, r, r.n, negative, ret_error);
}

static term big_div_limb(struct heap *h, const struct big_view *a, const struct big_view *b,
                         bool rem, term *ret_error)
{
    struct big_room r;
    mp_limb_t left;

    if (rem) {
        left = mpn_mod_1(a->limbs, a->n, b->limbs[0]);
        r = big_room(h, 1);
        r.limbs[0] = left;
        return big_finish(h, r, 1, a->negative, ret_error);
    }
    r = big_room(h, a->n);
    mpn_divrem_1(r.limbs, 0, a->limbs, a->n, b->limbs[0]);
    return big_finish(h, r, a->n, a->negative != b->negative, ret_error);
}

term big_div(struct heap *h, const struct big_view *a, const struct big_view *b, bool rem,
             term *ret_error)
{
    struct big_scratch s;
    struct big_room r;
    mp_size_t quotient_n = a->n - b->n + 1;
    term result;

    ASSERT(b->n > 0);
    if (a->n < b->n) {
        if (!rem)
            return small_make(0);
        r = big_room(h, a->n);
        mpn_copyi(r.limbs, a->limbs, a->n);
        return big_finish(h, r, a->n, a->negative, ret_error);
    }
    if (b->n == 1)
        return big_div_limb(h, a, b, rem, ret_error);
    if (rem) {
        r = big_room(h, b->n);
        mpn_tdiv_qr(big_scratch_get(&s, quotient_n), r.limbs, 0, a->limbs, a->n, b->limbs, b->n);
        result = big_finish(h, r, b->n, a->negative, ret_error);
    } else {
        r = big_room(h, quotient_n);
        mpn_tdiv_qr(r.limbs, big_scratch_get(&s, b->n), 0, a->limbs, a->n, b->limbs, b->n);
        result = big_finish(h, r, quotient_n, a->negative != b->negative, ret_error);
    }
    big_scratch_drop(&s);
    return result;
}

term big_from_double(struct heap *h, double d)
{
    term error;
    struct big_room r;
    int exponent, limb;
    unsigned shift;
    uint64_t mantissa;

    if (d >= -0x1p60 && d < 0x1p60)
        return small_make((int64_t)d);
    /* d = mantissa * 2^exponent with a mantissa of 53 bits; |d| >= 2^60 keeps exponent positive */
    mantissa = (uint64_t)ldexp(frexp(fabs(d), &exponent), 53);
    exponent -= 53;
    limb = exponent / 64;
    shift = (unsigned)exponent % 64;
    r = big_room(h, limb + 2);
    mpn_zero(r.limbs, r.n);
    r.limbs[limb] = mantissa << shift;
    r.limbs[limb + 1] = shift > 11 ? mantissa >> (64 - shift) : 0;
    return big_finish(h, r, r.n, d < 0, &error);
}
