/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_sig.c - the hand-written codec beside protobuf-c, and the scan of terms
 *
 * First byte: the kind of frame, or 0: the rest is a term. What sig.c accepts protobuf-c must
 * accept with the same values; what it writes again must be read as the same. The other way round
 * sig.c may be stricter: protobuf-c takes a bool of any wire type and tags beyond 2^29.
 */
#include "unit/wire/sig_diff.h"
#include "wire/scan.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool count_atom(void *arg, const uint8_t *text, size_t len, bool utf8)
{
    ++*(unsigned *)arg;
    return len != 13;                       /* some are refused */
}

static void try_term(const uint8_t *data, size_t size)
{
    unsigned atoms = 0;
    size_t len;

    if (term_scan(data, size, 5, false, count_atom, &atoms, &len) == 0)
        ASSERT(len > 0 && len <= size && atoms <= len);
}

static void try_frame(unsigned kind, const uint8_t *data, size_t size)
{
    static struct wire_space space, again_space;
    struct wire_arena arena = { 0 };
    const ProtobufCMessage *m = wire_unpack(wire_type(kind), data, size, &arena);
    struct wire_sig s, again;
    struct buf out = { 0 };
    int rc = sig_read(kind, data, size, &space, &s);

    if (rc == 0) {
        /* The arena may be too small for an honest message of many fields: then there is nothing to
         * compare. */
        ASSERT(m == NULL || diff_same(m, &s));
        sig_write(&s, &out);
        ASSERT(sig_read(kind, out.data, out.len, &again_space, &again) == 0);
        ASSERT(m == NULL || diff_same(m, &again));
    }
    buf_fini(&out);
    wire_arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader r = reader_make(data, size);
    struct frame_view f;

    if (size == 0)
        return 0;
    if (data[0] == 0)
        try_term(data + 1, size - 1);
    else if (sig_known(data[0]))
        try_frame(data[0], data + 1, size - 1);
    else
        while (batch_next(&r, &f) == 1)
            ASSERT(f.body.data == NULL || f.body.data + f.body.len <= data + size);
    return 0;
}
