/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pager.h - text that is longer than the screen goes through $PAGER
 *
 * One thread.
 */
#ifndef CTL_PAGER_H
#define CTL_PAGER_H

#include "base/compiler.h"

#include <stdio.h>

/* Is out a terminal, and is a pager wanted by $PAGER ("" and "cat" are none)? */
bool pager_wanted(FILE *out);
/* Write text to out; through the pager when it has more lines than the terminal. */
void pager_show(FILE *out, const char *text, size_t len);
/* The same with the size of the terminal given: does it need more lines than these? */
bool pager_is_longer(const char *text, size_t len, unsigned rows, unsigned columns);

#endif
