/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gossip_probe.c - one member is probed each period
 *
 *   REST      until the period is over; then a ping to the next member of a random round
 *   DIRECT    until its ack, or half a period: then three others are asked to ping it, and a
 *             frame goes over the session to it, in case only UDP is blocked
 *   INDIRECT  until any of them brings an answer, or the end of the period: then it is suspected
 *
 * A helper that gets no answer says so (nack) before we stop waiting, so that silence of helpers
 * tells us that the fault may be ours: Lifeguard's health, which stretches all our waits.
 */
#include "cluster/gossip_priv.h"
#include "base/assert.h"

/* --- whom ---------------------------------------------------------------------------------------- */

static uint32_t gcd(uint32_t a, uint32_t b)
{
    while (b != 0) {
        uint32_t t = a % b;

        a = b;
        b = t;
    }
    return a;
}

/* i -> (a * i + b) mod m visits every slot once. */
static void round_begin(struct gossip *g)
{
    g->round_m = roster_slots(&g->view);
    do
        g->round_a = 1 + chance_below(g, g->round_m - 1);
    while (gcd(g->round_a, g->round_m) != 1);
    g->round_b = chance_below(g, g->round_m);
    g->round_i = 0;
}

/* The next present member of the round; NULL when there is nobody but us. */
static struct member *round_next(struct gossip *g)
{
    if (present(g) < 2)
        return NULL;
    for (int rounds = 0; rounds < 3;) {
        struct member *m;
        uint32_t slot;

        if (g->round_i >= g->round_m || g->round_m != roster_slots(&g->view)) {
            round_begin(g);
            rounds++;
        }
        slot = (uint32_t)(((uint64_t)g->round_a * g->round_i++ + g->round_b) % g->round_m);
        m = roster_slot(&g->view, slot);
        if (m != NULL && member_present(m) && m->rec->nid != g->nid)
            return m;
    }
    return NULL;
}

/* --- packets ------------------------------------------------------------------------------------- */

static struct gossip_item ping_of(struct gossip *g, uint64_t nonce, uint64_t target)
{
    return (struct gossip_item){ .kind = GOSSIP_PING, .nonce = nonce, .from = g->nid,
                                 .node = target, .vital = own_vital(g) };
}

/* One item to m, what it should know about itself, and rumours in the rest of the datagram. */
static void send_item(struct gossip *g, const struct net_addr *to, const struct gossip_item *it,
                      const struct member *about, size_t max)
{
    struct gossip_packet p;

    gossip_packet_init(&p, max < GOSSIP_PLAIN_MAX ? max : GOSSIP_PLAIN_MAX);
    if (!gossip_put(&p, it))
        return;
    if (about != NULL && about->state != MEMBER_ALIVE) {
        bool sick = about->state == MEMBER_SUSPECT;
        struct gossip_item tell_it = {
            .kind = sick ? GOSSIP_SUSPECT : GOSSIP_ASK, .node = about->rec->nid,
            .incarnation = about->rec->incarnation, .by = g->nid,
        };

        gossip_put(&p, &tell_it);
    }
    rumours_fill(&g->rumours, &p, tells(g));
    send_packet(g, to, &p);
}

static void ping_member(struct gossip *g, const struct member *m, uint64_t nonce)
{
    struct gossip_item it = ping_of(g, nonce, m->rec->nid);
    struct net_addr to = member_addr(m);

    send_item(g, &to, &it, m, GOSSIP_PLAIN_MAX);
}

void try_dead(struct gossip *g, struct member *m)
{
    uint64_t nonce = chance(g);

    g->tries[g->try_next].nonce = nonce;
    g->tries[g->try_next].nid = m->rec->nid;
    g->try_next = (g->try_next + 1) % TRIES_MAX;
    m->addr++;
    ping_member(g, m, nonce);
}

/* --- the probe ----------------------------------------------------------------------------------- */

static void probe_begin(struct gossip *g)
{
    int64_t period = base_period(g) * (1 + (int64_t)g->health), wait;
    struct member *m = g->leaving ? NULL : round_next(g);
    struct probe *p = &g->probe;

    if (m == NULL) {
        p->due = g->now + period;
        return;
    }
    wait = 3ll * m->rtt_100us * 100000;
    if (wait < period / 2)
        wait = period / 2;
    *p = (struct probe){
        .phase = PROBE_DIRECT, .due = g->now + wait, .started = g->now, .target = m->rec->nid,
        .nonce = chance(g), .indirect_nonce = chance(g),
        .end = g->now + (2 * wait > period ? 2 * wait : period),
    };
    g->stats.probes++;
    ping_member(g, m, p->nonce);
}

