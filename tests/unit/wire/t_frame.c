/* SPDX-License-Identifier: Apache-2.0 */
/*
 * t_frame.c - control frames, whole, in pieces and broken
 */
#include "wire/frame.h"

#include "base/errors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void add_request(struct buf *out, uint32_t id, char *command, char *arg)
{
    frame_t f = RNODE__CONTROL__CONTROL__INIT;
    request_t r = RNODE__CONTROL__REQUEST__INIT;

    r.command = command;
    r.n_args = 1;
    r.args = &arg;
    f.id = id;
    f.body_case = RNODE__CONTROL__CONTROL__BODY_REQUEST;
    f.request = &r;
    assert_int_equal(frame_write(out, &f), 0);
}

static void comes_back_as_it_went(void **state)
{
    struct buf b = { 0 };
    frame_t *f;
    size_t used;

    add_request(&b, 7, (char *)"ps", (char *)"ä");
    add_request(&b, 8, (char *)"names", (char *)"");
    assert_int_equal(frame_read(b.data, b.len, &f, &used), 1);
    assert_int_equal(f->id, 7);
    assert_string_equal(f->request->command, "ps");
    assert_string_equal(f->request->args[0], "ä");
    frame_free(f);
    assert_int_equal(frame_read(b.data + used, b.len - used, &f, &used), 1);
    assert_int_equal(f->id, 8);
    frame_free(f);
    buf_fini(&b);
}

static void every_prefix_asks_for_more(void **state)
{
    struct buf b = { 0 };
    frame_t *f;
    size_t used;

    add_request(&b, 1, (char *)"status", (char *)"x");
    for (size_t n = 0; n < b.len; n++)
        assert_int_equal(frame_read(b.data, n, &f, &used), 0);
    buf_fini(&b);
}

static void liars_are_found_out(void **state)
{
    static const uint8_t too_long[] = { 0, 16, 0, 1, 0 };
    static const uint8_t no_body[] = { 0, 0, 0, 2, 0x08, 0x01 };
    static const uint8_t garbage[] = { 0, 0, 0, 3, 0xFF, 0xFF, 0xFF };
    struct buf b = { 0 };
    frame_t *f;
    size_t used;

    assert_int_equal(frame_read(too_long, sizeof too_long, &f, &used), -ERR_LIMIT);
    assert_int_equal(frame_read(no_body, sizeof no_body, &f, &used), -ERR_PROTOCOL);
    assert_int_equal(frame_read(garbage, sizeof garbage, &f, &used), -ERR_PROTOCOL);
    add_request(&b, 1, (char *)"ps", (char *)"\xC0\xAF"); /* an overlong slash */
    assert_int_equal(frame_read(b.data, b.len, &f, &used), -ERR_PROTOCOL);
    buf_fini(&b);
    add_request(&b, 1, (char *)"ps", (char *)"\xED\xA0\x80"); /* half of a surrogate pair */
    assert_int_equal(frame_read(b.data, b.len, &f, &used), -ERR_PROTOCOL);
    buf_fini(&b);
}

/* Each byte of a frame flipped in turn: refused or read, never a crash. */
static void flipped_bytes(void **state)
{
    struct buf b = { 0 };

    add_request(&b, 300, (char *)"deploy", (char *)"some/path.beam");
    for (size_t i = 0; i < b.len * 8; i++) {
        frame_t *f = NULL;
        size_t used;

        b.data[i / 8] ^= (uint8_t)(1 << i % 8);
        if (frame_read(b.data, b.len, &f, &used) == 1)
            frame_free(f);
        b.data[i / 8] ^= (uint8_t)(1 << i % 8);
    }
    buf_fini(&b);
}

static void too_large_is_refused(void **state)
{
    frame_t f = RNODE__CONTROL__CONTROL__INIT;
    chunk_t c = RNODE__CONTROL__CHUNK__INIT;
    struct buf b = { 0 }, data = { 0 };

    memset(buf_room(&data, FRAME_BYTES_MAX), 'x', FRAME_BYTES_MAX);
    c.data.data = data.data;
    c.data.len = data.len;
    f.body_case = RNODE__CONTROL__CONTROL__BODY_CHUNK;
    f.chunk = &c;
    assert_int_equal(frame_write(&b, &f), -ERR_LIMIT);
    assert_int_equal(b.len, 0);
    buf_fini(&b);
    buf_fini(&data);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(comes_back_as_it_went), cmocka_unit_test(every_prefix_asks_for_more),
        cmocka_unit_test(liars_are_found_out), cmocka_unit_test(flipped_bytes),
        cmocka_unit_test(too_large_is_refused),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
