/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crash.c - crash reports of processes, crash dumps of the node
 */
#include "node/crash.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "ctl/dumps.h"
#include "ctl/run.h"
#include "ctl/view.h"
#include "term/atom.h"
#include "term/print.h"
#include "vm/mailbox.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#define REASON_BYTES_MAX 2000

/* "<0.5.0> name" of a process, as in every record about it. */
static void who_print(struct buf *who, const struct process *p)
{
    term name = atomic_load_explicit(&p->registered, memory_order_relaxed);

    term_print(who, p->pid, 0, 64);
    if (is_atom(name))
        buf_printf(who, " %s", atom_text(name, NULL));
}

static void mfa_print(struct buf *mfa, const struct process *p)
{
    buf_printf(mfa, "%s:%s/%u", atom_text(p->initial[0], NULL), atom_text(p->initial[1], NULL),
               p->initial_arity);
}

void heap_limit_hook(struct process *p, uint64_t max_words)
{
    struct buf who = { 0 }, initial = { 0 };

    who_print(&who, p);
    mfa_print(&initial, p);
    LOG(ERROR, "process.heap_limit", LOG_FIELDS("pid", buf_cstr(&who), "mfa", buf_cstr(&initial)),
        "%s has more than its max_heap_size of %llu words%s", buf_cstr(&who),
        (unsigned long long)max_words, p->ext->max_heap_kill ? " and is killed" : "");
    buf_fini(&who);
    buf_fini(&initial);
}

void crash_hook(struct process *p, term reason)
{
    struct buf text = { 0 }, who = { 0 }, initial = { 0 };
    term stack = TERM_NIL;

    /* {Reason, Stack}, unless a program made up another shape with exit/1 */
    if (is_tuple_n(reason, 2) && is_list(tuple_elem(reason, 1))) {
        stack = tuple_elem(reason, 1);
        reason = tuple_elem(reason, 0);
    }
    who_print(&who, p);
    mfa_print(&initial, p);
    term_print(&text, reason, PRINT_STRINGS | PRINT_UNICODE, REASON_BYTES_MAX);
    buf_u8(&text, '\n');
    stack_print(&text, stack, "    ");
    text.len--; /* the last newline */
    LOG(ERROR, "process.crash", LOG_FIELDS("pid", buf_cstr(&who), "mfa", buf_cstr(&initial)),
        "%s ended: %s", buf_cstr(&who), buf_cstr(&text));
    buf_fini(&text);
    buf_fini(&who);
    buf_fini(&initial);
}

void report_hook(term level, const char *bytes, size_t len)
{
    struct buf who = { 0 };

    while (len > 0 && bytes[len - 1] == '\n')
        len--;
    if (sched_self != NULL && sched_self->current != NULL)
        who_print(&who, sched_self->current);
    if (level == ATOM_error)
        LOG(ERROR, "app.report", LOG_FIELDS("pid", buf_cstr(&who)), "%.*s", (int)len, bytes);
    else
        LOG(NOTICE, "app.report", LOG_FIELDS("pid", buf_cstr(&who)), "%.*s", (int)len, bytes);
    buf_fini(&who);
}

/* --- dumps -------------------------------------------------------------------------- */

static bool add_log_line(void *arg, const struct log_record *r)
{
    buf_printf(arg, "%s %s %s\n", log_level_name(r->level), r->event, r->text);
    return true;
}

char *crash_write(const char *folder, const char *why)
{
    char *dir = mem_printf("%s/crash", folder), *path, stamp[32];
    time_t now = (time_t)(clock_system_ns() / 1000000000);
    struct buf out = { 0 };
    struct tm tm;
    FILE *file;

    mkdir(dir, 0700);
    gmtime_r(&now, &tm);
    strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", &tm);
    path = mem_printf("%s/%s.txt", dir, stamp);
    buf_printf(&out, "rnode %s crash dump: %s\n\n", PACKAGE_VERSION, why);
    view_report(&out);
    buf_str(&out, "\n=== log\n");
    log_visit(0, add_log_line, &out);
    file = fopen(path, "we");
    if (file == NULL || fwrite(out.data, 1, out.len, file) != out.len) {
        mem_free(path);
        path = NULL;
    }
    if (file != NULL && fclose(file) != 0) {
        mem_free(path);
        path = NULL;
    }
    dumps_drop_old(dir, CRASH_FILES_KEPT);
    buf_fini(&out);
    mem_free(dir);
    return path;
}
