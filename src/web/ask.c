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
    struct question *next;
    uint32_t id;
    struct buf request;         /* its frame, until it is sent */
    struct render answer;
    ask_fn *fn;
    void *arg;
};

static struct {
    struct event_base *base;
    struct bufferevent *bev;
    struct question *open, **tail;  /* in the order asked */
    unsigned in_flight;
    uint32_t next_id;
} link;

static void question_free(struct question *q)
{
    render_fini(&q->answer);
    buf_fini(&q->request);
    mem_free(q);
}

static void send_waiting(void)
{
    for (struct question *q = link.open; q != NULL && link.in_flight < IN_FLIGHT_MAX; q = q->next) {
        if (q->request.len == 0)
            continue;
        bufferevent_write(link.bev, q->request.data, q->request.len);
        buf_fini(&q->request);
        q->request = (struct buf){ 0 };
        link.in_flight++;
    }
}

static void question_end(struct question *q, const done_t *done)
{
    for (struct question **at = &link.open; *at != NULL; at = &(*at)->next) {
        if (*at == q) {
            *at = q->next;
            if (q->next == NULL)
                link.tail = at;
            break;
        }
    }
    q->fn(q->arg, &q->answer, done);
    question_free(q);
}

static void all_fail(void)
{
    done_t d = RNODE__CONTROL__DONE__INIT;

    d.exit = EXIT_UNREACHABLE;
    d.code = (char *)(uintptr_t)"RN0009";
    d.message = (char *)(uintptr_t)"the node ended the connection";
    while (link.open != NULL)
        question_end(link.open, &d);
}

static void disconnect(void)
{
    if (link.bev != NULL)
        bufferevent_free(link.bev);
    link.bev = NULL;
    link.in_flight = 0;
    all_fail();
}

static void send_frame(frame_t *f)
{
    struct buf out = { 0 };

    if (frame_write(&out, f) == 0)
        bufferevent_write(link.bev, out.data, out.len);
    buf_fini(&out);
}

static void give_credit(uint32_t id)
{
    frame_t f = RNODE__CONTROL__CONTROL__INIT;
    Rnode__Control__Credit c = RNODE__CONTROL__CREDIT__INIT;

    c.frames = 1;
    f.id = id;
    f.body_case = RNODE__CONTROL__CONTROL__BODY_CREDIT;
    f.credit = &c;
    send_frame(&f);
}

/* Takes f. */
static void on_frame(frame_t *f)
{
    struct question *q = link.open;

    while (q != NULL && q->id != f->id)
        q = q->next;
    if (q == NULL) {
        frame_free(f);
        return;
    }
    if (f->body_case == RNODE__CONTROL__CONTROL__BODY_DONE) {
        link.in_flight--;
        question_end(q, f->done);
        frame_free(f);
        send_waiting();
        return;
    }
    if (f->body_case == RNODE__CONTROL__CONTROL__BODY_ROW)
        give_credit(q->id);
    render_frame(&q->answer, f);
}

static void on_bytes(struct bufferevent *bev, void *arg)
{
    struct evbuffer *in = bufferevent_get_input(bev);

    while (link.bev == bev) {
        size_t len = evbuffer_get_length(in), used;
        const uint8_t *data = evbuffer_pullup(in, -1);
        frame_t *f;
        int rc = len > 0 ? frame_read(data, len, &f, &used) : 0;

        if (rc == 0)
            return;
        if (rc < 0) {
            disconnect();
            return;
        }
        evbuffer_drain(in, used);
        on_frame(f);
    }
}

static void on_end(struct bufferevent *bev, short what, void *arg)
{
    disconnect();
}

static int connect_inside(void)
{
    int fd = server_connect(ROLE_VIEW, "observer");

    if (fd < 0)
        return fd;
    link.bev = bufferevent_socket_new(link.base, fd, BEV_OPT_CLOSE_ON_FREE);
    bufferevent_setcb(link.bev, on_bytes, NULL, on_end, NULL);
    bufferevent_enable(link.bev, EV_READ | EV_WRITE);
    return 0;
}

int ask_start(struct event_base *base)
{
    link.base = base;
    link.tail = &link.open;
    return connect_inside();
}

void ask_stop(void)
{
    while (link.open != NULL) {
        struct question *q = link.open;

        link.open = q->next;
        question_free(q);
    }
    link.tail = &link.open;
    disconnect();
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

void ask(const char *command, const char *arg0, const char *const *options, uint32_t limit,
         ask_fn *fn, void *arg)
{
    struct question *q = MEM_NEW(struct question);

    q->id = ++link.next_id;
    q->answer.form = FORM_JSON;
    q->answer.command = command;
    q->answer.node = node_api.name;
    q->fn = fn;
    q->arg = arg;
    write_request(q, command, arg0, options, limit);
    *link.tail = q;
    link.tail = &q->next;
    if (link.bev == NULL && connect_inside() < 0)
        all_fail();
    else
        send_waiting();
}
