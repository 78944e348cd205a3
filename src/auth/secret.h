/* SPDX-License-Identifier: Apache-2.0 */
/*
 * secret.h - key material: 32 bytes that are wiped, never printed and never branched upon
 *
 * Also the small uses of libsodium that other rooms need. Any thread.
 */
#ifndef AUTH_SECRET_H
#define AUTH_SECRET_H

#include "base/compiler.h"

#define SECRET_BYTES 32

struct secret { uint8_t bytes[SECRET_BYTES]; };

/* Sub-keys of the cluster secret: crypto_kdf of libsodium (BLAKE2b, id and context as in
 * proto/README). */
enum secret_use { SECRET_DOOR = 1, SECRET_PSK, SECRET_GOSSIP, SECRET_MDNS, SECRET_TAG };

/* Once before anything else of this room; may be repeated. Aborts when the system has no
 * randomness. */
void auth_init(void);

void secret_random(struct secret *ret);
void secret_derive(const struct secret *cluster, enum secret_use use, struct secret *ret);
void secret_wipe(void *p, size_t len);
void random_bytes(void *p, size_t len);
/* In constant time. */
bool bytes_same(const void *a, const void *b, size_t len);

/* BLAKE2b of a label and some bytes, out_len 16...64; key NULL: without. */
void hash_labelled(const char *label, const struct secret *key, const void *data, size_t len,
                   uint8_t *out, size_t out_len);

/* Memory for session keys: locked, not dumped, of one size class (at most SECRET_CELL bytes);
 * zeroed at both ends. The lock is best effort: without the right to lock, keys may be swapped. */
#define SECRET_CELL 256
void *secret_alloc(void);
void  secret_free(void *p);                     /* NULL is fine */

/* Datagrams: XChaCha20-Poly1305, a random nonce of 24 bytes in front. out has room for len +
 * DATAGRAM_OVERHEAD and may not overlap. Returns the bytes written. */
#define DATAGRAM_OVERHEAD 40
size_t datagram_seal(const struct secret *key, const void *ad, size_t ad_len, const void *data,
                     size_t len, uint8_t *out);
/* False: not sealed with this key and ad. out has room for len - DATAGRAM_OVERHEAD. */
MUST_CHECK bool datagram_open(const struct secret *key, const void *ad, size_t ad_len,
                              const uint8_t *data, size_t len, uint8_t *out);

#endif
