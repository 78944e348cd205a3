/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tables.c - shared tables: rnodectl tables, and inspect of one
 *
 * Worker thread. A table that is deleted meanwhile stays readable until epoch_leave.
 */
#include "ctl/inspect_priv.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/epoch.h"
#include "base/units.h"
#include "ctl/exits.h"
#include "ctl/handlers.h"
#include "ctl/view.h"
#include "heap/parse.h"
#include "table/persist.h"
#include "table/table.h"
#include "term/atom.h"
#include "term/print.h"

#include <stdlib.h>

#define TEXT_MAX 4000       /* of one row */

static size_t row_limit(const struct request *rq)
{
    return rq->msg->limit;
}

static const char *table_type_name(enum table_type type)
{
    static const char *const names[] = { "set", "ordered_set", "bag", "duplicate_bag" };

    return names[type];
}

static const char *table_kept(struct table *t)
{
    return t->persist == NULL ? "ram" : table_is_loading(t) ? "loading" : "disk";
}

static const char *table_access(struct table *t)
{
    static const char *const protections[] = { "private", "protected", "public" };

    return protections[atomic_load(&t->protection)];
}

static void reply_table(struct request *rq, struct table *t, term id)
{
    struct buf name = { 0 }, owner = { 0 };
    int64_t reads, writes;

    term_print(&name, id, 0, 200);
    table_rates(t, &reads, &writes);
    if (is_local_pid(atomic_load(&t->owner)))
        view_pid(&owner, atomic_load(&t->owner));
    reply_row(rq, (struct cell[]){
        CELL_TEXT(buf_cstr(&name)), CELL_TEXT(table_type_name(t->type)), CELL_NUMBER(table_size(t)),
        CELL_NUMBER(table_memory_words(t) * (int64_t)sizeof(term)),
        CELL_TEXT(table_kept(t)), CELL_TEXT(table_access(t)),
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

/* --- rows ----------------------------------------------------------------------------------------- */

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
    reply_head(rq, "rnode.rows/1", cols, ARRAY_LEN(cols), false);
    for (term l = list_turned(s.list); is_cons(l) && (limit == 0 || shown < limit); l = cdr(l)) {
        struct buf text = { 0 };

        request_print(rq, &text, car(l), TEXT_MAX);
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
    reply_head(rq, "rnode.tables/1", cols, ARRAY_LEN(cols), false);
    for (size_t i = 0; i < n && (row_limit(rq) == 0 || shown < row_limit(rq)); i++) {
        struct table *t = is_atom(at[i].id) ? table_by_name(at[i].id) : table_by_id(at[i].id);

        if (t == NULL)
            continue;
        reply_table(rq, t, at[i].id);
        shown++;
    }
    epoch_leave();
    if (shown < n)
        reply_done(rq, n - shown, n, "%zu of %zu tables · all: -l 0", shown, n);
    else
        reply_done(rq, 0, n, "%s", "");
    mem_free(at);
    heap_fini(&bag);
}

/* --- one table ------------------------------------------------------------------------------------ */

#define FIRST_ROWS 3
#define ROW_MAX    200

static const struct column table_columns[] = {
    { "table", COL_TEXT, false }, { "type", COL_TEXT, false }, { "keypos", COL_COUNT_, false },
    { "rows", COL_COUNT_, false }, { "size", COL_BYTES, false }, { "kept", COL_TEXT, false },
    { "access", COL_TEXT, false }, { "owner", COL_TEXT, false }, { "heir", COL_TEXT, false },
    { "options", COL_TEXT, false }, { "fixed", COL_TEXT, false }, { "reads", COL_RATE, false },
    { "writes", COL_RATE, false }, { "first", COL_TEXT, false },
};

static void add_process(struct buf *out, term pid)
{
    term name = inspect_name(pid);

    if (is_atom(name))
        buf_printf(out, "%s ", atom_text(name, NULL));
    term_print(out, pid, 0, 100);
}

/* The first rows, a line each; the whole table is not walked. */
static void add_first_rows(struct buf *out, struct table *t, struct heap *bag)
{
    struct match_spec *ms = match_compile_pattern(ATOM_underscore, ATOM_dollar_underscore);
    struct match_run run;
    struct select s;
    size_t n = 0;

    match_run_init(&run, ms, bag, TERM_NIL);
    select_init(&s, &run, SELECT_VALUES);
    s.limit = FIRST_ROWS;
    if (table_select(t, &s) >= 0) {
        for (term l = list_turned(s.list); is_cons(l) && n < FIRST_ROWS; l = cdr(l), n++) {
            buf_str(out, n > 0 ? "\n" : "");
            term_print(out, car(l), PRINT_STRINGS | PRINT_UNICODE, ROW_MAX);
        }
    }
    match_run_fini(&run);
    match_free(ms);
}

static void add_options(struct buf *out, const struct table *t)
{
    if (t->write_concurrency != ATOM_false)
        buf_str(out, " write_concurrency");
    if (t->read_concurrency)
        buf_str(out, " read_concurrency");
    if (t->compressed)
        buf_str(out, " compressed");
    if (t->persist != NULL && atomic_load(&t->persist->sync))
        buf_str(out, " sync");
}

static void add_fixed(struct buf *out, struct table *t)
{
    char text[UNIT_TEXT_MAX];
    int64_t since;

    spin_lock(&t->meta);
    since = t->fixed_mono_ns;
    spin_unlock(&t->meta);
    if (table_is_fixed(t))
        buf_printf(out, "for %s by a traversal: rows deleted meanwhile stay until its end",
                   age_text(clock_monotonic_ns() - since, text));
}

/* Inside an epoch. */
static void reply_one_table(struct request *rq, struct table *t, term id, struct heap *bag)
{
    struct buf name = { 0 }, owner = { 0 }, heir = { 0 }, options = { 0 }, fixed = { 0 },
               first = { 0 };
    int64_t reads, writes;
    term data, heir_pid = table_heir(t, bag, &data);

    term_print(&name, id, 0, 200);
    if (is_local_pid(atomic_load(&t->owner)))
        add_process(&owner, atomic_load(&t->owner));
    else
        buf_str(&owner, "none: it waits for one");
    if (is_local_pid(heir_pid))
        add_process(&heir, heir_pid);
    add_options(&options, t);
    add_fixed(&fixed, t);
    table_rates(t, &reads, &writes);
    if (rq->role >= ROLE_OPERATE)
        add_first_rows(&first, t, bag);
    reply_head(rq, "rnode.table/1", table_columns, ARRAY_LEN(table_columns), true);
    reply_row(rq, (struct cell[]){
        CELL_TEXT(buf_cstr(&name)), CELL_TEXT(table_type_name(t->type)), CELL_NUMBER(t->keypos),
        CELL_NUMBER(table_size(t)), CELL_NUMBER(table_memory_words(t) * (int64_t)sizeof(term)),
        CELL_TEXT(table_kept(t)), CELL_TEXT(table_access(t)), CELL_TEXT(buf_cstr(&owner)),
        CELL_TEXT(buf_cstr(&heir)), CELL_TEXT(options.len > 0 ? buf_cstr(&options) + 1 : ""),
        CELL_TEXT(buf_cstr(&fixed)), CELL_NUMBER(reads), CELL_NUMBER(writes),
        CELL_TEXT(buf_cstr(&first)),
    }, ARRAY_LEN(table_columns));
    reply_done(rq, 0, 0, rq->role >= ROLE_OPERATE ? "rows: rnodectl tables '%s'"
                                                  : "rows of '%s' need the role operate",
               buf_cstr(&name));
    for (size_t i = 0; i < 6; i++)
        buf_fini((struct buf *[]){ &name, &owner, &heir, &options, &fixed, &first }[i]);
}

bool inspect_table(struct request *rq, const char *what)
{
    struct table *t = NULL;
    struct heap bag;
    char why[80];
    size_t used;
    term id = atom_existing_utf8(what, strlen(what));

    heap_bag_init(&bag);
    if (id == TERM_NONE)
        id = parse_term(&bag, what, strlen(what), &used, why, sizeof why);
    epoch_enter();
    if (id != TERM_NONE)
        t = is_atom(id) ? table_by_name(id) : table_by_id(id);
    if (t != NULL)
        reply_one_table(rq, t, id, &bag);
    epoch_leave();
    heap_fini(&bag);
    return t != NULL;
}
