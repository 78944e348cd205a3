/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identity.h - the Ed25519 key of this node, signatures, and short forms of keys
 *
 * The secret half lies in guarded memory that is readable only while it signs. Any thread.
 */
#ifndef AUTH_IDENTITY_H
#define AUTH_IDENTITY_H

#include "auth/secret.h"

#define NODE_KEY_BYTES   32             /* public half: this is the node */
#define SIGNATURE_BYTES  64
#define NODE_LETTERS     10             /* "k7f3-q2mx" and NUL */

struct identity;

/* Read the key file, or make one (mode 0600) when there is none and make says so. The file must be
 * ours and closed to others: -ERR_PERMISSION. -ERR_FORMAT: not a key file; -ERR_NOT_FOUND;
 * -ERR_SYSTEM with errno. */
MUST_CHECK int identity_open(const char *path, bool make, struct identity **ret);
/* One that lives in memory only: tests, operators. seed NULL: a random one. */
struct identity *identity_new(const struct secret *seed);
void identity_free(struct identity *id);        /* NULL is fine; wipes */

const uint8_t *identity_key(const struct identity *id);     /* NODE_KEY_BYTES, lent */

/* A signature of label followed by the bytes: the label keeps signatures of one kind from being
 * taken for another. About 15 us. */
void identity_sign(struct identity *id, const char *label, const void *data, size_t len,
                   uint8_t ret_sig[SIGNATURE_BYTES]);
/* About 43 us. */
MUST_CHECK bool signature_ok(const uint8_t key[NODE_KEY_BYTES], const char *label, const void *data,
                             size_t len, const uint8_t sig[SIGNATURE_BYTES]);

/* 64 hex digits, alone or before white space. */
bool node_key_parse(const char *text, uint8_t ret[NODE_KEY_BYTES]);

/* First 8 bytes, big endian, of BLAKE2b-256("rn nid 1" and the key). */
uint64_t node_nid(const uint8_t key[NODE_KEY_BYTES]);
/* The 8 letters (Crockford's base 32) that people see: the first 40 bits of the nid. */
const char *nid_letters(uint64_t nid, char out[NODE_LETTERS]);

/* What binds an X25519 key to a node key for a time. Signed under the label "rn binding 1". */
#define DH_BYTES 32
struct binding {
    uint8_t  node[NODE_KEY_BYTES], dh[DH_BYTES];
    uint64_t not_before, not_after;     /* seconds since 1970 */
    uint8_t  sig[SIGNATURE_BYTES];
};
#define BINDING_LIFE_S  (30u * 86400)
#define BINDING_SKEW_S  300

void binding_make(struct identity *id, const uint8_t dh[DH_BYTES], uint64_t now_s,
                  struct binding *ret);
/* 0; -ERR_TIMEOUT: not in time (with 5 minutes of grace); -ERR_PERMISSION: not so signed. */
MUST_CHECK int binding_check(const struct binding *b, uint64_t now_s);

/* A fresh X25519 pair. */
void dh_pair(struct secret *ret_secret, uint8_t ret_public[DH_BYTES]);

#endif
