/* SPDX-License-Identifier: Apache-2.0 */
/*
 * remote.c - links, monitors and messages that cross to other nodes
 *
 * The same protocol as between two processes here (relation.h): each side keeps its entry, and a
 * lost session ends both.
 */
#include "vm/remote.h"

#include "base/metric.h"
#include "heap/etf.h"
#include "heap/external.h"
#include "term/ids.h"
#include "vm/process_priv.h"

const struct vm_remote *vm_remote;

#define SESSION_KEY(session) ((uint64_t)(session) << 2 | REL_SESSION)
#define PID_SERIAL_BITS 30
#define DOWN_SLICE 256      /* relations that one SIG_SESSION_DOWN ends before others get a turn */

/* --- words and terms ------------------------------------------------------------------------- */

/* TERM_NONE: no node of ours has such a pid. */
static term word_of(term pid)
{
    uint64_t number = pid_number(pid), serial = pid_serial_number(pid);

    if (number >> PID_SLOT_BITS != 0 || serial >> PID_SERIAL_BITS != 0)
        return TERM_NONE;
    return imm_make(IMM_REMOTE, serial << PID_SLOT_BITS | number);
}

term remote_shown(struct heap *h, uint32_t session, term word)
{
    uint32_t creation;
    term node, pid;

    if (!is_remote(word))
        return word;
    node = vm_remote->node(session, &creation);
    pid = external_pid(h, node, creation, pid_slot(word), pid_serial(word));
    return pid != TERM_NONE ? pid : ATOM_undefined;
}

/* The session for an external pid: 0, REMOTE_NOPROC or a number. */
static uint32_t session_of(term pid, bool connect)
{
    const struct node_entry *node = id_node(pid);

    if (vm_remote == NULL)
        return 0;
    if (word_of(pid) == TERM_NONE)
        return REMOTE_NOPROC;
    return vm_remote->session(node->name, node->creation, connect);
}

static term reason_of(uint32_t session)
{
    return session == REMOTE_NOPROC ? ATOM_noproc : ATOM_noconnection;
}

#define is_no_session(s) ((s) == 0 || (s) == REMOTE_NOPROC)

/* The session has more to carry than it can: p stops here, and goes on at SIG_RESUME. */
static void suspend_self(struct process *p)
{
    process_ext_get(p)->suspends++;
    if (p->sched->fcalls > 0)
        charge(p, p->sched->fcalls);
}

static void post(struct process *p, const struct remote_signal *s)
{
    if (vm_remote->signal(p, s) == REMOTE_BUSY)
        suspend_self(p);
}

void remote_post(enum remote_op op, uint32_t session, term from, term to, term ref, term body)
{
    struct remote_signal s = { op, session, from, to, ref, body };

    (void)vm_remote->signal(NULL, &s);
}

/* --- attaching --------------------------------------------------------------------------------- */

bool remote_attach(struct process *p, uint32_t session)
{
    if (relation_find_remote(p, SESSION_KEY(session), session) != NULL)
        return true;
    if (!vm_remote->attach(session, p->pid))
        return false;
    relation_add_remote(p, SESSION_KEY(session), TERM_NONE, session);
    return true;
}

static void detach(struct process *p, uint32_t session)
{
    struct relation *r = relation_find_remote(p, SESSION_KEY(session), session);

    if (r == NULL)
        return;
    relation_remove(p, r);
    vm_remote->detach(session, p->pid);
}

/* --- operations -------------------------------------------------------------------------------- */

enum remote_sent remote_send(struct process *p, term to, term msg, unsigned flags)
{
    enum remote_sent sent;

    if (vm_remote == NULL || (!is_tuple(to) && id_node(to) == NULL))
        return REMOTE_OK;       /* nobody there: a message to a dead process */
    sent = vm_remote->send(p, to, msg, flags);
    if (sent == REMOTE_OK || sent == REMOTE_BUSY)
        metric_inc(M_sent_remote);
    if (sent == REMOTE_BUSY && p != NULL)
        suspend_self(p);
    return sent;
}

