/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peer_stream.c - frames into records and back: lanes, dictionary, transfers, credit
 *
 * Out: frames wait in three queues. What a frame becomes is decided when it comes to the front: a
 * long one becomes a transfer, and later frames of the same order key line up behind it (in its
 * tail) until its last fragment is out; then they join the queue of signals. So the frames of one
 * sender keep their order, and those of others pass.
 *
 *   PS1  A slot of the dictionary is defined in the stream before the first frame that names it, and
 *        no two atoms of one frame share a slot.
 *   PS2  At most one transfer runs for an order key.
 *   PS3  sent <= granted when a frame of lane 1 or 2 begins to leave; so at most one frame's bytes are
 *        beyond what the peer granted.
 *
 * In: everything is checked before it is handed on; what a peer can make grow is counted here.
 */
#include "dist/peer_priv.h"

#include "auth/record.h"
#include "base/alloc.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/errors.h"
#include "base/metric.h"
#include "base/slab.h"
#include "term/atom.h"
#include "wire/scan.h"

#define BLOCK_FIRST ((size_t)1 << 20)       /* what a mere announcement can make us reserve */

struct transfer_out {
    struct transfer_out *next;              /* in turn */
    struct transfer_out *next_order;
    struct peer_frame *frame;
    uint64_t id;
    uint32_t head_len, sent;                /* of the encoded Frame: its head, then the body */
    uint32_t index;
    uint8_t  head[FRAME_HEAD_MAX];
    struct frame_queue tail;
};

struct transfer_in {
    struct transfer_in *next;
    uint64_t id;
    uint32_t index, total;
    uint16_t n_atoms;
    term    *atoms;
    struct peer_block *block;
};

struct peer_block {
    _Atomic uint32_t refs;
    size_t len, cap;
    uint8_t *data;
};

/* --- blocks -------------------------------------------------------------------------------------- */

struct peer_block *peer_block_ref(struct peer_block *b)
{
    /* relaxed: whoever has a reference keeps it alive */
    atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
    return b;
}

void peer_block_unref(struct peer_block *b)
{
    /* acq_rel: the last to let go sees what the others did to it */
    if (b != NULL && atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) == 1) {
        mem_free(b->data);
        mem_free(b);
    }
}

static bool block_add(struct peer_block *b, const void *p, size_t n, size_t total)
{
    if (n > total - b->len)
        return false;
    if (n > b->cap - b->len) {
        size_t cap = b->cap == 0 ? BLOCK_FIRST : 2 * b->cap + n;

        b->cap = cap < total ? cap : total;
        b->data = mem_realloc(b->data, b->cap);
    }
    memcpy(b->data + b->len, p, n);
    b->len += n;
    return true;
}

/* --- queues -------------------------------------------------------------------------------------- */

static void queue_init(struct frame_queue *q)
{
    q->first = NULL;
    q->last = &q->first;
    q->bytes = 0;
}

static void queue_add(struct frame_queue *q, struct peer_frame *f)
{
    f->next = NULL;
    *q->last = f;
    q->last = &f->next;
    q->bytes += f->len;
}

static struct peer_frame *queue_pop(struct frame_queue *q)
{
    struct peer_frame *f = q->first;

    q->first = f->next;
    if (q->first == NULL)
        q->last = &q->first;
    q->bytes -= f->len;
    return f;
}

static void queue_free(struct frame_queue *q)
{
    while (q->first != NULL)
        peer_frame_free(queue_pop(q));
}

void stream_init(struct stream *st, struct session *s)
{
    memset(st, 0, sizeof *st);
    st->session = s;
    for (int i = 0; i < LANE_COUNT; i++)
        queue_init(&st->lane[i]);
    st->out_last = &st->out_first;
    st->window = WINDOW_BYTES;
    st->credited = st->window;
    st->granted = st->window;
}

static void transfer_free(struct transfer_out *t)
{
    queue_free(&t->tail);
    peer_frame_free(t->frame);
    mem_free(t);
}

