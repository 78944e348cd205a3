/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mailbox.c - a ring of messages with a save position
 *
 * Taking a message out of the middle moves the shorter side of the ring by one, so the queue has no
 * holes and its length is a difference.
 */
#include "vm/mailbox.h"

#include "base/slab.h"
#include "vm/bif.h"
#include "vm/engine.h"
#include "vm/mailbox_priv.h"
#include "vm/relation.h"
#include "vm/trace.h"

/* --- the ring ------------------------------------------------------------------------------ */

static struct mailbox *mailbox_get(struct process *p)
{
    struct mailbox *mq = p->mq;

    if (LIKELY(mq != NULL))
        return mq;
    p->mq = mq = slab_alloc(sizeof *mq);
    *mq = (struct mailbox){ .ring = slab_alloc(RING_MIN * sizeof(term)), .cap = RING_MIN };
    return mq;
}

static void ring_resize(struct mailbox *mq, uint32_t cap)
{
    term *ring = slab_alloc(cap * sizeof *ring);

    for (uint64_t seq = mq->first; seq != mq->end; seq++)
        ring[seq & (cap - 1)] = entry_at(mq, seq);
    slab_free(mq->ring, mq->cap * sizeof *mq->ring);
    mq->ring = ring;
    mq->cap = cap;
}

static void ring_push(struct process *p, term entry)
{
    struct mailbox *mq = mailbox_get(p);

    if (UNLIKELY(mq->end - mq->first == mq->cap))
        ring_resize(mq, mq->cap * 2);
    entry_at(mq, mq->end) = entry;
    mq->end++;
}

/* Take in a message's words: from now on they are p's. */
static term adopt(struct process *p, struct sig *sig)
{
    term msg = sig->a;

    if (sig->frag != NULL)
        heap_adopt_frag(&p->heap, sig->frag);   /* the signal goes with it */
    else
        sig_free(sig);
    return msg;
}

void mailbox_append(struct process *p, term msg)
{
    ring_push(p, msg);
}

void mailbox_append_sig(struct process *p, struct sig *sig)
{
    if (sig->frag == NULL) {
        ring_push(p, sig->a);
        sig_free(sig);
    } else {
        ring_push(p, entry_of_sig(sig));
    }
}

bool mailbox_has_unseen(const struct process *p)
{
    return p->mq != NULL && p->mq->save != p->mq->end;
}

size_t mailbox_length(const struct process *p)
{
    return p->mq != NULL ? p->mq->end - p->mq->first : 0;
}

term mailbox_nth(const struct process *p, size_t i)
{
    term e = entry_at(p->mq, p->mq->first + i);

    return entry_is_sig(e) ? entry_sig(e)->a : e;
}

unsigned mailbox_spans(struct process *p, struct gc_span out[2])
{
    struct mailbox *mq = p->mq;
    size_t n = mailbox_length(p), at, upto;

    if (n == 0)
        return 0;
    at = mq->first & (mq->cap - 1);
    upto = mq->cap - at;
    out[0] = (struct gc_span){ &mq->ring[at], n < upto ? n : upto };
    if (n <= upto)
        return 1;
    out[1] = (struct gc_span){ mq->ring, n - upto };
    return 2;
}

void mailbox_free(struct process *p)
{
    struct mailbox *mq = p->mq;

    if (p->marks != NULL)
        slab_free(p->marks, sizeof *p->marks);
    p->marks = NULL;
    if (mq == NULL)
        return;
    for (uint64_t seq = mq->first; seq != mq->end; seq++) {
        if (entry_is_sig(entry_at(mq, seq)))
            sig_free(entry_sig(entry_at(mq, seq)));
    }
    slab_free(mq->ring, mq->cap * sizeof *mq->ring);
    slab_free(mq, sizeof *mq);
    p->mq = NULL;
}

/* --- receive --------------------------------------------------------------------------------- */

bool mailbox_peek(struct process *p, term *ret)
{
    struct mailbox *mq;
    term e;

    while ((mq = p->mq) == NULL || mq->save == mq->end) {
        if (inbox_is_empty(&p->inbox))
            return false;
        if (!signals_handle(p)) {
            p->action = BIF_EXIT;
            return false;
        }
        if (p->mq == NULL || p->mq->save == p->mq->end)
            return false;       /* no message among them, or a push is unfinished */
    }
    e = entry_at(mq, mq->save);
    if (entry_is_sig(e))
        entry_at(mq, mq->save) = e = adopt(p, entry_sig(e));
    *ret = e;
    return true;
}

