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
    sodium_bin2hex(out, DIGEST_TEXT, digest, sizeof digest);
}
