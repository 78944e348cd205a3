/* SPDX-License-Identifier: Apache-2.0 */
/*
 * map.c - flat maps, and the operations on maps of either kind
 */
#include "heap/map_priv.h"

#include "base/alloc.h"
#include "base/fiber.h"
#include "term/compare.h"

size_t map_size(term map)
{
    const term *p = box_ptr(map);

    return header_kind(p[0]) == HK_MAP_FLAT ? header_size(p[0]) - 1 : p[1];
}

/* --- flat maps ---------------------------------------------------------------------------- */

static term flat_make(term **at, term keys, size_t n)
{
    term *p = *at;

    p[0] = header_make(HK_MAP_FLAT, n + 1);
    p[1] = keys;
    *at = p + FLAT_WORDS(n);
    return box_term(p);
}

term map_empty(struct heap *h)
{
    term *at = heap_alloc(h, TUPLE_WORDS(0) + FLAT_WORDS(0));
    term keys = tuple_room(&at, 0);

    return flat_make(&at, keys, 0);
}

/* Index of key in a flat map, or -1. */
static int flat_find(term map, term key)
{
    term keys = flat_keys(map);
    const term *k = box_ptr(keys) + 1;
    int n = (int)tuple_arity(keys);

    if (!is_ptr(key)) {
        for (int i = 0; i < n; i++) {
            if (k[i] == key)
                return i;
        }
        return -1;
    }
    for (int i = n - 1; i >= 0 && is_ptr(k[i]); i--) {  /* the immediates come first */
        if (term_eq(k[i], key))
            return i;
    }
    return -1;
}

/* A map with the keys of map and value i replaced. */
static term flat_replace(struct heap *h, term map, int i, term value)
{
    size_t n = map_size(map);
    term *at = heap_alloc(h, FLAT_WORDS(n));
    term t = flat_make(&at, flat_keys(map), n);

    memcpy(flat_values(t), flat_values(map), n * sizeof(term));
    flat_values(t)[i] = value;
    return t;
}

/* A map of n pairs that rise in map_key_cmp. */
term map_flat_from_sorted(struct heap *h, const term *pairs, size_t n)
{
    term *at = heap_alloc(h, TUPLE_WORDS(n) + FLAT_WORDS(n));
    term keys = tuple_room(&at, n);
    term t = flat_make(&at, keys, n);

    for (size_t i = 0; i < n; i++) {
        tuple_elem(keys, i) = pairs[2 * i];
        flat_values(t)[i] = pairs[2 * i + 1];
    }
    return t;
}

static void flat_to_pairs(term map, term *out)
{
    size_t n = map_size(map);
    term keys = flat_keys(map);

    for (size_t i = 0; i < n; i++) {
        out[2 * i] = tuple_elem(keys, i);
        out[2 * i + 1] = flat_values(map)[i];
    }
}

/* Insert an absent key into a map that has room for it. */
static term flat_insert(struct heap *h, term map, term key, term value)
{
    size_t n = map_size(map), i = 0;
    term keys = flat_keys(map);
    term *at = heap_alloc(h, TUPLE_WORDS(n + 1) + FLAT_WORDS(n + 1));
    term new_keys = tuple_room(&at, n + 1);
    term t = flat_make(&at, new_keys, n + 1);

    for (; i < n && map_key_cmp(tuple_elem(keys, i), key) < 0; i++) {
        tuple_elem(new_keys, i) = tuple_elem(keys, i);
        flat_values(t)[i] = flat_values(map)[i];
    }
    tuple_elem(new_keys, i) = key;
    flat_values(t)[i] = value;
    for (; i < n; i++) {
        tuple_elem(new_keys, i + 1) = tuple_elem(keys, i);
        flat_values(t)[i + 1] = flat_values(map)[i];
    }
    return t;
}

static term flat_remove(struct heap *h, term map, int gone)
{
    size_t n = map_size(map) - 1;
    term keys = flat_keys(map);
    term *at = heap_alloc(h, TUPLE_WORDS(n) + FLAT_WORDS(n));
    term new_keys = tuple_room(&at, n);
    term t = flat_make(&at, new_keys, n);

    for (size_t i = 0, from = 0; i < n; i++, from++) {
        if (from == (size_t)gone)
            from++;
        tuple_elem(new_keys, i) = tuple_elem(keys, from);
        flat_values(t)[i] = flat_values(map)[from];
    }
    return t;
}

/* --- either kind ---------------------------------------------------------------------------- */

term map_get(term map, term key)
{
    int i;

    if (!is_flat(map))
        return map_trie_get(map, key, term_hash(key));
    i = flat_find(map, key);
    return i < 0 ? TERM_NONE : flat_values(map)[i];
}

term map_get_hashed(term map, term key, uint64_t hash)
{
    return is_flat(map) ? map_get(map, key) : map_trie_get(map, key, hash);
}

/* A full flat map and one more key. */
static term flat_to_trie(struct heap *h, term map, term key, term value)
{
    term pairs[2 * (MAP_FLAT_MAX + 1)];
    size_t n = map_size(map);

    flat_to_pairs(map, pairs);
    pairs[2 * n] = key;
    pairs[2 * n + 1] = value;
    return map_from_pairs(h, pairs, n + 1);
}

