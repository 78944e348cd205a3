/* SPDX-License-Identifier: Apache-2.0 */
/*
 * series.h - one hour of the figures that the graphs of the page show
 *
 * A point a second for each row of series.tab: 4 bytes, 14 KiB a series. Counters are kept as rates.
 * One thread ticks; any may look.
 */
#ifndef WEB_SERIES_H
#define WEB_SERIES_H

#include "base/bytes.h"
#include "base/compiler.h"

#define SERIES_SECONDS 3600

/* Take the point of this second. */
void series_tick(void);

/* Index of the series called name, or -1. */
int series_find(const char *name);
size_t series_count(void);
/* Name and what people call it; unit: "count", "bytes", "seconds", "percent", each "/s" for rates. */
void series_describe(int series, const char **ret_name, const char **ret_title, const char **ret_unit);
/* Newest value; NaN before the first. */
double series_last(int series);

/* The last `seconds` of it as an SVG picture of its own, with axis and title, appended to out. dark:
 * for a dark page. */
void series_svg(int series, unsigned seconds, bool dark, struct buf *out);

#endif
