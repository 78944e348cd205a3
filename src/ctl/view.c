/* SPDX-License-Identifier: Apache-2.0 */
/*
 * view.c - which processes, in which order
 *
 * A node may have millions of processes. With a limit those to be shown are found by survey.h, which
 * stops nothing, and at most twice as many are kept meanwhile; the world waits only while the details
 * of those are copied.
 */
#include "ctl/view.h"

#include "base/alloc.h"
#include "base/slab.h"
#include "base/units.h"
#include "heap/parse.h"
#include "term/atom.h"
#include "term/print.h"
#include "vm/registry.h"
#include "vm/sched.h"
#include "vm/survey.h"

#include <stdio.h>
#include <stdlib.h>

/* Rows that are copied whole while the world is stopped; beyond so many, in batches of a walk. */
#define DETAILS_MAX 8192

struct family;

struct collector {
    struct survey_query q;
    struct view_list *list;
    const struct family *family;    /* only its members; or NULL */
    enum view_pick pick;
    enum view_order order;
    size_t limit, cap;
    uint64_t stuck_over;
    bool full;                      /* the list has been cut: only what comes before its end matters */
};

bool view_order_parse(const char *text, enum view_order *ret)
{
    static const struct { const char *name; enum view_order order; } names[] = {
        { "reds", ORDER_REDS }, { "reductions", ORDER_REDS }, { "msgq", ORDER_MSGQ },
        { "messages", ORDER_MSGQ }, { "heap", ORDER_HEAP }, { "memory", ORDER_HEAP },
        { "pid", ORDER_PID }, { "name", ORDER_NAME }, { "state", ORDER_STATE },
        { "age", ORDER_AGE },
    };

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (strcasecmp(names[i].name, text) == 0) {
            *ret = names[i].order;
            return true;
        }
    }
    return false;
}

static int falling(uint64_t a, uint64_t b)
{
    return a < b ? 1 : a > b ? -1 : 0;
}

static int by_slot(const struct process_view *a, const struct process_view *b)
{
    return falling(pid_slot(b->pid), pid_slot(a->pid));
}

static const char *name_of(const struct process_view *v)
{
    return is_atom(v->name) ? atom_text(v->name, NULL) : "\x7f"; /* after all names */
}

static int cmp_views(const void *pa, const void *pb, void *arg)
{
    const struct process_view *a = pa, *b = pb;
    int c = 0;

    switch (*(enum view_order *)arg) {
    case ORDER_REDS:
        c = falling(a->reductions, b->reductions);
        break;
    case ORDER_WORK:
        c = falling(a->work, b->work);
        break;
    case ORDER_MSGQ:
        c = falling(a->messages, b->messages);
        break;
    case ORDER_HEAP:
        c = falling(a->heap_bytes, b->heap_bytes);
        break;
    case ORDER_NAME:
        c = strcmp(name_of(a), name_of(b));
        break;
    case ORDER_STATE:
        c = strcmp(a->state, b->state);
        break;
    case ORDER_AGE:
        c = falling(a->age_cs, b->age_cs);
        break;
    case ORDER_PID:
        break;
    }
    return c != 0 ? c : by_slot(a, b);
}

static void sort_and_cut(struct collector *c)
{
    qsort_r(c->list->at, c->list->n, sizeof c->list->at[0], cmp_views, &c->order);
    if (c->limit != 0 && c->list->n > c->limit)
        c->list->n = c->limit;
}

/* The measure that orders, and what is to be above it to come before v; SURVEY_ALL: there is none. */
static enum survey_measure measure_of(enum view_order order, const struct process_view *v,
                                      int64_t *ret_value)
{
    static const struct process_view nobody = { .state = "" };

    v = v != NULL ? v : &nobody;
    switch (order) {
    case ORDER_REDS:
        *ret_value = (int64_t)v->reductions;
        return SURVEY_REDUCTIONS;
    case ORDER_WORK:
        *ret_value = (int64_t)v->work;
        return SURVEY_WORK;
    case ORDER_MSGQ:
        *ret_value = (int64_t)v->messages;
        return SURVEY_MESSAGES;
    case ORDER_HEAP:
        *ret_value = (int64_t)(v->heap_bytes / sizeof(term));
        return SURVEY_HEAP;
    case ORDER_AGE:
        *ret_value = v->age_cs;
        return SURVEY_AGE;
    case ORDER_STATE:
        *ret_value = strcmp(v->state, "exiting") == 0 ? 2 : strcmp(v->state, "waiting") != 0;
        return SURVEY_STATE;
    default:
        *ret_value = -1;
        return SURVEY_ALL;
    }
}

