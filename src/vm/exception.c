/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exception.c - raising, catching and stack traces
 *
 * Walking frames: the code range around a program counter says how many y registers the function
 * has there (-1: no frame), so E[frame + 1] is its return address and the caller's frame starts
 * right there. A return address stands for the instruction before it.
 */
#include "vm/exception.h"

#include "heap/map.h"
#include "vm/code_priv.h"
#include "vm/engine_priv.h"

unsigned exception_depth_max = 8;

enum { TRACE_CLASS, TRACE_TOP, TRACE_ARGS, TRACE_INFO, TRACE_PCS };

#define DEPTH_LIMIT 1024

/* y registers of the function at pc (a byte inside the instruction); -1 when unknown. */
static int32_t frame_at(const void *pc, struct image **ret_image)
{
    struct image *im = code_image_at(pc);

    *ret_image = im;
    return im == NULL ? -1 : image_range(im, pc)->frame;
}

/* The frame at e of code that is shared between frames: the next word that can be a return address
 * ends it. E[0] may be stale and is not looked at unless nothing else is left. */
static int32_t find_frame(const term *e, const term *hi)
{
    for (const term *at = e + 1; at < hi; at++)
        if (is_small(*at) && code_image_at((const char *)(uintptr_t)*at - 1) != NULL)
            return (int32_t)(at - e) - 1;
    return -1;
}

/* Return addresses on the stack seen from the instruction at pc (NULL: from a function without a
 * frame), at most max, equal neighbours once. */
static size_t walk(const struct process *p, const void *pc, term *out, size_t max)
{
    const term *e = p->heap.E, *hi = p->heap.hi;
    struct image *im = NULL;
    int32_t frame = pc == NULL ? -1 : frame_at(pc, &im);
    size_t n = 0;

    for (;;) {
        term ret;

        if (frame < -1)
            frame = find_frame(e, hi);
        if (hi - e <= frame + 1)
            break;
        ret = e[frame + 1];
        e += frame + 1;
        if (!is_small(ret) || ret == 0)
            break;
        frame = frame_at((const char *)(uintptr_t)ret - 1, &im);
        if (im == NULL)
            break;
        if (n == 0 || out[n - 1] != ret) {
            if (n == max)
                break;
            out[n++] = ret;
        }
    }
    return n;
}

void exception_trace_take(struct process *p, const void *pc, term m, term f, term args)
{
    term pcs[DEPTH_LIMIT], t;
    size_t n = 0, max = exception_depth_max;
    bool top = m != TERM_NONE;

    if (max > DEPTH_LIMIT)
        max = DEPTH_LIMIT;
    if (max > 0 && top)
        max--;
    if (pc != NULL && code_image_at(pc) == NULL)
        pc = NULL;
    if (pc != NULL && max > 0)
        pcs[n++] = (term)(uintptr_t)pc + 8;
    n += walk(p, pc, pcs + n, max - n);
    t = heap_tuple(&p->heap, TRACE_PCS, (term[]){ p->exc.class, 0, 0, 0 });
    if (n > 0 || top) {
        term *at = heap_alloc(&p->heap, TUPLE_WORDS(TRACE_PCS + n) + TUPLE_WORDS(2)), pair = 0;

        if (top)
            pair = tuple2(&at, m, f);
        else
            *at = header_make(HK_TUPLE, 2), at[1] = at[2] = 0, at += 3;
        t = tuple_room(&at, TRACE_PCS + n);
        tuple_elem(t, TRACE_CLASS) = p->exc.class;
        tuple_elem(t, TRACE_TOP) = pair;
        tuple_elem(t, TRACE_ARGS) = args == TERM_NONE ? 0 : args;
        tuple_elem(t, TRACE_INFO) = p->exc.error_info == TERM_NONE ? 0 : p->exc.error_info;
        memcpy(&tuple_elem(t, TRACE_PCS), pcs, n * sizeof(term));
    }
    p->exc.trace = t;
}

term exception_trace_class(term trace)
{
    if (is_tuple(trace) && tuple_arity(trace) >= 2 && is_atom(tuple_elem(trace, 0)))
        return tuple_elem(trace, 0);
    return ATOM_error;
}

term exception_trace_with_class(struct process *p, term trace, term class)
{
    term t;
    size_t n;

    if (!is_tuple(trace) || tuple_arity(trace) < 2)
        return heap_tuple2(&p->heap, class, is_list(trace) ? trace : TERM_NIL);
    if (tuple_elem(trace, 0) == class)
        return trace;
    n = tuple_arity(trace);
    t = heap_tuple(&p->heap, n, &tuple_elem(trace, 0));
    tuple_elem(t, 0) = class;
    return t;
}

