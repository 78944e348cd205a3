/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peer.h - sessions with other nodes: what the rooms above may ask of them, and what they are told
 *
 * A peer is a node that we know, by its key; a session is one authenticated life of the connection
 * to it. Sessions of a peer are numbered, one at a time: the number begins when somebody wants to
 * send (or the peer connects) and ends with exactly one `down`, whether a connection was ever made
 * or not. So whoever keeps something in the name of a session (a link, a monitor, a request)
 * learns its end once.
 *
 * Threads: functions may be called on any thread unless they say otherwise, and never block.
 * Callbacks run on the I/O thread of the peer, one at a time for one peer; they must not block.
 * Order of callbacks of one peer (G4): up(n), its frames, down(n), up(n+1). A frame sent in session
 * n is never delivered in another.
 */
#ifndef DIST_PEER_H
#define DIST_PEER_H

#include "auth/identity.h"
#include "net/addr.h"
#include "term/term.h"
#include "wire/sig.h"

#define NODE_NAME_MAX   255             /* bytes of label@host */
#define BOOT_ID_BYTES   16

typedef uint32_t peer_id;               /* from 1; the same as long as the node runs; 0: none */
typedef uint64_t session_id;            /* peer and number of the session; 0: none, or any */

ALWAYS_INLINE peer_id session_peer(session_id s)    { return (peer_id)(s & 0xFFFFF); }
ALWAYS_INLINE uint64_t session_number(session_id s) { return s >> 20; }

/* --- who is there ------------------------------------------------------------------------- */

/* This node. Constant once peer_start has returned; zero before. */
struct peer_self {
    char     name[NODE_NAME_MAX + 1];   /* label@host */
    uint8_t  key[NODE_KEY_BYTES];       /* public half */
    uint64_t nid;
    uint32_t creation;
    uint8_t  boot_id[BOOT_ID_BYTES];
};
extern struct peer_self peer_self;

enum peer_state {
    PEER_IDLE,                          /* known, no session */
    PEER_CONNECTING,                    /* dialling or shaking hands; signals wait */
    PEER_UP,
    PEER_SUSPECT,                       /* up, but silent for longer than suspect_after */
};

struct peer_info {
    peer_id    id;
    session_id session;                 /* the present one, 0 when idle */
    enum peer_state state;
    char       name[NODE_NAME_MAX + 1];
    uint8_t    key[NODE_KEY_BYTES];
    uint64_t   nid;
    uint32_t   creation;                /* of the last session that was up; 0: never */
    uint8_t    boot_id[BOOT_ID_BYTES];
    uint32_t   rights;                  /* bits of auth/rights.h */
    bool       hidden;                  /* an operator, no node */
    char       address[64];             /* "10.0.0.2:7465" of the session, or the last one known */
    int64_t    up_since_ns;             /* system clock; 0 when not up */
    int64_t    last_heard_ns;           /* monotonic: last record of the session; 0: none */
    uint32_t   rtt_us;                  /* of the last tick; 0: unknown */
    uint32_t   load;                    /* 0...10,000; from the last tick */
    bool       degraded;                /* it answers, but its schedulers stand still */
    int64_t    load_at_ns;              /* monotonic, when that came */
    uint64_t   queued_bytes;
    uint64_t   sent_bytes, received_bytes, sent_frames, received_frames;    /* of the session */
    uint64_t   late_beats;              /* heartbeats that came late, of all sessions */
    int64_t    skew_us;                 /* their clock minus ours, from the last tick */
};

/* The peer of this name (bytes of the atom, no NUL needed) or nid; 0: no member is called so. The
 * peer is made on first asking if the key ring has it. */
peer_id peer_by_name(const char *name, size_t len);
peer_id peer_by_nid(uint64_t nid);
peer_id peer_by_key(const uint8_t key[NODE_KEY_BYTES]);
/* Fill *ret. False: no such peer. */
bool peer_info(peer_id id, struct peer_info *ret);
/* The present session: connecting or up; 0 when idle. */
session_id peer_session(peer_id id);
/* Visit all peers until visit returns false; the info is a copy. */
void peer_visit(bool (*visit)(void *arg, const struct peer_info *p), void *arg);

/* Begin a session if there is none, and return its number; 0: no such peer, or peers are not
 * started. Its end or its up comes by callback. */
