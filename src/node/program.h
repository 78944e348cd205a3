/* SPDX-License-Identifier: Apache-2.0 */
/*
 * program.h - the end of a virtual machine that runs one program
 *
 * The main thread waits; whoever ends the program first, a result or erlang:halt, decides its exit
 * code.
 */
#ifndef NODE_PROGRAM_H
#define NODE_PROGRAM_H

#include "base/compiler.h"

/* Let halts and crash reports of processes come here. Once, before boot_vm. */
void program_plug(void);
/* Any thread; the first one counts. */
void program_end(int exit);
/* Wait for program_end, write out what was printed, and give its exit code; `unwritten` if the
 * output could not be written. Main thread. */
MUST_CHECK int program_wait(int unwritten);

#endif
