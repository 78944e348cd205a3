/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inspect_process.c - one process on one screen
 *
 *   read_screen        everything that can be read while it stands still
 *   after_a_moment     a second look, if it has messages or runs: how fast the mailbox grows
 *   on_state           its answer to the system message get_state, if that was asked for
 *   reply_screen
 *
 * The first two run on the worker thread, on_state on a scheduler. Nothing here waits for the
 * process, and without --state nothing is sent to it.
 */
#include "ctl/inspect_priv.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/units.h"
#include "ctl/exits.h"
#include "ctl/run.h"
#include "ctl/sup.h"
#include "ctl/view.h"
#include "ctl/why.h"
#include "heap/map.h"
#include "table/table.h"
#include "term/atom.h"
#include "term/print.h"
#include "vm/code.h"
#include "vm/inspect.h"

#include <stdlib.h>

#define TEXT_MAX        4000    /* of one value */
#define MESSAGE_MAX     60      /* of a message on the screen */
#define NEXT_MESSAGES   2
#define NAMES_MAX       6       /* in one line */
#define GROWTH_MS       100
#define STATE_MS        2000
#define MESSAGES_BYTES  (256 * 1024)    /* printed while the world is stopped */

/* What process_info answers: everything but the last two are columns of their own. */
static const char *const item_names[] = {
    "registered_name", "status", "current_function", "initial_call", "message_queue_len",
    "links", "monitors", "monitored_by", "trap_exit", "priority", "group_leader",
    "total_heap_size", "heap_size", "stack_size", "reductions", "garbage_collection",
    "current_stacktrace", "message_queue_data",
};

struct screen {
    struct request *rq;
    term pid;
    struct heap bag;
    term info;                      /* [{Item, Value}] */
    term initial[3];                /* M, F, arity: what its library says, else what it was spawned with */
    struct wait_view wait;
    struct memory_view memory;
    int64_t read_ns, growth;        /* growth: messages a second */
    struct buf head, why, mailbox, doing, mem, relations, owns, life, state;
};

/* --- texts ------------------------------------------------------------------------------------ */

static term item(const struct screen *s, const char *name)
{
    term key = atom_existing_utf8(name, strlen(name));

    for (term l = s->info; is_cons(l); l = cdr(l)) {
        if (tuple_elem(car(l), 0) == key)
            return tuple_elem(car(l), 1);
    }
    return TERM_NIL;
}

static void add_value(struct buf *out, term t, size_t max)
{
    term_print(out, t, PRINT_STRINGS | PRINT_UNICODE, max);
}

/* A process by its name, or by its pid if it has none; {process, P}, or what else is linked. */
static void add_who(struct buf *out, term who)
{
    term name;

    if (is_tuple_n(who, 2) && tuple_elem(who, 0) == ATOM_process)
        who = tuple_elem(who, 1);
    name = is_local_pid(who) ? inspect_name(who) : TERM_NIL;
    add_value(out, is_atom(name) ? name : who, 100);
}

/* "WHAT a b c and 4 more", behind a separator; nothing for an empty list. */
static void add_list(struct buf *out, const char *what, term list)
{
    size_t n = (size_t)list_length(list);

    if (n == 0)
        return;
    buf_printf(out, "%s%s", out->len > 0 ? " · " : "", what);
    for (size_t i = 0; i < NAMES_MAX && is_cons(list); i++, list = cdr(list)) {
        buf_u8(out, ' ');
        add_who(out, car(list));
    }
    if (n > NAMES_MAX)
        buf_printf(out, " and %zu more", n - NAMES_MAX);
}

static term frame_property(term frame, term key)
{
    term list = tuple_elem(frame, 3);

    for (; is_cons(list); list = cdr(list)) {
        if (is_tuple_n(car(list), 2) && tuple_elem(car(list), 0) == key)
            return tuple_elem(car(list), 1);
    }
    return TERM_NIL;
}

static bool is_frame(term frame)
{
    return is_tuple_n(frame, 4) && is_atom(tuple_elem(frame, 0)) && is_atom(tuple_elem(frame, 1));
}

