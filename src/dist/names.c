/* SPDX-License-Identifier: Apache-2.0 */
/*
 * names.c - claims, ours and those of other nodes
 *
 *   N1  A name has at most one claim of ours, and at most one of each session.
 *   N2  Peers hear of our claims in the order in which we made them: changes are sent under the
 *       lock, and so is the whole list to a new session.
 *
 * Resolve functions are not called: the rule is the same everywhere, so no process has to decide.
 */
#include "dist/names.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/epoch.h"
#include "base/errors.h"
#include "dist/dist_priv.h"
#include "dist/watch.h"
#include "heap/etf.h"
#include "heap/external.h"
#include "term/atom.h"
#include "term/compare.h"
#include "vm/bif.h"
#include "wire/unpack.h"

#include <string.h>

#define BUCKETS_FIRST   64u
#define NAMES_ORDER     (((uint64_t)1 << 59) + 1)   /* of frames: no process has this number */
#define DELTA_ENTRIES   256

struct claim {
    struct claim *next;             /* in its bucket */
    uint64_t hash;
    term     name;                  /* in frag, or immediate */
    struct frag *frag;
    uint32_t session;               /* 0: ours */
    term     node;                  /* atom */
    uint32_t creation;              /* of that node */
    uint64_t payload;               /* of the pid at its node */
    uint64_t since_us;              /* system clock of the owner's node */
    uint64_t id;                    /* of ours: what the watcher tells */
};

static pthread_rwlock_t names_lock = PTHREAD_RWLOCK_INITIALIZER;
static struct claim **buckets;      /* [lk names_lock] */
static uint32_t buckets_n;          /* [lk names_lock] power of two */
static uint32_t claims_n, ours_n;   /* [lk names_lock] */
static uint32_t last_seq;           /* [lk names_lock] */
static struct session **peers;      /* [lk names_lock] sessions that hear of changes */
static uint32_t peers_n, peers_cap; /* [lk names_lock] */
static uint32_t watcher;            /* [set] */

/* 48 bits, so that the id of a claim of ours can hold it: the watcher's answer finds the bucket. */
#define HASH_BITS 48
#define ID_SEQ_BITS 10

static uint64_t name_hash(term name)
{
    return term_hash(name) >> (64 - HASH_BITS);
}

/* --- the table -------------------------------------------------------------------------------------- */

static struct claim **bucket_of(uint64_t hash)
{
    return &buckets[(hash ^ hash >> 32) & (buckets_n - 1)];
}

static void table_grow_locked(void)
{
    struct claim **old = buckets, *c;
    uint32_t old_n = buckets_n;

    buckets_n = old_n != 0 ? 2 * old_n : BUCKETS_FIRST;
    buckets = MEM_NEW_ARRAY(struct claim *, buckets_n);
    for (uint32_t i = 0; i < old_n; i++) {
        while ((c = old[i]) != NULL) {
            old[i] = c->next;
            c->next = *bucket_of(c->hash);
            *bucket_of(c->hash) = c;
        }
    }
    mem_free(old);
}

/* The claim of a session, or (any) the best one. */
static struct claim *claim_find_locked(term name, uint64_t hash, uint32_t session)
{
    if (buckets_n == 0)
        return NULL;
    for (struct claim *c = *bucket_of(hash); c != NULL; c = c->next) {
        if (c->hash == hash && c->session == session && term_eq(c->name, name))
            return c;
    }
    return NULL;
}

/* Is a the better claim? */
static bool is_older(const struct claim *a, const struct claim *b)
{
    const char *ta, *tb;
    size_t la, lb, n;
    int order;

    if (a->since_us != b->since_us)
        return a->since_us < b->since_us;
    ta = atom_text(a->node, &la);
    tb = atom_text(b->node, &lb);
    n = la < lb ? la : lb;
    order = memcmp(ta, tb, n);
    return order != 0 ? order < 0 : la < lb;
}

static struct claim *claim_best_locked(term name, uint64_t hash)
{
    struct claim *best = NULL;

    if (buckets_n == 0)
        return NULL;
    for (struct claim *c = *bucket_of(hash); c != NULL; c = c->next) {
        if (c->hash == hash && term_eq(c->name, name) && (best == NULL || is_older(c, best)))
            best = c;
    }
    return best;
}

static struct claim *claim_add_locked(term name, uint64_t hash)
{
    struct claim *c = MEM_NEW(struct claim);

