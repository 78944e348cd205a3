/* SPDX-License-Identifier: Apache-2.0 */
/*
 * share.c - wishes, rows and sessions
 */
#include "dist/share.h"

#include "base/alloc.h"
#include "base/epoch.h"
#include "base/errors.h"
#include "dist/dist_priv.h"
#include "dist/flock_attr.h"
#include "heap/etf.h"
#include "heap/external.h"
#include "vm/hooks.h"

#include <stdio.h>

#define SHARE_ORDER 0x5368617265ull         /* one order key for all our frames */

/* What we asked a peer for. */
struct share_want {
    struct share_want *next;
    uint64_t id;
    enum share_kind kind;
    void *topic;
};

/* A topic that we want to see everywhere. */
struct topic {
    struct topic *next;
    enum share_kind kind;
    void *user;
    char *name;
    struct pattern *pattern;
};

struct tracked { uint32_t times; };

pthread_rwlock_t share_lock = PTHREAD_RWLOCK_INITIALIZER;

static const struct share_user *users[SHARE_KINDS];     /* [set] */
static struct origin *origins;                          /* [lk share_lock] */
static struct topic *topics;                            /* [lk share_lock] */
static struct idmap tracked;                            /* [lk share_lock] payload + 1 -> struct tracked */
static _Atomic uint32_t tracked_n;                      /* [any] 0: exits need not look */
static uint64_t next_id, version;                       /* [lk share_lock] */
static bool (*next_exit_hook)(struct process *p);       /* [set] */

static const char *const prefix[SHARE_KINDS] = { "pg:", "flock:" };

/* --- terms ------------------------------------------------------------------------------------------ */

term share_pid(struct heap *h, const struct origin *o, uint64_t pid)
{
    if (o == NULL)
        return imm_make(IMM_PID, pid);
    return external_pid(h, o->node, o->creation, (uint32_t)(pid & ((1u << PID_SLOT_BITS) - 1)),
                        (uint32_t)(pid >> PID_SLOT_BITS));
}

void share_encode(struct buf *out, term t)
{
    int rc = etf_encode(out, t, ETF_DETERMINISTIC | ETF_NO_VERSION, ETF_MINOR_DEFAULT);

    ASSERT(rc == 0 || rc == -ERR_LIMIT);
}

term share_decode(struct heap *h, const uint8_t *data, size_t len)
{
    struct reader r = reader_make(data, len);

    return etf_decode(h, &r, ETF_NO_VERSION);
}

/* --- frames ----------------------------------------------------------------------------------------- */

static void send_frame(struct origin *o, enum frame_kind kind, const ProtobufCMessage *m)
{
    struct buf b = { 0 };

    wire_pack(m, &b);
    /* Busy or gone: nothing of ours waits, and a session that is gone takes its rows with it. */
    (void)!peer_send(o->session, peer_frame_packed(kind, b.data, b.len), SHARE_ORDER, 0, NULL);
    buf_fini(&b);
}

void share_row_to(struct share_sub *sub, const struct share_row *row)
{
    Rn__FlockState state = RN__FLOCK_STATE__INIT;
    Rn__FlockMember member = RN__FLOCK_MEMBER__INIT, *members[1] = { &member };

    member.pid = row->pid;
    member.name = BYTES_OF(row->name.data, row->name.len);
    member.attrs = BYTES_OF(row->attrs.data, row->attrs.len);
    member.gone = row->gone;
    member.why = row->why;
    member.version = state.version = ++version;
    state.sub = sub->id;
    state.n_members = 1;
    state.members = members;
    send_frame(sub->origin, KIND_flock_state, &state.base);
}

static void ask(struct origin *o, const struct topic *t)
{
    Rn__FlockSub m = RN__FLOCK_SUB__INIT;
    struct share_want *w = MEM_NEW(struct share_want);
    char name[SHARE_NAME_MAX + 16];
    struct pattern_wire pw;

    *w = (struct share_want){ .next = o->wants, .id = ++next_id, .kind = t->kind,
                              .topic = t->user };
    o->wants = w;
    snprintf(name, sizeof(name), "%s%s", prefix[t->kind], t->name);
    m.sub = w->id;
    m.flock = BYTES_OF(name, strlen(name));
    pattern_to_wire(t->pattern, &pw);
    m.n_pattern = pw.n;
    m.pattern = pw.pointers;
    send_frame(o, KIND_flock_sub, &m.base);
}

