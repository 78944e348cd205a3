/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server_priv.h - what the pages of this room share; everything runs on the HTTP thread
 */
#ifndef WEB_SERVER_PRIV_H
#define WEB_SERVER_PRIV_H

#include "base/compiler.h"

#include <event2/http.h>

struct web_route {
    const char *path;
    enum evhttp_cmd_type method;
    void (*handle)(struct evhttp_request *rq);      /* answers, now or later, exactly once */
};

/* Answer with these bytes, which are copied, and the headers that every answer has. */
void web_reply(struct evhttp_request *rq, int code, const char *type, const void *body, size_t len);
/* The headers that every answer has; web_reply adds them by itself. */
void web_security_headers(struct evhttp_request *rq);
void web_reply_text(struct evhttp_request *rq, int code, const char *text);

/* http.actions as it is now. */
bool web_actions(void);

struct session_owner;
/* /action for somebody who has logged in; each answers. */
void action_describe(struct evhttp_request *rq, const struct session_owner *owner);
void action_post(struct evhttp_request *rq, const struct session_owner *owner);

/* Addresses of the observer page; asked after the public ones, from loopback alone. False: there is
 * no such page. */
bool page_handle(struct evhttp_request *rq, const char *path, enum evhttp_cmd_type method);

#endif
