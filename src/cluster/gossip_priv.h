/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gossip_priv.h - the inside of one node's part in gossip
 *
 *   gossip.c        life, clock, what is sent, ourselves
 *   gossip_rules.c  alive, suspect, dead, left: what is believed, and when it changes
 *   gossip_probe.c  pings, indirect pings, health
 *   gossip_sync.c   push/pull, merge mode, asking to refute
 */
#ifndef CLUSTER_GOSSIP_PRIV_H
#define CLUSTER_GOSSIP_PRIV_H

#include "cluster/gossip.h"

#define MS 1000000ll
#define S  1000000000ll

#define HEALTH_MAX          7
#define LATE_NS             (500 * MS)
#define EVIDENCE_SESSION_NS (3 * S)
#define CONFIRMATIONS       2
#define REFUTE_GAP_NS       (500 * MS)
#define PUSHPULL_GAP_NS     (2 * S)
#define PUSHPULL_WAIT_NS    (30 * S)
#define MERGE_NS            (60 * S)
#define MERGE_WINDOW_NS     (5 * S)
#define DEAD_TRY_NS         (10 * S)
#define DEAD_TRY_MERGING_NS (100 * MS)
#define ASK_ROUND_NS        (20 * MS)
#define ASKS_A_ROUND        10
#define NOTE_GAP_NS         (5 * S)
#define MUTE_REFUTED        5
#define MUTE_NS             (60 * S)
#define RELAYS_MAX          64
#define TRIES_MAX           16
#define ACKS_KEPT           16
#define PARTNERS_KEPT       64
#define QUEUE_LONG          80

/* A member that will be dead at `due` unless something speaks for it. */
struct suspicion {
    uint64_t nid, by[1 + CONFIRMATIONS];
    uint8_t n_by;
    bool asks, asked;               /* `due` is when its subject is asked; it was */
    int64_t since, due;
    uint32_t at;                    /* index in the heap */
};

/* How often the accusations of a member came to nothing. */
struct accuser {
    unsigned refuted;
    int64_t since, muted_until;
};

enum probe_phase { PROBE_REST, PROBE_DIRECT, PROBE_INDIRECT };

struct probe {
    enum probe_phase phase;
    int64_t due;                    /* REST: the next probe; else when to give up waiting */
    int64_t started, end;
    uint64_t target, nonce, indirect_nonce;
    unsigned nacks_due, nacks;
};

/* A ping made for somebody else. */
struct relay {
    int64_t due;                    /* 0: free */
    uint64_t nonce, their_nonce, target, asker;
    struct net_addr to;            /* port 0: answer by a frame to asker */
};

struct gossip {
    struct gossip_config conf;
    struct gossip_env env;
    struct record_pool *pool;
    uint64_t chance;                /* state of the generator */
    int64_t now, planned;           /* of this call; what gossip_next_ns said last */

    struct gossip_self self;
    char *self_name;
    uint64_t nid;
    struct record *rec;             /* our own newest */
    uint32_t counter;               /* lower half of our incarnation */
    int64_t refuted_at, refute_due; /* refute_due 0: nothing to refute */
    bool leaving;

    struct roster view;
    struct rumours rumours;
    struct idmap notes;             /* nid -> struct note, one reference each */
    uint64_t notes_digest;
    struct idmap suspicions, accusers;
    struct suspicion **heap;
    uint32_t heap_n, heap_cap;

    struct probe probe;
    uint32_t round_a, round_b, round_m, round_i;    /* a permutation of the slots of the view */
    struct relay relays[RELAYS_MAX];
    struct { uint64_t nonce, nid; } tries[TRIES_MAX];       /* pings to the dead */
    unsigned try_next;
    struct { uint64_t nid; int64_t at; } acks[ACKS_KEPT];   /* latest direct acks */
    unsigned ack_next;
    unsigned health;

