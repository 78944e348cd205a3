/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flock.h - flocks: named, changing sets of processes, found by their attributes on all nodes
 *
 * A process announces attributes; the nodes themselves are announced by their process `flock`, with
 * their labels as node.LABEL. A definition names a pattern; its view on this node has every
 * announced process here and on the nodes to which there is a session, as those nodes tell it.
 * Definitions belong to a node; the same name may mean the same everywhere, nobody enforces it.
 *
 * Any thread.
 */
#ifndef DIST_FLOCK_H
#define DIST_FLOCK_H

#include "base/bytes.h"
#include "dist/flock_attr.h"

#define FLOCKS_MAX      64
#define ANNOUNCED_MAX   4096        /* processes of this node */
#define FLOCK_MEMBERS_MAX 100000
#define FLOCK_NAME_MAX  64

/* Built-ins and frames. Before vm_start and before peer_start. */
void flock_init(void);
void pg_init(void);
/* After vm_start: the code of scopes, and the process `flock`. */
void flock_start(void);
void pg_start(void);

/* Labels of this node, "key=value"; NULL-terminated. From now on every announced process has them. */
void flock_labels(const char *const *labels);
/* This node itself is a member of its flocks (as after flock_start) or not: then nobody places work
 * here by them. Processes that have announced themselves stay. -ERR_LIMIT: too many have. Any thread that
 * is not a scheduler. */
MUST_CHECK int flock_node_present(bool present);
/* Define a flock, or define it anew; takes pattern. origin: "config", "command", "program".
 * -ERR_ARGUMENT: the name is not [a-z0-9_.-]+; -ERR_LIMIT: FLOCKS_MAX. */
MUST_CHECK int flock_define(const char *name, struct pattern *pattern, const char *origin);
MUST_CHECK int flock_undefine(const char *name);        /* -ERR_NOT_FOUND */

struct flock_info {
    const char *name, *origin;
    const struct pattern *pattern;
    uint32_t members, nodes;        /* of them, which are processes `flock` of nodes */
    uint64_t version;
};
struct flock_member_info {
    const char *node;               /* "" for this one */
    uint64_t pid;
    const char *attrs;              /* "type=worker node.zone=a" */
};
/* Visit all flocks, by name; what is visited is lent, the lock is held. */
void flock_visit(void (*visit)(void *arg, const struct flock_info *f), void *arg);
/* Visit the members of one; false: there is no such flock. */
bool flock_visit_members(const char *name,
                         void (*visit)(void *arg, const struct flock_member_info *m), void *arg);

#endif
