/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc.c - erpc and rpc for nodes without OTP's kernel
 *
 * A call is spawn_request with a monitor: the far process ends with the result as its reason, in
 * the shape that OTP's erpc has, so either end may have either. The waiting is code for the machine
 * itself (module rnode_erpc); what an outcome means is decided by built-ins of the same name here.
 * All rows of erpc and rpc are fallbacks: OTP's modules, when on the code path, go before.
 */
#include "dist/dist_priv.h"
#include "dist/nodes.h"

#include "base/clock.h"
#include "heap/etf.h"
#include "term/atom.h"
#include "vm/bif.h"
#include "vm/code.h"

static const char code_text[] =
    "module rnode_erpc\n"
    "export execute_call/4 request/4 await/2 call/5 receive_response/2 yield/2 rpc_call/5\n"
    "export multicall/5 rpc_multicall/5 requests/4 gather/2\n"

    /* In the far process: never returns. */
    "function execute_call/4\n"
    "    allocate 4 4\n"
    "    init_yregs [y1 y2 y3]\n"
    "    move x0 y0\n"
    "    try y1 @raised\n"
    "    move x1 x0\n"
    "    move x2 x1\n"
    "    move x3 x2\n"
    "    line\n"
    "    call_ext 3 erlang:apply/3\n"
    "    try_end y1\n"
    "    test_heap 4 1\n"
    "    put_tuple2 x0 [y0 return x0]\n"
    "    line\n"
    "    call_ext_last 1 erlang:exit/1 4\n"
    "  raised:\n"
    "    try_case y1\n"
    "    move x0 y2\n"
    "    move x1 y3\n"
    "    move x2 x0\n"
    "    build_stacktrace\n"
    "    move x0 x3\n"
    "    move y3 x2\n"
    "    move y2 x1\n"
    "    move y0 x0\n"
    "    line\n"
    "    call_ext 4 rnode_erpc:raised/4\n"
    "    line\n"
    "    call_ext_last 1 erlang:exit/1 4\n"

    /* node, M, F, Args -> {Ref, ReqId} */
    "function request/4\n"
    "    allocate 5 4\n"
    "    init_yregs [y4]\n"
    "    move x0 y0\n"
    "    move x1 y1\n"
    "    move x2 y2\n"
    "    move x3 y3\n"
    "    line\n"
    "    call_ext 0 erlang:make_ref/0\n"
    "    move x0 y4\n"
    "    test_heap 8 0\n"
    "    put_list y3 [] x3\n"
    "    put_list y2 x3 x3\n"
    "    put_list y1 x3 x3\n"
    "    put_list y4 x3 x3\n"
    "    move y0 x0\n"
    "    move erpc x1\n"
    "    move execute_call x2\n"
    "    move [{reply, error_only}, monitor] x4\n"
    "    line\n"
    "    call_ext 5 erlang:spawn_request/5\n"
    "    test_heap 3 1\n"
    "    put_tuple2 x0 [y4 x0]\n"
    "    deallocate 5\n"
    "    return\n"

    /* {Ref, ReqId}, Timeout -> {down, Reason} | {failed, Reason} | timeout */
    "function await/2\n"
    "    allocate 2 2\n"
    "    get_tuple_element x0 1 y0\n"
    "    move x1 y1\n"
    "  next:\n"
    "    loop_rec @idle x0\n"
    "    is_tuple @other x0\n"
    "    test_arity @spawn x0 5\n"
    "    get_tuple_element x0 0 x1\n"
    "    get_tuple_element x0 1 x2\n"
    "    is_eq_exact @other x1 'DOWN'\n"
    "    is_eq_exact @other x2 y0\n"
    "    get_tuple_element x0 4 x0\n"
    "    remove_message\n"
    "    test_heap 3 1\n"
    "    put_tuple2 x0 [down x0]\n"
    "    deallocate 2\n"
    "    return\n"
    "  spawn:\n"
    "    test_arity @other x0 4\n"
    "    get_tuple_element x0 0 x1\n"
    "    get_tuple_element x0 1 x2\n"
    "    is_eq_exact @other x1 spawn_reply\n"
    "    is_eq_exact @other x2 y0\n"
    "    get_tuple_element x0 3 x0\n"
    "    remove_message\n"
    "    test_heap 3 1\n"
    "    put_tuple2 x0 [failed x0]\n"
    "    deallocate 2\n"
    "    return\n"
    "  other:\n"
    "    loop_rec_end @next\n"
    "  idle:\n"
    "    wait_timeout @next y1\n"
    "    timeout\n"
    "    move y0 x0\n"
    "    line\n"
    "    call_ext 1 erlang:spawn_request_abandon/1\n"
    "    move y0 x0\n"
    "    move [flush] x1\n"
    "    line\n"
    "    call_ext 2 erlang:demonitor/2\n"
    "    move timeout x0\n"
    "    deallocate 2\n"
    "    return\n"

    /* Node or nodes, M, F, Args, Timeout: what `ask` gives, in x0; y0 the node or nodes, y4 the
     * deadline. Both kinds of call begin so. */
