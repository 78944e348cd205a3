/* SPDX-License-Identifier: Apache-2.0 */
/*
 * t_procs.c - processes, signals, schedulers, timers, on an engine of C functions
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fake_engine.h"

#include "base/clock.h"
#include "base/epoch.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static _Atomic long done, counted, wrong;

static void wait_for(_Atomic long *at, long n)
{
    for (int i = 0; i < 60000 && atomic_load(at) < n; i++)
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

/* --- spawn and exit ------------------------------------------------------------------------- */

static enum engine_result leaf(struct process *p)
{
    (void)p;
    atomic_fetch_add(&counted, 1);
    return ENGINE_EXIT;
}

static enum engine_result spawner(struct process *p)
{
    long left = small_val(p->trap_fun);

    for (; left > 0; left--) {
        spawn_step(p, leaf, TERM_NIL, NULL, NULL);
        charge(p, 20);
        if (p->sched->fcalls <= 0) {
            p->trap_fun = small_make(left - 1);
            return ENGINE_YIELD;
        }
    }
    atomic_fetch_add(&done, 1);
    return ENGINE_EXIT;
}

static void test_spawn_exit(void **state)
{
    (void)state;
    atomic_store(&done, 0);
    atomic_store(&counted, 0);
    for (int i = 0; i < 4; i++)
        spawn_root(spawner, small_make(20000));
    wait_for(&counted, 80000);
    wait_all_gone();
}

/* --- ping-pong --------------------------------------------------------------------------------- */

/* Argument: [Peer | Rounds]; sends {Self, N} and waits for it to come back. */
static enum engine_result ponger(struct process *p)
{
    term m;

    while (mailbox_peek(p, &m)) {
        term to = tuple_elem(m, 0), n = tuple_elem(m, 1);

        mailbox_remove(p);
        charge(p, 3);
        process_send(p, to, heap_tuple2(&p->heap, p->pid, n));
        if (n == small_make(0))
            return ENGINE_EXIT;
        if (p->heap.collect_soon && !process_collect(p, 0, 0, 0))
            return ENGINE_EXIT;
    }
    return step_wait(p);
}

static enum engine_result pinger(struct process *p)
{
    term m, n;

    if (pdict_get(p, ATOM_ok) == ATOM_undefined) {
        pdict_put(p, ATOM_ok, cdr(p->trap_fun));
        process_send(p, car(p->trap_fun), heap_tuple2(&p->heap, p->pid, cdr(p->trap_fun)));
    }
    while (mailbox_peek(p, &m)) {
        n = tuple_elem(m, 1);
        mailbox_remove(p);
        charge(p, 3);
        if (n != pdict_get(p, ATOM_ok))
            atomic_fetch_add(&wrong, 1);
        if (n == small_make(0)) {
            atomic_fetch_add(&done, 1);
            return ENGINE_EXIT;
        }
        n = small_make(small_val(n) - 1);
        pdict_put(p, ATOM_ok, n);
        process_send(p, car(p->trap_fun), heap_tuple2(&p->heap, p->pid, n));
        if (p->heap.collect_soon && !process_collect(p, 0, 0, 0))
            return ENGINE_EXIT;
    }
    return step_wait(p);
}

static void ping_pong(int pairs, long rounds)
{
    int64_t t = clock_monotonic_ns();
    struct heap bag;

    atomic_store(&done, 0);
    heap_bag_init(&bag);
    for (int i = 0; i < pairs; i++) {
        term pong = spawn_root(ponger, TERM_NIL);

        spawn_root(pinger, heap_cons(&bag, pong, small_make(rounds)));
    }
    wait_for(&done, pairs);
    printf("# %d pairs: %.0f ns per round trip\n", pairs,
           (double)(clock_monotonic_ns() - t) / ((double)rounds * pairs));
    heap_fini(&bag);
    wait_all_gone();
    assert_int_equal(atomic_load(&wrong), 0);
}

static void test_ping_pong(void **state)
{
    (void)state;
    ping_pong(1, 100000);
    ping_pong(8, 20000);
}

/* --- many to one: order per sender ------------------------------------------------------------------ */

#define SENDERS 16

