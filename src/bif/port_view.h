/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port_view.h - which port a descriptor of this node belongs to, for operators
 */
#ifndef BIF_PORT_VIEW_H
#define BIF_PORT_VIEW_H

#include "term/term.h"

#include <sys/types.h>

struct port_view {
    term port, owner;
    pid_t child;            /* 0: none */
    char name[64];          /* of the program, cut */
};

/* The port that reads from or writes to descriptor fd: a copy. False: none. Any thread. */
bool port_of_fd(int fd, struct port_view *ret);

#endif
