/* SPDX-License-Identifier: Apache-2.0 */
/*
 * map.c - the built-ins of maps
 *
 * Programs see the keys of flat maps in the order of term_cmp_exact, as OTP up to 25 shows them,
 * and those of larger maps in the order of the trie.
 */
#include "bif/bif.h"

#include "base/alloc.h"
#include "base/fiber.h"
#include "heap/map.h"
#include "term/compare.h"

#define PAIRS_PER_REDUCTION 16
#define STEP_PAIRS 100          /* what map_next gives at a time of a large map */

static term badmap(struct process *p, term t)
{
    return bif_error2(p, ATOM_badmap, t);
}

term bif_map_size(struct process *p, const term *a)
{
    return is_map(a[0]) ? small_make(map_size(a[0])) : badmap(p, a[0]);
}

term bif_map_get(struct process *p, const term *a)
{
    term v;

    if (!is_map(a[1]))
        return badmap(p, a[1]);
    v = map_get(a[1], a[0]);
    return v != TERM_NONE ? v : bif_error2(p, ATOM_badkey, a[0]);
}

term bif_is_map_key(struct process *p, const term *a)
{
    if (!is_map(a[1]))
        return badmap(p, a[1]);
    return map_get(a[1], a[0]) != TERM_NONE ? ATOM_true : ATOM_false;
}

term bif_maps_find(struct process *p, const term *a)
{
    term v;

    if (!is_map(a[1]))
        return badmap(p, a[1]);
    v = map_get(a[1], a[0]);
    return v == TERM_NONE ? ATOM_error : heap_tuple2(&p->heap, ATOM_ok, v);
}

term bif_maps_from_keys(struct process *p, const term *a)
{
    int64_t n = list_length(a[0]);
    term *pairs, *at, list = a[0], t;

    if (n < 0)
        return bif_badarg(p);
    at = pairs = MEM_NEW_ARRAY(term, 2 * (size_t)n);
    for (int64_t i = 0; is_cons(list); list = cdr(list), i = fiber_step(i)) {
        *at++ = car(list);
        *at++ = a[1];
    }
    t = map_from_pairs(&p->heap, pairs, (size_t)n);
    mem_free(pairs);
    charge(p, n / PAIRS_PER_REDUCTION);
    return t;
}

term bif_maps_from_list(struct process *p, const term *a)
{
    int64_t n = list_length(a[0]);
    term *pairs, *at, list = a[0], t;

    if (n < 0)
        return bif_badarg(p);
    at = pairs = MEM_NEW_ARRAY(term, 2 * (size_t)n);
    for (int64_t i = 0; is_cons(list) && is_tuple_n(car(list), 2); i = fiber_step(i)) {
        *at++ = tuple_elem(car(list), 0);
        *at++ = tuple_elem(car(list), 1);
        list = cdr(list);
    }
    t = is_nil(list) ? map_from_pairs(&p->heap, pairs, (size_t)n) : bif_badarg(p);
    mem_free(pairs);
    charge(p, n / PAIRS_PER_REDUCTION);
    return t;
}

/* Keys (which 0) or values (which 1) as a list. */
static term map_column(struct process *p, term map, size_t which)
{
    size_t n;
    term *pairs, *at, list = TERM_NIL;

    if (!is_map(map))
        return badmap(p, map);
    n = map_size(map);
    pairs = MEM_NEW_ARRAY(term, 2 * n);
    map_pairs(map, pairs, n <= MAP_FLAT_MAX);
    at = heap_alloc(&p->heap, CONS_WORDS * n);
    for (size_t i = 0; i < n; i = (size_t)fiber_step((int64_t)i))
        list = cons_make(&at, pairs[2 * (n - 1 - i) + which], list);
    mem_free(pairs);
    charge(p, (int64_t)n / PAIRS_PER_REDUCTION);
    return list;
}

term bif_maps_keys(struct process *p, const term *a)
{
    return map_column(p, a[0], 0);
}

term bif_maps_values(struct process *p, const term *a)
{
    return map_column(p, a[0], 1);
}

term bif_maps_merge(struct process *p, const term *a)
{
    if (!is_map(a[0]))
        return badmap(p, a[0]);
    if (!is_map(a[1]))
        return badmap(p, a[1]);
    charge(p, (int64_t)(map_size(a[0]) + map_size(a[1])) / PAIRS_PER_REDUCTION);
    return map_merge(&p->heap, a[0], a[1]);
}

term bif_maps_put(struct process *p, const term *a)
{
    return is_map(a[2]) ? map_put(&p->heap, a[2], a[0], a[1]) : badmap(p, a[2]);
}

term bif_maps_update(struct process *p, const term *a)
{
    term t;

    if (!is_map(a[2]))
        return badmap(p, a[2]);
    t = map_update(&p->heap, a[2], a[0], a[1]);
    return t != TERM_NONE ? t : bif_error2(p, ATOM_badkey, a[0]);
}

