/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inspect.c - reading other people's processes while they stand still
 */
#include "vm/inspect.h"

#include "base/epoch.h"
#include "vm/code_priv.h"
#include "vm/engine.h"
#include "vm/mailbox_priv.h"
#include "vm/process.h"
#include "vm/process_priv.h"
#include "vm/registry.h"
#include "vm/remote.h"
#include "vm/sched.h"
#include "vm/timer.h"

#include <sched.h>

/* --- processes ---------------------------------------------------------------------- */

const char *inspect_state_name(enum process_state state)
{
    switch (state) {
    case PROC_WAITING:
    case PROC_HELD:
        return "waiting";
    case PROC_RUNNABLE:
        return "runnable";
    case PROC_RUNNING:
        return "running";
    default:
        return "exiting";
    }
}

/* The old images of all modules, gathered once per look. */
struct old_images { const void *lo[256], *hi[256]; size_t n; };

static void add_old_image(struct module *m, void *arg)
{
    struct old_images *o = arg;

    if (m->old == NULL || o->n == 256)
        return;
    o->lo[o->n] = m->old->code;
    o->hi[o->n++] = (const uint8_t *)m->old->code + m->old->code_bytes;
}

static bool uses_old(const struct process *p, const struct old_images *o)
{
    for (size_t i = 0; i < o->n; i++) {
        if (engine_stack_uses_code(p, o->lo[i], o->hi[i]))
            return true;
    }
    return false;
}

/* Make p ours for a look: schedulers stand still, but other threads (blocking work, the control
 * thread) may deliver into it. Gives the state it was in, for look_end; PROC_FREE: it is on its way
 * out, and its heap may be gone. */
static enum process_state look_begin(struct process *p)
{
    for (;;) {
        enum process_state was = process_try_hold(p);
        uint32_t now;

        if (was != PROC_FREE)
            return was;
        now = atomic_load(&p->state);
        if (now == PROC_EXITING || now == PROC_FREE)
            return PROC_FREE;
        sched_yield();      /* a delivery takes a moment and waits for nobody */
    }
}

static void look_end(struct process *p, enum process_state was)
{
    process_release_hold(p, was, false);
}

static void view_fill(struct process_view *v, struct process *p, const struct old_images *old,
                      uint32_t now_cs)
{
    uint32_t arity;
    term name = atomic_load_explicit(&p->registered, memory_order_relaxed);
    enum process_state was = look_begin(p);

    *v = (struct process_view){
        .pid = p->pid, .parent = p->parent,
        .group_leader = is_local_pid(p->group_leader) ? p->group_leader : TERM_NIL,
        .name = is_atom(name) ? name : TERM_NIL,
        .initial = { p->initial[0], p->initial[1], small_make(p->initial_arity) },
        .current = { TERM_NIL, TERM_NIL, TERM_NIL }, .state = inspect_state_name(was),
        .reductions = atomic_load_explicit(&p->reductions, memory_order_relaxed),
        .trap_exit = p->trap_exit, .age_cs = now_cs - p->born_cs,
    };
    if (was == PROC_FREE)
        return;
    if (was == PROC_WAITING)
        v->waits_cs = now_cs - p->parked_cs;
    v->messages = mailbox_length(p);
    v->heap_bytes = heap_bytes(&p->heap);
    if (engine_current_function(p, &v->current[0], &v->current[1], &arity))
        v->current[2] = small_make(arity);
    v->old_code = old->n > 0 && uses_old(p, old);
    look_end(p, was);
}

size_t inspect_processes(bool want_old_code,
                         bool (*visit)(void *arg, const struct process_view *v), void *arg)
{
    uint32_t at = 0;
    size_t seen = 0;
    uint32_t now_cs = sched_now_cs();
    bool more = true;

    while (more) {
        struct old_images old = { .n = 0 };

        world_stop();
        epoch_enter();
        if (want_old_code)
            code_each(add_old_image, &old);
        for (size_t i = 0; more && i < INSPECT_BATCH; i++) {
            struct process *p = process_table_next(&at);
            struct process_view v;

            if (p == NULL) {
                more = false;
                break;
            }
            if (is_local_port(p->pid))
                continue;
            view_fill(&v, p, &old, now_cs);
            seen++;
            more = visit(arg, &v);
        }
        epoch_leave();
        world_resume();
    }
    return seen;
}

#define DETAILS_BATCH 1024      /* filled in one stop */

size_t inspect_details(struct process_view *at, size_t n)
{
    struct old_images none = { .n = 0 };
    uint32_t now_cs = sched_now_cs();
    size_t kept = 0;

    for (size_t i = 0; i < n; ) {
        world_stop();
        epoch_enter();
        for (size_t end = i + DETAILS_BATCH; i < n && i < end; i++) {
            struct process *p = process_lookup(at[i].pid);
            uint64_t work = at[i].work;

            if (p == NULL)
                continue;
            view_fill(&at[kept], p, &none, now_cs);
            at[kept++].work = work;
        }
        epoch_leave();
        world_resume();
    }
    return kept;
}

