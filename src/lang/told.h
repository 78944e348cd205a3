/* SPDX-License-Identifier: Apache-2.0 */
/*
 * told.h - what functions of a module tell each other about a value
 *
 * A told is a set of types and, as far as it is known, what is inside: the elements of a tuple,
 * the items of a list, the function behind a fun. It never changes once it is made, is bounded in
 * depth and width, and lives in the arena of the module.
 */
#ifndef LANG_TOLD_H
#define LANG_TOLD_H

#include "lang/low.h"

struct told {
    uint32_t bits;                      /* T_*; 0: no value comes here */
    uint32_t depth;                     /* of what is inside */
    uint32_t n;
    const struct told *const *parts;    /* [n] elements of a tuple of just this size; or NULL */
    const struct told *item;            /* what the elements of a list are, or NULL: anything */
    uint32_t end;                       /* with item: types of what its last tail is */
    struct low_function *fun;           /* of a fun that takes nothing along, or NULL */
};

const struct told *told_bits(struct arena *a, uint32_t bits);
const struct told *told_tuple(struct arena *a, const struct told *const *parts, uint32_t n);
const struct told *told_cons(struct arena *a, const struct told *head, const struct told *tail);
const struct told *told_fun(struct arena *a, struct low_function *fun);
const struct told *told_const(struct arena *a, const struct core_const *c);

/* What is told of a part of the value, which is a tuple, or a cons. */
const struct told *told_part(struct arena *a, const struct told *t, uint32_t i);
const struct told *told_head(struct arena *a, const struct told *t);
const struct told *told_tail(struct arena *a, const struct told *t);

/* What is true of both. This is a itself when b adds nothing. */
const struct told *told_join(struct arena *a, const struct told *x, const struct told *y);

#endif
