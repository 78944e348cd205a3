/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gossip_rules.c - what is believed about members, and what changes it
 *
 * Own evidence beats rumours: who has just answered us, or whose session brings records, is not
 * suspected because somebody says so; its subject is asked to refute instead.
 */
#include "cluster/gossip_priv.h"
#include "base/alloc.h"
#include "base/assert.h"
#include "base/errors.h"

#include <math.h>

/* --- suspicions: a heap by the time at which they end ------------------------------------------ */

static void heap_put(struct gossip *g, uint32_t at, struct suspicion *s)
{
    g->heap[at] = s;
    s->at = at;
}

static void heap_fix(struct gossip *g, struct suspicion *s)
{
    uint32_t at = s->at;

    for (; at > 0 && g->heap[(at - 1) / 2]->due > s->due; at = (at - 1) / 2)
        heap_put(g, at, g->heap[(at - 1) / 2]);
    for (;;) {
        uint32_t child = 2 * at + 1;

        if (child + 1 < g->heap_n && g->heap[child + 1]->due < g->heap[child]->due)
            child++;
        if (child >= g->heap_n || g->heap[child]->due >= s->due)
            break;
        heap_put(g, at, g->heap[child]);
        at = child;
    }
    heap_put(g, at, s);
}

int64_t suspicions_due(const struct gossip *g)
{
    return g->heap_n == 0 ? INT64_MAX : g->heap[0]->due;
}

/* Two halves meet: who is suspected because of the cut gets time and is asked to speak. */
void suspicions_spare(struct gossip *g)
{
    for (uint32_t i = 0; i < g->heap_n; i++)
        ask_later(g, roster_find(&g->view, g->heap[i]->nid));
    suspicions_shift(g, suspicion_min(g));
}

void suspicions_shift(struct gossip *g, int64_t by_ns)
{
    for (uint32_t i = 0; i < g->heap_n; i++) {
        g->heap[i]->since += by_ns;
        g->heap[i]->due += by_ns;
    }
}

void suspicion_drop(struct gossip *g, uint64_t nid)
{
    struct suspicion *s = idmap_take(&g->suspicions, nid), *last;

    if (s == NULL)
        return;
    last = g->heap[--g->heap_n];
    if (last != s) {
        heap_put(g, s->at, last);
        heap_fix(g, last);
    }
    mem_free(s);
}

/* From 6 * min with nobody's confirmation down to min with two: Lifeguard, section IV.B. */
static int64_t suspicion_span(const struct gossip *g, unsigned confirmations)
{
    int64_t min = suspicion_min(g);
    double share = log(confirmations + 1) / log(CONFIRMATIONS + 1);

    if (present(g) < CONFIRMATIONS + 3 || confirmations >= CONFIRMATIONS)
        return min;                 /* too few members to wait for confirmations */
    return (int64_t)((double)(6 * min) - share * (double)(5 * min));
}

/* A rumour that nobody confirms is put to its subject half way: others may not have passed it on,
 * because they do not believe who says so. */
static void suspicion_time(const struct gossip *g, struct suspicion *s)
{
    int64_t span = suspicion_span(g, s->n_by - 1);

    s->asks = !s->asked && s->n_by == 1 && s->by[0] != g->nid;
    s->due = s->since + (s->asks ? span / 2 : span);
}

static void suspicion_new(struct gossip *g, uint64_t nid, uint64_t by)
{
    struct suspicion *s = MEM_NEW(struct suspicion);

    *s = (struct suspicion){ .nid = nid, .by = { by }, .n_by = 1, .since = g->now };
    suspicion_time(g, s);
    if (g->heap_n == g->heap_cap) {
        g->heap_cap = g->heap_cap == 0 ? 8 : 2 * g->heap_cap;
        g->heap = mem_realloc(g->heap, g->heap_cap * sizeof(g->heap[0]));
    }
    heap_put(g, g->heap_n++, s);
    heap_fix(g, s);
    idmap_put(&g->suspicions, nid, s);
}

