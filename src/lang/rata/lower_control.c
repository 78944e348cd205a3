/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lower_control.c - statements, if, case, cond, receive, return
 */
#include "lang/rata/lower_priv.h"

#include "base/assert.h"

#include <string.h>

/* --- where values go ------------------------------------------------------------------------- */

static struct core_expr *tagged(struct lower *l, struct core_span at, const char *tag,
                                struct core_expr *value)
{
    return core_tuple(l->m, at, (struct core_expr *[]){ lower_atom(l, at, tag), value }, 2);
}

struct core_expr *lower_finish(struct lower *l, struct core_span at, struct cont k,
                               struct core_expr *value)
{
    switch (k.kind) {
    case K_JUMP:
        return core_jump(l->m, at, k.label, &value, 1);
    case K_WRAP:
        return tagged(l, at, "$value", value);
    case K_SESSION: {
        struct held h = lower_hold(l, at, value);

        return held_let(l, &h, lower_session(l, at, held_use(l, &h)));
    }
    default:
        return value;
    }
}

struct core_expr *lower_return(struct lower *l, struct core_span at, struct core_expr *value)
{
    return l->wrap_return ? tagged(l, at, "$return", value) : value;
}

static struct cont jump_to(struct core_label *label)
{
    return (struct cont){ K_JUMP, label };
}

/* --- statements ------------------------------------------------------------------------------ */

/* What stands before the rest of a block. The rest is built first (it is nested innermost), so
 * the statements are collected and then wrapped around it from the last to the first. */
struct step {
    enum { STEP_SEQ, STEP_LET, STEP_LETREC, STEP_MATCH, STEP_JOIN, STEP_TEST } kind;
    struct core_span at;
    struct core_expr *value;
    core_var var;
    struct core_fun *fun;
    struct core_pat *pat;
    struct core_label *label;
};

struct steps { struct step *at; size_t n, cap; };

/* Above this many matches in one block, their clauses are not nested any more. */
#define MATCHES_NESTED 200

static struct step *step_add(struct lower *l, struct steps *s, struct step step)
{
    s->at = arena_grow(l->pr->arena, s->at, s->n, &s->cap, sizeof *s->at);
    s->at[s->n] = step;
    return &s->at[s->n++];
}

/* var := the value of n, also when control may return inside of it. */
static void step_value(struct lower *l, struct steps *s, struct core_span at, struct node *n,
                       core_var var)
{
    if (!n->has_return) {
        step_add(l, s, (struct step){ .kind = STEP_LET, .at = at, .value = lower(l, n),
                                      .var = var });
    } else {
        struct core_label *label = core_label_new(l->m, &var, 1);

        step_add(l, s, (struct step){ .kind = STEP_JOIN, .at = at, .label = label,
                                      .value = lower_tail(l, n, jump_to(label)) });
    }
}

static struct node *temporary(struct lower *l, const struct node *n, core_var var)
{
    struct node *name = ARENA_NEW(l->pr->arena, struct node);

    name->kind = N_NAME;
    name->span = name->mark = n->span;
    name->meaning = MEANS_VARIABLE;
    name->bound = ARENA_NEW(l->pr->arena, struct binding);
    name->bound->var = var;
    return name;
}

/* A part of a statement that may return is computed before the statement. */
static void settle(struct lower *l, struct steps *s, struct node **part)
{
    core_var var;

    if (*part == NULL || !(*part)->has_return)
        return;
    var = core_var_new(l->m, NULL);
    step_value(l, s, lower_span(l, (*part)->span), *part, var);
    *part = temporary(l, *part, var);
}

static const struct node *unparen(const struct node *n)
{
    while (n->kind == N_PAREN)
        n = n->a;
    return n;
}

/* pattern = var */
static void step_pattern(struct lower *l, struct steps *s, struct core_span at,
                         struct node *pattern, core_var var)
{
    const struct node *p = unparen(pattern);

    if (p->kind == N_NAME && p->bound == NULL)
        return;                                     /* _ */
    if (p->kind == N_NAME)
        step_add(l, s, (struct step){ .kind = STEP_LET, .at = at, .value = core_use(l->m, at, var),
                                      .var = lower_bind(l, p->bound) });
    else
        step_add(l, s, (struct step){ .kind = STEP_MATCH, .at = at, .var = var,
                                      .pat = lower_pattern(l, pattern) });
}

