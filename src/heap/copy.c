/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copy.c - flat copies of terms: messages, table rows, literals
 *
 * The copy is made breadth first: objects are appended to the destination and a scan over the
 * destination replaces each pointer by the copy of what it points at. So depth costs nothing.
 * Sizes are found by a depth-first walk on a stack of ranges.
 *
 *   C1  Export funs are immortal and kept by reference, and so are literals unless asked for or
 *       about to be freed (literal_purge.h).
 *   C2  A copied HK_MATCH looks into the copy of its binary. Only code made by hand lets one out.
 */
#include "heap/heap.h"

#include "heap/bitsyntax.h"
#include "heap/blob.h"
#include "heap/heap_priv.h"
#include "heap/literal_purge.h"
#include "term/stack.h"

/* Words before the first term of an object, header included; the whole object when all is raw. */
ALWAYS_INLINE size_t raw_words(term hdr, size_t words)
{
    unsigned raw = hk_shape[header_kind(hdr)].raw;

    return raw == HK_RAW ? words : 1 + raw;
}

ALWAYS_INLINE bool is_kept(term t, bool with_literals)
{
    return (!with_literals && is_literal(t) &&
            LIKELY(!literal_in_ranges(t, literal_purge_noted))) ||
           (is_box(t) && header_kind(box_header(t)) == HK_EXPORT_FUN);
}

size_t copy_size(term t, bool with_literals)
{
    struct term_stack st;       /* pairs: address of the next word, words left */
    const term *at = &t;
    size_t left = 1, total = 0;

    if (!is_ptr(t))
        return 0;
    stack_init(&st);
    for (;;) {
        term w;

        if (left == 0) {
            if (st.len == 0)
                break;
            left = (size_t)stack_pop(&st);
            at = (const term *)(uintptr_t)stack_pop(&st);
            continue;
        }
        w = *at++;
        left--;
        if (!is_ptr(w) || is_kept(w, with_literals))
            continue;
        if (left != 0)
            stack_push2(&st, (term)(uintptr_t)at, left);
        if (is_cons(w)) {
            total += CONS_WORDS;
            at = cons_ptr(w);
            left = CONS_WORDS;
        } else {
            const term *obj = box_ptr(w);
            size_t words = 1 + boxed_words(obj[0]), raw = raw_words(obj[0], words);

            total += words;
            at = obj + raw;
            left = words - raw;
        }
    }
    stack_fini(&st);
    return total;
}

size_t term_size(term t)
{
    return copy_size(t, false);
}

/* Append a copy of what w points at, its inner pointers still those of the original. */
ALWAYS_INLINE term copy_one(term w, term **top, term **offheap)
{
    const term *obj = ptr_of(w);
    term *to = *top;
    size_t words;

    if (is_cons(w)) {
        to[0] = obj[0];
        to[1] = obj[1];
        *top = to + CONS_WORDS;
        return cons_term(to);
    }
    words = 1 + boxed_words(obj[0]);
    memcpy(to, obj, words * sizeof(term));
    *top = to + words;
    if (UNLIKELY(hk_shape[header_kind(obj[0])].offheap))
        offheap_adopt_copy(to, offheap);
    return box_term(to);
}

term copy_into(term t, term **at, term **offheap, bool with_literals)
{
    term *scan = *at, *top = scan;
    term result;

    if (!is_ptr(t) || is_kept(t, with_literals))
        return t;
    result = copy_one(t, &top, offheap);
    while (scan < top) {
        term w = *scan;

        if (is_ptr(w)) {
            if (!is_kept(w, with_literals))
                *scan = copy_one(w, &top, offheap);
            scan++;
        } else if (UNLIKELY(is_header(w) && header_kind(w) == HK_MATCH)) {
            if (!is_kept(scan[4], with_literals))
                scan[4] = copy_one(scan[4], &top, offheap);
            match_refresh(scan);
            scan += MATCH_WORDS;
        } else if (is_header(w)) {
            scan += raw_words(w, 1 + boxed_words(w));
        } else {
            scan++;
        }
    }
    *at = top;
    return result;
}

