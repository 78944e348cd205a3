/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gc.c - the copying collector of one process heap
 *
 * Minor: what lies below `high` has survived a collection and moves to the old generation; the
 * rest of the block and all fragments move to a new block. Full: everything moves to one new block
 * and the old generation is freed. Both are breadth-first copies without locks or stack maps.
 *
 *   GC1  No word in the old generation points into the block or a fragment: terms never change.
 *   GC2  While copying, a from-space header is intact or the new boxed term; the car of a moved
 *        cell is MOVED_CELL and its cdr the new list term.
 *   GC3  Literals and export funs are never moved or written. A purge copies literals aside
 *        through a forwarding table, because other processes read them meanwhile.
 *   GC4  Survivors and stack always fit: the new block is at least as large as all that could
 *        survive.
 */
#include "heap/gc.h"

#include "base/alloc.h"
#include "heap/blob.h"
#include "heap/heap_priv.h"

#define MOVED_CELL   header_make(31, 0)
#define SPARE_WORDS  2u     /* heap_alloc keeps E[0] and one word free */

struct gc {
    uintptr_t old_lo;       /* minor: terms in here stay where they are */
    size_t old_bytes;
    uintptr_t mature_lo;    /* minor: terms in here move to the old generation */
    size_t mature_bytes;
    term *young_top;        /* next free word of the new block */
    term *old_top;          /* next free word of the old generation */
    uintptr_t purge_lo;     /* literals to copy out, and where each of their words went */
    size_t purge_bytes;
    term *purge_moved;
    term *fresh_offheap;    /* chain of copies of literals: references of their own */
};

enum gc_mode { MODE_MINOR, MODE_FULL, MODE_PURGE };

/* --- sizes ------------------------------------------------------------------------------ */

/* The smallest heap size of OTP's series that holds `words`: 233, 376, 610, ... and from 833,026
 * on in steps of a fifth. */
static size_t size_class(size_t words)
{
    size_t a = 142, b = HEAP_MIN_WORDS;

    while (b < words && b < 833026) {
        size_t next = a + b + 1;

        a = b;
        b = next;
    }
    while (b < words)
        b += b / 5;
    return b;
}

/* The block size at which `live` words are 40 %: fewer collections for more room, measured. */
static size_t fitting_size(size_t live)
{
    return size_class(live / 2 * 5);
}

static bool is_crowded(size_t live, size_t block)
{
    return live > block / 5 * 2;
}

void heap_block_init(struct heap *h, size_t words)
{
    ASSERT(h->lo == NULL && words >= 8);
    h->lo = h->H = h->high = block_alloc(words);
    h->hi = h->lo + words;
    h->E = h->hi - 1;
    h->fullsweep_after = UINT16_MAX;
}

/* --- moving one object ------------------------------------------------------------------ */

ALWAYS_INLINE term *copy_words(term *to, const term *from, size_t words)
{
    /* Most objects are pairs, triples and small tuples: no call for those. */
    to[0] = from[0];
    to[1] = from[1];
    if (words == 2)
        return to + 2;
    to[2] = from[2];
    if (words == 3)
        return to + 3;
    to[3] = from[3];
    if (words == 4)
        return to + 4;
    memcpy(to + 4, from + 4, (words - 4) * sizeof(term));
    return to + words;
}

/* Room for `words`, in the generation where the object at `from` belongs. */
ALWAYS_INLINE term *room_for(struct gc *g, const term *from, size_t words, enum gc_mode mode)
{
    term *to;

    if (mode == MODE_MINOR && (uintptr_t)from - g->mature_lo < g->mature_bytes) {
        to = g->old_top;
        g->old_top = to + words;
    } else {
        to = g->young_top;
        g->young_top = to + words;
    }
    return to;
}

/* A literal that a purge takes away: copied once, remembered beside, never written (GC3). */
static NOINLINE term move_literal(struct gc *g, term w)
{
    const term *from = ptr_of(w);
    term *moved = &g->purge_moved[((uintptr_t)from - g->purge_lo) / sizeof(term)];
    term *to = g->young_top;
    size_t words;

    if (*moved != 0)
        return *moved;
    words = is_cons(w) ? CONS_WORDS : 1 + boxed_words(from[0]);
    memcpy(to, from, words * sizeof(term));
    g->young_top = to + words;
    *moved = (term)(uintptr_t)to + (w & 7);
    if (is_box(w) && hk_shape[header_kind(from[0])].offheap)
        offheap_adopt_copy(to, &g->fresh_offheap);
    return *moved;
}

