/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bitwise.c - band, bor, bxor, bnot and the shifts
 *
 * Integers behave as infinite two's complement. A bignum is sign and magnitude, so operands are
 * complemented on the way in and the result on the way out, limb by limb in one pass.
 */
#include "heap/arith.h"
#include "heap/big_priv.h"
#include "term/atom.h"

#include <stdlib.h>

enum bit_op { BIT_AND, BIT_OR, BIT_XOR };

/* Limbs of an operand in two's complement, least significant first, without end. */
struct complement {
    const struct big_view *v;
    mp_size_t at;
    mp_limb_t carry;            /* of the +1 in ~magnitude + 1 */
};

static mp_limb_t complement_next(struct complement *c)
{
    mp_limb_t limb = c->at < c->v->n ? c->v->limbs[c->at] : 0;

    c->at++;
    if (!c->v->negative)
        return limb;
    limb = ~limb + c->carry;
    c->carry = c->carry && limb == 0;
    return limb;
}

static mp_limb_t bit_apply(enum bit_op op, mp_limb_t a, mp_limb_t b)
{
    return op == BIT_AND ? a & b : op == BIT_OR ? a | b : a ^ b;
}

static term bitwise(struct heap *h, enum bit_op op, term a, term b, term *ret_error)
{
    struct big_view x, y;
    struct complement cx = { &x, 0, 1 }, cy = { &y, 0, 1 };
    struct big_room r;
    mp_limb_t carry = 1;
    bool negative;
    int64_t i, j;

    if (term_to_int64(a, &i) && term_to_int64(b, &j))
        return heap_int(h, (int64_t)bit_apply(op, (mp_limb_t)i, (mp_limb_t)j));
    if (!big_view(&x, a) || !big_view(&y, b)) {
        *ret_error = ATOM_badarith;
        return TERM_NONE;
    }
    negative = bit_apply(op, x.negative, y.negative) & 1;
    r = big_room(h, (x.n > y.n ? x.n : y.n) + 1);
    for (mp_size_t k = 0; k < r.n; k++) {
        mp_limb_t limb = bit_apply(op, complement_next(&cx), complement_next(&cy));

        if (negative) {
            limb = ~limb + carry;
            carry = carry && limb == 0;
        }
        r.limbs[k] = limb;
    }
    return big_finish(h, r, r.n, negative, ret_error);
}

term arith_band(struct heap *h, term a, term b, term *ret_error)
{
    return both_small(a, b) ? (a & b) : bitwise(h, BIT_AND, a, b, ret_error);
}

term arith_bor(struct heap *h, term a, term b, term *ret_error)
{
    return both_small(a, b) ? (a | b) : bitwise(h, BIT_OR, a, b, ret_error);
}

term arith_bxor(struct heap *h, term a, term b, term *ret_error)
{
    return both_small(a, b) ? (a ^ b) : bitwise(h, BIT_XOR, a, b, ret_error);
}

term arith_bnot(struct heap *h, term a, term *ret_error)
{
    if (is_small(a))
        return small_make(~small_val(a));
    if (!is_big(a)) {
        *ret_error = ATOM_badarith;
        return TERM_NONE;
    }
    return arith_sub(h, small_make(-1), a, ret_error);
}

/* --- shifts ------------------------------------------------------------------------------- */

static term shift_left(struct heap *h, const struct big_view *x, uint64_t count, term *ret_error)
{
    mp_size_t limbs;
    struct big_room r;

    if (x->n == 0)
        return small_make(0);
    if (count / 64 + (uint64_t)x->n > BIG_LIMBS_MAX + 1) {
        *ret_error = ATOM_system_limit;
        return TERM_NONE;
    }
    limbs = (mp_size_t)(count / 64);
    r = big_room(h, x->n + limbs + 1);
    if (limbs > 0)
        mpn_zero(r.limbs, limbs);
    if (count % 64 != 0) {
        r.limbs[r.n - 1] = mpn_lshift(r.limbs + limbs, x->limbs, x->n, count % 64);
    } else {
        mpn_copyi(r.limbs + limbs, x->limbs, x->n);
        r.limbs[r.n - 1] = 0;
    }
    return big_finish(h, r, r.n, x->negative, ret_error);
}

/* Arithmetic shift: rounds towards minus infinity, so a negative magnitude grows by one when any
 * bit that is not zero falls off. */
static term shift_right(struct heap *h, const struct big_view *x, uint64_t count, term *ret_error)
{
    mp_size_t limbs, n;
    struct big_room r;
    bool lost = false;

    if (count / 64 >= (uint64_t)x->n)
        return small_make(x->negative ? -1 : 0);
    limbs = (mp_size_t)(count / 64);
    n = x->n - limbs;
    for (mp_size_t i = 0; i < limbs && !lost; i++)
        lost = x->limbs[i] != 0;
    r = big_room(h, n + 1);
    if (count % 64 != 0)
        lost |= mpn_rshift(r.limbs, x->limbs + limbs, n, count % 64) != 0;
    else
        mpn_copyi(r.limbs, x->limbs + limbs, n);
    r.limbs[n] = x->negative && lost ? mpn_add_1(r.limbs, r.limbs, n, 1) : 0;
    return big_finish(h, r, n + 1, x->negative, ret_error);
}

static term shift(struct heap *h, term a, term b, bool left, term *ret_error)
{
    struct big_view x, count;
    uint64_t bits;

    if (!big_view(&x, a) || !big_view(&count, b)) {
        *ret_error = ATOM_badarith;
        return TERM_NONE;
    }
    bits = count.n == 0 ? 0 : count.n == 1 ? count.limbs[0] : UINT64_MAX;
    if (left != count.negative)
        return shift_left(h, &x, bits, ret_error);
    return shift_right(h, &x, bits, ret_error);
}

term arith_bsl(struct heap *h, term a, term b, term *ret_error)
{
    if (LIKELY(both_small(a, b) && small_val(b) >= 0 && small_val(b) < 62)) {
        int64_t v = small_val(a), shifted = (int64_t)((uint64_t)v << small_val(b));

        if (shifted >> small_val(b) == v)
            return heap_int(h, shifted);
    }
    return shift(h, a, b, true, ret_error);
}

term arith_bsr(struct heap *h, term a, term b, term *ret_error)
{
    if (LIKELY(both_small(a, b) && small_val(b) >= 0))
        return small_make(small_val(a) >> (small_val(b) > 63 ? 63 : small_val(b)));
    return shift(h, a, b, false, ret_error);
}
