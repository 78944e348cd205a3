/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lists.c - searching, appending and subtracting lists
 */
#include "bif/bif.h"
#include "term/compare.h"

term bif_lists_member(struct process *p, const term *a)
{
    term list = a[1];

    for (; is_cons(list); list = cdr(list))
        if (term_eq(a[0], car(list)))
            return ATOM_true;
    return is_nil(list) ? ATOM_false : bif_badarg(p);
}
