/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peer_ring.c - owner of ring, secrets and identity
 *
 * One lock over everything: changes are rare, looks are short. The store is written outside it.
 */
#include "dist/peer_ring.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/errors.h"
#include "base/log.h"
#include "dist/peer.h"

#include <pthread.h>

#define EPOCHS_MAX     16
#define DAY_S          86400u
#define EPOCH_LIFE_S   (30u * DAY_S)        /* handshakes with older ones are refused */
#define EPOCH_LABEL    "rn epoch 1"
#define SPREAD_S       60
#define GOSSIP_GRACE_S 600

struct epoch_secret {
    uint32_t epoch;
    struct secret secret;
    uint64_t use_from, retire_at;
    uint8_t  by[NODE_KEY_BYTES], sig[SIGNATURE_BYTES];
};

static struct {
    pthread_mutex_t lock;
    struct store *store;
    struct identity *id;
    struct ring *ring;
    char name[RING_NAME_MAX + 1];
    struct epoch_secret secrets[EPOCHS_MAX];    /* newest first */
    unsigned n_secrets;
    struct secret dh_secret;
    struct binding binding;
} own = { .lock = PTHREAD_MUTEX_INITIALIZER };

static struct ring_watch *watches;

static uint64_t now_s(void)
{
    return (uint64_t)(clock_system_ns() / 1000000000);
}

static void lock(void)   { pthread_mutex_lock(&own.lock); }
static void unlock(void) { pthread_mutex_unlock(&own.lock); }

void ring_watch(struct ring_watch *w)
{
    w->next = watches;
    watches = w;
}

static void tell_changed(void)
{
    for (struct ring_watch *w = watches; w != NULL; w = w->next) {
        if (w->changed != NULL)
            w->changed();
    }
}

static void tell_revoked(const uint8_t *key)
{
    char letters[NODE_LETTERS];

    LOG(NOTICE, "key.revoked", LOG_FIELDS("peer", nid_letters(node_nid(key), letters)),
        "a key is no longer in the ring");
    for (struct ring_watch *w = watches; w != NULL; w = w->next) {
        if (w->revoked != NULL)
            w->revoked(key);
    }
}

/* --- entries as bytes --------------------------------------------------------------------------------- */

static bool copy_exact(void *to, size_t len, const ProtobufCBinaryData *b)
{
    if (b->len != len)
        return b->len == 0;                 /* absent: stays zero */
    memcpy(to, b->data, len);
    return true;
}

/* A body as ring.h wants it. False: not one of ours. */
static bool read_body(const Rn__RingBody *m, struct ring_body *b)
{
    memset(b, 0, sizeof *b);
    if (m->kind < RING_FOUND || m->kind > RING_RIGHTS || m->serial == 0 ||
        m->name.len > RING_NAME_MAX ||
        (m->name.len > 0 && memchr(m->name.data, 0, m->name.len) != NULL) ||
        !copy_exact(b->cluster, sizeof b->cluster, &m->cluster) ||
        !copy_exact(b->subject, sizeof b->subject, &m->subject) ||
        !copy_exact(b->replaces, sizeof b->replaces, &m->replaces))
        return false;
    b->kind = (enum ring_kind)m->kind;
    b->serial = m->serial;
    b->not_after = m->not_after;
    b->made_at = m->made_at;
    if (m->name.len > 0)
        memcpy(b->name, m->name.data, m->name.len);
    for (size_t i = 0; i < m->n_rights; i++)
        b->rights |= right_parse((const char *)m->rights[i].data, m->rights[i].len);
    return true;
}

