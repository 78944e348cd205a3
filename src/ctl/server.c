/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server.c - connections, requests and their answers
 *
 * Happy path: accept -> role from the kernel -> Hello -> bytes -> frames -> request_begin -> (files)
 * -> handler -> reply_* from any thread -> outbox -> control thread -> pending of the request ->
 * (credit) -> out of the connection -> socket.
 *
 * Ways to fail: no role (one Done, close) - broken frame (close) - client gone (its requests are
 * cancelled and what they still say is dropped) - too slow (rows wait for credit; output beyond
 * 8 MiB is counted as missed).
 *
 * The only data shared between threads is the outbox and the worker's queue, each under its lock,
 * and the atomic fields of struct request.
 */
#include "ctl/server.h"
#include "ctl/tunnel.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/epoch.h"
#include "base/errors.h"
#include "base/log.h"
#include "base/metric.h"
#include "ctl/exits.h"
#include "ctl/handlers.h"
#include "ctl/node_api.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define REQUESTS_PER_CONN   8
#define UNSENT_BYTES_MAX    (8u << 20)
#define OUT_BYTES_AHEAD     (256u << 10)    /* of a connection, before frames wait in requests */
#define GROUPS_MAX          1024

struct pending {
    struct pending *next;
    struct request *rq;             /* only while in the outbox; a reference */
    struct buf bytes;               /* one frame */
    bool costs;                     /* a unit of credit */
    bool droppable;
    bool done;                      /* last frame of the request */
};

struct conn {
    struct server *server;
    struct conn *next;
    int fd;
    struct event *readable, *writable;
    struct buf in, out;
    size_t out_sent;                /* bytes of out already written */
    struct request *requests;
    size_t nrequests;
    enum role role;
    char *user;
    int64_t last_ns;
    bool closing;                   /* close when out is empty */
};

struct work { struct work *next; struct request *rq; request_fn *fn; };

struct server {
    struct event_base *base;
    int fd, wake_fd;
    char *path;
    struct event *acceptable, *woken;
    struct conn *conns;
    size_t nconns;
    uint64_t serial;
    void (*drained)(void);
    bool only_me;

    pthread_mutex_t lock;           /* of the four below */
    struct pending *outbox, **outbox_tail;  /* [lk] */
    bool outbox_announced;          /* [lk] */

    pthread_t worker;
    pthread_mutex_t work_lock;
    pthread_cond_t work_cond;
    struct work *work, **work_tail; /* [lk work] */
    bool work_stop;                 /* [lk work] */
};

static struct server *the_server;   /* [set] between server_start and server_free */

/* --- requests ----------------------------------------------------------------------- */

struct request *request_ref(struct request *rq)
{
    ASSERT(rq->magic == REQUEST_MAGIC);
    /* relaxed: whoever refs holds a reference already */
    atomic_fetch_add_explicit(&rq->refs, 1, memory_order_relaxed);
    return rq;
}

static void pending_free(struct pending *p)
{
    buf_fini(&p->bytes);
    mem_free(p);
}

void request_unref(struct request *rq)
{
    if (rq == NULL)
        return;
    ASSERT(rq->magic == REQUEST_MAGIC);
    /* acq_rel: the last one sees what every other holder wrote before it let go */
    if (atomic_fetch_sub_explicit(&rq->refs, 1, memory_order_acq_rel) != 1)
        return;
    while (rq->pending != NULL) {
        struct pending *p = rq->pending;

        rq->pending = p->next;
        pending_free(p);
    }
    for (size_t i = 0; i < rq->nfiles; i++) {
        mem_free(rq->files[i].name);
        buf_fini(&rq->files[i].data);
    }
    mem_free(rq->files);
    mem_free(rq->user);
    frame_free(rq->frame);
    rq->magic = 0;
    mem_free(rq);
}

const char *request_option(const struct request *rq, const char *name)
{
    for (size_t i = 0; i < rq->msg->n_options; i++) {
        if (strcmp(rq->msg->options[i]->key, name) == 0)
            return rq->msg->options[i]->value;
    }
    return NULL;
}

bool request_flag(const struct request *rq, const char *name)
{
    return request_option(rq, name) != NULL;
}

enum syntax request_syntax(const struct request *rq)
{
    const char *terms = request_option(rq, "terms"), *name = request_option(rq, "syntax");
    const char *lang = request_option(rq, "lang");
    enum syntax syntax = SYNTAX_ERLANG;

    if (terms != NULL && strcmp(terms, "json") == 0)
        return SYNTAX_JSON;
    if (name == NULL)
        name = lang;            /* values look as what was typed */
    if (name != NULL)
        (void)!syntax_parse(name, &syntax);     /* a newer client may know more: then Erlang's */
    return syntax;
}

void request_print(const struct request *rq, struct buf *out, term t, size_t max_bytes)
{
    term_print_as(out, t, request_syntax(rq), max_bytes);
}

