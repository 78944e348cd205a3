/* SPDX-License-Identifier: Apache-2.0 */
/*
 * survey.c - summaries of groups of processes, read again where something has happened
 *
 *   SV1  A group that is COLD has not changed since its summary was made.
 *   SV2  Marks are of slots: before[w & 1] is what the process there had spent when window w began,
 *        for the window in which it ran last and the one before that.
 */
#include "vm/survey.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/epoch.h"
#include "vm/sched.h"
#include "vm/survey_priv.h"

#include <pthread.h>

#define BLOCK_BITS 12               /* slots of the table whose summaries and marks lie together */
#define BLOCK_SLOTS (1u << BLOCK_BITS)
#define BLOCK_GROUPS (BLOCK_SLOTS / PROCESS_GROUP)
#define BLOCKS (1u << (PID_SLOT_BITS - BLOCK_BITS))

_Atomic uint8_t survey_heat[1u << (PID_SLOT_BITS - PROCESS_GROUP_BITS)];
_Atomic uint32_t survey_now;

/* What is known of one group: sums and largest. [lk survey_lock] */
struct group {
    uint64_t heap_words, reductions_max;
    uint64_t messages;
    uint32_t processes, messages_max, heap_words_max, born_cs;
    int64_t  moved_ns;              /* when it was last found to have changed */
};

struct summaries { struct group at[BLOCK_GROUPS]; };

struct mark {
    _Atomic uint64_t before[2];     /* [own] of who runs in that slot writes, [any] reads */
    _Atomic uint32_t window;        /* the same */
};

struct marks { struct mark at[BLOCK_SLOTS]; };

static pthread_mutex_t survey_lock = PTHREAD_MUTEX_INITIALIZER;
static struct summaries *summaries[BLOCKS];     /* [lk survey_lock] */
static struct marks *_Atomic marks[BLOCKS];     /* [any] set once each */
static struct survey_totals totals;             /* [lk survey_lock] sums of the summaries */
static int64_t began_ns[2];                     /* [lk survey_lock] of the newest windows */

/* --- windows ------------------------------------------------------------------------------------ */

void survey_open_slow(struct process *p)
{
    uint32_t now = atomic_load_explicit(&survey_now, memory_order_relaxed), slot = pid_slot(p->pid);
    /* acquire: pairs with the release in marks_make */
    struct marks *block = atomic_load_explicit(&marks[slot >> BLOCK_BITS], memory_order_acquire);
    uint64_t spent = atomic_load_explicit(&p->reductions, memory_order_relaxed);
    struct mark *m;

    p->survey_window = (uint8_t)now;
    if (block == NULL)
        return;
    m = &block->at[slot & (BLOCK_SLOTS - 1)];
    /* SV2: it did not run in the window before, or is new in this slot. */
    if (spent == 0 || atomic_load_explicit(&m->window, memory_order_relaxed) != now - 1)
        atomic_store_explicit(&m->before[(now - 1) & 1], spent, memory_order_relaxed);
    atomic_store_explicit(&m->before[now & 1], spent, memory_order_relaxed);
    /* release: pairs with the acquire in work_of */
    atomic_store_explicit(&m->window, now, memory_order_release);
}

static void marks_make(void)
{
    struct process *some[PROCESS_GROUP];

    epoch_enter();
    for (uint32_t b = 0; process_table_group(b * BLOCK_GROUPS, some) >= 0; b++) {
        if (atomic_load_explicit(&marks[b], memory_order_relaxed) == NULL)
            atomic_store_explicit(&marks[b], MEM_NEW(struct marks), memory_order_release);
    }
    epoch_leave();
}

uint32_t survey_window(void)
{
    int64_t now = clock_monotonic_ns();
    uint32_t w;

    pthread_mutex_lock(&survey_lock);
    w = atomic_load_explicit(&survey_now, memory_order_relaxed);
    if (w == 0 || now - began_ns[w & 1] >= SURVEY_WINDOW_NS) {
        marks_make();
        began_ns[++w & 1] = now;
        atomic_store_explicit(&survey_now, w, memory_order_relaxed);
    }
    pthread_mutex_unlock(&survey_lock);
    return w;
}

