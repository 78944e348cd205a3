/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blob.c - bytes off the heap: counting, views, and growing at the end
 *
 * Invariants:
 *   B1  A view covers claimed bits only: offset + size <= top_bits.
 *   B2  Bits below top_bits never change once the built-in or instruction that claimed them is
 *       done. The claimer of an end inside a byte writes that byte again, with the same old bits.
 *   B3  Each HK_BIN_REF and HK_MAGIC object holds one reference, given back by whoever finds the
 *       object dead on the off-heap chain.
 */
#include "heap/blob.h"

#include "base/alloc.h"
#include "base/slab.h"
#include "heap/heap_priv.h"

#define GROW_MIN_BYTES    256               /* OTP's least room of a grown binary */
#define GROW_LARGE_BYTES  ((size_t)16 << 20) /* above this a fifth is spare, not as much again */
#define VIEW_MIN_BYTES    16                /* parts of heap binaries up to here are copied */

struct blob *blob_new(size_t cap_bytes)
{
    struct blob *b = slab_alloc(sizeof *b + cap_bytes);

    atomic_init(&b->refs, 1);
    atomic_init(&b->top_bits, 0);
    b->cap_bytes = cap_bytes;
    b->dtor = NULL;
    return b;
}

struct blob *blob_ref(struct blob *b)
{
    /* relaxed: the caller holds a reference, so the count cannot reach zero meanwhile */
    atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
    return b;
}

void blob_unref(struct blob *b)
{
    /* release pairs with the acquire below: what other holders did with the bytes happened before
     * they are freed */
    uint64_t before = atomic_fetch_sub_explicit(&b->refs, 1, memory_order_release);

    ASSERT(before != 0);
    if (before != 1)
        return;
    /* a load and not a fence, which ThreadSanitizer does not see */
    (void)atomic_load_explicit(&b->refs, memory_order_acquire);
    if (b->dtor != NULL)
        b->dtor(b);
    slab_free(b, sizeof *b + b->cap_bytes);
}

bool binary_bytes(term t, const uint8_t **ret_bytes, size_t *ret_len, uint8_t **scratch)
{
    struct bits b;

    *scratch = NULL;
    if (!is_binary(t))
        return false;
    b = bits_of(t);
    *ret_len = b.bits / 8;
    if (LIKELY(b.bit_offset == 0)) {
        *ret_bytes = b.base;
        return true;
    }
    *scratch = mem_alloc(*ret_len);
    bits_copy(*scratch, 0, b.base, b.bit_offset, b.bits);
    *ret_bytes = *scratch;
    return true;
}

/* An object on the heap, its last word zeroed for the padding. */
static term heap_bin_room(struct heap *h, uint64_t bits, uint8_t **ret_data)
{
    size_t bytes = (bits + 7) / 8, words = BIN_HEAP_WORDS(bytes);
    term *p = heap_alloc(h, words);

    p[words - 1] = 0;       /* overwritten below when there are no bytes */
    p[0] = header_make(HK_BIN, words - 1);
    p[1] = bits;
    *ret_data = (uint8_t *)&p[2];
    return box_term(p);
}

static term view_make(struct heap *h, struct blob *b, uint64_t bit_offset, uint64_t bits)
{
    term *p = heap_alloc(h, BIN_REF_WORDS);

    p[0] = header_make(HK_BIN_REF, BIN_REF_WORDS - 1);
    p[1] = bits;
    p[2] = bit_offset;
    p[3] = (term)(uintptr_t)b;
    p[4] = (term)(uintptr_t)h->offheap;
    h->offheap = p;
    return box_term(p);
}

term bitstring_room(struct heap *h, uint64_t bits, uint8_t **ret_data)
{
    size_t bytes = (bits + 7) / 8;
    struct blob *b;

    if (bytes <= BIN_HEAP_MAX_BYTES)
        return heap_bin_room(h, bits, ret_data);
    b = blob_new(bytes);
    atomic_init(&b->top_bits, bits);
    b->data[bytes - 1] = 0;
    *ret_data = b->data;
    heap_count_vbin(h, bytes);
    return view_make(h, b, 0, bits);
}

term binary_room(struct heap *h, size_t bytes, uint8_t **ret_data)
{
    return bitstring_room(h, (uint64_t)bytes * 8, ret_data);
}

term binary_from_blob(struct heap *h, struct blob *b, uint64_t bit_offset, uint64_t bits)
{
    ASSERT(bit_offset + bits <= b->cap_bytes * 8);
    heap_count_vbin(h, b->cap_bytes);
    return view_make(h, b, bit_offset, bits);
}

static term bits_to_heap_bin(struct heap *h, struct bits from)
{
    uint8_t *data;
    term t = heap_bin_room(h, from.bits, &data);

    if (LIKELY(from.bit_offset == 0 && (from.bits & 7) == 0))
        memcpy(data, from.base, from.bits / 8);
    else
        bits_copy(data, 0, from.base, from.bit_offset, from.bits);
    return t;
}

