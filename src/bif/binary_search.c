/* SPDX-License-Identifier: Apache-2.0 */
/*
 * binary_search.c - compile_pattern, match, matches and split
 *
 * A compiled pattern is a blob behind a magic reference: {bm, Ref} for one string, {ac, Ref} for
 * several, and a pattern given as a binary or a list is compiled for the one call. One string is
 * searched with memmem. Several are filed under their first byte, longest first: a position is
 * looked at closely only when its byte starts some string, and of those that fit there the longest
 * is the match.
 */
#include "bif/bif.h"

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/fiber.h"
#include "heap/blob.h"

#define BYTES_PER_REDUCTION 128
#define PATTERN_MAGIC 0x7061747465726e31u       /* tells our blobs from other resources */

struct needle {
    uint32_t next;          /* next needle of the same first byte, 0: none; needles count from 1 */
    uint32_t len, at;       /* bytes at at..at+len of the pool */
};

struct pattern {
    uint64_t magic;
    uint32_t n, pool_at;    /* needles, and where the pool begins, in bytes from here */
    uint32_t head[256];     /* first needle of each first byte */
    struct needle needles[];
};

#define pattern_pool(pt) ((const uint8_t *)(pt) + (pt)->pool_at)

/* What to search: the bytes of the scope. */
struct search {
    const struct pattern *pattern;
    const uint8_t *bytes;
    size_t from, end;       /* of the subject */
    struct blob *own;       /* pattern compiled for this call, or NULL */
    uint8_t *scratch;       /* copy of a subject at a bit offset, or NULL */
};

struct match { size_t at, len; };

/* --- patterns ------------------------------------------------------------------------------- */

/* Never called for its effect: its address marks the blobs that are patterns. */
static void pattern_dtor(struct blob *b)
{
    ASSERT(((struct pattern *)(void *)b->data)->magic == PATTERN_MAGIC);
}

/* Insert needle i into the chain of its first byte, which falls in length. */
static void pattern_file(struct pattern *pt, uint32_t i)
{
    struct needle *nd = &pt->needles[i];
    uint32_t *link = &pt->head[pattern_pool(pt)[nd->at]];

    while (*link != 0 && pt->needles[*link - 1].len >= nd->len)
        link = &pt->needles[*link - 1].next;
    nd->next = *link;
    *link = i + 1;
}

static size_t needle_bytes(term t)
{
    return is_binary(t) ? bitstring_bits(t) / 8 : 0;
}

/* A binary or a proper, non-empty list of binaries, none of them empty; NULL: something else. */
static struct blob *pattern_compile(term t)
{
    size_t n = 0, bytes = 0, at = 0;
    struct pattern *pt;
    struct blob *b;
    uint8_t *pool;
    term l;

    for (l = t; is_cons(l); l = cdr(l), n++) {
        if (needle_bytes(car(l)) == 0)
            return NULL;
        bytes += needle_bytes(car(l));
        fiber_tick(1);
    }
    if (n == 0) {
        n = 1;
        bytes = needle_bytes(l);
        if (bytes == 0)
            return NULL;
    } else if (!is_nil(l)) {
        return NULL;
    }
    if (n > UINT32_MAX / sizeof(struct needle) / 2 || bytes > UINT32_MAX / 2)
        return NULL;
    b = blob_new(sizeof *pt + n * sizeof(struct needle) + bytes);
    b->dtor = pattern_dtor;
    pt = (struct pattern *)(void *)b->data;
    memset(pt, 0, sizeof *pt);
    pt->magic = PATTERN_MAGIC;
    pt->n = (uint32_t)n;
    pt->pool_at = (uint32_t)(sizeof *pt + n * sizeof(struct needle));
    pool = (uint8_t *)pt + pt->pool_at;
    for (uint32_t i = 0; i < n; i++) {
        struct bits from = bits_of(is_cons(t) ? car(t) : t);

        bits_copy(pool + at, 0, from.base, from.bit_offset, from.bits);
        pt->needles[i] = (struct needle){ 0, (uint32_t)(from.bits / 8), (uint32_t)at };
        at += from.bits / 8;
        pattern_file(pt, i);
        fiber_tick(4);
        t = is_cons(t) ? cdr(t) : t;
    }
    return b;
}

