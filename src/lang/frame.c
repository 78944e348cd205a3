/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frame.c - where stack frames are made, and what lives in them
 *
 * A block with a call that is not the last thing a function does needs a frame, and so does all
 * behind it, until the function is left. A frame is made at the start of the first such block, so
 * ways that need none never have one; where ways with and without one meet, the ways without get
 * a block of their own to make it in. Blocks that only raise are copied instead.
 *
 * Nothing in x registers survives a call. A variable that must gets a y register: if it is set
 * inside the frame it lives there from the start; otherwise it is copied where the frame is made,
 * and the blocks behind use the copy. What a receive takes out of a message is copied, too, once
 * the message is out of the queue: in OTP no term of a message may lie in the frame before.
 */
#include "lang/low.h"

#include "base/assert.h"

#include <string.h>

#define COPIED_STEPS_MAX 4

bool low_clobbers(const struct low_instr *in)
{
    return LOW_IS_CALL(in->op) || in->op == LO_STACKTRACE || in->op == LO_LOOP_REC
           || in->op == LO_LOOP_REC_END || in->op == LO_WAIT || in->op == LO_WAIT_TIMEOUT
           || in->op == LO_TRY_CASE;
}

/* --- liveness --------------------------------------------------------------------------------- */

struct use { uint32_t var; struct low_block *b; };

struct live {
    struct low *l;
    struct use *uses;
    size_t n_uses, cap_uses;
    struct low_block **stack;
    size_t cap_stack;
};

static void set_homes(struct low *l)
{
    for (uint32_t i = 0; i < l->n_blocks; i++) {
        struct low_block *b = l->blocks[i];

        b->n_live = 0;
        b->stamp = 0;
        for (uint32_t j = 0; j < b->n_params; j++) {
            l->vars[b->params[j]].block = b;
            l->vars[b->params[j]].def = NULL;
        }
        for (struct low_instr *in = b->first; in != NULL; in = in->next) {
            for (uint32_t j = 0; j < in->n_dst; j++) {
                l->vars[in->dst[j]].block = b;
                l->vars[in->dst[j]].def = in;
            }
        }
    }
}

static bool set_in(const struct low *l, const struct low_block *b, uint32_t var)
{
    return l->vars[var].copied ? b->allocates : l->vars[var].block == b;
}

/* Uses of what another block sets, once per block and variable in a row. */
static void collect_uses(struct live *v)
{
    struct low *l = v->l;
    uint32_t *seen = ARENA_NEW_ARRAY(l->arena, uint32_t, l->n_vars);

    for (uint32_t i = 0; i < l->n_blocks; i++) {
        struct low_block *b = l->blocks[i];

        for (struct low_instr *in = b->first; in != NULL; in = in->next) {
            for (uint32_t j = 0; j < in->n; j++) {
                uint32_t var = in->args[j].var;

                if (var == 0 || seen[var] == i + 1 || set_in(l, b, var))
                    continue;
                seen[var] = i + 1;
                v->uses = arena_grow(l->arena, v->uses, v->n_uses, &v->cap_uses,
                                     sizeof *v->uses);
                v->uses[v->n_uses++] = (struct use){ var, b };
            }
        }
    }
}

/* By variable. */
static void sort_uses(struct live *v)
{
    uint32_t *at = ARENA_NEW_ARRAY(v->l->arena, uint32_t, v->l->n_vars + 1);
    struct use *sorted = ARENA_NEW_ARRAY(v->l->arena, struct use, v->n_uses + 1);

    for (size_t i = 0; i < v->n_uses; i++)
        at[v->uses[i].var + 1]++;
    for (size_t i = 1; i <= v->l->n_vars; i++)
        at[i] += at[i - 1];
    for (size_t i = 0; i < v->n_uses; i++)
        sorted[at[v->uses[i].var]++] = v->uses[i];
    v->uses = sorted;
}

