/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resolve_module.c - which modules there are, and which one a name means
 */
#include "lang/rata/resolve_priv.h"

#include <string.h>

/* --- looking up ------------------------------------------------------------------------------ */

struct module *module_find(struct resolver *r, const char *name)
{
    for (size_t i = 0; i < r->pr->n_modules; i++)
        if (strcmp(r->pr->modules[i]->name, name) == 0)
            return r->pr->modules[i];
    return NULL;
}

struct module *module_by_beam(struct resolver *r, const char *beam)
{
    for (size_t i = 0; i < r->pr->n_modules; i++)
        if (strcmp(r->pr->modules[i]->beam, beam) == 0)
            return r->pr->modules[i];
    return NULL;
}

struct function *function_find(struct module *m, const char *name, uint32_t arity)
{
    for (size_t i = 0; i < m->n_functions; i++) {
        struct function *f = m->functions[i];

        if (arity <= f->arity && arity + f->defaults >= f->arity && strcmp(f->name, name) == 0)
            return f;
    }
    return NULL;
}

const struct known_module *module_outside(struct resolver *r, const char *beam)
{
    const struct module_source *src = r->pr->outside;

    return src != NULL && src->find != NULL ? src->find(src->arg, beam) : NULL;
}

const char *source_name(const char *beam)
{
    return strncmp(beam, "Rata.", 5) == 0 ? beam + 5 : beam;
}

static const struct alias *alias_find(struct resolver *r, const char *name)
{
    for (struct alias_scope *s = r->scope; s != NULL; s = s->outer)
        for (struct alias *al = s->aliases; al != NULL; al = al->next)
            if (strcmp(al->name, name) == 0)
                return al;
    return NULL;
}

/* A module named by its path: seen from inside A.B, C is A.B.C, else A.C, else C. */
static const char *path_beam(struct resolver *r, const char *path)
{
    for (struct module *m = r->module; m != NULL; m = m->outer) {
        const char *full = arena_printf(r->a, "%s.%s", m->name, path);
        struct module *inner = module_find(r, full);

        if (inner != NULL)
            return inner->beam;
    }
    {
        struct module *top = module_find(r, path);

        return top != NULL ? top->beam : arena_printf(r->a, "Rata.%s", path);
    }
}

const char *module_of(struct resolver *r, const struct node *n, bool *ret_unchecked)
{
    const struct alias *al;
    const char *left;

    *ret_unchecked = false;
    switch (n->kind) {
    case N_SELF:
        return r->module != NULL ? r->module->beam : r->pr->script_name;
    case N_MODULE_NAME:
        if (strchr(n->text, '.') == NULL && (al = alias_find(r, n->text)) != NULL) {
            *ret_unchecked = al->unchecked;
            return al->module;
        }
        return path_beam(r, n->text);
    case N_NAME:
        if (name_lookup(r, n->text, n->text_len) != NULL || (al = alias_find(r, n->text)) == NULL)
            return NULL;
        *ret_unchecked = al->unchecked;
        return al->module;
    case N_MEMBER:
        if (n->text[0] < 'A' || n->text[0] > 'Z'
            || (left = module_of(r, n->a, ret_unchecked)) == NULL)
            return NULL;
        if (strncmp(left, "Rata.", 5) == 0 && n->a->kind != N_SELF)
            return path_beam(r, arena_printf(r->a, "%s.%s", left + 5, n->text));
        return arena_printf(r->a, "%s.%s", left, n->text);
    default:
        return NULL;
    }
}

void unknown_module(struct resolver *r, struct span at, const char *name)
{
    const struct module_source *src = r->pr->outside;
    const char *const *names = src != NULL && src->names != NULL ? src->names(src->arg) : NULL;
    const char **known;
    size_t n = 0, i;
    struct diagnostic *it = diag_error(r->d, at, "E0202", "unknown module `%s`", name);

    while (names != NULL && names[n] != NULL)
        n++;
    known = ARENA_NEW_ARRAY(r->a, const char *, n + r->pr->n_modules + 1);
    for (i = 0; i < n; i++)
        known[i] = names[i];
    for (i = 0; i < r->pr->n_modules; i++)
        known[n + i] = r->pr->modules[i]->name;
    hint_nearest(r, it, name, known, n + r->pr->n_modules, "");
    if (name[0] >= 'a' && name[0] <= 'z')
        diag_hint(r->d, it, "modules of Erlang are written as atoms: :%s", name);
}

/* --- library --------------------------------------------------------------------------------- */

/* The module that a `library` names; NULL after an error. */
static const char *library_target(struct resolver *r, const struct node *path, bool *ret_unchecked)
{
    const char *beam;
    bool of_alias;

    *ret_unchecked = path->kind == N_ATOM || strncmp(path->text, "Elixir.", 7) == 0;
    if (*ret_unchecked)
        return path->text;
    beam = path->kind == N_STRING ? arena_printf(r->a, "Rata.%s", path->text)
                                  : module_of(r, path, &of_alias);
    if (module_by_beam(r, beam) != NULL || module_outside(r, beam) != NULL)
        return beam;
    unknown_module(r, path->span, path->text);
    return NULL;
}

void resolve_library(struct resolver *r, const struct node *n)
{
    bool unchecked;
    const char *target = library_target(r, n->a, &unchecked);
    struct alias *al;

    if (n->text == NULL)
        return;
    al = ARENA_NEW(r->a, struct alias);
    *al = (struct alias){ n->text, target != NULL ? target : "", target == NULL || unchecked,
                          r->scope->aliases };
    r->scope->aliases = al;
}
