/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source.h - a source text, and places in it
 *
 * Constant after source_open; any thread. Places are byte offsets; lines and columns, which count
 * code points from 1, are computed only when somebody looks.
 */
#ifndef LANG_SOURCE_H
#define LANG_SOURCE_H

#include "base/arena.h"

#define SOURCE_BYTES_MAX (16u << 20)
#define SOURCE_BLOCK     256u

/* from..to of file number `file` of one compile; to is behind the last byte. from == to marks a
 * place between two characters, such as the end of the file. */
struct span { uint32_t file, from, to; };

struct source {
    const char *name;           /* as the user gave it; lent */
    const char *text;           /* UTF-8, NUL after the end; lent */
    uint32_t len;
    uint32_t *line_start;       /* offset of each line; [0] is 0 */
    uint32_t *chars;            /* code points before each block of SOURCE_BLOCK bytes, so that
                                 * columns of very long lines are found as fast */
    uint32_t n_lines;
    bool valid;                 /* all of it is UTF-8 */
};

struct place { uint32_t line, column; };    /* both from 1 */

/* Describe text, which has a NUL at [len] and len <= SOURCE_BYTES_MAX. Offset of the first byte
 * that is no UTF-8, or len when all is well. A byte order mark is part of the text: lexers skip
 * it. */
uint32_t source_open(struct arena *a, const char *name, const char *text, uint32_t len,
                     struct source *ret_source);

struct place source_place(const struct source *s, uint32_t at);

/* A line without its end (LF or CRLF); lent. line is from 1 to n_lines. */
const char *source_line_text(const struct source *s, uint32_t line, uint32_t *ret_len);

#endif
