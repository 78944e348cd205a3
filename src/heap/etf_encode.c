/* SPDX-License-Identifier: Apache-2.0 */
/*
 * etf_encode.c - terms to the external term format
 *
 * One loop over an explicit stack of what is still to be written: runs of terms, and the rests of
 * lists. Whatever has no parts is written at once.
 */
#include "heap/etf.h"

#include "base/alloc.h"
#include "base/errors.h"
#include "base/fiber.h"
#include "heap/arith.h"
#include "heap/blob.h"
#include "heap/etf_priv.h"
#include "heap/map.h"
#include "term/ids.h"

#include <stdio.h>
#include <zlib.h>

enum work_kind { WORK_RUN, WORK_LIST, WORK_FUN_SIZE };

struct work {
    enum work_kind kind;
    size_t n;               /* RUN: terms left; FUN_SIZE: where the size goes */
    const term *at;         /* RUN: the next one */
    term list;              /* LIST: what is left of it */
    term *owned;            /* memory to free when done, or NULL */
};

#define WORK_FIXED 32
#define COUNT_CHUNK_BYTES 65536

struct encoder {
    struct buf *out;
    struct work *stack;
    size_t depth, cap;
    unsigned flags;
    int  minor;
    bool counting;          /* only the size is wanted: out is emptied now and then */
    size_t counted;         /* bytes already emptied, or never written */
    int  rc;
    const struct etf_wire *wire;    /* NULL: out grows by itself, atoms are text */
    struct work fixed[WORK_FIXED];
};

static struct work *work_push(struct encoder *e, enum work_kind kind)
{
    struct work *w;

    if (e->depth == e->cap) {
        struct work *old = e->stack;

        e->stack = mem_realloc(old == e->fixed ? NULL : old, 2 * e->cap * sizeof *e->stack);
        if (old == e->fixed)
            memcpy(e->stack, e->fixed, sizeof e->fixed);
        e->cap *= 2;
    }
    w = &e->stack[e->depth++];
    *w = (struct work){ .kind = kind };
    return w;
}

static void work_run(struct encoder *e, const term *at, size_t n)
{
    struct work *w;

    if (n == 0)
        return;
    w = work_push(e, WORK_RUN);
    w->at = at;
    w->n = n;
}

static uint8_t *put_room_slow(struct encoder *e, size_t n)
{
    struct buf *b = e->out;

    if (e->wire == NULL)
        return buf_room(b, n);
    e->wire->grow(e->wire->arg, b, n);
    ASSERT(n <= b->cap - b->len);
    b->len += n;
    return b->data + b->len - n;
}

ALWAYS_INLINE uint8_t *put_room(struct encoder *e, size_t n)
{
    struct buf *b = e->out;

    if (LIKELY(n <= b->cap - b->len)) {
        b->len += n;
        return b->data + b->len - n;
    }
    return put_room_slow(e, n);
}

static void put_be(uint8_t *p, uint64_t v, unsigned bytes)
{
    for (unsigned i = bytes; i-- > 0; v >>= 8)
        p[i] = (uint8_t)v;
}

/* A tag and a number behind it. */
static void put_tag(struct encoder *e, enum etf_tag tag, uint64_t v, unsigned bytes)
{
    uint8_t *p = put_room(e, 1 + bytes);

    *p = (uint8_t)tag;
    put_be(p + 1, v, bytes);
}

static void put_payload(struct encoder *e, const void *data, size_t len)
{
    if (e->counting)
        e->counted += len;
    else if (len > 0)
        fiber_copy(put_room(e, len), data, len);
}

/* --- atoms and numbers -------------------------------------------------------------------- */

/* Old peers want latin-1. False: text has a code point above 255. */
static bool encode_latin1(struct encoder *e, const char *text, size_t len)
{
    uint8_t latin1[ATOM_CHARS_MAX], *p;
    size_t n = 0;

    for (size_t i = 0; i < len; i++) {
        uint8_t c = (uint8_t)text[i];

        if (c >= 0xC4)
            return false;
        if (c >= 0xC2)
            c = (uint8_t)(c << 6 | (text[++i] & 0x3F));
        latin1[n++] = c;
    }
    put_tag(e, ETF_ATOM, n, 2);
    p = put_room(e, n);
    memcpy(p, latin1, n);
    return true;
}

static void encode_atom(struct encoder *e, term atom)
{
    size_t len;
    const char *text;
    int place = e->wire != NULL ? e->wire->atom(e->wire->arg, atom) : -1;

    if (place >= 0) {
        put_tag(e, ETF_ATOM_REF, (uint64_t)place, 1);
        return;
    }
    text = atom_text(atom, &len);
    if (e->minor < 2 && encode_latin1(e, text, len))
        return;
    if (len <= 255)
        put_tag(e, ETF_SMALL_ATOM_UTF8, len, 1);
    else
        put_tag(e, ETF_ATOM_UTF8, len, 2);
    memcpy(put_room(e, len), text, len);
}