static void transfer_in_free(struct transfer_in *t)
{
    peer_block_unref(t->block);
    mem_free(t->atoms);
    mem_free(t);
}

void stream_fini(struct stream *st)
{
    for (int i = 0; i < LANE_COUNT; i++)
        queue_free(&st->lane[i]);
    while (st->out_first != NULL) {
        struct transfer_out *t = st->out_first;

        st->out_first = t->next;
        transfer_free(t);
    }
    while (st->in_first != NULL) {
        struct transfer_in *t = st->in_first;

        st->in_first = t->next;
        transfer_in_free(t);
    }
    if (st->dict_out != NULL)
        slab_free(st->dict_out, sizeof *st->dict_out);
    if (st->dict_in != NULL)
        slab_free(st->dict_in, DICT_SLOTS * sizeof *st->dict_in);
    st->dict_out = NULL;
    st->dict_in = NULL;
    st->out_last = &st->out_first;
    memset(st->by_order, 0, sizeof st->by_order);
    st->out_count = st->in_count = 0;
}

void stream_queue(struct stream *st, struct peer_frame *f)
{
    ASSERT(f->sealed);
    queue_add(&st->lane[wire_kind_lane(f->kind)], f);
}

static bool credit_left(const struct stream *st)
{
    /* relaxed: a figure that only grows */
    return st->sent < atomic_load_explicit(&st->granted, memory_order_relaxed);
}

bool stream_ready(const struct stream *st)
{
    return st->lane[LANE_CONTROL].first != NULL ||
           (credit_left(st) && (st->lane[LANE_SIGNAL].first != NULL ||
                                st->lane[LANE_BULK].first != NULL || st->out_first != NULL));
}

/* --- dictionary, out ------------------------------------------------------------------------------- */

/* The slot of an atom for the frame under way (PS1). *ret_fresh: it must be defined first. */
static uint32_t slot_for(struct stream *st, uint32_t index, bool *ret_fresh)
{
    uint32_t home = (index * 0x9E3779B1u) >> 21, slot;
    struct dict_out *d = st->dict_out;

    if (d == NULL) {
        d = st->dict_out = slab_alloc(sizeof *d);
        memset(d, 0, sizeof *d);
    }
    for (unsigned i = 0; i < 4; i++) {
        slot = (home + i) % DICT_SLOTS;
        if (d->atom[slot] == index + 1) {
            *ret_fresh = false;
            d->used[slot] = st->frame_number;
            return slot;
        }
    }
    for (slot = home; d->used[slot] == st->frame_number; slot = (slot + 1) % DICT_SLOTS)
        ;
    *ret_fresh = true;
    d->atom[slot] = index + 1;
    d->used[slot] = st->frame_number;
    return slot;
}

/* A new frame: no slot is in use by it. */
static void next_frame_number(struct stream *st)
{
    if (++st->frame_number == 0) {          /* after 2^32 frames: old marks must not match */
        if (st->dict_out != NULL)
            memset(st->dict_out->used, 0, sizeof st->dict_out->used);
        st->frame_number = 1;
    }
}

/* --- building records -------------------------------------------------------------------------------- */

struct builder { uint8_t *start, *at, *end; };

static size_t builder_left(const struct builder *b)
{
    return (size_t)(b->end - b->at);
}

static size_t atom_def_len(uint32_t slot, size_t text)
{
    size_t body = (slot != 0 ? 1 + (slot < 128 ? 1u : 2u) : 0) +
                  (text != 0 ? 1 + (text < 128 ? 1u : 2u) + text : 0);

    return batch_head_len(KIND_atom_def, 0, body) + body;
}

static void write_atom_def(struct builder *b, uint32_t slot, const char *text, size_t len)
{
    struct wire_sig s = { .kind = KIND_atom_def, .slot = slot,
                          .name = { (const uint8_t *)text, (uint32_t)len } };
    size_t total = atom_def_len(slot, len), head;
    uint8_t *at;

    for (head = 4; ; head++) {              /* the length of the head depends on the body's */
        size_t body = total - head;

        if (batch_head_len(KIND_atom_def, 0, body) == head) {
            at = batch_write_head(KIND_atom_def, 0, body, b->at);
            break;
        }
    }
    b->at = sig_write_head(&s, 0, at);
}

