/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ets_update.c - update_counter and update_element
 *
 * All changes of one call are made on a scratch copy of the object's words and take effect
 * together; when every word changed was and stays immediate they go straight into the row.
 */
#include "bif/ets_priv.h"
#include "base/alloc.h"
#include "heap/arith.h"

#define FEW_WORDS 16

struct change {
    struct heap *heap;
    uint32_t keypos;
    bool     counters;
    term     ops;           /* a proper list */
    term     scratch;       /* tuple in few or in memory of our own; TERM_NONE: not made */
    term     results;       /* values of counters, last first */
    bool     failed;
    term     cause;         /* of the failure, or TERM_NONE */
    term     few[FEW_WORDS];
};

static void change_init(struct change *c, struct process *p, struct table *t, bool counters)
{
    c->heap = &p->heap;
    c->keypos = t->keypos;
    c->counters = counters;
    c->failed = false;
    c->scratch = c->cause = TERM_NONE;
    c->results = TERM_NIL;
}

static bool fail(struct change *c, term cause)
{
    c->failed = true;
    c->cause = cause;
    return false;
}

/* The object as a tuple outside any heap; its elements are those of the object. */
static void scratch_make(struct change *c, term object)
{
    size_t words = TUPLE_WORDS(tuple_arity(object));

    if (words > FEW_WORDS) {
        c->scratch = box_term((term *)mem_dup(box_ptr(object), words * sizeof(term)));
        return;
    }
    memcpy(c->few, box_ptr(object), words * sizeof(term));
    c->scratch = box_term(c->few);
}

static void scratch_free(struct change *c)
{
    if (c->scratch != TERM_NONE && box_ptr(c->scratch) != c->few)
        mem_free(box_ptr(c->scratch));
    c->scratch = TERM_NONE;
}

/* Index (from 0) of position pos in the scratch object. */
static bool position(struct change *c, term pos, size_t *ret)
{
    if (!is_small(pos) || small_val(pos) < 1)
        return fail(c, TERM_NONE);
    if (small_val(pos) == c->keypos)
        return fail(c, ATOM_keypos);
    if (small_val(pos) > (int64_t)tuple_arity(c->scratch))
        return fail(c, c->counters ? ATOM_position : TERM_NONE);
    *ret = (size_t)small_val(pos) - 1;
    return true;
}

/* Incr, {Pos, Incr} or {Pos, Incr, Threshold, SetValue}. */
static bool counter_op(struct change *c, term op)
{
    term pos = small_make(c->keypos + 1), incr = op, value, error;
    bool limited = is_tuple_n(op, 4);
    size_t i;

    if (is_tuple_n(op, 2) || limited) {
        pos = tuple_elem(op, 0);
        incr = tuple_elem(op, 1);
    }
    if (!is_integer(incr) ||
        (limited && (!is_integer(tuple_elem(op, 2)) || !is_integer(tuple_elem(op, 3)))))
        return fail(c, TERM_NONE);
    if (!position(c, pos, &i))
        return false;
    if (!is_integer(tuple_elem(c->scratch, i)))
        return fail(c, TERM_NONE);
    value = arith_add(c->heap, tuple_elem(c->scratch, i), incr, &error);
    if (value == TERM_NONE)
        return fail(c, TERM_NONE);
    if (limited && (number_cmp(incr, small_make(0)) >= 0
                        ? number_cmp(value, tuple_elem(op, 2)) > 0
                        : number_cmp(value, tuple_elem(op, 2)) < 0))
        value = tuple_elem(op, 3);
    tuple_elem(c->scratch, i) = value;
    c->results = heap_cons(c->heap, value, c->results);
    return true;
}

static bool element_op(struct change *c, term op)
{
    size_t i;

    if (!is_tuple_n(op, 2))
        return fail(c, TERM_NONE);
    if (!position(c, tuple_elem(op, 0), &i))
        return false;
    tuple_elem(c->scratch, i) = tuple_elem(op, 1);
    return true;
}

