/* SPDX-License-Identifier: Apache-2.0 */
/*
 * look.c - the commands that only look: status, ps, top, inspect, tree, names, modules, memory
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
#include "ctl/node_api.h"
#include "ctl/sup.h"
#include "ctl/view.h"
#include "ctl/why.h"
#include "heap/parse.h"
#include "table/persist.h"
#include "term/atom.h"
#include "term/print.h"
#include "vm/code.h"
#include "vm/registry.h"
#include "vm/sched.h"
#include "vm/survey.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

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

/* --- status ------------------------------------------------------------------------- */

static const struct column status_columns[] = {
    { "node", COL_TEXT, false }, { "version", COL_TEXT, false }, { "uptime", COL_NS, false },
    { "role", COL_TEXT, false }, { "user", COL_TEXT, false },
    { "schedulers", COL_COUNT_, false }, { "busy", COL_COUNT_, false },
    { "processes", COL_COUNT_, false }, { "processes_max", COL_COUNT_, false },
    { "run_queue", COL_COUNT_, false }, { "memory", COL_BYTES, false },
    { "slabs", COL_BYTES, false },
    { "atoms", COL_COUNT_, false }, { "atoms_max", COL_COUNT_, false },
    { "modules", COL_COUNT_, false }, { "deployment", COL_TEXT, false },
    { "socket", COL_TEXT, false }, { "pid", COL_COUNT_, false }, { "warnings", COL_TEXT, false },
};

static void count_module(void *arg, const struct module_view *v)
{
    size_t *n = arg;

    n[0]++;
    n[1] += v->has_old;
}

