/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resolve_call.c - names, members and calls: which function or variable they mean
 */
#include "lang/rata/resolve_priv.h"

#include <stdio.h>
#include <string.h>

const struct core_fn core_fns[] = {
#define CORE_FN(name, arity, guard, how) { #name, arity, guard, CORE_INLINE_##how },
#include "lang/rata/corefns.tab"
#undef CORE_FN
};
const size_t n_core_fns = ARRAY_LEN(core_fns);

/* --- what may be called ---------------------------------------------------------------------- */

/* All functions with a name in one place: of the module, the core, or another module. */
struct found {
    struct callee callee;           /* of the wanted arity, or of the only one */
    bool exact;                     /* the wanted arity exists */
    unsigned n;                     /* arities in all */
    char arities[80];               /* "1, 2, 4" */
    unsigned last;                  /* the arity noted last */
};

static void found_add(struct found *f, uint32_t arity, uint32_t wanted, struct callee callee)
{
    size_t len = strlen(f->arities);

    if (f->n > 0 && f->last == arity)
        return;
    snprintf(f->arities + len, sizeof f->arities - len, f->n > 0 ? ", %u" : "%u", arity);
    f->n++;
    f->last = arity;
    if (arity == wanted)
        f->exact = true;
    if (arity == wanted || (!f->exact && f->n == 1))
        f->callee = callee;
}

#define ANY_ARITY UINT32_MAX

static void find_in_module(struct module *m, const char *name, uint32_t wanted, bool own,
                           struct found *f)
{
    for (size_t i = 0; i < m->n_functions; i++) {
        struct function *fn = m->functions[i];

        if (strcmp(fn->name, name) != 0 || (!own && fn->private))
            continue;
        for (uint32_t arity = fn->arity - fn->defaults; arity <= fn->arity; arity++)
            found_add(f, arity, wanted,
                      (struct callee){ .kind = own ? CALLEE_OWN : CALLEE_REMOTE,
                                       .module = m->beam, .name = name, .arity = arity,
                                       .function = fn });
    }
}

static void find_core(const char *name, uint32_t wanted, struct found *f)
{
    for (size_t i = 0; i < n_core_fns; i++)
        if (strcmp(core_fns[i].name, name) == 0)
            found_add(f, core_fns[i].arity, wanted,
                      (struct callee){ .kind = CALLEE_CORE, .name = name,
                                       .module = "Rata.Core", .arity = core_fns[i].arity,
                                       .core = &core_fns[i] });
}

static bool known_constant(const struct known_module *m, const char *name)
{
    for (size_t i = 0; i < m->n; i++)
        if (m->functions[i].constant && strcmp(m->functions[i].name, name) == 0)
            return true;
    return false;
}

static void find_outside(const struct known_module *m, const char *name, uint32_t wanted,
                         struct found *f)
{
    for (size_t i = 0; i < m->n; i++)
        if (strcmp(m->functions[i].name, name) == 0)
            found_add(f, m->functions[i].arity, wanted,
                      (struct callee){ .kind = CALLEE_REMOTE, .module = m->beam, .name = name,
                                       .arity = m->functions[i].arity });
}

/* --- errors ---------------------------------------------------------------------------------- */

static void suggest_own(struct resolver *r, struct diagnostic *it, const char *name, bool variables)
{
    size_t max = n_core_fns + (r->module != NULL ? r->module->n_functions : 0) + r->n_undo, n = 0;
    const char **known = ARENA_NEW_ARRAY(r->a, const char *, max + 1);

    for (size_t i = 0; variables && i < r->n_undo; i++)
        if (r->undo[i].name->bound != NULL)
            known[n++] = r->undo[i].name->text;
    for (size_t i = 0; r->module != NULL && i < r->module->n_functions; i++)
        known[n++] = r->module->functions[i]->name;
    for (size_t i = 0; i < n_core_fns; i++)
        known[n++] = core_fns[i].name;
    hint_nearest(r, it, name, known, n, "");
}

