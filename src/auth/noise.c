/* SPDX-License-Identifier: Apache-2.0 */
/*
 * noise.c - symmetric state and the three messages, from primitives of libsodium
 *
 * Names of the steps are those of the specification: MixHash, MixKey, MixKeyAndHash,
 * EncryptAndHash, DecryptAndHash, Split.
 */
#include "auth/noise.h"

#include "base/assert.h"
#include "base/errors.h"

#include <sodium.h>

#define HASH NOISE_HASH_BYTES

/* --- symmetric state ---------------------------------------------------------------------------- */

static void hmac(const void *key, size_t key_len, const void *a, size_t a_len, const void *b,
                 size_t b_len, uint8_t out[HASH])
{
    crypto_auth_hmacsha512_state st;

    crypto_auth_hmacsha512_init(&st, key, key_len);
    crypto_auth_hmacsha512_update(&st, a, a_len);
    crypto_auth_hmacsha512_update(&st, b, b_len);
    crypto_auth_hmacsha512_final(&st, out);
    sodium_memzero(&st, sizeof st);
}

/* HKDF of section 4.3: n outputs of HASH bytes. */
static void hkdf(const void *ck, size_t ck_len, const void *input, size_t len, uint8_t out[][HASH],
                 int n)
{
    uint8_t temp[HASH], i;

    hmac(ck, ck_len, input, len, "", 0, temp);
    for (i = 1; i <= n; i++)
        hmac(temp, HASH, out[i == 1 ? 0 : i - 2], i == 1 ? 0 : HASH, &i, 1, out[i - 1]);
    sodium_memzero(temp, sizeof temp);
}

void noise_hkdf(const void *ck, size_t ck_len, const void *input, size_t len, struct secret *o1,
                struct secret *o2, struct secret *o3)
{
    uint8_t out[3][HASH];

    hkdf(ck, ck_len, input, len, out, 3);
    memcpy(o1->bytes, out[0], SECRET_BYTES);
    memcpy(o2->bytes, out[1], SECRET_BYTES);
    if (o3 != NULL)
        memcpy(o3->bytes, out[2], SECRET_BYTES);
    sodium_memzero(out, sizeof out);
}

static void mix_hash(struct noise *n, const void *data, size_t len)
{
    crypto_hash_sha512_state st;

    crypto_hash_sha512_init(&st);
    crypto_hash_sha512_update(&st, n->h, HASH);
    crypto_hash_sha512_update(&st, data, len);
    crypto_hash_sha512_final(&st, n->h);
}

static void set_key(struct noise *n, const uint8_t key[HASH])
{
    memcpy(n->k.bytes, key, SECRET_BYTES);
    n->nonce = 0;
    n->has_key = true;
}

static void mix_key(struct noise *n, const void *input, size_t len)
{
    uint8_t out[2][HASH];

    hkdf(n->ck, HASH, input, len, out, 2);
    memcpy(n->ck, out[0], HASH);
    set_key(n, out[1]);
    sodium_memzero(out, sizeof out);
}

static void mix_key_and_hash(struct noise *n, const void *input, size_t len)
{
    uint8_t out[3][HASH];

    hkdf(n->ck, HASH, input, len, out, 3);
    memcpy(n->ck, out[0], HASH);
    mix_hash(n, out[1], HASH);
    set_key(n, out[2]);
    sodium_memzero(out, sizeof out);
}

static void nonce_bytes(uint64_t nonce, uint8_t out[12])
{
    memset(out, 0, 4);
    for (int i = 0; i < 8; i++)
        out[4 + i] = (uint8_t)(nonce >> (8 * i));
}

static void encrypt_and_hash(struct noise *n, const void *data, size_t len, struct buf *out)
{
    size_t sealed = len + (n->has_key ? NOISE_TAG_BYTES : 0);
    uint8_t *at = buf_room(out, sealed), nonce[12];

    if (n->has_key) {
        nonce_bytes(n->nonce++, nonce);
        crypto_aead_chacha20poly1305_ietf_encrypt(at, NULL, data, len, n->h, HASH, NULL, nonce,
                                                  n->k.bytes);
    } else if (len > 0) {
        memcpy(at, data, len);
    }
    mix_hash(n, at, sealed);
}

static bool decrypt_and_hash(struct noise *n, const void *data, size_t len, struct buf *out)
{
    uint8_t nonce[12];
    bool ok = true;

    if (!n->has_key) {
        buf_add(out, data, len);
    } else if (len < NOISE_TAG_BYTES) {
        return false;
    } else {
        size_t before = out->len;
        uint8_t *at = buf_room(out, len - NOISE_TAG_BYTES);

        nonce_bytes(n->nonce++, nonce);
        ok = crypto_aead_chacha20poly1305_ietf_decrypt(at, NULL, NULL, data, len, n->h, HASH, nonce,
                                                       n->k.bytes) == 0;
        if (!ok)
            out->len = before;
    }
    mix_hash(n, data, len);
    return ok;
}

/* --- handshake state ---------------------------------------------------------------------------- */

bool dh_shared(const struct secret *secret, const uint8_t public[DH_BYTES], struct secret *out)
{
    return crypto_scalarmult(out->bytes, secret->bytes, public) == 0;
}

static bool mix_dh(struct noise *n, const struct secret *mine, const uint8_t theirs[DH_BYTES])
{
    struct secret shared;
    bool ok = dh_shared(mine, theirs, &shared);

    if (ok)
        mix_key(n, shared.bytes, sizeof shared.bytes);
    sodium_memzero(&shared, sizeof shared);
    return ok;
}

