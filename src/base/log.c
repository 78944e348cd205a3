/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.c - records to standard error and to the ring
 *
 * One lock covers the ring, the levels and the output, so lines never mix. The ring is a list of
 * records bounded by bytes; the oldest go first.
 */
#include "base/log.h"

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/md5.h"

#include <ctype.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

struct kept {
    struct kept *next;
    size_t bytes;
    struct log_record r;            /* strings lie in data[] */
    char data[];
};

static struct {
    pthread_mutex_t lock;
    enum log_level least;           /* [lk] */
    enum log_format format;         /* [lk] */
    int fd;                         /* [lk] */
    struct { char *name; enum log_level least; } *subsystems; /* [lk] */
    size_t nsubsystems;             /* [lk] */
    struct kept *first, *last;      /* [lk] oldest to newest */
    size_t bytes;                   /* [lk] of all kept records */
    uint64_t seq, suppressed;       /* [lk] */
    uint64_t written[LOG_LEVEL_COUNT];  /* [lk] */
} state = { .lock = PTHREAD_MUTEX_INITIALIZER, .least = LOG_LEVEL_INFO, .fd = STDERR_FILENO };

static const struct { const char *name; char letter; int syslog; } levels[LOG_LEVEL_COUNT] = {
    { "debug", 'D', 7 }, { "info", 'I', 6 }, { "notice", 'N', 5 },
    { "warning", 'W', 4 }, { "error", 'E', 3 }, { "critical", 'C', 2 },
};

const char *log_level_name(enum log_level level)
{
    return levels[level].name;
}

bool log_level_parse(const char *text, enum log_level *ret)
{
    for (int i = 0; i < LOG_LEVEL_COUNT; i++) {
        if (strcmp(levels[i].name, text) == 0) {
            *ret = (enum log_level)i;
            return true;
        }
    }
    return false;
}

void log_configure(enum log_level least, enum log_format format, int fd)
{
    pthread_mutex_lock(&state.lock);
    state.least = least;
    state.format = format;
    state.fd = fd;
    pthread_mutex_unlock(&state.lock);
}

void log_subsystem_level(const char *subsystem, enum log_level least)
{
    pthread_mutex_lock(&state.lock);
    state.subsystems = mem_realloc(state.subsystems,
                                   (state.nsubsystems + 1) * sizeof state.subsystems[0]);
    state.subsystems[state.nsubsystems].name = mem_strdup(subsystem);
    state.subsystems[state.nsubsystems++].least = least;
    pthread_mutex_unlock(&state.lock);
}

void log_levels_reset(void)
{
    pthread_mutex_lock(&state.lock);
    while (state.nsubsystems > 0)
        mem_free(state.subsystems[--state.nsubsystems].name);
    pthread_mutex_unlock(&state.lock);
}

static bool wants_locked(enum log_level level, const char *event)
{
    for (size_t i = state.nsubsystems; i-- > 0;) {
        size_t n = strlen(state.subsystems[i].name);

        if (strncmp(state.subsystems[i].name, event, n) == 0 && event[n] == '.')
            return level >= state.subsystems[i].least;
    }
    return level >= state.least;
}

bool log_wants(enum log_level level, const char *event)
{
    bool wanted;

    pthread_mutex_lock(&state.lock);
    wanted = wants_locked(level, event);
    pthread_mutex_unlock(&state.lock);
    return wanted;
}

void log_counts(uint64_t ret_written[LOG_LEVEL_COUNT], uint64_t *ret_suppressed)
{
    pthread_mutex_lock(&state.lock);
    memcpy(ret_written, state.written, sizeof state.written);
    *ret_suppressed = state.suppressed;
    pthread_mutex_unlock(&state.lock);
}

/* --- formats ------------------------------------------------------------------------ */

/* Control characters as \xNN, except the newlines that `lines` allows. */
static void add_clean(struct buf *out, const char *s, bool lines)
{
    for (; *s != 0; s++) {
        unsigned char c = (unsigned char)*s;

        if ((c < 32 && !(lines && (c == '\n' || c == '\t'))) || c == 127)
            buf_printf(out, "\\x%02x", c);
        else
            buf_u8(out, c);
    }
}

static void add_quoted(struct buf *out, const char *s)
{
    buf_u8(out, '"');
    for (; *s != 0; s++) {
        unsigned char c = (unsigned char)*s;

        if (c == '"' || c == '\\')
            buf_printf(out, "\\%c", c);
        else if (c == '\n')
            buf_str(out, "\\n");
        else if (c < 32 || c == 127)
            buf_printf(out, "\\u%04x", c);
        else
            buf_u8(out, c);
    }
    buf_u8(out, '"');
}

