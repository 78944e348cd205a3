/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store.c - waiting for the store, and looking into the past of tables
 *
 * A built-in that has changed a persistent table goes on as store:'$await'(Ticket, Result,
 * Strict), which sleeps until the ticket is durable: the scheduler never waits for the disk. One
 * that needs all rows goes on as store:'$loaded'(Table, Function, Arguments), which calls it again once they are
 * there.
 *
 *   store:history(Tab, Key, From, To) -> [{Time, [Object]}]   oldest first; [] for deleted
 *   store:as_of(Tab, Time) -> [Object]                        in order of their stored keys
 *   store:now() -> Time                                       of the newest durable version
 *   store:sync() -> ok                                        all changes so far are durable
 * Times are nanoseconds since 1970, as erlang:system_time() gives them.
 */
#include "bif/ets_priv.h"

#include "base/alloc.h"
#include "base/errors.h"
#include "heap/etf.h"
#include "store/versions.h"
#include "vm/code.h"
#include "vm/sched.h"

#define PAST_BYTES_MAX ((size_t)256 << 20)  /* of one answer */

term ets_store_error(struct process *p, int rc)
{
    int failing;

    switch (rc) {
    case -ERR_ARGUMENT:
        return bif_badarg_cause(p, ATOM_not_storable);
    case -ERR_LIMIT:
        return bif_badarg_cause(p, ATOM_too_large);
    case -ERR_NOT_FOUND:
        return bif_badarg_cause(p, ATOM_no_store);
    default:
        failing = persist_store() == NULL ? -ERR_SYSTEM : store_failure(persist_store());
        return bif_error2(p, ATOM_store, failing == -ERR_LIMIT ? ATOM_full : ATOM_eio);
    }
}

/* --- until a change is durable ---------------------------------------------------------------- */

struct await { struct job job; struct store_waiter w; int rc; };

#define await_of(waiter) \
    ((struct await *)(void *)((uint8_t *)(waiter) - offsetof(struct await, w)))

static void await_free(struct job *job)
{
    mem_free(job);
}

static void await_done(struct store_waiter *w, int rc)
{
    await_of(w)->rc = rc;
    job_done(&await_of(w)->job);
}

static term await_result(struct process *p, int rc, term result)
{
    if (rc < 0)
        return bif_error2(p, ATOM_store, rc == -ERR_LIMIT ? ATOM_full : ATOM_eio);
    return result;
}

term bif_store_await(struct process *p, const term *a)
{
    struct await *w = (struct await *)(void *)p->job;
    uint64_t ticket;
    int rc;

    if (w != NULL) {
        if (!atomic_load(&w->job.done))     /* woken by something else */
            return bif_wait(p, 3, a);
        rc = w->rc;
        job_finish(p);
        return await_result(p, rc, a[1]);
    }
    if (!term_to_uint64(a[0], &ticket) || persist_store() == NULL)
        return bif_badarg(p);
    w = MEM_NEW(struct await);
    w->job.free = await_free;
    w->w = (struct store_waiter){ .ticket = ticket, .strict = a[2] == ATOM_true,
                                  .done = await_done };
    job_expect(p, &w->job);
    if (store_wait_async(persist_store(), &w->w, &rc)) {
        job_drop(p);
        return await_result(p, rc, a[1]);
    }
    return bif_wait(p, 3, a);
}

static struct export *own_export(const char *function, uint32_t arity)
{
    return export_get(ATOM_store, atom_from_cstr(function), arity);
}

static term wait_ticket(struct process *p, uint64_t ticket, term result, bool strict)
{
    static struct export *_Atomic await;
    term args[3];

    if (ticket == 0)
        return result;
    if (atomic_load(&await) == NULL)
        atomic_store(&await, own_export("$await", 3));
    args[0] = heap_uint(&p->heap, ticket);
    args[1] = result;
    args[2] = strict ? ATOM_true : ATOM_false;
    return bif_trap(p, atomic_load(&await), 3, args);
}