#define DEADLINE_TEXT(name, ask)                                                                  \
    "function " name "/5\n"                                                                       \
    "    allocate 5 5\n"                                                                          \
    "    move x0 y0\n"                                                                            \
    "    move x1 y1\n"                                                                            \
    "    move x2 y2\n"                                                                            \
    "    move x3 y3\n"                                                                            \
    "    init_yregs [y4]\n"                                                                       \
    "    move x4 x0\n"                                                                            \
    "    line\n"                                                                                  \
    "    call_ext 1 rnode_erpc:deadline/1\n"                                                      \
    "    move x0 y4\n"                                                                            \
    "    move y0 x0\n"                                                                            \
    "    move y1 x1\n"                                                                            \
    "    move y2 x2\n"                                                                            \
    "    move y3 x3\n"                                                                            \
    "    line\n"                                                                                  \
    "    call 4 " ask "/4\n"

    /* call/5 and rpc_call/5 differ in what they make of the outcome. */
#define CALL_TEXT(name, result)                                                                   \
    DEADLINE_TEXT(name, "request")                                                                \
    "    move x0 y0\n"                                                                            \
    "    move y4 x0\n"                                                                            \
    "    line\n"                                                                                  \
    "    call_ext 1 rnode_erpc:left/1\n"                                                          \
    "    move x0 x1\n"                                                                            \
    "    move y0 x0\n"                                                                            \
    "    line\n"                                                                                  \
    "    call 2 await/2\n"                                                                        \
    "    move x0 x1\n"                                                                            \
    "    move y0 x0\n"                                                                            \
    "    line\n"                                                                                  \
    "    call_ext_last 2 rnode_erpc:" result "/2 5\n"
    CALL_TEXT("call", "result")
    CALL_TEXT("rpc_call", "rpc_result")

#define RESPONSE_TEXT(name, result)                                                               \
    "function " name "/2\n"                                                                       \
    "    allocate 1 2\n"                                                                          \
    "    move x0 y0\n"                                                                            \
    "    line\n"                                                                                  \
    "    call 2 await/2\n"                                                                        \
    "    move x0 x1\n"                                                                            \
    "    move y0 x0\n"                                                                            \
    "    line\n"                                                                                  \
    "    call_ext_last 2 rnode_erpc:" result "/2 1\n"
    RESPONSE_TEXT("receive_response", "result")
    RESPONSE_TEXT("yield", "rpc_result")

    /* Nodes, M, F, Args -> [{Ref, ReqId}], all asked before any answer is waited for */
    "function requests/4\n"
    "    is_nonempty_list @end x0\n"
    "    allocate 5 4\n"
    "    get_list x0 x0 y0\n"
    "    move x1 y1\n"
    "    move x2 y2\n"
    "    move x3 y3\n"
    "    init_yregs [y4]\n"
    "    line\n"
    "    call 4 request/4\n"
    "    move x0 y4\n"
    "    move y0 x0\n"
    "    move y1 x1\n"
    "    move y2 x2\n"
    "    move y3 x3\n"
    "    line\n"
    "    call 4 requests/4\n"
    "    test_heap 2 1\n"
    "    put_list y4 x0 x0\n"
    "    deallocate 5\n"
    "    return\n"
    "  end:\n"
    "    move [] x0\n"
    "    return\n"

    /* [{Ref, ReqId}], Deadline -> [Outcome] */
    "function gather/2\n"
    "    is_nonempty_list @end x0\n"
    "    allocate 3 2\n"
    "    get_list x0 y0 y1\n"
    "    move x1 y2\n"
    "    move x1 x0\n"
    "    line\n"
    "    call_ext 1 rnode_erpc:left/1\n"
    "    move x0 x1\n"
    "    move y0 x0\n"
    "    line\n"
    "    call 2 await/2\n"
    "    move x0 x1\n"
    "    move y0 x0\n"
    "    line\n"
    "    call_ext 2 rnode_erpc:outcome/2\n"
    "    move x0 y0\n"
    "    move y1 x0\n"
    "    move y2 x1\n"
    "    line\n"
    "    call 2 gather/2\n"
    "    test_heap 2 1\n"
    "    put_list y0 x0 x0\n"
    "    deallocate 3\n"
    "    return\n"
    "  end:\n"
    "    move [] x0\n"
    "    return\n"