session_id peer_connect(peer_id id);
/* Addresses to try for a peer, the newest first; kept beside those that are known (8 in all). */
void peer_hint(peer_id id, const struct net_addr *addrs, size_t n);
/* Dial an address of a member not known yet (a seed): whoever answers becomes a peer. */
void peer_dial_seed(const struct net_addr *addr);
/* End a session in both directions; what is queued is dropped. Stale ids do nothing. */
void peer_disconnect(session_id s);

/* --- sending ------------------------------------------------------------------------------ */

/* One frame on its way: a single block of memory, made by the sender and given away by peer_send. The
 * term is written first, at its end; peer_frame_seal writes the fields around it. */
struct peer_frame;

/* A new frame with room for term_hint bytes of term (it grows). Never NULL. */
struct peer_frame *peer_frame_new(size_t term_hint);
void peer_frame_free(struct peer_frame *f);             /* one that was not sent; NULL is fine */
/* Lend n bytes of room behind the term so far; *f may move. They count with the next call. */
uint8_t *peer_frame_room(struct peer_frame **f, size_t n);
/* n of those bytes are now part of the term. */
void peer_frame_wrote(struct peer_frame *f, size_t n);
size_t peer_frame_term_len(const struct peer_frame *f);
/* The number under which the term may name this atom (ATOM_CACHE_REF); -1: the frame has 255
 * already, write it out as SMALL_ATOM_UTF8_EXT or ATOM_UTF8_EXT. */
int peer_frame_atom(struct peer_frame *f, term atom);
/* The rest of the frame, which may move. sig->term is not looked at unless nothing was written to the frame;
 * sig->atoms never. send_name takes the name in sig->name. */
MUST_CHECK struct peer_frame *peer_frame_seal(struct peer_frame *f, const struct wire_sig *sig);
/* A frame of any kind whose body is packed already (protobuf-c). No atoms. */
struct peer_frame *peer_frame_packed(enum frame_kind kind, const void *body, size_t len);

enum peer_sent {
    PEER_SENT,                          /* queued */
    PEER_BUSY,                          /* queued, but the queue is over dist_busy_limit: suspend the
                                         * sender; `writable` comes when it is below half */
    PEER_GONE,                          /* that session is over, or no such peer: dropped */
    PEER_NO_SESSION,                    /* PEER_NOCONNECT and none is there: dropped */
    PEER_FULL,                          /* PEER_NOSUSPEND and the queue is over the limit: dropped */
    PEER_TOO_LARGE,                     /* over what the peer takes (max_message): dropped */
};

enum peer_send_flags {
    PEER_NOCONNECT = 1,                 /* do not begin a session for this */
    PEER_NOSUSPEND = 2,
};

/* Queue a sealed frame; takes f in every case. session: the one it belongs to; or, with number 0,
 * whichever is there (begun if need be). *ret_session (may be NULL) is the one it went to.
 * Frames of one order key (the number of the sending process; 0: none) that one thread at a time
 * hands in arrive in this order; those of different keys overtake each other only where one of them
 * is long. Kinds decide the lane. */
MUST_CHECK enum peer_sent peer_send(session_id session, struct peer_frame *f, uint64_t order,
                                    unsigned flags, session_id *ret_session);
/* A session id that stands for any session of this peer, for peer_send. */
ALWAYS_INLINE session_id session_any(peer_id id) { return id; }

/* --- receiving ---------------------------------------------------------------------------- */

/* A frame that came. Everything is lent for the call, except that `whole`, when not NULL, is the
 * block that sig->term lies in, and may be kept with peer_block_ref. Returning gives credit back: a
 * handler that only queues must count what it queues elsewhere. term, leader, module, function and
 * error have been scanned: each is one whole term over the same list of atoms. */
struct peer_block;                      /* counted bytes */
struct peer_rx {
    session_id session;
    uint32_t   rights;
    unsigned   kind;
    const struct wire_sig *sig;              /* of kinds in sig.tab, else NULL */
    struct span body;                   /* the packed message */
    const term *atoms;                  /* resolved; sig->n_atoms of them */
    uint32_t   term_words;              /* heap words that sig->term needs; 0: unknown */
    struct peer_block *whole;
};

struct peer_block *peer_block_ref(struct peer_block *b);
void peer_block_unref(struct peer_block *b);            /* NULL is fine */

/* 0; -ERR_PROTOCOL: only a liar sends this, end the session; -ERR_LIMIT: dropped and counted. */
typedef int peer_rx_fn(const struct peer_rx *rx);

