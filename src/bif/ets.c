/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ets.c - tables and their objects: making, owning, inserting, looking up, walking
 */
#include "bif/ets_priv.h"
#include "base/errors.h"
#include "vm/code.h"
#include "vm/sched.h"

ALWAYS_INLINE term truth(bool b)
{
    return b ? ATOM_true : ATOM_false;
}

term ets_no_table_cause(term id)
{
    return is_atom(id) || is_ref(id) ? ATOM_id : ATOM_type;
}

term ets_shown_id(struct process *p, struct table *t)
{
    return atomic_load(&t->named) ? atomic_load(&t->name) : table_id(t, &p->heap);
}

/* --- making and owning ------------------------------------------------------------------------ */

static bool is_boolean(term t)
{
    return t == ATOM_true || t == ATOM_false;
}

/* Some 292 years, what nanoseconds in 64 bits can say; more is as good as for ever. */
#define HISTORY_MS_MAX ((int64_t)9223372036854)

static bool pair_option(struct table_options *opt, term name, term value)
{
    if (name == ATOM_keypos && is_small(value) && small_val(value) >= 1 &&
        small_val(value) <= UINT32_MAX)
        opt->keypos = (uint32_t)small_val(value);
    else if (name == ATOM_read_concurrency && is_boolean(value))
        opt->read_concurrency = value == ATOM_true;
    else if (name == ATOM_write_concurrency && (is_boolean(value) || value == ATOM_auto_))
        opt->write_concurrency = value;
    else if (name == ATOM_decentralized_counters && is_boolean(value))
        opt->decentralized_counters = value == ATOM_true;
    else if (name == ATOM_heir && value == ATOM_none)
        opt->heir = ATOM_none;
    else if (name == ATOM_persist && is_boolean(value))
        opt->is_persistent = value == ATOM_true;
    else if (name == ATOM_sync && is_boolean(value))
        opt->sync = value == ATOM_true;
    else if (name == ATOM_history && value == ATOM_infinity)
        opt->keep_ms = PERSIST_KEEP_ALL;
    else if (name == ATOM_history && is_small(value) && small_val(value) > 0)
        opt->keep_ms = small_val(value) < HISTORY_MS_MAX ? small_val(value) : PERSIST_KEEP_ALL;
    else
        return false;
    return true;
}

static bool atom_option(struct table_options *opt, term o)
{
    switch (o) {
    case ATOM_set:
        opt->type = TABLE_SET;
        return true;
    case ATOM_ordered_set:
        opt->type = TABLE_ORDERED_SET;
        return true;
    case ATOM_bag:
        opt->type = TABLE_BAG;
        return true;
    case ATOM_duplicate_bag:
        opt->type = TABLE_DUPLICATE_BAG;
        return true;
    case ATOM_public:
        opt->protection = TABLE_PUBLIC;
        return true;
    case ATOM_protected:
        opt->protection = TABLE_PROTECTED;
        return true;
    case ATOM_private:
        opt->protection = TABLE_PRIVATE;
        return true;
    case ATOM_named_table:
        opt->named = true;
        return true;
    case ATOM_compressed:
        opt->compressed = true;
        return true;
    default:
        return false;
    }
}

static bool new_option(struct table_options *opt, term o)
{
    if (is_atom(o))
        return atom_option(opt, o);
    if (is_tuple_n(o, 2))
        return pair_option(opt, tuple_elem(o, 0), tuple_elem(o, 1));
    if (is_tuple_n(o, 3) && tuple_elem(o, 0) == ATOM_heir && is_local_pid(tuple_elem(o, 1))) {
        opt->heir = tuple_elem(o, 1);
        opt->heir_data = tuple_elem(o, 2);
        return true;
    }
    return false;
}

/* A persistent table is always named: its name is what it is found by after a restart. */
static term new_persistent(struct process *p, term name, const struct table_options *opt)
{
    int rc;
    struct table *t = name == ATOM_undefined ? NULL : persist_open(name, p->pid, opt, &rc);

    if (name == ATOM_undefined)
        return bif_badarg(p);
    if (t != NULL)
        return ets_written(p, t, name);
    return rc == -ERR_EXISTS ? bif_badarg_cause(p, ATOM_already_exists) : ets_store_error(p, rc);
}

