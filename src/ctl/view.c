/* SPDX-License-Identifier: Apache-2.0 */
/*
 * view.c - which processes, in which order
 *
 * With a limit only about twice as many views are kept as are asked for: a node may have millions
 * of processes, and the world waits while they are copied.
 */
#include "ctl/view.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/slab.h"
#include "base/units.h"
#include "heap/parse.h"
#include "term/atom.h"
#include "term/print.h"
#include "vm/registry.h"
#include "vm/sched.h"

#include <stdio.h>
#include <stdlib.h>

struct collector {
    struct view_list *list;
    enum view_pick pick;
    enum view_order order;
    size_t limit, cap;
    uint64_t stuck_over;
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

static bool collect_view(void *arg, const struct process_view *v)
{
    struct collector *c = arg;

    if (c->pick == PICK_OLD_CODE && !v->old_code)
        return true;
    if (c->pick == PICK_STUCK && v->messages <= c->stuck_over &&
        (v->messages == 0 || strcmp(v->state, "waiting") != 0))
        return true;
    c->list->matching++;
    if (c->list->n == c->cap) {
        if (c->limit != 0 && c->cap > 2 * c->limit) {
            sort_and_cut(c);
        } else {
            c->cap *= 2;
            c->list->at = mem_realloc(c->list->at, c->cap * sizeof c->list->at[0]);
        }
    }
    c->list->at[c->list->n++] = *v;
    return true;
}

void view_processes(enum view_pick pick, enum view_order order, size_t limit, uint64_t stuck_over,
                    struct view_list *ret)
{
    struct collector c = { ret, pick, order, limit, 0, stuck_over };

    c.cap = 64;
    *ret = (struct view_list){ .at = MEM_NEW_ARRAY(struct process_view, c.cap) };
    ret->alive = inspect_processes(pick == PICK_OLD_CODE, collect_view, &c);
    sort_and_cut(&c);
}

void view_list_fini(struct view_list *l)
{
    mem_free(l->at);
    *l = (struct view_list){ 0 };
}

void view_longest(size_t n, struct view_list *ret)
{
    static struct view_list last;
    static int64_t next_ns;             /* a walk before is too soon */
    int64_t start = clock_monotonic_ns();

    if (start >= next_ns) {
        view_list_fini(&last);
        view_processes(PICK_ALL, ORDER_MSGQ, n, 0, &last);
        next_ns = start + 100 * (clock_monotonic_ns() - start);
    }
    *ret = last;
    ret->at = MEM_NEW_ARRAY(struct process_view, last.n + 1);
    memcpy(ret->at, last.at, last.n * sizeof last.at[0]);
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