static void pack_body(const struct ring_body *b, struct buf *out)
{
    Rn__RingBody m = RN__RING_BODY__INIT;
    ProtobufCBinaryData rights[16];
    char text[128], *at = text;

    m.cluster = BYTES_OF(b->cluster, sizeof b->cluster);
    m.serial = b->serial;
    m.kind = b->kind;
    m.subject = BYTES_OF(b->subject, sizeof b->subject);
    m.name = BYTES_OF(b->name, strlen(b->name));
    m.not_after = b->not_after;
    m.made_at = b->made_at;
    m.by = BYTES_OF(identity_key(own.id), NODE_KEY_BYTES);
    if (b->kind == RING_REPLACE)
        m.replaces = BYTES_OF(b->replaces, sizeof b->replaces);
    rights_text(b->rights, text);
    m.rights = rights;
    while (*at != 0) {
        size_t n = strcspn(at, " ");

        rights[m.n_rights++] = BYTES_OF(at, n);
        at += n + (at[n] == ' ');
    }
    wire_pack(&m.base, out);
}

static void pack_entry(const struct ring_entry *e, struct buf *out)
{
    Rn__RingEntry m = RN__RING_ENTRY__INIT;
    ProtobufCBinaryData sigs[RING_SIGS_MAX];

    m.body = BYTES_OF(e->bytes, e->len);
    m.sigs = sigs;
    m.n_sigs = e->n_sigs;
    for (unsigned i = 0; i < e->n_sigs; i++)
        sigs[i] = BYTES_OF(&e->sigs[i], sizeof e->sigs[i]);
    wire_pack(&m.base, out);
}

/* Under the lock. As ring_add; *ret_hash is the key in the store. */
static int add_packed_locked(const void *data, size_t len)
{
    struct wire_arena outer = { 0 }, inner = { 0 };
    const Rn__RingEntry *m = wire_unpack(&rn__ring_entry__descriptor, data, len, &outer);
    const Rn__RingBody *mb = NULL;
    struct ring_sig sigs[RING_SIGS_MAX];
    struct ring_body body;
    unsigned n = 0;
    int rc = -ERR_PROTOCOL;

    if (m != NULL)
        mb = wire_unpack(&rn__ring_body__descriptor, m->body.data, m->body.len, &inner);
    if (mb != NULL && read_body(mb, &body)) {
        for (size_t i = 0; i < m->n_sigs && n < RING_SIGS_MAX; i++) {
            if (m->sigs[i].len == sizeof sigs[0])
                memcpy(&sigs[n++], m->sigs[i].data, sizeof sigs[0]);
        }
        rc = ring_add(own.ring, &body, m->body.data, m->body.len, sigs, n);
    }
    wire_arena_fini(&outer);
    wire_arena_fini(&inner);
    return rc;
}

/* All entries into the store; the ring is small, and a change rewrites what changed of it. */
static void save_ring_locked(struct store_batch *b)
{
    const struct ring_entry *e;

    for (size_t i = 0; (e = ring_entry_at(own.ring, i)) != NULL; i++) {
        struct buf out = { 0 };

        pack_entry(e, &out);
        store_batch_put(own.store, b, "ring", e->hash, sizeof e->hash, out.data, out.len);
        buf_fini(&out);
    }
}

static void save_secret(struct store_batch *b, const struct epoch_secret *s)
{
    uint8_t key[4] = { (uint8_t)(s->epoch >> 24), (uint8_t)(s->epoch >> 16),
                       (uint8_t)(s->epoch >> 8), (uint8_t)s->epoch };

    store_batch_put(own.store, b, "secrets", key, sizeof key, s, sizeof *s);
}

static int submit(struct store_batch *b, bool wait)
{
    uint64_t ticket;

    if (own.store == NULL) {
        store_batch_fini(b);
        return 0;
    }
    ticket = store_submit(own.store, b);
    return wait ? store_wait(own.store, ticket) : 0;
}

/* --- merging ----------------------------------------------------------------------------------------- */

/* Members before and after: tells of those that fell out. */
struct members { uint8_t (*keys)[NODE_KEY_BYTES]; size_t n; };

static struct members members_locked(void)
{
    struct members m = { 0 };
    const struct ring_member *r;

