/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gossip_sync.c - two nodes compare all they know, and two halves of a cluster become one
 *
 * Push/pull, over a session:
 *   ask     256 bucket digests of the one who asks
 *   answer  the other's digests, and its members in the buckets that differ
 *   close   the asker's members in those buckets, as they were before it read the answer
 * Each part may take several frames. The gone come first, so that a reader sees a merge before it
 * believes any of them.
 *
 * Merge mode: when many members turn up again, each half holds the other dead, and "dead" beats
 * "alive" at equal incarnation. Nobody is suspected because the other half says so; instead its
 * subject is asked to speak under a new incarnation, which wins everywhere.
 */
#include "cluster/gossip_priv.h"
#include "base/alloc.h"
#include "base/assert.h"
#include "base/errors.h"

/* --- asking subjects to refute ------------------------------------------------------------------- */

void ask_later(struct gossip *g, struct member *m)
{
    if (m->asked)
        return;
    m->asked = 1;
    if (g->asks_at == g->asks_n)
        g->asks_at = g->asks_n = 0;
    if (g->asks_n == g->asks_cap) {
        g->asks_cap = g->asks_cap == 0 ? 16 : 2 * g->asks_cap;
        g->asks = mem_realloc(g->asks, g->asks_cap * sizeof(g->asks[0]));
    }
    g->asks[g->asks_n++] = (struct ask){ m->rec->nid, m->rec->incarnation };
}

static bool ask_now(struct gossip *g, const struct ask *a)
{
    struct member *m = roster_find(&g->view, a->nid);
    struct gossip_item it = { .kind = GOSSIP_ASK, .node = a->nid, .incarnation = a->incarnation,
                              .by = g->nid };
    struct gossip_packet p;
    struct net_addr to;

    if (m == NULL)
        return false;
    m->asked = 0;
    if (m->rec->incarnation != a->incarnation)
        return false;               /* it has spoken already */
    to = member_addr(m);
    gossip_packet_init(&p, GOSSIP_PLAIN_MAX);
    gossip_put(&p, &it);
    send_packet(g, &to, &p);
    g->stats.asks_sent++;
    return true;
}

void asks_tick(struct gossip *g)
{
    if (g->asks_at == g->asks_n || g->now < g->ask_due)
        return;
    for (int sent = 0; sent < ASKS_A_ROUND && g->asks_at < g->asks_n;)
        sent += ask_now(g, &g->asks[g->asks_at++]);
    g->ask_due = g->now + ASK_ROUND_NS;
}

/* --- merge mode ---------------------------------------------------------------------------------- */

static uint32_t merge_threshold(const struct gossip *g)
{
    uint32_t two_percent = g->view.n / 50;

    return two_percent > 8 ? two_percent : 8;
}

/* n members were found gone here and present there, or turned present. hinted: the one who says
 * so is merging already. */
void merge_count(struct gossip *g, uint32_t n, bool hinted)
{
    if (g->now - g->window_at > MERGE_WINDOW_NS) {
        g->window_at = g->now;
        g->window_n = 0;
    }
    g->window_n += n;
    if (g->merge_until != 0 || g->window_n == 0)
        return;
    if (g->window_n < merge_threshold(g) && !hinted)
        return;
    g->merge_until = g->now + MERGE_NS;
    g->stats.merges++;
    g->pushpull_due = g->now + chance_below(g, 2000) * MS;
    g->dead_due = g->now;
    suspicions_spare(g);
    tell(g, MEMBER_EV_MERGE_BEGIN, NULL, 0);
}

void merge_tick(struct gossip *g)
{
    if (g->merge_until == 0 || g->now < g->merge_until)
        return;
    g->merge_until = 0;
    tell(g, MEMBER_EV_MERGE_END, NULL, 0);
}

/* --- trying the dead ----------------------------------------------------------------------------- */

static struct member *next_dead(struct gossip *g)
{
    uint32_t slots = roster_slots(&g->view);

    for (uint32_t i = 0; i < slots; i++) {
        struct member *m;

        g->dead_cursor = (g->dead_cursor + 1) % slots;
        m = roster_slot(&g->view, g->dead_cursor);
        if (m != NULL && m->state == MEMBER_DEAD)
            return m;
    }
    return NULL;
}

