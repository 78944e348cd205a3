/* SPDX-License-Identifier: Apache-2.0 */
/*
 * write.c - tables with their numbers, the compact encoding, and the container
 */
#include "beam/write.h"
#include "base/alloc.h"
#include "base/assert.h"
#include "base/md5.h"

#include <zlib.h>

/* Byte strings that get a number the first time they are seen. */
struct pool {
    struct buf bytes;
    struct entry { size_t at; uint32_t len, hash; } *entries;
    uint32_t n, cap;
    uint32_t *slots, n_slots;       /* open addressing; number plus 1, 0 is empty */
};

struct beam_writer {
    struct pool atoms, imports, literals, lines, files;
    struct buf strings, code, exports, locals, funs;
    uint32_t n_exports, n_locals, n_funs, n_functions, n_line_instrs;
    uint32_t max_op, max_label;
    struct buf attributes, compile_info;
    struct buf more_attributes, chunks;
    uint32_t n_more;
    bool finished;
};

/* --- pools ----------------------------------------------------------------------------------- */

static void pool_rehash(struct pool *p)
{
    p->n_slots = p->n_slots == 0 ? 64 : p->n_slots * 2;
    mem_free(p->slots);
    p->slots = MEM_NEW_ARRAY(uint32_t, p->n_slots);
    for (uint32_t i = 0; i < p->n; i++) {
        uint32_t s = p->entries[i].hash & (p->n_slots - 1);

        while (p->slots[s] != 0)
            s = (s + 1) & (p->n_slots - 1);
        p->slots[s] = i + 1;
    }
}

static uint32_t pool_append(struct pool *p, const void *data, size_t len, uint32_t hash)
{
    if (p->n == p->cap) {
        p->cap = p->cap == 0 ? 32 : p->cap * 2;
        p->entries = mem_realloc(p->entries, p->cap * sizeof *p->entries);
    }
    p->entries[p->n] = (struct entry){ p->bytes.len, (uint32_t)len, hash };
    buf_add(&p->bytes, data, len);
    return p->n++;
}

static uint32_t pool_add(struct pool *p, const void *data, size_t len)
{
    uint32_t hash = bytes_hash(data, len), s;

    if (p->n_slots <= p->n * 2)
        pool_rehash(p);
    for (s = hash & (p->n_slots - 1); p->slots[s] != 0; s = (s + 1) & (p->n_slots - 1)) {
        const struct entry *e = &p->entries[p->slots[s] - 1];

        if (e->hash == hash && e->len == len
            && (len == 0 || memcmp(p->bytes.data + e->at, data, len) == 0))
            return p->slots[s] - 1;
    }
    p->slots[s] = p->n + 1;
    return pool_append(p, data, len, hash);
}

static void pool_fini(struct pool *p)
{
    buf_fini(&p->bytes);
    mem_free(p->entries);
    mem_free(p->slots);
}

/* --- tables ---------------------------------------------------------------------------------- */

struct beam_writer *beam_writer_new(const char *module, size_t len)
{
    struct beam_writer *w = MEM_NEW(struct beam_writer);

    beam_add_atom(w, module, len);
    return w;
}

void beam_writer_free(struct beam_writer *w)
{
    if (w == NULL)
        return;
    struct pool *pools[] = { &w->atoms, &w->imports, &w->literals, &w->lines, &w->files };
    struct buf *bufs[] = { &w->strings, &w->code, &w->exports, &w->locals, &w->funs,
                           &w->attributes, &w->compile_info, &w->more_attributes, &w->chunks };

    for (size_t i = 0; i < ARRAY_LEN(pools); i++)
        pool_fini(pools[i]);
    for (size_t i = 0; i < ARRAY_LEN(bufs); i++)
        buf_fini(bufs[i]);
    mem_free(w);
}

uint32_t beam_add_atom(struct beam_writer *w, const void *utf8, size_t len)
{
    ASSERT(len <= 4 * BEAM_ATOM_CHARS_MAX);
    return pool_add(&w->atoms, utf8, len) + 1;
}

