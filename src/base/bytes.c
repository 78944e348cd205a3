/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bytes.c - the growing side of bytes.h
 */
#include "base/bytes.h"

#include "base/alloc.h"

#include <stdarg.h>
#include <stdio.h>

void buf_fini(struct buf *b)
{
    mem_free(b->data);
    *b = (struct buf){ 0 };
}

void *buf_room(struct buf *b, size_t len)
{
    if (len > b->cap - b->len || b->data == NULL) {
        size_t cap = b->cap < 64 ? 64 : b->cap;

        while (cap - b->len < len)
            cap *= 2;
        b->data = mem_realloc(b->data, cap);
        b->cap = cap;
    }
    b->len += len;
    return b->data + b->len - len;
}

void buf_add(struct buf *b, const void *p, size_t len)
{
    if (len != 0)
        memcpy(buf_room(b, len), p, len);
}

void buf_str(struct buf *b, const char *s)
{
    buf_add(b, s, strlen(s));
}

void buf_u8(struct buf *b, uint8_t v)
{
    *(uint8_t *)buf_room(b, 1) = v;
}

void buf_be(struct buf *b, uint64_t v, size_t bytes)
{
    uint8_t *p = buf_room(b, bytes);

    for (size_t i = 0; i < bytes; i++)
        p[i] = (uint8_t)(v >> (8 * (bytes - 1 - i)));
}

void buf_hex(struct buf *b, const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        buf_printf(b, "%02x", bytes[i]);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    int len;

    va_start(ap, fmt);
    len = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (len <= 0)
        return;
    va_start(ap, fmt);
    vsnprintf(buf_room(b, (size_t)len + 1), (size_t)len + 1, fmt, ap);
    va_end(ap);
    b->len--; /* the NUL is not part of the string */
}

char *buf_cstr(struct buf *b)
{
    *(uint8_t *)buf_room(b, 1) = 0;
    b->len--;
    return (char *)b->data;
}

void buf_markup(struct buf *b, const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        switch (s[i]) {
        case '&': buf_str(b, "&amp;"); break;
        case '<': buf_str(b, "&lt;"); break;
        case '>': buf_str(b, "&gt;"); break;
        case '"': buf_str(b, "&quot;"); break;
        default: buf_u8(b, (uint8_t)s[i]);
        }
    }
}

bool text_ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);

    return n >= m && strcmp(s + n - m, end) == 0;
}
