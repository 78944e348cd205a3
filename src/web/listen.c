/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listen.c - sockets by the text of their address
 *
 * A socket is opened on the control thread, so that a reload can be refused before anything has changed,
 * and given to evhttp, or taken from it, on the HTTP thread.
 *
 * Invariants:
 *   L1  `list` has the addresses of the configuration in force, in its order; `next` those of one that is
 *       being taken over, and is empty otherwise.
 *   L2  A listener's bound is touched by the HTTP thread alone, or while none runs.
 */
#include "web/listen.h"

#include "base/alloc.h"
#include "base/errors.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct listener {
    struct listener *next;
    char *text;                         /* as it stands in the configuration */
    char *url;                          /* of a loopback address, else NULL */
    int fd;                             /* -1: evhttp has it */
    struct evhttp_bound_socket *bound;  /* L2 */
};

static struct {
    pthread_mutex_t lock;
    struct listener *list;              /* [lk] */
    struct listener *next;              /* control thread only */
} listening = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* --- addresses --------------------------------------------------------------------------- */

bool address_is_loopback(const struct sockaddr *sa)
{
    const struct sockaddr_in *in4 = (const void *)sa;
    const struct sockaddr_in6 *in6 = (const void *)sa;

    if (sa->sa_family == AF_INET)
        return ntohl(in4->sin_addr.s_addr) >> 24 == 127;
    return sa->sa_family == AF_INET6 &&
           (IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr) ||
            (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr) && in6->sin6_addr.s6_addr[12] == 127));
}

static char *url_of(int fd)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof ss;
    const struct sockaddr_in *in4 = (const void *)&ss;
    const struct sockaddr_in6 *in6 = (const void *)&ss;

    if (getsockname(fd, (struct sockaddr *)&ss, &len) < 0 || !address_is_loopback((struct sockaddr *)&ss))
        return NULL;
    if (ss.ss_family == AF_INET)
        return mem_printf("http://127.0.0.1:%u/", ntohs(in4->sin_port));
    return mem_printf("http://[::1]:%u/", ntohs(in6->sin6_port));
}

/* "127.0.0.1:7466" or "[::1]:7466" in its two parts. */
static bool split_address(const char *text, char *host, size_t cap, uint16_t *ret_port)
{
    const char *colon = strrchr(text, ':');
    bool brackets = text[0] == '[' && colon != NULL && colon[-1] == ']';
    char *end;
    long port;
    int n;

    if (colon == NULL || colon[1] < '0' || colon[1] > '9')
        return false;
    port = strtol(colon + 1, &end, 10);
    if (*end != 0 || port > 65535)
        return false;
    *ret_port = (uint16_t)port;
    n = snprintf(host, cap, "%.*s", (int)(colon - text) - 2 * brackets, text + brackets);
    return n > 0 && (size_t)n < cap && brackets == (strchr(host, ':') != NULL);
}

static bool parse_address(const char *text, struct sockaddr_storage *ss, socklen_t *ret_len)
{
    struct sockaddr_in *in4 = (void *)ss;
    struct sockaddr_in6 *in6 = (void *)ss;
    char host[INET6_ADDRSTRLEN];
    uint16_t port;

    memset(ss, 0, sizeof *ss);
    if (!split_address(text, host, sizeof host, &port))
        return false;
    if (inet_pton(AF_INET, host, &in4->sin_addr) == 1) {
        in4->sin_family = AF_INET;
        in4->sin_port = htons(port);
        *ret_len = sizeof *in4;
        return true;
    }
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(port);
    *ret_len = sizeof *in6;
    return inet_pton(AF_INET6, host, &in6->sin6_addr) == 1;
}

