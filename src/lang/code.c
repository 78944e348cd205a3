/* SPDX-License-Identifier: Apache-2.0 */
/*
 * code.c - instructions of the file
 *
 * One walk over the blocks in order. Room on the heap is asked for once for all that is built
 * between two places where a collection may happen. Arguments of calls, values of parameters and
 * copies to the frame are moved all at once (moves.c would be too grand a name: see move_all). A
 * register below the number given as live must hold a term, so holes are filled.
 */
#include "lang/emit_priv.h"

#include "base/assert.h"

#include <string.h>

#define MOVES_MAX 1100
#define X_REGISTERS 1024

struct move { struct beam_arg from, to; bool done; };

struct code {
    struct unit *u;
    struct low *l;
    struct beam_writer *w;
    const struct low_block *b;          /* at work */
    const struct low_block *next;       /* comes behind it, or NULL */
    struct x_set x_set;
    struct x_set x_set_failed;          /* the same on the second way out, where it sets nothing */
    uint32_t line, file;                /* of the last line instruction */
    uint32_t room;                      /* words, for the instructions up to the next collection */
    struct move moves[MOVES_MAX];
    size_t n_moves;
    struct beam_arg *list;
    size_t n_list, cap_list;
};

static void emit(struct code *c, enum beam_op op, size_t n, const struct beam_arg *args)
{
    ASSERT(beam_op_info(op)->arity == n);
    beam_emit_args(c->w, op, args);
}

#define EMIT(c, op, ...) emit((c), BOP_##op, \
    sizeof((struct beam_arg[]){ __VA_ARGS__ }) / sizeof(struct beam_arg), \
    (struct beam_arg[]){ __VA_ARGS__ })
#define EMIT0(c, op) emit((c), BOP_##op, 0, NULL)

/* --- operands --------------------------------------------------------------------------------- */

static struct beam_arg reg(const struct code *c, uint32_t var)
{
    const struct low_var *v = &c->l->vars[var];

    ASSERT(v->y >= 0 || v->x >= 0);
    if (v->is_float)
        return (struct beam_arg){ .kind = BEAM_FR, .u = (uint32_t)v->x };
    return v->y >= 0 ? BARG_Y((uint32_t)v->y) : BARG_X((uint32_t)v->x);
}

static struct beam_arg src(struct code *c, struct low_val v)
{
    return v.var != 0 ? reg(c, v.var) : unit_operand(c->u, v.lit);
}

static struct beam_arg dst(struct code *c, const struct low_instr *in, uint32_t i)
{
    return reg(c, in->dst[i]);
}

static bool same_reg(struct beam_arg a, struct beam_arg b)
{
    return a.kind == b.kind && (a.kind == BEAM_X || a.kind == BEAM_Y) && a.u == b.u;
}

/* The registers below n. */
static struct x_set x_below(uint32_t n)
{
    struct x_set s = { 0 };

    for (uint32_t x = 0; x < n; x++)
        s.bits[x / 64] |= 1ull << x % 64;
    return s;
}

static void x_keep(struct x_set *s, const struct x_set *those)
{
    for (size_t i = 0; i < ARRAY_LEN(s->bits); i++)
        s->bits[i] &= those->bits[i];
}

static bool x_holds(const struct x_set *s, uint32_t x)
{
    return (s->bits[x / 64] >> x % 64 & 1) != 0;
}

static void now_set(struct code *c, struct beam_arg a)
{
    if (a.kind == BEAM_X)
        c->x_set.bits[a.u / 64] |= 1ull << a.u % 64;
}

static void now_set_dsts(struct code *c, const struct low_instr *in)
{
    for (uint32_t i = 0; i < in->n_dst; i++)
        now_set(c, dst(c, in, i));
}

static void move(struct code *c, struct beam_arg from, struct beam_arg to)
{
    if (same_reg(from, to))
        return;
    EMIT(c, move, from, to);
    now_set(c, to);
}

/* A register with the value; a constant goes to one that nothing uses. */
static struct beam_arg in_register(struct code *c, struct low_val v, uint32_t live)
{
    struct beam_arg a = src(c, v);

    if (v.var != 0)
        return a;
    move(c, a, BARG_X(live));
    return BARG_X(live);
}

/* --- moving at once --------------------------------------------------------------------------- */

static void move_later(struct code *c, struct beam_arg from, struct beam_arg to)
{
    if (same_reg(from, to) || c->n_moves == MOVES_MAX)
        return;
    c->moves[c->n_moves++] = (struct move){ from, to, false };
}

static bool is_source(const struct code *c, struct beam_arg a, size_t but)
{
    for (size_t i = 0; i < c->n_moves; i++)
        if (i != but && !c->moves[i].done && same_reg(c->moves[i].from, a))
            return true;
    return false;
}

/* All the moves that move_later has collected, as if at the same time. What nobody reads any more
 * is written first; what is left then are circles, which are turned by exchanging. */