/* --- from any thread to the control thread ------------------------------------------ */

static void post(struct request *rq, frame_t *f, bool costs, bool droppable, bool done)
{
    struct server *s = the_server;
    struct pending *p = MEM_NEW(struct pending);
    bool announce;
    uint64_t one = 1;

    ASSERT(rq->magic == REQUEST_MAGIC);
    f->id = rq->id;
    if (frame_write(&p->bytes, f) < 0) {
        /* A single cell or message beyond a MiB: the client is told that something is missing. */
        frame_t none = RNODE__CONTROL__CONTROL__INIT;
        done_t d = RNODE__CONTROL__DONE__INIT;

        d.exit = EXIT_BUG;
        d.code = (char *)(uintptr_t)error_rn(ERR_LIMIT);
        d.message = (char *)(uintptr_t)"the answer does not fit into a frame";
        none.id = rq->id;
        none.body_case = RNODE__CONTROL__CONTROL__BODY_DONE;
        none.done = &d;
        if (!done || frame_write(&p->bytes, &none) < 0) {
            pending_free(p);
            return;
        }
    }
    p->rq = request_ref(rq);
    p->costs = costs;
    p->droppable = droppable;
    p->done = done;
    pthread_mutex_lock(&s->lock);
    *s->outbox_tail = p;
    s->outbox_tail = &p->next;
    announce = !s->outbox_announced;
    s->outbox_announced = true;
    pthread_mutex_unlock(&s->lock);
    if (announce && write(s->wake_fd, &one, sizeof one) < 0)
        ASSERT(errno == EAGAIN); /* the counter is at its end, so the reader is awake anyway */
}

static void post_head(struct request *rq, const char *schema, const struct column *cols, size_t n,
                      bool record, bool stream)
{
    frame_t f = RNODE__CONTROL__CONTROL__INIT;
    head_t h = RNODE__CONTROL__HEAD__INIT;
    column_t *c = MEM_NEW_ARRAY(column_t, n), **pc = MEM_NEW_ARRAY(column_t *, n);

    for (size_t i = 0; i < n; i++) {
        rnode__control__column__init(&c[i]);
        c[i].name = (char *)(uintptr_t)cols[i].name;
        c[i].kind = cols[i].kind != COL_TERM ? (Rnode__Control__Column__Kind)cols[i].kind
                    : request_syntax(rq) == SYNTAX_JSON ? RNODE__CONTROL__COLUMN__KIND__JSON
                                                        : RNODE__CONTROL__COLUMN__KIND__TEXT;
        c[i].wide = cols[i].wide;
        pc[i] = &c[i];
    }
    h.schema = (char *)(uintptr_t)schema;
    h.n_columns = n;
    h.columns = pc;
    h.record = record;
    h.stream = stream;
    f.body_case = RNODE__CONTROL__CONTROL__BODY_HEAD;
    f.head = &h;
    post(rq, &f, false, false, false);
    mem_free(c);
    mem_free(pc);
}

void reply_head(struct request *rq, const char *schema, const struct column *cols, size_t n,
                bool record)
{
    post_head(rq, schema, cols, n, record, false);
}

void reply_head_stream(struct request *rq, const char *schema, const struct column *cols, size_t n)
{
    post_head(rq, schema, cols, n, false, true);
}

void reply_row(struct request *rq, const struct cell *cells, size_t n)
{
    frame_t f = RNODE__CONTROL__CONTROL__INIT;
    row_t r = RNODE__CONTROL__ROW__INIT;
    cell_t *c = MEM_NEW_ARRAY(cell_t, n), **pc = MEM_NEW_ARRAY(cell_t *, n);

    for (size_t i = 0; i < n; i++) {
        rnode__control__cell__init(&c[i]);
        if (cells[i].text != NULL)
            c[i].text = (char *)(uintptr_t)cells[i].text;
        c[i].number = cells[i].number;
        pc[i] = &c[i];
    }
    r.n_cells = n;
    r.cells = pc;
    f.body_case = RNODE__CONTROL__CONTROL__BODY_ROW;
    f.row = &r;
    post(rq, &f, true, false, false);
    mem_free(c);
    mem_free(pc);
}

void reply_chunk(struct request *rq, int stream, const void *data, size_t len)
{
    const uint8_t *at = data;

    while (len > 0) {
        frame_t f = RNODE__CONTROL__CONTROL__INIT;
        chunk_t c = RNODE__CONTROL__CHUNK__INIT;
        size_t n = len < FRAME_CHUNK_BYTES ? len : FRAME_CHUNK_BYTES;

        c.stream = (Rnode__Control__Chunk__Stream)stream;
        c.data.data = (uint8_t *)(uintptr_t)at;
        c.data.len = n;
        f.body_case = RNODE__CONTROL__CONTROL__BODY_CHUNK;
        f.chunk = &c;
        post(rq, &f, stream == RNODE__CONTROL__CHUNK__STREAM__OUTPUT, true, false);
        at += n;
        len -= n;
    }
}

