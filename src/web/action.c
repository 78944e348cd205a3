/* SPDX-License-Identifier: Apache-2.0 */
/*
 * action.c - what the page may change: gc, kill and restart, when http.actions says so
 *
 *   GET /action     {"actions":true,"role":"operate","user":"ana","csrf":"..."}
 *   POST /action    {"do":"kill","what":"<0.81.0>","typed":"<0.81.0>"} with the header X-CSRF-Token
 *
 * In the order in which an action is refused: actions are off (403); no login (401, by page.c); the Origin
 * is another page or the token is not that of the session (403); the role is less than operate (403);
 * the body is none of ours (400); what was typed is not what was clicked (400).
 */
#include "web/server_priv.h"

#include "auth/secret.h"
#include "base/alloc.h"
#include "web/ask.h"
#include "web/session.h"

#include <event2/buffer.h>
#include <event2/keyvalq_struct.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define WHAT_MAX 255

static void reply_error(struct evhttp_request *rq, int code, const char *message)
{
    char *text = mem_printf("{\"error\":{\"message\":\"%s\"}}", message);

    web_reply(rq, code, "application/json", text, strlen(text));
    mem_free(text);
}

void action_describe(struct evhttp_request *rq, const struct session_owner *owner)
{
    bool on = web_actions() && owner->role >= ROLE_OPERATE;
    json_t *j = json_object();
    char *text;

    json_object_set_new(j, "actions", json_boolean(on));
    json_object_set_new(j, "role", json_string(role_name(owner->role)));
    json_object_set_new(j, "user", json_string(owner->user));
    if (on)
        json_object_set_new(j, "csrf", json_string(owner->csrf));
    text = json_dumps(j, JSON_COMPACT);
    web_reply(rq, HTTP_OK, "application/json", text, strlen(text));
    free(text);
    json_decref(j);
}

/* A browser says where a POST comes from; it must be the page at this very address. */
static bool comes_from_here(struct evhttp_request *rq)
{
    struct evkeyvalq *headers = evhttp_request_get_input_headers(rq);
    const char *origin = evhttp_find_header(headers, "Origin"), *host = evhttp_find_header(headers, "Host");

    return origin == NULL || (host != NULL && strncmp(origin, "http://", 7) == 0 &&
                              strcmp(origin + 7, host) == 0);
}

static bool has_token(struct evhttp_request *rq, const struct session_owner *owner)
{
    const char *token = evhttp_find_header(evhttp_request_get_input_headers(rq), "X-CSRF-Token");

    return token != NULL && strlen(token) == SESSION_TOKEN_CHARS &&
           bytes_same(token, owner->csrf, SESSION_TOKEN_CHARS);
}

static json_t *read_body(struct evhttp_request *rq)
{
    struct evbuffer *in = evhttp_request_get_input_buffer(rq);
    size_t len = evbuffer_get_length(in);

    return len > 0 ? json_loadb((const char *)evbuffer_pullup(in, -1), len, 0, NULL) : NULL;
}

/* The command of commands.tab that `word` asks for, or NULL. */
static const char *command_of(const char *word)
{
    static const char *const known[] = { "gc", "kill", "restart" };

    for (size_t i = 0; word != NULL && i < ARRAY_LEN(known); i++) {
        if (strcmp(known[i], word) == 0)
            return known[i];
    }
    return NULL;
}

static void on_done(void *arg, const struct render *answer, const done_t *done)
{
    bool good = done->exit == 0;
    json_t *j = good ? render_json(answer, done) : render_json_error(done);
    char *text = json_dumps(j, JSON_COMPACT);

    web_reply(arg, good ? HTTP_OK : 409, "application/json", text, strlen(text));
    free(text);
    json_decref(j);
}

static void act(struct evhttp_request *rq, const struct session_owner *owner, json_t *body)
{
    const char *command = command_of(json_string_value(json_object_get(body, "do")));
    const char *what = json_string_value(json_object_get(body, "what"));
    const char *typed = json_string_value(json_object_get(body, "typed"));

    if (command == NULL || what == NULL || typed == NULL || what[0] == 0 || strlen(what) > WHAT_MAX) {
        reply_error(rq, HTTP_BADREQUEST, "an action has do (gc, kill or restart), what and typed");
    } else if (strcmp(what, typed) != 0) {
        reply_error(rq, HTTP_BADREQUEST, "what was typed is not the process");
    } else {
        char *user = mem_printf("%s on the page", owner->user);

        ask_as(user, command, what, on_done, rq);
        mem_free(user);
    }
}

void action_post(struct evhttp_request *rq, const struct session_owner *owner)
{
    json_t *body;

    if (!web_actions())
        reply_error(rq, 403, "this page only shows: http.actions is false");
    else if (!comes_from_here(rq) || !has_token(rq, owner))
        reply_error(rq, 403, "the request does not come from this page");
    else if (owner->role < ROLE_OPERATE)
        reply_error(rq, 403, "this needs the role operate");
    else if ((body = read_body(rq)) == NULL)
        reply_error(rq, HTTP_BADREQUEST, "the body is no JSON");
    else {
        act(rq, owner, body);
        json_decref(body);
    }
}
