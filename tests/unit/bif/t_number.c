/* SPDX-License-Identifier: Apache-2.0 */
/*
 * t_number.c - built-ins about numbers, text of numbers, external terms and hashes, called with
 * the arguments of number_calls.tab; results and errors must be OTP's
 */
#include "bif/bif.h"

#include "base/alloc.h"
#include "base/bytes.h"
#include "heap/etf.h"
#include "term/atom.h"
#include "term/compare.h"
#include "term/print.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdlib.h>
#include <cmocka.h>

struct native { const char *module, *function; unsigned arity; bif_fn *fn; };

static const struct native natives[] = {
#define BIF(module, function, arity, kind, fn) { #module, function, arity, fn },
#define BIF_NOFN(module, function, arity, kind)
#define BIF_LONG(module, function, arity, is_short, fn) BIF(module, function, arity, PLAIN, fn)
#include "bif/number.tab"
#include "bif/math.tab"
#include "bif/etf.tab"
#include "bif/hash.tab"
#undef BIF_LONG
#undef BIF
#undef BIF_NOFN
};

struct call { const char *module, *function, *args, *result; };

static const struct call calls[] = {
#define CALL(module, function, args, result) { #module, function, args, result },
#include "number_calls.tab"
#undef CALL
};

static struct process process;
static struct sched sched;

static term unhex(const char *hex)
{
    struct buf b = { 0 };
    struct reader r;
    term t;

    for (; *hex != 0; hex += 2) {
        char two[3] = { hex[0], hex[1], 0 };

        buf_u8(&b, (uint8_t)strtoul(two, NULL, 16));
    }
    r = reader_make(b.data, b.len);
    t = etf_decode(&process.heap, &r, 0);
    assert_true(t != TERM_NONE);
    buf_fini(&b);
    return t;
}

static bif_fn *native_find(const struct call *c, unsigned arity)
{
    for (size_t i = 0; i < ARRAY_LEN(natives); i++) {
        const struct native *n = &natives[i];

        if (strcmp(n->module, c->module) == 0 && strcmp(n->function, c->function) == 0 &&
            n->arity == arity)
            return n->fn;
    }
    return NULL;
}

/* Functions of the C library may differ in the last place. */
static bool almost(term a, term b)
{
    double x, y;

    if (!is_float(a) || !is_float(b))
        return false;
    x = flt_val(a);
    y = flt_val(b);
    return x == y || (x > y ? x - y : y - x) <= 1e-15 * (x < 0 ? -x : x);
}

static bool call_agrees(const struct call *c, struct buf *why)
{
    term args[8], want = unhex(c->result), got, rest = unhex(c->args);
    bif_fn *fn;
    unsigned n = 0;

    /* one or two byte arguments come as a string: decoding makes it a list all the same */
    for (; is_cons(rest); rest = cdr(rest))
        args[n++] = car(rest);
    fn = native_find(c, n);
    assert_non_null(fn);
    process.exc.reason = TERM_NONE;
    got = fn(&process, args);
    got = got != TERM_NONE ? heap_tuple2(&process.heap, ATOM_ok, got)
                           : heap_tuple2(&process.heap, ATOM_error, process.exc.reason);
    if (term_eq(got, want))
        return true;
    if (strcmp(c->module, "math") == 0 && almost(tuple_elem(got, 1), tuple_elem(want, 1)))
        return true;
    buf_printf(why, "%s:%s ", c->module, c->function);
    term_print(why, unhex(c->args), 0, 200);
    buf_str(why, " gave ");
    term_print(why, got, 0, 200);
    buf_str(why, ", not ");
    term_print(why, want, 0, 200);
    buf_str(why, "\n");
    return false;
}

static void as_otp(void **state)
{
    struct buf why = { 0 };
    size_t wrong = 0;

    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        wrong += !call_agrees(&calls[i], &why);
        heap_fini(&process.heap);
        heap_bag_init(&process.heap);
    }
    if (wrong > 0)
        fail_msg("%zu of %zu calls differ:\n%s", wrong, ARRAY_LEN(calls), buf_cstr(&why));
    buf_fini(&why);
}

static int setup(void **state)
{
    atom_table_init(0);
    literal_region_init();
    process.sched = &sched;
    heap_bag_init(&process.heap);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(as_otp) };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, setup, NULL);
}
