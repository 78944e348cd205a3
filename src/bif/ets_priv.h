/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ets_priv.h - what the files of ets share
 */
#ifndef BIF_ETS_PRIV_H
#define BIF_ETS_PRIV_H

#include "bif/bif.h"
#include "table/persist.h"

enum ets_access { ETS_READ, ETS_WRITE, ETS_OWN };

ALWAYS_INLINE bool ets_may(struct process *p, struct table *t, enum ets_access access)
{
    uint8_t protection = atomic_load_explicit(&t->protection, memory_order_relaxed);

    if (access == ETS_READ ? LIKELY(protection != TABLE_PRIVATE)
                           : access == ETS_WRITE && LIKELY(protection == TABLE_PUBLIC))
        return true;
    return atomic_load_explicit(&t->owner, memory_order_relaxed) == p->pid;
}

term ets_no_table_cause(term id);

/* The table that id names, if p may do this with it. NULL: *ret_cause is why. */
ALWAYS_INLINE struct table *ets_find(struct process *p, term id, enum ets_access access,
                                     term *ret_cause)
{
    struct table *t = is_atom(id) ? table_by_name(id) : table_by_id(id);

    if (LIKELY(t != NULL && ets_may(p, t, access)))
        return t;
    *ret_cause = t == NULL ? ets_no_table_cause(id) : ATOM_access;
    return NULL;
}

/* Find the table or leave the built-in with badarg and its cause. */
#define ETS_TABLE(p, var, id, access) \
    term cause_; \
    struct table *var = ets_find((p), (id), (access), &cause_); \
    if (UNLIKELY(var == NULL)) \
        return bif_badarg_cause((p), cause_)

/* Give result once all changes of t so far are as durable as the table promises. */
term ets_wait_written(struct process *p, struct table *t, term result);
ALWAYS_INLINE term ets_written(struct process *p, struct table *t, term result)
{
    return LIKELY(t->persist == NULL) ? result : ets_wait_written(p, t, result);
}

/* The same with a ticket of the store; 0: at once. */
term store_wait_ticket(struct process *p, uint64_t ticket, term result);

/* Leave the built-in with {store, Reason}, or with badarg and a cause for what cannot be stored. */
term ets_store_error(struct process *p, int rc);

/* Call ets:function again with these arguments when all rows of t are in memory. */
term ets_wait_loaded(struct process *p, struct table *t, const char *function, size_t n,
                     const term *a);

/* Leave the built-in, which looks at the whole table, until all its rows are there. */
#define ETS_LOADED(p, t, function, n, a) \
    do { \
        if (table_is_loading(t)) \
            return ets_wait_loaded((p), (t), (function), (n), (a)); \
    } while (0)

/* Leave the built-in if the list of objects, or a part, cannot be stored. */
#define ETS_STORABLE(p, t, check, what) \
    do { \
        int rc_ = LIKELY((t)->persist == NULL) ? 0 : (check)((t), (what)); \
        if (UNLIKELY(rc_ < 0)) \
            return ets_store_error((p), rc_); \
    } while (0)

/* Name of a named table, else its reference. */
term ets_shown_id(struct process *p, struct table *t);

/* An ended process: its tables go to heirs or away, the ones it fixed are let go. */
bool ets_process_exit(struct process *p);

#endif