#define MULTICALL_TEXT(name, tail)                                                                \
    DEADLINE_TEXT(name, "requests")                                                               \
    "    move y4 x1\n"                                                                            \
    "    line\n"                                                                                  \
    "    call 2 gather/2\n"                                                                       \
    tail
    MULTICALL_TEXT("multicall", "    deallocate 5\n    return\n")
    MULTICALL_TEXT("rpc_multicall", "    move x0 x1\n    move y0 x0\n    line\n"
                                    "    call_ext_last 2 rnode_erpc:rpc_results/2 5\n");

/* --- time ------------------------------------------------------------------------------------------------ */

static term erpc_error(struct process *p, term reason)
{
    return bif_error2(p, ATOM_erpc, reason);
}

/* A timeout in milliseconds to the moment when it is over. */
static term bif_deadline(struct process *p, const term *a)
{
    uint64_t ms;

    if (a[0] == ATOM_infinity)
        return a[0];
    if (!term_to_uint64(a[0], &ms) || ms > UINT32_MAX)
        return erpc_error(p, ATOM_badarg);
    return heap_uint(&p->heap, (uint64_t)(clock_monotonic_ns() / 1000000) + ms);
}

static term bif_left(struct process *p, const term *a)
{
    uint64_t at, now = (uint64_t)(clock_monotonic_ns() / 1000000);

    if (!term_to_uint64(a[0], &at))
        return a[0];            /* infinity */
    return heap_uint(&p->heap, at > now ? at - now : 0);
}

/* --- outcomes --------------------------------------------------------------------------------------------- */

/* What the far process ended with: class and what raising it here means. */
struct outcome { term class, value; };

static term pair(struct heap *h, term a, term b)
{
    return heap_tuple2(h, a, b);
}

/* The reason of a process that was to end in execute_call of this reference. */
static struct outcome outcome_of_reason(struct heap *h, term ref, term reason)
{
    if (is_tuple(reason) && tuple_arity(reason) >= 3 && tuple_elem(reason, 0) == ref) {
        term class = tuple_elem(reason, 1), value = tuple_elem(reason, 2);

        if (class == ATOM_return)
            return (struct outcome){ ATOM_ok, value };
        if (class == ATOM_throw)
            return (struct outcome){ ATOM_throw, value };
        if (class == ATOM_exit)
            return (struct outcome){ ATOM_exit, pair(h, ATOM_exception, value) };
        if (class == ATOM_error && tuple_arity(reason) == 4)
            return (struct outcome){ ATOM_error, heap_tuple3(h, ATOM_exception, value,
                                                             tuple_elem(reason, 3)) };
    }
    if (reason == ATOM_noconnection)
        return (struct outcome){ ATOM_error, pair(h, ATOM_erpc, reason) };
    return (struct outcome){ ATOM_exit, pair(h, ATOM_signal, reason) };
}

