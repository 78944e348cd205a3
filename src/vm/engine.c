/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine.c - the interpreter
 *
 * interpret() is one long function: the bodies that opgen.py makes of the .op files, and the paths
 * they leave for. I (the instruction), H (end of the heap), E (end of the stack) and FC
 * (reductions left) live in machine registers; whoever calls C stores them first (SYNC) and takes
 * them back after (RESYNC).
 *
 * Frames: E[0] is the slot for the return address of the next call made by the running function,
 * E[1..n] its y registers. A function without a frame leaves its caller's E[0] alone and returns
 * through it. Return addresses are 8-aligned, so the collector takes them for smalls.
 */
#include "vm/engine.h"

#include "base/alloc.h"
#include "heap/arith.h"
#include "heap/bitsyntax.h"
#include "heap/map.h"
#include "term/compare.h"
#include "vm/bif.h"
#include "vm/code_priv.h"
#include "vm/engine_priv.h"
#include "vm/exception.h"
#include "vm/long_call.h"
#include "vm/mailbox_priv.h"
#include "vm/ops/op.h"
#include "vm/profile.h"
#include "vm/trace.h"

struct export *engine_exports[EXPORT_COUNT];
void (*engine_result_hook)(struct process *p, term result);

/* Instructions that belong to no module. */
enum shared { SHARED_DONE, SHARED_WAKE, SHARED_APPLY, SHARED_APPLY_FUN, SHARED_RETURN, SHARED_YIELD,
              SHARED_HIBERNATE, SHARED_GO_ON, SHARED_TRACED, SHARED_COUNT };
static uint64_t shared_code[SHARED_COUNT];

enum arith {
    ARITH_add,
    ARITH_sub,
    ARITH_mul,
    ARITH_div,
    ARITH_rem,
    ARITH_band,
    ARITH_bor,
    ARITH_bxor,
    ARITH_bsl,
    ARITH_bsr
};

typedef term arith_fn(struct heap *h, term a, term b, term *ret_error);
static arith_fn *const arith_fns[] = {
    arith_add, arith_sub, arith_mul, arith_div, arith_rem, arith_band, arith_bor, arith_bxor,
    arith_bsl, arith_bsr,
};

/* --- slow parts of instructions ------------------------------------------------------------ */

static NOINLINE term slow_arith(struct process *p, enum arith op, term a, term b)
{
    return arith_fns[op](&p->heap, a, b, &p->exc.reason);
}

static NOINLINE bool slow_less(term a, term b)
{
    if (LIKELY(is_imm_flt(a) && is_imm_flt(b)))
        return flt_val(a) < flt_val(b);
    return term_cmp(a, b) < 0;
}

#define ANY_OF(w, x_base, E_) \
    (((w)&7) != TAG_HDR ? (w) : *(term *)(((w)&8 ? (char *)(E_) : (char *)(x_base)) + ((w) >> 4)))

#define PAIRS_INLINE 32

/* Insert or update n pairs; TERM_NONE with p->exc's class and reason set. */
static NOINLINE term op_put_map(struct process *p, const term *E, term map, const term *pairs,
                                int64_t n, bool exact)
{
    term room[2 * PAIRS_INLINE], *kv = room, bad = TERM_NONE, r;

    room[0] = TERM_NIL;         /* the rest is filled as far as it is used */
    p->exc.class = ATOM_error;
    if (UNLIKELY(!is_map(map))) {
        p->exc.reason = heap_tuple2(&p->heap, ATOM_badmap, map);
        return TERM_NONE;
    }
    if (n > PAIRS_INLINE)
        kv = mem_array((size_t)n, 2 * sizeof(term));
    for (int64_t i = 0; i < 2 * n; i++)
        kv[i] = ANY_OF(pairs[i], p->sched, E);
    r = map_put_many(&p->heap, map, kv, (size_t)n, exact, &bad);
    if (n > PAIRS_INLINE)
        mem_free(kv);
    if (r == TERM_NONE)
        p->exc.reason = heap_tuple2(&p->heap, ATOM_badkey, bad);
    return r;
}

#define SEGMENTS_INLINE 16

