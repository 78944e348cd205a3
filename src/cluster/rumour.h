/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rumour.h - what a node still has to tell others, most urgent first
 *
 * At most one rumour about the state of a node and one about its note: a newer one replaces it
 * and is told from the start. Order: rank, then how often it was told, then age (Das, Gupta,
 * Motivala, SWIM, 2002, with ranks of our own). 72 bytes a rumour. One thread.
 */
#ifndef CLUSTER_RUMOUR_H
#define CLUSTER_RUMOUR_H

#include "cluster/record.h"

/* Refutations first: they stop the damage that the others do. */
enum rumour_rank { RANK_ALIVE, RANK_DEAD, RANK_SUSPECT, RANK_NOTE, RANKS };

#define RUMOUR_TELLS_MAX 24         /* more than 4 * ceil(log10(10,001)) */
#define RUMOURS_MAX      16384      /* then the one told most often is forgotten */

/* Metadata of a node, signed by it; shared. */
struct note {
    uint32_t refs;
    uint16_t len;
    uint64_t nid, version;
    uint8_t sig[MEMBER_SIG_BYTES];
    uint8_t meta[];
};

struct note *note_new(uint64_t nid, uint64_t version, const uint8_t *meta, size_t len,
                      const uint8_t sig[MEMBER_SIG_BYTES]);
struct note *note_ref(struct note *n);
void note_unref(struct note *n);                /* NULL is fine */
struct gossip_item note_item(const struct note *n);

struct rumour;

struct rumours {
    struct idmap states, notes;     /* node id -> struct rumour */
    struct rumour_list { struct rumour *first, *last; } list[RANKS][RUMOUR_TELLS_MAX];
    uint32_t filled[RANKS];         /* bit t: list[rank][t] is not empty */
    uint32_t n;
};

void rumours_init(struct rumours *q);
void rumours_fini(struct rumours *q);
void rumour_alive(struct rumours *q, struct record *rec);       /* takes a reference of its own */
void rumour_note(struct rumours *q, struct note *note);         /* likewise */
/* SUSPECT or DEAD */
void rumour_state(struct rumours *q, enum gossip_kind kind, uint64_t nid, uint64_t incarnation,
                  uint64_t by);
void rumours_forget(struct rumours *q, uint64_t nid);
/* Put as much as fits; what has been told `tells` times is dropped. */
void rumours_fill(struct rumours *q, struct gossip_packet *p, unsigned tells);

#endif
