/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shell.h - rnodectl shell: commands and calls, a line each
 */
#ifndef CTL_SHELL_H
#define CTL_SHELL_H

#include "ctl/cli_priv.h"

/* Until the end of the input; the exit code of the last line. */
int cli_shell(struct cli *cli);

#endif
