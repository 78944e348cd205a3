/* SPDX-License-Identifier: Apache-2.0 */
/*
 * t_beam.c - files of the real compilers, files of our own, and files that somebody broke
 */
#include "base/file.h"
#include "beam/asm.h"
#include "beam/disasm.h"
#include "beam/decode.h"
#include "beam/file.h"
#include "beam/write.h"

#include "base/alloc.h"
#include "base/errors.h"
#include "base/md5.h"

#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Open and walk through; the number of instructions, or a negative code. */
static long walk(const void *data, size_t len, struct buf *text)
{
    struct beam_file f;
    struct beam_cursor c;
    struct beam_instr in;
    struct beam_error e;
    long n = 0;
    int rc = beam_open(data, len, false, &f, &e);

    if (rc < 0)
        return rc;
    beam_cursor_init(&c, &f);
    for (; (rc = beam_next(&c, &in)) > 0; n++) {
        if (text != NULL) {
            beam_instr_print(text, &f, &in);
            buf_u8(text, '\n');
        }
    }
    beam_cursor_fini(&c);
    beam_close(&f);
    return rc < 0 ? rc : n;
}

/* --- tables ---------------------------------------------------------------------------------- */

static void test_opcodes(void **state)
{
    unsigned accepted = 0;

    for (unsigned op = 1; op <= BEAM_OP_MAX; op++) {
        const struct beam_op_info *info = beam_op_info(op);
        unsigned letters = 0;

        assert_non_null(info->name);
        assert_int_equal(beam_op_find(info->name, strlen(info->name)), op);
        accepted += info->accepted;
        if (!info->accepted)
            continue;
        for (const char *p = info->operands; *p != '\0'; p++, letters++) {
            if (*p == '[')
                p = strchr(p, ']');
        }
        assert_int_equal(letters, info->arity);
    }
    assert_int_equal(BEAM_OP_MAX, 191);
    assert_int_equal(accepted, 147);
    assert_null(beam_op_info(0)->name);
    assert_null(beam_op_info(192)->name);
    assert_int_equal(beam_op_find("nothing", 7), 0);
}

static void check_md5(const char *text, const char *want)
{
    uint8_t digest[16];
    char hex[33];
    struct md5 m;

    /* In one piece and byte by byte. */
    for (size_t step = 1; step <= strlen(text) + 1; step += strlen(text)) {
        md5_init(&m);
        for (size_t at = 0; at < strlen(text); at += step)
            md5_update(&m, text + at, strlen(text) - at < step ? strlen(text) - at : step);
        md5_final(&m, digest);
        for (unsigned i = 0; i < 16; i++)
            snprintf(hex + 2 * i, 3, "%02x", digest[i]);
        assert_string_equal(hex, want);
        if (strlen(text) == 0)
            return;
    }
}

static void test_md5(void **state)
{
    check_md5("", "d41d8cd98f00b204e9800998ecf8427e");
    check_md5("abc", "900150983cd24fb0d6963f7d28e17f72");
    check_md5("message digest", "f96b697d7cb7938d525a2f31aaf161d0");
    check_md5("12345678901234567890123456789012345678901234567890123456789012345678901234567890",
              "57edf4a22be3c955ac49da2e2107b67a");
    check_md5("0123456789012345678901234567890123456789012345678901234",  /* 55: no second block */
              "6e7a4fc92eb1c3f6e652425bcc8d44b5");
}

static void test_numbers(void **state)
{
    static const int64_t values[] = { 0, 1, 15, 16, 255, 2047, 2048, 65535, 1 << 20, -1, -2, -128,
        -129, -32768, -32769, 1LL << 40, -(1LL << 40), INT64_MAX, INT64_MIN };

    for (unsigned i = 0; i < ARRAY_LEN(values); i++) {
        struct buf b = { 0 };
        int64_t v = 0;
        unsigned tag = 9;

        beam_encode_number(&b, 1, values[i]);
        struct reader r = reader_make(b.data, b.len);

        assert_int_equal(beam_decode_number(&r, &tag, &v), 0);
        assert_int_equal(tag, 1);
        assert_true(v == values[i]);
        assert_int_equal(reader_left(&r), 0);
        buf_fini(&b);
    }
}

