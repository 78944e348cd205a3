/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_unpack.c - messages of every kind through the capped arena, and invitations
 *
 * First byte: kind of frame; 0: an invitation; 1 and kinds that are none: what is inside credentials.
 */
#include "base/assert.h"
#include "dist/peer_ring.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_token(const uint8_t *data, size_t size)
{
    char text[600];
    struct token t;

    if (size >= sizeof text)
        return;
    memcpy(text, data, size);
    text[size] = 0;
    if (token_parse(text, &t) == 0) {
        char again[TOKEN_TEXT_MAX];
        struct token back;

        token_text(&t, again);
        ASSERT(token_parse(again, &back) == 0 && memcmp(&t, &back, sizeof t) == 0);
    }
}

static void try_type(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t size)
{
    struct wire_arena a = { 0 };
    const ProtobufCMessage *m = wire_unpack(type, data, size, &a);
    struct buf out = { 0 };

    ASSERT(a.used <= WIRE_UNPACK_MAX + 64);
    if (m != NULL)
        wire_pack(m, &out);
    buf_fini(&out);
    wire_arena_fini(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const ProtobufCMessageDescriptor *const inner[] = {
        &rn__credentials__descriptor, &rn__binding__descriptor, &rn__hello__descriptor,
        &rn__ring_entry__descriptor, &rn__ring_body__descriptor, &rn__gossip__descriptor,
        &rn__member_body__descriptor, &rn__manifest__descriptor,
    };

    if (size < 2)
        return 0;
    if (data[0] == 0)
        try_token(data + 1, size - 1);
    else if (wire_type(data[0]) != NULL)
        try_type(wire_type(data[0]), data + 1, size - 1);
    else
        try_type(inner[data[1] % ARRAY_LEN(inner)], data + 2, size - 2);
    return 0;
}
