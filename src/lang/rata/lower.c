/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lower.c - modules and the script; small builders that the other files use
 */
#include "lang/rata/lower_priv.h"

#include "base/assert.h"

#include <string.h>

/* --- small builders -------------------------------------------------------------------------- */

struct core_span lower_span(struct lower *l, struct span s)
{
    const struct source *src = &l->pr->d->sources[s.file];
    struct place from = source_place(src, s.from), to = source_place(src, s.to);

    if (l->files[s.file] == 0)
        l->files[s.file] = core_add_file(l->m, src->name) + 1;
    return (struct core_span){ l->files[s.file] - 1, from.line, from.column, to.line, to.column };
}

struct core_expr *lower_atom(struct lower *l, struct core_span at, const char *name)
{
    return core_lit(l->m, at, cc_atom(l->m, name));
}

struct core_expr *lower_text(struct lower *l, struct core_span at, const char *text)
{
    return core_lit(l->m, at, cc_binary(l->m, text, strlen(text)));
}

struct core_expr *lower_bif1(struct lower *l, struct core_span at, const char *name,
                             struct core_expr *a)
{
    return core_bif(l->m, at, name, &a, 1);
}

struct core_expr *lower_bif2(struct lower *l, struct core_span at, const char *name,
                             struct core_expr *a, struct core_expr *b)
{
    return core_bif(l->m, at, name, (struct core_expr *[]){ a, b }, 2);
}

/* raise {kind, detail} */
struct core_expr *lower_fail(struct lower *l, struct core_span at, const char *kind,
                             struct core_expr *detail)
{
    struct core_expr *reason =
        core_tuple(l->m, at, (struct core_expr *[]){ lower_atom(l, at, kind), detail }, 2);

    return core_prim(l->m, at, PRIM_RAISE,
                     (struct core_expr *[]){ lower_atom(l, at, "error"), reason }, 2);
}

struct core_expr *lower_runtime(struct lower *l, struct core_span at, const char *name,
                                struct core_expr *const *args, size_t n)
{
    return core_remote_named(l->m, at, "Rata.Runtime", name, args, n);
}

struct held lower_hold(struct lower *l, struct core_span at, struct core_expr *value)
{
    struct held h = { .value = value, .at = at };

    h.simple = value->kind == CORE_VAR || value->kind == CORE_LIT;
    h.var = value->kind == CORE_VAR ? value->var : 0;
    if (!h.simple)
        h.var = core_var_new(l->m, NULL);
    return h;
}

struct core_expr *held_use(struct lower *l, const struct held *h)
{
    return h->simple && h->value->kind == CORE_LIT ? core_lit(l->m, h->at, h->value->lit)
                                                   : core_use(l->m, h->at, h->var);
}

struct core_expr *held_let(struct lower *l, const struct held *h, struct core_expr *body)
{
    return h->simple ? body : core_let(l->m, h->at, h->var, h->value, body);
}

/* --- modules --------------------------------------------------------------------------------- */

static struct lower start(struct program *pr, struct module *m, const char *name)
{
    struct lower l = { .pr = pr, .module = m };
    size_t files = 1;

    for (size_t i = 0; i < pr->n_modules; i++)
        if (pr->modules[i]->node->span.file >= files)
            files = pr->modules[i]->node->span.file + 1;
    if (pr->script != NULL && pr->script->span.file >= files)
        files = pr->script->span.file + 1;
    l.files = ARENA_NEW_ARRAY(pr->arena, uint32_t, files);
    l.m = core_module_new(pr->arena, name, strlen(name));
    l.m->language = "rata";
    return l;
}

/* The parameter at i as its author wrote it: of the first clause where it has a plain name, for a
 * name says more to a reader than the pattern of one case. */
static const struct node *parameter(const struct function *f, size_t i)
{
    for (size_t k = 0; k < f->defs.n; k++) {
        const struct node *p = f->defs.at[k]->a->list.at[i];

        if (p->a != NULL && p->a->kind == N_NAME && p->a->text[0] != '_')
            return p;
    }
    return f->defs.at[0]->a->list.at[i];
}

/* name(a, b = 2) */
static const char *signature(struct lower *l, const struct function *f)
{
    struct buf text = { 0 };
    const char *copy;

    buf_str(&text, f->name);
    buf_u8(&text, '(');
    for (size_t i = 0; !f->constant && i < f->arity; i++) {
        struct span at = parameter(f, i)->span;

        buf_str(&text, i > 0 ? ", " : "");
        buf_add(&text, l->pr->d->sources[at.file].text + at.from, at.to - at.from);
    }
    buf_u8(&text, ')');
    copy = arena_strndup(l->pr->arena, (char *)text.data, text.len);
    buf_fini(&text);
    return f->constant ? f->name : copy;
}

