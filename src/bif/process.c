/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process.c - messages, links, monitors, names, exits, the dictionary, flags
 */
#include "bif/bif.h"
#include "bif/process_options.h"
#include "bif/process_request.h"

#include "base/alloc.h"
#include "heap/etf.h"
#include "term/compare.h"
#include "vm/engine.h"
#include "vm/hooks.h"
#include "vm/mailbox_priv.h"
#include "vm/pdict.h"
#include "vm/process_priv.h"
#include "vm/registry.h"
#include "vm/remote.h"
#include "vm/sched.h"

#include <stdlib.h>

/* An owned process has been told to exit while its built-in ran. */
static term exiting(struct process *p)
{
    p->action = BIF_EXIT;
    return TERM_NONE;
}

term bif_self_0(struct process *p, const term *a)
{
    (void)a;
    return p->pid;
}

term bif_make_ref_0(struct process *p, const term *a)
{
    (void)a;
    return make_ref(p->sched);
}

/* --- sending ---------------------------------------------------------------------------------- */

term bif_send_2(struct process *p, const term *a)
{
    return process_send(p, a[0], a[1]) ? a[1] : bif_badarg(p);
}

/* Is a message to this certain to leave the node, or to find none? */
static bool is_elsewhere(term to)
{
    if (is_tuple_n(to, 2))
        return is_atom(tuple_elem(to, 0)) && is_atom(tuple_elem(to, 1)) &&
               tuple_elem(to, 1) != etf_env.local_node;
    return box_is(to, HK_EXT_PID) || box_is(to, HK_EXT_REF);
}

static term send_with(struct process *p, term to, term msg, unsigned flags)
{
    if (!is_elsewhere(to))
        return process_send(p, to, msg) ? ATOM_ok : bif_badarg(p);
    switch (remote_send(p, to, msg, flags)) {
    case REMOTE_WOULD_SUSPEND:  return ATOM_nosuspend;
    case REMOTE_WOULD_CONNECT:  return ATOM_noconnect;
    case REMOTE_BADARG:         return bif_badarg(p);
    case REMOTE_LIMIT:          return bif_error(p, ATOM_system_limit);
    default:                    return ATOM_ok;
    }
}

term bif_send_3(struct process *p, const term *a)
{
    unsigned flags = 0;
    term o = a[2];

    for (; is_cons(o); o = cdr(o)) {
        if (car(o) == ATOM_noconnect)
            flags |= REMOTE_NOCONNECT;
        else if (car(o) == ATOM_nosuspend)
            flags |= REMOTE_NOSUSPEND;
        else
            return bif_badarg(p);
    }
    return is_nil(o) ? send_with(p, a[0], a[1], flags) : bif_badarg(p);
}

term bif_send_nosuspend_2(struct process *p, const term *a)
{
    term r = send_with(p, a[0], a[1], REMOTE_NOSUSPEND);

    return r == TERM_NONE ? r : r == ATOM_ok ? ATOM_true : ATOM_false;
}

/* --- links --------------------------------------------------------------------------------------- */

term bif_link_1(struct process *p, const term *a)
{
    struct sig sig = { .kind = SIG_EXIT, .from = a[0] };

    if (is_local_receiver(a[0])) {
        charge(p, 1);
        return link_make(p, a[0]) ? ATOM_true : bif_error(p, ATOM_noproc);
    }
    if (!is_pid(a[0]))
        return is_port(a[0]) ? bif_error(p, ATOM_noproc) : bif_badarg(p);
    charge(p, 10);
    if (!signals_handle(p))     /* the end of an older session, for one */
        return exiting(p);
    sig.b = remote_link(p, a[0]);
    if (is_nil(sig.b))
        return ATOM_true;
    return signal_apply(p, &sig) == EFFECT_EXIT ? exiting(p) : ATOM_true;
}

term bif_unlink_1(struct process *p, const term *a)
{
    if (is_local_receiver(a[0])) {
        charge(p, 1);
        /* What has come before the unlink is ours: take it in while the link still stands. */
        if (!signals_handle(p))
            return exiting(p);
        link_remove(p, a[0]);
        return ATOM_true;
    }
    if (is_pid(a[0])) {
        charge(p, 10);
        if (!signals_handle(p))
            return exiting(p);
        remote_unlink(p, a[0]);
        return ATOM_true;
    }
    return is_port(a[0]) ? ATOM_true : bif_badarg(p);
}