static void undefined_name(struct resolver *r, const struct node *n)
{
    struct diagnostic *it = diag_error(r->d, n->span, "E0201", "undefined name `%s`", n->text);

    if (strcmp(n->text, "_") == 0)
        diag_hint(r->d, it, "`_` stands in patterns only; it has no value");
    else
        suggest_own(r, it, n->text, true);
    if (it->remarks == NULL)
        diag_hint(r->d, it, "a name must be bound before it is used");
}

static void undefined_function(struct resolver *r, const struct node *n, size_t arity)
{
    struct diagnostic *it = diag_error(r->d, n->span, "E0201", "undefined function `%s/%zu`",
                                       n->text, arity);

    suggest_own(r, it, n->text, true);
    if (it->remarks == NULL && r->module != NULL)
        diag_hint(r->d, it, "define it in this module, or write the module before it: "
                  "Module.%s(...)", n->text);
    else if (it->remarks == NULL)
        diag_hint(r->d, it, "functions of a module are called as Module.%s(...)", n->text);
}

/* "2 arguments", "1, 2 or 4 arguments" */
static const char *arities_text(struct resolver *r, const struct found *f)
{
    char *text = arena_strndup(r->a, f->arities, strlen(f->arities));
    char *comma = strrchr(text, ',');

    if (f->n == 1)
        return arena_printf(r->a, "%s argument%s", text, strcmp(text, "1") == 0 ? "" : "s");
    if (comma == NULL)
        return text;
    *comma = 0;
    return arena_printf(r->a, "%s or %s arguments", text, comma + 2);
}

static void wrong_arity(struct resolver *r, struct span at, const char *name, size_t arity,
                        const struct found *f)
{
    struct diagnostic *it = diag_error(r->d, at, "E0203", "`%s` is called with %zu argument%s",
                                       name, arity, arity == 1 ? "" : "s");

    diag_note(r->d, it, "it takes %s", arities_text(r, f));
}

static void no_such_function(struct resolver *r, const struct node *member, const char *beam,
                             struct module *m, const struct known_module *known)
{
    size_t max = m != NULL ? m->n_functions : known->n, n = 0;
    const char **names = ARENA_NEW_ARRAY(r->a, const char *, max + 1);
    struct diagnostic *it;

    for (size_t i = 0; i < max; i++) {
        if (m != NULL && m->functions[i]->private
            && strcmp(m->functions[i]->name, member->text) == 0) {
            it = diag_error(r->d, member->mark, "E0213", "`%s` is private in module %s",
                            member->text, source_name(beam));
            diag_hint(r->d, it, "remove `private` before its definition to call it from outside");
            return;
        }
        if (m == NULL || !m->functions[i]->private)
            names[n++] = m != NULL ? m->functions[i]->name : known->functions[i].name;
    }
    it = diag_error(r->d, member->mark, "E0213", "module %s has no function `%s`",
                    source_name(beam), member->text);
    hint_nearest(r, it, member->text, names, n, arena_printf(r->a, "%s.", source_name(beam)));
}

/* --- names ----------------------------------------------------------------------------------- */

static void set_callee(struct resolver *r, struct node *n, enum meaning m, const struct callee *c)
{
    n->callee = ARENA_NEW(r->a, struct callee);
    *n->callee = *c;
    n->meaning = (uint8_t)m;
}

static void find_own(struct resolver *r, const char *name, uint32_t wanted, struct found *f)
{
    if (r->module != NULL)
        find_in_module(r->module, name, wanted, true, f);
    if (!f->exact) {
        struct found core = { 0 };

        find_core(name, wanted, &core);
        if (core.exact || f->n == 0)
            *f = core;
    }
}

static void ambiguous(struct resolver *r, struct span at, const char *name, const struct found *f)
{
    struct diagnostic *it = diag_error(r->d, at, "E0208", "`%s` names several functions", name);

    diag_note(r->d, it, "they take %s", arities_text(r, f));
    diag_hint(r->d, it, "write which one: %s/%u", name, f->callee.arity);
}

static void set_value(struct resolver *r, struct node *n, const struct found *f, bool constant)
{
    if (constant)
        set_callee(r, n, MEANS_CONSTANT, &f->callee);
    else if (f->n > 1)
        ambiguous(r, n->mark, n->text, f);
    else
        set_callee(r, n, MEANS_FUNCTION, &f->callee);
}

