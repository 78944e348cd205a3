/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peer_priv.h - peers, sessions and their streams, for the files peer_*.c alone
 *
 *   peer_frame.c    frames on their way out
 *   peer_stream.c   lanes, records, dictionary, transfers, credit: bytes in, bytes out, no sockets
 *   peer_session.c  the life of a session: begin, up, ticks, end
 *   peer_table.c    who is there; the functions of peer.h
 *   peer_fake.c     two peers in one process
 *   peer_io.c       sockets under sessions
 *   peer_shake.c    from a socket to an authenticated peer
 *
 * A peer belongs to one loop (net/loop.h); [loop] fields are touched on its thread only.
 */
#ifndef DIST_PEER_PRIV_H
#define DIST_PEER_PRIV_H

#include "auth/rights.h"
#include "base/spin.h"
#include "dist/peer.h"
#include "net/loop.h"
#include "wire/unpack.h"

#include <pthread.h>

#define PEERS_MAX          65536u
#define FRAME_SMALL_BYTES  (15u << 10)      /* larger frames become transfers */
#define FRAGMENT_BYTES     15000u
#define DICT_SLOTS         2048u
#define TRANSFERS_MAX      64u
#define TRANSFER_WAIT_BYTES ((size_t)256 << 20)     /* announced by all running transfers */
#define MESSAGE_MAX        ((uint32_t)64 << 20)
#define WINDOW_BYTES       ((uint64_t)8 << 20)
#define WINDOW_SLACK       (128u << 10)     /* frames that were under way when credit ran out */
#define CONTROL_QUEUE_MAX  (256u << 10)
#define BUSY_BYTES         (1u << 20)       /* dist_busy_limit */
#define OVERRUN_BYTES      ((uint64_t)64 << 20)
#define REFUSED_FRAMES_MAX 100u             /* dropped frames that end a session */
#define ATOM_BURST         10000u
#define ATOM_RATE          100u             /* a second */
#define ATOM_TOTAL         100000u          /* of one key, as long as we run: atoms are for ever */

/* --- frames ------------------------------------------------------------------------------------ */

#define FRAME_ATOMS_INLINE 8

struct peer_frame {
    struct peer_frame *next;
    uint64_t order;
    uint32_t *atoms;                        /* indices of atoms; inline_atoms, or SIG_ATOMS_MAX on their own */
    uint32_t stamp;                         /* while it is made: key of the maker's cache of atoms */
    uint32_t cap;                           /* bytes of data */
    uint32_t at, len;                       /* what is written: term; when sealed: the body */
    uint32_t split;                         /* where in the body the atoms go */
    uint8_t  kind, n_atoms;
    bool     sealed;
    uint32_t inline_atoms[FRAME_ATOMS_INLINE];
    uint8_t  data[];
};

/* What a frame weighs in queues. */
#define frame_weight(f) ((uint64_t)(f)->len + 64)

/* --- stream -------------------------------------------------------------------------------------- */

struct frame_queue { struct peer_frame *first, **last; size_t bytes; };

struct transfer_out;
struct transfer_in;

struct dict_out {
    uint32_t atom[DICT_SLOTS];              /* index of the atom in each slot, plus 1 */
    uint32_t used[DICT_SLOTS];              /* number of the last frame that named the slot */
};

struct stream {
    struct session *session;
    /* out: [lk tx] */
    struct frame_queue lane[LANE_COUNT];
    struct transfer_out *out_first, **out_last;         /* running, in turn */
    struct transfer_out *by_order[64];
    unsigned out_count;
    size_t   out_announced;
    uint64_t next_transfer;
    uint32_t frame_number;                  /* for dict_out.used */
    unsigned turn;                          /* 4 records of signals, 1 of bulk */
    uint64_t sent;                          /* bytes of lanes 1 and 2, in all */
    _Atomic uint64_t granted;               /* [any] by the peer, in all; only grows */
    struct dict_out *dict_out;              /* NULL until needed */
    uint64_t records_out;
    _Atomic uint64_t frames_out;            /* [any] reads: a figure */
    /* in: [loop] */
    struct transfer_in *in_first;
    unsigned in_count;
    size_t   in_announced;
    uint64_t received, credited, window;
    int64_t  fragment_ns;                   /* when the last fragment came */
    unsigned refused;
    bool     makes_atoms;                   /* leaves and operators may not */
    term *dict_in;                          /* DICT_SLOTS; TERM_NONE: not defined, or refused */
    uint64_t records_in, frames_in;
};

void stream_init(struct stream *st, struct session *s);
void stream_fini(struct stream *st);
/* Take a sealed frame; loop thread. */
void stream_queue(struct stream *st, struct peer_frame *f);
/* Is there something that may go now? */
bool stream_ready(const struct stream *st);
/* Fill at most max bytes (RECORD_PLAIN_MAX) of plaintext; 0: nothing may go. *ret_lane: of all of it. */
size_t stream_build(struct stream *st, uint8_t *out, size_t max, unsigned *ret_lane);
/* A record came. Calls session_frame for what is for others. Negative: end the session. */
MUST_CHECK int stream_take(struct stream *st, const uint8_t *data, size_t len);

/* --- sessions and peers --------------------------------------------------------------------------- */

