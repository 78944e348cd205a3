/* SPDX-License-Identifier: Apache-2.0 */
/*
 * infer.c - types across the functions of a module
 *
 * A function that only this module calls gets just the values that its calls hand over, and a call
 * gives just what the function returns. Functions are walked again until nothing new comes out:
 * what is told of a parameter or a result only ever becomes more general, and after some rounds
 * its inside is given up, so that ends.
 *
 * Blocks lead forward but for the ways back of receives, so one walk in order does for a function.
 *
 * What comes out (low_var.told) is true, but neither OTP's validator nor our verifier can see why.
 * So it may choose between tests and operations that check for themselves; an instruction that
 * reads a tuple or a cons without looking still needs its test (facts.c).
 */
#include "lang/told.h"

#include "lang/emit_priv.h"

#include <string.h>

#define CHANGES_MAX  12     /* of a parameter or result before only its types are kept */

struct infer {
    struct unit *u;
    struct arena *arena;
    struct low_function **queue;        /* to be walked */
    size_t n_queue, cap_queue;
    struct low_function *fn;            /* at work */
    const struct told *none, *any;
};

static void enqueue(struct infer *f, struct low_function *fn)
{
    if (fn->queued)
        return;
    fn->queued = true;
    f->queue = arena_grow(f->arena, f->queue, f->n_queue, &f->cap_queue, sizeof *f->queue);
    f->queue[f->n_queue++] = fn;
}

/* --- between functions ------------------------------------------------------------------------ */

/* Asked for the first time: what comes in from outside of the module is anything. */
static void reach(struct infer *f, struct low_function *fn)
{
    if (fn->params_told != NULL)
        return;
    fn->params_told = ARENA_NEW_ARRAY(f->arena, const struct told *, fn->arity + 1u);
    fn->result_told = f->none;
    for (uint32_t i = 0; i < fn->arity; i++)
        fn->params_told[i] = fn->exported ? f->any : f->none;
    enqueue(f, fn);
}

/* *place becomes what it was or t. Has that told something new? */
static bool widen(struct infer *f, struct low_function *fn, const struct told **place,
                  const struct told *t)
{
    const struct told *joined = told_join(f->arena, *place, t);

    if (joined == *place)
        return false;
    if (fn->n_changes++ >= CHANGES_MAX * (fn->arity + 1u)) {
        if (joined->bits == (*place)->bits && (*place)->depth == 0 && (*place)->fun == NULL)
            return false;
        joined = told_bits(f->arena, joined->bits);
    }
    *place = joined;
    return true;
}

static void pass(struct infer *f, struct low_function *to, uint32_t param, const struct told *t)
{
    reach(f, to);
    if (widen(f, to, &to->params_told[param], t))
        enqueue(f, to);
}

static void returns(struct infer *f, const struct told *t)
{
    struct low_function *fn = f->fn;

    if (!widen(f, fn, &fn->result_told, t))
        return;
    for (size_t i = 0; i < fn->n_callers; i++)
        enqueue(f, fn->callers[i]);
}

/* What a call from the function at work gives. */
static const struct told *result_of(struct infer *f, struct low_function *callee)
{
    bool known = false;

    for (size_t i = 0; i < callee->n_callers; i++)
        known |= callee->callers[i] == f->fn;
    if (!known) {
        callee->callers = arena_grow(f->arena, callee->callers, callee->n_callers,
                                     &callee->cap_callers, sizeof *callee->callers);
        callee->callers[callee->n_callers++] = f->fn;
    }
    return callee->result_told;
}

/* --- in a function ---------------------------------------------------------------------------- */

static const struct told *told_of(struct infer *f, struct low_val v)
{
    v = low_resolve(f->fn->low, v);
    if (v.var == 0)
        return v.lit != NULL ? told_const(f->arena, v.lit) : f->none;
    return f->fn->low->vars[v.var].told;
}

static const struct told *call(struct infer *f, struct low_function *callee,
                               const struct low_instr *in)
{
    reach(f, callee);
    for (uint32_t i = 0; i < callee->arity; i++)
        pass(f, callee, i, told_of(f, in->args[i]));
    return result_of(f, callee);
}

/* The function that the callee of a fun call is, if that is known. */
static struct low_function *callee_of(struct infer *f, const struct low_instr *in)
{
    const struct told *t = told_of(f, in->args[in->imm]);

    return t->bits == T_FUN && t->fun != NULL && t->fun->arity == in->imm ? t->fun : NULL;
}

static const struct told *call_fun(struct infer *f, const struct low_instr *in)
{
    struct low_function *callee;

    if (told_of(f, in->args[in->imm])->bits == 0)
        return f->none;
    callee = callee_of(f, in);
    return callee != NULL ? call(f, callee, in) : f->any;
}

/* All functions of the module math give floats. */
static const struct told *call_ext(struct infer *f, const struct low_instr *in)
{
    return strcmp(in->module->name, "math") == 0 ? told_bits(f->arena, T_FLOAT) : f->any;
}

/* A fun may be called from anywhere, with what it took along. */
static const struct told *make_fun(struct infer *f, const struct low_instr *in)
{
    struct low_function *fn = in->fun;
    uint32_t own = fn->arity - fn->n_free;

    reach(f, fn);
    for (uint32_t i = 0; i < fn->arity; i++)
        pass(f, fn, i, i < own ? f->any : told_of(f, in->args[i - own]));
    return fn->n_free == 0 ? told_fun(f->arena, fn) : told_bits(f->arena, T_FUN);
}

