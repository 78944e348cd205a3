/* SPDX-License-Identifier: Apache-2.0 */
/*
 * t_etf.c - the external term format against what Erlang/OTP writes, and against liars
 *
 * etf_golden.tab holds encodings made by OTP with the hash of each term there: a decoded term must
 * have that hash and, but for the order of maps, encode to the same bytes.
 */
#include "heap/etf.h"

#include "base/alloc.h"
#include "heap/arith.h"
#include "heap/map.h"
#include "term/atom.h"
#include "term/compare.h"

#include <math.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdlib.h>
#include <cmocka.h>

static struct heap heap;

struct golden { uint32_t hash; size_t len; const char *hex; };

static const struct golden goldens[] = {
#define GOLDEN(hash, len, hex) { hash, len, hex },
#include "etf_golden.tab"
#undef GOLDEN
};

static size_t unhex(const char *hex, uint8_t *out)
{
    size_t n = 0;

    for (; hex[2 * n] != 0; n++) {
        char two[3] = { hex[2 * n], hex[2 * n + 1], 0 };

        out[n] = (uint8_t)strtoul(two, NULL, 16);
    }
    return n;
}

/* Decode an exact copy, so that a sanitizer sees a read past the end. */
static term decode(const void *data, size_t len, unsigned flags, size_t *ret_left)
{
    uint8_t *copy = mem_dup(data, len);
    struct reader r = reader_make(copy, len);
    term t = etf_decode(&heap, &r, flags);

    if (ret_left != NULL)
        *ret_left = reader_left(&r);
    mem_free(copy);
    return t;
}

#define DECODE(text) decode(text, sizeof text - 1, 0, NULL)

static bool has_map(const char *hex)
{
    return strncmp(hex + 2, "74", 2) == 0 || strstr(hex, "7400000") != NULL;
}

static void golden(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(goldens); i++) {
        const struct golden *g = &goldens[i];
        uint8_t bytes[4096];
        size_t len = unhex(g->hex, bytes), left;
        struct buf b = { 0 };
        term t = decode(bytes, len, 0, &left), again;

        assert_int_equal(len, g->len);
        if (t == TERM_NONE)
            fail_msg("refused: %s", g->hex);
        assert_int_equal(left, 0);
        if (term_phash2(t) != g->hash)
            fail_msg("hash: %s", g->hex);
        assert_int_equal(etf_encode(&b, t, 0, 2), 0);
        assert_int_equal(b.len, len);
        assert_int_equal(etf_size(t, 0, 2), len);
        if (!has_map(g->hex))
            assert_memory_equal(b.data, bytes, len);
        again = decode(b.data, b.len, 0, NULL);
        assert_true(term_eq(t, again));
        buf_fini(&b);
        for (size_t cut = 0; cut < len; cut++)
            assert_int_equal(decode(bytes, cut, 0, NULL), TERM_NONE);
    }
}

static void encodes_to(term t, unsigned flags, int minor, const void *want, size_t len)
{
    struct buf b = { 0 };

    assert_int_equal(etf_encode(&b, t, flags, minor), 0);
    assert_int_equal(b.len, len);
    assert_memory_equal(b.data, want, len);
    buf_fini(&b);
}

#define ENCODES_TO(t, flags, minor, text) encodes_to(t, flags, minor, text, sizeof text - 1)

static void minor_versions(void **state)
{
    char float_text[33] = "\203c1.50000000000000000000e+00";
    term wide = atom_from_cstr("\316\273");

    ENCODES_TO(ATOM_ok, 0, 2, "\203w\002ok");
    ENCODES_TO(ATOM_ok, ETF_NO_VERSION, 2, "w\002ok");
    ENCODES_TO(ATOM_ok, 0, 1, "\203d\000\002ok");
    ENCODES_TO(atom_from_cstr("\303\251"), 0, 1, "\203d\000\001\351");
    ENCODES_TO(wide, 0, 1, "\203w\002\316\273");
    encodes_to(heap_float(&heap, 1.5), 0, 0, float_text, 33);
    assert_true(flt_val(decode(float_text, 33, 0, NULL)) == 1.5);
}