static void move_all(struct code *c)
{
    size_t left = c->n_moves;

    while (left > 0) {
        bool progress = false;

        for (size_t i = 0; i < c->n_moves; i++) {
            struct move *m = &c->moves[i];

            if (m->done || is_source(c, m->to, i))
                continue;
            move(c, m->from, m->to);
            m->done = progress = true;
            left--;
        }
        for (size_t i = 0; !progress && i < c->n_moves; i++) {
            struct move *m = &c->moves[i];

            if (m->done)
                continue;
            EMIT(c, swap, m->from, m->to);
            m->done = progress = true;
            left--;
            /* What was in `to` is in `from` now, and the other way round. */
            for (size_t j = 0; j < c->n_moves; j++) {
                if (c->moves[j].done)
                    continue;
                if (same_reg(c->moves[j].from, m->to))
                    c->moves[j].from = m->from;
                else if (same_reg(c->moves[j].from, m->from))
                    c->moves[j].from = m->to;
                if (same_reg(c->moves[j].from, c->moves[j].to)) {
                    c->moves[j].done = true;
                    left--;
                }
            }
        }
    }
    c->n_moves = 0;
}

static void move_args(struct code *c, const struct low_instr *in)
{
    for (uint32_t i = 0; i < in->n; i++)
        move_later(c, src(c, in->args[i]), BARG_X(i));
    move_all(c);
}

/* --- room and live registers ------------------------------------------------------------------ */

/* live registers must all hold terms: put one where there is none. Then nothing above is set. */
static uint32_t live(struct code *c, uint32_t n)
{
    struct x_set below = x_below(n);

    for (uint32_t x = 0; x < n; x++)
        if (!x_holds(&c->x_set, x))
            move(c, BARG_NIL, BARG_X(x));
    x_keep(&c->x_set, &below);
    return n;
}

struct need { uint32_t words, floats, funs; };

static struct need need_of(const struct low_instr *in)
{
    switch (in->op) {
    case LO_TUPLE:
        return (struct need){ .words = in->n > 0 ? in->n + 1u : 0 };
    case LO_CONS:
        return (struct need){ .words = 2 };
    case LO_FUN:
        return (struct need){ .words = in->n, .funs = 1 };
    case LO_FBOX:
        return (struct need){ .floats = 1 };
    default:
        return (struct need){ 0 };
    }
}

/* May a collection happen in it? */
static bool collects(const struct low_instr *in)
{
    switch (in->op) {
    case LO_BIF:
    case LO_BIF_TRY:
        return in->bif->kind == BIF_GC;
    case LO_MAP:
    case LO_BITS:
    case LO_BS_START:
    case LO_BS_INT:
    case LO_BS_FLOAT:
    case LO_BS_BINARY:
    case LO_BS_UTF:
    case LO_BS_TAIL:
    case LO_BS_POSITION:
    case LO_REMOVE_MESSAGE:
    case LO_TIMEOUT:
        return true;
    default:
        return low_clobbers(in);
    }
}

/* What is built from in on, up to the next collection. */
static struct need need_from(const struct low_instr *in)
{
    struct need sum = { 0 };

    for (; in != NULL && !collects(in); in = in->next) {
        struct need n = need_of(in);

        sum.words += n.words;
        sum.floats += n.floats;
        sum.funs += n.funs;
    }
    return sum;
}

static bool is_need(struct need n)
{
    return n.words + n.floats + n.funs > 0;
}

static struct beam_arg alloc_arg(struct need n)
{
    struct beam_arg a = { .kind = BEAM_ALLOC };

    if (n.floats + n.funs == 0)
        return BARG_U(n.words);
    a.alloc.words = n.words;
    a.alloc.floats = n.floats;
    a.alloc.funs = n.funs;
    return a;
}

/* in builds something and there is no room: ask for it and for all that follows. */
static void ask_room(struct code *c, const struct low_instr *in)
{
    if (collects(in))
        c->room = 0;
    if (c->room > 0 || !is_need(need_of(in)))
        return;
    EMIT(c, test_heap, alloc_arg(need_from(in)), BARG_U(live(c, in->live)));
    c->room = 1;
}

/* --- lines ------------------------------------------------------------------------------------ */

static void line(struct code *c, const struct low_instr *in)
{
    uint32_t n;

    if (in->line == 0 || (in->line == c->line && in->file == c->file))
        return;
    n = in->file < c->u->m->n_files ? beam_add_line(c->w, c->u->m->files[in->file], in->line) : 0;
    EMIT(c, line, BARG_U(n));
    c->line = in->line;
    c->file = in->file;
}

/* --- jumping ---------------------------------------------------------------------------------- */

static struct beam_arg label(const struct low_block *b)
{
    ASSERT(b->label != 0);
    return BARG_F(b->label);
}

static void jump(struct code *c, const struct low_block *to)
{
    if (to != c->next)
        EMIT(c, jump, label(to));
}

struct test { enum beam_op op, opposite; bool swapped; };

