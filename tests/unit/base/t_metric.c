/* SPDX-License-Identifier: Apache-2.0 */
/*
 * t_metric.c - counting from many threads, and the text that scrapers read
 */
#include "base/metric.h"

#include "base/alloc.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static void *count_a_thousand(void *arg)
{
    for (int i = 0; i < 1000; i++)
        metric_inc(M_store_commits);
    return NULL;
}

/* Counts of threads that have ended stay. */
static void threads_are_summed(void **state)
{
    uint64_t before = metric_counter(M_store_commits);
    pthread_t t[4];

    for (size_t round = 0; round < 2; round++) {
        for (size_t i = 0; i < ARRAY_LEN(t); i++)
            assert_int_equal(pthread_create(&t[i], NULL, count_a_thousand, NULL), 0);
        for (size_t i = 0; i < ARRAY_LEN(t); i++)
            pthread_join(t[i], NULL);
    }
    metric_add(M_store_commits, 5);
    assert_int_equal(metric_counter(M_store_commits) - before, 8005);
}

static char *exposition(enum metric_format format)
{
    struct buf b = { 0 };
    char *text;

    metric_write(&b, format);
    text = mem_strdup(buf_cstr(&b));
    buf_fini(&b);
    return text;
}

static void has(const char *text, const char *line)
{
    if (strstr(text, line) == NULL)
        fail_msg("not in the exposition: %s", line);
}

static void histogram_buckets_add_up(void **state)
{
    char *text;

    metric_time(M_deployment, 50 * 1000);               /* the bound itself is inside */
    metric_time(M_deployment, 50 * 1000 + 1);
    metric_time(M_deployment, 1000000000000);
    metric_time(M_deployment, -7);
    text = exposition(METRIC_TEXT);
    has(text, "# TYPE rnode_deployment_seconds histogram\n");
    has(text, "rnode_deployment_seconds_bucket{le=\"5e-05\"} 2\n");
    has(text, "rnode_deployment_seconds_bucket{le=\"0.0002\"} 3\n");
    has(text, "rnode_deployment_seconds_bucket{le=\"13.1072\"} 3\n");
    has(text, "rnode_deployment_seconds_bucket{le=\"+Inf\"} 4\n");
    has(text, "rnode_deployment_seconds_count 4\n");
    mem_free(text);
}

static void emit_some(struct metric_sink *sink, void *arg)
{
    struct buf b = { 0 };

    metric_label(&b, "peer", "a\"b\\c\nd");
    metric_label(&b, "direction", "in");
    metric_emit(sink, M_peer_bytes, buf_cstr(&b), 7);
    metric_emit(sink, M_processes, NULL, 12);
    metric_emit(sink, M_peer_bytes, "peer=\"z\",direction=\"out\"", 0.25);
    buf_fini(&b);
}

static void collectors_give_values(void **state)
{
    char *text;

    metric_collector_add(emit_some, NULL);
    text = exposition(METRIC_TEXT);
    has(text, "rnode_processes 12\n");
    has(text, "# TYPE rnode_peer_bytes_total counter\n"
              "rnode_peer_bytes_total{peer=\"a\\\"b\\\\c\\nd\",direction=\"in\"} 7\n"
              "rnode_peer_bytes_total{peer=\"z\",direction=\"out\"} 0.25\n");
    mem_free(text);
    text = exposition(METRIC_OPENMETRICS);
    has(text, "# TYPE rnode_peer_bytes counter\nrnode_peer_bytes_total{");
    assert_string_equal(text + strlen(text) - 6, "# EOF\n");
    mem_free(text);
    metric_collectors_clear();
    text = exposition(METRIC_TEXT);
    assert_null(strstr(text, "rnode_processes 12"));
    mem_free(text);
}

struct order { const char *family; const char *seen[METRIC_COUNT]; size_t n; };

static void note_family(void *arg, const struct metric_sample *s)
{
    struct order *o = arg;

    if (o->family != NULL && strcmp(o->family, s->name) == 0)
        return;
    o->family = s->name;
    for (size_t i = 0; i < o->n; i++)
        assert_string_not_equal(o->seen[i], s->name);
    assert_true(*s->help != 0);
    o->seen[o->n++] = s->name;
}

/* A family in two places would be refused by scrapers; the first row of each has its help. */
static void families_stand_together(void **state)
{
    struct order o = { 0 };

    metric_visit(note_family, &o);
    assert_true(o.n > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_are_summed), cmocka_unit_test(histogram_buckets_add_up),
        cmocka_unit_test(collectors_give_values), cmocka_unit_test(families_stand_together),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