bool inspect_has_old_code(void)
{
    struct old_images old = { .n = 0 };

    world_stop();
    code_each(add_old_image, &old);
    world_resume();
    return old.n > 0;
}

static void peer_fill(struct wait_view *w, const struct relation *r)
{
    uint32_t creation;

    w->peer = r->peer;
    if (r->session == 0)
        return;
    w->peer_node = vm_remote->node(r->session, &creation);
    w->peer = r->peer == REMOTE_NAMED ? TERM_NIL : imm_make(IMM_PID, imm_payload(r->peer));
    if (r->tag != NULL && is_tuple_n(r->tag->item, 2) && is_atom(tuple_elem(r->tag->item, 0)))
        w->peer_name = tuple_elem(r->tag->item, 0);     /* {Name, Node} */
}

/* The process whose reply p awaits: its receive is bound to the reference of a monitor. */
static void awaited_peer(struct wait_view *w, const struct process *p)
{
    const struct recv_marks *m = p->marks;

    for (uint32_t i = 0; m != NULL && i < MARKS_MAX; i++) {
        term ref = m->slot[(m->next + MARKS_MAX - 1 - i) % MARKS_MAX].ref;
        struct relation *r = ref == TERM_NONE || is_nil(ref)
                                 ? NULL : relation_find(p, relation_key(REL_MINE, ref));

        if (r != NULL && (is_local_pid(r->peer) || is_remote(r->peer))) {
            peer_fill(w, r);
            return;
        }
    }
}

/* The first argument of the built-in that p waits in, where it is cheap to copy. */
static term first_argument(const struct process *p, struct heap *bag)
{
    term t = p->live > 0 ? p->heap.E[1] : TERM_NONE;    /* E[0] is the return address */

    return !is_box(t) && !is_cons(t) ? t : is_ref(t) ? heap_copy(bag, t) : TERM_NONE;
}

static void wait_fill(struct wait_view *w, struct process *p, struct heap *bag)
{
    switch (p->wait_kind & (unsigned)~RECEIVE_TIMED_OUT) {
    case WAIT_HIBERNATE:
        w->reason = WAITS_ASLEEP;
        break;
    case WAIT_BIF: {
        const struct export *ex = CONTAINER_OF(p->ip, struct export, reserved);

        w->reason = p->job != NULL ? WAITS_WORK : WAITS_BUILT_IN;
        w->built_in[0] = ex->module;
        w->built_in[1] = ex->function;
        w->built_in[2] = small_make(ex->arity);
        w->first = first_argument(p, bag);
        break;
    }
    default:
        w->reason = WAITS_MESSAGE;
        w->gives_up_ms = receive_timer_left_ms(p);
        awaited_peer(w, p);
    }
    if (p->ext != NULL && p->ext->suspends > 0)
        w->reason = WAITS_RESUME;
}

struct wait_view inspect_wait(term pid, struct heap *bag)
{
    struct wait_view w = { .reason = WAITS_GONE, .gives_up_ms = -1, .peer = TERM_NONE,
                           .peer_node = TERM_NIL, .peer_name = TERM_NIL, .first = TERM_NONE };
    struct old_images none = { .n = 0 };
    enum process_state was;
    struct process *p;

    world_stop();
    epoch_enter();
    p = process_lookup(pid);
    if (p != NULL) {
        view_fill(&w.view, p, &none, sched_now_cs());
        was = look_begin(p);
        if (was == PROC_WAITING)
            wait_fill(&w, p, bag);
        else if (was != PROC_FREE)
            w.reason = was == PROC_RUNNABLE ? WAITS_SCHEDULER : WAITS_NOT;
        if (was != PROC_FREE)
            look_end(p, was);
    }
    epoch_leave();
    world_resume();
    return w;
}

term inspect_process_info(term pid, term items, struct heap *bag)
{
    struct process *p;
    term answer = TERM_NONE;
    enum process_state was;

    world_stop();
    epoch_enter();
    p = process_lookup(pid);
    if (p != NULL && (was = look_begin(p)) != PROC_FREE) {
        answer = process_answer(p, REQUEST_INFO, items, bag);
        if (answer != TERM_NONE)
            answer = heap_copy_whole(bag, heap_copy(bag, answer));
        look_end(p, was);
    }
    epoch_leave();
    world_resume();
    return answer;
}

