/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test.c - type tests, comparisons and boolean operators as functions
 *
 * The loader turns most of these into instructions; the functions serve apply, funs and match
 * specifications.
 */
#include "bif/bif.h"
#include "heap/etf.h"
#include "term/compare.h"
#include "term/ids.h"

ALWAYS_INLINE term truth(bool b)
{
    return b ? ATOM_true : ATOM_false;
}

#define is_boolean(t) ((t) == ATOM_true || (t) == ATOM_false)

/* --- type tests --------------------------------------------------------------------------- */

#define TYPE_TEST(name, expr) \
    term bif_##name(struct process *p, const term *a) { return truth(expr); }

TYPE_TEST(is_atom, is_atom(a[0]))
TYPE_TEST(is_binary, is_binary(a[0]))
TYPE_TEST(is_bitstring, is_bitstring(a[0]))
TYPE_TEST(is_boolean, is_boolean(a[0]))
TYPE_TEST(is_float, is_float(a[0]))
TYPE_TEST(is_function_1, is_fun(a[0]))
TYPE_TEST(is_integer, is_integer(a[0]))
TYPE_TEST(is_list, is_list(a[0]))
TYPE_TEST(is_map, is_map(a[0]))
TYPE_TEST(is_number, is_number(a[0]))
TYPE_TEST(is_pid, is_pid(a[0]))
TYPE_TEST(is_port, is_port(a[0]))
TYPE_TEST(is_reference, is_ref(a[0]))
TYPE_TEST(is_tuple, is_tuple(a[0]))

/* t is an integer >= 0, of any size. */
static bool is_count(term t)
{
    return is_small(t) ? small_val(t) >= 0 : box_is(t, HK_BIGPOS);
}

term bif_is_function_2(struct process *p, const term *a)
{
    if (!is_count(a[1]))
        return bif_badarg(p);
    return truth(is_fun(a[0]) && is_small(a[1]) && fun_arity(a[0]) == small_val(a[1]));
}

static bool has_tag(term t, term tag)
{
    return is_tuple(t) && tuple_arity(t) >= 1 && tuple_elem(t, 0) == tag;
}

term bif_is_record_2(struct process *p, const term *a)
{
    return is_atom(a[1]) ? truth(has_tag(a[0], a[1])) : bif_badarg(p);
}

term bif_is_record_3(struct process *p, const term *a)
{
    if (!is_atom(a[1]) || !is_integer(a[2]))
        return bif_badarg(p);
    return truth(has_tag(a[0], a[1]) && is_small(a[2]) &&
                 (int64_t)tuple_arity(a[0]) == small_val(a[2]));
}

/* --- comparisons -------------------------------------------------------------------------- */

TYPE_TEST(equal, term_equal(a[0], a[1]))
TYPE_TEST(not_equal, !term_equal(a[0], a[1]))
TYPE_TEST(eq_exact, term_eq(a[0], a[1]))
TYPE_TEST(ne_exact, !term_eq(a[0], a[1]))
TYPE_TEST(lt, term_cmp(a[0], a[1]) < 0)
TYPE_TEST(gt, term_cmp(a[0], a[1]) > 0)
TYPE_TEST(le, term_cmp(a[0], a[1]) <= 0)
TYPE_TEST(ge, term_cmp(a[0], a[1]) >= 0)

term bif_max(struct process *p, const term *a)
{
    return term_cmp(a[0], a[1]) >= 0 ? a[0] : a[1];
}

term bif_min(struct process *p, const term *a)
{
    return term_cmp(a[0], a[1]) <= 0 ? a[0] : a[1];
}

/* Order with 1 < 1.0, as the keys of maps: -1, 0 or 1. */
term bif_cmp_term(struct process *p, const term *a)
{
    int c = term_cmp_exact(a[0], a[1]);

    return small_make(c < 0 ? -1 : c > 0);
}

term bif_same(struct process *p, const term *a)
{
    return truth(a[0] == a[1]);
}

/* --- booleans ----------------------------------------------------------------------------- */

static bool both_boolean(const term *a)
{
    return is_boolean(a[0]) && is_boolean(a[1]);
}

term bif_and(struct process *p, const term *a)
{
    return both_boolean(a) ? truth(a[0] == ATOM_true && a[1] == ATOM_true) : bif_badarg(p);
}

term bif_or(struct process *p, const term *a)
{
    return both_boolean(a) ? truth(a[0] == ATOM_true || a[1] == ATOM_true) : bif_badarg(p);
}

term bif_xor(struct process *p, const term *a)
{
    return both_boolean(a) ? truth(a[0] != a[1]) : bif_badarg(p);
}

term bif_not(struct process *p, const term *a)
{
    return is_boolean(a[0]) ? truth(a[0] == ATOM_false) : bif_badarg(p);
}

/* --- nodes ---------------------------------------------------------------------------------- */

term bif_node_0(struct process *p, const term *a)
{
    return etf_env.local_node;
}

term bif_node_1(struct process *p, const term *a)
{
    if (is_local_pid(a[0]) || is_local_port(a[0]) || is_imm_ref(a[0]) || box_is(a[0], HK_REF) ||
        box_is(a[0], HK_MAGIC))
        return etf_env.local_node;
    if (is_pid(a[0]) || is_port(a[0]) || is_ref(a[0]))
        return id_node(a[0])->name;
    return bif_badarg(p);
}
