/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peer_shake.c - from a socket to an authenticated peer: two threads that do nothing else
 *
 * The door: 64 bytes, one keyed hash, the set of replays; only then any Diffie-Hellman. Nothing is
 * answered to who does not know the cluster secret (or a token). Whoever fails is told why only
 * after message 3 has proved the psk, by the session side; here connections just close, are
 * counted and logged with their code.
 */
#include "dist/peer_net.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/errors.h"
#include "base/log.h"
#include "base/metric.h"
#include "net/sock.h"

#include <errno.h>
#include <event2/event.h>
#include <unistd.h>

#define SHAKE_LOOPS 2
#define LISTEN_MAX  8
#define BLOCKS      4096u

struct block { uint64_t block; uint32_t open; uint32_t tokens; int64_t filled_ns; };

static struct {
    struct loop *loop[SHAKE_LOOPS];
    struct event *listener[LISTEN_MAX];
    int fd[LISTEN_MAX];
    struct net_addr addr[LISTEN_MAX];
    unsigned n_listeners;
    unsigned turn;                          /* [loop 0] */
    struct spin lock;
    unsigned open;                          /* [lk lock] handshakes of others */
    struct block blocks[BLOCKS];            /* [lk lock] by hash of the block; collisions share */
    pthread_mutex_t replay_lock;
    struct replay_set *replays;             /* [lk replay_lock] */
} shake = { .replay_lock = PTHREAD_MUTEX_INITIALIZER };

struct peer_options peer_options;

bool peer_is_trusted(const uint8_t key[NODE_KEY_BYTES])
{
    bool found = !peer_options.listed;

    for (size_t i = 0; !found && i < peer_options.n_trusted; i++)
        found = memcmp(peer_options.trusted[i], key, NODE_KEY_BYTES) == 0;
    return found;
}

/* --- connections ------------------------------------------------------------------------------------- */

static struct conn *conn_new(int fd, bool dialler, const struct net_addr *addr)
{
    struct conn *c = MEM_NEW(struct conn);

    c->fd = fd;
    c->dialler = dialler;
    c->addr = *addr;
    return c;
}

static void free_events(struct conn *c)
{
    if (c->readable != NULL)
        event_free(c->readable);
    if (c->writable != NULL)
        event_free(c->writable);
    if (c->timer != NULL)
        event_free(c->timer);
    c->readable = c->writable = c->timer = NULL;
}

static void uncount(struct conn *c)
{
    struct block *b = &shake.blocks[net_addr_block(&c->addr) * UINT64_C(0x9E3779B97F4A7C15) >> 52];

    if (!c->counted)
        return;
    c->counted = false;
    spin_lock(&shake.lock);
    shake.open--;
    b->open--;
    spin_unlock(&shake.lock);
}

static void wipe_noise(struct conn *c)
{
    if (c->noise != NULL) {
        noise_wipe(c->noise);
        mem_free(c->noise);
        c->noise = NULL;
    }
}

void conn_free(struct conn *c)
{
    if (c == NULL)
        return;
    free_events(c);
    uncount(c);
    wipe_noise(c);
    record_keys_free(c->keys);
    secret_wipe(&c->rekey_secret, sizeof c->rekey_secret);
    buf_fini(&c->in);
    buf_fini(&c->out);
    if (c->fd >= 0)
        close(c->fd);
    mem_free(c);
}

static void run_arrived(struct loop_task *t)
{
    struct conn *c = CONTAINER_OF(t, struct conn, task);

    c->arrived(c);
}

void conn_move(struct conn *c, struct loop *to, void (*arrived)(struct conn *c))
{
    free_events(c);
    c->loop = to;
    c->arrived = arrived;
    c->task.run = run_arrived;
    loop_post(to, &c->task);
}

