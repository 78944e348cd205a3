/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peer_io.c - sessions on sockets: records in and out, ticks, ends, and which connection wins
 *
 * Everything here runs on the loop of the peer. A peer's row has at most one connection that is up;
 * besides it there may be a dial under way and a connection that waits for the end of the last
 * session to be told (PE2), or for a silent old connection to prove that it lives.
 *
 * Two nodes that dial each other at once: the dial of the smaller key survives. The node with the
 * smaller key lets the other's wait a second while its own is under way; the other takes it and
 * forgets its own. So neither can block the other, even when only one direction gets through.
 */
#include "dist/peer_net.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/epoch.h"
#include "base/errors.h"
#include "base/log.h"
#include "base/metric.h"
#include "net/sock.h"
#include "vm/sched.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <unistd.h>

#define IO_LOOPS_MAX  16
#define READ_BYTES    (256u << 10)
#define WRITE_BYTES   (256u << 10)
#define HOLD_BYTES    2048u                 /* so little is one message or a few */
#define TALK_NS       50000                 /* so soon after the last, it is a conversation */
#define REKEY_NS      (3600 * INT64_C(1000000000))
#define REKEY_BYTES   ((uint64_t)64 << 30)
#define STALL_NS      (120 * INT64_C(1000000000))
#define TRANSFER_NS   (60 * INT64_C(1000000000))
#define LATE_NS       INT64_C(500000000)
#define PULL_NS       (2 * INT64_C(1000000000))
#define SECOND_NS     INT64_C(1000000000)
#define REJECT_ALREADY 709
#define REJECT_OLDER   713

int64_t peer_degraded_ns = 10 * SECOND_NS;

/* What a session on a socket has besides: kept in session->transport_data. */
struct io {
    struct conn *conn;                      /* NULL while connecting */
    struct event *tick;                     /* while up: each heartbeat; connecting: the limit */
    uint64_t tick_seq, echo_seq;
    int64_t tick_sent_ns, echo_at_ns, heard_ns, grace_ns;
    uint64_t last_left; int64_t moved_ns;   /* queue movement, for the stall rule */
    int64_t keyed_ns;
    uint64_t keyed_bytes, bytes_in;
    _Atomic uint64_t bytes_out;             /* [any] written under tx */
    int64_t pulled_ns, answered_ns;
    uint64_t progress; int64_t progress_ns; /* of its schedulers, and when that last changed */
    bool suspect, dialling;
};

/* Waiting for its turn at a peer: after the end of the old session, or after a doubt. */
struct waiting { struct conn *conn; struct event *doubt; };

static struct loop *loops[IO_LOOPS_MAX];
static unsigned n_loops;
static uint8_t *spaces[IO_LOOPS_MAX];               /* [loop of that number] for reading */
static struct waiting waiting[PEERS_MAX + 1];       /* [loop of the peer] */

static void io_read(struct conn *c);
static void io_write(struct session *s);
static void adopt(struct peer *p, struct conn *c);

static struct session *session_at(struct peer *p)
{
    return atomic_load_explicit(&p->session, memory_order_acquire);
}

static struct io *io_of(struct session *s)
{
    if (s->transport_data == NULL)
        s->transport_data = MEM_NEW(struct io);
    return s->transport_data;
}

static int state_of(struct session *s)
{
    return atomic_load_explicit(&s->state, memory_order_relaxed);   /* relaxed: set on this thread */
}

/* --- records ---------------------------------------------------------------------------------------- */

int conn_send_frame(struct conn *c, enum frame_kind kind, const ProtobufCMessage *m)
{
    size_t body = protobuf_c_message_get_packed_size(m), head = batch_head_len(kind, 0, body);
    uint8_t *at;
    int n;

    if (head + body > RECORD_PLAIN_MAX)
        return -ERR_LIMIT;
    at = buf_room(&c->out, RECORD_OVERHEAD + head + body);
    batch_write_head(kind, 0, body, at + RECORD_HEAD);
    protobuf_c_message_pack(m, at + RECORD_HEAD + head);
    n = record_seal(&c->keys->send, LANE_CONTROL, at, head + body);
    return n < 0 ? n : 0;
}

int conn_send_switch(struct conn *c, const ProtobufCMessage *m)
{
    size_t body = protobuf_c_message_get_packed_size(m), head = batch_head_len(KIND_rekey, 0, body);
    uint8_t *at = buf_room(&c->out, RECORD_OVERHEAD + head + body);

    batch_write_head(KIND_rekey, 0, body, at + RECORD_HEAD);
    protobuf_c_message_pack(m, at + RECORD_HEAD + head);
    return record_seal(&c->keys->send, LANE_CONTROL | RECORD_SWITCH, at, head + body);
}

/* The first frame of the first record, before a session is up. */
static const void *first_frame(struct conn *c, unsigned *ret_kind, struct wire_arena *arena,
                               size_t *ret_len)
{
    struct frame_view f;
    struct reader r;
    uint8_t flags;
    int len, n;

    *ret_kind = 0;
    *ret_len = 0;
    if (c->in.len < RECORD_HEAD)
        return NULL;
    len = record_length(c->in.data);
    if (len > 0 && c->in.len < (size_t)len)
        return NULL;
    *ret_kind = KIND_END;                   /* unless it turns out to be good */
    n = len < 0 ? len : record_open(&c->keys->receive, c->in.data, (size_t)len, &flags);
    if (n <= 0)
        return NULL;
    *ret_len = (size_t)len;
    r = reader_make(c->in.data + RECORD_HEAD, (size_t)n);
    if (batch_next(&r, &f) != 1 || (f.kind != KIND_accept && f.kind != KIND_reject))
        return NULL;
    *ret_kind = f.kind;
    return wire_unpack(wire_type(f.kind), f.body.data, f.body.len, arena);
}

