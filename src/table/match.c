/* SPDX-License-Identifier: Apache-2.0 */
/*
 * match.c - compiling and running match specifications
 *
 * A head becomes a list of steps over a stack of terms still to be looked at: each step takes the
 * top one, tests or binds it, and may push its parts. Guards and bodies are small trees.
 *
 * While a body runs the object may lie in a row of a table. A value is either lent (it may point
 * into the object, good until the end of the run) or owned (on the heap of the run). Arguments of
 * calls are lent; constructed terms own all their parts; results of bodies are owned.
 */
#include "table/match.h"
#include "base/alloc.h"
#include "base/arena.h"
#include "heap/map.h"
#include "table/match_ops.h"
#include "term/atom.h"
#include "term/compare.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define EXPR_DEPTH_MAX 2000
#define FIRST_BYTES    960      /* what a specification of one clause takes; for malloc still small */
#define VAR_MAX 100000000

enum step_kind {
    STEP_ANY, STEP_WORD, STEP_EQUAL, STEP_BIND, STEP_SAME, STEP_LEAF = STEP_SAME,
    STEP_TUPLE, STEP_CONS, STEP_MAP,
    STEP_KEY,       /* push the value of map key `word` of the map that STEP_MAP took */
};

struct step { uint32_t kind, n; term word; };

enum expr_kind {
    EXPR_CONST, EXPR_VAR, EXPR_OBJECT, EXPR_VARS, EXPR_TUPLE, EXPR_CONS, EXPR_MAP, EXPR_CALL,
    EXPR_SELF, EXPR_AND, EXPR_OR, EXPR_ANDALSO, EXPR_ORELSE,
};

struct expr {
    uint32_t kind, n;               /* n: of arg, or the variable */
    term word;
    const struct match_op *op;
    struct expr *arg[];
};

struct clause {
    term head;
    struct step *steps;
    size_t nsteps;
    uint32_t *vars;                 /* numbers of the '$N', rising */
    size_t nvars;
    struct expr **guards, **body;
    size_t nguards, nbody;
};

struct match_spec {
    enum match_dialect dialect;
    struct clause *clauses;
    size_t nclauses, max_vars, max_stack, words;
    term *offheap;                  /* of the specification as a term, which constants point into */
    struct arena arena;             /* everything else */
};

/* --- memory ----------------------------------------------------------------------------------- */

void match_free(struct match_spec *ms)
{
    if (ms == NULL)
        return;
    if (ms->offheap != NULL)
        term_chain_release(ms->offheap);
    arena_fini(&ms->arena);
    mem_free(ms);
}

size_t match_spec_bytes(const struct match_spec *ms)
{
    return sizeof *ms + ms->words * sizeof(term) + ms->nclauses * sizeof(struct clause);
}

/* --- variables -------------------------------------------------------------------------------- */

/* N of an atom '$N', else -1. */
static int64_t var_number(term t)
{
    size_t len;
    const char *text;
    int64_t n = 0;

    if (!is_atom(t))
        return -1;
    text = atom_text(t, &len);
    if (len < 2 || len > 9 || text[0] != '$')
        return -1;
    for (size_t i = 1; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -1;
        n = n * 10 + (text[i] - '0');
    }
    return n < VAR_MAX ? n : -1;
}

static int64_t var_index(const struct clause *c, int64_t number)
{
    for (size_t i = 0; i < c->nvars; i++)
        if (c->vars[i] == number)
            return (int64_t)i;
    return -1;
}

/* A stack of terms to visit. Most fit into what is there. */
#define VISITS_FEW 32

struct visits { term *at, few[VISITS_FEW]; size_t n, cap; };

static void visits_init(struct visits *v, term first)
{
    v->at = v->few;
    v->cap = VISITS_FEW;
    v->few[0] = first;
    v->n = 1;
}

static void visits_fini(struct visits *v)
{
    if (v->at != v->few)
        mem_free(v->at);
}

static void visit_push(struct visits *v, term t)
{
    if (UNLIKELY(v->n == v->cap)) {
        term *more = mem_array(2 * v->cap, sizeof t);

        memcpy(more, v->at, v->n * sizeof t);
        visits_fini(v);
        v->at = more;
        v->cap *= 2;
    }
    v->at[v->n++] = t;
}

