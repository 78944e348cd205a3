/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arena.h - memory of one compile, load or request, freed whole
 *
 * One thread at a time. Allocation moves a pointer; nothing is freed alone. Blocks double up to
 * 1 MiB, so the waste is at most what is used.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/compiler.h"

struct arena {
    uint8_t *at, *end;              /* free part of the newest block */
    struct arena_block *blocks;     /* newest first */
    size_t next_bytes;              /* size of the next block */
    size_t used_bytes;              /* handed out so far, for limits */
};

/* A zeroed struct arena is an empty one. */
void arena_fini(struct arena *a);

/* Zeroed memory, aligned for any type, good until arena_fini. */
void *arena_alloc(struct arena *a, size_t bytes);
void *arena_array(struct arena *a, size_t n, size_t bytes);     /* n * bytes checked */
void *arena_dup(struct arena *a, const void *p, size_t bytes);
char *arena_strndup(struct arena *a, const char *s, size_t len);  /* adds the NUL */
char *arena_printf(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);

#define ARENA_NEW(a, type)          ((type *)arena_alloc((a), sizeof(type)))
#define ARENA_NEW_ARRAY(a, type, n) ((type *)arena_array((a), (n), sizeof(type)))

/* Make room in a growing array inside an arena: at least one more element than n. The old array
 * stays behind as waste, at most as much again. */
void *arena_grow(struct arena *a, void *array, size_t n, size_t *cap, size_t bytes);

#endif
