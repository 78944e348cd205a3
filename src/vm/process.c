/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process.c - the process table, making processes, sending
 *
 * The table is two-level: chunks of entries. An entry is a process, or, with bit 0 set, the serial
 * number that the next process in it will have. Free slots are kept by the schedulers in small
 * caches; the pool behind them has the only lock.
 */
#include "vm/process.h"

#include "base/alloc.h"
#include "base/epoch.h"
#include "base/metric.h"
#include "base/slab.h"
#include "heap/blob.h"
#include "heap/etf.h"
#include "vm/engine.h"
#include "vm/hooks.h"
#include "vm/mailbox_priv.h"
#include "vm/process_priv.h"
#include "vm/registry.h"
#include "vm/remote.h"
#include "vm/sched_priv.h"
#include "vm/survey_priv.h"
#include "vm/trace.h"

#define CHUNK_BITS 12
#define CHUNK_SLOTS (1u << CHUNK_BITS)
#define CHUNKS (1u << (PID_SLOT_BITS - CHUNK_BITS))
#define SERIAL_MASK ((1u << 30) - 1)
#define SLOT_BATCH 64

struct chunk { _Atomic uintptr_t entry[CHUNK_SLOTS]; };

static struct chunk *_Atomic chunks[CHUNKS];    /* [any] set once each */
static uint32_t slots_max;                      /* [set] */
static struct spin pool_lock;
static uint32_t slots_fresh;                    /* [lk pool_lock] slots never used: from here on */
static uint32_t *pool;                          /* [lk pool_lock] */
static uint32_t pool_n, pool_cap;               /* [lk pool_lock] */
static _Atomic uint32_t ports;                  /* [any] of the processes, those that run ports */
static _Atomic int64_t foreign_count;           /* [any] processes by threads without scheduler */

_Static_assert(sizeof(struct process) <= 384, "one slab class");

/* --- the table ------------------------------------------------------------------------------ */

void process_table_init(uint32_t max)
{
    slots_max = max;
}

uint32_t process_table_max(void)
{
    return slots_max;
}

static _Atomic uintptr_t *entry_of(uint32_t slot)
{
    /* acquire: pairs with the release in pool_take */
    struct chunk *c = atomic_load_explicit(&chunks[slot >> CHUNK_BITS], memory_order_acquire);

    return c != NULL ? &c->entry[slot & (CHUNK_SLOTS - 1)] : NULL;
}

struct process *process_lookup(term pid)
{
    _Atomic uintptr_t *entry = entry_of(pid_slot(pid));
    uintptr_t e;
    struct process *p;

    if (UNLIKELY(entry == NULL))
        return NULL;
    e = atomic_load_explicit(entry, memory_order_acquire);  /* pairs with process_publish */
    if (e == 0 || (e & 1) != 0)
        return NULL;
    p = (struct process *)e;
    return p->pid == pid ? p : NULL;
}

struct process *process_table_next(uint32_t *at)
{
    while (*at < slots_max) {
        _Atomic uintptr_t *entry = entry_of(*at);
        uintptr_t e;

        if (entry == NULL) {
            *at = (*at | (CHUNK_SLOTS - 1)) + 1;
            continue;
        }
        ++*at;
        e = atomic_load_explicit(entry, memory_order_acquire);
        if (e != 0 && (e & 1) == 0)
            return (struct process *)e;
    }
    return NULL;
}

int process_table_group(uint32_t group, struct process **out)
{
    uint32_t slot = group << PROCESS_GROUP_BITS;
    _Atomic uintptr_t *entry = slot < slots_max ? entry_of(slot) : NULL;
    int n = 0;

    if (entry == NULL)
        return -1;
    for (uint32_t i = 0; i < PROCESS_GROUP; i++) {
        uintptr_t e = atomic_load_explicit(&entry[i], memory_order_acquire);

        if (e != 0 && (e & 1) == 0)
            out[n++] = (struct process *)e;
    }
    return n;
}

static void chunk_make(uint32_t slot)
{
    struct chunk *c = MEM_NEW(struct chunk);

    for (uint32_t i = 0; i < CHUNK_SLOTS; i++)
        atomic_store_explicit(&c->entry[i], 1, memory_order_relaxed);
    atomic_store_explicit(&chunks[slot >> CHUNK_BITS], c, memory_order_release);
}

/* Up to n free slots into out; how many. */
static uint32_t pool_take(uint32_t *out, uint32_t n)
{
    uint32_t got = 0;

    spin_lock(&pool_lock);
    while (got < n && pool_n > 0)
        out[got++] = pool[--pool_n];
    while (got < n && slots_fresh < slots_max) {
        if ((slots_fresh & (CHUNK_SLOTS - 1)) == 0)
            chunk_make(slots_fresh);
        out[got++] = slots_fresh++;
    }
    spin_unlock(&pool_lock);
    return got;
}