/* Dictionary: sender pid -> next number expected. Messages: {Pid, N, Padding...}. */
static enum engine_result collector(struct process *p)
{
    term m;

    while (mailbox_peek(p, &m)) {
        term from = tuple_elem(m, 0), n = tuple_elem(m, 1), was = pdict_get(p, from);

        if (small_val(n) != (was == ATOM_undefined ? 0 : small_val(was)))
            atomic_fetch_add(&wrong, 1);
        pdict_put(p, from, small_make(small_val(n) + 1));
        mailbox_remove(p);
        charge(p, 3);
        if (atomic_fetch_add(&counted, 1) + 1 == small_val(p->trap_fun))
            return ENGINE_EXIT;
        if (p->heap.collect_soon && !process_collect(p, 0, 0, 0))
            return ENGINE_EXIT;
        if (p->sched->fcalls <= 0)
            return ENGINE_YIELD;
    }
    return step_wait(p);
}

static enum engine_result sender(struct process *p)
{
    long left = small_val(cdr(p->trap_fun)), sent;
    term to = car(p->trap_fun), at = pdict_get(p, ATOM_ok);

    for (sent = at == ATOM_undefined ? 0 : small_val(at); sent < left; sent++) {
        term e[20] = { p->pid, small_make(sent) };
        size_t n = sent % 3 == 0 ? 20 : 2;

        if (p->sched->fcalls <= 0) {
            pdict_put(p, ATOM_ok, small_make(sent));
            return ENGINE_YIELD;
        }
        for (size_t i = 2; i < n; i++)
            e[i] = ATOM_ok;
        process_send(p, to, heap_tuple(&p->heap, n, e));
        charge(p, 5);
        if (p->heap.collect_soon && !process_collect(p, 0, 0, 0))
            return ENGINE_EXIT;
        to = car(p->trap_fun);
    }
    return ENGINE_EXIT;
}

static void test_many_to_one(void **state)
{
    struct heap bag;
    long each = 5000;
    term to;

    (void)state;
    heap_bag_init(&bag);
    atomic_store(&counted, 0);
    atomic_store(&wrong, 0);
    to = spawn_root(collector, small_make(SENDERS * each));
    for (int i = 0; i < SENDERS; i++)
        spawn_root(sender, heap_cons(&bag, to, small_make(each)));
    wait_for(&counted, SENDERS * each);
    heap_fini(&bag);
    wait_all_gone();
    assert_int_equal(atomic_load(&wrong), 0);
}

/* --- links: a chain dies of one reason ------------------------------------------------------------------ */

static enum engine_result chain(struct process *p)
{
    struct spawn_options opt = { .flags = SPAWN_LINK, .prio = PRIO_NORMAL,
                                 .group_leader = TERM_NONE, .monitor_opts = TERM_NONE };

    if (small_val(p->trap_fun) == 0) {
        process_set_exit(p, heap_tuple2(&p->heap, ATOM_error, small_make(7)));
        return ENGINE_EXIT;
    }
    if (pdict_get(p, ATOM_ok) == ATOM_undefined) {
        pdict_put(p, ATOM_ok, ATOM_true);
        spawn_step(p, chain, small_make(small_val(p->trap_fun) - 1), &opt, NULL);
    }
    return step_wait(p);
}

/* Links to a chain, traps exits, wants {'EXIT', Pid, {error, 7}}. */
static enum engine_result chain_watcher(struct process *p)
{
    struct spawn_options opt = { .flags = SPAWN_LINK | SPAWN_MONITOR, .prio = PRIO_NORMAL,
                                 .group_leader = TERM_NONE, .monitor_opts = TERM_NONE };
    term m, ref;

