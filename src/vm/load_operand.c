/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_operand.c - operands of generic instructions, checked, and what passes from one to the next
 *
 * Registers must be set, y registers must lie in the frame, and what an instruction needs of their
 * content is either known or made sure of by an ensure_* operation.
 */
#include "vm/load_code.h"

#include "base/alloc.h"

#include <stdarg.h>
#include <stdio.h>

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

/* --- operands -------------------------------------------------------------------------------- */

struct operand operand_number(int64_t n)
{
    return (struct operand){ 'n', n, NULL, 0, 0 };
}

struct operand operand_pointer(const void *p)
{
    return (struct operand){ 'p', (int64_t)(uintptr_t)p, NULL, 0, 0 };
}

struct operand operand_constant(term t)
{
    return (struct operand){ 'k', (int64_t)t, NULL, 0, 0 };
}

struct operand operand_x(unsigned i)
{
    return (struct operand){'x', (int64_t)(offsetof(struct sched, x) + i * sizeof(term)), NULL, 0,
                            0};
}

struct operand operand_table(const term *words, size_t n)
{
    return (struct operand){ 't', (int64_t)n, words, 0, 0 };
}

struct operand arg_bad(struct loader *ld, const char *what)
{
    load_fail(ld, "%s expected", what);
    return operand_number(0);
}

/* y registers that can be used: in a mixed frame those that all of them have. */
static int32_t y_count(int32_t frame)
{
    return frame <= FRAME_MIXED ? FRAME_MIXED - frame : frame < 0 ? 0 : frame;
}

static struct operand operand_y(struct loader *ld, uint64_t i)
{
    if (i >= (uint64_t)y_count(ld->frame))
        return arg_bad(ld, "y register inside the frame");
    return (struct operand){ 'y', (int64_t)(8 * (i + 1)), NULL, 0, 0 };
}

/* The term of a constant operand, TERM_NONE when it is none. */
term arg_constant(struct loader *ld, const struct beam_arg *a)
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
struct operand arg_place(struct loader *ld, const struct beam_arg *a)
{
    if (a->kind == BEAM_X && a->u < X_REGISTERS)
        return operand_x((unsigned)a->u);
    if (a->kind == BEAM_Y)
        return operand_y(ld, a->u);
    return arg_bad(ld, "register");
}

struct operand arg_source(struct loader *ld, const struct beam_arg *a)
{
    term t;

    if (a->kind == BEAM_X || a->kind == BEAM_Y) {
        (void)verify_read(ld, a);
        return arg_place(ld, a);
    }
    t = arg_constant(ld, a);
    return t == TERM_NONE ? arg_bad(ld, "source operand") : operand_constant(t);
}

/* A register that the instruction sets to what `known` says. */
struct operand arg_dest_known(struct loader *ld, const struct beam_arg *a, uint32_t known)
{
    struct operand o = arg_place(ld, a);

    if (ld->rc == 0)
        verify_write(ld, a, known);
    return o;
}

struct operand arg_dest(struct loader *ld, const struct beam_arg *a)
{
    return arg_dest_known(ld, a, KNOWN_ANY);
}

int64_t arg_u(struct loader *ld, const struct beam_arg *a, int64_t max)
{
    if (a->kind == BEAM_U && a->u <= (uint64_t)max)
        return (int64_t)a->u;
    load_fail(ld, "number up to %lld expected", (long long)max);
    return 0;
}

struct operand arg_number(struct loader *ld, const struct beam_arg *a, int64_t max)
{
    return operand_number(arg_u(ld, a, max));
}

