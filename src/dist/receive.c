/* SPDX-License-Identifier: Apache-2.0 */
/*
 * receive.c - frames from other nodes become signals
 *
 * Runs on the I/O thread of the peer, in the order of the frames. A term is decoded here, once, from
 * the frame into the fragment in which the receiver will find it: its sizes and atoms have been
 * checked by the scan before. (Decoding when the receiver looks would walk it a second time.)
 * Every frame may be a lie; the worst it can do is what its rights allow.
 */
#include "dist/dist.h"
#include "dist/dist_priv.h"

#include "base/clock.h"
#include "base/epoch.h"
#include "base/errors.h"
#include "base/metric.h"
#include "heap/etf.h"
#include "heap/external.h"
#include "term/atom.h"
#include "vm/registry.h"

#define SPAWN_PER_S     500
#define SPAWN_BURST     5000
#define FRAG_SPARE      6       /* words beside the term: the pid of who sent an exit */

/* --- terms ------------------------------------------------------------------------------------------- */

/* Decode span into bag, whose first fragment has room for a signal in front. TERM_NONE: no term. */
static term decode(const struct peer_rx *rx, struct span span, struct heap *bag, uint32_t words)
{
    struct reader r = reader_make(span.data, span.len);
    term t;

    heap_bag_init(bag);
    bag->frags = frag_new(words, sizeof(struct sig));
    t = etf_decode_wire(bag, &r, rx->atoms, rx->sig->n_atoms);
    return t != TERM_NONE && !r.bad && reader_left(&r) == 0 ? t : TERM_NONE;
}

/* The words of rx's term, or a guess: most small terms have at least two bytes a word. */
static uint32_t words_of(const struct peer_rx *rx)
{
    return FRAG_SPARE + (rx->term_words != 0 ? rx->term_words : rx->sig->term.len / 2 + 8);
}

/* The atom that span encodes; TERM_NONE: it does not. */
static term atom_of(const struct peer_rx *rx, struct span span)
{
    struct reader r = reader_make(span.data, span.len);
    struct heap bag;
    term t;

    heap_bag_init(&bag);
    t = etf_decode_wire(&bag, &r, rx->atoms, rx->sig->n_atoms);
    heap_fini(&bag);
    return t != TERM_NONE && is_atom(t) ? t : TERM_NONE;
}

/* What lies in bag, and the term in it, as one fragment with room for a signal; NULL: *t needs
 * none. The bag is empty after. */
static struct frag *bag_frag(struct heap *bag, term *t)
{
    struct frag *f = bag->frags;

    if (is_ptr(*t) && f->next == NULL) {
        f->offheap = bag->offheap;
        return f;
    }
    f = is_ptr(*t) ? frag_copy(*t, sizeof(struct sig), t) : NULL;
    heap_fini(bag);
    return f;
}

static struct sig *frag_sig(struct frag *f, enum signal_kind kind)
{
    struct sig *sig;

    if (f == NULL)
        return sig_new(kind, TERM_NONE, TERM_NONE, TERM_NONE);
    sig = (struct sig *)(void *)((char *)f - sizeof *sig);
    *sig = (struct sig){ .kind = kind, .from = TERM_NONE, .a = TERM_NONE, .b = TERM_NONE, .frag = f };
    return sig;
}

/* A signal whose operand b, of messages a, is rx's term; NULL: that is no term. */
static struct sig *term_sig(const struct peer_rx *rx, enum signal_kind kind)
{
    bool in_a = kind == SIG_MESSAGE || kind == SIG_ALIAS_MESSAGE;
    struct heap bag;
    term t = decode(rx, rx->sig->term, &bag, words_of(rx));
    struct sig *sig;

    if (t == TERM_NONE) {
        heap_fini(&bag);
        return NULL;
    }
    sig = frag_sig(bag_frag(&bag, &t), kind);
    *(in_a ? &sig->a : &sig->b) = t;
    return sig;
}

/* --- who ----------------------------------------------------------------------------------------------- */