/* The instruction of a two-way test of bifs.tab. */
static struct test test_of(const struct bif_row *row)
{
    static const struct { const char *name; struct test t; } two[] = {
        { "<", { BOP_is_lt, BOP_is_ge, false } }, { ">=", { BOP_is_ge, BOP_is_lt, false } },
        { ">", { BOP_is_lt, BOP_is_ge, true } }, { "=<", { BOP_is_ge, BOP_is_lt, true } },
        { "==", { BOP_is_eq, BOP_is_ne, false } }, { "/=", { BOP_is_ne, BOP_is_eq, false } },
        { "=:=", { BOP_is_eq_exact, BOP_is_ne_exact, false } },
        { "=/=", { BOP_is_ne_exact, BOP_is_eq_exact, false } },
        { "is_function", { BOP_is_function2, 0, false } },
    }, one[] = {
        { "$cons", { BOP_is_nonempty_list, 0, false } }, { "is_atom", { BOP_is_atom, 0, false } },
        { "is_binary", { BOP_is_binary, 0, false } },
        { "is_bitstring", { BOP_is_bitstr, 0, false } },
        { "is_boolean", { BOP_is_boolean, 0, false } },
        { "is_float", { BOP_is_float, 0, false } },
        { "is_function", { BOP_is_function, 0, false } },
        { "is_integer", { BOP_is_integer, 0, false } }, { "is_list", { BOP_is_list, 0, false } },
        { "is_map", { BOP_is_map, 0, false } }, { "is_number", { BOP_is_number, 0, false } },
        { "is_pid", { BOP_is_pid, 0, false } }, { "is_port", { BOP_is_port, 0, false } },
        { "is_reference", { BOP_is_reference, 0, false } },
        { "is_tuple", { BOP_is_tuple, 0, false } },
    };

    for (size_t i = 0; row->arity == 2 && i < ARRAY_LEN(two); i++)
        if (strcmp(two[i].name, row->name) == 0)
            return two[i].t;
    for (size_t i = 0; row->arity == 1 && i < ARRAY_LEN(one); i++)
        if (strcmp(one[i].name, row->name) == 0)
            return one[i].t;
    UNREACHABLE();
}

/* Go to `no` if the test fails, and behind it to yes. */
static void test(struct code *c, struct test t, const struct low_instr *in, size_t n,
                 struct beam_arg a, struct beam_arg b)
{
    const struct low_block *yes = in->to[0], *no = in->to[1];
    enum beam_op op = t.op;

    if (no == c->next && t.opposite != 0) {
        op = t.opposite;
        yes = in->to[1];
        no = in->to[0];
    }
    if (n == 1)
        emit(c, op, 2, (struct beam_arg[]){ label(no), a });
    else
        emit(c, op, 3, (struct beam_arg[]){ label(no), t.swapped ? b : a, t.swapped ? a : b });
    jump(c, yes);
}

static void emit_if(struct code *c, const struct low_instr *in)
{
    struct test t = test_of(in->bif);
    struct beam_arg a, b = { 0 };

    if (in->n == 1) {
        test(c, t, in, 1, in_register(c, in->args[0], in->live), b);
        return;
    }
    a = src(c, in->args[0]);
    b = src(c, in->args[1]);
    if (in->args[0].var == 0 && in->args[1].var == 0)
        a = in_register(c, in->args[0], in->live);
    test(c, t, in, 2, a, b);
}

static void emit_if_lit(struct code *c, const struct low_instr *in)
{
    struct beam_arg a = in_register(c, in->args[0], in->live);

    if (in->args[1].lit->kind == CC_NIL)
        test(c, (struct test){ BOP_is_nil, 0, false }, in, 1, a, a);
    else
        test(c, (struct test){ BOP_is_eq_exact, BOP_is_ne_exact, false }, in, 2, a,
             src(c, in->args[1]));
}

static void push(struct code *c, struct beam_arg a)
{
    c->list = arena_grow(c->l->arena, c->list, c->n_list, &c->cap_list, sizeof *c->list);
    c->list[c->n_list++] = a;
}

static struct beam_arg take_list(struct code *c)
{
    struct beam_arg a = { .kind = BEAM_LIST };

    a.list = c->list;
    a.n = (uint32_t)c->n_list;
    c->n_list = 0;
    return a;
}

static void emit_switch(struct code *c, const struct low_instr *in)
{
    bool arity = in->op == LO_SWITCH_ARITY;
    struct beam_arg a = in_register(c, in->args[0], in->live);

    for (uint32_t i = 0; i + 1u < in->n_to; i++) {
        push(c, arity ? BARG_U(in->cases[i].arity) : unit_operand(c->u, in->cases[i].lit));
        push(c, label(in->to[i]));
    }
    emit(c, arity ? BOP_select_tuple_arity : BOP_select_val, 3,
         (struct beam_arg[]){ a, label(in->to[in->n_to - 1]), take_list(c) });
}

/* --- calls ------------------------------------------------------------------------------------ */

static uint32_t import(struct code *c, const struct core_atom *module,
                       const struct core_atom *function, uint32_t arity)
{
    return beam_add_import(c->w, unit_atom(c->u, module), unit_atom(c->u, function), arity);
}

static uint32_t import_erlang(struct code *c, const char *name, uint32_t arity)
{
    return import(c, core_atom(c->u->m, "erlang", 6), core_atom(c->u->m, name, strlen(name)),
                  arity);
}

static void deallocate(struct code *c)
{
    if (c->b->framed)
        EMIT(c, deallocate, BARG_U(c->b->slots));
}

/* Results are in x0 ... of what left nothing else there. */
static void take_results(struct code *c, const struct low_instr *in)
{
    c->x_set = x_below(in->n_dst);
    c->room = 0;
    for (uint32_t i = 0; i < in->n_dst; i++)
        if (c->l->vars[in->dst[i]].y >= 0)
            move(c, BARG_X(i), dst(c, in, i));
}