/* One match; gives the variable that holds its value. */
static core_var step_match(struct lower *l, struct steps *s, struct node *n)
{
    struct core_span at = lower_span(l, n->span);
    core_var var;

    if (n->a->kind == N_NAME && n->a->bound != NULL && n->a->bound->own_function) {
        struct core_fun *fun;

        var = lower_bind(l, n->a->bound);
        fun = lower_function(l, n->b);
        fun->var = var;
        fun->name = n->a->text;
        step_add(l, s, (struct step){ .kind = STEP_LETREC, .at = at, .fun = fun, .var = var });
        return var;
    }
    if (n->b->kind == N_MATCH) {
        var = step_match(l, s, n->b);
    } else if (n->a->kind == N_NAME && n->a->bound != NULL && n->a->bound->var == 0) {
        /* The value may not see the name, so it is lowered before the name is bound. */
        struct binding *b = n->a->bound;

        var = core_var_new(l->m, n->a->text);
        step_value(l, s, at, n->b, var);
        b->var = var;
        return var;
    } else {
        var = core_var_new(l->m, NULL);
        step_value(l, s, at, n->b, var);
    }
    step_pattern(l, s, at, n->a, var);
    return var;
}

static struct core_expr *assertion(struct lower *l, struct steps *s, struct node *n)
{
    struct core_span at = lower_span(l, n->span);
    struct core_expr *message;

    settle(l, s, &n->a);
    settle(l, s, &n->b);
    message = n->b != NULL ? lower(l, n->b) : lower_text(l, at, "assertion failed");
    return lower_test(l, n->a, lower_atom(l, at, "true"),
                      lower_fail(l, at, "assertion_error", message));
}

static struct core_expr *badmatch(struct lower *l, struct core_span at, core_var var)
{
    struct core_expr *parts[2] = { lower_atom(l, at, "badmatch"), core_use(l->m, at, var) };
    struct core_expr *reason = core_tuple(l->m, at, parts, 2);

    return core_prim(l->m, at, PRIM_MATCH_FAIL, &reason, 1);
}

/* Variables that a pattern binds, each once. */
static void pattern_vars(struct lower *l, const struct core_pat *p, core_var **vars, size_t *n,
                         size_t *cap)
{
    uint32_t kids = p->kind == CP_TUPLE ? p->n : p->kind == CP_CONS ? 2 : 0;

    if (p->kind == CP_VAR || p->kind == CP_ALIAS) {
        for (size_t i = 0; i < *n; i++)
            if ((*vars)[i] == p->var)
                return;
        *vars = arena_grow(l->pr->arena, *vars, *n, cap, sizeof **vars);
        (*vars)[(*n)++] = p->var;
    }
    if (p->kind == CP_ALIAS)
        pattern_vars(l, p->sub, vars, n, cap);
    for (uint32_t i = 0; i < kids; i++)
        pattern_vars(l, p->elements[i], vars, n, cap);
    for (uint32_t i = 0; p->kind == CP_MAP && i < p->n; i++)
        pattern_vars(l, p->pairs[i].pat, vars, n, cap);
    for (uint32_t i = 0; p->kind == CP_BITS && i < p->n; i++)
        if (p->segments[i].pat != NULL)
            pattern_vars(l, p->segments[i].pat, vars, n, cap);
}

static struct core_expr *match_case(struct lower *l, const struct step *s, struct core_expr *body)
{
    struct core_expr *value = core_use(l->m, s->at, s->var);
    struct core_pat *pat = s->pat, *any = cp_any(l->m, s->at);
    struct core_clause *clauses[2];

    clauses[0] = core_clause(l->m, s->at, &pat, 1, NULL, body);
    clauses[1] = core_clause(l->m, s->at, &any, 1, NULL, badmatch(l, s->at, s->var));
    return core_case(l->m, s->at, &value, 1, clauses, 2);
}

/* The rest behind a join whose parameters are what the pattern binds: the pattern itself binds
 * fresh names, found by renaming afterwards. */
static void rename_pattern(struct lower *l, struct core_pat *p, const core_var *from,
                           const core_var *to, size_t n)
{
    uint32_t kids = p->kind == CP_TUPLE ? p->n : p->kind == CP_CONS ? 2 : 0;

    if (p->kind == CP_VAR || p->kind == CP_ALIAS)
        for (size_t i = 0; i < n; i++)
            if (p->var == from[i]) {
                p->var = to[i];
                break;
            }
    if (p->kind == CP_ALIAS)
        rename_pattern(l, p->sub, from, to, n);
    for (uint32_t i = 0; i < kids; i++)
        rename_pattern(l, p->elements[i], from, to, n);
    for (uint32_t i = 0; p->kind == CP_MAP && i < p->n; i++)
        rename_pattern(l, p->pairs[i].pat, from, to, n);
    for (uint32_t i = 0; p->kind == CP_BITS && i < p->n; i++)
        if (p->segments[i].pat != NULL)
            rename_pattern(l, p->segments[i].pat, from, to, n);
}

