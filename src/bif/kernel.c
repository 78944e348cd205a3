/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernel.c - what OTP's stdlib wants of kernel on a node by itself
 *
 * The environment of applications is a table of our own.
 */
#include "bif/bif.h"
#include "heap/map.h"
#include "table/table.h"

#include <pthread.h>

static struct table *env_table;
static pthread_once_t made = PTHREAD_ONCE_INIT;

static void tables_make(void)
{
    struct table_options opt = {
        .type = TABLE_SET, .protection = TABLE_PRIVATE, .keypos = 1,
        .write_concurrency = ATOM_false, .heir = ATOM_none, .heir_data = TERM_NIL,
    };

    /* no process has this pid: they are nobody's and stay */
    env_table = table_new_hidden(&opt);
}

static struct table *env(void)
{
    pthread_once(&made, tables_make);
    return env_table;
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
