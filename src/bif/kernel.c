/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernel.c - what OTP's stdlib wants of kernel on a node by itself
 *
 * The environment of applications and global names are two tables of our own; on one node `global`
 * is just another registry.
 */
#include "bif/bif.h"
#include "heap/map.h"
#include "table/table.h"

#include <pthread.h>

static struct table *env_table, *global_table;
static pthread_once_t made = PTHREAD_ONCE_INIT;

static void tables_make(void)
{
    struct table_options opt = {
        .type = TABLE_SET, .protection = TABLE_PRIVATE, .keypos = 1,
        .write_concurrency = ATOM_false, .heir = ATOM_none, .heir_data = TERM_NIL,
    };

    /* no process has this pid: they are nobody's and stay */
    env_table = table_new_hidden(&opt);
    global_table = table_new_hidden(&opt);
}

static struct table *env(void)
{
    pthread_once(&made, tables_make);
    return env_table;
}

static struct table *global(void)
{
    pthread_once(&made, tables_make);
    return global_table;
}

/* The second element of the row of key, or TERM_NONE. */
static term row_value(struct process *p, struct table *t, term key)
{
    bool found;

    return table_lookup_element(t, &p->heap, key, 2, &found);
}

/* --- application ------------------------------------------------------------------------------------ */

static term env_get(struct process *p, term app, term key)
{
    return row_value(p, env(), heap_tuple2(&p->heap, app, key));
}

term bif_application_get_env_1(struct process *p, const term *a)
{
    return ATOM_undefined;
}

term bif_application_get_env_2(struct process *p, const term *a)
{
    term value = env_get(p, a[0], a[1]);

    return value == TERM_NONE ? ATOM_undefined : heap_tuple2(&p->heap, ATOM_ok, value);
}

term bif_application_get_env_3(struct process *p, const term *a)
{
    term value = env_get(p, a[0], a[1]);

    return value == TERM_NONE ? a[2] : value;
}

term bif_application_set_env(struct process *p, const term *a)
{
    if (!is_atom(a[0]) || !is_atom(a[1]))
        return bif_badarg(p);
    table_insert(env(), heap_tuple2(&p->heap, heap_tuple2(&p->heap, a[0], a[1]), a[2]));
    return ATOM_ok;
}

term bif_application_unset_env(struct process *p, const term *a)
{
    table_delete_key(env(), heap_tuple2(&p->heap, a[0], a[1]));
    return ATOM_ok;
}

/* --- global -------------------------------------------------------------------------------------------- */

/* The process of a name if it still lives. */
static term name_pid(struct process *p, term name)
{
    term pid = row_value(p, global(), name);

    if (pid == TERM_NONE)
        return ATOM_undefined;
    if (is_local_pid(pid) && process_lookup(pid) == NULL) {
        table_delete_object(global(), heap_tuple2(&p->heap, name, pid));
        return ATOM_undefined;
    }
    return pid;
}

term bif_global_register_name(struct process *p, const term *a)
{
    term row;

    if (!is_pid(a[1]))
        return bif_badarg(p);
    name_pid(p, a[0]);      /* forgets one that is dead */
    row = heap_tuple2(&p->heap, a[0], a[1]);
    return table_insert_new_list(global(), heap_cons(&p->heap, row, TERM_NIL)) > 0 ? ATOM_yes
                                                                                   : ATOM_no;
}

term bif_global_re_register_name(struct process *p, const term *a)
{
    if (!is_pid(a[1]))
        return bif_badarg(p);
    table_insert(global(), heap_tuple2(&p->heap, a[0], a[1]));
    return ATOM_yes;
}

term bif_global_unregister_name(struct process *p, const term *a)
{
    table_delete_key(global(), a[0]);
    return ATOM_ok;
}

term bif_global_whereis_name(struct process *p, const term *a)
{
    return name_pid(p, a[0]);
}

term bif_global_send(struct process *p, const term *a)
{
    term pid = name_pid(p, a[0]);

    if (pid == ATOM_undefined)
        return bif_raise(p, ATOM_exit,
                         heap_tuple2(&p->heap, ATOM_badarg, heap_tuple2(&p->heap, a[0], a[1])));
    process_send(p, pid, a[1]);
    return pid;
}

term bif_global_registered_names(struct process *p, const term *a)
{
    term list = TERM_NIL;

    for (term at = table_first(global(), &p->heap, false); is_tuple(at);
         at = table_next(global(), &p->heap, tuple_elem(at, 0), false))
        list = heap_cons(&p->heap, tuple_elem(at, 0), list);
    return list;
}

/* --- constants ------------------------------------------------------------------------------------------ */

term bif_undefined_0(struct process *p, const term *a)
{
    return ATOM_undefined;
}

term bif_empty_list(struct process *p, const term *a)
{
    return TERM_NIL;
}

term bif_ok_empty_list(struct process *p, const term *a)
{
    return heap_tuple2(&p->heap, ATOM_ok, TERM_NIL);
}

term bif_yes(struct process *p, const term *a)
{
    return ATOM_true;
}

term bif_ignored(struct process *p, const term *a)
{
    return ATOM_ignored;
}

term bif_started(struct process *p, const term *a)
{
    return ATOM_started;
}

term bif_net_adm_ping(struct process *p, const term *a)
{
    return a[0] == ATOM_nonode_nohost ? ATOM_pong : ATOM_pang;
}

term bif_net_state(struct process *p, const term *a)
{
    term pairs[2] = { ATOM_started, ATOM_no };

    return map_from_pairs(&p->heap, pairs, 1);
}
