/* SPDX-License-Identifier: Apache-2.0 */
/*
 * facts.c - what is known of variables on the way to a block
 *
 * Blocks are visited down the dominator tree (K. Cooper, T. Harvey, K. Kennedy, "A simple, fast
 * dominance algorithm", 2001), the blocks below one in their order: so whatever leads to a block
 * forward has been visited before it. A test narrows the type of its subject on both its ways, for
 * the blocks below; leaving them takes that back. Tests whose outcome is known become jumps,
 * operations on known values are done here.
 */
#include "lang/told.h"

#include "base/assert.h"

#include <string.h>

struct undo { uint32_t var; struct low_var old; };

struct facts {
    struct low *l;
    struct undo *undo;
    size_t n_undo, cap_undo;
};

static struct low_block *common(struct low_block *a, struct low_block *b)
{
    while (a != b) {
        while (a->order > b->order)
            a = a->idom;
        while (b->order > a->order)
            b = b->idom;
    }
    return a;
}

/* One round is enough but for ways back, which end where they are dominated anyway. */
void low_dominators(struct low *l)
{
    for (uint32_t i = 0; i < l->n_blocks; i++)
        l->blocks[i]->idom = l->blocks[i]->kid = l->blocks[i]->sibling = NULL;
    l->entry->idom = l->entry;
    for (uint32_t i = 1; i < l->n_blocks; i++) {
        struct low_block *b = l->blocks[i];

        for (uint32_t p = 0; p < b->n_preds; p++)
            if (b->preds[p]->order < i)
                b->idom = b->idom == NULL ? b->preds[p] : common(b->idom, b->preds[p]);
    }
    for (uint32_t i = l->n_blocks; i-- > 1;) {
        struct low_block *b = l->blocks[i];

        b->sibling = b->idom->kid;
        b->idom->kid = b;
    }
}

/* --- types ------------------------------------------------------------------------------------ */

uint32_t low_const_type(const struct core_const *c)
{
    switch (c->kind) {
    case CC_INT:
    case CC_BIG:
        return T_INT;
    case CC_FLOAT:
        return T_FLOAT;
    case CC_ATOM:
        return cc_is_atom(c, "true") ? T_TRUE : cc_is_atom(c, "false") ? T_FALSE : T_OTHER_ATOM;
    case CC_BITS:
        return T_BITS;
    case CC_NIL:
        return T_NIL;
    case CC_CONS:
        return T_CONS;
    case CC_TUPLE:
        return T_TUPLE;
    case CC_MAP:
        return T_MAP;
    case CC_EXTERNAL:
        return T_FUN;
    }
    return T_ANY;
}

/* As can be seen in the function itself. */
static unsigned seen_type(const struct facts *f, struct low_val v)
{
    return v.lit != NULL ? low_const_type(v.lit) : f->l->vars[v.var].type;
}

/* With what other functions tell of it. */
static unsigned val_type(const struct facts *f, struct low_val v)
{
    const struct told *told = v.lit != NULL ? NULL : f->l->vars[v.var].told;

    return seen_type(f, v) & (told != NULL ? told->bits : T_ANY);
}

/* Is the only value of the type the literal itself? */
static bool is_single(unsigned type)
{
    return type == T_TRUE || type == T_FALSE || type == T_NIL;
}

static void remember(struct facts *f, uint32_t var)
{
    f->undo = arena_grow(f->l->arena, f->undo, f->n_undo, &f->cap_undo, sizeof *f->undo);
    f->undo[f->n_undo++] = (struct undo){ var, f->l->vars[var] };
}

static void narrow(struct facts *f, struct low_val v, unsigned type)
{
    if (v.var == 0 || (f->l->vars[v.var].type & ~type) == 0)
        return;
    remember(f, v.var);
    f->l->vars[v.var].type &= type;
}

static void set_arity(struct facts *f, struct low_val v, uint32_t arity)
{
    if (v.var == 0)
        return;
    remember(f, v.var);
    f->l->vars[v.var].type = T_TUPLE;
    f->l->vars[v.var].arity = (int32_t)arity;
}

/* The variable is the literal, here and below. Only where equal means the same: 0.0 is -0.0. */
static void set_literal(struct facts *f, struct low_val v, const struct core_const *lit)
{
    if (v.var == 0)
        return;
    if (lit->kind != CC_ATOM && lit->kind != CC_INT && lit->kind != CC_NIL) {
        narrow(f, v, low_const_type(lit));
        return;
    }
    remember(f, v.var);
    f->l->vars[v.var].alias = VAL_LIT(lit);
    f->l->vars[v.var].type = low_const_type(lit);
}