static bool visit_pop(struct visits *v, term *ret)
{
    if (v->n == 0)
        return false;
    *ret = v->at[--v->n];
    return true;
}

/* Push the parts of a pattern so that they are popped left to right. Maps: the values. */
static void visit_parts(struct visits *v, term t)
{
    if (is_cons(t)) {
        visit_push(v, cdr(t));
        visit_push(v, car(t));
    } else if (is_tuple(t)) {
        for (size_t i = tuple_arity(t); i > 0; i--)
            visit_push(v, tuple_elem(t, i - 1));
    } else if (is_map(t)) {
        size_t n = map_size(t);
        term *pairs = MEM_NEW_ARRAY(term, 2 * n + 1);

        map_pairs(t, pairs, false);
        for (size_t i = n; i > 0; i--)
            visit_push(v, pairs[2 * i - 1]);
        mem_free(pairs);
    }
}

/* No variable, no '_' and no map inside: matching is equality. */
static bool pattern_is_const(term t)
{
    struct visits v;
    bool is_const = true;

    visits_init(&v, t);
    while (is_const && visit_pop(&v, &t)) {
        if (t == ATOM_underscore || var_number(t) >= 0 || is_map(t))
            is_const = false;
        else
            visit_parts(&v, t);
    }
    visits_fini(&v);
    return is_const;
}

static int number_order(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

static void vars_collect(struct match_spec *ms, struct clause *c)
{
    struct visits v;
    struct buf found = { 0 };
    uint32_t *vars;
    size_t n, kept = 0;
    term t;

    visits_init(&v, c->head);
    while (visit_pop(&v, &t)) {
        int64_t number = var_number(t);

        if (number >= 0) {
            uint32_t u = (uint32_t)number;

            buf_add(&found, &u, sizeof u);
        } else {
            visit_parts(&v, t);
        }
    }
    visits_fini(&v);
    n = found.len / sizeof *vars;
    vars = ARENA_NEW_ARRAY(&ms->arena, uint32_t, n + 1);
    memcpy(vars, found.data == NULL ? (uint8_t *)"" : found.data, found.len);
    buf_fini(&found);
    qsort(vars, n, sizeof *vars, number_order);
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || vars[kept - 1] != vars[i])
            vars[kept++] = vars[i];
    c->vars = vars;
    c->nvars = kept;
    if (kept > ms->max_vars)
        ms->max_vars = kept;
}

/* --- heads ------------------------------------------------------------------------------------ */

static void step_add(struct buf *steps, uint32_t kind, size_t n, term word)
{
    struct step s = { kind, (uint32_t)n, word };

    buf_add(steps, &s, sizeof s);
}

static void head_compile(struct match_spec *ms, struct clause *c)
{
    struct visits v;
    struct buf steps = { 0 };
    bool few[16] = { false }, *bound = few;
    term t;

    if (c->nvars > ARRAY_LEN(few))
        bound = MEM_NEW_ARRAY(bool, c->nvars);
    visits_init(&v, c->head);
    while (visit_pop(&v, &t)) {
        int64_t number = var_number(t);
        size_t depth;

        if (t == ATOM_underscore) {
            step_add(&steps, STEP_ANY, 0, 0);
        } else if (number >= 0) {
            size_t i = (size_t)var_index(c, number);

            step_add(&steps, bound[i] ? STEP_SAME : STEP_BIND, i, 0);
            bound[i] = true;
        } else if (!is_ptr(t)) {
            step_add(&steps, STEP_WORD, 0, t);
        } else if (pattern_is_const(t)) {
            step_add(&steps, STEP_EQUAL, 0, t);
        } else {
            if (is_map(t)) {
                struct map_iter it;
                term key, value;

                step_add(&steps, STEP_MAP, map_size(t), t);
                map_iter_init(&it, t);
                while (map_iter_next(&it, &key, &value))
                    step_add(&steps, STEP_KEY, 0, key);
            } else if (is_tuple(t)) {
                step_add(&steps, STEP_TUPLE, tuple_arity(t), 0);
            } else {
                step_add(&steps, STEP_CONS, 0, 0);
            }
            visit_parts(&v, t);
        }
        depth = v.n;
        if (depth > ms->max_stack)
            ms->max_stack = depth;
    }
    if (bound != few)
        mem_free(bound);
    visits_fini(&v);
    c->nsteps = steps.len / sizeof(struct step);
    c->steps = arena_dup(&ms->arena, steps.data, steps.len);
    buf_fini(&steps);
}