static const struct told *make_tuple(struct infer *f, const struct low_instr *in)
{
    const struct told **parts = ARENA_NEW_ARRAY(f->arena, const struct told *, in->n + 1u);

    for (uint32_t i = 0; i < in->n; i++)
        parts[i] = told_of(f, in->args[i]);
    return told_tuple(f->arena, parts, in->n);
}

static const struct told *bif(struct infer *f, const struct low_instr *in)
{
    const char *name = in->bif->name;
    const struct core_const *first = in->n > 0 ? in->args[0].lit : NULL;
    uint32_t types[4];

    if (in->n == 1 && strcmp(name, "hd") == 0)
        return told_head(f->arena, told_of(f, in->args[0]));
    if (in->n == 1 && strcmp(name, "tl") == 0)
        return told_tail(f->arena, told_of(f, in->args[0]));
    if (strcmp(name, "element") == 0 && first != NULL && first->kind == CC_INT && first->i > 0
        && first->i < UINT32_MAX)
        return told_part(f->arena, told_of(f, in->args[1]), (uint32_t)first->i - 1);
    for (uint32_t i = 0; i < in->n && i < ARRAY_LEN(types); i++) {
        types[i] = told_of(f, in->args[i])->bits;
        if (types[i] == 0)
            return f->none;
    }
    return told_bits(f->arena, low_bif_type(in->bif, types));
}

static const struct told *told_instr(struct infer *f, const struct low_instr *in)
{
    switch (in->op) {
    case LO_TUPLE:
        return make_tuple(f, in);
    case LO_CONS:
        return told_cons(f->arena, told_of(f, in->args[0]), told_of(f, in->args[1]));
    case LO_FUN:
        return make_fun(f, in);
    case LO_HEAD:
        return told_head(f->arena, told_of(f, in->args[0]));
    case LO_TAIL:
        return told_tail(f->arena, told_of(f, in->args[0]));
    case LO_ELEMENT:
        return told_part(f->arena, told_of(f, in->args[0]), in->imm);
    case LO_BIF:
    case LO_BIF_TRY:
        return bif(f, in);
    case LO_CALL:
    case LO_TAIL_CALL:
        return call(f, in->fun, in);
    case LO_CALL_FUN:
    case LO_TAIL_FUN:
        return call_fun(f, in);
    case LO_CALL_EXT:
    case LO_TAIL_EXT:
        return call_ext(f, in);
    default:
        return f->any;
    }
}

static void walk_instr(struct infer *f, const struct low_instr *in)
{
    struct low *l = f->fn->low;
    const struct told *t = told_instr(f, in);

    for (uint32_t i = 0; i < in->n_dst; i++)
        l->vars[in->dst[i]].told = t;
    if (in->op >= LO_TAIL_CALL && in->op <= LO_TAIL_APPLY)
        returns(f, t);
    else if (in->op == LO_RETURN)
        returns(f, told_of(f, in->args[0]));
    for (uint32_t i = 0; in->op == LO_JUMP && i < in->n; i++) {
        struct low_var *p = &l->vars[in->to[0]->params[i]];

        p->told = told_join(f->arena, p->told, told_of(f, in->args[i]));
    }
}

/* Do all ways to b come from before it, and hand its parameters over? */
static bool is_forward(const struct low_block *b)
{
    for (uint32_t i = 0; i < b->n_preds; i++)
        if (b->preds[i]->order >= b->order || b->preds[i]->last->op != LO_JUMP)
            return false;
    return true;
}

static void walk(struct infer *f, struct low_function *fn)
{
    struct low *l = fn->low;

    f->fn = fn;
    for (size_t i = 0; i < l->n_vars; i++)
        l->vars[i].told = f->any;
    for (uint32_t i = 0; i < l->n_blocks; i++)
        for (uint32_t j = 0; j < l->blocks[i]->n_params; j++)
            if (is_forward(l->blocks[i]))
                l->vars[l->blocks[i]->params[j]].told = f->none;
    for (uint32_t i = 0; i < fn->arity; i++)
        l->vars[l->entry->params[i]].told = fn->params_told[i];
    for (uint32_t i = 0; i < l->n_blocks; i++)
        for (const struct low_instr *in = l->blocks[i]->first; in != NULL; in = in->next)
            walk_instr(f, in);
}

/* --- what it is good for ---------------------------------------------------------------------- */

/* Calls of known funs become calls of their functions. */
static void call_directly(struct infer *f, struct low_function *fn)
{
    struct low *l = fn->low;

    f->fn = fn;
    for (uint32_t i = 0; i < l->n_blocks; i++) {
        for (struct low_instr *in = l->blocks[i]->first; in != NULL; in = in->next) {
            struct low_function *callee;

            if (in->op != LO_CALL_FUN && in->op != LO_TAIL_FUN)
                continue;
            callee = callee_of(f, in);
            if (callee == NULL)
                continue;
            in->op = in->op == LO_CALL_FUN ? LO_CALL : LO_TAIL_CALL;
            in->n--;
            in->fun = callee;
        }
    }
}

void infer(struct unit *u)
{
    struct infer f = { .u = u, .arena = u->arena };

    f.none = told_bits(f.arena, 0);
    f.any = told_bits(f.arena, T_ANY);
    for (struct low_function *fn = u->functions; fn != NULL; fn = fn->next)
        if (fn->exported)
            reach(&f, fn);
    while (f.n_queue > 0) {
        struct low_function *fn = f.queue[--f.n_queue];

        fn->queued = false;
        walk(&f, fn);
    }
    for (struct low_function *fn = u->functions; fn != NULL; fn = fn->next)
        if (fn->params_told != NULL)
            call_directly(&f, fn);
}