    if (pdict_get(p, ATOM_ok) == ATOM_undefined) {
        p->trap_exit = true;
        pdict_put(p, ATOM_ok, spawn_step(p, chain, p->trap_fun, &opt, &ref));
        pdict_put(p, ATOM_DOWN, ref);
    }
    while (mailbox_peek(p, &m)) {
        term reason = tuple_elem(m, tuple_arity(m) - 1);
        bool down = tuple_elem(m, 0) == ATOM_DOWN;

        if (tuple_elem(m, down ? 3 : 1) != pdict_get(p, ATOM_ok) || !is_tuple_n(reason, 2) ||
            tuple_elem(reason, 1) != small_make(7) ||
            (down && tuple_elem(m, 1) != pdict_get(p, ATOM_DOWN)))
            atomic_fetch_add(&wrong, 1);
        mailbox_remove(p);
        pdict_put(p, ATOM_exit, small_make(pdict_get(p, ATOM_exit) == ATOM_undefined ? 1 : 2));
        if (pdict_get(p, ATOM_exit) == small_make(2)) {
            if (p->relations != NULL && p->relations->n != 0)
                atomic_fetch_add(&wrong, 1);
            atomic_fetch_add(&done, 1);
            return ENGINE_EXIT;
        }
    }
    return step_wait(p);
}

static void test_links(void **state)
{
    (void)state;
    atomic_store(&done, 0);
    atomic_store(&wrong, 0);
    for (int i = 0; i < 50; i++)
        spawn_root(chain_watcher, small_make(i * 4));
    wait_for(&done, 50);
    wait_all_gone();
    assert_int_equal(atomic_load(&wrong), 0);
}

/* --- monitors and links against dying processes --------------------------------------------------------------- */

#define VICTIMS 1000

/* Monitors and links itself to VICTIMS processes that are ending meanwhile; each must report once. */
static enum engine_result monitor_all(struct process *p)
{
    struct monitor_options mopt = { ALIAS_NONE, ATOM_DOWN };
    struct spawn_options kid = { .prio = PRIO_NORMAL, .group_leader = TERM_NONE,
                                 .monitor_opts = TERM_NONE };
    term m;
    long n;

    if (pdict_get(p, ATOM_ok) == ATOM_undefined) {
        p->trap_exit = true;
        for (int i = 0; i < VICTIMS; i++) {
            term pid = spawn_step(p, leaf, TERM_NIL, &kid, NULL);

            monitor_make(p, pid, &mopt);
            link_make(p, pid);
            if (i % 3 == 0)
                link_remove(p, pid);
        }
        pdict_put(p, ATOM_ok, small_make(0));
    }
    while (mailbox_peek(p, &m)) {
        bool down = tuple_elem(m, 0) == ATOM_DOWN;

        mailbox_remove(p);
        n = small_val(pdict_get(p, ATOM_ok)) + (down ? 1 : 0);
        pdict_put(p, ATOM_ok, small_make(n));
        if (n == VICTIMS) {
            atomic_fetch_add(&done, 1);
            return ENGINE_EXIT;
        }
    }
    return step_wait(p);
}

static void test_dying_targets(void **state)
{
    (void)state;
    atomic_store(&done, 0);
    for (int i = 0; i < 6; i++)
        spawn_root(monitor_all, TERM_NIL);
    wait_for(&done, 6);
    wait_all_gone();
}

/* --- exit signals -------------------------------------------------------------------------------------------- */

static enum engine_result endless(struct process *p)
{
    charge(p, 5000);
    return ENGINE_YIELD;
}

static enum engine_result killer(struct process *p)
{
    term m, pid, ref;
    struct spawn_options opt = { .flags = SPAWN_MONITOR, .prio = PRIO_NORMAL,
                                 .group_leader = TERM_NONE, .monitor_opts = TERM_NONE };

    if (pdict_get(p, ATOM_ok) == ATOM_undefined) {
        pid = spawn_step(p, endless, TERM_NIL, &opt, &ref);
        pdict_put(p, ATOM_ok, ref);
        (void)!exit_send(p, pid, p->trap_fun);
    }
    if (!mailbox_peek(p, &m))
        return step_wait(p);
    if (tuple_elem(m, 1) != pdict_get(p, ATOM_ok) ||
        tuple_elem(m, 4) != (p->trap_fun == ATOM_kill ? ATOM_killed : p->trap_fun))
        atomic_fetch_add(&wrong, 1);
    mailbox_remove(p);
    atomic_fetch_add(&done, 1);
    return ENGINE_EXIT;
}

static void test_exit_busy(void **state)
{
    (void)state;
    atomic_store(&done, 0);
    atomic_store(&wrong, 0);
    for (int i = 0; i < 20; i++)
        spawn_root(killer, i % 2 == 0 ? ATOM_kill : ATOM_badarg);
    wait_for(&done, 20);
    wait_all_gone();
    assert_int_equal(atomic_load(&wrong), 0);
}

