/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gossip.h - who is there: SWIM with Lifeguard as a machine without threads, clocks or sockets
 *
 * One struct gossip is one node's part. Its owner calls it with what happened (a datagram, a frame
 * on a session, time) and it answers through struct gossip_env. The daemon runs one on its cluster
 * thread; the virtual network of the tests runs thousands, so both prove the same code.
 *
 * The rules: Das, Gupta, Motivala, "SWIM" (2002); Dadgar, Phillips, Currey, "Lifeguard" (2018);
 * ours on top are the digest in each ping and ack, push/pull of the buckets that differ, own
 * evidence before rumours, AskRefute, and the merge mode after a partition.
 *
 *   state         set by                                         leaves by
 *   alive(i)      a record signed by its subject                 suspect, dead, left
 *   suspect(i)    a failed probe, or a rumour                    alive(j > i), contact, time -> dead
 *   dead(i)       time, or a rumour about one whom we suspect    alive(j > i), forgotten after 72 h
 *   left(i)       a record signed by its subject                 alive(j > i), forgotten after 72 h
 *
 * At equal incarnation dead > suspect > alive. An incarnation is creation << 32 | counter, so a
 * restart beats everything said about the boots before.
 *
 * Cost: 16 bytes a member and slot (roster.h) and its record, about 290 bytes; a period costs one
 * ping and its ack, whatever the number of members. All functions: the owner's thread.
 */
#ifndef CLUSTER_GOSSIP_H
#define CLUSTER_GOSSIP_H

#include "cluster/gossip_wire.h"
#include "cluster/record.h"
#include "cluster/rumour.h"
#include "cluster/roster.h"
#include "cluster/watch.h"

struct gossip_env {
    void *arg;
    /* Send a datagram; bytes are lent. Loss is expected. */
    void (*datagram)(void *arg, const struct net_addr *to, const uint8_t *plain, size_t len);
    /* Send a frame to a node over its session, opening one if need be. False: it cannot be done
     * now. */
    bool (*frame)(void *arg, uint64_t nid, enum gossip_frame kind, const uint8_t *data, size_t len);
    /* When the session to a node last brought a valid record; -1: there is no session. */
    int64_t (*heard_ns)(void *arg, uint64_t nid);
    /* Node id of a key, or 0 when the key may not be a member. */
    uint64_t (*nid_of)(void *arg, const uint8_t key[MEMBER_KEY_BYTES]);
    /* ALIVE: a MemberBody; NOTE: metadata and its version. */
    void (*sign)(void *arg, enum gossip_kind kind, uint64_t version, const uint8_t *data,
                 size_t len, uint8_t sig[MEMBER_SIG_BYTES]);
    /* A note of nid; rec is what nid said about itself. */
    bool (*verify_note)(void *arg, const struct record *rec, const struct gossip_item *note);
    void (*event)(void *arg, const struct member_event *ev);
};

/* The parameters of the protocol; gossip_config_default gives those of the design. */
struct gossip_config {
    int64_t period_ns;          /* between probes, times 1 + health; 1 s, in a LAN 0.5 s */
    int64_t gossip_ns;          /* between rounds of rumours: 200 ms */
    unsigned fanout;            /* members told in a round: 3 */
    unsigned indirect;          /* members asked to probe for us: 3 */
    bool tcp_fallback;          /* probe over sessions, too, when UDP fails */
    uint32_t members_max;       /* 10,000 */
    int64_t forget_ns;          /* 72 h */
};

void gossip_config_default(struct gossip_config *c);

/* What this node says about itself. Everything is copied. */
struct gossip_self {
    uint8_t key[MEMBER_KEY_BYTES], boot_id[MEMBER_BOOT_BYTES];
    uint32_t creation, proto_min, proto_max, flags;
    uint64_t features;
    const char *name;
    unsigned n_addrs;
    struct net_addr addrs[MEMBER_ADDRS_MAX];
};

enum gossip_ended { SUSPICION_DEAD, SUSPICION_REFUTED, SUSPICION_CONTACT, SUSPICION_ENDS };

struct gossip_stats {
    uint64_t datagrams_out, datagrams_in, bytes_out, bytes_in;      /* of plaintext */
    uint64_t frames_out, frames_in, frame_bytes_out, frame_bytes_in;
    uint64_t items_in[GOSSIP_KINDS], refused, malformed;
    uint64_t probes, probes_failed, indirect, suspicions, suspicions_ended[SUSPICION_ENDS];
    uint64_t refutations, asks_sent, pushpulls, merges, lates;
};

struct gossip;

/* pool and env must outlive it; pool may be shared with others of the same thread. seed drives all
 * chance. now_ns: any clock that never goes back, the same in every call. */
struct gossip *gossip_new(const struct gossip_config *c, const struct gossip_env *env,
                          struct record_pool *pool, const struct gossip_self *self, uint64_t seed,
                          int64_t now_ns);
void gossip_free(struct gossip *g);

/* When gossip_tick wants to be called next. Changes with every call below. */
int64_t gossip_next_ns(const struct gossip *g);
void gossip_tick(struct gossip *g, int64_t now_ns);

/* A datagram that was sealed with the secret of the cluster. */
void gossip_datagram(struct gossip *g, int64_t now_ns, const struct net_addr *from,
                     const uint8_t *plain, size_t len);
/* A frame from an authenticated node. -ERR_PROTOCOL: its session should end. */
MUST_CHECK int gossip_frame(struct gossip *g, int64_t now_ns, uint64_t from, enum gossip_frame kind,
                            const uint8_t *data, size_t len);
/* A session is up. Asks for a push/pull when we do not see that node as present. */
void gossip_session_up(struct gossip *g, int64_t now_ns, uint64_t nid);
/* The vital figures of a peer came with a tick of its session. */
void gossip_vital(struct gossip *g, int64_t now_ns, uint64_t nid, const struct vital *v);

/* Say something new about ourselves; the next incarnation. */
void gossip_set_self(struct gossip *g, int64_t now_ns, const struct gossip_self *self);
/* Metadata of at most MEMBER_META_MAX bytes; told at most once in 5 s, the newest one. */
void gossip_set_note(struct gossip *g, int64_t now_ns, const uint8_t *meta, size_t len);
/* What pings and acks carry besides digest and health, which are the core's. */
void gossip_set_vital(struct gossip *g, const struct vital *v);
/* Say goodbye; go on ticking for 2 s, so that it spreads. */
void gossip_leave(struct gossip *g, int64_t now_ns);
/* A key was revoked: the member is forgotten at once. */
void gossip_forget(struct gossip *g, int64_t now_ns, uint64_t nid);

uint64_t gossip_nid(const struct gossip *g);
const struct record *gossip_self_record(const struct gossip *g);
const struct roster *gossip_roster(const struct gossip *g);         /* lent until the next call */
const struct note *gossip_note(const struct gossip *g, uint64_t nid);  /* NULL: none; lent */
const struct gossip_stats *gossip_stats(const struct gossip *g);
unsigned gossip_health(const struct gossip *g);                 /* 0 is good, 7 the worst */
bool gossip_merging(const struct gossip *g);
uint32_t gossip_queue(const struct gossip *g);                  /* rumours still to be told */
/* A random present member other than ourselves, or 0. */
uint64_t gossip_random(struct gossip *g);

#endif
