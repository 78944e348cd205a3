/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_priv.h - what the files of this room share
 *
 * Locks, in the order they may be taken: gate, queue lock, readers' lock.
 */
#ifndef STORE_STORE_PRIV_H
#define STORE_STORE_PRIV_H

#include "store/versions.h"

#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>

#define DATABASES_MAX 64
#define READERS_MAX   64            /* of ours at once; LMDB's table has room for more */

struct database { char *name; MDB_dbi dbi; _Atomic bool is_open; };

/* A batch's operations, one after the other: kind, database, key length (2), value length (4),
 * key, value. */
enum op { OP_PUT, OP_DELETE, OP_VERSION, OP_VERSION_DELETE, OP_DROP };

/* Somebody who blocks until his batch is written or has failed. */
struct outcome { bool known; int rc; };

/* One submitted batch in the queue. */
struct group {
    struct group *next;
    uint64_t ticket;
    int64_t time;               /* of its versions; 0 until it is applied */
    struct buf ops;
    struct outcome *outcome;    /* [lk] not NULL: tried once; lent by who waits */
};

struct keep { struct keep *next; int64_t keep_ns; uint8_t group[VERSION_GROUP]; };

/* The open transaction of the writer. */
struct changes { MDB_txn *txn; bool used[DATABASES_MAX]; bool versions; };

struct journal {                    /* journal.h */
    int fd;                         /* -1: none */
    uint64_t number;                /* of the last record; 0: there never was one */
    size_t at;                      /* where the next one goes */
    int64_t tried_ns;               /* when a file was last made, or could not be */
    struct buf record;
};

struct reader_slot { _Atomic int64_t since_ns; _Atomic bool ended; };   /* since 0: free */

struct store {
    char *path;
    int lock_fd;
    /* Readers hold it shared; closing, growing and reopening the environment hold it alone. */
    pthread_rwlock_t gate;
    MDB_env *env;                   /* [lk gate] */
    struct database db[DATABASES_MAX];  /* name: under queue lock, then constant; dbi: writer */
    _Atomic unsigned ndbs;
    struct reader_slot reader[READERS_MAX];
    store_event_fn *_Atomic on_event;

    pthread_mutex_t lock;           /* the queue and what follows */
    pthread_cond_t filled, written;
    struct group *first, **last;    /* [lk] */
    struct store_waiter *waiters;   /* [lk] */
    struct keep *keeps;             /* [lk] */
    struct store_options opt;       /* [lk] */
    bool closing, urgent, grow;     /* [lk] */
    uint64_t last_ticket;           /* [lk] */
    size_t queued;                  /* [lk] groups in the queue */
    size_t wanted;                  /* [lk] the writer sleeps until there are so many */
    uint64_t durable, failed;       /* [lk] tickets up to these are on disk; have failed once */
    uint64_t committed;             /* [lk] and up to this one in what reads see */
    bool settle;                    /* [lk] somebody wants to read what is kept */
    _Atomic bool copying;           /* [any] a backup is being made */
    _Atomic int failure;            /* [any] code of the failing commit, 0 */
    _Atomic uint64_t pending_bytes; /* [any] */
    _Atomic uint64_t commits;       /* [any] */
    _Atomic int64_t last_commit_ns; /* [any] 0: none */

    pthread_t writer;
    bool has_writer;
    _Atomic int64_t version_ns;     /* time of the newest version; written by the writer */
    /* --- the writer only; before it runs, who opens the store --- */
    struct group *kept, **kept_last;    /* in the journal, and not committed yet; oldest first */
    struct changes changes;
    struct journal journal;
    int64_t time_ns;                /* of the last group that was applied */
    bool drops;                     /* there may be something to drop */
    int64_t maintained_ns;
    size_t told;                    /* how many waited for the last transaction */
    int64_t took_ns;                /* how long it took */
};

int store_rc(int lmdb_rc);
ALWAYS_INLINE MDB_val store_val(const void *data, size_t len)
{
    return (MDB_val){ .mv_size = len, .mv_data = (void *)(uintptr_t)data };
}

void store_tell(struct store *st, enum store_event event, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* A read transaction; on failure nothing is held. */
struct read { struct store *st; MDB_txn *txn; struct reader_slot *slot; };
MUST_CHECK int read_begin(struct store *st, struct read *rd);
void read_end(struct read *rd);
/* The reader has been told to stop. */
#define read_is_ended(rd) atomic_load_explicit(&(rd)->slot->ended, memory_order_relaxed)
/* Wait until reads see all that is durable. 0, or why it cannot be committed. */
MUST_CHECK int store_settle(struct store *st);
/* Handle of a database, if there is one. */
bool store_find_db(struct store *st, const char *name, MDB_dbi *ret);

int  env_start(struct store *st, const struct store_options *opt);
void env_stop(struct store *st);

MUST_CHECK int writer_start(struct store *st);
void writer_stop(struct store *st);

/* --- queue.c --- */
/* The number of the database, which need not exist yet. */
unsigned writer_db(struct store *st, const char *name);
void groups_free(struct group *g);      /* and those behind it */
/* The first n groups, up to ticket, are on disk: tell who waits. They leave the queue, and are
 * kept until kept_done if only the journal has them. */
void groups_done(struct store *st, size_t n, uint64_t ticket, bool committed);
/* What was kept is committed. */
void kept_done(struct store *st);
/* What is kept cannot be committed: say so, and refuse new work. */
void kept_failed(struct store *st, int lmdb_rc);
/* The first group alone cannot be written. All that wait are told; it stays, unless it is tried
 * once or can never succeed. */
void first_failed(struct store *st, int lmdb_rc);

/* --- commit.c; LMDB's codes --- */
/* Make the changes of n groups from g on in the open transaction; if there is none, one is begun
 * with those of the kept groups. After a failure there is none. */
MUST_CHECK int changes_apply(struct store *st, struct group *g, size_t n);
MUST_CHECK int changes_commit(struct store *st);
void changes_abort(struct store *st);
/* Open, if need be make, database i in a write transaction. */
int writer_open_db(struct store *st, MDB_txn *txn, unsigned i);

/* --- maintain.c --- */
void readers_look(struct store *st, int64_t max_ns);
/* A slice of background work in a transaction of its own. True: there may be more. */
bool maintain(struct store *st);

/* --- versions.c, all inside a write transaction of the writer; LMDB's codes --- */
int version_put(struct store *st, MDB_txn *txn, MDB_val key, const MDB_val *value, int64_t time);
/* Remove up to max versions whose time is over; what begins with prefix in db, with its versions.
 * *ret_n counts. */
int versions_expire(struct store *st, MDB_txn *txn, unsigned max, unsigned *ret_n);
int versions_drop(struct store *st, MDB_txn *txn, const char *db, MDB_val prefix, unsigned max,
                  unsigned *ret_n);

#endif