static term local_pid(uint64_t payload)
{
    return payload <= PAYLOAD_MAX ? imm_make(IMM_PID, payload) : TERM_NONE;
}

static struct process *process_of(uint64_t payload)
{
    return payload <= PAYLOAD_MAX ? process_lookup(imm_make(IMM_PID, payload)) : NULL;
}

static term remote_word(uint64_t payload)
{
    return imm_make(IMM_REMOTE, payload & PAYLOAD_MAX);
}

/* A reference of 8 bytes as an immediate; TERM_NONE: none. */
static term ref_of(struct span ref)
{
    uint64_t v;

    if (ref.len != REF_BYTES)
        return TERM_NONE;
    v = get_le(ref.data, REF_BYTES);
    return v <= PAYLOAD_MAX ? imm_make(IMM_REF, v) : TERM_NONE;
}

struct session *session_of_rx(const struct peer_rx *rx)
{
    static _Thread_local struct session *last;
    static _Thread_local session_id last_id;
    bool other;

    /* A session that still delivers is not over, so the one remembered is alive. */
    if (last_id != rx->session) {
        struct peer_info info;

        if (!peer_info(session_peer(rx->session), &info))
            return NULL;
        last = session_get(rx->session, atom_from_utf8(info.name, strlen(info.name)), 0, &other);
        last_id = rx->session;
    }
    return last;
}

/* --- messages --------------------------------------------------------------------------------------------- */

static int post_message(const struct peer_rx *rx, struct process *p)
{
    struct sig *sig;

    if (p == NULL)
        return 0;
    sig = term_sig(rx, SIG_MESSAGE);
    if (sig == NULL)
        return -ERR_LIMIT;
    signal_send(p, sig);
    return 0;
}

static int rx_send(const struct peer_rx *rx)
{
    return post_message(rx, process_of(rx->sig->to));
}

static int rx_send_multi(const struct peer_rx *rx)
{
    int rc = 0;

    for (unsigned i = 0; i < rx->sig->n_receivers && rc == 0; i++)
        rc = post_message(rx, process_of(rx->sig->receivers[i]));
    return rc;
}

static struct process *process_named(struct span name, term *ret_pid)
{
    term atom = atom_existing_utf8((const char *)name.data, name.len);
    term pid = atom != TERM_NONE ? registry_whereis(atom) : TERM_NONE;

    *ret_pid = pid;
    return pid != TERM_NONE && is_local_pid(pid) ? process_lookup(pid) : NULL;
}

static int rx_send_name(const struct peer_rx *rx)
{
    term pid;

    return post_message(rx, process_named(rx->sig->name, &pid));
}

static int rx_send_alias(const struct peer_rx *rx)
{
    struct span ref = rx->sig->ref;
    struct process *p;
    struct sig *sig;
    uint64_t number;

    if (ref.len != 4 * ALIAS_REF_WORDS)
        return -ERR_PROTOCOL;
    number = get_le(ref.data, 8);
    p = process_of(get_le(ref.data + 12, 8));
    if (p == NULL || number > PAYLOAD_MAX)
        return 0;
    sig = term_sig(rx, SIG_ALIAS_MESSAGE);
    if (sig == NULL)
        return -ERR_LIMIT;
    sig->b = imm_make(IMM_REF, number);
    signal_send(p, sig);
    return 0;
}

/* --- links and exits ------------------------------------------------------------------------------------------ */

static int rx_link(const struct peer_rx *rx)
{
    struct session *s = session_of_rx(rx);
    struct process *p = process_of(rx->sig->to);
    term from = remote_word(rx->sig->from);

    if (s == NULL)
        return 0;
    if (p != NULL)
        signal_post_remote(p, SIG_LINK, s->number, from, TERM_NONE, TERM_NONE);
    else if (rx->sig->to <= PAYLOAD_MAX)
        remote_post(REMOTE_EXIT_LINKED, s->number, local_pid(rx->sig->to), from, TERM_NONE,
                    ATOM_noproc);
    return 0;
}