/* --- what ends a session ------------------------------------------------------------------------------ */

static void end_with(struct session *s, enum peer_end why, const char *detail)
{
    char letters[NODE_LETTERS];
    bool up = s->told_up;

    if (state_of(s) == SESSION_ENDED)
        return;
    if (up)
        LOG(NOTICE, "peer.down", LOG_FIELDS("peer", nid_letters(s->peer->info.nid, letters),
                                            "reason", peer_end_text(why)),
            "%s %s%s%s", s->peer->info.name, peer_end_text(why), detail[0] != 0 ? ": " : "", detail);
    else if (why != PEER_END_LOCAL)
        LOG(INFO, "peer.unreachable", LOG_FIELDS("peer", nid_letters(s->peer->info.nid, letters)),
            "%s %s", s->peer->info.name, peer_end_text(why));
    session_end(s, why);
}

/* A frame that the peer must not have sent. */
static void end_protocol(struct session *s, int rc)
{
    const char *code = rc == -ERR_LIMIT ? "RN0741" : rc == -ERR_PERMISSION ? "RN0707" : "RN0740";

    LOG(WARNING, "peer.record_bad", LOG_FIELDS("code", code), "%s: %s", s->peer->info.name,
        rc == -ERR_LIMIT ? "too many refused frames" : rc == -ERR_PERMISSION
            ? "a frame without its right" : "not our protocol, or tampered with");
    metric_inc(M_peer_refused);
    end_with(s, PEER_END_PROTOCOL, code);
}

static void io_drop(struct session *s)
{
    struct io *io = s->transport_data;

    if (io == NULL)
        return;
    if (io->tick != NULL)
        event_free(io->tick);
    if (io->conn != NULL) {
        (void)!conn_flush(io->conn);        /* a goodbye, if the socket takes it */
        conn_free(io->conn);
    }
    s->transport_data = NULL;               /* senders look at `direct` first, which is off */
    mem_free(io);
}

/* --- out ------------------------------------------------------------------------------------------------ */

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct conn *c = arg;

    if (c->session != NULL)
        io_write(c->session);
}

static void want_write(struct conn *c)
{
    if (c->writable == NULL)
        c->writable = event_new(loop_base(c->loop), c->fd, EV_WRITE, on_writable, c);
    event_add(c->writable, NULL);
}

/* Seal what may go, at most WRITE_BYTES, behind what is left of the last time. */
static int seal_more(struct session *s, struct conn *c)
{
    unsigned lane;
    size_t n;

    while (c->out.len - c->out_at < WRITE_BYTES && stream_ready(&s->stream)) {
        uint8_t *at = buf_room(&c->out, RECORD_PLAIN_MAX + RECORD_OVERHEAD);
        int rc;

        n = stream_build(&s->stream, at + RECORD_HEAD, RECORD_PLAIN_MAX, &lane);
        c->out.len -= RECORD_PLAIN_MAX + RECORD_OVERHEAD;
        if (n == 0)
            break;
        rc = record_seal(&c->keys->send, (uint8_t)(lane | (c->switch_next ? RECORD_SWITCH : 0)), at,
                         n);
        c->switch_next = false;
        if (rc < 0)
            return rc;
        c->out.len += (size_t)rc;
        io_of(s)->bytes_out += (uint64_t)rc;
    }
    return 0;
}

static void io_write(struct session *s)
{
    struct io *io = s->transport_data;
    struct conn *c = io != NULL ? io->conn : NULL;
    bool more;
    int rc;

    if (c == NULL || state_of(s) != SESSION_UP)
        return;
    pthread_mutex_lock(&s->tx);
    rc = seal_more(s, c);
    if (rc == 0)
        rc = conn_flush(c);
    more = stream_ready(&s->stream);
    pthread_mutex_unlock(&s->tx);
    if (rc < 0)
        end_with(s, PEER_END_CLOSED, "");
    else if (rc > 0 || more)
        want_write(c);
    if (rc >= 0)
        session_tell_writable(s);
}

/* From a sender, under tx: only when nothing waits for the socket. */
static bool io_send_now(struct session *s)
{
    struct io *io = s->transport_data;
    struct conn *c = io->conn;

    return c->out.len == 0 && seal_more(s, c) == 0 && conn_flush(c) == 0 &&
           !stream_ready(&s->stream);
}

/* --- in ------------------------------------------------------------------------------------------------- */

/* bytes have come. Of a conversation (little at a time, and soon after the last) the receiver runs
 * on this thread, and the next part is waited for awake: waking threads is most of a round trip. */
