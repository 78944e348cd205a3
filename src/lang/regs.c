/* SPDX-License-Identifier: Apache-2.0 */
/*
 * regs.c - registers for variables
 *
 * y registers: variables are alive in one stretch of the order of instructions, first come first
 * served (M. Poletto, V. Sarkar, "Linear scan register allocation", 1999). The tags of tries lie
 * above the others, inner ones below outer ones: OTP's validator asks for that.
 *
 * x registers: blocks are walked in order, so a variable is met after all that its definition
 * stands behind; it takes a register that nothing alive there has. For code in static single
 * assignment form that always works (S. Hack, G. Goos, 2006). Which one it would like is found
 * first, from the end to the front: the place in a call that it is made for.
 */
#include "lang/low.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

/* OTP's loader takes 1024 of each; some are for what code.c needs between. */
#define X_MAX 1000
#define Y_MAX 1000

static struct low_block *next_of(const struct low_block *b, uint32_t i)
{
    return i < b->last->n_to ? b->last->to[i] : b->handler;
}

static uint32_t n_next(const struct low_block *b)
{
    return b->last->n_to + (b->handler != NULL);
}

/* --- y registers ------------------------------------------------------------------------------ */

static void reach(struct low *l, uint32_t var, uint32_t at)
{
    struct low_var *v = &l->vars[var];

    if (v->first == 0 || at < v->first)
        v->first = at;
    if (at > v->last)
        v->last = at;
}

static void number_instrs(struct low *l)
{
    uint32_t at = 1;

    for (uint32_t i = 0; i < l->n_blocks; i++) {
        struct low_block *b = l->blocks[i];

        for (uint32_t j = 0; j < b->n_live; j++)
            reach(l, b->live_in[j], at);
        for (uint32_t j = 0; j < b->n_params; j++)
            reach(l, b->params[j], at);
        at++;
        for (struct low_instr *in = b->first; in != NULL; in = in->next, at++) {
            for (uint32_t j = 0; j < in->n; j++)
                if (in->args[j].var != 0)
                    reach(l, in->args[j].var, at);
            for (uint32_t j = 0; j < in->n_dst; j++)
                reach(l, in->dst[j], at);
        }
        for (uint32_t j = 0; j < n_next(b); j++)
            for (uint32_t k = 0; k < next_of(b, j)->n_live; k++)
                reach(l, next_of(b, j)->live_in[k], at);
        at++;
    }
}

/* Frames that meet have one size. */
static struct low_block *region_of(struct low *l, struct low_block *b)
{
    while (b->region != b->order)
        b = l->blocks[b->region];
    return b;
}

static void find_regions(struct low *l)
{
    for (uint32_t i = 0; i < l->n_blocks; i++)
        l->blocks[i]->region = i;
    for (uint32_t i = 0; i < l->n_blocks; i++) {
        struct low_block *b = l->blocks[i];

        for (uint32_t j = 0; b->framed && j < n_next(b); j++) {
            struct low_block *to = region_of(l, next_of(b, j)), *from = region_of(l, b);

            if (!next_of(b, j)->framed)
                continue;
            if (to->order < from->order)
                from->region = to->order;
            else
                to->region = from->order;
        }
    }
}

struct stretch { uint32_t first, last, var; };

static int by_first(const void *a, const void *b)
{
    const struct stretch *x = a, *y = b;

    if (x->first != y->first)
        return x->first < y->first ? -1 : 1;
    return x->var < y->var ? -1 : 1;
}

static void assign_slots(struct low *l)
{
    struct stretch *s = ARENA_NEW_ARRAY(l->arena, struct stretch, l->n_vars);
    uint32_t *until = ARENA_NEW_ARRAY(l->arena, uint32_t, l->n_vars + 1);  /* [slot]: last use */
    uint32_t n = 0;

    for (uint32_t i = 1; i < l->n_vars; i++)
        if (l->vars[i].in_frame && !l->vars[i].is_tag && l->vars[i].first != 0)
            s[n++] = (struct stretch){ l->vars[i].first, l->vars[i].last, i };
    qsort(s, n, sizeof *s, by_first);
    for (uint32_t i = 0; i < n; i++) {
        int16_t slot = 0;

        while (until[slot] >= s[i].first && slot < INT16_MAX - 300)
            slot++;
        l->too_many |= slot >= INT16_MAX - 300;
        until[slot] = s[i].last;
        l->vars[s[i].var].y = slot;
    }
}

static void frame_reach(struct low_block *region, const struct low_var *v)
{
    if (v->y >= 0 && (uint32_t)v->y + 1 > region->slots)
        region->slots = (uint32_t)v->y + 1;
    if (v->is_tag && v->tag_depth + 1u > region->stamp)
        region->stamp = v->tag_depth + 1u;
}

