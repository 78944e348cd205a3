/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dist.h - signals between nodes: what node/ does with it
 *
 * dist/ stands between the engine (vm/remote.h, which it fills) and sessions with other nodes
 * (peer.h, on which it builds).
 */
#ifndef DIST_DIST_H
#define DIST_DIST_H

#include "base/compiler.h"

/* Make the built-ins known and take the hooks. Before vm_start. The node stays nonode@nohost. */
void dist_init(void);
/* Load what dist/ has as code for the machine. After vm_start. */
void dist_start(void);
/* Other nodes start no processes here while refuse is true: they get system_limit. Any thread. */
void dist_refuse_spawns(bool refuse);
/* The node has this name from now on. Before any program runs that could ask for it, and before
 * peer_start. */
void dist_alive(const char *name, uint32_t creation);

#endif
