/* SPDX-License-Identifier: Apache-2.0 */
/*
 * match_ops.c - the functions that match specifications may call
 */
#include "table/match_ops.h"
#include "heap/arith.h"
#include "heap/blob.h"
#include "heap/etf.h"
#include "heap/map.h"
#include "term/atom.h"
#include "term/compare.h"
#include "term/fun.h"
#include "term/ids.h"

ALWAYS_INLINE term truth(bool b)
{
    return b ? ATOM_true : ATOM_false;
}

#define TEST(name, expr) \
    static term op_##name(struct heap *h, const term *a) { return truth(expr); }

static bool is_count(term t)
{
    return is_small(t) && small_val(t) >= 0;
}

TEST(is_atom, is_atom(a[0]))
TEST(is_float, is_float(a[0]))
TEST(is_integer, is_integer(a[0]))
TEST(is_list, is_list(a[0]))
TEST(is_number, is_number(a[0]))
TEST(is_pid, is_pid(a[0]))
TEST(is_port, is_port(a[0]))
TEST(is_reference, is_ref(a[0]))
TEST(is_tuple, is_tuple(a[0]))
TEST(is_map, is_map(a[0]))
TEST(is_binary, is_binary(a[0]))
TEST(is_bitstring, is_bitstring(a[0]))
TEST(is_boolean, a[0] == ATOM_true || a[0] == ATOM_false)
TEST(is_function, is_fun(a[0]))
TEST(equal, term_equal(a[0], a[1]))
TEST(not_equal, !term_equal(a[0], a[1]))
TEST(same, term_eq(a[0], a[1]))
TEST(not_same, !term_eq(a[0], a[1]))
TEST(lt, term_cmp(a[0], a[1]) < 0)
TEST(le, term_cmp(a[0], a[1]) <= 0)
TEST(gt, term_cmp(a[0], a[1]) > 0)
TEST(ge, term_cmp(a[0], a[1]) >= 0)

static term op_is_function_2(struct heap *h, const term *a)
{
    return is_count(a[1]) ? truth(is_fun(a[0]) && fun_arity(a[0]) == small_val(a[1])) : TERM_NONE;
}

static term op_is_record(struct heap *h, const term *a)
{
    if (!is_atom(a[1]) || !is_count(a[2]))
        return TERM_NONE;
    return truth(is_tuple(a[0]) && tuple_arity(a[0]) >= 1 && tuple_elem(a[0], 0) == a[1] &&
                 (int64_t)tuple_arity(a[0]) == small_val(a[2]));
}

/* --- parts and sizes -------------------------------------------------------------------------- */

static term op_element(struct heap *h, const term *a)
{
    if (!is_small(a[0]) || !is_tuple(a[1]) || small_val(a[0]) < 1 ||
        small_val(a[0]) > (int64_t)tuple_arity(a[1]))
        return TERM_NONE;
    return tuple_elem(a[1], small_val(a[0]) - 1);
}

static term op_hd(struct heap *h, const term *a)
{
    return is_cons(a[0]) ? car(a[0]) : TERM_NONE;
}

static term op_tl(struct heap *h, const term *a)
{
    return is_cons(a[0]) ? cdr(a[0]) : TERM_NONE;
}

static term op_length(struct heap *h, const term *a)
{
    int64_t n = list_length(a[0]);

    return n < 0 ? TERM_NONE : small_make(n);
}

static term op_byte_size(struct heap *h, const term *a)
{
    return is_bitstring(a[0]) ? small_make((bitstring_bits(a[0]) + 7) / 8) : TERM_NONE;
}

static term op_bit_size(struct heap *h, const term *a)
{
    return is_bitstring(a[0]) ? small_make(bitstring_bits(a[0])) : TERM_NONE;
}

static term op_tuple_size(struct heap *h, const term *a)
{
    return is_tuple(a[0]) ? small_make(tuple_arity(a[0])) : TERM_NONE;
}

static term op_size(struct heap *h, const term *a)
{
    return is_tuple(a[0]) ? op_tuple_size(h, a) : op_byte_size(h, a);
}

static term op_map_size(struct heap *h, const term *a)
{
    return is_map(a[0]) ? small_make(map_size(a[0])) : TERM_NONE;
}

static term op_map_get(struct heap *h, const term *a)
{
    return is_map(a[1]) ? map_get(a[1], a[0]) : TERM_NONE;
}

static term op_is_map_key(struct heap *h, const term *a)
{
    return is_map(a[1]) ? truth(map_get(a[1], a[0]) != TERM_NONE) : TERM_NONE;
}

