/* SPDX-License-Identifier: Apache-2.0 */
/*
 * object.c - what one can do with the objects of a table, whatever its type
 */
#include "table/persist.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "term/atom.h"
#include "term/compare.h"

#define is_ordered(t) ((t)->type == TABLE_ORDERED_SET)
#define is_gone(t)    atomic_load_explicit(&(t)->deleted, memory_order_relaxed)

/* --- locking: the stripe of a key, or the whole tree ------------------------------------------ */

struct held { struct guard *guard; uint32_t hash; bool here; };     /* hash: 0 in a tree */

ALWAYS_INLINE struct guard *guard_of(struct table *t, uint32_t hash)
{
    return is_ordered(t) ? &t->ordered.guard : &set_stripe(&t->set, hash)->guard;
}

/* here is false if the table is gone; it is locked even so. */
ALWAYS_INLINE struct held key_lock(struct table *t, term key)
{
    uint32_t hash = is_ordered(t) ? 0 : set_hash(key);
    struct held h = { guard_of(t, hash), hash, true };

    spin_lock(&h.guard->lock);
    if (UNLIKELY(is_gone(t)))
        h.here = false;
    else if (UNLIKELY(t->persist != NULL) && persist_is_loading(t))
        persist_fault(t, key, hash);
    return h;
}

ALWAYS_INLINE void key_unlock(const struct held *h)
{
    spin_unlock(&h->guard->lock);
}

/* The rows of these keys have changed: tell the store, under the same lock. */
static void stored_one(struct table *t, term key, uint32_t hash)
{
    struct store_batch b = { { 0 } };

    if (LIKELY(t->persist == NULL))
        return;
    persist_note(t, &b, key, hash);
    persist_submit(t, &b);
}

static bool all_lock(struct table *t)
{
    if (is_ordered(t))
        spin_lock(&t->ordered.guard.lock);
    else
        set_lock_all(&t->set);
    return !is_gone(t);
}

static void all_unlock(struct table *t)
{
    if (is_ordered(t))
        spin_unlock(&t->ordered.guard.lock);
    else
        set_unlock_all(&t->set);
}

ALWAYS_INLINE struct row *key_find(struct table *t, term key, uint32_t hash)
{
    return is_ordered(t) ? ordered_find(&t->ordered, key) : set_row(&t->set, key, hash);
}

/* Copies of the objects of key from r on, oldest first (the newest is met first). */
static term objects_copy(struct table *t, struct heap *h, struct row *r, term key, uint32_t hash)
{
    term list = TERM_NIL;

    if (LIKELY(t->type == TABLE_SET || is_ordered(t))) {
        if (LIKELY(r->offheap == NULL)) {   /* list and tuple in one piece */
            term *at = heap_alloc(h, CONS_WORDS + r->words);

            return cons_make(&at, row_copy_to(r, at + CONS_WORDS), TERM_NIL);
        }
        return heap_cons(h, row_copy(r, h), TERM_NIL);
    }
    for (; r != NULL && set_same_key(&t->set, r, key, hash); r = r->next)
        if (!r->ghost)
            list = heap_cons(h, row_copy(r, h), list);
    return list;
}

/* --- sizes ------------------------------------------------------------------------------------ */

int64_t table_size(struct table *t)
{
    return is_ordered(t) ? t->ordered.count : set_count(&t->set);
}

int64_t table_memory_words(struct table *t)
{
    int64_t words = sizeof(struct table) / sizeof(term);

    return words + (is_ordered(t) ? t->ordered.words + 2 * t->ordered.count : set_words(&t->set));
}

static void uses_sum(struct table *t, uint64_t *ret_reads, uint64_t *ret_writes)
{
    *ret_reads = *ret_writes = 0;
    if (is_ordered(t)) {
        *ret_reads = count_get(t->ordered.guard.reads);
        *ret_writes = count_get(t->ordered.guard.writes);
        return;
    }
    for (unsigned i = 0; i < SET_STRIPES; i++) {
        *ret_reads += count_get(t->set.stripe[i].guard.reads);
        *ret_writes += count_get(t->set.stripe[i].guard.writes);
    }
}

