/* SPDX-License-Identifier: Apache-2.0 */
/*
 * long_call.c - built-ins that stand still in the middle
 *
 * bif_long runs a built-in on a fiber (base/fiber.h). When the process's reductions are used up the
 * fiber stands still, the engine puts the process back on its queue, and the scheduler's next turn
 * goes on where the work stopped. Meanwhile:
 *
 *   L1  The heap stands still: nothing is delivered, nothing is collected. Signals wait in the
 *       inbox, an exit signal too, until the built-in returns: it never has to be taken back.
 *   L2  p->live is 0, and E[0] is where the built-in returns to.
 */
#include "vm/long_call.h"

#include "base/fiber.h"
#include "base/slab.h"
#include "vm/bif.h"

/* A reduction is about what an Erlang call costs: sixteen steps of a loop over a list. */
#define UNITS_PER_REDUCTION 16

struct long_call {
    struct fiber *fiber;
    struct process *process;
    bif_fn *fn;
    term result;
    unsigned n;
    term args[LONG_CALL_ARGS_MAX];
};

static void run_fn(void *arg)
{
    struct long_call *call = arg;

    call->result = call->fn(call->process, call->args);
}

term long_call_go_on(struct process *p)
{
    struct long_call *call = p->long_call;
    int64_t left = p->sched->fcalls, used;
    bool done = fiber_run(call->fiber, (left > 0 ? left : 1) * UNITS_PER_REDUCTION, &used);
    term result = call->result;

    charge(p, used / UNITS_PER_REDUCTION);
    if (!done) {
        p->action = BIF_PAUSE;
        return TERM_NONE;
    }
    /* An exception is shown with the arguments, which nothing has moved. */
    if (result == TERM_NONE && p->action == BIF_RAISE)
        memcpy(p->sched->x, call->args, call->n * sizeof(term));
    p->long_call = NULL;
    slab_free(call, sizeof *call);
    return result;
}

term bif_long(struct process *p, bif_fn *fn, size_t n, const term *args)
{
    struct long_call *call = slab_alloc(sizeof *call);

    ASSERT(n <= LONG_CALL_ARGS_MAX && p->long_call == NULL);
    *call = (struct long_call){ .process = p, .fn = fn, .n = (unsigned)n };
    memcpy(call->args, args, n * sizeof(term));
    call->fiber = fiber_new(run_fn, call);
    if (call->fiber == NULL) {      /* no memory for a stack: then in one go */
        slab_free(call, sizeof *call);
        return fn(p, args);
    }
    p->long_call = call;
    return long_call_go_on(p);
}

void long_call_discard(struct process *p)
{
    slab_free(p->long_call, sizeof *p->long_call);
    p->long_call = NULL;
}
