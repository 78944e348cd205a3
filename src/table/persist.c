/* SPDX-License-Identifier: Apache-2.0 */
/*
 * persist.c - tables whose rows are in the store too
 *
 * Locks: that of the catalogue (ids) may be taken under any lock of a table and takes none but the
 * store's.
 */
#include "table/persist.h"

#include "base/alloc.h"
#include "base/epoch.h"
#include "base/errors.h"
#include "heap/etf.h"
#include "store/versions.h"
#include "table/sortkey.h"
#include "term/atom.h"
#include "term/compare.h"

#include <pthread.h>
#include <stdio.h>

#define ID_BYTES    4
#define LOAD_ROWS   256         /* rows read in one transaction */

static struct {
    struct store *store;
    void (*say)(const char *text);
    pthread_mutex_t lock;       /* next_id */
    uint32_t next_id;
    pthread_t loader;
    bool has_loader;
    _Atomic bool stopping;
    _Atomic uint64_t damaged;
} catalogue = { .lock = PTHREAD_MUTEX_INITIALIZER };

struct store *persist_store(void)
{
    return catalogue.store;
}

uint64_t persist_damaged_rows(void)
{
    return atomic_load(&catalogue.damaged);
}

/* --- the catalogue ---------------------------------------------------------------------------- */

static void id_put(uint8_t id[ID_BYTES], uint32_t n)
{
    for (int i = 0; i < ID_BYTES; i++)
        id[i] = (uint8_t)(n >> (24 - 8 * i));
}

/* An id that no table ever had; its use must be part of batch b. */
static void id_new(struct store_batch *b, uint8_t id[ID_BYTES])
{
    uint8_t next[ID_BYTES];

    pthread_mutex_lock(&catalogue.lock);
    id_put(id, catalogue.next_id++);
    id_put(next, catalogue.next_id);
    /* under the lock, so that a smaller number is not submitted after a larger one; a number that
     * is lost with its batch has not been used either */
    store_batch_put(catalogue.store, b, "meta", "next_table", 10, next, ID_BYTES);
    pthread_mutex_unlock(&catalogue.lock);
}

static void describe(struct table *t, struct store_batch *b, term name)
{
    struct persist *ps = t->persist;
    size_t len;
    const char *text = atom_text(name, &len);
    struct heap bag;
    struct buf value = { 0 };
    term e[6];
    int rc;

    heap_bag_init(&bag);
    e[0] = heap_binary(&bag, ps->id, ID_BYTES);
    e[1] = small_make(t->type);
    e[2] = small_make(t->keypos);
    e[3] = small_make(atomic_load(&t->protection));
    e[4] = atomic_load(&ps->sync) ? ATOM_true : ATOM_false;
    e[5] = ps->keep_ms == PERSIST_KEEP_ALL ? ATOM_infinity : heap_int(&bag, ps->keep_ms);
    rc = etf_encode(&value, heap_tuple(&bag, 6, e), 0, ETF_MINOR_DEFAULT);
    ASSERT(rc == 0);
    store_batch_put(ps->store, b, "tables", text, len, value.data, value.len);
    buf_fini(&value);
    heap_fini(&bag);
}

static void tell_store_how_long(struct persist *ps)
{
    int64_t keep_ms = atomic_load(&ps->keep_ms);

    if (keep_ms != 0)
        versions_keep(ps->store, ps->id, keep_ms == PERSIST_KEEP_ALL ? 0 : keep_ms * 1000000);
}

static void note_ticket(struct persist *ps, uint64_t ticket)
{
    uint64_t was = atomic_load_explicit(&ps->ticket, memory_order_relaxed);

    while (was < ticket &&
           !atomic_compare_exchange_weak_explicit(&ps->ticket, &was, ticket, memory_order_relaxed,
                                                  memory_order_relaxed)) {
    }
}

void persist_submit(struct table *t, struct store_batch *b)
{
    note_ticket(t->persist, store_submit(t->persist->store, b));
}

