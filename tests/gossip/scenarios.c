/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scenarios.c - membership on the virtual network: how fast, at what cost, and never wrongly
 *
 * scenarios             the small sizes, as make check runs them
 * scenarios all         every size; minutes, and 3 GB for 10,000 nodes
 * scenarios NAME N [SEED] [lan]   one of them: prints its figures
 *
 * TAP. A failing row prints the seed with which it can be repeated.
 */
#include "sim.h"
#include "base/alloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct run {
    struct sim s;
    uint32_t n;
    bool lan;
    char figures[400];
    /* crash: when the others came to know */
    uint64_t victim;
    int64_t first_suspect, first_dead, last_dead, crashed_at;
    uint32_t know;
    uint64_t redeaths;              /* split: see watch_redeaths */
};

#define FIGURES(r, ...) snprintf((r)->figures, sizeof((r)->figures), __VA_ARGS__)

static double seconds(int64_t ns)
{
    return (double)ns / 1e9;
}

static void begin(struct run *r)
{
    if (r->lan)
        r->s.conf.period_ns = S / 2;
    sim_start_all(&r->s);
    sim_run(&r->s, 5 * S);
}

/* --- a crash ------------------------------------------------------------------------------------ */

static void watch_victim(struct sim *s, struct sim_node *at, const struct member_event *ev)
{
    struct run *r = s->arg;

    if (ev->nid != r->victim)
        return;
    if (ev->kind == MEMBER_EV_SUSPECT && r->first_suspect == 0)
        r->first_suspect = s->now;
    if (ev->kind == MEMBER_EV_DEAD) {
        if (r->know++ == 0)
            r->first_dead = s->now;
        r->last_dead = s->now;
    }
}

static bool all_know(struct sim *s)
{
    struct run *r = s->arg;

    return r->know >= r->n - 1;
}

/* Limits of the time at which all know, by size: 10, 100, 1,000, 10,000; for a LAN the second. */
static double crash_limit(const struct run *r)
{
    static const double limit[4] = { 7, 12, 17, 22 }, lan[4] = { 4.5, 6.5, 9.5, 13 };
    int row = r->n <= 10 ? 0 : r->n <= 100 ? 1 : r->n <= 1000 ? 2 : 3;

    return r->lan ? lan[row] : limit[row];
}

static bool crash(struct run *r)
{
    bool known;

    begin(r);
    r->s.arg = r;
    r->s.watch = watch_victim;
    r->victim = r->s.nodes[r->n / 2].nid;
    r->crashed_at = r->s.now;
    sim_crash(&r->s, r->n / 2);
    known = sim_until(&r->s, 60 * S, 100 * MS, all_know);
    FIGURES(r, "first suspect %.1f s, first dead %.1f s, all know %.1f s, false deaths %llu",
            seconds(r->first_suspect - r->crashed_at), seconds(r->first_dead - r->crashed_at),
            seconds(r->last_dead - r->crashed_at), (unsigned long long)r->s.false_deaths);
    return known && r->s.false_deaths == 0
        && seconds(r->last_dead - r->crashed_at) <= crash_limit(r);
}

/* --- quiet -------------------------------------------------------------------------------------- */

static bool quiet(struct run *r)
{
    uint64_t bytes, packets;
    clock_t cpu;
    double b, p;

    begin(r);
    sim_run(&r->s, 30 * S);
    bytes = sim_bytes(&r->s);
    packets = sim_packets(&r->s);
    cpu = clock();
    sim_run(&r->s, 60 * S);
    b = (double)(sim_bytes(&r->s) - bytes) / 60 / r->n;
    p = (double)(sim_packets(&r->s) - packets) / 60 / r->n;
    FIGURES(r, "%.2f datagrams/s, %.2f kB/s and %.1f us of CPU a second, per node; false deaths "
            "%llu", p, b / 1000,
            (double)(clock() - cpu) / CLOCKS_PER_SEC * 1e6 / 60 / r->n,
            (unsigned long long)r->s.false_deaths);
    return r->s.false_deaths == 0 && b <= 2500 && p <= 5;
}

