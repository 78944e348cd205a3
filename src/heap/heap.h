/* SPDX-License-Identifier: Apache-2.0 */
/*
 * heap.h - where terms live: the block of a process, fragments, and bags of fragments
 *
 *   lo [ heap ... high ... H )   free   [ E ... hi )        the stack of a process grows down to E
 *   old.lo [ old generation ... old.top )  free  old.hi
 *   frags -> fragment -> fragment                            room outside the block
 *
 * A heap belongs to one thread at a time: the one that runs or holds its process. A heap without
 * a block (all zero) is a bag: every allocation goes to fragments; loaders, tables and control
 * requests build terms in bags.
 *
 * The one rule that makes C code simple:
 *   H1  heap_alloc never collects. When the block is full it gives room in a fragment, and the
 *       interpreter collects at its next safe point. So a term in a C local of a built-in stays
 *       good until the built-in returns.
 *   H2  Words got from heap_alloc are filled completely before the built-in returns.
 *   H3  Literals (is_literal) are never moved, never copied into messages, never written.
 *   H4  Objects of kinds with hk_shape.offheap are chained on heap->offheap through their last
 *       raw word, from the moment they exist until a collection finds them dead.
 */
#ifndef HEAP_HEAP_H
#define HEAP_HEAP_H

#include "term/term.h"

struct frag {
    struct frag *next;
    term    *offheap;       /* chain of this fragment's off-heap objects while it is in transit */
    uint32_t words, used;   /* room and filled part of data[] */
    uint32_t prefix_bytes;  /* bytes of the same slab block in front of this struct (a signal) */
    uint32_t unused;
    term     data[];
};

struct heap {
    term *H, *E;            /* [own] free room of the block; the running interpreter holds copies */
    term *lo, *hi, *high;   /* [own] the block; high: survivors of a collection end here */
    term *old_lo, *old_top, *old_hi;    /* [own] old generation, NULL before the first promotion */
    struct frag *frags;     /* [own] newest first */
    term    *offheap;       /* [own] chain of off-heap objects, all generations and fragments */
    uint32_t frag_words;    /* [own] words used in frags */
    uint32_t min_words;     /* [own] min_heap_size, 0: default */
    uint64_t vbin_bytes;    /* [own] bytes of blobs referenced since the last collection */
    uint64_t vbin_limit;    /* [own] vbin_bytes above this ask for a collection; 0: default */
    uint32_t want_words;    /* [own] block size that the last collection found fitting, 0: none */
    uint16_t young_gcs;     /* [own] minor collections since the last full one */
    uint16_t fullsweep_after; /* [own] */
    bool     collect_soon;  /* [own] a safe point should collect */
    bool     in_match;      /* [own] a message is being looked at: not now */
    uint16_t catches;       /* [own] live catch slots on the stack */
    _Atomic uint32_t shown_words;   /* [own] writes, [any] reads: of all of it, as vm/survey.h tells */
};

/* --- room ------------------------------------------------------------------------------- */

term *heap_alloc_slow(struct heap *h, size_t words);

/* words of room, uninitialised; never NULL, never collects (H1, H2). */
ALWAYS_INLINE term *heap_alloc(struct heap *h, size_t words)
{
    term *at = h->H;

    if (LIKELY((size_t)(h->E - at) > words + 1)) { /* E[0] and one spare stay free */
        h->H = at + words;
        return at;
    }
    return heap_alloc_slow(h, words);
}

/* So little room is left in the block that a safe point had better collect before a fragment is
 * needed: what lies in fragments makes the next block larger. */
ALWAYS_INLINE bool heap_is_low(const struct heap *h)
{
    return (size_t)(h->E - h->H) < (size_t)(h->hi - h->lo) / 8;
}

/* A blob of this many bytes has got one more reference from h: enough of them ask for a
 * collection. */
#define HEAP_VBIN_BYTES_FIRST ((uint64_t)46422 * 8) /* OTP's first virtual binary heap */
ALWAYS_INLINE void heap_count_vbin(struct heap *h, uint64_t bytes)
{
    h->vbin_bytes += bytes;
    if (h->vbin_bytes > (h->vbin_limit != 0 ? h->vbin_limit : HEAP_VBIN_BYTES_FIRST))
        h->collect_soon = true;
}

/* Give back the unused end of the newest heap_alloc: at..got+words was not filled. */
void heap_trim(struct heap *h, term *got, size_t words, term *at);

