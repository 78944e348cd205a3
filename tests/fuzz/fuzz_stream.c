/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_stream.c - plaintext of records from an authenticated liar: dictionary, transfers, credit
 *
 * Input: records, each after its length in two bytes. The session has no handlers; what counts is
 * that nothing is read that is not there, that limits hold, and that all is freed.
 */
#include "base/alloc.h"
#include "base/assert.h"
#include "dist/peer_priv.h"
#include "term/atom.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool begun;
    static struct peer peer = { .id = 1 };
    struct reader r = reader_make(data, size);
    struct session *s = MEM_NEW(struct session);
    uint8_t plain[16384];
    unsigned lane;

    if (!begun)
        atom_table_init(0);
    begun = true;
    s->peer = &peer;
    s->number = 1;
    s->id = 1 << 20 | 1;
    s->rights = RIGHT_ALL;
    atomic_store(&s->state, SESSION_UP);
    pthread_mutex_init(&s->tx, NULL);
    stream_init(&s->stream, s);
    s->stream.makes_atoms = true;
    while (reader_left(&r) > 2) {
        size_t n = reader_u16(&r);
        const uint8_t *rec = reader_take(&r, n < reader_left(&r) ? n : reader_left(&r));

        n = (size_t)(r.at - rec);
        if (n == 0 || stream_take(&s->stream, rec, n) < 0)
            break;
        ASSERT(s->stream.in_count <= TRANSFERS_MAX);
        ASSERT(s->stream.in_announced <= TRANSFER_WAIT_BYTES);
        while (stream_build(&s->stream, plain, sizeof plain, &lane) > 0)
            ;
    }
    stream_fini(&s->stream);
    mem_free(s);
    return 0;
}
