/* SPDX-License-Identifier: Apache-2.0 */
/*
 * etf_decode.c - the external term format to terms
 *
 * Input comes from anywhere. Compound terms are allocated whole, filled with [] and linked up, and
 * their parts decoded into the slots, so what a refused input leaves behind is well-formed.
 *
 *   D1  owed counts the terms that open compounds still wait for. Each takes a byte of input at
 *       least, so a compound of n parts is refused unless owed + n bytes are left: all that is
 *       ever allocated is in proportion to the input.
 */
#include "heap/etf.h"

#include "base/alloc.h"
#include "base/fiber.h"
#include "heap/arith.h"
#include "heap/blob.h"
#include "heap/etf_priv.h"
#include "heap/external.h"
#include "heap/map.h"
#include "term/ids.h"

#include <math.h>
#include <zlib.h>

struct etf_env etf_env = { .local_node = ATOM_nonode_nohost };

/* A run of slots to decode into. */
struct fill {
    term  *at;              /* the next slot */
    size_t n;               /* slots left */
    size_t stride;
    term  *pairs;           /* of a map: its keys and values, freed when it is built; else NULL */
    size_t npairs;
    term  *target;          /* of a map: where it goes */
    const uint8_t *end;     /* of a fun: where its encoding must end; else NULL */
};

#define FILL_FIXED 32

struct decoder {
    struct heap *h;
    struct reader r;
    unsigned flags;
    const term *atoms;      /* of ATOM_CACHE_REF, by place */
    unsigned n_atoms;
    size_t owed;
    struct fill *stack;
    size_t depth, cap;
    struct fill fixed[FILL_FIXED];
};

static struct fill *fill_push(struct decoder *d, term *at, size_t n, size_t stride)
{
    struct fill *f;

    if (d->depth == d->cap) {
        struct fill *old = d->stack;

        d->stack = mem_realloc(old == d->fixed ? NULL : old, 2 * d->cap * sizeof *d->stack);
        if (old == d->fixed)
            memcpy(d->stack, d->fixed, sizeof d->fixed);
        d->cap *= 2;
    }
    f = &d->stack[d->depth++];
    *f = (struct fill){ .at = at, .n = n, .stride = stride };
    d->owed += n;
    return f;
}

/* D1: may a compound of n parts be opened? */
static bool parts_fit(const struct decoder *d, uint64_t n)
{
    return !d->r.bad && n + d->owed <= reader_left(&d->r);
}

/* --- atoms ---------------------------------------------------------------------------------- */

static term decode_atom_utf8(struct decoder *d, size_t len)
{
    const char *text = (const char *)reader_take(&d->r, len);

    if (text == NULL)
        return TERM_NONE;
    return d->flags & ETF_SAFE ? atom_existing_utf8(text, len) : atom_from_utf8(text, len);
}

static term decode_atom_latin1(struct decoder *d, size_t len)
{
    const uint8_t *text = reader_take(&d->r, len);
    char utf8[2 * ATOM_CHARS_MAX];
    size_t n = 0;

    if (text == NULL || len > ATOM_CHARS_MAX)
        return TERM_NONE;
    if (!(d->flags & ETF_SAFE))
        return atom_from_latin1((const char *)text, len);
    for (size_t i = 0; i < len; i++) {
        if (text[i] >= 0x80)
            utf8[n++] = (char)(0xC0 | text[i] >> 6);
        utf8[n++] = (char)(text[i] < 0x80 ? text[i] : 0x80 | (text[i] & 0x3F));
    }
    return atom_existing_utf8(utf8, n);
}

static term decode_atom_ref(const struct decoder *d, unsigned place)
{
    return place < d->n_atoms ? d->atoms[place] : TERM_NONE;
}

