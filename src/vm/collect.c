/* SPDX-License-Identifier: Apache-2.0 */
/*
 * collect.c - collecting the heap of a process: its roots, its limit
 */
#include "vm/engine.h"

#include "base/clock.h"
#include "base/metric.h"
#include "vm/hooks.h"
#include "vm/literals.h"
#include "vm/mailbox_priv.h"
#include "vm/pdict.h"
#include "vm/process_priv.h"
#include "vm/sched_priv.h"
#include "vm/survey_priv.h"

#define SPANS_MAX 12

static unsigned roots(struct process *p, unsigned live, struct gc_span *out)
{
    unsigned n = 0;

    if (live > 0)
        out[n++] = (struct gc_span){ p->sched->x, live };
    out[n++] = (struct gc_span){ &p->exc.class, sizeof p->exc / sizeof(term) };
    out[n++] = (struct gc_span){ &p->group_leader, 1 };
    out[n++] = (struct gc_span){ &p->trap_fun, 1 };
    out[n++] = (struct gc_span){ &p->exit_reason, 1 };
    out[n++] = (struct gc_span){ &p->parent, 1 };
    if (p->dict != NULL)
        out[n++] = (struct gc_span){ p->dict->kv, 2 * (size_t)p->dict->cap };
    if (p->ext != NULL)
        out[n++] = (struct gc_span){ &p->ext->reply, 2 };
    return n + mailbox_spans(p, out + n);
}

/* The heap is above its limit. True: p may go on all the same. */
static bool over_limit(struct process *p)
{
    if (p->ext->max_heap_log && vm_heap_limit_hook != NULL)
        vm_heap_limit_hook(p, p->ext->max_heap_words);
    /* The words stay as they are: the process ends before it allocates again. */
    if (!p->ext->max_heap_kill)
        return true;
    process_set_exit(p, ATOM_killed);
    return false;
}

bool process_refers(struct process *p, unsigned live, const struct literal_ranges *rs)
{
    struct gc_span spans[SPANS_MAX];
    unsigned n = roots(p, live, spans);

    return heap_refers(&p->heap, spans, n, rs);
}

void process_purge(struct process *p, size_t need, unsigned live, const struct literal_range *r)
{
    struct gc_span spans[SPANS_MAX];
    struct gc_request req = {
        .spans = spans, .need_words = need, .flags = GC_PURGE_LITERALS,
        .purge_lo = r->lo, .purge_hi = r->hi,
    };

    req.nspans = roots(p, live, spans);
    gc_collect(&p->heap, &req);
    survey_note_heap(p);
}

bool process_collect(struct process *p, size_t need, unsigned live, unsigned flags)
{
    struct gc_span spans[SPANS_MAX];
    struct gc_request req = {
        .spans = spans, .need_words = need, .flags = flags,
        .max_words = p->ext != NULL ? p->ext->max_heap_words : 0,
    };
    int64_t start, took;

    if (p->ext != NULL && p->ext->collect_full) {
        p->ext->collect_full = false;
        req.flags |= GC_FULL;
    }
    req.nspans = roots(p, live, spans);
    start = clock_monotonic_ns();
    gc_collect(&p->heap, &req);
    if (UNLIKELY(p->ext != NULL && p->ext->owes_literals)) {
        p->ext->owes_literals = false;
        literals_let_go(p, need, live);
        literals_answered();
    }
    survey_note_heap(p);
    took = clock_monotonic_ns() - start;
    metric_time(req.ret_full ? M_gc_pause_full : M_gc_pause_young, took);
    if (p->sched != NULL)
        charge(p, (int64_t)(req.ret_copied_words / 16));
    if (sched_self != NULL) {
        counter_add(&sched_self->priv->collections[req.ret_full], 1);
        counter_add(&sched_self->priv->reclaimed_words[req.ret_full], req.ret_reclaimed_words);
        counter_add(&sched_self->priv->gc_ns, (uint64_t)took);
    }
    return !req.ret_over || over_limit(p);
}