/* Push the values of the keys of map so that the first key's is popped first: as visit_parts did. */
static bool map_values_push(const struct step *keys, size_t n, term map, term *stack, size_t *top)
{
    for (size_t i = n; i > 0; i--) {
        term value = map_get(map, keys[i - 1].word);

        if (value == TERM_NONE)
            return false;
        stack[(*top)++] = value;
    }
    return true;
}

/* A step that looks at one term and pushes nothing. */
ALWAYS_INLINE bool leaf_match(struct match_run *run, const struct step *s, term t)
{
    switch (s->kind) {
    case STEP_WORD:
        return t == s->word;
    case STEP_EQUAL:
        return term_eq(t, s->word);
    case STEP_BIND:
        run->vars[s->n] = t;
        return true;
    case STEP_SAME:
        return term_eq(run->vars[s->n], t);
    default:
        return true;
    }
}

static bool head_match(struct match_run *run, const struct clause *c, term object)
{
    term *stack = run->stack;
    size_t top = 1;
    const struct step *end = c->steps + c->nsteps;

    stack[0] = object;
    for (const struct step *s = c->steps; s < end; s++) {
        term t = stack[--top];
        size_t n = s->n, i = 0;

        switch (s->kind) {
        case STEP_ANY:
        case STEP_WORD:
        case STEP_EQUAL:
        case STEP_BIND:
        case STEP_SAME:
            if (!leaf_match(run, s, t))
                return false;
            break;
        case STEP_TUPLE:
            if (!is_tuple_n(t, n))
                return false;
            /* the steps of the first elements follow at once, if they are leaves */
            for (; i < n && s[1].kind <= STEP_LEAF; i++, s++)
                if (!leaf_match(run, s + 1, tuple_elem(t, i)))
                    return false;
            while (n > i)
                stack[top++] = tuple_elem(t, --n);
            break;
        case STEP_CONS:
            if (!is_cons(t))
                return false;
            stack[top++] = cdr(t);
            stack[top++] = car(t);
            break;
        case STEP_MAP:
            if (!is_map(t) || !map_values_push(s + 1, s->n, t, stack, &top))
                return false;
            s += s->n;
            break;
        default:
            UNREACHABLE();
        }
    }
    return true;
}

/* --- guards and bodies ------------------------------------------------------------------------ */

struct compiler {
    struct match_spec *ms;
    struct clause *clause;
    struct buf *errors;
    bool failed;
    unsigned depth;
};

static struct expr *complain(struct compiler *k, const char *fmt, ...) PRINTF_LIKE(2, 3);

static struct expr *complain(struct compiler *k, const char *fmt, ...)
{
    char line[400];
    va_list ap;

    k->failed = true;
    if (k->errors == NULL)
        return NULL;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    buf_printf(k->errors, "%s\n", line);
    return NULL;
}

static struct expr *expr_new(struct compiler *k, enum expr_kind kind, size_t nargs, term word)
{
    struct expr *e = arena_alloc(&k->ms->arena, sizeof *e + nargs * sizeof e->arg[0]);

    e->kind = kind;
    e->n = (uint32_t)nargs;
    e->word = word;
    return e;
}

static struct expr *expr_compile(struct compiler *k, term t);

/* A word, or a list or map of words and lists and so on, without variables and calls. */
static bool expr_is_const(term t)
{
    struct visits v;
    bool is_const = true;

    visits_init(&v, t);
    while (is_const && visit_pop(&v, &t)) {
        if (t == ATOM_dollar_underscore || t == ATOM_dollar_dollar || var_number(t) >= 0 ||
            is_tuple(t) || is_map(t))
            is_const = false;
        else
            visit_parts(&v, t);
    }
    visits_fini(&v);
    return is_const;
}

