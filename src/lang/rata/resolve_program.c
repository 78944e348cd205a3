/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resolve_program.c - the modules of a program and their functions, then the walk over all of it
 *
 * Everything is collected before anything is looked up, so modules and functions may be used
 * before they are defined, and across files.
 */
#include "lang/rata/resolve_priv.h"

#include <string.h>

/* --- functions of a module ------------------------------------------------------------------- */

static void defined_twice(struct resolver *r, struct span at, const char *what, const char *name,
                          struct span first)
{
    struct diagnostic *it = diag_error(r->d, at, "E0204", "%s `%s` is defined twice", what, name);
    const struct source *s = &r->d->sources[first.file];

    diag_note(r->d, it, "the first definition is in line %u of %s",
              source_place(s, first.from).line, s->name);
}

static uint32_t count_defaults(const struct node *fn)
{
    uint32_t n = 0;

    for (size_t i = 0; i < fn->list.n; i++)
        n += fn->list.at[i]->b != NULL;
    return n;
}

static struct function *function_new(struct resolver *r, struct module *m, const struct node *def)
{
    struct function *f = ARENA_NEW(r->a, struct function);

    f->name = def->text;
    f->span = def->mark;
    f->private = def->flag;
    m->functions = arena_grow(r->a, m->functions, m->n_functions, &m->cap_functions,
                              sizeof *m->functions);
    m->functions[m->n_functions++] = f;
    return f;
}

/* Is one of the arities from `low` to `high` of this name taken? */
static struct function *taken(struct module *m, const char *name, uint32_t low, uint32_t high)
{
    for (uint32_t arity = low; arity <= high; arity++) {
        struct function *f = function_find(m, name, arity);

        if (f != NULL)
            return f;
    }
    return NULL;
}

static void add_constant(struct resolver *r, struct module *m, struct node *def)
{
    struct function *f = function_find(m, def->text, 0);

    if (f != NULL) {
        defined_twice(r, def->mark, "constant", def->text, f->span);
        return;
    }
    f = function_new(r, m, def);
    f->constant = true;
    node_list_add(r->a, &f->defs, def);
}

static void add_function(struct resolver *r, struct module *m, struct node *def)
{
    uint32_t arity = (uint32_t)def->a->list.n, defaults = count_defaults(def->a);
    struct function *f = taken(m, def->text, arity - defaults, arity);

    if (f == NULL) {
        f = function_new(r, m, def);
        f->arity = arity;
        f->defaults = defaults;
    } else if (f->constant || f->arity != arity) {
        defined_twice(r, def->mark, f->constant ? "constant" : "function", def->text, f->span);
        return;
    } else if (defaults > 0 || f->defaults > 0) {
        struct diagnostic *it = diag_error(r->d, def->mark, "E0206",
                                           "a function with defaults has one clause only");
        diag_hint(r->d, it, "let the one clause use `case`, or write the smaller functions "
                  "yourself");
        return;
    }
    f->private |= def->flag;
    node_list_add(r->a, &f->defs, def);
}

/* --- members --------------------------------------------------------------------------------- */

static void collect_module(struct resolver *r, struct node *n, struct module *outer,
                           struct alias_scope *scope);

/* A string before a definition in `@doc`; the first statement of a function with more behind it. */
static const char *doc_of(const struct node *def, const char *pending)
{
    const struct node *body = def->a->kind == N_FUNCTION ? def->a->c : NULL;

    if (pending == NULL && body != NULL && body->list.n > 1 && body->list.at[0]->kind == N_STRING)
        return body->list.at[0]->text;
    return pending;
}

static void collect_use(struct resolver *r, struct module *m, const struct node *n)
{
    if (strcmp(n->a->text, "GenServer") == 0) {
        m->uses |= USE_GEN_SERVER;
    } else if (strcmp(n->a->text, "Supervisor") == 0) {
        m->uses |= USE_SUPERVISOR;
    } else {
        struct diagnostic *it = diag_error(r->d, n->a->span, "E0206", "`use %s` has no meaning",
                                           n->a->text);
        diag_hint(r->d, it, "there are `use GenServer` and `use Supervisor`; other modules are "
                  "called by name, or get a short one with `library`");
    }
}