/* Run all operations on a scratch copy of object. */
static bool ops_run(struct change *c, term object)
{
    scratch_make(c, object);
    c->results = TERM_NIL;
    for (term l = c->ops; is_cons(l); l = cdr(l))
        if (!(c->counters ? counter_op(c, car(l)) : element_op(c, car(l))))
            return false;
    return true;
}

static term change_object(term object, void *ctx)
{
    struct change *c = ctx;
    size_t n = tuple_arity(object);
    bool in_place = true;

    if (!ops_run(c, object))
        return TERM_NONE;
    for (size_t i = 0; i < n && in_place; i++)
        in_place = tuple_elem(object, i) == tuple_elem(c->scratch, i) ||
                   (!is_ptr(tuple_elem(object, i)) && !is_ptr(tuple_elem(c->scratch, i)));
    if (!in_place)
        return c->scratch;
    for (size_t i = 0; i < n; i++)
        tuple_elem(object, i) = tuple_elem(c->scratch, i);
    return TERM_NONE;
}

/* The key is new: apply the operations to object with this key, and insert that. 1, 0: the key has
 * appeared meanwhile, or a negative code; failures are in c. */
static int insert_default(struct table *t, struct change *c, term key, term object)
{
    term cell[2], *at = cell;
    int rc;

    if (!ops_run(c, object))
        return 1;
    tuple_elem(c->scratch, t->keypos - 1) = key;
    rc = table_insert_new_list(t, cons_make(&at, c->scratch, TERM_NIL));
    scratch_free(c);
    return rc;
}

/* 1: done or failed; 0: no such key; TABLE_GONE. */
static int change_run(struct table *t, struct change *c, term key, term missing)
{
    int rc;

    do {
        rc = table_update(t, key, change_object, c);
        scratch_free(c);
        if (rc != 0 || missing == TERM_NONE)
            break;
        rc = insert_default(t, c, key, missing);
        scratch_free(c);
    } while (rc == 0);
    return rc;
}

static term failure(struct process *p, const struct change *c)
{
    return c->cause == TERM_NONE ? bif_badarg(p) : bif_badarg_cause(p, c->cause);
}

static bool is_unique(const struct table *t)
{
    return t->type == TABLE_SET || t->type == TABLE_ORDERED_SET;
}

/* Leave the built-in if what an object would get cannot be stored. */
#define CHECK_STORABLE(p, t, key, ops, missing) \
    do { \
        ETS_STORABLE(p, t, persist_check_part, ops); \
        if ((missing) != TERM_NONE) { \
            ETS_STORABLE(p, t, persist_check_part, missing); \
            ETS_STORABLE(p, t, persist_check_key, key); \
        } \
    } while (0)

/* A small number is added to a small number of the object. */
struct bump {
    uint32_t keypos;
    int64_t  pos, incr;
    term     value;         /* what it has become; TERM_NONE: nothing has changed */
};

static term bump_object(term object, void *ctx)
{
    struct bump *b = ctx;
    term was;

    if (UNLIKELY((uint64_t)b->pos > tuple_arity(object) || b->pos == b->keypos))
        return TERM_NONE;
    was = tuple_elem(object, b->pos - 1);
    if (LIKELY(is_small(was) && fits_small(small_val(was) + b->incr)))
        tuple_elem(object, b->pos - 1) = b->value = small_make(small_val(was) + b->incr);
    return TERM_NONE;
}

/* TERM_NONE: it is no such counter, or there is more to be said; then nothing has changed. */
static term bump(struct table *t, term key, term op)
{
    struct bump b = { t->keypos, (int64_t)t->keypos + 1, 0, TERM_NONE };

    if (is_tuple_n(op, 2) && is_small(tuple_elem(op, 0))) {
        b.pos = small_val(tuple_elem(op, 0));
        op = tuple_elem(op, 1);
    }
    if (!is_small(op) || b.pos < 1)
        return TERM_NONE;
    b.incr = small_val(op);
    table_update(t, key, bump_object, &b);
    return b.value;
}

