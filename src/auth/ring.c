/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring.c - which keys are members, worked out anew whenever an entry comes
 *
 * Entries are kept sorted by (serial, hash), so that every walk has the same order on every node.
 * Members are worked out in rounds: the founder first, then whoever an active key admitted, and so
 * on, RING_CHAIN_MAX rounds; after each revocation that counts, from the beginning. Rings have tens
 * to thousands of entries and change rarely; a pass costs a lookup for each signature.
 */
#include "auth/ring.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/errors.h"

struct known {
    struct ring_member m;
    const struct ring_entry *grant;         /* what its rights come from, or NULL */
    uint64_t name_serial;
    bool active;                            /* in this pass */
    struct known *next;                     /* of its bucket */
};

#define BUCKETS 512u

struct ring {
    struct ring_entry **entries;            /* sorted by (serial, hash) */
    size_t n_entries, cap;
    uint8_t cluster[RING_CLUSTER_BYTES];
    uint8_t founder[NODE_KEY_BYTES];
    uint64_t digest;
    struct known **all;
    size_t n_all;
    struct known *bucket[BUCKETS];
};

struct ring *ring_new(void)
{
    return MEM_NEW(struct ring);
}

static void forget_members(struct ring *r)
{
    for (size_t i = 0; i < r->n_all; i++)
        mem_free(r->all[i]);
    mem_free(r->all);
    r->all = NULL;
    r->n_all = 0;
    memset(r->bucket, 0, sizeof r->bucket);
}

void ring_free(struct ring *r)
{
    if (r == NULL)
        return;
    forget_members(r);
    for (size_t i = 0; i < r->n_entries; i++) {
        mem_free(r->entries[i]->bytes);
        mem_free(r->entries[i]);
    }
    mem_free(r->entries);
    mem_free(r);
}

/* --- keys ------------------------------------------------------------------------------------------ */

static struct known *find_key(const struct ring *r, const uint8_t key[NODE_KEY_BYTES])
{
    struct known *k = r->bucket[(key[0] | key[1] << 8) % BUCKETS];

    while (k != NULL && memcmp(k->m.key, key, NODE_KEY_BYTES) != 0)
        k = k->next;
    return k;
}

static struct known *key_of(struct ring *r, const uint8_t key[NODE_KEY_BYTES])
{
    struct known *k = find_key(r, key), **bucket = &r->bucket[(key[0] | key[1] << 8) % BUCKETS];

    if (k != NULL)
        return k;
    k = MEM_NEW(struct known);
    memcpy(k->m.key, key, NODE_KEY_BYTES);
    k->m.nid = node_nid(key);
    k->next = *bucket;
    *bucket = k;
    r->all = mem_realloc(r->all, (r->n_all + 1) * sizeof *r->all);
    r->all[r->n_all++] = k;
    return k;
}

/* --- one pass --------------------------------------------------------------------------------------- */

/* A signer who may say this: active, may admit, and holds what it gives. */
static bool signed_by_admitter(const struct ring *r, const struct ring_entry *e, uint32_t gives)
{
    for (unsigned i = 0; i < e->n_sigs; i++) {
        const struct known *k = find_key(r, e->sigs[i].by);

        /* A leaf is less than a peer: it may always be given. */
        if (k != NULL && k->active && (k->m.rights & RIGHT_ADMIT) != 0 &&
            (gives & ~(k->m.rights | RIGHT_LEAF)) == 0)
            return true;
    }
    return false;
}

static bool signed_by(const struct ring_entry *e, const uint8_t key[NODE_KEY_BYTES])
{
    for (unsigned i = 0; i < e->n_sigs; i++) {
        if (memcmp(e->sigs[i].by, key, NODE_KEY_BYTES) == 0)
            return true;
    }
    return false;
}

/* Of two entries for one key the higher serial wins, then the lower hash. */
static bool newer(const struct ring_entry *a, const struct ring_entry *b)
{
    if (b == NULL || a->body.serial != b->body.serial)
        return b == NULL || a->body.serial > b->body.serial;
    return memcmp(a->hash, b->hash, RING_HASH_BYTES) < 0;
}

static void grant(struct known *k, const struct ring_entry *e, uint32_t rights, const char *name)
{
    if (!newer(e, k->grant))
        return;
    k->grant = e;
    k->m.rights = rights;
    k->m.not_after = e->body.not_after;
    if (name != NULL) {
        strcpy(k->m.name, name);
        k->m.since = e->body.made_at;
        k->name_serial = e->body.serial;
    }
}