void noise_init(struct noise *n, bool dialler, const void *prologue, size_t prologue_len,
                const struct secret *s, const uint8_t s_pub[DH_BYTES], const struct secret *psk,
                const struct secret *e)
{
    const char *name = psk != NULL ? "Noise_XXpsk3_25519_ChaChaPoly_SHA512"
                                   : "Noise_XX_25519_ChaChaPoly_SHA512";

    memset(n, 0, sizeof *n);
    n->dialler = dialler;
    n->s = *s;
    memcpy(n->s_pub, s_pub, DH_BYTES);
    if (psk != NULL) {
        n->has_psk = true;
        n->psk = *psk;
    }
    if (e != NULL) {
        n->e = *e;
        crypto_scalarmult_base(n->e_pub, n->e.bytes);
    } else {
        dh_pair(&n->e, n->e_pub);
    }
    memcpy(n->h, name, strlen(name));       /* shorter than a hash: padded with zeros */
    memcpy(n->ck, n->h, HASH);
    mix_hash(n, prologue, prologue_len);
}

void noise_wipe(struct noise *n)
{
    sodium_memzero(n, sizeof *n);
    n->failed = true;
}

/* A psk handshake mixes ephemeral keys into the key, too (section 9.2). */
static void mix_ephemeral(struct noise *n, const uint8_t e[DH_BYTES])
{
    mix_hash(n, e, DH_BYTES);
    if (n->has_psk)
        mix_key(n, e, DH_BYTES);
}

static bool my_turn(const struct noise *n)
{
    return n->step < 3 && (n->step % 2 == 0) == n->dialler;
}

int noise_write(struct noise *n, const void *payload, size_t len, struct buf *out)
{
    bool ok = true;

    ASSERT(!n->failed && my_turn(n));
    if (len > NOISE_MESSAGE_MAX - 2 * DH_BYTES - 2 * NOISE_TAG_BYTES)
        return -ERR_LIMIT;
    if (n->step < 2) {
        mix_ephemeral(n, n->e_pub);
        buf_add(out, n->e_pub, DH_BYTES);
    }
    if (n->step == 1)
        ok = mix_dh(n, &n->e, n->re);                       /* ee */
    if (ok && n->step > 0) {
        encrypt_and_hash(n, n->s_pub, DH_BYTES, out);       /* s */
        ok = mix_dh(n, &n->s, n->re);                       /* es or se, seen from here */
    }
    if (ok && n->step == 2 && n->has_psk)
        mix_key_and_hash(n, n->psk.bytes, SECRET_BYTES);
    if (!ok) {
        noise_wipe(n);
        return -ERR_PROTOCOL;
    }
    encrypt_and_hash(n, payload, len, out);
    n->step++;
    return 0;
}

static bool read_parts(struct noise *n, struct reader *r, struct buf *payload)
{
    const uint8_t *p;
    struct buf s = { 0 };
    bool ok;

    if (n->step < 2) {
        p = reader_take(r, DH_BYTES);
        if (p == NULL)
            return false;
        memcpy(n->re, p, DH_BYTES);
        mix_ephemeral(n, n->re);
    }
    if (n->step == 1 && !mix_dh(n, &n->e, n->re))
        return false;
    if (n->step > 0) {
        p = reader_take(r, DH_BYTES + NOISE_TAG_BYTES);
        if (p == NULL)
            return false;
        ok = decrypt_and_hash(n, p, DH_BYTES + NOISE_TAG_BYTES, &s);
        if (ok)
            memcpy(n->rs, s.data, DH_BYTES);
        buf_fini(&s);
        if (!ok || !mix_dh(n, &n->e, n->rs))
            return false;
    }
    if (n->step == 2 && n->has_psk)
        mix_key_and_hash(n, n->psk.bytes, SECRET_BYTES);
    return decrypt_and_hash(n, r->at, reader_left(r), payload);
}

int noise_read(struct noise *n, const void *data, size_t len, struct buf *payload)
{
    struct reader r = reader_make(data, len);

    ASSERT(!n->failed && !my_turn(n) && n->step < 3);
    if (len > NOISE_MESSAGE_MAX || !read_parts(n, &r, payload)) {
        noise_wipe(n);
        return -ERR_PROTOCOL;
    }
    n->step++;
    return 0;
}

void noise_first_write(struct noise *n, uint8_t ret_e[DH_BYTES])
{
    struct buf out = { 0 };
    int rc = noise_write(n, "", 0, &out);

    ASSERT(rc == 0 && out.len == DH_BYTES + (n->has_psk ? NOISE_TAG_BYTES : 0));
    memcpy(ret_e, out.data, DH_BYTES);
    buf_fini(&out);
}

void noise_first_read(struct noise *n, const uint8_t e[DH_BYTES])
{
    struct buf tag = { 0 };

    ASSERT(!n->failed && !my_turn(n) && n->step == 0);
    memcpy(n->re, e, DH_BYTES);
    mix_ephemeral(n, n->re);
    encrypt_and_hash(n, "", 0, &tag);       /* what the dialler computed and did not send */
    buf_fini(&tag);
    n->step++;
}

void noise_split(struct noise *n, struct noise_keys *ret)
{
    uint8_t out[2][HASH], more[HASH];

    ASSERT(!n->failed && n->step == 3);
    hkdf(n->ck, HASH, "", 0, out, 2);
    memcpy(ret->dialler_to_listener.bytes, out[0], SECRET_BYTES);
    memcpy(ret->listener_to_dialler.bytes, out[1], SECRET_BYTES);
    hmac(n->ck, HASH, "rn rekey 1", 10, "", 0, more);
    memcpy(ret->rekey.bytes, more, SECRET_BYTES);
    sodium_memzero(out, sizeof out);
    sodium_memzero(more, sizeof more);
}
