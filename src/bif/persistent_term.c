/* SPDX-License-Identifier: Apache-2.0 */
/*
 * persistent_term.c - a table of literals: written rarely, read by everyone without a lock
 *
 * Open addressing; a slot holds a literal tuple {Key, Value}, the mark FREE, or the mark ERASED.
 * Writers hold a lock. Readers load the array and walk it: a slot changes by one store of a
 * complete entry, and a full array is replaced by a larger one while the old one stays readable
 * for ever (all old ones together are smaller than the current one).
 *
 * Values that are replaced or erased are freed when no process refers to them any more
 * (vm/literals.h), which takes a look through all heaps: what changes often belongs into a table.
 */
#include "bif/bif.h"
#include "base/alloc.h"
#include "heap/map.h"
#include "term/compare.h"
#include "vm/literals.h"

#include <pthread.h>

#define FREE   TERM_NONE
#define ERASED TERM_NIL

struct slots {
    size_t mask;
    struct literal_area *areas;     /* [lk lock] of the entries, by slot */
    _Atomic term slot[];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct slots *_Atomic table;
static size_t filled;               /* slots that are not FREE, under the lock */
static _Atomic size_t count;
static _Atomic size_t words;        /* of all entries */

static struct slots *slots_new(size_t cap)
{
    struct slots *s = mem_alloc(sizeof *s + cap * sizeof(term));

    s->mask = cap - 1;
    s->areas = MEM_NEW_ARRAY(struct literal_area, cap);
    for (size_t i = 0; i < cap; i++)
        atomic_init(&s->slot[i], FREE);
    return s;
}

/* The slot of key, or the FREE one where its search ends. */
static _Atomic term *slot_find(struct slots *s, term key)
{
    size_t i = term_hash(key) & s->mask;

    for (;; i = (i + 1) & s->mask) {
        /* acquire: pairs with the release in entry_store; the entry's words are there */
        term e = atomic_load_explicit(&s->slot[i], memory_order_acquire);

        if (e == FREE || (e != ERASED && term_eq(tuple_elem(e, 0), key)))
            return &s->slot[i];
    }
}

static term entry_get(term key)
{
    struct slots *s = atomic_load_explicit(&table, memory_order_acquire);
    term e = s == NULL ? FREE : atomic_load_explicit(slot_find(s, key), memory_order_acquire);

    return e;
}

static void entry_store(_Atomic term *slot, term entry)
{
    atomic_store_explicit(slot, entry, memory_order_release);
}

/* Room for one more entry; under the lock. */
static struct slots *slots_grow(void)
{
    struct slots *old = atomic_load(&table), *s;

    if (old != NULL && filled * 2 < old->mask)
        return old;
    s = slots_new(old == NULL ? 64 : (old->mask + 1) * 2);
    filled = 0;
    for (size_t i = 0; old != NULL && i <= old->mask; i++) {
        term e = atomic_load(&old->slot[i]);

        if (e != FREE && e != ERASED) {
            _Atomic term *to = slot_find(s, tuple_elem(e, 0));

            entry_store(to, e);
            s->areas[to - s->slot] = old->areas[i];
            filled++;
        }
    }
    if (old != NULL)
        mem_free(TAKE(old->areas));
    atomic_store_explicit(&table, s, memory_order_release);
    return s;
}

/* --- built-ins ------------------------------------------------------------------------------ */

term bif_persistent_term_put(struct process *p, const term *a)
{
    term pair = heap_tuple2(&p->heap, a[0], a[1]);
    struct literal_area *area, gone = { 0 };
    struct slots *s;
    _Atomic term *slot;
    term old;

    pthread_mutex_lock(&lock);
    s = slots_grow();
    slot = slot_find(s, a[0]);
    old = atomic_load(slot);
    if (old == FREE || !term_eq(tuple_elem(old, 1), a[1])) {
        area = &s->areas[slot - s->slot];
        gone = *area;           /* of the value that is replaced; empty when there was none */
        entry_store(slot, literal_copy(pair, area));
        if (old == FREE) {
            filled++;
            count++;
        }
        words += area->words - gone.words;
    }
    pthread_mutex_unlock(&lock);
    literals_retire(gone);
    charge(p, 10);
    return ATOM_ok;
}

term bif_persistent_term_get_0(struct process *p, const term *a)
{
    struct slots *s = atomic_load_explicit(&table, memory_order_acquire);
    term list = TERM_NIL;

    for (size_t i = 0; s != NULL && i <= s->mask; i++) {
        term e = atomic_load_explicit(&s->slot[i], memory_order_acquire);

        if (e != FREE && e != ERASED)
            list = heap_cons(&p->heap, e, list);
    }
    return list;
}

term bif_persistent_term_get_1(struct process *p, const term *a)
{
    term e = entry_get(a[0]);

    return e == FREE ? bif_badarg(p) : tuple_elem(e, 1);
}

term bif_persistent_term_get_2(struct process *p, const term *a)
{
    term e = entry_get(a[0]);

    return e == FREE ? a[1] : tuple_elem(e, 1);
}

term bif_persistent_term_erase(struct process *p, const term *a)
{
    struct literal_area gone = { 0 };
    struct slots *s;
    _Atomic term *slot;
    bool found = false;

    pthread_mutex_lock(&lock);
    s = atomic_load(&table);
    slot = s == NULL ? NULL : slot_find(s, a[0]);
    if (slot != NULL && atomic_load(slot) != FREE) {
        gone = s->areas[slot - s->slot];
        s->areas[slot - s->slot] = (struct literal_area){ 0 };
        words -= gone.words;
        entry_store(slot, ERASED);
        count--;
        found = true;
    }
    pthread_mutex_unlock(&lock);
    literals_retire(gone);
    return found ? ATOM_true : ATOM_false;
}

term bif_persistent_term_info(struct process *p, const term *a)
{
    struct slots *s = atomic_load(&table);
    size_t bytes = words * sizeof(term) + (s == NULL ? 0 : (s->mask + 1) * sizeof(term));
    term pairs[4] = { ATOM_count, heap_uint(&p->heap, count),
                      ATOM_memory, heap_uint(&p->heap, bytes) };

    return map_from_pairs(&p->heap, pairs, 2);
}