term exception_trace_from_list(struct process *p, term class, term list)
{
    return heap_tuple2(&p->heap, class, list);
}

term exception_exit_reason(struct process *p, term class, term reason, term trace)
{
    if (class == ATOM_exit)
        return reason;
    if (class == ATOM_throw)
        reason = heap_tuple2(&p->heap, ATOM_nocatch, reason);
    return heap_tuple2(&p->heap, reason, stacktrace_build(p, trace));
}

term exception_catch_value(struct process *p, term class, term reason, term trace)
{
    if (class == ATOM_throw)
        return reason;
    if (class == ATOM_error)
        reason = heap_tuple2(&p->heap, reason, stacktrace_build(p, trace));
    return heap_tuple2(&p->heap, ATOM_EXIT, reason);
}

/* The slot of the innermost catch, or NULL. */
static term *innermost_catch(const struct process *p)
{
    if (p->catches == 0)
        return NULL;
    for (term *slot = p->heap.E + 1; slot < p->heap.hi; slot++)
        if (is_catch(*slot))
            return slot;
    return NULL;
}

const void *exception_deliver(struct process *p)
{
    struct sched *sc = p->sched;
    struct exception exc = p->exc;
    term *slot = innermost_catch(p);
    const char *handler;

    p->exc = (struct exception){ TERM_NIL, TERM_NIL, TERM_NONE, TERM_NONE, TERM_NONE };
    if (slot == NULL) {
        p->exit_reason = exception_exit_reason(p, exc.class, exc.reason, exc.trace);
        p->exc.class = exc.class;       /* the exit protocol tells a crash by it */
        return NULL;
    }
    handler = catch_addr(*slot);
    /* try_case and catch_end have their y register's displacement first */
    p->heap.E = slot - *(const uint16_t *)(handler + 4) / sizeof(term);
    sc->x[0] = TERM_NONE;
    sc->x[1] = exc.reason;
    sc->x[2] = exc.trace;
    sc->x[3] = exc.class;
    return handler;
}

/* --- traces as terms -------------------------------------------------------------------------- */

/* [{file, F}, {line, N}] of a program counter in front of tail; tail alone when unknown. */
static term location(struct heap *h, const struct image *im, const void *pc, term tail)
{
    const struct code_range *r = image_range(im, pc);
    const struct code_line *line;
    term file, rest;

    if (r->line == 0 || r->line >= im->n_lines)
        return tail;
    line = &im->lines[r->line];
    if (line->line == 0 || line->file >= im->n_files)
        return tail;
    file = heap_tuple2(h, ATOM_file, heap_cstr(h, im->files[line->file]));
    rest = heap_cons(h, heap_tuple2(h, ATOM_line, small_make(line->line)), tail);
    return heap_cons(h, file, rest);
}

/* {M, F, Args or arity, Location} of a code address that is behind its instruction. */
static term entry_at(struct heap *h, term addr, term args, term info)
{
    const char *pc = (const char *)(uintptr_t)addr - 1;
    struct image *im = code_image_at(pc);
    const struct code_function *f = im == NULL ? NULL : image_function(im, pc);
    term loc;

    if (f == NULL)
        return TERM_NONE;
    loc = TERM_NIL;
    if (is_map(info))
        loc = heap_cons(h, heap_tuple2(h, ATOM_error_info, info), loc);
    loc = location(h, im, pc, loc);
    return heap_tuple4(h, im->module, f->name, args != 0 ? args : small_make(f->arity), loc);
}

