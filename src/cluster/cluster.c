/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cluster.c - the cluster thread
 *
 * Threads: everything marked [own] belongs to the loop thread. Others post a struct post, or read
 * the snapshot, which is replaced as a whole and retired through the epoch.
 */
#include "cluster/cluster.h"
#include "auth/identity.h"
#include "base/alloc.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/epoch.h"
#include "base/errors.h"
#include "base/log.h"
#include "base/metric.h"
#include "net/loop.h"

#include <errno.h>
#include <event2/event.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define MS 1000000ll
#define S  1000000000ll

#define HEAD_BYTES      4
#define DATAGRAM_MAX    (HEAD_BYTES + DATAGRAM_OVERHEAD + GOSSIP_PLAIN_MAX)
#define READS_A_TURN    64
#define SOURCES         256             /* counters of senders; a power of two */
#define LEAVE_NS        (2 * S)
#define RECEIVE_BUFFER  (1 << 20)

static const char label_member[] = "rn member 1", label_note[] = "rn note 1";

/* What members last said of their load. */
struct vital_seen {
    uint32_t load, health;
    int64_t at_ns;
};

struct cluster {
    struct loop *loop;                              /* [set] */
    struct cluster_hooks hooks;                     /* [set] */
    int fd;                                         /* [set] -1: no UDP */
    bool v6;                                        /* [set] */
    struct record_pool pool;                        /* [own] */
    struct gossip *g;                               /* [own] */
    struct event *readable, *timer, *publish_timer; /* [own] */
    struct cluster_watch *watches;                  /* [own] */
    struct idmap vitals;                            /* [own] nid -> struct vital_seen */
    uint32_t load;                                  /* [own] */
    bool publish_due, sealed_before, stopping;      /* [own] */
    int64_t published_ns;                           /* [own] */
    uint64_t version;                               /* [own] */
    int64_t second;                                 /* [own] of the counters below */
    uint32_t in_second, from_source[SOURCES];       /* [own] */
    _Atomic(struct cluster_snapshot *) snapshot;    /* [epoch] release, with acquire in readers */
    _Atomic uint64_t digest;                        /* [any] a hint */
    _Atomic uint32_t health;                        /* [any] a hint */
};

/* --- snapshots ----------------------------------------------------------------------------------- */

static void fill_member(struct cluster *c, const struct member *m, struct cluster_member *out,
                        char **text, uint8_t **meta, int64_t now)
{
    const struct record *r = m->rec;
    const struct note *note = gossip_note(c->g, r->nid);
    const struct vital_seen *v = idmap_get(&c->vitals, r->nid);

    *out = (struct cluster_member){
        .nid = r->nid, .incarnation = r->incarnation, .features = r->features,
        .creation = r->creation, .state = m->state, .self = r->nid == gossip_nid(c->g),
        .since_ns = m->since_s * S, .rtt_us = m->rtt_100us * 100u, .addr = record_addr(r, m->addr),
        .name = *text,
    };
    memcpy(out->key, record_key(r), sizeof(out->key));
    memcpy(*text, record_name(r), r->name_len);
    (*text)[r->name_len] = 0;
    *text += r->name_len + 1;
    if (note != NULL) {
        out->meta = memcpy(*meta, note->meta, note->len);
        out->meta_len = note->len;
        *meta += note->len;
    }
    if (v != NULL) {
        out->load = v->load;
        out->health = v->health;
        out->load_at_ns = v->at_ns;
    }
    if (out->self) {
        out->load = c->load;
        out->health = gossip_health(c->g);
        out->load_at_ns = now;
    }
}

