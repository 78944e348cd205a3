/* SPDX-License-Identifier: Apache-2.0 */
/*
 * send.c - signals on their way out: what vm/remote.h asks for, as frames
 *
 * A term is encoded straight from the sender's heap into the frame that will be sealed. Any thread;
 * nothing here blocks.
 */
#include "dist/dist_priv.h"

#include "dist/watch.h"
#include "heap/etf.h"
#include "term/atom.h"
#include "term/ids.h"

#define TERM_HINT_BYTES 96      /* a small message with a pid and a reference */
#define SPAWN_DEADLINE_MS 5000

/* --- terms into frames --------------------------------------------------------------------------- */

struct out { struct peer_frame *f; size_t counted; };

static void out_grow(void *arg, struct buf *b, size_t n)
{
    struct out *o = arg;
    size_t more = n > b->len ? n : b->len;
    uint8_t *room;

    if (more < TERM_HINT_BYTES)
        more = TERM_HINT_BYTES;
    peer_frame_wrote(o->f, b->len - o->counted);
    o->counted = b->len;
    room = peer_frame_room(&o->f, more);
    b->data = room - b->len;
    b->cap = b->len + more;
}

static int out_atom(void *arg, term atom)
{
    struct peer_frame *f = ((struct out *)arg)->f;

    return f != NULL ? peer_frame_atom(f, atom) : -1;
}

/* A frame with this term in it; NULL: it is larger than any frame. */
static struct peer_frame *frame_of(term t)
{
    struct out o = { peer_frame_new(TERM_HINT_BYTES), 0 };
    struct etf_wire wire = { out_grow, out_atom, &o };
    struct buf b = { 0 };

    if (etf_encode_wire(&b, t, &wire) < 0) {
        peer_frame_free(o.f);
        return NULL;
    }
    peer_frame_wrote(o.f, b.len - o.counted);
    return o.f;
}

/* Small terms beside the frame's own, behind each other in memory of their own; their atoms are in
 * the frame's list. */
static void side_grow(void *arg, struct buf *b, size_t n)
{
    (void)arg;
    (void)buf_room(b, n);
    b->len -= n;
}

/* Append t to b, and give its length. f NULL: of kinds without a list, atoms are text. */
static uint32_t side_term(struct peer_frame *f, term t, struct buf *b)
{
    struct out o = { f, 0 };
    struct etf_wire wire = { side_grow, out_atom, &o };
    size_t before = b->len;

    (void)!etf_encode_wire(b, t, &wire);        /* atoms and pids: never too large */
    return (uint32_t)(b->len - before);
}

/* --- into the session ------------------------------------------------------------------------------ */

static uint64_t order_of(term from)
{
    return is_local_pid(from) ? imm_payload(from) + 1 : 0;
}

static bool may_suspend(const struct process *sender)
{
    return sender != NULL && (sender->ext == NULL || !sender->ext->async_dist);
}

/* What send gave, for the engine. Suspends the sender if need be. */
static enum remote_sent outcome(struct session *s, struct process *sender, uint32_t seq,
                                enum peer_sent sent)
{
    switch (sent) {
    case PEER_BUSY:
        return may_suspend(sender) && session_suspend(s, sender->pid, seq) ? REMOTE_BUSY
                                                                            : REMOTE_OK;
    case PEER_NO_SESSION:   return REMOTE_WOULD_CONNECT;
    case PEER_FULL:         return REMOTE_WOULD_SUSPEND;
    case PEER_TOO_LARGE:    return REMOTE_LIMIT;
    case PEER_SENT:
    case PEER_GONE:         return REMOTE_OK;       /* as to a process that is gone */
    }
    UNREACHABLE();
}

/* Takes f. */
static enum remote_sent submit(struct session *s, struct peer_frame *f, const struct wire_sig *sig,
                               term from, struct process *sender, unsigned flags)
{
    uint32_t seq = atomic_load_explicit(&s->writable_seq, memory_order_relaxed);

    f = peer_frame_seal(f, sig);
    return outcome(s, sender, seq, peer_send(s->id, f, order_of(from), flags, NULL));
}

/* --- which session ------------------------------------------------------------------------------------ */

static struct session *session_for(term node, uint32_t creation, bool connect, bool *ret_other)
{
    peer_id peer = session_peer_of(node);
    session_id id = peer == 0 ? 0 : connect ? peer_connect(peer) : peer_session(peer);

