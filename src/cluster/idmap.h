/* SPDX-License-Identifier: Apache-2.0 */
/*
 * idmap.h - a small map from node ids to pointers
 *
 * For side tables that are empty most of the time: suspicions, rumours to send. Open addressing,
 * at most three quarters full, 16 bytes a slot; no memory before the first put. One thread.
 */
#ifndef CLUSTER_IDMAP_H
#define CLUSTER_IDMAP_H

#include "base/compiler.h"

struct idmap_slot {
    uint64_t id;
    void *value;                    /* NULL: the slot is free */
};

/* Zero-initialise it. */
struct idmap {
    struct idmap_slot *slots;
    uint32_t n, cap;                /* cap: 0 or a power of two */
};

void  idmap_fini(struct idmap *m);                          /* not what the values lead to */
void *idmap_get(const struct idmap *m, uint64_t id);        /* NULL: none */
void  idmap_put(struct idmap *m, uint64_t id, void *value); /* replaces; value is not NULL */
void *idmap_take(struct idmap *m, uint64_t id);             /* removes; what was there, or NULL */

#define IDMAP_EACH(m, slot)                                                             \
    for (struct idmap_slot *slot = (m)->slots;                                          \
         slot != NULL && slot < (m)->slots + (m)->cap; slot++)                          \
        if (slot->value != NULL)

#endif
