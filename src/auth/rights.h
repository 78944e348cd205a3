/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rights.h - what the ring lets a key do
 */
#ifndef AUTH_RIGHTS_H
#define AUTH_RIGHTS_H

#include "base/compiler.h"

enum right {
    RIGHT_PEER      = 1 << 0,           /* link, message, gossip, names, flocks */
    RIGHT_SPAWN     = 1 << 1,
    RIGHT_DEPLOY    = 1 << 2,
    RIGHT_REGISTRAR = 1 << 3,
    RIGHT_GATEWAY   = 1 << 4,
    RIGHT_LEAF      = 1 << 5,
    RIGHT_ADMIT     = 1 << 6,
    RIGHT_VIEW      = 1 << 7,           /* control; operate has view, admin has both */
    RIGHT_OPERATE   = 1 << 8,
    RIGHT_ADMIN     = 1 << 9,
    RIGHT_ALL       = (1 << 10) - 1,
};

/* Bits of one word ("spawn", "operate" with what it includes); 0: no right is called so. */
uint32_t right_parse(const char *word, size_t len);
/* Words with commas between; 0: one of them is none. */
uint32_t rights_parse(const char *list);
/* "peer spawn registrar"; out has room for 128 bytes. */
const char *rights_text(uint32_t rights, char out[128]);
/* Rights of `rnodectl invite --role`: peer, leaf, view, operate, admin; 0: no such role. */
uint32_t role_rights(const char *role);

#endif