static void heard(struct session *s, size_t bytes)
{
    struct io *io = io_of(s);
    int64_t before = io->heard_ns;

    io->heard_ns = clock_monotonic_ns();
    atomic_store_explicit(&s->heard, true, memory_order_relaxed);       /* relaxed: a hint */
    if (bytes <= HOLD_BYTES)
        sched_hold();
    if (bytes <= HOLD_BYTES && io->heard_ns - before < TALK_NS && sched_may_lend())
        loop_linger(s->peer->loop);
    if (io->suspect) {
        io->suspect = false;
        spin_lock(&s->peer->lock);
        s->peer->info.state = PEER_UP;
        spin_unlock(&s->peer->lock);
        LOG(NOTICE, "peer.alive", NULL, "%s is heard again", s->peer->info.name);
    }
}

/* Whole records at data: how many bytes were taken; negative: the session is over. */
static int64_t take_records(struct session *s, struct conn *c, uint8_t *data, size_t len)
{
    size_t at = 0;

    while (len - at >= RECORD_HEAD) {
        int n = record_length(data + at), plain;
        uint8_t flags;

        if (n < 0)
            return n;
        if ((size_t)n > len - at)
            break;
        plain = record_open(&c->keys->receive, data + at, (size_t)n, &flags);
        if (plain < 0)
            return plain;
        plain = stream_take(&s->stream, data + at + RECORD_HEAD, (size_t)plain);
        if (plain < 0)
            return plain;
        if (state_of(s) == SESSION_ENDED)
            return -ERR_CLOSED;
        at += (size_t)n;
    }
    return (int64_t)at;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    epoch_enter();
    io_read(arg);                           /* the session may be over, and arg gone */
    sched_release();
    epoch_leave();
}

/* Bytes that came, the unfinished record of last time in front. */
static void io_take(struct conn *c, uint8_t *data, size_t len)
{
    struct session *s = c->session;
    int64_t taken = take_records(s, c, data, len);

    if (taken == -ERR_CLOSED)
        return;                             /* a handler ended it; c is gone */
    if (taken < 0) {
        end_protocol(s, (int)taken);
        return;
    }
    c->in.len = 0;
    buf_add(&c->in, data + taken, len - (size_t)taken);
    io_write(s);                            /* credit and answers */
}

/* The buffer of the loop that c is on. */
static uint8_t *read_space(const struct conn *c)
{
    unsigned i = 0;

    while (loops[i] != c->loop)
        i++;
    if (spaces[i] == NULL)
        spaces[i] = mem_alloc(READ_BYTES);
    return spaces[i];
}

static void io_read(struct conn *c)
{
    uint8_t *space = read_space(c);
    size_t old = c->in.len;
    ssize_t n = read(c->fd, space + old, READ_BYTES - old);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        end_with(c->session, PEER_END_CLOSED, "");
        return;
    }
    if (old > 0)
        memcpy(space, c->in.data, old);
    heard(c->session, (size_t)n);
    io_of(c->session)->bytes_in += (uint64_t)n;
    io_take(c, space, old + (size_t)n);
}

/* What came together with the end of the handshake. */
static void io_take_early(struct conn *c)
{
    size_t n = c->in.len;

    memcpy(read_space(c), c->in.data, n);
    io_take(c, read_space(c), n);
}

/* --- ticks ------------------------------------------------------------------------------------------------ */

static void send_tick(struct session *s, int64_t now)
{
    struct io *io = io_of(s);
    struct peer_vital v = { 0 };
    Rn__Tick m = RN__TICK__INIT;

    if (peer_vital_hook != NULL)
        peer_vital_hook(&v);
    m.seq = ++io->tick_seq;
    m.echo = io->echo_seq;
    m.echo_us = (uint32_t)((now - io->echo_at_ns) / 1000);
    m.load = v.load;
    m.health = v.health;
    m.progress = v.progress;
    m.member_digest = v.member_digest;
    m.name_index = v.name_index;
    m.code_epoch = v.code_epoch;
    m.ring_version = ring_version();
    m.wall_us = (uint64_t)(clock_system_ns() / 1000);
    io->tick_sent_ns = now;
    session_control(s, KIND_tick, &m.base);
}

static void pull_ring(struct session *s)
{
    Rn__RingPull m = RN__RING_PULL__INIT;
    int64_t now = clock_monotonic_ns();
    struct io *io = io_of(s);

    if (io->pulled_ns != 0 && now - io->pulled_ns < PULL_NS)
        return;
    io->pulled_ns = now;
    m.have_version = ring_version();
    session_control(s, KIND_ring_pull, &m.base);
}

/* Ticks come, but do its processes run? 0: it does not say. */
static bool stands_still(struct io *io, uint64_t progress, int64_t now)
{
    if (progress != io->progress || progress == 0) {
        io->progress = progress;
        io->progress_ns = now;
    }
    return now - io->progress_ns > peer_degraded_ns;
}

static void tell_degraded(const struct peer *p, bool degraded)
{
    if (degraded)
        LOG(WARNING, "peer.degraded", NULL, "%s answers, but its schedulers have not moved for %d s",
            p->info.name, (int)(peer_degraded_ns / SECOND_NS));
    else
        LOG(NOTICE, "peer.degraded", NULL, "the schedulers of %s move again", p->info.name);
}

