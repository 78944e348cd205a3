/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port_frame.c - where packets and lines end in what a program writes
 */
#include "bif/port_frame.h"
#include "base/bytes.h"

static enum port_found packet_next(size_t head, const uint8_t *data, size_t len,
                                   struct port_frame *ret)
{
    struct reader r = reader_make(data, len);
    size_t body = reader_be(&r, head);

    if (!r.bad && body > PORT_PACKET_MAX)
        return PORT_TOO_LONG;
    if (r.bad || reader_left(&r) < body)
        return PORT_MORE;
    *ret = (struct port_frame){ data + head, body, head + body, false };
    return PORT_FOUND;
}

static enum port_found line_next(size_t most, const uint8_t *data, size_t len,
                                 struct port_frame *ret)
{
    /* a newline right behind the longest part still ends it */
    const uint8_t *end = len == 0 ? NULL : memchr(data, '\n', len <= most ? len : most + 1);

    if (end != NULL)
        *ret = (struct port_frame){ data, (size_t)(end - data), (size_t)(end - data) + 1, true };
    else if (len > most)
        *ret = (struct port_frame){ data, most, most, false };
    else
        return PORT_MORE;
    return PORT_FOUND;
}

enum port_found port_frame_next(const struct port_framing *f, const uint8_t *data, size_t len,
                                struct port_frame *ret)
{
    return f->packet != 0 ? packet_next(f->packet, data, len, ret)
                          : line_next(f->line, data, len, ret);
}