    if (claims_n >= buckets_n)
        table_grow_locked();
    c->hash = hash;
    c->frag = frag_copy(name, 0, &c->name);
    c->next = *bucket_of(hash);
    *bucket_of(hash) = c;
    claims_n++;
    return c;
}

static void claim_remove_locked(struct claim *c)
{
    struct claim **at = bucket_of(c->hash);

    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    claims_n--;
    ours_n -= c->session == 0;
    if (c->frag != NULL)
        frag_free(c->frag);
    mem_free(c);
}

static term claim_pid(struct heap *h, const struct claim *c)
{
    if (c->session == 0)
        return imm_make(IMM_PID, c->payload);
    return external_pid(h, c->node, c->creation, (uint32_t)(c->payload & ((1u << PID_SLOT_BITS) - 1)),
                        (uint32_t)(c->payload >> PID_SLOT_BITS));
}

term names_whereis(struct heap *h, term name)
{
    struct claim *c;
    term pid;

    pthread_rwlock_rdlock(&names_lock);
    c = claim_best_locked(name, name_hash(name));
    pid = c != NULL ? claim_pid(h, c) : TERM_NONE;
    pthread_rwlock_unlock(&names_lock);
    return pid;
}

/* --- telling peers ------------------------------------------------------------------------------------ */

struct delta {
    Rn__NameEntry entries[DELTA_ENTRIES], *pointers[DELTA_ENTRIES];
    uint8_t pids[DELTA_ENTRIES][REF_BYTES];
    struct buf names[DELTA_ENTRIES];
    unsigned n;
};

static void delta_add(struct delta *d, const struct claim *c, bool gone)
{
    Rn__NameEntry *e = &d->entries[d->n];
    struct buf *b = &d->names[d->n];

    *b = (struct buf){ 0 };
    (void)!etf_encode(b, c->name, ETF_NO_VERSION, ETF_MINOR_DEFAULT);   /* checked when registered */
    rn__name_entry__init(e);
    put_le32(d->pids[d->n], (uint32_t)c->payload);
    put_le32(d->pids[d->n] + 4, (uint32_t)(c->payload >> 32));
    e->name = BYTES_OF(b->data, b->len);
    e->owner = BYTES_OF(d->pids[d->n], REF_BYTES);
    e->fence = c->since_us;
    e->gone = gone;
    d->pointers[d->n++] = e;
}

static void delta_pack(struct delta *d, struct buf *out)
{
    Rn__NameDelta m = RN__NAME_DELTA__INIT;

    m.n_entries = d->n;
    m.entries = d->pointers;
    wire_pack(&m.base, out);
    for (unsigned i = 0; i < d->n; i++)
        buf_fini(&d->names[i]);
    d->n = 0;
}

static void send_packed(struct session *s, const struct buf *b)
{
    struct peer_frame *f = peer_frame_packed(KIND_name_delta, b->data, b->len);

    if (peer_send(s->id, f, NAMES_ORDER, 0, NULL) == PEER_TOO_LARGE)
        ASSERT(!"a delta of names is larger than a message may be");
}

static void publish_locked(const struct claim *c, bool gone)
{
    struct delta *d;
    struct buf b = { 0 };

    if (peers_n == 0)
        return;
    d = mem_alloc(sizeof *d);
    d->n = 0;
    delta_add(d, c, gone);
    delta_pack(d, &b);
    for (uint32_t i = 0; i < peers_n; i++)
        send_packed(peers[i], &b);
    buf_fini(&b);
    mem_free(d);
}

static void send_ours_locked(struct session *s)
{
    struct delta *d = mem_alloc(sizeof *d);
    struct buf b = { 0 };

    d->n = 0;
    for (uint32_t i = 0; i < buckets_n; i++) {
        for (struct claim *c = buckets[i]; c != NULL; c = c->next) {
            if (c->session == 0)
                delta_add(d, c, false);
            if (d->n == DELTA_ENTRIES) {
                delta_pack(d, &b);
                send_packed(s, &b);
                b.len = 0;
            }
        }
    }
    if (d->n > 0) {
        delta_pack(d, &b);
        send_packed(s, &b);
    }
    buf_fini(&b);
    mem_free(d);
}

void names_up(struct session *s)
{
    pthread_rwlock_wrlock(&names_lock);
    if (peers_n == peers_cap) {
        peers_cap = peers_cap != 0 ? 2 * peers_cap : 8;
        peers = mem_realloc(peers, peers_cap * sizeof *peers);
    }
    peers[peers_n++] = s;
    send_ours_locked(s);
    pthread_rwlock_unlock(&names_lock);
}

