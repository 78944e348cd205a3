/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bytes.h - reading and writing byte strings that come from or go to the outside
 *
 * A reader never looks past its end: a read that does not fit gives zero and sets `bad`, which
 * stays set, so a parser may read a whole record and check once. A writer grows as needed.
 */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include "base/compiler.h"

#include <string.h>

struct reader {
    const uint8_t *at, *end;
    bool bad;
};

ALWAYS_INLINE struct reader reader_make(const void *data, size_t len)
{
    return (struct reader){ data, len != 0 ? (const uint8_t *)data + len : data, false };
}

ALWAYS_INLINE size_t reader_left(const struct reader *r)
{
    return (size_t)(r->end - r->at);
}

/* Lend len bytes and move past them; NULL (and bad) when fewer are left. */
ALWAYS_INLINE const uint8_t *reader_take(struct reader *r, size_t len)
{
    const uint8_t *p = r->at;

    if (UNLIKELY(r->bad || len > reader_left(r))) {
        r->bad = true;
        return NULL;
    }
    r->at += len;
    return p;
}

ALWAYS_INLINE uint64_t reader_be(struct reader *r, size_t bytes)
{
    const uint8_t *p = reader_take(r, bytes);
    uint64_t v = 0;

    for (size_t i = 0; p != NULL && i < bytes; i++)
        v = v << 8 | p[i];
    return v;
}

#define reader_u8(r)  ((uint8_t)reader_be(r, 1))
#define reader_u16(r) ((uint16_t)reader_be(r, 2))
#define reader_u32(r) ((uint32_t)reader_be(r, 4))
#define reader_u64(r) reader_be(r, 8)

/* FNV-1a: for short keys that no adversary chooses. */
ALWAYS_INLINE uint32_t bytes_hash(const void *data, size_t len)
{
    uint32_t h = 2166136261u;

    for (size_t i = 0; i < len; i++)
        h = (h ^ ((const uint8_t *)data)[i]) * 16777619u;
    return h;
}

/* Where the UTF-8 character begins that byte `at` is part of; text[at] may be the NUL at the end. */
ALWAYS_INLINE size_t utf8_start(const void *text, size_t at)
{
    while (at > 0 && (((const uint8_t *)text)[at] & 0xC0) == 0x80)
        at--;
    return at;
}

/* The end of s is `end`. */
bool text_ends_with(const char *s, const char *end);

/* A growing byte string; zero-initialise it, release it with buf_fini. */
struct buf {
    uint8_t *data;
    size_t len, cap;
};

void  buf_fini(struct buf *b);
void *buf_room(struct buf *b, size_t len);          /* len more bytes at the end, uninitialised; counts them */
void  buf_add(struct buf *b, const void *p, size_t len);
void  buf_str(struct buf *b, const char *s);
void  buf_u8(struct buf *b, uint8_t v);
void  buf_markup(struct buf *b, const char *s, size_t len); /* as text of HTML and XML */
void  buf_be(struct buf *b, uint64_t v, size_t bytes);
void  buf_hex(struct buf *b, const uint8_t *bytes, size_t len);
void  buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
char *buf_cstr(struct buf *b);                      /* NUL after the end, not counted; lent */

#endif
