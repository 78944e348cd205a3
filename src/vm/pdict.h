/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pdict.h - the process dictionary: an array of roots off the heap, so that old terms never point
 * to young ones
 *
 * All functions: the owner of the process.
 */
#ifndef VM_PDICT_H
#define VM_PDICT_H

#include "vm/process.h"

struct pdict {
    uint32_t n, cap;            /* entries in use, slots (a power of two) */
    term kv[];                  /* key, value; key TERM_NONE: free */
};

term pdict_get(const struct process *p, term key);              /* ATOM_undefined: absent */
term pdict_put(struct process *p, term key, term value);        /* the old value or undefined */
term pdict_erase(struct process *p, term key);                  /* the same */
void pdict_free(struct process *p);

#endif
