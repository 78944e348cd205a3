/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sig.h - frames of one level (2 to 22 and the like) as one flat struct, and their codec
 *
 * wire/sig.tab says which fields a kind has; the code that reads and writes them is made from it,
 * without calls or allocation, and held equal to protobuf-c by tests. Pure functions; any thread.
 */
#ifndef WIRE_SIG_H
#define WIRE_SIG_H

#include "base/bytes.h"

enum frame_kind {
#define FRAME(number, name, Type, lane, rights, summary) KIND_##name = number,
#include "wire/frames.tab"
#undef FRAME
    KIND_END = 105,                     /* one more than the largest */
};

enum lane { LANE_CONTROL, LANE_SIGNAL, LANE_BULK, LANE_COUNT };

#define SIG_ATOMS_MAX    255
#define SIG_RECEIVERS_MAX 4096          /* of one send_multi */

struct span { const uint8_t *data; uint32_t len; };     /* lent bytes; {NULL, 0} when absent */

/* A decoded frame. What a field means in which kind: sig.tab. Spans point into the input. */
struct wire_sig {
    uint8_t  kind;                      /* enum frame_kind */
    bool     flag;                      /* exit: linked; alive_reply: alive; fragment: last */
    uint16_t n_atoms, n_receivers;
    uint64_t to, from;                  /* 60-bit pid numbers, each of the node it lives on */
    uint64_t id;                        /* unlink: id; spawn_reply: pid; fragment: transfer; credit: bytes */
    uint32_t opts, deadline_ms, min_heap, priority;     /* spawn_request; choke: deadline_ms */
    uint32_t code;                      /* spawn_reply: done; fragment: total bytes */
    uint32_t slot;                      /* atom_def, send_name: dictionary slot; fragment: index */
    struct span ref;                    /* alias, ref, req */
    struct span term;                   /* term, reason, args, data: see sig.tab */
    struct span name, leader, module, function, hash, error, trace;
    const uint32_t *atoms;              /* dictionary slots, in the order of ATOM_CACHE_REF */
    const uint64_t *receivers;          /* of send_multi, instead of `to` */
};

/* Where sig_read puts what is repeated. */
struct wire_space {
    uint32_t atoms[SIG_ATOMS_MAX];
    uint64_t receivers[SIG_RECEIVERS_MAX];
};

#define SIG_UNKNOWN_MAX 16              /* fields that we do not know, in one message */

/* True if kind is one of sig.tab. */
bool sig_known(unsigned kind);

/* The body of a frame of this kind (sig_known). Lent: spans point into data, arrays into space.
 * -ERR_PROTOCOL: not such a message; -ERR_LIMIT: it has more than the maxima above. */
MUST_CHECK int sig_read(unsigned kind, const void *data, size_t len, struct wire_space *space,
                        struct wire_sig *ret);

/* The body in three parts, so that a term can be written before its length is known, and slots
 * of atoms be chosen later: head (ends with the term's tag and length), term, atoms, tail. The bytes
 * are those of protobuf-c. Each appends; *_room says at most how much. Kinds without a term have all
 * in their head. */
size_t   sig_head_room(const struct wire_sig *s);
uint8_t *sig_write_head(const struct wire_sig *s, size_t term_len, uint8_t *at);
size_t   sig_tail_room(const struct wire_sig *s);
uint8_t *sig_write_tail(const struct wire_sig *s, uint8_t *at);
#define SIG_ATOMS_ROOM(n) (3 + 5 * (size_t)(n))
uint8_t *sig_write_atoms(unsigned kind, const uint32_t *slots, unsigned n, uint8_t *at);
/* Bytes that sig_write_atoms will write. */
size_t   sig_atoms_len(const uint32_t *slots, unsigned n);
/* Append the whole body. */
void     sig_write(const struct wire_sig *s, struct buf *out);

/* --- frames in a record ---------------------------------------------------------------------- */

#define FRAME_FLAG_MUST 1               /* who does not know the kind must end the session */
#define FRAME_HEAD_MAX  16

struct frame_view { unsigned kind; uint32_t flags; struct span body; };

/* One packed Frame. -ERR_PROTOCOL: damaged, or not exactly one body. */
MUST_CHECK int frame_view_read(const void *data, size_t len, struct frame_view *ret);
/* The next frame of a Batch: 1, 0 at the end, -ERR_PROTOCOL. */
MUST_CHECK int batch_next(struct reader *r, struct frame_view *ret);
/* What stands before a body of len bytes; returns the end. */
uint8_t *batch_write_head(unsigned kind, uint32_t flags, size_t len, uint8_t *at);
size_t   batch_head_len(unsigned kind, uint32_t flags, size_t len);

#endif
