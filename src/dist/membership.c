/* SPDX-License-Identifier: Apache-2.0 */
/*
 * membership.c - hooks of the cluster thread, and what it does every second
 */
#include "dist/membership.h"

#include "cluster/mdns.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/epoch.h"
#include "base/errors.h"
#include "base/log.h"
#include "base/metric.h"
#include "dist/flock_attr.h"
#include "dist/peer_ring.h"
#include "dist/share.h"
#include "net/loop.h"
#include "vm/hooks.h"
#include "vm/process_priv.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#define FRAME_ORDER      0x676f7373ull      /* one order key: parts of a push/pull stay in order */
#define SILENT_NS        ((int64_t)5 * 1000000000)
#define SEED_TICKS_MAX   30                 /* seconds between tries of seeds, at most */
#define TEND_TICKS 600          /* is the secret of the cluster due */
#define NOTE_TICKS       60                 /* seconds between notes when only figures change */
#define FOUND_KEPT       64                 /* addresses of mDNS that were tried lately */
#define FOUND_WAIT_NS    ((int64_t)10 * 1000000000)     /* until an address is tried again, first */
#define FOUND_WAIT_MAX   ((int64_t)3600 * 1000000000)

static struct {
    _Atomic(struct cluster *) cluster;      /* [any] */
    struct membership_options opt;          /* [set] */
    struct event *second;                   /* cluster thread */
    unsigned tick, seed_tick, seed_wait;    /* cluster thread */
    uint64_t noted_processes;               /* cluster thread */
    struct mdns *mdns;                      /* [set] NULL: not wanted, or it does not work here */
} membership;

/* An address that mDNS gave. Avahi's thread only. */
static struct { struct net_addr addr; int64_t next_ns, wait_ns; } found[FOUND_KEPT];

static pthread_mutex_t labels_lock = PTHREAD_MUTEX_INITIALIZER;
static struct buf labels;                   /* [lk labels_lock] as attributes */
static _Atomic bool labels_changed;         /* [any] the note is to be written anew */

/* Held for reading by threads that post to the cluster, for writing while it goes away. */
static pthread_rwlock_t gate = PTHREAD_RWLOCK_INITIALIZER;

struct cluster *membership_cluster(void)
{
    return atomic_load_explicit(&membership.cluster, memory_order_acquire);
}

/* --- hooks of cluster/ ------------------------------------------------------------------------------- */

static bool hook_frame(void *arg, uint64_t nid, enum gossip_frame kind, const uint8_t *data,
                       size_t len)
{
    peer_id id = peer_by_nid(nid);

    return id != 0 && peer_send(session_any(id), peer_frame_packed((enum frame_kind)kind, data, len),
                                FRAME_ORDER, 0, NULL) <= PEER_BUSY;
}

static int64_t hook_heard(void *arg, uint64_t nid)
{
    struct peer_info info;
    peer_id id = peer_by_nid(nid);

    if (id == 0 || !peer_info(id, &info) || (info.state != PEER_UP && info.state != PEER_SUSPECT))
        return -1;
    return info.last_heard_ns;
}

static bool hook_member_key(void *arg, const uint8_t key[MEMBER_KEY_BYTES])
{
    struct ring_member m;

    /* Ourselves always: a node by itself has no ring. */
    return memcmp(key, peer_self.key, NODE_KEY_BYTES) == 0
        || (ring_lookup(key, &m) && ring_is_member(&m));
}

static bool hook_seal_key(void *arg, uint8_t *ret_epoch, struct secret *ret)
{
    uint32_t epoch = ring_epoch();

    *ret_epoch = (uint8_t)epoch;
    return epoch != 0 && ring_gossip_secret((uint8_t)epoch, ret);
}

static bool hook_open_key(void *arg, uint8_t epoch, struct secret *ret)
{
    return ring_gossip_secret(epoch, ret);
}

static void hook_sign(void *arg, const char *label, const uint8_t *data, size_t len,
                      uint8_t sig[MEMBER_SIG_BYTES])
{
    identity_sign(ring_identity(), label, data, len, sig);
}

/* --- hooks of peers ----------------------------------------------------------------------------------- */