/* An atom by its tag; TERM_NONE when it is another tag. */
static term decode_atom_tag(struct decoder *d, uint8_t tag)
{
    switch (tag) {
    case ETF_SMALL_ATOM_UTF8: return decode_atom_utf8(d, reader_u8(&d->r));
    case ETF_ATOM_UTF8:       return decode_atom_utf8(d, reader_u16(&d->r));
    case ETF_SMALL_ATOM:      return decode_atom_latin1(d, reader_u8(&d->r));
    case ETF_ATOM:            return decode_atom_latin1(d, reader_u16(&d->r));
    case ETF_ATOM_REF:        return decode_atom_ref(d, reader_u8(&d->r));
    default:                  return TERM_NONE;
    }
}

static term decode_atom(struct decoder *d)
{
    return decode_atom_tag(d, reader_u8(&d->r));
}

/* --- numbers -------------------------------------------------------------------------------- */

static term decode_big(struct decoder *d, size_t n)
{
    uint8_t sign = reader_u8(&d->r);
    const uint8_t *bytes = reader_take(&d->r, n);

    return bytes == NULL ? TERM_NONE : integer_from_bytes_le(d->h, bytes, n, sign != 0);
}

static term decode_float(struct decoder *d)
{
    uint64_t u = reader_u64(&d->r);
    double v;

    memcpy(&v, &u, sizeof v);
    return d->r.bad || !isfinite(v) ? TERM_NONE : heap_float(d->h, v);
}

static term decode_float_text(struct decoder *d)
{
    const char *text = (const char *)reader_take(&d->r, ETF_FLOAT_TEXT_BYTES);
    double v;

    if (text == NULL || !float_parse(text, strnlen(text, ETF_FLOAT_TEXT_BYTES), &v))
        return TERM_NONE;
    return heap_float(d->h, v);
}

/* An integer of 32 bits in either short form. */
static bool decode_int32(struct decoder *d, uint32_t *ret)
{
    switch (reader_u8(&d->r)) {
    case ETF_SMALL_INT: *ret = reader_u8(&d->r); return !d->r.bad;
    case ETF_INT:       *ret = reader_u32(&d->r); return !d->r.bad;
    default:            return false;
    }
}

/* --- identifiers ---------------------------------------------------------------------------- */

static bool is_here(term node, uint32_t creation)
{
    return node == etf_env.local_node && creation == etf_env.local_creation;
}

static term decode_pid(struct decoder *d, unsigned creation_bytes)
{
    term node = decode_atom(d);
    uint32_t number = reader_u32(&d->r), serial = reader_u32(&d->r);
    uint32_t creation = (uint32_t)reader_be(&d->r, creation_bytes);

    if (node == TERM_NONE || d->r.bad)
        return TERM_NONE;
    if (!is_here(node, creation))
        return external_pid(d->h, node, creation, number, serial);
    if (number >> PID_SLOT_BITS != 0 || serial >> 30 != 0)
        return TERM_NONE;
    return pid_make(number, serial);
}

static term decode_port(struct decoder *d, unsigned number_bytes, unsigned creation_bytes)
{
    term node = decode_atom(d);
    uint64_t number = reader_be(&d->r, number_bytes);
    uint32_t creation = (uint32_t)reader_be(&d->r, creation_bytes);

    if (node == TERM_NONE || d->r.bad)
        return TERM_NONE;
    if (!is_here(node, creation))
        return external_port(d->h, node, creation, number);
    return number >> 58 != 0 ? TERM_NONE : imm_make(IMM_PORT, number);
}

/* Words of a shape that this node never makes, under its own name (another node without a name
 * wrote them), are kept as those of a stranger. */
static term decode_ref(struct decoder *d, unsigned n, unsigned n_max, unsigned creation_bytes)
{
    term node = decode_atom(d), ref;
    uint32_t creation = (uint32_t)reader_be(&d->r, creation_bytes), words[REF_WORDS_MAX] = { 0 };
    term *at, *room;

    if (n == 0 || n > n_max)
        return TERM_NONE;
    for (unsigned i = 0; i < n; i++)
        words[i] = reader_u32(&d->r);
    if (node == TERM_NONE || d->r.bad)
        return TERM_NONE;
    if (!is_here(node, creation))
        return external_ref(d->h, node, creation, words, n);
    at = room = heap_alloc(d->h, ALIAS_WORDS);
    ref = ref_from_words(words, n, &at);
    heap_trim(d->h, room, ALIAS_WORDS, at);
    return ref != TERM_NONE ? ref : external_ref(d->h, node, creation, words, n);
}