    for (size_t i = 0; (r = ring_member_at(own.ring, i)) != NULL; i++) {
        if (!ring_is_member(r))
            continue;
        m.keys = mem_realloc(m.keys, (m.n + 1) * sizeof *m.keys);
        memcpy(m.keys[m.n++], r->key, NODE_KEY_BYTES);
    }
    return m;
}

static void tell_difference(struct members *before)
{
    for (size_t i = 0; i < before->n; i++) {
        bool still;

        lock();
        still = ring_is_member(ring_find(own.ring, before->keys[i]));
        unlock();
        if (!still)
            tell_revoked(before->keys[i]);
    }
    mem_free(before->keys);
    tell_changed();
}

int ring_merge(const ProtobufCBinaryData *entries, size_t n)
{
    struct store_batch b = { 0 };
    struct members before;
    int changed = 0;

    lock();
    before = members_locked();
    for (size_t i = 0; i < n; i++) {
        int rc = add_packed_locked(entries[i].data, entries[i].len);

        if (rc > 0)
            changed++;
    }
    if (changed > 0)
        save_ring_locked(&b);
    unlock();
    (void)!submit(&b, false);
    if (changed > 0)
        tell_difference(&before);
    else
        mem_free(before.keys);
    return changed;
}

/* Make, sign and add an entry of our own; waits for the disk. */
static int add_own(struct ring_body *b)
{
    struct store_batch batch = { 0 };
    struct members before;
    struct ring_sig sig;
    struct buf bytes = { 0 };
    int rc;

    lock();
    before = members_locked();
    if (b->kind != RING_FOUND)
        memcpy(b->cluster, ring_cluster(own.ring), sizeof b->cluster);
    b->serial = ring_next_serial(own.ring);
    b->made_at = now_s();
    pack_body(b, &bytes);
    memcpy(sig.by, identity_key(own.id), sizeof sig.by);
    identity_sign(own.id, RING_LABEL, bytes.data, bytes.len, sig.sig);
    rc = ring_add(own.ring, b, bytes.data, bytes.len, &sig, 1);
    if (rc > 0)
        save_ring_locked(&batch);
    unlock();
    buf_fini(&bytes);
    if (rc > 0) {
        rc = submit(&batch, true);
        tell_difference(&before);
    } else {
        mem_free(before.keys);
    }
    return rc < 0 ? rc : 0;
}

/* --- secrets ------------------------------------------------------------------------------------------ */

static void secret_text(const struct epoch_secret *s, struct buf *out)
{
    buf_be(out, s->epoch, 4);
    buf_add(out, s->secret.bytes, SECRET_BYTES);
    buf_be(out, s->use_from, 8);
    buf_be(out, s->retire_at, 8);
}

/* Keep it if it is new. Of two with one number the smaller bytes win. */
static bool keep_secret_locked(const struct epoch_secret *s)
{
    unsigned i = 0;

    while (i < own.n_secrets && own.secrets[i].epoch > s->epoch)
        i++;
    if (i == EPOCHS_MAX)
        return false;
    if (i < own.n_secrets && own.secrets[i].epoch == s->epoch) {
        if (memcmp(&own.secrets[i].secret, &s->secret, sizeof s->secret) <= 0)
            return false;
    } else {
        if (own.n_secrets == EPOCHS_MAX)
            own.n_secrets--;
        memmove(&own.secrets[i + 1], &own.secrets[i],
                (own.n_secrets - i) * sizeof own.secrets[0]);
        own.n_secrets++;
    }
    own.secrets[i] = *s;
    return true;
}

static int add_secret(const struct epoch_secret *s, bool wait)
{
    struct store_batch b = { 0 };
    bool kept;
    int rc = 0;

    lock();
    kept = keep_secret_locked(s);
    unlock();
    if (kept) {
        save_secret(&b, s);
        rc = submit(&b, wait);
        LOG(INFO, "secret.rotated", NULL, "cluster secret %u", s->epoch);
        tell_changed();
    }
    return rc;
}