static int on_frame(const struct peer_rx *rx)
{
    struct cluster *c;
    struct peer_info info;

    pthread_rwlock_rdlock(&gate);
    c = membership_cluster();
    if (c != NULL && peer_info(session_peer(rx->session), &info))
        cluster_frame(c, info.nid, (enum gossip_frame)rx->kind, rx->body.data, rx->body.len);
    pthread_rwlock_unlock(&gate);
    return 0;
}

static void on_up(const struct peer_info *p)
{
    struct cluster *c;

    pthread_rwlock_rdlock(&gate);
    c = membership_cluster();
    if (c != NULL && !p->hidden)
        cluster_session_up(c, p->nid);
    pthread_rwlock_unlock(&gate);
}

static void on_revoked(const uint8_t *key)
{
    struct cluster *c;

    pthread_rwlock_rdlock(&gate);
    c = membership_cluster();
    if (c != NULL)
        cluster_forget(c, node_nid(key));
    pthread_rwlock_unlock(&gate);
}

void membership_init(void)
{
    static struct peer_watch watch = { .up = on_up };
    static struct ring_watch ring = { .revoked = on_revoked };

    peer_watch(&watch);
    ring_watch(&ring);
    peer_handle(KIND_push_pull, on_frame);
    peer_handle(KIND_indirect_ping, on_frame);
    peer_handle(KIND_indirect_pong, on_frame);
}

/* --- events ------------------------------------------------------------------------------------------- */

static void hint(const struct record *rec)
{
    struct net_addr addrs[MEMBER_ADDRS_MAX];
    peer_id id = peer_by_nid(rec->nid);

    for (unsigned i = 0; i < rec->n_addrs && i < MEMBER_ADDRS_MAX; i++)
        addrs[i] = record_addr(rec, i);
    if (id != 0)
        peer_hint(id, addrs, rec->n_addrs);
}

/* The others say that it is gone, and we have not heard from it for long, either. */
static void end_silent(uint64_t nid)
{
    struct peer_info info;
    peer_id id = peer_by_nid(nid);

    if (id != 0 && peer_info(id, &info) && info.session != 0
        && clock_monotonic_ns() - info.last_heard_ns > SILENT_NS)
        peer_disconnect(info.session);
}

static void on_event(struct cluster_watch *w, const struct member_event *ev)
{
    switch (ev->kind) {
    case MEMBER_EV_ALIVE:
    case MEMBER_EV_UPDATED:
        if (ev->nid != peer_self.nid)
            hint(ev->rec);
        break;
    case MEMBER_EV_DEAD:
    case MEMBER_EV_LEFT:
        end_silent(ev->nid);
        break;
    case MEMBER_EV_CLONED:
        if (vm_halt_hook != NULL)
            vm_halt_hook(EX_CONFIG, false, true);
        break;
    default:
        break;
    }
}

/* --- mDNS ---------------------------------------------------------------------------------------------- */

static bool mdns_keys_of(uint32_t epoch, struct mdns_keys *ret)
{
    ret->epoch = (uint8_t)epoch;
    ring_tag((uint16_t)epoch, ret->tag);
    return epoch != 0 && ring_secret((uint16_t)epoch, SECRET_MDNS, &ret->key);
}

static bool mdns_current(void *arg, struct mdns_keys *ret)
{
    return mdns_keys_of(ring_epoch(), ret);
}

/* The present epoch and the one before. */
static bool mdns_keys(void *arg, uint8_t epoch, struct mdns_keys *ret)
{
    uint32_t now = ring_epoch();

    if (epoch != (uint8_t)now && epoch != (uint8_t)(now - 1))
        return false;
    return mdns_keys_of(epoch == (uint8_t)now ? now : now - 1, ret);
}

/* Has a member with this address a session with us, or is it ourselves? */
static bool is_met(const struct net_addr *a)
{
    struct cluster *c = membership_cluster();
    bool met = false;

    epoch_enter();
    const struct cluster_snapshot *s = c != NULL ? cluster_snapshot(c) : NULL;
    for (uint32_t i = 0; s != NULL && i < s->n && !met; i++)
        if (memcmp(&s->members[i].addr, a, sizeof(*a)) == 0) {
            peer_id id = s->members[i].self ? 0 : peer_by_nid(s->members[i].nid);

            met = s->members[i].self || (id != 0 && peer_session(id) != 0);
        }
    epoch_leave();
    return met;
}

