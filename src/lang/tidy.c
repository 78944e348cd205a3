/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tidy.c - making the graph of a function small
 *
 * Blocks with one way in join their predecessor, blocks that only jump are jumped over, parameters
 * that are always the same disappear, a block that only branches on its parameter is decided where
 * the jump to it stands, a comparison and the branch on its outcome become one test, and what
 * nobody uses goes. Repeated until nothing changes: each step makes the graph smaller but for the
 * copies of small branches.
 */
#include "lang/low.h"

#include "base/assert.h"

#include <string.h>

#define ROUNDS_MAX 8
#define COPIED_CASES_MAX 4              /* of a switch that is copied to the jumps to it */

/* --- uses ------------------------------------------------------------------------------------- */

static void count_uses(struct low *l)
{
    for (size_t i = 0; i < l->n_vars; i++)
        l->vars[i].uses = 0;
    for (uint32_t i = 0; i < l->n_blocks; i++) {
        for (struct low_instr *in = l->blocks[i]->first; in != NULL; in = in->next) {
            for (uint32_t j = 0; j < in->n; j++) {
                in->args[j] = low_resolve(l, in->args[j]);
                l->vars[in->args[j].var].uses++;
            }
        }
    }
}

static bool is_pure(const struct low_instr *in)
{
    switch (in->op) {
    case LO_TUPLE:
    case LO_CONS:
    case LO_FUN:
    case LO_HEAD:
    case LO_TAIL:
    case LO_ELEMENT:
    case LO_BS_TAIL:
    case LO_BS_POSITION:
    case LO_STACKTRACE:
    case LO_FBOX:
        return true;
    case LO_BIF:
        return in->bif->kind == BIF_TEST ? in->line == 0 : in->n == 0;
    default:
        return false;
    }
}

static bool unused(const struct low *l, const struct low_instr *in)
{
    for (uint32_t i = 0; i < in->n_dst; i++)
        if (l->vars[in->dst[i]].uses > 0)
            return false;
    return true;
}

/* From the end to the front, so that what only dead code uses dies in the same walk. */
static void drop_dead(struct low *l)
{
    for (uint32_t i = l->n_blocks; i-- > 0;) {
        struct low_block *b = l->blocks[i];

        for (struct low_instr *in = b->last, *prev; in != NULL; in = prev) {
            prev = in->prev;
            if (!is_pure(in) || !unused(l, in))
                continue;
            for (uint32_t j = 0; j < in->n; j++)
                l->vars[in->args[j].var].uses--;
            low_remove(b, in);
        }
    }
}

/* --- parameters ------------------------------------------------------------------------------- */

static void remove_param(struct low_block *b, uint32_t i)
{
    for (uint32_t p = 0; p < b->n_preds; p++) {
        struct low_instr *t = b->preds[p]->last;

        ASSERT(t->op == LO_JUMP);
        if (t->n != b->n_params)        /* the same jump twice cannot be: a jump goes one way */
            continue;
        memmove(t->args + i, t->args + i + 1, (t->n - i - 1u) * sizeof *t->args);
        t->n--;
    }
    memmove(b->params + i, b->params + i + 1, (b->n_params - i - 1) * sizeof *b->params);
    b->n_params--;
}

static bool same_val(struct low_val a, struct low_val b)
{
    return a.var == b.var && (a.var != 0 || a.lit == b.lit || cc_equal(a.lit, b.lit));
}

/* The value that param i has whichever way it comes; nothing when it differs. */
static struct low_val only_value(const struct low *l, const struct low_block *b, uint32_t i)
{
    struct low_val v = { 0 };

    for (uint32_t p = 0; p < b->n_preds; p++) {
        struct low_val a = low_resolve(l, b->preds[p]->last->args[i]);

        if (a.var == b->params[i])
            continue;
        if ((v.var != 0 || v.lit != NULL) && !same_val(a, v))
            return (struct low_val){ 0 };
        v = a;
    }
    return v;
}