static struct expr *map_compile(struct compiler *k, term t)
{
    size_t n = map_size(t);
    struct expr *e = expr_new(k, EXPR_MAP, 2 * n, 0);
    term *pairs = MEM_NEW_ARRAY(term, 2 * n + 1);

    map_pairs(t, pairs, false);
    for (size_t i = 0; i < 2 * n; i++)
        e->arg[i] = expr_compile(k, pairs[i]);
    mem_free(pairs);
    return e;
}

static struct expr *atom_compile(struct compiler *k, term t)
{
    int64_t number = var_number(t), index;
    struct expr *e;

    if (t == ATOM_dollar_underscore)
        return expr_new(k, EXPR_OBJECT, 0, 0);
    if (t == ATOM_dollar_dollar)
        return expr_new(k, EXPR_VARS, 0, 0);
    if (number < 0)
        return expr_new(k, EXPR_CONST, 0, t);
    index = var_index(k->clause, number);
    if (index < 0)
        return complain(k, "Variable $%lld is unbound.", (long long)number);
    e = expr_new(k, EXPR_VAR, 0, 0);
    e->n = (uint32_t)index;
    return e;
}

static struct expr *args_compile(struct compiler *k, enum expr_kind kind, term call)
{
    size_t n = tuple_arity(call) - 1;
    struct expr *e = expr_new(k, kind, n, 0);

    for (size_t i = 0; i < n; i++)
        e->arg[i] = expr_compile(k, tuple_elem(call, i + 1));
    return e;
}

static struct expr *call_compile(struct compiler *k, term t)
{
    size_t nargs = tuple_arity(t) - 1;
    const char *name = atom_text(tuple_elem(t, 0), NULL);
    const struct match_op *op;
    struct expr *e;

    if (strcmp(name, "const") == 0 && nargs == 1)
        return expr_new(k, EXPR_CONST, 0, tuple_elem(t, 1));
    if (strcmp(name, "self") == 0 && nargs == 0)
        return expr_new(k, EXPR_SELF, 0, 0);
    if (nargs >= 1 && strcmp(name, "and") == 0)
        return args_compile(k, EXPR_AND, t);
    if (nargs >= 1 && strcmp(name, "or") == 0)
        return args_compile(k, EXPR_OR, t);
    if (nargs >= 1 && strcmp(name, "andalso") == 0)
        return args_compile(k, EXPR_ANDALSO, t);
    if (nargs >= 1 && strcmp(name, "orelse") == 0)
        return args_compile(k, EXPR_ORELSE, t);
    op = match_op_find(name, nargs);
    if (op == NULL)
        return complain(k, "Function %s/%zu does_not_exist.", name, nargs);
    if (op->trace_only && k->ms->dialect != MATCH_TRACE)
        return complain(k, "Function %s/%zu cannot be called in this dialect.", name, nargs);
    e = args_compile(k, EXPR_CALL, t);
    e->op = op;
    return e;
}

static struct expr *tuple_compile(struct compiler *k, term t)
{
    struct expr *e;
    term inner;

    if (tuple_arity(t) == 1 && is_tuple(tuple_elem(t, 0))) {
        inner = tuple_elem(t, 0);
        e = expr_new(k, EXPR_TUPLE, tuple_arity(inner), 0);
        for (size_t i = 0; i < tuple_arity(inner); i++)
            e->arg[i] = expr_compile(k, tuple_elem(inner, i));
        return e;
    }
    if (tuple_arity(t) == 0 || !is_atom(tuple_elem(t, 0)))
        return complain(k, "A tuple that is not a call in guard or body.");
    return call_compile(k, t);
}

/* A list: its elements as arguments of one node, the last being the tail. */
static struct expr *list_compile(struct compiler *k, term t)
{
    size_t n = 0, i = 0;
    struct expr *e;

    for (term l = t; is_cons(l); l = cdr(l))
        n++;
    e = expr_new(k, EXPR_CONS, n + 1, 0);
    for (; is_cons(t); t = cdr(t))
        e->arg[i++] = expr_compile(k, car(t));
    e->arg[i] = expr_compile(k, t);
    return e;
}

