/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bif.h - the C functions behind the built-ins, and their registration
 *
 * Each .tab named in tables.tab lists rows; here every row becomes a prototype, so a source file
 * of this room includes this header first. All functions have the type bif_fn of vm/bif.h.
 */
#ifndef BIF_BIF_H
#define BIF_BIF_H

#include "vm/bif.h"

#define BIF(module, function, arity, kind, fn) term fn(struct process *p, const term *a);
#define BIF_NOFN(module, function, arity, kind)
#include "bif/tables.tab"
#undef BIF
#undef BIF_NOFN

/* Register every built-in with the engine; once, before the first module is loaded. */
void bif_init(void);

/* Let process_info answer for other processes, and for the control socket. Part of bif_init. */
void process_info_init(void);

/* All rows, for coverage tests. */
extern const struct bif bif_table[];
extern const size_t bif_table_len;

#endif