static term part_of_binary(struct heap *h, term bin, term pos, term len)
{
    int64_t at, n, size;

    if (!is_binary(bin) || !is_small(pos) || !is_small(len))
        return TERM_NONE;
    size = (int64_t)(bitstring_bits(bin) / 8);
    at = small_val(pos);
    n = small_val(len);
    if (at < 0 || at > size || n > size - at || n < -at)
        return TERM_NONE;
    if (n < 0) {
        at += n;
        n = -n;
    }
    return bitstring_sub(h, bin, (uint64_t)at * 8, (uint64_t)n * 8);
}

/* The binary is copied first: it may lie in a row, and a small part would point into it. */
static term op_binary_part_3(struct heap *h, const term *a)
{
    return is_binary(a[0]) ? part_of_binary(h, heap_copy(h, a[0]), a[1], a[2]) : TERM_NONE;
}

static term op_binary_part_2(struct heap *h, const term *a)
{
    term args[3] = { a[0] };

    if (!is_tuple_n(a[1], 2))
        return TERM_NONE;
    args[1] = tuple_elem(a[1], 0);
    args[2] = tuple_elem(a[1], 1);
    return op_binary_part_3(h, args);
}

static term op_node_1(struct heap *h, const term *a)
{
    if (is_local_pid(a[0]) || is_local_port(a[0]) || is_imm_ref(a[0]) || box_is(a[0], HK_REF) ||
        box_is(a[0], HK_MAGIC))
        return etf_env.local_node;
    if (is_pid(a[0]) || is_port(a[0]) || is_ref(a[0]))
        return id_node(a[0])->name;
    return TERM_NONE;
}

static term op_node_0(struct heap *h, const term *a)
{
    return etf_env.local_node;
}

static term op_max(struct heap *h, const term *a)
{
    return term_cmp(a[0], a[1]) >= 0 ? a[0] : a[1];
}

static term op_min(struct heap *h, const term *a)
{
    return term_cmp(a[0], a[1]) <= 0 ? a[0] : a[1];
}

/* --- arithmetic ------------------------------------------------------------------------------ */

#define ARITH1(name, fn) \
    static term op_##name(struct heap *h, const term *a) { term e; return fn(h, a[0], &e); }
#define ARITH2(name, fn) \
    static term op_##name(struct heap *h, const term *a) { term e; return fn(h, a[0], a[1], &e); }

ARITH1(neg, arith_neg)
ARITH1(abs, arith_abs)
ARITH1(round, arith_round)
ARITH1(trunc, arith_trunc)
ARITH1(floor, arith_floor)
ARITH1(ceil, arith_ceil)
ARITH1(float, arith_to_float)
ARITH1(bnot, arith_bnot)
ARITH2(add, arith_add)
ARITH2(sub, arith_sub)
ARITH2(mul, arith_mul)
ARITH2(fdiv, arith_fdiv)
ARITH2(div, arith_div)
ARITH2(rem, arith_rem)
ARITH2(band, arith_band)
ARITH2(bor, arith_bor)
ARITH2(bxor, arith_bxor)
ARITH2(bsl, arith_bsl)
ARITH2(bsr, arith_bsr)

static term op_plus(struct heap *h, const term *a)
{
    return is_number(a[0]) ? a[0] : TERM_NONE;
}

/* --- booleans --------------------------------------------------------------------------------- */

static term op_not(struct heap *h, const term *a)
{
    return a[0] == ATOM_true ? ATOM_false : a[0] == ATOM_false ? ATOM_true : TERM_NONE;
}

static term op_xor(struct heap *h, const term *a)
{
    if ((a[0] != ATOM_true && a[0] != ATOM_false) || (a[1] != ATOM_true && a[1] != ATOM_false))
        return TERM_NONE;
    return truth(a[0] != a[1]);
}

/* Actions on traced processes: accepted, and true, where nothing is traced. */
static term op_action(struct heap *h, const term *a)
{
    return ATOM_true;
}

static term op_unknown(struct heap *h, const term *a)
{
    return ATOM_undefined;
}

