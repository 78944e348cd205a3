/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lower.c - from the tree of a function to blocks
 *
 * lower_value evaluates into a value. What branches goes to a block with one parameter through
 * lower_to, which hands a destination down to all ends of the tree: a call that ends at the
 * function's own value is a tail call. Bodies of let and its like are walked in a loop, so only
 * nesting takes C stack, and core_check has limited that.
 */
#include "lang/lower_priv.h"

#include "base/assert.h"
#include "base/errors.h"

#include <string.h>

/* --- blocks and instructions ------------------------------------------------------------------ */

struct low_block *lower_new_block(struct lower *w)
{
    return low_block_new(w->l, w->handler);
}

void lower_enter(struct lower *w, struct low_block *b)
{
    w->cur = b;
}

struct low_instr *lower_add(struct lower *w, enum low_op op, struct core_span at, size_t n,
                            size_t n_dst, size_t n_to)
{
    struct low_instr *in;

    if (n > UINT16_MAX || n_to > UINT16_MAX) {
        unit_fail(w->u, -ERR_LIMIT, at, "too many elements in one place");
        n = n_to = 0;
    }
    in = low_instr_new(w->l, w->cur, op, n, n_dst, n_to);
    in->line = at.line;
    in->file = at.file;
    if (LOW_IS_TERM(op))
        w->cur = lower_new_block(w);
    return in;
}

void lower_jump(struct lower *w, struct low_block *to, const struct low_val *args, size_t n)
{
    low_jump(w->l, w->cur, to, args, n);
    w->cur = lower_new_block(w);
}

void lower_add_param(struct lower *w, struct low_block *b, uint32_t var)
{
    uint32_t *more = ARENA_NEW_ARRAY(w->l->arena, uint32_t, b->n_params + 1);

    if (b->n_params > 0)
        memcpy(more, b->params, b->n_params * sizeof *more);
    more[b->n_params++] = var;
    b->params = more;
    w->l->vars[var].block = b;
}

/* A block that takes one value; it is the value of what is lowered to it. */
static struct low_block *value_block(struct lower *w, struct low_val *ret_value)
{
    struct low_block *b = lower_new_block(w);

    *ret_value = VAL_VAR(low_var_new(w->l));
    lower_add_param(w, b, ret_value->var);
    return b;
}

void lower_set(struct lower *w, core_var v, struct low_val to)
{
    w->u->map[v] = to;
}

static struct low_val literal(struct lower *w, const char *atom)
{
    return VAL_LIT(cc_atom(w->u->m, atom));
}

/* --- functions as values ---------------------------------------------------------------------- */

static struct low_val closure(struct lower *w, struct core_fun *f)
{
    const core_var *free;
    struct low_function *fn = unit_lambda(w->u, f, &free);
    struct low_instr *in = lower_add(w, LO_FUN, f->span, fn->n_free, 1, 0);

    in->fun = fn;
    for (uint32_t i = 0; i < fn->n_free; i++)
        in->args[i] = lower_get(w, free[i], f->span);
    return VAL_VAR(in->dst[0]);
}

struct low_val lower_get(struct lower *w, core_var v, struct core_span at)
{
    struct low_val val = w->u->map[v];

    if (w->u->vars[v].known != NULL)
        return closure(w, w->u->vars[v].known);
    if (val.var == 0 && val.lit == NULL) {
        unit_fail(w->u, -ERR_ARGUMENT, at, "variable %u is used where it has no value", v);
        return VAL_LIT(w->u->m->nil);
    }
    return val;
}

/* --- sending values --------------------------------------------------------------------------- */

static void send(struct lower *w, struct low_val v, struct dest d, struct core_span at)
{
    if (d.to != NULL)
        lower_jump(w, d.to, &v, d.wanted);
    else
        lower_add(w, LO_RETURN, at, 1, 0, 0)->args[0] = v;
}

void lower_if_lit(struct lower *w, struct low_val v, const struct core_const *lit,
                  struct low_block *yes, struct low_block *no)
{
    struct low_instr *in = lower_add(w, LO_IF_LIT, (struct core_span){ 0 }, 2, 0, 2);

    in->args[0] = v;
    in->args[1] = VAL_LIT(lit);
    in->to[0] = yes;
    in->to[1] = no;
}

void lower_if(struct lower *w, const char *test, struct low_val v, struct low_block *yes,
              struct low_block *no)
{
    struct low_instr *in = lower_add(w, LO_IF, (struct core_span){ 0 }, 1, 0, 2);

    in->bif = low_bif(test, 1);
    in->args[0] = v;
    in->to[0] = yes;
    in->to[1] = no;
}

/* --- raising ---------------------------------------------------------------------------------- */

static void unreachable(struct lower *w)
{
    lower_add(w, LO_UNREACHABLE, (struct core_span){ 0 }, 0, 0, 0);
}