static void add_live(struct low *l, struct low_block *b, uint32_t var)
{
    size_t cap = b->cap_live;

    b->live_in = arena_grow(l->arena, b->live_in, b->n_live, &cap, sizeof *b->live_in);
    b->cap_live = (uint32_t)cap;
    b->live_in[b->n_live++] = var;
}

/* var is alive at the start of b, and on all ways from where it is set. */
static void spread(struct live *v, uint32_t var, struct low_block *b)
{
    size_t depth = 0;

    if (b->stamp == var)
        return;
    b->stamp = var;
    v->stack = arena_grow(v->l->arena, v->stack, depth, &v->cap_stack, sizeof *v->stack);
    v->stack[depth++] = b;
    while (depth > 0) {
        b = v->stack[--depth];
        add_live(v->l, b, var);
        for (uint32_t p = 0; p < b->n_preds; p++) {
            struct low_block *pred = b->preds[p];

            if (pred->stamp == var || set_in(v->l, pred, var))
                continue;
            pred->stamp = var;
            v->stack = arena_grow(v->l->arena, v->stack, depth, &v->cap_stack, sizeof *v->stack);
            v->stack[depth++] = pred;
        }
    }
}

void low_liveness(struct low *l)
{
    struct live v = { .l = l };

    set_homes(l);
    collect_uses(&v);
    sort_uses(&v);
    for (size_t i = 0; i < v.n_uses; i++)
        spread(&v, v.uses[i].var, v.uses[i].b);
}

/* --- which blocks ----------------------------------------------------------------------------- */

static bool only_raises(const struct low_block *b)
{
    switch (b->last->op) {
    case LO_BADMATCH:
    case LO_CASE_END:
    case LO_IF_END:
    case LO_TRY_CASE_END:
    case LO_FUNC_INFO:
    case LO_RERAISE:
    case LO_UNREACHABLE:
        break;
    default:
        return false;
    }
    for (const struct low_instr *in = b->first; in != b->last; in = in->next)
        if (LOW_IS_CALL(in->op) || in->op == LO_TRY || in->op == LO_TRY_CASE)
            return false;
    return true;
}

static bool needs_frame(const struct low_block *b)
{
    for (const struct low_instr *in = b->first; in != NULL; in = in->next)
        if (LOW_IS_CALL(in->op) || in->op == LO_TRY || in->op == LO_TRY_CASE
            || in->op == LO_STACKTRACE)
            return true;
    return b->loop && b->n_live > 0;
}

static struct low_block *next_of(const struct low_block *b, uint32_t i)
{
    return i < b->last->n_to ? b->last->to[i] : b->handler;
}

static uint32_t n_next(const struct low_block *b)
{
    return b->last->n_to + (b->handler != NULL);
}

/* Do all ways out of a branch get a frame, but for those that raise? Then it is made before. Not on
 * ways to the end of all clauses, which wants the arguments where they are. */
static bool leads_to_frames(const struct low_block *b)
{
    uint32_t framed = 0;

    if (b->raises)
        return false;
    for (uint32_t i = 0; i < b->last->n_to; i++) {
        const struct low_block *to = b->last->to[i];

        if (!to->framed && (!to->raises || to->last->op == LO_FUNC_INFO))
            return false;
        framed += to->framed;
    }
    return framed > 1;
}

static void spread_frames(struct low *l)
{
    struct low_block **stack = ARENA_NEW_ARRAY(l->arena, struct low_block *, l->n_blocks + 1);
    size_t depth = 0;

    for (uint32_t i = 0; i < l->n_blocks; i++) {
        struct low_block *b = l->blocks[i];

        b->raises = only_raises(b);
        b->framed = !b->raises && needs_frame(b);
        if (b->framed)
            stack[depth++] = b;
    }
    while (depth > 0) {
        struct low_block *b = stack[--depth];

        for (uint32_t i = 0; i < n_next(b); i++) {
            struct low_block *to = next_of(b, i);

            if (to->framed || to->raises)
                continue;
            to->framed = true;
            stack[depth++] = to;
        }
    }
    for (uint32_t i = l->n_blocks; i-- > 0 && !l->loops;)
        l->blocks[i]->framed |= leads_to_frames(l->blocks[i]);
}