void reply_note(struct request *rq, const char *fmt, ...)
{
    char *text;
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&text, fmt, ap) < 0)
        text = mem_strdup(fmt);
    va_end(ap);
    reply_chunk(rq, RNODE__CONTROL__CHUNK__STREAM__NOTE, text, strlen(text));
    mem_free(text);
}

static void post_progress(struct request *rq, progress_t *p)
{
    frame_t f = RNODE__CONTROL__CONTROL__INIT;

    f.body_case = RNODE__CONTROL__CONTROL__BODY_PROGRESS;
    f.progress = p;
    post(rq, &f, false, true, false);
}

void reply_progress(struct request *rq, const char *phase, uint64_t done, uint64_t total,
                    const char *text)
{
    progress_t p = RNODE__CONTROL__PROGRESS__INIT;

    p.phase = (char *)(uintptr_t)phase;
    p.done = done;
    p.total = total;
    if (text != NULL)
        p.text = (char *)(uintptr_t)text;
    post_progress(rq, &p);
}

void reply_progress_bytes(struct request *rq, const char *phase, uint64_t done, uint64_t total)
{
    progress_t p = RNODE__CONTROL__PROGRESS__INIT;

    p.phase = (char *)(uintptr_t)phase;
    p.done = done;
    p.total = total;
    p.bytes = true;
    post_progress(rq, &p);
}

/* Answers by command and whether they were errors. relaxed: figures only. */
static _Atomic uint64_t request_counts[CMD_COUNT][2];

static void collect_requests(struct metric_sink *sink, void *arg)
{
    metric_emit(sink, M_trace_sessions, NULL, (double)trace_session_count());
    for (size_t i = 0; i < CMD_COUNT; i++) {
        for (size_t failed = 0; failed < 2; failed++) {
            uint64_t n = atomic_load_explicit(&request_counts[i][failed], memory_order_relaxed);
            struct buf b = { 0 };

            if (n == 0)
                continue;
            metric_label(&b, "request", commands[i].name);
            metric_label(&b, "result", failed ? "error" : "ok");
            metric_emit(sink, M_control_requests, buf_cstr(&b), (double)n);
            buf_fini(&b);
        }
    }
}

static bool changes_state(const struct command *c)
{
    return c != NULL && c->role > ROLE_VIEW;
}

/* The first argument for the log; an invitation is a secret. */
static const char *shown_arg(const struct request *rq)
{
    if (rq->msg->n_args == 0)
        return "";
    return rq->cmd == &commands[CMD_join] ? "(secret)" : rq->msg->args[0];
}

static void end_request(struct request *rq, done_t *d)
{
    frame_t f = RNODE__CONTROL__CONTROL__INIT;

    if (rq->cmd != NULL)
        atomic_fetch_add_explicit(&request_counts[rq->cmd - commands][d->exit != 0], 1,
                                  memory_order_relaxed);
    if (changes_state(rq->cmd)) {
        char exit[12];

        snprintf(exit, sizeof exit, "%u", d->exit);
        LOG(NOTICE, "control.request",
            LOG_FIELDS("user", rq->user, "request", rq->cmd->name, "exit", exit),
            "%s asked for %s%s%s: %s", rq->user, rq->cmd->name, rq->msg->n_args > 0 ? " " : "",
            shown_arg(rq), d->exit == 0 ? "done" : d->message);
    }
    f.body_case = RNODE__CONTROL__CONTROL__BODY_DONE;
    f.done = d;
    post(rq, &f, false, false, true);
    request_unref(rq);
}

void reply_done(struct request *rq, uint64_t left_out, uint64_t total, const char *fmt, ...)
{
    done_t d = RNODE__CONTROL__DONE__INIT;
    char *text = NULL;
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&text, fmt, ap) < 0)
        text = mem_strdup("");
    va_end(ap);
    d.message = text;
    d.left_out = left_out;
    d.total = total;
    end_request(rq, &d);
    mem_free(text);
}

void reply_end(struct request *rq, int exit, const char *fmt, ...)
{
    done_t d = RNODE__CONTROL__DONE__INIT;
    char *text = NULL;
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&text, fmt, ap) < 0)
        text = mem_strdup("");
    va_end(ap);
    d.exit = (uint32_t)exit;
    d.message = text;
    end_request(rq, &d);
    mem_free(text);
}

static size_t split_lines(char *text, char **lines, size_t max)
{
    size_t n = 0;
    char *save = NULL;

    for (char *s = strtok_r(text, "\n", &save); s != NULL && n < max;
         s = strtok_r(NULL, "\n", &save))
        lines[n++] = s;
    return n;
}