static void publish(struct cluster *c)
{
    const struct roster *v = gossip_roster(c->g);
    size_t bytes = sizeof(struct cluster_snapshot) + v->n * sizeof(struct cluster_member);
    struct cluster_snapshot *s, *old;
    int64_t now = clock_monotonic_ns();
    uint8_t *meta;
    char *text;

    ROSTER_EACH(v, m) {
        const struct note *note = gossip_note(c->g, m->rec->nid);

        bytes += m->rec->name_len + 1u + (note != NULL ? note->len : 0);
    }
    s = mem_alloc(bytes);
    *s = (struct cluster_snapshot){ .version = ++c->version, .merging = gossip_merging(c->g),
                                    .queue = gossip_queue(c->g), .stats = *gossip_stats(c->g) };
    text = (char *)&s->members[v->n];
    meta = (uint8_t *)text;
    ROSTER_EACH(v, m)
        meta += m->rec->name_len + 1u;
    ROSTER_EACH(v, m)
        fill_member(c, m, &s->members[s->n++], &text, &meta, now);
    old = atomic_exchange_explicit(&c->snapshot, s, memory_order_acq_rel);
    if (old != NULL)
        epoch_retire(old, mem_free);
    c->publish_due = false;
    c->published_ns = now;
}

const struct cluster_snapshot *cluster_snapshot(struct cluster *c)
{
    return atomic_load_explicit(&c->snapshot, memory_order_acquire);
}

const struct cluster_member *cluster_find(const struct cluster_snapshot *s, uint64_t nid)
{
    uint32_t low = 0, high = s->n;

    while (low < high) {
        uint32_t mid = low + (high - low) / 2;

        if (s->members[mid].nid < nid)
            low = mid + 1;
        else
            high = mid;
    }
    return low < s->n && s->members[low].nid == nid ? &s->members[low] : NULL;
}

const struct cluster_member *cluster_find_name(const struct cluster_snapshot *s, const char *name)
{
    for (uint32_t i = 0; i < s->n; i++)
        if (strcmp(s->members[i].name, name) == 0)
            return &s->members[i];
    return NULL;
}

const char *member_state_text(enum member_state state)
{
    static const char *const text[MEMBER_STATES] = { "alive", "suspect", "dead", "left" };

    return text[state];
}

/* --- time ----------------------------------------------------------------------------------------- */

static void arm(struct event *ev, int64_t in_ns)
{
    struct timeval tv;

    if (in_ns < 0)
        in_ns = 0;
    tv.tv_sec = in_ns / S;
    tv.tv_usec = in_ns % S / 1000 + 1;
    event_add(ev, &tv);
}

/* After everything that touched the core. */
static void settle(struct cluster *c)
{
    const struct roster *v = gossip_roster(c->g);

    atomic_store_explicit(&c->digest, v->digest, memory_order_relaxed);
    atomic_store_explicit(&c->health, gossip_health(c->g), memory_order_relaxed);
    arm(c->timer, gossip_next_ns(c->g) - clock_monotonic_ns());
    if (!c->publish_due)
        return;
    if (event_pending(c->publish_timer, EV_TIMEOUT, NULL) == 0)
        arm(c->publish_timer, c->published_ns + CLUSTER_SNAPSHOT_MS * MS - clock_monotonic_ns());
}

static void on_publish(evutil_socket_t fd, short what, void *arg)
{
    epoch_enter();
    publish(arg);
    epoch_leave();
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct cluster *c = arg;

    gossip_tick(c->g, clock_monotonic_ns());
    settle(c);
}

/* --- datagrams ------------------------------------------------------------------------------------- */

static void env_datagram(void *arg, const struct net_addr *to, const uint8_t *plain, size_t len)
{
    struct cluster *c = arg;
    uint8_t out[DATAGRAM_MAX] = { 0x52, 0x01 };
    struct sockaddr_storage sa;
    struct secret key;
    socklen_t sa_len;
    size_t n;

    if (c->fd < 0 || !c->hooks.seal_key(c->hooks.arg, &out[2], &key))
        return;
    n = HEAD_BYTES + datagram_seal(&key, out, HEAD_BYTES, plain, len, out + HEAD_BYTES);
    secret_wipe(&key, sizeof(key));
    sa_len = net_addr_to_sock(to, &sa);
    if (c->v6 && net_addr_is_v4(to)) {
        struct sockaddr_in6 *in6 = memset(&sa, 0, sizeof(sa));

        in6->sin6_family = AF_INET6;
        memcpy(&in6->sin6_addr, to->ip, 16);
        in6->sin6_port = htons(to->port);
        sa_len = sizeof(*in6);
    }
    /* A full socket buffer or an unreachable host is loss, which the protocol expects. */
    if (sendto(c->fd, out, n, MSG_DONTWAIT, (struct sockaddr *)&sa, sa_len) == (ssize_t)n)
        metric_inc(M_gossip_out);
}

