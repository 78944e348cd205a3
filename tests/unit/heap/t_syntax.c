/* SPDX-License-Identifier: Apache-2.0 */
/*
 * t_syntax.c - terms as text in each language: syntax_texts.tab has the term and what is expected
 */
#include "term/syntax.h"

#include "heap/heap.h"
#include "heap/parse.h"
#include "term/atom.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static term read_term(struct heap *bag, const char *text)
{
    char why[160] = "";
    size_t used;
    term t = parse_term(bag, text, strlen(text), &used, why, sizeof why);

    if (t == TERM_NONE)
        fail_msg("%s: %s", text, why);
    return t;
}

static void check(const char *text, enum syntax syntax, const char *expected)
{
    struct heap bag;
    struct buf out = { 0 };

    heap_bag_init(&bag);
    term_print_as(&out, read_term(&bag, text), syntax, 0);
    assert_string_equal(buf_cstr(&out), expected);
    buf_fini(&out);
    heap_fini(&bag);
}

static void texts(void **state)
{
    (void)state;
#define TEXT(erlang, elixir, rata, batuta, json) \
    check(erlang, SYNTAX_ELIXIR, elixir); \
    check(erlang, SYNTAX_RATA, rata); \
    check(erlang, SYNTAX_BATUTA, batuta); \
    check(erlang, SYNTAX_JSON, json);
#include "syntax_texts.tab"
#undef TEXT
}

static void names(void **state)
{
    enum syntax s;

    (void)state;
    assert_true(syntax_parse("batuta", &s) && s == SYNTAX_BATUTA);
    assert_false(syntax_parse("json", &s));
    assert_false(syntax_parse("", &s));
}

/* Cut where the limit is, never inside a character; JSON stays JSON. */
static void limits(void **state)
{
    struct heap bag;
    struct buf out = { 0 };
    term t;

    (void)state;
    heap_bag_init(&bag);
    t = read_term(&bag, "[aaaa, <<\"\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\"/utf8>>]");
    for (size_t max = 1; max < 20; max++) {
        out.len = 0;
        term_print_as(&out, t, SYNTAX_ELIXIR, max);
        assert_true(out.len <= max + 3);
        assert_string_not_equal(buf_cstr(&out), "");
    }
    out.len = 0;
    term_print_as(&out, t, SYNTAX_JSON, 6);
    assert_string_equal(buf_cstr(&out), "\"[aaaa,...\"");
    buf_fini(&out);
    heap_fini(&bag);
}

static void deep(void **state)
{
    struct heap bag;
    struct buf out = { 0 };
    term t = TERM_NIL;

    (void)state;
    heap_bag_init(&bag);
    for (int i = 0; i < 100000; i++)
        t = heap_list(&bag, &t, 1, TERM_NIL);
    term_print_as(&out, t, SYNTAX_RATA, 0);
    assert_non_null(strstr(buf_cstr(&out), "..."));
    buf_fini(&out);
    heap_fini(&bag);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts), cmocka_unit_test(names), cmocka_unit_test(limits),
        cmocka_unit_test(deep),
    };

    atom_table_init(0);
    literal_region_init();
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
