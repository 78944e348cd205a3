/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table.c - finding, owning and fixing tables
 *
 * Locks, in the order they may be taken: tables (registry), meta of one table, a bucket of
 * holdings, stripes or tree of one table.
 */
#include "table/persist.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/epoch.h"
#include "base/slab.h"
#include "term/atom.h"
#include "term/ids.h"

#include <pthread.h>

#define BURY_ROWS 4096u     /* freed in one go; a table with fewer is freed at once */

/* --- registry ------------------------------------------------------------------------------------
 * Names: open addressing, read without a lock. A slot once used stays used by its name, with NULL
 * as the table when there is none at the moment.
 */
struct name_slot { _Atomic term name; struct table *_Atomic table; };
struct names { size_t mask; struct name_slot slot[]; };

static pthread_mutex_t tables_lock = PTHREAD_MUTEX_INITIALIZER;
static struct table *tables;            /* all, newest first */
static _Atomic size_t tables_count;
static struct names *_Atomic names;
static size_t names_used;

static struct names *names_new(size_t cap)
{
    struct names *n = mem_zalloc(sizeof *n + cap * sizeof n->slot[0]);

    n->mask = cap - 1;
    for (size_t i = 0; i < cap; i++)
        atomic_init(&n->slot[i].name, TERM_NONE);
    return n;
}

/* The slot of name, or the free one where its search ends. */
static struct name_slot *name_slot(struct names *n, term name)
{
    size_t i = (atom_index(name) * (size_t)0x9E3779B97F4A7C15u >> 32) & n->mask;

    for (;; i = (i + 1) & n->mask) {
        term at = atomic_load_explicit(&n->slot[i].name, memory_order_acquire);

        if (at == name || at == TERM_NONE)
            return &n->slot[i];
    }
}

struct table *table_by_name(term name)
{
    struct names *n = atomic_load_explicit(&names, memory_order_acquire);
    struct name_slot *slot;

    if (n == NULL)
        return NULL;
    slot = name_slot(n, name);
    return atomic_load(&slot->name) == name
               ? atomic_load_explicit(&slot->table, memory_order_acquire) : NULL;
}

static struct names *names_grow(void)
{
    struct names *old = atomic_load(&names), *n;

    if (old != NULL && names_used * 2 < old->mask)
        return old;
    n = names_new(old == NULL ? 64 : 2 * (old->mask + 1));
    names_used = 0;
    for (size_t i = 0; old != NULL && i <= old->mask; i++) {
        struct table *t = atomic_load(&old->slot[i].table);
        struct name_slot *slot;

        if (t == NULL)
            continue;
        slot = name_slot(n, atomic_load(&old->slot[i].name));
        atomic_store(&slot->table, t);
        atomic_store(&slot->name, atomic_load(&old->slot[i].name));
        names_used++;
    }
    atomic_store_explicit(&names, n, memory_order_release);
    if (old != NULL)
        epoch_retire(old, mem_free);
    return n;
}

/* Under the registry's lock. */
static bool name_take(term name, struct table *t)
{
    struct name_slot *slot = name_slot(names_grow(), name);

    if (atomic_load(&slot->table) != NULL)
        return false;
    if (atomic_load(&slot->name) == TERM_NONE)
        names_used++;
    /* release: pairs with the acquire in table_by_name, which must see a whole table */
    atomic_store_explicit(&slot->table, t, memory_order_release);
    atomic_store_explicit(&slot->name, name, memory_order_release);
    return true;
}

static void name_drop(term name)
{
    atomic_store(&name_slot(atomic_load(&names), name)->table, NULL);
}

/* --- identifiers ------------------------------------------------------------------------------ */

static void table_free(void *ptr)
{
    struct table *t = ptr;

    persist_free(t);
    slab_free(t, sizeof *t);
}

void table_blob_dtor(struct blob *b)
{
    struct table *t = blob_table(b);

    /* who got the pointer without a reference is in an epoch; nobody new gets it any more */
    if (atomic_load(&t->is_lent))
        epoch_retire(t, table_free);
    else
        table_free(t);
}

/* An identifier that came back from a file or a message is a plain reference with the number of
 * the magic one. Rare, so all tables are looked through. */
struct table *table_by_number(term ref)
{
    uint32_t want[REF_WORDS_MAX], has[REF_WORDS_MAX];
    struct table *t;
    term words[MAGIC_WORDS], id = box_term(words);

    words[0] = header_make(HK_MAGIC, MAGIC_WORDS - 1);
    if (!is_imm_ref(ref) || ref_words(ref, want) != 3)
        return NULL;
    pthread_mutex_lock(&tables_lock);
    for (t = tables; t != NULL; t = t->next) {
        words[1] = (term)(uintptr_t)t->id;
        (void)ref_words(id, has);
        if (memcmp(want, has, 3 * sizeof has[0]) == 0)
            break;
    }
    if (t != NULL)
        atomic_store(&t->is_lent, true);
    pthread_mutex_unlock(&tables_lock);
    return t;
}

