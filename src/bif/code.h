/* SPDX-License-Identifier: Apache-2.0 */
/*
 * code.h - finding and loading module files for the built-ins of code and error_handler
 *
 * All functions: the scheduler that runs p, from a built-in.
 */
#ifndef BIF_CODE_H
#define BIF_CODE_H

#include "bif/bif.h"

/* Outcome of waiting for a file. */
enum load_state {
    LOAD_WAITING,       /* return TERM_NONE now and come again */
    LOAD_DONE,          /* the module is current */
    LOAD_NO_FILE,       /* no such file on the code path */
    LOAD_BAD_FILE,      /* refused; the reason was logged */
    LOAD_BUSY,          /* old code is in the way */
    LOAD_ON_LOAD_FAILED, /* its on_load function did not return ok: it is not loaded */
};

/* Read Module.beam from the code path (or dir/Module.beam when path is not NULL) on a blocking
 * thread and commit it. Call again with the same arguments when the built-in is. n, args: those
 * of the built-in. */
enum load_state module_load(struct process *p, term module, const char *path, size_t n,
                            const term *args);

/* Run the on_load function of module, just committed, in a process of its own: the process, or
 * TERM_NONE: it has no such function, or the process table is full (then it is not loaded). */
term on_load_start(struct process *p, term module);
/* The same for a built-in that has loaded it: its result is {module, M} or {error,
 * on_load_failure} when the function has returned. */
term on_load_begin(struct process *p, term module);
/* Take note of on_load functions that return. Part of bif_init. */
void code_load_init(void);

/* Full name of the first file of that name on the code path, or NULL; the caller's to free. May
 * block for a moment. */
char *code_find_file(const char *name);
/* Note where a module came from, and ask: NULL when unknown. Lent for ever. */
void module_set_file(term module, const char *path);
const char *module_file(term module);

#endif
