/* SPDX-License-Identifier: Apache-2.0 */
/*
 * manifest.c - making and checking
 */
#include "ctl/manifest.h"

#include "auth/rights.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "dist/peer.h"
#include "dist/peer_ring.h"
#include "wire/unpack.h"

#include <string.h>

#define LABEL        "rn deploy 1"
#define ID_BYTES     16
#define SKEW_US      (300 * INT64_C(1000000))   /* as for bindings: clocks of a cluster differ */
#define TEXT_MAX     65536u
#define NAME_MAX_    255u

void manifest_fini(struct manifest *m)
{
    for (size_t i = 0; i < m->n; i++)
        mem_free((char *)(uintptr_t)m->modules[i].name);
    mem_free(m->modules);
    mem_free(m->user);
    mem_free(m->message);
    mem_free(m->target);
    *m = (struct manifest){ 0 };
}

const char *manifest_digest(const struct manifest *m, const char *module)
{
    for (size_t i = 0; i < m->n; i++) {
        if (strcmp(m->modules[i].name, module) == 0)
            return m->modules[i].digest;
    }
    return NULL;
}

/* --- making ----------------------------------------------------------------------------- */

static void sign(struct identity *by, const Rn__Manifest *m, struct buf *out)
{
    Rn__CodeOffer offer = RN__CODE_OFFER__INIT;
    uint8_t sig[SIGNATURE_BYTES];
    struct buf body = { 0 };

    wire_pack(&m->base, &body);
    identity_sign(by, LABEL, body.data, body.len, sig);
    offer.manifest = BYTES_OF(body.data, body.len);
    offer.sig = BYTES_OF(sig, sizeof sig);
    wire_pack(&offer.base, out);
    buf_fini(&body);
}

void manifest_make(struct identity *by, const struct manifest_module *modules, size_t n,
                   const char *user, const char *message, const char *target, struct buf *out)
{
    Rn__Manifest m = RN__MANIFEST__INIT;
    uint8_t cluster[RING_CLUSTER_BYTES] = { 0 }, id[ID_BYTES];
    uint8_t (*hashes)[DIGEST_BYTES] = mem_alloc((n + 1) * sizeof *hashes);
    Rn__ModuleRef *refs = MEM_NEW_ARRAY(Rn__ModuleRef, n + 1);
    Rn__ModuleRef **list = MEM_NEW_ARRAY(Rn__ModuleRef *, n + 1);

    if (ring_founded())
        ring_cluster_id(cluster);
    random_bytes(id, sizeof id);
    for (size_t i = 0; i < n; i++) {
        digest_from_text(modules[i].digest, hashes[i]);
        rn__module_ref__init(&refs[i]);
        refs[i].name = BYTES_OF(modules[i].name, strlen(modules[i].name));
        refs[i].hash = BYTES_OF(hashes[i], DIGEST_BYTES);
        list[i] = &refs[i];
    }
    m.cluster = BYTES_OF(cluster, sizeof cluster);
    m.id = BYTES_OF(id, sizeof id);
    m.modules = list;
    m.n_modules = n;
    m.target = BYTES_OF(target, strlen(target));
    m.by_user = BYTES_OF(user, strlen(user));
    m.by_key = BYTES_OF(identity_key(by), NODE_KEY_BYTES);
    m.made_at = (uint64_t)(clock_system_ns() / 1000);
    m.message = BYTES_OF(message, strlen(message));
    sign(by, &m, out);
    mem_free(hashes);
    mem_free(refs);
    mem_free(list);
}

/* --- checking --------------------------------------------------------------------------- */

/* A key may order deployments here: our own, or a member's with the right. */
static bool may_deploy(const uint8_t key[NODE_KEY_BYTES])
{
    struct ring_member m;

    return memcmp(key, peer_self.key, NODE_KEY_BYTES) == 0 ||
           (ring_lookup(key, &m) && ring_is_member(&m) &&
            (m.rights & (RIGHT_DEPLOY | RIGHT_OPERATE)) != 0);
}

