/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tunnel.c - both ends of tunnels
 *
 *   T1  A tunnel is in the list from its start until its thread ends; only that thread frees it.
 *   T2  The I/O thread touches a tunnel under tunnels_lock alone: it queues bytes, or marks the end,
 *       and rings the bell.
 *
 * Identifiers: the opener numbers its tunnels; bit 0 tells which of the two nodes that is.
 */
#include "ctl/tunnel.h"

#include "auth/identity.h"
#include "auth/rights.h"
#include "base/alloc.h"
#include "base/errors.h"
#include "base/log.h"
#include "ctl/node_api.h"
#include "ctl/server.h"
#include "dist/peer.h"
#include "wire/unpack.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_BYTES   16384
#define ORDER_BASE   ((uint64_t)1 << 59 | 1u << 20)     /* of frames: no process has such a number */

struct tunnel {
    struct tunnel *next;        /* [lk tunnels_lock] */
    session_id session;
    uint64_t id;
    int fd, bell;
    struct buf queue;           /* [lk tunnels_lock] bytes for fd */
    bool over;                  /* [lk tunnels_lock] the other side has ended it */
    char first[96];             /* what the first frame says of the user: "role name" */
    bool opener;
};

static pthread_mutex_t tunnels_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t tunnels_gone = PTHREAD_COND_INITIALIZER;
static struct tunnel *tunnels;          /* [lk tunnels_lock] */
static uint64_t last_id;                /* [lk tunnels_lock] */
static _Atomic int remote_cap = ROLE_ADMIN;     /* [any] enum role */

/* --- frames ----------------------------------------------------------------------------------- */

/* False: the session is over. */
static bool send_tunnel(struct tunnel *t, const void *data, size_t len, bool end)
{
    Rn__Tunnel m = RN__TUNNEL__INIT;
    struct buf b = { 0 };
    enum peer_sent sent;

    m.id = t->id;
    m.data = BYTES_OF(data, len);
    m.end = end;
    m.user = BYTES_OF(t->first, strlen(t->first));
    wire_pack(&m.base, &b);
    t->first[0] = '\0';
    sent = peer_send(t->session, peer_frame_packed(KIND_tunnel, b.data, b.len), ORDER_BASE + t->id,
                     0, NULL);
    buf_fini(&b);
    if (sent == PEER_BUSY)
        usleep(5000);           /* this thread has nothing else to do */
    return sent == PEER_SENT || sent == PEER_BUSY;
}

/* --- the thread of a tunnel ------------------------------------------------------------------------ */

/* What is queued for the client into *out; false: the other side has ended. */
static bool take_queue(struct tunnel *t, struct buf *out)
{
    bool over;

    pthread_mutex_lock(&tunnels_lock);
    buf_add(out, t->queue.data, t->queue.len);
    t->queue.len = 0;
    over = t->over;
    pthread_mutex_unlock(&tunnels_lock);
    return !over;
}

