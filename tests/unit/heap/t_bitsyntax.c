/* SPDX-License-Identifier: Apache-2.0 */
/*
 * t_bitsyntax.c - building and matching against strings of '0' and '1'; appends in linear time
 */
#include "heap/bitsyntax.h"
#include "base/clock.h"
#include "heap/arith.h"
#include "term/atom.h"
#include "term/compare.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define BITS_MAX 4096

static struct heap heap;
static uint64_t seed = 88172645463325252u;
static char model[BITS_MAX];
static size_t model_len;

static uint64_t chance(uint64_t n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (seed >> 11) % n;
}

static void model_bits(uint64_t v, unsigned n)
{
    for (unsigned i = n; i > 0; i--)
        model[model_len++] = (char)('0' + (v >> (i - 1) & 1));
}

static void model_little(uint64_t v, unsigned n)
{
    for (; n >= 8; n -= 8, v >>= 8)
        model_bits(v & 255, 8);
    model_bits(v, n);
}

static void check_model(term t)
{
    struct bits b = bits_of(t);

    assert_int_equal(b.bits, model_len);
    for (size_t i = 0; i < model_len; i++)
        assert_int_equal(bits_get(b, i, 1), model[i] - '0');
}

/* A random bitstring of any kind, added to the model when asked. */
static term random_bitstring(uint64_t max_bits, bool add)
{
    uint64_t n = chance(max_bits), skip = chance(20);
    uint8_t *data;
    term t = bitstring_room(&heap, n + skip, &data);

    for (uint64_t i = 0; i < n + skip; i++) {
        if (i % 8 == 0)
            data[i / 8] = 0;
        data[i / 8] |= (uint8_t)(chance(2) << (7 - i % 8));
    }
    t = bitstring_sub(&heap, t, skip, n);
    for (uint64_t i = 0; add && i < n; i++)
        model[model_len++] = (char)('0' + bits_get(bits_of(t), i, 1));
    return t;
}

struct expected { unsigned n, flags; uint64_t v; };

/* Integers of up to 64 bits in all flag combinations, built and read back at odd places. */
static void integers(void **state)
{
    for (unsigned round = 0; round < 3000; round++) {
        struct bs_segment segs[24];
        struct expected ex[24];
        struct bs_error e;
        unsigned n = 1 + (unsigned)chance(23);
        term t, ctx;

        heap_bag_init(&heap);
        model_len = 0;
        for (unsigned i = 0; i < n; i++) {
            unsigned bits = (unsigned)chance(65), flags = (unsigned[]){ 0, 2, 4, 6, 16 }[chance(5)];
            uint64_t v = seed * 0x9E3779B97F4A7C15u;

            segs[i] = (struct bs_segment){ .type = BS_INTEGER, .flags = (uint8_t)flags, .unit = 1,
                                           .number = i + 1, .value = heap_int(&heap, (int64_t)v),
                                           .size = small_make(bits) };
            ex[i] = (struct expected){ bits, flags, v };
            if (flags & (BS_LITTLE | BS_NATIVE))
                model_little(v, bits);
            else
                model_bits(v, bits);
        }
        t = bs_create(&heap, segs, n, &e);
        check_model(t);
        ctx = bs_start_match(&heap, t);
        for (unsigned i = 0; i < n; i++) {
            unsigned k = ex[i].n;
            uint64_t v = k == 0 ? 0 : ex[i].v << (64 - k) >> (64 - k);
            term want = ex[i].flags & BS_SIGNED && k > 0
                            ? heap_int(&heap, (int64_t)(v << (64 - k)) >> (64 - k))
                            : heap_uint(&heap, v);

            assert_true(term_eq(bs_get_integer(&heap, ctx, k, ex[i].flags), want));
        }
        assert_true(bs_test_tail(ctx, 0));
        assert_int_equal(bs_get_integer(&heap, ctx, 1, 0), TERM_NONE);
        heap_fini(&heap);
    }
}