static void add_file(struct buf *out, term file)
{
    for (; is_cons(file); file = cdr(file)) {
        if (is_small(car(file)))
            buf_u8(out, (uint8_t)small_val(car(file)));
    }
}

/* "loop/1 counter.s:116": the module stands where it changes, the file where the module does. */
static void add_frame(struct buf *out, term frame, term *module)
{
    term arity = tuple_elem(frame, 2), line = frame_property(frame, ATOM_line);
    bool same = tuple_elem(frame, 0) == *module;

    if (!same) {
        atom_print(out, tuple_elem(frame, 0));
        buf_u8(out, ':');
    }
    *module = tuple_elem(frame, 0);
    atom_print(out, tuple_elem(frame, 1));
    buf_printf(out, "/%lld", (long long)(is_small(arity) ? small_val(arity) : list_length(arity)));
    if (!is_small(line))
        return;
    if (!same) {
        buf_u8(out, ' ');
        add_file(out, frame_property(frame, ATOM_file));
    }
    buf_printf(out, ":%lld", (long long)small_val(line));
}

static void add_stack(struct buf *out, term stack)
{
    term module = TERM_NIL;

    for (; is_cons(stack); stack = cdr(stack)) {
        if (!is_frame(car(stack)))
            continue;
        if (out->len > 0)
            buf_str(out, " < ");
        add_frame(out, car(stack), &module);
    }
}

/* --- the lines -------------------------------------------------------------------------------- */

static const char *language_of(const char *file)
{
    static const struct { const char *end, *language; } languages[] = {
        { ".erl", "Erlang" }, { ".ex", "Elixir" }, { ".exs", "Elixir" }, { ".rata", "Rata" },
        { ".ba", "Batuta" }, { ".s", "assembler" }, { ".lfe", "LFE" }, { ".gleam", "Gleam" },
    };

    for (size_t i = 0; i < ARRAY_LEN(languages); i++) {
        if (text_ends_with(file, languages[i].end))
            return languages[i].language;
    }
    return "";
}

/* "  Erlang  src/x.erl" of the module that it runs for. */
static void add_source(struct buf *out, const struct screen *s)
{
    struct buf file = { 0 };

    if (inspect_source(s->initial[0], &file)) {
        const char *language = language_of(buf_cstr(&file));

        buf_printf(out, "%s%s  %s", *language != 0 ? "  " : "", language, buf_cstr(&file));
    }
    buf_fini(&file);
}

static void fill_head(struct screen *s)
{
    term parent = s->wait.view.parent;

    if (is_atom(s->wait.view.name))
        buf_printf(&s->head, "%s ", atom_text(s->wait.view.name, NULL));
    view_pid(&s->head, s->pid);
    buf_str(&s->head, "  ");
    view_mfa(&s->head, s->initial);
    add_source(&s->head, s);
    if (!is_local_pid(parent))
        return;
    if (sup_module(parent) != TERM_NONE) {
        buf_str(&s->head, "  under ");
        add_who(&s->head, parent);
        sup_describe_child(&s->head, parent, s->pid);
    } else {
        buf_str(&s->head, "  started by ");
        add_who(&s->head, parent);
    }
}

struct next { struct request *rq; struct buf text; };

static bool add_next(void *arg, term msg)
{
    struct next *n = arg;

    buf_str(&n->text, n->text.len == 0 ? "next: " : "  ");
    request_print(n->rq, &n->text, msg, MESSAGE_MAX);
    return true;
}

static void fill_mailbox(struct screen *s)
{
    char n[UNIT_TEXT_MAX], rate[UNIT_TEXT_MAX];
    uint64_t messages = s->wait.view.messages;
    struct next next = { .rq = s->rq };

    buf_str(&s->mailbox, messages == 0 ? "empty" : count_text(messages, n));
    if (s->growth != 0)
        buf_printf(&s->mailbox, " (%c%s/s)", s->growth > 0 ? '+' : '-',
                   count_text((uint64_t)llabs(s->growth), rate));
    if (messages > 0 && s->rq->role >= ROLE_OPERATE)
        (void)inspect_messages(s->pid, NEXT_MESSAGES, add_next, &next);
    if (next.text.len > 0)
        buf_printf(&s->mailbox, "  %s", buf_cstr(&next.text));
    if (messages > NEXT_MESSAGES)
        buf_str(&s->mailbox, "  · more: --messages 20");
    buf_fini(&next.text);
}

