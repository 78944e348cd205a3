/* SPDX-License-Identifier: Apache-2.0 */
/*
 * t_signals.c - links, monitors, messages and spawns through sessions, and what must hold of them
 *
 * Two peers, x and y, are both this process (peer_fake_start): a signal for node x comes in as from
 * y. Processes are C functions on the engine of tests/unit/vm. The last test is the checker: actors
 * that link, monitor, send and die by chance while sessions are lost, with a ledger each:
 *
 *   order     messages of one sender arrive in rising order, none twice          G1 G2
 *   one end   a monitor ends in one DOWN or a demonitor, never both              G5
 *   one exit  an exit signal comes through a link that stands, once              G5
 *   no rest   when all others are gone no link or monitor is left open           G5
 *
 * Arguments: seconds of the checker, seed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../vm/fake_engine.h"

#include "base/clock.h"
#include "base/epoch.h"
#include "base/slab.h"
#include "dist/dist_priv.h"
#include "heap/etf.h"
#include "heap/external.h"
#include "term/print.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CREATION_X 11
#define CREATION_Y 12

static peer_id x, y;
static _Atomic long done, counted, wrong;
static uint64_t seed;

static void wait_for(_Atomic long *at, long n)
{
    for (int i = 0; i < 30000 && atomic_load(at) < n; i++)
        usleep(1000);
    assert_int_equal(atomic_load(at), n);
}

static term spawn_root(step_fn *fn, term arg)
{
    term pid;

    epoch_enter();
    pid = spawn_step(NULL, fn, arg, NULL, NULL);
    epoch_leave();
    return pid;
}

static void wait_all_gone(void)
{
    for (int i = 0; i < 20000 && process_count() > 0; i++)
        usleep(1000);
    assert_int_equal(process_count(), 0);
}

static term node_x(void) { return atom_from_cstr("x@test"); }
static term node_y(void) { return atom_from_cstr("y@test"); }

/* The local process pid, as seen from outside through node x or y. */
static term outside(struct heap *h, term pid, bool via_y)
{
    return external_pid(h, via_y ? node_y() : node_x(), via_y ? CREATION_Y : CREATION_X,
                        pid_slot(pid), pid_serial(pid));
}

static void mistake(const char *what)
{
    fprintf(stderr, "# seed %llu: %s\n", (unsigned long long)seed, what);
    atomic_fetch_add(&wrong, 1);
}

#define CHECK(cond) ((cond) ? (void)0 : mistake(#cond))

static bool once(struct process *p)
{
    if (pdict_get(p, ATOM_ok) != ATOM_undefined)
        return false;
    pdict_put(p, ATOM_ok, ATOM_true);
    return true;
}

/* --- messages ------------------------------------------------------------------------------------------- */

#define MESSAGES 20000

/* Counts {N, Sender, Binary} in order; the sender must be the pid as it is here. */
static enum engine_result counter(struct process *p)
{
    term m, next = pdict_get(p, ATOM_true);

    while (mailbox_peek(p, &m)) {
        if (next == ATOM_undefined)
            next = small_make(0);
        if (tuple_elem(m, 0) != next) {
            fprintf(stderr, "# message %ld instead of %ld\n", (long)small_val(tuple_elem(m, 0)),
                    (long)small_val(next));
            mistake("out of order");
        }
        CHECK(is_local_pid(tuple_elem(m, 1)));
        CHECK(is_binary(tuple_elem(m, 2)));
        next = small_make(small_val(next) + 1);
        pdict_put(p, ATOM_true, next);
        mailbox_remove(p);
        charge(p, 2);
        if (next == small_make(MESSAGES)) {
            atomic_fetch_add(&done, 1);
            return ENGINE_EXIT;
        }
        if (p->sched->fcalls <= 0)
            return ENGINE_YIELD;
        if (p->heap.collect_soon && !process_collect(p, 0, 0, 0))
            return ENGINE_EXIT;
    }
    return step_wait(p);
}

/* Argument [Pid | N]: sends on from N. */
static enum engine_result sender(struct process *p)
{
    term args = p->trap_fun;
    long n = small_val(cdr(args));
    term to = outside(&p->heap, car(args), false);

