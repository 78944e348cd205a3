/* SPDX-License-Identifier: Apache-2.0 */
/*
 * alloc.h - memory for everything that is not on a process heap or in a slab
 *
 * Any thread. Running out of memory ends the node: no caller could do better, and the limits on
 * what users may grow are elsewhere. Sizes of 0 give a unique pointer.
 */
#ifndef BASE_ALLOC_H
#define BASE_ALLOC_H

#include "base/compiler.h"

void *mem_alloc(size_t bytes);                       /* uninitialised; free with mem_free */
void *mem_zalloc(size_t bytes);                      /* zeroed */
void *mem_realloc(void *p, size_t bytes);            /* takes p; NULL is fine */
void *mem_array(size_t n, size_t bytes);             /* zeroed, n * bytes checked for overflow */
void  mem_free(void *p);                             /* NULL is fine */
char *mem_strdup(const char *s);
void *mem_dup(const void *p, size_t bytes);
char *mem_printf(const char *fmt, ...) PRINTF_LIKE(1, 2);

#define MEM_NEW(type)          ((type *)mem_zalloc(sizeof(type)))
#define MEM_NEW_ARRAY(type, n) ((type *)mem_array((n), sizeof(type)))

/* Bytes of memory in use by the whole process, as the system counts them. */
uint64_t mem_resident_bytes(void);

#endif
