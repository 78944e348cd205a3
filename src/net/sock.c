/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sock.c - TCP sockets
 */
#include "net/sock.h"

#include "base/errors.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

static void set_options(int fd)
{
    int one = 1, unsent = SOCK_UNSENT_BYTES;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof unsent);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
}

static int failed(int fd)
{
    int saved = errno;

    if (fd >= 0)
        close(fd);
    errno = saved;
    return -ERR_SYSTEM;
}

int sock_listen(const struct net_addr *a, struct net_addr *ret_addr)
{
    struct sockaddr_storage ss;
    socklen_t len = net_addr_to_sock(a, &ss);
    int fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1, zero = 0;

    if (fd < 0)
        return failed(fd);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (ss.ss_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof zero);
    if (bind(fd, (struct sockaddr *)&ss, len) < 0 || listen(fd, 512) < 0)
        return failed(fd);
    len = sizeof ss;
    if (ret_addr != NULL) {
        if (getsockname(fd, (struct sockaddr *)&ss, &len) < 0 ||
            !net_addr_from_sock((struct sockaddr *)&ss, ret_addr))
            return failed(fd);
    }
    return fd;
}

int sock_connect(const struct net_addr *a)
{
    struct sockaddr_storage ss;
    socklen_t len = net_addr_to_sock(a, &ss);
    int fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return failed(fd);
    set_options(fd);
    if (connect(fd, (struct sockaddr *)&ss, len) < 0 && errno != EINPROGRESS)
        return failed(fd);
    return fd;
}

int sock_error(int fd)
{
    int err = 0;
    socklen_t len = sizeof err;

    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0 ? errno : err;
}

int sock_accept(int fd, struct net_addr *ret_from)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof ss;
    int c = accept4(fd, (struct sockaddr *)&ss, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (c < 0)
        return -1;
    if (!net_addr_from_sock((struct sockaddr *)&ss, ret_from)) {
        close(c);
        return -1;
    }
    set_options(c);
    return c;
}

void sock_user_timeout(int fd, unsigned ms)
{
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof ms);
}

void sock_close_hard(int fd)
{
    struct linger l = { 1, 0 };

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof l);
    close(fd);
}
