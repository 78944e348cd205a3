/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listen.h - the addresses of HTTP, and how a reload changes them
 *
 * Control thread, which starts and stops the HTTP thread; listen_address: any.
 */
#ifndef WEB_LISTEN_H
#define WEB_LISTEN_H

#include "base/bytes.h"

#include <event2/http.h>

/* Open what is in texts ("127.0.0.1:7466", "[::1]:0"..., NULL-terminated) and is not open. What it gives
 * is kept for listen_apply; nothing else changes. -ERR_ARGUMENT, -ERR_SYSTEM: complaint says why, and
 * what was opened is closed again. */
MUST_CHECK int listen_prepare(const char *const *texts, struct buf *complaint);
/* The addresses are now those that listen_prepare was given: http accepts at the new ones, on the thread
 * of base, and the others are closed there. base NULL: that thread does not run yet. */
void listen_apply(struct event_base *base, struct evhttp *http);
/* http is about to be freed, with its sockets. */
void listen_forget(void);
/* "http://127.0.0.1:7466/" of the first loopback address, the caller's; NULL: there is none. */
char *listen_address(void);

struct sockaddr;
bool address_is_loopback(const struct sockaddr *sa);

#endif
