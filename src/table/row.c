/* SPDX-License-Identifier: Apache-2.0 */
/*
 * row.c - one object of a table
 */
#include "table/row.h"
#include "base/slab.h"
#include "heap/blob.h"

/* The words of a row point into the row or at what lives for ever: they are moved in one pass, in
 * which the pointers inside move along. */
static void words_move(term *to, const term *from, size_t n)
{
    size_t bytes = n * sizeof(term);
    term delta = (term)(uintptr_t)to - (term)(uintptr_t)from;

    for (size_t i = 0; i < n; i++) {
        term w = from[i];
        term inside = (w - (term)(uintptr_t)from < bytes) & is_ptr(w);
        size_t raw;

        to[i] = w + (delta & -inside);      /* no jump: what a word is, is hard to foretell */
        if (LIKELY(!is_header(w)))
            continue;
        raw = hk_shape[header_kind(w)].raw;
        if (raw == HK_RAW)
            raw = boxed_words(w);
        for (; raw > 0; raw--, i++)
            to[i + 1] = from[i + 1];
    }
}

#define SCRATCH_WORDS 256   /* most objects fit; their size is not counted first */

static struct row *row_room(size_t words)
{
    struct row *r = slab_alloc(ROW_BYTES(words));

    r->next = NULL;
    r->offheap = NULL;
    r->hash = 0;
    r->words = (uint32_t)words;
    r->ghost = 0;
    return r;
}

struct row *row_new(term object)
{
    term scratch[SCRATCH_WORDS], *at;
    size_t words = term_copy_bounded(object, scratch, SCRATCH_WORDS);
    struct row *r;

    if (LIKELY(words != 0)) {
        r = row_room(words);
        words_move(r->data, scratch, words);
        return r;
    }
    r = row_room(term_size_whole(object));
    at = r->data;
    term_copy_whole(object, &at, &r->offheap);
    return r;
}

void row_free(struct row *r)
{
    if (r->offheap != NULL)
        term_chain_release(r->offheap);
    slab_free(r, ROW_BYTES(r->words));
}

bool row_refill(struct row *r, term object)
{
    term scratch[SCRATCH_WORDS];

    if (r->offheap != NULL || r->words > SCRATCH_WORDS ||
        term_copy_bounded(object, scratch, r->words) != r->words)
        return false;
    words_move(r->data, scratch, r->words);
    return true;
}

term row_copy_to(const struct row *r, term *to)
{
    if (LIKELY(row_is_flat(r)))
        for (size_t i = 0; i < r->words; i++)
            to[i] = r->data[i];
    else
        words_move(to, r->data, r->words);
    return box_term(to);
}

term row_copy(const struct row *r, struct heap *h)
{
    term *at = heap_alloc(h, r->words);

    if (LIKELY(r->offheap == NULL))
        return row_copy_to(r, at);
    heap_trim(h, at, r->words, at);
    return heap_copy(h, row_object(r));     /* counts the blobs */
}

void spin_wait(struct spin *s)
{
    unsigned tries = 0;
    uint32_t free;

    do {
        while (atomic_load_explicit(&s->held, memory_order_relaxed) != 0) {
            if (++tries % 128 == 0)
                sched_yield();
            else
                __builtin_ia32_pause();
        }
        free = 0;
    } while (!atomic_compare_exchange_weak_explicit(&s->held, &free, 1, memory_order_acquire,
                                                    memory_order_relaxed));
}