static void encode_big(struct encoder *e, term t)
{
    size_t n = integer_bytes(t);
    bool negative;
    uint8_t *p;

    if (n <= 255)
        put_tag(e, ETF_SMALL_BIG, n, 1);
    else
        put_tag(e, ETF_LARGE_BIG, n, 4);
    p = put_room(e, 1 + n);
    integer_to_bytes_le(t, p + 1, n, &negative);
    *p = negative;
}

static void encode_small(struct encoder *e, term t)
{
    int64_t i = small_val(t);

    if (i >= 0 && i <= 255)
        put_tag(e, ETF_SMALL_INT, (uint64_t)i, 1);
    else if (i >= INT32_MIN && i <= INT32_MAX)
        put_tag(e, ETF_INT, (uint64_t)i, 4);
    else
        encode_big(e, t);
}

static void encode_float(struct encoder *e, term t)
{
    double d = flt_val(t);
    uint64_t u;

    if (e->minor > 0) {
        memcpy(&u, &d, sizeof u);
        put_tag(e, ETF_NEW_FLOAT, u, 8);
    } else {
        char text[64] = { 0 };

        snprintf(text, sizeof text, "%.20e", d);
        put_tag(e, ETF_FLOAT, 0, 0);
        memcpy(put_room(e, ETF_FLOAT_TEXT_BYTES), text, ETF_FLOAT_TEXT_BYTES);
    }
}

/* --- identifiers and funs ----------------------------------------------------------------- */

/* Name of the node of id; its creation in *ret. */
static term node_of(term id, uint32_t *ret_creation)
{
    struct node_entry *node = id_node(id);

    *ret_creation = node == NULL ? etf_env.local_creation : node->creation;
    return node == NULL ? etf_env.local_node : node->name;
}

static void encode_pid_parts(struct encoder *e, term node, uint32_t number, uint32_t serial,
                             uint32_t creation)
{
    uint8_t *p;

    put_tag(e, ETF_NEW_PID, 0, 0);
    encode_atom(e, node);
    p = put_room(e, 12);
    put_be(p, number, 4);
    put_be(p + 4, serial, 4);
    put_be(p + 8, creation, 4);
}

static void encode_pid(struct encoder *e, term t)
{
    uint32_t creation;
    term node = node_of(t, &creation);

    encode_pid_parts(e, node, pid_number(t), pid_serial_number(t), creation);
}

static void encode_port(struct encoder *e, term t)
{
    uint32_t creation;
    term node = node_of(t, &creation);
    uint8_t *p;

    put_tag(e, ETF_V4_PORT, 0, 0);
    encode_atom(e, node);
    p = put_room(e, 12);
    put_be(p, port_number(t), 8);
    put_be(p + 8, creation, 4);
}

static void encode_ref(struct encoder *e, term t)
{
    uint32_t words[REF_WORDS_MAX], creation;
    unsigned n = ref_words(t, words);
    term node = node_of(t, &creation);
    uint8_t *p;

    put_tag(e, ETF_NEWER_REF, n, 2);
    encode_atom(e, node);
    p = put_room(e, 4 + 4 * n);
    put_be(p, creation, 4);
    for (unsigned i = 0; i < n; i++)
        put_be(p + 4 + 4 * i, words[i], 4);
}

static void encode_export(struct encoder *e, term t)
{
    const struct export *x = export_of(t);

    put_tag(e, ETF_EXPORT, 0, 0);
    encode_atom(e, x->module);
    encode_atom(e, x->function);
    put_tag(e, ETF_SMALL_INT, x->arity, 1);
}

/* The creator's pid is not kept with funs: a pid that no process has stands for it. */
static void encode_fun(struct encoder *e, term t)
{
    const struct fun_entry *f = fun_entry_of(t);
    size_t num_free = header_size(box_header(t)) - 1, size_at;
    struct work *w;
    uint8_t *p;

    put_tag(e, ETF_NEW_FUN, 0, 0);
    size_at = e->out->len;
    p = put_room(e, 29);
    put_be(p, 0, 4);
    p[4] = f->arity;
    memcpy(p + 5, f->md5, 16);
    put_be(p + 21, f->index, 4);
    put_be(p + 25, num_free, 4);
    encode_atom(e, f->module);
    encode_small(e, small_make(f->index));
    encode_small(e, small_make(f->old_uniq));
    encode_pid_parts(e, etf_env.local_node, 0, 0, etf_env.local_creation);
    w = work_push(e, WORK_FUN_SIZE);
    w->n = size_at;
    work_run(e, &fun_free(t, 0), num_free);
}