/* module:function that never returns. Inside a try the frame must stay, so it is a plain call. */
static void call_last(struct lower *w, struct core_span at, const char *function,
                      const struct low_val *args, size_t n)
{
    struct low_instr *in = lower_add(w, w->handler != NULL ? LO_CALL_EXT : LO_TAIL_EXT, at, n,
                                     w->handler != NULL, 0);

    in->module = core_atom(w->u->m, "erlang", 6);
    in->function = core_atom(w->u->m, function, strlen(function));
    low_copy(in->args, args, n);
    if (w->handler != NULL)
        unreachable(w);
}

static struct low_val make_tuple(struct lower *w, const struct low_val *elements, size_t n)
{
    struct low_instr *in = lower_add(w, LO_TUPLE, (struct core_span){ 0 }, n, 1, 0);

    low_copy(in->args, elements, n);
    return VAL_VAR(in->dst[0]);
}

/* error({tag, v}) */
static void raise_pair(struct lower *w, struct core_span at, const char *tag, struct low_val v)
{
    struct low_val pair[] = { literal(w, tag), v }, reason = make_tuple(w, pair, 2);

    call_last(w, at, "error", &reason, 1);
}

/* The reason {tag, V} of a match_fail: its V, when it is such a pair. */
static const struct core_expr *fail_value(struct lower *w, const struct core_expr *reason,
                                          const char *tag)
{
    if (reason->kind == CORE_TUPLE && reason->n == 2 && reason->args[0]->kind == CORE_LIT
        && cc_is_atom(reason->args[0]->lit, tag))
        return reason->args[1];
    if (reason->kind == CORE_LIT && reason->lit->kind == CC_TUPLE && reason->lit->n == 2
        && cc_is_atom(reason->lit->elements[0], tag))
        return core_lit(w->u->m, reason->span, reason->lit->elements[1]);
    return NULL;
}

static void match_fail(struct lower *w, const struct core_expr *e)
{
    static const struct { const char *tag; enum low_op op; } rows[] = {
        { "badmatch", LO_BADMATCH }, { "case_clause", LO_CASE_END },
        { "try_clause", LO_TRY_CASE_END },
    };
    const struct core_expr *reason = e->args[0];
    struct low_val v;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct core_expr *value = fail_value(w, reason, rows[i].tag);

        if (value != NULL) {
            v = lower_value(w, value);
            lower_add(w, rows[i].op, e->span, 1, 0, 0)->args[0] = v;
            return;
        }
    }
    if (reason->kind == CORE_LIT && cc_is_atom(reason->lit, "if_clause")) {
        lower_add(w, LO_IF_END, e->span, 0, 0, 0);
    } else if (reason->kind == CORE_LIT && cc_is_atom(reason->lit, "function_clause")
               && w->handler == NULL && w->inlined == 0) {
        struct low_instr *in = lower_add(w, LO_FUNC_INFO, e->span, w->l->fn->arity, 0, 0);

        for (uint32_t i = 0; i < in->n; i++)
            in->args[i] = VAL_VAR(w->params[i]);
    } else {
        v = lower_value(w, reason);
        call_last(w, e->span, "error", &v, 1);
    }
}

static void lower_prim(struct lower *w, const struct core_expr *e, struct dest d)
{
    struct low_val args[3] = { { 0 } };
    struct low_instr *in;

    if (e->prim == PRIM_MATCH_FAIL) {
        match_fail(w, e);
        return;
    }
    for (uint32_t i = 0; i < e->n; i++)
        args[i] = lower_value(w, e->args[i]);
    if (e->prim == PRIM_STACKTRACE) {
        in = lower_add(w, LO_STACKTRACE, e->span, 1, 1, 0);
        in->args[0] = args[0];
        send(w, VAL_VAR(in->dst[0]), d, e->span);
    } else if (e->prim == PRIM_RERAISE) {
        in = lower_add(w, LO_RERAISE, e->span, 2, 0, 0);
        in->args[0] = args[2];
        in->args[1] = args[1];
    } else if (args[0].lit != NULL && args[0].lit->kind == CC_ATOM
               && (cc_is_atom(args[0].lit, "error") || cc_is_atom(args[0].lit, "exit")
                   || cc_is_atom(args[0].lit, "throw"))) {
        call_last(w, e->span, args[0].lit->atom->name, &args[1], 1);
    } else {
        args[2] = VAL_LIT(w->u->m->nil);
        call_last(w, e->span, "raise", args, 3);
    }
}

/* --- calls ------------------------------------------------------------------------------------ */

static void lower_args(struct lower *w, struct core_expr *const *args, size_t n,
                       struct low_val *ret)
{
    for (size_t i = 0; i < n; i++)
        ret[i] = lower_value(w, args[i]);
}

static struct low_val *args_new(struct lower *w, const struct core_expr *e, size_t more)
{
    struct low_val *args = ARENA_NEW_ARRAY(w->u->arena, struct low_val, e->n + more);

    lower_args(w, e->args, e->n, args);
    return args;
}