/* --- loss --------------------------------------------------------------------------------------- */

static uint64_t suspicions(struct sim *s)
{
    uint64_t n = 0;

    for (uint32_t i = 0; i < s->n; i++)
        if (s->nodes[i].g != NULL)
            n += gossip_stats(s->nodes[i].g)->suspicions;
    return n;
}

static bool lossy(struct run *r, double loss, bool sessions, int64_t for_ns)
{
    uint64_t bytes;

    r->s.loss = loss;
    r->s.sessions_work = sessions;
    r->s.conf.tcp_fallback = sessions;
    begin(r);
    bytes = sim_bytes(&r->s);
    sim_run(&r->s, for_ns);
    FIGURES(r, "%.0f s: false deaths %llu, %llu suspicions over all views, %.2f kB/s per node",
            seconds(for_ns), (unsigned long long)r->s.false_deaths,
            (unsigned long long)suspicions(&r->s),
            (double)(sim_bytes(&r->s) - bytes) / seconds(for_ns) / r->n / 1000);
    return r->s.false_deaths == 0;
}

static bool loss5(struct run *r)
{
    return lossy(r, 0.05, false, r->n > 2000 ? 120 * S : 600 * S);
}

static bool loss20(struct run *r)
{
    return lossy(r, 0.20, true, 300 * S);
}

static bool duplicates(struct run *r)
{
    r->s.duplicate = 0.3;
    return lossy(r, 0.02, true, 120 * S);
}

/* --- splits ------------------------------------------------------------------------------------- */

/* A member dies again when its own side declares it dead, or the other side does that had heard
 * from it after the heal. What the cut itself had begun is not counted. */
static void watch_redeaths(struct sim *s, struct sim_node *at, const struct member_event *ev)
{
    struct run *r = s->arg;
    struct sim_node *of;

    if (ev->kind != MEMBER_EV_DEAD)
        return;
    of = sim_of(s, ev->nid);
    r->redeaths += at->side == of->side || ev->rec->incarnation > of->incarnation_at_heal;
}

static bool split(struct run *r, uint32_t minority, double limit_s, double redeaths_max)
{
    int64_t healed;
    uint64_t before, bytes;
    bool whole;
    double redeaths;

    begin(r);
    for (uint32_t i = 0; i < minority; i++)
        r->s.nodes[i * r->n / minority].group = r->s.nodes[i * r->n / minority].side = 1;
    sim_run(&r->s, 60 * S);
    before = sim_view_errors(&r->s);
    for (uint32_t i = 0; i < r->n; i++) {
        r->s.nodes[i].group = 0;
        r->s.nodes[i].incarnation_at_heal = gossip_self_record(r->s.nodes[i].g)->incarnation;
    }
    r->s.arg = r;
    r->s.watch = watch_redeaths;
    bytes = sim_bytes(&r->s);
    healed = r->s.now;
    whole = sim_until(&r->s, 180 * S, 100 * MS, sim_views_full);
    healed = r->s.now - healed;
    sim_run(&r->s, 90 * S);                     /* and it stays whole */
    redeaths = (double)r->redeaths / ((double)r->n * r->n);
    FIGURES(r, "%llu view entries wrong at the heal, full views after %.1f s, re-deaths %llu, "
            "%.0f kB per node", (unsigned long long)before, seconds(healed),
            (unsigned long long)r->redeaths,
            (double)(sim_bytes(&r->s) - bytes) / r->n / 1000);
    return whole && seconds(healed) <= limit_s && redeaths <= redeaths_max
        && sim_views_full(&r->s) && before > 0;
}

static bool half(struct run *r)
{
    return split(r, r->n / 2, r->n <= 100 ? 8 : r->n <= 1000 ? 20 : 60,
                 r->n <= 1000 ? 0 : 0.001);
}