term bif_exit_2(struct process *p, const term *a)
{
    charge(p, 1);
    if (is_local_receiver(a[0]))
        return exit_send(p, a[0], a[1]) ? ATOM_true : exiting(p);
    if (is_pid(a[0])) {
        remote_exit(p, a[0], a[1]);
        return ATOM_true;
    }
    return is_port(a[0]) ? ATOM_true : bif_badarg(p);
}

/* --- monitors --------------------------------------------------------------------------------------- */

/* What is monitored: pid, port, atom, or {Name, Node} of another node; TERM_NONE: badarg. */
static term monitor_target(term item)
{
    if (is_tuple_n(item, 2) && is_atom(tuple_elem(item, 0)) &&
        tuple_elem(item, 1) == etf_env.local_node)
        item = tuple_elem(item, 0);
    if (is_atom(item) || is_pid(item) || is_local_port(item) ||
        (is_tuple(item) && is_elsewhere(item)))
        return item;
    return TERM_NONE;
}

static term monitor(struct process *p, term type, term item, term options)
{
    struct monitor_options opt;
    term target = monitor_target(item);

    if (!monitor_options_read(options, &opt))
        return bif_badarg(p);
    if (type == ATOM_time_offset && item == ATOM_clock_service)
        return make_ref(p->sched);      /* the offset never changes */
    if (target == TERM_NONE || !(is_atom(target) || is_port(target) == (type == ATOM_port)) ||
        (type != ATOM_process && type != ATOM_port))
        return bif_badarg(p);
    charge(p, 1);
    if (is_elsewhere(target))
        return remote_monitor(p, target, &opt);
    return monitor_make(p, target, &opt);
}

term bif_monitor_2(struct process *p, const term *a)
{
    return monitor(p, a[0], a[1], TERM_NIL);
}

term bif_monitor_3(struct process *p, const term *a)
{
    return monitor(p, a[0], a[1], a[2]);
}

static bool is_down_of(term msg, const void *arg)
{
    return is_tuple_n(msg, 5) && term_eq(tuple_elem(msg, 1), *(const term *)arg);
}

static term demonitor(struct process *p, term ref, term options)
{
    bool flush = false, info = false, found;

    for (; is_cons(options); options = cdr(options)) {
        if (car(options) == ATOM_flush)
            flush = true;
        else if (car(options) == ATOM_info)
            info = true;
        else
            return bif_badarg(p);
    }
    if (!is_nil(options) || !is_ref(ref))
        return bif_badarg(p);
    charge(p, 1);
    found = monitor_remove(p, ref);
    /* A DOWN still in the inbox finds no monitor and is dropped there. */
    if (flush && !found)
        mailbox_drop_if(p, is_down_of, &ref);
    return !info || found ? ATOM_true : ATOM_false;
}

term bif_demonitor_1(struct process *p, const term *a)
{
    return demonitor(p, a[0], TERM_NIL);
}

term bif_demonitor_2(struct process *p, const term *a)
{
    return demonitor(p, a[0], a[1]);
}

/* --- aliases ------------------------------------------------------------------------------------------ */

term bif_alias_0(struct process *p, const term *a)
{
    (void)a;
    return alias_make(p, false);
}

term bif_alias_1(struct process *p, const term *a)
{
    bool reply = false;
    term o = a[0];

    for (; is_cons(o); o = cdr(o)) {
        if (car(o) != ATOM_reply && car(o) != ATOM_explicit_unalias)
            return bif_badarg(p);
        reply = car(o) == ATOM_reply;
    }
    return is_nil(o) ? alias_make(p, reply) : bif_badarg(p);
}

term bif_unalias_1(struct process *p, const term *a)
{
    if (!is_ref(a[0]))
        return bif_badarg(p);
    return alias_remove(p, a[0]) ? ATOM_true : ATOM_false;
}

/* --- names ------------------------------------------------------------------------------------------------ */

