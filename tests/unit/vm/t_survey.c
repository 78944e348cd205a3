/* SPDX-License-Identifier: Apache-2.0 */
/*
 * t_survey.c - the survey of processes against a walk over all of them
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fake_engine.h"

#include "base/epoch.h"
#include "vm/survey_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HOARDERS 3000
#define BEST 25

static term pids[HOARDERS];
static _Atomic long rested;

/* Keeps every message. `ok` makes it work, `kill` makes it end. */
static enum engine_result hoarder(struct process *p)
{
    term m;

    while (mailbox_peek(p, &m)) {
        if (m == ATOM_kill)
            return ENGINE_EXIT;
        if (m == ATOM_ok)
            charge(p, 1000);
        mailbox_advance(p);
    }
    atomic_fetch_add(&rested, 1);
    return step_wait(p);
}

static void tell(term pid, term what)
{
    epoch_enter();
    process_send(NULL, pid, what);
    epoch_leave();
}

/* Until all processes wait: then nothing changes any more. */
static void settle(void)
{
    bool quiet;

    do {
        uint32_t at = 0;
        struct process *p;

        usleep(2000);
        quiet = true;
        epoch_enter();
        while ((p = process_table_next(&at)) != NULL)
            quiet &= atomic_load(&p->state) == PROC_WAITING && inbox_is_empty(&p->inbox);
        epoch_leave();
    } while (!quiet);
    usleep(2000);       /* who has ended has left the table, and who has parked has come to its loop head */
}

/* --- the oracle ------------------------------------------------------------------------------- */

static int64_t measure_of(const struct process *p, enum survey_measure m)
{
    switch (m) {
    case SURVEY_REDUCTIONS:
        return (int64_t)atomic_load(&p->reductions);
    case SURVEY_MESSAGES:
        return (int64_t)mailbox_length(p);
    case SURVEY_HEAP:
        return (int64_t)(heap_bytes(&p->heap) / sizeof(term));
    default:
        return -1;
    }
}

static int falling(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return x < y ? 1 : x > y ? -1 : 0;
}

struct best { struct survey_query q; int64_t at[HOARDERS]; size_t n; };

static void keep(struct survey_query *q, const struct survey_view *v)
{
    struct best *b = CONTAINER_OF(q, struct best, q);

    b->at[b->n++] = q->measure == SURVEY_REDUCTIONS ? (int64_t)v->reductions
                    : q->measure == SURVEY_MESSAGES ? v->messages
                    : q->measure == SURVEY_WORK ? (int64_t)v->work : (int64_t)v->heap_words;
    if (b->n < 2 * BEST)
        return;
    qsort(b->at, b->n, sizeof b->at[0], falling);
    b->n = BEST;
    q->floor = b->at[BEST - 1];
}

/* The largest by m are the same by the survey and by a walk; and the sums. */
static void compare(enum survey_measure m)
{
    struct best b = { .q = { .measure = m, .floor = -1, .visit = keep } };
    static int64_t all[HOARDERS];
    struct survey_totals t;
    uint64_t sum = 0;
    uint32_t at = 0;
    size_t n = 0;
    struct process *p;

    survey_visit(&b.q);
    qsort(b.at, b.n, sizeof b.at[0], falling);
    epoch_enter();
    while ((p = process_table_next(&at)) != NULL)
        all[n++] = measure_of(p, m);
    epoch_leave();
    qsort(all, n, sizeof all[0], falling);
    for (size_t i = 0; i < n; i++)
        sum += (uint64_t)all[i];
    for (size_t i = 0; i < n && i < BEST; i++)
        assert_int_equal(b.at[i], all[i]);
    survey_totals(3, &t);
    assert_int_equal(t.processes, n);
    if (m == SURVEY_MESSAGES) {
        uint64_t over = 0;

        for (size_t i = 0; i < n; i++)
            over += all[i] > 3;
        assert_int_equal(t.messages, sum);
        assert_int_equal(t.over, over);
        assert_int_equal(t.longest, n > 0 ? all[0] : 0);
    } else if (m == SURVEY_HEAP) {
        assert_int_equal(t.heap_words, sum);
    }
}

static void compare_all(void)
{
    settle();
    compare(SURVEY_MESSAGES);
    compare(SURVEY_REDUCTIONS);
    compare(SURVEY_HEAP);
}

