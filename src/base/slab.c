/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slab.c - size classes, one set of slabs for each thread
 *
 * Classes: steps of 16 bytes to 256, then four to each doubling up to 32 KiB. A slab is an aligned
 * range of 64 KiB to 1 MiB with objects of one class, owned by one thread; its header is found
 * from an object's address, because the size tells the class and the class the alignment.
 *
 *   own free      the object goes on its slab's free list; a full slab becomes available again
 *   foreign free  the object goes on the owner's one remote list, which the owner empties when it
 *                 runs out of objects
 *   thread exit   the owner record, with its slabs, waits for the next thread that needs one
 *
 *   SL1  A slab on a class's list has a free object, and is not the class's current slab.
 *   SL2  Only the owning thread touches a slab's header, but for owner and cls, which are constant
 *        while any object of the slab is out.
 */
#include "base/slab.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/slab_priv.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

static _Atomic uint64_t middle_bytes;   /* [any] blocks between slabs and mappings, large ones too */

/* Larger than any class: malloc or a mapping. Relaxed: a statistic. */
static void *outside_alloc(size_t bytes)
{
    atomic_fetch_add_explicit(&middle_bytes, bytes, memory_order_relaxed);
    return bytes < LARGE_BYTES_MIN ? mem_alloc(bytes) : large_alloc(bytes);
}

static void outside_free(void *p, size_t bytes)
{
    atomic_fetch_sub_explicit(&middle_bytes, bytes, memory_order_relaxed);
    if (bytes < LARGE_BYTES_MIN)
        mem_free(p);
    else
        large_free(p, bytes);
}

#ifdef PLAIN_MALLOC

/* Sanitizer builds: one malloc each, with the size in front so that a wrong one is found. */
#define FRONT_BYTES 16

void *slab_alloc(size_t bytes)
{
    size_t *p;

    if (bytes > SLAB_SIZE_MAX)
        return outside_alloc(bytes);
    p = mem_alloc(bytes + FRONT_BYTES);
    *p = bytes;
    return (char *)p + FRONT_BYTES;
}

void slab_free(void *p, size_t bytes)
{
    size_t *front;

    if (p == NULL)
        return;
    if (bytes > SLAB_SIZE_MAX) {
        outside_free(p, bytes);
        return;
    }
    front = (size_t *)((char *)p - FRONT_BYTES);
    ASSERT(*front == bytes);
    mem_free(front);
}

void slab_drain(void)
{
}

void slab_trim(void)
{
    large_trim();
}

uint64_t slab_bytes_in_use(void)
{
    return atomic_load_explicit(&middle_bytes, memory_order_relaxed);
}

#else

/* --- size classes ------------------------------------------------------------------------- */

#define CLASS_COUNT   44
#define SLAB_HEADER   64
#define EMPTY_MAX     2         /* empty slabs a class keeps */
#define POOL_WARM_MAX 64        /* slabs of each size whose pages the pool keeps */

enum { SIZE_SMALL, SIZE_MIDDLE, SIZE_BIG, SIZE_COUNT };     /* of slabs */

static const size_t slab_bytes[SIZE_COUNT] = {
    (size_t)64 << 10, (size_t)256 << 10, (size_t)1 << 20
};

ALWAYS_INLINE unsigned class_of(size_t bytes)
{
    size_t b = bytes - 1;
    unsigned e;

    if (bytes <= 256)
        return bytes == 0 ? 0 : (unsigned)(b >> 4);
    e = 63 - (unsigned)__builtin_clzll(b);
    return 16 + (e - 8) * 4 + (unsigned)(b >> (e - 2) & 3);
}

ALWAYS_INLINE size_t class_bytes(unsigned cls)
{
    if (cls < 16)
        return ((size_t)cls + 1) << 4;
    return (size_t)((cls & 3) + 5) << ((cls - 16) / 4 + 6);
}

/* At least 32 objects a slab. */
ALWAYS_INLINE unsigned slab_size_of(unsigned cls)
{
    return cls < 28 ? SIZE_SMALL : cls < 36 ? SIZE_MIDDLE : SIZE_BIG;
}

struct object { struct object *next; uint64_t cls; };

struct slab {
    struct owner *owner;        /* [set] see SL2 */
    struct slab *next, *prev;   /* [own] the class's list, or the pool's */
    struct object *free;        /* [own] */
    uint32_t fresh, end;        /* [own] offsets of objects never handed out */
    uint32_t live;              /* [own] objects handed out */
    uint16_t cls;               /* [set] */
    bool listed;                /* [own] on the class's list */
};

_Static_assert(sizeof(struct slab) <= SLAB_HEADER, "objects start behind the header");

struct class_slabs {
    struct slab *current;       /* [own] where objects come from; may be full */
    struct slab *list;          /* [own] others with room */
    uint32_t empty;             /* [own] slabs without live objects, the current one not counted */
};