static void collect_attribute(struct resolver *r, struct module *m, struct node *n,
                              const char **pending)
{
    bool doc = strcmp(n->text, "doc") == 0, moduledoc = strcmp(n->text, "moduledoc") == 0;

    if (!doc && !moduledoc) {
        if (strcmp(n->text, "erlang_name") == 0 && n->a->kind == N_ATOM)
            m->beam = n->a->text;
        node_list_add(r->a, &m->attributes, n);
    } else if (n->a->kind != N_STRING) {
        diag_error(r->d, n->a->span, "E0206", "documentation is a string");
    } else if (doc) {
        *pending = n->a->text;
    } else {
        m->doc = n->a->text;
    }
}

static void collect_member(struct resolver *r, struct module *m, struct node *n, size_t i,
                           const char **pending)
{
    switch (n->kind) {
    case N_STRING:
        if (i == 0)
            m->doc = n->text;
        else
            *pending = n->text;
        return;
    case N_ATTRIBUTE:
        collect_attribute(r, m, n, pending);
        return;
    case N_USE:
        collect_use(r, m, n);
        return;
    case N_MODULE:
        collect_module(r, n, m, &m->scope);
        return;
    case N_ASSERT:
        node_list_add(r->a, &m->asserts, n);
        return;
    case N_DEF: {
        size_t before = m->n_functions;
        const char *doc = doc_of(n, *pending);

        if (n->a->kind == N_FUNCTION)
            add_function(r, m, n);
        else
            add_constant(r, m, n);
        if (m->n_functions > before)
            m->functions[before]->doc = doc;
        *pending = NULL;
        return;
    }
    default:
        return;
    }
}

/* What `use` supplies, unless the module defines it. */
static void supply(struct resolver *r, struct module *m, const char *name, uint32_t arity)
{
    struct node def = { .text = name, .mark = m->node->mark };
    struct function *f;

    if (function_find(m, name, arity) != NULL)
        return;
    f = function_new(r, m, &def);
    f->arity = arity;
    f->supplied = true;
}

static void supply_all(struct resolver *r, struct module *m)
{
    if (m->uses == USE_NONE)
        return;
    supply(r, m, "start_link", 1);
    supply(r, m, "child_spec", 1);
    if (m->uses & USE_GEN_SERVER) {
        supply(r, m, "init", 1);
        supply(r, m, "handle_info", 2);
    }
}

static void collect_module(struct resolver *r, struct node *n, struct module *outer,
                           struct alias_scope *scope)
{
    const char *name = outer != NULL ? arena_printf(r->a, "%s.%s", outer->name, n->text) : n->text;
    struct module *m = module_find(r, name);
    const char *pending = NULL;
    struct program *pr = r->pr;

    if (m != NULL) {
        defined_twice(r, n->mark, "module", name, m->node->mark);
        return;
    }
    if (strlen(name) > 240)
        diag_error(r->d, n->mark, "E0206", "the name of this module is too long");
    m = ARENA_NEW(r->a, struct module);
    *m = (struct module){ .name = name, .beam = arena_printf(r->a, "Rata.%s", name),
                          .outer = outer, .scope = { scope, NULL }, .node = n };
    pr->modules = arena_grow(r->a, pr->modules, pr->n_modules, &pr->cap_modules,
                             sizeof *pr->modules);
    pr->modules[pr->n_modules++] = m;
    for (size_t i = 0; i < n->list.n; i++)
        collect_member(r, m, n->list.at[i], i, &pending);
    supply_all(r, m);
}

/* --- files ----------------------------------------------------------------------------------- */

static void script_new(struct resolver *r, const struct node *root)
{
    struct node *n = ARENA_NEW(r->a, struct node);

    n->kind = N_BLOCK;
    n->span = n->mark = root->span;
    r->pr->script = n;
}

static void collect_file(struct resolver *r, struct node *root, uint32_t file)
{
    struct program *pr = r->pr;

    for (size_t i = 0; i < root->list.n; i++) {
        struct node *n = root->list.at[i];

        if (n->kind == N_MODULE) {
            collect_module(r, n, NULL, &pr->file_scopes[file]);
        } else if (n->kind != N_LIBRARY && n->kind != N_ERROR) {
            if (pr->script == NULL) {
                script_new(r, root);
            } else if (pr->script->span.file != file) {
                struct diagnostic *it = diag_error(r->d, n->span, "E0206",
                                                   "a second file has statements of its own");
                diag_note(r->d, it, "the program starts in %s; statements elsewhere belong into "
                          "functions", r->d->sources[pr->script->span.file].name);
                return;
            }
            node_list_add(r->a, &pr->script->list, n);
        }
    }
}