/* Percent of the schedulers' time since the last look in which this program used a CPU. */
static unsigned busy_percent(void)
{
    static int64_t last_ns, last_cpu;       /* [worker] status is answered there */
    struct timespec ts;
    int64_t now = clock_monotonic_ns(), cpu, busy;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    cpu = (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
    if (last_ns == 0)
        last_ns = node_api.start_ns;
    busy = (cpu - last_cpu) * 100 / ((now - last_ns) * (int64_t)sched_count() + 1);
    last_ns = now;
    last_cpu = cpu;
    return busy > 100 ? 100 : (unsigned)busy;
}

static void warn_process(struct buf *out, const struct process_view *v, int64_t limit)
{
    char n[UNIT_TEXT_MAX];
    struct buf pid = { 0 };
    const char *who;

    if (v->messages <= (uint64_t)limit)
        return;
    view_pid(&pid, v->pid);
    who = is_atom(v->name) ? atom_text(v->name, NULL) : buf_cstr(&pid);
    buf_printf(out, "! mailbox   %s %s has %s messages → rnodectl inspect '%s'\n", who,
               is_atom(v->name) ? buf_cstr(&pid) : "", count_text(v->messages, n), who);
    buf_fini(&pid);
}

/* About the three longest mailboxes, if they are too long. */
static void warn_mailboxes(struct buf *out, int64_t limit)
{
    struct survey_totals totals;
    struct view_list l;

    survey_totals((uint64_t)limit, &totals);
    if (totals.over == 0)
        return;
    view_processes(PICK_ALL, ORDER_MSGQ, 3, 0, &l);
    for (size_t i = 0; i < l.n; i++)
        warn_process(out, &l.at[i], limit);
    view_list_fini(&l);
}

void ctl_status(struct request *rq)
{
    struct sched_totals totals;
    struct buf deployment = { 0 }, warnings = { 0 };
    size_t modules[2] = { 0 };

    sched_totals(&totals);
    warn_mailboxes(&warnings, rq->limits.mailbox_warn);
    inspect_modules(count_module, modules);
    deploy_describe_live(&deployment);
    if (modules[1] > 0 && deploy_live_age_ms() > rq->limits.purge_wait_ms)
        buf_printf(&warnings, "! code      modules with old code: %zu → rnodectl purge\n",
                   modules[1]);
    reply_head(rq, "rnode.status/1", COLS(status_columns), true);
    reply_row(rq, (struct cell[]){
        CELL_TEXT(node_api.name), CELL_TEXT(node_api.version),
        CELL_NUMBER(clock_monotonic_ns() - node_api.start_ns), CELL_TEXT(role_name(rq->role)),
        CELL_TEXT(rq->user), CELL_NUMBER(sched_count()), CELL_NUMBER(busy_percent()),
        CELL_NUMBER(inspect_processes_alive()), CELL_NUMBER(inspect_processes_max()),
        CELL_NUMBER(totals.run_queue), CELL_NUMBER(mem_resident_bytes()),
        CELL_NUMBER(slab_bytes_in_use()),
        CELL_NUMBER(atom_count()), CELL_NUMBER(atom_max()), CELL_NUMBER(modules[0]),
        CELL_TEXT(buf_cstr(&deployment)), CELL_TEXT(node_api.socket), CELL_NUMBER(getpid()),
        CELL_TEXT(buf_cstr(&warnings)),
    }, ARRAY_LEN(status_columns));
    reply_done(rq, 0, 0, "%s", "");
    buf_fini(&deployment);
    buf_fini(&warnings);
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

void ctl_ps(struct request *rq)
{
    enum view_order order = ORDER_REDS;
    enum view_pick pick = request_flag(rq, "old-code") ? PICK_OLD_CODE
                          : request_flag(rq, "stuck") ? PICK_STUCK : PICK_ALL;
    struct view_list l;

    if (!sort_order(rq, &order))
        return;
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

/* --- inspect ------------------------------------------------------------------------ */

#define INSPECT_TEXT_MAX 4000

static term info_items(struct heap *bag, const char *const *names, size_t n)
{
    term list = TERM_NIL;

    while (n > 0)
        list = heap_cons(bag, atom_from_cstr(names[--n]), list);
    return list;
}

/* One row: why it waits, unless that is NULL; then each item with its value as Erlang writes it. */
static void reply_info(struct request *rq, const char *why, term info)
{
    struct column *cols;
    struct cell *cells;
    struct buf *texts;
    size_t n = 0, max = (size_t)list_length(info) + 1;

    cols = MEM_NEW_ARRAY(struct column, max);
    cells = MEM_NEW_ARRAY(struct cell, max);
    texts = MEM_NEW_ARRAY(struct buf, max);
    if (why != NULL) {
        cols[n].name = "why";
        cells[n++] = CELL_TEXT(why);
    }
    for (term l = info; is_cons(l); l = cdr(l)) {
        if (!is_tuple_n(car(l), 2) || !is_atom(tuple_elem(car(l), 0)))
            continue;
        request_print(rq, &texts[n], tuple_elem(car(l), 1), INSPECT_TEXT_MAX);
        cols[n].kind = COL_TERM;
        cols[n].name = atom_text(tuple_elem(car(l), 0), NULL);
        cells[n] = CELL_TEXT(buf_cstr(&texts[n]));
        n++;
    }
    reply_head(rq, "rnode.inspect/1", cols, n, true);
    reply_row(rq, cells, n);
    for (size_t i = 0; i < n; i++)
        buf_fini(&texts[i]);
    mem_free(texts);
    mem_free(cells);
    mem_free(cols);
}

/* [{messages, List}] with the first n messages only. */
static term cut_messages(struct heap *bag, term info, int64_t n)
{
    term kept = TERM_NIL, list = is_cons(info) ? tuple_elem(car(info), 1) : TERM_NIL;

    for (; is_cons(list) && n > 0; list = cdr(list), n--)
        kept = heap_cons(bag, car(list), kept);
    kept = heap_tuple2(bag, ATOM_messages, list_turned(kept));
    return heap_cons(bag, kept, TERM_NIL);
}

static void inspect_process(struct request *rq, term pid)
{
    static const char *const items[] = {
        "registered_name", "status", "current_function", "initial_call", "message_queue_len",
        "links", "monitors", "monitored_by", "trap_exit", "priority", "group_leader",
        "total_heap_size", "heap_size", "stack_size", "reductions", "garbage_collection",
        "current_stacktrace",
    };
    static const char *const message_item[] = { "messages" };
    const char *messages = request_option(rq, "messages");
    int64_t n = 0;
    struct buf why = { 0 };
    struct heap bag;
    term info;

    if (messages != NULL && (!count_parse(messages, &n) || n == 0)) {
        reply_error(rq, EXIT_USAGE, "RN0101", "--messages 20", NULL, "`%s` is no number of messages",
                    messages);
        return;
    }
    heap_bag_init(&bag);
    if (messages != NULL)
        info = inspect_process_info(pid, info_items(&bag, message_item, 1), &bag);
    else
        info = inspect_process_info(pid, info_items(&bag, items, ARRAY_LEN(items)), &bag);
    why_waits(&why, pid);
    if (info == TERM_NONE || !is_list(info)) {
        reply_error(rq, EXIT_NO, "RN0302", NULL, NULL, "%s is gone", request_arg(rq, 0));
    } else {
        if (messages != NULL)
            info = cut_messages(&bag, info, n);
        reply_info(rq, messages != NULL ? NULL : buf_cstr(&why), info);
        reply_done(rq, 0, 0, "%s", "");
    }
    buf_fini(&why);
    heap_fini(&bag);
}

static void add_export(void *arg, const struct export_view *v)
{
    struct buf *out = arg;

    if (out->len > 0)
        buf_u8(out, ' ');
    atom_print(out, v->function);
    buf_printf(out, "/%u", v->arity);
}

struct module_search { term name; struct module_view found; bool is_found; };

static void search_module(void *arg, const struct module_view *v)
{
    struct module_search *s = arg;

    if (v->name == s->name) {
        s->found = *v;
        s->is_found = true;
    }
}

static void hex(struct buf *out, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf_printf(out, "%02x", p[i]);
}

static void inspect_module(struct request *rq, term name)
{
    static const struct column cols[] = {
        { "module", COL_TEXT, false }, { "code", COL_BYTES, false },
        { "literals", COL_BYTES, false }, { "functions", COL_COUNT_, false },
        { "md5", COL_TEXT, false }, { "old_code", COL_FLAG, false },
        { "exports", COL_TEXT, false },
    };
    struct module_search s = { .name = name };
    struct buf exports = { 0 }, md5 = { 0 };

    inspect_modules(search_module, &s);
    inspect_exports(name, add_export, &exports);
    hex(&md5, s.found.md5, 16);
    reply_head(rq, "rnode.module/1", COLS(cols), true);
    reply_row(rq, (struct cell[]){
        CELL_TEXT(atom_text(name, NULL)), CELL_NUMBER(s.found.code_bytes),
        CELL_NUMBER(s.found.literal_bytes), CELL_NUMBER(s.found.functions),
        CELL_TEXT(buf_cstr(&md5)), CELL_NUMBER(s.found.has_old), CELL_TEXT(buf_cstr(&exports)),
    }, ARRAY_LEN(cols));
    reply_done(rq, 0, 0, "%s", "");
    buf_fini(&exports);
    buf_fini(&md5);
}

void ctl_inspect(struct request *rq)
{
    const char *what = request_arg(rq, 0);
    term pid = view_find(what), name;

    if (pid != TERM_NONE) {
        if (request_flag(rq, "messages") && rq->role < ROLE_OPERATE)
            reply_error(rq, EXIT_PERMISSION, "RN0707", NULL, NULL,
                        "contents of messages need the role operate");
        else
            inspect_process(rq, pid);
        return;
    }
    name = atom_existing_utf8(what, strlen(what));
    if (name != TERM_NONE && code_is_loaded(name))
        inspect_module(rq, name);
    else
        reply_error(rq, EXIT_NO, "RN0302", "rnodectl ps; rnodectl names; rnodectl modules", NULL,
                    "`%s` is neither a process, a registered name nor a module", what);
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

/* --- names, modules, tables, memory ------------------------------------------------- */

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

static const char *table_type_name(enum table_type type)
{
    static const char *const names[] = { "set", "ordered_set", "bag", "duplicate_bag" };

    return names[type];
}

static void reply_table(struct request *rq, struct table *t, term id)
{
    static const char *const protections[] = { "private", "protected", "public" };
    struct buf name = { 0 }, owner = { 0 };
    int64_t reads, writes;

    term_print(&name, id, 0, 200);
    table_rates(t, &reads, &writes);
    if (is_local_pid(atomic_load(&t->owner)))
        view_pid(&owner, atomic_load(&t->owner));
    reply_row(rq, (struct cell[]){
        CELL_TEXT(buf_cstr(&name)), CELL_TEXT(table_type_name(t->type)), CELL_NUMBER(table_size(t)),
        CELL_NUMBER(table_memory_words(t) * (int64_t)sizeof(term)),
        CELL_TEXT(t->persist == NULL ? "ram" : table_is_loading(t) ? "loading" : "disk"),
        CELL_TEXT(protections[atomic_load(&t->protection)]),
        CELL_TEXT(owner.len == 0 ? "-" : buf_cstr(&owner)), CELL_NUMBER(reads), CELL_NUMBER(writes),
    }, 9);
    buf_fini(&name);
    buf_fini(&owner);
}

struct table_entry { term id; int64_t words; };

static int by_table_size(const void *a, const void *b)
{
    int64_t x = ((const struct table_entry *)a)->words, y = ((const struct table_entry *)b)->words;

    return x < y ? 1 : x > y ? -1 : 0;
}

/* A term that a user has typed; TERM_NONE: the error has been replied. */
static term read_term(struct request *rq, struct heap *bag, const char *text)
{
    char why[200] = "";
    size_t used = 0, len = strlen(text);
    term t = parse_term(bag, text, len, &used, why, sizeof why);

    if (t == TERM_NONE || strspn(text + used, " .\n") != len - used) {
        reply_error(rq, EXIT_USAGE, "RN0101", "an Erlang term, quoted for the shell", NULL,
                    "`%s` is no term: %s", text, t == TERM_NONE ? why : "something follows it");
        return TERM_NONE;
    }
    return t;
}

static void reply_rows(struct request *rq, struct table *t, const struct match_spec *ms,
                       struct heap *bag)
{
    static const struct column cols[] = { { "row", COL_TERM, false } };
    size_t limit = row_limit(rq), shown = 0;
    struct match_run run;
    struct select s;
    int rc;

    match_run_init(&run, ms, bag, TERM_NIL);
    select_init(&s, &run, SELECT_VALUES);
    s.limit = limit;
    rc = table_select(t, &s);
    reply_head(rq, "rnode.rows/1", COLS(cols), false);
    for (term l = list_turned(s.list); is_cons(l) && (limit == 0 || shown < limit); l = cdr(l)) {
        struct buf text = { 0 };

        request_print(rq, &text, car(l), INSPECT_TEXT_MAX);
        reply_row(rq, (struct cell[]){ CELL_TEXT(buf_cstr(&text)) }, 1);
        buf_fini(&text);
        shown++;
    }
    match_run_fini(&run);
    if (rc < 0 || (s.done && shown == s.count))
        reply_done(rq, 0, 0, "%s", table_is_loading(t) ? "the table is still being loaded" : "");
    else
        reply_done(rq, 0, 0, "the first %zu of %lld rows · all: -l 0", shown,
                   (long long)table_size(t));
}

/* The rows of one table, in the order of a select. */
static void ctl_table_rows(struct request *rq)
{
    const char *name = request_arg(rq, 0), *match = request_option(rq, "match");
    struct match_spec *ms = NULL;
    struct table *t;
    struct heap bag;
    term id, pattern = ATOM_underscore;

    if (rq->role < ROLE_OPERATE) {
        reply_error(rq, EXIT_PERMISSION, "RN0707", NULL, NULL,
                    "contents of tables need the role operate");
        return;
    }
    heap_bag_init(&bag);
    id = atom_existing_utf8(name, strlen(name));
    if (id == TERM_NONE)
        id = read_term(rq, &bag, name);
    if (id != TERM_NONE && match != NULL)
        pattern = read_term(rq, &bag, match);
    epoch_enter();
    t = id == TERM_NONE ? NULL : is_atom(id) ? table_by_name(id) : table_by_id(id);
    if (id == TERM_NONE || pattern == TERM_NONE) {
        /* replied */
    } else if (t == NULL) {
        reply_error(rq, EXIT_NO, "RN0302", "rnodectl tables", NULL, "there is no table `%s`", name);
    } else if ((ms = match_compile_pattern(pattern, ATOM_dollar_underscore)) == NULL) {
        reply_error(rq, EXIT_USAGE, "RN0101", "--match \"{key,'_',5}\"", NULL, "`%s` is no pattern",
                    match);
    } else {
        reply_rows(rq, t, ms, &bag);
    }
    epoch_leave();
    match_free(ms);
    heap_fini(&bag);
}

void ctl_tables(struct request *rq)
{
    static const struct column cols[] = {
        { "name", COL_TEXT, false }, { "type", COL_TEXT, false }, { "rows", COL_COUNT_, false },
        { "size", COL_BYTES, false }, { "kept", COL_TEXT, false }, { "access", COL_TEXT, false },
        { "owner", COL_TEXT, false }, { "reads", COL_RATE, false }, { "writes", COL_RATE, false },
    };
    size_t n = 0, shown = 0;
    struct table_entry *at;
    struct heap bag;
    term all;

    if (rq->msg->n_args > 0) {
        ctl_table_rows(rq);
        return;
    }
    heap_bag_init(&bag);
    epoch_enter();      /* tables that are deleted meanwhile stay readable until the end */
    all = table_all(&bag);
    at = MEM_NEW_ARRAY(struct table_entry, (size_t)list_length(all) + 1);
    for (; is_cons(all); all = cdr(all)) {
        struct table *t = is_atom(car(all)) ? table_by_name(car(all)) : table_by_id(car(all));

        if (t != NULL)
            at[n++] = (struct table_entry){ car(all), table_memory_words(t) };
    }
    qsort(at, n, sizeof at[0], by_table_size);
    reply_head(rq, "rnode.tables/1", COLS(cols), false);
    for (size_t i = 0; i < n && (row_limit(rq) == 0 || shown < row_limit(rq)); i++) {
        struct table *t = is_atom(at[i].id) ? table_by_name(at[i].id) : table_by_id(at[i].id);

        if (t == NULL)
            continue;
        reply_table(rq, t, at[i].id);
        shown++;
    }
    epoch_leave();
    done_with_count(rq, shown, n, "tables");
    mem_free(at);
    heap_fini(&bag);
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
    struct module_list l = { 0 };
    size_t shown = 0, matching = 0;

    inspect_modules(add_module, &l);
    qsort(l.at, l.n, sizeof l.at[0], by_name);
    reply_head(rq, "rnode.modules/1", COLS(cols), false);
    for (size_t i = 0; i < l.n; i++) {
        const char *name = atom_text(l.at[i].name, NULL);
        struct buf md5 = { 0 }, dep = { 0 };

        if (rq->msg->n_args > 0 && strcmp(name, request_arg(rq, 0)) != 0)
            continue;
        matching++;
        if (row_limit(rq) != 0 && shown >= row_limit(rq))
            continue;
        shown++;
        hex(&md5, l.at[i].md5, 16);
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
    if (rq->msg->n_args > 0 && matching == 0)
        reply_error(rq, EXIT_NO, "RN0204", NULL, NULL, "`%s` is not loaded", request_arg(rq, 0));
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
