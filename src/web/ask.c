/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ask.c - the client half of a control connection as a state of the event loop
 *
 * Happy path: ask -> Request -> Head, Rows (each gives back its credit) -> Done -> fn. A lost
 * connection ends every open question with exit 69; the next question opens another.
 */
#include "web/ask.h"

#include "base/alloc.h"
#include "base/errors.h"
#include "ctl/client.h"
#include "ctl/exits.h"
#include "ctl/node_api.h"
#include "ctl/server.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <string.h>

/* The server takes so many at once from one connection; the others wait here. */
#define IN_FLIGHT_MAX 8

struct question {
    struct link *link;
    struct question *next;
    uint32_t id;
    struct buf request;         /* its frame, until it is sent */
    struct render answer;
    ask_fn *fn;
    void *arg;
};

struct link {
    enum role role;
    const char *user;
    bool once;                      /* for one question: freed behind it */
    struct bufferevent *bev;
    struct question *open, **tail;  /* in the order asked */
    unsigned in_flight;
    uint32_t next_id;
};

static struct event_base *base;
static struct link observer = { .role = ROLE_VIEW, .user = "observer", .tail = &observer.open };

static void question_free(struct question *q)
{
    render_fini(&q->answer);
    buf_fini(&q->request);
    mem_free(q);
}

static void send_waiting(struct link *l)
{
    for (struct question *q = l->open; q != NULL && l->in_flight < IN_FLIGHT_MAX; q = q->next) {
        if (q->request.len == 0)
            continue;
        bufferevent_write(l->bev, q->request.data, q->request.len);
        buf_fini(&q->request);
        q->request = (struct buf){ 0 };
        l->in_flight++;
    }
}

/* Behind the event that runs: its bufferevent is in use. */
static void on_link_over(evutil_socket_t fd, short what, void *arg)
{
    struct link *l = arg;

    if (l->bev != NULL)
        bufferevent_free(l->bev);
    mem_free((char *)(uintptr_t)l->user);
    mem_free(l);
}

static void question_end(struct question *q, const done_t *done)
{
    struct link *l = q->link;

    for (struct question **at = &l->open; *at != NULL; at = &(*at)->next) {
        if (*at == q) {
            *at = q->next;
            if (q->next == NULL)
                l->tail = at;
            break;
        }
    }
    q->fn(q->arg, &q->answer, done);
    question_free(q);
    if (l->once)
        event_base_once(base, -1, EV_TIMEOUT, on_link_over, l, &(struct timeval){ 0 });
}

static void all_fail(struct link *l)
{
    done_t d = RNODE__CONTROL__DONE__INIT;

    d.exit = EXIT_UNREACHABLE;
    d.code = (char *)(uintptr_t)"RN0009";
    d.message = (char *)(uintptr_t)"the node ended the connection";
    while (l->open != NULL)
        question_end(l->open, &d);
}

static void disconnect(struct link *l)
{
    if (l->bev != NULL)
        bufferevent_free(l->bev);
    l->bev = NULL;
    l->in_flight = 0;
    all_fail(l);
}

static void send_frame(struct link *l, frame_t *f)
{
    struct buf out = { 0 };

    if (frame_write(&out, f) == 0)
        bufferevent_write(l->bev, out.data, out.len);
    buf_fini(&out);
}

static void give_credit(struct link *l, uint32_t id)
{
    frame_t f = RNODE__CONTROL__CONTROL__INIT;
    Rnode__Control__Credit c = RNODE__CONTROL__CREDIT__INIT;

    c.frames = 1;
    f.id = id;
    f.body_case = RNODE__CONTROL__CONTROL__BODY_CREDIT;
    f.credit = &c;
    send_frame(l, &f);
}

/* Takes f. */
static void on_frame(struct link *l, frame_t *f)
{
    struct question *q = l->open;

    while (q != NULL && q->id != f->id)
        q = q->next;
    if (q == NULL) {
        frame_free(f);
        return;
    }
    if (f->body_case == RNODE__CONTROL__CONTROL__BODY_DONE) {
        l->in_flight--;
        question_end(q, f->done);
        frame_free(f);
        send_waiting(l);
        return;
    }
    if (f->body_case == RNODE__CONTROL__CONTROL__BODY_ROW)
        give_credit(l, q->id);
    render_frame(&q->answer, f);
}