static void libraries(struct resolver *r, const struct node *items)
{
    for (size_t i = 0; i < items->list.n; i++)
        if (items->list.at[i]->kind == N_LIBRARY)
            resolve_library(r, items->list.at[i]);
}

/* --- the walk -------------------------------------------------------------------------------- */

static void resolve_definition(struct resolver *r, const struct function *f)
{
    for (size_t i = 0; i < f->defs.n; i++) {
        if (f->constant)
            resolve_node(r, f->defs.at[i]->a);
        else
            resolve_function(r, f->defs.at[i]->a, true);
    }
}

static void resolve_module(struct resolver *r, struct module *m)
{
    r->module = m;
    r->scope = &m->scope;
    for (size_t i = 0; i < m->n_functions; i++)
        resolve_definition(r, m->functions[i]);
    resolve_list(r, &m->asserts);
    for (size_t i = 0; i < m->attributes.n; i++)
        resolve_node(r, m->attributes.at[i]->a);
}

/* Newest binding of each name of the outermost block, for the REPL. */
static void note_final(struct resolver *r)
{
    struct program *pr = r->pr;

    for (size_t i = 0; i < r->n_undo; i++) {
        struct binding *b = r->undo[i].name->bound;
        bool seen = b == NULL;

        for (size_t j = 0; j < pr->n_final && !seen; j++)
            seen = pr->final_bound[j] == b;
        if (seen)
            continue;
        pr->final_bound = arena_grow(r->a, pr->final_bound, pr->n_final, &pr->cap_final,
                                     sizeof *pr->final_bound);
        pr->final_bound[pr->n_final++] = b;
    }
}

static void preset(struct resolver *r)
{
    struct program *pr = r->pr;
    size_t n = 0;

    while (pr->preset[n] != NULL)
        n++;
    pr->preset_bound = ARENA_NEW_ARRAY(r->a, struct binding *, n + 1);
    for (size_t i = 0; i < n; i++) {
        struct node name = { .kind = N_NAME, .text = pr->preset[i],
                             .text_len = (uint32_t)strlen(pr->preset[i]) };

        pr->preset_bound[i] = name_bind(r, &name);
        pr->preset_bound[i]->quiet = true;
    }
}

static void resolve_script(struct resolver *r)
{
    struct node *script = r->pr->script;
    uint32_t mark;

    r->module = NULL;
    r->scope = &r->pr->file_scopes[script->span.file];
    mark = block_enter(r);
    if (r->pr->preset != NULL)
        preset(r);
    resolve_list(r, &script->list);
    if (r->pr->preset != NULL)
        note_final(r);
    block_leave(r, mark, 0);
}

void rata_resolve(struct program *pr, struct node *const *roots, size_t n)
{
    struct resolver r = { .pr = pr, .d = pr->d, .a = pr->arena };

    pr->file_scopes = ARENA_NEW_ARRAY(pr->arena, struct alias_scope, n + 1);
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && i <= pr->n_context)                /* each inside the one before */
            pr->file_scopes[i].outer = &pr->file_scopes[i - 1];
        collect_file(&r, roots[i], (uint32_t)i);
    }
    for (size_t i = 0; i < n; i++) {
        r.scope = &pr->file_scopes[i];
        libraries(&r, roots[i]);
    }
    for (size_t i = 0; i < pr->n_modules; i++) {
        r.module = pr->modules[i];
        r.scope = &pr->modules[i]->scope;
        libraries(&r, pr->modules[i]->node);
    }
    for (size_t i = 0; i < pr->n_modules && pr->d->n_errors < DIAG_ERRORS_KEPT; i++)
        resolve_module(&r, pr->modules[i]);
    if (pr->preset != NULL && pr->script == NULL)       /* an input of the REPL has a value */
        script_new(&r, roots[n - 1]);
    if (pr->script != NULL)
        resolve_script(&r);
    if (pr->warn && pr->d->n_errors == 0)
        warn_unused(&r);
}
