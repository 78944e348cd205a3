/* SPDX-License-Identifier: Apache-2.0 */
/*
 * heap.c - room outside the block, fragments, and building common terms
 */
#include "heap/heap.h"

#include "base/slab.h"
#include "heap/blob.h"
#include "heap/heap_priv.h"

#define FRAG_WORDS_MIN    64u
#define FRAG_WORDS_DOUBLE (64u << 10)   /* fragments stop doubling here: 512 KiB */

/* --- fragments -------------------------------------------------------------------------- */

static size_t frag_block_bytes(size_t words, size_t prefix_bytes)
{
    return prefix_bytes + sizeof(struct frag) + words * sizeof(term);
}

struct frag *frag_new(size_t words, size_t prefix_bytes)
{
    struct frag *f;

    ASSERT(words <= UINT32_MAX && (prefix_bytes & 7) == 0);
    f = (struct frag *)((char *)slab_alloc(frag_block_bytes(words, prefix_bytes)) + prefix_bytes);
    f->next = NULL;
    f->offheap = NULL;
    f->words = (uint32_t)words;
    f->used = 0;
    f->prefix_bytes = (uint32_t)prefix_bytes;
    f->unused = 0;
    return f;
}

void frag_free(struct frag *f)
{
    if (f == NULL)
        return;
    offheap_release(f->offheap);
    slab_free((char *)f - f->prefix_bytes, frag_block_bytes(f->words, f->prefix_bytes));
}

void frags_free(struct frag *f)
{
    struct frag *next;

    for (; f != NULL; f = next) {
        next = f->next;
        frag_free(f);
    }
}

void offheap_release(term *obj)
{
    while (obj != NULL) {
        term *next = offheap_next(obj);

        offheap_unref(obj);
        obj = next;
    }
}

static void heap_count_frag_words(struct heap *h, size_t words)
{
    h->frag_words += (uint32_t)words;
    if (h->lo != NULL && h->frag_words > (size_t)(h->hi - h->lo))
        h->collect_soon = true;
}

void heap_adopt_frag(struct heap *h, struct frag *f)
{
    if (f->offheap != NULL) {
        term *last = f->offheap;

        heap_count_vbin(h, offheap_bytes(last));
        while (offheap_next(last) != NULL) {
            last = offheap_next(last);
            heap_count_vbin(h, offheap_bytes(last));
        }
        offheap_set_next(last, h->offheap);
        h->offheap = f->offheap;
        f->offheap = NULL;
    }
    f->next = h->frags;
    h->frags = f;
    heap_count_frag_words(h, f->used);
}

/* --- room ------------------------------------------------------------------------------- */

term *heap_alloc_slow(struct heap *h, size_t words)
{
    struct frag *f = h->frags;

    if (f == NULL || f->words - f->used < words) {
        size_t size = f == NULL ? FRAG_WORDS_MIN : 2 * (size_t)f->words;

        if (size < FRAG_WORDS_MIN)
            size = FRAG_WORDS_MIN;
        if (size > FRAG_WORDS_DOUBLE)
            size = FRAG_WORDS_DOUBLE;
        if (size < words)
            size = words;
        f = frag_new(size, 0);
        f->next = h->frags;
        h->frags = f;
    }
    f->used += (uint32_t)words;
    heap_count_frag_words(h, words);
    return f->data + f->used - words;
}

void heap_trim(struct heap *h, term *got, size_t words, term *at)
{
    size_t back = (size_t)(got + words - at);

    ASSERT(at >= got && back <= words);
    if (got >= h->lo && got + words == h->H) {
        h->H = at;
        return;
    }
    ASSERT(h->frags != NULL && got + words == h->frags->data + h->frags->used);
    h->frags->used -= (uint32_t)back;
    h->frag_words -= (uint32_t)back;
}

void heap_bag_init(struct heap *h)
{
    *h = (struct heap){ 0 };
}

void heap_end(struct heap *h)
{
    offheap_release(h->offheap);
    frags_free(h->frags);
    block_free(h->lo, (size_t)(h->hi - h->lo));
    block_free(h->old_lo, (size_t)(h->old_hi - h->old_lo));
}

void heap_fini(struct heap *h)
{
    heap_end(h);
    *h = (struct heap){ 0 };
}

size_t heap_words_used(const struct heap *h)
{
    return (size_t)(h->H - h->lo) + (size_t)(h->old_top - h->old_lo) + h->frag_words;
}

size_t heap_bytes(const struct heap *h)
{
    size_t bytes = ((size_t)(h->hi - h->lo) + (size_t)(h->old_hi - h->old_lo)) * sizeof(term);

    for (const struct frag *f = h->frags; f != NULL; f = f->next)
        bytes += frag_block_bytes(f->words, f->prefix_bytes);
    return bytes;
}

/* --- common terms ----------------------------------------------------------------------- */

term heap_cons(struct heap *h, term head, term tail)
{
    term *at = heap_alloc(h, CONS_WORDS);

    return cons_make(&at, head, tail);
}

