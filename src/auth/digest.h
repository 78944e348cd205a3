/* SPDX-License-Identifier: Apache-2.0 */
/*
 * digest.h - names of contents: BLAKE2b with 32 bytes
 */
#ifndef AUTH_DIGEST_H
#define AUTH_DIGEST_H

#include "base/compiler.h"

#define DIGEST_BYTES 32
#define DIGEST_TEXT  (2 * DIGEST_BYTES + 1)

/* Hex digits of the digest of data, NUL-terminated. Any thread. */
void digest_text(const void *data, size_t len, char out[DIGEST_TEXT]);
/* The bytes of such a text, and back. */
void digest_from_text(const char *text, uint8_t out[DIGEST_BYTES]);
void digest_to_text(const uint8_t digest[DIGEST_BYTES], char out[DIGEST_TEXT]);

#endif
