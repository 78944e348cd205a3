/* SPDX-License-Identifier: Apache-2.0 */
/*
 * md5.h - the MD5 digest (RFC 1321), for module versions and erlang:md5; not for security
 */
#ifndef BASE_MD5_H
#define BASE_MD5_H

#include "base/compiler.h"

#define MD5_BYTES 16

/* Plain data without pointers: may be copied, and stored as the bytes of an erlang:md5_init/0
 * context. */
struct md5 {
    uint32_t state[4];
    uint64_t length;            /* bytes so far */
    uint8_t  pending[64];       /* the length % 64 bytes that make no block yet */
};

void md5_init(struct md5 *m);
void md5_update(struct md5 *m, const void *data, size_t len);
void md5_final(struct md5 *m, uint8_t ret_digest[MD5_BYTES]);  /* m is used up */
void md5_of(const void *data, size_t len, uint8_t ret_digest[MD5_BYTES]);

#endif
