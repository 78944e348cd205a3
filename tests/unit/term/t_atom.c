/* SPDX-License-Identifier: Apache-2.0 */
/*
 * t_atom.c - the table of atoms, alone and from several threads at once
 */
#include "term/atom.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define THREADS 4
#define NAMES   20000

static void well_known(void **state)
{
    static const struct { uint32_t index; const char *text; } rows[] = {
#define ATOM(name, text) { ATOM_INDEX_##name, text },
#include "term/atoms.tab"
#undef ATOM
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_string_equal(atom_text(atom_make(rows[i].index), NULL), rows[i].text);
        assert_true(atom_from_cstr(rows[i].text) == atom_make(rows[i].index));
    }
    assert_true(atom_from_cstr("true") == ATOM_true);
    assert_int_equal(atom_index(ATOM_false), 0);
}

static void texts(void **state)
{
    char long_text[1100];
    term a = atom_from_latin1("\xE9t\xE9", 3);
    size_t len;

    assert_string_equal(atom_text(a, &len), "\xC3\xA9t\xC3\xA9");
    assert_int_equal(len, 5);
    assert_int_equal(atom_chars(a), 3);
    assert_true(a == atom_existing_utf8("\xC3\xA9t\xC3\xA9", 5));
    assert_true(atom_existing_utf8("never made", 10) == TERM_NONE);
    assert_int_equal(atom_hash(atom_from_latin1("\xE9", 1)), 233);
    assert_int_equal(atom_hash(atom_from_cstr("a")), 97);
    memset(long_text, 'x', sizeof long_text);
    assert_true(atom_from_utf8(long_text, 255) != TERM_NONE);
    assert_true(atom_from_utf8(long_text, 256) == TERM_NONE);
    assert_true(atom_from_latin1(long_text, 256) == TERM_NONE);
    for (size_t i = 0; i < sizeof long_text; i += 4)
        memcpy(long_text + i, "\xF0\x9F\x98\x80", 4);
    assert_true(atom_from_utf8(long_text, 1020) != TERM_NONE);
    assert_int_equal(atom_chars(atom_from_utf8(long_text, 1020)), 255);
    assert_true(atom_from_utf8(long_text, 1024) == TERM_NONE);
    assert_true(atom_from_utf8(long_text, 1019) == TERM_NONE);
    assert_true(atom_from_utf8("\xC0\x80", 2) == TERM_NONE);
    assert_true(atom_from_utf8("\xED\xA0\x80", 3) == TERM_NONE);
    assert_true(atom_from_utf8("\xF4\x90\x80\x80", 4) == TERM_NONE);
    assert_int_equal(atom_chars(atom_from_utf8("a\0b", 3)), 3);
}

static void order(void **state)
{
    static const char *const rising[] = { "", "Z", "a", "ab", "b", "\xC3\xA9", "\xF0\x9F\x98\x80" };

    for (size_t i = 0; i < ARRAY_LEN(rising); i++)
        for (size_t j = 0; j < ARRAY_LEN(rising); j++) {
            int c = atom_cmp(atom_from_cstr(rising[i]), atom_from_cstr(rising[j]));

            assert_int_equal((c > 0) - (c < 0), (i > j) - (i < j));
        }
}

static void *insert_all(void *arg)
{
    term *got = arg;
    char text[32];

    for (int i = 0; i < NAMES; i++) {
        int n = snprintf(text, sizeof text, "shared name %d", i);

        got[i] = atom_from_utf8(text, (size_t)n);
    }
    return NULL;
}

static void threads_agree(void **state)
{
    static term got[THREADS][NAMES];
    pthread_t thread[THREADS];
    uint32_t before = atom_count();
    char text[32];

    for (int i = 0; i < THREADS; i++)
        pthread_create(&thread[i], NULL, insert_all, got[i]);
    for (int i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    assert_int_equal(atom_count(), before + NAMES);
    for (int i = 0; i < NAMES; i++) {
        snprintf(text, sizeof text, "shared name %d", i);
        assert_string_equal(atom_text(got[0][i], NULL), text);
        for (int k = 1; k < THREADS; k++)
            assert_true(got[k][i] == got[0][i]);
    }
}

static void table_fills_up(void **state)
{
    char text[32];
    uint32_t i;

    for (i = atom_count(); i < atom_max(); i++) {
        int n = snprintf(text, sizeof text, "filler %u", i);

        assert_true(atom_from_utf8(text, (size_t)n) != TERM_NONE);
    }
    assert_true(atom_from_utf8("one more", 8) == TERM_NONE);
    assert_true(atom_from_utf8("true", 4) == ATOM_true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(well_known), cmocka_unit_test(texts), cmocka_unit_test(order),
        cmocka_unit_test(threads_agree), cmocka_unit_test(table_fills_up),
    };

    atom_table_init(40000);
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
