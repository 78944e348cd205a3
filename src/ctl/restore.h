/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restore.h - a backup in the place of the store of a stopped node
 */
#ifndef CTL_RESTORE_H
#define CTL_RESTORE_H

#include "base/bytes.h"
#include "ctl/archive.h"

/* Unpack the backup beside the store in folder (made if missing), check it, and change places with
 * what is there, which stays as store.before-TIME and code.before-TIME. On failure nothing has
 * changed. out gets lines for people. -ERR_BUSY: the node runs; -ERR_FORMAT and -ERR_VERSION: the
 * backup is damaged or of a newer version; -ERR_SYSTEM with errno. */
MUST_CHECK int restore_backup(const char *path, const char *folder, struct buf *out,
                              archive_progress_fn *progress, void *arg);

#endif
