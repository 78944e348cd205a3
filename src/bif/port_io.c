/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port_io.c - what a port reads and writes, in pieces of the program's choice, packets or lines
 */
#include "bif/port.h"
#include "bif/port_view.h"
#include "base/alloc.h"
#include "base/metric.h"
#include "heap/iolist.h"
#include "vm/process_priv.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define READ_BYTES 65536    /* at most at one time; others have their turn then */

/* --- the state ---------------------------------------------------------------------------------------- */

static pthread_mutex_t ports_lock = PTHREAD_MUTEX_INITIALIZER;
static struct port *ports;              /* [lk ports_lock] */

static void close_end(int *fd)
{
    pthread_mutex_lock(&ports_lock);
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
    pthread_mutex_unlock(&ports_lock);
}

void port_enlist(struct port *port, term id)
{
    pthread_mutex_lock(&ports_lock);
    port->id = id;
    port->next = ports;
    ports = port;
    pthread_mutex_unlock(&ports_lock);
}

term port_ids(struct heap *h)
{
    term list = TERM_NIL;

    pthread_mutex_lock(&ports_lock);
    for (const struct port *port = ports; port != NULL; port = port->next) {
        struct process *p = process_lookup(port->id);

        if (p != NULL && atomic_load(&p->state) != PROC_EXITING)
            list = heap_cons(h, port->id, list);
    }
    pthread_mutex_unlock(&ports_lock);
    return list;
}

void port_set_owner(struct port *port, term owner)
{
    pthread_mutex_lock(&ports_lock);
    port->owner = owner;
    pthread_mutex_unlock(&ports_lock);
}

bool port_of_fd(int fd, struct port_view *ret)
{
    const struct port *port;

    pthread_mutex_lock(&ports_lock);
    for (port = ports; port != NULL && port->in != fd && port->out != fd; port = port->next) {
    }
    if (port != NULL) {
        *ret = (struct port_view){ .port = port->id, .owner = port->owner, .child = port->child };
        snprintf(ret->name, sizeof ret->name, "%s", port->name != NULL ? port->name : "");
    }
    pthread_mutex_unlock(&ports_lock);
    return port != NULL;
}

static void list_remove(struct port *port)
{
    pthread_mutex_lock(&ports_lock);
    for (struct port **at = &ports; *at != NULL; at = &(*at)->next)
        if (*at == port) {
            *at = port->next;
            break;
        }
    pthread_mutex_unlock(&ports_lock);
}

/* Who wait for room in the queue go on. */
static void answer_waiters(struct port *port, term answer)
{
    for (size_t i = 0; i < port->waiters_n; i++) {
        struct process *q = process_lookup(port->waiters[i].pid);

        if (q != NULL)
            signal_send(q, sig_new(SIG_REPLY, TERM_NONE, port->waiters[i].ref, answer));
    }
    port->waiters_n = 0;
}

static void port_dtor(struct blob *b)
{
    struct port *port = port_of_blob(b);

    list_remove(port);
    close_end(&port->in);
    close_end(&port->out);
    if (port->child_fd >= 0)
        port_poll_orphan(port->child_fd);
    if (sched_self != NULL)     /* else the node ends */
        answer_waiters(port, ATOM_undefined);
    buf_fini(&port->rest);
    buf_fini(&port->queue);
    mem_free(port->name);
    mem_free(port->waiters);
}

struct blob *port_new(void)
{
    struct blob *b = blob_new(sizeof(struct port));
    struct port *port = port_of_blob(b);

    signal(SIGPIPE, SIG_IGN);       /* a program that reads no more ends its port, not the node */
    *port = (struct port){ .id = TERM_NONE, .owner = TERM_NONE, .in = -1, .out = -1, .child_fd = -1 };
    b->dtor = port_dtor;
    return b;
}

/* --- reading ------------------------------------------------------------------------------------------ */

static void tell_owner(struct process *p, term what)
{
    process_send(p, port_of_process(p)->owner, heap_tuple2(&p->heap, p->pid, what));
}

static term bytes_term(struct process *p, const uint8_t *data, size_t len)
{
    return port_of_process(p)->binary ? heap_binary(&p->heap, data, len)
                                      : heap_latin1(&p->heap, (const char *)data, len);
}

static void tell_data(struct process *p, const uint8_t *data, size_t len)
{
    tell_owner(p, heap_tuple2(&p->heap, ATOM_data, bytes_term(p, data, len)));
}

static void tell_frame(struct process *p, const struct port_frame *f)
{
    term line;

    if (port_of_process(p)->framing.packet != 0) {
        tell_data(p, f->data, f->len);
        return;
    }
    line = heap_tuple2(&p->heap, f->ended ? ATOM_eol : ATOM_noeol, bytes_term(p, f->data, f->len));
    tell_owner(p, heap_tuple2(&p->heap, ATOM_data, line));
}

