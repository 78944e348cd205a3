/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pdict.c - open addressing with linear probing
 */
#include "vm/pdict.h"

#include "base/slab.h"
#include "term/compare.h"

#define PDICT_MIN 8
#define dict_bytes(cap) (sizeof(struct pdict) + 2 * (size_t)(cap) * sizeof(term))

static uint32_t home_of(term key, uint32_t cap)
{
    uint64_t h = is_ptr(key) ? term_hash(key) : key * 0x9E3779B97F4A7C15u;

    return (uint32_t)(h >> 32) & (cap - 1);
}

/* The slot of key, or the free one where it would go. */
static uint32_t slot_of(const struct pdict *d, term key)
{
    uint32_t i = home_of(key, d->cap);

    while (d->kv[2 * i] != TERM_NONE && !term_eq(d->kv[2 * i], key))
        i = (i + 1) & (d->cap - 1);
    return i;
}

static struct pdict *dict_resize(struct pdict *old, uint32_t cap)
{
    struct pdict *d = slab_alloc(dict_bytes(cap));

    d->cap = cap;
    d->n = old != NULL ? old->n : 0;
    for (uint32_t i = 0; i < 2 * cap; i++)
        d->kv[i] = TERM_NONE;
    for (uint32_t i = 0; old != NULL && i < old->cap; i++) {
        uint32_t at;

        if (old->kv[2 * i] == TERM_NONE)
            continue;
        at = slot_of(d, old->kv[2 * i]);
        d->kv[2 * at] = old->kv[2 * i];
        d->kv[2 * at + 1] = old->kv[2 * i + 1];
    }
    if (old != NULL)
        slab_free(old, dict_bytes(old->cap));
    return d;
}

term pdict_get(const struct process *p, term key)
{
    uint32_t i;

    if (p->dict == NULL)
        return ATOM_undefined;
    i = slot_of(p->dict, key);
    return p->dict->kv[2 * i] != TERM_NONE ? p->dict->kv[2 * i + 1] : ATOM_undefined;
}

term pdict_put(struct process *p, term key, term value)
{
    struct pdict *d = p->dict;
    term old = ATOM_undefined;
    uint32_t i;

    if (d == NULL || d->n >= d->cap / 4 * 3)
        p->dict = d = dict_resize(d, d == NULL ? PDICT_MIN : d->cap * 2);
    i = slot_of(d, key);
    if (d->kv[2 * i] == TERM_NONE) {
        d->kv[2 * i] = key;
        d->n++;
    } else {
        old = d->kv[2 * i + 1];
    }
    d->kv[2 * i + 1] = value;
    return old;
}

term pdict_erase(struct process *p, term key)
{
    struct pdict *d = p->dict;
    uint32_t hole, mask;
    term old;

    if (d == NULL)
        return ATOM_undefined;
    hole = slot_of(d, key);
    if (d->kv[2 * hole] == TERM_NONE)
        return ATOM_undefined;
    old = d->kv[2 * hole + 1];
    mask = d->cap - 1;
    for (uint32_t i = (hole + 1) & mask; d->kv[2 * i] != TERM_NONE; i = (i + 1) & mask) {
        uint32_t home = home_of(d->kv[2 * i], d->cap);

        if (((i - home) & mask) >= ((i - hole) & mask)) {
            d->kv[2 * hole] = d->kv[2 * i];
            d->kv[2 * hole + 1] = d->kv[2 * i + 1];
            hole = i;
        }
    }
    d->kv[2 * hole] = d->kv[2 * hole + 1] = TERM_NONE;
    d->n--;
    if (d->cap > 64 && d->n < d->cap / 8)
        p->dict = dict_resize(d, d->cap / 2);
    return old;
}

void pdict_free(struct process *p)
{
    if (p->dict != NULL)
        slab_free(p->dict, dict_bytes(p->dict->cap));
    p->dict = NULL;
}