void dead_tick(struct gossip *g)
{
    uint32_t dead = g->view.by_state[MEMBER_DEAD], gone = dead + g->view.by_state[MEMBER_LEFT];
    struct member *m;

    if (g->now < g->dead_due)
        return;
    g->dead_due = g->now + (g->merge_until != 0 && dead > 0 ? DEAD_TRY_MERGING_NS : DEAD_TRY_NS);
    if (gone > 0 && g->merge_until == 0)
        forget_old(g);
    if (dead == 0 || g->leaving)
        return;
    if (g->merge_until == 0) {
        if (chance_below(g, g->view.n) >= dead)
            return;
        g->dead_cursor = chance_below(g, roster_slots(&g->view));
    }
    m = next_dead(g);
    if (m != NULL)
        try_dead(g, m);
}

/* --- push/pull ------------------------------------------------------------------------------------ */

static void buckets(const struct gossip *g, uint64_t digests[GOSSIP_BUCKETS])
{
    roster_buckets(&g->view, digests);
    IDMAP_EACH(&g->notes, s) {
        const struct note *n = s->value;

        digests[n->nid >> 56] ^= member_hash(~n->nid, n->version);
    }
}

bool pushpull_start(struct gossip *g, uint64_t nid)
{
    struct pushpull pp = { .step = PUSHPULL_ASK, .has_digests = true,
                           .merging = g->merge_until != 0 };
    struct buf b = { 0 };
    bool sent;

    if (g->now - g->pushpull_at < PUSHPULL_GAP_NS || g->leaving)
        return false;
    buckets(g, pp.digests);
    pushpull_write_head(&b, &pp);
    sent = send_frame(g, nid, GOSSIP_FRAME_PUSHPULL, &b);
    buf_fini(&b);
    if (sent) {
        g->stats.pushpulls++;
        g->pushpull_at = g->now;
        g->pushpull_peer = nid;
    }
    return sent;
}

static int64_t pushpull_interval(const struct gossip *g)
{
    uint32_t n = present(g);
    int64_t factor = n <= 32 ? 1 : 32 - __builtin_clz(n - 1) - 4;      /* ceil(log2 n) - 4 */

    return 30 * S * factor;
}

void pushpull_tick(struct gossip *g)
{
    struct member *m;

    if (g->now < g->pushpull_due)
        return;
    if (g->merge_until != 0) {
        g->pushpull_due = g->now + PUSHPULL_GAP_NS;
        if (g->odd == 0 && g->view.by_state[MEMBER_DEAD] == 0)
            return;                 /* we agree with those we talk to */
    } else {
        int64_t every = pushpull_interval(g);

        g->pushpull_due = g->now + every * 4 / 5 + every / 1000 * chance_below(g, 400);
    }
    m = random_member(g, 0);
    if (m != NULL)
        pushpull_start(g, m->rec->nid);
}

/* The frames of one part, cut where they grow too long. */
struct writer {
    struct gossip *g;
    uint64_t to;
    struct pushpull head;
    struct buf b;
};

static void writer_flush(struct writer *w, bool more)
{
    struct buf whole = { 0 };

    w->head.more = more;
    pushpull_write_head(&whole, &w->head);
    buf_add(&whole, w->b.data, w->b.len);
    (void)!send_frame(w->g, w->to, GOSSIP_FRAME_PUSHPULL, &whole);
    buf_fini(&whole);
    w->b.len = 0;
    w->head.has_digests = false;
}

static void writer_item(struct writer *w, const struct gossip_item *it)
{
    if (w->b.len > PUSHPULL_FRAME_BYTES - (1u << 10))
        writer_flush(w, true);
    pushpull_write_item(&w->b, it);
}

static bool bucket_in(const bool differ[GOSSIP_BUCKETS], uint64_t nid)
{
    return differ[nid >> 56];
}

