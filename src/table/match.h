/* SPDX-License-Identifier: Apache-2.0 */
/*
 * match.h - match specifications: compiled once, run on any number of objects
 *
 * A compiled specification owns everything it needs and never changes: any thread may run it.
 */
#ifndef TABLE_MATCH_H
#define TABLE_MATCH_H

#include "base/bytes.h"
#include "heap/heap.h"

enum match_dialect { MATCH_TABLE, MATCH_TRACE };

struct match_spec;

/* What a run works with. vars: room for match_vars(ms) terms. */
struct match_run {
    const struct match_spec *ms;
    struct heap *heap;      /* results are built here */
    term self;              /* pid of the caller */
    term *vars;
    term *stack;
};

/* NULL: spec is not valid; why is appended to errors (lines; may be NULL). */
struct match_spec *match_compile(term spec, enum match_dialect dialect, struct buf *errors);
/* The spec of match/match_object: one clause without guards. body: '$$' or '$_'. */
struct match_spec *match_compile_pattern(term pattern, term body);
void match_free(struct match_spec *ms);
size_t match_spec_bytes(const struct match_spec *ms);

void match_run_init(struct match_run *run, const struct match_spec *ms, struct heap *heap,
                    term self);
void match_run_fini(struct match_run *run);

/* Value of the first clause that accepts object, on the heap of the run; TERM_NONE: none does.
 * object may lie anywhere; nothing of the result points into it. */
term match_object(struct match_run *run, term object);

/* --- what is known about keys ---------------------------------------------------------------- */

enum match_key {
    MATCH_KEY_ANY,          /* any key may match */
    MATCH_KEY_PART,         /* compare with the pattern: match_key_cmp */
    MATCH_KEY_EXACT,        /* the pattern is a constant: the key itself */
};

size_t match_clauses(const struct match_spec *ms);
/* The pattern at position keypos of the head of clause i. */
enum match_key match_key_of(const struct match_spec *ms, size_t i, uint32_t keypos,
                            term *ret_pattern);
/* Order of key to the keys that may match pattern: <0, 0 may match, >0. */
int match_key_cmp(term key, term pattern);
/* Does the body of every clause keep the key of the object it replaces? */
bool match_keeps_key(const struct match_spec *ms, uint32_t keypos);

#endif
