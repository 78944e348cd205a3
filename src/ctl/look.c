/* SPDX-License-Identifier: Apache-2.0 */
/*
 * look.c - the commands that only look: ps, top, tree, names, modules, memory
 */
#include "ctl/handlers.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/epoch.h"
#include "base/slab.h"
#include "base/units.h"
#include "bif/durable.h"
#include "ctl/deploy.h"
#include "ctl/exits.h"
#include "ctl/sup.h"
#include "ctl/view.h"
#include "table/persist.h"
#include "term/atom.h"
#include "term/print.h"
#include "vm/registry.h"
#include "vm/survey.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#define COLS(c) (c), ARRAY_LEN(c)

static size_t row_limit(const struct request *rq)
{
    return rq->msg->limit;
}

static bool sort_order(struct request *rq, enum view_order *order)
{
    const char *text = request_option(rq, "sort");

    if (text == NULL || view_order_parse(text, order))
        return true;
    reply_error(rq, EXIT_USAGE, "RN0101", "-s reds, msgq, heap, age, pid, name or state", NULL,
                "no column `%s` to sort by", text);
    return false;
}

/* --- ps and top --------------------------------------------------------------------- */

static const struct column ps_columns[] = {
    { "pid", COL_TEXT, false }, { "name", COL_TEXT, false }, { "state", COL_TEXT, false },
    { "msgq", COL_COUNT_, false }, { "heap", COL_BYTES, false }, { "reds", COL_RATE, false },
    { "red_s", COL_RATE, false }, { "current", COL_TEXT, false }, { "age", COL_NS, false },
    { "initial", COL_TEXT, true }, { "parent", COL_TEXT, true },
};

/* red_s: reductions a second. */
static void reply_process(struct request *rq, const struct process_view *v, uint64_t reds,
                          uint64_t red_s)
{
    struct buf pid = { 0 }, current = { 0 }, initial = { 0 }, parent = { 0 };

    view_pid(&pid, v->pid);
    view_mfa(&current, v->current);
    view_mfa(&initial, v->initial);
    if (is_local_pid(v->parent))
        view_pid(&parent, v->parent);
    reply_row(rq, (struct cell[]){
        CELL_TEXT(buf_cstr(&pid)), CELL_TEXT(is_atom(v->name) ? atom_text(v->name, NULL) : ""),
        CELL_TEXT(v->state), CELL_NUMBER(v->messages), CELL_NUMBER(v->heap_bytes),
        CELL_NUMBER(reds), CELL_NUMBER(red_s), CELL_TEXT(buf_cstr(&current)),
        CELL_NUMBER((int64_t)v->age_cs * 10000000), CELL_TEXT(buf_cstr(&initial)),
        CELL_TEXT(buf_cstr(&parent)),
    }, ARRAY_LEN(ps_columns));
    buf_fini(&pid);
    buf_fini(&current);
    buf_fini(&initial);
    buf_fini(&parent);
}

/* "2 of 18,204 processes · all: -l 0", or nothing when nothing was left out. */
static void done_with_count(struct request *rq, size_t shown, size_t matching, const char *what)
{
    char a[UNIT_TEXT_MAX], b[UNIT_TEXT_MAX];

    if (shown < matching)
        reply_done(rq, matching - shown, matching, "%s of %s %s · all: -l 0", count_text(shown, a),
                   count_text(matching, b), what);
    else
        reply_done(rq, 0, matching, "%s", "");
}

/* The process that stands above an application: its name is that of the application, of a process, or
 * of a module of Rata without Rata's prefix. */
static term find_app(const char *app)
{
    char *rata = mem_printf("Rata.%s", app);
    term root = view_find(app);

    if (root == TERM_NONE)
        root = view_find(rata);
    mem_free(rata);
    return root;
}

