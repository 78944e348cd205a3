/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file.c - the chunk reader
 *
 * First the container is walked and the place of each known chunk noted (the last one wins, as in
 * OTP); then each table is read by its own function, atoms first since the others refer to them.
 * Counts are compared with the bytes that are left before anything is allocated for them, so a
 * short file cannot ask for much memory.
 */
#include "beam/file.h"
#include "base/alloc.h"
#include "base/assert.h"
#include "base/bytes.h"
#include "base/errors.h"
#include "base/md5.h"
#include "beam/decode.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

enum chunk { C_AtU8, C_Code, C_StrT, C_ImpT, C_ExpT, C_FunT, C_LitT, C_Meta, C_LocT, C_Attr, C_CInf,
             C_Line, C_Type, CHUNKS };
static const char chunk_tags[CHUNKS][5] = { "AtU8", "Code", "StrT", "ImpT", "ExpT", "FunT", "LitT",
                                            "Meta", "LocT", "Attr", "CInf", "Line", "Type" };

struct opening {
    struct beam_file f;
    struct beam_bytes chunks[CHUNKS];   /* data NULL: not in the file */
    struct beam_error *error;
};

static int fail(struct opening *o, int rc, const char *fmt, ...) PRINTF_LIKE(3, 4);

static int fail(struct opening *o, int rc, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    if (o->error != NULL)
        vsnprintf(o->error->text, sizeof o->error->text, fmt, ap);
    va_end(ap);
    return rc;
}

static void *own(struct opening *o, void *block)
{
    ASSERT(o->f.n_blocks < ARRAY_LEN(o->f.blocks));
    return o->f.blocks[o->f.n_blocks++] = block;
}

/* --- the container --------------------------------------------------------------------------- */

static bool next_chunk(struct reader *r, const uint8_t **ret_tag, struct beam_bytes *ret)
{
    const uint8_t *tag;

    if (reader_left(r) < 8)
        return false;
    tag = reader_take(r, 4);
    ret->len = reader_u32(r);
    ret->data = reader_take(r, ret->len);
    if (r->bad)
        return false;
    /* The padding of the last chunk may be missing. */
    size_t pad = (4 - ret->len % 4) % 4;

    reader_take(r, pad < reader_left(r) ? pad : reader_left(r));
    *ret_tag = tag;
    return true;
}

static int container_open(const void *data, size_t len, struct reader *ret)
{
    struct reader r = reader_make(data, len);
    const uint8_t *form = reader_take(&r, 4);
    size_t size = reader_u32(&r);
    const uint8_t *body = r.bad || size < 4 ? NULL : reader_take(&r, size);

    if (body == NULL || memcmp(form, "FOR1", 4) != 0 || memcmp(body, "BEAM", 4) != 0)
        return -ERR_FORMAT;
    *ret = reader_make(body + 4, size - 4);
    return 0;
}

int beam_chunk(const void *data, size_t len, const char *tag, struct beam_bytes *ret_chunk)
{
    struct reader r;
    const uint8_t *at;
    struct beam_bytes b;
    int rc = container_open(data, len, &r);
    bool found = false;

    while (rc == 0 && next_chunk(&r, &at, &b)) {
        if (memcmp(at, tag, 4) == 0) {
            *ret_chunk = b;
            found = true;
        }
    }
    return rc < 0 ? rc : found ? 0 : -ERR_NOT_FOUND;
}

static int find_chunks(struct opening *o, const void *data, size_t len)
{
    struct reader r;
    const uint8_t *tag;
    struct beam_bytes b;

    if (container_open(data, len, &r) < 0)
        return fail(o, -ERR_FORMAT, "this is no .beam file, or it is cut short");
    while (next_chunk(&r, &tag, &b)) {
        for (unsigned i = 0; i < CHUNKS; i++) {
            if (memcmp(tag, chunk_tags[i], 4) == 0)
                o->chunks[i] = b;
        }
    }
    if (reader_left(&r) >= 8 || r.bad)
        return fail(o, -ERR_FORMAT, "the last chunk is cut short");
    static const enum chunk needed[] = { C_AtU8, C_Code, C_ImpT, C_ExpT };

    for (unsigned i = 0; i < ARRAY_LEN(needed); i++) {
        if (o->chunks[needed[i]].data == NULL)
            return fail(o, -ERR_FORMAT, "the chunk %s is missing", chunk_tags[needed[i]]);
    }
    return 0;
}

