/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keycache.c - rows of an ordered table that were found lately, by key
 */
#include "table/keycache.h"
#include "base/alloc.h"

#define SLOTS_LOG_MIN 6         /* of their number; so many keys are missed before there are any */

/* Read by all tables that have no slots of their own, written by none. */
static struct keycache_slot none[2] = { { TERM_NONE, NULL }, { TERM_NONE, NULL } };

void keycache_init(struct keycache *c)
{
    *c = (struct keycache){ none, 63, 0 };
}

static size_t slots_of(const struct keycache *c)
{
    return c->slot == none ? 0 : (size_t)1 << (64 - c->shift);
}

void keycache_fini(struct keycache *c)
{
    if (c->slot != none)
        mem_free(c->slot);
    keycache_init(c);
}

/* Enough keys have been missed for the present size: choose one by the rows there are now. */
static NOINLINE void resize(struct keycache *c, int64_t rows)
{
    unsigned log = SLOTS_LOG_MIN;

    while (1u << log < KEYCACHE_SLOTS_MAX && 1 << log < 2 * rows)
        log++;
    c->misses = 0;
    if (slots_of(c) == (size_t)1 << log)
        return;
    keycache_fini(c);
    c->slot = mem_array((size_t)1 << log, sizeof *c->slot);
    c->shift = 64 - log;
    for (size_t i = 0; i < (size_t)1 << log; i++)
        c->slot[i].key = TERM_NONE;
}

void keycache_note(struct keycache *c, term key, struct row *r, int64_t rows)
{
    if (is_ptr(key))
        return;
    if (UNLIKELY(++c->misses >= (1u << SLOTS_LOG_MIN) + slots_of(c)))
        resize(c, rows);
    if (c->slot != none)
        *keycache_slot(c, key) = (struct keycache_slot){ key, r };
}
