/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inspect_priv.h - the kinds of things that rnodectl inspect shows
 *
 * The worker thread. Each answers rq if there is such a thing, else gives false and has done nothing.
 */
#ifndef CTL_INSPECT_PRIV_H
#define CTL_INSPECT_PRIV_H

#include "ctl/request.h"

bool inspect_process(struct request *rq, const char *what);    /* inspect_process.c */
bool inspect_table(struct request *rq, const char *what);      /* tables.c */
bool inspect_node(struct request *rq, const char *what);       /* cluster.c */
bool inspect_port(struct request *rq, const char *what);       /* ports.c */

#endif