/* --- inflating ------------------------------------------------------------------------------- */

static int gunzip(const void *data, size_t len, struct buf *out)
{
    z_stream z = { .next_in = (Bytef *)(uintptr_t)data, .avail_in = (uInt)len };
    int zrc = inflateInit2(&z, 16 + MAX_WBITS);

    ASSERT(zrc == Z_OK);
    while (zrc == Z_OK && out->len < BEAM_FILE_BYTES_MAX) {
        size_t had = out->len;

        z.next_out = buf_room(out, 1u << 16);
        z.avail_out = 1u << 16;
        zrc = inflate(&z, Z_NO_FLUSH);
        out->len = had + (1u << 16) - z.avail_out;
        if (zrc == Z_OK && z.avail_in == 0 && z.avail_out > 0)
            zrc = Z_DATA_ERROR;         /* cut short */
    }
    inflateEnd(&z);
    return zrc == Z_STREAM_END ? 0 : zrc == Z_OK ? -ERR_LIMIT : -ERR_FORMAT;
}

/* Exactly size bytes from a zlib stream, or NULL. */
static uint8_t *inflate_exactly(const uint8_t *data, size_t len, size_t size)
{
    uint8_t *out;
    uLongf got = size;

    /* No zlib stream shrinks more than about 1032 to one: a larger claim is a lie. */
    if (size > 1100 * len + 1024)
        return NULL;
    out = mem_alloc(size);
    if (uncompress(out, &got, data, len) == Z_OK && got == size)
        return out;
    mem_free(out);
    return NULL;
}

/* --- atoms ----------------------------------------------------------------------------------- */

/* Code points in valid UTF-8, or -1. */
static int utf8_length(const uint8_t *s, size_t len)
{
    int points = 0;

    for (size_t i = 0; i < len; points++) {
        unsigned more = s[i] < 0x80 ? 0 : s[i] < 0xc2 ? 9 : s[i] < 0xe0 ? 1 : s[i] < 0xf0 ? 2
                        : s[i] < 0xf5 ? 3 : 9;
        uint32_t c = more == 0 ? s[i] : s[i] & (0x3fu >> more);

        if (more == 9 || len - i <= more)
            return -1;
        for (unsigned k = 1; k <= more; k++) {
            if ((s[i + k] & 0xc0) != 0x80)
                return -1;
            c = c << 6 | (s[i + k] & 0x3f);
        }
        if ((more == 2 && (c < 0x800 || (c >= 0xd800 && c < 0xe000)))
            || (more == 3 && (c < 0x10000 || c > 0x10ffff)))
            return -1;
        i += more + 1;
    }
    return points;
}

static int read_atom(struct reader *r, bool long_form, struct beam_bytes *ret)
{
    unsigned tag = 0;
    int64_t len;
    int points;

    if (!long_form)
        len = reader_u8(r);
    else if (beam_decode_number(r, &tag, &len) < 0 || tag != 0 || len < 0)
        return -ERR_FORMAT;
    ret->data = reader_take(r, (size_t)len);
    if (ret->data == NULL)
        return -ERR_FORMAT;
    ret->len = (uint32_t)len;
    points = utf8_length(ret->data, ret->len);
    return points < 0 || points > BEAM_ATOM_CHARS_MAX ? -ERR_FORMAT : 0;
}

static int read_atoms(struct opening *o)
{
    struct reader r = reader_make(o->chunks[C_AtU8].data, o->chunks[C_AtU8].len);
    int64_t n = (int32_t)reader_u32(&r);
    bool long_form = n < 0;

    n = long_form ? -n : n;
    if (r.bad || n < 1 || (uint64_t)n > reader_left(&r))
        return fail(o, -ERR_FORMAT, "the atom table has an impossible size");
    o->f.atoms = own(o, MEM_NEW_ARRAY(struct beam_bytes, (size_t)n + 1));
    o->f.n_atoms = (uint32_t)n;
    for (int64_t i = 1; i <= n; i++) {
        if (read_atom(&r, long_form, &o->f.atoms[i]) < 0)
            return fail(o, -ERR_FORMAT, "atom %d is cut short, too long or not UTF-8", (int)i);
    }
    return 0;
}

