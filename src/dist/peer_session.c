/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peer_session.c - the life of a session
 *
 *   connecting --> up --> ended         each arrow once; connecting may end without up
 *
 * Senders push frames on the inbox of the session that they find in the peer; the loop takes them
 * from there. Ending closes the inbox with a mark that no push passes, so that a frame is either
 * in the session it was meant for or given back to its sender as gone.
 *
 *   PE1  peer->session is NULL or a session that is not ended; it is replaced under peer->lock.
 *   PE2  Every session that was put there is told as down exactly once, to every watcher, before
 *        the next of this peer is told as up.
 *   PE3  The peer's reference goes after `ready` has been set for good: a sender that pushed just before
 *        the end and comes to wake the loop only now finds it set, and takes no reference from zero.
 */
#include "dist/peer_priv.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/epoch.h"
#include "base/errors.h"
#include "base/log.h"

const struct peer_frame inbox_closed;
#define CLOSED ((struct peer_frame *)(uintptr_t)&inbox_closed)

/* --- references ------------------------------------------------------------------------------------ */

static void session_free(void *p)
{
    struct session *s = p;

    stream_fini(&s->stream);
    pthread_mutex_destroy(&s->tx);
    mem_free(s);
}

void session_ref(struct session *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);   /* relaxed: one is held */
}

void session_unref(struct session *s)
{
    /* acq_rel: the last one sees what the others wrote; readers under epoch may still look */
    if (atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) == 1)
        epoch_retire(s, session_free);
}

/* --- beginning ------------------------------------------------------------------------------------- */

static void run_ready(struct loop_task *t);

static struct session *session_new(struct peer *p)
{
    struct session *s = MEM_NEW(struct session);

    s->peer = p;
    s->number = ++p->last_number;
    s->id = s->number << 20 | p->id;
    atomic_init(&s->refs, 2);               /* the peer's, and that of the first task */
    atomic_init(&s->ready, true);
    s->ready_task.run = run_ready;
    atomic_init(&s->message_max, MESSAGE_MAX);
    pthread_mutex_init(&s->tx, NULL);
    stream_init(&s->stream, s);
    return s;
}

struct session *session_begin(struct peer *p)
{
    struct session *s;
    bool fresh = false;

    spin_lock(&p->lock);
    /* relaxed: written under this lock */
    s = atomic_load_explicit(&p->session, memory_order_relaxed);
    if (s == NULL && !p->gone) {
        s = session_new(p);
        p->info.session = s->id;
        p->info.state = PEER_CONNECTING;
        /* release: pairs with the acquire of those who find it */
        atomic_store_explicit(&p->session, s, memory_order_release);
        fresh = true;
    }
    spin_unlock(&p->lock);
    if (fresh)
        loop_post(p->loop, &s->ready_task);
    return s;
}

/* --- the inbox ------------------------------------------------------------------------------------- */

static void wake(struct session *s)
{
    /* acq_rel: pairs with the store in run_ready: it drains after clearing, so a push before is seen */
    if (!atomic_exchange_explicit(&s->ready, true, memory_order_acq_rel)) {
        session_ref(s);
        loop_post(s->peer->loop, &s->ready_task);
    }
}

/* A session that was quiet, or whose peer has just said something: send from this thread, which saves
 * waking another. In a flood, where pushes follow each other closely, the loop does better: it makes
 * full records. */
#define QUIET_NS 20000

static bool send_direct(struct session *s)
{
    int64_t now = clock_monotonic_ns(), before;
    bool sent = false, answers;

    /* relaxed: hints */
    before = atomic_exchange_explicit(&s->pushed_ns, now, memory_order_relaxed);
    answers = atomic_exchange_explicit(&s->heard, false, memory_order_relaxed);
    if ((now - before < QUIET_NS && !answers) || !atomic_load_explicit(&s->direct, memory_order_relaxed) ||
        atomic_load_explicit(&s->told_busy, memory_order_relaxed) ||
        pthread_mutex_trylock(&s->tx) != 0)
        return false;
    if (atomic_load_explicit(&s->direct, memory_order_relaxed)) {
        session_drain(s);
        sent = s->peer->transport->send_now(s) && !s->tell_writable;
    }
    pthread_mutex_unlock(&s->tx);
    return sent;
}

