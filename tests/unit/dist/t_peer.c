/* SPDX-License-Identifier: Apache-2.0 */
/*
 * t_peer.c - sessions without sockets: order, transfers, dictionary, credit, loss, ends
 */
#include "dist/peer.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/epoch.h"
#include "base/errors.h"
#include "term/atom.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#define ORDERS 8

/* What the far side saw; the loop's thread writes it. */
static struct {
    _Atomic uint64_t count, bytes;
    _Atomic uint64_t next[ORDERS + 1];      /* sequence expected of each order key */
    _Atomic int mistakes;
    _Atomic session_id session[ORDERS + 1];
    _Atomic bool hold;                      /* the handler waits */
    _Atomic int ups, downs, writable;
    _Atomic uint64_t last_end[3];           /* number of the last session told as down, by peer */
    _Atomic uint64_t last_up[3];
    int slices;
} seen;

static peer_id x, y;

static void nap(void)
{
    struct timespec ts = { 0, 1000000 };

    nanosleep(&ts, NULL);
}

#define WAIT_FOR(cond)                                                  \
    do {                                                                \
        int64_t until_ = clock_monotonic_ns() + INT64_C(20000000000);   \
        while (!(cond) && clock_monotonic_ns() < until_)                \
            nap();                                                      \
        assert_true(cond);                                              \
    } while (0)

static void mistake(const char *what)
{
    fprintf(stderr, "# %s\n", what);
    atomic_fetch_add(&seen.mistakes, 1);
}

/* Terms are {Atom, Atom, <<Payload>>}; the first 8 bytes of the payload are the sequence number. */
static int on_send(const struct peer_rx *rx)
{
    struct reader r = reader_make(rx->sig->term.data, rx->sig->term.len);
    uint64_t order = rx->sig->from, seq;
    size_t len;
    char want[40];

    while (atomic_load(&seen.hold))
        nap();
    if (reader_u16(&r) != 0x6803 || rx->sig->n_atoms != 2)
        mistake("not the term that was sent");
    if (reader_u16(&r) != 0x5200 || reader_u16(&r) != 0x5201 || reader_u8(&r) != 0x6D)
        mistake("atoms of the term");
    len = reader_u32(&r);
    seq = reader_u64(&r);
    snprintf(want, sizeof want, "atom_%llu", (unsigned long long)(seq % 3000));
    if (strcmp(atom_text(rx->atoms[0], NULL), want) != 0 ||
        strcmp(atom_text(rx->atoms[1], NULL), "same") != 0)
        mistake("another atom came out");
    if (atomic_load(&seen.session[order]) != rx->session) {
        atomic_store(&seen.session[order], rx->session);    /* a new session may skip, not repeat */
        if (seq < atomic_load(&seen.next[order]))
            mistake("a signal of an older session");
    } else if (seq != atomic_load(&seen.next[order])) {
        mistake("order");
    }
    if (session_number(rx->session) <= atomic_load(&seen.last_end[session_peer(rx->session)]) ||
        session_number(rx->session) != atomic_load(&seen.last_up[session_peer(rx->session)]))
        mistake("a frame outside its session");
    atomic_store(&seen.next[order], seq + 1);
    atomic_fetch_add(&seen.bytes, len);
    atomic_fetch_add(&seen.count, 1);
    return 0;
}

static void on_up(const struct peer_info *p)
{
    if (session_number(p->session) <= atomic_load(&seen.last_up[p->id]))
        mistake("up twice");
    if (atomic_load(&seen.last_up[p->id]) > atomic_load(&seen.last_end[p->id]))
        mistake("up before the last one was down");
    atomic_store(&seen.last_up[p->id], session_number(p->session));
    atomic_fetch_add(&seen.ups, 1);
}

/* Three slices for each. */
static bool on_down(const struct peer_info *p, session_id s, enum peer_end why)
{
    if (++seen.slices % 3 != 0)
        return true;
    if (session_number(s) <= atomic_load(&seen.last_end[p->id]))
        mistake("down twice");
    atomic_store(&seen.last_end[p->id], session_number(s));
    atomic_fetch_add(&seen.downs, 1);
    return false;
}