term bif_register_2(struct process *p, const term *a)
{
    if (!is_atom(a[0]) || a[0] == ATOM_undefined || !is_local_receiver(a[1]) ||
        !registry_add(a[0], a[1]))
        return bif_badarg(p);
    return ATOM_true;
}

term bif_unregister_1(struct process *p, const term *a)
{
    return is_atom(a[0]) && registry_remove(a[0]) ? ATOM_true : bif_badarg(p);
}

term bif_whereis_1(struct process *p, const term *a)
{
    term pid;

    if (!is_atom(a[0]))
        return bif_badarg(p);
    pid = registry_whereis(a[0]);
    return pid != TERM_NONE ? pid : ATOM_undefined;
}

term bif_registered_0(struct process *p, const term *a)
{
    (void)a;
    return registry_names(&p->heap);
}

/* In the order of their numbers. Room is taken cell by cell: with a million processes the list is
 * no single block. */
term bif_processes_0(struct process *p, const term *a)
{
    size_t n = 0, cap = 256;
    term *pids = mem_alloc(cap * sizeof *pids), list = TERM_NIL;
    struct process *q;
    uint32_t at = 0;

    (void)a;
    while ((q = process_table_next(&at)) != NULL) {
        if (is_local_port(q->pid) ||
            atomic_load_explicit(&q->state, memory_order_relaxed) == PROC_EXITING)
            continue;
        if (n == cap)
            pids = mem_realloc(pids, (cap *= 2) * sizeof *pids);
        pids[n++] = q->pid;
    }
    charge(p, (int64_t)(n / 16));
    while (n > 0)
        list = heap_cons(&p->heap, pids[--n], list);
    mem_free(pids);
    return list;
}

/* --- group leader --------------------------------------------------------------------------------------------- */

term bif_group_leader_0(struct process *p, const term *a)
{
    (void)a;
    return p->group_leader;
}

term bif_group_leader_2(struct process *p, const term *a)
{
    struct process *q;

    if (!is_pid(a[0]) || !is_pid(a[1]))
        return bif_badarg(p);
    if (!is_local_pid(a[1])) {
        remote_group_leader(p, a[1], a[0]);
        return ATOM_true;
    }
    if (a[1] == p->pid) {
        p->group_leader = a[0];
        return ATOM_true;
    }
    q = process_lookup(a[1]);
    if (q == NULL)
        return bif_badarg(p);
    p->has_spawned |= a[0] == p->group_leader;
    signal_send(q, sig_new_copy(SIG_GROUP_LEADER, p->pid, TERM_NONE, a[0]));
    return ATOM_true;
}

/* --- dictionary --------------------------------------------------------------------------------------------------- */

term bif_put_2(struct process *p, const term *a)
{
    return pdict_put(p, a[0], a[1]);
}

term bif_get_1(struct process *p, const term *a)
{
    return pdict_get(p, a[0]);
}

term process_dictionary(struct process *p, struct heap *h)
{
    term list = TERM_NIL;

    for (uint32_t i = 0; p->dict != NULL && i < p->dict->cap; i++) {
        const term *kv = &p->dict->kv[2 * i];

        if (kv[0] != TERM_NONE)
            list = heap_cons(h, heap_tuple2(h, kv[0], kv[1]), list);
    }
    return list;
}

term bif_get_0(struct process *p, const term *a)
{
    (void)a;
    return process_dictionary(p, &p->heap);
}

static term dict_keys(struct process *p, const term *value)
{
    term list = TERM_NIL;

    for (uint32_t i = 0; p->dict != NULL && i < p->dict->cap; i++) {
        const term *kv = &p->dict->kv[2 * i];

        if (kv[0] != TERM_NONE && (value == NULL || term_eq(kv[1], *value)))
            list = heap_cons(&p->heap, kv[0], list);
    }
    return list;
}

term bif_get_keys_0(struct process *p, const term *a)
{
    (void)a;
    return dict_keys(p, NULL);
}

term bif_get_keys_1(struct process *p, const term *a)
{
    return dict_keys(p, a);
}