/* One dial at a time for an address, less and less often. */
static bool may_dial(const struct net_addr *a, int64_t now)
{
    unsigned at = (unsigned)(net_addr_block(a) ^ a->ip[15] ^ a->port) % FOUND_KEPT;

    if (memcmp(&found[at].addr, a, sizeof(*a)) != 0) {
        found[at].addr = *a;
        found[at].wait_ns = FOUND_WAIT_NS;
    } else if (now < found[at].next_ns) {
        return false;
    } else if (found[at].wait_ns < FOUND_WAIT_MAX) {
        found[at].wait_ns *= 2;
    }
    found[at].next_ns = now + found[at].wait_ns;
    return true;
}

static void mdns_found(void *arg, const struct mdns_entry *e)
{
    for (unsigned i = 0; i < e->n_addrs; i++)
        if (is_met(&e->addrs[i]))
            return;
    for (unsigned i = 0; i < e->n_addrs; i++)
        if (may_dial(&e->addrs[i], clock_monotonic_ns()))
            peer_dial_seed(&e->addrs[i]);
}

static void start_mdns(const struct gossip_self *self)
{
    struct mdns_hooks hooks = { .current = mdns_current, .keys = mdns_keys, .found = mdns_found };
    struct mdns_options mo = { .nid = peer_self.nid, .port = self->addrs[0].port,
                               .interfaces = membership.opt.mdns_interfaces };

    mo.entry.gossip_port = self->addrs[0].port;
    for (unsigned i = 0; i < self->n_addrs && i < MDNS_ADDRS_MAX; i++)
        mo.entry.addrs[mo.entry.n_addrs++] = self->addrs[i];
    if (mdns_start(&mo, &hooks, &membership.mdns) < 0)
        LOG(WARNING, "mdns.start", NULL, "mDNS does not work here; members are found by gossip and "
            "cluster.join alone");
}

/* --- once a second ------------------------------------------------------------------------------------- */

void membership_labels(const char *const *items)
{
    struct buf fresh = { 0 };

    for (size_t i = 0; items != NULL && items[i] != NULL; i++) {
        const char *eq = strchr(items[i], '=');
        char *key = eq == NULL ? NULL : mem_printf("%.*s", (int)(eq - items[i]), items[i]);

        /* Some room is left for version and processes. */
        if (key != NULL && fresh.len + strlen(items[i]) + 5 <= MEMBER_META_MAX - 96)
            (void)!attrs_add_text(&fresh, key, eq + 1);
        mem_free(key);
    }
    pthread_mutex_lock(&labels_lock);
    buf_fini(&labels);
    labels = fresh;
    pthread_mutex_unlock(&labels_lock);
    atomic_store(&labels_changed, true);
}

static void write_note(struct cluster *c)
{
    struct buf b = { 0 };
    char number[24];
    int rc = attrs_add_text(&b, "version", membership.opt.version);

    atomic_store(&labels_changed, false);
    membership.noted_processes = process_count();
    snprintf(number, sizeof(number), "%llu", (unsigned long long)membership.noted_processes);
    if (rc == 0)
        rc = attrs_add_text(&b, "processes", number);
    pthread_mutex_lock(&labels_lock);
    if (rc == 0 && b.len + labels.len <= MEMBER_META_MAX)
        buf_add(&b, labels.data, labels.len);
    pthread_mutex_unlock(&labels_lock);
    cluster_set_note(c, b.data, b.len);
    buf_fini(&b);
}

/* Sessions with members that should have one. */
static void keep_sessions(const struct cluster_snapshot *s)
{
    uint32_t present = 0;

    for (uint32_t i = 0; i < s->n; i++)
        present += s->members[i].state <= MEMBER_SUSPECT;
    if (present > membership.opt.mesh && !share_is_used())
        return;
    for (uint32_t i = 0; i < s->n; i++) {
        const struct cluster_member *m = &s->members[i];
        peer_id id = m->self || m->state > MEMBER_SUSPECT ? 0 : peer_by_nid(m->nid);

        if (id != 0 && peer_session(id) == 0)
            (void)peer_connect(id);
    }
}

