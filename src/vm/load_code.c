/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_code.c - generic instructions into operations
 *
 * The instructions are walked several times: first only to learn the frame (number of y registers)
 * at each label, until nothing new is learned; then once more to emit. Each walk checks that
 * operands are of the kind the instruction takes, that y registers lie in the frame, and that a
 * function returns as it was entered; so the interpreter checks none of this. Compilers share
 * blocks that only raise between places with different frames: there the frame is FRAME_MIXED or
 * below, and no instruction that needs to know it is taken. Code that no way leads to is left out.
 */
#include "vm/load_priv.h"

#include "base/alloc.h"
#include "heap/bitsyntax.h"
#include "vm/bif.h"
#include "vm/engine_priv.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

bool load_fail(struct loader *ld, const char *fmt, ...)
{
    va_list ap;
    int n;

    if (ld->rc != 0)
        return false;
    ld->rc = -1;
    va_start(ap, fmt);
    n = vsnprintf(ld->error->text, sizeof ld->error->text, fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n < sizeof ld->error->text)
        snprintf(ld->error->text + n, sizeof ld->error->text - (size_t)n, " (at byte %zu of code)",
                 ld->at);
    return false;
}

/* --- operands ---------------------------------------------------------------------------------- */

static struct operand number(int64_t n)
{
    return (struct operand){ 'n', n, NULL, 0, 0 };
}

static struct operand pointer(const void *p)
{
    return (struct operand){ 'p', (int64_t)(uintptr_t)p, NULL, 0, 0 };
}

static struct operand constant(term t)
{
    return (struct operand){ 'k', (int64_t)t, NULL, 0, 0 };
}

static struct operand xreg(unsigned i)
{
    return (struct operand){ 'x', (int64_t)(offsetof(struct sched, x) + i * sizeof(term)), NULL, 0, 0 };
}

static struct operand table(const term *words, size_t n)
{
    return (struct operand){ 't', (int64_t)n, words, 0, 0 };
}

static struct operand bad(struct loader *ld, const char *what)
{
    load_fail(ld, "%s expected", what);
    return number(0);
}

static int32_t y_count(int32_t frame);

static struct operand yreg(struct loader *ld, uint64_t i)
{
    if (i >= (uint64_t)y_count(ld->frame))
        return bad(ld, "y register inside the frame");
    return (struct operand){ 'y', (int64_t)(8 * (i + 1)), NULL, 0, 0 };
}

/* The term of a constant operand, TERM_NONE when it is none. */
static term arg_constant(struct loader *ld, const struct beam_arg *a)
{
    switch (a->kind) {
    case BEAM_I:
        return fits_small(a->i) ? small_make(a->i) : load_big(ld, a);
    case BEAM_BIG:
        return load_big(ld, a);
    case BEAM_ATOM:
        return ld->atoms[a->u];
    case BEAM_NIL:
        return TERM_NIL;
    case BEAM_LITERAL:
        return ld->literals[a->u];
    default:
        return TERM_NONE;
    }
}

static struct operand source(struct loader *ld, const struct beam_arg *a)
{
    term t;

    if (a->kind == BEAM_X && a->u < X_REGISTERS)
        return xreg((unsigned)a->u);
    if (a->kind == BEAM_Y)
        return yreg(ld, a->u);
    t = arg_constant(ld, a);
    return t == TERM_NONE ? bad(ld, "source operand") : constant(t);
}

/* A source that must be a register, or a constant that is no list of operands. */
static struct operand dest(struct loader *ld, const struct beam_arg *a)
{
    if (a->kind == BEAM_X || a->kind == BEAM_Y)
        return source(ld, a);
    return bad(ld, "register");
}

static int64_t number_of(struct loader *ld, const struct beam_arg *a, int64_t max)
{
    if (a->kind == BEAM_U && a->u <= (uint64_t)max)
        return (int64_t)a->u;
    load_fail(ld, "number up to %lld expected", (long long)max);
    return 0;
}

static struct operand num(struct loader *ld, const struct beam_arg *a, int64_t max)
{
    return number(number_of(ld, a, max));
}

static struct operand fr(struct loader *ld, const struct beam_arg *a)
{
    if (a->kind != BEAM_FR || a->u >= FLOAT_REGISTERS)
        return bad(ld, "float register");
    return (struct operand){ 'l', (int64_t)(offsetof(struct sched, f) + a->u * sizeof(double)), NULL, 0, 0 };
}

/* --- labels and frames ----------------------------------------------------------------------------- */

/* y registers that can be used: in a mixed frame those that all of them have. */
static int32_t y_count(int32_t frame)
{
    return frame <= FRAME_MIXED ? FRAME_MIXED - frame : frame < 0 ? 0 : frame;
}

/* A jump to `to` with this frame. */
static void reach(struct loader *ld, uint32_t to, int32_t frame)
{
    int32_t *have = &ld->label_frame[to];

    if (*have == FRAME_UNKNOWN) {
        *have = frame;
        ld->frames_changed = true;
    } else if (*have != frame) {
        int32_t a = y_count(*have), b = y_count(frame), mixed = FRAME_MIXED - (a < b ? a : b);

        if (mixed != *have)
            ld->frames_changed = true;
        *have = mixed;
    }
}

static struct operand label(struct loader *ld, const struct beam_arg *a, bool may_be_none)
{
    if (a->kind != BEAM_F || (a->u == 0 && !may_be_none))
        return bad(ld, "label");
    if (a->u != 0)
        reach(ld, (uint32_t)a->u, ld->frame);
    return (struct operand){ 'f', (int64_t)a->u, NULL, 0, 0 };
}

/* The entry of a function: entered without a frame. */
static struct operand callee(struct loader *ld, const struct beam_arg *a)
{
    if (a->kind != BEAM_F || a->u == 0)
        return bad(ld, "label");
    reach(ld, (uint32_t)a->u, FRAME_NONE);
    return (struct operand){ 'f', (int64_t)a->u, NULL, 0, 0 };
}

#define FAIL(i)   label(ld, &in->args[i], true)
#define JUMPTO(i) label(ld, &in->args[i], false)
#define SRC(i)    source(ld, &in->args[i])
#define DST(i)    dest(ld, &in->args[i])
#define EMIT(op, ...) do { \
        const struct operand o_[] = { __VA_ARGS__ }; \
        emit(ld, OP_##op, ARRAY_LEN(o_), o_); \
    } while (0)
#define EMIT0(op) emit(ld, OP_##op, 0, NULL)

static void need_frame(struct loader *ld)
{
    if (ld->frame < 0)
        load_fail(ld, "call without a frame");
}

/* Words wanted by test_heap and its like, in our sizes. */
static int64_t heap_need(struct loader *ld, const struct beam_arg *a)
{
    uint64_t words = 0;

    if (a->kind == BEAM_U)
        words = a->u;
    else if (a->kind == BEAM_ALLOC)
        words = a->alloc.words + (uint64_t)FLOAT_WORDS * a->alloc.floats +
                (uint64_t)FUN_WORDS(0) * a->alloc.funs;
    else
        load_fail(ld, "heap need expected");
    if (words > 1 << 24)
        load_fail(ld, "heap need of %llu words", (unsigned long long)words);
    return (int64_t)words;
}