/* A call, in tail position or not, that continues at d. */
static struct low_instr *call(struct lower *w, enum low_op op, const struct core_expr *e,
                              const struct low_val *args, size_t n, struct dest d)
{
    static const enum low_op last[] = {
        [LO_CALL] = LO_TAIL_CALL, [LO_CALL_EXT] = LO_TAIL_EXT, [LO_CALL_FUN] = LO_TAIL_FUN,
        [LO_APPLY] = LO_TAIL_APPLY,
    };
    bool tail = d.to == NULL && w->handler == NULL && op != LO_SEND;
    struct low_instr *in = lower_add(w, tail ? last[op] : op, e->span, n, !tail, 0);

    if (in->n == n)
        low_copy(in->args, args, n);
    if (!tail)
        send(w, VAL_VAR(in->dst[0]), d, e->span);
    return in;
}

static void call_known(struct lower *w, struct core_fun *f, const struct core_expr *e,
                       struct dest d)
{
    const core_var *free;
    struct low_function *fn = unit_lambda(w->u, f, &free);
    struct low_val *args = args_new(w, e, fn->n_free);

    for (uint32_t i = 0; i < fn->n_free; i++)
        args[e->n + i] = lower_get(w, free[i], e->span);
    call(w, LO_CALL, e, args, fn->arity, d)->fun = fn;
}

/* Put the body of a fun that is called only here in the place of the call. */
static void call_inline(struct lower *w, struct core_fun *f, const struct core_expr *e,
                        struct dest d)
{
    struct low_val *args = args_new(w, e, 0);

    for (uint32_t i = 0; i < f->arity; i++)
        lower_set(w, f->params[i], args[i]);
    w->inlined++;
    lower_to(w, f->body, d);
    w->inlined--;
}

static void lower_apply(struct lower *w, const struct core_expr *e, struct dest d)
{
    struct core_expr *callee = e->callee;
    struct low_val *args, f;

    if (callee->kind == CORE_FUN && callee->fun->arity == e->n) {
        call_inline(w, callee->fun, e, d);
        return;
    }
    if (callee->kind == CORE_VAR) {
        const struct var_info *v = &w->u->vars[callee->var];

        if (v->known != NULL && v->known->arity == e->n) {
            if (v->calls == 1 && v->uses == 0)
                call_inline(w, v->known, e, d);
            else
                call_known(w, v->known, e, d);
            return;
        }
    }
    if (callee->kind == CORE_LOCAL && callee->n == e->n) {
        struct low_function *fn = unit_function(w->u, callee->name, e->n);

        call(w, LO_CALL, e, args_new(w, e, 0), e->n, d)->fun = fn;
        return;
    }
    f = lower_value(w, callee);
    args = args_new(w, e, 1);
    args[e->n] = f;
    call(w, LO_CALL_FUN, e, args, e->n + 1, d)->imm = e->n;
}

/* Length of a list that is written out, or -1. */
static long written_length(const struct core_expr *e)
{
    const struct core_const *c;
    long n = 0;

    for (; e->kind == CORE_CONS; e = e->args[1])
        n++;
    if (e->kind != CORE_LIT)
        return -1;
    for (c = e->lit; c->kind == CC_CONS; c = c->tail)
        n++;
    return c->kind == CC_NIL ? n : -1;
}

static struct core_expr *list_element(struct lower *w, const struct core_expr **list)
{
    const struct core_expr *e = *list;
    struct core_expr *head;

    if (e->kind == CORE_CONS) {
        *list = e->args[1];
        return e->args[0];
    }
    head = core_lit(w->u->m, e->span, e->lit->head);
    *list = core_lit(w->u->m, e->span, e->lit->tail);
    return head;
}

static void lower_remote(struct lower *w, const struct core_expr *e, struct dest d);

/* apply(M, F, [A, ...]) with the list written out is a call. */
static bool lower_apply_list(struct lower *w, const struct core_expr *e, struct dest d)
{
    long n = written_length(e->args[2]);
    const struct core_expr *list = e->args[2];
    struct core_expr direct = { .kind = CORE_REMOTE, .span = e->span };

    if (n < 0 || n > 250)
        return false;
    direct.n = (uint32_t)n;
    direct.module = e->args[0];
    direct.function = e->args[1];
    direct.args = ARENA_NEW_ARRAY(w->u->arena, struct core_expr *, n);
    for (long i = 0; i < n; i++)
        direct.args[i] = list_element(w, &list);
    lower_remote(w, &direct, d);
    return true;
}

static bool never_returns(const char *name, size_t n)
{
    return ((strcmp(name, "error") == 0 && (n == 1 || n == 2 || n == 3))
            || (n == 1 && (strcmp(name, "exit") == 0 || strcmp(name, "throw") == 0)));
}

static bool can_fail(const struct bif_row *row)
{
    return !(row->kind == BIF_TEST && !(row->arity == 2 && strcmp(row->name, "is_function") == 0))
           && strcmp(row->name, "self") != 0 && !(row->arity == 0) && strcmp(row->name, "get") != 0;
}