void mailbox_advance(struct process *p)
{
    ASSERT(p->mq->save != p->mq->end);
    p->mq->save++;
}

/* The entry at seq is gone: move marks so that each still stands before the same message. */
static void marks_shift(struct process *p, uint64_t seq, bool front_moved)
{
    for (unsigned i = 0; p->marks != NULL && i < MARKS_MAX; i++) {
        uint64_t *at = &p->marks->slot[i].seq;

        if (front_moved ? *at <= seq && *at > p->mq->first : *at > seq)
            *at += front_moved ? 1 : (uint64_t)-1;
    }
}

static void ring_remove(struct process *p, uint64_t seq)
{
    struct mailbox *mq = p->mq;

    if (seq - mq->first <= mq->end - seq) {
        for (uint64_t i = seq; i != mq->first; i--)
            entry_at(mq, i) = entry_at(mq, i - 1);
        if (seq != mq->first)
            marks_shift(p, seq, true);
        mq->first++;
    } else {
        for (uint64_t i = seq + 1; i != mq->end; i++)
            entry_at(mq, i - 1) = entry_at(mq, i);
        mq->end--;
        marks_shift(p, seq, false);
    }
}

void mailbox_remove(struct process *p)
{
    struct mailbox *mq = p->mq;

    ASSERT(mq->save != mq->end);
    if (UNLIKELY(atomic_load_explicit(&trace_receives, memory_order_relaxed) != 0))
        trace_receive_hook(p, mailbox_nth(p, (size_t)(mq->save - mq->first)));
    if (LIKELY(mq->save == mq->first))
        mq->first++;
    else
        ring_remove(p, mq->save);
    mq->save = mq->first;
    if (UNLIKELY(mq->cap > 256 && mq->first == mq->end))
        ring_resize(mq, RING_MIN);
    if (p->receive_timer != NULL)
        receive_timer_cancel(p);
    p->wait_kind &= (uint8_t)~RECEIVE_TIMED_OUT;
}

void mailbox_restart(struct process *p)
{
    if (p->mq != NULL)
        p->mq->save = p->mq->first;
}

void mailbox_drop_if(struct process *p, bool (*drop)(term msg, const void *arg), const void *arg)
{
    struct mailbox *mq = p->mq;

    if (mq == NULL)
        return;
    for (uint64_t seq = mq->first; seq < mq->end; ) {
        uint64_t first = mq->first;
        term e = entry_at(mq, seq);

        if (!drop(entry_is_sig(e) ? entry_sig(e)->a : e, arg)) {
            seq++;
            continue;
        }
        if (entry_is_sig(e))
            sig_free(entry_sig(e));
        ring_remove(p, seq);
        seq += mq->first - first;       /* when the front moved up, what follows kept its place */
    }
    mq->save = mq->first;
}

/* --- markers ----------------------------------------------------------------------------------- */

term mailbox_marker_reserve(struct process *p)
{
    struct recv_marks *m = p->marks;
    uint32_t i;

    if (m == NULL) {
        p->marks = m = slab_alloc(sizeof *m);
        m->next = 0;
        for (i = 0; i < MARKS_MAX; i++)
            m->slot[i].ref = TERM_NONE;
    }
    i = m->next++ % MARKS_MAX;          /* forgets the oldest */
    m->slot[i].seq = p->mq != NULL ? p->mq->end : 0;
    m->slot[i].ref = TERM_NIL;
    return small_make(i);
}

void mailbox_marker_bind(struct process *p, term marker, term ref)
{
    if (is_small(marker) && p->marks != NULL && (uint64_t)small_val(marker) < MARKS_MAX)
        p->marks->slot[small_val(marker)].ref = ref_plain(ref);
}

static int mark_find(struct process *p, term ref)
{
    term plain = ref_plain(ref);

    for (int i = 0; p->marks != NULL && plain != TERM_NONE && i < MARKS_MAX; i++) {
        if (p->marks->slot[i].ref == plain)
            return i;
    }
    return -1;
}

void mailbox_marker_use(struct process *p, term ref)
{
    int i = mark_find(p, ref);
    struct mailbox *mq = p->mq;

    if (i < 0 || mq == NULL)
        return;
    if (mq->save < p->marks->slot[i].seq && p->marks->slot[i].seq <= mq->end)
        mq->save = p->marks->slot[i].seq;
}

void mailbox_marker_clear(struct process *p, term ref)
{
    int i = mark_find(p, ref);

    if (i >= 0)
        p->marks->slot[i].ref = TERM_NONE;
}
