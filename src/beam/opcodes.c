/* SPDX-License-Identifier: Apache-2.0 */
/*
 * opcodes.c - the rows of opcodes.tab as data
 */
#include "beam/opcodes.h"
#include "base/assert.h"

#include <string.h>

#define ACCEPTED true
#define REFUSED  false
static const struct beam_op_info infos[] = {
#define OP(number, name, arity, status, operands) [number] = { #name, operands, arity, status },
#include "beam/opcodes.tab"
#undef OP
};
#undef ACCEPTED
#undef REFUSED

const struct beam_op_info *beam_op_info(unsigned op)
{
    return &infos[op < ARRAY_LEN(infos) ? op : 0];
}

unsigned beam_op_find(const char *name, size_t len)
{
    ASSERT(name != NULL);
    for (unsigned op = 1; op < ARRAY_LEN(infos); op++) {
        const char *have = infos[op].name;

        if (have != NULL && strlen(have) == len && memcmp(have, name, len) == 0)
            return op;
    }
    return 0;
}