/* Does e take effect, given who is active? Marks its subject in `next` rounds. */
static void weigh(struct ring *r, const struct ring_entry *e)
{
    struct known *k = key_of(r, e->body.subject), *old;

    if (k->m.revoked)
        return;
    switch (e->body.kind) {
    case RING_ADMIT:
        if (signed_by_admitter(r, e, e->body.rights)) {
            grant(k, e, e->body.rights, e->body.name);
            k->active = true;
        }
        break;
    case RING_RIGHTS:
        if (k->active && signed_by_admitter(r, e, e->body.rights))
            grant(k, e, e->body.rights, NULL);
        break;
    case RING_REPLACE:
        old = key_of(r, e->body.replaces);
        if (old->grant != NULL && !old->m.revoked &&
            (signed_by(e, old->m.key) || signed_by_admitter(r, e, old->m.rights))) {
            grant(k, e, old->m.rights, old->m.name);
            k->active = true;
            k->m.founder |= old->m.founder;
            old->m.parked = true;
        }
        break;
    default:
        break;
    }
}

/* Who is active, when these keys are revoked. */
static void pass(struct ring *r)
{
    struct known *founder = key_of(r, r->founder);

    for (size_t i = 0; i < r->n_all; i++) {
        struct known *k = r->all[i];

        k->active = k->m.parked = false;
        k->grant = NULL;
        k->m.rights = 0;
    }
    for (size_t i = 0; i < r->n_entries; i++) {
        if (r->entries[i]->body.kind == RING_FOUND && !founder->m.revoked) {
            grant(founder, r->entries[i], RIGHT_ALL & ~RIGHT_LEAF, r->entries[i]->body.name);
            founder->active = founder->m.founder = true;
        }
    }
    for (int round = 0; round < RING_CHAIN_MAX; round++) {
        for (size_t i = 0; i < r->n_entries; i++)
            weigh(r, r->entries[i]);
    }
}

/* The next revocation that counts and is not yet taken into account; NULL: none. */
static struct known *next_revoked(struct ring *r)
{
    for (size_t i = 0; i < r->n_entries; i++) {
        const struct ring_entry *e = r->entries[i];
        struct known *k;

        if (e->body.kind != RING_REVOKE)
            continue;
        k = key_of(r, e->body.subject);
        if (!k->m.revoked && (signed_by(e, k->m.key) || signed_by_admitter(r, e, 0)))
            return k;
    }
    return NULL;
}

/* Of two active keys with one name the later admission is parked. */
static void park(struct ring *r)
{
    for (size_t i = 0; i < r->n_all; i++) {
        struct known *a = r->all[i];

        for (size_t j = 0; j < r->n_all && a->active; j++) {
            struct known *b = r->all[j];

            if (b != a && b->active && !b->m.parked && !a->m.parked &&
                strcmp(a->m.name, b->m.name) == 0 &&
                (b->name_serial < a->name_serial ||
                 (b->name_serial == a->name_serial && memcmp(b->m.key, a->m.key, 32) < 0)))
                a->m.parked = true;
        }
    }
}

static void work_out(struct ring *r)
{
    struct known *k;

    forget_members(r);
    for (pass(r); (k = next_revoked(r)) != NULL; pass(r))
        k->m.revoked = true;
    park(r);
}

/* --- entries ---------------------------------------------------------------------------------------- */

static int entry_cmp(const struct ring_entry *e, uint64_t serial, const uint8_t *hash)
{
    if (e->body.serial != serial)
        return e->body.serial < serial ? -1 : 1;
    return memcmp(e->hash, hash, RING_HASH_BYTES);
}