/* --- what has parts ------------------------------------------------------------------------- */

static void encode_bits(struct encoder *e, term t)
{
    struct bits b = bits_of(t);
    size_t bytes = (size_t)((b.bits + 7) / 8);
    unsigned extra = (unsigned)(b.bits % 8);

    if (bytes > UINT32_MAX) {
        e->rc = -ERR_LIMIT;
        return;
    }
    if (extra == 0) {
        put_tag(e, ETF_BINARY, bytes, 4);
    } else {
        put_tag(e, ETF_BIT_BINARY, bytes, 4);
        *put_room(e, 1) = (uint8_t)extra;
    }
    if (e->counting || (b.bit_offset == 0 && extra == 0)) {
        put_payload(e, b.base, bytes);
    } else if (bytes > 0) {
        uint8_t *p = put_room(e, bytes);

        p[bytes - 1] = 0;
        bits_copy(p, 0, b.base, b.bit_offset, b.bits);
    }
}

static void encode_list(struct encoder *e, term t)
{
    size_t n = 0, bytes = 0;
    term at = t;
    struct work *w;

    for (; is_cons(at); at = cdr(at), n = (size_t)fiber_step((int64_t)n))
        bytes += is_small(car(at)) && (uint64_t)small_val(car(at)) <= 255;
    if (n == bytes && n <= UINT16_MAX && is_nil(at)) {
        uint8_t *p;

        put_tag(e, ETF_STRING, n, 2);
        p = put_room(e, n);
        for (at = t; is_cons(at); at = cdr(at))
            *p++ = (uint8_t)small_val(car(at));
        return;
    }
    if (n > UINT32_MAX)
        e->rc = -ERR_LIMIT;
    put_tag(e, ETF_LIST, n, 4);
    w = work_push(e, WORK_LIST);
    w->list = t;
}

static void encode_map(struct encoder *e, term t)
{
    size_t n = map_size(t);
    term *pairs;

    put_tag(e, ETF_MAP, n, 4);
    if (n == 0)
        return;
    pairs = mem_array(2 * n, sizeof(term));
    map_pairs(t, pairs, e->flags & ETF_DETERMINISTIC);
    work_run(e, pairs, 2 * n);
    e->stack[e->depth - 1].owned = pairs;
}

static void encode_tuple(struct encoder *e, term t)
{
    size_t n = tuple_arity(t);

    if (n <= 255)
        put_tag(e, ETF_SMALL_TUPLE, n, 1);
    else
        put_tag(e, ETF_LARGE_TUPLE, n, 4);
    work_run(e, &tuple_elem(t, 0), n);
}

static void encode_boxed(struct encoder *e, term t)
{
    switch (header_kind(box_header(t))) {
    case HK_TUPLE:      encode_tuple(e, t); break;
    case HK_FLOAT:      encode_float(e, t); break;
    case HK_BIGPOS:
    case HK_BIGNEG:     encode_big(e, t); break;
    case HK_FUN:        encode_fun(e, t); break;
    case HK_EXPORT_FUN: encode_export(e, t); break;
    case HK_REF:
    case HK_MAGIC:
    case HK_EXT_REF:    encode_ref(e, t); break;
    case HK_EXT_PID:    encode_pid(e, t); break;
    case HK_EXT_PORT:   encode_port(e, t); break;
    case HK_BIN:
    case HK_BIN_REF:
    case HK_BIN_SUB:    encode_bits(e, t); break;
    case HK_MATCH:      encode_bits(e, box_ptr(t)[4]); break;  /* code made by hand lets it out */
    case HK_MAP_FLAT:
    case HK_MAP_ROOT:   encode_map(e, t); break;
    default:            UNREACHABLE();
    }
}

static void encode_one(struct encoder *e, term t)
{
    if (is_small(t))
        encode_small(e, t);
    else if (is_atom(t))
        encode_atom(e, t);
    else if (is_cons(t))
        encode_list(e, t);
    else if (is_box(t))
        encode_boxed(e, t);
    else if (is_nil(t))
        put_tag(e, ETF_NIL, 0, 0);
    else if (is_imm_flt(t))
        encode_float(e, t);
    else if (is_local_pid(t))
        encode_pid(e, t);
    else if (is_imm_ref(t))
        encode_ref(e, t);
    else if (is_local_port(t))
        encode_port(e, t);
    else
        UNREACHABLE();
}

