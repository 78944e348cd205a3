/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unpack.c - an allocator with a cap for protobuf-c, and limits.tab by reflection
 */
#include "wire/unpack.h"

#include "base/alloc.h"

/* --- arena ----------------------------------------------------------------------------------- */

struct wire_chunk {
    struct wire_chunk *next;
    size_t cap, len;
    max_align_t data[];
};

#define CHUNK_BYTES 4000u

void wire_arena_fini(struct wire_arena *a)
{
    while (a->chunks != NULL) {
        struct wire_chunk *c = a->chunks;

        a->chunks = c->next;
        mem_free(c);
    }
    a->left = a->used = 0;
}

static void *arena_alloc(void *arg, size_t bytes)
{
    struct wire_arena *a = arg;
    struct wire_chunk *c = a->chunks;
    void *p;

    if (bytes > a->left)
        return NULL;
    bytes = (bytes + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
    if (c == NULL || bytes > c->cap - c->len) {
        size_t cap = bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES;

        c = mem_alloc(sizeof *c + cap);
        c->next = a->chunks;
        c->cap = cap;
        c->len = 0;
        a->chunks = c;
    }
    p = (uint8_t *)c->data + c->len;
    c->len += bytes;
    a->left -= bytes < a->left ? bytes : a->left;
    a->used += bytes;
    return p;
}

static void arena_free(void *arg, void *p)
{
    /* With the arena. */
}

/* --- limits ---------------------------------------------------------------------------------- */

static size_t limit_of(const ProtobufCMessageDescriptor *type, const ProtobufCFieldDescriptor *f)
{
#define LIMIT(message, field, most) \
    if (type == &rn__##message##__descriptor && strcmp(f->name, #field) == 0) return most;
#include "wire/limits.tab"
#undef LIMIT
    return 0;
}

static bool within_limits(const ProtobufCMessage *m);

static bool field_ok(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
    const uint8_t *base = (const uint8_t *)m;
    size_t n;

    if (f->label == PROTOBUF_C_LABEL_REPEATED) {
        memcpy(&n, base + f->quantifier_offset, sizeof n);
        if (n > limit_of(m->descriptor, f))
            return false;
        if (f->type == PROTOBUF_C_TYPE_MESSAGE && n > 0) {
            const ProtobufCMessage *const *subs;

            memcpy(&subs, base + f->offset, sizeof subs);
            for (size_t i = 0; i < n; i++) {
                if (!within_limits(subs[i]))
                    return false;
            }
        }
    } else if (f->type == PROTOBUF_C_TYPE_MESSAGE) {
        const ProtobufCMessage *sub;
        uint32_t which;

        if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
            memcpy(&which, base + f->quantifier_offset, sizeof which);
            if (which != f->id)
                return true;
        }
        memcpy(&sub, base + f->offset, sizeof sub);
        return sub == NULL || within_limits(sub);
    }
    return true;
}

static bool within_limits(const ProtobufCMessage *m)
{
    if (m->n_unknown_fields > SIG_UNKNOWN_MAX)
        return false;
    for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
        if (!field_ok(m, &m->descriptor->fields[i]))
            return false;
    }
    return true;
}

/* --- messages -------------------------------------------------------------------------------- */

const void *wire_unpack(const ProtobufCMessageDescriptor *type, const void *data, size_t len,
                        struct wire_arena *a)
{
    ProtobufCAllocator alloc = { arena_alloc, arena_free, a };
    const ProtobufCMessage *m;

    wire_arena_fini(a);
    if (len > WIRE_UNPACK_MAX)
        return NULL;
    a->left = 8 * len + 4096 < WIRE_UNPACK_MAX ? 8 * len + 4096 : WIRE_UNPACK_MAX;
    m = protobuf_c_message_unpack(type, &alloc, len, data);
    return m != NULL && within_limits(m) ? m : NULL;
}

const ProtobufCMessageDescriptor *wire_type(unsigned kind)
{
    switch (kind) {
#define FRAME(number, name, Type, lane, rights, summary) \
    case number: return &rn__##name##__descriptor;
#include "wire/frames.tab"
#undef FRAME
    default:
        return NULL;
    }
}

const char *wire_kind_name(unsigned kind)
{
    switch (kind) {
#define FRAME(number, name, Type, lane, rights, summary) case number: return #name;
#include "wire/frames.tab"
#undef FRAME
    default:
        return "?";
    }
}

enum lane wire_kind_lane(unsigned kind)
{
    switch (kind) {
#define FRAME(number, name, Type, lane, rights, summary) case number: return LANE_##lane;
#include "wire/frames.tab"
#undef FRAME
    default:
        return LANE_BULK;
    }
}

void wire_pack(const ProtobufCMessage *m, struct buf *out)
{
    size_t n = protobuf_c_message_get_packed_size(m);

    if (n > 0)
        protobuf_c_message_pack(m, buf_room(out, n));
}