void reply_error(struct request *rq, int exit, const char *code, const char *hint,
                 const char *detail, const char *fmt, ...)
{
    const struct explanation *ex = explanation_find(code);
    done_t d = RNODE__CONTROL__DONE__INIT;
    char *text = NULL, *copy = detail != NULL ? mem_strdup(detail) : NULL, *lines[256];
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&text, fmt, ap) < 0)
        text = mem_strdup("");
    va_end(ap);
    d.exit = (uint32_t)exit;
    d.code = (char *)(uintptr_t)code;
    d.message = text;
    if (hint == NULL && ex != NULL)
        hint = ex->hint;
    if (hint != NULL)
        d.hint = (char *)(uintptr_t)hint;
    if (copy != NULL) {
        d.n_detail = split_lines(copy, lines, ARRAY_LEN(lines));
        d.detail = lines;
    }
    if (strcmp(code, "RN0707") == 0 && rq->cmd != NULL)
        d.needs = (char *)(uintptr_t)role_name(rq->cmd->role);
    end_request(rq, &d);
    mem_free(copy);
    mem_free(text);
}

/* --- connections: out --------------------------------------------------------------- */

static void conn_free(struct conn *c);

static void conn_write(struct conn *c)
{
    while (c->out_sent < c->out.len) {
        ssize_t n = send(c->fd, c->out.data + c->out_sent, c->out.len - c->out_sent,
                         MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            break;
        if (n < 0) {
            c->closing = true;
            c->out_sent = c->out.len;
            break;
        }
        c->out_sent += (size_t)n;
    }
    if (c->out_sent == c->out.len) {
        c->out.len = c->out_sent = 0;
    } else {
        event_add(c->writable, NULL);
    }
}

static void request_forget(struct request *rq)
{
    struct conn *c = rq->conn;

    for (struct request **at = &c->requests; *at != NULL; at = &(*at)->next) {
        if (*at == rq) {
            *at = rq->next;
            break;
        }
    }
    rq->conn = NULL;
    c->nrequests--;
    request_unref(rq);
}

/* Move what credit and the socket allow from the requests of c to its output. */
static void conn_flush(struct conn *c)
{
    for (struct request *rq = c->requests, *next; rq != NULL; rq = next) {
        bool done = false;

        next = rq->next;
        while (rq->pending != NULL && c->out.len - c->out_sent < OUT_BYTES_AHEAD) {
            struct pending *p = rq->pending;

            if (p->costs && rq->credit == 0)
                break;
            rq->credit -= p->costs;
            rq->pending = p->next;
            if (rq->pending == NULL)
                rq->pending_tail = &rq->pending;
            rq->pending_bytes -= p->bytes.len;
            done = p->done;
            buf_add(&c->out, p->bytes.data, p->bytes.len);
            pending_free(p);
        }
        if (done)
            request_forget(rq);
    }
    conn_write(c);
}

/* The frame of a request arrives at the control thread. */
static void deliver(struct pending *p)
{
    struct request *rq = TAKE(p->rq);

    if (rq->conn == NULL || (p->droppable && rq->pending_bytes > UNSENT_BYTES_MAX)) {
        rq->missed++;
        pending_free(p);
    } else {
        rq->pending_bytes += p->bytes.len;
        p->next = NULL;
        *rq->pending_tail = p;
        rq->pending_tail = &p->next;
        conn_flush(rq->conn);
    }
    request_unref(rq);
}

static void server_check_drained(struct server *s)
{
    if (s->drained != NULL && server_open_requests(s) == 0) {
        void (*drained)(void) = TAKE(s->drained);

        drained();
    }
}

static void on_woken(evutil_socket_t fd, short what, void *arg)
{
    struct server *s = arg;
    struct pending *list;
    uint64_t n;

    if (read(fd, &n, sizeof n) < 0 && errno != EAGAIN)
        LOG(ERROR, "control.wake", NULL, "reading the event counter: %s", strerror(errno));
    pthread_mutex_lock(&s->lock);
    list = s->outbox;
    s->outbox = NULL;
    s->outbox_tail = &s->outbox;
    s->outbox_announced = false;
    pthread_mutex_unlock(&s->lock);
    while (list != NULL) {
        struct pending *p = list;

        list = p->next;
        deliver(p);
    }
    for (struct conn *c = s->conns, *next; c != NULL; c = next) {
        next = c->next;
        if (c->closing && c->out.len == 0)
            conn_free(c);
    }
    server_check_drained(s);
}

/* --- the worker --------------------------------------------------------------------- */

static void *worker_main(void *arg)
{
    struct server *s = arg;

    pthread_mutex_lock(&s->work_lock);
    while (!s->work_stop || s->work != NULL) {
        struct work *w = s->work;

        if (w == NULL) {
            pthread_cond_wait(&s->work_cond, &s->work_lock);
            continue;
        }
        s->work = w->next;
        if (s->work == NULL)
            s->work_tail = &s->work;
        pthread_mutex_unlock(&s->work_lock);
        w->fn(w->rq);
        mem_free(w);
        pthread_mutex_lock(&s->work_lock);
    }
    pthread_mutex_unlock(&s->work_lock);
    epoch_flush();      /* code that this thread took out of use */
    return NULL;
}

static void worker_push(struct server *s, struct request *rq, request_fn *fn)
{
    struct work *w = MEM_NEW(struct work);

    w->rq = rq;
    w->fn = fn;
    pthread_mutex_lock(&s->work_lock);
    *s->work_tail = w;
    s->work_tail = &w->next;
    pthread_cond_signal(&s->work_cond);
    pthread_mutex_unlock(&s->work_lock);
}

static void on_later(evutil_socket_t fd, short what, void *arg)
{
    struct request *rq = arg;

    worker_push(the_server, rq, rq->later);
}

void request_later(struct request *rq, int64_t ms, request_fn *fn)
{
    struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

    rq->later = fn;
    event_base_once(the_server->base, -1, EV_TIMEOUT, on_later, rq, &tv);
}

/* --- connections: in ---------------------------------------------------------------- */

static struct request *conn_find(struct conn *c, uint32_t id)
{
    for (struct request *rq = c->requests; rq != NULL; rq = rq->next) {
        if (rq->id == id)
            return rq;
    }
    return NULL;
}

/* Files are here: run the handler. Its reference is a second one; the first is the connection's. */
static void request_start(struct request *rq)
{
    rq->started = true;
    request_ref(rq);
    if (rq->cmd->place == PLACE_SLOW)
        worker_push(the_server, rq, request_handlers[rq->cmd - commands]);
    else
        request_handlers[rq->cmd - commands](rq);
}

static bool check_args(struct request *rq)
{
    size_t n = rq->msg->n_args;

    if (n >= rq->cmd->min && (rq->cmd->max == 255 || n <= rq->cmd->max))
        return true;
    reply_error(request_ref(rq), EXIT_USAGE, "RN0102", NULL, NULL, "%s takes %s", rq->cmd->name,
                rq->cmd->args[0] != 0 ? rq->cmd->args : "no arguments");
    return false;
}

static void request_begin(struct conn *c, frame_t *f)
{
    struct request *rq = MEM_NEW(struct request);

    rq->magic = REQUEST_MAGIC;
    atomic_init(&rq->refs, 1);
    rq->serial = ++c->server->serial;
    rq->id = f->id;
    rq->frame = f;
    rq->msg = f->request;
    rq->cmd = command_find(f->request->command);
    rq->role = c->role;
    rq->user = mem_strdup(c->user);
    rq->limits = node_api.limits;
    rq->start_ns = clock_monotonic_ns();
    rq->credit = f->request->credit;
    rq->pending_tail = &rq->pending;
    rq->conn = c;
    rq->next = c->requests;
    c->requests = rq;
    c->nrequests++;
    if (f->request->files > 0) {
        rq->nfiles = f->request->files;
        rq->files = MEM_NEW_ARRAY(struct request_file, rq->nfiles);
    }
    if (c->nrequests > REQUESTS_PER_CONN)
        reply_error(request_ref(rq), EXIT_PROTOCOL, "RN0108", NULL, NULL,
                    "a connection may have %d open requests", REQUESTS_PER_CONN);
    else if (rq->cmd == NULL || request_handlers[rq->cmd - commands] == NULL)
        reply_error(request_ref(rq), EXIT_PROTOCOL, "RN0107", NULL, NULL,
                    "this node does not know the request `%s`", rq->msg->command);
    else if (rq->cmd->role > rq->role)
        reply_error(request_ref(rq), EXIT_PERMISSION, "RN0707", NULL, NULL, "%s may not %s on %s",
                    rq->user, rq->cmd->name, node_api.name);
    else if (check_args(rq) && rq->nfiles == 0)
        request_start(rq);
}

/* Bytes of a file of a request that waits for its files. False: against the protocol. */
static bool request_chunk(struct request *rq, const chunk_t *ch)
{
    struct request_file *file;

    if (rq->started || rq->done || rq->file_at >= rq->nfiles)
        return false;
    file = &rq->files[rq->file_at];
    if (file->name == NULL)
        file->name = mem_strdup(ch->name);
    rq->file_bytes += ch->data.len;
    if (rq->file_bytes > (size_t)rq->limits.deploy_bytes) {
        rq->done = true;
        reply_error(request_ref(rq), EXIT_BAD_INPUT, "RN0109", NULL, NULL,
                    "the files have more than %lld bytes", (long long)rq->limits.deploy_bytes);
        return true;
    }
    buf_add(&file->data, ch->data.data, ch->data.len);
    if (ch->last && ++rq->file_at == rq->nfiles)
        request_start(rq);
    return true;
}

static void request_cancel(struct request *rq)
{
    /* release: pairs with the acquire loads of handlers, which may then look at data */
    if (atomic_exchange_explicit(&rq->cancelled, true, memory_order_acq_rel))
        return;
    if (rq->on_cancel != NULL)
        rq->on_cancel(rq);
}

static void say_hello(struct conn *c);

/* `tunnel NODE`: what follows on this connection is for that node. Takes f. */
static bool conn_tunnel(struct conn *c, frame_t *f)
{
    const char *node = f->request->n_args == 1 ? f->request->args[0] : "";
    frame_t out = RNODE__CONTROL__CONTROL__INIT;
    done_t d = RNODE__CONTROL__DONE__INIT;
    char *text;
    int fd, rc;

    if (tunnel_is_here(node)) {
        say_hello(c);
        frame_free(f);
        return true;
    }
    fd = fcntl(c->fd, F_DUPFD_CLOEXEC, 0);
    rc = fd < 0 ? -ERR_SYSTEM : tunnel_open(fd, c->role, c->user, node);
    if (rc == 0) {
        LOG(NOTICE, "control.tunnel", LOG_FIELDS("user", c->user, "node", node),
            "%s goes on to %s", c->user, node);
        c->closing = true;      /* our copy of the descriptor */
        frame_free(f);
        return true;
    }
    if (fd >= 0)
        close(fd);
    text = rc == -ERR_NOT_FOUND ? mem_printf("no member is called %s", node)
                                : mem_printf("no way to %s: %s", node, error_text(rc));
    d.exit = rc == -ERR_NOT_FOUND ? EXIT_NO : EXIT_UNREACHABLE;
    d.code = (char *)(uintptr_t)(rc == -ERR_NOT_FOUND ? "RN0729" : "RN0701");
    d.message = text;
    d.hint = (char *)(uintptr_t)"rnodectl nodes";
    out.id = f->id;
    out.body_case = RNODE__CONTROL__CONTROL__BODY_DONE;
    out.done = &d;
    if (frame_write(&c->out, &out) < 0)
        c->closing = true;      /* a name without end */
    mem_free(text);
    frame_free(f);
    return true;
}

/* Takes f. False: the connection must end. */
static bool conn_frame(struct conn *c, frame_t *f)
{
    struct request *rq = conn_find(c, f->id);
    bool ok = true;

    switch (f->body_case) {
    case RNODE__CONTROL__CONTROL__BODY_REQUEST:
        if (rq != NULL || f->id == 0) {
            ok = false;
            break;
        }
        if (strcmp(f->request->command, "tunnel") == 0)
            return conn_tunnel(c, f);
        request_begin(c, f);
        return true;
    case RNODE__CONTROL__CONTROL__BODY_CHUNK:
        ok = rq == NULL || request_chunk(rq, f->chunk);
        break;
    case RNODE__CONTROL__CONTROL__BODY_CREDIT:
        if (rq != NULL && __builtin_add_overflow(rq->credit, f->credit->frames, &rq->credit))
            rq->credit = UINT32_MAX;
        break;
    case RNODE__CONTROL__CONTROL__BODY_CANCEL:
        if (rq != NULL)
            request_cancel(rq);
        break;
    default: /* only a server says the others */
        ok = false;
        break;
    }
    frame_free(f);
    return ok;
}

static void conn_frames(struct conn *c)
{
    size_t at = 0;

    while (!c->closing) {
        size_t used;
        frame_t *f;
        int rc = frame_read(c->in.data + at, c->in.len - at, &f, &used);

        if (rc == 0)
            break;
        if (rc < 0 || !conn_frame(c, f)) {
            LOG(WARNING, "control.protocol", LOG_FIELDS("user", c->user, "code", "RN0010"),
                "%s sent what is no frame; the connection is closed", c->user);
            c->closing = true;
            break;
        }
        at += used;
    }
    if (at > 0) {
        memmove(c->in.data, c->in.data + at, c->in.len - at);
        c->in.len -= at;
    }
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct conn *c = arg;
    uint8_t *room = buf_room(&c->in, 65536);
    ssize_t n = recv(fd, room, 65536, MSG_DONTWAIT);

    c->in.len -= 65536 - (n > 0 ? (size_t)n : 0);
    c->last_ns = clock_monotonic_ns();
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        conn_free(c);
        return;
    }
    conn_frames(c);
    conn_flush(c);
    if (c->closing && c->out.len == 0)
        conn_free(c);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct conn *c = arg;

    conn_flush(c);
    if (c->closing && c->out.len == 0)
        conn_free(c);
}

