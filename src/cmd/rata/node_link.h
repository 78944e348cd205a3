/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node_link.h - calls of functions on a running node, through its control socket
 *
 * What the call prints is shown as it comes. Only who may call functions there (role admin) gets in.
 */
#ifndef CMD_RATA_NODE_LINK_H
#define CMD_RATA_NODE_LINK_H

#include "base/bytes.h"
#include "ctl/client.h"

struct node_link {
    struct client client;
    const char *who;            /* begins messages: "rata repl" */
};

/* Open the node that rnodectl's -c would mean by this name (NULL: the one it would take). 0, or an
 * exit status after reporting. */
MUST_CHECK int node_link_open(struct node_link *l, const char *node, const char *who);
void node_link_close(struct node_link *l);

/* Call function ("'M':f") with n arguments in Erlang's syntax; *ret_value is what it returned, as
 * text, cut to size. 0, or an exit status after reporting. */
MUST_CHECK int node_link_call(struct node_link *l, const char *function, char *const *args, size_t n,
                              char *ret_value, size_t size);

/* Append bytes as a binary that needs no escapes: <<104,105>>. */
void node_link_binary(struct buf *out, const void *data, size_t len);

#endif
