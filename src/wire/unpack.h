/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unpack.h - messages of rn.proto that are not flat: protobuf-c with a limit on everything
 *
 * Any thread; an arena belongs to one thread at a time.
 */
#ifndef WIRE_UNPACK_H
#define WIRE_UNPACK_H

#include "base/bytes.h"
#include "wire/rn.pb-c.h"
#include "wire/sig.h"

/* Memory of one unpacked message: at most 8 times its bytes and 4 KiB, 1 MiB in all. The schema has
 * no recursion, so the stack is bounded as well. Zero-initialise; reset frees the message. */
struct wire_arena { struct wire_chunk *chunks; size_t left, used; };
void wire_arena_fini(struct wire_arena *a);

#define WIRE_UNPACK_MAX (1u << 20)

/* The message of this type, or NULL: damaged, over the arena, over limits.tab, or with more than
 * SIG_UNKNOWN_MAX unknown fields. What was in the arena before is gone. */
const void *wire_unpack(const ProtobufCMessageDescriptor *type, const void *data, size_t len,
                        struct wire_arena *a);
/* The descriptor of the body of a frame; NULL: unknown kind. */
const ProtobufCMessageDescriptor *wire_type(unsigned kind);
const char *wire_kind_name(unsigned kind);      /* "send"; "?" when unknown */
enum lane wire_kind_lane(unsigned kind);

/* Append the packed message. */
void wire_pack(const ProtobufCMessage *m, struct buf *out);

#define BYTES_OF(p, n) ((ProtobufCBinaryData){ .len = (n), .data = (uint8_t *)(uintptr_t)(p) })

#endif