term bif_ets_new(struct process *p, const term *a)
{
    struct table_options opt = {
        .type = TABLE_SET, .protection = TABLE_PROTECTED, .keypos = 1,
        .write_concurrency = ATOM_false, .heir = ATOM_none, .heir_data = TERM_NIL, .sync = true,
    };
    struct table *t;
    term l = a[1];

    for (; is_cons(l) && new_option(&opt, car(l)); l = cdr(l)) {
    }
    if (!is_nil(l) || !is_atom(a[0]))
        return bif_badarg(p);
    if (opt.protection == TABLE_PRIVATE) {
        opt.read_concurrency = false;
        opt.write_concurrency = ATOM_false;
    }
    if (opt.is_persistent)
        return new_persistent(p, a[0], &opt);
    if (opt.keep_ms != 0)
        return bif_badarg(p);
    t = table_new(a[0], p->pid, &opt);
    if (t == NULL)
        return bif_badarg_cause(p, ATOM_already_exists);
    /* a table lives as long as its identifier is in some heap: many of them are worth a collection */
    if (!opt.named)
        heap_count_vbin(&p->heap, sizeof *t);
    return ets_shown_id(p, t);
}

/* Large tables: free the rows in turns, then wait for the ticket and give the result. */
term bif_ets_bury(struct process *p, const term *a)
{
    uint64_t ticket;

    charge(p, 500);
    if (!term_to_uint64(a[1], &ticket))
        return bif_badarg(p);
    return table_bury() ? bif_yield(p, 2, a) : store_wait_ticket(p, ticket, a[0]);
}

static term buried(struct process *p, struct table *t, term result)
{
    term args[2] = { result, heap_uint(&p->heap, table_ticket(t)) };

    if (!table_bury())
        return ets_written(p, t, result);
    return bif_trap(p, export_get(ATOM_ets, atom_from_cstr("$bury"), 2), 2, args);
}

term bif_ets_delete_1(struct process *p, const term *a)
{
    ETS_TABLE(p, t, a[0], ETS_WRITE);

    if (!table_delete(t))
        return bif_badarg_cause(p, ATOM_id);
    return buried(p, t, ATOM_true);
}

term bif_ets_rename(struct process *p, const term *a)
{
    ETS_TABLE(p, t, a[0], ETS_WRITE);

    if (!is_atom(a[1]))
        return bif_badarg(p);
    if (!table_rename(t, a[1]))
        return bif_badarg_cause(p, ATOM_already_exists);
    return ets_written(p, t, ets_shown_id(p, t));
}

term bif_ets_whereis(struct process *p, const term *a)
{
    struct table *t;

    if (!is_atom(a[0]))
        return bif_badarg(p);
    t = table_by_name(a[0]);
    return t == NULL ? ATOM_undefined : table_id(t, &p->heap);
}

static bool set_option(struct table *t, term o)
{
    if (is_tuple_n(o, 3) && tuple_elem(o, 0) == ATOM_heir && is_local_pid(tuple_elem(o, 1))) {
        table_set_heir(t, tuple_elem(o, 1), tuple_elem(o, 2));
        return true;
    }
    if (!is_tuple_n(o, 2))
        return false;
    if (tuple_elem(o, 0) == ATOM_heir && tuple_elem(o, 1) == ATOM_none) {
        table_set_heir(t, ATOM_none, TERM_NIL);
        return true;
    }
    if (tuple_elem(o, 0) == ATOM_protection) {
        term v = tuple_elem(o, 1);

        if (v != ATOM_public && v != ATOM_protected && v != ATOM_private)
            return false;
        atomic_store(&t->protection, v == ATOM_public ? TABLE_PUBLIC :
                                     v == ATOM_protected ? TABLE_PROTECTED : TABLE_PRIVATE);
        return true;
    }
    return false;
}

/* Only the owner; unlike OTP's, options in front of a bad one have taken effect. */
term bif_ets_setopts(struct process *p, const term *a)
{
    term l = a[1];
    ETS_TABLE(p, t, a[0], ETS_OWN);

    if (is_tuple(l))
        return set_option(t, l) ? ATOM_true : bif_badarg(p);
    for (; is_cons(l) && set_option(t, car(l)); l = cdr(l)) {
    }
    return is_nil(l) ? ATOM_true : bif_badarg(p);
}

static void transfer(struct process *sender, struct heap *h, struct table *t, term from, term to,
                     term data)
{
    term id = atomic_load(&t->named) ? atomic_load(&t->name) : table_id(t, h);

    table_set_owner(t, to);
    process_send(sender, to, heap_tuple4(h, ATOM_ETS_TRANSFER, id, from, data));
}

/* The owner is gone and there is no heir. */
static bool table_orphaned(struct table *t)
{
    if (t->persist == NULL)
        return table_delete(t);
    table_set_owner(t, ATOM_undefined);
    return true;
}

term bif_ets_give_away(struct process *p, const term *a)
{
    ETS_TABLE(p, t, a[0], ETS_OWN);

    if (!is_local_pid(a[1]))
        return bif_badarg(p);
    if (a[1] == p->pid)
        return bif_badarg_cause(p, ATOM_owner);
    if (process_lookup(a[1]) == NULL)
        return bif_badarg_cause(p, ATOM_not_alive);
    transfer(p, &p->heap, t, p->pid, a[1], a[2]);
    /* it may have ended between the question and the gift, and then never hears of it */
    if (process_lookup(a[1]) == NULL && atomic_load(&t->owner) == a[1])
        table_orphaned(t);
    return ATOM_true;
}