static void lower_erlang(struct lower *w, const struct core_expr *e, struct dest d)
{
    const char *name = e->function->lit->atom->name;
    const struct bif_row *row = low_bif(name, e->n);
    struct low_val *args;
    struct low_instr *in;

    if (e->n == 3 && strcmp(name, "apply") == 0 && lower_apply_list(w, e, d))
        return;
    args = args_new(w, e, 0);
    if (row != NULL) {
        in = lower_add(w, LO_BIF, can_fail(row) ? e->span : (struct core_span){ 0 }, e->n, 1, 0);
        in->bif = row;
        low_copy(in->args, args, e->n);
        send(w, VAL_VAR(in->dst[0]), d, e->span);
    } else if (e->n == 2 && (strcmp(name, "send") == 0 || strcmp(name, "!") == 0)) {
        call(w, LO_SEND, e, args, 2, d);
    } else if (never_returns(name, e->n)) {
        call_last(w, e->span, name, args, e->n);
    } else {
        in = call(w, LO_CALL_EXT, e, args, e->n, d);
        in->module = e->module->lit->atom;
        in->function = e->function->lit->atom;
    }
}

static bool is_atom_lit(const struct core_expr *e)
{
    return e->kind == CORE_LIT && e->lit->kind == CC_ATOM;
}

static void lower_remote(struct lower *w, const struct core_expr *e, struct dest d)
{
    struct low_instr *in;
    struct low_val *args, module, function;

    if (is_atom_lit(e->module) && is_atom_lit(e->function)) {
        if (cc_is_atom(e->module->lit, "erlang")) {
            lower_erlang(w, e, d);
            return;
        }
        in = call(w, LO_CALL_EXT, e, args_new(w, e, 0), e->n, d);
        in->module = e->module->lit->atom;
        in->function = e->function->lit->atom;
        return;
    }
    module = lower_value(w, e->module);
    function = lower_value(w, e->function);
    args = args_new(w, e, 2);
    args[e->n] = module;
    args[e->n + 1] = function;
    call(w, LO_APPLY, e, args, e->n + 2, d)->imm = e->n;
}

/* --- constructors ----------------------------------------------------------------------------- */

static struct low_val lower_cons(struct lower *w, const struct core_expr *e)
{
    struct low_val *heads, tail;
    size_t n = 0, i = 0;
    const struct core_expr *c;

    for (c = e; c->kind == CORE_CONS; c = c->args[1])
        n++;
    heads = ARENA_NEW_ARRAY(w->u->arena, struct low_val, n);
    for (c = e; c->kind == CORE_CONS; c = c->args[1])
        heads[i++] = lower_value(w, c->args[0]);
    tail = lower_value(w, c);
    while (i > 0) {
        struct low_instr *in = lower_add(w, LO_CONS, e->span, 2, 1, 0);

        in->args[0] = heads[--i];
        in->args[1] = tail;
        tail = VAL_VAR(in->dst[0]);
    }
    return tail;
}

static struct low_val lower_tuple(struct lower *w, const struct core_expr *e)
{
    struct low_val *args = args_new(w, e, 0);
    struct low_instr *in = lower_add(w, LO_TUPLE, e->span, e->n, 1, 0);

    if (in->n == e->n)
        low_copy(in->args, args, e->n);
    return VAL_VAR(in->dst[0]);
}

static struct low_val map_put(struct lower *w, const struct core_expr *e, struct low_val base,
                              const struct low_val *pairs, size_t n, bool exact)
{
    struct low_instr *in = lower_add(w, LO_MAP, e->span, 1 + 2 * n, 1, 0);

    in->exact = exact;
    if (in->n == 0)
        return base;
    in->args[0] = base;
    low_copy(in->args + 1, pairs, 2 * n);
    return VAL_VAR(in->dst[0]);
}

static bool same_key(struct low_val a, struct low_val b)
{
    return a.lit != NULL && b.lit != NULL && cc_equal(a.lit, b.lit);
}

/* May pair i go into one instruction with those from `from`? Keys must differ for sure. */
static bool joins_run(const struct core_expr *e, const struct low_val *pairs, uint32_t from,
                      uint32_t i)
{
    if (e->pairs[i].exact != e->pairs[from].exact || pairs[2 * i].lit == NULL
        || pairs[2 * from].lit == NULL || i - from >= 64)
        return false;
    for (uint32_t j = from; j < i; j++)
        if (same_key(pairs[2 * j], pairs[2 * i]))
            return false;
    return true;
}

static struct low_val lower_map(struct lower *w, const struct core_expr *e)
{
    struct low_val *pairs = ARENA_NEW_ARRAY(w->u->arena, struct low_val, 2 * e->n + 1);
    struct low_val base = VAL_LIT(cc_map(w->u->m, NULL, 0));
    bool constant = e->base == NULL;
    uint32_t from = 0;