/* Segments as bs_create_bin has them in its table: four words each. */
static NOINLINE term op_create_bin(struct process *p, const term *E, const term *words, int64_t n)
{
    struct bs_segment room[SEGMENTS_INLINE], *segs = room;
    struct bs_error err = { 0 };
    term r, info;

    room[0].type = BS_INTEGER;  /* the rest is filled as far as it is used */
    if (n > SEGMENTS_INLINE)
        segs = mem_array((size_t)n, sizeof *segs);
    for (int64_t i = 0; i < n; i++, words += 4) {
        segs[i] = (struct bs_segment){
            .type = (uint8_t)words[0], .flags = (uint8_t)(words[0] >> 8),
            .unit = (uint16_t)(words[0] >> 16), .number = (uint32_t)(words[0] >> 32),
            .value = ANY_OF(words[1], p->sched, E), .size = ANY_OF(words[2], p->sched, E),
            .bytes = (const uint8_t *)(uintptr_t)words[3],
        };
    }
    r = bs_create(&p->heap, segs, (size_t)n, &err);
    if (n > SEGMENTS_INLINE)
        mem_free(segs);
    if (r != TERM_NONE)
        return r;
    p->exc.class = ATOM_error;
    p->exc.reason = err.limit ? ATOM_system_limit : ATOM_badarg;
    info = heap_tuple4(&p->heap, small_make(err.segment), bs_error_type_atom(&err),
                       bs_error_kind_atom(&err), err.value);
    {
        term pairs[] = { ATOM_cause, info, ATOM_function, ATOM_format_bs_fail,
                         ATOM_module, ATOM_erl_erts_errors };
        p->exc.error_info = map_from_pairs(&p->heap, pairs, 3);
    }
    return TERM_NONE;
}

/* --- leaving and entering -------------------------------------------------------------------- */

/* Push the live x registers below E[0], which may be needed: it is the caller's address when a
 * function is entered. With nothing live E[0] may be stale and stays outside the stack. */
static bool save_live(struct process *p, unsigned live)
{
    struct sched *sc = p->sched;

    p->live = (uint16_t)live;
    if (live == 0)
        return true;
    if (p->heap.E - p->heap.H < (ptrdiff_t)live + 3 && !process_collect(p, live + 3, live, 0))
        return false;
    p->heap.E -= live + 1;
    memcpy(p->heap.E + 1, sc->x, live * sizeof(term));
    return true;
}

static void restore_live(struct process *p, struct sched *sc)
{
    if (p->live == 0)
        return;
    memcpy(sc->x, p->heap.E + 1, p->live * sizeof(term));
    p->heap.E += p->live + 1;
    p->live = 0;
}

static void leave(struct sched *sc)
{
    sc->fcalls += sc->fc_held;
    sc->fc_held = 0;
}

/* x[0..n) as a list. */
static term args_list(struct process *p, unsigned n)
{
    return heap_list(&p->heap, p->sched->x, n, TERM_NIL);
}

/* Spread a list over x from x[0]; the length, or -1 (improper), or X_REGISTERS (too long). */
static int spread_args(struct sched *sc, term list)
{
    int n = 0;

    for (; is_cons(list); list = cdr(list)) {
        if (n == X_REGISTERS)
            return X_REGISTERS;
        sc->x[n++] = car(list);
    }
    return is_nil(list) ? n : -1;
}

static void set_error(struct process *p, term reason)
{
    p->exc = (struct exception){ ATOM_error, reason, TERM_NONE, TERM_NONE, TERM_NONE };
}

/* ex was called with its arguments in x and has no code: the error handler's turn. Returns the
 * code to go on with, or NULL after setting p->exc (undef, trace taken). */
static const void *call_error_handler(struct process *p, struct export *ex, const void *pc)
{
    struct sched *sc = p->sched;
    term args = args_list(p, ex->arity);
    struct export *h = export_find(process_error_handler(p), ATOM_undefined_function, 3);

    if (h == NULL || !export_is_defined(h)) {
        set_error(p, ATOM_undef);
        exception_trace_take(p, NULL, ex->module, ex->function, args);
        return NULL;
    }
    sc->x[0] = ex->module;
    sc->x[1] = ex->function;
    sc->x[2] = args;
    return h->code;
}

/* A fun that the fast path did not like was called with n arguments. Returns the code to go on
 * with and sets *ret_live, or NULL after setting p->exc. */
