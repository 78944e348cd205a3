/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gossip_wire.h - the bytes of gossip: datagrams, member records, push/pull frames
 *
 * Pure functions on bytes, any thread; no allocation but in writers to a struct buf. The messages
 * are Gossip, MemberBody and PushPull of proto/rn.proto, written by hand because every datagram
 * passes here; unknown fields are passed over. Whatever comes out of a reader is within the limits
 * below; pointers lead into the bytes that were read.
 */
#ifndef CLUSTER_GOSSIP_WIRE_H
#define CLUSTER_GOSSIP_WIRE_H

#include "base/bytes.h"
#include "net/addr.h"

#define GOSSIP_PLAIN_MAX     1188   /* 1,232 of a datagram less 44 of its envelope */
#define GOSSIP_ITEMS_MAX     256    /* items of one datagram that are looked at */
#define MEMBER_BODY_MAX      600
#define MEMBER_NAME_MAX      255
#define MEMBER_ADDRS_MAX     4
#define MEMBER_META_MAX      512
#define MEMBER_KEY_BYTES     32
#define MEMBER_SIG_BYTES     64
#define MEMBER_BOOT_BYTES    16
#define GOSSIP_BUCKETS       256
#define PUSHPULL_FRAME_BYTES (14u << 10)    /* content of one frame; more of it goes into the next */

/* What a node says about itself in each ping and ack. */
struct vital {
    uint64_t digest, ring_version, name_index, code_epoch;
    uint32_t load, health, epoch;
};

/* The numbers are those of the oneof in GossipItem. */
enum gossip_kind {
    GOSSIP_PING = 1, GOSSIP_ACK, GOSSIP_PING_REQ, GOSSIP_NACK, GOSSIP_ALIVE, GOSSIP_SUSPECT,
    GOSSIP_DEAD, GOSSIP_NOTE, GOSSIP_ASK, GOSSIP_KINDS,
};

struct gossip_item {
    enum gossip_kind kind;
    uint64_t nonce, from;           /* PING, ACK, PING_REQ, NACK */
    uint64_t node;                  /* the subject; of PING, PING_REQ and NACK: the target */
    uint64_t incarnation;           /* SUSPECT, DEAD, ASK; of NOTE: its version */
    uint64_t by;                    /* SUSPECT, DEAD, ASK */
    struct vital vital;             /* PING, ACK */
    struct net_addr addr;          /* PING_REQ; port 0: none */
    const uint8_t *body, *sig;      /* ALIVE: MemberBody; NOTE: the metadata. sig: 64 bytes */
    size_t body_len;
};

/* One datagram under construction. */
struct gossip_packet {
    uint8_t data[GOSSIP_PLAIN_MAX];
    size_t len, max;                /* max <= GOSSIP_PLAIN_MAX: what may be used of it */
};

void gossip_packet_init(struct gossip_packet *p, size_t max);
/* Append an item; false: it does not fit and nothing was written. */
bool gossip_put(struct gossip_packet *p, const struct gossip_item *it);
size_t gossip_item_bytes(const struct gossip_item *it);     /* what gossip_put would write */

/* The next item of a datagram: 1; 0 at its end; -ERR_PROTOCOL when it is malformed. Items of a
 * kind that is not known are passed over. */
int gossip_next(struct reader *r, struct gossip_item *ret_item);

/* A MemberBody. key, boot_id and name are lent. */
struct member_body {
    const uint8_t *key;             /* MEMBER_KEY_BYTES */
    const uint8_t *boot_id;         /* MEMBER_BOOT_BYTES */
    const char *name;               /* name_len bytes, no NUL at their end */
    size_t name_len;
    uint64_t incarnation, features;
    uint32_t creation, state, proto_min, proto_max, flags;
    unsigned n_addrs;
    struct net_addr addrs[MEMBER_ADDRS_MAX];
};

enum { MEMBER_STATE_HERE = 0, MEMBER_STATE_LEFT = 1 };      /* member_body.state */

void member_body_write(struct buf *out, const struct member_body *b);
MUST_CHECK int member_body_read(const uint8_t *data, size_t len, struct member_body *ret);

/* --- push/pull: `PushPull` of rn.proto ------------------------------------------------------- */

enum { PUSHPULL_ASK = 1, PUSHPULL_ANSWER = 2, PUSHPULL_CLOSE = 3 };

struct pushpull {
    uint32_t step;
    bool more, merging;
    bool has_digests;
    uint64_t digests[GOSSIP_BUCKETS];
    struct reader items;            /* for pushpull_next */
};

void pushpull_write_head(struct buf *out, const struct pushpull *p);
/* ALIVE, DEAD or NOTE. */
void pushpull_write_item(struct buf *out, const struct gossip_item *it);
/* Checks the whole frame. */
MUST_CHECK int pushpull_read(const uint8_t *data, size_t len, struct pushpull *ret);
/* The next ALIVE, DEAD or NOTE of a frame that pushpull_read accepted: true, or false at its end. */
bool pushpull_next(struct pushpull *p, struct gossip_item *ret_item);

/* --- IndirectPing{nonce, target} and IndirectPong{nonce, ok} ---------------------------------- */

void indirect_write(struct buf *out, bool pong, uint64_t nonce, uint64_t target_or_ok);
MUST_CHECK int indirect_read(const uint8_t *data, size_t len, bool pong, uint64_t *ret_nonce,
                             uint64_t *ret_target_or_ok);

#endif
