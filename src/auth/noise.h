/* SPDX-License-Identifier: Apache-2.0 */
/*
 * noise.h - the handshake Noise_XXpsk3_25519_ChaChaPoly_SHA512, and XX without psk
 *
 * After "The Noise Protocol Framework", revision 34, sections 5, 7.5 and 9. Messages:
 *
 *     -> e                 dialler
 *     <- e, ee, s, es      listener
 *     -> s, se, psk        dialler
 *
 * A state is used by one thread at a time, for one handshake. After a failure it is of no use but
 * for noise_wipe. Costs: two to four scalar multiplications of about 30 us a side.
 */
#ifndef AUTH_NOISE_H
#define AUTH_NOISE_H

#include "auth/identity.h"
#include "base/bytes.h"

#define NOISE_HASH_BYTES    64
#define NOISE_TAG_BYTES     16
#define NOISE_MESSAGE_MAX   65535

struct noise {
    bool dialler, has_psk, has_key, failed;
    uint8_t step;                       /* messages written or read so far */
    uint64_t nonce;
    uint8_t h[NOISE_HASH_BYTES], ck[NOISE_HASH_BYTES];
    struct secret k, psk, s, e;
    uint8_t s_pub[DH_BYTES], e_pub[DH_BYTES], rs[DH_BYTES], re[DH_BYTES];
};

/* Begin. s, s_pub: our static pair. psk NULL: the pattern XX. e NULL: a fresh ephemeral key
 * (anything else is for test vectors). */
void noise_init(struct noise *n, bool dialler, const void *prologue, size_t prologue_len,
                const struct secret *s, const uint8_t s_pub[DH_BYTES], const struct secret *psk,
                const struct secret *e);
void noise_wipe(struct noise *n);

/* Append the next message with this payload. It must be our turn. -ERR_LIMIT; -ERR_PROTOCOL: a
 * product of keys was zero, the peer sent a bad key. */
MUST_CHECK int noise_write(struct noise *n, const void *payload, size_t len, struct buf *out);
/* Read the next message and append its payload. -ERR_PROTOCOL: it is damaged, made with other
 * keys, or a product of keys is zero. */
MUST_CHECK int noise_read(struct noise *n, const void *data, size_t len, struct buf *payload);

/* The first message with an empty payload, as 32 bytes: its tag depends on what both sides know,
 * so it is not sent, and both put it into the transcript. */
void noise_first_write(struct noise *n, uint8_t ret_e[DH_BYTES]);
void noise_first_read(struct noise *n, const uint8_t e[DH_BYTES]);

/* The peer's static key: known to the dialler after message 2, to the listener after message 3. */
#define noise_remote_static(n) ((const uint8_t *)(n)->rs)

/* After message 3: keys of both directions, a secret for re-keying, and the hash of all that was
 * said (h, 64 bytes). */
struct noise_keys { struct secret dialler_to_listener, listener_to_dialler, rekey; };
void noise_split(struct noise *n, struct noise_keys *ret);

/* Two or three outputs of 32 bytes of HKDF (section 4.3) from a chaining key and input. */
void noise_hkdf(const void *ck, size_t ck_len, const void *input, size_t len, struct secret *o1,
                struct secret *o2, struct secret *o3);

/* out = DH(secret, public). False: the product is zero. */
MUST_CHECK bool dh_shared(const struct secret *secret, const uint8_t public[DH_BYTES],
                          struct secret *out);

#endif
