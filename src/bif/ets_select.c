/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ets_select.c - match specifications over tables and lists
 *
 * Continuations look as OTP's do, since ets:repair_continuation/2 takes them apart:
 *   {Table, Bucket, Limit, CompiledSpec, Rest, 0}                          hash tables
 *   {Table, LastKey, [], Limit, CompiledSpec, [], Reverse, 0}              ordered_set
 */
#include "bif/ets_priv.h"
#include "bif/text.h"
#include "vm/code.h"

#define OBJECTS_PER_REDUCTION 4
#define OBJECTS_PER_TURN 8000   /* then others have their turn */
#define NO_BUCKET ((int64_t)1 << 58)

/* --- compiled specifications as terms --------------------------------------------------------- */

#define blob_spec(b) (*(struct match_spec **)(void *)(b)->data)

static void spec_dtor(struct blob *b)
{
    match_free(blob_spec(b));
}

/* Takes ms. */
static term spec_term(struct process *p, struct match_spec *ms)
{
    struct blob *b = blob_new(sizeof ms);

    blob_spec(b) = ms;
    b->dtor = spec_dtor;
    return magic_make(&p->heap, b);
}

static struct match_spec *spec_of(term t)
{
    return box_is(t, HK_MAGIC) && magic_blob(t)->dtor == spec_dtor ? blob_spec(magic_blob(t))
                                                                   : NULL;
}

/* --- select ----------------------------------------------------------------------------------- */

static term continuation(struct process *p, struct table *t, const struct select *s, term id,
                         term spec, term rest)
{
    struct heap *h = &p->heap;
    term limit = heap_uint(h, s->limit);

    if (t->type == TABLE_ORDERED_SET) {
        term e[8] = { id, s->last_key, TERM_NIL, limit, spec, TERM_NIL,
                      small_make(s->reverse), small_make(0) };

        return heap_tuple(h, 8, e);
    } else {
        term e[6] = { id, small_make(s->done ? NO_BUCKET : (int64_t)s->bucket), limit, spec, rest,
                      small_make(0) };

        return heap_tuple(h, 6, e);
    }
}

/* Cut list behind its first n elements; the rest. */
static term list_cut(term list, uint64_t n)
{
    term rest;

    for (; n > 1; n--)
        list = cdr(list);
    rest = cdr(list);
    cdr(list) = TERM_NIL;
    return rest;
}

/* Collect up to s->limit values. spec is the compiled specification as a term. */
static term select_chunk(struct process *p, struct table *t, struct select *s, term id, term spec,
                         term rest)
{
    struct match_run run;
    term list = rest;
    uint64_t have = is_nil(rest) ? 0 : (uint64_t)list_length(rest);
    int rc = 0;

    if (have < s->limit && !s->done) {
        s->limit -= have;
        match_run_init(&run, spec_of(spec), &p->heap, p->pid);
        s->run = &run;
        rc = table_select(t, s);
        match_run_fini(&run);
        charge(p, (int64_t)(s->visited / OBJECTS_PER_REDUCTION));
        s->list = list_turned(s->list);
        s->limit += have;
        for (term l = s->list; is_cons(l); l = cdr(l))
            have++;
        if (is_nil(list)) {
            list = s->list;
        } else {
            /* the rest of the last round is a list of ours: nobody else sees its cells */
            term l = list;

            while (is_cons(cdr(l)))
                l = cdr(l);
            cdr(l) = s->list;
        }
    }
    if (rc < 0)
        return bif_badarg_cause(p, ATOM_id);
    if (is_nil(list))
        return ATOM_end_of_table;
    if (have > s->limit)
        rest = list_cut(list, s->limit);
    else
        rest = TERM_NIL;
    if (s->done && is_nil(rest))
        return heap_tuple2(&p->heap, list, ATOM_end_of_table);
    return heap_tuple2(&p->heap, list, continuation(p, t, s, id, spec, rest));
}

/* A list copied, so that its cells may be written. */
static term list_fresh(struct process *p, term list)
{
    int64_t n = list_length(list);
    term *at, result;

    if (n <= 0)
        return TERM_NIL;
    at = heap_alloc(&p->heap, (size_t)n * CONS_WORDS);
    result = cons_term(at);
    for (; is_cons(list); list = cdr(list), at += CONS_WORDS) {
        at[0] = car(list);
        at[1] = cons_term(at + CONS_WORDS);
    }
    at[-1] = TERM_NIL;
    return result;
}