static void set_frame(struct loader *ld, int64_t n)
{
    if (ld->frame != FRAME_NONE)
        load_fail(ld, "second frame");
    if (n > FRAME_MAX)
        load_fail(ld, "frame of %lld registers", (long long)n);
    ld->frame = (int32_t)n;
}

static void drop_frame(struct loader *ld, const struct beam_arg *a)
{
    int64_t n = number_of(ld, a, FRAME_MAX);

    if (ld->frame != n)
        load_fail(ld, "deallocate %lld with a frame of %d", (long long)n, ld->frame);
    EMIT(deallocate, number(n + 1));
    ld->frame = FRAME_NONE;
}

static void no_way_on(struct loader *ld)
{
    ld->dead = true;
}

/* --- functions --------------------------------------------------------------------------------------- */

static bool native(const struct bif *b)
{
    return b != NULL && b->fn != NULL && b->kind != BIF_FALLBACK;
}

static void func_info(struct loader *ld, const struct beam_instr *in)
{
    struct image *im = ld->image;
    int64_t arity = number_of(ld, &in->args[2], 255);

    if (in->args[0].kind != BEAM_ATOM || in->args[1].kind != BEAM_ATOM) {
        load_fail(ld, "func_info wants atoms");
        return;
    }
    ld->entry_next = true;
    if (ld->measuring)
        return;
    emit_flush(ld);
    if (im->n_functions == ld->cap_functions) {
        ld->cap_functions = ld->cap_functions ? 2 * ld->cap_functions : 32;
        im->functions = mem_realloc(im->functions, ld->cap_functions * sizeof *im->functions);
    }
    im->functions[im->n_functions++] = (struct code_function){
        emit_offset(ld), 0, ld->atoms[in->args[1].u], (uint32_t)arity,
    };
    ld->dead = false;
    ld->frame = FRAME_NONE;
    EMIT(func_info, number(arity));
    emit_flush(ld);
}

static void label_here(struct loader *ld, const struct beam_instr *in)
{
    uint64_t l = in->args[0].u;
    int32_t *frame;

    if (in->args[0].kind != BEAM_U || l == 0 || l >= ld->file.label_count) {
        load_fail(ld, "bad label");
        return;
    }
    frame = &ld->label_frame[l];
    if (ld->entry_next)
        reach(ld, (uint32_t)l, FRAME_NONE);
    else if (!ld->dead)
        reach(ld, (uint32_t)l, ld->frame);
    ld->dead = *frame == FRAME_UNKNOWN;
    if (!ld->dead)
        ld->frame = *frame;
    if (!ld->measuring) {
        emit_flush(ld);
        if (ld->label_off[l] != 0)
            load_fail(ld, "label %llu is defined twice", (unsigned long long)l);
        ld->label_off[l] = emit_offset(ld) + 1;
    }
    ld->handler_next = ld->handler_y[l];
    if (ld->entry_next) {
        ld->entry_next = false;
        if (!ld->measuring) {
            struct image *im = ld->image;
            struct code_function *f = &im->functions[im->n_functions - 1];
            struct export *e = export_find(ld->module, f->name, f->arity);

            f->entry = emit_offset(ld);
            /* A native function hides the Erlang one, for calls from the module itself too. */
            if (e != NULL && native(atomic_load(&e->bif))) {
                EMIT(bif_entry, pointer(e));
                emit_flush(ld);
            }
        }
    }
}

/* --- calls ---------------------------------------------------------------------------------------------- */

/* CALL_RAISES: one that does not return, whatever the frame is. */
enum call_form { CALL_BODY, CALL_LAST, CALL_ONLY, CALL_RAISES };

static struct export *import_of(struct loader *ld, const struct beam_arg *a)
{
    if (a->kind != BEAM_U || a->u >= ld->file.n_imports) {
        load_fail(ld, "import %llu of %u", (unsigned long long)a->u, ld->file.n_imports);
        return NULL;
    }
    return ld->imports[a->u];
}

/* The op that calls of this function become, or OP_COUNT. */
static enum op_id special_call(const struct export *e, bool body)
{
    if (e->module != ATOM_erlang)
        return OP_COUNT;
    if (e->function == ATOM_apply && (e->arity == 2 || e->arity == 3))
        return body ? OP_apply_list : OP_apply_list_only;
    if (e->function == ATOM_yield && e->arity == 0)
        return body ? OP_yield_ : OP_yield_only;
    if (e->function == ATOM_hibernate && e->arity == 3)
        return OP_hibernate;
    return OP_COUNT;
}

/* Compilers let code with another frame follow such a call. */
static bool never_returns(const struct export *e)
{
    if (e->module != ATOM_erlang)
        return false;
    return (e->function == ATOM_error && e->arity >= 1 && e->arity <= 3) ||
           ((e->function == ATOM_exit || e->function == ATOM_throw) && e->arity == 1);
}

static void call_ext(struct loader *ld, const struct beam_instr *in, enum call_form form)
{
    struct export *e = import_of(ld, &in->args[1]);
    const struct bif *b;
    enum op_id special;
    struct operand n;

    if (e == NULL)
        return;
    if (never_returns(e))
        form = CALL_RAISES;
    else if (form == CALL_BODY)
        need_frame(ld);
    else if (form == CALL_ONLY && ld->frame != FRAME_NONE)
        load_fail(ld, "tail call with a frame");
    b = atomic_load(&e->bif);
    special = special_call(e, form == CALL_BODY);
    n = number(e->arity);
    if (special == OP_COUNT && native(b) && form != CALL_ONLY) {
        EMIT(call_bif, pointer((const void *)(uintptr_t)b->fn), pointer(e));
        if (form == CALL_LAST) {
            drop_frame(ld, &in->args[2]);
            EMIT0(return);
        }
    } else {
        if (form == CALL_LAST)
            drop_frame(ld, &in->args[2]);
        if (special != OP_COUNT)
            emit(ld, special, 1, &n);
        else if (native(b))
            EMIT(call_bif_only, pointer((const void *)(uintptr_t)b->fn), pointer(e));
        else if (form == CALL_BODY)
            EMIT(call_ext, pointer(e), n);
        else
            EMIT(call_ext_only, pointer(e), n);
    }
    if (form != CALL_BODY || special == OP_hibernate)
        no_way_on(ld);
}

/* --- guards ------------------------------------------------------------------------------------------------ */

static term guard_missing(struct process *p, const term *a)
{
    (void)a;
    return bif_error(p, ATOM_undef);
}

struct guard_op { const char *name; uint8_t arity; uint16_t op; };

/* f no, s a, s b, d r */
static const struct guard_op arith_ops[] = {
    { "+", 2, OP_add }, { "-", 2, OP_sub }, { "*", 2, OP_mul }, { "div", 2, OP_div },
    { "rem", 2, OP_rem }, { "band", 2, OP_band }, { "bor", 2, OP_bor }, { "bxor", 2, OP_bxor },
    { "bsl", 2, OP_bsl }, { "bsr", 2, OP_bsr },
};
/* s a, s b, d r; swap: operands the other way round */
static const struct { const char *name; uint16_t op; bool swap; } bool_ops[] = {
    { "=:=", OP_bool_eq_exact, false }, { "=/=", OP_bool_ne_exact, false },
    { "==", OP_bool_eq, false }, { "/=", OP_bool_ne, false },
    { "<", OP_bool_lt, false }, { ">", OP_bool_lt, true },
    { ">=", OP_bool_ge, false }, { "=<", OP_bool_ge, true },
};
/* f no, s a..., p e, d r */
static const struct guard_op term_ops[] = {
    { "hd", 1, OP_hd }, { "tl", 1, OP_tl }, { "tuple_size", 1, OP_tuple_size },
    { "byte_size", 1, OP_byte_size }, { "element", 2, OP_element },
};

