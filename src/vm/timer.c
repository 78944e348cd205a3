/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timer.c - a wheel of 256 + 4 x 64 slots of one millisecond and up
 *
 * Slot of level 0: the tick's low 8 bits; of level k: the next 6 bits each. When level 0 comes
 * round, the slot of level 1 that begins then is spread over level 0, and so on upwards.
 *
 *   W1  A timer is linked in exactly one slot while ACTIVE, and only then.
 *   W2  A receive timer belongs to its process, which frees it; the wheel forgets it when it
 *       fires. Other timers belong to the wheel: whoever unlinks one frees it.
 */
#include "vm/timer.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/slab.h"
#include "base/spin.h"
#include "vm/mailbox.h"
#include "vm/sched.h"

#include <stdlib.h>

#define TICK_NS 1000000
#define LEVELS 5
#define LEVEL0_BITS 8
#define LEVEL_BITS 6
#define HASH_MIN 16
#define SWEEP_MIN 4096

struct timer {
    struct timer *next, **prev;         /* [lk wheel] */
    uint64_t tick;                      /* [set] when it fires */
    struct wheel *wheel;                /* [set] */
    uint64_t key;                       /* [set] reference payload; receive timer: its number */
    term     to;                        /* [set] pid or name */
    bool     active;                    /* [lk wheel] */
    bool     is_receive, wrap;          /* [set] */
    uint8_t  level;                     /* [lk wheel] */
    uint16_t slot;                      /* [lk wheel] */
    /* the rest exists only in timers with a reference */
    struct timer *hash_next;            /* [lk wheel] */
    term     msg;                       /* [set] */
    struct frag *frag;                  /* [set] words of msg, or NULL */
};

#define RECEIVE_TIMER_BYTES offsetof(struct timer, hash_next)

struct wheel {
    _Alignas(CACHE_LINE) struct spin lock;
    uint32_t index;                     /* [set] of its scheduler */
    uint64_t now;                       /* [lk] ticks up to here have fired */
    _Atomic uint64_t count;             /* [lk] writes, [any] reads: timers in the wheel */
    uint64_t used[LEVELS][4];           /* [lk] bit per slot that is not empty */
    struct timer *slot0[256];           /* [lk] */
    struct timer *slots[LEVELS - 1][64];    /* [lk] */
    struct timer **hash;                /* [lk] by reference */
    uint32_t hash_cap, hash_n;          /* [lk] */
    uint32_t sweep_at;                  /* [lk] so many references: look for dead ones */
    _Atomic int64_t next_ns;            /* [any] lower bound of the next expiry, for the loop head */
};

/* relaxed: the lock orders the writers, and others read a figure. */
static void count_add(struct wheel *w, int n)
{
    atomic_store_explicit(&w->count, wheel_count(w) + (uint64_t)n, memory_order_relaxed);
}

/* --- slots ---------------------------------------------------------------------------------- */

static unsigned level_shift(unsigned level)
{
    return level == 0 ? 0 : LEVEL0_BITS + (level - 1) * LEVEL_BITS;
}

static struct timer **slot_at(struct wheel *w, unsigned level, unsigned slot)
{
    return level == 0 ? &w->slot0[slot] : &w->slots[level - 1][slot];
}

/* earliest: now while the wheel spreads a slot that begins now, else the next tick. */
static void link_timer(struct wheel *w, struct timer *t, uint64_t earliest)
{
    uint64_t tick = t->tick > earliest ? t->tick : earliest, diff = tick ^ w->now;
    unsigned level = 0;
    struct timer **head;

    /* The level whose digit is the highest in which tick and now differ. */
    while (level < LEVELS - 1 && diff >> level_shift(level + 1) != 0)
        level++;
    if (tick - w->now >= (uint64_t)1 << level_shift(LEVELS))
        tick = w->now + ((uint64_t)1 << level_shift(LEVELS)) - 1;   /* looked at again then */
    t->level = (uint8_t)level;
    t->slot = (uint16_t)(tick >> level_shift(level) & (level == 0 ? 255 : 63));
    head = slot_at(w, level, t->slot);
    t->next = *head;
    t->prev = head;
    if (*head != NULL)
        (*head)->prev = &t->next;
    *head = t;
    w->used[level][t->slot >> 6] |= (uint64_t)1 << (t->slot & 63);
    t->active = true;
    count_add(w, 1);
}

