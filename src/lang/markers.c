/* SPDX-License-Identifier: Apache-2.0 */
/*
 * markers.c - receives that need not look at old messages
 *
 * A message that holds a reference cannot be older than the reference. So where the reference is
 * made the end of the mailbox is marked, and a receive all of whose clauses ask for it starts
 * there. lower.c writes such a receive with a use of the marker in front and a clear on all ways
 * out; what is left to do is to find the call that makes the reference. If there is none in this
 * function the marks go.
 */
#include "lang/low.h"

#include <string.h>

static bool makes_reference(const struct low_instr *in)
{
    static const struct { const char *name; unsigned min, max; } rows[] = {
        { "make_ref", 0, 0 }, { "monitor", 2, 3 }, { "alias", 0, 1 },
    };

    if (in == NULL || in->op != LO_CALL_EXT || strcmp(in->module->name, "erlang") != 0)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (strcmp(in->function->name, rows[i].name) == 0 && in->n >= rows[i].min
            && in->n <= rows[i].max)
            return true;
    return false;
}

/* Around the call, unless it is there already. */
static void mark_call(struct low *l, struct low_instr *call)
{
    struct low_block *b = l->vars[call->dst[0]].block;
    struct low_instr *reserve, *bind;

    if (call->prev != NULL && call->prev->op == LO_MARK_RESERVE)
        return;
    reserve = low_instr_bare(l, LO_MARK_RESERVE, 0, 1, 0);
    reserve->dst[0] = low_var_new(l);
    l->vars[reserve->dst[0]].def = reserve;
    l->vars[reserve->dst[0]].block = b;
    low_insert(b, call, reserve);
    bind = low_instr_bare(l, LO_MARK_BIND, 2, 0, 0);
    bind->args[0] = VAL_VAR(reserve->dst[0]);
    bind->args[1] = VAL_VAR(call->dst[0]);
    low_insert(b, call->next, bind);
}

void markers(struct low *l)
{
    for (uint32_t i = 0; i < l->n_blocks && l->loops; i++) {
        struct low_block *b = l->blocks[i];

        for (struct low_instr *in = b->first, *next; in != NULL; in = next) {
            struct low_instr *def;

            next = in->next;
            if (in->op != LO_MARK_USE && in->op != LO_MARK_CLEAR)
                continue;
            def = in->args[0].var != 0 ? l->vars[in->args[0].var].def : NULL;
            if (!makes_reference(def))
                low_remove(b, in);
            else if (in->op == LO_MARK_USE)
                mark_call(l, def);
        }
    }
}
