/* SPDX-License-Identifier: Apache-2.0 */
/*
 * secret.c - sub-keys, wiping, locked memory, sealed datagrams
 */
#include "auth/secret.h"

#include "base/assert.h"

#include <pthread.h>
#include <sodium.h>
#include <string.h>
#include <sys/mman.h>

#define CHUNK_BYTES (64u << 10)

void auth_init(void)
{
    ASSERT(sodium_init() >= 0);
}

void secret_random(struct secret *ret)
{
    randombytes_buf(ret->bytes, sizeof ret->bytes);
}

void random_bytes(void *p, size_t len)
{
    randombytes_buf(p, len);
}

void secret_derive(const struct secret *cluster, enum secret_use use, struct secret *ret)
{
    static const char context[][crypto_kdf_CONTEXTBYTES + 1] = {
        "", "rnhsmac_", "rnhspsk_", "rngossip", "rnmdns__", "rntagtag",
    };

    ASSERT(use >= SECRET_DOOR && use <= SECRET_TAG);
    crypto_kdf_derive_from_key(ret->bytes, sizeof ret->bytes, use, context[use], cluster->bytes);
}

void secret_wipe(void *p, size_t len)
{
    sodium_memzero(p, len);
}

bool bytes_same(const void *a, const void *b, size_t len)
{
    return sodium_memcmp(a, b, len) == 0;
}

void hash_labelled(const char *label, const struct secret *key, const void *data, size_t len,
                   uint8_t *out, size_t out_len)
{
    crypto_generichash_state st;

    crypto_generichash_init(&st, key != NULL ? key->bytes : NULL, key != NULL ? SECRET_BYTES : 0,
                            out_len);
    crypto_generichash_update(&st, (const uint8_t *)label, strlen(label));
    crypto_generichash_update(&st, data, len);
    crypto_generichash_final(&st, out, out_len);
    sodium_memzero(&st, sizeof st);
}

/* --- locked memory: chunks cut into cells, kept for ever ---------------------------------------- */

union cell { union cell *next; uint8_t bytes[SECRET_CELL]; };

static pthread_mutex_t cells_lock = PTHREAD_MUTEX_INITIALIZER;
static union cell *cells_free;          /* [lk cells_lock] */

static void cells_more_locked(void)
{
    union cell *chunk = mmap(NULL, CHUNK_BYTES, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    ASSERT(chunk != MAP_FAILED);
    (void)mlock(chunk, CHUNK_BYTES);
    (void)madvise(chunk, CHUNK_BYTES, MADV_DONTDUMP);
    for (size_t i = 0; i < CHUNK_BYTES / sizeof *chunk; i++) {
        chunk[i].next = cells_free;
        cells_free = &chunk[i];
    }
}

void *secret_alloc(void)
{
    union cell *c;

    pthread_mutex_lock(&cells_lock);
    if (cells_free == NULL)
        cells_more_locked();
    c = cells_free;
    cells_free = c->next;
    pthread_mutex_unlock(&cells_lock);
    memset(c, 0, sizeof *c);
    return c;
}

void secret_free(void *p)
{
    union cell *c = p;

    if (c == NULL)
        return;
    sodium_memzero(c, sizeof *c);
    pthread_mutex_lock(&cells_lock);
    c->next = cells_free;
    cells_free = c;
    pthread_mutex_unlock(&cells_lock);
}

/* --- datagrams ---------------------------------------------------------------------------- */

#define NONCE crypto_aead_xchacha20poly1305_ietf_NPUBBYTES

size_t datagram_seal(const struct secret *key, const void *ad, size_t ad_len, const void *data,
                     size_t len, uint8_t *out)
{
    _Static_assert(DATAGRAM_OVERHEAD == NONCE + crypto_aead_xchacha20poly1305_ietf_ABYTES, "sizes");
    randombytes_buf(out, NONCE);
    crypto_aead_xchacha20poly1305_ietf_encrypt(out + NONCE, NULL, data, len, ad, ad_len, NULL, out,
                                               key->bytes);
    return len + DATAGRAM_OVERHEAD;
}

bool datagram_open(const struct secret *key, const void *ad, size_t ad_len, const uint8_t *data,
                   size_t len, uint8_t *out)
{
    return len >= DATAGRAM_OVERHEAD &&
           crypto_aead_xchacha20poly1305_ietf_decrypt(out, NULL, NULL, data + NONCE, len - NONCE,
                                                      ad, ad_len, data, key->bytes) == 0;
}