term bif_erase_0(struct process *p, const term *a)
{
    term list = process_dictionary(p, &p->heap);

    (void)a;
    pdict_free(p);
    return list;
}

term bif_erase_1(struct process *p, const term *a)
{
    return pdict_erase(p, a[0]);
}

/* --- flags ------------------------------------------------------------------------------------------------------------ */

static term flag_bool(struct process *p, bool *flag, term value)
{
    bool old = *flag;

    if (value != ATOM_true && value != ATOM_false)
        return bif_badarg(p);
    *flag = value == ATOM_true;
    return old ? ATOM_true : ATOM_false;
}

static term flag_max_heap(struct process *p, term value)
{
    struct process_ext *ext = process_ext_get(p);
    struct max_heap mh = { ext->max_heap_words, ext->max_heap_kill, ext->max_heap_log,
                           ext->max_heap_shared };
    term old = max_heap_show(&p->heap, &mh);

    if (!max_heap_read(value, &mh))
        return bif_badarg(p);
    if (is_small(old))
        return old;
    ext->max_heap_words = mh.words;
    ext->max_heap_kill = mh.kill;
    ext->max_heap_log = mh.log;
    ext->max_heap_shared = mh.shared;
    return old;
}

static term flag_priority(struct process *p, term value)
{
    term old = priority_show(p->prio);

    return priority_read(value, &p->prio) ? old : bif_badarg(p);
}

static term flag_msgq(struct process *p, term value)
{
    term old = p->msgq_off_heap ? ATOM_off_heap : ATOM_on_heap;
    bool off_heap;

    if (!msgq_read(value, &off_heap))
        return bif_badarg(p);
    p->msgq_off_heap = off_heap;
    return old;
}

/* Flags whose values are numbers of words or times. */
static term flag_number(struct process *p, term flag, term value)
{
    term old;
    int64_t n = small_val(value);

    if (!is_small(value) || n < 0)
        return bif_badarg(p);
    switch (flag) {
    case ATOM_fullsweep_after:
        old = small_make(p->heap.fullsweep_after);
        p->heap.fullsweep_after = n < UINT16_MAX ? (uint16_t)n : UINT16_MAX;
        return old;
    case ATOM_min_heap_size:
        old = small_make(p->heap.min_words != 0 ? p->heap.min_words : HEAP_MIN_WORDS);
        if (n > UINT32_MAX)
            return bif_badarg(p);
        p->heap.min_words = n > HEAP_MIN_WORDS ? (uint32_t)n : 0;
        return old;
    case ATOM_min_bin_vheap_size:
        old = small_make(process_ext_get(p)->min_vheap_words);
        p->ext->min_vheap_words = (uint64_t)n;
        return old;
    default:                            /* save_calls */
        old = small_make(process_ext_get(p)->save_calls);
        if (n > 10000)
            return bif_badarg(p);
        p->ext->save_calls = (uint32_t)n;
        return old;
    }
}

term bif_process_flag_2(struct process *p, const term *a)
{
    term old;

    switch (a[0]) {
    case ATOM_trap_exit:
        /* Exits that came before see the old value: the order of signals demands it. */
        if (!signals_handle(p))
            return exiting(p);
        return flag_bool(p, &p->trap_exit, a[1]);
    case ATOM_sensitive:          return flag_bool(p, &p->sensitive, a[1]);
    case ATOM_async_dist:         return flag_bool(p, &process_ext_get(p)->async_dist, a[1]);
    case ATOM_priority:           return flag_priority(p, a[1]);
    case ATOM_message_queue_data: return flag_msgq(p, a[1]);
    case ATOM_max_heap_size:      return flag_max_heap(p, a[1]);
    case ATOM_fullsweep_after:
    case ATOM_min_heap_size:
    case ATOM_min_bin_vheap_size:
    case ATOM_save_calls:         return flag_number(p, a[0], a[1]);
    case ATOM_error_handler:
        old = process_error_handler(p);
        if (!is_atom(a[1]))
            return bif_badarg(p);
        process_ext_get(p)->error_handler = a[1];
        return old;
    case ATOM_monitor_nodes:      return ATOM_ok;
    }
    if (is_tuple_n(a[0], 2) && tuple_elem(a[0], 0) == ATOM_monitor_nodes)
        return ATOM_ok;
    return bif_badarg(p);
}

