/* SPDX-License-Identifier: Apache-2.0 */
/*
 * t_words.c - units, suggestions, marked lines and the log
 */
#include "base/bytes.h"
#include "base/diag.h"
#include "base/log.h"
#include "base/suggest.h"
#include "base/units.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

static void durations(void **state)
{
    static const struct { const char *text; int64_t ms; } good[] = {
        { "50ms", 50 }, { "10s", 10000 }, { "5m", 300000 }, { "1h", 3600000 }, { "2d", 172800000 },
        { "0s", 0 }, { "10 s", 10000 },
    };
    static const char *const bad[] = { "", "10", "s", "-1s", "1.5h", "1x", "99999999999999999999d",
                                       "9223372036854775807d" };
    int64_t ms;

    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_true(duration_parse(good[i].text, &ms));
        assert_int_equal(ms, good[i].ms);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(duration_parse(bad[i], &ms));
}

static void sizes_and_counts(void **state)
{
    int64_t n;

    assert_true(size_parse("64KiB", &n) && n == 65536);
    assert_true(size_parse("1MB", &n) && n == 1000000);
    assert_true(size_parse("0B", &n) && n == 0);
    assert_false(size_parse("64", &n));
    assert_false(size_parse("64 kib", &n));
    assert_true(count_parse("1_048_576", &n) && n == 1048576);
    assert_false(count_parse("_1", &n));
    assert_false(count_parse("1_", &n));
    assert_false(count_parse("1__0", &n));
    assert_false(count_parse("-1", &n));
}

static void texts_for_people(void **state)
{
    char t[UNIT_TEXT_MAX];

    assert_string_equal(size_text(512, t), "512 B");
    assert_string_equal(size_text(2048, t), "2.0 KiB");
    assert_string_equal(size_text(41 << 20, t), "41 MiB");
    assert_string_equal(size_text((uint64_t)3 << 29, t), "1.5 GiB");
    assert_string_equal(count_text(18204, t), "18,204");
    assert_string_equal(count_text(7, t), "7");
    assert_string_equal(count_text(1048576, t), "1,048,576");
    assert_string_equal(rate_text(1200000, t), "1.2M");
    assert_string_equal(age_text((int64_t)(12 * 86400 + 4 * 3600) * 1000000000, t), "12d 4h");
    assert_string_equal(age_text((int64_t)7200 * 1000000000, t), "2h");
    assert_string_equal(age_text(40000000, t), "40 ms");
}

static void nearest_words(void **state)
{
    static const char *const known[] = { "status", "stop", "trace", "tree", "map_size" };

    assert_int_equal(edit_distance("kitten", "sitting"), 3);
    assert_int_equal(edit_distance("ab", "ba"), 1);
    assert_int_equal(edit_distance("", "abc"), 3);
    assert_int_equal(edit_distance("same", "same"), 0);
    assert_string_equal(suggest_nearest("stauts", known, 5), "status");
    assert_string_equal(suggest_nearest("mapsize", known, 5), "map_size");
    assert_string_equal(suggest_nearest("tre", known, 5), "tree");
    assert_null(suggest_nearest("foo", (const char *const[]){ "top" }, 1));
    assert_null(suggest_nearest("xylophone", known, 5));
}

static void marked_lines(void **state)
{
    struct buf b = { 0 };
    struct diag d = { .code = "RN0402", .file = "a.conf", .line = 2, .column = 3, .width = 4,
                      .message = "what", .note = "why", .help = "this" };

    diag_print(&b, &d, "first\n  word = 1\nlast", false);
    assert_string_equal(buf_cstr(&b), "error[RN0402]: what\n  --> a.conf:2:3\n2|   word = 1\n"
                                      " |   ^^^^ why\n  = Try:  this\n");
    buf_fini(&b);
    d.line = 9; /* beyond the end: no marker, no crash */
    diag_print(&b, &d, "first\n", false);
    assert_null(strchr(buf_cstr(&b), '^'));
    buf_fini(&b);
}

/* --- log ------------------------------------------------------------------------------------- */

static bool count_crashes(void *arg, const struct log_record *r)
{
    *(size_t *)arg += strcmp(r->event, "test.flood") == 0;
    return true;
}

static size_t read_back(int fd, char *out, size_t max)
{
    ssize_t n;

    lseek(fd, 0, SEEK_SET);
    n = read(fd, out, max - 1);
    assert_true(n >= 0);
    out[n] = 0;
    return (size_t)n;
}

