/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gossip.c - life of one node's part in gossip: its clock, what it sends, what it says of itself
 */
#include "cluster/gossip_priv.h"
#include "base/alloc.h"
#include "base/assert.h"
#include "base/errors.h"

#include <math.h>

void gossip_config_default(struct gossip_config *c)
{
    *c = (struct gossip_config){
        .period_ns = S, .gossip_ns = 200 * MS, .fanout = 3, .indirect = 3, .tcp_fallback = true,
        .members_max = 10000, .forget_ns = 72ll * 3600 * S,
    };
}

/* --- chance ----------------------------------------------------------------------------------- */

/* SplitMix64 (Steele, Lea, Flood, 2014): one word of state, so ten thousand nodes cost nothing. */
uint64_t chance(struct gossip *g)
{
    uint64_t x = g->chance += 0x9e3779b97f4a7c15u;

    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

uint32_t chance_below(struct gossip *g, uint32_t n)
{
    return (uint32_t)((chance(g) >> 32) * n >> 32);
}

/* --- sizes and times --------------------------------------------------------------------------- */

uint32_t present(const struct gossip *g)
{
    return g->view.by_state[MEMBER_ALIVE] + g->view.by_state[MEMBER_SUSPECT];
}

static double log10_members(const struct gossip *g)
{
    return log10((double)(present(g) > 0 ? present(g) : 1));
}

unsigned tells(const struct gossip *g)
{
    return 4 * (unsigned)ceil(log10((double)present(g) + 1));
}

int64_t base_period(const struct gossip *g)
{
    return g->conf.period_ns;
}

int64_t suspicion_min(const struct gossip *g)
{
    double factor = log10_members(g) < 1 ? 4 : 4 * log10_members(g);
    int64_t min = (int64_t)(factor * (double)base_period(g));

    return g->merge_until != 0 ? 2 * min : min;
}

void health_add(struct gossip *g, int n)
{
    int h = (int)g->health + n;

    g->health = h < 0 ? 0 : h > HEALTH_MAX ? HEALTH_MAX : (unsigned)h;
}

/* --- sending ----------------------------------------------------------------------------------- */

void send_packet(struct gossip *g, const struct net_addr *to, const struct gossip_packet *p)
{
    if (p->len == 0 || to->port == 0)
        return;
    g->stats.datagrams_out++;
    g->stats.bytes_out += p->len;
    g->env.datagram(g->env.arg, to, p->data, p->len);
}

bool send_frame(struct gossip *g, uint64_t nid, enum gossip_frame kind, const struct buf *b)
{
    if (!g->env.frame(g->env.arg, nid, kind, b->data, b->len))
        return false;
    g->stats.frames_out++;
    g->stats.frame_bytes_out += b->len;
    return true;
}

struct net_addr member_addr(const struct member *m)
{
    return record_addr(m->rec, m->addr);
}

struct vital own_vital(const struct gossip *g)
{
    struct vital v = g->vital;

    v.digest = g->view.digest ^ g->notes_digest;
    v.health = g->health;
    return v;
}

void tell(struct gossip *g, enum member_event_kind kind, const struct member *m, uint64_t by)
{
    struct member_event ev = { .kind = kind, .by = by };

    if (m != NULL) {
        ev.nid = m->rec->nid;
        ev.rec = m->rec;
    }
    g->env.event(g->env.arg, &ev);
}

struct member *random_member(struct gossip *g, uint64_t but)
{
    uint32_t slots = roster_slots(&g->view);

    if (present(g) < 2)
        return NULL;
    /* A present member is met after cap / present tries on average; many gone ones, or `but` being
     * the only other, make it longer, so the tries are counted. */
    for (uint32_t i = 0; i < 4 * slots; i++) {
        struct member *m = roster_slot(&g->view, chance_below(g, slots));

        if (m != NULL && member_present(m) && m->rec->nid != g->nid && m->rec->nid != but)
            return m;
    }
    return NULL;
}

static void gossip_round(struct gossip *g)
{
    for (unsigned i = 0; i < g->conf.fanout && g->rumours.n > 0; i++) {
        struct member *m = random_member(g, 0);
        struct gossip_packet p;
        struct net_addr to;

        if (m == NULL)
            return;
        to = member_addr(m);
        gossip_packet_init(&p, GOSSIP_PLAIN_MAX);
        rumours_fill(&g->rumours, &p, tells(g));
        send_packet(g, &to, &p);
    }
}

/* --- ourselves --------------------------------------------------------------------------------- */

/* Sign and spread what self says, under the next incarnation. */
static void publish_self(struct gossip *g, uint32_t state)
{
    uint64_t incarnation = (uint64_t)g->self.creation << 32 | ++g->counter;
    struct member_body b = {
        .key = g->self.key, .boot_id = g->self.boot_id, .name = g->self.name,
        .name_len = strlen(g->self.name), .incarnation = incarnation, .state = state,
        .features = g->self.features, .creation = g->self.creation,
        .proto_min = g->self.proto_min, .proto_max = g->self.proto_max, .flags = g->self.flags,
        .n_addrs = g->self.n_addrs,
    };
    uint8_t sig[MEMBER_SIG_BYTES];
    struct buf body = { 0 };
    struct record *rec;
    struct member *m;
    int rc;

    memcpy(b.addrs, g->self.addrs, sizeof(b.addrs));
    member_body_write(&body, &b);
    g->env.sign(g->env.arg, GOSSIP_ALIVE, incarnation, body.data, body.len, sig);
    rc = member_body_read(body.data, body.len, &b);
    ASSERT(rc == 0);
    rc = record_get(g->pool, g->nid, &b, body.data, body.len, sig, &rec);
    ASSERT(rc == 0);
    buf_fini(&body);
    m = roster_find(&g->view, g->nid);
    if (m == NULL)
        roster_insert(&g->view, rec, MEMBER_ALIVE);
    else
        roster_set(&g->view, m, state == MEMBER_STATE_LEFT ? MEMBER_LEFT : MEMBER_ALIVE, rec);
    record_unref(g->rec);
    g->rec = rec;
    rumour_alive(&g->rumours, rec);
}

void refute(struct gossip *g, uint64_t incarnation, bool accused)
{
    if (g->leaving || incarnation < g->rec->incarnation)
        return;
    if (accused)
        health_add(g, 1);
    if (g->refute_due == 0)
        g->refute_due = g->refuted_at + REFUTE_GAP_NS;
    if (g->refute_due > g->now)
        return;
    g->refute_due = 0;
    g->refuted_at = g->now;
    g->stats.refutations++;
    publish_self(g, MEMBER_STATE_HERE);
}

static void copy_self(struct gossip *g, const struct gossip_self *self)
{
    ASSERT(self->n_addrs >= 1 && self->n_addrs <= MEMBER_ADDRS_MAX);
    ASSERT(strlen(self->name) >= 1 && strlen(self->name) <= MEMBER_NAME_MAX);
    mem_free(g->self_name);
    g->self = *self;
    g->self.name = g->self_name = mem_strdup(self->name);
}

void gossip_set_self(struct gossip *g, int64_t now_ns, const struct gossip_self *self)
{
    ASSERT(memcmp(self->key, g->self.key, sizeof(self->key)) == 0);
    ASSERT(self->creation == g->self.creation);
    g->now = now_ns;
    copy_self(g, self);
    publish_self(g, MEMBER_STATE_HERE);
}

static void note_tick(struct gossip *g)
{
    struct gossip_item it = { .kind = GOSSIP_NOTE, .node = g->nid, .body = g->note_meta,
                              .body_len = g->note_len };
    uint8_t sig[MEMBER_SIG_BYTES];

    if (g->note_meta == NULL || g->now < g->note_due)
        return;
    g->note_version = (uint64_t)g->self.creation << 32 | ((uint32_t)g->note_version + 1);
    it.incarnation = g->note_version;
    g->env.sign(g->env.arg, GOSSIP_NOTE, g->note_version, g->note_meta, g->note_len, sig);
    it.sig = sig;
    rule_note(g, &it);
    mem_free(TAKE(g->note_meta));
    g->note_due = g->now + NOTE_GAP_NS;
}

void gossip_set_note(struct gossip *g, int64_t now_ns, const uint8_t *meta, size_t len)
{
    ASSERT(len <= MEMBER_META_MAX);
    g->now = now_ns;
    mem_free(g->note_meta);
    g->note_meta = mem_dup(meta, len);
    g->note_len = len;
    note_tick(g);
}

void gossip_leave(struct gossip *g, int64_t now_ns)
{
    g->now = now_ns;
    g->leaving = true;
    publish_self(g, MEMBER_STATE_LEFT);
    for (int i = 0; i < 5; i++) {
        struct member *m = random_member(g, 0);
        struct gossip_item it = record_item(g->rec);
        struct gossip_packet p;
        struct net_addr to;

        if (m == NULL)
            return;
        to = member_addr(m);
        gossip_packet_init(&p, GOSSIP_PLAIN_MAX);
        gossip_put(&p, &it);
        send_packet(g, &to, &p);
    }
}

/* --- time -------------------------------------------------------------------------------------- */

static int64_t soonest(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

int64_t gossip_next_ns(const struct gossip *g)
{
    int64_t at = g->probe.due;

    at = soonest(at, g->pushpull_due);
    at = soonest(at, g->dead_due);
    at = soonest(at, suspicions_due(g));
    at = soonest(at, relays_due(g));
    if (g->rumours.n > 0)
        at = soonest(at, g->gossip_due);
    if (g->refute_due != 0)
        at = soonest(at, g->refute_due);
    if (g->note_meta != NULL)
        at = soonest(at, g->note_due);
    if (g->asks_at < g->asks_n)
        at = soonest(at, g->ask_due);
    if (g->merge_until != 0)
        at = soonest(at, g->merge_until);
    return at;
}

/* Take the time over. When this thread did not run for a while, others could not reach us either:
 * they get a fresh interval before they are judged. */
static void clock_in(struct gossip *g, int64_t now_ns)
{
    int64_t late = now_ns - g->planned;

    g->now = now_ns;
    if (late < LATE_NS)
        return;
    g->stats.lates++;
    health_add(g, 1);
    suspicions_shift(g, late);
    if (g->probe.phase != PROBE_REST) {
        g->probe.phase = PROBE_REST;
        g->probe.due = now_ns + base_period(g) / 2;
    }
}

static void clock_out(struct gossip *g)
{
    g->planned = gossip_next_ns(g);
    if (g->planned < g->now)
        g->planned = g->now;
}

void gossip_tick(struct gossip *g, int64_t now_ns)
{
    clock_in(g, now_ns);
    suspicions_tick(g);
    relays_tick(g);
    probe_tick(g);
    if (g->refute_due != 0 && g->now >= g->refute_due)
        refute(g, g->rec->incarnation, false);
    note_tick(g);
    merge_tick(g);
    pushpull_tick(g);
    dead_tick(g);
    asks_tick(g);
    if (g->rumours.n > 0 && g->now >= g->gossip_due) {
        gossip_round(g);
        g->gossip_due = g->now + g->conf.gossip_ns;
    }
    clock_out(g);
}

/* --- what comes in ----------------------------------------------------------------------------- */

static void item_in(struct gossip *g, const struct net_addr *from, const struct gossip_item *it,
                    size_t len)
{
    g->stats.items_in[it->kind]++;
    switch (it->kind) {
    case GOSSIP_PING:
    case GOSSIP_ACK:
    case GOSSIP_PING_REQ:
    case GOSSIP_NACK:
        probe_item(g, from, it, len);
        break;
    case GOSSIP_ALIVE:
        rule_alive(g, it, false);
        break;
    case GOSSIP_SUSPECT:
        rule_suspect(g, it);
        break;
    case GOSSIP_DEAD:
        rule_dead(g, it);
        break;
    case GOSSIP_NOTE:
        rule_note(g, it);
        break;
    case GOSSIP_ASK:
        rule_ask(g, it);
        break;
    case GOSSIP_KINDS:
        UNREACHABLE();
    }
}

void gossip_datagram(struct gossip *g, int64_t now_ns, const struct net_addr *from,
                     const uint8_t *plain, size_t len)
{
    struct reader r = reader_make(plain, len);
    struct gossip_item it;
    int rc = 0;

    clock_in(g, now_ns);
    g->stats.datagrams_in++;
    g->stats.bytes_in += len;
    for (int i = 0; i < GOSSIP_ITEMS_MAX && (rc = gossip_next(&r, &it)) == 1; i++)
        item_in(g, from, &it, len);
    g->stats.malformed += rc < 0;
    clock_out(g);
}

int gossip_frame(struct gossip *g, int64_t now_ns, uint64_t from, enum gossip_frame kind,
                 const uint8_t *data, size_t len)
{
    bool pong = kind == GOSSIP_FRAME_INDIRECT_PONG;
    uint64_t nonce, second;
    int rc;

    clock_in(g, now_ns);
    g->stats.frames_in++;
    g->stats.frame_bytes_in += len;
    if (kind == GOSSIP_FRAME_PUSHPULL) {
        rc = pushpull_frame(g, from, data, len);
    } else {
        rc = indirect_read(data, len, pong, &nonce, &second);
        if (rc == 0)
            probe_frame(g, from, kind, nonce, pong ? 0 : second, pong && second != 0);
    }
    clock_out(g);
    return rc;
}

void gossip_session_up(struct gossip *g, int64_t now_ns, uint64_t nid)
{
    struct member *m;

    clock_in(g, now_ns);
    m = roster_find(&g->view, nid);
    if (m == NULL || !member_present(m))
        pushpull_start(g, nid);
    clock_out(g);
}

void gossip_vital(struct gossip *g, int64_t now_ns, uint64_t nid, const struct vital *v)
{
    struct member *m;

    clock_in(g, now_ns);
    m = roster_find(&g->view, nid);
    if (m != NULL)
        vital_in(g, m, v);
    clock_out(g);
}

void gossip_forget(struct gossip *g, int64_t now_ns, uint64_t nid)
{
    struct member *m = roster_find(&g->view, nid);
    struct note *note;

    g->now = now_ns;
    if (m == NULL || nid == g->nid)
        return;
    suspicion_drop(g, nid);
    rumours_forget(&g->rumours, nid);
    tell(g, MEMBER_EV_FORGOTTEN, m, 0);
    note = idmap_take(&g->notes, nid);
    if (note != NULL)
        g->notes_digest ^= member_hash(~nid, note->version);
    note_unref(note);
    roster_remove(&g->view, nid);
    record_pool_forget(g->pool, nid);
}

/* --- life and looks ---------------------------------------------------------------------------- */

struct gossip *gossip_new(const struct gossip_config *c, const struct gossip_env *env,
                          struct record_pool *pool, const struct gossip_self *self, uint64_t seed,
                          int64_t now_ns)
{
    struct gossip *g = MEM_NEW(struct gossip);

    g->conf = *c;
    g->env = *env;
    g->pool = pool;
    g->chance = seed;
    g->now = g->planned = now_ns;
    g->refuted_at = g->pushpull_at = g->window_at = now_ns - MERGE_NS;
    g->nid = env->nid_of(env->arg, self->key);
    ASSERT(g->nid != 0);
    roster_init(&g->view);
    rumours_init(&g->rumours);
    copy_self(g, self);
    publish_self(g, MEMBER_STATE_HERE);
    /* Starts are spread over a period, so that a cluster started at once does not beat as one. */
    g->probe.due = now_ns + chance_below(g, 1000) * base_period(g) / 1000;
    g->gossip_due = now_ns + chance_below(g, 1000) * c->gossip_ns / 1000;
    g->pushpull_due = now_ns + 15 * S + chance_below(g, 15000) * MS;
    g->dead_due = now_ns + chance_below(g, 10000) * MS;
    g->planned = gossip_next_ns(g);
    return g;
}

void gossip_free(struct gossip *g)
{
    if (g == NULL)
        return;
    IDMAP_EACH(&g->suspicions, s)
        mem_free(s->value);
    idmap_fini(&g->suspicions);
    IDMAP_EACH(&g->accusers, s)
        mem_free(s->value);
    idmap_fini(&g->accusers);
    IDMAP_EACH(&g->notes, s)
        note_unref(s->value);
    idmap_fini(&g->notes);
    rumours_fini(&g->rumours);
    roster_fini(&g->view);
    record_unref(g->rec);
    mem_free(g->heap);
    mem_free(g->asks);
    mem_free(g->note_meta);
    mem_free(g->self_name);
    mem_free(g);
}

void gossip_set_vital(struct gossip *g, const struct vital *v)
{
    g->vital = *v;
}

uint64_t gossip_nid(const struct gossip *g) { return g->nid; }
const struct record *gossip_self_record(const struct gossip *g) { return g->rec; }
const struct roster *gossip_roster(const struct gossip *g) { return &g->view; }
const struct gossip_stats *gossip_stats(const struct gossip *g) { return &g->stats; }
unsigned gossip_health(const struct gossip *g) { return g->health; }
bool gossip_merging(const struct gossip *g) { return g->merge_until != 0; }
uint32_t gossip_queue(const struct gossip *g) { return g->rumours.n; }

const struct note *gossip_note(const struct gossip *g, uint64_t nid)
{
    return idmap_get(&g->notes, nid);
}

uint64_t gossip_random(struct gossip *g)
{
    struct member *m = random_member(g, 0);

    return m == NULL ? 0 : m->rec->nid;
}