/* Of another process: only save_calls may be set. */
term bif_process_flag_3(struct process *p, const term *a)
{
    if (!is_local_pid(a[0]) || a[1] != ATOM_save_calls || !is_small(a[2]))
        return bif_badarg(p);
    if (a[0] == p->pid)
        return flag_number(p, a[1], a[2]);
    return process_lookup(a[0]) != NULL ? small_make(0) : bif_badarg(p);
}

/* --- requests to other processes ------------------------------------------------------------------------------------------ */

/* Send a request to q, wait for the answer. The built-in is called again with the same arguments
 * until the answer is there. */
term process_request(struct process *p, term pid, enum request_kind kind, term operand,
                     size_t nargs, const term *args)
{
    struct process_ext *ext = process_ext_get(p);
    struct process *q;
    struct sig *sig;
    term ref, reply;

    if (ext->reply == TERM_NONE && ext->await_key == 0) {
        q = process_lookup(pid);
        if (q == NULL)
            return ATOM_undefined;
        charge(p, 2);
        ref = make_ref(p->sched);
        ext->await_key = imm_payload(ref);
        sig = sig_new_copy(SIG_REQUEST, p->pid, ref, operand);
        sig->aux = (uint16_t)kind;
        signal_send(q, sig);
        if (!signals_handle(p))
            return exiting(p);
    }
    reply = ext->reply;
    if (reply == TERM_NONE)
        return bif_wait(p, nargs, args);
    ext->reply = TERM_NONE;
    return reply;
}

term bif_is_process_alive_1(struct process *p, const term *a)
{
    term r;

    if (!is_local_pid(a[0]))
        return bif_badarg(p);
    if (a[0] == p->pid)
        return ATOM_true;
    r = process_request(p, a[0], REQUEST_ALIVE, TERM_NIL, 1, a);
    return r == ATOM_undefined ? ATOM_false : r;
}

static term collect_self(struct process *p, bool major)
{
    p->heap.collect_soon = true;
    if (major)
        process_ext_get(p)->collect_full = true;
    return ATOM_true;
}

term bif_garbage_collect_0(struct process *p, const term *a)
{
    (void)a;
    return collect_self(p, true);
}

term bif_erts_garbage_collect_1(struct process *p, const term *a)
{
    return collect_self(p, a[0] == ATOM_major);
}

term bif_garbage_collect_1(struct process *p, const term *a)
{
    term r;

    if (!is_local_pid(a[0]))
        return bif_badarg(p);
    if (a[0] == p->pid)
        return collect_self(p, true);
    r = process_request(p, a[0], REQUEST_COLLECT, ATOM_major, 1, a);
    return r == ATOM_undefined ? ATOM_false : r;
}

term bif_garbage_collect_2(struct process *p, const term *a)
{
    term async = TERM_NONE, type = ATOM_major, o = a[1], r;

    for (; is_cons(o); o = cdr(o)) {
        if (!is_tuple_n(car(o), 2))
            return bif_badarg(p);
        if (tuple_elem(car(o), 0) == ATOM_async)
            async = tuple_elem(car(o), 1);
        else if (tuple_elem(car(o), 0) == ATOM_type)
            type = tuple_elem(car(o), 1);
        else
            return bif_badarg(p);
    }
    if (!is_nil(o) || !is_local_pid(a[0]) || (type != ATOM_major && type != ATOM_minor))
        return bif_badarg(p);
    r = a[0] == p->pid ? collect_self(p, type == ATOM_major)
                       : process_request(p, a[0], REQUEST_COLLECT, type, 2, a);
    if (r == TERM_NONE)
        return r;
    if (r == ATOM_undefined)
        r = ATOM_false;
    if (async == TERM_NONE)
        return r;
    mailbox_append(p, heap_tuple3(&p->heap, ATOM_garbage_collect, async, r));
    return ATOM_async;
}

/* --- suspending -------------------------------------------------------------------------------------------------------------- */

