/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record.c - sealing and opening
 */
#include "auth/record.h"

#include "base/assert.h"
#include "base/errors.h"

#include <sodium.h>

uint32_t record_rekey_every = 1u << 20;

_Static_assert(sizeof(struct record_keys) <= SECRET_CELL, "keys fit a locked cell");

static void nonce_of(uint64_t counter, uint8_t out[12])
{
    memset(out, 0, 4);
    for (int i = 0; i < 8; i++)
        out[4 + i] = (uint8_t)(counter >> (8 * i));
}

struct record_keys *record_keys_new(const struct noise_keys *n, bool dialler)
{
    struct record_keys *k = secret_alloc();

    k->send.key = dialler ? n->dialler_to_listener : n->listener_to_dialler;
    k->receive.key = dialler ? n->listener_to_dialler : n->dialler_to_listener;
    k->rekey = n->rekey;
    k->send.until_rekey = k->receive.until_rekey = record_rekey_every;
    return k;
}

void record_keys_free(struct record_keys *k)
{
    secret_free(k);
}

/* REKEY(k) of Noise, section 4.2: the key is what zeros become under the largest nonce. */
static void next_key(struct record_dir *d)
{
    static const uint8_t zeros[SECRET_BYTES];
    uint8_t out[SECRET_BYTES + RECORD_TAG], nonce[12];

    nonce_of(UINT64_MAX, nonce);
    crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, zeros, sizeof zeros, NULL, 0, NULL, nonce,
                                              d->key.bytes);
    memcpy(d->key.bytes, out, SECRET_BYTES);
    sodium_memzero(out, sizeof out);
    d->until_rekey = record_rekey_every;
}

/* After a record went through: keys for the one that follows. */
static void advance(struct record_dir *d, uint8_t flags)
{
    d->counter++;
    if (flags & RECORD_SWITCH) {
        d->key = d->next;
        sodium_memzero(&d->next, sizeof d->next);
        d->has_next = false;
        d->until_rekey = record_rekey_every;
    } else if (--d->until_rekey == 0) {
        next_key(d);
    }
}

int record_seal(struct record_dir *d, uint8_t flags, uint8_t *at, size_t len)
{
    size_t cipher = len + RECORD_TAG;
    uint8_t nonce[12];

    ASSERT(len > 0 && len <= RECORD_PLAIN_MAX);
    ASSERT((flags & RECORD_SWITCH) == 0 || d->has_next);
    if (d->counter == UINT64_MAX)
        return -ERR_LIMIT;
    at[0] = (uint8_t)(cipher >> 16);
    at[1] = (uint8_t)(cipher >> 8);
    at[2] = (uint8_t)cipher;
    at[3] = flags;
    nonce_of(d->counter, nonce);
    crypto_aead_chacha20poly1305_ietf_encrypt(at + RECORD_HEAD, NULL, at + RECORD_HEAD, len, at,
                                              RECORD_HEAD, NULL, nonce, d->key.bytes);
    advance(d, flags);
    return (int)(len + RECORD_OVERHEAD);
}

int record_length(const uint8_t head[RECORD_HEAD])
{
    size_t cipher = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];

    if (cipher < RECORD_CIPHER_MIN || cipher > RECORD_CIPHER_MAX ||
        (head[3] & ~(RECORD_LANE | RECORD_SWITCH)) != 0 || (head[3] & RECORD_LANE) > 2)
        return -ERR_PROTOCOL;
    return (int)(RECORD_HEAD + cipher);
}

int record_open(struct record_dir *d, uint8_t *at, size_t len, uint8_t *ret_flags)
{
    uint8_t nonce[12], flags = at[3];

    ASSERT(record_length(at) == (int)len);
    if (d->counter == UINT64_MAX || ((flags & RECORD_SWITCH) != 0 && !d->has_next))
        return -ERR_PROTOCOL;
    nonce_of(d->counter, nonce);
    if (crypto_aead_chacha20poly1305_ietf_decrypt(at + RECORD_HEAD, NULL, NULL, at + RECORD_HEAD,
                                                  len - RECORD_HEAD, at, RECORD_HEAD, nonce,
                                                  d->key.bytes) != 0)
        return -ERR_PROTOCOL;
    advance(d, flags);
    *ret_flags = flags;
    return (int)(len - RECORD_OVERHEAD);
}

int record_rekey(struct record_keys *k, bool dialler, const struct secret *mine,
                 const uint8_t theirs[DH_BYTES])
{
    struct secret shared, next, d2l, l2d;
    bool ok = dh_shared(mine, theirs, &shared);

    if (ok) {
        noise_hkdf(k->rekey.bytes, SECRET_BYTES, shared.bytes, SECRET_BYTES, &next, &d2l, &l2d);
        k->rekey = next;
        k->send.next = dialler ? d2l : l2d;
        k->receive.next = dialler ? l2d : d2l;
        k->send.has_next = k->receive.has_next = true;
    }
    sodium_memzero(&shared, sizeof shared);
    sodium_memzero(&next, sizeof next);
    sodium_memzero(&d2l, sizeof d2l);
    sodium_memzero(&l2d, sizeof l2d);
    return ok ? 0 : -ERR_PROTOCOL;
}
