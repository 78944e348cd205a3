/* SPDX-License-Identifier: Apache-2.0 */
/*
 * durable.c - names that come back: registered with a start {M, F, Args}, started again with the
 * node
 *
 *   store:register(Name, {M, F, Args}) -> {ok, Pid}    call M:F(Args) here, as a supervisor would;
 *                                                      register what it has started, and keep that
 *   store:unregister(Name) -> true                     forget the start, and the name
 *   store:names() -> [{Name, {M, F, Args}, Since}]     in order of registration
 *
 * M:F gives a pid, {ok, Pid} or {ok, Pid, Info}; if it registers the name itself, that is fine. A
 * durable name whose process ends stays durable, and free, until the node starts the next time;
 * whoever wants it back at once uses a supervisor.
 *
 *   database names   a number that counts up (8 bytes) -> {Name, M, F, Args, Since}
 *
 * After a start the process `durable_names` calls the start functions, one after the other, and
 * stays as the parent of what they link to it. A start that fails is logged and does not keep the
 * others from starting.
 */
#include "bif/durable.h"
#include "bif/ets_priv.h"
#include "bif/own_code.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/epoch.h"
#include "base/errors.h"
#include "base/log.h"
#include "heap/etf.h"
#include "table/sortkey.h"
#include "term/print.h"
#include "vm/code.h"
#include "vm/registry.h"

#include <pthread.h>

struct durable {
    struct durable *next;
    uint64_t number;
    term name;
    struct buf value;       /* as stored */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct durable *first, **last = &first;  /* [lk] in order of registration */
static uint64_t last_number;                    /* [lk] */
static struct durable *to_start;                /* [lk] copies, for the starter */

/* start/2: check/2 gives {M, F, Args}; keep/3 registers and records what M:F(Args) gave.
 * restart/0: next/0 gives {Name, M, F, Args} or the atom done. */
static const char text[] =
    "module rnode_names\n"
    "export start/2\n"
    "export restart/0\n"
    "function start/2\n"
    "    allocate 2 2\n"
    "    move x0 y0\n"
    "    move x1 y1\n"
    "    line\n"
    "    call_ext 2 rnode_names:check/2\n"
    "    get_tuple_element x0 0 x3\n"
    "    get_tuple_element x0 1 x1\n"
    "    get_tuple_element x0 2 x2\n"
    "    move x3 x0\n"
    "    line\n"
    "    call_ext 3 erlang:apply/3\n"
    "    move x0 x2\n"
    "    move y1 x1\n"
    "    move y0 x0\n"
    "    line\n"
    "    call_ext_last 3 rnode_names:keep/3 2\n"
    "function restart/0\n"
    "    allocate 2 0\n"
    "    init_yregs [y0 y1]\n"
    "    move trap_exit x0\n"
    "    move true x1\n"
    "    line\n"
    "    call_ext 2 erlang:process_flag/2\n"
    "  more:\n"
    "    line\n"
    "    call_ext 0 rnode_names:next/0\n"
    "    is_tuple @stay x0\n"
    OWN_CODE_APPLY
    "    line\n"
    "    call_ext 2 rnode_names:restarted/2\n"
    "    jump @more\n"
    "  stay:\n"
    "    loop_rec @idle x0\n"
    "    remove_message\n"
    "    jump @stay\n"
    "  idle:\n"
    "    wait @stay\n";

/* --- the list --------------------------------------------------------------------------------- */

static void number_key(uint64_t n, uint8_t key[8])
{
    for (int i = 0; i < 8; i++)
        key[i] = (uint8_t)(n >> (56 - 8 * i));
}

/* Under the lock: the entry of name, taken off the list; NULL: none. */
static struct durable *list_take(term name)
{
    struct durable **link = &first, *d;