static void write_members(struct writer *w, const bool differ[GOSSIP_BUCKETS])
{
    struct gossip *g = w->g;

    ROSTER_EACH(&g->view, m) {
        struct gossip_item it = { .kind = GOSSIP_DEAD, .node = m->rec->nid,
                                  .incarnation = m->rec->incarnation, .by = g->nid };

        if (m->state == MEMBER_DEAD && bucket_in(differ, it.node))
            writer_item(w, &it);
    }
    ROSTER_EACH(&g->view, m) {
        struct gossip_item it = record_item(m->rec);

        if (m->state != MEMBER_DEAD && bucket_in(differ, it.node))
            writer_item(w, &it);
    }
    IDMAP_EACH(&g->notes, s) {
        struct gossip_item it = note_item(s->value);

        if (bucket_in(differ, it.node))
            writer_item(w, &it);
    }
}

/* Send what we know in the buckets where `theirs` differ. */
static void write_part(struct gossip *g, uint64_t to, uint32_t step, const uint64_t *theirs)
{
    struct writer w = { .g = g, .to = to, .head = { .step = step,
                                                    .merging = g->merge_until != 0 } };
    bool differ[GOSSIP_BUCKETS], any = false;

    buckets(g, w.head.digests);
    for (unsigned i = 0; i < GOSSIP_BUCKETS; i++)
        any |= differ[i] = w.head.digests[i] != theirs[i];
    w.head.has_digests = step == PUSHPULL_ANSWER;
    if (!any && step == PUSHPULL_CLOSE)
        return;
    if (any)
        write_members(&w, differ);
    writer_flush(&w, false);
    buf_fini(&w.b);
}

/* Members gone on one side and present on the other, as far as this frame tells. */
static uint32_t contradictions(struct gossip *g, struct pushpull pp)
{
    struct gossip_item it;
    uint32_t n = 0;

    while (pushpull_next(&pp, &it)) {
        struct member_body b;
        struct member *m;

        if (it.kind == GOSSIP_DEAD) {
            m = roster_find(&g->view, it.node);
            n += m != NULL && member_present(m) && it.incarnation >= m->rec->incarnation;
        } else if (it.kind == GOSSIP_ALIVE && g->view.by_state[MEMBER_DEAD] > 0
                   && member_body_read(it.body, it.body_len, &b) == 0) {
            m = roster_find(&g->view, g->env.nid_of(g->env.arg, b.key));
            n += m != NULL && m->state == MEMBER_DEAD && b.incarnation == m->rec->incarnation;
        }
    }
    return n;
}

static void believe(struct gossip *g, uint64_t from, struct pushpull *pp)
{
    struct gossip_item it;

    merge_count(g, contradictions(g, *pp), pp->merging);
    while (pushpull_next(pp, &it)) {
        if (it.kind == GOSSIP_ALIVE)
            rule_alive(g, &it, true);
        else if (it.kind == GOSSIP_DEAD)
            rule_gone_elsewhere(g, &it, from);
        else
            rule_note(g, &it);
    }
}

/* One push/pull in 2 s for each peer; a peer that shares its place with another waits, too. */
static bool partner_ready(struct gossip *g, uint64_t from)
{
    unsigned at = (unsigned)(from % PARTNERS_KEPT);

    if (g->partners[at].nid == from && g->now - g->partners[at].at < PUSHPULL_GAP_NS * 9 / 10)
        return false;
    g->partners[at].nid = from;
    g->partners[at].at = g->now;
    return true;
}

int pushpull_frame(struct gossip *g, uint64_t from, const uint8_t *data, size_t len)
{
    struct pushpull pp;
    int rc = pushpull_read(data, len, &pp);
    bool expected;

    if (rc < 0)
        return rc;
    switch (pp.step) {
    case PUSHPULL_ASK:
        if (!pp.has_digests)
            return -ERR_PROTOCOL;
        if (partner_ready(g, from))
            write_part(g, from, PUSHPULL_ANSWER, pp.digests);
        return 0;
    case PUSHPULL_ANSWER:
        expected = from == g->pushpull_peer && g->now - g->pushpull_at < PUSHPULL_WAIT_NS;
        if (!expected)
            return 0;               /* late: the views have moved on */
        if (pp.has_digests)
            write_part(g, from, PUSHPULL_CLOSE, pp.digests);
        break;
    default:
        break;
    }
    believe(g, from, &pp);
    return 0;
}
