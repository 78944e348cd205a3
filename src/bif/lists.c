/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lists.c - searching, appending and subtracting lists
 *
 * Nothing here yields: each walks its list once and charges a reduction for every few elements,
 * so a long list ends the caller's slice instead of being cut up.
 */
#include "bif/bif.h"
#include "base/alloc.h"
#include "term/compare.h"

#define ELEMENTS_PER_REDUCTION 16

term bif_lists_member(struct process *p, const term *a)
{
    term key = a[0], list = a[1];
    int64_t n = 0;

    if (!is_ptr(key)) {
        for (; is_cons(list) && car(list) != key; list = cdr(list))
            n++;
    } else {
        for (; is_cons(list) && !term_eq(key, car(list)); list = cdr(list))
            n++;
    }
    charge(p, n / ELEMENTS_PER_REDUCTION);
    if (is_cons(list))
        return ATOM_true;
    return is_nil(list) ? ATOM_false : bif_badarg(p);
}

/* The first tuple of list whose pos-th element == key; TERM_NIL: none; TERM_NONE: bad arguments. */
static term key_find(struct process *p, term key, term pos, term list)
{
    int64_t n = 0, at;
    term found = TERM_NIL;

    if (!is_small(pos) || small_val(pos) < 1)
        return TERM_NONE;
    at = small_val(pos);
    for (; is_cons(list); list = cdr(list), n++) {
        term t = car(list);

        if (is_tuple(t) && (int64_t)tuple_arity(t) >= at &&
            term_equal(key, tuple_elem(t, at - 1))) {
            found = t;
            break;
        }
    }
    charge(p, n / ELEMENTS_PER_REDUCTION);
    return is_list(list) ? found : TERM_NONE;
}

term bif_lists_keyfind(struct process *p, const term *a)
{
    term t = key_find(p, a[0], a[1], a[2]);

    return t == TERM_NONE ? bif_badarg(p) : is_nil(t) ? ATOM_false : t;
}

term bif_lists_keymember(struct process *p, const term *a)
{
    term t = key_find(p, a[0], a[1], a[2]);

    return t == TERM_NONE ? bif_badarg(p) : is_nil(t) ? ATOM_false : ATOM_true;
}

term bif_lists_keysearch(struct process *p, const term *a)
{
    term t = key_find(p, a[0], a[1], a[2]);

    return t == TERM_NONE ? bif_badarg(p) : is_nil(t) ? ATOM_false
                                                      : heap_tuple2(&p->heap, ATOM_value, t);
}

/* All conses that the block still has room for, 0 if few: a list is then built while it is walked
 * the first time, and what is left over goes back with heap_trim. */
static size_t conses_free(const struct heap *h)
{
    size_t words = (size_t)(h->E - h->H);

    return words > 64 ? (words - 8) / CONS_WORDS : 0;
}

term bif_lists_reverse(struct process *p, const term *a)
{
    size_t room = conses_free(&p->heap);
    term *got = heap_alloc(&p->heap, room * CONS_WORDS), *at = got, *end = at + room * CONS_WORDS;
    term result = a[1], l = a[0];
    int64_t n;

    for (; is_cons(l) && at < end; l = cdr(l))
        result = cons_make(&at, car(l), result);
    heap_trim(&p->heap, got, room * CONS_WORDS, at);
    charge(p, (at - got) / CONS_WORDS / ELEMENTS_PER_REDUCTION);
    if (LIKELY(is_nil(l)))
        return result;
    n = list_length(l);
    if (n < 0)
        return bif_badarg(p);
    at = heap_alloc(&p->heap, (size_t)n * CONS_WORDS);
    for (; is_cons(l); l = cdr(l))
        result = cons_make(&at, car(l), result);
    charge(p, n / ELEMENTS_PER_REDUCTION);
    return result;
}

term bif_append(struct process *p, const term *a)
{
    size_t room = conses_free(&p->heap);
    term *got = heap_alloc(&p->heap, room * CONS_WORDS), *at = got, *end = at + room * CONS_WORDS;
    term result, l = a[0];
    int64_t n;

    for (; is_cons(l) && at < end; l = cdr(l), at += CONS_WORDS) {
        at[0] = car(l);
        at[1] = cons_term(at + CONS_WORDS);
    }
    if (LIKELY(is_nil(l) && at > got)) {
        at[-1] = a[1];
        heap_trim(&p->heap, got, room * CONS_WORDS, at);
        charge(p, (at - got) / CONS_WORDS / ELEMENTS_PER_REDUCTION);
        return cons_term(got);
    }
    heap_trim(&p->heap, got, room * CONS_WORDS, got);
    n = list_length(a[0]);
    if (n < 0)
        return bif_badarg(p);
    if (n == 0)
        return a[1];
    at = heap_alloc(&p->heap, (size_t)n * CONS_WORDS);
    result = cons_term(at);
    for (l = a[0]; is_cons(l); l = cdr(l), at += CONS_WORDS) {
        at[0] = car(l);
        at[1] = cons_term(at + CONS_WORDS);
    }
    at[-1] = a[1];
    charge(p, n / ELEMENTS_PER_REDUCTION);
    return result;
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
    for (size_t i = 0; i < cap; i++)
        ms->slots[i].value = TERM_NONE;
    for (; is_cons(list); list = cdr(list)) {
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

term bif_subtract(struct process *p, const term *a)
{
    int64_t nleft = list_length(a[0]), nright = list_length(a[1]);
    bool hashed = nright > SUBTRACT_SMALL;
    struct multiset ms = { NULL, 0 };
    term small[SUBTRACT_SMALL], list = a[0], result;
    size_t left;
    term *got, *at, *tail = &result;

    if (nleft < 0 || nright < 0)
        return bif_badarg(p);
    if (nleft == 0 || nright == 0)
        return a[0];
    left = (size_t)nright;
    if (hashed)
        multiset_init(&ms, a[1], left);
    else
        for (term r = a[1], *s = small; is_cons(r); r = cdr(r))
            *s++ = car(r);
    got = at = heap_alloc(&p->heap, (size_t)nleft * CONS_WORDS);
    for (; is_cons(list) && left > 0; list = cdr(list)) {
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
    charge(p, (nleft + nright) / ELEMENTS_PER_REDUCTION);
    return result;
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
