/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port.h - programs outside, and what is between them and the process that speaks with them
 *
 * A port is run by a process of its own (vm/process.h), whose loop hands every message to
 * rnode_port:handle/1 (port.c). What the program writes becomes messages of the owner; what is sent to it is
 * written as far as the pipe takes it, the rest when the poller says so. The state hangs on the
 * process and belongs to whoever owns that.
 */
#ifndef BIF_PORT_H
#define BIF_PORT_H

#include "base/bytes.h"
#include "bif/port_frame.h"
#include "heap/blob.h"
#include "vm/bif.h"

#include <sys/types.h>

/* What the poller tells: messages of small integers, so that one that a program forges only makes
 * the port look. */
enum port_event { PORT_READABLE = 1, PORT_WRITABLE = 2, PORT_CHILD = 4 };

#define PORT_QUEUE_HIGH 65536   /* bytes not yet written; who writes more waits */

struct port_waiter { term pid, ref; };

struct port {
    struct port *next;      /* of all, [lk] as `in`, `out` and `owner` are written: port_io.c */
    term  id;
    term  owner;            /* local pid */
    int   in, out;          /* from it and to it; -1: none, or closed */
    int   child_fd;         /* tells the end of the program; -1: there is none, or it has ended */
    pid_t child;            /* 0: none */
    bool  binary, eof, exit_status;
    bool  in_ended, child_ended, eof_told;
    bool  framed;           /* packets or lines; else the pieces that come */
    struct port_framing framing;        /* what is written has the length of a packet, too */
    int   status;           /* of the child, once it has ended */
    uint64_t bytes_in, bytes_out;
    struct buf rest;        /* read, and not a whole packet or line yet */
    struct buf queue;       /* to be written, from queue_at on */
    size_t queue_at;
    char *name;             /* owned */
    struct port_waiter *waiters;        /* who wait until the queue is shorter; owned */
    size_t waiters_n;
};

#define port_of_blob(b)    ((struct port *)(void *)(b)->data)
#define port_of_process(p) port_of_blob((p)->ext->port)

/* A port without anything open. One reference, the caller's; its end closes what is open and leaves
 * a running child to the poller. */
struct blob *port_new(void);

/* From now on port_of_fd finds it. */
void port_enlist(struct port *port, term id);
/* All that are open, as a list on h. A scheduler. */
term port_ids(struct heap *h);
void port_set_owner(struct port *port, term owner);

/* Start what {spawn, _} and the like name. Settings and owner are in port already. 0, or -errno. */
struct port_command {
    const char *path;           /* of the executable */
    char **args, **env;         /* end with NULL */
    const char *folder;         /* NULL: ours */
    bool in, out;               /* which of its ends are ours */
    bool high_fds;              /* its pipes are 3 and 4 */
    bool stderr_too;
};
int port_start(struct port *port, const struct port_command *c);

/* Each as the process p of a port. They return the reason for which the port is to end, or
 * TERM_NONE. */
term port_read(struct process *p);
term port_flush(struct process *p);
term port_child_ended(struct process *p);
/* Put data in the queue, with its length if the port has packets; port_flush writes.
 * False: too long for its length. */
bool port_write(struct port *port, term data, size_t bytes);

/* --- the poller: one thread, started when first used ------------------------------------------ */

/* Tell port once when fd is ready for the event. Any thread. */
void port_poll(term port, int fd, enum port_event event);
/* Nobody cares for the child any more: take its status when it ends. Takes child_fd. */
void port_poll_orphan(int child_fd);

/* Load the loop of ports; own_code_start does. */
void port_init(void);

/* A copy of the environment of the programs that the node starts: os.c. Each string and the array
 * by mem_free. */
char **os_environment(void);

#endif
