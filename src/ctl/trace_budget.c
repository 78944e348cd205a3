/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace_budget.c - counting events and time against their limits
 */
#include "ctl/trace_budget.h"

void trace_budget_init(struct trace_budget *b, int64_t rate, int64_t share_ns, int64_t now_ns)
{
    *b = (struct trace_budget){ .rate = rate, .share_ns = share_ns, .since_ns = now_ns };
}

bool trace_budget_event(struct trace_budget *b)
{
    if (b->in_second < b->rate) {
        b->in_second++;
        return true;
    }
    b->by_rate = true;
    return false;
}

bool trace_budget_spend(struct trace_budget *b, int64_t ns)
{
    b->owed_ns += ns;
    b->spent_ns += ns;
    if (b->owed_ns <= b->share_ns)
        return true;
    b->by_share = true;
    return false;
}

void trace_budget_open(struct trace_budget *b, int64_t now_ns)
{
    if (b->is_open)
        return;
    b->missed += b->per_ns * (double)(now_ns - b->since_ns);
    b->is_open = true;
    b->since_ns = now_ns;
}

void trace_budget_shut(struct trace_budget *b, int64_t now_ns)
{
    if (!b->is_open)
        return;
    b->open_ns += now_ns - b->since_ns;
    b->is_open = false;
    b->since_ns = now_ns;
}

void trace_budget_count(struct trace_budget *b, uint64_t events, int64_t ns)
{
    b->per_ns = ns > 0 ? (double)events / (double)ns : 0;
}

bool trace_budget_second(struct trace_budget *b)
{
    b->in_second = 0;
    b->owed_ns = b->owed_ns > b->share_ns ? b->owed_ns - b->share_ns : 0;
    return b->owed_ns <= b->share_ns;
}

int64_t trace_budget_missed(const struct trace_budget *b, int64_t now_ns)
{
    double now = b->is_open ? 0 : b->per_ns * (double)(now_ns - b->since_ns);

    return (int64_t)(b->missed + now);
}

int64_t trace_budget_open_ns(const struct trace_budget *b, int64_t now_ns)
{
    return b->open_ns + (b->is_open ? now_ns - b->since_ns : 0);
}