struct type_test { const char *name; unsigned type; bool exact; };

/* What a type test says: true means the type; if exact, false means not the type. */
static const struct type_test *type_test(const struct bif_row *row)
{
    static const struct type_test tests[] = {
        { "$cons", T_CONS, true }, { "is_atom", T_ATOM, true }, { "is_binary", T_BITS, false },
        { "is_bitstring", T_BITS, true }, { "is_boolean", T_BOOL, true },
        { "is_float", T_FLOAT, true }, { "is_function", T_FUN, true },
        { "is_integer", T_INT, true }, { "is_list", T_LIST, true }, { "is_map", T_MAP, true },
        { "is_number", T_NUMBER, true }, { "is_pid", T_PID, true }, { "is_port", T_PORT, true },
        { "is_reference", T_REF, true }, { "is_tuple", T_TUPLE, true },
    };

    for (size_t i = 0; i < ARRAY_LEN(tests); i++) {
        const struct type_test *t = &tests[i];

        if (row->arity == 1 && strcmp(t->name, row->name) == 0)
            return t;
    }
    return NULL;
}

/* 1 true, 0 false, -1 unknown. */
static int test_outcome(const struct facts *f, const struct bif_row *row,
                        const struct low_val *args)
{
    const struct type_test *t = row->arity == 1 ? type_test(row) : NULL;
    unsigned a, b;

    if (t != NULL) {
        a = val_type(f, args[0]);
        if ((a & t->type) == 0)
            return 0;
        /* What takes it apart behind the test needs to be seen behind a test. */
        if (t->type == T_CONS || t->type == T_TUPLE || t->type == T_MAP)
            a = seen_type(f, args[0]);
        return t->exact && (a & ~t->type) == 0 ? 1 : -1;
    }
    if (row->arity != 2 || strcmp(row->name, "is_function") == 0)
        return -1;
    if (args[0].lit != NULL && args[1].lit != NULL && args[0].lit->kind == CC_INT
        && args[1].lit->kind == CC_INT) {
        int64_t x = args[0].lit->i, y = args[1].lit->i;
        const char *n = row->name;

        return strcmp(n, "<") == 0 ? x < y : strcmp(n, ">") == 0 ? x > y
             : strcmp(n, "=<") == 0 ? x <= y : strcmp(n, ">=") == 0 ? x >= y
             : n[0] == '=' && n[1] != '/' ? x == y : x != y;
    }
    if (strcmp(row->name, "=:=") == 0 || strcmp(row->name, "=/=") == 0) {
        bool equal = strcmp(row->name, "=:=") == 0;

        if (args[0].lit != NULL && args[1].lit != NULL)
            return cc_equal(args[0].lit, args[1].lit) == equal;
        a = val_type(f, args[0]);
        b = val_type(f, args[1]);
        if ((a & b) == 0)
            return !equal;
    }
    return -1;
}

/* --- operations ------------------------------------------------------------------------------- */

static bool fold_int(const char *op, int64_t a, int64_t b, int64_t *ret)
{
    if (strcmp(op, "+") == 0)
        return !__builtin_add_overflow(a, b, ret);
    if (strcmp(op, "-") == 0)
        return !__builtin_sub_overflow(a, b, ret);
    if (strcmp(op, "*") == 0)
        return !__builtin_mul_overflow(a, b, ret);
    if ((strcmp(op, "div") == 0 || strcmp(op, "rem") == 0) && b != 0 && b != -1) {
        *ret = op[0] == 'd' ? a / b : a % b;
        return true;
    }
    if (strcmp(op, "band") == 0 || strcmp(op, "bor") == 0 || strcmp(op, "bxor") == 0) {
        *ret = op[1] == 'a' ? a & b : op[1] == 'o' ? a | b : a ^ b;
        return true;
    }
    return false;
}