static void emit_call(struct code *c, const struct low_instr *in)
{
    move_args(c, in);
    line(c, in);
    switch (in->op) {
    case LO_CALL:
        EMIT(c, call, BARG_U(in->n), BARG_F(in->fun->entry_label));
        break;
    case LO_CALL_EXT:
        EMIT(c, call_ext, BARG_U(in->n), BARG_U(import(c, in->module, in->function, in->n)));
        break;
    case LO_CALL_FUN:
        EMIT(c, call_fun, BARG_U(in->imm));
        break;
    case LO_APPLY:
        EMIT(c, apply, BARG_U(in->imm));
        break;
    case LO_SEND:
        EMIT0(c, send);
        break;
    default:
        EMIT0(c, build_stacktrace);
        break;
    }
    take_results(c, in);
}

static void emit_tail_call(struct code *c, const struct low_instr *in)
{
    struct beam_arg n = BARG_U(in->n), target, slots = BARG_U(c->b->slots);
    bool framed = c->b->framed;

    if (!framed && (in->op == LO_TAIL_FUN || in->op == LO_TAIL_APPLY)) {
        EMIT(c, allocate, BARG_U(0), BARG_U(live(c, in->live)));
        slots = BARG_U(0);
    }
    move_args(c, in);
    line(c, in);
    if (in->op == LO_TAIL_FUN) {
        EMIT(c, call_fun, BARG_U(in->imm));
        EMIT(c, deallocate, slots);
        EMIT0(c, return);
    } else if (in->op == LO_TAIL_APPLY) {
        EMIT(c, apply_last, BARG_U(in->imm), slots);
    } else {
        bool local = in->op == LO_TAIL_CALL;

        target = local ? BARG_F(in->fun->entry_label)
                       : BARG_U(import(c, in->module, in->function, in->n));
        if (framed)
            emit(c, local ? BOP_call_last : BOP_call_ext_last, 3,
                 (struct beam_arg[]){ n, target, slots });
        else
            emit(c, local ? BOP_call_only : BOP_call_ext_only, 2,
                 (struct beam_arg[]){ n, target });
    }
}

/* --- building --------------------------------------------------------------------------------- */

static void emit_tuple(struct code *c, const struct low_instr *in)
{
    struct beam_arg d = dst(c, in, 0);

    if (in->n == 0) {
        move(c, unit_operand(c->u, cc_tuple(c->u->m, NULL, 0)), d);
        return;
    }
    for (uint32_t i = 0; i < in->n; i++)
        push(c, src(c, in->args[i]));
    EMIT(c, put_tuple2, d, take_list(c));
}

static void emit_fun(struct code *c, const struct low_instr *in)
{
    struct low_function *f = in->fun;

    if (f->row < 0)
        f->row = (int32_t)beam_add_fun(c->w, unit_atom(c->u, f->name), f->arity, f->entry_label,
                                       in->n);
    for (uint32_t i = 0; i < in->n; i++)
        push(c, src(c, in->args[i]));
    EMIT(c, make_fun3, BARG_U((uint32_t)f->row), dst(c, in, 0), take_list(c));
}

static void emit_map(struct code *c, const struct low_instr *in)
{
    struct beam_arg d, s;

    line(c, in);
    live(c, in->live);
    d = dst(c, in, 0);
    s = src(c, in->args[0]);
    for (uint32_t i = 1; i < in->n; i++)
        push(c, src(c, in->args[i]));
    emit(c, in->exact ? BOP_put_map_exact : BOP_put_map_assoc, 5,
         (struct beam_arg[]){ BARG_F(0), s, d, BARG_U(in->live), take_list(c) });
}

static struct beam_arg flag_list(struct code *c, unsigned flags)
{
    static const struct { unsigned flag; const char *name; } rows[] = {
        { CB_LITTLE, "little" }, { CB_SIGNED, "signed" }, { CB_NATIVE, "native" },
    };
    const struct core_const *list = c->u->m->nil;

    for (size_t i = ARRAY_LEN(rows); i-- > 0;)
        if (flags & rows[i].flag)
            list = cc_cons(c->u->m, cc_atom(c->u->m, rows[i].name), list);
    return unit_operand(c->u, list);
}

static void push_segment(struct code *c, const struct core_segment *s, uint32_t number,
                         struct low_val value, struct low_val size)
{
    static const char *const names[] = { "integer", "float", "binary", "utf8", "utf16", "utf32",
                                         "string" };
    bool utf = s->type >= CB_UTF8 && s->type <= CB_UTF32;
    bool append = number == 1 && s->type == CB_BINARY && s->size == NULL && value.var != 0;
    unsigned unit = s->unit != 0 ? s->unit : s->type == CB_BINARY || s->type == CB_STRING ? 8 : 1;
    struct beam_arg sz, v;

    if (s->type == CB_STRING) {
        v = BARG_U(beam_add_string(c->w, value.lit->bytes, value.lit->n));
        sz = BARG_I(value.lit->n);
    } else {
        v = src(c, value);
        if (utf)
            sz = unit_operand(c->u, cc_atom(c->u->m, "undefined"));
        else if (size.var != 0 || size.lit != NULL)
            sz = src(c, size);
        else if (s->type == CB_BINARY)
            sz = unit_operand(c->u, cc_atom(c->u->m, "all"));
        else
            sz = BARG_I(s->type == CB_FLOAT ? 64 : 8);
    }
    push(c, unit_operand(c->u, cc_atom(c->u->m, append ? "append" : names[s->type])));
    push(c, BARG_U(number));
    push(c, BARG_U(utf ? 0 : unit));
    push(c, flag_list(c, s->flags & (CB_LITTLE | CB_NATIVE)));
    push(c, v);
    push(c, sz);
}