static struct low_block *copy_block(struct low *l, const struct low_block *b)
{
    struct low_block *copy = low_block_new(l, b->handler);
    uint32_t *fresh = ARENA_NEW_ARRAY(l->arena, uint32_t, l->n_vars);

    copy->raises = true;
    copy->n_params = b->n_params;
    copy->params = ARENA_NEW_ARRAY(l->arena, uint32_t, b->n_params + 1);
    for (uint32_t i = 0; i < b->n_params; i++)
        copy->params[i] = fresh[b->params[i]] = low_var_new(l);
    for (const struct low_instr *in = b->first; in != NULL; in = in->next) {
        struct low_instr *c = low_instr_bare(l, in->op, in->n, in->n_dst, in->n_to);
        struct low_val *args = c->args;
        uint32_t *dst = c->dst;

        *c = *in;
        c->args = args;
        c->dst = dst;
        c->prev = c->next = NULL;
        for (uint32_t i = 0; i < in->n; i++) {
            args[i] = in->args[i];
            if (args[i].var != 0 && fresh[args[i].var] != 0)
                args[i].var = fresh[args[i].var];
        }
        for (uint32_t i = 0; i < in->n_dst; i++) {
            dst[i] = low_var_new(l);
            fresh[in->dst[i]] = dst[i];
        }
        low_append(copy, c);
    }
    return copy;
}

/* A frame is there and the arguments are gone from x: raise by a call. */
static void raise_by_call(struct low *l, struct low_block *b)
{
    struct low_instr *in = low_instr_bare(l, LO_TAIL_EXT, 1, 0, 0);

    in->module = core_atom(l->m, "erlang", 6);
    in->function = core_atom(l->m, "error", 5);
    in->args[0] = VAL_LIT(cc_atom(l->m, "function_clause"));
    in->line = b->last->line;
    in->file = b->last->file;
    low_remove(b, b->last);
    low_append(b, in);
}

/* Blocks that raise: those reached with and without a frame become two. */
static void split_raising(struct low *l)
{
    for (uint32_t i = 0; i < l->n_blocks; i++) {
        struct low_block *b = l->blocks[i], *copy = NULL;
        uint32_t framed = 0;

        if (!b->raises)
            continue;
        for (uint32_t p = 0; p < b->n_preds; p++)
            framed += b->preds[p]->framed;
        if (framed == 0)
            continue;
        if (framed == b->n_preds) {
            b->framed = true;
            copy = b;
        } else {
            copy = copy_block(l, b);
            copy->framed = true;
            for (uint32_t p = 0; p < b->n_preds; p++)
                for (uint32_t j = 0; b->preds[p]->framed && j < b->preds[p]->last->n_to; j++)
                    if (b->preds[p]->last->to[j] == b)
                        b->preds[p]->last->to[j] = copy;
        }
        if (copy->last->op == LO_FUNC_INFO)
            raise_by_call(l, copy);
    }
}

/* What ends the function in a few steps, and has a frame only because some ways to it have one,
 * becomes two. Has any? */
static bool split_ends(struct low *l)
{
    bool any = false;

    for (uint32_t i = 0; i < l->n_blocks; i++) {
        struct low_block *b = l->blocks[i], *copy = NULL;
        uint32_t steps = 0;

        if (!b->framed || b->last->n_to > 0 || b->handler != NULL || needs_frame(b))
            continue;
        for (const struct low_instr *in = b->first; in != NULL; in = in->next)
            steps++;
        for (uint32_t p = 0; steps <= COPIED_STEPS_MAX && p < b->n_preds; p++) {
            struct low_block *pred = b->preds[p];

            if (pred->framed)
                continue;
            if (copy == NULL) {
                copy = copy_block(l, b);
                copy->raises = false;
            }
            for (uint32_t j = 0; j < pred->last->n_to; j++)
                if (pred->last->to[j] == b)
                    pred->last->to[j] = copy;
        }
        any |= copy != NULL;
    }
    return any;
}

