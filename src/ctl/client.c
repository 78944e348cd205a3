/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.c - connecting, sending and waiting
 */
#include "ctl/client.h"

#include "ctl/contexts.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/errors.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define SYSTEM_SOCKET "/run/rnode/control.sock"

/* --- where -------------------------------------------------------------------------- */

char *dev_folder(const char *name)
{
    const char *run = getenv("XDG_RUNTIME_DIR");
    struct stat st;

    if (run != NULL && run[0] == '/' && stat(run, &st) == 0 && S_ISDIR(st.st_mode) &&
        st.st_uid == geteuid())
        return mem_printf("%s/rnode-%s", run, name);
    return mem_printf("/tmp/rnode-%u-%s", geteuid(), name);
}

static bool is_our_socket(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISSOCK(st.st_mode) && st.st_uid == geteuid();
}

/* The socket of a --dev node of this user: the one called dev, else the first by name. */
static char *dev_socket(void)
{
    char *base = dev_folder(""), *dir = mem_strdup(base), *slash = strrchr(dir, '/');
    char *found = NULL, *path;
    struct dirent **list;
    int n;

    *slash = 0;
    path = mem_printf("%sdev/control.sock", base);
    if (is_our_socket(path)) {
        mem_free(base);
        mem_free(dir);
        return path;
    }
    mem_free(path);
    n = scandir(dir, &list, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        path = mem_printf("%s/%s/control.sock", dir, list[i]->d_name);
        if (found == NULL && strncmp(list[i]->d_name, slash + 1, strlen(slash + 1)) == 0 &&
            is_our_socket(path))
            found = path;
        else
            mem_free(path);
        free(list[i]);
    }
    if (n >= 0)
        free(list);
    mem_free(base);
    mem_free(dir);
    return found;
}

char *client_socket_path(const char *context)
{
    char *dir, *path;

    if (context == NULL || *context == 0)
        context = getenv("RNODE_CONTEXT");
    if (context == NULL || *context == 0) {
        path = contexts_socket(NULL);
        if (path == NULL)
            path = dev_socket();
        return path != NULL ? path : mem_strdup(SYSTEM_SOCKET);
    }
    if (strchr(context, '/') != NULL)
        return mem_strdup(context);
    path = contexts_socket(context);
    if (path != NULL)
        return path;
    dir = dev_folder(context);
    path = mem_printf("%s/control.sock", dir);
    mem_free(dir);
    return path;
}

/* --- the connection ----------------------------------------------------------------- */

int client_open(struct client *c, const char *path)
{
    struct sockaddr_un sa = { .sun_family = AF_UNIX };

    *c = (struct client){ .fd = -1 };
    if (strlen(path) >= sizeof sa.sun_path)
        return -ERR_SYSTEM;
    strcpy(sa.sun_path, path);
    c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        return -ERR_SYSTEM;
    if (connect(c->fd, (struct sockaddr *)&sa, sizeof sa) == 0)
        return 0;
    client_close(c);
    return errno == EACCES || errno == EPERM ? -ERR_PERMISSION
           : errno == ENOENT || errno == ECONNREFUSED || errno == ENOTDIR ? -ERR_CLOSED
                                                                        : -ERR_SYSTEM;
}

void client_close(struct client *c)
{
    int saved = errno;

    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    buf_fini(&c->in);
    frame_free(c->hello);
    c->hello = NULL;
    errno = saved;
}

static int send_frame(struct client *c, frame_t *f)
{
    struct buf out = { 0 };
    int rc = frame_write(&out, f);
    size_t at = 0;

    while (rc == 0 && at < out.len) {
        ssize_t n = send(c->fd, out.data + at, out.len - at, MSG_NOSIGNAL);

        if (n >= 0)
            at += (size_t)n;
        else if (errno != EINTR)
            rc = -ERR_CLOSED;
    }
    buf_fini(&out);
    return rc;
}

int client_request(struct client *c, request_t *rq, uint32_t *ret_id)
{
    frame_t f = RNODE__CONTROL__CONTROL__INIT;

    f.id = *ret_id = ++c->next_id;
    rq->credit = CLIENT_CREDIT;
    c->taken = 0;
    f.body_case = RNODE__CONTROL__CONTROL__BODY_REQUEST;
    f.request = rq;
    return send_frame(c, &f);
}

int client_file(struct client *c, uint32_t id, const char *name, const void *data, size_t len)
{
    size_t at = 0;
    int rc;

    do {
        frame_t f = RNODE__CONTROL__CONTROL__INIT;
        chunk_t ch = RNODE__CONTROL__CHUNK__INIT;
        size_t n = len - at < FRAME_CHUNK_BYTES ? len - at : FRAME_CHUNK_BYTES;

        ch.stream = RNODE__CONTROL__CHUNK__STREAM__FILE;
        ch.name = (char *)(uintptr_t)name;
        ch.data.data = (uint8_t *)(uintptr_t)data + at;
        ch.data.len = n;
        ch.last = at + n == len;
        f.id = id;
        f.body_case = RNODE__CONTROL__CONTROL__BODY_CHUNK;
        f.chunk = &ch;
        rc = send_frame(c, &f);
        at += n;
    } while (rc == 0 && at < len);
    return rc;
}

int client_cancel(struct client *c, uint32_t id)
{
    frame_t f = RNODE__CONTROL__CONTROL__INIT;
    Rnode__Control__Cancel cancel = RNODE__CONTROL__CANCEL__INIT;

    f.id = id;
    f.body_case = RNODE__CONTROL__CONTROL__BODY_CANCEL;
    f.cancel = &cancel;
    return send_frame(c, &f);
}

