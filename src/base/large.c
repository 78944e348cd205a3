/* SPDX-License-Identifier: Apache-2.0 */
/*
 * large.c - mapped blocks, and the cache of freed ones
 *
 * A growing heap asks for a larger block again and again; without a cache half of its time goes
 * into page faults. Freed blocks are ranges in one sorted array; neighbours merge, and a request
 * is cut out of the smallest range that holds it. Blocks of 2 MiB and more are aligned to that and
 * advised to use huge pages.
 */
#include "base/slab_priv.h"

#include "base/assert.h"
#include "base/clock.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#define GRAIN_BYTES   ((size_t)64 << 10)
#define HUGE_BYTES    ((size_t)2 << 20)
#define KEEP_BYTES    ((size_t)64 << 20)
#define RANGES_MAX    256
#define IDLE_NS       ((int64_t)1000000000)

struct range {
    uintptr_t start;
    size_t bytes;
    int64_t since_ns;       /* when it was freed */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct range kept[RANGES_MAX];   /* [lk lock] rising addresses, never adjacent */
static size_t nkept;                    /* [lk lock] */
static size_t kept_bytes;               /* [lk lock] */
static size_t used_bytes;               /* [lk lock] handed out */

static size_t round_up(size_t n, size_t to)
{
    return (n + to - 1) & ~(to - 1);
}

/* Deterministic, because the size that comes back with a free must give the same. */
static size_t mapped_bytes(size_t bytes)
{
    return round_up(bytes, bytes >= HUGE_BYTES ? HUGE_BYTES : GRAIN_BYTES);
}

static size_t alignment(size_t bytes)
{
    return bytes >= HUGE_BYTES ? HUGE_BYTES : 4096;
}

void *map_aligned(size_t bytes, size_t align)
{
    size_t room = bytes + (align > 4096 ? align : 0);
    char *p = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);
    size_t skip;

    ASSERT(p != MAP_FAILED);
    skip = (size_t)(round_up((uintptr_t)p, align) - (uintptr_t)p);
    if (skip > 0)
        munmap(p, skip);
    if (room - skip > bytes)
        munmap(p + skip + bytes, room - skip - bytes);
    return p + skip;
}

static void unmap(uintptr_t start, size_t bytes)
{
    int rc = munmap((void *)start, bytes);

    ASSERT(rc == 0);
}

static void remove_range_locked(size_t i)
{
    kept_bytes -= kept[i].bytes;
    memmove(&kept[i], &kept[i + 1], (--nkept - i) * sizeof *kept);
}

/* Put a range in its place; false: no room for it. */
static bool insert_range_locked(uintptr_t start, size_t bytes, int64_t since_ns)
{
    size_t i = 0;

    while (i < nkept && kept[i].start < start)
        i++;
    if (i > 0 && kept[i - 1].start + kept[i - 1].bytes == start) {
        kept[i - 1].bytes += bytes;
        kept[i - 1].since_ns = since_ns;
        kept_bytes += bytes;
        if (i < nkept && start + bytes == kept[i].start) {
            size_t more = kept[i].bytes;

            remove_range_locked(i);
            kept[i - 1].bytes += more;
            kept_bytes += more;
        }
        return true;
    }
    if (i < nkept && start + bytes == kept[i].start) {
        kept[i] = (struct range){ start, kept[i].bytes + bytes, since_ns };
        kept_bytes += bytes;
        return true;
    }
    if (nkept == RANGES_MAX)
        return false;
    memmove(&kept[i + 1], &kept[i], (nkept++ - i) * sizeof *kept);
    kept[i] = (struct range){ start, bytes, since_ns };
    kept_bytes += bytes;
    return true;
}

/* Cut bytes out of range i at an aligned place, which the caller knows to fit. */
static void *cut_locked(size_t i, size_t bytes)
{
    struct range r = kept[i];
    uintptr_t start = round_up(r.start, alignment(bytes)), end = start + bytes;

    remove_range_locked(i);
    if (start > r.start && !insert_range_locked(r.start, start - r.start, r.since_ns))
        unmap(r.start, start - r.start);
    if (r.start + r.bytes > end && !insert_range_locked(end, r.start + r.bytes - end, r.since_ns))
        unmap(end, r.start + r.bytes - end);
    return (void *)start;
}

static void *take_kept_locked(size_t bytes)
{
    size_t best = SIZE_MAX, align = alignment(bytes);

    for (size_t i = 0; i < nkept; i++) {
        size_t skip = (size_t)(round_up(kept[i].start, align) - kept[i].start);

        if (kept[i].bytes >= bytes + skip && (best == SIZE_MAX || kept[i].bytes < kept[best].bytes))
            best = i;
    }
    return best == SIZE_MAX ? NULL : cut_locked(best, bytes);
}

/* What may be kept: 64 MiB, or an eighth of what is in use. */
static size_t keep_limit_locked(void)
{
    return used_bytes / 8 > KEEP_BYTES ? used_bytes / 8 : KEEP_BYTES;
}

/* Cut the oldest range, or a part of it, until the rest is within the limit. */
static void drop_excess_locked(void)
{
    while (kept_bytes > keep_limit_locked()) {
        size_t excess = round_up(kept_bytes - keep_limit_locked(), HUGE_BYTES), oldest = 0;

        for (size_t i = 1; i < nkept; i++)
            if (kept[i].since_ns < kept[oldest].since_ns)
                oldest = i;
        if (kept[oldest].bytes <= excess) {
            unmap(kept[oldest].start, kept[oldest].bytes);
            remove_range_locked(oldest);
        } else {
            kept[oldest].bytes -= excess;
            kept_bytes -= excess;
            unmap(kept[oldest].start + kept[oldest].bytes, excess);
        }
    }
}

void *large_alloc(size_t bytes)
{
    void *p;

    bytes = mapped_bytes(bytes);
    pthread_mutex_lock(&lock);
    used_bytes += bytes;
    p = take_kept_locked(bytes);
    pthread_mutex_unlock(&lock);
    if (p != NULL)
        return p;
    p = map_aligned(bytes, alignment(bytes));
    if (bytes >= HUGE_BYTES)
        madvise(p, bytes, MADV_HUGEPAGE);
    return p;
}

void large_free(void *p, size_t bytes)
{
    bytes = mapped_bytes(bytes);
    pthread_mutex_lock(&lock);
    ASSERT(used_bytes >= bytes);
    used_bytes -= bytes;
    if (insert_range_locked((uintptr_t)p, bytes, clock_monotonic_ns()))
        drop_excess_locked();
    else
        unmap((uintptr_t)p, bytes);
    pthread_mutex_unlock(&lock);
}

void large_trim(void)
{
    int64_t now = clock_monotonic_ns();

    pthread_mutex_lock(&lock);
    for (size_t i = nkept; i-- > 0; )
        if (now - kept[i].since_ns > IDLE_NS) {
            unmap(kept[i].start, kept[i].bytes);
            remove_range_locked(i);
        }
    pthread_mutex_unlock(&lock);
}
