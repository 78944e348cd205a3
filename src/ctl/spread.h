/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spread.h - one request to several nodes, one after the other: deploy --to, rollback --to
 *
 * A deployment gets a manifest, signed by the node that is asked first (manifest.h). It is first
 * checked by every node, which keeps the files, and done by none if one refuses. Then it is done node
 * by node, each from the files that it has checked. If one fails in the middle, those before it run the new code: what runs
 * where is said, with the command that undoes it. Used by rnodectl; one thread.
 */
#ifndef CTL_SPREAD_H
#define CTL_SPREAD_H

#include "ctl/client.h"

#include <stdio.h>

struct spread_file { const char *name; const void *data; size_t len; };

struct spread {
    const char *context;        /* the node that is asked first, and through which the others are */
    const char *to;             /* all, flock:NAME, or names of nodes with commas between */
    request_t *rq;              /* without the option `to`; with room for 2 more options */
    const struct spread_file *files;
    size_t files_n;             /* of a deployment; 0: a rollback */
    bool dry_run;               /* only the first round, which changes nothing */
    FILE *out, *err;
};

/* The exit code for rnodectl; everything has been told. */
int spread_run(const struct spread *s);

#endif