static struct persist *persist_new(const struct table_options *opt)
{
    struct persist *ps = MEM_NEW(struct persist);

    ps->store = catalogue.store;
    atomic_init(&ps->keep_ms, opt->keep_ms);
    atomic_init(&ps->sync, opt->sync);
    return ps;
}

void persist_free(struct table *t)
{
    if (t->persist != NULL && t->persist->deleted != NULL)
        table_free_hidden(t->persist->deleted);
    mem_free(t->persist);
}

/* The table takes its persist before anybody can see it. */
static struct table *make(term name, term owner, const struct table_options *opt,
                          struct persist *ps)
{
    struct table_options named = *opt;

    named.named = true;
    named.persist = ps;
    return table_new(name, owner, &named);
}

/* Somebody wants the table that has waited for an owner. */
static int claim(struct table *t, term owner, const struct table_options *opt)
{
    struct persist *ps = t->persist;
    struct store_batch b = { { 0 } };
    bool changes;

    if (ps == NULL)
        return -ERR_EXISTS;
    if (t->type != opt->type || t->keypos != opt->keypos ||
        (ps->keep_ms == 0) != (opt->keep_ms == 0))
        return is_local_pid(atomic_load(&t->owner)) ? -ERR_EXISTS : -ERR_ARGUMENT;
    if (!table_take_owner(t, owner))
        return -ERR_EXISTS;
    changes = atomic_exchange(&t->protection, opt->protection) != opt->protection;
    changes |= atomic_exchange(&ps->sync, opt->sync) != opt->sync;
    changes |= ps->keep_ms != opt->keep_ms;
    ps->keep_ms = opt->keep_ms;
    tell_store_how_long(ps);
    table_set_heir(t, opt->heir, opt->heir_data);
    if (changes) {      /* else the start of a node would be a commit a table */
        describe(t, &b, atomic_load(&t->name));
        persist_submit(t, &b);
    }
    return 0;
}

struct table *persist_open(term name, term owner, const struct table_options *opt, int *ret_rc)
{
    struct table *t = table_by_name(name);
    struct store_batch b = { { 0 } };
    struct persist *ps;

    *ret_rc = catalogue.store == NULL ? -ERR_NOT_FOUND
              : store_failure(catalogue.store) < 0 ? -ERR_SYSTEM : 0;
    if (*ret_rc < 0)
        return NULL;
    if (t != NULL) {
        *ret_rc = claim(t, owner, opt);
        return *ret_rc == 0 ? t : NULL;
    }
    ps = persist_new(opt);
    id_new(&b, ps->id);
    t = make(name, owner, opt, ps);
    if (t == NULL) {
        store_batch_fini(&b);
        mem_free(ps);
        *ret_rc = -ERR_EXISTS;
        return NULL;
    }
    tell_store_how_long(ps);
    describe(t, &b, name);
    persist_submit(t, &b);
    return t;
}

void persist_renamed(struct table *t, term from, term to)
{
    struct store_batch b = { { 0 } };
    size_t len;
    const char *text = atom_text(from, &len);

    store_batch_delete(t->persist->store, &b, "tables", text, len);
    describe(t, &b, to);
    persist_submit(t, &b);
}

void persist_deleted(struct table *t)
{
    struct store_batch b = { { 0 } };
    size_t len;
    const char *text = atom_text(atomic_load(&t->name), &len);

    store_batch_delete(t->persist->store, &b, "tables", text, len);
    persist_submit(t, &b);
}

void persist_drop(struct table *t)
{
    struct store_batch b = { { 0 } };

    store_batch_drop(t->persist->store, &b, "rows", t->persist->id, ID_BYTES);
    persist_submit(t, &b);
}

/* --- keys and values -------------------------------------------------------------------------- */

#define KEY_BYTES (ID_BYTES + SORTKEY_MAX)

static int full_key(struct table *t, term key, uint8_t out[KEY_BYTES], size_t *ret_len)
{
    int rc = sortkey_make(key, t->type != TABLE_ORDERED_SET, out + ID_BYTES, ret_len);

    memcpy(out, t->persist->id, ID_BYTES);
    *ret_len += ID_BYTES;
    return rc;
}

