/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spawn.c - erlang:spawn and its many forms
 */
#include "bif/bif.h"
#include "bif/process_options.h"

#include "heap/etf.h"
#include "vm/mailbox.h"
#include "vm/remote.h"
#include "vm/sched.h"

/* What to run: M:F(Args), or a fun of no arguments. */
struct call { term module, function, args, fun; };

/* False: badarg. */
static bool call_mfa(struct call *c, term m, term f, term args)
{
    *c = (struct call){ m, f, args, TERM_NONE };
    return is_atom(m) && is_atom(f) && list_length(args) >= 0;
}

static bool call_fun(struct call *c, term fun)
{
    *c = (struct call){ .args = TERM_NIL, .fun = fun };
    return is_fun(fun);
}

static const struct spawn_options plain = {
    .prio = PRIO_NORMAL, .group_leader = TERM_NONE, .monitor_opts = TERM_NONE,
};

/* The pid, or TERM_NONE: the process table is full. */
static term start(struct process *p, const struct call *c, const struct spawn_options *opt,
                  term *ret_ref)
{
    charge(p, 20);
    if (c->fun != TERM_NONE)
        return process_spawn_fun(p, c->fun, c->args, opt, ret_ref);
    return process_spawn_mfa(p, c->module, c->function, c->args, opt, ret_ref);
}

static term spawn(struct process *p, const struct call *c, const struct spawn_options *opt)
{
    term ref = TERM_NONE, pid = start(p, c, opt, &ref);

    if (pid == TERM_NONE)
        return bif_error(p, ATOM_system_limit);
    return ref != TERM_NONE ? heap_tuple2(&p->heap, pid, ref) : pid;
}

static term spawn_flags(struct process *p, bool ok, const struct call *c, unsigned flags)
{
    struct spawn_options opt = plain;

    opt.flags = flags;
    return ok ? spawn(p, c, &opt) : bif_badarg(p);
}

static term spawn_with(struct process *p, bool ok, const struct call *c, term options)
{
    struct spawn_options opt = plain;

    if (!ok || !spawn_options_read(options, &opt, NULL))
        return bif_badarg(p);
    return spawn(p, c, &opt);
}

/* What another node is asked to call: a fun goes as an argument of apply. */
static struct remote_call remote_call_of(struct process *p, const struct call *c,
                                         const struct spawn_options *opt)
{
    struct remote_call rc = { c->module, c->function, c->args, p->group_leader, opt };

    if (c->fun != TERM_NONE) {
        rc.module = ATOM_erlang;
        rc.function = ATOM_apply;
        rc.args = heap_cons(&p->heap, c->fun, heap_cons(&p->heap, TERM_NIL, TERM_NIL));
    }
    return rc;
}

/* A process that ends at once, saying why there was none: spawn always gives a pid. */
static term spawn_crasher(struct process *p, term reason, const struct spawn_options *opt)
{
    struct call crash = { ATOM_erlang, ATOM_exit, heap_cons(&p->heap, reason, TERM_NIL), TERM_NONE };

    return spawn(p, &crash, opt);
}

/* Ask another node, wait for its answer. The built-in is called again with args until then. */
static term spawn_there(struct process *p, term node, const struct call *c,
                        const struct spawn_options *opt, size_t nargs, const term *args)
{
    static const struct remote_reply awaited = { ATOM_spawn_reply, false, false, true };
    struct process_ext *ext = process_ext_get(p);
    term reply = ext->reply, parts[2], ref;

    if (reply == TERM_NONE && ext->await_key == 0) {
        struct remote_call rc = remote_call_of(p, c, opt);

        charge(p, 50);
        ref = remote_spawn(p, node, &rc, &awaited);
        /* The reference of the monitor is part of the answer: keep it where a collection sees it. */
        ext->awaited_ref = ref;
        if (!signals_handle(p)) {
            p->action = BIF_EXIT;
            return TERM_NONE;
        }
        reply = ext->reply;
    }
    if (reply == TERM_NONE)
        return bif_wait(p, nargs, args);
    ref = ext->awaited_ref;
    ext->reply = ext->awaited_ref = TERM_NONE;
    if (!is_pid(reply))
        return spawn_crasher(p, tuple_elem(reply, 1), opt);
    if ((opt->flags & SPAWN_MONITOR) == 0)
        return reply;
    parts[0] = reply;
    parts[1] = ref;
    return heap_tuple(&p->heap, 2, parts);
}

static term spawn_elsewhere(struct process *p, term node, bool ok, const struct call *c,
                            const struct spawn_options *opt, size_t nargs, const term *args)
{
    if (!ok || !is_atom(node))
        return bif_badarg(p);
    if (node == etf_env.local_node)
        return spawn(p, c, opt);
    return spawn_there(p, node, c, opt, nargs, args);
}

static term spawn_at_flags(struct process *p, term node, bool ok, const struct call *c,
                           unsigned flags, size_t nargs, const term *args)
{
    struct spawn_options opt = plain;

    opt.flags = flags;
    return spawn_elsewhere(p, node, ok, c, &opt, nargs, args);
}