/* Who takes frames of this kind. Once for a kind, before peer_start. Kinds that nobody takes are
 * passed over. The right that frames.tab asks for has been checked. */
void peer_handle(enum frame_kind kind, peer_rx_fn *fn);

enum peer_end {
    PEER_END_CLOSED,                    /* the connection was closed or reset */
    PEER_END_SILENT,                    /* nothing came for down_after */
    PEER_END_UNREACHABLE,               /* no connection within the limit, or nobody there */
    PEER_END_REFUSED,                   /* the handshake failed or was rejected */
    PEER_END_RESTARTED,                 /* the peer runs again under a new creation */
    PEER_END_GOODBYE,                   /* the peer stops or leaves */
    PEER_END_IDLE,                      /* not in use for long */
    PEER_END_LOCAL,                     /* we wanted it: peer_disconnect, stop, leave */
    PEER_END_REVOKED,                   /* its key is no longer in the ring */
    PEER_END_PROTOCOL,                  /* the peer broke a rule or a limit */
    PEER_END_OVERRUN,                   /* we queued more than the hard limit */
    PEER_END_STALLED,                   /* the peer took nothing for stall_after */
    PEER_END_COUNT,
};
const char *peer_end_text(enum peer_end why);

struct peer_watch {
    /* Before the first queued frame leaves: peer_disconnect from inside drops them all. */
    void (*up)(const struct peer_info *p);
    /* Called again while it returns true: a thousand relations or so a call, so that others are
     * not held up. The next session of this peer is not up before. */
    bool (*down)(const struct peer_info *p, session_id s, enum peer_end why);
    void (*writable)(session_id s);     /* after PEER_BUSY; any may be NULL */
    struct peer_watch *next, *next_reversed;        /* ours */
};
/* Before peer_start; told in the order of calls for up, in the reverse for down. Not taken. */
void peer_watch(struct peer_watch *w);

/* What our ticks say of us; asked on I/O threads once a tick. NULL: zeros. */
struct peer_vital { uint32_t load, health; uint64_t progress, member_digest, name_index, code_epoch; };
extern void (*peer_vital_hook)(struct peer_vital *ret);

/* --- start and stop ------------------------------------------------------------------------ */

struct peer_options {
    const char *const *listen;          /* "10.0.0.1:7465", port 0: any; NULL-terminated */
    int64_t heartbeat_ns, suspect_ns, down_ns;
    unsigned io_threads;
    bool listed;                        /* sessions with the keys of trusted alone */
    const uint8_t (*trusted)[NODE_KEY_BYTES];   /* must stay */
    size_t n_trusted;
};
/* After ring_open (peer_ring.h), handlers and watchers. -ERR_SYSTEM with errno: cannot listen. */
MUST_CHECK int peer_start(const struct peer_options *o);
/* Join the cluster of an invitation (peer_ring.h), then dial the inviter. Blocks up to ten seconds;
 * why (200 bytes) says in words what went wrong. 0, or the number of an RN code. */
struct token;
MUST_CHECK unsigned peer_join(const struct token *t, char *why, size_t why_len, peer_id *ret_inviter);
/* Tell peers goodbye, tell watchers down, end the threads. */
void peer_stop(void);
/* Addresses that the listeners got. */
size_t peer_listening(struct net_addr *ret, size_t max);

/* A newer start of this node, with the same key, is up somewhere: this one must end, or two would act
 * as one. Any thread, once. NULL: nothing is done. */
extern void (*peer_cloned_hook)(void);

/* --- a pair of peers in one process, for tests --------------------------------------------- */

/* Make peers x and y such that what is sent to x comes in as from y, and the reverse: the code
 * above sees two nodes, which are both itself. Real frames, dictionary, lanes, fragments and
 * credit; no sockets and no seals. Both are up at once. delay_us: each record takes up to so long,
 * order kept; loss_ppm: chance, a record, that the session is lost instead (both ends are told,
 * what was under way is gone, the next send begins another). The same seed gives the same fate. One
 * thread, made here, plays the I/O thread of both. Instead of peer_start. */
struct peer_fake_options {
    const char *name_x, *name_y;        /* label@host */
    uint32_t creation_x, creation_y;
    uint32_t rights;                    /* 0: all */
    uint64_t seed;
    uint32_t delay_us, loss_ppm;
};
void peer_fake_start(const struct peer_fake_options *o, peer_id *ret_x, peer_id *ret_y);
void peer_fake_cut(void);               /* lose the session now */
void peer_fake_stop(void);

#endif