static int rx_unlink(const struct peer_rx *rx)
{
    struct session *s = session_of_rx(rx);
    struct process *p = process_of(rx->sig->to);
    term from = remote_word(rx->sig->from), id = imm_make(IMM_REF, rx->sig->id & PAYLOAD_MAX);

    if (s == NULL)
        return 0;
    if (p != NULL)
        signal_post_remote(p, SIG_UNLINK, s->number, from, id, TERM_NONE);
    else if (rx->sig->to <= PAYLOAD_MAX)
        remote_post(REMOTE_UNLINK_ACK, s->number, local_pid(rx->sig->to), from, id, TERM_NONE);
    return 0;
}

static int rx_unlink_ack(const struct peer_rx *rx)
{
    struct session *s = session_of_rx(rx);
    struct process *p = process_of(rx->sig->to);

    if (s != NULL && p != NULL)
        signal_post_remote(p, SIG_UNLINK_ACK, s->number, remote_word(rx->sig->from),
                           imm_make(IMM_REF, rx->sig->id & PAYLOAD_MAX), TERM_NONE);
    return 0;
}

/* exit/2: the sender is in the fragment too, so that it can be shown after its session is gone. */
static struct sig *exit_sig(const struct peer_rx *rx, struct session *s)
{
    struct heap bag;
    term t = decode(rx, rx->sig->term, &bag, words_of(rx)), pair;
    uint64_t from = rx->sig->from;
    struct sig *sig;

    if (t == TERM_NONE) {
        heap_fini(&bag);
        return NULL;
    }
    pair = heap_tuple2(&bag, t, ATOM_undefined);
    tuple_elem(pair, 1) =
        external_pid(&bag, s->node, atomic_load_explicit(&s->creation, memory_order_relaxed),
                     (uint32_t)(from & ((1u << PID_SLOT_BITS) - 1)),
                     (uint32_t)(from >> PID_SLOT_BITS));
    if (tuple_elem(pair, 1) == TERM_NONE)
        tuple_elem(pair, 1) = ATOM_undefined;
    sig = frag_sig(bag_frag(&bag, &pair), SIG_EXIT);
    sig->b = tuple_elem(pair, 0);
    sig->from = tuple_elem(pair, 1);
    return sig;
}

static int rx_exit(const struct peer_rx *rx)
{
    struct session *s = session_of_rx(rx);
    struct process *p = process_of(rx->sig->to);
    struct sig *sig;

    if (s == NULL || p == NULL || rx->sig->from > PAYLOAD_MAX)
        return 0;
    sig = rx->sig->flag ? term_sig(rx, SIG_EXIT_LINKED) : exit_sig(rx, s);
    if (sig == NULL)
        return -ERR_LIMIT;
    if (rx->sig->flag) {
        sig->from = remote_word(rx->sig->from);
        sig->session = s->number;
    }
    signal_send(p, sig);
    return 0;
}

/* --- monitors ---------------------------------------------------------------------------------------------------- */

static void answer_noproc(struct session *s, const struct peer_rx *rx, term ref)
{
    remote_post(REMOTE_DOWN, s->number, local_pid(rx->sig->to), remote_word(rx->sig->from), ref,
                ATOM_noproc);
}

static int rx_monitor(const struct peer_rx *rx)
{
    struct session *s = session_of_rx(rx);
    term ref = ref_of(rx->sig->ref), pid = TERM_NONE;
    bool by_name = rx->sig->name.data != NULL;
    struct process *p;

    if (ref == TERM_NONE)
        return -ERR_PROTOCOL;
    if (s == NULL)
        return 0;
    p = by_name ? process_named(rx->sig->name, &pid) : process_of(rx->sig->to);
    if (p == NULL) {
        answer_noproc(s, rx, ref);
        return 0;
    }
    if (by_name)
        session_name_add(s, imm_payload(ref), pid);
    signal_post_remote(p, SIG_MONITOR, s->number, remote_word(rx->sig->from), ref, TERM_NONE);
    return 0;
}

