/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tunnel.h - the control socket of another node, through the session with it
 *
 * What a client says after its request `tunnel NODE` goes to that node as Tunnel frames, and what
 * comes back goes to the client: it speaks with the far control server as with a near one. The far
 * node gives the connection the smaller of two roles: what the ring lets our node do there, and
 * what the client may do here.
 *
 * Each end of a tunnel has a thread, which sleeps in poll; the I/O thread of the peer only queues.
 */
#ifndef CTL_TUNNEL_H
#define CTL_TUNNEL_H

#include "ctl/commands.h"
#include "dist/peer.h"

#define TUNNELS_MAX           8             /* of one peer, either way */
#define TUNNEL_QUEUE_BYTES    (4u << 20)    /* that wait for a client; over it the tunnel ends */
#define TUNNEL_WAIT_MS        7000          /* for a session */

void tunnel_init(void);                     /* take the frames; before peer_start */
void tunnel_stop(void);                     /* end all; after peer_stop, before the control server */

/* The most that any client at another node may do here. Any thread. */
void tunnel_cap(enum role role);
/* Is this node meant: by its name, the part of it before @, or its id? Any thread. */
bool tunnel_is_here(const char *node);
/* The whole name of the node that is meant so, this one or a member; false: none is. Any thread. */
bool tunnel_node_name(const char *node, char out[NODE_NAME_MAX + 1]);
/* Hand a client over. Takes fd unless it fails: -ERR_NOT_FOUND, no member is called so; -ERR_LIMIT;
 * -ERR_CLOSED, no session. Any thread, does not block. */
MUST_CHECK int tunnel_open(int fd, enum role role, const char *user, const char *node);

#endif
