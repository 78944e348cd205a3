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

/* --- tree ----------------------------------------------------------------------------------------- */

static const struct column columns[] = {
    { "child", COL_TEXT, false }, { "pid", COL_TEXT, false }, { "type", COL_TEXT, false },
    { "restarts", COL_COUNT_, false }, { "last", COL_TEXT, false }, { "reason", COL_TEXT, false },
};

/* {Id, Pid, Type, Modules} */
static void reply_child(struct request *rq, term supervisor, term child)
{
    struct buf id = { 0 }, pid = { 0 }, type = { 0 }, reason = { 0 };
    char last[32] = "";
    int64_t last_ns = 0;
    uint64_t n;

    term_print(&id, tuple_elem(child, 0), PRINT_STRINGS | PRINT_UNICODE, 200);
    term_print(&pid, tuple_elem(child, 1), 0, 100);
    term_print(&type, tuple_elem(child, 2), 0, 100);
    n = restarts_of(supervisor, buf_cstr(&id), &last_ns, &reason);
    if (n > 0) {
        time_t sec = (time_t)(last_ns / 1000000000);
        struct tm tm;

        gmtime_r(&sec, &tm);
        strftime(last, sizeof last, "%Y-%m-%dT%H:%M:%SZ", &tm);
    }
    reply_row(rq, (struct cell[]){
        CELL_TEXT(buf_cstr(&id)), CELL_TEXT(buf_cstr(&pid)), CELL_TEXT(buf_cstr(&type)),
        CELL_NUMBER(n), CELL_TEXT(last), CELL_TEXT(buf_cstr(&reason)),
    }, ARRAY_LEN(columns));
    buf_fini(&id);
    buf_fini(&pid);
    buf_fini(&type);
    buf_fini(&reason);
}

/* "one_for_one, 3 restarts in 5 s" of the state of OTP's supervisor or of Rata's; nothing when it
 * holds what cannot be read, such as a fun. */
static void add_strategy(struct buf *out, struct heap *bag, term pid)
{
    struct buf text = { 0 };
    term state = ask(bag, atom("sys"), "get_state", &pid, 1, &text);
    term strategy = TERM_NONE, n = TERM_NONE, seconds = TERM_NONE;

    if (state != TERM_NONE && is_map(state)) {
        strategy = map_get(state, atom("strategy"));
        n = map_get(state, atom("max_restarts"));
        seconds = map_get(state, atom("max_seconds"));
    } else if (state != TERM_NONE && is_tuple(state) && tuple_arity(state) >= 7) {
        strategy = tuple_elem(state, 2);
        n = tuple_elem(state, 5);
        seconds = tuple_elem(state, 6);
    }
    if (strategy != TERM_NONE && is_atom(strategy) && n != TERM_NONE && is_small(n) &&
        seconds != TERM_NONE && is_small(seconds))
        buf_printf(out, ", %s, gives up after %lld restarts in %lld s", atom_text(strategy, NULL),
                   (long long)small_val(n), (long long)small_val(seconds));
    buf_fini(&text);
}

void sup_reply_children(struct request *rq, term pid)
{
    size_t limit = rq->msg->limit, shown = 0, total = 0;
    struct buf text = { 0 }, about = { 0 };
    struct heap bag;
    term children;

    heap_bag_init(&bag);
    children = ask(&bag, sup_module(pid), "which_children", &pid, 1, &text);
    if (children == TERM_NONE || !is_list(children)) {
        reply_error(rq, EXIT_NO, "RN0306", NULL, buf_cstr(&text), "%s does not name its children",
                    request_arg(rq, 0));
    } else {
        reply_head(rq, "rnode.children/1", columns, ARRAY_LEN(columns), false);
        children = list_turned(children);       /* they come newest first */
        for (; is_cons(children); children = cdr(children)) {
            total++;
            if (!is_tuple_n(car(children), 4) || (limit != 0 && shown >= limit))
                continue;
            reply_child(rq, pid, car(children));
            shown++;
        }
        add_strategy(&about, &bag, pid);
        reply_done(rq, total - shown, total, "%zu of %zu children%s", shown, total,
                   buf_cstr(&about));
    }
    heap_fini(&bag);
    buf_fini(&text);
    buf_fini(&about);
}

/* --- restart -------------------------------------------------------------------------------------- */

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

/* --- one child ------------------------------------------------------------------------------------ */

static void add_restarts(struct buf *out, term supervisor, const char *id)
{
    struct buf reason = { 0 };
    int64_t last_ns = 0;
    uint64_t n = restarts_of(supervisor, id, &last_ns, &reason);

    if (n > 0) {
        time_t sec = (time_t)(last_ns / 1000000000);
        struct tm tm;

        localtime_r(&sec, &tm);
        buf_printf(out, ", %llu restart%s, last %.*s %02d:%02d:%02d", (unsigned long long)n,
                   plural_s(n), 60, buf_cstr(&reason), tm.tm_hour, tm.tm_min, tm.tm_sec);
    }
    buf_fini(&reason);
}

void sup_describe_child(struct buf *out, term supervisor, term child)
{
    term module = sup_module(supervisor), x[2] = { supervisor, TERM_NONE }, type;
    struct buf text = { 0 }, id = { 0 };
    struct heap bag;

    heap_bag_init(&bag);
    if (module != TERM_NONE && inspect_wait(supervisor, &bag).reason == WAITS_MESSAGE)
        x[1] = child_id(GLANCE_MS, &bag, module, supervisor, child, &text);
    if (x[1] != TERM_NONE) {
        type = restart_type(GLANCE_MS, &bag, module, x, &text);
        term_print(&id, x[1], PRINT_STRINGS | PRINT_UNICODE, 200);
        buf_printf(out, " (%s", is_atom(type) ? atom_text(type, NULL) : "child");
        add_restarts(out, supervisor, buf_cstr(&id));
        buf_u8(out, ')');
    }
    heap_fini(&bag);
    buf_fini(&text);
    buf_fini(&id);
}
