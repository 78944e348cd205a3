/* SPDX-License-Identifier: Apache-2.0 */
/*
 * page.c - the addresses of the observer page
 *
 *   /style.css /app.js /icon.svg      files compiled in; no login needed, they hold nothing of ours
 *   /session (POST)                   token -> cookie
 *   / /processes /tree ...            the page; ?format=json: its rows
 *   /live/NAME                        the stream of its rows
 *   /plot/NAME.svg                    a graph
 *   /action                           what may be changed, and changing it (action.c)
 */
#include "web/server_priv.h"

#include "base/alloc.h"
#include "base/metric.h"
#include "base/units.h"
#include "web/ask.h"
#include "web/live.h"
#include "web/page_files.h"
#include "web/series.h"
#include "web/session.h"

#include <event2/buffer.h>
#include <event2/keyvalq_struct.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_DEFAULT 20
#define COOKIE "rnode_session="

/* --- who may read ---------------------------------------------------------------------------- */

/* False: nobody who has logged in. */
static bool find_owner(struct evhttp_request *rq, struct session_owner *ret)
{
    const char *header = evhttp_find_header(evhttp_request_get_input_headers(rq), "Cookie");
    const char *at = header != NULL ? strstr(header, COOKIE) : NULL;
    char cookie[SESSION_TOKEN_CHARS + 1] = "";

    if (at != NULL) {
        size_t n = strcspn(at + strlen(COOKIE), "; ");

        if (n == SESSION_TOKEN_CHARS)
            memcpy(cookie, at + strlen(COOKIE), n);
    }
    return session_owner(cookie, ret);
}

static void post_session(struct evhttp_request *rq)
{
    struct evbuffer *in = evhttp_request_get_input_buffer(rq);
    char token[SESSION_TOKEN_CHARS + 1] = "", cookie[SESSION_TOKEN_CHARS + 1], *header;

    if (evbuffer_get_length(in) == SESSION_TOKEN_CHARS)
        evbuffer_copyout(in, token, SESSION_TOKEN_CHARS);
    if (!session_login(token, cookie)) {
        web_reply_text(rq, 403, "this token has been used or is too old: rnodectl web gives another\n");
        return;
    }
    header = mem_printf(COOKIE "%s; Path=/; HttpOnly; SameSite=Strict", cookie);
    evhttp_add_header(evhttp_request_get_output_headers(rq), "Set-Cookie", header);
    web_reply_text(rq, HTTP_OK, "welcome\n");
    mem_free(header);
}

/* --- rows as JSON and as a snapshot ------------------------------------------------------------ */

static void on_json(void *arg, const struct render *answer, const done_t *done)
{
    struct evhttp_request *rq = arg;
    bool good = done->exit == 0;
    json_t *j = good ? render_json(answer, done) : render_json_error(done);
    char *text = json_dumps(j, JSON_COMPACT);

    web_reply(rq, good ? HTTP_OK : HTTP_NOTFOUND, "application/json", text, strlen(text));
    free(text);
    json_decref(j);
}

static void add_html_cell(struct buf *out, json_t *cell)
{
    char *text = json_is_string(cell) ? mem_strdup(json_string_value(cell))
                                      : json_dumps(cell, JSON_ENCODE_ANY);

    buf_str(out, "<td>");
    buf_markup(out, text, strlen(text));
    buf_str(out, "</td>");
    free(text);
}

/* For readers without JavaScript. */
static void add_snapshot(struct buf *out, const struct render *answer)
{
    const head_t *h = answer->head->head;

    buf_str(out, "<table><tr>");
    for (size_t i = 0; i < h->n_columns; i++) {
        buf_str(out, "<th scope=\"col\">");
        buf_markup(out, h->columns[i]->name, strlen(h->columns[i]->name));
        buf_str(out, "</th>");
    }
    buf_str(out, "</tr>");
    for (size_t r = 0; r < answer->nrows; r++) {
        json_t *row = render_json_row(h, answer->rows[r]->row);

        buf_str(out, "<tr>");
        for (size_t i = 0; i < h->n_columns; i++)
            add_html_cell(out, json_object_get(row, h->columns[i]->name));
        buf_str(out, "</tr>");
        json_decref(row);
    }
    buf_str(out, "</table>");
}

static const char snapshot_mark[] = "<!--snapshot-->";

static void on_page(void *arg, const struct render *answer, const done_t *done)
{
    const struct page_file *file = page_file_find("index.html");
    const char *text = (const char *)file->data, *mark = strstr(text, snapshot_mark);
    struct buf out = { 0 };

    buf_add(&out, text, (size_t)(mark - text));
    if (answer->head != NULL)
        add_snapshot(&out, answer);
    buf_str(&out, mark + strlen(snapshot_mark));
    web_reply(arg, HTTP_OK, file->type, out.data, out.len);
    buf_fini(&out);
}