/* One table, or a part of what large ones have left, for each call. */
bool ets_process_exit(struct process *p)
{
    struct table *t = table_of_owner(p->pid);
    struct heap bag;
    term heir, data;

    if (t == NULL) {
        table_unfix_all(p->pid);
        return table_bury();
    }
    heap_bag_init(&bag);
    heir = table_heir(t, &bag, &data);
    if (is_local_pid(heir) && heir != p->pid && process_lookup(heir) != NULL)
        transfer(NULL, &bag, t, p->pid, heir, data);
    else if (!table_orphaned(t))
        table_set_owner(t, p->pid);     /* somebody deletes it right now and forgets us in time */
    heap_fini(&bag);
    return true;
}

term bif_ets_safe_fixtable(struct process *p, const term *a)
{
    ETS_TABLE(p, t, a[0], ETS_READ);

    if (a[1] == ATOM_true)
        table_fix(t, p->pid);
    else if (a[1] == ATOM_false)
        table_unfix(t, p->pid);
    else
        return bif_badarg(p);
    return ATOM_true;
}

/* OTP's ets:all/0 waits for one message from each scheduler; the first has it all. */
term bif_ets_internal_request_all(struct process *p, const term *a)
{
    term ref = make_ref(p->sched);
    term list = table_all(&p->heap);

    for (unsigned i = 0; i < sched_count(); i++)
        process_send(p, p->pid, heap_tuple2(&p->heap, ref, i == 0 ? list : TERM_NIL));
    return ref;
}

term bif_ets_all(struct process *p, const term *a)
{
    return table_all(&p->heap);
}

/* --- objects ---------------------------------------------------------------------------------- */

#define GONE(p) bif_badarg_cause((p), ATOM_id)

/* A proper list of objects that fit the table. */
static bool are_objects(struct table *t, term l)
{
    while (is_cons(l) && table_is_object(t, car(l)))
        l = cdr(l);
    return is_nil(l);
}

static int check_object(struct table *t, term object)
{
    term cell[2], *at = cell;

    return persist_check_objects(t, cons_make(&at, object, TERM_NIL));
}

/* Nothing to store, but the store must work. */
static int check_works(struct table *t, term unused)
{
    return persist_check_part(t, TERM_NIL);
}

term bif_ets_insert(struct process *p, const term *a)
{
    int rc;
    ETS_TABLE(p, t, a[0], ETS_WRITE);

    if (LIKELY(is_tuple(a[1]))) {
        if (!table_is_object(t, a[1]))
            return bif_badarg(p);
        ETS_STORABLE(p, t, check_object, a[1]);
        rc = table_insert(t, a[1]);
    } else {
        if (!are_objects(t, a[1]))
            return bif_badarg(p);
        ETS_STORABLE(p, t, persist_check_objects, a[1]);
        charge(p, list_length(a[1]));
        rc = is_cons(a[1]) && is_nil(cdr(a[1])) ? table_insert(t, car(a[1]))
                                                : table_insert_list(t, a[1]);
    }
    return rc < 0 ? GONE(p) : ets_written(p, t, ATOM_true);
}

term bif_ets_insert_new(struct process *p, const term *a)
{
    term list = is_tuple(a[1]) ? heap_cons(&p->heap, a[1], TERM_NIL) : a[1];
    int rc;
    ETS_TABLE(p, t, a[0], ETS_WRITE);

    if (!are_objects(t, list))
        return bif_badarg(p);
    ETS_STORABLE(p, t, persist_check_objects, list);
    charge(p, list_length(list));
    rc = table_insert_new_list(t, list);
    return rc < 0 ? GONE(p) : ets_written(p, t, truth(rc > 0));
}

term bif_ets_lookup(struct process *p, const term *a)
{
    term result;
    ETS_TABLE(p, t, a[0], ETS_READ);

    result = table_lookup(t, &p->heap, a[1]);
    return result == TERM_NONE ? GONE(p) : result;
}

static term lookup_element(struct process *p, const term *a, term missing)
{
    term result;
    bool found;
    ETS_TABLE(p, t, a[0], ETS_READ);

    if (!is_small(a[2]) || small_val(a[2]) < 1)
        return bif_badarg(p);
    result = table_lookup_element(t, &p->heap, a[1], (uint64_t)small_val(a[2]), &found);
    if (result != TERM_NONE)
        return result;
    if (found)
        return bif_badarg(p);
    return missing != TERM_NONE ? missing : bif_badarg_cause(p, ATOM_badkey);
}

term bif_ets_lookup_element_3(struct process *p, const term *a)
{
    return lookup_element(p, a, TERM_NONE);
}

