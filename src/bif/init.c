/* SPDX-License-Identifier: Apache-2.0 */
/*
 * init.c - what programs ask of OTP's init: a node of ours has no emulator flags and is always
 * started
 */
#include "bif/bif.h"

#include "bif/init.h"
#include "heap/heap.h"
#include "vm/hooks.h"

static char *const *plain_arguments;

void init_set_plain_arguments(char *const *args)
{
    plain_arguments = args;
}

/* The words behind the program's name, as lists of characters. */
term bif_init_get_plain_arguments_0(struct process *p, const term *a)
{
    term list = TERM_NIL;
    size_t n = 0;

    (void)a;
    while (plain_arguments != NULL && plain_arguments[n] != NULL)
        n++;
    while (n-- > 0)
        list = heap_cons(&p->heap, heap_cstr(&p->heap, plain_arguments[n]), list);
    return list;
}

term bif_init_get_arguments_0(struct process *p, const term *a)
{
    (void)p;
    (void)a;
    return TERM_NIL;
}

term bif_init_get_argument_1(struct process *p, const term *a)
{
    return is_atom(a[0]) ? ATOM_error : bif_badarg(p);
}

term bif_init_get_status_0(struct process *p, const term *a)
{
    term started = atom_from_cstr("started");

    (void)a;
    return heap_tuple2(&p->heap, started, started);
}

term bif_init_stop_0(struct process *p, const term *a)
{
    (void)p;
    (void)a;
    if (vm_halt_hook != NULL)
        vm_halt_hook(0, false, true);
    return ATOM_ok;
}

term bif_init_stop_1(struct process *p, const term *a)
{
    if (!is_small(a[0]) && !is_list(a[0]))
        return bif_badarg(p);
    if (vm_halt_hook != NULL)
        vm_halt_hook(is_small(a[0]) ? (int)small_val(a[0]) : 1, false, true);
    return ATOM_ok;
}