static void on_bytes(struct bufferevent *bev, void *arg)
{
    struct evbuffer *in = bufferevent_get_input(bev);
    struct link *l = arg;

    while (l->bev == bev) {
        size_t len = evbuffer_get_length(in), used;
        const uint8_t *data = evbuffer_pullup(in, -1);
        frame_t *f;
        int rc = len > 0 ? frame_read(data, len, &f, &used) : 0;

        if (rc == 0)
            return;
        if (rc < 0) {
            disconnect(l);
            return;
        }
        evbuffer_drain(in, used);
        on_frame(l, f);
    }
}

static void on_end(struct bufferevent *bev, short what, void *arg)
{
    disconnect(arg);
}

static int connect_inside(struct link *l)
{
    int fd = server_connect(l->role, l->user);

    if (fd < 0)
        return fd;
    l->bev = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
    bufferevent_setcb(l->bev, on_bytes, NULL, on_end, l);
    bufferevent_enable(l->bev, EV_READ | EV_WRITE);
    return 0;
}

int ask_start(struct event_base *http_base)
{
    base = http_base;
    return connect_inside(&observer);
}

void ask_stop(void)
{
    while (observer.open != NULL) {
        struct question *q = observer.open;

        observer.open = q->next;
        question_free(q);
    }
    observer.tail = &observer.open;
    disconnect(&observer);
}

static void write_request(struct question *q, const char *command, const char *arg0,
                          const char *const *options, uint32_t limit)
{
    frame_t f = RNODE__CONTROL__CONTROL__INIT;
    request_t rq = RNODE__CONTROL__REQUEST__INIT;
    option_t option[8], *poption[8];
    char *args[] = { (char *)(uintptr_t)arg0 };

    rq.command = (char *)(uintptr_t)command;
    rq.n_args = arg0 != NULL ? 1 : 0;
    rq.args = args;
    rq.limit = limit;
    rq.credit = CLIENT_CREDIT;
    rq.options = poption;
    for (size_t i = 0; options != NULL && options[2 * i] != NULL && i < ARRAY_LEN(option); i++) {
        rnode__control__option__init(&option[i]);
        option[i].key = (char *)(uintptr_t)options[2 * i];
        option[i].value = (char *)(uintptr_t)options[2 * i + 1];
        poption[i] = &option[i];
        rq.n_options = i + 1;
    }
    f.id = q->id;
    f.body_case = RNODE__CONTROL__CONTROL__BODY_REQUEST;
    f.request = &rq;
    (void)!frame_write(&q->request, &f);    /* words of ours: far below the limit */
}

static void put_question(struct link *l, const char *command, const char *arg0,
                         const char *const *options, uint32_t limit, ask_fn *fn, void *arg)
{
    struct question *q = MEM_NEW(struct question);

    q->link = l;
    q->id = ++l->next_id;
    q->answer.form = FORM_JSON;
    q->answer.command = command;
    q->answer.node = node_api.name;
    q->fn = fn;
    q->arg = arg;
    write_request(q, command, arg0, options, limit);
    *l->tail = q;
    l->tail = &q->next;
    if (l->bev == NULL && connect_inside(l) < 0)
        all_fail(l);
    else
        send_waiting(l);
}

void ask(const char *command, const char *arg0, const char *const *options, uint32_t limit,
         ask_fn *fn, void *arg)
{
    put_question(&observer, command, arg0, options, limit, fn, arg);
}

void ask_as(const char *user, const char *command, const char *arg0, ask_fn *fn, void *arg)
{
    struct link *l = MEM_NEW(struct link);

    l->role = ROLE_ADMIN;
    l->user = mem_strdup(user);
    l->once = true;
    l->tail = &l->open;
    put_question(l, command, arg0, NULL, 0, fn, arg);
}
