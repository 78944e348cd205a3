/* SPDX-License-Identifier: Apache-2.0 */
/*
 * code.c - exports, fun entries, modules and their versions, the code path
 *
 * Lookups of exports and fun entries take no lock (base/chains.h). The module table and the list of images change only while the world is stopped, which
 * one thread at a time can do; a scheduler inside a process therefore sees either all of a commit
 * or nothing of it.
 */
#include "vm/code_priv.h"

#include "base/alloc.h"
#include "base/chains.h"
#include "base/epoch.h"
#include "base/errors.h"
#include "term/atom.h"
#include "vm/bif.h"
#include "vm/engine_priv.h"
#include "vm/literals.h"
#include "vm/process_priv.h"
#include "vm/sched.h"

#include <pthread.h>
#include <stdlib.h>

#define MODULE_BUCKETS (1u << 12)

static struct chains exports, fun_entries;

void code_init(void)
{
    chains_init(&exports, 1u << 12);
    chains_init(&fun_entries, 1u << 9);
}

/* --- exports ---------------------------------------------------------------------------------- */

struct export_node {
    struct chain_link link;
    struct export export;
};

struct mfa { term module, function; uint32_t arity; };

static uint32_t mfa_hash(term m, term f, uint32_t a)
{
    uint64_t h = (m >> 6) * 0x9E3779B97F4A7C15u ^ (f >> 6) * 0xC2B2AE3D27D4EB4Fu ^ a * 0x165667B1u;

    return (uint32_t)(h >> 32 ^ h);
}

static bool is_mfa(const struct chain_link *l, const void *key)
{
    const struct export *e = &CONTAINER_OF(l, const struct export_node, link)->export;
    const struct mfa *k = key;

    return e->module == k->module && e->function == k->function && e->arity == k->arity;
}

static struct export *export_found(struct chain_link *l)
{
    return l == NULL ? NULL : &CONTAINER_OF(l, struct export_node, link)->export;
}

struct export *export_find(term module, term function, uint32_t arity)
{
    struct mfa key = { module, function, arity };

    return export_found(chains_find(&exports, mfa_hash(module, function, arity), is_mfa, &key));
}

struct export *export_get(term module, term function, uint32_t arity)
{
    struct mfa key = { module, function, arity };
    uint32_t hash = mfa_hash(module, function, arity);
    struct export *e = export_found(chains_find(&exports, hash, is_mfa, &key));
    struct export_node *n;

    if (e != NULL)
        return e;
    pthread_mutex_lock(&exports.lock);
    e = export_found(chains_find_locked(&exports, hash, is_mfa, &key));
    if (e == NULL) {
        n = MEM_NEW(struct export_node);
        e = &n->export;
        e->module = module;
        e->function = function;
        e->arity = arity;
        e->fun[0] = header_make(HK_EXPORT_FUN, 1);
        e->fun[1] = (term)(uintptr_t)e;
        atomic_init(&e->reserved[0], engine_stub_undefined());
        atomic_init(&e->code, (const void *)&e->reserved[0]);
        n->link.hash = hash;
        chains_add_locked(&exports, &n->link);
    }
    pthread_mutex_unlock(&exports.lock);
    return e;
}

bool export_is_defined(const struct export *e)
{
    return atomic_load(&e->code) != (const void *)&e->reserved[0] ||
           atomic_load(&e->reserved[0]) != engine_stub_undefined();
}

/* --- fun entries ------------------------------------------------------------------------------ */

struct fun_node {
    struct chain_link link;
    struct fun_entry entry;
};

struct fun_key { term module; uint32_t index; const uint8_t *md5; uint32_t arity, num_free; };

static uint32_t fun_hash(const struct fun_key *k)
{
    return mfa_hash(k->module, k->md5[0] | k->md5[1] << 8, k->index);
}

static bool is_fun_key(const struct chain_link *l, const void *key)
{
    const struct fun_entry *e = &CONTAINER_OF(l, const struct fun_node, link)->entry;
    const struct fun_key *k = key;

    return e->module == k->module && e->index == k->index && e->arity == k->arity &&
           e->num_free == k->num_free && memcmp(e->md5, k->md5, 16) == 0;
}

static struct fun_entry *fun_found(struct chain_link *l)
{
    return l == NULL ? NULL : &CONTAINER_OF(l, struct fun_node, link)->entry;
}

struct fun_entry *fun_entry_find(term module, uint32_t index, const uint8_t md5[16], uint32_t arity,
                                 uint32_t num_free)
{
    struct fun_key key = { module, index, md5, arity, num_free };

    return fun_found(chains_find(&fun_entries, fun_hash(&key), is_fun_key, &key));
}

