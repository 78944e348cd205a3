/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hash.c - the portable hash, which programs store, and our own, which they never see
 *
 * The portable one is a fold: the state h runs through a term from left to right. Pairs of a map
 * start from 0 each and are combined by exclusive or, so that their order does not matter.
 */
#include "term/compare.h"

#include "base/alloc.h"
#include "base/fiber.h"
#include "term/atom.h"
#include "term/bits.h"
#include "term/fun.h"
#include "term/ids.h"
#include "term/map_walk.h"
#include "term/stack.h"

/* --- the portable hash -------------------------------------------------------------------- */

#define K(n) ((uint32_t)(n) * 0x9E3779B9u)

struct mix3 { uint32_t a, b, c; };

ALWAYS_INLINE struct mix3 mix(uint32_t a, uint32_t b, uint32_t c)
{
    a = (a - b - c) ^ c >> 13;
    b = (b - c - a) ^ a << 8;
    c = (c - a - b) ^ b >> 13;
    a = (a - b - c) ^ c >> 12;
    b = (b - c - a) ^ a << 16;
    c = (c - a - b) ^ b >> 5;
    a = (a - b - c) ^ c >> 3;
    b = (b - c - a) ^ a << 10;
    c = (c - a - b) ^ b >> 15;
    return (struct mix3){ a, b, c };
}

static uint32_t h2(uint32_t h, uint32_t x, uint32_t y, uint32_t k)
{
    return mix(k + x, k + y, h).c;
}

static uint32_t h1(uint32_t h, uint32_t x, uint32_t k)
{
    return h2(h, x, 0, k);
}

static uint32_t le32(const uint8_t *p, size_t n)
{
    uint32_t v = 0;

    for (size_t i = 0; i < n; i++)
        v |= (uint32_t)p[i] << (8 * i);
    return v;
}

static uint32_t hash_block(const uint8_t *p, size_t len, uint32_t h)
{
    struct mix3 m = { K(1), K(1), h };
    size_t left = len;

    for (; left >= 12; p += 12, left -= 12)
        m = mix(m.a + le32(p, 4), m.b + le32(p + 4, 4), m.c + le32(p + 8, 4));
    m.c += (uint32_t)len;
    m.a += le32(p, left < 4 ? left : 4);
    if (left > 4)
        m.b += le32(p + 4, left < 8 ? left - 4 : 4);
    if (left > 8)
        m.c += le32(p + 8, left - 8) << 8;      /* the lowest byte belongs to the length */
    return mix(m.a, m.b, m.c).c;
}

static uint32_t hash_bits(term t, uint32_t h)
{
    struct bits b = bits_of(t);
    size_t bytes = b.bits / 8;
    unsigned rest = b.bits & 7;
    uint8_t *copy = NULL;

    if (b.bits == 0)
        return K(13) + h;
    if (b.bit_offset != 0) {
        copy = mem_alloc(bytes + 1);
        bits_copy(copy, 0, b.base, b.bit_offset, (uint64_t)bytes * 8);
    }
    h = hash_block(copy != NULL ? copy : b.base, bytes, K(13) + h);
    mem_free(copy);
    return rest == 0 ? h : h2(h, rest, (uint32_t)bits_get(b, b.bits - rest, rest), K(15));
}

static uint32_t hash_small(int64_t v, uint32_t h)
{
    uint64_t magnitude = v < 0 ? (uint64_t)0 - (uint64_t)v : (uint64_t)v;

    if (v >= -(1 << 27) && v < 1 << 27) {
        if (v < 0)
            h = h1(h, (uint32_t)magnitude, K(1));
        return h1(h, (uint32_t)v, K(1));
    }
    return h2(h, (uint32_t)magnitude, (uint32_t)(magnitude >> 32), v < 0 ? K(10) : K(11));
}

static uint32_t hash_big(const term *p, uint32_t h)
{
    uint32_t k = header_kind(p[0]) == HK_BIGNEG ? K(10) : K(11);

    for (size_t i = 1; i <= header_size(p[0]); i++)
        h = h2(h, (uint32_t)p[i], (uint32_t)(p[i] >> 32), k);
    return h;
}

static uint32_t hash_float(double d, uint32_t h)
{
    uint64_t u;

    if (d == 0)
        d = 0.0;
    memcpy(&u, &d, sizeof u);
    return h2(h, (uint32_t)(u >> 32), (uint32_t)u, K(12));
}

static uint32_t hash_export(const struct export *e, uint32_t h)
{
    return h1(h2(h, e->arity, atom_hash(e->module), K(1)), atom_hash(e->function), K(14));
}

static uint32_t hash_fun_entry(const struct fun_entry *e, size_t nfree, uint32_t h)
{
    h = h2(h, (uint32_t)nfree, atom_hash(e->module), K(1));
    return h2(h, e->index, e->old_uniq, K(1));
}

