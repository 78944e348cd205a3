/* SPDX-License-Identifier: Apache-2.0 */
/*
 * series.c - rings of one hour, and their pictures
 */
#include "web/series.h"

#include "base/clock.h"
#include "base/metric.h"
#include "base/units.h"
#include "web/web.h"

#include <math.h>
#include <pthread.h>
#include <string.h>

enum series_kind { KIND_VALUE, KIND_RATE, KIND_BUSY };

static const struct {
    const char *name;
    enum metric_id metric;
    const char *label;
    enum series_kind kind;
    const char *title, *unit;
} rows[] = {
#define SERIES(name, metric, label, kind, title, unit) \
    { #name, M_##metric, label, KIND_##kind, title, unit },
#include "web/series.tab"
#undef SERIES
};

#define SERIES_COUNT ARRAY_LEN(rows)

static struct {
    float point[SERIES_COUNT][SERIES_SECONDS];
    double total[SERIES_COUNT], before[SERIES_COUNT];   /* sums of this look and the last */
    size_t at, n;               /* where the next point goes; points taken, at most a ring */
    int64_t then_ns;
    double schedulers;
} ring;

static pthread_mutex_t ring_lock = PTHREAD_MUTEX_INITIALIZER;

static void add_sample(void *arg, const struct metric_sample *s)
{
    if (s->id == M_schedulers)
        ring.schedulers = s->value;
    for (size_t i = 0; i < SERIES_COUNT; i++)
        if (rows[i].metric == s->id && strstr(s->labels, rows[i].label) != NULL)
            ring.total[i] += s->value;
}

static float point_of(size_t i, double seconds)
{
    double change = (ring.total[i] - ring.before[i]) / seconds;

    if (rows[i].kind == KIND_VALUE)
        return (float)ring.total[i];
    if (ring.then_ns == 0 || change < 0)
        return 0;
    if (rows[i].kind == KIND_RATE)
        return (float)change;
    return (float)fmin(100, 100 * change / fmax(1, ring.schedulers));
}

static void take_points(void)
{
    int64_t now = clock_monotonic_ns();
    double seconds = fmax(0.001, (double)(now - ring.then_ns) / 1e9);

    memset(ring.total, 0, sizeof ring.total);
    metric_visit(add_sample, NULL);
    for (size_t i = 0; i < SERIES_COUNT; i++)
        ring.point[i][ring.at] = point_of(i, seconds);
    memcpy(ring.before, ring.total, sizeof ring.before);
    ring.then_ns = now;
    ring.at = (ring.at + 1) % SERIES_SECONDS;
    if (ring.n < SERIES_SECONDS)
        ring.n++;
}

void series_tick(void)
{
    pthread_mutex_lock(&ring_lock);
    take_points();
    pthread_mutex_unlock(&ring_lock);
}

bool web_plot(const char *series, unsigned seconds, bool dark, struct buf *out)
{
    int found = series_find(series);

    for (size_t i = 0; found < 0 && i < SERIES_COUNT; i++)
        buf_printf(out, "%s\n", rows[i].name);
    if (found >= 0)
        series_svg(found, seconds, dark, out);
    return found >= 0;
}

int series_find(const char *name)
{
    for (size_t i = 0; i < SERIES_COUNT; i++)
        if (strcmp(rows[i].name, name) == 0)
            return (int)i;
    return -1;
}

size_t series_count(void)
{
    return SERIES_COUNT;
}

void series_describe(int series, const char **ret_name, const char **ret_title, const char **ret_unit)
{
    *ret_name = rows[series].name;
    *ret_title = rows[series].title;
    *ret_unit = rows[series].unit;
}

/* The point taken `ago` ticks before the newest. */
static double point_ago(int series, size_t ago)
{
    return (double)ring.point[series][(ring.at + 2 * SERIES_SECONDS - 1 - ago) % SERIES_SECONDS];
}

double series_last(int series)
{
    return ring.n == 0 ? NAN : point_ago(series, 0);
}

/* --- pictures ------------------------------------------------------------------------------ */

#define SVG_W 480
#define SVG_H 140
#define PLOT_X 8
#define PLOT_Y 30
#define PLOT_W (SVG_W - 2 * PLOT_X)
#define PLOT_H 84
#define COLUMNS 232             /* one for two pixels */

static void value_text(double v, const char *unit, struct buf *out)
{
    char text[UNIT_TEXT_MAX];
    bool rate = strstr(unit, "/s") != NULL;

    if (strncmp(unit, "bytes", 5) == 0)
        buf_printf(out, "%s%s", size_text((uint64_t)v, text), rate ? "/s" : "");
    else if (strcmp(unit, "percent") == 0)
        buf_printf(out, "%.0f %%", v);
    else if (v < 10 && v != floor(v))
        buf_printf(out, "%.1f%s", v, rate ? "/s" : "");
    else
        buf_printf(out, "%s%s", count_text((uint64_t)v, text), rate ? "/s" : "");
}

/* Largest value of the ticks that fall into column c of COLUMNS, NaN when there is none. */
static double column_value(int series, unsigned seconds, size_t c)
{
    size_t from = seconds * (COLUMNS - 1 - c) / COLUMNS, to = seconds * (COLUMNS - c) / COLUMNS;
    double most = NAN;

    if (to == from)
        to = from + 1;
    for (size_t ago = from; ago < to && ago < ring.n; ago++)
        most = fmax(most, point_ago(series, ago));      /* fmax ignores a NaN */
    return most;
}

/* 1, 2 or 5 times a power of ten that is not below v. */
static double round_up(double v)
{
    double unit = pow(10, floor(log10(fmax(v, 1e-9))));

    return v <= unit ? unit : v <= 2 * unit ? 2 * unit : v <= 5 * unit ? 5 * unit : 10 * unit;
}

static void draw_line(struct buf *out, const double *value, double top, const char *color)
{
    struct buf line = { 0 };
    double first_x = -1, last_x = 0;

    for (size_t c = 0; c < COLUMNS; c++) {
        double x = PLOT_X + (double)PLOT_W * (double)c / (COLUMNS - 1);

        if (isnan(value[c]))
            continue;
        if (first_x < 0)
            first_x = x;
        last_x = x;
        buf_printf(&line, " %.1f,%.1f", x, PLOT_Y + PLOT_H - PLOT_H * value[c] / top);
    }
    if (first_x >= 0) {
        buf_printf(out, "<polygon fill=\"%s\" fill-opacity=\".15\" points=\"%.1f,%d%s %.1f,%d\"/>",
                   color, first_x, PLOT_Y + PLOT_H, buf_cstr(&line), last_x, PLOT_Y + PLOT_H);
        buf_printf(out, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"1.5\" points=\"%s\"/>",
                   color, buf_cstr(&line));
    }
    buf_fini(&line);
}

static void svg_text(struct buf *out, int x, int y, const char *anchor, const char *color, int size,
                     const char *text)
{
    buf_printf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"%s\" fill=\"%s\" font-size=\"%d\">%s</text>",
               x, y, anchor, color, size, text);
}