    for (; n < MESSAGES; n++) {
        static const char big[20000];
        term bin = heap_binary(&p->heap, big, n % 1000 == 7 ? sizeof big : (size_t)n % 30);
        term msg = heap_tuple3(&p->heap, small_make(n), p->pid, bin);
        enum remote_sent sent = remote_send(p, to, msg, 0);

        CHECK(sent == REMOTE_OK || sent == REMOTE_BUSY);
        if (p->sched->fcalls <= 0) {
            p->trap_fun = heap_cons(&p->heap, car(args), small_make(n + 1));
            if (p->heap.collect_soon && !process_collect(p, 0, 0, 0))
                return ENGINE_EXIT;
            return ENGINE_YIELD;
        }
    }
    return ENGINE_EXIT;
}

static void test_messages(void **state)
{
    struct heap bag;

    (void)state;
    atomic_store(&done, 0);
    heap_bag_init(&bag);
    for (int i = 0; i < 3; i++)
        spawn_root(sender, heap_cons(&bag, spawn_root(counter, TERM_NIL), small_make(0)));
    heap_fini(&bag);
    wait_for(&done, 3);
    wait_all_gone();
    assert_int_equal(atomic_load(&wrong), 0);
}

/* --- names and aliases -------------------------------------------------------------------------------------- */

/* Gets {ByName}, then {Alias}; then its alias is used up. */
static enum engine_result addressed(struct process *p)
{
    term m;

    if (once(p)) {
        uint32_t words[REF_WORDS_MAX];
        term alias = alias_make(p, true), there;
        unsigned n = ref_words(alias, words);

        there = external_ref(&p->heap, node_x(), CREATION_X, words, n);
        CHECK(registry_add(atom_from_cstr("somebody"), p->pid));
        CHECK(remote_send(p, heap_tuple2(&p->heap, atom_from_cstr("somebody"), node_x()),
                          small_make(1), 0) == REMOTE_OK);
        CHECK(remote_send(p, there, small_make(2), 0) == REMOTE_OK);
        CHECK(remote_send(p, there, small_make(3), 0) == REMOTE_OK);
        CHECK(remote_send(p, heap_tuple2(&p->heap, atom_from_cstr("nobody"), node_x()),
                          small_make(4), 0) == REMOTE_OK);
        CHECK(remote_send(p, heap_tuple2(&p->heap, atom_from_cstr("somebody"), node_x()),
                          small_make(5), 0) == REMOTE_OK);
    }
    while (mailbox_peek(p, &m)) {
        static const long expect[] = { 1, 2, 5 };

        CHECK(m == small_make(expect[atomic_fetch_add(&counted, 1)]));
        mailbox_remove(p);
        if (m == small_make(5)) {
            atomic_fetch_add(&done, 1);
            return ENGINE_EXIT;
        }
    }
    return step_wait(p);
}

static void test_addresses(void **state)
{
    (void)state;
    atomic_store(&done, 0);
    atomic_store(&counted, 0);
    spawn_root(addressed, TERM_NIL);
    wait_for(&done, 1);
    wait_all_gone();
    assert_int_equal(atomic_load(&wrong), 0);
}

/* --- links and monitors ---------------------------------------------------------------------------------------- */

/* Ends with the first message as its reason. */
static enum engine_result victim(struct process *p)
{
    term m;

    if (!mailbox_peek(p, &m))
        return step_wait(p);
    mailbox_remove(p);
    p->exit_reason = m;
    return ENGINE_EXIT;
}

/* Argument: a local pid. Monitors it three ways and links, tells it to end, counts the ends. */
static enum engine_result watcher(struct process *p)
{
    struct monitor_options opt = { ALIAS_NONE, ATOM_DOWN };
    term there = outside(&p->heap, p->trap_fun, false), m, gone;