/* request: {Ref, ReqId}; what await gave. */
static struct outcome outcome_of(struct heap *h, term request, term got)
{
    if (!is_tuple_n(got, 2))
        return (struct outcome){ ATOM_error, pair(h, ATOM_erpc, got) };
    if (tuple_elem(got, 0) == ATOM_failed)
        return (struct outcome){ ATOM_error, pair(h, ATOM_erpc, tuple_elem(got, 1)) };
    return outcome_of_reason(h, tuple_elem(request, 0), tuple_elem(got, 1));
}

static term bif_result(struct process *p, const term *a)
{
    struct outcome o = outcome_of(&p->heap, a[0], a[1]);

    return o.class == ATOM_ok ? o.value : bif_raise(p, o.class, o.value);
}

static term bif_outcome(struct process *p, const term *a)
{
    struct outcome o = outcome_of(&p->heap, a[0], a[1]);

    return pair(&p->heap, o.class, o.value);
}

/* The value of rpc:call for an outcome. */
static term rpc_value(struct heap *h, struct outcome o)
{
    term why;

    if (o.class == ATOM_ok || o.class == ATOM_throw)
        return o.value;
    why = tuple_elem(o.value, 1);
    if (tuple_elem(o.value, 0) == ATOM_erpc)
        return pair(h, ATOM_badrpc, why == ATOM_noconnection ? ATOM_nodedown : why);
    if (o.class == ATOM_error)
        why = pair(h, why, tuple_elem(o.value, 2));
    return pair(h, ATOM_badrpc, pair(h, ATOM_EXIT, why));
}

static term bif_rpc_result(struct process *p, const term *a)
{
    return rpc_value(&p->heap, outcome_of(&p->heap, a[0], a[1]));
}

/* Nodes, [{Class, Value}] -> {Values, BadNodes}, both in the order of the nodes */
static term bif_rpc_results(struct process *p, const term *a)
{
    term good = TERM_NIL, bad = TERM_NIL, results[2] = { TERM_NIL, TERM_NIL };
    term node = a[0];

    for (term l = a[1]; is_cons(l); l = cdr(l), node = cdr(node)) {
        struct outcome o = { tuple_elem(car(l), 0), tuple_elem(car(l), 1) };
        bool lost = o.class == ATOM_error && tuple_elem(o.value, 0) == ATOM_erpc;

        if (lost)
            bad = heap_cons(&p->heap, car(node), bad);
        else
            good = heap_cons(&p->heap, rpc_value(&p->heap, o), good);
    }
    for (; is_cons(good); good = cdr(good))
        results[0] = heap_cons(&p->heap, car(good), results[0]);
    for (; is_cons(bad); bad = cdr(bad))
        results[1] = heap_cons(&p->heap, car(bad), results[1]);
    return heap_tuple(&p->heap, 2, results);
}

/* The trace up to our own call of apply. */
static term trimmed(struct heap *h, term trace)
{
    term own = atom_from_cstr("rnode_erpc");

    if (!is_cons(trace) || (is_tuple(car(trace)) && tuple_elem(car(trace), 0) == own))
        return TERM_NIL;
    return heap_cons(h, car(trace), trimmed(h, cdr(trace)));    /* a few entries only */
}

static term bif_raised(struct process *p, const term *a)
{
    if (a[1] == ATOM_error)
        return heap_tuple4(&p->heap, a[0], a[1], a[2], trimmed(&p->heap, a[3]));
    return heap_tuple3(&p->heap, a[0], a[1], a[2]);
}

/* --- erpc and rpc: check, then go on in rnode_erpc -------------------------------------------------------- */

static term go_on(struct process *p, const char *function, size_t n, const term *args)
{
    return bif_trap(p, export_get(atom_from_cstr("rnode_erpc"), atom_from_cstr(function),
                                  (uint32_t)n), n, args);
}

static bool is_mfa(const term *mfa)
{
    return is_atom(mfa[0]) && is_atom(mfa[1]) && list_length(mfa[2]) >= 0;
}

/* erlang:apply(Fun, []) */
static void fun_mfa(struct process *p, term fun, term mfa[3])
{
    mfa[0] = ATOM_erlang;
    mfa[1] = ATOM_apply;
    mfa[2] = heap_cons(&p->heap, fun, heap_cons(&p->heap, TERM_NIL, TERM_NIL));
}

