/* SPDX-License-Identifier: Apache-2.0 */
/*
 * floats.c - chains of float arithmetic without a box between
 *
 * Between two calls, an operation whose result is a float for sure and that takes from, or gives
 * to, another such one works on float registers. Its result becomes a term only if something else
 * needs it. A single operation is left alone: unpacking, working and packing costs more than it
 * saves.
 */
#include "lang/low.h"

#include <string.h>

struct floats {
    struct low *l;
    struct low_block *b;
    uint32_t *unboxed;                  /* [var]: the float variable that has its value, or 0 */
    uint32_t *segment;                  /* [var]: of the last of the marks above, + 1 */
    uint32_t now;                       /* + 1 */
};

static bool is_candidate(const struct low_instr *in)
{
    return in->op == LO_BIF && in->n == 2 && (in->imm & LOW_FLOAT_RESULT) != 0
           && strchr("+-*/", in->bif->name[0]) != NULL && in->bif->name[1] == '\0';
}

/* Candidates of the stretch from `from` that are linked to another one are marked in imm. */
static void mark_chains(struct floats *f, struct low_instr *from)
{
    for (struct low_instr *in = from; in != NULL && !low_clobbers(in); in = in->next) {
        if (!is_candidate(in))
            continue;
        for (uint32_t i = 0; i < 2; i++) {
            struct low_instr *def = in->args[i].var != 0 ? f->l->vars[in->args[i].var].def : NULL;

            if (def != NULL && is_candidate(def)
                && f->segment[in->args[i].var] == f->now) {
                def->imm |= LOW_FLOAT_CHAIN;
                in->imm |= LOW_FLOAT_CHAIN;
            }
        }
        f->segment[in->dst[0]] = f->now;
    }
}

static uint32_t float_var(struct floats *f, struct low_instr *def)
{
    uint32_t v = low_var_new(f->l);

    f->l->vars[v].is_float = true;
    f->l->vars[v].def = def;
    f->l->vars[v].block = f->b;
    def->dst[0] = v;
    return v;
}

/* The operand as a float variable, in front of `in`. */
static struct low_val unbox(struct floats *f, struct low_instr *in, struct low_val v, bool known)
{
    struct low_instr *move;

    if (v.var != 0 && f->unboxed[v.var] != 0 && f->segment[v.var] == f->now)
        return VAL_VAR(f->unboxed[v.var]);
    if (v.lit != NULL && v.lit->kind == CC_INT) {
        v = VAL_LIT(cc_float(f->l->m, (double)v.lit->i));
        known = true;
    }
    known |= v.lit != NULL && v.lit->kind == CC_FLOAT;
    move = low_instr_bare(f->l, known ? LO_FMOVE : LO_FCONV, 1, 1, 0);
    move->args[0] = v;
    move->line = in->line;
    move->file = in->file;
    low_insert(f->b, in, move);
    float_var(f, move);
    if (v.var != 0) {
        f->unboxed[v.var] = move->dst[0];
        f->segment[v.var] = f->now;
    }
    return VAL_VAR(move->dst[0]);
}

static void convert(struct floats *f, struct low_instr *in)
{
    struct low_instr *box = low_instr_bare(f->l, LO_FBOX, 1, 1, 0);
    uint32_t result = in->dst[0];

    for (uint32_t i = 0; i < 2; i++)
        in->args[i] = unbox(f, in, in->args[i], (in->imm & (LOW_FLOAT_ARG << i)) != 0);
    in->op = LO_FBIN;
    float_var(f, in);
    f->unboxed[result] = in->dst[0];
    f->segment[result] = f->now;
    box->args[0] = VAL_VAR(in->dst[0]);
    box->dst[0] = result;
    f->l->vars[result].def = box;
    low_insert(f->b, in->next, box);
}

/* ints of more than 53 bits are not exactly a float: converting them here could round. */
static bool exact_args(const struct low_instr *in)
{
    for (uint32_t i = 0; i < 2; i++)
        if (in->args[i].lit != NULL
            && !(in->args[i].lit->kind == CC_FLOAT
                 || (in->args[i].lit->kind == CC_INT && in->args[i].lit->i < 1ll << 53
                     && in->args[i].lit->i > -(1ll << 53))))
            return false;
    return true;
}

/* Float registers: the first free one, in the order of the block. */
static void number_registers(struct floats *f)
{
    uint32_t last_use[64] = { 0 }, at = 1, *ends = NULL;

    ends = ARENA_NEW_ARRAY(f->l->arena, uint32_t, f->l->n_vars);
    for (struct low_instr *in = f->b->first; in != NULL; in = in->next, at++)
        for (uint32_t i = 0; i < in->n; i++)
            ends[in->args[i].var] = at;
    at = 1;
    for (struct low_instr *in = f->b->first; in != NULL; in = in->next, at++) {
        uint32_t r = 0;

        if (in->n_dst != 1 || !f->l->vars[in->dst[0]].is_float)
            continue;
        while (r < ARRAY_LEN(last_use) && last_use[r] > at)
            r++;
        if (r == ARRAY_LEN(last_use))
            f->l->too_many = true;
        else
            last_use[r] = ends[in->dst[0]];
        f->l->vars[in->dst[0]].x = (int16_t)r;
    }
}

static void visit_block(struct floats *f)
{
    bool any = false;

    f->now++;
    mark_chains(f, f->b->first);
    for (struct low_instr *in = f->b->first, *next; in != NULL; in = next) {
        next = in->next;
        if (low_clobbers(in)) {
            f->now++;
            mark_chains(f, next);
        } else if (is_candidate(in) && (in->imm & LOW_FLOAT_CHAIN) && exact_args(in)) {
            convert(f, in);
            any = true;
        }
    }
    if (any)
        f->l->has_floats = true;
}

void floats(struct low *l)
{
    size_t most = l->n_vars;
    struct floats f = { .l = l };

    /* Each instruction makes at most four new variables, which are never looked up here. */
    f.unboxed = ARENA_NEW_ARRAY(l->arena, uint32_t, most);
    f.segment = ARENA_NEW_ARRAY(l->arena, uint32_t, most);
    for (uint32_t i = 0; i < l->n_blocks; i++) {
        f.b = l->blocks[i];
        visit_block(&f);
    }
}

void floats_registers(struct low *l)
{
    struct floats f = { .l = l };

    for (uint32_t i = 0; l->has_floats && i < l->n_blocks; i++) {
        f.b = l->blocks[i];
        number_registers(&f);
    }
}
