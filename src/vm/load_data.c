/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_data.c - selections, tuples, funs and maps: instructions with lists of operands
 */
#include "vm/load_code.h"

#include "base/alloc.h"

#include <stdlib.h>

/* --- selections ------------------------------------------------------------------------------ */

struct choice { term value; uint32_t label; };

static int choice_cmp(const void *a, const void *b)
{
    const struct choice *x = a, *y = b;

    return x->value < y->value ? -1 : x->value > y->value;
}

static void passed_exactly(struct loader *ld, const struct beam_arg *a, uint32_t arity)
{
    uint32_t *k = verify_register(ld, a);

    if (k != NULL)
        *k = known_tuple(arity);
}

/* [value, label, ...] of a list operand; tuple: the values are arities of this register; the first
 * of equal values wins, as in the file. */
static size_t choices(struct loader *ld, const struct beam_arg *list, const struct beam_arg *tuple,
                      struct choice **ret, bool *ret_immediate)
{
    bool arities = tuple != NULL;
    size_t n = 0;
    struct choice *c;

    *ret_immediate = true;
    *ret = NULL;
    if (list->kind != BEAM_LIST || list->n % 2 != 0) {
        load_fail(ld, "list of values and labels expected");
        return 0;
    }
    c = *ret = mem_array(list->n / 2 + 1, sizeof *c);
    for (uint32_t i = 0; i < list->n; i += 2) {
        const struct beam_arg *v = &list->list[i];

        if (arities)
            c[n].value = header_make(HK_TUPLE, (term)arg_u(ld, v, (1 << 24) - 1));
        else
            c[n].value = arg_constant(ld, v);
        if (c[n].value == TERM_NONE)
            load_fail(ld, "constant expected");
        if (is_ptr(c[n].value))
            *ret_immediate = false;
        if (arities)
            passed_exactly(ld, tuple, (uint32_t)header_size(c[n].value));
        c[n++].label = (uint32_t)arg_label(ld, &list->list[i + 1], false).n;
    }
    return n;
}

#define DENSE_MIN 4
#define FEW_MAX 4

static void emit_pairs(struct loader *ld, enum op_id op, struct operand s, struct operand no,
                       const struct choice *c, size_t n)
{
    term *w;
    struct operand o[3];

    if (ld->measuring)
        return;
    w = emit_table(ld, 1 + 2 * n);
    w[0] = n;
    for (size_t i = 0; i < n; i++) {
        w[1 + 2 * i] = c[i].value;
        w[2 + 2 * i] = c[i].label;
    }
    o[0] = s;
    o[1] = no;
    o[2] = (struct operand){ 't', (int64_t)(1 + 2 * n), w, 2, 2 };
    emit(ld, op, 3, o);
}

/* Sorted immediate choices as a table by value when they lie close. */
static bool emit_dense(struct loader *ld, struct operand s, struct operand no,
                       const struct choice *c, size_t n)
{
    struct operand o[3];
    uint64_t span;
    term *w;

    if (n < DENSE_MIN || !is_small(c[0].value) || !is_small(c[n - 1].value))
        return false;
    span = (c[n - 1].value - c[0].value) >> 3;
    if (span >= 4 * n)
        return false;
    for (size_t i = 0; i < n; i++)
        if (!is_small(c[i].value))
            return false;
    w = emit_table(ld, span + 3);
    memset(w, 0, (span + 3) * sizeof *w);
    w[0] = span + 1;
    w[1] = c[0].value;
    for (size_t i = 0; i < n; i++)
        w[2 + ((c[i].value - c[0].value) >> 3)] = c[i].label;
    o[0] = s;
    o[1] = no;
    o[2] = (struct operand){ 't', (int64_t)(span + 3), w, 2, 1 };
    emit(ld, OP_select_dense, 3, o);
    return true;
}

/* Put the choices into slots of w, which has room for all to stand in a row at the end; returns how
 * many slots were looked at. */
static size_t fill_hash(struct choice *slots, unsigned bits, uint64_t factor,
                        const struct choice *c, size_t n)
{
    size_t looked = 0;

    for (size_t i = 0; i < ((size_t)1 << bits) + n + 1; i++)
        slots[i].value = TERM_NONE;
    for (size_t i = 0; i < n; i++) {
        struct choice *s = &slots[c[i].value * factor >> (64 - bits)];

        for (looked++; s->value != TERM_NONE && s->value != c[i].value; s++)
            looked++;
        if (s->value == TERM_NONE)
            *s = c[i];
    }
    return looked;
}

#define HASH_TRIES 16

