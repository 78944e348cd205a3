/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ports.c - the sockets and files that the node has open: rnodectl ports, and inspect of one
 *
 * Read from the system, so nothing that is open is forgotten. Worker thread.
 */
#include "ctl/inspect_priv.h"

#include "base/alloc.h"
#include "base/units.h"
#include "bif/port_view.h"
#include "ctl/handlers.h"
#include "ctl/node_api.h"
#include "term/print.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static const struct column columns[] = {
    { "fd", COL_COUNT_, false }, { "kind", COL_TEXT, false }, { "local", COL_TEXT, false },
    { "peer", COL_TEXT, false }, { "state", COL_TEXT, false },
};

struct port { int fd; const char *kind, *state; char local[256], peer[256]; };

static void print_address(const struct sockaddr *sa, socklen_t len, char out[256])
{
    char host[128], service[32];

    out[0] = 0;
    if (sa->sa_family == AF_UNIX) {
        const struct sockaddr_un *un = (const struct sockaddr_un *)(const void *)sa;

        if (len > offsetof(struct sockaddr_un, sun_path) && un->sun_path[0] != 0)
            snprintf(out, 256, "%.*s", (int)(len - offsetof(struct sockaddr_un, sun_path)),
                     un->sun_path);
    } else if (getnameinfo(sa, len, host, sizeof host, service, sizeof service,
                           NI_NUMERICHOST | NI_NUMERICSERV) == 0) {
        snprintf(out, 256, strchr(host, ':') != NULL ? "[%s]:%s" : "%s:%s", host, service);
    }
}

static void fill_socket(struct port *p)
{
    struct sockaddr_storage sa;
    struct sockaddr *at = (struct sockaddr *)(void *)&sa;
    socklen_t len = sizeof sa, n = sizeof(int);
    int type = 0, listens = 0;

    p->kind = "socket";
    if (getsockname(p->fd, at, &len) < 0)
        return;
    print_address(at, len, p->local);
    getsockopt(p->fd, SOL_SOCKET, SO_TYPE, &type, &n);
    n = sizeof listens;
    getsockopt(p->fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &n);
    if (sa.ss_family == AF_UNIX)
        p->kind = "unix";
    else if (sa.ss_family == AF_INET || sa.ss_family == AF_INET6)
        p->kind = type == SOCK_STREAM ? "tcp" : "udp";
    p->state = listens ? "listens" : type == SOCK_DGRAM ? "open" : "closed";
    len = sizeof sa;
    if (!listens && getpeername(p->fd, at, &len) == 0) {
        print_address(at, len, p->peer);
        p->state = "connected";
    }
}

/* A pipe to or from a program that a process has opened. */
static void fill_program(struct port *p)
{
    struct port_view v;
    struct buf local = { 0 };

    if (!port_of_fd(p->fd, &v))
        return;
    p->kind = "program";
    term_print(&local, v.port, 0, 64);
    buf_str(&local, " of ");
    term_print(&local, v.owner, 0, 64);
    snprintf(p->local, sizeof p->local, "%s", buf_cstr(&local));
    snprintf(p->peer, sizeof p->peer, v.child != 0 ? "%s, process %d" : "%s", v.name, (int)v.child);
    buf_fini(&local);
}

/* False: nothing that people call a port, such as an event loop's own descriptor. */
static bool fill_port(struct port *p)
{
    char path[64], target[256];
    ssize_t n;

    snprintf(path, sizeof path, "/proc/self/fd/%d", p->fd);
    n = readlink(path, target, sizeof target - 1);
    if (n < 0)
        return false;
    target[n] = 0;
    p->state = "open";
    if (strncmp(target, "socket:", 7) == 0) {
        fill_socket(p);
        return true;
    }
    if (target[0] != '/' && strncmp(target, "pipe:", 5) != 0)
        return false;
    p->kind = target[0] != '/' ? "pipe" : strncmp(target, "/dev/", 5) == 0 ? "device" : "file";
    snprintf(p->local, sizeof p->local, "%s", target);
    if (target[0] != '/')
        fill_program(p);
    return true;
}

