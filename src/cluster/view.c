/* SPDX-License-Identifier: Apache-2.0 */
/*
 * view.c - a sorted array with gaps
 *
 * Invariants:
 *   W1  ids rise over the slots that are taken.
 *   W2  no gap lies between the home of an id and its slot.
 *   W3  the last slot is a gap, so that walks end.
 */
#include "cluster/view.h"
#include "base/alloc.h"
#include "base/assert.h"

#define FIRST_CAP 16

static uint32_t home(const struct view *v, uint64_t nid)
{
    return (uint32_t)((unsigned __int128)nid * v->cap >> 64);
}

uint32_t view_slots(const struct view *v)
{
    return v->cap + v->slack;
}

static void make_slots(struct view *v, uint32_t cap)
{
    v->cap = cap;
    v->slack = 32 + cap / 16;
    v->slots = MEM_NEW_ARRAY(struct member, view_slots(v));
}

void view_init(struct view *v)
{
    *v = (struct view){ 0 };
    make_slots(v, FIRST_CAP);
}

void view_fini(struct view *v)
{
    VIEW_EACH(v, m)
        record_unref(m->rec);
    mem_free(v->slots);
    *v = (struct view){ 0 };
}

uint64_t member_hash(uint64_t nid, uint64_t incarnation)
{
    uint64_t x = nid ^ incarnation * 0x9e3779b97f4a7c15u;

    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

static uint64_t hash_of(const struct member *m)
{
    return member_present(m) ? member_hash(m->rec->nid, m->rec->incarnation) : 0;
}

/* First slot from the home of nid on that is a gap or has an id >= nid. */
static uint32_t seek(const struct view *v, uint64_t nid)
{
    uint32_t i = home(v, nid);

    while (v->slots[i].rec != NULL && v->slots[i].rec->nid < nid)
        i++;
    return i;
}

struct member *view_find(const struct view *v, uint64_t nid)
{
    struct member *m = &v->slots[seek(v, nid)];

    return m->rec != NULL && m->rec->nid == nid ? m : NULL;
}

/* Put a member where it belongs; NULL when W3 would break. */
static struct member *place(struct view *v, const struct member *m)
{
    uint32_t at = seek(v, m->rec->nid), gap = at;

    while (v->slots[gap].rec != NULL)
        gap++;
    if (gap + 1 >= view_slots(v))
        return NULL;
    memmove(&v->slots[at + 1], &v->slots[at], (gap - at) * sizeof(v->slots[0]));
    v->slots[at] = *m;
    return &v->slots[at];
}

static void grow(struct view *v)
{
    struct view old = *v;
    uint32_t cap = v->cap;
    bool fits;

    do {
        cap += cap / 2;
        make_slots(v, cap);
        fits = true;
        VIEW_EACH(&old, m)
            fits = fits && place(v, m) != NULL;
        if (!fits)
            mem_free(v->slots);
    } while (!fits);
    mem_free(old.slots);
}

struct member *view_insert(struct view *v, struct record *rec, enum member_state state)
{
    struct member fresh = { .rec = record_ref(rec), .state = state }, *m;

    if (8 * (v->n + 1) > 7 * v->cap)
        grow(v);
    while ((m = place(v, &fresh)) == NULL)
        grow(v);
    v->n++;
    v->by_state[state]++;
    v->digest ^= hash_of(m);
    return m;
}

void view_remove(struct view *v, uint64_t nid)
{
    struct member *m = view_find(v, nid);
    uint32_t at;

    ASSERT(m != NULL);
    v->n--;
    v->by_state[m->state]--;
    v->digest ^= hash_of(m);
    record_unref(m->rec);
    at = (uint32_t)(m - v->slots);
    /* Whoever is behind its home moves up; the first that is at home stays. */
    while (v->slots[at + 1].rec != NULL && home(v, v->slots[at + 1].rec->nid) <= at) {
        v->slots[at] = v->slots[at + 1];
        at++;
    }
    v->slots[at] = (struct member){ 0 };
}

void view_set(struct view *v, struct member *m, enum member_state state, struct record *rec)
{
    v->digest ^= hash_of(m);
    v->by_state[m->state]--;
    if (rec != NULL) {
        ASSERT(rec->nid == m->rec->nid);
        record_ref(rec);
        record_unref(m->rec);
        m->rec = rec;
    }
    m->state = state;
    v->by_state[state]++;
    v->digest ^= hash_of(m);
}

void view_buckets(const struct view *v, uint64_t digests[GOSSIP_BUCKETS])
{
    memset(digests, 0, GOSSIP_BUCKETS * sizeof(digests[0]));
    VIEW_EACH(v, m)
        digests[m->rec->nid >> 56] ^= hash_of(m);
}
