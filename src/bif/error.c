/* SPDX-License-Identifier: Apache-2.0 */
/*
 * error.c - raising exceptions, and what funs and exports are
 *
 * Exceptions raised on purpose do not name the built-in in their trace: NIL as the trace asks the
 * engine to start it at the caller.
 */
#include "bif/bif.h"

#include "term/fun.h"
#include "term/print.h"
#include "vm/code.h"
#include "vm/exception.h"

static term raise_here(struct process *p, term class, term reason, term args)
{
    p->exc = (struct exception){ class, reason, TERM_NIL, args, TERM_NONE };
    p->action = BIF_RAISE;
    return TERM_NONE;
}

term bif_error_1(struct process *p, const term *a)
{
    return raise_here(p, ATOM_error, a[0], TERM_NONE);
}

term bif_error_2(struct process *p, const term *a)
{
    return raise_here(p, ATOM_error, a[0], a[1] == ATOM_none ? TERM_NONE : a[1]);
}

term bif_error_3(struct process *p, const term *a)
{
    term info = TERM_NONE, opts = a[2];

    for (; is_cons(opts); opts = cdr(opts)) {
        term o = car(opts);

        if (!is_tuple_n(o, 2) || tuple_elem(o, 0) != ATOM_error_info || !is_map(tuple_elem(o, 1)))
            return bif_badarg(p);
        info = tuple_elem(o, 1);
    }
    if (!is_nil(opts))
        return bif_badarg(p);
    (void)raise_here(p, ATOM_error, a[0], a[1] == ATOM_none ? TERM_NONE : a[1]);
    p->exc.error_info = info;
    return TERM_NONE;
}

/* Unlike error/1 this one is itself on top of the trace, as OTP has it. */
term bif_nif_error(struct process *p, const term *a)
{
    (void)raise_here(p, ATOM_error, a[0], TERM_NONE);
    p->exc.trace = TERM_NONE;
    return TERM_NONE;
}

term bif_exit_1(struct process *p, const term *a)
{
    return raise_here(p, ATOM_exit, a[0], TERM_NONE);
}

term bif_throw_1(struct process *p, const term *a)
{
    return raise_here(p, ATOM_throw, a[0], TERM_NONE);
}

/* {M, F, arity or list} or {Fun, list}, perhaps with a list of locations. */
static bool is_trace_entry(term e)
{
    size_t n;

    if (!is_tuple(e))
        return false;
    n = tuple_arity(e);
    if (n >= 2 && is_fun(tuple_elem(e, 0)))
        return n <= 3 && is_list(tuple_elem(e, 1));
    return (n == 3 || n == 4) && is_atom(tuple_elem(e, 0)) && is_atom(tuple_elem(e, 1)) &&
           (is_small(tuple_elem(e, 2)) || is_list(tuple_elem(e, 2)));
}

term bif_raise_3(struct process *p, const term *a)
{
    term list = a[2];

    if (a[0] != ATOM_error && a[0] != ATOM_exit && a[0] != ATOM_throw)
        return ATOM_badarg;
    for (; is_cons(list); list = cdr(list))
        if (!is_trace_entry(car(list)))
            return ATOM_badarg;
    if (!is_nil(list))
        return ATOM_badarg;
    (void)raise_here(p, a[0], a[1], TERM_NONE);
    p->exc.trace = exception_trace_from_list(p, a[0], a[2]);
    return TERM_NONE;
}

/* --- funs ------------------------------------------------------------------------------------------ */

term bif_make_fun_3(struct process *p, const term *a)
{
    if (!is_atom(a[0]) || !is_atom(a[1]) || !is_small(a[2]) || small_val(a[2]) < 0 ||
        small_val(a[2]) > 255)
        return bif_badarg(p);
    return export_fun_term(export_get(a[0], a[1], (uint32_t)small_val(a[2])));
}

static term fun_env(struct heap *h, term fun)
{
    const struct fun_entry *fe = fun_entry_of(fun);

    return heap_list(h, &fun_free(fun, 0), fe->num_free, TERM_NIL);
}

/* One item of fun_info/2, TERM_NONE for an item that this kind of fun does not have. */
static term fun_item(struct process *p, term fun, term item)
{
    struct heap *h = &p->heap;
    const char *key = atom_text(item, NULL);
    bool local = is_local_fun(fun);
    const struct fun_entry *fe = local ? fun_entry_of(fun) : NULL;
    const struct export *e = local ? NULL : export_of(fun);

    if (item == ATOM_module)
        return local ? fe->module : e->module;
    if (strcmp(key, "name") == 0)
        return local ? fe->function : e->function;
    if (strcmp(key, "arity") == 0)
        return small_make(fun_arity(fun));
    if (strcmp(key, "env") == 0)
        return local ? fun_env(h, fun) : TERM_NIL;
    if (strcmp(key, "type") == 0)
        return atom_from_cstr(local ? "local" : "external");
    if (strcmp(key, "index") == 0 || strcmp(key, "new_index") == 0)
        return local ? small_make(fe->index) : ATOM_undefined;
    if (strcmp(key, "uniq") == 0)
        return local ? small_make(fe->old_uniq) : ATOM_undefined;
    if (strcmp(key, "new_uniq") == 0)
        return local ? heap_binary(h, fe->md5, sizeof fe->md5) : ATOM_undefined;
    if (strcmp(key, "refc") == 0)
        return local ? small_make(1) : ATOM_undefined;
    if (strcmp(key, "pid") == 0)
        return local ? p->pid : ATOM_undefined;
    return TERM_NONE;
}

term bif_fun_info_2(struct process *p, const term *a)
{
    term v;

    if (!is_fun(a[0]) || !is_atom(a[1]))
        return bif_badarg(p);
    v = fun_item(p, a[0], a[1]);
    return v == TERM_NONE ? bif_badarg(p) : heap_tuple2(&p->heap, a[1], v);
}

term bif_fun_info_1(struct process *p, const term *a)
{
    static const char *const local[] = {
        "refc", "env", "uniq", "index", "new_uniq", "new_index", "arity", "name", "module", "pid",
        "type",
    };
    static const char *const external[] = { "env", "type", "arity", "name", "module" };
    const char *const *keys = external;
    size_t n = ARRAY_LEN(external);
    term list = TERM_NIL;

    if (!is_fun(a[0]))
        return bif_badarg(p);
    if (is_local_fun(a[0])) {
        keys = local;
        n = ARRAY_LEN(local);
    }
    for (size_t i = 0; i < n; i++) {
        term key = atom_from_cstr(keys[i]);

        list = heap_cons(&p->heap, heap_tuple2(&p->heap, key, fun_item(p, a[0], key)), list);
    }
    return list;
}

term bif_fun_info_mfa_1(struct process *p, const term *a)
{
    if (!is_fun(a[0]))
        return bif_badarg(p);
    return heap_tuple3(&p->heap, fun_item(p, a[0], ATOM_module),
                       fun_item(p, a[0], atom_from_cstr("name")), small_make(fun_arity(a[0])));
}

term bif_fun_to_list_1(struct process *p, const term *a)
{
    struct buf b = { 0 };
    term list;

    if (!is_fun(a[0]))
        return bif_badarg(p);
    term_print(&b, a[0], 0, 0);
    list = heap_cstr(&p->heap, buf_cstr(&b));
    buf_fini(&b);
    return list;
}
