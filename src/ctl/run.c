/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run.c - calls on behalf of people
 *
 * The module rnode_control holds the try; it reports through two built-ins, which find the run by
 * its number. A run that is killed never gets there: the exit hook reports it. Whoever takes the
 * run out of the table reports, so nobody else can.
 */
#include "ctl/run.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/epoch.h"
#include "base/errors.h"
#include "bif/io.h"
#include "heap/heap.h"
#include "term/print.h"
#include "vm/bif.h"
#include "vm/code.h"
#include "vm/inspect.h"
#include "vm/sched.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

static const char control_module[] =
    "module rnode_control\n"
    "export run/4 state/2\n"
    "function run/4\n"
    "    allocate 4 4\n"
    "    init_yregs [y0 y1]\n"
    "    move x0 y2\n"
    "    try y3 @caught\n"
    "    move x1 x0\n"
    "    move x2 x1\n"
    "    move x3 x2\n"
    "    call_ext 3 erlang:apply/3\n"
    "    try_end y3\n"
    "    move x0 x1\n"
    "    move y2 x0\n"
    "    call_ext_last 2 rnode_native:done/2 4\n"
    "caught:\n"
    "    try_case y3\n"
    "    move x1 y0\n"
    "    move x0 y1\n"
    "    move x2 x0\n"
    "    build_stacktrace\n"
    "    move x0 x3\n"
    "    move y0 x2\n"
    "    move y1 x1\n"
    "    move y2 x0\n"
    "    call_ext_last 4 rnode_native:raised/4 4\n"
    /* Pid, Milliseconds -> what it answers to the system message get_state, without {ok, _}. Exits
     * with late, or as the process does. */
    "function state/2\n"
    "    allocate 3 2\n"
    "    move x1 y1\n"
    "    move x0 y2\n"
    "    recv_marker_reserve y0\n"
    "    move x0 x1\n"
    "    move process x0\n"
    "    call_ext 2 erlang:monitor/2\n"
    "    test_heap 7 1\n"
    "    bif0 erlang:self/0 x1\n"
    "    put_tuple2 x1 [x1 x0]\n"
    "    put_tuple2 x1 [system x1 get_state]\n"
    "    recv_marker_bind y0 x0\n"
    "    swap y2 x0\n"
    "    init_yregs [y0]\n"
    "    send\n"
    "    recv_marker_use y2\n"
    "next:\n"
    "    loop_rec @idle x0\n"
    "    is_tuple @other x0\n"
    "    select_tuple_arity x0 @other [2 @answer 5 @down]\n"
    "down:\n"
    "    get_tuple_element x0 0 x1\n"
    "    get_tuple_element x0 1 x2\n"
    "    is_eq_exact @other x1 'DOWN'\n"
    "    is_eq_exact @other x2 y2\n"
    "    recv_marker_clear y2\n"
    "    remove_message\n"
    "    get_tuple_element x0 4 x0\n"
    "    call_ext_last 1 erlang:exit/1 3\n"
    "answer:\n"
    "    get_tuple_element x0 0 x1\n"
    "    is_eq_exact @other x1 y2\n"
    "    recv_marker_clear y2\n"
    "    get_tuple_element x0 1 x0\n"
    "    remove_message\n"
    "    is_tuple @bare x0\n"
    "    test_arity @bare x0 2\n"
    "    get_tuple_element x0 0 x1\n"
    "    is_eq_exact @bare x1 ok\n"
    "    get_tuple_element x0 1 x0\n"
    "bare:\n"
    "    deallocate 3\n"
    "    return\n"
    "other:\n"
    "    loop_rec_end @next\n"
    "idle:\n"
    "    wait_timeout @next y1\n"
    "    timeout\n"
    "    recv_marker_clear y2\n"
    "    move late x0\n"
    "    call_ext_last 1 erlang:exit/1 3\n";

#define IDLE_LEADERS_MAX 64

struct run {
    struct run *next;
    uint64_t id;
    term pid, leader;               /* leader: TERM_NONE, or of this run alone */
    size_t text_bytes_max;
    run_print_fn *print;
    run_done_fn *done;
    run_output_fn *output;
    void *arg;
    int64_t start_ns;
};

static struct {
    pthread_mutex_t lock;
    struct run *first;              /* [lk] few at a time: people ask for them */
    uint64_t last_id;               /* [lk] */
    _Atomic uint32_t count;         /* [any] lets the hooks pass by without the lock */
    term user;                      /* [set] */
    term idle[IDLE_LEADERS_MAX];    /* [lk] leaders whose run is over */
    size_t nidle;                   /* [lk] */
} runs = { .lock = PTHREAD_MUTEX_INITIALIZER };

static term atom_rnode_control, atom_run;

/* --- text --------------------------------------------------------------------------- */