static bool may_admit(const uint8_t *key)
{
    struct ring_member m;

    return ring_lookup(key, &m) && ring_is_member(&m) && (m.rights & RIGHT_ADMIT) != 0;
}

static int make_secret(uint64_t use_from)
{
    struct epoch_secret s = { .use_from = use_from, .retire_at = use_from + 2 * EPOCH_LIFE_S };
    struct buf text = { 0 };
    int rc;

    lock();
    s.epoch = own.n_secrets == 0 ? 1 : own.secrets[0].epoch + 1;
    unlock();
    secret_random(&s.secret);
    memcpy(s.by, identity_key(own.id), sizeof s.by);
    secret_text(&s, &text);
    identity_sign(own.id, EPOCH_LABEL, text.data, text.len, s.sig);
    secret_wipe(text.data, text.len);
    buf_fini(&text);
    rc = add_secret(&s, true);
    secret_wipe(&s, sizeof s);
    return rc;
}

int ring_rotate(bool now)
{
    if (!may_admit(identity_key(own.id)))
        return -ERR_PERMISSION;
    return make_secret(now_s() + (now ? 0 : SPREAD_S));
}

bool ring_secret_is_due(uint64_t use_from_s, uint64_t now, bool ours)
{
    return use_from_s != 0 && now >= use_from_s + EPOCH_LIFE_S + (ours ? 0 : DAY_S);
}

void ring_tend(void)
{
    bool due;

    lock();
    due = own.n_secrets > 0 &&
          ring_secret_is_due(own.secrets[0].use_from, now_s(),
                             memcmp(own.secrets[0].by, identity_key(own.id), NODE_KEY_BYTES) == 0);
    unlock();
    if (due && may_admit(identity_key(own.id)) && ring_rotate(false) < 0)
        LOG(WARNING, "secret.rotated", NULL, "the cluster secret is due, but it could not be stored");
}

int ring_merge_secret(const Rn__EpochSecret *m)
{
    struct epoch_secret s = { .epoch = m->epoch, .use_from = m->use_from, .retire_at = m->retire_at };
    struct buf text = { 0 };
    int rc = -ERR_PERMISSION;

    if (m->epoch == 0 || m->secret.len != SECRET_BYTES || m->by.len != NODE_KEY_BYTES ||
        m->sig.len != SIGNATURE_BYTES)
        return -ERR_PROTOCOL;
    memcpy(s.secret.bytes, m->secret.data, SECRET_BYTES);
    memcpy(s.by, m->by.data, NODE_KEY_BYTES);
    memcpy(s.sig, m->sig.data, SIGNATURE_BYTES);
    secret_text(&s, &text);
    if (may_admit(s.by) && signature_ok(s.by, EPOCH_LABEL, text.data, text.len, s.sig))
        rc = add_secret(&s, false);
    secret_wipe(text.data, text.len);
    buf_fini(&text);
    secret_wipe(&s, sizeof s);
    return rc;
}

int ring_accept_secret(uint32_t epoch, const struct secret *secret)
{
    struct epoch_secret s = { .epoch = epoch, .secret = *secret,
                              .retire_at = now_s() + 2 * EPOCH_LIFE_S };

    return add_secret(&s, true);
}

/* The one in use: the newest whose time has come. */
static const struct epoch_secret *current_locked(void)
{
    uint64_t now = now_s();

    for (unsigned i = 0; i < own.n_secrets; i++) {
        if (own.secrets[i].use_from <= now)
            return &own.secrets[i];
    }
    return own.n_secrets > 0 ? &own.secrets[own.n_secrets - 1] : NULL;
}

uint32_t ring_epoch(void)
{
    const struct epoch_secret *s;
    uint32_t e;

    lock();
    s = current_locked();
    e = s != NULL ? s->epoch : 0;
    unlock();
    return e;
}