/* The value of the operation, when it can be said now. */
static const struct core_const *fold(struct facts *f, const struct low_instr *in)
{
    int64_t i;
    int outcome;

    if (in->bif->kind == BIF_TEST && (outcome = test_outcome(f, in->bif, in->args)) >= 0)
        return outcome ? f->l->m->true_ : f->l->m->false_;
    if (in->n == 2 && in->args[0].lit != NULL && in->args[1].lit != NULL
        && in->args[0].lit->kind == CC_INT && in->args[1].lit->kind == CC_INT
        && fold_int(in->bif->name, in->args[0].lit->i, in->args[1].lit->i, &i))
        return cc_int(f->l->m, i);
    if (in->n != 1)
        return NULL;
    if (strcmp(in->bif->name, "-") == 0 && in->args[0].lit != NULL) {
        const struct core_const *c = in->args[0].lit;

        if (c->kind == CC_INT && c->i != INT64_MIN)
            return cc_int(f->l->m, -c->i);
        if (c->kind == CC_FLOAT)
            return cc_float(f->l->m, -c->real);
        if (c->kind == CC_BIG)
            return cc_big(f->l->m, !c->negative, c->bytes, c->n);
    }
    if (strcmp(in->bif->name, "not") == 0 && is_single(val_type(f, in->args[0]))
        && val_type(f, in->args[0]) != T_NIL)
        return val_type(f, in->args[0]) == T_TRUE ? f->l->m->false_ : f->l->m->true_;
    if (strcmp(in->bif->name, "tuple_size") == 0 && in->args[0].var != 0
        && f->l->vars[in->args[0].var].type == T_TUPLE && f->l->vars[in->args[0].var].arity >= 0)
        return cc_int(f->l->m, f->l->vars[in->args[0].var].arity);
    return NULL;
}

uint32_t low_bif_type(const struct bif_row *row, const uint32_t *types)
{
    uint32_t all = 0, result = row->result & T_ANY;

    if (result != T_NUMBER)
        return result;
    for (uint32_t i = 0; i < row->arity; i++)
        all |= types[i];
    if (row->arity == 2 && (types[0] == T_FLOAT || types[1] == T_FLOAT))
        return T_FLOAT;
    return (all & ~(uint32_t)T_INT) == 0 ? T_INT : (all & ~(uint32_t)T_FLOAT) == 0 ? T_FLOAT
                                                                                   : T_NUMBER;
}

static uint32_t bif_type(const struct facts *f, const struct low_instr *in)
{
    uint32_t types[4] = { 0 };

    for (uint32_t i = 0; i < in->n && i < ARRAY_LEN(types); i++)
        types[i] = seen_type(f, in->args[i]);
    return low_bif_type(in->bif, types);
}

/* A BIF that cannot fail with what is known: an instruction that does not check. */
static bool unchecked(const struct facts *f, struct low_instr *in)
{
    const char *name = in->bif->name;
    enum low_op op;
    struct low_val subject;
    const struct low_var *v;

    if (in->n == 0)
        return false;
    subject = in->args[in->n - 1];
    v = &f->l->vars[subject.var];
    if (in->n == 1 && (strcmp(name, "hd") == 0 || strcmp(name, "tl") == 0)) {
        if (subject.var == 0 || v->type != T_CONS)
            return false;
        op = name[0] == 'h' ? LO_HEAD : LO_TAIL;
    } else if (in->n == 2 && strcmp(name, "element") == 0) {
        const struct core_const *i = in->args[0].lit;

        if (subject.var == 0 || v->type != T_TUPLE || i == NULL || i->kind != CC_INT || i->i < 1
            || i->i > v->arity)
            return false;
        op = LO_ELEMENT;
        in->imm = (uint32_t)i->i - 1;
        in->args[0] = subject;
        in->n = 1;
    } else {
        return false;
    }
    in->op = op;
    return true;
}

/* A constant comes second, where the engine's fast operations have it. */
static void constant_second(struct low_instr *in)
{
    static const char *const ops[] = { "+", "*", "band", "bor", "bxor" };
    struct low_val first;

    if (in->n != 2 || in->args[0].lit == NULL || in->args[1].lit != NULL)
        return;
    first = in->args[0];
    for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
        if (strcmp(in->bif->name, ops[i]) == 0) {
            in->args[0] = in->args[1];
            in->args[1] = first;
            return;
        }
    }
}

static void set_type(struct facts *f, const struct low_instr *in, unsigned type)
{
    f->l->vars[in->dst[0]].type = type;
}

static void note_floats(const struct facts *f, struct low_instr *in)
{
    in->imm = 0;
    if (val_type(f, VAL_VAR(in->dst[0])) == T_FLOAT)
        in->imm |= LOW_FLOAT_RESULT;
    for (uint32_t i = 0; i < 2; i++)
        if (seen_type(f, in->args[i]) == T_FLOAT)
            in->imm |= LOW_FLOAT_ARG << i;
}

/* Part of a constant. */
static const struct core_const *fold_part(const struct low_instr *in)
{
    const struct core_const *c = in->args[0].lit;

    if (c == NULL)
        return NULL;
    if (in->op == LO_ELEMENT)
        return c->kind == CC_TUPLE && in->imm < c->n ? c->elements[in->imm] : NULL;
    return c->kind != CC_CONS ? NULL : in->op == LO_HEAD ? c->head : c->tail;
}