    if (once(p)) {
        p->trap_exit = true;
        CHECK(registry_add(atom_from_cstr("victim"), p->trap_fun));
        remote_monitor(p, there, &opt);
        remote_monitor(p, heap_tuple2(&p->heap, atom_from_cstr("victim"), node_x()), &opt);
        gone = remote_monitor(p, there, &opt);
        CHECK(monitor_remove(p, gone));
        CHECK(!monitor_remove(p, gone));
        CHECK(is_nil(remote_link(p, there)));
        CHECK(is_nil(remote_link(p, there)));
        remote_send(p, there, heap_tuple2(&p->heap, ATOM_error, small_make(42)), 0);
    }
    while (atomic_load(&counted) < 3 && mailbox_peek(p, &m)) {
        bool down = is_tuple_n(m, 5);
        term reason = tuple_elem(m, down ? 4 : 2), who = tuple_elem(m, down ? 3 : 1);

        CHECK(is_tuple_n(reason, 2) && tuple_elem(reason, 1) == small_make(42));
        CHECK(is_tuple_n(who, 2) ? tuple_elem(who, 1) == node_x() : box_is(who, HK_EXT_PID));
        mailbox_remove(p);
        if (atomic_fetch_add(&counted, 1) == 2) {
            /* Whoever is dead by now says so at once. */
            CHECK(is_nil(remote_link(p, there)));
            remote_monitor(p, there, &opt);
        }
    }
    if (atomic_load(&counted) < 3)
        return step_wait(p);
    while (mailbox_peek(p, &m)) {
        CHECK(tuple_elem(m, is_tuple_n(m, 5) ? 4 : 2) == ATOM_noproc);
        mailbox_remove(p);
        if (atomic_fetch_add(&counted, 1) == 4) {
            atomic_fetch_add(&done, 1);
            return ENGINE_EXIT;
        }
    }
    return step_wait(p);
}

static void test_ends(void **state)
{
    (void)state;
    atomic_store(&done, 0);
    atomic_store(&counted, 0);
    spawn_root(watcher, spawn_root(victim, TERM_NIL));
    wait_for(&done, 1);
    wait_all_gone();
    assert_int_equal(atomic_load(&wrong), 0);
}

#define RELATIONS 700       /* more than one slice of SESSION_DOWN */

/* Argument: a local pid that lives on. Every relation ends once when the session does. */
static enum engine_result cut_off(struct process *p)
{
    struct monitor_options opt = { ALIAS_NONE, ATOM_DOWN };
    term there = outside(&p->heap, p->trap_fun, true), m;

    if (once(p)) {
        p->trap_exit = true;
        CHECK(is_nil(remote_link(p, there)));
        for (int i = 1; i < RELATIONS; i++)
            remote_monitor(p, there, &opt);
        atomic_fetch_add(&done, 1);
    }
    while (mailbox_peek(p, &m)) {
        CHECK(tuple_elem(m, is_tuple_n(m, 5) ? 4 : 2) == ATOM_noconnection);
        mailbox_remove(p);
        if (atomic_fetch_add(&counted, 1) == RELATIONS - 1)
            return ENGINE_EXIT;
    }
    return step_wait(p);
}

static void test_session_lost(void **state)
{
    term pid = spawn_root(victim, TERM_NIL);

    (void)state;
    atomic_store(&done, 0);
    atomic_store(&counted, 0);
    spawn_root(cut_off, pid);
    wait_for(&done, 1);
    peer_fake_cut();
    wait_for(&counted, RELATIONS);
    epoch_enter();
    process_send(NULL, pid, ATOM_normal);
    epoch_leave();
    wait_all_gone();
    assert_int_equal(atomic_load(&wrong), 0);
}

/* --- another life of the node --------------------------------------------------------------------------------- */

static enum engine_result old_life(struct process *p)
{
    struct monitor_options opt = { ALIAS_NONE, ATOM_DOWN };
    term old = external_pid(&p->heap, node_x(), CREATION_X - 1, pid_slot(p->pid), pid_serial(p->pid));
    term m;

    if (once(p)) {
        CHECK(remote_send(p, old, small_make(1), 0) == REMOTE_OK);
        if (p->trap_fun == ATOM_true)
            CHECK(remote_link(p, old) == ATOM_noproc);
        remote_monitor(p, old, &opt);
    }
    while (mailbox_peek(p, &m)) {
        /* While nothing is known of the node its session has to be tried, and is given up. */
        CHECK(is_tuple_n(m, 5) &&
              (tuple_elem(m, 4) == ATOM_noproc ||
               (p->trap_fun == ATOM_false && tuple_elem(m, 4) == ATOM_noconnection)));
        mailbox_remove(p);
        atomic_fetch_add(&done, 1);
        return ENGINE_EXIT;
    }
    return step_wait(p);
}

static enum peer_state state_of(peer_id id)
{
    struct peer_info info;

    assert_true(peer_info(id, &info));
    return info.state;
}

static void wait_for_down(void)
{
    for (int i = 0; i < 5000 && state_of(x) != PEER_IDLE; i++)
        usleep(1000);
    assert_int_equal(state_of(x), PEER_IDLE);
}