/* Encodings that OTP reads and no longer writes. */
static void old_forms(void **state)
{
    assert_int_equal(DECODE("\203s\002ok"), ATOM_ok);
    assert_int_equal(DECODE("\203d\000\002ok"), ATOM_ok);
    assert_int_equal(DECODE("\203s\001\351"), atom_from_cstr("\303\251"));
    assert_int_equal(DECODE("\203n\000\001"), small_make(0));
    assert_int_equal(DECODE("\203n\002\001\005\000"), small_make(-5));
    assert_int_equal(DECODE("\203o\000\000\000\001\000\007"), small_make(7));
    assert_int_equal(DECODE("\203l\000\000\000\000a\005"), small_make(5));
    assert_int_equal(DECODE("\203k\000\000"), TERM_NIL);
    assert_true(is_tuple_n(DECODE("\203i\000\000\000\001a\005"), 1));
    assert_true(box_is(DECODE("\203gw\005a@foo\000\000\000\001\000\000\000\002\003"), HK_EXT_PID));
    assert_true(box_is(DECODE("\203fw\005a@foo\000\000\000\001\003"), HK_EXT_PORT));
    assert_true(box_is(DECODE("\203ew\005a@foo\000\000\000\001\003"), HK_EXT_REF));
    assert_true(box_is(DECODE("\203r\000\001w\005a@foo\003\000\000\000\001"), HK_EXT_REF));
    assert_true(bitstring_bits(DECODE("\203M\000\000\000\001\003\377")) == 3);
    assert_true(term_eq(DECODE("\203M\000\000\000\001\003\377"), DECODE("\203M\000\000\000\001\003\340")));
}

static void refused(void **state)
{
    assert_int_equal(DECODE(""), TERM_NONE);
    assert_int_equal(DECODE("\203"), TERM_NONE);
    assert_int_equal(DECODE("a\001"), TERM_NONE);
    assert_int_equal(DECODE("\203\203a\001"), TERM_NONE);
    assert_int_equal(DECODE("\203h\001P\000\000\000\001"), TERM_NONE);     /* nested compression */
    assert_int_equal(DECODE("\203t\000\000\000\002a\001a\001a\001a\002"), TERM_NONE); /* equal keys */
    assert_int_equal(DECODE("\203F\177\360\000\000\000\000\000\000"), TERM_NONE);     /* infinity */
    assert_int_equal(DECODE("\203F\177\370\000\000\000\000\000\000"), TERM_NONE);     /* NaN */
    assert_int_equal(DECODE("\203w\002\303\050"), TERM_NONE);              /* not UTF-8 */
    assert_int_equal(DECODE("\203M\000\000\000\000\000x") == TERM_NONE, false);
    assert_int_equal(DECODE("\203M\000\000\000\000\001"), TERM_NONE);
    assert_int_equal(DECODE("\203M\000\000\000\001\000x"), TERM_NONE);
    assert_int_equal(DECODE("\203M\000\000\000\001\011x"), TERM_NONE);
    assert_int_equal(DECODE("\203qw\001aw\001bb\000\000\001\000"), TERM_NONE);   /* arity 256 */
    assert_int_equal(DECODE("\203Z\000\006w\001a\000\000\000\000xxxxxxxxxxxxxxxxxxxxxxxx"), TERM_NONE);
    assert_int_equal(DECODE("\203Xa\001\000\000\000\001\000\000\000\002\000\000\000\003"), TERM_NONE);
    /* sizes that promise more than there is, also after earlier parts used what was left */
    assert_int_equal(DECODE("\203i\377\377\377\377"), TERM_NONE);
    assert_int_equal(DECODE("\203l\377\377\377\377j"), TERM_NONE);
    assert_int_equal(DECODE("\203t\377\377\377\377j"), TERM_NONE);
    assert_int_equal(DECODE("\203h\002i\377\377\377\377"), TERM_NONE);
    assert_int_equal(DECODE("\203m\377\377\377\377"), TERM_NONE);
    assert_int_equal(DECODE("\203o\377\377\377\377\000"), TERM_NONE);
}

static void safe(void **state)
{
    static const char fresh[] = "\203w\020never_seen_before";

    assert_int_equal(decode(fresh, sizeof fresh - 1, ETF_SAFE, NULL), TERM_NONE);
    assert_int_equal(decode("\203s\003\351\352\353", 6, ETF_SAFE, NULL), TERM_NONE);
    assert_int_equal(decode("\203s\002ok", 5, ETF_SAFE, NULL), ATOM_ok);
    assert_true(is_atom(decode(fresh, sizeof fresh - 1, 0, NULL)));
    assert_true(is_atom(decode(fresh, sizeof fresh - 1, ETF_SAFE, NULL)));
}

/* A list nested in the last element of another claims all that is left, again and again: memory
 * must stay in proportion to the input all the same. */