static const void *call_fun_slow(struct process *p, term fun, unsigned n, unsigned *ret_live)
{
    struct sched *sc = p->sched;
    struct export *h;
    term args;

    *ret_live = n;
    if (is_export_fun(fun) && export_of(fun)->arity == n)
        return export_of(fun)->code;
    args = args_list(p, n);
    if (!is_fun(fun)) {
        set_error(p, heap_tuple2(&p->heap, ATOM_badfun, fun));
        return NULL;
    }
    if (fun_arity(fun) != n) {
        set_error(p, heap_tuple2(&p->heap, ATOM_badarity, heap_tuple2(&p->heap, fun, args)));
        return NULL;
    }
    if (code_is_loaded(fun_entry_of(fun)->module)) {
        set_error(p, heap_tuple2(&p->heap, ATOM_badfun, fun));
        return NULL;
    }
    h = export_find(process_error_handler(p), ATOM_undefined_lambda, 3);
    if (h == NULL || !export_is_defined(h)) {
        set_error(p, ATOM_undef);
        return NULL;
    }
    sc->x[0] = fun_entry_of(fun)->module;
    sc->x[1] = fun;
    sc->x[2] = args;
    *ret_live = 3;
    return h->code;
}

/* apply(M, F, Args) with the arguments spread already: the code, or NULL after setting p->exc. */
static const void *apply_target(struct process *p, term m, term f, unsigned n)
{
    if (UNLIKELY(!is_atom(m) || !is_atom(f))) {
        term list = args_list(p, n);
        term all = heap_cons(&p->heap, m,
                             heap_cons(&p->heap, f, heap_cons(&p->heap, list, TERM_NIL)));

        set_error(p, ATOM_badarg);
        p->exc.args = all;
        return NULL;
    }
    return export_get(m, f, n)->code;
}

/* --- the interpreter -------------------------------------------------------------------------- */

#define U16(off) (*(const uint16_t *)(I + (off)))
#define S32(off) (*(const int32_t *)(I + (off)))
#define U32(off) (*(const uint32_t *)(I + (off)))
#define U64(off) (*(const uint64_t *)(I + (off)))
#define XREG(d)  (*(term *)((char *)sc + (d)))
#define YREG(d)  (*(term *)((char *)E + (d)))
#define FREG(d)  (*(double *)((char *)sc + (d)))
#define ANY(w)   ANY_OF(w, sc, E)
#define ANY_REF(w) ((term *)(((w) & 8 ? (char *)E : (char *)sc) + ((w) >> 4)))

#define DISPATCH_HERE() goto *(void *)(base + *(const int32_t *)I)
/* clang needs minutes for a thousand indirect jumps in one function, and merges them anyway. */
#ifdef __clang__
#define DISPATCH() goto dispatch
#else
#define DISPATCH() DISPATCH_HERE()
#endif
/* Before a slow part: it reads its operands again, so that the fast part need not keep them. */
#define REFETCH() __asm__ volatile("" ::: "memory")
#define GOTO(to) do { I = (const char *)(uintptr_t)(to); DISPATCH(); } while (0)
#define SKIP(n)  do { I += (n); DISPATCH(); } while (0)
#define SYNC()   do { p->heap.H = H; p->heap.E = E; sc->fcalls = FC; } while (0)
#define RESYNC() do { H = p->heap.H; FC = sc->fcalls; } while (0)
/* After what may have filled the block: have the next call end the slice, and collect there. */
#define RESYNC_COLLECT() do { \
        RESYNC(); \
        if (UNLIKELY(p->heap.collect_soon || heap_is_low(&p->heap))) { \
            p->heap.collect_soon = true; \
            sc->fc_held += FC; \
            FC = 0; \
        } \
    } while (0)
#define COLLECT(need, live) do { \
        SYNC(); \
        if (UNLIKELY(!process_collect(p, (size_t)(need), (live), 0))) goto process_exit_synced; \
        RESYNC(); E = p->heap.E; \
    } while (0)
#ifdef HARD_MODE
#define NO_ROOM(bytes) ((void)(bytes), true)
#else
#define NO_ROOM(bytes) ((char *)E - (char *)H < (bytes))
#endif
#define EXPORT(e)    ((struct export *)(uintptr_t)(e))
#define EXPORT_CODE(e) atomic_load_explicit(&EXPORT(e)->code, memory_order_acquire)
#define EXPORT_OF(at)  CONTAINER_OF((at), struct export, reserved)
#define CALL_BIF(fn) ((bif_fn *)(uintptr_t)(fn))(p, sc->x)
#define FUN_CODE(fe) atomic_load_explicit(&(fe)->code, memory_order_acquire)
#define FUN_ENV(fun, n) do { \
        const term *env_ = box_ptr(fun); \
        size_t free_ = header_size(env_[0]) - 1; \
        for (size_t i_ = 0; i_ < free_; i_++) sc->x[(n) + i_] = env_[2 + i_]; \
    } while (0)
