/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peer_table.c - who is there: peers by number, name, nid and key
 *
 * Peers are never freed: an id means the same node as long as this node runs. Lookup by number is
 * without a lock (the array only grows); by name and nid under one lock, which is off the path of
 * messages.
 */
#include "dist/peer_priv.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/epoch.h"
#include "vm/process.h"

#define BUCKETS 1024u

struct peer_self peer_self;
peer_rx_fn *peer_handlers[KIND_END];
struct peer_watch *peer_watches, *peer_watches_reversed;
void (*peer_vital_hook)(struct peer_vital *ret);
peer_id (*peer_find_hook)(const char *name, size_t len, uint64_t nid, const uint8_t *key);
int (*peer_own_frame_hook)(struct session *s, const struct peer_rx *rx);

static _Atomic(struct peer *) peers[PEERS_MAX + 1];     /* [any] by id */
static _Atomic uint32_t n_peers;                        /* [any] */
static struct spin table_lock;
static struct peer *by_name[BUCKETS], *by_nid[BUCKETS]; /* [lk table_lock] */

/* --- rows ------------------------------------------------------------------------------------------ */

static uint32_t name_hash(const char *name, size_t len)
{
    return bytes_hash(name, len) % BUCKETS;
}

struct peer *peer_get(peer_id id)
{
    /* acquire: pairs with the release in peer_add */
    return id == 0 || id > PEERS_MAX ? NULL : atomic_load_explicit(&peers[id], memory_order_acquire);
}

static struct peer *find_name_locked(const char *name, size_t len)
{
    struct peer *p = by_name[name_hash(name, len)];

    while (p != NULL && (strlen(p->info.name) != len || memcmp(p->info.name, name, len) != 0))
        p = p->next_name;
    return p;
}

static struct peer *find_nid_locked(uint64_t nid)
{
    struct peer *p = by_nid[nid % BUCKETS];

    while (p != NULL && p->info.nid != nid)
        p = p->next_nid;
    return p;
}

struct peer *peer_add(const char *name, const uint8_t key[NODE_KEY_BYTES], struct loop *loop,
                      const struct session_transport *t)
{
    uint32_t h = name_hash(name, strlen(name)), id;
    uint64_t nid = node_nid(key);
    struct peer *p;

    spin_lock(&table_lock);
    p = find_nid_locked(nid);
    id = atomic_load_explicit(&n_peers, memory_order_relaxed) + 1;  /* relaxed: under the lock */
    if (p != NULL || id > PEERS_MAX) {
        spin_unlock(&table_lock);
        return p;
    }
    p = MEM_NEW(struct peer);
    p->id = p->info.id = id;
    p->loop = loop;
    p->transport = t;
    strncpy(p->info.name, name, NODE_NAME_MAX);
    memcpy(p->info.key, key, NODE_KEY_BYTES);
    p->info.nid = nid;
    p->next_name = by_name[h];
    by_name[h] = p;
    p->next_nid = by_nid[nid % BUCKETS];
    by_nid[nid % BUCKETS] = p;
    atomic_store_explicit(&peers[id], p, memory_order_release);
    atomic_store_explicit(&n_peers, id, memory_order_release);
    spin_unlock(&table_lock);
    return p;
}

void peer_rename(struct peer *p, const char *name)
{
    struct peer **at;

    spin_lock(&table_lock);
    for (at = &by_name[name_hash(p->info.name, strlen(p->info.name))]; *at != p;
         at = &(*at)->next_name)
        ;
    *at = p->next_name;
    spin_lock(&p->lock);
    memset(p->info.name, 0, sizeof p->info.name);
    strncpy(p->info.name, name, NODE_NAME_MAX);
    spin_unlock(&p->lock);
    at = &by_name[name_hash(name, strlen(name))];
    p->next_name = *at;
    *at = p;
    spin_unlock(&table_lock);
}

/* --- lookups --------------------------------------------------------------------------------------- */

peer_id peer_by_name(const char *name, size_t len)
{
    struct peer *p;

    spin_lock(&table_lock);
    p = find_name_locked(name, len);
    spin_unlock(&table_lock);
    if (p != NULL && !p->gone)
        return p->id;
    return peer_find_hook != NULL ? peer_find_hook(name, len, 0, NULL) : 0;
}

peer_id peer_by_nid(uint64_t nid)
{
    struct peer *p;

    spin_lock(&table_lock);
    p = find_nid_locked(nid);
    spin_unlock(&table_lock);
    if (p != NULL && !p->gone)
        return p->id;
    return peer_find_hook != NULL ? peer_find_hook(NULL, 0, nid, NULL) : 0;
}

peer_id peer_by_key(const uint8_t key[NODE_KEY_BYTES])
{
    struct peer *p;

    spin_lock(&table_lock);
    p = find_nid_locked(node_nid(key));
    spin_unlock(&table_lock);
    if (p != NULL)
        return memcmp(p->info.key, key, NODE_KEY_BYTES) == 0 && !p->gone ? p->id : 0;
    return peer_find_hook != NULL ? peer_find_hook(NULL, 0, 0, key) : 0;
}

static void copy_info(struct peer *p, struct peer_info *ret)
{
    struct session *s;

    epoch_enter();
    spin_lock(&p->lock);
    *ret = p->info;
    spin_unlock(&p->lock);
    s = atomic_load_explicit(&p->session, memory_order_acquire);
    if (s != NULL)
        ret->queued_bytes = atomic_load_explicit(&s->queued, memory_order_relaxed);
    epoch_leave();
}