static void ask_helpers(struct gossip *g, const struct member *m)
{
    struct gossip_item req = { .kind = GOSSIP_PING_REQ, .nonce = g->probe.indirect_nonce,
                               .from = g->nid, .node = m->rec->nid, .addr = member_addr(m) };
    uint64_t asked[8] = { 0 };

    for (unsigned i = 0; i < g->conf.indirect && i < ARRAY_LEN(asked); i++) {
        struct member *helper = random_member(g, m->rec->nid);
        struct net_addr to;
        bool again = false;

        for (unsigned j = 0; helper != NULL && j < i; j++)
            again |= asked[j] == helper->rec->nid;
        if (helper == NULL || again)
            continue;
        asked[i] = helper->rec->nid;
        to = member_addr(helper);
        send_item(g, &to, &req, helper, GOSSIP_PLAIN_MAX);
        g->probe.nacks_due++;
    }
}

static void probe_indirect(struct gossip *g)
{
    struct member *m = roster_find(&g->view, g->probe.target);
    struct buf frame = { 0 };

    g->probe.phase = PROBE_INDIRECT;
    g->probe.due = g->probe.end;
    if (m == NULL)
        return;
    g->stats.indirect++;
    ask_helpers(g, m);
    if (g->conf.tcp_fallback) {
        indirect_write(&frame, false, g->probe.indirect_nonce, m->rec->nid);
        (void)!send_frame(g, m->rec->nid, GOSSIP_FRAME_INDIRECT_PING, &frame);
        buf_fini(&frame);
    }
}

static void probe_fail(struct gossip *g)
{
    struct member *m = roster_find(&g->view, g->probe.target);
    struct probe *p = &g->probe;

    p->phase = PROBE_REST;
    p->due = g->now;
    g->stats.probes_failed++;
    if (p->nacks_due == 0)
        health_add(g, present(g) > 2);      /* nobody to tell us whose fault it is */
    else if (p->nacks < p->nacks_due)
        health_add(g, (int)(p->nacks_due - p->nacks));
    if (m == NULL || !member_present(m))
        return;
    m->addr++;                              /* another of its addresses next time */
    if (!has_evidence(g, m->rec->nid))
        suspect(g, m, g->nid);
}

static void probe_pass(struct gossip *g)
{
    g->probe.phase = PROBE_REST;
    g->probe.due = g->probe.started + base_period(g) * (1 + (int64_t)g->health);
    health_add(g, -1);
}

void probe_tick(struct gossip *g)
{
    if (g->now < g->probe.due)
        return;
    if (g->probe.phase == PROBE_DIRECT) {
        probe_indirect(g);
        return;
    }
    if (g->probe.phase == PROBE_INDIRECT)
        probe_fail(g);
    probe_begin(g);
}

/* --- pings for others ---------------------------------------------------------------------------- */

static void relay_begin(struct gossip *g, uint64_t asker, const struct net_addr *to,
                        uint64_t their_nonce, uint64_t target, const struct net_addr *target_addr)
{
    struct member *m = roster_find(&g->view, target);
    struct net_addr addr = m != NULL ? member_addr(m) : *target_addr;
    struct gossip_item ping;
    struct relay *r = NULL;

    for (unsigned i = 0; i < RELAYS_MAX && r == NULL; i++)
        if (g->relays[i].due == 0)
            r = &g->relays[i];
    if (r == NULL || addr.port == 0)
        return;
    *r = (struct relay){ .due = g->now + base_period(g) * 2 / 5, .nonce = chance(g),
                         .their_nonce = their_nonce, .target = target, .asker = asker };
    if (to != NULL)
        r->to = *to;
    ping = ping_of(g, r->nonce, target);
    send_item(g, &addr, &ping, m, GOSSIP_PLAIN_MAX);
}

static void relay_end(struct gossip *g, struct relay *r, bool ok)
{
    struct gossip_item it = { .kind = ok ? GOSSIP_ACK : GOSSIP_NACK, .nonce = r->their_nonce,
                              .from = ok ? r->target : g->nid, .node = r->target };
    struct buf frame = { 0 };

    r->due = 0;
    if (r->to.port != 0) {
        if (ok)
            it.vital = own_vital(g);
        send_item(g, &r->to, &it, roster_find(&g->view, r->asker), GOSSIP_PLAIN_MAX);
        return;
    }
    indirect_write(&frame, true, r->their_nonce, ok);
    (void)!send_frame(g, r->asker, GOSSIP_FRAME_INDIRECT_PONG, &frame);
    buf_fini(&frame);
}

int64_t relays_due(const struct gossip *g)
{
    int64_t at = INT64_MAX;

    for (unsigned i = 0; i < RELAYS_MAX; i++)
        if (g->relays[i].due != 0 && g->relays[i].due < at)
            at = g->relays[i].due;
    return at;
}

void relays_tick(struct gossip *g)
{
    for (unsigned i = 0; i < RELAYS_MAX; i++)
        if (g->relays[i].due != 0 && g->relays[i].due <= g->now)
            relay_end(g, &g->relays[i], false);
}

/* --- what comes in -------------------------------------------------------------------------------- */