static struct core_function *add(struct lower *l, const char *name, struct core_fun *fun,
                                 bool exported)
{
    return core_add_function(l->m, name, strlen(name), fun, exported);
}

/* f(a) calls f(a, default), which may call the next one. */
static void add_defaults(struct lower *l, const struct function *f)
{
    const struct node *fn = f->defs.at[0]->a;
    struct core_span at = lower_span(l, f->span);

    for (uint32_t arity = f->arity - f->defaults; arity < f->arity; arity++) {
        core_var *params = ARENA_NEW_ARRAY(l->pr->arena, core_var, arity + 1);
        struct core_expr **args = ARENA_NEW_ARRAY(l->pr->arena, struct core_expr *, arity + 1);

        for (uint32_t i = 0; i < arity; i++) {
            params[i] = core_var_new(l->m, NULL);
            args[i] = core_use(l->m, at, params[i]);
        }
        args[arity] = lower(l, fn->list.at[arity]->b);
        add(l, f->name,
            core_fun_new(l->m, at, params, arity,
                         core_call(l->m, at, core_atom(l->m, f->name, strlen(f->name)), args,
                                   arity + 1u)),
            !f->private)->hidden = true;
    }
}

/* The value is computed when first read; a constant expression is in the code. */
static struct core_expr *constant_body(struct lower *l, const struct function *f)
{
    struct core_span at = lower_span(l, f->span);
    struct core_expr *value = lower(l, f->defs.at[0]->a), *get;
    const struct core_const *parts[4], *key;
    core_var cached = core_var_new(l->m, NULL);
    struct core_expr *args[2];
    struct core_clause *clauses[2];
    struct core_pat *pat;

    if (value->kind == CORE_LIT)
        return value;
    parts[0] = cc_atom(l->m, "$constant");
    parts[1] = cc_atom(l->m, l->module->beam);
    parts[2] = cc_atom(l->m, f->name);
    parts[3] = cc_int(l->m, (int64_t)(l->hash & 0x3FFFFFFFFFFF));
    key = cc_tuple(l->m, parts, 4);
    args[0] = core_lit(l->m, at, key);
    args[1] = lower_atom(l, at, "$none");
    get = core_remote_named(l->m, at, "persistent_term", "get", args, 2);
    args[0] = core_lit(l->m, at, key);
    args[1] = core_fun(l->m, core_fun_new(l->m, at, NULL, 0, value));
    pat = cp_lit(l->m, at, cc_atom(l->m, "$none"));
    clauses[0] = core_clause(l->m, at, &pat, 1, NULL, lower_runtime(l, at, "constant", args, 2));
    pat = cp_var(l->m, at, cached);
    clauses[1] = core_clause(l->m, at, &pat, 1, NULL, core_use(l->m, at, cached));
    return core_case(l->m, at, &get, 1, clauses, 2);
}

static void add_constant(struct lower *l, const struct function *f)
{
    struct core_fun *fun = core_fun_new(l->m, lower_span(l, f->span), NULL, 0, constant_body(l, f));
    struct core_function *cf = add(l, f->name, fun, !f->private);

    cf->doc = f->doc;
    cf->signature = signature(l, f);
}

/* The clause that ends handle_info of a server: unknown messages are logged and dropped. */
static struct core_clause *unhandled(struct lower *l, struct core_span at)
{
    core_var msg = core_var_new(l->m, "Message"), state = core_var_new(l->m, "State");
    struct core_pat *pats[2] = { cp_var(l->m, at, msg), cp_var(l->m, at, state) };
    struct core_expr *args[3] = { lower_atom(l, at, l->module->beam), core_use(l->m, at, msg),
                                  core_use(l->m, at, state) };

    return core_clause(l->m, at, pats, 2, NULL,
                       core_remote_named(l->m, at, "Rata.GenServer", "unhandled_info", args, 3));
}

static void add_definition(struct lower *l, const struct function *f)
{
    struct core_span at = lower_span(l, f->span);
    bool info = (l->module->uses & USE_GEN_SERVER) != 0 && strcmp(f->name, "handle_info") == 0
                && f->arity == 2;
    struct core_function *cf =
        add(l, f->name,
            lower_clauses_fun(l, at, &f->defs, f->arity, info ? unhandled(l, at) : NULL),
            !f->private);

    cf->doc = f->doc;
    cf->signature = signature(l, f);
    add_defaults(l, f);
}

/* --- what `use` supplies --------------------------------------------------------------------- */

/* name(A) -> library:name(module, A), with options [{name, module}] where asked. */
static struct core_fun *delegate(struct lower *l, struct core_span at, const char *name, bool named)
{
    core_var a = core_var_new(l->m, "Arg");
    bool server = (l->module->uses & USE_GEN_SERVER) != 0;
    struct core_expr *args[3];
    const struct core_const *pair[2] = { cc_atom(l->m, "name"),
                                         cc_atom(l->m, l->module->beam) }, *opt;