static void unlink_timer(struct wheel *w, struct timer *t)
{
    *t->prev = t->next;
    if (t->next != NULL)
        t->next->prev = t->prev;
    if (*slot_at(w, t->level, t->slot) == NULL)
        w->used[t->level][t->slot >> 6] &= ~((uint64_t)1 << (t->slot & 63));
    t->active = false;
    count_add(w, -1);
}

/* First slot in use at or after `from` of a level with n slots, going round once; n: none. */
static unsigned next_used(const struct wheel *w, unsigned level, unsigned from, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        unsigned s = (from + i) & (n - 1);

        if (w->used[level][s >> 6] == 0) {
            i += 63 - (s & 63);         /* the rest of this word is empty */
            continue;
        }
        if (w->used[level][s >> 6] >> (s & 63) & 1)
            return i;
    }
    return n;
}

/* The next tick at which something is to be done: a timer fires or a higher slot is spread. */
static uint64_t next_tick(const struct wheel *w)
{
    uint64_t best = UINT64_MAX;

    if (wheel_count(w) == 0)
        return best;
    for (unsigned level = 0; level < LEVELS; level++) {
        unsigned shift = level_shift(level), n = level == 0 ? 256 : 64;
        uint64_t digit = w->now >> shift;
        unsigned i = next_used(w, level, (unsigned)((digit + 1) & (n - 1)), n);

        if (i < n && (digit + 1 + i) << shift < best)
            best = (digit + 1 + i) << shift;
    }
    return best;
}

static void publish_next(struct wheel *w)
{
    uint64_t tick = next_tick(w);

    /* relaxed: a hint, read by the wheel's scheduler; others wake it after they start a timer */
    atomic_store_explicit(&w->next_ns, tick == UINT64_MAX ? INT64_MAX : (int64_t)tick * TICK_NS,
                          memory_order_relaxed);
}

/* --- references ------------------------------------------------------------------------------- */

static struct timer **hash_slot(struct wheel *w, uint64_t key)
{
    struct timer **at = &w->hash[key * 0x9E3779B97F4A7C15u >> 32 & (w->hash_cap - 1)];

    while (*at != NULL && (*at)->key != key)
        at = &(*at)->hash_next;
    return at;
}

static void hash_add(struct wheel *w, struct timer *t)
{
    if (w->hash_n == w->hash_cap) {
        struct timer **old = w->hash;
        uint32_t old_cap = w->hash_cap;

        w->hash_cap = old_cap != 0 ? old_cap * 2 : HASH_MIN;
        w->hash = MEM_NEW_ARRAY(struct timer *, w->hash_cap);
        for (uint32_t i = 0; i < old_cap; i++) {
            for (struct timer *o = old[i], *next; o != NULL; o = next) {
                next = o->hash_next;
                o->hash_next = NULL;
                *hash_slot(w, o->key) = o;
            }
        }
        mem_free(old);
    }
    t->hash_next = NULL;
    *hash_slot(w, t->key) = t;
    w->hash_n++;
}

static void hash_remove(struct wheel *w, struct timer *t)
{
    *hash_slot(w, t->key) = t->hash_next;
    w->hash_n--;
}

static void timer_free(struct timer *t)
{
    if (t->is_receive) {
        slab_free(t, RECEIVE_TIMER_BYTES);
        return;
    }
    if (t->frag != NULL)
        frag_free(t->frag);
    slab_free(t, sizeof *t);
}

/* The receiver is a process that is gone: nothing will come of t. */
static bool is_pointless(const struct timer *t)
{
    return is_local_pid(t->to) && process_lookup(t->to) == NULL;
}

/* Take out the timers of processes that are gone, linked by `next`. They would only waste memory,
 * so it is done when their number has doubled. */
static struct timer *sweep(struct wheel *w)
{
    struct timer *dead = NULL;

    for (uint32_t i = 0; i < w->hash_cap; i++) {
        for (struct timer **at = &w->hash[i], *t; (t = *at) != NULL; ) {
            if (!is_pointless(t)) {
                at = &t->hash_next;
                continue;
            }
            *at = t->hash_next;
            w->hash_n--;
            unlink_timer(w, t);
            t->next = dead;
            dead = t;
        }
    }
    w->sweep_at = w->hash_n < SWEEP_MIN / 2 ? SWEEP_MIN : w->hash_n * 2;
    return dead;
}

/* --- firing ------------------------------------------------------------------------------------- */

static void send_due(struct timer *t)
{
    struct heap bag;
    term msg = t->msg;

    heap_bag_init(&bag);
    if (t->wrap)
        msg = heap_tuple3(&bag, ATOM_timeout, imm_make(IMM_REF, t->key), msg);
    if (is_atom(t->to) || process_lookup(t->to) != NULL)
        process_send(NULL, t->to, msg);
    heap_fini(&bag);
    timer_free(t);
}