term bif_ets_select_1(struct process *p, const term *a)
{
    term c = a[0], limit, spec, cause;
    struct select s;
    struct table *t;
    bool ordered = is_tuple_n(c, 8);

    if (c == ATOM_end_of_table)
        return c;
    if (!ordered && !is_tuple_n(c, 6))
        return bif_badarg(p);
    limit = tuple_elem(c, ordered ? 3 : 2);
    spec = tuple_elem(c, ordered ? 4 : 3);
    if (!is_small(limit) || small_val(limit) < 1 || spec_of(spec) == NULL)
        return bif_badarg(p);
    t = ets_find(p, tuple_elem(c, 0), ETS_READ, &cause);
    if (t == NULL)
        return bif_badarg_cause(p, cause);
    if (ordered != (t->type == TABLE_ORDERED_SET))
        return bif_badarg(p);
    select_init(&s, NULL, SELECT_VALUES);
    s.limit = (uint64_t)small_val(limit);
    if (ordered) {
        s.last_key = tuple_elem(c, 1);
        s.reverse = tuple_elem(c, 6) != small_make(0);
        return select_chunk(p, t, &s, tuple_elem(c, 0), spec, TERM_NIL);
    }
    if (!is_small(tuple_elem(c, 1)) || small_val(tuple_elem(c, 1)) < 0)
        return bif_badarg(p);
    s.bucket = (uint64_t)small_val(tuple_elem(c, 1));
    s.done = s.bucket == (uint64_t)NO_BUCKET;
    return select_chunk(p, t, &s, tuple_elem(c, 0), spec, list_fresh(p, tuple_elem(c, 4)));
}

/* Which built-in asks, should it have to be called again. */
struct who { const char *function; size_t arity; };
#define WHO(f, n) (struct who){ (f), (n) }

/* Takes ms (NULL: badarg). */
static term select_limited(struct process *p, const term *a, struct who who, struct match_spec *ms,
                           bool reverse)
{
    struct select s;
    struct table *t;
    term cause, spec;

    if (ms == NULL)
        return bif_badarg(p);
    spec = spec_term(p, ms);
    t = ets_find(p, a[0], ETS_READ, &cause);
    if (t == NULL)
        return bif_badarg_cause(p, cause);
    if (!is_small(a[2]) || small_val(a[2]) < 1)
        return bif_badarg(p);
    ETS_LOADED(p, t, who.function, who.arity, a);
    select_init(&s, NULL, SELECT_VALUES);
    s.limit = (uint64_t)small_val(a[2]);
    s.reverse = reverse;
    return select_chunk(p, t, &s, a[0], spec, TERM_NIL);
}

/* --- selects over whole tables take turns ---------------------------------------------------------
 * What is not done after one turn goes on as ets:'$select'(State, LastKey, List) when others have
 * had theirs; the table is fixed meanwhile. The state is a blob, so that no program can make one.
 */
struct turns { struct match_spec *ms; struct blob *table; struct select s; };

#define blob_turns(b) ((struct turns *)(void *)(b)->data)

static void turns_dtor(struct blob *b)
{
    match_free(blob_turns(b)->ms);
    blob_unref(blob_turns(b)->table);
}

/* Run for one turn; on the first, state is TERM_NONE, and ms is taken. */
static term select_turn(struct process *p, struct table *t, struct select *s, struct match_spec *ms,
                        term state)
{
    struct match_run run;
    struct blob *b;
    term args[3];
    int rc;

    match_run_init(&run, ms, &p->heap, p->pid);
    s->run = &run;
    s->budget = OBJECTS_PER_TURN;
    s->visited = 0;
    rc = table_select(t, s);
    match_run_fini(&run);
    charge(p, (int64_t)(s->visited / OBJECTS_PER_REDUCTION));
    if (rc < 0 || s->done) {
        if (state == TERM_NONE)
            match_free(ms);
        else
            table_unfix(t, p->pid);
        return rc < 0 ? bif_badarg_cause(p, ATOM_id) : TERM_NIL;
    }
    args[0] = state;
    args[1] = s->last_key == TERM_NONE ? TERM_NIL : s->last_key;
    args[2] = s->list;
    if (state == TERM_NONE) {
        b = blob_new(sizeof(struct turns));
        blob_turns(b)->ms = ms;
        blob_turns(b)->table = blob_ref(t->id);
        b->dtor = turns_dtor;
        args[0] = magic_make(&p->heap, b);
        table_fix(t, p->pid);
    }
    blob_turns(magic_blob(args[0]))->s = *s;
    return state == TERM_NONE
               ? bif_trap(p, export_get(ATOM_ets, ATOM_dollar_select, 3), 3, args)
               : bif_yield(p, 3, args);
}

