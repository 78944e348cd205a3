/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cluster.h - membership of the running node: a thread, a UDP socket, and what others may read
 *
 * One struct cluster owns a loop thread (the cluster thread), the socket of the peer port and one
 * struct gossip. Functions may be called on any thread unless they say otherwise; they post to the
 * cluster thread and do not wait. Datagrams are sealed with the gossip key of the cluster's epoch:
 *
 *   0x52 0x01, low byte of the epoch, flags 0 | 24-byte nonce | XChaCha20-Poly1305 of a Gossip
 *
 * with the first four bytes as associated data. Whoever does not have the key is dropped after one
 * keyed hash; from whom has it, at most CLUSTER_DATAGRAMS_S are read in a second, and at most
 * CLUSTER_SOURCE_S from one address block.
 */
#ifndef CLUSTER_CLUSTER_H
#define CLUSTER_CLUSTER_H

#include "auth/secret.h"
#include "cluster/gossip.h"

#define CLUSTER_DATAGRAMS_S 2000
#define CLUSTER_SOURCE_S    200

struct cluster;
struct loop;

/* What the room above gives: sessions and the key ring. Called on the cluster thread. */
struct cluster_hooks {
    void *arg;
    bool (*frame)(void *arg, uint64_t nid, enum gossip_frame kind, const uint8_t *data, size_t len);
    int64_t (*heard_ns)(void *arg, uint64_t nid);       /* see struct gossip_env */
    /* Is this the key of a member, as far as the ring says? */
    bool (*member_key)(void *arg, const uint8_t key[MEMBER_KEY_BYTES]);
    /* The gossip key to seal with; false: this node is in no cluster yet. */
    bool (*seal_key)(void *arg, uint8_t *ret_epoch, struct secret *ret);
    /* The gossip key of an epoch given by its low byte; false: unknown or too old. */
    bool (*open_key)(void *arg, uint8_t epoch, struct secret *ret);
    void (*sign)(void *arg, const char *label, const uint8_t *data, size_t len,
                 uint8_t sig[MEMBER_SIG_BYTES]);
};

struct cluster_options {
    struct gossip_config gossip;
    struct gossip_self self;            /* copied */
    bool udp;
    struct net_addr bind;               /* address and port of the socket; ip of zeros: all */
};

/* Starts the thread. -ERR_SYSTEM with errno: the socket cannot be bound; the node may live without
 * UDP (options.udp = false), probing over sessions alone. */
MUST_CHECK int cluster_start(const struct cluster_options *o, const struct cluster_hooks *hooks,
                             struct cluster **ret);
/* Tell the others that we leave, wait until it has spread (2 s). */
void cluster_leave(struct cluster *c);
void cluster_stop(struct cluster *c);           /* ends the thread; NULL is fine */
struct loop *cluster_loop(struct cluster *c);

/* Told on the cluster thread. Add before others can reach the node; w is not taken. */
struct cluster_watch {
    void (*event)(struct cluster_watch *w, const struct member_event *ev);
    struct cluster_watch *next;         /* ours */
};
void cluster_watch_add(struct cluster *c, struct cluster_watch *w);

void cluster_session_up(struct cluster *c, uint64_t nid);
/* A frame of a session; copied. */
void cluster_frame(struct cluster *c, uint64_t from, enum gossip_frame kind, const void *data,
                   size_t len);
void cluster_forget(struct cluster *c, uint64_t nid);           /* its key was revoked */
void cluster_set_note(struct cluster *c, const void *meta, size_t len);
/* Load of this node, 0...10,000, for pings. */
void cluster_set_load(struct cluster *c, uint32_t load);
uint64_t cluster_digest(struct cluster *c);     /* of the view, for ticks of sessions */
uint32_t cluster_health(struct cluster *c);     /* 0 is good */

/* --- reading ------------------------------------------------------------------------------------ */

/* One member as of a snapshot. */
struct cluster_member {
    uint64_t nid, incarnation, features;
    uint8_t  key[MEMBER_KEY_BYTES];
    uint32_t creation;
    uint8_t  state;                     /* enum member_state */
    bool     self;
    int64_t  since_ns;                  /* monotonic: when its state began, in whole seconds */
    uint32_t rtt_us;                    /* 0: unknown */
    uint32_t load, health;              /* from its last ping or ack; load_at_ns 0: none yet */
    int64_t  load_at_ns;
    struct net_addr addr;               /* the one that answers */
    const char *name;                   /* NUL-terminated */
    const uint8_t *meta;                /* of its note; NULL: none */
    size_t   meta_len;
};

struct cluster_snapshot {
    uint64_t version;
    uint32_t n;
    bool     merging;
    uint32_t queue;
    struct gossip_stats stats;
    struct cluster_member members[];    /* by nid */
};

/* The newest snapshot: at most CLUSTER_SNAPSHOT_MS old, good until the caller passes a quiescent
 * state or leaves the epoch (base/epoch.h), in which it must be. Never NULL. */
#define CLUSTER_SNAPSHOT_MS 100
const struct cluster_snapshot *cluster_snapshot(struct cluster *c);
/* By binary search; NULL: not there. */
const struct cluster_member *cluster_find(const struct cluster_snapshot *s, uint64_t nid);
const struct cluster_member *cluster_find_name(const struct cluster_snapshot *s, const char *name);

const char *member_state_text(enum member_state state);        /* "alive" */

/* Addresses of this machine at which a socket bound to `bind` can be reached: itself, or, of a
 * wildcard, those of the interfaces that are up, public ones first; the loopback when there is no
 * other. How many, 1...max. */
size_t cluster_own_addrs(const struct net_addr *bind, struct net_addr *ret, size_t max);

#endif