static uint32_t hash_identifier(term t, uint32_t h)
{
    uint32_t words[REF_WORDS_MAX] = { 0 };

    if (is_pid(t))
        return h1(h, pid_number(t), K(5));
    if (is_port(t))
        return h2(h, (uint32_t)port_number(t), (uint32_t)(port_number(t) >> 32), K(6));
    ref_words(t, words);
    return h1(h, words[0], K(7));
}

/* What waits on the stack, the tag last. */
enum waiting {
    WAIT_WORDS,     /* address, count: further terms */
    WAIT_TAIL,      /* the rest of a list */
    WAIT_KEY,       /* a struct map_hash whose current key has just been hashed */
    WAIT_VALUE,     /* the same, its current value */
};

struct map_hash {
    uint32_t before, sum;   /* h when the map began; exclusive or of the pairs so far */
    size_t n, i;
    term words[];           /* keys, then values */
};

struct fold {
    uint32_t h;
    struct term_stack st;
};

static void wait_words(struct fold *f, const term *at, size_t n)
{
    if (n > 0) {
        stack_push2(&f->st, (term)(uintptr_t)at, n);
        stack_push(&f->st, WAIT_WORDS);
    }
}

static void fold_run(struct fold *f, uint32_t *run, unsigned *len)
{
    if (*len > 0)
        f->h = h1(f->h, *run, K(4));
    *run = 0;
    *len = 0;
}

/* Hash runs of bytes of the list t; returns the term to hash next: the first element that is no
 * byte, with the rest waiting, or the tail. */
static term fold_list(struct fold *f, term t)
{
    uint32_t run = 0;
    unsigned len = 0;

    for (; is_cons(t); t = cdr(t)) {
        term e = car(t);

        if (!is_small(e) || e > small_make(255)) {
            fold_run(f, &run, &len);
            stack_push2(&f->st, cdr(t), WAIT_TAIL);
            return e;
        }
        run = run << 8 | (uint32_t)small_val(e);
        if (++len == 4)
            fold_run(f, &run, &len);
    }
    fold_run(f, &run, &len);
    return t;
}

static void fold_map(struct fold *f, term t)
{
    size_t n = map_count(t);
    struct map_hash *m;

    f->h = h1(f->h, (uint32_t)n, K(16));
    if (n == 0)
        return;
    m = mem_alloc(sizeof *m + 2 * n * sizeof(term));
    *m = (struct map_hash){ .before = f->h, .n = n };
    map_unpack(t, m->words, m->words + n);
    /* Begin as if the value before the first pair had just been hashed, to 0. */
    f->h = 0;
    m->i = SIZE_MAX;
    stack_push2(&f->st, (term)(uintptr_t)m, WAIT_VALUE);
}

/* A term that is not a list: hash it, leaving inner terms waiting. */
static void fold_one(struct fold *f, term t)
{
    const term *p;

    if (is_small(t)) {
        f->h = hash_small(small_val(t), f->h);
    } else if (is_atom(t)) {
        f->h = f->h == 0 ? atom_hash(t) : h1(f->h, atom_hash(t), K(3));
    } else if (is_nil(t)) {
        f->h = f->h == 0 ? 3468870702u : h1(f->h, 2, K(2));
    } else if (is_float(t)) {
        f->h = hash_float(flt_val(t), f->h);
    } else if (is_bitstring(t)) {
        f->h = hash_bits(t, f->h);
    } else if (is_map(t)) {
        fold_map(f, t);
    } else if (is_big(t)) {
        f->h = hash_big(box_ptr(t), f->h);
    } else if (is_tuple(t)) {
        p = box_ptr(t);
        f->h = h1(f->h, (uint32_t)header_size(p[0]), K(9));
        wait_words(f, p + 1, header_size(p[0]));
    } else if (is_export_fun(t)) {
        f->h = hash_export(export_of(t), f->h);
    } else if (is_local_fun(t)) {
        size_t nfree = header_size(box_header(t)) - 1;

        f->h = hash_fun_entry(fun_entry_of(t), nfree, f->h);
        wait_words(f, &fun_free(t, 0), nfree);
    } else {
        f->h = hash_identifier(t, f->h);
    }
}

/* The current value of the map on top is hashed: go on with its next key, or end the map. */
static bool next_pair(struct fold *f, struct map_hash *m, term *ret)
{
    m->sum ^= f->h;
    if (++m->i == m->n) {
        f->h = h1(m->before, m->sum, K(19));
        mem_free(m);
        return false;
    }
    f->h = 0;
    stack_push2(&f->st, (term)(uintptr_t)m, WAIT_KEY);
    *ret = m->words[m->i];
    return true;
}