/* True: `by` is one more voice and was counted. */
static bool suspicion_confirm(struct gossip *g, uint64_t nid, uint64_t by)
{
    struct suspicion *s = idmap_get(&g->suspicions, nid);

    ASSERT(s != NULL);
    for (unsigned i = 0; i < s->n_by; i++)
        if (s->by[i] == by)
            return false;
    if (s->n_by == ARRAY_LEN(s->by))
        return false;
    s->by[s->n_by++] = by;
    suspicion_time(g, s);
    heap_fix(g, s);
    return true;
}

/* --- liars, and those too sick to know ---------------------------------------------------------- */

static bool is_muted(struct gossip *g, uint64_t by)
{
    struct accuser *a = by == g->nid ? NULL : idmap_get(&g->accusers, by);

    return a != NULL && g->now < a->muted_until;
}

/* A suspicion that `by` began was refuted by its subject. */
static void blame(struct gossip *g, uint64_t by)
{
    struct accuser *a = idmap_get(&g->accusers, by);

    if (by == g->nid)
        return;
    if (a == NULL) {
        a = MEM_NEW(struct accuser);
        idmap_put(&g->accusers, by, a);
    }
    if (g->now - a->since > MUTE_NS)
        *a = (struct accuser){ .since = g->now, .muted_until = a->muted_until };
    if (++a->refuted >= MUTE_REFUTED)
        a->muted_until = g->now + MUTE_NS;
}

bool has_evidence(struct gossip *g, uint64_t nid)
{
    int64_t heard = g->env.heard_ns(g->env.arg, nid);

    if (heard >= 0 && g->now - heard <= EVIDENCE_SESSION_NS)
        return true;
    for (unsigned i = 0; i < ACKS_KEPT; i++)
        if (g->acks[i].nid == nid && g->now - g->acks[i].at <= 2 * base_period(g))
            return true;
    return false;
}

/* --- changes of state --------------------------------------------------------------------------- */

static void set_state(struct gossip *g, struct member *m, enum member_state state,
                      struct record *rec)
{
    roster_set(&g->view, m, state, rec);
    m->since_s = (uint32_t)(g->now / S);
}

static void end_suspicion(struct gossip *g, struct member *m, enum gossip_ended how)
{
    struct suspicion *s = idmap_get(&g->suspicions, m->rec->nid);

    if (s == NULL)
        return;
    g->stats.suspicions_ended[how]++;
    if (how == SUSPICION_REFUTED)
        blame(g, s->by[0]);
    suspicion_drop(g, m->rec->nid);
}

void suspect(struct gossip *g, struct member *m, uint64_t by)
{
    if (m->state == MEMBER_SUSPECT) {
        if (suspicion_confirm(g, m->rec->nid, by))
            rumour_state(&g->rumours, GOSSIP_SUSPECT, m->rec->nid, m->rec->incarnation, by);
        return;
    }
    if (m->state != MEMBER_ALIVE)
        return;
    g->stats.suspicions++;
    set_state(g, m, MEMBER_SUSPECT, NULL);
    suspicion_new(g, m->rec->nid, by);
    rumour_state(&g->rumours, GOSSIP_SUSPECT, m->rec->nid, m->rec->incarnation, by);
    tell(g, MEMBER_EV_SUSPECT, m, by);
}

static void declare_dead(struct gossip *g, struct member *m, uint64_t by)
{
    end_suspicion(g, m, SUSPICION_DEAD);
    set_state(g, m, MEMBER_DEAD, NULL);
    m->evident = 0;
    rumour_state(&g->rumours, GOSSIP_DEAD, m->rec->nid, m->rec->incarnation, by);
    tell(g, MEMBER_EV_DEAD, m, by);
}

void suspicions_tick(struct gossip *g)
{
    while (g->heap_n > 0 && g->heap[0]->due <= g->now) {
        struct suspicion *s = g->heap[0];
        struct member *m = roster_find(&g->view, s->nid);

        ASSERT(m != NULL && m->state == MEMBER_SUSPECT);
        if (s->asks) {
            s->asked = true;
            suspicion_time(g, s);
            heap_fix(g, s);
            ask_later(g, m);
        } else {
            declare_dead(g, m, g->nid);
        }
    }
}