#define RAISE(why)   do { reason = (why); goto raise_error; } while (0)
/* The file is no compiler's: the code does not show that a register holds what it must. */
#define REFUSE       RAISE(ATOM_badarg)
#define RAISE2(tag, v) do { args[0] = (tag); args[1] = (v); goto raise_error2; } while (0)
#define ARITH(op, a, b) do { SYNC(); result = slow_arith(p, op, a, b); RESYNC_COLLECT(); } while (0)
#define ARITH_FAILED(op, a, b) do { \
        ex = engine_exports[op]; args[0] = (a); args[1] = (b); goto raise_arith; \
    } while (0)
/* Take back what a guard that failed has put on the block, its error being nobody's. */
#define FORGET_ERROR(h) do { \
        if (LIKELY(H >= (h) && H <= E)) H = (h); \
        p->exc.reason = p->exc.args = p->exc.error_info = TERM_NIL; \
    } while (0)
/* In the old generation, where no pointer to young terms may be written. */
#define IN_OLD(t) ((uintptr_t)(t) - (uintptr_t)p->heap.old_lo < \
                   (uintptr_t)p->heap.old_hi - (uintptr_t)p->heap.old_lo)
#define GUARD_BADARG1(e, a) do { ex = EXPORT(e); args[0] = (a); goto badarg1; } while (0)
#define GUARD_BADARG2(e, a, b) do { \
        ex = EXPORT(e); args[0] = (a); args[1] = (b); goto badarg2; \
    } while (0)
/* No message is being looked at: only code made by hand comes here so. */
#define NO_MESSAGE() (p->mq == NULL || p->mq->save == p->mq->end)
#define FINITE(d) __builtin_isfinite(d)

ALWAYS_INLINE double double_of(uint64_t bits)
{
    double d;

    memcpy(&d, &bits, sizeof d);
    return d;
}

/* gcc would give some of the interpreter's registers away to rare paths and keep the instruction
 * pointer in memory; naming machine registers that C calls preserve keeps all of them. Builds with
 * a sanitizer need rbp for themselves. */
#if defined(__x86_64__) && defined(__OPTIMIZE__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && !defined(UBSAN_BUILD)
#define PINNED(reg) __asm__(reg)
#else
#define PINNED(reg)
#endif

#ifdef __clang__
#define NOCLONE
#define NOT_OPTIMISED __attribute__((optnone))
#else
#define NOCLONE __attribute__((noclone))
#define NOT_OPTIMISED __attribute__((optimize("O0")))
#endif
#ifndef UBSAN_BUILD
#undef NOT_OPTIMISED
#define NOT_OPTIMISED
#endif

/* The process costs no register: bodies reach it through the scheduler. */
#define p (sc->current)

