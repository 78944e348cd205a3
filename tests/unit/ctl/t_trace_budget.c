/* SPDX-License-Identifier: Apache-2.0 */
/*
 * t_trace_budget.c - a trace takes its share and no more, and says about how much it has missed
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "ctl/trace_budget.h"

#define SECOND 1000000000ll
#define SHARE 20000000ll

static void test_rate(void **state)
{
    struct trace_budget b;
    int64_t now = 5 * SECOND;

    (void)state;
    trace_budget_init(&b, 3, SHARE, now);
    trace_budget_open(&b, now);
    for (int i = 0; i < 3; i++)
        assert_true(trace_budget_event(&b));
    assert_false(trace_budget_event(&b));
    assert_true(b.by_rate);
    assert_false(b.by_share);
    trace_budget_shut(&b, now + SECOND / 10);
    trace_budget_count(&b, 4, SECOND / 10);
    assert_int_equal(trace_budget_missed(&b, now + SECOND / 10), 0);
    assert_int_equal(trace_budget_missed(&b, now + SECOND), 36);
    assert_true(trace_budget_second(&b));
    trace_budget_open(&b, now + SECOND);
    assert_int_equal(trace_budget_missed(&b, now + SECOND), 36);
    assert_int_equal(trace_budget_missed(&b, now + 2 * SECOND), 36);
    assert_int_equal(trace_budget_open_ns(&b, now + 2 * SECOND), SECOND / 10 + SECOND);
    assert_true(trace_budget_event(&b));
}

static void test_share(void **state)
{
    struct trace_budget b;

    (void)state;
    trace_budget_init(&b, 1000, SHARE, 0);
    trace_budget_open(&b, 0);
    assert_true(trace_budget_spend(&b, SHARE));
    assert_false(trace_budget_spend(&b, 1));
    assert_true(b.by_share);
    trace_budget_shut(&b, SECOND / 2);
    assert_true(trace_budget_second(&b));
    assert_int_equal(b.owed_ns, 1);
}

/* What was taken beyond the share is paid back before it opens again. */
static void test_debt(void **state)
{
    struct trace_budget b;
    int shut = 0;

    (void)state;
    trace_budget_init(&b, 1000, SHARE, 0);
    trace_budget_open(&b, 0);
    assert_false(trace_budget_spend(&b, 4 * SHARE + 1));
    trace_budget_shut(&b, 1);
    while (!trace_budget_second(&b))
        shut++;
    assert_int_equal(shut, 3);
    assert_int_equal(b.spent_ns, 4 * SHARE + 1);
}

/* Over many seconds of a node that would spend all its time, the share is kept. */
static void test_long(void **state)
{
    struct trace_budget b;
    int64_t now = 0;

    (void)state;
    trace_budget_init(&b, INT64_MAX, SHARE, now);
    for (int second = 0; second < 1000; second++, now = second * SECOND) {
        if (!trace_budget_second(&b))
            continue;
        trace_budget_open(&b, now);
        do {
            assert_true(trace_budget_event(&b));
            now += 777777;
        } while (trace_budget_spend(&b, 777777));
        trace_budget_shut(&b, now);
        trace_budget_count(&b, 100, 77777700);
    }
    assert_in_range(b.spent_ns, 999 * SHARE, 1000 * SHARE + 777777);
    /* One event each 777,777 ns of 1000 seconds, less those that were told. */
    assert_in_range(trace_budget_missed(&b, now), 1200000, 1290000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rate),
        cmocka_unit_test(test_share),
        cmocka_unit_test(test_debt),
        cmocka_unit_test(test_long),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
