/* SPDX-License-Identifier: Apache-2.0 */
/*
 * assert.c - the end of a process that found a bug in itself
 */
#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

static void (*dump_hook)(void);

void assert_set_dump(void (*dump)(void))
{
    dump_hook = dump;
}

void assert_failed(const char *file, int line, const char *func, const char *text)
{
    void (*dump)(void) = dump_hook;

    dump_hook = NULL; /* a second failure inside the dump must not come back here */
    fprintf(stderr, "rnode: bug: %s:%d: %s: %s\n", file, line, func, text);
    if (dump != NULL)
        dump();
    abort();
}
