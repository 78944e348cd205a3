/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process.h - one process, and the scheduler that runs it
 *
 * A process is owned by at most one thread at a time: the scheduler that runs it (RUNNING) or
 * whoever moved it from WAITING to HELD to deliver into it. Fields marked [own] belong to that
 * thread; everything that one process does to another goes through signals (signal.h).
 *
 *   state       allowed successors             invariant
 *   FREE        RUNNABLE                       struct not visible in the process table
 *   WAITING     HELD, RUNNABLE                 not on any run queue; inbox handled or announced
 *   RUNNABLE    RUNNING, HELD                  on exactly one run queue
 *   RUNNING     WAITING, RUNNABLE, EXITING     one scheduler runs it
 *   HELD        WAITING, RUNNABLE              one thread delivers into it; may be on a queue
 *   EXITING     FREE                           heap may be gone; signals are answered with noproc
 *
 * A port is such a process too, whose pid is a port: programs that are outside speak through it.
 * It runs code of the node, and is none of the processes that programs see.
 */
#ifndef VM_PROCESS_H
#define VM_PROCESS_H

#include "heap/bitsyntax.h"
#include "heap/gc.h"
#include "heap/heap.h"
#include "term/atom.h"
#include "term/fun.h"
#include "vm/signal.h"

#include <stdatomic.h>

struct sched;
struct bif;
struct relset;
struct process_ext;
struct timer;
struct recv_marks;
struct job;
struct long_call;
struct blob;

enum process_state {
    PROC_FREE, PROC_WAITING, PROC_RUNNABLE, PROC_RUNNING, PROC_HELD, PROC_EXITING,
};

enum process_priority { PRIO_MAX, PRIO_HIGH, PRIO_NORMAL, PRIO_LOW, PRIO_COUNT };

/* What a built-in that returned TERM_NONE wants; see bif.h. */
enum bif_action {
    BIF_NOTHING,
    BIF_RAISE,          /* exc is set */
    BIF_TRAP,           /* call trap_export with sched->x[0..arity) instead; its result is ours */
    BIF_TRAP_FUN,       /* call the fun in trap_fun with sched->x[0..trap_arity) instead */
    BIF_YIELD,          /* out of time: call this built-in again with sched->x[0..arity) later */
    BIF_WAIT,           /* sleep until woken, then call again with sched->x[0..arity) */
    BIF_PAUSE,          /* p->long_call stands still: go on with it later; long_call.h */
    BIF_EXIT,           /* the process has been told to exit (exit_reason is set) */
};

struct exception {
    term class;         /* ATOM_error, ATOM_exit, ATOM_throw */
    term reason;
    term trace;         /* TERM_NONE: take one now; else a raw trace or a list given to raise/3 */
    term args;          /* error/2: list of arguments for the top entry, else TERM_NONE */
    term error_info;    /* map for the top entry, or TERM_NONE */
};

struct process {
    /* --- hot: whoever runs or holds the process --- */
    struct heap heap;               /* [own] H and E are current only while not interpreting */
    const void *ip;                 /* [own] where to go on */
    struct sched *sched;            /* [own] scheduler that runs it; NULL while not running */
    uint32_t parked_cs;             /* [own] when it last began to wait: sched_now_cs */
    uint16_t live;                  /* [own] x registers saved on the stack when switched out */
    uint8_t  prio;                  /* [own] */
    bool     trap_exit;             /* [own] */
    uint8_t  wait_kind;             /* [own] private to the engine: timed out, in receive, ... */
    bool     sensitive;             /* [own] */
    uint8_t  action : 4;            /* [own] enum bif_action of the last built-in */
    bool     msgq_off_heap : 1;     /* [own] */
    bool     has_spawned : 1;       /* [own] others may have its group leader */
    uint8_t  survey_window;         /* [own] low bits of the window in which it ran last: survey.h */
    _Atomic uint32_t shown_messages;    /* [own] writes, [any] reads: in mq when it rested last */
    _Atomic uint64_t reductions;    /* [own] writes, [any] reads: spent so far */
    uint32_t born_cs;               /* [set] when it was made: sched_now_cs */
    uint16_t initial_arity;         /* [own] UINT16_MAX: that or more */
    uint16_t trap_arity;            /* [own] */

    /* --- messages: receiver's private queue; see mailbox.h --- */
    struct mailbox *mq;             /* [own] NULL until the first message */
    struct recv_marks *marks;       /* [own] NULL until used */
    struct timer *receive_timer;    /* [own] */

    /* --- warm --- */
    struct exception exc;           /* [own] roots */
    struct relset *relations;       /* [own] links, monitors both ways, aliases; see relation.h */
    struct pdict *dict;             /* [own] process dictionary, values are roots; see pdict.h */
    term     group_leader;          /* [own] root (may be boxed when remote) */
    term     parent;                /* [own] pid or undefined */
    term     initial[2];            /* [own] M, F as atoms */
    term     trap_fun;              /* [own] root */
    term     exit_reason;           /* [own] root */
    struct export *trap_export;     /* [own] */
    struct process_ext *ext;        /* [own] rare things: tracing, max_heap_size, suspends; or NULL */
    struct job *job;                /* [own] blocking work this process waits for, or NULL */
    struct long_call *long_call;    /* [own] a built-in that stands still in the middle, or NULL */

