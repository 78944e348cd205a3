/* SPDX-License-Identifier: Apache-2.0 */
/*
 * row.c - one object of a table
 */
#include "table/row.h"
#include "base/slab.h"
#include "heap/blob.h"

/* Copy n words that point among themselves or at what lives for ever; what points inside moves
 * along, and is marked in map if there is one. */
ALWAYS_INLINE void words_move(term *to, const term *from, size_t n, term *map)
{
    size_t bytes = n * sizeof(term), part = 0;
    term delta = (term)(uintptr_t)to - (term)(uintptr_t)from, marks = 0;

    for (size_t i = 0; i < n; i++) {
        term w = from[i];
        term inside = (w - (term)(uintptr_t)from < bytes) & is_ptr(w);
        size_t raw;

        for (; map != NULL && UNLIKELY(part < i / 64); marks = 0)
            map[part++] = marks;
        marks |= inside << i % 64;
        to[i] = w + (delta & -inside);      /* no jump: what a word is, is hard to foretell */
        if (LIKELY(!is_header(w)))
            continue;
        raw = hk_shape[header_kind(w)].raw;
        if (raw == HK_RAW)
            raw = boxed_words(w);
        for (; raw > 0; raw--, i++)
            to[i + 1] = from[i + 1];
    }
    for (; map != NULL && part < ROW_MAP_WORDS(n); marks = 0)
        map[part++] = marks;
}

#define SCRATCH_WORDS 256   /* most objects fit; their size is not counted first */

static struct row *row_room(size_t words, bool has_map)
{
    struct row *r = slab_alloc(sizeof *r + (words + (has_map ? ROW_MAP_WORDS(words) : 0)) *
                                               sizeof(term));

    r->next = NULL;
    r->offheap = NULL;
    r->hash = 0;
    r->words = (uint32_t)words;
    r->has_map = has_map;
    r->ghost = 0;
    return r;
}

/* Has the tuple immediate elements only? */
static bool is_flat(term object)
{
    const term *at = box_ptr(object), *end = at + TUPLE_WORDS(tuple_arity(object));
    bool flat = true;

    while (++at < end)
        flat &= !is_ptr(*at);
    return flat;
}

struct row *row_new(term object)
{
    term scratch[SCRATCH_WORDS], *at;
    size_t words;
    struct row *r;

    if (is_flat(object)) {
        r = row_room(TUPLE_WORDS(tuple_arity(object)), false);
        memcpy(r->data, box_ptr(object), r->words * sizeof(term));
        return r;
    }
    words = term_copy_bounded(object, scratch, SCRATCH_WORDS);
    if (LIKELY(words != 0)) {
        r = row_room(words, true);
        words_move(r->data, scratch, words, row_map(r));
        return r;
    }
    r = row_room(term_size_whole(object), true);
    at = r->data;
    term_copy_whole(object, &at, &r->offheap);
    if (r->offheap == NULL)     /* for the map alone: others are copied by heap_copy */
        words_move(r->data, r->data, r->words, row_map(r));
    return r;
}

void row_free(struct row *r)
{
    if (r->offheap != NULL)
        term_chain_release(r->offheap);
    slab_free(r, row_bytes(r));
}

bool row_refill(struct row *r, term object)
{
    term scratch[SCRATCH_WORDS];

    if (row_is_flat(r) && box_header(object) == r->data[0] && is_flat(object)) {
        for (size_t i = 1; i < r->words; i++)
            r->data[i] = box_ptr(object)[i];
        return true;
    }
    if (r->offheap != NULL || !r->has_map || r->words > SCRATCH_WORDS ||
        term_copy_bounded(object, scratch, r->words) != r->words)
        return false;
    words_move(r->data, scratch, r->words, row_map(r));
    return true;
}

term row_copy_to(const struct row *r, term *to)
{
    term delta = (term)(uintptr_t)to - (term)(uintptr_t)r->data;

    if (LIKELY(!r->has_map)) {
        for (size_t i = 0; i < r->words; i++)
            to[i] = r->data[i];
        return box_term(to);
    }
    memcpy(to, r->data, r->words * sizeof(term));
    for (size_t part = 0; part < ROW_MAP_WORDS(r->words); part++)
        for (term marks = row_map(r)[part]; marks != 0; marks &= marks - 1)
            to[64 * part + (size_t)__builtin_ctzll(marks)] += delta;
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
