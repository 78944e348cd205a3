/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.h - the other end of the control socket: one connection, one request at a time
 *
 * Used by rnodectl and by tests; one thread. Knows nothing of how answers look.
 */
#ifndef CTL_CLIENT_H
#define CTL_CLIENT_H

#include "wire/frame.h"

#define CLIENT_CREDIT 256u      /* frames the node may be ahead of us */

struct client {
    int fd;
    struct buf in;
    uint32_t next_id;
    uint32_t taken;             /* rows and chunks since the last Credit */
    frame_t *hello;             /* NULL until it came */
    unsigned hellos;            /* how many came: two on the other side of a tunnel */
};

/* Where the node of this context listens: NULL or "": $RNODE_CONTEXT, else the context in use
 * (contexts.h), else the only --dev node of this user, else /run/rnode/control.sock. A word: the
 * context of that name, else the --dev node of that name. A path: itself.
 * The result is the caller's to free. */
char *client_socket_path(const char *context);
/* Folder of the --dev node called name, for the caller to free. Created by rnoded, not here. */
char *dev_folder(const char *name);

/* -ERR_CLOSED: nobody listens; -ERR_PERMISSION; -ERR_SYSTEM. errno tells more. */
MUST_CHECK int client_open(struct client *c, const char *path);
void client_close(struct client *c);

/* Wait for the node's Hello, at most timeout_ms; it is in c->hello then, else that stays NULL. Before the
 * first request. */
void client_wait_hello(struct client *c, int64_t timeout_ms);

/* Have the node hand this connection over to another node, named as for rnodectl -n; c->hello is the
 * far node's then. Refused: -ERR_NOT_FOUND, and its Done in *ret_refused, the caller's to free; else
 * as client_next. Before the first request. */
MUST_CHECK int client_tunnel(struct client *c, const char *node, int64_t timeout_ms,
                             frame_t **ret_refused);

/* The first half of it: only ask. The node beyond answers when c->hellos is 2; a Done for *ret_id is a
 * refusal. */
MUST_CHECK int client_tunnel_ask(struct client *c, const char *node, uint32_t *ret_id);

/* Send rq (its credit is set here) and give the id it got. */
MUST_CHECK int client_request(struct client *c, request_t *rq, uint32_t *ret_id);
MUST_CHECK int client_file(struct client *c, uint32_t id, const char *name, const void *data,
                           size_t len);
MUST_CHECK int client_cancel(struct client *c, uint32_t id);

/* The next frame of request id (Hello is kept aside), at most timeout_ms from now (negative: for
 * ever). Free it with frame_free. -ERR_TIMEOUT, -ERR_CLOSED, -ERR_PROTOCOL; -ERR_BUSY: a signal
 * came in between, call again. A Done with id 0 is the node's refusal of the connection. */
MUST_CHECK int client_next(struct client *c, uint32_t id, int64_t timeout_ms, frame_t **ret);

#endif