static void encode_fun_size(struct encoder *e, size_t size_at)
{
    size_t size = e->out->len - size_at;

    if (e->counting)
        return;
    if (size > UINT32_MAX)
        e->rc = -ERR_LIMIT;
    put_be(e->out->data + size_at, size, 4);
}

/* Do the next piece of the work on top of the stack. */
static void encode_step(struct encoder *e)
{
    struct work *w = &e->stack[e->depth - 1];

    switch (w->kind) {
    case WORK_RUN:
        if (w->n > 0) {
            w->n--;
            encode_one(e, *w->at++);
            return;
        }
        mem_free(w->owned);
        break;
    case WORK_LIST:
        if (is_cons(w->list)) {
            term head = car(w->list);

            w->list = cdr(w->list);
            encode_one(e, head);
            return;
        }
        e->depth--;
        encode_one(e, w->list);     /* the tail is no cons: w is not touched before it is read */
        return;
    case WORK_FUN_SIZE:
        encode_fun_size(e, w->n);
        break;
    }
    e->depth--;
}

static void encode_all(struct encoder *e, term t)
{
    e->stack = e->fixed;
    e->cap = WORK_FIXED;
    if (!(e->flags & ETF_NO_VERSION))
        *put_room(e, 1) = ETF_VERSION;
    encode_one(e, t);
    for (int64_t n = 0; e->depth > 0 && e->rc == 0; n = fiber_step(n)) {
        encode_step(e);
        if (UNLIKELY(e->counting && e->out->len > COUNT_CHUNK_BYTES)) {
            e->counted += e->out->len;
            e->out->len = 0;
        }
    }
    while (e->depth > 0)
        mem_free(e->stack[--e->depth].owned);
    if (e->stack != e->fixed)
        mem_free(e->stack);
}

int etf_encode(struct buf *out, term t, unsigned flags, int minor_version)
{
    struct encoder e;

    memset(&e, 0, offsetof(struct encoder, fixed));
    e.out = out;
    e.flags = flags;
    e.minor = minor_version;
    encode_all(&e, t);
    return e.rc;
}

int etf_encode_wire(struct buf *b, term t, const struct etf_wire *w)
{
    struct encoder e;

    memset(&e, 0, offsetof(struct encoder, fixed));
    e.out = b;
    e.flags = ETF_NO_VERSION;
    e.minor = ETF_MINOR_DEFAULT;
    e.wire = w;
    encode_all(&e, t);
    return e.rc;
}

/* Deflate all of plain into packed, which has room for *len bytes; *len becomes what it took. */
static bool pack(uint8_t *packed, size_t *len, const struct buf *plain, int level)
{
    z_stream z = { .next_in = plain->data, .next_out = packed, .avail_out = (uInt)*len };
    size_t left = plain->len;
    int rc = deflateInit(&z, level);

    while (rc == Z_OK) {
        size_t n = left < FIBER_CHUNK_BYTES ? left : FIBER_CHUNK_BYTES;

        z.avail_in = (uInt)n;
        left -= n;
        rc = deflate(&z, left == 0 ? Z_FINISH : Z_NO_FLUSH);
        fiber_tick_bytes(8 * n);
    }
    *len -= z.avail_out;
    deflateEnd(&z);
    return rc == Z_STREAM_END;
}

int etf_encode_compressed(struct buf *out, term t, unsigned flags, int minor_version, int level)
{
    struct buf plain = { 0 };
    int rc = etf_encode(&plain, t, flags | ETF_NO_VERSION, minor_version);
    size_t packed_len;
    uint8_t *packed;

    if (rc < 0)
        goto out;
    if (!(flags & ETF_NO_VERSION))
        buf_u8(out, ETF_VERSION);
    packed_len = compressBound(plain.len);
    packed = mem_alloc(packed_len);
    if (plain.len <= UINT32_MAX && level != 0 && pack(packed, &packed_len, &plain, level) &&
        packed_len + 5 < plain.len) {
        buf_u8(out, ETF_COMPRESSED);
        buf_be(out, plain.len, 4);
        buf_add(out, packed, packed_len);
    } else {
        buf_add(out, plain.data, plain.len);
    }
    mem_free(packed);
out:
    buf_fini(&plain);
    return rc;
}

size_t etf_size(term t, unsigned flags, int minor_version)
{
    struct buf scratch = { 0 };
    struct encoder e;
    size_t size;

    memset(&e, 0, offsetof(struct encoder, fixed));
    e.out = &scratch;
    e.flags = flags;
    e.minor = minor_version;
    e.counting = true;
    encode_all(&e, t);
    size = e.counted + scratch.len;
    buf_fini(&scratch);
    return size;
}