/* -1 with errno. */
static int open_socket(const struct sockaddr_storage *ss, socklen_t len)
{
    int fd = socket(ss->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1, saved;

    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        bind(fd, (const struct sockaddr *)ss, len) == 0 && listen(fd, 128) == 0)
        return fd;
    saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

/* --- lists ------------------------------------------------------------------------------- */

static void listener_free(struct listener *l)
{
    if (l->fd >= 0)
        close(l->fd);
    mem_free(l->text);
    mem_free(l->url);
    mem_free(l);
}

static struct listener *find(struct listener *list, const char *text)
{
    for (; list != NULL; list = list->next) {
        if (strcmp(list->text, text) == 0)
            return list;
    }
    return NULL;
}

static void drop_next(void)
{
    while (listening.next != NULL) {
        struct listener *l = listening.next;

        listening.next = l->next;
        listener_free(l);
    }
}

/* A listener for text at the end of `next`: an empty one if that is open already. */
static int add_next(const char *text, struct buf *complaint)
{
    struct listener *l = MEM_NEW(struct listener), **at = &listening.next;
    struct sockaddr_storage ss;
    socklen_t len;

    while (*at != NULL)
        at = &(*at)->next;
    *at = l;
    l->text = mem_strdup(text);
    l->fd = -1;
    if (find(listening.list, text) != NULL)
        return 0;
    if (!parse_address(text, &ss, &len)) {
        buf_printf(complaint, "listen.http: \"%s\" is not ADDRESS:PORT, such as 127.0.0.1:7466", text);
        return -ERR_ARGUMENT;
    }
    l->fd = open_socket(&ss, len);
    if (l->fd < 0) {
        buf_printf(complaint, "listen.http: cannot listen at %s: %s", text, strerror(errno));
        return -ERR_SYSTEM;
    }
    l->url = url_of(l->fd);
    return 0;
}

int listen_prepare(const char *const *texts, struct buf *complaint)
{
    int rc = 0;

    drop_next();
    for (size_t i = 0; texts[i] != NULL && rc == 0; i++) {
        if (find(listening.next, texts[i]) == NULL)
            rc = add_next(texts[i], complaint);
    }
    if (rc < 0)
        drop_next();
    return rc;
}

/* --- on the HTTP thread -------------------------------------------------------------------- */

struct change { struct evhttp *http; struct listener *listener; };

static void on_open(evutil_socket_t fd, short what, void *arg)
{
    struct change *c = arg;

    c->listener->bound = evhttp_accept_socket_with_handle(c->http, c->listener->fd);
    if (c->listener->bound != NULL)
        c->listener->fd = -1;           /* evhttp closes it */
    mem_free(c);
}

static void on_close(evutil_socket_t fd, short what, void *arg)
{
    struct change *c = arg;

    if (c->listener->bound != NULL)
        evhttp_del_accept_socket(c->http, c->listener->bound);
    listener_free(c->listener);
    mem_free(c);
}

static void on_http_thread(struct event_base *base, struct evhttp *http, struct listener *l,
                           event_callback_fn fn)
{
    struct change *c = MEM_NEW(struct change);

    *c = (struct change){ http, l };
    if (base == NULL)
        fn(-1, 0, c);
    else
        event_base_once(base, -1, EV_TIMEOUT, fn, c, &(struct timeval){ 0 });
}

/* Take the one with this text out of list. */
static struct listener *take(struct listener **list, const char *text)
{
    for (; *list != NULL; list = &(*list)->next) {
        struct listener *l = *list;

        if (strcmp(l->text, text) == 0) {
            *list = l->next;
            return l;
        }
    }
    return NULL;
}

void listen_apply(struct event_base *base, struct evhttp *http)
{
    struct listener *old, *kept, *fresh = NULL, **tail = &fresh;

    pthread_mutex_lock(&listening.lock);
    while (listening.next != NULL) {
        struct listener *l = listening.next;

        listening.next = l->next;
        kept = take(&listening.list, l->text);
        if (kept != NULL) {
            listener_free(l);
            l = kept;
        } else {
            on_http_thread(base, http, l, on_open);
        }
        l->next = NULL;
        *tail = l;
        tail = &l->next;
    }
    old = listening.list;
    listening.list = fresh;
    pthread_mutex_unlock(&listening.lock);
    while (old != NULL) {
        struct listener *l = old;

        old = l->next;
        on_http_thread(base, http, l, on_close);
    }
}

void listen_forget(void)
{
    drop_next();
    pthread_mutex_lock(&listening.lock);
    while (listening.list != NULL) {
        struct listener *l = listening.list;

        listening.list = l->next;
        listener_free(l);
    }
    pthread_mutex_unlock(&listening.lock);
}

char *listen_address(void)
{
    char *url = NULL;

    pthread_mutex_lock(&listening.lock);
    for (struct listener *l = listening.list; l != NULL && url == NULL; l = l->next) {
        if (l->url != NULL)
            url = mem_strdup(l->url);
    }
    pthread_mutex_unlock(&listening.lock);
    return url;
}
