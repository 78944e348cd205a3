/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim.h - a network that exists only in memory, for thousands of gossiping nodes
 *
 * One thread, one clock, one seed: what happens is decided by the seed alone, so a run that fails
 * fails again. Nodes run the code of src/cluster unchanged; keys and signatures are fakes of the
 * real size. Datagrams are lost, delayed, doubled and cut off as the fields say, which may be
 * changed between two calls of sim_run. Frames of sessions arrive in any order but do arrive,
 * unless the nodes are cut off from each other.
 */
#ifndef TESTS_GOSSIP_SIM_H
#define TESTS_GOSSIP_SIM_H

#include "cluster/gossip_priv.h"

struct sim;

struct sim_node {
    struct sim *sim;
    struct gossip *g;               /* NULL: crashed, or not started yet */
    uint64_t nid;
    uint32_t index, boots;
    int side;                       /* for scenarios: its group while there was a cut */
    uint64_t incarnation_at_heal;   /* likewise */
    int group;                      /* nodes of different groups do not reach each other */
    int64_t tick_at;                /* its next event in the heap */
    int64_t paused_until, slow_ns;  /* every event is up to slow_ns late */
    bool dead_out, dead_in;         /* sends nothing, hears nothing (one-way loss) */
    bool udp_dead;                  /* datagrams neither come nor go, frames do */
    bool ever_down;                 /* was crashed, paused or cut off: its death is no mistake */
    uint64_t extra_bytes;           /* sent by boots before this one */
};

struct sim {
    uint32_t n;
    struct sim_node *nodes;
    struct gossip_config conf;
    struct record_pool pool;
    uint64_t chance;
    int64_t now;
    double loss, duplicate;         /* of datagrams, 0...1 */
    int64_t delay_min_ns, delay_max_ns;
    bool sessions_work;             /* frames arrive (TCP) */
    struct sim_event *heap;
    size_t heap_n, heap_cap;
    uint64_t seq, events;
    struct idmap by_nid;
    /* Every event of every node. */
    void (*watch)(struct sim *s, struct sim_node *at, const struct member_event *ev);
    void *arg;
    uint64_t false_deaths;          /* nodes declared dead that were never down, per believer */
};

/* n nodes, none started. */
void sim_init(struct sim *s, uint32_t n, uint64_t seed);
void sim_fini(struct sim *s);

void sim_start(struct sim *s, uint32_t i);              /* knows nobody; again: the next boot */
void sim_start_all(struct sim *s);                      /* everybody knows everybody */
void sim_join(struct sim *s, uint32_t i, uint32_t seed);/* i dials seed */
void sim_crash(struct sim *s, uint32_t i);
void sim_run(struct sim *s, int64_t for_ns);
/* Run until done says so, looking every step_ns; false: it took longer than limit_ns. */
bool sim_until(struct sim *s, int64_t limit_ns, int64_t step_ns, bool (*done)(struct sim *));

/* Every running node sees all running nodes as present and nobody else. */
bool sim_views_full(struct sim *s);
/* Entries, over all running nodes, that are missing or too many. */
uint64_t sim_view_errors(struct sim *s);
struct sim_node *sim_of(struct sim *s, uint64_t nid);
/* Datagrams with their envelope and frames, sent by all. */
uint64_t sim_bytes(struct sim *s);
uint64_t sim_packets(struct sim *s);
uint32_t sim_chance(struct sim *s, uint32_t n);

#endif