/* Bitstrings put at odd places, then taken out again as views of views. */
static void bitstrings(void **state)
{
    for (unsigned round = 0; round < 2000; round++) {
        struct bs_segment segs[6];
        struct bs_error e;
        unsigned n = 1 + (unsigned)chance(6);
        term t, ctx, sub;

        heap_bag_init(&heap);
        model_len = 0;
        for (unsigned i = 0; i < n; i++)
            segs[i] = (struct bs_segment){ .type = i == 0 && round % 2 ? BS_APPEND : BS_BINARY,
                                           .unit = 1, .number = i + 1, .size = ATOM_all,
                                           .value = random_bitstring(600, true) };
        t = bs_create(&heap, segs, n, &e);
        check_model(t);
        ctx = bs_start_match(&heap, t);
        for (unsigned i = 0; i < n; i++) {
            sub = bs_get_binary(&heap, ctx, bitstring_bits(segs[i].value));
            assert_true(term_eq(sub, segs[i].value));
            assert_int_equal(bits_cmp(bits_of(sub), bits_of(segs[i].value)), 0);
            if (bitstring_bits(sub) > 9) {
                term inner = bs_start_match(&heap, sub), rest;

                assert_true(bs_skip(inner, 9));
                rest = bs_get_tail(&heap, inner);
                assert_true(term_eq(rest, bitstring_sub(&heap, segs[i].value, 9,
                                                        bitstring_bits(sub) - 9)));
            }
        }
        heap_fini(&heap);
    }
}

static term create1(unsigned type, term value, term size, unsigned flags, struct bs_error *e)
{
    struct bs_segment s = { .type = (uint8_t)type, .unit = 1, .flags = (uint8_t)flags, .number = 1,
                            .value = value, .size = size };

    return bs_create(&heap, &s, 1, e);
}

static void check_bytes(term t, const char *hex)
{
    struct bits b = bits_of(t);
    char text[200] = "";

    for (uint64_t i = 0; i < b.bits / 8; i++)
        sprintf(text + 2 * i, "%02x", (unsigned)bits_get(b, 8 * i, 8));
    assert_string_equal(text, hex);
}

/* Values from OTP 25. */
static void floats(void **state)
{
    static const struct { double d; unsigned bits, flags; const char *hex; } rows[] = {
        { 1.5, 64, 0, "3ff8000000000000" }, { 1.5, 64, 2, "000000000000f83f" },
        { -1.5, 32, 0, "bfc00000" }, { 1.0e300, 32, 0, "7f800000" }, { 1.5, 16, 0, "3e00" },
        { 1.5, 16, 2, "003e" }, { 65519.0, 16, 0, "7bff" }, { 65520.0, 16, 0, "7c00" },
        { -70000, 16, 0, "fc00" }, { 5.96e-8, 16, 0, "0001" }, { 5.96e-8 / 2, 16, 0, "0000" },
        { 5.96e-8 * 3, 16, 0, "0003" }, { 5.96e-8 * 1.5, 16, 0, "0001" }, { 0, 16, 0, "0000" },
        { 6.103515625e-5, 16, 0, "0400" }, { 1.0e-4, 16, 0, "068e" }, { 2047.9, 16, 0, "6800" },
    };
    struct bs_error e;

    heap_bag_init(&heap);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        term t = create1(BS_FLOAT, heap_float(&heap, rows[i].d), small_make(rows[i].bits),
                         rows[i].flags, &e);

        check_bytes(t, rows[i].hex);
        if (rows[i].bits == 64)
            assert_true(flt_val(bs_get_float(&heap, bs_start_match(&heap, t), 64,
                                             rows[i].flags)) == rows[i].d);
    }
    /* every half reads and writes back as itself; NaN and infinity do not match */
    for (unsigned v = 0; v < 65536; v++) {
        term t = create1(BS_INTEGER, small_make(v), small_make(16), 0, &e);
        term f = bs_get_float(&heap, bs_start_match(&heap, t), 16, 0);

        assert_int_equal(f == TERM_NONE, (v >> 10 & 31) == 31);
        if (f != TERM_NONE)
            assert_true(term_eq(create1(BS_FLOAT, f, small_make(16), 0, &e), t));
    }
    heap_fini(&heap);
}

static void code_points(void **state)
{
    struct bs_error e;

    heap_bag_init(&heap);
    for (unsigned c = 0; c < 0x110100; c += c < 0x1000 || (c > 0xD700 && c < 0xE100) ? 1 : 61) {
        bool good = c <= 0x10FFFF && (c < 0xD800 || c > 0xDFFF);
        static const unsigned types[] = { BS_UTF8, BS_UTF16, BS_UTF16, BS_UTF32, BS_UTF32 };

        for (unsigned i = 0; i < ARRAY_LEN(types); i++) {
            unsigned flags = i & 1 ? 0 : 2;
            term t = create1(types[i], small_make(c), ATOM_undefined, flags, &e), ctx, got;

            assert_int_equal(t != TERM_NONE, good);
            if (!good) {
                assert_int_equal(e.kind, BS_ERROR_TYPE);
                continue;
            }
            ctx = bs_start_match(&heap, t);
            got = types[i] == BS_UTF8 ? bs_get_utf8(ctx)
                : types[i] == BS_UTF16 ? bs_get_utf16(ctx, flags) : bs_get_utf32(ctx, flags);
            assert_int_equal(got, small_make(c));
            assert_true(bs_test_tail(ctx, 0));
        }
        if (c % 5000 == 0) {
            heap_fini(&heap);
            heap_bag_init(&heap);
        }
    }
    heap_fini(&heap);
}