void forget_old(struct gossip *g)
{
    uint32_t limit = (uint32_t)(g->conf.forget_ns / S), now = (uint32_t)(g->now / S), n = 0;
    uint64_t old[16];

    ROSTER_EACH(&g->view, m)
        if (!member_present(m) && now - m->since_s > limit && n < ARRAY_LEN(old)
            && m->rec->nid != g->nid)
            old[n++] = m->rec->nid;
    while (n-- > 0)
        gossip_forget(g, g->now, old[n]);
}

void rule_contact(struct gossip *g, struct member *m)
{
    if (m->state != MEMBER_SUSPECT)
        return;
    end_suspicion(g, m, SUSPICION_CONTACT);
    set_state(g, m, MEMBER_ALIVE, NULL);
    tell(g, MEMBER_EV_UNSUSPECT, m, 0);
    ask_later(g, m);                /* others still suspect it */
}

/* --- alive and left: records signed by their subject -------------------------------------------- */

static void about_self(struct gossip *g, const struct member_body *b)
{
    bool other_boot = memcmp(b->boot_id, g->self.boot_id, MEMBER_BOOT_BYTES) != 0;

    if (!other_boot) {
        if (b->incarnation > g->rec->incarnation)
            g->counter = (uint32_t)b->incarnation;      /* of this boot, yet we lost count of it */
        return;
    }
    if (b->creation > g->self.creation
        || (b->creation == g->self.creation
            && memcmp(b->boot_id, g->self.boot_id, MEMBER_BOOT_BYTES) > 0))
        tell(g, MEMBER_EV_CLONED, roster_find(&g->view, g->nid), 0);
}

static void add_member(struct gossip *g, struct record *rec)
{
    struct member *m;

    if (g->view.n >= g->conf.members_max) {
        g->stats.refused++;
        return;
    }
    m = roster_insert(&g->view, rec, rec->left ? MEMBER_LEFT : MEMBER_ALIVE);
    m->since_s = (uint32_t)(g->now / S);
    rumour_alive(&g->rumours, rec);
    if (!rec->left)
        tell(g, MEMBER_EV_ALIVE, m, 0);
}

/* m has said something newer about itself. */
static void renew_member(struct gossip *g, struct member *m, struct record *rec)
{
    bool was_here = member_present(m), restarted = rec->creation != m->rec->creation;
    bool was_suspect = m->state == MEMBER_SUSPECT;

    end_suspicion(g, m, SUSPICION_REFUTED);
    if (restarted)
        m->evident = 0;
    m->addr = 0;
    set_state(g, m, rec->left ? MEMBER_LEFT : MEMBER_ALIVE, rec);
    rumour_alive(&g->rumours, rec);
    if (rec->left) {
        if (was_here)
            tell(g, MEMBER_EV_LEFT, m, 0);
        return;
    }
    if (!was_here)
        merge_count(g, 1, false);
    if (!was_here || restarted)
        tell(g, MEMBER_EV_ALIVE, m, 0);
    else
        tell(g, was_suspect ? MEMBER_EV_UNSUSPECT : MEMBER_EV_UPDATED, m, 0);
}

void rule_alive(struct gossip *g, const struct gossip_item *it, bool pushpull)
{
    struct member_body b;
    struct record *rec;
    struct member *m;
    uint64_t nid;

    if (member_body_read(it->body, it->body_len, &b) < 0) {
        g->stats.malformed++;
        return;
    }
    nid = g->env.nid_of(g->env.arg, b.key);
    m = nid == 0 ? NULL : roster_find(&g->view, nid);
    if (nid == 0) {
        g->stats.refused++;
        return;
    }
    if (m != NULL && nid != g->nid && b.incarnation <= m->rec->incarnation) {
        if (pushpull && b.incarnation == m->rec->incarnation && m->state == MEMBER_DEAD)
            ask_later(g, m);        /* believed elsewhere: let it speak for itself */
        return;
    }
    if (nid == g->nid && b.incarnation == g->rec->incarnation)
        return;
    if (record_get(g->pool, nid, &b, it->body, it->body_len, it->sig, &rec) < 0) {
        g->stats.refused++;
        return;
    }
    if (nid == g->nid)
        about_self(g, &b);
    else if (m == NULL)
        add_member(g, rec);
    else
        renew_member(g, m, rec);
    record_unref(rec);
}

