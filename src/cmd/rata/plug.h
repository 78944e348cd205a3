/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plug.h - the compiler of Rata for programs that run in the node
 */
#ifndef CMD_RATA_PLUG_H
#define CMD_RATA_PLUG_H

/* Fill bif/lang.h's hook. Before vm_start. */
void rata_plug(void);

/* found for each module, function and core function whose name begins with start; arity -1: it is
 * no function. Any thread, while the VM runs. */
typedef void (*rata_found)(void *arg, const char *word, int arity);
void rata_complete(const char *start, rata_found found, void *arg);

#endif