/* Find slots for f's atoms and write the definitions that are missing. False: no room in this
 * record; asked again with the next, slots that were defined meanwhile are found. */
static bool prepare_atoms(struct stream *st, const struct peer_frame *f, struct builder *b,
                          uint32_t slots[SIG_ATOMS_MAX])
{
    for (unsigned i = 0; i < f->n_atoms; i++) {
        size_t len;
        const char *text = atom_text(atom_make(f->atoms[i]), &len);
        bool fresh;

        if (builder_left(b) < atom_def_len(DICT_SLOTS, len))
            return false;                   /* even if it were not needed: the next record has room */
        slots[i] = slot_for(st, f->atoms[i], &fresh);
        if (fresh)
            write_atom_def(b, slots[i], text, len);
    }
    return true;
}

/* The frame with its slots, if it fits. */
static bool write_frame(struct builder *b, const struct peer_frame *f, const uint32_t *slots)
{
    size_t atoms = sig_atoms_len(slots, f->n_atoms), body = f->len + atoms;
    const uint8_t *data = f->data + f->at;

    if (builder_left(b) < batch_head_len(f->kind, 0, body) + body)
        return false;
    b->at = batch_write_head(f->kind, 0, body, b->at);
    memcpy(b->at, data, f->split);
    b->at = sig_write_atoms(f->kind, slots, f->n_atoms, b->at + f->split);
    memcpy(b->at, data + f->split, f->len - f->split);
    b->at += f->len - f->split;
    return true;
}

static struct transfer_out **order_chain(struct stream *st, uint64_t order)
{
    return &st->by_order[(order ^ order >> 6 ^ order >> 12) % ARRAY_LEN(st->by_order)];
}

static struct transfer_out *transfer_of(struct stream *st, uint64_t order)
{
    struct transfer_out *t = NULL;

    if (order != 0 && st->out_first != NULL)
        for (t = *order_chain(st, order); t != NULL && t->frame->order != order;)
            t = t->next_order;
    return t;
}

static void transfer_begin(struct stream *st, struct peer_frame *f)
{
    struct transfer_out *t = MEM_NEW(struct transfer_out), **chain;
    uint8_t head[FRAME_HEAD_MAX];
    size_t whole, list;

    /* What is cut into pieces is a Frame without the tag and length that a Batch puts before it. */
    batch_write_head(f->kind, 0, f->len, head);
    whole = batch_head_len(f->kind, 0, f->len);
    for (list = 1; head[list] & 0x80; list++)
        ;
    t->head_len = (uint32_t)(whole - list - 1);
    memcpy(t->head, head + list + 1, t->head_len);
    t->frame = f;
    t->id = ++st->next_transfer;
    queue_init(&t->tail);
    *st->out_last = t;
    st->out_last = &t->next;
    st->out_count++;
    st->out_announced += f->len;
    if (f->order != 0) {
        chain = order_chain(st, f->order);
        t->next_order = *chain;
        *chain = t;
    }
}

static void transfer_end(struct stream *st, struct transfer_out *t)
{
    if (t->frame->order != 0) {
        struct transfer_out **at = order_chain(st, t->frame->order);

        while (*at != t)
            at = &(*at)->next_order;
        *at = t->next_order;
    }
    st->out_count--;
    st->out_announced -= t->frame->len;
    session_left(st->session, frame_weight(t->frame));
    /* In front of the signals that wait: they are older than any that its sender queued since. */
    if (t->tail.first != NULL) {
        struct frame_queue *q = &st->lane[LANE_SIGNAL];

        *t->tail.last = q->first;
        if (q->first == NULL)
            q->last = t->tail.last;
        q->first = t->tail.first;
        q->bytes += t->tail.bytes;
        queue_init(&t->tail);
    }
    transfer_free(t);
}

