/* SPDX-License-Identifier: Apache-2.0 */
/*
 * logger.c - logger and error_logger for programs that run without OTP's kernel application
 *
 * One level for the whole node, no handlers and no filters: a record that is severe enough becomes
 * one text for io_log. Reports with a report_cb are turned into text by rnode_io:report_text, code
 * of io_leader.c, since the callback is a fun.
 */
#include "bif/bif.h"
#include "base/clock.h"
#include "base/metric.h"
#include "bif/io.h"
#include "bif/restarts.h"
#include "heap/map.h"
#include "term/print.h"
#include "vm/code.h"
#include "vm/pdict.h"

#include <stdio.h>
#include <time.h>

/* Most severe first. */
static const term levels[] = {
    ATOM_emergency, ATOM_alert, ATOM_critical, ATOM_error, ATOM_warning, ATOM_notice, ATOM_info,
    ATOM_debug,
};

static _Atomic term level_now = ATOM_notice;

/* Place among levels; none is before, all behind; -2: no level. */
static int level_rank(term level)
{
    if (level == ATOM_none)
        return -1;
    for (size_t i = 0; i < ARRAY_LEN(levels); i++)
        if (levels[i] == level)
            return (int)i;
    return level == ATOM_all ? (int)ARRAY_LEN(levels) : -2;
}

static bool is_allowed(term level)
{
    return level_rank(level) >= 0 && level_rank(level) <= level_rank(atomic_load(&level_now));
}

/* --- texts ------------------------------------------------------------------------------------------ */

/* What the header calls the report. */
static const char *kind_of(term level, term report)
{
    term label = is_map(report) ? map_get(report, ATOM_label) : TERM_NONE;

    if (label != TERM_NONE && is_tuple_n(label, 2) && tuple_elem(label, 0) == ATOM_proc_lib)
        return "CRASH";
    if (label != TERM_NONE && is_tuple_n(label, 2) && tuple_elem(label, 0) == ATOM_supervisor)
        return level == ATOM_error ? "SUPERVISOR" : "PROGRESS";
    switch (level_rank(level)) {
    case 0: case 1: case 2: case 3:
        return "ERROR";
    case 4:
        return "WARNING";
    default:
        return "INFO";
    }
}

static void header_put(struct buf *out, const char *kind)
{
    static const char months[][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug",
                                      "Sep", "Oct", "Nov", "Dec" };
    int64_t ns = clock_system_ns();
    time_t t = (time_t)(ns / 1000000000);
    struct tm tm;

    localtime_r(&t, &tm);
    buf_printf(out, "=%s REPORT==== %d-%s-%d::%02d:%02d:%02d.%06d ===\n", kind, tm.tm_mday,
               months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec,
               (int)(ns / 1000 % 1000000));
}

static void line_end(struct buf *out)
{
    if (out->len == 0 || out->data[out->len - 1] != '\n')
        buf_u8(out, '\n');
}

static void pair_put(struct buf *out, term key, term value)
{
    buf_str(out, "    ");
    term_print(out, key, PRINT_STRINGS | PRINT_UNICODE, 0);
    buf_str(out, ": ");
    term_print(out, value, PRINT_STRINGS | PRINT_UNICODE, 20000);
    buf_u8(out, '\n');
}

/* A map or list of pairs, a line for each. */
static void report_put(struct buf *out, term report)
{
    struct map_iter it;
    term key, value;

    if (is_map(report)) {
        map_iter_init(&it, report);
        while (map_iter_next(&it, &key, &value))
            pair_put(out, key, value);
        return;
    }
    for (; is_cons(report); report = cdr(report)) {
        if (is_tuple_n(car(report), 2)) {
            pair_put(out, tuple_elem(car(report), 0), tuple_elem(car(report), 1));
        } else {
            buf_str(out, "    ");
            term_print(out, car(report), PRINT_STRINGS | PRINT_UNICODE, 20000);
            buf_u8(out, '\n');
        }
    }
}

static void format_put(struct buf *out, term format, term args)
{
    size_t from = out->len;

    if (io_format(out, format, args))
        return;
    out->len = from;
    buf_str(out, "FORMAT ERROR: ");
    term_print(out, format, PRINT_STRINGS | PRINT_UNICODE, 2000);
    buf_str(out, " - ");
    term_print(out, args, PRINT_STRINGS | PRINT_UNICODE, 20000);
}

static void send_text(term level, struct buf *out)
{
    line_end(out);
    io_log(level, (const char *)out->data, out->len);
    buf_fini(out);
}

/* --- records ----------------------------------------------------------------------------------------- */

/* A list of tuples is a report; other lists are text. */
static bool is_report(term t)
{
    return is_map(t) || (is_cons(t) && is_tuple(car(t)));
}

/* The callback that turns reports into text: of the record, TERM_NONE: there is none. */
static term report_callback(term meta)
{
    term cb = is_map(meta) ? map_get(meta, ATOM_report_cb) : TERM_NONE;

    return cb != TERM_NONE && is_fun(cb) && (fun_arity(cb) == 1 || fun_arity(cb) == 2) ? cb
                                                                                       : TERM_NONE;
}