static const struct pattern *pattern_of_term(term t)
{
    term ref;

    if (!is_tuple_n(t, 2) || (tuple_elem(t, 0) != ATOM_bm && tuple_elem(t, 0) != ATOM_ac))
        return NULL;
    ref = tuple_elem(t, 1);
    if (!box_is(ref, HK_MAGIC) || magic_blob(ref)->dtor != pattern_dtor)
        return NULL;
    return (const struct pattern *)(const void *)magic_blob(ref)->data;
}

term bif_binary_compile_pattern(struct process *p, const term *a)
{
    struct blob *b = pattern_compile(a[0]);
    const struct pattern *pt;

    if (b == NULL)
        return bif_badarg(p);
    pt = (const struct pattern *)(const void *)b->data;
    return heap_tuple2(&p->heap, pt->n == 1 ? ATOM_bm : ATOM_ac, magic_make(&p->heap, b));
}

/* --- searching ------------------------------------------------------------------------------ */

static bool find_one(const struct search *s, const struct needle *nd, size_t from,
                     struct match *ret)
{
    const uint8_t *text = pattern_pool(s->pattern) + nd->at, *hit;

    /* Pieces overlap, so that a match across their border is in the first of them. */
    for (size_t n; from < s->end; from += n) {
        size_t left = s->end - from, look = FIBER_CHUNK_BYTES + nd->len - 1;

        n = left < FIBER_CHUNK_BYTES ? left : FIBER_CHUNK_BYTES;
        hit = memmem(s->bytes + from, look < left ? look : left, text, nd->len);
        fiber_tick_bytes(8 * (hit == NULL ? n : (size_t)(hit - s->bytes) - from));
        if (hit != NULL) {
            *ret = (struct match){ (size_t)(hit - s->bytes), nd->len };
            return true;
        }
    }
    return false;
}

/* The first match at or after `from`. */
static bool find_next(const struct search *s, size_t from, struct match *ret)
{
    const struct pattern *pt = s->pattern;

    if (pt->n == 1)
        return find_one(s, &pt->needles[0], from, ret);
    for (size_t i = from; i < s->end; i = (size_t)fiber_step((int64_t)i)) {
        for (uint32_t k = pt->head[s->bytes[i]]; k != 0; k = pt->needles[k - 1].next) {
            const struct needle *nd = &pt->needles[k - 1];

            if (nd->len <= s->end - i &&
                memcmp(s->bytes + i, pattern_pool(pt) + nd->at, nd->len) == 0) {
                *ret = (struct match){ i, nd->len };
                return true;
            }
        }
    }
    return false;
}

enum split_flags { SPLIT_GLOBAL = 1, SPLIT_TRIM = 2, SPLIT_TRIM_ALL = 4 };

/* {scope, {Start, Length}} as a range of size bytes. */
static bool scope_option(term t, size_t size, struct search *s)
{
    int64_t from, n;

    if (!is_tuple_n(t, 2) || !is_small(tuple_elem(t, 0)) || !is_small(tuple_elem(t, 1)))
        return false;
    from = small_val(tuple_elem(t, 0));
    n = small_val(tuple_elem(t, 1));
    if (n < 0) {
        from += n;
        n = -n;
    }
    if (from < 0 || (uint64_t)from > size || (uint64_t)n > size - (uint64_t)from)
        return false;
    s->from = (size_t)from;
    s->end = (size_t)(from + n);
    return true;
}

/* Options of all three functions; flags: those that are allowed beside scope, NULL: none. */
static bool search_options(term opts, size_t size, struct search *s, unsigned *flags)
{
    for (; is_cons(opts); opts = cdr(opts)) {
        term o = car(opts);

        if (is_tuple_n(o, 2) && tuple_elem(o, 0) == ATOM_scope) {
            if (!scope_option(tuple_elem(o, 1), size, s))
                return false;
        } else if (flags != NULL && o == ATOM_global) {
            *flags |= SPLIT_GLOBAL;
        } else if (flags != NULL && o == ATOM_trim) {
            *flags |= SPLIT_TRIM;
        } else if (flags != NULL && o == ATOM_trim_all) {
            *flags |= SPLIT_TRIM_ALL;
        } else {
            return false;
        }
    }
    return is_nil(opts);
}

static void search_fini(struct search *s)
{
    if (s->own != NULL)
        blob_unref(s->own);
    mem_free(s->scratch);
}

