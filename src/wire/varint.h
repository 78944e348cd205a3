/* SPDX-License-Identifier: Apache-2.0 */
/*
 * varint.h - numbers and fields as protobuf writes them
 */
#ifndef WIRE_VARINT_H
#define WIRE_VARINT_H

#include "base/bytes.h"

#define VARINT_MAX 10

enum wire_type { WIRE_VARINT, WIRE_64, WIRE_BYTES, WIRE_32 = 5 };

ALWAYS_INLINE size_t varint_len(uint64_t v)
{
    return (size_t)(64 - __builtin_clzll(v | 1) + 6) / 7;
}

ALWAYS_INLINE uint8_t *varint_put(uint8_t *at, uint64_t v)
{
    while (v >= 0x80) {
        *at++ = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    *at++ = (uint8_t)v;
    return at;
}

ALWAYS_INLINE uint64_t varint_get(struct reader *r)
{
    uint64_t v = 0;

    if (LIKELY(r->at < r->end && *r->at < 0x80))
        return *r->at++;
    for (unsigned shift = 0; shift < 70 && r->at < r->end; shift += 7) {
        uint8_t b = *r->at++;

        v |= (uint64_t)(b & 0x7F) << shift;
        if (b < 0x80)
            return v;
    }
    r->bad = true;
    return 0;
}

/* A tag or a length: at most five bytes, as protobuf-c has it. */
ALWAYS_INLINE uint64_t varint_short(struct reader *r)
{
    const uint8_t *from = r->at;
    uint64_t v = varint_get(r);

    if (UNLIKELY(r->at - from > 5))
        r->bad = true;
    return v;
}

/* Pass over a field whose tag has been read. Groups are refused. */
ALWAYS_INLINE void field_skip(struct reader *r, uint64_t tag)
{
    switch (tag & 7) {
    case WIRE_VARINT: varint_get(r); break;
    case WIRE_64:     reader_take(r, 8); break;
    case WIRE_BYTES:  reader_take(r, varint_short(r)); break;
    case WIRE_32:     reader_take(r, 4); break;
    default:          r->bad = true;
    }
}

#endif
