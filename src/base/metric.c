/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metric.c - shards of counters, and their text for scrapers
 *
 * A shard belongs to one thread, which alone writes it; others read its words at any time. When
 * the thread ends its words are added to `retired` and the shard is freed. The list of shards, the
 * retired sums and the collectors are under one lock, which only looks, first uses and ends of
 * threads take.
 *
 *   MT1  A series' sum never decreases: words move from a shard to `retired` under the lock.
 */
#include "base/metric.h"

#include "base/alloc.h"
#include "base/assert.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

struct metric_row {
    const char *name, *labels, *help;
    enum metric_kind kind;
};

static const struct metric_row rows[METRIC_COUNT] = {
#define METRIC(ident, name, kind, labels, help) [M_##ident] = { name, labels, help, METRIC_##kind },
#include "base/metrics.tab"
#undef METRIC
};

/* Words of a METRIC_TIME: its buckets, then the sum in ns. Each row has so many, used or not: the
 * whole shard is some 8 KiB a thread. */
#define ROW_WORDS (METRIC_BUCKETS + 1)

struct shard {
    _Atomic uint64_t word[METRIC_COUNT][ROW_WORDS];     /* written by its thread; read by any */
    struct shard *next, **link;                         /* [lk] */
};

struct collector {
    void (*fn)(struct metric_sink *, void *);
    void *arg;
    struct collector *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct shard *shards;                            /* [lk] */
static uint64_t retired[METRIC_COUNT][ROW_WORDS];       /* [lk] */
static struct collector *collectors, **collectors_end = &collectors;   /* [lk] */
static pthread_key_t shard_key;
static pthread_once_t shard_once = PTHREAD_ONCE_INIT;
static _Thread_local struct shard *own;

/* --- counting -------------------------------------------------------------------------------- */

static void shard_retire(void *arg)
{
    struct shard *s = arg;

    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < METRIC_COUNT; i++)
        for (size_t j = 0; j < ROW_WORDS; j++)
            retired[i][j] += atomic_load_explicit(&s->word[i][j], memory_order_relaxed);
    *s->link = s->next;
    if (s->next != NULL)
        s->next->link = s->link;
    pthread_mutex_unlock(&lock);
    mem_free(s);
    own = NULL;
}

static void shard_key_make(void)
{
    int rc = pthread_key_create(&shard_key, shard_retire);

    ASSERT(rc == 0);
}

static NOINLINE struct shard *shard_make(void)
{
    struct shard *s = MEM_NEW(struct shard);

    pthread_once(&shard_once, shard_key_make);
    pthread_setspecific(shard_key, s);
    pthread_mutex_lock(&lock);
    s->next = shards;
    s->link = &shards;
    if (shards != NULL)
        shards->link = &s->next;
    shards = s;
    pthread_mutex_unlock(&lock);
    return own = s;
}