static void take_tick(struct session *s, const Rn__Tick *m)
{
    struct io *io = io_of(s);
    int64_t now = clock_monotonic_ns();
    struct peer *p = s->peer;
    bool degraded = stands_still(io, m->progress, now), was;

    spin_lock(&p->lock);
    if (io->echo_at_ns != 0 && now - io->echo_at_ns > 2 * peer_options.heartbeat_ns)
        p->info.late_beats++;
    io->echo_seq = m->seq;
    io->echo_at_ns = now;
    if (m->echo != 0 && m->echo == io->tick_seq) {
        int64_t rtt = (now - io->tick_sent_ns) / 1000 - m->echo_us;

        p->info.rtt_us = rtt > 0 ? (uint32_t)rtt : 1;
    }
    p->info.load = m->load < 10000 ? m->load : 10000;
    p->info.load_at_ns = p->info.last_heard_ns = now;
    p->info.skew_us = (int64_t)m->wall_us + p->info.rtt_us / 2 - clock_system_ns() / 1000;
    p->info.received_bytes = io->bytes_in;
    p->info.sent_bytes = io->bytes_out;
    p->info.received_frames = s->stream.frames_in;
    p->info.sent_frames = atomic_load_explicit(&s->stream.frames_out, memory_order_relaxed);
    was = p->info.degraded;
    p->info.degraded = degraded;
    spin_unlock(&p->lock);
    if (was != degraded)
        tell_degraded(p, degraded);
    if (m->ring_version != ring_version())
        pull_ring(s);
}

/* The queue must move while there is one. */
static bool stalled(struct session *s, int64_t now)
{
    struct io *io = io_of(s);
    uint64_t queued = atomic_load_explicit(&s->queued, memory_order_relaxed);   /* relaxed: a figure */

    if (queued == 0 || io->bytes_out != io->last_left) {
        io->last_left = io->bytes_out;
        io->moved_ns = now;
    }
    return now - io->moved_ns > STALL_NS;
}

static void maybe_rekey(struct session *s, int64_t now)
{
    struct io *io = io_of(s);
    struct conn *c = io->conn;
    Rn__Rekey m = RN__REKEY__INIT;
    uint8_t e[DH_BYTES];

    if (!c->dialler || c->rekeying ||
        (now - io->keyed_ns < REKEY_NS && io->bytes_out - io->keyed_bytes < REKEY_BYTES))
        return;
    dh_pair(&c->rekey_secret, e);
    c->rekeying = true;
    m.step = 1;
    m.epoch = ring_epoch();
    m.e = BYTES_OF(e, sizeof e);
    session_control(s, KIND_rekey, &m.base);
}

static void judge_silence(struct session *s, int64_t now)
{
    struct io *io = io_of(s);
    int64_t late = loop_late_ns(s->peer->loop), silent;

    /* Our own fault first: who was not looking judges nobody. */
    if (late > LATE_NS)
        io->grace_ns = now;
    silent = now - (io->heard_ns > io->grace_ns ? io->heard_ns : io->grace_ns);
    if (silent > peer_options.down_ns) {
        end_with(s, PEER_END_SILENT, "");
    } else if (silent > peer_options.suspect_ns && !io->suspect) {
        io->suspect = true;
        spin_lock(&s->peer->lock);
        s->peer->info.state = PEER_SUSPECT;
        spin_unlock(&s->peer->lock);
        LOG(WARNING, "peer.suspect", NULL, "%s is silent for %d s", s->peer->info.name,
            (int)(silent / SECOND_NS));
    }
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct session *s = arg;
    int64_t now = clock_monotonic_ns();
    uint64_t queued = atomic_load_explicit(&s->queued, memory_order_relaxed);   /* relaxed: a figure */

    judge_silence(s, now);
    if (state_of(s) != SESSION_UP)
        return;
    if (stalled(s, now))
        end_with(s, PEER_END_STALLED, "");
    else if (queued > OVERRUN_BYTES)
        end_with(s, PEER_END_OVERRUN, "");
    else if (s->stream.in_count > 0 && now - s->stream.fragment_ns > TRANSFER_NS)
        end_protocol(s, -ERR_TIMEOUT);
    if (state_of(s) != SESSION_UP)
        return;
    maybe_rekey(s, now);
    send_tick(s, now);
    io_write(s);
}

/* --- frames of this room ------------------------------------------------------------------------------------ */

static int take_rekey(struct session *s, const Rn__Rekey *m)
{
    struct io *io = io_of(s);
    struct conn *c = io->conn;
    struct secret mine;
    uint8_t e[DH_BYTES];
    Rn__Rekey answer = RN__REKEY__INIT;
    int rc;

    if (m->e.len != DH_BYTES || m->step != (c->dialler ? 2u : 1u) || (c->dialler && !c->rekeying))
        return -ERR_PROTOCOL;
    io->keyed_ns = clock_monotonic_ns();
    io->keyed_bytes = io->bytes_out;
    pthread_mutex_lock(&s->tx);
    if (c->dialler) {
        rc = record_rekey(c->keys, true, &c->rekey_secret, m->e.data);
        secret_wipe(&c->rekey_secret, sizeof c->rekey_secret);
        c->rekeying = false;
        c->switch_next = true;              /* our next record is the last under the old key */
    } else {
        dh_pair(&mine, e);
        rc = record_rekey(c->keys, false, &mine, m->e.data);
        secret_wipe(&mine, sizeof mine);
        answer.step = 2;
        answer.e = BYTES_OF(e, sizeof e);
        if (rc == 0)
            rc = conn_send_switch(c, &answer.base);
    }
    pthread_mutex_unlock(&s->tx);
    return rc;
}