/* Is this node, by its name or its label, in the list? */
static bool is_target(const ProtobufCBinaryData *list)
{
    size_t label = strcspn(peer_self.name, "@"), whole = strlen(peer_self.name), start = 0;

    for (size_t at = 0; at <= list->len; at++) {
        size_t n = at - start;

        if (at < list->len && list->data[at] != ',')
            continue;
        if ((n == whole || n == label) && memcmp(list->data + start, peer_self.name, n) == 0)
            return true;
        start = at + 1;
    }
    return false;
}

static bool well_formed(const Rn__Manifest *m)
{
    if (m->by_key.len != NODE_KEY_BYTES || m->cluster.len != RING_CLUSTER_BYTES ||
        m->n_modules == 0 || m->target.len > TEXT_MAX || m->by_user.len > TEXT_MAX ||
        m->message.len > TEXT_MAX || m->made_at > INT64_MAX)
        return false;
    for (size_t i = 0; i < m->n_modules; i++) {
        const Rn__ModuleRef *r = m->modules[i];

        if (r->name.len == 0 || r->name.len > NAME_MAX_ || r->hash.len != DIGEST_BYTES ||
            memchr(r->name.data, 0, r->name.len) != NULL)
            return false;
    }
    return true;
}

static const char *why_not(const Rn__Manifest *m, int64_t after_us)
{
    uint8_t cluster[RING_CLUSTER_BYTES] = { 0 };

    if (!may_deploy(m->by_key.data))
        return "the node that signed it may not deploy here";
    if (ring_founded())
        ring_cluster_id(cluster);
    if (memcmp(m->cluster.data, cluster, sizeof cluster) != 0)
        return "it is for another cluster";
    if (!is_target(&m->target))
        return "it is not for this node";
    if ((int64_t)m->made_at <= after_us)
        return "it is older than what this node runs";
    if ((int64_t)m->made_at > clock_system_ns() / 1000 + SKEW_US)
        return "it is of the future: the clocks of the nodes differ";
    return NULL;
}

static char *text_of(const ProtobufCBinaryData *b)
{
    return mem_printf("%.*s", (int)b->len, b->len != 0 ? (const char *)b->data : "");
}

static void copy_out(const Rn__Manifest *m, struct manifest *ret)
{
    *ret = (struct manifest){ .user = text_of(&m->by_user), .message = text_of(&m->message),
                              .target = text_of(&m->target), .made_at_us = (int64_t)m->made_at,
                              .n = m->n_modules };
    nid_letters(node_nid(m->by_key.data), ret->signer);
    ret->modules = MEM_NEW_ARRAY(struct manifest_module, ret->n);
    for (size_t i = 0; i < ret->n; i++) {
        ret->modules[i].name = text_of(&m->modules[i]->name);
        digest_to_text(m->modules[i]->hash.data, ret->modules[i].digest);
    }
}

const char *manifest_check(const void *data, size_t len, int64_t after_us, struct manifest *ret)
{
    struct wire_arena outer = { 0 }, inner = { 0 };
    const Rn__CodeOffer *offer = wire_unpack(&rn__code_offer__descriptor, data, len, &outer);
    const Rn__Manifest *m = NULL;
    const char *why = "it is damaged";

    if (offer != NULL && offer->sig.len == SIGNATURE_BYTES)
        m = wire_unpack(&rn__manifest__descriptor, offer->manifest.data, offer->manifest.len, &inner);
    if (m != NULL && well_formed(m) &&
        signature_ok(m->by_key.data, LABEL, offer->manifest.data, offer->manifest.len,
                     offer->sig.data))
        why = why_not(m, after_us);
    if (why == NULL)
        copy_out(m, ret);
    wire_arena_fini(&inner);
    wire_arena_fini(&outer);
    return why;
}
