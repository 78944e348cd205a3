/* SPDX-License-Identifier: Apache-2.0 */
/*
 * profile.c - rnodectl profile: where the time of processes goes
 *
 * A thread of its own ticks, since nobody else may sleep between ticks; it ends by time or with
 * Ctrl-C, and hands over to the control thread, which answers. The hook runs on
 * schedulers, under a lock that is held for the copy of one stack. One profile at a time.
 */
#include "ctl/handlers.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/units.h"
#include "ctl/exits.h"
#include "ctl/flame.h"
#include "ctl/server.h"
#include "ctl/view.h"
#include "term/atom.h"
#include "vm/code.h"
#include "vm/sched.h"

#include <event2/event.h>
#include <pthread.h>
#include <time.h>

#define RATE_DEFAULT 1000
#define RATE_MAX     10000

enum form { FORM_TOP, FORM_FOLDED, FORM_SVG };

static struct {
    pthread_mutex_t lock;
    struct flame flame;             /* [lk] */
    uint64_t samples;               /* [lk] */
    /* --- [set] while a profile runs --- */
    struct request *rq;             /* NULL: none runs; [loop] */
    term pid, module;               /* only these, or TERM_NONE */
    int64_t ms, rate;
    enum form form;
    pthread_t thread;
    bool joined;                    /* [loop] */
    _Atomic bool cancelled;
    int64_t took_ns;                /* [thread], then [loop] */
    uint64_t ticks;                 /* the same */
} the = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void on_sample(const struct process *p, const struct profile_frame *frames, size_t n)
{
    bool wanted = the.module == TERM_NONE;

    if (the.pid != TERM_NONE && the.pid != p->pid)
        return;
    for (size_t i = 0; i < n && !wanted; i++)
        wanted = frames[i].module == the.module;
    if (!wanted)
        return;
    pthread_mutex_lock(&the.lock);
    the.samples++;
    flame_add(&the.flame, frames, n);
    pthread_mutex_unlock(&the.lock);
}

/* --- the answer: control thread ---------------------------------------------------------------- */

static void reply_top(struct request *rq)
{
    static const struct column cols[] = {
        { "function", COL_TEXT, false }, { "self_percent", COL_COUNT_, false },
        { "total_percent", COL_COUNT_, false }, { "self", COL_COUNT_, false },
        { "total", COL_COUNT_, false },
    };
    struct flame_row *rows;
    size_t n = flame_functions(&the.flame, &rows), limit = rq->msg->limit;
    uint64_t all = the.samples > 0 ? the.samples : 1;

    reply_head(rq, "rnode.profile/1", cols, ARRAY_LEN(cols), false);
    for (size_t i = 0; i < n && (limit == 0 || i < limit); i++) {
        struct buf name = { 0 };

        flame_name(&name, &rows[i].frame);
        reply_row(rq, (struct cell[]){
            CELL_TEXT(buf_cstr(&name)), CELL_NUMBER((rows[i].self * 100 + all / 2) / all),
            CELL_NUMBER((rows[i].total * 100 + all / 2) / all), CELL_NUMBER(rows[i].self),
            CELL_NUMBER(rows[i].total),
        }, ARRAY_LEN(cols));
        buf_fini(&name);
    }
    mem_free(rows);
}

static void reply_text(struct request *rq, const char *summary)
{
    struct buf out = { 0 };

    if (the.form == FORM_SVG)
        flame_svg(&the.flame, summary, &out);
    else
        flame_folded(&the.flame, &out);
    reply_chunk(rq, RNODE__CONTROL__CHUNK__STREAM__OUTPUT, out.data, out.len);
    buf_fini(&out);
}

static void reply_profile(struct request *rq)
{
    char took[UNIT_TEXT_MAX], samples[UNIT_TEXT_MAX];
    uint64_t ticks = the.ticks * sched_count();
    struct buf text = { 0 };

    buf_printf(&text, "%s samples in %s, %.0f%% of the time of %u schedulers",
               count_text(the.samples, samples), age_text(the.took_ns, took),
               ticks > 0 ? 100.0 * (double)the.samples / (double)ticks : 0.0, sched_count());
    if (the.flame.missed > 0)
        buf_printf(&text, " · %llu stacks found no room", (unsigned long long)the.flame.missed);
    if (the.form == FORM_TOP)
        reply_top(rq);
    else
        reply_text(rq, buf_cstr(&text));
    reply_done(rq, 0, 0, "%s", buf_cstr(&text));
    buf_fini(&text);
}

static void join(void)
{
    if (!the.joined)
        pthread_join(the.thread, NULL);
    the.joined = true;
}

static void on_end(evutil_socket_t fd, short what, void *arg)
{
    struct request *rq = the.rq;

    join();
    rq->on_cancel = NULL;
    reply_profile(rq);
    flame_fini(&the.flame);
    the.rq = NULL;
}

