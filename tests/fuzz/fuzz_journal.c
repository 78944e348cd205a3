/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_journal.c - journals of the store, on any bytes
 *
 * The first 8 bytes are the number of the last committed record. Checksums are put right first,
 * since no fuzzer would guess them. What is read must be operations that can be applied.
 */
#include "store/journal.c"

#include "base/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void mend_sums(uint8_t *data, size_t len)
{
    for (size_t at = 0; at + HEAD_BYTES <= len; at += JOURNAL_ALIGN) {
        struct reader r = reader_make(data + at, len - at);
        struct buf b = { data + at, HEAD_BYTES, HEAD_BYTES };
        uint32_t body;

        reader_take(&r, HEAD_BYTES - 4);
        body = reader_u32(&r);
        if (body <= reader_left(&r))
            patch(&b, SUM_AT, sum_of(data + at, body));
    }
}

static void look_at(const struct store *st)
{
    for (const struct group *g = st->kept; g != NULL; g = g->next) {
        struct reader r = reader_make(g->ops.data, g->ops.len);

        ASSERT(g->time > 0);
        while (reader_left(&r) > 0) {
            ASSERT(reader_u8(&r) <= OP_DROP);
            ASSERT(reader_u8(&r) < atomic_load(&st->ndbs));
            size_t key_len = reader_u16(&r), len = reader_u32(&r);
            ASSERT(key_len >= 1 && key_len <= STORE_KEY_MAX);
            ASSERT(reader_take(&r, key_len + len) != NULL);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader r = reader_make(data, size);
    uint64_t after = reader_u64(&r), last;
    size_t len = reader_left(&r);
    struct store st = { .kept_last = NULL };
    uint8_t *copy;

    if (r.bad)
        return 0;
    copy = mem_alloc(len + 1);
    memcpy(copy, r.at, len);
    mend_sums(copy, len);
    st.kept_last = &st.kept;
    pthread_mutex_init(&st.lock, NULL);
    if (journal_parse(&st, copy, len, after, &last) == 0)
        look_at(&st);
    groups_free(st.kept);
    for (unsigned i = 0; i < atomic_load(&st.ndbs); i++)
        mem_free(st.db[i].name);
    pthread_mutex_destroy(&st.lock);
    mem_free(copy);
    return 0;
}