static void bad_utf8(void **state)
{
    static const char *const rows[] = {
        "\x80", "\xC0\x80", "\xC1\xBF", "\xC3", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xE2\x82",
        "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xE2\x28\xA1", "",
    };

    heap_bag_init(&heap);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        term t = heap_binary(&heap, rows[i], strlen(rows[i]));

        assert_int_equal(bs_get_utf8(bs_start_match(&heap, t)), TERM_NONE);
    }
    heap_fini(&heap);
}

/* Kinds and values as OTP 25 reports them. */
static void errors(void **state)
{
    struct { unsigned type; term value, size; unsigned kind; bool limit; } rows[] = {
        { BS_INTEGER, ATOM_ok, small_make(8), BS_ERROR_TYPE, false },
        { BS_INTEGER, small_make(1), ATOM_ok, BS_ERROR_SIZE, false },
        { BS_INTEGER, small_make(1), small_make(-1), BS_ERROR_SIZE, false },
        { BS_INTEGER, small_make(1), small_make((int64_t)1 << 59), BS_ERROR_SIZE, true },
        { BS_FLOAT, ATOM_ok, small_make(64), BS_ERROR_TYPE, false },
        { BS_FLOAT, ATOM_ok, small_make(17), BS_ERROR_INVALID, false },
        { BS_BINARY, ATOM_ok, ATOM_all, BS_ERROR_TYPE, false },
        { BS_BINARY, ATOM_ok, small_make(8), BS_ERROR_TYPE, false },
        { BS_APPEND, ATOM_ok, ATOM_all, BS_ERROR_TYPE, false },
        { BS_UTF8, small_make(-1), ATOM_undefined, BS_ERROR_TYPE, false },
        { BS_UTF16, ATOM_ok, ATOM_undefined, BS_ERROR_TYPE, false },
    };
    struct bs_error e;
    struct bs_segment s;

    heap_bag_init(&heap);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(create1(rows[i].type, rows[i].value, rows[i].size, 0, &e), TERM_NONE);
        assert_int_equal(e.kind, rows[i].kind);
        assert_int_equal(e.limit, rows[i].limit);
        assert_int_equal(e.value, rows[i].kind == BS_ERROR_SIZE || rows[i].kind == BS_ERROR_INVALID
                                      ? rows[i].size : rows[i].value);
    }
    s = (struct bs_segment){ .type = BS_BINARY, .unit = 8, .number = 3, .size = small_make(4),
                             .value = heap_binary(&heap, "abc", 3) };
    assert_int_equal(bs_create(&heap, &s, 1, &e), TERM_NONE);
    assert_int_equal(e.kind, BS_ERROR_SHORT);
    assert_int_equal(e.segment, 3);
    s.size = ATOM_all;
    s.value = bitstring_sub(&heap, s.value, 0, 3);
    assert_int_equal(bs_create(&heap, &s, 1, &e), TERM_NONE);
    assert_int_equal(e.kind, BS_ERROR_UNIT);
    assert_int_equal(bs_error_kind_atom(&e), ATOM_unit);
    heap_fini(&heap);
}

/* A million appends of a byte, the old values staying as they were. */
static void append_linear(unsigned type)
{
    enum { N = 1000000 };
    struct bs_segment s[2] = {
        { .type = (uint8_t)type, .unit = 8, .number = 1, .size = ATOM_all },
        { .type = BS_INTEGER, .unit = 1, .number = 2, .size = small_make(8) },
    };
    int64_t start = clock_monotonic_ns();
    struct bs_error e;
    term t, early = TERM_NONE;

    heap_bag_init(&heap);
    t = bitstring_writable(&heap, 0);
    for (unsigned i = 0; i < N; i++) {
        s[0].value = t;
        s[1].value = small_make(i % 251);
        t = bs_create(&heap, s, 2, &e);
        if (i == 1000)
            early = t;
    }
    assert_int_equal(bitstring_bits(t), 8 * (uint64_t)N);
    for (unsigned i = 0; i < N; i += 97)
        assert_int_equal(bits_get(bits_of(t), 8 * (uint64_t)i, 8), i % 251);
    if (type == BS_APPEND) {
        assert_int_equal(bitstring_bits(early), 8 * 1001);
        /* the tail is taken: this must copy */
        s[0].value = early;
        s[1].value = small_make(255);
        early = bs_create(&heap, s, 2, &e);
        assert_int_equal(bits_get(bits_of(t), 8 * 1001, 8), 1001 % 251);
        assert_int_equal(bits_get(bits_of(early), 8 * 1001, 8), 255);
    }
    heap_fini(&heap);
    /* quadratic copying would take minutes */
    assert_true(clock_monotonic_ns() - start < 10000000000);
}