term bif_ets_lookup_element_4(struct process *p, const term *a)
{
    return lookup_element(p, a, a[3]);
}

term bif_ets_member(struct process *p, const term *a)
{
    int rc;
    ETS_TABLE(p, t, a[0], ETS_READ);

    rc = table_member(t, a[1]);
    return rc < 0 ? GONE(p) : truth(rc > 0);
}

term bif_ets_take(struct process *p, const term *a)
{
    term result;
    ETS_TABLE(p, t, a[0], ETS_WRITE);

    ETS_STORABLE(p, t, check_works, TERM_NIL);
    result = table_take(t, &p->heap, a[1]);
    return result == TERM_NONE ? GONE(p) : ets_written(p, t, result);
}

term bif_ets_delete_2(struct process *p, const term *a)
{
    ETS_TABLE(p, t, a[0], ETS_WRITE);

    ETS_STORABLE(p, t, check_works, TERM_NIL);
    return table_delete_key(t, a[1]) < 0 ? GONE(p) : ets_written(p, t, ATOM_true);
}

term bif_ets_delete_object(struct process *p, const term *a)
{
    ETS_TABLE(p, t, a[0], ETS_WRITE);

    if (!is_tuple(a[1]))
        return bif_badarg(p);
    ETS_STORABLE(p, t, check_works, TERM_NIL);
    return table_delete_object(t, a[1]) < 0 ? GONE(p) : ets_written(p, t, ATOM_true);
}

term bif_ets_internal_delete_all(struct process *p, const term *a)
{
    int64_t n;
    ETS_TABLE(p, t, a[0], ETS_WRITE);

    ETS_LOADED(p, t, "internal_delete_all", 2, a);
    ETS_STORABLE(p, t, check_works, TERM_NIL);
    n = table_clear(t);
    return n < 0 ? GONE(p) : buried(p, t, small_make(n));
}

term bif_ets_delete_all_objects(struct process *p, const term *a)
{
    int64_t n;
    ETS_TABLE(p, t, a[0], ETS_WRITE);

    ETS_LOADED(p, t, "delete_all_objects", 1, a);
    ETS_STORABLE(p, t, check_works, TERM_NIL);
    n = table_clear(t);
    return n < 0 ? GONE(p) : buried(p, t, ATOM_true);
}

/* --- walking ---------------------------------------------------------------------------------- */

/* What table_first and the others found: {Key}, {Key, Objects}, TERM_NIL or TERM_NONE. */
static term step(struct process *p, term found, bool whole)
{
    if (found == TERM_NONE)
        return bif_badarg(p);
    if (is_nil(found))
        return ATOM_end_of_table;
    return whole ? found : tuple_elem(found, 0);
}

static term from_end(struct process *p, const term *a, bool last, bool whole)
{
    ETS_TABLE(p, t, a[0], ETS_READ);

    ETS_LOADED(p, t, whole ? last ? "last_lookup" : "first_lookup" : last ? "last" : "first", 1, a);
    return step(p, last ? table_last(t, &p->heap, whole) : table_first(t, &p->heap, whole), whole);
}

static term from_key(struct process *p, const term *a, bool back, bool whole)
{
    ETS_TABLE(p, t, a[0], ETS_READ);

    ETS_LOADED(p, t, whole ? back ? "prev_lookup" : "next_lookup" : back ? "prev" : "next", 2, a);
    return step(p, back ? table_prev(t, &p->heap, a[1], whole)
                        : table_next(t, &p->heap, a[1], whole), whole);
}

term bif_ets_first(struct process *p, const term *a)
{
    return from_end(p, a, false, false);
}

term bif_ets_last(struct process *p, const term *a)
{
    return from_end(p, a, true, false);
}

term bif_ets_next(struct process *p, const term *a)
{
    return from_key(p, a, false, false);
}

term bif_ets_prev(struct process *p, const term *a)
{
    return from_key(p, a, true, false);
}

term bif_ets_first_lookup(struct process *p, const term *a)
{
    return from_end(p, a, false, true);
}

term bif_ets_last_lookup(struct process *p, const term *a)
{
    return from_end(p, a, true, true);
}

term bif_ets_next_lookup(struct process *p, const term *a)
{
    return from_key(p, a, false, true);
}

term bif_ets_prev_lookup(struct process *p, const term *a)
{
    return from_key(p, a, true, true);
}

term bif_ets_slot(struct process *p, const term *a)
{
    bool end;
    term list;
    ETS_TABLE(p, t, a[0], ETS_READ);

    if (!is_small(a[1]) || small_val(a[1]) < 0)
        return bif_badarg(p);
    ETS_LOADED(p, t, "slot", 2, a);
    list = table_slot(t, &p->heap, (uint64_t)small_val(a[1]), &end);
    if (list != TERM_NONE)
        return list;
    return end ? ATOM_end_of_table : bif_badarg(p);
}