/* Is r a link that stands with the process of that external pid? */
static bool is_link_with(const struct relation *r, const void *arg)
{
    const struct node_entry *node = arg;
    uint32_t creation;

    return r->session != 0 && r->unlink_id == 0 &&
           vm_remote->node(r->session, &creation) == node->name && creation == node->creation;
}

/* It may stand in a session that is over, whose end has not been told to us yet. */
static struct relation *link_with(struct process *p, term pid)
{
    term word = word_of(pid);

    if (word == TERM_NONE || vm_remote == NULL)
        return NULL;
    return relation_find_fit(p, relation_key(REL_LINK, word), is_link_with, id_node(pid));
}

term remote_link(struct process *p, term pid)
{
    uint32_t session;
    term word = word_of(pid);
    struct relation *r;

    if (link_with(p, pid) != NULL)
        return TERM_NIL;
    session = session_of(pid, true);
    if (is_no_session(session))
        return reason_of(session);
    r = relation_find_remote(p, relation_key(REL_LINK, word), session);
    if (!remote_attach(p, session))
        return ATOM_noconnection;
    if (r != NULL)
        r->unlink_id = 0;
    else
        relation_add_remote(p, relation_key(REL_LINK, word), word, session);
    post(p, &(struct remote_signal){ REMOTE_LINK, session, p->pid, word, TERM_NONE, TERM_NONE });
    return TERM_NIL;
}

void remote_unlink(struct process *p, term pid)
{
    struct relation *r = link_with(p, pid);

    if (r == NULL)
        return;
    r->unlink_id = imm_payload(make_ref(p->sched));
    post(p, &(struct remote_signal){ REMOTE_UNLINK, r->session, p->pid, r->peer,
                                     imm_make(IMM_REF, r->unlink_id), TERM_NONE });
}

void remote_exit(struct process *p, term pid, term reason)
{
    uint32_t session = session_of(pid, true);

    if (!is_no_session(session))
        post(p, &(struct remote_signal){ REMOTE_EXIT, session, p->pid, word_of(pid), TERM_NONE,
                                         reason });
}

void remote_group_leader(struct process *p, term pid, term leader)
{
    uint32_t session = session_of(pid, true);

    if (!is_no_session(session))
        post(p, &(struct remote_signal){ REMOTE_GROUP_LEADER, session, p->pid, word_of(pid),
                                         TERM_NONE, leader });
}

/* What DOWN will show when there is no session that knows the node. */
static void keep_item(struct relation *r, term item)
{
    struct relation_tag *tag = relation_tag_get(r);

    tag->item_frag = frag_copy_whole(item, &tag->item);
}

term remote_monitor(struct process *p, term target, const struct monitor_options *opt)
{
    bool by_name = is_tuple(target);
    term word = by_name ? REMOTE_NAMED : word_of(target);
    term name = by_name ? tuple_elem(target, 0) : TERM_NONE, plain;
    uint32_t session = !by_name ? session_of(target, true)
                       : vm_remote != NULL ? vm_remote->session(tuple_elem(target, 1), 0, true) : 0;
    struct relation *r;

    if (!is_no_session(session) && !remote_attach(p, session))
        session = 0;
    r = monitor_entry(p, is_no_session(session) ? TERM_NIL : word, TERM_NONE, opt);
    plain = relation_ref(r);
    if (by_name || is_no_session(session))
        keep_item(r, target);
    if (is_no_session(session)) {
        signal_post(p, SIG_DOWN, TERM_NONE, plain, reason_of(session));
    } else {
        r->session = session;
        post(p, &(struct remote_signal){ REMOTE_MONITOR, session, p->pid, by_name ? name : word,
                                         plain, TERM_NONE });
    }
    return monitor_ref(p, plain, opt->alias);
}

void remote_demonitor(term from, term plain, const struct relation *r)
{
    remote_post(REMOTE_DEMONITOR, r->session, from, r->peer, plain, TERM_NONE);
}