/* Run the current process of s. With NULL: only tell where the handlers are. */
static NOINLINE NOCLONE NOT_OPTIMISED enum engine_result interpret(struct sched *const s)
{
    static const int32_t labels[OP_VARIANTS] = {
#include "vm/ops/op_labels.inc"
    };
    register struct sched *sc PINNED("rbp");
    register const char *I PINNED("rbx");
    register term *H PINNED("r14");
    register term *E PINNED("r13");
    register int64_t FC PINNED("r15");
    register const char *base PINNED("r12");    /* of the handlers */
    const void *to_ip;
    const char *ret_ip;
    struct export *ex;
    term to_fun, result, reason;
    term args[4];
    unsigned live;
    enum bs_result bsr;

    if (s == NULL) {
        op_labels = labels;
        return ENGINE_EXIT;
    }
    sc = s;
    base = (const char *)&&v0;
    __asm__("" : "+r"(base));   /* not a constant, or every jump would make it anew */
    p->wait_kind &= RECEIVE_TIMED_OUT;
    restore_live(p, sc);
    H = p->heap.H;
    E = p->heap.E;
    FC = sc->fcalls;
    GOTO(p->ip);

#ifdef __clang__
dispatch:
    DISPATCH_HERE();
#endif
#include "vm/ops/op_interp.inc"

    /* The slice may be over, or a collection is due: to_ip is entered with `live` registers. */
slice_end:
    FC += sc->fc_held;
    sc->fc_held = 0;
    if (p->heap.collect_soon && !p->heap.in_match)
        COLLECT(0, live);
    if (FC >= 0) {
        if (UNLIKELY(atomic_load_explicit(&profile_is_on, memory_order_relaxed))) {
            SYNC();
            profile_piece(sc, p, to_ip);
            RESYNC();
        }
        GOTO(to_ip);
    }
    SYNC();
    p->ip = to_ip;
    if (!save_live(p, live))
        goto process_exit_synced;
    leave(sc);
    return ENGINE_YIELD;

wait:
    SYNC();
    p->ip = to_ip;
    p->live = 0;
    leave(sc);
    return ENGINE_WAIT;

    /* erlang:yield/0: x0 is set and the caller's address is in E[0]. */
yield_return:
    SYNC();
    p->ip = &shared_code[SHARED_RETURN];
    if (!save_live(p, 1))
        goto process_exit_synced;
    leave(sc);
    return ENGINE_YIELD;

    /* --- built-ins that did not simply return a value --- */

bif_slow:                       /* from a frame; goes on at ret_ip */
    if (result == TERM_NONE && p->action == BIF_RAISE) {
        to_ip = I;
        goto bif_raised;
    }
    E[0] = (term)(uintptr_t)ret_ip;
bif_only_slow:                  /* E[0] says where to go on */
    if (result != TERM_NONE) {
        sc->x[0] = result;
        COLLECT(0, 1);
        GOTO(E[0]);
    }
    switch (p->action) {
    case BIF_RAISE:
        to_ip = I;
        goto bif_raised;
    case BIF_TRAP:
        ex = p->trap_export;
        FC--;
        GOTO(EXPORT_CODE(ex));
    case BIF_TRAP_FUN:
        to_fun = p->trap_fun;
        p->trap_fun = TERM_NIL;
        live = p->trap_arity;
        goto call_fun_any;
    case BIF_PAUSE:             /* its arguments and E[0] stay where they are: nothing collects */
        SYNC();
        p->trap_export = ex;
        p->ip = &shared_code[SHARED_GO_ON];
        p->live = 0;
        leave(sc);
        return ENGINE_YIELD;
    case BIF_YIELD:
    case BIF_WAIT:
        SYNC();
        p->ip = &ex->reserved[0];
        if (!save_live(p, ex->arity))
            goto process_exit_synced;
        leave(sc);
        if (p->action == BIF_YIELD)
            return ENGINE_YIELD;
        p->wait_kind = WAIT_BIF;
        return ENGINE_WAIT;
    case BIF_EXIT:
        goto process_exit;
    default:
        UNREACHABLE();
    }

bif_raised:                     /* ex raised p->exc; to_ip is the instruction that called it */
    p->action = BIF_NOTHING;
    SYNC();
    if (p->exc.trace == TERM_NONE) {
        result = p->exc.args != TERM_NONE ? p->exc.args : args_list(p, ex->arity);
        exception_trace_take(p, to_ip, ex->module, ex->function, result);
    } else if (is_nil(p->exc.trace)) {
        exception_trace_take(p, to_ip, TERM_NONE, TERM_NONE, p->exc.args);
    }
    goto deliver;

    /* --- calls that need a look --- */

call_fun_any:
    if (is_local_fun(to_fun) && fun_arity(to_fun) == live &&
        FUN_CODE(fun_entry_of(to_fun)) != NULL) {
        FUN_ENV(to_fun, live);
        live += (unsigned)header_size(box_header(to_fun)) - 1;
        to_ip = FUN_CODE(fun_entry_of(to_fun));
        if (UNLIKELY(--FC < 0))
            goto slice_end;
        GOTO(to_ip);
    }
call_fun_slow:                  /* to_fun with `live` arguments */
    SYNC();
    to_ip = call_fun_slow(p, to_fun, live, &live);
    RESYNC();
    if (to_ip == NULL)
        goto raise_here;
    if (UNLIKELY(--FC < 0))
        goto slice_end;
    GOTO(to_ip);

apply_mf:                       /* M and F behind the `live` arguments in x */
    args[0] = sc->x[live];
    args[1] = sc->x[live + 1];
apply_spread:
    if (args[0] == ATOM_erlang && args[1] == ATOM_apply && (live == 2 || live == 3)) {
        goto apply_list;
    }
    SYNC();
    to_ip = apply_target(p, args[0], args[1], live);
    RESYNC();
    if (to_ip == NULL) {
        ex = engine_exports[EXPORT_APPLY];
        to_ip = I;
        goto bif_raised;
    }
    if (UNLIKELY(--FC < 0))
        goto slice_end;
    GOTO(to_ip);

apply_list:                     /* x0 fun, x1 list; or x0 M, x1 F, x2 list (live 3) */
    args[0] = sc->x[0];
    args[1] = sc->x[1];
    args[2] = sc->x[live - 1];
    {
        int n = spread_args(sc, args[2]);

        if (UNLIKELY(n < 0 || n == X_REGISTERS)) {
            sc->x[0] = args[0];
            sc->x[1] = args[1];
            sc->x[live - 1] = args[2];
            set_error(p, n < 0 ? ATOM_badarg : ATOM_system_limit);
            ex = engine_exports[live == 3 ? EXPORT_APPLY : EXPORT_APPLY_FUN];
            to_ip = I;
            goto bif_raised;
        }
        to_fun = args[0];
        if (live == 2) {
            live = (unsigned)n;
            goto call_fun_any;
        }
        live = (unsigned)n;
    }
    goto apply_spread;

undefined_export:
    SYNC();
    to_ip = call_error_handler(p, ex, NULL);
    RESYNC();
    if (to_ip == NULL)
        goto deliver;
    GOTO(to_ip);

hibernate:                      /* x0 M, x1 F, x2 Args; the stack goes */
    if (!is_atom(sc->x[0]) || !is_atom(sc->x[1]) || list_length(sc->x[2]) < 0) {
        set_error(p, ATOM_badarg);
        ex = engine_exports[EXPORT_HIBERNATE];
        to_ip = I;
        goto bif_raised;
    }
    E = p->heap.hi - 1;
    E[0] = (term)(uintptr_t)&shared_code[SHARED_DONE];
    p->heap.catches = 0;
    SYNC();
    if (!process_collect(p, 8, 3, GC_HIBERNATE))
        goto process_exit_synced;
    if (!signals_handle(p))
        goto process_exit_synced;
    RESYNC();
    E = p->heap.E;
    if (mailbox_length(p) != 0)
        goto hibernate_wake;
    SYNC();
    p->ip = &shared_code[SHARED_WAKE];
    if (!save_live(p, 3))
        goto process_exit_synced;
    leave(sc);
    p->wait_kind = WAIT_HIBERNATE;
    return ENGINE_WAIT;
hibernate_wake:
    live = 3;
    goto apply_list;

    /* --- exceptions --- */

badarg1:
    live = 1;
    goto badarg_n;
badarg2:
    live = 2;
badarg_n:                       /* args[0..live) are the arguments of ex */
    set_error(p, ATOM_badarg);
    goto raise_guard;
raise_arith:                    /* p->exc.reason is set */
    set_error(p, p->exc.reason);
    live = 2;
raise_guard: /* p->exc is set but for the trace; the call was ex(args[0..live)) */
    p->action = BIF_NOTHING;
    SYNC();
    exception_trace_take(p, I, ex->module, ex->function,
                         heap_list(&p->heap, args, live, TERM_NIL));
    goto deliver;
raise_error2:
    SYNC();
    reason = heap_tuple2(&p->heap, args[0], args[1]);
    RESYNC();
raise_error:
    set_error(p, reason);
    goto raise_here;
raise_set:                      /* class, reason and perhaps error_info are set */
    p->exc.trace = p->exc.args = TERM_NONE;
raise_here:
    SYNC();
    if (p->exc.trace == TERM_NONE)
        exception_trace_take(p, I, TERM_NONE, TERM_NONE, TERM_NONE);
    goto deliver;
function_clause:                /* `live` arguments in x */
    set_error(p, ATOM_function_clause);
    SYNC();
    exception_trace_take(p, I, TERM_NONE, TERM_NONE, args_list(p, live));
    goto deliver;
raise_again:
    SYNC();
deliver:
    to_ip = exception_deliver(p);
    if (to_ip == NULL)
        goto process_exit_synced;
    RESYNC_COLLECT();           /* traces too may have filled the block */
    E = p->heap.E;
    GOTO(to_ip);

process_exit:
    SYNC();
process_exit_synced:
    p->ip = &shared_code[SHARED_DONE];
    p->live = 0;
    leave(sc);
    return ENGINE_EXIT;
}