static bool is_atom(const struct opening *o, uint32_t n)
{
    return n >= 1 && n <= o->f.n_atoms;
}

/* --- code and tables of numbers -------------------------------------------------------------- */

static int read_code(struct opening *o)
{
    struct reader r = reader_make(o->chunks[C_Code].data, o->chunks[C_Code].len);
    uint32_t head = reader_u32(&r);
    struct reader h = r.bad ? r : reader_make(r.at, head < reader_left(&r) ? head : 0);
    uint32_t format = reader_u32(&h);

    o->f.max_opcode = reader_u32(&h);
    o->f.label_count = reader_u32(&h);
    o->f.function_count = reader_u32(&h);
    if (r.bad || h.bad)
        return fail(o, -ERR_FORMAT, "the head of the code is cut short");
    if (format != 0)
        return fail(o, -ERR_FORMAT, "code format %u is not known", format);
    if (o->f.max_opcode > BEAM_OP_MAX)
        return fail(o, -ERR_FORMAT, "made for a newer virtual machine (instruction %u)",
                    o->f.max_opcode);
    if (o->f.label_count > BEAM_LABELS_MAX)
        return fail(o, -ERR_LIMIT, "%u labels", o->f.label_count);
    reader_take(&r, head);
    o->f.code = (struct beam_bytes){ r.at, (uint32_t)reader_left(&r) };
    /* Each label is an instruction of two bytes at least, and label 0 is none. */
    if (o->f.label_count > o->f.code.len + 1)
        return fail(o, -ERR_FORMAT, "%u labels in %u bytes", o->f.label_count, o->f.code.len);
    return 0;
}

/* Begin a table of rows of width words; *ret_n is 0 without the chunk. */
static int table_open(struct opening *o, enum chunk which, unsigned width, struct reader *r,
                      uint32_t *ret_n)
{
    *r = reader_make(o->chunks[which].data, o->chunks[which].len);
    *ret_n = o->chunks[which].data == NULL ? 0 : reader_u32(r);
    if (r->bad || *ret_n > reader_left(r) / (4 * width))
        return fail(o, -ERR_FORMAT, "the chunk %s is cut short", chunk_tags[which]);
    return 0;
}

static int read_imports(struct opening *o)
{
    struct reader r;
    uint32_t n;
    int rc = table_open(o, C_ImpT, 3, &r, &n);

    if (rc < 0)
        return rc;
    o->f.imports = own(o, MEM_NEW_ARRAY(struct beam_import, n));
    o->f.n_imports = n;
    for (uint32_t i = 0; i < n; i++) {
        struct beam_import *im = &o->f.imports[i];

        im->module = reader_u32(&r);
        im->function = reader_u32(&r);
        im->arity = reader_u32(&r);
        if (!is_atom(o, im->module) || !is_atom(o, im->function) || im->arity > 255)
            return fail(o, -ERR_FORMAT, "import %u is out of range", i);
    }
    return 0;
}

static int read_exports(struct opening *o, enum chunk which, struct beam_export **ret,
                        uint32_t *ret_n)
{
    struct reader r;
    uint32_t n;
    int rc = table_open(o, which, 3, &r, &n);

    if (rc < 0)
        return rc;
    *ret = own(o, MEM_NEW_ARRAY(struct beam_export, n));
    *ret_n = n;
    for (uint32_t i = 0; i < n; i++) {
        struct beam_export *e = &(*ret)[i];

        e->function = reader_u32(&r);
        e->arity = reader_u32(&r);
        e->label = reader_u32(&r);
        if (!is_atom(o, e->function) || e->arity > 255 || e->label == 0
            || e->label >= o->f.label_count)
            return fail(o, -ERR_FORMAT, "row %u of %s is out of range", i, chunk_tags[which]);
    }
    return 0;
}

static int read_funs(struct opening *o)
{
    struct reader r;
    uint32_t n;
    int rc = table_open(o, C_FunT, 6, &r, &n);

    if (rc < 0)
        return rc;
    o->f.funs = own(o, MEM_NEW_ARRAY(struct beam_fun, n));
    o->f.n_funs = n;
    for (uint32_t i = 0; i < n; i++) {
        struct beam_fun *fun = &o->f.funs[i];

        fun->function = reader_u32(&r);
        fun->arity = reader_u32(&r);
        fun->label = reader_u32(&r);
        fun->index = reader_u32(&r);
        fun->num_free = reader_u32(&r);
        fun->old_uniq = reader_u32(&r);
        if (!is_atom(o, fun->function) || fun->arity > 255 || fun->num_free > fun->arity
            || fun->label == 0 || fun->label >= o->f.label_count)
            return fail(o, -ERR_FORMAT, "fun %u is out of range", i);
    }
    return 0;
}