bool share_is_used(void)
{
    bool used;

    pthread_rwlock_rdlock(&share_lock);
    used = topics != NULL;
    pthread_rwlock_unlock(&share_lock);
    return used;
}

/* --- topics ----------------------------------------------------------------------------------------- */

void share_want(enum share_kind kind, const char *name, const struct pattern *pattern, void *user)
{
    struct topic *t = MEM_NEW(struct topic);

    *t = (struct topic){ .next = topics, .kind = kind, .user = user, .name = mem_strdup(name),
                         .pattern = pattern_copy(pattern) };
    topics = t;
    for (struct origin *o = origins; o != NULL; o = o->next)
        ask(o, t);
}

static void ask_no_more(struct origin *o, enum share_kind kind, void *user)
{
    for (struct share_want **at = &o->wants; *at != NULL;) {
        struct share_want *w = *at;
        Rn__FlockSub m = RN__FLOCK_SUB__INIT;

        if (w->kind != kind || w->topic != user) {
            at = &w->next;
            continue;
        }
        *at = w->next;
        m.sub = w->id;
        m.stop = true;
        send_frame(o, KIND_flock_sub, &m.base);
        mem_free(w);
    }
}

void share_want_end(enum share_kind kind, void *user)
{
    for (struct topic **at = &topics; *at != NULL;) {
        struct topic *t = *at;

        if (t->kind != kind || t->user != user) {
            at = &t->next;
            continue;
        }
        *at = t->next;
        mem_free(t->name);
        pattern_free(t->pattern);
        mem_free(t);
    }
    for (struct origin *o = origins; o != NULL; o = o->next)
        ask_no_more(o, kind, user);
}

void share_subs(enum share_kind kind, void (*visit)(struct share_sub *sub, void *arg), void *arg)
{
    for (struct origin *o = origins; o != NULL; o = o->next)
        for (struct share_sub *s = o->theirs; s != NULL; s = s->next)
            if (s->kind == kind)
                visit(s, arg);
}

/* --- what comes in ---------------------------------------------------------------------------------- */

static struct origin *origin_of(session_id session)
{
    struct origin *o = origins;

    while (o != NULL && o->session != session)
        o = o->next;
    return o;
}

static void sub_free(struct share_sub *s)
{
    pattern_free(s->pattern);
    mem_free(s);
}

static void stop_sub(struct origin *o, uint64_t id)
{
    for (struct share_sub **at = &o->theirs; *at != NULL; at = &(*at)->next)
        if ((*at)->id == id) {
            struct share_sub *s = *at;

            *at = s->next;
            o->theirs_n--;
            sub_free(s);
            return;
        }
}

/* "pg:scope" or "flock:name" into sub. */
static bool name_of(const Rn__FlockSub *m, struct share_sub *sub)
{
    for (int k = 0; k < SHARE_KINDS; k++) {
        size_t n = strlen(prefix[k]);

        if (m->flock.len <= n || m->flock.len - n > SHARE_NAME_MAX
            || memcmp(m->flock.data, prefix[k], n) != 0)
            continue;
        sub->kind = (enum share_kind)k;
        memcpy(sub->name, m->flock.data + n, m->flock.len - n);
        return strlen(sub->name) == m->flock.len - n;
    }
    return false;
}

static int take_sub(struct origin *o, const Rn__FlockSub *m)
{
    struct share_sub *s;

    if (m->stop) {
        stop_sub(o, m->sub);
        return 0;
    }
    if (o->theirs_n >= SHARE_SUBS_MAX)
        return -ERR_LIMIT;
    s = MEM_NEW(struct share_sub);
    s->origin = o;
    s->id = m->sub;
    if (!name_of(m, s) || pattern_from_wire(m->pattern, m->n_pattern, &s->pattern) < 0) {
        sub_free(s);
        return -ERR_PROTOCOL;
    }
    s->next = o->theirs;
    o->theirs = s;
    o->theirs_n++;
    users[s->kind]->snapshot(s);
    return 0;
}

static int take_state(struct origin *o, const Rn__FlockState *m)
{
    struct share_want *w = o->wants;

    while (w != NULL && w->id != m->sub)
        w = w->next;
    for (size_t i = 0; w != NULL && i < m->n_members; i++) {
        const Rn__FlockMember *x = m->members[i];
        struct share_row row = {
            .pid = x->pid, .name = { x->name.data, (uint32_t)x->name.len },
            .attrs = { x->attrs.data, (uint32_t)x->attrs.len }, .gone = x->gone, .why = x->why,
        };

        if (x->pid > PAYLOAD_MAX)
            return -ERR_PROTOCOL;
        users[w->kind]->row(w->topic, o, &row);
    }
    return 0;                       /* of a topic that we no longer want: passed over */
}

