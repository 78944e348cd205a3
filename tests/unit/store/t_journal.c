/* SPDX-License-Identifier: Apache-2.0 */
/*
 * t_journal.c - what was acknowledged comes back from the journal, whatever the disk has of the rest
 *
 * The folder is copied as a machine without power would leave it: the store as of an earlier commit,
 * and the journal with what was acknowledged since.
 */
#include "store/journal.h"

#include "base/alloc.h"
#include "base/errors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#define CHANGES 3

static int base;        /* keys of this copy are base + 1 to base + CHANGES */
static char folder[] = "/tmp/t_journal.XXXXXX", copy[64];
static struct store *st;
static const struct store_options plain = { .map_bytes = 64 << 20 };

static void shell(const char *format, ...)
{
    char command[512];
    va_list ap;

    va_start(ap, format);
    vsnprintf(command, sizeof command, format, ap);
    va_end(ap);
    assert_int_equal(system(command), 0);
}

static void change(int key, const char *value)
{
    struct store_batch b = { { 0 } };

    store_batch_version(st, &b, "rows", &key, sizeof key, value, strlen(value));
    assert_int_equal(store_wait(st, store_submit(st, &b)), 0);
}

static uint64_t commits(void)
{
    struct store_stats s;

    store_stats(st, &s);
    return s.commits;
}

/* CHANGES new keys are in the journal of the copy, one a record, and not in its store. The writer
 * may commit at any moment, after which the journal begins again: then once more. */
static void copy_with_journal(void)
{
    uint64_t before;

    do {
        base += CHANGES;
        change(0, "zero");
        assert_int_equal(store_settle(st), 0);
        shell("rm -rf %s && mkdir %s && cp %s/data.mdb %s", copy, copy, folder, copy);
        before = commits();
        for (int i = 1; i <= CHANGES; i++)
            change(base + i, "changed");
    } while (commits() != before);
    shell("cp %s/journal %s", folder, copy);
}

static int present(struct store *other)
{
    struct buf b = { 0 };
    int n = 0;

    for (int i = base + 1; i <= base + CHANGES; i++)
        n += store_get(other, "rows", &i, sizeof i, &b) == 0;
    buf_fini(&b);
    return n;
}

static void opens_with(int changes)
{
    struct store *other;

    assert_int_equal(store_open(copy, &plain, &other), 0);
    assert_int_equal(present(other), changes);
    store_close(other);
}

/* Where record i is. */
static long place(int i)
{
    return (long)i * JOURNAL_ALIGN;
}

/* Twice is as if nothing had been. */
static void spoil(long at)
{
    char path[128];
    FILE *f;
    int c;

    snprintf(path, sizeof path, "%s/journal", copy);
    f = fopen(path, "r+");
    assert_non_null(f);
    assert_int_equal(fseek(f, at + 30, SEEK_SET), 0);
    c = fgetc(f);
    assert_int_equal(fseek(f, at + 30, SEEK_SET), 0);
    fputc(c ^ 1, f);
    fclose(f);
}

static bool see_time(void *arg, const void *key, size_t key_len, int64_t time_ns,
                     const void *value, size_t len)
{
    *(int64_t *)arg = time_ns;
    return true;
}

static void comes_back(void **state)
{
    int64_t here = 0, there = 0;
    struct store *other;
    int key;

    copy_with_journal();
    opens_with(CHANGES);
    opens_with(CHANGES);
    key = base + 2;
    /* with the time of its first commit */
    assert_int_equal(store_open(copy, &plain, &other), 0);
    assert_int_equal(versions_of(st, &key, sizeof key, 0, INT64_MAX, see_time, &here), 0);
    assert_int_equal(versions_of(other, &key, sizeof key, 0, INT64_MAX, see_time, &there), 0);
    assert_true(here > 0);
    assert_true(here == there);
    assert_true(versions_now(other) >= there);
    store_close(other);
}

static void torn_tail(void **state)
{
    copy_with_journal();
    spoil(place(2));
    opens_with(2);
    copy_with_journal();
    shell("truncate -s %ld %s/journal", place(1) + 40, copy);
    opens_with(1);
    copy_with_journal();
    shell("truncate -s 10 %s/journal", copy);
    opens_with(0);
}

static void hole(void **state)
{
    struct store *other;

    copy_with_journal();
    spoil(place(1));
    assert_int_equal(store_open(copy, &plain, &other), -ERR_FORMAT);
    spoil(place(1));        /* it was not touched */
    opens_with(CHANGES);
}

static void of_another_store(void **state)
{
    struct store *other;

    copy_with_journal();
    shell("rm %s/data.mdb", copy);
    assert_int_equal(store_open(copy, &plain, &other), -ERR_FORMAT);
    shell("rm %s/journal", copy);
    assert_int_equal(store_open(copy, &plain, &other), 0);
    store_close(other);
}

/* What is in the store already is not done again: the copy has both, and goes on by itself. */
static void old_journal(void **state)
{
    struct store *other;
    int key;

    copy_with_journal();
    key = base + 1;
    assert_int_equal(store_settle(st), 0);
    shell("cp %s/data.mdb %s", folder, copy);
    assert_int_equal(store_open(copy, &plain, &other), 0);
    assert_int_equal(store_delete(other, "rows", &key, sizeof key), 0);
    assert_int_equal(present(other), CHANGES - 1);
    store_close(other);
    opens_with(CHANGES - 1);
}

/* Acknowledged changes come back even if the limit of the map is too small for them by now. */
static void larger_than_the_map(void **state)
{
    struct store_options small = { .map_bytes = 64 << 10 };
    struct store *other;

    copy_with_journal();
    assert_int_equal(store_open(copy, &small, &other), 0);
    assert_int_equal(present(other), CHANGES);
    store_close(other);
}

/* More than the journal holds, by groups that each fit. */
static void goes_round(void **state)
{
    char *value = mem_zalloc(100001);
    struct buf b = { 0 };

    memset(value, 'x', 100000);
    for (int i = 1000; i < 1100; i++)
        change(i, value);
    store_close(st);
    assert_int_equal(store_open(folder, &plain, &st), 0);
    for (int i = 1000; i < 1100; i++)
        assert_int_equal(store_get(st, "rows", &i, sizeof i, &b), 0);
    assert_int_equal(b.len, 100 * 100000);
    buf_fini(&b);
    mem_free(value);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(comes_back), cmocka_unit_test(torn_tail), cmocka_unit_test(hole),
        cmocka_unit_test(of_another_store), cmocka_unit_test(old_journal),
        cmocka_unit_test(larger_than_the_map), cmocka_unit_test(goes_round),
    };
    int rc;

    cmocka_set_message_output(CM_OUTPUT_TAP);
    if (mkdtemp(folder) == NULL || store_open(folder, &plain, &st) < 0)
        return 1;
    snprintf(copy, sizeof copy, "%s.copy", folder);
    rc = cmocka_run_group_tests(tests, NULL, NULL);
    store_close(st);
    shell("rm -rf %s %s", folder, copy);
    return rc;
}