void table_rates(struct table *t, int64_t *ret_reads, int64_t *ret_writes)
{
    int64_t now = clock_monotonic_ns(), ns;
    uint64_t reads, writes;

    uses_sum(t, &reads, &writes);
    spin_lock(&t->meta);
    ns = now - t->seen_ns > 0 ? now - t->seen_ns : 1;
    *ret_reads = (int64_t)((double)(reads - t->seen_reads) * 1e9 / (double)ns);
    *ret_writes = (int64_t)((double)(writes - t->seen_writes) * 1e9 / (double)ns);
    if (ns >= 1000000000) {
        t->seen_ns = now;
        t->seen_reads = reads;
        t->seen_writes = writes;
    }
    spin_unlock(&t->meta);
}

bool table_is_object(const struct table *t, term object)
{
    return is_tuple(object) && tuple_arity(object) >= t->keypos;
}

#define object_key(t, object) tuple_elem(object, (t)->keypos - 1)

/* --- inserting -------------------------------------------------------------------------------- */

static void insert_locked(struct table *t, term object, uint32_t hash)
{
    if (is_ordered(t))
        ordered_insert(&t->ordered, object);
    else
        set_insert_locked(&t->set, object, hash);
}

int table_insert(struct table *t, term object)
{
    struct held h = key_lock(t, object_key(t, object));

    if (h.here) {
        insert_locked(t, object, h.hash);
        count_add(h.guard->writes, 1);
        stored_one(t, object_key(t, object), h.hash);
    }
    key_unlock(&h);
    if (h.here && !is_ordered(t))
        set_grow(&t->set);
    return h.here ? 0 : TABLE_GONE;
}

static uint32_t hash_of(struct table *t, term key)
{
    return is_ordered(t) ? 0 : set_hash(key);
}

static void stored_list(struct table *t, term list)
{
    struct store_batch b = { { 0 } };

    for (; is_cons(list); list = cdr(list)) {
        term key = object_key(t, car(list));

        persist_note(t, &b, key, hash_of(t, key));
    }
    persist_submit(t, &b);
}

/* The rows of the keys of these objects are in memory afterwards. */
static void fault_list(struct table *t, term list)
{
    for (; table_is_loading(t) && is_cons(list); list = cdr(list))
        persist_fault(t, object_key(t, car(list)), hash_of(t, object_key(t, car(list))));
}

/* Bags take the last object first, as OTP 25 does: lookup then shows them turned round. */
static void insert_all_locked(struct table *t, term list)
{
    size_t n = (size_t)list_length(list), i = 0;
    bool back = t->type == TABLE_BAG || t->type == TABLE_DUPLICATE_BAG;
    term *objects = mem_array(n + 1, sizeof *objects);

    for (term l = list; is_cons(l); l = cdr(l), i++)
        objects[back ? n - 1 - i : i] = car(l);
    for (i = 0; i < n; i++) {
        uint32_t hash = hash_of(t, object_key(t, objects[i]));

        insert_locked(t, objects[i], hash);
        count_add(guard_of(t, hash)->writes, 1);
    }
    mem_free(objects);
    if (UNLIKELY(t->persist != NULL))
        stored_list(t, list);
}

static void grow_after(struct table *t, term list)
{
    if (!is_ordered(t))
        for (; is_cons(list); list = cdr(list))
            set_grow(&t->set);
}

int table_insert_list(struct table *t, term list)
{
    bool here = all_lock(t);

    if (here) {
        fault_list(t, list);
        insert_all_locked(t, list);
    }
    all_unlock(t);
    if (here)
        grow_after(t, list);
    return here ? 0 : TABLE_GONE;
}

static int insert_new(struct table *t, term object)
{
    term key = object_key(t, object);
    struct held h = key_lock(t, key);
    bool found = h.here && key_find(t, key, h.hash) != NULL;

    if (h.here && !found) {
        insert_locked(t, object, h.hash);
        count_add(h.guard->writes, 1);
        stored_one(t, key, h.hash);
    }
    key_unlock(&h);
    if (h.here && !found && !is_ordered(t))
        set_grow(&t->set);
    return h.here ? !found : TABLE_GONE;
}

int table_insert_new_list(struct table *t, term list)
{
    bool here, found = false;

    if (is_cons(list) && is_nil(cdr(list)))
        return insert_new(t, car(list));
    here = all_lock(t);

    if (here)
        fault_list(t, list);
    for (term l = list; here && !found && is_cons(l); l = cdr(l)) {
        term key = object_key(t, car(l));

        found = key_find(t, key, hash_of(t, key)) != NULL;
    }
    if (here && !found)
        insert_all_locked(t, list);
    all_unlock(t);
    if (here && !found)
        grow_after(t, list);
    return here ? !found : TABLE_GONE;
}