/* --- timers ------------------------------------------------------------------------------------------------------ */

/* Waits with a receive timeout of arg ms, then ends. */
static enum engine_result sleeper(struct process *p)
{
    term m, at = pdict_get(p, ATOM_ok);
    int64_t now = clock_monotonic_ns();

    if (at == ATOM_undefined) {
        pdict_put(p, ATOM_ok, small_make(now));
        receive_timer_start(p, (uint64_t)small_val(p->trap_fun));
    } else if ((p->wait_kind & RECEIVE_TIMED_OUT) != 0) {
        if (now - small_val(at) < small_val(p->trap_fun) * 1000000)
            atomic_fetch_add(&wrong, 1);
        atomic_fetch_add(&done, 1);
        return ENGINE_EXIT;
    }
    if (mailbox_peek(p, &m))
        mailbox_remove(p);
    return step_wait(p);
}

/* send_after to itself: 1 of 2 cancelled. */
static enum engine_result timed(struct process *p)
{
    term m, ref;
    int64_t now = clock_monotonic_ns();

    if (pdict_get(p, ATOM_ok) == ATOM_undefined) {
        pdict_put(p, ATOM_ok, small_make(now));
        ref = timer_start(now + 5000000, p->pid, ATOM_badarg, false);
        if (timer_read(ref) < 0 || timer_cancel(ref) < 0 || timer_cancel(ref) != -1)
            atomic_fetch_add(&wrong, 1);
        timer_start(now + 300000000, p->pid, ATOM_ok, true);
    }
    if (!mailbox_peek(p, &m))
        return step_wait(p);
    if (!is_tuple_n(m, 3) || tuple_elem(m, 0) != ATOM_timeout || tuple_elem(m, 2) != ATOM_ok ||
        now < small_val(pdict_get(p, ATOM_ok)) + 300000000)
        atomic_fetch_add(&wrong, 1);
    mailbox_remove(p);
    atomic_fetch_add(&done, 1);
    return ENGINE_EXIT;
}

static void test_timers(void **state)
{
    int64_t t = clock_monotonic_ns();

    (void)state;
    atomic_store(&done, 0);
    atomic_store(&wrong, 0);
    for (int i = 0; i < 300; i++)
        spawn_root(sleeper, small_make(i * 3));
    for (int i = 0; i < 50; i++)
        spawn_root(timed, TERM_NIL);
    wait_for(&done, 350);
    t = clock_monotonic_ns() - t;
    wait_all_gone();
    assert_int_equal(atomic_load(&wrong), 0);
    assert_true(t < 5000000000);
}

/* Starts an hour's timer to itself and ends; the last one looks whether the first is gone. */
static _Atomic term first_timer;

static enum engine_result short_lived(struct process *p)
{
    term ref = timer_start(clock_monotonic_ns() + 3600000000000, p->pid, ATOM_ok, true), none = 0;

    if (!atomic_compare_exchange_strong(&first_timer, &none, ref) &&
        process_lookup(p->pid) != p)
        atomic_fetch_add(&wrong, 1);
    atomic_fetch_add(&done, 1);
    return ENGINE_EXIT;
}

static enum engine_result late_reader(struct process *p)
{
    term mine = timer_start(clock_monotonic_ns() + 3600000000000, p->pid, ATOM_ok, true);

    if (timer_read(atomic_load(&first_timer)) != -1 || timer_read(mine) < 3599000)
        atomic_fetch_add(&wrong, 1);
    atomic_fetch_add(&done, 1);
    return ENGINE_EXIT;
}

static void test_timers_of_the_dead(void **state)
{
    (void)state;
    atomic_store(&done, 0);
    atomic_store(&wrong, 0);
    for (int i = 0; i < 20000; i++)
        spawn_root(short_lived, TERM_NIL);
    wait_for(&done, 20000);
    wait_all_gone();
    spawn_root(late_reader, TERM_NIL);
    wait_for(&done, 20001);
    wait_all_gone();
    assert_int_equal(atomic_load(&wrong), 0);
}

