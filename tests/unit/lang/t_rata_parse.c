/* SPDX-License-Identifier: Apache-2.0 */
/*
 * t_rata_parse.c - tokens and trees of Rata; places; how errors are shown
 */
#include "base/bytes.h"
#include "lang/rata/parse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

struct text { struct arena a; struct source src; struct diags d; struct parsed p; };

static void parse(struct text *t, const char *text)
{
    memset(t, 0, sizeof *t);
    assert_int_equal(source_open(&t->a, "t.rata", text, (uint32_t)strlen(text), &t->src),
                     strlen(text));
    diags_init(&t->d, &t->a, &t->src);
    rata_parse(&t->d, 0, &t->p);
}

/* The tree without places: "(BINARY + (INT 1) (INT 2))". */
static void outline(struct buf *out, const struct node *n)
{
    struct buf dump = { 0 };
    char *line;

    node_dump(&dump, n);
    for (line = strtok(buf_cstr(&dump), "\n"); line != NULL; line = strtok(NULL, "\n")) {
        char *at = strrchr(line, '@');

        if (at > line)
            at[-1] = 0;
        buf_printf(out, "%s\n", line);
    }
    buf_fini(&dump);
}

static void same_tree(const char *a, const char *b)
{
    struct text ta, tb;

    parse(&ta, a);
    parse(&tb, b);
    assert_int_equal(ta.d.n + tb.d.n, 0);
    if (!node_equal(ta.p.root, tb.p.root)) {
        struct buf out = { 0 };

        outline(&out, ta.p.root);
        buf_str(&out, "--- is not\n");
        outline(&out, tb.p.root);
        fail_msg("%s\n%s\n%s", a, b, buf_cstr(&out));
    }
    arena_fini(&ta.a);
    arena_fini(&tb.a);
}

static void precedence(void **state)
{
    static const char *const pairs[][2] = {
        { "1 + 2 * 3", "1 + (2 * 3)" },
        { "-2 ^ 2", "-(2 ^ 2)" },
        { "2 ^ 3 ^ 2", "2 ^ (3 ^ 2)" },
        { "2 ^ -1", "2 ^ (-1)" },
        { "5 - 3 - 1", "(5 - 3) - 1" },
        { "a |> f() == b", "(a |> f()) == b" },
        { "1..n * 2", "1..(n * 2)" },
        { "a or b and c == d", "a or (b and (c == d))" },
        { "not a == b", "(not a) == b" },
        { "x not in xs ++ ys", "x not in (xs ++ ys)" },
        { "a <> b <> c", "a <> (b <> c)" },
        { "~ .x + 1", "~ (.x + 1)" },
        { "f(1)[2].g(3)(4)", "(((f(1))[2]).g(3))(4)" },
    };

    for (size_t i = 0; i < ARRAY_LEN(pairs); i++)
        same_tree(pairs[i][0], pairs[i][1]);
}

static void newlines(void **state)
{
    static const char *const pairs[][2] = {
        { "x = 1\n|> f()", "x = 1 |> f()" },
        { "a +\n b", "a + b" },
        { "f(1,\n 2\n)", "f(1, 2)" },
        { "[1\n, 2]", "[1, 2]" },
        { "g(fn x ->\n x\n y\nend)", "g(fn x -> x; y end)" },
        { "a; b", "a\nb" },
        { "case x { 1 -> :a, 2 -> :b }", "case x {\n 1 ->\n :a\n 2 -> :b\n}" },
        { "if a { b } else if c { d }", "if a {\nb\n}\nelse if c { d\n}" },
    };

    for (size_t i = 0; i < ARRAY_LEN(pairs); i++)
        same_tree(pairs[i][0], pairs[i][1]);
}

static void strings(void **state)
{
    static const struct { const char *source, *text; } rows[] = {
        { "\"a\\n\\t\\u{e9}\\{\"", "a\n\t\xC3\xA9{" },
        { "\"\"\"\n  first\n    second\n  \"\"\"", "first\n  second" },
        { "\"\"\"one\"\"\"", "one" },
        { "\"\"\"\n\n  a\n\n  \"\"\"", "\na\n" },
        { "\"two\nlines\"", "two\nlines" },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct text t;
        const struct node *n;

        parse(&t, rows[i].source);
        assert_int_equal(t.d.n, 0);
        n = t.p.root->list.at[0];
        assert_int_equal(n->kind, N_STRING);
        assert_string_equal(n->text, rows[i].text);
        arena_fini(&t.a);
    }
}

