/* SPDX-License-Identifier: Apache-2.0 */
/*
 * t_core.c - what core_check refuses, what core_read refuses, limits of the emitter
 */
#include "base/errors.h"
#include "lang/core_text.h"
#include "lang/emit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct core_span nowhere = { 0 };

/* Read, then emit; the first code that is not 0. Needle: part of the message. */
static void expect(const char *text, int code, const char *needle)
{
    struct arena arena = { 0 };
    struct buf beam = { 0 };
    struct core_module *m;
    struct core_error error = { .text = "" };
    int rc = core_read(&arena, text, strlen(text), &m, &error);

    if (rc == 0)
        rc = lang_emit(m, &beam, &error);
    assert_int_equal(rc, code);
    if (code != 0 && strstr(error.text, needle) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", error.text, needle);
    buf_fini(&beam);
    arena_fini(&arena);
}

#define F(body) "(module 'm' (export (f 1)) (def f (x) " body "))"

static void test_text(void **state)
{
    (void)state;
    expect(F("x"), 0, "");
    expect("", -ERR_FORMAT, "( was expected");
    expect("(module 'm' (def f (x) (tuple x)", -ERR_FORMAT, "expected");
    expect(F("y"), -ERR_FORMAT, "no variable y");
    expect(F("(jump l x)"), -ERR_FORMAT, "no join");
    expect(F("'a"), -ERR_FORMAT, "quote has no end");
    expect(F("(case (x) ((7 8) - 1))"), -ERR_ARGUMENT, "as many patterns");
    expect(F("(bits (nothing x))"), -ERR_FORMAT, "type of segment");
}

static void test_rules(void **state)
{
    (void)state;
    expect(F("(call g x)"), -ERR_ARGUMENT, "no function g/1");
    expect(F("(join l (a) (tuple (jump l x)) a)"), -ERR_ARGUMENT, "a jump out of");
    expect(F("(join l (a) (fn () (jump l x)) a)"), -ERR_ARGUMENT, "a jump out of");
    expect(F("(join l (a) (try (jump l x) v v (c r t) c) a)"), -ERR_ARGUMENT, "a jump out of");
    expect(F("(join l (a) (jump l) a)"), -ERR_ARGUMENT, "wrong number of values");
    expect(F("(join l (a) (jump l x) (tuple a x))"), 0, "");
    expect(F("(case (x) ((y) (call f y) 1))"), -ERR_ARGUMENT, "guard");
    expect(F("(case (x) ((y) (spawn y) 1))"), -ERR_ARGUMENT, "guard");
    expect(F("(case (x) (((bits (binary y - 8 0) (integer z 8 1 0))) - 1))"), -ERR_ARGUMENT,
           "takes all");
}

static void test_bound_once(void **state)
{
    struct arena arena = { 0 };
    struct core_module *m = core_module_new(&arena, "m", 1);
    struct core_error error;
    core_var v = core_var_new(m, "v");
    struct core_expr *use = core_use(m, nowhere, v);
    struct core_expr *twice =
        core_let(m, nowhere, v, core_lit(m, nowhere, cc_int(m, 1)),
                 core_let(m, nowhere, v, core_lit(m, nowhere, cc_int(m, 2)), use));

    (void)state;
    core_add_function(m, "f", 1, core_fun_new(m, nowhere, NULL, 0, twice), true);
    assert_int_equal(core_check(m, &error), -ERR_ARGUMENT);
    assert_non_null(strstr(error.text, "bound twice"));
    arena_fini(&arena);
}

/* n tuples one in the other. */
static int emit_nested(size_t n, struct core_error *error)
{
    struct arena arena = { 0 };
    struct core_module *m = core_module_new(&arena, "m", 1);
    core_var x = core_var_new(m, "x");
    struct core_expr *e = core_use(m, nowhere, x);
    struct buf beam = { 0 };
    int rc;

    for (size_t i = 0; i < n; i++)
        e = core_tuple(m, nowhere, &e, 1);
    core_add_function(m, "f", 1, core_fun_new(m, nowhere, &x, 1, e), true);
    rc = lang_emit(m, &beam, error);
    buf_fini(&beam);
    arena_fini(&arena);
    return rc;
}

static void test_depth(void **state)
{
    struct core_error error;

    (void)state;
    assert_int_equal(emit_nested(CORE_DEPTH_MAX, &error), 0);
    assert_int_equal(emit_nested(CORE_DEPTH_MAX + 1, &error), -ERR_LIMIT);
    assert_non_null(strstr(error.text, "nested"));
    assert_int_equal(emit_nested(100000, &error), -ERR_LIMIT);
}

/* A sequence takes no depth, however long. */
static void test_sequence(void **state)
{
    struct arena arena = { 0 };
    struct core_module *m = core_module_new(&arena, "m", 1);
    core_var x = core_var_new(m, "x"), last = x, *vars;
    struct core_expr *e;
    struct buf beam = { 0 };
    struct core_error error;
    size_t n = 50000;

    (void)state;
    vars = ARENA_NEW_ARRAY(&arena, core_var, n);
    for (size_t i = 0; i < n; i++)
        vars[i] = core_var_new(m, NULL);
    e = core_use(m, nowhere, vars[n - 1]);
    for (size_t i = n; i-- > 0;) {
        last = i == 0 ? x : vars[i - 1];
        e = core_let(m, nowhere, vars[i],
                     core_tuple(m, nowhere, (struct core_expr *[]){ core_use(m, nowhere, last) },
                                1), e);
    }
    core_add_function(m, "f", 1, core_fun_new(m, nowhere, &x, 1, e), true);
    assert_int_equal(lang_emit(m, &beam, &error), 0);
    buf_fini(&beam);
    arena_fini(&arena);
}

static void test_constants(void **state)
{
    struct arena arena = { 0 };
    struct core_module *m = core_module_new(&arena, "m", 1);
    const uint8_t big[] = { 0, 0, 0, 0, 0, 0, 0, 0x80 };
    const struct core_const *pairs[] = { cc_int(m, 1), cc_int(m, 2), cc_int(m, 1), cc_int(m, 3) };
    const struct core_const *map = cc_map(m, pairs, 2);

    (void)state;
    assert_int_equal(cc_big(m, true, big, 8)->kind, CC_INT);
    assert_int_equal(cc_big(m, false, big, 8)->kind, CC_BIG);
    assert_int_equal(map->n, 1);
    assert_true(cc_equal(map->elements[1], cc_int(m, 3)));
    assert_true(cc_equal(cc_binary(m, "ab", 2), cc_bits(m, "ab", 16)));
    assert_false(cc_equal(cc_binary(m, "ab", 2), cc_bits(m, "ab", 15)));
    assert_false(cc_equal(cc_float(m, 0.0), cc_float(m, -0.0)));
    assert_ptr_equal(core_atom(m, "x", 1), core_atom(m, "x", 1));
    arena_fini(&arena);
}

/* A chunk of that name, or NULL. */
static const uint8_t *find_chunk(const struct buf *beam, const char *tag, size_t *ret_len)
{
    struct reader r = reader_make(beam->data, beam->len);

    (void)reader_take(&r, 12);
    while (reader_left(&r) >= 8) {
        const uint8_t *name = reader_take(&r, 4);
        size_t len = reader_u32(&r);
        const uint8_t *data = reader_take(&r, (len + 3) & ~(size_t)3);

        *ret_len = len;
        if (data != NULL && memcmp(name, tag, 4) == 0)
            return data;
    }
    return NULL;
}

static void test_chunks(void **state)
{
    static const char text[] = "(module 'm' (export (f 1)) (attribute 'author' 'me')"
                               " (def f (x) (map x ('k' (fn () (list \"lit\" x))))))";
    static const char *const tags[] = { "AtU8", "Code", "StrT", "ImpT", "ExpT", "FunT", "LocT",
                                        "Attr", "CInf", "Line", "Docs", "RnSp" };
    struct arena arena = { 0 };
    struct buf beam = { 0 };
    struct core_module *m;
    struct core_error error;
    const uint8_t *data;
    size_t len;

    (void)state;
    assert_int_equal(core_read(&arena, text, strlen(text), &m, &error), 0);
    core_add_file(m, "m.core");
    m->doc = "What m does";
    assert_int_equal(lang_emit(m, &beam, &error), 0);
    for (size_t i = 0; i < ARRAY_LEN(tags); i++)
        if (find_chunk(&beam, tags[i], &len) == NULL)
            fail_msg("no chunk %s", tags[i]);
    data = find_chunk(&beam, "Docs", &len);
    assert_non_null(memmem(data, len, "What m does", 11));
    data = find_chunk(&beam, "Attr", &len);
    assert_non_null(memmem(data, len, "author", 6));
    assert_non_null(memmem(data, len, "vsn", 3));
    data = find_chunk(&beam, "RnSp", &len);
    assert_non_null(memmem(data, len, "m.core", 6));
    buf_fini(&beam);
    arena_fini(&arena);
}

/* What is written is read again as the same. */
static void test_dump(void **state)
{
    static const char text[] =
        "(module 'm' (export (f 2)) (def f (x y) (let a (map - ('k' x) (2 1.5)) (case (a y)"
        " (((map ('k' p)) (list q | r)) (and (> p 1) (is_list r)) (tuple p q r))"
        " (((= m _) (bits (string \"ab\") (integer c 8 1 0) (binary d - 8 0))) - (list m c d))"
        " ((_ _) - (try (raise 'error' \"why\") v v (c r t) (seq (self) (tuple c r))))))))";
    struct arena arena = { 0 };
    struct buf once = { 0 }, twice = { 0 };
    struct core_module *m;
    struct core_error error;

    (void)state;
    assert_int_equal(core_read(&arena, text, strlen(text), &m, &error), 0);
    core_dump(&once, m);
    assert_int_equal(core_read(&arena, buf_cstr(&once), once.len, &m, &error), 0);
    core_dump(&twice, m);
    /* Names get a number each time they are made. */
    assert_true(twice.len >= once.len);
    assert_non_null(strstr(buf_cstr(&twice), "(string \"ab\")"));
    buf_fini(&once);
    buf_fini(&twice);
    arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text), cmocka_unit_test(test_rules),
        cmocka_unit_test(test_bound_once), cmocka_unit_test(test_depth),
        cmocka_unit_test(test_sequence), cmocka_unit_test(test_constants),
        cmocka_unit_test(test_dump), cmocka_unit_test(test_chunks),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