/* Where the entry is or would be. */
static size_t place_of(const struct ring *r, uint64_t serial, const uint8_t *hash)
{
    size_t low = 0, high = r->n_entries;

    while (low < high) {
        size_t mid = (low + high) / 2;

        if (entry_cmp(r->entries[mid], serial, hash) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static struct ring_entry *insert(struct ring *r, size_t at, const struct ring_body *body,
                                 const void *bytes, size_t len, const uint8_t *hash)
{
    struct ring_entry *e = MEM_NEW(struct ring_entry);

    if (r->n_entries == r->cap) {
        r->cap = r->cap == 0 ? 16 : 2 * r->cap;
        r->entries = mem_realloc(r->entries, r->cap * sizeof *r->entries);
    }
    memmove(&r->entries[at + 1], &r->entries[at], (r->n_entries - at) * sizeof *r->entries);
    r->entries[at] = e;
    r->n_entries++;
    e->body = *body;
    e->bytes = mem_dup(bytes, len);
    e->len = len;
    memcpy(e->hash, hash, RING_HASH_BYTES);
    return e;
}

/* Is sig good, and not in e (NULL: a new entry) already? */
static bool adds(const struct ring_entry *e, const struct ring_sig *sig, const void *bytes,
                 size_t len)
{
    return (e == NULL || (e->n_sigs < RING_SIGS_MAX && !signed_by(e, sig->by))) &&
           signature_ok(sig->by, RING_LABEL, bytes, len, sig->sig);
}

/* A found entry makes the ring; every other belongs to the cluster that was found. */
static int check_cluster(struct ring *r, const struct ring_body *b, const struct ring_sig *sigs,
                         unsigned n)
{
    if (!ring_empty(r))
        return b->kind != RING_FOUND && memcmp(b->cluster, r->cluster, sizeof r->cluster) == 0
                   ? 0 : -ERR_PROTOCOL;
    if (b->kind != RING_FOUND || n == 0 || memcmp(sigs[0].by, b->subject, NODE_KEY_BYTES) != 0)
        return -ERR_PROTOCOL;
    return 0;
}

int ring_add(struct ring *r, const struct ring_body *body, const void *bytes, size_t len,
             const struct ring_sig *sigs, unsigned n_sigs)
{
    uint8_t hash[RING_HASH_BYTES];
    struct ring_entry *e = NULL;
    bool known;
    int changed = 0, rc;
    size_t at;

    hash_labelled(RING_LABEL, NULL, bytes, len, hash, sizeof hash);
    at = place_of(r, body->serial, hash);
    if (at < r->n_entries && entry_cmp(r->entries[at], body->serial, hash) == 0)
        e = r->entries[at];
    known = e != NULL;
    rc = known ? 0 : check_cluster(r, body, sigs, n_sigs);
    if (rc == 0 && !known && r->n_entries >= RING_ENTRIES_MAX)
        rc = -ERR_LIMIT;
    for (unsigned i = 0; rc == 0 && i < n_sigs; i++) {
        if (!adds(e, &sigs[i], bytes, len))
            continue;
        if (e == NULL)
            e = insert(r, at, body, bytes, len, hash);
        e->sigs[e->n_sigs++] = sigs[i];
        changed = 1;
        for (size_t k = 0; k < 8; k++)
            r->digest ^= (uint64_t)(uint8_t)(hash[k] ^ sigs[i].sig[k]) << (8 * k);
    }
    if (rc < 0 || e == NULL)
        return rc < 0 ? rc : -ERR_PERMISSION;
    if (body->kind == RING_FOUND && changed) {
        memcpy(r->cluster, body->cluster, sizeof r->cluster);
        memcpy(r->founder, body->subject, sizeof r->founder);
    }
    if (changed)
        work_out(r);
    return changed;
}

bool ring_empty(const struct ring *r)
{
    return r->n_entries == 0;
}

const uint8_t *ring_cluster(const struct ring *r)
{
    return r->cluster;
}

uint64_t ring_next_serial(const struct ring *r)
{
    return r->n_entries == 0 ? 1 : r->entries[r->n_entries - 1]->body.serial + 1;
}

uint64_t ring_digest(const struct ring *r)
{
    return r->digest;
}

/* --- looking ---------------------------------------------------------------------------------------- */

bool ring_is_member(const struct ring_member *m)
{
    return m != NULL && m->rights != 0 && !m->revoked && !m->parked;
}

const struct ring_member *ring_find(const struct ring *r, const uint8_t key[NODE_KEY_BYTES])
{
    const struct known *k = find_key(r, key);

    return k != NULL ? &k->m : NULL;
}

const struct ring_member *ring_find_nid(const struct ring *r, uint64_t nid)
{
    for (size_t i = 0; i < r->n_all; i++) {
        if (r->all[i]->m.nid == nid && ring_is_member(&r->all[i]->m))
            return &r->all[i]->m;
    }
    return NULL;
}

const struct ring_member *ring_find_name(const struct ring *r, const char *name, size_t len)
{
    for (size_t i = 0; i < r->n_all; i++) {
        const struct ring_member *m = &r->all[i]->m;

        if (strlen(m->name) == len && memcmp(m->name, name, len) == 0 && ring_is_member(m))
            return m;
    }
    return NULL;
}

const struct ring_member *ring_member_at(const struct ring *r, size_t i)
{
    return i < r->n_all ? &r->all[i]->m : NULL;
}

const struct ring_entry *ring_entry_at(const struct ring *r, size_t i)
{
    return i < r->n_entries ? r->entries[i] : NULL;
}

size_t ring_chain(const struct ring *r, const uint8_t key[NODE_KEY_BYTES],
                  const struct ring_entry **ret, size_t max)
{
    size_t n = 0;

    while (n < max) {
        const struct known *k = find_key(r, key), *by = NULL;

        if (k == NULL || k->grant == NULL)
            break;
        ret[n++] = k->grant;
        for (unsigned i = 0; i < k->grant->n_sigs && by == NULL; i++) {
            by = find_key(r, k->grant->sigs[i].by);
            if (by != NULL && !by->active)
                by = NULL;
        }
        if (by == NULL || by == k)
            break;                          /* the founder signed itself */
        key = by->m.key;
    }
    return n;
}
