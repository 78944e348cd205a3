/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ids.h - the numbers inside pids, ports and references, whichever way they are represented
 *
 * Order, hashes, text and the external format all read identifiers through these.
 */
#ifndef TERM_IDS_H
#define TERM_IDS_H

#include "term/node.h"
#include "term/term.h"

#define REF_WORDS_MAX 5

/* The node of a pid, port or reference; NULL: this one. */
struct node_entry *id_node(term id);
uint32_t pid_number(term pid);      /* N of <0.N.S>: the slot */
uint32_t pid_serial_number(term pid);   /* S */
uint64_t port_number(term port);
/* The 32-bit words of a reference, least significant first; returns how many. Plain local ones
 * have 3, aliases 5 (the last two are the owner's pid). */
unsigned ref_words(term ref, uint32_t out[REF_WORDS_MAX]);
/* The local reference of such words: an immediate for 3, TERM_NONE when they are none of ours.
 * For 5, *at must have ALIAS_WORDS of room and moves. */
#define ALIAS_WORDS 3
term ref_from_words(const uint32_t *words, unsigned n, term **at);

#endif