term store_wait_ticket(struct process *p, uint64_t ticket, term result)
{
    return wait_ticket(p, ticket, result, false);
}

term ets_wait_written(struct process *p, struct table *t, term result)
{
    return store_wait_ticket(p, table_ticket(t), result);
}

/* An empty change comes behind all others. */
term bif_store_sync(struct process *p, const term *a)
{
    struct store_batch b = { { 0 } };

    if (persist_store() == NULL)
        return bif_badarg_cause(p, ATOM_no_store);
    store_batch_delete(persist_store(), &b, "meta", "sync", 4);
    return wait_ticket(p, store_submit(persist_store(), &b), ATOM_ok, true);
}

/* --- until all rows are there ----------------------------------------------------------------- */

struct loaded { struct job job; struct load_waiter w; };

static void loaded_done(struct load_waiter *w)
{
    job_done((struct job *)(void *)((uint8_t *)w - offsetof(struct loaded, w)));
}

term bif_store_loaded(struct process *p, const term *a)
{
    struct loaded *w = (struct loaded *)(void *)p->job;
    struct table *t;
    term args[8], l = a[2];
    size_t n = 0;

    if (w != NULL) {
        if (!atomic_load(&w->job.done))
            return bif_wait(p, 3, a);
        job_finish(p);
    } else {
        t = is_atom(a[0]) ? table_by_name(a[0]) : table_by_id(a[0]);
        if (t != NULL && table_is_loading(t)) {
            w = MEM_NEW(struct loaded);
            w->job.free = await_free;
            w->w.done = loaded_done;
            job_expect(p, &w->job);
            if (persist_await_load(t, &w->w))
                return bif_wait(p, 3, a);
            job_drop(p);
        }
    }
    if (!is_atom(a[1]) || list_length(l) < 0 || list_length(l) > (int64_t)ARRAY_LEN(args))
        return bif_badarg(p);
    for (; is_cons(l); l = cdr(l))
        args[n++] = car(l);
    return bif_trap(p, export_get(ATOM_ets, a[1], (uint32_t)n), n, args);
}

term ets_wait_loaded(struct process *p, struct table *t, const char *function, size_t n,
                     const term *a)
{
    term args[3] = { table_id(t, &p->heap), atom_from_cstr(function),
                     heap_list(&p->heap, a, n, TERM_NIL) };

    return bif_trap(p, own_export("$loaded", 3), 3, args);
}

/* --- the past --------------------------------------------------------------------------------- */

struct past {
    struct job job;
    struct table *t;
    struct blob *held;      /* the table's */
    struct buf key, out;    /* key empty: all objects at `from` */
    int64_t from, to;
    int rc;
};

static void past_run(struct job *job)
{
    struct past *j = (struct past *)(void *)job;

    if (j->key.len == 0)
        j->rc = persist_as_of(j->t, j->from, PAST_BYTES_MAX, &j->out);
    else
        j->rc = persist_history(j->t, j->key.data, j->key.len, j->from, j->to, PAST_BYTES_MAX,
                                &j->out);
}

static void past_free(struct job *job)
{
    struct past *j = (struct past *)(void *)job;

    blob_unref(j->held);
    buf_fini(&j->key);
    buf_fini(&j->out);
    mem_free(j);
}

static bool is_bag(const struct table *t)
{
    return t->type == TABLE_BAG || t->type == TABLE_DUPLICATE_BAG;
}

/* The objects of a stored value as a list; TERM_NONE: damaged. */
static term past_objects(struct process *p, const struct past *j, struct reader *r)
{
    uint32_t len = reader_u32(r);
    struct reader value;
    const uint8_t *at;
    term v;

    if (len == UINT32_MAX)
        return TERM_NIL;
    at = reader_take(r, len);
    value = reader_make(at, at == NULL ? 0 : len);
    v = etf_decode(&p->heap, &value, 0);
    if (v == TERM_NONE || is_bag(j->t))
        return v;
    return heap_cons(&p->heap, v, TERM_NIL);
}