void series_svg(int series, unsigned seconds, bool dark, struct buf *out)
{
    const char *ink = dark ? "#e6e6e6" : "#1b1b1b", *faint = dark ? "#9aa0a6" : "#5f6368";
    const char *unit = rows[series].unit;
    double value[COLUMNS], most = 0, top, last;
    struct buf now = { 0 }, high = { 0 }, span = { 0 };
    char age[UNIT_TEXT_MAX];

    pthread_mutex_lock(&ring_lock);
    for (size_t c = 0; c < COLUMNS; c++) {
        value[c] = column_value(series, seconds, c);
        most = fmax(most, value[c]);
    }
    last = ring.n == 0 ? 0 : point_ago(series, 0);
    pthread_mutex_unlock(&ring_lock);
    top = strcmp(unit, "percent") == 0 ? 100 : round_up(fmax(most, 1));
    value_text(last, unit, &now);
    value_text(top, unit, &high);
    buf_printf(&span, "%s ago", age_text((int64_t)seconds * 1000000000, age));
    buf_printf(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" role=\"img\" "
                    "font-family=\"system-ui, sans-serif\"><title>%s: %s</title>",
               SVG_W, SVG_H, rows[series].title, buf_cstr(&now));
    svg_text(out, PLOT_X, 19, "start", ink, 15, rows[series].title);
    svg_text(out, SVG_W - PLOT_X, 19, "end", ink, 15, buf_cstr(&now));
    for (int i = 0; i <= 2; i++)
        buf_printf(out, "<path stroke=\"%s\" stroke-opacity=\".35\" d=\"M%d %dh%d\"/>", faint, PLOT_X,
                   PLOT_Y + i * PLOT_H / 2, PLOT_W);
    draw_line(out, value, top, dark ? "#8ab4f8" : "#1a56c4");
    svg_text(out, PLOT_X, PLOT_Y + 12, "start", faint, 11, buf_cstr(&high));
    svg_text(out, PLOT_X, SVG_H - 10, "start", faint, 11, buf_cstr(&span));
    svg_text(out, SVG_W - PLOT_X, SVG_H - 10, "end", faint, 11, "now");
    buf_str(out, "</svg>\n");
    buf_fini(&now);
    buf_fini(&high);
    buf_fini(&span);
}