/* Is the result a whole number of bytes for sure? */
static bool whole_bytes(const struct low_instr *in)
{
    for (uint32_t i = 0; i < in->n / 2u; i++) {
        const struct core_segment *s = &in->segments[i];
        struct low_val size = in->args[2 * i + 1];

        if (s->type == CB_BINARY ? s->unit % 8 != 0
            : s->type == CB_INTEGER && (s->unit % 8 != 0 || s->unit == 0)
              && size.lit != NULL && (size.lit->kind != CC_INT || size.lit->i % 8 != 0))
            return false;
        if (s->type == CB_INTEGER && s->unit % 8 != 0 && size.var != 0)
            return false;
    }
    return true;
}

static void emit_bits(struct code *c, const struct low_instr *in)
{
    line(c, in);
    live(c, in->live);
    for (uint32_t i = 0; i < in->n / 2u; i++)
        push_segment(c, &in->segments[i], i + 1, in->args[2 * i], in->args[2 * i + 1]);
    EMIT(c, bs_create_bin, BARG_F(0), BARG_U(0), BARG_U(in->live), BARG_U(whole_bytes(in) ? 8 : 1),
         dst(c, in, 0), take_list(c));
}

/* A BIF; fail: label or 0. */
static void emit_bif(struct code *c, const struct low_instr *in, struct beam_arg fail)
{
    struct beam_arg args[8];
    size_t n = 0;

    line(c, in);
    if (in->n > 0)
        args[n++] = fail;
    if (in->bif->kind == BIF_GC)
        args[n++] = BARG_U(live(c, in->live));
    args[n++] = BARG_U(import_erlang(c, in->bif->name, in->n));
    for (uint32_t i = 0; i < in->n; i++)
        args[n++] = src(c, in->args[i]);
    args[n++] = dst(c, in, 0);
    if (in->bif->kind == BIF_GC)
        emit(c, in->n == 1 ? BOP_gc_bif1 : in->n == 2 ? BOP_gc_bif2 : BOP_gc_bif3, n, args);
    else
        emit(c, in->n == 0 ? BOP_bif0 : in->n == 1 ? BOP_bif1 : BOP_bif2, n, args);
}

/* hd and tl of the same list in a row are one instruction. */
static bool emit_list_parts(struct code *c, const struct low_instr *in)
{
    const struct low_instr *t = in->next;

    if (in->op != LO_HEAD || t == NULL || t->op != LO_TAIL || in->args[0].var != t->args[0].var
        || in->args[0].var == 0)
        return false;
    EMIT(c, get_list, src(c, in->args[0]), dst(c, in, 0), dst(c, t, 0));
    now_set_dsts(c, t);
    return true;
}

static void emit_part(struct code *c, const struct low_instr *in)
{
    struct beam_arg s = in_register(c, in->args[0], in->live);

    if (in->op == LO_HEAD)
        EMIT(c, get_hd, s, dst(c, in, 0));
    else if (in->op == LO_TAIL)
        EMIT(c, get_tl, s, dst(c, in, 0));
    else
        EMIT(c, get_tuple_element, s, BARG_U(in->imm), dst(c, in, 0));
}

/* --- matching bits ---------------------------------------------------------------------------- */

static void emit_bits_get(struct code *c, const struct low_instr *in)
{
    struct beam_arg fail = label(in->to[1]), context = src(c, in->args[0]);
    struct beam_arg lives, size = { 0 }, d = { 0 };
    struct beam_arg flags = BARG_U(in->imm);

    if (in->n > 1)
        size = src(c, in->args[1]);
    if (in->n_dst > 0)
        d = dst(c, in, 0);
    lives = BARG_U(in->op == LO_BS_SKIP || in->op == LO_BS_SKIP_UTF ? 0 : live(c, in->live));
    switch (in->op) {
    case LO_BS_INT:
    case LO_BS_FLOAT:
    case LO_BS_BINARY:
        emit(c, in->op == LO_BS_INT ? BOP_bs_get_integer2
             : in->op == LO_BS_FLOAT ? BOP_bs_get_float2 : BOP_bs_get_binary2, 7,
             (struct beam_arg[]){ fail, context, lives, size, BARG_U(in->unit), flags, d });
        break;
    case LO_BS_SKIP:
        EMIT(c, bs_skip_bits2, fail, context, size, BARG_U(in->unit), flags);
        break;
    case LO_BS_UTF:
        emit(c, in->unit == CB_UTF8 ? BOP_bs_get_utf8
             : in->unit == CB_UTF16 ? BOP_bs_get_utf16 : BOP_bs_get_utf32, 5,
             (struct beam_arg[]){ fail, context, BARG_U(in->live), flags, d });
        break;
    default:
        lives = BARG_U(in->live);
        emit(c, in->unit == CB_UTF8 ? BOP_bs_skip_utf8
             : in->unit == CB_UTF16 ? BOP_bs_skip_utf16 : BOP_bs_skip_utf32, 4,
             (struct beam_arg[]){ fail, context, BARG_U(live(c, in->live)), flags });
        break;
    }
    jump(c, in->to[0]);
}

