/* SPDX-License-Identifier: Apache-2.0 */
/*
 * place.c - spawn_distributed: choosing a node for a new process
 *
 *   random        any candidate
 *   round_robin   each in turn, from a place of chance
 *   least_loaded  the less busy of two of chance; what we have placed there in the last second
 *                 counts LOAD_PLACED each, so that many spawners do not all go to the same node
 *   local_first   here while our load is below LOAD_LOCAL, else as least_loaded
 *   {hash, Key}   the node with the largest hash of Key and its own number: every node chooses the
 *                 same, and when a node goes only its keys move
 *
 * Candidates are this node and those that are connected, or those of them that {nodes, List} names.
 * A node that refuses is followed by the next, TRIES in all; a lost connection is reported, since
 * the process may have run.
 */
#include "dist/place.h"

#include "base/alloc.h"
#include "auth/secret.h"
#include "base/clock.h"
#include "dist/dist_priv.h"
#include "dist/membership.h"
#include "heap/etf.h"
#include "term/atom.h"
#include "term/compare.h"
#include "vm/bif.h"
#include "vm/code.h"
#include "vm/process_priv.h"
#include "vm/sched.h"

#include <string.h>
#include <sys/resource.h>

#define TRIES           3
#define LOAD_PLACED     200             /* 2 % */
#define LOAD_LOCAL      7000
#define LOAD_UNKNOWN    5000            /* of who has not told for LOAD_STALE_NS */
#define LOAD_STALE_NS   ((int64_t)5 * 1000000000)
#define PLACED_NS       ((int64_t)1000000000)
#define CANDIDATES_MAX  1024

/* --- our own load ------------------------------------------------------------------------------------- */

static pthread_mutex_t load_lock = PTHREAD_MUTEX_INITIALIZER;
static int64_t sampled_ns, sampled_cpu_ns;      /* [lk load_lock] */
static _Atomic uint32_t load;                   /* [any] */
static _Atomic int64_t load_due_ns;             /* [any] */