struct owner {
    struct class_slabs cls[CLASS_COUNT];    /* [own] */
    _Atomic uint64_t bytes;     /* [any] read; written by the owner only */
    struct owner *next;         /* [set] all owners ever */
    struct owner *next_idle;    /* [lk pool] */
    _Atomic(struct object *) remote __attribute__((aligned(CACHE_LINE)));  /* [any] */
};

static _Thread_local struct owner *self;

/* --- the pool: slabs without owner, owners without thread ---------------------------------- */

static struct {
    pthread_mutex_t lock;
    struct slab *warm[SIZE_COUNT];  /* [lk lock] */
    struct slab *cold[SIZE_COUNT];  /* [lk lock] pages given back, but for the header's */
    uint32_t nwarm[SIZE_COUNT];     /* [lk lock] */
    char *chunk[SIZE_COUNT];        /* [lk lock] address space not yet cut into slabs */
    size_t chunk_left[SIZE_COUNT];  /* [lk lock] */
    struct owner *idle;             /* [lk lock] */
    _Atomic(struct owner *) owners; /* [any] newest first */
} pool = { .lock = PTHREAD_MUTEX_INITIALIZER };

static pthread_key_t exit_key;
static pthread_once_t exit_once = PTHREAD_ONCE_INIT;

static void owner_leave(void *arg)
{
    struct owner *o = arg;

    self = NULL;
    pthread_mutex_lock(&pool.lock);
    o->next_idle = pool.idle;
    pool.idle = o;
    pthread_mutex_unlock(&pool.lock);
}

static void make_exit_key(void)
{
    int rc = pthread_key_create(&exit_key, owner_leave);

    ASSERT(rc == 0);
}

static NOINLINE struct owner *owner_enter(void)
{
    struct owner *o;

    pthread_once(&exit_once, make_exit_key);
    pthread_mutex_lock(&pool.lock);
    o = pool.idle;
    if (o != NULL) {
        pool.idle = o->next_idle;
    } else {
        o = map_aligned((sizeof *o + 4095) & ~(size_t)4095, 4096);
        /* release: pairs with the acquire in slab_bytes_in_use. */
        o->next = atomic_load_explicit(&pool.owners, memory_order_relaxed);
        atomic_store_explicit(&pool.owners, o, memory_order_release);
    }
    pthread_mutex_unlock(&pool.lock);
    pthread_setspecific(exit_key, o);
    self = o;
    return o;
}

static struct slab *pool_take(unsigned size)
{
    struct slab *s;

    pthread_mutex_lock(&pool.lock);
    if (pool.warm[size] != NULL) {
        s = pool.warm[size];
        pool.warm[size] = s->next;
        pool.nwarm[size]--;
    } else if (pool.cold[size] != NULL) {
        s = pool.cold[size];
        pool.cold[size] = s->next;
    } else {
        if (pool.chunk_left[size] == 0) {
            pool.chunk_left[size] = 16 * slab_bytes[size];
            pool.chunk[size] = map_aligned(pool.chunk_left[size], slab_bytes[size]);
        }
        s = (struct slab *)pool.chunk[size];
        pool.chunk[size] += slab_bytes[size];
        pool.chunk_left[size] -= slab_bytes[size];
    }
    pthread_mutex_unlock(&pool.lock);
    return s;
}

static void pool_give(struct slab *s)
{
    unsigned size = slab_size_of(s->cls);
    bool keep;

    pthread_mutex_lock(&pool.lock);
    keep = pool.nwarm[size] < POOL_WARM_MAX;
    if (keep) {
        s->next = pool.warm[size];
        pool.warm[size] = s;
        pool.nwarm[size]++;
    }
    pthread_mutex_unlock(&pool.lock);
    if (keep)
        return;
    madvise((char *)s + 4096, slab_bytes[size] - 4096, MADV_DONTNEED);
    pthread_mutex_lock(&pool.lock);
    s->next = pool.cold[size];
    pool.cold[size] = s;
    pthread_mutex_unlock(&pool.lock);
}

/* --- slabs of one thread ------------------------------------------------------------------ */

static void list_add(struct class_slabs *c, struct slab *s)
{
    s->prev = NULL;
    s->next = c->list;
    if (c->list != NULL)
        c->list->prev = s;
    c->list = s;
    s->listed = true;
}

static void list_remove(struct class_slabs *c, struct slab *s)
{
    if (s->prev != NULL)
        s->prev->next = s->next;
    else
        c->list = s->next;
    if (s->next != NULL)
        s->next->prev = s->prev;
    s->listed = false;
}

static void count_bytes(struct owner *o, uint64_t more)
{
    /* Relaxed, and no read-modify-write: this thread is the only writer. */
    atomic_store_explicit(&o->bytes, atomic_load_explicit(&o->bytes, memory_order_relaxed) + more,
                          memory_order_relaxed);
}

static struct slab *slab_of(void *p, unsigned cls)
{
    return (struct slab *)((uintptr_t)p & ~(uintptr_t)(slab_bytes[slab_size_of(cls)] - 1));
}

