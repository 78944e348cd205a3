/* SPDX-License-Identifier: Apache-2.0 */
/*
 * registry.h - registered names
 *
 * A name is an atom, and atoms are small numbers: the registry is an array indexed by atom, so a
 * lookup is one load and takes no lock. Any thread may call; what it learns about another
 * process may be old by the time it acts.
 */
#ifndef VM_REGISTRY_H
#define VM_REGISTRY_H

#include "vm/process.h"

void registry_init(void);                   /* after atom_table_init */
/* The pid or port registered as name, or TERM_NONE. */
term registry_whereis(term name);
/* Of a process or port. False: badarg (name taken, it has a name or is gone). */
bool registry_add(term name, term pid);
bool registry_remove(term name);            /* false: was not registered */
/* The process exits: its name is free, and it will never have another. */
void registry_remove_process(struct process *p);
/* Visit all names and their pids or ports, and when they were registered (ns since 1970). */
void registry_visit(void (*visit)(void *arg, term name, term who, int64_t since_ns), void *arg);
/* All names, a list on h. */
term registry_names(struct heap *h);

#endif