/* Move every timer of a slot to where it belongs now. */
static void spread(struct wheel *w, unsigned level, unsigned slot)
{
    struct timer *t = *slot_at(w, level, slot), *next;

    *slot_at(w, level, slot) = NULL;
    w->used[level][slot >> 6] &= ~((uint64_t)1 << (slot & 63));
    for (; t != NULL; t = next) {
        next = t->next;
        count_add(w, -1);
        link_timer(w, t, w->now);
    }
}

/* The wheel stands at tick w->now: spread what begins there, take out what is due. Receive timers
 * are told of on *pids, others put on *due. */
struct fired { term pid; uint64_t key; };

static struct timer *take_due(struct wheel *w, struct fired *fired, size_t *n, size_t max)
{
    struct timer *due = NULL, *t;
    unsigned slot = (unsigned)(w->now & 255);

    while ((t = w->slot0[slot]) != NULL && *n < max) {
        unlink_timer(w, t);
        if (t->is_receive) {            /* W2: not ours to touch once the lock is free */
            fired[(*n)++] = (struct fired){ t->to, t->key };
        } else {
            hash_remove(w, t);
            t->next = due;
            due = t;
        }
    }
    return due;
}

/* Step to the next tick of interest that is not after `upto`. False: none. */
static bool step(struct wheel *w, uint64_t upto)
{
    uint64_t tick = next_tick(w);

    if (tick > upto) {
        w->now = upto;
        return false;
    }
    w->now = tick - 1;
    for (unsigned level = LEVELS - 1; level > 0; level--) {
        if ((tick & (((uint64_t)1 << level_shift(level)) - 1)) == 0) {
            unsigned slot = (unsigned)(tick >> level_shift(level) & 63);

            w->now = tick;              /* so that the timers go below this level */
            spread(w, level, slot);
        }
    }
    w->now = tick;
    return true;
}

void wheel_run(struct wheel *w, int64_t now_ns)
{
    uint64_t upto = (uint64_t)(now_ns / TICK_NS);
    struct fired fired[64];

    if (now_ns < atomic_load_explicit(&w->next_ns, memory_order_relaxed))
        return;
    for (bool more = true; more; ) {
        struct timer *due = NULL, *next;
        size_t n = 0;

        spin_lock(&w->lock);
        if (w->slot0[w->now & 255] != NULL)
            more = true;                /* left from a round that was cut short */
        else
            more = w->now < upto && step(w, upto);
        if (more)
            due = take_due(w, fired, &n, ARRAY_LEN(fired));
        publish_next(w);
        spin_unlock(&w->lock);
        for (size_t i = 0; i < n; i++) {
            struct process *p = process_lookup(fired[i].pid);

            if (p != NULL)
                signal_post(p, SIG_TIMEOUT, TERM_NONE, imm_make(IMM_REF, fired[i].key), TERM_NONE);
        }
        for (; due != NULL; due = next) {
            next = due->next;
            send_due(due);
        }
    }
}

uint64_t wheel_count(const struct wheel *w)
{
    return atomic_load_explicit(&w->count, memory_order_relaxed);
}

int64_t wheel_next_ns(struct wheel *w)
{
    return atomic_load_explicit(&w->next_ns, memory_order_relaxed);
}

struct wheel *wheel_new(unsigned index, int64_t now_ns)
{
    struct wheel *w = aligned_alloc(CACHE_LINE, (sizeof *w + CACHE_LINE - 1) & ~(CACHE_LINE - 1ul));

    ASSERT(w != NULL);
    memset(w, 0, sizeof *w);
    w->index = index;
    w->now = (uint64_t)(now_ns / TICK_NS);
    w->sweep_at = SWEEP_MIN;
    atomic_store(&w->next_ns, INT64_MAX);
    return w;
}

void wheel_free(struct wheel *w)
{
    for (unsigned level = 0; level < LEVELS; level++) {
        for (unsigned slot = 0; slot < (level == 0 ? 256 : 64); slot++) {
            for (struct timer *t = *slot_at(w, level, slot), *next; t != NULL; t = next) {
                next = t->next;
                if (!t->is_receive)
                    timer_free(t);
            }
        }
    }
    mem_free(w->hash);
    free(w);
}

/* --- starting and cancelling --------------------------------------------------------------------- */