static void be32(uint8_t *p, uint32_t v)
{
    for (unsigned i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (24 - 8 * i));
}

uint32_t beam_add_import(struct beam_writer *w, uint32_t module, uint32_t function, uint32_t arity)
{
    uint8_t row[12];

    be32(row, module);
    be32(row + 4, function);
    be32(row + 8, arity);
    return pool_add(&w->imports, row, sizeof row);
}

uint32_t beam_add_literal(struct beam_writer *w, const void *etf, size_t len)
{
    ASSERT(len >= 2 && *(const uint8_t *)etf == 131);
    return pool_add(&w->literals, etf, len);
}

uint32_t beam_add_string(struct beam_writer *w, const void *data, size_t len)
{
    uint32_t at = (uint32_t)w->strings.len;

    buf_add(&w->strings, data, len);
    return at;
}

uint32_t beam_add_line(struct beam_writer *w, const char *file, uint32_t line)
{
    uint32_t number = file == NULL ? 0 : pool_add(&w->files, file, strlen(file)) + 1;
    uint8_t row[8];

    be32(row, number);
    be32(row + 4, line);
    return line == 0 ? 0 : pool_add(&w->lines, row, sizeof row) + 1;
}

static void add_row(struct buf *b, const uint32_t *cells, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf_be(b, cells[i], 4);
}

void beam_add_export(struct beam_writer *w, uint32_t function, uint32_t arity, uint32_t label)
{
    add_row(&w->exports, (uint32_t[]){ function, arity, label }, 3);
    w->n_exports++;
}

void beam_add_local(struct beam_writer *w, uint32_t function, uint32_t arity, uint32_t label)
{
    add_row(&w->locals, (uint32_t[]){ function, arity, label }, 3);
    w->n_locals++;
}

uint32_t beam_add_fun(struct beam_writer *w, uint32_t function, uint32_t arity, uint32_t label,
                      uint32_t num_free)
{
    add_row(&w->funs, (uint32_t[]){ function, arity, label, w->n_funs, num_free, 0 }, 6);
    return w->n_funs++;
}

void beam_set_attributes(struct beam_writer *w, const void *etf, size_t len)
{
    w->attributes.len = 0;
    buf_add(&w->attributes, etf, len);
}

void beam_add_attribute(struct beam_writer *w, const void *etf, size_t len)
{
    buf_add(&w->more_attributes, etf, len);
    w->n_more++;
}

void beam_set_compile_info(struct beam_writer *w, const void *etf, size_t len)
{
    w->compile_info.len = 0;
    buf_add(&w->compile_info, etf, len);
}

/* --- operands -------------------------------------------------------------------------------- */

enum { TAG_U, TAG_I, TAG_A, TAG_X, TAG_Y, TAG_F };

static void encode_bytes(struct buf *out, unsigned tag, const uint8_t *p, size_t len)
{
    if (len <= 8) {
        buf_u8(out, (uint8_t)((len - 2) << 5 | 0x18 | tag));
    } else {
        buf_u8(out, (uint8_t)(0xf8 | tag));
        beam_encode_number(out, TAG_U, (int64_t)len - 9);
    }
    buf_add(out, p, len);
}

void beam_encode_number(struct buf *out, unsigned tag, int64_t value)
{
    uint8_t bytes[8];
    unsigned len = 2;

    if (value >= 0 && value < 16) {
        buf_u8(out, (uint8_t)(value << 4 | tag));
        return;
    }
    if (value >= 0 && value < 2048) {
        buf_u8(out, (uint8_t)(value >> 8 << 5 | 0x08 | tag));
        buf_u8(out, (uint8_t)value);
        return;
    }
    while (len < 8 && (value >> (8 * len - 1)) != 0 && (value >> (8 * len - 1)) != -1)
        len++;
    for (unsigned i = 0; i < len; i++)
        bytes[i] = (uint8_t)((uint64_t)value >> 8 * (len - 1 - i));
    encode_bytes(out, tag, bytes, len);
}