/* One fragment of the transfer whose turn it is. False: it does not fit into this record. */
static bool write_fragment(struct stream *st, struct builder *b)
{
    struct transfer_out *t = st->out_first;
    uint32_t total = t->head_len + t->frame->len, n = total - t->sent, done = 0;
    struct wire_sig s = { .kind = KIND_fragment, .id = t->id, .slot = t->index };
    uint32_t slots[SIG_ATOMS_MAX];
    unsigned n_atoms = 0;
    uint8_t head[64], *end;
    size_t body;

    if (t->index == 0) {
        next_frame_number(st);
        if (!prepare_atoms(st, t->frame, b, slots))
            return false;
        n_atoms = t->frame->n_atoms;
        s.code = total;
    }
    if (n > FRAGMENT_BYTES - sig_atoms_len(slots, n_atoms))
        n = (uint32_t)(FRAGMENT_BYTES - sig_atoms_len(slots, n_atoms));
    s.flag = t->sent + n == total;
    end = sig_write_head(&s, n, head);
    body = (size_t)(end - head) + n + sig_atoms_len(slots, n_atoms) + (s.flag ? 2 : 0);
    if (builder_left(b) < batch_head_len(KIND_fragment, 0, body) + body)
        return false;
    b->at = batch_write_head(KIND_fragment, 0, body, b->at);
    memcpy(b->at, head, (size_t)(end - head));
    b->at += end - head;
    if (t->sent < t->head_len) {
        done = t->head_len - t->sent;       /* a head is always in the first fragment, whole */
        memcpy(b->at, t->head, done);
        b->at += done;
    }
    memcpy(b->at, t->frame->data + t->frame->at + (t->sent + done - t->head_len), n - done);
    b->at = sig_write_atoms(KIND_fragment, slots, n_atoms, b->at + (n - done));
    b->at = sig_write_tail(&s, b->at);
    t->sent += n;
    t->index++;
    st->sent += body;
    st->out_first = t->next;                /* to the end of the line, or gone */
    if (st->out_first == NULL)
        st->out_last = &st->out_first;
    t->next = NULL;
    if (s.flag) {
        transfer_end(st, t);
    } else {
        *st->out_last = t;
        st->out_last = &t->next;
    }
    return true;
}

/* The first frame of a lane into the record, or where else it belongs. False: it must wait. */
static bool write_first(struct stream *st, struct frame_queue *q, struct builder *b)
{
    struct peer_frame *f = q->first;
    struct transfer_out *t = transfer_of(st, f->order);
    uint32_t slots[SIG_ATOMS_MAX];

    if (t != NULL) {
        queue_add(&t->tail, queue_pop(q));
        return true;
    }
    if (f->len > FRAME_SMALL_BYTES) {
        if (st->out_count == TRANSFERS_MAX ||
            (st->out_count > 0 && st->out_announced + f->len > TRANSFER_WAIT_BYTES / 2))
            return false;
        transfer_begin(st, queue_pop(q));
        return true;
    }
    next_frame_number(st);
    if (!prepare_atoms(st, f, b, slots) || !write_frame(b, f, slots))
        return false;
    queue_pop(q);
    if (q != &st->lane[LANE_CONTROL])
        st->sent += f->len + sig_atoms_len(slots, f->n_atoms);
    atomic_store_explicit(&st->frames_out,
                          atomic_load_explicit(&st->frames_out, memory_order_relaxed) + 1,
                          memory_order_relaxed);
    session_left(st->session, frame_weight(f));
    peer_frame_free(f);
    return true;
}

static void fill_from(struct stream *st, unsigned lane, struct builder *b)
{
    struct frame_queue *q = &st->lane[lane];

    while (q->first != NULL && (lane == LANE_CONTROL || credit_left(st))) {
        /* A transfer at its limit holds the frames behind it back: their order must stay. */
        if (!write_first(st, q, b))
            break;
    }
}

