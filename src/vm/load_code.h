/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_code.h - what the parts of the translation share: operands, state, and the instructions that
 * each part translates
 *
 * A function that meets an operand of the wrong kind notes the failure (load_fail, ld->rc) and
 * gives a harmless operand back, so that callers need not look at each.
 */
#ifndef VM_LOAD_CODE_H
#define VM_LOAD_CODE_H

#include "vm/load_verify.h"

struct bif;

/* CALL_RAISES: one that does not return, whatever the frame is. */
enum call_form { CALL_BODY, CALL_LAST, CALL_ONLY, CALL_RAISES };

/* --- load_operand.c: operands, labels, frames, and what registers hold --- */

struct operand operand_number(int64_t n);
struct operand operand_pointer(const void *p);
struct operand operand_constant(term t);
struct operand operand_x(unsigned i);
struct operand operand_table(const term *words, size_t n);
struct operand arg_bad(struct loader *ld, const char *what);
/* The term of a constant operand; TERM_NONE when it is none. */
term arg_constant(struct loader *ld, const struct beam_arg *a);
/* A register, whatever is in it. */
struct operand arg_place(struct loader *ld, const struct beam_arg *a);
/* A register that is set, or a constant. */
struct operand arg_source(struct loader *ld, const struct beam_arg *a);
/* A register that the instruction sets, to what `known` says or to anything. */
struct operand arg_dest_known(struct loader *ld, const struct beam_arg *a, uint32_t known);
struct operand arg_dest(struct loader *ld, const struct beam_arg *a);
/* An untagged number of at most max, as such and as an operand. */
int64_t arg_u(struct loader *ld, const struct beam_arg *a, int64_t max);
struct operand arg_number(struct loader *ld, const struct beam_arg *a, int64_t max);
struct operand arg_float(struct loader *ld, const struct beam_arg *a);
/* What is known of the content of an operand (enum known). */
uint32_t arg_known(struct loader *ld, const struct beam_arg *a);
/* Control may go to label `to`: with this frame; with the present frame and registers. */
void load_reach_frame(struct loader *ld, uint32_t to, int32_t frame);
void load_reach(struct loader *ld, uint32_t to);
/* A label, reached from here. */
struct operand arg_label(struct loader *ld, const struct beam_arg *a, bool may_be_none);
/* The entry of a function of n arguments, all of them set. */
struct operand arg_callee(struct loader *ld, const struct beam_arg *a, int64_t n);
void load_need_frame(struct loader *ld);
/* Words wanted by test_heap and its like, in our sizes. */
int64_t arg_heap_need(struct loader *ld, const struct beam_arg *a);
/* The frame begins, with the first `live` x registers kept; ends, as deallocate does. */
void load_set_frame(struct loader *ld, int64_t n, uint32_t live);
void load_drop_frame(struct loader *ld, const struct beam_arg *a);
/* Nothing follows; only x0 is set after a call. */
void load_no_way_on(struct loader *ld);
void load_returned(struct loader *ld);
/* Does the code show that an operand is this? is_sure: if not, the instruction about to be emitted
 * looks at run time and raises, so that it is so after it. */
bool load_knows(struct loader *ld, const struct beam_arg *a, enum known kind, uint32_t arity);
bool load_is_sure(struct loader *ld, const struct beam_arg *a, enum known kind, uint32_t arity);
/* The content of a register is made sure of, at run time if need be; a test of it has passed. */
void load_ensure(struct loader *ld, const struct beam_arg *a, enum known kind, uint32_t arity);
void load_passed(struct loader *ld, const struct beam_arg *a, uint32_t known);

/* --- load_call.c: calls and guards --- */

void translate_call_ext(struct loader *ld, const struct beam_instr *in, enum call_form form);
void translate_call_local(struct loader *ld, const struct beam_instr *in);
void translate_call_computed(struct loader *ld, const struct beam_instr *in);
void translate_guard(struct loader *ld, const struct beam_instr *in, int fail, unsigned imp,
                     unsigned src, unsigned n);

/* --- load_data.c: selections, tuples, funs, maps --- */

void translate_select(struct loader *ld, const struct beam_instr *in, bool arities);
const struct beam_arg *arg_list(struct loader *ld, const struct beam_arg *a, uint32_t *ret_n);
struct operand operand_total(enum op_id op, size_t words);
void translate_put_tuple2(struct loader *ld, const struct beam_instr *in);
const struct beam_fun *arg_fun(struct loader *ld, const struct beam_arg *a, uint32_t *ret_row);
void translate_make_fun3(struct loader *ld, const struct beam_instr *in);
void translate_update_record(struct loader *ld, const struct beam_instr *in);
void translate_init_yregs(struct loader *ld, const struct beam_instr *in);
void translate_has_map_fields(struct loader *ld, const struct beam_instr *in);
void translate_get_map_elements(struct loader *ld, const struct beam_instr *in);
void translate_put_map(struct loader *ld, const struct beam_instr *in, bool exact);

/* --- load_bits.c: bitstrings --- */

const uint8_t *string_at(struct loader *ld, uint64_t offset, uint64_t bytes);
void translate_bs_create_bin(struct loader *ld, const struct beam_instr *in);
struct operand arg_context(struct loader *ld, const struct beam_instr *in);
void translate_bs_match(struct loader *ld, const struct beam_instr *in);
void translate_bs_get_integer2(struct loader *ld, const struct beam_instr *in);
void translate_bs_get_binary2(struct loader *ld, const struct beam_instr *in);
void translate_bs_skip_bits2(struct loader *ld, const struct beam_instr *in);
void load_extra_heap(struct loader *ld, const struct beam_arg *words, const struct beam_arg *live);
void translate_bs_older(struct loader *ld, const struct beam_instr *in);
void translate_bs_start_match4(struct loader *ld, const struct beam_instr *in);

/* --- load_code.c: functions --- */

bool load_native(const struct bif *b);

/* Operands of the instruction `in`, by position: fail label, label, source, destination. */
#define FAIL(i)   arg_label(ld, &in->args[i], true)
#define JUMPTO(i) arg_label(ld, &in->args[i], false)
#define SRC(i)    arg_source(ld, &in->args[i])
#define DST(i)    arg_dest(ld, &in->args[i])
#define EMIT(op, ...) do { \
        const struct operand o_[] = { __VA_ARGS__ }; \
        emit(ld, OP_##op, ARRAY_LEN(o_), o_); \
    } while (0)
#define EMIT0(op) emit(ld, OP_##op, 0, NULL)

#endif
