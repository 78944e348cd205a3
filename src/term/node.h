/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node.h - the table of other nodes that terms name
 *
 * External pids, ports and references point at an entry and count as one reference each; whoever
 * keeps an entry outside a term counts too. An entry without references stays for NODE_KEEP_NS, so
 * that a peer whose pids come and go keeps its number, and makes room at once when the table is
 * full. So a peer that invents node names costs NODE_ENTRIES_MAX entries at most, and only as long
 * as terms with those names are alive.
 */
#ifndef TERM_NODE_H
#define TERM_NODE_H

#include "base/assert.h"
#include "term/term.h"

#include <stdatomic.h>

#define NODE_ENTRIES_MAX 65536u
#define NODE_KEEP_NS     ((int64_t)60 * 1000000000)

/* One other node, or an earlier incarnation of one. */
struct node_entry {
    term     name;               /* [set] atom */
    uint32_t creation;           /* [set] 0: unknown */
    uint32_t index;              /* [set] shown as the first number of its pids, from 1 */
    _Atomic uint32_t session;    /* [any] the connection to it, a number of dist/; 0: none */
    _Atomic uint64_t refs;       /* [any] terms and others that point here */
    int64_t  idle_since_ns;      /* [lk nodes] when it was first seen without references; 0: not */
    struct node_entry *next;     /* [lk nodes] in its bucket */
};

/* The entry for name and creation, made if new, with one reference for the caller; NULL when
 * NODE_ENTRIES_MAX are in use. Any thread; a mutex, so not for a path that has an entry already. */
MUST_CHECK struct node_entry *node_entry_get(term name, uint32_t creation);

/* One more reference, by a caller that has one. Any thread. */
ALWAYS_INLINE struct node_entry *node_entry_ref(struct node_entry *n)
{
    /* relaxed: the caller's reference keeps the entry meanwhile */
    atomic_fetch_add_explicit(&n->refs, 1, memory_order_relaxed);
    return n;
}

/* Give one back. Any thread. */
ALWAYS_INLINE void node_entry_unref(struct node_entry *n)
{
    /* release pairs with the acquire in the sweep: reads of the entry come before its end */
    uint64_t before = atomic_fetch_sub_explicit(&n->refs, 1, memory_order_release);

    ASSERT(before != 0);
}

/* Free what has been without references for NODE_KEEP_NS at now_ns (monotonic); returns how many
 * entries are left. Done now and then when new entries are made; of use to others for memory
 * figures and tests. */
uint32_t node_entries_sweep(int64_t now_ns);

#endif
