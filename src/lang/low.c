/* SPDX-License-Identifier: Apache-2.0 */
/*
 * low.c - making, ordering and printing the emitter's blocks
 */
#include "lang/low.h"

#include "base/assert.h"

#include <string.h>

const struct bif_row *low_bif(const char *name, unsigned arity)
{
#define B(name, arity, kind, result) { name, arity, BIF_##kind, result },
    static const struct bif_row rows[] = {
#include "lang/bifs.tab"
    };
#undef B

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (rows[i].arity == arity && rows[i].name[0] == name[0]
            && strcmp(rows[i].name, name) == 0)
            return &rows[i];
    return NULL;
}

struct low_block *low_block_new(struct low *l, struct low_block *handler)
{
    struct low_block *b = ARENA_NEW(l->arena, struct low_block);

    b->handler = handler;
    b->order = UINT32_MAX;
    return b;
}

uint32_t low_var_new(struct low *l)
{
    struct low_var *v;

    l->vars = arena_grow(l->arena, l->vars, l->n_vars, &l->cap_vars, sizeof *l->vars);
    v = &l->vars[l->n_vars];
    *v = (struct low_var){ .type = T_ANY, .arity = -1, .x = -1, .y = -1, .hint = -1 };
    return (uint32_t)l->n_vars++;
}

struct low_instr *low_instr_bare(struct low *l, enum low_op op, size_t n, size_t n_dst,
                                 size_t n_to)
{
    struct low_instr *in = ARENA_NEW(l->arena, struct low_instr);

    in->op = op;
    in->n = (uint16_t)n;
    in->n_dst = (uint16_t)n_dst;
    in->n_to = (uint16_t)n_to;
    if (n > 0)
        in->args = ARENA_NEW_ARRAY(l->arena, struct low_val, n);
    if (n_dst > 0)
        in->dst = ARENA_NEW_ARRAY(l->arena, uint32_t, n_dst);
    if (n_to > 0)
        in->to = ARENA_NEW_ARRAY(l->arena, struct low_block *, n_to);
    return in;
}

void low_insert(struct low_block *b, struct low_instr *before, struct low_instr *in)
{
    in->next = before;
    in->prev = before != NULL ? before->prev : b->last;
    *(in->prev != NULL ? &in->prev->next : &b->first) = in;
    *(before != NULL ? &before->prev : &b->last) = in;
}

void low_append(struct low_block *b, struct low_instr *in)
{
    low_insert(b, NULL, in);
}

void low_remove(struct low_block *b, struct low_instr *in)
{
    *(in->prev != NULL ? &in->prev->next : &b->first) = in->next;
    *(in->next != NULL ? &in->next->prev : &b->last) = in->prev;
    in->prev = in->next = NULL;
}

struct low_instr *low_instr_new(struct low *l, struct low_block *b, enum low_op op, size_t n,
                                size_t n_dst, size_t n_to)
{
    struct low_instr *in = low_instr_bare(l, op, n, n_dst, n_to);

    ASSERT(b->last == NULL || !LOW_IS_TERM(b->last->op));
    low_append(b, in);
    for (size_t i = 0; i < n_dst; i++) {
        in->dst[i] = low_var_new(l);
        l->vars[in->dst[i]].def = in;
        l->vars[in->dst[i]].block = b;
    }
    return in;
}

struct low_instr *low_jump(struct low *l, struct low_block *b, struct low_block *to,
                           const struct low_val *args, size_t n)
{
    struct low_instr *in = low_instr_new(l, b, LO_JUMP, n, 0, 1);

    in->to[0] = to;
    for (size_t i = 0; i < n; i++)
        in->args[i] = args[i];
    return in;
}

struct low_val low_resolve(const struct low *l, struct low_val v)
{
    while (v.var != 0 && (l->vars[v.var].alias.var != 0 || l->vars[v.var].alias.lit != NULL))
        v = l->vars[v.var].alias;
    return v;
}

/* --- order ------------------------------------------------------------------------------------ */

struct visit { struct low_block *b; uint32_t next; };

static bool goes_back(const struct low_instr *t)
{
    return t->op == LO_LOOP_REC_END || t->op == LO_WAIT;
}

/* The way back of a wait_timeout is its first. */
static uint32_t ways_n(const struct low_block *b)
{
    return b->last->n_to + (b->handler != NULL);
}

static struct low_block *way(const struct low_block *b, uint32_t i)
{
    const struct low_instr *t = b->last;