static void send_entries(struct session *s)
{
    struct packed_entries list = { 0 };
    Rn__RingEntries m = RN__RING_ENTRIES__INIT;
    size_t bytes = 0, from = 0;

    ring_pack_all(&list);
    m.version = ring_version();
    for (size_t i = 0; i <= list.n; i++) {
        if (i < list.n && bytes + list.item[i].len < 12000 && i - from < 200) {
            bytes += list.item[i].len;
            continue;
        }
        m.entries = list.item + from;
        m.n_entries = i - from;
        m.more = i < list.n;
        session_control(s, KIND_ring_entries, &m.base);
        from = i;
        bytes = i < list.n ? list.item[i].len : 0;
    }
    packed_entries_fini(&list);
}

static void send_secret(void *arg, const Rn__EpochSecret *m)
{
    static const uint8_t unsigned_one[SIGNATURE_BYTES];

    if (memcmp(m->sig.data, unsigned_one, SIGNATURE_BYTES) != 0)
        session_control(arg, KIND_epoch_secret, &m->base);
}

static int take_ring_pull(struct session *s, const Rn__RingPull *m)
{
    struct io *io = io_of(s);
    int64_t now = clock_monotonic_ns();

    if (m->have_version == ring_version() || now - io->answered_ns < SECOND_NS / 2)
        return 1;
    io->answered_ns = now;
    send_entries(s);
    return 1;
}

static int own_message(struct session *s, unsigned kind, const void *m)
{
    int rc;

    switch (kind) {
    case KIND_tick:
        take_tick(s, m);
        return 1;
    case KIND_rekey:
        rc = take_rekey(s, m);
        return rc < 0 ? rc : 1;
    case KIND_goodbye:
        end_with(s, PEER_END_GOODBYE, "");
        return 1;
    case KIND_ring_pull:
        return take_ring_pull(s, m);
    case KIND_ring_entries:
        ring_merge(((const Rn__RingEntries *)m)->entries, ((const Rn__RingEntries *)m)->n_entries);
        return 1;
    default:
        (void)!ring_merge_secret(m);        /* one that is not good is not kept */
        return 1;
    }
}

static int own_frame(struct session *s, const struct peer_rx *rx)
{
    struct wire_arena arena = { 0 };
    const void *m;
    int rc;

    switch (rx->kind) {
    case KIND_tick: case KIND_rekey: case KIND_goodbye: case KIND_ring_pull: case KIND_ring_entries:
    case KIND_epoch_secret:
        break;
    case KIND_accept: case KIND_reject: case KIND_join_request: case KIND_join_reply:
        return -ERR_PROTOCOL;               /* not inside a session */
    default:
        return 0;
    }
    if (kind_rights(rx->kind) != 0 && (kind_rights(rx->kind) & s->rights) == 0)
        return -ERR_PERMISSION;
    m = wire_unpack(wire_type(rx->kind), rx->body.data, rx->body.len, &arena);
    rc = m != NULL ? own_message(s, rx->kind, m) : -ERR_PROTOCOL;
    wire_arena_fini(&arena);
    return rc;
}

/* --- up ------------------------------------------------------------------------------------------------- */

static void keep_addrs(struct peer *p)
{
    struct net_addr addrs[8];
    unsigned n;

    spin_lock(&p->lock);
    n = p->n_addrs;
    memcpy(addrs, p->addrs, n * sizeof addrs[0]);
    spin_unlock(&p->lock);
    ring_keep_addrs(p->info.key, addrs, n);
}

static void go_up(struct session *s, struct conn *c)
{
    struct io *io = io_of(s);
    struct peer_info info = { .creation = c->peer.creation, .rights = c->peer.rights };
    struct timeval beat = { peer_options.heartbeat_ns / SECOND_NS,
                            peer_options.heartbeat_ns % SECOND_NS / 1000 };
    char addr[NET_ADDR_TEXT], letters[NODE_LETTERS];
    int64_t now = clock_monotonic_ns();

    if (strcmp(s->peer->info.name, c->peer.name) != 0)
        peer_rename(s->peer, c->peer.name);
    memcpy(info.boot_id, c->peer.boot_id, sizeof info.boot_id);
    strncpy(info.address, net_addr_text(&c->addr, addr), sizeof info.address - 1);
    info.hidden = (c->peer.rights & (RIGHT_PEER | RIGHT_LEAF)) == 0;
    io->conn = c;
    io->dialling = false;
    io->heard_ns = io->moved_ns = io->keyed_ns = now;
    c->session = s;
    c->stage = CONN_UP;
    atomic_store_explicit(&s->message_max, c->peer.max_message, memory_order_relaxed);
    s->stream.granted = c->peer.window;
    sock_user_timeout(c->fd, (unsigned)(peer_options.down_ns / 1000000));
    if (io->tick != NULL)
        event_free(io->tick);
    io->tick = event_new(loop_base(s->peer->loop), -1, EV_PERSIST, on_tick, s);
    event_add(io->tick, &beat);
    peer_hint(s->peer->id, c->peer.addrs, c->peer.n_addrs);
    if (c->dialler)
        peer_hint(s->peer->id, &c->addr, 1);
    keep_addrs(s->peer);
    LOG(NOTICE, "peer.up", LOG_FIELDS("peer", nid_letters(s->peer->info.nid, letters), "address", addr),
        "%s is up%s", s->peer->info.name, c->dialler ? "" : ", it called");
    c->readable = event_new(loop_base(c->loop), c->fd, EV_READ | EV_PERSIST, on_readable, c);
    event_add(c->readable, NULL);
    if (!session_up(s, &info))
        return;
    if (c->peer.ring_version != ring_version())
        pull_ring(s);
    if (c->peer.epoch < ring_epoch())
        ring_visit_secrets(send_secret, s);
    send_tick(s, now);
    if (c->in.len > 0)
        io_take_early(c);
    else
        io_write(s);
}

