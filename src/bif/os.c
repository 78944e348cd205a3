/* SPDX-License-Identifier: Apache-2.0 */
/*
 * os.c - environment, clocks and calendar of the operating system
 *
 * The environment is the C library's own, under one lock, so that programs the node starts see
 * what was put.
 */
#include "bif/bif.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "bif/port.h"
#include "bif/text.h"
#include "heap/heap.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

extern char **environ;
static pthread_mutex_t env_lock = PTHREAD_MUTEX_INITIALIZER;

/* --- environment --------------------------------------------------------------------------------- */

/* The name of a variable as a C string (lent by out), or NULL when t cannot be one. */
static const char *env_name(struct buf *out, term t)
{
    if (!is_list(t) || !text_append(out, t) || memchr(buf_cstr(out), 0, out->len) != NULL)
        return NULL;
    return strchr(buf_cstr(out), '=') != NULL ? NULL : buf_cstr(out);
}

static term env_get(struct process *p, term name, term missing)
{
    struct buf text = { 0 };
    const char *n = env_name(&text, name), *value;
    term result = missing;

    if (n == NULL) {
        buf_fini(&text);
        return bif_badarg(p);
    }
    pthread_mutex_lock(&env_lock);
    value = getenv(n);
    if (value != NULL)
        result = heap_cstr(&p->heap, value);
    pthread_mutex_unlock(&env_lock);
    buf_fini(&text);
    return result;
}

term bif_os_getenv_1(struct process *p, const term *a)
{
    return env_get(p, a[0], ATOM_false);
}

term bif_os_getenv_2(struct process *p, const term *a)
{
    return env_get(p, a[0], a[1]);
}

/* All variables: as "Name=Value" or as {Name, Value}. */
static term env_all(struct process *p, bool split)
{
    struct heap *h = &p->heap;
    term list = TERM_NIL;

    pthread_mutex_lock(&env_lock);
    for (char **e = environ; e != NULL && *e != NULL; e++) {
        const char *eq = strchr(*e, '=');
        char *name;

        if (eq == NULL || eq == *e)
            continue;
        if (!split) {
            list = heap_cons(h, heap_cstr(h, *e), list);
            continue;
        }
        name = mem_dup(*e, (size_t)(eq - *e) + 1);
        name[eq - *e] = '\0';
        list = heap_cons(h, heap_tuple2(h, heap_cstr(h, name), heap_cstr(h, eq + 1)), list);
        mem_free(name);
    }
    pthread_mutex_unlock(&env_lock);
    return list;
}

term bif_os_getenv_0(struct process *p, const term *a)
{
    return env_all(p, false);
}

term bif_os_env(struct process *p, const term *a)
{
    return env_all(p, true);
}

char **os_environment(void)
{
    size_t n = 0;
    char **copy;

    pthread_mutex_lock(&env_lock);
    while (environ != NULL && environ[n] != NULL)
        n++;
    copy = mem_alloc((n + 1) * sizeof *copy);
    for (size_t i = 0; i < n; i++)
        copy[i] = mem_strdup(environ[i]);
    copy[n] = NULL;
    pthread_mutex_unlock(&env_lock);
    return copy;
}

term bif_os_putenv(struct process *p, const term *a)
{
    struct buf name = { 0 }, value = { 0 };
    const char *n = env_name(&name, a[0]);
    bool good = n != NULL && is_list(a[1]) && text_append(&value, a[1]) &&
                memchr(buf_cstr(&value), 0, value.len) == NULL;

    if (good) {
        pthread_mutex_lock(&env_lock);
        setenv(n, buf_cstr(&value), 1);     /* an empty name changes nothing */
        pthread_mutex_unlock(&env_lock);
    }
    buf_fini(&name);
    buf_fini(&value);
    return good ? ATOM_true : bif_badarg(p);
}

term bif_os_unsetenv(struct process *p, const term *a)
{
    struct buf name = { 0 };
    const char *n = env_name(&name, a[0]);
    bool good = n != NULL && *n != '\0';

    if (good) {
        pthread_mutex_lock(&env_lock);
        unsetenv(n);
        pthread_mutex_unlock(&env_lock);
    }
    buf_fini(&name);
    return good ? ATOM_true : bif_badarg(p);
}