/* Sizes of frames; then the slots of tags, counted from the end. */
static void assign_tags(struct low *l)
{
    for (uint32_t i = 0; i < l->n_blocks; i++)
        l->blocks[i]->slots = l->blocks[i]->stamp = 0;
    for (uint32_t i = 0; i < l->n_blocks; i++) {
        struct low_block *b = l->blocks[i], *region = region_of(l, b);

        for (uint32_t j = 0; j < b->n_live; j++)
            frame_reach(region, &l->vars[b->live_in[j]]);
        for (uint32_t j = 0; j < b->n_params; j++)
            frame_reach(region, &l->vars[b->params[j]]);
        for (struct low_instr *in = b->first; in != NULL; in = in->next)
            for (uint32_t j = 0; j < in->n_dst; j++)
                frame_reach(region, &l->vars[in->dst[j]]);
    }
    /* A region is its first block: that must be the last whose size is written. */
    for (uint32_t i = l->n_blocks; i-- > 0;) {
        struct low_block *b = l->blocks[i], *region = region_of(l, b);

        b->slots = region->slots + region->stamp;
        l->too_many |= b->slots > Y_MAX;
        for (struct low_instr *in = b->first; in != NULL; in = in->next)
            if (in->op == LO_TRY)
                l->vars[in->dst[0]].y =
                    (int16_t)(b->slots - 1 - l->vars[in->dst[0]].tag_depth);
    }
}

/* --- wishes ----------------------------------------------------------------------------------- */

static void wish(struct low *l, struct low_val v, int x)
{
    if (v.var != 0)
        l->vars[v.var].hint = (int16_t)x;
}

static void wish_args(struct low *l, const struct low_instr *in)
{
    for (uint32_t i = 0; i < in->n && i < X_MAX; i++)
        wish(l, in->args[i], (int)i);
}

static void find_wishes(struct low *l)
{
    for (uint32_t b = l->n_blocks; b-- > 0;) {
        for (struct low_instr *in = l->blocks[b]->last; in != NULL; in = in->prev) {
            if (LOW_IS_CALL(in->op) || (in->op >= LO_TAIL_CALL && in->op <= LO_TAIL_APPLY)
                || in->op == LO_RETURN || in->op == LO_STACKTRACE || in->op == LO_FUNC_INFO) {
                wish_args(l, in);
            } else if (in->op == LO_JUMP) {
                for (uint32_t i = 0; i < in->n; i++)
                    if (in->args[i].var != 0 && l->vars[in->to[0]->params[i]].hint >= 0)
                        wish(l, in->args[i], l->vars[in->to[0]->params[i]].hint);
            }
        }
    }
}

/* --- x registers ------------------------------------------------------------------------------ */

struct colour {
    struct low *l;
    uint32_t *last;                     /* [var]: number of its last use in the block */
    uint32_t *stamp;                    /* [var]: block of it, + 1 */
    uint32_t *out;                      /* [var]: block + 1 where it is alive at the end */
    uint32_t held[X_MAX];               /* by variable; 0: free */
    uint32_t top;                       /* from here on all are free */
    uint32_t block;                     /* + 1 */
    uint32_t at;                        /* number of the instruction in it */
};

static void hold(struct colour *c, uint32_t var, uint32_t x)
{
    c->l->vars[var].x = (int16_t)x;
    c->held[x] = var;
    if (x >= c->top)
        c->top = x + 1;
}

static void release(struct colour *c, uint32_t var)
{
    int16_t x = c->l->vars[var].x;

    if (x < 0 || c->l->vars[var].is_float || c->held[x] != var)
        return;
    c->held[x] = 0;
    while (c->top > 0 && c->held[c->top - 1] == 0)
        c->top--;
}

static void release_all(struct colour *c)
{
    memset(c->held, 0, c->top * sizeof *c->held);
    c->top = 0;
}

/* Registers that what is set while var is alive wants, up to the next call. */
static uint64_t wanted_by_others(const struct colour *c, const struct low_instr *in, uint32_t var)
{
    uint64_t mask = 0;
    uint32_t steps = 0, end = c->out[var] == c->block ? UINT32_MAX : c->last[var];

    for (in = in != NULL ? in->next : NULL; in != NULL && steps < 32; in = in->next, steps++) {
        if (low_clobbers(in) || c->at + steps + 1 >= end)
            break;
        for (uint32_t i = 0; i < in->n_dst; i++) {
            int16_t x = c->l->vars[in->dst[i]].hint;

            if (x >= 0 && x < 64)
                mask |= 1ull << x;
        }
    }
    return mask;
}

static void choose(struct colour *c, const struct low_instr *in, uint32_t var)
{
    int16_t want = c->l->vars[var].hint;
    uint64_t avoid;
    uint32_t x = 0;

    if (want >= 0 && c->held[want] == 0) {
        hold(c, var, (uint32_t)want);
        return;
    }
    avoid = wanted_by_others(c, in, var);
    while (x < X_MAX && (c->held[x] != 0 || (x < 64 && (avoid >> x & 1))))
        x++;
    if (x == X_MAX) {
        c->l->too_many = true;
        x = X_MAX - 1;
    }
    hold(c, var, x);
}

