/* SPDX-License-Identifier: Apache-2.0 */
/*
 * act_priv.h - calls of a request, for the commands that make them; control thread
 */
#ifndef CTL_ACT_PRIV_H
#define CTL_ACT_PRIV_H

#include "ctl/request.h"
#include "heap/heap.h"

struct parsed { term module, function, args; };     /* args: a list */

enum call_kind {
    CALL_PLAIN,
    CALL_SHELL,         /* 'Rata.Tool.Shell':eval/3: its answer tells how it went */
    CALL_SPAWN,         /* erpc:call/5 that gives a pid */
};

/* M:F ARG... of the request, into bag. False: it has been answered. */
bool act_read_call(struct request *rq, struct heap *bag, struct parsed *ret);
/* Call it under the limits of the request, and answer with what comes of it. p may go then. */
void act_start(struct request *rq, const struct parsed *p, enum call_kind kind);

#endif