term bif_maps_remove(struct process *p, const term *a)
{
    return is_map(a[1]) ? map_remove(&p->heap, a[1], a[0], NULL) : badmap(p, a[1]);
}

term bif_maps_take(struct process *p, const term *a)
{
    term old, t;

    if (!is_map(a[1]))
        return badmap(p, a[1]);
    t = map_remove(&p->heap, a[1], a[0], &old);
    return old == TERM_NONE ? ATOM_error : heap_tuple2(&p->heap, old, t);
}

/* --- iterators ----------------------------------------------------------------------------- */

/* {K1, V1, {K2, V2, ... Rest}} */
static term nest_pairs(struct heap *h, const term *pairs, size_t n, term rest)
{
    for (size_t i = n; i > 0; i--)
        rest = heap_tuple3(h, pairs[2 * i - 2], pairs[2 * i - 1], rest);
    return rest;
}

/* [{K1, V1}, {K2, V2}, ... | tail] */
static term list_pairs(struct heap *h, const term *pairs, size_t n, term tail)
{
    term *at = heap_alloc(h, n * (CONS_WORDS + TUPLE_WORDS(2)));

    for (size_t i = n; i > 0; i--) {
        term t = tuple2(&at, pairs[2 * i - 2], pairs[2 * i - 1]);

        tail = cons_make(&at, t, tail);
    }
    return tail;
}

/* An ordered iterator (OTP 26 on): the path is the list of keys to come. */
static term next_of_keys(struct process *p, term keys, term map, term acc)
{
    term pairs[2 * STEP_PAIRS];
    size_t n = 0;

    for (; is_cons(keys) && n < STEP_PAIRS; keys = cdr(keys), n++) {
        pairs[2 * n] = car(keys);
        pairs[2 * n + 1] = map_get(map, car(keys));
        if (pairs[2 * n + 1] == TERM_NONE)
            return bif_badarg(p);
    }
    if (!is_list(keys))
        return bif_badarg(p);
    if (acc == ATOM_iterator)
        return nest_pairs(&p->heap, pairs, n,
                          is_nil(keys) ? ATOM_none : heap_cons(&p->heap, keys, map));
    acc = list_pairs(&p->heap, pairs, n, acc);
    return is_nil(keys) ? acc : heap_cons(&p->heap, keys, heap_cons(&p->heap, map, acc));
}

/* map_next(Path, Map, iterator | List). With a list: the pairs in front of it, or, when more are to
 * come, [Path, Map | Pairs]. */
term bif_map_next(struct process *p, const term *a)
{
    term map = a[1], acc = a[2], *pairs, t;
    int64_t path;
    size_t n;

    if (!is_map(map) || (acc != ATOM_iterator && !is_list(acc)))
        return bif_badarg(p);
    if (is_list(a[0]))
        return next_of_keys(p, a[0], map, acc);
    if (!is_small(a[0]))
        return bif_badarg(p);
    /* Any path is good for a flat map: it is walked in one step. */
    path = map_size(map) <= MAP_FLAT_MAX ? MAP_PATH_START : small_val(a[0]);
    path = map_step(map, path, STEP_PAIRS, &pairs, &n);
    if (path < 0)
        return bif_badarg(p);
    charge(p, (int64_t)n / PAIRS_PER_REDUCTION);
    if (acc == ATOM_iterator) {
        t = path == MAP_PATH_END ? ATOM_none : heap_cons(&p->heap, small_make(path), map);
        t = nest_pairs(&p->heap, pairs, n, t);
    } else {
        t = list_pairs(&p->heap, pairs, n, acc);
        if (path != MAP_PATH_END)
            t = heap_cons(&p->heap, small_make(path), heap_cons(&p->heap, map, t));
    }
    mem_free(pairs);
    return t;
}

/* Map comprehensions (OTP 26 on) begin here with a map or an iterator. [] means neither. */
term bif_mc_iterator(struct process *p, const term *a)
{
    term args[3] = { small_make(MAP_PATH_START), a[0], ATOM_iterator };

    if (is_map(a[0]))
        return bif_map_next(p, args);
    if (a[0] == ATOM_none || is_tuple_n(a[0], 3))
        return a[0];
    if (is_cons(a[0]) && is_map(cdr(a[0])))
        return bif_mc_refill(p, a);
    return TERM_NIL;
}

term bif_mc_refill(struct process *p, const term *a)
{
    term args[3];

    if (!is_cons(a[0]))
        return bif_badarg(p);
    args[0] = car(a[0]);
    args[1] = cdr(a[0]);
    args[2] = ATOM_iterator;
    return bif_map_next(p, args);
}