/* Any thread. False: the session is over. */
static bool inbox_push(struct session *s, struct peer_frame *f)
{
    struct peer_frame *head = atomic_load_explicit(&s->inbox, memory_order_relaxed);

    do {
        if (head == CLOSED)
            return false;
        f->next = head;
        /* release: pairs with the acquire in inbox_take */
    } while (!atomic_compare_exchange_weak_explicit(&s->inbox, &head, f, memory_order_release,
                                                    memory_order_relaxed));
    if (head == NULL && !send_direct(s))
        wake(s);
    return true;
}

/* All that is there, oldest first; leaves `left` in its place. */
static struct peer_frame *inbox_take(struct session *s, struct peer_frame *left)
{
    struct peer_frame *f = atomic_exchange_explicit(&s->inbox, left, memory_order_acquire);
    struct peer_frame *in_order = NULL;

    while (f != NULL && f != CLOSED) {
        struct peer_frame *next = f->next;

        f->next = in_order;
        in_order = f;
        f = next;
    }
    return in_order;
}

void session_drain(struct session *s)
{
    struct peer_frame *f;

    if (atomic_load_explicit(&s->state, memory_order_relaxed) == SESSION_ENDED)
        return;                             /* relaxed: who ends it has closed the inbox or will */
    for (f = inbox_take(s, NULL); f != NULL;) {
        struct peer_frame *next = f->next;

        stream_queue(&s->stream, f);
        f = next;
    }
}

/* The session has something to do: it was begun, or frames were pushed. */
static void run_ready(struct loop_task *t)
{
    struct session *s = CONTAINER_OF(t, struct session, ready_task);
    int state = atomic_load_explicit(&s->state, memory_order_relaxed);

    if (state != SESSION_ENDED)             /* PE3 */
        atomic_store_explicit(&s->ready, false, memory_order_seq_cst);
    if (state == SESSION_CONNECTING && !s->begun) {
        s->begun = true;
        s->peer->transport->begin(s);
    } else if (state == SESSION_UP) {
        size_t urgent;

        pthread_mutex_lock(&s->tx);
        session_drain(s);
        urgent = s->stream.lane[LANE_CONTROL].bytes;
        pthread_mutex_unlock(&s->tx);
        if (urgent > CONTROL_QUEUE_MAX)
            session_end(s, PEER_END_OVERRUN);
        else
            s->peer->transport->flush(s);
    }
    session_unref(s);
}

/* --- sending --------------------------------------------------------------------------------------- */

static enum peer_sent push_to(struct session *s, struct peer_frame *f, unsigned flags)
{
    uint64_t weight = frame_weight(f), queued;

    /* relaxed: set before up; until then the default holds */
    if (f->len > atomic_load_explicit(&s->message_max, memory_order_relaxed))
        return PEER_TOO_LARGE;
    /* relaxed: a figure; the frame itself is ordered by the inbox */
    queued = atomic_load_explicit(&s->queued, memory_order_relaxed);
    if (queued > BUSY_BYTES && (flags & PEER_NOSUSPEND) != 0)
        return PEER_FULL;
    queued = atomic_fetch_add_explicit(&s->queued, weight, memory_order_relaxed) + weight;
    if (!inbox_push(s, f)) {
        atomic_fetch_sub_explicit(&s->queued, weight, memory_order_relaxed);
        return PEER_GONE;
    }
    if (queued <= BUSY_BYTES)
        return PEER_SENT;
    /* seq_cst: either session_left sees that somebody waits, or we see that it is below half */
    atomic_store_explicit(&s->told_busy, true, memory_order_seq_cst);
    return atomic_load_explicit(&s->queued, memory_order_seq_cst) > BUSY_BYTES / 2 ? PEER_BUSY
                                                                                 : PEER_SENT;
}

