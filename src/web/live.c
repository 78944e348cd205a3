/* SPDX-License-Identifier: Apache-2.0 */
/*
 * live.c - what changed since the last second, for each stream
 *
 * A stream owns its request until the client goes away. At most one question of a stream is open;
 * the answer finds its stream by number, so a stream may end meanwhile.
 */
#include "web/live.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "ctl/node_api.h"
#include "web/ask.h"
#include "web/server_priv.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/keyvalq_struct.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define STREAMS_MAX     32
#define UNSENT_MAX      (256u << 10)
#define ROWS_MAX        500
#define ROWS_DEFAULT    100
/* After an answer that took long, a stream waits so many times as long: looking at a node with very
 * many processes then takes no more than 2 % of a scheduler. */
#define REST_TIMES      50
#define TICK_SLACK_NS   500000000       /* a usual answer is asked for again at the next tick */

static const struct page_source sources[] = {
    { "status", "/", "status", NULL },
    { "processes", "/processes", "ps", "pid" },
    { "inspect", "", "inspect", NULL },
    { "tree", "/tree", "tree", NULL },
    { "tables", "/tables", "tables", NULL },
    { "modules", "/code", "modules", NULL },
    { "history", "", "history", NULL },
    { "nodes", "/cluster", "nodes", NULL },
    { "traces", "/traces", "traces", NULL },
    { "logs", "/logs", "logs", "seq" },
};

struct stream {
    struct stream *next;
    uint64_t number;
    const struct page_source *source;
    struct evhttp_request *rq;
    char *arg, *sort;
    uint32_t limit;
    json_t *rows;               /* key -> row as last sent */
    json_t *order;              /* keys as last sent */
    int64_t asked_ns, next_ns;  /* when it was asked last; not before */
    bool asked, begun;
};

static struct stream *streams;
static unsigned nstreams;
static uint64_t last_number;

const struct page_source *page_source_by_name(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(sources); i++)
        if (strcmp(sources[i].name, name) == 0)
            return &sources[i];
    return NULL;
}

const struct page_source *page_source_by_path(const char *path)
{
    for (size_t i = 0; i < ARRAY_LEN(sources); i++)
        if (sources[i].path[0] != 0 && strcmp(sources[i].path, path) == 0)
            return &sources[i];
    return NULL;
}

char *query_value(struct evhttp_request *rq, const char *name)
{
    const char *query = evhttp_uri_get_query(evhttp_request_get_evhttp_uri(rq));
    struct evkeyvalq pairs;
    const char *found;
    char *copy = NULL;

    if (query == NULL || evhttp_parse_query_str(query, &pairs) < 0)
        return NULL;
    found = evhttp_find_header(&pairs, name);
    if (found != NULL)
        copy = mem_strdup(found);
    evhttp_clear_headers(&pairs);
    return copy;
}

/* --- life of a stream ---------------------------------------------------------------------- */

static void stream_free(struct stream *s)
{
    for (struct stream **at = &streams; *at != NULL; at = &(*at)->next) {
        if (*at == s) {
            *at = s->next;
            break;
        }
    }
    nstreams--;
    json_decref(s->rows);
    json_decref(s->order);
    mem_free(s->arg);
    mem_free(s->sort);
    mem_free(s);
}

static void on_closed(struct evhttp_connection *conn, void *arg)
{
    stream_free(arg);
}

static struct stream *stream_find(uint64_t number)
{
    struct stream *s = streams;

    while (s != NULL && s->number != number)
        s = s->next;
    return s;
}

static bool is_behind(const struct stream *s)
{
    struct evhttp_connection *conn = evhttp_request_get_connection(s->rq);
    struct bufferevent *bev = evhttp_connection_get_bufferevent(conn);

    return evbuffer_get_length(bufferevent_get_output(bev)) > UNSENT_MAX;
}

static void stream_send(struct stream *s, json_t *message)
{
    char *text = json_dumps(message, JSON_COMPACT);
    struct evbuffer *out = evbuffer_new();

    evbuffer_add_printf(out, "event: rows\ndata: %s\n\n", text);
    evhttp_send_reply_chunk(s->rq, out);
    evbuffer_free(out);
    free(text);
    json_decref(message);
}

/* --- what changed ---------------------------------------------------------------------------- */

static const char *kind_name(const column_t *c)
{
    static const char *const names[] = { "text", "count", "bytes", "rate", "seconds", "time", "flag" };

    return (size_t)c->kind < ARRAY_LEN(names) ? names[c->kind] : "text";
}

static json_t *columns_json(const head_t *h)
{
    json_t *list = json_array();

    for (size_t i = 0; i < h->n_columns; i++)
        json_array_append_new(list, json_pack("{s:s, s:s, s:b}", "name", h->columns[i]->name, "kind",
                                              kind_name(h->columns[i]), "wide",
                                              (int)h->columns[i]->wide));
    return list;
}