static struct expr *expr_compile(struct compiler *k, term t)
{
    struct expr *e;

    if (is_atom(t))
        return atom_compile(k, t);
    if (!is_ptr(t))
        return expr_new(k, EXPR_CONST, 0, t);
    if (k->depth >= EXPR_DEPTH_MAX)
        return complain(k, "Guard or body is nested too deeply.");
    k->depth++;
    if (is_tuple(t))
        e = tuple_compile(k, t);
    else if (is_map(t))
        e = map_compile(k, t);
    else if (!is_cons(t) || expr_is_const(t))
        e = expr_new(k, EXPR_CONST, 0, t);
    else
        e = list_compile(k, t);
    k->depth--;
    return e;
}

/* The numbers of variables, in order, as match/2 shows them. */
static term vars_list(struct match_run *run, const struct clause *c)
{
    struct heap *h = run->heap;
    term list = TERM_NIL;

    for (size_t i = c->nvars; i > 0; i--)
        list = heap_cons(h, heap_copy(h, run->vars[i - 1]), list);
    return list;
}

enum lend { LENT, OWNED };

struct eval { struct match_run *run; const struct clause *clause; term object; };

static term eval(struct eval *v, const struct expr *e, enum lend how);

/* Constructed terms: parts are evaluated first, into a block of words, and then put together. */
static term eval_parts(struct eval *v, const struct expr *e)
{
    struct heap *h = v->run->heap;
    term few[8], *parts = e->n <= 8 ? few : mem_array(e->n, sizeof(term));
    term result = TERM_NONE;
    uint32_t i;

    for (i = 0; i < e->n; i++) {
        parts[i] = eval(v, e->arg[i], OWNED);
        if (parts[i] == TERM_NONE)
            break;
    }
    if (i == e->n)
        result = e->kind == EXPR_TUPLE ? heap_tuple(h, e->n, parts) :
                 e->kind == EXPR_CONS ? heap_list(h, parts, e->n - 1, parts[e->n - 1]) :
                 map_from_pairs(h, parts, e->n / 2);
    if (parts != few)
        mem_free(parts);
    return result;
}

static term eval_call(struct eval *v, const struct expr *e, enum lend how)
{
    term args[3], result;

    for (uint32_t i = 0; i < e->n; i++) {
        const struct expr *arg = e->arg[i];

        args[i] = arg->kind == EXPR_VAR ? v->run->vars[arg->n] :
                  arg->kind == EXPR_CONST ? arg->word : eval(v, arg, LENT);
        if (args[i] == TERM_NONE)
            return TERM_NONE;
    }
    if (e->op->order != 0 && both_small(args[0], args[1])) {
        unsigned is = (int64_t)args[0] < (int64_t)args[1] ? ORDER_LT :
                      args[0] == args[1] ? ORDER_EQ : ORDER_GT;

        return e->op->order & is ? ATOM_true : ATOM_false;
    }
    result = e->op->fn(v->run->heap, args);
    return how == OWNED && e->op->part && result != TERM_NONE ? heap_copy(v->run->heap, result)
                                                              : result;
}

/* and, or: all operands are evaluated and must be booleans. */
static term eval_all(struct eval *v, const struct expr *e, term neutral)
{
    term result = neutral;

    for (uint32_t i = 0; i < e->n; i++) {
        term t = eval(v, e->arg[i], LENT);

        if (t != ATOM_true && t != ATOM_false)
            return TERM_NONE;
        if (t != neutral)
            result = t;
    }
    return result;
}

/* andalso, orelse: up to the first operand that decides. */
static term eval_some(struct eval *v, const struct expr *e, term neutral)
{
    for (uint32_t i = 0; i < e->n; i++) {
        term t = eval(v, e->arg[i], LENT);

        if (t != ATOM_true && t != ATOM_false)
            return TERM_NONE;
        if (t != neutral)
            return t;
    }
    return neutral;
}