static const struct match_op ops[] = {
    { "is_atom", 1, 0, 0, op_is_atom }, { "is_float", 1, 0, 0, op_is_float },
    { "is_integer", 1, 0, 0, op_is_integer }, { "is_list", 1, 0, 0, op_is_list },
    { "is_number", 1, 0, 0, op_is_number }, { "is_pid", 1, 0, 0, op_is_pid },
    { "is_port", 1, 0, 0, op_is_port }, { "is_reference", 1, 0, 0, op_is_reference },
    { "is_tuple", 1, 0, 0, op_is_tuple }, { "is_map", 1, 0, 0, op_is_map },
    { "is_binary", 1, 0, 0, op_is_binary }, { "is_bitstring", 1, 0, 0, op_is_bitstring },
    { "is_boolean", 1, 0, 0, op_is_boolean }, { "is_function", 1, 0, 0, op_is_function },
    { "is_function", 2, 0, 0, op_is_function_2 }, { "is_record", 3, 0, 0, op_is_record },
    { "is_map_key", 2, 0, 0, op_is_map_key }, { "abs", 1, 1, 0, op_abs },
    { "element", 2, 1, 0, op_element }, { "hd", 1, 1, 0, op_hd }, { "tl", 1, 1, 0, op_tl },
    { "length", 1, 0, 0, op_length }, { "max", 2, 1, 0, op_max }, { "min", 2, 1, 0, op_min },
    { "node", 0, 0, 0, op_node_0 }, { "node", 1, 0, 0, op_node_1 },
    { "round", 1, 1, 0, op_round }, { "trunc", 1, 1, 0, op_trunc },
    { "float", 1, 1, 0, op_float }, { "ceil", 1, 1, 0, op_ceil },
    { "floor", 1, 1, 0, op_floor }, { "size", 1, 0, 0, op_size },
    { "map_size", 1, 0, 0, op_map_size }, { "map_get", 2, 1, 0, op_map_get },
    { "bit_size", 1, 0, 0, op_bit_size }, { "byte_size", 1, 0, 0, op_byte_size },
    { "tuple_size", 1, 0, 0, op_tuple_size }, { "binary_part", 2, 0, 0, op_binary_part_2 },
    { "binary_part", 3, 0, 0, op_binary_part_3 },
    { "+", 1, 1, 0, op_plus }, { "-", 1, 1, 0, op_neg }, { "+", 2, 1, 0, op_add },
    { "-", 2, 1, 0, op_sub }, { "*", 2, 1, 0, op_mul }, { "/", 2, 0, 0, op_fdiv },
    { "div", 2, 1, 0, op_div }, { "rem", 2, 1, 0, op_rem }, { "band", 2, 1, 0, op_band },
    { "bor", 2, 1, 0, op_bor }, { "bxor", 2, 1, 0, op_bxor }, { "bnot", 1, 1, 0, op_bnot },
    { "bsl", 2, 1, 0, op_bsl }, { "bsr", 2, 1, 0, op_bsr },
    { ">", 2, 0, 0, op_gt, ORDER_GT },
    { ">=", 2, 0, 0, op_ge, ORDER_GT | ORDER_EQ },
    { "<", 2, 0, 0, op_lt, ORDER_LT },
    { "=<", 2, 0, 0, op_le, ORDER_LT | ORDER_EQ },
    { "=:=", 2, 0, 0, op_same, ORDER_EQ },
    { "==", 2, 0, 0, op_equal, ORDER_EQ },
    { "=/=", 2, 0, 0, op_not_same, ORDER_LT | ORDER_GT },
    { "/=", 2, 0, 0, op_not_equal, ORDER_LT | ORDER_GT },
    { "not", 1, 0, 0, op_not }, { "xor", 2, 0, 0, op_xor },
    { "message", 1, 0, 1, op_action }, { "return_trace", 0, 0, 1, op_action },
    { "exception_trace", 0, 0, 1, op_action }, { "process_dump", 0, 0, 1, op_unknown },
    { "display", 1, 0, 1, op_action }, { "enable_trace", 1, 0, 1, op_action },
    { "enable_trace", 2, 0, 1, op_action }, { "disable_trace", 1, 0, 1, op_action },
    { "disable_trace", 2, 0, 1, op_action }, { "trace", 2, 0, 1, op_action },
    { "trace", 3, 0, 1, op_action }, { "silent", 1, 0, 1, op_action },
    { "caller", 0, 0, 1, op_unknown }, { "caller_line", 0, 0, 1, op_unknown },
    { "current_stacktrace", 0, 0, 1, op_unknown },
    { "current_stacktrace", 1, 0, 1, op_unknown }, { "set_tcw", 1, 0, 1, op_action },
    { "get_tcw", 0, 0, 1, op_unknown }, { "set_seq_token", 2, 0, 1, op_action },
    { "get_seq_token", 0, 0, 1, op_unknown }, { "is_seq_trace", 0, 0, 1, op_action },
};

const struct match_op *match_op_find(const char *name, size_t arity)
{
    for (size_t i = 0; i < ARRAY_LEN(ops); i++)
        if (ops[i].arity == arity && strcmp(ops[i].name, name) == 0)
            return &ops[i];
    return NULL;
}
