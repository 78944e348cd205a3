/* SPDX-License-Identifier: Apache-2.0 */
/*
 * t_order.c - text, order and hashes of terms against what OTP gave
 *
 * order.terms: one term a line in OTP's order, with its phash2 in 32 bits, as erl printed them.
 */
#include "heap/heap.h"
#include "heap/parse.h"
#include "term/atom.h"
#include "term/compare.h"
#include "term/print.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LINES_MAX 2000

static struct heap heap;
static struct { term t; uint32_t hash; char *text; } line[LINES_MAX];
static size_t lines;

static term read_term(const char *text)
{
    char err[100] = "";
    size_t used = 0;
    term t = parse_term(&heap, text, strlen(text), &used, err, sizeof err);

    if (t == TERM_NONE || used != strlen(text))
        fail_msg("%s: %s (%zu)", text, err, used);
    return t;
}

static int setup(void **state)
{
    FILE *f = fopen(TESTS_SRCDIR "/unit/term/order.terms", "r");
    char *text = NULL;
    size_t cap = 0;

    atom_table_init(0);
    literal_region_init();
    heap_bag_init(&heap);
    if (f == NULL)
        return -1;
    while (getline(&text, &cap, f) > 0) {
        char *end;

        line[lines].hash = (uint32_t)strtoul(text, &end, 10);
        end[strlen(end) - 1] = '\0';
        line[lines].text = strdup(end + 1);
        line[lines].t = read_term(end + 1);
        lines++;
    }
    free(text);
    fclose(f);
    return lines > 100 ? 0 : -1;
}

static int teardown(void **state)
{
    heap_fini(&heap);
    for (size_t i = 0; i < lines; i++)
        free(line[i].text);
    return 0;
}

static void text_reads_back(void **state)
{
    for (size_t i = 0; i < lines; i++) {
        struct buf b = { 0 };
        term again;

        term_print(&b, line[i].t, 0, 0);
        if (strstr(line[i].text, "=>") == NULL)     /* OTP does not sort the keys of large maps */
            assert_string_equal(buf_cstr(&b), line[i].text);
        again = read_term(buf_cstr(&b));
        assert_true(term_eq(again, line[i].t));
        buf_fini(&b);
    }
}

static void sign_of(int got, int want, size_t i, size_t j)
{
    if ((got > 0) - (got < 0) != want)
        fail_msg("line %zu and %zu: %d, not %d", i + 1, j + 1, got, want);
}

static void order_is_otps(void **state)
{
    for (size_t i = 0; i < lines; i++)
        for (size_t j = 0; j < lines; j++) {
            int want = i < j ? -1 : i > j;

            sign_of(term_cmp(line[i].t, line[j].t), want, i, j);
            assert_int_equal(term_equal(line[i].t, line[j].t), i == j);
            assert_int_equal(term_eq(line[i].t, line[j].t), i == j);
            assert_int_equal(map_key_cmp(line[i].t, line[j].t) == 0, i == j);
            assert_int_equal(map_key_cmp(line[i].t, line[j].t) < 0,
                             map_key_cmp(line[j].t, line[i].t) > 0);
        }
}

static void phash2_is_otps(void **state)
{
    for (size_t i = 0; i < lines; i++)
        if (term_phash2(line[i].t) != line[i].hash)
            fail_msg("%.200s: %u, not %u", line[i].text, term_phash2(line[i].t), line[i].hash);
}

static void own_hash_follows_equality(void **state)
{
    size_t clashes = 0;

    for (size_t i = 0; i < lines; i++) {
        assert_true(term_hash(line[i].t) == term_hash(read_term(line[i].text)));
        for (size_t j = 0; j < i; j++)
            clashes += term_hash(line[i].t) == term_hash(line[j].t);
    }
    assert_int_equal(clashes, 0);
}