/* Between from and b, which has a frame: make it in a block of its own, *mid, the same for all
 * ways that hand nothing over. */
static void split_way(struct low *l, struct low_block *from, struct low_block *b,
                      struct low_block **mid)
{
    struct low_instr *t = from->last;

    if (*mid == NULL || b->n_params > 0) {
        *mid = low_block_new(l, b->handler);
        (*mid)->framed = (*mid)->allocates = true;
        low_jump(l, *mid, b, t->args, b->n_params);
    }
    for (uint32_t i = 0; i < t->n_to; i++)
        if (t->to[i] == b)
            t->to[i] = *mid;
    if (b->n_params > 0)
        t->n = 0;
}

static void place_frames(struct low *l)
{
    uint32_t n = l->n_blocks;

    l->entry->allocates = l->entry->framed;
    for (uint32_t i = 0; i < n; i++) {
        struct low_block *b = l->blocks[i], *mid = NULL;
        uint32_t framed = 0;

        if (!b->framed || b == l->entry)
            continue;
        for (uint32_t p = 0; p < b->n_preds; p++)
            framed += b->preds[p]->framed;
        if (framed == 0)
            b->allocates = true;
        else if (framed < b->n_preds)
            for (uint32_t p = 0; p < b->n_preds; p++)
                if (!b->preds[p]->framed)
                    split_way(l, b->preds[p], b, &mid);
    }
    low_order(l);
}

/* --- which variables -------------------------------------------------------------------------- */

/* Numbers of instructions inside a block. */
struct range { uint32_t stamp, from, to; };

#define TO_END UINT32_MAX

static void touch(struct range *r, uint32_t stamp, uint32_t at, bool set)
{
    if (r->stamp != stamp)
        *r = (struct range){ stamp, set ? at : 0, at };
    else if (at > r->to)
        r->to = at;
}

/* Variables alive across something in b that leaves no x register alone. */
static void find_crossing(struct low *l, struct low_block *b, struct range *ranges,
                          uint32_t *vars, uint32_t *calls)
{
    uint32_t stamp = b->order + 1, at = 1, n_vars = 0, n_calls = 0;

#define TOUCH(v, set, where) do { \
        if (ranges[v].stamp != stamp) \
            vars[n_vars++] = (v); \
        touch(&ranges[v], stamp, (where), (set)); \
    } while (0)
    for (uint32_t i = 0; i < b->n_live; i++)
        TOUCH(b->live_in[i], false, 0);
    for (uint32_t i = 0; i < b->n_params; i++)
        TOUCH(b->params[i], true, 0);
    for (struct low_instr *in = b->first; in != NULL; in = in->next, at++) {
        for (uint32_t i = 0; i < in->n; i++)
            if (in->args[i].var != 0)
                TOUCH(in->args[i].var, false, at);
        if (low_clobbers(in))
            calls[n_calls++] = at;
        for (uint32_t i = 0; i < in->n_dst; i++)
            TOUCH(in->dst[i], true, at);
    }
    for (uint32_t i = 0; i < n_next(b); i++) {
        const struct low_block *to = next_of(b, i);

        for (uint32_t j = 0; j < to->n_live; j++)
            if (ranges[to->live_in[j]].stamp == stamp)
                ranges[to->live_in[j]].to = TO_END;
    }
#undef TOUCH
    for (uint32_t i = 0, c; i < n_vars; i++) {
        const struct range *r = &ranges[vars[i]];
        uint32_t low = 0, high = n_calls;

        while (low < high) {            /* the first call behind from */
            c = (low + high) / 2;
            if (calls[c] > r->from)
                high = c;
            else
                low = c + 1;
        }
        if (low < n_calls && calls[low] < r->to)
            l->vars[vars[i]].in_frame = true;
    }
}

