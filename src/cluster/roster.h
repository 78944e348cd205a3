/* SPDX-License-Identifier: Apache-2.0 */
/*
 * roster.h - the members one node knows, sorted by node id
 *
 * Node ids are hashes, so an id scaled to the size of the table is where it belongs: an array
 * sorted by id with gaps, in which a look-up reads one or two slots, a bucket of ids (their upper
 * 8 bits) is a range, and a random slot is a random member. 16 bytes a slot, at most 7/8 full.
 * Pointers to slots are good until the next insert or remove. One thread.
 */
#ifndef CLUSTER_ROSTER_H
#define CLUSTER_ROSTER_H

#include "cluster/record.h"

enum member_state { MEMBER_ALIVE, MEMBER_SUSPECT, MEMBER_DEAD, MEMBER_LEFT, MEMBER_STATES };

struct member {
    struct record *rec;             /* newest known; NULL: a gap */
    uint32_t since_s;               /* second of the core's clock at which state began */
    uint16_t rtt_100us;             /* smoothed; 0: not known */
    uint8_t state;                  /* enum member_state */
    uint8_t addr : 3;               /* which of rec's addresses answers */
    uint8_t asked : 1;              /* waits in the list of those to be asked to refute */
    uint8_t evident : 1;            /* answered us directly since it became alive */
};

struct roster {
    struct member *slots;
    uint32_t n, cap, slack;         /* cap + slack slots */
    uint32_t by_state[MEMBER_STATES];
    uint64_t digest;                /* XOR of member_hash over the present */
};

void roster_init(struct roster *v);
void roster_fini(struct roster *v);
struct member *roster_find(const struct roster *v, uint64_t nid);           /* NULL: not known */
/* Takes a reference to rec, whose node must not be known. */
struct member *roster_insert(struct roster *v, struct record *rec, enum member_state state);
void roster_remove(struct roster *v, uint64_t nid);
/* Change state, record (takes a reference; NULL keeps it) and the digest with them. */
void roster_set(struct roster *v, struct member *m, enum member_state state, struct record *rec);

ALWAYS_INLINE bool member_present(const struct member *m)
{
    return m->state <= MEMBER_SUSPECT;
}

/* What a present member adds to the digest. The gone add nothing, so that a node that never heard
 * of them, or has forgotten them, agrees with one that remembers. */
uint64_t member_hash(uint64_t nid, uint64_t incarnation);

uint32_t roster_slots(const struct roster *v);
/* The member in slot i < roster_slots, or NULL. */
ALWAYS_INLINE struct member *roster_slot(const struct roster *v, uint32_t i)
{
    return v->slots[i].rec != NULL ? &v->slots[i] : NULL;
}

#define ROSTER_EACH(v, m)                                                                      \
    for (struct member *m = (v)->slots, *end_##m = m + roster_slots(v); m < end_##m; m++)      \
        if (m->rec != NULL)

/* Digests of the buckets; their XOR is v->digest. */
void roster_buckets(const struct roster *v, uint64_t digests[GOSSIP_BUCKETS]);

#endif
