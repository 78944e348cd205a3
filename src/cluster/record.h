/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record.h - what a node has signed about itself
 *
 * A record is made from bytes that were checked and never changes; views, queues and frames share
 * it by counted references. One thread: the cluster thread of a node.
 *
 * A pool remembers the newest record of each node, so that the bytes of one are kept and their
 * signature checked once, however often they arrive; the virtual network gives all its nodes one
 * pool. About 290 bytes a record with a name of 12 bytes and one address.
 */
#ifndef CLUSTER_RECORD_H
#define CLUSTER_RECORD_H

#include "cluster/gossip_wire.h"
#include "cluster/idmap.h"

struct record {
    uint32_t refs;
    uint16_t body_len, name_len;
    uint32_t creation, flags;
    uint64_t nid, incarnation;
    uint8_t left;                   /* signed when it was going away */
    uint8_t proto_min, proto_max, n_addrs;
    uint16_t key_at, boot_at, name_at, addrs_at;    /* offsets into bytes */
    uint64_t features;
    uint8_t bytes[];                /* body, signature, addresses as struct net_addr */
};

struct record_pool {
    struct idmap newest;            /* owns a reference each */
    /* b is what body says, nid the node of its key. Is the signature good? */
    bool (*verify)(void *arg, const struct member_body *b, const uint8_t *body, size_t len,
                   const uint8_t sig[MEMBER_SIG_BYTES]);
    void *arg;
    uint64_t verified;              /* signatures checked so far */
};

void record_pool_init(struct record_pool *p, void *arg,
                      bool (*verify)(void *, const struct member_body *, const uint8_t *, size_t,
                                     const uint8_t *));
void record_pool_fini(struct record_pool *p);
void record_pool_forget(struct record_pool *p, uint64_t nid);

/* The record with these bytes, one reference for the caller. b is what member_body_read said of
 * body. -ERR_PERMISSION: the signature is not that of b->key. */
MUST_CHECK int record_get(struct record_pool *p, uint64_t nid, const struct member_body *b,
                          const uint8_t *body, size_t len, const uint8_t *sig,
                          struct record **ret);

struct record *record_ref(struct record *r);
void record_unref(struct record *r);            /* NULL is fine */

ALWAYS_INLINE const uint8_t *record_body(const struct record *r) { return r->bytes; }
ALWAYS_INLINE const uint8_t *record_sig(const struct record *r) { return r->bytes + r->body_len; }
ALWAYS_INLINE const uint8_t *record_key(const struct record *r) { return r->bytes + r->key_at; }
ALWAYS_INLINE const uint8_t *record_boot(const struct record *r) { return r->bytes + r->boot_at; }
/* name_len bytes, no NUL */
ALWAYS_INLINE const char *record_name(const struct record *r)
{
    return (const char *)r->bytes + r->name_at;
}

ALWAYS_INLINE struct net_addr record_addr(const struct record *r, unsigned i)
{
    struct net_addr a;

    memcpy(&a, r->bytes + r->addrs_at + (i % r->n_addrs) * sizeof(a), sizeof(a));
    return a;
}

/* The item that spreads r. Lends its bytes. */
struct gossip_item record_item(const struct record *r);

#endif
