/* SPDX-License-Identifier: Apache-2.0 */
/*
 * web.h - metrics, health and the observer page over HTTP
 *
 * One thread of its own with libevent's HTTP server, so a slow scraper never holds the control
 * thread and a busy control thread never holds a health check. Nothing here runs on a scheduler.
 *
 * Addresses other than loopback serve /metrics, /livez and /readyz alone. A request whose Host is
 * neither an address nor one of http.hosts is refused: a page of somebody else's name server must
 * not read ours.
 */
#ifndef WEB_WEB_H
#define WEB_WEB_H

#include "base/bytes.h"
#include "base/compiler.h"

struct web_options {
    const char *const *listen;      /* "127.0.0.1:7466", "[::1]:0"...; empty: no HTTP at all */
    const char *const *hosts;       /* names that a Host header may have besides addresses */
    bool observer;                  /* serve the page */
    bool open;                      /* the page asks nobody who they are: --dev */
    int64_t session_s;              /* how long a login holds */
    bool erlang_vm;                 /* metrics under the names of published BEAM dashboards, too */
    bool actions;                   /* gc, kill and restart on the page */
    uint64_t mailbox_warn;          /* messages above which a mailbox counts as too long */
};

/* Copies o. On failure complaint says which address and why; nothing runs then.
 * -ERR_SYSTEM: an address cannot be had; -ERR_ARGUMENT: it is none. Once. */
MUST_CHECK int web_start(const struct web_options *o, struct buf *complaint);
void web_stop(void);                /* waits for the thread; nothing happens when none runs */
/* A reload, in two halves. First all that may fail: addresses of o that are not open are opened. On
 * failure complaint says why, and nothing has changed; -ERR as for web_start. */
MUST_CHECK int web_prepare(const struct web_options *o, struct buf *complaint);
/* Then the rest, right after it and with the same o: it takes effect, and addresses that are not in it
 * are closed. Copies o. The control thread, both. */
void web_take_over(const struct web_options *o);
/* "http://127.0.0.1:7466/" of the first loopback address, the caller's; NULL: there is none. Any thread. */
char *web_address(void);

/* The last `seconds` of a series as an SVG picture, appended to out. False: there is no such series,
 * and out gets the names of those there are, one a line. Any thread. */
bool web_plot(const char *series, unsigned seconds, bool dark, struct buf *out);

#endif