term bif_os_getpid(struct process *p, const term *a)
{
    char text[24];

    snprintf(text, sizeof text, "%ld", (long)getpid());
    return heap_cstr(&p->heap, text);
}

term bif_os_type(struct process *p, const term *a)
{
    return heap_tuple2(&p->heap, ATOM_unix_, ATOM_linux_);
}

term bif_os_version(struct process *p, const term *a)
{
    struct utsname u;
    int major = 0, minor = 0, release = 0;

    if (uname(&u) == 0)
        sscanf(u.release, "%d.%d.%d", &major, &minor, &release);
    return heap_tuple3(&p->heap, small_make(major), small_make(minor), small_make(release));
}

/* Accepted and without effect: the daemon keeps the signals to itself. */
term bif_os_set_signal(struct process *p, const term *a)
{
    return is_atom(a[0]) && is_atom(a[1]) ? ATOM_ok : bif_badarg(p);
}

term bif_os_find_executable(struct process *p, const term *a)
{
    struct buf name = { 0 }, path = { 0 };
    const char *dirs = getenv("PATH");
    term result = ATOM_false;

    if (!text_path(&name, a[0])) {
        buf_fini(&name);
        return bif_badarg(p);
    }
    if (strchr(buf_cstr(&name), '/') != NULL) {
        if (access(buf_cstr(&name), X_OK) == 0)
            result = heap_cstr(&p->heap, buf_cstr(&name));
        dirs = NULL;
    }
    while (dirs != NULL && *dirs != '\0' && result == ATOM_false) {
        size_t len = strcspn(dirs, ":");

        path.len = 0;
        buf_add(&path, dirs, len);
        buf_u8(&path, '/');
        buf_str(&path, buf_cstr(&name));
        if (access(buf_cstr(&path), X_OK) == 0)
            result = heap_cstr(&p->heap, buf_cstr(&path));
        dirs += len + (dirs[len] == ':');
    }
    buf_fini(&name);
    buf_fini(&path);
    return result;
}

/* --- clocks -------------------------------------------------------------------------------------- */

term bif_os_system_time_0(struct process *p, const term *a)
{
    return heap_int(&p->heap, clock_system_ns());
}

static term in_unit(struct process *p, int64_t ns, term unit)
{
    uint64_t parts = time_unit_parts(unit);

    return parts == 0 ? bif_badarg(p) : heap_int(&p->heap, time_in_parts(ns, parts));
}

term bif_os_system_time_1(struct process *p, const term *a)
{
    return in_unit(p, clock_system_ns(), a[0]);
}

term bif_os_perf_counter_0(struct process *p, const term *a)
{
    return heap_int(&p->heap, clock_monotonic_ns());
}

term bif_os_perf_counter_1(struct process *p, const term *a)
{
    return in_unit(p, clock_monotonic_ns(), a[0]);
}

term bif_os_timestamp(struct process *p, const term *a)
{
    int64_t us = clock_system_ns() / 1000;

    return heap_tuple3(&p->heap, small_make(us / 1000000000000),
                       small_make(us / 1000000 % 1000000), small_make(us % 1000000));
}

/* --- calendar ------------------------------------------------------------------------------------ */

static term date_term(struct process *p, const struct tm *tm)
{
    return heap_tuple3(&p->heap, small_make(tm->tm_year + 1900), small_make(tm->tm_mon + 1),
                       small_make(tm->tm_mday));
}

static term time_term(struct process *p, const struct tm *tm)
{
    return heap_tuple3(&p->heap, small_make(tm->tm_hour), small_make(tm->tm_min),
                       small_make(tm->tm_sec));
}

static term datetime_term(struct process *p, const struct tm *tm)
{
    return heap_tuple2(&p->heap, date_term(p, tm), time_term(p, tm));
}

static struct tm now_tm(bool local)
{
    time_t t = (time_t)(clock_system_ns() / 1000000000);
    struct tm tm;