    *ret_other = false;
    return id != 0 ? session_get(id, node, creation, ret_other) : NULL;
}

static uint32_t remote_session(term node, uint32_t creation, bool connect)
{
    struct session *s;
    bool other;

    if (node == etf_env.local_node)
        return REMOTE_NOPROC;           /* an earlier life of this node */
    s = session_for(node, creation, connect, &other);
    return other ? REMOTE_NOPROC : s != NULL ? s->number : 0;
}

/* Where a message for an external pid, alias or name goes; NULL: nowhere, or not without
 * connecting. */
static struct session *session_for_send(term to, bool connect)
{
    const struct node_entry *node;
    uint32_t number;
    struct session *s;
    bool other;

    if (is_tuple(to))
        return session_for(tuple_elem(to, 1), 0, connect, &other);
    node = id_node(to);
    /* acquire: pairs with the release when the session came up */
    number = atomic_load_explicit(&node->session, memory_order_acquire);
    s = number != 0 ? session_at(number) : NULL;
    if (LIKELY(s != NULL))
        return s;
    if (node->name == etf_env.local_node)
        return NULL;
    return session_for(node->name, node->creation, connect, &other);
}

/* --- messages ------------------------------------------------------------------------------------------ */

/* Where to, into the frame. False: no process can have that address. */
static bool address(struct wire_sig *sig, term to, uint8_t bytes[4 * REF_WORDS_MAX])
{
    uint32_t words[REF_WORDS_MAX];
    unsigned n;

    if (is_tuple(to)) {
        size_t len;
        const char *text = atom_text(tuple_elem(to, 0), &len);

        sig->kind = KIND_send_name;
        sig->name = (struct span){ (const uint8_t *)text, (uint32_t)len };
        return true;
    }
    if (is_pid(to)) {
        sig->kind = KIND_send;
        sig->to = pid_payload(to);
        return sig->to != PAYLOAD_NONE;
    }
    if (!box_is(to, HK_EXT_REF))
        return false;
    n = ref_words(to, words);
    if (n != ALIAS_REF_WORDS)
        return false;               /* a reference that is no alias */
    for (unsigned i = 0; i < n; i++)
        put_le32(bytes + 4 * i, words[i]);
    sig->kind = KIND_send_alias;
    sig->ref = (struct span){ bytes, 4 * n };
    return true;
}

static enum remote_sent remote_send_message(struct process *sender, term to, term msg,
                                            unsigned flags)
{
    unsigned pf = (flags & REMOTE_NOSUSPEND) != 0 ? PEER_NOSUSPEND : 0;
    bool connect = (flags & REMOTE_NOCONNECT) == 0;
    struct session *s = session_for_send(to, connect);
    uint8_t bytes[4 * REF_WORDS_MAX];
    struct wire_sig sig = { 0 };
    struct peer_frame *f;

    if (s == NULL)
        return connect ? REMOTE_OK : REMOTE_WOULD_CONNECT;
    if (!address(&sig, to, bytes))
        return REMOTE_OK;
    f = frame_of(msg);
    if (f == NULL)
        return REMOTE_LIMIT;
    if (sender != NULL) {
        sig.from = imm_payload(sender->pid);
        charge(sender, 2 + (int64_t)(peer_frame_term_len(f) / 256));
    }
    return submit(s, f, &sig, sender != NULL ? sender->pid : TERM_NONE, sender, pf);
}

/* --- other signals ---------------------------------------------------------------------------------------- */

static const uint8_t kinds[] = {
    [REMOTE_LINK] = KIND_link, [REMOTE_UNLINK] = KIND_unlink, [REMOTE_UNLINK_ACK] = KIND_unlink_ack,
    [REMOTE_EXIT] = KIND_exit, [REMOTE_EXIT_LINKED] = KIND_exit, [REMOTE_MONITOR] = KIND_monitor,
    [REMOTE_DEMONITOR] = KIND_demonitor, [REMOTE_DOWN] = KIND_down,
    [REMOTE_GROUP_LEADER] = KIND_group_leader,
};

static bool has_reason(enum remote_op op)
{
    return op == REMOTE_EXIT || op == REMOTE_EXIT_LINKED || op == REMOTE_DOWN;
}

static enum remote_sent remote_signal_out(struct process *sender, const struct remote_signal *r)
{
    struct session *s = session_at(r->session);
    struct wire_sig sig = { .kind = kinds[r->op], .from = imm_payload(r->from),
                            .flag = r->op == REMOTE_EXIT_LINKED };
    struct peer_frame *f;
    struct buf leader = { 0 };
    enum remote_sent sent;
    uint8_t ref[REF_BYTES];