static int64_t cpu_ns(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return ((int64_t)u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000000 +
           ((int64_t)u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1000;
}

static void load_sample(int64_t now)
{
    int64_t cpu = cpu_ns(), span = now - sampled_ns;
    uint64_t busy = 0, table;

    if (sampled_ns != 0 && span > 0)
        busy = (uint64_t)((cpu - sampled_cpu_ns) * (LOAD_MAX / 100) / (span / 100 + 1)) / sched_count();
    sampled_ns = now;
    sampled_cpu_ns = cpu;
    if (busy > LOAD_MAX)
        busy = LOAD_MAX;
    busy = (busy + atomic_load_explicit(&load, memory_order_relaxed)) / 2;      /* about a second */
    table = (uint64_t)process_count() * LOAD_MAX / process_table_max();
    atomic_store_explicit(&load, (uint32_t)(busy > table ? busy : table), memory_order_relaxed);
}

uint32_t load_now(void)
{
    int64_t now = clock_monotonic_ns();

    if (now >= atomic_load_explicit(&load_due_ns, memory_order_relaxed) &&
        pthread_mutex_trylock(&load_lock) == 0) {
        atomic_store_explicit(&load_due_ns, now + LOAD_EVERY_NS, memory_order_relaxed);
        load_sample(now);
        pthread_mutex_unlock(&load_lock);
    }
    return atomic_load_explicit(&load, memory_order_relaxed);
}

/* --- candidates ------------------------------------------------------------------------------------------- */

struct candidate { term node; uint64_t nid; uint32_t load; peer_id peer; };

struct candidates { struct candidate at[CANDIDATES_MAX]; unsigned n; int64_t now_ns; };

/* Our own placements of the last moment, by peer (folded: a wrong guess only shifts a choice). */
static struct { _Atomic int64_t since_ns; _Atomic uint32_t n; } placed[256];

static uint32_t placed_load(peer_id peer, int64_t now)
{
    unsigned i = peer & 255;

    if (now - atomic_load_explicit(&placed[i].since_ns, memory_order_relaxed) > PLACED_NS)
        return 0;
    return LOAD_PLACED * atomic_load_explicit(&placed[i].n, memory_order_relaxed);
}

static void placed_add(peer_id peer, int64_t now)
{
    unsigned i = peer & 255;

    if (now - atomic_load_explicit(&placed[i].since_ns, memory_order_relaxed) > PLACED_NS) {
        atomic_store_explicit(&placed[i].since_ns, now, memory_order_relaxed);
        atomic_store_explicit(&placed[i].n, 0, memory_order_relaxed);
    }
    atomic_fetch_add_explicit(&placed[i].n, 1, memory_order_relaxed);
}

static bool add_peer(void *arg, const struct peer_info *p)
{
    struct candidates *c = arg;
    struct candidate *k = &c->at[c->n];

    if (p->state != PEER_UP || p->hidden || p->degraded)
        return true;
    k->node = atom_from_utf8(p->name, strlen(p->name));
    k->nid = p->nid;
    k->peer = p->id;
    k->load = c->now_ns - p->load_at_ns > LOAD_STALE_NS ? LOAD_UNKNOWN : p->load;
    k->load += placed_load(p->id, c->now_ns);
    return ++c->n < CANDIDATES_MAX;
}

static bool is_member(term list, term node)
{
    for (; is_cons(list); list = cdr(list)) {
        if (car(list) == node)
            return true;
    }
    return false;
}

/* nodes: a list, or TERM_NONE for all. */
static void candidates_find(struct candidates *c, term nodes)
{
    unsigned n = 0;

    c->now_ns = clock_monotonic_ns();
    c->at[0] = (struct candidate){ etf_env.local_node, peer_self.nid,
                                   load_now() + placed_load(0, c->now_ns), 0 };
    c->n = 1;
    peer_visit(add_peer, c);
    if (nodes == TERM_NONE)
        return;
    for (unsigned i = 0; i < c->n; i++) {
        if (is_member(nodes, c->at[i].node))
            c->at[n++] = c->at[i];
    }
    c->n = n;
}

/* --- strategies --------------------------------------------------------------------------------------------- */

static uint64_t mix(uint64_t x)
{
    x ^= x >> 30;
    x *= 0xBF58476D1CE4E5B9u;
    x ^= x >> 27;
    x *= 0x94D049BB133111EBu;
    return x ^ x >> 31;
}

/* Chance enough to spread processes; no secret. */
static uint64_t chance(void)
{
    static _Thread_local uint64_t state;

    if (state == 0)
        random_bytes(&state, sizeof state);
    return mix(state += 0x9E3779B97F4A7C15u);
}

static unsigned of_chance(const struct candidates *c)
{
    return (unsigned)(chance() % c->n);
}

static unsigned least_loaded(const struct candidates *c)
{
    unsigned a = of_chance(c), b = of_chance(c);

    return c->at[b].load < c->at[a].load ? b : a;
}

static unsigned by_hash(const struct candidates *c, term key)
{
    uint64_t h = mix((uint64_t)term_phash2(key) + 1), best = 0;
    unsigned at = 0;

    for (unsigned i = 0; i < c->n; i++) {
        uint64_t v = mix(h ^ mix(c->at[i].nid + 0x9E3779B97F4A7C15u));

        if (i == 0 || v > best) {
            best = v;
            at = i;
        }
    }
    return at;
}

static unsigned local_first(const struct candidates *c)
{
    for (unsigned i = 0; i < c->n; i++) {
        if (c->at[i].peer == 0 && c->at[i].load < LOAD_LOCAL)
            return i;
    }
    return least_loaded(c);
}

static unsigned in_turn(const struct candidates *c)
{
    static _Atomic uint64_t turn;
    uint64_t zero = 0;

    if (atomic_load_explicit(&turn, memory_order_relaxed) == 0)
        atomic_compare_exchange_strong_explicit(&turn, &zero, (chance() >> 1) + 1,
                                                memory_order_relaxed, memory_order_relaxed);
    return (unsigned)(atomic_fetch_add_explicit(&turn, 1, memory_order_relaxed) % c->n);
}

/* False: no such strategy. */
static bool choose(const struct candidates *c, term strategy, unsigned *ret)
{
    if (is_tuple_n(strategy, 2) && tuple_elem(strategy, 0) == ATOM_hash)
        *ret = by_hash(c, tuple_elem(strategy, 1));
    else if (strategy == ATOM_random)
        *ret = of_chance(c);
    else if (strategy == ATOM_round_robin)
        *ret = in_turn(c);
    else if (strategy == ATOM_least_loaded)
        *ret = least_loaded(c);
    else if (strategy == ATOM_local_first)
        *ret = local_first(c);
    else
        return false;
    return true;
}

/* rnode_place:nodes(Strategy, all | Nodes) -> up to TRIES nodes, best first */
static term bif_place_nodes(struct process *p, const term *a)
{
    struct candidates *c;
    term picked[TRIES], list = TERM_NIL, strategy = a[0];
    unsigned n = 0, at;
    bool ok = a[1] == ATOM_all || list_length(a[1]) >= 0;

    if (!ok)
        return bif_badarg(p);
    c = mem_alloc(sizeof *c);
    candidates_find(c, a[1] == ATOM_all ? TERM_NONE : a[1]);
    while (n < TRIES && c->n > 0 && (ok = choose(c, strategy, &at))) {
        if (n == 0)
            placed_add(c->at[at].peer, c->now_ns);
        picked[n++] = c->at[at].node;
        c->at[at] = c->at[--c->n];
        if (strategy == ATOM_round_robin)
            strategy = ATOM_random;         /* who comes second has not had its turn */
    }
    mem_free(c);
    if (!ok)
        return bif_badarg(p);
    while (n > 0)
        list = heap_cons(&p->heap, picked[--n], list);
    return list;
}

static term bif_place_load(struct process *p, const term *a)
{
    return small_make(load_now());
}

/* --- spawn_distributed --------------------------------------------------------------------------------------- */

/* Fun, Options -> {ok, Pid} | {ok, {Pid, Ref}} | {error, Reason}. Options: {strategy, S}, {nodes, L},
 * and those of spawn_request. */
static const char code_text[] =
    "module rnode_place\n"
    "export spawn/3 try_next/4\n"

    /* Fun, Nodes, SpawnOptions */
    "function spawn/3\n"
    "    move no_candidate x3\n"
    "    call_only 4 try_next/4\n"

    /* Fun, Nodes, SpawnOptions, Why */
    "function try_next/4\n"
    "    is_nonempty_list @empty x1\n"
    "    allocate 4 4\n"
    "    move x0 y0\n"
    "    get_list x1 x4 y1\n"
    "    move x2 y2\n"
    "    init_yregs [y3]\n"
    "    test_heap 4 5\n"
    "    put_list [] [] x3\n"
    "    put_list x0 x3 x3\n"
    "    move x2 x5\n"
    "    move x4 x0\n"
    "    move erlang x1\n"
    "    move apply x2\n"
    "    move x5 x4\n"
    "    line\n"
    "    call_ext 5 erlang:spawn_request/5\n"
    "    move x0 y3\n"
    "  next:\n"
    "    loop_rec @idle x0\n"
    "    is_tuple @other x0\n"
    "    test_arity @other x0 4\n"
    "    get_tuple_element x0 0 x1\n"
    "    get_tuple_element x0 1 x2\n"
    "    is_eq_exact @other x1 spawn_reply\n"
    "    is_eq_exact @other x2 y3\n"
    "    get_tuple_element x0 2 x1\n"
    "    get_tuple_element x0 3 x2\n"
    "    remove_message\n"
    "    is_eq_exact @failed x1 ok\n"
    "    move x2 x0\n"
    "    move y3 x1\n"
    "    move y2 x2\n"
    "    line\n"
    "    call_ext_last 3 rnode_place:started/3 4\n"
    "  failed:\n"
    "    is_ne_exact @lost x2 noconnection\n"
    "    move x2 x3\n"
    "    move y0 x0\n"
    "    move y1 x1\n"
    "    move y2 x2\n"
    "    call_last 4 try_next/4 4\n"
    "  lost:\n"
    "    move {error, noconnection} x0\n"
    "    deallocate 4\n"
    "    return\n"
    "  other:\n"
    "    loop_rec_end @next\n"
    "  idle:\n"
    "    wait @next\n"
    "  empty:\n"
    "    test_heap 3 4\n"
    "    put_tuple2 x0 [error x3]\n"
    "    return\n";

/* Pid, Ref, SpawnOptions */
static term bif_place_started(struct process *p, const term *a)
{
    term o = a[2], what = a[0];

    for (; is_cons(o); o = cdr(o)) {
        if (car(o) == ATOM_monitor ||
            (is_tuple_n(car(o), 2) && tuple_elem(car(o), 0) == ATOM_monitor))
            what = heap_tuple2(&p->heap, a[0], a[1]);
    }
    return heap_tuple2(&p->heap, ATOM_ok, what);
}

static term bif_spawn_distributed(struct process *p, const term *a)
{
    term where[2] = { ATOM_least_loaded, ATOM_all }, args[3] = { a[0] }, o = a[1];

    args[2] = TERM_NIL;
    if (!is_fun(a[0]) || fun_arity(a[0]) != 0)
        return bif_badarg(p);
    for (; is_cons(o); o = cdr(o)) {
        bool pair = is_tuple_n(car(o), 2);

        if (pair && tuple_elem(car(o), 0) == ATOM_strategy)
            where[0] = tuple_elem(car(o), 1);
        else if (pair && tuple_elem(car(o), 0) == ATOM_nodes)
            where[1] = tuple_elem(car(o), 1);
        else
            args[2] = heap_cons(&p->heap, car(o), args[2]);
    }
    args[1] = is_nil(o) ? bif_place_nodes(p, where) : bif_badarg(p);
    if (args[1] == TERM_NONE)
        return TERM_NONE;
    return bif_trap(p, export_get(atom_from_cstr("rnode_place"), ATOM_spawn, 3), 3, args);
}

/* --- starting ------------------------------------------------------------------------------------------------- */

/* A number that moves only when every scheduler has moved, or slept, since it did. */
static uint64_t progress_now(void)
{
    static pthread_mutex_t progress_lock = PTHREAD_MUTEX_INITIALIZER;
    static uint64_t progress = 1, *seen;    /* [lk progress_lock] seen: turns of each, when it moved */
    static bool *moved;                     /* [lk progress_lock] since then */
    bool all = true;
    uint64_t now;

    pthread_mutex_lock(&progress_lock);
    if (seen == NULL) {
        seen = MEM_NEW_ARRAY(uint64_t, sched_count());
        moved = MEM_NEW_ARRAY(bool, sched_count());
    }
    for (unsigned i = 0; i < sched_count(); i++) {
        bool asleep;

        moved[i] |= sched_turns(i, &asleep) != seen[i] || asleep;
        all &= moved[i];
    }
    for (unsigned i = 0; all && i < sched_count(); i++) {
        bool asleep;

        seen[i] = sched_turns(i, &asleep);
        moved[i] = false;
    }
    now = progress += all;
    pthread_mutex_unlock(&progress_lock);
    return now;
}

static void vital(struct peer_vital *ret)
{
    struct cluster *cluster = membership_cluster();

    *ret = (struct peer_vital){ .load = load_now(), .progress = progress_now() };
    if (cluster != NULL) {
        ret->member_digest = cluster_digest(cluster);
        ret->health = cluster_health(cluster);
    }
}

void place_init(void)
{
    static const struct bif table[] = {
        { "rnode_place", "nodes", 2, BIF_PLAIN, bif_place_nodes },
        { "rnode_place", "load", 0, BIF_PLAIN, bif_place_load },
        { "rnode_place", "started", 3, BIF_PLAIN, bif_place_started },
        { "rnode_place", "spawn_distributed", 2, BIF_PLAIN, bif_spawn_distributed },
    };

    bif_register(table, ARRAY_LEN(table));
    peer_vital_hook = vital;
}

void place_start(void)
{
    struct load_error why;
    struct prepared *prepared;
    term busy;
    int rc = code_prepare_text(code_text, sizeof code_text - 1, "rnode_place",
                               atom_from_cstr("rnode_place"), &prepared, &why);

    if (rc == 0)
        rc = code_commit(&prepared, 1, &busy);
    ASSERT(rc == 0);
}
