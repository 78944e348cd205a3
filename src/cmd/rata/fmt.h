/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fmt.h - `rata fmt`
 */
#ifndef CMD_RATA_FMT_H
#define CMD_RATA_FMT_H

/* argv[0] is "fmt". The exit status. */
int cmd_fmt(int argc, char **argv);

#endif
