/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metric.c - figures that programs make, shown at /metrics as app_*
 *
 *   metric:count(Name), count(Name, N), count(Name, Labels, N)     a counter grows by N, 1 unless told
 *   metric:set(Name, Value), set(Name, Labels, Value)              a gauge is Value now
 *   metric:observe(Name, Seconds), observe(Name, Labels, Seconds)  a time goes into a histogram
 *
 * Name is an atom or {Application, Name}; Labels is a map of atoms to atoms, binaries or integers.
 * All give ok; over the limit of series the use is counted and dropped, and gives dropped. Pids and
 * other terms are no labels: their number has no bound.
 */
#include "bif/bif.h"

#include "base/alloc.h"
#include "base/app_metric.h"
#include "base/errors.h"
#include "bif/text.h"
#include "heap/blob.h"
#include "heap/map.h"
#include "term/number.h"

#include <stdio.h>

#define LABEL_BYTES_MAX 128

/* The text of an atom that may be a name. NULL: it may not. */
static const char *name_text(term t)
{
    const char *text;
    size_t len;

    if (!is_atom(t))
        return NULL;
    text = atom_text(t, &len);
    return app_metric_name_good(text, len) ? text : NULL;
}

static bool label_value(struct buf *out, const char *name, term v)
{
    char text[LABEL_BYTES_MAX + 1];
    const uint8_t *bytes;
    const char *from;
    uint8_t *scratch = NULL;
    int64_t n;
    size_t len;

    if (term_to_int64(v, &n)) {
        snprintf(text, sizeof text, "%lld", (long long)n);
        metric_label(out, name, text);
        return true;
    }
    if (is_atom(v)) {
        from = atom_text(v, &len);
    } else if (binary_bytes(v, &bytes, &len, &scratch)) {
        mem_free(scratch);      /* one at a bit offset is no label */
        if (scratch != NULL || text_utf8_prefix(bytes, len) != len || memchr(bytes, 0, len) != NULL)
            return false;
        from = (const char *)bytes;
    } else {
        return false;
    }
    if (len > LABEL_BYTES_MAX)
        return false;
    memcpy(text, from, len);
    text[len] = 0;
    metric_label(out, name, text);
    return true;
}

static bool labels_text(struct buf *out, term labels)
{
    struct map_iter it;
    term key, value;
    const char *name;

    if (labels == TERM_NONE)
        return true;
    if (!is_map(labels) || map_size(labels) > APP_METRIC_LABELS_MAX)
        return false;
    map_iter_init(&it, labels);
    while (map_iter_next(&it, &key, &value)) {
        name = name_text(key);
        if (name == NULL || !label_value(out, name, value))
            return false;
    }
    return out->len < APP_METRIC_TEXT_MAX;
}

/* The series; -ERR_ARGUMENT: the terms name none. */
static int series_of(term id, term labels, enum app_metric_kind kind, struct app_metric **ret)
{
    bool pair = is_tuple_n(id, 2);
    const char *app = pair ? name_text(tuple_elem(id, 0)) : "";
    const char *name = name_text(pair ? tuple_elem(id, 1) : id);
    struct buf text = { 0 };
    int rc = -ERR_ARGUMENT;

    if (app != NULL && name != NULL && labels_text(&text, labels))
        rc = app_metric_get(app, name, kind, buf_cstr(&text), ret);
    buf_fini(&text);
    return rc;
}

static term use(struct process *p, enum app_metric_kind kind, term id, term labels, term value)
{
    struct app_metric *m;
    double v = 0;
    int64_t n = 0;
    int rc;

    if (kind == APP_COUNTER ? !term_to_int64(value, &n) || n < 0 : !number_to_double(value, &v))
        return bif_badarg(p);
    rc = series_of(id, labels, kind, &m);
    if (rc == -ERR_LIMIT)
        return ATOM_dropped;
    if (rc < 0)
        return bif_badarg(p);
    if (kind == APP_COUNTER)
        app_metric_add(m, (uint64_t)n);
    else if (kind == APP_GAUGE)
        app_metric_set(m, v);
    else
        app_metric_time(m, v);
    return ATOM_ok;
}

term bif_metric_count_1(struct process *p, const term *a)
{
    return use(p, APP_COUNTER, a[0], TERM_NONE, small_make(1));
}

term bif_metric_count_2(struct process *p, const term *a)
{
    return is_map(a[1]) ? use(p, APP_COUNTER, a[0], a[1], small_make(1))
                        : use(p, APP_COUNTER, a[0], TERM_NONE, a[1]);
}

term bif_metric_count_3(struct process *p, const term *a)
{
    return use(p, APP_COUNTER, a[0], a[1], a[2]);
}

term bif_metric_set_2(struct process *p, const term *a)
{
    return use(p, APP_GAUGE, a[0], TERM_NONE, a[1]);
}

term bif_metric_set_3(struct process *p, const term *a)
{
    return use(p, APP_GAUGE, a[0], a[1], a[2]);
}

term bif_metric_observe_2(struct process *p, const term *a)
{
    return use(p, APP_TIME, a[0], TERM_NONE, a[1]);
}

term bif_metric_observe_3(struct process *p, const term *a)
{
    return use(p, APP_TIME, a[0], a[1], a[2]);
}
