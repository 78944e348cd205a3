/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server.h - the control socket
 *
 * Owned by the thread that runs the event base (the control thread). It never touches a process
 * heap; what handlers need of the VM they ask through view.h and run.h.
 */
#ifndef CTL_SERVER_H
#define CTL_SERVER_H

#include "ctl/commands.h"

struct event_base;
struct server;

/* Listen at path (mode 0666, or 0600 with only_me). A socket nobody listens on is replaced.
 * -ERR_EXISTS: somebody does; -ERR_SYSTEM with errno. */
MUST_CHECK int server_start(struct event_base *base, const char *path, bool only_me,
                            struct server **ret_server);
/* Accept no more; tell, through drained, when no request is open any more. */
void server_drain(struct server *s, void (*drained)(void));
void server_free(struct server *s);         /* closes everything, removes the socket; NULL is fine */
/* Requests that are open now. */
size_t server_open_requests(const struct server *s);

/* A connection from inside the node, as if from a caller with that role: the descriptor of its
 * other end (not blocking), which speaks the same frames and is the caller's to close. user names
 * the caller in the log. -ERR_SYSTEM. Any thread, while the server runs. */
MUST_CHECK int server_connect(enum role role, const char *user);

/* The event base of the running server, for handlers that set timers. Control thread. */
struct event_base *server_base(void);

#endif
