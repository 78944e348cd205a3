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
#include "vm/load_verify.h"

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
        snprintf(ld->error->text + n, sizeof ld->error->text - (size_t)n,
                 " (in %s/%u, at byte %zu of code)",
                 ld->function != 0 ? atom_text(ld->function, NULL) : "-", ld->arity, ld->at);
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

/* A register, whatever is in it. */
static struct operand place(struct loader *ld, const struct beam_arg *a)
{
    if (a->kind == BEAM_X && a->u < X_REGISTERS)
        return xreg((unsigned)a->u);
    if (a->kind == BEAM_Y)
        return yreg(ld, a->u);
    return bad(ld, "register");
}

static struct operand source(struct loader *ld, const struct beam_arg *a)
{
    term t;

    if (a->kind == BEAM_X || a->kind == BEAM_Y) {
        (void)verify_read(ld, a);
        return place(ld, a);
    }
    t = arg_constant(ld, a);
    return t == TERM_NONE ? bad(ld, "source operand") : constant(t);
}

/* A register that the instruction sets to what `known` says. */
static struct operand dest_known(struct loader *ld, const struct beam_arg *a, uint32_t known)
{
    struct operand o = place(ld, a);

    if (ld->rc == 0)
        verify_write(ld, a, known);
    return o;
}

