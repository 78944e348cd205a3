/* SPDX-License-Identifier: Apache-2.0 */
/*
 * big_priv.h - integers as sign and limbs, for the arithmetic files of this room only
 *
 * A view lends the limbs of an integer term, a small included, and is good as long as the term
 * is. Results are computed in room from heap_alloc and handed to big_finish, which makes them
 * canonical: no leading zero limbs, and a small when the value fits.
 */
#ifndef HEAP_BIG_PRIV_H
#define HEAP_BIG_PRIV_H

#include "heap/heap.h"

#include <gmp.h>

_Static_assert(GMP_NUMB_BITS == 64, "limbs are whole heap words");
_Static_assert(sizeof(mp_limb_t) == sizeof(term), "limbs are whole heap words");

/* 65,535 limbs: 2^4194240 is the first magnitude refused with system_limit, as in OTP 27. */
#define BIG_LIMBS_MAX 65535

struct big_view {
    const mp_limb_t *limbs;
    mp_size_t n;                /* 0 for the integer 0; else limbs[n-1] != 0 */
    bool      negative;
    mp_limb_t one;              /* the magnitude of a small */
};

/* The limbs of t. A view must not be copied: it may point into itself. False: not an integer. */
ALWAYS_INLINE bool big_view(struct big_view *v, term t)
{
    if (is_small(t)) {
        int64_t i = small_val(t);

        v->negative = i < 0;
        v->one = i < 0 ? 0 - (uint64_t)i : (uint64_t)i;
        v->limbs = &v->one;
        v->n = i != 0;
        return true;
    }
    if (!is_big(t))
        return false;
    v->negative = header_kind(box_header(t)) == HK_BIGNEG;
    v->limbs = (const mp_limb_t *)box_ptr(t) + 1;
    v->n = (mp_size_t)header_size(box_header(t));
    return true;
}

/* Room for a result of n limbs. */
struct big_room {
    term     *got;
    mp_limb_t *limbs;
    mp_size_t n;
};

ALWAYS_INLINE struct big_room big_room(struct heap *h, mp_size_t n)
{
    term *got = heap_alloc(h, (size_t)n + 1);

    return (struct big_room){ got, (mp_limb_t *)got + 1, n };
}

/* Turn the low n limbs of the room into a term and give the rest back. It must be the newest
 * heap_alloc of h. TERM_NONE and *ret_error = system_limit above BIG_LIMBS_MAX. */
term big_finish(struct heap *h, struct big_room r, mp_size_t n, bool negative, term *ret_error);

/* |a| + |b| or |a| - |b| with the sign worked out: a + b when !minus. */
term big_add(struct heap *h, const struct big_view *a, const struct big_view *b, bool minus,
             term *ret_error);
term big_mul(struct heap *h, const struct big_view *a, const struct big_view *b, term *ret_error);
/* Truncating division, b not 0: the quotient, or the remainder when rem. */
term big_div(struct heap *h, const struct big_view *a, const struct big_view *b, bool rem,
             term *ret_error);

/* Scratch limbs: from the stack buffer when they fit, else from memory. */
#define BIG_SCRATCH_LIMBS 128
struct big_scratch {
    mp_limb_t *limbs;
    mp_limb_t  buffer[BIG_SCRATCH_LIMBS];
};
mp_limb_t *big_scratch_get(struct big_scratch *s, mp_size_t n);
void big_scratch_drop(struct big_scratch *s);

#endif
