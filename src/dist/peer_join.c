/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peer_join.c - the newcomer's side of an invitation, one step after the other
 *
 * Happy path: dial one of the token's addresses, first flight with the token's id, messages 2 and 3,
 * JoinRequest, JoinReply; then entries and secret are kept and the inviter is dialled as a peer.
 * On a thread that may block.
 */
#include "dist/peer_net.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/errors.h"
#include "net/sock.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

struct join {
    const struct token *token;
    int fd;
    struct noise noise;
    struct record_keys *keys;
    uint8_t first[FLIGHT_BYTES];
    struct net_addr addr;
    char *why;
    size_t why_len;
};

static unsigned fail(struct join *j, unsigned code, const char *why)
{
    snprintf(j->why, j->why_len, "%s", why);
    return code;
}

static bool wait_for(int fd, short what)
{
    struct pollfd p = { .fd = fd, .events = what };

    return poll(&p, 1, HANDSHAKE_S * 1000) == 1;
}

static bool send_all(struct join *j, const void *data, size_t len)
{
    const uint8_t *at = data;

    while (len > 0) {
        ssize_t n = write(j->fd, at, len);

        if (n < 0 && errno == EAGAIN && wait_for(j->fd, POLLOUT))
            continue;
        if (n <= 0)
            return false;
        at += n;
        len -= (size_t)n;
    }
    return true;
}

static bool read_all(struct join *j, void *data, size_t len)
{
    uint8_t *at = data;

    while (len > 0) {
        ssize_t n = read(j->fd, at, len);

        if (n < 0 && errno == EAGAIN && wait_for(j->fd, POLLIN))
            continue;
        if (n <= 0)
            return false;
        at += n;
        len -= (size_t)n;
    }
    return true;
}

static unsigned connect_any(struct join *j)
{
    for (unsigned i = 0; i < j->token->n_addrs; i++) {
        j->fd = sock_connect(&j->token->addrs[i]);
        if (j->fd >= 0 && wait_for(j->fd, POLLOUT) && sock_error(j->fd) == 0) {
            j->addr = j->token->addrs[i];
            return 0;
        }
        if (j->fd >= 0)
            close(j->fd);
        j->fd = -1;
    }
    return fail(j, 701, "none of the inviter's addresses can be reached");
}

/* --- handshake ---------------------------------------------------------------------------------------- */

/* The node behind message 2 is the one that made the token. */
static unsigned check_inviter(struct join *j, const struct buf *payload)
{
    struct wire_arena a = { 0 }, ab = { 0 };
    const Rn__Credentials *m = wire_unpack(&rn__credentials__descriptor, payload->data, payload->len,
                                           &a);
    const Rn__Binding *mb = m == NULL ? NULL : wire_unpack(&rn__binding__descriptor,
                                                           m->binding.data, m->binding.len, &ab);
    struct binding b;
    unsigned code = 723;

    if (mb != NULL && mb->node.len == sizeof b.node && mb->dh.len == sizeof b.dh &&
        mb->sig.len == sizeof b.sig) {
        memcpy(b.node, mb->node.data, sizeof b.node);
        memcpy(b.dh, mb->dh.data, sizeof b.dh);
        memcpy(b.sig, mb->sig.data, sizeof b.sig);
        b.not_before = mb->not_before;
        b.not_after = mb->not_after;
        if (memcmp(b.node, j->token->inviter, sizeof b.node) == 0 &&
            memcmp(b.dh, noise_remote_static(&j->noise), DH_BYTES) == 0 &&
            binding_check(&b, (uint64_t)(clock_system_ns() / 1000000000)) == 0)
            code = 0;
    }
    wire_arena_fini(&a);
    wire_arena_fini(&ab);
    return code == 0 ? 0 : fail(j, code, "who answered is not the node that made the invitation");
}

static unsigned shake_hands(struct join *j)
{
    struct flight f = { .purpose = FLIGHT_JOIN };
    struct secret door, psk, s;
    struct binding binding;
    struct buf msg = { 0 }, payload = { 0 };
    uint8_t prologue[PROLOGUE_BYTES], pub[DH_BYTES], head[2];
    struct noise_keys keys;
    unsigned code;

    token_keys(j->token, &door, &psk);
    memcpy(f.tag, j->token->id, sizeof f.tag);
    flight_write(&f, &door, j->first);
    flight_prologue(j->first, prologue);
    ring_dh(&s, pub, &binding);
    noise_init(&j->noise, true, prologue, sizeof prologue, &s, pub, &psk, NULL);
    noise_first_write(&j->noise, f.e);
    flight_write(&f, &door, j->first);
    secret_wipe(&door, sizeof door);
    secret_wipe(&psk, sizeof psk);
    secret_wipe(&s, sizeof s);
    if (!send_all(j, j->first, sizeof j->first) || !read_all(j, head, 2) ||
        (size_t)(head[0] << 8 | head[1]) > HANDSHAKE_BYTES)
        return fail(j, 721, "the inviter refused: the invitation is used, over, or not its own");
    buf_room(&msg, (size_t)(head[0] << 8 | head[1]));
    if (!read_all(j, msg.data, msg.len) || noise_read(&j->noise, msg.data, msg.len, &payload) < 0)
        code = fail(j, 723, "the answer of the inviter is not good");
    else
        code = check_inviter(j, &payload);
    msg.len = payload.len = 0;
    if (code == 0) {
        peer_pack_credentials(&binding, &payload);
        if (noise_write(&j->noise, payload.data, payload.len, &msg) < 0 ||
            (head[0] = (uint8_t)(msg.len >> 8), head[1] = (uint8_t)msg.len, !send_all(j, head, 2)) ||
            !send_all(j, msg.data, msg.len))
            code = fail(j, 701, "the connection to the inviter was lost");
    }
    buf_fini(&msg);
    buf_fini(&payload);
    if (code == 0) {
        noise_split(&j->noise, &keys);
        j->keys = record_keys_new(&keys, true);
        secret_wipe(&keys, sizeof keys);
    }
    return code;
}