#undef p

/* --- for the rest of the room ----------------------------------------------------------------- */

static uint64_t shared_instr(enum op_id op, unsigned n)
{
    return (uint32_t)op_labels[op_groups[op].first] | (uint64_t)n << 32;
}

void *engine_stub_undefined(void)
{
    return (void *)(uintptr_t)shared_instr(OP_export_undefined, 0);
}

void *engine_stub_bif(void)
{
    return (void *)(uintptr_t)shared_instr(OP_export_bif, 0);
}

void engine_init(void)
{
    (void)interpret(NULL);
    code_init();
    code_bind_etf();
    shared_code[SHARED_DONE] = shared_instr(OP_process_done, 0);
    shared_code[SHARED_WAKE] = shared_instr(OP_hibernate_wake, 0);
    shared_code[SHARED_APPLY] = shared_instr(OP_apply_list_only, 3);
    shared_code[SHARED_APPLY_FUN] = shared_instr(OP_apply_list_only, 2);
    shared_code[SHARED_YIELD] = shared_instr(OP_yield_only, 0);
    shared_code[SHARED_HIBERNATE] = shared_instr(OP_hibernate, 3);
    shared_code[SHARED_GO_ON] = shared_instr(OP_bif_go_on, 0);
    shared_code[SHARED_RETURN] = shared_instr(OP_return_x0, 0);
    shared_code[SHARED_TRACED] = shared_instr(OP_trace_return, 0);
    trace_return_code = (term)(uintptr_t)&shared_code[SHARED_TRACED];
#define ENGINE_EXPORT_ROW(name, text, arity) \
    engine_exports[EXPORT_##name] = export_get(ATOM_erlang, atom_from_cstr(text), arity);
    ENGINE_EXPORTS(ENGINE_EXPORT_ROW)
#undef ENGINE_EXPORT_ROW
    /* Calls of these become instructions; here they are for apply and funs. */
    atomic_store(&export_get(ATOM_erlang, ATOM_apply, 3)->code,
                 (const void *)&shared_code[SHARED_APPLY]);
    atomic_store(&export_get(ATOM_erlang, ATOM_apply, 2)->code,
                 (const void *)&shared_code[SHARED_APPLY_FUN]);
    atomic_store(&export_get(ATOM_erlang, ATOM_yield, 0)->code,
                 (const void *)&shared_code[SHARED_YIELD]);
    atomic_store(&export_get(ATOM_erlang, ATOM_hibernate, 3)->code,
                 (const void *)&shared_code[SHARED_HIBERNATE]);
}

enum engine_result engine_run(struct sched *s, struct process *p)
{
    enum engine_result r;

    ASSERT(s->current == p);
    if (UNLIKELY(atomic_load_explicit(&profile_is_on, memory_order_relaxed)))
        profile_run_begin(s);
    r = interpret(s);
    if (UNLIKELY(atomic_load_explicit(&profile_is_on, memory_order_relaxed)))
        profile_run_end(s, p);
    return r;
}

/* The arguments wait on the stack as if the process had been switched out at the entry of
 * apply/2,3. */
static void start(struct process *p, enum shared entry, const term *x, unsigned n)
{
    struct heap *h = &p->heap;

    h->E = h->hi - 1;
    h->E[0] = (term)(uintptr_t)&shared_code[SHARED_DONE];
    ASSERT(h->E - h->H > (ptrdiff_t)n + 1);
    h->E -= n + 1;
    memcpy(h->E + 1, x, n * sizeof(term));
    p->live = (uint16_t)n;
    p->ip = &shared_code[entry];
    p->heap.catches = 0;
}

void engine_start_mfa(struct process *p, term module, term function, term args)
{
    term x[] = { module, function, args };

    start(p, SHARED_APPLY, x, 3);
}

void engine_start_fun(struct process *p, term fun, term args)
{
    term x[] = { fun, args };

    start(p, SHARED_APPLY_FUN, x, 2);
}