static term eval(struct eval *v, const struct expr *e, enum lend how)
{
    struct match_run *run = v->run;
    term t;

    switch (e->kind) {
    case EXPR_CONST:
        t = e->word;
        break;
    case EXPR_VAR:
        t = run->vars[e->n];
        break;
    case EXPR_OBJECT:
        t = v->object;
        break;
    case EXPR_VARS:
        return vars_list(run, v->clause);
    case EXPR_SELF:
        return run->self;
    case EXPR_TUPLE:
    case EXPR_CONS:
    case EXPR_MAP:
        return eval_parts(v, e);
    case EXPR_CALL:
        return eval_call(v, e, how);
    case EXPR_AND:
        return eval_all(v, e, ATOM_true);
    case EXPR_OR:
        return eval_all(v, e, ATOM_false);
    case EXPR_ANDALSO:
        return eval_some(v, e, ATOM_true);
    case EXPR_ORELSE:
        return eval_some(v, e, ATOM_false);
    default:
        UNREACHABLE();
    }
    if (how == LENT || !is_ptr(t))
        return t;
    return heap_copy(run->heap, t);
}

/* --- whole specifications --------------------------------------------------------------------- */

static struct expr **exprs_compile(struct compiler *k, term list, size_t *ret_n)
{
    int64_t n = list_length(list);
    struct expr **all;
    size_t i = 0;

    if (n < 0) {
        complain(k, "Match conditions or body are not a list.");
        return NULL;
    }
    all = ARENA_NEW_ARRAY(&k->ms->arena, struct expr *, (size_t)n + 1);
    for (; is_cons(list); list = cdr(list))
        all[i++] = expr_compile(k, car(list));
    *ret_n = (size_t)n;
    return all;
}

static void clause_compile(struct compiler *k, term t, struct clause *c)
{
    if (!is_tuple_n(t, 3)) {
        complain(k, "Match program part is not a tuple of arity 3.");
        return;
    }
    k->clause = c;
    c->head = tuple_elem(t, 0);
    vars_collect(k->ms, c);
    head_compile(k->ms, c);
    c->guards = exprs_compile(k, tuple_elem(t, 1), &c->nguards);
    c->body = exprs_compile(k, tuple_elem(t, 2), &c->nbody);
    if (!k->failed && c->nbody == 0)
        complain(k, "Match program part has an empty body.");
}

struct match_spec *match_compile(term spec, enum match_dialect dialect, struct buf *errors)
{
    struct match_spec *ms = MEM_NEW(struct match_spec);
    struct compiler k = { .ms = ms, .errors = errors };
    int64_t n = list_length(spec);
    term *at;

    ms->dialect = dialect;
    if (n <= 0) {
        complain(&k, n < 0 ? "Match programs are not in a list." : "Match program is an empty list.");
        match_free(ms);
        return NULL;
    }
    ms->words = term_size_whole(spec);
    ms->arena.next_bytes = FIRST_BYTES;
    at = ARENA_NEW_ARRAY(&ms->arena, term, ms->words);
    spec = term_copy_whole(spec, &at, &ms->offheap);
    ms->clauses = ARENA_NEW_ARRAY(&ms->arena, struct clause, (size_t)n);
    ms->max_stack = 1;
    for (; is_cons(spec); spec = cdr(spec))
        clause_compile(&k, car(spec), &ms->clauses[ms->nclauses++]);
    if (k.failed) {
        match_free(ms);
        return NULL;
    }
    return ms;
}

struct match_spec *match_compile_pattern(term pattern, term body)
{
    term words[8], *at = words, list, clause;

    list = cons_make(&at, body, TERM_NIL);
    clause = tuple3(&at, pattern, TERM_NIL, list);
    return match_compile(cons_make(&at, clause, TERM_NIL), MATCH_TABLE, NULL);
}

void match_run_init(struct match_run *run, const struct match_spec *ms, struct heap *heap,
                    term self)
{
    run->ms = ms;
    run->heap = heap;
    run->self = self;
    run->vars = mem_array(ms->max_vars + ms->max_stack + 2, sizeof(term));
    run->stack = run->vars + ms->max_vars;
}

void match_run_fini(struct match_run *run)
{
    mem_free(run->vars);
}

static bool guards_true(struct eval *v, const struct clause *c)
{
    for (size_t i = 0; i < c->nguards; i++)
        if (eval(v, c->guards[i], LENT) != ATOM_true)
            return false;
    return true;
}