/* Write what can be written; false: the client is gone. */
static bool write_out(int fd, struct buf *out)
{
    ssize_t n;

    if (out->len == 0)
        return true;
    n = send(fd, out->data, out->len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    memmove(out->data, out->data + n, out->len - (size_t)n);
    out->len -= (size_t)n;
    return true;
}

static bool read_in(struct tunnel *t)
{
    uint8_t data[READ_BYTES];
    ssize_t n = recv(t->fd, data, sizeof data, MSG_DONTWAIT);

    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    return n > 0 && send_tunnel(t, data, (size_t)n, false);
}

static void carry(struct tunnel *t)
{
    struct buf out = { 0 };
    bool near = true, far = true;
    uint64_t rung;

    while (near && (far || out.len > 0)) {
        struct pollfd p[2] = {
            { t->fd, (short)(POLLIN | (out.len > 0 ? POLLOUT : 0)), 0 }, { t->bell, POLLIN, 0 },
        };

        if (poll(p, 2, -1) < 0 && errno != EINTR)
            break;
        if ((p[1].revents & POLLIN) != 0 && read(t->bell, &rung, sizeof rung) > 0)
            far = take_queue(t, &out);
        if (far && (p[0].revents & (POLLIN | POLLHUP | POLLERR)) != 0)
            near = read_in(t);
        near = near && write_out(t->fd, &out);
    }
    if (far)
        (void)send_tunnel(t, NULL, 0, true);
    buf_fini(&out);
}

static void *tunnel_main(void *arg)
{
    struct tunnel *t = arg;

    if (!t->opener || send_tunnel(t, NULL, 0, false))
        carry(t);
    pthread_mutex_lock(&tunnels_lock);
    for (struct tunnel **at = &tunnels; *at != NULL; at = &(*at)->next) {
        if (*at == t) {
            *at = t->next;
            break;
        }
    }
    pthread_cond_broadcast(&tunnels_gone);
    pthread_mutex_unlock(&tunnels_lock);
    close(t->fd);
    close(t->bell);
    buf_fini(&t->queue);
    mem_free(t);
    return NULL;
}

/* --- making -------------------------------------------------------------------------------------------- */

static unsigned count_locked(peer_id peer)
{
    unsigned n = 0;

    for (struct tunnel *t = tunnels; t != NULL; t = t->next)
        n += session_peer(t->session) == peer;
    return n;
}

/* A new tunnel, running; takes fd unless it fails. id 0: we open it. */
static int tunnel_new(session_id session, uint64_t id, int fd, const char *first, bool smaller)
{
    struct tunnel *t;
    pthread_t thread;
    pthread_attr_t attr;
    int rc = 0;

    pthread_mutex_lock(&tunnels_lock);
    if (count_locked(session_peer(session)) >= TUNNELS_MAX) {
        pthread_mutex_unlock(&tunnels_lock);
        return -ERR_LIMIT;
    }
    t = MEM_NEW(struct tunnel);
    t->session = session;
    t->opener = id == 0;
    t->id = id != 0 ? id : ++last_id << 1 | smaller;
    t->fd = fd;
    t->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    snprintf(t->first, sizeof t->first, "%s", first);
    t->next = tunnels;
    tunnels = t;
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    if (t->bell < 0 || pthread_create(&thread, &attr, tunnel_main, t) != 0) {
        tunnels = t->next;
        if (t->bell >= 0)
            close(t->bell);
        mem_free(t);
        rc = -ERR_SYSTEM;
    }
    pthread_attr_destroy(&attr);
    pthread_mutex_unlock(&tunnels_lock);
    return rc;
}

/* A label, without the host, or an id; of one node only. */
struct by_label { const char *label; peer_id id; unsigned n; };

static bool is_called(const char *text, const char *name, uint64_t nid)
{
    char letters[NODE_LETTERS];
    size_t len = strcspn(name, "@");

    return (strlen(text) == len && memcmp(name, text, len) == 0) ||
           strcasecmp(text, nid_letters(nid, letters)) == 0;
}

bool tunnel_is_here(const char *node)
{
    return strcmp(node, peer_self.name) == 0 || strcmp(node, node_api.name) == 0 ||
           is_called(node, peer_self.name, peer_self.nid);
}

static bool match_label(void *arg, const struct peer_info *p)
{
    struct by_label *w = arg;

    if (!p->hidden && is_called(w->label, p->name, p->nid)) {
        w->id = p->id;
        w->n++;
    }
    return true;
}

static peer_id find_peer(const char *node)
{
    struct by_label w = { .label = node };
    peer_id peer = peer_by_name(node, strlen(node));

    if (peer != 0)
        return peer;
    peer_visit(match_label, &w);
    return w.n == 1 ? w.id : 0;
}

bool tunnel_node_name(const char *node, char out[NODE_NAME_MAX + 1])
{
    peer_id peer = tunnel_is_here(node) ? 0 : find_peer(node);
    struct peer_info info;

    if (tunnel_is_here(node))
        snprintf(out, NODE_NAME_MAX + 1, "%s", peer_self.name);
    else if (peer == 0 || !peer_info(peer, &info))
        return false;
    else
        snprintf(out, NODE_NAME_MAX + 1, "%s", info.name);
    return true;
}

int tunnel_open(int fd, enum role role, const char *user, const char *node)
{
    peer_id peer = find_peer(node);
    session_id s = peer != 0 ? peer_connect(peer) : 0;
    struct peer_info info;
    char first[96];

    if (peer == 0 || !peer_info(peer, &info))
        return -ERR_NOT_FOUND;
    if (s == 0)
        return -ERR_CLOSED;
    snprintf(first, sizeof first, "%s %s", role_name(role), user);
    return tunnel_new(s, 0, fd, first, memcmp(peer_self.key, info.key, NODE_KEY_BYTES) < 0);
}

/* --- being opened ------------------------------------------------------------------------------------------ */

void tunnel_cap(enum role role)
{
    atomic_store(&remote_cap, (int)role);
}

static enum role role_of_rights(uint32_t rights)
{
    return (rights & RIGHT_ADMIN) != 0 ? ROLE_ADMIN : (rights & RIGHT_OPERATE) != 0 ? ROLE_OPERATE
                                                                                    : ROLE_VIEW;
}

/* "role name": what the client may do at its own node. */
static enum role role_claimed(const char *first)
{
    for (int r = ROLE_ADMIN; r > ROLE_NONE; r--) {
        size_t n = strlen(role_name((enum role)r));

        if (strncmp(first, role_name((enum role)r), n) == 0 && first[n] == ' ')
            return (enum role)r;
    }
    return ROLE_NONE;
}

static int accept_tunnel(const struct peer_rx *rx, const Rn__Tunnel *m)
{
    char first[96] = "", user[512];
    struct peer_info info;
    enum role role, cap = role_of_rights(rx->rights), here = (enum role)atomic_load(&remote_cap);
    int fd, rc;

    if (m->user.len == 0 || m->user.len >= sizeof first ||
        !peer_info(session_peer(rx->session), &info))
        return 0;               /* of one that has ended */
    memcpy(first, m->user.data, m->user.len);
    role = role_claimed(first);
    if (role == ROLE_NONE)
        return -ERR_PROTOCOL;
    snprintf(user, sizeof user, "%s at %s", strchr(first, ' ') + 1, info.name);
    cap = cap < here ? cap : here;
    fd = server_connect(role < cap ? role : cap, user);
    if (fd < 0)
        return 0;
    rc = tunnel_new(rx->session, m->id, fd, "", false);
    if (rc < 0)
        close(fd);
    return rc == -ERR_LIMIT ? rc : 0;
}

static int take_tunnel(const struct peer_rx *rx)
{
    struct wire_arena arena = { 0 };
    const Rn__Tunnel *m = wire_unpack(&rn__tunnel__descriptor, rx->body.data, rx->body.len, &arena);
    struct tunnel *t;
    uint64_t one = 1;
    int rc = 0;

    if (m == NULL)
        return -ERR_PROTOCOL;
    pthread_mutex_lock(&tunnels_lock);
    for (t = tunnels; t != NULL && (t->session != rx->session || t->id != m->id); t = t->next)
        ;
    if (t != NULL) {
        if (t->queue.len + m->data.len > TUNNEL_QUEUE_BYTES)
            t->over = true;     /* its client does not read */
        else
            buf_add(&t->queue, m->data.data, m->data.len);
        t->over |= m->end;
        (void)!write(t->bell, &one, sizeof one);
    }
    pthread_mutex_unlock(&tunnels_lock);
    if (t == NULL && !m->end)
        rc = accept_tunnel(rx, m);
    wire_arena_fini(&arena);
    return rc;
}

static void end_those_of(session_id s)
{
    uint64_t one = 1;

    pthread_mutex_lock(&tunnels_lock);
    for (struct tunnel *t = tunnels; t != NULL; t = t->next) {
        if (s == 0 || t->session == s) {
            t->over = true;
            (void)!write(t->bell, &one, sizeof one);
        }
    }
    pthread_mutex_unlock(&tunnels_lock);
}

static bool on_down(const struct peer_info *p, session_id s, enum peer_end why)
{
    (void)p;
    (void)why;
    end_those_of(s);
    return false;
}

void tunnel_init(void)
{
    static struct peer_watch watch = { .down = on_down };

    peer_handle(KIND_tunnel, take_tunnel);
    peer_watch(&watch);
}

void tunnel_stop(void)
{
    end_those_of(0);
    pthread_mutex_lock(&tunnels_lock);
    while (tunnels != NULL)
        pthread_cond_wait(&tunnels_gone, &tunnels_lock);
    pthread_mutex_unlock(&tunnels_lock);
}