bool ring_secret(uint16_t epoch, enum secret_use use, struct secret *ret)
{
    uint64_t now = now_s();
    bool found = false;

    lock();
    for (unsigned i = 0; i < own.n_secrets && !found; i++) {
        found = (uint16_t)own.secrets[i].epoch == epoch && own.secrets[i].retire_at > now;
        if (found)
            secret_derive(&own.secrets[i].secret, use, ret);
    }
    unlock();
    return found;
}

bool ring_gossip_secret(uint8_t epoch, struct secret *ret)
{
    const struct epoch_secret *cur;
    uint64_t now = now_s();
    bool found = false;

    lock();
    cur = current_locked();
    for (unsigned i = 0; i < own.n_secrets && cur != NULL && !found; i++) {
        const struct epoch_secret *s = &own.secrets[i];

        /* The next one is good already, the one before for a while. */
        found = (uint8_t)s->epoch == epoch &&
                (s->epoch >= cur->epoch ||
                 (s->epoch + 1 == cur->epoch && now < cur->use_from + GOSSIP_GRACE_S));
        if (found)
            secret_derive(&s->secret, SECRET_GOSSIP, ret);
    }
    unlock();
    return found;
}

void ring_tag(uint16_t epoch, uint8_t ret[FLIGHT_TAG])
{
    struct secret s;

    memset(ret, 0, FLIGHT_TAG);
    if (ring_secret(epoch, SECRET_TAG, &s))
        memcpy(ret, s.bytes, FLIGHT_TAG);
    secret_wipe(&s, sizeof s);
}

void ring_visit_secrets(void (*visit)(void *arg, const Rn__EpochSecret *m), void *arg)
{
    struct epoch_secret copy[EPOCHS_MAX];
    unsigned n;

    lock();
    n = own.n_secrets;
    memcpy(copy, own.secrets, n * sizeof copy[0]);
    unlock();
    for (unsigned i = 0; i < n; i++) {
        Rn__EpochSecret m = RN__EPOCH_SECRET__INIT;

        m.epoch = copy[i].epoch;
        m.secret = BYTES_OF(copy[i].secret.bytes, SECRET_BYTES);
        m.use_from = copy[i].use_from;
        m.retire_at = copy[i].retire_at;
        m.by = BYTES_OF(copy[i].by, NODE_KEY_BYTES);
        m.sig = BYTES_OF(copy[i].sig, SIGNATURE_BYTES);
        visit(arg, &m);
    }
    secret_wipe(copy, sizeof copy);
}

/* --- changes of our own --------------------------------------------------------------------------------- */

int ring_found(void)
{
    struct ring_body b = { .kind = RING_FOUND, .rights = RIGHT_ALL & ~RIGHT_LEAF };
    int rc;

    if (ring_founded())
        return 0;
    random_bytes(b.cluster, sizeof b.cluster);
    memcpy(b.subject, identity_key(own.id), NODE_KEY_BYTES);
    strcpy(b.name, own.name);
    rc = add_own(&b);
    return rc < 0 ? rc : make_secret(now_s());
}

int ring_admit(const uint8_t key[NODE_KEY_BYTES], const char *name, uint32_t rights)
{
    struct ring_body b = { .kind = RING_ADMIT, .rights = rights };
    struct ring_member m;

    if (!may_admit(identity_key(own.id)))
        return -ERR_PERMISSION;
    if (ring_lookup_name(name, strlen(name), &m) && memcmp(m.key, key, NODE_KEY_BYTES) != 0)
        return -ERR_EXISTS;
    if (ring_lookup(key, &m) && m.revoked)
        return -ERR_PERMISSION;
    memcpy(b.subject, key, NODE_KEY_BYTES);
    strncpy(b.name, name, RING_NAME_MAX);
    return add_own(&b);
}