term bitstring_sub(struct heap *h, term t, uint64_t bit_offset, uint64_t bits)
{
    unsigned kind = header_kind(box_header(t));
    struct bits from = bits_of(t);
    size_t copy_max = kind == HK_BIN_REF ? BIN_HEAP_MAX_BYTES : VIEW_MIN_BYTES;
    term *p;

    ASSERT(bit_offset <= from.bits && bits <= from.bits - bit_offset);
    if (bits == from.bits)
        return t;
    if (bits <= copy_max * 8) {
        from.base += (from.bit_offset + bit_offset) / 8;
        from.bit_offset = (from.bit_offset + bit_offset) & 7;
        from.bits = bits;
        return bits_to_heap_bin(h, from);
    }
    if (kind != HK_BIN)
        bit_offset += box_ptr(t)[2];
    if (kind == HK_BIN_REF)
        return view_make(h, blob_ref(bin_ref_blob(t)), bit_offset, bits);
    p = heap_alloc(h, BIN_SUB_WORDS);
    p[0] = header_make(HK_BIN_SUB, BIN_SUB_WORDS - 1);
    p[1] = bits;
    p[2] = bit_offset;
    p[3] = kind == HK_BIN ? t : box_ptr(t)[3];
    return box_term(p);
}

/* Claim [end, end + bits) of b; false when somebody has it or there is no room. */
static bool blob_claim(struct blob *b, uint64_t end, uint64_t bits)
{
    uint64_t expected = end;

    if (end + bits > b->cap_bytes * 8)
        return false;
    /* relaxed: the claim only decides who writes; the bytes become visible to others with the
     * term, by whatever passes it on */
    return atomic_compare_exchange_strong_explicit(&b->top_bits, &expected, end + bits,
                                                   memory_order_relaxed, memory_order_relaxed);
}

static size_t grown_capacity(size_t bytes)
{
    size_t cap = bytes > GROW_LARGE_BYTES ? bytes + bytes / 5 : bytes * 2;

    return cap < GROW_MIN_BYTES ? GROW_MIN_BYTES : cap;
}

term bitstring_grow(struct heap *h, term source, uint64_t bits, bool owned,
                    uint8_t **ret_base, uint64_t *ret_position)
{
    uint64_t total = bitstring_bits(source) + bits, offset;
    struct bits from;
    struct blob *b;
    term t;

    ASSERT(total <= BITSTRING_BITS_MAX);
    if (LIKELY(header_kind(box_header(source)) == HK_BIN_REF)) {
        b = bin_ref_blob(source);
        offset = box_ptr(source)[2];
        if (LIKELY(blob_claim(b, offset + total - bits, bits))) {
            heap_count_vbin(h, bits / 8);
            *ret_base = b->data;
            *ret_position = offset + total - bits;
            if (owned && !is_literal(source)) {
                box_ptr(source)[1] = total;
                return source;
            }
            return view_make(h, blob_ref(b), offset, total);
        }
    } else if (!owned && total <= BIN_HEAP_MAX_BYTES * 8) {
        from = bits_of(source);
        t = heap_bin_room(h, total, ret_base);
        bits_copy(*ret_base, 0, from.base, from.bit_offset, from.bits);
        *ret_position = from.bits;
        return t;
    }
    from = bits_of(source);
    t = bitstring_writable(h, grown_capacity((total + 7) / 8));
    b = bin_ref_blob(t);
    bits_copy(b->data, 0, from.base, from.bit_offset, from.bits);
    atomic_init(&b->top_bits, total);
    box_ptr(t)[1] = total;
    *ret_base = b->data;
    *ret_position = from.bits;
    return t;
}

term bitstring_writable(struct heap *h, size_t cap)
{
    struct blob *b = blob_new(cap < GROW_MIN_BYTES ? GROW_MIN_BYTES : cap);

    heap_count_vbin(h, b->cap_bytes);
    return view_make(h, b, 0, 0);
}

term magic_make(struct heap *h, struct blob *b)
{
    term *p = heap_alloc(h, MAGIC_WORDS);

    p[0] = header_make(HK_MAGIC, MAGIC_WORDS - 1);
    p[1] = (term)(uintptr_t)b;
    p[2] = (term)(uintptr_t)h->offheap;
    h->offheap = p;
    heap_count_vbin(h, b->cap_bytes);
    return box_term(p);
}

/* --- how much there is ------------------------------------------------------------------------ */

#define SEEN_SLOTS 32768        /* a power of two, filled to a half */

/* Put b among those seen. False: it was there. */
static bool see(const struct blob **seen, const struct blob *b)
{
    size_t at = ((uintptr_t)b >> 4) * 0x9E3779B97F4A7C15u >> 49;

    while (seen[at] != NULL && seen[at] != b)
        at = (at + 1) & (SEEN_SLOTS - 1);
    if (seen[at] == b)
        return false;
    seen[at] = b;
    return true;
}

uint64_t heap_binary_bytes(const struct heap *h, bool *ret_cut)
{
    const struct blob **seen = NULL;
    uint64_t bytes = 0;
    size_t n = 0;

    *ret_cut = false;
    for (const term *obj = h->offheap; obj != NULL && !*ret_cut; obj = offheap_next(obj)) {
        if (!offheap_is_blob(obj))
            continue;
        if (seen == NULL)
            seen = MEM_NEW_ARRAY(const struct blob *, SEEN_SLOTS);
        if (see(seen, offheap_blob(obj)))
            bytes += offheap_blob(obj)->cap_bytes;
        *ret_cut = ++n == SEEN_SLOTS / 2;
    }
    mem_free(seen);
    return bytes;
}