/* The new place of the pointer w; w itself when it stays. */
ALWAYS_INLINE term moved(struct gc *g, term w, enum gc_mode mode)
{
    term *from = ptr_of(w), *to, hdr = from[0];

    if (is_cons(w)) {
        if (hdr == MOVED_CELL)
            return from[1];
        to = room_for(g, from, CONS_WORDS, mode);
        to[0] = hdr;
        to[1] = from[1];
        from[0] = MOVED_CELL;
        return from[1] = cons_term(to);
    }
    if (is_box(hdr))
        return hdr;
    ASSERT_SLOW(is_header(hdr));
    if (UNLIKELY(header_kind(hdr) == HK_EXPORT_FUN))
        return w;
    size_t words = 1 + boxed_words(hdr);

    to = room_for(g, from, words, mode);
    if (UNLIKELY(words == 1))
        to[0] = hdr;
    else
        copy_words(to, from, words);
    return from[0] = box_term(to);
}

/* Make *slot, which holds a pointer, point at the new place. */
ALWAYS_INLINE void evacuate(struct gc *g, term *slot, enum gc_mode mode)
{
    term w = *slot;

    if (mode == MODE_MINOR && (uintptr_t)w - g->old_lo < g->old_bytes)
        return;
    if (is_literal(w)) {
        if (mode == MODE_PURGE && (uintptr_t)w - g->purge_lo < g->purge_bytes)
            *slot = move_literal(g, w);
        return;
    }
    *slot = moved(g, w, mode);
}

/* --- scanning --------------------------------------------------------------------------- */

/* A match context just moved: its base address follows the bytes if they are on a heap. The words
 * after the header of a moved object stay readable in from-space, which tells the way back. */
static NOINLINE void scan_match(struct gc *g, term *match, enum gc_mode mode)
{
    term before = match[4], after;

    if (mode == MODE_MINOR)
        evacuate(g, &match[4], MODE_MINOR);
    else
        evacuate(g, &match[4], MODE_PURGE);
    after = match[4];
    if (box_is(after, HK_BIN_SUB)) {
        before = after = box_ptr(before)[3];
        if (mode == MODE_MINOR)
            evacuate(g, &after, MODE_MINOR);
        else
            evacuate(g, &after, MODE_PURGE);
    } else if (!box_is(after, HK_BIN)) {
        return;
    }
    match[3] += after - before;
}

ALWAYS_INLINE term *scan_area(struct gc *g, term *at, term **top, enum gc_mode mode)
{
    while (at < *top) {
        term w = *at;

        if (is_ptr(w)) {
            evacuate(g, at, mode);
            at++;
        } else if (is_header(w)) {
            unsigned kind = header_kind(w), raw = hk_shape[kind].raw;

            if (raw == HK_RAW) {
                at += 1 + header_size(w);
            } else if (UNLIKELY(kind == HK_MATCH)) {
                scan_match(g, at, mode);
                at += 5;
            } else {
                at += 1 + raw;
            }
        } else {
            at++;
        }
    }
    return at;
}

ALWAYS_INLINE void scan_span(struct gc *g, term *at, size_t n, enum gc_mode mode)
{
    for (; n > 0; n--, at++)
        if (is_ptr(*at))
            evacuate(g, at, mode);
}

ALWAYS_INLINE void scan_roots(struct gc *g, struct heap *h, const struct gc_request *req,
                              enum gc_mode mode)
{
    for (size_t i = 0; i < req->nspans; i++)
        scan_span(g, req->spans[i].at, req->spans[i].n, mode);
    /* E[0] may hold anything; the last word of the block is the bottom of the stack. */
    if (h->E + 1 < h->hi)
        scan_span(g, h->E + 1, (size_t)(h->hi - h->E - 1), mode);
}

static void copy_minor(struct gc *g, struct heap *h, const struct gc_request *req)
{
    term *young = g->young_top, *old = g->old_top;

    scan_roots(g, h, req, MODE_MINOR);
    do {
        young = scan_area(g, young, &g->young_top, MODE_MINOR);
        old = scan_area(g, old, &g->old_top, MODE_MINOR);
    } while (young < g->young_top);
}

