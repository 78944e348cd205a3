/* SPDX-License-Identifier: Apache-2.0 */
/*
 * connect.h - `rata repl --connect`: the REPL of a running node
 */
#ifndef CMD_RATA_CONNECT_H
#define CMD_RATA_CONNECT_H

/* Read lines until the end, evaluate them on the node (as rnodectl's -c names it; NULL: the one it
 * would take), show what they print. The exit status. */
int repl_connect(const char *node);

#endif
