/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peer_fake.c - two peers in one process: what goes to one comes in from the other
 *
 * Records are real, seals are not. Each direction keeps its records in order and delivers one when
 * its time has come; losing a record ends both sessions, as losing a TCP connection would.
 */
#include "dist/peer_priv.h"

#include "auth/record.h"
#include "base/alloc.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/errors.h"

#include <event2/event.h>

struct record {
    struct record *next;
    int64_t due_ns;
    size_t len;
    uint8_t data[];
};

/* One end: records on their way to it. */
struct end {
    struct peer *peer;
    uint32_t creation;
    struct record *first, **last;
    int64_t last_due_ns;
    bool up;
};

static struct {
    struct loop *loop;
    struct event *timer;
    struct end end[2];
    uint64_t rnd;
    uint32_t delay_us, loss_ppm, rights;
    bool stopping;                          /* [loop] nothing comes up any more */
} fake;

static uint64_t rnd(uint64_t below)
{
    fake.rnd ^= fake.rnd << 13;
    fake.rnd ^= fake.rnd >> 7;
    fake.rnd ^= fake.rnd << 17;
    return fake.rnd % below;
}

static struct end *end_of(const struct peer *p)
{
    return p == fake.end[0].peer ? &fake.end[0] : &fake.end[1];
}

static struct end *other(const struct end *e)
{
    return e == &fake.end[0] ? &fake.end[1] : &fake.end[0];
}

static struct session *session_of(const struct end *e)
{
    return atomic_load_explicit(&e->peer->session, memory_order_acquire);
}

static void set_timer(void)
{
    int64_t due = INT64_MAX, now = clock_monotonic_ns();
    struct timeval tv = { 0 };

    for (int i = 0; i < 2; i++) {
        if (fake.end[i].first != NULL && fake.end[i].first->due_ns < due)
            due = fake.end[i].first->due_ns;
    }
    if (due == INT64_MAX)
        return;
    if (due > now) {
        tv.tv_sec = (due - now) / 1000000000;
        tv.tv_usec = (due - now) % 1000000000 / 1000;
    }
    event_add(fake.timer, &tv);
}

static void forget_records(struct end *e)
{
    while (e->first != NULL) {
        struct record *r = e->first;

        e->first = r->next;
        mem_free(r);
    }
    e->last = &e->first;
}

static void lose_both(enum peer_end why)
{
    for (int i = 0; i < 2; i++) {
        forget_records(&fake.end[i]);
        fake.end[i].up = false;
    }
    for (int i = 0; i < 2; i++) {
        struct session *s = session_of(&fake.end[i]);

        if (s != NULL)
            session_end(s, why);
    }
}

/* What session s sends arrives at the other end, as if from its peer. */
static void send_record(struct session *s, const uint8_t *data, size_t len)
{
    struct end *to = other(end_of(s->peer));
    struct record *r;

    if (fake.loss_ppm != 0 && rnd(1000000) < fake.loss_ppm) {
        lose_both(PEER_END_CLOSED);
        return;
    }
    r = mem_alloc(sizeof *r + len);
    r->next = NULL;
    r->len = len;
    memcpy(r->data, data, len);
    r->due_ns = clock_monotonic_ns() + (fake.delay_us != 0 ? (int64_t)rnd(fake.delay_us) * 1000 : 0);
    if (r->due_ns < to->last_due_ns)
        r->due_ns = to->last_due_ns;        /* a stream: no record overtakes another */
    to->last_due_ns = r->due_ns;
    *to->last = r;
    to->last = &r->next;
}

static size_t build(struct session *s, uint8_t *plain, unsigned *ret_lane)
{
    size_t n;

    pthread_mutex_lock(&s->tx);
    n = stream_build(&s->stream, plain, RECORD_PLAIN_MAX, ret_lane);
    pthread_mutex_unlock(&s->tx);
    return n;
}

static void fake_flush(struct session *s)
{
    uint8_t plain[RECORD_PLAIN_MAX];
    unsigned lane;
    size_t n;

    while (end_of(s->peer)->up &&
           atomic_load_explicit(&s->state, memory_order_relaxed) == SESSION_UP &&
           (n = build(s, plain, &lane)) > 0)
        send_record(s, plain, n);
    session_tell_writable(s);
    set_timer();
}

