/* SPDX-License-Identifier: Apache-2.0 */
/*
 * t_session.c - a node that listens, and enemies: outside, revoked, and inside with few rights
 *
 * After each attack a well-behaved member still gets its session and its message through.
 */
#include "unit/dist/evil.h"

#include "base/alloc.h"
#include "base/epoch.h"
#include "base/log.h"
#include "base/metric.h"
#include "term/atom.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "unit/dist/own_ring.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static struct net_addr at;
static struct identity *good_id, *leaf_id, *view_id, *revoked_id, *stranger_id;
static _Atomic int messages, ups, downs;

static void nap(void)
{
    struct timespec ts = { 0, 2000000 };

    nanosleep(&ts, NULL);
}

#define WAIT_FOR(cond)                                                  \
    do {                                                                \
        int64_t until_ = clock_monotonic_ns() + INT64_C(8000000000);    \
        while (!(cond) && clock_monotonic_ns() < until_)                \
            nap();                                                      \
        assert_true(cond);                                              \
    } while (0)

static int on_send(const struct peer_rx *rx)
{
    atomic_fetch_add(&messages, 1);
    return 0;
}

static void on_up(const struct peer_info *p)
{
    atomic_fetch_add(&ups, 1);
}

static bool on_down(const struct peer_info *p, session_id s, enum peer_end why)
{
    atomic_fetch_add(&downs, 1);
    return false;
}

static struct evil as(struct identity *id, const char *name)
{
    static uint32_t creation = 100;
    struct evil e = { .fd = -1, .id = id, .creation = creation++ };

    snprintf(e.name, sizeof e.name, "%s", name);
    random_bytes(e.boot, sizeof e.boot);
    return e;
}

/* A whole session; the caller goes on with it. */
static struct evil session_of(struct identity *id, const char *name)
{
    struct evil e = as(id, name);

    assert_true(evil_shake(&e, &at));
    assert_int_equal(evil_receive(&e, NULL), KIND_accept);
    return e;
}

static void send_small(struct evil *e)
{
    struct wire_sig s = { .kind = KIND_send, .to = 5, .from = 6,
                          .term = { (const uint8_t *)"\x61\x01", 2 } };

    evil_send_sig(e, &s);
}

/* The node is well: a member comes, says something, and goes. */
static void unharmed(void)
{
    struct evil e = session_of(good_id, "good@x");
    int before = atomic_load(&messages), down = atomic_load(&downs);

    send_small(&e);
    WAIT_FOR(atomic_load(&messages) == before + 1);
    evil_end(&e);
    WAIT_FOR(atomic_load(&downs) > down);
}

static void a_member_is_let_in(void **state)
{
    unharmed();
}

/* --- outside ---------------------------------------------------------------------------------- */

static void noise_at_the_door(void **state)
{
    uint64_t before = metric_counter(M_handshake_version);
    uint8_t bytes[FLIGHT_BYTES];
    int fd = evil_connect(&at);

    random_bytes(bytes, sizeof bytes);
    assert_int_equal(write(fd, bytes, sizeof bytes), sizeof bytes);
    assert_true(evil_closed(fd));                       /* and not a byte came back */
    close(fd);
    assert_true(metric_counter(M_handshake_version) > before);
    unharmed();
}

/* Each of 64 bytes flipped: nothing is answered. A sample of them, for the door counts starts. */
static void forged_flights(void **state)
{
    uint64_t before = metric_counter(M_handshake_proof);

    for (int i = 6; i < FLIGHT_BYTES; i += 9) {
        struct evil e = as(good_id, "good@x");

        e.fd = evil_connect(&at);
        evil_flight(&e);
        e.first[i] ^= 1;
        assert_int_equal(write(e.fd, e.first, FLIGHT_BYTES), FLIGHT_BYTES);
        assert_true(evil_closed(e.fd));
        evil_end(&e);
    }
    assert_true(metric_counter(M_handshake_proof) > before);
    unharmed();
}

