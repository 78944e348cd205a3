/* SPDX-License-Identifier: Apache-2.0 */
/*
 * own_code.c - modules of OTP's core that the node brings itself, in its own assembler
 *
 * prim_eval:'receive'(Fun, Timeout) is how erl_eval receives: it offers each message to Fun, which
 * answers `nomatch` for one that shall stay in the mailbox. The loop has to be made of the
 * instructions of receive, so it is no built-in.
 */
#include "bif/own_code.h"
#include "bif/port.h"
#include "vm/code.h"

static const char prim_eval_text[] =
    "module prim_eval\n"
    "export 'receive'/2\n"
    "function 'receive'/2\n"
    "    allocate 2 2\n"
    "    move x0 y0\n"
    "    move x1 y1\n"
    "  next:\n"
    "    loop_rec @idle x0\n"
    "    move y0 x1\n"
    "    line\n"
    "    call_fun 1\n"
    "    is_ne_exact @stays x0 nomatch\n"
    "    remove_message\n"
    "    deallocate 2\n"
    "    return\n"
    "  stays:\n"
    "    loop_rec_end @next\n"
    "  idle:\n"
    "    wait_timeout @next y1\n"
    "    timeout\n"
    "    move timeout x0\n"
    "    deallocate 2\n"
    "    return\n";

bool own_code_load(const char *text, size_t len, term module)
{
    struct load_error why;
    struct prepared *prepared;
    term busy = TERM_NONE;

    return code_prepare_text(text, len, atom_text(module, NULL), module, &prepared, &why) == 0 &&
           code_commit(&prepared, 1, &busy) == 0;
}

void own_code_start(void)
{
    bool loaded = own_code_load(prim_eval_text, sizeof prim_eval_text - 1,
                                atom_from_cstr("prim_eval"));

    ASSERT(loaded);
    port_init();
}
