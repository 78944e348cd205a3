/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slab.h - size-class memory for processes, heaps, signals and table rows
 *
 * Any thread may allocate and any thread may free what another allocated. Blocks are at least
 * 16-byte aligned. Callers pass the size back on free: nothing is stored in front of a block. A
 * size that is not the one allocated is caught when it is of another size class.
 */
#ifndef BASE_SLAB_H
#define BASE_SLAB_H

#include "base/compiler.h"

void *slab_alloc(size_t bytes);            /* uninitialised, never NULL */
void  slab_free(void *p, size_t bytes);    /* bytes as at slab_alloc; NULL is fine */

/* Take back what other threads have freed of this thread's. Happens by itself when the thread runs
 * out; a scheduler that allocates little calls it now and then. */
void slab_drain(void);
/* Give memory that has been idle for a second back to the system. Any thread, about once a second. */
void slab_trim(void);

/* Bytes now handed out by all slabs and large blocks; a sum over threads, never exact. */
uint64_t slab_bytes_in_use(void);

#endif