/* The next waiting term; false: none left. */
static bool fold_next(struct fold *f, term *ret)
{
    while (f->st.len > 0) {
        term tag = stack_pop(&f->st), w = stack_pop(&f->st);
        struct map_hash *m = (struct map_hash *)(uintptr_t)w;
        const term *at;

        switch (tag) {
        case WAIT_WORDS:
            at = (const term *)(uintptr_t)stack_pop(&f->st);
            wait_words(f, at + 1, w - 1);
            *ret = *at;
            return true;
        case WAIT_TAIL:
            *ret = w;
            return true;
        case WAIT_KEY:
            stack_push2(&f->st, w, WAIT_VALUE);
            *ret = m->words[m->n + m->i];
            return true;
        default:
            if (next_pair(f, m, ret))
                return true;
        }
    }
    return false;
}

uint32_t term_phash2(term t)
{
    struct fold f = { .h = 0 };
    int64_t n = 0;

    stack_init(&f.st);
    do {
        if (is_cons(t))
            t = fold_list(&f, t);
        if (is_cons(t))                 /* an element that is itself a list */
            stack_push2(&f.st, t, WAIT_TAIL);
        else
            fold_one(&f, t);
        n = fiber_step(n);
    } while (fold_next(&f, &t));
    stack_fini(&f.st);
    return f.h;
}

uint32_t term_phash(term t, uint32_t range)
{
    uint32_t h = term_phash2(t);

    /* Not OTP's algorithm of that name: it is deprecated, and its values are not portable there
     * either. Range 0 stands for 2^32. */
    return (range == 0 ? h : h % range) + 1;
}

/* --- our own hash ------------------------------------------------------------------------- */

#define MULTIPLIER 0x9FB21C651E98DF25u

ALWAYS_INLINE uint64_t stir(uint64_t h, uint64_t w)
{
    h = (h ^ w) * MULTIPLIER;
    return h ^ h >> 32;
}

ALWAYS_INLINE uint64_t finish(uint64_t h)
{
    h = (h ^ h >> 29) * 0xBF58476D1CE4E5B9u;
    return h ^ h >> 32;
}

static uint64_t stir_bits(uint64_t h, term t)
{
    struct bits b = bits_of(t);
    uint64_t at = 0;
    bool whole = header_kind(box_header(t)) == HK_BIN;  /* its bytes fill whole words */

    h = stir(h, b.bits << 8 | HK_BIN);
    if (b.bit_offset == 0)
        for (; at + 64 <= b.bits; at += 64) {
            uint64_t w;

            memcpy(&w, b.base + at / 8, 8);
            h = stir(h, __builtin_bswap64(w));
        }
    for (; at < b.bits; at += 64) {
        unsigned n = b.bits - at < 64 ? (unsigned)(b.bits - at) : 64;
        uint64_t w;

        if (LIKELY(whole)) {
            memcpy(&w, b.base + at / 8, 8);
            w = __builtin_bswap64(w) >> (64 - n);
        } else {
            w = bits_get(b, at, n);
        }
        h = stir(h, w);
    }
    return h;
}

static uint64_t stir_words(uint64_t h, const term *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        h = stir(h, p[i]);
    return h;
}

/* Hash the object at p but for its inner terms, which are *ret_n words at *ret_at. Terms equal
 * under =:= have the same words here, maps included: their shape follows from their keys. */
static uint64_t stir_object(uint64_t h, term t, const term **ret_at, size_t *ret_n)
{
    const term *p = box_ptr(t);
    unsigned kind = header_kind(p[0]), raw = hk_shape[kind].raw;
    size_t words = 1 + boxed_words(p[0]);

    *ret_n = 0;
    if (kind >= HK_BIN && kind <= HK_BIN_SUB)
        return stir_bits(h, t);
    if (hk_shape[kind].offheap)
        return stir_words(h, p, words - 1);     /* the link to the next is no part of it */
    if (kind == HK_FUN) {
        struct fun_entry *e = fun_entry_of(t);

        h = stir(stir(stir(h, p[0]), e->module), (uint64_t)e->index << 32 | e->old_uniq);
    } else {
        if (raw == HK_RAW)
            return stir_words(h, p, words);
        h = stir_words(h, p, 1 + raw);
    }
    *ret_at = p + 1 + raw;
    *ret_n = words - 1 - raw;
    return h;
}

static NOINLINE uint64_t hash_compound(term t)
{
    struct term_stack st;       /* pairs: address of the next word, words left */
    const term *at = &t;
    size_t left = 1;
    uint64_t h = 0;

    stack_init(&st);
    for (;;) {
        const term *inner = NULL;
        size_t n = CONS_WORDS;
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
        if (!is_ptr(w)) {
            h = stir(h, w);
            continue;
        }
        if (is_cons(w)) {
            h = stir(h, TAG_LIST);
            inner = cons_ptr(w);
        } else {
            h = stir_object(h, w, &inner, &n);
        }
        if (n == 0)
            continue;
        if (left != 0)
            stack_push2(&st, (term)(uintptr_t)at, left);
        at = inner;
        left = n;
    }
    stack_fini(&st);
    return finish(h);
}

uint64_t term_hash(term t)
{
    if (is_bitstring(t))
        return finish(stir_bits(0, t));
    return is_ptr(t) ? hash_compound(t) : finish(stir(0, t));
}