/* --- literals -------------------------------------------------------------------------------- */

static int inflate_literals(struct opening *o, struct reader *ret)
{
    struct beam_bytes c = o->chunks[C_LitT];
    struct reader r = reader_make(c.data, c.len);
    uint32_t size = reader_u32(&r);
    uint8_t *plain;

    if (r.bad)
        return fail(o, -ERR_FORMAT, "the literals are cut short");
    if (size == 0) {                    /* stored plain, since OTP 28 */
        *ret = r;
        return 0;
    }
    if (size > BEAM_LITERAL_BYTES_MAX)
        return fail(o, -ERR_LIMIT, "%u bytes of literals", size);
    plain = inflate_exactly(r.at, reader_left(&r), size);
    if (plain == NULL)
        return fail(o, -ERR_FORMAT, "the literals do not inflate to %u bytes", size);
    *ret = reader_make(own(o, plain), size);
    return 0;
}

static int read_literals(struct opening *o)
{
    struct reader r = { 0 };
    uint32_t n;
    int rc;

    if (o->chunks[C_LitT].data == NULL)
        return 0;
    rc = inflate_literals(o, &r);
    if (rc < 0)
        return rc;
    n = reader_u32(&r);
    if (r.bad || n > reader_left(&r) / 4)
        return fail(o, -ERR_FORMAT, "the literal table has an impossible size");
    o->f.literals = own(o, MEM_NEW_ARRAY(struct beam_bytes, n));
    o->f.n_literals = n;
    for (uint32_t i = 0; i < n; i++) {
        o->f.literals[i].len = reader_u32(&r);
        o->f.literals[i].data = reader_take(&r, o->f.literals[i].len);
        if (r.bad || o->f.literals[i].len < 2 || o->f.literals[i].data[0] != 131)
            return fail(o, -ERR_FORMAT, "literal %u is no external term", i);
    }
    return 0;
}

/* --- lines and types ------------------------------------------------------------------------- */

static int read_line_items(struct opening *o, struct reader *r, uint32_t n, uint32_t n_files)
{
    int64_t file = 0, v;
    unsigned tag;

    for (uint32_t i = 1; i <= n;) {
        if (beam_decode_number(r, &tag, &v) < 0 || v < 0 || (tag != 1 && tag != 2)
            || (tag == 2 && v > n_files))
            return fail(o, -ERR_FORMAT, "row %u of the line table is out of range", i);
        if (tag == 2) {
            file = v;
            continue;
        }
        /* What OTP cannot pack into a word has no location there either. */
        if (v < 0xffffff && file < 255)
            o->f.lines[i] = (struct beam_line){ (uint32_t)file, (uint32_t)v };
        i++;
    }
    return 0;
}

static int read_line_files(struct opening *o, struct reader *r, uint32_t n)
{
    for (uint32_t i = 1; i <= n; i++) {
        o->f.files[i].len = reader_u16(r);
        o->f.files[i].data = reader_take(r, o->f.files[i].len);
        if (r->bad)
            return fail(o, -ERR_FORMAT, "file name %u of the line table is cut short", i);
    }
    return 0;
}

static int read_lines(struct opening *o)
{
    struct reader r = reader_make(o->chunks[C_Line].data, o->chunks[C_Line].len);
    uint32_t head[5];
    int rc;

    if (o->chunks[C_Line].data == NULL)
        return 0;
    for (unsigned i = 0; i < 5; i++)
        head[i] = reader_u32(&r);       /* version, flags, instructions, rows, file names */
    if (!r.bad && head[0] != 0)
        return 0;                       /* of another version: no locations */
    if (r.bad || head[3] > reader_left(&r) || head[4] > reader_left(&r) / 2)
        return fail(o, -ERR_FORMAT, "the line table has an impossible size");
    o->f.lines = own(o, MEM_NEW_ARRAY(struct beam_line, (size_t)head[3] + 1));
    o->f.n_lines = head[3] + 1;
    o->f.files = own(o, MEM_NEW_ARRAY(struct beam_bytes, (size_t)head[4] + 1));
    o->f.n_files = head[4];
    rc = read_line_items(o, &r, head[3], head[4]);
    return rc < 0 ? rc : read_line_files(o, &r, head[4]);
}

