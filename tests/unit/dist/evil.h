/* SPDX-License-Identifier: Apache-2.0 */
/*
 * evil.h - the dialler's side of the protocol, step by step, each of which can be done wrongly
 *
 * Blocking sockets with a limit of three seconds for a read; the node under test is in this process,
 * so the secrets of its cluster are at hand (an enemy inside), or are left out (one outside).
 */
#ifndef TESTS_EVIL_H
#define TESTS_EVIL_H

#include "auth/record.h"
#include "dist/peer_net.h"
#include "dist/peer_ring.h"
#include "base/clock.h"
#include "base/errors.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

struct evil {
    int fd;
    struct identity *id;
    char name[64];
    uint32_t creation;
    uint8_t boot[BOOT_ID_BYTES];
    uint8_t first[FLIGHT_BYTES];
    struct secret dh, psk;
    uint8_t dh_pub[DH_BYTES];
    struct noise noise;
    struct record_keys *keys;
};

static inline int evil_connect(const struct net_addr *to)
{
    struct sockaddr_storage ss;
    socklen_t len = net_addr_to_sock(to, &ss);
    struct timeval limit = { 3, 0 };
    int fd = socket(ss.ss_family, SOCK_STREAM, 0);

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    return connect(fd, (struct sockaddr *)&ss, len) == 0 ? fd : -1;
}

/* True when the other side closes (or resets) without another byte. */
static inline bool evil_closed(int fd)
{
    uint8_t b;
    ssize_t n = read(fd, &b, 1);

    return n == 0 || (n < 0 && errno == ECONNRESET);
}

static inline bool evil_read(int fd, void *to, size_t len)
{
    uint8_t *at = to;

    while (len > 0) {
        ssize_t n = read(fd, at, len);

        if (n <= 0)
            return false;
        at += n;
        len -= (size_t)n;
    }
    return true;
}

/* The first flight with keys of this epoch of the ring; purpose peer. */
static inline void evil_flight(struct evil *e)
{
    struct flight f = { .purpose = FLIGHT_PEER, .epoch = (uint16_t)ring_epoch() };
    uint8_t prologue[PROLOGUE_BYTES];
    struct secret door;

    dh_pair(&e->dh, e->dh_pub);
    (void)!ring_secret(f.epoch, SECRET_DOOR, &door);
    (void)!ring_secret(f.epoch, SECRET_PSK, &e->psk);
    ring_tag(f.epoch, f.tag);
    flight_write(&f, &door, e->first);
    flight_prologue(e->first, prologue);
    noise_init(&e->noise, true, prologue, sizeof prologue, &e->dh, e->dh_pub, &e->psk, NULL);
    noise_first_write(&e->noise, f.e);
    flight_write(&f, &door, e->first);
}

static inline void evil_credentials(struct evil *e, struct buf *out)
{
    Rn__Credentials m = RN__CREDENTIALS__INIT;
    Rn__Binding mb = RN__BINDING__INIT;
    Rn__Hello mh = RN__HELLO__INIT;
    struct buf binding = { 0 }, hello = { 0 };
    struct binding b;

    binding_make(e->id, e->dh_pub, (uint64_t)(clock_system_ns() / 1000000000), &b);
    mb.node = BYTES_OF(b.node, sizeof b.node);
    mb.dh = BYTES_OF(b.dh, sizeof b.dh);
    mb.not_before = b.not_before;
    mb.not_after = b.not_after;
    mb.sig = BYTES_OF(b.sig, sizeof b.sig);
    wire_pack(&mb.base, &binding);
    mh.proto_min = mh.proto_max = 1;
    mh.name = BYTES_OF(e->name, strlen(e->name));
    mh.creation = e->creation;
    mh.boot_id = BYTES_OF(e->boot, sizeof e->boot);
    mh.window = 8 << 20;
    mh.max_message = 64 << 20;
    mh.epoch = ring_epoch();
    wire_pack(&mh.base, &hello);
    m.binding = BYTES_OF(binding.data, binding.len);
    m.hello = BYTES_OF(hello.data, hello.len);
    wire_pack(&m.base, out);
    buf_fini(&binding);
    buf_fini(&hello);
}

