/* SPDX-License-Identifier: Apache-2.0 */
/*
 * compare.c - term order and equality
 *
 * One loop compares two ranges of words; a pair of compound terms makes the rest of the range wait
 * on a stack and goes on with the inner words. A tail is the last word of its range, so lists do
 * not make the stack grow.
 *
 * Two maps with the same keys have the same shape (heap/map.h), so equality compares them word by
 * word. Order needs their pairs sorted by key, in buffers that live until the comparison ends.
 */
#include "term/compare.h"

#include "base/alloc.h"
#include "term/atom.h"
#include "term/bits.h"
#include "term/fun.h"
#include "term/ids.h"
#include "term/map_walk.h"
#include "term/number.h"
#include "term/stack.h"

enum rank {
    RANK_NUMBER, RANK_ATOM, RANK_REF, RANK_FUN, RANK_PORT, RANK_PID, RANK_TUPLE, RANK_MAP,
    RANK_NIL, RANK_LIST, RANK_BITS, RANK_OTHER,
};

static enum rank rank_of_immediate(term t)
{
    switch (t & 63) {
    case IMM_ATOM: return RANK_ATOM;
    case IMM_PID:  return RANK_PID;
    case IMM_PORT: return RANK_PORT;
    case IMM_REF:  return RANK_REF;
    case TERM_NIL: return RANK_NIL;
    default:       return RANK_OTHER;
    }
}

static enum rank rank_of(term t)
{
    static const uint8_t boxed[HK_COUNT] = {
        [HK_TUPLE] = RANK_TUPLE, [HK_FLOAT] = RANK_NUMBER, [HK_BIGPOS] = RANK_NUMBER,
        [HK_BIGNEG] = RANK_NUMBER, [HK_FUN] = RANK_FUN, [HK_EXPORT_FUN] = RANK_FUN,
        [HK_REF] = RANK_REF, [HK_EXT_PID] = RANK_PID, [HK_EXT_PORT] = RANK_PORT,
        [HK_EXT_REF] = RANK_REF, [HK_BIN] = RANK_BITS, [HK_BIN_REF] = RANK_BITS,
        [HK_BIN_SUB] = RANK_BITS, [HK_MATCH] = RANK_OTHER, [HK_MAP_FLAT] = RANK_MAP,
        [HK_MAP_ROOT] = RANK_MAP, [HK_MAP_NODE] = RANK_OTHER, [HK_MAGIC] = RANK_REF,
    };

    switch (t & 7) {
    case TAG_LIST: return RANK_LIST;
    case TAG_BOX:  return boxed[header_kind(box_header(t))];
    case TAG_IMM:  return rank_of_immediate(t);
    default:       return RANK_NUMBER;
    }
}

#define ORDER(a, b) ((a) < (b) ? -1 : (a) > (b))

/* --- terms without inner terms ------------------------------------------------------------ */

static int number_order(term a, term b, bool exact)
{
    int c;

    if (!exact)
        return number_cmp(a, b);
    if (is_float(a) != is_float(b))
        return is_float(a) ? 1 : -1;
    c = number_cmp(a, b);
    if (c == 0 && is_imm_flt(a))        /* 0.0 and -0.0, whose words differ */
        c = ORDER(b, a);
    return c;
}

static int node_order(const struct node_entry *a, const struct node_entry *b)
{
    int c;

    if (a == b)
        return 0;
    if (a == NULL || b == NULL)
        return a == NULL ? -1 : 1;
    c = atom_cmp(a->name, b->name);
    return c != 0 ? c : ORDER(a->creation, b->creation);
}

static int pid_order(term a, term b)
{
    int c = ORDER(pid_number(a), pid_number(b));

    if (c == 0)
        c = ORDER(pid_serial_number(a), pid_serial_number(b));
    return c != 0 ? c : node_order(id_node(a), id_node(b));
}

static int port_order(term a, term b)
{
    int c = ORDER(port_number(a), port_number(b));

    return c != 0 ? c : node_order(id_node(a), id_node(b));
}

static int ref_order(term a, term b)
{
    uint32_t x[REF_WORDS_MAX], y[REF_WORDS_MAX];
    int c = node_order(id_node(a), id_node(b));
    unsigned n, m;

    if (c != 0)
        return c;
    n = ref_words(a, x);
    m = ref_words(b, y);
    for (unsigned i = n < m ? n : m; i-- > 0; )
        if (x[i] != y[i])
            return ORDER(x[i], y[i]);
    return ORDER(n, m);
}

