/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sup.c - supervisors and their children: tree SUPERVISOR, restart CHILD
 */
#include "ctl/sup.h"

#include "base/alloc.h"
#include "base/units.h"
#include "bif/restarts.h"
#include "ctl/exits.h"
#include "ctl/handlers.h"
#include "ctl/run.h"
#include "ctl/view.h"
#include "heap/map.h"
#include "heap/parse.h"
#include "table/table.h"
#include "term/atom.h"
#include "term/print.h"
#include "vm/code.h"
#include "vm/inspect.h"

#include <time.h>

#define ANSWER_MS        5000
#define GLANCE_MS        300        /* for what is only nice to know */
#define ANSWER_BYTES_MAX (256 * 1024)
#define NESTED_MAX       10         /* children of a child that are shown below it */
#define DEPTH_MAX        8
#define REASON_MAX       60

static term atom(const char *name)
{
    return atom_from_cstr(name);
}

term sup_module(term pid)
{
    struct heap bag;
    term info, m = TERM_NONE, item;
    struct export *e;

    heap_bag_init(&bag);
    item = heap_tuple2(&bag, ATOM_dictionary, atom("$initial_call"));
    info = inspect_process_info(pid, heap_cons(&bag, item, TERM_NIL), &bag);
    if (info != TERM_NONE && is_cons(info))
        info = tuple_elem(car(info), 1);
    if (info != TERM_NONE && is_tuple_n(info, 3) && is_atom(tuple_elem(info, 0)) &&
        text_ends_with(atom_text(tuple_elem(info, 0), NULL), "upervisor"))
        m = tuple_elem(info, 0);
    heap_fini(&bag);
    e = m != TERM_NONE ? export_find(m, atom("which_children"), 1) : NULL;
    return e != NULL && export_is_defined(e) ? m : TERM_NONE;
}

/* Call module:function(args...) and read its value; what was printed is left in text. TERM_NONE: it
 * raised, is too late, or its value is not readable. */
static term ask_for(int64_t ms, struct heap *bag, term module, const char *function,
                    const term *args, size_t n, struct buf *text)
{
    char err[80];
    size_t used;

    text->len = 0;
    if (run_and_wait(module, atom(function), heap_list(bag, args, n, TERM_NIL), ms,
                     ANSWER_BYTES_MAX, text) < 0)
        return TERM_NONE;
    return parse_term(bag, buf_cstr(text), text->len, &used, err, sizeof err);
}

static term ask(struct heap *bag, term module, const char *function, const term *args, size_t n,
                struct buf *text)
{
    return ask_for(ANSWER_MS, bag, module, function, args, n, text);
}

/* --- what supervisors say --------------------------------------------------------------------- */

/* The id of the child pid; TERM_NONE: it is none, or has none. */
static term child_id(int64_t ms, struct heap *bag, term module, term supervisor, term pid,
                     struct buf *text)
{
    term l = ask_for(ms, bag, module, "which_children", &supervisor, 1, text);

    for (; l != TERM_NONE && is_cons(l); l = cdr(l)) {
        if (is_tuple_n(car(l), 4) && tuple_elem(car(l), 1) == pid &&
            tuple_elem(car(l), 0) != ATOM_undefined)
            return tuple_elem(car(l), 0);
    }
    return TERM_NONE;
}

/* permanent, transient or temporary, as the specification of the child says; TERM_NONE: unknown.
 * x: supervisor, id. */
static term restart_type(int64_t ms, struct heap *bag, term module, const term x[2],
                         struct buf *text)
{
    term spec = ask_for(ms, bag, module, "get_childspec", x, 2, text);

    return spec != TERM_NONE && is_tuple_n(spec, 2) && is_map(tuple_elem(spec, 1))
               ? map_get(tuple_elem(spec, 1), atom("restart")) : TERM_NONE;
}

static bool is_idle(term pid)
{
    struct heap bag;
    bool idle;

    heap_bag_init(&bag);
    idle = inspect_wait(pid, &bag).reason == WAITS_MESSAGE;
    heap_fini(&bag);
    return idle;
}

struct strategy { term name, restarts, seconds; };