int conn_flush(struct conn *c)
{
    while (c->out_at < c->out.len) {
        ssize_t n = write(c->fd, c->out.data + c->out_at, c->out.len - c->out_at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN ? 1 : -ERR_CLOSED;
        c->out_at += (size_t)n;
    }
    c->out.len = c->out_at = 0;
    return 0;
}

/* --- why not ------------------------------------------------------------------------------------------- */

static void refuse(struct conn *c, const char *code, enum metric_id metric, const char *why)
{
    char addr[NET_ADDR_TEXT], letters[NODE_LETTERS] = "-";

    if (c->peer.key[0] | c->peer.key[1] | c->peer.key[2])
        nid_letters(node_nid(c->peer.key), letters);
    metric_inc(metric);
    LOG(NOTICE, "handshake.refused",
        LOG_FIELDS("code", code, "address", net_addr_text(&c->addr, addr), "peer", letters),
        "%s: %s", c->dialler ? "the node we dialled" : "a connection", why);
}

static void dial_next(struct dial *d, enum peer_end why);

/* A dial: addresses in turn until one answers as the right node. */
struct dial {
    struct conn *conn;
    struct peer *peer;                      /* NULL: a seed */
    uint64_t number;
    struct net_addr addrs[8];
    unsigned n, at, tries;
    struct loop *loop;
    struct loop_task task;
    struct event *pause;
    enum peer_end why;
    int64_t until_ns;
};

static void conn_failed(struct conn *c, enum peer_end why)
{
    struct dial *d = c->dial;

    conn_free(c);
    if (d != NULL) {
        d->conn = NULL;
        dial_next(d, why);
    }
}

static void on_timeout(evutil_socket_t fd, short what, void *arg)
{
    struct conn *c = arg;

    refuse(c, "RN0710", M_handshake_timeout, "the handshake took too long");
    conn_failed(c, PEER_END_UNREACHABLE);
}

static void set_timer(struct conn *c, int seconds)
{
    struct timeval tv = { .tv_sec = seconds };

    if (c->timer == NULL)
        c->timer = event_new(loop_base(c->loop), -1, 0, on_timeout, c);
    event_add(c->timer, &tv);
}

/* --- credentials --------------------------------------------------------------------------------------- */

static void pack_binding(const struct binding *b, struct buf *out)
{
    Rn__Binding m = RN__BINDING__INIT;

    m.node = BYTES_OF(b->node, sizeof b->node);
    m.dh = BYTES_OF(b->dh, sizeof b->dh);
    m.not_before = b->not_before;
    m.not_after = b->not_after;
    m.sig = BYTES_OF(b->sig, sizeof b->sig);
    wire_pack(&m.base, out);
}

static void pack_hello(struct buf *out)
{
    Rn__Hello m = RN__HELLO__INIT;
    struct net_addr addrs[LISTEN_MAX];
    uint8_t packed[LISTEN_MAX][NET_ADDR_BYTES];
    ProtobufCBinaryData list[LISTEN_MAX];
    size_t n = shake_listening(addrs, LISTEN_MAX);

    m.proto_min = m.proto_max = 1;
    m.name = BYTES_OF(peer_self.name, strlen(peer_self.name));
    m.creation = peer_self.creation;
    m.boot_id = BYTES_OF(peer_self.boot_id, sizeof peer_self.boot_id);
    m.max_record = RECORD_PLAIN_MAX;
    m.max_message = MESSAGE_MAX;
    m.window = WINDOW_BYTES;
    m.tick_ms = (uint32_t)(peer_options.heartbeat_ns / 1000000);
    m.down_ms = (uint32_t)(peer_options.down_ns / 1000000);
    m.ring_version = ring_version();
    m.epoch = ring_epoch();
    m.addrs = list;
    m.n_addrs = n;
    for (size_t i = 0; i < n; i++) {
        net_addr_pack(&addrs[i], packed[i]);
        list[i] = BYTES_OF(packed[i], NET_ADDR_BYTES);
    }
    wire_pack(&m.base, out);
}

void peer_pack_credentials(const struct binding *b, struct buf *out)
{
    Rn__Credentials m = RN__CREDENTIALS__INIT;
    struct packed_entries chain = { 0 };
    struct buf binding = { 0 }, hello = { 0 };

    pack_binding(b, &binding);
    pack_hello(&hello);
    ring_pack_chain(peer_self.key, &chain);
    m.chain = chain.item;
    m.n_chain = chain.n;
    m.binding = BYTES_OF(binding.data, binding.len);
    m.hello = BYTES_OF(hello.data, hello.len);
    wire_pack(&m.base, out);
    packed_entries_fini(&chain);
    buf_fini(&binding);
    buf_fini(&hello);
}

static bool read_binding(const ProtobufCBinaryData *bytes, struct binding *b)
{
    struct wire_arena arena = { 0 };
    const Rn__Binding *m = wire_unpack(&rn__binding__descriptor, bytes->data, bytes->len, &arena);
    bool ok = m != NULL && m->node.len == sizeof b->node && m->dh.len == sizeof b->dh &&
              m->sig.len == sizeof b->sig;

    if (ok) {
        memcpy(b->node, m->node.data, sizeof b->node);
        memcpy(b->dh, m->dh.data, sizeof b->dh);
        memcpy(b->sig, m->sig.data, sizeof b->sig);
        b->not_before = m->not_before;
        b->not_after = m->not_after;
    }
    wire_arena_fini(&arena);
    return ok;
}

/* A listener bound to all addresses is at the one that the connection shows. */
static void fill_in(struct net_addr *a, const struct net_addr *seen)
{
    static const uint8_t any[16], any4[16] = { [10] = 0xFF, [11] = 0xFF };

    if (memcmp(a->ip, any, 16) == 0 || memcmp(a->ip, any4, 16) == 0)
        memcpy(a->ip, seen->ip, 16);
}

static bool read_hello(const ProtobufCBinaryData *bytes, const struct net_addr *seen, struct hello *h)
{
    struct wire_arena arena = { 0 };
    const Rn__Hello *m = wire_unpack(&rn__hello__descriptor, bytes->data, bytes->len, &arena);
    bool ok = m != NULL && m->name.len > 0 && m->name.len <= NODE_NAME_MAX &&
              memchr(m->name.data, 0, m->name.len) == NULL && m->boot_id.len == BOOT_ID_BYTES &&
              m->creation != 0 && m->proto_min <= 1 && m->proto_max >= 1;

    if (ok) {
        memset(h->name, 0, sizeof h->name);
        memcpy(h->name, m->name.data, m->name.len);
        memcpy(h->boot_id, m->boot_id.data, BOOT_ID_BYTES);
        h->creation = m->creation;
        h->max_message = m->max_message < MESSAGE_MAX ? m->max_message : MESSAGE_MAX;
        h->window = m->window < (64u << 20) ? m->window : 64u << 20;
        h->ring_version = m->ring_version;
        h->epoch = m->epoch;
        h->n_addrs = 0;
        for (size_t i = 0; i < m->n_addrs; i++) {
            if (net_addr_unpack(m->addrs[i].data, m->addrs[i].len, &h->addrs[h->n_addrs]))
                fill_in(&h->addrs[h->n_addrs++], seen);
        }
    }
    wire_arena_fini(&arena);
    return ok;
}

/* Does the ring let this key in, under this name? A chain that it brings is looked at once. */
static bool ring_lets_in(struct conn *c, const Rn__Credentials *m)
{
    struct ring_member who;

    if (!ring_lookup(c->peer.key, &who) || !ring_is_member(&who))
        ring_merge(m->chain, m->n_chain);
    if (!ring_lookup(c->peer.key, &who) || who.rights == 0) {
        refuse(c, "RN0702", M_handshake_unknown, "its key is not in the ring");
        return false;
    }
    if (!ring_is_member(&who)) {
        refuse(c, who.revoked ? "RN0703" : "RN0712", M_handshake_unknown,
               who.revoked ? "its key was revoked" : "another key has its name");
        return false;
    }
    if (strcmp(who.name, c->peer.name) != 0) {
        refuse(c, "RN0712", M_handshake_unknown, "the ring knows it by another name");
        return false;
    }
    if (who.not_after != 0 && (uint64_t)(clock_system_ns() / 1000000000) > who.not_after + 72 * 3600) {
        refuse(c, "RN0706", M_handshake_expired, "its admission has ended");
        return false;
    }
    c->peer.rights = who.rights;
    return true;
}

/* Cheap checks first; each failure names itself. */
static bool check_credentials(struct conn *c, const struct buf *payload)
{
    static const uint8_t any[NODE_KEY_BYTES];
    struct wire_arena arena = { 0 };
    const Rn__Credentials *m = wire_unpack(&rn__credentials__descriptor, payload->data, payload->len,
                                           &arena);
    struct binding b;
    bool ok = false;
    int rc;

    if (m == NULL || !read_binding(&m->binding, &b) || !read_hello(&m->hello, &c->addr, &c->peer)) {
        refuse(c, "RN0708", M_handshake_version, "it does not speak our protocol");
        goto out;
    }
    memcpy(c->peer.key, b.node, NODE_KEY_BYTES);
    rc = memcmp(b.dh, noise_remote_static(c->noise), DH_BYTES) == 0
             ? binding_check(&b, (uint64_t)(clock_system_ns() / 1000000000)) : -ERR_PERMISSION;
    if (rc == -ERR_TIMEOUT)
        refuse(c, "RN0706", M_handshake_expired, "its key binding is not in time: clocks differ?");
    else if (rc < 0)
        refuse(c, "RN0705", M_handshake_proof, "its key binding is not good");
    else if (memcmp(b.node, peer_self.key, NODE_KEY_BYTES) == 0)
        refuse(c, "RN0709", M_handshake_unknown, "it has our own key");
    else if (memcmp(c->expect_key, any, sizeof any) != 0 &&
             memcmp(c->expect_key, b.node, NODE_KEY_BYTES) != 0)
        refuse(c, "RN0704", M_handshake_unknown, "another node answered");
    else if (!peer_is_trusted(b.node))
        refuse(c, "RN0714", M_handshake_unknown, "its key is not listed on this node");
    else
        ok = c->flight.purpose == FLIGHT_JOIN || ring_lets_in(c, m);
out:
    wire_arena_fini(&arena);
    return ok;
}

/* --- messages 2 and 3 ------------------------------------------------------------------------------------ */

static void begin_noise(struct conn *c, const struct secret *psk, struct binding *ret_binding)
{
    uint8_t prologue[PROLOGUE_BYTES], pub[DH_BYTES];
    struct secret s;

    ring_dh(&s, pub, ret_binding);
    flight_prologue(c->first, prologue);
    c->noise = MEM_NEW(struct noise);
    noise_init(c->noise, c->dialler, prologue, sizeof prologue, &s, pub, psk, NULL);
    secret_wipe(&s, sizeof s);
}

static int send_message(struct conn *c, const struct binding *b)
{
    struct buf payload = { 0 }, msg = { 0 };
    int rc;

    peer_pack_credentials(b, &payload);
    rc = noise_write(c->noise, payload.data, payload.len, &msg);
    if (rc == 0 && msg.len > HANDSHAKE_BYTES)
        rc = -ERR_LIMIT;
    if (rc == 0) {
        buf_be(&c->out, msg.len, 2);
        buf_add(&c->out, msg.data, msg.len);
        rc = conn_flush(c);
    }
    buf_fini(&payload);
    buf_fini(&msg);
    return rc > 0 ? 0 : rc;                 /* what is left goes with the next event */
}

static void make_keys(struct conn *c)
{
    struct noise_keys k;

    noise_split(c->noise, &k);
    c->keys = record_keys_new(&k, c->dialler);
    secret_wipe(&k, sizeof k);
}

/* A whole message of length prefix and bytes at the start of c->in: its payload is checked. 1: done;
 * 0: more bytes are needed; negative: over. */
static int take_message(struct conn *c)
{
    struct buf payload = { 0 };
    size_t len;
    int rc;

    if (c->in.len < 2)
        return 0;
    len = (size_t)c->in.data[0] << 8 | c->in.data[1];
    if (len > HANDSHAKE_BYTES)
        return -ERR_PROTOCOL;
    if (c->in.len < 2 + len)
        return 0;
    rc = noise_read(c->noise, c->in.data + 2, len, &payload);
    if (rc < 0)
        refuse(c, "RN0705", M_handshake_proof, "it does not know the secret, or was tampered with");
    else if (!check_credentials(c, &payload))
        rc = -ERR_PERMISSION;
    buf_fini(&payload);
    if (rc < 0)
        return rc;
    memmove(c->in.data, c->in.data + 2 + len, c->in.len - 2 - len);
    c->in.len -= 2 + len;
    return 1;
}

/* The loop of the peer takes over. */
static void hand_over(struct conn *c, void (*arrived)(struct conn *c))
{
    struct peer *p = io_peer(c->peer.key, c->peer.name);

    if (p == NULL) {
        refuse(c, "RN0003", M_handshake_unknown, "too many peers");
        conn_failed(c, PEER_END_REFUSED);
        return;
    }
    uncount(c);
    c->dial_peer = p->id;
    if (c->dial != NULL) {          /* the dial has done its work */
        struct dial *d = c->dial;

        c->dial = NULL;
        if (d->pause != NULL)
            event_free(d->pause);
        mem_free(d);
    }
    conn_move(c, p->loop, arrived);
}

static void take_hello2(struct conn *c)
{
    struct binding b;
    struct secret s;
    uint8_t pub[DH_BYTES];
    int rc = take_message(c);

    if (rc == 0)
        return;
    ring_dh(&s, pub, &b);
    secret_wipe(&s, sizeof s);
    if (rc < 0 || send_message(c, &b) < 0) {
        conn_failed(c, PEER_END_REFUSED);
        return;
    }
    make_keys(c);
    c->stage = CONN_ACCEPT;
    hand_over(c, io_dialled);
}

static void take_join(struct conn *c);

static void take_hello3(struct conn *c)
{
    int rc = take_message(c);

    if (rc == 0)
        return;
    if (rc < 0) {
        conn_failed(c, PEER_END_REFUSED);
        return;
    }
    make_keys(c);
    if (c->flight.purpose == FLIGHT_JOIN) {
        c->stage = CONN_JOIN;
        if (c->in.len > 0)
            take_join(c);
        return;
    }
    metric_inc(M_handshake_ok);
    hand_over(c, io_accepted);
}

/* --- the door -------------------------------------------------------------------------------------------- */

static bool is_replay(const struct flight *f)
{
    bool fresh;

    pthread_mutex_lock(&shake.replay_lock);
    fresh = replay_add(shake.replays, f->e, clock_monotonic_ns());
    pthread_mutex_unlock(&shake.replay_lock);
    return !fresh;
}

/* Keys for this flight; false: no such epoch or token. */
static bool door_keys(struct conn *c, struct secret *door, struct secret *psk)
{
    uint8_t tag[FLIGHT_TAG];

    if (c->flight.purpose == FLIGHT_JOIN)
        return token_find(c->flight.tag, door, psk, &c->token_rights) == 0;
    if (c->flight.purpose != FLIGHT_PEER || !ring_secret(c->flight.epoch, SECRET_DOOR, door) ||
        !ring_secret(c->flight.epoch, SECRET_PSK, psk))
        return false;
    ring_tag(c->flight.epoch, tag);
    return memcmp(tag, c->flight.tag, FLIGHT_TAG) == 0;
}

static void take_flight(struct conn *c)
{
    struct secret door, psk;
    struct binding b;
    int rc;

    if (c->in.len < FLIGHT_BYTES)
        return;
    memcpy(c->first, c->in.data, FLIGHT_BYTES);
    memmove(c->in.data, c->in.data + FLIGHT_BYTES, c->in.len - FLIGHT_BYTES);
    c->in.len -= FLIGHT_BYTES;
    rc = flight_read(c->first, &c->flight);
    if (rc < 0) {
        refuse(c, "RN0708", M_handshake_version, "it does not speak our protocol");
    } else if (!door_keys(c, &door, &psk)) {
        rc = -ERR_PERMISSION;
        if (c->flight.purpose == FLIGHT_JOIN)
            refuse(c, "RN0721", M_handshake_proof, "the invitation is unknown, used or over");
        else
            refuse(c, "RN0704", M_handshake_proof, "it belongs to another cluster");
    } else if (!flight_mac_ok(c->first, &door)) {
        rc = -ERR_PERMISSION;
        refuse(c, "RN0705", M_handshake_proof, "its first bytes are forged");
    } else if (is_replay(&c->flight)) {
        rc = -ERR_PERMISSION;
        refuse(c, "RN0705", M_handshake_replay, "its first bytes were seen before");
    }
    if (rc == 0) {
        begin_noise(c, &psk, &b);
        noise_first_read(c->noise, c->flight.e);
        rc = send_message(c, &b);
        c->stage = CONN_HELLO3;
        set_timer(c, HANDSHAKE_S);
    }
    secret_wipe(&door, sizeof door);
    secret_wipe(&psk, sizeof psk);
    if (rc < 0)
        conn_failed(c, PEER_END_REFUSED);
}

/* --- joining: one request, one answer ------------------------------------------------------------------ */

struct secret_wanted { uint32_t epoch; struct buf *out; };

static void pack_secret(void *arg, const Rn__EpochSecret *m)
{
    struct secret_wanted *w = arg;

    if (m->epoch == w->epoch)
        wire_pack(&m->base, w->out);
}

static void answer_join(struct conn *c, uint32_t code, const char *text)
{
    Rn__JoinReply m = RN__JOIN_REPLY__INIT;
    struct packed_entries list = { 0 };
    struct buf secret = { 0 };

    m.code = code;
    m.text = BYTES_OF(text, strlen(text));
    if (code == 0) {
        uint32_t epoch = ring_epoch();

        ring_pack_chain(c->peer.key, &list);
        m.entries = list.item;
        m.n_entries = list.n;
        m.epoch = epoch;
        ring_visit_secrets(pack_secret, &(struct secret_wanted){ epoch, &secret });
        m.epoch_secret = BYTES_OF(secret.data, secret.len);
    }
    if (conn_send_frame(c, KIND_join_reply, &m.base) == 0)
        (void)!conn_flush(c);
    if (secret.data != NULL)
        secret_wipe(secret.data, secret.len);
    buf_fini(&secret);
    packed_entries_fini(&list);
}

static void judge_join(struct conn *c, const Rn__JoinRequest *m)
{
    char name[NODE_NAME_MAX + 1] = "";
    int rc;

    if (m->node.len != NODE_KEY_BYTES || m->name.len == 0 || m->name.len > NODE_NAME_MAX ||
        memchr(m->name.data, 0, m->name.len) != NULL || m->proof.len != SIGNATURE_BYTES ||
        memcmp(m->node.data, c->peer.key, NODE_KEY_BYTES) != 0 ||
        !signature_ok(c->peer.key, "rn join 1", c->noise->h, sizeof c->noise->h, m->proof.data)) {
        refuse(c, "RN0723", M_handshake_proof, "the request to join is forged");
        answer_join(c, 723, "the request is not signed by its key");
        return;
    }
    memcpy(name, m->name.data, m->name.len);
    rc = token_use(c->flight.tag);
    if (rc < 0) {
        answer_join(c, 721, "the invitation is used or over");
        return;
    }
    rc = ring_admit(c->peer.key, name, c->token_rights);
    if (rc == -ERR_EXISTS)
        answer_join(c, 725, "another node of the cluster has this name");
    else if (rc == -ERR_PERMISSION)
        answer_join(c, 703, "this key was revoked, or the inviter may not admit");
    else if (rc < 0)
        answer_join(c, 601, error_text(rc));
    else {
        LOG(NOTICE, "ring.changed", LOG_FIELDS("name", name), "%s joined by invitation", name);
        metric_inc(M_handshake_ok);
        answer_join(c, 0, "");
    }
}

static void take_join(struct conn *c)
{
    struct wire_arena arena = { 0 };
    const Rn__JoinRequest *m = NULL;
    struct frame_view f;
    struct reader r;
    uint8_t flags;
    int len, n;

    if (c->in.len < RECORD_HEAD)
        return;
    len = record_length(c->in.data);
    if (len > 0 && c->in.len < (size_t)len)
        return;
    n = len < 0 ? len : record_open(&c->keys->receive, c->in.data, (size_t)len, &flags);
    if (n > 0) {
        r = reader_make(c->in.data + RECORD_HEAD, (size_t)n);
        if (batch_next(&r, &f) == 1 && f.kind == KIND_join_request)
            m = wire_unpack(&rn__join_request__descriptor, f.body.data, f.body.len, &arena);
    }
    if (m != NULL)
        judge_join(c, m);
    else
        refuse(c, "RN0740", M_handshake_proof, "it broke the protocol of joining");
    wire_arena_fini(&arena);
    conn_failed(c, PEER_END_CLOSED);
}

/* --- events ------------------------------------------------------------------------------------------------ */

static void advance(struct conn *c)
{
    switch (c->stage) {
    case CONN_FLIGHT: take_flight(c); break;
    case CONN_HELLO2: take_hello2(c); break;
    case CONN_HELLO3: take_hello3(c); break;
    case CONN_JOIN:   take_join(c); break;
    default:          break;
    }
}

/* How much may be buffered in a stage: nobody owns more of our memory than he has earned. */
static size_t stage_max(const struct conn *c)
{
    switch (c->stage) {
    case CONN_FLIGHT: return FLIGHT_BYTES;
    case CONN_JOIN:   return RECORD_CIPHER_MAX + RECORD_HEAD;
    default:          return 2 + HANDSHAKE_BYTES;
    }
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct conn *c = arg;
    enum conn_stage before = c->stage;
    size_t max = stage_max(c) - c->in.len;
    ssize_t n = read(fd, buf_room(&c->in, max), max);

    c->in.len -= max - (size_t)(n > 0 ? n : 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        if (before != CONN_FLIGHT)          /* scanners need no line in the log each */
            refuse(c, "RN0009", M_handshake_closed, "it closed the connection");
        else
            metric_inc(M_handshake_closed);
        conn_failed(c, PEER_END_REFUSED);
        return;
    }
    advance(c);
}

static void start_reading(struct conn *c)
{
    c->readable = event_new(loop_base(c->loop), c->fd, EV_READ | EV_PERSIST, on_readable, c);
    event_add(c->readable, NULL);
}

/* --- listening ------------------------------------------------------------------------------------------- */

static bool may_start(struct conn *c)
{
    uint64_t block = net_addr_block(&c->addr);
    struct block *b = &shake.blocks[block * UINT64_C(0x9E3779B97F4A7C15) >> 52];
    int64_t now = clock_monotonic_ns();
    bool ok;

    spin_lock(&shake.lock);
    if (now - b->filled_ns > INT64_C(1000000000)) {
        uint64_t more = (uint64_t)(now - b->filled_ns) / 1000000000 * STARTS_PER_S;

        b->tokens = more + b->tokens > 2 * STARTS_PER_S ? 2 * STARTS_PER_S : b->tokens + (uint32_t)more;
        b->filled_ns = now;
    }
    ok = shake.open < HANDSHAKES_MAX && b->open < HANDSHAKES_BLOCK && b->tokens > 0;
    if (ok) {
        shake.open++;
        b->open++;
        b->tokens--;
    }
    spin_unlock(&shake.lock);
    c->counted = ok;
    return ok;
}

static void begin_listener(struct conn *c)
{
    c->stage = CONN_FLIGHT;
    set_timer(c, FLIGHT_S);
    start_reading(c);
}

static void on_acceptable(evutil_socket_t fd, short what, void *arg)
{
    struct net_addr from;
    int n;

    for (int i = 0; i < 64 && (n = sock_accept(fd, &from)) >= 0; i++) {
        struct conn *c = conn_new(n, false, &from);

        if (!may_start(c)) {
            metric_inc(M_handshake_shed);
            sock_close_hard(c->fd);
            c->fd = -1;
            conn_free(c);
            continue;
        }
        conn_move(c, shake.loop[shake.turn++ % SHAKE_LOOPS], begin_listener);
    }
}

/* --- dialling -------------------------------------------------------------------------------------------- */

static void send_flight(struct conn *c)
{
    struct dial *d = c->dial;
    struct secret door, psk;
    struct binding b;
    uint32_t epoch = ring_epoch();
    uint8_t e[DH_BYTES];

    /* After a refusal the epoch before: the other side may not have heard of the newest. */
    if (d->tries % 2 == 1 && epoch > 1 && ring_secret((uint16_t)(epoch - 1), SECRET_DOOR, &door))
        epoch--;
    c->flight.purpose = FLIGHT_PEER;
    c->flight.epoch = (uint16_t)epoch;
    ring_tag(c->flight.epoch, c->flight.tag);
    if (!ring_secret(c->flight.epoch, SECRET_DOOR, &door) ||
        !ring_secret(c->flight.epoch, SECRET_PSK, &psk)) {
        conn_failed(c, PEER_END_REFUSED);
        return;
    }
    /* The prologue is the head of the flight, which has no key in it. */
    flight_write(&c->flight, &door, c->first);
    begin_noise(c, &psk, &b);
    noise_first_write(c->noise, e);
    memcpy(c->flight.e, e, sizeof e);
    flight_write(&c->flight, &door, c->first);
    secret_wipe(&door, sizeof door);
    secret_wipe(&psk, sizeof psk);
    buf_add(&c->out, c->first, FLIGHT_BYTES);
    if (conn_flush(c) < 0) {
        conn_failed(c, PEER_END_UNREACHABLE);
        return;
    }
    c->stage = CONN_HELLO2;
    start_reading(c);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct conn *c = arg;

    if (sock_error(fd) != 0) {
        conn_failed(c, PEER_END_UNREACHABLE);
        return;
    }
    send_flight(c);
}

static void finish_dial(struct loop_task *t)
{
    struct dial *d = CONTAINER_OF(t, struct dial, task);

    if (d->peer != NULL)
        io_dial_failed(d->peer, d->number, d->why);
    mem_free(d);
}

static void dial_one(struct dial *d)
{
    struct conn *c;
    int fd = sock_connect(&d->addrs[d->at]);

    if (fd < 0) {
        dial_next(d, PEER_END_UNREACHABLE);
        return;
    }
    c = d->conn = conn_new(fd, true, &d->addrs[d->at]);
    c->loop = d->loop;
    c->dial = d;
    c->dial_number = d->number;
    if (d->peer != NULL)
        memcpy(c->expect_key, d->peer->info.key, NODE_KEY_BYTES);
    set_timer(c, HANDSHAKE_S);
    c->writable = event_new(loop_base(c->loop), fd, EV_WRITE, on_writable, c);
    event_add(c->writable, NULL);
}

static void on_pause_over(evutil_socket_t fd, short what, void *arg)
{
    dial_one(arg);
}

/* The next address; after the last the first again, with pauses, while there is time. */
static void dial_next(struct dial *d, enum peer_end why)
{
    struct timeval tv;
    uint32_t pause_ms;

    if (why > d->why || d->tries == 0)
        d->why = why;
    d->tries++;
    d->at = (d->at + 1) % d->n;
    pause_ms = 20u << (d->tries / d->n < 5 ? d->tries / d->n : 5);
    if (clock_monotonic_ns() + pause_ms * INT64_C(1000000) > d->until_ns || d->tries >= 8 * d->n) {
        struct loop *to = d->peer != NULL ? d->peer->loop : d->loop;

        if (d->pause != NULL)
            event_free(d->pause);
        d->task.run = finish_dial;
        loop_post(to, &d->task);
        return;
    }
    tv = (struct timeval){ pause_ms / 1000, pause_ms % 1000 * 1000 };
    if (d->pause == NULL)
        d->pause = event_new(loop_base(d->loop), -1, 0, on_pause_over, d);
    event_add(d->pause, &tv);
}

static void run_dial(struct loop_task *t)
{
    dial_one(CONTAINER_OF(t, struct dial, task));
}

void shake_dial(struct peer *p, uint64_t number, const struct net_addr *addrs, unsigned n)
{
    struct dial *d = MEM_NEW(struct dial);

    ASSERT(n > 0 && n <= ARRAY_LEN(d->addrs));
    d->peer = p;
    d->number = number;
    d->n = n;
    for (unsigned i = 0; i < n; i++)
        d->addrs[i] = addrs[i];
    d->until_ns = clock_monotonic_ns() + CONNECT_S * INT64_C(1000000000);
    d->loop = shake.loop[number % SHAKE_LOOPS];
    d->task.run = run_dial;
    loop_post(d->loop, &d->task);
}

void peer_dial_seed(const struct net_addr *addr)
{
    shake_dial(NULL, 0, addr, 1);
}

/* --- start and stop ---------------------------------------------------------------------------------------- */

size_t shake_listening(struct net_addr *ret, size_t max)
{
    size_t n = shake.n_listeners < max ? shake.n_listeners : max;

    for (size_t i = 0; i < n; i++)
        ret[i] = shake.addr[i];
    return n;
}

static void add_listeners(void *arg)
{
    for (unsigned i = 0; i < shake.n_listeners; i++) {
        shake.listener[i] = event_new(loop_base(shake.loop[0]), shake.fd[i], EV_READ | EV_PERSIST,
                                      on_acceptable, NULL);
        event_add(shake.listener[i], NULL);
    }
}

int shake_start(void)
{
    shake.replays = replay_new();
    for (int i = 0; i < SHAKE_LOOPS; i++)
        shake.loop[i] = loop_start(i == 0 ? "rn-shake-0" : "rn-shake-1");
    for (size_t i = 0; peer_options.listen[i] != NULL && shake.n_listeners < LISTEN_MAX; i++) {
        struct net_addr a;
        int rc = net_addr_parse(peer_options.listen[i], 7465, &a);

        if (rc == 0)
            rc = sock_listen(&a, &shake.addr[shake.n_listeners]);
        if (rc < 0)
            return rc;
        shake.fd[shake.n_listeners++] = rc;
    }
    loop_call(shake.loop[0], add_listeners, NULL);
    return 0;
}

static void remove_listeners(void *arg)
{
    for (unsigned i = 0; i < shake.n_listeners; i++) {
        event_free(shake.listener[i]);
        close(shake.fd[i]);
    }
    shake.n_listeners = 0;
}

void shake_stop(void)
{
    if (shake.loop[0] == NULL)
        return;
    loop_call(shake.loop[0], remove_listeners, NULL);
    for (int i = 0; i < SHAKE_LOOPS; i++)
        loop_stop(shake.loop[i]);
    memset(shake.loop, 0, sizeof shake.loop);
}