void vital_in(struct gossip *g, struct member *m, const struct vital *v)
{
    struct member_event ev = { .kind = MEMBER_EV_VITAL, .nid = m->rec->nid, .rec = m->rec,
                               .vital = v };

    g->env.event(g->env.arg, &ev);
    if (v->digest == (g->view.digest ^ g->notes_digest)) {
        g->odd = 0;
        return;
    }
    if ((++g->odd >= 3 || g->rumours.n > QUEUE_LONG) && pushpull_start(g, m->rec->nid))
        g->odd = 0;
}

static void ping_in(struct gossip *g, const struct net_addr *from, const struct gossip_item *it,
                    size_t question)
{
    struct gossip_item ack = { .kind = GOSSIP_ACK, .nonce = it->nonce, .from = g->nid,
                               .vital = own_vital(g) };
    struct member *m = roster_find(&g->view, it->from);

    if (it->node != g->nid)
        return;
    /* Strangers get little back: their address may be forged. */
    send_item(g, from, &ack, m, m != NULL ? GOSSIP_PLAIN_MAX : question + 256);
    if (m == NULL || it->from == g->nid)
        return;
    rule_contact(g, m);
    vital_in(g, m, &it->vital);
}

static void ack_evidence(struct gossip *g, struct member *m)
{
    g->acks[g->ack_next].nid = m->rec->nid;
    g->acks[g->ack_next].at = g->now;
    g->ack_next = (g->ack_next + 1) % ACKS_KEPT;
    m->evident = 1;
}

static void ack_direct(struct gossip *g, struct member *m)
{
    int64_t rtt = (g->now - g->probe.started) / 100000;

    if (rtt > 60000)
        rtt = 60000;
    m->rtt_100us = (uint16_t)(m->rtt_100us == 0 ? rtt + 1 : (7 * m->rtt_100us + rtt) / 8);
    if (m->rtt_100us == 0)
        m->rtt_100us = 1;
    ack_evidence(g, m);
    rule_contact(g, m);
    if (g->probe.phase != PROBE_REST)
        probe_pass(g);
}

/* One of the dead has answered. It hears from us that it is dead, and we hear what it knows. */
static void ack_of_dead(struct gossip *g, struct member *m)
{
    if (m->state == MEMBER_DEAD) {
        ask_later(g, m);
        pushpull_start(g, m->rec->nid);
    }
}

static void ack_in(struct gossip *g, const struct gossip_item *it)
{
    struct member *m = roster_find(&g->view, it->from);

    if (m == NULL)
        return;
    if (it->from == g->probe.target && it->nonce == g->probe.nonce) {
        ack_direct(g, m);
    } else if (it->from == g->probe.target && it->nonce == g->probe.indirect_nonce) {
        if (g->probe.phase == PROBE_INDIRECT)
            probe_pass(g);
        rule_contact(g, m);
        return;                     /* the vital figures are the helper's */
    }
    for (unsigned i = 0; i < TRIES_MAX; i++)
        if (g->tries[i].nonce == it->nonce && g->tries[i].nid == it->from)
            ack_of_dead(g, m);
    for (unsigned i = 0; i < RELAYS_MAX; i++)
        if (g->relays[i].due != 0 && g->relays[i].nonce == it->nonce
            && g->relays[i].target == it->from)
            relay_end(g, &g->relays[i], true);
    m = roster_find(&g->view, it->from);
    if (m != NULL)
        vital_in(g, m, &it->vital);
}

void probe_item(struct gossip *g, const struct net_addr *from, const struct gossip_item *it,
                size_t question)
{
    switch (it->kind) {
    case GOSSIP_PING:
        ping_in(g, from, it, question);
        break;
    case GOSSIP_ACK:
        ack_in(g, it);
        break;
    case GOSSIP_PING_REQ:
        if (roster_find(&g->view, it->from) != NULL)
            relay_begin(g, it->from, from, it->nonce, it->node, &it->addr);
        break;
    case GOSSIP_NACK:
        if (it->nonce == g->probe.indirect_nonce && g->probe.phase == PROBE_INDIRECT)
            g->probe.nacks++;
        break;
    default:
        UNREACHABLE();
    }
}

void probe_frame(struct gossip *g, uint64_t from, enum gossip_frame kind, uint64_t nonce,
                 uint64_t target, bool ok)
{
    static const struct net_addr nowhere;
    struct buf frame = { 0 };

    if (kind == GOSSIP_FRAME_INDIRECT_PONG) {
        struct member *m = roster_find(&g->view, g->probe.target);

        if (nonce != g->probe.indirect_nonce || g->probe.phase != PROBE_INDIRECT)
            return;
        if (ok && m != NULL) {
            rule_contact(g, m);
            probe_pass(g);
        } else if (from != g->probe.target) {
            g->probe.nacks++;
        }
        return;
    }
    if (target != g->nid) {
        relay_begin(g, from, NULL, nonce, target, &nowhere);
        return;
    }
    indirect_write(&frame, true, nonce, true);
    (void)!send_frame(g, from, GOSSIP_FRAME_INDIRECT_PONG, &frame);
    buf_fini(&frame);
}
