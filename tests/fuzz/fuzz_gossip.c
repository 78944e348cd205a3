/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_gossip.c - a member of the cluster that sends anything: datagrams and frames
 *
 * The first byte says how the rest arrives: 0...2 datagram, push/pull, indirect ping; the node
 * knows 50 members, of which one sends. Whatever comes, the invariants of the view hold, and the
 * node itself stays alive in its own eyes.
 */
#include "base/assert.h"
#include "../gossip/sim.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define MEMBERS 50

static void check(struct sim *s)
{
    struct gossip *g = s->nodes[0].g;
    const struct roster *v = &g->view;
    uint64_t digests[GOSSIP_BUCKETS], all = 0, last = 0;
    uint32_t n = 0, by_state[MEMBER_STATES] = { 0 };

    ROSTER_EACH(v, m) {
        ASSERT(n == 0 || m->rec->nid > last);
        last = m->rec->nid;
        by_state[m->state]++;
        n++;
        ASSERT((m->state == MEMBER_SUSPECT) == (idmap_get(&g->suspicions, last) != NULL));
    }
    ASSERT(n == v->n && n <= s->conf.members_max);
    ASSERT(memcmp(by_state, v->by_state, sizeof(by_state)) == 0);
    roster_buckets(v, digests);
    for (int i = 0; i < GOSSIP_BUCKETS; i++)
        all ^= digests[i];
    ASSERT(all == v->digest);
    ASSERT(roster_find(v, g->nid)->state == MEMBER_ALIVE);
    ASSERT(g->rec->creation == g->self.creation);
    ASSERT(g->health <= HEALTH_MAX && g->heap_n == g->suspicions.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct sim s;
    struct net_addr from = { .port = 1 };
    struct gossip *g;

    if (len < 1)
        return 0;
    sim_init(&s, MEMBERS, 1);
    s.conf.members_max = 60;
    sim_start_all(&s);
    g = s.nodes[0].g;
    if (data[0] % 3 == 0)
        gossip_datagram(g, s.now, &from, data + 1, len - 1);
    else
        (void)!gossip_frame(g, s.now, s.nodes[1].nid,
                            data[0] % 3 == 1 ? GOSSIP_FRAME_PUSHPULL : GOSSIP_FRAME_INDIRECT_PING,
                            data + 1, len - 1);
    check(&s);
    for (int i = 0; i < 3; i++) {
        s.now += S;
        gossip_tick(g, s.now);
    }
    check(&s);
    sim_fini(&s);
    return 0;
}