/* The list is twice as long as asked for. */
static void cut(struct collector *c)
{
    int64_t last;

    sort_and_cut(c);
    c->full = true;
    if (c->pick != PICK_ALL)
        return;
    if (c->order == ORDER_PID || c->order == ORDER_NAME)
        c->q.floor = INT64_MAX;     /* they come in this order; names have come before */
    else if (measure_of(c->order, &c->list->at[c->limit - 1], &last) != SURVEY_ALL)
        c->q.floor = last;
}

static bool is_stuck(const struct collector *c, const struct process_view *v)
{
    return v->messages > c->stuck_over || (v->messages > 0 && strcmp(v->state, "waiting") == 0);
}

static bool collect_view(void *arg, const struct process_view *v)
{
    struct collector *c = arg;

    if ((c->pick == PICK_OLD_CODE && !v->old_code) || (c->pick == PICK_STUCK && !is_stuck(c, v)))
        return true;
    c->list->matching++;
    if (c->full && cmp_views(v, &c->list->at[c->limit - 1], &c->order) > 0)
        return true;
    if (c->list->n == c->cap) {
        c->cap *= 2;
        c->list->at = mem_realloc(c->list->at, c->cap * sizeof c->list->at[0]);
    }
    c->list->at[c->list->n++] = *v;
    if (c->limit != 0 && c->list->n >= 2 * c->limit)
        cut(c);
    return true;
}

static bool is_by_name(const struct collector *c)
{
    return c->order == ORDER_NAME && c->pick == PICK_ALL;
}

/* Those with a name are found by their names. */
static void collect_names(struct collector *c)
{
    struct heap bag;

    heap_bag_init(&bag);
    for (term l = registry_names(&bag); is_cons(l); l = cdr(l)) {
        struct process_view v = { .name = car(l), .pid = registry_whereis(car(l)), .state = "" };

        if (v.pid != TERM_NONE && is_local_pid(v.pid))
            (void)collect_view(c, &v);
    }
    heap_fini(&bag);
}

/* What survey.h knows of a process; the rest is asked for when it is known who is shown. */
static void collect_light(struct survey_query *q, const struct survey_view *v)
{
    struct process_view view = {
        .pid = v->pid, .name = v->name, .state = inspect_state_name(v->state),
        .messages = v->messages, .heap_bytes = v->heap_words * sizeof(term),
        .reductions = v->reductions, .age_cs = v->age_cs, .work = v->work,
    };

    struct collector *c = CONTAINER_OF(q, struct collector, q);

    if (!is_by_name(c) || !is_atom(v->name))
        (void)collect_view(c, &view);
}

static void collect_by_survey(struct collector *c)
{
    struct survey_totals totals;
    int64_t none;

    c->q.measure = c->pick == PICK_STUCK ? SURVEY_MESSAGES : measure_of(c->order, NULL, &none);
    c->q.floor = c->pick == PICK_STUCK ? 0 : -1;
    c->q.visit = collect_light;
    if (is_by_name(c))
        collect_names(c);
    survey_visit(&c->q);
    sort_and_cut(c);
    c->list->n = inspect_details(c->list->at, c->list->n);
    survey_totals(UINT64_MAX, &totals);
    c->list->alive = totals.processes;
    if (c->pick == PICK_ALL)
        c->list->matching = totals.processes > c->list->n ? totals.processes : c->list->n;
}

void view_processes_since(uint32_t window, enum view_pick pick, enum view_order order, size_t limit,
                          uint64_t stuck_over, struct view_list *ret)
{
    struct collector c = { .list = ret, .pick = pick, .order = order, .limit = limit, .cap = 64,
                           .stuck_over = stuck_over };

    *ret = (struct view_list){ .at = MEM_NEW_ARRAY(struct process_view, c.cap) };
    c.q.window = window;
    if (pick == PICK_OLD_CODE && !inspect_has_old_code())
        ret->alive = inspect_processes_alive();
    else if (pick == PICK_OLD_CODE || (window == 0 && (limit == 0 || limit > DETAILS_MAX)))
        ret->alive = inspect_processes(pick == PICK_OLD_CODE, collect_view, &c);
    else
        collect_by_survey(&c);
    sort_and_cut(&c);
    ret->window_ns = c.q.window_ns;
}

void view_processes(enum view_pick pick, enum view_order order, size_t limit, uint64_t stuck_over,
                    struct view_list *ret)
{
    view_processes_since(0, pick, order, limit, stuck_over, ret);
}

/* --- who started whom ----------------------------------------------------------------------------- */

struct member { term pid, parent; bool known, below; };
struct family { struct member *at; size_t n, cap; };

static bool add_member(void *arg, const struct process_view *v)
{
    struct family *f = arg;

    if (f->n == f->cap) {
        f->cap = f->cap == 0 ? 256 : f->cap * 2;
        f->at = mem_realloc(f->at, f->cap * sizeof f->at[0]);
    }
    f->at[f->n++] = (struct member){ .pid = v->pid, .parent = v->parent };
    return true;
}

