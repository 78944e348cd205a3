/* SPDX-License-Identifier: Apache-2.0 */
/*
 * t_load.c - what the loader takes, what it refuses and why
 */
#include "vm/code.h"

#include "base/errors.h"
#include "beam/asm.h"
#include "bif/bif.h"
#include "term/atom.h"
#include "vm/engine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define HEAD "module m\nexport f/1\n\nfunction f/1\n"

/* Assemble the body of f/1 after HEAD (or a whole text) and prepare it. */
static int prepare(const char *body, struct load_error *err)
{
    struct buf text = { 0 }, out = { 0 };
    struct asm_options options = { false };
    struct text_error why;
    struct prepared *pr;
    int rc;

    if (strncmp(body, "module", 6) != 0)
        buf_str(&text, HEAD);
    buf_str(&text, body);
    rc = beam_assemble((const char *)text.data, text.len, "m.s", &options, &out, &why);
    assert_int_equal(rc, 0);
    err->text[0] = '\0';
    rc = code_prepare(out.data, out.len, TERM_NONE, &pr, err);
    if (rc == 0)
        prepared_free(pr);
    buf_fini(&text);
    buf_fini(&out);
    return rc;
}

static void taken(const char *body)
{
    struct load_error err;
    int rc = prepare(body, &err);

    if (rc != 0)
        print_error("%s: %s\n", body, err.text);
    assert_int_equal(rc, 0);
}

static void refused(const char *body, const char *why)
{
    struct load_error err;
    int rc = prepare(body, &err);

    if (rc != -ERR_FORMAT || strstr(err.text, why) == NULL)
        print_error("%s: %d %s, not: %s\n", body, rc, err.text, why);
    assert_int_equal(rc, -ERR_FORMAT);
    assert_non_null(strstr(err.text, why));
}

static void t_taken(void **state)
{
    (void)state;
    taken("    return\n");
    taken("    move 300 x1\n    return\n");
    taken("    allocate 2 1\n    move x0 y0\n    init_yregs [y1]\n    call 1 f/1\n"
          "    deallocate 2\n    return\n");
    taken("    test_heap 2 1\n    put_list x0 [] x0\n    return\n");
    taken("    is_nonempty_list @clause x0\n    get_list x0 x1 x0\n    return\n");
    taken("    get_tuple_element x0 0 x0\n    return\n");     /* checked when it runs */
}

static void t_registers(void **state)
{
    (void)state;
    refused("    move x1 x0\n    return\n", "x1 is not set");
    refused("    move y0 x0\n    return\n", "y0 is not set");
    refused("    allocate 1 1\n    move y0 x0\n    deallocate 1\n    return\n", "y0 is not set");
    refused("    allocate 1 1\n    move x0 y1\n    deallocate 1\n    return\n",
            "y register inside the frame");
    refused("    test_heap 2 2\n    return\n", "live registers is not set");
    refused("    allocate 0 1\n    call 1 f/1\n    move x1 x0\n    deallocate 0\n    return\n",
            "x1 is not set");
    refused("    allocate 1 1\n    try y0 @h\n    move y0 x0\n    try_end y0\n    deallocate 1\n"
            "    return\nh:\n    try_case y0\n    deallocate 1\n    return\n",
            "belongs to a catch");
}

static void t_frames(void **state)
{
    (void)state;
    refused("    allocate 1 1\n    return\n", "return with a frame");
    refused("    deallocate 1\n    return\n", "deallocate");
    refused("    call 1 f/1\n    return\n", "without a frame");
    refused("    allocate 1 1\n    allocate 1 1\n    return\n", "second frame");
    refused("    allocate 2 1\n    init_yregs [y0 y1]\n    trim 2 1\n    return\n", "trim");
    refused("    allocate 1 1\n    try y0 @h\n    deallocate 1\n    return\nh:\n    try_case y0\n"
            "    deallocate 1\n    return\n", "open");
}

static void t_heap(void **state)
{
    (void)state;
    refused("    put_list x0 [] x0\n    return\n", "words of heap used");
    refused("    test_heap 2 1\n    put_tuple2 x0 [x0 x0]\n    return\n", "words of heap used");
    refused("    test_heap 2 1\n    gc_bif2 @none 1 erlang:'+'/2 x0 x0 x0\n"
            "    put_list x0 [] x0\n    return\n", "words of heap used");
    refused("    bs_put_string 1 \"a\"\n    return\n", "no binary");
}

static void t_calls(void **state)
{
    (void)state;
    refused("    move x0 x1\n    call_only 2 f/1\n", "call with 2 arguments");
    refused("    call_ext_only 2 lists:member/2\n", "live registers is not set");
    refused("    try_case y0\n    return\n", "y");
}

/* A module with much in it, each byte of which is then spoiled in turn: the loader says no, or yes,
 * but nothing else. */
static const char rich[] =
    "module rich\nexport f/2\n"
    "function f/2\n"
    "    allocate_heap 3 room(6,1,1) 2\n"
    "    move x1 y1\n    init_yregs [y0 y2]\n"
    "    make_fun3 body/2 x2 [x0]\n"
    "    put_tuple2 x3 [x0 {a, 1.5}]\n"
    "    move x3 y0\n"
    "    try y2 @h\n"
    "    move x2 x1\n    move \"text\" x0\n"
    "    call_ext 2 lists:map/2\n"
    "    try_end y2\n"
    "    select_val x0 @other [a @other 1 @other 100000000000000000000 @other]\n"
    "h:\n    try_case y2\n"
    "other:\n"
    "    move y0 x0\n"
    "    get_tuple_element x0 1 x1\n"
    "    gc_bif2 @none 2 erlang:'+'/2 x1 y1 x0\n"
    "    deallocate 3\n    return\n"
    "function body/2\n"
    "    is_nonempty_list @clause x0\n    get_list x0 x0 x2\n    return\n";

static void t_every_byte(void **state)
{
    struct buf out = { 0 };
    struct asm_options options = { false };
    struct text_error why;
    unsigned taken_n = 0, refused_n = 0;

    (void)state;
    assert_int_equal(beam_assemble(rich, strlen(rich), "rich.s", &options, &out, &why), 0);
    for (size_t i = 0; i < out.len; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            struct prepared *pr;
            struct load_error err;

            out.data[i] ^= (uint8_t)(1u << bit);
            if (code_prepare(out.data, out.len, TERM_NONE, &pr, &err) == 0) {
                prepared_free(pr);
                taken_n++;
            } else {
                assert_int_not_equal(err.text[0], '\0');
                refused_n++;
            }
            out.data[i] ^= (uint8_t)(1u << bit);
        }
    }
    assert_int_not_equal(refused_n, 0);
    print_message("# %u refused, %u taken\n", refused_n, taken_n);
    buf_fini(&out);
}

static int setup(void **state)
{
    (void)state;
    atom_table_init(0);
    literal_region_init();
    engine_init();
    bif_init();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_taken),  cmocka_unit_test(t_registers), cmocka_unit_test(t_frames),
        cmocka_unit_test(t_heap),   cmocka_unit_test(t_calls),     cmocka_unit_test(t_every_byte),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, setup, NULL);
}