int ring_set_rights(const uint8_t key[NODE_KEY_BYTES], uint32_t rights)
{
    struct ring_body b = { .kind = RING_RIGHTS, .rights = rights };
    struct ring_member own_key, m;

    if (!may_admit(identity_key(own.id)) || !ring_lookup(identity_key(own.id), &own_key) ||
        (rights & ~(own_key.rights | RIGHT_LEAF)) != 0)
        return -ERR_PERMISSION;
    if (!ring_lookup(key, &m) || !ring_is_member(&m) || m.founder)
        return -ERR_NOT_FOUND;
    memcpy(b.subject, key, NODE_KEY_BYTES);
    return add_own(&b);
}

/* Sign what this key signed for members, so that they stay. */
static void countersign_locked(const uint8_t *key)
{
    const struct ring_entry *e;

    for (size_t i = 0; (e = ring_entry_at(own.ring, i)) != NULL; i++) {
        struct ring_sig sig;
        bool by_key = false;

        for (unsigned k = 0; k < e->n_sigs; k++)
            by_key |= memcmp(e->sigs[k].by, key, NODE_KEY_BYTES) == 0;
        if (!by_key || (e->body.kind != RING_ADMIT && e->body.kind != RING_RIGHTS) ||
            !ring_is_member(ring_find(own.ring, e->body.subject)))
            continue;
        memcpy(sig.by, identity_key(own.id), sizeof sig.by);
        identity_sign(own.id, RING_LABEL, e->bytes, e->len, sig.sig);
        (void)!ring_add(own.ring, &e->body, e->bytes, e->len, &sig, 1);
    }
}

int ring_revoke(const uint8_t key[NODE_KEY_BYTES])
{
    struct ring_body b = { .kind = RING_REVOKE };
    int rc;

    if (!may_admit(identity_key(own.id)) &&
        memcmp(key, identity_key(own.id), NODE_KEY_BYTES) != 0)
        return -ERR_PERMISSION;
    lock();
    countersign_locked(key);
    unlock();
    memcpy(b.subject, key, NODE_KEY_BYTES);
    rc = add_own(&b);
    if (rc == 0 && may_admit(identity_key(own.id)))
        rc = ring_rotate(true);
    return rc;
}

static bool collect_key(void *arg, const void *key, size_t key_len, const void *value, size_t len)
{
    struct buf *keys = arg;

    buf_u8(keys, (uint8_t)key_len);
    buf_add(keys, key, key_len);
    return true;
}

static void delete_all(struct store_batch *b, const char *db)
{
    struct buf keys = { 0 };
    struct reader r;

    (void)!store_visit(own.store, db, false, collect_key, &keys);
    r = reader_make(keys.data, keys.len);
    while (reader_left(&r) > 0) {
        size_t n = reader_u8(&r);

        store_batch_delete(own.store, b, db, reader_take(&r, n), n);
    }
    buf_fini(&keys);
}

int ring_reset(void)
{
    struct store_batch b = { 0 };
    struct members before;

    lock();
    before = members_locked();
    ring_free(own.ring);
    own.ring = ring_new();
    own.n_secrets = 0;
    secret_wipe(own.secrets, sizeof own.secrets);
    unlock();
    if (own.store != NULL) {
        delete_all(&b, "ring");
        delete_all(&b, "secrets");
        delete_all(&b, "addrs");
    }
    tell_difference(&before);
    return submit(&b, true);
}

/* --- looking -------------------------------------------------------------------------------------------- */

static bool copy_member(const struct ring_member *m, struct ring_member *ret)
{
    if (m != NULL)
        *ret = *m;
    unlock();
    return m != NULL;
}

bool ring_lookup(const uint8_t key[NODE_KEY_BYTES], struct ring_member *ret)
{
    lock();
    return copy_member(ring_find(own.ring, key), ret);
}

bool ring_lookup_nid(uint64_t nid, struct ring_member *ret)
{
    lock();
    return copy_member(ring_find_nid(own.ring, nid), ret);
}

bool ring_lookup_name(const char *name, size_t len, struct ring_member *ret)
{
    lock();
    return copy_member(ring_find_name(own.ring, name, len), ret);
}

