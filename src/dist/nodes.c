/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nodes.c - which nodes there are, and who is told when one comes or goes
 *
 * One table under one lock: nodes are few and change seldom. The messages are sent on the I/O thread
 * of the peer, so a process gets {nodedown, N} after all that N's processes sent it.
 */
#include "dist/nodes.h"

#include "dist/dist_priv.h"

#include "base/alloc.h"
#include "dist/names.h"
#include "heap/etf.h"
#include "heap/map.h"
#include "term/atom.h"
#include "vm/bif.h"

/* A monitor_node(Node, true), once for each call. */
struct node_monitor { term node, pid; };

/* A net_kernel:monitor_nodes(true). */
struct subscriber { term pid; bool with_info, reason; uint32_t times; };

/* A built-in that waits for a session to come up, or not. */
struct waiter { peer_id peer; term pid, ref; };

#define VECTOR(type) struct { type *at; uint32_t n, cap; }

static pthread_mutex_t nodes_lock = PTHREAD_MUTEX_INITIALIZER;
static VECTOR(struct session *) up;             /* [lk nodes_lock] sessions that are up */
static VECTOR(struct node_monitor) monitors;    /* [lk nodes_lock] */
static VECTOR(struct subscriber) subscribers;   /* [lk nodes_lock] */
static VECTOR(struct waiter) waiters;           /* [lk nodes_lock] */

/* Room for one more at the end of v, which counts. */
#define vector_more(v)                                                                            \
    ((v).n == (v).cap ? (void)((v).cap = (v).cap != 0 ? 2 * (v).cap : 8,                          \
                               (v).at = mem_realloc((v).at, (v).cap * sizeof *(v).at))            \
                      : (void)0, &(v).at[(v).n++])

/* --- messages; callers are inside an epoch ------------------------------------------------------------------------------------------ */

static void tell_waiters_locked(peer_id peer, term answer)
{
    for (uint32_t i = 0; i < waiters.n; ) {
        struct process *p;

        if (waiters.at[i].peer != peer) {
            i++;
            continue;
        }
        p = process_lookup(waiters.at[i].pid);
        if (p != NULL)
            signal_post(p, SIG_REPLY, TERM_NONE, waiters.at[i].ref, answer);
        waiters.at[i] = waiters.at[--waiters.n];
    }
}

static term reason_atom(enum peer_end why)
{
    return atom_from_cstr(why == PEER_END_CLOSED || why == PEER_END_GOODBYE ? "connection_closed"
                          : why == PEER_END_SILENT    ? "net_tick_timeout"
                          : why == PEER_END_LOCAL     ? "disconnect"
                                                      : "net_kernel_terminated");
}

/* {nodeup | nodedown, Node} or {.., Node, Info}. */
static void tell_subscribers_locked(term event, term node, term reason)
{
    struct heap bag;
    term visible;

    heap_bag_init(&bag);
    visible = heap_cons(&bag, heap_tuple2(&bag, ATOM_node_type, ATOM_visible), TERM_NIL);
    for (uint32_t i = 0; i < subscribers.n; i++) {
        const struct subscriber *s = &subscribers.at[i];
        term info = visible, msg;

        if (s->reason && reason != TERM_NONE)
            info = heap_cons(&bag, heap_tuple2(&bag, ATOM_nodedown_reason, reason), info);
        msg = s->with_info ? heap_tuple3(&bag, event, node, info) : heap_tuple2(&bag, event, node);
        for (uint32_t n = 0; n < s->times; n++)
            process_send(NULL, s->pid, msg);
    }
    heap_fini(&bag);
}

static void tell_monitors_locked(term node)
{
    struct heap bag;
    term msg;

    heap_bag_init(&bag);
    msg = heap_tuple2(&bag, ATOM_nodedown, node);
    for (uint32_t i = 0; i < monitors.n; ) {
        if (monitors.at[i].node != node) {
            i++;
            continue;
        }
        process_send(NULL, monitors.at[i].pid, msg);
        monitors.at[i] = monitors.at[--monitors.n];
    }
    heap_fini(&bag);
}

