/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_call.c - calls, of functions and of guard built-ins
 */
#include "vm/load_code.h"

#include "vm/bif.h"
#include "vm/engine_priv.h"

static struct export *arg_import(struct loader *ld, const struct beam_arg *a)
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

void translate_call_ext(struct loader *ld, const struct beam_instr *in, enum call_form form)
{
    struct export *e = arg_import(ld, &in->args[1]);
    const struct bif *b;
    enum op_id special;
    struct operand n;

    if (e == NULL)
        return;
    if (never_returns(e))
        form = CALL_RAISES;
    else if (form == CALL_BODY)
        load_need_frame(ld);
    else if (form == CALL_ONLY && ld->frame != FRAME_NONE)
        load_fail(ld, "tail call with a frame");
    (void)verify_live(ld, e->arity);
    b = atomic_load(&e->bif);
    special = special_call(e, form == CALL_BODY);
    n = operand_number(e->arity);
    if (special == OP_COUNT && load_native(b) && form != CALL_ONLY) {
        EMIT(call_bif, operand_pointer((const void *)(uintptr_t)b->fn), operand_pointer(e));
        if (form == CALL_LAST) {
            load_drop_frame(ld, &in->args[2]);
            EMIT0(return);
        }
    } else {
        if (form == CALL_LAST)
            load_drop_frame(ld, &in->args[2]);
        if (special != OP_COUNT)
            emit(ld, special, 1, &n);
        else if (load_native(b))
            EMIT(call_bif_only, operand_pointer((const void *)(uintptr_t)b->fn),
                 operand_pointer(e));
        else if (form == CALL_BODY)
            EMIT(call_ext, operand_pointer(e), n);
        else
            EMIT(call_ext_only, operand_pointer(e), n);
    }
    if (form != CALL_BODY || special == OP_hibernate)
        load_no_way_on(ld);
    load_returned(ld);
}

void translate_call_local(struct loader *ld, const struct beam_instr *in)
{
    int64_t n = arg_u(ld, &in->args[0], 255);

    if (in->op == BOP_call) {
        load_need_frame(ld);
        EMIT(call, arg_callee(ld, &in->args[1], n), operand_number(n));
        load_returned(ld);
        return;
    }
    if (in->op == BOP_call_last)
        load_drop_frame(ld, &in->args[2]);
    else if (ld->frame != FRAME_NONE)
        load_fail(ld, "tail call with a frame");
    EMIT(call_only, arg_callee(ld, &in->args[1], n), operand_number(n));
    load_no_way_on(ld);
}

/* Calls of funs and of atoms in registers behind the arguments. */
void translate_call_computed(struct loader *ld, const struct beam_instr *in)
{
    int64_t n = arg_u(ld, &in->args[in->op == BOP_call_fun2 ? 1 : 0], 255);

    if (in->op != BOP_apply_last)
        load_need_frame(ld);
    switch (in->op) {
    case BOP_call_fun:
        (void)verify_live(ld, (uint32_t)n + 1);
        EMIT(call_fun, operand_x((unsigned)n), operand_number(n));
        break;
    case BOP_call_fun2:
        (void)verify_live(ld, (uint32_t)n);
        EMIT(call_fun, SRC(2), operand_number(n));
        break;
    case BOP_apply:
        (void)verify_live(ld, (uint32_t)n + 2);
        EMIT(apply, operand_number(n));
        break;
    default:
        (void)verify_live(ld, (uint32_t)n + 2);
        load_drop_frame(ld, &in->args[1]);
        EMIT(apply_only, operand_number(n));
        load_no_way_on(ld);
        break;
    }
    load_returned(ld);
}

/* --- guards ---------------------------------------------------------------------------------- */

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
            o[1 + n] = operand_pointer(e);
            o[2 + n] = d;
            emit(ld, term_ops[i].op, n + 3, o);
            return true;
        }
    }
    return false;
}

/* Built-ins of guards that make terms: they take of the room that was asked for before. */
static bool guard_allocates(const struct export *e)
{
    static const char *const names[] = {
        "+", "-", "*", "/", "div", "rem", "band", "bor", "bxor", "bnot", "bsl", "bsr", "abs", "float",
        "trunc", "round", "floor", "ceil", "binary_part",
    };
    const char *name = atom_text(e->function, NULL);

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

/* A guard built-in: n sources from args[src], failing to args[fail] (-1: it cannot fail). */
void translate_guard(struct loader *ld, const struct beam_instr *in, int fail, unsigned imp,
                  unsigned src, unsigned n)
{
    struct export *e = arg_import(ld, &in->args[imp]);
    struct operand no = { 'f', 0, NULL, 0, 0 }, s[3], d, fn;
    const struct bif *b;

    if (e == NULL)
        return;
    if (e->arity != n) {
        load_fail(ld, "guard built-in of arity %u used with %u operands", e->arity, n);
        return;
    }
    if (guard_allocates(e))
        verify_room(ld, 0);
    if (fail >= 0)
        no = arg_label(ld, &in->args[fail], true);
    for (unsigned i = 0; i < n; i++)
        s[i] = arg_source(ld, &in->args[src + i]);
    d = arg_dest(ld, &in->args[src + n]);
    if (e->module == ATOM_erlang && n == 0 && e->function == ATOM_self) {
        emit(ld, OP_self, 1, &d);
        return;
    }
    if (e->module == ATOM_erlang && guard_inline(ld, atom_text(e->function, NULL), n, e, no, s, d))
        return;
    b = atomic_load(&e->bif);
    if ((b != NULL && b->kind != BIF_GUARD) || (b == NULL && n == 0)) {
        load_fail(ld, "%s/%u is no guard", atom_text(e->function, NULL), e->arity);
        return;
    }
    fn = operand_pointer(
        (const void *)(uintptr_t)(b != NULL && b->fn != NULL ? b->fn : guard_missing));
    switch (n) {
    case 0:
        EMIT(guard0, fn, operand_pointer(e), d);
        break;
    case 1:
        EMIT(guard1, no, fn, operand_pointer(e), s[0], d);
        break;
    case 2:
        EMIT(guard2, no, fn, operand_pointer(e), s[0], s[1], d);
        break;
    default:
        EMIT(guard3, no, fn, operand_pointer(e), s[0], s[1], s[2], d);
        break;
    }
}
