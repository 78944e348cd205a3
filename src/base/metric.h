/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metric.h - the one registry of figures that the node shows: counters, times and sampled values
 *
 * Every series with fixed labels is a row of metrics.tab. Any thread counts: each has a shard of
 * its own, so counting is a load and a store without a lock (about 1 ns); the shards are summed
 * when somebody looks. What is a state rather than an event (processes alive, bytes in use), or
 * carries labels known only at run time (a peer, a flock), is asked for at that moment from
 * collectors. Units: seconds and bytes, as Prometheus asks.
 *
 * Text forms: Prometheus text format 0.0.4 and OpenMetrics 1.0.
 */
#ifndef BASE_METRIC_H
#define BASE_METRIC_H

#include "base/bytes.h"
#include "base/compiler.h"

enum metric_kind {
    METRIC_COUNTER,         /* counted with metric_add */
    METRIC_TIME,            /* a histogram of durations, metric_time */
    METRIC_GAUGE,           /* given by a collector: may go down */
    METRIC_TOTAL,           /* given by a collector: only grows */
};

enum metric_id {
#define METRIC(ident, name, kind, labels, help) M_##ident,
#include "base/metrics.tab"
#undef METRIC
    METRIC_COUNT
};

/* Upper bounds of the buckets of METRIC_TIME: 50 us * 4^k, then infinity. */
#define METRIC_BUCKETS 11

/* Counters only. n is added; there is no way down. */
void metric_add(enum metric_id id, uint64_t n);
#define metric_inc(id) metric_add((id), 1)
/* METRIC_TIME only. Negative durations count as zero. */
void metric_time(enum metric_id id, int64_t ns);

/* What collectors write into; lives for one look. */
struct metric_sink;
/* Give the present value of a METRIC_GAUGE or METRIC_TOTAL. labels: `peer="a",direction="in"`, or
 * NULL for those of the row; copied. Text in labels goes through metric_label. */
void metric_emit(struct metric_sink *sink, enum metric_id id, const char *labels, double value);
/* Append name="value" to b, escaped, with a comma before it unless b is empty. */
void metric_label(struct buf *b, const char *name, const char *value);

/* fn is called at every look, on the thread that looks, under the registry's lock: it must not
 * block, nor look itself. Register before the daemon serves; there is no way back but
 * metric_collectors_clear. */
void metric_collector_add(void (*fn)(struct metric_sink *sink, void *arg), void *arg);
void metric_collectors_clear(void);

/* One series as it is now. name has no prefix; labels may be "". For METRIC_TIME value is the sum
 * in seconds, count the number of observations, buckets their distribution (not cumulative). */
struct metric_sample {
    enum metric_id id;
    const char *name, *labels, *help;
    enum metric_kind kind;
    double value;
    uint64_t count, buckets[METRIC_BUCKETS];
};

/* What stands before a name where others read it: "rnode_", or nothing for process_*, which are called
 * so everywhere. */
const char *metric_prefix(const char *name);

/* Visit all series in the order of the table. Strings are lent for the duration of the visit. */
void metric_visit(void (*visit)(void *arg, const struct metric_sample *s), void *arg);

/* Which bucket of a METRIC_TIME so long a time goes into. */
size_t metric_bucket(int64_t ns);
/* The lines of one series of any name: of a histogram if so, from s->buckets, count and value. */
void metric_write_series(struct buf *out, const char *name, const char *suffix, bool histogram,
                         const struct metric_sample *s);

enum metric_format { METRIC_TEXT, METRIC_OPENMETRICS };
/* Append the whole exposition, names prefixed with rnode_. */
void metric_write(struct buf *out, enum metric_format format);
const char *metric_content_type(enum metric_format format);

/* The value of one counter now: for tests and for answers that need one figure. */
uint64_t metric_counter(enum metric_id id);

#endif