static void fill_memory(struct screen *s)
{
    char text[UNIT_TEXT_MAX];

    buf_printf(&s->mem, "heap %s", size_text(s->wait.view.heap_bytes, text));
    buf_printf(&s->mem, " · stack %s", size_text(s->memory.stack_bytes, text));
    if (s->memory.binary_bytes > 0)
        buf_printf(&s->mem, " · binaries %s%s", size_text(s->memory.binary_bytes, text),
                   s->memory.binaries_cut ? " or more" : "");
    if (s->memory.young_collections > 0)
        buf_printf(&s->mem, " · %u collection%s since the last full one",
                   s->memory.young_collections, plural_s(s->memory.young_collections));
}

struct owned { term owner; term names[NAMES_MAX]; size_t n; };

static void add_owned(void *arg, struct table *t)
{
    struct owned *o = arg;

    if (atomic_load(&t->owner) != o->owner)
        return;
    if (o->n < NAMES_MAX)
        o->names[o->n] = atomic_load(&t->name);
    o->n++;
}

static void fill_owns(struct screen *s)
{
    struct owned o = { .owner = s->pid };

    table_visit(add_owned, &o);
    if (o.n == 0)
        return;
    buf_printf(&s->owns, "%zu table%s:", o.n, plural_s(o.n));
    for (size_t i = 0; i < o.n && i < NAMES_MAX; i++) {
        buf_u8(&s->owns, ' ');
        atom_print(&s->owns, o.names[i]);
    }
    if (o.n > NAMES_MAX)
        buf_printf(&s->owns, " and %zu more", o.n - NAMES_MAX);
}

/* Age and work, and settings that are not the usual ones. */
static void fill_life(struct screen *s)
{
    const struct process_view *v = &s->wait.view;
    term priority = item(s, "priority");
    char text[UNIT_TEXT_MAX];

    buf_printf(&s->life, "%s old", age_text((int64_t)v->age_cs * 10000000, text));
    buf_printf(&s->life, " · %s reduction%s", rate_text(v->reductions, text), plural_s(v->reductions));
    if (v->trap_exit)
        buf_str(&s->life, " · traps exits");
    if (is_atom(priority) && strcmp(atom_text(priority, NULL), "normal") != 0)
        buf_printf(&s->life, " · priority %s", atom_text(priority, NULL));
    if (item(s, "message_queue_data") == ATOM_off_heap)
        buf_str(&s->life, " · messages off heap");
}

/* --- reading ---------------------------------------------------------------------------------- */

static term item_list(struct heap *bag)
{
    term list = TERM_NIL, initial = heap_tuple2(bag, ATOM_dictionary, atom_from_cstr("$initial_call"));

    list = heap_cons(bag, initial, list);
    for (size_t i = ARRAY_LEN(item_names); i-- > 0;)
        list = heap_cons(bag, atom_from_cstr(item_names[i]), list);
    return list;
}

/* The value of '$initial_call', which the libraries of servers leave in the dictionary, is the last. */
static void read_initial(struct screen *s)
{
    term last = TERM_NIL;

    for (term l = s->info; is_cons(l); l = cdr(l))
        last = tuple_elem(car(l), 1);
    memcpy(s->initial, s->wait.view.initial, sizeof s->initial);
    if (is_tuple_n(last, 3) && is_atom(tuple_elem(last, 0)) && is_atom(tuple_elem(last, 1)) &&
        is_small(tuple_elem(last, 2))) {
        for (size_t i = 0; i < 3; i++)
            s->initial[i] = tuple_elem(last, i);
    }
}