/* Let rnode_io:report_text(Level, Report, Cb, Args) call Cb(Args...): it ends in bif_logger_report. */
static term callback_trap(struct process *p, term level, term report, term cb)
{
    struct heap *h = &p->heap;
    term config[6] = { ATOM_depth, ATOM_unlimited, ATOM_chars_limit, ATOM_unlimited,
                       ATOM_single_line, ATOM_false };
    term args = fun_arity(cb) == 1 ? TERM_NIL
                                   : heap_cons(h, map_from_pairs(h, config, 3), TERM_NIL);
    term x[4] = { level, report, cb, heap_cons(h, report, args) };

    return bif_trap(p, export_get(ATOM_rnode_io, ATOM_report_text, 4), 4, x);
}

/* The value of key in a list of pairs, or NIL. */
static term pair_value(term list, const char *key)
{
    term name = atom_existing_utf8(key, strlen(key));

    for (; is_cons(list); list = cdr(list)) {
        if (is_tuple_n(car(list), 2) && tuple_elem(car(list), 0) == name)
            return tuple_elem(car(list), 1);
    }
    return TERM_NIL;
}

static void note_restart(struct process *p, term id, term reason)
{
    metric_inc(M_supervisor_restarts);
    restarts_note(p->pid, id, reason);
}

/* What OTP's supervisors say of themselves: {supervisor, child_terminated} before a restart, or of a
 * temporary child, and {supervisor, shutdown} when there were too many. */
static void count_supervisor(struct process *p, term report)
{
    term label = is_map(report) ? map_get(report, ATOM_label) : TERM_NONE, list, offender;

    if (label == TERM_NONE || !is_tuple_n(label, 2) || tuple_elem(label, 0) != ATOM_supervisor)
        return;
    if (tuple_elem(label, 1) == ATOM_shutdown) {
        metric_inc(M_supervisor_gave_up);
        return;
    }
    if (tuple_elem(label, 1) != ATOM_child_terminated)
        return;
    list = map_get(report, ATOM_report);
    offender = list != TERM_NONE ? pair_value(list, "offender") : TERM_NIL;
    if (pair_value(offender, "restart_type") != atom_existing_utf8("temporary", 9))
        note_restart(p, pair_value(offender, "id"), pair_value(list, "reason"));
}

/* rnode_io:restarting(Id, Reason), by supervisors that send no reports of OTP: before a restart. */
term bif_restarting(struct process *p, const term *a)
{
    note_restart(p, a[0], a[1]);
    return ATOM_ok;
}

/* rnode_io:gave_up(), by the same: it restarted too often and ends. */
term bif_gave_up(struct process *p, const term *a)
{
    metric_inc(M_supervisor_gave_up);
    return ATOM_ok;
}

/* One record: v[0] is text, a format, or a report; then arguments (a list), then metadata. */
static term record(struct process *p, term level, const term *v, size_t n)
{
    term meta = n > 1 && is_map(v[n - 1]) ? v[n - 1] : TERM_NONE;
    struct buf out = { 0 };

    if (level_rank(level) < 0)
        return bif_badarg(p);
    if (is_report(v[0]))
        count_supervisor(p, v[0]);
    if (!is_allowed(level))
        return ATOM_ok;
    if (is_report(v[0])) {
        term cb = meta == TERM_NONE ? TERM_NONE : report_callback(meta);

        if (cb != TERM_NONE)
            return callback_trap(p, level, v[0], cb);
        header_put(&out, kind_of(level, v[0]));
        report_put(&out, v[0]);
    } else {
        header_put(&out, kind_of(level, TERM_NIL));
        if (n > 1 && is_list(v[1]))
            format_put(&out, v[0], v[1]);
        else
            format_put(&out, v[0], TERM_NIL);
    }
    send_text(level, &out);
    return ATOM_ok;
}

/* rnode_io:report(Level, Report, Result): Result is what the callback gave. */
term bif_logger_report(struct process *p, const term *a)
{
    struct buf out = { 0 };

    header_put(&out, kind_of(a[0], a[1]));
    if (is_tuple_n(a[2], 2) && tuple_elem(a[2], 0) != ATOM_EXIT && is_list(tuple_elem(a[2], 1)))
        format_put(&out, tuple_elem(a[2], 0), tuple_elem(a[2], 1));
    else if (is_list(a[2]) || is_binary(a[2]))
        io_format(&out, heap_cstr(&p->heap, "~ts"), heap_cons(&p->heap, a[2], TERM_NIL));
    else
        report_put(&out, a[1]);
    send_text(a[0], &out);
    return ATOM_ok;
}

term bif_logger_allow(struct process *p, const term *a)
{
    return is_allowed(a[0]) ? ATOM_true : ATOM_false;
}

term bif_logger_macro_log_3(struct process *p, const term *a)
{
    return record(p, a[1], a + 2, 1);
}

