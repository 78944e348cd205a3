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
#include "vm/trace.h"

unsigned exception_depth_max = 8;

enum { TRACE_CLASS, TRACE_TOP, TRACE_ARGS, TRACE_INFO, TRACE_PCS };

#define DEPTH_LIMIT 1024

static bool is_code(const void *pc)
{
    return code_place_at(pc)->image != NULL;
}

/* y registers of the function at pc (a byte inside the instruction); false: no code lies there. */
static bool frame_at(const void *pc, int32_t *ret_frame)
{
    const struct code_place *at = code_place_at(pc);

    *ret_frame = at->image == NULL ? -1 : at->range->frame;
    return at->image != NULL;
}

/* The frame at e of code that is shared between frames: the next word that can be a return address
 * ends it. E[0] may be stale and is not looked at unless nothing else is left. */
static int32_t find_frame(const term *e, const term *hi)
{
    for (const term *at = e + 1; at < hi; at++)
        if (is_small(*at) && (*at == trace_return_code ||
                              is_code((const char *)(uintptr_t)*at - 1)))
            return (int32_t)(at - e) - 1;
    return -1;
}

/* Return addresses on the stack seen from the instruction at pc (NULL: from a function without a
 * frame), at most max, equal neighbours once. live_words: of registers that lie on top of it. */
static size_t walk(const struct process *p, const void *pc, size_t live_words, term *out,
                   size_t max)
{
    const term *e = p->heap.E + live_words, *hi = p->heap.hi;
    int32_t frame = -1;
    size_t n = 0;

    if (pc != NULL)
        (void)frame_at(pc, &frame);
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
        if (ret == trace_return_code) {
            frame = TRACE_FRAME_WORDS - 1;
            continue;
        }
        if (!frame_at((const char *)(uintptr_t)ret - 1, &frame))
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
    term pcs[DEPTH_LIMIT], *at, t, pair = 0;
    size_t n = 0, max = exception_depth_max;
    bool top = m != TERM_NONE;

    if (max > DEPTH_LIMIT)
        max = DEPTH_LIMIT;
    if (max > 0 && top)
        max--;
    if (pc != NULL && !is_code(pc))
        pc = NULL;
    if (pc != NULL && max > 0)
        pcs[n++] = (term)(uintptr_t)pc + 8;
    n += walk(p, pc, 0, pcs + n, max - n);
    at = heap_alloc(&p->heap, TUPLE_WORDS(TRACE_PCS + n) + (top ? TUPLE_WORDS(2) : 0));
    if (top)
        pair = tuple2(&at, m, f);
    t = tuple_room(&at, TRACE_PCS + n);
    tuple_elem(t, TRACE_CLASS) = p->exc.class;
    tuple_elem(t, TRACE_TOP) = pair;
    tuple_elem(t, TRACE_ARGS) = args == TERM_NONE ? 0 : args;
    tuple_elem(t, TRACE_INFO) = p->exc.error_info == TERM_NONE ? 0 : p->exc.error_info;
    memcpy(&tuple_elem(t, TRACE_PCS), pcs, n * sizeof(term));
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
    if (p->heap.catches == 0)
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

/* [{file, F}, {line, N}] of a place in front of tail; tail alone when unknown. */
static term location(struct heap *h, const struct code_place *at, term tail)
{
    const struct image *im = at->image;
    const struct code_line *line;
    term pair;

    if (at->range->line == 0 || at->range->line >= im->n_lines)
        return tail;
    line = &im->lines[at->range->line];
    if (line->line == 0 || line->file >= im->n_files)
        return tail;
    pair = heap_tuple2(h, ATOM_line, small_make(line->line));
    return heap_cons(h, im->files[line->file], heap_cons(h, pair, tail));
}

/* {M, F, Args or arity, Location} of a code address that is behind its instruction. */
static term entry_at(struct heap *h, term addr, term args, term info)
{
    const struct code_place *at = code_place_at((const char *)(uintptr_t)addr - 1);
    term loc = TERM_NIL;

    if (at->image == NULL || at->function == NULL)
        return TERM_NONE;
    if (is_map(info))
        loc = heap_cons(h, heap_tuple2(h, ATOM_error_info, info), loc);
    loc = location(h, at, loc);
    return heap_tuple4(h, at->image->module, at->function->name,
                       args != 0 ? args : small_make(at->function->arity), loc);
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

size_t exception_stack(const struct process *p, const void *pc, size_t live_words, term *out,
                       size_t max)
{
    size_t n = 0;

    if (max == 0)
        return 0;
    if (is_code(pc))
        out[n++] = (term)(uintptr_t)pc + 8;
    else
        pc = NULL;
    return n + walk(p, pc, live_words, out + n, max - n);
}

term stacktrace_current(struct process *p, struct heap *out, size_t max)
{
    term pcs[DEPTH_LIMIT], list = TERM_NIL;
    size_t n = exception_stack(p, p->ip, p->live > 0 ? p->live + 1u : 0, pcs,
                               max < DEPTH_LIMIT ? max : DEPTH_LIMIT);

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
    const struct code_place *at = code_place_at(p->ip);

    if (at->image == NULL && p->heap.E != NULL && walk(p, NULL, 0, &ret, 1) == 1)
        at = code_place_at((const char *)(uintptr_t)ret - 1);
    if (at->image == NULL || at->function == NULL)
        return false;
    *ret_m = at->image->module;
    *ret_f = at->function->name;
    *ret_a = at->function->arity;
    return true;
}

bool engine_stack_uses_code(const struct process *p, const void *lo, const void *hi)
{
    const char *a = lo, *b = hi, *ip = p->ip;
    const term *e = p->heap.E;
    int32_t frame;

    (void)frame_at(ip, &frame);
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
        if ((term)(uintptr_t)ret == trace_return_code) {
            frame = TRACE_FRAME_WORDS - 1;
            continue;
        }
        if (!frame_at(ret - 1, &frame))
            return false;
    }
}