/* copy_one with a bound; TERM_NONE: no. */
ALWAYS_INLINE term copy_bounded(term w, term **top, const term *end)
{
    const term *obj = ptr_of(w);
    term *to = *top;
    size_t words;

    if (is_cons(w)) {
        if (UNLIKELY(end - to < CONS_WORDS))
            return TERM_NONE;
        to[0] = obj[0];
        to[1] = obj[1];
        *top = to + CONS_WORDS;
        return cons_term(to);
    }
    words = 1 + boxed_words(obj[0]);
    if (UNLIKELY((size_t)(end - to) < words || hk_shape[header_kind(obj[0])].offheap ||
                 header_kind(obj[0]) == HK_MATCH))
        return TERM_NONE;
    for (size_t i = 0; i < words; i++)
        to[i] = obj[i];
    *top = to + words;
    return box_term(to);
}

size_t term_copy_bounded(term t, term *to, size_t cap)
{
    const term *end = to + cap;
    term *scan = to, *top = to;

    if (copy_bounded(t, &top, end) == TERM_NONE)
        return 0;
    while (scan < top) {
        term w = *scan;

        if (is_ptr(w)) {
            if (!is_kept(w, true)) {
                w = copy_bounded(w, &top, end);
                if (UNLIKELY(w == TERM_NONE))
                    return 0;
                *scan = w;
            }
            scan++;
        } else if (is_header(w)) {
            scan += raw_words(w, 1 + boxed_words(w));
        } else {
            scan++;
        }
    }
    return (size_t)(top - to);
}

term term_copy(term t, term **at, term **offheap)
{
    return copy_into(t, at, offheap, false);
}

size_t term_size_whole(term t)
{
    return copy_size(t, true);
}

term term_copy_whole(term t, term **at, term **offheap)
{
    return copy_into(t, at, offheap, true);
}

void term_chain_release(term *offheap)
{
    offheap_release(offheap);
}

/* Count the blobs of the objects that the chain got in front of `until`. */
static void count_new_blobs(struct heap *h, const term *until)
{
    for (const term *obj = h->offheap; obj != until; obj = offheap_next(obj))
        heap_count_vbin(h, offheap_bytes(obj));
}

term heap_copy(struct heap *h, term t)
{
    size_t words = term_size(t);
    term *got, *at, *before = h->offheap;

    if (words == 0)
        return t;
    got = at = heap_alloc(h, words);
    t = term_copy(t, &at, &h->offheap);
    ASSERT(at == got + words);
    if (h->offheap != before)
        count_new_blobs(h, before);
    return t;
}

term heap_copy_whole(struct heap *h, term t)
{
    size_t words = term_size_whole(t);
    term *got, *at, *before = h->offheap;

    if (words == term_size(t))
        return t;
    got = at = heap_alloc(h, words);
    t = term_copy_whole(t, &at, &h->offheap);
    ASSERT(at == got + words);
    count_new_blobs(h, before);
    return t;
}

static struct frag *frag_of_copy(term t, size_t prefix_bytes, bool with_literals, term *ret_term)
{
    size_t words = copy_size(t, with_literals);
    struct frag *f;
    term *at;

    if (words == 0) {
        *ret_term = t;
        return NULL;
    }
    f = frag_new(words, prefix_bytes);
    at = f->data;
    *ret_term = copy_into(t, &at, &f->offheap, with_literals);
    f->used = f->words;
    ASSERT(at == f->data + words);
    return f;
}

struct frag *frag_copy(term t, size_t prefix_bytes, term *ret_term)
{
    return frag_of_copy(t, prefix_bytes, false, ret_term);
}

struct frag *frag_copy_whole(term t, term *ret_term)
{
    return frag_of_copy(t, 0, true, ret_term);
}