static term call(struct process *p, const char *function, term where, const term *mfa, term timeout,
                 bool many)
{
    term args[5] = { where, mfa[0], mfa[1], mfa[2], timeout };

    if (!is_mfa(mfa) || !(many ? list_length(where) >= 0 : is_atom(where)))
        return erpc_error(p, ATOM_badarg);
    return go_on(p, function, 5, args);
}

static term call_fun(struct process *p, const char *function, const term *a, term timeout, bool many)
{
    term mfa[3];

    if (!is_fun(a[1]) || fun_arity(a[1]) != 0)
        return erpc_error(p, ATOM_badarg);
    fun_mfa(p, a[1], mfa);
    return call(p, function, a[0], mfa, timeout, many);
}

#define CALL_FORMS(name, function, many)                                                          \
    static term bif_##name##_2(struct process *p, const term *a)                                  \
    {                                                                                             \
        return call_fun(p, function, a, ATOM_infinity, many);                                     \
    }                                                                                             \
    static term bif_##name##_3(struct process *p, const term *a)                                  \
    {                                                                                             \
        return call_fun(p, function, a, a[2], many);                                              \
    }                                                                                             \
    static term bif_##name##_4(struct process *p, const term *a)                                  \
    {                                                                                             \
        return call(p, function, a[0], a + 1, ATOM_infinity, many);                               \
    }                                                                                             \
    static term bif_##name##_5(struct process *p, const term *a)                                  \
    {                                                                                             \
        return call(p, function, a[0], a + 1, a[4], many);                                        \
    }

CALL_FORMS(erpc_call, "call", false)
CALL_FORMS(erpc_multicall, "multicall", true)

static term bif_rpc_call_4(struct process *p, const term *a)
{
    return call(p, "rpc_call", a[0], a + 1, ATOM_infinity, false);
}

static term bif_rpc_call_5(struct process *p, const term *a)
{
    return call(p, "rpc_call", a[0], a + 1, a[4], false);
}

static term all_nodes(struct process *p)
{
    return heap_cons(&p->heap, etf_env.local_node, nodes_list(&p->heap));
}

static term bif_rpc_multicall_3(struct process *p, const term *a)
{
    return call(p, "rpc_multicall", all_nodes(p), a, ATOM_infinity, true);
}

/* Nodes, M, F, Args or M, F, Args, Timeout */
static term bif_rpc_multicall_4(struct process *p, const term *a)
{
    if (is_list(a[0]))
        return call(p, "rpc_multicall", a[0], a + 1, ATOM_infinity, true);
    return call(p, "rpc_multicall", all_nodes(p), a, a[3], true);
}

static term bif_rpc_multicall_5(struct process *p, const term *a)
{
    return call(p, "rpc_multicall", a[0], a + 1, a[4], true);
}

static term bif_execute_call_4(struct process *p, const term *a)
{
    return go_on(p, "execute_call", 4, a);
}

static term bif_execute_cast_3(struct process *p, const term *a)
{
    return bif_trap(p, export_get(ATOM_erlang, ATOM_apply, 3), 3, a);
}

static term bif_send_request_2(struct process *p, const term *a)
{
    term args[4] = { a[0] };

    if (!is_atom(a[0]) || !is_fun(a[1]))
        return erpc_error(p, ATOM_badarg);
    fun_mfa(p, a[1], args + 1);
    return go_on(p, "request", 4, args);
}

static term bif_send_request_4(struct process *p, const term *a)
{
    if (!is_atom(a[0]) || !is_mfa(a + 1))
        return erpc_error(p, ATOM_badarg);
    return go_on(p, "request", 4, a);
}

static term bif_receive_response_1(struct process *p, const term *a)
{
    term args[2] = { a[0], ATOM_infinity };

    return is_tuple_n(a[0], 2) ? go_on(p, "receive_response", 2, args) : erpc_error(p, ATOM_badarg);
}

static term bif_receive_response_2(struct process *p, const term *a)
{
    return is_tuple_n(a[0], 2) ? go_on(p, "receive_response", 2, a) : erpc_error(p, ATOM_badarg);
}