/* --- request and reply -------------------------------------------------------------------------------- */

static bool send_request(struct join *j)
{
    Rn__JoinRequest m = RN__JOIN_REQUEST__INIT;
    uint8_t proof[SIGNATURE_BYTES], rec[1024];
    size_t body, head;
    int n;

    identity_sign(ring_identity(), "rn join 1", j->noise.h, sizeof j->noise.h, proof);
    m.node = BYTES_OF(peer_self.key, NODE_KEY_BYTES);
    m.name = BYTES_OF(peer_self.name, strlen(peer_self.name));
    m.proof = BYTES_OF(proof, sizeof proof);
    body = protobuf_c_message_get_packed_size(&m.base);
    head = batch_head_len(KIND_join_request, 0, body);
    batch_write_head(KIND_join_request, 0, body, rec + RECORD_HEAD);
    protobuf_c_message_pack(&m.base, rec + RECORD_HEAD + head);
    n = record_seal(&j->keys->send, LANE_CONTROL, rec, head + body);
    return n > 0 && send_all(j, rec, (size_t)n);
}

static unsigned keep(struct join *j, const Rn__JoinReply *m)
{
    struct wire_arena a = { 0 };
    const Rn__EpochSecret *es;
    struct ring_member me;
    struct secret s;
    int rc;

    if (ring_founded() && ring_reset() < 0)
        return fail(j, 601, "the store cannot be written");
    ring_merge(m->entries, m->n_entries);
    es = wire_unpack(&rn__epoch_secret__descriptor, m->epoch_secret.data, m->epoch_secret.len, &a);
    if (!ring_lookup(peer_self.key, &me) || !ring_is_member(&me) || es == NULL ||
        es->secret.len != SECRET_BYTES) {
        wire_arena_fini(&a);
        return fail(j, 723, "the inviter's answer does not let us in");
    }
    rc = ring_merge_secret(es);
    if (rc < 0) {
        /* Signed by somebody whose entry we have not seen yet; the inviter vouches for it. */
        memcpy(s.bytes, es->secret.data, SECRET_BYTES);
        rc = ring_accept_secret(es->epoch, &s);
        secret_wipe(&s, sizeof s);
    }
    wire_arena_fini(&a);
    return rc < 0 ? fail(j, 601, "the store cannot be written") : 0;
}

static unsigned take_reply(struct join *j)
{
    struct wire_arena a = { 0 };
    const Rn__JoinReply *m = NULL;
    uint8_t *rec = mem_alloc(RECORD_HEAD + RECORD_CIPHER_MAX), flags;
    struct frame_view f;
    struct reader r;
    unsigned code;
    int len = -1, n = -1;

    if (read_all(j, rec, RECORD_HEAD))
        len = record_length(rec);
    if (len > 0 && read_all(j, rec + RECORD_HEAD, (size_t)len - RECORD_HEAD))
        n = record_open(&j->keys->receive, rec, (size_t)len, &flags);
    if (n > 0) {
        r = reader_make(rec + RECORD_HEAD, (size_t)n);
        if (batch_next(&r, &f) == 1 && f.kind == KIND_join_reply)
            m = wire_unpack(&rn__join_reply__descriptor, f.body.data, f.body.len, &a);
    }
    if (m == NULL) {
        code = fail(j, 701, "the inviter did not answer");
    } else if (m->code != 0) {
        snprintf(j->why, j->why_len, "the inviter says: %.*s",
                 (int)(m->text.len < 150 ? m->text.len : 150), (const char *)m->text.data);
        code = m->code;
    } else {
        code = keep(j, m);
    }
    secret_wipe(rec, RECORD_HEAD + RECORD_CIPHER_MAX);
    mem_free(rec);
    wire_arena_fini(&a);
    return code;
}

unsigned peer_join(const struct token *t, char *why, size_t why_len, peer_id *ret_inviter)
{
    struct join j = { .token = t, .fd = -1, .why = why, .why_len = why_len };
    unsigned code = connect_any(&j);

    if (code == 0)
        code = shake_hands(&j);
    if (code == 0 && !send_request(&j))
        code = fail(&j, 701, "the connection to the inviter was lost");
    if (code == 0)
        code = take_reply(&j);
    if (j.fd >= 0)
        close(j.fd);
    noise_wipe(&j.noise);
    record_keys_free(j.keys);
    if (code == 0) {
        *ret_inviter = peer_by_key(t->inviter);
        peer_hint(*ret_inviter, &j.addr, 1);
        (void)peer_connect(*ret_inviter);
    }
    return code;
}
