/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port_frame.h - where packets and lines end in what a program writes
 *
 * Pure functions of their arguments.
 */
#ifndef BIF_PORT_FRAME_H
#define BIF_PORT_FRAME_H

#include "base/compiler.h"

#define PORT_PACKET_MAX (1u << 27)  /* bytes; a longer one would be memory that a program asks for */
#define PORT_LINE_MAX   (1u << 24)

struct port_framing {
    uint8_t  packet;        /* bytes of the length in front of each packet: 1, 2, 4; 0: lines */
    uint32_t line;          /* longest part of a line, 1 to PORT_LINE_MAX */
};

struct port_frame {
    const uint8_t *data;    /* lent */
    size_t len;
    size_t used;            /* bytes that it took, with its length or its newline */
    bool ended;             /* a line, or its last part: there was a newline */
};

enum port_found { PORT_FOUND, PORT_MORE, PORT_TOO_LONG };

/* The first packet, or part of a line, of data; MORE: it is not whole yet. */
enum port_found port_frame_next(const struct port_framing *f, const uint8_t *data, size_t len,
                                struct port_frame *ret);

#endif
