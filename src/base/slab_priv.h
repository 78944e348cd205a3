/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slab_priv.h - the large side of slab.h: mapped blocks and what is kept of them
 */
#ifndef BASE_SLAB_PRIV_H
#define BASE_SLAB_PRIV_H

#include "base/compiler.h"

#define SLAB_SIZE_MAX   ((size_t)32 << 10)      /* larger: malloc */
#define LARGE_BYTES_MIN ((size_t)256 << 10)     /* from here on: mapped */

/* Map bytes (>= LARGE_BYTES_MIN), from freed blocks if possible. Any thread. */
void *large_alloc(size_t bytes);
void  large_free(void *p, size_t bytes);
void  large_trim(void);

/* Fresh address space, aligned to `align` (a power of two), never given back. */
void *map_aligned(size_t bytes, size_t align);

#endif
