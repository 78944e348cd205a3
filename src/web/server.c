/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server.c - the HTTP thread: addresses, routes, who may ask what
 *
 * Happy path: accept -> on_request -> the Host is ours -> a route of the table -> its handler
 * answers. Ways to fail: 403 for a Host that is not ours, 404 for an unknown path or one that this
 * address does not serve, 405 for a method that the route does not take; libevent itself refuses
 * heads over HEAD_MAX and bodies over BODY_MAX, and drops clients that are silent for IDLE_S.
 */
#include "web/web.h"

#include "base/alloc.h"
#include "base/app_metric.h"
#include "base/assert.h"
#include "base/errors.h"
#include "base/log.h"
#include "base/metric.h"
#include "web/ask.h"
#include "web/collect.h"
#include "web/health.h"
#include "web/listen.h"
#include "web/live.h"
#include "web/series.h"
#include "web/session.h"
#include "web/server_priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define HEAD_MAX        8192
#define BODY_MAX        65536
#define IDLE_S          30
#define TICK_MS         1000
#define ADDRESSES_MAX   16

struct settings {
    char **hosts;               /* NULL-terminated */
    bool observer, erlang_vm, actions;
    uint64_t mailbox_warn;
};

static struct {
    struct event_base *base;
    struct evhttp *http;
    struct event *tick;
    pthread_t thread;
    bool running;
    bool prepared;                      /* control thread: listen_prepare waits for its apply */
    pthread_mutex_t lock;               /* settings, which a reload replaces */
    struct settings settings;           /* [lk] */
} web = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* --- settings -------------------------------------------------------------------------- */

static char **copy_list(const char *const *items)
{
    size_t n = 0;
    char **copy;

    while (items != NULL && items[n] != NULL)
        n++;
    copy = MEM_NEW_ARRAY(char *, n + 1);
    for (size_t i = 0; i < n; i++)
        copy[i] = mem_strdup(items[i]);
    return copy;
}

static void free_list(char **items)
{
    for (size_t i = 0; items != NULL && items[i] != NULL; i++)
        mem_free(items[i]);
    mem_free(items);
}

static void web_configure(const struct web_options *o)
{
    struct settings fresh = { copy_list(o->hosts), o->observer, o->erlang_vm, o->actions,
                              o->mailbox_warn };
    char **old;

    session_configure(o->session_s, o->open);
    pthread_mutex_lock(&web.lock);
    old = web.settings.hosts;
    web.settings = fresh;
    pthread_mutex_unlock(&web.lock);
    free_list(old);
}

static bool is_known_host(const char *name)
{
    bool known = false;

    pthread_mutex_lock(&web.lock);
    for (size_t i = 0; web.settings.hosts != NULL && web.settings.hosts[i] != NULL; i++)
        known |= strcasecmp(web.settings.hosts[i], name) == 0;
    pthread_mutex_unlock(&web.lock);
    return known;
}

/* Read one of the settings. */
static bool setting_of(const bool *which)
{
    bool on;

    pthread_mutex_lock(&web.lock);
    on = *which;
    pthread_mutex_unlock(&web.lock);
    return on;
}

bool web_actions(void)
{
    return setting_of(&web.settings.actions);
}

/* --- who asks -------------------------------------------------------------------------- */

/* The name in a Host header without its port and brackets, in out. False: it has no such form. */
static bool host_name(const char *host, char *out, size_t cap)
{
    const char *end = host[0] == '[' ? strchr(host, ']') : strchr(host, ':');
    const char *from = host[0] == '[' ? host + 1 : host;
    size_t n;

    if (host[0] == '[' && end == NULL)
        return false;
    n = end != NULL ? (size_t)(end - from) : strlen(from);
    if (n == 0 || n >= cap)
        return false;
    memcpy(out, from, n);
    out[n] = 0;
    return true;
}

/* An address is always ours: it was reached. A name must be one of http.hosts. */
static bool host_is_ours(struct evhttp_request *rq)
{
    const char *host = evhttp_find_header(evhttp_request_get_input_headers(rq), "Host");
    unsigned char address[sizeof(struct in6_addr)];
    char name[256];

    if (host == NULL || !host_name(host, name, sizeof name))
        return false;
    return inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1 ||
           is_known_host(name);
}

/* Did the request come in through an address of loopback? */
static bool came_by_loopback(struct evhttp_request *rq)
{
    struct bufferevent *bev = evhttp_connection_get_bufferevent(evhttp_request_get_connection(rq));
    struct sockaddr_storage ss;
    socklen_t len = sizeof ss;

    return getsockname(bufferevent_getfd(bev), (struct sockaddr *)&ss, &len) == 0 &&
           address_is_loopback((struct sockaddr *)&ss);
}