/* Give credit back when half of it is used, so that the node hardly ever waits for us. */
static int give_credit(struct client *c, uint32_t id)
{
    frame_t f = RNODE__CONTROL__CONTROL__INIT;
    Rnode__Control__Credit credit = RNODE__CONTROL__CREDIT__INIT;

    if (++c->taken < CLIENT_CREDIT / 2)
        return 0;
    credit.frames = c->taken;
    c->taken = 0;
    f.id = id;
    f.body_case = RNODE__CONTROL__CONTROL__BODY_CREDIT;
    f.credit = &credit;
    return send_frame(c, &f);
}

/* Wait for bytes until the deadline (monotonic ns; 0: none). */
static int fill(struct client *c, int64_t deadline)
{
    struct pollfd p = { .fd = c->fd, .events = POLLIN };
    int64_t left = deadline != 0 ? (deadline - clock_monotonic_ns()) / 1000000 + 1 : -1;
    int wait = deadline == 0 ? -1 : left < 0 ? 0 : left > INT32_MAX ? INT32_MAX : (int)left;
    int n = poll(&p, 1, wait);
    uint8_t *room;
    ssize_t got;

    if (n == 0)
        return -ERR_TIMEOUT;
    if (n < 0)
        return errno == EINTR ? -ERR_BUSY : -ERR_SYSTEM;
    room = buf_room(&c->in, 65536);
    got = recv(c->fd, room, 65536, 0);
    c->in.len -= 65536 - (got > 0 ? (size_t)got : 0);
    if (got < 0)
        return errno == EINTR ? -ERR_BUSY : -ERR_CLOSED;
    return got == 0 ? -ERR_CLOSED : 0;
}

/* The next frame of whatever kind. */
static int next_frame(struct client *c, int64_t deadline, frame_t **ret)
{
    for (;;) {
        size_t used;
        int rc = frame_read(c->in.data, c->in.len, ret, &used);

        if (rc < 0)
            return -ERR_PROTOCOL;
        if (rc > 0) {
            memmove(c->in.data, c->in.data + used, c->in.len - used);
            c->in.len -= used;
            return 0;
        }
        rc = fill(c, deadline);
        if (rc < 0)
            return rc;
    }
}

static void take_hello(struct client *c, frame_t *f)
{
    frame_free(c->hello);
    c->hello = f;
    c->hellos++;
}

int client_tunnel_ask(struct client *c, const char *node, uint32_t *ret_id)
{
    request_t rq = RNODE__CONTROL__REQUEST__INIT;
    char *args[] = { (char *)(uintptr_t)node };

    rq.command = (char *)(uintptr_t)"tunnel";
    rq.args = args;
    rq.n_args = 1;
    return client_request(c, &rq, ret_id);
}

int client_tunnel(struct client *c, const char *node, int64_t timeout_ms, frame_t **ret_refused)
{
    int64_t deadline = clock_monotonic_ns() + timeout_ms * 1000000;
    uint32_t id;
    int rc = client_tunnel_ask(c, node, &id);

    while (rc == 0 && c->hellos < 2) {      /* the near node's, then the far node's */
        frame_t *f;

        rc = next_frame(c, deadline, &f);
        if (rc < 0)
            break;
        if (f->body_case == RNODE__CONTROL__CONTROL__BODY_HELLO) {
            take_hello(c, f);
        } else if (f->body_case == RNODE__CONTROL__CONTROL__BODY_DONE) {
            *ret_refused = f;
            rc = -ERR_NOT_FOUND;
        } else {
            frame_free(f);
        }
    }
    return rc;
}

void client_wait_hello(struct client *c, int64_t timeout_ms)
{
    int64_t deadline = clock_monotonic_ns() + timeout_ms * 1000000;
    frame_t *f;

    while (c->hello == NULL && next_frame(c, deadline, &f) == 0) {
        if (f->body_case == RNODE__CONTROL__CONTROL__BODY_HELLO)
            c->hello = f;
        else
            frame_free(f);
    }
}

int client_next(struct client *c, uint32_t id, int64_t timeout_ms, frame_t **ret)
{
    int64_t deadline = timeout_ms < 0 ? 0 : clock_monotonic_ns() + timeout_ms * 1000000;

    for (;;) {
        size_t used;
        frame_t *f;
        int rc = frame_read(c->in.data, c->in.len, &f, &used);

        if (rc < 0)
            return -ERR_PROTOCOL;
        if (rc == 0) {
            rc = fill(c, deadline);
            if (rc < 0)
                return rc;
            continue;
        }
        memmove(c->in.data, c->in.data + used, c->in.len - used);
        c->in.len -= used;
        if (f->body_case == RNODE__CONTROL__CONTROL__BODY_HELLO) {
            take_hello(c, f);
            continue;
        }
        if (f->id != id && !(f->id == 0 && f->body_case == RNODE__CONTROL__CONTROL__BODY_DONE)) {
            frame_free(f); /* of a request that was given up */
            continue;
        }
        if ((f->body_case == RNODE__CONTROL__CONTROL__BODY_ROW ||
             f->body_case == RNODE__CONTROL__CONTROL__BODY_CHUNK) && give_credit(c, id) < 0) {
            frame_free(f);
            return -ERR_CLOSED;
        }
        *ret = f;
        return 0;
    }
}