/* Types are hints of the compiler. We only keep how many there are; a version we do not know, or
 * a table that is cut short, leaves plain registers. */
static void read_types(struct opening *o)
{
    struct reader r = reader_make(o->chunks[C_Type].data, o->chunks[C_Type].len);
    uint32_t version = reader_u32(&r), n = reader_u32(&r);
    size_t least = version == 1 ? 18 : 2;

    if (!r.bad && (version == 1 || version == 3) && n <= reader_left(&r) / least)
        o->f.n_types = n;
}

/* --- identity -------------------------------------------------------------------------------- */

static void sum_funs(struct md5 *m, struct beam_bytes c, uint32_t n)
{
    static const uint8_t zero[4];

    md5_update(m, c.data, 4);
    for (uint32_t i = 0; i < n; i++) {
        md5_update(m, c.data + 4 + 24 * i, 20);
        md5_update(m, zero, 4);
    }
    md5_update(m, c.data + 4 + 24 * n, c.len - 4 - 24 * n);
}

static void sum_chunks(struct opening *o)
{
    static const enum chunk order[] = { C_AtU8, C_Code, C_StrT, C_ImpT, C_ExpT, C_FunT, C_LitT,
                                        C_Meta };
    struct md5 m;

    md5_init(&m);
    for (unsigned i = 0; i < ARRAY_LEN(order); i++) {
        struct beam_bytes c = o->chunks[order[i]];

        if (c.data == NULL)
            continue;
        if (order[i] == C_FunT)
            sum_funs(&m, c, o->f.n_funs);
        else
            md5_update(&m, c.data, c.len);
    }
    md5_final(&m, o->f.md5);
}

/* --- opening --------------------------------------------------------------------------------- */

static int read_tables(struct opening *o)
{
    int rc = read_atoms(o);

    if (rc == 0)
        rc = read_code(o);
    if (rc == 0)
        rc = read_imports(o);
    if (rc == 0)
        rc = read_exports(o, C_ExpT, &o->f.exports, &o->f.n_exports);
    if (rc == 0)
        rc = read_exports(o, C_LocT, &o->f.locals, &o->f.n_locals);
    if (rc == 0)
        rc = read_funs(o);
    if (rc == 0)
        rc = read_literals(o);
    if (rc == 0)
        rc = read_lines(o);
    if (rc < 0)
        return rc;
    read_types(o);
    o->f.strings = o->chunks[C_StrT];
    o->f.attributes = o->chunks[C_Attr];
    o->f.compile_info = o->chunks[C_CInf];
    o->f.meta = o->chunks[C_Meta];
    sum_chunks(o);
    return 0;
}

static int open_image(struct opening *o, const void *data, size_t len, bool copy)
{
    int rc;

    if (len > BEAM_FILE_BYTES_MAX)
        return fail(o, -ERR_LIMIT, "a file of %zu bytes", len);
    if (len >= 2 && memcmp(data, "\x1f\x8b", 2) == 0) {
        struct buf plain = { 0 };

        rc = gunzip(data, len, &plain);
        data = own(o, plain.data);
        len = plain.len;
        if (rc < 0)
            return fail(o, rc, "the file does not inflate");
    } else if (copy) {
        data = own(o, mem_dup(data, len));
    }
    rc = find_chunks(o, data, len);
    return rc < 0 ? rc : read_tables(o);
}

int beam_open(const void *data, size_t len, bool copy, struct beam_file *ret_file,
              struct beam_error *ret_error)
{
    struct opening o = { .error = ret_error };
    int rc = open_image(&o, data, len, copy);

    if (rc < 0)
        beam_close(&o.f);
    else
        *ret_file = o.f;
    return rc;
}

void beam_close(struct beam_file *f)
{
    for (unsigned i = 0; i < f->n_blocks; i++)
        mem_free(f->blocks[i]);
    *f = (struct beam_file){ 0 };
}
