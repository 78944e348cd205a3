/* SPDX-License-Identifier: Apache-2.0 */
/*
 * t_store.c - what is put is there, in order, and after reopening
 */
#include "store/versions.h"

#include "base/alloc.h"
#include "base/errors.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

static char folder[] = "/tmp/t_store.XXXXXX";
static struct store *st;
static const struct store_options plain = { .map_bytes = 1 << 20 };

static void reopen(void)
{
    store_close(st);
    assert_int_equal(store_open(folder, &plain, &st), 0);
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
    assert_int_equal(store_open(folder, &plain, &other), -ERR_VERSION);
    st = NULL;
}

static void no_folder_no_store(void **state)
{
    struct store *other;

    assert_int_equal(store_open("/proc/none/store", &plain, &other), -ERR_SYSTEM);
}

static void damage_is_refused(void **state)
{
    char dir[] = "/tmp/t_store_bad.XXXXXX", path[64];
    struct store *other;
    FILE *f;

    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/data.mdb", dir);
    f = fopen(path, "w");
    for (int i = 0; i < 5000; i++)
        fputs("not a store", f);
    fclose(f);
    assert_int_equal(store_open(dir, &plain, &other), -ERR_FORMAT);
    unlink(path);
    /* a good one cut short */
    assert_int_equal(store_open(dir, &plain, &other), 0);
    for (int i = 0; i < 200; i++)
        assert_int_equal(store_put(other, "x", &i, sizeof i, path, sizeof path), 0);
    store_close(other);
    assert_int_equal(truncate(path, 8192), 0);
    assert_int_equal(store_open(dir, &plain, &other), -ERR_FORMAT);
    f = fopen(path, "r");
    fseek(f, 0, SEEK_END);
    assert_int_equal(ftell(f), 8192);
    fclose(f);
    unlink(path);
    snprintf(path, sizeof path, "rm -rf %s", dir);
    assert_int_equal(system(path), 0);
}

static void one_owner(void **state)
{
    struct store *other;

    reopen();
    assert_int_equal(store_open(folder, &plain, &other), -ERR_BUSY);
}

static void full_then_grown(void **state)
{
    struct store_options more = { .map_bytes = 8 << 20 };
    struct store_batch b = { { 0 } };
    struct buf out = { 0 };
    char *value = mem_zalloc(100000);
    uint64_t ticket;
    int rc = 0;

    for (int i = 0; i < 20; i++)
        store_batch_put(st, &b, "big", &i, sizeof i, value, 100000);
    ticket = store_submit(st, &b);
    assert_int_equal(store_wait(st, ticket), -ERR_LIMIT);
    assert_int_equal(store_failure(st), -ERR_LIMIT);
    assert_int_equal(store_get(st, "big", &rc, sizeof rc, &out), -ERR_NOT_FOUND);
    store_configure(st, &more);
    while (store_failure(st) != 0)
        usleep(1000);
    assert_int_equal(store_get(st, "big", &rc, sizeof rc, &out), 0);
    assert_int_equal(out.len, 100000);
    assert_int_equal(store_check(st, &out), 0);
    buf_fini(&out);
    mem_free(value);
}

struct seen { char text[200]; int64_t time[16]; int n; };

static bool see(void *arg, const void *key, size_t key_len, int64_t time_ns, const void *value,
                size_t len)
{
    struct seen *s = arg;

    s->time[s->n++] = time_ns;
    snprintf(s->text + strlen(s->text), sizeof s->text - strlen(s->text), "%.*s:%.*s ",
             (int)key_len, (const char *)key, value == NULL ? 1 : (int)len,
             value == NULL ? "-" : (const char *)value);
    return true;
}

static int64_t version(const char *key, const char *value)
{
    struct store_batch b = { { 0 } };

    store_batch_version(st, &b, "rows", key, strlen(key), value,
                        value != NULL ? strlen(value) : 0);
    assert_int_equal(store_wait(st, store_submit(st, &b)), 0);
    return versions_now(st);
}