/* Of the state of OTP's supervisor or of Rata's. False: it holds what cannot be read, such as a fun. */
static bool read_strategy(struct heap *bag, term pid, struct strategy *ret)
{
    struct buf text = { 0 };
    term args[] = { pid, small_make(GLANCE_MS) };
    term state = ask_for(2 * GLANCE_MS, bag, atom("rnode_control"), "state", args, 2, &text);

    *ret = (struct strategy){ TERM_NONE, TERM_NONE, TERM_NONE };
    if (state != TERM_NONE && is_map(state))
        *ret = (struct strategy){ map_get(state, atom("strategy")),
                                  map_get(state, atom("max_restarts")),
                                  map_get(state, atom("max_seconds")) };
    else if (state != TERM_NONE && is_tuple(state) && tuple_arity(state) >= 7)
        *ret = (struct strategy){ tuple_elem(state, 2), tuple_elem(state, 5), tuple_elem(state, 6) };
    buf_fini(&text);
    return ret->name != TERM_NONE && is_atom(ret->name) && ret->restarts != TERM_NONE &&
           is_small(ret->restarts) && ret->seconds != TERM_NONE && is_small(ret->seconds);
}

static void add_restarts(struct buf *out, uint64_t n, int64_t last_ns, const char *reason)
{
    time_t sec = (time_t)(last_ns / 1000000000);
    struct tm tm;

    localtime_r(&sec, &tm);
    buf_printf(out, "%llu restart%s, last %.*s %02d:%02d:%02d", (unsigned long long)n, plural_s(n),
               (int)utf8_start(reason, strnlen(reason, REASON_MAX)), reason, tm.tm_hour, tm.tm_min,
               tm.tm_sec);
}

/* --- tree ------------------------------------------------------------------------------------- */

static const struct column columns[] = {
    { "child", COL_TEXT, false }, { "restart", COL_TEXT, false }, { "pid", COL_TEXT, false },
    { "note", COL_TEXT, false }, { "type", COL_TEXT, true }, { "depth", COL_COUNT_, true },
    { "restarts", COL_COUNT_, true }, { "last", COL_TEXT, true }, { "reason", COL_TEXT, true },
};

struct walk {
    struct request *rq;
    struct heap bag;
    size_t left, shown, total;      /* rows */
};

/* One line of the tree. */
struct line {
    const char *prefix, *id, *pid, *type;
    term kind;                      /* permanent ..., or the strategy of the root; TERM_NONE: unknown */
    struct buf note;
    size_t depth;
    uint64_t restarts;
    int64_t last_ns;
    struct buf reason;
};

static void reply_line(struct walk *w, struct line *l)
{
    char *who = mem_printf("%s%s", l->prefix, l->id), last[32] = "";

    w->total++;
    if (l->restarts > 0) {
        time_t sec = (time_t)(l->last_ns / 1000000000);
        struct tm tm;

        gmtime_r(&sec, &tm);
        strftime(last, sizeof last, "%Y-%m-%dT%H:%M:%SZ", &tm);
    }
    if (w->left > 0) {
        w->left--;
        w->shown++;
        reply_row(w->rq, (struct cell[]){
            CELL_TEXT(who), CELL_TEXT(is_atom(l->kind) ? atom_text(l->kind, NULL) : "-"),
            CELL_TEXT(l->pid), CELL_TEXT(buf_cstr(&l->note)), CELL_TEXT(l->type),
            CELL_NUMBER(l->depth), CELL_NUMBER(l->restarts), CELL_TEXT(last),
            CELL_TEXT(buf_cstr(&l->reason)),
        }, ARRAY_LEN(columns));
    }
    mem_free(who);
    buf_fini(&l->note);
    buf_fini(&l->reason);
}

/* The children of pid, the oldest first; TERM_NONE: it does not say. */
static term children_of(struct walk *w, int64_t ms, term pid, term module, struct buf *text)
{
    term list = ask_for(ms, &w->bag, module, "which_children", &pid, 1, text);

    if (list == TERM_NONE || !is_list(list))
        return TERM_NONE;
    return module == atom("supervisor") ? list_turned(list) : list;     /* OTP's come newest first */
}

static size_t count_busy(term children)
{
    size_t busy = 0;

    for (; is_cons(children); children = cdr(children)) {
        if (is_tuple_n(car(children), 4) && is_local_pid(tuple_elem(car(children), 1)))
            busy += !is_idle(tuple_elem(car(children), 1));
    }
    return busy;
}

static void reply_children(struct walk *w, term supervisor, term module, term children,
                           const char *prefix, size_t depth);