/* What a finished select gives. */
static term select_result(struct process *p, struct table *t, struct select *s)
{
    term count;

    if (s->what == SELECT_VALUES)
        return list_turned(s->list);
    count = heap_uint(&p->heap, s->count);
    return s->what == SELECT_COUNT ? count : ets_written(p, t, count);
}

term bif_ets_select_on(struct process *p, const term *a)
{
    struct turns *turns;
    struct select s;
    struct table *t;

    if (!box_is(a[0], HK_MAGIC) || magic_blob(a[0])->dtor != turns_dtor)
        return bif_badarg(p);
    turns = blob_turns(magic_blob(a[0]));
    t = table_of_blob(turns->table);
    if (t == NULL)
        return bif_badarg_cause(p, ATOM_id);
    s = turns->s;
    s.changed = TERM_NIL;
    if (t->type == TABLE_ORDERED_SET)
        s.last_key = a[1];
    s.list = a[2];
    if (select_turn(p, t, &s, turns->ms, a[0]) == TERM_NONE)
        return TERM_NONE;
    return select_result(p, t, &s);
}

/* Takes ms (NULL: badarg). */
static term select_all(struct process *p, const term *a, struct who who, struct match_spec *ms,
                       enum select_what what, bool reverse)
{
    bool writes = what == SELECT_DELETE || what == SELECT_REPLACE;
    struct select s;
    term cause;
    struct table *t = ets_find(p, a[0], writes ? ETS_WRITE : ETS_READ, &cause);
    int rc;

    if (t == NULL || ms == NULL ||
        (what == SELECT_REPLACE &&
         (t->type == TABLE_BAG || !match_keeps_key(ms, t->keypos)))) {
        match_free(ms);
        return t == NULL ? bif_badarg_cause(p, cause) : bif_badarg(p);
    }
    if (table_is_loading(t)) {
        match_free(ms);
        return ets_wait_loaded(p, t, who.function, who.arity, a);
    }
    rc = writes && t->persist != NULL ? persist_check_part(t, a[1]) : 0;
    if (rc < 0) {
        match_free(ms);
        return ets_store_error(p, rc);
    }
    select_init(&s, NULL, what);
    s.reverse = reverse;
    return select_turn(p, t, &s, ms, TERM_NONE) == TERM_NONE ? TERM_NONE
                                                             : select_result(p, t, &s);
}

/* An empty specification is allowed here, unlike elsewhere, and matches nothing: no object is an
 * atom. */
static struct match_spec *spec_compile(term spec)
{
    if (is_nil(spec))
        return match_compile_pattern(ATOM_undefined, ATOM_true);
    return match_compile(spec, MATCH_TABLE, NULL);
}

#define SPEC(t) spec_compile(t)

term bif_ets_select_2(struct process *p, const term *a)
{
    return select_all(p, a, WHO("select", 2), SPEC(a[1]), SELECT_VALUES, false);
}

term bif_ets_select_3(struct process *p, const term *a)
{
    return select_limited(p, a, WHO("select", 3), SPEC(a[1]), false);
}

term bif_ets_select_reverse_2(struct process *p, const term *a)
{
    return select_all(p, a, WHO("select_reverse", 2), SPEC(a[1]), SELECT_VALUES, true);
}

term bif_ets_select_reverse_3(struct process *p, const term *a)
{
    return select_limited(p, a, WHO("select_reverse", 3), SPEC(a[1]), true);
}

term bif_ets_match_2(struct process *p, const term *a)
{
    return select_all(p, a, WHO("match", 2),
                      match_compile_pattern(a[1], ATOM_dollar_dollar),
                      SELECT_VALUES, false);
}

term bif_ets_match_3(struct process *p, const term *a)
{
    return select_limited(p, a, WHO("match", 3),
                      match_compile_pattern(a[1], ATOM_dollar_dollar),
                      false);
}

term bif_ets_match_object_2(struct process *p, const term *a)
{
    return select_all(p, a, WHO("match_object", 2),
                      match_compile_pattern(a[1], ATOM_dollar_underscore),
                      SELECT_VALUES, false);
}

term bif_ets_match_object_3(struct process *p, const term *a)
{
    return select_limited(p, a, WHO("match_object", 3),
                      match_compile_pattern(a[1], ATOM_dollar_underscore),
                      false);
}

term bif_ets_tab2list(struct process *p, const term *a)
{
    return select_all(p, a, WHO("tab2list", 1),
                      match_compile_pattern(ATOM_underscore, ATOM_dollar_underscore),
                      SELECT_VALUES, false);
}

