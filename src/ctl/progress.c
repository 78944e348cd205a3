/* SPDX-License-Identifier: Apache-2.0 */
/*
 * progress.c - bars, lines and JSON of progress
 */
#include "ctl/progress.h"

#include "base/clock.h"
#include "base/units.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BAR_CELLS    20
#define REDRAW_NS    100000000ll        /* faster than eyes is work for nothing */
#define PLAIN_NS     10000000000ll
#define WAIT_NS      1000000000ll

bool progress_form_parse(const char *text, enum progress_form *ret)
{
    static const char *const names[] = { "auto", "bar", "plain", "json", "none" };

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (strcmp(names[i], text) == 0) {
            *ret = (enum progress_form)i;
            return true;
        }
    }
    return false;
}

void progress_init(struct progress *p, FILE *err)
{
    const char *term = getenv("TERM");
    bool can_move = isatty(fileno(err)) && term != NULL && strcmp(term, "dumb") != 0;

    if (p->form == PROGRESS_AUTO)
        p->form = can_move ? PROGRESS_BAR : PROGRESS_PLAIN;
}

void progress_clear(struct progress *p, FILE *err)
{
    if (!p->drawn)
        return;
    fputs("\r\033[K", err);
    fflush(err);
    p->drawn = false;
}

/* --- texts -------------------------------------------------------------------------------- */

static const char *figure_text(uint64_t n, bool bytes, char out[UNIT_TEXT_MAX])
{
    return bytes ? size_text(n, out) : count_text(n, out);
}

/* "2 of 3  12 KiB/s  3 s left", as far as it is known. */
static void add_figures(struct buf *b, const struct progress *p, const progress_t *s, int64_t now)
{
    char done[UNIT_TEXT_MAX], total[UNIT_TEXT_MAX], rate[UNIT_TEXT_MAX], left[UNIT_TEXT_MAX];
    double seconds = (double)(now - p->start_ns) / 1e9;

    if (s->total > 0)
        buf_printf(b, "%s of %s", figure_text(s->done, s->bytes, done),
                   figure_text(s->total, s->bytes, total));
    else
        buf_str(b, figure_text(s->done, s->bytes, done));
    if (seconds < 1 || s->done == 0)
        return;                         /* a rate of so little would be a guess */
    buf_printf(b, "  %s/s", figure_text((uint64_t)((double)s->done / seconds), s->bytes, rate));
    if (s->total > s->done)
        buf_printf(b, "  %s left", age_text((int64_t)(seconds * 1e9 * (double)(s->total - s->done) /
                                                      (double)s->done), left));
}

static void add_bar(struct buf *b, const struct progress *p, const progress_t *s)
{
    unsigned full = s->total == 0 ? 0 : s->done >= s->total ? BAR_CELLS
                                      : (unsigned)(s->done * BAR_CELLS / s->total);

    for (unsigned i = 0; i < BAR_CELLS; i++)
        buf_str(b, i < full ? (p->utf8 ? "█" : "#") : (p->utf8 ? "░" : "."));
    buf_str(b, "  ");
}

static void write_json(FILE *err, const char *prefix, const progress_t *s)
{
    json_t *j = json_object();

    if (prefix != NULL)
        json_object_set_new(j, "node", json_string(prefix));
    json_object_set_new(j, "phase", json_string(s->phase));
    json_object_set_new(j, "done", json_integer((json_int_t)s->done));
    json_object_set_new(j, "total", json_integer((json_int_t)s->total));
    if (s->text[0] != 0)
        json_object_set_new(j, "text", json_string(s->text));
    json_dumpf(j, err, JSON_COMPACT);
    fputc('\n', err);
    json_decref(j);
}

/* --- steps -------------------------------------------------------------------------------- */

/* A new phase begins its clock. True: this one does. */
static bool enter_phase(struct progress *p, const char *phase, int64_t now)
{
    if (strncmp(p->phase, phase, sizeof p->phase - 1) == 0)
        return false;
    snprintf(p->phase, sizeof p->phase, "%s", phase);
    p->start_ns = now;
    return true;
}

/* Is it time to tell? The last step of a phase always is; the first one where that can be taken back. */
static bool is_due(struct progress *p, bool first, bool last, int64_t now)
{
    int64_t since = p->told_ns > p->start_ns ? p->told_ns : p->start_ns;
    bool due = last || (p->form == PROGRESS_PLAIN ? now - since >= PLAIN_NS
                                                  : first || now - since >= REDRAW_NS);

    if (due)
        p->told_ns = now;
    return due;
}

void progress_step(struct progress *p, FILE *err, const char *prefix, const progress_t *s)
{
    int64_t now = clock_monotonic_ns();
    bool first = enter_phase(p, s->phase, now), stays = s->text[0] != 0;
    bool last = s->total > 0 && s->done >= s->total;
    struct buf b = { 0 };

    if (p->form == PROGRESS_NONE || (!stays && !is_due(p, first, last, now)))
        return;
    if (p->form == PROGRESS_JSON) {
        write_json(err, prefix, s);
        return;
    }
    progress_clear(p, err);
    buf_printf(&b, "%s%s%-9s ", prefix != NULL ? prefix : "", prefix != NULL ? ": " : "", s->phase);
    if (stays) {
        buf_str(&b, s->text);
    } else {
        if (p->form == PROGRESS_BAR)
            add_bar(&b, p, s);
        add_figures(&b, p, s, now);
    }
    p->drawn = p->form == PROGRESS_BAR && !stays && !last;
    fprintf(err, "%s%s", buf_cstr(&b), p->drawn ? "" : "\n");
    fflush(err);
    buf_fini(&b);
}

void progress_bytes(struct progress *p, FILE *err, const char *phase, uint64_t done, uint64_t total)
{
    progress_t s = RNODE__CONTROL__PROGRESS__INIT;

    s.phase = (char *)(uintptr_t)phase;
    s.done = done;
    s.total = total;
    s.bytes = true;
    progress_step(p, err, NULL, &s);
}

void progress_wait(struct progress *p, FILE *err, const char *what, int64_t since_ns)
{
    int64_t now = clock_monotonic_ns();
    char age[UNIT_TEXT_MAX];

    if (p->form != PROGRESS_BAR || now - since_ns < WAIT_NS || now - p->told_ns < WAIT_NS)
        return;
    progress_clear(p, err);
    fprintf(err, "%-9s %s", what, age_text(now - since_ns, age));
    fflush(err);
    p->told_ns = now;
    p->drawn = true;
}