void ctl_ps(struct request *rq)
{
    const char *app = request_option(rq, "app");
    term root = app != NULL ? find_app(app) : TERM_NONE;
    enum view_order order = ORDER_REDS;
    enum view_pick pick = request_flag(rq, "old-code") ? PICK_OLD_CODE
                          : request_flag(rq, "stuck") ? PICK_STUCK : PICK_ALL;
    struct view_list l;

    if (!sort_order(rq, &order))
        return;
    if (app != NULL && root == TERM_NONE) {
        reply_error(rq, EXIT_NO, "RN0302", "--app takes a supervisor: rnodectl names", NULL,
                    "nothing runs that is called `%s`", app);
        return;
    }
    if (app != NULL)
        view_below(root, pick, order, row_limit(rq), (uint64_t)rq->limits.mailbox_warn, &l);
    else
        view_processes(pick, order, row_limit(rq), (uint64_t)rq->limits.mailbox_warn, &l);
    reply_head(rq, "rnode.ps/1", COLS(ps_columns), false);
    for (size_t i = 0; i < l.n; i++)
        reply_process(rq, &l.at[i], l.at[i].reductions,
                      l.at[i].reductions * 100 / (l.at[i].age_cs > 0 ? l.at[i].age_cs : 1));
    done_with_count(rq, l.n, l.matching, "processes");
    view_list_fini(&l);
}

static int by_pid(const void *a, const void *b)
{
    term x = ((const struct process_view *)a)->pid, y = ((const struct process_view *)b)->pid;

    return x < y ? -1 : x > y;
}

#define TOP_MS 1000

/* Reductions a second. */
static uint64_t work_rate(const struct view_list *l, const struct process_view *v)
{
    return (uint64_t)((double)v->work * 1e9 / (double)(l->window_ns > 0 ? l->window_ns : 1));
}

static void top_after_a_second(struct request *rq)
{
    uint32_t window = (uint32_t)(uintptr_t)rq->data;
    enum view_order order = ORDER_WORK;
    struct view_list l;

    if (request_option(rq, "sort") != NULL)
        (void)!view_order_parse(request_option(rq, "sort"), &order);    /* ctl_top has checked it */
    if (order == ORDER_REDS)
        order = ORDER_WORK;
    view_processes_since(window, PICK_ALL, order, row_limit(rq), 0, &l);
    reply_head(rq, "rnode.top/1", COLS(ps_columns), false);
    for (size_t i = 0; i < l.n; i++)
        reply_process(rq, &l.at[i], work_rate(&l, &l.at[i]), work_rate(&l, &l.at[i]));
    done_with_count(rq, l.n, l.matching, "processes, reds over 1 s");
    view_list_fini(&l);
}

void ctl_top(struct request *rq)
{
    enum view_order order = ORDER_REDS;

    if (!sort_order(rq, &order))
        return;
    rq->data = (void *)(uintptr_t)survey_window();
    request_later(rq, TOP_MS, top_after_a_second);
}

/* --- tree --------------------------------------------------------------------------- */

struct tree {
    struct request *rq;
    struct view_list *l;            /* sorted by pid */
    size_t *child_of;               /* index of the parent, or SIZE_MAX */
    size_t left;                    /* rows still allowed */
    size_t shown;
};

static void tree_row(struct tree *t, size_t i, const char *prefix)
{
    const struct process_view *v = &t->l->at[i];
    struct buf who = { 0 }, pid = { 0 }, initial = { 0 };

    view_pid(&pid, v->pid);
    view_mfa(&initial, v->initial);
    buf_printf(&who, "%s%s", prefix, is_atom(v->name) ? atom_text(v->name, NULL) : buf_cstr(&pid));
    reply_row(t->rq, (struct cell[]){ CELL_TEXT(buf_cstr(&who)), CELL_TEXT(buf_cstr(&pid)),
                                      CELL_TEXT(v->state), CELL_TEXT(buf_cstr(&initial)) }, 4);
    buf_fini(&who);
    buf_fini(&pid);
    buf_fini(&initial);
    t->shown++;
    t->left--;
}

static void tree_children(struct tree *t, size_t parent, const char *prefix, int depth)
{
    size_t last = SIZE_MAX;

    for (size_t i = 0; i < t->l->n; i++) {
        if (t->child_of[i] == parent)
            last = i;
    }
    for (size_t i = 0; last != SIZE_MAX && i <= last && t->left > 0; i++) {
        char *line, *deeper;

        if (t->child_of[i] != parent)
            continue;
        line = mem_printf("%s%s", prefix, i == last ? "└─ " : "├─ ");
        deeper = mem_printf("%s%s", prefix, i == last ? "   " : "│  ");
        tree_row(t, i, line);
        if (depth < 64)
            tree_children(t, i, deeper, depth + 1);
        mem_free(line);
        mem_free(deeper);
    }
}

#define TREE_MAX 5000

