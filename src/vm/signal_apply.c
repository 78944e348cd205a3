/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signal_apply.c - what each kind of signal does to its receiver
 *
 * Runs with the process owned: on its scheduler, or in the hands of a sender that holds it. So
 * p->sched may be NULL, and nothing here charges reductions or runs the process.
 */
#include "vm/process_priv.h"

#include "heap/etf.h"
#include "vm/bif.h"
#include "vm/engine.h"
#include "vm/literals.h"
#include "vm/mailbox_priv.h"
#include "vm/remote.h"
#include "vm/timer.h"

/* Make the operand words of sig p's own; sig is gone after. */
static void take_words(struct process *p, struct sig *sig)
{
    if (sig->frag != NULL)
        heap_adopt_frag(&p->heap, sig->frag);
    else
        sig_free(sig);
}

void process_set_exit(struct process *p, term reason)
{
    p->exit_reason = reason;
    p->exc.class = ATOM_exit;       /* no crash report: see engine.h */
    p->action = BIF_EXIT;
}

/* --- messages --------------------------------------------------------------------------------- */

/* May a message through alias `plain` pass? Uses up aliases for one reply. */
static bool alias_admit(struct process *p, term plain)
{
    struct relation *r = relation_find(p, relation_key(REL_MINE, plain));
    struct process *peer;
    term pid;

    if (r == NULL || r->alias == ALIAS_NONE)
        return false;
    if (r->alias == ALIAS_REPLY) {
        relation_remove(p, r);
    } else if (r->alias == ALIAS_REPLY_DEMONITOR) {
        pid = r->peer;
        if (is_remote(pid))
            remote_demonitor(p->pid, plain, r);
        relation_remove(p, r);
        peer = is_local_receiver(pid) ? process_lookup(pid) : NULL;
        if (peer != NULL)
            signal_post(peer, SIG_DEMONITOR, p->pid, plain, TERM_NONE);
    }
    return true;
}

static enum signal_effect apply_alias_message(struct process *p, struct sig *sig)
{
    if (!alias_admit(p, sig->b)) {
        sig_free(sig);
        return EFFECT_NONE;
    }
    mailbox_append_sig(p, sig);
    return EFFECT_WAKE;
}

/* --- links and exits ----------------------------------------------------------------------------- */

/* The entry of the link with the sender, or NULL. */
static struct relation *link_of(struct process *p, const struct sig *sig)
{
    return relation_find_remote(p, relation_key(REL_LINK, sig->from), sig->session);
}

static enum signal_effect apply_link(struct process *p, struct sig *sig)
{
    uint64_t key = relation_key(REL_LINK, sig->from);

    if (relation_find_remote(p, key, sig->session) == NULL &&
        (sig->session == 0 || remote_attach(p, sig->session)))
        relation_add_remote(p, key, sig->from, sig->session);
    sig_free(sig);
    return EFFECT_NONE;
}

static enum signal_effect apply_unlink(struct process *p, struct sig *sig)
{
    struct relation *r = link_of(p, sig);
    struct process *peer = sig->session == 0 ? process_lookup(sig->from) : NULL;

    if (r != NULL && r->unlink_id == 0)
        relation_remove(p, r);
    if (sig->session != 0)
        remote_post(REMOTE_UNLINK_ACK, sig->session, p->pid, sig->from, sig->a, TERM_NONE);
    else if (peer != NULL)
        signal_post(peer, SIG_UNLINK_ACK, p->pid, sig->a, TERM_NONE);
    sig_free(sig);
    return EFFECT_NONE;
}

static enum signal_effect apply_unlink_ack(struct process *p, struct sig *sig)
{
    struct relation *r = link_of(p, sig);

    if (r != NULL && r->unlink_id == imm_payload(sig->a) && r->unlink_id != 0)
        relation_remove(p, r);
    sig_free(sig);
    return EFFECT_NONE;
}

/* The table of runtime-facts section 6. reason: what arrives; linked: through a link. */
static enum signal_effect exit_arrives(struct process *p, struct sig *sig, bool linked)
{
    term from = sig->from, reason = sig->b;
    uint32_t session = sig->session;

    if (reason == ATOM_kill && !linked) {
        sig_free(sig);
        process_set_exit(p, ATOM_killed);
        return EFFECT_EXIT;
    }
    if (p->trap_exit) {
        take_words(p, sig);
        from = remote_shown(&p->heap, session, from);
        mailbox_append(p, heap_tuple3(&p->heap, ATOM_EXIT, from, reason));
        return EFFECT_WAKE;
    }
    if (reason == ATOM_normal && (linked || from != p->pid)) {
        sig_free(sig);
        return EFFECT_NONE;
    }
    take_words(p, sig);
    process_set_exit(p, reason);
    return EFFECT_EXIT;
}

