/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bif.h - how C functions appear as Erlang functions
 *
 * A built-in gets the process and its arguments a[0..arity), which are the x registers: it must
 * read what it needs before it writes sched->x. It returns a term, or TERM_NONE after one of the
 * bif_* calls below said why. It runs with p->heap.H and .E current, on the scheduler's thread,
 * and never collects (heap.h, H1). Work in proportion to input charges reductions (charge), and
 * work without bound yields.
 */
#ifndef VM_BIF_H
#define VM_BIF_H

#include "vm/process.h"

typedef term bif_fn(struct process *p, const term *a);

enum bif_kind {
    BIF_GUARD,      /* pure test or operator, allowed in bif and gc_bif instructions */
    BIF_PLAIN,      /* ordinary */
    BIF_SPECIAL,    /* the loader turns calls into instructions; fn may be NULL */
    BIF_FALLBACK,   /* used only when no module of that name is found on the code path; for what OTP's stdlib
                     * does better. What its kernel does with servers of its own is BIF_PLAIN here. */
};

struct bif {
    const char *module, *function;
    uint8_t arity, kind;
    bif_fn *fn;
};

/* Make the built-ins of table[0..n) callable. Before the first module is loaded. */
void bif_register(const struct bif *table, size_t n);
/* The built-in of an export, or NULL. */
const struct bif *bif_find(term module, term function, uint32_t arity);

/* --- ways to return without a result: each gives TERM_NONE ------------------------------- */

term bif_raise(struct process *p, term class, term reason);
term bif_error(struct process *p, term reason);         /* class error, trace starts at the built-in */
term bif_badarg(struct process *p);
/* badarg with #{cause => cause} in error_info, for the modules whose errors say more. */
term bif_badarg_cause(struct process *p, term cause);
/* error with {Tag, Value}: {badmap, M}, {badkey, K}. */
term bif_error2(struct process *p, term tag, term value);
/* Call M:F with n arguments instead; its result is the built-in's. The arguments are put in x. */
term bif_trap(struct process *p, struct export *e, size_t n, const term *args);
term bif_trap_fun(struct process *p, term fun, size_t n, const term *args);
/* Call this built-in again with n arguments: later, in turn (yield), or when woken (wait). */
term bif_yield(struct process *p, size_t n, const term *args);
term bif_wait(struct process *p, size_t n, const term *args);

/* --- long work ---------------------------------------------------------------------------- */

/* Run fn(p, args) so that it may stand still: wherever it calls fiber_tick (base/fiber.h) and the
 * process's reductions are used up, others get their turn. `return bif_long(...)`; fn returns
 * like any built-in, and its ticks are charged. What fiber.h asks of fn, and: p->sched is read anew
 * after each tick; no bif_yield or bif_wait in fn. Costs about as much as a dozen reductions, so
 * short work is better done before. */
term bif_long(struct process *p, bif_fn *fn, size_t n, const term *args);

/* --- blocking work ------------------------------------------------------------------------ */

/* Work for the pool of blocking threads. run() is called there with no process at hand; when it is
 * done the process is woken and its built-in, called again, finds p->job->done. Freed by free(). */
struct job {
    void (*run)(struct job *job);
    void (*free)(struct job *job);      /* called when consumed, or when the process is gone */
    struct job *next;
    term pid;
    _Atomic bool done;
    _Atomic uint8_t phase;      /* of the pool: job.c */
};
/* Once done has been seen and the result read: frees p->job. */
void job_finish(struct process *p);
/* Submit: sets p->job, returns TERM_NONE (BIF_WAIT) so that the caller can `return job_submit(...)`. */
term job_submit(struct process *p, struct job *job, size_t n, const term *args);
/* For work that is not the pool's: set p->job, then hand the job to whoever does it and calls
 * job_done once, on any thread, then return bif_wait(...). run is not used. */
void job_expect(struct process *p, struct job *job);
void job_done(struct job *job);
/* The job was not handed over after all: frees it. */
void job_drop(struct process *p);

#endif