struct fun_entry *fun_entry_get(term module, uint32_t index, const uint8_t md5[16],
                                uint32_t old_uniq, uint32_t arity, uint32_t num_free)
{
    struct fun_key key = { module, index, md5, arity, num_free };
    uint32_t hash = fun_hash(&key);
    struct fun_entry *e = fun_found(chains_find(&fun_entries, hash, is_fun_key, &key));
    struct fun_node *n;

    if (e != NULL)
        return e;
    pthread_mutex_lock(&fun_entries.lock);
    e = fun_found(chains_find_locked(&fun_entries, hash, is_fun_key, &key));
    if (e == NULL) {
        n = MEM_NEW(struct fun_node);
        e = &n->entry;
        e->module = e->parent_mfa_module = module;
        e->index = index;
        e->old_uniq = old_uniq;
        memcpy(e->md5, md5, 16);
        e->arity = (uint8_t)arity;
        e->num_free = num_free;
        e->function = ATOM_EMPTY;
        n->link.hash = hash;
        chains_add_locked(&fun_entries, &n->link);
    }
    pthread_mutex_unlock(&fun_entries.lock);
    return e;
}

/* --- modules and images ----------------------------------------------------------------------- */

static struct module *_Atomic module_table[MODULE_BUCKETS];

/* Images by address, for program counters: replaced as a whole; readers keep what they loaded, so
 * old arrays are kept for ever (they are few and small). */
struct image_list { size_t n; struct image *image[]; };
static struct image_list *_Atomic images;
static _Atomic uint64_t images_version;

struct module *code_module(term name)
{
    struct module *m = atomic_load_explicit(&module_table[atom_index(name) % MODULE_BUCKETS],
                                            memory_order_acquire);

    while (m != NULL && m->name != name)
        m = m->next;
    return m;
}

static struct module *module_get(term name)
{
    struct module *_Atomic *bucket = &module_table[atom_index(name) % MODULE_BUCKETS];
    struct module *m = code_module(name);

    if (m != NULL)
        return m;
    m = MEM_NEW(struct module);
    m->name = name;
    m->next = atomic_load(bucket);
    atomic_store_explicit(bucket, m, memory_order_release);
    return m;
}

void code_each(void (*f)(struct module *m, void *arg), void *arg)
{
    for (size_t i = 0; i < MODULE_BUCKETS; i++)
        for (struct module *m = atomic_load(&module_table[i]); m != NULL; m = m->next)
            if (m->current != NULL || m->old != NULL)
                f(m, arg);
}

static int image_cmp(const void *a, const void *b)
{
    const struct image *x = *(struct image *const *)a, *y = *(struct image *const *)b;

    return x->code < y->code ? -1 : x->code > y->code;
}

/* Publish the list with `add` more images and without `drop`. */
static void images_change(struct image **add, size_t n_add, struct image *drop)
{
    struct image_list *old = atomic_load(&images), *new;
    size_t n = 0, n_old = old == NULL ? 0 : old->n;

    new = mem_alloc(sizeof *new + (n_old + n_add) * sizeof new->image[0]);
    for (size_t i = 0; i < n_old; i++)
        if (old->image[i] != drop)
            new->image[n++] = old->image[i];
    for (size_t i = 0; i < n_add; i++)
        new->image[n++] = add[i];
    new->n = n;
    qsort(new->image, n, sizeof new->image[0], image_cmp);
    atomic_store_explicit(&images, new, memory_order_release);
    /* release: pairs with the acquire in code_place_at; who sees the version sees the list. */
    atomic_fetch_add_explicit(&images_version, 1, memory_order_release);
    if (old != NULL)
        epoch_retire(old, mem_free);
}

static const struct image *image_at(const void *pc)
{
    const struct image_list *l = atomic_load_explicit(&images, memory_order_acquire);
    const char *at = pc;
    size_t lo = 0, n = l == NULL ? 0 : l->n;

    if (n == 0)
        return NULL;
    while (n > 1) {
        size_t half = n / 2;

        if ((const char *)l->image[lo + half]->code <= at)
            lo += half;
        n -= half;
    }
    if (at < (const char *)l->image[lo]->code ||
        at >= (const char *)l->image[lo]->code + l->image[lo]->code_bytes)
        return NULL;
    return l->image[lo];
}

static const struct code_range *image_range(const struct image *im, const void *pc)
{
    static const struct code_range none = { 0, -1, 0 };
    uint32_t off = (uint32_t)((const char *)pc - (const char *)im->code);
    size_t lo = 0, n = im->n_ranges;

    if (n == 0 || im->ranges[0].off > off)
        return &none;
    while (n > 1) {
        size_t half = n / 2;

        if (im->ranges[lo + half].off <= off)
            lo += half;
        n -= half;
    }
    return &im->ranges[lo];
}

