/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peer_token.c - invitations: one text that lets a node in
 *
 * The inviter keeps only keys derived from the secret. Text: "rnj1_" and, in base64url: version,
 * id, secret, key of the inviter, end, rights, count and addresses, and 2 bytes of a hash of all
 * that, which find mistyped letters before anybody is asked.
 */
#include "dist/peer_ring.h"

#include "base/clock.h"
#include "base/errors.h"

#include <pthread.h>
#include <stdio.h>

#define TOKENS_MAX 64
#define TOKEN_VERSION 1

struct kept { uint8_t id[FLIGHT_TAG]; struct secret door, psk; uint32_t end_s, rights, uses; };

/* Tokens of this node. They do not outlive it: an invitation is for the next minutes. */
static pthread_mutex_t tokens_lock = PTHREAD_MUTEX_INITIALIZER;
static struct kept tokens[TOKENS_MAX];              /* [lk tokens_lock] uses 0: free */

static uint32_t now_s(void)
{
    return (uint32_t)(clock_system_ns() / 1000000000);
}

void token_keys(const struct token *t, struct secret *ret_door, struct secret *ret_psk)
{
    hash_labelled("rn token door 1", NULL, t->secret, sizeof t->secret, ret_door->bytes,
                  SECRET_BYTES);
    hash_labelled("rn token psk 1", NULL, t->secret, sizeof t->secret, ret_psk->bytes,
                  SECRET_BYTES);
}

/* The free row, or that of the token that ends first. */
static struct kept *row_locked(void)
{
    struct kept *best = &tokens[0];

    for (int i = 0; i < TOKENS_MAX; i++) {
        if (tokens[i].uses == 0 || tokens[i].end_s < now_s())
            return &tokens[i];
        if (tokens[i].end_s < best->end_s)
            best = &tokens[i];
    }
    return best;
}

int token_make(uint32_t rights, uint32_t ttl_s, unsigned uses, const struct net_addr *addrs,
               unsigned n_addrs, struct token *ret)
{
    struct ring_member m;
    struct kept *k;
    int rc = ring_found();

    if (rc < 0)
        return rc;
    if (!ring_lookup(identity_key(ring_identity()), &m) || (m.rights & RIGHT_ADMIT) == 0 ||
        (rights & ~m.rights & ~(uint32_t)RIGHT_LEAF) != 0)
        return -ERR_PERMISSION;
    memset(ret, 0, sizeof *ret);
    random_bytes(ret->id, sizeof ret->id);
    random_bytes(ret->secret, sizeof ret->secret);
    memcpy(ret->inviter, identity_key(ring_identity()), NODE_KEY_BYTES);
    ret->end_s = now_s() + ttl_s;
    ret->rights = rights;
    ret->n_addrs = n_addrs < TOKEN_ADDRS ? n_addrs : TOKEN_ADDRS;
    for (unsigned i = 0; i < ret->n_addrs; i++)
        ret->addrs[i] = addrs[i];
    pthread_mutex_lock(&tokens_lock);
    k = row_locked();
    memcpy(k->id, ret->id, sizeof k->id);
    token_keys(ret, &k->door, &k->psk);
    k->end_s = ret->end_s;
    k->rights = rights;
    k->uses = uses;
    pthread_mutex_unlock(&tokens_lock);
    return 0;
}

static struct kept *find_locked(const uint8_t *id)
{
    for (int i = 0; i < TOKENS_MAX; i++) {
        if (tokens[i].uses > 0 && memcmp(tokens[i].id, id, FLIGHT_TAG) == 0)
            return &tokens[i];
    }
    return NULL;
}

int token_find(const uint8_t id[FLIGHT_TAG], struct secret *ret_door, struct secret *ret_psk,
               uint32_t *ret_rights)
{
    const struct kept *k;
    int rc = -ERR_NOT_FOUND;

    pthread_mutex_lock(&tokens_lock);
    k = find_locked(id);
    if (k != NULL) {
        rc = k->end_s < now_s() ? -ERR_TIMEOUT : 0;
        *ret_door = k->door;
        *ret_psk = k->psk;
        *ret_rights = k->rights;
    }
    pthread_mutex_unlock(&tokens_lock);
    return rc;
}

int token_use(const uint8_t id[FLIGHT_TAG])
{
    struct kept *k;
    int rc = -ERR_NOT_FOUND;

    pthread_mutex_lock(&tokens_lock);
    k = find_locked(id);
    if (k != NULL && k->end_s >= now_s()) {
        if (--k->uses == 0)
            secret_wipe(k, sizeof *k);
        rc = 0;
    }
    pthread_mutex_unlock(&tokens_lock);
    return rc;
}

