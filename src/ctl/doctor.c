/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doctor.c - is anything about this node not as it should be, and what to do about it
 *
 * Works from the metrics that all rooms give, the log and the system. Each check is a row of the
 * answer: warn with its remedy, or counted among those that are well. Worker thread.
 */
#include "ctl/handlers.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/units.h"
#include "ctl/exits.h"
#include "ctl/node_api.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>

#define LOG_WINDOW_NS   (5 * 60 * (int64_t)1000000000)
#define PERCENT_WARN    80
#define DISK_FREE_WARN  ((uint64_t)256 << 20)

struct doctor {
    struct request *rq;
    double value[METRIC_COUNT];         /* sums over labels */
    size_t checks, warnings;
};

static const struct column columns[] = {
    { "state", COL_TEXT, false }, { "what", COL_TEXT, false }, { "fix", COL_TEXT, false },
    { "code", COL_TEXT, false },
};

static void add_metric(void *arg, const struct metric_sample *s)
{
    struct doctor *d = arg;

    d->value[s->id] += s->value;
}

/* One check: good ones are only counted. */
static void check(struct doctor *d, bool good, const char *code, const char *fix, const char *fmt, ...)
    PRINTF_LIKE(5, 6);

static void check(struct doctor *d, bool good, const char *code, const char *fix, const char *fmt, ...)
{
    char what[300];
    va_list ap;

    d->checks++;
    if (good)
        return;
    d->warnings++;
    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    reply_row(d->rq, (struct cell[]){ CELL_TEXT("warn"), CELL_TEXT(what), CELL_TEXT(fix),
                                      CELL_TEXT(code) }, ARRAY_LEN(columns));
}

/* --- limits of the node ------------------------------------------------------------------- */

/* used of limit, both metrics: warn from PERCENT_WARN on. A limit of 0 is not known yet. */
static void check_fill(struct doctor *d, enum metric_id used, enum metric_id limit, const char *what,
                       const char *code, const char *fix)
{
    double percent = d->value[limit] > 0 ? 100 * d->value[used] / d->value[limit] : 0;

    check(d, percent < PERCENT_WARN, code, fix, "%s: %.0f%% of the limit in use", what, percent);
}

/* The remedy names a size that would do. */
static void check_store(struct doctor *d)
{
    double used = d->value[M_store_used], map = d->value[M_store_map];
    char used_text[UNIT_TEXT_MAX], map_text[UNIT_TEXT_MAX], fix[100];

    snprintf(fix, sizeof fix, "store.map_size = \"%.0fMiB\", then rnodectl reload",
             map / (1 << 20) * 2);
    check(d, map <= 0 || 100 * used / map < PERCENT_WARN, "RN0612", fix, "store %.0f%% full (%s of %s)",
          map > 0 ? 100 * used / map : 0, size_text((uint64_t)used, used_text),
          size_text((uint64_t)map, map_text));
}

static void check_limits(struct doctor *d)
{
    check_fill(d, M_processes, M_processes_limit, "processes", "RN0801",
               "raise vm.max_processes and restart, or look who spawns: rnodectl ps");
    check_fill(d, M_atoms, M_atoms_limit, "atoms", "RN0802",
               "look for list_to_atom on outside data; vm.max_atoms needs a restart");
    check_store(d);
    check(d, d->value[M_mailbox_over] == 0, "RN0803", "rnodectl ps -s msgq",
          "%.0f mailboxes have more than %lld messages", d->value[M_mailbox_over],
          (long long)d->rq->limits.mailbox_warn);
    check(d, d->value[M_store_oldest_reader] < 60, "RN0605", "rnodectl logs --level warning",
          "a read of the store is open for %.0f s", d->value[M_store_oldest_reader]);
    check(d, d->value[M_old_code] == 0, "RN0804", "rnodectl ps --old-code, rnodectl purge",
          "%.0f processes run old code", d->value[M_old_code]);
    check(d, d->value[M_watchdog_late] == 0, "RN0305", "rnodectl ps -s reds",
          "schedulers were stuck %.0f times since the start", d->value[M_watchdog_late]);
    check(d, d->value[M_supervisor_gave_up] == 0, "RN0805", "rnodectl logs --level error",
          "%.0f supervisors gave up", d->value[M_supervisor_gave_up]);
    check(d, d->value[M_peer_skew] < 1 && d->value[M_peer_skew] > -1, "RN0733",
          "chronyc tracking, here and there", "clocks of peers differ by %.1f s",
          d->value[M_peer_skew]);
}

/* --- the system ------------------------------------------------------------------------------- */

static size_t open_files(void)
{
    DIR *dir = opendir("/proc/self/fd");
    size_t n = 0;

    while (dir != NULL && readdir(dir) != NULL)
        n++;
    if (dir != NULL)
        closedir(dir);
    return n;
}

static void check_system(struct doctor *d)
{
    struct rlimit files;
    struct statvfs fs;
    char text[UNIT_TEXT_MAX];

    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur != RLIM_INFINITY)
        check(d, open_files() * 100 < files.rlim_cur * PERCENT_WARN, "RN0806",
              "LimitNOFILE= of the unit", "%zu of %llu open files", open_files(),
              (unsigned long long)files.rlim_cur);
    if (statvfs(node_api.data_dir, &fs) == 0) {
        uint64_t left = (uint64_t)fs.f_bavail * fs.f_frsize;

        check(d, left >= DISK_FREE_WARN, "RN0807", "make room, or move store.path",
              "%s left where the store is", size_text(left, text));
    }
}

/* --- the log ------------------------------------------------------------------------------------ */

struct recent { int64_t since_ns; size_t errors; };

static bool count_errors(void *arg, const struct log_record *r)
{
    struct recent *recent = arg;

    recent->errors += r->level >= LOG_LEVEL_ERROR && r->time_ns >= recent->since_ns;
    return true;
}

static void check_log(struct doctor *d)
{
    struct recent recent = { clock_system_ns() - LOG_WINDOW_NS, 0 };
    uint64_t written[LOG_LEVEL_COUNT], suppressed;

    log_visit(0, count_errors, &recent);
    log_counts(written, &suppressed);
    check(d, recent.errors == 0, "RN0808", "rnodectl logs --level error",
          "%zu errors logged in the last 5 minutes", recent.errors);
    check(d, suppressed == 0, "RN0809", "rnodectl logs", "%llu log records suppressed since the start",
          (unsigned long long)suppressed);
}

void ctl_doctor(struct request *rq)
{
    struct doctor d = { .rq = rq };
    char well[200];

    metric_visit(add_metric, &d);
    reply_head(rq, "rnode.doctor/1", columns, ARRAY_LEN(columns), false);
    check_limits(&d);
    check_system(&d);
    check_log(&d);
    snprintf(well, sizeof well, "%zu %schecks (limits, store, mailboxes, old code, supervisors, clocks, "
             "files, disk, log)", d.checks - d.warnings, d.warnings > 0 ? "other " : "");
    reply_row(rq, (struct cell[]){ CELL_TEXT("ok"), CELL_TEXT(well), CELL_TEXT(""), CELL_TEXT("") },
              ARRAY_LEN(columns));
    reply_end(rq, d.warnings > 0 ? EXIT_NO : EXIT_OK, "%s", "");
}