int persist_key(struct table *t, term key, struct buf *out)
{
    uint8_t bytes[KEY_BYTES];
    size_t len;
    int rc = full_key(t, key, bytes, &len);

    if (rc == 0)
        buf_add(out, bytes, len);
    return rc;
}

int persist_check_key(struct table *t, term key)
{
    uint8_t bytes[SORTKEY_MAX];
    size_t len;

    return sortkey_make(key, t->type != TABLE_ORDERED_SET, bytes, &len);
}

int persist_check_part(struct table *t, term part)
{
    if (store_failure(t->persist->store) < 0)
        return -ERR_SYSTEM;
    if (!term_is_storable(part))
        return -ERR_ARGUMENT;
    return etf_size(part, 0, ETF_MINOR_DEFAULT) > STORE_VALUE_MAX / 2 ? -ERR_LIMIT : 0;
}

/* Objects of one key of a bag are one value. */
static int check_bag_key(struct table *t, term object)
{
    size_t bytes = etf_size(object, 0, ETF_MINOR_DEFAULT);
    struct row **link;
    term key = tuple_elem(object, t->keypos - 1);
    uint32_t hash = set_hash(key);

    spin_lock(&set_stripe(&t->set, hash)->guard.lock);
    link = set_find(&t->set, key, hash, true);
    for (struct row *r = link == NULL ? NULL : *link;
         r != NULL && set_same_key(&t->set, r, key, hash); r = r->next)
        bytes += r->offheap == NULL ? 9 * (size_t)r->words
                                    : etf_size(row_object(r), 0, ETF_MINOR_DEFAULT);
    spin_unlock(&set_stripe(&t->set, hash)->guard.lock);
    return bytes > STORE_VALUE_MAX / 2 ? -ERR_LIMIT : 0;
}

int persist_check_objects(struct table *t, term list)
{
    int rc = 0;

    for (; rc == 0 && is_cons(list); list = cdr(list)) {
        rc = persist_check_part(t, car(list));
        if (rc == 0)
            rc = persist_check_key(t, tuple_elem(car(list), t->keypos - 1));
        if (rc == 0 && t->type != TABLE_SET && t->type != TABLE_ORDERED_SET)
            rc = check_bag_key(t, car(list));
    }
    return rc;
}

/* The rows of key as they are now; false: none. */
static bool value_encode(struct table *t, term key, uint32_t hash, struct buf *out)
{
    struct row **link;
    struct row *r;
    struct heap bag;
    term list = TERM_NIL;
    int rc;

    if (t->type == TABLE_ORDERED_SET) {
        r = ordered_find(&t->ordered, key);
    } else {
        link = set_find(&t->set, key, hash, false);
        r = link == NULL ? NULL : *link;
    }
    if (r == NULL)
        return false;
    if (t->type == TABLE_SET || t->type == TABLE_ORDERED_SET) {
        rc = etf_encode(out, row_object(r), 0, ETF_MINOR_DEFAULT);
        ASSERT(rc == 0);
        return true;
    }
    heap_bag_init(&bag);
    for (; r != NULL && set_same_key(&t->set, r, key, hash); r = r->next)
        if (!r->ghost)
            list = heap_cons(&bag, row_object(r), list);    /* lent: only for the encoding */
    rc = etf_encode(out, list, 0, ETF_MINOR_DEFAULT);
    ASSERT(rc == 0);
    heap_fini(&bag);
    return true;
}

static void say_of(struct table *t, const char *format)
{
    char text[300];

    snprintf(text, sizeof text, format, atom_text(atomic_load(&t->name), NULL));
    if (catalogue.say != NULL)
        catalogue.say(text);
}