static void replayed_flight(void **state)
{
    struct evil e = as(good_id, "good@x");
    uint64_t before = metric_counter(M_handshake_replay);
    uint8_t head[2];
    int fd;

    e.fd = evil_connect(&at);
    evil_flight(&e);
    assert_int_equal(write(e.fd, e.first, FLIGHT_BYTES), FLIGHT_BYTES);
    assert_true(evil_read(e.fd, head, 2));              /* the first time it is answered */
    fd = evil_connect(&at);
    assert_int_equal(write(fd, e.first, FLIGHT_BYTES), FLIGHT_BYTES);
    assert_true(evil_closed(fd));
    close(fd);
    evil_end(&e);
    assert_int_equal(metric_counter(M_handshake_replay), before + 1);
    unharmed();
}

/* Half a flight, and then nothing: closed after two seconds, and it held 64 bytes of ours. */
static void slowloris(void **state)
{
    uint64_t before = metric_counter(M_handshake_timeout);
    int fd[8];

    for (int i = 0; i < 8; i++) {
        fd[i] = evil_connect(&at);
        assert_int_equal(write(fd[i], "RND1", 4), 4);
    }
    unharmed();
    for (int i = 0; i < 8; i++) {
        assert_true(evil_closed(fd[i]));
        close(fd[i]);
    }
    WAIT_FOR(metric_counter(M_handshake_timeout) >= before + 8);
}

/* --- with the secret, without a good key ------------------------------------------------------- */

static void refused_key(struct identity *id, const char *name)
{
    struct evil e = as(id, name);
    uint64_t before = metric_counter(M_handshake_unknown);

    assert_true(evil_shake(&e, &at));
    assert_int_equal(evil_receive(&e, NULL), 0);
    evil_end(&e);
    assert_int_equal(metric_counter(M_handshake_unknown), before + 1);
}

static void wrong_keys(void **state)
{
    refused_key(stranger_id, "stranger@x");
    refused_key(revoked_id, "revoked@x");
    refused_key(good_id, "another@x");                  /* a good key under another name */
    refused_key(ring_identity(), "me@x");               /* our own */
    unharmed();
}

/* A binding for another Diffie-Hellman key. */
static void stolen_binding(void **state)
{
    struct evil e = as(good_id, "good@x");
    uint64_t before = metric_counter(M_handshake_proof);
    struct buf msg = { 0 }, payload = { 0 };
    uint8_t head[2];

    e.fd = evil_connect(&at);
    evil_flight(&e);
    assert_int_equal(write(e.fd, e.first, FLIGHT_BYTES), FLIGHT_BYTES);
    assert_true(evil_read(e.fd, head, 2));
    buf_room(&msg, (size_t)(head[0] << 8 | head[1]));
    assert_true(evil_read(e.fd, msg.data, msg.len));
    assert_int_equal(noise_read(&e.noise, msg.data, msg.len, &payload), 0);
    msg.len = payload.len = 0;
    e.dh_pub[0] ^= 1;
    evil_credentials(&e, &payload);
    assert_int_equal(noise_write(&e.noise, payload.data, payload.len, &msg), 0);
    head[0] = (uint8_t)(msg.len >> 8);
    head[1] = (uint8_t)msg.len;
    assert_int_equal(write(e.fd, head, 2), 2);
    assert_int_equal(write(e.fd, msg.data, msg.len), msg.len);
    assert_true(evil_closed(e.fd));
    evil_end(&e);
    buf_fini(&msg);
    buf_fini(&payload);
    assert_int_equal(metric_counter(M_handshake_proof), before + 1);
    unharmed();
}

static void oversized_message(void **state)
{
    struct evil e = as(good_id, "good@x");
    uint8_t head[2];

    e.fd = evil_connect(&at);
    evil_flight(&e);
    assert_int_equal(write(e.fd, e.first, FLIGHT_BYTES), FLIGHT_BYTES);
    assert_true(evil_read(e.fd, head, 2));
    shutdown(e.fd, SHUT_RD);
    assert_int_equal(write(e.fd, "\xFF\xFF", 2), 2);
    evil_end(&e);
    unharmed();
}

/* --- inside ------------------------------------------------------------------------------------ */

static void ends(struct evil *e)
{
    int before = atomic_load(&downs);

    assert_true(evil_drain(e));
    evil_end(e);
    WAIT_FOR(atomic_load(&downs) > before || atomic_load(&downs) == atomic_load(&ups));
    unharmed();
}