/* False: a packet that is too long. */
static bool take_in(struct process *p, const uint8_t *data, size_t len)
{
    struct port *port = port_of_process(p);
    struct buf *rest = &port->rest;
    enum port_found found;
    struct port_frame f;
    size_t at = 0;

    port->bytes_in += len;
    metric_add(M_port_in, len);
    charge(p, (int64_t)(len / 512) + 1);
    if (!port->framed) {
        tell_data(p, data, len);
        return true;
    }
    buf_add(rest, data, len);
    while ((found = port_frame_next(&port->framing, rest->data + at, rest->len - at, &f)) == PORT_FOUND) {
        tell_frame(p, &f);
        at += f.used;
    }
    memmove(rest->data, rest->data + at, rest->len - at);
    rest->len -= at;
    return found == PORT_MORE;
}

/* Nothing more comes from the program: its status, if that is wanted, a last line without an end,
 * and the end, in OTP's order. */
static term finish(struct process *p)
{
    struct port *port = port_of_process(p);

    if (port->exit_status && port->child != 0)
        tell_owner(p, heap_tuple2(&p->heap, ATOM_exit_status, small_make(port->status)));
    if (port->framed && port->framing.packet == 0 && port->rest.len > 0)
        tell_frame(p, &(struct port_frame){ port->rest.data, port->rest.len, 0, false });
    port->rest.len = 0;
    if (!port->eof)
        return ATOM_normal;
    if (!port->eof_told)
        tell_owner(p, ATOM_eof);
    port->eof_told = true;
    return TERM_NONE;
}

/* The program writes no more. Its status comes first, if it is wanted. */
static term read_end(struct process *p)
{
    struct port *port = port_of_process(p);

    close_end(&port->in);
    port->in_ended = true;
    if (port->exit_status && port->child != 0 && !port->child_ended)
        return TERM_NONE;
    return finish(p);
}

term port_read(struct process *p)
{
    struct port *port = port_of_process(p);
    bool fits = true;
    uint8_t *data;
    ssize_t n;

    if (port->in < 0)
        return TERM_NONE;
    data = mem_alloc(READ_BYTES);
    n = read(port->in, data, READ_BYTES);
    if (n > 0)
        fits = take_in(p, data, (size_t)n);
    mem_free(data);
    if (!fits)
        return ATOM_emsgsize;
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        return read_end(p);
    port_poll(p->pid, port->in, PORT_READABLE);
    return TERM_NONE;
}

term port_child_ended(struct process *p)
{
    struct port *port = port_of_process(p);
    siginfo_t info = { 0 };

    if (port->child_fd < 0 || waitid(P_PIDFD, (id_t)port->child_fd, &info, WEXITED | WNOHANG) < 0 ||
        info.si_pid == 0)
        return TERM_NONE;
    close_end(&port->child_fd);
    port->child_ended = true;
    port->status = info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
    return port->exit_status && (port->in_ended || port->in < 0) ? finish(p) : TERM_NONE;
}

/* --- writing ------------------------------------------------------------------------------------------ */

bool port_write(struct port *port, term data, size_t bytes)
{
    struct buf *q = &port->queue;

    if (port->framing.packet != 0 && (uint64_t)bytes >> (8 * port->framing.packet) != 0)
        return false;
    if (port->out < 0)      /* nobody to read it */
        return true;
    if (port->queue_at > q->len / 2) {
        memmove(q->data, q->data + port->queue_at, q->len - port->queue_at);
        q->len -= port->queue_at;
        port->queue_at = 0;
    }
    if (port->framing.packet != 0)
        buf_be(q, bytes, port->framing.packet);
    iolist_write(data, buf_room(q, bytes));
    port->bytes_out += bytes;
    metric_add(M_port_out, bytes);
    return true;
}

term port_flush(struct process *p)
{
    struct port *port = port_of_process(p);
    struct buf *q = &port->queue;
    ssize_t n = 0;

    while (port->out >= 0 && port->queue_at < q->len && n >= 0) {
        n = write(port->out, q->data + port->queue_at, q->len - port->queue_at);
        if (n > 0)
            port->queue_at += (size_t)n;
        else if (n < 0 && errno == EINTR)
            n = 0;
    }
    if (n < 0 && errno != EAGAIN) {
        term why = errno == EPIPE ? ATOM_epipe : ATOM_eio;

        close_end(&port->out);
        return why;
    }
    if (port->queue_at == q->len)
        port->queue_at = q->len = 0;
    else
        port_poll(p->pid, port->out, PORT_WRITABLE);
    if (q->len - port->queue_at <= PORT_QUEUE_HIGH / 2)
        answer_waiters(port, ATOM_true);
    return TERM_NONE;
}
