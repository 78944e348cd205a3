/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rights.c - rights as words
 */
#include "auth/rights.h"

#include <stdio.h>
#include <string.h>

static const struct { const char *word; uint32_t bit, all; } words[] = {
    { "peer", RIGHT_PEER, RIGHT_PEER },
    { "spawn", RIGHT_SPAWN, RIGHT_SPAWN },
    { "deploy", RIGHT_DEPLOY, RIGHT_DEPLOY },
    { "registrar", RIGHT_REGISTRAR, RIGHT_REGISTRAR },
    { "gateway", RIGHT_GATEWAY, RIGHT_GATEWAY },
    { "leaf", RIGHT_LEAF, RIGHT_LEAF },
    { "admit", RIGHT_ADMIT, RIGHT_ADMIT },
    { "view", RIGHT_VIEW, RIGHT_VIEW },
    { "operate", RIGHT_OPERATE, RIGHT_OPERATE | RIGHT_VIEW },
    { "admin", RIGHT_ADMIN, RIGHT_ADMIN | RIGHT_OPERATE | RIGHT_VIEW },
};

uint32_t right_parse(const char *word, size_t len)
{
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (strlen(words[i].word) == len && memcmp(words[i].word, word, len) == 0)
            return words[i].all;
    }
    return 0;
}

uint32_t rights_parse(const char *list)
{
    uint32_t all = 0, one;

    for (const char *at = list; ; at++) {
        size_t n = strcspn(at, ",");

        one = right_parse(at, n);
        if (one == 0)
            return 0;
        all |= one;
        at += n;
        if (*at == 0)
            return all;
    }
}

const char *rights_text(uint32_t rights, char out[128])
{
    size_t n = 0;

    out[0] = 0;
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (rights & words[i].bit)
            n += (size_t)snprintf(out + n, 128 - n, "%s%s", n > 0 ? " " : "", words[i].word);
    }
    return out;
}

uint32_t role_rights(const char *role)
{
    /* A peer may look at others and be looked at: what it may change there is the other's choice
     * (security.remote_control). */
    if (strcmp(role, "peer") == 0)
        return RIGHT_PEER | RIGHT_SPAWN | RIGHT_REGISTRAR | RIGHT_VIEW;
    if (strcmp(role, "leaf") == 0)
        return RIGHT_LEAF;
    if (strcmp(role, "view") == 0 || strcmp(role, "operate") == 0 || strcmp(role, "admin") == 0)
        return right_parse(role, strlen(role));
    return 0;
}