/* --- the end of p, of a session, of a process that others knew ---------------------------------- */

void remote_relation_end(struct process *p, const struct relation *r)
{
    switch (relation_class(r)) {
    case REL_SESSION:
        vm_remote->detach(r->session, p->pid);
        break;
    case REL_LINK:
        if (r->unlink_id == 0)
            remote_post(REMOTE_EXIT_LINKED, r->session, p->pid, r->peer, TERM_NONE,
                        p->exit_reason);
        break;
    case REL_MINE:
        if (is_remote(r->peer))
            remote_demonitor(p->pid, relation_ref(r), r);
        break;
    case REL_WATCHER:
        remote_post(REMOTE_DOWN, r->session, p->pid, r->peer, relation_ref(r), p->exit_reason);
        break;
    }
}

/* End one relation for want of its session; it may be gone after. */
static enum signal_effect relation_lost(struct process *p, struct relation *r)
{
    struct sig sig = { .session = r->session, .from = r->peer, .a = relation_ref(r),
                       .b = ATOM_noconnection };

    switch (relation_class(r)) {
    case REL_LINK:
        sig.kind = SIG_EXIT_LINKED;
        return signal_apply(p, &sig);
    case REL_MINE:
        sig.kind = r->spawn != 0 ? SIG_SPAWN_REPLY : SIG_DOWN;
        sig.from = TERM_NIL;
        return signal_apply(p, &sig);
    default:
        relation_remove(p, r);
        return EFFECT_NONE;
    }
}

/* Up to DOWN_SLICE keys of relations through that session; how many. */
static unsigned keys_of(struct process *p, uint32_t session, uint64_t keys[DOWN_SLICE])
{
    unsigned n = 0;
    uint32_t at = 0;
    struct relation *r;

    while (n < DOWN_SLICE && (r = relation_next(p, &at)) != NULL) {
        if (r->session == session && relation_class(r) != REL_SESSION)
            keys[n++] = r->key;
    }
    return n;
}

enum signal_effect remote_session_down(struct process *p, struct sig *sig)
{
    uint32_t session = sig->session;
    enum signal_effect effect = EFFECT_NONE, one;
    uint64_t keys[DOWN_SLICE];
    unsigned n = keys_of(p, session, keys);

    for (unsigned i = 0; i < n; i++) {
        struct relation *r = relation_find_remote(p, keys[i], session);

        one = r != NULL ? relation_lost(p, r) : EFFECT_NONE;
        if (one == EFFECT_EXIT) {
            sig_free(sig);
            return one;             /* what is left is ended by the exit, which detaches */
        }
        if (one != EFFECT_NONE)
            effect = one;
    }
    if (n == DOWN_SLICE) {
        struct sig *again = sig_new(SIG_SESSION_DOWN, TERM_NONE, TERM_NONE, TERM_NONE);

        again->session = session;
        inbox_push(&p->inbox, again);
        sig_free(sig);
        return EFFECT_WAKE;
    }
    detach(p, session);
    sig_free(sig);
    return effect;
}

void remote_bounce(term pid, const struct sig *sig)
{
    switch ((enum signal_kind)sig->kind) {
    case SIG_LINK:
        remote_post(REMOTE_EXIT_LINKED, sig->session, pid, sig->from, TERM_NONE, ATOM_noproc);
        break;
    case SIG_UNLINK:
        remote_post(REMOTE_UNLINK_ACK, sig->session, pid, sig->from, sig->a, TERM_NONE);
        break;
    case SIG_MONITOR:
        remote_post(REMOTE_DOWN, sig->session, pid, sig->from, sig->a, ATOM_noproc);
        break;
    case SIG_SPAWN_REPLY:           /* nobody wants the child any more */
        if (is_remote(sig->from) && (sig->aux & SPAWN_LINK) != 0)
            remote_post(REMOTE_EXIT_LINKED, sig->session, pid, sig->from, TERM_NONE, ATOM_noproc);
        break;
    default:
        break;
    }
}
