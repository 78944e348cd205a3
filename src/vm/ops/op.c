/* SPDX-License-Identifier: Apache-2.0 */
/*
 * op.c - the tables that opgen.py makes
 */
#include "vm/ops/op.h"

#include "base/alloc.h"

#include <stdatomic.h>

#include "vm/ops/op_table.inc"

const int32_t *op_labels;

int op_variant_at(const void *at)
{
    int32_t label = *(const int32_t *)at;

    for (int i = 0; i < OP_VARIANTS; i++)
        if (op_labels[i] == label)
            return i;
    return -1;
}