static bool guard_inline(struct loader *ld, const char *name, unsigned n, struct export *e,
                         struct operand no, const struct operand *s, struct operand d)
{
    for (size_t i = 0; n == 2 && i < ARRAY_LEN(arith_ops); i++) {
        if (strcmp(arith_ops[i].name, name) == 0) {
            emit(ld, arith_ops[i].op, 4, (struct operand[]){ no, s[0], s[1], d });
            return true;
        }
    }
    for (size_t i = 0; n == 2 && i < ARRAY_LEN(bool_ops); i++) {
        if (strcmp(bool_ops[i].name, name) == 0) {
            emit(ld, bool_ops[i].op, 3,
                 (struct operand[]){ s[bool_ops[i].swap], s[!bool_ops[i].swap], d });
            return true;
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(term_ops); i++) {
        if (term_ops[i].arity == n && strcmp(term_ops[i].name, name) == 0) {
            struct operand o[5] = { no };

            memcpy(&o[1], s, n * sizeof *s);
            o[1 + n] = pointer(e);
            o[2 + n] = d;
            emit(ld, term_ops[i].op, n + 3, o);
            return true;
        }
    }
    return false;
}

/* A guard built-in: n sources from args[src], failing to args[fail] (-1: it cannot fail). */
static void guard(struct loader *ld, const struct beam_instr *in, int fail, unsigned imp,
                  unsigned src, unsigned n)
{
    struct export *e = import_of(ld, &in->args[imp]);
    struct operand no = { 'f', 0, NULL, 0, 0 }, s[3], d, fn;
    const struct bif *b;

    if (e == NULL)
        return;
    if (e->arity != n) {
        load_fail(ld, "guard built-in of arity %u used with %u operands", e->arity, n);
        return;
    }
    if (fail >= 0)
        no = label(ld, &in->args[fail], true);
    for (unsigned i = 0; i < n; i++)
        s[i] = source(ld, &in->args[src + i]);
    d = dest(ld, &in->args[src + n]);
    if (e->module == ATOM_erlang && n == 0 && e->function == ATOM_self) {
        emit(ld, OP_self, 1, &d);
        return;
    }
    if (e->module == ATOM_erlang && guard_inline(ld, atom_text(e->function, NULL), n, e, no, s, d))
        return;
    b = atomic_load(&e->bif);
    fn = pointer((const void *)(uintptr_t)(b != NULL && b->fn != NULL ? b->fn : guard_missing));
    switch (n) {
    case 0:
        EMIT(guard0, fn, pointer(e), d);
        break;
    case 1:
        EMIT(guard1, no, fn, pointer(e), s[0], d);
        break;
    case 2:
        EMIT(guard2, no, fn, pointer(e), s[0], s[1], d);
        break;
    default:
        EMIT(guard3, no, fn, pointer(e), s[0], s[1], s[2], d);
        break;
    }
}

/* --- selections ---------------------------------------------------------------------------------------------- */

struct choice { term value; uint32_t label; };

static int choice_cmp(const void *a, const void *b)
{
    const struct choice *x = a, *y = b;

    return x->value < y->value ? -1 : x->value > y->value;
}

/* [value, label, ...] of a list operand; the first of equal values wins, as in the file. */
static size_t choices(struct loader *ld, const struct beam_arg *list, bool arities,
                      struct choice **ret, bool *ret_immediate)
{
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
            c[n].value = header_make(HK_TUPLE, (term)number_of(ld, v, (1 << 24) - 1));
        else
            c[n].value = arg_constant(ld, v);
        if (c[n].value == TERM_NONE)
            load_fail(ld, "constant expected");
        if (is_ptr(c[n].value))
            *ret_immediate = false;
        c[n++].label = (uint32_t)label(ld, &list->list[i + 1], false).n;
    }
    return n;
}

#define DENSE_MIN 4
#define FEW_MAX 6

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

static void select_val(struct loader *ld, const struct beam_instr *in, bool arities)
{
    struct operand s = SRC(0), no = JUMPTO(1);
    struct choice *c;
    bool immediate;
    size_t n = choices(ld, &in->args[2], arities, &c, &immediate);

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
        if (!emit_dense(ld, s, no, c, m))
            emit_pairs(ld, m <= FEW_MAX ? OP_select_few : OP_select_many, s, no, c, m);
    }
    mem_free(c);
    no_way_on(ld);
}

/* --- lists of operands -------------------------------------------------------------------------------------------- */

static const struct beam_arg *list_of(struct loader *ld, const struct beam_arg *a, uint32_t *ret_n)
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
static struct operand source_table(struct loader *ld, const struct beam_arg *a, uint32_t *ret_n)
{
    uint32_t n;
    const struct beam_arg *l = list_of(ld, a, &n);
    term *w = emit_table(ld, n);

    for (uint32_t i = 0; i < n; i++) {
        struct operand o = source(ld, &l[i]);

        w[i] = any_word(&o);
    }
    *ret_n = n;
    return table(w, n);
}

/* Bytes of an instruction of this op with a table of `words` words. */
static struct operand total(enum op_id op, size_t words)
{
    return number((int64_t)(op_variants[op_groups[op].first].size + 8 * words));
}

static void put_tuple2(struct loader *ld, const struct beam_instr *in)
{
    struct operand d = DST(0), t, e[3];
    uint32_t n;
    const struct beam_arg *l = list_of(ld, &in->args[1], &n);

    if ((n == 2 || n == 3) && d.class == 'x') {
        for (uint32_t i = 0; i < n; i++)
            e[i] = source(ld, &l[i]);
        if (n == 2)
            EMIT(put_tuple2, e[0], e[1], d);
        else
            EMIT(put_tuple3, e[0], e[1], e[2], d);
        return;
    }
    t = source_table(ld, &in->args[1], &n);
    EMIT(put_tuple, d, number(n), total(OP_put_tuple, n), t);
}

static const struct beam_fun *fun_row(struct loader *ld, const struct beam_arg *a, uint32_t *ret_row)
{
    if (a->kind != BEAM_U || a->u >= ld->file.n_funs) {
        load_fail(ld, "fun %llu of %u", (unsigned long long)a->u, ld->file.n_funs);
        return NULL;
    }
    *ret_row = (uint32_t)a->u;
    return &ld->file.funs[a->u];
}

static void make_fun3(struct loader *ld, const struct beam_instr *in)
{
    uint32_t row = 0, n;
    const struct beam_fun *f = fun_row(ld, &in->args[0], &row);
    struct operand d = DST(1), t;

    if (f == NULL)
        return;
    t = source_table(ld, &in->args[2], &n);
    if (n != f->num_free) {
        load_fail(ld, "fun with %u free variables made with %u", f->num_free, n);
        return;
    }
    EMIT(make_fun, d, pointer(ld->image->funs[row]), number(n), total(OP_make_fun, n), t);
}

