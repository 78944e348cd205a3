/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli.h - rnodectl: command line to request, answer to terminal, result to exit code
 */
#ifndef CTL_CLI_H
#define CTL_CLI_H

/* Everything rnodectl does; the result is its exit code. One thread, once per program. */
int cli_main(int argc, char **argv);

#endif