static void on_up(struct session *s)
{
    names_up(s);
    pthread_mutex_lock(&nodes_lock);
    *vector_more(up) = s;
    tell_waiters_locked(s->peer, ATOM_true);
    tell_subscribers_locked(ATOM_nodeup, s->node, TERM_NONE);
    pthread_mutex_unlock(&nodes_lock);
}

static void on_down(struct session *s, bool was_up, enum peer_end why)
{
    names_down(s);
    pthread_mutex_lock(&nodes_lock);
    for (uint32_t i = 0; i < up.n; i++) {
        if (up.at[i] == s) {
            up.at[i] = up.at[--up.n];
            break;
        }
    }
    tell_monitors_locked(s->node);
    tell_waiters_locked(s->peer, ATOM_false);
    if (was_up)
        tell_subscribers_locked(ATOM_nodedown, s->node, reason_atom(why));
    pthread_mutex_unlock(&nodes_lock);
}

/* --- nodes/0,1 ----------------------------------------------------------------------------------------- */

#define is_alive() (etf_env.local_node != ATOM_nonode_nohost)

term nodes_list(struct heap *h)
{
    term list = TERM_NIL;

    pthread_mutex_lock(&nodes_lock);
    for (uint32_t i = 0; i < up.n; i++)
        list = heap_cons(h, up.at[i]->node, list);
    pthread_mutex_unlock(&nodes_lock);
    return list;
}

static term bif_dist_nodes_0(struct process *p, const term *a)
{
    return nodes_list(&p->heap);
}

static bool add_kind(term kind, bool *self, bool *others)
{
    bool known = kind == ATOM_known, connected = kind == ATOM_visible || kind == ATOM_connected;

    *self |= known || kind == ATOM_this;
    *others |= known || connected;
    return known || connected || kind == ATOM_this || kind == ATOM_hidden;
}

/* Which nodes an argument of nodes/1 names: each once, for the kinds overlap. False: none. */
static bool node_kinds(term arg, bool *ret_self, bool *ret_others)
{
    *ret_self = *ret_others = false;
    if (is_atom(arg))
        return add_kind(arg, ret_self, ret_others);
    for (; is_cons(arg); arg = cdr(arg))
        if (!add_kind(car(arg), ret_self, ret_others))
            return false;
    return is_nil(arg);
}

static term bif_dist_nodes_1(struct process *p, const term *a)
{
    bool self, others;
    term list;

    if (!node_kinds(a[0], &self, &others))
        return bif_badarg(p);
    list = others ? nodes_list(&p->heap) : TERM_NIL;
    return self ? heap_cons(&p->heap, etf_env.local_node, list) : list;
}

/* {Node, Info} with what the options of nodes/2 ask for. */
static term node_with_info(struct heap *h, term node, term type, term connection, term options)
{
    term pairs[4];
    size_t n = 0;

    if (map_get(options, ATOM_connection_id) == ATOM_true) {
        pairs[2 * n] = ATOM_connection_id;
        pairs[2 * n++ + 1] = connection;
    }
    if (map_get(options, ATOM_node_type) == ATOM_true) {
        pairs[2 * n] = ATOM_node_type;
        pairs[2 * n++ + 1] = type;
    }
    return heap_tuple2(h, node, map_from_pairs(h, pairs, n));
}

static bool is_node_options(term t)
{
    size_t known = 0;

    if (!is_map(t))
        return false;
    for (size_t i = 0; i < 2; i++) {
        term v = map_get(t, i == 0 ? ATOM_connection_id : ATOM_node_type);

        if (v != TERM_NONE && v != ATOM_true && v != ATOM_false)
            return false;
        known += v != TERM_NONE;
    }
    return map_size(t) == known;
}

static term bif_dist_nodes_2(struct process *p, const term *a)
{
    struct heap *h = &p->heap;
    term list = TERM_NIL;
    bool self, others;

    if (!node_kinds(a[0], &self, &others) || !is_node_options(a[1]))
        return bif_badarg(p);
    if (others) {
        pthread_mutex_lock(&nodes_lock);
        for (uint32_t i = 0; i < up.n; i++)
            list = heap_cons(h, node_with_info(h, up.at[i]->node, ATOM_visible,
                                               heap_uint(h, up.at[i]->id), a[1]), list);
        pthread_mutex_unlock(&nodes_lock);
    }
    return self ? heap_cons(h, node_with_info(h, etf_env.local_node, ATOM_this, ATOM_undefined,
                                              a[1]), list)
                : list;
}

