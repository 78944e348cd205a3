/* SPDX-License-Identifier: Apache-2.0 */
/*
 * op.h - the internal instructions as the loader and the disassembler see them
 *
 * Made by opgen.py from the *.op files. An op has variants, one for each combination of operand
 * kinds; a variant is one body of the interpreter. In memory an instruction is a whole number of
 * words: the handler's offset in 32 bits, then operands packed by size, a table of words last.
 * All tables are constant.
 */
#ifndef VM_OPS_OP_H
#define VM_OPS_OP_H

#include "base/compiler.h"
#include "vm/ops/op_ids.h"

/* Kinds of operands, as letters in op_variant.kinds; opgen.py explains them. */
/* What must be known of the place of an op: its address may come into a stack trace (frame and
 * line), or only hostile code makes it raise (the frame, for the unwinding). */
enum op_place { PLACE_NOWHERE, PLACE_FRAME, PLACE_LINE };

struct op_group {
    const char *name;
    uint16_t first, n;
    uint8_t place;
};

struct op_variant {
    const char *name;
    const char *kinds;              /* one letter for each operand */
    const char *types;              /* the same, before kinds were chosen: s and d */
    uint16_t size;                  /* bytes, without the table */
    uint8_t off[OP_OPERANDS_MAX];   /* where each operand lies */
};

/* Superinstruction: these ops in a row, with their operands concatenated. Longest first. */
struct op_fuse { uint8_t n; uint16_t ops[OP_FUSE_MAX]; uint16_t result; };

extern const struct op_group op_groups[OP_COUNT];
extern const struct op_variant op_variants[OP_VARIANTS];
extern const struct op_fuse op_fuses[OP_FUSES + 1];

/* Offset of the handler of each variant; set by engine_init. */
extern const int32_t *op_labels;

/* The variant of the instruction at `at`, or -1 if the word there is no handler. */
int op_variant_at(const void *at);

#endif
