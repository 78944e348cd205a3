/* SPDX-License-Identifier: Apache-2.0 */
/*
 * literal.c - the region of literals
 *
 * One reservation of address space, made usable in steps from the bottom up. Areas are carved out
 * of it; freed areas go to a list of ranges sorted by address, are merged with their neighbours
 * and used again. Pages inside a free range are given back to the system.
 */
#include "heap/heap.h"

#include "base/alloc.h"
#include "heap/heap_priv.h"
#include "heap/literal_purge.h"

#include <pthread.h>
#include <sys/mman.h>

#define COMMIT_STEP_BYTES ((size_t)2 << 20)
#define AREA_ALIGN        ((size_t)16)
#define PAGE_BYTES        ((uintptr_t)4096)

struct range {
    uintptr_t start;
    size_t bytes;
    struct range *next;
};

/* Before the reservation no address is in the region: it would lie at the very top. */
uintptr_t literal_base = (uintptr_t)0 - LITERAL_REGION_BYTES;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct range *free_ranges;       /* [lk lock] rising addresses, never adjacent */
static uintptr_t used_end;              /* [lk lock] nothing has been carved from here on */
static size_t in_use_bytes;             /* [lk lock] */
static uintptr_t commit_end;            /* [lk lock] readable and writable up to here */

void literal_region_init(void)
{
    void *p;

    if (used_end != 0)
        return;
    p = mmap(NULL, LITERAL_REGION_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
             -1, 0);
    ASSERT(p != MAP_FAILED);
    literal_base = used_end = commit_end = (uintptr_t)p;
}

static uintptr_t take_free_locked(size_t bytes)
{
    for (struct range **link = &free_ranges; *link != NULL; link = &(*link)->next) {
        struct range *r = *link;
        uintptr_t start = r->start;

        if (r->bytes < bytes)
            continue;
        r->start += bytes;
        r->bytes -= bytes;
        if (r->bytes == 0) {
            *link = r->next;
            mem_free(r);
        }
        return start;
    }
    return 0;
}

static uintptr_t take_fresh_locked(size_t bytes)
{
    uintptr_t start = used_end;

    ASSERT(literal_base + LITERAL_REGION_BYTES - start > bytes);
    used_end += bytes;
    if (used_end > commit_end) {
        size_t more = (used_end - commit_end + COMMIT_STEP_BYTES - 1) & ~(COMMIT_STEP_BYTES - 1);
        int rc = mprotect((void *)commit_end, more, PROT_READ | PROT_WRITE);

        ASSERT(rc == 0);
        commit_end += more;
    }
    return start;
}

static void *region_alloc(size_t bytes)
{
    uintptr_t start;

    pthread_mutex_lock(&lock);
    ASSERT(used_end != 0);          /* literal_region_init was called */
    start = take_free_locked(bytes);
    if (start == 0)
        start = take_fresh_locked(bytes);
    in_use_bytes += bytes;
    pthread_mutex_unlock(&lock);
    return (void *)start;
}

static void give_pages_back(const struct range *r)
{
    uintptr_t lo = (r->start + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
    uintptr_t hi = (r->start + r->bytes) & ~(PAGE_BYTES - 1);

    if (lo < hi)
        madvise((void *)lo, hi - lo, MADV_DONTNEED);
}

static void region_free(uintptr_t start, size_t bytes)
{
    struct range **link = &free_ranges, *prev = NULL, *r;

    pthread_mutex_lock(&lock);
    while (*link != NULL && (*link)->start < start) {
        prev = *link;
        link = &prev->next;
    }
    if (prev != NULL && prev->start + prev->bytes == start) {
        r = prev;
        r->bytes += bytes;
    } else {
        r = MEM_NEW(struct range);
        *r = (struct range){ start, bytes, *link };
        *link = r;
    }
    if (r->next != NULL && r->start + r->bytes == r->next->start) {
        struct range *after = r->next;

        r->bytes += after->bytes;
        r->next = after->next;
        mem_free(after);
    }
    give_pages_back(r);
    in_use_bytes -= bytes;
    pthread_mutex_unlock(&lock);
}

size_t literal_bytes_in_use(void)
{
    size_t bytes;

    pthread_mutex_lock(&lock);
    bytes = in_use_bytes;
    pthread_mutex_unlock(&lock);
    return bytes;
}

void literal_area_build(struct literal_area *ret, term *roots, size_t n)
{
    size_t words = 0;
    term *at;

    for (size_t i = 0; i < n; i++)
        words += copy_size(roots[i], true);
    *ret = (struct literal_area){ .words = words };
    if (words == 0)
        return;
    ret->bytes_mapped = (words * sizeof(term) + AREA_ALIGN - 1) & ~(AREA_ALIGN - 1);
    ret->start = at = region_alloc(ret->bytes_mapped);
    for (size_t i = 0; i < n; i++)
        roots[i] = copy_into(roots[i], &at, &ret->offheap, true);
    ASSERT(at == ret->start + words);
}

void literal_area_free(struct literal_area *area)
{
    if (area->start == NULL)
        return;
    offheap_release(area->offheap);
    region_free((uintptr_t)area->start, area->bytes_mapped);
    *area = (struct literal_area){ 0 };
}

term literal_copy(term t, struct literal_area *ret_area)
{
    literal_area_build(ret_area, &t, 1);
    return t;
}
