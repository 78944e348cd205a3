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

/* Addresses of the observer page; asked after the public ones, from loopback alone. False: there is
 * no such page. */
bool page_handle(struct evhttp_request *rq, const char *path, enum evhttp_cmd_type method);

#endif
