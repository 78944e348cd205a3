/* SPDX-License-Identifier: Apache-2.0 */
/*
 * targets.h - which nodes are meant: all, flock:NAME, or names with commas between
 *
 * Used by rnodectl; one thread.
 */
#ifndef CTL_TARGETS_H
#define CTL_TARGETS_H

#include "ctl/client.h"

#define TARGETS_MAX 1024

struct targets {
    char *names[TARGETS_MAX];       /* owned */
    size_t n;
    int exit;                       /* why there are none */
    char *code, *message;           /* owned; NULL when there are some */
};

/* Does text mean more than one node by its form? */
bool targets_are_several(const char *text);
/* Find them through the node of this context, which knows the cluster. True: there is one at least;
 * false: exit, code and message say why not. Fill t in any case; targets_fini frees what it has. */
bool targets_find(struct targets *t, const char *context, const char *text);
void targets_fini(struct targets *t);

#endif
