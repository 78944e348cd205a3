/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peers.h - this node's identity and its sessions with others, started and stopped with it
 *
 * Main thread.
 */
#ifndef NODE_PEERS_H
#define NODE_PEERS_H

#include "node/options.h"
#include "store/store.h"

/* Key, ring, creation: peer_self is known afterwards. After the store, before the machine starts.
 * dev: a node for development, reached over the loopback on any free port. */
MUST_CHECK int peers_open(struct store *st, const char *folder, const char *name, bool dev);
/* Listen. -ERR_SYSTEM with errno: an address is taken. */
MUST_CHECK int peers_start(const struct options *o, bool dev);
/* Sessions that are up. Any thread. */
unsigned peers_up(void);
void peers_stop(void);          /* before the machine stops */
void peers_close(void);

#endif
