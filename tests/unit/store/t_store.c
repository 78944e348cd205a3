/* SPDX-License-Identifier: Apache-2.0 */
/*
 * t_store.c - what is put is there, in order, and after reopening
 */
#include "store/store.h"

#include "base/alloc.h"
#include "base/errors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

static char folder[] = "/tmp/t_store.XXXXXX";
static struct store *st;

static void reopen(void)
{
    store_close(st);
    assert_int_equal(store_open(folder, 1 << 20, true, &st), 0);
}

static void put_get_delete(void **state)
{
    struct buf b = { 0 };

    reopen();
    assert_int_equal(store_get(st, "a", "k", 1, &b), -ERR_NOT_FOUND);
    assert_int_equal(store_put(st, "a", "k", 1, "value", 5), 0);
    assert_int_equal(store_put(st, "b", "k", 1, "other", 5), 0);
    reopen();
    assert_int_equal(store_get(st, "a", "k", 1, &b), 0);
    assert_string_equal(buf_cstr(&b), "value");
    assert_int_equal(store_delete(st, "a", "k", 1), 0);
    assert_int_equal(store_delete(st, "a", "k", 1), 0);
    assert_int_equal(store_get(st, "a", "k", 1, &b), -ERR_NOT_FOUND);
    buf_fini(&b);
}

static bool join_keys(void *arg, const void *key, size_t key_len, const void *value, size_t len)
{
    buf_add(arg, key, key_len);
    return true;
}

static void visits_in_order(void **state)
{
    struct buf b = { 0 };

    assert_int_equal(store_visit(st, "none", false, join_keys, &b), 0);
    for (const char *s = "cadb"; *s != 0; s++)
        assert_int_equal(store_put(st, "order", s, 1, "", 0), 0);
    assert_int_equal(store_visit(st, "order", false, join_keys, &b), 0);
    assert_int_equal(store_visit(st, "order", true, join_keys, &b), 0);
    assert_string_equal(buf_cstr(&b), "abcddcba");
    buf_fini(&b);
}

static void all_or_nothing(void **state)
{
    char *huge = mem_zalloc(2 << 20);
    struct buf b = { 0 };
    struct store_write w[] = {
        { "atomic", "1", 1, "x", 1 }, { "atomic", "2", 1, huge, 2 << 20 },
    };

    assert_int_equal(store_write_all(st, w, 2), -ERR_LIMIT);
    assert_int_equal(store_get(st, "atomic", "1", 1, &b), -ERR_NOT_FOUND);
    assert_int_equal(store_write_all(st, w, 1), 0);
    assert_int_equal(store_get(st, "atomic", "1", 1, &b), 0);
    buf_fini(&b);
    mem_free(huge);
}

static void newer_format_is_refused(void **state)
{
    uint32_t next = STORE_FORMAT + 1;
    struct store *other;

    assert_int_equal(store_put(st, "meta", "format", 6, &next, sizeof next), 0);
    store_close(st);
    assert_int_equal(store_open(folder, 1 << 20, true, &other), -ERR_VERSION);
    st = NULL;
}

static void no_folder_no_store(void **state)
{
    struct store *other;

    assert_int_equal(store_open("/proc/none/store", 1 << 20, true, &other), -ERR_SYSTEM);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(put_get_delete), cmocka_unit_test(visits_in_order),
        cmocka_unit_test(all_or_nothing), cmocka_unit_test(newer_format_is_refused),
        cmocka_unit_test(no_folder_no_store),
    };
    char path[64];
    int rc;

    cmocka_set_message_output(CM_OUTPUT_TAP);
    if (mkdtemp(folder) == NULL)
        return 1;
    rc = cmocka_run_group_tests(tests, NULL, NULL);
    store_close(st);
    snprintf(path, sizeof path, "%s/data.mdb", folder);
    unlink(path);
    snprintf(path, sizeof path, "%s/lock.mdb", folder);
    unlink(path);
    rmdir(folder);
    return rc;
}