/* The worked examples of the format reference. */
static void test_examples(void **state)
{
    static const struct { int64_t value; const char *bytes; size_t len; } rows[] = {
        { 15, "\xf1", 1 }, { 16, "\x09\x10", 2 }, { 2047, "\xe9\xff", 2 },
        { 2048, "\x19\x08\x00", 3 },
        { -1, "\x19\xff\xff", 3 }, { -40000, "\x39\xff\x63\xc0", 4 },
        { 1LL << 40, "\x99\x01\x00\x00\x00\x00\x00", 7 },
    };

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf b = { 0 };

        beam_encode_number(&b, 1, rows[i].value);
        assert_int_equal(b.len, rows[i].len);
        assert_memory_equal(b.data, rows[i].bytes, b.len);
        buf_fini(&b);
    }
}

/* --- files of compilers ---------------------------------------------------------------------- */

/* Write the same instructions again: what is read back must print the same. */
static void rewrite(const void *data, size_t len)
{
    struct buf want = { 0 }, got = { 0 }, file = { 0 };
    struct beam_file f;
    struct beam_cursor c;
    struct beam_instr in;
    long n = walk(data, len, &want);

    assert_int_equal(beam_open(data, len, true, &f, NULL), 0);
    struct beam_writer *w = beam_writer_new((const char *)f.atoms[1].data, f.atoms[1].len);

    for (uint32_t i = 1; i <= f.n_atoms; i++)
        assert_int_equal(beam_add_atom(w, f.atoms[i].data, f.atoms[i].len), i);
    for (uint32_t i = 0; i < f.n_imports; i++)
        assert_int_equal(beam_add_import(w, f.imports[i].module, f.imports[i].function,
                                         f.imports[i].arity), i);
    for (uint32_t i = 0; i < f.n_literals; i++)
        assert_int_equal(beam_add_literal(w, f.literals[i].data, f.literals[i].len), i);
    for (uint32_t i = 0; i < f.n_exports; i++)
        beam_add_export(w, f.exports[i].function, f.exports[i].arity, f.exports[i].label);
    beam_cursor_init(&c, &f);
    while (beam_next(&c, &in) > 0) {
        if (in.op != BOP_int_code_end)
            beam_emit(w, &in);
    }
    beam_cursor_fini(&c);
    beam_writer_finish(w, true, &file);
    assert_int_equal(walk(file.data, file.len, &got), n);
    assert_int_equal(got.len, want.len);
    assert_memory_equal(got.data, want.data, got.len);
    beam_writer_free(w);
    beam_close(&f);
    buf_fini(&want);
    buf_fini(&got);
    buf_fini(&file);
}

static void test_real_files(void **state)
{
    static const char *const patterns[] = { "/usr/lib/erlang/lib/*/ebin/*.beam",
                                            "/usr/lib/elixir/lib/*/ebin/*.beam" };
    size_t files = 0;

    for (unsigned i = 0; i < ARRAY_LEN(patterns); i++) {
        glob_t g;

        if (glob(patterns[i], 0, NULL, &g) != 0)
            continue;
        for (size_t k = 0; k < g.gl_pathc; k++, files++) {
            struct buf b = { 0 };

            if (file_read(g.gl_pathv[k], BEAM_FILE_BYTES_MAX, &b) == 0) {
                long n = walk(b.data, b.len, NULL);

                if (n <= 0)
                    print_error("%s\n", g.gl_pathv[k]);
                assert_true(n > 0);
                if (k % 16 == 0)
                    rewrite(b.data, b.len);
            }
            buf_fini(&b);
        }
        globfree(&g);
    }
    if (files == 0)
        skip();
}

/* --- the assembler --------------------------------------------------------------------------- */

static int assemble(const char *text, struct buf *out, struct text_error *e)
{
    return beam_assemble(text, strlen(text), "t.s", NULL, out, e);
}

static void operand_text(struct buf *t, char letter)
{
    static const struct { char letter; const char *text; } rows[] = {
        { 's', "x0" }, { 'd', "y0" }, { 'f', "@none" }, { 'l', "here" }, { 'u', "1" },
        { 'k', "x1" },
        { 'w', "room(1,2,3)" }, { 'e', "erlang:'+'/2" }, { 'g', "f/1" }, { 'h', "unsafe" },
        { 'a', "ok" }, { 'b', "no_fail" }, { 'n', "7" }, { 'r', "fr1" }, { 'm', "fr2" },
        { 'z', "\"abc\"" },
    };

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        if (rows[i].letter == letter) {
            buf_printf(t, " %s", rows[i].text);
            return;
        }
    }
    fail_msg("letter %c", letter);
}