/* What p has spent since window w began, the newest or the one before. */
static uint64_t work_of(const struct process *p, uint32_t w, uint64_t spent)
{
    uint32_t slot = pid_slot(p->pid);
    struct marks *block = atomic_load_explicit(&marks[slot >> BLOCK_BITS], memory_order_acquire);
    const struct mark *m = block != NULL ? &block->at[slot & (BLOCK_SLOTS - 1)] : NULL;
    uint64_t before;

    if (m == NULL || (int32_t)(atomic_load_explicit(&m->window, memory_order_acquire) - w) < 0)
        return 0;
    before = atomic_load_explicit(&m->before[w & 1], memory_order_relaxed);
    return spent > before ? spent - before : 0;
}

/* --- summaries ---------------------------------------------------------------------------------- */

static struct group *group_at(uint32_t group)
{
    struct summaries **block = &summaries[group / BLOCK_GROUPS];

    if (*block == NULL)
        *block = MEM_NEW(struct summaries);
    return &(*block)->at[group % BLOCK_GROUPS];
}

/* Who reads many processes would wait for each: ask for all of them first. */
static void fetch_figures(struct process *const *some, int n)
{
    for (int i = 0; i < n; i++) {
        __builtin_prefetch(&some[i]->heap.shown_words);
        __builtin_prefetch(&some[i]->reductions);
    }
}

static void fetch_rest(struct process *const *some, int n)
{
    for (int i = 0; i < n; i++)
        __builtin_prefetch(&some[i]->registered);
}

static void totals_count(const struct group *g, uint64_t sign)
{
    totals.processes += sign * g->processes;
    totals.messages += sign * g->messages;
    totals.heap_words += sign * g->heap_words;
}

static void summarize(struct group *g, struct process *const *some, int n)
{
    struct group now = { .processes = (uint32_t)n, .born_cs = sched_now_cs(),
                         .moved_ns = clock_monotonic_ns() };

    for (int i = 0; i < n; i++) {
        const struct process *p = some[i];
        uint64_t spent = atomic_load_explicit(&p->reductions, memory_order_relaxed);
        uint32_t messages = atomic_load_explicit(&p->shown_messages, memory_order_relaxed);
        uint32_t words = atomic_load_explicit(&p->heap.shown_words, memory_order_relaxed);

        now.heap_words += words;
        now.messages += messages;
        if (spent > now.reductions_max)
            now.reductions_max = spent;
        if (messages > now.messages_max)
            now.messages_max = messages;
        if (words > now.heap_words_max)
            now.heap_words_max = words;
        if ((int32_t)(p->born_cs - now.born_cs) < 0)
            now.born_cs = p->born_cs;
    }
    totals_count(g, UINT64_MAX);
    *g = now;
    totals_count(g, 1);
}

/* One step down for a group that is not cold. False: it is cold. */
static bool cool(uint32_t group)
{
    uint8_t was = atomic_load_explicit(&survey_heat[group], memory_order_relaxed);

    if (was == SURVEY_COLD)
        return false;
    /* A failure means that it has just become hot, and stays so. */
    (void)atomic_compare_exchange_strong_explicit(&survey_heat[group], &was, (uint8_t)(was - 1),
                                                  memory_order_acq_rel, memory_order_relaxed);
    return true;
}

/* --- visits --------------------------------------------------------------------------------------- */

/* No process of the group is above it by the measure of q. */
static int64_t ceiling(const struct survey_query *q, const struct group *g, int64_t window_at)
{
    if (g->processes == 0)
        return INT64_MIN;
    switch (q->measure) {
    case SURVEY_REDUCTIONS:
        return (int64_t)g->reductions_max;
    case SURVEY_MESSAGES:
        return g->messages_max;
    case SURVEY_HEAP:
        return g->heap_words_max;
    case SURVEY_AGE:
        return (int64_t)(uint32_t)(sched_now_cs() - g->born_cs);
    case SURVEY_WORK:
        return g->moved_ns >= window_at ? INT64_MAX : 0;
    default:
        return INT64_MAX;
    }
}

static int64_t state_value(const struct process *p)
{
    switch (atomic_load_explicit(&p->state, memory_order_relaxed)) {
    case PROC_RUNNABLE:
    case PROC_RUNNING:
        return 1;
    case PROC_EXITING:
        return 2;
    default:
        return 0;
    }
}

