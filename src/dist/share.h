/* SPDX-License-Identifier: Apache-2.0 */
/*
 * share.h - sets of processes of which each node writes its own part, seen by all that ask
 *
 * Flocks (flock.c) and the scopes of pg (pg.c) are topics. A node that wants to see a topic sends
 * each peer a FlockSub; the peer answers with the rows that are its own, then with each change, in
 * order. Nobody writes for another node, so there is nothing to merge; when a session is lost the
 * rows of that node go with it.
 *
 *   SH1  All that is reachable from here is under share_lock, read or written.
 *   SH2  A row of an origin is in its topics exactly while its session is up.
 *   SH3  Frames to one session are sent under the write lock, with one order key, so a subscriber
 *        sees changes in the order in which they were made.
 *
 * share_lock is taken before the locks of peers and of the engine, never inside them.
 */
#ifndef DIST_SHARE_H
#define DIST_SHARE_H

#include "cluster/idmap.h"
#include "dist/peer.h"
#include "heap/heap.h"
#include "wire/unpack.h"

#include <pthread.h>

#define SHARE_SUBS_MAX    128       /* topics that one peer may ask for */
#define SHARE_NAME_MAX    255

enum share_kind { SHARE_PG, SHARE_FLOCK, SHARE_KINDS };

/* Another node, as long as its session is up. */
struct origin {
    struct origin *next;
    session_id session;
    term node;                      /* atom */
    uint32_t creation;
    struct share_sub *theirs;       /* what they asked for */
    unsigned theirs_n;
    struct share_want *wants;       /* what we asked for */
};

/* A peer's wish to see a topic of ours. */
struct share_sub {
    struct share_sub *next;
    struct origin *origin;
    uint64_t id;                    /* theirs */
    enum share_kind kind;
    char name[SHARE_NAME_MAX + 1];  /* without the prefix of its kind */
    struct pattern *pattern;        /* of flocks; owned */
};

/* One row as it travels; bytes are lent. */
struct share_row {
    uint64_t pid;                   /* payload of the pid at home */
    struct span name, attrs;        /* pg: the group; flock: attributes */
    bool gone;
    uint32_t why;                   /* enum share_why */
};

enum share_why { WHY_LEFT, WHY_EXITED, WHY_NOCONNECTION, WHY_CHANGED };

struct share_user {
    /* Give all our rows of sub to share_row_to. */
    void (*snapshot)(struct share_sub *sub);
    /* A row of o's for our topic. */
    void (*row)(void *topic, struct origin *o, const struct share_row *row);
    /* o is lost: its rows go from all topics. */
    void (*lost)(struct origin *o);
    /* A process with rows of ours has ended. */
    void (*exited)(uint64_t pid);
};

extern pthread_rwlock_t share_lock;

/* Before peer_start. */
void share_init(void);
void share_use(enum share_kind kind, const struct share_user *u);

/* Is there any topic that is wanted? Any thread. */
bool share_is_used(void);

/* --- with the write lock held --- */

/* See topic `name` on all nodes, now and later. pattern may be NULL; both are copied. */
void share_want(enum share_kind kind, const char *name, const struct pattern *pattern, void *topic);
void share_want_end(enum share_kind kind, void *topic);

/* Tell sub one row: part of its snapshot, or a change. */
void share_row_to(struct share_sub *sub, const struct share_row *row);
/* Visit the peers' wishes of a kind. */
void share_subs(enum share_kind kind, void (*visit)(struct share_sub *sub, void *arg), void *arg);

/* Count how often the process has rows; false: it has ended. When it ends, `exited` of each kind is
 * called, and it is tracked no more. */
MUST_CHECK bool share_track(uint64_t pid);
void share_untrack(uint64_t pid);

/* --- terms --- */

/* The pid of a row: o NULL for our own. TERM_NONE: the table of nodes is full. */
term share_pid(struct heap *h, const struct origin *o, uint64_t pid);
/* Canonical bytes of a term, for comparing. */
void share_encode(struct buf *out, term t);
/* The term in such bytes, or TERM_NONE. */
term share_decode(struct heap *h, const uint8_t *data, size_t len);

#endif
