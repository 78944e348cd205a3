/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stack.h - the growing stack of words that walks of deep terms use instead of the C stack
 *
 * A local variable of the walking function; stack_fini on every way out.
 */
#ifndef TERM_STACK_H
#define TERM_STACK_H

#include "base/alloc.h"
#include "term/term.h"

#define TERM_STACK_FIXED 96

struct term_stack {
    term *base;
    size_t len, cap;
    term fixed[TERM_STACK_FIXED];
};

ALWAYS_INLINE void stack_init(struct term_stack *st)
{
    st->base = st->fixed;
    st->len = 0;
    st->cap = TERM_STACK_FIXED;
}

ALWAYS_INLINE void stack_fini(struct term_stack *st)
{
    if (UNLIKELY(st->base != st->fixed))
        mem_free(st->base);
}

static NOINLINE UNUSED void stack_grow(struct term_stack *st)
{
    term *old = st->base;

    st->base = mem_realloc(old == st->fixed ? NULL : old, 2 * st->cap * sizeof(term));
    if (old == st->fixed)
        memcpy(st->base, st->fixed, sizeof st->fixed);
    st->cap *= 2;
}

ALWAYS_INLINE void stack_push(struct term_stack *st, term w)
{
    if (UNLIKELY(st->len == st->cap))
        stack_grow(st);
    st->base[st->len++] = w;
}

ALWAYS_INLINE void stack_push2(struct term_stack *st, term a, term b)
{
    stack_push(st, a);
    stack_push(st, b);
}

ALWAYS_INLINE term stack_pop(struct term_stack *st)
{
    return st->base[--st->len];
}

#endif
