/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lists.c - searching, appending and subtracting lists
 *
 * The first LIST_QUICK cells are walked at once. A list that is found longer than that is walked
 * anew as a long call, which shares its scheduler with others: so the arguments of an exception are
 * those of the caller, and what it costs is less than a reduction in a hundred.
 */
#include "bif/bif.h"
#include "base/alloc.h"
#include "base/fiber.h"
#include "term/compare.h"

#define ELEMENTS_PER_REDUCTION 16
#define LIST_QUICK             4000
#define NO_LIMIT               INT64_MAX

static void charge_steps(struct process *p, int64_t n)
{
    charge(p, n / ELEMENTS_PER_REDUCTION);
}

/* The number of cells, at most max. *list moves to what follows them. */
static int64_t skip_cells(term *list, int64_t max)
{
    int64_t n = 0;

    while (is_cons(*list) && n < max) {
        *list = cdr(*list);
        n = fiber_step(n);
    }
    return n;
}

/* --- searching ---------------------------------------------------------------------------- */

/* Move *list to its first cell whose element is key, max cells at most; how many were passed. */
static int64_t find_member(term key, term *list, int64_t max)
{
    int64_t n = 0;
    term l = *list;

    if (!is_ptr(key)) {
        for (; is_cons(l) && car(l) != key && n < max; l = cdr(l))
            n = fiber_step(n);
    } else {
        for (; is_cons(l) && !term_eq(key, car(l)) && n < max; l = cdr(l))
            n = fiber_step(n);
    }
    *list = l;
    return n;
}

static term member_result(struct process *p, term found)
{
    return is_cons(found) ? ATOM_true : is_nil(found) ? ATOM_false : bif_badarg(p);
}

static term member_long(struct process *p, const term *a)
{
    term list = a[1];

    find_member(a[0], &list, NO_LIMIT);
    return member_result(p, list);
}

term bif_lists_member(struct process *p, const term *a)
{
    term list = a[1];
    int64_t n = find_member(a[0], &list, LIST_QUICK);

    charge_steps(p, n);
    return n < LIST_QUICK ? member_result(p, list) : bif_long(p, member_long, 2, a);
}

/* The same for the first tuple whose at-th element == key. */
static int64_t find_key(term key, size_t at, term *list, int64_t max)
{
    int64_t n = 0;

    for (; is_cons(*list) && n < max; *list = cdr(*list), n = fiber_step(n)) {
        term t = car(*list);

        if (is_tuple(t) && tuple_arity(t) >= at && term_equal(key, tuple_elem(t, at - 1)))
            break;
    }
    return n;
}

/* What lists:keyfind(Key, Pos, List) and its kin make of the cell found. */
typedef term key_result(struct process *p, term found);

static term key_long(struct process *p, const term *a, key_result *result)
{
    term list = a[2];

    find_key(a[0], (size_t)small_val(a[1]), &list, NO_LIMIT);
    return result(p, list);
}

static term key_find(struct process *p, const term *a, key_result *result, bif_fn *walk_on)
{
    term list = a[2];
    int64_t n;

    if (!is_small(a[1]) || small_val(a[1]) < 1)
        return bif_badarg(p);
    n = find_key(a[0], (size_t)small_val(a[1]), &list, LIST_QUICK);
    charge_steps(p, n);
    return n < LIST_QUICK ? result(p, list) : bif_long(p, walk_on, 3, a);
}

static term keyfind_result(struct process *p, term found)
{
    return is_cons(found) ? car(found) : is_nil(found) ? ATOM_false : bif_badarg(p);
}

static term keysearch_result(struct process *p, term found)
{
    return is_cons(found) ? heap_tuple2(&p->heap, ATOM_value, car(found))
                          : keyfind_result(p, found);
}

static term keyfind_long(struct process *p, const term *a)
{
    return key_long(p, a, keyfind_result);
}

static term keymember_long(struct process *p, const term *a)
{
    return key_long(p, a, member_result);
}

static term keysearch_long(struct process *p, const term *a)
{
    return key_long(p, a, keysearch_result);
}

term bif_lists_keyfind(struct process *p, const term *a)
{
    return key_find(p, a, keyfind_result, keyfind_long);
}

term bif_lists_keymember(struct process *p, const term *a)
{
    return key_find(p, a, member_result, keymember_long);
}

term bif_lists_keysearch(struct process *p, const term *a)
{
    return key_find(p, a, keysearch_result, keysearch_long);
}

/* --- copying ------------------------------------------------------------------------------ */

/* A list is built while it is walked the first time, in the room that the block still has (or a
 * part of it); what is left over goes back. Only what does not fit is counted first. */
