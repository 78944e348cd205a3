/* SPDX-License-Identifier: Apache-2.0 */
/*
 * context.c - handing on match contexts instead of making binaries
 *
 * A loop over a binary takes something off its front and calls itself with the rest. The rest need
 * not become a term when the first thing the callee does with it is to begin a match: an
 * instruction that is given a context goes on where that stands. So a call may hand over the
 * context itself, if nothing else wants the rest, nothing moves the context on the way to the
 * call, and it is not used after it.
 *
 * The callee may use such a parameter only where its match has begun; there a use as a value gets a
 * binary made from where the context stood at first. Where the match could not begin, the
 * parameter is no context for sure.
 */
#include "lang/low.h"

#include "base/assert.h"

#include <string.h>

static bool dominates(const struct low_block *a, const struct low_block *b)
{
    while (b->order > a->order)
        b = b->idom;
    return a == b;
}

/* --- the callee ------------------------------------------------------------------------------- */

/* The instruction that begins to match parameter i, if there is just one and it comes before all
 * other uses. */
static struct low_instr *start_of(const struct low *l, uint32_t param, struct low_block **ret_at)
{
    struct low_instr *start = NULL;

    for (uint32_t i = 0; i < l->n_blocks; i++) {
        struct low_instr *t = l->blocks[i]->last;

        if (t->op != LO_BS_START || t->args[0].var != param)
            continue;
        if (start != NULL)
            return NULL;
        start = t;
        *ret_at = l->blocks[i];
    }
    return start;
}

/* Is the variable used behind `in` in its block, or in a block behind that? */
static bool used_later(const struct low_block *b, const struct low_instr *in, uint32_t var)
{
    for (in = in->next; in != NULL; in = in->next)
        for (uint32_t i = 0; i < in->n; i++)
            if (in->args[i].var == var)
                return true;
    for (uint32_t i = 0; i < b->last->n_to; i++)
        for (uint32_t j = 0; j < b->last->to[i]->n_live; j++)
            if (b->last->to[i]->live_in[j] == var)
                return true;
    return b->handler != NULL;
}

/* May this use of a parameter that is matched by `start` in block `at` become one of a binary? */
static bool use_fits(const struct low_block *b, const struct low_instr *in,
                     const struct low_instr *start, const struct low_block *at)
{
    const struct low_block *begun = start->to[0];

    if (in == start)
        return true;
    if (!dominates(at, b) || begun->n_preds != 1)
        return false;
    if (dominates(begun, b))
        return !used_later(b, in, start->dst[0]);
    if (in->op == LO_FUNC_INFO)
        return b->first == b->last;
    /* Reached only when it could not begin? */
    return start->to[1]->n_preds == 1 && dominates(start->to[1], b);
}

static bool accepts_context(const struct low *l, uint32_t param)
{
    struct low_block *at = NULL;
    struct low_instr *start = start_of(l, param, &at);

    if (start == NULL)
        return false;
    for (uint32_t i = 0; i < l->n_blocks; i++)
        for (struct low_instr *in = l->blocks[i]->first; in != NULL; in = in->next)
            for (uint32_t j = 0; j < in->n; j++)
                if (in->args[j].var == param && !use_fits(l->blocks[i], in, start, at))
                    return false;
    return true;
}

void context_accepts(struct low *l)
{
    low_dominators(l);
    low_liveness(l);
    l->fn->accepts = arena_alloc(l->arena, l->fn->arity + 1u);
    for (uint32_t i = 0; i < l->fn->arity; i++)
        l->fn->accepts[i] = accepts_context(l, l->entry->params[i]) ? CONTEXT_ACCEPTED
                                                                    : CONTEXT_NEVER;
}

/* --- the caller ------------------------------------------------------------------------------- */

static bool touches(const struct low_instr *from, const struct low_instr *to, uint32_t var)
{
    for (const struct low_instr *in = from; in != NULL && in != to; in = in->next)
        for (uint32_t i = 0; i < in->n; i++)
            if (in->args[i].var == var)
                return true;
    return false;
}

/* Does nothing on any way from `tail`, in its block, to the call in b touch the context? */
static bool stands_still(struct low *l, const struct low_instr *tail,
                         const struct low_instr *call, struct low_block *b, uint32_t context)
{
    struct low_block *home = l->vars[tail->dst[0]].block, **stack;
    size_t depth = 0;

    if (b == home)
        return !touches(tail->next, call, context);
    if (touches(tail->next, NULL, context) || touches(b->first, call, context))
        return false;
    stack = ARENA_NEW_ARRAY(l->arena, struct low_block *, l->n_blocks + 1);
    for (uint32_t i = 0; i < l->n_blocks; i++)
        l->blocks[i]->mark = false;
    b->mark = home->mark = true;
    stack[depth++] = b;
    while (depth > 0) {
        const struct low_block *at = stack[--depth];

        for (uint32_t p = 0; p < at->n_preds; p++) {
            struct low_block *pred = at->preds[p];

            if (pred->mark)
                continue;
            if (touches(pred->first, NULL, context))
                return false;
            pred->mark = true;
            stack[depth++] = pred;
        }
    }
    return true;
}