static void pool_give(const uint32_t *slots, uint32_t n)
{
    spin_lock(&pool_lock);
    if (pool_n + n > pool_cap) {
        pool_cap = pool_cap != 0 ? pool_cap * 2 : 1024;
        pool = mem_realloc(pool, pool_cap * sizeof *pool);
    }
    memcpy(pool + pool_n, slots, n * sizeof *slots);
    pool_n += n;
    spin_unlock(&pool_lock);
}

/* False: the table is full. */
static bool slot_get(uint32_t *ret)
{
    struct sched_priv *priv = sched_self != NULL ? sched_self->priv : NULL;

    if (priv == NULL)
        return pool_take(ret, 1) == 1;
    if (priv->slots_n == 0) {
        uint32_t batch[SLOT_BATCH], n = pool_take(batch, SLOT_BATCH);

        for (uint32_t i = 0; i < n; i++)        /* so that the lowest is used first */
            priv->slots[i] = batch[n - 1 - i];
        priv->slots_n = n;
        if (n == 0)
            return false;
    }
    *ret = priv->slots[--priv->slots_n];
    return true;
}

static void slot_put(uint32_t slot)
{
    struct sched_priv *priv = sched_self != NULL ? sched_self->priv : NULL;

    if (priv == NULL) {
        pool_give(&slot, 1);
        return;
    }
    if (priv->slots_n == SLOT_CACHE) {
        pool_give(priv->slots, SLOT_CACHE / 2);
        priv->slots_n -= SLOT_CACHE / 2;
        memmove(priv->slots, priv->slots + SLOT_CACHE / 2, priv->slots_n * sizeof *priv->slots);
    }
    priv->slots[priv->slots_n++] = slot;
}

static void process_publish(struct process *p)
{
    survey_note_heap(p);
    survey_note(p);
    /* release: pairs with the acquire in process_lookup */
    atomic_store_explicit(entry_of(pid_slot(p->pid)), (uintptr_t)p, memory_order_release);
    if (is_local_port(p->pid))
        atomic_fetch_add_explicit(&ports, 1, memory_order_relaxed);
}

void process_unpublish(struct process *p)
{
    uint64_t serial = (pid_serial(p->pid) + 1) & SERIAL_MASK;

    atomic_store_explicit(entry_of(pid_slot(p->pid)), (uintptr_t)(serial << 1 | 1),
                          memory_order_release);
    survey_touch(p->pid);
    slot_put(pid_slot(p->pid));
    if (is_local_port(p->pid))
        atomic_fetch_sub_explicit(&ports, 1, memory_order_relaxed);
}

uint32_t process_port_count(void)
{
    return atomic_load_explicit(&ports, memory_order_relaxed);
}

uint32_t process_count(void)
{
    struct sched_totals t;

    sched_totals(&t);
    return (uint32_t)((int64_t)(t.spawned - t.exited) +
                      atomic_load_explicit(&foreign_count, memory_order_relaxed)) -
           process_port_count();
}

/* --- making ---------------------------------------------------------------------------------------- */

struct process_ext *process_ext_get(struct process *p)
{
    if (p->ext == NULL) {
        p->ext = slab_alloc(sizeof *p->ext);
        *p->ext = (struct process_ext){
            .error_handler = ATOM_error_handler, .reply = TERM_NONE,
            .awaited_ref = TERM_NONE, .max_heap_kill = true, .min_vheap_words = 46422,
            .max_heap_log = true,
        };
    }
    return p->ext;
}

static void apply_options(struct process *p, const struct spawn_options *opt)
{
    p->prio = opt->prio;
    p->msgq_off_heap = opt->msgq_off_heap;
    if (opt->min_heap_words != 0)
        p->heap.min_words = opt->min_heap_words;
    if (opt->has_fullsweep)
        p->heap.fullsweep_after = opt->fullsweep_after;
    if (opt->max_heap_words != 0) {
        struct process_ext *ext = process_ext_get(p);

        ext->max_heap_words = opt->max_heap_words;
        ext->max_heap_kill = opt->max_heap_kill;
        ext->max_heap_log = opt->max_heap_log;
    }
}