static void get_page(struct evhttp_request *rq, const struct page_source *source)
{
    char *format = query_value(rq, "format"), *sort = query_value(rq, "sort");
    char *limit = query_value(rq, "limit");
    const char *options[] = { sort != NULL ? "sort" : NULL, sort, NULL };
    bool json = format != NULL && strcmp(format, "json") == 0;

    ask(source->command, NULL, options,
        limit != NULL ? (uint32_t)strtoul(limit, NULL, 10) : ROWS_DEFAULT, json ? on_json : on_page,
        rq);
    mem_free(format);
    mem_free(sort);
    mem_free(limit);
}

/* The page of one process asks for its rows by itself. */
static void get_process_page(struct evhttp_request *rq)
{
    char *format = query_value(rq, "format"), *pid = query_value(rq, "pid");
    const struct page_file *file = page_file_find("index.html");

    if (format != NULL && strcmp(format, "json") == 0)
        ask("inspect", pid != NULL ? pid : "", NULL, 0, on_json, rq);
    else
        web_reply(rq, HTTP_OK, file->type, file->data, file->len);
    mem_free(format);
    mem_free(pid);
}

/* --- the rest ------------------------------------------------------------------------------------ */

static void get_plot(struct evhttp_request *rq, const char *name)
{
    const char *dot = strrchr(name, '.');
    char *series = mem_printf("%.*s", (int)(dot != NULL ? dot - name : 0), name);
    char *range = query_value(rq, "range"), *theme = query_value(rq, "theme");
    int64_t ms = 3600000;
    int found = dot != NULL && strcmp(dot, ".svg") == 0 ? series_find(series) : -1;
    struct buf out = { 0 };

    if (found < 0) {
        web_reply_text(rq, HTTP_NOTFOUND, "there is no such series; rnodectl plot lists them\n");
    } else if (range != NULL && (!duration_parse(range, &ms) || ms < 60000 || ms > 3600000)) {
        web_reply_text(rq, HTTP_BADREQUEST, "range is a time from 1m to 1h\n");
    } else {
        series_svg(found, (unsigned)(ms / 1000), theme != NULL && strcmp(theme, "dark") == 0, &out);
        web_reply(rq, HTTP_OK, "image/svg+xml", out.data, out.len);
    }
    buf_fini(&out);
    mem_free(series);
    mem_free(range);
    mem_free(theme);
}

static bool get_guarded(struct evhttp_request *rq, const char *path)
{
    const struct page_source *source = page_source_by_path(path);

    if (source != NULL) {
        get_page(rq, source);
        return true;
    }
    if (strcmp(path, "/process") == 0) {
        get_process_page(rq);
        return true;
    }
    if (strncmp(path, "/live/", 6) == 0) {
        source = page_source_by_name(path + 6);
        if (source != NULL)
            live_open(rq, source);
        return source != NULL;
    }
    if (strncmp(path, "/plot/", 6) == 0) {
        get_plot(rq, path + 6);
        return true;
    }
    return false;
}

/* Somebody without a login gets the empty page: its script exchanges the token of the address. */
static void send_away(struct evhttp_request *rq, const char *path)
{
    const struct page_file *file = page_file_find("index.html");

    if (page_source_by_path(path) != NULL && evhttp_request_get_command(rq) == EVHTTP_REQ_GET &&
        evhttp_uri_get_query(evhttp_request_get_evhttp_uri(rq)) == NULL)
        web_reply(rq, HTTP_OK, file->type, file->data, file->len);
    else
        web_reply_text(rq, 401, "rnodectl web gives the address with which to log in\n");
}

bool page_handle(struct evhttp_request *rq, const char *path, enum evhttp_cmd_type method)
{
    const struct page_file *file = path[0] == '/' ? page_file_find(path + 1) : NULL;

    struct session_owner owner;
    bool is_action = strcmp(path, "/action") == 0;

    if (method == EVHTTP_REQ_POST && !is_action) {
        if (strcmp(path, "/session") != 0)
            return false;
        post_session(rq);
        return true;
    }
    if (file != NULL && strcmp(path, "/index.html") != 0) {
        web_reply(rq, HTTP_OK, file->type, file->data, file->len);
        return true;
    }
    if (!find_owner(rq, &owner)) {
        send_away(rq, path);
        return true;
    }
    if (is_action && method == EVHTTP_REQ_POST)
        action_post(rq, &owner);
    else if (is_action)
        action_describe(rq, &owner);
    return is_action || get_guarded(rq, path);
}