term table_id(struct table *t, struct heap *h)
{
    return magic_make(h, blob_ref(t->id));
}

/* --- who holds what -------------------------------------------------------------------------------
 * A process that ends must find its tables and the ones it fixed without looking at all of them.
 */
struct holding { struct holding *next; term pid; struct table *table; bool owns; };

#define HOLDERS 1024
static struct { struct spin lock; struct holding *_Atomic first; } holders[HOLDERS];

#define holder_of(pid) (&holders[(pid_slot(pid) ^ pid_slot(pid) >> 10) & (HOLDERS - 1)])

static void holding_add(term pid, struct table *t, bool owns)
{
    struct holding *h = slab_alloc(sizeof *h);

    *h = (struct holding){ NULL, pid, t, owns };
    spin_lock(&holder_of(pid)->lock);
    h->next = atomic_load(&holder_of(pid)->first);
    atomic_store(&holder_of(pid)->first, h);
    spin_unlock(&holder_of(pid)->lock);
}

static void holding_remove(term pid, struct table *t, bool owns)
{
    struct holding *h, *prev = NULL;

    spin_lock(&holder_of(pid)->lock);
    for (h = atomic_load(&holder_of(pid)->first); h != NULL; prev = h, h = h->next)
        if (h->pid == pid && h->table == t && h->owns == owns)
            break;
    if (h != NULL && prev != NULL)
        prev->next = h->next;
    else if (h != NULL)
        atomic_store(&holder_of(pid)->first, h->next);
    spin_unlock(&holder_of(pid)->lock);
    slab_free(h, sizeof *h);
}

static struct table *holding_find(term pid, bool owns)
{
    struct holding *h;
    struct table *t;

    if (atomic_load(&holder_of(pid)->first) == NULL)
        return NULL;
    spin_lock(&holder_of(pid)->lock);
    for (h = atomic_load(&holder_of(pid)->first); h != NULL; h = h->next)
        if (h->pid == pid && h->owns == owns)
            break;
    t = h == NULL ? NULL : h->table;
    if (t != NULL)
        atomic_store(&t->is_lent, true);
    spin_unlock(&holder_of(pid)->lock);
    return t;
}

struct table *table_of_owner(term pid)
{
    return holding_find(pid, true);
}

void table_set_owner(struct table *t, term pid)
{
    holding_remove(atomic_load(&t->owner), t, true);
    atomic_store(&t->owner, pid);
    if (is_local_pid(pid))
        holding_add(pid, t, true);
}

bool table_take_owner(struct table *t, term pid)
{
    term none = ATOM_undefined;

    if (atomic_load(&t->deleted) || !atomic_compare_exchange_strong(&t->owner, &none, pid))
        return false;
    holding_add(pid, t, true);
    return true;
}

/* --- making and deleting ---------------------------------------------------------------------- */

static void heir_put(struct table *t, term heir, term data)
{
    term words[2], *at = words, holder = tuple_room(&at, 1);

    tuple_elem(holder, 0) = data;
    if (t->heir_data != NULL)
        row_free(t->heir_data);
    t->heir = heir;
    t->heir_data = heir == ATOM_none ? NULL : row_new(holder);
}

/* All but what others can see. */
static struct table *table_make(term name, term owner, const struct table_options *opt)
{
    struct table *t = slab_alloc(sizeof *t);

    memset(t, 0, sizeof *t);
    t->type = opt->type;
    t->keypos = opt->keypos;
    t->seen_ns = clock_monotonic_ns();
    t->compressed = opt->compressed;
    t->read_concurrency = opt->read_concurrency;
    t->decentralized_counters = opt->decentralized_counters;
    t->write_concurrency = opt->write_concurrency;
    t->persist = opt->persist;
    atomic_init(&t->name, name);
    atomic_init(&t->named, opt->named);
    atomic_init(&t->is_lent, opt->named);
    atomic_init(&t->protection, opt->protection);
    atomic_init(&t->owner, owner);
    heir_put(t, opt->heir, opt->heir_data);
    if (t->type == TABLE_ORDERED_SET)
        ordered_init(&t->ordered, t->keypos);
    else
        set_init(&t->set, t->keypos, t->type != TABLE_SET, t->type == TABLE_DUPLICATE_BAG);
    t->id = blob_new(sizeof(struct table *));
    blob_table(t->id) = t;
    t->id->dtor = table_blob_dtor;
    return t;
}

struct table *table_new_hidden(const struct table_options *opt)
{
    return table_make(ATOM_undefined, TERM_NONE, opt);
}