static void update_record(struct loader *ld, const struct beam_instr *in)
{
    struct operand size = num(ld, &in->args[1], (1 << 24) - 1), s = SRC(2), d = DST(3), t;
    uint32_t n;
    const struct beam_arg *l = list_of(ld, &in->args[4], &n);
    term *w;

    if (n % 2 != 0)
        load_fail(ld, "positions and values expected");
    if (ld->rc != 0)
        return;
    w = emit_table(ld, n);
    for (uint32_t i = 0; i < n; i += 2) {
        struct operand o = source(ld, &l[i + 1]);

        w[i] = (term)number_of(ld, &l[i], size.n);
        if (w[i] == 0)
            load_fail(ld, "position 0");
        w[i + 1] = any_word(&o);
    }
    t = table(w, n);
    EMIT(update_record, d, s, size, number(n / 2), total(OP_update_record, n), t);
}

static void init_yregs(struct loader *ld, const struct beam_instr *in)
{
    uint32_t n, i = 0;
    const struct beam_arg *l = list_of(ld, &in->args[0], &n);
    struct operand o[4];

    while (i < n) {
        static const uint16_t ops[] = { OP_init1, OP_init2, OP_init3, OP_init4 };
        uint32_t k = 0;

        for (; k < 4 && i < n; k++, i++) {
            o[k] = dest(ld, &l[i]);
            if (o[k].class != 'y')
                load_fail(ld, "y register expected");
        }
        emit(ld, ops[k - 1], k, o);
    }
}

/* --- maps -------------------------------------------------------------------------------------------------------------- */

static void has_map_fields(struct loader *ld, const struct beam_instr *in)
{
    struct operand no = JUMPTO(0), m = SRC(1), t;
    uint32_t n;

    t = source_table(ld, &in->args[2], &n);
    EMIT(has_map_fields, no, m, number(n), total(OP_has_map_fields, n), t);
}

static void get_map_elements(struct loader *ld, const struct beam_instr *in)
{
    struct operand no = JUMPTO(0), m = SRC(1), t;
    uint32_t n;
    const struct beam_arg *l = list_of(ld, &in->args[2], &n);

    if (n % 2 != 0) {
        load_fail(ld, "keys and registers expected");
        return;
    }
    for (uint32_t i = 1; i < n; i += 2)
        dest(ld, &l[i]);
    if (n == 2) {
        EMIT(get_map_element, no, m, source(ld, &l[0]), dest(ld, &l[1]));
        return;
    }
    t = source_table(ld, &in->args[2], &n);
    EMIT(get_map_elements, no, m, number(n / 2), total(OP_get_map_elements, n), t);
}

static void put_map(struct loader *ld, const struct beam_instr *in, bool exact)
{
    struct operand m = SRC(1), d = DST(2), t;
    uint32_t n;

    t = source_table(ld, &in->args[4], &n);
    if (n % 2 != 0)
        load_fail(ld, "keys and values expected");
    if (exact)
        EMIT(put_map_exact, m, d, number(n / 2), total(OP_put_map_exact, n), t);
    else
        EMIT(put_map_assoc, m, d, number(n / 2), total(OP_put_map_assoc, n), t);
}

/* --- bitstrings ---------------------------------------------------------------------------------------------------------- */

static const uint8_t *string_at(struct loader *ld, uint64_t offset, uint64_t bytes)
{
    if (offset > ld->image->n_strings || bytes > ld->image->n_strings - offset) {
        load_fail(ld, "string outside the pool");
        return NULL;
    }
    return ld->image->strings + offset;
}

/* Flags of a segment: [] or a list of atoms. */
static unsigned flag_list(struct loader *ld, const struct beam_arg *a)
{
    term t = arg_constant(ld, a);
    unsigned flags = 0;

    if (a->kind == BEAM_U)
        return (unsigned)a->u & (BS_LITTLE | BS_SIGNED | BS_NATIVE);
    for (; is_cons(t); t = cdr(t)) {
        if (car(t) == ATOM_little)
            flags |= BS_LITTLE;
        else if (car(t) == ATOM_signed)
            flags |= BS_SIGNED;
        else if (car(t) == ATOM_native)
            flags |= BS_NATIVE;
        else if (car(t) != ATOM_big && car(t) != ATOM_unsigned)
            load_fail(ld, "unknown flag of a segment");
    }
    if (!is_nil(t))
        load_fail(ld, "flags expected");
    return flags;
}

static bool segment_type(term atom, uint8_t *ret)
{
#define ROW(name, text) if (atom == ATOM_##text) { *ret = BS_##name; return true; }
    BS_SEGMENTS(ROW)
#undef ROW
    return false;
}

static void bs_create_bin(struct loader *ld, const struct beam_instr *in)
{
    struct operand no = FAIL(0), d = DST(4), t;
    uint32_t n, segs;
    const struct beam_arg *l = list_of(ld, &in->args[5], &n);
    term *w;

    if (n % 6 != 0)
        load_fail(ld, "segments of six operands expected");
    if (ld->rc != 0)
        return;
    segs = n / 6;
    w = emit_table(ld, 4 * (size_t)segs);
    for (uint32_t i = 0; i < segs; i++, l += 6) {
        uint8_t type = 0;
        uint64_t number_ = (uint64_t)number_of(ld, &l[1], 1 << 24);
        uint64_t unit = l[2].kind == BEAM_NIL ? 0 : (uint64_t)number_of(ld, &l[2], 256);
        struct operand size;

        if (l[0].kind != BEAM_ATOM || !segment_type(ld->atoms[l[0].u], &type)) {
            load_fail(ld, "unknown type of segment");
            return;
        }
        w[4 * i] = type | (term)flag_list(ld, &l[3]) << 8 | unit << 16 | number_ << 32;
        size = source(ld, &l[5]);
        w[4 * i + 2] = any_word(&size);
        if (type == BS_STRING) {
            if (size.class != 'k' || !is_small((term)size.n) || l[4].kind != BEAM_U ||
                small_val((term)size.n) < 0) {
                load_fail(ld, "bad string segment");
                return;
            }
            w[4 * i + 1] = TERM_NIL;
            w[4 * i + 3] = (term)(uintptr_t)string_at(ld, l[4].u, (uint64_t)small_val((term)size.n));
        } else {
            struct operand v = source(ld, &l[4]);

            w[4 * i + 1] = any_word(&v);
            w[4 * i + 3] = 0;
        }
    }
    t = table(w, 4 * (size_t)segs);
    EMIT(bs_create_bin, no, d, number(segs), total(OP_bs_create_bin, 4 * (size_t)segs), t);
}