    opt = cc_tuple(l->m, pair, 2);
    args[0] = lower_atom(l, at, l->module->beam);
    args[1] = core_use(l->m, at, a);
    args[2] = core_lit(l->m, at, cc_list(l->m, &opt, 1, NULL));
    return core_fun_new(l->m, at, &a, 1,
                        core_remote_named(l->m, at, server ? "Rata.GenServer" : "Rata.Supervisor",
                                          name, args, named ? 3 : 2));
}

static void add_supplied(struct lower *l, const struct function *f)
{
    struct core_span at = lower_span(l, f->span);
    struct node_list none = { 0 };
    struct core_fun *fun;

    if (strcmp(f->name, "init") == 0) {
        core_var a = core_var_new(l->m, "Arg");
        struct core_expr *ok[2] = { lower_atom(l, at, "ok"), core_use(l->m, at, a) };

        fun = core_fun_new(l->m, at, &a, 1, core_tuple(l->m, at, ok, 2));
    } else if (strcmp(f->name, "handle_info") == 0) {
        fun = lower_clauses_fun(l, at, &none, 2, unhandled(l, at));
    } else {
        fun = delegate(l, at, f->name, strcmp(f->name, "start_link") == 0);
    }
    add(l, f->name, fun, true)->hidden = true;
}

/* --- asserts of a module --------------------------------------------------------------------- */

static const char *source_text(struct lower *l, struct span s)
{
    return arena_strndup(l->pr->arena, l->pr->d->sources[s.file].text + s.from, s.to - s.from);
}

static struct core_expr *text_and_value(struct lower *l, struct core_span at, const struct node *n,
                                        const struct held *h)
{
    struct core_expr *parts[2] = { lower_text(l, at, source_text(l, n->span)), held_use(l, h) };

    return core_tuple(l->m, at, parts, 2);
}

static bool is_comparison(const struct node *n)
{
    return n->kind == N_BINARY && n->op != TOK_PIPE && is_boolean(n)
           && n->op != TOK_AND && n->op != TOK_OR && n->op != TOK_AND_AND && n->op != TOK_OR_OR
           && n->op != TOK_IN && n->op != TOK_NOT;
}

/* A name that stands for a value computed before. */
static struct node *stand_in(struct lower *l, struct node *n, const struct held *h)
{
    struct node *name = ARENA_NEW(l->pr->arena, struct node);

    if (h->value->kind == CORE_LIT)
        return n;
    name->kind = N_NAME;
    name->span = name->mark = n->span;
    name->meaning = MEANS_VARIABLE;
    name->bound = ARENA_NEW(l->pr->arena, struct binding);
    name->bound->var = h->var;
    return name;
}

/* fun() -> ok | {failed, Message, Values} */
static struct core_expr *assert_fun(struct lower *l, struct node *n)
{
    struct core_span at = lower_span(l, n->span);
    struct core_expr *values, *failed[3], *body;
    struct held left = { .simple = true }, right = { .simple = true };
    bool compare = is_comparison(n->a);

    values = core_lit(l->m, at, cc_nil(l->m));
    if (compare) {
        struct core_expr *pair[2];

        left = lower_hold(l, at, lower(l, n->a->a));
        right = lower_hold(l, at, lower(l, n->a->b));
        pair[0] = text_and_value(l, at, n->a->a, &left);
        pair[1] = text_and_value(l, at, n->a->b, &right);
        values = core_list(l->m, at, pair, 2, NULL);
        n->a->a = stand_in(l, n->a->a, &left);
        n->a->b = stand_in(l, n->a->b, &right);
    }
    failed[0] = lower_atom(l, at, "failed");
    failed[1] = n->b != NULL ? lower(l, n->b) : lower_text(l, at, "assertion failed");
    failed[2] = values;
    body = lower_test(l, n->a, lower_atom(l, at, "ok"), core_tuple(l->m, at, failed, 3));
    if (compare) {
        body = held_let(l, &right, body);
        body = held_let(l, &left, body);
    }
    return core_fun(l->m, core_fun_new(l->m, at, NULL, 0, body));
}

static void add_asserts(struct lower *l)
{
    size_t n = l->module->asserts.n;
    struct core_expr **rows = ARENA_NEW_ARRAY(l->pr->arena, struct core_expr *, n + 1);
    struct core_span at = lower_span(l, l->module->node->mark);

    if (n == 0)
        return;
    for (size_t i = 0; i < n; i++) {
        struct node *a = l->module->asserts.at[i];
        struct core_span here = lower_span(l, a->span);
        struct core_expr *row[3] = {
            core_lit(l->m, here, cc_int(l->m, here.line)),
            lower_text(l, here, source_text(l, a->a->span)),
            assert_fun(l, a),
        };

        rows[i] = core_tuple(l->m, here, row, 3);
    }
    add(l, "__asserts__", core_fun_new(l->m, at, NULL, 0, core_list(l->m, at, rows, n, NULL)), true)
        ->hidden = true;
}

