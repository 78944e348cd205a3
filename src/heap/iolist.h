/* SPDX-License-Identifier: Apache-2.0 */
/*
 * iolist.h - nested lists of bytes and binaries, measured and flattened
 *
 * Pure functions of their arguments. Nesting is followed with an explicit stack.
 */
#ifndef HEAP_IOLIST_H
#define HEAP_IOLIST_H

#include "heap/blob.h"

/* Size of an iolist or binary in bytes. False: t is neither, or holds bits that are no byte. */
bool iolist_size(term t, size_t *ret_bytes);
/* Write its bytes, as many as iolist_size said, at out. t has been measured. */
void iolist_write(term t, uint8_t *out);

/* The same for lists that may hold bitstrings of any size. */
bool bitlist_size(term t, uint64_t *ret_bits);
void bitlist_write(term t, uint8_t *out);

/* An iolist as one new binary; t itself when it is a binary. TERM_NONE: not an iolist. */
term iolist_to_binary(struct heap *h, term t);

/* The next element of a walk over the leaves: bytes as smalls and bitstrings, in order. The caller
 * pushes the whole term first. TERM_NONE: something else was met; TERM_NIL: the end. */
struct term_stack;
term iolist_walk(struct term_stack *st);

#endif