static void hand_on(struct low *l, struct low_block *b, struct low_instr *call)
{
    for (uint32_t i = 0; i < call->n; i++) {
        uint32_t v = call->args[i].var, context;
        struct low_instr *tail = v != 0 ? l->vars[v].def : NULL;

        if (tail == NULL || tail->op != LO_BS_TAIL || l->vars[v].uses != 1
            || call->fun->accepts == NULL || call->fun->accepts[i] == CONTEXT_NEVER)
            continue;
        context = tail->args[0].var;
        if (used_later(b, call, context) || touches(call, call->next, context)
            || !stands_still(l, tail, call, b, context))
            continue;
        call->fun->accepts[i] = CONTEXT_GIVEN;
        call->args[i] = VAL_VAR(context);
        low_remove(l->vars[v].block, tail);
    }
}

void context_hand_on(struct low *l)
{
    low_order(l);
    low_liveness(l);
    for (uint32_t i = 0; i < l->n_blocks; i++)
        for (struct low_instr *in = l->blocks[i]->first, *next; in != NULL; in = next) {
            next = in->next;
            if (in->op == LO_CALL || in->op == LO_TAIL_CALL)
                hand_on(l, l->blocks[i], in);
        }
}

/* --- making binaries of contexts -------------------------------------------------------------- */

/* In front of `in`: the bitstring from where the context stood at first. */
static uint32_t remake(struct low *l, struct low_block *b, struct low_instr *in, uint32_t context,
                       uint32_t position)
{
    struct low_instr *seek = low_instr_bare(l, LO_BS_SEEK, 2, 0, 0);
    struct low_instr *tail = low_instr_bare(l, LO_BS_TAIL, 1, 1, 0);

    seek->args[0] = tail->args[0] = VAL_VAR(context);
    seek->args[1] = VAL_VAR(position);
    tail->dst[0] = low_var_new(l);
    l->vars[tail->dst[0]].def = tail;
    l->vars[tail->dst[0]].block = b;
    low_insert(b, in, seek);
    low_insert(b, in, tail);
    return tail->dst[0];
}

static uint32_t first_position(struct low *l, struct low_block *begun, uint32_t context)
{
    struct low_instr *in = begun->first;

    if (in->op == LO_BS_POSITION && in->args[0].var == context)
        return in->dst[0];
    in = low_instr_bare(l, LO_BS_POSITION, 1, 1, 0);
    in->args[0] = VAL_VAR(context);
    in->dst[0] = low_var_new(l);
    l->vars[in->dst[0]].def = in;
    l->vars[in->dst[0]].block = begun;
    low_insert(begun, begun->first, in);
    return in->dst[0];
}

/* The end of all clauses, reached from both sides: ways on which the match had begun get their
 * own. */
static struct low_block *split_end(struct low *l, struct low_block *b,
                                   const struct low_block *begun)
{
    struct low_block *own = low_block_new(l, b->handler);
    struct low_instr *copy = low_instr_bare(l, LO_FUNC_INFO, b->last->n, 0, 0);

    low_copy(copy->args, b->last->args, copy->n);
    copy->line = b->last->line;
    copy->file = b->last->file;
    low_append(own, copy);
    for (uint32_t p = 0; p < b->n_preds; p++) {
        struct low_instr *t = b->preds[p]->last;

        for (uint32_t i = 0; dominates(begun, b->preds[p]) && i < t->n_to; i++)
            if (t->to[i] == b)
                t->to[i] = own;
    }
    return own;
}

static void remake_uses(struct low *l, uint32_t param)
{
    struct low_block *at = NULL, *begun;
    struct low_instr *start = start_of(l, param, &at);
    uint32_t n = l->n_blocks, position = 0;

    begun = start->to[0];
    for (uint32_t i = 0; i < n; i++) {
        struct low_block *b = l->blocks[i];

        if (b->last->op == LO_FUNC_INFO && b->first == b->last && !dominates(begun, b)
            && dominates(at, b))
            b = split_end(l, b, begun);
        else if (!dominates(begun, b))
            continue;
        for (struct low_instr *in = b->first; in != NULL; in = in->next) {
            uint32_t fresh = 0;

            for (uint32_t j = 0; j < in->n; j++) {
                if (in->args[j].var != param)
                    continue;
                if (position == 0)
                    position = first_position(l, begun, start->dst[0]);
                if (fresh == 0)
                    fresh = remake(l, b, in, start->dst[0], position);
                in->args[j] = VAL_VAR(fresh);
            }
        }
    }
    low_order(l);
}

void context_remake(struct low *l)
{
    for (uint32_t i = 0; i < l->fn->arity; i++) {
        if (l->fn->accepts[i] != CONTEXT_GIVEN)
            continue;
        low_order(l);
        low_dominators(l);
        remake_uses(l, l->entry->params[i]);
    }
}