static void bounded_memory(void **state)
{
    size_t n = 200000;
    uint8_t *bytes = mem_alloc(n);
    struct heap bag;
    struct reader r;

    bytes[0] = 131;
    for (size_t i = 1; i + 5 <= n; i += 5) {
        size_t left = n - i - 6;

        bytes[i] = 108;
        bytes[i + 1] = (uint8_t)(left >> 24);
        bytes[i + 2] = (uint8_t)(left >> 16);
        bytes[i + 3] = (uint8_t)(left >> 8);
        bytes[i + 4] = (uint8_t)left;
    }
    heap_bag_init(&bag);
    r = reader_make(bytes, n);
    assert_int_equal(etf_decode(&bag, &r, 0), TERM_NONE);
    assert_true(heap_bytes(&bag) <= 64 * n + 4096);
    heap_fini(&bag);
    mem_free(bytes);
}

static void deep(void **state)
{
    term t = TERM_NIL;
    struct buf b = { 0 };
    size_t left;

    for (int i = 0; i < 300000; i++)
        t = i % 3 == 0 ? heap_cons(&heap, t, TERM_NIL) : i % 3 == 1 ? heap_tuple(&heap, 1, &t)
                                                       : heap_cons(&heap, small_make(1), t);
    assert_int_equal(etf_encode(&b, t, 0, 2), 0);
    assert_int_equal(etf_size(t, 0, 2), b.len);
    assert_true(term_eq(decode(b.data, b.len, 0, &left), t));
    assert_int_equal(left, 0);
    buf_fini(&b);
}

static void compressed(void **state)
{
    term t = TERM_NIL;
    struct buf b = { 0 };
    size_t left, len;

    for (int i = 0; i < 1000; i++)
        t = heap_cons(&heap, ATOM_ok, t);
    assert_int_equal(etf_encode_compressed(&b, t, 0, 2, ETF_COMPRESS_DEFAULT), 0);
    assert_int_equal(b.data[1], 80);
    assert_true(b.len < 100);
    len = b.len;
    buf_str(&b, "xyz");
    assert_true(term_eq(decode(b.data, b.len, 0, &left), t));
    assert_int_equal(left, 3);
    for (size_t cut = 0; cut < len; cut++)
        assert_int_equal(decode(b.data, cut, 0, NULL), TERM_NONE);
    b.data[5]++;            /* promises one byte more than comes out */
    assert_int_equal(decode(b.data, len, 0, NULL), TERM_NONE);
    b.data[5] -= 2;
    assert_int_equal(decode(b.data, len, 0, NULL), TERM_NONE);
    b.data[5]++;
    b.data[2] = 0x7F;       /* and two gigabytes */
    assert_int_equal(decode(b.data, len, 0, NULL), TERM_NONE);
    b.len = 0;
    assert_int_equal(etf_encode_compressed(&b, ATOM_ok, 0, 2, 9), 0);
    assert_int_equal(b.len, 5);
    assert_memory_equal(b.data, "\203w\002ok", 5);
    buf_fini(&b);
}

static void deterministic_maps(void **state)
{
    term pairs[] = { ATOM_true, small_make(3), small_make(2), small_make(1), ATOM_ok, ATOM_ok };

    ENCODES_TO(map_from_pairs(&heap, pairs, 3), ETF_DETERMINISTIC, 2,
               "\203t\000\000\000\003a\002a\001w\002okw\002okw\004truea\003");
}

/* --- identifiers and funs ----------------------------------------------------------------- */

static struct export fake_export;
static struct fun_entry fake_fun;

static struct export *find_export(term module, term function, uint32_t arity, bool create)
{
    if (!create && (module != fake_export.module || function != fake_export.function))
        return NULL;
    fake_export = (struct export){ .module = module, .function = function, .arity = arity };
    fake_export.fun[0] = header_make(HK_EXPORT_FUN, 1);
    fake_export.fun[1] = (term)(uintptr_t)&fake_export;
    return &fake_export;
}

static struct fun_entry *find_fun(term module, const uint8_t md5[16], uint32_t index,
                                  uint32_t old_uniq, uint32_t arity, uint32_t num_free,
                                  bool create)
{
    if (!create)
        return NULL;
    fake_fun = (struct fun_entry){ .module = module, .index = index, .old_uniq = old_uniq,
                                   .arity = (uint8_t)arity, .num_free = num_free };
    memcpy(fake_fun.md5, md5, 16);
    return &fake_fun;
}

