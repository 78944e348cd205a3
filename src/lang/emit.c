/* SPDX-License-Identifier: Apache-2.0 */
/*
 * emit.c - a module: its functions one after the other, then the tables
 *
 * Functions that closures become are made when something first mentions them, behind those of the
 * source. All that is numbered is numbered in the order of the source, so equal modules give
 * equal bytes.
 */
#include "lang/emit_priv.h"

#include "base/assert.h"
#include "base/errors.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void unit_fail(struct unit *u, int rc, struct core_span at, const char *fmt, ...)
{
    va_list ap;

    if (u->rc < 0)
        return;
    u->rc = rc;
    u->error->span = at;
    va_start(ap, fmt);
    vsnprintf(u->error->text, sizeof u->error->text, fmt, ap);
    va_end(ap);
}

/* --- functions -------------------------------------------------------------------------------- */

static size_t name_slot(const struct unit *u, const struct core_atom *name, unsigned arity)
{
    return (((uintptr_t)name >> 4) * 31 + arity) * 2654435761u % u->cap_names;
}

static struct low_function *function_new(struct unit *u, const struct core_atom *name,
                                         uint32_t arity, struct core_fun *core)
{
    struct low_function *f = ARENA_NEW(u->arena, struct low_function);

    f->name = name;
    f->arity = arity;
    f->core = core;
    f->row = -1;
    f->info_label = u->next_label++;
    f->entry_label = u->next_label++;
    *u->last_function = f;
    u->last_function = &f->next;
    if (arity > CORE_ARITY_MAX)
        unit_fail(u, -ERR_LIMIT, core->span, "a function takes more than %d values, those from "
                  "outside included", CORE_ARITY_MAX);
    return f;
}

struct low_function *unit_function(struct unit *u, const struct core_atom *name, unsigned arity)
{
    size_t slot = name_slot(u, name, arity);

    while (u->by_name[slot] != NULL) {
        if (u->by_name[slot]->name == name && u->by_name[slot]->arity == arity)
            return u->by_name[slot];
        slot = (slot + 1) % u->cap_names;
    }
    unit_fail(u, -ERR_ARGUMENT, (struct core_span){ 0 }, "there is no function %.100s/%u",
              name->name, arity);
    return u->functions;
}

static void add_functions(struct unit *u)
{
    u->cap_names = 2 * u->m->n_functions + 7;
    u->by_name = ARENA_NEW_ARRAY(u->arena, struct low_function *, u->cap_names);
    for (size_t i = 0; i < u->m->n_functions; i++) {
        const struct core_function *cf = &u->m->functions[i];
        struct low_function *f = function_new(u, cf->name, cf->fun->arity, cf->fun);
        size_t slot = name_slot(u, f->name, f->arity);

        f->exported = cf->exported;
        while (u->by_name[slot] != NULL)
            slot = (slot + 1) % u->cap_names;
        u->by_name[slot] = f;
    }
}

/* --- closures --------------------------------------------------------------------------------- */

/* The free variables of f with known functions replaced by theirs, each once. */
static void expand_free(struct unit *u, struct fun_info *f)
{
    core_var *todo = NULL, *out = NULL, *seen = NULL;
    size_t n_todo = 0, cap_todo = 0, n = 0, cap = 0, n_seen = 0, cap_seen = 0;

    for (size_t i = f->n_free; i-- > 0;) {
        todo = arena_grow(u->arena, todo, n_todo, &cap_todo, sizeof *todo);
        todo[n_todo++] = f->free[i];
    }
    while (n_todo > 0) {
        core_var v = todo[--n_todo];
        bool had = false;

        for (size_t i = 0; i < n_seen && !had; i++)
            had = seen[i] == v;
        if (had)
            continue;
        seen = arena_grow(u->arena, seen, n_seen, &cap_seen, sizeof *seen);
        seen[n_seen++] = v;
        if (u->vars[v].known != NULL) {
            const struct fun_info *g = fun_info_get(u, u->vars[v].known);

            for (size_t i = g->n_free; i-- > 0;) {
                todo = arena_grow(u->arena, todo, n_todo, &cap_todo, sizeof *todo);
                todo[n_todo++] = g->free[i];
            }
        } else {
            out = arena_grow(u->arena, out, n, &cap, sizeof *out);
            out[n++] = v;
        }
    }
    f->free = out;
    f->n_free = n;
}

