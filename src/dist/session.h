/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session.h - what we keep for each session with a peer
 *
 * A session here is one number of peer.h's, from the first wish to send to its `down`. The engine
 * knows it by a 32-bit number of ours, which is never used again while the node runs (vm/remote.h).
 *
 *   DS1  attached holds each process that was attached and not yet detached, once, until the down
 *        takes the whole set; from then on attach fails.
 *   DS2  A session is freed when it is down, its processes have been told, and all are detached.
 *   DS3  The creation is what the first user asked for, or 0, until up says what it is. If these
 *        differ the session is ended before anything is sent: no signal meets a pid of another
 *        life of the node.
 *
 * Any thread inside an epoch, unless it says otherwise.
 */
#ifndef DIST_SESSION_H
#define DIST_SESSION_H

#include "dist/peer.h"
#include "term/node.h"
#include "vm/process.h"

#include <pthread.h>

enum session_state { SESSION_CONNECTING, SESSION_UP, SESSION_OVER };

/* A set of words that are not 0: open addressing. */
struct word_set { uint64_t *slot; uint32_t n, cap; };

/* A monitor by name that came from there: whom it has found. */
struct named_monitor { uint64_t ref; term pid; };

struct session {
    session_id id;                      /* [set] */
    uint32_t number;                    /* [set] ours */
    peer_id  peer;                      /* [set] */
    term     node;                      /* [set] atom */
    _Atomic uint32_t creation;          /* [any] DS3 */
    _Atomic uint32_t state;             /* [any] written under lock; enum session_state */
    _Atomic uint32_t refs;              /* [any] one for each attached process, one until over */
    pthread_mutex_t lock;
    struct word_set attached;           /* [lk lock] pids */
    struct named_monitor *named;        /* [lk lock] */
    uint32_t named_n, named_cap;        /* [lk lock] named_n is read as a hint without it */
    term    *waiting;                   /* [lk lock] suspended senders */
    uint32_t waiting_n, waiting_cap;    /* [lk lock] */
    _Atomic uint32_t writable_seq;      /* [any] written under lock: how often it became writable */
    struct node_entry *entry;           /* I/O thread of the peer: of the up, counted */
    uint32_t names;                     /* [lk of names.c] claims that came through it */
    uint32_t told;                      /* I/O thread: slots of attached whose processes were told */
    int64_t  spawn_tokens, spawn_at_ns; /* I/O thread: spawns it may still ask for */
    struct session *next;               /* [lk of its peer's row] older live ones */
};

void session_init(void);                /* tells peer.h whom to call; before peer_start */

/* The peer called so, or 0. Remembers names for each thread. */
peer_id session_peer_of(term node);
/* Our session of that id, made if need be. creation: as in DS3, 0 for any. NULL: it is over.
 * *ret_other: it exists, but with another creation; then NULL too. */
struct session *session_get(session_id id, term node, uint32_t creation, bool *ret_other);
/* By our number; NULL: freed. */
struct session *session_at(uint32_t number);

bool session_attach(struct session *s, term pid);
void session_detach(struct session *s, term pid);

/* p has to stop until the session is writable; seq as read from writable_seq before the send that
 * found it busy. False: it is writable again. */
bool session_suspend(struct session *s, term pid, uint32_t seq);

void session_name_add(struct session *s, uint64_t ref, term pid);
/* TERM_NONE: not there. */
term session_name_take(struct session *s, uint64_t ref);

/* Who else wants to know (nodes.c). I/O thread of the peer. */
extern void (*session_up_hook)(struct session *s);
extern void (*session_down_hook)(struct session *s, bool was_up, enum peer_end why);

#endif