void names_down(struct session *s)
{
    pthread_rwlock_wrlock(&names_lock);
    for (uint32_t i = 0; i < peers_n; i++) {
        if (peers[i] == s) {
            peers[i] = peers[--peers_n];
            break;
        }
    }
    for (uint32_t i = 0; i < buckets_n && s->names > 0; i++) {
        for (struct claim *c = buckets[i], *next; c != NULL; c = next) {
            next = c->next;
            if (c->session == s->number)
                claim_remove_locked(c);
        }
    }
    s->names = 0;
    pthread_rwlock_unlock(&names_lock);
}

/* --- hearing from peers --------------------------------------------------------------------------------- */

/* {name_conflict, Name, Winner} to a process here. */
static void tell_conflict(const struct claim *to, const struct claim *winner)
{
    struct heap bag;

    heap_bag_init(&bag);
    process_send(NULL, imm_make(IMM_PID, to->payload),
                 heap_tuple3(&bag, ATOM_name_conflict, heap_copy(&bag, to->name),
                             claim_pid(&bag, winner)));
    heap_fini(&bag);
}

/* Ours meets theirs. Sets *ret_lost to what the watcher has to forget, if ours goes. */
static void settle_locked(struct claim *ours, const struct claim *theirs, struct claim *ret_lost)
{
    bool won = is_older(ours, theirs);

    tell_conflict(ours, won ? ours : theirs);
    if (won)
        return;
    publish_locked(ours, true);
    *ret_lost = *ours;
    claim_remove_locked(ours);
}

static int take_entry(struct session *s, const Rn__NameEntry *e)
{
    struct reader r = reader_make(e->name.data, e->name.len);
    struct claim *c, *ours, lost = { 0 };
    struct heap bag;
    uint64_t hash;
    term name;
    int rc = 0;

    if (e->name.len > NAME_BYTES_MAX || e->owner.len != REF_BYTES)
        return -ERR_PROTOCOL;
    heap_bag_init(&bag);
    name = etf_decode(&bag, &r, ETF_NO_VERSION);
    if (name == TERM_NONE || r.bad) {
        heap_fini(&bag);
        return -ERR_PROTOCOL;
    }
    hash = name_hash(name);
    pthread_rwlock_wrlock(&names_lock);
    c = claim_find_locked(name, hash, s->number);
    if (e->gone && c != NULL) {
        claim_remove_locked(c);
        s->names--;
    } else if (!e->gone && c == NULL && s->names >= NAMES_OF_NODE_MAX) {
        rc = -ERR_LIMIT;
    } else if (!e->gone) {
        if (c == NULL) {
            c = claim_add_locked(name, hash);
            s->names++;
        }
        c->session = s->number;
        c->node = s->node;
        c->creation = atomic_load_explicit(&s->creation, memory_order_relaxed);
        c->payload = get_le(e->owner.data, REF_BYTES) & PAYLOAD_MAX;
        c->since_us = e->fence;
        ours = claim_find_locked(name, hash, 0);
        if (ours != NULL)
            settle_locked(ours, c, &lost);
    }
    pthread_rwlock_unlock(&names_lock);
    if (lost.id != 0)
        watch_cancel(watcher, lost.id, imm_make(IMM_PID, lost.payload));
    heap_fini(&bag);
    return rc;
}

static int take_delta(const struct peer_rx *rx)
{
    struct wire_arena arena = { 0 };
    const Rn__NameDelta *m = wire_unpack(&rn__name_delta__descriptor, rx->body.data, rx->body.len,
                                         &arena);
    struct session *s = session_of_rx(rx);
    int rc = m == NULL ? -ERR_PROTOCOL : 0;

    epoch_enter();
    for (size_t i = 0; m != NULL && s != NULL && i < m->n_entries && rc == 0; i++)
        rc = take_entry(s, m->entries[i]);
    epoch_leave();
    wire_arena_fini(&arena);
    return rc;
}

/* --- our own ---------------------------------------------------------------------------------------------- */

static void owner_ended(uint64_t id)
{
    pthread_rwlock_wrlock(&names_lock);
    for (struct claim *c = *bucket_of(id >> ID_SEQ_BITS); c != NULL; c = c->next) {
        if (c->session == 0 && c->id == id) {
            publish_locked(c, true);
            claim_remove_locked(c);
            break;
        }
    }
    pthread_rwlock_unlock(&names_lock);
}