void ctl_tree(struct request *rq)
{
    static const struct column cols[] = {
        { "process", COL_TEXT, false }, { "pid", COL_TEXT, false }, { "state", COL_TEXT, false },
        { "started_with", COL_TEXT, false },
    };
    struct view_list l;
    term root = rq->msg->n_args > 0 ? view_find(request_arg(rq, 0)) : TERM_NONE;
    struct tree t = { .rq = rq, .l = &l, .left = row_limit(rq) != 0 ? row_limit(rq) : SIZE_MAX };

    if (rq->msg->n_args > 0 && root == TERM_NONE) {
        reply_error(rq, EXIT_NO, "RN0302", NULL, NULL, "no process `%s`", request_arg(rq, 0));
        return;
    }
    if (root != TERM_NONE && sup_module(root) != TERM_NONE) {
        sup_reply_children(rq, root);
        return;
    }
    view_processes(PICK_ALL, ORDER_PID, TREE_MAX, 0, &l);
    qsort(l.at, l.n, sizeof l.at[0], by_pid);
    t.child_of = MEM_NEW_ARRAY(size_t, l.n);
    for (size_t i = 0; i < l.n; i++) {
        struct process_view key = { .pid = l.at[i].parent };
        struct process_view *p = bsearch(&key, l.at, l.n, sizeof key, by_pid);

        t.child_of[i] = p != NULL && p != &l.at[i] ? (size_t)(p - l.at) : SIZE_MAX;
    }
    reply_head(rq, "rnode.tree/1", COLS(cols), false);
    for (size_t i = 0; i < l.n && t.left > 0; i++) {
        if (root != TERM_NONE ? l.at[i].pid != root : t.child_of[i] != SIZE_MAX)
            continue;
        tree_row(&t, i, "");
        tree_children(&t, i, "", 0);
    }
    if (root != TERM_NONE)
        reply_done(rq, 0, t.shown, "%s", "");
    else
        done_with_count(rq, t.shown, l.matching, "processes");
    mem_free(t.child_of);
    view_list_fini(&l);
}

/* --- names, modules, memory ------------------------------------------------- */

/* Names, the durable ones first, in the order in which they start again. */
struct name_rows { struct request *rq; size_t shown, total; struct heap bag; term durable; };

static void reply_name(struct name_rows *r, term name, const char *kind, term who, int64_t since)
{
    struct buf text = { 0 };

    r->total++;
    if (row_limit(r->rq) != 0 && r->shown >= row_limit(r->rq))
        return;
    r->shown++;
    if (is_local_pid(who))
        view_pid(&text, who);
    else
        term_print(&text, who, 0, 100);
    reply_row(r->rq, (struct cell[]){ CELL_TEXT(atom_text(name, NULL)),
                                      CELL_TEXT(who == TERM_NONE ? "-" : buf_cstr(&text)),
                                      CELL_TEXT(kind), CELL_NUMBER(since) }, 4);
    buf_fini(&text);
}

static void durable_name(void *arg, term name, term entry, int64_t since_ns)
{
    struct name_rows *r = arg;

    reply_name(r, name, "durable", registry_whereis(name), since_ns);
    r->durable = heap_cons(&r->bag, name, r->durable);
}

static void registered_name(void *arg, term name, term who, int64_t since_ns)
{
    struct name_rows *r = arg;
    term l = r->durable;

    while (is_cons(l) && car(l) != name)
        l = cdr(l);
    if (!is_cons(l))
        reply_name(r, name, "volatile", who, since_ns);
}

void ctl_names(struct request *rq)
{
    static const struct column cols[] = {
        { "name", COL_TEXT, false }, { "owner", COL_TEXT, false }, { "kind", COL_TEXT, false },
        { "since", COL_TIME, false },
    };
    struct name_rows r = { .rq = rq, .durable = TERM_NIL };

    heap_bag_init(&r.bag);
    reply_head(rq, "rnode.names/1", COLS(cols), false);
    durable_names(durable_name, &r);
    registry_visit(registered_name, &r);
    done_with_count(rq, r.shown, r.total, "names");
    heap_fini(&r.bag);
}

struct module_list { struct module_view *at; size_t n, cap; };