/* --- looking up ------------------------------------------------------------------------------- */

int table_member(struct table *t, term key)
{
    struct held h = key_lock(t, key);
    bool found = h.here && key_find(t, key, h.hash) != NULL;

    count_add(h.guard->reads, 1);
    key_unlock(&h);
    return h.here ? found : TABLE_GONE;
}

term table_lookup(struct table *t, struct heap *heap, term key)
{
    struct held h = key_lock(t, key);
    term result = TERM_NONE;

    if (LIKELY(h.here)) {
        struct row *r = key_find(t, key, h.hash);

        result = r == NULL ? TERM_NIL : objects_copy(t, heap, r, key, h.hash);
        count_add(h.guard->reads, 1);
    }
    key_unlock(&h);
    return result;
}

/* Element pos of every object of key; TERM_NONE: one of them is too small. */
static term elements_copy(struct table *t, struct heap *h, struct row *r, term key, uint32_t hash,
                          uint64_t pos)
{
    term list = TERM_NIL;

    if (t->type == TABLE_SET || is_ordered(t)) {
        term e;

        if (pos > tuple_arity(row_object(r)))
            return TERM_NONE;
        e = tuple_elem(row_object(r), pos - 1);
        return is_ptr(e) ? heap_copy(h, e) : e;
    }
    for (; r != NULL && set_same_key(&t->set, r, key, hash); r = r->next) {
        if (r->ghost)
            continue;
        if (pos > tuple_arity(row_object(r)))
            return TERM_NONE;
        list = heap_cons(h, heap_copy(h, tuple_elem(row_object(r), pos - 1)), list);
    }
    return list;
}

term table_lookup_element(struct table *t, struct heap *heap, term key, uint64_t pos,
                          bool *ret_found)
{
    struct held h = key_lock(t, key);
    term result = TERM_NONE;

    *ret_found = false;
    if (LIKELY(h.here)) {
        struct row *r = key_find(t, key, h.hash);

        *ret_found = r != NULL;
        if (r != NULL)
            result = elements_copy(t, heap, r, key, h.hash, pos);
        count_add(h.guard->reads, 1);
    }
    key_unlock(&h);
    return result;
}

/* --- removing --------------------------------------------------------------------------------- */

static void remove_locked(struct table *t, term key, uint32_t hash)
{
    struct row *r;
    struct row **link;

    if (is_ordered(t)) {
        r = ordered_remove(&t->ordered, key);
        if (r != NULL)
            stored_one(t, row_key(r, t->keypos), hash);
        if (r != NULL)
            row_free(r);
        return;
    }
    link = set_find(&t->set, key, hash, false);
    if (link == NULL)
        return;
    do
        set_remove_locked(&t->set, link);
    while ((link = set_find(&t->set, key, hash, false)) != NULL);
    stored_one(t, key, hash);
}

int table_delete_key(struct table *t, term key)
{
    struct held h = key_lock(t, key);

    if (h.here)
        remove_locked(t, key, h.hash);
    count_add(h.guard->writes, 1);
    key_unlock(&h);
    if (h.here && !is_ordered(t))
        set_shrink(&t->set);
    return h.here ? 0 : TABLE_GONE;
}

term table_take(struct table *t, struct heap *heap, term key)
{
    struct held h = key_lock(t, key);
    term result = TERM_NONE;

    if (h.here) {
        struct row *r = key_find(t, key, h.hash);

        result = r == NULL ? TERM_NIL : objects_copy(t, heap, r, key, h.hash);
        if (r != NULL)
            remove_locked(t, key, h.hash);
        count_add(h.guard->writes, 1);
    }
    key_unlock(&h);
    if (result != TERM_NONE && !is_ordered(t))
        set_shrink(&t->set);
    return result;
}

/* All rows that are =:= object, under the stripe. False: there was none. */
static bool set_delete_object(struct table *t, term object, term key, uint32_t hash)
{
    struct row **link = set_find(&t->set, key, hash, true);
    bool found = false;

    while (link != NULL && *link != NULL && set_same_key(&t->set, *link, key, hash)) {
        struct row *r = *link;

        if (!r->ghost && term_eq(row_object(r), object)) {
            set_remove_locked(&t->set, link);
            found = true;
        }
        if (*link == r)
            link = &r->next;
    }
    return found;
}

