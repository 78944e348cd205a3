/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gossip_wire.c - protobuf by hand for gossip
 *
 * Writers put fields in the order of their numbers and leave out zeros, as protobuf-c does, so
 * that the bytes are the same. Readers walk fields with pb_next, which has checked every length
 * before it lends bytes.
 */
#include "cluster/gossip_wire.h"
#include "base/assert.h"
#include "base/errors.h"

enum { PB_VARINT = 0, PB_FIXED64 = 1, PB_BYTES = 2, PB_FIXED32 = 5 };

/* --- writing ---------------------------------------------------------------------------------- */

/* Bytes into room that is known to suffice; NULL counts only. */
struct pen {
    uint8_t *at;
    size_t len;
};

static void pen_byte(struct pen *p, uint8_t b)
{
    if (p->at != NULL)
        p->at[p->len] = b;
    p->len++;
}

static void pen_raw(struct pen *p, const void *data, size_t len)
{
    if (p->at != NULL && len != 0)
        memcpy(p->at + p->len, data, len);
    p->len += len;
}

static void pen_varint(struct pen *p, uint64_t v)
{
    for (; v >= 128; v >>= 7)
        pen_byte(p, (uint8_t)(v | 128));
    pen_byte(p, (uint8_t)v);
}

static void put_uint(struct pen *p, unsigned field, uint64_t v)
{
    if (v == 0)
        return;
    pen_varint(p, field << 3 | PB_VARINT);
    pen_varint(p, v);
}

static void pen_fixed64(struct pen *p, uint64_t v)
{
    for (int i = 0; i < 8; i++, v >>= 8)
        pen_byte(p, (uint8_t)v);
}

static void put_fixed64(struct pen *p, unsigned field, uint64_t v)
{
    if (v == 0)
        return;
    pen_varint(p, field << 3 | PB_FIXED64);
    pen_fixed64(p, v);
}

/* An element of a repeated field: written even when it is empty. */
static void put_element(struct pen *p, unsigned field, const void *data, size_t len)
{
    pen_varint(p, field << 3 | PB_BYTES);
    pen_varint(p, len);
    pen_raw(p, data, len);
}

static void put_bytes(struct pen *p, unsigned field, const void *data, size_t len)
{
    if (len != 0)
        put_element(p, field, data, len);
}

static void put_addr(struct pen *p, unsigned field, const struct net_addr *a)
{
    uint8_t packed[NET_ADDR_BYTES];

    net_addr_pack(a, packed);
    put_element(p, field, packed, sizeof(packed));
}

static void write_vital(struct pen *p, const struct vital *v)
{
    put_fixed64(p, 1, v->digest);
    put_uint(p, 2, v->load);
    put_uint(p, 3, v->health);
    put_uint(p, 4, v->ring_version);
    put_uint(p, 5, v->name_index);
    put_uint(p, 6, v->code_epoch);
    put_uint(p, 7, v->epoch);
}

static void put_vital(struct pen *p, unsigned field, const struct vital *v)
{
    struct pen count = { 0 };

    write_vital(&count, v);
    pen_varint(p, field << 3 | PB_BYTES);
    pen_varint(p, count.len);
    write_vital(p, v);
}

/* The message inside the oneof. */
static void write_item(struct pen *p, const struct gossip_item *it)
{
    switch (it->kind) {
    case GOSSIP_PING:
        put_fixed64(p, 1, it->nonce);
        put_fixed64(p, 2, it->from);
        put_fixed64(p, 3, it->node);
        put_vital(p, 4, &it->vital);
        break;
    case GOSSIP_ACK:
        put_fixed64(p, 1, it->nonce);
        put_fixed64(p, 2, it->from);
        put_vital(p, 3, &it->vital);
        break;
    case GOSSIP_PING_REQ:
    case GOSSIP_NACK:
        put_fixed64(p, 1, it->nonce);
        put_fixed64(p, 2, it->from);
        put_fixed64(p, 3, it->node);
        if (it->kind == GOSSIP_PING_REQ && it->addr.port != 0)
            put_addr(p, 4, &it->addr);
        break;
    case GOSSIP_ALIVE:
        put_bytes(p, 1, it->body, it->body_len);
        put_bytes(p, 2, it->sig, MEMBER_SIG_BYTES);
        break;
    case GOSSIP_NOTE:
        put_fixed64(p, 1, it->node);
        put_uint(p, 2, it->incarnation);
        put_bytes(p, 3, it->body, it->body_len);
        put_bytes(p, 4, it->sig, MEMBER_SIG_BYTES);
        break;
    case GOSSIP_SUSPECT:
    case GOSSIP_DEAD:
    case GOSSIP_ASK:
        put_fixed64(p, 1, it->node);
        put_uint(p, 2, it->incarnation);
        put_fixed64(p, 3, it->by);
        break;
    case GOSSIP_KINDS:
        UNREACHABLE();
    }
}

