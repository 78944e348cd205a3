/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace.c - trace points
 */
#include "vm/trace.h"

#include "base/clock.h"
#include "vm/code_priv.h"
#include "vm/engine.h"
#include "vm/ops/op.h"
#include "vm/sched.h"

/* Open addressing on the address; a removed point keeps its place with users 0, so that probing
 * goes on over it. */
#define TABLE_SIZE (2 * TRACE_POINTS_MAX)
static struct trace_point table[TABLE_SIZE];    /* [world] */
static size_t used;                             /* [world] places taken */
static size_t watched;                          /* [world] points with users */

static struct trace_point *point_at(const void *at)
{
    size_t i = (uintptr_t)at / 8 * 0x9E3779B97F4A7C15u >> 40 & (TABLE_SIZE - 1);

    while (table[i].at != NULL && table[i].at != at)
        i = (i + 1) & (TABLE_SIZE - 1);
    return &table[i];
}

/* E[0] is the address in the caller. False: no room, and p must exit. */
static bool push_frame(struct process *p, const struct trace_point *tp)
{
    struct heap *h = &p->heap;

    if (h->E[0] == trace_return_code)       /* a tail call of what is watched already */
        return true;
    if (h->E - h->H < TRACE_FRAME_WORDS + 2) {
        if (h->in_match)
            return true;
        if (!process_collect(p, TRACE_FRAME_WORDS + 2, tp->arity, 0))
            return false;
    }
    h->E -= TRACE_FRAME_WORDS;
    h->E[0] = trace_return_code;
    /* Negative, so that whoever looks for return addresses on a stack cannot take it for one. */
    h->E[1] = small_make(-clock_monotonic_ns());
    h->E[2] = tp->module;
    h->E[3] = tp->function;
    h->E[4] = small_make(tp->arity);
    return true;
}

bool trace_point_hit(struct process *p, const void *at, const term *x, int32_t *ret_handler)
{
    const struct trace_point *tp = point_at(at);

    ASSERT(tp->at == at);
    *ret_handler = tp->handler;
    if (tp->users == 0 || atomic_load_explicit(&trace_calls, memory_order_relaxed) == 0)
        return true;
    return !trace_call_hook(p, tp, x) || push_frame(p, tp);
}

void trace_returned(struct process *p, term value, const term *frame)
{
    if (atomic_load_explicit(&trace_calls, memory_order_relaxed) != 0)
        trace_return_hook(p, frame + 1, clock_monotonic_ns() + small_val(frame[0]), value);
}

static int32_t *handler_word(const void *at)
{
    return (int32_t *)(uintptr_t)at;
}

static int32_t breakpoint_handler(void)
{
    return op_labels[op_groups[OP_breakpoint].first];
}

/* World stopped. NULL: the table is full. */
static struct trace_point *point_add(const struct image *im, const struct code_function *f)
{
    const void *at = (const char *)im->code + f->entry;
    struct trace_point *tp = point_at(at);

    if (tp->at == NULL) {
        if (used == TRACE_POINTS_MAX)
            return NULL;
        used++;
        tp->at = at;
    }
    if (tp->users == 0) {
        tp->module = im->module;
        tp->function = f->name;
        tp->arity = f->arity;
        watched++;
    }
    tp->users++;
    return tp;
}

/* Is the function that tp watches still where it was? Its code may have been purged, and other code may
 * be there now. */
static bool is_there(const struct trace_point *tp)
{
    const struct code_place *place = code_place_at(tp->at);

    return place->image != NULL && place->function != NULL && place->image->module == tp->module &&
           place->function->name == tp->function && place->function->arity == tp->arity &&
           (const char *)place->image->code + place->function->entry == tp->at;
}

/* World stopped. */
static void point_arm(struct trace_point *tp)
{
    if (tp->armed++ > 0 || !is_there(tp))
        return;
    /* It may be new code where purged code was watched before. */
    if (*handler_word(tp->at) != breakpoint_handler())
        tp->handler = *handler_word(tp->at);
    *handler_word(tp->at) = breakpoint_handler();
}

/* World stopped. */
static void point_disarm(struct trace_point *tp)
{
    ASSERT(tp->armed > 0);
    /* Purged code is gone, and with it the breakpoint. */
    if (--tp->armed == 0 && code_place_at(tp->at)->image != NULL &&
        *handler_word(tp->at) == breakpoint_handler())
        *handler_word(tp->at) = tp->handler;
}

void trace_points_arm(const struct trace_point **at, size_t n, bool arm)
{
    if (n == 0)
        return;
    world_stop();
    for (size_t i = 0; i < n; i++) {
        struct trace_point *tp = point_at(at[i]->at);

        if (arm)
            point_arm(tp);
        else
            point_disarm(tp);
    }
    world_resume();
}

size_t trace_points_add(term module, term function, int arity, const struct trace_point **at,
                        size_t max)
{
    const struct image *im;
    struct module *m;
    size_t n = 0;

    world_stop();
    m = code_module(module);
    im = m != NULL ? m->current : NULL;
    for (size_t i = 0; im != NULL && i < im->n_functions && n < max; i++) {
        const struct code_function *f = &im->functions[i];
        struct trace_point *tp;

        if ((function != TERM_NONE && f->name != function) ||
            (arity >= 0 && f->arity != (uint32_t)arity))
            continue;
        tp = point_add(im, f);
        if (tp == NULL)
            break;
        at[n++] = tp;
    }
    world_resume();
    return n;
}

void trace_points_remove(const struct trace_point **at, size_t n)
{
    world_stop();
    for (size_t i = 0; i < n; i++) {
        struct trace_point *tp = point_at(at[i]->at);

        ASSERT(tp->users > tp->armed);
        if (--tp->users == 0)
            watched--;
    }
    if (watched == 0) {
        memset(table, 0, sizeof table);
        used = 0;
    }
    world_resume();
}