const struct code_function *image_function(const struct image *im, const void *pc)
{
    uint32_t off = (uint32_t)((const char *)pc - (const char *)im->code);
    size_t lo = 0, n = im->n_functions;

    if (n == 0 || im->functions[0].off > off)
        return NULL;
    while (n > 1) {
        size_t half = n / 2;

        if (im->functions[lo + half].off <= off)
            lo += half;
        n -= half;
    }
    return &im->functions[lo];
}

/* Exceptions meet the same few return addresses again and again. Direct mapped; rows are good for
 * the version of the list of images that they were found in. */
#define PLACES 64
static _Thread_local struct {
    uint64_t version;
    struct code_place rows[PLACES];
} places;

const struct code_place *code_place_at(const void *pc)
{
    static const struct code_place nowhere;
    uint64_t version = atomic_load_explicit(&images_version, memory_order_acquire);
    struct code_place *row = &places.rows[((uintptr_t)pc >> 3 ^ (uintptr_t)pc >> 11) % PLACES];
    const struct image *im;

    if (UNLIKELY(places.version != version)) {
        memset(places.rows, 0, sizeof places.rows);
        places.version = version;
    }
    if (LIKELY(row->pc == pc && row->image != NULL))
        return row;
    im = image_at(pc);
    if (im == NULL)
        return &nowhere;
    *row = (struct code_place){ pc, im, image_range(im, pc), image_function(im, pc) };
    return row;
}

void image_free(struct image *im)
{
    if (im == NULL)
        return;
    mem_free(im->code);
    mem_free(im->ranges);
    mem_free(im->functions);
    mem_free(im->exports);
    mem_free(im->funs);
    mem_free(im->fun_entries);
    mem_free(im->lines);
    mem_free(im->files);
    mem_free(im->strings);
    if (im->literals.start != NULL)
        literal_area_free(&im->literals);
    mem_free(im);
}

void prepared_free(struct prepared *pr)
{
    if (pr == NULL)
        return;
    image_free(pr->image);
    mem_free(pr);
}

term prepared_module(const struct prepared *pr)
{
    return pr->image->module;
}

bool prepared_has_on_load(const struct prepared *pr)
{
    return pr->image->has_on_load;
}

/* --- switching -------------------------------------------------------------------------------- */

static void export_set_undefined(struct export *e)
{
    const struct bif *b = atomic_load(&e->bif);

    atomic_store(&e->loaded, NULL);
    if (b != NULL && b->fn != NULL && b->kind != BIF_FALLBACK)
        return;
    atomic_store(&e->reserved[0], engine_stub_undefined());
    atomic_store(&e->code, (const void *)&e->reserved[0]);
}

static void image_activate(struct image *im)
{
    for (size_t i = 0; i < im->n_exports; i++) {
        struct export *e = im->exports[i].export;
        const struct bif *b = atomic_load(&e->bif);
        void *entry = (char *)im->code + im->exports[i].entry;

        if (im->loading && i < im->n_listed)
            continue;           /* on_load's own name comes last, and is not listed */

        atomic_store(&e->loaded, entry);
        if (b == NULL || b->fn == NULL || b->kind == BIF_FALLBACK)
            atomic_store(&e->code, (const void *)entry);
    }
    for (size_t i = 0; i < im->n_funs; i++)
        atomic_store(&im->funs[i]->code, (const void *)((char *)im->code + im->fun_entries[i]));
}

static void image_deactivate(struct image *im)
{
    for (size_t i = 0; i < im->n_exports; i++)
        if (atomic_load(&im->exports[i].export->loaded) == (char *)im->code + im->exports[i].entry)
            export_set_undefined(im->exports[i].export);
}

int code_commit(struct prepared **pr, size_t n, term *ret_module)
{
    struct image **add = mem_array(n + 1, sizeof *add);
    int rc = 0;

    for (size_t i = 0; i < n; i++)
        add[i] = pr[i]->image;
    world_stop();
    for (size_t i = 0; i < n && rc == 0; i++) {
        struct module *m = code_module(add[i]->module);

        if (m != NULL && m->old != NULL) {
            rc = -ERR_BUSY;
            *ret_module = m->name;
        }
    }
    if (rc == 0) {
        for (size_t i = 0; i < n; i++) {
            struct module *m = module_get(add[i]->module);

            if (m->current != NULL)
                image_deactivate(m->current);
            m->old = m->current;
            m->current = add[i];
            add[i]->loading = add[i]->has_on_load;
            image_activate(add[i]);
        }
        images_change(add, n, NULL);
    }
    world_resume();
    for (size_t i = 0; i < n && rc == 0; i++)
        mem_free(pr[i]);
    mem_free(add);
    return rc;
}