/* REFERENCE has its one word between node and creation. */
static term decode_old_ref(struct decoder *d)
{
    term node = decode_atom(d);
    uint32_t word = reader_u32(&d->r);
    uint8_t creation = reader_u8(&d->r);

    if (node == TERM_NONE || d->r.bad)
        return TERM_NONE;
    return external_ref(d->h, node, creation, &word, 1);
}

/* --- funs ----------------------------------------------------------------------------------- */

static term decode_export(struct decoder *d)
{
    term module = decode_atom(d), function = decode_atom(d);
    uint8_t tag = reader_u8(&d->r), arity = reader_u8(&d->r);
    struct export *e;

    if (module == TERM_NONE || function == TERM_NONE || tag != ETF_SMALL_INT || d->r.bad ||
        etf_env.export_lookup == NULL)
        return TERM_NONE;
    e = etf_env.export_lookup(module, function, arity, !(d->flags & ETF_SAFE));
    return e == NULL ? TERM_NONE : export_fun_term(e);
}

/* The creator's pid is read and dropped. */
static bool skip_pid(struct decoder *d)
{
    switch (reader_u8(&d->r)) {
    case ETF_NEW_PID: return decode_pid(d, 4) != TERM_NONE;
    case ETF_PID:     return decode_pid(d, 1) != TERM_NONE;
    default:          return false;
    }
}

static term decode_fun(struct decoder *d)
{
    const uint8_t *start = d->r.at, *md5;
    uint32_t size = reader_u32(&d->r), arity = reader_u8(&d->r), index, num_free, old_index;
    uint32_t old_uniq;
    struct fun_entry *f;
    term module, *p;

    md5 = reader_take(&d->r, 16);
    index = reader_u32(&d->r);
    num_free = reader_u32(&d->r);
    module = decode_atom(d);
    if (module == TERM_NONE || !decode_int32(d, &old_index) || !decode_int32(d, &old_uniq) ||
        !skip_pid(d) || !parts_fit(d, num_free) || etf_env.fun_lookup == NULL)
        return TERM_NONE;
    if (size < 4 || size > (size_t)(d->r.end - start))
        return TERM_NONE;
    f = etf_env.fun_lookup(module, md5, index, old_uniq, arity, num_free,
                           !(d->flags & ETF_SAFE));
    if (f == NULL || f->arity != arity || f->num_free != num_free)
        return TERM_NONE;
    p = heap_alloc(d->h, FUN_WORDS(num_free));
    p[0] = header_make(HK_FUN, 1 + num_free);
    p[1] = (term)(uintptr_t)f;
    for (uint32_t i = 0; i < num_free; i++)
        p[2 + i] = TERM_NIL;
    fill_push(d, p + 2, num_free, 1)->end = start + size;
    return box_term(p);
}

/* --- what has parts --------------------------------------------------------------------------- */

static term decode_tuple(struct decoder *d, uint32_t n)
{
    term *p;

    if (!parts_fit(d, n))
        return TERM_NONE;
    p = heap_alloc(d->h, TUPLE_WORDS(n));
    p[0] = header_make(HK_TUPLE, n);
    for (uint32_t i = 0; i < n; i = (uint32_t)fiber_step(i))
        p[1 + i] = TERM_NIL;
    if (n > 0)
        fill_push(d, p + 1, n, 1);
    return box_term(p);
}

/* n = 0 is legal: the list is then its tail, whatever that is. */
static term decode_list(struct decoder *d, term *slot)
{
    uint32_t n = reader_u32(&d->r);
    term *p;

    if (!parts_fit(d, (uint64_t)n + 1))
        return TERM_NONE;
    if (n == 0) {
        fill_push(d, slot, 1, 1);
        return TERM_NIL;
    }
    p = heap_alloc(d->h, 2 * (size_t)n);
    for (int64_t i = 0; i < n; i = fiber_step(i)) {
        p[2 * (size_t)i] = TERM_NIL;
        p[2 * (size_t)i + 1] = i + 1 < n ? cons_term(p + 2 * (size_t)i + 2) : TERM_NIL;
    }
    fill_push(d, p + 2 * (size_t)n - 1, 1, 1);  /* the tail, after the elements */
    fill_push(d, p, n, 2);
    return cons_term(p);
}