bool inspect_memory(term pid, struct memory_view *ret)
{
    enum process_state was;
    struct process *p;
    bool found = false;

    world_stop();
    epoch_enter();
    p = process_lookup(pid);
    if (p != NULL && (was = look_begin(p)) != PROC_FREE) {
        *ret = (struct memory_view){
            .stack_bytes = (uint64_t)(p->heap.hi - p->heap.E) * sizeof(term),
            .young_collections = p->heap.young_gcs,
        };
        ret->binary_bytes = heap_binary_bytes(&p->heap, &ret->binaries_cut);
        look_end(p, was);
        found = true;
    }
    epoch_leave();
    world_resume();
    return found;
}

size_t inspect_messages(term pid, size_t n, bool (*put)(void *arg, term msg), void *arg)
{
    enum process_state was;
    struct process *p;
    size_t there = 0;

    world_stop();
    epoch_enter();
    p = process_lookup(pid);
    if (p != NULL && (was = look_begin(p)) != PROC_FREE) {
        there = mailbox_length(p);
        for (size_t i = 0; i < n && i < there && put(arg, mailbox_nth(p, i)); i++)
            ;
        look_end(p, was);
    }
    epoch_leave();
    world_resume();
    return there;
}

term inspect_name(term pid)
{
    struct process *p;
    term name = TERM_NIL;

    epoch_enter();
    p = process_lookup(pid);
    if (p != NULL)
        name = atomic_load_explicit(&p->registered, memory_order_relaxed);
    epoch_leave();
    return is_atom(name) ? name : TERM_NIL;
}

uint32_t inspect_processes_max(void)
{
    return process_table_max();
}

uint32_t inspect_processes_alive(void)
{
    return process_count();
}

bool inspect_is_alive(term pid)
{
    bool alive;

    epoch_enter();
    alive = process_lookup(pid) != NULL;
    epoch_leave();
    return alive;
}

bool inspect_kill(term pid)
{
    struct process *p;

    epoch_enter();
    p = process_lookup(pid);
    if (p != NULL)
        signal_post(p, SIG_EXIT, pid, TERM_NONE, ATOM_kill);
    epoch_leave();
    return p != NULL;
}

bool inspect_collect(term pid, size_t *ret_before, size_t *ret_after)
{
    struct process *p;
    bool done = false;

    world_stop();
    epoch_enter();
    p = process_lookup(pid);
    /* A built-in that stands still keeps addresses of the heap. */
    if (p != NULL && p->long_call == NULL &&
        atomic_load_explicit(&p->state, memory_order_relaxed) != PROC_EXITING) {
        *ret_before = heap_bytes(&p->heap);
        done = process_collect(p, 0, 0, GC_FULL);
        *ret_after = heap_bytes(&p->heap);
    }
    epoch_leave();
    world_resume();
    return done;
}

/* --- modules ------------------------------------------------------------------------ */

struct module_visit { void (*visit)(void *arg, const struct module_view *v); void *arg; };

static void visit_module(struct module *m, void *arg)
{
    struct module_visit *mv = arg;
    struct module_view v = { .name = m->name, .has_old = m->old != NULL };

    if (m->current == NULL)
        return;
    v.code_bytes = m->current->code_bytes;
    v.literal_bytes = m->current->literals.words * sizeof(term);
    v.functions = m->current->n_functions;
    memcpy(v.md5, m->current->md5, sizeof v.md5);
    mv->visit(mv->arg, &v);
}

void inspect_modules(void (*visit)(void *arg, const struct module_view *v), void *arg)
{
    struct module_visit mv = { visit, arg };

    world_stop();
    code_each(visit_module, &mv);
    world_resume();
}

bool inspect_source(term module, struct buf *out)
{
    const struct image *im;
    struct module *m;
    uint32_t file = UINT32_MAX;

    world_stop();
    m = code_module(module);
    im = m != NULL ? m->current : NULL;
    for (size_t i = 0; im != NULL && i < im->n_lines && file == UINT32_MAX; i++) {
        if (im->lines[i].line > 0 && im->lines[i].file < im->n_files)
            file = im->lines[i].file;
    }
    for (term l = file != UINT32_MAX ? tuple_elem(im->files[file], 1) : TERM_NIL; is_cons(l); l = cdr(l))
        buf_u8(out, (uint8_t)small_val(car(l)));
    world_resume();
    return file != UINT32_MAX;
}

bool inspect_exports(term module, void (*visit)(void *arg, const struct export_view *v), void *arg)
{
    struct module *m;

    world_stop();
    m = code_module(module);
    for (size_t i = 0; m != NULL && m->current != NULL && i < m->current->n_listed; i++) {
        const struct export *e = m->current->exports[i].export;
        struct export_view v = { e->function, e->arity };

        visit(arg, &v);
    }
    world_resume();
    return m != NULL && m->current != NULL;
}