static struct core_expr *match_join(struct lower *l, const struct step *s, struct core_expr *rest)
{
    core_var *vars = NULL, *fresh;
    size_t n = 0, cap = 0;
    struct core_label *label;
    struct core_expr **args;

    pattern_vars(l, s->pat, &vars, &n, &cap);
    fresh = ARENA_NEW_ARRAY(l->pr->arena, core_var, n + 1);
    args = ARENA_NEW_ARRAY(l->pr->arena, struct core_expr *, n + 1);
    for (size_t i = 0; i < n; i++) {
        fresh[i] = core_var_new(l->m, NULL);
        args[i] = core_use(l->m, s->at, fresh[i]);
    }
    rename_pattern(l, s->pat, vars, fresh, n);
    label = core_label_new(l->m, vars, n);
    return core_join(l->m, s->at, label, match_case(l, s, core_jump(l->m, s->at, label, args, n)),
                     rest);
}

static struct core_expr *wrap(struct lower *l, const struct step *s, struct core_expr *rest,
                              bool nest)
{
    switch (s->kind) {
    case STEP_SEQ:
        return core_seq(l->m, s->at, s->value, rest);
    case STEP_LET:
        return core_let(l->m, s->at, s->var, s->value, rest);
    case STEP_LETREC:
        return core_letrec(l->m, s->at, &s->fun, 1, rest);
    case STEP_JOIN:
        return core_join(l->m, s->at, s->label, s->value, rest);
    default:
        return nest ? match_case(l, s, rest) : match_join(l, s, rest);
    }
}

static struct core_expr *wrap_all(struct lower *l, const struct steps *s, struct core_expr *rest)
{
    size_t matches = 0;

    for (size_t i = 0; i < s->n; i++)
        matches += s->at[i].kind == STEP_MATCH;
    for (size_t i = s->n; i-- > 0;)
        rest = wrap(l, &s->at[i], rest, matches <= MATCHES_NESTED);
    return rest;
}

/* The table knows that the statement is reached. */
static void step_covered(struct lower *l, struct steps *s, const struct node *n)
{
    struct core_span at = lower_span(l, n->span);
    const char *file = l->pr->d->sources[n->span.file].name;
    const struct core_const *place[2], *row;
    struct core_expr *args[2];

    if (!l->pr->cover || n->kind == N_FUNCTION || n->kind == N_FN)
        return;
    place[0] = cc_bits(l->m, file, 8 * strlen(file));
    place[1] = cc_int(l->m, at.line);
    row = cc_tuple(l->m, place, 2);
    l->covered = arena_grow(l->pr->arena, l->covered, l->n_covered, &l->cap_covered,
                            sizeof *l->covered);
    l->covered[l->n_covered++] = row;
    args[0] = lower_atom(l, at, "$rata_cover");
    args[1] = core_lit(l->m, at, cc_tuple(l->m, &row, 1));
    step_add(l, s, (struct step){ .kind = STEP_SEQ, .at = at,
                                  .value = core_remote_named(l->m, at, "ets", "insert", args, 2) });
}

/* A statement with more behind it, whose value nobody needs. */
static void step_statement(struct lower *l, struct steps *s, struct node *n)
{
    struct core_span at = lower_span(l, n->span);

    if (n->kind == N_MATCH)
        step_match(l, s, n);
    else if (n->kind == N_ASSERT)
        step_add(l, s, (struct step){ .kind = STEP_SEQ, .at = at, .value = assertion(l, s, n) });
    else if (n->has_return)
        step_value(l, s, at, n, core_var_new(l->m, NULL));
    else
        step_add(l, s, (struct step){ .kind = STEP_SEQ, .at = at, .value = lower(l, n) });
}

static struct core_expr *last_statement(struct lower *l, struct steps *s, struct node *n,
                                        struct cont k)
{
    struct core_span at = lower_span(l, n->span);

    if (n->kind == N_MATCH)
        return lower_finish(l, at, k, core_use(l->m, at, step_match(l, s, n)));
    if (n->kind == N_ASSERT)
        return lower_finish(l, at, k, assertion(l, s, n));
    return lower_tail(l, n, k);
}