static void damaged_record(void **state)
{
    struct evil e = session_of(good_id, "good@x");
    uint8_t rec[64] = { 0 };
    int n;

    memset(rec + RECORD_HEAD, 1, 20);
    n = record_seal(&e.keys->send, LANE_SIGNAL, rec, 20);
    rec[10] ^= 1;
    assert_int_equal(write(e.fd, rec, (size_t)n), n);
    ends(&e);
}

static void oversized_record(void **state)
{
    struct evil e = session_of(good_id, "good@x");

    assert_int_equal(write(e.fd, "\xFF\xFF\xFF\x00", 4), 4);
    ends(&e);
}

static void truncated_frame(void **state)
{
    struct evil e = session_of(good_id, "good@x");
    uint8_t rec[64] = { [RECORD_HEAD] = 0x0A, 50, 0x12, 48, 1, 2, 3 };
    int n = record_seal(&e.keys->send, LANE_SIGNAL, rec, 7);

    assert_int_equal(write(e.fd, rec, (size_t)n), n);
    ends(&e);
}

static void spawn_without_right(void **state)
{
    struct evil e = session_of(leaf_id, "leaf@x");
    struct wire_sig s = { .kind = KIND_spawn_request, .from = 3,
                          .module = { (const uint8_t *)"\x6A", 1 } };

    evil_send_sig(&e, &s);
    ends(&e);
    e = session_of(view_id, "view@x");
    send_small(&e);                                     /* an operator sends no messages */
    ends(&e);
}

static void join_inside_a_session(void **state)
{
    struct evil e = session_of(good_id, "good@x");

    evil_send(&e, KIND_accept, "", 0);
    ends(&e);
}

/* 20,000 new atoms at once: half of them are made, then frames are dropped, then the session ends. */
static void flood(struct evil *e, int from)
{
    for (int i = from; i < from + 20000; i++) {
        char name[40];
        uint32_t slot = (uint32_t)(i % 2048);
        struct wire_sig def = { .kind = KIND_atom_def, .slot = slot };
        struct wire_sig s = { .kind = KIND_send, .to = 1, .from = 2, .atoms = &slot, .n_atoms = 1,
                              .term = { (const uint8_t *)"\x52\x00", 2 } };

        snprintf(name, sizeof name, "flood_%d", i);
        def.name = (struct span){ (const uint8_t *)name, (uint32_t)strlen(name) };
        evil_send_sig(e, &def);
        evil_send_sig(e, &s);
    }
}

static void atom_flood(void **state)
{
    struct evil e = session_of(good_id, "good@x");
    uint64_t made = metric_counter(M_peer_atoms), refused = metric_counter(M_peer_refused);
    uint32_t before = atom_count();

    flood(&e, 0);
    ends(&e);
    e = session_of(good_id, "good@x");      /* another session is no other allowance */
    flood(&e, 20000);
    ends(&e);
    assert_true(metric_counter(M_peer_atoms) - made >= 10000);
    assert_true(metric_counter(M_peer_atoms) - made < 12000);
    assert_true(metric_counter(M_peer_refused) - refused >= 100);
    assert_true(atom_count() - before < 12000);
}

/* It answers, but its schedulers do not move; then they do. */
static void standing_still(void **state)
{
    int64_t usual = peer_degraded_ns;
    struct evil e = session_of(good_id, "good@x");
    peer_id id = peer_by_key(identity_key(good_id));
    Rn__Tick m = RN__TICK__INIT;
    struct peer_info info;

    peer_degraded_ns = 50000000;
    m.progress = 7;
    for (int i = 0; i < 3000 && !(peer_info(id, &info) && info.degraded); i++) {
        struct buf b = { 0 };

        m.seq++;
        wire_pack(&m.base, &b);
        evil_send(&e, KIND_tick, b.data, b.len);
        buf_fini(&b);
        nap();
    }
    assert_true(info.degraded);
    for (int i = 0; i < 3000 && peer_info(id, &info) && info.degraded; i++) {
        struct buf b = { 0 };

        m.seq++;
        m.progress++;
        wire_pack(&m.base, &b);
        evil_send(&e, KIND_tick, b.data, b.len);
        buf_fini(&b);
        nap();
    }
    assert_false(info.degraded);
    peer_degraded_ns = usual;
    evil_end(&e);
}