/* The answer is what has been seen so far. The thread ends at its next tick, so this waits for a
 * moment only; it may not outlive the event base. */
static void on_cancel(struct request *rq)
{
    atomic_store(&the.cancelled, true);
    join();
}

/* --- ticking: a thread of its own ---------------------------------------------------------------- */

static void *tick(void *arg)
{
    int64_t start = clock_monotonic_ns(), step = 1000000000 / the.rate, next = start, now = start;

    pthread_setname_np(pthread_self(), "profile");
    profile_start(on_sample);
    while (now - start < the.ms * 1000000 && !atomic_load(&the.cancelled)) {
        struct timespec until;

        next = now - next > step ? now + step : next + step;    /* late: no ticks to catch up */
        until = (struct timespec){ next / 1000000000, next % 1000000000 };
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
        profile_tick();
        the.ticks++;
        now = clock_monotonic_ns();
    }
    profile_stop();
    the.took_ns = now - start;
    if (event_base_once(server_base(), -1, EV_TIMEOUT, on_end, NULL, &(struct timeval){ 0 }) < 0)
        LOG(ERROR, "control.call", NULL, "no memory for an event; a profile is not answered");
    return NULL;
}

/* --- the beginning ------------------------------------------------------------------------------- */

/* What to look at. On failure the request is answered. */
static bool read_target(struct request *rq, term *ret_pid, term *ret_module)
{
    const char *what = rq->msg->n_args > 0 ? request_arg(rq, 0) : NULL;
    term name;

    *ret_pid = *ret_module = TERM_NONE;
    if (what == NULL || (*ret_pid = view_find(what)) != TERM_NONE)
        return true;
    name = atom_existing_utf8(what, strlen(what));
    if (name != TERM_NONE && code_is_loaded(name)) {
        *ret_module = name;
        return true;
    }
    reply_error(rq, EXIT_NO, "RN0302", "rnodectl ps; rnodectl names; rnodectl modules", NULL,
                "`%s` is neither a process, a registered name nor a module", what);
    return false;
}

static bool read_form(struct request *rq, enum form *ret)
{
    const char *as = request_option(rq, "as"), *file = request_option(rq, "file");

    *ret = FORM_TOP;
    if (as == NULL) {
        if (file != NULL)
            *ret = text_ends_with(file, ".svg") ? FORM_SVG : FORM_FOLDED;
        return true;
    }
    if (strcmp(as, "folded") == 0)
        *ret = FORM_FOLDED;
    else if (strcmp(as, "svg") == 0)
        *ret = FORM_SVG;
    else if (strcmp(as, "top") != 0) {
        reply_error(rq, EXIT_USAGE, "RN0101", "--as top, folded or svg", NULL,
                    "`%s` is no form of a profile", as);
        return false;
    }
    return true;
}

static bool read_times(struct request *rq, int64_t *ret_ms, int64_t *ret_rate)
{
    const char *dur = request_option(rq, "for"), *rate = request_option(rq, "rate");

    *ret_ms = 5000;
    *ret_rate = RATE_DEFAULT;
    if (dur != NULL && (!duration_parse(dur, ret_ms) || *ret_ms == 0)) {
        reply_error(rq, EXIT_USAGE, "RN0101", "--for 5s", NULL, "`%s` is no time", dur);
        return false;
    }
    if (rate != NULL && (!count_parse(rate, ret_rate) || *ret_rate < 1 || *ret_rate > RATE_MAX)) {
        reply_error(rq, EXIT_USAGE, "RN0101", "--rate 1000", NULL,
                    "`%s` is no number of samples a second, 1 to %d", rate, RATE_MAX);
        return false;
    }
    if (*ret_ms > rq->limits.trace_ms)
        *ret_ms = rq->limits.trace_ms;
    return true;
}

void ctl_profile(struct request *rq)
{
    term pid, module;
    int64_t ms, rate;
    enum form form;

    if (the.rq != NULL) {
        reply_error(rq, EXIT_TIMEOUT, "RN0108", "try again", NULL, "a profile runs already");
        return;
    }
    if (!read_target(rq, &pid, &module) || !read_form(rq, &form) || !read_times(rq, &ms, &rate))
        return;
    flame_init(&the.flame);
    the.samples = the.ticks = 0;
    the.pid = pid;
    the.module = module;
    the.ms = ms;
    the.rate = rate;
    the.form = form;
    the.joined = false;
    atomic_store(&the.cancelled, false);
    the.rq = rq;
    rq->on_cancel = on_cancel;
    if (pthread_create(&the.thread, NULL, tick, NULL) != 0) {
        the.rq = NULL;
        rq->on_cancel = NULL;
        flame_fini(&the.flame);
        reply_error(rq, EXIT_SYSTEM, "RN0004", NULL, NULL, "no thread for the profile");
    }
}
