/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flight.h - the first 64 bytes of a connection, and the set of those seen
 *
 *   0  4 "RND1"   4  1 suite (1)   5  1 purpose   6  2 epoch   8  8 tag   16 16 mac   32 32 e
 *
 * mac = BLAKE2b-128(door key, bytes 0-15 and 32-63). One keyed hash (0.5 us) decides whether
 * anything dearer is done. Bytes 0-15 are the prologue of the handshake.
 */
#ifndef AUTH_FLIGHT_H
#define AUTH_FLIGHT_H

#include "auth/identity.h"

#define FLIGHT_BYTES    64
#define FLIGHT_HEAD     16
#define FLIGHT_TAG      8
#define PROLOGUE_BYTES  (12 + FLIGHT_HEAD)

enum flight_purpose { FLIGHT_PEER = 1, FLIGHT_JOIN, FLIGHT_OPERATOR };

struct flight {
    uint8_t  purpose;
    uint16_t epoch;
    uint8_t  tag[FLIGHT_TAG];           /* of the epoch; of a join: id of the token */
    uint8_t  e[DH_BYTES];
};

void flight_write(const struct flight *f, const struct secret *door, uint8_t out[FLIGHT_BYTES]);
/* The parts, without a look at the mac. -ERR_PROTOCOL: no flight; -ERR_VERSION: another suite. */
MUST_CHECK int flight_read(const uint8_t in[FLIGHT_BYTES], struct flight *ret);
MUST_CHECK bool flight_mac_ok(const uint8_t in[FLIGHT_BYTES], const struct secret *door);
/* "rnode peer 1" and the head. */
void flight_prologue(const uint8_t flight[FLIGHT_BYTES], uint8_t out[PROLOGUE_BYTES]);

/* Ephemeral keys seen lately: two sets of REPLAY_MAX; the older is dropped when the newer is full
 * or five minutes old. Owned by one thread. */
#define REPLAY_MAX  32768u
#define REPLAY_NS   (300 * INT64_C(1000000000))
struct replay_set;
struct replay_set *replay_new(void);
void replay_free(struct replay_set *r);
/* True: e is new, and remembered from now on. */
MUST_CHECK bool replay_add(struct replay_set *r, const uint8_t e[DH_BYTES], int64_t now_ns);

#endif
