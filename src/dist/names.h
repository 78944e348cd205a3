/* SPDX-License-Identifier: Apache-2.0 */
/*
 * names.h - names of the whole cluster
 *
 * A claim is written by the node of its owner alone: name, pid, and since when. Each node keeps its
 * own and tells them to every peer, whole when a session comes up and in changes after; the claims
 * of a session end with it. So a look-up is local, and every name is eventual: two nodes that do
 * not see each other may both give it away. When they meet the older claim wins (then the smaller
 * name of the node); the other is dropped, and both owners get {name_conflict, Name, Winner}.
 */
#ifndef DIST_NAMES_H
#define DIST_NAMES_H

#include "dist/session.h"

#define NAMES_OF_NODE_MAX 10000
#define NAME_BYTES_MAX    255           /* in the external format */

void names_init(void);                  /* before vm_start */
void names_alive(void);                 /* take frames; before peer_start */
/* The owner that this node believes in, on h; TERM_NONE. Any thread. */
term names_whereis(struct heap *h, term name);
/* Claims through this session: told ours, or forgotten. I/O thread of the peer. */
void names_up(struct session *s);
void names_down(struct session *s);

#endif
