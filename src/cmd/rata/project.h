/* SPDX-License-Identifier: Apache-2.0 */
/*
 * project.h - the file rnode.project: what a folder of sources is called and what it starts
 */
#ifndef CMD_RATA_PROJECT_H
#define CMD_RATA_PROJECT_H

#include "base/compiler.h"

#define PROJECT_FILE "rnode.project"

struct project {
    char *name, *version;       /* "" when not given */
    char *main;                 /* "Hello", or "" for a library */
};

/* Read PROJECT_FILE of a folder. 0; or an exit status, with the error on standard error. */
MUST_CHECK int project_read(const char *folder, struct project *ret_project);
void project_fini(struct project *p);

#endif