static void conn_free(struct conn *c)
{
    struct server *s = c->server;

    for (struct conn **at = &s->conns; *at != NULL; at = &(*at)->next) {
        if (*at == c) {
            *at = c->next;
            break;
        }
    }
    s->nconns--;
    while (c->requests != NULL) {
        struct request *rq = c->requests;

        request_ref(rq);
        request_forget(rq);
        request_cancel(rq);
        request_unref(rq);
    }
    event_free(c->readable);
    event_free(c->writable);
    close(c->fd);
    buf_fini(&c->in);
    buf_fini(&c->out);
    mem_free(c->user);
    mem_free(c);
    server_check_drained(s);
}

/* --- who is it ---------------------------------------------------------------------- */

static bool group_matches(const char *name, const gid_t *gids, size_t n)
{
    struct group *gr = getgrnam(name);

    for (size_t i = 0; gr != NULL && i < n; i++) {
        if (gids[i] == gr->gr_gid)
            return true;
    }
    return false;
}

static bool user_matches(const char *const *list, const char *user, const gid_t *gids, size_t n)
{
    for (size_t i = 0; list != NULL && list[i] != NULL; i++) {
        if (list[i][0] == '@' ? group_matches(list[i] + 1, gids, n) : strcmp(list[i], user) == 0)
            return true;
    }
    return false;
}