/* Not too many of this second, nor from this source? */
static bool within_limits(struct cluster *c, const struct net_addr *from, int64_t now)
{
    uint32_t *source = &c->from_source[net_addr_block(from) * 0x9e3779b97f4a7c15u >> 56];

    if (now / S != c->second) {
        c->second = now / S;
        c->in_second = 0;
        memset(c->from_source, 0, sizeof(c->from_source));
    }
    return c->in_second++ < CLUSTER_DATAGRAMS_S && (*source)++ < CLUSTER_SOURCE_S;
}

static void datagram_in(struct cluster *c, const struct net_addr *from, const uint8_t *data,
                        size_t len)
{
    uint8_t plain[GOSSIP_PLAIN_MAX];
    int64_t now = clock_monotonic_ns();
    struct secret key;
    bool good;

    if (!within_limits(c, from, now)) {
        metric_inc(M_gossip_shed);
        return;
    }
    if (len < HEAD_BYTES + DATAGRAM_OVERHEAD || len > DATAGRAM_MAX || data[0] != 0x52
        || data[1] != 0x01 || data[3] != 0
        || !c->hooks.open_key(c->hooks.arg, data[2], &key)) {
        metric_inc(M_gossip_refused);
        return;
    }
    good = datagram_open(&key, data, HEAD_BYTES, data + HEAD_BYTES, len - HEAD_BYTES, plain);
    secret_wipe(&key, sizeof(key));
    if (!good) {
        metric_inc(M_gossip_refused);
        return;
    }
    metric_inc(M_gossip_in);
    gossip_datagram(c->g, now, from, plain, len - HEAD_BYTES - DATAGRAM_OVERHEAD);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct cluster *c = arg;

    for (int i = 0; i < READS_A_TURN; i++) {
        uint8_t data[DATAGRAM_MAX + 1];
        struct sockaddr_storage sa;
        socklen_t sa_len = sizeof(sa);
        struct net_addr from;
        ssize_t n = recvfrom(c->fd, data, sizeof(data), MSG_DONTWAIT, (struct sockaddr *)&sa,
                             &sa_len);

        if (n < 0 && errno != EINTR && errno != ECONNREFUSED)
            break;
        if (n > 0 && net_addr_from_sock((struct sockaddr *)&sa, &from))
            datagram_in(c, &from, data, (size_t)n);
    }
    settle(c);
}

/* --- what the core asks for ------------------------------------------------------------------------ */

static bool env_frame(void *arg, uint64_t nid, enum gossip_frame kind, const uint8_t *data,
                      size_t len)
{
    struct cluster *c = arg;

    return c->hooks.frame(c->hooks.arg, nid, kind, data, len);
}

static int64_t env_heard(void *arg, uint64_t nid)
{
    struct cluster *c = arg;

    return c->hooks.heard_ns(c->hooks.arg, nid);
}

static uint64_t env_nid_of(void *arg, const uint8_t key[MEMBER_KEY_BYTES])
{
    struct cluster *c = arg;

    return c->hooks.member_key(c->hooks.arg, key) ? node_nid(key) : 0;
}

static const char *label_of(enum gossip_kind kind)
{
    return kind == GOSSIP_NOTE ? label_note : label_member;
}

/* A note is signed with its version in front, so that an old one cannot be told as a newer. */
static void sign_bytes(struct buf *b, uint64_t version, const uint8_t *meta, size_t len)
{
    buf_be(b, version, 8);
    buf_add(b, meta, len);
}