static size_t varint_bytes(uint64_t v)
{
    size_t n = 1;

    for (; v >= 128; v >>= 7)
        n++;
    return n;
}

static size_t inner_bytes(const struct gossip_item *it)
{
    struct pen count = { 0 };

    write_item(&count, it);
    return count.len;
}

size_t gossip_item_bytes(const struct gossip_item *it)
{
    size_t inner = inner_bytes(it), outer = 1 + varint_bytes(inner) + inner;

    return 1 + varint_bytes(outer) + outer;
}

void gossip_packet_init(struct gossip_packet *p, size_t max)
{
    ASSERT(max <= GOSSIP_PLAIN_MAX);
    p->len = 0;
    p->max = max;
}

bool gossip_put(struct gossip_packet *p, const struct gossip_item *it)
{
    size_t inner = inner_bytes(it), outer = 1 + varint_bytes(inner) + inner;
    size_t all = 1 + varint_bytes(outer) + outer;
    struct pen pen = { p->data + p->len, 0 };

    if (all > p->max - p->len)
        return false;
    pen_varint(&pen, 1 << 3 | PB_BYTES);
    pen_varint(&pen, outer);
    pen_varint(&pen, (unsigned)it->kind << 3 | PB_BYTES);
    pen_varint(&pen, inner);
    write_item(&pen, it);
    ASSERT(pen.len == all);
    p->len += all;
    return true;
}

/* --- reading ---------------------------------------------------------------------------------- */

struct field {
    unsigned number, type;
    uint64_t v;                     /* VARINT, FIXED64, FIXED32 */
    const uint8_t *data;            /* BYTES */
    size_t len;
};

static uint64_t read_varint(struct reader *r)
{
    uint64_t v = 0;

    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t b = reader_u8(r);

        if (shift == 63 && b > 1)
            r->bad = true;
        v |= (uint64_t)(b & 127) << shift;
        if (b < 128)
            return v;
    }
    r->bad = true;
    return 0;
}

static uint64_t read_le(struct reader *r, size_t bytes)
{
    const uint8_t *p = reader_take(r, bytes);
    uint64_t v = 0;

    for (size_t i = bytes; p != NULL && i-- > 0;)
        v = v << 8 | p[i];
    return v;
}

/* The next field: true. False at the end, and with r->bad on malformed bytes. */
static bool pb_next(struct reader *r, struct field *f)
{
    uint64_t tag, len;

    if (r->bad || reader_left(r) == 0)
        return false;
    tag = read_varint(r);
    if (tag >> 3 == 0 || tag >> 3 >= 1u << 29)
        r->bad = true;
    *f = (struct field){ .number = (unsigned)(tag >> 3), .type = tag & 7 };
    switch (f->type) {
    case PB_VARINT:
        f->v = read_varint(r);
        break;
    case PB_FIXED64:
        f->v = read_le(r, 8);
        break;
    case PB_FIXED32:
        f->v = read_le(r, 4);
        break;
    case PB_BYTES:
        len = read_varint(r);
        if (len > reader_left(r))
            r->bad = true;
        else
            f->data = reader_take(r, f->len = (size_t)len);
        break;
    default:
        r->bad = true;
    }
    return !r->bad;
}

/* Field n of the given type; a known number of another type is malformed. */
static bool is(struct reader *r, const struct field *f, unsigned number, unsigned type)
{
    if (f->number != number)
        return false;
    if (f->type != type)
        r->bad = true;
    return !r->bad;
}

static bool read_vital(const uint8_t *data, size_t len, struct vital *v)
{
    struct reader r = reader_make(data, len);
    struct field f;

    *v = (struct vital){ 0 };
    while (pb_next(&r, &f)) {
        if (is(&r, &f, 1, PB_FIXED64))
            v->digest = f.v;
        else if (is(&r, &f, 2, PB_VARINT))
            v->load = (uint32_t)f.v;
        else if (is(&r, &f, 3, PB_VARINT))
            v->health = (uint32_t)f.v;
        else if (is(&r, &f, 4, PB_VARINT))
            v->ring_version = f.v;
        else if (is(&r, &f, 5, PB_VARINT))
            v->name_index = f.v;
        else if (is(&r, &f, 6, PB_VARINT))
            v->code_epoch = f.v;
        else if (is(&r, &f, 7, PB_VARINT))
            v->epoch = (uint32_t)f.v;
    }
    return !r.bad;
}

