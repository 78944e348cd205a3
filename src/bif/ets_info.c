/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ets_info.c - ets:info
 */
#include "bif/ets_priv.h"
#include "heap/etf.h"

static term type_atom(const struct table *t)
{
    return t->type == TABLE_SET ? ATOM_set : t->type == TABLE_BAG ? ATOM_bag :
           t->type == TABLE_DUPLICATE_BAG ? ATOM_duplicate_bag : ATOM_ordered_set;
}

static term protection_atom(struct table *t)
{
    switch (atomic_load(&t->protection)) {
    case TABLE_PUBLIC:
        return ATOM_public;
    case TABLE_PROTECTED:
        return ATOM_protected;
    default:
        return ATOM_private;
    }
}

#define flag(b) ((b) ? ATOM_true : ATOM_false)

/* {Since, [{Pid, Count}]}, or false. */
static term fixed_info(struct process *p, struct table *t, bool monotonic)
{
    struct heap *h = &p->heap;
    term list = TERM_NIL, since;
    int64_t us;

    spin_lock(&t->meta);
    for (struct table_fix *f = t->fixes; f != NULL; f = f->next)
        list = heap_cons(h, heap_tuple2(h, f->pid, small_make(f->count)), list);
    us = t->fixed_system_ns / 1000;
    since = monotonic ? heap_int(h, t->fixed_mono_ns)
                      : heap_tuple3(h, small_make(us / 1000000000000),
                                    small_make(us / 1000000 % 1000000), small_make(us % 1000000));
    spin_unlock(&t->meta);
    return is_nil(list) ? ATOM_false : heap_tuple2(h, since, list);
}

/* Buckets, average and expected chains: what a hash table can say of itself. */
static term stats_info(struct process *p, struct table *t)
{
    uint64_t buckets = t->type == TABLE_ORDERED_SET ? 1 : atomic_load(&t->set.buckets);
    term words[16], *at = words;
    term list[4];

    list[0] = heap_uint(&p->heap, buckets);
    list[1] = heap_float(&p->heap, (double)table_size(t) / (double)buckets);
    list[2] = flt_make(0.0, &at);
    list[3] = flt_make(0.0, &at);
    return heap_tuple(&p->heap, 4, list);
}

/* How long versions are kept, in milliseconds; false: they are not. */
static term history_info(struct process *p, struct table *t)
{
    int64_t ms = t->persist == NULL ? 0 : atomic_load(&t->persist->keep_ms);

    return ms == 0 ? ATOM_false : ms == PERSIST_KEEP_ALL ? ATOM_infinity : heap_int(&p->heap, ms);
}

/* TERM_NONE: there is no such item. */
static term item(struct process *p, struct table *t, term what)
{
    struct heap *h = &p->heap;
    term data;

    switch (what) {
    case ATOM_id:
        return table_id(t, h);
    case ATOM_decentralized_counters:
        return flag(t->decentralized_counters);
    case ATOM_read_concurrency:
        return flag(t->read_concurrency);
    case ATOM_write_concurrency:
        return t->write_concurrency;
    case ATOM_compressed:
        return flag(t->compressed);
    case ATOM_memory:
        return heap_int(h, table_memory_words(t));
    case ATOM_owner:
        return atomic_load(&t->owner);
    case ATOM_heir:
        return table_heir(t, h, &data);
    case ATOM_name:
        return atomic_load(&t->name);
    case ATOM_size:
        return heap_int(h, table_size(t));
    case ATOM_node:
        return etf_env.local_node;
    case ATOM_named_table:
        return flag(atomic_load(&t->named));
    case ATOM_type:
        return type_atom(t);
    case ATOM_keypos:
        return small_make(t->keypos);
    case ATOM_protection:
        return protection_atom(t);
    case ATOM_fixed:
        return flag(table_is_fixed(t));
    case ATOM_safe_fixed:
        return fixed_info(p, t, false);
    case ATOM_safe_fixed_monotonic_time:
        return fixed_info(p, t, true);
    case ATOM_stats:
        return stats_info(p, t);
    case ATOM_binary:
        return TERM_NIL;
    case ATOM_persist:
        return flag(t->persist != NULL);
    case ATOM_sync:
        return flag(t->persist != NULL && atomic_load(&t->persist->sync));
    case ATOM_loaded:
        return flag(!table_is_loading(t));
    case ATOM_history:
        return history_info(p, t);
    default:
        return TERM_NONE;
    }
}

/* The table for info, which anybody may ask; NULL and *ret_bad when id is no table id at all. */
static struct table *info_table(term id, bool *ret_bad)
{
    *ret_bad = !is_atom(id) && !is_ref(id);
    return is_atom(id) ? table_by_name(id) : table_by_id(id);
}

term bif_ets_info_1(struct process *p, const term *a)
{
    static const term items[] = {
        ATOM_id, ATOM_decentralized_counters, ATOM_read_concurrency, ATOM_write_concurrency,
        ATOM_compressed, ATOM_memory, ATOM_owner, ATOM_heir, ATOM_name, ATOM_size, ATOM_node,
        ATOM_named_table, ATOM_type, ATOM_keypos, ATOM_protection,
    };
    bool bad;
    struct table *t = info_table(a[0], &bad);
    term list = TERM_NIL;

    if (t == NULL)
        return bad ? bif_badarg(p) : ATOM_undefined;
    ETS_LOADED(p, t, "info", 1, a);
    for (size_t i = ARRAY_LEN(items); i > 0; i--) {
        term pair = heap_tuple2(&p->heap, items[i - 1], item(p, t, items[i - 1]));

        list = heap_cons(&p->heap, pair, list);
    }
    return list;
}

term bif_ets_info_2(struct process *p, const term *a)
{
    bool bad;
    struct table *t = info_table(a[0], &bad);
    term value;

    if (t == NULL)
        return bad ? bif_badarg(p) : ATOM_undefined;
    if (a[1] == ATOM_size || a[1] == ATOM_memory)
        ETS_LOADED(p, t, "info", 2, a);
    value = item(p, t, a[1]);
    return value == TERM_NONE ? bif_badarg(p) : value;
}