static enum signal_effect apply_exit_linked(struct process *p, struct sig *sig)
{
    struct relation *r = link_of(p, sig);
    bool linked = r != NULL && r->unlink_id == 0;

    if (r != NULL)
        relation_remove(p, r);
    if (linked)
        return exit_arrives(p, sig, true);
    sig_free(sig);
    return EFFECT_NONE;
}

/* --- monitors ----------------------------------------------------------------------------------------- */

static enum signal_effect apply_monitor(struct process *p, struct sig *sig)
{
    uint64_t key = relation_key(REL_WATCHER, sig->a);

    if (sig->session == 0 ||
        (remote_attach(p, sig->session) && relation_find_remote(p, key, sig->session) == NULL))
        relation_add_remote(p, key, sig->from, sig->session);
    sig_free(sig);
    return EFFECT_NONE;
}

static enum signal_effect apply_demonitor(struct process *p, struct sig *sig)
{
    struct relation *r = relation_find_remote(p, relation_key(REL_WATCHER, sig->a), sig->session);

    if (r != NULL)
        relation_remove(p, r);
    sig_free(sig);
    return EFFECT_NONE;
}

/* {Tag, Ref, process | port, Id | {Name, Node}, Reason} */
static enum signal_effect apply_down(struct process *p, struct sig *sig)
{
    struct relation *r = relation_find(p, relation_key(REL_MINE, sig->a));
    term e[5] = { ATOM_DOWN, sig->a, ATOM_process, TERM_NONE, sig->b };

    if (r == NULL || r->peer == TERM_NONE || r->session != sig->session || r->spawn != 0) {
        sig_free(sig);
        return EFFECT_NONE;
    }
    take_words(p, sig);
    if (r->alias != ALIAS_NONE)
        e[1] = ref_alias(&p->heap, e[1], p->pid);
    if (is_local_port(r->peer))
        e[2] = ATOM_port;
    if (r->tag == NULL || r->tag->item == TERM_NONE)
        e[3] = remote_shown(&p->heap, r->session, r->peer);
    if (r->tag != NULL) {
        e[0] = heap_copy(&p->heap, r->tag->tag);
        if (r->tag->name != TERM_NONE)
            e[3] = heap_tuple2(&p->heap, r->tag->name, etf_env.local_node);
        if (r->tag->item != TERM_NONE)
            e[3] = heap_copy(&p->heap, r->tag->item);
    }
    if (r->alias == ALIAS_EXPLICIT)
        r->peer = TERM_NONE;
    else
        relation_remove(p, r);
    mailbox_append(p, heap_tuple(&p->heap, 5, e));
    return EFFECT_WAKE;
}

/* --- requests ------------------------------------------------------------------------------------------- */

term (*process_info_answer)(struct process *p, term items, struct heap *h);
void (*port_request)(struct process *p, struct sig *sig);

term process_answer(struct process *p, unsigned kind, term operand, struct heap *h)
{
    switch ((enum request_kind)kind) {
    case REQUEST_INFO:
        return process_info_answer != NULL ? process_info_answer(p, operand, h) : ATOM_undefined;
    case REQUEST_COLLECT:
        if (p->sched == NULL || p->sched->current != p)
            return process_collect(p, 0, 0, GC_FULL) ? ATOM_true : ATOM_false;
        p->heap.collect_soon = true;
        return ATOM_true;
    case REQUEST_SUSPEND:
        process_ext_get(p)->suspends++;
        return ATOM_true;
    case REQUEST_CHECK_CODE:
        return ATOM_false;
    case REQUEST_ALIVE:
        return ATOM_true;
    case REQUEST_PORT:
        break;
    }
    return ATOM_undefined;
}

static enum signal_effect apply_request(struct process *p, struct sig *sig)
{
    struct process *asker = process_lookup(sig->from);
    bool suspend = sig->aux == REQUEST_SUSPEND;
    struct sig *reply;
    struct heap bag;
    term answer;