/* Everything about two funs but their free variables, which are equally many when 0 comes back. */
static int fun_order(term a, term b)
{
    int c;

    if (is_local_fun(a) != is_local_fun(b))
        return is_local_fun(a) ? -1 : 1;
    if (is_export_fun(a)) {
        struct export *x = export_of(a), *y = export_of(b);

        c = atom_cmp(x->module, y->module);
        if (c == 0)
            c = atom_cmp(x->function, y->function);
        return c != 0 ? c : ORDER(x->arity, y->arity);
    }
    struct fun_entry *x = fun_entry_of(a), *y = fun_entry_of(b);

    if (x == y)
        return ORDER(header_size(box_header(a)), header_size(box_header(b)));
    c = atom_cmp(x->module, y->module);
    if (c == 0)
        c = ORDER(x->index, y->index);
    if (c == 0)
        c = ORDER(x->old_uniq, y->old_uniq);
    if (c == 0)
        c = memcmp(x->md5, y->md5, sizeof x->md5);
    return c != 0 ? c : ORDER(header_size(box_header(a)), header_size(box_header(b)));
}

/* --- the loop ----------------------------------------------------------------------------- */

struct sorted {
    struct sorted *next;
    term words[];           /* keys of a, values of a, keys of b, values of b */
};

struct comparison {
    const term *a, *b;      /* next words to compare */
    size_t left;            /* how many */
    bool exact;             /* 1 and 1.0 differ */
    bool equality;          /* only whether they differ matters */
    struct term_stack waiting;  /* ranges: a, b, left * 2 + exact */
    struct sorted *buffers;
};

/* Compare the n words at a and b next, and what is left of the current range afterwards. */
static void go_into(struct comparison *c, const term *a, const term *b, size_t n, bool exact)
{
    if (c->left > 0) {
        stack_push2(&c->waiting, (term)(uintptr_t)c->a, (term)(uintptr_t)c->b);
        stack_push(&c->waiting, c->left * 2 + c->exact);
    }
    c->a = a;
    c->b = b;
    c->left = n;
    c->exact = exact;
}

static bool go_back(struct comparison *c)
{
    term n;

    if (c->waiting.len == 0)
        return false;
    n = stack_pop(&c->waiting);
    c->b = (const term *)(uintptr_t)stack_pop(&c->waiting);
    c->a = (const term *)(uintptr_t)stack_pop(&c->waiting);
    c->left = n / 2;
    c->exact = n & 1;
    return true;
}

/* Maps of one shape: keys exactly, values as the comparison asks. */
static int map_equal_step(struct comparison *c, const term *a, const term *b)
{
    size_t pairs, subs, i;
    bool exact = c->exact;

    if (a[0] != b[0])
        return 1;
    if (header_kind(a[0]) == HK_MAP_FLAT) {
        go_into(c, a + 2, b + 2, header_size(a[0]) - 1, exact);
        go_into(c, a + 1, b + 1, 1, true);
        return 0;
    }
    pairs = (size_t)__builtin_popcount(map_datamap(a[0]));
    subs = (size_t)__builtin_popcount(map_nodemap(a[0]));
    i = header_kind(a[0]) == HK_MAP_ROOT ? 2 : 1;
    if (i == 2 && a[1] != b[1])
        return 1;
    if (exact) {
        go_into(c, a + i, b + i, 2 * pairs + subs, true);
        return 0;
    }
    if (subs > 0)
        go_into(c, a + i + 2 * pairs, b + i + 2 * pairs, subs, false);
    for (size_t last = i + 2 * pairs; i < last; i += 2) {
        go_into(c, a + i + 1, b + i + 1, 1, false);
        go_into(c, a + i, b + i, 1, true);
    }
    return 0;
}

static int map_order_step(struct comparison *c, term a, term b)
{
    size_t n = map_count(a);
    struct sorted *s;
    bool exact = c->exact;

    if (n != map_count(b))
        return ORDER(n, map_count(b));
    if (n == 0)
        return 0;
    s = mem_alloc(sizeof *s + 4 * n * sizeof(term));
    s->next = c->buffers;
    c->buffers = s;
    map_unpack_sorted(a, s->words, s->words + n);
    map_unpack_sorted(b, s->words + 2 * n, s->words + 3 * n);
    go_into(c, s->words + n, s->words + 3 * n, n, exact);
    go_into(c, s->words, s->words + 2 * n, n, true);
    return 0;
}

