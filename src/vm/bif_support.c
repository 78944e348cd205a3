/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bif_support.c - the ways in which a built-in returns without a result
 */
#include "vm/bif.h"

#include "heap/map.h"

static term raise(struct process *p, term class, term reason, term error_info)
{
    p->exc = (struct exception){ class, reason, TERM_NONE, TERM_NONE, error_info };
    p->action = BIF_RAISE;
    return TERM_NONE;
}

term bif_raise(struct process *p, term class, term reason)
{
    return raise(p, class, reason, TERM_NONE);
}

term bif_error(struct process *p, term reason)
{
    return raise(p, ATOM_error, reason, TERM_NONE);
}

term bif_badarg(struct process *p)
{
    return raise(p, ATOM_error, ATOM_badarg, TERM_NONE);
}

term bif_badarg_cause(struct process *p, term cause)
{
    term pair[2] = { ATOM_cause, cause };

    return raise(p, ATOM_error, ATOM_badarg, map_from_pairs(&p->heap, pair, 1));
}

term bif_error2(struct process *p, term tag, term value)
{
    return raise(p, ATOM_error, heap_tuple2(&p->heap, tag, value), TERM_NONE);
}

/* args may lie in x already, even shifted. */
static void put_args(struct process *p, size_t n, const term *args)
{
    ASSERT(n <= X_REGISTERS);
    if (n != 0)
        memmove(p->sched->x, args, n * sizeof *args);
    p->trap_arity = (uint16_t)n;
}

term bif_trap(struct process *p, struct export *e, size_t n, const term *args)
{
    put_args(p, n, args);
    p->trap_export = e;
    p->action = BIF_TRAP;
    return TERM_NONE;
}

term bif_trap_fun(struct process *p, term fun, size_t n, const term *args)
{
    put_args(p, n, args);
    p->trap_fun = fun;
    p->action = BIF_TRAP_FUN;
    return TERM_NONE;
}

term bif_yield(struct process *p, size_t n, const term *args)
{
    put_args(p, n, args);
    p->action = BIF_YIELD;
    return TERM_NONE;
}

term bif_wait(struct process *p, size_t n, const term *args)
{
    put_args(p, n, args);
    p->action = BIF_WAIT;
    return TERM_NONE;
}