void ring_visit(void (*visit)(void *arg, const struct ring_member *m), void *arg)
{
    const struct ring_member *m;

    lock();
    for (size_t i = 0; (m = ring_member_at(own.ring, i)) != NULL; i++)
        visit(arg, m);
    unlock();
}

bool ring_founded(void)
{
    bool is;

    lock();
    is = !ring_empty(own.ring);
    unlock();
    return is;
}

void ring_cluster_id(uint8_t ret[RING_CLUSTER_BYTES])
{
    lock();
    memcpy(ret, ring_cluster(own.ring), RING_CLUSTER_BYTES);
    unlock();
}

uint64_t ring_version(void)
{
    uint64_t v;

    lock();
    v = ring_digest(own.ring);
    unlock();
    return v;
}

size_t ring_size(void)
{
    size_t n = 0;

    lock();
    while (ring_entry_at(own.ring, n) != NULL)
        n++;
    unlock();
    return n;
}

static void pack_into(struct packed_entries *list, const struct ring_entry *e)
{
    struct buf b = { 0 };

    pack_entry(e, &b);
    list->item = mem_realloc(list->item, (list->n + 1) * sizeof *list->item);
    list->item[list->n++] = BYTES_OF(b.data, b.len);
}

void ring_pack_chain(const uint8_t key[NODE_KEY_BYTES], struct packed_entries *list)
{
    const struct ring_entry *chain[RING_CHAIN_MAX];
    size_t n;

    lock();
    n = ring_chain(own.ring, key, chain, RING_CHAIN_MAX);
    for (size_t i = n; i-- > 0;)            /* the founder first: each entry finds its signer there */
        pack_into(list, chain[i]);
    unlock();
}

void ring_pack_all(struct packed_entries *list)
{
    const struct ring_entry *e;

    lock();
    for (size_t i = 0; (e = ring_entry_at(own.ring, i)) != NULL; i++)
        pack_into(list, e);
    unlock();
}

void packed_entries_fini(struct packed_entries *list)
{
    for (size_t i = 0; i < list->n; i++)
        mem_free(list->item[i].data);
    mem_free(list->item);
    list->item = NULL;
    list->n = 0;
}

/* --- addresses --------------------------------------------------------------------------------------- */

#define ADDRS_KEPT 8

void ring_keep_addrs(const uint8_t key[NODE_KEY_BYTES], const struct net_addr *a, unsigned n)
{
    uint8_t bytes[ADDRS_KEPT * NET_ADDR_BYTES];
    struct store_batch b = { 0 };

    if (own.store == NULL)
        return;
    n = n < ADDRS_KEPT ? n : ADDRS_KEPT;
    for (unsigned i = 0; i < n; i++)
        net_addr_pack(&a[i], bytes + i * NET_ADDR_BYTES);
    store_batch_put(own.store, &b, "addrs", key, NODE_KEY_BYTES, bytes, n * NET_ADDR_BYTES);
    (void)!submit(&b, false);
}

unsigned ring_known_addrs(const uint8_t key[NODE_KEY_BYTES], struct net_addr *ret, unsigned max)
{
    struct buf b = { 0 };
    unsigned n = 0;

    if (own.store != NULL && store_get(own.store, "addrs", key, NODE_KEY_BYTES, &b) == 0) {
        for (size_t at = 0; at + NET_ADDR_BYTES <= b.len && n < max; at += NET_ADDR_BYTES)
            n += net_addr_unpack(b.data + at, NET_ADDR_BYTES, &ret[n]);
    }
    buf_fini(&b);
    return n;
}

uint16_t ring_last_port(void)
{
    struct buf b = { 0 };
    uint16_t port = 0;

    if (own.store != NULL && store_get(own.store, "self", "port", 4, &b) == 0 && b.len == 2)
        port = (uint16_t)(b.data[0] << 8 | b.data[1]);
    buf_fini(&b);
    return port;
}

