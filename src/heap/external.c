/* SPDX-License-Identifier: Apache-2.0 */
/*
 * external.c - making pids, ports and references of other nodes
 */
#include "heap/external.h"

#include "heap/heap_priv.h"

/* An object with room for `words` more raw words between node and chain, still to be filled. */
static term *object_make(struct heap *h, unsigned kind, term node, uint32_t creation, size_t words)
{
    struct node_entry *entry = node_entry_get(node, creation);
    term *p;

    if (entry == NULL)
        return NULL;
    p = heap_alloc(h, words + 3);
    p[0] = header_make(kind, words + 2);
    p[1] = (term)(uintptr_t)entry;
    offheap_set_next(p, h->offheap);
    h->offheap = p;
    return p;
}

static term numbered(struct heap *h, unsigned kind, term node, uint32_t creation, uint64_t number)
{
    term *p = object_make(h, kind, node, creation, 1);

    if (p == NULL)
        return TERM_NONE;
    p[2] = number;
    return box_term(p);
}

term external_pid(struct heap *h, term node, uint32_t creation, uint32_t number, uint32_t serial)
{
    return numbered(h, HK_EXT_PID, node, creation, (uint64_t)number << 32 | serial);
}

term external_port(struct heap *h, term node, uint32_t creation, uint64_t number)
{
    return numbered(h, HK_EXT_PORT, node, creation, number);
}

term external_ref(struct heap *h, term node, uint32_t creation, const uint32_t *words, unsigned n)
{
    term *p = object_make(h, HK_EXT_REF, node, creation, 1 + (n + 1) / 2);

    if (p == NULL)
        return TERM_NONE;
    p[2] = n;
    for (unsigned i = 0; i < n; i += 2)
        p[3 + i / 2] = words[i] | (i + 1 < n ? (term)words[i + 1] << 32 : 0);
    return box_term(p);
}
