/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record.c - member records, shared and checked once
 */
#include "cluster/record.h"
#include "base/alloc.h"
#include "base/assert.h"
#include "base/errors.h"

void record_pool_init(struct record_pool *p, void *arg,
                      bool (*verify)(void *, const struct member_body *, const uint8_t *, size_t,
                                     const uint8_t *))
{
    *p = (struct record_pool){ .verify = verify, .arg = arg };
}

void record_pool_fini(struct record_pool *p)
{
    IDMAP_EACH(&p->newest, s)
        record_unref(s->value);
    idmap_fini(&p->newest);
}

void record_pool_forget(struct record_pool *p, uint64_t nid)
{
    record_unref(idmap_take(&p->newest, nid));
}

struct record *record_ref(struct record *r)
{
    r->refs++;
    return r;
}

void record_unref(struct record *r)
{
    if (r == NULL)
        return;
    ASSERT(r->refs > 0);
    if (--r->refs == 0)
        mem_free(r);
}

static struct record *record_make(uint64_t nid, const struct member_body *b, const uint8_t *body,
                                  size_t len, const uint8_t *sig)
{
    size_t addrs = b->n_addrs * sizeof(b->addrs[0]);
    struct record *r = mem_alloc(sizeof(*r) + len + MEMBER_SIG_BYTES + addrs);

    *r = (struct record){
        .refs = 1, .body_len = (uint16_t)len, .name_len = (uint16_t)b->name_len,
        .creation = b->creation, .flags = b->flags, .nid = nid, .incarnation = b->incarnation,
        .left = b->state == MEMBER_STATE_LEFT, .features = b->features,
        .proto_min = (uint8_t)b->proto_min, .proto_max = (uint8_t)b->proto_max,
        .n_addrs = (uint8_t)b->n_addrs,
        .key_at = (uint16_t)(b->key - body), .boot_at = (uint16_t)(b->boot_id - body),
        .name_at = (uint16_t)((const uint8_t *)b->name - body),
        .addrs_at = (uint16_t)(len + MEMBER_SIG_BYTES),
    };
    memcpy(r->bytes, body, len);
    memcpy(r->bytes + len, sig, MEMBER_SIG_BYTES);
    memcpy(r->bytes + r->addrs_at, b->addrs, addrs);
    return r;
}

static bool same_bytes(const struct record *r, const uint8_t *body, size_t len, const uint8_t *sig)
{
    return r->body_len == len && memcmp(record_body(r), body, len) == 0
        && memcmp(record_sig(r), sig, MEMBER_SIG_BYTES) == 0;
}

int record_get(struct record_pool *p, uint64_t nid, const struct member_body *b,
               const uint8_t *body, size_t len, const uint8_t *sig, struct record **ret)
{
    struct record *r = idmap_get(&p->newest, nid);

    ASSERT(len <= MEMBER_BODY_MAX);
    if (r != NULL && same_bytes(r, body, len, sig)) {
        *ret = record_ref(r);
        return 0;
    }
    p->verified++;
    if (!p->verify(p->arg, b, body, len, sig))
        return -ERR_PERMISSION;
    *ret = record_make(nid, b, body, len, sig);
    if (r == NULL || b->incarnation >= r->incarnation) {
        record_unref(r);
        idmap_put(&p->newest, nid, record_ref(*ret));
    }
    return 0;
}

struct gossip_item record_item(const struct record *r)
{
    return (struct gossip_item){ .kind = GOSSIP_ALIVE, .node = r->nid, .incarnation = r->incarnation,
                                 .body = record_body(r), .body_len = r->body_len,
                                 .sig = record_sig(r) };
}