static term decode_map(struct decoder *d, term *slot)
{
    uint32_t n = reader_u32(&d->r);
    struct fill *f;
    term *pairs;

    if (!parts_fit(d, 2 * (uint64_t)n))
        return TERM_NONE;
    if (n == 0)
        return map_empty(d->h);
    pairs = mem_array(2 * (size_t)n, sizeof(term));
    f = fill_push(d, pairs, 2 * (size_t)n, 1);
    f->pairs = pairs;
    f->npairs = n;
    f->target = slot;
    return TERM_NIL;
}

static term decode_string(struct decoder *d)
{
    uint16_t n = reader_u16(&d->r);
    const char *bytes = (const char *)reader_take(&d->r, n);

    return bytes == NULL ? TERM_NONE : heap_latin1(d->h, bytes, n);
}

static term decode_bits(struct decoder *d, uint32_t n, unsigned last_bits)
{
    const uint8_t *bytes = reader_take(&d->r, n);
    uint8_t *data;
    term t;

    if (bytes == NULL || last_bits > 8 || (n == 0) != (last_bits == 0))
        return TERM_NONE;
    if (n == 0)
        return binary_room(d->h, 0, &data);
    t = bitstring_room(d->h, ((uint64_t)n - 1) * 8 + last_bits, &data);
    fiber_copy(data, bytes, n);
    data[n - 1] &= (uint8_t)(0xFF00u >> last_bits);
    return t;
}

/* A term without parts, or the outside of one whose parts are now on the stack; *slot is where the
 * result will be stored. */
static term decode_one(struct decoder *d, term *slot)
{
    struct reader *r = &d->r;
    uint8_t tag = reader_u8(r);
    uint32_t n;

    switch (tag) {
    case ETF_SMALL_INT:   return small_make(reader_u8(r));
    case ETF_INT:         return small_make((int32_t)reader_u32(r));
    case ETF_SMALL_BIG:   return decode_big(d, reader_u8(r));
    case ETF_LARGE_BIG:   return decode_big(d, reader_u32(r));
    case ETF_NEW_FLOAT:   return decode_float(d);
    case ETF_FLOAT:       return decode_float_text(d);
    case ETF_NIL:         return TERM_NIL;
    case ETF_STRING:      return decode_string(d);
    case ETF_LIST:        return decode_list(d, slot);
    case ETF_SMALL_TUPLE: return decode_tuple(d, reader_u8(r));
    case ETF_LARGE_TUPLE: return decode_tuple(d, reader_u32(r));
    case ETF_MAP:         return decode_map(d, slot);
    case ETF_BINARY:      n = reader_u32(r); return decode_bits(d, n, n == 0 ? 0 : 8);
    case ETF_BIT_BINARY:  n = reader_u32(r); return decode_bits(d, n, reader_u8(r));
    case ETF_NEW_PID:     return decode_pid(d, 4);
    case ETF_PID:         return decode_pid(d, 1);
    case ETF_V4_PORT:     return decode_port(d, 8, 4);
    case ETF_NEW_PORT:    return decode_port(d, 4, 4);
    case ETF_PORT:        return decode_port(d, 4, 1);
    case ETF_NEWER_REF:   return decode_ref(d, reader_u16(r), REF_WORDS_MAX, 4);
    case ETF_NEW_REF:     return decode_ref(d, reader_u16(r), 3, 1);
    case ETF_REF:         return decode_old_ref(d);
    case ETF_EXPORT:      return decode_export(d);
    case ETF_NEW_FUN:     return decode_fun(d);
    default:              return decode_atom_tag(d, tag);
    }
}

