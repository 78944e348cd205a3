/* SPDX-License-Identifier: Apache-2.0 */
/*
 * journal.h - changes that are on the disk before their transaction is
 *
 * A transaction of LMDB costs two syncs and a page for each place it touches. So what somebody
 * waits for goes into a file first, whose blocks have been written before: one write and one sync
 * of data. Its changes stay in the open transaction, which is committed later, for many at once.
 *
 *   file `journal`   records, one behind the other, each from a multiple of JOURNAL_ALIGN, so that
 *                    writing one touches no sector of another
 *   record           magic (4), CRC-32 of what follows (4), number (8), length of the body (4),
 *                    body; numbers are big-endian
 *   body             names of databases: count (1), each length (1) and text; then groups: time (8),
 *                    length (4), operations as in a batch, with the place of a name as database
 *
 * Numbers go up by one. A commit puts the last of its own into the database meta, key journal, and
 * the next record begins the file again. So after a start the records that count are
 * those from the beginning of the file on that follow that number; a record cut short by the end of
 * the machine ends them, and was acknowledged to nobody.
 */
#ifndef STORE_JOURNAL_H
#define STORE_JOURNAL_H

#include "store/store_priv.h"

#define JOURNAL_BYTES (4u << 20)
#define JOURNAL_ALIGN 512

/* Only the writer may call these, but for journal_open and journal_close. */

/* Read what waits in the folder's journal into st->kept. -ERR_FORMAT: it is damaged or not that of
 * this store, -ERR_SYSTEM. */
MUST_CHECK int journal_open(struct store *st);
void journal_close(struct store *st);

/* Append n groups from g on as one record, which is on the disk then. LMDB's codes; ENOSPC also
 * when there is no file or the record does not fit. After another failure nothing fits any more:
 * what the file holds is unknown until a commit. */
MUST_CHECK int journal_write(struct store *st, const struct group *g, size_t n);
/* Make the file if it is missing; the next commit makes it ready. Without room there is none. */
void journal_make(struct store *st);
/* The commit that is made now has all that is in the file: its number goes with it. LMDB's codes. */
MUST_CHECK int journal_put_number(struct store *st, MDB_txn *txn, MDB_dbi meta);
/* It is made: the file begins again. */
void journal_restart(struct store *st);

/* The records in data that follow number `after`, as groups at the end of st->kept; *ret_last is
 * the number of the last. -ERR_FORMAT: they do not follow, or lie behind something unreadable. */
MUST_CHECK int journal_parse(struct store *st, const uint8_t *data, size_t len, uint64_t after,
                             uint64_t *ret_last);

#endif