/* More than eight bytes are needed for what the decoder gives as bytes, but others may be short. */
static void encode_big(struct buf *out, struct beam_bytes b)
{
    uint8_t two[2];

    if (b.len >= 2) {
        encode_bytes(out, TAG_I, b.data, b.len);
        return;
    }
    two[1] = b.len == 1 ? b.data[0] : 0;
    two[0] = two[1] & 0x80 ? 0xff : 0;
    encode_bytes(out, TAG_I, two, 2);
}

static void encode_extended(struct buf *out, uint8_t first, uint64_t v)
{
    buf_u8(out, first);
    beam_encode_number(out, TAG_U, (int64_t)v);
}

static void encode_alloc(struct buf *out, const struct beam_arg *a)
{
    uint32_t room[3] = { a->alloc.words, a->alloc.floats, a->alloc.funs };

    encode_extended(out, 0x37, 3);
    for (unsigned kind = 0; kind < 3; kind++) {
        beam_encode_number(out, TAG_U, kind);
        beam_encode_number(out, TAG_U, room[kind]);
    }
}

static void encode_arg(struct beam_writer *w, const struct beam_arg *a)
{
    struct buf *out = &w->code;

    switch ((enum beam_kind)a->kind) {
    case BEAM_U:       beam_encode_number(out, TAG_U, (int64_t)a->u); return;
    case BEAM_I:       beam_encode_number(out, TAG_I, a->i); return;
    case BEAM_BIG:     encode_big(out, a->bytes); return;
    case BEAM_ATOM:    beam_encode_number(out, TAG_A, (int64_t)a->u); return;
    case BEAM_NIL:     beam_encode_number(out, TAG_A, 0); return;
    case BEAM_X:       beam_encode_number(out, TAG_X, (int64_t)a->u); return;
    case BEAM_Y:       beam_encode_number(out, TAG_Y, (int64_t)a->u); return;
    case BEAM_F:
        beam_encode_number(out, TAG_F, (int64_t)a->u);
        w->max_label = a->u > w->max_label ? (uint32_t)a->u : w->max_label;
        return;
    case BEAM_FR:      encode_extended(out, 0x27, a->u); return;
    case BEAM_LITERAL: encode_extended(out, 0x47, a->u); return;
    case BEAM_ALLOC:   encode_alloc(out, a); return;
    case BEAM_LIST:
        encode_extended(out, 0x17, a->n);
        for (uint32_t i = 0; i < a->n; i++)
            encode_arg(w, &a->list[i]);
        return;
    }
    UNREACHABLE();
}

void beam_emit_args(struct beam_writer *w, enum beam_op op, const struct beam_arg *args)
{
    const struct beam_op_info *info = beam_op_info(op);

    ASSERT(!w->finished && info->accepted);
    buf_u8(&w->code, (uint8_t)op);
    for (unsigned i = 0; i < info->arity; i++)
        encode_arg(w, &args[i]);
    w->max_op = op > w->max_op ? op : w->max_op;
    if (op == BOP_label && args[0].u > w->max_label)
        w->max_label = (uint32_t)args[0].u;
    w->n_functions += op == BOP_func_info;
    w->n_line_instrs += op == BOP_line || op == BOP_executable_line;
}

void beam_emit(struct beam_writer *w, const struct beam_instr *in)
{
    beam_emit_args(w, in->op, in->args);
}

/* --- chunks ---------------------------------------------------------------------------------- */

/* Append a chunk; data is lent. Chunks in the digest are summed as they are written. */
static void put_chunk(struct buf *out, const char *tag, const struct buf *data, struct md5 *sum)
{
    buf_add(out, tag, 4);
    buf_be(out, data->len, 4);
    buf_add(out, data->data, data->len);
    while (out->len % 4 != 0)
        buf_u8(out, 0);
    if (sum != NULL)
        md5_update(sum, data->data, data->len);
}