    if (e->base != NULL)
        base = lower_value(w, e->base);
    for (uint32_t i = 0; i < e->n; i++) {
        pairs[2 * i] = lower_value(w, e->pairs[i].key);
        pairs[2 * i + 1] = lower_value(w, e->pairs[i].value);
        constant &= pairs[2 * i].lit != NULL && pairs[2 * i + 1].lit != NULL
                    && !e->pairs[i].exact;
    }
    if (constant && e->n <= 1000) {
        const struct core_const **lits =
            ARENA_NEW_ARRAY(w->u->arena, const struct core_const *, 2 * e->n + 1);

        for (uint32_t i = 0; i < 2 * e->n; i++)
            lits[i] = pairs[i].lit;
        return VAL_LIT(cc_map(w->u->m, lits, e->n));
    }
    if (e->base != NULL) {
        struct low_block *yes = lower_new_block(w), *no = lower_new_block(w);

        lower_if(w, "is_map", base, yes, no);
        lower_enter(w, no);
        raise_pair(w, e->span, "badmap", base);
        lower_enter(w, yes);
    }
    for (uint32_t i = 0; i < e->n; i++) {
        if (i + 1 < e->n && joins_run(e, pairs, from, i + 1))
            continue;
        base = map_put(w, e, base, pairs + 2 * from, i + 1 - from, e->pairs[from].exact);
        from = i + 1;
    }
    return base;
}

static struct low_val lower_bits(struct lower *w, const struct core_expr *e)
{
    struct low_val *args = ARENA_NEW_ARRAY(w->u->arena, struct low_val, 2 * e->n + 1);
    struct low_instr *in;

    for (uint32_t i = 0; i < e->n; i++) {
        args[2 * i] = lower_value(w, e->segments[i].value);
        if (e->segments[i].size != NULL)
            args[2 * i + 1] = lower_value(w, e->segments[i].size);
    }
    if (e->n == 0)
        return VAL_LIT(cc_binary(w->u->m, "", 0));
    in = lower_add(w, LO_BITS, e->span, 2 * e->n, 1, 0);
    if (in->n != 0)
        low_copy(in->args, args, 2 * e->n);
    in->segments = e->segments;
    return VAL_VAR(in->dst[0]);
}

/* --- branching -------------------------------------------------------------------------------- */

static void lower_case(struct lower *w, const struct core_expr *e, struct dest d)
{
    struct low_val *values = ARENA_NEW_ARRAY(w->u->arena, struct low_val, e->n_values + 1);
    struct low_block **bodies = ARENA_NEW_ARRAY(w->u->arena, struct low_block *, e->n + 1);
    struct low_block *fail = lower_new_block(w);

    lower_args(w, e->values, e->n_values, values);
    lower_match(w, values, e->n_values, e->clauses, e->n, fail, bodies);
    lower_enter(w, fail);
    if (e->n_values != 1)
        values[0] = make_tuple(w, values, e->n_values);
    lower_add(w, LO_CASE_END, e->span, 1, 0, 0)->args[0] = values[0];
    for (uint32_t i = 0; i < e->n; i++) {
        lower_enter(w, bodies[i]);
        lower_to(w, e->clauses[i]->body, d);
    }
}

static bool pins(const struct core_pat *p, core_var v)
{
    bool found = p->kind == CP_PIN && p->var == v;

    if (p->kind == CP_ALIAS)
        return pins(p->sub, v);
    for (uint32_t i = 0; i < p->n && !found; i++) {
        if (p->kind == CP_TUPLE || p->kind == CP_CONS)
            found = pins(p->elements[i], v);
        else if (p->kind == CP_MAP)
            found = pins(p->pairs[i].pat, v);
    }
    return found;
}

/* A variable whose value the pattern asks for: the first one. */
static core_var pinned(const struct core_pat *p)
{
    core_var v = p->kind == CP_PIN ? p->var : 0;

    if (p->kind == CP_ALIAS)
        return pinned(p->sub);
    for (uint32_t i = 0; i < p->n && v == 0; i++)
        if (p->kind == CP_TUPLE || p->kind == CP_CONS)
            v = pinned(p->elements[i]);
    return v;
}

/* The variable that the messages of all clauses hold, perhaps a reference; 0: there is none. */
static core_var marked(const struct core_expr *e)
{
    core_var v = e->n > 0 ? pinned(e->clauses[0]->pats[0]) : 0;

    for (uint32_t i = 1; i < e->n && v != 0; i++)
        if (!pins(e->clauses[i]->pats[0], v))
            return 0;
    return v;
}

static void mark(struct lower *w, enum low_op op, core_var ref, struct core_span at)
{
    if (ref == 0)
        return;
    lower_add(w, op, (struct core_span){ 0 }, 1, 0, 0)->args[0] = lower_get(w, ref, at);
}

static void lower_wait(struct lower *w, const struct core_expr *e, struct low_block *head,
                       struct low_val time, core_var ref, struct dest d)
{
    struct low_block *late;
    struct low_instr *in;

    if (e->timeout == NULL || (time.lit != NULL && cc_is_atom(time.lit, "infinity"))) {
        lower_add(w, LO_WAIT, e->span, 0, 0, 1)->to[0] = head;
        return;
    }
    late = lower_new_block(w);
    in = lower_add(w, LO_WAIT_TIMEOUT, e->span, 1, 0, 2);
    in->args[0] = time;
    in->to[0] = head;
    in->to[1] = late;
    lower_enter(w, late);
    lower_add(w, LO_TIMEOUT, e->span, 0, 0, 0);
    mark(w, LO_MARK_CLEAR, ref, e->span);
    lower_to(w, e->after, d);
}