static bool someone_up(void *arg, const struct peer_info *p)
{
    *(bool *)arg |= p->state == PEER_UP;
    return !*(bool *)arg;
}

/* Dial the seeds, less and less often, as long as nobody is there. */
static void try_seeds(void)
{
    const char *const *seeds = membership.opt.seeds;
    bool up = false;

    if (seeds == NULL || seeds[0] == NULL)
        return;
    peer_visit(someone_up, &up);
    if (up) {
        membership.seed_wait = 0;
        membership.seed_tick = membership.tick;
        return;
    }
    if (membership.tick < membership.seed_tick)
        return;
    membership.seed_wait = membership.seed_wait == 0 ? 1 : 2 * membership.seed_wait;
    if (membership.seed_wait > SEED_TICKS_MAX)
        membership.seed_wait = SEED_TICKS_MAX;
    membership.seed_tick = membership.tick + membership.seed_wait;
    for (size_t i = 0; seeds[i] != NULL; i++) {
        struct net_addr a;

        if (net_addr_parse(seeds[i], 7465, &a) == 0)
            peer_dial_seed(&a);
    }
}

static void on_second(evutil_socket_t fd, short what, void *arg)
{
    struct cluster *c = arg;
    struct peer_vital v = { 0 };
    uint64_t now = process_count();

    membership.tick++;
    if (peer_vital_hook != NULL)
        peer_vital_hook(&v);
    cluster_set_load(c, v.load);
    if ((membership.tick % NOTE_TICKS == 1 && now != membership.noted_processes)
        || atomic_load(&labels_changed))
        write_note(c);
    epoch_enter();
    keep_sessions(cluster_snapshot(c));
    epoch_leave();
    if (membership.mdns != NULL)
        mdns_refresh(membership.mdns);
    try_seeds();
    if (membership.tick % TEND_TICKS == 0)
        ring_tend();
}

/* --- metrics ------------------------------------------------------------------------------------------- */

static void emit_kinds(struct metric_sink *sink, const struct gossip_stats *st)
{
    static const char *const names[GOSSIP_KINDS] = {
        [GOSSIP_PING] = "ping", [GOSSIP_ACK] = "ack", [GOSSIP_PING_REQ] = "ping_req",
        [GOSSIP_NACK] = "nack", [GOSSIP_ALIVE] = "alive", [GOSSIP_SUSPECT] = "suspect",
        [GOSSIP_DEAD] = "dead", [GOSSIP_NOTE] = "note", [GOSSIP_ASK] = "ask" };
    static const char *const ends[SUSPICION_ENDS] = { "dead", "refuted", "contact" };
    char label[48];

    for (int k = GOSSIP_PING; k < GOSSIP_KINDS; k++) {
        snprintf(label, sizeof(label), "kind=\"%s\"", names[k]);
        metric_emit(sink, M_gossip_messages, label, (double)st->items_in[k]);
    }
    for (int k = 0; k < SUSPICION_ENDS; k++) {
        snprintf(label, sizeof(label), "end=\"%s\"", ends[k]);
        metric_emit(sink, M_suspicions, label, (double)st->suspicions_ended[k]);
    }
}

static void measure(struct metric_sink *sink, void *arg)
{
    struct cluster *c = membership_cluster();
    unsigned by_state[MEMBER_STATES] = { 0 };
    char label[48];

    if (c == NULL)
        return;
    epoch_enter();
    const struct cluster_snapshot *s = cluster_snapshot(c);
    for (uint32_t i = 0; i < s->n; i++)
        by_state[s->members[i].state]++;
    for (int k = 0; k < MEMBER_STATES; k++) {
        snprintf(label, sizeof(label), "state=\"%s\"", member_state_text((enum member_state)k));
        metric_emit(sink, M_members, label, by_state[k]);
    }
    metric_emit(sink, M_gossip_health, NULL, cluster_health(c));
    metric_emit(sink, M_gossip_queue, NULL, s->queue);
    metric_emit(sink, M_merge_mode, NULL, s->merging);
    emit_kinds(sink, &s->stats);
    epoch_leave();
}

/* --- start and stop ------------------------------------------------------------------------------------ */