/* The top run is full: build its map, or check its fun. */
static bool fill_close(struct decoder *d)
{
    struct fill *f = &d->stack[--d->depth];

    if (f->end != NULL)
        return f->end == d->r.at;
    if (f->pairs == NULL)
        return true;
    *f->target = map_from_pairs(d->h, f->pairs, f->npairs);
    mem_free(f->pairs);
    return map_size(*f->target) == f->npairs;   /* equal keys are refused */
}

static bool decode_all(struct decoder *d, term *ret)
{
    fill_push(d, ret, 1, 1);
    for (int64_t n = 0; d->depth > 0; n = fiber_step(n)) {
        struct fill *f = &d->stack[d->depth - 1];
        term *slot = f->at, t;

        if (f->n == 0) {
            if (!fill_close(d))
                return false;
            continue;
        }
        f->at += f->stride;
        f->n--;
        d->owed--;
        t = decode_one(d, slot);
        if (UNLIKELY(t == TERM_NONE || d->r.bad))
            return false;
        *slot = t;
    }
    return true;
}

static term decode_term(struct heap *h, struct reader *r, unsigned flags, const term *atoms,
                        unsigned n_atoms)
{
    struct decoder d;
    term t = TERM_NIL;
    bool ok;

    d.h = h;
    d.r = *r;
    d.flags = flags;
    d.atoms = atoms;
    d.n_atoms = n_atoms;
    d.owed = d.depth = 0;
    d.stack = d.fixed;
    d.cap = FILL_FIXED;
    ok = decode_all(&d, &t);
    while (d.depth > 0)
        mem_free(d.stack[--d.depth].pairs);
    if (d.stack != d.fixed)
        mem_free(d.stack);
    *r = d.r;
    return ok ? t : TERM_NONE;
}

/* --- compressed ------------------------------------------------------------------------------- */

/* deflate cannot shrink by more than 1,032 to 1. */
#define INFLATE_RATIO_MAX 1032

/* Inflate the stream at r into exactly size bytes; r is moved past it. */
static bool inflate_exactly(struct reader *r, uint8_t *out, size_t size)
{
    z_stream z = { 0 };
    int rc;

    if (reader_left(r) > UINT32_MAX || inflateInit(&z) != Z_OK)
        return false;
    z.next_in = (Bytef *)(uintptr_t)r->at;
    z.avail_in = (uInt)reader_left(r);
    z.next_out = out;
    do {
        size_t n = size < FIBER_CHUNK_BYTES ? size : FIBER_CHUNK_BYTES;

        z.avail_out = (uInt)n;
        size -= n;
        rc = inflate(&z, size == 0 ? Z_FINISH : Z_NO_FLUSH);
        fiber_tick_bytes(n);
    } while (rc == Z_OK && z.avail_out == 0 && size > 0);
    r->at = z.next_in;
    inflateEnd(&z);
    return rc == Z_STREAM_END && z.avail_out == 0 && size == 0;
}

static term decode_compressed(struct heap *h, struct reader *r, unsigned flags)
{
    uint32_t size = reader_u32(r);
    uint8_t *plain;
    struct reader inner;
    term t = TERM_NONE;

    if (r->bad || size / INFLATE_RATIO_MAX > reader_left(r))
        return TERM_NONE;
    plain = mem_alloc(size);
    if (inflate_exactly(r, plain, size)) {
        inner = reader_make(plain, size);
        t = decode_term(h, &inner, flags, NULL, 0);
    }
    mem_free(plain);
    return t;
}

term etf_decode(struct heap *h, struct reader *r, unsigned flags)
{
    if (!(flags & ETF_NO_VERSION)) {
        if (reader_u8(r) != ETF_VERSION || r->bad)
            return TERM_NONE;
        if (reader_left(r) > 0 && *r->at == ETF_COMPRESSED) {
            r->at++;
            return decode_compressed(h, r, flags);
        }
    }
    return decode_term(h, r, flags, NULL, 0);
}

term etf_decode_wire(struct heap *h, struct reader *r, const term *atoms, unsigned n)
{
    return decode_term(h, r, ETF_NO_VERSION, atoms, n);
}