static void lower_receive(struct lower *w, const struct core_expr *e, struct dest d)
{
    struct low_block **bodies = ARENA_NEW_ARRAY(w->u->arena, struct low_block *, e->n + 1);
    struct low_block *head = lower_new_block(w), *match, *next, *wait;
    struct low_val time = { 0 }, msg;
    core_var ref = marked(e);
    struct low_instr *in;

    w->l->loops = true;
    if (e->timeout != NULL)
        time = lower_value(w, e->timeout);
    mark(w, LO_MARK_USE, ref, e->span);
    lower_jump(w, head, NULL, 0);
    lower_enter(w, head);
    if (e->n == 0) {
        lower_wait(w, e, head, time, ref, d);
        return;
    }
    match = lower_new_block(w);
    next = lower_new_block(w);
    wait = lower_new_block(w);
    in = lower_add(w, LO_LOOP_REC, e->span, 0, 1, 2);
    in->to[0] = match;
    in->to[1] = wait;
    msg = VAL_VAR(in->dst[0]);
    lower_enter(w, match);
    lower_match(w, &msg, 1, e->clauses, e->n, next, bodies);
    lower_enter(w, next);
    lower_add(w, LO_LOOP_REC_END, e->span, 0, 0, 1)->to[0] = head;
    for (uint32_t i = 0; i < e->n; i++) {
        lower_enter(w, bodies[i]);
        lower_add(w, LO_REMOVE_MESSAGE, e->span, 0, 0, 0);
        mark(w, LO_MARK_CLEAR, ref, e->span);
        lower_to(w, e->clauses[i]->body, d);
    }
    lower_enter(w, wait);
    lower_wait(w, e, head, time, ref, d);
}

static void lower_try(struct lower *w, const struct core_expr *e, struct dest d)
{
    const struct core_try *t = e->try;
    struct low_block *outer = w->handler, *catch = lower_new_block(w), *inside, *end, *body;
    struct low_instr *in = lower_add(w, LO_TRY, e->span, 0, 1, 0);
    struct low_val value;
    uint32_t tag = in->dst[0];

    body = lower_new_block(w);
    w->l->vars[tag].is_tag = true;
    w->l->vars[tag].tag_depth = (uint8_t)w->tries;
    if (++w->tries > w->l->n_tags)
        w->l->n_tags = w->tries;
    if (w->tries > 200)
        unit_fail(w->u, -ERR_LIMIT, e->span, "more than 200 nested try");
    w->handler = catch;
    inside = lower_new_block(w);
    low_jump(w->l, w->cur, inside, NULL, 0);
    lower_enter(w, inside);
    end = value_block(w, &value);
    lower_to(w, t->protected, (struct dest){ end, true });
    lower_enter(w, end);
    lower_add(w, LO_TRY_END, e->span, 1, 0, 0)->args[0] = VAL_VAR(tag);
    low_jump(w->l, w->cur, body, NULL, 0);
    w->handler = outer;
    w->tries--;
    lower_enter(w, body);
    lower_set(w, t->value, value);
    lower_to(w, t->body, d);
    lower_enter(w, catch);
    in = lower_add(w, LO_TRY_CASE, e->span, 1, 3, 0);
    in->args[0] = VAL_VAR(tag);
    lower_set(w, t->class, VAL_VAR(in->dst[0]));
    lower_set(w, t->reason, VAL_VAR(in->dst[1]));
    lower_set(w, t->trace, VAL_VAR(in->dst[2]));
    lower_to(w, t->handler, d);
}

/* and, or. */
static void lower_logic(struct lower *w, const struct core_expr *e, struct dest d)
{
    struct low_val a = lower_value(w, e->args[0]);
    const struct core_const *stop = e->kind == CORE_AND ? w->u->m->false_ : w->u->m->true_;
    struct low_block *other = lower_new_block(w), *known = lower_new_block(w);
    struct low_block *bad = lower_new_block(w);
    struct low_block *more = lower_new_block(w);

    lower_if_lit(w, a, stop, known, other);
    lower_enter(w, other);
    lower_if_lit(w, a, e->kind == CORE_AND ? w->u->m->true_ : w->u->m->false_, more, bad);
    lower_enter(w, bad);
    raise_pair(w, e->span, "badarg", a);
    lower_enter(w, known);
    send(w, VAL_LIT(stop), d, e->span);
    lower_enter(w, more);
    lower_to(w, e->args[1], d);
}

/* --- expressions ------------------------------------------------------------------------------ */

/* Does lower_to do more for it than lower_value? */
static bool branches(const struct core_expr *e)
{
    switch (e->kind) {
    case CORE_LIT:
    case CORE_VAR:
    case CORE_TUPLE:
    case CORE_CONS:
    case CORE_MAP:
    case CORE_BITS:
    case CORE_FUN:
    case CORE_LOCAL:
        return false;
    default:
        return true;
    }
}