/* --- suspect, dead, ask ------------------------------------------------------------------------- */

/* The present member that an accusation is about; NULL when it is stale, unknown, or not to be
 * believed. An incarnation that we have no record of says nothing more than ours. */
static struct member *accused(struct gossip *g, const struct gossip_item *it)
{
    struct member *m = roster_find(&g->view, it->node);

    if (it->node == g->nid) {
        refute(g, it->incarnation, true);
        return NULL;
    }
    if (m == NULL || !member_present(m) || it->incarnation < m->rec->incarnation)
        return NULL;
    if (is_muted(g, it->by))
        return NULL;
    if (has_evidence(g, it->node)) {
        ask_later(g, m);
        return NULL;
    }
    return m;
}

void rule_suspect(struct gossip *g, const struct gossip_item *it)
{
    struct member *m = accused(g, it);

    if (m != NULL)
        suspect(g, m, it->by);
}

/* Whoever dies is suspected first, everywhere: so "dead" is believed only of a member that we have
 * suspected for a while, in which it could have refuted, and not on the word of one alone. Before
 * that it is one more voice, and no single liar kills. While two halves meet it is always one more voice: it may be news of the
 * other half from before. */
void rule_dead(struct gossip *g, const struct gossip_item *it)
{
    struct member *m = accused(g, it);
    struct suspicion *s;

    if (m == NULL)
        return;
    s = idmap_get(&g->suspicions, it->node);
    if (g->merge_until == 0 && s != NULL && g->now - s->since >= suspicion_min(g) / 2
        && (s->n_by > 1 || s->by[0] != it->by)) {
        declare_dead(g, m, it->by);
        return;
    }
    if (g->merge_until != 0)
        ask_later(g, m);
    suspect(g, m, it->by);
}

/* `from` holds a member dead whom we hold alive. It may be right, so the subject must speak. */
void rule_gone_elsewhere(struct gossip *g, const struct gossip_item *it, uint64_t from)
{
    struct gossip_item by_sender = *it;
    struct member *m;

    by_sender.by = from;
    m = accused(g, &by_sender);
    if (m == NULL)
        return;
    if (g->merge_until != 0)
        ask_later(g, m);
    else
        suspect(g, m, from);
}

void rule_ask(struct gossip *g, const struct gossip_item *it)
{
    if (it->node == g->nid)
        refute(g, it->incarnation, false);
}

/* --- notes -------------------------------------------------------------------------------------- */

void rule_note(struct gossip *g, const struct gossip_item *it)
{
    struct member *m = roster_find(&g->view, it->node);
    struct note *old = idmap_get(&g->notes, it->node), *fresh;
    struct member_event ev;

    if (m == NULL || (old != NULL && it->incarnation <= old->version))
        return;
    if (it->node != g->nid && !g->env.verify_note(g->env.arg, m->rec, it)) {
        g->stats.refused++;
        return;
    }
    fresh = note_new(it->node, it->incarnation, it->body, it->body_len, it->sig);
    if (old != NULL)
        g->notes_digest ^= member_hash(~it->node, old->version);
    g->notes_digest ^= member_hash(~it->node, fresh->version);
    note_unref(old);
    idmap_put(&g->notes, it->node, fresh);
    rumour_note(&g->rumours, fresh);
    ev = (struct member_event){ .kind = MEMBER_EV_NOTE, .nid = it->node, .rec = m->rec,
                                .note = fresh };
    g->env.event(g->env.arg, &ev);
}
