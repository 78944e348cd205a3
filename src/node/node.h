/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node.h - the daemon: start order, signals, stop order
 */
#ifndef NODE_NODE_H
#define NODE_NODE_H

#include "node/options.h"

struct node_start {
    struct options *options;        /* taken over; replaced by a reload */
    const char *config_path;        /* read again by a reload; NULL: none (--dev) */
    char *const *sets;              /* --set assignments, NULL-terminated */
    const char *dev_name;           /* NULL: not a --dev node */
    bool verbose;
};

/* Run the node until it is told to stop; the result is the exit code. From the main thread. */
int node_main(struct node_start *start);

#endif