/* Forget ours; what it was, for the watcher. id 0: there was none. */
static struct claim give_up(term name, uint64_t hash)
{
    struct claim *ours, was = { 0 };

    pthread_rwlock_wrlock(&names_lock);
    ours = claim_find_locked(name, hash, 0);
    if (ours != NULL) {
        was = *ours;
        publish_locked(ours, true);
        claim_remove_locked(ours);
    }
    pthread_rwlock_unlock(&names_lock);
    return was;
}

static bool name_fits(term name)
{
    return etf_size(name, ETF_NO_VERSION, ETF_MINOR_DEFAULT) <= NAME_BYTES_MAX;
}

/* 0; -ERR_EXISTS: somebody has it; -ERR_LIMIT. */
static int claim_make(term name, uint64_t hash, term pid, bool over)
{
    struct claim *c;
    uint64_t id = 0;
    int rc = 0;

    pthread_rwlock_wrlock(&names_lock);
    if (!over && claim_best_locked(name, hash) != NULL)
        rc = -ERR_EXISTS;
    else if (ours_n >= NAMES_OF_NODE_MAX)
        rc = -ERR_LIMIT;
    if (rc == 0) {
        c = claim_add_locked(name, hash);
        ours_n++;
        c->node = etf_env.local_node;
        c->payload = imm_payload(pid);
        c->since_us = (uint64_t)(clock_system_ns() / 1000);
        c->id = id = hash << ID_SEQ_BITS | (++last_seq & ((1u << ID_SEQ_BITS) - 1));
        publish_locked(c, false);
    }
    pthread_rwlock_unlock(&names_lock);
    if (rc == 0)
        watch_process(watcher, id, pid);    /* with no lock held: it may have ended */
    return rc;
}

static term register_as(struct process *p, const term *a, bool over)
{
    uint64_t hash = name_hash(a[0]);
    struct claim was;

    if (!is_local_pid(a[1]) || !name_fits(a[0]))
        return bif_badarg(p);       /* the node of a process writes its claims */
    if (over) {
        was = give_up(a[0], hash);
        if (was.id != 0)
            watch_cancel(watcher, was.id, imm_make(IMM_PID, was.payload));
    }
    switch (claim_make(a[0], hash, a[1], over)) {
    case 0:             return ATOM_yes;
    case -ERR_EXISTS:   return ATOM_no;
    default:            return bif_error(p, ATOM_system_limit);
    }
}

static term bif_register_name(struct process *p, const term *a)
{
    return register_as(p, a, false);
}

static term bif_re_register_name(struct process *p, const term *a)
{
    return register_as(p, a, true);
}

static term bif_unregister_name(struct process *p, const term *a)
{
    struct claim was = give_up(a[0], name_hash(a[0]));

    if (was.id != 0)
        watch_cancel(watcher, was.id, imm_make(IMM_PID, was.payload));
    return ATOM_ok;
}

static term bif_whereis_name(struct process *p, const term *a)
{
    term pid = names_whereis(&p->heap, a[0]);

    return pid != TERM_NONE ? pid : ATOM_undefined;
}

static term bif_send_name(struct process *p, const term *a)
{
    term pid = names_whereis(&p->heap, a[0]);

    if (pid == TERM_NONE)
        return bif_raise(p, ATOM_exit, heap_tuple2(&p->heap, ATOM_badarg,
                                                   heap_tuple2(&p->heap, a[0], a[1])));
    process_send(p, pid, a[1]);
    return pid;
}

/* Each name once: by its best claim. */
static term bif_registered_names(struct process *p, const term *a)
{
    term list = TERM_NIL;

    pthread_rwlock_rdlock(&names_lock);
    for (uint32_t i = 0; i < buckets_n; i++) {
        for (struct claim *c = buckets[i]; c != NULL; c = c->next) {
            if (claim_best_locked(c->name, c->hash) == c)
                list = heap_cons(&p->heap, heap_copy(&p->heap, c->name), list);
        }
    }
    pthread_rwlock_unlock(&names_lock);
    return list;
}

void names_init(void)
{
    static const struct bif table[] = {
#define BIF(module, function, arity, kind, fn) { #module, function, arity, BIF_##kind, fn },
#include "dist/names.tab"
#undef BIF
    };

    bif_register(table, ARRAY_LEN(table));
    watcher = watcher_add(owner_ended);
}

void names_alive(void)
{
    peer_handle(KIND_name_delta, take_delta);
}
