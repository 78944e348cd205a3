/* SPDX-License-Identifier: Apache-2.0 */
/*
 * members.h - labels and flocks of the configuration, taken over into dist/
 */
#ifndef NODE_MEMBERS_H
#define NODE_MEMBERS_H

#include "node/options.h"

/* At the start and after each reload. Control thread. */
void members_apply(const struct options *o);

#endif