/* False: it is gone. */
static bool read_screen(struct screen *s)
{
    s->wait = inspect_wait(s->pid, &s->bag);
    s->read_ns = clock_monotonic_ns();
    s->info = inspect_process_info(s->pid, item_list(&s->bag), &s->bag);
    if (s->info == TERM_NONE || !is_list(s->info) || !inspect_memory(s->pid, &s->memory))
        return false;
    read_initial(s);
    why_waits(&s->why, s->pid);
    add_stack(&s->doing, item(s, "current_stacktrace"));
    add_list(&s->relations, "linked to", item(s, "links"));
    add_list(&s->relations, "monitors", item(s, "monitors"));
    add_list(&s->relations, "monitored by", item(s, "monitored_by"));
    fill_head(s);
    fill_memory(s);
    fill_owns(s);
    fill_life(s);
    return true;
}

static void screen_free(struct screen *s)
{
    struct buf *texts[] = { &s->head, &s->why, &s->mailbox, &s->doing, &s->mem, &s->relations,
                            &s->owns, &s->life, &s->state };

    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        buf_fini(texts[i]);
    heap_fini(&s->bag);
    mem_free(s);
}

/* --- the answer ------------------------------------------------------------------------------- */

#define LINES 10

/* The lines for people, then what process_info says, for programs and -o wide. Frees s. */
static void reply_screen(struct screen *s)
{
    struct column cols[LINES + ARRAY_LEN(item_names)] = {
        { "process", COL_TEXT, false }, { "why", COL_TEXT, false }, { "mailbox", COL_TEXT, false },
        { "growth", COL_COUNT_, true }, { "doing", COL_TEXT, false }, { "memory", COL_TEXT, false },
        { "relations", COL_TEXT, false }, { "owns", COL_TEXT, false }, { "life", COL_TEXT, false },
        { "state", COL_TERM, false },
    };
    struct cell cells[ARRAY_LEN(cols)] = {
        CELL_TEXT(buf_cstr(&s->head)), CELL_TEXT(buf_cstr(&s->why)),
        CELL_TEXT(buf_cstr(&s->mailbox)), CELL_NUMBER(s->growth), CELL_TEXT(buf_cstr(&s->doing)),
        CELL_TEXT(buf_cstr(&s->mem)), CELL_TEXT(buf_cstr(&s->relations)),
        CELL_TEXT(buf_cstr(&s->owns)), CELL_TEXT(buf_cstr(&s->life)),
        CELL_TEXT(buf_cstr(&s->state)),
    };
    struct buf values[ARRAY_LEN(item_names)] = { { 0 } };
    size_t n = LINES;

    for (term l = s->info; is_cons(l) && n < ARRAY_LEN(cols); l = cdr(l), n++) {
        struct buf *value = &values[n - LINES];

        request_print(s->rq, value, tuple_elem(car(l), 1), TEXT_MAX);
        cols[n] = (struct column){ item_names[n - LINES], COL_TERM, true };
        cells[n] = CELL_TEXT(buf_cstr(value));
    }
    reply_head(s->rq, "rnode.inspect/1", cols, n, true);
    reply_row(s->rq, cells, n);
    for (size_t i = 0; i < ARRAY_LEN(values); i++)
        buf_fini(&values[i]);
    reply_done(s->rq, 0, 0, "%s", "");
    screen_free(s);
}

/* --- the state -------------------------------------------------------------------------------- */

static void on_state(void *arg, const struct run_report *r)
{
    struct screen *s = arg;

    if (r->end == RUN_VALUE)
        buf_str(&s->state, r->text);
    else if (strcmp(r->text, RUN_LATE) == 0)
        buf_printf(&s->state, "not known, for it has not answered within %d s: it %s",
                   STATE_MS / 1000, buf_cstr(&s->why));
    else
        buf_printf(&s->state, "not known, for it has ended: %s", r->text);
    reply_screen(s);
}