enum peer_sent peer_send(session_id id, struct peer_frame *f, uint64_t order, unsigned flags,
                         session_id *ret_session)
{
    struct peer *p = peer_get(session_peer(id));
    uint64_t number = session_number(id);
    enum peer_sent sent = PEER_GONE;
    struct session *s;

    ASSERT(f->sealed);
    f->order = order;
    epoch_enter();
    while (p != NULL) {
        /* acquire: pairs with the release in session_begin */
        s = atomic_load_explicit(&p->session, memory_order_acquire);
        if (s == NULL && number == 0 && (flags & PEER_NOCONNECT) != 0) {
            sent = PEER_NO_SESSION;
            break;
        }
        if (s == NULL && number == 0)
            s = session_begin(p);
        if (s == NULL || (number != 0 && s->number != number))
            break;
        if (ret_session != NULL)
            *ret_session = s->id;
        sent = push_to(s, f, flags);
        /* It ended under our hands: without a wish for this one there may be another. */
        if (sent != PEER_GONE || number != 0)
            break;
    }
    epoch_leave();
    if (sent != PEER_SENT && sent != PEER_BUSY)
        peer_frame_free(f);
    return sent;
}

void session_left(struct session *s, uint64_t weight)
{
    /* seq_cst: see push_to */
    uint64_t queued = atomic_fetch_sub_explicit(&s->queued, weight, memory_order_seq_cst) - weight;

    if (queued > BUSY_BYTES / 2 || !atomic_load_explicit(&s->told_busy, memory_order_seq_cst))
        return;
    if (atomic_exchange_explicit(&s->told_busy, false, memory_order_seq_cst))
        s->tell_writable = true;
}

void session_tell_writable(struct session *s)
{
    bool tell;

    pthread_mutex_lock(&s->tx);
    tell = s->tell_writable;
    s->tell_writable = false;
    pthread_mutex_unlock(&s->tx);
    for (struct peer_watch *w = peer_watches; tell && w != NULL; w = w->next) {
        if (w->writable != NULL)
            w->writable(s->id);
    }
}

void session_control(struct session *s, enum frame_kind kind, const ProtobufCMessage *m)
{
    struct buf b = { 0 };
    struct peer_frame *f;

    wire_pack(m, &b);
    f = peer_frame_packed(kind, b.data, b.len);
    buf_fini(&b);
    atomic_fetch_add_explicit(&s->queued, frame_weight(f), memory_order_relaxed);   /* relaxed: a figure */
    pthread_mutex_lock(&s->tx);
    stream_queue(&s->stream, f);
    pthread_mutex_unlock(&s->tx);
}

/* --- up -------------------------------------------------------------------------------------------- */

bool session_up(struct session *s, const struct peer_info *fresh)
{
    struct peer *p = s->peer;
    struct peer_info info;

    ASSERT(loop_here(p->loop));
    ASSERT(p->ending == NULL);              /* PE2 */
    spin_lock(&p->lock);
    p->info.state = PEER_UP;
    p->info.creation = fresh->creation;
    p->info.rights = fresh->rights;
    p->info.hidden = fresh->hidden;
    memcpy(p->info.boot_id, fresh->boot_id, sizeof p->info.boot_id);
    memcpy(p->info.address, fresh->address, sizeof p->info.address);
    p->info.up_since_ns = clock_system_ns();
    p->info.last_heard_ns = clock_monotonic_ns();
    info = p->info;
    spin_unlock(&p->lock);
    s->creation = fresh->creation;
    s->rights = fresh->rights;
    s->stream.makes_atoms = (fresh->rights & RIGHT_PEER) != 0;
    s->begun = true;
    /* relaxed: read on this thread, elsewhere as a figure */
    atomic_store_explicit(&s->state, SESSION_UP, memory_order_relaxed);
    s->told_up = true;
    for (struct peer_watch *w = peer_watches; w != NULL; w = w->next) {
        if (w->up != NULL)
            w->up(&info);
        if (atomic_load_explicit(&s->state, memory_order_relaxed) == SESSION_ENDED)
            return false;
    }
    pthread_mutex_lock(&s->tx);
    session_drain(s);
    /* relaxed: looked at again under tx */
    atomic_store_explicit(&s->direct, p->transport->send_now != NULL, memory_order_relaxed);
    pthread_mutex_unlock(&s->tx);
    return true;
}