static bool tenth(struct run *r)
{
    return split(r, r->n / 10, 45, 0);
}

/* --- nodes that are sick ------------------------------------------------------------------------ */

/* Deaths of nodes that never paused are counted in false_deaths; those that paused are marked. */
static bool pauses(struct run *r)
{
    begin(r);
    for (int i = 0; i < 120; i++) {
        for (uint32_t k = 0; k < r->n / 20 + 1; k++) {
            struct sim_node *n = &r->s.nodes[sim_chance(&r->s, r->n)];

            if (i % 6 == 0) {
                n->ever_down = true;
                n->paused_until = r->s.now + 2 * S + sim_chance(&r->s, 2000) * MS;
            }
        }
        sim_run(&r->s, S);
    }
    sim_run(&r->s, 20 * S);
    FIGURES(r, "5 %% paused for 2-4 s each 6 s: deaths of others %llu, view errors at the end %llu",
            (unsigned long long)r->s.false_deaths, (unsigned long long)sim_view_errors(&r->s));
    return r->s.false_deaths == 0 && sim_views_full(&r->s);
}

static bool sick(struct run *r)
{
    uint32_t sick_n = r->n / 50, health = 0;

    begin(r);
    for (uint32_t i = 0; i < sick_n; i++) {
        r->s.nodes[i * 50].slow_ns = 1500 * MS;
        r->s.nodes[i * 50].ever_down = true;
    }
    sim_run(&r->s, 120 * S);
    for (uint32_t i = 0; i < sick_n; i++)
        health += gossip_health(r->s.nodes[i * 50].g);
    FIGURES(r, "2 %% slow: deaths of healthy nodes %llu, mean health of the slow %.1f",
            (unsigned long long)r->s.false_deaths, (double)health / sick_n);
    return r->s.false_deaths == 0 && health >= 5 * sick_n;
}

static bool oneway(struct run *r)
{
    begin(r);
    /* Nobody's datagrams reach node 0, but its sessions work: it is not declared dead. */
    r->s.nodes[0].udp_dead = true;
    sim_run(&r->s, 120 * S);
    FIGURES(r, "UDP of one node blocked: deaths %llu", (unsigned long long)r->s.false_deaths);
    return r->s.false_deaths == 0;
}

/* --- lies --------------------------------------------------------------------------------------- */

static bool liar(struct run *r)
{
    struct sim_node *l = &r->s.nodes[0];

    begin(r);
    for (int i = 0; i < 120; i++) {
        ROSTER_EACH(&l->g->view, m)
            if (m->rec->nid != l->nid)
                rumour_state(&l->g->rumours, i % 2 ? GOSSIP_SUSPECT : GOSSIP_DEAD, m->rec->nid,
                             i % 3 ? UINT64_MAX : m->rec->incarnation, l->nid);
        sim_run(&r->s, S);
    }
    sim_run(&r->s, 60 * S);
    FIGURES(r, "one accuses all for 120 s: false deaths %llu, view errors at the end %llu",
            (unsigned long long)r->s.false_deaths, (unsigned long long)sim_view_errors(&r->s));
    return sim_views_full(&r->s) && r->s.false_deaths == 0;
}

/* --- coming and going --------------------------------------------------------------------------- */

static bool join(struct run *r)
{
    int64_t began;
    bool full;
    uint64_t bytes;

    sim_start(&r->s, 0);
    began = r->s.now;
    for (uint32_t i = 1; i < r->n; i++) {
        sim_start(&r->s, i);
        sim_join(&r->s, i, 0);
        sim_run(&r->s, 10 * S / r->n);
    }
    full = sim_until(&r->s, 120 * S, 100 * MS, sim_views_full);
    bytes = gossip_stats(r->s.nodes[0].g)->frame_bytes_out;
    FIGURES(r, "all through one seed in 10 s: full views %.1f s after the first, false deaths %llu, "
            "%.1f MB of frames from the seed", seconds(r->s.now - began),
            (unsigned long long)r->s.false_deaths, (double)bytes / 1e6);
    return full && r->s.false_deaths == 0 && seconds(r->s.now - began) <= 60;
}