struct low_function *unit_lambda(struct unit *u, struct core_fun *f, const core_var **ret_free)
{
    struct fun_info *info = fun_info_get(u, f);

    if (info->low == NULL) {
        char *name = arena_printf(u->arena, "-%s/%u-%s-%u-", u->top_name->name, u->top_arity,
                                  f->name != NULL ? f->name : "fun", u->n_lambdas++);

        expand_free(u, info);
        info->low = function_new(u, core_atom(u->m, name, strlen(name)),
                                 f->arity + (uint32_t)info->n_free, f);
        info->low->n_free = (uint32_t)info->n_free;
        info->low->top_name = u->top_name;
        info->low->top_arity = u->top_arity;
    }
    *ret_free = info->free;
    return info->low;
}

/* --- one function ----------------------------------------------------------------------------- */

static void optimise(struct low *l)
{
    facts(l);
    tidy(l);
    markers(l);
    floats(l);
    if (l->has_floats)
        tidy(l);
}

/* From the source to blocks, without needless ones. */
static void begin_function(struct unit *u, struct low_function *f)
{
    f->low = ARENA_NEW(u->arena, struct low);
    u->top_name = f->top_name != NULL ? f->top_name : f->name;
    u->top_arity = f->top_name != NULL ? f->top_arity : f->arity;
    if (low_function_make(u, f, f->low) == 0)
        tidy(f->low);
}

/* From blocks to instructions. */
static void end_function(struct unit *u, struct low_function *f)
{
    frame_place(f->low);
    regs_assign(f->low);
    if (f->low->too_many)
        unit_fail(u, -ERR_LIMIT, f->core->span, "a function holds more than 1000 values at once");
    else
        code_function(u, f->low);
}

static void compile_functions(struct unit *u)
{
    struct low_function *f;

    for (f = u->functions; f != NULL && u->rc == 0; f = f->next)
        begin_function(u, f);
    if (u->rc < 0)
        return;
    infer(u);
    for (f = u->functions; f != NULL; f = f->next)
        optimise(f->low);
    for (f = u->functions; f != NULL; f = f->next)
        context_accepts(f->low);
    for (f = u->functions; f != NULL; f = f->next)
        context_hand_on(f->low);
    for (f = u->functions; f != NULL; f = f->next)
        context_remake(f->low);
    for (f = u->functions; f != NULL && u->rc == 0; f = f->next)
        end_function(u, f);
}

/* --- the module ------------------------------------------------------------------------------- */

static void add_module_info(struct unit *u, uint32_t arity)
{
    uint32_t name = beam_add_atom(u->w, "module_info", 11), info = u->next_label++;
    uint32_t entry = u->next_label++;
    uint32_t import = beam_add_import(u->w, beam_add_atom(u->w, "erlang", 6),
                                      beam_add_atom(u->w, "get_module_info", 15), arity + 1);

    beam_emit_args(u->w, BOP_label, (struct beam_arg[]){ BARG_U(info) });
    beam_emit_args(u->w, BOP_line, (struct beam_arg[]){ BARG_U(0) });
    beam_emit_args(u->w, BOP_func_info, (struct beam_arg[]){ BARG_ATOM(1), BARG_ATOM(name),
                                                             BARG_U(arity) });
    beam_emit_args(u->w, BOP_label, (struct beam_arg[]){ BARG_U(entry) });
    if (arity == 1)
        beam_emit_args(u->w, BOP_move, (struct beam_arg[]){ BARG_X(0), BARG_X(1) });
    beam_emit_args(u->w, BOP_move, (struct beam_arg[]){ BARG_ATOM(1), BARG_X(0) });
    beam_emit_args(u->w, BOP_call_ext_only, (struct beam_arg[]){ BARG_U(arity + 1),
                                                                 BARG_U(import) });
    beam_add_export(u->w, name, arity, entry);
}

