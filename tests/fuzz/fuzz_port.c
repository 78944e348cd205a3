/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_port.c - packets and lines in what a program writes
 *
 * The first two bytes choose the framing. Frames lie within the data, one behind the other, and say
 * the same whether all is there or only a part of it came first.
 */
#include "bif/port_frame.h"

#include "base/assert.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct port_framing *f, const struct port_frame *frame, const uint8_t *at,
                  size_t left)
{
    ASSERT(frame->used > 0 && frame->used <= left);
    ASSERT(frame->data >= at && frame->data + frame->len <= at + frame->used);
    if (f->packet != 0) {
        ASSERT(frame->used == frame->len + f->packet);
    } else {
        ASSERT(frame->len <= f->line && memchr(frame->data, '\n', frame->len) == NULL);
        ASSERT(frame->ended ? at[frame->used - 1] == '\n' : frame->len == f->line);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t packets[] = { 0, 1, 2, 4 };
    struct port_framing f;
    struct port_frame frame, again;
    size_t at = 2;

    if (size < 2)
        return 0;
    f = (struct port_framing){ packets[data[0] & 3], 1u + data[1] };
    while (port_frame_next(&f, data + at, size - at, &frame) == PORT_FOUND) {
        check(&f, &frame, data + at, size - at);
        /* one more byte may be wanted, to see whether it is a newline */
        if (frame.used < size - at) {
            ASSERT(port_frame_next(&f, data + at, frame.used + 1, &again) == PORT_FOUND);
            ASSERT(again.data == frame.data && again.len == frame.len && again.used == frame.used);
        }
        ASSERT(port_frame_next(&f, data + at, frame.used - 1, &again) != PORT_FOUND ||
               again.used < frame.used);
        at += frame.used;
    }
    return 0;
}
