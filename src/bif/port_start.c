/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port_start.c - starting a program at the other end of two pipes
 */
#include "bif/port.h"
#include "base/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define FIRST_OTHER 5       /* no descriptor that a program gets is one that it gets as another */

/* The two ends of a pipe: ours does not block. */
struct ends { int ours, theirs; };

static bool pipe_make(struct ends *e, bool we_read)
{
    int fd[2];

    if (pipe2(fd, O_CLOEXEC) < 0)
        return false;
    e->ours = fd[we_read ? 0 : 1];
    e->theirs = fcntl(fd[we_read ? 1 : 0], F_DUPFD_CLOEXEC, FIRST_OTHER);
    close(fd[we_read ? 1 : 0]);
    return e->theirs >= 0 && fcntl(e->ours, F_SETFL, O_NONBLOCK) == 0;
}

static void close_fd(int fd)
{
    if (fd >= 0)
        close(fd);
}

/* Which descriptors the program gets, and its folder. */
static int file_actions(posix_spawn_file_actions_t *a, const struct port_command *c, int in, int out)
{
    int first = c->high_fds ? 3 : 0, rc = 0;

    if (c->out)
        rc = posix_spawn_file_actions_adddup2(a, in, first);
    else if (!c->high_fds)
        rc = posix_spawn_file_actions_addopen(a, first, "/dev/null", O_RDONLY, 0);
    if (rc == 0 && c->in)
        rc = posix_spawn_file_actions_adddup2(a, out, first + 1);
    if (rc == 0 && c->stderr_too)
        rc = posix_spawn_file_actions_adddup2(a, STDOUT_FILENO, STDERR_FILENO);
    if (rc == 0)
        rc = posix_spawn_file_actions_addclosefrom_np(a, c->high_fds ? FIRST_OTHER : 3);
    if (rc == 0 && c->folder != NULL)
        rc = posix_spawn_file_actions_addchdir_np(a, c->folder);
    return rc;
}

/* It begins with the signals of a program, not with those of the node. */
static int spawn_attributes(posix_spawnattr_t *a)
{
    sigset_t none, all;

    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(a, &none);
    posix_spawnattr_setsigdefault(a, &all);
    return posix_spawnattr_setflags(a, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
}

/* in, out: the program's ends. Returns errno. */
static int spawn(pid_t *ret, const struct port_command *c, int in, int out)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int rc;

    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    rc = file_actions(&actions, c, in, out);
    if (rc == 0)
        rc = spawn_attributes(&attributes);
    if (rc == 0)
        rc = posix_spawn(ret, c->path, &actions, &attributes, c->args, c->env);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return rc;
}

int port_start(struct port *port, const struct port_command *c)
{
    struct ends from = { -1, -1 }, to = { -1, -1 };
    int rc = 0;

    if ((c->in && !pipe_make(&from, true)) || (c->out && !pipe_make(&to, false)))
        rc = errno;
    if (rc == 0)
        rc = spawn(&port->child, c, to.theirs, from.theirs);
    close_fd(from.theirs);
    close_fd(to.theirs);
    port->in = from.ours;       /* closed with the port, whatever comes of it */
    port->out = to.ours;
    if (rc != 0)
        return -rc;
    port->child_fd = pidfd_open(port->child, 0);
    return port->child_fd >= 0 ? 0 : -errno;
}