static void on_writable(session_id s)
{
    atomic_fetch_add(&seen.writable, 1);
}

static struct peer_frame *make(uint64_t order, uint64_t seq, size_t payload)
{
    struct peer_frame *f = peer_frame_new(32);
    struct wire_sig s = { .kind = KIND_send, .to = 77, .from = order };
    struct buf b = { 0 };
    char name[40];

    snprintf(name, sizeof name, "atom_%llu", (unsigned long long)(seq % 3000));
    buf_add(&b, "\x68\x03\x52", 3);
    buf_u8(&b, (uint8_t)peer_frame_atom(f, atom_from_cstr(name)));
    buf_u8(&b, 0x52);
    buf_u8(&b, (uint8_t)peer_frame_atom(f, atom_from_cstr("same")));
    buf_u8(&b, 0x6D);
    buf_be(&b, payload, 4);
    buf_be(&b, seq, 8);
    memset(buf_room(&b, payload - 8), (int)seq, payload - 8);
    memcpy(peer_frame_room(&f, b.len), b.data, b.len);
    peer_frame_wrote(f, b.len);
    buf_fini(&b);
    return peer_frame_seal(f, &s);
}

static uint64_t rnd_state = 4711;

static uint64_t rnd(uint64_t below)
{
    rnd_state = rnd_state * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (rnd_state >> 33) % below;
}

static size_t rnd_size(void)
{
    switch (rnd(40)) {
    case 0:  return 8 + rnd(300000);        /* a transfer */
    case 1:  return 8 + rnd(20000);
    default: return 8 + rnd(200);
    }
}

static void start(uint32_t delay_us, uint32_t loss_ppm)
{
    struct peer_fake_options o = { .name_x = "x@here", .name_y = "y@here", .creation_x = 1,
                                   .creation_y = 2, .seed = 99, .delay_us = delay_us,
                                   .loss_ppm = loss_ppm };

    memset(&seen, 0, sizeof seen);
    peer_fake_start(&o, &x, &y);
}

static void stop(void)
{
    peer_fake_stop();
    assert_int_equal(atomic_load(&seen.mistakes), 0);
    epoch_drain();
}

/* Random sizes of several senders: each sees its own order kept, nothing is lost or repeated. */
static void order_of_each_sender(void **state)
{
    uint64_t seq[ORDERS + 1] = { 0 };
    const int n = 20000;
    uint64_t bytes = 0;

    start(200, 0);
    for (int i = 0; i < n; i++) {
        uint64_t order = 1 + rnd(ORDERS);
        size_t size = rnd_size();
        enum peer_sent sent = peer_send(session_any(x), make(order, seq[order]++, size), order, 0,
                                        NULL);

        assert_true(sent == PEER_SENT || sent == PEER_BUSY);
        bytes += size;
        while (sent == PEER_BUSY && atomic_load(&seen.writable) == 0)
            nap();
        atomic_store(&seen.writable, 0);
    }
    WAIT_FOR(atomic_load(&seen.count) == (uint64_t)n);
    assert_true(atomic_load(&seen.bytes) == bytes);
    stop();
    assert_int_equal(atomic_load(&seen.ups), 2);
}

/* Sessions are lost at random: what arrives of a session is a prefix of what was sent in it, and each
 * session ends once. */
static void losses(void **state)
{
    uint64_t seq[ORDERS + 1] = { 0 };
    int64_t until = clock_monotonic_ns() + INT64_C(20000000000);

    start(50, 20000);
    for (int i = 0; atomic_load(&seen.ups) <= 20 && clock_monotonic_ns() < until; i++) {
        uint64_t order = 1 + rnd(ORDERS);

        (void)!peer_send(session_any(x), make(order, seq[order]++, 8 + rnd(300)), order, 0, NULL);
        if (i % 50 == 0)
            nap();
    }
    WAIT_FOR(atomic_load(&seen.ups) > 4);
    stop();
    assert_int_equal(atomic_load(&seen.ups) > atomic_load(&seen.downs), 0);
    assert_true(atomic_load(&seen.count) > 0);
}

