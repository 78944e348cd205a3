/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process_info.c - erlang:process_info
 *
 * A row per item says how its value is made from a process that the caller owns: the caller itself,
 * or, asked by a signal, the other process when it handles the request.
 */
#include "bif/bif.h"
#include "bif/process_options.h"
#include "bif/process_request.h"
#include "heap/etf.h"

#include "vm/engine.h"
#include "vm/mailbox.h"
#include "vm/pdict.h"
#include "vm/remote.h"

#include <stdio.h>

typedef term item_fn(struct process *p, struct heap *h);

static term words(struct heap *h, uint64_t n)
{
    return heap_uint(h, n);
}

static term info_registered_name(struct process *p, struct heap *h)
{
    (void)h;
    return atomic_load(&p->registered);     /* NIL: none */
}

static term info_initial_call(struct process *p, struct heap *h)
{
    return heap_tuple3(h, p->initial[0], p->initial[1], small_make(p->initial_arity));
}

static term info_current_function(struct process *p, struct heap *h)
{
    term m, f;
    uint32_t arity;

    if ((p->wait_kind & (unsigned)~RECEIVE_TIMED_OUT) == WAIT_HIBERNATE)
        return heap_tuple3(h, ATOM_erlang, ATOM_hibernate, small_make(3));
    if (!engine_current_function(p, &m, &f, &arity))
        return info_initial_call(p, h);     /* it has not begun */
    return heap_tuple3(h, m, f, small_make(arity));
}

static term info_status(struct process *p, struct heap *h)
{
    unsigned kind = p->wait_kind & (unsigned)~RECEIVE_TIMED_OUT;

    (void)h;
    if (p->ext != NULL && p->ext->suspends > 0)
        return ATOM_suspended;
    if (p->sched != NULL && kind == WAIT_NOT)
        return ATOM_running;
    if (kind != WAIT_NOT && !mailbox_has_unseen(p))
        return ATOM_waiting;
    return ATOM_runnable;
}

static term info_message_queue_len(struct process *p, struct heap *h)
{
    return words(h, mailbox_length(p));
}

static term info_messages(struct process *p, struct heap *h)
{
    term list = TERM_NIL;

    for (size_t n = mailbox_length(p); n > 0; n--)
        list = heap_cons(h, mailbox_nth(p, n - 1), list);
    return list;
}

static term info_links(struct process *p, struct heap *h)
{
    term list = TERM_NIL;
    uint32_t at = 0;

    for (struct relation *r; (r = relation_next(p, &at)) != NULL; ) {
        if (relation_class(r) == REL_LINK && r->unlink_id == 0)
            list = heap_cons(h, remote_shown(h, r->session, r->peer), list);
    }
    return list;
}

static term monitored(struct heap *h, const struct relation *r)
{
    term who = remote_shown(h, r->session, r->peer);

    if (r->tag != NULL && r->tag->item != TERM_NONE)
        who = heap_copy(h, r->tag->item);
    if (r->tag != NULL && r->tag->name != TERM_NONE)
        who = heap_tuple2(h, r->tag->name, etf_env.local_node);
    return heap_tuple2(h, ATOM_process, who);
}

static term info_monitors(struct process *p, struct heap *h)
{
    term list = TERM_NIL;
    uint32_t at = 0;

    for (struct relation *r; (r = relation_next(p, &at)) != NULL; ) {
        if (relation_class(r) == REL_MINE && r->peer != TERM_NONE && r->peer != TERM_NIL && r->spawn == 0)
            list = heap_cons(h, monitored(h, r), list);
    }
    return list;
}

static term info_monitored_by(struct process *p, struct heap *h)
{
    term list = TERM_NIL;
    uint32_t at = 0;

    for (struct relation *r; (r = relation_next(p, &at)) != NULL; ) {
        if (relation_class(r) == REL_WATCHER)
            list = heap_cons(h, remote_shown(h, r->session, r->peer), list);
    }
    return list;
}

static term info_trap_exit(struct process *p, struct heap *h)
{
    (void)h;
    return p->trap_exit ? ATOM_true : ATOM_false;
}

static term info_error_handler(struct process *p, struct heap *h)
{
    (void)h;
    return process_error_handler(p);
}

static term info_priority(struct process *p, struct heap *h)
{
    (void)h;
    return priority_show(p->prio);
}

static term info_group_leader(struct process *p, struct heap *h)
{
    (void)h;
    return p->group_leader;
}

static uint64_t stack_words(const struct process *p)
{
    return (uint64_t)(p->heap.hi - p->heap.E);
}

static term info_heap_size(struct process *p, struct heap *h)
{
    return words(h, (uint64_t)(p->heap.hi - p->heap.lo));
}

static term info_total_heap_size(struct process *p, struct heap *h)
{
    return words(h, (uint64_t)(p->heap.hi - p->heap.lo) +
                    (uint64_t)(p->heap.old_hi - p->heap.old_lo) + p->heap.frag_words);
}

static term info_stack_size(struct process *p, struct heap *h)
{
    return words(h, stack_words(p));
}

