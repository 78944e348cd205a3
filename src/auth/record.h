/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record.h - sealed records of a session
 *
 *   u24 length of the ciphertext   u8 flags (bits 0-1 lane, bit 2 SWITCH)   ciphertext and tag
 *
 * ChaCha20-Poly1305; nonce = a counter of the direction that never restarts; the header is
 * authenticated with it. After every RECORD_REKEY records of a direction its key becomes
 * REKEY(key) of Noise; after a record with SWITCH it becomes the key that re-keying agreed on.
 * Each direction belongs to one thread at a time.
 */
#ifndef AUTH_RECORD_H
#define AUTH_RECORD_H

#include "auth/noise.h"

#define RECORD_HEAD       4
#define RECORD_TAG        16
#define RECORD_OVERHEAD   (RECORD_HEAD + RECORD_TAG)
#define RECORD_PLAIN_MAX  16384             /* of version 1 */
#define RECORD_CIPHER_MIN 17
#define RECORD_CIPHER_MAX (RECORD_PLAIN_MAX + RECORD_TAG)
#define RECORD_LANE       3
#define RECORD_SWITCH     4

extern uint32_t record_rekey_every;         /* 2^20; tests make it small, before any session */

struct record_dir {
    struct secret key, next;
    uint64_t counter;
    uint32_t until_rekey;
    bool     has_next;
};

/* Lives in secret_alloc memory. */
struct record_keys { struct record_dir send, receive; struct secret rekey; };
struct record_keys *record_keys_new(const struct noise_keys *k, bool dialler);
void record_keys_free(struct record_keys *k);   /* NULL is fine; wipes */

/* Seal in place: at has RECORD_HEAD bytes free, then len bytes of plaintext (1...RECORD_PLAIN_MAX),
 * then RECORD_TAG bytes free. Returns len + RECORD_OVERHEAD. -ERR_LIMIT: the counter is used up. */
MUST_CHECK int record_seal(struct record_dir *d, uint8_t flags, uint8_t *at, size_t len);

/* Look at a header: the bytes of the whole record, or -ERR_PROTOCOL. */
MUST_CHECK int record_length(const uint8_t head[RECORD_HEAD]);
/* Open in place; at holds a whole record (record_length). Plaintext is at + RECORD_HEAD; returns its
 * length. -ERR_PROTOCOL: not sealed by the peer as the next record. */
MUST_CHECK int record_open(struct record_dir *d, uint8_t *at, size_t len, uint8_t *ret_flags);

/* In-band re-keying: after both ephemeral keys are known. The keys wait until SWITCH. */
MUST_CHECK int record_rekey(struct record_keys *k, bool dialler, const struct secret *mine,
                            const uint8_t theirs[DH_BYTES]);

#endif
