/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.h - what the node tells its operator: records with a level, an event name, text and fields
 *
 * Any thread, never a signal handler. A record goes to standard error in the chosen format and to
 * a ring of the newest ones, which rnodectl logs reads. Each call site may write 100 records a
 * second; the rest is counted, and the count is written when the second is over.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/compiler.h"

#include <stdatomic.h>

enum log_level {
    LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_NOTICE, LOG_LEVEL_WARNING, LOG_LEVEL_ERROR,
    LOG_LEVEL_CRITICAL, LOG_LEVEL_COUNT,
};

enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON, LOG_FORMAT_LOGFMT, LOG_FORMAT_JOURNAL };

#define LOG_RING_BYTES  (4u << 20)
#define LOG_SITE_PER_S  100
#define LOG_FIELDS_MAX  16

/* One place in the source that writes records; made by the macro below. */
struct log_site {
    _Atomic int64_t second;         /* [any] second that `count` counts in */
    _Atomic uint32_t count;         /* [any] */
    _Atomic uint32_t suppressed;    /* [any] */
};

/* Where records go, and which. LOG_FORMAT_JOURNAL: fd is a datagram socket connected to the
 * journal's; a record is one datagram of its native protocol. The defaults, text at info, suit a program that never calls this. */
void log_configure(enum log_level least, enum log_format format, int fd);
/* Level for events whose name begins with `subsystem.`; the last call for one name wins. */
void log_subsystem_level(const char *subsystem, enum log_level least);
void log_levels_reset(void);        /* forget all subsystem levels */
bool log_wants(enum log_level level, const char *event);

/* fields: key, value, key, value, NULL; or NULL. The text may have several lines. */
void log_write(struct log_site *site, enum log_level level, const char *event,
               const char *const *fields, const char *fmt, ...) PRINTF_LIKE(5, 6);

#define LOG_FIELDS(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define LOG(level, event, fields, ...)                                               \
    do {                                                                             \
        static struct log_site site_;                                                \
        log_write(&site_, LOG_LEVEL_##level, (event), (fields), __VA_ARGS__);        \
    } while (0)

/* One record as kept in the ring. Strings are lent for the duration of the visit. */
struct log_record {
    uint64_t seq;                   /* from 1, without gaps */
    int64_t  time_ns;               /* since 1970 */
    enum log_level level;
    const char *event, *text;
    const char *fields[LOG_FIELDS_MAX * 2 + 1];
};

/* Visit records with seq > after, oldest first, until visit returns false. visit runs under the
 * log's lock and must not log. Returns the seq of the newest record. */
uint64_t log_visit(uint64_t after, bool (*visit)(void *arg, const struct log_record *r), void *arg);

const char *log_level_name(enum log_level level);       /* "debug" ... */
bool log_level_parse(const char *text, enum log_level *ret);
/* Records written, by level, and suppressed since the start. */
void log_counts(uint64_t ret_written[LOG_LEVEL_COUNT], uint64_t *ret_suppressed);

#endif