static void add_module(void *arg, const struct module_view *v)
{
    struct module_list *l = arg;

    if (l->n == l->cap) {
        l->cap = l->cap == 0 ? 64 : l->cap * 2;
        l->at = mem_realloc(l->at, l->cap * sizeof l->at[0]);
    }
    l->at[l->n++] = *v;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(atom_text(((const struct module_view *)a)->name, NULL),
                  atom_text(((const struct module_view *)b)->name, NULL));
}

void ctl_modules(struct request *rq)
{
    static const struct column cols[] = {
        { "module", COL_TEXT, false }, { "deployment", COL_TEXT, false },
        { "code", COL_BYTES, false },
        { "literals", COL_BYTES, false }, { "functions", COL_COUNT_, false },
        { "old_code", COL_FLAG, false }, { "md5", COL_TEXT, true },
    };
    const char *wanted = rq->msg->n_args > 0 ? request_arg(rq, 0) : request_option(rq, "module");
    struct module_list l = { 0 };
    size_t shown = 0, matching = 0;

    inspect_modules(add_module, &l);
    qsort(l.at, l.n, sizeof l.at[0], by_name);
    reply_head(rq, "rnode.modules/1", COLS(cols), false);
    for (size_t i = 0; i < l.n; i++) {
        const char *name = atom_text(l.at[i].name, NULL);
        struct buf md5 = { 0 }, dep = { 0 };

        if (wanted != NULL && strcmp(name, wanted) != 0)
            continue;
        matching++;
        if (row_limit(rq) != 0 && shown >= row_limit(rq))
            continue;
        shown++;
        buf_hex(&md5, l.at[i].md5, 16);
        deploy_of_module(name, &dep);
        reply_row(rq, (struct cell[]){
            CELL_TEXT(name), CELL_TEXT(buf_cstr(&dep)), CELL_NUMBER(l.at[i].code_bytes),
            CELL_NUMBER(l.at[i].literal_bytes), CELL_NUMBER(l.at[i].functions),
            CELL_NUMBER(l.at[i].has_old), CELL_TEXT(buf_cstr(&md5)),
        }, ARRAY_LEN(cols));
        buf_fini(&md5);
        buf_fini(&dep);
    }
    mem_free(l.at);
    if (wanted != NULL && matching == 0)
        reply_error(rq, EXIT_NO, "RN0204", NULL, NULL, "`%s` is not loaded", wanted);
    else
        done_with_count(rq, shown, matching, "modules");
}

static void sum_code(void *arg, const struct module_view *v)
{
    uint64_t *sum = arg;

    sum[0] += v->code_bytes;
    sum[1] += v->literal_bytes;
}

static void sum_table(void *arg, struct table *t)
{
    *(int64_t *)arg += table_memory_words(t);
}

void ctl_memory(struct request *rq)
{
    static const struct column cols[] = {
        { "resident", COL_BYTES, false }, { "vm", COL_BYTES, false }, { "heaps", COL_BYTES, false },
        { "code", COL_BYTES, false }, { "literals", COL_BYTES, false },
        { "tables", COL_BYTES, false }, { "store", COL_BYTES, false },
        { "malloc", COL_BYTES, false },
        { "processes", COL_COUNT_, false }, { "messages", COL_COUNT_, false },
        { "atoms", COL_COUNT_, false },
    };
    struct survey_totals totals;
    uint64_t code[2] = { 0 };
    struct mallinfo2 mi = mallinfo2();
    struct store_stats store = { 0 };
    int64_t tables = 0;

    survey_totals(UINT64_MAX, &totals);
    inspect_modules(sum_code, code);
    table_visit(sum_table, &tables);
    if (persist_store() != NULL)
        store_stats(persist_store(), &store);
    reply_head(rq, "rnode.memory/1", COLS(cols), true);
    reply_row(rq, (struct cell[]){
        CELL_NUMBER(mem_resident_bytes()), CELL_NUMBER(slab_bytes_in_use()),
        CELL_NUMBER(totals.heap_words * sizeof(term)), CELL_NUMBER(code[0]), CELL_NUMBER(code[1]), CELL_NUMBER(tables * (int64_t)sizeof(term)),
        CELL_NUMBER(store.used_bytes), CELL_NUMBER(mi.uordblks + mi.hblkhd),
        CELL_NUMBER(totals.processes), CELL_NUMBER(totals.messages), CELL_NUMBER(atom_count()),
    }, ARRAY_LEN(cols));
    reply_done(rq, 0, 0, "%s", "");
}