struct core_expr *lower_statements(struct lower *l, const struct node_list *list, struct cont k)
{
    struct steps steps = { 0 };
    struct core_expr *rest = NULL;

    for (size_t i = 0; i < list->n && rest == NULL; i++) {
        struct node *n = list->at[i];

        step_covered(l, &steps, n);
        if (i + 1 == list->n || n->kind == N_RETURN)        /* what follows a return is never run */
            rest = last_statement(l, &steps, n, k);
        else
            step_statement(l, &steps, n);
    }
    if (rest == NULL) {
        struct core_span at = { 0 };

        rest = lower_finish(l, at, k, lower_atom(l, at, "nil"));
    }
    return wrap_all(l, &steps, rest);
}

struct core_expr *lower_body(struct lower *l, struct node *block, struct cont k)
{
    return lower_statements(l, &block->list, k);
}

/* --- tests ----------------------------------------------------------------------------------- */

static struct core_expr *jump_plain(struct lower *l, struct core_span at, struct core_label *label)
{
    return core_jump(l->m, at, label, NULL, 0);
}

static struct core_expr *choose(struct lower *l, struct core_span at, struct core_expr *value,
                                const char *first, struct core_expr *then,
                                const char *second, struct core_expr *otherwise)
{
    struct core_pat *pat = cp_lit(l->m, at, cc_atom(l->m, first));
    struct core_clause *clauses[2];

    clauses[0] = core_clause(l->m, at, &pat, 1, NULL, then);
    pat = second != NULL ? cp_lit(l->m, at, cc_atom(l->m, second)) : cp_any(l->m, at);
    clauses[1] = core_clause(l->m, at, &pat, 1, NULL, otherwise);
    return core_case(l->m, at, &value, 1, clauses, 2);
}

/* nil and false jump to `no`. */
static struct core_expr *choose_truthy(struct lower *l, struct core_span at,
                                       struct core_expr *value, struct core_expr *then,
                                       struct core_label *no)
{
    struct core_pat *pats[3] = { cp_lit(l->m, at, cc_atom(l->m, "false")),
                                 cp_lit(l->m, at, cc_atom(l->m, "nil")), cp_any(l->m, at) };
    struct core_clause *clauses[3] = {
        core_clause(l->m, at, &pats[0], 1, NULL, jump_plain(l, at, no)),
        core_clause(l->m, at, &pats[1], 1, NULL, jump_plain(l, at, no)),
        core_clause(l->m, at, &pats[2], 1, NULL, then),
    };

    return core_case(l->m, at, &value, 1, clauses, 3);
}

static struct core_expr *test(struct lower *l, struct node *n, struct core_expr *then,
                              struct core_label *no)
{
    struct core_span at = lower_span(l, n->span);

    if (n->kind == N_PAREN)
        return test(l, n->a, then, no);
    if (n->kind == N_BINARY && (n->op == TOK_AND || n->op == TOK_AND_AND)) {
        struct core_expr *inner = test(l, n->b, then, no);

        return test(l, n->a, inner, no);
    }
    if (n->kind == N_UNARY && n->op != TOK_MINUS) {
        struct core_label *yes = core_label_new(l->m, NULL, 0);

        return core_join(l->m, at, yes, test(l, n->a, jump_plain(l, at, no), yes), then);
    }
    if (is_boolean(n))
        return choose(l, at, lower(l, n), "true", then, NULL, jump_plain(l, at, no));
    return choose_truthy(l, at, lower(l, n), then, no);
}

struct core_expr *lower_test(struct lower *l, struct node *n, struct core_expr *then,
                             struct core_expr *otherwise)
{
    struct core_span at = lower_span(l, n->span);
    struct core_label *no;

    while (n->kind == N_PAREN)
        n = n->a;
    if (is_boolean(n) && n->kind != N_UNARY
        && !(n->kind == N_BINARY && (n->op == TOK_AND || n->op == TOK_AND_AND)))
        return choose(l, at, lower(l, n), "true", then, NULL, otherwise);
    no = core_label_new(l->m, NULL, 0);
    return core_join(l->m, at, no, test(l, n, then, no), otherwise);
}

/* --- control --------------------------------------------------------------------------------- */

static struct core_expr *nil(struct lower *l, struct core_span at, struct cont k)
{
    return lower_finish(l, at, k, lower_atom(l, at, "nil"));
}

static struct core_expr *if_expression(struct lower *l, struct node *n, struct cont k)
{
    struct core_span at = lower_span(l, n->span);
    struct core_expr *then = lower_body(l, n->b, k);
    struct core_expr *otherwise = n->c != NULL ? lower_tail(l, n->c, k) : nil(l, at, k);