static _Atomic bool enough;

static void *keep_sending(void *arg)
{
    uint64_t order = (uint64_t)(uintptr_t)arg;

    for (uint64_t seq = 0; !atomic_load(&enough); seq++)
        (void)!peer_send(session_any(x), make(order, seq, 8), order, PEER_NOSUSPEND, NULL);
    return NULL;
}

/* More senders than processors: some stand still between pushing a frame and waking the loop, while
 * the session ends under their hands (PE3). */
static void senders_against_ends(void **state)
{
    pthread_t sender[ORDERS];

    start(0, 200000);
    atomic_store(&enough, false);
    for (uintptr_t i = 0; i < ORDERS; i++)
        assert_int_equal(pthread_create(&sender[i], NULL, keep_sending, (void *)(i + 1)), 0);
    for (int i = 0; i < 500; i++)
        nap();
    atomic_store(&enough, true);
    for (int i = 0; i < ORDERS; i++)
        pthread_join(sender[i], NULL);
    stop();
    assert_true(atomic_load(&seen.downs) > 10);
}

static void sessions_by_number(void **state)
{
    session_id first, later;

    start(0, 0);
    WAIT_FOR(atomic_load(&seen.ups) == 2);
    first = peer_session(x);
    assert_int_equal(peer_send(first, make(1, 0, 8), 1, 0, &later), PEER_SENT);
    assert_true(later == first);
    WAIT_FOR(atomic_load(&seen.count) == 1);
    peer_fake_cut();
    WAIT_FOR(atomic_load(&seen.downs) == 2);
    assert_int_equal(peer_send(first, make(1, 1, 8), 1, 0, NULL), PEER_GONE);
    assert_int_equal(peer_send(session_any(x), make(1, 1, 8), 1, PEER_NOCONNECT, NULL),
                     PEER_NO_SESSION);
    assert_int_equal(peer_send(session_any(x), make(1, 1, 8), 1, 0, &later), PEER_SENT);
    assert_true(session_number(later) == session_number(first) + 1);
    WAIT_FOR(atomic_load(&seen.count) == 2);
    assert_int_equal(peer_by_name("x@here", 6), x);
    assert_int_equal(peer_by_name("z@here", 6), 0);
    assert_int_equal(peer_send(session_any(999), make(1, 2, 8), 1, 0, NULL), PEER_GONE);
    peer_disconnect(later);
    WAIT_FOR(atomic_load(&seen.downs) == 4);
    stop();
}

static void busy_and_writable(void **state)
{
    uint64_t seq = 0;
    enum peer_sent sent = PEER_SENT;

    start(0, 0);
    WAIT_FOR(atomic_load(&seen.ups) == 2);
    atomic_store(&seen.hold, true);
    for (int i = 0; i < 100000 && sent == PEER_SENT; i++)
        sent = peer_send(session_any(x), make(1, seq++, 1000), 1, 0, NULL);
    assert_int_equal(sent, PEER_BUSY);
    assert_int_equal(peer_send(session_any(x), make(1, seq, 8), 1, PEER_NOSUSPEND, NULL),
                     PEER_FULL);
    atomic_store(&seen.hold, false);
    WAIT_FOR(atomic_load(&seen.writable) == 1);
    WAIT_FOR(atomic_load(&seen.count) == seq);
    stop();
}

static void long_messages(void **state)
{
    start(0, 0);
    assert_int_equal(peer_send(session_any(x), make(1, 0, 20 << 20), 1, 0, NULL), PEER_BUSY);
    (void)!peer_send(session_any(x), make(1, 1, 8), 1, 0, NULL);     /* waits for the long one */
    (void)!peer_send(session_any(x), make(2, 0, 8), 2, 0, NULL);
    WAIT_FOR(atomic_load(&seen.count) == 3);
    assert_int_equal(peer_send(session_any(x), make(1, 2, (64 << 20) + 1), 1, 0, NULL),
                     PEER_TOO_LARGE);
    stop();
}