static void wait_for_up(void)
{
    for (int i = 0; i < 5000 && state_of(x) != PEER_UP; i++) {
        (void)peer_connect(x);
        usleep(1000);
    }
    assert_int_equal(state_of(x), PEER_UP);
}

static void test_old_life(void **state)
{
    (void)state;
    atomic_store(&done, 0);
    peer_fake_cut();
    wait_for_down();
    spawn_root(old_life, ATOM_false);
    wait_for(&done, 1);
    wait_for_up();
    spawn_root(old_life, ATOM_true);
    wait_for(&done, 2);
    wait_all_gone();
    assert_int_equal(atomic_load(&wrong), 0);
}

/* --- the checker ------------------------------------------------------------------------------------------------- */

#define ACTORS 24
#define OPEN_MAX 64

struct open { term ref, peer; bool via_y; unsigned target; };

/* One actor's ledger: written by its process alone. */
struct actor {
    unsigned index;
    uint64_t rng;
    term     pid;
    uint64_t sent[ACTORS][2];           /* sequence numbers given, by target and way */
    uint64_t got[ACTORS];               /* last of each life of a sender, see life */
    term     life[ACTORS];
    struct open monitors[OPEN_MAX], links[OPEN_MAX];
    unsigned n_monitors, n_links;
    bool     last;                      /* no new relations: wait for the ends */
};

static struct actor *_Atomic actor_of[ACTORS];
static _Atomic term pid_of[ACTORS];
static _Atomic bool stopping;
static _Atomic long ops, downs, exits, deaths;

/* Every pid that an actor ever had. */
static struct { _Atomic term pid; unsigned index; } lives[1 << 16];
static _Atomic unsigned lives_n;

static unsigned index_of(term pid)
{
    for (unsigned i = atomic_load(&lives_n); i-- > 0; ) {
        if (atomic_load(&lives[i].pid) == pid)
            return lives[i].index;
    }
    return ACTORS;
}

static uint64_t chance(struct actor *a, uint64_t n)
{
    a->rng ^= a->rng << 13;
    a->rng ^= a->rng >> 7;
    a->rng ^= a->rng << 17;
    return a->rng % n;
}

/* A monitor or link of a to target, which has a larger index: so the ends come in order. */
static void add_relation(struct process *p, struct actor *a, bool link)
{
    struct monitor_options opt = { ALIAS_NONE, ATOM_DOWN };
    struct open *list = link ? a->links : a->monitors;
    unsigned *n = link ? &a->n_links : &a->n_monitors;
    unsigned target = a->index + 1 + (unsigned)chance(a, ACTORS - a->index - 1);
    bool via_y = chance(a, 2);
    term local = atomic_load(&pid_of[target]), there = outside(&p->heap, local, via_y), ref;

    if (*n == OPEN_MAX)
        return;
    if (!link) {
        ref = remote_monitor(p, there, &opt);
        list[(*n)++] = (struct open){ ref, local, via_y, target };
        return;
    }
    for (unsigned i = 0; i < *n; i++) {
        if (list[i].peer == local && list[i].via_y == via_y)
            return;
    }
    if (!signals_handle(p))
        return;
    if (is_nil(remote_link(p, there)))
        list[(*n)++] = (struct open){ TERM_NONE, local, via_y, target };
}

static void drop_relation(struct process *p, struct actor *a, bool link)
{
    unsigned *n = link ? &a->n_links : &a->n_monitors, i;
    struct open *list = link ? a->links : a->monitors;

    if (*n == 0)
        return;
    i = (unsigned)chance(a, *n);
    if (link) {
        if (!signals_handle(p))
            return;
        remote_unlink(p, outside(&p->heap, list[i].peer, list[i].via_y));
        list[i].ref = ATOM_undefined;      /* an exit that was there before may still be read */
    } else if (monitor_remove(p, list[i].ref)) {
        list[i] = list[--*n];
    }
}

static void send_one(struct process *p, struct actor *a)
{
    unsigned target = (unsigned)chance(a, ACTORS);
    bool via_y = chance(a, 2);
    term local = atomic_load(&pid_of[target]), msg;

    /* One way for each pair, or the ways overtake each other. */
    via_y = (a->index + target) & 1;
    msg = heap_tuple4(&p->heap, ATOM_messages, small_make(a->index), p->pid,
                      small_make((int64_t)++a->sent[target][via_y]));
    (void)remote_send(p, outside(&p->heap, local, via_y), msg, 0);
}