static bool takes_message(const struct low_block *b)
{
    return b->first != NULL && b->first->op == LO_REMOVE_MESSAGE;
}

/* What a clause takes from a message stays a parameter of its body: see frame.c. */
static bool tidy_params(struct low *l, struct low_block *b)
{
    bool changed = false;

    if (b == l->entry)
        return false;
    for (uint32_t i = 0; i < b->n_params;) {
        struct low_val v = only_value(l, b, i);
        uint32_t param = b->params[i];

        if (l->vars[param].uses > 0
            && ((v.var == 0 && v.lit == NULL) || takes_message(b))) {
            i++;
            continue;
        }
        if (l->vars[param].uses > 0) {
            l->vars[param].alias = v;
            l->vars[v.var].uses += l->vars[param].uses;
        }
        remove_param(b, i);
        changed = true;
    }
    return changed;
}

/* --- joining and jumping over ----------------------------------------------------------------- */

/* Not a block that takes a message out of the queue: a frame for what follows may be made only
 * behind that, since OTP cannot collect before. */
static bool tidy_merge(struct low *l, struct low_block *b)
{
    struct low_instr *t = b->last;
    struct low_block *s = t->op == LO_JUMP ? t->to[0] : NULL;

    if (s == NULL || s == b || s->n_preds != 1 || s->handler != b->handler || s->loop
        || s == l->entry || takes_message(s))
        return false;
    for (uint32_t i = 0; i < s->n_params; i++)
        l->vars[s->params[i]].alias = t->args[i];
    low_remove(b, t);
    for (struct low_instr *in = s->first; in != NULL; in = in->next)
        for (uint32_t i = 0; i < in->n_dst; i++)
            l->vars[in->dst[i]].block = b;
    if (s->first != NULL) {
        s->first->prev = b->last;
        *(b->last != NULL ? &b->last->next : &b->first) = s->first;
        b->last = s->last;
    }
    for (uint32_t i = 0; i < b->last->n_to; i++) {
        struct low_block *to = b->last->to[i];

        for (uint32_t p = 0; p < to->n_preds; p++)
            if (to->preds[p] == s)
                to->preds[p] = b;
    }
    if (s->handler != NULL)
        for (uint32_t p = 0; p < s->handler->n_preds; p++)
            if (s->handler->preds[p] == s)
                s->handler->preds[p] = b;
    s->first = s->last = NULL;
    s->n_preds = 0;
    s->order = UINT32_MAX;
    return true;
}

/* Does nothing outside of b's last instruction use its parameters? */
static bool params_end_here(const struct low *l, const struct low_block *b)
{
    for (uint32_t i = 0; i < b->n_params; i++) {
        uint32_t here = 0;

        for (uint32_t j = 0; j < b->last->n; j++)
            here += low_resolve(l, b->last->args[j]).var == b->params[i];
        if (l->vars[b->params[i]].uses != here)
            return false;
    }
    return true;
}

static struct low_val substitute(const struct low *l, const struct low_block *b,
                                 const struct low_instr *jump, struct low_val v)
{
    v = low_resolve(l, v);
    for (uint32_t i = 0; v.var != 0 && i < b->n_params; i++)
        if (b->params[i] == v.var)
            return low_resolve(l, jump->args[i]);
    return v;
}

/* Let in, the terminator of a block that jumps to s, do what s would do: s is only a terminator.
 * in becomes a copy of it. */
static void copy_terminator(struct low *l, struct low_block *b, const struct low_block *s)
{
    struct low_instr *jump = b->last, *t = s->last;
    struct low_instr *copy = low_instr_bare(l, t->op, t->n, 0, t->n_to);
    struct low_val *args = copy->args;
    struct low_block **to = copy->to;

    *copy = *t;
    copy->args = args;
    copy->to = to;
    copy->prev = copy->next = NULL;
    for (uint32_t i = 0; i < t->n; i++)
        args[i] = substitute(l, s, jump, t->args[i]);
    memcpy(to, t->to, t->n_to * sizeof *to);
    low_remove(b, jump);
    low_append(b, copy);
    for (uint32_t i = 0; i < copy->n_to; i++)
        low_add_pred(l, to[i], b);
}