static term bif_dist_is_alive(struct process *p, const term *a)
{
    return is_alive() ? ATOM_true : ATOM_false;
}

/* --- monitor_node ---------------------------------------------------------------------------------------- */

/* Forget those of processes that are gone, before the vector grows. */
static void prune_monitors_locked(void)
{
    if (monitors.n < monitors.cap)
        return;
    for (uint32_t i = 0; i < monitors.n; ) {
        if (process_lookup(monitors.at[i].pid) == NULL)
            monitors.at[i] = monitors.at[--monitors.n];
        else
            i++;
    }
}

static void monitor_on(struct process *p, term node)
{
    peer_id peer = session_peer_of(node);
    bool any;

    pthread_mutex_lock(&nodes_lock);
    prune_monitors_locked();
    *vector_more(monitors) = (struct node_monitor){ node, p->pid };
    /* With the lock held: an end of this session comes after, and finds the entry. */
    any = peer != 0 && peer_connect(peer) != 0;
    if (!any)
        monitors.n--;
    pthread_mutex_unlock(&nodes_lock);
    if (!any)
        process_send(p, p->pid, heap_tuple2(&p->heap, ATOM_nodedown, node));
}

static void monitor_off(struct process *p, term node)
{
    pthread_mutex_lock(&nodes_lock);
    for (uint32_t i = 0; i < monitors.n; i++) {
        if (monitors.at[i].node == node && monitors.at[i].pid == p->pid) {
            monitors.at[i] = monitors.at[--monitors.n];
            break;
        }
    }
    pthread_mutex_unlock(&nodes_lock);
}

static term bif_dist_monitor_node(struct process *p, const term *a)
{
    if (!is_atom(a[0]) || (a[1] != ATOM_true && a[1] != ATOM_false))
        return bif_badarg(p);
    if (a[0] == etf_env.local_node)
        return ATOM_true;
    if (!is_alive())
        return bif_error(p, ATOM_notalive);
    if (a[1] == ATOM_true)
        monitor_on(p, a[0]);
    else
        monitor_off(p, a[0]);
    return ATOM_true;
}

/* --- net_kernel:monitor_nodes ------------------------------------------------------------------------------ */

static struct subscriber *subscriber_find_locked(const struct subscriber *like)
{
    for (uint32_t i = 0; i < subscribers.n; i++) {
        struct subscriber *s = &subscribers.at[i];

        if (s->pid == like->pid && s->with_info == like->with_info && s->reason == like->reason)
            return s;
    }
    return NULL;
}

static void subscribe(const struct subscriber *like, bool on)
{
    struct subscriber *s;

    pthread_mutex_lock(&nodes_lock);
    for (uint32_t i = 0; i < subscribers.n; ) {
        if (process_lookup(subscribers.at[i].pid) == NULL)
            subscribers.at[i] = subscribers.at[--subscribers.n];
        else
            i++;
    }
    s = subscriber_find_locked(like);
    if (on && s != NULL)
        s->times++;
    else if (on)
        *vector_more(subscribers) = *like;
    else if (s != NULL)                     /* all of this kind at once, as in OTP */
        *s = subscribers.at[--subscribers.n];
    pthread_mutex_unlock(&nodes_lock);
}

static bool read_option(term o, struct subscriber *s)
{
    if (o == ATOM_nodedown_reason || o == ATOM_connection_id) {
        s->reason |= o == ATOM_nodedown_reason;
        return true;
    }
    return is_tuple_n(o, 2) && tuple_elem(o, 0) == ATOM_node_type &&
           (tuple_elem(o, 1) == ATOM_visible || tuple_elem(o, 1) == ATOM_all ||
            tuple_elem(o, 1) == ATOM_hidden);
}