void heap_bag_init(struct heap *h);                     /* an empty bag */
void heap_fini(struct heap *h);                         /* free block, old, fragments; release blobs */
/* The same of a heap that is not used again; shown_words may still be read. */
void heap_end(struct heap *h);
size_t heap_words_used(const struct heap *h);           /* block + old + fragments, no stack */
size_t heap_bytes(const struct heap *h);                /* memory held */
/* Bytes of the blobs that terms of h look into, each counted once. Of many thousands only the newest
 * count, and *ret_cut says so. */
uint64_t heap_binary_bytes(const struct heap *h, bool *ret_cut);

struct frag *frag_new(size_t words, size_t prefix_bytes); /* the struct frag; prefix lies before it */
void frag_free(struct frag *f);                         /* releases its chain too */
/* Take f: its terms become terms of h. */
void heap_adopt_frag(struct heap *h, struct frag *f);

/* --- common terms (each allocates from h) ------------------------------------------------- */

term heap_cons(struct heap *h, term head, term tail);
term heap_tuple(struct heap *h, size_t n, const term *elems);
term heap_tuple2(struct heap *h, term a, term b);
term heap_tuple3(struct heap *h, term a, term b, term c);
term heap_tuple4(struct heap *h, term a, term b, term c, term d);
term heap_list(struct heap *h, const term *elems, size_t n, term tail);
term heap_int(struct heap *h, int64_t v);               /* small or bignum */
term heap_uint(struct heap *h, uint64_t v);
term heap_float(struct heap *h, double d);              /* d finite */
term heap_latin1(struct heap *h, const char *s, size_t len);    /* list of bytes */
term heap_cstr(struct heap *h, const char *s);          /* UTF-8 text as a list of code points */
term heap_binary(struct heap *h, const void *data, size_t bytes);

/* Length of a proper list, or -1 for anything else. */
int64_t list_length(term list);
/* Fit of an integer term into 64 bits. */
bool term_to_int64(term t, int64_t *ret);
bool term_to_uint64(term t, uint64_t *ret);

/* --- copying ---------------------------------------------------------------------------- */

/* Words that a copy of t takes; sharing is not kept; literals, immediates and export funs (which are
 * immortal) count 0. */
size_t term_size(term t);
/* Copy t into exactly term_size(t) words at *at, which moves; chains off-heap objects on
 * *offheap and counts their blobs. Literals are kept by reference. */
term term_copy(term t, term **at, term **offheap);
/* The same with literals copied as well, for copies that must outlive the code (rows of tables). */
size_t term_size_whole(term t);
term term_copy_whole(term t, term **at, term **offheap);
/* term_copy_whole of a boxed term or list into at most cap words, in one pass: the words used, from
 * to[0] on. 0: it takes more, or has off-heap objects; then to has nothing of use. */
size_t term_copy_bounded(term t, term *to, size_t cap);
/* Drop the references that a chain holds; the words of its objects may be freed after this. */
void term_chain_release(term *offheap);
/* Copy t into h. */
term heap_copy(struct heap *h, term t);
/* t itself, a term of h, when it holds no literals; else a copy in h that has none. */
term heap_copy_whole(struct heap *h, term t);
/* Copy t into a fragment of its own; NULL when t needs no room (ret_term is then t itself). */
struct frag *frag_copy(term t, size_t prefix_bytes, term *ret_term);
/* The same with literals copied, for what is kept beside the heaps for longer than a turn. */
struct frag *frag_copy_whole(term t, term *ret_term);

/* --- literals --------------------------------------------------------------------------- */

extern uintptr_t literal_base;
#define LITERAL_REGION_BYTES ((uintptr_t)16 << 30)

/* The address of a boxed or list term lies in the literal region. */
ALWAYS_INLINE bool is_literal(term t)
{
    return (uintptr_t)t - literal_base < LITERAL_REGION_BYTES;
}

/* A block of literals: built once, constant after, freed when nobody refers to it any more. */
struct literal_area { term *start; size_t words; term *offheap; size_t bytes_mapped; };
void literal_region_init(void);                         /* reserve address space; once, at start */
/* Copy the n terms at roots[] into a new area and replace them. The area is whole: literals of
 * other areas are copied too, so that either can be freed first. */
void literal_area_build(struct literal_area *ret, term *roots, size_t n);
void literal_area_free(struct literal_area *area);
/* Make one immortal literal copy of t (atoms tables of constants, persistent terms). */
term literal_copy(term t, struct literal_area *ret_area);

#endif
