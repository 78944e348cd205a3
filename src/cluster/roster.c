/* SPDX-License-Identifier: Apache-2.0 */
/*
 * roster.c - a sorted array with gaps
 *
 * Invariants:
 *   W1  ids rise over the slots that are taken.
 *   W2  no gap lies between the home of an id and its slot.
 *   W3  the last slot is a gap, so that walks end.
 */
#include "cluster/roster.h"
#include "base/alloc.h"
#include "base/assert.h"

#define FIRST_CAP 16

static uint32_t home(const struct roster *v, uint64_t nid)
{
    return (uint32_t)((unsigned __int128)nid * v->cap >> 64);
}

uint32_t roster_slots(const struct roster *v)
{
    return v->cap + v->slack;
}

static void make_slots(struct roster *v, uint32_t cap)
{
    v->cap = cap;
    v->slack = 32 + cap / 16;
    v->slots = MEM_NEW_ARRAY(struct member, roster_slots(v));
}

void roster_init(struct roster *v)
{
    *v = (struct roster){ 0 };
    make_slots(v, FIRST_CAP);
}

void roster_fini(struct roster *v)
{
    ROSTER_EACH(v, m)
        record_unref(m->rec);
    mem_free(v->slots);
    *v = (struct roster){ 0 };
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
static uint32_t seek(const struct roster *v, uint64_t nid)
{
    uint32_t i = home(v, nid);

    while (v->slots[i].rec != NULL && v->slots[i].rec->nid < nid)
        i++;
    return i;
}

struct member *roster_find(const struct roster *v, uint64_t nid)
{
    struct member *m = &v->slots[seek(v, nid)];

    return m->rec != NULL && m->rec->nid == nid ? m : NULL;
}

/* Put a member where it belongs; NULL when W3 would break. */
static struct member *place(struct roster *v, const struct member *m)
{
    uint32_t at = seek(v, m->rec->nid), gap = at;

    while (v->slots[gap].rec != NULL)
        gap++;
    if (gap + 1 >= roster_slots(v))
        return NULL;
    memmove(&v->slots[at + 1], &v->slots[at], (gap - at) * sizeof(v->slots[0]));
    v->slots[at] = *m;
    return &v->slots[at];
}

static void grow(struct roster *v)
{
    struct roster old = *v;
    uint32_t cap = v->cap;
    bool fits;

    do {
        cap += cap / 2;
        make_slots(v, cap);
        fits = true;
        ROSTER_EACH(&old, m)
            fits = fits && place(v, m) != NULL;
        if (!fits)
            mem_free(v->slots);
    } while (!fits);
    mem_free(old.slots);
}

struct member *roster_insert(struct roster *v, struct record *rec, enum member_state state)
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

void roster_remove(struct roster *v, uint64_t nid)
{
    struct member *m = roster_find(v, nid);
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

void roster_set(struct roster *v, struct member *m, enum member_state state, struct record *rec)
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

void roster_buckets(const struct roster *v, uint64_t digests[GOSSIP_BUCKETS])
{
    memset(digests, 0, GOSSIP_BUCKETS * sizeof(digests[0]));
    ROSTER_EACH(v, m)
        digests[m->rec->nid >> 56] ^= hash_of(m);
}