    /* --- any thread --- */
    _Atomic uint32_t state;         /* [any] enum process_state */
    uint32_t timer_seq;             /* [own] number of the newest receive timer */
    struct inbox inbox;             /* [any] push; take: whoever owns the process */
    _Atomic term registered;        /* [any] atom; NIL: none; TERM_NONE: too late, it is exiting */
    term     pid;                   /* [set] */
    struct process *rq_next;        /* [own] of the run queue it is on */
};

struct suspending { term pid; uint32_t times; };

/* Rare things of a process; made when first needed. All [own]. */
struct process_ext {
    uint64_t max_heap_words;        /* 0: none */
    bool     max_heap_kill, max_heap_log, max_heap_shared;
    uint32_t suspends;              /* how many times it is suspended by others */
    term     error_handler;         /* atom */
    uint64_t await_key;             /* the request whose answer is awaited; 0: none */
    term     reply;                 /* root: the answer, or TERM_NONE */
    term     awaited_ref;           /* root: reference of the request, where the built-in wants it */
    uint32_t save_calls;
    bool     async_dist;
    bool     owes_literals;         /* a collection with GC_PURGE_LITERALS; literals.h */
    bool     collect_full;          /* the collection that collect_soon asks for is a full one */
    uint64_t min_vheap_words;
    struct suspending *suspending;  /* whom it has suspended; mem_free */
    uint32_t suspending_n;
    void    *trace;                 /* of whoever traces it */
    struct blob *port;              /* of a port: its state, bif/port.h; one reference */
};

/* The process of a local pid, or NULL if it is gone. Valid until the caller's scheduler passes its
 * loop head (quiescent state); other threads must be inside epoch_enter/epoch_leave. */
struct process *process_lookup(term pid);
struct process_ext *process_ext_get(struct process *p);     /* owner; made if new */
/* The module that is asked about functions that do not exist. Owner. */
ALWAYS_INLINE term process_error_handler(const struct process *p)
{
    return p->ext == NULL ? ATOM_error_handler : p->ext->error_handler;
}

/* --- registers that the engine and built-ins share ---------------------------------------- */

#define X_REGISTERS 1024
#define FLOAT_REGISTERS 1024

struct sched {
    term     x[X_REGISTERS];        /* [own] */
    double   f[FLOAT_REGISTERS];    /* [own] */
    term     scratch[8];            /* [own] operands on their way; dead between instructions */
    int64_t  fcalls;                /* [own] reductions left of the running process */
    int64_t  fc_held;               /* [own] reductions set aside so that the next call ends the slice */
    struct bs_builder builder;      /* [own] of the bs_put instructions */
    struct process *current;        /* [own] */
    _Atomic bool ticked;            /* [any] a sample is wanted: profile.h */
    uint32_t index;                 /* [set] from 0 */
    uint64_t ref_counter;           /* [own] next local reference */
    uint64_t unique_counter;        /* [own] next unordered unique integer */
    struct sched_priv *priv;        /* [own] run queues, timers, slabs: sched_priv.h */
};

/* The scheduler of the calling thread, or NULL on any other thread. */
extern _Thread_local struct sched *sched_self;

/* --- making and ending processes ----------------------------------------------------------- */

enum spawn_flags { SPAWN_LINK = 1, SPAWN_MONITOR = 2 };

struct remote_parent;

struct spawn_options {
    unsigned flags;
    uint8_t  prio;
    bool     msgq_off_heap;
    uint32_t min_heap_words;
    uint16_t fullsweep_after;
    bool     has_fullsweep;
    uint64_t max_heap_words;        /* 0: none */
    bool     max_heap_kill, max_heap_log;
    term     group_leader;          /* TERM_NONE: inherit */
    term     monitor_opts;          /* {monitor, Opts}: list; TERM_NONE */
    struct blob *port;              /* of a port: what its ext->port is to be; NULL: a process */
    const struct remote_parent *remote; /* who asked for it on another node: remote.h; or NULL */
};

/* Start a process that will call module:function(args...), copied from parent's heap. parent may
 * be NULL (started by the node itself). Returns the pid; *ret_ref (may be NULL) is the monitor
 * reference, on parent's heap. TERM_NONE: the process table is full (system_limit). */
term process_spawn_mfa(struct process *parent, term module, term function, term args_list,
                       const struct spawn_options *opt, term *ret_ref);
term process_spawn_fun(struct process *parent, term fun, term args_list,
                       const struct spawn_options *opt, term *ret_ref);

/* Copy msg and deliver it to `to` (pid, alias reference, registered name, {Name, Node}).
 * False: `to` is a name that is not registered (badarg for `!`). sender may be NULL. */
bool process_send(struct process *sender, term to, term msg);

/* A built-in's or the engine's wish to sleep: see bif.h. Wake p so that a BIF_WAIT is retried. */
void process_wake(term pid);

term make_ref(struct sched *s);     /* an immediate reference, never used before on this node */

/* Charge reductions for work done by a built-in. */
ALWAYS_INLINE void charge(struct process *p, int64_t reductions)
{
    p->sched->fcalls -= reductions;
}

#endif