static void add_value(struct buf *out, const char *s)
{
    if (*s != 0 && strpbrk(s, " =\"\\\n\t") == NULL)
        add_clean(out, s, false);
    else
        add_quoted(out, s);
}

static void format_text(struct buf *out, const struct log_record *r, bool stamp)
{
    time_t sec = (time_t)(r->time_ns / 1000000000);
    struct tm tm;

    if (stamp) {
        localtime_r(&sec, &tm);
        buf_printf(out, "%02d:%02d:%02d.%03d ", tm.tm_hour, tm.tm_min, tm.tm_sec,
                   (int)(r->time_ns / 1000000 % 1000));
    }
    buf_printf(out, "%c %-14s ", levels[r->level].letter, r->event);
    add_clean(out, r->text, stamp);
    for (size_t i = 0; r->fields[i] != NULL; i += 2) {
        buf_printf(out, "  %s=", r->fields[i]);
        add_value(out, r->fields[i + 1]);
    }
    buf_u8(out, '\n');
}

static void add_utc(struct buf *out, int64_t time_ns)
{
    time_t sec = (time_t)(time_ns / 1000000000);
    struct tm tm;

    gmtime_r(&sec, &tm);
    buf_printf(out, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900, tm.tm_mon + 1,
               tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(time_ns / 1000000 % 1000));
}

static void format_json(struct buf *out, const struct log_record *r)
{
    buf_str(out, "{\"ts\":\"");
    add_utc(out, r->time_ns);
    buf_printf(out, "\",\"level\":\"%s\",\"event\":\"%s\",\"msg\":", levels[r->level].name,
               r->event);
    add_quoted(out, r->text);
    for (size_t i = 0; r->fields[i] != NULL; i += 2) {
        buf_printf(out, ",\"%s\":", r->fields[i]);
        add_quoted(out, r->fields[i + 1]);
    }
    buf_str(out, "}\n");
}

static void format_logfmt(struct buf *out, const struct log_record *r)
{
    buf_str(out, "ts=");
    add_utc(out, r->time_ns);
    buf_printf(out, " level=%s event=%s msg=", levels[r->level].name, r->event);
    add_quoted(out, r->text);
    for (size_t i = 0; r->fields[i] != NULL; i += 2) {
        buf_printf(out, " %s=", r->fields[i]);
        add_value(out, r->fields[i + 1]);
    }
    buf_u8(out, '\n');
}

/* --- the journal's native protocol: fields, each on a line or with its length before it ---- */

static void journal_field(struct buf *out, const char *prefix, const char *key, const char *value)
{
    size_t len = strlen(value);

    buf_str(out, prefix);
    for (; *key != 0; key++)
        buf_u8(out, (uint8_t)toupper((unsigned char)*key));
    if (strchr(value, '\n') == NULL) {
        buf_printf(out, "=%s\n", value);
        return;
    }
    buf_u8(out, '\n');
    for (size_t i = 0; i < 8; i++)
        buf_u8(out, (uint8_t)(len >> (8 * i)));
    buf_add(out, value, len);
    buf_u8(out, '\n');
}

static void message_id(struct buf *out, const char *event)
{
    char *seed = mem_printf("rnode event %s", event);
    uint8_t id[16];
    struct md5 m;

    md5_init(&m);
    md5_update(&m, seed, strlen(seed));
    md5_final(&m, id);
    buf_str(out, "MESSAGE_ID=");
    for (size_t i = 0; i < sizeof id; i++)
        buf_printf(out, "%02x", id[i]);
    buf_u8(out, '\n');
    mem_free(seed);
}

static bool is_catalogued(const char *event)
{
    static const char *const names[] = {
#define EVENT(name, title, text) name,
#include "base/events.tab"
#undef EVENT
    };

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(names[i], event) == 0)
            return true;
    return false;
}

static void format_journal(struct buf *out, const struct log_record *r)
{
    char priority[4];

    snprintf(priority, sizeof priority, "%d", levels[r->level].syslog);
    journal_field(out, "", "MESSAGE", r->text);
    journal_field(out, "", "PRIORITY", priority);
    journal_field(out, "", "SYSLOG_IDENTIFIER", "rnoded");
    journal_field(out, "RNODE_", "EVENT", r->event);
    if (is_catalogued(r->event))
        message_id(out, r->event);
    for (size_t i = 0; r->fields[i] != NULL; i += 2)
        journal_field(out, "RNODE_", r->fields[i], r->fields[i + 1]);
}