void ring_keep_port(uint16_t port)
{
    uint8_t bytes[2] = { (uint8_t)(port >> 8), (uint8_t)port };
    struct store_batch b = { 0 };

    store_batch_put(own.store, &b, "self", "port", 4, bytes, sizeof bytes);
    (void)!submit(&b, false);
}

/* --- this node -------------------------------------------------------------------------------------------- */

struct identity *ring_identity(void)
{
    return own.id;
}

void ring_dh(struct secret *ret_secret, uint8_t ret_public[DH_BYTES], struct binding *ret)
{
    uint64_t now = now_s();

    lock();
    if (own.binding.not_after < now + BINDING_LIFE_S / 2 || own.binding.not_before > now) {
        uint8_t public[DH_BYTES];

        dh_pair(&own.dh_secret, public);
        binding_make(own.id, public, now, &own.binding);
    }
    *ret_secret = own.dh_secret;
    memcpy(ret_public, own.binding.dh, DH_BYTES);
    *ret = own.binding;
    unlock();
}

static bool load_entry(void *arg, const void *key, size_t key_len, const void *value, size_t len)
{
    struct packed_entries *list = arg;

    list->item = mem_realloc(list->item, (list->n + 1) * sizeof *list->item);
    list->item[list->n++] = BYTES_OF(mem_dup(value, len), len);
    return true;
}

static bool load_secret(void *arg, const void *key, size_t key_len, const void *value, size_t len)
{
    struct epoch_secret s;

    if (len == sizeof s) {
        memcpy(&s, value, sizeof s);
        keep_secret_locked(&s);
        secret_wipe(&s, sizeof s);
    }
    return true;
}

/* Entries come from the store in the order of their hashes: again and again until none is new. */
static void load_ring(void)
{
    struct packed_entries list = { 0 };
    bool more = true;

    (void)!store_visit(own.store, "ring", false, load_entry, &list);
    while (more) {
        more = false;
        for (size_t i = 0; i < list.n; i++)
            more |= add_packed_locked(list.item[i].data, list.item[i].len) > 0;
    }
    packed_entries_fini(&list);
    (void)!store_visit(own.store, "secrets", false, load_secret, NULL);
}

/* creation = max(stored + 1, seconds since 1970), on the disk before anybody hears of it. */
static int next_creation(uint32_t *ret)
{
    struct buf old = { 0 };
    uint32_t creation = (uint32_t)now_s();
    uint8_t bytes[4];
    struct reader r;
    struct store_write w = { "self", "creation", 8, bytes, 4 };

    if (store_get(own.store, "self", "creation", 8, &old) == 0 && old.len == 4) {
        r = reader_make(old.data, old.len);
        uint32_t stored = reader_u32(&r);

        if (creation <= stored)
            creation = stored + 1;
    }
    buf_fini(&old);
    for (int i = 0; i < 4; i++)
        bytes[i] = (uint8_t)(creation >> (24 - 8 * i));
    *ret = creation;
    return store_write_all(own.store, &w, 1);
}

int ring_open(struct store *st, const char *key_file, const char *name)
{
    int rc;

    auth_init();
    rc = identity_open(key_file, true, &own.id);
    if (rc < 0)
        return rc;
    own.store = st;
    own.ring = ring_new();
    strncpy(own.name, name, RING_NAME_MAX);
    load_ring();
    rc = next_creation(&peer_self.creation);
    strncpy(peer_self.name, name, NODE_NAME_MAX);
    memcpy(peer_self.key, identity_key(own.id), NODE_KEY_BYTES);
    peer_self.nid = node_nid(peer_self.key);
    random_bytes(peer_self.boot_id, sizeof peer_self.boot_id);
    return rc;
}

void ring_close(void)
{
    identity_free(own.id);
    ring_free(own.ring);
    secret_wipe(own.secrets, sizeof own.secrets);
    secret_wipe(&own.dh_secret, sizeof own.dh_secret);
    own.id = NULL;
    own.ring = NULL;
    own.n_secrets = 0;
    own.store = NULL;
}