static void instruction_text(struct buf *t, const struct beam_op_info *info)
{
    buf_printf(t, "    %s", info->name);
    for (const char *p = info->operands; *p != '\0'; p++) {
        if (*p == '[' || *p == ']')
            buf_printf(t, " %c", *p);
        else
            operand_text(t, *p);
    }
    buf_u8(t, '\n');
}

/* Every instruction can be said, and comes back. */
static void test_every_instruction(void **state)
{
    struct buf text = { 0 }, file = { 0 }, back = { 0 };
    struct text_error e = { 0 };

    buf_str(&text, "module every\nexport f/1\nfunction f/1\n");
    for (unsigned op = 1; op <= BEAM_OP_MAX; op++) {
        if (beam_op_info(op)->accepted && op != BOP_int_code_end)
            instruction_text(&text, beam_op_info(op));
    }
    if (beam_assemble(buf_cstr(&text), text.len, "every.s", NULL, &file, &e) < 0)
        fail_msg("%u:%u: %s", e.line, e.col, e.text);
    assert_true(walk(file.data, file.len, &back) > 146);
    for (unsigned op = 1; op <= BEAM_OP_MAX; op++) {
        char *name = mem_printf("\n%s", beam_op_info(op)->name);

        if (beam_op_info(op)->accepted && op != BOP_label)
            assert_non_null(strstr(buf_cstr(&back), name));
        mem_free(name);
    }
    buf_fini(&text);
    buf_fini(&file);
    buf_fini(&back);
}

static void test_terms(void **state)
{
    static const struct { const char *text, *etf; size_t len; } rows[] = {
        { "{a}", "\x83\x69\0\0\0\1\x77\1a", 9 },
        { "\"hi\"", "\x83\x6b\0\2hi", 6 },
        { "[1,-2|b]", "\x83\x6c\0\0\0\2\x61\1\x62\xff\xff\xff\xfe\x77\1b", 16 },
        { "<<\"ab\", 3>>", "\x83\x6d\0\0\0\3""ab\3", 9 },
        { "<<\"\\x{e9}\"/utf8>>", "\x83\x6d\0\0\0\2\xc3\xa9", 8 },
        { "#{k => []}", "\x83\x74\0\0\0\1\x77\1k\x6a", 10 },
        { "1.5", "\x83\x46\x3f\xf8\0\0\0\0\0\0", 10 },
        { "16#10000000000000000", "\x83\x6e\x09\0\0\0\0\0\0\0\0\0\1", 13 },
        { "-18446744073709551616", "\x83\x6e\x09\1\0\0\0\0\0\0\0\0\1", 13 },
        { "fun m:f/2", "\x83\x71\x77\1m\x77\1f\x61\2", 10 },
        { "{$a, $\\n}", "\x83\x69\0\0\0\2\x61\x61\x61\x0a", 10 },
    };

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        char *text = mem_printf("module t\nfunction f/0\n move %s x0\n return\n", rows[i].text);
        struct buf file = { 0 };
        struct text_error e = { 0 };
        struct beam_file f;

        if (assemble(text, &file, &e) < 0)
            fail_msg("%s: %s", rows[i].text, e.text);
        assert_int_equal(beam_open(file.data, file.len, false, &f, NULL), 0);
        assert_int_equal(f.n_literals, 1);
        assert_int_equal(f.literals[0].len, rows[i].len);
        assert_memory_equal(f.literals[0].data, rows[i].etf, rows[i].len);
        beam_close(&f);
        buf_fini(&file);
        mem_free(text);
    }
}

static void test_errors(void **state)
{
    static const struct { const char *text; unsigned line, col; } rows[] = {
        { "", 1, 1 },
        { "export f/1\n", 1, 1 },
        { "module m\nmodule m\n", 2, 8 },
        { "module m\n  return\n", 2, 3 },
        { "module m\nfunction f/0\n nothing\n", 3, 2 },
        { "module m\nfunction f/0\n move x0\n", 3, 9 },
        { "module m\nfunction f/0\n move x0 5\n", 3, 10 },
        { "module m\nfunction f/0\n jump @a\n", 3, 7 },
        { "module m\nfunction f/0\na:\na:\n", 4, 1 },
        { "module m\nexport f/1\n", 2, 8 },
        { "module m\nfunction f/0\nfunction f/0\n", 3, 10 },
        { "module m\nfunction f/0\n move {a x0\n", 3, 10 },
        { "module m\nfunction f/0\n move 'a x0\n", 3, 7 },
        { "module m\nfunction f/300\n", 2, 12 },
        { "module m\nfunction f/0\n move x5000 x0\n", 3, 7 },
        { "module m\nfunction f/0\n bs_match 1\n", 3, 11 },
        { "module m\nfunction f/0\n put_string\n", 3, 2 },
        { "module m\nfunction f/0\n int_code_end\n", 3, 2 },
        { "module m\nfunction f/0\n return return\n", 3, 9 },
    };

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf file = { 0 };
        struct text_error e = { 0 };

        assert_int_equal(assemble(rows[i].text, &file, &e), -ERR_FORMAT);
        if (e.line != rows[i].line || e.col != rows[i].col)
            fail_msg("row %u: %u:%u %s", i, e.line, e.col, e.text);
        assert_true(e.text[0] != '\0');
        assert_int_equal(file.len, 0);
        buf_fini(&file);
    }
}