void beam_add_chunk(struct beam_writer *w, const char *tag, const void *data, size_t len)
{
    struct buf lent = { .data = (uint8_t *)(uintptr_t)data, .len = len };

    put_chunk(&w->chunks, tag, &lent, NULL);
}

static void put_pool(struct buf *out, const char *tag, const struct pool *p, struct md5 *sum)
{
    struct buf b = { 0 };

    buf_be(&b, p->n, 4);
    buf_add(&b, p->bytes.data, p->bytes.len);
    put_chunk(out, tag, &b, sum);
    buf_fini(&b);
}

static void put_rows(struct buf *out, const char *tag, const struct buf *rows, uint32_t n,
                     struct md5 *sum)
{
    struct buf b = { 0 };

    buf_be(&b, n, 4);
    buf_add(&b, rows->data, rows->len);
    put_chunk(out, tag, &b, sum);
    buf_fini(&b);
}

static void put_atoms(struct beam_writer *w, struct buf *out, struct md5 *sum)
{
    const struct pool *p = &w->atoms;
    struct buf b = { 0 };
    bool is_long = false;

    for (uint32_t i = 0; i < p->n; i++)
        is_long |= p->entries[i].len > 255;
    /* Lengths above a byte need the form of OTP 28, marked by a negative count. */
    buf_be(&b, is_long ? -(uint64_t)p->n : p->n, 4);
    for (uint32_t i = 0; i < p->n; i++) {
        if (is_long)
            beam_encode_number(&b, TAG_U, p->entries[i].len);
        else
            buf_u8(&b, (uint8_t)p->entries[i].len);
        buf_add(&b, p->bytes.data + p->entries[i].at, p->entries[i].len);
    }
    put_chunk(out, "AtU8", &b, sum);
    buf_fini(&b);
}

static void put_code(struct beam_writer *w, struct buf *out, struct md5 *sum)
{
    struct buf b = { 0 };

    add_row(&b, (uint32_t[]){ 16, 0, w->max_op, w->max_label + 1, w->n_functions }, 5);
    buf_add(&b, w->code.data, w->code.len);
    put_chunk(out, "Code", &b, sum);
    buf_fini(&b);
}

static void put_literals(struct beam_writer *w, struct buf *out, struct md5 *sum)
{
    const struct pool *p = &w->literals;
    struct buf plain = { 0 }, b = { 0 };
    uLongf packed;

    if (p->n == 0)
        return;
    buf_be(&plain, p->n, 4);
    for (uint32_t i = 0; i < p->n; i++) {
        buf_be(&plain, p->entries[i].len, 4);
        buf_add(&plain, p->bytes.data + p->entries[i].at, p->entries[i].len);
    }
    packed = compressBound(plain.len);
    buf_be(&b, plain.len, 4);
    buf_room(&b, packed);
    int zrc = compress2(b.data + 4, &packed, plain.data, plain.len, Z_DEFAULT_COMPRESSION);

    ASSERT(zrc == Z_OK);
    b.len = 4 + packed;
    put_chunk(out, "LitT", &b, sum);
    buf_fini(&plain);
    buf_fini(&b);
}

static uint32_t load_be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void put_lines(struct beam_writer *w, struct buf *out)
{
    struct buf b = { 0 };
    uint32_t file = 0;

    if (w->n_line_instrs == 0)
        return;
    add_row(&b, (uint32_t[]){ 0, 0, w->n_line_instrs, w->lines.n, w->files.n }, 5);
    for (uint32_t i = 0; i < w->lines.n; i++) {
        const uint8_t *row = w->lines.bytes.data + w->lines.entries[i].at;

        if (load_be32(row) != file) {
            file = load_be32(row);
            beam_encode_number(&b, TAG_A, file);
        }
        beam_encode_number(&b, TAG_I, load_be32(row + 4));
    }
    for (uint32_t i = 0; i < w->files.n; i++) {
        buf_be(&b, w->files.entries[i].len, 2);
        buf_add(&b, w->files.bytes.data + w->files.entries[i].at, w->files.entries[i].len);
    }
    put_chunk(out, "Line", &b, NULL);
    buf_fini(&b);
}