static void find_frame_vars(struct low *l)
{
    struct range *ranges = ARENA_NEW_ARRAY(l->arena, struct range, l->n_vars);
    uint32_t *vars = ARENA_NEW_ARRAY(l->arena, uint32_t, l->n_vars + 1), most = 1;
    uint32_t *calls;

    for (uint32_t i = 0; i < l->n_blocks; i++) {
        uint32_t n = 1;

        for (struct low_instr *in = l->blocks[i]->first; in != NULL; in = in->next)
            n++;
        most = n > most ? n : most;
    }
    calls = ARENA_NEW_ARRAY(l->arena, uint32_t, most);
    for (uint32_t i = 0; i < l->n_blocks; i++) {
        struct low_block *b = l->blocks[i];

        find_crossing(l, b, ranges, vars, calls);
        for (uint32_t j = 0; b->handler != NULL && j < b->handler->n_live; j++)
            l->vars[b->handler->live_in[j]].in_frame = true;
    }
    for (size_t i = 1; i < l->n_vars; i++)
        l->vars[i].in_frame |= l->vars[i].is_tag;
}

/* Is the value set where there is no frame yet? */
static bool set_outside(const struct low *l, uint32_t var)
{
    const struct low_var *v = &l->vars[var];

    return !v->block->framed || (v->block->allocates && v->def == NULL);
}

static void copy_var(struct low *l, struct low_block *b, struct low_instr *before, uint32_t var)
{
    bool outside = set_outside(l, var);
    struct low_instr *in;

    if (!l->vars[var].in_frame || l->vars[var].copied || (!outside && b->allocates))
        return;
    if (l->vars[var].copy == 0) {
        uint32_t copy = low_var_new(l);

        l->vars[copy].in_frame = true;
        l->vars[copy].copied = outside;
        l->vars[copy].type = l->vars[var].type;
        l->vars[copy].arity = l->vars[var].arity;
        l->vars[var].copy = copy;
    }
    in = low_instr_bare(l, LO_COPY, 1, 1, 0);
    in->args[0] = VAL_VAR(var);
    in->dst[0] = l->vars[var].copy;
    low_insert(b, before, in);
}

/* In order of variables, so that the output does not depend on the walk. */
static void make_copies(struct low *l)
{
    for (uint32_t i = 0; i < l->n_blocks; i++) {
        struct low_block *b = l->blocks[i];
        struct low_instr *first = b->first;

        if (!b->allocates && (first->op != LO_REMOVE_MESSAGE || !b->framed))
            continue;
        if (first->op == LO_REMOVE_MESSAGE)
            first = first->next;
        for (uint32_t j = 0; j < b->n_params; j++)
            copy_var(l, b, first, b->params[j]);
        for (uint32_t j = 0; j < b->n_live && b->allocates; j++)
            copy_var(l, b, first, b->live_in[j]);
    }
    for (uint32_t i = 0; i < l->n_blocks; i++) {
        struct low_block *b = l->blocks[i];

        for (struct low_instr *in = b->framed ? b->first : NULL; in != NULL; in = in->next)
            for (uint32_t j = 0; j < in->n && in->op != LO_COPY; j++)
                if (in->args[j].var != 0 && l->vars[in->args[j].var].copy != 0)
                    in->args[j].var = l->vars[in->args[j].var].copy;
    }
    for (size_t i = 1; i < l->n_vars; i++)
        if (l->vars[i].copy != 0)
            l->vars[i].in_frame = false;
}

void frame_place(struct low *l)
{
    low_liveness(l);
    spread_frames(l);
    if (split_ends(l)) {
        low_order(l);
        low_liveness(l);
        spread_frames(l);
    }
    split_raising(l);
    low_order(l);
    low_liveness(l);
    place_frames(l);
    low_liveness(l);
    find_frame_vars(l);
    make_copies(l);
    low_liveness(l);
}