/* One command of bs_match at l[0]; returns how many operands it takes, 0 on failure. */
static uint32_t match_command(struct loader *ld, struct operand no, struct operand ctx,
                              const struct beam_arg *l, uint32_t left)
{
    term cmd = l[0].kind == BEAM_ATOM ? ld->atoms[l[0].u] : TERM_NONE;
    int64_t bits;

    if (cmd == ATOM_ensure_at_least && left >= 3) {
        EMIT(bs_ensure_at_least, no, ctx, num(ld, &l[1], INT32_MAX), num(ld, &l[2], 0xFFFF));
        return 3;
    }
    if (cmd == ATOM_ensure_exactly && left >= 2) {
        EMIT(bs_ensure_exactly, no, ctx, num(ld, &l[1], INT32_MAX));
        return 2;
    }
    if (cmd == ATOM_integer && left >= 6) {
        unsigned flags = flag_list(ld, &l[2]);

        bits = number_of(ld, &l[3], 1 << 24) * number_of(ld, &l[4], 256);
        if (bits > INT32_MAX)
            load_fail(ld, "integer too wide");
        if (flags == 0 && bits <= 56)
            EMIT(bs_get_bits, no, ctx, number(bits), dest(ld, &l[5]));
        else
            EMIT(bs_read_integer, no, ctx, number(bits), number(flags), dest(ld, &l[5]));
        return 6;
    }
    if (cmd == ATOM_binary && left >= 6) {
        EMIT(bs_get_binary, no, ctx, constant(small_make(number_of(ld, &l[3], 1 << 28))),
             num(ld, &l[4], 256), dest(ld, &l[5]));
        return 6;
    }
    if (cmd == ATOM_get_tail && left >= 4) {
        EMIT(bs_get_tail, ctx, dest(ld, &l[3]));
        return 4;
    }
    if (cmd == ATOM_skip && left >= 2) {
        EMIT(bs_skip, no, ctx, constant(small_make(number_of(ld, &l[1], 1 << 28))), number(1));
        return 2;
    }
    if (cmd == ATOM_exactly_equal && left >= 4) {
        const struct beam_arg *v = &l[3];
        uint64_t value = v->kind == BEAM_U ? v->u : v->kind == BEAM_I ? (uint64_t)v->i : 0;

        if (v->kind == BEAM_BIG && v->bytes.len <= 9)
            for (uint32_t i = 0; i < v->bytes.len; i++)
                value = value << 8 | v->bytes.data[i];
        else if (v->kind != BEAM_U && v->kind != BEAM_I)
            load_fail(ld, "number expected");
        bits = number_of(ld, &l[2], 64);
        EMIT(bs_read_equal, no, ctx, number(bits), pointer((const void *)(uintptr_t)value));
        return 4;
    }
    load_fail(ld, "unknown command of bs_match");
    return 0;
}

static void bs_match(struct loader *ld, const struct beam_instr *in)
{
    struct operand no = JUMPTO(0), ctx = SRC(1);
    uint32_t n, i = 0, k;
    const struct beam_arg *l = list_of(ld, &in->args[2], &n);

    while (i < n && (k = match_command(ld, no, ctx, l + i, n - i)) != 0)
        i += k;
}

static void bs_get_integer2(struct loader *ld, const struct beam_instr *in)
{
    struct operand no = JUMPTO(0), c = SRC(1), size = SRC(3), unit = num(ld, &in->args[4], 256);
    struct operand flags = num(ld, &in->args[5], 31), d = DST(6);

    if (size.class == 'k' && is_small((term)size.n) && flags.n == 0) {
        int64_t v = small_val((term)size.n);

        if (v >= 0 && v * unit.n <= 56) {
            EMIT(bs_get_bits, no, c, number(v * unit.n), d);
            return;
        }
    }
    EMIT(bs_get_integer, no, c, size, unit, flags, d);
}

static void bs_get_binary2(struct loader *ld, const struct beam_instr *in)
{
    struct operand no = JUMPTO(0), c = SRC(1), size = SRC(3), unit = num(ld, &in->args[4], 256);
    struct operand d = DST(6);

    if (size.class == 'k' && (term)size.n == ATOM_all)
        EMIT(bs_get_binary_all, no, c, number(unit.n == 0 ? 1 : unit.n), d);
    else
        EMIT(bs_get_binary, no, c, size, unit, d);
}

static void bs_skip_bits2(struct loader *ld, const struct beam_instr *in)
{
    struct operand no = JUMPTO(0), c = SRC(1), size = SRC(2), unit = num(ld, &in->args[3], 256);

    if (size.class == 'k' && (term)size.n == ATOM_all)
        EMIT(bs_skip_all, no, c, number(unit.n == 0 ? 1 : unit.n));
    else
        EMIT(bs_skip, no, c, size, unit);
}

/* Sizes of the older bs_init: a number or a register. */
static struct operand size_operand(struct loader *ld, const struct beam_arg *a)
{
    if (a->kind == BEAM_U)
        return constant(small_make((int64_t)(a->u & ((1ull << 59) - 1))));
    return source(ld, a);
}

/* The binary itself is made after the room behind it has been asked for, and takes up to so many
 * words of the block: a heap binary of BIN_HEAP_MAX_BYTES, header and size; one spare. */
#define BINARY_WORDS 12

/* Room that such an instruction asks for besides the binary. */
static void extra_heap(struct loader *ld, const struct beam_arg *words, const struct beam_arg *live)
{
    int64_t n = heap_need(ld, words);

    if (n > 0)
        EMIT(test_heap, number(n + BINARY_WORDS), num(ld, live, X_REGISTERS - 1));
}

/* bs_append: the source need not be among the live registers, so it goes to the first free one
 * while the room is made; the size, a small, waits where no collector looks. */
static void append_room(struct loader *ld, const struct beam_instr *in, struct operand *s,
                        struct operand *size)
{
    int64_t live = number_of(ld, &in->args[3], X_REGISTERS - 2);
    struct operand keep = xreg((unsigned)live);
    struct operand aside = { 'x', (int64_t)offsetof(struct sched, scratch[4]), NULL, 0, 0 };

    if (size->class == 'x') {
        EMIT(move, *size, aside);
        *size = aside;
    }
    EMIT(move, *s, keep);
    *s = keep;
    EMIT(test_heap, number(heap_need(ld, &in->args[2]) + BINARY_WORDS), number(live + 1));
}

static void bs_older(struct loader *ld, const struct beam_instr *in)
{
    switch (in->op) {
    case BOP_bs_init2: {
        struct operand no = FAIL(0), size = size_operand(ld, &in->args[1]), d = DST(5);

        extra_heap(ld, &in->args[2], &in->args[3]);
        EMIT(bs_init_bytes, no, size, d);
        break;
    }
    case BOP_bs_init_bits: {
        struct operand no = FAIL(0), size = size_operand(ld, &in->args[1]), d = DST(5);

        extra_heap(ld, &in->args[2], &in->args[3]);
        EMIT(bs_init_bits, no, size, d);
        break;
    }
    case BOP_bs_append: {
        struct operand no = FAIL(0), size = SRC(1), unit = num(ld, &in->args[4], 256);
        struct operand s = SRC(5), d = DST(7);

        if (heap_need(ld, &in->args[2]) > 0)
            append_room(ld, in, &s, &size);
        EMIT(bs_append, no, size, number(unit.n == 0 ? 1 : unit.n), s, d);
        break;
    }
    case BOP_bs_private_append: {
        struct operand no = FAIL(0), size = SRC(1), unit = num(ld, &in->args[2], 256);

        EMIT(bs_append, no, size, number(unit.n == 0 ? 1 : unit.n), SRC(3), DST(5));
        break;
    }
    case BOP_bs_put_integer:
        EMIT(bs_put_integer, FAIL(0), SRC(1), num(ld, &in->args[2], 256),
             num(ld, &in->args[3], 31), SRC(4));
        break;
    case BOP_bs_put_float:
        EMIT(bs_put_float, FAIL(0), SRC(1), num(ld, &in->args[2], 256),
             num(ld, &in->args[3], 31), SRC(4));
        break;
    case BOP_bs_put_binary:
        EMIT(bs_put_binary, FAIL(0), SRC(1), num(ld, &in->args[2], 256), SRC(4));
        break;
    case BOP_bs_put_string: {
        int64_t len = number_of(ld, &in->args[0], INT32_MAX);

        EMIT(bs_put_string, number(len),
             pointer(string_at(ld, (uint64_t)number_of(ld, &in->args[1], INT32_MAX), (uint64_t)len)));
        break;
    }
    case BOP_bs_put_utf8:
        EMIT(bs_put_utf8, FAIL(0), SRC(2));
        break;
    case BOP_bs_put_utf16:
        EMIT(bs_put_utf16, FAIL(0), num(ld, &in->args[1], 31), SRC(2));
        break;
    case BOP_bs_put_utf32:
        EMIT(bs_put_utf32, FAIL(0), num(ld, &in->args[1], 31), SRC(2));
        break;
    case BOP_bs_add: {
        /* the list of the two sizes and the unit comes as separate operands */
        EMIT(bs_add, FAIL(0), SRC(1), SRC(2), num(ld, &in->args[3], 256), DST(4));
        break;
    }
    case BOP_bs_utf8_size:
        EMIT(bs_utf8_size, SRC(1), DST(2));
        break;
    case BOP_bs_utf16_size:
        EMIT(bs_utf16_size, SRC(1), DST(2));
        break;
    case BOP_bs_init_writable:
        EMIT0(bs_init_writable);
        break;
    default:
        UNREACHABLE();
    }
}

