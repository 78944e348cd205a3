/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dist_priv.h - how terms of the engine look in frames; for the files of dist/
 *
 * A pid is the payload of its word at its own node. A reference of our own is that of the immediate
 * (REF_BYTES, least first); an alias has all five words of its reference.
 */
#ifndef DIST_DIST_PRIV_H
#define DIST_DIST_PRIV_H

#include "dist/session.h"
#include "term/ids.h"
#include "vm/remote.h"

#define REF_BYTES        8
#define ALIAS_REF_WORDS  5
#define PAYLOAD_NONE     UINT64_MAX
#define PAYLOAD_MAX      (((uint64_t)1 << 58) - 1)

#define SPAWN_HEAP_WORDS_MAX (1u << 20)   /* of min_heap_size that a peer may ask for: 8 MiB */

enum spawn_done { SPAWN_DONE_LINK = 1, SPAWN_DONE_MONITOR = 2, SPAWN_DONE_ERROR = 128 };

/* The payload that an external pid has at home; PAYLOAD_NONE: no node of ours makes such pids. */
ALWAYS_INLINE uint64_t pid_payload(term pid)
{
    uint64_t number = pid_number(pid), serial = pid_serial_number(pid);

    return number >> PID_SLOT_BITS != 0 || serial >> (58 - PID_SLOT_BITS) != 0
               ? PAYLOAD_NONE : serial << PID_SLOT_BITS | number;
}

ALWAYS_INLINE void put_le32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

ALWAYS_INLINE uint64_t get_le(const uint8_t *p, unsigned bytes)
{
    uint64_t v = 0;

    while (bytes-- > 0)
        v = v << 8 | p[bytes];
    return v;
}

ALWAYS_INLINE struct span ref_span(term ref, uint8_t out[REF_BYTES])
{
    put_le32(out, (uint32_t)imm_payload(ref));
    put_le32(out + 4, (uint32_t)(imm_payload(ref) >> 32));
    return (struct span){ out, REF_BYTES };
}

extern const struct vm_remote dist_remote;      /* send.c */

/* pid TERM_NONE: refused because of error, an atom. I/O thread. */
void send_spawn_reply(struct session *s, uint64_t to, struct span req, unsigned done, term pid,
                      term error);

/* The session that a frame came in; NULL: it is over. I/O thread of the peer. */
struct session *session_of_rx(const struct peer_rx *rx);
void watcher_signal(const struct remote_signal *s);     /* watch.c */
void receive_init(void);                        /* receive.c: takes the frames */
void rpc_init(void);                            /* rpc.c: built-ins */
void rpc_start(void);                           /* its code; after vm_start */
void nodes_init(void);                          /* nodes.c: built-ins, nodeup and nodedown */

#endif
