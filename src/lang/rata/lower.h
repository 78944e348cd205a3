/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lower.h - from a resolved tree to Core
 */
#ifndef LANG_RATA_LOWER_H
#define LANG_RATA_LOWER_H

#include "lang/core.h"
#include "lang/rata/resolve.h"

/* The program must be free of errors. Trees are used up: lower each once. */
struct core_module *rata_lower_module(struct program *pr, struct module *m);
/* 'Rata.Script' with main/0; with pr->preset main/1, which takes the list of the preset values and
 * returns {Value, [{Name, Value}]} with all names of the outermost block. */
struct core_module *rata_lower_script(struct program *pr);

#endif