    if (r->session <= WATCHERS_MAX)
        watcher_signal(r);
    if (s == NULL)
        return REMOTE_OK;
    f = has_reason(r->op) ? frame_of(r->body) : peer_frame_new(0);
    if (f == NULL)
        f = frame_of(ATOM_system_limit);    /* the end must be told, with whatever reason */
    if (is_remote(r->to) && r->to != REMOTE_NAMED)
        sig.to = imm_payload(r->to);
    if (is_atom(r->to)) {
        size_t len;
        const char *text = atom_text(r->to, &len);

        sig.name = (struct span){ (const uint8_t *)text, (uint32_t)len };
    }
    if (r->op == REMOTE_UNLINK || r->op == REMOTE_UNLINK_ACK)
        sig.id = imm_payload(r->ref);
    else if (r->ref != TERM_NONE)
        sig.ref = ref_span(r->ref, ref);
    if (r->op == REMOTE_DOWN)
        (void)session_name_take(s, imm_payload(r->ref));
    if (r->op == REMOTE_GROUP_LEADER) {
        sig.leader.len = side_term(NULL, r->body, &leader);
        sig.leader.data = leader.data;
    }
    sent = submit(s, f, &sig, r->from, sender, 0);
    buf_fini(&leader);
    return sent;
}

static enum remote_sent remote_spawn_out(struct process *sender, uint32_t number, term ref,
                                         const struct remote_call *c)
{
    struct session *s = session_at(number);
    struct wire_sig sig = {
        .kind = KIND_spawn_request, .from = imm_payload(sender->pid),
        .opts = c->opt->flags & (SPAWN_LINK | SPAWN_MONITOR), .deadline_ms = SPAWN_DEADLINE_MS,
        .min_heap = c->opt->min_heap_words, .priority = (uint32_t)c->opt->prio + 1,
    };
    uint8_t bytes[REF_BYTES];
    struct buf side = { 0 };
    struct peer_frame *f;
    enum remote_sent sent;

    if (s == NULL)
        return REMOTE_OK;               /* it is over: the process will be told */
    f = frame_of(c->args);
    if (f == NULL)
        return REMOTE_LIMIT;
    sig.ref = ref_span(ref, bytes);
    sig.module.len = side_term(f, c->module, &side);
    sig.function.len = side_term(f, c->function, &side);
    sig.leader.len = side_term(f, c->group_leader, &side);
    sig.module.data = side.data;
    sig.function.data = sig.module.data + sig.module.len;
    sig.leader.data = sig.function.data + sig.function.len;
    sent = submit(s, f, &sig, sender->pid, sender, 0);
    buf_fini(&side);
    return sent;
}

/* --- answers of the I/O thread to what came --------------------------------------------------------------- */

void send_spawn_reply(struct session *s, uint64_t to, struct span req, unsigned done, term pid,
                      term error)
{
    struct wire_sig sig = { .kind = KIND_spawn_reply, .to = to, .ref = req, .code = done };
    struct peer_frame *f = peer_frame_new(0);
    struct buf side = { 0 };

    if (pid != TERM_NONE) {
        sig.id = imm_payload(pid);
    } else {
        sig.code = SPAWN_DONE_ERROR;
        sig.error.len = side_term(NULL, error, &side);
        sig.error.data = side.data;
    }
    (void)submit(s, f, &sig, pid, NULL, 0);
    buf_fini(&side);
}

/* --- the engine's table --------------------------------------------------------------------------------------- */

static bool attach(uint32_t number, term pid)
{
    struct session *s = session_at(number);

    return number <= WATCHERS_MAX || (s != NULL && session_attach(s, pid));
}

static void detach(uint32_t number, term pid)
{
    if (number > WATCHERS_MAX)
        session_detach(session_at(number), pid);    /* an attached process keeps it */
}

static term node_of(uint32_t number, uint32_t *ret_creation)
{
    struct session *s = session_at(number);

    *ret_creation = s != NULL ? atomic_load_explicit(&s->creation, memory_order_relaxed) : 0;
    return s != NULL ? s->node : ATOM_undefined;
}

const struct vm_remote dist_remote = {
    .send = remote_send_message, .session = remote_session, .attach = attach, .detach = detach,
    .signal = remote_signal_out, .spawn = remote_spawn_out, .node = node_of,
};