static void emit_bits_test(struct code *c, const struct low_instr *in)
{
    struct beam_arg fail = label(in->to[1]), context = src(c, in->args[0]);

    if (in->op == LO_BS_AT_END)
        EMIT(c, bs_test_tail2, fail, context, BARG_U(0));
    else if (in->op == LO_BS_UNIT)
        EMIT(c, bs_test_unit, fail, context, BARG_U(in->unit));
    else
        EMIT(c, bs_match_string, fail, context, BARG_U(in->string->n * 8),
             BARG_U(beam_add_string(c->w, in->string->bytes, in->string->n)));
    jump(c, in->to[0]);
}

static void emit_bits_start(struct code *c, const struct low_instr *in)
{
    uint32_t n = in->live;
    struct beam_arg s = src(c, in->args[0]);

    if (in->args[0].var == 0) {
        s = in_register(c, in->args[0], n);
        n++;
    }
    EMIT(c, bs_start_match3, label(in->to[1]), s, BARG_U(live(c, n)), dst(c, in, 0));
    jump(c, in->to[0]);
}

static void emit_map_get(struct code *c, const struct low_instr *in)
{
    struct beam_arg s = in_register(c, in->args[0], in->live);

    for (uint32_t i = 0; i < in->n_dst; i++) {
        push(c, src(c, in->args[i + 1]));
        push(c, dst(c, in, i));
    }
    EMIT(c, get_map_elements, label(in->to[1]), s, take_list(c));
    jump(c, in->to[0]);
}

/* --- one instruction -------------------------------------------------------------------------- */

static void emit_jump(struct code *c, const struct low_instr *in)
{
    const struct low_block *to = in->to[0];

    for (uint32_t i = 0; i < in->n; i++)
        if (c->l->vars[to->params[i]].y >= 0 || c->l->vars[to->params[i]].x >= 0)
            move_later(c, src(c, in->args[i]), reg(c, to->params[i]));
    move_all(c);
    jump(c, to);
}

static void emit_return(struct code *c, const struct low_instr *in)
{
    move(c, src(c, in->args[0]), BARG_X(0));
    deallocate(c);
    EMIT0(c, return);
}

static void emit_float(struct code *c, const struct low_instr *in)
{
    static const struct { char name; enum beam_op op; } rows[] = {
        { '+', BOP_fadd }, { '-', BOP_fsub }, { '*', BOP_fmul }, { '/', BOP_fdiv },
    };

    line(c, in);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (in->bif->name[0] == rows[i].name)
            emit(c, rows[i].op, 4, (struct beam_arg[]){ BARG_F(0), src(c, in->args[0]),
                                                        src(c, in->args[1]), dst(c, in, 0) });
}

static void emit_plain(struct code *c, const struct low_instr *in)
{
    switch (in->op) {
    case LO_TUPLE:
        emit_tuple(c, in);
        break;
    case LO_CONS:
        EMIT(c, put_list, src(c, in->args[0]), src(c, in->args[1]), dst(c, in, 0));
        break;
    case LO_FUN:
        emit_fun(c, in);
        break;
    case LO_MAP:
        emit_map(c, in);
        break;
    case LO_BITS:
        emit_bits(c, in);
        break;
    case LO_HEAD:
    case LO_TAIL:
    case LO_ELEMENT:
        emit_part(c, in);
        break;
    case LO_BIF:
        emit_bif(c, in, BARG_F(0));
        break;
    case LO_TRY:
        EMIT(c, try, dst(c, in, 0), label(c->b->last->to[0]->handler));
        break;
    case LO_TRY_END:
        EMIT(c, try_end, src(c, in->args[0]));
        break;
    case LO_TRY_CASE:
        EMIT(c, try_case, src(c, in->args[0]));
        take_results(c, in);
        return;
    case LO_COPY:
        move(c, src(c, in->args[0]), dst(c, in, 0));
        break;
    case LO_REMOVE_MESSAGE:
        EMIT0(c, remove_message);
        break;
    case LO_TIMEOUT:
        EMIT0(c, timeout);
        break;
    case LO_MARK_RESERVE:
        EMIT(c, recv_marker_reserve, dst(c, in, 0));
        break;
    case LO_MARK_BIND:
        EMIT(c, recv_marker_bind, src(c, in->args[0]), src(c, in->args[1]));
        break;
    case LO_MARK_USE:
        EMIT(c, recv_marker_use, src(c, in->args[0]));
        break;
    case LO_MARK_CLEAR:
        EMIT(c, recv_marker_clear, src(c, in->args[0]));
        break;
    case LO_FMOVE:
    case LO_FBOX:
        EMIT(c, fmove, src(c, in->args[0]), dst(c, in, 0));
        break;
    case LO_FCONV:
        line(c, in);
        EMIT(c, fconv, src(c, in->args[0]), dst(c, in, 0));
        break;
    case LO_FBIN:
        emit_float(c, in);
        break;
    case LO_BS_TAIL:
        EMIT(c, bs_get_tail, src(c, in->args[0]), dst(c, in, 0),
             BARG_U(live(c, in->live)));
        break;
    case LO_BS_POSITION:
        EMIT(c, bs_get_position, src(c, in->args[0]), dst(c, in, 0),
             BARG_U(live(c, in->live)));
        break;
    case LO_BS_SEEK:
        EMIT(c, bs_set_position, src(c, in->args[0]), src(c, in->args[1]));
        break;
    default:
        UNREACHABLE();
    }
    now_set_dsts(c, in);
}