static term info_memory(struct process *p, struct heap *h)
{
    return words(h, sizeof *p + heap_bytes(&p->heap) + 8 * mailbox_length(p));
}

static term info_reductions(struct process *p, struct heap *h)
{
    return words(h, atomic_load_explicit(&p->reductions, memory_order_relaxed));
}

static term max_heap_of(struct process *p, struct heap *h)
{
    struct max_heap mh = { .kill = true, .log = true };

    if (p->ext != NULL)
        mh = (struct max_heap){ p->ext->max_heap_words, p->ext->max_heap_kill,
                                p->ext->max_heap_log, p->ext->max_heap_shared };
    return max_heap_show(h, &mh);
}

static term gc_pair(struct heap *h, term key, term value, term rest)
{
    return heap_cons(h, heap_tuple2(h, key, value), rest);
}

static term info_garbage_collection(struct process *p, struct heap *h)
{
    term l = TERM_NIL;
    uint64_t vheap = p->ext != NULL ? p->ext->min_vheap_words : MIN_VHEAP_WORDS;

    l = gc_pair(h, ATOM_minor_gcs, small_make(p->heap.young_gcs), l);
    l = gc_pair(h, ATOM_fullsweep_after, small_make(p->heap.fullsweep_after), l);
    l = gc_pair(h, ATOM_min_heap_size,
                small_make(p->heap.min_words != 0 ? p->heap.min_words : HEAP_MIN_WORDS), l);
    l = gc_pair(h, ATOM_min_bin_vheap_size, words(h, vheap), l);
    return gc_pair(h, ATOM_max_heap_size, max_heap_of(p, h), l);
}

static term info_garbage_collection_info(struct process *p, struct heap *h)
{
    term l = TERM_NIL;

    l = gc_pair(h, ATOM_old_heap_size, words(h, (uint64_t)(p->heap.old_top - p->heap.old_lo)), l);
    l = gc_pair(h, ATOM_old_heap_block_size,
                words(h, (uint64_t)(p->heap.old_hi - p->heap.old_lo)), l);
    l = gc_pair(h, ATOM_recent_size, words(h, (uint64_t)(p->heap.high - p->heap.lo)), l);
    l = gc_pair(h, ATOM_mbuf_size, words(h, p->heap.frag_words), l);
    l = gc_pair(h, ATOM_stack_size, words(h, stack_words(p)), l);
    l = gc_pair(h, ATOM_heap_size, words(h, (uint64_t)(p->heap.H - p->heap.lo)), l);
    return gc_pair(h, ATOM_heap_block_size, info_heap_size(p, h), l);
}

static term info_fullsweep_after(struct process *p, struct heap *h)
{
    (void)h;
    return small_make(p->heap.fullsweep_after);
}

static term info_message_queue_data(struct process *p, struct heap *h)
{
    (void)h;
    return p->msgq_off_heap ? ATOM_off_heap : ATOM_on_heap;
}

static term info_parent(struct process *p, struct heap *h)
{
    (void)h;
    return p->parent;
}

static term info_catchlevel(struct process *p, struct heap *h)
{
    (void)h;
    return small_make(p->heap.catches);
}

static term info_current_stacktrace(struct process *p, struct heap *h)
{
    return stacktrace_current(p, h, 8);
}

/* {M, F, Arity, Location} of the innermost function. */
static term info_current_location(struct process *p, struct heap *h)
{
    term trace = stacktrace_current(p, h, 1);

    return is_cons(trace) ? car(trace) : ATOM_undefined;
}

static term info_suspending(struct process *p, struct heap *h)
{
    term l = TERM_NIL;

    for (uint32_t i = 0; p->ext != NULL && i < p->ext->suspending_n; i++) {
        struct suspending *s = &p->ext->suspending[i];

        l = heap_cons(h, heap_tuple3(h, s->pid, small_make(s->times), small_make(0)), l);
    }
    return l;
}

static term info_nil(struct process *p, struct heap *h)
{
    (void)p;
    (void)h;
    return TERM_NIL;
}

static term info_false(struct process *p, struct heap *h)
{
    (void)p;
    (void)h;
    return ATOM_false;
}

static term info_async_dist(struct process *p, struct heap *h)
{
    (void)h;
    return p->ext != NULL && p->ext->async_dist ? ATOM_true : ATOM_false;
}

static term info_backtrace(struct process *p, struct heap *h)
{
    term trace = stacktrace_current(p, h, 100);
    char text[160];
    size_t n = 0;

    for (; is_cons(trace); trace = cdr(trace))
        n++;
    snprintf(text, sizeof text, "%zu frames, %zu words of stack\n", n, (size_t)stack_words(p));
    return heap_binary(h, text, strlen(text));
}