static void versions_are_kept(void **state)
{
    struct seen s = { "" };
    int64_t t[5];

    t[0] = version("0001a", "one");
    t[1] = version("0001b", "x");
    t[2] = version("0001a", "two");
    t[3] = version("0001b", NULL);
    t[4] = version("0001a", "three");
    for (int i = 1; i < 5; i++)
        assert_true(t[i] > t[i - 1]);
    assert_int_equal(versions_of(st, "0001a", 5, 0, INT64_MAX - 1, see, &s), 0);
    assert_string_equal(s.text, "0001a:one 0001a:two 0001a:three ");
    assert_int_equal(s.time[1], t[2]);
    s = (struct seen){ "" };
    assert_int_equal(versions_of(st, "0001a", 5, t[3], t[3], see, &s), 0);
    assert_string_equal(s.text, "0001a:two ");
    s = (struct seen){ "" };
    assert_int_equal(versions_at(st, "0001", 4, NULL, 0, t[2], see, &s), 0);
    assert_string_equal(s.text, "0001a:two 0001b:x ");
    s = (struct seen){ "" };
    assert_int_equal(versions_at(st, "0001", 4, NULL, 0, t[4], see, &s), 0);
    assert_string_equal(s.text, "0001a:three ");
    s = (struct seen){ "" };
    assert_int_equal(versions_at(st, "0001", 4, NULL, 0, t[0] - 1, see, &s), 0);
    assert_string_equal(s.text, "");
    versions_keep(st, (const uint8_t *)"0001", 1);
    for (int i = 0; i < 5000; i++) {    /* one slice a second, or less when there is more */
        s = (struct seen){ "" };
        assert_int_equal(versions_of(st, "0001a", 5, 0, INT64_MAX - 1, see, &s), 0);
        if (s.n == 1)
            break;
        usleep(1000);
    }
    assert_string_equal(s.text, "0001a:three ");
    s = (struct seen){ "" };
    assert_int_equal(versions_of(st, "0001b", 5, 0, INT64_MAX - 1, see, &s), 0);
    assert_string_equal(s.text, "");
}

static bool count_one(void *arg, const void *key, size_t key_len, const void *value, size_t len)
{
    ++*(int *)arg;
    return true;
}

static void dropped_in_the_background(void **state)
{
    struct store_batch b = { { 0 } };
    int n = 0;

    for (int i = 0; i < 5000; i++) {
        char key[16];

        snprintf(key, sizeof key, "0002%05d", i);
        store_batch_put(st, &b, "rows", key, 9, "v", 1);
    }
    store_batch_put(st, &b, "rows", "0003", 4, "v", 1);
    store_batch_drop(st, &b, "rows", "0002", 4);
    assert_int_equal(store_wait(st, store_submit(st, &b)), 0);
    for (int i = 0; i < 8000; i++) {
        n = 0;
        assert_int_equal(store_visit_from(st, "rows", "0002", 4, 4, count_one, &n), 0);
        if (n == 0)
            break;
        usleep(1000);
    }
    assert_int_equal(n, 0);
    assert_int_equal(store_visit_from(st, "rows", "0003", 4, 4, count_one, &n), 0);
    assert_int_equal(n, 1);
}