void persist_note(struct table *t, struct store_batch *b, term key, uint32_t hash)
{
    struct persist *ps = t->persist;
    uint8_t bytes[KEY_BYTES];
    size_t len;
    struct buf value = { 0 };
    bool here;

    if (full_key(t, key, bytes, &len) < 0)
        return;     /* such a key was never let in, so nothing of it is in the store */
    here = value_encode(t, key, hash, &value);
    if (value.len > STORE_VALUE_MAX) {  /* made of parts that were small enough */
        say_of(t, "a row of table %.200s has become too large and is not stored");
        here = false;
    }
    if (ps->keep_ms != 0)
        store_batch_version(ps->store, b, "rows", bytes, len, here ? value.data : NULL, value.len);
    else if (here)
        store_batch_put(ps->store, b, "rows", bytes, len, value.data, value.len);
    else
        store_batch_delete(ps->store, b, "rows", bytes, len);
    if (!here && atomic_load_explicit(&ps->loading, memory_order_relaxed)) {
        term words[2], *at = words, holder = tuple_room(&at, 1);

        tuple_elem(holder, 0) = key;
        table_insert(ps->deleted, holder);
    }
    buf_fini(&value);
}

static void note_gone(struct table *t, struct store_batch *b, const struct row *r)
{
    uint8_t bytes[KEY_BYTES];
    size_t len;

    if (full_key(t, row_key(r, t->keypos), bytes, &len) == 0)
        store_batch_version(t->persist->store, b, "rows", bytes, len, NULL, 0);
}

/* With history every key has its end written; without, the rows get another id and the old ones
 * are removed in the background. */
void persist_clear(struct table *t)
{
    struct persist *ps = t->persist;
    struct store_batch b = { { 0 } };

    if (ps->keep_ms == 0) {
        store_batch_drop(ps->store, &b, "rows", ps->id, ID_BYTES);
        id_new(&b, ps->id);
        describe(t, &b, atomic_load(&t->name));
    } else if (t->type == TABLE_ORDERED_SET) {
        for (struct place at = ordered_first(&t->ordered); place_row(at) != NULL;
             at = place_next(at))
            note_gone(t, &b, place_row(at));
    } else {
        struct row **bucket;

        for (uint64_t i = 0; (bucket = set_bucket(&t->set, i)) != NULL; i++)
            for (struct row *r = *bucket; r != NULL; r = r->next)
                if (!r->ghost)
                    note_gone(t, &b, r);
    }
    persist_submit(t, &b);
}

uint64_t table_ticket(struct table *t)
{
    struct persist *ps = t->persist;

    if (LIKELY(ps == NULL))
        return 0;
    if (!atomic_load_explicit(&ps->sync, memory_order_relaxed) && !store_is_behind(ps->store))
        return 0;
    return atomic_load_explicit(&ps->ticket, memory_order_relaxed);
}

/* --- reading rows in -------------------------------------------------------------------------- */

/* A row as it was stored; TERM_NONE: it is damaged. */
static term value_decode(struct table *t, struct heap *bag, const void *value, size_t len)
{
    struct reader r = reader_make(value, len);
    term v = etf_decode(bag, &r, 0);
    bool bag_type = t->type == TABLE_BAG || t->type == TABLE_DUPLICATE_BAG;

    if (v == TERM_NONE || r.bad || reader_left(&r) != 0)
        return TERM_NONE;
    if (!bag_type)
        return table_is_object(t, v) ? heap_cons(bag, v, TERM_NIL) : TERM_NONE;
    if (list_length(v) < 1)
        return TERM_NONE;
    for (term l = v; is_cons(l); l = cdr(l))
        if (!table_is_object(t, car(l)))
            return TERM_NONE;
    return v;
}

static void damaged(struct table *t)
{
    if (atomic_fetch_add(&catalogue.damaged, 1) < 10)
        say_of(t, "a row of table %.200s is damaged and left out");
}

static bool key_is_here(struct table *t, term key, uint32_t hash)
{
    if (t->type == TABLE_ORDERED_SET)
        return ordered_find(&t->ordered, key) != NULL;
    return set_find(&t->set, key, hash, true) != NULL;
}