/* Transfers that are announced and never come. */
static void fragment_flood(void **state)
{
    struct evil e = session_of(good_id, "good@x");

    for (uint64_t i = 1; i <= 70; i++) {
        struct wire_sig s = { .kind = KIND_fragment, .id = i, .code = 60 << 20,
                              .term = { (const uint8_t *)"x", 1 } };

        evil_send_sig(&e, &s);
    }
    ends(&e);
}

static void terms_too_deep(void **state)
{
    struct evil e = session_of(good_id, "good@x");
    static uint8_t deep[8000];
    int before = atomic_load(&messages);

    for (size_t i = 0; i + 2 < sizeof deep; i += 2)
        memcpy(deep + i, "\x68\x01", 2);
    for (int i = 0; i < 50; i++) {
        struct wire_sig s = { .kind = KIND_send, .to = 1, .from = 2, .term = { deep, sizeof deep } };

        evil_send_sig(&e, &s);
    }
    send_small(&e);                                     /* fifty are dropped, this one arrives */
    WAIT_FOR(atomic_load(&messages) == before + 1);
    evil_end(&e);
    unharmed();
}

/* --- sessions of one node ---------------------------------------------------------------------- */

static void second_connection_of_a_living_node(void **state)
{
    struct evil e = session_of(good_id, "good@x"), again = e;
    uint32_t code = 0;

    again.fd = -1;
    again.keys = NULL;
    assert_true(evil_shake(&again, &at));               /* same boot: the old one is asked */
    for (int i = 0; i < 100; i++) {                     /* and shows that it lives */
        send_small(&e);
        nap();
    }
    assert_int_equal(evil_receive(&again, &code), KIND_reject);
    assert_int_equal(code, 709);
    evil_end(&again);
    evil_end(&e);
    unharmed();
}

static void restart_replaces(void **state)
{
    struct evil old = session_of(good_id, "good@x"), fresh;
    int down = atomic_load(&downs);
    uint32_t code = 0;

    fresh = session_of(good_id, "good@x");              /* another boot id, a higher creation */
    assert_true(evil_drain(&old));
    WAIT_FOR(atomic_load(&downs) == down + 1);
    evil_end(&old);
    old = as(good_id, "good@x");
    old.creation = 1;                                   /* and an older one is turned away */
    assert_true(evil_shake(&old, &at));
    assert_int_equal(evil_receive(&old, &code), KIND_reject);
    assert_int_equal(code, 713);
    evil_end(&old);
    evil_end(&fresh);
    unharmed();
}

static void revoked_in_a_session(void **state)
{
    struct identity *id = identity_new(NULL);
    struct evil e;

    assert_int_equal(ring_admit(identity_key(id), "soon@x", role_rights("peer")), 0);
    e = session_of(id, "soon@x");
    assert_int_equal(ring_revoke(identity_key(id)), 0);
    ends(&e);
    refused_key(id, "soon@x");
    identity_free(id);
}

