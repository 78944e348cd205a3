/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ask.h - asking the node what rnodectl would ask, from the HTTP thread
 *
 * One control connection of role view from inside the node carries all questions. So the page and
 * rnodectl have the same rows, and the page can do no more than look. What an action of the page asks
 * goes over a connection of its own. HTTP thread only.
 */
#ifndef WEB_ASK_H
#define WEB_ASK_H

#include "ctl/render.h"

struct event_base;

/* What came back: answer->head is NULL and done tells why when the node refused. Lent for the
 * duration of the call. */
typedef void ask_fn(void *arg, const struct render *answer, const done_t *done);

/* Before the first ask; -ERR_SYSTEM. */
MUST_CHECK int ask_start(struct event_base *base);
/* Questions that are open get no answer any more. */
void ask_stop(void);

/* Ask command with one argument (or NULL) and options key, value, ..., NULL (or NULL); limit as in
 * rnodectl -l. fn is called exactly once, later, unless ask_stop comes first. */
void ask(const char *command, const char *arg0, const char *const *options, uint32_t limit,
         ask_fn *fn, void *arg);
/* Ask as an admin of that name, which the log will show. Who calls has checked that it may be done. */
void ask_as(const char *user, const char *command, const char *arg0, ask_fn *fn, void *arg);

#endif