static int64_t value_of(const struct survey_query *q, const struct process *p)
{
    switch (q->measure) {
    case SURVEY_REDUCTIONS:
        return (int64_t)atomic_load_explicit(&p->reductions, memory_order_relaxed);
    case SURVEY_MESSAGES:
        return atomic_load_explicit(&p->shown_messages, memory_order_relaxed);
    case SURVEY_HEAP:
        return atomic_load_explicit(&p->heap.shown_words, memory_order_relaxed);
    case SURVEY_AGE:
        return (int64_t)(uint32_t)(sched_now_cs() - p->born_cs);
    case SURVEY_WORK:
        return (int64_t)work_of(p, q->window,
                                atomic_load_explicit(&p->reductions, memory_order_relaxed));
    case SURVEY_STATE:
        return state_value(p);
    case SURVEY_ALL:
        break;
    }
    return INT64_MAX;
}

static struct survey_view view_of(const struct survey_query *q, const struct process *p)
{
    term name = atomic_load_explicit(&p->registered, memory_order_relaxed);
    struct survey_view v = {
        .pid = p->pid, .name = is_atom(name) ? name : TERM_NIL,
        .age_cs = sched_now_cs() - p->born_cs,
        .state = atomic_load_explicit(&p->state, memory_order_relaxed),
        .messages = atomic_load_explicit(&p->shown_messages, memory_order_relaxed),
        .reductions = atomic_load_explicit(&p->reductions, memory_order_relaxed),
        .heap_words = atomic_load_explicit(&p->heap.shown_words, memory_order_relaxed),
    };

    if (q->window != 0)
        v.work = work_of(p, q->window, v.reductions);
    return v;
}

static void visit_group(struct survey_query *q, struct process *const *some, int n)
{
    for (int i = 0; i < n; i++) {
        /* The rest of those that are not above the floor is not even read. */
        if (value_of(q, some[i]) > q->floor) {
            struct survey_view v = view_of(q, some[i]);

            q->visit(q, &v);
        }
    }
}

/* Bring all summaries up to date and let q, unless it is NULL, visit on the way. Under the lock. */
static void look(struct survey_query *q, int64_t window_at)
{
    struct process *some[PROCESS_GROUP];

    for (uint32_t group = 0;; group++) {
        bool moved;
        struct group *g;
        int n;

        if (group % BLOCK_GROUPS == 0 && process_table_group(group, some) < 0)
            break;
        moved = cool(group);
        g = group_at(group);
        if (!moved && (q == NULL || ceiling(q, g, window_at) <= q->floor))
            continue;
        epoch_enter();
        n = process_table_group(group, some);
        if (moved)
            fetch_figures(some, n);
        else
            fetch_rest(some, n);
        if (moved)
            summarize(g, some, n);
        if (q != NULL && ceiling(q, g, window_at) > q->floor)
            visit_group(q, some, n);
        epoch_leave();
    }
}

void survey_visit(struct survey_query *q)
{
    uint32_t newest;
    int64_t at = 0;

    pthread_mutex_lock(&survey_lock);
    newest = atomic_load_explicit(&survey_now, memory_order_relaxed);
    if (q->window != 0) {
        if (newest - q->window > 1)     /* whoever asked has waited too long */
            q->window = newest - 1;
        at = began_ns[q->window & 1];
    }
    look(q, at);
    q->window_ns = clock_monotonic_ns() - at;
    pthread_mutex_unlock(&survey_lock);
}

/* --- totals ------------------------------------------------------------------------------------------ */

struct over_query { struct survey_query q; uint64_t limit, over, longest; };

static void count_over(struct survey_query *q, const struct survey_view *v)
{
    struct over_query *o = CONTAINER_OF(q, struct over_query, q);

    o->over += v->messages > o->limit;
}

/* The longest queue by the summaries. Under the lock. */
static uint64_t longest(void)
{
    uint64_t most = 0;

    for (uint32_t b = 0; b < BLOCKS && summaries[b] != NULL; b++) {
        for (uint32_t i = 0; i < BLOCK_GROUPS; i++) {
            if (summaries[b]->at[i].messages_max > most)
                most = summaries[b]->at[i].messages_max;
        }
    }
    return most;
}

void survey_totals(uint64_t messages_over, struct survey_totals *ret)
{
    struct over_query o = { .q = { .measure = SURVEY_MESSAGES, .visit = count_over,
                                   .floor = messages_over < INT64_MAX ? (int64_t)messages_over
                                                                      : INT64_MAX },
                            .limit = messages_over };

    pthread_mutex_lock(&survey_lock);
    look(&o.q, 0);
    *ret = totals;
    ret->processes -= process_port_count();
    ret->longest = longest();
    ret->over = o.over;
    pthread_mutex_unlock(&survey_lock);
}