static term property(term list, term key)
{
    for (; is_cons(list); list = cdr(list)) {
        if (is_tuple_n(car(list), 2) && tuple_elem(car(list), 0) == key)
            return tuple_elem(car(list), 1);
    }
    return TERM_NONE;
}

/* m:f/2 (m.erl:12), or m:f(1,2) when the arguments are known */
static void stack_entry(struct buf *out, term entry)
{
    term arity = tuple_elem(entry, 2), location = tuple_elem(entry, 3), file, line;

    atom_print(out, tuple_elem(entry, 0));
    buf_u8(out, ':');
    atom_print(out, tuple_elem(entry, 1));
    if (is_small(arity)) {
        buf_printf(out, "/%lld", (long long)small_val(arity));
    } else {
        const char *comma = "(";

        for (; is_cons(arity); arity = cdr(arity), comma = ", ") {
            buf_str(out, comma);
            term_print(out, car(arity), PRINT_STRINGS | PRINT_UNICODE, 200);
        }
        buf_str(out, *comma == '(' ? "()" : ")");
    }
    file = property(location, ATOM_file);
    line = property(location, ATOM_line);
    if (file == TERM_NONE || !is_small(line))
        return;
    buf_str(out, " (");
    for (; is_cons(file); file = cdr(file)) {
        if (is_small(car(file)))
            buf_u8(out, (uint8_t)small_val(car(file)));
    }
    buf_printf(out, ":%lld)", (long long)small_val(line));
}

void stack_print(struct buf *out, term stack, const char *indent)
{
    for (; is_cons(stack); stack = cdr(stack)) {
        term entry = car(stack);

        if (!is_tuple_n(entry, 4) || !is_atom(tuple_elem(entry, 0)) ||
            !is_atom(tuple_elem(entry, 1)))
            continue;
        if (tuple_elem(entry, 0) == atom_rnode_control)
            continue; /* the try around the call is of no interest */
        buf_str(out, indent);
        buf_str(out, "in ");
        stack_entry(out, entry);
        buf_u8(out, '\n');
    }
}

/* --- the table ---------------------------------------------------------------------- */

/* Under the lock: the leader of a run whose process p ends or has ended. */
static void leader_leave(term leader, const struct process *p)
{
    if (!p->has_spawned)
        io_leader_stop(leader);
    else if (runs.nidle < IDLE_LEADERS_MAX)
        runs.idle[runs.nidle++] = leader;
}

/* Take the run of p with this id or, when id is 0, of its pid. NULL: it was reported already. */
static struct run *run_take(uint64_t id, const struct process *p)
{
    struct run *found = NULL;

    pthread_mutex_lock(&runs.lock);
    for (struct run **at = &runs.first; *at != NULL; at = &(*at)->next) {
        if (id != 0 ? (*at)->id == id : (*at)->pid == p->pid) {
            found = *at;
            *at = found->next;
            atomic_fetch_sub_explicit(&runs.count, 1, memory_order_relaxed);
            if (found->leader != TERM_NONE)
                leader_leave(found->leader, p);
            break;
        }
    }
    pthread_mutex_unlock(&runs.lock);
    return found;
}

static void run_report(struct run *r, enum run_end end, struct buf *text, struct buf *trace,
                       uint64_t reductions)
{
    struct run_report report = {
        .end = end, .text = buf_cstr(text), .trace = buf_cstr(trace),
        .time_ns = clock_monotonic_ns() - r->start_ns, .reductions = reductions,
    };

    r->done(r->arg, &report);
    buf_fini(text);
    buf_fini(trace);
    mem_free(r);
}

static struct run *run_of_arg(const struct process *p, term id)
{
    return is_small(id) ? run_take((uint64_t)small_val(id), p) : NULL;
}

/* Reductions of p, with those of the slice it is in. */
static uint64_t spent(const struct process *p)
{
    int64_t left = p->sched->fcalls, slice = (int64_t)sched_reductions();

    return atomic_load_explicit(&p->reductions, memory_order_relaxed) +
           (uint64_t)(left < slice ? slice - left : 0);
}

static void print_for(const struct run *r, struct buf *text, term t, bool is_value)
{
    if (r->print != NULL)
        r->print(r->arg, text, t, is_value, r->text_bytes_max);
    else
        term_print(text, t, PRINT_STRINGS | PRINT_UNICODE, r->text_bytes_max);
}

/* rnode_native:done(Id, Value) */
static term native_done(struct process *p, const term *a)
{
    struct run *r = run_of_arg(p, a[0]);
    struct buf text = { 0 }, trace = { 0 };

    if (r == NULL)
        return bif_badarg(p);
    print_for(r, &text, a[1], true);
    run_report(r, RUN_VALUE, &text, &trace, spent(p));
    return ATOM_ok;
}