static void env_sign(void *arg, enum gossip_kind kind, uint64_t version, const uint8_t *data,
                     size_t len, uint8_t sig[MEMBER_SIG_BYTES])
{
    struct cluster *c = arg;
    struct buf b = { 0 };

    if (kind == GOSSIP_NOTE)
        sign_bytes(&b, version, data, len);
    else
        buf_add(&b, data, len);
    c->hooks.sign(c->hooks.arg, label_of(kind), b.data, b.len, sig);
    buf_fini(&b);
}

static bool verify_record(void *arg, const struct member_body *b, const uint8_t *body, size_t len,
                          const uint8_t *sig)
{
    return signature_ok(b->key, label_member, body, len, sig);
}

static bool env_verify_note(void *arg, const struct record *rec, const struct gossip_item *note)
{
    struct buf b = { 0 };
    bool ok;

    sign_bytes(&b, note->incarnation, note->body, note->body_len);
    ok = signature_ok(record_key(rec), label_note, b.data, b.len, note->sig);
    buf_fini(&b);
    return ok;
}

static void log_event(const struct member_event *ev)
{
    char name[MEMBER_NAME_MAX + 1] = "", letters[NODE_LETTERS];

    if (ev->rec != NULL)
        snprintf(name, sizeof(name), "%.*s", (int)ev->rec->name_len, record_name(ev->rec));
    switch (ev->kind) {
    case MEMBER_EV_ALIVE:
        LOG(INFO, "member.alive", LOG_FIELDS("member", name, "id", nid_letters(ev->nid, letters)),
            "%s is there", name);
        break;
    case MEMBER_EV_SUSPECT:
        LOG(NOTICE, "member.suspect", LOG_FIELDS("member", name), "%s does not answer", name);
        break;
    case MEMBER_EV_DEAD:
        LOG(WARNING, "member.dead", LOG_FIELDS("member", name), "%s is gone", name);
        break;
    case MEMBER_EV_LEFT:
        LOG(INFO, "member.left", LOG_FIELDS("member", name), "%s has left", name);
        break;
    case MEMBER_EV_CLONED:
        LOG(CRITICAL, "peer.cloned", NULL, "another node runs with the key of this one, and was "
            "started later: give each node its own key");
        break;
    case MEMBER_EV_MERGE_BEGIN:
        LOG(NOTICE, "merge.begin", NULL, "two parts of the cluster have met");
        break;
    case MEMBER_EV_MERGE_END:
        LOG(NOTICE, "merge.end", NULL, "the cluster is one again");
        break;
    default:
        break;
    }
}

static void see_vital(struct cluster *c, const struct member_event *ev)
{
    struct vital_seen *v = idmap_get(&c->vitals, ev->nid);

    if (v == NULL) {
        v = MEM_NEW(struct vital_seen);
        idmap_put(&c->vitals, ev->nid, v);
    }
    *v = (struct vital_seen){ ev->vital->load, ev->vital->health, clock_monotonic_ns() };
}

static void env_event(void *arg, const struct member_event *ev)
{
    struct cluster *c = arg;

    if (ev->kind == MEMBER_EV_VITAL)
        see_vital(c, ev);
    else if (ev->kind == MEMBER_EV_FORGOTTEN)
        mem_free(idmap_take(&c->vitals, ev->nid));
    else
        log_event(ev);
    c->publish_due = true;
    for (struct cluster_watch *w = c->watches; w != NULL; w = w->next)
        w->event(w, ev);
}

/* --- what others ask for --------------------------------------------------------------------------- */

enum post_kind { POST_UP, POST_FRAME, POST_FORGET, POST_NOTE, POST_LOAD };

struct post {
    struct loop_task task;
    struct cluster *c;
    enum post_kind kind;
    uint64_t nid;
    uint32_t number;
    size_t len;
    uint8_t data[];
};