/* --- counting ---------------------------------------------------------------------------- */

/* Families of addresses, so that their number has a bound. */
static const char *const counted_paths[] = {
    "/metrics", "/livez", "/readyz", "/live", "/plot", "/session", "/action", "page", "other",
};
enum { COUNTED_PAGE = 7, COUNTED_OTHER = 8 };
static const char *const counted_codes[] = { "2xx", "4xx", "5xx" };
/* relaxed: figures only. */
static _Atomic uint64_t counts[ARRAY_LEN(counted_paths)][ARRAY_LEN(counted_codes)];

static void count_request(struct evhttp_request *rq, int code)
{
    const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(rq));
    size_t i = 0, c = code < 400 ? 0 : code < 500 ? 1 : 2;

    for (; path != NULL && i < COUNTED_PAGE; i++) {
        size_t n = strlen(counted_paths[i]);

        if (strncmp(path, counted_paths[i], n) == 0 && (path[n] == 0 || path[n] == '/'))
            break;
    }
    if (i == COUNTED_PAGE && c != 0)
        i = COUNTED_OTHER;
    atomic_fetch_add_explicit(&counts[i][c], 1, memory_order_relaxed);
}

static void collect_counts(struct metric_sink *sink, void *arg)
{
    for (size_t i = 0; i < ARRAY_LEN(counted_paths); i++) {
        for (size_t c = 0; c < ARRAY_LEN(counted_codes); c++) {
            uint64_t n = atomic_load_explicit(&counts[i][c], memory_order_relaxed);
            struct buf b = { 0 };

            if (n == 0)
                continue;
            metric_label(&b, "path", counted_paths[i]);
            metric_label(&b, "code", counted_codes[c]);
            metric_emit(sink, M_http_requests, buf_cstr(&b), (double)n);
            buf_fini(&b);
        }
    }
}

/* --- answers ---------------------------------------------------------------------------- */

void web_security_headers(struct evhttp_request *rq)
{
    static const char *const headers[][2] = {
        { "Content-Security-Policy",
          "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
          "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
          "require-trusted-types-for 'script'" },
        { "X-Content-Type-Options", "nosniff" },
        { "Referrer-Policy", "no-referrer" },
        { "Cross-Origin-Opener-Policy", "same-origin" },
        { "Cross-Origin-Resource-Policy", "same-origin" },
        { "Cache-Control", "no-store" },
    };

    for (size_t i = 0; i < ARRAY_LEN(headers); i++)
        evhttp_add_header(evhttp_request_get_output_headers(rq), headers[i][0], headers[i][1]);
}

void web_reply(struct evhttp_request *rq, int code, const char *type, const void *body, size_t len)
{
    struct evbuffer *out = evhttp_request_get_output_buffer(rq);

    count_request(rq, code);
    evhttp_add_header(evhttp_request_get_output_headers(rq), "Content-Type", type);
    web_security_headers(rq);
    evbuffer_add(out, body, len);
    evhttp_send_reply(rq, code, NULL, NULL);
}

void web_reply_text(struct evhttp_request *rq, int code, const char *text)
{
    web_reply(rq, code, "text/plain; charset=utf-8", text, strlen(text));
}

/* --- routes ------------------------------------------------------------------------------ */

static void get_metrics(struct evhttp_request *rq)
{
    const char *accept = evhttp_find_header(evhttp_request_get_input_headers(rq), "Accept");
    bool open = accept != NULL && strstr(accept, "application/openmetrics-text") != NULL;
    enum metric_format format = open ? METRIC_OPENMETRICS : METRIC_TEXT;
    struct buf out = { 0 };

    /* OpenMetrics ends with a mark, so other names cannot follow it. */
    if (!open && setting_of(&web.settings.erlang_vm))
        collect_erlang_vm(&out);
    app_metric_write(&out, format);
    metric_write(&out, format);
    web_reply(rq, HTTP_OK, metric_content_type(format), out.data, out.len);
    buf_fini(&out);
}

static void get_livez(struct evhttp_request *rq)
{
    web_reply_text(rq, HTTP_OK, "alive\n");
}

static void get_readyz(struct evhttp_request *rq)
{
    struct buf out = { 0 };
    bool ready = health_ready(&out);

    web_reply(rq, ready ? HTTP_OK : HTTP_SERVUNAVAIL, "application/json", out.data, out.len);
    buf_fini(&out);
}

