/* SPDX-License-Identifier: Apache-2.0 */
/*
 * app_metric.c - a table of series that only grows
 *
 * Readers walk a chain of the hash table without a lock: a series is complete before it is linked,
 * and is never unlinked. Makers hold the lock. The exposition wants the series of a name together,
 * so each hangs on its family as well.
 */
#include "base/app_metric.h"

#include "base/alloc.h"
#include "base/errors.h"

#include <ctype.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define BUCKETS 1024u
#define KEY_MAX (2 * APP_METRIC_NAME_MAX + APP_METRIC_TEXT_MAX + 4)

struct app {
    struct app *next;
    char *name;
    uint64_t series;                        /* [lk] */
    _Atomic uint64_t dropped;               /* [any] */
};

struct family {
    struct family *next;
    struct app *app;                        /* [set] */
    char *name;                             /* [set] app_<app>_<name>, without a suffix of its kind */
    enum app_metric_kind kind;              /* [set] */
    struct app_metric *first, **last;       /* [lk] */
};

struct app_metric {
    struct app_metric *_Atomic next;        /* [any] of the bucket */
    struct app_metric *sibling;             /* [lk] of the family */
    struct family *family;                  /* [set] */
    char *key;                              /* [set] application, name and labels */
    const char *labels;                     /* [set] inside key */
    /* relaxed throughout: figures */
    _Atomic uint64_t count;                 /* counter; of a time: nanoseconds in all */
    _Atomic double value;                   /* gauge */
    _Atomic uint64_t bucket[METRIC_BUCKETS];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct app_metric *_Atomic buckets[BUCKETS];     /* [any] changed under the lock */
static struct family *families, **families_end = &families;     /* [lk] */
static struct app *apps;                                /* [lk] */
static _Atomic uint64_t limit = 1000;

bool app_metric_name_good(const char *text, size_t len)
{
    if (len == 0 || len > APP_METRIC_NAME_MAX || !(isalpha((unsigned char)text[0]) || text[0] == '_'))
        return false;
    for (size_t i = 1; i < len; i++)
        if (!isalnum((unsigned char)text[i]) && text[i] != '_')
            return false;
    return true;
}

void app_metric_limit(uint64_t series_max)
{
    atomic_store_explicit(&limit, series_max, memory_order_relaxed);
}

/* --- finding and making ------------------------------------------------------------------ */

static uint32_t bucket_of(const char *key)
{
    return bytes_hash(key, strlen(key)) % BUCKETS;
}

static struct app_metric *find(uint32_t bucket, const char *key)
{
    /* acquire: pairs with the release in make; the series is complete */
    struct app_metric *m = atomic_load_explicit(&buckets[bucket], memory_order_acquire);

    while (m != NULL && strcmp(m->key, key) != 0)
        m = atomic_load_explicit(&m->next, memory_order_acquire);
    return m;
}

static struct app *app_locked(const char *name)
{
    struct app *a = apps;

    while (a != NULL && strcmp(a->name, name) != 0)
        a = a->next;
    if (a == NULL) {
        a = MEM_NEW(struct app);
        a->name = mem_strdup(name);
        a->next = apps;
        apps = a;
    }
    return a;
}

static struct family *family_locked(struct app *app, const char *name, enum app_metric_kind kind)
{
    char *full = mem_printf("app_%s%s%s", app->name, app->name[0] != 0 ? "_" : "", name);
    struct family *f = families;

    while (f != NULL && strcmp(f->name, full) != 0)
        f = f->next;
    if (f != NULL) {
        mem_free(full);
        return f;
    }
    f = MEM_NEW(struct family);
    f->app = app;
    f->name = full;
    f->kind = kind;
    f->last = &f->first;
    *families_end = f;
    families_end = &f->next;
    return f;
}

static int make_locked(const char *app_name, const char *name, enum app_metric_kind kind,
                       const char *key, size_t labels_at, struct app_metric **ret)
{
    uint32_t bucket = bucket_of(key);
    struct app *app = app_locked(app_name);
    struct family *f;
    struct app_metric *m = find(bucket, key);

    if (m == NULL && app->series >= atomic_load_explicit(&limit, memory_order_relaxed)) {
        atomic_fetch_add_explicit(&app->dropped, 1, memory_order_relaxed);
        return -ERR_LIMIT;
    }
    if (m == NULL) {
        f = family_locked(app, name, kind);
        if (f->kind != kind)
            return -ERR_ARGUMENT;
        m = MEM_NEW(struct app_metric);
        m->family = f;
        m->key = mem_strdup(key);
        m->labels = m->key + labels_at;
        *f->last = m;
        f->last = &m->sibling;
        app->series++;
        atomic_store_explicit(&m->next,
                              atomic_load_explicit(&buckets[bucket], memory_order_relaxed),
                              memory_order_relaxed);
        atomic_store_explicit(&buckets[bucket], m, memory_order_release);   /* see find */
    }
    *ret = m;
    return 0;
}

int app_metric_get(const char *app, const char *name, enum app_metric_kind kind, const char *labels,
                   struct app_metric **ret)
{
    char key[KEY_MAX];
    int labels_at = snprintf(key, sizeof key, "%s/%s/", app, name), rc = 0;