static void copy_full(struct gc *g, struct heap *h, const struct gc_request *req)
{
    term *young = g->young_top;

    scan_roots(g, h, req, MODE_FULL);
    scan_area(g, young, &g->young_top, MODE_FULL);
}

static void copy_purge(struct gc *g, struct heap *h, const struct gc_request *req)
{
    term *young = g->young_top;

    g->purge_lo = req->purge_lo;
    g->purge_bytes = req->purge_hi - req->purge_lo;
    g->purge_moved = mem_array(g->purge_bytes / sizeof(term) + 1, sizeof(term));
    scan_roots(g, h, req, MODE_PURGE);
    scan_area(g, young, &g->young_top, MODE_PURGE);
    mem_free(g->purge_moved);
}

/* Keep the off-heap objects that have been moved or stay in the old generation, release what
 * the others refer to, and count what the living refer to. */
static void sweep_offheap(struct gc *g, struct heap *h)
{
    term *obj = h->offheap, *next, *kept = g->fresh_offheap;
    uint64_t bytes = 0;

    for (; obj != NULL; obj = next) {
        if ((uintptr_t)obj - g->old_lo < g->old_bytes) {
            next = offheap_next(obj);
        } else if (is_box(obj[0])) {
            obj = box_ptr(obj[0]);
            next = offheap_next(obj);
        } else {
            next = offheap_next(obj);
            offheap_unref(obj);
            continue;
        }
        bytes += offheap_bytes(obj);
        offheap_set_next(obj, kept);
        kept = obj;
    }
    h->offheap = kept;
    h->vbin_bytes = 0;
    h->vbin_limit = bytes > HEAP_VBIN_BYTES_FIRST ? bytes : HEAP_VBIN_BYTES_FIRST;
}

/* --- one collection --------------------------------------------------------------------- */

static size_t old_used(const struct heap *h)
{
    return (size_t)(h->old_top - h->old_lo);
}

/* Put the stack into the new block, and make it the heap's. */
static void switch_block(struct heap *h, term *block, size_t words, term *top)
{
    size_t stack = (size_t)(h->hi - h->E);
    term *hi = block + words;

    memcpy(hi - stack, h->E, stack * sizeof(term));
    block_free(h->lo, (size_t)(h->hi - h->lo));
    h->lo = block;
    h->hi = hi;
    h->E = hi - stack;
    h->H = h->high = top;
    frags_free(h->frags);
    h->frags = NULL;
    h->frag_words = 0;
    ASSERT(h->H <= h->E);
}

static void collect_minor(struct heap *h, struct gc_request *req, size_t to_words)
{
    size_t mature = (size_t)(h->high - h->lo);
    term *block = block_alloc(to_words);
    struct gc g = {
        .old_lo = (uintptr_t)h->old_lo,
        .old_bytes = (size_t)(h->old_hi - h->old_lo) * sizeof(term),
        .mature_lo = (uintptr_t)h->lo, .mature_bytes = mature * sizeof(term),
        .young_top = block, .old_top = h->old_top,
    };

    ASSERT(mature <= (size_t)(h->old_hi - h->old_top));
    copy_minor(&g, h, req);
    ASSERT(g.old_top <= h->old_hi);
    sweep_offheap(&g, h);
    req->ret_copied_words += (uint64_t)(g.young_top - block) + (uint64_t)(g.old_top - h->old_top);
    h->old_top = g.old_top;
    switch_block(h, block, to_words, g.young_top);
    h->young_gcs++;
}

static void collect_full(struct heap *h, struct gc_request *req, size_t to_words)
{
    term *block = block_alloc(to_words);
    struct gc g = { .young_top = block };

    if ((req->flags & GC_PURGE_LITERALS) != 0)
        copy_purge(&g, h, req);
    else
        copy_full(&g, h, req);
    sweep_offheap(&g, h);
    req->ret_copied_words += (uint64_t)(g.young_top - block);
    switch_block(h, block, to_words, g.young_top);
    block_free(h->old_lo, (size_t)(h->old_hi - h->old_lo));
    h->old_lo = h->old_top = h->old_hi = NULL;
    h->young_gcs = 0;
}

/* --- when and how large ----------------------------------------------------------------- */