/* Under the lock of the key: the stored objects of one key, unless memory knows better. */
static void put_rows(struct table *t, term objects, term key, uint32_t hash)
{
    if (key_is_here(t, key, hash) || table_member(t->persist->deleted, key) == 1)
        return;
    for (; is_cons(objects); objects = cdr(objects)) {
        if (t->type == TABLE_ORDERED_SET)
            ordered_insert(&t->ordered, car(objects));
        else
            set_insert_locked(&t->set, car(objects), hash);
    }
}

void persist_fault(struct table *t, term key, uint32_t hash)
{
    struct persist *ps = t->persist;
    uint8_t bytes[KEY_BYTES];
    size_t len;
    struct buf value = { 0 };
    struct heap bag;
    term objects;

    if (!atomic_load_explicit(&ps->loading, memory_order_relaxed) || key_is_here(t, key, hash) ||
        table_member(ps->deleted, key) == 1 || full_key(t, key, bytes, &len) < 0 ||
        store_get_nowait(ps->store, "rows", bytes, len, &value) < 0) {
        buf_fini(&value);
        return;
    }
    heap_bag_init(&bag);
    objects = value_decode(t, &bag, value.data, value.len);
    if (objects != TERM_NONE)
        put_rows(t, objects, key, hash);
    heap_fini(&bag);
    buf_fini(&value);
}

/* Pairs of the store, copied out of their transaction: key length, value length, key, value. */
struct chunk { struct buf bytes; unsigned n; };

static bool chunk_add(void *arg, const void *key, size_t key_len, const void *value, size_t len)
{
    struct chunk *c = arg;

    buf_be(&c->bytes, key_len, 2);
    buf_be(&c->bytes, len, 4);
    buf_add(&c->bytes, key, key_len);
    buf_add(&c->bytes, value, len);
    return ++c->n < LOAD_ROWS && c->bytes.len < (1u << 20);
}

static bool chunk_add_all(void *arg, const void *key, size_t key_len, const void *value,
                          size_t len)
{
    (void)chunk_add(arg, key, key_len, value, len);
    return true;
}

/* One stored row. */
static void load_row(struct table *t, struct heap *bag, const uint8_t *value, size_t len)
{
    term objects = value_decode(t, bag, value, len), key;
    struct spin *lock;
    uint32_t hash = 0;

    if (objects == TERM_NONE) {
        damaged(t);
        return;
    }
    key = tuple_elem(car(objects), t->keypos - 1);
    if (t->type != TABLE_ORDERED_SET)
        hash = set_hash(key);
    lock = t->type == TABLE_ORDERED_SET ? &t->ordered.guard.lock : &set_stripe(&t->set, hash)->guard.lock;
    spin_lock(lock);
    if (!atomic_load(&t->deleted))
        put_rows(t, objects, key, hash);
    spin_unlock(lock);
    if (t->type != TABLE_ORDERED_SET)
        set_grow(&t->set);
}

/* Load the rows behind `last`, which moves. False: that was all, or the table is gone. */
static bool load_chunk(struct table *t, struct buf *last)
{
    struct chunk c = { { 0 }, 0 };
    struct reader r;
    struct heap bag;
    /* what is newer than the start of the node is in memory */
    int rc = store_visit_from_nowait(t->persist->store, "rows", last->data, last->len, ID_BYTES,
                                     chunk_add, &c);

    r = reader_make(c.bytes.data, c.bytes.len);
    while (rc == 0 && reader_left(&r) > 0) {
        size_t key_len = reader_u16(&r), len = reader_u32(&r);
        const uint8_t *key = reader_take(&r, key_len), *value = reader_take(&r, len);

        epoch_enter();
        heap_bag_init(&bag);
        load_row(t, &bag, value, len);
        heap_fini(&bag);
        epoch_leave();
        if (reader_left(&r) == 0) {     /* the next key: this one and a zero byte */
            last->len = 0;
            buf_add(last, key, key_len);
            buf_u8(last, 0);
        }
    }
    buf_fini(&c.bytes);
    return (rc == 0 || rc == -ERR_TIMEOUT) && c.n > 0 && !atomic_load(&t->deleted);
}