void table_free_hidden(struct table *t)
{
    if (t->type == TABLE_ORDERED_SET)
        ordered_fini(&t->ordered);
    else
        set_fini(&t->set);
    blob_unref(t->id);
}

struct table *table_new(term name, term owner, const struct table_options *opt)
{
    struct table *t = table_make(name, owner, opt);
    bool taken = false;

    pthread_mutex_lock(&tables_lock);
    if (opt->named)
        taken = !name_take(name, t);
    if (!taken) {
        t->next = tables;
        if (tables != NULL)
            tables->prev = t;
        tables = t;
        tables_count++;
    }
    pthread_mutex_unlock(&tables_lock);
    if (taken) {
        atomic_store(&t->deleted, true);
        if (t->heir_data != NULL)
            row_free(t->heir_data);
        if (t->type == TABLE_ORDERED_SET)
            ordered_fini(&t->ordered);
        else
            set_fini(&t->set);
        t->persist = NULL;      /* the caller's again */
        blob_unref(t->id);
        return NULL;
    }
    if (is_local_pid(owner))
        holding_add(owner, t, true);
    return t;
}

bool table_rename(struct table *t, term name)
{
    bool done = true;

    pthread_mutex_lock(&tables_lock);
    if (atomic_load(&t->deleted))
        done = false;
    else if (atomic_load(&t->named) && name != atomic_load(&t->name)) {
        done = name_take(name, t);
        if (done)
            name_drop(atomic_load(&t->name));
        if (done && t->persist != NULL)
            persist_renamed(t, atomic_load(&t->name), name);
    }
    if (done)
        atomic_store(&t->name, name);
    pthread_mutex_unlock(&tables_lock);
    return done;
}

static void fixes_drop(struct table *t)
{
    struct table_fix *f;

    spin_lock(&t->meta);
    f = t->fixes;
    t->fixes = NULL;
    spin_unlock(&t->meta);
    while (f != NULL) {
        struct table_fix *next = f->next;

        holding_remove(f->pid, t, false);
        mem_free(f);
        f = next;
    }
}

bool table_delete(struct table *t)
{
    bool was;

    pthread_mutex_lock(&tables_lock);
    was = atomic_exchange(&t->deleted, true);
    if (!was) {
        if (atomic_load(&t->named))
            name_drop(atomic_load(&t->name));
        if (t->persist != NULL)
            persist_deleted(t);
        if (t->prev != NULL)
            t->prev->next = t->next;
        else
            tables = t->next;
        if (t->next != NULL)
            t->next->prev = t->prev;
        tables_count--;
    }
    pthread_mutex_unlock(&tables_lock);
    if (was)
        return false;
    holding_remove(atomic_load(&t->owner), t, true);
    fixes_drop(t);
    spin_lock(&t->meta);
    if (t->heir_data != NULL)
        row_free(TAKE(t->heir_data));
    t->heir = ATOM_none;
    spin_unlock(&t->meta);
    /* whoever waits for a lock finds the mark when it gets it, and does nothing */
    if (t->type == TABLE_ORDERED_SET) {
        spin_lock(&t->ordered.guard.lock);
        if (table_size(t) >= BURY_ROWS)
            table_empty_locked(t);
        ordered_fini(&t->ordered);
        t->ordered.root = t->ordered.first = t->ordered.last = NULL;
        spin_unlock(&t->ordered.guard.lock);
    } else {
        spin_lock(&t->set.growing);     /* for ever: nothing grows any more */
        set_lock_all(&t->set);
        atomic_store(&t->set.fixed, 0);
        if (table_size(t) >= BURY_ROWS)
            table_empty_locked(t);
        set_fini(&t->set);
        set_unlock_all(&t->set);
    }
    if (t->persist != NULL)
        persist_drop(t);
    blob_unref(t->id);
    return true;
}

size_t table_count(void)
{
    return tables_count;
}

void table_visit(void (*visit)(void *arg, struct table *t), void *arg)
{
    pthread_mutex_lock(&tables_lock);
    for (struct table *t = tables; t != NULL; t = t->next)
        visit(arg, t);
    pthread_mutex_unlock(&tables_lock);
}

term table_all(struct heap *h)
{
    term list = TERM_NIL;

    pthread_mutex_lock(&tables_lock);
    for (struct table *t = tables; t != NULL; t = t->next) {
        atomic_store(&t->is_lent, true);    /* to its owner, if another deletes it now */
        list = heap_cons(h, atomic_load(&t->named) ? atomic_load(&t->name) : table_id(t, h), list);
    }
    pthread_mutex_unlock(&tables_lock);
    return list;
}

/* --- the rows of large tables ------------------------------------------------------------------
 * Freeing takes as long as filling did. Whoever deletes such a table goes on in slices, and may do
 * so for another; what nobody buries any more stays until the next one comes.
 */