static struct low_val lower_simple(struct lower *w, const struct core_expr *e)
{
    struct low_instr *in;

    switch (e->kind) {
    case CORE_LIT:
        return VAL_LIT(e->lit);
    case CORE_VAR:
        return lower_get(w, e->var, e->span);
    case CORE_TUPLE:
        return lower_tuple(w, e);
    case CORE_CONS:
        return lower_cons(w, e);
    case CORE_MAP:
        return lower_map(w, e);
    case CORE_BITS:
        return lower_bits(w, e);
    case CORE_FUN:
        return closure(w, e->fun);
    default:
        ASSERT(e->kind == CORE_LOCAL);
        in = lower_add(w, LO_FUN, e->span, 0, 1, 0);
        in->fun = unit_function(w->u, e->name, e->n);
        return VAL_VAR(in->dst[0]);
    }
}

struct low_val lower_value(struct lower *w, const struct core_expr *e)
{
    struct low_block *to;
    struct low_val v;

    if (!branches(e))
        return lower_simple(w, e);
    to = value_block(w, &v);
    lower_to(w, e, (struct dest){ to, true });
    lower_enter(w, to);
    return v;
}

static void lower_effect(struct lower *w, const struct core_expr *e)
{
    struct low_block *to;

    if (!branches(e)) {
        (void)lower_simple(w, e);
        return;
    }
    to = lower_new_block(w);
    lower_to(w, e, (struct dest){ to, false });
    lower_enter(w, to);
}

/* The part of a let, seq, letrec or join in front of its body. */
static void lower_front(struct lower *w, const struct core_expr *e)
{
    struct low_block *b;

    if (e->kind == CORE_SEQ) {
        lower_effect(w, e->value);
    } else if (e->kind == CORE_LET && e->value->kind != CORE_FUN) {
        lower_set(w, e->bound, lower_value(w, e->value));
    } else if (e->kind == CORE_JOIN) {
        b = e->join->emit;
        lower_enter(w, b);
        for (uint32_t i = 0; i < e->join->n; i++)
            lower_set(w, e->join->params[i], VAL_VAR(b->params[i]));
    }
}

static void join_prepare(struct lower *w, struct core_label *label)
{
    struct low_block *b = lower_new_block(w);

    for (uint32_t i = 0; i < label->n; i++)
        lower_add_param(w, b, low_var_new(w->l));
    label->emit = b;
}

static void lower_jump_to_label(struct lower *w, const struct core_expr *e)
{
    struct low_val *args = args_new(w, e, 0);

    lower_jump(w, e->label->emit, args, e->n);
}

void lower_to(struct lower *w, const struct core_expr *e, struct dest d)
{
    while (e->kind == CORE_LET || e->kind == CORE_SEQ || e->kind == CORE_LETREC
           || e->kind == CORE_JOIN) {
        if (e->kind == CORE_JOIN) {
            join_prepare(w, e->join);
            lower_to(w, e->value, d);
        }
        lower_front(w, e);
        e = e->body;
    }
    switch (e->kind) {
    case CORE_JUMP:
        lower_jump_to_label(w, e);
        break;
    case CORE_CASE:
        lower_case(w, e, d);
        break;
    case CORE_RECEIVE:
        lower_receive(w, e, d);
        break;
    case CORE_TRY:
        lower_try(w, e, d);
        break;
    case CORE_AND:
    case CORE_OR:
        lower_logic(w, e, d);
        break;
    case CORE_CALL:
        call(w, LO_CALL, e, args_new(w, e, 0), e->n, d)->fun = unit_function(w->u, e->name, e->n);
        break;
    case CORE_REMOTE:
        lower_remote(w, e, d);
        break;
    case CORE_APPLY:
        lower_apply(w, e, d);
        break;
    case CORE_PRIM:
        lower_prim(w, e, d);
        break;
    default:
        send(w, lower_simple(w, e), d, e->span);
        break;
    }
}

/* --- guards ----------------------------------------------------------------------------------- */

static struct low_val guard_value(struct lower *w, const struct core_expr *e,
                                  struct low_block *fail);

static const struct bif_row *guard_row(const struct core_expr *e)
{
    if (e->kind != CORE_REMOTE || !is_atom_lit(e->module) || !is_atom_lit(e->function))
        return NULL;
    return low_bif(e->function->lit->atom->name, e->n);
}

static struct low_val guard_bif(struct lower *w, const struct core_expr *e,
                                struct low_block *fail)
{
    const struct bif_row *row = guard_row(e);
    struct low_val args[3] = { { 0 } };
    struct low_block *next;
    struct low_instr *in;