static void load_done(struct table *t)
{
    struct persist *ps = t->persist;
    struct load_waiter *w;

    spin_lock(&t->meta);
    atomic_store_explicit(&ps->loading, false, memory_order_release);
    w = TAKE(ps->waiters);
    spin_unlock(&t->meta);
    /* somebody may still look into it: empty it, its struct stays (it is small) */
    table_clear(ps->deleted);
    epoch_enter();
    while (w != NULL) {
        struct load_waiter *next = w->next;

        w->done(w);
        w = next;
    }
    epoch_leave();
}

bool persist_await_load(struct table *t, struct load_waiter *w)
{
    struct persist *ps = t->persist;
    bool loading;

    spin_lock(&t->meta);
    loading = atomic_load(&ps->loading);
    if (loading) {
        w->next = ps->waiters;
        ps->waiters = w;
    }
    spin_unlock(&t->meta);
    return loading;
}

/* --- start and stop --------------------------------------------------------------------------- */

struct loads { struct table **at; size_t n; };

static void *loader_main(void *arg)
{
    struct loads *l = arg;

    for (size_t i = 0; i < l->n; i++) {
        struct table *t = l->at[i];
        struct buf last = { 0 };

        buf_add(&last, t->persist->id, ID_BYTES);
        while (!atomic_load(&catalogue.stopping) && load_chunk(t, &last)) {
        }
        buf_fini(&last);
        if (!atomic_load(&catalogue.stopping))
            load_done(t);
        blob_unref(t->id);
    }
    mem_free(l->at);
    mem_free(l);
    return NULL;
}

static bool options_from(term d, struct table_options *opt, uint8_t id[ID_BYTES])
{
    int64_t type, keypos, protection;
    struct bits b;

    if (!is_tuple_n(d, 6) || !is_binary(tuple_elem(d, 0)) ||
        !term_to_int64(tuple_elem(d, 1), &type) || type < 0 || type > TABLE_DUPLICATE_BAG ||
        !term_to_int64(tuple_elem(d, 2), &keypos) || keypos < 1 || keypos > UINT32_MAX ||
        !term_to_int64(tuple_elem(d, 3), &protection) || protection < 0 ||
        protection > TABLE_PUBLIC)
        return false;
    b = bits_of(tuple_elem(d, 0));
    if (b.bits != 8 * ID_BYTES || b.bit_offset != 0)
        return false;
    memcpy(id, b.base, ID_BYTES);
    *opt = (struct table_options){
        .type = (enum table_type)type, .keypos = (uint32_t)keypos,
        .protection = (enum table_protection)protection, .write_concurrency = ATOM_false,
        .heir = ATOM_none, .heir_data = TERM_NIL, .sync = tuple_elem(d, 4) == ATOM_true,
    };
    if (tuple_elem(d, 5) == ATOM_infinity)
        opt->keep_ms = PERSIST_KEEP_ALL;
    else if (!term_to_int64(tuple_elem(d, 5), &opt->keep_ms) || opt->keep_ms < 0)
        return false;
    return true;
}