/* Two terms of one rank: the result, or 0 after going into both. */
static int same_rank_step(struct comparison *c, term a, term b, enum rank rank)
{
    const term *p, *q;
    int r;

    switch (rank) {
    case RANK_NUMBER: return number_order(a, b, c->exact);
    case RANK_ATOM:   return c->equality ? 1 : atom_cmp(a, b);
    case RANK_REF:    return ref_order(a, b);
    case RANK_PORT:   return port_order(a, b);
    case RANK_PID:    return pid_order(a, b);
    case RANK_BITS:
        if (c->equality && bitstring_bits(a) != bitstring_bits(b))
            return 1;
        return bits_cmp(bits_of(a), bits_of(b));
    case RANK_LIST:
        go_into(c, cons_ptr(a), cons_ptr(b), CONS_WORDS, c->exact);
        return 0;
    case RANK_TUPLE:
        p = box_ptr(a);
        q = box_ptr(b);
        if (p[0] != q[0])
            return ORDER(p[0], q[0]);
        go_into(c, p + 1, q + 1, header_size(p[0]), c->exact);
        return 0;
    case RANK_FUN:
        r = fun_order(a, b);
        if (r == 0 && is_local_fun(a))
            go_into(c, &fun_free(a, 0), &fun_free(b, 0), header_size(box_header(a)) - 1, c->exact);
        return r;
    case RANK_MAP:
        return c->equality ? map_equal_step(c, box_ptr(a), box_ptr(b)) : map_order_step(c, a, b);
    default:    /* nodes of two tries of one shape, compared for equality */
        if (box_is(a, HK_MATCH) || box_is(b, HK_MATCH))
            return ORDER(a, b); /* code made by hand lets them out */
        return is_box(a) && is_box(b) ? map_equal_step(c, box_ptr(a), box_ptr(b)) : ORDER(a, b);
    }
}

static int step(struct comparison *c, term a, term b)
{
    enum rank x, y;

    if (both_small(a, b))
        return (int64_t)a < (int64_t)b ? -1 : 1;
    if (c->equality && c->exact && (!is_ptr(a) || !is_ptr(b)))
        return 1;
    x = rank_of(a);
    y = rank_of(b);
    return x != y ? ORDER(x, y) : same_rank_step(c, a, b, x);
}

static int compare(term a, term b, bool exact, bool equality)
{
    struct comparison c;
    int result = 0;

    if (a == b)
        return 0;
    c.a = &a;
    c.b = &b;
    c.left = 1;
    c.exact = exact;
    c.equality = equality;
    c.buffers = NULL;
    stack_init(&c.waiting);
    do {
        while (c.left > 0 && result == 0) {
            term x = *c.a++, y = *c.b++;

            c.left--;
            if (x != y)
                result = step(&c, x, y);
        }
    } while (result == 0 && go_back(&c));
    stack_fini(&c.waiting);
    while (c.buffers != NULL) {
        struct sorted *s = c.buffers;

        c.buffers = s->next;
        mem_free(s);
    }
    return result;
}

int term_cmp(term a, term b)
{
    return compare(a, b, false, false);
}

int term_cmp_exact(term a, term b)
{
    return compare(a, b, true, false);
}

static bool bitstrings_equal(term a, term b)
{
    struct bits x = bits_of(a), y = bits_of(b);

    if (x.bits != y.bits)
        return false;
    if (LIKELY(((x.bit_offset | y.bit_offset | x.bits) & 7) == 0))
        return memcmp(x.base, y.base, x.bits / 8) == 0;
    return bits_cmp(x, y) == 0;
}

#define EQ_DEPTH 32

/* a =:= b for words that differ: lists and tuples right here, to a depth that the C stack can bear;
 * all else, and what lies deeper, in the general loop. */
static bool eq_step(term a, term b, unsigned depth)
{
    const term *p, *q;
    size_t n;

    while (is_cons(a) && is_cons(b)) {
        term x = car(a), y = car(b);

        if (x != y && (!is_ptr(x) || !is_ptr(y) || depth == 0 || !eq_step(x, y, depth - 1)))
            return depth == 0 && is_ptr(x) && is_ptr(y) && compare(a, b, true, true) == 0;
        a = cdr(a);
        b = cdr(b);
        if (a == b)
            return true;
        if (!is_ptr(a) || !is_ptr(b))
            return false;
    }
    if ((a & 7) != (b & 7))
        return false;
    if (is_bitstring(a) && is_bitstring(b))
        return bitstrings_equal(a, b);
    p = box_ptr(a);
    q = box_ptr(b);
    if (p[0] != q[0])
        return false;
    if (header_kind(p[0]) != HK_TUPLE || depth == 0)
        return compare(a, b, true, true) == 0;
    for (n = header_size(p[0]); n > 0; n--) {
        term x = *++p, y = *++q;

        if (x != y && (!is_ptr(x) || !is_ptr(y) || !eq_step(x, y, depth - 1)))
            return false;
    }
    return true;
}

bool term_eq_slow(term a, term b)
{
    if (!is_ptr(a) || !is_ptr(b))
        return a == b;
    return a == b || eq_step(a, b, EQ_DEPTH);
}

bool term_equal_slow(term a, term b)
{
    return compare(a, b, false, true) == 0;
}

int map_key_cmp(term a, term b)
{
    if (a == b)
        return 0;
    if (!is_ptr(a) || !is_ptr(b))
        return is_ptr(a) ? 1 : is_ptr(b) ? -1 : ORDER(a, b);
    return compare(a, b, true, false);
}
