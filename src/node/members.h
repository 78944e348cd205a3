/* SPDX-License-Identifier: Apache-2.0 */
/*
 * members.h - membership of this node: gossip, labels and flocks of the configuration
 */
#ifndef NODE_MEMBERS_H
#define NODE_MEMBERS_H

#include "node/options.h"

/* At the start and after each reload. Control thread. */
void members_apply(const struct options *o);

/* Gossip: before and after peers_start; before peers_stop. Main thread. */
void members_init(void);
void members_start(const struct options *o);
void members_stop(void);

#endif
