/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run_main.h - rnoded --run: one private virtual machine in the foreground
 */
#ifndef NODE_RUN_MAIN_H
#define NODE_RUN_MAIN_H

#include "node/options.h"

struct run_command {
    const char *target;             /* MODULE[:FUNCTION] or FILE.beam[:FUNCTION] */
    const char *const *code_path;   /* NULL-terminated */
    char *const *args;              /* NULL-terminated: strings for FUNCTION/1 */
    unsigned schedulers;            /* 0: the default */
    const char *store;              /* folder of a store, NULL: none */
    const struct options *options;  /* how to keep it */
};

/* Run it, and end the program with its exit code: from the main thread, once. */
NORETURN void run_main(const struct run_command *cmd);

#endif