/* rnode_native:raised(Id, Class, Reason, Stack) */
static term native_raised(struct process *p, const term *a)
{
    struct run *r = run_of_arg(p, a[0]);
    struct buf text = { 0 }, trace = { 0 };

    if (r == NULL)
        return bif_badarg(p);
    term_print(&text, a[1], 0, 64);
    buf_str(&text, ": ");
    print_for(r, &text, a[2], false);
    stack_print(&trace, a[3], "  ");
    run_report(r, RUN_RAISED, &text, &trace, spent(p));
    return ATOM_ok;
}

void run_process_exited(const struct process *p)
{
    struct run *r;
    struct buf text = { 0 }, trace = { 0 };

    /* relaxed: the count was raised before the process could run, and it is this process that
     * exits, so it is seen; a stale count of others only costs a look under the lock */
    if (atomic_load_explicit(&runs.count, memory_order_relaxed) == 0)
        return;
    r = run_take(0, p);
    if (r == NULL)
        return;
    print_for(r, &text, p->exit_reason, false);
    run_report(r, RUN_EXITED, &text, &trace, 0);
}

/* --- output ----------------------------------------------------------------------------
 * Each run that wants its output has a leader of its own. If the run started processes its leader
 * stays when it is over: they may go on and print, which then goes to the node's console. Now and
 * then the leaders that no process has any more are ended.
 */

bool run_output(term leader, const char *data, size_t len)
{
    bool found = false;
    term enough = TERM_NONE;

    if (atomic_load_explicit(&runs.count, memory_order_relaxed) == 0)
        return false;
    pthread_mutex_lock(&runs.lock);
    for (struct run *r = runs.first; r != NULL; r = r->next) {
        if (r->leader != leader)
            continue;
        found = true;
        if (!r->output(r->arg, data, len))
            enough = r->pid;
    }
    pthread_mutex_unlock(&runs.lock);
    if (enough != TERM_NONE)
        inspect_kill(enough);
    return found;
}

struct leader_use { const term *leaders; bool *used; size_t n; };

static bool note_leader(void *arg, const struct process_view *v)
{
    struct leader_use *u = arg;

    for (size_t i = 0; i < u->n; i++)
        u->used[i] |= u->leaders[i] == v->group_leader;
    return true;
}

static void end_idle_leaders(void)
{
    term leaders[IDLE_LEADERS_MAX];
    bool used[IDLE_LEADERS_MAX] = { false };
    struct leader_use u = { leaders, used, 0 };

    pthread_mutex_lock(&runs.lock);
    if (runs.nidle == IDLE_LEADERS_MAX) {
        u.n = runs.nidle;
        memcpy(leaders, runs.idle, sizeof leaders);
        runs.nidle = 0;
    }
    pthread_mutex_unlock(&runs.lock);
    if (u.n == 0)
        return;
    inspect_processes(false, note_leader, &u);
    for (size_t i = 0; i < u.n; i++) {
        if (!used[i]) {
            inspect_kill(leaders[i]);
            continue;
        }
        pthread_mutex_lock(&runs.lock);
        if (runs.nidle < IDLE_LEADERS_MAX / 2) /* others are forgotten: memory only */
            runs.idle[runs.nidle++] = leaders[i];
        pthread_mutex_unlock(&runs.lock);
    }
}

/* --- starting ----------------------------------------------------------------------- */

void run_register(void)
{
    static const struct bif natives[] = {
        { "rnode_native", "done", 2, BIF_PLAIN, native_done },
        { "rnode_native", "raised", 4, BIF_PLAIN, native_raised },
    };

    bif_register(natives, ARRAY_LEN(natives));
}

void run_init(term user)
{
    struct load_error le;
    struct prepared *pr;
    term busy;
    int rc;

    runs.user = user;
    atom_rnode_control = atom_from_cstr("rnode_control");
    atom_run = atom_from_cstr("run");
    rc = code_prepare_text(control_module, sizeof control_module - 1, "run.c",
                           atom_rnode_control, &pr, &le);
    ASSERT(rc == 0);
    rc = code_commit(&pr, 1, &busy);
    ASSERT(rc == 0);
}