int table_delete_object(struct table *t, term object)
{
    term key;
    struct held h;

    if (!table_is_object(t, object))
        return 0;
    key = object_key(t, object);
    h = key_lock(t, key);
    if (h.here && is_ordered(t)) {
        struct row *r = ordered_find(&t->ordered, key);

        if (r != NULL && term_eq(row_object(r), object)) {
            row_free(ordered_remove(&t->ordered, key));
            stored_one(t, key, h.hash);
        }
    } else if (h.here) {
        if (set_delete_object(t, object, key, h.hash))
            stored_one(t, key, h.hash);
    }
    count_add(h.guard->writes, 1);
    key_unlock(&h);
    if (h.here && !is_ordered(t))
        set_shrink(&t->set);
    return h.here ? 0 : TABLE_GONE;
}

/* No bucket is split or joined until set.growing is given back. False: a table that is gone keeps
 * it for ever. */
static bool growing_lock(struct table *t)
{
    uint32_t free = 0;

    while (!atomic_compare_exchange_strong_explicit(&t->set.growing.held, &free, 1,
                                                    memory_order_acquire, memory_order_relaxed)) {
        if (is_gone(t))
            return false;
        free = 0;
        sched_yield();
    }
    return true;
}

int64_t table_clear(struct table *t)
{
    int64_t n = TABLE_GONE;

    if (!is_ordered(t) && !growing_lock(t))
        return TABLE_GONE;
    if (all_lock(t)) {
        n = table_size(t);
        if (t->persist != NULL)
            persist_clear(t);
        if (table_is_fixed(t) && !is_ordered(t))
            set_clear(&t->set);     /* the rows stay as ghosts */
        else
            table_empty_locked(t);
    }
    all_unlock(t);
    if (!is_ordered(t))
        spin_unlock(&t->set.growing);
    return n;
}

int table_update(struct table *t, term key, table_change *fn, void *ctx)
{
    struct held h = key_lock(t, key);
    struct row *r = h.here ? key_find(t, key, h.hash) : NULL;

    if (r != NULL) {
        term object = fn(row_object(r), ctx);

        /* parts of the new object may lie in the old row: it is copied before the row goes */
        if (object != TERM_NONE && is_ordered(t))
            ordered_replace(&t->ordered, row_new(object));
        else if (object != TERM_NONE)
            set_replace_locked(&t->set, set_find(&t->set, key, h.hash, false), row_new(object));
        stored_one(t, key, h.hash);
    }
    count_add(h.guard->writes, 1);
    key_unlock(&h);
    return h.here ? r != NULL : TABLE_GONE;
}

/* --- walking by key --------------------------------------------------------------------------- */

/* What first, next and so on give for the row found with this key (under its lock). */
ALWAYS_INLINE term found_key(struct table *t, struct heap *h, struct row *r, term key,
                             uint32_t hash, bool whole)
{
    term shown = is_ptr(key) ? heap_copy(h, key) : key, *at, one;

    if (whole)
        return heap_tuple2(h, shown, objects_copy(t, h, r, key, hash));
    at = heap_alloc(h, TUPLE_WORDS(1));
    one = tuple_room(&at, 1);
    tuple_elem(one, 0) = shown;
    return one;
}

static struct row *skip_ghosts(struct row *r)
{
    while (r != NULL && r->ghost)
        r = r->next;
    return r;
}

/* The first row of the buckets from index on. */
static term set_first_from(struct table *t, struct heap *h, uint64_t index, bool whole)
{
    for (;; index++) {
        struct spin *lock = &set_stripe(&t->set, (uint32_t)index)->guard.lock;
        struct row **bucket, *r;
        term result;

        spin_lock(lock);
        bucket = is_gone(t) ? NULL : set_bucket(&t->set, index);
        if (bucket == NULL) {
            spin_unlock(lock);
            return TERM_NIL;
        }
        r = skip_ghosts(*bucket);
        if (r != NULL) {
            result = found_key(t, h, r, row_key(r, t->keypos), r->hash, whole);
            spin_unlock(lock);
            return result;
        }
        spin_unlock(lock);
    }
}

