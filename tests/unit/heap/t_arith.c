/* SPDX-License-Identifier: Apache-2.0 */
/*
 * t_arith.c - integer arithmetic against GMP's mpz layer, which the code under test does not use,
 * on random operands of all sizes and on the edges of smalls and limbs
 */
#include "heap/arith.h"
#include "heap/blob.h"
#include "base/alloc.h"
#include "term/atom.h"

#include <gmp.h>
#include <math.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdlib.h>
#include <cmocka.h>

#define ROUNDS 20000

static struct heap heap;
static uint64_t seed = 88172645463325252u;

static uint64_t chance(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static term from_mpz(const mpz_t z)
{
    size_t n = (mpz_sizeinbase(z, 2) + 7) / 8, len;
    uint8_t *b = mem_zalloc(n);
    term t;

    mpz_export(b, &len, -1, 1, 0, 0, z);
    t = integer_from_bytes_le(&heap, b, len, mpz_sgn(z) < 0);
    mem_free(b);
    return t;
}

/* Checks that t is canonical on the way. */
static void to_mpz(mpz_t z, term t)
{
    assert_true(is_integer(t));
    if (is_small(t)) {
        mpz_set_si(z, small_val(t));
        return;
    }
    mpz_import(z, header_size(box_header(t)), -1, 8, 0, 0, box_ptr(t) + 1);
    assert_true(box_ptr(t)[header_size(box_header(t))] != 0);
    if (box_is(t, HK_BIGNEG))
        mpz_neg(z, z);
    assert_false(mpz_fits_slong_p(z) && fits_small(mpz_get_si(z)));
}

static void random_mpz(mpz_t z)
{
    static const unsigned edges[] = { 0, 1, 31, 32, 59, 60, 61, 63, 64, 65, 127, 128, 192 };

    if (chance() % 3 == 0) {
        mpz_set_ui(z, 1);
        mpz_mul_2exp(z, z, edges[chance() % ARRAY_LEN(edges)]);
        if (chance() % 2)
            mpz_add_ui(z, z, chance() % 3);
        if (chance() % 2)
            mpz_sub_ui(z, z, chance() % 3);
    } else {
        unsigned limbs = chance() % 8 == 0 ? chance() % 40 : chance() % 4;

        mpz_set_ui(z, chance() >> chance() % 64);
        for (unsigned i = 0; i < limbs; i++) {
            mpz_mul_2exp(z, z, 64);
            mpz_add_ui(z, z, chance() % 4 == 0 ? 0 : chance() % 4 == 0 ? UINT64_MAX : chance());
        }
    }
    if (chance() % 2)
        mpz_neg(z, z);
}

typedef term op2(struct heap *h, term a, term b, term *ret_error);
typedef void mpz2(mpz_t r, const mpz_t a, const mpz_t b);

static void check2(op2 *ours, mpz2 *theirs, bool nonzero)
{
    mpz_t a, b, want, got;

    mpz_inits(a, b, want, got, NULL);
    for (int i = 0; i < ROUNDS; i++) {
        term error = 0, t;

        random_mpz(a);
        random_mpz(b);
        if (chance() % 16 == 0)
            mpz_set(b, a);
        if (nonzero && mpz_sgn(b) == 0)
            continue;
        theirs(want, a, b);
        t = ours(&heap, from_mpz(a), from_mpz(b), &error);
        assert_int_not_equal(t, TERM_NONE);
        to_mpz(got, t);
        if (mpz_cmp(got, want) != 0)
            fail_msg("%s", mpz_get_str(NULL, 10, a));
        if (i % 1000 == 0) {
            heap_fini(&heap);
            heap_bag_init(&heap);
        }
    }
    mpz_clears(a, b, want, got, NULL);
}

static void add(void **state) { check2(arith_add, mpz_add, false); }
static void sub(void **state) { check2(arith_sub, mpz_sub, false); }
static void mul(void **state) { check2(arith_mul, mpz_mul, false); }
static void tdiv(void **state) { check2(arith_div, mpz_tdiv_q, true); }
static void trem(void **state) { check2(arith_rem, mpz_tdiv_r, true); }
static void band(void **state) { check2(arith_band, mpz_and, false); }
static void bor(void **state) { check2(arith_bor, mpz_ior, false); }
static void bxor(void **state) { check2(arith_bxor, mpz_xor, false); }

static void unary(void **state)
{
    mpz_t a, want, got;
    term error;

    mpz_inits(a, want, got, NULL);
    for (int i = 0; i < ROUNDS; i++) {
        random_mpz(a);
        mpz_neg(want, a);
        to_mpz(got, arith_neg(&heap, from_mpz(a), &error));
        assert_int_equal(mpz_cmp(got, want), 0);
        mpz_com(want, a);
        to_mpz(got, arith_bnot(&heap, from_mpz(a), &error));
        assert_int_equal(mpz_cmp(got, want), 0);
        mpz_abs(want, a);
        to_mpz(got, arith_abs(&heap, from_mpz(a), &error));
        assert_int_equal(mpz_cmp(got, want), 0);
    }
    mpz_clears(a, want, got, NULL);
}

static void shifts(void **state)
{
    mpz_t a, want, got;
    term error;

    mpz_inits(a, want, got, NULL);
    for (int i = 0; i < ROUNDS; i++) {
        unsigned n = chance() % 4 == 0 ? chance() % 3 * 64 : chance() % 300;

        random_mpz(a);
        mpz_mul_2exp(want, a, n);
        to_mpz(got, arith_bsl(&heap, from_mpz(a), small_make(n), &error));
        assert_int_equal(mpz_cmp(got, want), 0);
        to_mpz(got, arith_bsr(&heap, from_mpz(a), small_make(-(int64_t)n), &error));
        assert_int_equal(mpz_cmp(got, want), 0);
        mpz_fdiv_q_2exp(want, a, n);
        to_mpz(got, arith_bsr(&heap, from_mpz(a), small_make(n), &error));
        assert_int_equal(mpz_cmp(got, want), 0);
        to_mpz(got, arith_bsl(&heap, from_mpz(a), small_make(-(int64_t)n), &error));
        assert_int_equal(mpz_cmp(got, want), 0);
    }
    mpz_clears(a, want, got, NULL);
}

static void shift_limits(void **state)
{
    term error = 0, huge = arith_bsl(&heap, small_make(1), small_make(64), &error), t;
    term minus_huge = arith_neg(&heap, huge, &error);

    assert_int_equal(arith_bsl(&heap, small_make(0), huge, &error), small_make(0));
    assert_int_equal(arith_bsl(&heap, small_make(1), huge, &error), TERM_NONE);
    assert_int_equal(error, ATOM_system_limit);
    assert_int_equal(arith_bsr(&heap, small_make(-1), huge, &error), small_make(-1));
    assert_int_equal(arith_bsl(&heap, small_make(-5), minus_huge, &error), small_make(-1));
    assert_int_equal(arith_bsl(&heap, small_make(5), minus_huge, &error), small_make(0));
    error = 0;
    assert_int_equal(arith_bsr(&heap, small_make(5), minus_huge, &error), TERM_NONE);
    assert_int_equal(error, ATOM_system_limit);
    assert_int_equal(arith_bsl(&heap, ATOM_ok, huge, &error), TERM_NONE);
    assert_int_equal(error, ATOM_badarith);

    t = arith_bsl(&heap, small_make(1), small_make(4194239), &error);
    assert_int_not_equal(t, TERM_NONE);
    assert_int_equal(arith_bsl(&heap, small_make(1), small_make(4194240), &error), TERM_NONE);
    assert_int_equal(error, ATOM_system_limit);
    error = 0;
    assert_int_equal(arith_add(&heap, t, t, &error), TERM_NONE);
    assert_int_equal(error, ATOM_system_limit);
    error = 0;
    assert_int_equal(arith_mul(&heap, t, t, &error), TERM_NONE);
    assert_int_equal(error, ATOM_system_limit);
    error = 0;
    assert_int_equal(arith_mul(&heap, t, small_make(-2), &error), TERM_NONE);
    assert_int_equal(error, ATOM_system_limit);
}

static void text(void **state)
{
    mpz_t a;
    term t;

    mpz_init(a);
    for (int i = 0; i < ROUNDS; i++) {
        int base = 2 + (int)(chance() % 35);
        char *want, *got;
        size_t len;

        random_mpz(a);
        t = from_mpz(a);
        want = mpz_get_str(NULL, -base, a);
        got = mem_alloc(integer_text_max(t, base));
        len = integer_print(t, base, got);
        assert_true(len <= integer_text_max(t, base));
        assert_int_equal(len, strlen(want));
        assert_memory_equal(got, want, len);
        assert_int_equal(number_cmp(integer_parse(&heap, want, len, base), t), 0);
        for (char *c = want; *c != 0; c++)
            *c = *c >= 'A' ? (char)(*c + 32) : *c;
        assert_int_equal(number_cmp(integer_parse(&heap, want, len, base), t), 0);
        want[chance() % len] = "g/:@[`{ _"[base > 16 ? 1 + chance() % 8 : chance() % 9];
        assert_int_equal(integer_parse(&heap, want, len, base), TERM_NONE);
        free(want);
        mem_free(got);
    }
    mpz_clear(a);
}

static void text_edges(void **state)
{
    char *long_text = mem_alloc(2000000), *back;
    term t;

    assert_int_equal(integer_parse(&heap, "", 0, 10), TERM_NONE);
    assert_int_equal(integer_parse(&heap, "+", 1, 10), TERM_NONE);
    assert_int_equal(integer_parse(&heap, "-", 1, 10), TERM_NONE);
    assert_int_equal(integer_parse(&heap, "--1", 3, 10), TERM_NONE);
    assert_int_equal(integer_parse(&heap, "-0", 2, 10), small_make(0));
    assert_int_equal(integer_parse(&heap, "+17", 3, 10), small_make(17));
    assert_int_equal(integer_parse(&heap, "-000000000000000000000000000000", 31, 10), small_make(0));
    assert_int_equal(integer_parse(&heap, "000000000000000000000000000012", 30, 10), small_make(12));
    memset(long_text, '7', 2000000);
    assert_int_equal(integer_parse(&heap, long_text, 2000000, 10), TERM_NONE);
    t = integer_parse(&heap, long_text, 1000000, 10);
    back = mem_alloc(integer_text_max(t, 10));
    assert_int_equal(integer_print(t, 10, back), 1000000);
    assert_memory_equal(back, long_text, 1000000);
    mem_free(back);
    mem_free(long_text);
}

/* Bit i of a field of w bits, most significant first, by the definition. */
static bool field_bit(const mpz_t z, uint64_t w, uint64_t i, bool little)
{
    uint64_t byte = i / 8, weight;

    if (!little)
        weight = w - 1 - i;
    else if (byte < w / 8)
        weight = 8 * byte + 7 - i % 8;
    else
        weight = 8 * byte + w % 8 - 1 - i % 8;
    return mpz_tstbit(z, weight);
}

static void bit_fields(void **state)
{
    mpz_t a, want, got;

    mpz_inits(a, want, got, NULL);
    for (int i = 0; i < ROUNDS; i++) {
        uint8_t buf[128], old[128];
        uint64_t at = chance() % 3 == 0 ? chance() % 4 * 8 : chance() % 40;
        uint64_t w = chance() % 3 == 0 ? chance() % 12 * 8 : chance() % 300;
        bool little = chance() & 1, is_signed = chance() & 1;
        term t;

        random_mpz(a);
        for (size_t k = 0; k < sizeof buf; k++)
            buf[k] = old[k] = (uint8_t)chance();
        integer_put_bits(from_mpz(a), buf, at, w, little);
        for (uint64_t k = 0; k < 8 * sizeof buf; k++) {
            bool bit = k >= at && k < at + w ? field_bit(a, w, k - at, little)
                                             : old[k / 8] >> (7 - k % 8) & 1;
            assert_int_equal(buf[k / 8] >> (7 - k % 8) & 1, bit);
        }
        t = integer_get_bits(&heap, buf, at, w, little, is_signed);
        mpz_fdiv_r_2exp(want, a, w);
        if (is_signed && w > 0 && mpz_tstbit(want, w - 1)) {
            mpz_set_ui(got, 1);
            mpz_mul_2exp(got, got, w);
            mpz_sub(want, want, got);
        }
        to_mpz(got, t);
        assert_int_equal(mpz_cmp(got, want), 0);
    }
    mpz_clears(a, want, got, NULL);
}

static void floats(void **state)
{
    term error = 0, big, t;
    double d;

    big = arith_bsl(&heap, small_make(1), small_make(2000), &error);
    assert_int_equal(arith_fdiv(&heap, big, small_make(1), &error), TERM_NONE);
    assert_int_equal(error, ATOM_badarith);
    assert_int_equal(arith_add(&heap, big, heap_float(&heap, 1.0), &error), TERM_NONE);
    assert_int_equal(arith_mul(&heap, heap_float(&heap, 1e308), small_make(10), &error), TERM_NONE);
    assert_int_equal(arith_fdiv(&heap, small_make(1), heap_float(&heap, 0.0), &error), TERM_NONE);
    assert_int_equal(arith_div(&heap, small_make(1), heap_float(&heap, 1.0), &error), TERM_NONE);
    assert_int_equal(arith_to_float(&heap, big, &error), TERM_NONE);
    assert_int_equal(error, ATOM_badarg);
    t = arith_fdiv(&heap, small_make(7), small_make(2), &error);
    assert_true(is_float(t) && flt_val(t) == 3.5);
    assert_true(signbit(flt_val(arith_neg(&heap, heap_float(&heap, 0.0), &error))));
    assert_int_equal(arith_round(&heap, heap_float(&heap, 2.5), &error), small_make(3));
    assert_int_equal(arith_round(&heap, heap_float(&heap, -2.5), &error), small_make(-3));
    assert_int_equal(arith_round(&heap, heap_float(&heap, 0.49999999999999994), &error), small_make(0));
    assert_int_equal(arith_trunc(&heap, heap_float(&heap, -2.9), &error), small_make(-2));
    assert_int_equal(arith_floor(&heap, heap_float(&heap, -2.1), &error), small_make(-3));
    assert_int_equal(arith_ceil(&heap, heap_float(&heap, 2.1), &error), small_make(3));
    for (int e = 50; e < 1023; e++) {
        mpz_t want, got;

        d = ldexp(1.0 + (double)(chance() >> 12) / 4503599627370496.0, e) * (e & 1 ? -1 : 1);
        mpz_init_set_d(want, d);
        mpz_init(got);
        to_mpz(got, arith_trunc(&heap, heap_float(&heap, d), &error));
        assert_int_equal(mpz_cmp(got, want), 0);
        mpz_clears(want, got, NULL);
    }
}

static int setup(void **state)
{
    atom_table_init(0);
    literal_region_init();
    heap_bag_init(&heap);
    return 0;
}

static int teardown(void **state)
{
    heap_fini(&heap);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(add), cmocka_unit_test(sub), cmocka_unit_test(mul),
        cmocka_unit_test(tdiv), cmocka_unit_test(trem), cmocka_unit_test(band),
        cmocka_unit_test(bor), cmocka_unit_test(bxor), cmocka_unit_test(unary),
        cmocka_unit_test(shifts), cmocka_unit_test(shift_limits), cmocka_unit_test(text),
        cmocka_unit_test(text_edges), cmocka_unit_test(bit_fields), cmocka_unit_test(floats),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, setup, teardown);
}