static int rx_demonitor(const struct peer_rx *rx)
{
    struct session *s = session_of_rx(rx);
    term ref = ref_of(rx->sig->ref), pid;
    struct process *p;

    if (ref == TERM_NONE)
        return -ERR_PROTOCOL;
    if (s == NULL)
        return 0;
    pid = session_name_take(s, imm_payload(ref));
    p = pid != TERM_NONE ? process_lookup(pid) : process_of(rx->sig->to);
    if (p != NULL)
        signal_post_remote(p, SIG_DEMONITOR, s->number, remote_word(rx->sig->from), ref, TERM_NONE);
    return 0;
}

static int rx_down(const struct peer_rx *rx)
{
    struct session *s = session_of_rx(rx);
    struct process *p = process_of(rx->sig->to);
    term ref = ref_of(rx->sig->ref);
    struct sig *sig;

    if (ref == TERM_NONE)
        return -ERR_PROTOCOL;
    if (s == NULL || p == NULL)
        return 0;
    sig = term_sig(rx, SIG_DOWN);
    if (sig == NULL)
        return -ERR_LIMIT;
    sig->session = s->number;
    sig->a = ref;
    signal_send(p, sig);
    return 0;
}

static int rx_group_leader(const struct peer_rx *rx)
{
    struct process *p = process_of(rx->sig->to);
    struct heap bag;
    term leader;

    if (p == NULL)
        return 0;
    leader = decode(rx, rx->sig->leader, &bag, FRAG_SPARE);
    if (leader != TERM_NONE && is_pid(leader))
        signal_send(p, sig_new_copy(SIG_GROUP_LEADER, TERM_NONE, TERM_NONE, leader));
    heap_fini(&bag);
    return leader != TERM_NONE ? 0 : -ERR_LIMIT;
}

/* --- spawning ------------------------------------------------------------------------------------------------------ */

static _Atomic bool refuses_spawns;     /* [any] relaxed: a spawn that is on its way may still pass */

void dist_refuse_spawns(bool refuse)
{
    atomic_store_explicit(&refuses_spawns, refuse, memory_order_relaxed);
}

/* A token bucket: SPAWN_PER_S, and SPAWN_BURST at once. */
static bool spawn_allowed(struct session *s)
{
    int64_t now = clock_monotonic_ns(), ns_each = 1000000000 / SPAWN_PER_S;
    int64_t fresh = (now - s->spawn_at_ns) / ns_each;

    if (atomic_load_explicit(&refuses_spawns, memory_order_relaxed))
        return false;
    if (s->spawn_at_ns == 0) {
        s->spawn_tokens = SPAWN_BURST;
        s->spawn_at_ns = now;
    } else if (fresh > 0) {
        s->spawn_tokens += fresh < SPAWN_BURST ? fresh : SPAWN_BURST;
        s->spawn_at_ns += fresh * ns_each;
        if (s->spawn_tokens > SPAWN_BURST)
            s->spawn_tokens = SPAWN_BURST;
    }
    return s->spawn_tokens > 0 && s->spawn_tokens-- > 0;
}

struct spawn_answer { struct session *s; const struct peer_rx *rx; unsigned done; };

/* The child cannot run yet, so nothing of it overtakes this. */
static void child_started(void *arg, term pid)
{
    const struct spawn_answer *a = arg;

    send_spawn_reply(a->s, a->rx->sig->from, a->rx->sig->ref, a->done, pid, TERM_NONE);
}

static term spawn_child(const struct peer_rx *rx, struct session *s, term ref, term args,
                        term leader)
{
    const struct wire_sig *w = rx->sig;
    struct spawn_answer answer = { s, rx, w->opts & (SPAWN_LINK | SPAWN_MONITOR) };
    struct remote_parent parent = { s->number, remote_word(w->from), ref, child_started, &answer };
    struct spawn_options opt = {
        .flags = answer.done, .prio = PRIO_NORMAL, .group_leader = leader,
        .monitor_opts = TERM_NONE, .remote = &parent, .min_heap_words = w->min_heap,
    };
    term module = atom_of(rx, w->module), function = atom_of(rx, w->function);

    if (w->priority > 0 && w->priority <= PRIO_COUNT)
        opt.prio = (uint8_t)(w->priority - 1);
    if (opt.min_heap_words > SPAWN_HEAP_WORDS_MAX)
        opt.min_heap_words = SPAWN_HEAP_WORDS_MAX;
    if (module == TERM_NONE || function == TERM_NONE)
        return TERM_NONE;
    return process_spawn_mfa(NULL, module, function, args, &opt, NULL);
}

