/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fun.c - the table of other nodes that terms name
 *
 * Few and immortal: a list under a mutex. Readers of terms hold pointers and never come here.
 */
#include "term/fun.h"

#include "base/alloc.h"

#include <pthread.h>

struct known {
    struct node_entry entry;
    struct known *next;
};

struct node_entry *node_entry_get(term name, uint32_t creation)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static struct known *all;   /* [lk lock] newest first */
    struct known *k;

    pthread_mutex_lock(&lock);
    for (k = all; k != NULL; k = k->next)
        if (k->entry.name == name && k->entry.creation == creation)
            break;
    if (k == NULL) {
        k = MEM_NEW(struct known);
        k->entry = (struct node_entry){ name, creation, all == NULL ? 1 : all->entry.index + 1 };
        k->next = all;
        all = k;
    }
    pthread_mutex_unlock(&lock);
    return &k->entry;
}