term heap_tuple(struct heap *h, size_t n, const term *elems)
{
    term *at = heap_alloc(h, TUPLE_WORDS(n));
    term t = tuple_room(&at, n);

    if (n > 0)
        memcpy(&tuple_elem(t, 0), elems, n * sizeof(term));
    return t;
}

term heap_tuple2(struct heap *h, term a, term b)
{
    term *at = heap_alloc(h, TUPLE_WORDS(2));

    return tuple2(&at, a, b);
}

term heap_tuple3(struct heap *h, term a, term b, term c)
{
    term *at = heap_alloc(h, TUPLE_WORDS(3));

    return tuple3(&at, a, b, c);
}

term heap_tuple4(struct heap *h, term a, term b, term c, term d)
{
    term *at = heap_alloc(h, TUPLE_WORDS(4));

    return tuple4(&at, a, b, c, d);
}

term heap_list(struct heap *h, const term *elems, size_t n, term tail)
{
    term *at = n == 0 ? NULL : heap_alloc(h, CONS_WORDS * n);

    while (n-- > 0)
        tail = cons_make(&at, elems[n], tail);
    return tail;
}

static term heap_limb(struct heap *h, enum header_kind kind, uint64_t limb)
{
    term *at = heap_alloc(h, 2);

    at[0] = header_make(kind, 1);
    at[1] = limb;
    return box_term(at);
}

term heap_int(struct heap *h, int64_t v)
{
    if (fits_small(v))
        return small_make(v);
    return v < 0 ? heap_limb(h, HK_BIGNEG, (uint64_t)0 - (uint64_t)v)
                 : heap_limb(h, HK_BIGPOS, (uint64_t)v);
}

term heap_uint(struct heap *h, uint64_t v)
{
    return v <= (uint64_t)SMALL_MAX ? small_make(v) : heap_limb(h, HK_BIGPOS, v);
}

term heap_float(struct heap *h, double d)
{
    term room[FLOAT_WORDS], *at = room;
    term t = flt_make(d, &at);

    if (LIKELY(is_imm_flt(t)))
        return t;
    at = heap_alloc(h, FLOAT_WORDS);
    return flt_make(d, &at);
}

term heap_latin1(struct heap *h, const char *s, size_t len)
{
    term *at = len == 0 ? NULL : heap_alloc(h, CONS_WORDS * len);
    term list = TERM_NIL;

    while (len-- > 0)
        list = cons_make(&at, small_make((uint8_t)s[len]), list);
    return list;
}

term heap_cstr(struct heap *h, const char *s)
{
    size_t len = strlen(s), chars = 0;
    term *got, list = TERM_NIL;

    for (size_t i = 0; i < len; i++)
        chars += ((uint8_t)s[i] & 0xC0) != 0x80;
    if (chars == 0)
        return TERM_NIL;
    got = heap_alloc(h, CONS_WORDS * chars);
    /* Backwards: continuation bytes come first, their lead byte ends the character. */
    for (uint32_t c = 0, shift = 0; len-- > 0; ) {
        uint8_t b = (uint8_t)s[len];

        if ((b & 0xC0) == 0x80) {
            if (shift < 24) {       /* more than three are none of UTF-8 */
                c |= (b & 0x3Fu) << shift;
                shift += 6;
            }
            continue;
        }
        if (b >= 0xC0)
            c |= (b & (0x3Fu >> (shift / 6))) << shift;
        list = cons_make(&got, small_make(b < 0x80 ? b : c), list);
        c = shift = 0;
    }
    return list;
}

term heap_binary(struct heap *h, const void *data, size_t bytes)
{
    uint8_t *to;
    term t = binary_room(h, bytes, &to);

    if (bytes > 0)
        memcpy(to, data, bytes);
    return t;
}

/* --- reading ---------------------------------------------------------------------------- */

int64_t list_length(term list)
{
    int64_t n = 0;

    for (; is_cons(list); list = cdr(list))
        n++;
    return is_nil(list) ? n : -1;
}

bool term_to_int64(term t, int64_t *ret)
{
    uint64_t limb;

    if (is_small(t)) {
        *ret = small_val(t);
        return true;
    }
    if (!is_big(t) || header_size(box_header(t)) != 1)
        return false;
    limb = box_ptr(t)[1];
    if (header_kind(box_header(t)) == HK_BIGPOS ? limb > (uint64_t)INT64_MAX
                                                : limb > (uint64_t)INT64_MAX + 1)
        return false;
    *ret = (int64_t)(header_kind(box_header(t)) == HK_BIGPOS ? limb : (uint64_t)0 - limb);
    return true;
}

bool term_to_uint64(term t, uint64_t *ret)
{
    if (is_small(t) && small_val(t) >= 0) {
        *ret = (uint64_t)small_val(t);
        return true;
    }
    if (!box_is(t, HK_BIGPOS) || header_size(box_header(t)) != 1)
        return false;
    *ret = box_ptr(t)[1];
    return true;
}
