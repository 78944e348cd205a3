/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernel_sup.c - the processes `kernel_sup` and `kernel_safe_sup`, which OTP's libraries ask to
 * start their own servers
 *
 * timer, for one, has its server started by the supervisor of the application kernel. Without that
 * application these processes answer: each starts the child that a start_child request describes, and
 * does not restart it. The loop is code for the machine itself; see io_leader.c for its like.
 */
#include "bif/bif.h"
#include "bif/io.h"
#include "bif/own_code.h"
#include "base/epoch.h"
#include "heap/map.h"
#include "vm/code.h"
#include "vm/registry.h"

/* request/1 gives the atom done, or {From, M, F, A}: apply M:F(A), give From and the result to
 * reply/2. */
static const char loop_text[] =
    "module rnode_sup\n"
    "export loop/0\n"
    "function loop/0\n"
    "    allocate 2 0\n"
    "    init_yregs [y0 y1]\n"
    "    move trap_exit x0\n"
    "    move true x1\n"
    "    line\n"
    "    call_ext 2 erlang:process_flag/2\n"
    "  next:\n"
    "    loop_rec @idle x0\n"
    "    remove_message\n"
    "    line\n"
    "    call_ext 1 rnode_sup:request/1\n"
    "    is_tuple @again x0\n"
    OWN_CODE_APPLY
    "    line\n"
    "    call_ext 2 rnode_sup:reply/2\n"
    "  again:\n"
    "    jump @next\n"
    "  idle:\n"
    "    wait @next\n";

/* The {M, F, Args} of a child specification, a map or the older tuple; TERM_NONE: neither. */
static term child_start(term spec)
{
    term start = TERM_NONE;

    if (is_map(spec))
        start = map_get(spec, ATOM_start);
    else if (is_tuple(spec) && tuple_arity(spec) >= 2)
        start = tuple_elem(spec, 1);
    return start != TERM_NONE && is_tuple_n(start, 3) ? start : TERM_NONE;
}

term bif_sup_reply(struct process *p, const term *a)
{
    term from = a[0];

    process_send(p, tuple_elem(from, 0), heap_tuple2(&p->heap, tuple_elem(from, 1), a[1]));
    return ATOM_done;
}

term bif_sup_request(struct process *p, const term *a)
{
    term msg = a[0], from, request, start;

    if (!is_tuple_n(msg, 3) || tuple_elem(msg, 0) != ATOM_gen_call ||
        !is_tuple_n(tuple_elem(msg, 1), 2) || !is_pid(tuple_elem(tuple_elem(msg, 1), 0)))
        return ATOM_done;
    from = tuple_elem(msg, 1);
    request = tuple_elem(msg, 2);
    start = is_tuple_n(request, 2) && tuple_elem(request, 0) == ATOM_start_child
                ? child_start(tuple_elem(request, 1)) : TERM_NONE;
    if (start == TERM_NONE) {
        term reply[] = { from, request == ATOM_which_children ? TERM_NIL
                                   : heap_tuple2(&p->heap, ATOM_error, ATOM_notsup) };

        return bif_sup_reply(p, reply);
    }
    return heap_tuple4(&p->heap, from, tuple_elem(start, 0), tuple_elem(start, 1),
                       tuple_elem(start, 2));
}

void kernel_sup_start(void)
{
    struct spawn_options opt = { .prio = PRIO_NORMAL, .group_leader = TERM_NONE,
                                 .monitor_opts = TERM_NONE };
    static const char *const names[] = { "kernel_sup", "kernel_safe_sup" };
    struct load_error why;
    struct prepared *prepared;
    term module = TERM_NONE, pid;
    int rc = code_prepare_text(loop_text, sizeof loop_text - 1, "kernel_sup",
                               atom_from_cstr("rnode_sup"), &prepared, &why);

    if (rc == 0)
        rc = code_commit(&prepared, 1, &module);
    ASSERT(rc == 0);
    epoch_enter();
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        pid = process_spawn_mfa(NULL, atom_from_cstr("rnode_sup"), ATOM_loop, TERM_NIL, &opt, NULL);
        ASSERT(pid != TERM_NONE);
        registry_add(atom_from_cstr(names[i]), pid);
    }
    epoch_leave();
}
