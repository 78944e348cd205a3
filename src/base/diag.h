/* SPDX-License-Identifier: Apache-2.0 */
/*
 * diag.h - an error in a text somebody wrote, shown with the line and a marker under the place
 */
#ifndef BASE_DIAG_H
#define BASE_DIAG_H

#include "base/bytes.h"

struct diag {
    const char *code;       /* "RN0402" */
    const char *file;
    size_t line, column;    /* from 1; 0: unknown, no marker */
    size_t width;           /* bytes marked, at least 1 */
    const char *message;    /* what is wrong, in the reader's words */
    const char *note;       /* shown after the marker, or NULL */
    const char *help;       /* what to do, or NULL */
};

/* Append the error as people read it. source is the whole text of the file, or NULL. Markers are
 * lines of UTF-8 box drawing, or ASCII. */
void diag_print(struct buf *out, const struct diag *d, const char *source, bool utf8);

/* Start and length of line `line` (from 1) of source; NULL when it has fewer. */
const char *source_line(const char *source, size_t line, size_t *ret_len);

#endif