/* A block that only jumps on. */
static bool tidy_forward(struct low *l, struct low_block *b)
{
    struct low_instr *t = b->last;
    bool changed = false;

    for (uint32_t i = 0; i < t->n_to; i++) {
        struct low_block *s = t->to[i], *next;

        if (s->first == NULL || s->first != s->last || s->last->op != LO_JUMP || s->loop)
            continue;
        next = s->last->to[0];
        if (next == s || next->loop || !params_end_here(l, s))
            continue;
        if (t->op == LO_JUMP) {
            copy_terminator(l, b, s);
            return true;
        }
        if (s->n_params == 0 && s->last->n == 0) {
            t->to[i] = next;
            low_add_pred(l, next, b);
            changed = true;
        }
    }
    return changed;
}

/* --- branches --------------------------------------------------------------------------------- */

/* Where the branch goes when its subject is the literal; NULL: it cannot be said. */
static struct low_block *decide(const struct low_instr *t, const struct core_const *lit)
{
    if (t->op == LO_IF_LIT)
        return t->to[cc_equal(lit, t->args[1].lit) ? 0 : 1];
    if (t->op != LO_SWITCH)
        return NULL;
    for (uint32_t i = 0; i + 1u < t->n_to; i++)
        if (cc_equal(lit, t->cases[i].lit))
            return t->to[i];
    return t->to[t->n_to - 1];
}

static void become_jump(struct low *l, struct low_block *b, struct low_block *to)
{
    low_remove(b, b->last);
    low_jump(l, b, to, NULL, 0);
    low_add_pred(l, to, b);
}

/* A jump to a block that only branches on what the jump hands over. */
static bool tidy_thread(struct low *l, struct low_block *b)
{
    struct low_instr *t = b->last;
    struct low_block *s = t->op == LO_JUMP ? t->to[0] : NULL, *to;
    struct low_val v;

    if (s == NULL || s->first == NULL || s->first != s->last || s->n_params != 1 || s->loop
        || (s->last->op != LO_IF_LIT && s->last->op != LO_SWITCH)
        || s->last->n_to > COPIED_CASES_MAX + 1
        || low_resolve(l, s->last->args[0]).var != s->params[0] || !params_end_here(l, s))
        return false;
    v = low_resolve(l, t->args[0]);
    to = v.lit != NULL ? decide(s->last, v.lit) : NULL;
    if (to != NULL) {
        become_jump(l, b, to);
        return true;
    }
    if (s->n_preds < 2 || v.var == 0)
        return false;
    copy_terminator(l, b, s);
    return true;
}

static bool tidy_literal(struct low *l, struct low_block *b)
{
    struct low_instr *t = b->last;
    struct low_block *to = NULL;

    if (t->n > 0 && t->args[0].lit != NULL)
        to = decide(t, t->args[0].lit);
    if (to == NULL && t->n_to > 1 && (t->op == LO_IF_LIT || t->op == LO_IF || t->op == LO_SWITCH)) {
        to = t->to[0];
        for (uint32_t i = 1; i < t->n_to; i++)
            if (t->to[i] != to)
                return false;
    }
    if (to == NULL)
        return false;
    become_jump(l, b, to);
    return true;
}