bool peer_info(peer_id id, struct peer_info *ret)
{
    struct peer *p = peer_get(id);

    if (p != NULL)
        copy_info(p, ret);
    return p != NULL;
}

session_id peer_session(peer_id id)
{
    struct peer *p = peer_get(id);
    struct session *s;
    session_id ret = 0;

    if (p == NULL)
        return 0;
    epoch_enter();
    s = atomic_load_explicit(&p->session, memory_order_acquire);
    if (s != NULL)
        ret = s->id;
    epoch_leave();
    return ret;
}

void peer_visit(bool (*visit)(void *arg, const struct peer_info *p), void *arg)
{
    uint32_t n = atomic_load_explicit(&n_peers, memory_order_acquire);
    struct peer_info info;

    for (peer_id id = 1; id <= n; id++) {
        struct peer *p = peer_get(id);

        if (p == NULL || p->gone)
            continue;
        copy_info(p, &info);
        if (!visit(arg, &info))
            return;
    }
}

/* --- sessions by id -------------------------------------------------------------------------------- */

session_id peer_connect(peer_id id)
{
    struct peer *p = peer_get(id);
    struct session *s;
    session_id ret = 0;

    if (p == NULL)
        return 0;
    epoch_enter();
    s = session_begin(p);
    if (s != NULL)
        ret = s->id;
    epoch_leave();
    return ret;
}

struct disconnect { struct loop_task task; session_id session; };

static void run_disconnect(struct loop_task *t)
{
    struct disconnect *d = CONTAINER_OF(t, struct disconnect, task);
    struct peer *p = peer_get(session_peer(d->session));
    struct session *s = atomic_load_explicit(&p->session, memory_order_acquire);

    if (s != NULL && s->id == d->session)
        session_end(s, PEER_END_LOCAL);
    mem_free(d);
}

void peer_disconnect(session_id id)
{
    struct peer *p = peer_get(session_peer(id));
    struct disconnect *d;

    if (p == NULL)
        return;
    d = MEM_NEW(struct disconnect);
    d->task.run = run_disconnect;
    d->session = id;
    /* From a callback: at once, so that nothing more leaves. A process that this thread runs as a
     * guest is no callback: it may hold locks. */
    if (loop_here(p->loop) && sched_self == NULL)
        run_disconnect(&d->task);
    else
        loop_post(p->loop, &d->task);
}

void peer_hint(peer_id id, const struct net_addr *addrs, size_t n)
{
    struct peer *p = peer_get(id);

    if (p == NULL)
        return;
    spin_lock(&p->lock);
    for (size_t i = n; i-- > 0;) {
        unsigned k = 0;

        while (k < p->n_addrs && memcmp(&p->addrs[k], &addrs[i], sizeof addrs[i]) != 0)
            k++;
        if (k == p->n_addrs && p->n_addrs < ARRAY_LEN(p->addrs))
            p->n_addrs++;
        if (k == ARRAY_LEN(p->addrs))
            k--;
        memmove(&p->addrs[1], &p->addrs[0], k * sizeof p->addrs[0]);
        p->addrs[0] = addrs[i];
    }
    spin_unlock(&p->lock);
}

/* --- registration ---------------------------------------------------------------------------------- */

void peer_handle(enum frame_kind kind, peer_rx_fn *fn)
{
    ASSERT(peer_handlers[kind] == NULL);
    peer_handlers[kind] = fn;
}

void peer_watch(struct peer_watch *w)
{
    struct peer_watch **at = &peer_watches;

    while (*at != NULL)
        at = &(*at)->next;
    w->next = NULL;
    *at = w;
    w->next_reversed = peer_watches_reversed;
    peer_watches_reversed = w;
}

uint32_t kind_rights(unsigned kind)
{
#define RIGHTS_ANY       0
#define RIGHTS_PEER      RIGHT_PEER
#define RIGHTS_PEER_LEAF RIGHT_PEER | RIGHT_LEAF
#define RIGHTS_SPAWN     RIGHT_SPAWN
#define RIGHTS_REGISTRAR RIGHT_REGISTRAR
#define RIGHTS_DEPLOY    RIGHT_DEPLOY
#define RIGHTS_VIEW      RIGHT_VIEW
#define RIGHTS_GATEWAY   RIGHT_GATEWAY
#define RIGHTS_JOIN      1u << 31           /* nobody has it: joins are not sessions */
    switch (kind) {
#define FRAME(number, name, Type, lane, rights, summary) case number: return RIGHTS_##rights;
#include "wire/frames.tab"
#undef FRAME
    default:
        return 0;
    }
}

const char *peer_end_text(enum peer_end why)
{
    static const char *const texts[PEER_END_COUNT] = {
        [PEER_END_CLOSED] = "the connection was closed",
        [PEER_END_SILENT] = "silent for too long",
        [PEER_END_UNREACHABLE] = "not reachable",
        [PEER_END_REFUSED] = "refused",
        [PEER_END_RESTARTED] = "runs again under a new creation",
        [PEER_END_GOODBYE] = "said goodbye",
        [PEER_END_IDLE] = "not in use",
        [PEER_END_LOCAL] = "ended here",
        [PEER_END_REVOKED] = "its key was revoked",
        [PEER_END_PROTOCOL] = "broke the protocol",
        [PEER_END_OVERRUN] = "too much was queued for it",
        [PEER_END_STALLED] = "took nothing for too long",
    };

    return (unsigned)why < PEER_END_COUNT ? texts[why] : "?";
}