/* --- on_load ---------------------------------------------------------------------------------- */

void code_on_load_started(term module, term pid)
{
    struct module *m = code_module(module);
    struct image *im = m == NULL ? NULL : m->current;

    if (im != NULL && im->loading)
        im->on_load_pid = pid;
}

static void image_retired(void *ptr);

/* The current version of m has failed to load: nobody but its on_load process was ever in it. */
static void drop_current(struct module *m)
{
    struct image *im = m->current;
    struct literal_area literals = im->literals;

    image_deactivate(im);
    for (size_t i = 0; i < im->n_funs; i++)
        if (atomic_load(&im->funs[i]->code) == (const void *)((char *)im->code + im->fun_entries[i]))
            atomic_store(&im->funs[i]->code, NULL);
    m->current = m->old;
    m->old = NULL;
    if (m->current != NULL)
        image_activate(m->current);
    im->literals.start = NULL;
    images_change(NULL, 0, im);
    epoch_retire(im, image_retired);
    literals_retire(literals);
}

void code_on_load_done(term module, bool ok)
{
    struct module *m;

    world_stop();
    epoch_enter();
    m = code_module(module);
    if (m != NULL && m->current != NULL && m->current->loading) {
        m->current->loading = false;
        m->on_load_failed = !ok;
        if (ok)
            image_activate(m->current);
        else
            drop_current(m);
    }
    epoch_leave();
    world_resume();
}

bool code_on_load_failed(term module)
{
    struct module *m = code_module(module);

    return m != NULL && m->on_load_failed;
}

bool code_is_loading(const struct process *p, term module)
{
    struct module *m = code_module(module);
    struct image *im = m == NULL ? NULL : m->current;
    term pid;

    if (im == NULL || !im->loading)
        return false;
    pid = im->on_load_pid;
    if (p != NULL && pid == p->pid)
        return false;
    if (pid == 0 || process_lookup(pid) != NULL)
        return true;
    code_on_load_done(module, false);
    return false;
}

bool code_is_loaded(term module)
{
    struct module *m = code_module(module);

    return m != NULL && m->current != NULL;
}

bool code_has_old(term module)
{
    struct module *m = code_module(module);

    return m != NULL && m->old != NULL;
}

int code_delete(term module)
{
    struct module *m;
    int rc = 0;

    world_stop();
    m = code_module(module);
    if (m == NULL || m->current == NULL) {
        rc = -ERR_NOT_FOUND;
    } else if (m->old != NULL) {
        rc = -ERR_BUSY;
    } else {
        image_deactivate(m->current);
        m->old = m->current;
        m->current = NULL;
    }
    world_resume();
    return rc;
}

/* --- purging ---------------------------------------------------------------------------------- */

bool code_process_uses_old(const struct process *p, term module)
{
    struct module *m = code_module(module);
    const struct image *im = m == NULL ? NULL : m->old;

    return im != NULL &&
           engine_stack_uses_code(p, im->code, (const char *)im->code + im->code_bytes);
}

static void image_retired(void *ptr)
{
    image_free(ptr);
}

int code_purge_start(struct process *p, term module, bool kill)
{
    size_t killed;

    return code_purge(p, module, kill, &killed);
}

/* Processes that use the old code of module; kill: they are told to die, but for p. World stopped. */
static size_t old_users(struct process *p, term module, bool kill)
{
    struct process *other;
    uint32_t at = 0;
    size_t users = 0;

    epoch_enter();
    while ((other = process_table_next(&at)) != NULL) {
        if (atomic_load(&other->state) == PROC_EXITING || !code_process_uses_old(other, module))
            continue;
        users++;
        if (kill && other != p)
            signal_post(other, SIG_EXIT, p != NULL ? p->pid : other->pid, ATOM_kill, TERM_NIL);
    }
    epoch_leave();
    return users;
}

bool code_old_in_use(term module)
{
    bool in_use;

    if (!code_has_old(module))
        return false;
    world_stop();
    in_use = old_users(NULL, module, false) > 0;
    world_resume();
    return in_use;
}