static bool restarts(struct run *r)
{
    int64_t began;
    bool full;

    begin(r);
    began = r->s.now;
    for (uint32_t i = 0; i < r->n; i++) {
        sim_crash(&r->s, i);
        sim_start(&r->s, i);
        sim_join(&r->s, i, (i + 1 + sim_chance(&r->s, r->n - 1)) % r->n);
        sim_run(&r->s, 10 * S / r->n);
    }
    full = sim_until(&r->s, 120 * S, 100 * MS, sim_views_full);
    FIGURES(r, "all restart within 10 s: full views %.1f s after the first",
            seconds(r->s.now - began));
    return full && seconds(r->s.now - began) <= 60;
}

static uint32_t left_seen;

static void watch_left(struct sim *s, struct sim_node *at, const struct member_event *ev)
{
    left_seen += ev->kind == MEMBER_EV_LEFT;
}

static bool leave(struct run *r)
{
    begin(r);
    left_seen = 0;
    r->s.watch = watch_left;
    gossip_leave(r->s.nodes[3].g, r->s.now);
    sim_run(&r->s, 2 * S);
    sim_crash(&r->s, 3);
    sim_run(&r->s, 5 * S);
    FIGURES(r, "%u of %u others saw it leave within 7 s", left_seen, r->n - 1);
    return left_seen == r->n - 1 && sim_views_full(&r->s);
}

/* 10 % of the nodes go without a word each minute and are back 2 s later as their next boot. */
static bool churn(struct run *r)
{
    double errors = 0;
    int samples = 0;

    begin(r);
    for (int t = 0; t < 600; t++) {
        uint32_t k = sim_chance(&r->s, 600) < r->n % 600 ? r->n / 600 + 1 : r->n / 600, i = 0;

        for (uint32_t j = 0; j < k; j++) {
            i = sim_chance(&r->s, r->n);
            sim_crash(&r->s, i);
            sim_run(&r->s, 2 * S / k);
            sim_start(&r->s, i);
            sim_join(&r->s, i, (i + 1 + sim_chance(&r->s, r->n - 1)) % r->n);
        }
        sim_run(&r->s, k > 0 ? 0 : S);
        errors += (double)sim_view_errors(&r->s) / r->n / r->n;
        samples++;
    }
    FIGURES(r, "10 %% a minute: view error %.3f %% on average, false deaths %llu",
            100 * errors / samples, (unsigned long long)r->s.false_deaths);
    return errors / samples < 0.005 && r->s.false_deaths == 0;
}

static bool notes(struct run *r)
{
    uint32_t have = 0;

    begin(r);
    gossip_set_note(r->s.nodes[1].g, r->s.now, (const uint8_t *)"zone=a", 6);
    sim_run(&r->s, 5 * S);
    gossip_set_note(r->s.nodes[1].g, r->s.now, (const uint8_t *)"zone=b", 6);
    sim_run(&r->s, 5 * S);
    sim_crash(&r->s, 2);
    sim_start(&r->s, 2);                /* knows no note; push/pull brings it */
    sim_join(&r->s, 2, 3);
    sim_run(&r->s, 5 * S);
    for (uint32_t i = 0; i < r->n; i++) {
        const struct note *note = gossip_note(r->s.nodes[i].g, r->s.nodes[1].nid);

        have += note != NULL && note->len == 6 && memcmp(note->meta, "zone=b", 6) == 0;
    }
    FIGURES(r, "%u of %u have the newest note", have, r->n);
    return have == r->n;
}

/* --- the list ------------------------------------------------------------------------------------ */