/* A process with a block of at least `words` free, not yet visible; NULL: the table is full. */
static struct process *process_new(struct process *parent, size_t words,
                                   const struct spawn_options *opt)
{
    uint32_t slot;
    struct process *p;

    if (!slot_get(&slot))
        return NULL;
    p = slab_alloc(sizeof *p);
    memset(p, 0, sizeof *p);
    p->pid = pid_make(slot, atomic_load_explicit(entry_of(slot), memory_order_relaxed) >> 1);
    if (opt != NULL && opt->port != NULL) {
        p->pid = imm_make(IMM_PORT, imm_payload(p->pid));
        process_ext_get(p)->port = blob_ref(opt->port);
        p->trap_exit = true;        /* from the start: the owner's end is the port's */
    }
    atomic_store_explicit(&p->state, PROC_FREE, memory_order_relaxed);
    atomic_store_explicit(&p->registered, TERM_NIL, memory_order_relaxed);
    inbox_init(&p->inbox);
    p->prio = PRIO_NORMAL;
    p->born_cs = p->parked_cs = sched_now_cs();
    p->heap.fullsweep_after = UINT16_MAX;
    p->trap_fun = p->exit_reason = TERM_NONE;
    p->exc = (struct exception){ TERM_NONE, TERM_NONE, TERM_NONE, TERM_NONE, TERM_NONE };
    p->parent = parent != NULL ? parent->pid : ATOM_undefined;
    if (opt != NULL)
        apply_options(p, opt);
    if (p->heap.min_words > words)
        words = p->heap.min_words;
    heap_block_init(&p->heap, words > HEAP_FIRST_WORDS ? words : HEAP_FIRST_WORDS);
    if (opt != NULL && opt->group_leader != TERM_NONE && opt->group_leader != 0)
        p->group_leader = heap_copy(&p->heap, opt->group_leader);
    else
        p->group_leader = parent != NULL ? heap_copy(&p->heap, parent->group_leader) : p->pid;
    return p;
}

/* The links and monitors that a spawn makes; then the child may run. */
static void process_start(struct process *p, struct process *parent,
                          const struct spawn_options *opt, term *ret_ref)
{
    struct monitor_options mopt = { ALIAS_NONE, ATOM_DOWN };

    if (parent != NULL)
        parent->has_spawned = true;
    if (parent != NULL && opt != NULL && (opt->flags & SPAWN_LINK) != 0) {
        relation_add(parent, relation_key(REL_LINK, p->pid), p->pid);
        relation_add(p, relation_key(REL_LINK, parent->pid), parent->pid);
    }
    if (parent != NULL && opt != NULL && (opt->flags & SPAWN_MONITOR) != 0) {
        if (opt->monitor_opts != TERM_NONE && opt->monitor_opts != 0)
            (void)!monitor_options_read(opt->monitor_opts, &mopt);  /* checked by the built-in */
        *ret_ref = monitor_make_child(parent, p, &mopt);
    }
    if (opt != NULL && opt->remote != NULL)
        remote_child(p, opt->flags, opt->remote);
    if (sched_self != NULL)
        counter_add(&sched_self->priv->spawned, 1);
    else
        atomic_fetch_add_explicit(&foreign_count, 1, memory_order_relaxed);
    if (UNLIKELY(atomic_load_explicit(&trace_spawns, memory_order_relaxed) != 0))
        trace_spawn_hook(parent, p);
    atomic_store_explicit(&p->state, PROC_RUNNABLE, memory_order_relaxed);
    process_publish(p);
    sched_enqueue_new(p);
}

/* Words of a fresh stack that the engine wants beside the arguments. */
#define START_WORDS 24

term process_spawn_mfa(struct process *parent, term module, term function, term args_list,
                       const struct spawn_options *opt, term *ret_ref)
{
    size_t n = term_size(args_list);
    struct process *p = process_new(parent, n + START_WORDS, opt);
    term *at, args, pid;

    if (p == NULL)
        return TERM_NONE;
    at = heap_alloc(&p->heap, n);
    args = term_copy(args_list, &at, &p->heap.offheap);
    p->initial[0] = module;
    p->initial[1] = function;
    p->initial_arity = (uint16_t)(list_length(args) < UINT16_MAX ? list_length(args) : UINT16_MAX);
    engine_start_mfa(p, module, function, args);
    pid = p->pid;
    process_start(p, parent, opt, ret_ref);
    return pid;
}

term process_spawn_fun(struct process *parent, term fun, term args_list,
                       const struct spawn_options *opt, term *ret_ref)
{
    size_t nf = term_size(fun), n = term_size(args_list);
    struct process *p = process_new(parent, nf + n + START_WORDS, opt);
    term *at, args, pid;

    if (p == NULL)
        return TERM_NONE;
    at = heap_alloc(&p->heap, nf + n);
    fun = term_copy(fun, &at, &p->heap.offheap);
    args = term_copy(args_list, &at, &p->heap.offheap);
    p->initial[0] = ATOM_erlang;        /* what OTP shows as the initial call */
    p->initial[1] = ATOM_apply;
    p->initial_arity = 2;
    engine_start_fun(p, fun, args);
    pid = p->pid;
    process_start(p, parent, opt, ret_ref);
    return pid;
}

/* --- sending -------------------------------------------------------------------------------------- */

#define DIRECT_QUEUE_MAX 512    /* longer queues keep messages in fragments */
#define DIRECT_SPARE_WORDS 16   /* what a message leaves free in the receiver's block */

