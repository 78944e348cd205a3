/* SPDX-License-Identifier: Apache-2.0 */
/*
 * remote_spawn.c - processes that one node starts on another
 *
 * Here: an entry REL_MINE waits for the answer, which is exactly one of: a pid, an error, the end of
 * the session (noconnection: it may have run). Then the entry becomes the monitor asked for, or goes.
 * There: the child gets its links before it runs and before anybody knows it, so no answer is needed
 * for them.
 */
#include "vm/remote.h"

#include "base/metric.h"
#include "vm/process_priv.h"

/* --- asking ------------------------------------------------------------------------------------- */

static uint8_t spawn_bits(const struct spawn_options *opt, const struct remote_reply *reply)
{
    return (uint8_t)(SPAWNING | ((opt->flags & SPAWN_LINK) != 0 ? SPAWNING_LINK : 0) |
                     ((opt->flags & SPAWN_MONITOR) != 0 ? SPAWNING_MONITOR : 0) |
                     (reply->on_ok ? SPAWNING_TELL_OK : 0) |
                     (reply->on_error ? SPAWNING_TELL_ERROR : 0) |
                     (reply->awaited ? SPAWNING_AWAITED : 0));
}

term remote_spawn(struct process *p, term node, const struct remote_call *call,
                  const struct remote_reply *reply)
{
    struct monitor_options mopt = { ALIAS_NONE, ATOM_DOWN };
    uint32_t session = vm_remote != NULL ? vm_remote->session(node, 0, true) : 0;
    struct relation *r;
    term plain;

    if (call->opt->monitor_opts != TERM_NONE && call->opt->monitor_opts != 0)
        (void)!monitor_options_read(call->opt->monitor_opts, &mopt);    /* checked by the built-in */
    if (session == REMOTE_NOPROC || (session != 0 && !remote_attach(p, session)))
        session = 0;
    r = monitor_entry(p, TERM_NIL, TERM_NONE, &mopt);
    plain = relation_ref(r);
    r->spawn = spawn_bits(call->opt, reply);
    r->session = session;
    if (reply->tag != ATOM_spawn_reply) {
        struct relation_tag *tag = relation_tag_get(r);

        tag->reply_frag = frag_copy_whole(reply->tag, &tag->reply_tag);
    }
    if (reply->awaited)
        process_ext_get(p)->await_key = imm_payload(plain);
    if (session == 0)
        signal_post(p, SIG_SPAWN_REPLY, TERM_NIL, plain, ATOM_noconnection);
    else if (vm_remote->spawn(p, session, plain, call) == REMOTE_LIMIT)
        signal_post(p, SIG_SPAWN_REPLY, TERM_NIL, plain, ATOM_system_limit);
    return monitor_ref(p, plain, mopt.alias);
}

bool remote_spawn_abandon(struct process *p, term ref)
{
    term plain = ref_plain(ref);
    struct relation *r = plain != TERM_NONE ? relation_find(p, relation_key(REL_MINE, plain)) : NULL;

    if (r == NULL || r->spawn == 0)
        return false;
    relation_remove(p, r);
    return true;
}

/* --- the answer --------------------------------------------------------------------------------- */

/* {Tag, Ref, ok | error, Pid | Reason}, or what the waiting built-in wants. */
static enum signal_effect tell(struct process *p, const struct relation *r, bool ok, term value)
{
    term plain = relation_ref(r);
    term ref = r->alias != ALIAS_NONE ? ref_alias(&p->heap, plain, p->pid) : plain, tag;

    if ((r->spawn & SPAWNING_AWAITED) != 0) {
        if (p->ext == NULL || p->ext->await_key != imm_payload(plain))
            return EFFECT_NONE;
        p->ext->await_key = 0;
        p->ext->reply = ok ? value : heap_tuple2(&p->heap, ATOM_error, value);
        return EFFECT_WAKE;
    }
    if ((r->spawn & (ok ? SPAWNING_TELL_OK : SPAWNING_TELL_ERROR)) == 0)
        return EFFECT_NONE;
    tag = r->tag != NULL && r->tag->reply_tag != TERM_NONE ? heap_copy(&p->heap, r->tag->reply_tag)
                                                   : ATOM_spawn_reply;
    mailbox_append(p, heap_tuple4(&p->heap, tag, ref, ok ? ATOM_ok : ATOM_error, value));
    return EFFECT_WAKE;
}

/* We have the child: keep what was asked for, and forget the request. */
static void bind(struct process *p, uint64_t key, struct sig *sig)
{
    struct relation *r = relation_find(p, key);
    uint8_t spawn = r->spawn;

    r->spawn = 0;
    if ((spawn & SPAWNING_MONITOR) != 0)
        r->peer = sig->from;
    else
        relation_remove(p, r);
    if ((spawn & SPAWNING_LINK) != 0 &&
        relation_find_remote(p, relation_key(REL_LINK, sig->from), sig->session) == NULL)
        relation_add_remote(p, relation_key(REL_LINK, sig->from), sig->from, sig->session);
}

/* The request was abandoned. */
static void disown(struct process *p, const struct sig *sig)
{
    if ((sig->aux & SPAWN_LINK) != 0)
        remote_post(REMOTE_EXIT_LINKED, sig->session, p->pid, sig->from, TERM_NONE, ATOM_abandoned);
    if ((sig->aux & SPAWN_MONITOR) != 0)
        remote_post(REMOTE_DEMONITOR, sig->session, p->pid, sig->from, sig->a, TERM_NONE);
}

enum signal_effect remote_spawn_reply(struct process *p, struct sig *sig)
{
    uint64_t key = relation_key(REL_MINE, sig->a);
    struct relation *r = relation_find(p, key);
    bool ok = is_remote(sig->from);
    enum signal_effect effect;

    if (r == NULL || r->spawn == 0 || r->session != sig->session) {
        if (ok)
            disown(p, sig);
        sig_free(sig);
        return EFFECT_NONE;
    }
    metric_inc(ok ? M_spawn_out_ok : M_spawn_out_error);
    if (ok) {
        effect = tell(p, r, true, remote_shown(&p->heap, sig->session, sig->from));
        bind(p, key, sig);
        sig_free(sig);
        return effect;
    }
    effect = tell(p, r, false, heap_copy(&p->heap, sig->b));
    relation_remove(p, r);
    sig_free(sig);
    return effect;
}

/* --- being asked -------------------------------------------------------------------------------- */

void remote_child(struct process *p, unsigned flags, const struct remote_parent *parent)
{
    bool attached = (flags & (SPAWN_LINK | SPAWN_MONITOR)) == 0 || remote_attach(p, parent->session);

    if (attached && (flags & SPAWN_LINK) != 0)
        relation_add_remote(p, relation_key(REL_LINK, parent->word), parent->word, parent->session);
    if (attached && (flags & SPAWN_MONITOR) != 0)
        relation_add_remote(p, relation_key(REL_WATCHER, parent->ref), parent->word,
                            parent->session);
    if (!attached && (flags & SPAWN_LINK) != 0)
        process_set_exit(p, ATOM_noconnection);
    parent->started(parent->arg, p->pid);
}
