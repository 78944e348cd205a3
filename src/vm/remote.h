/* SPDX-License-Identifier: Apache-2.0 */
/*
 * remote.h - processes of other nodes, as the engine sees them
 *
 * A program holds their pids as terms (HK_EXT_PID). In relations and signals they are IMM_REMOTE
 * words, the payload that the pid has at its own node, beside the number of a session: one life of
 * the connection to one incarnation of one node. Numbers are never used again, so what belongs to
 * a lost session cannot be taken for something of the next.
 *
 *   RM1  A process with a relation through a session is attached to it, and has a REL_SESSION entry.
 *   RM2  An attached process gets exactly one SIG_SESSION_DOWN; all its relations through that
 *        session end there with noconnection, once each.
 *   RM3  Nobody is attached to a session that is down; so after RM2 no relation is left behind.
 *
 * dist/ fills vm_remote before vm_start; NULL: this node is not alive and knows no others.
 */
#ifndef VM_REMOTE_H
#define VM_REMOTE_H

#include "vm/relation.h"

#define is_remote(word)  imm_is(word, IMM_REMOTE)
#define REMOTE_NAMED     imm_make(IMM_REMOTE, ((uint64_t)1 << 58) - 1)  /* found by name there */
#define REMOTE_NOPROC    UINT32_MAX     /* instead of a session: that incarnation is over */

enum remote_op {
    REMOTE_LINK, REMOTE_UNLINK, REMOTE_UNLINK_ACK, REMOTE_EXIT, REMOTE_EXIT_LINKED, REMOTE_MONITOR,
    REMOTE_DEMONITOR, REMOTE_DOWN, REMOTE_GROUP_LEADER,
};

/* One signal on its way out. Terms are read during the call only. */
struct remote_signal {
    enum remote_op op;
    uint32_t session;
    term from;      /* local pid */
    term to;        /* IMM_REMOTE; MONITOR: or an atom; DEMONITOR: REMOTE_NAMED if it was by name */
    term ref;       /* MONITOR, DEMONITOR, DOWN: immediate reference; UNLINK, UNLINK_ACK: its id */
    term body;      /* EXIT, EXIT_LINKED, DOWN: reason; GROUP_LEADER: leader */
};

enum remote_sent {
    REMOTE_OK, REMOTE_BUSY /* sent, and sender will get SIG_RESUME later: it must stop */,
    REMOTE_WOULD_SUSPEND, REMOTE_WOULD_CONNECT, REMOTE_BADARG, REMOTE_LIMIT /* too large */,
};
enum remote_send_flags { REMOTE_NOSUSPEND = 1, REMOTE_NOCONNECT = 2 };

struct remote_call {        /* what to start there */
    term module, function, args;
    term group_leader;
    const struct spawn_options *opt;
};

/* Any thread inside an epoch, unless said otherwise. None blocks. */
struct vm_remote {
    /* Message to a pid, {Name, Node} or alias of another node. sender may be NULL. */
    enum remote_sent (*send)(struct process *sender, term to, term msg, unsigned flags);
    /* The session with that incarnation (creation 0: any) of a node, begun if need be. 0: none. */
    uint32_t (*session)(term node, uint32_t creation, bool connect);
    /* RM1. False: the session is over. Each attach is answered by one detach. */
    bool (*attach)(uint32_t session, term pid);
    void (*detach)(uint32_t session, term pid);
    /* sender: who is suspended when the session is busy, or NULL. */
    enum remote_sent (*signal)(struct process *sender, const struct remote_signal *s);
    enum remote_sent (*spawn)(struct process *sender, uint32_t session, term ref,
                              const struct remote_call *call);
    /* The node of a session to which something is attached: name and creation. */
    term (*node)(uint32_t session, uint32_t *ret_creation);
};
extern const struct vm_remote *vm_remote;

/* --- operations of the running process; pids are HK_EXT_PID ----------------------------------- */

/* process_send to another node. */
enum remote_sent remote_send(struct process *p, term to, term msg, unsigned flags);
/* TERM_NIL, or the reason with which the link ends at once. The inbox has been handled. */
term remote_link(struct process *p, term pid);
void remote_unlink(struct process *p, term pid);
void remote_exit(struct process *p, term pid, term reason);
void remote_group_leader(struct process *p, term pid, term leader);
/* target: pid or {Name, Node}. */
term remote_monitor(struct process *p, term target, const struct monitor_options *opt);

struct remote_reply { term tag; bool on_ok, on_error, awaited; };
/* spawn_request: gives the reference. awaited: the answer, a pid or {error, Reason}, is put into
 * ext->reply instead of the mailbox. */
term remote_spawn(struct process *p, term node, const struct remote_call *call,
                  const struct remote_reply *reply);
/* False: too late, or never asked. */
bool remote_spawn_abandon(struct process *p, term ref);

/* --- for whoever owns p ------------------------------------------------------------------------ */

/* The peer of a relation, or the sender of a signal, as programs see it. */
term remote_shown(struct heap *h, uint32_t session, term word);
bool remote_attach(struct process *p, uint32_t session);
/* Tell the other side of r, which p is about to forget because it ends or demonitors. */
void remote_relation_end(struct process *p, const struct relation *r);
void remote_demonitor(term from, term plain, const struct relation *r);
enum signal_effect remote_spawn_reply(struct process *p, struct sig *sig);
enum signal_effect remote_session_down(struct process *p, struct sig *sig);
/* signal_bounce for a sender on another node. */
void remote_bounce(term pid, const struct sig *sig);
/* A stack signal to the far end. */
void remote_post(enum remote_op op, uint32_t session, term from, term to, term ref, term body);

/* What a process that another node asked for needs before it runs. */
struct remote_parent {
    uint32_t session;
    term word, ref;                         /* who asked, IMM_REMOTE, and its reference */
    void (*started)(void *arg, term pid);   /* links are made; nobody knows the pid yet */
    void *arg;
};
void remote_child(struct process *p, unsigned flags, const struct remote_parent *parent);

#endif
