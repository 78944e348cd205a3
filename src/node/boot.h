/* SPDX-License-Identifier: Apache-2.0 */
/*
 * boot.h - bringing the virtual machine up, in the one order that works
 */
#ifndef NODE_BOOT_H
#define NODE_BOOT_H

#include "base/bytes.h"
#include "term/term.h"

struct boot_options {
    uint32_t atoms_max, processes_max;  /* 0: the default */
    unsigned schedulers, job_threads;   /* 0: the default */
    const char *const *code_path;       /* NULL-terminated, or NULL; our library comes last */
};

/* Start the engine and its threads. Once per program, from its main thread. */
void boot_vm(const struct boot_options *opt);

/* Load one module: from path when that ends in .beam, else Module.beam of the code path, unless it
 * is loaded already. *ret_module is its name. On failure the reason is appended to errors. */
MUST_CHECK int load_module(const char *name_or_path, term *ret_module, struct buf *errors);

#endif
