/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sig.c - code made from sig.tab: a straight line of tests for each kind
 *
 * Field numbers are below 16, so a tag is one byte. A zero or empty field is not written. Of a
 * field that comes twice the last counts, as in protobuf.
 */
#include "wire/sig.h"

#include "base/errors.h"
#include "wire/varint.h"

#define TAG(number, type) ((number) << 3 | (type))

bool sig_known(unsigned kind)
{
    switch (kind) {
#define SIG(name, fields) case KIND_##name:
#include "wire/sig.tab"
#undef SIG
        return true;
    default:
        return false;
    }
}

/* --- reading --------------------------------------------------------------------------------- */

static struct span read_bytes(struct reader *r)
{
    size_t len = varint_short(r);
    const uint8_t *p = reader_take(r, len);

    return p != NULL ? (struct span){ p, (uint32_t)len } : (struct span){ NULL, 0 };
}

static void read_slots(struct reader *r, bool packed, struct wire_sig *s, struct wire_space *space)
{
    struct span all = packed ? read_bytes(r) : (struct span){ r->at, 1 };
    struct reader in = packed ? reader_make(all.data, all.len) : *r;

    while (!r->bad && in.at < in.end) {
        if (s->n_atoms == SIG_ATOMS_MAX) {
            r->bad = true;
            return;
        }
        space->atoms[s->n_atoms++] = (uint32_t)varint_get(&in);
        if (!packed) {
            *r = in;
            return;
        }
        r->bad |= in.bad;
    }
    r->bad |= !packed;
}

static void read_receivers(struct reader *r, bool packed, struct wire_sig *s, struct wire_space *space)
{
    struct span all = packed ? read_bytes(r) : (struct span){ r->at, 1 };
    struct reader in = packed ? reader_make(all.data, all.len) : *r;

    while (!r->bad && in.at < in.end) {
        if (s->n_receivers == SIG_RECEIVERS_MAX) {
            r->bad = true;
            return;
        }
        space->receivers[s->n_receivers++] = varint_get(&in);
        if (!packed) {
            *r = in;
            return;
        }
        r->bad |= in.bad;
    }
    r->bad |= !packed;
}

/* The field numbers of each kind as bits. */
#define U64(n, m)   | 1u << (n)
#define U32(n, m)   | 1u << (n)
#define BOOL(n, m)  | 1u << (n)
#define BYTES(n, m) | 1u << (n)
#define TERM(n, m)  | 1u << (n)
#define ATOMS(n)    | 1u << (n)
#define MANY(n)     | 1u << (n)
enum {
#define SIG(name, fields) KNOWN_##name = 0 fields,
#include "wire/sig.tab"
#undef SIG
};
#undef U64
#undef U32
#undef BOOL
#undef BYTES
#undef TERM
#undef ATOMS
#undef MANY

/* A field that we do not know. One that we know, with another wire type, is a mistake. */
static void read_unknown(struct reader *r, uint64_t tag, unsigned known, unsigned *count)
{
    uint64_t number = tag >> 3;

    if (number == 0 || (number < 16 && (known >> number & 1) != 0) || number > 0x1FFFFFFF ||
        ++*count > SIG_UNKNOWN_MAX) {
        r->bad = true;
        return;
    }
    field_skip(r, tag);
}

#define U64(n, m)   case TAG(n, WIRE_VARINT): ret->m = varint_get(&r); break;
#define U32(n, m)   case TAG(n, WIRE_VARINT): ret->m = (uint32_t)varint_get(&r); break;
#define BOOL(n, m)  case TAG(n, WIRE_VARINT): ret->m = varint_get(&r) != 0; break;
#define BYTES(n, m) case TAG(n, WIRE_BYTES): ret->m = read_bytes(&r); break;
#define TERM(n, m)  BYTES(n, m)
#define ATOMS(n)                                                            \
    case TAG(n, WIRE_BYTES): read_slots(&r, true, ret, space); break;       \
    case TAG(n, WIRE_VARINT): read_slots(&r, false, ret, space); break;
#define MANY(n)                                                             \
    case TAG(n, WIRE_BYTES): read_receivers(&r, true, ret, space); break;   \
    case TAG(n, WIRE_VARINT): read_receivers(&r, false, ret, space); break;