term bif_ets_select_count(struct process *p, const term *a)
{
    return select_all(p, a, WHO("select_count", 2), SPEC(a[1]), SELECT_COUNT, false);
}

term bif_ets_select_delete(struct process *p, const term *a)
{
    return select_all(p, a, WHO("internal_select_delete", 2), SPEC(a[1]), SELECT_DELETE, false);
}

term bif_ets_match_delete(struct process *p, const term *a)
{
    term n = select_all(p, a, WHO("match_delete", 2), match_compile_pattern(a[1], ATOM_true),
                        SELECT_DELETE, false);

    return n == TERM_NONE ? n : ATOM_true;
}

term bif_ets_select_replace(struct process *p, const term *a)
{
    return select_all(p, a, WHO("select_replace", 2), SPEC(a[1]), SELECT_REPLACE, false);
}

/* --- over lists ------------------------------------------------------------------------------- */

term bif_ets_match_spec_compile(struct process *p, const term *a)
{
    struct match_spec *ms = match_compile(a[0], MATCH_TABLE, NULL);

    return ms == NULL ? bif_badarg(p) : spec_term(p, ms);
}

term bif_ets_is_compiled_ms(struct process *p, const term *a)
{
    return spec_of(a[0]) != NULL ? ATOM_true : ATOM_false;
}

/* Values for the elements of a list, in front of acc: the last one first. */
static term run_list(struct process *p, term list, term spec, term acc)
{
    struct match_run run;
    int64_t n = list_length(list);

    if (n < 0 || spec_of(spec) == NULL)
        return bif_badarg(p);
    match_run_init(&run, spec_of(spec), &p->heap, p->pid);
    for (; is_cons(list); list = cdr(list)) {
        term value = match_object(&run, car(list));

        if (value != TERM_NONE)
            acc = heap_cons(&p->heap, value, acc);
    }
    match_run_fini(&run);
    charge(p, n / OBJECTS_PER_REDUCTION);
    return acc;
}

term bif_ets_match_spec_run_r(struct process *p, const term *a)
{
    return run_list(p, a[0], a[1], a[2]);
}

term bif_ets_match_spec_run(struct process *p, const term *a)
{
    term turned = run_list(p, a[0], a[1], TERM_NIL), list = TERM_NIL;

    if (turned == TERM_NONE)
        return turned;
    for (; is_cons(turned); turned = cdr(turned))
        list = heap_cons(&p->heap, car(turned), list);
    return list;
}

/* --- trying out ------------------------------------------------------------------------------- */

/* The lines of errors as [{error, Text}]. */
static term error_list(struct process *p, struct buf *errors)
{
    struct heap *h = &p->heap;
    term list = TERM_NIL;
    char *text = buf_cstr(errors);

    while (*text != '\0') {
        char *end = strchr(text, '\n');

        *end = '\0';
        list = heap_cons(h, heap_tuple2(h, ATOM_error, heap_cstr(h, text)), list);
        text = end + 1;
    }
    return list;
}

/* {ok, Value} with false for no match, or {error, [{error, Text}]}; *ret_ok says which. */
static term try_spec(struct process *p, term object, term spec, enum match_dialect dialect,
                     bool *ret_ok)
{
    struct buf errors = { 0 };
    struct match_spec *ms = match_compile(spec, dialect, &errors);
    struct match_run run;
    term value;

    *ret_ok = ms != NULL;
    if (ms == NULL) {
        value = error_list(p, &errors);
    } else {
        match_run_init(&run, ms, &p->heap, p->pid);
        value = match_object(&run, object);
        match_run_fini(&run);
        match_free(ms);
        if (value == TERM_NONE)
            value = ATOM_false;
    }
    buf_fini(&errors);
    return value;
}

term bif_match_spec_test(struct process *p, const term *a)
{
    bool ok;
    term value;

    if (a[2] == ATOM_table ? !is_tuple(a[0]) : a[2] != ATOM_trace || list_length(a[0]) < 0)
        return bif_badarg(p);
    value = try_spec(p, a[0], a[1], a[2] == ATOM_table ? MATCH_TABLE : MATCH_TRACE, &ok);
    if (!ok)
        return heap_tuple2(&p->heap, ATOM_error, value);
    return heap_tuple4(&p->heap, ATOM_ok, value, TERM_NIL, TERM_NIL);
}

term bif_ets_test_ms(struct process *p, const term *a)
{
    bool ok;
    term value;

    if (!is_tuple(a[0]))
        return bif_badarg(p);
    value = try_spec(p, a[0], a[1], MATCH_TABLE, &ok);
    return heap_tuple2(&p->heap, ok ? ATOM_ok : ATOM_error, value);
}