#define SPAWN_FORMS(name, flags)                                                                  \
    term bif_##name##_1(struct process *p, const term *a)                                         \
    {                                                                                             \
        struct call c;                                                                            \
        bool ok = call_fun(&c, a[0]);                                                             \
                                                                                                  \
        return spawn_flags(p, ok, &c, flags);                                                     \
    }                                                                                             \
    term bif_##name##_2(struct process *p, const term *a)                                         \
    {                                                                                             \
        struct call c;                                                                            \
        bool ok = call_fun(&c, a[1]);                                                             \
                                                                                                  \
        return spawn_at_flags(p, a[0], ok, &c, flags, 2, a);                                      \
    }                                                                                             \
    term bif_##name##_3(struct process *p, const term *a)                                         \
    {                                                                                             \
        struct call c;                                                                            \
        bool ok = call_mfa(&c, a[0], a[1], a[2]);                                                 \
                                                                                                  \
        return spawn_flags(p, ok, &c, flags);                                                     \
    }                                                                                             \
    term bif_##name##_4(struct process *p, const term *a)                                         \
    {                                                                                             \
        struct call c;                                                                            \
        bool ok = call_mfa(&c, a[1], a[2], a[3]);                                                 \
                                                                                                  \
        return spawn_at_flags(p, a[0], ok, &c, flags, 4, a);                                      \
    }

SPAWN_FORMS(spawn, 0)
SPAWN_FORMS(spawn_link, SPAWN_LINK)
SPAWN_FORMS(spawn_monitor, SPAWN_MONITOR)

term bif_spawn_opt_2(struct process *p, const term *a)
{
    struct call c;
    bool ok = call_fun(&c, a[0]);

    return spawn_with(p, ok, &c, a[1]);
}

term bif_spawn_opt_3(struct process *p, const term *a)
{
    struct spawn_options opt = plain;
    struct call c;
    bool ok = call_fun(&c, a[1]) && spawn_options_read(a[2], &opt, NULL);

    return spawn_elsewhere(p, a[0], ok, &c, &opt, 3, a);
}

term bif_spawn_opt_4(struct process *p, const term *a)
{
    struct call c;
    bool ok = call_mfa(&c, a[0], a[1], a[2]);

    return spawn_with(p, ok, &c, a[3]);
}

term bif_spawn_opt_5(struct process *p, const term *a)
{
    struct spawn_options opt = plain;
    struct call c;
    bool ok = call_mfa(&c, a[1], a[2], a[3]) && spawn_options_read(a[4], &opt, NULL);

    return spawn_elsewhere(p, a[0], ok, &c, &opt, 5, a);
}

/* --- spawn_request: the reply is a message ------------------------------------------------------ */

static term request(struct process *p, bool ok, const struct call *c, term options, term node)
{
    struct spawn_options opt = plain;
    struct spawn_reply reply = { .tag = ATOM_spawn_reply, .on_ok = true, .on_error = true };
    term ref = TERM_NONE, pid = TERM_NONE, e[4];
    bool here = node == etf_env.local_node, good, valid;

    if (!ok || !is_atom(node) || list_length(options) < 0)
        return bif_badarg(p);
    valid = spawn_options_read(options, &opt, &reply);
    if (!here && valid) {
        struct remote_call rc = remote_call_of(p, c, &opt);
        struct remote_reply rr = { reply.tag, reply.on_ok, reply.on_error, false };

        charge(p, 50);
        return remote_spawn(p, node, &rc, &rr);
    }
    if (here && valid)
        pid = start(p, c, &opt, &ref);
    if (ref == TERM_NONE)
        ref = make_ref(p->sched);
    good = pid != TERM_NONE;
    e[0] = reply.tag;
    e[1] = ref;
    e[2] = good ? ATOM_ok : ATOM_error;
    e[3] = good ? pid : !valid ? ATOM_badopt : ATOM_system_limit;
    if (good ? reply.on_ok : reply.on_error)
        process_send(p, p->pid, heap_tuple(&p->heap, 4, e));
    return ref;
}

term bif_spawn_request_1(struct process *p, const term *a)
{
    struct call c;
    bool ok = call_fun(&c, a[0]);

    return request(p, ok, &c, TERM_NIL, etf_env.local_node);
}

term bif_spawn_request_2(struct process *p, const term *a)
{
    struct call c;

    if (is_fun(a[0])) {
        bool ok = call_fun(&c, a[0]);

        return request(p, ok, &c, a[1], etf_env.local_node);
    }
    return request(p, call_fun(&c, a[1]), &c, TERM_NIL, a[0]);
}

term bif_spawn_request_3(struct process *p, const term *a)
{
    struct call c;

    if (is_fun(a[1]))
        return request(p, call_fun(&c, a[1]), &c, a[2], a[0]);
    return request(p, call_mfa(&c, a[0], a[1], a[2]), &c, TERM_NIL, etf_env.local_node);
}

term bif_spawn_request_4(struct process *p, const term *a)
{
    struct call c;

    if (is_atom(a[2]))          /* node, module, function, arguments */
        return request(p, call_mfa(&c, a[1], a[2], a[3]), &c, TERM_NIL, a[0]);
    return request(p, call_mfa(&c, a[0], a[1], a[2]), &c, a[3], etf_env.local_node);
}

term bif_spawn_request_5(struct process *p, const term *a)
{
    struct call c;

    return request(p, call_mfa(&c, a[1], a[2], a[3]), &c, a[4], a[0]);
}

/* Requests to this node are answered before they return: there is nothing left to abandon. */
term bif_spawn_request_abandon_1(struct process *p, const term *a)
{
    if (!is_ref(a[0]))
        return bif_badarg(p);
    if (!signals_handle(p)) {       /* the answer may be here */
        p->action = BIF_EXIT;
        return TERM_NONE;
    }
    return remote_spawn_abandon(p, a[0]) ? ATOM_true : ATOM_false;
}