struct operand arg_float(struct loader *ld, const struct beam_arg *a)
{
    if (a->kind != BEAM_FR || a->u >= FLOAT_REGISTERS)
        return arg_bad(ld, "float register");
    return (struct operand){'l', (int64_t)(offsetof(struct sched, f) + a->u * sizeof(double)), NULL,
                            0, 0};
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

uint32_t arg_known(struct loader *ld, const struct beam_arg *a)
{
    const uint32_t *k = verify_register(ld, a);
    term t;

    if (k != NULL)
        return *k;
    t = arg_constant(ld, a);
    return t == TERM_NONE ? KNOWN_ANY : known_of(t);
}

/* --- labels and frames ----------------------------------------------------------------------- */

void load_reach_frame(struct loader *ld, uint32_t to, int32_t frame)
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
void load_reach(struct loader *ld, uint32_t to)
{
    load_reach_frame(ld, to, ld->frame);
    verify_reach(ld, to);
}

struct operand arg_label(struct loader *ld, const struct beam_arg *a, bool may_be_none)
{
    if (a->kind != BEAM_F || (a->u == 0 && !may_be_none))
        return arg_bad(ld, "label");
    if (a->u != 0)
        load_reach(ld, (uint32_t)a->u);
    return (struct operand){ 'f', (int64_t)a->u, NULL, 0, 0 };
}

/* The entry of a function of n arguments, all of them set. */
struct operand arg_callee(struct loader *ld, const struct beam_arg *a, int64_t n)
{
    if (a->kind != BEAM_F || a->u == 0)
        return arg_bad(ld, "label");
    (void)verify_live(ld, (uint32_t)n);
    if (!ld->measuring && ld->entry_arity[a->u] != n + 1)
        load_fail(ld, "call with %lld arguments of label %llu", (long long)n,
                  (unsigned long long)a->u);
    return (struct operand){ 'f', (int64_t)a->u, NULL, 0, 0 };
}

void load_need_frame(struct loader *ld)
{
    if (ld->frame < 0)
        load_fail(ld, "call without a frame");
}

/* Words wanted by test_heap and its like, in our sizes. */
int64_t arg_heap_need(struct loader *ld, const struct beam_arg *a)
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

void load_set_frame(struct loader *ld, int64_t n, uint32_t live)
{
    if (ld->frame != FRAME_NONE)
        load_fail(ld, "second frame");
    if (n > FRAME_MAX)
        load_fail(ld, "frame of %lld registers", (long long)n);
    verify_keep_x(ld, live);
    ld->frame = (int32_t)n;
    verify_frame(ld, ld->frame);
}

void load_drop_frame(struct loader *ld, const struct beam_arg *a)
{
    int64_t n = arg_u(ld, a, FRAME_MAX);

    if (ld->frame != n)
        load_fail(ld, "deallocate %lld with a frame of %d", (long long)n, ld->frame);
    (void)verify_no_catch(ld);
    EMIT(deallocate, operand_number(n + 1));
    ld->frame = FRAME_NONE;
}

void load_no_way_on(struct loader *ld)
{
    ld->dead = true;
}

/* After a call: only x0 is set. */
void load_returned(struct loader *ld)
{
    verify_entry(ld, 1);
}

bool load_knows(struct loader *ld, const struct beam_arg *a, enum known kind, uint32_t arity)
{
    uint32_t have = arg_known(ld, a);

    return known_kind(have) == kind && (kind != KNOWN_TUPLE || known_arity(have) >= arity);
}

bool load_is_sure(struct loader *ld, const struct beam_arg *a, enum known kind, uint32_t arity)
{
    uint32_t *k = verify_register(ld, a);

    if (ld->rc != 0 || load_knows(ld, a, kind, arity))
        return true;
    if (k == NULL)
        return !load_fail(ld, "constant of the wrong type");
    verify_settle(ld);
    *k = kind == KNOWN_TUPLE ? known_tuple(arity) : kind;
    return false;
}

void load_ensure(struct loader *ld, const struct beam_arg *a, enum known kind, uint32_t arity)
{
    static const uint16_t ops[] = {
        [KNOWN_CONS] = OP_ensure_cons, [KNOWN_TUPLE] = OP_ensure_tuple, [KNOWN_MAP] = OP_ensure_map,
        [KNOWN_CONTEXT] = OP_ensure_context,
    };

    if (!load_is_sure(ld, a, kind, arity)) {
        struct operand o[2] = { arg_source(ld, a), operand_number(arity) };

        emit(ld, ops[kind], kind == KNOWN_TUPLE ? 2 : 1, o);
    }
}

/* After a test has passed, a holds this. */
void load_passed(struct loader *ld, const struct beam_arg *a, uint32_t known)
{
    uint32_t *k = verify_register(ld, a);

    if (k == NULL || ld->rc != 0)
        return;
    if (known_kind(*k) == KNOWN_TUPLE && known_kind(known) == KNOWN_TUPLE && *k > known)
        return;
    *k = known;
}