/* The role the kernel's word about the caller is worth. *ret_user is the caller's, to free. */
static enum role peer_role(struct server *s, int fd, char **ret_user)
{
    struct ucred cred;
    socklen_t len = sizeof cred;
    gid_t gids[GROUPS_MAX];
    socklen_t gids_bytes = sizeof gids - sizeof gids[0];
    struct passwd *pw;
    size_t ngids = 0;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0) {
        *ret_user = mem_strdup("unknown");
        return ROLE_NONE;
    }
    pw = getpwuid(cred.uid);
    *ret_user = pw != NULL ? mem_strdup(pw->pw_name) : mem_printf("uid-%u", cred.uid);
    if (cred.uid == geteuid())
        return ROLE_ADMIN;
    if (s->only_me)
        return cred.uid == 0 ? ROLE_ADMIN : ROLE_NONE;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, gids, &gids_bytes) == 0)
        ngids = gids_bytes / sizeof gids[0];
    gids[ngids++] = cred.gid;
    for (int role = ROLE_ADMIN; role > ROLE_NONE; role--) {
        if (user_matches(node_api.role_users[role], *ret_user, gids, ngids))
            return (enum role)role;
    }
    return ROLE_NONE;
}

static void say_hello(struct conn *c)
{
    frame_t f = RNODE__CONTROL__CONTROL__INIT;
    hello_t h = RNODE__CONTROL__HELLO__INIT;

    h.protocol = 1;
    h.version = (char *)(uintptr_t)node_api.version;
    h.node = (char *)(uintptr_t)node_api.name;
    h.role = (char *)(uintptr_t)role_name(c->role);
    h.user = c->user;
    h.env = node_api.env;
    f.body_case = RNODE__CONTROL__CONTROL__BODY_HELLO;
    f.hello = &h;
    if (frame_write(&c->out, &f) < 0)
        UNREACHABLE(); /* names are short */
}