void resolve_name(struct resolver *r, struct node *n)
{
    struct binding *b = name_lookup(r, n->text, n->text_len);
    struct found f = { 0 };
    const struct function *constant;
    bool unchecked;

    if (b != NULL && strcmp(n->text, "_") != 0) {
        b->uses++;
        n->bound = b;
        n->meaning = MEANS_VARIABLE;
        return;
    }
    n->module = module_of(r, n, &unchecked);
    if (n->module != NULL) {
        n->meaning = MEANS_MODULE;
        return;
    }
    find_own(r, n->text, ANY_ARITY, &f);
    if (f.n == 0) {
        undefined_name(r, n);
        return;
    }
    constant = f.callee.arity == 0 ? f.callee.function : NULL;
    set_value(r, n, &f, constant != NULL && constant->constant);
}

/* --- members --------------------------------------------------------------------------------- */

/* Functions called `name` of the module beam. False after reporting that there are none, or that
 * the module is unknown. */
static bool find_remote(struct resolver *r, const struct node *member, const char *beam,
                        uint32_t wanted, struct found *f, bool *ret_constant)
{
    struct module *m = module_by_beam(r, beam);
    const struct known_module *known = m == NULL ? module_outside(r, beam) : NULL;

    *ret_constant = false;
    if (m == NULL && known == NULL) {
        unknown_module(r, member->a->span, source_name(beam));
        return false;
    }
    if (m != NULL) {
        const struct function *c = function_find(m, member->text, 0);

        find_in_module(m, member->text, wanted, false, f);
        if (f->n == 0 && m == r->module)        /* private, but at home */
            find_in_module(m, member->text, wanted, true, f);
        *ret_constant = c != NULL && c->constant;
    } else {
        find_outside(known, member->text, wanted, f);
        *ret_constant = known_constant(known, member->text);
    }
    if (f->n > 0)
        return true;
    no_such_function(r, member, beam, m, known);
    return false;
}

/* A module whose functions are not known: of Erlang, or written as an atom. */
static bool unchecked_module(struct resolver *r, const struct node *n, const char **ret_beam)
{
    bool unchecked;

    if (n->kind == N_ATOM && !n->flag) {
        *ret_beam = n->text;
        return strncmp(n->text, "Rata.", 5) != 0 || module_by_beam(r, n->text) == NULL;
    }
    *ret_beam = module_of(r, n, &unchecked);
    return *ret_beam != NULL && unchecked;
}

void resolve_member(struct resolver *r, struct node *n)
{
    const char *beam, *self;
    struct found f = { 0 };
    bool constant, unchecked;

    if ((self = module_of(r, n, &unchecked)) != NULL) {
        n->module = self;
        n->meaning = MEANS_MODULE;
        return;
    }
    if (unchecked_module(r, n->a, &beam)) {
        struct diagnostic *it = diag_error(r->d, n->mark, "E0208",
                                           "the number of arguments of `%s` is not known", n->text);

        diag_hint(r->d, it, "name the function with it, as in %s/1, or call it", n->text);
        return;
    }
    if (beam == NULL) {
        resolve_node(r, n->a);
        n->meaning = MEANS_FIELD;
        return;
    }
    if (find_remote(r, n, beam, ANY_ARITY, &f, &constant))
        set_value(r, n, &f, constant);
}