static void fill_self(struct gossip_self *self, struct net_addr *ret_bind)
{
    struct net_addr bound[4];
    size_t n = peer_listening(bound, ARRAY_LEN(bound));

    *self = (struct gossip_self){ .creation = peer_self.creation, .proto_min = 1, .proto_max = 1,
                                  .name = peer_self.name };
    memcpy(self->key, peer_self.key, sizeof(self->key));
    memcpy(self->boot_id, peer_self.boot_id, sizeof(self->boot_id));
    *ret_bind = bound[0];
    for (size_t i = 0; i < n && self->n_addrs < MEMBER_ADDRS_MAX; i++)
        self->n_addrs += (unsigned)cluster_own_addrs(&bound[i], &self->addrs[self->n_addrs],
                                                     MEMBER_ADDRS_MAX - self->n_addrs);
}

static void begin(void *arg)
{
    struct cluster *c = arg;
    struct timeval second = { .tv_sec = 1 };

    membership.second = event_new(loop_base(cluster_loop(c)), -1, EV_PERSIST, on_second, c);
    event_add(membership.second, &second);
    write_note(c);
}

static bool tell_up(void *arg, const struct peer_info *p)
{
    if (p->state == PEER_UP && !p->hidden)
        cluster_session_up(arg, p->nid);
    return true;
}

int membership_start(const struct membership_options *o)
{
    static struct cluster_watch watch = { .event = on_event };
    struct cluster_hooks hooks = { .frame = hook_frame, .heard_ns = hook_heard,
                                   .member_key = hook_member_key, .seal_key = hook_seal_key,
                                   .open_key = hook_open_key, .sign = hook_sign };
    struct cluster_options co = { .udp = o->udp };
    struct cluster *c;
    int rc, saved = 0;

    membership.opt = *o;
    gossip_config_default(&co.gossip);
    co.gossip.period_ns = o->period_ns;
    fill_self(&co.self, &co.bind);
    rc = cluster_start(&co, &hooks, &c);
    if (rc < 0 && o->udp) {
        saved = errno;
        co.udp = false;
        if (cluster_start(&co, &hooks, &c) < 0)
            return rc;
    }
    cluster_watch_add(c, &watch);
    atomic_store_explicit(&membership.cluster, c, memory_order_release);
    if (o->mdns)
        start_mdns(&co.self);
    loop_call(cluster_loop(c), begin, c);
    /* Sessions that came up before there was anybody to tell. */
    peer_visit(tell_up, c);
    metric_collector_add(measure, NULL);
    errno = saved;
    return rc;
}

static uint32_t others_present(struct cluster *c)
{
    uint32_t n = 0;

    epoch_enter();
    const struct cluster_snapshot *s = cluster_snapshot(c);
    for (uint32_t i = 0; i < s->n; i++)
        n += !s->members[i].self && s->members[i].state == MEMBER_ALIVE;
    epoch_leave();
    return n;
}

void membership_leave(void)
{
    struct cluster *c = membership_cluster();

    if (c != NULL && others_present(c) > 0)
        cluster_leave(c);
}

static void end(void *arg)
{
    event_free(membership.second);
}

void membership_stop(void)
{
    struct cluster *c = membership_cluster();

    if (c == NULL)
        return;
    pthread_rwlock_wrlock(&gate);
    atomic_store_explicit(&membership.cluster, NULL, memory_order_release);
    pthread_rwlock_unlock(&gate);
    loop_call(cluster_loop(c), end, NULL);
    mdns_stop(TAKE(membership.mdns));
    cluster_stop(c);
}

/* --- notes of others ------------------------------------------------------------------------------------ */

static void about_attr(void *arg, const char *key, const char *value)
{
    struct member_about *about = arg;
    size_t n = strlen(about->labels);

    if (strcmp(key, "version") == 0)
        snprintf(about->version, sizeof(about->version), "%s", value);
    else if (strcmp(key, "processes") == 0)
        about->processes = strtoull(value, NULL, 10);
    else
        snprintf(about->labels + n, sizeof(about->labels) - n, "%s%s=%s", n > 0 ? " " : "", key,
                 value);
}

void membership_about(const struct cluster_member *m, struct member_about *ret)
{
    *ret = (struct member_about){ 0 };
    if (m->meta != NULL && attrs_ok(m->meta, m->meta_len))
        attrs_visit_texts(m->meta, m->meta_len, about_attr, ret);
}