static int by_number(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

/* The numbers of the open descriptors; mem_free(*ret). */
static size_t open_numbers(int **ret)
{
    DIR *dir = opendir("/proc/self/fd");
    struct dirent *e;
    size_t n = 0, cap = 64;
    int *at = MEM_NEW_ARRAY(int, cap);

    while (dir != NULL && (e = readdir(dir)) != NULL) {
        if (e->d_name[0] == '.' || atoi(e->d_name) == dirfd(dir))
            continue;
        if (n == cap)
            at = mem_realloc(at, (cap *= 2) * sizeof at[0]);
        at[n++] = atoi(e->d_name);
    }
    if (dir != NULL)
        closedir(dir);
    qsort(at, n, sizeof at[0], by_number);
    *ret = at;
    return n;
}

void ctl_ports(struct request *rq)
{
    size_t limit = rq->msg->limit, shown = 0, total = 0, n;
    int *numbers;

    n = open_numbers(&numbers);
    reply_head(rq, "rnode.ports/1", columns, ARRAY_LEN(columns), false);
    for (size_t i = 0; i < n; i++) {
        struct port p = { .fd = numbers[i] };

        if (!fill_port(&p))
            continue;
        total++;
        if (limit != 0 && shown >= limit)
            continue;
        reply_row(rq, (struct cell[]){ CELL_NUMBER(p.fd), CELL_TEXT(p.kind), CELL_TEXT(p.local),
                                       CELL_TEXT(p.peer), CELL_TEXT(p.state) },
                  ARRAY_LEN(columns));
        shown++;
    }
    mem_free(numbers);
    if (shown < total)
        reply_done(rq, total - shown, total, "%zu of %zu ports · all: -l 0", shown, total);
    else
        reply_done(rq, 0, total, "%s", "");
}

/* --- one port ------------------------------------------------------------------------------------ */

static const struct column port_columns[] = {
    { "port", COL_TEXT, false }, { "kind", COL_TEXT, false }, { "local", COL_TEXT, false },
    { "peer", COL_TEXT, false }, { "state", COL_TEXT, false }, { "used_for", COL_TEXT, false },
    { "unread", COL_BYTES, false }, { "unsent", COL_BYTES, false }, { "detail", COL_TEXT, false },
};

/* The local address of p is what; or it is a program's, "#Port<0.5> of <0.9.0>", and begins with it. */
static bool is_at(const struct port *p, const char *what)
{
    size_t n = strlen(what);

    return strcmp(p->local, what) == 0 ||
           (strncmp(p->local, what, n) == 0 && strncmp(p->local + n, " of ", 4) == 0);
}

/* By the number of a descriptor, or by what is_at knows. */
static bool find_port(const char *what, struct port *ret)
{
    char *end;
    long number = strtol(what, &end, 10);
    bool is_number = end != what && *end == 0, found = false;
    int *numbers;
    size_t n = open_numbers(&numbers);

    for (size_t i = 0; i < n && !found; i++) {
        *ret = (struct port){ .fd = numbers[i] };
        found = (!is_number || numbers[i] == number) && fill_port(ret) &&
                (is_number || is_at(ret, what));
    }
    mem_free(numbers);
    return found;
}

static const char *used_for(const struct port *p)
{
    size_t n = strlen(node_api.data_dir);

    if (strcmp(p->local, node_api.socket) == 0)
        return strcmp(p->state, "listens") == 0 ? "control socket" : "a client of the control socket";
    if (strncmp(p->local, node_api.data_dir, n) == 0 && strncmp(p->local + n, "/store/", 7) == 0)
        return "the store";
    if (p->fd <= 2)
        return (const char *[]){ "standard input", "standard output", "standard error" }[p->fd];
    return "";
}

static bool is_tcp(const struct port *p)
{
    return strcmp(p->kind, "tcp") == 0 && strcmp(p->state, "connected") == 0;
}

static void add_tcp(struct buf *out, int fd)
{
    struct tcp_info info;
    socklen_t len = sizeof info;
    char text[UNIT_TEXT_MAX];

    memset(&info, 0, sizeof info);
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
        return;
    buf_printf(out, "round trip %s", age_text((int64_t)info.tcpi_rtt * 1000, text));
    buf_printf(out, " · last data in %s ago",
               age_text((int64_t)info.tcpi_last_data_recv * 1000000, text));
    if (info.tcpi_total_retrans > 0)
        buf_printf(out, " · %u segments sent again", info.tcpi_total_retrans);
}

static void add_backlog(struct buf *out, int fd)
{
    struct tcp_info info;
    socklen_t len = sizeof info;

    memset(&info, 0, sizeof info);
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0)
        buf_printf(out, "%u of %u connections wait to be accepted", info.tcpi_unacked,
                   info.tcpi_sacked);
}

static void add_file(struct buf *out, int fd)
{
    off_t at = lseek(fd, 0, SEEK_CUR);
    char text[UNIT_TEXT_MAX];
    struct stat st;

    if (fstat(fd, &st) == 0)
        buf_printf(out, "%s", size_text((uint64_t)st.st_size, text));
    if (at >= 0)
        buf_printf(out, ", at byte %lld", (long long)at);
}

bool inspect_port(struct request *rq, const char *what)
{
    struct port p;
    struct buf detail = { 0 };
    int unread = 0, unsent = 0;
    char name[32];

    if (!find_port(what, &p))
        return false;
    if (is_tcp(&p))
        add_tcp(&detail, p.fd);
    else if (strcmp(p.kind, "tcp") == 0)
        add_backlog(&detail, p.fd);
    else if (strcmp(p.kind, "file") == 0)
        add_file(&detail, p.fd);
    if (strcmp(p.kind, "file") != 0 && ioctl(p.fd, FIONREAD, &unread) < 0)
        unread = 0;
    if (is_tcp(&p) && ioctl(p.fd, TIOCOUTQ, &unsent) < 0)
        unsent = 0;
    snprintf(name, sizeof name, "%d", p.fd);
    reply_head(rq, "rnode.port/1", port_columns, ARRAY_LEN(port_columns), true);
    reply_row(rq, (struct cell[]){ CELL_TEXT(name), CELL_TEXT(p.kind), CELL_TEXT(p.local),
                                   CELL_TEXT(p.peer), CELL_TEXT(p.state), CELL_TEXT(used_for(&p)),
                                   CELL_NUMBER(unread), CELL_NUMBER(unsent),
                                   CELL_TEXT(buf_cstr(&detail)) }, ARRAY_LEN(port_columns));
    reply_done(rq, 0, 0, "%s", "");
    buf_fini(&detail);
    return true;
}
