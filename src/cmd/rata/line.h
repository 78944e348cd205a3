/* SPDX-License-Identifier: Apache-2.0 */
/*
 * line.h - the line editor of `rata repl`
 */
#ifndef CMD_RATA_LINE_H
#define CMD_RATA_LINE_H

/* Make libedit the line editor of this program. Before the machine starts. */
void line_editor_plug(void);

#endif