    if ((size_t)labels_at + strlen(labels) >= sizeof key)
        return -ERR_ARGUMENT;
    strcpy(key + labels_at, labels);
    *ret = find(bucket_of(key), key);
    if (*ret == NULL) {
        pthread_mutex_lock(&lock);
        rc = make_locked(app, name, kind, key, (size_t)labels_at, ret);
        pthread_mutex_unlock(&lock);
    }
    return rc < 0 ? rc : (*ret)->family->kind != kind ? -ERR_ARGUMENT : 0;
}

/* --- using -------------------------------------------------------------------------------- */

void app_metric_add(struct app_metric *m, uint64_t n)
{
    atomic_fetch_add_explicit(&m->count, n, memory_order_relaxed);
}

void app_metric_set(struct app_metric *m, double value)
{
    atomic_store_explicit(&m->value, value, memory_order_relaxed);
}

void app_metric_time(struct app_metric *m, double seconds)
{
    uint64_t ns = !(seconds > 0) ? 0 : seconds > 1e9 ? (uint64_t)1e18 : (uint64_t)(seconds * 1e9);

    atomic_fetch_add_explicit(&m->bucket[metric_bucket((int64_t)ns)], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&m->count, ns, memory_order_relaxed);
}

/* --- looking ------------------------------------------------------------------------------ */

/* What the name lacks of that which names of its kind end in. */
static const char *suffix(const struct family *f)
{
    static const char *const ends[] = { "_total", "", "_seconds" };

    return text_ends_with(f->name, ends[f->kind]) ? "" : ends[f->kind];
}

static void write_one(struct buf *out, const struct app_metric *m)
{
    struct metric_sample s = { .labels = m->labels };

    if (m->family->kind == APP_TIME) {
        for (size_t b = 0; b < METRIC_BUCKETS; b++) {
            s.buckets[b] = atomic_load_explicit(&m->bucket[b], memory_order_relaxed);
            s.count += s.buckets[b];
        }
        s.value = (double)atomic_load_explicit(&m->count, memory_order_relaxed) / 1e9;
    } else if (m->family->kind == APP_GAUGE) {
        s.value = atomic_load_explicit(&m->value, memory_order_relaxed);
    } else {
        s.value = (double)atomic_load_explicit(&m->count, memory_order_relaxed);
    }
    metric_write_series(out, m->family->name, suffix(m->family), m->family->kind == APP_TIME, &s);
}

void app_metric_write(struct buf *out, enum metric_format format)
{
    static const char *const kinds[] = { "counter", "gauge", "histogram" };

    pthread_mutex_lock(&lock);
    for (const struct family *f = families; f != NULL; f = f->next) {
        const char *end = suffix(f);
        size_t cut = 0;

        /* OpenMetrics names the family of a counter without _total. */
        if (format == METRIC_OPENMETRICS && f->kind == APP_COUNTER) {
            cut = end[0] == 0 ? strlen("_total") : 0;
            end = "";
        }
        buf_printf(out, "# HELP %.*s%s of the application %s\n", (int)(strlen(f->name) - cut), f->name,
                   end, f->app->name[0] != 0 ? f->app->name : "itself");
        buf_printf(out, "# TYPE %.*s%s %s\n", (int)(strlen(f->name) - cut), f->name, end,
                   kinds[f->kind]);
        for (const struct app_metric *m = f->first; m != NULL; m = m->sibling)
            write_one(out, m);
    }
    pthread_mutex_unlock(&lock);
}

void app_metric_collect(struct metric_sink *sink, void *arg)
{
    pthread_mutex_lock(&lock);
    for (const struct app *a = apps; a != NULL; a = a->next) {
        struct buf b = { 0 };

        metric_label(&b, "application", a->name);
        metric_emit(sink, M_app_series, buf_cstr(&b), (double)a->series);
        metric_emit(sink, M_app_series_dropped, buf_cstr(&b),
                    (double)atomic_load_explicit(&a->dropped, memory_order_relaxed));
        buf_fini(&b);
    }
    pthread_mutex_unlock(&lock);
}