/* In-band re-keying, asked for by the dialler. */
static void rekey(void **state)
{
    struct evil e = session_of(good_id, "good@x");
    Rn__Rekey m = RN__REKEY__INIT;
    struct buf b = { 0 };
    struct secret mine;
    uint8_t pub[DH_BYTES], rec[16500], flags = 0, zero[DH_BYTES] = { 0 };
    int before = atomic_load(&messages), len, n;
    struct wire_arena a = { 0 };

    dh_pair(&mine, pub);
    m.step = 1;
    m.e = BYTES_OF(pub, sizeof pub);
    wire_pack(&m.base, &b);
    evil_send(&e, KIND_rekey, b.data, b.len);
    do {                                                /* its answer comes with SWITCH */
        const Rn__Rekey *r;
        struct frame_view f;
        struct reader rd;

        assert_true(evil_read(e.fd, rec, RECORD_HEAD));
        len = record_length(rec);
        assert_true(len > 0 && evil_read(e.fd, rec + RECORD_HEAD, (size_t)len - RECORD_HEAD));
        if (rec[3] & RECORD_SWITCH)                     /* opened under the old key, then switched */
            e.keys->receive.has_next = true;
        n = record_open(&e.keys->receive, rec, (size_t)len, &flags);
        assert_true(n > 0);
        rd = reader_make(rec + RECORD_HEAD, (size_t)n);
        assert_int_equal(batch_next(&rd, &f), 1);
        if (f.kind != KIND_rekey)
            continue;
        r = wire_unpack(&rn__rekey__descriptor, f.body.data, f.body.len, &a);
        assert_non_null(r);
        assert_int_equal(record_rekey(e.keys, true, &mine, r->e.data), 0);
        e.keys->receive.key = e.keys->receive.next;
        e.keys->receive.has_next = false;
    } while ((flags & RECORD_SWITCH) == 0);
    /* Ours: the next record is the last under the old key. */
    rec[0] = 0;
    {
        struct wire_sig s = { .kind = KIND_send, .to = 5, .from = 6,
                              .term = { (const uint8_t *)"\x61\x01", 2 } };
        struct buf body = { 0 };
        size_t head;

        sig_write(&s, &body);
        head = batch_head_len(KIND_send, 0, body.len);
        batch_write_head(KIND_send, 0, body.len, rec + RECORD_HEAD);
        memcpy(rec + RECORD_HEAD + head, body.data, body.len);
        n = record_seal(&e.keys->send, LANE_SIGNAL | RECORD_SWITCH, rec, head + body.len);
        assert_int_equal(write(e.fd, rec, (size_t)n), n);
        buf_fini(&body);
    }
    send_small(&e);
    WAIT_FOR(atomic_load(&messages) == before + 2);
    b.len = 0;
    m.e = BYTES_OF(zero, sizeof zero);                  /* a key that gives nothing secret */
    wire_pack(&m.base, &b);
    evil_send(&e, KIND_rekey, b.data, b.len);
    buf_fini(&b);
    wire_arena_fini(&a);
    ends(&e);
}

/* Sends from this thread, some after a pause (they go out from here), some in a flood (the loop takes
 * them): all arrive, in order. */
static void direct_and_queued_sends(void **state)
{
    struct evil e = session_of(good_id, "good@x");
    session_id any = session_any(peer_by_name("good@x", 6));
    static uint8_t rec[RECORD_HEAD + RECORD_CIPHER_MAX];
    static struct wire_space space;
    uint64_t sent = 0, got = 0;

    for (int i = 0; i < 60; i++) {
        for (int k = 0; k < (i % 3 == 0 ? 50 : 1); k++) {
            struct wire_sig s = { .kind = KIND_send, .to = 1, .from = ++sent,
                                  .term = { (const uint8_t *)"\x61\x01", 2 } };

            assert_int_equal(peer_send(any, peer_frame_seal(peer_frame_new(8), &s), 7, 0, NULL),
                             PEER_SENT);
        }
        if (i % 3 != 0)
            nap();
    }
    while (got < sent) {
        struct frame_view f;
        struct reader r;
        uint8_t flags;
        int len, n;

        assert_true(evil_read(e.fd, rec, RECORD_HEAD));
        len = record_length(rec);
        assert_true(len > 0 && evil_read(e.fd, rec + RECORD_HEAD, (size_t)len - RECORD_HEAD));
        n = record_open(&e.keys->receive, rec, (size_t)len, &flags);
        assert_true(n > 0);
        r = reader_make(rec + RECORD_HEAD, (size_t)n);
        while (batch_next(&r, &f) == 1) {
            struct wire_sig s;

            if (f.kind != KIND_send)
                continue;
            assert_int_equal(sig_read(f.kind, f.body.data, f.body.len, &space, &s), 0);
            assert_int_equal(s.from, ++got);
        }
    }
    evil_end(&e);
    unharmed();
}

/* --- invitations ------------------------------------------------------------------------------- */

