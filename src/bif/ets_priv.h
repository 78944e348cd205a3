/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ets_priv.h - what the files of ets share
 */
#ifndef BIF_ETS_PRIV_H
#define BIF_ETS_PRIV_H

#include "bif/bif.h"
#include "table/table.h"

enum ets_access { ETS_READ, ETS_WRITE, ETS_OWN };

/* The table that id names, if p may do this with it. NULL: *ret_cause is why. */
struct table *ets_find(struct process *p, term id, enum ets_access access, term *ret_cause);

/* Find the table or leave the built-in with badarg and its cause. */
#define ETS_TABLE(p, var, id, access) \
    term cause_; \
    struct table *var = ets_find((p), (id), (access), &cause_); \
    if (UNLIKELY(var == NULL)) \
        return bif_badarg_cause((p), cause_)

/* Name of a named table, else its reference. */
term ets_shown_id(struct process *p, struct table *t);

/* An ended process: its tables go to heirs or away, the ones it fixed are let go. */
bool ets_process_exit(struct process *p);

#endif
