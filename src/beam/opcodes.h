/* SPDX-License-Identifier: Apache-2.0 */
/*
 * opcodes.h - names, numbers and arities of the generic instructions (rows: opcodes.tab)
 */
#ifndef BEAM_OPCODES_H
#define BEAM_OPCODES_H

#include "base/compiler.h"

enum beam_op {
#define OP(number, name, arity, status, operands) BOP_##name = number,
#include "beam/opcodes.tab"
#undef OP
    BOP_END
};

#define BEAM_OP_MAX    (BOP_END - 1)
#define BEAM_ARITY_MAX 8

struct beam_op_info {
    const char *name;       /* NULL: no such number */
    const char *operands;   /* letters as the legend of opcodes.tab has them */
    uint8_t arity;
    bool accepted;
};

/* Row of op; any number is fine, an unknown one gives a row with name NULL. */
const struct beam_op_info *beam_op_info(unsigned op);
/* Number of the instruction of that name, or 0. */
unsigned beam_op_find(const char *name, size_t len);

#endif
