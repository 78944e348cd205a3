/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file.h - the tables of one .beam file, read and checked
 *
 * No run-time state: atoms are bytes, literals are external terms, code is bytes (decode.h).
 * Any thread; a struct beam_file belongs to who opened it and is constant after that.
 * What a successful beam_open promises: every index that one table has into another is in range
 * (atoms of imports, exports and funs; labels below label_count), atoms are UTF-8 of at most 255
 * code points, and the module has a name.
 */
#ifndef BEAM_FILE_H
#define BEAM_FILE_H

#include "base/compiler.h"

/* Limits on what a file may ask of us; above them -ERR_LIMIT. */
#define BEAM_FILE_BYTES_MAX     (256u << 20)   /* of the file, after gzip is undone  */
#define BEAM_LITERAL_BYTES_MAX  (256u << 20)   /* of all literals, inflated          */
#define BEAM_LABELS_MAX         (4u << 20)
#define BEAM_ATOM_CHARS_MAX     255

struct beam_bytes {
    const uint8_t *data;
    uint32_t len;
};

struct beam_import { uint32_t module, function, arity; };      /* atoms by number, from 1 */
struct beam_export { uint32_t function, arity, label; };
struct beam_fun {
    uint32_t function;      /* atom */
    uint32_t arity;         /* in all: what callers give plus num_free; num_free <= arity */
    uint32_t label, index, num_free, old_uniq;
};

/* One row of the line table. line 0: no location (row 0 always, and what does not fit). */
struct beam_line {
    uint32_t file;          /* 0: the module's own name with .erl; else 1..n_files */
    uint32_t line;
};

struct beam_file {
    struct beam_bytes *atoms;       /* [0] is empty; the module is atoms[1] */
    uint32_t n_atoms;               /* valid numbers are 1..n_atoms */

    struct beam_bytes code;         /* for decode.h */
    uint32_t max_opcode;            /* what the header says; beam_next refuses what is unknown */
    uint32_t label_count;           /* labels are 1..label_count-1 */
    uint32_t function_count;

    struct beam_bytes strings;
    struct beam_import *imports;    uint32_t n_imports;
    struct beam_export *exports;    uint32_t n_exports;
    struct beam_export *locals;     uint32_t n_locals;
    struct beam_fun *funs;          uint32_t n_funs;
    struct beam_bytes *literals;    uint32_t n_literals;    /* external terms with the 131 */
    struct beam_line *lines;        uint32_t n_lines;       /* 0: the file has no line table */
    struct beam_bytes *files;       uint32_t n_files;       /* [0] is empty; names from 1 */
    uint32_t n_types;               /* entries of the Type chunk; 0: ignored */

    struct beam_bytes attributes;   /* external terms, empty when the chunk is missing */
    struct beam_bytes compile_info;
    struct beam_bytes meta;
    uint8_t md5[16];                /* identity of the module, as module_info(md5) */

    void *blocks[12];               /* owned memory that the above points into */
    unsigned n_blocks;
};

/* Why a file was refused: one line of text for people. */
struct beam_error { char text[200]; };

/* Read the tables of the .beam at data; gzip is undone. copy: keep a copy, otherwise data is lent
 * and must outlive *ret_file. -ERR_FORMAT or -ERR_LIMIT with *ret_error (may be NULL); *ret_file
 * is written only on success and is the caller's to close. */
MUST_CHECK int beam_open(const void *data, size_t len, bool copy, struct beam_file *ret_file,
                         struct beam_error *ret_error);
void beam_close(struct beam_file *f);           /* a zeroed one is fine */

/* Lend the data of the chunk with that four-letter tag; -ERR_NOT_FOUND. Looks only at the
 * container, so it works on chunks beam_open skips (Dbgi, Docs). data must not be gzipped. */
MUST_CHECK int beam_chunk(const void *data, size_t len, const char *tag,
                          struct beam_bytes *ret_chunk);

#endif
