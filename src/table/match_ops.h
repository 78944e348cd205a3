/* SPDX-License-Identifier: Apache-2.0 */
/*
 * match_ops.h - the functions that match specifications may call
 */
#ifndef TABLE_MATCH_OPS_H
#define TABLE_MATCH_OPS_H

#include "heap/heap.h"

/* TERM_NONE: the call fails. */
typedef term match_fn(struct heap *h, const term *a);

struct match_op {
    const char *name;
    uint8_t arity;
    bool    part;           /* the result may be part of an argument */
    bool    trace_only;
    match_fn *fn;
    uint8_t order;          /* comparisons: the ORDER_ bits for which they are true; else 0 */
};
enum { ORDER_LT = 1, ORDER_EQ = 2, ORDER_GT = 4 };

/* By name and number of arguments; NULL: there is none. */
const struct match_op *match_op_find(const char *name, size_t arity);

#endif