static void run_post(struct loop_task *t)
{
    struct post *p = CONTAINER_OF(t, struct post, task);
    struct cluster *c = p->c;
    int64_t now = clock_monotonic_ns();
    struct vital v = { 0 };

    switch (p->kind) {
    case POST_UP:
        gossip_session_up(c->g, now, p->nid);
        break;
    case POST_FRAME:
        if (gossip_frame(c->g, now, p->nid, (enum gossip_frame)p->number, p->data, p->len) < 0)
            metric_inc(M_gossip_refused);
        break;
    case POST_FORGET:
        gossip_forget(c->g, now, p->nid);
        break;
    case POST_NOTE:
        gossip_set_note(c->g, now, p->data, p->len);
        break;
    case POST_LOAD:
        v.load = c->load = p->number;
        gossip_set_vital(c->g, &v);
        break;
    }
    mem_free(p);
    settle(c);
}

static void post(struct cluster *c, enum post_kind kind, uint64_t nid, uint32_t number,
                 const void *data, size_t len)
{
    struct post *p = mem_alloc(sizeof(*p) + len);

    *p = (struct post){ .task.run = run_post, .c = c, .kind = kind, .nid = nid, .number = number,
                        .len = len };
    if (len != 0)
        memcpy(p->data, data, len);
    loop_post(c->loop, &p->task);
}

void cluster_session_up(struct cluster *c, uint64_t nid)
{
    post(c, POST_UP, nid, 0, NULL, 0);
}

void cluster_frame(struct cluster *c, uint64_t from, enum gossip_frame kind, const void *data,
                   size_t len)
{
    post(c, POST_FRAME, from, kind, data, len);
}

void cluster_forget(struct cluster *c, uint64_t nid)
{
    post(c, POST_FORGET, nid, 0, NULL, 0);
}

void cluster_set_note(struct cluster *c, const void *meta, size_t len)
{
    ASSERT(len <= MEMBER_META_MAX);
    post(c, POST_NOTE, 0, 0, meta, len);
}

void cluster_set_load(struct cluster *c, uint32_t load)
{
    post(c, POST_LOAD, 0, load, NULL, 0);
}

uint64_t cluster_digest(struct cluster *c)
{
    return atomic_load_explicit(&c->digest, memory_order_relaxed);
}

uint32_t cluster_health(struct cluster *c)
{
    return atomic_load_explicit(&c->health, memory_order_relaxed);
}

struct loop *cluster_loop(struct cluster *c)
{
    return c->loop;
}

struct add_watch { struct cluster *c; struct cluster_watch *w; };

static void add_watch(void *arg)
{
    struct add_watch *a = arg;
    struct cluster_watch **at = &a->c->watches;

    while (*at != NULL)
        at = &(*at)->next;
    a->w->next = NULL;
    *at = a->w;
}

void cluster_watch_add(struct cluster *c, struct cluster_watch *w)
{
    loop_call(c->loop, add_watch, &(struct add_watch){ c, w });
}

/* --- start and stop ---------------------------------------------------------------------------------- */

static bool is_wildcard(const struct net_addr *a)
{
    static const uint8_t zeros[16];

    return memcmp(a->ip, zeros, 16) == 0 || (net_addr_is_v4(a) && memcmp(a->ip + 12, zeros, 4) == 0);
}

size_t cluster_own_addrs(const struct net_addr *bind_to, struct net_addr *ret, size_t max)
{
    struct ifaddrs *list = NULL, *i;
    size_t n = 0;

    if (!is_wildcard(bind_to)) {
        ret[0] = *bind_to;
        return 1;
    }
    if (getifaddrs(&list) < 0)
        list = NULL;
    for (i = list; i != NULL && n < max; i = i->ifa_next) {
        struct net_addr a;

        if (i->ifa_addr == NULL || !(i->ifa_flags & IFF_UP) || (i->ifa_flags & IFF_LOOPBACK)
            || !net_addr_from_sock(i->ifa_addr, &a))
            continue;
        if (!net_addr_is_v4(&a) && (net_addr_is_v4(bind_to)
                                    || (a.ip[0] == 0xfe && (a.ip[1] & 0xc0) == 0x80)))
            continue;                   /* link-local addresses mean nothing elsewhere */
        a.port = bind_to->port;
        ret[n++] = a;
    }
    freeifaddrs(list);
    if (n == 0) {
        ret[0] = (struct net_addr){ .port = bind_to->port };
        ret[0].ip[10] = ret[0].ip[11] = 0xff;
        ret[0].ip[12] = 127;
        ret[0].ip[15] = 1;
        n = 1;
    }
    return n;
}