static void reject(struct conn *c, uint32_t code, const char *why)
{
    Rn__Reject m = RN__REJECT__INIT;

    m.code = code;
    m.text = BYTES_OF(why, strlen(why));
    if (conn_send_frame(c, KIND_reject, &m.base) == 0)
        (void)!conn_flush(c);
    conn_free(c);
}

/* Take an accepted connection for the peer's session, begun here if there is none. */
static void adopt(struct peer *p, struct conn *c)
{
    Rn__Accept m = RN__ACCEPT__INIT;
    struct session *s = session_begin(p);

    if (s == NULL) {
        reject(c, 703, "this key was revoked");
        return;
    }
    m.session = s->id;
    m.proto = 1;
    m.window = WINDOW_BYTES;
    if (conn_send_frame(c, KIND_accept, &m.base) < 0 || conn_flush(c) < 0) {
        conn_free(c);
        return;                             /* a session that was only begun tries its own way */
    }
    go_up(s, c);
}

static void adopt_waiting(struct peer *p)
{
    struct waiting *w = &waiting[p->id];
    struct conn *c = w->conn;

    w->conn = NULL;
    if (w->doubt != NULL) {
        event_free(w->doubt);
        w->doubt = NULL;
    }
    if (c == NULL)
        return;
    c->loop = p->loop;
    if (c->dialler)
        io_dialled(c);
    else
        io_accepted(c);
}

/* Its turn comes when the end of the last session is told. */
static void wait_turn(struct peer *p, struct conn *c)
{
    conn_free(waiting[p->id].conn);         /* one is enough: the newest */
    waiting[p->id].conn = c;
    p->after_end = adopt_waiting;
}

/* The old connection had its second to say something; or our own dial to get through. */
static void on_doubt(evutil_socket_t fd, short what, void *arg)
{
    struct peer *p = arg;
    struct session *s = session_at(p);
    struct waiting *w = &waiting[p->id];
    struct conn *c = w->conn;

    event_free(w->doubt);
    w->doubt = NULL;
    w->conn = NULL;
    if (c == NULL)
        return;
    if (s != NULL && state_of(s) == SESSION_UP && io_of(s)->heard_ns > c->arrived_ns) {
        reject(c, REJECT_ALREADY, "already connected");
        return;
    }
    if (s != NULL && state_of(s) == SESSION_UP)
        end_with(s, PEER_END_CLOSED, "the peer came back on another connection");
    if (s != NULL && state_of(s) == SESSION_CONNECTING && p->ending == NULL)
        adopt(p, c);                        /* what our dial comes to no longer matters */
    else
        io_accepted(c);
}

static void wait_a_second(struct peer *p, struct conn *c)
{
    struct timeval second = { 1, 0 };

    c->arrived_ns = clock_monotonic_ns();
    waiting[p->id].conn = c;
    waiting[p->id].doubt = event_new(loop_base(p->loop), -1, 0, on_doubt, p);
    event_add(waiting[p->id].doubt, &second);
}

/* The peer calls although a session is up: did it restart, or has the old connection died? */
static void accept_second(struct peer *p, struct session *s, struct conn *c)
{
    bool same_boot = memcmp(p->info.boot_id, c->peer.boot_id, BOOT_ID_BYTES) == 0;

    if (!same_boot && c->peer.creation <= s->creation) {
        reject(c, REJECT_OLDER, "a newer start of this node is connected");
    } else if (!same_boot) {
        end_with(s, PEER_END_RESTARTED, "");
        io_accepted(c);
    } else if (waiting[p->id].conn != NULL) {
        reject(c, REJECT_ALREADY, "already connected");
    } else {
        wait_a_second(p, c);
        send_tick(s, c->arrived_ns);        /* its answer, or any record, is a sign of life */
        io_write(s);
    }
}

void io_accepted(struct conn *c)
{
    struct peer *p = peer_get(c->dial_peer);
    struct session *s = session_at(p);

    if (p->ending != NULL)
        wait_turn(p, c);
    else if (s != NULL && state_of(s) == SESSION_UP)
        accept_second(p, s, c);
    else if (s != NULL && io_of(s)->dialling && memcmp(peer_self.key, p->info.key, 32) < 0 &&
             waiting[p->id].conn == NULL)
        wait_a_second(p, c);                /* ours goes first, if it gets anywhere */
    else if (s != NULL && io_of(s)->dialling && memcmp(peer_self.key, p->info.key, 32) < 0)
        reject(c, REJECT_ALREADY, "we are dialling");
    else
        adopt(p, c);
}