static void restore_table(struct loads *l, const uint8_t *name, size_t name_len,
                          const uint8_t *value, size_t len)
{
    struct reader r = reader_make(value, len);
    struct table_options opt, keys;
    struct persist *ps;
    struct table *t = NULL;
    struct heap bag;
    uint8_t id[ID_BYTES];
    term d, atom = atom_from_utf8((const char *)name, name_len);

    heap_bag_init(&bag);
    d = etf_decode(&bag, &r, 0);
    if (atom != TERM_NONE && d != TERM_NONE && options_from(d, &opt, id)) {
        ps = persist_new(&opt);
        memcpy(ps->id, id, ID_BYTES);
        atomic_init(&ps->loading, true);
        keys = (struct table_options){
            .type = opt.type == TABLE_ORDERED_SET ? TABLE_ORDERED_SET : TABLE_SET, .keypos = 1,
            .heir = ATOM_none, .heir_data = TERM_NIL, .write_concurrency = ATOM_false,
        };
        ps->deleted = table_new_hidden(&keys);
        tell_store_how_long(ps);
        t = make(atom, ATOM_undefined, &opt, ps);
    }
    heap_fini(&bag);
    if (t == NULL) {
        char text[400];

        snprintf(text, sizeof text, "table %.*s cannot be opened again: its entry is damaged",
                 (int)(name_len < 300 ? name_len : 300), (const char *)name);
        catalogue.say(text);
        atomic_fetch_add(&catalogue.damaged, 1);
        return;
    }
    l->at = mem_realloc(l->at, (l->n + 1) * sizeof l->at[0]);
    l->at[l->n++] = t;
    blob_ref(t->id);        /* the loader's */
}

int persist_start(struct store *st, void (*say)(const char *text))
{
    struct loads *l = MEM_NEW(struct loads);
    struct chunk c = { { 0 }, 0 };
    struct buf next = { 0 };
    struct reader r;
    int rc;

    catalogue.say = say;
    catalogue.store = st;
    catalogue.next_id = 1;
    atomic_store(&catalogue.stopping, false);
    rc = store_get(st, "meta", "next_table", 10, &next);
    if (rc == 0 && next.len == ID_BYTES) {
        r = reader_make(next.data, next.len);
        catalogue.next_id = reader_u32(&r);
    }
    buf_fini(&next);
    if (rc == 0 || rc == -ERR_NOT_FOUND)
        rc = store_visit(st, "tables", false, chunk_add_all, &c);
    r = reader_make(c.bytes.data, c.bytes.len);
    epoch_enter();
    while (rc == 0 && reader_left(&r) > 0) {
        size_t key_len = reader_u16(&r), len = reader_u32(&r);
        const uint8_t *key = reader_take(&r, key_len), *value = reader_take(&r, len);

        restore_table(l, key, key_len, value, len);
    }
    epoch_leave();
    buf_fini(&c.bytes);
    if (rc == 0 && l->n > 0 &&
        pthread_create(&catalogue.loader, NULL, loader_main, l) == 0) {
        catalogue.has_loader = true;
        return 0;
    }
    mem_free(l->at);
    mem_free(l);
    return rc;
}

void persist_stop_loading(void)
{
    atomic_store(&catalogue.stopping, true);
    if (catalogue.has_loader)
        pthread_join(catalogue.loader, NULL);
    catalogue.has_loader = false;
}

void persist_stop(void)
{
    persist_stop_loading();
    catalogue.store = NULL;
}

/* --- history ---------------------------------------------------------------------------------- */

struct versions { struct buf *out; size_t max_bytes; bool full; };

static bool version_add(void *arg, const void *key, size_t key_len, int64_t time_ns,
                        const void *value, size_t len)
{
    struct versions *v = arg;

    if (v->out->len + len > v->max_bytes) {
        v->full = true;
        return false;
    }
    buf_be(v->out, (uint64_t)time_ns, 8);
    buf_be(v->out, value == NULL ? UINT32_MAX : len, 4);
    buf_add(v->out, value, value == NULL ? 0 : len);
    return true;
}

int persist_history(struct table *t, const uint8_t *key, size_t key_len, int64_t from, int64_t to,
                    size_t max_bytes, struct buf *out)
{
    struct versions v = { out, max_bytes, false };
    int rc = versions_of(t->persist->store, key, key_len, from, to, version_add, &v);

    return rc == 0 && v.full ? -ERR_LIMIT : rc;
}

int persist_as_of(struct table *t, int64_t time, size_t max_bytes, struct buf *out)
{
    struct versions v = { out, max_bytes, false };
    int rc = versions_at(t->persist->store, t->persist->id, ID_BYTES, NULL, 0, time, version_add,
                         &v);

    return rc == 0 && v.full ? -ERR_LIMIT : rc;
}
