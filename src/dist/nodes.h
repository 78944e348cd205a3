/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nodes.h - which nodes are connected; for the files of dist/
 */
#ifndef DIST_NODES_H
#define DIST_NODES_H

#include "dist/session.h"

/* Names of the nodes with a session that is up, a list on h. Any thread. */
term nodes_list(struct heap *h);

#endif