/* --- names ------------------------------------------------------------------------------------------------------------ */

static enum engine_result registrar(struct process *p)
{
    if (pdict_get(p, ATOM_ok) == ATOM_undefined) {
        pdict_put(p, ATOM_ok, ATOM_true);
        if (registry_add(ATOM_badfun, p->pid)) {
            atomic_fetch_add(&counted, 1);
            if (registry_whereis(ATOM_badfun) != p->pid)
                atomic_fetch_add(&wrong, 1);
        }
        return ENGINE_YIELD;
    }
    atomic_fetch_add(&done, 1);
    return ENGINE_EXIT;
}

static void test_names(void **state)
{
    (void)state;
    atomic_store(&done, 0);
    atomic_store(&counted, 0);
    atomic_store(&wrong, 0);
    for (int i = 0; i < 2000; i++)
        spawn_root(registrar, TERM_NIL);
    wait_for(&done, 2000);
    wait_all_gone();
    assert_true(atomic_load(&counted) > 0);
    assert_int_equal(atomic_load(&wrong), 0);
    assert_true(registry_whereis(ATOM_badfun) == TERM_NONE);
}

/* --- world stop -------------------------------------------------------------------------------------------------------- */

static _Atomic long inside;
static _Atomic bool stopped;

static enum engine_result busy(struct process *p)
{
    atomic_fetch_add(&inside, 1);
    for (volatile int i = 0; i < 100; i++)
        ;
    if (atomic_load(&stopped))
        atomic_fetch_add(&wrong, 1);
    atomic_fetch_sub(&inside, 1);
    charge(p, 4000);
    if (atomic_load(&done) != 0)
        return ENGINE_EXIT;
    return ENGINE_YIELD;
}

static void test_world(void **state)
{
    (void)state;
    atomic_store(&done, 0);
    atomic_store(&wrong, 0);
    for (int i = 0; i < 10; i++)
        spawn_root(busy, TERM_NIL);
    for (int i = 0; i < 200; i++) {
        world_stop();
        atomic_store(&stopped, true);
        assert_int_equal(atomic_load(&inside), 0);
        atomic_store(&stopped, false);
        world_resume();
    }
    atomic_store(&done, 1);
    wait_all_gone();
    assert_int_equal(atomic_load(&wrong), 0);
}

/* --- lending: a thread that is no scheduler runs what it made ready -------------------------------------- */

static _Atomic pthread_t run_by;

/* Counts its messages; a 1 sets a timer, every seventh takes longer than a guest may, a 0 ends it. */
static enum engine_result guest(struct process *p)
{
    term m;

    while (mailbox_peek(p, &m)) {
        mailbox_remove(p);
        atomic_store(&run_by, pthread_self());
        atomic_fetch_add(&counted, 1);
        charge(p, 20);
        if (m == small_make(0))
            return ENGINE_EXIT;
        if (m == small_make(1))
            timer_start(clock_monotonic_ns() + 2000000, p->pid, ATOM_ok, true);
        if (is_small(m) && small_val(m) % 7 == 0) {
            charge(p, 5000);
            return ENGINE_YIELD;
        }
    }
    return step_wait(p);
}

static void hold_and_send(term to, long n)
{
    epoch_enter();
    sched_hold();
    process_send(NULL, to, small_make(n));
    sched_release();
    epoch_leave();
}

static void *lend_many(void *arg)
{
    for (long i = 2; i <= 5001; i++)
        hold_and_send(*(term *)arg, i);
    return NULL;
}

static void test_lending(void **state)
{
    pthread_t thread[3];
    term pid[2];

    (void)state;
    atomic_store(&counted, 0);
    for (int i = 0; i < 2; i++)
        pid[i] = spawn_root(guest, TERM_NIL);
    for (int i = 0; i < 10000 && !sched_may_lend(); i++)
        usleep(1000);
    usleep(50000);
    hold_and_send(pid[0], 1);               /* all sleep: it has run when the call returns */
    assert_int_equal(atomic_load(&counted), 1);
    assert_true(pthread_equal(atomic_load(&run_by), pthread_self()));
    wait_for(&counted, 2);                  /* the timer that it set wakes the thread of its lender */
    /* Now several at once, against each other and against the schedulers. */
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, lend_many, &pid[i % 2]), 0);
    for (int i = 0; i < 20; i++)
        spawn_root(timed, small_make(i));
    for (int i = 0; i < 3; i++)
        pthread_join(thread[i], NULL);
    wait_for(&counted, 15002);
    for (int i = 0; i < 2; i++)
        hold_and_send(pid[i], 0);
    wait_all_gone();
}

