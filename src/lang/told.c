/* SPDX-License-Identifier: Apache-2.0 */
/*
 * told.c - see told.h
 */
#include "lang/told.h"

#define DEPTH_MAX 3         /* a list of tuples in a tuple */
#define PARTS_MAX 16
#define ITEMS_MAX 64        /* of a constant list that are looked at */

static struct told *told_new(struct arena *a, uint32_t bits)
{
    struct told *t = ARENA_NEW(a, struct told);

    t->bits = bits;
    return t;
}

const struct told *told_bits(struct arena *a, uint32_t bits)
{
    return told_new(a, bits);
}

/* t as something inside of another. */
static const struct told *inside(struct arena *a, struct told *outer, const struct told *t)
{
    if (t->depth >= DEPTH_MAX)
        t = told_bits(a, t->bits);
    if (outer->depth <= t->depth)
        outer->depth = t->depth + 1;
    return t;
}

static void set_parts(struct arena *a, struct told *t, const struct told *const *parts, uint32_t n)
{
    const struct told **copy = ARENA_NEW_ARRAY(a, const struct told *, n + 1);

    for (uint32_t i = 0; i < n; i++)
        copy[i] = inside(a, t, parts[i]);
    t->parts = copy;
    t->n = n;
}

const struct told *told_tuple(struct arena *a, const struct told *const *parts, uint32_t n)
{
    struct told *t = told_new(a, T_TUPLE);

    if (n <= PARTS_MAX)
        set_parts(a, t, parts, n);
    return t;
}

const struct told *told_cons(struct arena *a, const struct told *head, const struct told *tail)
{
    struct told *t = told_new(a, T_CONS);
    bool longer = (tail->bits & T_CONS) != 0;

    if (longer && tail->item == NULL)
        return t;
    t->item = inside(a, t, longer ? told_join(a, head, tail->item) : head);
    t->end = (tail->bits & ~(uint32_t)T_CONS) | (longer ? tail->end : 0);
    return t;
}

const struct told *told_fun(struct arena *a, struct low_function *fun)
{
    struct told *t = told_new(a, T_FUN);

    t->fun = fun;
    return t;
}

static const struct told *const_told(struct arena *a, const struct core_const *c, uint32_t depth)
{
    const struct told *parts[PARTS_MAX], *list;
    struct told *t;

    if (depth == 0)
        return told_bits(a, low_const_type(c));
    if (c->kind == CC_TUPLE && c->n <= PARTS_MAX) {
        for (uint32_t i = 0; i < c->n; i++)
            parts[i] = const_told(a, c->elements[i], depth - 1);
        return told_tuple(a, parts, c->n);
    }
    if (c->kind != CC_CONS)
        return told_bits(a, low_const_type(c));
    list = told_bits(a, 0);
    t = told_new(a, T_CONS);
    for (uint32_t i = 0; c->kind == CC_CONS; c = c->tail, i++) {
        if (i == ITEMS_MAX)
            return t;
        list = told_join(a, list, const_told(a, c->head, depth - 1));
    }
    t->item = inside(a, t, list);
    t->end = low_const_type(c);
    return t;
}

const struct told *told_const(struct arena *a, const struct core_const *c)
{
    return const_told(a, c, DEPTH_MAX);
}

const struct told *told_part(struct arena *a, const struct told *t, uint32_t i)
{
    if ((t->bits & T_TUPLE) == 0)
        return told_bits(a, 0);
    return t->parts != NULL && i < t->n ? t->parts[i] : told_bits(a, T_ANY);
}

const struct told *told_head(struct arena *a, const struct told *t)
{
    if ((t->bits & T_CONS) == 0)
        return told_bits(a, 0);
    return t->item != NULL ? t->item : told_bits(a, T_ANY);
}

const struct told *told_tail(struct arena *a, const struct told *t)
{
    struct told *tail;

    if ((t->bits & T_CONS) == 0)
        return told_bits(a, 0);
    if (t->item == NULL)
        return told_bits(a, T_ANY);
    tail = told_new(a, T_CONS | t->end);
    tail->item = inside(a, tail, t->item);
    tail->end = t->end;
    return tail;
}

/* --- joining ---------------------------------------------------------------------------------- */

static void join_parts(struct arena *a, struct told *t, const struct told *x, const struct told *y)
{
    const struct told *parts[PARTS_MAX];

    if ((x->bits & y->bits & T_TUPLE) == 0) {
        x = (x->bits & T_TUPLE) != 0 ? x : y;
        if (x->parts != NULL)
            set_parts(a, t, x->parts, x->n);
        return;
    }
    if (x->parts == NULL || y->parts == NULL || x->n != y->n)
        return;
    for (uint32_t i = 0; i < x->n; i++)
        parts[i] = told_join(a, x->parts[i], y->parts[i]);
    set_parts(a, t, parts, x->n);
}

static void join_items(struct arena *a, struct told *t, const struct told *x, const struct told *y)
{
    if ((x->bits & y->bits & T_CONS) == 0) {
        x = (x->bits & T_CONS) != 0 ? x : y;
        if (x->item != NULL)
            t->item = inside(a, t, x->item);
        t->end = x->end;
    } else if (x->item != NULL && y->item != NULL) {
        t->item = inside(a, t, told_join(a, x->item, y->item));
        t->end = x->end | y->end;
    }
}

static bool same(const struct told *x, const struct told *y)
{
    if (x == y)
        return true;
    if (x == NULL || y == NULL || x->bits != y->bits || x->n != y->n || x->end != y->end
        || x->fun != y->fun || (x->parts == NULL) != (y->parts == NULL) || !same(x->item, y->item))
        return false;
    for (uint32_t i = 0; i < x->n; i++)
        if (!same(x->parts[i], y->parts[i]))
            return false;
    return true;
}

const struct told *told_join(struct arena *a, const struct told *x, const struct told *y)
{
    struct told *t;

    if (x == y || y->bits == 0)
        return x;
    if (x->bits == 0)
        return y;
    t = told_new(a, x->bits | y->bits);
    join_parts(a, t, x, y);
    join_items(a, t, x, y);
    if ((x->bits & y->bits & T_FUN) == 0)
        t->fun = (x->bits & T_FUN) != 0 ? x->fun : y->fun;
    else
        t->fun = x->fun == y->fun ? x->fun : NULL;
    return same(x, t) ? x : t;
}