static void numbers(void **state)
{
    static const struct { const char *a, *b; int want; bool equal, eq; } rows[] = {
        { "1", "1.0", 0, true, false },
        { "{1}", "{1.0}", 0, true, false },
        { "[1,2.5]", "[1.0,2]", 1, false, false },
        { "9007199254740993", "9007199254740992.0", 1, false, false },
        { "1267650600228229401496703205376", "1267650600228229401496703205376.0", 0, true, false },
        { "1267650600228229401496703205377", "1267650600228229401496703205376.0", 1, false, false },
        { "-1267650600228229401496703205377", "-1267650600228229401496703205376.0", -1, false, false },
        { "0.0", "-0.0", 0, true, false },
        { "1152921504606846975", "1152921504606846976", -1, false, false },
        { "1152921504606846976.0", "1152921504606846976", 0, true, false },
        { "#{a=>1}", "#{a=>1.0}", 0, true, false },
        { "#{1=>a}", "#{1.0=>a}", -1, false, false },
        { "#{1=>b}", "#{1.0=>a}", -1, false, false },
        { "#{1.0=>a}", "#{2=>a}", 1, false, false },
        { "5.0e-324", "0", 1, false, false },
        { "1.0e300", "1000000000000000000000000000000000000000", 1, false, false },
        { "-1.5", "-1", -1, false, false },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        term a = read_term(rows[i].a), b = read_term(rows[i].b);

        sign_of(term_cmp(a, b), rows[i].want, i, i);
        sign_of(term_cmp(b, a), -rows[i].want, i, i);
        assert_int_equal(term_equal(a, b), rows[i].equal);
        assert_int_equal(term_eq(a, b), rows[i].eq);
        assert_int_not_equal(term_cmp_exact(a, b), 0);
    }
}

/* Large maps compared by value: keys exactly, values by value. */
static void large_maps(void **state)
{
    struct buf a = { 0 }, b = { 0 };

    buf_str(&a, "#{0=>0");
    buf_str(&b, "#{0=>0.0");
    for (int i = 1; i < 100; i++) {
        buf_printf(&a, ",%d=>%d", i, i);
        buf_printf(&b, ",%d=>%d.0", 100 - i, 100 - i);
    }
    buf_str(&a, "}");
    buf_str(&b, "}");
    assert_true(term_equal(read_term(buf_cstr(&a)), read_term(buf_cstr(&b))));
    assert_false(term_eq(read_term(buf_cstr(&a)), read_term(buf_cstr(&b))));
    assert_int_equal(term_cmp(read_term(buf_cstr(&a)), read_term(buf_cstr(&b))), 0);
    assert_true(term_cmp_exact(read_term(buf_cstr(&a)), read_term(buf_cstr(&b))) < 0);
    buf_fini(&a);
    buf_fini(&b);
}

static void deep_terms(void **state)
{
    term a = TERM_NIL, b = TERM_NIL;
    struct buf out = { 0 };

    for (int i = 0; i < 1000000; i++) {
        a = i & 1 ? heap_cons(&heap, a, TERM_NIL) : heap_tuple2(&heap, a, small_make(i));
        b = i & 1 ? heap_cons(&heap, b, TERM_NIL) : heap_tuple2(&heap, b, small_make(i));
    }
    assert_true(term_eq(a, b));
    assert_int_equal(term_cmp(a, b), 0);
    assert_int_equal(term_phash2(a), term_phash2(b));
    assert_true(term_hash(a) == term_hash(b));
    assert_true(term_eq(heap_copy(&heap, a), b));
    assert_true(term_size(a) == 2500000);
    term_print(&out, a, PRINT_STRINGS, 0);
    assert_true(out.len > 1000000);
    buf_fini(&out);
}

static void prints(const char *text, unsigned flags, size_t limit, const char *want)
{
    struct buf b = { 0 };

    term_print(&b, read_term(text), flags, limit);
    assert_string_equal(buf_cstr(&b), want);
    buf_fini(&b);
}

