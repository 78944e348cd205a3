/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port_poll.c - the thread that waits for the pipes of all ports
 */
#include "bif/port.h"
#include "base/assert.h"
#include "base/epoch.h"

#include <errno.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#define EVENTS_MAX 64
#define KIND_BITS 3         /* below the payload of a port: an enum port_event, or 0: an orphan */

static pthread_mutex_t start_lock = PTHREAD_MUTEX_INITIALIZER;
static int poll_fd = -1;    /* [lk start_lock] set once */

static void reap(int child_fd)
{
    siginfo_t info;

    (void)!waitid(P_PIDFD, (id_t)child_fd, &info, WEXITED | WNOHANG);
    close(child_fd);
}

static void tell(uint64_t data)
{
    struct process *p;

    if ((data & ((1u << KIND_BITS) - 1)) == 0) {
        reap((int)(data >> KIND_BITS));
        return;
    }
    epoch_enter();
    p = process_lookup(imm_make(IMM_PORT, data >> KIND_BITS));
    if (p != NULL)
        signal_post(p, SIG_MESSAGE, TERM_NONE, small_make((int64_t)(data & ((1u << KIND_BITS) - 1))),
                    TERM_NONE);
    epoch_leave();
}

static void *poll_main(void *arg)
{
    struct epoll_event events[EVENTS_MAX];
    int fd = *(int *)arg;

    for (;;) {
        int n = epoll_wait(fd, events, EVENTS_MAX, -1);

        for (int i = 0; i < n; i++)
            tell(events[i].data.u64);
    }
    return NULL;
}

/* The epoll, with its thread running. It is never stopped: it holds nothing of the node. */
static int poller(void)
{
    pthread_t thread;

    pthread_mutex_lock(&start_lock);
    if (poll_fd < 0) {
        poll_fd = epoll_create1(EPOLL_CLOEXEC);
        if (poll_fd >= 0 && pthread_create(&thread, NULL, poll_main, &poll_fd) == 0)
            pthread_detach(thread);
    }
    pthread_mutex_unlock(&start_lock);
    return poll_fd;
}

static void arm(int fd, uint32_t events, uint64_t data)
{
    struct epoll_event e = { .events = events | EPOLLONESHOT, .data.u64 = data };
    int poll = poller();

    if (epoll_ctl(poll, EPOLL_CTL_MOD, fd, &e) == 0 || epoll_ctl(poll, EPOLL_CTL_ADD, fd, &e) == 0)
        return;
    tell(data);         /* a file: always ready */
}

void port_poll(term port, int fd, enum port_event event)
{
    arm(fd, event == PORT_WRITABLE ? EPOLLOUT : EPOLLIN, imm_payload(port) << KIND_BITS | event);
}

void port_poll_orphan(int child_fd)
{
    /* anew: that orders our use of it before its end on the other thread, as sanitizers see it too */
    (void)epoll_ctl(poller(), EPOLL_CTL_DEL, child_fd, NULL);
    arm(child_fd, EPOLLIN, (uint64_t)child_fd << KIND_BITS);
}
