/* SPDX-License-Identifier: Apache-2.0 */
/*
 * line.h - the line editor of `rata repl`
 */
#ifndef CMD_RATA_LINE_H
#define CMD_RATA_LINE_H

/* Make libedit the line editor of this program. Before the machine starts. */
void line_editor_plug(void);

/* On a terminal, and for a program that has a machine: from now on Ctrl-C does not end the program
 * but sends the atom interrupt to the process registered as rata_repl. Before the machine starts. */
void line_watch_interrupts(void);

#endif