static size_t marked(void)
{
    size_t n = 0;

    for (size_t i = 0; i < ARRAY_LEN(survey_heat); i++)
        n += atomic_load(&survey_heat[i]) != SURVEY_COLD;
    return n;
}

/* --- tests --------------------------------------------------------------------------------------- */

static void test_against_walk(void **state)
{
    (void)state;
    srand(4711);
    for (int i = 0; i < HOARDERS; i++) {
        epoch_enter();
        pids[i] = spawn_step(NULL, hoarder, TERM_NIL, NULL, NULL);
        epoch_leave();
    }
    compare_all();
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 400; i++)
            tell(pids[rand() % HOARDERS], rand() % 3 != 0 ? TERM_NIL : ATOM_ok);
        for (int i = 0; i < 40; i++)
            tell(pids[rand() % (round % 2 == 0 ? HOARDERS - 1 : 50)], rand() % 7 != 0 ? ATOM_ok : ATOM_kill);
        compare_all();
    }
}

/* Once all is read, a look reads nothing; one message marks one group. */
static void test_cost(void **state)
{
    struct survey_totals t;

    (void)state;
    settle();
    survey_totals(0, &t);
    survey_totals(0, &t);
    assert_int_equal(marked(), 0);
    tell(pids[HOARDERS - 1], TERM_NIL);
    settle();
    assert_int_equal(marked(), 1);
}

static void test_window(void **state)
{
    struct best b = { .q = { .measure = SURVEY_WORK, .floor = -1, .visit = keep } };
    uint32_t w;
    long before;

    (void)state;
    settle();
    w = survey_window();
    b.q.window = w;
    before = atomic_load(&rested);
    for (int i = 0; i < 3; i++) {
        tell(pids[HOARDERS - 1], ATOM_ok);
        settle();
    }
    assert_true(atomic_load(&rested) >= before + 3);
    survey_visit(&b.q);
    assert_int_equal(b.q.window, w);
    assert_true(b.q.window_ns > 0);
    qsort(b.at, b.n, sizeof b.at[0], falling);
    assert_int_equal(b.at[0], 3000);
    assert_int_equal(b.at[1], 0);
    /* The next one begins with nothing, and the one before can still be asked for. */
    while (survey_window() == w)
        usleep(10000);
    tell(pids[HOARDERS - 1], ATOM_ok);
    settle();
    b.n = 0;
    b.q.floor = -1;
    survey_visit(&b.q);
    assert_int_equal(b.q.window, w);
    qsort(b.at, b.n, sizeof b.at[0], falling);
    assert_int_equal(b.at[0], 4000);
    b.n = 0;
    b.q.floor = -1;
    b.q.window = w + 1;
    survey_visit(&b.q);
    qsort(b.at, b.n, sizeof b.at[0], falling);
    assert_int_equal(b.at[0], 1000);
}

/* Processes come, work and go on all schedulers while somebody looks. */
static enum engine_result mayfly(struct process *p)
{
    long left = small_val(p->trap_fun);

    charge(p, 50);
    if (left > 0)
        spawn_step(p, mayfly, small_make(left - 1), NULL, NULL);
    return ENGINE_EXIT;
}

static void test_while_they_run(void **state)
{
    struct survey_totals t;

    (void)state;
    for (int i = 0; i < 50; i++) {
        epoch_enter();
        spawn_step(NULL, mayfly, small_make(2000), NULL, NULL);
        epoch_leave();
    }
    for (int i = 0; i < 200; i++) {
        struct best b = { .q = { .measure = SURVEY_WORK, .window = survey_window(), .floor = -1,
                                 .visit = keep } };

        survey_visit(&b.q);
        survey_totals(1, &t);
        for (int k = 0; k < 20; k++)
            tell(pids[rand() % HOARDERS], ATOM_ok);
    }
    compare_all();
    survey_totals(0, &t);
    survey_totals(0, &t);
    assert_int_equal(marked(), 0);
}

static int start(void **state)
{
    step_fn *all[] = { hoarder, mayfly };

    (void)state;
    machine_start(all, ARRAY_LEN(all), 1);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_walk),
        cmocka_unit_test(test_cost),
        cmocka_unit_test(test_window),
        cmocka_unit_test(test_while_they_run),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, start, machine_stop);
}