/* Kinds need rights, and a kind without the right ends the session. */
static void rights(void **state)
{
    struct peer_fake_options o = { .name_x = "x@here", .name_y = "y@here", .creation_x = 1,
                                   .creation_y = 2, .seed = 1, .rights = 1 << 5 /* leaf */ };
    struct wire_sig s = { .kind = KIND_spawn_request, .from = 3,
                          .module = { (const uint8_t *)"\x6A", 1 } };
    struct peer_frame *f;

    memset(&seen, 0, sizeof seen);
    peer_fake_start(&o, &x, &y);
    WAIT_FOR(atomic_load(&seen.ups) == 2);
    f = peer_frame_seal(peer_frame_new(0), &s);
    assert_int_equal(peer_send(session_any(x), f, 3, 0, NULL), PEER_SENT);
    WAIT_FOR(atomic_load(&seen.downs) == 2);
    stop();
}

/* A frame with every field and 255 atoms, and one whose head is longer than the room for it. */
static _Atomic int spawns;

static int on_spawn(const struct peer_rx *rx)
{
    const struct wire_sig *s = rx->sig;

    if (s->n_atoms != 255 || s->hash.len != 3000 || s->deadline_ms != 5000 || s->opts != 3 ||
        s->module.len != 2 || s->trace.len != 7 || s->term.len != 1 + 255 * 2 + 4 + 1)
        mistake("spawn request");
    for (unsigned i = 0; i < s->n_atoms; i++) {
        char want[20];

        snprintf(want, sizeof want, "a%u", i);
        if (strcmp(atom_text(rx->atoms[i], NULL), want) != 0)
            mistake("one of 255 atoms");
    }
    atomic_fetch_add(&spawns, 1);
    return 0;
}

static void many_atoms_and_a_long_head(void **state)
{
    static uint8_t hash[3000];

    start(0, 0);
    for (int round = 0; round < 50; round++) {
        struct peer_frame *f = peer_frame_new(10);
        struct wire_sig s = { .kind = KIND_spawn_request, .from = 9, .opts = 3, .deadline_ms = 5000,
                              .ref = { hash, 8 }, .hash = { hash, sizeof hash },
                              .module = { (const uint8_t *)"\x52\x07", 2 },
                              .leader = { hash, 0 }, .trace = { hash, 7 } };
        uint8_t *at = peer_frame_room(&f, 5);

        memcpy(at, "\x6C\0\0\0\xFF", 5);
        peer_frame_wrote(f, 5);
        for (int i = 0; i < 255; i++) {
            char name[20];

            snprintf(name, sizeof name, "a%d", i);
            at = peer_frame_room(&f, 2);
            at[0] = 0x52;
            at[1] = (uint8_t)peer_frame_atom(f, atom_from_cstr(name));
            assert_int_equal(at[1], i);
            peer_frame_wrote(f, 2);
        }
        assert_int_equal(peer_frame_atom(f, atom_from_cstr("one_more")), -1);
        *peer_frame_room(&f, 1) = 0x6A;
        peer_frame_wrote(f, 1);
        f = peer_frame_seal(f, &s);
        (void)!peer_send(session_any(x), f, 9, 0, NULL);
    }
    WAIT_FOR(atomic_load(&spawns) == 50);
    stop();
}

int main(void)
{
    static struct peer_watch watch = { on_up, on_down, on_writable, NULL, NULL };
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_of_each_sender),
        cmocka_unit_test(losses),
        cmocka_unit_test(senders_against_ends),
        cmocka_unit_test(sessions_by_number),
        cmocka_unit_test(busy_and_writable),
        cmocka_unit_test(long_messages),
        cmocka_unit_test(rights),
        cmocka_unit_test(many_atoms_and_a_long_head),
    };

    atom_table_init(0);
    peer_handle(KIND_send, on_send);
    peer_handle(KIND_spawn_request, on_spawn);
    peer_watch(&watch);
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