/* PING, ACK, PING_REQ, NACK */
static void read_probe(struct reader *r, struct gossip_item *it)
{
    unsigned vital_field = it->kind == GOSSIP_PING ? 4 : it->kind == GOSSIP_ACK ? 3 : 0;
    struct field f;

    while (pb_next(r, &f)) {
        if (is(r, &f, 1, PB_FIXED64)) {
            it->nonce = f.v;
        } else if (is(r, &f, 2, PB_FIXED64)) {
            it->from = f.v;
        } else if (f.number == vital_field && is(r, &f, vital_field, PB_BYTES)) {
            r->bad |= !read_vital(f.data, f.len, &it->vital);
        } else if (it->kind != GOSSIP_ACK && is(r, &f, 3, PB_FIXED64)) {
            it->node = f.v;
        } else if (it->kind == GOSSIP_PING_REQ && is(r, &f, 4, PB_BYTES)) {
            if (f.len != 0)
                r->bad |= !net_addr_unpack(f.data, f.len, &it->addr);
        }
    }
}

/* SUSPECT, DEAD, ASK */
static void read_rumour(struct reader *r, struct gossip_item *it)
{
    struct field f;

    while (pb_next(r, &f)) {
        if (is(r, &f, 1, PB_FIXED64))
            it->node = f.v;
        else if (is(r, &f, 2, PB_VARINT))
            it->incarnation = f.v;
        else if (is(r, &f, 3, PB_FIXED64))
            it->by = f.v;
    }
}

static bool take_sig(struct reader *r, const struct field *f, struct gossip_item *it)
{
    if (f->len != MEMBER_SIG_BYTES)
        r->bad = true;
    it->sig = f->data;
    return !r->bad;
}

static void read_alive(struct reader *r, struct gossip_item *it)
{
    struct field f;

    while (pb_next(r, &f)) {
        if (is(r, &f, 1, PB_BYTES)) {
            it->body = f.data;
            it->body_len = f.len;
        } else if (is(r, &f, 2, PB_BYTES)) {
            take_sig(r, &f, it);
        }
    }
    r->bad |= it->sig == NULL || it->body_len == 0 || it->body_len > MEMBER_BODY_MAX;
}

static void read_note(struct reader *r, struct gossip_item *it)
{
    struct field f;

    while (pb_next(r, &f)) {
        if (is(r, &f, 1, PB_FIXED64)) {
            it->node = f.v;
        } else if (is(r, &f, 2, PB_VARINT)) {
            it->incarnation = f.v;
        } else if (is(r, &f, 3, PB_BYTES)) {
            it->body = f.data;
            it->body_len = f.len;
        } else if (is(r, &f, 4, PB_BYTES)) {
            take_sig(r, &f, it);
        }
    }
    r->bad |= it->sig == NULL || it->body_len > MEMBER_META_MAX;
}

static bool read_item(const uint8_t *data, size_t len, struct gossip_item *it)
{
    struct reader r = reader_make(data, len);

    switch (it->kind) {
    case GOSSIP_PING:
    case GOSSIP_ACK:
    case GOSSIP_PING_REQ:
    case GOSSIP_NACK:
        read_probe(&r, it);
        break;
    case GOSSIP_SUSPECT:
    case GOSSIP_DEAD:
    case GOSSIP_ASK:
        read_rumour(&r, it);
        break;
    case GOSSIP_ALIVE:
        read_alive(&r, it);
        break;
    case GOSSIP_NOTE:
        read_note(&r, it);
        break;
    case GOSSIP_KINDS:
        UNREACHABLE();
    }
    return !r.bad;
}

/* A GossipItem: 1, 0 when it is of no known kind, -ERR_PROTOCOL. */
static int read_one_of(const uint8_t *data, size_t len, struct gossip_item *it)
{
    struct reader r = reader_make(data, len);
    struct field f;
    int found = 0;

    while (pb_next(&r, &f)) {
        if (f.number >= GOSSIP_KINDS)
            continue;
        if (f.type != PB_BYTES)
            return -ERR_PROTOCOL;
        *it = (struct gossip_item){ .kind = (enum gossip_kind)f.number };
        if (!read_item(f.data, f.len, it))
            return -ERR_PROTOCOL;
        found = 1;
    }
    return r.bad ? -ERR_PROTOCOL : found;
}