/* [{vsn,[Digest]} | more] as an external term, the digest being a 128-bit integer. */
static void default_attributes(struct beam_writer *w, const uint8_t digest[16])
{
    static const uint8_t vsn[] = { 104, 2, 119, 3, 'v', 's', 'n', 108, 0, 0, 0, 1, 110, 16, 0 };
    struct buf *out = &w->attributes;

    buf_add(out, (uint8_t[]){ 131, 108 }, 2);
    buf_be(out, w->n_more + 1, 4);
    buf_add(out, vsn, sizeof vsn);
    for (unsigned i = 0; i < 16; i++)
        buf_u8(out, digest[15 - i]);
    buf_u8(out, 106);
    buf_add(out, w->more_attributes.data, w->more_attributes.len);
    buf_u8(out, 106);
}

/* Funs carry 27 bits of a digest that is made while those bits are zero. */
static void stamp_funs(struct buf *file, size_t at, uint32_t n, const uint8_t digest[16])
{
    for (uint32_t i = 0; i < n; i++)
        be32(file->data + at + 4 + 24 * (size_t)i + 20, load_be32(digest) >> 5);
}

static void write_file(struct beam_writer *w, struct buf *out)
{
    uint8_t digest[16];
    struct md5 sum;
    size_t funs_at;

    md5_init(&sum);
    buf_str(out, "FOR1....BEAM");
    put_atoms(w, out, &sum);
    put_code(w, out, &sum);
    put_chunk(out, "StrT", &w->strings, &sum);
    put_pool(out, "ImpT", &w->imports, &sum);
    put_rows(out, "ExpT", &w->exports, w->n_exports, &sum);
    funs_at = out->len + 8;
    if (w->n_funs > 0)
        put_rows(out, "FunT", &w->funs, w->n_funs, &sum);
    put_literals(w, out, &sum);
    md5_final(&sum, digest);
    stamp_funs(out, funs_at, w->n_funs, digest);
    put_rows(out, "LocT", &w->locals, w->n_locals, NULL);
    if (w->attributes.len == 0)
        default_attributes(w, digest);
    put_chunk(out, "Attr", &w->attributes, NULL);
    if (w->compile_info.len == 0)
        buf_add(&w->compile_info, "\x83j", 2);
    put_chunk(out, "CInf", &w->compile_info, NULL);
    put_lines(w, out);
    buf_add(out, w->chunks.data, w->chunks.len);
    be32(out->data + 4, (uint32_t)out->len - 8);
}

static void gzip(const struct buf *plain, struct buf *out)
{
    z_stream z = { .next_in = plain->data, .avail_in = (uInt)plain->len };
    int zrc = deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 16 + MAX_WBITS, 8,
                           Z_DEFAULT_STRATEGY);
    size_t bound, had = out->len;

    ASSERT(zrc == Z_OK);
    bound = deflateBound(&z, plain->len);
    z.next_out = buf_room(out, bound);
    z.avail_out = (uInt)bound;
    zrc = deflate(&z, Z_FINISH);
    ASSERT(zrc == Z_STREAM_END);
    out->len = had + z.total_out;
    deflateEnd(&z);
}

void beam_writer_finish(struct beam_writer *w, bool compress, struct buf *out)
{
    struct buf file = { 0 };

    beam_emit_args(w, BOP_int_code_end, NULL);
    w->finished = true;
    write_file(w, &file);
    if (compress)
        gzip(&file, out);
    else
        buf_add(out, file.data, file.len);
    buf_fini(&file);
}
