/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sig_diff.h - the same frame through sig.c and through protobuf-c, for the unit test and the fuzzer
 *
 * The generated structs are reached by field number, so that sig.tab is checked against the schema
 * and not against itself.
 */
#ifndef TESTS_SIG_DIFF_H
#define TESTS_SIG_DIFF_H

#include "base/assert.h"
#include "wire/sig.h"
#include "wire/unpack.h"

#include <stdlib.h>

static inline const ProtobufCFieldDescriptor *diff_field(const ProtobufCMessage *m, unsigned number)
{
    const ProtobufCFieldDescriptor *f =
        protobuf_c_message_descriptor_get_field(m->descriptor, number);

    ASSERT(f != NULL);
    return f;
}

static inline void diff_set_number(ProtobufCMessage *m, unsigned number, uint64_t v)
{
    const ProtobufCFieldDescriptor *f = diff_field(m, number);
    uint32_t v32 = (uint32_t)v;
    protobuf_c_boolean b = v != 0;

    if (f->type == PROTOBUF_C_TYPE_UINT64)
        memcpy((uint8_t *)m + f->offset, &v, sizeof v);
    else if (f->type == PROTOBUF_C_TYPE_UINT32)
        memcpy((uint8_t *)m + f->offset, &v32, sizeof v32);
    else if (f->type == PROTOBUF_C_TYPE_BOOL)
        memcpy((uint8_t *)m + f->offset, &b, sizeof b);
    else
        ASSERT(!"a number");
}

static inline uint64_t diff_get_number(const ProtobufCMessage *m, unsigned number)
{
    const ProtobufCFieldDescriptor *f = diff_field(m, number);
    uint32_t v32;
    uint64_t v;
    protobuf_c_boolean b;

    switch (f->type) {
    case PROTOBUF_C_TYPE_UINT64:
        memcpy(&v, (const uint8_t *)m + f->offset, sizeof v);
        return v;
    case PROTOBUF_C_TYPE_UINT32:
        memcpy(&v32, (const uint8_t *)m + f->offset, sizeof v32);
        return v32;
    default:
        ASSERT(f->type == PROTOBUF_C_TYPE_BOOL);
        memcpy(&b, (const uint8_t *)m + f->offset, sizeof b);
        return b != 0;
    }
}

static inline void diff_set_bytes(ProtobufCMessage *m, unsigned number, const struct span *s)
{
    const ProtobufCFieldDescriptor *f = diff_field(m, number);
    ProtobufCBinaryData b = BYTES_OF(s->data, s->len);

    ASSERT(f->type == PROTOBUF_C_TYPE_BYTES);
    memcpy((uint8_t *)m + f->offset, &b, sizeof b);
}

static inline bool diff_same_bytes(const ProtobufCMessage *m, unsigned number, const struct span *s)
{
    const ProtobufCFieldDescriptor *f = diff_field(m, number);
    ProtobufCBinaryData b;

    memcpy(&b, (const uint8_t *)m + f->offset, sizeof b);
    return b.len == s->len && (b.len == 0 || memcmp(b.data, s->data, b.len) == 0);
}

static inline void diff_set_many(ProtobufCMessage *m, unsigned number, const void *p, size_t n)
{
    const ProtobufCFieldDescriptor *f = diff_field(m, number);

    ASSERT(f->label == PROTOBUF_C_LABEL_REPEATED);
    memcpy((uint8_t *)m + f->quantifier_offset, &n, sizeof n);
    memcpy((uint8_t *)m + f->offset, &p, sizeof p);
}

static inline bool diff_same_many(const ProtobufCMessage *m, unsigned number, const void *p,
                                  size_t n, size_t size)
{
    const ProtobufCFieldDescriptor *f = diff_field(m, number);
    const void *q;
    size_t k;

    memcpy(&k, (const uint8_t *)m + f->quantifier_offset, sizeof k);
    memcpy(&q, (const uint8_t *)m + f->offset, sizeof q);
    return k == n && (n == 0 || memcmp(p, q, n * size) == 0);
}

/* A message of protobuf-c with the fields of s, which it borrows; free() it. */
static inline ProtobufCMessage *diff_message(const struct wire_sig *s)
{
    const ProtobufCMessageDescriptor *d = wire_type(s->kind);
    ProtobufCMessage *m = malloc(d->sizeof_message);

    d->message_init(m);
    switch (s->kind) {
#define U64(n, f)   diff_set_number(m, n, s->f);
#define U32(n, f)   diff_set_number(m, n, s->f);
#define BOOL(n, f)  diff_set_number(m, n, s->f);
#define BYTES(n, f) diff_set_bytes(m, n, &s->f);
#define TERM(n, f)  diff_set_bytes(m, n, &s->f);
#define ATOMS(n)    diff_set_many(m, n, s->atoms, s->n_atoms);
#define MANY(n)     diff_set_many(m, n, s->receivers, s->n_receivers);
#define SIG(name, fields) case KIND_##name: fields break;
#include "wire/sig.tab"
#undef SIG
#undef U64
#undef U32
#undef BOOL
#undef BYTES
#undef TERM
#undef ATOMS
#undef MANY
    default:
        ASSERT(!"a kind of sig.tab");
    }
    return m;
}

/* Does m say what s says? */
static inline bool diff_same(const ProtobufCMessage *m, const struct wire_sig *s)
{
    bool same = true;

    switch (s->kind) {
#define U64(n, f)   same = same && diff_get_number(m, n) == s->f;
#define U32(n, f)   same = same && diff_get_number(m, n) == s->f;
#define BOOL(n, f)  same = same && diff_get_number(m, n) == s->f;
#define BYTES(n, f) same = same && diff_same_bytes(m, n, &s->f);
#define TERM(n, f)  same = same && diff_same_bytes(m, n, &s->f);
#define ATOMS(n)    same = same && diff_same_many(m, n, s->atoms, s->n_atoms, 4);
#define MANY(n)     same = same && diff_same_many(m, n, s->receivers, s->n_receivers, 8);
#define SIG(name, fields) case KIND_##name: fields break;
#include "wire/sig.tab"
#undef SIG
#undef U64
#undef U32
#undef BOOL
#undef BYTES
#undef TERM
#undef ATOMS
#undef MANY
    default:
        same = false;
    }
    return same;
}

#endif