int gossip_next(struct reader *r, struct gossip_item *ret_item)
{
    struct field f;

    while (pb_next(r, &f)) {
        int rc;

        if (!is(r, &f, 1, PB_BYTES))
            continue;
        rc = read_one_of(f.data, f.len, ret_item);
        if (rc != 0)
            return rc;
    }
    return r->bad ? -ERR_PROTOCOL : 0;
}

/* --- MemberBody ------------------------------------------------------------------------------- */

static void write_body(struct pen *p, const struct member_body *b)
{
    put_bytes(p, 1, b->key, MEMBER_KEY_BYTES);
    put_uint(p, 2, b->incarnation);
    put_uint(p, 3, b->creation);
    put_bytes(p, 4, b->boot_id, MEMBER_BOOT_BYTES);
    put_bytes(p, 5, b->name, b->name_len);
    for (unsigned i = 0; i < b->n_addrs; i++)
        put_addr(p, 6, &b->addrs[i]);
    put_uint(p, 7, b->state);
    put_uint(p, 8, b->proto_min);
    put_uint(p, 9, b->proto_max);
    put_fixed64(p, 10, b->features);
    put_uint(p, 13, b->flags);
}

void member_body_write(struct buf *out, const struct member_body *b)
{
    struct pen pen = { 0 };
    uint8_t *at;

    write_body(&pen, b);
    at = buf_room(out, pen.len);
    pen = (struct pen){ at, 0 };
    write_body(&pen, b);
}

static void body_bytes(struct reader *r, const struct field *f, struct member_body *b)
{
    if (is(r, f, 1, PB_BYTES)) {
        r->bad |= f->len != MEMBER_KEY_BYTES;
        b->key = f->data;
    } else if (is(r, f, 4, PB_BYTES)) {
        r->bad |= f->len != MEMBER_BOOT_BYTES;
        b->boot_id = f->data;
    } else if (is(r, f, 5, PB_BYTES)) {
        r->bad |= f->len > MEMBER_NAME_MAX || f->len == 0;
        b->name = (const char *)f->data;
        b->name_len = f->len;
    } else if (is(r, f, 6, PB_BYTES)) {
        r->bad |= b->n_addrs == MEMBER_ADDRS_MAX
            || !net_addr_unpack(f->data, f->len, &b->addrs[b->n_addrs]);
        b->n_addrs += !r->bad;
    }
}

int member_body_read(const uint8_t *data, size_t len, struct member_body *ret)
{
    struct reader r = reader_make(data, len);
    struct member_body b = { 0 };
    struct field f;

    if (len > MEMBER_BODY_MAX)
        return -ERR_LIMIT;
    while (pb_next(&r, &f)) {
        if (f.type == PB_BYTES)
            body_bytes(&r, &f, &b);
        else if (is(&r, &f, 2, PB_VARINT))
            b.incarnation = f.v;
        else if (is(&r, &f, 3, PB_VARINT))
            b.creation = (uint32_t)f.v;
        else if (is(&r, &f, 7, PB_VARINT))
            b.state = (uint32_t)f.v;
        else if (is(&r, &f, 8, PB_VARINT))
            b.proto_min = (uint32_t)f.v;
        else if (is(&r, &f, 9, PB_VARINT))
            b.proto_max = (uint32_t)f.v;
        else if (is(&r, &f, 10, PB_FIXED64))
            b.features = f.v;
        else if (is(&r, &f, 13, PB_VARINT))
            b.flags = (uint32_t)f.v;
    }
    /* The creation is the upper half of every incarnation: nobody runs ahead of its own boots. */
    if (r.bad || b.key == NULL || b.boot_id == NULL || b.name == NULL || b.n_addrs == 0
        || b.incarnation >> 32 != b.creation || b.state > MEMBER_STATE_LEFT)
        return -ERR_PROTOCOL;
    *ret = b;
    return 0;
}

/* --- PushPull --------------------------------------------------------------------------------- */

