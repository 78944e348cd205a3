/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace_pattern.h - which calls a trace shows, and how
 *
 *   MODULE[:FUNCTION[/ARITY]] [when TEST {and TEST}] [-> WHAT{,WHAT}]
 *   TEST: argN OP TERM, with the operators of Erlang      WHAT: return, time, stack
 *
 * A pattern does not change once it is made, so any thread may ask it.
 */
#ifndef CTL_TRACE_PATTERN_H
#define CTL_TRACE_PATTERN_H

#include "base/bytes.h"
#include "heap/heap.h"
#include "vm/trace.h"

#define TRACE_TESTS_MAX 8

enum trace_op { OP_EXACT, OP_NOT_EXACT, OP_EQUAL, OP_NOT_EQUAL, OP_NOT_LESS, OP_NOT_MORE, OP_MORE,
                OP_LESS };

struct trace_pattern {
    char module[256], function[256];    /* as typed; function "" for all */
    int arity;                          /* -1: all */
    bool returns, time, stack;
    struct { unsigned arg; enum trace_op op; term value; } tests[TRACE_TESTS_MAX];
    size_t ntests;
    term m, f;                          /* atoms, or TERM_NONE when there is no such atom, or all */
};

/* Values go to bag, which must live as long. False: why says what is wrong. */
MUST_CHECK bool trace_pattern_parse(const char *text, struct heap *bag, struct trace_pattern *ret,
                                    struct buf *why);
bool trace_pattern_covers(const struct trace_pattern *tp, term module, term function,
                          uint32_t arity);
/* Do the arguments x of a call that it covers pass its tests? */
bool trace_pattern_admits(const struct trace_pattern *tp, uint32_t arity, const term *x);

#endif
