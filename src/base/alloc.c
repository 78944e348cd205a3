/* SPDX-License-Identifier: Apache-2.0 */
/*
 * alloc.c - malloc that does not come back empty-handed
 */
#include "base/alloc.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static NORETURN void out_of_memory(size_t bytes)
{
    fprintf(stderr, "rnode: out of memory: %zu bytes were asked for\n", bytes);
    abort();
}

void *mem_alloc(size_t bytes)
{
    void *p = malloc(bytes != 0 ? bytes : 1);

    if (UNLIKELY(p == NULL))
        out_of_memory(bytes);
    return p;
}

void *mem_zalloc(size_t bytes)
{
    void *p = calloc(1, bytes != 0 ? bytes : 1);

    if (UNLIKELY(p == NULL))
        out_of_memory(bytes);
    return p;
}

void *mem_realloc(void *p, size_t bytes)
{
    void *q = realloc(p, bytes != 0 ? bytes : 1);

    if (UNLIKELY(q == NULL))
        out_of_memory(bytes);
    return q;
}

void *mem_array(size_t n, size_t bytes)
{
    size_t total;

    if (__builtin_mul_overflow(n, bytes, &total))
        out_of_memory(SIZE_MAX);
    return mem_zalloc(total);
}

void mem_free(void *p)
{
    free(p);
}

char *mem_strdup(const char *s)
{
    return mem_dup(s, strlen(s) + 1);
}

void *mem_dup(const void *p, size_t bytes)
{
    void *q = mem_alloc(bytes);

    if (bytes != 0)
        memcpy(q, p, bytes);
    return q;
}

char *mem_printf(const char *fmt, ...)
{
    char *s;
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&s, fmt, ap) < 0)
        out_of_memory(0);
    va_end(ap);
    return s;
}

uint64_t mem_resident_bytes(void)
{
    FILE *in = fopen("/proc/self/statm", "re");
    unsigned long long pages = 0;

    if (in == NULL)
        return 0;
    if (fscanf(in, "%*u %llu", &pages) != 1)
        pages = 0;
    fclose(in);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}