static void visit_instr(struct facts *f, struct low_block *b, struct low_instr *in)
{
    const struct core_const *known;

    for (uint32_t i = 0; i < in->n; i++)
        in->args[i] = low_resolve(f->l, in->args[i]);
    switch (in->op) {
    case LO_TUPLE:
        set_type(f, in, T_TUPLE);
        f->l->vars[in->dst[0]].arity = in->n;
        break;
    case LO_CONS:
        set_type(f, in, T_CONS);
        break;
    case LO_FUN:
        set_type(f, in, T_FUN);
        break;
    case LO_MAP:
        set_type(f, in, T_MAP);
        break;
    case LO_BITS:
    case LO_BS_TAIL:
    case LO_BS_BINARY:
        set_type(f, in, T_BITS);
        break;
    case LO_BS_INT:
    case LO_BS_UTF:
    case LO_BS_POSITION:
        set_type(f, in, T_INT);
        break;
    case LO_BS_FLOAT:
        set_type(f, in, T_FLOAT);
        break;
    case LO_TRY_CASE:
        set_type(f, in, T_OTHER_ATOM);
        break;
    case LO_HEAD:
    case LO_TAIL:
    case LO_ELEMENT:
        known = fold_part(in);
        if (known != NULL) {
            f->l->vars[in->dst[0]].alias = VAL_LIT(known);
            low_remove(b, in);
        }
        break;
    case LO_BIF:
    case LO_BIF_TRY:
        known = fold(f, in);
        if (known != NULL) {
            f->l->vars[in->dst[0]].alias = VAL_LIT(known);
            if (in->op == LO_BIF)
                low_remove(b, in);
            break;
        }
        constant_second(in);
        set_type(f, in, bif_type(f, in));
        if (in->bif->kind == BIF_GC && in->n == 2)
            note_floats(f, in);
        if (in->op == LO_BIF && unchecked(f, in))
            set_type(f, in, T_ANY);
        break;
    default:
        break;
    }
}

/* --- branches --------------------------------------------------------------------------------- */

static void become_jump(struct facts *f, struct low_block *b, uint32_t way)
{
    struct low_block *to = b->last->to[way];

    low_remove(b, b->last);
    low_jump(f->l, b, to, NULL, 0);
}

/* Cases that cannot be go; when all that is left is one of two, a plain test does. */
static void visit_switch(struct facts *f, struct low_block *b, struct low_instr *t)
{
    unsigned type = val_type(f, t->args[0]);
    uint32_t n = 0;
    bool all;

    for (uint32_t i = 0; i + 1u < t->n_to; i++) {
        if ((low_const_type(t->cases[i].lit) & type) == 0)
            continue;
        t->cases[n] = t->cases[i];
        t->to[n++] = t->to[i];
        if (is_single(low_const_type(t->cases[i].lit)))
            type &= ~low_const_type(t->cases[i].lit);
    }
    all = type == 0 && n > 0;           /* the default is never taken */
    t->to[n] = t->to[t->n_to - 1];
    t->n_to = (uint16_t)(n + 1);
    if (all) {
        t->n_to--;                      /* the last case becomes the default */
        n--;
    }
    if (n == 0) {
        become_jump(f, b, 0);
    } else if (n == 1) {
        struct low_instr *in = low_instr_bare(f->l, LO_IF_LIT, 2, 0, 2);

        in->args[0] = t->args[0];
        in->args[1] = VAL_LIT(t->cases[0].lit);
        in->to[0] = t->to[0];
        in->to[1] = t->to[1];
        low_remove(b, t);
        low_append(b, in);
    }
}