/* --- mailbox, alone -------------------------------------------------------------------------------------------------------- */

static enum engine_result selective(struct process *p)
{
    term m;

    for (int i = 0; i < 100; i++)
        mailbox_append(p, small_make(i));
    /* Take 50, then 51 after a marker, then the rest in order. */
    for (int want = 50; want < 52; want++) {
        while (mailbox_peek(p, &m) && m != small_make(want))
            mailbox_advance(p);
        mailbox_remove(p);
    }
    mailbox_marker_bind(p, mailbox_marker_reserve(p), small_make(1) /* no reference: ignored */);
    m = make_ref(p->sched);
    mailbox_marker_bind(p, mailbox_marker_reserve(p), m);
    mailbox_append(p, ATOM_ok);
    mailbox_marker_use(p, m);
    if (!mailbox_peek(p, &m) || m != ATOM_ok)
        atomic_fetch_add(&wrong, 1);
    mailbox_remove(p);
    for (int i = 0; i < 100; i++) {
        if (i == 50 || i == 51)
            continue;
        if (!mailbox_peek(p, &m) || m != small_make(i))
            atomic_fetch_add(&wrong, 1);
        mailbox_remove(p);
    }
    if (mailbox_peek(p, &m) || mailbox_length(p) != 0)
        atomic_fetch_add(&wrong, 1);
    atomic_fetch_add(&done, 1);
    return ENGINE_EXIT;
}

static void test_mailbox(void **state)
{
    (void)state;
    atomic_store(&done, 0);
    atomic_store(&wrong, 0);
    spawn_root(selective, TERM_NIL);
    wait_for(&done, 1);
    assert_int_equal(atomic_load(&wrong), 0);
    wait_all_gone();
}

/* --- blocking jobs ----------------------------------------------------------------------------------------------------------- */

static void job_nap(struct job *job)
{
    (void)job;
    usleep(2000);
}

static void job_release(struct job *job)
{
    atomic_fetch_add(&counted, 1);
    free(job);
}

static enum engine_result job_user(struct process *p)
{
    if (p->job == NULL) {
        struct job *job = calloc(1, sizeof *job);

        job->run = job_nap;
        job->free = job_release;
        (void)job_submit(p, job, 0, NULL);
    } else if (atomic_load(&p->job->done)) {
        job_finish(p);
        atomic_fetch_add(&done, 1);
        return ENGINE_EXIT;
    }
    p->wait_kind = WAIT_BIF;
    return p->trap_fun == ATOM_exit ? ENGINE_EXIT : ENGINE_WAIT;
}

static void test_jobs(void **state)
{
    (void)state;
    atomic_store(&done, 0);
    atomic_store(&counted, 0);
    for (int i = 0; i < 50; i++)
        spawn_root(job_user, i % 5 == 0 ? ATOM_exit : ATOM_ok);
    wait_for(&done, 40);
    wait_for(&counted, 50);
    wait_all_gone();
}

static int start(void **state)
{
    step_fn *all[] = { leaf, spawner, ponger, pinger, collector, sender, chain, chain_watcher,
                       monitor_all, endless, killer, sleeper, timed, short_lived, late_reader, registrar, busy, selective,
                       job_user, guest };

    (void)state;
    machine_start(all, ARRAY_LEN(all), 3);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mailbox),
        cmocka_unit_test(test_spawn_exit),
        cmocka_unit_test(test_ping_pong),
        cmocka_unit_test(test_many_to_one),
        cmocka_unit_test(test_links),
        cmocka_unit_test(test_dying_targets),
        cmocka_unit_test(test_exit_busy),
        cmocka_unit_test(test_timers),
        cmocka_unit_test(test_timers_of_the_dead),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_world),
        cmocka_unit_test(test_jobs),
        cmocka_unit_test(test_lending),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, start, machine_stop);
}