static struct suspending *suspending_find(struct process *p, term pid)
{
    for (uint32_t i = 0; p->ext != NULL && i < p->ext->suspending_n; i++) {
        if (p->ext->suspending[i].pid == pid)
            return &p->ext->suspending[i];
    }
    return NULL;
}

static void suspending_add(struct process *p, term pid)
{
    struct suspending *s = suspending_find(p, pid);
    struct process_ext *ext = process_ext_get(p);

    if (s != NULL) {
        s->times++;
        return;
    }
    ext->suspending = mem_realloc(ext->suspending, (ext->suspending_n + 1) * sizeof *s);
    ext->suspending[ext->suspending_n++] = (struct suspending){ pid, 1 };
}

static term suspend(struct process *p, const term *a, size_t nargs, term options)
{
    struct suspending *s;
    bool unless = false;
    term r;

    for (; is_cons(options); options = cdr(options)) {
        if (car(options) == ATOM_unless_suspending)
            unless = true;
        else if (car(options) != ATOM_asynchronous)
            return bif_badarg(p);
    }
    if (!is_nil(options) || !is_local_pid(a[0]) || a[0] == p->pid)
        return bif_badarg(p);
    s = suspending_find(p, a[0]);
    if (unless && s != NULL)
        return ATOM_false;
    r = process_request(p, a[0], REQUEST_SUSPEND, TERM_NIL, nargs, a);
    if (r == ATOM_undefined)
        return bif_badarg(p);
    if (r != TERM_NONE)
        suspending_add(p, a[0]);
    return r;
}

term bif_suspend_process_1(struct process *p, const term *a)
{
    return suspend(p, a, 1, TERM_NIL);
}

term bif_suspend_process_2(struct process *p, const term *a)
{
    return suspend(p, a, 2, a[1]);
}

term bif_resume_process_1(struct process *p, const term *a)
{
    struct suspending *s = suspending_find(p, a[0]);
    struct process *q;

    if (s == NULL)
        return bif_badarg(p);
    q = process_lookup(a[0]);
    if (--s->times == 0)
        *s = p->ext->suspending[--p->ext->suspending_n];
    if (q == NULL)
        return bif_badarg(p);
    signal_post(q, SIG_RESUME, p->pid, TERM_NONE, TERM_NONE);
    return ATOM_true;
}

/* --- the rest ----------------------------------------------------------------------------------------------------------------- */

term bif_bump_reductions_1(struct process *p, const term *a)
{
    if (!is_small(a[0]) || small_val(a[0]) < 0)
        return is_integer(a[0]) && !is_small(a[0]) ? ATOM_true : bif_badarg(p);
    charge(p, small_val(a[0]) < INT32_MAX ? small_val(a[0]) : INT32_MAX);
    return ATOM_true;
}

static term halt_now(struct process *p, int status, bool dump, bool flush)
{
    if (vm_halt_hook == NULL)
        dump ? abort() : _Exit(status);
    vm_halt_hook(status, dump, flush);
    return bif_wait(p, 0, NULL);        /* nothing wakes it but the end; then it halts again */
}

static term halt_with(struct process *p, term status, bool flush)
{
    if (status == ATOM_abort)
        return halt_now(p, 1, true, false);
    if (is_small(status) && small_val(status) >= 0)
        return halt_now(p, (int)(small_val(status) & 0x7fffffff), false, flush);
    if (list_length(status) >= 0)       /* a crash slogan */
        return halt_now(p, 1, false, flush);
    return bif_badarg(p);
}

term bif_halt_0(struct process *p, const term *a)
{
    (void)a;
    return halt_with(p, small_make(0), true);
}

term bif_halt_1(struct process *p, const term *a)
{
    return halt_with(p, a[0], true);
}

term bif_halt_2(struct process *p, const term *a)
{
    bool flush = true;
    term o = a[1];

    for (; is_cons(o); o = cdr(o)) {
        if (!is_tuple_n(car(o), 2) || tuple_elem(car(o), 0) != ATOM_flush)
            return bif_badarg(p);
        flush = tuple_elem(car(o), 1) == ATOM_true;
    }
    return is_nil(o) ? halt_with(p, a[0], flush) : bif_badarg(p);
}