/* The children of a child that is a supervisor: below it if they are few, else their number. */
static term grandchildren(struct walk *w, term pid, struct buf *note, term *ret_module)
{
    struct buf text = { 0 };
    term list = TERM_NONE;
    size_t n;

    *ret_module = is_local_pid(pid) ? sup_module(pid) : TERM_NONE;
    if (*ret_module != TERM_NONE && is_idle(pid))
        list = children_of(w, GLANCE_MS, pid, *ret_module, &text);
    else if (*ret_module != TERM_NONE)
        buf_str(note, "busy");
    buf_fini(&text);
    if (list == TERM_NONE)
        return TERM_NIL;
    n = (size_t)list_length(list);
    buf_printf(note, "%zu child%s", n, n == 1 ? "" : "ren");
    if (n <= NESTED_MAX)
        return list;
    buf_printf(note, ", %zu busy", count_busy(list));
    return TERM_NIL;
}

/* {Id, Pid, Type, Modules} */
static void reply_child(struct walk *w, term supervisor, term module, term child,
                        const char *prefix, bool last, size_t depth)
{
    char *line_prefix = mem_printf("%s%s", prefix, last ? "└─ " : "├─ ");
    char *deeper = mem_printf("%s%s", prefix, last ? "   " : "│  ");
    term pid = tuple_elem(child, 1), x[2] = { supervisor, tuple_elem(child, 0) }, below, below_module;
    struct buf id = { 0 }, pid_text = { 0 }, type = { 0 }, text = { 0 };
    struct line l = { .prefix = line_prefix, .kind = TERM_NONE, .depth = depth };

    term_print(&id, x[1], PRINT_STRINGS | PRINT_UNICODE, 200);
    term_print(&pid_text, pid, 0, 100);
    term_print(&type, tuple_elem(child, 2), 0, 100);
    if (w->left > 0)
        l.kind = restart_type(GLANCE_MS, &w->bag, module, x, &text);
    l.restarts = restarts_of(supervisor, buf_cstr(&id), &l.last_ns, &l.reason);
    below = depth < DEPTH_MAX && w->left > 0 ? grandchildren(w, pid, &l.note, &below_module) : TERM_NIL;
    if (l.restarts > 0) {
        buf_str(&l.note, l.note.len > 0 ? ", " : "");
        add_restarts(&l.note, l.restarts, l.last_ns, buf_cstr(&l.reason));
    }
    l.id = buf_cstr(&id);
    l.pid = buf_cstr(&pid_text);
    l.type = buf_cstr(&type);
    reply_line(w, &l);
    if (is_cons(below))
        reply_children(w, pid, below_module, below, deeper, depth + 1);
    buf_fini(&id);
    buf_fini(&pid_text);
    buf_fini(&type);
    buf_fini(&text);
    mem_free(line_prefix);
    mem_free(deeper);
}

static void reply_children(struct walk *w, term supervisor, term module, term children,
                           const char *prefix, size_t depth)
{
    for (; is_cons(children); children = cdr(children)) {
        if (is_tuple_n(car(children), 4))
            reply_child(w, supervisor, module, car(children), prefix, !is_cons(cdr(children)), depth);
    }
}

/* The supervisor itself: "shop_sup  one_for_one  <0.4.0>  3 restarts in 5 s". */
static void reply_root(struct walk *w, term pid)
{
    struct buf who = { 0 }, pid_text = { 0 };
    struct strategy strategy;
    struct line l = { .prefix = "", .type = "supervisor", .kind = TERM_NONE };
    term name = inspect_name(pid);

    view_pid(&pid_text, pid);
    if (is_atom(name))
        atom_print(&who, name);
    if (read_strategy(&w->bag, pid, &strategy)) {
        l.kind = strategy.name;
        buf_printf(&l.note, "gives up after %lld restarts in %lld s",
                   (long long)small_val(strategy.restarts), (long long)small_val(strategy.seconds));
    }
    l.pid = buf_cstr(&pid_text);
    l.id = who.len > 0 ? buf_cstr(&who) : l.pid;
    reply_line(w, &l);
    buf_fini(&who);
    buf_fini(&pid_text);
}