    if (sig->aux == REQUEST_PORT && is_local_port(p->pid)) {
        port_request(p, sig);
        return p->exit_reason != TERM_NONE ? EFFECT_EXIT : EFFECT_NONE;
    }
    if (asker != NULL) {
        heap_bag_init(&bag);
        answer = process_answer(p, sig->aux, sig->b, &bag);
        reply = sig_new_copy(SIG_REPLY, p->pid, sig->a, answer);
        heap_fini(&bag);
        signal_send(asker, reply);
    }
    sig_free(sig);
    if (p->exit_reason != TERM_NONE)
        return EFFECT_EXIT;
    return suspend ? EFFECT_WAKE : EFFECT_NONE;
}

static enum signal_effect apply_reply(struct process *p, struct sig *sig)
{
    if (p->ext == NULL || p->ext->await_key != imm_payload(sig->a)) {
        sig_free(sig);
        return EFFECT_NONE;
    }
    p->ext->await_key = 0;
    p->ext->reply = sig->b;
    take_words(p, sig);
    return EFFECT_WAKE;
}

/* --- the rest ------------------------------------------------------------------------------------------- */

static enum signal_effect apply_resume(struct process *p, struct sig *sig)
{
    sig_free(sig);
    if (p->ext != NULL && p->ext->suspends > 0)
        p->ext->suspends--;
    return EFFECT_WAKE;
}

static enum signal_effect apply_timeout(struct process *p, struct sig *sig)
{
    bool ours = receive_timer_fired(p, imm_payload(sig->a));

    sig_free(sig);
    if (!ours)
        return EFFECT_NONE;
    p->wait_kind |= RECEIVE_TIMED_OUT;
    return EFFECT_WAKE;
}

static enum signal_effect apply_group_leader(struct process *p, struct sig *sig)
{
    p->group_leader = sig->b;
    take_words(p, sig);
    return EFFECT_NONE;
}

enum signal_effect signal_apply(struct process *p, struct sig *sig)
{
    switch ((enum signal_kind)sig->kind) {
    case SIG_MESSAGE:
        mailbox_append_sig(p, sig);
        return EFFECT_WAKE;
    case SIG_ALIAS_MESSAGE: return apply_alias_message(p, sig);
    case SIG_LINK:          return apply_link(p, sig);
    case SIG_UNLINK:        return apply_unlink(p, sig);
    case SIG_UNLINK_ACK:    return apply_unlink_ack(p, sig);
    case SIG_MONITOR:       return apply_monitor(p, sig);
    case SIG_DEMONITOR:     return apply_demonitor(p, sig);
    case SIG_DOWN:          return apply_down(p, sig);
    case SIG_EXIT:          return exit_arrives(p, sig, false);
    case SIG_EXIT_LINKED:   return apply_exit_linked(p, sig);
    case SIG_GROUP_LEADER:  return apply_group_leader(p, sig);
    case SIG_REQUEST:       return apply_request(p, sig);
    case SIG_REPLY:         return apply_reply(p, sig);
    case SIG_RESUME:        return apply_resume(p, sig);
    case SIG_TIMEOUT:       return apply_timeout(p, sig);
    case SIG_SPAWN_REPLY:   return remote_spawn_reply(p, sig);
    case SIG_SESSION_DOWN:  return remote_session_down(p, sig);
    case SIG_LITERALS:
        sig_free(sig);
        literals_check(p);
        return p->exit_reason != TERM_NONE ? EFFECT_EXIT : EFFECT_NONE;
    case SIG_WAKE:
        sig_free(sig);
        return EFFECT_WAKE;
    case SIG_COUNT:
        break;
    }
    UNREACHABLE();
}

/* A process that is gone still owes answers to those who could not know. */
void signal_bounce(term pid, struct sig *sig)
{
    struct process *from = is_local_receiver(sig->from) ? process_lookup(sig->from) : NULL;

    if (sig->session != 0)
        remote_bounce(pid, sig);
    if (sig->kind == SIG_LITERALS)
        literals_answered();
    if (from != NULL) {
        switch ((enum signal_kind)sig->kind) {
        case SIG_LINK:
            signal_post(from, SIG_EXIT_LINKED, pid, TERM_NONE, ATOM_noproc);
            break;
        case SIG_UNLINK:
            signal_post(from, SIG_UNLINK_ACK, pid, sig->a, TERM_NONE);
            break;
        case SIG_MONITOR:
            signal_post(from, SIG_DOWN, pid, sig->a, ATOM_noproc);
            break;
        case SIG_REQUEST:
            signal_post(from, SIG_REPLY, pid, sig->a,
                        sig->aux == REQUEST_ALIVE ? ATOM_false : ATOM_undefined);
            break;
        default:
            break;
        }
    }
    sig_free(sig);
}