static void come_up(struct end *e)
{
    struct session *s = session_begin(e->peer);
    struct peer_info info = { .creation = e->creation, .rights = fake.rights, .address = "fake" };

    if (atomic_load_explicit(&s->state, memory_order_relaxed) != SESSION_CONNECTING)
        return;
    e->up = true;
    session_up(s, &info);
}

static void both_up(struct peer *p)
{
    if (fake.stopping)
        return;
    if (fake.end[0].peer->ending != NULL) {
        fake.end[0].peer->after_end = both_up;
        return;
    }
    if (fake.end[1].peer->ending != NULL) {
        fake.end[1].peer->after_end = both_up;
        return;
    }
    come_up(&fake.end[0]);
    if (fake.end[0].up)                     /* a watcher may have ended it at once */
        come_up(&fake.end[1]);
    for (int i = 0; i < 2; i++) {
        if (session_of(&fake.end[i]) != NULL)
            fake_flush(session_of(&fake.end[i]));
    }
}

static void fake_begin(struct session *s)
{
    if (fake.stopping)
        session_end(s, PEER_END_LOCAL);     /* begun by a sender at the last moment */
    else
        both_up(s->peer);
}

static void fake_drop(struct session *s)
{
    struct end *e = end_of(s->peer), *o = other(e);
    struct session *so;

    if (!e->up)
        return;
    e->up = false;
    forget_records(e);
    forget_records(o);
    so = session_of(o);
    o->up = false;
    if (so != NULL)
        session_end(so, PEER_END_CLOSED);
}

static void deliver_due(struct end *e, int64_t now)
{
    while (e->first != NULL && e->first->due_ns <= now) {
        struct record *r = e->first;
        struct session *s = session_of(e);
        int rc = 0;

        e->first = r->next;
        if (e->first == NULL)
            e->last = &e->first;
        if (s != NULL && e->up)
            rc = stream_take(&s->stream, r->data, r->len);
        mem_free(r);
        s = session_of(e);
        if (rc < 0 && s != NULL)
            session_end(s, PEER_END_PROTOCOL);
        else if (s != NULL && e->up)
            fake_flush(s);                  /* credit, and frames that credit lets go */
    }
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    int64_t now = clock_monotonic_ns();

    deliver_due(&fake.end[0], now);
    deliver_due(&fake.end[1], now);
    set_timer();
}

static void start_on_loop(void *arg)
{
    fake.timer = event_new(loop_base(fake.loop), -1, 0, on_timer, NULL);
    both_up(NULL);
}

void peer_fake_start(const struct peer_fake_options *o, peer_id *ret_x, peer_id *ret_y)
{
    static const struct session_transport transport = { fake_begin, fake_flush, NULL, fake_drop };
    uint8_t key[NODE_KEY_BYTES] = { 0 };

    auth_init();
    fake.loop = loop_start("fake-peers");
    fake.stopping = false;
    fake.rnd = o->seed * 2 + 1;
    fake.delay_us = o->delay_us;
    fake.loss_ppm = o->loss_ppm;
    fake.rights = o->rights != 0 ? o->rights : (uint32_t)RIGHT_ALL;
    for (int i = 0; i < 2; i++) {
        struct end *e = &fake.end[i];

        key[0]++;
        e->peer = peer_add(i == 0 ? o->name_x : o->name_y, key, fake.loop, &transport);
        e->peer->loop = fake.loop;          /* a fake that was stopped may be started again */
        e->peer->transport = &transport;
        e->creation = i == 0 ? o->creation_x : o->creation_y;
        e->last = &e->first;
    }
    *ret_x = fake.end[0].peer->id;
    *ret_y = fake.end[1].peer->id;
    loop_call(fake.loop, start_on_loop, NULL);
}

static void cut(void *arg)
{
    lose_both(PEER_END_CLOSED);
}

void peer_fake_cut(void)
{
    loop_call(fake.loop, cut, NULL);
}

static void stop_on_loop(void *arg)
{
    fake.stopping = true;
    lose_both(PEER_END_LOCAL);
    event_free(fake.timer);
}

void peer_fake_stop(void)
{
    loop_call(fake.loop, stop_on_loop, NULL);
    loop_stop(fake.loop);
}