/* v := a test or comparison, last in the block but for the branch on v. */
static bool tidy_compare(struct low *l, struct low_block *b)
{
    struct low_instr *t = b->last, *def, *in;
    struct low_block *yes, *no;

    if ((t->op != LO_IF_LIT && t->op != LO_SWITCH) || t->args[0].var == 0)
        return false;
    def = l->vars[t->args[0].var].def;
    if (def == NULL || def->op != LO_BIF || l->vars[t->args[0].var].uses != 1
        || l->vars[t->args[0].var].block != b)
        return false;
    yes = decide(t, l->m->true_);
    no = decide(t, l->m->false_);
    if (strcmp(def->bif->name, "not") == 0 && def->args[0].var != 0) {
        struct low_instr *inner = l->vars[def->args[0].var].def;

        if (inner == NULL || inner->op != LO_BIF || (inner->bif->result & ~(unsigned)T_BOOL) != 0)
            return false;
        t->args[0] = def->args[0];
        low_remove(b, def);
        in = low_instr_bare(l, LO_IF_LIT, 2, 0, 2);
        in->args[0] = t->args[0];
        in->args[1] = VAL_LIT(l->m->true_);
        in->to[0] = no;
        in->to[1] = yes;
        low_remove(b, t);
        low_append(b, in);
        return true;
    }
    if (def->bif->kind != BIF_TEST || def->line != 0)
        return false;
    low_remove(b, def);
    low_remove(b, t);
    in = low_instr_bare(l, LO_IF, def->n, 0, 2);
    low_copy(in->args, def->args, def->n);
    in->bif = def->bif;
    in->to[0] = yes;
    in->to[1] = no;
    low_append(b, in);
    return true;
}

/* is_tuple, its size and its first element in three blocks, failing to one place: one test. */
static bool tidy_tagged(struct low *l, struct low_block *b)
{
    struct low_instr *t = b->last, *size, *tag, *in;
    struct low_block *b1, *b2;
    uint32_t element = 0;

    if (t->op != LO_IF || strcmp(t->bif->name, "is_tuple") != 0 || t->args[0].var == 0)
        return false;
    b1 = t->to[0];
    size = b1->last;
    if (b1->first != size || b1->n_preds != 1 || size->op != LO_IF_ARITY || size->imm == 0
        || size->args[0].var != t->args[0].var || size->to[1] != t->to[1])
        return false;
    b2 = size->to[0];
    tag = b2->last;
    if (b2->n_preds != 1 || tag->op != LO_IF_LIT || tag->to[1] != t->to[1]
        || tag->args[1].lit->kind != CC_ATOM || b2->first->op != LO_ELEMENT
        || b2->first->imm != 0 || b2->first->args[0].var != t->args[0].var
        || tag->args[0].var != b2->first->dst[0])
        return false;
    for (in = b2->first; in != tag; in = in->next)
        if (in->op != LO_ELEMENT)
            return false;
    element = b2->first->dst[0];
    in = low_instr_bare(l, LO_IF_TAGGED, 2, 0, 2);
    in->args[0] = t->args[0];
    in->args[1] = tag->args[1];
    in->imm = size->imm;
    in->to[0] = b2;
    in->to[1] = t->to[1];
    low_remove(b, t);
    low_append(b, in);
    if (l->vars[element].uses == 1)
        low_remove(b2, b2->first);
    become_jump(l, b2, tag->to[0]);
    return true;
}

static bool tidy_block(struct low *l, struct low_block *b)
{
    bool changed = false;

    while (tidy_merge(l, b))
        changed = true;
    changed |= tidy_literal(l, b);
    changed |= tidy_compare(l, b);
    changed |= tidy_thread(l, b);
    changed |= tidy_forward(l, b);
    return changed;
}

void tidy(struct low *l)
{
    bool changed = true;

    for (int round = 0; changed && round < ROUNDS_MAX; round++) {
        changed = false;
        low_order(l);
        count_uses(l);
        drop_dead(l);
        for (uint32_t i = 0; i < l->n_blocks; i++)
            changed |= tidy_params(l, l->blocks[i]);
        count_uses(l);
        for (uint32_t i = 0; i < l->n_blocks; i++)
            if (l->blocks[i]->order != UINT32_MAX && l->blocks[i]->last != NULL)
                changed |= tidy_block(l, l->blocks[i]);
    }
    low_order(l);
    count_uses(l);
    for (uint32_t i = 0; i < l->n_blocks; i++)
        tidy_tagged(l, l->blocks[i]);
    low_order(l);
    count_uses(l);
    drop_dead(l);
}