/* The module that explains errors of a built-in's module, or NONE. */
static term explaining_module(term m)
{
    static const struct { const char *module, *explainer; } rows[] = {
        { "erlang", "erl_erts_errors" }, { "erts_internal", "erl_erts_errors" },
        { "atomics", "erl_erts_errors" }, { "counters", "erl_erts_errors" },
        { "persistent_term", "erl_erts_errors" }, { "code", "erl_kernel_errors" },
        { "os", "erl_kernel_errors" }, { "binary", "erl_stdlib_errors" },
        { "ets", "erl_stdlib_errors" }, { "lists", "erl_stdlib_errors" },
        { "maps", "erl_stdlib_errors" }, { "math", "erl_stdlib_errors" },
        { "re", "erl_stdlib_errors" }, { "unicode", "erl_stdlib_errors" },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (strcmp(atom_text(m, NULL), rows[i].module) == 0)
            return atom_from_cstr(rows[i].explainer);
    return TERM_NONE;
}

static term top_entry(struct heap *h, term raw)
{
    term top = tuple_elem(raw, TRACE_TOP), m = tuple_elem(top, 0), f = tuple_elem(top, 1);
    term info = tuple_elem(raw, TRACE_INFO), args = tuple_elem(raw, TRACE_ARGS);
    term explainer = explaining_module(m), loc = TERM_NIL;

    if (explainer != TERM_NONE && tuple_elem(raw, TRACE_CLASS) == ATOM_error) {
        if (!is_map(info))
            info = map_from_pairs(h, (term[]){ ATOM_module, explainer }, 1);
        else if (map_get(info, ATOM_module) == TERM_NONE)
            info = map_put(h, info, ATOM_module, explainer);
    }
    if (is_map(info))
        loc = heap_cons(h, heap_tuple2(h, ATOM_error_info, info), TERM_NIL);
    return heap_tuple4(h, m, f, args, loc);
}

/* Module and function of a trace; anything may stand there in a trace made by hand. */
static bool is_mf_pair(term t)
{
    return is_tuple_n(t, 2) && is_atom(tuple_elem(t, 0)) && is_atom(tuple_elem(t, 1));
}

term stacktrace_build(struct process *p, term raw)
{
    struct heap *h = &p->heap;
    term list = TERM_NIL, args, info;
    size_t n;

    if (!is_tuple(raw))
        return is_list(raw) ? raw : TERM_NIL;
    n = tuple_arity(raw);
    if (n == 2)
        return tuple_elem(raw, 1);
    if (n < TRACE_PCS)
        return TERM_NIL;
    for (size_t i = n; i-- > TRACE_PCS; ) {
        bool first = i == TRACE_PCS && !is_mf_pair(tuple_elem(raw, TRACE_TOP));
        term e;

        args = first ? tuple_elem(raw, TRACE_ARGS) : 0;
        info = first ? tuple_elem(raw, TRACE_INFO) : 0;
        if ((tuple_elem(raw, i) & 7) != 0)
            continue;
        e = entry_at(h, tuple_elem(raw, i), args, info);
        if (e != TERM_NONE)
            list = heap_cons(h, e, list);
    }
    if (is_mf_pair(tuple_elem(raw, TRACE_TOP)))
        list = heap_cons(h, top_entry(h, raw), list);
    return list;
}

term stacktrace_current(struct process *p, struct heap *out, size_t max)
{
    term pcs[DEPTH_LIMIT], list = TERM_NIL;
    const void *pc = p->ip;
    size_t n = 0;
    term *e = p->heap.E;

    if (max > DEPTH_LIMIT)
        max = DEPTH_LIMIT;
    if (max == 0)
        return TERM_NIL;
    if (code_image_at(pc) != NULL)
        pcs[n++] = (term)(uintptr_t)pc + 8;
    else
        pc = NULL;
    /* Live registers lie on top of the stack while the process is switched out. */
    if (p->live > 0)
        p->heap.E += p->live + 1;
    n += walk(p, pc, pcs + n, max - n);
    p->heap.E = e;
    while (n-- > 0) {
        term entry = entry_at(out, pcs[n], 0, 0);

        if (entry != TERM_NONE)
            list = heap_cons(out, entry, list);
    }
    return list;
}

bool engine_current_function(const struct process *p, term *ret_m, term *ret_f, uint32_t *ret_a)
{
    term ret;
    const char *pc = p->ip;
    struct image *im = code_image_at(pc);
    const struct code_function *f;

    if (im == NULL && p->heap.E != NULL && walk(p, NULL, &ret, 1) == 1) {
        pc = (const char *)(uintptr_t)ret - 1;
        im = code_image_at(pc);
    }
    f = im == NULL ? NULL : image_function(im, pc);
    if (f == NULL)
        return false;
    *ret_m = im->module;
    *ret_f = f->name;
    *ret_a = f->arity;
    return true;
}

bool engine_stack_uses_code(const struct process *p, const void *lo, const void *hi)
{
    const char *a = lo, *b = hi, *ip = p->ip;
    const term *e = p->heap.E;
    struct image *im;
    int32_t frame = frame_at(ip, &im);

    if (ip >= a && ip < b)
        return true;
    if (p->live > 0)
        e += p->live + 1;
    for (;;) {
        const char *ret;

        if (frame < -1)
            frame = find_frame(e, p->heap.hi);
        if (p->heap.hi - e <= frame + 1)
            return false;
        ret = (const char *)(uintptr_t)e[frame + 1];
        e += frame + 1;
        if (ret > a && ret <= b)
            return true;
        frame = frame_at(ret - 1, &im);
        if (im == NULL)
            return false;
    }
}