static void emit_raise(struct code *c, const struct low_instr *in)
{
    line(c, in);
    switch (in->op) {
    case LO_BADMATCH:
        EMIT(c, badmatch, src(c, in->args[0]));
        break;
    case LO_CASE_END:
        EMIT(c, case_end, src(c, in->args[0]));
        break;
    case LO_TRY_CASE_END:
        EMIT(c, try_case_end, src(c, in->args[0]));
        break;
    case LO_IF_END:
        EMIT0(c, if_end);
        break;
    case LO_RERAISE:
        EMIT(c, raise, src(c, in->args[0]), src(c, in->args[1]));
        break;
    case LO_FUNC_INFO:
        move_args(c, in);
        EMIT(c, jump, BARG_F(c->l->fn->info_label));
        break;
    default:
        break;
    }
}

static bool is_zero(const struct core_const *c)
{
    return c->kind == CC_INT && c->i == 0;
}

static void emit_term(struct code *c, const struct low_instr *in)
{
    switch (in->op) {
    case LO_RETURN:
        emit_return(c, in);
        break;
    case LO_JUMP:
        emit_jump(c, in);
        break;
    case LO_IF:
        emit_if(c, in);
        break;
    case LO_IF_LIT:
        emit_if_lit(c, in);
        break;
    case LO_IF_ARITY:
        EMIT(c, test_arity, label(in->to[1]), in_register(c, in->args[0], in->live),
             BARG_U(in->imm));
        jump(c, in->to[0]);
        break;
    case LO_IF_TAGGED:
        EMIT(c, is_tagged_tuple, label(in->to[1]), in_register(c, in->args[0], in->live),
             BARG_U(in->imm), src(c, in->args[1]));
        jump(c, in->to[0]);
        break;
    case LO_SWITCH:
    case LO_SWITCH_ARITY:
        emit_switch(c, in);
        break;
    case LO_BIF_TRY:
        emit_bif(c, in, label(in->to[1]));
        jump(c, in->to[0]);
        break;
    case LO_MAP_GET:
        emit_map_get(c, in);
        break;
    case LO_BS_START:
        emit_bits_start(c, in);
        break;
    case LO_BS_INT:
    case LO_BS_FLOAT:
    case LO_BS_BINARY:
    case LO_BS_UTF:
    case LO_BS_SKIP:
    case LO_BS_SKIP_UTF:
        emit_bits_get(c, in);
        break;
    case LO_BS_AT_END:
    case LO_BS_UNIT:
    case LO_BS_STRING:
        emit_bits_test(c, in);
        break;
    case LO_LOOP_REC:
        EMIT(c, loop_rec, label(in->to[1]), BARG_X(0));
        take_results(c, in);
        jump(c, in->to[0]);
        break;
    case LO_LOOP_REC_END:
        EMIT(c, loop_rec_end, label(in->to[0]));
        break;
    case LO_WAIT:
        EMIT(c, wait, label(in->to[0]));
        break;
    case LO_WAIT_TIMEOUT:
        /* No line instruction: OTP's loader must see this directly behind its label, or it takes
         * the queue's lock twice. Nor does it ever see one of no time. */
        if (in->args[0].lit == NULL || !is_zero(in->args[0].lit))
            EMIT(c, wait_timeout, label(in->to[0]), src(c, in->args[0]));
        c->x_set = x_below(0);
        jump(c, in->to[1]);
        break;
    case LO_TAIL_CALL:
    case LO_TAIL_EXT:
    case LO_TAIL_FUN:
    case LO_TAIL_APPLY:
        emit_tail_call(c, in);
        break;
    default:
        emit_raise(c, in);
        break;
    }
    c->x_set_failed = in->op == LO_LOOP_REC ? x_below(0) : c->x_set;
    now_set_dsts(c, in);
}

/* --- blocks ----------------------------------------------------------------------------------- */

/* Slots that the block sets before anything can look at the frame. */
static void clear_slots(struct code *c, const struct low_instr *in)
{
    uint8_t *set = arena_alloc(c->l->arena, c->b->slots + 1u);

    for (; in != NULL && !collects(in) && !LOW_IS_TERM(in->op); in = in->next) {
        if (in->op == LO_BIF || in->op == LO_FCONV || in->op == LO_FBIN
            || in->op == LO_MARK_RESERVE)
            break;
        for (uint32_t i = 0; i < in->n_dst; i++)
            if (c->l->vars[in->dst[i]].y >= 0)
                set[c->l->vars[in->dst[i]].y] = 1;
    }
    for (uint32_t i = 0; i < c->b->slots; i++)
        if (!set[i])
            push(c, BARG_Y(i));
    if (c->n_list > 0)
        EMIT(c, init_yregs, take_list(c));
}