#define SMALL 1
static const struct scenario {
    const char *name;
    bool (*fn)(struct run *);
    uint32_t n;
    bool lan, small;
} scenarios[] = {
    { "crash", crash, 10, false, true },        { "crash", crash, 100, false, true },
    { "crash", crash, 1000, false, true },      { "crash", crash, 10000, false, false },
    { "crash", crash, 10, true, true },         { "crash", crash, 100, true, true },
    { "crash", crash, 1000, true, false },      { "crash", crash, 10000, true, false },
    { "quiet", quiet, 10, false, true },        { "quiet", quiet, 100, false, true },
    { "quiet", quiet, 1000, false, true },      { "quiet", quiet, 10000, false, false },
    { "loss5", loss5, 100, false, true },       { "loss5", loss5, 1000, false, false },
    { "loss5", loss5, 10000, false, false },
    { "loss20", loss20, 100, false, true },     { "loss20", loss20, 1000, false, false },
    { "duplicates", duplicates, 100, false, true },
    { "half", half, 10, false, true },          { "half", half, 100, false, true },
    { "half", half, 1000, false, false },       { "half", half, 5000, false, false },
    { "tenth", tenth, 100, false, true },       { "tenth", tenth, 1000, false, false },
    { "pauses", pauses, 128, false, true },     { "pauses", pauses, 1000, false, false },
    { "sick", sick, 100, false, true },         { "sick", sick, 1000, false, false },
    { "oneway", oneway, 100, false, true },     { "liar", liar, 100, false, true },
    { "join", join, 100, false, true },         { "join", join, 1000, false, false },
    { "restarts", restarts, 100, false, true }, { "restarts", restarts, 1000, false, false },
    { "leave", leave, 50, false, true },        { "churn", churn, 100, false, true },
    { "churn", churn, 1000, false, false },     { "notes", notes, 30, false, true },
};

static bool run_one(const struct scenario *sc, uint32_t n, bool lan, uint64_t seed, int number)
{
    struct run *r = mem_zalloc(sizeof(*r));
    struct timespec a, b;
    bool ok;

    clock_gettime(CLOCK_MONOTONIC, &a);
    r->n = n;
    r->lan = lan;
    sim_init(&r->s, n, seed);
    ok = sc->fn(r);
    clock_gettime(CLOCK_MONOTONIC, &b);
    printf("%sok %d - %s %u%s\n# %s %u seed %llu%s: %s\n# %.1f s, %llu events\n",
           ok ? "" : "not ", number, sc->name, n, lan ? " lan" : "", sc->name, n,
           (unsigned long long)seed, lan ? " lan" : "", r->figures,
           (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9,
           (unsigned long long)r->s.events);
    fflush(stdout);
    sim_fini(&r->s);
    mem_free(r);
    return ok;
}

static int run_list(bool all)
{
    int number = 0, failed = 0;

    for (size_t i = 0; i < ARRAY_LEN(scenarios); i++)
        if (all || scenarios[i].small)
            failed += !run_one(&scenarios[i], scenarios[i].n, scenarios[i].lan, 1, ++number);
    printf("1..%d\n", number);
    return failed != 0;
}

int main(int argc, char **argv)
{
    bool lan = argc > 2 && strcmp(argv[argc - 1], "lan") == 0;
    uint64_t seed = argc - lan > 3 ? strtoull(argv[3], NULL, 10) : 1;

    if (argc < 3)
        return run_list(argc == 2 && strcmp(argv[1], "all") == 0);
    for (size_t i = 0; i < ARRAY_LEN(scenarios); i++)
        if (strcmp(scenarios[i].name, argv[1]) == 0) {
            printf("1..1\n");
            return !run_one(&scenarios[i], (uint32_t)strtoul(argv[2], NULL, 10), lan, seed, 1);
        }
    fprintf(stderr, "no scenario %s\n", argv[1]);
    return 64;
}