static void append(void **state)
{
    append_linear(BS_APPEND);
}

static void private_append(void **state)
{
    append_linear(BS_PRIVATE_APPEND);
}

/* Single bits appended, and a failed in-place growth undone. */
static void append_bits(void **state)
{
    struct bs_segment s[2] = {
        { .type = BS_PRIVATE_APPEND, .unit = 1, .number = 1, .size = ATOM_all },
        { .type = BS_INTEGER, .unit = 1, .number = 2, .size = small_make(1) },
    };
    struct bs_error e;
    term t;

    heap_bag_init(&heap);
    model_len = 0;
    t = bs_init_writable(&heap, small_make(10));
    for (unsigned i = 0; i < BITS_MAX - 8; i++) {
        uint64_t bit = chance(2);

        model_bits(bit, 1);
        s[0].value = t;
        s[1].value = small_make(bit);
        t = bs_create(&heap, s, 2, &e);
    }
    check_model(t);
    s[0].value = t;
    s[1].value = ATOM_ok;
    assert_int_equal(bs_create(&heap, s, 2, &e), TERM_NONE);
    check_model(t);
    heap_fini(&heap);
}

static void older_family(void **state)
{
    struct bs_builder b;
    term t, sum;

    heap_bag_init(&heap);
    assert_int_equal(bs_init_bytes(&heap, &b, small_make(13), &t), BS_OK);
    assert_true(bs_put_integer(&b, small_make(0x1234), small_make(2), 8, BS_LITTLE));
    assert_true(bs_put_string(&b, (const uint8_t *)"xyz", 3));
    assert_true(bs_put_binary(&b, heap_binary(&heap, "ab", 2), ATOM_all, 8));
    assert_true(bs_put_utf8(&b, small_make(0x20AC)));
    assert_false(bs_put_integer(&b, small_make(1), small_make(4), 8, 0));
    assert_true(bs_put_integer(&b, small_make(-2), small_make(3), 8, 0));
    check_bytes(t, "341278797a6162e282acfffffe");
    assert_int_equal(bs_append(&heap, &b, t, small_make(8), 8, &sum), BS_OK);
    assert_true(bs_put_integer(&b, small_make(7), small_make(8), 1, 0));
    check_bytes(sum, "341278797a6162e282acfffffe07");
    check_bytes(t, "341278797a6162e282acfffffe");
    assert_int_equal(bs_init_bytes(&heap, &b, small_make(-1), &t), BS_BADARG);
    assert_int_equal(bs_init_bytes(&heap, &b, heap_uint(&heap, UINT64_MAX), &t), BS_SYSTEM_LIMIT);
    assert_int_equal(bs_add(small_make(3), small_make(4), 8, &sum), BS_OK);
    assert_int_equal(sum, small_make(35));
    assert_int_equal(bs_add(small_make(3), small_make(-4), 8, &sum), BS_BADARG);
    assert_int_equal(bs_utf8_size(small_make(0x7FF)), small_make(2));
    assert_int_equal(bs_utf16_size(small_make(0x10000)), small_make(4));
    heap_fini(&heap);
}

/* Integers wider than a word: what is written is read back, in both orders and signs. */
static void wide(void **state)
{
    for (unsigned round = 0; round < 500; round++) {
        unsigned bits = 65 + (unsigned)chance(300), flags = (unsigned[]){ 0, 2, 4, 6 }[chance(4)];
        term source, ctx, v, back;
        struct bs_error e;

        heap_bag_init(&heap);
        do
            source = random_bitstring(500, false);
        while (bitstring_bits(source) < bits);
        source = bitstring_sub(&heap, source, 0, bits);
        ctx = bs_start_match(&heap, source);
        v = bs_get_integer(&heap, ctx, bits, flags);
        back = create1(BS_INTEGER, v, small_make(bits), flags, &e);
        assert_true(term_eq(back, source));
        heap_fini(&heap);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers), cmocka_unit_test(bitstrings), cmocka_unit_test(floats),
        cmocka_unit_test(code_points), cmocka_unit_test(bad_utf8), cmocka_unit_test(errors),
        cmocka_unit_test(append), cmocka_unit_test(private_append), cmocka_unit_test(append_bits),
        cmocka_unit_test(older_family), cmocka_unit_test(wide),
    };

    atom_table_init(0);
    literal_region_init();
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