static term bif_dist_monitor_nodes_2(struct process *p, const term *a)
{
    struct subscriber s = { .pid = p->pid, .with_info = true, .times = 1 };
    term o = a[1], key = TERM_NONE;

    if (a[0] != ATOM_true && a[0] != ATOM_false)
        return bif_badarg(p);
    if (is_map(o)) {
        key = map_get(o, ATOM_nodedown_reason);
        s.reason = key == ATOM_true;
        o = TERM_NIL;
    }
    for (; is_cons(o); o = cdr(o)) {
        if (!read_option(car(o), &s))
            return bif_badarg(p);
    }
    if (!is_nil(o))
        return bif_badarg(p);
    subscribe(&s, a[0] == ATOM_true);
    return ATOM_ok;
}

static term bif_dist_monitor_nodes_1(struct process *p, const term *a)
{
    struct subscriber s = { .pid = p->pid, .times = 1 };

    if (a[0] != ATOM_true && a[0] != ATOM_false)
        return bif_badarg(p);
    subscribe(&s, a[0] == ATOM_true);
    return ATOM_ok;
}

/* --- connecting ------------------------------------------------------------------------------------------- */

static bool is_up(peer_id peer)
{
    struct peer_info info;

    return peer_info(peer, &info) && (info.state == PEER_UP || info.state == PEER_SUSPECT);
}

/* Be woken with true or false when the peer is up or its session is over. */
static void await_peer(struct process *p, peer_id peer)
{
    struct process_ext *ext = process_ext_get(p);
    term ref = make_ref(p->sched);

    ext->await_key = imm_payload(ref);
    pthread_mutex_lock(&nodes_lock);
    *vector_more(waiters) = (struct waiter){ peer, p->pid, ref };
    /* With the lock held, as in monitor_on; and it may be up by now. */
    if (peer_connect(peer) == 0)
        tell_waiters_locked(peer, ATOM_false);
    else if (is_up(peer))
        tell_waiters_locked(peer, ATOM_true);
    pthread_mutex_unlock(&nodes_lock);
}

/* true or false; TERM_NONE: the built-in will be called again. */
static term connect_to(struct process *p, const term *a)
{
    struct process_ext *ext = process_ext_get(p);
    peer_id peer;
    term reply;

    if (ext->reply == TERM_NONE && ext->await_key == 0) {
        if (a[0] == etf_env.local_node)
            return ATOM_true;
        peer = session_peer_of(a[0]);
        if (peer == 0)
            return ATOM_false;
        if (is_up(peer))
            return ATOM_true;
        await_peer(p, peer);
    }
    reply = ext->reply;
    if (reply == TERM_NONE)
        return bif_wait(p, 1, a);
    ext->reply = TERM_NONE;
    return reply;
}

static term bif_dist_connect_node(struct process *p, const term *a)
{
    if (!is_atom(a[0]))
        return bif_badarg(p);
    return is_alive() ? connect_to(p, a) : ATOM_ignored;
}

static term bif_dist_ping(struct process *p, const term *a)
{
    term up_now;

    if (!is_atom(a[0]))
        return bif_badarg(p);
    up_now = is_alive() ? connect_to(p, a) : a[0] == etf_env.local_node ? ATOM_true : ATOM_false;
    return up_now == TERM_NONE ? up_now : up_now == ATOM_true ? ATOM_pong : ATOM_pang;
}

static term bif_dist_disconnect_node(struct process *p, const term *a)
{
    peer_id peer;
    session_id s;

    if (!is_atom(a[0]))
        return bif_badarg(p);
    if (!is_alive())
        return ATOM_ignored;
    peer = session_peer_of(a[0]);
    s = peer != 0 ? peer_session(peer) : 0;
    if (s == 0)
        return ATOM_false;
    peer_disconnect(s);
    return ATOM_true;
}

/* --- starting --------------------------------------------------------------------------------------------- */

void nodes_init(void)
{
    static const struct bif table[] = {
#define BIF(module, function, arity, kind, fn) { #module, function, arity, BIF_##kind, fn },
#include "dist/dist.tab"
#undef BIF
    };

    bif_register(table, ARRAY_LEN(table));
    session_up_hook = on_up;
    session_down_hook = on_down;
}
