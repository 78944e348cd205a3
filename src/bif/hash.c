/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hash.c - hashes of terms, digests and checksums of bytes
 *
 * The work is charged for by size; nothing here yields.
 */
#include "bif/bif.h"

#include "base/alloc.h"
#include "base/fiber.h"
#include "base/md5.h"
#include "heap/blob.h"
#include "heap/iolist.h"
#include "term/atom.h"
#include "term/compare.h"

#include <zlib.h>

#define BYTES_PER_REDUCTION 64
#define MD5_BYTES 16

/* --- terms ---------------------------------------------------------------------------------- */

term bif_phash2_1(struct process *p, const term *a)
{
    return small_make(term_phash2(a[0]) & ((1u << 27) - 1));
}

/* 1..2^32, or 0. */
static uint64_t hash_range(term t)
{
    return is_small(t) && small_val(t) >= 1 && small_val(t) <= (int64_t)1 << 32
        ? (uint64_t)small_val(t) : 0;
}

term bif_phash2_2(struct process *p, const term *a)
{
    uint64_t range = hash_range(a[1]);

    return range == 0 ? bif_badarg(p) : small_make(term_phash2(a[0]) % range);
}

/* A range of 2^32 is 0 to term_phash. */
term bif_phash(struct process *p, const term *a)
{
    uint64_t range = hash_range(a[1]);

    return range == 0 ? bif_badarg(p) : small_make(term_phash(a[0], (uint32_t)range));
}

/* --- bytes ---------------------------------------------------------------------------------- */

struct flat { const uint8_t *bytes; size_t len; uint8_t *scratch; };

/* The bytes of iodata; flat_drop follows. */
static bool flat_get(struct process *p, struct flat *f, term t)
{
    if (is_list(t)) {
        if (!iolist_size(t, &f->len))
            return false;
        f->scratch = mem_alloc(f->len);
        iolist_write(t, f->scratch);
        f->bytes = f->scratch;
    } else if (!binary_bytes(t, &f->bytes, &f->len, &f->scratch)) {
        return false;
    }
    charge(p, (int64_t)(f->len / BYTES_PER_REDUCTION));
    return true;
}

static void flat_drop(struct flat *f)
{
    mem_free(f->scratch);
}

/* fn for all bytes, a piece at a time; once when there are none. */
static void flat_each(const struct flat *f, void (*fn)(void *to, const void *bytes, size_t n),
                      void *to)
{
    size_t at = 0;

    do {
        size_t n = f->len - at < FIBER_CHUNK_BYTES ? f->len - at : FIBER_CHUNK_BYTES;

        fn(to, f->bytes + at, n);
        fiber_tick_bytes(8 * n);
        at += n;
    } while (at < f->len);
}

static void md5_piece(void *to, const void *bytes, size_t n)
{
    md5_update(to, bytes, n);
}

static term digest(struct process *p, struct md5 *m)
{
    uint8_t bytes[MD5_BYTES];

    md5_final(m, bytes);
    return heap_binary(&p->heap, bytes, sizeof bytes);
}

term bif_md5(struct process *p, const term *a)
{
    struct flat f;
    struct md5 m;

    if (!flat_get(p, &f, a[0]))
        return bif_badarg(p);
    md5_init(&m);
    flat_each(&f, md5_piece, &m);
    flat_drop(&f);
    return digest(p, &m);
}

/* A context is the struct's bytes. */
static bool context_get(struct md5 *m, term t)
{
    const uint8_t *bytes;
    uint8_t *scratch;
    size_t len;

    if (!binary_bytes(t, &bytes, &len, &scratch))
        return false;
    if (len == sizeof *m)
        memcpy(m, bytes, sizeof *m);
    mem_free(scratch);
    return len == sizeof *m;
}

term bif_md5_init(struct process *p, const term *a)
{
    struct md5 m;

    memset(&m, 0, sizeof m);
    md5_init(&m);
    return heap_binary(&p->heap, &m, sizeof m);
}

term bif_md5_update(struct process *p, const term *a)
{
    struct flat f;
    struct md5 m;

    if (!context_get(&m, a[0]) || !flat_get(p, &f, a[1]))
        return bif_badarg(p);
    flat_each(&f, md5_piece, &m);
    flat_drop(&f);
    return heap_binary(&p->heap, &m, sizeof m);
}

term bif_md5_final(struct process *p, const term *a)
{
    struct md5 m;

    return context_get(&m, a[0]) ? digest(p, &m) : bif_badarg(p);
}

/* --- checksums ------------------------------------------------------------------------------ */

typedef uLong checksum_fn(uLong sum, const Bytef *bytes, z_size_t len);

static bool uint32_of(term t, uint32_t *ret)
{
    uint64_t v;

    if (!term_to_uint64(t, &v) || v > UINT32_MAX)
        return false;
    *ret = (uint32_t)v;
    return true;
}

struct sum { uLong value; checksum_fn *fn; };

static void sum_piece(void *to, const void *bytes, size_t n)
{
    struct sum *s = to;

    s->value = s->fn(s->value, bytes, n);
}

static term checksum(struct process *p, uint32_t sum, term data, checksum_fn *fn)
{
    struct flat f;
    struct sum s = { sum, fn };

    if (!flat_get(p, &f, data))
        return bif_badarg(p);
    flat_each(&f, sum_piece, &s);
    flat_drop(&f);
    return small_make(s.value);
}

static term checksum_from(struct process *p, const term *a, checksum_fn *fn)
{
    uint32_t sum;

    return uint32_of(a[0], &sum) ? checksum(p, sum, a[1], fn) : bif_badarg(p);
}

static term combine(struct process *p, const term *a, uLong (*fn)(uLong, uLong, z_off_t))
{
    uint32_t first, second, len;

    if (!uint32_of(a[0], &first) || !uint32_of(a[1], &second) || !uint32_of(a[2], &len))
        return bif_badarg(p);
    return small_make(fn(first, second, (z_off_t)len));
}

term bif_crc32_1(struct process *p, const term *a)
{
    return checksum(p, 0, a[0], crc32_z);
}

term bif_crc32_2(struct process *p, const term *a)
{
    return checksum_from(p, a, crc32_z);
}

term bif_crc32_combine(struct process *p, const term *a)
{
    return combine(p, a, crc32_combine);
}

term bif_adler32_1(struct process *p, const term *a)
{
    return checksum(p, 1, a[0], adler32_z);
}

term bif_adler32_2(struct process *p, const term *a)
{
    return checksum_from(p, a, adler32_z);
}

term bif_adler32_combine(struct process *p, const term *a)
{
    return combine(p, a, adler32_combine);
}
