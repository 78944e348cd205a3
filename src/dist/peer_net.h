/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peer_net.h - between peer_shake.c (who are you?) and peer_io.c (sessions on sockets)
 *
 * A connection begins on one of the two handshake loops and, once the other side is known, moves to
 * the loop of its peer. It is touched by one thread at a time.
 *
 *   dialler:   CONNECTING -> HELLO2 (message 2) -> ACCEPT (first record) -> UP
 *   listener:  FLIGHT (64 bytes) -> HELLO3 (message 3) -> up at once, or JOIN (one record) -> gone
 */
#ifndef DIST_PEER_NET_H
#define DIST_PEER_NET_H

#include "auth/record.h"
#include "dist/peer_priv.h"
#include "dist/peer_ring.h"

#define HANDSHAKE_S       5
#define FLIGHT_S          2
#define HANDSHAKE_BYTES   8192u             /* of messages 2 and 3 */
#define HANDSHAKES_MAX    1024u
#define HANDSHAKES_BLOCK  32u               /* open at once from one block of addresses */
#define STARTS_PER_S      20u               /* from one block; a burst of twice that */
#define CONNECT_S         7

enum conn_stage { CONN_CONNECTING, CONN_HELLO2, CONN_ACCEPT, CONN_FLIGHT, CONN_HELLO3, CONN_JOIN,
                  CONN_UP };

/* What the other side said of itself, checked. */
struct hello {
    uint8_t  key[NODE_KEY_BYTES], boot_id[BOOT_ID_BYTES];
    char     name[NODE_NAME_MAX + 1];
    uint32_t creation, max_message, epoch;
    uint64_t window, ring_version;
    uint32_t rights;
    struct net_addr addrs[8];
    unsigned n_addrs;
};

struct conn {
    int fd;
    enum conn_stage stage;
    bool dialler;
    struct loop *loop;                      /* the one it is on now */
    struct event *readable, *writable, *timer;
    struct net_addr addr;                   /* of the other side */
    struct buf in, out;                     /* what is unfinished */
    size_t out_at;
    /* handshake */
    struct flight flight;
    uint8_t first[FLIGHT_BYTES];
    struct noise *noise;
    struct hello peer;
    uint8_t expect_key[NODE_KEY_BYTES];     /* dialler: who must answer; zeros: any member (a seed) */
    uint32_t token_rights;
    bool counted;                           /* among the open handshakes */
    struct dial *dial;                      /* whose attempt this is, or NULL */
    peer_id dial_peer;
    uint64_t dial_number;                   /* session that the dial is for */
    /* session */
    struct record_keys *keys;
    struct session *session;                /* CONN_UP */
    struct loop_task task;                  /* moving between loops */
    void (*arrived)(struct conn *c);
    int64_t arrived_ns;                     /* of one whose older brother is in doubt */
    bool rekeying;                          /* step 1 is sent */
    bool switch_next;                       /* the next record is the last under its key */
    struct secret rekey_secret;
};

extern struct peer_options peer_options;
bool peer_is_trusted(const uint8_t key[NODE_KEY_BYTES]);   /* by the options; the ring is asked besides */
extern int64_t peer_degraded_ns;            /* 10 s; tests make it small */

/* shake */
int  shake_start(void);
void shake_stop(void);
/* Dial the addresses of a peer in turn for its session; dial_done comes on the peer's loop. */
void shake_dial(struct peer *p, uint64_t number, const struct net_addr *addrs, unsigned n);
void conn_free(struct conn *c);             /* closes */
/* Move c to a loop; arrived runs there. Its events are taken off first. */
void conn_move(struct conn *c, struct loop *to, void (*arrived)(struct conn *c));
/* Append Credentials of this node: chain, binding, hello. */
void peer_pack_credentials(const struct binding *b, struct buf *out);
size_t shake_listening(struct net_addr *ret, size_t max);

/* io, on the peer's loop */
void io_dialled(struct conn *c);            /* message 3 is sent: wait for Accept */
void io_dial_failed(struct peer *p, uint64_t number, enum peer_end why);
void io_accepted(struct conn *c);           /* message 3 was good */
extern const struct session_transport io_transport;
/* The peer of an authenticated key, made if new. */
struct peer *io_peer(const uint8_t key[NODE_KEY_BYTES], const char *name);
/* One plaintext record with one frame, sealed, appended to c->out. */
int conn_send_frame(struct conn *c, enum frame_kind kind, const ProtobufCMessage *m);
/* A Rekey answer in a record with SWITCH. */
int conn_send_switch(struct conn *c, const ProtobufCMessage *m);
/* Write what is in c->out: 0 all, 1 some is left, negative: broken. */
int conn_flush(struct conn *c);

#endif