/* --- broken files ---------------------------------------------------------------------------- */

static void example(struct buf *out, bool compress)
{
    const char *srcdir = getenv("srcdir");
    char *path = mem_printf("%s/examples/counter/counter.s", srcdir != NULL ? srcdir : ".");
    struct asm_options options = { compress };
    struct text_error e = { 0 };
    struct buf text = { 0 };

    assert_int_equal(file_read(path, BEAM_FILE_BYTES_MAX, &text), 0);
    assert_int_equal(beam_assemble(buf_cstr(&text), text.len, "counter.s", &options, out, &e), 0);
    buf_fini(&text);
    mem_free(path);
}

/* An exact-size copy, so that a sanitizer sees a read past the end. */
static void walk_copy(const uint8_t *data, size_t len)
{
    uint8_t *copy = mem_dup(data, len);
    struct buf text = { 0 };
    struct beam_file f;
    struct beam_error e;

    (void)walk(copy, len, NULL);
    if (beam_open(copy, len, false, &f, &e) == 0) {
        (void)!beam_disassemble(&f, &text, &e);
        beam_close(&f);
    }
    buf_fini(&text);
    mem_free(copy);
}

static void test_flips(void **state)
{
    for (int compress = 0; compress < 2; compress++) {
        struct buf b = { 0 };

        example(&b, compress != 0);
        for (size_t i = 0; i < b.len; i++) {
            static const uint8_t masks[] = { 0xff, 0x01, 0x80, 0x10 };

            for (unsigned k = 0; k < sizeof masks; k++) {
                b.data[i] ^= masks[k];
                walk_copy(b.data, b.len);
                b.data[i] ^= masks[k];
            }
        }
        assert_true(walk(b.data, b.len, NULL) > 0);
        buf_fini(&b);
    }
}

static void test_truncation(void **state)
{
    struct buf b = { 0 };

    example(&b, false);
    for (size_t len = 0; len < b.len - 4; len++) {
        walk_copy(b.data, len);
        assert_true(walk(b.data, len, NULL) < 0);
    }
    buf_fini(&b);
}

static void test_refusals(void **state)
{
    struct beam_error e;
    struct beam_file f;
    struct beam_bytes chunk;
    struct buf b = { 0 };

    assert_int_equal(beam_open("FOR1", 4, false, &f, &e), -ERR_FORMAT);
    assert_int_equal(beam_open("FOR1\0\0\0\4BEAM", 12, false, &f, &e), -ERR_FORMAT);
    assert_non_null(strstr(e.text, "AtU8"));
    example(&b, false);
    assert_int_equal(beam_chunk(b.data, b.len, "Code", &chunk), 0);
    assert_int_equal(beam_chunk(b.data, b.len, "Nope", &chunk), -ERR_NOT_FOUND);
    /* An instruction that was retired is refused by name. */
    assert_int_equal(beam_chunk(b.data, b.len, "Code", &chunk), 0);
    ((uint8_t *)(uintptr_t)chunk.data)[20] = BOP_put_string;
    assert_int_equal(beam_open(b.data, b.len, false, &f, &e), 0);
    struct beam_cursor c;
    struct beam_instr in;

    beam_cursor_init(&c, &f);
    assert_int_equal(beam_next(&c, &in), -ERR_FORMAT);
    assert_non_null(strstr(c.error.text, "put_string"));
    beam_cursor_fini(&c);
    beam_close(&f);
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_opcodes),
        cmocka_unit_test(test_md5),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_examples),
        cmocka_unit_test(test_real_files),
        cmocka_unit_test(test_every_instruction),
        cmocka_unit_test(test_terms),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_flips),
        cmocka_unit_test(test_truncation),
        cmocka_unit_test(test_refusals),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