static int temp_file(void)
{
    char path[] = "/tmp/t_words.XXXXXX";
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    unlink(path);
    return fd;
}

static void records_have_a_form(void **state)
{
    int fd = temp_file();
    char text[4096];

    log_configure(LOG_LEVEL_INFO, LOG_FORMAT_JSON, fd);
    LOG(WARNING, "peer.down", LOG_FIELDS("peer", "a \"b\""), "silent for %d s", 15);
    LOG(DEBUG, "peer.noise", NULL, "not written");
    read_back(fd, text, sizeof text);
    assert_non_null(strstr(text, "\"level\":\"warning\",\"event\":\"peer.down\",\"msg\":"
                                 "\"silent for 15 s\",\"peer\":\"a \\\"b\\\"\"}\n"));
    assert_null(strstr(text, "noise"));
    log_configure(LOG_LEVEL_INFO, LOG_FORMAT_LOGFMT, fd);
    LOG(INFO, "x.y", LOG_FIELDS("k", "v"), "control \x1b[31m char");
    read_back(fd, text, sizeof text);
    assert_null(strchr(text, '\x1b'));
    assert_non_null(strstr(text, "level=info event=x.y"));
    close(fd);
}

static void levels_by_subsystem(void **state)
{
    log_configure(LOG_LEVEL_WARNING, LOG_FORMAT_TEXT, STDERR_FILENO);
    log_subsystem_level("peer", LOG_LEVEL_DEBUG);
    assert_true(log_wants(LOG_LEVEL_DEBUG, "peer.down"));
    assert_false(log_wants(LOG_LEVEL_INFO, "peers.down"));
    assert_false(log_wants(LOG_LEVEL_INFO, "node.x"));
    log_levels_reset();
    assert_false(log_wants(LOG_LEVEL_DEBUG, "peer.down"));
}

static void one_site_cannot_flood(void **state)
{
    int fd = open("/dev/null", O_WRONLY);
    size_t n = 0;

    log_configure(LOG_LEVEL_INFO, LOG_FORMAT_TEXT, fd);
    for (int i = 0; i < 5000; i++)
        LOG(INFO, "test.flood", NULL, "record %d", i);
    log_visit(0, count_crashes, &n);
    assert_true(n >= LOG_SITE_PER_S);
    assert_true(n <= 3 * LOG_SITE_PER_S); /* the loop may cross a second or two */
    log_configure(LOG_LEVEL_INFO, LOG_FORMAT_TEXT, STDERR_FILENO);
    close(fd);
}

/* One datagram a record; a value of several lines has its length before it. */
static void journal_fields(void **state)
{
    char got[4096] = "";
    int fds[2];
    ssize_t n;

    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds), 0);
    log_configure(LOG_LEVEL_INFO, LOG_FORMAT_JOURNAL, fds[1]);
    LOG(WARNING, "node.end", LOG_FIELDS("pid", "<0.1.0>", "why", "a\nb"), "it ends");
    n = recv(fds[0], got, sizeof got - 1, 0);
    assert_true(n > 0);
    assert_non_null(strstr(got, "MESSAGE=it ends\nPRIORITY=4\n"));
    assert_non_null(strstr(got, "RNODE_EVENT=node.end\nMESSAGE_ID="));
    assert_non_null(strstr(got, "RNODE_PID=<0.1.0>\nRNODE_WHY\n\x03"));
    assert_memory_equal(got + n - 4, "a\nb\n", 4);
    LOG(INFO, "none.such", NULL, "not in the catalogue");
    n = recv(fds[0], got, sizeof got - 1, 0);
    got[n] = 0;
    assert_null(strstr(got, "MESSAGE_ID"));
    log_configure(LOG_LEVEL_INFO, LOG_FORMAT_TEXT, STDERR_FILENO);
    close(fds[0]);
    close(fds[1]);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations), cmocka_unit_test(sizes_and_counts),
        cmocka_unit_test(texts_for_people), cmocka_unit_test(nearest_words),
        cmocka_unit_test(marked_lines), cmocka_unit_test(records_have_a_form),
        cmocka_unit_test(levels_by_subsystem), cmocka_unit_test(one_site_cannot_flood),
        cmocka_unit_test(journal_fields),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