static void tokens(void **state)
{
    char text[TOKEN_TEXT_MAX];
    struct token t, back;
    struct secret door, psk;
    uint32_t rights;

    assert_int_equal(token_make(role_rights("peer"), 60, 2, &at, 1, &t), 0);
    token_text(&t, text);
    assert_int_equal(token_parse(text, &back), 0);
    assert_memory_equal(&t, &back, sizeof t);
    for (size_t i = 0; text[i] != 0; i++) {             /* each letter mistyped */
        char was = text[i];

        text[i] = was == 'A' ? 'B' : 'A';
        assert_int_equal(token_parse(text, &back), -ERR_FORMAT);
        text[i] = was;
    }
    for (size_t n = 0; n < strlen(text); n++) {
        char cut[TOKEN_TEXT_MAX];

        memcpy(cut, text, n);
        cut[n] = 0;
        assert_int_equal(token_parse(cut, &back), -ERR_FORMAT);
    }
    assert_int_equal(token_find(t.id, &door, &psk, &rights), 0);
    assert_int_equal(rights, t.rights);
    assert_int_equal(token_use(t.id), 0);
    assert_int_equal(token_use(t.id), 0);
    assert_int_equal(token_use(t.id), -ERR_NOT_FOUND);
    assert_int_equal(token_find(t.id, &door, &psk, &rights), -ERR_NOT_FOUND);
}

/* --- set-up ------------------------------------------------------------------------------------ */

static int start(void **state)
{
    static const char *const listen[] = { "127.0.0.1:0", NULL };
    static struct peer_watch watch = { on_up, on_down, NULL, NULL, NULL };
    struct peer_options po = { .listen = listen, .heartbeat_ns = 200000000,
                               .suspect_ns = 5000000000, .down_ns = 15000000000, .io_threads = 2 };

    own_ring_open();
    good_id = own_ring_admit("good@x", "peer");
    leaf_id = own_ring_admit("leaf@x", "leaf");
    view_id = own_ring_admit("view@x", "view");
    revoked_id = own_ring_admit("revoked@x", "peer");
    stranger_id = identity_new(NULL);
    assert_int_equal(ring_revoke(identity_key(revoked_id)), 0);
    peer_handle(KIND_send, on_send);
    peer_watch(&watch);
    assert_int_equal(peer_start(&po), 0);
    assert_int_equal(peer_listening(&at, 1), 1);
    return 0;
}

static int stop(void **state)
{
    peer_stop();
    assert_int_equal(atomic_load(&ups), atomic_load(&downs));       /* G5: each session ended once */
    own_ring_close();
    identity_free(good_id);
    identity_free(leaf_id);
    identity_free(view_id);
    identity_free(revoked_id);
    identity_free(stranger_id);
    epoch_drain();
    return 0;
}

/* The secret of a cluster that is left alone changes before it stops opening sessions. */
static void secrets_are_changed_in_time(void **state)
{
    uint64_t day = 86400, start = 1800000000;

    assert_false(ring_secret_is_due(start, start + 29 * day, true));
    assert_true(ring_secret_is_due(start, start + 30 * day, true));
    assert_false(ring_secret_is_due(start, start + 30 * day, false));
    assert_true(ring_secret_is_due(start, start + 31 * day, false));
    assert_false(ring_secret_is_due(0, start, true));       /* of an invitation: its age is not known */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(secrets_are_changed_in_time),
        cmocka_unit_test(a_member_is_let_in),
        cmocka_unit_test(noise_at_the_door),
        cmocka_unit_test(forged_flights),
        cmocka_unit_test(replayed_flight),
        cmocka_unit_test(slowloris),
        cmocka_unit_test(wrong_keys),
        cmocka_unit_test(stolen_binding),
        cmocka_unit_test(oversized_message),
        cmocka_unit_test(damaged_record),
        cmocka_unit_test(oversized_record),
        cmocka_unit_test(truncated_frame),
        cmocka_unit_test(spawn_without_right),
        cmocka_unit_test(join_inside_a_session),
        cmocka_unit_test(standing_still), cmocka_unit_test(atom_flood),
        cmocka_unit_test(fragment_flood),
        cmocka_unit_test(terms_too_deep),
        cmocka_unit_test(second_connection_of_a_living_node),
        cmocka_unit_test(restart_replaces),
        cmocka_unit_test(revoked_in_a_session),
        cmocka_unit_test(rekey),
        cmocka_unit_test(direct_and_queued_sends),
        cmocka_unit_test(tokens),
    };

    signal(SIGPIPE, SIG_IGN);
    log_configure(LOG_LEVEL_ERROR, LOG_FORMAT_TEXT, STDERR_FILENO);
    atom_table_init(0);
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, start, stop);
}