/* f/2 or M.f/2, read as a division: true if it names a function. */
bool resolve_capture(struct resolver *r, struct node *n)
{
    struct node *left = n->a;
    uint32_t arity = 0;
    const char *beam = NULL;
    struct found f = { 0 };
    bool constant;

    for (const char *s = n->b->text; *s >= '0' && *s <= '9' && arity < 1000; s++)
        arity = arity * 10 + (uint32_t)(*s - '0');
    if (left->kind == N_NAME) {
        if (name_lookup(r, left->text, left->text_len) != NULL)
            return false;
        find_own(r, left->text, arity, &f);
        if (f.n == 0 || (f.callee.function != NULL && f.callee.function->constant && !f.exact))
            return false;
        if (!f.exact)
            wrong_arity(r, left->span, left->text, arity, &f);
    } else if (unchecked_module(r, left->a, &beam)) {
        f.callee = (struct callee){ .kind = CALLEE_REMOTE, .module = beam, .name = left->text,
                                    .arity = arity };
        f.exact = true;
    } else if (beam == NULL) {
        return false;
    } else {
        if (!find_remote(r, left, beam, arity, &f, &constant)) {
            n->kind = N_ERROR;
            return true;
        }
        if (constant && !f.exact)
            return false;
        if (!f.exact)
            wrong_arity(r, left->mark, left->text, arity, &f);
    }
    n->kind = N_CAPTURE;
    n->number = arity;
    set_callee(r, n, MEANS_FUNCTION, &f.callee);
    return true;
}

/* --- calls ----------------------------------------------------------------------------------- */

static void call_name(struct resolver *r, struct node *n)
{
    struct node *left = n->a;
    uint32_t arity = (uint32_t)n->list.n;
    struct found f = { 0 };

    if (name_lookup(r, left->text, left->text_len) != NULL) {
        resolve_name(r, left);
        n->meaning = MEANS_APPLY;
        return;
    }
    find_own(r, left->text, arity, &f);
    if (f.exact) {
        set_callee(r, n, MEANS_CALL, &f.callee);
        check_argument_types(r, n, f.callee.function);
    } else if (f.n == 0) {
        undefined_function(r, left, arity);
    } else if (f.callee.function != NULL && f.callee.function->constant) {
        resolve_name(r, left);
        n->meaning = MEANS_APPLY;
    } else {
        wrong_arity(r, left->span, left->text, arity, &f);
    }
}

static bool written_vector(const struct node *n)
{
    return n->kind == N_VECTOR && n->a == NULL
           && (n->list.n == 0 || n->list.at[n->list.n - 1]->kind != N_KEYWORDS);
}

static void call_unchecked(struct resolver *r, struct node *n, const char *beam)
{
    const char *name = n->a->text;

    if (strcmp(beam, "erlang") == 0 && strcmp(name, "apply") == 0 && n->list.n == 3
        && written_vector(n->list.at[2])) {
        n->meaning = MEANS_DYNAMIC_CALL;
    } else if (strcmp(beam, "$rata") == 0) {
        n->meaning = MEANS_PROTECT;
        if (strcmp(name, "protect") != 0 || n->list.n != 1)
            diag_error(r->d, n->span, "E0213", "`:\"$rata\"` has protect/1 alone");
    } else {
        set_callee(r, n, MEANS_CALL,
                   &(struct callee){ .kind = CALLEE_REMOTE, .module = beam, .name = name,
                                     .arity = (uint32_t)n->list.n });
    }
}

static void call_member(struct resolver *r, struct node *n)
{
    struct node *left = n->a;
    uint32_t arity = (uint32_t)n->list.n;
    const char *beam;
    struct found f = { 0 };
    bool constant;

    if (unchecked_module(r, left->a, &beam)) {
        call_unchecked(r, n, beam);
        return;
    }
    if (beam == NULL) {                             /* a function in a field of a map */
        resolve_member(r, left);
        n->meaning = MEANS_APPLY;
        return;
    }
    if (!find_remote(r, left, beam, arity, &f, &constant))
        return;
    if (f.exact) {
        set_callee(r, n, MEANS_CALL, &f.callee);
        check_argument_types(r, n, f.callee.function);
    } else if (constant) {
        set_callee(r, left, MEANS_CONSTANT, &f.callee);
        n->meaning = MEANS_APPLY;
    } else {
        wrong_arity(r, left->mark, left->text, arity, &f);
    }
}

void resolve_call(struct resolver *r, struct node *n)
{
    switch (n->a->kind) {
    case N_NAME:
        call_name(r, n);
        break;
    case N_MEMBER:
        call_member(r, n);
        break;
    default:
        resolve_node(r, n->a);
        n->meaning = MEANS_APPLY;
    }
    if (n->list.n > 255)
        diag_error(r->d, n->span, "E0206", "a call has at most 255 arguments");
    resolve_list(r, &n->list);
}