/* May a message of so many words go straight to the heap of p, which we hold? */
static bool has_room(struct process *p, size_t words)
{
    return inbox_is_empty(&p->inbox) && mailbox_length(p) < DIRECT_QUEUE_MAX &&
           (size_t)(p->heap.E - p->heap.H) > words + DIRECT_SPARE_WORDS && !p->msgq_off_heap;
}

/* Words of a small tuple that holds no pointers, the commonest message; 0: anything else. */
static size_t flat_words(term msg)
{
    term hdr, any = 0;

    if (!is_box(msg))
        return 0;
    hdr = box_header(msg);
    if (header_kind(hdr) != HK_TUPLE || header_size(hdr) > 8)
        return 0;
    for (size_t i = 0; i < header_size(hdr); i++)
        any |= is_ptr(tuple_elem(msg, i));
    return any == 0 && !is_literal(msg) ? 1 + header_size(hdr) : 0;
}

/* Copy msg of so many words into room for it in p's block. */
static term copy_in(struct process *p, term msg, size_t words, bool flat)
{
    term *at = heap_alloc(&p->heap, words);

    if (!flat)
        return term_copy(msg, &at, &p->heap.offheap);
    for (size_t i = 0; i < words; i++)
        at[i] = box_ptr(msg)[i];
    return box_term(at);
}

static struct sig *message_sig(term msg, size_t words, bool flat)
{
    struct frag *frag;
    struct sig *sig;

    if (!flat)
        return sig_new_copy(SIG_MESSAGE, TERM_NONE, TERM_NONE, msg);
    frag = frag_new(words, sizeof *sig);
    for (size_t i = 0; i < words; i++)
        frag->data[i] = box_ptr(msg)[i];
    frag->used = (uint32_t)words;
    sig = (struct sig *)(void *)((char *)frag - sizeof *sig);
    *sig = (struct sig){ .kind = SIG_MESSAGE, .from = TERM_NONE, .a = box_term(frag->data),
                         .b = TERM_NONE, .frag = frag };
    return sig;
}

static void deliver(struct process *sender, struct process *p, term msg)
{
    enum process_state was;
    size_t words;
    bool flat;

    if (p == sender) {
        mailbox_append(p, msg);
        return;
    }
    words = flat_words(msg);
    flat = words != 0;
    if (!flat && is_ptr(msg))
        words = term_size(msg);
    if (sender != NULL)
        charge(sender, (int64_t)(words / 64));
    was = process_try_hold(p);
    if (was != PROC_FREE && LIKELY(has_room(p, words))) {
        if (words != 0)
            msg = copy_in(p, msg, words, flat);
        mailbox_append(p, msg);
    } else {
        struct sig *sig = message_sig(msg, words, flat);

        if (was == PROC_FREE) {
            signal_send(p, sig);
            return;
        }
        if (inbox_is_empty(&p->inbox))
            mailbox_append_sig(p, sig);
        else
            inbox_push(&p->inbox, sig);
    }
    process_release_hold(p, was, true);
}

static void send_alias(struct process *sender, term ref, term msg)
{
    struct process *p = process_lookup(box_ptr(ref)[2]);
    struct sig *sig;

    if (p == NULL)
        return;
    sig = sig_new_copy(SIG_ALIAS_MESSAGE, TERM_NONE, ref_plain(ref), msg);
    if (p == sender)
        (void)signal_apply(p, sig);
    else
        signal_send(p, sig);
}

bool process_send(struct process *sender, term to, term msg)
{
    bool by_name = false;
    struct process *p;

    if (UNLIKELY(atomic_load_explicit(&trace_sends, memory_order_relaxed) != 0))
        trace_send_hook(sender, to, msg);
    if (is_tuple_n(to, 2) && is_atom(tuple_elem(to, 0)) &&
        tuple_elem(to, 1) == etf_env.local_node) {
        to = tuple_elem(to, 0);
        by_name = true;         /* an unregistered {Name, node()} is no error */
    }
    if (is_atom(to)) {
        to = registry_whereis(to);
        if (to == TERM_NONE)
            return by_name;
    }
    if (LIKELY(is_local_receiver(to))) {
        p = process_lookup(to);
        if (p != NULL)
            deliver(sender, p, msg);
        metric_inc(M_sent_local);
        return true;
    }
    if (box_is(to, HK_REF)) {
        send_alias(sender, to, msg);
        metric_inc(M_sent_local);
        return true;
    }
    if (is_pid(to) || is_ref(to) || is_port(to) ||
        (is_tuple_n(to, 2) && is_atom(tuple_elem(to, 0)) && is_atom(tuple_elem(to, 1))))
        return remote_send(sender, to, msg, 0) != REMOTE_BADARG;
    return false;
}