/* --- our own dials ------------------------------------------------------------------------------------------ */

static void on_limit(evutil_socket_t fd, short what, void *arg)
{
    end_with(arg, PEER_END_UNREACHABLE, "");
}

static void io_begin(struct session *s)
{
    struct peer *p = s->peer;
    struct net_addr addrs[8];
    struct timeval limit = { CONNECT_S + 1, 0 };
    unsigned n;

    spin_lock(&p->lock);
    n = p->n_addrs;
    memcpy(addrs, p->addrs, n * sizeof addrs[0]);
    spin_unlock(&p->lock);
    if (n == 0 || ring_epoch() == 0) {
        end_with(s, PEER_END_UNREACHABLE, "no address is known");
        return;
    }
    io_of(s)->dialling = true;
    io_of(s)->tick = event_new(loop_base(p->loop), -1, 0, on_limit, s);
    event_add(io_of(s)->tick, &limit);
    shake_dial(p, s->number, addrs, n);
}

void io_dial_failed(struct peer *p, uint64_t number, enum peer_end why)
{
    struct session *s = session_at(p);

    if (s != NULL && s->number == number && state_of(s) == SESSION_CONNECTING && io_of(s)->dialling)
        end_with(s, why, "");
}

static void on_answer(evutil_socket_t fd, short what, void *arg);

static void on_answer_late(evutil_socket_t fd, short what, void *arg)
{
    struct conn *c = arg;
    struct peer *p = peer_get(c->dial_peer);

    io_dial_failed(p, c->dial_number, PEER_END_UNREACHABLE);
    conn_free(c);
}

/* A session that our connection is for: the one it was dialled for, or (a seed) any that connects. */
static struct session *wanted_by(struct peer *p, struct conn *c)
{
    struct session *s = session_at(p);

    if (p->ending != NULL)
        return NULL;
    if (c->dial_number == 0 && s == NULL) {
        s = session_begin(p);
        if (s != NULL)
            io_of(s)->dialling = s->begun = true;
    }
    return s != NULL && state_of(s) == SESSION_CONNECTING &&
                   (c->dial_number == 0 || s->number == c->dial_number) ? s : NULL;
}

void io_dialled(struct conn *c)
{
    struct timeval limit = { HANDSHAKE_S, 0 };
    struct peer *p = peer_get(c->dial_peer);

    if (p->ending != NULL) {
        wait_turn(p, c);
        return;
    }
    c->timer = event_new(loop_base(c->loop), -1, 0, on_answer_late, c);
    event_add(c->timer, &limit);
    c->readable = event_new(loop_base(c->loop), c->fd, EV_READ | EV_PERSIST, on_answer, c);
    event_add(c->readable, NULL);
    if (c->in.len > 0)
        on_answer(c->fd, 0, c);
}

void (*peer_cloned_hook)(void);

static void told_of_clone(const char *by)
{
    static _Atomic bool told;

    if (atomic_exchange(&told, true))
        return;
    LOG(CRITICAL, "peer.cloned", LOG_FIELDS("code", "RN0713"),
        "%s has a session with a newer start of this node: the key is used twice", by);
    if (peer_cloned_hook != NULL)
        peer_cloned_hook();
}

static void answered(struct conn *c, unsigned kind, const void *m, size_t used)
{
    struct peer *p = peer_get(c->dial_peer);
    struct session *s = wanted_by(p, c);
    char text[100];

    if (kind == KIND_reject) {
        const Rn__Reject *r = m;

        snprintf(text, sizeof text, "RN%04u", r->code % 10000);
        if (r->code != REJECT_ALREADY)      /* both called at once: nothing is wrong */
            LOG(NOTICE, "handshake.rejected", LOG_FIELDS("code", text), "%s: %.*s", c->peer.name,
                (int)(r->text.len < 200 ? r->text.len : 200), (const char *)r->text.data);
        if (r->code == REJECT_OLDER)
            told_of_clone(c->peer.name);
        /* "Already": the other connection is about to come; the limit on connecting stays. */
        if (r->code != REJECT_ALREADY)
            io_dial_failed(p, c->dial_number, PEER_END_REFUSED);
        else if (s != NULL)
            io_of(s)->dialling = false;
        conn_free(c);
        return;
    }
    if (kind != KIND_accept || s == NULL) {
        io_dial_failed(p, c->dial_number, PEER_END_REFUSED);
        conn_free(c);
        return;
    }
    metric_inc(M_handshake_ok);
    event_free(c->timer);
    event_free(c->readable);
    c->timer = c->readable = NULL;
    memmove(c->in.data, c->in.data + used, c->in.len - used);
    c->in.len -= used;
    go_up(s, c);
}

static void on_answer(evutil_socket_t fd, short what, void *arg)
{
    struct conn *c = arg;
    struct wire_arena arena = { 0 };
    const void *m;
    unsigned kind;
    size_t used;

    if (what != 0) {
        size_t max = RECORD_HEAD + RECORD_CIPHER_MAX - c->in.len;
        ssize_t n = read(c->fd, buf_room(&c->in, max), max);

        c->in.len -= max - (size_t)(n > 0 ? n : 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) {
            io_dial_failed(peer_get(c->dial_peer), c->dial_number, PEER_END_REFUSED);
            conn_free(c);
            return;
        }
    }
    m = first_frame(c, &kind, &arena, &used);
    if (kind == 0)
        return;                             /* not all of it is here */
    answered(c, m != NULL ? kind : KIND_END, m, used);
    wire_arena_fini(&arena);
}