/* A parameter likes to be where its values are. */
static void choose_param(struct colour *c, const struct low_block *b, uint32_t i)
{
    for (uint32_t p = 0; p < b->n_preds; p++) {
        const struct low_instr *t = b->preds[p]->last;

        if (t->op == LO_JUMP && b->preds[p]->order < b->order && t->args[i].var != 0) {
            int16_t x = c->l->vars[t->args[i].var].x;

            if (x >= 0 && !c->l->vars[t->args[i].var].in_frame && c->held[x] == 0) {
                hold(c, b->params[i], (uint32_t)x);
                return;
            }
        }
    }
    choose(c, NULL, b->params[i]);
}

static void find_ends(struct colour *c, const struct low_block *b)
{
    uint32_t at = 1;

    for (const struct low_instr *in = b->first; in != NULL; in = in->next, at++) {
        for (uint32_t i = 0; i < in->n; i++) {
            if (in->args[i].var != 0) {
                c->last[in->args[i].var] = at;
                c->stamp[in->args[i].var] = c->block;
            }
        }
    }
    for (uint32_t i = 0; i < n_next(b); i++)
        for (uint32_t j = 0; j < next_of(b, i)->n_live; j++)
            c->out[next_of(b, i)->live_in[j]] = c->block;
}

static bool ends_at(const struct colour *c, uint32_t var, uint32_t at)
{
    return c->out[var] != c->block && (c->stamp[var] != c->block || c->last[var] <= at);
}

static bool is_live_in(const struct low_block *b, uint32_t var)
{
    for (uint32_t i = 0; i < b->n_live; i++)
        if (b->live_in[i] == var)
            return true;
    return false;
}

/* A context goes where the binary was if only a match that does not begin wants that again: loops
 * take it as the parameter that the binary is. */
static bool choose_context(struct colour *c, const struct low_instr *in)
{
    uint32_t from = in->args[0].var;

    if (from == 0 || c->l->vars[from].in_frame || c->l->vars[in->dst[0]].in_frame
        || is_live_in(in->to[0], from))
        return false;
    hold(c, in->dst[0], (uint32_t)c->l->vars[from].x);
    return true;
}

static void colour_instr(struct colour *c, struct low_instr *in, uint32_t at)
{
    bool apart = in->op == LO_MAP_GET;

    c->at = at;
    in->live = (uint16_t)c->top;
    for (uint32_t i = 0; i < in->n && !apart; i++)
        if (in->args[i].var != 0 && ends_at(c, in->args[i].var, at))
            release(c, in->args[i].var);
    if (low_clobbers(in))
        release_all(c);
    for (uint32_t i = 0; i < in->n_dst; i++) {
        if (c->l->vars[in->dst[i]].in_frame || c->l->vars[in->dst[i]].is_float)
            continue;
        if (low_clobbers(in))
            hold(c, in->dst[i], i);
        else if (in->op != LO_BS_START || !choose_context(c, in))
            choose(c, in, in->dst[i]);
    }
    for (uint32_t i = 0; i < in->n && apart; i++)
        if (in->args[i].var != 0 && ends_at(c, in->args[i].var, at))
            release(c, in->args[i].var);
    for (uint32_t i = 0; i < in->n_dst; i++)
        if (ends_at(c, in->dst[i], at))
            release(c, in->dst[i]);
}

static void colour_block(struct colour *c, struct low_block *b)
{
    uint32_t at = 1;

    c->block = b->order + 1;
    release_all(c);
    find_ends(c, b);
    for (uint32_t i = 0; i < b->n_live; i++)
        if (!c->l->vars[b->live_in[i]].in_frame)
            hold(c, b->live_in[i], (uint32_t)c->l->vars[b->live_in[i]].x);
    for (uint32_t i = 0; i < b->n_params; i++) {
        if (b == c->l->entry)
            hold(c, b->params[i], i);
        else if (!c->l->vars[b->params[i]].in_frame)
            choose_param(c, b, i);
    }
    for (uint32_t i = 0; i < b->n_params; i++)
        if (ends_at(c, b->params[i], 0))
            release(c, b->params[i]);
    for (struct low_instr *in = b->first; in != NULL; in = in->next)
        colour_instr(c, in, at++);
}

void regs_assign(struct low *l)
{
    struct colour *c = ARENA_NEW(l->arena, struct colour);

    number_instrs(l);
    find_regions(l);
    assign_slots(l);
    assign_tags(l);
    find_wishes(l);
    floats_registers(l);
    c->l = l;
    c->last = ARENA_NEW_ARRAY(l->arena, uint32_t, l->n_vars);
    c->stamp = ARENA_NEW_ARRAY(l->arena, uint32_t, l->n_vars);
    c->out = ARENA_NEW_ARRAY(l->arena, uint32_t, l->n_vars);
    for (uint32_t i = 0; i < l->n_blocks; i++)
        colour_block(c, l->blocks[i]);
}