static void forms_of_text(void **state)
{
    prints("[97,98,10]", PRINT_STRINGS, 0, "\"ab\\n\"");
    prints("[97,98,1]", PRINT_STRINGS, 0, "[97,98,1]");
    prints("[97,98,1024]", PRINT_STRINGS, 0, "[97,98,1024]");
    prints("[97,98,1024]", PRINT_STRINGS | PRINT_UNICODE, 0, "\"ab\xD0\x80\"");
    prints("<<\"ab\\\"c\">>", PRINT_STRINGS, 0, "<<\"ab\\\"c\">>");
    prints("<<208,128>>", PRINT_STRINGS | PRINT_UNICODE, 0, "<<\"\xD0\x80\"/utf8>>");
    prints("<<208,128>>", PRINT_STRINGS, 0, "<<208,128>>");
    prints("#{b=>1,a=>\"x\"}", PRINT_STRINGS, 0, "#{a => \"x\",b => 1}");
    prints("#{b=>1,a=>\"x\"}", 0, 0, "#{a=>[120],b=>1}");
    prints("{'A b', 'if', 'a\\'b', '\\x{1}', a@B_1, '', '1a'}", 0, 0,
           "{'A b','if','a\\'b','\\001',a@B_1,'','1a'}");
    prints("[1,2,3,4,5,6,7,8]", 0, 6, "[1,2,3...");
    prints("{<0.7.1>,#Port<0.9>,#Ref<0.0.2.3>,$a,16#ff,1_000}", 0, 0,
           "{<0.7.1>,#Port<0.9>,#Ref<0.0.2.3>,97,255,1000}");
}

static void floats(void **state)
{
    static const char *const rows[] = {
        "0.0", "-0.0", "1.0", "100.0", "1.0e5", "1.0e6", "123456789.0", "123456789012345.0",
        "4503599627370496.0", "9.007199254740992e15", "1.0e16", "1.2345678901234568e17", "0.1",
        "0.01", "0.001", "0.0001", "1.0e-5", "0.00123", "1.23456e-4", "1.0e22", "5.0e-324",
        "1.7976931348623157e308", "2.2250738585072014e-308", "2.225073858507201e-308",
        "5.684341886080802e-14", "9.5367431640625e-7", "2.2737367544323206e-13",
        "-123.456", "1.0e-323", "4.35", "8.41e21", "2.0e-308", "4503599627370495.5",
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[FLOAT_TEXT_MAX];
        size_t len = float_print_short(strtod(rows[i], NULL), text);

        assert_int_equal(len, strlen(rows[i]));
        assert_memory_equal(text, rows[i], len);
    }
}

/* Nothing that can be typed crashes the reader: every prefix and many damaged copies. */
static void parser_survives(void **state)
{
    static const char *const bad[] = {
        "", "{", "[1", "[1|", "[1|2", "#{", "#{a", "#{a=>", "#{a=>1", "<<", "<<1", "<<1:", "<<a>>",
        "<<\"", "'", "\"", "$", "$\\", "\"\\", "\"\\x{110000}\"", "-", "1#0", "37#1", "16#", "1.0e999",
        "<0.1", "<0.1.2", "<1.2.3>", "<0.999999999999.1>", "#Ref<0.1>", "#Ref<0.1.2.3.4.5.6.7>",
        "#Port<", "Var", "_", "}", ",", "\x80", "\xC3\x80", "#Fun<a>", "1_", "<<1:99999999>>",
    };
    char err[80];
    unsigned seed = 1;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (strcmp(bad[i], "1_") != 0)
            assert_true(parse_term(&heap, bad[i], strlen(bad[i]), NULL, err, sizeof err) == TERM_NONE);
    for (size_t i = 0; i < lines; i++) {
        size_t len = strlen(line[i].text);
        char *text = malloc(len);

        for (int round = 0; round < 20 && len < 2000; round++) {
            memcpy(text, line[i].text, len);
            for (int k = 0; k < 3; k++) {
                seed = seed * 1103515245 + 12345;
                text[(seed >> 8) % len] = "{}[]<>#,:=\"'\\$|1.\x80\xC3\0a"[(seed >> 4) % 21];
            }
            (void)!parse_term(&heap, text, len - (seed >> 16) % len, NULL, err, sizeof err);
        }
        free(text);
    }
    char *deep = malloc(100000);

    memset(deep, '[', 100000);
    assert_true(parse_term(&heap, deep, 100000, NULL, err, sizeof err) == TERM_NONE);
    free(deep);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_reads_back), cmocka_unit_test(order_is_otps),
        cmocka_unit_test(phash2_is_otps), cmocka_unit_test(own_hash_follows_equality),
        cmocka_unit_test(numbers), cmocka_unit_test(large_maps), cmocka_unit_test(deep_terms),
        cmocka_unit_test(forms_of_text), cmocka_unit_test(floats),
        cmocka_unit_test(parser_survives),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, setup, teardown);
}
