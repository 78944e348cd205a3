/* SPDX-License-Identifier: Apache-2.0 */
/*
 * idmap.c - linear probing; removal shifts back what came after, so no tombstones are needed
 */
#include "cluster/idmap.h"
#include "base/alloc.h"
#include "base/assert.h"

static uint32_t home(const struct idmap *m, uint64_t id)
{
    return (uint32_t)(id * 0x9e3779b97f4a7c15u >> 32) & (m->cap - 1);
}

/* The slot of id, or the free one where it would go. The map has a free slot. */
static struct idmap_slot *slot_of(const struct idmap *m, uint64_t id)
{
    uint32_t i = home(m, id);

    while (m->slots[i].value != NULL && m->slots[i].id != id)
        i = (i + 1) & (m->cap - 1);
    return &m->slots[i];
}

void idmap_fini(struct idmap *m)
{
    mem_free(m->slots);
    *m = (struct idmap){ 0 };
}

void *idmap_get(const struct idmap *m, uint64_t id)
{
    return m->n == 0 ? NULL : slot_of(m, id)->value;
}

static void grow(struct idmap *m)
{
    struct idmap bigger = { .cap = m->cap == 0 ? 8 : 2 * m->cap, .n = m->n };

    bigger.slots = MEM_NEW_ARRAY(struct idmap_slot, bigger.cap);
    IDMAP_EACH(m, s)
        *slot_of(&bigger, s->id) = *s;
    mem_free(m->slots);
    *m = bigger;
}

void idmap_put(struct idmap *m, uint64_t id, void *value)
{
    struct idmap_slot *s;

    ASSERT(value != NULL);
    if (4 * (m->n + 1) > 3 * m->cap)
        grow(m);
    s = slot_of(m, id);
    m->n += s->value == NULL;
    *s = (struct idmap_slot){ id, value };
}

void *idmap_take(struct idmap *m, uint64_t id)
{
    struct idmap_slot *s = m->n == 0 ? NULL : slot_of(m, id);
    void *value = s == NULL ? NULL : s->value;
    uint32_t hole, i, mask = m->cap - 1;

    if (value == NULL)
        return NULL;
    m->n--;
    hole = (uint32_t)(s - m->slots);
    for (i = (hole + 1) & mask; m->slots[i].value != NULL; i = (i + 1) & mask) {
        /* What sits at i may move into the hole unless its home lies between the two. */
        if (((i - home(m, m->slots[i].id)) & mask) < ((i - hole) & mask))
            continue;
        m->slots[hole] = m->slots[i];
        hole = i;
    }
    m->slots[hole].value = NULL;
    return value;
}