    return lower_test(l, n->a, then, otherwise);
}

static struct core_clause *clause(struct lower *l, struct node *n, struct cont k,
                                  struct core_expr *(*more)(struct lower *, struct core_pat **))
{
    struct core_span at = lower_span(l, n->span);
    struct core_pat *pat = lower_pattern(l, n->list.at[0]);
    struct core_expr *extra = more != NULL ? more(l, &pat) : NULL;
    struct core_expr *guard = n->a != NULL ? lower_when(l, n->a) : NULL;

    if (extra != NULL)
        guard = guard != NULL ? core_and(l->m, at, extra, guard) : extra;
    return core_clause(l->m, at, &pat, 1, guard, lower_body(l, n->b, k));
}

static struct core_expr *case_expression(struct lower *l, struct node *n, struct cont k)
{
    struct core_expr *value = lower(l, n->a);
    struct core_clause **clauses = clause_room(l, n->list.n);

    for (size_t i = 0; i < n->list.n; i++)
        clauses[i] = clause(l, n->list.at[i], k, NULL);
    return core_case(l->m, lower_span(l, n->span), &value, 1, clauses, n->list.n);
}

static struct core_expr *cond(struct lower *l, struct node *n, struct cont k)
{
    struct core_span at = lower_span(l, n->span);
    struct core_expr *rest = lower_fail(l, at, "cond_error",
                                        lower_text(l, at, "no cond clause is true"));

    for (size_t i = n->list.n; i-- > 0;) {
        struct node *c = n->list.at[i];
        struct steps steps = { 0 };

        settle(l, &steps, &c->list.at[0]);
        rest = wrap_all(l, &steps,
                        lower_test(l, c->list.at[0], lower_body(l, c->b, k), rest));
    }
    return rest;
}

/* A guard: var is no tuple of that size which begins with that atom. */
static struct core_expr *not_record(struct lower *l, struct core_span at, core_var var,
                                    const char *tag, int64_t size)
{
    struct core_expr *first[2] = { core_lit(l->m, at, cc_int(l->m, 1)), core_use(l->m, at, var) };
    struct core_expr *no_tuple = lower_bif1(l, at, "not",
                                            lower_bif1(l, at, "is_tuple", core_use(l->m, at, var)));
    struct core_expr *other_size =
        lower_bif2(l, at, "=/=", lower_bif1(l, at, "tuple_size", core_use(l->m, at, var)),
                   core_lit(l->m, at, cc_int(l->m, size)));
    struct core_expr *other_tag = lower_bif2(l, at, "=/=", core_bif(l->m, at, "element", first, 2),
                                             lower_atom(l, at, tag));

    return core_or(l->m, at, no_tuple, core_or(l->m, at, other_size, other_tag));
}

/* A pattern that any message would match must leave the results of tasks alone. */
static struct core_expr *no_task_result(struct lower *l, struct core_pat **pat)
{
    struct core_pat *p = *pat, *inner = p;
    struct core_span at = p->span;

    while (inner->kind == CP_ALIAS)
        inner = inner->sub;
    if (inner->kind == CP_ANY || inner->kind == CP_VAR) {
        core_var v = p->kind == CP_ANY ? 0 : p->var;

        if (v == 0)
            *pat = cp_var(l->m, at, v = core_var_new(l->m, NULL));
        return not_record(l, at, v, "$task_result", 3);
    }
    if (inner->kind == CP_TUPLE && inner->n == 3
        && (inner->elements[0]->kind == CP_ANY || inner->elements[0]->kind == CP_VAR)) {
        core_var v = inner->elements[0]->kind == CP_VAR ? inner->elements[0]->var
                                                        : core_var_new(l->m, NULL);

        inner->elements[0] = cp_var(l->m, at, v);
        return lower_bif2(l, at, "=/=", core_use(l->m, at, v), lower_atom(l, at, "$task_result"));
    }
    return NULL;
}

static struct core_expr *receive(struct lower *l, struct node *n, struct cont k)
{
    struct core_span at = lower_span(l, n->span);
    struct core_clause **clauses = clause_room(l, n->list.n);
    struct steps steps = { 0 };
    struct core_expr *timeout;