int sig_read(unsigned kind, const void *data, size_t len, struct wire_space *space, struct wire_sig *ret)
{
    struct reader r = reader_make(data, len);
    unsigned unknown = 0;

    memset(ret, 0, sizeof *ret);
    ret->kind = (uint8_t)kind;
    ret->atoms = space->atoms;
    ret->receivers = space->receivers;
    switch (kind) {
#define SIG(name, fields)                                           \
    case KIND_##name:                                               \
        while (r.at < r.end && !r.bad) {                            \
            uint64_t tag = varint_short(&r);                          \
            switch (tag) {                                          \
            fields                                                  \
            default: read_unknown(&r, tag, KNOWN_##name, &unknown); \
            }                                                       \
        }                                                           \
        break;
#include "wire/sig.tab"
#undef SIG
    default:
        return -ERR_PROTOCOL;
    }
    return r.bad ? -ERR_PROTOCOL : 0;
}
#undef U64
#undef U32
#undef BOOL
#undef BYTES
#undef TERM
#undef ATOMS
#undef MANY

/* --- writing --------------------------------------------------------------------------------- */

static uint8_t *put_bytes(uint8_t *at, const struct span *b)
{
    at = varint_put(at, b->len);
    memcpy(at, b->data, b->len);
    return at + b->len;
}

static size_t receivers_len(const struct wire_sig *s)
{
    size_t n = 0;

    for (unsigned i = 0; i < s->n_receivers; i++)
        n += varint_len(s->receivers[i]);
    return n;
}

static uint8_t *put_receivers(uint8_t *at, const struct wire_sig *s)
{
    at = varint_put(at, receivers_len(s));
    for (unsigned i = 0; i < s->n_receivers; i++)
        at = varint_put(at, s->receivers[i]);
    return at;
}

/* Room is counted over all fields, whichever side of the term they stand. */
static size_t room(const struct wire_sig *s)
{
    return 16 * (1 + VARINT_MAX) + s->ref.len + s->name.len + s->leader.len + s->module.len +
           s->function.len + s->hash.len + s->error.len + s->trace.len + receivers_len(s);
}

size_t sig_head_room(const struct wire_sig *s)
{
    return room(s);
}

size_t sig_tail_room(const struct wire_sig *s)
{
    return room(s);
}

#define PUT_NUMBER(n, v) \
    if (on && (v) != 0) { *at++ = TAG(n, WIRE_VARINT); at = varint_put(at, (v)); }
#define PUT_BYTES(n, m) \
    if (on && s->m.len != 0) { *at++ = TAG(n, WIRE_BYTES); at = put_bytes(at, &s->m); }
#define U64(n, m)   PUT_NUMBER(n, s->m)
#define U32(n, m)   PUT_NUMBER(n, s->m)
#define BOOL(n, m)  PUT_NUMBER(n, s->m ? 1u : 0u)
#define BYTES(n, m) PUT_BYTES(n, m)
#define MANY(n) \
    if (on && s->n_receivers != 0) { *at++ = TAG(n, WIRE_BYTES); at = put_receivers(at, s); }
#define ATOMS(n)

/* `on` is known at compile time at each place: true up to the term. */
uint8_t *sig_write_head(const struct wire_sig *s, size_t term_len, uint8_t *at)
{
    bool on = true;

    switch (s->kind) {
#define TERM(n, m)                          \
    if (term_len != 0) {                    \
        *at++ = TAG(n, WIRE_BYTES);         \
        at = varint_put(at, term_len);      \
    }                                       \
    on = false;
#define SIG(name, fields) case KIND_##name: fields break;
#include "wire/sig.tab"
#undef SIG
#undef TERM
    default:
        break;
    }
    return at;
}

/* ... and here from behind the term on. */
uint8_t *sig_write_tail(const struct wire_sig *s, uint8_t *at)
{
    bool on = false;

    switch (s->kind) {
#define TERM(n, m) on = true;
#define SIG(name, fields) case KIND_##name: fields break;
#include "wire/sig.tab"
#undef SIG
#undef TERM
    default:
        break;
    }
    return at;
}
#undef U64
#undef U32
#undef BOOL
#undef BYTES
#undef MANY
#undef ATOMS

/* The number of the field that lists the atoms; 0: the kind has none. */
static unsigned atoms_number(unsigned kind)
{
    switch (kind) {
#define U64(n, m)
#define U32(n, m)
#define BOOL(n, m)
#define BYTES(n, m)
#define TERM(n, m)
#define MANY(n)
#define ATOMS(n) return n;
#define SIG(name, fields) case KIND_##name: fields break;
#include "wire/sig.tab"
#undef SIG
#undef U64
#undef U32
#undef BOOL
#undef BYTES
#undef TERM
#undef MANY
#undef ATOMS
    default:
        break;
    }
    return 0;
}

static size_t slots_len(const uint32_t *slots, unsigned n)
{
    size_t len = 0;

    for (unsigned i = 0; i < n; i++)
        len += varint_len(slots[i]);
    return len;
}

size_t sig_atoms_len(const uint32_t *slots, unsigned n)
{
    size_t len = slots_len(slots, n);

    return n == 0 ? 0 : 1 + varint_len(len) + len;
}

uint8_t *sig_write_atoms(unsigned kind, const uint32_t *slots, unsigned n, uint8_t *at)
{
    if (n == 0)
        return at;
    *at++ = (uint8_t)TAG(atoms_number(kind), WIRE_BYTES);
    at = varint_put(at, slots_len(slots, n));
    for (unsigned i = 0; i < n; i++)
        at = varint_put(at, slots[i]);
    return at;
}

void sig_write(const struct wire_sig *s, struct buf *out)
{
    size_t before = out->len;
    uint8_t *start = buf_room(out, 2 * room(s) + s->term.len + SIG_ATOMS_ROOM(s->n_atoms)), *at;

    at = sig_write_head(s, s->term.len, start);
    if (s->term.len != 0)
        memcpy(at, s->term.data, s->term.len);
    at = sig_write_atoms(s->kind, s->atoms, s->n_atoms, at + s->term.len);
    at = sig_write_tail(s, at);
    out->len = before + (size_t)(at - start);
}

/* --- frames in a record ---------------------------------------------------------------------- */

#define TAG_FRAMES TAG(1, WIRE_BYTES)       /* of Batch */
#define TAG_FLAGS  TAG(1, WIRE_VARINT)      /* of Frame */

int frame_view_read(const void *data, size_t len, struct frame_view *ret)
{
    struct reader in = reader_make(data, len);
    bool body = false;

    memset(ret, 0, sizeof *ret);
    while (!in.bad && in.at < in.end) {
        uint64_t tag = varint_short(&in);

        if (tag == TAG_FLAGS) {
            ret->flags = (uint32_t)varint_get(&in);
        } else if (!body && (tag & 7) == WIRE_BYTES && tag >> 3 >= 2 && tag >> 3 < UINT32_MAX >> 3) {
            ret->kind = (unsigned)(tag >> 3);
            ret->body = read_bytes(&in);
            body = true;
        } else {
            return -ERR_PROTOCOL;
        }
    }
    return in.bad || !body ? -ERR_PROTOCOL : 0;
}

int batch_next(struct reader *r, struct frame_view *ret)
{
    struct span all;

    if (r->at == r->end)
        return 0;
    if (*r->at++ != TAG_FRAMES)
        return -ERR_PROTOCOL;
    all = read_bytes(r);
    if (r->bad || frame_view_read(all.data, all.len, ret) < 0)
        return -ERR_PROTOCOL;
    return 1;
}

static size_t frame_len(unsigned kind, uint32_t flags, size_t len)
{
    return (flags != 0 ? 1 + varint_len(flags) : 0) + varint_len(TAG((uint64_t)kind, WIRE_BYTES)) +
           varint_len(len) + len;
}

size_t batch_head_len(unsigned kind, uint32_t flags, size_t len)
{
    size_t frame = frame_len(kind, flags, len);

    return 1 + varint_len(frame) + frame - len;
}

uint8_t *batch_write_head(unsigned kind, uint32_t flags, size_t len, uint8_t *at)
{
    *at++ = TAG_FRAMES;
    at = varint_put(at, frame_len(kind, flags, len));
    if (flags != 0) {
        *at++ = TAG_FLAGS;
        at = varint_put(at, flags);
    }
    at = varint_put(at, TAG((uint64_t)kind, WIRE_BYTES));
    return varint_put(at, len);
}
