/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inspect.h - looking at processes and modules from outside
 *
 * Any thread that is not a scheduler. Each look stops the world for one batch at a time, so what a
 * visit sees of one process is consistent, and no batch stops the node for more than a
 * millisecond or two. Visits run while the world is stopped: they only copy.
 */
#ifndef VM_INSPECT_H
#define VM_INSPECT_H

#include "base/bytes.h"
#include "vm/process.h"

#define INSPECT_BATCH 8192          /* processes looked at in one stop, about a millisecond */

struct process_view {
    term pid, parent;               /* parent: pid or undefined */
    term group_leader;              /* a pid of this node, or NIL */
    term name;                      /* atom, or NIL */
    term initial[3];                /* M, F, arity */
    term current[3];                /* the same of the innermost function; NIL: unknown */
    const char *state;              /* static: waiting, runnable, exiting, suspended, ... */
    uint64_t messages, heap_bytes, reductions;
    uint64_t work;                  /* reductions in a window (survey.h), where it was asked for */
    uint32_t age_cs;                /* hundredths of a second since it was made */
    uint32_t waits_cs;              /* the same since it last began to wait; 0: it does not wait */
    bool old_code;                  /* filled only when asked for */
    bool trap_exit;
};

/* Visit every process until visit returns false. Returns how many are alive. */
size_t inspect_processes(bool want_old_code,
                         bool (*visit)(void *arg, const struct process_view *v), void *arg);

/* Fill views of which only pid and work are set; those that are gone are left out. Returns how many are
 * left, in the same order. */
size_t inspect_details(struct process_view *at, size_t n);
/* Is there a module with old code? */
bool inspect_has_old_code(void);
const char *inspect_state_name(enum process_state state);   /* static */

/* What process_info(Pid, Items) would answer, built in bag: a list. TERM_NONE: it is gone. */
term inspect_process_info(term pid, term items, struct heap *bag);

/* Why a process does not run. */
enum wait_reason {
    WAITS_NOT, WAITS_SCHEDULER, WAITS_MESSAGE, WAITS_BUILT_IN, WAITS_WORK, WAITS_ASLEEP,
    WAITS_RESUME, WAITS_GONE,       /* hibernates; suspended; exiting or gone */
};
struct wait_view {
    enum wait_reason reason;
    int64_t gives_up_ms;            /* of a receive: milliseconds until it does; -1: never */
    term peer;                      /* pid whose answer it awaits, or TERM_NONE */
    term peer_node, peer_name;      /* of a peer on another node: atoms, peer being the pid that it
                                     * has there, NIL if it was found by name; else NIL */
    term built_in[3];               /* M, F, arity of the built-in that waits */
    term first;                     /* first argument of that, if it is an immediate or a
                                     * reference, built in bag; else TERM_NONE */
    struct process_view view;
};
struct wait_view inspect_wait(term pid, struct heap *bag);

/* What few processes are asked, and no list shows. */
struct memory_view {
    uint64_t stack_bytes, binary_bytes;     /* binaries outside the heap, shared ones whole */
    bool binaries_cut;                      /* there are more: not all were counted */
    unsigned young_collections;             /* since the last full one */
};
bool inspect_memory(term pid, struct memory_view *ret);     /* false: it is gone */

/* The first n messages of its mailbox, put one after the other while the world is stopped, until
 * put says that it has enough. Returns how many there are. */
size_t inspect_messages(term pid, size_t n, bool (*put)(void *arg, term msg), void *arg);

/* The name that a local process is registered under, or NIL. Does not stop the world. */
term inspect_name(term pid);

struct module_view {
    term name;
    size_t code_bytes, literal_bytes, functions;
    uint8_t md5[16];
    bool has_old;
};
void inspect_modules(void (*visit)(void *arg, const struct module_view *v), void *arg);

/* The name of the source of a module, as its line numbers give it. False: they do not. */
bool inspect_source(term module, struct buf *out);

struct export_view { term function; uint32_t arity; };
/* Exports of the current version of a module. False: it is not loaded. */
bool inspect_exports(term module, void (*visit)(void *arg, const struct export_view *v), void *arg);

uint32_t inspect_processes_max(void);       /* size of the process table */
uint32_t inspect_processes_alive(void);     /* not exact while others run */

/* The process with this local pid is alive. */
bool inspect_is_alive(term pid);
/* An exit signal with reason kill from the node itself. False: it is gone already. */
bool inspect_kill(term pid);
/* Collect its heap whole, while the world is stopped. False: it is gone, or in the middle of a
 * built-in. Bytes of memory that its heap holds, before and after. */
bool inspect_collect(term pid, size_t *ret_before, size_t *ret_after);

#endif
