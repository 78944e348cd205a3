/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frame.h - control frames: u32 length, big endian, then a protobuf Control
 *
 * Pure functions on bytes; any thread. proto/README says who may send what and when.
 */
#ifndef WIRE_FRAME_H
#define WIRE_FRAME_H

#include "base/bytes.h"
#include "wire/control.pb-c.h"

#define FRAME_BYTES_MAX     (1u << 20)
#define FRAME_CHUNK_BYTES   (256u << 10)    /* what a writer puts into one Chunk */
#define FRAME_ARGS_MAX      1024            /* repeated fields of one message */

typedef Rnode__Control__Control  frame_t;
typedef Rnode__Control__Request  request_t;
typedef Rnode__Control__Head     head_t;
typedef Rnode__Control__Row      row_t;
typedef Rnode__Control__Chunk    chunk_t;
typedef Rnode__Control__Progress progress_t;
typedef Rnode__Control__Done     done_t;
typedef Rnode__Control__Hello    hello_t;
typedef Rnode__Control__Column   column_t;
typedef Rnode__Control__Cell     cell_t;
typedef Rnode__Control__Option   option_t;

/* Append one frame. -ERR_LIMIT: it would be longer than FRAME_BYTES_MAX; nothing is appended. */
MUST_CHECK int frame_write(struct buf *out, const frame_t *f);

/* The first whole frame of data[0..len): 1 and *ret_frame (free it with frame_free), *ret_used the
 * bytes it took; 0: more bytes are needed; -ERR_LIMIT or -ERR_PROTOCOL: the sender is not one of
 * ours and the connection must end. A frame that comes out has a body, texts that are UTF-8
 * without NUL, and no repeated field longer than FRAME_ARGS_MAX. */
MUST_CHECK int frame_read(const uint8_t *data, size_t len, frame_t **ret_frame, size_t *ret_used);
void frame_free(frame_t *f);                /* NULL is fine */

#endif