static size_t least_words(const struct heap *h)
{
    return h->min_words > HEAP_MIN_WORDS ? size_class(h->min_words) : HEAP_MIN_WORDS;
}

static size_t max_size(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* Words that are in use or asked for in the block. */
static size_t block_live(const struct heap *h, size_t need)
{
    return (size_t)(h->H - h->lo) + (size_t)(h->hi - h->E) + need;
}

/* Can the mature part move to the old generation? Makes that at the first promotion. */
static bool prepare_old(struct heap *h)
{
    size_t mature = (size_t)(h->high - h->lo);

    if (h->old_lo == NULL && mature > 0) {
        size_t words = max_size(fitting_size(mature), (size_t)(h->hi - h->lo));

        h->old_lo = h->old_top = block_alloc(words);
        h->old_hi = h->old_lo + words;
    }
    return mature <= (size_t)(h->old_hi - h->old_top);
}

static size_t minor_block_words(const struct heap *h, size_t need)
{
    size_t words = max_size(max_size((size_t)(h->hi - h->lo), h->want_words), least_words(h));
    size_t most = (size_t)(h->H - h->high) + h->frag_words + (size_t)(h->hi - h->E);

    /* A large need is a known quantity, a small one nearly always fits once the garbage is gone: a
     * block that is full to the last word is no reason for a larger one. */
    if (need > words / 2)
        most += need + SPARE_WORDS;
    return most > words ? size_class(most) : words;
}

static size_t full_block_words(const struct heap *h, const struct gc_request *req)
{
    size_t most = block_live(h, req->need_words) + old_used(h) + h->frag_words + SPARE_WORDS;

    if ((req->flags & GC_PURGE_LITERALS) != 0)
        most += (req->purge_hi - req->purge_lo) / sizeof(term);
    return max_size(max_size(size_class(most), least_words(h)),
                    max_size(h->want_words, (size_t)(h->hi - h->lo)));
}

/* After a full collection into a block that held all that might have survived: give it the right
 * size. Only a block that is nearly empty is worth a second copy. */
static void shrink(struct heap *h, struct gc_request *req)
{
    size_t live = block_live(h, req->need_words), block = (size_t)(h->hi - h->lo), to;

    if ((req->flags & GC_HIBERNATE) != 0) {
        to = live + SPARE_WORDS;
    } else {
        if (live > block / 100 * 15)
            return;
        to = max_size(fitting_size(live + SPARE_WORDS), least_words(h));
    }
    if (to < block)
        collect_full(h, req, to);
}

static void run_full(struct heap *h, struct gc_request *req)
{
    collect_full(h, req, full_block_words(h, req));
    req->ret_full = true;
    req->flags &= ~(unsigned)GC_PURGE_LITERALS;
    shrink(h, req);
}

static bool has_room(const struct heap *h, size_t need)
{
    return (size_t)(h->E - h->H) >= need + SPARE_WORDS;
}

static bool is_over(const struct heap *h, const struct gc_request *req)
{
    return req->max_words != 0 &&
           block_live(h, req->need_words) + old_used(h) > req->max_words;
}

void gc_collect(struct heap *h, struct gc_request *req)
{
    uint64_t before = heap_words_used(h);
    size_t live, fitting;

    ASSERT(h->lo != NULL && h->H <= h->E);
    req->ret_copied_words = 0;
    req->ret_full = false;
    if (req->flags != 0 || h->young_gcs >= h->fullsweep_after || !prepare_old(h)) {
        run_full(h, req);
    } else {
        collect_minor(h, req, minor_block_words(h, req->need_words));
        if (!has_room(h, req->need_words) || is_over(h, req))
            run_full(h, req);
    }
    ASSERT(has_room(h, req->need_words));
    live = block_live(h, req->need_words);
    fitting = is_crowded(live, (size_t)(h->hi - h->lo)) ? fitting_size(live) : 0;
    h->want_words = fitting < UINT32_MAX ? (uint32_t)fitting : UINT32_MAX;
    if ((req->flags & GC_HIBERNATE) != 0)
        h->want_words = 0;
    h->collect_soon = false;
    req->ret_over = is_over(h, req);
    req->ret_reclaimed_words = before > heap_words_used(h) ? before - heap_words_used(h) : 0;
}
