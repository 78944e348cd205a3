/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim.c - a heap of events: a node's clock, a datagram, a frame, a session that comes up
 */
#include "sim.h"
#include "base/alloc.h"
#include "base/assert.h"

#include <stdio.h>

enum event_kind { EV_TICK, EV_DATAGRAM, EV_FRAME, EV_UP };

struct sim_event {
    int64_t at;
    uint64_t seq;
    struct parcel *parcel;          /* DATAGRAM, FRAME, UP */
    uint32_t to;
    uint8_t kind;
};

/* What travels. */
struct parcel {
    uint32_t from;
    uint32_t len;
    enum gossip_frame kind;
    uint32_t boot;                  /* of the sender: UP */
    uint8_t data[];
};

/* --- chance and the heap ------------------------------------------------------------------------ */

static uint64_t next_chance(struct sim *s)
{
    uint64_t x = s->chance += 0x9e3779b97f4a7c15u;

    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

uint32_t sim_chance(struct sim *s, uint32_t n)
{
    return (uint32_t)((next_chance(s) >> 32) * n >> 32);
}

static bool happens(struct sim *s, double p)
{
    return p > 0 && (double)(next_chance(s) >> 11) < p * 9007199254740992.0;
}

static bool before(const struct sim_event *a, const struct sim_event *b)
{
    return a->at < b->at || (a->at == b->at && a->seq < b->seq);
}

static void push(struct sim *s, struct sim_event ev)
{
    size_t at;

    ev.seq = s->seq++;
    if (s->heap_n == s->heap_cap) {
        s->heap_cap = s->heap_cap == 0 ? 1024 : 2 * s->heap_cap;
        s->heap = mem_realloc(s->heap, s->heap_cap * sizeof(s->heap[0]));
    }
    for (at = s->heap_n++; at > 0 && before(&ev, &s->heap[(at - 1) / 4]); at = (at - 1) / 4)
        s->heap[at] = s->heap[(at - 1) / 4];
    s->heap[at] = ev;
}

static struct sim_event pop(struct sim *s)
{
    struct sim_event top = s->heap[0], last = s->heap[--s->heap_n];
    size_t at = 0;

    for (;;) {
        size_t best = 4 * at + 1;

        for (size_t c = best + 1; c <= 4 * at + 4 && c < s->heap_n; c++)
            if (before(&s->heap[c], &s->heap[best]))
                best = c;
        if (best >= s->heap_n || !before(&s->heap[best], &last))
            break;
        s->heap[at] = s->heap[best];
        at = best;
    }
    s->heap[at] = last;
    return top;
}

/* --- the fakes ---------------------------------------------------------------------------------- */

static void fake_sig(const uint8_t *data, size_t len, const uint8_t *key,
                     uint8_t sig[MEMBER_SIG_BYTES])
{
    uint64_t h = 0xcbf29ce484222325u;

    for (size_t i = 0; i < 8; i++)
        h = (h ^ key[i]) * 0x100000001b3u;
    for (size_t i = 0; i < len; i++)
        h = (h ^ data[i]) * 0x100000001b3u;
    for (int i = 0; i < MEMBER_SIG_BYTES / 8; i++, h = h * 6364136223846793005u + 1)
        memcpy(sig + 8 * i, &h, 8);
}

static bool fake_verify(void *arg, const struct member_body *b, const uint8_t *body, size_t len,
                        const uint8_t *sig)
{
    uint8_t good[MEMBER_SIG_BYTES];

    fake_sig(body, len, b->key, good);
    return memcmp(sig, good, sizeof(good)) == 0;
}

static bool fake_verify_note(void *arg, const struct record *rec, const struct gossip_item *note)
{
    uint8_t good[MEMBER_SIG_BYTES];

    fake_sig(note->body, note->body_len, record_key(rec), good);
    return memcmp(note->sig, good, sizeof(good)) == 0;
}

static uint64_t fake_nid(void *arg, const uint8_t key[MEMBER_KEY_BYTES])
{
    uint64_t nid;

    memcpy(&nid, key, sizeof(nid));
    return nid;
}

static void fake_key(const struct sim_node *n, uint8_t key[MEMBER_KEY_BYTES])
{
    memset(key, 0x5a, MEMBER_KEY_BYTES);
    memcpy(key, &n->nid, sizeof(n->nid));
}

static void fake_sign(void *arg, enum gossip_kind kind, uint64_t version, const uint8_t *data,
                      size_t len, uint8_t sig[MEMBER_SIG_BYTES])
{
    uint8_t key[MEMBER_KEY_BYTES];

    fake_key(arg, key);
    fake_sig(data, len, key, sig);
}

/* --- the wire ----------------------------------------------------------------------------------- */

static struct net_addr addr_of(uint32_t i)
{
    struct net_addr a = { .port = 7465 };

    a.ip[10] = a.ip[11] = 0xff;
    a.ip[12] = 10;
    a.ip[13] = (uint8_t)(i >> 16);
    a.ip[14] = (uint8_t)(i >> 8);
    a.ip[15] = (uint8_t)i;
    return a;
}

static uint32_t index_of(const struct net_addr *a)
{
    return (uint32_t)a->ip[13] << 16 | (uint32_t)a->ip[14] << 8 | a->ip[15];
}

static int64_t delay(struct sim *s)
{
    int64_t span = s->delay_max_ns - s->delay_min_ns;

    return s->delay_min_ns + (int64_t)(next_chance(s) >> 33) * span / (1ll << 31);
}

static bool cut(const struct sim_node *a, const struct sim_node *b)
{
    return a->group != b->group || a->dead_out || b->dead_in;
}

static void post(struct sim *s, enum event_kind kind, struct sim_node *from, struct sim_node *to,
                 const uint8_t *data, size_t len, enum gossip_frame frame)
{
    struct parcel *p = mem_alloc(sizeof(*p) + len);

    *p = (struct parcel){ .from = from->index, .len = (uint32_t)len, .kind = frame,
                          .boot = from->boots };
    if (len != 0)
        memcpy(p->data, data, len);
    push(s, (struct sim_event){ .at = s->now + delay(s), .kind = (uint8_t)kind, .to = to->index,
                                .parcel = p });
}

static void env_datagram(void *arg, const struct net_addr *to, const uint8_t *plain, size_t len)
{
    struct sim_node *from = arg;
    struct sim *s = from->sim;
    uint32_t i = index_of(to);
    struct sim_node *dest = &s->nodes[i];

    ASSERT(i < s->n && len <= GOSSIP_PLAIN_MAX);
    if (cut(from, dest) || from->udp_dead || dest->udp_dead || happens(s, s->loss))
        return;
    post(s, EV_DATAGRAM, from, dest, plain, len, 0);
    if (happens(s, s->duplicate))
        post(s, EV_DATAGRAM, from, dest, plain, len, 0);
}

static bool env_frame(void *arg, uint64_t nid, enum gossip_frame kind, const uint8_t *data,
                      size_t len)
{
    struct sim_node *from = arg, *to = sim_of(from->sim, nid);

    if (!from->sim->sessions_work)
        return false;
    if (!cut(from, to) && !cut(to, from))
        post(from->sim, EV_FRAME, from, to, data, len, kind);
    return true;
}

static int64_t env_heard(void *arg, uint64_t nid)
{
    return -1;
}

static void env_event(void *arg, const struct member_event *ev)
{
    struct sim_node *at = arg;

    if (ev->kind == MEMBER_EV_DEAD && !sim_of(at->sim, ev->nid)->ever_down)
        at->sim->false_deaths++;
    if (at->sim->watch != NULL)
        at->sim->watch(at->sim, at, ev);
}

/* --- nodes -------------------------------------------------------------------------------------- */

void sim_init(struct sim *s, uint32_t n, uint64_t seed)
{
    *s = (struct sim){ .n = n, .chance = seed, .delay_min_ns = 200000, .delay_max_ns = 2 * MS,
                       .sessions_work = true, .now = 1000 * S };
    gossip_config_default(&s->conf);
    s->conf.members_max = n > 10000 ? n : 10000;
    record_pool_init(&s->pool, s, fake_verify);
    s->nodes = MEM_NEW_ARRAY(struct sim_node, n);
    for (uint32_t i = 0; i < n; i++) {
        s->nodes[i] = (struct sim_node){ .sim = s, .nid = next_chance(s), .index = i,
                                         .tick_at = INT64_MAX };
        idmap_put(&s->by_nid, s->nodes[i].nid, &s->nodes[i]);
    }
}

void sim_fini(struct sim *s)
{
    for (size_t i = 0; i < s->heap_n; i++)
        mem_free(s->heap[i].parcel);
    for (uint32_t i = 0; i < s->n; i++)
        gossip_free(s->nodes[i].g);
    record_pool_fini(&s->pool);
    idmap_fini(&s->by_nid);
    mem_free(s->nodes);
    mem_free(s->heap);
}

struct sim_node *sim_of(struct sim *s, uint64_t nid)
{
    return idmap_get(&s->by_nid, nid);
}

/* The node's clock must ring no later than it asks. */
static void wind(struct sim_node *n)
{
    int64_t at = gossip_next_ns(n->g);

    if (at < n->sim->now)
        at = n->sim->now;
    if (at >= n->tick_at)
        return;
    n->tick_at = at;
    push(n->sim, (struct sim_event){ .at = at, .kind = EV_TICK, .to = n->index });
}

void sim_start(struct sim *s, uint32_t i)
{
    struct sim_node *n = &s->nodes[i];
    struct gossip_env env = {
        .arg = n, .datagram = env_datagram, .frame = env_frame, .heard_ns = env_heard,
        .nid_of = fake_nid, .sign = fake_sign, .verify_note = fake_verify_note, .event = env_event,
    };
    struct gossip_self self = { .proto_min = 1, .proto_max = 1, .n_addrs = 1 };
    char name[32];

    ASSERT(n->g == NULL);
    n->boots++;
    fake_key(n, self.key);
    memset(self.boot_id, (int)n->boots, sizeof(self.boot_id));
    self.creation = 1000 + n->boots;
    self.addrs[0] = addr_of(i);
    snprintf(name, sizeof(name), "n%u@host%u", i, i);
    self.name = name;
    n->tick_at = INT64_MAX;
    n->g = gossip_new(&s->conf, &env, &s->pool, &self, next_chance(s), s->now);
    wind(n);
}

void sim_start_all(struct sim *s)
{
    for (uint32_t i = 0; i < s->n; i++)
        sim_start(s, i);
    for (uint32_t i = 0; i < s->n; i++) {
        struct gossip *g = s->nodes[i].g;

        rumours_forget(&g->rumours, g->nid);
        for (uint32_t j = 0; j < s->n; j++)
            if (j != i)
                roster_insert(&g->view, s->nodes[j].g->rec, MEMBER_ALIVE);
    }
}

void sim_join(struct sim *s, uint32_t i, uint32_t seed)
{
    post(s, EV_UP, &s->nodes[i], &s->nodes[seed], NULL, 0, 0);
    post(s, EV_UP, &s->nodes[seed], &s->nodes[i], NULL, 0, 0);
}

void sim_crash(struct sim *s, uint32_t i)
{
    struct sim_node *n = &s->nodes[i];

    n->extra_bytes += gossip_stats(n->g)->bytes_out;
    n->ever_down = true;
    gossip_free(TAKE(n->g));
}

static void deliver(struct sim *s, struct sim_node *n, const struct sim_event *ev)
{
    struct parcel *p = ev->parcel;
    struct net_addr from;
    int rc;

    if (n->g == NULL)
        return;
    switch (ev->kind) {
    case EV_TICK:
        gossip_tick(n->g, s->now);
        break;
    case EV_DATAGRAM:
        from = addr_of(p->from);
        gossip_datagram(n->g, s->now, &from, p->data, p->len);
        break;
    case EV_FRAME:
        rc = gossip_frame(n->g, s->now, s->nodes[p->from].nid, p->kind, p->data, p->len);
        ASSERT(rc == 0);
        break;
    case EV_UP:
        gossip_session_up(n->g, s->now, s->nodes[p->from].nid);
        break;
    }
}

/* A paused or slow node gets its events later; the order among them stays. */
static bool postpone(struct sim *s, struct sim_node *n, struct sim_event ev)
{
    if (s->now >= n->paused_until)
        return false;
    ev.at = n->paused_until;
    if (ev.kind == EV_TICK)
        n->tick_at = ev.at;
    push(s, ev);
    return true;
}

static void step(struct sim *s)
{
    struct sim_event ev = pop(s);
    struct sim_node *n = &s->nodes[ev.to];

    s->now = ev.at;
    if (ev.kind == EV_TICK && ev.at != n->tick_at)
        return;                     /* it was wound again since */
    if (postpone(s, n, ev))
        return;
    s->events++;
    if (ev.kind == EV_TICK)
        n->tick_at = INT64_MAX;
    deliver(s, n, &ev);
    mem_free(ev.parcel);
    if (n->slow_ns > 0)
        n->paused_until = s->now + (int64_t)sim_chance(s, (uint32_t)(n->slow_ns / 1000)) * 1000;
    if (n->g != NULL)
        wind(n);
}

void sim_run(struct sim *s, int64_t for_ns)
{
    int64_t end = s->now + for_ns;

    while (s->heap_n > 0 && s->heap[0].at <= end)
        step(s);
    s->now = end;
}

bool sim_until(struct sim *s, int64_t limit_ns, int64_t step_ns, bool (*done)(struct sim *))
{
    int64_t end = s->now + limit_ns;

    while (!done(s)) {
        if (s->now >= end)
            return false;
        sim_run(s, step_ns);
    }
    return true;
}

/* --- looks -------------------------------------------------------------------------------------- */

uint64_t sim_view_errors(struct sim *s)
{
    uint64_t errors = 0;
    uint32_t running = 0;

    for (uint32_t i = 0; i < s->n; i++)
        running += s->nodes[i].g != NULL;
    for (uint32_t i = 0; i < s->n; i++) {
        struct gossip *g = s->nodes[i].g;
        uint32_t good = 0, extra = 0;

        if (g == NULL)
            continue;
        ROSTER_EACH(&g->view, m) {
            bool up = member_present(m) && sim_of(s, m->rec->nid)->g != NULL;

            good += up;
            extra += member_present(m) && !up;
        }
        errors += running - good + extra;
    }
    return errors;
}

bool sim_views_full(struct sim *s)
{
    return sim_view_errors(s) == 0;
}

#define ENVELOPE_BYTES 44

uint64_t sim_bytes(struct sim *s)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < s->n; i++) {
        struct sim_node *n = &s->nodes[i];

        sum += n->extra_bytes;
        if (n->g != NULL) {
            const struct gossip_stats *st = gossip_stats(n->g);

            sum += st->bytes_out + ENVELOPE_BYTES * st->datagrams_out + st->frame_bytes_out;
        }
    }
    return sum;
}

uint64_t sim_packets(struct sim *s)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < s->n; i++)
        if (s->nodes[i].g != NULL)
            sum += gossip_stats(s->nodes[i].g)->datagrams_out;
    return sum;
}