static term bif_rpc_yield_1(struct process *p, const term *a)
{
    term args[2] = { a[0], ATOM_infinity };

    return is_tuple_n(a[0], 2) ? go_on(p, "yield", 2, args) : bif_badarg(p);
}

/* --- casts -------------------------------------------------------------------------------------------------- */

/* Start it there, want no answer. */
static void cast(struct process *p, term node, const term *mfa)
{
    static const struct remote_reply silent = { ATOM_spawn_reply, false, false, false };
    static const struct spawn_options plain = {
        .prio = PRIO_NORMAL, .group_leader = TERM_NONE, .monitor_opts = TERM_NONE,
    };
    struct remote_call call_there = { mfa[0], mfa[1], mfa[2], p->group_leader, &plain };

    charge(p, 30);
    if (node == etf_env.local_node)
        process_spawn_mfa(p, mfa[0], mfa[1], mfa[2], &plain, NULL);
    else
        remote_spawn(p, node, &call_there, &silent);
}

static term cast_to(struct process *p, term nodes, const term *mfa)
{
    if (!is_mfa(mfa) || list_length(nodes) < 0)
        return erpc_error(p, ATOM_badarg);
    for (term l = nodes; is_cons(l); l = cdr(l)) {
        if (!is_atom(car(l)))
            return erpc_error(p, ATOM_badarg);
    }
    for (; is_cons(nodes); nodes = cdr(nodes))
        cast(p, car(nodes), mfa);
    return ATOM_ok;
}

static term bif_erpc_cast_2(struct process *p, const term *a)
{
    term mfa[3];

    if (!is_fun(a[1]))
        return erpc_error(p, ATOM_badarg);
    fun_mfa(p, a[1], mfa);
    return cast_to(p, is_atom(a[0]) ? heap_cons(&p->heap, a[0], TERM_NIL) : a[0], mfa);
}

static term bif_erpc_cast_4(struct process *p, const term *a)
{
    return cast_to(p, is_atom(a[0]) ? heap_cons(&p->heap, a[0], TERM_NIL) : a[0], a + 1);
}

static term bif_rpc_cast_4(struct process *p, const term *a)
{
    return bif_erpc_cast_4(p, a) == TERM_NONE ? TERM_NONE : ATOM_true;
}

static term bif_rpc_eval_everywhere_3(struct process *p, const term *a)
{
    return cast_to(p, all_nodes(p), a) == TERM_NONE ? TERM_NONE : ATOM_abcast;
}

static term bif_rpc_eval_everywhere_4(struct process *p, const term *a)
{
    return cast_to(p, a[0], a + 1) == TERM_NONE ? TERM_NONE : ATOM_abcast;
}

static term abcast(struct process *p, term nodes, term name, term msg)
{
    if (!is_atom(name) || list_length(nodes) < 0)
        return bif_badarg(p);
    for (; is_cons(nodes); nodes = cdr(nodes))
        process_send(p, pair(&p->heap, name, car(nodes)), msg);
    return ATOM_abcast;
}

static term bif_rpc_abcast_2(struct process *p, const term *a)
{
    return abcast(p, all_nodes(p), a[0], a[1]);
}

static term bif_rpc_abcast_3(struct process *p, const term *a)
{
    return abcast(p, a[0], a[1], a[2]);
}

/* --- starting ------------------------------------------------------------------------------------------------ */

void rpc_init(void)
{
    static const struct bif table[] = {
#define BIF(module, function, arity, kind, fn) { #module, function, arity, BIF_##kind, fn },
#include "dist/rpc.tab"
#undef BIF
    };

    bif_register(table, ARRAY_LEN(table));
}

void rpc_start(void)
{
    struct load_error why;
    struct prepared *prepared;
    term busy;
    int rc = code_prepare_text(code_text, sizeof code_text - 1, "rnode_erpc",
                               atom_from_cstr("rnode_erpc"), &prepared, &why);

    if (rc == 0)
        rc = code_commit(&prepared, 1, &busy);
    ASSERT(rc == 0);
}
