/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arena.c - blocks in a list, a pointer into the newest
 */
#include "base/arena.h"

#include "base/alloc.h"
#include "base/assert.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define FIRST_BYTES 4096u
#define BLOCK_MAX   (1u << 20)
#define ALIGN       16u

struct arena_block {
    struct arena_block *older;
    uint64_t pad;                   /* keeps what follows aligned to 16 */
};

void arena_fini(struct arena *a)
{
    struct arena_block *b = a->blocks;

    while (b != NULL) {
        struct arena_block *older = b->older;

        mem_free(b);
        b = older;
    }
    *a = (struct arena){ 0 };
}

/* What is left of the old block is given up; a large request gets a block of its own size. */
static void add_block(struct arena *a, size_t bytes)
{
    size_t size = a->next_bytes != 0 ? a->next_bytes : FIRST_BYTES;
    struct arena_block *b;

    a->next_bytes = size < BLOCK_MAX ? size * 2 : size;
    if (size < bytes)
        size = bytes;
    b = mem_zalloc(sizeof *b + size);
    b->older = a->blocks;
    a->blocks = b;
    a->at = (uint8_t *)(b + 1);
    a->end = a->at + size;
}

void *arena_alloc(struct arena *a, size_t bytes)
{
    void *p;

    ASSERT(bytes <= SIZE_MAX / 2);
    bytes = (bytes + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    if (bytes > (size_t)(a->end - a->at))
        add_block(a, bytes);
    p = a->at;
    a->at += bytes;
    a->used_bytes += bytes;
    return p;
}

void *arena_array(struct arena *a, size_t n, size_t bytes)
{
    ASSERT(bytes == 0 || n <= SIZE_MAX / 2 / bytes);
    return arena_alloc(a, n * bytes);
}

void *arena_dup(struct arena *a, const void *p, size_t bytes)
{
    void *copy = arena_alloc(a, bytes);

    if (bytes > 0)
        memcpy(copy, p, bytes);
    return copy;
}

char *arena_strndup(struct arena *a, const char *s, size_t len)
{
    char *copy = arena_alloc(a, len + 1);

    if (len > 0)
        memcpy(copy, s, len);
    return copy;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap, again;
    int len;
    char *text;

    va_start(ap, fmt);
    va_copy(again, ap);
    len = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    ASSERT(len >= 0);
    text = arena_alloc(a, (size_t)len + 1);
    vsnprintf(text, (size_t)len + 1, fmt, again);
    va_end(again);
    return text;
}

void *arena_grow(struct arena *a, void *array, size_t n, size_t *cap, size_t bytes)
{
    void *bigger;

    if (n < *cap)
        return array;
    *cap = *cap != 0 ? *cap * 2 : 8;
    bigger = arena_array(a, *cap, bytes);
    if (n > 0)
        memcpy(bigger, array, n * bytes);
    return bigger;
}