/* The best of a few factors for twice as many slots as choices, or more. */
static void emit_hash(struct loader *ld, struct operand s, struct operand no,
                      const struct choice *c, size_t n)
{
    unsigned bits = 64 - (unsigned)__builtin_clzll(2 * n - 1);
    size_t room = ((size_t)1 << bits) + n + 1, least = SIZE_MAX, words;
    struct choice *slots = mem_array(room, sizeof *slots);
    uint64_t factor = 0x9E3779B97F4A7C15, best = factor;
    struct operand o[3] = { s, no };
    term *w;

    for (int i = 0; i < HASH_TRIES && least > n; i++, factor = factor * 0xD1342543DE82EF95 + 2) {
        size_t looked = fill_hash(slots, bits, factor | 1, c, n);

        if (looked < least) {
            least = looked;
            best = factor | 1;
        }
    }
    (void)fill_hash(slots, bits, best, c, n);
    while (room > ((size_t)1 << bits) && slots[room - 2].value == TERM_NONE)
        room--;
    words = 2 + 2 * room;
    w = emit_table(ld, words);
    w[0] = best;
    w[1] = 64 - bits;
    for (size_t i = 0; i < room; i++) {
        w[2 + 2 * i] = slots[i].value;
        w[3 + 2 * i] = slots[i].value == TERM_NONE ? (term)no.n : slots[i].label;
    }
    mem_free(slots);
    o[2] = (struct operand){ 't', (int64_t)words, w, 3, 2 };
    emit(ld, OP_select_hash, 3, o);
}

void translate_select(struct loader *ld, const struct beam_instr *in, bool arities)
{
    struct operand s, no;
    struct choice *c;
    bool immediate;
    size_t n;

    s = SRC(0);
    no = JUMPTO(1);
    n = choices(ld, &in->args[2], arities ? &in->args[0] : NULL, &c, &immediate);
    if (ld->rc != 0 || ld->measuring) {
        /* frames are noted, nothing to emit */
    } else if (arities) {
        emit_pairs(ld, OP_select_arity, s, no, c, n);
    } else if (!immediate) {
        emit_pairs(ld, OP_select_any, s, no, c, n);
    } else if (n <= FEW_MAX && n < DENSE_MIN) {
        emit_pairs(ld, OP_select_few, s, no, c, n);
    } else {
        size_t m = 0;

        /* mergesort keeps the first of equals first */
        for (size_t i = 0; i < n; i++) {
            size_t j = 0;

            while (n <= 64 && j < m && c[j].value != c[i].value)
                j++;
            if (n > 64 || j == m)
                c[m++] = c[i];
        }
        qsort(c, m, sizeof *c, choice_cmp);
        if (emit_dense(ld, s, no, c, m))
            ;
        else if (m <= FEW_MAX)
            emit_pairs(ld, OP_select_few, s, no, c, m);
        else
            emit_hash(ld, s, no, c, m);
    }
    mem_free(c);
    load_no_way_on(ld);
}

/* --- lists of operands ----------------------------------------------------------------------- */

const struct beam_arg *arg_list(struct loader *ld, const struct beam_arg *a, uint32_t *ret_n)
{
    *ret_n = 0;
    if (a->kind != BEAM_LIST) {
        load_fail(ld, "list expected");
        return NULL;
    }
    *ret_n = a->n;
    return a->list;
}

/* The sources of a list as table words; constants that look like a register cannot be (they would
 * be headers). */
static struct operand arg_source_table(struct loader *ld, const struct beam_arg *a, uint32_t *ret_n)
{
    uint32_t n;
    const struct beam_arg *l = arg_list(ld, a, &n);
    term *w = emit_table(ld, n);

    for (uint32_t i = 0; i < n; i++) {
        struct operand o = arg_source(ld, &l[i]);

        w[i] = any_word(&o);
    }
    *ret_n = n;
    return operand_table(w, n);
}

/* Bytes of an instruction of this op with a table of `words` words. */
struct operand operand_total(enum op_id op, size_t words)
{
    return operand_number((int64_t)(op_variants[op_groups[op].first].size + 8 * words));
}

void translate_put_tuple2(struct loader *ld, const struct beam_instr *in)
{
    uint32_t n;
    const struct beam_arg *l = arg_list(ld, &in->args[1], &n);
    struct operand d = arg_dest_known(ld, &in->args[0], known_tuple(n)), t, e[3];

    (void)verify_use(ld, (int64_t)TUPLE_WORDS((int64_t)n));
    if ((n == 2 || n == 3) && d.class == 'x') {
        for (uint32_t i = 0; i < n; i++)
            e[i] = arg_source(ld, &l[i]);
        if (n == 2)
            EMIT(put_tuple2, e[0], e[1], d);
        else
            EMIT(put_tuple3, e[0], e[1], e[2], d);
        return;
    }
    t = arg_source_table(ld, &in->args[1], &n);
    EMIT(put_tuple, d, operand_number(n), operand_total(OP_put_tuple, n), t);
}

const struct beam_fun *arg_fun(struct loader *ld, const struct beam_arg *a, uint32_t *ret_row)
{
    if (a->kind != BEAM_U || a->u >= ld->file.n_funs) {
        load_fail(ld, "fun %llu of %u", (unsigned long long)a->u, ld->file.n_funs);
        return NULL;
    }
    *ret_row = (uint32_t)a->u;
    return &ld->file.funs[a->u];
}

