/* SPDX-License-Identifier: Apache-2.0 */
/*
 * digest.c - BLAKE2b of libsodium
 */
#include "auth/digest.h"

#include "base/assert.h"

#include <sodium.h>

void digest_text(const void *data, size_t len, char out[DIGEST_TEXT])
{
    unsigned char digest[DIGEST_BYTES];
    int rc = crypto_generichash(digest, sizeof digest, data, len, NULL, 0);

    ASSERT(rc == 0);
    digest_to_text(digest, out);
}

void digest_from_text(const char *text, uint8_t out[DIGEST_BYTES])
{
    size_t n;
    int rc = sodium_hex2bin(out, DIGEST_BYTES, text, DIGEST_TEXT - 1, NULL, &n, NULL);

    ASSERT(rc == 0 && n == DIGEST_BYTES);
}

void digest_to_text(const uint8_t digest[DIGEST_BYTES], char out[DIGEST_TEXT])
{
    sodium_bin2hex(out, DIGEST_TEXT, digest, DIGEST_BYTES);
}
