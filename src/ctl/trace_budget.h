/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace_budget.h - what a trace may cost the node, and how much it misses for that
 *
 * A trace is open or shut. It is shut when it has had its events of this second, or has taken its
 * share of the schedulers' time; what it has taken beyond its share counts in the seconds that
 * follow. What it misses while it is shut is reckoned from how often events came for a moment after,
 * in which they were counted and not told: telling slows down what is traced.
 * Times are given by the caller. Not thread-safe.
 */
#ifndef CTL_TRACE_BUDGET_H
#define CTL_TRACE_BUDGET_H

#include "base/compiler.h"

struct trace_budget {
    int64_t rate;               /* events a second */
    int64_t share_ns;           /* time a second, of all threads together */
    int64_t in_second;          /* events since the second began */
    int64_t owed_ns;            /* time taken in it, and what earlier ones have left */
    int64_t spent_ns;           /* in all */
    int64_t since_ns;           /* when it was opened or shut last */
    int64_t open_ns;            /* in open times that are over */
    double  per_ns;             /* events a nanosecond, by the last count */
    double  missed;             /* in shut times that are over */
    bool    is_open;
    bool    by_rate, by_share;  /* why it has been shut so far */
};

void trace_budget_init(struct trace_budget *b, int64_t rate, int64_t share_ns, int64_t now_ns);
/* One more event? False: the rate is used up, shut it. */
MUST_CHECK bool trace_budget_event(struct trace_budget *b);
/* False: the share is used up, shut it. */
MUST_CHECK bool trace_budget_spend(struct trace_budget *b, int64_t ns);
/* Twice is fine. */
void trace_budget_open(struct trace_budget *b, int64_t now_ns);
void trace_budget_shut(struct trace_budget *b, int64_t now_ns);
/* So many events in so long a time, while it is shut. */
void trace_budget_count(struct trace_budget *b, uint64_t events, int64_t ns);
/* The next second begins. True: it may be open in it. */
MUST_CHECK bool trace_budget_second(struct trace_budget *b);
/* About how many events came while it was shut. */
int64_t trace_budget_missed(const struct trace_budget *b, int64_t now_ns);
/* How long it has been open. */
int64_t trace_budget_open_ns(const struct trace_budget *b, int64_t now_ns);

#endif