static struct operand dest(struct loader *ld, const struct beam_arg *a)
{
    return dest_known(ld, a, KNOWN_ANY);
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

/* What a constant is known to be. */
static uint32_t known_of(term t)
{
    if (is_cons(t))
        return KNOWN_CONS;
    if (is_tuple(t))
        return known_tuple(tuple_arity(t));
    if (is_map(t))
        return KNOWN_MAP;
    return is_float(t) ? KNOWN_FLOAT : KNOWN_ANY;
}

static uint32_t known_arg(struct loader *ld, const struct beam_arg *a)
{
    const uint32_t *k = verify_register(ld, a);
    term t;

    if (k != NULL)
        return *k;
    t = arg_constant(ld, a);
    return t == TERM_NONE ? KNOWN_ANY : known_of(t);
}

/* --- labels and frames ----------------------------------------------------------------------------- */

/* y registers that can be used: in a mixed frame those that all of them have. */
static int32_t y_count(int32_t frame)
{
    return frame <= FRAME_MIXED ? FRAME_MIXED - frame : frame < 0 ? 0 : frame;
}

static void reach_frame(struct loader *ld, uint32_t to, int32_t frame)
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

/* A jump to `to` with the present frame and registers. */
static void reach(struct loader *ld, uint32_t to)
{
    reach_frame(ld, to, ld->frame);
    verify_reach(ld, to);
}

static struct operand label(struct loader *ld, const struct beam_arg *a, bool may_be_none)
{
    if (a->kind != BEAM_F || (a->u == 0 && !may_be_none))
        return bad(ld, "label");
    if (a->u != 0)
        reach(ld, (uint32_t)a->u);
    return (struct operand){ 'f', (int64_t)a->u, NULL, 0, 0 };
}

/* The entry of a function of n arguments, all of them set. */
static struct operand callee(struct loader *ld, const struct beam_arg *a, int64_t n)
{
    if (a->kind != BEAM_F || a->u == 0)
        return bad(ld, "label");
    (void)verify_live(ld, (uint32_t)n);
    if (!ld->measuring && ld->entry_arity[a->u] != n + 1)
        load_fail(ld, "call with %lld arguments of label %llu", (long long)n, (unsigned long long)a->u);
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

static void set_frame(struct loader *ld, int64_t n, uint32_t live)
{
    if (ld->frame != FRAME_NONE)
        load_fail(ld, "second frame");
    if (n > FRAME_MAX)
        load_fail(ld, "frame of %lld registers", (long long)n);
    verify_keep_x(ld, live);
    ld->frame = (int32_t)n;
    verify_frame(ld, ld->frame);
}

static void drop_frame(struct loader *ld, const struct beam_arg *a)
{
    int64_t n = number_of(ld, a, FRAME_MAX);

    if (ld->frame != n)
        load_fail(ld, "deallocate %lld with a frame of %d", (long long)n, ld->frame);
    (void)verify_no_catch(ld);
    EMIT(deallocate, number(n + 1));
    ld->frame = FRAME_NONE;
}

static void no_way_on(struct loader *ld)
{
    ld->dead = true;
}

/* After a call: only x0 is set. */
static void returned(struct loader *ld)
{
    verify_entry(ld, 1);
}

/* The content of a register operand is made sure of, at run time if need be. */
static void ensure(struct loader *ld, const struct beam_arg *a, enum known kind, uint32_t arity)
{
    static const uint16_t ops[] = {
        [KNOWN_CONS] = OP_ensure_cons, [KNOWN_TUPLE] = OP_ensure_tuple, [KNOWN_MAP] = OP_ensure_map,
        [KNOWN_CONTEXT] = OP_ensure_context, [KNOWN_FLOAT] = OP_ensure_float,
    };
    uint32_t *k = verify_register(ld, a), have;
    struct operand o[2] = { source(ld, a), number(arity) };

    if (ld->rc != 0)
        return;
    have = k != NULL ? *k : known_of((term)o[0].n);
    if (known_kind(have) == kind && (kind != KNOWN_TUPLE || known_arity(have) >= arity))
        return;
    if (k == NULL) {
        load_fail(ld, "constant of the wrong type");
        return;
    }
    emit(ld, ops[kind], kind == KNOWN_TUPLE ? 2 : 1, o);
    *k = kind == KNOWN_TUPLE ? known_tuple(arity) : kind;
}

/* After a test has passed, a holds this. */
static void passed(struct loader *ld, const struct beam_arg *a, uint32_t known)
{
    uint32_t *k = verify_register(ld, a);

    if (k == NULL || ld->rc != 0)
        return;
    if (known_kind(*k) == KNOWN_TUPLE && known_kind(known) == KNOWN_TUPLE && *k > known)
        return;
    *k = known;
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
    ld->function = ld->atoms[in->args[1].u];
    ld->arity = (uint32_t)arity;
    if (ld->measuring)
        return;
    if (!ld->dead)
        (void)verify_live(ld, ld->arity);
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
    /* Only exceptions come to a try_case: what stands before it does not return. */
    if ((ld->handler_y[l] & HANDLER_OF_TRY) != 0 && !ld->dead) {
        EMIT0(raise_badarg);
        ld->dead = true;
    }
    if (ld->entry_next) {
        ld->frame = FRAME_NONE;
        verify_entry(ld, ld->arity);
        ld->entry_arity[l] = (uint16_t)(ld->arity + 1);
    }
    if (ld->entry_next || !ld->dead)
        reach(ld, (uint32_t)l);
    ld->dead = *frame == FRAME_UNKNOWN;
    if (!ld->dead) {
        ld->frame = *frame;
        verify_label(ld, (uint32_t)l);
    }
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
    (void)verify_live(ld, e->arity);
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
    returned(ld);
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

static void passed_exactly(struct loader *ld, const struct beam_arg *a, uint32_t arity)
{
    uint32_t *k = verify_register(ld, a);

    if (k != NULL)
        *k = known_tuple(arity);
}

/* [value, label, ...] of a list operand; tuple: the values are arities of this register; the first of equal values wins, as in the file. */
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
            c[n].value = header_make(HK_TUPLE, (term)number_of(ld, v, (1 << 24) - 1));
        else
            c[n].value = arg_constant(ld, v);
        if (c[n].value == TERM_NONE)
            load_fail(ld, "constant expected");
        if (is_ptr(c[n].value))
            *ret_immediate = false;
        if (arities)
            passed_exactly(ld, tuple, (uint32_t)header_size(c[n].value));
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
    struct operand s, no;
    struct choice *c;
    bool immediate;
    size_t n;

    if (arities)
        ensure(ld, &in->args[0], KNOWN_TUPLE, 0);
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
    uint32_t n;
    const struct beam_arg *l = list_of(ld, &in->args[1], &n);
    struct operand d = dest_known(ld, &in->args[0], known_tuple(n)), t, e[3];

    (void)verify_use(ld, (int64_t)TUPLE_WORDS((int64_t)n));
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
    (void)verify_use(ld, (int64_t)FUN_WORDS((int64_t)n));
    EMIT(make_fun, d, pointer(ld->image->funs[row]), number(n), total(OP_make_fun, n), t);
}

static void update_record(struct loader *ld, const struct beam_instr *in)
{
    struct operand size = num(ld, &in->args[1], (1 << 24) - 1), s, d, t;
    uint32_t n;
    const struct beam_arg *l = list_of(ld, &in->args[4], &n);
    term *w;

    if (n % 2 != 0)
        load_fail(ld, "positions and values expected");
    if (ld->rc != 0)
        return;
    ensure(ld, &in->args[2], KNOWN_TUPLE, (uint32_t)size.n);
    s = SRC(2);
    d = dest_known(ld, &in->args[3], known_tuple(size.n));
    (void)verify_use(ld, (int64_t)TUPLE_WORDS(size.n));
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
    struct operand no, m, t;
    uint32_t n;

    ensure(ld, &in->args[1], KNOWN_MAP, 0);
    no = JUMPTO(0);
    m = SRC(1);
    t = source_table(ld, &in->args[2], &n);
    EMIT(has_map_fields, no, m, number(n), total(OP_has_map_fields, n), t);
}

/* Registers that are set before a later key turns out to be missing hold anything then. */
static void get_map_elements(struct loader *ld, const struct beam_instr *in)
{
    struct operand no, m, t;
    uint32_t n;
    const struct beam_arg *l = list_of(ld, &in->args[2], &n);
    term *w;

    if (n % 2 != 0)
        load_fail(ld, "keys and registers expected");
    ensure(ld, &in->args[1], KNOWN_MAP, 0);
    m = SRC(1);
    if (ld->rc != 0)
        return;
    if (n == 2) {
        no = JUMPTO(0);
        EMIT(get_map_element, no, m, source(ld, &l[0]), dest(ld, &l[1]));
        return;
    }
    w = emit_table(ld, n);
    for (uint32_t i = 0; i < n; i += 2) {
        struct operand key = source(ld, &l[i]), d = dest(ld, &l[i + 1]);
        uint32_t *k = verify_register(ld, &l[i + 1]);

        if (k != NULL && *k != KNOWN_UNSET && *k != KNOWN_CATCH)
            *k = KNOWN_ANY;
        w[i] = any_word(&key);
        w[i + 1] = any_word(&d);
    }
    no = JUMPTO(0);
    t = table(w, n);
    EMIT(get_map_elements, no, m, number(n / 2), total(OP_get_map_elements, n), t);
}

static void put_map(struct loader *ld, const struct beam_instr *in, bool exact)
{
    struct operand m = SRC(1), d = dest_known(ld, &in->args[2], KNOWN_MAP), t;
    uint32_t n;

    t = source_table(ld, &in->args[4], &n);
    verify_room(ld, 0);
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

/* The failure label of an instruction on the context in args[1], which is made sure of. What it
 * gives may need room. */
static struct operand context(struct loader *ld, const struct beam_instr *in)
{
    ensure(ld, &in->args[1], KNOWN_CONTEXT, 0);
    verify_room(ld, 0);
    return label(ld, &in->args[0], false);
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
    struct operand no = context(ld, in), ctx = SRC(1);
    uint32_t n, i = 0, k;
    const struct beam_arg *l = list_of(ld, &in->args[2], &n);

    while (i < n && (k = match_command(ld, no, ctx, l + i, n - i)) != 0)
        i += k;
}

static void bs_get_integer2(struct loader *ld, const struct beam_instr *in)
{
    struct operand no = context(ld, in), c = SRC(1), size = SRC(3), unit = num(ld, &in->args[4], 256);
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
    struct operand no = context(ld, in), c = SRC(1), size = SRC(3), unit = num(ld, &in->args[4], 256);
    struct operand d = DST(6);

    if (size.class == 'k' && (term)size.n == ATOM_all)
        EMIT(bs_get_binary_all, no, c, number(unit.n == 0 ? 1 : unit.n), d);
    else
        EMIT(bs_get_binary, no, c, size, unit, d);
}

static void bs_skip_bits2(struct loader *ld, const struct beam_instr *in)
{
    struct operand no = context(ld, in), c = SRC(1), size = SRC(2), unit = num(ld, &in->args[3], 256);

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

/* Words that building a binary may take from the block in front of the room asked for. */
#define BINARY_ROOM 16

/* Room that such an instruction asks for besides the binary. */
static void extra_heap(struct loader *ld, const struct beam_arg *words, const struct beam_arg *live)
{
    int64_t n = heap_need(ld, words), l = number_of(ld, live, X_REGISTERS - 1);

    if (n > 0) {
        (void)verify_live(ld, (uint32_t)l);
        EMIT(test_heap, number(n + BINARY_ROOM), number(l));
    }
    verify_room(ld, n);
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
    (void)verify_live(ld, (uint32_t)live);
    EMIT(test_heap, number(heap_need(ld, &in->args[2]) + BINARY_ROOM), number(live + 1));
    verify_room(ld, heap_need(ld, &in->args[2]));
}

static void bs_older(struct loader *ld, const struct beam_instr *in)
{
    switch (in->op) {
    case BOP_bs_init2: {
        struct operand no = FAIL(0), size = size_operand(ld, &in->args[1]), d = DST(5);

        extra_heap(ld, &in->args[2], &in->args[3]);
        EMIT(bs_init_bytes, no, size, d);
        verify_begin(ld);
        break;
    }
    case BOP_bs_init_bits: {
        struct operand no = FAIL(0), size = size_operand(ld, &in->args[1]), d = DST(5);

        extra_heap(ld, &in->args[2], &in->args[3]);
        EMIT(bs_init_bits, no, size, d);
        verify_begin(ld);
        break;
    }
    case BOP_bs_append: {
        struct operand no = FAIL(0), size = SRC(1), unit = num(ld, &in->args[4], 256);
        struct operand s = SRC(5), d = DST(7);

        verify_room(ld, 0);
        if (heap_need(ld, &in->args[2]) > 0)
            append_room(ld, in, &s, &size);
        EMIT(bs_append, no, size, number(unit.n == 0 ? 1 : unit.n), s, d);
        verify_begin(ld);
        break;
    }
    case BOP_bs_private_append: {
        struct operand no = FAIL(0), size = SRC(1), unit = num(ld, &in->args[2], 256);

        verify_room(ld, 0);
        EMIT(bs_append, no, size, number(unit.n == 0 ? 1 : unit.n), SRC(3), DST(5));
        verify_begin(ld);
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
        (void)verify_live(ld, 1);
        EMIT0(bs_init_writable);
        returned(ld);
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
        (void)verify_use(ld, FLOAT_WORDS);
        EMIT(fmove_out, fr(ld, a), dest_known(ld, b, KNOWN_FLOAT));
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
            ensure(ld, a, KNOWN_FLOAT, 0);
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
    struct operand no, s;
    term hdr = header_make(HK_TUPLE, (term)number_of(ld, &in->args[2], (1 << 24) - 1));

    if (in->op == BOP_test_arity)
        ensure(ld, &in->args[1], KNOWN_TUPLE, 0);
    no = JUMPTO(0);
    s = SRC(1);
    passed(ld, &in->args[1], known_tuple(header_size(hdr)));
    if (in->op == BOP_is_tagged_tuple) {
        struct operand tag = SRC(3);

        if (tag.class != 'k' || !is_atom((term)tag.n))
            load_fail(ld, "atom expected");
        EMIT(is_tagged_tuple, no, s, number((int64_t)hdr), tag);
    } else {
        EMIT(test_arity, no, s, number((int64_t)hdr));
    }
}

/* The slot of a catch that begins (open) or ends here; *ret_known is what it holds. */
static struct operand y_slot(struct loader *ld, const struct beam_arg *a, uint32_t **ret_known)
{
    *ret_known = verify_register(ld, a);
    if (a->kind != BEAM_Y || *ret_known == NULL)
        return bad(ld, "y register");
    return number(place(ld, a).n);
}

/* try_end, try_case, catch_end: the slot is an ordinary register again. */
static struct operand y_closed(struct loader *ld, const struct beam_arg *a)
{
    uint32_t *known;
    struct operand o = y_slot(ld, a, &known);

    if (ld->rc != 0)
        return o;
    if (*known != KNOWN_CATCH)
        load_fail(ld, "no catch is open in y%llu", (unsigned long long)a->u);
    *known = KNOWN_ANY;
    return o;
}

static void try_or_catch(struct loader *ld, const struct beam_instr *in)
{
    uint32_t *known;
    struct operand y = y_slot(ld, &in->args[0], &known), to;
    uint16_t slot;

    if (in->args[1].kind != BEAM_F || in->args[1].u == 0)
        load_fail(ld, "label expected");
    if (ld->rc != 0)
        return;
    to = (struct operand){ 'f', (int64_t)in->args[1].u, NULL, 0, 0 };
    if (*known == KNOWN_CATCH)
        load_fail(ld, "catch inside a catch of the same register");
    slot = (uint16_t)y.n | (in->op == BOP_try ? HANDLER_OF_TRY : 0);
    if (ld->handler_y[to.n] != 0 && ld->handler_y[to.n] != slot)
        load_fail(ld, "handler of two catch slots");
    ld->handler_y[to.n] = slot;
    *known = KNOWN_CATCH;
    reach_frame(ld, (uint32_t)to.n, ld->frame);
    verify_reach_handler(ld, (uint32_t)to.n);
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
    (void)verify_live(ld, (uint32_t)live.n);
    verify_room(ld, heap ? heap_need(ld, &in->args[1]) : 0);
    set_frame(ld, n, (uint32_t)live.n);
    if (in->op == BOP_allocate_zero || in->op == BOP_allocate_heap_zero)
        verify_settle(ld);
}

static void test_heap(struct loader *ld, const struct beam_instr *in)
{
    int64_t need = heap_need(ld, &in->args[0]), live = number_of(ld, &in->args[1], X_REGISTERS - 1);

    (void)verify_live(ld, (uint32_t)live);
    verify_keep_x(ld, (uint32_t)live);
    EMIT(test_heap, number(need), number(live));
    verify_room(ld, need);
}

static void call_local(struct loader *ld, const struct beam_instr *in)
{
    int64_t n = number_of(ld, &in->args[0], 255);

    if (in->op == BOP_call) {
        need_frame(ld);
        EMIT(call, callee(ld, &in->args[1], n), number(n));
        returned(ld);
        return;
    }
    if (in->op == BOP_call_last)
        drop_frame(ld, &in->args[2]);
    else if (ld->frame != FRAME_NONE)
        load_fail(ld, "tail call with a frame");
    EMIT(call_only, callee(ld, &in->args[1], n), number(n));
    no_way_on(ld);
}

/* Calls of funs and of atoms in registers behind the arguments. */
static void call_computed(struct loader *ld, const struct beam_instr *in)
{
    int64_t n = number_of(ld, &in->args[in->op == BOP_call_fun2 ? 1 : 0], 255);

    if (in->op != BOP_apply_last)
        need_frame(ld);
    switch (in->op) {
    case BOP_call_fun:
        (void)verify_live(ld, (uint32_t)n + 1);
        EMIT(call_fun, xreg((unsigned)n), number(n));
        break;
    case BOP_call_fun2:
        (void)verify_live(ld, (uint32_t)n);
        EMIT(call_fun, SRC(2), number(n));
        break;
    case BOP_apply:
        (void)verify_live(ld, (uint32_t)n + 2);
        EMIT(apply, number(n));
        break;
    default:
        (void)verify_live(ld, (uint32_t)n + 2);
        drop_frame(ld, &in->args[1]);
        EMIT(apply_only, number(n));
        no_way_on(ld);
        break;
    }
    returned(ld);
}

static void start_match4(struct loader *ld, const struct beam_instr *in)
{
    struct operand no = { 'f', 0, NULL, 0, 0 }, s = SRC(2);

    if (in->args[0].kind == BEAM_F)
        no = FAIL(0);
    verify_room(ld, 0);
    EMIT(bs_start_match, no, s, dest_known(ld, &in->args[3], KNOWN_CONTEXT));
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
        test_heap(ld, in);
        break;
    case BOP_deallocate:
        drop_frame(ld, &in->args[0]);
        break;
    case BOP_trim: {
        int64_t n = number_of(ld, &in->args[0], FRAME_MAX), left = number_of(ld, &in->args[1], FRAME_MAX);

        if (n + left != ld->frame)
            load_fail(ld, "trim %lld %lld with a frame of %d", (long long)n, (long long)left, ld->frame);
        else
            (void)verify_trim(ld, (uint32_t)n);
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
    case BOP_call_last:
    case BOP_call_only:
        call_local(ld, in);
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
    case BOP_call_fun2:
    case BOP_apply:
    case BOP_apply_last:
        call_computed(ld, in);
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
        verify_room(ld, 0);
        guard(ld, in, 0, 2, 3, 1);
        break;
    case BOP_gc_bif2:
        verify_room(ld, 0);
        guard(ld, in, 0, 2, 3, 2);
        break;
    case BOP_gc_bif3:
        verify_room(ld, 0);
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
    case BOP_is_float: TEST1(is_float); passed(ld, &in->args[1], KNOWN_FLOAT); break;
    case BOP_is_number: TEST1(is_number); break;
    case BOP_is_atom: TEST1(is_atom); break;
    case BOP_is_pid: TEST1(is_pid); break;
    case BOP_is_reference: TEST1(is_reference); break;
    case BOP_is_port: TEST1(is_port); break;
    case BOP_is_nil: TEST1(is_nil); break;
    case BOP_is_binary: TEST1(is_binary); break;
    case BOP_is_bitstr: TEST1(is_bitstr); break;
    case BOP_is_list: TEST1(is_list); break;
    case BOP_is_nonempty_list: TEST1(is_nonempty_list); passed(ld, &in->args[1], KNOWN_CONS); break;
    case BOP_is_tuple: TEST1(is_tuple); passed(ld, &in->args[1], known_tuple(0)); break;
    case BOP_is_map: TEST1(is_map); passed(ld, &in->args[1], KNOWN_MAP); break;
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
    case BOP_move: EMIT(move, SRC(0), dest_known(ld, &in->args[1], known_arg(ld, &in->args[0]))); break;
    case BOP_swap:
        EMIT(swap, SRC(0), SRC(1));
        (void)dest_known(ld, &in->args[0], known_arg(ld, &in->args[1]));
        (void)dest_known(ld, &in->args[1], known_arg(ld, &in->args[0]));
        break;
    case BOP_get_list: ensure(ld, &in->args[0], KNOWN_CONS, 0); EMIT(get_list, SRC(0), DST(1), DST(2)); break;
    case BOP_get_hd: ensure(ld, &in->args[0], KNOWN_CONS, 0); EMIT(get_hd, SRC(0), DST(1)); break;
    case BOP_get_tl: ensure(ld, &in->args[0], KNOWN_CONS, 0); EMIT(get_tl, SRC(0), DST(1)); break;
    case BOP_get_tuple_element: {
        int64_t at = number_of(ld, &in->args[1], (1 << 24) - 2);

        ensure(ld, &in->args[0], KNOWN_TUPLE, (uint32_t)at + 1);
        if (at < 8000)
            EMIT(get_tuple_element, SRC(0), number(8 * at + 8), DST(2));
        else
            EMIT(get_tuple_element_far, SRC(0), number(at + 1), DST(2));
        break;
    }
    case BOP_set_tuple_element: {
        int64_t at = number_of(ld, &in->args[2], (1 << 24) - 2) + 1;

        ensure(ld, &in->args[1], KNOWN_TUPLE, (uint32_t)at);
        EMIT(set_tuple_element, SRC(0), SRC(1), number(at));
        break;
    }
    case BOP_put_list: {
        struct operand h = SRC(0), t = SRC(1), d = dest_known(ld, &in->args[2], KNOWN_CONS);

        (void)verify_use(ld, CONS_WORDS);
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
            (void)verify_live(ld, f->num_free);
            EMIT(test_heap, number((int64_t)FUN_WORDS(f->num_free)), number(f->num_free));
            EMIT(make_fun2, pointer(ld->image->funs[row]), number(f->num_free));
            returned(ld);
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
    case BOP_try_end: EMIT(try_end, y_closed(ld, &in->args[0])); break;
    case BOP_try_case:
        EMIT(try_case, y_closed(ld, &in->args[0]));
        if (!ld->measuring && !ld->at_handler)
            load_fail(ld, "try_case that no try leads to");
        verify_entry(ld, 3);
        break;
    case BOP_catch_end:
        EMIT(catch_end, y_closed(ld, &in->args[0]));
        (void)verify_live(ld, 1);
        returned(ld);
        break;
    case BOP_badmatch: EMIT(badmatch, SRC(0)); no_way_on(ld); break;
    case BOP_case_end: EMIT(case_end, SRC(0)); no_way_on(ld); break;
    case BOP_try_case_end: EMIT(try_case_end, SRC(0)); no_way_on(ld); break;
    case BOP_badrecord: EMIT(badrecord, SRC(0)); no_way_on(ld); break;
    case BOP_if_end: EMIT0(if_end); no_way_on(ld); break;
    case BOP_raise: EMIT(raise, SRC(0), SRC(1)); no_way_on(ld); break;
    case BOP_raw_raise: (void)verify_live(ld, 3); EMIT0(raw_raise); verify_entry(ld, 4); break;
    case BOP_build_stacktrace: (void)verify_live(ld, 1); EMIT0(build_stacktrace); returned(ld); break;
    /* messages */
    case BOP_send: (void)verify_live(ld, 2); EMIT0(send); returned(ld); break;
    case BOP_loop_rec:
        verify_entry(ld, 0);
        EMIT(loop_rec, JUMPTO(0), DST(1));
        break;
    case BOP_loop_rec_end:
        verify_entry(ld, 0);
        EMIT(loop_rec_end, JUMPTO(0));
        no_way_on(ld);
        break;
    case BOP_remove_message: EMIT0(remove_message); break;
    case BOP_wait: verify_entry(ld, 0); EMIT(wait, JUMPTO(0)); no_way_on(ld); break;
    case BOP_wait_timeout: {
        /* Executed again after a wake-up it does not look at its operand: an x register is not set then. */
        struct operand time = in->args[1].kind == BEAM_X ? place(ld, &in->args[1]) : SRC(1);

        verify_entry(ld, 0);
        EMIT(wait_timeout, JUMPTO(0), time);
        break;
    }
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
    case BOP_bs_start_match3:
        verify_room(ld, 0);
        EMIT(bs_start_match, FAIL(0), SRC(1), dest_known(ld, &in->args[3], KNOWN_CONTEXT));
        break;
    case BOP_bs_start_match4: start_match4(ld, in); break;
    case BOP_bs_get_position: ensure(ld, &in->args[0], KNOWN_CONTEXT, 0); EMIT(bs_get_position, SRC(0), DST(1)); break;
    case BOP_bs_set_position: ensure(ld, &in->args[0], KNOWN_CONTEXT, 0); EMIT(bs_set_position, SRC(0), SRC(1)); break;
    case BOP_bs_get_tail: ensure(ld, &in->args[0], KNOWN_CONTEXT, 0); verify_room(ld, 0); EMIT(bs_get_tail, SRC(0), DST(1)); break;
    case BOP_bs_get_integer2: bs_get_integer2(ld, in); break;
    case BOP_bs_get_float2:
        { struct operand no_ = context(ld, in); EMIT(bs_get_float, no_, SRC(1), SRC(3), num(ld, &in->args[4], 256),
             num(ld, &in->args[5], 31), DST(6)); }
        break;
    case BOP_bs_get_binary2: bs_get_binary2(ld, in); break;
    case BOP_bs_skip_bits2: bs_skip_bits2(ld, in); break;
    case BOP_bs_test_tail2: { struct operand no_ = context(ld, in); EMIT(bs_test_tail, no_, SRC(1), num(ld, &in->args[2], INT32_MAX)); } break;
    case BOP_bs_test_unit: {
        int64_t unit = number_of(ld, &in->args[2], 256);

        { struct operand no_ = context(ld, in); EMIT(bs_test_unit, no_, SRC(1), number(unit == 0 ? 1 : unit)); }
        break;
    }
    case BOP_bs_match_string: {
        int64_t bits = number_of(ld, &in->args[2], INT32_MAX);
        int64_t offset = number_of(ld, &in->args[3], INT32_MAX);

        { struct operand no_ = context(ld, in); EMIT(bs_match_string, no_, SRC(1), number(bits),
             pointer(string_at(ld, (uint64_t)offset, ((uint64_t)bits + 7) / 8))); }
        break;
    }
    case BOP_bs_get_utf8: { struct operand no_ = context(ld, in); EMIT(bs_get_utf8, no_, SRC(1), DST(4)); } break;
    case BOP_bs_get_utf16: { struct operand no_ = context(ld, in); EMIT(bs_get_utf16, no_, SRC(1), num(ld, &in->args[3], 31), DST(4)); } break;
    case BOP_bs_get_utf32: { struct operand no_ = context(ld, in); EMIT(bs_get_utf32, no_, SRC(1), num(ld, &in->args[3], 31), DST(4)); } break;
    case BOP_bs_skip_utf8: { struct operand no_ = context(ld, in); EMIT(bs_skip_utf8, no_, SRC(1)); } break;
    case BOP_bs_skip_utf16: { struct operand no_ = context(ld, in); EMIT(bs_skip_utf16, no_, SRC(1), num(ld, &in->args[3], 31)); } break;
    case BOP_bs_skip_utf32: { struct operand no_ = context(ld, in); EMIT(bs_skip_utf32, no_, SRC(1), num(ld, &in->args[3], 31)); } break;
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
    unsigned op = ld->handler_next & HANDLER_OF_TRY ? BOP_try_case : BOP_catch_end;

    if (in->op != op || in->args[0].kind != BEAM_Y ||
        8 * (in->args[0].u + 1) != (ld->handler_next & ~HANDLER_OF_TRY))
        load_fail(ld, "handler does not end its catch first");
    ld->handler_next = 0;
}

/* May the collector, or an exception looking for its handler, see the frame during this? */
static bool looks_at_frame(unsigned op)
{
    switch (op) {
    case BOP_label:
    case BOP_line:
    case BOP_func_info:
    case BOP_int_code_end:
    case BOP_move:
    case BOP_swap:
    case BOP_init:
    case BOP_init_yregs:
    case BOP_put_list:
    case BOP_put_tuple2:
    case BOP_make_fun3:
    case BOP_jump:
    case BOP_return:
    case BOP_deallocate:
        return false;
    default:
        return true;
    }
}

/* What has to be so before any instruction of this kind. */
static void before(struct loader *ld, const struct beam_instr *in)
{
    bool puts = false;

    if (looks_at_frame(in->op))
        verify_settle(ld);
    switch (in->op) {
    case BOP_bs_put_integer:
    case BOP_bs_put_float:
    case BOP_bs_put_binary:
    case BOP_bs_put_string:
    case BOP_bs_put_utf8:
    case BOP_bs_put_utf16:
    case BOP_bs_put_utf32:
        puts = true;
        break;
    case BOP_line:
        return;
    default:
        break;
    }
    (void)verify_building(ld, puts);
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
        if (ld->rc == 0 && !ld->dead)
            before(ld, &in);
        if (ld->entry_next && in.op != BOP_label && in.op != BOP_line) {
            load_fail(ld, "func_info without an entry label");
            break;
        }
        if (in.op != BOP_line) {
            ld->at_handler = ld->handler_next != 0;
            if (ld->at_handler)
                check_handler(ld, &in);
        }
        if (in.op == BOP_label) {
            label_here(ld, &in);
        } else if (in.op == BOP_func_info) {
            func_info(ld, &in);
            ld->dead = true;
        } else if (in.op == BOP_line || in.op == BOP_int_code_end || !ld->dead) {
            if (in.op != BOP_int_code_end)
                translate(ld, &in);
            else if (!ld->dead)
                EMIT0(raise_badarg);
            verify_commit(ld);
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