    if (goes_back(t) && i < t->n_to)
        return NULL;
    if (t->op == LO_WAIT_TIMEOUT && i == 0)
        return NULL;
    if (i == t->n_to)
        return b->handler;
    return t->to[i];
}

void low_add_pred(struct low *l, struct low_block *to, struct low_block *from)
{
    size_t cap = to->cap_preds;

    to->preds = arena_grow(l->arena, to->preds, to->n_preds, &cap, sizeof *to->preds);
    to->cap_preds = (uint32_t)cap;
    to->preds[to->n_preds++] = from;
}

static void fill_preds(struct low *l)
{
    for (uint32_t i = 0; i < l->n_blocks; i++) {
        l->blocks[i]->n_preds = 0;
        l->blocks[i]->loop = false;
    }
    for (uint32_t i = 0; i < l->n_blocks; i++) {
        struct low_block *b = l->blocks[i];

        for (uint32_t j = 0; j < b->last->n_to; j++) {
            low_add_pred(l, b->last->to[j], b);
            b->last->to[j]->loop |= goes_back(b->last)
                                    || (b->last->op == LO_WAIT_TIMEOUT && j == 0);
        }
        if (b->handler != NULL)
            low_add_pred(l, b->handler, b);
    }
}

/* Depth first, the order of finishing turned around. Ways are looked at from the last to the
 * first, so the first comes directly behind its block. */
void low_order(struct low *l)
{
    size_t cap = 64, depth = 0, n = 0, cap_blocks = 0;
    struct visit *stack = ARENA_NEW_ARRAY(l->arena, struct visit, cap);
    struct low_block **out = NULL;

    for (uint32_t i = 0; i < l->n_blocks; i++)
        l->blocks[i]->order = UINT32_MAX;
    l->entry->order = 0;
    stack[depth++] = (struct visit){ l->entry, ways_n(l->entry) };
    while (depth > 0) {
        struct visit *v = &stack[depth - 1];

        if (v->next > 0) {
            struct low_block *to = way(v->b, --v->next);

            if (to == NULL || to->order != UINT32_MAX)
                continue;
            to->order = 0;
            stack = arena_grow(l->arena, stack, depth, &cap, sizeof *stack);
            stack[depth++] = (struct visit){ to, ways_n(to) };
        } else {
            out = arena_grow(l->arena, out, n, &cap_blocks, sizeof *out);
            out[n++] = v->b;
            depth--;
        }
    }
    for (size_t i = 0; i < n / 2; i++) {
        struct low_block *b = out[i];

        out[i] = out[n - 1 - i];
        out[n - 1 - i] = b;
    }
    l->blocks = out;
    l->n_blocks = (uint32_t)n;
    for (uint32_t i = 0; i < n; i++)
        out[i]->order = i;
    fill_preds(l);
}

/* --- text ------------------------------------------------------------------------------------- */

static const char *const op_names[] = {
    [LO_TUPLE] = "tuple", [LO_CONS] = "cons", [LO_FUN] = "fun", [LO_MAP] = "map",
    [LO_BITS] = "bits", [LO_HEAD] = "hd", [LO_TAIL] = "tl", [LO_ELEMENT] = "element",
    [LO_BIF] = "bif", [LO_CALL] = "call", [LO_CALL_EXT] = "call_ext", [LO_CALL_FUN] = "call_fun",
    [LO_APPLY] = "apply", [LO_SEND] = "send", [LO_TRY] = "try", [LO_TRY_END] = "try_end",
    [LO_TRY_CASE] = "try_case", [LO_STACKTRACE] = "stacktrace", [LO_COPY] = "copy",
    [LO_REMOVE_MESSAGE] = "remove_message", [LO_TIMEOUT] = "timeout",
    [LO_MARK_RESERVE] = "mark_reserve", [LO_MARK_BIND] = "mark_bind", [LO_MARK_USE] = "mark_use",
    [LO_MARK_CLEAR] = "mark_clear",
    [LO_BS_TAIL] = "bs_tail", [LO_BS_POSITION] = "bs_position", [LO_BS_SEEK] = "bs_seek",
    [LO_FMOVE] = "fmove", [LO_FCONV] = "fconv", [LO_FBIN] = "fbin", [LO_FBOX] = "fbox",
    [LO_RETURN] = "return", [LO_JUMP] = "jump", [LO_IF] = "if", [LO_IF_LIT] = "if_lit",
    [LO_IF_ARITY] = "if_arity", [LO_IF_TAGGED] = "if_tagged",
    [LO_SWITCH] = "switch", [LO_SWITCH_ARITY] = "switch_arity", [LO_BIF_TRY] = "bif_try",
    [LO_MAP_GET] = "map_get", [LO_BS_START] = "bs_start", [LO_BS_INT] = "bs_int",
    [LO_BS_FLOAT] = "bs_float", [LO_BS_BINARY] = "bs_binary", [LO_BS_UTF] = "bs_utf",
    [LO_BS_SKIP] = "bs_skip", [LO_BS_SKIP_UTF] = "bs_skip_utf", [LO_BS_AT_END] = "bs_at_end",
    [LO_BS_UNIT] = "bs_unit", [LO_BS_STRING] = "bs_string",
    [LO_LOOP_REC] = "loop_rec", [LO_LOOP_REC_END] = "loop_rec_end", [LO_WAIT] = "wait",
    [LO_WAIT_TIMEOUT] = "wait_timeout", [LO_BADMATCH] = "badmatch", [LO_CASE_END] = "case_end",
    [LO_IF_END] = "if_end", [LO_TRY_CASE_END] = "try_case_end", [LO_FUNC_INFO] = "func_info",
    [LO_RERAISE] = "reraise", [LO_TAIL_CALL] = "tail_call", [LO_TAIL_EXT] = "tail_ext",
    [LO_TAIL_FUN] = "tail_fun", [LO_TAIL_APPLY] = "tail_apply",
    [LO_UNREACHABLE] = "unreachable",
};