/* --- one instruction --------------------------------------------------------------------------------------------------------- */

#define TEST1(op) do { struct operand no_ = JUMPTO(0); EMIT(op, no_, SRC(1)); } while (0)
#define TEST2(op) do { struct operand no_ = JUMPTO(0); EMIT(op, no_, SRC(1), SRC(2)); } while (0)

/* =:= and =/= want a register first. */
static void exact_test(struct loader *ld, const struct beam_instr *in, enum op_id op)
{
    struct operand o[] = { JUMPTO(0), SRC(1), SRC(2) }, t;

    if (o[1].class == 'k') {
        t = o[1];
        o[1] = o[2];
        o[2] = t;
    }
    emit(ld, op, 3, o);
}

static void fmove(struct loader *ld, const struct beam_instr *in)
{
    const struct beam_arg *a = &in->args[0], *b = &in->args[1];

    if (a->kind == BEAM_FR && b->kind == BEAM_FR) {
        EMIT(fcopy, fr(ld, a), fr(ld, b));
    } else if (a->kind == BEAM_FR) {
        EMIT(fmove_out, fr(ld, a), dest(ld, b));
    } else {
        struct operand s = source(ld, a);

        if (s.class == 'k') {
            double d = 0;
            uint64_t u;

            if (is_float((term)s.n))
                d = flt_val((term)s.n);
            else
                load_fail(ld, "float expected");
            memcpy(&u, &d, sizeof u);
            EMIT(fconst, pointer((const void *)(uintptr_t)u), fr(ld, b));
        } else {
            EMIT(fmove_in, s, fr(ld, b));
        }
    }
}

static void float_op(struct loader *ld, const struct beam_instr *in, enum op_id op)
{
    struct operand o[] = { fr(ld, &in->args[1]), fr(ld, &in->args[2]), fr(ld, &in->args[3]) };

    emit(ld, op, 3, o);
}

static void tuple_test(struct loader *ld, const struct beam_instr *in)
{
    struct operand no = JUMPTO(0), s = SRC(1);
    term hdr = header_make(HK_TUPLE, (term)number_of(ld, &in->args[2], (1 << 24) - 1));

    if (in->op == BOP_is_tagged_tuple) {
        struct operand tag = SRC(3);

        if (tag.class != 'k' || !is_atom((term)tag.n))
            load_fail(ld, "atom expected");
        EMIT(is_tagged_tuple, no, s, number((int64_t)hdr), tag);
    } else {
        EMIT(test_arity, no, s, number((int64_t)hdr));
    }
}

static struct operand y_slot(struct loader *ld, const struct beam_arg *a)
{
    struct operand o = dest(ld, a);

    if (o.class != 'y')
        load_fail(ld, "y register expected");
    return number(o.n);
}

static void try_or_catch(struct loader *ld, const struct beam_instr *in)
{
    struct operand y = y_slot(ld, &in->args[0]);

    struct operand to = JUMPTO(1);

    if (ld->rc != 0)
        return;
    if (ld->handler_y[to.n] != 0 && ld->handler_y[to.n] != (uint16_t)y.n)
        load_fail(ld, "handler of two catch slots");
    ld->handler_y[to.n] = (uint16_t)y.n;
    EMIT(try_, y, to);
}

static void allocate(struct loader *ld, const struct beam_instr *in)
{
    int64_t n = number_of(ld, &in->args[0], FRAME_MAX);
    bool heap = in->op == BOP_allocate_heap || in->op == BOP_allocate_heap_zero;
    struct operand live = num(ld, &in->args[heap ? 2 : 1], X_REGISTERS - 1);

    if (heap)
        EMIT(allocate_heap, number(n + 1), number(heap_need(ld, &in->args[1])), live);
    else
        EMIT(allocate, number(n + 1), live);
    set_frame(ld, n);
    if (in->op == BOP_allocate_zero || in->op == BOP_allocate_heap_zero)
        for (int64_t i = 0; i < n; i++)
            EMIT(init1, yreg(ld, (uint64_t)i));
}

static void start_match4(struct loader *ld, const struct beam_instr *in)
{
    struct operand no = { 'f', 0, NULL, 0, 0 }, s = SRC(2);

    if (in->args[0].kind == BEAM_F)
        no = FAIL(0);
    EMIT(bs_start_match, no, s, DST(3));
}