static term set_next(struct table *t, struct heap *heap, term key, bool whole)
{
    struct held h = key_lock(t, key);
    struct row **link = h.here ? set_find(&t->set, key, h.hash, true) : NULL, *r;
    uint64_t index;
    term result;

    if (link == NULL) {
        key_unlock(&h);
        return TERM_NONE;
    }
    count_add(h.guard->reads, 1);
    index = set_index(&t->set, h.hash);
    for (r = *link; r != NULL && (r->ghost || set_same_key(&t->set, r, key, h.hash)); r = r->next) {
    }
    result = r == NULL ? TERM_NIL
                       : found_key(t, heap, r, row_key(r, t->keypos), r->hash, whole);
    key_unlock(&h);
    return r == NULL ? set_first_from(t, heap, index + 1, whole) : result;
}

enum where { FIRST, LAST, NEXT, PREV };

static term ordered_at(struct table *t, struct heap *h, enum where where, term key, bool whole)
{
    struct ordered *o = &t->ordered;
    struct place at;
    term result = TERM_NIL;

    spin_lock(&o->guard.lock);
    if (!is_gone(t)) {
        at = where == FIRST ? ordered_first(o) : where == LAST ? ordered_last(o) :
             where == NEXT ? ordered_after(o, key, false) : ordered_before(o, key, false);
        if (at.leaf != NULL)    /* the key alone is had without a look at the row */
            result = found_key(t, h, place_row(at), at.leaf->s.at[at.i].key, 0, whole);
        count_add(o->guard.reads, 1);
    }
    spin_unlock(&o->guard.lock);
    return result;
}

term table_first(struct table *t, struct heap *h, bool whole)
{
    return is_ordered(t) ? ordered_at(t, h, FIRST, TERM_NIL, whole)
                         : set_first_from(t, h, 0, whole);
}

term table_last(struct table *t, struct heap *h, bool whole)
{
    return is_ordered(t) ? ordered_at(t, h, LAST, TERM_NIL, whole)
                         : set_first_from(t, h, 0, whole);
}

term table_next(struct table *t, struct heap *h, term key, bool whole)
{
    return is_ordered(t) ? ordered_at(t, h, NEXT, key, whole) : set_next(t, h, key, whole);
}

term table_prev(struct table *t, struct heap *h, term key, bool whole)
{
    return is_ordered(t) ? ordered_at(t, h, PREV, key, whole) : set_next(t, h, key, whole);
}

static term ordered_slot(struct table *t, struct heap *h, uint64_t n, bool *ret_end)
{
    struct ordered *o = &t->ordered;
    term result = TERM_NONE;
    struct leaf *leaf;

    spin_lock(&o->guard.lock);
    *ret_end = (int64_t)n == o->count;
    if ((int64_t)n < o->count) {
        for (leaf = o->first; n >= leaf->s.n; leaf = leaf->next)
            n -= leaf->s.n;
        result = heap_cons(h, row_copy(leaf_row(leaf, n), h), TERM_NIL);
    }
    spin_unlock(&o->guard.lock);
    return result;
}

term table_slot(struct table *t, struct heap *h, uint64_t n, bool *ret_end)
{
    struct spin *lock;
    struct row **bucket;
    term list = TERM_NONE;

    if (is_ordered(t))
        return ordered_slot(t, h, n, ret_end);
    lock = &set_stripe(&t->set, (uint32_t)n)->guard.lock;
    spin_lock(lock);
    *ret_end = n == atomic_load(&t->set.buckets);
    bucket = is_gone(t) ? NULL : set_bucket(&t->set, n);
    if (bucket != NULL) {
        list = TERM_NIL;
        for (struct row *r = *bucket; r != NULL; r = r->next)
            if (!r->ghost)
                list = heap_cons(h, row_copy(r, h), list);
    }
    spin_unlock(lock);
    return list;
}

/* --- many objects ----------------------------------------------------------------------------- */

void select_init(struct select *s, struct match_run *run, enum select_what what)
{
    *s = (struct select){ .run = run, .what = what, .last_key = TERM_NONE, .list = TERM_NIL,
                          .changed = TERM_NIL };
}

term list_turned(term l)
{
    term turned = TERM_NIL;

    while (is_cons(l)) {
        term next = cdr(l);

        cdr(l) = turned;
        turned = l;
        l = next;
    }
    return turned;
}

static bool is_enough(const struct select *s)
{
    return (s->limit != 0 && s->count >= s->limit) || (s->budget != 0 && s->visited >= s->budget);
}

enum verdict { KEEP, REMOVE, REPLACE };

static enum verdict visit(struct select *s, const struct row *r, term *ret_with)
{
    term value = match_object(s->run, row_object(r));