static void got_message(struct actor *a, term m)
{
    unsigned from = (unsigned)small_val(tuple_elem(m, 1));
    uint64_t seq = (uint64_t)small_val(tuple_elem(m, 3));

    if (a->life[from] != tuple_elem(m, 2)) {
        a->life[from] = tuple_elem(m, 2);
        a->got[from] = 0;
    }
    if (seq <= a->got[from]) {
        fprintf(stderr, "# %u got number %llu of actor %u after %llu, session %llu\n", a->index,
                (unsigned long long)seq, from, (unsigned long long)a->got[from],
                (unsigned long long)session_number(peer_session((a->index + from) & 1 ? y : x)));
        mistake("a message out of order, or twice");
    }
    a->got[from] = seq;
}

static void got_down(struct actor *a, term m)
{
    for (unsigned i = 0; i < a->n_monitors; i++) {
        if (a->monitors[i].ref == tuple_elem(m, 1)) {
            a->monitors[i] = a->monitors[--a->n_monitors];
            atomic_fetch_add(&downs, 1);
            return;
        }
    }
    mistake("a DOWN for a monitor that has ended or never was");
}

static void got_exit(struct actor *a, term m)
{
    term who = tuple_elem(m, 1);

    atomic_fetch_add(&exits, 1);
    if (!box_is(who, HK_EXT_PID)) {
        mistake("an EXIT from nowhere");
        return;
    }
    for (unsigned i = 0; i < a->n_links; i++) {
        term peer = a->links[i].peer;

        if (pid_slot(peer) == pid_number(who) && pid_serial(peer) == pid_serial_number(who) &&
            (id_node(who)->name == node_y()) == a->links[i].via_y) {
            a->links[i] = a->links[--a->n_links];
            return;
        }
    }
    /* Else somebody of a smaller index had linked to us: that is in its ledger. */
    if (index_of(pid_make(pid_number(who), pid_serial_number(who))) >= a->index) {
        struct buf text = { 0 };

        term_print(&text, m, 0, 200);
        fprintf(stderr, "# %u got %s from actor %u\n", a->index, buf_cstr(&text),
                index_of(pid_make(pid_number(who), pid_serial_number(who))));
        buf_fini(&text);
        mistake("an EXIT without a link");
    }
}

static bool read_all(struct process *p, struct actor *a)
{
    term m;

    while (mailbox_peek(p, &m)) {
        if (is_tuple_n(m, 5))
            got_down(a, m);
        else if (is_tuple_n(m, 3))
            got_exit(a, m);
        else if (is_tuple_n(m, 4))
            got_message(a, m);
        else if (m == ATOM_normal)
            a->last = true;
        mailbox_remove(p);
        charge(p, 1);
    }
    return p->exit_reason == TERM_NONE;
}

/* Links that were undone, or whose peer can no longer tell, are closed. */
static void forget_unlinked(struct actor *a)
{
    for (unsigned i = 0; i < a->n_links; ) {
        if (a->links[i].ref == ATOM_undefined)
            a->links[i] = a->links[--a->n_links];
        else
            i++;
    }
}

static void act(struct process *p, struct actor *a)
{
    bool can = a->index + 1 < ACTORS;

    atomic_fetch_add(&ops, 1);
    switch (chance(a, 8)) {
    case 0:  if (can) add_relation(p, a, true); break;
    case 1:  if (can) add_relation(p, a, false); break;
    case 2:  drop_relation(p, a, true); break;
    case 3:  drop_relation(p, a, false); break;
    default: send_one(p, a); break;
    }
}

static enum engine_result actor(struct process *p)
{
    struct actor *a = (struct actor *)(uintptr_t)(small_val(p->trap_fun));

