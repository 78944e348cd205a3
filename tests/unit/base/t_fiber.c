/* SPDX-License-Identifier: Apache-2.0 */
/*
 * t_fiber.c - functions that stand still, on one thread and wandering between two
 */
#include "base/fiber.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct sum { int64_t n, total; double half; };

static int64_t sum_deep(int64_t n)
{
    volatile char room[64];

    room[0] = (char)n;
    fiber_tick(1);
    return n == 0 ? room[0] : n + sum_deep(n - 1);
}

static void sum_run(void *arg)
{
    struct sum *s = arg;
    double x = 0.5;

    for (int64_t i = 1; i <= s->n; i++) {
        s->total += i;
        x += 0.5;
        fiber_tick(1);
    }
    s->half = x;
    assert_int_equal(sum_deep(100), 5050);
}

static int64_t run_to_end(struct fiber *f, int64_t units, int64_t *ret_used)
{
    int64_t rounds = 0, used;

    *ret_used = 0;
    for (;;) {
        bool done = fiber_run(f, units, &used);

        *ret_used += used;
        rounds++;
        if (done)
            return rounds;
    }
}

static void stands_still(void **state)
{
    struct sum s = { .n = 1000 };
    struct fiber *f = fiber_new(sum_run, &s);
    int64_t used;

    assert_int_equal(run_to_end(f, 10, &used), 1101 / 10 + 1);
    assert_int_equal(used, 1101);
    assert_int_equal(s.total, 500500);
    assert_true(s.half == 500.5);
}

static void one_unit_a_time_and_many_at_once(void **state)
{
    struct sum s[40] = { { 0 } };
    struct fiber *f[40];
    int64_t used;
    unsigned left = 40;

    for (unsigned i = 0; i < 40; i++) {
        s[i].n = 10 * i;
        f[i] = fiber_new(sum_run, &s[i]);
    }
    while (left > 0)
        for (unsigned i = 0; i < 40; i++)
            if (f[i] != NULL && fiber_run(f[i], 1, &used)) {
                f[i] = NULL;
                left--;
            }
    for (unsigned i = 0; i < 40; i++)
        assert_int_equal(s[i].total, 5 * i * (10 * i + 1));
}

static void ticks_outside_do_nothing(void **state)
{
    struct sum s = { .n = 100 };

    sum_run(&s);
    assert_int_equal(s.total, 5050);
}

/* Each thread runs the fiber for a moment and hands it on. */
struct ring { pthread_mutex_t lock; pthread_cond_t turn; unsigned whose; bool done; struct fiber *f; };

static void take_turns(struct ring *r, unsigned me)
{
    pthread_mutex_lock(&r->lock);
    while (!r->done) {
        int64_t used;

        while (!r->done && r->whose != me)
            pthread_cond_wait(&r->turn, &r->lock);
        if (!r->done)
            r->done = fiber_run(r->f, 7, &used);
        r->whose = !me;
        pthread_cond_broadcast(&r->turn);
    }
    pthread_mutex_unlock(&r->lock);
}

static void *other_thread(void *arg)
{
    take_turns(arg, 1);
    return NULL;
}

static void wanders_between_threads(void **state)
{
    struct sum s = { .n = 20000 };
    struct ring r = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, false, NULL };
    pthread_t other;

    r.f = fiber_new(sum_run, &s);
    assert_int_equal(pthread_create(&other, NULL, other_thread, &r), 0);
    take_turns(&r, 0);
    pthread_join(other, NULL);
    assert_int_equal(s.total, 200010000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stands_still), cmocka_unit_test(one_unit_a_time_and_many_at_once),
        cmocka_unit_test(ticks_outside_do_nothing), cmocka_unit_test(wanders_between_threads),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