term match_object(struct match_run *run, term object)
{
    const struct match_spec *ms = run->ms;

    for (size_t i = 0; i < ms->nclauses; i++) {
        const struct clause *c = &ms->clauses[i];
        struct eval v = { run, c, object };
        term result = TERM_NONE;

        if (!head_match(run, c, object) || !guards_true(&v, c))
            continue;
        for (size_t b = 0; b < c->nbody; b++)
            result = eval(&v, c->body[b], b + 1 == c->nbody ? OWNED : LENT);
        return result == TERM_NONE ? ATOM_EXIT : result;
    }
    return TERM_NONE;
}

/* --- keys ------------------------------------------------------------------------------------- */

size_t match_clauses(const struct match_spec *ms)
{
    return ms->nclauses;
}

enum match_key match_key_of(const struct match_spec *ms, size_t i, uint32_t keypos,
                            term *ret_pattern)
{
    term head = ms->clauses[i].head, pattern;

    if (!is_tuple(head) || tuple_arity(head) < keypos)
        return MATCH_KEY_ANY;
    pattern = tuple_elem(head, keypos - 1);
    *ret_pattern = pattern;
    if (pattern_is_const(pattern))
        return MATCH_KEY_EXACT;
    return is_tuple(pattern) || is_cons(pattern) ? MATCH_KEY_PART : MATCH_KEY_ANY;
}

/* Compared part by part, left to right, until the pattern leaves something open. Parts that do not
 * fit the pattern's shape are ordered as terms by shape. */
static int part_cmp(term key, term pattern, bool *open, unsigned depth)
{
    int c;

    if (pattern == ATOM_underscore || var_number(pattern) >= 0 || is_map(pattern) || depth > 200) {
        *open = true;
        return 0;
    }
    if (is_tuple(pattern) && is_tuple(key) && tuple_arity(key) == tuple_arity(pattern)) {
        for (size_t i = 0; i < tuple_arity(key); i++) {
            c = part_cmp(tuple_elem(key, i), tuple_elem(pattern, i), open, depth + 1);
            if (c != 0 || *open)
                return c;
        }
        return 0;
    }
    while (is_cons(pattern) && is_cons(key)) {
        c = part_cmp(car(key), car(pattern), open, depth + 1);
        if (c != 0 || *open)
            return c;
        key = cdr(key);
        pattern = cdr(pattern);
        if (!is_cons(pattern) || !is_cons(key))
            return part_cmp(key, pattern, open, depth + 1);
    }
    return term_cmp(key, pattern);
}

int match_key_cmp(term key, term pattern)
{
    bool open = false;

    return part_cmp(key, pattern, &open, 0);
}

/* Does e give the key at keypos of the object that c matched? */
static bool gives_key(const struct clause *c, const struct expr *e, uint32_t keypos)
{
    term key;

    if (e->kind == EXPR_CALL && strcmp(e->op->name, "element") == 0)
        return e->arg[0]->kind == EXPR_CONST && e->arg[0]->word == small_make(keypos) &&
               e->arg[1]->kind == EXPR_OBJECT;
    if (!is_tuple(c->head) || tuple_arity(c->head) < keypos)
        return false;
    key = tuple_elem(c->head, keypos - 1);
    if (e->kind == EXPR_VAR)
        return var_number(key) >= 0 && var_index(c, var_number(key)) == (int64_t)e->n;
    return e->kind == EXPR_CONST && pattern_is_const(key) && term_eq(key, e->word);
}

bool match_keeps_key(const struct match_spec *ms, uint32_t keypos)
{
    for (size_t i = 0; i < ms->nclauses; i++) {
        const struct clause *c = &ms->clauses[i];
        const struct expr *e = c->body[c->nbody - 1];
        bool whole = e->kind == EXPR_OBJECT ||
                     (e->kind == EXPR_VAR && var_index(c, var_number(c->head)) == (int64_t)e->n);

        if (!whole && (e->kind != EXPR_TUPLE || e->n < keypos ||
                       !gives_key(c, e->arg[keypos - 1], keypos)))
            return false;
    }
    return true;
}
