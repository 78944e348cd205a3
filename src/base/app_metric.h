/* SPDX-License-Identifier: Apache-2.0 */
/*
 * app_metric.h - figures that programs make: counters, gauges and times, app_* in the exposition
 *
 * A series is a name of an application with labels. It is made by the first use and stays until the
 * node ends, so an application may make only so many; what is over that is counted and dropped.
 * Any thread; a use that finds its series takes no lock.
 */
#ifndef BASE_APP_METRIC_H
#define BASE_APP_METRIC_H

#include "base/metric.h"

#define APP_METRIC_NAME_MAX   64        /* bytes of an application, a name, a label's name */
#define APP_METRIC_LABELS_MAX 8
#define APP_METRIC_TEXT_MAX   512       /* bytes of all labels as text */

enum app_metric_kind { APP_COUNTER, APP_GAUGE, APP_TIME };

/* A letter, then letters, digits and `_`; at most APP_METRIC_NAME_MAX bytes. */
bool app_metric_name_good(const char *text, size_t len);

/* The series app_<app>_<name>{labels}; app "": app_<name>. labels: as metric_label writes them, or "".
 * 0; -ERR_LIMIT: the application has as many as it may; -ERR_ARGUMENT: that name is of another kind. */
struct app_metric;
MUST_CHECK int app_metric_get(const char *app, const char *name, enum app_metric_kind kind,
                              const char *labels, struct app_metric **ret);
void app_metric_add(struct app_metric *m, uint64_t n);          /* counters */
void app_metric_set(struct app_metric *m, double value);        /* gauges */
void app_metric_time(struct app_metric *m, double seconds);     /* times; negative ones are zero */

/* Most series of one application from now on. */
void app_metric_limit(uint64_t series_max);
/* All of them appended to out. */
void app_metric_write(struct buf *out, enum metric_format format);
/* A collector: how many series each application has, and how many uses were dropped. */
void app_metric_collect(struct metric_sink *sink, void *arg);

#endif
