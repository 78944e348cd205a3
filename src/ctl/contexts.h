/* SPDX-License-Identifier: Apache-2.0 */
/*
 * contexts.h - names that a person gives to nodes: contexts.conf under ~/.config/rnode
 *
 *     use = "prod"
 *     context "prod" { socket = "/run/rnode/control.sock" }
 *
 * The file is 0600 and written anew whole. For rnodectl; one thread.
 */
#ifndef CTL_CONTEXTS_H
#define CTL_CONTEXTS_H

#include "base/bytes.h"

struct context { char *name, *socket; };
struct contexts {
    struct context *list;
    size_t n;
    char *use;              /* name of the one taken without -c; "" when there is none */
};

/* A missing file is an empty one. -ERR_FORMAT: it has errors, which are appended to errors; c is
 * empty then. Free with contexts_fini in any case. */
MUST_CHECK int contexts_load(struct contexts *c, struct buf *errors);
/* -ERR_SYSTEM with errno. */
MUST_CHECK int contexts_save(const struct contexts *c);
void contexts_fini(struct contexts *c);

/* NULL: there is none of that name. */
struct context *contexts_find(const struct contexts *c, const char *name);
/* Add one, or give the one of that name another socket. */
void contexts_put(struct contexts *c, const char *name, const char *socket);
/* False: there is none of that name. The one in use may go, too. */
bool contexts_remove(struct contexts *c, const char *name);

/* Socket of the context called name, or of the one in use when name is NULL; the caller's. NULL:
 * there is none, or the file cannot be read. */
char *contexts_socket(const char *name);

/* rnodectl context WORD [NAME [SOCKET]]. Exit code; words go to standard output and error. */
int contexts_command(char **args, size_t n);

#endif