    settle(l, &steps, &n->a);
    timeout = n->a != NULL ? lower(l, n->a) : NULL;
    for (size_t i = 0; i < n->list.n; i++)
        clauses[i] = clause(l, n->list.at[i], k, no_task_result);
    return wrap_all(l, &steps,
                    core_receive(l->m, at, clauses, n->list.n, timeout,
                                 n->b != NULL ? lower_body(l, n->b, k) : NULL));
}

/* --- a return inside of a value -------------------------------------------------------------- */

/* The places in n whose values n needs, in the order of evaluation. */
struct slots { struct arena *a; struct node ***at; size_t n, cap; };

static void slot_add(struct slots *s, struct node **slot)
{
    if (*slot == NULL)
        return;
    s->at = arena_grow(s->a, s->at, s->n, &s->cap, sizeof *s->at);
    s->at[s->n++] = slot;
}

static void slots_of(struct slots *s, struct node *n)
{
    if (n->kind == N_CALL && n->meaning == MEANS_APPLY)
        slot_add(s, &n->a);
    for (size_t i = 0; i < n->list.n; i++) {
        struct node *kid = n->list.at[i];

        if (kid->kind == N_PAIR || kid->kind == N_KEYWORDS
            || (n->meaning == MEANS_DYNAMIC_CALL && i == 2))    /* the written arguments */
            slots_of(s, kid);
        else
            slot_add(s, &n->list.at[i]);
    }
    if (n->kind != N_CALL)
        slot_add(s, &n->a);
    slot_add(s, &n->b);
}

/* Values before the one that may return are kept, then that one, and n goes on behind a join. */
static struct core_expr *hoist(struct lower *l, struct node *n, struct cont k)
{
    struct core_span at = lower_span(l, n->span);
    struct slots slots = { .a = l->pr->arena };
    struct steps steps = { 0 };

    slots_of(&slots, n);
    for (size_t i = 0; i < slots.n; i++) {
        struct node *kid = *slots.at[i];
        core_var var;

        if (kid->kind == N_INT || kid->kind == N_ATOM || kid->kind == N_STRING)
            continue;
        var = core_var_new(l->m, NULL);
        step_value(l, &steps, at, kid, var);
        *slots.at[i] = temporary(l, kid, var);
    }
    n->has_return = false;
    return wrap_all(l, &steps, lower_finish(l, at, k, lower(l, n)));
}

/* a && b, a || b with a return in one of them, as an if. */
static struct core_expr *short_circuit(struct lower *l, struct node *n, struct cont k)
{
    struct core_span at = lower_span(l, n->span);
    core_var left = core_var_new(l->m, NULL);
    struct steps steps = { 0 };
    struct node *name;
    struct core_expr *keep, *other;

    step_value(l, &steps, at, n->a, left);
    name = temporary(l, n->a, left);
    keep = lower_finish(l, at, k, core_use(l->m, at, left));
    other = lower_tail(l, n->b, k);
    if (n->op == TOK_AND || n->op == TOK_AND_AND)
        return wrap_all(l, &steps, lower_test(l, name, other, keep));
    return wrap_all(l, &steps, lower_test(l, name, keep, other));
}

struct core_expr *lower_tail(struct lower *l, struct node *n, struct cont k)
{
    struct core_span at;
    struct steps steps = { 0 };

    switch (n->kind) {
    case N_PAREN:
        return lower_tail(l, n->a, k);
    case N_BLOCK:
        return lower_body(l, n, k);
    case N_COND:
        return cond(l, n, k);
    case N_TRY:
        return lower_try(l, n, k);
    case N_IF:
    case N_CASE:
        settle(l, &steps, &n->a);
        return wrap_all(l, &steps, n->kind == N_IF ? if_expression(l, n, k)
                                                   : case_expression(l, n, k));
    case N_RECEIVE:
        return receive(l, n, k);
    case N_RETURN:
        at = lower_span(l, n->span);
        if (n->a == NULL)
            return lower_return(l, at, lower_atom(l, at, "nil"));
        if (!l->wrap_return)
            return lower_tail(l, n->a, VALUE);
        settle(l, &steps, &n->a);
        return wrap_all(l, &steps, lower_return(l, at, lower(l, n->a)));
    default:
        break;
    }
    if (!n->has_return || n->kind == N_FN || n->kind == N_FUNCTION || n->kind == N_SHORT_FN)
        return lower_finish(l, lower_span(l, n->span), k, lower(l, n));
    if (n->kind == N_BINARY && (n->op == TOK_AND || n->op == TOK_AND_AND || n->op == TOK_OR
                                || n->op == TOK_OR_OR))
        return short_circuit(l, n, k);
    return hoist(l, n, k);
}
