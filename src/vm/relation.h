/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relation.h - what binds a process to others: links, monitors in both directions, aliases
 *
 * All functions: the thread that owns the process. Entries are found by key; a few are a plain
 * array, more are a hash. A pointer to an entry is good until the next add or remove.
 *
 * The link protocol (both sides keep an entry):
 *   link     entry LINKED here, signal LINK; the peer adds its entry
 *   unlink   entry becomes UNLINKING(id) here, signal UNLINK(id); the peer drops its entry and
 *            answers UNLINK_ACK(id), which removes ours
 *   While UNLINKING, exit signals from the peer are ignored: the caller of unlink has been told
 *   that none will come. Linking again makes the entry LINKED; the late ack then finds another id.
 */
#ifndef VM_RELATION_H
#define VM_RELATION_H

#include "vm/process.h"

enum relation_class {
    REL_SESSION = 0,    /* key: session. We have had relations through it: remote.h */
    REL_LINK = 1,       /* key: pid. peer: pid */
    REL_MINE = 2,       /* key: reference of ours. A monitor we hold, an alias, or both */
    REL_WATCHER = 3,    /* key: reference of peer, which monitors us */
    /* With a peer on another node LINK and WATCHER have the number of the session in their key. */
};

enum alias_mode {
    ALIAS_NONE,
    ALIAS_EXPLICIT,             /* until unalias */
    ALIAS_REPLY,                /* until the first message */
    ALIAS_DEMONITOR,            /* until demonitored or down */
    ALIAS_REPLY_DEMONITOR,      /* until the first message, which also demonitors */
};

/* What few monitors have: {tag, Term}, and the name that was asked for. */
struct relation_tag {
    term tag; struct frag *frag; term name;
    term item; struct frag *item_frag;          /* what DOWN shows; TERM_NONE: name or peer */
    term reply_tag; struct frag *reply_frag;    /* of spawn_request; TERM_NONE: spawn_reply */
};

/* REL_MINE: the process is not there yet; see remote_spawn. */
enum relation_spawn {
    SPAWNING = 1, SPAWNING_LINK = 2, SPAWNING_MONITOR = 4, SPAWNING_TELL_OK = 8,
    SPAWNING_TELL_ERROR = 16, SPAWNING_AWAITED = 32,
};

struct relation {
    uint64_t key;               /* relation_key; 0: free slot */
    term     peer;              /* pid, or with a session an IMM_REMOTE; REL_MINE also: NIL, no
                                 * process; TERM_NONE, a bare alias */
    union {
        uint64_t unlink_id;             /* REL_LINK: 0 LINKED, else UNLINKING */
        struct relation_tag *tag;       /* REL_MINE: NULL: 'DOWN', by pid */
    };
    uint8_t  alias;             /* REL_MINE: enum alias_mode */
    uint8_t  spawn;             /* REL_MINE: enum relation_spawn */
    uint32_t session;           /* of a peer on another node, else 0 */
};

struct relset {
    uint32_t n, cap;
    uint32_t cap_left;          /* exit: slots not yet looked at */
    uint32_t unused;
    struct relation slots[];
};

/* word: a local pid or the immediate form of a reference */
#define relation_key(class, word) (imm_payload(word) << 2 | (uint64_t)(class))
#define relation_class(r)         ((enum relation_class)((r)->key & 3))
#define relation_ref(r)           imm_make(IMM_REF, (r)->key >> 2)

struct relation *relation_find(const struct process *p, uint64_t key);      /* or NULL */
struct relation *relation_add(struct process *p, uint64_t key, term peer);  /* must be new */
/* The same for a peer that is reached through a session. */
struct relation *relation_find_remote(const struct process *p, uint64_t key, uint32_t session);
/* Some relation of that key, whichever its session, that fits. */
struct relation *relation_find_fit(const struct process *p, uint64_t key,
                                   bool (*fits)(const struct relation *r, const void *arg),
                                   const void *arg);
struct relation *relation_add_remote(struct process *p, uint64_t key, term peer, uint32_t session);
void relation_remove(struct process *p, struct relation *r);        /* frees its tag */
void relation_forget(struct relation *r);       /* exit: frees its tag, empties the slot */
/* Walk: *at starts as 0; NULL at the end. */
struct relation *relation_next(const struct process *p, uint32_t *at);
void relset_free(struct process *p);

/* Its tag, made if it has none. */
struct relation_tag *relation_tag_get(struct relation *r);

/* The immediate form of a reference that may be an alias (HK_REF); TERM_NONE for foreign ones. */
term ref_plain(term ref);
/* The alias reference of plain, on heap h. */
term ref_alias(struct heap *h, term plain, term owner);

/* --- operations of the running process ------------------------------------------------------- */

struct monitor_options {
    enum alias_mode alias;
    term tag;                   /* ATOM_DOWN unless given */
};
/* Read [{alias, Mode}, {tag, T}]; false: badarg. */
bool monitor_options_read(term list, struct monitor_options *ret);

/* link/1. False: pid is dead and p does not trap exits (error noproc). */
bool link_make(struct process *p, term pid);
void link_remove(struct process *p, term pid);
/* Monitor a pid or a registered name (target: atom); gives the reference on p's heap. */
term monitor_make(struct process *p, term target, const struct monitor_options *opt);
/* The entry of a new monitor, nobody told yet; and the reference for the program. */
struct relation *monitor_entry(struct process *p, term peer, term name,
                               const struct monitor_options *opt);
term monitor_ref(struct process *p, term plain, enum alias_mode alias);
/* Record a monitor of a new child both of which the caller owns. */
term monitor_make_child(struct process *p, struct process *child, const struct monitor_options *opt);
/* True: it was there. ref in any form. */
bool monitor_remove(struct process *p, term ref);
term alias_make(struct process *p, bool reply);
bool alias_remove(struct process *p, term ref);

/* exit/2: pid is local. p may be the target itself. False: p must exit now. */
bool exit_send(struct process *p, term pid, term reason);

#endif