static void dump_var(struct buf *out, const struct low *l, uint32_t var)
{
    const struct low_var *v = &l->vars[var];

    buf_printf(out, "v%u", var);
    if (v->y >= 0)
        buf_printf(out, ":y%d", v->y);
    else if (v->x >= 0)
        buf_printf(out, ":x%d", v->x);
}

static void dump_instr(struct buf *out, const struct low *l, const struct low_instr *in)
{
    buf_str(out, "    ");
    for (uint32_t i = 0; i < in->n_dst; i++) {
        dump_var(out, l, in->dst[i]);
        buf_str(out, i + 1 < in->n_dst ? ", " : " = ");
    }
    buf_str(out, op_names[in->op]);
    if (in->op == LO_BIF || in->op == LO_IF || in->op == LO_BIF_TRY)
        buf_printf(out, " %s", in->bif->name);
    if (in->op == LO_CALL_EXT || in->op == LO_TAIL_EXT)
        buf_printf(out, " %s:%s", in->module->name, in->function->name);
    if (in->op == LO_CALL || in->op == LO_TAIL_CALL || in->op == LO_FUN)
        buf_printf(out, " %s", in->fun->name->name);
    if (in->imm != 0)
        buf_printf(out, " #%u", in->imm);
    for (uint32_t i = 0; i < in->n; i++) {
        buf_str(out, i == 0 ? " " : ", ");
        if (in->args[i].var != 0)
            dump_var(out, l, in->args[i].var);
        else if (in->args[i].lit != NULL)
            core_dump_const(out, in->args[i].lit);
        else
            buf_str(out, "-");
    }
    for (uint32_t i = 0; i < in->n_to; i++) {
        buf_str(out, i == 0 ? " -> " : ", ");
        if (in->op == LO_SWITCH && i + 1u < in->n_to) {
            core_dump_const(out, in->cases[i].lit);
            buf_str(out, " ");
        } else if (in->op == LO_SWITCH_ARITY && i + 1u < in->n_to) {
            buf_printf(out, "%u ", in->cases[i].arity);
        }
        buf_printf(out, "B%u", in->to[i]->order);
    }
    buf_u8(out, '\n');
}

void low_dump(struct buf *out, const struct low *l)
{
    buf_printf(out, "%s/%u\n", l->fn->name->name, l->fn->arity);
    for (uint32_t i = 0; i < l->n_blocks; i++) {
        const struct low_block *b = l->blocks[i];

        buf_printf(out, "  B%u(", i);
        for (uint32_t j = 0; j < b->n_params; j++) {
            buf_str(out, j == 0 ? "" : ", ");
            dump_var(out, l, b->params[j]);
        }
        buf_printf(out, ")%s%s%s\n", b->framed ? " framed" : "", b->allocates ? " allocates" : "",
                   b->handler != NULL ? " protected" : "");
        for (const struct low_instr *in = b->first; in != NULL; in = in->next)
            dump_instr(out, l, in);
    }
}
