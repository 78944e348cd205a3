/* SPDX-License-Identifier: Apache-2.0 */
/*
 * external.h - making pids, ports and references of other nodes
 *
 * Each counts one reference of its node's entry (term/node.h) and is chained off-heap until it is
 * found dead. The numbers are read through term/ids.h. h may be a bag; see heap.h H1 and H2.
 */
#ifndef HEAP_EXTERNAL_H
#define HEAP_EXTERNAL_H

#include "heap/heap.h"

/* node is an atom; the caller knows that (node, creation) is not this node. TERM_NONE: the table of
 * nodes is full. */
term external_pid(struct heap *h, term node, uint32_t creation, uint32_t number, uint32_t serial);
term external_port(struct heap *h, term node, uint32_t creation, uint64_t number);
/* n words, least significant first, 1 .. REF_WORDS_MAX. */
term external_ref(struct heap *h, term node, uint32_t creation, const uint32_t *words, unsigned n);

#endif