/* --- peers ---------------------------------------------------------------------------------------------------- */

const struct session_transport io_transport = { io_begin, io_write, io_send_now, io_drop };

struct peer *io_peer(const uint8_t key[NODE_KEY_BYTES], const char *name)
{
    /* The loop is chosen by key: the id is not known before. */
    return peer_add(name, key, loops[key[0] % n_loops], &io_transport);
}

/* A name, nid or key that the table does not have: the ring may. */
static peer_id find_in_ring(const char *name, size_t len, uint64_t nid, const uint8_t *key)
{
    struct net_addr addrs[8];
    struct ring_member m;
    struct peer *p;
    unsigned n;
    bool found = key != NULL ? ring_lookup(key, &m) && ring_is_member(&m)
               : name != NULL ? ring_lookup_name(name, len, &m) : ring_lookup_nid(nid, &m);

    if (!found || memcmp(m.key, peer_self.key, NODE_KEY_BYTES) == 0 || !peer_is_trusted(m.key))
        return 0;
    p = io_peer(m.key, m.name);
    if (p == NULL)
        return 0;
    n = ring_known_addrs(m.key, addrs, ARRAY_LEN(addrs));
    peer_hint(p->id, addrs, n);
    spin_lock(&p->lock);
    p->gone = false;
    spin_unlock(&p->lock);
    return p->id;
}

/* --- changes of the ring ---------------------------------------------------------------------------------------- */

struct job { struct loop_task task; struct peer *peer; };

static void each_peer(void (*run)(struct loop_task *t))
{
    for (peer_id id = 1; peer_get(id) != NULL; id++) {
        struct job *j = MEM_NEW(struct job);

        j->peer = peer_get(id);
        j->task.run = run;
        loop_post(j->peer->loop, &j->task);
    }
}

static void run_ring_changed(struct loop_task *t)
{
    struct job *j = CONTAINER_OF(t, struct job, task);
    struct session *s = session_at(j->peer);

    if (s != NULL && state_of(s) == SESSION_UP) {
        struct ring_member m;

        if (ring_lookup(j->peer->info.key, &m) && ring_is_member(&m)) {
            s->rights = m.rights;
            spin_lock(&j->peer->lock);
            j->peer->info.rights = m.rights;
            spin_unlock(&j->peer->lock);
        }
        send_entries(s);
        ring_visit_secrets(send_secret, s);
        io_write(s);
    }
    mem_free(j);
}

static void ring_changed(void)
{
    if (n_loops > 0)
        each_peer(run_ring_changed);
}

static void run_revoked(struct loop_task *t)
{
    struct job *j = CONTAINER_OF(t, struct job, task);
    struct session *s = session_at(j->peer);
    struct ring_member m;

    if (!ring_lookup(j->peer->info.key, &m) || !ring_is_member(&m)) {
        spin_lock(&j->peer->lock);
        j->peer->gone = true;
        spin_unlock(&j->peer->lock);
        if (s != NULL)
            end_with(s, PEER_END_REVOKED, "");
    }
    mem_free(j);
}

static void key_revoked(const uint8_t *key)
{
    if (n_loops > 0)
        each_peer(run_revoked);
}

/* --- start and stop ------------------------------------------------------------------------------------------------ */

int peer_start(const struct peer_options *o)
{
    static struct ring_watch watch = { ring_changed, key_revoked, NULL };
    static bool watching;
    char name[24];                          /* the system shows 15 */
    int rc;

    if (!watching)
        ring_watch(&watch);
    watching = true;
    peer_options = *o;
    peer_find_hook = find_in_ring;
    peer_own_frame_hook = own_frame;
    n_loops = o->io_threads < 1 ? 1 : o->io_threads < IO_LOOPS_MAX ? o->io_threads : IO_LOOPS_MAX;
    for (unsigned i = 0; i < n_loops; i++) {
        snprintf(name, sizeof name, "rn-io-%u", i);
        loops[i] = loop_start(name);
    }
    rc = shake_start();
    if (rc < 0)
        peer_stop();
    return rc;
}

static void say_goodbye(struct loop_task *t)
{
    struct job *j = CONTAINER_OF(t, struct job, task);
    struct session *s = session_at(j->peer);
    Rn__Goodbye m = RN__GOODBYE__INIT;

    if (s != NULL && state_of(s) == SESSION_UP) {
        m.restarting = true;
        session_control(s, KIND_goodbye, &m.base);
        io_write(s);
        s = session_at(j->peer);
    }
    if (s != NULL)
        end_with(s, PEER_END_LOCAL, "");
    mem_free(j);
}

void peer_stop(void)
{
    shake_stop();
    if (n_loops == 0)
        return;
    each_peer(say_goodbye);
    for (unsigned i = 0; i < n_loops; i++) {
        loop_stop(loops[i]);
        mem_free(spaces[i]);
        spaces[i] = NULL;
    }
    n_loops = 0;
}

size_t peer_listening(struct net_addr *ret, size_t max)
{
    return shake_listening(ret, max);
}