void sup_reply_children(struct request *rq, term pid)
{
    struct walk w = { .rq = rq, .left = rq->msg->limit != 0 ? rq->msg->limit : SIZE_MAX };
    term module = sup_module(pid), children;
    struct buf text = { 0 };

    heap_bag_init(&w.bag);
    children = children_of(&w, ANSWER_MS, pid, module, &text);
    if (children == TERM_NONE) {
        reply_error(rq, EXIT_NO, "RN0306", NULL, buf_cstr(&text), "%s does not name its children",
                    request_arg(rq, 0));
    } else {
        reply_head(rq, "rnode.children/1", columns, ARRAY_LEN(columns), false);
        reply_root(&w, pid);
        reply_children(&w, pid, module, children, "", 1);
        if (w.shown < w.total)
            reply_done(rq, w.total - w.shown, w.total, "%zu of %zu lines · all: -l 0", w.shown, w.total);
        else
            reply_done(rq, 0, w.total, "%s", "");
    }
    heap_fini(&w.bag);
    buf_fini(&text);
}

/* --- restart -------------------------------------------------------------------------------------- */

static void restart(struct request *rq, struct heap *bag, term pid, term supervisor, term module)
{
    const char *who = request_arg(rq, 0);
    struct buf text = { 0 }, sup = { 0 };
    term x[2] = { supervisor, child_id(ANSWER_MS, bag, module, supervisor, pid, &text) }, answer;

    view_pid(&sup, supervisor);
    if (x[1] == TERM_NONE) {
        reply_error(rq, EXIT_NO, "RN0306", "rnodectl kill ends it; its supervisor decides the rest",
                    buf_cstr(&text), "%s is not among the children of %s that have a name", who,
                    buf_cstr(&sup));
    } else if (restart_type(ANSWER_MS, bag, module, x, &text) == atom("temporary")) {
        reply_error(rq, EXIT_NO, "RN0306", "rnodectl kill ends it", NULL,
                    "%s is temporary: its supervisor %s would forget it", who, buf_cstr(&sup));
    } else if (rq->msg->dry_run) {
        reply_done(rq, 0, 0, "would have %s end %s and start it again", buf_cstr(&sup), who);
    } else {
        (void)ask(bag, module, "terminate_child", x, 2, &text);
        answer = ask(bag, module, "restart_child", x, 2, &text);
        if (answer != TERM_NONE && is_tuple(answer) && tuple_elem(answer, 0) == ATOM_ok)
            reply_done(rq, 0, 0, "%s was ended and started again by %s: %s", who, buf_cstr(&sup),
                       buf_cstr(&text));
        else
            reply_error(rq, EXIT_NO, "RN0306", NULL, buf_cstr(&text),
                        "%s could not be started again by %s", who, buf_cstr(&sup));
    }
    buf_fini(&text);
    buf_fini(&sup);
}

void ctl_restart(struct request *rq)
{
    const char *who = request_arg(rq, 0);
    term pid = view_find(who), supervisor, module;
    struct heap bag;

    if (pid == TERM_NONE) {
        reply_error(rq, EXIT_NO, "RN0302", NULL, NULL, "no process `%s`", who);
        return;
    }
    heap_bag_init(&bag);
    supervisor = inspect_wait(pid, &bag).view.parent;
    module = is_local_pid(supervisor) ? sup_module(supervisor) : TERM_NONE;
    if (module == TERM_NONE)
        reply_error(rq, EXIT_NO, "RN0306", "rnodectl tree shows who started whom", NULL,
                    "%s is not the child of a supervisor", who);
    else
        restart(rq, &bag, pid, supervisor, module);
    heap_fini(&bag);
}

/* --- one child -------------------------------------------------------------------------------- */

void sup_describe_child(struct buf *out, term supervisor, term child)
{
    term module = sup_module(supervisor), x[2] = { supervisor, TERM_NONE }, type;
    struct buf text = { 0 }, id = { 0 }, reason = { 0 };
    int64_t last_ns = 0;
    struct heap bag;
    uint64_t n;

    heap_bag_init(&bag);
    if (module != TERM_NONE && is_idle(supervisor))
        x[1] = child_id(GLANCE_MS, &bag, module, supervisor, child, &text);
    if (x[1] != TERM_NONE) {
        type = restart_type(GLANCE_MS, &bag, module, x, &text);
        term_print(&id, x[1], PRINT_STRINGS | PRINT_UNICODE, 200);
        buf_printf(out, " (%s", is_atom(type) ? atom_text(type, NULL) : "child");
        n = restarts_of(supervisor, buf_cstr(&id), &last_ns, &reason);
        if (n > 0) {
            buf_str(out, ", ");
            add_restarts(out, n, last_ns, buf_cstr(&reason));
        }
        buf_u8(out, ')');
    }
    heap_fini(&bag);
    buf_fini(&text);
    buf_fini(&id);
    buf_fini(&reason);
}
