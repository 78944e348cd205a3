/* SPDX-License-Identifier: Apache-2.0 */
/*
 * init.h - what a program says about itself to init
 */
#ifndef BIF_INIT_H
#define BIF_INIT_H

/* What init:get_plain_arguments/0 answers: NULL-terminated, lent for ever. Before vm_start. */
void init_set_plain_arguments(char *const *args);

#endif