    if (row == NULL) {
        unit_fail(w->u, -ERR_ARGUMENT, e->span, "a guard calls what no guard may call");
        return VAL_LIT(w->u->m->nil);
    }
    for (uint32_t i = 0; i < e->n; i++)
        args[i] = guard_value(w, e->args[i], fail);
    if (!can_fail(row)) {
        in = lower_add(w, LO_BIF, (struct core_span){ 0 }, e->n, 1, 0);
    } else {
        next = lower_new_block(w);
        in = lower_add(w, LO_BIF_TRY, e->span, e->n, 1, 2);
        in->to[0] = next;
        in->to[1] = fail;
        lower_enter(w, next);
    }
    in->bif = row;
    low_copy(in->args, args, e->n);
    return VAL_VAR(in->dst[0]);
}

static struct low_val guard_value(struct lower *w, const struct core_expr *e,
                                  struct low_block *fail)
{
    struct low_block *yes, *no, *join;
    struct low_val v;

    switch (e->kind) {
    case CORE_REMOTE:
        return guard_bif(w, e, fail);
    case CORE_TUPLE: {
        struct low_val *args = ARENA_NEW_ARRAY(w->u->arena, struct low_val, e->n + 1);

        for (uint32_t i = 0; i < e->n; i++)
            args[i] = guard_value(w, e->args[i], fail);
        return make_tuple(w, args, e->n);
    }
    case CORE_CONS: {
        struct low_instr *in;
        struct low_val head = guard_value(w, e->args[0], fail);
        struct low_val tail = guard_value(w, e->args[1], fail);

        in = lower_add(w, LO_CONS, e->span, 2, 1, 0);
        in->args[0] = head;
        in->args[1] = tail;
        return VAL_VAR(in->dst[0]);
    }
    case CORE_LET:
        lower_set(w, e->bound, guard_value(w, e->value, fail));
        return guard_value(w, e->body, fail);
    case CORE_AND:
    case CORE_OR:
        yes = lower_new_block(w);
        no = lower_new_block(w);
        join = value_block(w, &v);
        lower_condition(w, e, yes, no, fail);
        lower_enter(w, yes);
        lower_jump(w, join, &(struct low_val){ .lit = w->u->m->true_ }, 1);
        lower_enter(w, no);
        lower_jump(w, join, &(struct low_val){ .lit = w->u->m->false_ }, 1);
        lower_enter(w, join);
        return v;
    default:
        return lower_simple(w, e);
    }
}

void lower_condition(struct lower *w, const struct core_expr *e, struct low_block *yes,
                 struct low_block *no, struct low_block *fail)
{
    const struct bif_row *row = guard_row(e);
    struct low_block *more;
    struct low_val v;

    while (e->kind == CORE_LET) {
        lower_set(w, e->bound, guard_value(w, e->value, fail));
        e = e->body;
    }
    if (e->kind == CORE_AND || e->kind == CORE_OR) {
        more = lower_new_block(w);
        lower_condition(w, e->args[0], e->kind == CORE_AND ? more : yes,
                    e->kind == CORE_AND ? no : more, fail);
        lower_enter(w, more);
        lower_condition(w, e->args[1], yes, no, fail);
        return;
    }
    row = guard_row(e);
    if (row != NULL && e->n == 1 && strcmp(row->name, "not") == 0) {
        lower_condition(w, e->args[0], no, yes, fail);
        return;
    }
    if (row != NULL && row->kind == BIF_TEST && !can_fail(row)) {
        struct low_val args[2] = { { 0 } };
        struct low_instr *in;

        for (uint32_t i = 0; i < e->n; i++)
            args[i] = guard_value(w, e->args[i], fail);
        in = lower_add(w, LO_IF, (struct core_span){ 0 }, e->n, 0, 2);
        in->bif = row;
        low_copy(in->args, args, e->n);
        in->to[0] = yes;
        in->to[1] = no;
        return;
    }
    v = guard_value(w, e, fail);
    more = lower_new_block(w);
    lower_if_lit(w, v, w->u->m->true_, yes, more);
    lower_enter(w, more);
    lower_if_lit(w, v, w->u->m->false_, no, fail);
}

/* --- a function ------------------------------------------------------------------------------- */

int low_function_make(struct unit *u, struct low_function *fn, struct low *ret_low)
{
    struct low *l = ret_low;
    struct lower w = { .u = u, .l = l };
    const core_var *free = NULL;

    *l = (struct low){ .arena = u->arena, .m = u->m, .fn = fn };
    low_var_new(l);
    l->entry = low_block_new(l, NULL);
    w.cur = l->entry;
    w.params = ARENA_NEW_ARRAY(u->arena, uint32_t, fn->arity + 1);
    for (uint32_t i = 0; i < fn->arity; i++) {
        w.params[i] = low_var_new(l);
        lower_add_param(&w, l->entry, w.params[i]);
    }
    if (fn->n_free > 0)
        unit_lambda(u, fn->core, &free);
    for (uint32_t i = 0; i < fn->core->arity; i++)
        lower_set(&w, fn->core->params[i], VAL_VAR(w.params[i]));
    for (uint32_t i = 0; i < fn->n_free; i++)
        lower_set(&w, free[i], VAL_VAR(w.params[fn->core->arity + i]));
    lower_to(&w, fn->core->body, (struct dest){ NULL, true });
    return u->rc;
}