static void backup_is_a_store(void **state)
{
    char dir[] = "/tmp/t_store_copy.XXXXXX", path[64], command[200];
    struct store *copy;
    struct buf b = { 0 };
    int fd;

    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/data.mdb", dir);
    fd = open(path, O_RDWR | O_CREAT, 0600);
    assert_int_equal(store_put(st, "a", "saved", 5, "yes", 3), 0);
    assert_int_equal(store_put(st, "b", "hidden", 6, "hush, hush", 10), 0);
    assert_int_equal(store_backup(st, fd, (const char *const[]){ "b", NULL }), 0);
    close(fd);
    assert_int_equal(store_open(dir, &(struct store_options){ .map_bytes = 16 << 20 }, &copy), 0);
    assert_int_equal(store_get(copy, "a", "saved", 5, &b), 0);
    assert_int_equal(store_get(copy, "b", "hidden", 6, &b), -ERR_NOT_FOUND);
    assert_int_equal(store_check(copy, &b), 0);
    store_close(copy);
    /* not even somewhere between the pairs */
    snprintf(command, sizeof command, "grep -q yes %s && ! grep -q hush %s", path, path);
    assert_int_equal(system(command), 0);
    fd = open(path, O_RDWR | O_TRUNC);
    assert_int_equal(store_backup(st, fd, (const char *const[]){ NULL }), 0);
    close(fd);
    assert_int_equal(store_open(dir, &(struct store_options){ .map_bytes = 16 << 20 }, &copy), 0);
    assert_int_equal(store_get(copy, "b", "hidden", 6, &b), 0);
    store_close(copy);
    buf_fini(&b);
    snprintf(path, sizeof path, "rm -rf %s", dir);
    assert_int_equal(system(path), 0);
}

static bool slowly(void *arg, const void *key, size_t key_len, const void *value, size_t len)
{
    usleep(10000);
    return true;
}

static _Atomic int events[4];       /* also counted by the writer's thread */

static void on_event(enum store_event event, const char *text)
{
    atomic_fetch_add(&events[event], 1);
}

static void long_readers_are_ended(void **state)
{
    struct store_options strict = { .map_bytes = 8 << 20, .reader_max_ms = 10 };
    int n = 0;

    store_on_event(st, on_event);
    store_configure(st, &strict);
    for (int i = 0; i < 300; i++)
        assert_int_equal(store_put(st, "slow", &i, sizeof i, "x", 1), 0);
    assert_int_equal(store_visit(st, "slow", false, slowly, NULL), -ERR_TIMEOUT);
    assert_int_equal(events[STORE_READER_ENDED], 1);
    strict.reader_max_ms = 0;
    store_configure(st, &strict);
    assert_int_equal(store_visit(st, "slow", false, count_one, &n), 0);
    assert_int_equal(n, 300);
}

static uint64_t submit_one(int key)
{
    struct store_batch b = { { 0 } };

    store_batch_put(st, &b, "modes", &key, sizeof key, "x", 1);
    return store_submit(st, &b);
}

/* With an interval nobody waits for the disk, unless he asks; with off, for the system only. */
static void other_modes(void **state)
{
    struct store_options lazy = { .map_bytes = 8 << 20, .sync = STORE_SYNC_INTERVAL,
                                  .interval_ms = 60000 };
    struct store_options off = { .map_bytes = 8 << 20, .sync = STORE_SYNC_OFF };
    struct buf b = { 0 };
    int key = 1;

    store_configure(st, &lazy);
    assert_int_equal(store_wait(st, submit_one(1)), 0);
    assert_int_equal(store_get(st, "modes", &key, sizeof key, &b), -ERR_NOT_FOUND);
    assert_int_equal(store_put(st, "modes", "now", 3, "x", 1), 0);  /* takes the other along */
    assert_int_equal(store_get(st, "modes", &key, sizeof key, &b), 0);
    store_configure(st, &off);
    key = 2;
    assert_int_equal(store_wait(st, submit_one(2)), 0);
    assert_int_equal(store_get(st, "modes", &key, sizeof key, &b), 0);
    buf_fini(&b);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(put_get_delete), cmocka_unit_test(visits_in_order),
        cmocka_unit_test(all_or_nothing), cmocka_unit_test(damage_is_refused),
        cmocka_unit_test(one_owner), cmocka_unit_test(full_then_grown),
        cmocka_unit_test(versions_are_kept), cmocka_unit_test(dropped_in_the_background),
        cmocka_unit_test(backup_is_a_store), cmocka_unit_test(long_readers_are_ended),
        cmocka_unit_test(other_modes), cmocka_unit_test(newer_format_is_refused),
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
    snprintf(path, sizeof path, "%s/owner.lock", folder);
    unlink(path);
    rmdir(folder);
    return rc;
}
