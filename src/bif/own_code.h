/* SPDX-License-Identifier: Apache-2.0 */
/*
 * own_code.h - modules that the node brings itself, in its own assembler
 */
#ifndef BIF_OWN_CODE_H
#define BIF_OWN_CODE_H

#include "term/atom.h"

/* Load prim_eval and the loop of ports. Once, after vm_start. */
void own_code_start(void);

/* Assemble and load a module of ours; false: the text is wrong. */
bool own_code_load(const char *text, size_t len, term module);

/* A piece of code for the machine itself, in a frame of y0 and y1: x0 is {State, M, F, A}. M:F(A)
 * is applied under a catch; then x0 is State and x1 the result. Once a function. */
#define OWN_CODE_APPLY \
    "    get_tuple_element x0 0 y0\n" \
    "    get_tuple_element x0 1 x4\n" \
    "    get_tuple_element x0 2 x1\n" \
    "    get_tuple_element x0 3 x2\n" \
    "    move x4 x0\n" \
    "    catch y1 @caught\n" \
    "    line\n" \
    "    call_ext 3 erlang:apply/3\n" \
    "  caught:\n" \
    "    catch_end y1\n" \
    "    move x0 x1\n" \
    "    move y0 x0\n" \
    "    init_yregs [y0]\n"

#endif
