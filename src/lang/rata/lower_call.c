/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lower_call.c - calls, function values, constants
 */
#include "lang/rata/lower_priv.h"

#include "base/assert.h"

#include <string.h>

static const struct core_atom *atom(struct lower *l, const char *name)
{
    return core_atom(l->m, name, strlen(name));
}

static struct core_expr *fun_value(struct lower *l, struct core_span at, const struct callee *c)
{
    const char *module = c->kind == CALLEE_CORE ? "Rata.Core" : c->module;

    if (c->kind == CALLEE_OWN)
        return core_local(l->m, at, atom(l, c->name), c->arity);
    return core_lit(l->m, at, cc_external(l->m, atom(l, module), atom(l, c->name), c->arity));
}

/* May M:f be called from l's module as a function of the same module? Qualified calls go through
 * the current version of the code; a private function has no other way. */
static bool private_at_home(struct lower *l, const struct callee *c)
{
    return l->module != NULL && c->function != NULL && c->function->private
           && c->module == l->module->beam;
}

static struct core_expr *constant(struct lower *l, struct core_span at, const struct callee *c)
{
    if (c->kind == CALLEE_OWN || private_at_home(l, c))
        return core_call(l->m, at, atom(l, c->name), NULL, 0);
    return core_remote_named(l->m, at, c->module, c->name, NULL, 0);
}

struct core_expr *lower_reference(struct lower *l, struct node *n)
{
    struct core_span at = lower_span(l, n->span);

    switch (n->meaning) {
    case MEANS_MODULE:
        return lower_atom(l, at, n->module);
    case MEANS_FUNCTION:
        return fun_value(l, at, n->callee);
    case MEANS_CONSTANT:
        return constant(l, at, n->callee);
    case MEANS_VARIABLE:
        ASSERT(n->bound->var != 0);
        return core_use(l->m, at, n->bound->var);
    default:
        UNREACHABLE();
    }
}

/* --- core functions -------------------------------------------------------------------------- */

static struct core_expr *type_call(struct lower *l, struct core_span at, const struct core_fn *fn,
                                   struct core_expr *arg)
{
    struct held h = lower_hold(l, at, arg);

    if (h.simple && h.value->kind == CORE_LIT) {
        h.simple = false;
        h.var = core_var_new(l->m, NULL);
    }
    {
        struct core_expr *test = lower_type_test(l, at, fn->name + 3, h.var);

        ASSERT(test != NULL);
        return held_let(l, &h, test);
    }
}

static struct core_expr *core_fn_call(struct lower *l, struct core_span at,
                                      const struct core_fn *fn, struct core_expr **args)
{
    switch (fn->how) {
    case CORE_INLINE_BIF:
        return core_bif(l->m, at, fn->name, args, fn->arity);
    case CORE_INLINE_TYPE:
        return type_call(l, at, fn, args[0]);
    case CORE_INLINE_OTHER:
        if (strcmp(fn->name, "identity") == 0)
            return args[0];
        return core_bif(l->m, at, fn->name, args, fn->arity);       /* min, max, exit */
    default:
        return core_remote_named(l->m, at, "Rata.Core", fn->name, args, fn->arity);
    }
}

/* --- calls ----------------------------------------------------------------------------------- */

static struct core_expr *known_call(struct lower *l, struct core_span at, const struct callee *c,
                                    struct core_expr **args, size_t n)
{
    switch (c->kind) {
    case CALLEE_CORE:
        return core_fn_call(l, at, c->core, args);
    case CALLEE_OWN:
        return core_call(l->m, at, atom(l, c->name), args, n);
    default:
        if (private_at_home(l, c))
            return core_call(l->m, at, atom(l, c->name), args, n);
        return core_remote_named(l->m, at, c->module, c->name, args, n);
    }
}

/* :erlang.apply(M, F, [A, B]) with a written vector is M:F(A, B). */
static struct core_expr *dynamic_call(struct lower *l, struct core_span at, struct node *n)
{
    struct core_expr *module = lower(l, n->list.at[0]), *function = lower(l, n->list.at[1]);
    const struct node_list *list = &n->list.at[2]->list;
    struct core_expr **args = ARENA_NEW_ARRAY(l->pr->arena, struct core_expr *, list->n + 1);

    lower_list(l, list, args);
    return core_remote(l->m, at, module, function, args, list->n);
}

struct core_expr *lower_call(struct lower *l, struct node *n)
{
    struct core_span at = lower_span(l, n->span);
    struct core_expr **args, *callee;

    if (n->meaning == MEANS_DYNAMIC_CALL)
        return dynamic_call(l, at, n);
    if (n->meaning == MEANS_PROTECT)
        return lower_protect(l, n);
    args = ARENA_NEW_ARRAY(l->pr->arena, struct core_expr *, n->list.n + 1);
    if (n->meaning == MEANS_CALL) {
        lower_list(l, &n->list, args);
        return known_call(l, at, n->callee, args, n->list.n);
    }
    callee = lower(l, n->a);
    lower_list(l, &n->list, args);
    return core_apply(l->m, at, callee, args, n->list.n);
}