/* It says that it is a server or a special process, so a system message will be taken as one. */
static bool answers_system_messages(const struct screen *s)
{
    term init = atom_from_cstr("init");
    struct export *e;

    if (s->initial[0] == s->wait.view.initial[0] && s->initial[1] == s->wait.view.initial[1])
        return false;
    if (s->initial[1] == init && s->initial[2] == small_make(1))
        return true;
    if (strcmp(atom_text(s->initial[0], NULL), "gen_event") == 0)
        return true;
    e = export_find(s->initial[0], atom_from_cstr("system_continue"), 3);
    return e != NULL && export_is_defined(e);
}

static void print_state(void *arg, struct buf *out, term state, bool is_value, size_t max_bytes)
{
    struct screen *s = arg;

    request_print(s->rq, out, state, max_bytes);
}

static void finish(struct screen *s)
{
    struct run_limits limits = { .text_bytes_max = TEXT_MAX, .print = print_state };

    fill_mailbox(s);
    if (!request_flag(s->rq, "state")) {
        if (answers_system_messages(s))
            buf_str(&s->state, "ask it with --state");
    } else if (!answers_system_messages(s)) {
        buf_str(&s->state, "not asked: it is no server that says it answers system messages");
    } else if (run_start_state(s->pid, STATE_MS, &limits, on_state, s) != TERM_NONE) {
        return;
    } else {
        buf_str(&s->state, "not known: the table of processes is full");
    }
    reply_screen(s);
}

static void after_a_moment(struct request *rq)
{
    struct screen *s = rq->data;
    struct wait_view now = inspect_wait(s->pid, &s->bag);
    int64_t ns = clock_monotonic_ns() - s->read_ns;

    if (now.reason != WAITS_GONE && ns > 0)
        s->growth = ((int64_t)now.view.messages - (int64_t)s->wait.view.messages) * 1000000000 / ns;
    finish(s);
}

/* --- messages --------------------------------------------------------------------------------- */

/* Printed one behind the other, each with a NUL. */
struct message_texts { struct request *rq; struct buf all; size_t n; };

static bool put_message(void *arg, term msg)
{
    struct message_texts *m = arg;

    request_print(m->rq, &m->all, msg, TEXT_MAX);
    buf_u8(&m->all, 0);
    m->n++;
    return m->all.len < MESSAGES_BYTES;
}

static void reply_messages(struct request *rq, term pid)
{
    static const struct column cols[] = { { "nr", COL_COUNT_, false }, { "message", COL_TERM, false } };
    const char *wanted = request_option(rq, "messages");
    struct message_texts m = { .rq = rq };
    char there_text[UNIT_TEXT_MAX];
    int64_t n;
    size_t there, at = 0;

    if (!count_parse(wanted, &n) || n == 0) {
        reply_error(rq, EXIT_USAGE, "RN0101", "--messages 20", NULL, "`%s` is no number of messages",
                    wanted);
        return;
    }
    there = inspect_messages(pid, (size_t)n, put_message, &m);
    reply_head(rq, "rnode.messages/1", cols, ARRAY_LEN(cols), false);
    for (size_t i = 0; i < m.n; i++) {
        const char *text = (const char *)m.all.data + at;

        reply_row(rq, (struct cell[]){ CELL_NUMBER(i + 1), CELL_TEXT(text) }, 2);
        at += strlen(text) + 1;
    }
    reply_done(rq, there - m.n, there, "%zu of %s messages", m.n, count_text(there, there_text));
    buf_fini(&m.all);
}

bool inspect_process(struct request *rq, const char *what)
{
    term pid = view_find(what);
    struct screen *s;

    if (pid == TERM_NONE)
        return false;
    if (request_flag(rq, "messages")) {
        reply_messages(rq, pid);
        return true;
    }
    s = MEM_NEW(struct screen);
    s->rq = rq;
    s->pid = pid;
    heap_bag_init(&s->bag);
    if (!read_screen(s)) {
        reply_error(rq, EXIT_NO, "RN0302", NULL, NULL, "%s is gone", what);
        screen_free(s);
    } else if (s->wait.view.messages > 0 || s->wait.reason == WAITS_NOT) {
        rq->data = s;
        request_later(rq, GROWTH_MS, after_a_moment);
    } else {
        finish(s);
    }
    return true;
}