/* The frame, room included, and the copies that go into it; the instruction behind them. */
static const struct low_instr *make_frame(struct code *c)
{
    const struct low_instr *in = c->b->first, *first;
    struct need need;
    uint32_t n;

    if (in->op == LO_REMOVE_MESSAGE) {
        EMIT0(c, remove_message);
        in = in->next;
    }
    first = in;
    need = need_from(in);
    n = live(c, in->live);
    if (is_need(need)) {
        EMIT(c, allocate_heap, BARG_U(c->b->slots), alloc_arg(need), BARG_U(n));
        c->room = 1;
    } else {
        EMIT(c, allocate, BARG_U(c->b->slots), BARG_U(n));
    }
    for (; in->op == LO_COPY; in = in->next)
        move(c, src(c, in->args[0]), dst(c, in, 0));
    clear_slots(c, first);
    return in;
}

static void emit_block(struct code *c)
{
    const struct low_instr *in = c->b->first;

    c->room = 0;
    c->x_set = c->b->x_set;
    if (c->b->allocates)
        in = make_frame(c);
    for (; in != NULL; in = in->next) {
        if (LOW_IS_TERM(in->op)) {
            emit_term(c, in);
        } else if (LOW_IS_CALL(in->op) || in->op == LO_STACKTRACE) {
            emit_call(c, in);
        } else if (emit_list_parts(c, in)) {
            now_set_dsts(c, in);
            in = in->next;
        } else {
            ask_room(c, in);
            emit_plain(c, in);
        }
    }
}

/* What the block leaves in x is there in all blocks behind it. */
static void pass_set(struct code *c)
{
    for (uint32_t i = 0; i < c->b->last->n_to; i++) {
        struct low_block *to = c->b->last->to[i];

        if (to->order > c->b->order || to->mark)
            x_keep(&to->x_set, i == 0 ? &c->x_set : &c->x_set_failed);
    }
    if (c->b->handler != NULL)
        c->b->handler->x_set = x_below(0);
}

/* A block that is nothing but the end of all clauses is the label of the function itself. */
static bool is_func_info(const struct low *l, const struct low_block *b)
{
    if (b->first != b->last || b->last->op != LO_FUNC_INFO || b->framed)
        return false;
    for (uint32_t i = 0; i < b->last->n; i++)
        if (b->last->args[i].var == 0 || l->vars[b->last->args[i].var].x != (int16_t)i)
            return false;
    return true;
}

static bool can_turn(const struct low_instr *t)
{
    return t->op == LO_IF_LIT ? t->args[1].lit->kind != CC_NIL
                              : t->op == LO_IF && test_of(t->bif).opposite != 0;
}

/* The way out of a block that needs no jump, when `next` comes behind it; -1: there is none. */
static int falls_to(const struct low_instr *t, const struct low_block *next)
{
    if (next == NULL || t->op == LO_SWITCH || t->op == LO_SWITCH_ARITY)
        return -1;
    if (t->op == LO_WAIT_TIMEOUT || (t->n_to == 2 && t->to[1] == next && can_turn(t)))
        return t->to[1] == next ? 1 : -1;
    return t->n_to > 0 && t->to[0] == next && t->op != LO_WAIT && t->op != LO_LOOP_REC_END ? 0 : -1;
}

/* Labels for blocks that something jumps to. Those that are only the label of the function leave
 * the order. */
static void number_labels(struct code *c)
{
    struct low *l = c->l;
    uint32_t n = 0;

    for (uint32_t i = 0; i < l->n_blocks; i++) {
        struct low_block *b = l->blocks[i];

        b->mark = false;
        b->x_set = x_below(X_REGISTERS);
        b->label = c->u->next_label++;
        if (is_func_info(l, b) && i > 0)
            b->label = l->fn->info_label;
        else
            l->blocks[n++] = b;
    }
    l->n_blocks = n;
    for (uint32_t i = 0; i < l->n_blocks; i++) {
        struct low_block *b = l->blocks[i], *next = i + 1 < l->n_blocks ? l->blocks[i + 1] : NULL;
        const struct low_instr *t = b->last;
        int falls = falls_to(t, next);

        for (int j = 0; j < t->n_to; j++)
            t->to[j]->mark |= j != falls;
        if (b->handler != NULL)
            b->handler->mark = true;
    }
}

static void func_info(struct code *c)
{
    const struct low_function *f = c->l->fn;
    struct low_instr at = { .line = f->core->span.line, .file = f->core->span.file };

    EMIT(c, label, BARG_U(f->info_label));
    line(c, &at);
    EMIT(c, func_info, BARG_ATOM(1), BARG_ATOM(unit_atom(c->u, f->name)), BARG_U(f->arity));
    EMIT(c, label, BARG_U(f->entry_label));
}

void code_function(struct unit *u, struct low *l)
{
    struct code *c = ARENA_NEW(l->arena, struct code);

    c->u = u;
    c->l = l;
    c->w = u->w;
    func_info(c);
    number_labels(c);
    l->entry->x_set = x_below(l->fn->arity);
    for (uint32_t i = 0; i < l->n_blocks; i++) {
        c->b = l->blocks[i];
        c->next = i + 1 < l->n_blocks ? l->blocks[i + 1] : NULL;
        if (c->b->mark && i > 0)
            EMIT(c, label, BARG_U(c->b->label));
        emit_block(c);
        pass_set(c);
    }
}