struct conses {
    term *got, *at, *end;
};

static struct conses conses_take(struct heap *h, size_t max)
{
    size_t words = (size_t)(h->E - h->H), n = words > 64 ? (words - 8) / CONS_WORDS : 0;
    term *got;

    if (n > max)
        n = max;
    got = heap_alloc(h, n * CONS_WORDS);
    return (struct conses){ got, got, got + n * CONS_WORDS };
}

static void conses_end(struct heap *h, struct conses *c)
{
    heap_trim(h, c->got, (size_t)(c->end - c->got), c->at);
}

/* Put the cells of *list in front of result until c is full; *list moves on. */
static term reverse_onto(struct conses *c, term *list, term result)
{
    term *at = c->at, *const end = c->end, rest = *list;
    int64_t n = 0;

    for (; is_cons(rest) && at < end; rest = cdr(rest), n = fiber_step(n))
        result = cons_make(&at, car(rest), result);
    c->at = at;
    *list = rest;
    return result;
}

/* reverse/2 as far as max cells go; false: there are more. */
static bool reverse(struct process *p, const term *a, int64_t max, term *ret)
{
    struct conses c = conses_take(&p->heap, (size_t)max);
    term list = a[0], rest, result = reverse_onto(&c, &list, a[1]);
    int64_t n;

    conses_end(&p->heap, &c);
    rest = list;
    n = skip_cells(&rest, max - (c.at - c.got) / CONS_WORDS);
    if (is_cons(rest))
        return false;
    if (n > 0) {
        c.at = heap_alloc(&p->heap, (size_t)n * CONS_WORDS);
        c.end = c.at + n * CONS_WORDS;
        result = reverse_onto(&c, &list, result);
    }
    *ret = is_nil(rest) ? result : bif_badarg(p);
    return true;
}

static term reverse_long(struct process *p, const term *a)
{
    term result = TERM_NIL;

    (void)!reverse(p, a, NO_LIMIT, &result);
    return result;
}

term bif_lists_reverse(struct process *p, const term *a)
{
    term result, *before = p->heap.H;

    if (LIKELY(reverse(p, a, LIST_QUICK, &result))) {
        charge_steps(p, (p->heap.H - before) / CONS_WORDS);
        return result;
    }
    return bif_long(p, reverse_long, 2, a);
}

/* Copy the cells of *list until c is full; the last of them ends in nothing yet. */
static void copy_cells(struct conses *c, term *list)
{
    term *at = c->at, *const end = c->end, rest = *list;
    int64_t n = 0;

    for (; is_cons(rest) && at < end; rest = cdr(rest), n = fiber_step(n)) {
        at[0] = car(rest);
        at[1] = cons_term(at + CONS_WORDS);
        at += CONS_WORDS;
    }
    c->at = at;
    *list = rest;
}

/* a[0] ++ a[1] as far as max cells go; false: there are more. */
static bool append(struct process *p, const term *a, int64_t max, term *ret)
{
    struct conses c = conses_take(&p->heap, (size_t)max);
    term list = a[0], rest;
    int64_t n;

    copy_cells(&c, &list);
    if (LIKELY(is_nil(list) && c.at > c.got)) {
        c.at[-1] = a[1];
        conses_end(&p->heap, &c);
        *ret = cons_term(c.got);
        return true;
    }
    c.at = c.got;               /* too short: what there was goes back */
    conses_end(&p->heap, &c);
    rest = a[0];
    n = skip_cells(&rest, max);
    if (is_cons(rest))
        return false;
    *ret = !is_nil(rest) ? bif_badarg(p) : a[1];
    if (n == 0 || !is_nil(rest))
        return true;
    c.at = c.got = heap_alloc(&p->heap, (size_t)n * CONS_WORDS);
    c.end = c.at + n * CONS_WORDS;
    list = a[0];
    copy_cells(&c, &list);
    c.at[-1] = a[1];
    *ret = cons_term(c.got);
    return true;
}

static term append_long(struct process *p, const term *a)
{
    term result = TERM_NIL;

    (void)!append(p, a, NO_LIMIT, &result);
    return result;
}

term bif_append(struct process *p, const term *a)
{
    term result, *before = p->heap.H;

    if (LIKELY(append(p, a, LIST_QUICK, &result))) {
        charge_steps(p, (p->heap.H - before) / CONS_WORDS);
        return result;
    }
    return bif_long(p, append_long, 2, a);
}

/* --- subtract: the right list as a multiset ------------------------------------------------- */

struct multiset_slot { uint64_t hash; term value; size_t count; };