    if (local)
        localtime_r(&t, &tm);
    else
        gmtime_r(&t, &tm);
    return tm;
}

term bif_date(struct process *p, const term *a)
{
    struct tm tm = now_tm(true);

    return date_term(p, &tm);
}

term bif_time(struct process *p, const term *a)
{
    struct tm tm = now_tm(true);

    return time_term(p, &tm);
}

term bif_localtime(struct process *p, const term *a)
{
    struct tm tm = now_tm(true);

    return datetime_term(p, &tm);
}

term bif_universaltime(struct process *p, const term *a)
{
    struct tm tm = now_tm(false);

    return datetime_term(p, &tm);
}

/* Three smalls of tuple t into out. */
static bool triple(term t, int64_t *out)
{
    for (size_t i = 0; i < 3; i++) {
        if (!is_tuple_n(t, 3) || !is_small(tuple_elem(t, i)))
            return false;
        out[i] = small_val(tuple_elem(t, i));
    }
    return true;
}

/* {{Y,M,D},{H,Mi,S}}, each in its range. */
static bool datetime_read(term t, struct tm *tm)
{
    static const int8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    int64_t d[3], c[3];
    int64_t last;

    if (!is_tuple_n(t, 2) || !triple(tuple_elem(t, 0), d) || !triple(tuple_elem(t, 1), c))
        return false;
    if (d[0] < -1000000 || d[0] > 1000000 || d[1] < 1 || d[1] > 12)
        return false;
    last = days[d[1] - 1];
    if (d[1] == 2 && ((d[0] % 4 == 0 && d[0] % 100 != 0) || d[0] % 400 == 0))
        last = 29;
    if (d[2] < 1 || d[2] > last || c[0] < 0 || c[0] > 23 || c[1] < 0 || c[1] > 59 || c[2] < 0 ||
        c[2] > 59)
        return false;
    memset(tm, 0, sizeof *tm);
    tm->tm_year = (int)d[0] - 1900;
    tm->tm_mon = (int)d[1] - 1;
    tm->tm_mday = (int)d[2];
    tm->tm_hour = (int)c[0];
    tm->tm_min = (int)c[1];
    tm->tm_sec = (int)c[2];
    return true;
}

static term to_universal(struct process *p, term t, term is_dst)
{
    struct tm tm, utc;
    time_t when;

    if (!datetime_read(t, &tm) || (is_dst != ATOM_true && is_dst != ATOM_false &&
                                   is_dst != ATOM_undefined))
        return bif_badarg(p);
    tm.tm_isdst = is_dst == ATOM_true ? 1 : is_dst == ATOM_false ? 0 : -1;
    when = mktime(&tm);
    if (when == (time_t)-1 && tm.tm_year < 0)
        return bif_badarg(p);
    gmtime_r(&when, &utc);
    return datetime_term(p, &utc);
}

term bif_localtime_to_universaltime_1(struct process *p, const term *a)
{
    return to_universal(p, a[0], ATOM_undefined);
}

term bif_localtime_to_universaltime_2(struct process *p, const term *a)
{
    return to_universal(p, a[0], a[1]);
}

term bif_universaltime_to_localtime(struct process *p, const term *a)
{
    struct tm tm, local;
    time_t when;

    if (!datetime_read(a[0], &tm))
        return bif_badarg(p);
    when = timegm(&tm);
    localtime_r(&when, &local);
    return datetime_term(p, &local);
}

term bif_posixtime_to_universaltime(struct process *p, const term *a)
{
    int64_t v;
    time_t when;
    struct tm tm;

    if (!term_to_int64(a[0], &v))
        return bif_badarg(p);
    when = (time_t)v;
    if (gmtime_r(&when, &tm) == NULL)
        return bif_badarg(p);
    return datetime_term(p, &tm);
}

term bif_universaltime_to_posixtime(struct process *p, const term *a)
{
    struct tm tm;

    return datetime_read(a[0], &tm) ? heap_int(&p->heap, timegm(&tm)) : bif_badarg(p);
}