static void translate(struct loader *ld, const struct beam_instr *in)
{
    switch (in->op) {
    case BOP_line:
        ld->line = in->args[0].kind == BEAM_U && in->args[0].u < ld->file.n_lines
                 ? (uint32_t)in->args[0].u : 0;
        break;
    case BOP_executable_line:
    case BOP_nif_start:
    case BOP_fclearerror:
    case BOP_fcheckerror:
        break;
    case BOP_on_load:
        if (!ld->measuring && ld->image->n_functions > 0) {
            ld->image->has_on_load = true;
            ld->image->on_load_entry = ld->image->functions[ld->image->n_functions - 1].entry;
        }
        break;
    /* frames */
    case BOP_allocate:
    case BOP_allocate_heap:
    case BOP_allocate_zero:
    case BOP_allocate_heap_zero:
        allocate(ld, in);
        break;
    case BOP_test_heap:
        EMIT(test_heap, number(heap_need(ld, &in->args[0])), num(ld, &in->args[1], X_REGISTERS - 1));
        break;
    case BOP_deallocate:
        drop_frame(ld, &in->args[0]);
        break;
    case BOP_trim: {
        int64_t n = number_of(ld, &in->args[0], FRAME_MAX), left = number_of(ld, &in->args[1], FRAME_MAX);

        if (n + left != ld->frame)
            load_fail(ld, "trim %lld %lld with a frame of %d", (long long)n, (long long)left, ld->frame);
        EMIT(trim, number(n));
        ld->frame = (int32_t)left;
        break;
    }
    case BOP_init_yregs:
        init_yregs(ld, in);
        break;
    case BOP_init:
        EMIT(init1, DST(0));
        break;
    /* calls */
    case BOP_call:
        need_frame(ld);
        EMIT(call, callee(ld, &in->args[1]), num(ld, &in->args[0], 255));
        break;
    case BOP_call_last:
        drop_frame(ld, &in->args[2]);
        EMIT(call_only, JUMPTO(1), num(ld, &in->args[0], 255));
        no_way_on(ld);
        break;
    case BOP_call_only:
        if (ld->frame != FRAME_NONE)
            load_fail(ld, "tail call with a frame");
        EMIT(call_only, JUMPTO(1), num(ld, &in->args[0], 255));
        no_way_on(ld);
        break;
    case BOP_call_ext:
        call_ext(ld, in, CALL_BODY);
        break;
    case BOP_call_ext_last:
        call_ext(ld, in, CALL_LAST);
        break;
    case BOP_call_ext_only:
        call_ext(ld, in, CALL_ONLY);
        break;
    case BOP_call_fun:
        need_frame(ld);
        EMIT(call_fun, xreg((unsigned)number_of(ld, &in->args[0], 255)), num(ld, &in->args[0], 255));
        break;
    case BOP_call_fun2:
        need_frame(ld);
        EMIT(call_fun, SRC(2), num(ld, &in->args[1], 255));
        break;
    case BOP_apply:
        need_frame(ld);
        EMIT(apply, num(ld, &in->args[0], 255));
        break;
    case BOP_apply_last:
        drop_frame(ld, &in->args[1]);
        EMIT(apply_only, num(ld, &in->args[0], 255));
        no_way_on(ld);
        break;
    case BOP_return:
        if (ld->frame != FRAME_NONE)
            load_fail(ld, "return with a frame");
        EMIT0(return);
        no_way_on(ld);
        break;
    case BOP_jump:
        EMIT(jump, JUMPTO(0));
        no_way_on(ld);
        break;
    /* guards */
    case BOP_bif0:
        guard(ld, in, -1, 0, 1, 0);
        break;
    case BOP_bif1:
        guard(ld, in, 0, 1, 2, 1);
        break;
    case BOP_bif2:
        guard(ld, in, 0, 1, 2, 2);
        break;
    case BOP_gc_bif1:
        guard(ld, in, 0, 2, 3, 1);
        break;
    case BOP_gc_bif2:
        guard(ld, in, 0, 2, 3, 2);
        break;
    case BOP_gc_bif3:
        guard(ld, in, 0, 2, 3, 3);
        break;
    /* tests */
    case BOP_is_lt: TEST2(is_lt); break;
    case BOP_is_ge: TEST2(is_ge); break;
    case BOP_is_eq: TEST2(is_eq); break;
    case BOP_is_ne: TEST2(is_ne); break;
    case BOP_is_eq_exact: exact_test(ld, in, OP_is_eq_exact); break;
    case BOP_is_ne_exact: exact_test(ld, in, OP_is_ne_exact); break;
    case BOP_is_integer: TEST1(is_integer); break;
    case BOP_is_float: TEST1(is_float); break;
    case BOP_is_number: TEST1(is_number); break;
    case BOP_is_atom: TEST1(is_atom); break;
    case BOP_is_pid: TEST1(is_pid); break;
    case BOP_is_reference: TEST1(is_reference); break;
    case BOP_is_port: TEST1(is_port); break;
    case BOP_is_nil: TEST1(is_nil); break;
    case BOP_is_binary: TEST1(is_binary); break;
    case BOP_is_bitstr: TEST1(is_bitstr); break;
    case BOP_is_list: TEST1(is_list); break;
    case BOP_is_nonempty_list: TEST1(is_nonempty_list); break;
    case BOP_is_tuple: TEST1(is_tuple); break;
    case BOP_is_map: TEST1(is_map); break;
    case BOP_is_boolean: TEST1(is_boolean); break;
    case BOP_is_function: TEST1(is_function); break;
    case BOP_is_function2: TEST2(is_function2); break;
    case BOP_test_arity:
    case BOP_is_tagged_tuple:
        tuple_test(ld, in);
        break;
    case BOP_select_val:
        select_val(ld, in, false);
        break;
    case BOP_select_tuple_arity:
        select_val(ld, in, true);
        break;
    /* data */
    case BOP_move: EMIT(move, SRC(0), DST(1)); break;
    case BOP_swap: EMIT(swap, DST(0), DST(1)); break;
    case BOP_get_list: EMIT(get_list, SRC(0), DST(1), DST(2)); break;
    case BOP_get_hd: EMIT(get_hd, SRC(0), DST(1)); break;
    case BOP_get_tl: EMIT(get_tl, SRC(0), DST(1)); break;
    case BOP_get_tuple_element: {
        int64_t at = number_of(ld, &in->args[1], (1 << 24) - 2);

        if (at < 8000)
            EMIT(get_tuple_element, SRC(0), number(8 * at + 8), DST(2));
        else
            EMIT(get_tuple_element_far, SRC(0), number(at + 1), DST(2));
        break;
    }
    case BOP_set_tuple_element:
        EMIT(set_tuple_element, SRC(0), SRC(1), number(number_of(ld, &in->args[2], (1 << 24) - 2) + 1));
        break;
    case BOP_put_list: {
        struct operand h = SRC(0), t = SRC(1), d = DST(2);

        if ((h.class == 'k' && h.n != (int32_t)h.n) || (t.class == 'k' && t.n != (int32_t)t.n))
            EMIT(put_list_q, h, t, d);
        else
            EMIT(put_list, h, t, d);
        break;
    }
    case BOP_put_tuple2: put_tuple2(ld, in); break;
    case BOP_update_record: update_record(ld, in); break;
    case BOP_make_fun3: make_fun3(ld, in); break;
    case BOP_make_fun2: {
        uint32_t row = 0;
        const struct beam_fun *f = fun_row(ld, &in->args[0], &row);

        if (f != NULL) {
            EMIT(test_heap, number((int64_t)FUN_WORDS(f->num_free)), number(f->num_free));
            EMIT(make_fun2, pointer(ld->image->funs[row]), number(f->num_free));
        }
        break;
    }
    case BOP_has_map_fields: has_map_fields(ld, in); break;
    case BOP_get_map_elements: get_map_elements(ld, in); break;
    case BOP_put_map_assoc: put_map(ld, in, false); break;
    case BOP_put_map_exact: put_map(ld, in, true); break;
    /* exceptions */
    case BOP_try:
    case BOP_catch:
        try_or_catch(ld, in);
        break;
    case BOP_try_end: EMIT(try_end, y_slot(ld, &in->args[0])); break;
    case BOP_try_case: EMIT(try_case, y_slot(ld, &in->args[0])); break;
    case BOP_catch_end: EMIT(catch_end, y_slot(ld, &in->args[0])); break;
    case BOP_badmatch: EMIT(badmatch, SRC(0)); no_way_on(ld); break;
    case BOP_case_end: EMIT(case_end, SRC(0)); no_way_on(ld); break;
    case BOP_try_case_end: EMIT(try_case_end, SRC(0)); no_way_on(ld); break;
    case BOP_badrecord: EMIT(badrecord, SRC(0)); no_way_on(ld); break;
    case BOP_if_end: EMIT0(if_end); no_way_on(ld); break;
    case BOP_raise: EMIT(raise, SRC(0), SRC(1)); no_way_on(ld); break;
    case BOP_raw_raise: EMIT0(raw_raise); break;
    case BOP_build_stacktrace: EMIT0(build_stacktrace); break;
    /* messages */
    case BOP_send: EMIT0(send); break;
    case BOP_loop_rec: EMIT(loop_rec, JUMPTO(0), DST(1)); break;
    case BOP_loop_rec_end: EMIT(loop_rec_end, JUMPTO(0)); no_way_on(ld); break;
    case BOP_remove_message: EMIT0(remove_message); break;
    case BOP_wait: EMIT(wait, JUMPTO(0)); no_way_on(ld); break;
    case BOP_wait_timeout: EMIT(wait_timeout, JUMPTO(0), SRC(1)); break;
    case BOP_timeout: EMIT0(timeout); break;
    case BOP_recv_marker_reserve: EMIT(recv_marker_reserve, DST(0)); break;
    case BOP_recv_marker_bind: EMIT(recv_marker_bind, SRC(0), SRC(1)); break;
    case BOP_recv_marker_use: EMIT(recv_marker_use, SRC(0)); break;
    case BOP_recv_marker_clear: EMIT(recv_marker_clear, SRC(0)); break;
    case BOP_recv_mark:
    case BOP_recv_set:
        break;
    /* floats */
    case BOP_fmove: fmove(ld, in); break;
    case BOP_fconv: EMIT(fconv, SRC(0), fr(ld, &in->args[1])); break;
    case BOP_fadd: float_op(ld, in, OP_fadd); break;
    case BOP_fsub: float_op(ld, in, OP_fsub); break;
    case BOP_fmul: float_op(ld, in, OP_fmul); break;
    case BOP_fdiv: float_op(ld, in, OP_fdiv); break;
    case BOP_fnegate: EMIT(fnegate, fr(ld, &in->args[1]), fr(ld, &in->args[2])); break;
    /* matching */
    case BOP_bs_start_match3: EMIT(bs_start_match, FAIL(0), SRC(1), DST(3)); break;
    case BOP_bs_start_match4: start_match4(ld, in); break;
    case BOP_bs_get_position: EMIT(bs_get_position, SRC(0), DST(1)); break;
    case BOP_bs_set_position: EMIT(bs_set_position, SRC(0), SRC(1)); break;
    case BOP_bs_get_tail: EMIT(bs_get_tail, SRC(0), DST(1)); break;
    case BOP_bs_get_integer2: bs_get_integer2(ld, in); break;
    case BOP_bs_get_float2:
        EMIT(bs_get_float, JUMPTO(0), SRC(1), SRC(3), num(ld, &in->args[4], 256),
             num(ld, &in->args[5], 31), DST(6));
        break;
    case BOP_bs_get_binary2: bs_get_binary2(ld, in); break;
    case BOP_bs_skip_bits2: bs_skip_bits2(ld, in); break;
    case BOP_bs_test_tail2: EMIT(bs_test_tail, JUMPTO(0), SRC(1), num(ld, &in->args[2], INT32_MAX)); break;
    case BOP_bs_test_unit: {
        int64_t unit = number_of(ld, &in->args[2], 256);

        EMIT(bs_test_unit, JUMPTO(0), SRC(1), number(unit == 0 ? 1 : unit));
        break;
    }
    case BOP_bs_match_string: {
        int64_t bits = number_of(ld, &in->args[2], INT32_MAX);
        int64_t offset = number_of(ld, &in->args[3], INT32_MAX);

        EMIT(bs_match_string, JUMPTO(0), SRC(1), number(bits),
             pointer(string_at(ld, (uint64_t)offset, ((uint64_t)bits + 7) / 8)));
        break;
    }
    case BOP_bs_get_utf8: EMIT(bs_get_utf8, JUMPTO(0), SRC(1), DST(4)); break;
    case BOP_bs_get_utf16: EMIT(bs_get_utf16, JUMPTO(0), SRC(1), num(ld, &in->args[3], 31), DST(4)); break;
    case BOP_bs_get_utf32: EMIT(bs_get_utf32, JUMPTO(0), SRC(1), num(ld, &in->args[3], 31), DST(4)); break;
    case BOP_bs_skip_utf8: EMIT(bs_skip_utf8, JUMPTO(0), SRC(1)); break;
    case BOP_bs_skip_utf16: EMIT(bs_skip_utf16, JUMPTO(0), SRC(1), num(ld, &in->args[3], 31)); break;
    case BOP_bs_skip_utf32: EMIT(bs_skip_utf32, JUMPTO(0), SRC(1), num(ld, &in->args[3], 31)); break;
    case BOP_bs_match: bs_match(ld, in); break;
    case BOP_bs_create_bin:
        extra_heap(ld, &in->args[1], &in->args[2]);
        bs_create_bin(ld, in);
        break;
    case BOP_bs_init2:
    case BOP_bs_init_bits:
    case BOP_bs_append:
    case BOP_bs_private_append:
    case BOP_bs_put_integer:
    case BOP_bs_put_float:
    case BOP_bs_put_binary:
    case BOP_bs_put_string:
    case BOP_bs_put_utf8:
    case BOP_bs_put_utf16:
    case BOP_bs_put_utf32:
    case BOP_bs_add:
    case BOP_bs_utf8_size:
    case BOP_bs_utf16_size:
    case BOP_bs_init_writable:
        bs_older(ld, in);
        break;
    default:
        load_fail(ld, "instruction %s is not supported", beam_op_info(in->op)->name);
    }
}

