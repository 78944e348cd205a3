/* SPDX-License-Identifier: Apache-2.0 */
/*
 * literal_purge.c - looking for references into areas of literals
 */
#include "heap/literal_purge.h"

#include "heap/heap_priv.h"

_Thread_local const struct literal_ranges *literal_purge_noted;

NOINLINE bool literal_in_ranges_slow(uintptr_t at, const struct literal_ranges *rs)
{
    size_t lo = 0, n = rs->n;

    while (n > 1) {
        size_t half = n / 2;

        if (rs->r[lo + half].lo <= at)
            lo += half;
        n -= half;
    }
    return at >= rs->r[lo].lo && at < rs->r[lo].hi;
}

static bool span_refers(const term *at, size_t n, const struct literal_ranges *rs)
{
    for (; n > 0; n--, at++)
        if (is_ptr(*at) && literal_in_ranges(*at, rs))
            return true;
    return false;
}

/* Objects and cells from at up to end, as the collector scans them. */
static bool area_refers(const term *at, const term *end, const struct literal_ranges *rs)
{
    while (at < end) {
        term w = *at++;

        if (is_header(w)) {
            unsigned raw = hk_shape[header_kind(w)].raw;

            at += raw == HK_RAW ? header_size(w) : raw;
        } else if (is_ptr(w) && literal_in_ranges(w, rs)) {
            return true;
        }
    }
    return false;
}

bool frag_refers(const struct frag *f, const struct literal_ranges *rs)
{
    return area_refers(f->data, f->data + f->used, rs);
}

bool heap_refers(const struct heap *h, const struct gc_span *spans, size_t nspans,
                 const struct literal_ranges *rs)
{
    for (size_t i = 0; i < nspans; i++)
        if (span_refers(spans[i].at, spans[i].n, rs))
            return true;
    if (h->lo != NULL && h->E + 1 < h->hi && span_refers(h->E + 1, (size_t)(h->hi - h->E - 1), rs))
        return true;
    for (const struct frag *f = h->frags; f != NULL; f = f->next)
        if (frag_refers(f, rs))
            return true;
    return area_refers(h->lo, h->H, rs) || area_refers(h->old_lo, h->old_top, rs);
}