/* --- down ------------------------------------------------------------------------------------------ */

/* One slice of telling; posts itself until all is told. */
static void run_end(struct loop_task *t)
{
    struct peer *p = CONTAINER_OF(t, struct peer, end_task);
    struct session *s = p->ending;
    struct peer_info info;

    spin_lock(&p->lock);
    info = p->info;
    spin_unlock(&p->lock);
    while (p->ending_watch != NULL) {
        if (p->ending_watch->down != NULL &&
            p->ending_watch->down(&info, s->id, p->ending_why)) {
            loop_post(p->loop, &p->end_task);
            return;
        }
        p->ending_watch = p->ending_watch->next_reversed;
    }
    session_unref(s);
    p->ending = p->ended;                   /* ended meanwhile, without having been up */
    if (p->ending != NULL) {
        p->ended = p->ending->next_ended;
        p->ending_why = p->ending->ending_why;
        p->ending_watch = peer_watches_reversed;
        loop_post(p->loop, &p->end_task);
        return;
    }
    if (p->after_end != NULL) {
        void (*after)(struct peer *p) = p->after_end;

        p->after_end = NULL;
        after(p);
    }
}

static void drop_queued(struct session *s)
{
    struct peer_frame *f = inbox_take(s, CLOSED);

    while (f != NULL) {
        struct peer_frame *next = f->next;

        peer_frame_free(f);
        f = next;
    }
}

void session_end(struct session *s, enum peer_end why)
{
    struct peer *p = s->peer;

    ASSERT(loop_here(p->loop));
    if (atomic_load_explicit(&s->state, memory_order_relaxed) == SESSION_ENDED)
        return;                             /* relaxed: changed on this thread */
    atomic_store_explicit(&s->state, SESSION_ENDED, memory_order_relaxed);
    spin_lock(&p->lock);
    ASSERT(atomic_load_explicit(&p->session, memory_order_relaxed) == s);
    atomic_store_explicit(&p->session, NULL, memory_order_release);     /* PE1 */
    p->info.session = 0;
    p->info.state = PEER_IDLE;
    p->info.up_since_ns = 0;
    p->info.queued_bytes = 0;
    p->info.rtt_us = 0;
    p->info.degraded = false;
    spin_unlock(&p->lock);
    pthread_mutex_lock(&s->tx);
    atomic_store_explicit(&s->direct, false, memory_order_relaxed);     /* relaxed: as above */
    pthread_mutex_unlock(&s->tx);
    p->transport->drop(s);
    drop_queued(s);
    /* acq_rel: pairs with the exchange in wake; if that came first, its task holds a reference. PE3 */
    atomic_exchange_explicit(&s->ready, true, memory_order_acq_rel);
    /* A session that fails while the end of the one before is still being told waits its turn. */
    if (p->ending != NULL) {
        s->ending_why = why;
        s->next_ended = p->ended;
        p->ended = s;
        return;
    }
    p->ending = s;
    p->ending_why = why;
    p->ending_watch = peer_watches_reversed;
    p->end_task.run = run_end;
    loop_post(p->loop, &p->end_task);
}

/* --- incoming ---------------------------------------------------------------------------------------- */

int session_frame(struct session *s, const struct peer_rx *rx)
{
    struct peer_rx mine = *rx;
    uint32_t need = kind_rights(rx->kind);
    int rc = peer_own_frame_hook != NULL ? peer_own_frame_hook(s, rx) : 0;

    if (rc != 0)
        return rc < 0 ? rc : 0;             /* 1: it was one of ours */
    if (need != 0 && (need & s->rights) == 0)
        return -ERR_PERMISSION;
    mine.rights = s->rights;
    return peer_handlers[rx->kind] != NULL ? peer_handlers[rx->kind](&mine) : 0;
}
