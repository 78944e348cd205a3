/* SPDX-License-Identifier: Apache-2.0 */
/*
 * md5.h - the MD5 digest (RFC 1321), for identities of modules and erlang:md5; not for secrets
 */
#ifndef BASE_MD5_H
#define BASE_MD5_H

#include "base/compiler.h"

struct md5 {
    uint32_t state[4];
    uint64_t bytes;
    uint8_t block[64];
};

void md5_init(struct md5 *m);
void md5_update(struct md5 *m, const void *data, size_t len);
void md5_final(struct md5 *m, uint8_t ret_digest[16]);      /* m must be inited before reuse */

#endif