static void visit_term(struct facts *f, struct low_block *b, struct low_instr *t)
{
    struct low_val v = t->n > 0 ? t->args[0] : (struct low_val){ 0 };
    int outcome = -1;

    switch (t->op) {
    case LO_IF:
        outcome = test_outcome(f, t->bif, t->args);
        break;
    case LO_IF_LIT:
        if (v.lit != NULL)
            outcome = cc_equal(v.lit, t->args[1].lit);
        else if ((val_type(f, v) & low_const_type(t->args[1].lit)) == 0)
            outcome = 0;
        else if (is_single(val_type(f, v)))
            outcome = 1;
        break;
    case LO_IF_ARITY:
        if (v.var != 0 && f->l->vars[v.var].arity >= 0)
            outcome = f->l->vars[v.var].arity == (int32_t)t->imm;
        break;
    case LO_IF_TAGGED:
        if ((val_type(f, v) & T_TUPLE) == 0)
            outcome = 0;
        break;
    case LO_BIF_TRY:
        if (f->l->vars[t->dst[0]].alias.lit != NULL)
            outcome = 1;
        break;
    case LO_SWITCH:
        if (v.lit == NULL)
            visit_switch(f, b, t);
        break;
    case LO_SWITCH_ARITY:
        for (uint32_t i = 0; v.var != 0 && f->l->vars[v.var].arity >= 0 && i + 1u < t->n_to; i++) {
            if (f->l->vars[v.var].arity == (int32_t)t->cases[i].arity) {
                become_jump(f, b, i);
                return;
            }
        }
        break;
    case LO_JUMP:
        for (uint32_t i = 0; i < t->n; i++) {
            struct low_var *p = &f->l->vars[t->to[0]->params[i]];
            int32_t arity = t->args[i].var != 0 ? f->l->vars[t->args[i].var].arity : -1;

            p->arity = p->type == 0 || p->arity == arity ? arity : -1;
            p->type |= seen_type(f, t->args[i]);
        }
        break;
    default:
        break;
    }
    if (outcome >= 0)
        become_jump(f, b, outcome ? 0 : 1);
}

/* What is known because p went to b. */
static void visit_edge(struct facts *f, const struct low_block *p, const struct low_block *b)
{
    const struct low_instr *t = p->last;
    const struct type_test *test;
    uint32_t way = 0;
    size_t ways = 0;

    for (uint32_t i = 0; i < t->n_to; i++) {
        if (t->to[i] == b) {
            way = i;
            ways++;
        }
    }
    if (ways != 1)
        return;
    switch (t->op) {
    case LO_IF:
        test = t->n == 1 ? type_test(t->bif) : NULL;
        if (test != NULL && (way == 0 || test->exact))
            narrow(f, t->args[0], way == 0 ? test->type : ~test->type);
        if (way == 0 && strcmp(t->bif->name, "=:=") == 0 && t->args[1].lit != NULL)
            set_literal(f, t->args[0], t->args[1].lit);
        break;
    case LO_IF_LIT:
        if (way == 0)
            set_literal(f, t->args[0], t->args[1].lit);
        else if (is_single(low_const_type(t->args[1].lit)))
            narrow(f, t->args[0], ~low_const_type(t->args[1].lit));
        break;
    case LO_IF_ARITY:
    case LO_IF_TAGGED:
        if (way == 0)
            set_arity(f, t->args[0], t->imm);
        break;
    case LO_SWITCH:
        if (way + 1u < t->n_to) {
            set_literal(f, t->args[0], t->cases[way].lit);
            break;
        }
        for (uint32_t i = 0; i < way; i++)
            if (is_single(low_const_type(t->cases[i].lit)))
                narrow(f, t->args[0], ~low_const_type(t->cases[i].lit));
        break;
    case LO_SWITCH_ARITY:
        if (way + 1u < t->n_to)
            set_arity(f, t->args[0], t->cases[way].arity);
        break;
    default:
        break;
    }
}

static void visit(struct facts *f, struct low_block *b)
{
    struct low_instr *next;

    if (b->n_preds == 1 && b->idom != b)
        visit_edge(f, b->preds[0], b);
    for (struct low_instr *in = b->first; in != NULL; in = next) {
        next = in->next;
        visit_instr(f, b, in);
    }
    visit_term(f, b, b->last);
}

static void leave(struct facts *f, size_t undo_to)
{
    while (f->n_undo > undo_to) {
        struct undo *u = &f->undo[--f->n_undo];

        f->l->vars[u->var] = u->old;
    }
}

void facts(struct low *l)
{
    struct facts f = { .l = l };
    struct low_block **stack = ARENA_NEW_ARRAY(l->arena, struct low_block *, l->n_blocks + 1);
    size_t *undo_to = ARENA_NEW_ARRAY(l->arena, size_t, l->n_blocks + 1), depth = 0;

    low_dominators(l);
    for (uint32_t i = 1; i < l->n_blocks; i++)
        for (uint32_t j = 0; j < l->blocks[i]->n_params; j++)
            l->vars[l->blocks[i]->params[j]].type = 0;
    stack[depth++] = l->entry;
    undo_to[0] = 0;
    visit(&f, l->entry);
    /* kid of the block on top is the next one to go down to. */
    while (depth > 0) {
        struct low_block *b = stack[depth - 1], *kid = b->kid;

        if (kid == NULL) {
            leave(&f, undo_to[--depth]);
            continue;
        }
        b->kid = kid->sibling;
        undo_to[depth] = f.n_undo;
        stack[depth++] = kid;
        visit(&f, kid);
    }
}