/* As Erlang has them: a list of values, which a value that is a list stands for. */
static void add_attributes(struct unit *u)
{
    struct buf etf = { 0 };

    for (size_t i = 0; i < u->m->n_attributes; i++) {
        const struct core_attribute *a = &u->m->attributes[i];
        bool list = a->value->kind == CC_NIL || a->value->kind == CC_CONS;
        const struct core_const *pair[] = { cc_atom_n(u->m, a->key->name, a->key->len),
                                            list ? a->value : cc_list(u->m, &a->value, 1, NULL) };

        etf.len = 0;
        const_etf(&etf, cc_tuple(u->m, pair, 2));
        beam_add_attribute(u->w, etf.data, etf.len);
    }
    buf_fini(&etf);
}

/* What module_info(compile) says: the source as it was named, so that bytes do not depend on where
 * it lies. */
static void add_compile_info(struct unit *u)
{
    const struct core_const *version[2], *source[2], *list[2];
    struct buf etf = { 0 };
    const char *name = u->m->n_files > 0 ? u->m->files[0] : "";
    const struct core_const **chars =
        ARENA_NEW_ARRAY(u->arena, const struct core_const *, strlen(name) + 1);

    for (size_t i = 0; name[i] != '\0'; i++)
        chars[i] = cc_int(u->m, (uint8_t)name[i]);
    version[0] = cc_atom(u->m, "language");
    version[1] = cc_atom(u->m, u->m->language);
    source[0] = cc_atom(u->m, "source");
    source[1] = cc_list(u->m, chars, strlen(name), NULL);
    list[0] = cc_tuple(u->m, version, 2);
    list[1] = cc_tuple(u->m, source, 2);
    buf_u8(&etf, 131);
    const_etf(&etf, cc_list(u->m, list, 2, NULL));
    beam_set_compile_info(u->w, etf.data, etf.len);
    buf_fini(&etf);
}

static void add_tables(struct unit *u)
{
    struct buf docs = { 0 }, spans = { 0 };

    for (const struct low_function *f = u->functions; f != NULL; f = f->next) {
        if (f->exported)
            beam_add_export(u->w, unit_atom(u, f->name), f->arity, f->entry_label);
        else
            beam_add_local(u->w, unit_atom(u, f->name), f->arity, f->entry_label);
    }
    add_module_info(u, 0);
    add_module_info(u, 1);
    add_attributes(u);
    add_compile_info(u);
    docs_chunk(u->m, &docs);
    beam_add_chunk(u->w, "Docs", docs.data, docs.len);
    spans_chunk(u->m, &spans);
    beam_add_chunk(u->w, "RnSp", spans.data, spans.len);
    buf_fini(&docs);
    buf_fini(&spans);
}

int lang_emit(struct core_module *m, struct buf *out, struct core_error *ret_error)
{
    struct unit u = { .m = m, .arena = m->arena, .error = ret_error, .next_label = 1 };
    int rc = core_check(m, ret_error);

    if (rc < 0)
        return rc;
    u.last_function = &u.functions;
    u.map = ARENA_NEW_ARRAY(u.arena, struct low_val, m->n_vars + 1);
    u.w = beam_writer_new(m->name->name, m->name->len);
    ((struct core_atom *)m->name)->number = 1;
    free_scan(&u);
    add_functions(&u);
    compile_functions(&u);
    if (u.rc == 0) {
        add_tables(&u);
        beam_writer_finish(u.w, false, out);
    }
    beam_writer_free(u.w);
    return u.rc;
}