/* Flight and messages 2 and 3. False: refused on the way. */
static inline bool evil_shake(struct evil *e, const struct net_addr *to)
{
    struct buf msg = { 0 }, payload = { 0 };
    struct noise_keys keys;
    uint8_t head[2];
    bool ok = false;

    e->fd = evil_connect(to);
    evil_flight(e);
    if (write(e->fd, e->first, FLIGHT_BYTES) != FLIGHT_BYTES || !evil_read(e->fd, head, 2))
        return false;
    buf_room(&msg, (size_t)(head[0] << 8 | head[1]));
    if (evil_read(e->fd, msg.data, msg.len) &&
        noise_read(&e->noise, msg.data, msg.len, &payload) == 0) {
        msg.len = payload.len = 0;
        evil_credentials(e, &payload);
        ok = noise_write(&e->noise, payload.data, payload.len, &msg) == 0;
        head[0] = (uint8_t)(msg.len >> 8);
        head[1] = (uint8_t)msg.len;
        ok = ok && write(e->fd, head, 2) == 2 &&
             write(e->fd, msg.data, msg.len) == (ssize_t)msg.len;
        noise_split(&e->noise, &keys);
        e->keys = record_keys_new(&keys, true);
    }
    buf_fini(&msg);
    buf_fini(&payload);
    return ok;
}

/* The next record: its first frame's kind; 0: closed. */
static inline unsigned evil_receive(struct evil *e, uint32_t *ret_code)
{
    static uint8_t rec[RECORD_HEAD + RECORD_CIPHER_MAX];
    struct wire_arena a = { 0 };
    struct frame_view f = { 0 };
    struct reader r;
    uint8_t flags;
    int len, n;

    if (!evil_read(e->fd, rec, RECORD_HEAD) || (len = record_length(rec)) < 0 ||
        !evil_read(e->fd, rec + RECORD_HEAD, (size_t)len - RECORD_HEAD))
        return 0;
    n = record_open(&e->keys->receive, rec, (size_t)len, &flags);
    if (n < 0)
        return 0;
    r = reader_make(rec + RECORD_HEAD, (size_t)n);
    if (batch_next(&r, &f) != 1)
        return 0;
    if (f.kind == KIND_reject && ret_code != NULL) {
        const Rn__Reject *m = wire_unpack(&rn__reject__descriptor, f.body.data, f.body.len, &a);

        *ret_code = m != NULL ? m->code : 0;
        wire_arena_fini(&a);
    }
    return f.kind;
}

/* Records until the connection is closed; true when it was, within the limit. */
static inline bool evil_drain(struct evil *e)
{
    int64_t until = clock_monotonic_ns() + INT64_C(5000000000);

    while (clock_monotonic_ns() < until) {
        if (evil_receive(e, NULL) == 0)
            return errno != EAGAIN && errno != EWOULDBLOCK;
    }
    return false;
}

/* One frame in a record of its own. */
static inline void evil_send(struct evil *e, unsigned kind, const void *body, size_t len)
{
    static uint8_t rec[RECORD_HEAD + RECORD_CIPHER_MAX];
    size_t head = batch_head_len(kind, 0, len);
    int n;

    batch_write_head(kind, 0, len, rec + RECORD_HEAD);
    if (len > 0)
        memcpy(rec + RECORD_HEAD + head, body, len);
    n = record_seal(&e->keys->send, LANE_SIGNAL, rec, head + len);
    (void)!write(e->fd, rec, (size_t)n);
}

static inline void evil_send_sig(struct evil *e, const struct wire_sig *s)
{
    struct buf b = { 0 };

    sig_write(s, &b);
    evil_send(e, s->kind, b.data, b.len);
    buf_fini(&b);
}

static inline void evil_end(struct evil *e)
{
    if (e->fd >= 0)
        close(e->fd);
    record_keys_free(e->keys);
    e->keys = NULL;
    e->fd = -1;
}

#endif