void translate_make_fun3(struct loader *ld, const struct beam_instr *in)
{
    uint32_t row = 0, n;
    const struct beam_fun *f = arg_fun(ld, &in->args[0], &row);
    struct operand d = DST(1), t;

    if (f == NULL)
        return;
    t = arg_source_table(ld, &in->args[2], &n);
    if (n != f->num_free) {
        load_fail(ld, "fun with %u free variables made with %u", f->num_free, n);
        return;
    }
    (void)verify_use(ld, (int64_t)FUN_WORDS((int64_t)n));
    EMIT(make_fun, d, operand_pointer(ld->image->funs[row]), operand_number(n),
         operand_total(OP_make_fun, n), t);
}

void translate_update_record(struct loader *ld, const struct beam_instr *in)
{
    struct operand size = arg_number(ld, &in->args[1], (1 << 24) - 1), s, d, t;
    uint32_t n;
    const struct beam_arg *l = arg_list(ld, &in->args[4], &n);
    term *w;

    if (n % 2 != 0)
        load_fail(ld, "positions and values expected");
    if (ld->rc != 0)
        return;
    load_ensure(ld, &in->args[2], KNOWN_TUPLE, (uint32_t)size.n);
    s = SRC(2);
    d = arg_dest_known(ld, &in->args[3], known_tuple(size.n));
    (void)verify_use(ld, (int64_t)TUPLE_WORDS(size.n));
    w = emit_table(ld, n);
    for (uint32_t i = 0; i < n; i += 2) {
        struct operand o = arg_source(ld, &l[i + 1]);

        w[i] = (term)arg_u(ld, &l[i], size.n);
        if (w[i] == 0)
            load_fail(ld, "position 0");
        w[i + 1] = any_word(&o);
    }
    t = operand_table(w, n);
    EMIT(update_record, d, s, size, operand_number(n / 2), operand_total(OP_update_record, n), t);
}

void translate_init_yregs(struct loader *ld, const struct beam_instr *in)
{
    uint32_t n, i = 0;
    const struct beam_arg *l = arg_list(ld, &in->args[0], &n);
    struct operand o[4];

    while (i < n) {
        static const uint16_t ops[] = { OP_init1, OP_init2, OP_init3, OP_init4 };
        uint32_t k = 0;

        for (; k < 4 && i < n; k++, i++) {
            o[k] = arg_dest(ld, &l[i]);
            if (o[k].class != 'y')
                load_fail(ld, "y register expected");
        }
        emit(ld, ops[k - 1], k, o);
    }
}

/* --- maps ------------------------------------------------------------------------------------ */

void translate_has_map_fields(struct loader *ld, const struct beam_instr *in)
{
    struct operand no, m, t;
    uint32_t n;

    load_ensure(ld, &in->args[1], KNOWN_MAP, 0);
    no = JUMPTO(0);
    m = SRC(1);
    t = arg_source_table(ld, &in->args[2], &n);
    EMIT(has_map_fields, no, m, operand_number(n), operand_total(OP_has_map_fields, n), t);
}

/* Registers that are set before a later key turns out to be missing hold anything then. */
void translate_get_map_elements(struct loader *ld, const struct beam_instr *in)
{
    struct operand no, m, t;
    uint32_t n;
    const struct beam_arg *l = arg_list(ld, &in->args[2], &n);
    term *w;

    if (n % 2 != 0)
        load_fail(ld, "keys and registers expected");
    load_ensure(ld, &in->args[1], KNOWN_MAP, 0);
    m = SRC(1);
    if (ld->rc != 0)
        return;
    if (n == 2) {
        no = JUMPTO(0);
        EMIT(get_map_element, no, m, arg_source(ld, &l[0]), arg_dest(ld, &l[1]));
        return;
    }
    w = emit_table(ld, n);
    for (uint32_t i = 0; i < n; i += 2) {
        struct operand key = arg_source(ld, &l[i]), d = arg_dest(ld, &l[i + 1]);
        uint32_t *k = verify_register(ld, &l[i + 1]);

        if (k != NULL && *k != KNOWN_UNSET && *k != KNOWN_CATCH)
            *k = KNOWN_ANY;
        w[i] = any_word(&key);
        w[i + 1] = any_word(&d);
    }
    no = JUMPTO(0);
    t = operand_table(w, n);
    EMIT(get_map_elements, no, m, operand_number(n / 2), operand_total(OP_get_map_elements, n), t);
}

void translate_put_map(struct loader *ld, const struct beam_instr *in, bool exact)
{
    struct operand m = SRC(1), d = arg_dest_known(ld, &in->args[2], KNOWN_MAP), t;
    uint32_t n;

    t = arg_source_table(ld, &in->args[4], &n);
    verify_room(ld, 0);
    if (n % 2 != 0)
        load_fail(ld, "keys and values expected");
    if (exact)
        EMIT(put_map_exact, m, d, operand_number(n / 2), operand_total(OP_put_map_exact, n), t);
    else
        EMIT(put_map_assoc, m, d, operand_number(n / 2), operand_total(OP_put_map_assoc, n), t);
}
