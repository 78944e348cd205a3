/* SPDX-License-Identifier: Apache-2.0 */
/*
 * archive.h - tar files (ustar): backups, with the store and the code, and reports
 *
 * A backup has
 *
 *   rnode-backup        format=1, then version=, node=, time=; one a line
 *   store/data.mdb      a compact copy of the store
 *   code/DIGEST.beam    the kept modules
 *
 * The key of the node is not in its store, so not in here either; the secrets of its cluster only if
 * asked for.
 * Reading trusts nothing: names other than these are refused, sizes are checked against the file.
 */
#ifndef CTL_ARCHIVE_H
#define CTL_ARCHIVE_H

#include "base/bytes.h"

#include <stdint.h>

struct archive;

/* Told now and then: so many bytes of the whole file are done. */
typedef void archive_progress_fn(void *arg, uint64_t done, uint64_t total);

/* --- writing: the file appears under its name only when it is complete ------------------------ */

/* -ERR_SYSTEM with errno. */
MUST_CHECK int archive_create(const char *path, struct archive **ret);
MUST_CHECK int archive_add(struct archive *a, const char *name, const void *data, size_t len);
/* Data whose size is not known before: write(fd) appends it. Its code is returned. */
MUST_CHECK int archive_add_stream(struct archive *a, const char *name,
                                  int (*write)(void *arg, int fd), void *arg);
/* On the disk, and renamed. Frees a whatever comes of it. */
MUST_CHECK int archive_finish(struct archive *a, uint64_t *ret_bytes);
void archive_abandon(struct archive *a);        /* NULL is fine */

/* --- reading ---------------------------------------------------------------------------------- */

/* Unpack the file at path into folder, which exists and is empty. -ERR_SYSTEM with errno,
 * -ERR_FORMAT: not a backup, or damaged; -ERR_VERSION. what says where. head gets the first entry.
 * progress may be NULL. */
MUST_CHECK int archive_extract(const char *path, const char *folder, struct buf *head,
                               const char **ret_what, archive_progress_fn *progress, void *arg);

#endif