term bif_logger_macro_log_4(struct process *p, const term *a)
{
    return record(p, a[1], a + 2, 2);
}

term bif_logger_macro_log_5(struct process *p, const term *a)
{
    return record(p, a[1], a + 2, 3);
}

term bif_logger_log_2(struct process *p, const term *a)
{
    return record(p, a[0], a + 1, 1);
}

term bif_logger_log_3(struct process *p, const term *a)
{
    return record(p, a[0], a + 1, 2);
}

term bif_logger_log_4(struct process *p, const term *a)
{
    return record(p, a[0], a + 1, 3);
}

#define LEVEL_FUNCTIONS(name) \
    term bif_logger_##name##_1(struct process *p, const term *a) \
    { \
        return record(p, ATOM_##name, a, 1); \
    } \
    term bif_logger_##name##_2(struct process *p, const term *a) \
    { \
        return record(p, ATOM_##name, a, 2); \
    } \
    term bif_logger_##name##_3(struct process *p, const term *a) \
    { \
        return record(p, ATOM_##name, a, 3); \
    }

LEVEL_FUNCTIONS(emergency)
LEVEL_FUNCTIONS(alert)
LEVEL_FUNCTIONS(critical)
LEVEL_FUNCTIONS(error)
LEVEL_FUNCTIONS(warning)
LEVEL_FUNCTIONS(notice)
LEVEL_FUNCTIONS(info)
LEVEL_FUNCTIONS(debug)

/* --- configuration -------------------------------------------------------------------------------------- */

term bif_logger_compare_levels(struct process *p, const term *a)
{
    int x = level_rank(a[0]), y = level_rank(a[1]);

    if (x < -1 || y < -1)
        return bif_badarg(p);
    return x < y ? ATOM_gt : x > y ? ATOM_lt : ATOM_eq;
}

#define METADATA_KEY ATOM_logger_metadata

term bif_logger_set_process_metadata(struct process *p, const term *a)
{
    if (!is_map(a[0]))
        return bif_badarg(p);
    pdict_put(p, METADATA_KEY, a[0]);
    return ATOM_ok;
}

term bif_logger_update_process_metadata(struct process *p, const term *a)
{
    term old = pdict_get(p, METADATA_KEY);

    if (!is_map(a[0]))
        return bif_badarg(p);
    pdict_put(p, METADATA_KEY, is_map(old) ? map_merge(&p->heap, old, a[0]) : a[0]);
    return ATOM_ok;
}

term bif_logger_unset_process_metadata(struct process *p, const term *a)
{
    pdict_erase(p, METADATA_KEY);
    return ATOM_ok;
}

term bif_logger_get_process_metadata(struct process *p, const term *a)
{
    term meta = pdict_get(p, METADATA_KEY);

    return is_map(meta) ? meta : ATOM_undefined;
}

term bif_logger_get_primary_config(struct process *p, const term *a)
{
    term pairs[8] = { ATOM_level, atomic_load(&level_now), ATOM_filters, TERM_NIL,
                      ATOM_filter_default, ATOM_log, ATOM_metadata, map_empty(&p->heap) };

    return map_from_pairs(&p->heap, pairs, 4);
}

static term level_set(struct process *p, term level)
{
    if (level_rank(level) < -1)
        return heap_tuple2(&p->heap, ATOM_error, heap_tuple2(&p->heap, ATOM_invalid_level, level));
    atomic_store(&level_now, level);
    return ATOM_ok;
}

term bif_logger_set_primary_config_1(struct process *p, const term *a)
{
    term level = is_map(a[0]) ? map_get(a[0], ATOM_level) : TERM_NONE;

    return level == TERM_NONE ? ATOM_ok : level_set(p, level);
}

term bif_logger_set_primary_config_2(struct process *p, const term *a)
{
    return a[0] == ATOM_level ? level_set(p, a[1]) : ATOM_ok;
}

term bif_logger_get_handler_ids(struct process *p, const term *a)
{
    return heap_cons(&p->heap, ATOM_default, TERM_NIL);
}

/* Handlers and filters: accepted, and without effect. */
term bif_logger_ok(struct process *p, const term *a)
{
    return ATOM_ok;
}

term bif_logger_timestamp(struct process *p, const term *a)
{
    return heap_int(&p->heap, clock_system_ns() / 1000);
}

/* --- error_logger ------------------------------------------------------------------------------------------ */

term bif_error_logger_get_format_depth(struct process *p, const term *a)
{
    return ATOM_unlimited;
}

term bif_error_logger_limit_term(struct process *p, const term *a)
{
    return a[0];
}

term bif_error_logger_error_report_2(struct process *p, const term *a)
{
    return record(p, ATOM_error, a + 1, 1);
}

term bif_error_logger_warning_report_2(struct process *p, const term *a)
{
    return record(p, ATOM_warning, a + 1, 1);
}

term bif_error_logger_info_report_2(struct process *p, const term *a)
{
    return record(p, ATOM_notice, a + 1, 1);
}