static term flat_put(struct heap *h, term map, term key, term value, bool exact)
{
    int i = flat_find(map, key);

    if (i >= 0)
        return flat_values(map)[i] == value ? map : flat_replace(h, map, i, value);
    if (exact)
        return TERM_NONE;
    return map_size(map) < MAP_FLAT_MAX ? flat_insert(h, map, key, value)
                                        : flat_to_trie(h, map, key, value);
}

static term any_put(struct heap *h, term map, term key, term value, bool exact)
{
    struct map_change c = { .h = h, .key = key, .value = value, .exact = exact };
    term t;

    if (is_flat(map))
        return flat_put(h, map, key, value, exact);
    c.hash = term_hash(key);
    t = map_trie_put(&c, map, 0);
    if (exact && !c.found)
        return TERM_NONE;
    if (!c.found)
        box_ptr(t)[1]++;    /* a new root: nobody else has seen it */
    return t;
}

term map_put(struct heap *h, term map, term key, term value)
{
    return any_put(h, map, key, value, false);
}

term map_update(struct heap *h, term map, term key, term value)
{
    return any_put(h, map, key, value, true);
}

term map_remove(struct heap *h, term map, term key, term *ret_old)
{
    struct map_change c = { .h = h, .key = key, .value = TERM_NONE };
    term t = map;

    if (is_flat(map)) {
        int i = flat_find(map, key);

        if (i >= 0) {
            c.value = flat_values(map)[i];
            t = flat_remove(h, map, i);
        }
    } else {
        c.hash = term_hash(key);
        t = map_trie_remove(&c, map, 0);
        if (c.found && --box_ptr(t)[1] <= MAP_FLAT_MAX) {   /* a new root; M1 */
            term pairs[2 * MAP_FLAT_MAX];

            map_pairs(t, pairs, false);
            map_pairs_order(pairs, MAP_FLAT_MAX);
            t = map_flat_from_sorted(h, pairs, MAP_FLAT_MAX);
        }
    }
    if (ret_old != NULL)
        *ret_old = c.value;
    return t;
}

/* --- several at once ------------------------------------------------------------------------ */

/* All keys are there: replace values in one copy. False when one is not (nothing is built). */
static bool flat_put_known(struct heap *h, term map, const term *pairs, size_t n, term *ret,
                           size_t *ret_absent)
{
    int found[MAP_FLAT_MAX];
    bool same = true;

    for (size_t i = 0; i < n; i++) {
        int at = flat_find(map, pairs[2 * i]);

        if (at < 0) {
            *ret_absent = i;
            return false;
        }
        found[i] = at;
        same &= flat_values(map)[at] == pairs[2 * i + 1];
    }
    *ret = map;
    if (!same) {
        *ret = flat_replace(h, map, found[0], pairs[1]);
        for (size_t i = 1; i < n; i++)
            flat_values(*ret)[found[i]] = pairs[2 * i + 1];
    }
    return true;
}

term map_put_many(struct heap *h, term map, const term *pairs, size_t n, bool exact,
                  term *ret_bad_key)
{
    term all[4 * MAP_FLAT_MAX], t = map;
    size_t size, absent;

    if (is_flat(map) && n > 0 && n <= MAP_FLAT_MAX) {
        if (flat_put_known(h, map, pairs, n, &t, &absent))
            return t;
        if (exact) {
            *ret_bad_key = pairs[2 * absent];
            return TERM_NONE;
        }
        size = map_size(map);
        if (n > 1) {
            flat_to_pairs(map, all);
            memcpy(all + 2 * size, pairs, 2 * n * sizeof(term));
            return map_from_pairs(h, all, size + n);
        }
    }
    for (size_t i = 0; i < n; i++) {
        t = any_put(h, t, pairs[2 * i], pairs[2 * i + 1], exact);
        if (t == TERM_NONE) {
            *ret_bad_key = pairs[2 * i];
            return TERM_NONE;
        }
    }
    return t;
}

/* Put every pair of `from` into `into`; existing keys win when keep is set. */
static term merge_into(struct heap *h, term into, term from, bool keep)
{
    struct map_iter it;
    term key, value;

    map_iter_init(&it, from);
    for (int64_t n = 0; map_iter_next(&it, &key, &value); n = fiber_step(n)) {
        if (!keep || map_get(into, key) == TERM_NONE)
            into = map_put(h, into, key, value);
    }
    return into;
}

term map_merge(struct heap *h, term a, term b)
{
    size_t na = map_size(a), nb = map_size(b);
    term *pairs, t;

    if (na == 0 || (is_flat(a) && is_flat(b) && flat_keys(a) == flat_keys(b)))
        return b;
    if (nb <= na / 8)
        return merge_into(h, a, b, false);
    if (na <= nb / 8)
        return merge_into(h, b, a, true);
    pairs = mem_alloc(2 * (na + nb) * sizeof(term));
    map_pairs(a, pairs, false);
    map_pairs(b, pairs + 2 * na, false);
    t = map_from_pairs(h, pairs, na + nb);
    mem_free(pairs);
    return t;
}