static int open_socket(struct cluster *c, const struct net_addr *at)
{
    struct sockaddr_storage sa;
    socklen_t len = net_addr_to_sock(at, &sa);
    int off = 0, size = RECEIVE_BUFFER;

    c->v6 = sa.ss_family == AF_INET6;
    c->fd = socket(sa.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        return -ERR_SYSTEM;
    if (c->v6)
        (void)!setsockopt(c->fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    (void)!setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    return bind(c->fd, (struct sockaddr *)&sa, len) < 0 ? -ERR_SYSTEM : 0;
}

struct begin { struct cluster *c; const struct cluster_options *o; };

static void begin(void *arg)
{
    struct begin *b = arg;
    struct cluster *c = b->c;
    struct event_base *base = loop_base(c->loop);
    struct gossip_env env = {
        .arg = c, .datagram = env_datagram, .frame = env_frame, .heard_ns = env_heard,
        .nid_of = env_nid_of, .sign = env_sign, .verify_note = env_verify_note,
        .event = env_event,
    };
    uint64_t seed;

    random_bytes(&seed, sizeof(seed));
    record_pool_init(&c->pool, c, verify_record);
    c->g = gossip_new(&b->o->gossip, &env, &c->pool, &b->o->self, seed, clock_monotonic_ns());
    c->timer = event_new(base, -1, 0, on_timer, c);
    c->publish_timer = event_new(base, -1, 0, on_publish, c);
    if (c->fd >= 0) {
        c->readable = event_new(base, c->fd, EV_READ | EV_PERSIST, on_readable, c);
        event_add(c->readable, NULL);
    }
    epoch_enter();
    publish(c);
    epoch_leave();
    settle(c);
}

int cluster_start(const struct cluster_options *o, const struct cluster_hooks *hooks,
                  struct cluster **ret)
{
    struct cluster *c = MEM_NEW(struct cluster);
    int rc = 0;

    c->hooks = *hooks;
    c->fd = -1;
    if (o->udp)
        rc = open_socket(c, &o->bind);
    if (rc < 0) {
        int saved = errno;

        if (c->fd >= 0)
            close(c->fd);
        mem_free(c);
        errno = saved;
        return rc;
    }
    c->loop = loop_start("cluster");
    loop_call(c->loop, begin, &(struct begin){ c, o });
    *ret = c;
    return 0;
}

static void leave(void *arg)
{
    struct cluster *c = arg;

    gossip_leave(c->g, clock_monotonic_ns());
    settle(c);
}

void cluster_leave(struct cluster *c)
{
    loop_call(c->loop, leave, c);
    usleep(LEAVE_NS / 1000);
}

static void end(void *arg)
{
    struct cluster *c = arg;

    if (c->readable != NULL)
        event_free(c->readable);
    event_free(c->timer);
    event_free(c->publish_timer);
    IDMAP_EACH(&c->vitals, s)
        mem_free(s->value);
    idmap_fini(&c->vitals);
    gossip_free(c->g);
    record_pool_fini(&c->pool);
}

void cluster_stop(struct cluster *c)
{
    if (c == NULL)
        return;
    loop_call(c->loop, end, c);
    loop_stop(c->loop);
    if (c->fd >= 0)
        close(c->fd);
    epoch_enter();
    epoch_retire(atomic_load(&c->snapshot), mem_free);
    epoch_leave();
    mem_free(c);
}