static NOINLINE void slab_has_room(struct class_slabs *c, struct slab *s)
{
    if (!s->listed)
        list_add(c, s);
    if (s->live != 0)
        return;
    if (c->empty < EMPTY_MAX) {
        c->empty++;
        return;
    }
    list_remove(c, s);
    pool_give(s);
}

/* An object of a slab of ours comes back. */
ALWAYS_INLINE void free_own(struct owner *o, struct slab *s, unsigned cls, struct object *obj)
{
    struct class_slabs *c = &o->cls[cls];

    obj->next = s->free;
    s->free = obj;
    s->live--;
    count_bytes(o, (uint64_t)0 - class_bytes(cls));
    if (s != c->current && (s->live == 0 || !s->listed))
        slab_has_room(c, s);
}

static bool drain_remote(struct owner *o)
{
    /* acquire: pairs with the release in free_foreign, so that class and link are seen. */
    struct object *obj = atomic_exchange_explicit(&o->remote, NULL, memory_order_acquire), *next;
    bool any = obj != NULL;

    for (; obj != NULL; obj = next) {
        unsigned cls = (unsigned)obj->cls;

        next = obj->next;
        free_own(o, slab_of(obj, cls), cls, obj);
    }
    return any;
}

static void free_foreign(struct owner *o, unsigned cls, struct object *obj)
{
    obj->cls = cls;
    obj->next = atomic_load_explicit(&o->remote, memory_order_relaxed);
    /* release: pairs with the acquire in drain_remote. */
    while (!atomic_compare_exchange_weak_explicit(&o->remote, &obj->next, obj,
                                                  memory_order_release, memory_order_relaxed))
        continue;
}

static struct slab *slab_make(struct owner *o, unsigned cls)
{
    unsigned size = slab_size_of(cls);
    struct slab *s = pool_take(size);
    size_t bytes = class_bytes(cls);

    *s = (struct slab){ .owner = o, .cls = (uint16_t)cls, .fresh = SLAB_HEADER };
    s->end = (uint32_t)(SLAB_HEADER + (slab_bytes[size] - SLAB_HEADER) / bytes * bytes);
    return s;
}

static bool slab_is_full(const struct slab *s)
{
    return s->free == NULL && s->fresh == s->end;
}

/* The current slab of the class is full, or there is none: make one with room current. */
static NOINLINE struct slab *next_slab(struct owner *o, unsigned cls)
{
    struct class_slabs *c = &o->cls[cls];
    struct slab *s = c->current;

    if (drain_remote(o) && s != NULL && !slab_is_full(s))
        return s;
    s = c->list;
    if (s != NULL) {
        list_remove(c, s);
        if (s->live == 0)
            c->empty--;
    } else {
        s = slab_make(o, cls);
    }
    c->current = s;     /* the former one is full: it comes back to the list with its next free */
    return s;
}

void *slab_alloc(size_t bytes)
{
    struct owner *o = self;
    unsigned cls;
    struct slab *s;
    struct object *obj;

    if (UNLIKELY(bytes > SLAB_SIZE_MAX))
        return outside_alloc(bytes);
    if (UNLIKELY(o == NULL))
        o = owner_enter();
    cls = class_of(bytes);
    s = o->cls[cls].current;
    if (UNLIKELY(s == NULL || slab_is_full(s)))
        s = next_slab(o, cls);
    obj = s->free;
    if (obj != NULL) {
        s->free = obj->next;
    } else {
        obj = (struct object *)((char *)s + s->fresh);
        s->fresh += (uint32_t)class_bytes(cls);
    }
    s->live++;
    count_bytes(o, class_bytes(cls));
    return obj;
}

void slab_free(void *p, size_t bytes)
{
    struct owner *o = self;
    unsigned cls;
    struct slab *s;

    if (p == NULL)
        return;
    if (UNLIKELY(bytes > SLAB_SIZE_MAX)) {
        outside_free(p, bytes);
        return;
    }
    cls = class_of(bytes);
    s = slab_of(p, cls);
    ASSERT(s->cls == cls);
    if (LIKELY(s->owner == o))
        free_own(o, s, cls, p);
    else
        free_foreign(s->owner, cls, p);
}

void slab_drain(void)
{
    /* Relaxed: what is missed now is seen next time. */
    if (self != NULL && atomic_load_explicit(&self->remote, memory_order_relaxed) != NULL)
        drain_remote(self);
}

void slab_trim(void)
{
    large_trim();
}

uint64_t slab_bytes_in_use(void)
{
    uint64_t sum = atomic_load_explicit(&middle_bytes, memory_order_relaxed);
    struct owner *o = atomic_load_explicit(&pool.owners, memory_order_acquire);

    for (; o != NULL; o = o->next)
        sum += atomic_load_explicit(&o->bytes, memory_order_relaxed);
    return sum;
}

#endif