    s->visited++;
    if (value == TERM_NONE)
        return KEEP;
    switch (s->what) {
    case SELECT_VALUES:
        s->list = heap_cons(s->run->heap, value, s->list);
        s->count++;
        return KEEP;
    case SELECT_REPLACE:
        s->count++;
        *ret_with = value;
        return REPLACE;
    default:
        if (value != ATOM_true)
            return KEEP;
        s->count++;
        return s->what == SELECT_DELETE ? REMOVE : KEEP;
    }
}

/* The key of r has changed; it is written when the lock of its bucket is given back. */
static void stored_later(struct table *t, struct select *s, const struct row *r)
{
    if (UNLIKELY(t->persist != NULL))
        s->changed = heap_cons(s->run->heap, heap_copy(s->run->heap, row_key(r, t->keypos)),
                               s->changed);
}

static void stored_now(struct table *t, struct select *s)
{
    struct store_batch b = { { 0 } };

    if (LIKELY(is_nil(s->changed)))
        return;
    for (term l = s->changed; is_cons(l); l = cdr(l))
        persist_note(t, &b, car(l), hash_of(t, car(l)));
    persist_submit(t, &b);
    s->changed = TERM_NIL;
}

static void set_visit(struct table *t, struct select *s, struct row **link)
{
    struct row *r = *link;
    term with = TERM_NONE;

    switch (visit(s, r, &with)) {
    case REMOVE:
        stored_later(t, s, r);
        set_remove_locked(&t->set, link);
        break;
    case REPLACE:
        /* what the body made may be no object any more: then nothing changes */
        if (table_is_object(t, with)) {
            set_replace_locked(&t->set, link, row_new(with));
            stored_later(t, s, *link);
        }
        break;
    default:
        break;
    }
}

/* The rows of one bucket, or of one key in it, under the stripe. The oldest row of a key comes last
 * in its bucket: bags are read backwards. */
static void bucket_select(struct table *t, struct select *s, struct row **bucket, term key,
                          uint32_t hash)
{
    struct row **few[16], ***links = few;
    size_t n = 0, cap = ARRAY_LEN(few);

    for (struct row **link = bucket; *link != NULL; link = &(*link)->next) {
        if ((*link)->ghost || (key != TERM_NONE && !set_same_key(&t->set, *link, key, hash)))
            continue;
        if (n == cap) {
            struct row ***more = mem_array(2 * cap, sizeof *more);

            memcpy(more, links, n * sizeof *more);
            if (links != few)
                mem_free(links);
            links = more;
            cap *= 2;
        }
        links[n++] = link;
    }
    /* backwards also keeps the earlier links good when a row is taken out */
    while (n > 0)
        set_visit(t, s, links[--n]);
    stored_now(t, s);
    if (links != few)
        mem_free(links);
}

#define KEYS_MAX 16
#define ROWS_PER_LOCK 64    /* of an ordered table: others wait so long */
#define BUCKETS_PER_LOCK 32 /* of a set: the same, and fewer locks than one a bucket */
#define BUCKETS_AHEAD 8     /* a row comes from memory in the time that so many are looked at */

/* The keys that alone can match; 0: there may be others. */
static size_t exact_keys(struct table *t, struct select *s, term *keys)
{
    size_t n = match_clauses(s->run->ms), kept = 0;

    if (n > KEYS_MAX)
        return 0;
    for (size_t i = 0; i < n; i++) {
        term key;
        size_t k = 0;

        if (match_key_of(s->run->ms, i, t->keypos, &key) != MATCH_KEY_EXACT)
            return 0;
        while (k < kept && !(is_ordered(t) ? term_equal(keys[k], key) : term_eq(keys[k], key)))
            k++;
        if (k == kept)
            keys[kept++] = key;
    }
    return kept;
}

/* The next buckets. */
static void buckets_select(struct table *t, struct select *s)
{
    set_lock_all(&t->set);
    for (unsigned i = 0; i < BUCKETS_PER_LOCK && !s->done && (i == 0 || !is_enough(s)); i++) {
        struct row **bucket = is_gone(t) ? NULL : set_bucket(&t->set, s->bucket++);

        s->done = bucket == NULL;
        if (!s->done) {
            set_prefetch(&t->set, s->bucket + BUCKETS_AHEAD);
            bucket_select(t, s, bucket, TERM_NONE, 0);
        }
        s->visited++;       /* empty buckets are work too */
    }
    set_unlock_all(&t->set);
}