/* Check the arguments; false: badarg, and nothing is held. */
static bool search_init(struct search *s, term subject, term pattern, term opts, unsigned *flags)
{
    size_t size;

    *s = (struct search){ .pattern = NULL };
    if (!binary_bytes(subject, &s->bytes, &size, &s->scratch))
        return false;
    s->end = size;
    s->pattern = pattern_of_term(pattern);
    if (s->pattern == NULL) {
        s->own = pattern_compile(pattern);
        if (s->own != NULL)
            s->pattern = (const struct pattern *)(const void *)s->own->data;
    }
    if (s->pattern != NULL && search_options(opts, size, s, flags))
        return true;
    search_fini(s);
    return false;
}

static void search_charge(struct process *p, const struct search *s)
{
    charge(p, (int64_t)((s->end - s->from) / BYTES_PER_REDUCTION));
}

static term match_term(struct heap *h, struct match m)
{
    return heap_tuple2(h, small_make(m.at), small_make(m.len));
}

static term match_first(struct process *p, term subject, term pattern, term opts)
{
    struct search s;
    struct match m;
    bool found;

    if (!search_init(&s, subject, pattern, opts, NULL))
        return bif_badarg(p);
    found = find_next(&s, s.from, &m);
    if (found)
        charge(p, (int64_t)((m.at - s.from) / BYTES_PER_REDUCTION));
    else
        search_charge(p, &s);
    search_fini(&s);
    return found ? match_term(&p->heap, m) : ATOM_nomatch;
}

/* All matches that do not overlap, or only the first; struct match one after the other. */
static void find_all(const struct search *s, bool all, struct buf *out)
{
    struct match m;

    for (size_t from = s->from; find_next(s, from, &m); from = m.at + m.len) {
        buf_add(out, &m, sizeof m);
        if (!all)
            return;
    }
}

static term match_all(struct process *p, term subject, term pattern, term opts)
{
    struct buf found = { 0 };
    const struct match *m;
    struct search s;
    term list = TERM_NIL;

    if (!search_init(&s, subject, pattern, opts, NULL))
        return bif_badarg(p);
    find_all(&s, true, &found);
    m = (const struct match *)(const void *)found.data;
    for (size_t i = 0, n = found.len / sizeof *m; i < n; i = (size_t)fiber_step((int64_t)i))
        list = heap_cons(&p->heap, match_term(&p->heap, m[n - 1 - i]), list);
    search_charge(p, &s);
    search_fini(&s);
    buf_fini(&found);
    return list;
}

/* The parts of subject between n matches, without the empty ones that flags drop. Built from the
 * back, so that trim sees the last parts first. */
static term split_at(struct heap *h, term subject, const struct match *m, size_t n, unsigned flags)
{
    size_t end = bitstring_bits(subject) / 8;
    term list = TERM_NIL;

    for (size_t i = n;; i--) {
        size_t from = i == 0 ? 0 : m[i - 1].at + m[i - 1].len;
        bool drop = end == from && (flags & SPLIT_TRIM_ALL ||
                                    (flags & SPLIT_TRIM && is_nil(list)));

        if (!drop)
            list = heap_cons(h, bitstring_sub(h, subject, 8 * (uint64_t)from,
                                              8 * (uint64_t)(end - from)), list);
        if (i == 0)
            return list;
        fiber_tick(4);
        end = m[i - 1].at;
    }
}

static term split(struct process *p, term subject, term pattern, term opts)
{
    struct buf found = { 0 };
    struct search s;
    unsigned flags = 0;
    term list;

    if (!search_init(&s, subject, pattern, opts, &flags))
        return bif_badarg(p);
    find_all(&s, flags & SPLIT_GLOBAL, &found);
    list = split_at(&p->heap, subject, (const struct match *)(const void *)found.data,
                    found.len / sizeof(struct match), flags);
    search_charge(p, &s);
    search_fini(&s);
    buf_fini(&found);
    return list;
}

term bif_binary_match_2(struct process *p, const term *a)
{
    return match_first(p, a[0], a[1], TERM_NIL);
}

term bif_binary_match_3(struct process *p, const term *a)
{
    return match_first(p, a[0], a[1], a[2]);
}

term bif_binary_matches_2(struct process *p, const term *a)
{
    return match_all(p, a[0], a[1], TERM_NIL);
}

term bif_binary_matches_3(struct process *p, const term *a)
{
    return match_all(p, a[0], a[1], a[2]);
}

term bif_binary_split_2(struct process *p, const term *a)
{
    return split(p, a[0], a[1], TERM_NIL);
}

term bif_binary_split_3(struct process *p, const term *a)
{
    return split(p, a[0], a[1], a[2]);
}