static void refuse(int fd, const char *user, const char *code, const char *message)
{
    frame_t f = RNODE__CONTROL__CONTROL__INIT;
    done_t d = RNODE__CONTROL__DONE__INIT;
    const struct explanation *ex = explanation_find(code);
    struct buf out = { 0 };

    d.exit = strcmp(code, "RN0707") == 0 ? EXIT_PERMISSION : EXIT_TIMEOUT;
    d.code = (char *)(uintptr_t)code;
    d.message = (char *)(uintptr_t)message;
    d.hint = (char *)(uintptr_t)(ex != NULL ? ex->hint : "");
    f.body_case = RNODE__CONTROL__CONTROL__BODY_DONE;
    f.done = &d;
    if (frame_write(&out, &f) == 0 && send(fd, out.data, out.len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        LOG(DEBUG, "control.refused", NULL, "%s did not wait for the answer", user);
    buf_fini(&out);
    LOG(WARNING, "control.refused", LOG_FIELDS("user", user, "code", code), "%s", message);
    close(fd);
}

static void drop_idle(struct server *s)
{
    struct conn *idle = NULL;

    for (struct conn *c = s->conns; c != NULL; c = c->next) {
        if (c->nrequests == 0 && (idle == NULL || c->last_ns < idle->last_ns))
            idle = c;
    }
    if (idle != NULL)
        conn_free(idle);
}

/* Takes fd and user. */
static void conn_add(struct server *s, int fd, enum role role, char *user)
{
    struct conn *c = MEM_NEW(struct conn);

    c->server = s;
    c->fd = fd;
    c->role = role;
    c->user = user;
    c->last_ns = clock_monotonic_ns();
    c->readable = event_new(s->base, fd, EV_READ | EV_PERSIST, on_readable, c);
    c->writable = event_new(s->base, fd, EV_WRITE, on_writable, c);
    event_add(c->readable, NULL);
    c->next = s->conns;
    s->conns = c;
    s->nconns++;
    say_hello(c);
    conn_write(c);
}

static void on_acceptable(evutil_socket_t fd, short what, void *arg)
{
    struct server *s = arg;
    int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    char *user;
    enum role role;

    if (client < 0)
        return;
    role = peer_role(s, client, &user);
    if (s->nconns >= node_api.connections_max)
        drop_idle(s);
    if (role == ROLE_NONE || s->nconns >= node_api.connections_max) {
        char *text = role == ROLE_NONE
                         ? mem_printf("%s has no role on %s", user, node_api.name)
                         : mem_printf("%s has too many control connections", node_api.name);

        refuse(client, user, role == ROLE_NONE ? "RN0707" : "RN0108", text);
        mem_free(text);
        mem_free(user);
        return;
    }
    conn_add(s, client, role, user);
}

/* --- connections from inside the node ----------------------------------------------- */

struct inside { int fd; enum role role; char *user; };

static void on_inside(evutil_socket_t fd, short what, void *arg)
{
    struct inside *in = arg;

    conn_add(the_server, in->fd, in->role, in->user);
    mem_free(in);
}

int server_connect(enum role role, const char *user)
{
    struct timeval now = { 0 };
    struct inside *in;
    int fds[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
        return -ERR_SYSTEM;
    in = MEM_NEW(struct inside);
    *in = (struct inside){ fds[0], role, mem_strdup(user) };
    event_base_once(the_server->base, -1, EV_TIMEOUT, on_inside, in, &now);
    return fds[1];
}

/* --- start and stop ----------------------------------------------------------------- */

/* Bind, replacing the socket file of a node that is no more. */
static int listen_at(const char *path, bool only_me)
{
    struct sockaddr_un sa = { .sun_family = AF_UNIX };
    int fd, probe;

    if (strlen(path) >= sizeof sa.sun_path) {
        errno = ENAMETOOLONG;
        return -ERR_SYSTEM;
    }
    strcpy(sa.sun_path, path);
    probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (probe < 0)
        return -ERR_SYSTEM;
    if (connect(probe, (struct sockaddr *)&sa, sizeof sa) == 0) {
        close(probe);
        return -ERR_EXISTS;
    }
    close(probe);
    unlink(path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -ERR_SYSTEM;
    if (bind(fd, (struct sockaddr *)&sa, sizeof sa) < 0 || listen(fd, 64) < 0 ||
        chmod(path, only_me ? 0600 : 0666) < 0) {
        int saved = errno;

        close(fd);
        errno = saved;
        return -ERR_SYSTEM;
    }
    return fd;
}

int server_start(struct event_base *base, const char *path, bool only_me,
                 struct server **ret_server)
{
    int fd = listen_at(path, only_me);
    struct server *s;

    if (fd < 0)
        return fd;
    s = MEM_NEW(struct server);
    s->base = base;
    s->fd = fd;
    s->only_me = only_me;
    s->path = mem_strdup(path);
    s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    ASSERT(s->wake_fd >= 0);
    s->outbox_tail = &s->outbox;
    s->work_tail = &s->work;
    pthread_mutex_init(&s->lock, NULL);
    pthread_mutex_init(&s->work_lock, NULL);
    pthread_cond_init(&s->work_cond, NULL);
    s->acceptable = event_new(base, fd, EV_READ | EV_PERSIST, on_acceptable, s);
    s->woken = event_new(base, s->wake_fd, EV_READ | EV_PERSIST, on_woken, s);
    event_add(s->acceptable, NULL);
    event_add(s->woken, NULL);
    the_server = s;
    metric_collector_add(collect_requests, NULL);
    if (pthread_create(&s->worker, NULL, worker_main, s) != 0) {
        the_server = NULL;
        return -ERR_SYSTEM;
    }
    *ret_server = s;
    return 0;
}

void server_drain(struct server *s, void (*drained)(void))
{
    event_del(s->acceptable);
    s->drained = drained;
    server_check_drained(s);
}

struct event_base *server_base(void)
{
    return the_server->base;
}

size_t server_open_requests(const struct server *s)
{
    size_t n = 0;

    for (struct conn *c = s->conns; c != NULL; c = c->next)
        n += c->nrequests;
    return n;
}

void server_free(struct server *s)
{
    if (s == NULL)
        return;
    s->drained = NULL;
    pthread_mutex_lock(&s->work_lock);
    s->work_stop = true;
    pthread_cond_signal(&s->work_cond);
    pthread_mutex_unlock(&s->work_lock);
    pthread_join(s->worker, NULL);
    for (struct conn *c = s->conns; c != NULL; c = c->next)
        conn_write(c);
    while (s->conns != NULL)
        conn_free(s->conns);
    event_free(s->acceptable);
    event_free(s->woken);
    close(s->fd);
    unlink(s->path);
    /* The wake descriptor and the struct stay: a scheduler may still be posting a last word. */
}