static int set_select(struct table *t, struct select *s)
{
    term keys[KEYS_MAX];
    size_t nkeys = exact_keys(t, s, keys);

    for (size_t i = 0; i < nkeys; i++) {
        struct held h = key_lock(t, keys[i]);
        struct row **first = h.here ? set_find(&t->set, keys[i], h.hash, true) : NULL;

        if (first != NULL)
            bucket_select(t, s, first, keys[i], h.hash);
        key_unlock(&h);
    }
    s->done = nkeys > 0;
    while (!s->done) {
        buckets_select(t, s);
        if (is_enough(s))
            break;
    }
    if (s->what == SELECT_DELETE && s->done && !is_gone(t))
        set_shrink(&t->set);
    return is_gone(t) ? TABLE_GONE : 0;
}

static int part_range_cmp(term key, const void *range)
{
    return match_key_cmp(key, *(const term *)range);
}

/* Where an ordered select starts. */
static struct place ordered_start(struct ordered *o, const struct select *s, enum match_key kind,
                                  const term *range)
{
    if (s->last_key != TERM_NONE)
        return s->reverse ? ordered_before(o, s->last_key, false)
                          : ordered_after(o, s->last_key, false);
    if (kind == MATCH_KEY_EXACT)
        return s->reverse ? ordered_before(o, *range, true) : ordered_after(o, *range, true);
    if (kind == MATCH_KEY_PART)
        return s->reverse ? ordered_range_end(o, part_range_cmp, range)
                          : ordered_range_start(o, part_range_cmp, range);
    return s->reverse ? ordered_last(o) : ordered_first(o);
}

/* Rows are taken out or replaced by key after the step, since that moves places. */
static struct place ordered_visit(struct table *t, struct select *s, struct place at)
{
    struct ordered *o = &t->ordered;
    struct row *r = place_row(at);
    term with = TERM_NONE, key;

    switch (visit(s, r, &with)) {
    case REMOVE:
        key = row_key(r, o->keypos);
        stored_later(t, s, r);
        ordered_remove(o, key);
        at = s->reverse ? ordered_before(o, key, false) : ordered_after(o, key, false);
        row_free(r);
        return at;
    case REPLACE:
        if (table_is_object(t, with)) {
            stored_later(t, s, r);
            ordered_replace(o, row_new(with));
        }
        break;
    default:
        break;
    }
    return s->reverse ? place_prev(at) : place_next(at);
}

/* Up to ROWS_PER_LOCK rows under the lock. False: there are no more in the range. */
static bool ordered_rows(struct table *t, struct select *s, enum match_key kind, const term *range)
{
    struct ordered *o = &t->ordered;
    struct place at = ordered_start(o, s, kind, range);
    struct row *r = place_row(at);
    term key = TERM_NONE, own = TERM_NONE;

    for (unsigned n = 0; r != NULL; r = place_row(at)) {
        if (kind != MATCH_KEY_ANY && match_key_cmp(row_key(r, o->keypos), *range) != 0)
            return false;
        if (n++ == ROWS_PER_LOCK || is_enough(s))
            break;
        key = row_key(r, o->keypos);
        /* a row that may go takes its key along */
        if (s->what == SELECT_DELETE || s->what == SELECT_REPLACE)
            own = key = heap_copy(s->run->heap, key);
        at = ordered_visit(t, s, at);
    }
    if (key != TERM_NONE)
        s->last_key = own != TERM_NONE ? own : heap_copy(s->run->heap, key);
    return r != NULL;
}

/* The lock is given back now and then, and the place found again by the last key. */
static int ordered_select(struct table *t, struct select *s)
{
    struct ordered *o = &t->ordered;
    term range = TERM_NONE;
    enum match_key kind = match_clauses(s->run->ms) != 1 ? MATCH_KEY_ANY
                          : match_key_of(s->run->ms, 0, t->keypos, &range);
    bool more = true, gone = false;

    while (more && !gone && !is_enough(s)) {
        spin_lock(&o->guard.lock);
        gone = is_gone(t);
        if (!gone) {
            more = ordered_rows(t, s, kind, &range);
            stored_now(t, s);
        }
        spin_unlock(&o->guard.lock);
    }
    s->done = !more;
    return gone ? TABLE_GONE : 0;
}

int table_select(struct table *t, struct select *s)
{
    return is_ordered(t) ? ordered_select(t, s) : set_select(t, s);
}