static int on_frame(const struct peer_rx *rx)
{
    const ProtobufCMessageDescriptor *type = wire_type(rx->kind);
    struct wire_arena arena = { 0 };
    const void *m = wire_unpack(type, rx->body.data, rx->body.len, &arena);
    struct origin *o;
    int rc = -ERR_PROTOCOL;

    epoch_enter();
    pthread_rwlock_wrlock(&share_lock);
    o = origin_of(rx->session);
    if (m != NULL && o != NULL)
        rc = rx->kind == KIND_flock_sub ? take_sub(o, m) : take_state(o, m);
    pthread_rwlock_unlock(&share_lock);
    epoch_leave();
    wire_arena_fini(&arena);
    return rc;
}

/* --- sessions --------------------------------------------------------------------------------------- */

static void on_up(const struct peer_info *p)
{
    struct origin *o;

    if (p->hidden)
        return;
    o = MEM_NEW(struct origin);
    *o = (struct origin){ .session = p->session, .creation = p->creation,
                          .node = atom_from_utf8(p->name, strlen(p->name)) };
    pthread_rwlock_wrlock(&share_lock);
    o->next = origins;
    origins = o;
    for (const struct topic *t = topics; t != NULL; t = t->next)
        ask(o, t);
    pthread_rwlock_unlock(&share_lock);
}

static void origin_free(struct origin *o)
{
    while (o->theirs != NULL)
        stop_sub(o, o->theirs->id);
    while (o->wants != NULL) {
        struct share_want *w = o->wants;

        o->wants = w->next;
        mem_free(w);
    }
    mem_free(o);
}

static bool on_down(const struct peer_info *p, session_id session, enum peer_end why)
{
    epoch_enter();
    pthread_rwlock_wrlock(&share_lock);
    for (struct origin **at = &origins; *at != NULL; at = &(*at)->next) {
        struct origin *o = *at;

        if (o->session != session)
            continue;
        *at = o->next;
        for (int k = 0; k < SHARE_KINDS; k++)
            users[k]->lost(o);
        origin_free(o);
        break;
    }
    pthread_rwlock_unlock(&share_lock);
    epoch_leave();
    return false;
}

/* --- processes -------------------------------------------------------------------------------------- */

bool share_track(uint64_t pid)
{
    struct tracked *t = idmap_get(&tracked, pid + 1);
    struct process *p;

    if (t != NULL) {
        t->times++;
        return true;
    }
    /* Sequentially consistent, as is the look of an exiting process: either it sees the count, or
     * we see that it exits. */
    atomic_fetch_add(&tracked_n, 1);
    p = process_lookup(imm_make(IMM_PID, pid));
    if (p == NULL || atomic_load(&p->state) == PROC_EXITING) {
        atomic_fetch_sub(&tracked_n, 1);
        return false;
    }
    t = MEM_NEW(struct tracked);
    t->times = 1;
    idmap_put(&tracked, pid + 1, t);
    return true;
}

void share_untrack(uint64_t pid)
{
    struct tracked *t = idmap_get(&tracked, pid + 1);

    if (t == NULL || --t->times > 0)
        return;
    mem_free(idmap_take(&tracked, pid + 1));
    atomic_fetch_sub(&tracked_n, 1);
}

static bool on_exit_of(struct process *p)
{
    if (next_exit_hook != NULL && next_exit_hook(p))
        return true;
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load(&tracked_n) == 0)
        return false;
    pthread_rwlock_wrlock(&share_lock);
    if (idmap_get(&tracked, imm_payload(p->pid) + 1) != NULL) {
        for (int k = 0; k < SHARE_KINDS; k++)
            users[k]->exited(imm_payload(p->pid));
        ASSERT(idmap_get(&tracked, imm_payload(p->pid) + 1) == NULL);
    }
    pthread_rwlock_unlock(&share_lock);
    return false;
}

void share_use(enum share_kind kind, const struct share_user *u)
{
    users[kind] = u;
}

void share_init(void)
{
    static struct peer_watch watch = { .up = on_up, .down = on_down };

    peer_watch(&watch);
    peer_handle(KIND_flock_sub, on_frame);
    peer_handle(KIND_flock_state, on_frame);
    next_exit_hook = vm_exit_hook;
    vm_exit_hook = on_exit_of;
}