/* The text that tells row apart from those in taken. The caller's. */
static char *row_key(const struct stream *s, const head_t *h, json_t *row, json_t *taken)
{
    const char *column = s->source->key != NULL ? s->source->key : h->columns[0]->name;
    json_t *cell = json_object_get(row, column);
    char *key = json_is_string(cell) ? mem_strdup(json_string_value(cell))
                                     : mem_printf("%lld", (long long)json_integer_value(cell));

    for (unsigned n = 2; json_object_get(taken, key) != NULL; n++) {
        char *other = mem_printf("%.200s (%u)", key, n);

        mem_free(key);
        key = other;
    }
    return key;
}

static json_t *gone_keys(json_t *before, json_t *now)
{
    json_t *gone = json_array(), *row;
    const char *key;

    json_object_foreach(before, key, row)
        if (json_object_get(now, key) == NULL)
            json_array_append_new(gone, json_string(key));
    return gone;
}

static void set_unless_empty(json_t *message, const char *key, json_t *list)
{
    if (json_array_size(list) > 0)
        json_object_set(message, key, list);
    json_decref(list);
}

static json_t *changes(struct stream *s, const struct render *answer, const done_t *done)
{
    const head_t *h = answer->head->head;
    json_t *message = json_object(), *now = json_object(), *order = json_array();
    json_t *changed = json_array();

    if (!s->begun) {
        json_object_set_new(message, "columns", columns_json(h));
        json_object_set_new(message, "node", json_string(node_api.name));
    }
    for (size_t i = 0; i < answer->nrows; i++) {
        json_t *row = render_json_row(h, answer->rows[i]->row), *old;
        char *key = row_key(s, h, row, now);

        old = json_object_get(s->rows, key);
        if (old == NULL || !json_equal(old, row))
            json_array_append_new(changed, json_pack("[s, O]", key, row));
        json_array_append_new(order, json_string(key));
        json_object_set_new(now, key, row);
        mem_free(key);
    }
    set_unless_empty(message, "rows", changed);
    set_unless_empty(message, "gone", gone_keys(s->rows, now));
    if (!json_equal(order, s->order))
        json_object_set(message, "order", order);
    json_object_set_new(message, "left_out", json_integer((json_int_t)done->left_out));
    json_decref(s->rows);
    json_decref(s->order);
    s->rows = now;
    s->order = order;
    s->begun = true;
    return message;
}

static void on_answer(void *arg, const struct render *answer, const done_t *done)
{
    uint64_t *number = arg;
    struct stream *s = stream_find(*number);
    int64_t now;

    mem_free(number);
    if (s == NULL)
        return;
    now = clock_monotonic_ns();
    s->asked = false;
    s->next_ns = now + REST_TIMES * (now - s->asked_ns) - TICK_SLACK_NS;
    if (answer->head == NULL || done->exit != 0)
        stream_send(s, render_json_error(done));
    else
        stream_send(s, changes(s, answer, done));
}

static void stream_ask(struct stream *s)
{
    const char *options[] = { s->sort != NULL ? "sort" : NULL, s->sort, NULL };
    uint64_t *number;

    int64_t now = clock_monotonic_ns();

    if (s->asked || now < s->next_ns || is_behind(s))
        return;
    s->asked_ns = now;
    number = MEM_NEW(uint64_t);
    *number = s->number;
    s->asked = true;
    ask(s->source->command, s->arg, options, s->limit, on_answer, number);
}

void live_open(struct evhttp_request *rq, const struct page_source *source)
{
    struct evkeyvalq *headers = evhttp_request_get_output_headers(rq);
    struct stream *s;
    char *limit;

    if (nstreams >= STREAMS_MAX) {
        web_reply_text(rq, HTTP_SERVUNAVAIL, "too many open pages\n");
        return;
    }
    s = MEM_NEW(struct stream);
    limit = query_value(rq, "limit");
    s->number = ++last_number;
    s->source = source;
    s->rq = rq;
    s->arg = query_value(rq, "arg");
    s->sort = query_value(rq, "sort");
    s->limit = limit != NULL ? (uint32_t)strtoul(limit, NULL, 10) : ROWS_DEFAULT;
    if (s->limit == 0 || s->limit > ROWS_MAX)
        s->limit = ROWS_MAX;
    s->rows = json_object();
    s->order = json_array();
    s->next = streams;
    streams = s;
    nstreams++;
    mem_free(limit);
    evhttp_connection_set_closecb(evhttp_request_get_connection(rq), on_closed, s);
    evhttp_connection_set_timeout(evhttp_request_get_connection(rq), 86400);
    evhttp_add_header(headers, "Content-Type", "text/event-stream");
    web_security_headers(rq);
    evhttp_send_reply_start(rq, HTTP_OK, NULL);
    stream_ask(s);
}

void live_tick(void)
{
    for (struct stream *s = streams, *next; s != NULL; s = next) {
        next = s->next;
        stream_ask(s);
    }
}

void live_stop(void)
{
    while (streams != NULL) {
        evhttp_connection_set_closecb(evhttp_request_get_connection(streams->rq), NULL, NULL);
        stream_free(streams);
    }
}