static void fill_bulk(struct stream *st, struct builder *b)
{
    fill_from(st, LANE_BULK, b);
    while (st->out_first != NULL && credit_left(st) && write_fragment(st, b))
        ;
}

size_t stream_build(struct stream *st, uint8_t *out, size_t max, unsigned *ret_lane)
{
    struct builder b = { out, out, out + max };
    bool bulk;

    ASSERT(max >= RECORD_PLAIN_MAX);
    for (int tries = 0; tries < 2 && b.at == b.start; tries++) {
        bulk = st->lane[LANE_BULK].first != NULL || st->out_first != NULL;
        if (st->lane[LANE_CONTROL].first != NULL) {
            *ret_lane = LANE_CONTROL;
            fill_from(st, LANE_CONTROL, &b);
        } else if (st->lane[LANE_SIGNAL].first != NULL && !(bulk && st->turn >= 4)) {
            *ret_lane = LANE_SIGNAL;
            fill_from(st, LANE_SIGNAL, &b);
            if (b.at != b.start)
                st->turn++;
            else
                st->turn = 4;               /* it all went behind transfers: theirs is the turn */
        } else if (bulk) {
            *ret_lane = LANE_BULK;
            st->turn = 0;
            fill_bulk(st, &b);
        }
    }
    if (b.at != b.start)
        st->records_out++;
    return (size_t)(b.at - b.start);
}

/* --- dictionary, in --------------------------------------------------------------------------------- */

/* May a peer make one more atom now? */
static bool atom_budget(struct stream *st)
{
    struct peer *p = st->session->peer;
    int64_t now = clock_monotonic_ns();
    int64_t more = (now - p->atom_time_ns) / (INT64_C(1000000000) / ATOM_RATE);

    if (more > 0) {
        p->atom_tokens = p->atom_time_ns == 0 || more > ATOM_BURST - p->atom_tokens
                             ? ATOM_BURST : p->atom_tokens + (uint32_t)more;
        p->atom_time_ns = now;
    }
    if (p->atom_tokens == 0 || p->atoms_made >= ATOM_TOTAL ||
        (uint64_t)atom_count() * 5 >= (uint64_t)atom_max() * 4)
        return false;
    p->atom_tokens--;
    p->atoms_made++;
    metric_inc(M_peer_atoms);
    return true;
}

static term atom_of_peer(struct stream *st, const char *text, size_t len)
{
    term t;

    if (len == 0)
        text = "";                          /* an empty field has no bytes to point at */
    t = atom_existing_utf8(text, len);
    if (t == TERM_NONE && st->makes_atoms && atom_budget(st))
        t = atom_from_utf8(text, len);
    return t;
}

static int take_atom_def(struct stream *st, const struct wire_sig *s)
{
    if (s->slot >= DICT_SLOTS || s->name.len > ATOM_TEXT_BYTES_MAX)
        return -ERR_PROTOCOL;
    if (st->dict_in == NULL) {
        st->dict_in = slab_alloc(DICT_SLOTS * sizeof *st->dict_in);
        for (unsigned i = 0; i < DICT_SLOTS; i++)
            st->dict_in[i] = TERM_NONE;
    }
    st->dict_in[s->slot] = atom_of_peer(st, (const char *)s->name.data, s->name.len);
    return 0;
}

/* Slots to atoms. -ERR_LIMIT: one of them was refused. */
static int resolve(struct stream *st, const uint32_t *slots, unsigned n, term *atoms)
{
    for (unsigned i = 0; i < n; i++) {
        if (slots[i] >= DICT_SLOTS || st->dict_in == NULL)
            return -ERR_PROTOCOL;
        atoms[i] = st->dict_in[slots[i]];
        if (atoms[i] == TERM_NONE)
            return -ERR_LIMIT;
    }
    return 0;
}