    if (once(p)) {
        unsigned n = atomic_fetch_add(&lives_n, 1);

        p->trap_exit = true;
        a->pid = p->pid;
        lives[n].index = a->index;
        atomic_store(&lives[n].pid, p->pid);
    }
    if (!read_all(p, a))
        return ENGINE_EXIT;
    forget_unlinked(a);
    if (a->last) {
        if (a->n_monitors != 0 || a->n_links != 0)
            return step_wait(p);
        atomic_fetch_add(&done, 1);
        p->exit_reason = ATOM_normal;
        return ENGINE_EXIT;
    }
    for (int i = 0; i < 20 && p->exit_reason == TERM_NONE; i++)
        act(p, a);
    if (chance(a, 200) == 0 && !atomic_load(&stopping)) {
        p->exit_reason = heap_tuple2(&p->heap, ATOM_error, small_make(a->index));
        atomic_fetch_add(&deaths, 1);
        return ENGINE_EXIT;
    }
    if (p->heap.collect_soon && !process_collect(p, 0, 0, 0))
        return ENGINE_EXIT;
    charge(p, 4000);
    return ENGINE_YIELD;
}

static void actor_start(unsigned i, uint64_t rng)
{
    struct actor *a = calloc(1, sizeof *a);

    a->index = i;
    a->rng = rng | 1;
    free(atomic_exchange(&actor_of[i], a));
    atomic_store(&pid_of[i], spawn_root(actor, small_make((int64_t)(uintptr_t)a)));
}

static bool is_alive(unsigned i)
{
    bool alive;

    epoch_enter();
    alive = process_lookup(atomic_load(&pid_of[i])) != NULL;
    epoch_leave();
    return alive;
}

static double seconds = 2;

static void test_checker(void **state)
{
    uint64_t rng = seed * 0x9E3779B97F4A7C15u + 1, cuts = 0;
    int64_t end;

    (void)state;
    atomic_store(&done, 0);
    atomic_store(&stopping, false);
    for (unsigned i = 0; i < ACTORS; i++)
        actor_start(i, rng += 0x632BE59BD9B4E019u);
    end = clock_monotonic_ns() + (int64_t)(seconds * 1e9);
    while (clock_monotonic_ns() < end && atomic_load(&wrong) == 0) {
        usleep(3000);
        for (unsigned i = 0; i < ACTORS; i++) {
            if (!is_alive(i))
                actor_start(i, rng += 0x632BE59BD9B4E019u);
        }
        rng ^= rng << 13, rng ^= rng >> 7, rng ^= rng << 17;
        if (rng % 16 == 0) {
            peer_fake_cut();
            cuts++;
        }
    }
    atomic_store(&stopping, true);
    usleep(20000);
    for (unsigned i = ACTORS; i-- > 0; ) {
        term pid = atomic_load(&pid_of[i]);

        epoch_enter();
        process_send(NULL, pid, ATOM_normal);
        epoch_leave();
        for (int n = 0; n < 20000 && is_alive(i); n++)
            usleep(1000);
        if (is_alive(i)) {
            struct actor *a = atomic_load(&actor_of[i]);

            fprintf(stderr, "# actor %u still has %u monitors, %u links\n", i, a->n_monitors,
                    a->n_links);
            mistake("a relation never ended");
            break;
        }
    }
    fprintf(stderr, "# seed %llu: %ld ops, %ld deaths, %llu cuts, %ld DOWN, %ld EXIT\n",
            (unsigned long long)seed, atomic_load(&ops), atomic_load(&deaths),
            (unsigned long long)cuts, atomic_load(&downs), atomic_load(&exits));
    assert_int_equal(atomic_load(&wrong), 0);
    wait_all_gone();
}

/* --------------------------------------------------------------------------------------------------------------------- */

static int start(void **state)
{
    struct vm_options vo = { .schedulers = 2, .job_threads = 1 };
    struct peer_fake_options fo = {
        .name_x = "x@test", .name_y = "y@test", .creation_x = CREATION_X, .creation_y = CREATION_Y,
        .seed = seed, .delay_us = 200,
    };

    (void)state;
    atom_table_init(100000);
    literal_region_init();
    registry_init();
    etf_env.local_node = atom_from_cstr("here@test");
    etf_env.local_creation = 10;
    vm_remote = &dist_remote;
    session_init();
    receive_init();
    vm_start(&vo);
    peer_fake_start(&fo, &x, &y);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    peer_fake_stop();
    vm_stop();
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_session_lost),
        cmocka_unit_test(test_old_life),
        cmocka_unit_test(test_checker),
    };

    if (argc > 1)
        seconds = atof(argv[1]);
    seed = argc > 2 ? strtoull(argv[2], NULL, 10) : (uint64_t)clock_system_ns() % 1000000;
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, start, stop);
}
