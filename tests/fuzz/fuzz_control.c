/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_control.c - control frames from a stranger
 *
 * What is read can be written, and what was written is read as the same kind of frame, or not at
 * all: protobuf-c keeps unknown fields, and writes those with the number 0 so that it refuses them.
 */
#include "base/assert.h"
#include "wire/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    size_t at = 0, used, again_used;
    frame_t *f, *again;

    while (at < len && frame_read(data + at, len - at, &f, &used) == 1) {
        struct buf out = { 0 };

        ASSERT(used >= 4 && used <= len - at);
        if (frame_write(&out, f) == 0 && frame_read(out.data, out.len, &again, &again_used) == 1) {
            ASSERT(again_used == out.len && again->body_case == f->body_case);
            frame_free(again);
        }
        buf_fini(&out);
        frame_free(f);
        at += used;
    }
    return 0;
}