static int by_pid(const void *a, const void *b)
{
    term x = ((const struct member *)a)->pid, y = ((const struct member *)b)->pid;

    return x < y ? -1 : x > y;
}

static struct member *member_find(const struct family *f, term pid)
{
    struct member key = { .pid = pid };

    return f->n > 0 ? bsearch(&key, f->at, f->n, sizeof key, by_pid) : NULL;
}

/* Go up until an answer is known, then down again to write it at each step. */
static void settle(const struct family *f, struct member *m, term root)
{
    struct member *top = m;
    bool below;

    for (size_t steps = 0; top != NULL && !top->known && top->pid != root && steps < f->n; steps++)
        top = member_find(f, top->parent);
    below = top != NULL && (top->pid == root || (top->known && top->below));
    for (; m != NULL && !m->known; m = m->pid != root ? member_find(f, m->parent) : NULL) {
        m->known = true;
        m->below = below;
    }
}

static bool collect_below(void *arg, const struct process_view *v)
{
    struct collector *c = arg;
    const struct member *m = member_find(c->family, v->pid);

    return m == NULL || !m->below || collect_view(c, v);
}

void view_below(term root, enum view_pick pick, enum view_order order, size_t limit,
                uint64_t stuck_over, struct view_list *ret)
{
    struct family f = { 0 };
    struct collector c = { .list = ret, .pick = pick, .order = order, .limit = limit, .cap = 64,
                           .stuck_over = stuck_over, .family = &f };

    *ret = (struct view_list){ .at = MEM_NEW_ARRAY(struct process_view, c.cap) };
    inspect_processes(false, add_member, &f);
    if (f.n > 0)
        qsort(f.at, f.n, sizeof f.at[0], by_pid);
    for (size_t i = 0; i < f.n; i++)
        settle(&f, &f.at[i], root);
    ret->alive = inspect_processes(pick == PICK_OLD_CODE, collect_below, &c);
    sort_and_cut(&c);
    mem_free(f.at);
}

void view_list_fini(struct view_list *l)
{
    mem_free(l->at);
    *l = (struct view_list){ 0 };
}

/* --- text --------------------------------------------------------------------------- */

void view_mfa(struct buf *out, const term mfa[3])
{
    if (!is_atom(mfa[0]) || !is_atom(mfa[1])) {
        buf_u8(out, '-');
        return;
    }
    atom_print(out, mfa[0]);
    buf_u8(out, ':');
    atom_print(out, mfa[1]);
    if (is_small(mfa[2]))
        buf_printf(out, "/%lld", (long long)small_val(mfa[2]));
}

void view_pid(struct buf *out, term pid)
{
    term_print(out, pid, 0, 64);
}

term view_find(const char *text)
{
    char *bracketed = text[0] == '<' ? mem_strdup(text) : mem_printf("<%s>", text), err[80];
    struct heap bag;
    size_t used;
    term t, name;

    heap_bag_init(&bag);
    t = parse_term(&bag, bracketed, strlen(bracketed), &used, err, sizeof err);
    mem_free(bracketed);
    heap_fini(&bag);
    if (t != TERM_NONE && is_local_pid(t))
        return inspect_is_alive(t) ? t : TERM_NONE;
    name = atom_existing_utf8(text, strlen(text));
    if (name == TERM_NONE)
        return TERM_NONE;
    t = registry_whereis(name);
    return t != TERM_NONE && is_local_pid(t) ? t : TERM_NONE;
}

void view_report(struct buf *out)
{
    char a[UNIT_TEXT_MAX], b[UNIT_TEXT_MAX];
    struct sched_totals totals;
    struct view_list l;

    sched_totals(&totals);
    view_processes(PICK_ALL, ORDER_REDS, 10, 0, &l);
    buf_printf(out, "%s processes, %s in use, run queue %llu, atoms %u of %u, busiest:",
               count_text(l.alive, a), size_text(slab_bytes_in_use(), b),
               (unsigned long long)totals.run_queue, atom_count(), atom_max());
    for (size_t i = 0; i < l.n; i++) {
        const struct process_view *v = &l.at[i];

        buf_str(out, "\n    ");
        view_pid(out, v->pid);
        if (is_atom(v->name))
            buf_printf(out, " %s", atom_text(v->name, NULL));
        buf_printf(out, " %s, %s messages, heap %s, ", v->state, count_text(v->messages, a),
                   size_text(v->heap_bytes, b));
        buf_printf(out, "%s reductions, in ", rate_text(v->reductions, a));
        view_mfa(out, v->current);
    }
    view_list_fini(&l);
}