/* An atom written out in a term: made when the term is built, so it is paid for now. */
static bool written_atom(void *arg, const uint8_t *text, size_t len, bool utf8)
{
    struct stream *st = arg;

    char wide[2 * ATOM_CHARS_MAX];
    size_t n = 0;

    if (utf8)
        return atom_of_peer(st, (const char *)text, len) != TERM_NONE;
    for (size_t i = 0; i < len; i++) {      /* Latin-1, at most ATOM_CHARS_MAX of it */
        if (text[i] >= 0x80)
            wide[n++] = (char)(0xC0 | text[i] >> 6);
        wide[n++] = (char)(text[i] < 0x80 ? text[i] : 0x80 | (text[i] & 0x3F));
    }
    return atom_of_peer(st, wide, n) != TERM_NONE;
}

static int scan_span(struct stream *st, const struct span *s, unsigned n_atoms)
{
    return s->len == 0 ? 0
                       : term_scan(s->data, s->len, n_atoms, true, written_atom, st, NULL);
}

/* --- taking frames ---------------------------------------------------------------------------------- */

struct incoming {
    unsigned kind;
    struct span body;
    const term *atoms;                      /* of a transfer: resolved already */
    unsigned n_atoms;
    struct peer_block *whole;
};

static int deliver(struct stream *st, const struct incoming *in, const struct wire_sig *s,
                   const term *atoms)
{
    struct peer_rx rx = { .session = st->session->id, .kind = in->kind, .sig = s, .body = in->body,
                          .atoms = atoms, .whole = in->whole };

    st->frames_in++;
    return session_frame(st->session, &rx);
}

static int take_signal(struct stream *st, const struct incoming *in)
{
    struct wire_space space;
    term atoms[SIG_ATOMS_MAX];
    const term *resolved = atoms;
    struct wire_sig s;
    int rc = sig_read(in->kind, in->body.data, in->body.len, &space, &s);

    if (rc == 0 && in->atoms != NULL) {
        resolved = in->atoms;
        s.n_atoms = (uint16_t)in->n_atoms;
    } else if (rc == 0) {
        rc = resolve(st, s.atoms, s.n_atoms, atoms);
    }
    if (rc == 0)
        rc = scan_span(st, &s.term, s.n_atoms);
    if (rc == 0)
        rc = scan_span(st, &s.leader, s.n_atoms);
    if (rc == 0)
        rc = scan_span(st, &s.module, s.n_atoms);
    if (rc == 0)
        rc = scan_span(st, &s.function, s.n_atoms);
    if (rc == 0)
        rc = scan_span(st, &s.error, s.n_atoms);
    return rc == 0 ? deliver(st, in, &s, resolved) : rc;
}

static int take_whole(struct stream *st, const struct incoming *in)
{
    return sig_known(in->kind) ? take_signal(st, in) : deliver(st, in, NULL, NULL);
}

static struct transfer_in **find_transfer(struct stream *st, uint64_t id)
{
    struct transfer_in **at = &st->in_first;

    while (*at != NULL && (*at)->id != id)
        at = &(*at)->next;
    return at;
}

static int transfer_start(struct stream *st, const struct wire_sig *s)
{
    struct transfer_in *t;
    int rc;

    if (s->slot != 0 || s->code == 0 || s->code > MESSAGE_MAX + 4096 ||
        st->in_count == TRANSFERS_MAX || st->in_announced + s->code > TRANSFER_WAIT_BYTES)
        return -ERR_PROTOCOL;
    t = MEM_NEW(struct transfer_in);
    t->id = s->id;
    t->total = s->code;
    t->n_atoms = s->n_atoms;
    t->atoms = MEM_NEW_ARRAY(term, s->n_atoms + 1u);
    t->block = MEM_NEW(struct peer_block);
    atomic_init(&t->block->refs, 1);
    rc = resolve(st, s->atoms, s->n_atoms, t->atoms);
    if (rc == -ERR_PROTOCOL) {
        transfer_in_free(t);
        return rc;
    }
    if (rc < 0)
        t->n_atoms = UINT16_MAX;            /* an atom was refused: take it all in, then drop it */
    t->next = st->in_first;
    st->in_first = t;
    st->in_count++;
    st->in_announced += t->total;
    return 0;
}