/* relaxed: one writer, and a reader may see the sum of a moment ago. */
static void word_add(enum metric_id id, size_t word, uint64_t n)
{
    struct shard *s = LIKELY(own != NULL) ? own : shard_make();
    _Atomic uint64_t *w = &s->word[id][word];

    atomic_store_explicit(w, atomic_load_explicit(w, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

void metric_add(enum metric_id id, uint64_t n)
{
    ASSERT(rows[id].kind == METRIC_COUNTER);
    word_add(id, 0, n);
}

static int64_t bucket_bound_ns(size_t bucket)
{
    return (int64_t)50000 << (2 * bucket);
}

size_t metric_bucket(int64_t ns)
{
    size_t b = 0;

    while (b < METRIC_BUCKETS - 1 && ns > bucket_bound_ns(b))
        b++;
    return b;
}

void metric_time(enum metric_id id, int64_t ns)
{
    ASSERT(rows[id].kind == METRIC_TIME);
    if (ns < 0)
        ns = 0;
    word_add(id, metric_bucket(ns), 1);
    word_add(id, METRIC_BUCKETS, (uint64_t)ns);
}

static uint64_t word_sum(enum metric_id id, size_t word)
{
    uint64_t sum = retired[id][word];

    for (struct shard *s = shards; s != NULL; s = s->next)
        sum += atomic_load_explicit(&s->word[id][word], memory_order_relaxed);
    return sum;
}

uint64_t metric_counter(enum metric_id id)
{
    uint64_t sum;

    pthread_mutex_lock(&lock);
    sum = word_sum(id, 0);
    pthread_mutex_unlock(&lock);
    return sum;
}

/* --- collectors ------------------------------------------------------------------------------ */

struct emitted {
    enum metric_id id;
    size_t order;
    char *labels;           /* owned; NULL: those of the row */
    double value;
};

struct metric_sink {
    struct emitted *items;
    size_t n, cap;
};

void metric_emit(struct metric_sink *sink, enum metric_id id, const char *labels, double value)
{
    ASSERT(rows[id].kind == METRIC_GAUGE || rows[id].kind == METRIC_TOTAL);
    if (sink->n == sink->cap) {
        sink->cap = sink->cap == 0 ? 64 : 2 * sink->cap;
        sink->items = mem_realloc(sink->items, sink->cap * sizeof(*sink->items));
    }
    sink->items[sink->n] = (struct emitted){ id, sink->n,
                                             labels != NULL ? mem_strdup(labels) : NULL, value };
    sink->n++;
}

void metric_label(struct buf *b, const char *name, const char *value)
{
    if (b->len != 0)
        buf_u8(b, ',');
    buf_printf(b, "%s=\"", name);
    for (; *value != 0; value++) {
        if (*value == '\n')
            buf_str(b, "\\n");
        else if (*value == '"' || *value == '\\')
            buf_printf(b, "\\%c", *value);
        else
            buf_u8(b, (uint8_t)*value);
    }
    buf_u8(b, '"');
}

void metric_collector_add(void (*fn)(struct metric_sink *, void *), void *arg)
{
    struct collector *c = MEM_NEW(struct collector);

    *c = (struct collector){ fn, arg, NULL };
    pthread_mutex_lock(&lock);
    *collectors_end = c;
    collectors_end = &c->next;
    pthread_mutex_unlock(&lock);
}

void metric_collectors_clear(void)
{
    pthread_mutex_lock(&lock);
    while (collectors != NULL) {
        struct collector *c = collectors;

        collectors = c->next;
        mem_free(c);
    }
    collectors_end = &collectors;
    pthread_mutex_unlock(&lock);
}

/* --- looking --------------------------------------------------------------------------------- */

static int emitted_compare(const void *a, const void *b)
{
    const struct emitted *x = a, *y = b;

    if (x->id != y->id)
        return x->id < y->id ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

static struct metric_sample sample_make(enum metric_id id)
{
    const struct metric_row *row = &rows[id], *first = row;

    while (first > rows && strcmp(first[-1].name, row->name) == 0)
        first--;
    return (struct metric_sample){ .id = id, .name = row->name, .labels = row->labels,
                                   .help = first->help, .kind = row->kind };
}

static struct metric_sample sample_counted(enum metric_id id)
{
    struct metric_sample s = sample_make(id);

    if (s.kind == METRIC_COUNTER) {
        s.value = (double)word_sum(id, 0);
        return s;
    }
    for (size_t b = 0; b < METRIC_BUCKETS; b++) {
        s.buckets[b] = word_sum(id, b);
        s.count += s.buckets[b];
    }
    s.value = (double)word_sum(id, METRIC_BUCKETS) / 1e9;
    return s;
}

void metric_visit(void (*visit)(void *arg, const struct metric_sample *s), void *arg)
{
    struct metric_sink sink = { 0 };
    size_t at = 0;

    pthread_mutex_lock(&lock);
    for (struct collector *c = collectors; c != NULL; c = c->next)
        c->fn(&sink, c->arg);
    if (sink.n != 0)
        qsort(sink.items, sink.n, sizeof(*sink.items), emitted_compare);
    for (enum metric_id id = 0; id < METRIC_COUNT; id++) {
        struct metric_sample s;

        if (rows[id].kind == METRIC_COUNTER || rows[id].kind == METRIC_TIME) {
            s = sample_counted(id);
            visit(arg, &s);
        }
        for (; at < sink.n && sink.items[at].id == id; at++) {
            s = sample_make(id);
            s.value = sink.items[at].value;
            if (sink.items[at].labels != NULL)
                s.labels = sink.items[at].labels;
            visit(arg, &s);
        }
    }
    pthread_mutex_unlock(&lock);
    for (size_t i = 0; i < sink.n; i++)
        mem_free(sink.items[i].labels);
    mem_free(sink.items);
}

/* --- text ------------------------------------------------------------------------------------ */

struct writer {
    struct buf *out;
    enum metric_format format;
    const char *family;         /* whose head has been written last */
};

static const char *const kind_names[] = {
    [METRIC_COUNTER] = "counter", [METRIC_TIME] = "histogram",
    [METRIC_GAUGE] = "gauge", [METRIC_TOTAL] = "counter",
};

const char *metric_prefix(const char *name)
{
    return strncmp(name, "process_", strlen("process_")) == 0 ? "" : "rnode_";
}

/* Whole numbers without a fraction; everything else so that it reads back as the same double. */
static void write_value(struct buf *out, double v)
{
    if (v == floor(v) && fabs(v) < 1e15)
        buf_printf(out, " %.0f\n", v);
    else
        buf_printf(out, " %.17g\n", v);
}

/* OpenMetrics names the family of a counter without _total; its samples keep it. */
static void write_head(struct writer *w, const struct metric_sample *s)
{
    size_t len = strlen(s->name);
    const char *prefix = metric_prefix(s->name);
    bool counter = s->kind == METRIC_COUNTER || s->kind == METRIC_TOTAL;

    if (w->family != NULL && strcmp(w->family, s->name) == 0)
        return;
    w->family = s->name;
    if (counter && w->format == METRIC_OPENMETRICS)
        len -= strlen("_total");
    buf_printf(w->out, "# HELP %s%.*s %s\n", prefix, (int)len, s->name, s->help);
    buf_printf(w->out, "# TYPE %s%.*s %s\n", prefix, (int)len, s->name, kind_names[s->kind]);
}

/* name{labels,more}; more is one label or nothing. */
static void write_name(struct buf *out, const char *name, const char *suffix, const char *end,
                       const char *labels, const char *more)
{
    bool both = *labels != 0 && *more != 0;

    buf_printf(out, "%s%s%s", name, suffix, end);
    if (*labels != 0 || *more != 0)
        buf_printf(out, "{%s%s%s}", labels, both ? "," : "", more);
}

static void write_histogram(struct buf *out, const char *name, const char *suffix,
                            const struct metric_sample *s)
{
    uint64_t so_far = 0;
    char le[40];

    for (size_t b = 0; b < METRIC_BUCKETS; b++) {
        so_far += s->buckets[b];
        if (b == METRIC_BUCKETS - 1)
            snprintf(le, sizeof(le), "le=\"+Inf\"");
        else
            snprintf(le, sizeof(le), "le=\"%.6g\"", (double)bucket_bound_ns(b) / 1e9);
        write_name(out, name, suffix, "_bucket", s->labels, le);
        write_value(out, (double)so_far);
    }
    write_name(out, name, suffix, "_sum", s->labels, "");
    write_value(out, s->value);
    write_name(out, name, suffix, "_count", s->labels, "");
    write_value(out, (double)s->count);
}

void metric_write_series(struct buf *out, const char *name, const char *suffix, bool histogram,
                         const struct metric_sample *s)
{
    if (histogram) {
        write_histogram(out, name, suffix, s);
        return;
    }
    write_name(out, name, suffix, "", s->labels, "");
    write_value(out, s->value);
}

static void write_sample(void *arg, const struct metric_sample *s)
{
    struct writer *w = arg;

    write_head(w, s);
    metric_write_series(w->out, metric_prefix(s->name), s->name, s->kind == METRIC_TIME, s);
}

void metric_write(struct buf *out, enum metric_format format)
{
    struct writer w = { out, format, NULL };

    metric_visit(write_sample, &w);
    if (format == METRIC_OPENMETRICS)
        buf_str(out, "# EOF\n");
}

const char *metric_content_type(enum metric_format format)
{
    return format == METRIC_OPENMETRICS
               ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
               : "text/plain; version=0.0.4; charset=utf-8";
}