enum session_state { SESSION_CONNECTING, SESSION_UP, SESSION_ENDED };

/* What carries a session: sockets or a fake. Called on the loop thread, but for send_now. */
struct session;
struct session_transport {
    void (*begin)(struct session *s);       /* find a way to the peer; then session_up or session_end */
    void (*flush)(struct session *s);       /* there may be something to send */
    /* Any thread, under s->tx: send what may go, at once. False: something is left for flush. NULL:
     * always left. */
    bool (*send_now)(struct session *s);
    void (*drop)(struct session *s);        /* the session is over: forget it */
};

struct session {
    struct peer *peer;                      /* [set] */
    uint64_t number;                        /* [set] */
    session_id id;                          /* [set] */
    _Atomic uint32_t refs;                  /* [any] */
    _Atomic int state;                      /* [any] enum session_state; changed on the loop */
    _Atomic(struct peer_frame *) inbox;     /* [any] newest first; &inbox_closed when over */
    _Atomic uint64_t queued;                /* [any] weight of what waits, here and in the stream */
    _Atomic bool told_busy;                 /* [any] somebody waits for writable */
    _Atomic bool ready;                     /* [any] on the loop's list */
    _Atomic bool direct;                    /* [any] senders may send by themselves; changed under tx */
    _Atomic int64_t pushed_ns;              /* [any] last time that a push found nothing before it */
    _Atomic bool heard;                     /* [any] something came since then */
    pthread_mutex_t tx;                     /* the out side of stream and transport */
    bool tell_writable;                     /* [lk tx] somebody waited and may go on */
    _Atomic uint32_t message_max;           /* [any] what the peer takes */
    struct loop_task ready_task;
    struct stream stream;                   /* [loop] */
    void *transport_data;                   /* [loop] of the transport */
    struct peer_block *block;               /* [loop] holds the frame being delivered, or NULL */
    uint32_t creation, rights;              /* [loop] of the peer */
    bool begun, told_up;                    /* [loop] */
    enum peer_end ending_why;               /* [loop] while it waits in peer->ended */
    struct session *next_ended;
};

struct peer {
    peer_id id;                             /* [set] */
    struct loop *loop;                      /* [set] */
    const struct session_transport *transport;          /* [set] */
    struct spin lock;                       /* beginning of sessions, and info */
    _Atomic(struct session *) session;      /* [any] written under lock; read under epoch */
    uint64_t last_number;                   /* [lk lock] */
    struct peer_info info;                  /* [lk lock] */
    struct net_addr addrs[8];               /* [lk lock] newest first */
    unsigned n_addrs;
    _Atomic bool gone;                      /* [lk lock] revoked; looked at without it */

    /* [loop] new atoms, over all sessions: a bucket that fills with ATOM_RATE a second, and all so far */
    uint32_t atom_tokens, atoms_made;
    int64_t atom_time_ns;

    /* [loop] the end of a session that is being told, slice by slice; the next may not be up before */
    struct session *ending;
    enum peer_end ending_why;
    struct peer_watch *ending_watch;
    struct session *ended;                  /* whose end is told next; they were never up */
    struct loop_task end_task;
    void (*after_end)(struct peer *p);      /* what waited for it */
    struct peer *next_name, *next_nid;      /* [lk table] */
};

extern const struct peer_frame inbox_closed;

/* Loop thread. The peer is authenticated: tell it, then let frames go. False: a watcher ended it. */
bool session_up(struct session *s, const struct peer_info *fresh);
/* Loop thread. End it, tell, drop what is queued. May be called for one that is not up. */
void session_end(struct session *s, enum peer_end why);
void session_ref(struct session *s);
void session_unref(struct session *s);
/* Take what is in the inbox into the stream. Under s->tx. */
void session_drain(struct session *s);
/* From stream_take: a frame for others. Negative ends the session. */
int session_frame(struct session *s, const struct peer_rx *rx);
/* After work under s->tx, on the loop: tell watchers if the queue has become short. */
void session_tell_writable(struct session *s);
/* From stream_build: weight that has left. */
void session_left(struct session *s, uint64_t weight);
/* Begin or find; NULL: the peer is gone. The reference is the caller's only under epoch. */
struct session *session_begin(struct peer *p);
/* Queue a frame of our own. Loop thread. */
void session_control(struct session *s, enum frame_kind kind, const ProtobufCMessage *m);

struct peer *peer_get(peer_id id);
/* Make a peer; name and key must be new. NULL: PEERS_MAX. */
struct peer *peer_add(const char *name, const uint8_t key[NODE_KEY_BYTES], struct loop *loop,
                      const struct session_transport *t);

void peer_rename(struct peer *p, const char *name);

extern peer_rx_fn *peer_handlers[KIND_END];
extern struct peer_watch *peer_watches, *peer_watches_reversed;
/* Asked when a name is not in the table: makes the peer if the ring has it. */
extern peer_id (*peer_find_hook)(const char *name, size_t len, uint64_t nid,
                                 const uint8_t *key);
/* Frames that this room handles itself, on the loop. */
extern int (*peer_own_frame_hook)(struct session *s, const struct peer_rx *rx);

uint32_t kind_rights(unsigned kind);        /* any of these bits will do; 0: all peers */

#endif