static void write_head(struct pen *p, const struct pushpull *pp)
{
    put_uint(p, 1, pp->step);
    if (pp->has_digests) {
        pen_varint(p, 4 << 3 | PB_BYTES);
        pen_varint(p, GOSSIP_BUCKETS * 8);
        for (unsigned i = 0; i < GOSSIP_BUCKETS; i++)
            pen_fixed64(p, pp->digests[i]);
    }
    put_uint(p, 5, pp->more);
    put_uint(p, 6, pp->merging);
}

void pushpull_write_head(struct buf *out, const struct pushpull *pp)
{
    struct pen pen = { 0 };
    uint8_t *at;

    write_head(&pen, pp);
    at = buf_room(out, pen.len);
    pen = (struct pen){ at, 0 };
    write_head(&pen, pp);
}

/* Field of PushPull for an item. */
static unsigned pushpull_field(enum gossip_kind kind)
{
    return kind == GOSSIP_ALIVE ? 2 : kind == GOSSIP_DEAD ? 3 : 7;
}

void pushpull_write_item(struct buf *out, const struct gossip_item *it)
{
    size_t inner = inner_bytes(it);
    struct pen pen = { 0 };
    unsigned field = pushpull_field(it->kind);

    ASSERT(it->kind == GOSSIP_ALIVE || it->kind == GOSSIP_DEAD || it->kind == GOSSIP_NOTE);
    pen.at = buf_room(out, 1 + varint_bytes(inner) + inner);
    pen_varint(&pen, field << 3 | PB_BYTES);
    pen_varint(&pen, inner);
    write_item(&pen, it);
}

static bool pushpull_item(const struct field *f, struct gossip_item *it)
{
    *it = (struct gossip_item){ .kind = f->number == 2 ? GOSSIP_ALIVE
                                : f->number == 3 ? GOSSIP_DEAD : GOSSIP_NOTE };
    return read_item(f->data, f->len, it);
}

static bool is_item(const struct field *f)
{
    return f->number == 2 || f->number == 3 || f->number == 7;
}

int pushpull_read(const uint8_t *data, size_t len, struct pushpull *ret)
{
    struct reader r = reader_make(data, len);
    struct gossip_item it;
    struct field f;

    *ret = (struct pushpull){ .items = r };
    while (pb_next(&r, &f)) {
        if (is(&r, &f, 1, PB_VARINT)) {
            ret->step = (uint32_t)f.v;
        } else if (is(&r, &f, 4, PB_BYTES)) {
            struct reader d = reader_make(f.data, f.len);

            r.bad |= f.len != sizeof(ret->digests);
            for (unsigned i = 0; i < GOSSIP_BUCKETS && !r.bad; i++)
                ret->digests[i] = read_le(&d, 8);
            ret->has_digests = true;
        } else if (is(&r, &f, 5, PB_VARINT)) {
            ret->more = f.v != 0;
        } else if (is(&r, &f, 6, PB_VARINT)) {
            ret->merging = f.v != 0;
        } else if (is_item(&f)) {
            r.bad |= f.type != PB_BYTES || !pushpull_item(&f, &it);
        }
    }
    return r.bad || ret->step < PUSHPULL_ASK || ret->step > PUSHPULL_CLOSE ? -ERR_PROTOCOL : 0;
}

bool pushpull_next(struct pushpull *p, struct gossip_item *ret_item)
{
    struct field f;

    while (pb_next(&p->items, &f))
        if (is_item(&f) && f.type == PB_BYTES)
            return pushpull_item(&f, ret_item);
    return false;
}

/* --- indirect pings over sessions ------------------------------------------------------------- */

void indirect_write(struct buf *out, bool pong, uint64_t nonce, uint64_t target_or_ok)
{
    uint8_t bytes[32];
    struct pen pen = { bytes, 0 };

    put_fixed64(&pen, 1, nonce);
    if (pong)
        put_uint(&pen, 2, target_or_ok != 0);
    else
        put_fixed64(&pen, 2, target_or_ok);
    buf_add(out, bytes, pen.len);
}

int indirect_read(const uint8_t *data, size_t len, bool pong, uint64_t *ret_nonce,
                  uint64_t *ret_target_or_ok)
{
    struct reader r = reader_make(data, len);
    uint64_t nonce = 0, second = 0;
    struct field f;

    while (pb_next(&r, &f))
        if (is(&r, &f, 1, PB_FIXED64))
            nonce = f.v;
        else if (is(&r, &f, 2, pong ? PB_VARINT : PB_FIXED64))
            second = f.v;
    if (r.bad)
        return -ERR_PROTOCOL;
    *ret_nonce = nonce;
    *ret_target_or_ok = second;
    return 0;
}
