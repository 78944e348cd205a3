/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file.h - whole files as bytes
 */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include "base/bytes.h"

/* Append the file at path to out; "/dev/stdin" and other things that have no size are read to their
 * end. -ERR_NOT_FOUND: no such file, or a folder; -ERR_LIMIT: it has more than bytes_max bytes;
 * -ERR_SYSTEM: anything else. errno says why. What was read before a failure stays in out. */
MUST_CHECK int file_read(const char *path, size_t bytes_max, struct buf *out);
/* The same from an open descriptor, which stays open. */
MUST_CHECK int file_read_fd(int fd, size_t bytes_max, struct buf *out);

#endif