/* In the order of process_info/1; the first DEFAULT_ITEMS are its items. */
static const struct { term name; item_fn *fn; } items[] = {
    { ATOM_current_function, info_current_function },
    { ATOM_initial_call, info_initial_call },
    { ATOM_status, info_status },
    { ATOM_message_queue_len, info_message_queue_len },
    { ATOM_links, info_links },
    { ATOM_dictionary, process_dictionary },
    { ATOM_trap_exit, info_trap_exit },
    { ATOM_error_handler, info_error_handler },
    { ATOM_priority, info_priority },
    { ATOM_group_leader, info_group_leader },
    { ATOM_total_heap_size, info_total_heap_size },
    { ATOM_heap_size, info_heap_size },
    { ATOM_stack_size, info_stack_size },
    { ATOM_reductions, info_reductions },
    { ATOM_garbage_collection, info_garbage_collection },
    { ATOM_suspending, info_suspending },
#define DEFAULT_ITEMS 16
    { ATOM_registered_name, info_registered_name },
    { ATOM_messages, info_messages },
    { ATOM_monitors, info_monitors },
    { ATOM_monitored_by, info_monitored_by },
    { ATOM_memory, info_memory },
    { ATOM_garbage_collection_info, info_garbage_collection_info },
    { ATOM_fullsweep_after, info_fullsweep_after },
    { ATOM_max_heap_size, max_heap_of },
    { ATOM_message_queue_data, info_message_queue_data },
    { ATOM_parent, info_parent },
    { ATOM_catchlevel, info_catchlevel },
    { ATOM_current_stacktrace, info_current_stacktrace },
    { ATOM_current_location, info_current_location },
    { ATOM_binary, info_nil },
    { ATOM_sequential_trace_token, info_nil },
    { ATOM_last_calls, info_false },
    { ATOM_async_dist, info_async_dist },
    { ATOM_backtrace, info_backtrace },
};

static item_fn *item_find(term name)
{
    for (size_t i = 0; i < ARRAY_LEN(items); i++) {
        if (items[i].name == name)
            return items[i].fn;
    }
    return NULL;
}

/* {dictionary, Key} */
static bool is_key_item(term item)
{
    return is_tuple_n(item, 2) && tuple_elem(item, 0) == ATOM_dictionary;
}

static bool is_item(term item)
{
    return (is_atom(item) && item_find(item) != NULL) || is_key_item(item);
}

static term item_pair(struct process *p, term item, struct heap *h)
{
    if (is_atom(item))
        return heap_tuple2(h, item, item_find(item)(p, h));
    return heap_tuple2(h, heap_copy(h, item), pdict_get(p, tuple_elem(item, 1)));
}

/* list: of items, one pair each. all: registered_name only if there is one. */
static term pairs_of(struct process *p, term list, struct heap *h)
{
    term pairs[64], result = TERM_NIL;
    size_t n = 0;

    for (; is_cons(list) && n < ARRAY_LEN(pairs); list = cdr(list))
        pairs[n++] = item_pair(p, car(list), h);
    if (is_cons(list))
        result = pairs_of(p, list, h);
    return heap_list(h, pairs, n, result);
}

static term all_items(struct process *p, struct heap *h)
{
    term pairs[DEFAULT_ITEMS + 1];
    size_t n = 0;

    if (is_atom(atomic_load(&p->registered)))
        pairs[n++] = item_pair(p, ATOM_registered_name, h);
    for (size_t i = 0; i < DEFAULT_ITEMS; i++)
        pairs[n++] = item_pair(p, items[i].name, h);
    return heap_list(h, pairs, n, TERM_NIL);
}

/* request: NONE: everything; a list; an item. */
static term answer(struct process *p, term request, struct heap *h)
{
    if (request == ATOM_all)
        return all_items(p, h);
    if (is_list(request))
        return pairs_of(p, request, h);
    if (request == ATOM_registered_name && !is_atom(atomic_load(&p->registered)))
        return TERM_NIL;
    return item_pair(p, request, h);
}

void process_info_init(void)
{
    process_info_answer = answer;
}

static term info(struct process *p, term request, size_t nargs, const term *a)
{
    if (a[0] == p->pid) {
        /* What has come counts as received: process_info(messages) shows it. */
        if (!signals_handle(p)) {
            p->action = BIF_EXIT;
            return TERM_NONE;
        }
        return answer(p, request, &p->heap);
    }
    return process_request(p, a[0], REQUEST_INFO, request, nargs, a);
}

term bif_process_info_1(struct process *p, const term *a)
{
    return is_local_pid(a[0]) ? info(p, ATOM_all, 1, a) : bif_badarg(p);
}

term bif_process_info_2(struct process *p, const term *a)
{
    term l = a[1];

    if (!is_local_pid(a[0]))
        return bif_badarg(p);
    if (is_list(l)) {
        for (; is_cons(l); l = cdr(l)) {
            if (!is_item(car(l)))
                return bif_badarg(p);
        }
        if (!is_nil(l))
            return bif_badarg(p);
    } else if (!is_item(l)) {
        return bif_badarg(p);
    }
    return info(p, a[1], 2, a);
}

/* process_display(Pid, backtrace) */
term bif_process_display_2(struct process *p, const term *a)
{
    if (!is_local_pid(a[0]) || a[1] != ATOM_backtrace || process_lookup(a[0]) == NULL)
        return bif_badarg(p);
    fprintf(stderr, "Program counter and stack of <0.%u.%u>\n", pid_slot(a[0]), pid_serial(a[0]));
    return ATOM_true;
}
