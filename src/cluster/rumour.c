/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rumour.c - lists by rank and number of tells, with a bit for each list that is not empty
 */
#include "cluster/rumour.h"
#include "base/alloc.h"
#include "base/assert.h"

struct rumour {
    struct rumour *prev, *next;
    uint64_t nid, incarnation, by;
    struct record *rec;             /* ALIVE */
    struct note *note;              /* NOTE */
    uint8_t kind, rank, told;
};

/* --- notes ------------------------------------------------------------------------------------ */

struct note *note_new(uint64_t nid, uint64_t version, const uint8_t *meta, size_t len,
                      const uint8_t sig[MEMBER_SIG_BYTES])
{
    struct note *n = mem_alloc(sizeof(*n) + len);

    *n = (struct note){ .refs = 1, .len = (uint16_t)len, .nid = nid, .version = version };
    memcpy(n->sig, sig, MEMBER_SIG_BYTES);
    if (len != 0)
        memcpy(n->meta, meta, len);
    return n;
}

struct note *note_ref(struct note *n)
{
    n->refs++;
    return n;
}

void note_unref(struct note *n)
{
    if (n != NULL && --n->refs == 0)
        mem_free(n);
}

struct gossip_item note_item(const struct note *n)
{
    return (struct gossip_item){ .kind = GOSSIP_NOTE, .node = n->nid, .incarnation = n->version,
                                 .body = n->meta, .body_len = n->len, .sig = n->sig };
}

/* --- the queue -------------------------------------------------------------------------------- */

static void unlink_rumour(struct rumours *q, struct rumour *r)
{
    struct rumour_list *l = &q->list[r->rank][r->told];

    *(r->prev != NULL ? &r->prev->next : &l->first) = r->next;
    *(r->next != NULL ? &r->next->prev : &l->last) = r->prev;
    if (l->first == NULL)
        q->filled[r->rank] &= ~(1u << r->told);
}

static void append(struct rumours *q, struct rumour *r)
{
    struct rumour_list *l = &q->list[r->rank][r->told];

    r->next = NULL;
    r->prev = l->last;
    *(l->last != NULL ? &l->last->next : &l->first) = r;
    l->last = r;
    q->filled[r->rank] |= 1u << r->told;
}

static struct idmap *index_of(struct rumours *q, const struct rumour *r)
{
    return r->kind == GOSSIP_NOTE ? &q->notes : &q->states;
}

static void rumour_free(struct rumour *r)
{
    record_unref(r->rec);
    note_unref(r->note);
    mem_free(r);
}

/* r is in no list. */
static void drop(struct rumours *q, struct rumour *r)
{
    idmap_take(index_of(q, r), r->nid);
    q->n--;
    rumour_free(r);
}

void rumours_init(struct rumours *q)
{
    *q = (struct rumours){ 0 };
}

void rumours_fini(struct rumours *q)
{
    IDMAP_EACH(&q->states, s)
        rumour_free(s->value);
    IDMAP_EACH(&q->notes, s)
        rumour_free(s->value);
    idmap_fini(&q->states);
    idmap_fini(&q->notes);
}

/* The one that matters least: lowest rank, told most often, oldest. */
static void make_room(struct rumours *q)
{
    for (int rank = RANKS - 1; rank >= 0; rank--)
        for (int told = RUMOUR_TELLS_MAX - 1; told >= 0; told--) {
            struct rumour *r = q->list[rank][told].first;

            if (r == NULL)
                continue;
            unlink_rumour(q, r);
            drop(q, r);
            return;
        }
}

/* Takes what `fresh` owns. */
static void enter(struct rumours *q, const struct rumour *fresh)
{
    struct rumour *r = idmap_get(index_of(q, fresh), fresh->nid);

    if (r != NULL) {
        unlink_rumour(q, r);
        record_unref(r->rec);
        note_unref(r->note);
    } else {
        if (q->n >= RUMOURS_MAX)
            make_room(q);
        r = MEM_NEW(struct rumour);
        idmap_put(index_of(q, fresh), fresh->nid, r);
        q->n++;
    }
    *r = *fresh;
    append(q, r);
}

void rumour_alive(struct rumours *q, struct record *rec)
{
    enter(q, &(struct rumour){ .kind = GOSSIP_ALIVE, .rank = RANK_ALIVE, .nid = rec->nid,
                               .rec = record_ref(rec) });
}

void rumour_note(struct rumours *q, struct note *note)
{
    enter(q, &(struct rumour){ .kind = GOSSIP_NOTE, .rank = RANK_NOTE, .nid = note->nid,
                               .note = note_ref(note) });
}

void rumour_state(struct rumours *q, enum gossip_kind kind, uint64_t nid, uint64_t incarnation,
                  uint64_t by)
{
    ASSERT(kind == GOSSIP_SUSPECT || kind == GOSSIP_DEAD);
    enter(q, &(struct rumour){ .kind = kind, .rank = kind == GOSSIP_DEAD ? RANK_DEAD : RANK_SUSPECT,
                               .nid = nid, .incarnation = incarnation, .by = by });
}

void rumours_forget(struct rumours *q, uint64_t nid)
{
    struct rumour *r[2] = { idmap_get(&q->states, nid), idmap_get(&q->notes, nid) };

    for (int i = 0; i < 2; i++)
        if (r[i] != NULL) {
            unlink_rumour(q, r[i]);
            drop(q, r[i]);
        }
}

static struct gossip_item item_of(const struct rumour *r)
{
    if (r->rec != NULL)
        return record_item(r->rec);
    if (r->note != NULL)
        return note_item(r->note);
    return (struct gossip_item){ .kind = r->kind, .node = r->nid, .incarnation = r->incarnation,
                                 .by = r->by };
}

/* So many that do not fit end a fill: behind a large record there are seldom small ones. */
#define MISFITS_MAX 6

/* Tell what fits of one list; the told ones are chained through `next` into *told. */
static unsigned fill_from(struct rumours *q, struct rumour_list *l, struct gossip_packet *p,
                          unsigned misfits, struct rumour **told)
{
    struct rumour *next;

    for (struct rumour *r = l->first; r != NULL && misfits < MISFITS_MAX; r = next) {
        struct gossip_item it = item_of(r);

        next = r->next;
        if (!gossip_put(p, &it)) {
            misfits++;
            continue;
        }
        unlink_rumour(q, r);
        r->next = *told;
        *told = r;
    }
    return misfits;
}

void rumours_fill(struct rumours *q, struct gossip_packet *p, unsigned tells)
{
    struct rumour *told = NULL, *back = NULL, *r;
    unsigned misfits = 0;

    for (int rank = 0; rank < RANKS; rank++)
        for (uint32_t m = q->filled[rank]; m != 0 && misfits < MISFITS_MAX; m &= m - 1)
            misfits = fill_from(q, &q->list[rank][__builtin_ctz(m)], p, misfits, &told);
    for (; (r = told) != NULL; back = r) {          /* the order in which they were told */
        told = r->next;
        r->next = back;
    }
    for (; (r = back) != NULL;) {
        back = r->next;
        if (++r->told >= tells || r->told >= RUMOUR_TELLS_MAX)
            drop(q, r);
        else
            append(q, r);
    }
}