static void trees(void **state)
{
    static const struct { const char *source, *tree; } rows[] = {
        { "f\"a{x}b\"", "BLOCK\n  - FSTRING\n    - STRING \"a\"\n    - NAME \"x\"\n    - STRING \"b\"\n" },
        { "f\"{f\"{1}\"}\"", "BLOCK\n  - FSTRING\n    - FSTRING\n      - INT \"1\" 10\n" },
        { "{a: 1, \"b\" => 2}", "BLOCK\n  - MAP\n    - PAIR flag\n      a: ATOM \"a\"\n"
          "      b: INT \"1\" 10\n    - PAIR\n      a: STRING \"b\"\n      b: INT \"2\" 10\n" },
        { "{:t, r: 3}", "BLOCK\n  - TUPLE\n    - ATOM \"t\"\n    - KEYWORDS\n      - PAIR flag\n"
          "        a: ATOM \"r\"\n        b: INT \"3\" 10\n" },
        { "[h | t] = x", "BLOCK\n  - MATCH flag\n    a: VECTOR\n      - NAME \"h\"\n"
          "      a: NAME \"t\"\n    b: NAME \"x\"\n" },
        { "0xFF_FF", "BLOCK\n  - INT \"FFFF\" 16\n" },
        { "#{}\n{:}\n{}", "BLOCK\n  - SET\n  - MAP\n  - TUPLE\n" },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct text t;
        struct buf out = { 0 };

        parse(&t, rows[i].source);
        assert_int_equal(t.d.n, 0);
        outline(&out, t.p.root);
        assert_string_equal(buf_cstr(&out), rows[i].tree);
        buf_fini(&out);
        arena_fini(&t.a);
    }
}

/* Codes of all errors of a text, and whether more text could complete it. */
static void errors(void **state)
{
    static const struct { const char *source, *codes; bool incomplete; } rows[] = {
        { "x = 12abc", "E0105", false },
        { "x = y.", "E0103", true }, { "x = 1.", "E0105", false }, { "x = 1. y", "E0105", false },
        { "y = * 2\nz = 1\nw = ) 3", "E0106 E0106", false },
        { "\"open", "E0102", true },
        { "f\"a{b", "E0102", true },
        { "m = [1, 2", "E0103", true },
        { "f = function(x) {\n a +\n}\ng = 1 2", "E0106 E0106", false },
        { "\"\\q\"", "E0108", false },
        { "x = \xE2\x80\x9Cq\xE2\x80\x9D", "E0101 E0101", false },
        { "module A { print(1)\n f = 3\n g(2) }", "E0206 E0206", false },
        { "if x { library Enum }", "E0206", false },
        { "a = :", "E0101", false },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct text t;
        struct buf codes = { 0 };

        parse(&t, rows[i].source);
        for (size_t j = 0; j < t.d.n; j++)
            buf_printf(&codes, "%s%s", j > 0 ? " " : "", t.d.items[j]->code);
        assert_string_equal(buf_cstr(&codes), rows[i].codes);
        assert_int_equal(t.p.incomplete, rows[i].incomplete);
        buf_fini(&codes);
        arena_fini(&t.a);
    }
}

static void shown(void **state)
{
    struct text t;
    struct buf out = { 0 };

    parse(&t, "a = 1\n\tb\xC3\xA9 = * 2\n");
    diags_print(&out, &t.d);
    assert_string_equal(buf_cstr(&out),
                        "error[E0106]: expected an expression, found `*`\n"
                        " --> t.rata:2:7\n"
                        "  |\n"
                        "2 | \tb\xC3\xA9 = * 2\n"
                        "  | \t     ^\n");
    out.len = 0;
    diags_print_json(&out, &t.d);
    assert_string_equal(buf_cstr(&out),
                        "{\"severity\":\"error\",\"code\":\"E0106\",\"message\":\"expected an "
                        "expression, found `*`\",\"file\":\"t.rata\",\"line\":2,\"column\":7,"
                        "\"end_line\":2,\"end_column\":8,\"hints\":[]}\n");
    buf_fini(&out);
    arena_fini(&t.a);
}

static void depth(void **state)
{
    char *text = malloc(100001);
    struct text t;

    memset(text, '(', 100000);
    text[100000] = 0;
    parse(&t, text);
    assert_int_equal(t.d.n, 1);
    assert_string_equal(t.d.items[0]->code, "E0106");
    arena_fini(&t.a);
    for (size_t i = 0; i < 100000; i += 2)
        memcpy(text + i, "-1", 2);
    parse(&t, text);
    assert_int_equal(t.d.n, 1);
    arena_fini(&t.a);
    free(text);
}

static void places(void **state)
{
    struct text t;
    struct place p;

    parse(&t, "\xEF\xBB\xBFx = 1\r\ny = 2");
    assert_int_equal(t.d.n, 0);
    p = source_place(&t.src, 3);
    assert_int_equal(p.line, 1);
    assert_int_equal(p.column, 1);
    p = source_place(&t.src, 10);
    assert_int_equal(p.line, 2);
    assert_int_equal(p.column, 1);
    arena_fini(&t.a);
    {
        static const char *const bad[] = { "a\xFF", "\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80",
                                           "\xE2\x82" };
        struct arena a = { 0 };
        struct source s;

        for (size_t i = 0; i < ARRAY_LEN(bad); i++)
            assert_int_not_equal(source_open(&a, "t", bad[i], (uint32_t)strlen(bad[i]), &s),
                                 strlen(bad[i]));
        arena_fini(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(precedence), cmocka_unit_test(newlines), cmocka_unit_test(strings),
        cmocka_unit_test(trees), cmocka_unit_test(errors), cmocka_unit_test(shown),
        cmocka_unit_test(depth), cmocka_unit_test(places),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