/* --- attributes ------------------------------------------------------------------------------ */

static void add_attributes(struct lower *l)
{
    const struct core_const *list = cc_nil(l->m);
    bool any = false;

    for (size_t i = l->module->n_functions; i-- > 0;) {
        const struct function *f = l->module->functions[i];

        if (f->constant && !f->private) {
            list = cc_cons(l->m, cc_atom(l->m, f->name), list);
            any = true;
        }
    }
    if (any)
        core_add_attribute(l->m, "rata_constants", list);
    for (size_t i = 0; i < l->module->attributes.n; i++) {
        struct node *n = l->module->attributes.at[i];
        struct core_expr *value = lower(l, n->a);

        if (value->kind == CORE_LIT)
            core_add_attribute(l->m, n->text, value->lit);
    }
}

static void add_covered(struct lower *l)
{
    if (l->n_covered > 0)
        core_add_attribute(l->m, "rata_cover", cc_list(l->m, l->covered, l->n_covered, NULL));
}

static uint64_t hash_text(const char *s, size_t len)
{
    uint64_t h = 14695981039346656037u;         /* FNV-1a */

    for (size_t i = 0; i < len; i++)
        h = (h ^ (uint8_t)s[i]) * 1099511628211u;
    return h;
}

struct core_module *rata_lower_module(struct program *pr, struct module *m)
{
    struct lower l = start(pr, m, m->beam);
    struct span whole = m->node->span;

    l.hash = hash_text(pr->d->sources[whole.file].text + whole.from, whole.to - whole.from);
    l.m->doc = m->doc;
    for (size_t i = 0; i < m->n_functions; i++) {
        if (m->functions[i]->supplied)
            add_supplied(&l, m->functions[i]);
        else if (m->functions[i]->constant)
            add_constant(&l, m->functions[i]);
        else
            add_definition(&l, m->functions[i]);
    }
    add_asserts(&l);
    add_attributes(&l);
    add_covered(&l);
    return l.m;
}

/* --- the script ------------------------------------------------------------------------------ */

/* {Value, [{Name, Value}]} with the names of the outermost block. */
struct core_expr *lower_session(struct lower *l, struct core_span at, struct core_expr *value)
{
    size_t n = l->pr->n_final, n_rows = 0;
    struct core_expr **rows = ARENA_NEW_ARRAY(l->pr->arena, struct core_expr *, n + 1), *both[2];

    for (size_t i = 0; i < n; i++) {
        const struct binding *b = l->pr->final_bound[i];
        struct core_expr *row[2];

        if (b->var == 0)
            continue;
        row[0] = core_lit(l->m, at, cc_atom_n(l->m, b->name->text, b->name->len));
        row[1] = core_use(l->m, at, b->var);
        rows[n_rows++] = core_tuple(l->m, at, row, 2);
    }
    both[0] = value;
    both[1] = core_list(l->m, at, rows, n_rows, NULL);
    return core_tuple(l->m, at, both, 2);
}

/* main/1 of the REPL: takes the values apart, runs the statements, gives all names. */
static void add_session(struct lower *l, struct core_span at)
{
    size_t n = 0;
    core_var arg = core_var_new(l->m, NULL);
    struct core_pat **pats, *list;
    struct core_expr *body, *values = core_use(l->m, at, arg);
    struct core_clause *clause;

    while (l->pr->preset[n] != NULL)
        n++;
    pats = ARENA_NEW_ARRAY(l->pr->arena, struct core_pat *, n + 1);
    for (size_t i = 0; i < n; i++)
        pats[i] = cp_var(l->m, at, lower_bind(l, l->pr->preset_bound[i]));
    list = cp_list(l->m, at, pats, n, NULL);
    body = lower_statements(l, &l->pr->script->list, (struct cont){ K_SESSION, NULL });
    clause = core_clause(l->m, at, &list, 1, NULL, body);
    body = core_case(l->m, at, &values, 1, &clause, 1);
    add(l, "main", core_fun_new(l->m, at, &arg, 1, body), true);
}

struct core_module *rata_lower_script(struct program *pr)
{
    struct lower l = start(pr, NULL, pr->script_name);
    struct core_span at = lower_span(&l, (struct span){ pr->script->span.file, 0, 0 });

    if (pr->preset != NULL)
        add_session(&l, at);
    else
        add(&l, "main",
            core_fun_new(l.m, at, NULL, 0, lower_statements(&l, &pr->script->list, VALUE)), true);
    add_covered(&l);
    return l.m;
}