/* All of it is here: it is a Frame. */
static int transfer_whole(struct stream *st, struct transfer_in *t)
{
    struct frame_view f;
    struct incoming in;

    if (t->n_atoms == UINT16_MAX)
        return -ERR_LIMIT;
    if (frame_view_read(t->block->data, t->block->len, &f) < 0 || f.kind == KIND_fragment || f.kind == KIND_atom_def)
        return -ERR_PROTOCOL;
    in = (struct incoming){ f.kind, f.body, t->atoms, t->n_atoms, t->block };
    return take_whole(st, &in);
}

static int take_fragment(struct stream *st, const struct incoming *in)
{
    struct wire_space space;
    struct transfer_in **at, *t;
    struct wire_sig s;
    int rc = sig_read(KIND_fragment, in->body.data, in->body.len, &space, &s);

    if (rc < 0)
        return rc;
    at = find_transfer(st, s.id);
    if (*at == NULL) {
        rc = transfer_start(st, &s);
        if (rc < 0)
            return rc;
        at = find_transfer(st, s.id);
    }
    t = *at;
    if (s.slot != t->index || s.term.len == 0 ||
        !block_add(t->block, s.term.data, s.term.len, t->total) ||
        s.flag != (t->block->len == t->total))
        return -ERR_PROTOCOL;
    t->index++;
    st->fragment_ns = clock_monotonic_ns();
    if (!s.flag)
        return 0;
    *at = t->next;
    st->in_count--;
    st->in_announced -= t->total;
    rc = transfer_whole(st, t);
    transfer_in_free(t);
    return rc;
}

static void give_credit(struct stream *st)
{
    Rn__Credit m = RN__CREDIT__INIT;

    if (st->received + st->window - st->credited < st->window / 4)
        return;
    st->credited = st->received + st->window;
    m.bytes_total = st->credited;
    session_control(st->session, KIND_credit, &m.base);
}

static int take_credit(struct stream *st, const struct incoming *in)
{
    struct wire_space space;
    struct wire_sig s;
    int rc = sig_read(KIND_credit, in->body.data, in->body.len, &space, &s);

    if (rc == 0 && s.id > atomic_load_explicit(&st->granted, memory_order_relaxed))
        atomic_store_explicit(&st->granted, s.id, memory_order_relaxed);    /* as in credit_left */
    return rc;
}

static int take_one(struct stream *st, const struct frame_view *f)
{
    struct wire_space space;
    struct incoming in = { .kind = f->kind, .body = f->body };
    struct wire_sig s;
    int rc;

    switch (f->kind) {
    case KIND_atom_def:
        rc = sig_read(f->kind, f->body.data, f->body.len, &space, &s);
        return rc < 0 ? rc : take_atom_def(st, &s);
    case KIND_credit:
        return take_credit(st, &in);
    case KIND_fragment:
        rc = take_fragment(st, &in);
        break;
    default:
        if (wire_type(f->kind) == NULL)
            return f->flags & FRAME_FLAG_MUST ? -ERR_VERSION : 0;
        rc = take_whole(st, &in);
    }
    if (wire_kind_lane(f->kind) != LANE_CONTROL)
        st->received += f->body.len;
    return rc;
}

int stream_take(struct stream *st, const uint8_t *data, size_t len)
{
    struct reader r = reader_make(data, len);
    struct frame_view f;
    int rc;

    st->records_in++;
    while ((rc = batch_next(&r, &f)) == 1) {
        rc = take_one(st, &f);
        if (rc == -ERR_LIMIT) {
            metric_inc(M_peer_refused);
            if (++st->refused >= REFUSED_FRAMES_MAX)
                return rc;
        } else if (rc < 0) {
            return rc;
        }
        if (atomic_load_explicit(&st->session->state, memory_order_relaxed) == SESSION_ENDED)
            return 0;                       /* relaxed: set on this thread */
    }
    if (rc < 0 || st->received > st->credited + WINDOW_SLACK)
        return -ERR_PROTOCOL;
    give_credit(st);
    return 0;
}
