/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slab.c - size classes over malloc
 */
#include "base/slab.h"

#include "base/alloc.h"

#include <malloc.h>

void *slab_alloc(size_t bytes)
{
    return mem_alloc(bytes);
}

void slab_free(void *p, size_t bytes)
{
    mem_free(p);
}

uint64_t slab_bytes_in_use(void)
{
    struct mallinfo2 mi = mallinfo2();

    return mi.uordblks + mi.hblkhd;
}