/* --- walks ------------------------------------------------------------------------------------------------------------------------ */

/* Raising finds the frame through the slot that the handler's first instruction names. */
static void check_handler(struct loader *ld, const struct beam_instr *in)
{
    if ((in->op != BOP_try_case && in->op != BOP_catch_end) || in->args[0].kind != BEAM_Y ||
        8 * (in->args[0].u + 1) != ld->handler_next)
        load_fail(ld, "handler does not end its catch first");
    ld->handler_next = 0;
}

static bool walk(struct loader *ld)
{
    struct beam_cursor c;
    struct beam_instr in;
    int rc;

    ld->dead = true;
    ld->frame = FRAME_NONE;
    ld->line = 0;
    ld->entry_next = false;
    ld->handler_next = 0;
    beam_cursor_init(&c, &ld->file);
    while (ld->rc == 0 && (rc = beam_next(&c, &in)) != 0) {
        if (rc < 0) {
            load_fail(ld, "%s", c.error.text);
            break;
        }
        ld->at = in.at;
        if (ld->entry_next && in.op != BOP_label && in.op != BOP_line) {
            load_fail(ld, "func_info without an entry label");
            break;
        }
        if (ld->handler_next != 0 && in.op != BOP_line)
            check_handler(ld, &in);
        if (in.op == BOP_label) {
            label_here(ld, &in);
        } else if (in.op == BOP_func_info) {
            func_info(ld, &in);
            ld->dead = true;
        } else if (in.op == BOP_line || in.op == BOP_int_code_end || !ld->dead) {
            if (in.op != BOP_int_code_end)
                translate(ld, &in);
        }
    }
    beam_cursor_fini(&c);
    return ld->rc == 0;
}

bool load_code(struct loader *ld)
{
    ld->measuring = true;
    do {
        ld->frames_changed = false;
        if (!walk(ld))
            return false;
    } while (ld->frames_changed);
    ld->measuring = false;
    if (!walk(ld))
        return false;
    emit_flush(ld);
    emit_range(ld, FRAME_NONE, 0);
    return ld->rc == 0 && emit_finish(ld);
}
