/* SPDX-License-Identifier: Apache-2.0 */
/*
 * live.h - streams of rows that change (server-sent events), one event a second
 *
 * The first event of a stream has whole rows and their columns, later ones only what changed. A
 * client that does not read is skipped, never queued for. HTTP thread only.
 */
#ifndef WEB_LIVE_H
#define WEB_LIVE_H

#include <event2/event.h>
#include <event2/http.h>

/* The pages: what each asks the node. NULL: there is no such page. */
struct page_source {
    const char *name;           /* word in addresses */
    const char *path;           /* address of its page, "" when it has none of its own */
    const char *command;        /* of commands.tab */
    const char *key;            /* column that tells rows apart; NULL: the first */
};
const struct page_source *page_source_by_name(const char *name);
const struct page_source *page_source_by_path(const char *path);

/* Answer rq with a stream of this source; arg, sort and limit come from its query. */
void live_open(struct evhttp_request *rq, const struct page_source *source);
/* Ask for every stream again. Once a second. */
void live_tick(void);
/* End all streams. */
void live_stop(void);

/* Value of a parameter of the query, or NULL; the caller's. */
char *query_value(struct evhttp_request *rq, const char *name);

#endif