    int64_t gossip_due, pushpull_due, dead_due, note_due;
    int64_t pushpull_at;            /* when we last asked for one */
    uint64_t pushpull_peer;         /* 0: none expected */
    struct { uint64_t nid; int64_t at; } partners[PARTNERS_KEPT];   /* whom we answered when */
    unsigned odd;                   /* how many digests in a row differed from ours */

    int64_t merge_until, window_at; /* merge_until 0: not merging */
    uint32_t window_n, dead_cursor;
    struct ask { uint64_t nid, incarnation; } *asks;
    uint32_t asks_n, asks_cap, asks_at;     /* from asks_at to asks_n */
    int64_t ask_due;

    uint8_t *note_meta;             /* waits for note_due; NULL: none */
    size_t note_len;
    uint64_t note_version;
    struct vital vital;
    struct gossip_stats stats;
};

/* gossip.c */
uint64_t chance(struct gossip *g);
uint32_t chance_below(struct gossip *g, uint32_t n);
void send_packet(struct gossip *g, const struct net_addr *to, const struct gossip_packet *p);
bool send_frame(struct gossip *g, uint64_t nid, enum gossip_frame kind, const struct buf *b);
struct net_addr member_addr(const struct member *m);
struct vital own_vital(const struct gossip *g);
unsigned tells(const struct gossip *g);
void tell(struct gossip *g, enum member_event_kind kind, const struct member *m, uint64_t by);
uint32_t present(const struct gossip *g);       /* alive and suspect, ourselves included */
/* A random present member that is neither ourselves nor `but`; NULL: there is none. */
struct member *random_member(struct gossip *g, uint64_t but);
int64_t base_period(const struct gossip *g);
int64_t suspicion_min(const struct gossip *g);
void health_add(struct gossip *g, int n);
void refute(struct gossip *g, uint64_t incarnation, bool accused);

/* gossip_rules.c */
void rule_alive(struct gossip *g, const struct gossip_item *it, bool pushpull);
void rule_suspect(struct gossip *g, const struct gossip_item *it);
void rule_dead(struct gossip *g, const struct gossip_item *it);
void rule_gone_elsewhere(struct gossip *g, const struct gossip_item *it, uint64_t from);
void rule_note(struct gossip *g, const struct gossip_item *it);
void rule_ask(struct gossip *g, const struct gossip_item *it);
/* m has spoken to us itself. */
void rule_contact(struct gossip *g, struct member *m);
void suspect(struct gossip *g, struct member *m, uint64_t by);
bool has_evidence(struct gossip *g, uint64_t nid);
int64_t suspicions_due(const struct gossip *g);
void suspicions_tick(struct gossip *g);
void suspicions_shift(struct gossip *g, int64_t by_ns);
void suspicions_spare(struct gossip *g);
void suspicion_drop(struct gossip *g, uint64_t nid);
void forget_old(struct gossip *g);

/* gossip_probe.c */
void probe_tick(struct gossip *g);
int64_t relays_due(const struct gossip *g);
void relays_tick(struct gossip *g);
void probe_item(struct gossip *g, const struct net_addr *from, const struct gossip_item *it,
                size_t question_bytes);
void probe_frame(struct gossip *g, uint64_t from, enum gossip_frame kind, uint64_t nonce,
                 uint64_t target, bool ok);
void try_dead(struct gossip *g, struct member *m);
void vital_in(struct gossip *g, struct member *m, const struct vital *v);

/* gossip_sync.c */
bool pushpull_start(struct gossip *g, uint64_t nid);
int pushpull_frame(struct gossip *g, uint64_t from, const uint8_t *data, size_t len);
void pushpull_tick(struct gossip *g);
void dead_tick(struct gossip *g);
void ask_later(struct gossip *g, struct member *m);
void asks_tick(struct gossip *g);
void merge_count(struct gossip *g, uint32_t n, bool hinted);
void merge_tick(struct gossip *g);

#endif
