/* SPDX-License-Identifier: Apache-2.0 */
/*
 * own_code.h - modules that the node brings itself, in its own assembler
 */
#ifndef BIF_OWN_CODE_H
#define BIF_OWN_CODE_H

#include "term/atom.h"

/* Load prim_eval. Once, after vm_start. */
void own_code_start(void);

/* Assemble and load a module of ours; false: the text is wrong. */
bool own_code_load(const char *text, size_t len, term module);

#endif