int code_purge(struct process *p, term module, bool kill, size_t *ret_killed)
{
    struct module *m;
    struct image *im;
    struct literal_area literals = { 0 };
    size_t users;
    int rc = 0;

    *ret_killed = 0;
    if (!code_has_old(module))
        return -ERR_NOT_FOUND;
    world_stop();
    m = code_module(module);
    im = m == NULL ? NULL : m->old;
    if (im == NULL) {
        world_resume();
        return -ERR_NOT_FOUND;
    }
    users = old_users(p, module, kill);
    if (users > 0 && !kill) {
        rc = -ERR_BUSY;
    } else {
        for (size_t i = 0; i < im->n_funs; i++)
            if (atomic_load(&im->funs[i]->code) ==
                (const void *)((char *)im->code + im->fun_entries[i]))
                atomic_store(&im->funs[i]->code, NULL);
        m->old = NULL;
        /* Processes that were told to die still stand in the code, so it is kept then. Literals
         * go when nobody refers to them any more: terms made of them may be anywhere. */
        literals = im->literals;
        im->literals.start = NULL;
        if (users == 0) {
            images_change(NULL, 0, im);
            epoch_retire(im, image_retired);
        }
    }
    world_resume();
    epoch_enter();
    literals_retire(literals);
    epoch_leave();
    *ret_killed = kill ? users : 0;
    return rc;
}

/* --- what modules say of themselves ----------------------------------------------------------- */

static term name_and_arity(struct heap *h, term name, uint32_t arity, term list)
{
    return heap_cons(h, heap_tuple2(h, name, small_make(arity)), list);
}

term code_module_info(struct heap *h, term module, term item)
{
    struct module *m = code_module(module);
    const struct image *im = m == NULL ? NULL : m->current;
    const char *key = is_atom(item) ? atom_text(item, NULL) : "";
    term list = TERM_NIL;

    if (im == NULL)
        return TERM_NONE;
    if (item == ATOM_module)
        return module;
    if (strcmp(key, "exports") == 0) {
        for (size_t i = im->n_listed; i-- > 0; )
            list = name_and_arity(h, im->exports[i].export->function, im->exports[i].export->arity,
                                  list);
        return list;
    }
    if (strcmp(key, "functions") == 0) {
        for (size_t i = im->n_functions; i-- > 0; )
            list = name_and_arity(h, im->functions[i].name, im->functions[i].arity, list);
        return list;
    }
    if (strcmp(key, "attributes") == 0)
        return im->attributes;
    if (strcmp(key, "compile") == 0)
        return im->compile_info;
    if (strcmp(key, "md5") == 0)
        return heap_binary(h, im->md5, sizeof im->md5);
    if (strcmp(key, "nifs") == 0)
        return TERM_NIL;
    if (strcmp(key, "native") == 0)
        return ATOM_false;
    return TERM_NONE;
}

bool code_on_load_function(term module, term *ret_name)
{
    struct module *m = code_module(module);
    const struct image *im = m == NULL ? NULL : m->current;

    if (im == NULL || !im->has_on_load)
        return false;
    *ret_name = atom_from_cstr(ON_LOAD_EXPORT);
    return true;
}

static void add_loaded(struct module *m, void *arg)
{
    struct { struct heap *h; term list; } *to = arg;

    if (m->current != NULL)
        to->list = heap_cons(to->h, m->name, to->list);
}

term code_loaded_list(struct heap *h)
{
    struct { struct heap *h; term list; } to = { h, TERM_NIL };

    code_each(add_loaded, &to);
    return to.list;
}

void export_use_fallback(struct export *e)
{
    const struct bif *b = atomic_load(&e->bif);

    if (b == NULL || b->fn == NULL || export_is_defined(e))
        return;
    atomic_store(&e->reserved[0], engine_stub_bif());
}

/* --- the code path ---------------------------------------------------------------------------- */

static char **_Atomic path_dirs;
static _Atomic size_t path_n;
static pthread_mutex_t path_lock = PTHREAD_MUTEX_INITIALIZER;

static void path_insert(const char *dir, bool first)
{
    pthread_mutex_lock(&path_lock);
    {
        size_t n = path_n;
        char **dirs = mem_array(n + 1, sizeof *dirs);

        /* Readers may still look at the old array, which is small, so it stays. */
        for (size_t i = 0; i < n; i++)
            dirs[i + first] = path_dirs[i];
        dirs[first ? 0 : n] = mem_strdup(dir);
        path_dirs = dirs;
        path_n = n + 1;
    }
    pthread_mutex_unlock(&path_lock);
}

void code_path_add(const char *dir)
{
    path_insert(dir, false);
}

void code_path_add_first(const char *dir)
{
    path_insert(dir, true);
}

size_t code_path_count(void)
{
    return path_n;
}

const char *code_path_get(size_t i)
{
    return path_dirs[i];
}