struct multiset {
    struct multiset_slot *slots;    /* open addressing; count 0 and value TERM_NONE: free */
    size_t mask;
};

static struct multiset_slot *multiset_slot(struct multiset *ms, term value)
{
    uint64_t hash = term_hash(value);
    size_t i = hash & ms->mask;

    while (ms->slots[i].value != TERM_NONE &&
           (ms->slots[i].hash != hash || !term_eq(ms->slots[i].value, value)))
        i = (i + 1) & ms->mask;
    ms->slots[i].hash = hash;
    return &ms->slots[i];
}

static void multiset_init(struct multiset *ms, term list, size_t n)
{
    size_t cap = 16;

    while (cap < 2 * n)
        cap *= 2;
    ms->mask = cap - 1;
    ms->slots = MEM_NEW_ARRAY(struct multiset_slot, cap);
    for (size_t i = 0; i < cap; i++) {
        ms->slots[i].value = TERM_NONE;
        (void)fiber_step((int64_t)i);
    }
    for (int64_t i = 0; is_cons(list); list = cdr(list), i = fiber_step(i)) {
        struct multiset_slot *slot = multiset_slot(ms, car(list));

        slot->value = car(list);
        slot->count++;
    }
}

static bool multiset_take(struct multiset *ms, term value)
{
    struct multiset_slot *slot = multiset_slot(ms, value);

    if (slot->count == 0)
        return false;
    slot->count--;
    return true;
}

#define SUBTRACT_SMALL 12   /* up to so many elements comparing is cheaper than hashing */

/* Take value out of the n elements at set; order does not matter. */
static bool small_set_take(term *set, size_t n, term value)
{
    for (size_t i = 0; i < n; i++)
        if (term_eq(set[i], value)) {
            set[i] = set[n - 1];
            return true;
        }
    return false;
}

/* a[0] -- a[1], of nleft and nright elements, both of them proper lists. */
static term subtract(struct process *p, const term *a, int64_t nleft, int64_t nright)
{
    bool hashed = nright > SUBTRACT_SMALL;
    struct multiset ms = { NULL, 0 };
    term small[SUBTRACT_SMALL], list = a[0], result;
    int64_t n = 0;
    size_t left;
    term *got, *at, *tail = &result;

    if (nleft == 0 || nright == 0)
        return a[0];
    left = (size_t)nright;
    if (hashed)
        multiset_init(&ms, a[1], left);
    else
        for (term r = a[1], *s = small; is_cons(r); r = cdr(r))
            *s++ = car(r);
    got = at = heap_alloc(&p->heap, (size_t)nleft * CONS_WORDS);
    for (; is_cons(list) && left > 0; list = cdr(list), n = fiber_step(n)) {
        if (hashed ? multiset_take(&ms, car(list)) : small_set_take(small, left, car(list))) {
            left--;
        } else {
            *tail = cons_term(at);
            at[0] = car(list);
            tail = &at[1];
            at += CONS_WORDS;
        }
    }
    *tail = list;       /* nothing more to take away: the rest is shared */
    heap_trim(&p->heap, got, (size_t)nleft * CONS_WORDS, at);
    mem_free(ms.slots);
    return result;
}

static term subtract_long(struct process *p, const term *a)
{
    term left = a[0], right = a[1];
    int64_t nleft = skip_cells(&left, NO_LIMIT), nright = skip_cells(&right, NO_LIMIT);

    return is_nil(left) && is_nil(right) ? subtract(p, a, nleft, nright) : bif_badarg(p);
}

term bif_subtract(struct process *p, const term *a)
{
    term left = a[0], right = a[1];
    int64_t nleft = skip_cells(&left, LIST_QUICK), nright = skip_cells(&right, LIST_QUICK);

    charge_steps(p, nleft + nright);
    if (is_cons(left) || is_cons(right))
        return bif_long(p, subtract_long, 2, a);
    return is_nil(left) && is_nil(right) ? subtract(p, a, nleft, nright) : bif_badarg(p);
}

/* --- guards ----------------------------------------------------------------------------------- */

term bif_length(struct process *p, const term *a)
{
    int64_t n = list_length(a[0]);

    if (n < 0)
        return bif_badarg(p);
    charge(p, n / (2 * ELEMENTS_PER_REDUCTION));
    return small_make(n);
}

term bif_hd(struct process *p, const term *a)
{
    return is_cons(a[0]) ? car(a[0]) : bif_badarg(p);
}

term bif_tl(struct process *p, const term *a)
{
    return is_cons(a[0]) ? cdr(a[0]) : bif_badarg(p);
}
