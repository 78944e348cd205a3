/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store.h - durable bytes by key: one LMDB environment with named databases
 *
 * This room alone knows LMDB. Keys are 1 to STORE_KEY_MAX bytes and ordered as bytes. Any thread
 * may call. One thread, the writer, makes all changes: what is submitted while it writes is written
 * together next, so that many callers share one write to the disk.
 *
 * How long a submitted change takes to be safe depends on the mode:
 *   STORE_SYNC_COMMIT    waited for until it is on the disk: survives a power cut
 *   STORE_SYNC_INTERVAL  not waited for; on the disk at most interval_ms (and one write) later
 *   STORE_SYNC_OFF       waited for until the system has it: survives the end of this program, not
 *                        a power cut, which may damage the whole store
 *
 * When a commit fails (full disk, I/O error, the limit on size) nothing of it is in the store. Who
 * waits is told; the changes are kept in memory and tried again until they succeed, and meanwhile
 * store_failure says why, so that callers can refuse new work.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/bytes.h"

struct store;

#define STORE_FORMAT    3           /* kept in database meta; a larger one is refused */
#define STORE_KEY_MAX   511
#define STORE_VALUE_MAX ((size_t)64 << 20)

enum store_sync { STORE_SYNC_COMMIT, STORE_SYNC_INTERVAL, STORE_SYNC_OFF };

struct store_options {
    size_t  map_bytes;              /* limit on the size of the file */
    enum store_sync sync;
    int64_t interval_ms;
    int64_t reader_max_ms;          /* reads that take longer are ended; 0: never */
};

/* What an operator should hear of; lines without a newline. Called on the thread where it happens;
 * must not call the store. */
enum store_event { STORE_FAILING, STORE_WELL, STORE_READER_ENDED, STORE_READER_STALE };
typedef void store_event_fn(enum store_event event, const char *text);

/* Open or make the environment in folder path (made if missing, 0700). -ERR_SYSTEM with errno,
 * -ERR_VERSION, -ERR_FORMAT (damaged or not a store of ours), -ERR_BUSY: another process has it.
 * Nothing is written to a store that is refused. */
MUST_CHECK int store_open(const char *path, const struct store_options *opt,
                          struct store **ret_store);
/* Commits what was submitted, then closes; nobody who waits is told any more. NULL is fine. */
void store_close(struct store *st);
/* A running store takes other options over; the map only grows. */
void store_configure(struct store *st, const struct store_options *opt);
void store_on_event(struct store *st, store_event_fn *fn);

/* --- reading ---------------------------------------------------------------------------------- */

/* Reads see all that was acknowledged. What of it is in the journal only is committed first, so
 * one behind a write costs a commit; while that fails they give the code of store_failure. */

/* The value of key, appended to out. -ERR_NOT_FOUND (also when db does not exist yet). */
MUST_CHECK int store_get(struct store *st, const char *db, const void *key, size_t key_len,
                         struct buf *out);

/* Visit pairs of db in key order, or backwards, until visit returns false. The bytes are lent for
 * the visit, which must not call the store. -ERR_TIMEOUT: ended after reader_max_ms. */
typedef bool store_visit_fn(void *arg, const void *key, size_t key_len, const void *value,
                            size_t len);
MUST_CHECK int store_visit(struct store *st, const char *db, bool backwards, store_visit_fn *visit,
                           void *arg);
/* The same from the first key >= from, as long as keys begin with prefix (the first prefix_len
 * bytes of from). */
MUST_CHECK int store_visit_from(struct store *st, const char *db, const void *from,
                                size_t from_len, size_t prefix_len, store_visit_fn *visit,
                                void *arg);
/* The same two without waiting: they may miss what was written since store_open. */
MUST_CHECK int store_get_nowait(struct store *st, const char *db, const void *key, size_t key_len,
                                struct buf *out);
MUST_CHECK int store_visit_from_nowait(struct store *st, const char *db, const void *from,
                                       size_t from_len, size_t prefix_len, store_visit_fn *visit,
                                       void *arg);

/* --- writing ---------------------------------------------------------------------------------- */

/* Changes that happen together or not at all, in order. Zero-initialise; the lengths of keys and
 * values are the caller's to check. */
struct store_batch { struct buf ops; };

void store_batch_put(struct store *st, struct store_batch *b, const char *db, const void *key,
                     size_t key_len, const void *value, size_t len);
/* Removing what is not there is not an error. */
void store_batch_delete(struct store *st, struct store_batch *b, const char *db, const void *key,
                        size_t key_len);
/* Both for a database whose old versions are kept (versions.h). value NULL: delete. */
void store_batch_version(struct store *st, struct store_batch *b, const char *db, const void *key,
                         size_t key_len, const void *value, size_t len);
/* In the background, remove all keys of db that begin with prefix, and all their versions. */
void store_batch_drop(struct store *st, struct store_batch *b, const char *db, const void *prefix,
                      size_t prefix_len);
void store_batch_fini(struct store_batch *b);

/* Hand b over (it is empty then); batches are applied in the order of their tickets. Does not
 * block. An empty batch gives 0, which is always durable. */
uint64_t store_submit(struct store *st, struct store_batch *b);

/* Call w->done(w, rc) once, when the ticket is as safe as the mode promises (0) or its commit has
 * failed. True: it is or has failed already, *ret_rc says which, and w is not used. done runs on
 * the writer and must not block. */
struct store_waiter {
    struct store_waiter *next;
    uint64_t ticket;
    bool strict;                    /* wait for the disk in the mode INTERVAL too, and at once */
    void (*done)(struct store_waiter *w, int rc);
};
bool store_wait_async(struct store *st, struct store_waiter *w, int *ret_rc);
MUST_CHECK int store_wait(struct store *st, uint64_t ticket);
/* 0, or the code of the commit that fails at the moment: -ERR_LIMIT the disk or the map is full,
 * -ERR_SYSTEM anything else. Cheap. */
int store_failure(struct store *st);
/* So much is submitted and not yet written that even who would not wait should. */
bool store_is_behind(struct store *st);

MUST_CHECK int store_put(struct store *st, const char *db, const void *key, size_t key_len,
                         const void *value, size_t len);
MUST_CHECK int store_delete(struct store *st, const char *db, const void *key, size_t key_len);

/* Several writes that happen together or not at all. */
struct store_write {
    const char *db;
    const void *key;
    size_t key_len;
    const void *value;
    size_t len;
};
/* value NULL: delete. Returns when they are durable; always synchronous, whatever the mode. */
MUST_CHECK int store_write_all(struct store *st, const struct store_write *w, size_t n);

/* --- looking after it ------------------------------------------------------------------------- */

struct store_stats {
    uint64_t used_bytes, map_bytes, entries, commits, readers;
    int64_t  oldest_reader_ns, last_commit_ns;      /* ages; last_commit_ns -1: none yet */
    uint64_t pending_bytes;
};
void store_stats(struct store *st, struct store_stats *ret);

/* A copy of the store as it is now, without free pages, into the file fd at its present offset. The
 * databases whose names are in leave_out, which ends with NULL, are not in it; unless there are none
 * this takes the room of a second copy meanwhile. -ERR_BUSY: another copy is being made. */
MUST_CHECK int store_backup(struct store *st, int fd, const char *const *leave_out);
/* Read every page and look at every entry; what is wrong is appended to out as lines. 0,
 * -ERR_FORMAT or what kept it from reading. */
MUST_CHECK int store_check(struct store *st, struct buf *out);

#endif