/* --- text ---------------------------------------------------------------------------------------------- */

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void add_check(struct buf *b)
{
    uint8_t sum[16];

    hash_labelled("rn token 1", NULL, b->data, b->len, sum, sizeof sum);
    buf_add(b, sum, 2);
}

void token_text(const struct token *t, char out[TOKEN_TEXT_MAX])
{
    struct buf b = { 0 };
    char *at = out + sizeof TOKEN_PREFIX - 1;

    buf_u8(&b, TOKEN_VERSION);
    buf_add(&b, t->id, sizeof t->id);
    buf_add(&b, t->secret, sizeof t->secret);
    buf_add(&b, t->inviter, sizeof t->inviter);
    buf_be(&b, t->end_s, 4);
    buf_be(&b, t->rights, 4);
    buf_u8(&b, (uint8_t)t->n_addrs);
    for (unsigned i = 0; i < t->n_addrs; i++) {
        bool v4 = net_addr_is_v4(&t->addrs[i]);

        buf_u8(&b, v4 ? 4 : 6);
        buf_add(&b, t->addrs[i].ip + (v4 ? 12 : 0), v4 ? 4 : 16);
        buf_be(&b, t->addrs[i].port, 2);
    }
    add_check(&b);
    memcpy(out, TOKEN_PREFIX, sizeof TOKEN_PREFIX - 1);
    for (size_t bit = 0; bit < 8 * b.len; bit += 6) {
        unsigned v = (unsigned)b.data[bit / 8] << 8 | (bit / 8 + 1 < b.len ? b.data[bit / 8 + 1] : 0);

        *at++ = letters[v >> (10 - bit % 8) & 63];
    }
    *at = 0;
    secret_wipe(b.data, b.len);
    buf_fini(&b);
}

/* base64url without padding. */
static bool decode(const char *text, size_t n, struct buf *out)
{
    unsigned acc = 0, bits = 0;

    for (size_t i = 0; i < n; i++) {
        const char *p = strchr(letters, text[i]);

        if (p == NULL || *p == 0)
            return false;
        acc = acc << 6 | (unsigned)(p - letters);
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            buf_u8(out, (uint8_t)(acc >> bits));
        }
    }
    return true;
}

static bool read_fields(struct reader *r, struct token *t)
{
    static const uint8_t v4[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF };
    const uint8_t *p;

    if (reader_u8(r) != TOKEN_VERSION)
        return false;
    p = reader_take(r, FLIGHT_TAG + sizeof t->secret + NODE_KEY_BYTES);
    if (p == NULL)
        return false;
    memcpy(t->id, p, FLIGHT_TAG);
    memcpy(t->secret, p + FLIGHT_TAG, sizeof t->secret);
    memcpy(t->inviter, p + FLIGHT_TAG + sizeof t->secret, NODE_KEY_BYTES);
    t->end_s = reader_u32(r);
    t->rights = reader_u32(r);
    t->n_addrs = reader_u8(r);
    if (t->n_addrs > TOKEN_ADDRS)
        return false;
    for (unsigned i = 0; i < t->n_addrs; i++) {
        bool is_v4 = reader_u8(r) == 4;

        p = reader_take(r, is_v4 ? 4 : 16);
        if (p == NULL)
            return false;
        memcpy(t->addrs[i].ip, v4, sizeof v4);
        memcpy(t->addrs[i].ip + (is_v4 ? 12 : 0), p, is_v4 ? 4 : 16);
        t->addrs[i].port = reader_u16(r);
    }
    return !r->bad;
}

int token_parse(const char *text, struct token *ret)
{
    size_t skip = sizeof TOKEN_PREFIX - 1, len = strlen(text);
    struct buf b = { 0 };
    struct reader r;
    uint8_t sum[2];
    int rc = -ERR_FORMAT;

    while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == ' ' || text[len - 1] == '\r'))
        len--;
    memset(ret, 0, sizeof *ret);
    if (len > skip && len < TOKEN_TEXT_MAX && memcmp(text, TOKEN_PREFIX, skip) == 0 &&
        decode(text + skip, len - skip, &b) && b.len > 2) {
        memcpy(sum, b.data + b.len - 2, 2);
        b.len -= 2;
        add_check(&b);
        r = reader_make(b.data, b.len - 2);
        if (memcmp(sum, b.data + b.len - 2, 2) == 0 && read_fields(&r, ret) && r.at == r.end)
            rc = 0;
    }
    secret_wipe(b.data, b.len);
    buf_fini(&b);
    return rc;
}