    while (*link != NULL && (*link)->name != name)
        link = &(*link)->next;
    d = *link;
    if (d != NULL) {
        *link = d->next;
        if (last == &d->next)
            last = link;
    }
    return d;
}

static void list_add(struct durable *d)
{
    *last = d;
    last = &d->next;
}

static void durable_free(struct durable *d)
{
    if (d != NULL)
        buf_fini(&d->value);
    mem_free(d);
}

static void batch_forget(struct store_batch *b, const struct durable *d)
{
    uint8_t key[8];

    number_key(d->number, key);
    store_batch_delete(persist_store(), b, "names", key, sizeof key);
}

/* Record d, in place of an older entry of its name. Takes d. The ticket to wait for. */
static uint64_t durable_record(struct durable *d)
{
    struct store_batch b = { { 0 } };
    struct durable *old;
    uint8_t key[8];
    uint64_t ticket;

    pthread_mutex_lock(&lock);
    old = list_take(d->name);
    if (old != NULL)
        batch_forget(&b, old);
    d->number = ++last_number;
    number_key(d->number, key);
    store_batch_put(persist_store(), &b, "names", key, sizeof key, d->value.data, d->value.len);
    list_add(d);
    ticket = store_submit(persist_store(), &b);
    pthread_mutex_unlock(&lock);
    durable_free(old);
    return ticket;
}

/* The stored entry on h; TERM_NONE: damaged. */
static term durable_term(const struct durable *d, struct heap *h)
{
    struct reader r = reader_make(d->value.data, d->value.len);
    term t = etf_decode(h, &r, 0);

    return t != TERM_NONE && is_tuple_n(t, 5) && is_atom(tuple_elem(t, 0)) ? t : TERM_NONE;
}

/* --- the built-ins ---------------------------------------------------------------------------- */

term bif_store_register(struct process *p, const term *a)
{
    return bif_trap(p, export_get(atom_from_cstr("rnode_names"), atom_from_cstr("start"), 2), 2, a);
}

term bif_names_check(struct process *p, const term *a)
{
    if (persist_store() == NULL)
        return bif_badarg_cause(p, ATOM_no_store);
    if (store_failure(persist_store()) < 0)
        return ets_store_error(p, -ERR_SYSTEM);
    if (!is_atom(a[0]) || a[0] == ATOM_undefined || !is_tuple_n(a[1], 3) ||
        !is_atom(tuple_elem(a[1], 0)) || !is_atom(tuple_elem(a[1], 1)) ||
        list_length(tuple_elem(a[1], 2)) < 0)
        return bif_badarg(p);
    if (registry_whereis(a[0]) != TERM_NONE)
        return bif_badarg_cause(p, ATOM_already_exists);
    return term_is_storable(a[1]) ? a[1] : ets_store_error(p, -ERR_ARGUMENT);
}

/* The process that a start function says it has started; TERM_NONE: none. */
static term started_pid(term result)
{
    if (is_tuple(result) && tuple_arity(result) >= 2 && tuple_arity(result) <= 3 &&
        tuple_elem(result, 0) == ATOM_ok)
        result = tuple_elem(result, 1);
    return is_local_pid(result) ? result : TERM_NONE;
}

/* The name is that of pid afterwards. */
static bool name_for(term name, term pid)
{
    return registry_whereis(name) == pid || registry_add(name, pid);
}

term bif_names_keep(struct process *p, const term *a)
{
    struct heap *h = &p->heap;
    term pid = started_pid(a[2]), e[5];
    struct durable *d;

    if (pid == TERM_NONE)
        return bif_error2(p, ATOM_bad_start, a[2]);
    if (!name_for(a[0], pid))
        return bif_badarg_cause(p, ATOM_already_exists);
    e[0] = a[0];
    for (int i = 0; i < 3; i++)
        e[1 + i] = tuple_elem(a[1], i);
    e[4] = heap_int(h, clock_system_ns());
    d = MEM_NEW(struct durable);
    d->name = a[0];
    if (etf_encode(&d->value, heap_tuple(h, 5, e), 0, ETF_MINOR_DEFAULT) < 0 ||
        d->value.len > STORE_VALUE_MAX) {
        durable_free(d);
        return ets_store_error(p, -ERR_LIMIT);
    }
    return store_wait_ticket(p, durable_record(d), heap_tuple2(h, ATOM_ok, pid));
}

term bif_store_unregister(struct process *p, const term *a)
{
    struct store_batch b = { { 0 } };
    struct durable *d;
    uint64_t ticket = 0;

    if (persist_store() == NULL)
        return bif_badarg_cause(p, ATOM_no_store);
    if (!is_atom(a[0]))
        return bif_badarg(p);
    pthread_mutex_lock(&lock);
    d = list_take(a[0]);
    if (d != NULL) {
        batch_forget(&b, d);
        ticket = store_submit(persist_store(), &b);
    }
    pthread_mutex_unlock(&lock);
    if (d == NULL)
        return bif_badarg(p);
    durable_free(d);
    registry_remove(a[0]);
    return store_wait_ticket(p, ticket, ATOM_true);
}

term bif_store_names(struct process *p, const term *a)
{
    struct heap *h = &p->heap;
    term list = TERM_NIL, turned = TERM_NIL;

    pthread_mutex_lock(&lock);
    for (const struct durable *d = first; d != NULL; d = d->next) {
        term t = durable_term(d, h);

        if (t != TERM_NONE)
            turned = heap_cons(h, heap_tuple3(h, tuple_elem(t, 0),
                                              heap_tuple3(h, tuple_elem(t, 1), tuple_elem(t, 2),
                                                          tuple_elem(t, 3)),
                                              tuple_elem(t, 4)), turned);
    }
    pthread_mutex_unlock(&lock);
    for (; is_cons(turned); turned = cdr(turned))
        list = heap_cons(h, car(turned), list);
    return list;
}

void durable_names(void (*visit)(void *arg, term name, term start, int64_t since_ns), void *arg)
{
    struct heap bag;
    int64_t since;

    heap_bag_init(&bag);
    pthread_mutex_lock(&lock);
    for (const struct durable *d = first; d != NULL; d = d->next) {
        term t = durable_term(d, &bag);

        if (t != TERM_NONE && term_to_int64(tuple_elem(t, 4), &since))
            visit(arg, d->name, t, since);
    }
    pthread_mutex_unlock(&lock);
    heap_fini(&bag);
}

/* --- after a start ---------------------------------------------------------------------------- */

term bif_names_next(struct process *p, const term *a)
{
    struct durable *d;
    term t = TERM_NONE;

    do {
        pthread_mutex_lock(&lock);      /* any process may call this, though none has a reason */
        d = to_start;
        if (d != NULL)
            to_start = d->next;
        pthread_mutex_unlock(&lock);
        if (d != NULL)
            t = durable_term(d, &p->heap);
        durable_free(d);
    } while (d != NULL && t == TERM_NONE);
    if (t == TERM_NONE)
        return ATOM_done;
    return heap_tuple4(&p->heap, tuple_elem(t, 0), tuple_elem(t, 1), tuple_elem(t, 2),
                       tuple_elem(t, 3));
}

term bif_names_restarted(struct process *p, const term *a)
{
    term pid = started_pid(a[1]);
    struct buf b = { 0 };

    if (pid != TERM_NONE && name_for(a[0], pid)) {
        LOG(INFO, "names.start", NULL, "%s is started again", atom_text(a[0], NULL));
        return ATOM_ok;
    }
    term_print(&b, a[1], PRINT_STRINGS | PRINT_UNICODE, 1000);
    LOG(ERROR, "names.start", LOG_FIELDS("code", "RN0609"), "%s cannot be started again: %s",
        atom_text(a[0], NULL), buf_cstr(&b));
    buf_fini(&b);
    return ATOM_error;
}

static bool entry_add(void *arg, const void *key, size_t key_len, const void *value, size_t len)
{
    struct durable ***end = arg, *d = MEM_NEW(struct durable), *again;
    struct reader r = reader_make(key, key_len);
    struct heap bag;
    term t;

    d->number = reader_u64(&r);
    buf_add(&d->value, value, len);
    heap_bag_init(&bag);
    t = durable_term(d, &bag);
    d->name = t == TERM_NONE ? TERM_NONE : tuple_elem(t, 0);
    heap_fini(&bag);
    if (d->name == TERM_NONE) {
        LOG(ERROR, "names.start", LOG_FIELDS("code", "RN0608"), "the entry of a name is damaged");
        durable_free(d);
        return true;
    }
    again = MEM_NEW(struct durable);    /* one for the list, one for the starter */
    again->name = d->name;
    buf_add(&again->value, value, len);
    **end = again;
    *end = &again->next;
    last_number = d->number;
    list_add(d);
    return true;
}

int durable_start(void)
{
    struct spawn_options opt = { .prio = PRIO_NORMAL, .group_leader = TERM_NONE,
                                 .monitor_opts = TERM_NONE };
    struct load_error why;
    struct prepared *prepared;
    struct durable **end = &to_start;
    term module = TERM_NONE, name = atom_from_cstr("rnode_names"), pid;
    int rc = code_prepare_text(text, sizeof text - 1, "durable", name, &prepared, &why);

    if (rc == 0)
        rc = code_commit(&prepared, 1, &module);
    ASSERT(rc == 0);
    rc = store_visit(persist_store(), "names", false, entry_add, &end);
    if (rc < 0)
        return rc;
    epoch_enter();
    pid = process_spawn_mfa(NULL, name, atom_from_cstr("restart"), TERM_NIL, &opt, NULL);
    ASSERT(pid != TERM_NONE);
    registry_add(atom_from_cstr("durable_names"), pid);
    epoch_leave();
    return 0;
}