static void emit_locked(const struct log_record *r)
{
    struct buf out = { 0 };

    state.written[r->level]++;
    switch (state.format) {
    case LOG_FORMAT_JSON:
        format_json(&out, r);
        break;
    case LOG_FORMAT_LOGFMT:
        format_logfmt(&out, r);
        break;
    case LOG_FORMAT_JOURNAL:
        format_journal(&out, r);
        break;
    case LOG_FORMAT_TEXT:
        format_text(&out, r, true);
        break;
    }
    /* A log that cannot be written has nobody to tell; the ring keeps the record. */
    if (write(state.fd, out.data, out.len) < 0)
        state.suppressed++;
    buf_fini(&out);
}

/* --- the ring ----------------------------------------------------------------------- */

static const char *keep_string(char **at, const char *s)
{
    size_t n = strlen(s) + 1;
    char *to = *at;

    memcpy(to, s, n);
    *at += n;
    return to;
}

static struct kept *kept_new(enum log_level level, const char *event, const char *text,
                             const char *const *fields)
{
    size_t n = 0, bytes = strlen(event) + strlen(text) + 2;
    struct kept *k;
    char *at;

    while (fields != NULL && n < LOG_FIELDS_MAX * 2 && fields[n] != NULL && fields[n + 1] != NULL) {
        bytes += strlen(fields[n]) + strlen(fields[n + 1]) + 2;
        n += 2;
    }
    k = mem_zalloc(sizeof *k + bytes);
    k->bytes = sizeof *k + bytes;
    at = k->data;
    k->r.level = level;
    k->r.time_ns = clock_system_ns();
    k->r.event = keep_string(&at, event);
    k->r.text = keep_string(&at, text);
    for (size_t i = 0; i < n; i++)
        k->r.fields[i] = keep_string(&at, fields[i]);
    return k;
}

static void keep_locked(struct kept *k)
{
    k->r.seq = ++state.seq;
    if (state.last != NULL)
        state.last->next = k;
    else
        state.first = k;
    state.last = k;
    state.bytes += k->bytes;
    while (state.bytes > LOG_RING_BYTES && state.first != state.last) {
        struct kept *old = state.first;

        state.first = old->next;
        state.bytes -= old->bytes;
        mem_free(old);
    }
}

uint64_t log_visit(uint64_t after, bool (*visit)(void *arg, const struct log_record *r), void *arg)
{
    uint64_t newest;

    pthread_mutex_lock(&state.lock);
    newest = state.seq;
    for (struct kept *k = state.first; k != NULL; k = k->next) {
        if (k->r.seq > after && !visit(arg, &k->r))
            break;
    }
    pthread_mutex_unlock(&state.lock);
    return newest;
}

/* --- writing ------------------------------------------------------------------------ */

/* May this call site write now? When a new second begins, *ret_missed tells how many records of
 * earlier seconds were dropped. Relaxed everywhere: two threads at the turn of a second may let a
 * few records more or less through. */
static bool site_admits(struct log_site *site, uint32_t *ret_missed)
{
    int64_t now = clock_monotonic_ns() / 1000000000;

    *ret_missed = 0;
    if (atomic_load_explicit(&site->second, memory_order_relaxed) != now) {
        atomic_store_explicit(&site->second, now, memory_order_relaxed);
        atomic_store_explicit(&site->count, 0, memory_order_relaxed);
        *ret_missed = atomic_exchange_explicit(&site->suppressed, 0, memory_order_relaxed);
    }
    if (atomic_fetch_add_explicit(&site->count, 1, memory_order_relaxed) < LOG_SITE_PER_S)
        return true;
    atomic_fetch_add_explicit(&site->suppressed, 1, memory_order_relaxed);
    return false;
}

static void put_locked(enum log_level level, const char *event, const char *text,
                       const char *const *fields)
{
    struct kept *k = kept_new(level, event, text, fields);

    keep_locked(k);
    emit_locked(&k->r);
}

void log_write(struct log_site *site, enum log_level level, const char *event,
               const char *const *fields, const char *fmt, ...)
{
    uint32_t missed;
    char *text;
    va_list ap;

    if (!log_wants(level, event))
        return;
    if (!site_admits(site, &missed)) {
        pthread_mutex_lock(&state.lock);
        state.suppressed++;
        pthread_mutex_unlock(&state.lock);
        return;
    }
    va_start(ap, fmt);
    if (vasprintf(&text, fmt, ap) < 0)
        text = mem_strdup(fmt);
    va_end(ap);
    pthread_mutex_lock(&state.lock);
    if (missed > 0) {
        char note[64];

        snprintf(note, sizeof note, "suppressed %u records of this kind", missed);
        put_locked(LOG_LEVEL_WARNING, event, note, NULL);
    }
    put_locked(level, event, text, fields);
    pthread_mutex_unlock(&state.lock);
    mem_free(text);
}
