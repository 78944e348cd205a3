/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_verify.h - what is known of registers and of heap room at a place in the code
 *
 * The loader follows every way through a function with an abstract state: for each register
 * whether it is set and what kind of term it surely holds, how many words of room are left from
 * the last test_heap, and whether a binary is under way. States of the ways to a label
 * are met. What a file needs and the state does not promise is refused (registers that are not set,
 * room that was not asked for) or checked at run time (ensure_* ops): so no file, however made,
 * lets the interpreter touch memory that is not the process's.
 */
#ifndef VM_LOAD_VERIFY_H
#define VM_LOAD_VERIFY_H

#include "vm/load_priv.h"

/* Kinds of a register's content; a tuple's least arity is above bit 4. */
enum known {
    KNOWN_UNSET, KNOWN_ANY, KNOWN_CONS, KNOWN_TUPLE, KNOWN_MAP, KNOWN_CONTEXT, KNOWN_FLOAT,
    KNOWN_CATCH,            /* y only: the slot of an open catch, never read or written */
};

#define known_kind(k)     ((k) & 15)
#define known_tuple(n)    ((uint32_t)(n) << 4 | KNOWN_TUPLE)
#define known_arity(k)    ((k) >> 4)

void verify_init(struct loader *ld);
void verify_fini(struct loader *ld);

/* The state at a function's entry: `arity` registers are set. */
void verify_entry(struct loader *ld, uint32_t arity);
/* The current state also arrives at label; the label's state becomes the current one. */
void verify_reach(struct loader *ld, uint32_t label);
void verify_label(struct loader *ld, uint32_t label);
/* The same for the handler of a catch in slot y: there only the exception is in
 * x0..x3. */
void verify_reach_handler(struct loader *ld, uint32_t label);

/* What a register operand holds; NULL: a is no register, or out of range. */
uint32_t *verify_register(struct loader *ld, const struct beam_arg *a);
bool verify_read(struct loader *ld, const struct beam_arg *a);
/* Note that the instruction sets a register; it happens in verify_commit, when it is done. */
void verify_write(struct loader *ld, const struct beam_arg *a, uint32_t known);
void verify_commit(struct loader *ld);

/* x[0..n) are set? */
bool verify_live(struct loader *ld, uint32_t n);
/* Nothing is in x any more but the first n. */
void verify_keep_x(struct loader *ld, uint32_t n);
/* y registers that are not set, set them: the collector or an exception may look at them. */
void verify_settle(struct loader *ld);
void verify_frame(struct loader *ld, int32_t frame);            /* a new frame, nothing set */
bool verify_trim(struct loader *ld, uint32_t n); /* n y registers go from the front */
bool verify_no_catch(struct loader *ld);                        /* no catch is open in the frame */

/* words of room were reserved, or are used. */
void verify_room(struct loader *ld, int64_t words);
bool verify_use(struct loader *ld, int64_t words);

/* A binary has been begun; the next instructions put into it. building: with puts, is one? Ends it
 * without. */
void verify_begin(struct loader *ld);
bool verify_building(struct loader *ld, bool puts);

#endif
