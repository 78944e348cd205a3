/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plug.h - the compiler of Rata for programs that run in the node
 */
#ifndef CMD_RATA_PLUG_H
#define CMD_RATA_PLUG_H

/* Fill bif/lang.h's hook. Before vm_start. */
void rata_plug(void);

#endif