/* The tick at which at_ns has surely passed. */
static uint64_t tick_after(int64_t at_ns)
{
    return at_ns <= 0 ? 0 : ((uint64_t)at_ns + TICK_NS - 1) / TICK_NS;
}

static void start(struct wheel *w, struct timer *t)
{
    struct timer *dead = NULL, *next;
    bool sooner;

    spin_lock(&w->lock);
    if (w->hash_n >= w->sweep_at)
        dead = sweep(w);
    link_timer(w, t, w->now + 1);
    if (!t->is_receive)
        hash_add(w, t);
    sooner = (int64_t)t->tick * TICK_NS < atomic_load_explicit(&w->next_ns, memory_order_relaxed);
    if (sooner)
        publish_next(w);
    spin_unlock(&w->lock);
    for (; dead != NULL; dead = next) {
        next = dead->next;
        timer_free(dead);
    }
    if (sooner && (sched_self == NULL || sched_self->index != w->index))
        sched_poke(w->index);
}

static struct wheel *my_wheel(void)
{
    return sched_wheel(sched_self != NULL ? sched_self->index : 0);
}

void receive_timer_start(struct process *p, uint64_t ms)
{
    struct timer *t;

    if (p->receive_timer != NULL)
        return;
    t = slab_alloc(RECEIVE_TIMER_BYTES);
    t->tick = tick_after(clock_monotonic_ns() + (int64_t)ms * 1000000);
    t->wheel = my_wheel();
    t->key = ++p->timer_seq;
    t->to = p->pid;
    t->is_receive = true;
    p->receive_timer = t;
    start(t->wheel, t);
}

void receive_timer_cancel(struct process *p)
{
    struct timer *t = p->receive_timer;

    if (t == NULL)
        return;
    p->receive_timer = NULL;
    spin_lock(&t->wheel->lock);
    if (t->active)
        unlink_timer(t->wheel, t);
    spin_unlock(&t->wheel->lock);
    timer_free(t);
}

int64_t receive_timer_left_ms(const struct process *p)
{
    int64_t left;

    if (p->receive_timer == NULL)
        return -1;
    left = ((int64_t)p->receive_timer->tick * TICK_NS - clock_monotonic_ns()) / 1000000;
    return left > 0 ? left : 0;
}

bool receive_timer_fired(struct process *p, uint64_t seq)
{
    struct timer *t = p->receive_timer;

    if (t == NULL || t->key != seq)
        return false;
    receive_timer_cancel(p);
    return true;
}

term timer_start(int64_t at_ns, term to, term msg, bool wrap)
{
    struct timer *t = slab_alloc(sizeof *t);
    term ref;

    t->wheel = my_wheel();
    ref = make_timer_ref(t->wheel->index);
    t->key = imm_payload(ref);
    t->tick = tick_after(at_ns);
    t->to = to;
    t->is_receive = false;
    t->wrap = wrap;
    t->frag = frag_copy_whole(msg, &t->msg);
    start(t->wheel, t);
    return ref;
}

/* The wheel that the reference names, locked, and its timer; NULL, unlocked: none. */
static struct timer *find_locked(term ref)
{
    struct wheel *w;
    struct timer *t;

    if (!is_imm_ref(ref) || imm_payload(ref) >> 48 >= sched_count())
        return NULL;
    w = sched_wheel((unsigned)(imm_payload(ref) >> 48));
    spin_lock(&w->lock);
    t = w->hash != NULL ? *hash_slot(w, imm_payload(ref)) : NULL;
    /* A timer dies with the process that it is for, but nobody takes it off the wheel then. */
    if (t != NULL && is_local_pid(t->to) && process_lookup(t->to) == NULL)
        t = NULL;
    if (t == NULL)
        spin_unlock(&w->lock);
    return t;
}

static int64_t ms_left(const struct timer *t)
{
    int64_t ns = (int64_t)t->tick * TICK_NS - clock_monotonic_ns();

    return ns > 0 ? ns / 1000000 : 0;
}

int64_t timer_read(term ref)
{
    struct timer *t = find_locked(ref);
    int64_t left;

    if (t == NULL)
        return -1;
    left = ms_left(t);
    spin_unlock(&t->wheel->lock);
    return left;
}

int64_t timer_cancel(term ref)
{
    struct timer *t = find_locked(ref);
    int64_t left;

    if (t == NULL)
        return -1;
    left = ms_left(t);
    unlink_timer(t->wheel, t);
    hash_remove(t->wheel, t);
    spin_unlock(&t->wheel->lock);
    timer_free(t);
    return left;
}