static int rx_spawn_request(const struct peer_rx *rx)
{
    struct session *s = session_of_rx(rx);
    term ref = ref_of(rx->sig->ref), args, leader;
    struct heap bag, side;
    int rc = 0;

    if (ref == TERM_NONE || rx->sig->from > PAYLOAD_MAX)
        return -ERR_PROTOCOL;
    if (s == NULL)
        return 0;
    args = decode(rx, rx->sig->term, &bag, words_of(rx));
    leader = decode(rx, rx->sig->leader, &side, FRAG_SPARE);
    if (args == TERM_NONE || list_length(args) < 0 || list_length(args) > 255 ||
        leader == TERM_NONE || !is_pid(leader)) {
        send_spawn_reply(s, rx->sig->from, rx->sig->ref, 0, TERM_NONE, ATOM_badarg);
        metric_inc(M_spawn_in_error);
        rc = -ERR_LIMIT;
    } else if (!spawn_allowed(s) || spawn_child(rx, s, ref, args, leader) == TERM_NONE) {
        send_spawn_reply(s, rx->sig->from, rx->sig->ref, 0, TERM_NONE, ATOM_system_limit);
        metric_inc(M_spawn_in_error);
    } else {
        metric_inc(M_spawn_in_ok);
    }
    heap_fini(&bag);
    heap_fini(&side);
    return rc;
}

static int rx_spawn_reply(const struct peer_rx *rx)
{
    struct session *s = session_of_rx(rx);
    struct process *p = process_of(rx->sig->to);
    term ref = ref_of(rx->sig->ref);
    bool ok = (rx->sig->code & SPAWN_DONE_ERROR) == 0;
    struct sig *sig;

    if (ref == TERM_NONE || (ok && rx->sig->id > PAYLOAD_MAX))
        return -ERR_PROTOCOL;
    if (s == NULL)
        return 0;
    sig = sig_new(SIG_SPAWN_REPLY, ok ? remote_word(rx->sig->id) : TERM_NIL, ref, ATOM_undefined);
    sig->session = s->number;
    sig->aux = (uint16_t)(rx->sig->code & (SPAWN_LINK | SPAWN_MONITOR));
    if (!ok && (sig->b = atom_of(rx, rx->sig->error)) == TERM_NONE)
        sig->b = ATOM_undefined;
    if (p != NULL)
        signal_send(p, sig);
    else
        signal_bounce(local_pid(rx->sig->to), sig);
    return 0;
}

/* --- the handlers, each inside an epoch ------------------------------------------------------------------------------ */

#define HANDLERS(H)                                                                               \
    H(send) H(send_multi) H(send_name) H(send_alias) H(link) H(unlink) H(unlink_ack) H(exit)      \
    H(monitor) H(demonitor) H(down) H(group_leader) H(spawn_request) H(spawn_reply)

#define IN_EPOCH(name)                                                                            \
    static int take_##name(const struct peer_rx *rx)                                              \
    {                                                                                             \
        int rc;                                                                                   \
                                                                                                  \
        epoch_enter();                                                                            \
        rc = rx_##name(rx);                                                                       \
        epoch_leave();                                                                            \
        return rc;                                                                                \
    }
HANDLERS(IN_EPOCH)
#undef IN_EPOCH

void receive_init(void)
{
#define TAKE_KIND(name) peer_handle(KIND_##name, take_##name);
    HANDLERS(TAKE_KIND)
#undef TAKE_KIND
}