/* What the job has found, as a term. Lists are made from the end, so all pieces first. */
static term past_result(struct process *p, struct past *j)
{
    struct reader r = reader_make(j->out.data, j->out.len);
    struct heap *h = &p->heap;
    term list = TERM_NIL, turned = TERM_NIL;

    while (reader_left(&r) > 0) {
        int64_t time = (int64_t)reader_u64(&r);
        term objects = past_objects(p, j, &r);

        if (objects == TERM_NONE)
            continue;
        if (j->key.len != 0)
            turned = heap_cons(h, heap_tuple2(h, heap_int(h, time), objects), turned);
        for (; j->key.len == 0 && is_cons(objects); objects = cdr(objects))
            turned = heap_cons(h, car(objects), turned);
    }
    for (; is_cons(turned); turned = cdr(turned))
        list = heap_cons(h, car(turned), list);
    charge(p, (int64_t)(j->out.len / 64));
    return list;
}

static term past_finished(struct process *p)
{
    struct past *j = (struct past *)(void *)p->job;
    int rc = j->rc;
    term list = rc == 0 ? past_result(p, j) : TERM_NIL;

    job_finish(p);
    switch (rc) {
    case 0:
        return list;
    case -ERR_LIMIT:
        return bif_badarg_cause(p, ATOM_too_large);
    case -ERR_TIMEOUT:
        return bif_error2(p, ATOM_store, ATOM_timeout);
    default:
        return bif_error2(p, ATOM_store, ATOM_eio);
    }
}

/* What is not durable yet is not history yet. */
static term past_start(struct process *p, const term *a, size_t n, struct table *t, struct buf *key,
                       int64_t from, int64_t to)
{
    struct past *j = MEM_NEW(struct past);

    j->job.run = past_run;
    j->job.free = past_free;
    j->t = t;
    j->held = blob_ref(t->id);
    j->key = *key;
    j->from = from;
    j->to = to;
    return job_submit(p, &j->job, n, a);
}

static bool time_of(term t, int64_t *ret)
{
    if (t == ATOM_infinity)
        *ret = INT64_MAX - 1;
    else if (!term_to_int64(t, ret) || *ret == INT64_MAX)
        return false;
    return true;
}

/* The table, if it has a history; else NULL. */
static struct table *past_table(struct process *p, term id, term *ret_cause)
{
    struct table *t = ets_find(p, id, ETS_READ, ret_cause);

    if (t == NULL || (t->persist != NULL && atomic_load(&t->persist->keep_ms) != 0))
        return t;
    *ret_cause = ATOM_history;
    return NULL;
}

term bif_store_history(struct process *p, const term *a)
{
    struct table *t;
    struct buf key = { 0 };
    int64_t from, to;
    term cause;

    if (p->job != NULL)
        return atomic_load(&p->job->done) ? past_finished(p) : bif_wait(p, 4, a);
    t = past_table(p, a[0], &cause);
    if (t == NULL)
        return bif_badarg_cause(p, cause);
    if (!time_of(a[2], &from) || !time_of(a[3], &to))
        return bif_badarg(p);
    if (persist_key(t, a[1], &key) < 0) {
        buf_fini(&key);
        return TERM_NIL;    /* no such key was ever let in */
    }
    return past_start(p, a, 4, t, &key, from, to);
}

term bif_store_as_of(struct process *p, const term *a)
{
    struct table *t;
    struct buf none = { 0 };
    int64_t at;
    term cause;

    if (p->job != NULL)
        return atomic_load(&p->job->done) ? past_finished(p) : bif_wait(p, 2, a);
    t = past_table(p, a[0], &cause);
    if (t == NULL)
        return bif_badarg_cause(p, cause);
    if (!time_of(a[1], &at))
        return bif_badarg(p);
    return past_start(p, a, 2, t, &none, at, at);
}

term bif_store_now(struct process *p, const term *a)
{
    if (persist_store() == NULL)
        return bif_badarg_cause(p, ATOM_no_store);
    return heap_int(&p->heap, versions_now(persist_store()));
}