struct grave {
    struct grave *next;
    bool is_ordered;
    uint64_t at;            /* sets: the next bucket */
    struct set set;
    struct ordered ordered;
};

static pthread_mutex_t graves_lock = PTHREAD_MUTEX_INITIALIZER;
static struct grave *graves;            /* [lk graves] */
static _Atomic size_t graves_count;

static void grave_add(struct grave *g)
{
    pthread_mutex_lock(&graves_lock);
    g->next = graves;
    graves = g;
    graves_count++;
    pthread_mutex_unlock(&graves_lock);
}

static struct grave *grave_take(void)
{
    struct grave *g;

    pthread_mutex_lock(&graves_lock);
    g = graves;
    if (g != NULL) {
        graves = g->next;
        graves_count--;
    }
    pthread_mutex_unlock(&graves_lock);
    return g;
}

bool table_bury(void)
{
    struct grave *g = atomic_load(&graves_count) == 0 ? NULL : grave_take();

    if (g == NULL)
        return false;
    if (g->is_ordered ? ordered_bury(&g->ordered, BURY_ROWS / NODE_KEYS)
                      : set_bury(&g->set, &g->at, BURY_ROWS)) {
        grave_add(g);
        return true;
    }
    if (g->is_ordered)
        ordered_fini(&g->ordered);
    else
        set_fini(&g->set);
    mem_free(g);
    return atomic_load(&graves_count) > 0;
}

void table_empty_locked(struct table *t)
{
    struct grave *g;

    if (table_size(t) < BURY_ROWS) {
        if (t->type == TABLE_ORDERED_SET)
            ordered_clear(&t->ordered);
        else
            set_clear(&t->set);
        return;
    }
    g = MEM_NEW(struct grave);
    g->is_ordered = t->type == TABLE_ORDERED_SET;
    if (g->is_ordered)
        ordered_move(&t->ordered, &g->ordered);
    else
        set_move(&t->set, &g->set);
    grave_add(g);
}

/* --- heirs and fixing ------------------------------------------------------------------------- */

void table_set_heir(struct table *t, term heir, term data)
{
    spin_lock(&t->meta);
    if (!atomic_load(&t->deleted))
        heir_put(t, heir, data);
    spin_unlock(&t->meta);
}

term table_heir(struct table *t, struct heap *h, term *ret_data)
{
    term heir;

    spin_lock(&t->meta);
    heir = t->heir;
    *ret_data = t->heir_data == NULL ? TERM_NIL
                                     : heap_copy(h, tuple_elem(row_object(t->heir_data), 0));
    spin_unlock(&t->meta);
    return heir;
}

int table_fix(struct table *t, term pid)
{
    struct table_fix *f;
    bool is_new;

    spin_lock(&t->meta);
    for (f = t->fixes; f != NULL && f->pid != pid; f = f->next) {
    }
    is_new = f == NULL;
    if (is_new) {
        if (t->fixes == NULL) {
            t->fixed_mono_ns = clock_monotonic_ns();
            t->fixed_system_ns = clock_system_ns();
        }
        f = MEM_NEW(struct table_fix);
        *f = (struct table_fix){ t->fixes, pid, 0 };
        t->fixes = f;
        if (t->type != TABLE_ORDERED_SET)
            atomic_fetch_add(&t->set.fixed, 1);
    }
    f->count++;
    spin_unlock(&t->meta);
    if (is_new)
        holding_add(pid, t, false);
    return 0;
}

static bool fix_drop(struct table *t, term pid, bool all)
{
    struct table_fix *f, *prev = NULL;
    bool found, gone = false, free_now = false;

    spin_lock(&t->meta);
    for (f = t->fixes; f != NULL && f->pid != pid; prev = f, f = f->next) {
    }
    found = f != NULL;
    if (found && (--f->count == 0 || all)) {
        if (prev != NULL)
            prev->next = f->next;
        else
            t->fixes = f->next;
        gone = true;
        if (t->type != TABLE_ORDERED_SET)
            free_now = atomic_fetch_sub(&t->set.fixed, 1) == 1;
    }
    spin_unlock(&t->meta);
    if (gone) {
        holding_remove(pid, t, false);
        mem_free(f);
    }
    if (free_now && !atomic_load(&t->deleted)) {
        set_sweep(&t->set);
        set_grow(&t->set);
        set_shrink(&t->set);
    }
    return found;
}

bool table_unfix(struct table *t, term pid)
{
    return fix_drop(t, pid, false);
}

void table_unfix_all(term pid)
{
    struct table *t;

    while ((t = holding_find(pid, false)) != NULL)
        fix_drop(t, pid, true);
}

bool table_is_fixed(struct table *t)
{
    return t->fixes != NULL;
}