static void identifiers(void **state)
{
    term ids[] = { pid_make(77, 12345), imm_make(IMM_PORT, (uint64_t)1 << 40),
                   imm_make(IMM_REF, (uint64_t)3 << 48 | 123456789012) };
    term alias_words[] = { header_make(HK_REF, 2), (uint64_t)3 << 48 | 7, pid_make(77, 12345) };
    term alias = box_term(alias_words), back;
    struct buf b = { 0 };

    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        b.len = 0;
        assert_int_equal(etf_encode(&b, ids[i], 0, 2), 0);
        assert_int_equal(decode(b.data, b.len, 0, NULL), ids[i]);
    }
    b.len = 0;
    assert_int_equal(etf_encode(&b, alias, 0, 2), 0);
    back = decode(b.data, b.len, 0, NULL);
    assert_true(box_is(back, HK_REF) && term_eq(back, alias));
    buf_fini(&b);
    ENCODES_TO(pid_make(10, 0), 0, 2, "\203Xw\015nonode@nohost\000\000\000\012\000\000\000\000\000\000\000\000");
    /* a local pid that cannot be ours, and a reference of another nameless node */
    assert_int_equal(DECODE("\203Xw\015nonode@nohost\177\377\377\377\000\000\000\000\000\000\000\000"), TERM_NONE);
    assert_true(box_is(DECODE("\203Z\000\003w\015nonode@nohost\000\000\000\000\000\000\034\154\206\010\000\002\066\053\107\371"), HK_EXT_REF));
}

static void funs(void **state)
{
    static const char lists_map[] = "\203qw\005listsw\003mapa\002";
    term t, fun, words[4];
    struct buf b = { 0 };

    assert_int_equal(DECODE(lists_map), TERM_NONE);
    etf_env.export_lookup = find_export;
    etf_env.fun_lookup = find_fun;
    assert_int_equal(decode(lists_map, sizeof lists_map - 1, ETF_SAFE, NULL), TERM_NONE);
    t = DECODE(lists_map);
    assert_true(is_export_fun(t) && export_of(t)->arity == 2);
    ENCODES_TO(t, 0, 2, lists_map);
    assert_int_equal(decode(lists_map, sizeof lists_map - 1, ETF_SAFE, NULL), t);

    words[0] = header_make(HK_FUN, 3);
    words[1] = (term)(uintptr_t)find_fun(ATOM_lists, (const uint8_t *)"0123456789abcdef", 3, 99, 1, 2,
                                          true);
    words[2] = ATOM_ok;
    words[3] = heap_tuple2(&heap, small_make(1), small_make(300));
    fun = box_term(words);
    assert_int_equal(etf_encode(&b, fun, 0, 2), 0);
    assert_int_equal(etf_size(fun, 0, 2), b.len);
    assert_int_equal(b.data[5], b.len - 2);
    t = decode(b.data, b.len, 0, NULL);
    assert_true(is_local_fun(t) && fun_free(t, 0) == ATOM_ok && term_eq(fun_free(t, 1), words[3]));
    assert_int_equal(decode(b.data, b.len, ETF_SAFE, NULL), TERM_NONE);
    b.data[5]--;            /* the size must fit what is inside */
    assert_int_equal(decode(b.data, b.len, 0, NULL), TERM_NONE);
    buf_fini(&b);
}

/* Every byte of every golden term flipped in turn: refused or a term, never a crash. */
static void flipped(void **state)
{
    size_t accepted = 0;

    for (size_t i = 0; i < ARRAY_LEN(goldens); i++) {
        uint8_t bytes[4096];
        size_t len = unhex(goldens[i].hex, bytes);

        for (size_t k = 0; k < len; k++) {
            struct buf b = { 0 };
            term t;

            bytes[k] ^= 0xFF;
            t = decode(bytes, len, 0, NULL);
            bytes[k] ^= 0xFF;
            if (t == TERM_NONE)
                continue;
            accepted++;
            assert_int_equal(etf_encode(&b, t, 0, 2), 0);
            assert_true(term_eq(decode(b.data, b.len, 0, NULL), t));
            buf_fini(&b);
        }
        heap_fini(&heap);
        heap_bag_init(&heap);
    }
    assert_true(accepted > 0);
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

/* Export funs among the golden terms need the hook. */
static int with_hooks(void **state)
{
    etf_env.export_lookup = find_export;
    etf_env.fun_lookup = find_fun;
    return 0;
}

static int without_hooks(void **state)
{
    etf_env.export_lookup = NULL;
    etf_env.fun_lookup = NULL;
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(golden, with_hooks, without_hooks),
        cmocka_unit_test(minor_versions), cmocka_unit_test(old_forms), cmocka_unit_test(refused),
        cmocka_unit_test(safe), cmocka_unit_test(bounded_memory), cmocka_unit_test(deep),
        cmocka_unit_test(compressed), cmocka_unit_test(deterministic_maps),
        cmocka_unit_test(identifiers),
        cmocka_unit_test_setup_teardown(funs, without_hooks, without_hooks),
        cmocka_unit_test(flipped),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, setup, teardown);
}