/* Routes for everybody; the observer's are added by web_route_add. */
static const struct web_route public_routes[] = {
    { "/metrics", EVHTTP_REQ_GET, get_metrics },
    { "/livez", EVHTTP_REQ_GET, get_livez },
    { "/readyz", EVHTTP_REQ_GET, get_readyz },
};

static const struct web_route *find_route(const struct web_route *routes, size_t n, const char *path)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(routes[i].path, path) == 0)
            return &routes[i];
    return NULL;
}

static void on_request(struct evhttp_request *rq, void *arg)
{
    const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(rq));
    const struct web_route *route;
    enum evhttp_cmd_type method = evhttp_request_get_command(rq);

    if (path == NULL)
        path = "/";
    route = find_route(public_routes, ARRAY_LEN(public_routes), path);
    if (route == NULL && !host_is_ours(rq))
        web_reply_text(rq, 403, "this name is not served here; add it to http.hosts\n");
    else if (route == NULL && !came_by_loopback(rq))
        web_reply_text(rq, HTTP_NOTFOUND, "only /metrics, /livez and /readyz are served here\n");
    else if (route == NULL && !setting_of(&web.settings.observer))
        web_reply_text(rq, HTTP_NOTFOUND, "the observer page is turned off: http.observer\n");
    else if (route == NULL && !page_handle(rq, path, method))
        web_reply_text(rq, HTTP_NOTFOUND, "there is no such page\n");
    else if (route == NULL)
        return;
    else if (!(method == route->method ||
               (method == EVHTTP_REQ_HEAD && route->method == EVHTTP_REQ_GET)))
        web_reply_text(rq, HTTP_BADMETHOD, "this page does not take that method\n");
    else
        route->handle(rq);
}

/* --- start and stop ------------------------------------------------------------------------ */

static uint64_t mailbox_warn(void)
{
    uint64_t n;

    pthread_mutex_lock(&web.lock);
    n = web.settings.mailbox_warn;
    pthread_mutex_unlock(&web.lock);
    return n;
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    collect_tick(mailbox_warn());
    series_tick();
    live_tick();
}

static void *web_main(void *arg)
{
    event_base_dispatch(web.base);
    return NULL;
}

static void web_free(void)
{
    if (web.tick != NULL)
        event_free(web.tick);
    if (web.http != NULL)
        evhttp_free(web.http);
    if (web.base != NULL)
        event_base_free(web.base);
    listen_forget();
    web.tick = NULL;
    web.http = NULL;
    web.base = NULL;
}

static int start_parts(const struct web_options *o, struct buf *complaint)
{
    struct timeval tick = { TICK_MS / 1000, TICK_MS % 1000 * 1000 };
    int rc = 0;

    web.base = event_base_new();
    web.http = web.base != NULL ? evhttp_new(web.base) : NULL;
    if (web.http == NULL)
        return -ERR_SYSTEM;
    evhttp_set_max_headers_size(web.http, HEAD_MAX);
    evhttp_set_max_body_size(web.http, BODY_MAX);
    evhttp_set_timeout(web.http, IDLE_S);
    evhttp_set_allowed_methods(web.http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_POST);
    evhttp_set_gencb(web.http, on_request, NULL);
    rc = listen_prepare(o->listen, complaint);
    if (rc < 0)
        return rc;
    listen_apply(NULL, web.http);
    web.tick = event_new(web.base, -1, EV_PERSIST, on_tick, NULL);
    event_add(web.tick, &tick);
    metric_collector_add(collect_counts, NULL);
    rc = ask_start(web.base);
    if (rc < 0)
        return rc;
    return pthread_create(&web.thread, NULL, web_main, NULL) == 0 ? 0 : -ERR_SYSTEM;
}

int web_start(const struct web_options *o, struct buf *complaint)
{
    int rc;

    ASSERT(!web.running);
    web_configure(o);
    rc = start_parts(o, complaint);
    if (rc < 0)
        web_free();
    web.running = rc == 0;
    return rc;
}

void web_stop(void)
{
    if (!web.running)
        return;
    event_base_loopbreak(web.base);
    pthread_join(web.thread, NULL);
    live_stop();
    ask_stop();
    web_free();
    web.running = false;
}

int web_prepare(const struct web_options *o, struct buf *complaint)
{
    web.prepared = web.running;
    if (web.running)
        return listen_prepare(o->listen, complaint);
    return o->listen[0] != NULL ? web_start(o, complaint) : 0;
}

void web_take_over(const struct web_options *o)
{
    web_configure(o);
    if (web.prepared)
        listen_apply(web.base, web.http);
    web.prepared = false;
}

char *web_address(void)
{
    return listen_address();
}