/* Any operations; missing: the object to start with if there is none, or TERM_NONE. */
static NOINLINE term count(struct process *p, struct table *t, const term *a, term missing)
{
    bool many = is_list(a[2]);
    struct change c;
    term cell[2], *at = cell, results = TERM_NIL;
    int rc;

    change_init(&c, p, t, true);
    c.ops = many ? a[2] : cons_make(&at, a[2], TERM_NIL);
    if (list_length(c.ops) < 0 || (missing != TERM_NONE && !table_is_object(t, missing)))
        return bif_badarg(p);
    CHECK_STORABLE(p, t, a[1], a[2], missing);
    rc = change_run(t, &c, a[1], missing);
    if (c.failed)
        return failure(p, &c);
    if (rc <= 0)
        return bif_badarg_cause(p, rc == 0 ? ATOM_badkey : ATOM_id);
    if (!many)
        return ets_written(p, t, car(c.results));
    for (term l = c.results; is_cons(l); l = cdr(l))
        results = heap_cons(&p->heap, car(l), results);
    return ets_written(p, t, results);
}

ALWAYS_INLINE term update_counter(struct process *p, const term *a, term missing)
{
    term result = TERM_NONE;
    ETS_TABLE(p, t, a[0], ETS_WRITE);

    if (!is_unique(t))
        return bif_badarg_cause(p, ATOM_table_type);
    if (LIKELY(t->persist == NULL && (missing == TERM_NONE || table_is_object(t, missing))))
        result = bump(t, a[1], a[2]);
    return LIKELY(result != TERM_NONE) ? result : count(p, t, a, missing);
}

term bif_ets_update_counter_3(struct process *p, const term *a)
{
    return update_counter(p, a, TERM_NONE);
}

term bif_ets_update_counter_4(struct process *p, const term *a)
{
    return update_counter(p, a, a[3]);
}

/* A word takes the place of a word. */
struct put {
    uint32_t keypos;
    int64_t  pos;
    term     value;
    bool     done;
};

static term put_object(term object, void *ctx)
{
    struct put *q = ctx;

    if (UNLIKELY((uint64_t)q->pos > tuple_arity(object) || q->pos == q->keypos))
        return TERM_NONE;
    q->done = !is_ptr(tuple_elem(object, q->pos - 1));
    if (LIKELY(q->done))
        tuple_elem(object, q->pos - 1) = q->value;
    return TERM_NONE;
}

/* False: op is no such element, or there is more to be said; then nothing has changed. */
static bool put(struct table *t, term key, term op)
{
    struct put q = { .keypos = t->keypos };

    if (!is_tuple_n(op, 2) || !is_small(tuple_elem(op, 0)) || is_ptr(tuple_elem(op, 1)))
        return false;
    q.pos = small_val(tuple_elem(op, 0));
    q.value = tuple_elem(op, 1);
    if (q.pos >= 1)
        table_update(t, key, put_object, &q);
    return q.done;
}

static term update_element(struct process *p, const term *a, term missing)
{
    struct change c;
    term cell[2], *at = cell;
    int rc;
    ETS_TABLE(p, t, a[0], ETS_WRITE);

    if (!is_unique(t))
        return bif_badarg(p);
    if (t->persist == NULL && (missing == TERM_NONE || table_is_object(t, missing)) &&
        put(t, a[1], a[2]))
        return ATOM_true;
    change_init(&c, p, t, false);
    c.ops = is_tuple(a[2]) ? cons_make(&at, a[2], TERM_NIL) : a[2];
    if (list_length(c.ops) < 0 || (missing != TERM_NONE && !table_is_object(t, missing)))
        return bif_badarg(p);
    CHECK_STORABLE(p, t, a[1], a[2], missing);
    rc = change_run(t, &c, a[1], missing);
    if (c.failed)
        return failure(p, &c);
    if (rc < 0)
        return bif_badarg_cause(p, ATOM_id);
    return ets_written(p, t, rc > 0 ? ATOM_true : ATOM_false);
}

term bif_ets_update_element_3(struct process *p, const term *a)
{
    return update_element(p, a, TERM_NONE);
}

term bif_ets_update_element_4(struct process *p, const term *a)
{
    return update_element(p, a, a[3]);
}