term run_start(term module, term function, term args, const struct run_limits *limits,
               run_done_fn *done, run_output_fn *output, void *arg, uint64_t *ret_id)
{
    struct spawn_options so = {
        .prio = PRIO_NORMAL, .group_leader = TERM_NONE, .monitor_opts = TERM_NONE,
        .max_heap_words = limits->heap_words_max, .max_heap_kill = true,
    };
    struct run *r = MEM_NEW(struct run);
    struct heap bag;
    term list, pid;

    heap_bag_init(&bag);
    end_idle_leaders();
    r->leader = output != NULL ? io_leader_start() : TERM_NONE;
    so.group_leader = r->leader != TERM_NONE ? r->leader : runs.user;
    r->text_bytes_max = limits->text_bytes_max;
    r->print = limits->print;
    r->done = done;
    r->output = output;
    r->arg = arg;
    r->start_ns = clock_monotonic_ns();
    pthread_mutex_lock(&runs.lock);
    *ret_id = r->id = ++runs.last_id;
    list = heap_list(&bag, (term[]){ heap_int(&bag, (int64_t)r->id), module, function, args }, 4,
                     TERM_NIL);
    /* The process may print and end before this returns: whoever sees the count waits for the lock,
     * and finds the run in the table. */
    atomic_fetch_add_explicit(&runs.count, 1, memory_order_relaxed);
    epoch_enter();
    pid = process_spawn_mfa(NULL, atom_rnode_control, atom_run, list, &so, NULL);
    epoch_leave();
    if (pid != TERM_NONE) {
        r->pid = pid;
        r->next = runs.first;
        runs.first = r;
    } else {
        atomic_fetch_sub_explicit(&runs.count, 1, memory_order_relaxed);
    }
    pthread_mutex_unlock(&runs.lock);
    heap_fini(&bag);
    if (pid == TERM_NONE)
        mem_free(r);
    return pid;
}


term run_start_state(term pid, int64_t timeout_ms, const struct run_limits *limits,
                     run_done_fn *done, void *arg)
{
    struct heap bag;
    term run, args;
    uint64_t id;

    heap_bag_init(&bag);
    args = heap_list(&bag, (term[]){ pid, heap_int(&bag, timeout_ms) }, 2, TERM_NIL);
    run = run_start(atom_rnode_control, atom_from_cstr("state"), args, limits, done, NULL, arg, &id);
    heap_fini(&bag);
    return run;
}

void run_kill(uint64_t id)
{
    term pid = TERM_NONE;

    pthread_mutex_lock(&runs.lock);
    for (struct run *r = runs.first; r != NULL; r = r->next) {
        if (r->id == id)
            pid = r->pid;
    }
    pthread_mutex_unlock(&runs.lock);
    if (pid != TERM_NONE)
        inspect_kill(pid);
}

/* --- waiting ------------------------------------------------------------------------ */

struct waiter {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool done;
    enum run_end end;
    struct buf text;
};

static void on_waited(void *arg, const struct run_report *r)
{
    struct waiter *w = arg;

    pthread_mutex_lock(&w->lock);
    w->done = true;
    w->end = r->end;
    buf_str(&w->text, r->text);
    pthread_cond_signal(&w->cond);
    pthread_mutex_unlock(&w->lock);
}

int run_and_wait(term module, term function, term args, int64_t timeout_ms, size_t text_bytes_max,
                 struct buf *text)
{
    struct waiter w = { .lock = PTHREAD_MUTEX_INITIALIZER };
    struct run_limits limits = { .text_bytes_max = text_bytes_max };
    pthread_condattr_t attr;
    int64_t end_ns = clock_monotonic_ns() + timeout_ms * 1000000;
    struct timespec deadline = { .tv_sec = end_ns / 1000000000, .tv_nsec = end_ns % 1000000000 };
    bool late = false;
    uint64_t id;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&w.cond, &attr);
    if (run_start(module, function, args, &limits, on_waited, NULL, &w, &id) == TERM_NONE)
        return -ERR_LIMIT;
    pthread_mutex_lock(&w.lock);
    while (!w.done) {
        if (!late && pthread_cond_timedwait(&w.cond, &w.lock, &deadline) == ETIMEDOUT && !w.done) {
            late = true;
            pthread_mutex_unlock(&w.lock);
            run_kill(id); /* its end is reported like any other */
            pthread_mutex_lock(&w.lock);
        } else if (late) {
            pthread_cond_wait(&w.cond, &w.lock);
        }
    }
    pthread_mutex_unlock(&w.lock);
    buf_add(text, w.text.data, w.text.len);
    buf_fini(&w.text);
    pthread_cond_destroy(&w.cond);
    pthread_condattr_destroy(&attr);
    return late ? -ERR_TIMEOUT : w.end == RUN_VALUE ? 0 : -ERR_FORMAT;
}

#define ON_LOAD_MS 60000

int run_on_load(term module, struct buf *text)
{
    struct buf value = { 0 };
    term function;
    int rc;

    if (!code_on_load_function(module, &function))
        return 0;
    rc = run_and_wait(module, function, TERM_NIL, ON_LOAD_MS, 1000, &value);
    if (rc == 0 && strcmp(buf_cstr(&value), "ok") != 0)
        rc = -ERR_FORMAT;
    if (rc < 0)
        buf_add(text, value.data, value.len);
    code_on_load_done(module, rc == 0);
    buf_fini(&value);
    return rc;
}
